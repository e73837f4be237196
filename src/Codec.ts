/**
 * How values are stored: a {@link Codec} turns a program's values into the text or bytes that Redis stores, and back.
 * `Redis.withCodec(codec)` gives every command with the values of that codec.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import { decoder, encoder } from "./internal/effect/issue.js"
import { utf8DecodeStrict } from "./internal/resp/text.js"

/**
 * The property by which a codec is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/Codec")

/**
 * The property by which a codec is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * Why a value does not encode or decode: where in the value, and the reason. The reason never contains the value.
 *
 * @since 0.1.0
 * @category models
 */
export interface CodecIssue {
  readonly path: ReadonlyArray<string | number>
  readonly reason: string
}

/**
 * A way to store values of type `A`. `K` is the type of the keys and field names in replies: text, except with
 * {@link bytes}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Codec<A, K extends string | Uint8Array = string> {
  readonly [TypeId]: TypeId
  /** What `decode` receives. Bytes that are not UTF-8 arrive as bytes even with `text`. */
  readonly wants: "text" | "bytes"
  /** The text or bytes that Redis stores for a value. */
  readonly encode: (value: A) => Either.Either<string | Uint8Array, CodecIssue>
  /** The value that the stored text or bytes mean. */
  readonly decode: (stored: string | Uint8Array) => Either.Either<A, CodecIssue>
  /** A key or field name in a reply. */
  readonly decodeKey: (stored: string | Uint8Array) => Either.Either<K, CodecIssue>
}

const issue = (reason: string, path: ReadonlyArray<string | number> = []): Either.Either<never, CodecIssue> =>
  Either.left({ path, reason })

const toText = (stored: string | Uint8Array): Either.Either<string, CodecIssue> => {
  if (typeof stored === "string") {
    return Either.right(stored)
  }
  const text = utf8DecodeStrict(stored, 0, stored.length)
  return text === undefined
    ? issue("the bytes are not UTF-8 text, or longer than a string can be; read them with Codec.bytes")
    : Either.right(text)
}

const toBytes = (stored: string | Uint8Array): Either.Either<Uint8Array, CodecIssue> =>
  Either.right(typeof stored === "string" ? new TextEncoder().encode(stored) : stored)

/**
 * A codec from two functions over text or bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A>(options: {
  readonly encode: (value: A) => Either.Either<string | Uint8Array, CodecIssue>
  readonly decode: (text: string) => Either.Either<A, CodecIssue>
}): Codec<A> => ({
  [TypeId]: TypeId,
  wants: "text",
  encode: options.encode,
  decode: (stored) => Either.flatMap(toText(stored), options.decode),
  decodeKey: toText
})

/**
 * Text, stored as UTF-8. The default.
 *
 * @since 0.1.0
 * @category codecs
 */
export const utf8: Codec<string> = {
  [TypeId]: TypeId,
  wants: "text",
  encode: Either.right,
  decode: toText,
  decodeKey: toText
}

/**
 * Bytes as they are; keys in replies are bytes too.
 *
 * @since 0.1.0
 * @category codecs
 */
export const bytes: Codec<Uint8Array, Uint8Array> = {
  [TypeId]: TypeId,
  wants: "bytes",
  encode: Either.right,
  decode: toBytes,
  decodeKey: toBytes
}

const parseJson = (text: string): Either.Either<unknown, CodecIssue> =>
  Either.try({
    try: (): unknown => JSON.parse(text),
    // JavaScript's own message quotes the text.
    catch: () => ({ path: [], reason: "the text is not JSON" })
  })

const printJson = (value: unknown): Either.Either<string, CodecIssue> =>
  Either.flatMap(
    Either.try({
      try: (): string | undefined => JSON.stringify(value),
      catch: () => ({ path: [], reason: "the value has no JSON form" })
    }),
    (text) =>
      text === undefined
        ? issue("the value has no JSON form")
        : text.includes("null") && losesNumber(value)
          ? issue("the value holds NaN or an infinity, which JSON would store as null")
          : Either.right(text)
  )

/** Whether JSON would store a number as null. It prints the value again, so it is only asked about JSON with a null. */
const losesNumber = (value: unknown): boolean => {
  let lost = false
  JSON.stringify(value, (_, part: unknown) => {
    lost ||= typeof part === "number" && !Number.isFinite(part)
    return part
  })
  return lost
}

/**
 * Anything that JSON can express. What is read is not checked; prefer {@link schema}.
 *
 * @since 0.1.0
 * @category codecs
 */
export const json: Codec<unknown> = make({ encode: printJson, decode: parseJson })

/**
 * Values of a schema, stored as JSON of its encoded side. The schema must work synchronously and need no services.
 *
 * @example
 * ```ts
 * import { Codec, Redis } from "effect-redis-client"
 * import { Schema } from "effect"
 *
 * const User = Schema.Struct({ name: Schema.String, born: Schema.Date })
 * const users = Redis.withCodec(Codec.schema(User))
 * export const ada = users.get("user:ada") // Option<{ name: string, born: Date }>
 * ```
 *
 * @since 0.1.0
 * @category codecs
 */
export const schema = <A, I>(self: Schema.Schema<A, I>): Codec<A> => {
  const encode = encoder(self)
  const decode = decoder(self)
  return make<A>({
    encode: (value) => Either.flatMap(encode(value), printJson),
    decode: (text) => Either.flatMap(parseJson(text), decode)
  })
}
