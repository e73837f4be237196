/**
 * Unions, intersections and differences of sorted sets.
 *
 * @see https://redis.io/docs/latest/commands/?group=sorted-set
 * @since 0.1.0
 */
import type { Codec } from "../Codec.js"
import { type Args, args, type Checked, type Key, type List, type OneOrMany, toList } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import type { ScoresOrNot, WithScores } from "./sorted-set-range.js"

/**
 * One weight for each key.
 *
 * @since 0.1.0
 * @category options
 */
export type Weights<Keys> =
  Keys extends ReadonlyArray<unknown>
    ? { readonly [I in keyof Keys]: number }
    : Keys extends List<unknown>
      ? List<number>
      : number

/**
 * How the scores of a member in several sets are combined into one.
 *
 * @since 0.1.0
 * @category options
 */
export interface CombineOptions<Keys> {
  /** Factors for the scores: one number for each key. Default: 1. */
  readonly weights?: Weights<Keys> | undefined
  /**
   * How to combine the weighted scores. `count`: the number of sets that contain the member, weighted (Redis 8.8.0; not
   * in Valkey). Default: `sum`.
   */
  readonly aggregate?: "sum" | "min" | "max" | "count" | undefined
}

/**
 * A combination of sorted sets, with or without the scores.
 *
 * @since 0.1.0
 * @category models
 */
export interface Combine<V> {
  /**
   * The members that are in every set (ZINTER), or in any of them (ZUNION); with `withscores`, their scores too. Scores
   * are added up unless `aggregate` is set.
   */
  <const Keys extends OneOrMany<Key>>(keys: Keys): RedisCommand<Array<V>>
  /**
   * The members that are in every set (ZINTER), or in any of them (ZUNION); with `withscores`, their scores too. Scores
   * are added up unless `aggregate` is set.
   */
  <const Keys extends OneOrMany<Key>, const O extends CombineReadOptions<Keys> | undefined>(
    keys: Keys,
    options: Checked<O, CombineReadOptions<Keys>>
  ): RedisCommand<ScoresOrNot<O, V>>
}

/** {@link CombineOptions}, and whether scores are returned too. */
interface CombineReadOptions<Keys> extends CombineOptions<Keys>, WithScores {}

/**
 * The commands that combine sorted sets. Plain sets are accepted too: their members have the score 1.
 *
 * @since 0.1.0
 * @category models
 */
export interface SortedSetAlgebraCommands<V> {
  /**
   * The members of the first set that are in none of the others.
   *
   * O(L + (N-K) log N), worst case, for L members in all sets, N in the first and K in the result. Since Redis 6.2.0.
   */
  readonly zdiff: {
    /**
     * The members of the first set that are in none of the others.
     *
     * O(L + (N-K) log N), worst case, for L members in all sets, N in the first and K in the result. Since Redis 6.2.0.
     */
    (keys: OneOrMany<Key>): RedisCommand<Array<V>>

    /**
     * The members of the first set that are in none of the others, with their scores.
     *
     * O(L + (N-K) log N), worst case, for L members in all sets, N in the first and K in the result. Since Redis 6.2.0.
     */
    <const O extends WithScores | undefined>(
      keys: OneOrMany<Key>,
      options: Checked<O, WithScores>
    ): RedisCommand<ScoresOrNot<O, V>>
  }

  /**
   * Stores the result of {@link zdiff}, and returns its number of members. An existing destination is overwritten.
   *
   * O(L + (N-K) log N), worst case, for L members in all sets, N in the first and K in the result. Since Redis 6.2.0.
   */
  readonly zdiffstore: (destination: Key, keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * The members that are in every set. Their scores are added up unless `aggregate` is set.
   *
   * O(N K) + O(M log M), worst case, for N members in the smallest of K sets and M in the result. Since Redis 6.2.0.
   */
  readonly zinter: Combine<V>

  /**
   * The number of members that are in every set; counting stops at `limit`.
   *
   * O(N K), worst case, for N members in the smallest of K sets. Since Redis 7.0.0.
   */
  readonly zintercard: (
    keys: OneOrMany<Key>,
    options?: {
      /** 0 (the default) means no limit. */
      readonly limit?: number | undefined
    }
  ) => RedisCommand<number>

  /**
   * Stores the result of {@link zinter}, and returns its number of members. An existing destination is overwritten.
   *
   * O(N K) + O(M log M), worst case, for N members in the smallest of K sets and M in the result. Since Redis 2.0.0.
   */
  readonly zinterstore: <const Keys extends OneOrMany<Key>>(
    destination: Key,
    keys: Keys,
    options?: CombineOptions<Keys>
  ) => RedisCommand<number>

  /**
   * The members that are in any of the sets. Their scores are added up unless `aggregate` is set.
   *
   * O(N) + O(M log M) for N members in all sets and M in the result. Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const all = yield* Redis.zunion(["week:1", "week:2"], { weights: [1, 0.5], aggregate: "max", withscores: true })
   * // Array<readonly [member: string, score: number]>
   * ```
   */
  readonly zunion: Combine<V>

  /**
   * Stores the result of {@link zunion}, and returns its number of members. An existing destination is overwritten.
   *
   * O(N) + O(M log M) for N members in all sets and M in the result. Since Redis 2.0.0.
   */
  readonly zunionstore: <const Keys extends OneOrMany<Key>>(
    destination: Key,
    keys: Keys,
    options?: CombineOptions<Keys>
  ) => RedisCommand<number>
}

const ZDIFF = define("ZDIFF")
const ZDIFFSTORE = define("ZDIFFSTORE")
const ZINTER = define("ZINTER")
const ZINTERCARD = define("ZINTERCARD")
const ZINTERSTORE = define("ZINTERSTORE")
const ZUNION = define("ZUNION")
const ZUNIONSTORE = define("ZUNIONSTORE")

/** {@link CombineOptions} at run time. */
interface Combined {
  readonly weights?: OneOrMany<number> | undefined
  readonly aggregate?: "sum" | "min" | "max" | "count" | undefined
  readonly withscores?: boolean | undefined
}

const combine = (builder: Args, keys: OneOrMany<Key>, options: Combined | undefined): Args => {
  builder.numkeys(keys)
  if (options?.weights !== undefined) {
    const weights = toList(options.weights)
    if (weights.length !== toList(keys).length) {
      builder.fail("needs as many weights as keys")
    }
    builder.token("WEIGHTS").each(weights, (args, weight) => args.double(weight))
  }
  return builder.option("AGGREGATE", options?.aggregate, (args, how) => args.word(how))
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): SortedSetAlgebraCommands<V> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const values = Decode.array(value)
  const scored = Decode.pairs(value, Decode.double)

  const read = (command: typeof ZUNION, keys: OneOrMany<Key>, options: Combined | undefined): RedisCommand<never> => {
    const builder = combine(args(), keys, options).flag("WITHSCORES", options?.withscores)
    const decoder: Decode.Decoder<unknown> = options?.withscores === true ? scored : values
    return command(builder, decoder, text) as RedisCommand<never>
  }

  return {
    zdiff: (keys: OneOrMany<Key>, options?: { readonly withscores?: boolean | undefined }) =>
      read(ZDIFF, keys, options),
    zdiffstore: (destination, keys) => ZDIFFSTORE(args().key(destination).numkeys(keys), Decode.integer),
    zinter: ((keys: OneOrMany<Key>, options?: Combined) => read(ZINTER, keys, options)) as Combine<V>,
    zintercard: (keys, options) =>
      ZINTERCARD(
        args()
          .numkeys(keys)
          .option("LIMIT", options?.limit, (args, limit) => args.integer(limit)),
        Decode.integer
      ),
    zinterstore: (destination, keys, options) =>
      ZINTERSTORE(combine(args().key(destination), keys, options as Combined | undefined), Decode.integer),
    zunion: ((keys: OneOrMany<Key>, options?: Combined) => read(ZUNION, keys, options)) as Combine<V>,
    zunionstore: (destination, keys, options) =>
      ZUNIONSTORE(combine(args().key(destination), keys, options as Combined | undefined), Decode.integer)
  }
}
