/**
 * Builds the arguments of commands. Each argument has a kind: a key prefix changes keys only, and errors, logs and
 * spans show tokens only.
 *
 * Nothing here throws. The first argument that cannot be sent sets {@link Args.problem}, and the command fails with a
 * typed error when it is run.
 */
import * as Chunk from "effect/Chunk"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import type { Codec } from "../../Codec.js"

/**
 * The kind of an argument. `pattern`: a glob over keys. `keyPrefix`: literal text that keys begin with (SORT's BY, the
 * prefixes of CLIENT TRACKING). `value`: a value, or anything of unknown kind.
 */
export type ArgumentKind = "token" | "key" | "keyPrefix" | "pattern" | "channel" | "value"

const argumentId: unique symbol = Symbol.for("effect-redis-client/Argument")

/** An argument as it is sent, with its kind. */
export class Argument {
  constructor(
    readonly kind: ArgumentKind,
    readonly data: string | Uint8Array
  ) {}

  get [argumentId](): true {
    return true
  }
}

/** Also of another copy of this package. */
export const isArgument = (u: unknown): u is Argument => Predicate.hasProperty(u, argumentId)

/** A key, or any other name that Redis stores as bytes. */
export type Key = string | Uint8Array

/** An array or a Chunk, of any length. */
export type List<A> = ReadonlyArray<A> | Chunk.Chunk<A>

/** What tells a Chunk from arrays, text and records: a few fields, because all of `Chunk` costs the compiler more. */
export interface ChunkShape {
  readonly length: number
  readonly pipe: unknown
}

/** `A`, except where it could be mistaken for a list: an array or a Chunk always counts as a list. */
export type NotAList<A> = A extends ReadonlyArray<unknown> | ChunkShape ? never : A

/** One element, or a list of any length. See `RedisCommand.OneOrMany`. */
export type OneOrMany<A> = NotAList<A> | List<A>

/**
 * At most one of the fields of `T`, for options that exclude each other. A flag (`true` in `T`) may be `false`, and every
 * field `undefined`: both are as if the field were absent.
 */
export type AtMostOne<T> = {
  readonly [K in keyof T]: { readonly [P in K]?: OrAbsent<T[P]> } & {
    readonly [P in Exclude<keyof T, K>]?: Absent<T[P]>
  }
}[keyof T]

/** Exactly one of the fields of `T`. */
export type ExactlyOne<T> = {
  readonly [K in keyof T]: { readonly [P in K]: T[P] } & { readonly [P in Exclude<keyof T, K>]?: Absent<T[P]> }
}[keyof T]

type OrAbsent<A> = [A] extends [true] ? boolean | undefined : A | undefined
type Absent<A> = [A] extends [true] ? false | undefined : undefined

declare const impossible: unique symbol

/** Stands in a compiler's message where an option excludes `Other`, which is given too. No value has this type. */
export interface ExcludedBy<out Other> {
  readonly [impossible]: Other
}

/** Stands in a compiler's message where an option is not one of the command's. No value has this type. */
export interface UnknownOption {
  readonly [impossible]: never
}

/** Stands in a compiler's message where an option needs `Other`, which is not given. No value has this type. */
export interface Needs<out Other> {
  readonly [impossible]: () => Other
}

/** Those of `Words` that are certainly given: neither absent nor possibly `undefined` or `false`. */
export type Given<O, Words> = {
  [K in keyof O & Words]: O[K] extends object ? K : undefined extends O[K] ? never : false extends O[K] ? never : K
}[keyof O & Words]

/** Those of `Words` that may be given. */
export type Possible<O, Words> = {
  [K in keyof O & Words]: O[K] extends false | undefined ? never : K
}[keyof O & Words]

/**
 * The options `O` of a call, with each field that is not allowed replaced by what is wrong with it: it is none of `All`,
 * or another one of `Words` (or `Words2`) is given too. TypeScript infers `O` through this type; through `Extract` it sees
 * that all options may be `undefined`, which decides the type of the answer.
 */
export type Checked<O, All, Words = never, Words2 = never> =
  | CheckedFields<O, All, Words, Words2>
  | Extract<O, undefined>

/**
 * A word in both lists is checked as one of `Words`; the word that it excludes in `Words2` is checked there. The order of the
 * conditions is what this costs the compiler (test/types/budget.test.ts).
 */
type CheckedFields<O, All, Words, Words2> = {
  readonly [K in keyof O]: K extends Words
    ? CheckedWord<O, K, Words>
    : K extends Words2
      ? CheckedWord<O, K, Words2>
      : K extends keyof All
        ? O[K]
        : UnknownOption
}

type CheckedWord<O, K extends keyof O, Words> = [Exclude<Given<O, Words>, K>] extends [never]
  ? O[K]
  : K extends Given<O, Words>
    ? ExcludedBy<Exclude<Given<O, Words>, K>>
    : O[K]

/** The same where exactly one of `Words` must be given. */
export type CheckedOne<O, All, Words> = Checked<O, All, Words> &
  ([Given<O, Words>] extends [never] ? Needs<Words> : unknown)

/** What a call gives for an option: `undefined` where the option, or all options, are absent. */
type ValueOf<O, Field> = O extends unknown ? (Field extends keyof O ? O[Field] : undefined) : never

/** `Yes` when the flag is set, `No` when it is not, and both when that is not known. */
export type IfFlag<O, Field, Yes, No> = ValueOf<O, Field> extends infer Flag ? (Flag extends true ? Yes : No) : never

/** `Yes` when the option is given, `No` when it is not, and both when that is not known. */
export type IfGiven<O, Field, Yes, No> =
  ValueOf<O, Field> extends infer Value ? (Value extends undefined ? No : Yes) : never

/**
 * A duration with its unit, such as `"5 seconds"`. A bare number is not accepted, because it means milliseconds in
 * Effect and seconds to Redis users.
 */
export type DurationWithUnit = Exclude<Duration.DurationInput, number | bigint | readonly [number, number]>

/** A point in time. Redis uses Unix time in seconds or milliseconds. */
export type AbsoluteTime = Date | DateTime.DateTime

const noArguments: ReadonlyArray<Argument> = []

/**
 * Arrays to copy instead of writing array literals. When enough literals of one place have survived a collection, V8
 * allocates further ones in the old generation, where an array keeps its elements alive until the next full collection
 * (docs/performance.md; a tenth of a GET's time). Copies are always allocated in the young generation.
 */
const models = [1, 2, 3, 4].map((length) => Array.from({ length }, () => new Argument("value", "")))

/** A builder of arguments. Each method appends to it and returns it. */
export class Args {
  list: ReadonlyArray<Argument> = noArguments
  problem: string | undefined

  /**
   * Appends an argument. Short lists are allocated with their exact length, because a list that grows by `push`
   * reserves room for 17 elements: most of the memory of most commands (together with the socket's single buffer this
   * saved a third of a pipeline's time, and a seventh of a GET's).
   */
  add(argument: Argument): this {
    const { list } = this
    const model = models[list.length]
    if (model === undefined) {
      // Longer lists were allocated below, by this builder, so they are mutable.
      ;(list as Array<Argument>).push(argument)
      return this
    }
    const longer = model.slice()
    for (let i = 0; i < list.length; i++) {
      longer[i] = list[i] as Argument
    }
    longer[list.length] = argument
    this.list = longer
    return this
  }

  /** Appends arguments unchanged. */
  all(list: ReadonlyArray<Argument>): this {
    for (const argument of list) {
      this.add(argument)
    }
    return this
  }

  /** Marks the arguments as impossible to send. The first reason is kept. */
  fail(problem: string): this {
    this.problem ??= problem
    return this
  }

  /** A token: a word of Redis' own. Errors and logs show it. */
  token(token: string): this {
    return this.push("token", token, "an option's word")
  }

  /** A word of Redis' own, which the program gives in small letters. */
  word(word: string): this {
    return typeof word === "string" ? this.token(word.toUpperCase()) : this.fail("an option must be one of its words")
  }

  /** `token` when `on` is true. */
  flag(token: string, on: boolean | undefined): this {
    return on === true ? this.token(token) : this
  }

  key(key: Key): this {
    return this.push("key", key, "a key")
  }

  /** One or more keys; an empty list is a problem. */
  keys(input: OneOrMany<Key>): this {
    return this.some("key", input, appendKey)
  }

  /** The number of keys, then the keys. */
  numkeys(input: OneOrMany<Key>): this {
    const keys = toList(input)
    return this.integer(keys.length).keys(keys)
  }

  /** Literal text that keys begin with. A key prefix is put before it, as before a key. */
  keyPrefix(text: Key): this {
    return this.push("keyPrefix", text, "a key's beginning")
  }

  /** A glob pattern over keys. */
  pattern(pattern: Key): this {
    return this.push("pattern", pattern, "a pattern")
  }

  channel(channel: Key): this {
    return this.push("channel", channel, "a channel")
  }

  /** Text or bytes that are neither a key nor a token. */
  text(text: string | Uint8Array): this {
    return this.push("value", text, "an argument")
  }

  /** A password or another secret. */
  secret(secret: Redacted.Redacted<string>): this {
    return Redacted.isRedacted(secret)
      ? this.text(Redacted.value(secret))
      : this.fail("a password must be Redacted: Redacted.make(…), so that nothing prints it")
  }

  /** A value, encoded by the codec. */
  value<V, K extends Key>(codec: Codec<V, K>, value: V): this {
    let encoded: ReturnType<typeof codec.encode>
    try {
      encoded = codec.encode(value)
    } catch {
      // The codec may be user code, and constructors of commands do not throw. The thrown error is dropped, because it
      // may quote the value.
      return this.fail("a value does not encode: the codec threw")
    }
    if (Either.isLeft(encoded)) {
      const { path, reason } = encoded.left
      return this.fail(`a value does not encode${path.length === 0 ? "" : ` at ${path.join(".")}`}: ${reason}`)
    }
    return this.push("value", encoded.right, "a value")
  }

  /** One or more values, which the caller calls `what`; an empty list is a problem. */
  values<V, K extends Key>(codec: Codec<V, K>, what: string, input: OneOrMany<V>): this {
    return this.some(what, input, (args, value) => args.value(codec, value))
  }

  /** An integer of 64 bits. A number beyond 2^53 - 1 is refused, because it may have lost digits: use a bigint. */
  integer(value: number | bigint): this {
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value && BigInt.asUintN(64, value) !== value) {
        return this.fail("an integer does not fit in 64 bits")
      }
    } else if (!Number.isSafeInteger(value)) {
      return this.fail("an argument must be an integer that a number holds exactly (use a bigint beyond 2^53 - 1)")
    }
    this.add(new Argument("value", String(value)))
    return this
  }

  /** A floating point number; infinities are allowed. */
  double(value: number): this {
    if (typeof value !== "number" || Number.isNaN(value)) {
      return this.fail("an argument must be a number, and not NaN")
    }
    this.add(new Argument("value", value === Infinity ? "+inf" : value === -Infinity ? "-inf" : String(value)))
    return this
  }

  /**
   * At most one of these words may be given, or the command fails. The types exclude what is certain at compile time;
   * this is for words that are known only when the program runs. A flag that is `false` is not given.
   */
  atMostOne(options: object | undefined, words: ReadonlyArray<string>): this {
    if (options === undefined || this.problem !== undefined) {
      return this
    }
    let first: string | undefined
    for (const word of words) {
      const value = (options as Readonly<Record<string, unknown>>)[word]
      if (value !== undefined && value !== false) {
        if (first !== undefined) {
          return this.fail(`${first} and ${word} exclude each other`)
        }
        first = word
      }
    }
    return this
  }

  /** Exactly one of these words must be given, or the command fails. */
  exactlyOne(options: object | undefined, words: ReadonlyArray<string>): this {
    const given = words.some((word) => {
      const value = (options as Readonly<Record<string, unknown>> | undefined)?.[word]
      return value !== undefined && value !== false
    })
    return given ? this.atMostOne(options, words) : this.fail(`needs ${words.join(" or ")}`)
  }

  /** When the option is given: `token`, then the arguments that `append` adds. */
  option<A>(token: string, value: A | undefined, append: (args: this, value: A) => void): this {
    if (value !== undefined) {
      this.token(token)
      append(this, value)
    }
    return this
  }

  /** When the option is given: the arguments that `append` adds. */
  when<A>(value: A | undefined, append: (args: this, value: A) => void): this {
    if (value !== undefined) {
      append(this, value)
    }
    return this
  }

  /** The arguments that `append` adds for each element; a list without elements is a problem that names `what`. */
  some<A>(what: string, input: OneOrMany<A>, append: (args: this, element: A) => void): this {
    const list = toList(input)
    return list.length === 0 ? this.fail(`needs at least one ${what}`) : this.each(list, append)
  }

  /** The arguments that `append` adds for each element. */
  each<A>(values: Iterable<A>, append: (args: this, value: A) => void): this {
    for (const value of values) {
      append(this, value)
    }
    return this
  }

  /**
   * A duration, with the token `seconds` when it is whole seconds, else with the token `milliseconds`. It must be whole
   * milliseconds: rounding could give `EXPIRE key 0`, which deletes the key.
   */
  duration(seconds: string, milliseconds: string, input: DurationWithUnit): this {
    const millis = wholeMillis(input)
    if (millis === undefined) {
      return this.fail("a duration must be finite and of whole milliseconds")
    }
    return millis % 1000 === 0 ? this.token(seconds).integer(millis / 1000) : this.token(milliseconds).integer(millis)
  }

  /** A duration in whole milliseconds, without a token. */
  millis(input: DurationWithUnit): this {
    const millis = wholeMillis(input)
    return millis === undefined
      ? this.fail("a duration must be finite and of whole milliseconds")
      : this.integer(millis)
  }

  /** A duration in whole seconds, without a token. */
  seconds(input: DurationWithUnit): this {
    const millis = wholeMillis(input)
    return millis === undefined || millis % 1000 !== 0
      ? this.fail("a duration must be finite and of whole seconds")
      : this.integer(millis / 1000)
  }

  /**
   * The timeout of a blocking command, in seconds with a fraction. `Duration.infinity` is sent as 0. A duration of zero
   * is refused, because Redis would wait for ever.
   */
  timeout(input: DurationWithUnit): this {
    if (isInfinite(input)) {
      return this.integer(0)
    }
    const millis = wholeMillis(input)
    if (millis === undefined || millis === 0) {
      return this.fail(
        "a timeout must be of whole milliseconds and longer than zero (Duration.infinity waits for ever)"
      )
    }
    return this.double(millis / 1000)
  }

  /** Like {@link timeout}, in milliseconds, for XREAD's BLOCK and WAIT. */
  timeoutMillis(input: DurationWithUnit): this {
    if (isInfinite(input)) {
      return this.integer(0)
    }
    const millis = wholeMillis(input)
    return millis === undefined || millis === 0
      ? this.fail("a timeout must be of whole milliseconds and longer than zero (Duration.infinity waits for ever)")
      : this.integer(millis)
  }

  /** A time, with the token `seconds` when it is a whole second, else with the token `milliseconds`. */
  time(seconds: string, milliseconds: string, time: AbsoluteTime): this {
    const millis = epochMillis(time)
    if (!Number.isSafeInteger(millis)) {
      return this.fail("a time must be a valid date")
    }
    return millis % 1000 === 0 ? this.token(seconds).integer(millis / 1000) : this.token(milliseconds).integer(millis)
  }

  /** A time in Unix milliseconds, without a token. */
  timeMillis(time: AbsoluteTime): this {
    const millis = epochMillis(time)
    return Number.isSafeInteger(millis) ? this.integer(millis) : this.fail("a time must be a valid date")
  }

  /** A time in whole Unix seconds, without a token. */
  timeSeconds(time: AbsoluteTime): this {
    const millis = epochMillis(time)
    return Number.isSafeInteger(millis) && millis % 1000 === 0
      ? this.integer(millis / 1000)
      : this.fail("a time must be a valid date of whole seconds")
  }

  private push(kind: ArgumentKind, data: string | Uint8Array, what: string): this {
    // The types exclude this already. An untyped program gets a problem here instead of an error from the socket.
    if (typeof data !== "string" && !(data instanceof Uint8Array)) {
      return this.fail(`${what} must be text or bytes`)
    }
    this.add(new Argument(kind, data))
    return this
  }
}

/** Starts an empty list of arguments. */
export const args = (): Args => new Args()

const appendKey = (args: Args, key: Key): Args => args.key(key)

/** Turns one or more elements into an array. A `Uint8Array` is one element. */
export const toList = <A>(input: OneOrMany<A>): ReadonlyArray<A> => arrayOf<A>(input) ?? [input as A]

/** The elements of an array or a Chunk; `undefined` for anything else. */
export const arrayOf = <A>(input: unknown): ReadonlyArray<A> | undefined =>
  Array.isArray(input) ? input : Chunk.isChunk(input) ? Chunk.toReadonlyArray(input as Chunk.Chunk<A>) : undefined

/** A duration in whole milliseconds; `undefined` when it is invalid, infinite, or not whole milliseconds. */
export const wholeMillis = (input: DurationWithUnit): number | undefined => {
  // The type excludes these already. In an untyped program a bare number would silently mean milliseconds.
  if (typeof input === "number" || typeof input === "bigint" || Array.isArray(input)) {
    return undefined
  }
  const duration = Either.try(() => Duration.decode(input))
  if (Either.isLeft(duration) || !Duration.isFinite(duration.right)) {
    return undefined
  }
  const millis = Duration.toMillis(duration.right)
  return Number.isSafeInteger(millis) ? millis : undefined
}

/** Whether a duration is infinite. */
export const isInfinite = (input: DurationWithUnit): boolean =>
  Either.match(
    Either.try(() => Duration.decode(input)),
    {
      onLeft: () => false,
      onRight: (duration) => !Duration.isFinite(duration)
    }
  )

const epochMillis = (time: AbsoluteTime): number =>
  time instanceof Date ? time.getTime() : DateTime.isDateTime(time) ? DateTime.toEpochMillis(time) : NaN
