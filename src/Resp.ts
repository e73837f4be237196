/**
 * RESP2 and RESP3, the protocol of Redis and Valkey: values, encoding, and an incremental decoder of Streams. The
 * decoder is the parser that connections use.
 *
 * @see https://redis.io/docs/latest/develop/reference/protocol-spec/
 * @since 0.1.0
 */

import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { Argument } from "./internal/command/args.js"
import { type ChunkChannel, decodeChannel as makeDecodeChannel } from "./internal/effect/decodeChannel.js"
import { EncodeFailure, encode as encodeParts, nameless } from "./internal/resp/encoder.js"
import { Parser, defaultLimits as parserDefaults } from "./internal/resp/parser.js"
import { isWellFormed, utf8Encode } from "./internal/resp/text.js"
import {
  Attribute,
  ErrorReply,
  type Frame,
  isAttribute,
  isErrorReply,
  isMapReply,
  isPush,
  isSetReply,
  isUnreadable,
  isVerbatimString,
  MapReply,
  Push,
  type Reply,
  SetReply,
  Unreadable,
  VerbatimString
} from "./internal/resp/values.js"
import { ProtocolError, UsageError } from "./RedisError.js"

export {
  /**
   * @since 0.1.0
   * @category models
   */
  Attribute,
  /**
   * @since 0.1.0
   * @category models
   */
  ErrorReply,
  /**
   * @since 0.1.0
   * @category models
   */
  type Frame,
  /**
   * Whether a value is attributes, of this copy of the package or of another one in the process.
   *
   * @since 0.1.0
   * @category guards
   */
  isAttribute,
  /**
   * Whether a value is an error reply, of this copy of the package or of another one in the process.
   *
   * @since 0.1.0
   * @category guards
   */
  isErrorReply,
  /**
   * Whether a value is a map, of this copy of the package or of another one in the process.
   *
   * @since 0.1.0
   * @category guards
   */
  isMapReply,
  /**
   * Whether a value is a push, of this copy of the package or of another one in the process.
   *
   * @since 0.1.0
   * @category guards
   */
  isPush,
  /**
   * Whether a value is a set, of this copy of the package or of another one in the process.
   *
   * @since 0.1.0
   * @category guards
   */
  isSetReply,
  /**
   * Whether a value is a value whose text does not fit its type, of this copy of the package or of another one in the process.
   *
   * @since 0.1.0
   * @category guards
   */
  isUnreadable,
  /**
   * Whether a value is a verbatim string, of this copy of the package or of another one in the process.
   *
   * @since 0.1.0
   * @category guards
   */
  isVerbatimString,
  /**
   * @since 0.1.0
   * @category models
   */
  MapReply,
  /**
   * @since 0.1.0
   * @category models
   */
  Push,
  /**
   * @since 0.1.0
   * @category models
   */
  type Reply,
  /**
   * @since 0.1.0
   * @category models
   */
  SetReply,
  /**
   * @since 0.1.0
   * @category models
   */
  Unreadable,
  /**
   * @since 0.1.0
   * @category models
   */
  VerbatimString
}

/**
 * How much a peer may announce before the decoder fails. Each limit is checked before memory is allocated for the
 * value. A limit that is not a number, or is negative, allows nothing.
 *
 * @since 0.1.0
 * @category options
 */
export interface Limits {
  /** Bytes of one bulk string, or of one line. Default: 512 MB, the most a server stores. */
  readonly maxBulkLength?: number | undefined
  /** Elements of one array, set, push or map, where each key and each value counts. Default: 67 108 864. */
  readonly maxAggregateLength?: number | undefined
  /** How deep arrays, sets, maps and pushes may nest. Default: 128. */
  readonly maxDepth?: number | undefined
  /** Bytes of one whole reply on the wire; small values take a multiple of that in memory. Default: 1 GB. */
  readonly maxBufferedBytes?: number | undefined
}

/**
 * The limits that apply where an option is not given.
 *
 * @since 0.1.0
 * @category options
 */
export const defaultLimits: { readonly [K in keyof Limits]-?: number } = parserDefaults

/**
 * Options of the decoder.
 *
 * @since 0.1.0
 * @category options
 */
export interface DecodeOptions {
  /** Bulk strings as `bytes` (the default), or as `text`. With `text`, a bulk string that is not UTF-8 stays bytes. */
  readonly bulk?: "text" | "bytes" | undefined
  readonly limits?: Limits | undefined
}

/**
 * The decoder as a Channel: chunks of bytes come in, chunks of values go out, wherever the bytes are split. It fails
 * with a `ProtocolError` on bytes that are not RESP and when the input ends inside a value; complete values before that
 * are emitted first.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodeChannel = <IE = never, Done = unknown>(
  options?: DecodeOptions
): ChunkChannel<Frame, Uint8Array, ProtocolError, IE, Done> =>
  makeDecodeChannel(() => {
    let frames: Array<Frame> = []
    const collect = (frame: Frame): void => {
      frames.push(frame)
    }
    const text = options?.bulk === "text"
    const parser = new Parser(
      { onReply: collect, onPush: collect, onAttribute: collect },
      resolveLimits(options?.limits),
      { text, pushText: text }
    )
    return {
      read: (bytes: Uint8Array) => parser.write(bytes) === undefined,
      take: () => {
        const complete = frames
        frames = []
        return complete
      },
      failure: () => (parser.failure === undefined ? undefined : new ProtocolError({ reason: parser.failure.reason })),
      unfinished: () => (parser.idle ? undefined : new ProtocolError({ reason: "the input ended inside a value" }))
    }
  })

/**
 * Decodes a Stream of bytes into the values it holds.
 *
 * @example
 * ```ts
 * import { Resp } from "effect-redis-client"
 * import { Effect, Stream } from "effect"
 *
 * const bytes = new TextEncoder().encode("*2\r\n:1\r\n#t\r\n+OK\r\n")
 * export const program = Stream.make(bytes).pipe(
 *   Resp.decode({ bulk: "text" }),
 *   Stream.runForEach((frame) => Effect.log(frame)) // [1, true], then "OK"
 * )
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode =
  (options?: DecodeOptions) =>
  <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Frame, E | ProtocolError, R> =>
    Stream.pipeThroughChannelOrFail(self, decodeChannel<E>(options))

/** @internal */
export const resolveLimits = (limits: Limits | undefined) => ({
  maxBulkLength: limits?.maxBulkLength ?? parserDefaults.maxBulkLength,
  maxAggregateLength: limits?.maxAggregateLength ?? parserDefaults.maxAggregateLength,
  maxDepth: limits?.maxDepth ?? parserDefaults.maxDepth,
  maxBufferedBytes: limits?.maxBufferedBytes ?? parserDefaults.maxBufferedBytes
})

/**
 * A command as a client sends it: an array of bulk strings, in one buffer. Text is sent as UTF-8. An argument that
 * cannot be sent exactly (NaN, an unsafe integer, a lone surrogate) is refused, and so is an empty list.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encodeCommand = (
  args: ReadonlyArray<string | Uint8Array | number | bigint>
): Either.Either<Uint8Array, UsageError> => {
  const refuse = (message: string) => Either.left(new UsageError({ reason: "invalidArgument", message }))
  if (args.length === 0) {
    return refuse("a command has at least its name")
  }
  const list: Array<Argument> = []
  for (const arg of args) {
    // The types exclude it, but a program in JavaScript would send the text "undefined".
    if (!isArgument(arg)) {
      return refuse("an argument must be text, bytes or a number")
    }
    if (typeof arg === "number" && (Number.isNaN(arg) || (Number.isInteger(arg) && !Number.isSafeInteger(arg)))) {
      return refuse("an argument is not a number that can be sent exactly")
    }
    list.push(new Argument("value", typeof arg === "string" || arg instanceof Uint8Array ? arg : numberText(arg)))
  }
  const encoded = encodeParts(nameless, list)
  return encoded instanceof EncodeFailure ? refuse(encoded.reason) : Either.right(join(encoded))
}

const isArgument = (arg: unknown): boolean =>
  typeof arg === "string" || typeof arg === "number" || typeof arg === "bigint" || arg instanceof Uint8Array

const numberText = (value: number | bigint): string =>
  value === Infinity ? "inf" : value === -Infinity ? "-inf" : Object.is(value, -0) ? "-0" : String(value)

const join = (parts: string | ReadonlyArray<string | Uint8Array>): Uint8Array => {
  if (typeof parts === "string") {
    return utf8Encode(parts)
  }
  const chunks = parts.map((part) => (typeof part === "string" ? utf8Encode(part) : part))
  const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/**
 * A value as a RESP3 server sends it, in one buffer: for scripted peers and captured traffic. Text and bytes become
 * bulk strings, safe integers become integers, other numbers doubles, and bigints integers while they fit 64 bits.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (frame: Frame): Uint8Array => {
  const parts: Array<string | Uint8Array> = []
  // A list instead of recursion: nesting may be deeper than JavaScript's stack.
  const left: Array<Frame | undefined> = [frame]
  const aggregate = (prefix: string, length: number, items: ReadonlyArray<Reply>): void => {
    parts.push(`${prefix}${length}\r\n`)
    for (let i = items.length - 1; i >= 0; i--) {
      left.push(items[i] as Reply)
    }
  }
  const bulk = (prefix: string, data: string | Uint8Array): void => {
    const bytes = typeof data === "string" ? utf8Encode(data) : data
    parts.push(`${prefix}${bytes.length}\r\n`, bytes, "\r\n")
  }
  while (left.length > 0) {
    const value = left.pop() as Frame
    if (typeof value === "string" || value instanceof Uint8Array) {
      bulk("$", value)
    } else if (typeof value === "number") {
      parts.push(Number.isSafeInteger(value) && !Object.is(value, -0) ? `:${value}\r\n` : `,${doubleText(value)}\r\n`)
    } else if (typeof value === "bigint") {
      parts.push(`${BigInt.asIntN(64, value) === value ? ":" : "("}${value}\r\n`)
    } else if (typeof value === "boolean") {
      parts.push(value ? "#t\r\n" : "#f\r\n")
    } else if (value === null) {
      parts.push("_\r\n")
    } else if (isMapReply(value)) {
      aggregate("%", value.size, value.items)
    } else if (isSetReply(value)) {
      aggregate("~", value.items.length, value.items)
    } else if (isPush(value)) {
      aggregate(">", value.items.length, value.items)
    } else if (isAttribute(value)) {
      aggregate("|", value.items.length / 2, value.items)
    } else if (isErrorReply(value)) {
      if (/[\r\n]/.test(value.message)) {
        bulk("!", value.message)
      } else {
        parts.push(`-${value.message}\r\n`)
      }
    } else if (isVerbatimString(value)) {
      const text = typeof value.value === "string" ? utf8Encode(value.value) : value.value
      parts.push(`=${text.length + 4}\r\n${value.format}:`, text, "\r\n")
    } else if (isUnreadable(value)) {
      parts.push(`${value.type === "double" ? "," : "("}${value.text}\r\n`)
    } else {
      const items = value as ReadonlyArray<Reply>
      aggregate("*", items.length, items)
    }
  }
  return join(parts)
}

const doubleText = (value: number): string =>
  Number.isNaN(value)
    ? "nan"
    : value === Infinity
      ? "inf"
      : value === -Infinity
        ? "-inf"
        : Object.is(value, -0)
          ? "-0"
          : String(value)

/**
 * Text as a reply, as it would arrive from a server: lone surrogates are replaced. For test doubles:
 * `Resp.text("PONG")`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (text: string): Reply => (isWellFormed(text) ? text : utf8Encode(text))

/**
 * An error as a reply: `Resp.error("WRONGTYPE Operation against …")`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const error = (message: string): ErrorReply => new ErrorReply(message)

/**
 * A map as a reply, from its entries.
 *
 * @since 0.1.0
 * @category constructors
 */
export const map = (entries: Iterable<readonly [key: Reply, value: Reply]>): MapReply =>
  new MapReply([...entries].flat(1) as ReadonlyArray<Reply>)
