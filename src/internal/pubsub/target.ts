/**
 * Names what can be subscribed to, and the commands for it. It sends nothing and knows no state.
 */

import { UsageError } from "../../RedisError.js"
import { Argument } from "../command/args.js"
import type { RedisCommand } from "../command/model.js"
import { make as makeCommand, token } from "../command/raw.js"
import type { Link } from "../connection/link.js"
import { EncodeFailure, encode, nameless } from "../resp/encoder.js"
import { utf8DecodeStrict } from "../resp/text.js"

/** How a server is asked. `tracking` and `monitor` need a connection of their own. */
export type Kind = "subscribe" | "psubscribe" | "ssubscribe" | "tracking" | "monitor"

export interface Target {
  readonly kind: Kind
  /** The channel or pattern; empty for `tracking` and `monitor`. */
  readonly name: string | Uint8Array
  /** For `tracking`: prefixes of the keys that are meant. Without prefixes, all keys are meant. */
  readonly prefixes?: ReadonlyArray<string | Uint8Array> | undefined
}

/** The channel on which a RESP2 connection receives invalidations. Servers define its name. */
export const invalidations = "__redis__:invalidate"

/** Whether a target is subscribed to by a command with its own kind of confirmation, and can be unsubscribed from. */
export const isChannel = ({ kind }: Target): boolean => kind !== "tracking" && kind !== "monitor"

/**
 * A name as a key of a Map. Text, also text that arrived as UTF-8 bytes, is its own key. Bytes that are not UTF-8 get a
 * key that no text has, because it ends with a lone surrogate, which cannot be sent.
 */
export const keyOf = (name: string | Uint8Array): string => {
  if (typeof name === "string") {
    return name
  }
  const text = utf8DecodeStrict(name, 0, name.length)
  if (text !== undefined) {
    return text
  }
  let key = "\0"
  for (const byte of name) {
    key += String.fromCharCode(byte)
  }
  return `${key}\uDC00`
}

/** The command's name, for errors. */
export const commandOf = ({ kind }: Target): string =>
  kind === "tracking" ? "CLIENT TRACKING" : kind === "monitor" ? "MONITOR" : kind.toUpperCase()

/**
 * The commands that subscribe to a target over a link, in order. The target is subscribed to when the last one is
 * confirmed.
 */
export const subscribeCommands = (target: Target, link: Link): ReadonlyArray<RedisCommand<unknown>> | UsageError => {
  const { kind, name, prefixes = [] } = target
  if (kind === "monitor") {
    return [makeCommand("MONITOR")]
  }
  if (kind !== "tracking") {
    return [makeCommand(commandOf(target), { args: [new Argument("channel", name)] })]
  }
  const resp2 = link.session.protocol === 2
  if (resp2 && link.id === undefined) {
    return withoutId()
  }
  const tracking = makeCommand("CLIENT TRACKING", {
    args: [
      token("ON"),
      // RESP2 has no pushes: the connection redirects its invalidations to itself, as messages of a channel.
      ...(resp2 ? [token("REDIRECT"), String(link.id)] : []),
      token("BCAST"),
      ...prefixes.flatMap((prefix) => [token("PREFIX"), new Argument("keyPrefix", prefix)])
    ]
  })
  return resp2 ? [tracking, makeCommand("SUBSCRIBE", { args: [new Argument("channel", invalidations)] })] : [tracking]
}

/** The command that unsubscribes from a target for which {@link isChannel} holds. */
export const unsubscribeCommand = ({ kind, name }: Target): RedisCommand<unknown> =>
  makeCommand(kind.replace("subscribe", "unsubscribe").toUpperCase(), { args: [new Argument("channel", name)] })

/** Why a target cannot be sent, if it cannot. */
export const problemOf = (target: Target): UsageError | undefined => {
  const command = commandOf(target)
  for (const data of [target.name, ...(target.prefixes ?? [])] as ReadonlyArray<unknown>) {
    const encoded =
      typeof data === "string" || data instanceof Uint8Array
        ? encode(nameless, [new Argument("channel", data)])
        : new EncodeFailure("a name must be text or bytes")
    if (encoded instanceof EncodeFailure) {
      return new UsageError({ reason: "invalidArgument", command, message: `${command}: ${encoded.reason}` })
    }
  }
  return undefined
}

const withoutId = (): UsageError =>
  new UsageError({
    reason: "refusedCommand",
    command: "CLIENT TRACKING",
    message: "CLIENT TRACKING was not sent: under RESP2 it needs the connection's id, and the server did not report one"
  })
