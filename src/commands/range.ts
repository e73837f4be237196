/**
 * Bounds of ranges over sorted sets and vector sets: inclusive, exclusive, or unbounded.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import type { Codec } from "../Codec.js"
import type { Args, Key } from "../internal/command/args.js"

/**
 * A bound that belongs to the range. Made by {@link range}`.inclusive`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inclusive<out A> {
  readonly _tag: "Inclusive"
  readonly value: A
}

/**
 * A bound that does not belong to the range. Made by {@link range}`.exclusive`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Exclusive<out A> {
  readonly _tag: "Exclusive"
  readonly value: A
}

/**
 * A bound below, or above, every element. Made by {@link range}`.lowest` and `.highest`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Unbounded {
  readonly _tag: "Lowest" | "Highest"
}

/**
 * Where a range of scores begins or ends. A plain number is inclusive.
 *
 * @since 0.1.0
 * @category models
 */
export type ScoreBound = number | Inclusive<number> | Exclusive<number> | Unbounded

/**
 * Where a range of members begins or ends. A plain member is not accepted, because Redis must know whether it belongs
 * to the range.
 *
 * @since 0.1.0
 * @category models
 */
export type LexBound<V> = Inclusive<V> | Exclusive<V> | Unbounded

/**
 * A part of a range: skips `offset` elements, then takes `count`. A negative count takes all the rest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limit {
  readonly offset: number
  readonly count: number
}

/**
 * Constructors of bounds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ranges {
  /** A bound at this value, which belongs to the range. */
  readonly inclusive: <A>(value: A) => Inclusive<A>
  /** A bound at this value, which does not belong to the range. */
  readonly exclusive: <A>(value: A) => Exclusive<A>
  /** Below every element: `-inf` for scores, `-` for members. */
  readonly lowest: Unbounded
  /** Above every element: `+inf` for scores, `+` for members. */
  readonly highest: Unbounded
}

/**
 * Constructors of bounds.
 *
 * @example
 * ```ts
 * // Scores above 5 and up to 10, 10 included; then all members from "b" on.
 * const some = yield* Redis.zrange("board", Redis.range.exclusive(5), 10, { byscore: true })
 * const rest = yield* Redis.zrange("names", Redis.range.inclusive("b"), Redis.range.highest, { bylex: true })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const range: Ranges = {
  inclusive: (value) => ({ _tag: "Inclusive", value }),
  exclusive: (value) => ({ _tag: "Exclusive", value }),
  lowest: { _tag: "Lowest" },
  highest: { _tag: "Highest" }
}

/** @internal */
export const appendScore = (args: Args, bound: ScoreBound): Args => {
  if (typeof bound === "number") {
    return args.double(bound)
  }
  switch (bound?._tag) {
    case "Inclusive":
      return args.double(bound.value)
    case "Exclusive":
      return typeof bound.value === "number" && !Number.isNaN(bound.value)
        ? args.text(`(${bound.value === Infinity ? "+inf" : bound.value === -Infinity ? "-inf" : bound.value}`)
        : args.double(bound.value)
    case "Lowest":
      return args.token("-inf")
    case "Highest":
      return args.token("+inf")
    default:
      return args.fail("a bound of a range of scores must be a number, or be made with Redis.range")
  }
}

/** @internal */
export const appendLex = <V, K extends Key>(args: Args, codec: Codec<V, K>, bound: LexBound<V>): Args => {
  switch (bound?._tag) {
    case "Inclusive":
      return args.value(marked(codec, "["), bound.value)
    case "Exclusive":
      return args.value(marked(codec, "("), bound.value)
    case "Lowest":
      return args.token("-")
    case "Highest":
      return args.token("+")
    default:
      return args.fail("a bound of a range of members must be made with Redis.range, as inclusive or exclusive")
  }
}

/** @internal */
export const appendLimit = (args: Args, limit: Limit | undefined): Args =>
  args.option("LIMIT", limit, (args, { count, offset }) => args.integer(offset).integer(count))

/** The codec, with a mark put before the encoded value. */
const marked = <V, K extends Key>(codec: Codec<V, K>, mark: "[" | "("): Codec<V, K> => ({
  ...codec,
  encode: (value) =>
    Either.map(codec.encode(value), (encoded) => {
      if (!(encoded instanceof Uint8Array)) {
        return typeof encoded === "string" ? mark + encoded : encoded
      }
      const bytes = new Uint8Array(encoded.length + 1)
      bytes[0] = mark.charCodeAt(0)
      bytes.set(encoded, 1)
      return bytes
    })
})
