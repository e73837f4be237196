/**
 * Ranges of sorted sets by rank, by score and by member: reading, counting, copying and removing them.
 *
 * @see https://redis.io/docs/latest/commands/?group=sorted-set
 * @since 0.1.0
 */
import type { Codec } from "../Codec.js"
import {
  type Args,
  args,
  arrayOf,
  type Checked,
  type IfFlag,
  type Key,
  type List,
  type Needs,
  type Possible
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { appendLex, appendLimit, appendScore, type LexBound, type Limit, type ScoreBound } from "./range.js"

/**
 * A member of a sorted set with its score, as ZADD takes it and `withscores` returns it.
 *
 * @since 0.1.0
 * @category models
 */
export type ScoredMember<V> = readonly [member: V, score: number]

/**
 * One member with its score, or a list of them.
 *
 * @since 0.1.0
 * @category models
 */
export type ScoredMembers<V> = ScoredMember<V> | List<ScoredMember<V>>

/** A member with its score is told from a list by its number: a list holds pairs only. @internal */
export const scoredList = <V>(input: ScoredMembers<V>): ReadonlyArray<ScoredMember<V>> =>
  Array.isArray(input) && typeof input[1] === "number"
    ? [input as unknown as ScoredMember<V>]
    : (arrayOf<ScoredMember<V>>(input) ?? [input as ScoredMember<V>])

/**
 * Options of a range of a sorted set: by rank, or with `byscore` or `bylex` by score or by member. A range by member is
 * meant for members of one score.
 *
 * @since 0.1.0
 * @category options
 */
export interface ZrangeOptions {
  /** The range is one of scores. */
  readonly byscore?: boolean | undefined
  /** The range is one of members. */
  readonly bylex?: boolean | undefined
  /** From the highest down. Of a range by score or member, `start` is then the upper bound. */
  readonly rev?: boolean | undefined
  /** A part of the range; only with `byscore` or `bylex`. */
  readonly limit?: Limit | undefined
}

/**
 * Options of a range of a sorted set that is read. `withscores` does not go with `bylex`.
 *
 * @since 0.1.0
 * @category options
 */
export interface ZrangeReadOptions extends ZrangeOptions {
  /** Returns the scores too. */
  readonly withscores?: boolean | undefined
}

/**
 * The options that a call of ZRANGE gives, with what is wrong with them.
 *
 * @since 0.1.0
 * @category options
 */
export type CheckedZrange<O, All> = Checked<O, All, "byscore" | "bylex", "bylex" | "withscores"> &
  ([Possible<O, "limit">] extends [never]
    ? unknown
    : [Possible<O, "byscore" | "bylex">] extends [never]
      ? { readonly limit: Needs<"byscore" | "bylex"> }
      : unknown)

/**
 * What bounds a range with these options: members with `bylex`, scores with `byscore`, else ranks.
 *
 * @since 0.1.0
 * @category models
 */
export type ZrangeBound<O, V> = O extends { readonly bylex: true }
  ? LexBound<V>
  : O extends { readonly byscore: true }
    ? ScoreBound
    : number

/**
 * Options of a range by score that is read.
 *
 * @since 0.1.0
 * @category options
 */
export interface ScoreRangeOptions {
  /** Returns the scores too. */
  readonly withscores?: boolean | undefined
  readonly limit?: Limit | undefined
}

/**
 * Whether scores are returned too.
 *
 * @since 0.1.0
 * @category options
 */
export interface WithScores {
  /** Returns the scores too. */
  readonly withscores?: boolean | undefined
}

/**
 * Members, with their scores when these are asked for.
 *
 * @since 0.1.0
 * @category models
 */
export type ScoresOrNot<O, V> = IfFlag<O, "withscores", Array<ScoredMember<V>>, Array<V>>

/**
 * The commands on ranges of sorted sets.
 *
 * @since 0.1.0
 * @category models
 */
export interface SortedSetRangeCommands<V> {
  /**
   * The number of members whose score is in a range.
   *
   * O(log N) for N members. Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * const passed = yield* Redis.zcount("exam", 50, Redis.range.highest) // number
   * ```
   */
  readonly zcount: (key: Key, min: ScoreBound, max: ScoreBound) => RedisCommand<number>

  /**
   * The number of members in a range of members. All members must have the same score.
   *
   * O(log N) for N members. Since Redis 2.8.9.
   */
  readonly zlexcount: (key: Key, min: LexBound<V>, max: LexBound<V>) => RedisCommand<number>

  /**
   * The members in a range: of ranks from 0, both ends included (negative ranks count from the end); of scores with
   * `byscore`; of members with `bylex`. With `rev`, from the highest down; for scores and members `start` is then the
   * upper bound.
   *
   * O(log N + M) for N members and M of them returned. Since Redis 1.2.0; all options but `withscores` since 6.2.0.
   *
   * @example
   * ```ts
   * const top = yield* Redis.zrange("board", 0, 9, { rev: true, withscores: true })
   * // Array<readonly [member: string, score: number]>
   * const some = yield* Redis.zrange("board", Redis.range.exclusive(5), 10, { byscore: true }) // Array<string>
   * ```
   */
  readonly zrange: {
    /**
     * The members in a range: of ranks from 0, both ends included (negative ranks count from the end); of scores with
     * `byscore`; of members with `bylex`. With `rev`, from the highest down; for scores and members `start` is then the
     * upper bound.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 1.2.0; all options but `withscores` since 6.2.0.
     */
    (key: Key, start: number, stop: number): RedisCommand<Array<V>>

    /**
     * The members in a range: of ranks from 0, both ends included (negative ranks count from the end); of scores with
     * `byscore`; of members with `bylex`. With `rev`, from the highest down; for scores and members `start` is then the
     * upper bound.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 1.2.0; all options but `withscores` since 6.2.0.
     */
    <const O extends ZrangeReadOptions | undefined>(
      key: Key,
      start: ZrangeBound<O, V>,
      stop: ZrangeBound<O, V>,
      options: CheckedZrange<O, ZrangeReadOptions>
    ): RedisCommand<ScoresOrNot<O, V>>
  }

  /**
   * The members in a range of members.
   *
   * O(log N + M) for N members and M of them returned. Since Redis 2.8.9.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `bylex`
   */
  readonly zrangebylex: (
    key: Key,
    min: LexBound<V>,
    max: LexBound<V>,
    options?: { readonly limit?: Limit | undefined }
  ) => RedisCommand<Array<V>>

  /**
   * The members whose score is in a range.
   *
   * O(log N + M) for N members and M of them returned. Since Redis 1.0.5.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `byscore`
   */
  readonly zrangebyscore: {
    /**
     * The members whose score is in a range.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 1.0.5.
     *
     * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `byscore`
     */
    (key: Key, min: ScoreBound, max: ScoreBound): RedisCommand<Array<V>>

    /**
     * The members whose score is in a range.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 1.0.5.
     *
     * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `byscore`
     */
    <const O extends ScoreRangeOptions | undefined>(
      key: Key,
      min: ScoreBound,
      max: ScoreBound,
      options: Checked<O, ScoreRangeOptions>
    ): RedisCommand<ScoresOrNot<O, V>>
  }

  /**
   * Stores the result of {@link zrange} as a sorted set, and returns its number of members. An existing destination is
   * overwritten.
   *
   * O(log N + M) for N members and M of them copied. Since Redis 6.2.0.
   */
  readonly zrangestore: {
    /**
     * Stores the result of {@link zrange} as a sorted set, and returns its number of members. An existing destination
     * is overwritten.
     *
     * O(log N + M) for N members and M of them copied. Since Redis 6.2.0.
     */
    (destination: Key, source: Key, start: number, stop: number): RedisCommand<number>

    /**
     * Stores the result of {@link zrange} as a sorted set, and returns its number of members. An existing destination
     * is overwritten.
     *
     * O(log N + M) for N members and M of them copied. Since Redis 6.2.0.
     */
    <const O extends ZrangeOptions | undefined>(
      destination: Key,
      source: Key,
      start: ZrangeBound<O, V>,
      stop: ZrangeBound<O, V>,
      options: CheckedZrange<O, ZrangeOptions>
    ): RedisCommand<number>
  }

  /**
   * Removes a range of members, and returns how many it removed. All members must have the same score.
   *
   * O(log N + M) for N members and M of them removed. Since Redis 2.8.9.
   */
  readonly zremrangebylex: (key: Key, min: LexBound<V>, max: LexBound<V>) => RedisCommand<number>

  /**
   * Removes the members in a range of ranks, counted from 0 at the lowest score, and returns how many it removed.
   *
   * O(log N + M) for N members and M of them removed. Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.zremrangebyrank("board", 0, -101) // keeps the hundred highest
   * ```
   */
  readonly zremrangebyrank: (key: Key, start: number, stop: number) => RedisCommand<number>

  /**
   * Removes the members whose score is in a range, and returns how many it removed.
   *
   * O(log N + M) for N members and M of them removed. Since Redis 1.2.0.
   */
  readonly zremrangebyscore: (key: Key, min: ScoreBound, max: ScoreBound) => RedisCommand<number>

  /**
   * The members in a range of ranks, counted from 0 at the highest score.
   *
   * O(log N + M) for N members and M of them returned. Since Redis 1.2.0.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `rev`
   */
  readonly zrevrange: {
    /**
     * The members in a range of ranks, counted from 0 at the highest score.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 1.2.0.
     *
     * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `rev`
     */
    (key: Key, start: number, stop: number): RedisCommand<Array<V>>

    /**
     * The members in a range of ranks, counted from 0 at the highest score, with their scores.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 1.2.0.
     *
     * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `rev`
     */
    <const O extends WithScores | undefined>(
      key: Key,
      start: number,
      stop: number,
      options: Checked<O, WithScores>
    ): RedisCommand<ScoresOrNot<O, V>>
  }

  /**
   * The members in a range of members, from the last down; the upper bound is given first.
   *
   * O(log N + M) for N members and M of them returned. Since Redis 2.8.9.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `bylex` and `rev`
   */
  readonly zrevrangebylex: (
    key: Key,
    max: LexBound<V>,
    min: LexBound<V>,
    options?: { readonly limit?: Limit | undefined }
  ) => RedisCommand<Array<V>>

  /**
   * The members whose score is in a range, from the highest down; the upper bound is given first.
   *
   * O(log N + M) for N members and M of them returned. Since Redis 2.2.0.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `byscore` and `rev`
   */
  readonly zrevrangebyscore: {
    /**
     * The members whose score is in a range, from the highest down; the upper bound is given first.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 2.2.0.
     *
     * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `byscore` and `rev`
     */
    (key: Key, max: ScoreBound, min: ScoreBound): RedisCommand<Array<V>>

    /**
     * The members whose score is in a range, from the highest down; the upper bound is given first.
     *
     * O(log N + M) for N members and M of them returned. Since Redis 2.2.0.
     *
     * @deprecated since Redis 6.2.0 (not in Valkey): use {@link zrange} with `byscore` and `rev`
     */
    <const O extends ScoreRangeOptions | undefined>(
      key: Key,
      max: ScoreBound,
      min: ScoreBound,
      options: Checked<O, ScoreRangeOptions>
    ): RedisCommand<ScoresOrNot<O, V>>
  }
}

const ZCOUNT = define("ZCOUNT")
const ZLEXCOUNT = define("ZLEXCOUNT")
const ZRANGE = define("ZRANGE")
const ZRANGEBYLEX = define("ZRANGEBYLEX")
const ZRANGEBYSCORE = define("ZRANGEBYSCORE")
const ZRANGESTORE = define("ZRANGESTORE")
const ZREMRANGEBYLEX = define("ZREMRANGEBYLEX")
const ZREMRANGEBYRANK = define("ZREMRANGEBYRANK")
const ZREMRANGEBYSCORE = define("ZREMRANGEBYSCORE")
const ZREVRANGE = define("ZREVRANGE")
const ZREVRANGEBYLEX = define("ZREVRANGEBYLEX")
const ZREVRANGEBYSCORE = define("ZREVRANGEBYSCORE")

type AnyBound<V> = ScoreBound | LexBound<V>
type AnyRange = ZrangeReadOptions

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): SortedSetRangeCommands<V> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const values = Decode.array(value)
  const scored = Decode.pairs(value, Decode.double)

  const scores = (builder: Args, from: ScoreBound, to: ScoreBound): Args => appendScore(appendScore(builder, from), to)

  const members = (builder: Args, from: LexBound<V>, to: LexBound<V>): Args =>
    appendLex(appendLex(builder, codec, from), codec, to)

  const bounds = (builder: Args, start: AnyBound<V>, stop: AnyBound<V>, options: AnyRange | undefined): Args => {
    if (options?.bylex === true) {
      members(builder, start as LexBound<V>, stop as LexBound<V>)
    } else if (options?.byscore === true) {
      scores(builder, start as ScoreBound, stop as ScoreBound)
    } else {
      builder.integer(start as number).integer(stop as number)
    }
    builder
      .atMostOne(options, ["byscore", "bylex"])
      .atMostOne(options, ["bylex", "withscores"])
      .flag("BYSCORE", options?.byscore)
      .flag("BYLEX", options?.bylex)
      .flag("REV", options?.rev)
    return appendLimit(builder, options?.limit)
  }

  type Read = { readonly withscores?: boolean | undefined; readonly limit?: Limit | undefined }

  const read = (command: typeof ZRANGE, builder: Args, options: Read | undefined): RedisCommand<never> => {
    const decoder: Decode.Decoder<unknown> = options?.withscores === true ? scored : values
    return command(builder.flag("WITHSCORES", options?.withscores), decoder, text) as RedisCommand<never>
  }

  return {
    zcount: (key, min, max) => ZCOUNT(scores(args().key(key), min, max), Decode.integer),
    zlexcount: (key, min, max) => ZLEXCOUNT(members(args().key(key), min, max), Decode.integer),
    zrange: (key: Key, start: AnyBound<V>, stop: AnyBound<V>, options?: AnyRange) =>
      read(ZRANGE, bounds(args().key(key), start, stop, options), options),
    zrangebylex: (key, min, max, options) =>
      ZRANGEBYLEX(appendLimit(members(args().key(key), min, max), options?.limit), values, text),
    zrangebyscore: (key: Key, min: ScoreBound, max: ScoreBound, options?: Read) =>
      read(ZRANGEBYSCORE, appendLimit(scores(args().key(key), min, max), options?.limit), options),
    zrangestore: (destination: Key, source: Key, start: AnyBound<V>, stop: AnyBound<V>, options?: AnyRange) =>
      ZRANGESTORE(bounds(args().key(destination).key(source), start, stop, options), Decode.integer),
    zremrangebylex: (key, min, max) => ZREMRANGEBYLEX(members(args().key(key), min, max), Decode.integer),
    zremrangebyrank: (key, start, stop) =>
      ZREMRANGEBYRANK(args().key(key).integer(start).integer(stop), Decode.integer),
    zremrangebyscore: (key, min, max) => ZREMRANGEBYSCORE(scores(args().key(key), min, max), Decode.integer),
    zrevrange: (key: Key, start: number, stop: number, options?: Read) =>
      read(ZREVRANGE, args().key(key).integer(start).integer(stop), options),
    zrevrangebylex: (key, max, min, options) =>
      ZREVRANGEBYLEX(appendLimit(members(args().key(key), max, min), options?.limit), values, text),
    zrevrangebyscore: (key: Key, max: ScoreBound, min: ScoreBound, options?: Read) =>
      read(ZREVRANGEBYSCORE, appendLimit(scores(args().key(key), max, min), options?.limit), options)
  }
}
