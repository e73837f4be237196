/**
 * From a server's error to a `ReplyError`, without the arguments that servers like to echo (design law 15).
 */
import * as Redacted from "effect/Redacted"
import { ReplyError } from "../RedisError.js"
import type { Argument } from "./args.js"
import type { ErrorReply } from "./values.js"

/** Their errors quote rules, scripts or settings in ways that cannot be told from the rest. */
const opaque = /^(?:ACL|AUTH|HELLO|CONFIG|EVAL|EVALSHA|EVAL_RO|EVALSHA_RO|FCALL|FCALL_RO|FUNCTION|SCRIPT|MIGRATE|CLIENT)(?: |$)/

/** Codes whose text is a fixed sentence of the server's, whatever was sent. */
const fixed = new Set([
  "WRONGTYPE", "NOAUTH", "WRONGPASS", "LOADING", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MOVED",
  "ASK", "CROSSSLOT", "BUSYKEY", "BUSYGROUP", "NOSCRIPT", "NOTBUSY", "UNKILLABLE", "EXECABORT", "NOREPLICAS",
  "MISCONF", "NOPROTO", "DENIED", "INPROG", "UNBLOCKED", "IOERR", "NOMASTERLINK", "NOQUORUM", "NOGOODSLAVE"
])

export const make = (reply: ErrorReply, command: string, args: ReadonlyArray<Argument>): ReplyError =>
  new ReplyError({
    code: reply.code,
    command,
    message: `${command}: ${describe(reply, command, args)}`,
    raw: Redacted.make(reply.message)
  })

const describe = (reply: ErrorReply, command: string, args: ReadonlyArray<Argument>): string => {
  const { code, message } = reply
  if (fixed.has(code)) {
    return blank(message, args)
  }
  if (/^ERR unknown (?:sub)?command/i.test(message)) {
    return "ERR unknown command or subcommand, for this server and version"
  }
  if (code === "NOPERM") {
    return `NOPERM this user has no permissions ${denied(message)}`
  }
  if (opaque.test(command)) {
    return `${code} (the server's text may quote arguments: see the redacted field \`raw\`)`
  }
  return blank(message, args)
}

const denied = (message: string): string =>
  /channel/i.test(message)
    ? "to access one of the channels"
    : /\bkeys?\b/i.test(message)
    ? "to access one of the keys"
    : "to run this command"

const blanked = "<…>"

/** Blanks every argument that is not one of Redis' own words, and whatever else stands in quotes. */
const blank = (message: string, args: ReadonlyArray<Argument>): string => {
  let text = message
  for (const { data, kind } of args) {
    if (kind === "token" || typeof data !== "string" || data.length === 0) {
      continue
    }
    // Short arguments are only looked for as whole words, or the text would be all blanks.
    text = data.length > 3
      ? text.replaceAll(data, blanked)
      : text.replace(new RegExp(`(?<![\\p{L}\\p{N}])${escape(data)}(?![\\p{L}\\p{N}])`, "gu"), blanked)
  }
  // The server escapes and shortens what it quotes, so that the search above may have missed it.
  return text.replace(/(['"`])(?:(?!\1).)*\1/gs, (quoted, quote: string) => {
    const inner = quoted.slice(1, -1)
    return args.some(({ data, kind }) => kind === "token" && data === inner.toUpperCase())
      ? quoted
      : `${quote}${blanked}${quote}`
  })
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
