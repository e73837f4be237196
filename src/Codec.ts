/**
 * How values travel: a {@link Codec} turns what a program holds into the text or bytes that Redis stores, and back.
 * `Redis.withCodec(codec)` gives every command over it.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { utf8DecodeStrict } from "./internal/resp/text.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/Codec")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * Why a value does not encode or decode. The reason never holds the value.
 *
 * @since 0.1.0
 * @category models
 */
export interface CodecIssue {
  readonly path: ReadonlyArray<string | number>
  readonly reason: string
}

/**
 * A way to store values of type `A`. `K` is how keys and field names that come back are given: text, except under
 * {@link bytes}.
 *
 * @since 0.1.0
 * @category models
 */
export interface Codec<A, K extends string | Uint8Array = string> {
  readonly [TypeId]: TypeId
  /** How the connection hands over what `decode` gets. Bytes that are not UTF-8 arrive as bytes in either case. */
  readonly wants: "text" | "bytes"
  readonly encode: (value: A) => Either.Either<string | Uint8Array, CodecIssue>
  readonly decode: (stored: string | Uint8Array) => Either.Either<A, CodecIssue>
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
 * Bytes as they are; keys that come back are bytes too.
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
    // The engine's message quotes the text.
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

/** Only text with a null in it can have lost a number, so that only such text is made twice. */
const losesNumber = (value: unknown): boolean => {
  let lost = false
  JSON.stringify(value, (_, part: unknown) => {
    lost ||= typeof part === "number" && !Number.isFinite(part)
    return part
  })
  return lost
}

/**
 * Anything JSON can hold, unchecked on the way back. Prefer {@link schema}.
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
  const encode = ParseResult.encodeEither(self)
  const decode = ParseResult.decodeUnknownEither(self)
  return make<A>({
    encode: (value) => Either.flatMap(Either.mapLeft(encode(value), toIssue), printJson),
    decode: (text) => Either.flatMap(parseJson(text), (value) => Either.mapLeft(decode(value), toIssue))
  })
}

const listOf = <A>(some: A | ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.isArray(some) ? (some as ReadonlyArray<A>) : [some as A]

/**
 * The first thing that does not fit: its place, and what the schema asks for there. Effect's formatters would quote the
 * value, and run what the schema's author wrote to describe it.
 *
 * @internal
 */
export const toIssue = (error: ParseResult.ParseIssue): CodecIssue => {
  const path: Array<string | number> = []
  let inside: SchemaAST.AST | undefined
  let current = error
  while (true) {
    switch (current._tag) {
      case "Pointer": {
        for (const part of listOf(current.path)) {
          path.push(place(part, inside))
        }
        current = current.issue
        break
      }
      case "Refinement":
      case "Transformation": {
        if (current._tag === "Refinement" && current.kind === "Predicate") {
          return unfit(path, `expected ${named(current.ast)}`)
        }
        current = current.issue
        break
      }
      case "Composite": {
        const issues = listOf(current.issues)
        // Of an optional field, what it is when it is there.
        const [first, second] = current.ast._tag === "Union" ? issues.filter((member) => !isAbsence(member)) : issues
        if (first === undefined || (current.ast._tag === "Union" && second !== undefined)) {
          return unfit(path, `expected ${named(current.ast)}`)
        }
        inside = current.ast
        current = first
        break
      }
      case "Type":
        return unfit(path, `expected ${named(current.ast)}`)
      case "Missing":
        return unfit(path, "missing")
      case "Unexpected":
        return unfit(path, "unexpected")
      case "Forbidden":
        return unfit(path, "the schema is not synchronous")
    }
  }
}

const isAbsence = (issue: ParseResult.ParseIssue): boolean =>
  issue._tag === "Type" &&
  (issue.ast._tag === "UndefinedKeyword" || (issue.ast._tag === "Literal" && issue.ast.literal === null))

const unfit = (path: ReadonlyArray<string | number>, why: string): CodecIssue => ({
  path,
  reason: `it does not fit the schema (${why})`
})

/** What a schema calls itself. */
const named = (ast: SchemaAST.AST): string => {
  const name = String(ast)
  return name.length > 100 ? `${name.slice(0, 100)}…` : name
}

/** Fields that the schema names are shown; the keys of a record are part of the value. */
const place = (part: PropertyKey, inside: SchemaAST.AST | undefined): string | number =>
  typeof part === "number"
    ? part
    : inside?._tag === "TypeLiteral" && inside.propertySignatures.some(({ name }) => name === part)
      ? String(part)
      : "*"
