/**
 * How values are stored: a {@link Codec} turns a program's values into the text or bytes that Redis stores, and back.
 * `Redis.withCodec(codec)` gives every command with the values of that codec.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import { decoder, encoder } from "./internal/effect/issue.js"
import { jsonSide } from "./internal/effect/jsonSide.js"
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
  Either.flatMap(
    Either.try({
      try: (): unknown => JSON.parse(text),
      // JavaScript's own message quotes the text.
      catch: () => ({ path: [], reason: "the text is not JSON" })
    }),
    (value) =>
      longNumber.test(text) && hasInexactNumber(text)
        ? issue("the text has a number with more digits than a JavaScript number can hold")
        : Either.right(value)
  )

/** Only JSON with such digits can have a number that loses some. */
const longNumber = /\d{16}|\d[eE]\+?\d{3}/

/** Whether a number of this JSON is another number in JavaScript. Fractions count as approximate in any case. */
const hasInexactNumber = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i)
    if (char === '"') {
      for (i++; text.charAt(i) !== '"'; i++) {
        i += text.charAt(i) === "\\" ? 1 : 0
      }
    } else if (char === "-" || (char >= "0" && char <= "9")) {
      numberAt.lastIndex = i
      const [digits] = numberAt.exec(text) as RegExpExecArray
      const number = Number(digits)
      if (
        !Number.isFinite(number) ||
        (!Number.isSafeInteger(number) && isInteger(digits) && !isExact(digits, number))
      ) {
        return true
      }
      i += digits.length - 1
    }
  }
  return false
}

const numberAt = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/y

const isInteger = (digits: string): boolean => /^-?\d+$/.test(digits)

/** JavaScript prints 2^60 with other last digits than it has, so both forms are exact. */
const isExact = (digits: string, number: number): boolean =>
  String(number) === digits || BigInt(digits) === BigInt(number)

const noNames: ReadonlySet<string> = new Set()

/** Prints a value, and refuses it when JSON would give back another one. `names` may be shown in the path. */
const printJson = (value: unknown, names: ReadonlySet<string> = noNames): Either.Either<string, CodecIssue> =>
  Either.flatMap(print(value), (text) => {
    const look = new Look(names)
    try {
      return look.isKept(value)
        ? Either.right(look.foundMinusZero ? withMinusZeros(value, text) : text)
        : issue(look.reason, look.path.reverse())
    } catch {
      // It is nested so deeply that the stack ends, or a getter threw.
      return issue(noForm)
    }
  })

/** Prints a value that JSON is known to give back, if it has a JSON form. */
const print = (value: unknown): Either.Either<string, CodecIssue> =>
  Either.flatMap(
    Either.try({
      try: (): string | undefined => JSON.stringify(value),
      catch: () => ({ path: [], reason: noForm })
    }),
    (text) => (text === undefined ? issue(noForm) : Either.right(text))
  )

const noForm = "the value has no JSON form"

/** JSON can express -0, but JavaScript prints it as 0. */
const withMinusZeros = (value: unknown, text: string): string => {
  let mark = "-0"
  while (text.includes(mark)) {
    mark += "0"
  }
  return JSON.stringify(value, (_, part: unknown) => (Object.is(part, -0) ? mark : part)).replaceAll(`"${mark}"`, "-0")
}

/** A look at a value that JSON has printed, for what JSON does not give back. */
class Look {
  foundMinusZero = false
  reason = noForm
  /** Where the first loss is, from the inside out. */
  readonly path: Array<string | number> = []

  constructor(private readonly names: ReadonlySet<string>) {}

  isKept(value: unknown): boolean {
    switch (typeof value) {
      case "string":
      case "boolean":
        return true
      case "number":
        if (value === 0) {
          this.foundMinusZero ||= Object.is(value, -0)
          return true
        }
        if (!Number.isFinite(value)) {
          return this.isLost("it is NaN or an infinity, which JSON would store as null")
        }
        // From 10^21 on, numbers are printed with an exponent, as approximate ones.
        return (
          Number.isSafeInteger(value) ||
          !Number.isInteger(value) ||
          Math.abs(value) >= 1e21 ||
          this.isLost("it is an integer beyond 2^53 - 1, which may have lost digits; use Schema.BigInt")
        )
      case "object":
        return value === null || (Array.isArray(value) ? this.areKept(value) : this.isRecordKept(value))
      case "undefined":
        return this.isLost("it is undefined, which JSON would store as null")
      default:
        return this.isLost(noForm)
    }
  }

  private areKept(list: ReadonlyArray<unknown>): boolean {
    for (let i = 0; i < list.length; i++) {
      if (!this.isKept(list[i])) {
        this.path.push(i)
        return false
      }
    }
    return true
  }

  private isRecordKept(value: object): boolean {
    const prototype: unknown = Object.getPrototypeOf(value)
    // A plain object of another realm has another prototype, which has none itself.
    if (
      (prototype !== null && Object.getPrototypeOf(prototype) !== null) ||
      typeof (value as { readonly toJSON?: unknown }).toJSON === "function"
    ) {
      return this.isLost("it is an object that JSON would not give back, such as a Date or a Map")
    }
    for (const key of Object.keys(value)) {
      const field = (value as Record<string, unknown>)[key]
      // JSON leaves out fields that are undefined.
      if (field !== undefined && !this.isKept(field)) {
        this.path.push(this.names.has(key) ? key : "*")
        return false
      }
    }
    return true
  }

  private isLost(reason: string): false {
    this.reason = reason
    return false
  }
}

/**
 * Anything that JSON can express: null, booleans, text, finite numbers, lists and plain objects. Values that JSON would
 * not give back as they were do not encode: NaN, integers beyond 2^53 - 1, `undefined` in a list, dates, maps and other
 * objects of classes. What is read is not checked; prefer {@link schema}.
 *
 * @since 0.1.0
 * @category codecs
 */
export const json: Codec<unknown> = make({ encode: (value) => printJson(value), decode: parseJson })

/**
 * Values of a schema, stored as JSON of its encoded side. The schema must work synchronously and need no services.
 *
 * Its encoded side must be what JSON can express, so that what is written can be read: `Schema.Date`, not
 * `Schema.DateFromSelf` or `Schema.SetFromSelf`. With any other schema nothing encodes or decodes.
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
  const { faithful, names, problem } = jsonSide(self)
  if (problem !== undefined) {
    const refusal = Either.left(problem)
    return make<A>({ encode: () => refusal, decode: () => refusal })
  }
  const encode = encoder(self)
  const decode = decoder(self)
  const encoded: (value: unknown) => Either.Either<string, CodecIssue> = faithful
    ? print
    : (value) => printJson(value, names)
  return make<A>({
    encode: (value) => Either.flatMap(encode(value), encoded),
    decode: (text) => Either.flatMap(parseJson(text), decode)
  })
}
