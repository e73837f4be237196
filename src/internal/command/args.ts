/**
 * Building a command's arguments. Each argument is tagged with what it is, because the tag decides who may touch it
 * (a prefix: keys) and who may show it (an error, a log, a span: tokens only).
 *
 * Nothing here throws. The first thing that cannot be sent is kept in {@link Args.problem} and fails the command, typed,
 * when it is run.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { Codec } from "../../Codec.js"

/**
 * What an argument is. `pattern` is a glob over keys, `keyPrefix` literal text that keys begin with (SORT's BY, the
 * prefixes of CLIENT TRACKING). `value` also covers everything unknown.
 */
export type ArgumentKind = "token" | "key" | "keyPrefix" | "pattern" | "channel" | "value"

/** An argument as it is sent, and what it is. */
export class Argument {
  constructor(
    readonly kind: ArgumentKind,
    readonly data: string | Uint8Array
  ) {}
}

/** A key, or any other name that Redis stores as bytes. */
export type Key = string | Uint8Array

/** One, or a list that is not empty: Redis refuses empty lists of keys and members, so they do not type-check. */
export type OneOrMore<A> = A | readonly [A, ...ReadonlyArray<A>]

/**
 * At most one of the fields of `T`: how tokens that exclude each other are typed.
 */
export type AtMostOne<T> = { readonly [K in keyof T]?: undefined } | ExactlyOne<T>

/** Exactly one of the fields of `T`. */
export type ExactlyOne<T> = {
  readonly [K in keyof T]: { readonly [P in K]: T[P] } & { readonly [P in Exclude<keyof T, K>]?: undefined }
}[keyof T]

/**
 * A duration with its unit. A bare number is milliseconds to Effect and seconds to Redis users, so it is not accepted.
 */
export type DurationWithUnit = Exclude<Duration.DurationInput, number | bigint | readonly [number, number]>

/** A moment in time. Redis' clocks are Unix clocks of seconds or milliseconds. */
export type AbsoluteTime = Date | DateTime.DateTime

const noArguments: ReadonlyArray<Argument> = []

/**
 * Arrays to copy. A literal would do, but V8 makes literals among the old objects once enough of them have outlived a
 * collection, and an old array keeps what it refers to until the next full one (docs/performance.md; a tenth of a GET's
 * time). Copies are always young.
 */
const models = [1, 2, 3, 4].map((length) => Array.from({ length }, () => new Argument("value", "")))

/** Arguments under construction. Each method appends and answers the builder. */
export class Args {
  list: ReadonlyArray<Argument> = noArguments
  problem: string | undefined

  /**
   * Appends an argument. The first few make arrays that are as long as they are: one that grows by pushes takes room for
   * seventeen, which for most commands is most of what they weigh (with the socket's one buffer: a third of a pipeline's
   * time, a seventh of a GET's).
   */
  add(argument: Argument): this {
    const { list } = this
    const model = models[list.length]
    if (model === undefined) {
      // Made below, by this builder.
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

  /** Appends arguments as they are. */
  all(list: ReadonlyArray<Argument>): this {
    for (const argument of list) {
      this.add(argument)
    }
    return this
  }

  /** Marks the arguments as impossible to send; the first reason is kept. */
  fail(problem: string): this {
    this.problem ??= problem
    return this
  }

  /** One of Redis' own words. Shown in errors and logs. */
  token(token: string): this {
    return this.add(new Argument("token", token))
  }

  /** `token` when `on` is true. */
  flag(token: string, on: boolean | undefined): this {
    return on === true ? this.token(token) : this
  }

  key(key: Key): this {
    return this.push("key", key, "a key")
  }

  /** One or more keys; none is a problem. */
  keys(input: Key | ReadonlyArray<Key>): this {
    const keys = toList(input)
    if (keys.length === 0) {
      return this.fail("needs at least one key")
    }
    for (const key of keys) {
      this.key(key)
    }
    return this
  }

  /** The number of keys, then the keys. */
  numkeys(input: Key | ReadonlyArray<Key>): this {
    return this.integer(toList(input).length).keys(input)
  }

  /** Text that keys begin with, taken literally: a prefix goes before it as before a key. */
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

  /** Text or bytes that are neither a key nor one of Redis' words. */
  text(text: string | Uint8Array): this {
    return this.push("value", text, "an argument")
  }

  /** A password, or another secret. */
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
      // The codec may be the user's, and constructors do not throw. What it threw may quote the value.
      return this.fail("a value does not encode: the codec threw")
    }
    if (Either.isLeft(encoded)) {
      const { path, reason } = encoded.left
      return this.fail(`a value does not encode${path.length === 0 ? "" : ` at ${path.join(".")}`}: ${reason}`)
    }
    return this.push("value", encoded.right, "a value")
  }

  /** One or more values; none is a problem. */
  values<V, K extends Key>(codec: Codec<V, K>, values: ReadonlyArray<V>): this {
    if (values.length === 0) {
      return this.fail("needs at least one value")
    }
    for (const value of values) {
      this.value(codec, value)
    }
    return this
  }

  /** An integer of 64 bits. A number beyond 2^53 - 1 is refused, since it may have lost digits: use a bigint. */
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

  /** A floating point number, infinities included. */
  double(value: number): this {
    if (typeof value !== "number" || Number.isNaN(value)) {
      return this.fail("an argument must be a number, and not NaN")
    }
    this.add(new Argument("value", value === Infinity ? "+inf" : value === -Infinity ? "-inf" : String(value)))
    return this
  }

  /** `token` and what `append` adds, when the option is given. */
  option<A>(token: string, value: A | undefined, append: (args: this, value: A) => void): this {
    if (value !== undefined) {
      this.token(token)
      append(this, value)
    }
    return this
  }

  /** What `append` adds, when the option is given. */
  when<A>(value: A | undefined, append: (args: this, value: A) => void): this {
    if (value !== undefined) {
      append(this, value)
    }
    return this
  }

  /** What `append` adds for each element. */
  each<A>(values: Iterable<A>, append: (args: this, value: A) => void): this {
    for (const value of values) {
      append(this, value)
    }
    return this
  }

  /**
   * A duration as `seconds` when it is whole seconds, else as `milliseconds` when it is whole milliseconds. Never
   * rounded: `EXPIRE key 0` would delete.
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
   * The timeout of a blocking command, in seconds with a fraction. `Duration.infinity` is Redis' 0; zero itself is
   * refused, because Redis would wait for ever.
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

  /** Like {@link timeout}, in milliseconds, as XREAD's BLOCK and WAIT take it. */
  timeoutMillis(input: DurationWithUnit): this {
    if (isInfinite(input)) {
      return this.integer(0)
    }
    const millis = wholeMillis(input)
    return millis === undefined || millis === 0
      ? this.fail("a timeout must be of whole milliseconds and longer than zero (Duration.infinity waits for ever)")
      : this.integer(millis)
  }

  /** A moment as `seconds` when it is a whole second, else as `milliseconds`. */
  time(seconds: string, milliseconds: string, time: AbsoluteTime): this {
    const millis = epochMillis(time)
    if (!Number.isSafeInteger(millis)) {
      return this.fail("a time must be a valid date")
    }
    return millis % 1000 === 0 ? this.token(seconds).integer(millis / 1000) : this.token(milliseconds).integer(millis)
  }

  /** A moment in Unix milliseconds, without a token. */
  timeMillis(time: AbsoluteTime): this {
    const millis = epochMillis(time)
    return Number.isSafeInteger(millis) ? this.integer(millis) : this.fail("a time must be a valid date")
  }

  /** A moment in whole Unix seconds, without a token. */
  timeSeconds(time: AbsoluteTime): this {
    const millis = epochMillis(time)
    return Number.isSafeInteger(millis) && millis % 1000 === 0
      ? this.integer(millis / 1000)
      : this.fail("a time must be a valid date of whole seconds")
  }

  private push(kind: ArgumentKind, data: string | Uint8Array, what: string): this {
    // Types say so already; a program in JavaScript, or behind a cast, hears it here rather than from the socket.
    if (typeof data !== "string" && !(data instanceof Uint8Array)) {
      return this.fail(`${what} must be text or bytes`)
    }
    this.add(new Argument(kind, data))
    return this
  }
}

/** Begins an argument list. */
export const args = (): Args => new Args()

/** Turns "one or more" into a list. Bytes are one argument, not many numbers. */
export const toList = <A>(input: A | ReadonlyArray<A>): ReadonlyArray<A> =>
  Array.isArray(input) ? (input as ReadonlyArray<A>) : [input as A]

/** Whole milliseconds, or `undefined` for what is infinite, negative or finer. */
export const wholeMillis = (input: DurationWithUnit): number | undefined => {
  // The type says so already; without types a bare number would silently be milliseconds.
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

/** Whether a duration has no end. */
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
