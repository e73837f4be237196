/**
 * Turns a server's error into a `ReplyError`, and removes the arguments that the server's text may quote (design law
 * 15).
 */
import * as Redacted from "effect/Redacted"
import { type Denied, ReplyError } from "../../RedisError.js"
import { withoutFrames } from "../effect/errorSchemas.js"
import { utf8Escape } from "../resp/text.js"
import type { ErrorReply } from "../resp/values.js"
import type { Argument } from "./args.js"
import { traitsOf } from "./facts.js"
import { isRefusalSentence, isSentence } from "./sentences.js"

/** Scripts make up errors of any code, from anything they have read. */
const runsScript = (command: string): boolean => traitsOf(command).script !== undefined

/** The suffix that servers add to errors of commands inside a script. */
const whereInScript = / script: (?:\w+, )?on @\w+:\d+\.$/

/** Codes whose text is a fixed sentence of the server, independent of the arguments. */
const fixed = new Set([
  "WRONGTYPE",
  "NOAUTH",
  "WRONGPASS",
  "LOADING",
  "OOM",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "TRYAGAIN",
  "MOVED",
  "ASK",
  "CROSSSLOT",
  "BUSYKEY",
  "BUSYGROUP",
  "NOSCRIPT",
  "NOTBUSY",
  "UNKILLABLE",
  "EXECABORT",
  "NOREPLICAS",
  "MISCONF",
  "NOPROTO",
  "DENIED",
  "INPROG",
  "UNBLOCKED",
  "IOERR",
  "NOMASTERLINK",
  "NOQUORUM",
  "NOGOODSLAVE"
])

/** Codes that are taken as codes even when an argument is the same word. */
const known = new Set([...fixed, "ERR", "NOPERM", "BUSY"])

/** Whether servers themselves answer this code, apart from what scripts make up. */
export const isKnownCode = (code: string): boolean => known.has(code)

/** Codes by which a server refuses a command before it executes any of it, and may execute it later. */
const refusing = new Set([
  "LOADING",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "TRYAGAIN",
  "READONLY",
  "BUSY",
  "OOM",
  "NOREPLICAS",
  "MISCONF"
])

/**
 * What a node of a cluster answers to a command that belongs to another node: a hash slot and an address. Short arguments are
 * not blanked in it: they are in many addresses by chance, and a node quotes none.
 */
const redirection = /^(?:MOVED|ASK) \d{1,5} [^\s'"`]*:\d{1,5}$/

/** Common words of server messages. They are not blanked, although an argument may contain the same word. */
const vocabulary = new Set(
  `already argument arguments array bitmap bits block cannot channel client cluster command commands count database
    error exist existing exists expire expired expiry failed field fields first float found from group hash have index
    integer invalid item items keys kind last length limit list match maximum member members message minimum missing
    must name negative node none number numeric offset only operation option options parameter parse pattern positive
    range replica reply required score script server slot sorted source stream string subcommand syntax target than
    that this time timeout type unable unknown unsupported used user valid value values when with without wrong zero`.split(
    /\s+/
  )
)

/** A longer text is not shown: a server's own errors are shorter, and blanking takes more than linear time. */
const longestMessage = 4096
/**
 * With more argument data than this, the text is not shown, because searching all of it would delay the connection's
 * other callers.
 */
const longestArguments = 1024 * 1024

export const make = (reply: ErrorReply, command: string, args: ReadonlyArray<Argument>): ReplyError => {
  const code = codeOf(reply, args)
  const denied = deniedBy(code, reply.message, command)
  const text =
    denied === undefined || sortDenied.test(reply.message)
      ? describe(code, reply.message, command, args)
      : `${code}${code === "NOPERM" ? "" : " in the script:"} this user has no permissions ${forWhat[denied]}`
  return withoutFrames(ReplyError, {
    code,
    command,
    message: `${command}: ${text}`,
    raw: Redacted.make(reply.message),
    ...(denied === undefined ? {} : { denied }),
    ...(isTransient(code, reply.message, command) ? { transient: true } : {})
  })
}

/**
 * Whether the server refused the command before it executed any of it, and may execute it later. A script that may write
 * can answer any code, so of a script only the server's own sentence counts.
 */
const isTransient = (code: string, message: string, command: string): boolean => {
  const { readonly, script } = traitsOf(command)
  const refusal = discarded.exec(message)?.[1] ?? code
  return isRefusalSentence(message) || ((script === undefined || readonly) && refusing.has(refusal))
}

/** EXEC was refused for the state that the server is in. */
const discarded = /^EXECABORT Transaction discarded because of: ([A-Z]+) /

/**
 * The code of an error. A script may return an argument as its error; then the first word is data, not a code, and the
 * result is `ERR`.
 */
const codeOf = (reply: ErrorReply, args: ReadonlyArray<Argument>): string => {
  const { code } = reply
  return !known.has(code) &&
    args.some((arg) => {
      const start = arg.kind === "token" ? "" : textOf(arg, code.length + 1)
      return start === code || start === `${code} `
    })
    ? "ERR"
    : code
}

const describe = (code: string, message: string, command: string, args: ReadonlyArray<Argument>): string => {
  const script = runsScript(command)
  const sentence = script ? message.replace(whereInScript, "") : message
  if (isSentence(sentence)) {
    return sentence
  }
  if (/^ERR unknown (?:sub)?command/i.test(message)) {
    return "ERR unknown command or subcommand, for this server and version"
  }
  if (code === "NOPERM") {
    return "NOPERM this user has no permissions (for details see the redacted field `raw`)"
  }
  const unclear = traitsOf(command).quotesArguments
  if (unclear && (!fixed.has(code) || script)) {
    return `${code} (the server's text may quote arguments: see the redacted field \`raw\`)`
  }
  const values = args.filter(({ kind }) => kind !== "token")
  if (message.length > longestMessage || values.reduce((sum, { data }) => sum + data.length, 0) > longestArguments) {
    return `${code} (the server's text is too long to be cleared of arguments: see the redacted field \`raw\`)`
  }
  const least = redirection.test(message) ? shortLength : 0
  const texts = values
    .map((arg) => textOf(arg, Infinity))
    .filter(({ length }) => length > least)
    .sort((a, b) => b.length - a.length)
  const text = blankQuotes(blankWhole(message, texts), command, args)
  return fixed.has(code) && !unclear ? text : blankParts(text, texts)
}

/** The first `length` bytes of an argument as text, decoded like a server's error. */
const textOf = ({ data }: Argument, length: number): string =>
  typeof data === "string" ? data.slice(0, length) : utf8Escape(data, 0, Math.min(data.length, length))

/**
 * What the user was denied. Servers use different words for it (docs/replies.md), and name the user, whose name may be
 * any word. The error of a script counts only when it is a whole sentence of a server, because a script may use any
 * words.
 */
const deniedBy = (code: string, message: string, command: string): Denied | undefined => {
  if (code === "NOPERM") {
    const sentence = message.replace(/\bUser \S+/i, "")
    return runsScript(command) && !/^NOPERM (?:this user|No permissions|User \S+ has no permissions)\b/.test(message)
      ? undefined
      : /\bto run\b/i.test(sentence)
        ? "command"
        : /\bchannels?\b/i.test(sentence)
          ? "channel"
          : /\bkeys?\b/i.test(sentence)
            ? "key"
            : /\bdatabases?\b/i.test(sentence)
              ? "database"
              : undefined
  }
  if (code !== "ERR") {
    return undefined
  }
  if (runsScript(command)) {
    const rest = /^ERR (?:ACL failure in script:|The user executing the script can't) (.*)$/s.exec(message)?.[1]
    return rest === undefined
      ? undefined
      : /^(?:User \S+ has no permissions to run|run) /.test(rest)
        ? "command"
        : /^(?:No permissions to access a key|access at least one of the keys)\b/.test(rest)
          ? "key"
          : /^(?:No permissions to access a channel|publish to the channel)\b/.test(rest)
            ? "channel"
            : /^No permissions to access database\b/.test(rest)
              ? "database"
              : undefined
  }
  return sortDenied.test(message) ? "key" : undefined
}

const sortDenied = /^ERR (?:BY|GET) option of SORT denied due to insufficient ACL permissions\b/

const forWhat: Record<Denied, string> = {
  command: "to run this command",
  key: "to access one of the keys",
  channel: "to access one of the channels",
  database: "to access the database"
}

const blanked = "<…>"

/** Arguments up to this length are short. */
const shortLength = 3

/**
 * Blanks every whole argument that is not a token. The longest come first, because one argument may be the beginning of
 * another.
 */
const blankWhole = (message: string, texts: ReadonlyArray<string>): string => {
  let text = message
  for (const data of texts) {
    if (data.length === 0 || data.length > message.length) {
      continue
    }
    // Short arguments are blanked only as whole words; otherwise most of the text would be blanked.
    text =
      data.length > shortLength
        ? text.replaceAll(data, blanked)
        : text.replace(new RegExp(`(?<![\\p{L}\\p{N}])${escape(data)}(?![\\p{L}\\p{N}])`, "gu"), blanked)
  }
  return text
}

/** Blanks quoted text, which servers may have escaped and shortened, unless it is the command or a token. */
const blankQuotes = (message: string, command: string, args: ReadonlyArray<Argument>): string =>
  message.replace(
    /(?<![\p{L}\p{N}])(['"`])((?:\\.|[^\\])*?)\1(?![\p{L}\p{N}])/gsu,
    (quoted, quote: string, inner: string) => {
      const word = inner.toUpperCase()
      return word === command ||
        word === command.replace(" ", "|") ||
        args.some(({ data, kind }) => kind === "token" && data === word)
        ? quoted
        : `${quote}${blanked}${quote}`
    }
  )

/**
 * Blanks words that are part of an argument, because servers shorten what they quote, and modules quote from the
 * middle.
 */
const blankParts = (message: string, texts: ReadonlyArray<string>): string => {
  const all = texts.join("\n").toLowerCase()
  const given = (word: string): boolean => {
    const lower = word.toLowerCase()
    return lower.length > shortLength && !vocabulary.has(lower) && all.includes(lower)
  }
  return message.replace(/\S+/g, (word, at: number) => {
    if (at === 0 && known.has(word)) {
      return word
    }
    const inner = word.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "")
    return given(inner)
      ? word.replace(inner, blanked)
      : word.replace(/[\p{L}\p{N}_]+/gu, (part) => (given(part) ? blanked : part))
  })
}

const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
