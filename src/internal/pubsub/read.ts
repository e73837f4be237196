/**
 * What deliveries are for programs: messages by a codec, keyspace events, invalidations, lines of MONITOR. The readers are
 * plain functions. They take nothing from the inbox: the mailbox does, and calls them in the taker's fiber.
 */
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { type Codec, type CodecIssue, utf8 } from "../../Codec.js"
import { DecodeError } from "../../RedisError.js"
import type { Key } from "../command/args.js"
import { utf8Decode, utf8DecodeStrict, utf8Encode } from "../resp/text.js"
import type { Reply } from "../resp/values.js"
import { visible } from "../resp/visible.js"
import { leftOut, Sparse } from "../telemetry/sparse.js"
import type { Delivery } from "./inbox.js"

/** A delivery that does not decode. The mailbox makes it the taker's failure. */
export class Undecodable {
  constructor(readonly error: DecodeError) {}
}

/** What a delivery is for the program: a value, nothing (the delivery is skipped), or a failure to decode. */
export type Read<A> = (delivery: Delivery) => A | undefined | Undecodable

/** The error names the channel and never holds the message. */
const undecodable = (
  command: string,
  channel: string | Uint8Array,
  issue: Pick<CodecIssue, "path" | "reason">
): Undecodable =>
  new Undecodable(
    new DecodeError({
      command,
      path: [textOfName(channel), ...issue.path],
      reason: issue.reason
    })
  )

const textOfName = (name: Key): string => (typeof name === "string" ? name : utf8Decode(name, 0, name.length))

const notText = { path: [], reason: "expected text or bytes" }

/** A message, decoded. */
export interface MessageShape<V, K> {
  readonly _tag: "Message"
  readonly channel: K
  readonly pattern: Option.Option<K>
  readonly payload: V
}

export const message = <V, K extends Key>(
  codec: Codec<V, K>,
  command: string
): ((delivery: Delivery) => MessageShape<V, K> | Undecodable) => {
  const read = decoded(codec, command)
  // Text under the text codec needs no decoding, and so no Either for each listener.
  return (codec as unknown) === utf8
    ? (delivery) => (textOf(delivery) as MessageShape<V, K> | undefined) ?? read(delivery)
    : read
}

const textOf = ({ channel, pattern, payload }: Delivery): MessageShape<string, string> | undefined =>
  typeof channel === "string" && typeof payload === "string" && !(pattern instanceof Uint8Array)
    ? { _tag: "Message", channel, pattern: pattern === undefined ? noPattern : Option.some(pattern), payload }
    : undefined

const noPattern: Option.Option<never> = Option.none()

const decoded =
  <V, K extends Key>(codec: Codec<V, K>, command: string) =>
  ({ channel, pattern, payload }: Delivery): MessageShape<V, K> | Undecodable => {
    if (typeof payload !== "string" && !(payload instanceof Uint8Array)) {
      return undecodable(command, channel, notText)
    }
    const name = codec.decodeKey(channel)
    if (Either.isLeft(name)) {
      return undecodable(command, channel, name.left)
    }
    let by: Option.Option<K> = Option.none()
    if (pattern !== undefined) {
      const decoded = codec.decodeKey(pattern)
      if (Either.isLeft(decoded)) {
        return undecodable(command, pattern, decoded.left)
      }
      by = Option.some(decoded.right)
    }
    const value = codec.decode(payload)
    return Either.isLeft(value)
      ? undecodable(command, channel, value.left)
      : { _tag: "Message", channel: name.right, pattern: by, payload: value.right }
  }

/** An event of a key. */
export interface KeyEventShape<K> {
  readonly _tag: "KeyEvent"
  readonly database: number
  readonly key: K
  readonly event: string
}

/** The channel `__keyspace@0__:key` has the event as its message, the channel `__keyevent@0__:event` the key. */
export const keyEvent =
  <K extends Key>(codec: Pick<Codec<never, K>, "decodeKey">) =>
  ({ channel, payload }: Delivery): KeyEventShape<K> | Undecodable => {
    const head = headOf(channel)
    if (head === undefined || (typeof payload !== "string" && !(payload instanceof Uint8Array))) {
      return undecodable("SUBSCRIBE", channel, { path: [], reason: "expected a keyspace notification" })
    }
    const rest = typeof channel === "string" ? channel.slice(head.length) : channel.subarray(head.length)
    const key = codec.decodeKey(head.keyspace ? rest : payload)
    if (Either.isLeft(key)) {
      return undecodable("SUBSCRIBE", channel, key.left)
    }
    const event = head.keyspace ? payload : rest
    return {
      _tag: "KeyEvent",
      database: head.database,
      key: key.right,
      event: typeof event === "string" ? event : utf8Decode(event, 0, event.length)
    }
  }

const headOf = (
  channel: string | Uint8Array
): { readonly keyspace: boolean; readonly database: number; readonly length: number } | undefined => {
  const start = typeof channel === "string" ? channel : utf8Decode(channel, 0, Math.min(channel.length, 32))
  const match = /^__key(space|event)@(\d+)__:/.exec(start)
  return match === null
    ? undefined
    : { keyspace: match[1] === "space", database: Number(match[2]), length: match[0].length }
}

/** Keys whose values have changed. */
export type InvalidationShape<K> =
  | { readonly _tag: "Keys"; readonly keys: ReadonlyArray<K> }
  | { readonly _tag: "All"; readonly reason: "flush" | "gap" }

export const invalidation =
  <K extends Key>(codec: Pick<Codec<never, K>, "decodeKey">) =>
  ({ payload }: Delivery): InvalidationShape<K> | undefined => {
    if (!Array.isArray(payload)) {
      return { _tag: "All", reason: "flush" }
    }
    const keys: Array<K> = []
    for (const item of payload as ReadonlyArray<Reply>) {
      if (typeof item === "string" || item instanceof Uint8Array) {
        const key = codec.decodeKey(item)
        // A program that reads keys as text cannot have cached a key that is not text.
        if (Either.isRight(key)) {
          keys.push(key.right)
        }
      }
    }
    return keys.length === 0 ? undefined : { _tag: "Keys", keys }
  }

/** A command that a client has sent. */
export interface MonitorLineShape {
  readonly _tag: "MonitorLine"
  readonly time: DateTime.Utc
  readonly database: number
  readonly client: string
  readonly command: string
  readonly args: ReadonlyArray<string | Uint8Array>
}

/** Reads a line such as `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`. */
export const monitorLine = ({ payload }: Delivery): MonitorLineShape | Undecodable => {
  const text = typeof payload === "string" ? payload : ""
  const head = /^(\d+)\.(\d+) \[(\d+) (.*?)\] (?=")/.exec(text)
  const words = head === null ? undefined : quoted(text, head[0].length)
  const command = words?.[0]
  if (head === null || words === undefined || command === undefined) {
    return new Undecodable(new DecodeError({ command: "MONITOR", path: [], reason: "expected a line of MONITOR" }))
  }
  return {
    _tag: "MonitorLine",
    time: DateTime.unsafeMake(Number(head[1]) * 1000 + Math.floor(Number(`0.${head[2]}`) * 1000)),
    database: Number(head[3]),
    client: head[4] as string,
    command: typeof command === "string" ? command : utf8Decode(command, 0, command.length),
    args: words.slice(1)
  }
}

const escapes: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, a: 7, b: 8, '"': 34, "\\": 92 }

/** Splits quoted words and resolves the servers' escapes. Words that are not UTF-8 are bytes. */
const quoted = (text: string, from: number): ReadonlyArray<string | Uint8Array> | undefined => {
  const words: Array<string | Uint8Array> = []
  let at = from
  while (at < text.length) {
    if (text[at] !== '"') {
      return undefined
    }
    const end = endOf(text, at + 1)
    if (end === -1) {
      return undefined
    }
    const inner = text.slice(at + 1, end)
    words.push(inner.includes("\\") ? unescape(inner) : inner)
    at = end + 2
  }
  return words
}

/** The index of the quote that ends a word. */
const endOf = (text: string, from: number): number => {
  for (let at = from; at < text.length; at++) {
    if (text[at] === "\\") {
      at++
    } else if (text[at] === '"') {
      return at
    }
  }
  return -1
}

const unescape = (inner: string): string | Uint8Array => {
  const bytes: Array<number> = []
  for (let i = 0; i < inner.length; i++) {
    const char = inner[i] as string
    if (char !== "\\") {
      bytes.push(...(char < "\u0080" ? [char.charCodeAt(0)] : utf8Encode(char)))
      continue
    }
    const next = inner[++i] ?? ""
    const hex = next === "x" ? Number.parseInt(inner.slice(i + 1, i + 3), 16) : Number.NaN
    if (Number.isNaN(hex)) {
      bytes.push(escapes[next] ?? next.charCodeAt(0))
    } else {
      bytes.push(hex)
      i += 2
    }
  }
  const whole = Uint8Array.from(bytes)
  return utf8DecodeStrict(whole, 0, whole.length) ?? whole
}

/** Skips deliveries that do not decode, with a warning in the log now and then. */
export const skipping = <A>(
  read: Read<A>,
  log: (effect: Effect.Effect<void>) => void
): ((delivery: Delivery) => A | undefined) => {
  const lines = new Sparse()
  return (delivery) => {
    const value = read(delivery)
    if (!(value instanceof Undecodable)) {
      return value
    }
    const left = lines.next()
    if (left !== undefined) {
      log(
        Effect.logWarning(`A message of a subscription is skipped: ${value.error.message}${leftOut(left)}`).pipe(
          Effect.annotateLogs("channel", visible(textOfName(delivery.channel)))
        )
      )
    }
    return undefined
  }
}

/** A message that does not decode, as an element. */
export interface UndecodableShape {
  readonly _tag: "Undecodable"
  /** The channel: text, or bytes where it is not UTF-8. Empty for MONITOR. */
  readonly channel: Key
  /** The pattern that matched, for subscriptions to patterns. */
  readonly pattern: Option.Option<Key>
  /** The bytes of the message. */
  readonly payload: Uint8Array
  /** Why it does not decode. It names the channel and shows nothing of the message. */
  readonly error: DecodeError
}

const noBytes = new Uint8Array(0)

/** Gives deliveries that do not decode as elements. */
export const emitting =
  <A>(read: Read<A>) =>
  (delivery: Delivery): A | UndecodableShape | undefined => {
    const value = read(delivery)
    if (!(value instanceof Undecodable)) {
      return value
    }
    const { channel, pattern, payload } = delivery
    return {
      _tag: "Undecodable",
      channel,
      pattern: Option.fromNullable(pattern),
      // Servers send nothing but text and bytes.
      payload: typeof payload === "string" ? utf8Encode(payload) : payload instanceof Uint8Array ? payload : noBytes,
      error: value.error
    }
  }
