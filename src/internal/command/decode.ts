/**
 * Decoders: functions from a reply to a value, which throw {@link DecodeFailure} when the reply does not fit. A decoder
 * accepts both the RESP2 and the RESP3 form of a reply. Each decoder is a constant, or made once for each codec,
 * because the equality of commands compares their decoders.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Codec, CodecIssue } from "../../Codec.js"
import { utf8DecodeStrict } from "../resp/text.js"
import { isErrorReply, isMapReply, isSetReply, isUnreadable, isVerbatimString, type Reply } from "../resp/values.js"

export type Decoder<out A> = (reply: Reply) => A

const failureId: unique symbol = Symbol.for("effect-redis-client/DecodeFailure")

/**
 * Why a reply does not fit. It never contains data of the reply. It is not an `Error`, because its stack is not needed.
 */
export class DecodeFailure {
  constructor(
    readonly reason: string,
    readonly path: ReadonlyArray<string | number> = [],
    /** Whether a codec refused what a program stored. Reports do not leave such a value out: see report.ts. */
    readonly byCodec = false
  ) {}

  get [failureId](): true {
    return true
  }
}

/** Also of another copy of this package, whose command a client of this one decodes. */
export const isDecodeFailure = (u: unknown): u is DecodeFailure => Predicate.hasProperty(u, failureId)

/** The type of a reply, for messages. */
export const describe = (reply: Reply): string => {
  switch (typeof reply) {
    case "string":
      return "text"
    case "number":
    case "bigint":
      return "a number"
    case "boolean":
      return "a boolean"
  }
  if (reply === null) {
    return "null"
  }
  if (Array.isArray(reply)) {
    return "an array"
  }
  if (reply instanceof Uint8Array) {
    return "bytes that are not text"
  }
  if (isMapReply(reply)) {
    return "a map"
  }
  if (isSetReply(reply)) {
    return "a set"
  }
  if (isErrorReply(reply)) {
    return `the error ${reply.code}`
  }
  if (isUnreadable(reply)) {
    return `a malformed ${reply.type}`
  }
  return "a verbatim string"
}

export const mismatch = (expected: string, reply: Reply): never => {
  throw new DecodeFailure(`expected ${expected}, got ${describe(reply)}`)
}

/** Prefixes the failure's path with this part; other throws pass through. */
const inside = (part: string | number, failure: unknown): unknown =>
  isDecodeFailure(failure) ? new DecodeFailure(failure.reason, [part, ...failure.path], failure.byCodec) : failure

/** Decodes a part of a reply. A failure's path then begins with that part. */
export const at = <A>(part: string | number, decoder: Decoder<A>, reply: Reply): A => {
  try {
    return decoder(reply)
  } catch (failure) {
    throw inside(part, failure)
  }
}

/** The undecoded reply. */
export const raw: Decoder<Reply> = (reply) => reply

/** `+OK`, or any other status text. The text is dropped. */
export const ok: Decoder<void> = (reply) => {
  if (reply !== "OK" && !isStatus(reply)) {
    mismatch("a status", reply)
  }
}

const isStatus = (reply: Reply): boolean =>
  typeof reply === "string" || reply instanceof Uint8Array
    ? reply.length > 0
    : isVerbatimString(reply) && reply.value.length > 0

/** Text, from a string, a verbatim string or UTF-8 bytes. */
export const text: Decoder<string> = (reply) => {
  if (typeof reply === "string") {
    return reply
  }
  if (isVerbatimString(reply)) {
    return text(reply.value)
  }
  if (reply instanceof Uint8Array) {
    const decoded = utf8DecodeStrict(reply, 0, reply.length)
    if (decoded !== undefined) {
      return decoded
    }
  }
  return mismatch("text", reply)
}

/** Bytes, for replies that are never text (DUMP, FUNCTION DUMP). The command must ask for bytes. */
export const bytes: Decoder<Uint8Array> = (reply) =>
  reply instanceof Uint8Array
    ? reply
    : typeof reply === "string"
      ? new TextEncoder().encode(reply)
      : mismatch("bytes", reply)

/** An integer of at most 2^53 - 1. */
export const integer: Decoder<number> = (reply) => {
  if (typeof reply === "number" && Number.isInteger(reply)) {
    return reply
  }
  const value = integerText(reply)
  if (typeof value === "number") {
    return value
  }
  return typeof (value ?? reply) === "bigint"
    ? mismatch("an integer of at most 2^53 - 1", reply)
    : mismatch("an integer", reply)
}

/** An integer of up to 64 bits: a number up to 2^53 - 1, else a bigint. */
export const largeInteger: Decoder<number | bigint> = (reply) =>
  typeof reply === "bigint" ? reply : (integerText(reply) ?? integer(reply))

const integerText = (reply: Reply): number | bigint | undefined => {
  if (typeof reply !== "string" || !/^-?\d+$/.test(reply)) {
    return undefined
  }
  const value = Number(reply)
  return Number.isSafeInteger(value) ? value : BigInt(reply)
}

/** A floating point number: a RESP3 double, or its text in RESP2. */
export const double: Decoder<number> = (reply) => {
  if (typeof reply === "number") {
    return reply
  }
  if (typeof reply === "bigint") {
    return Number(reply)
  }
  const source = reply instanceof Uint8Array || isVerbatimString(reply) ? text(reply) : reply
  if (typeof source === "string") {
    switch (source) {
      case "inf":
      case "+inf":
        return Infinity
      case "-inf":
        return -Infinity
      case "nan":
      case "-nan":
        return NaN
    }
    if (/^[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$/.test(source)) {
      return Number(source)
    }
  }
  return mismatch("a number", reply)
}

/** 1 or 0, or a RESP3 boolean. */
export const boolean: Decoder<boolean> = (reply) => {
  if (reply === 1 || reply === true) {
    return true
  }
  return reply === 0 || reply === false ? false : mismatch("0 or 1", reply)
}

/** `+OK` is `true`, nil is `false`. */
export const done: Decoder<boolean> = (reply) => {
  if (reply === null) {
    return false
  }
  ok(reply)
  return true
}

/** Nil is `None`; anything else is decoded and wrapped in `Some`. */
export const nullable =
  <A>(decoder: Decoder<A>): Decoder<Option.Option<A>> =>
  (reply) =>
    reply === null ? Option.none() : Option.some(decoder(reply))

/** The items of an array or a set. */
export const items = (reply: Reply): ReadonlyArray<Reply> =>
  Array.isArray(reply) ? (reply as ReadonlyArray<Reply>) : isSetReply(reply) ? reply.items : mismatch("an array", reply)

/** An array (or set) of one kind of element. */
export const array =
  <A>(decoder: Decoder<A>): Decoder<Array<A>> =>
  (reply) => {
    const source = items(reply)
    const result: Array<A> = new Array(source.length)
    let i = 0
    try {
      for (; i < source.length; i++) {
        result[i] = decoder(source[i] as Reply)
      }
    } catch (failure) {
      throw inside(i, failure)
    }
    return result
  }

/** An array of a fixed shape. Additional elements are ignored, because newer servers may send more. */
export const tuple =
  <const T extends ReadonlyArray<Decoder<unknown>>>(
    ...decoders: T
  ): Decoder<{ -readonly [K in keyof T]: T[K] extends Decoder<infer A> ? A : never }> =>
  (reply) => {
    const source = items(reply)
    if (source.length < decoders.length) {
      throw new DecodeFailure(`expected ${decoders.length} elements, got ${source.length}`)
    }
    return decoders.map((decoder, i) => at(i, decoder, source[i] as Reply)) as never
  }

/** One page of a scan. */
export interface ScanPage<A> {
  /** The cursor of the next page; `"0"` when this is the last page. It is text, because cursors have up to 64 bits. */
  readonly cursor: string
  /**
   * The elements of this page. It may be empty although more pages follow, and may repeat elements of an earlier page.
   */
  readonly items: ReadonlyArray<A>
}

/** SCAN, HSCAN, SSCAN, ZSCAN: the cursor, then the elements, decoded by `items`. */
export const scanPage = <A>(items: Decoder<ReadonlyArray<A>>): Decoder<ScanPage<A>> => {
  const page = tuple(text, items)
  return (reply) => {
    const [cursor, found] = page(reply)
    return { cursor, items: found }
  }
}

/** Keys and values in turn, from a RESP3 map, the flat array of RESP2, or an array of pairs. */
export const flatEntries = (reply: Reply): ReadonlyArray<Reply> => {
  if (isMapReply(reply)) {
    return reply.items
  }
  const source = items(reply)
  if (source.length > 0 && source.every((item) => Array.isArray(item) && item.length === 2)) {
    return (source as ReadonlyArray<ReadonlyArray<Reply>>).flat()
  }
  return source.length % 2 === 0 ? source : mismatch("keys and values", reply)
}

/**
 * Entries as pairs, in the server's order. The path of a failure contains positions only, because names from the server
 * may be private data.
 */
export const entries =
  <K, V>(key: Decoder<K>, value: Decoder<V>): Decoder<Array<[K, V]>> =>
  (reply) => {
    const source = flatEntries(reply)
    const result: Array<[K, V]> = new Array(source.length >> 1)
    let i = 0
    // One `try` around the loop instead of `at` for each part: XREADGROUP takes 0.96 of the time and 0.93 of the
    // memory.
    try {
      for (; i < result.length; i++) {
        result[i] = [key(source[2 * i] as Reply), value(source[2 * i + 1] as Reply)]
      }
    } catch (failure) {
      throw inside(i, failure)
    }
    return result
  }

/** Pairs, from an array of pairs, a flat array (RESP2), or a map. */
export const pairs: <A, B>(first: Decoder<A>, second: Decoder<B>) => Decoder<Array<[A, B]>> = entries

/**
 * A record whose keys come from the server. It has no prototype, so that a field named `__proto__` is a field like any
 * other. The path of a failure contains positions only.
 */
export const record =
  <V>(value: Decoder<V>): Decoder<Record<string, V>> =>
  (reply) => {
    const source = flatEntries(reply)
    const result: Record<string, V> = Object.create(null)
    let i = 0
    try {
      for (; i < source.length; i += 2) {
        const key = text(source[i] as Reply)
        result[key] = value(source[i + 1] as Reply)
      }
    } catch (failure) {
      throw inside(i / 2, failure)
    }
    return result
  }

const remaining =
  (unit: (amount: number) => Duration.Duration): Decoder<Option.Option<Duration.Duration>> =>
  (reply) => {
    const left = integer(reply)
    return left === -2 ? Option.none() : Option.some(left === -1 ? Duration.infinity : unit(left))
  }

/** TTL and its relatives, in seconds: a missing key (-2) is `None`, no expiry (-1) is an infinite duration. */
export const ttlSeconds: Decoder<Option.Option<Duration.Duration>> = remaining(Duration.seconds)

/** The same, in milliseconds. */
export const ttlMillis: Decoder<Option.Option<Duration.Duration>> = remaining(Duration.millis)

const moment =
  (millis: number): Decoder<Option.Option<Option.Option<DateTime.Utc>>> =>
  (reply) => {
    const at = integer(reply)
    if (at < 0) {
      return at === -2 ? Option.none() : Option.some(Option.none())
    }
    const time = DateTime.make(at * millis)
    return Option.isNone(time) ? mismatch("a time that a date can hold", reply) : Option.some(time)
  }

/** EXPIRETIME and its relatives, in seconds: a missing key (-2) is `None`, no expiry (-1) is `Some(None)`. */
export const expiryTimeSeconds: Decoder<Option.Option<Option.Option<DateTime.Utc>>> = moment(1000)

/** The same, in milliseconds. */
export const expiryTimeMillis: Decoder<Option.Option<Option.Option<DateTime.Utc>>> = moment(1)

/** The value of a codec's result; what the codec refused is a failure. */
export const fromEither = <A>(result: Either.Either<A, CodecIssue>): A => {
  if (Either.isLeft(result)) {
    throw new DecodeFailure(result.left.reason, result.left.path, true)
  }
  return result.right
}

/** What a codec decodes: the text or the bytes of a reply. */
export const stored = (reply: Reply): string | Uint8Array => {
  if (typeof reply === "string" || reply instanceof Uint8Array) {
    return reply
  }
  if (isVerbatimString(reply)) {
    return reply.value
  }
  // Scripts and RESP3 may send a number where text was stored.
  return typeof reply === "number" || typeof reply === "bigint" ? String(reply) : mismatch("a value", reply)
}

/** A value, decoded by the codec. */
export const value =
  <V, K extends string | Uint8Array>(codec: Codec<V, K>): Decoder<V> =>
  (reply) =>
    fromEither(codec.decode(stored(reply)))

/** A key or field name: text, or bytes under `Codec.bytes`. */
export const key =
  <V, K extends string | Uint8Array>(codec: Codec<V, K>): Decoder<K> =>
  (reply) =>
    fromEither(codec.decodeKey(stored(reply)))
