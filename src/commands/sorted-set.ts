/**
 * Sorted sets: members with scores, ordered by score. Ranges are in `sorted-set-range`; unions, intersections and
 * differences in `sorted-set-algebra`.
 *
 * @see https://redis.io/docs/latest/commands/?group=sorted-set
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type Args,
  type AtMostOne,
  args,
  type Checked,
  type DurationWithUnit,
  type IfFlag,
  type IfGiven,
  type Key,
  type Needs,
  type OneOrMany,
  type Possible
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { make as makeAlgebra, type SortedSetAlgebraCommands } from "./sorted-set-algebra.js"
import {
  make as makeRange,
  type ScoredMember,
  type ScoredMembers,
  type ScoresOrNot,
  type SortedSetRangeCommands,
  scoredList,
  type WithScores
} from "./sorted-set-range.js"

/**
 * Which members ZADD may add or change. `gt` and `lt` restrict changes of existing members only: new members are still
 * added.
 *
 * @since 0.1.0
 * @category options
 */
export type ZaddCondition =
  | {
      /** Only add new members; do not change existing ones. */
      readonly nx?: boolean | undefined
      readonly xx?: false | undefined
      readonly gt?: false | undefined
      readonly lt?: false | undefined
    }
  | ({
      readonly nx?: false | undefined
      /** Only change existing members. */
      readonly xx?: boolean | undefined
    } & AtMostOne<{
      /** Only raise scores. */
      readonly gt: true
      /** Only lower scores. */
      readonly lt: true
    }>)

/**
 * @since 0.1.0
 * @category options
 */
export type ZaddOptions = ZaddCondition & {
  /** Count members with a changed score as well as new ones. */
  readonly ch?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface ZscanOptions {
  /** Only members that match this glob pattern. */
  readonly match?: Key | undefined
  /** About how many members to scan per page. */
  readonly count?: number | undefined
}

/**
 * The end of a sorted set: the lowest scores, or the highest.
 *
 * @since 0.1.0
 * @category options
 */
export type SortedSetEnd = "min" | "max"

/** How many elements. */
interface Counted {
  readonly count?: number | undefined
}

/** How many random members, and whether with their scores. */
interface RandomMembers extends Counted, WithScores {}

type WithCount<O> = [Possible<O, "withscores">] extends [never]
  ? unknown
  : O extends { readonly count: number }
    ? unknown
    : { readonly withscores: Needs<"count"> }

/** Whether the score is returned too. */
interface WithScore {
  readonly withscore?: boolean | undefined
}

/** {@link ZscanOptions}, and whether to leave the scores out. */
interface ZscanAll extends ZscanOptions {
  readonly noscores?: boolean | undefined
}

/**
 * The commands on sorted sets.
 *
 * @since 0.1.0
 * @category models
 */
export interface SortedSetCommands<V, K extends Key> extends SortedSetRangeCommands<V>, SortedSetAlgebraCommands<V> {
  /**
   * Like {@link zmpop}; waits while all sets are empty. `None` after the timeout.
   *
   * O(K) + O(M log N) for K keys, M members removed and N in the set. Since Redis 7.0.0.
   */
  readonly bzmpop: (
    keys: OneOrMany<Key>,
    end: SortedSetEnd,
    options: { readonly timeout: DurationWithUnit; readonly count?: number | undefined }
  ) => RedisCommand<Option.Option<readonly [key: K, members: Array<ScoredMember<V>>]>>

  /**
   * Removes and returns the member with the highest score of the first non-empty set. Waits while all sets are empty;
   * `None` after the timeout.
   *
   * O(log N) for N members. Since Redis 5.0.0.
   */
  readonly bzpopmax: (
    keys: OneOrMany<Key>,
    options: { readonly timeout: DurationWithUnit }
  ) => RedisCommand<Option.Option<readonly [key: K, member: V, score: number]>>

  /**
   * Removes and returns the member with the lowest score of the first non-empty set. Waits while all sets are empty;
   * `None` after the timeout.
   *
   * O(log N) for N members. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * const next = yield* Redis.bzpopmin(["urgent", "later"], { timeout: "5 seconds" })
   * // Option<readonly [key: string, member: string, score: number]>
   * ```
   */
  readonly bzpopmin: (
    keys: OneOrMany<Key>,
    options: { readonly timeout: DurationWithUnit }
  ) => RedisCommand<Option.Option<readonly [key: K, member: V, score: number]>>

  /**
   * Adds members with their scores, or changes the scores of existing ones, and returns how many are new. With `incr`,
   * adds to the score of one member, and returns the sum; `None` when a condition is not met.
   *
   * O(log N) for each member, where N is the size of the set. Since Redis 1.2.0; `gt` and `lt` since 6.2.0.
   *
   * @example
   * ```ts
   * const added = yield* Redis.zadd("board", [["ada", 10], ["bob", 7]]) // number
   * const best = yield* Redis.zadd("board", [["ada", 12]], { gt: true, ch: true }) // number
   * const score = yield* Redis.zadd("board", [["ada", 1]], { xx: true, incr: true }) // Option<number>
   * ```
   */
  readonly zadd: <const Incr extends boolean | undefined = undefined>(
    key: Key,
    members: true extends Incr ? ScoredMember<V> | readonly [ScoredMember<V>] : ScoredMembers<V>,
    options?: ZaddOptions & {
      /** Adds to the score of one member. */
      readonly incr?: Incr
    }
  ) => RedisCommand<Incr extends true ? Option.Option<number> : number>

  /**
   * The number of members; 0 when the sorted set is missing.
   *
   * O(1). Since Redis 1.2.0.
   */
  readonly zcard: (key: Key) => RedisCommand<number>

  /**
   * Adds to the score of a member, and returns the sum. A missing member is added.
   *
   * O(log N) for N members. Since Redis 1.2.0.
   *
   * @example
   * ```ts
   * const score = yield* Redis.zincrby("board", 5, "ada") // number
   * ```
   */
  readonly zincrby: (key: Key, increment: number, member: V) => RedisCommand<number>

  /**
   * Removes and returns members from one end of the first non-empty set, with the set's key; `None` when all sets are
   * empty.
   *
   * O(K) + O(M log N) for K keys, M members removed and N in the set. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const taken = yield* Redis.zmpop(["a", "b"], "min", { count: 10 })
   * // Option<readonly [key: string, members: Array<readonly [member: string, score: number]>]>
   * ```
   */
  readonly zmpop: (
    keys: OneOrMany<Key>,
    end: SortedSetEnd,
    options?: { readonly count?: number | undefined }
  ) => RedisCommand<Option.Option<readonly [key: K, members: Array<ScoredMember<V>>]>>

  /**
   * The scores of members, in order; `None` for a missing member.
   *
   * O(N) in the number of members given. Since Redis 6.2.0.
   */
  readonly zmscore: (key: Key, members: OneOrMany<V>) => RedisCommand<Array<Option.Option<number>>>

  /**
   * Removes and returns the member with the highest score, or up to `count` members, the highest score first.
   *
   * O(M log N) for M members removed and N in the set. Since Redis 5.0.0.
   */
  readonly zpopmax: {
    /**
     * Removes and returns the member with the highest score, or up to `count` members, the highest score first.
     *
     * O(M log N) for M members removed and N in the set. Since Redis 5.0.0.
     */
    (key: Key): RedisCommand<Option.Option<ScoredMember<V>>>

    /**
     * Removes and returns the member with the highest score, or up to `count` members, the highest score first.
     *
     * O(M log N) for M members removed and N in the set. Since Redis 5.0.0.
     */
    <const O extends Counted | undefined>(
      key: Key,
      options: Checked<O, Counted>
    ): RedisCommand<IfGiven<O, "count", Array<ScoredMember<V>>, Option.Option<ScoredMember<V>>>>
  }

  /**
   * Removes and returns the member with the lowest score, or up to `count` members, the lowest score first.
   *
   * O(M log N) for M members removed and N in the set. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * const first = yield* Redis.zpopmin("queue") // Option<readonly [member: string, score: number]>
   * ```
   */
  readonly zpopmin: {
    /**
     * Removes and returns the member with the lowest score, or up to `count` members, the lowest score first.
     *
     * O(M log N) for M members removed and N in the set. Since Redis 5.0.0.
     */
    (key: Key): RedisCommand<Option.Option<ScoredMember<V>>>

    /**
     * Removes and returns the member with the lowest score, or up to `count` members, the lowest score first.
     *
     * O(M log N) for M members removed and N in the set. Since Redis 5.0.0.
     */
    <const O extends Counted | undefined>(
      key: Key,
      options: Checked<O, Counted>
    ): RedisCommand<IfGiven<O, "count", Array<ScoredMember<V>>, Option.Option<ScoredMember<V>>>>
  }

  /**
   * Random members, without removing them. Without `count`: one member, `None` when the sorted set is missing. With a
   * positive `count`: up to that many different members. With a negative `count`: exactly that many, which may repeat.
   *
   * O(N) in the members returned. Since Redis 6.2.0.
   */
  readonly zrandmember: {
    /**
     * A random member, without removing it; `None` when the sorted set is missing.
     *
     * O(N) in the members returned. Since Redis 6.2.0.
     */
    (key: Key): RedisCommand<Option.Option<V>>

    /**
     * Random members, without removing them. Without `count`: one member, `None` when the sorted set is missing. With a
     * positive `count`: up to that many different members. With a negative `count`: exactly that many, which may
     * repeat.
     *
     * O(N) in the members returned. Since Redis 6.2.0.
     */
    <const O extends RandomMembers | undefined>(
      key: Key,
      options: Checked<O, RandomMembers> & WithCount<O>
    ): RedisCommand<IfGiven<O, "count", ScoresOrNot<O, V>, Option.Option<V>>>
  }

  /**
   * The rank of a member, counted from 0 at the lowest score; `None` when the member is missing.
   *
   * O(log N) for N members. Since Redis 2.0.0; `withscore` since Redis 7.2.0.
   *
   * @example
   * ```ts
   * const place = yield* Redis.zrank("board", "ada") // Option<number>
   * const both = yield* Redis.zrank("board", "ada", { withscore: true }) // Option<readonly [rank: number, score: number]>
   * ```
   */
  readonly zrank: {
    /**
     * The rank of a member, counted from 0 at the lowest score; `None` when the member is missing.
     *
     * O(log N) for N members. Since Redis 2.0.0; `withscore` since Redis 7.2.0.
     */
    (key: Key, member: V): RedisCommand<Option.Option<number>>

    /**
     * The rank of a member, counted from 0 at the lowest score; `None` when the member is missing.
     *
     * O(log N) for N members. Since Redis 2.0.0; `withscore` since Redis 7.2.0.
     */
    <const O extends WithScore | undefined>(
      key: Key,
      member: V,
      options: Checked<O, WithScore>
    ): RedisCommand<
      IfFlag<O, "withscore", Option.Option<readonly [rank: number, score: number]>, Option.Option<number>>
    >
  }

  /**
   * Removes members, and returns how many existed.
   *
   * O(M log N) for M members to remove and N in the set. Since Redis 1.2.0.
   */
  readonly zrem: (key: Key, members: OneOrMany<V>) => RedisCommand<number>

  /**
   * The rank of a member, counted from 0 at the highest score; `None` when the member is missing.
   *
   * O(log N) for N members. Since Redis 2.0.0; `withscore` since Redis 7.2.0.
   */
  readonly zrevrank: {
    /**
     * The rank of a member, counted from 0 at the highest score; `None` when the member is missing.
     *
     * O(log N) for N members. Since Redis 2.0.0; `withscore` since Redis 7.2.0.
     */
    (key: Key, member: V): RedisCommand<Option.Option<number>>

    /**
     * The rank of a member, counted from 0 at the highest score; `None` when the member is missing.
     *
     * O(log N) for N members. Since Redis 2.0.0; `withscore` since Redis 7.2.0.
     */
    <const O extends WithScore | undefined>(
      key: Key,
      member: V,
      options: Checked<O, WithScore>
    ): RedisCommand<
      IfFlag<O, "withscore", Option.Option<readonly [rank: number, score: number]>, Option.Option<number>>
    >
  }

  /**
   * One page of the members and their scores. The first cursor is `"0"`; each page returns the next one, and `"0"`
   * after the last page. A page may be empty, and a member may be returned twice.
   *
   * O(1) for a page, O(N) for all pages. Since Redis 2.8.0; `noscores` since Valkey 8.0.0, not in Redis.
   */
  readonly zscan: {
    /**
     * One page of the members and their scores. The first cursor is `"0"`; each page returns the next one, and `"0"`
     * after the last page. A page may be empty, and a member may be returned twice.
     *
     * O(1) for a page, O(N) for all pages. Since Redis 2.8.0; `noscores` since Valkey 8.0.0, not in Redis.
     */
    (key: Key, cursor: string): RedisCommand<Decode.ScanPage<ScoredMember<V>>>

    /**
     * One page of the members and their scores. The first cursor is `"0"`; each page returns the next one, and `"0"`
     * after the last page. A page may be empty, and a member may be returned twice.
     *
     * O(1) for a page, O(N) for all pages. Since Redis 2.8.0; `noscores` since Valkey 8.0.0, not in Redis.
     */
    <const O extends ZscanAll | undefined>(
      key: Key,
      cursor: string,
      options: Checked<O, ZscanAll>
    ): RedisCommand<IfFlag<O, "noscores", Decode.ScanPage<V>, Decode.ScanPage<ScoredMember<V>>>>
  }

  /**
   * The score of a member; `None` when the member is missing.
   *
   * O(1). Since Redis 1.2.0.
   *
   * @example
   * ```ts
   * const score = yield* Redis.zscore("board", "ada") // Option<number>
   * ```
   */
  readonly zscore: (key: Key, member: V) => RedisCommand<Option.Option<number>>
}

const BZMPOP = define("BZMPOP")
const BZPOPMAX = define("BZPOPMAX")
const BZPOPMIN = define("BZPOPMIN")
const ZADD = define("ZADD")
const ZCARD = define("ZCARD")
const ZINCRBY = define("ZINCRBY")
const ZMPOP = define("ZMPOP")
const ZMSCORE = define("ZMSCORE")
const ZPOPMAX = define("ZPOPMAX")
const ZPOPMIN = define("ZPOPMIN")
const ZRANDMEMBER = define("ZRANDMEMBER")
const ZRANK = define("ZRANK")
const ZREM = define("ZREM")
const ZREVRANK = define("ZREVRANK")
const ZSCAN = define("ZSCAN")
const ZSCORE = define("ZSCORE")

const optionalInteger = Decode.nullable(Decode.integer)
const optionalScore = Decode.nullable(Decode.double)
const optionalScores = Decode.array(optionalScore)
const optionalRankAndScore = Decode.nullable(Decode.tuple(Decode.integer, Decode.double))

const endToken = (end: SortedSetEnd): string => (end === "max" ? "MAX" : "MIN")

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): SortedSetCommands<V, K> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const key = Decode.key(codec)
  const values = Decode.array(value)
  const optional = Decode.nullable(value)
  const scored = Decode.pairs(value, Decode.double)
  const popped = Decode.nullable(Decode.tuple(key, value, Decode.double))
  const poppedMany = Decode.nullable(Decode.tuple(key, scored))
  const scoredPage = Decode.scanPage(scored)
  const page = Decode.scanPage(values)
  /** ZPOPMIN without a count: one pair, or an empty array. */
  const first: Decode.Decoder<Option.Option<ScoredMember<V>>> = (reply) => Option.fromNullable(scored(reply)[0])

  const zadd = (
    key: Key,
    members: ScoredMembers<V>,
    options: ZaddOptions & { readonly incr?: boolean | undefined } = {}
  ): RedisCommand<never> => {
    const builder = args()
      .key(key)
      .atMostOne(options, ["nx", "xx"])
      .atMostOne(options, ["nx", "gt", "lt"])
      .flag("NX", options.nx)
      .flag("XX", options.xx)
      .flag("GT", options.gt)
      .flag("LT", options.lt)
      .flag("CH", options.ch)
      .flag("INCR", options.incr)
      .some("member", scoredList(members), (args, [member, score]) => args.double(score).value(codec, member))
    const decoder: Decode.Decoder<unknown> = options.incr === true ? optionalScore : Decode.integer
    return ZADD(builder, decoder) as RedisCommand<never>
  }

  const pop = (
    command: typeof ZPOPMIN,
    key: Key,
    options?: { readonly count?: number | undefined }
  ): RedisCommand<never> => {
    const builder = args().key(key)
    if (options?.count === undefined) {
      return command(builder, first, text) as RedisCommand<never>
    }
    return command(builder.integer(options.count), scored, text) as RedisCommand<never>
  }

  const zrandmember = (key: Key, options?: RandomMembers): RedisCommand<never> => {
    const builder = args().key(key)
    if (options?.count === undefined && options?.withscores !== true) {
      return ZRANDMEMBER(builder, optional, text) as RedisCommand<never>
    }
    if (options.count === undefined) {
      builder.fail("withscores needs a count")
    }
    builder.when(options.count, (args, count) => args.integer(count)).flag("WITHSCORES", options.withscores)
    const decoder: Decode.Decoder<unknown> = options.withscores === true ? scored : values
    return ZRANDMEMBER(builder, decoder, text) as RedisCommand<never>
  }

  const rank = (
    command: typeof ZRANK,
    key: Key,
    member: V,
    options?: { readonly withscore?: boolean | undefined }
  ): RedisCommand<never> => {
    const builder = args().key(key).value(codec, member).flag("WITHSCORE", options?.withscore)
    const decoder: Decode.Decoder<unknown> = options?.withscore === true ? optionalRankAndScore : optionalInteger
    return command(builder, decoder) as RedisCommand<never>
  }

  const zscan = (
    key: Key,
    cursor: string,
    options: ZscanOptions & { readonly noscores?: boolean | undefined } = {}
  ): RedisCommand<never> => {
    const builder = args()
      .key(key)
      .text(cursor)
      // The pattern matches members, not keys, so a key prefix must not be added to it.
      .option("MATCH", options.match, (args, match) => args.text(match))
      .option("COUNT", options.count, (args, count) => args.integer(count))
      .flag("NOSCORES", options.noscores)
    const decoder: Decode.Decoder<unknown> = options.noscores === true ? page : scoredPage
    return ZSCAN(builder, decoder, text) as RedisCommand<never>
  }

  const endAndCount = (builder: Args, end: SortedSetEnd, count: number | undefined): Args =>
    builder.token(endToken(end)).option("COUNT", count, (args, count) => args.integer(count))

  return {
    ...makeRange(codec),
    ...makeAlgebra(codec),
    bzmpop: (keys, end, options) =>
      BZMPOP(endAndCount(args().timeout(options?.timeout).numkeys(keys), end, options?.count), poppedMany, text),
    bzpopmax: (keys, options) => BZPOPMAX(args().keys(keys).timeout(options?.timeout), popped, text),
    bzpopmin: (keys, options) => BZPOPMIN(args().keys(keys).timeout(options?.timeout), popped, text),
    zadd,
    zcard: (key) => ZCARD(args().key(key), Decode.integer),
    zincrby: (key, increment, member) => ZINCRBY(args().key(key).double(increment).value(codec, member), Decode.double),
    zmpop: (keys, end, options) => ZMPOP(endAndCount(args().numkeys(keys), end, options?.count), poppedMany, text),
    zmscore: (key, members) => ZMSCORE(args().key(key).values(codec, "member", members), optionalScores),
    zpopmax: (key: Key, options?: { readonly count?: number | undefined }) => pop(ZPOPMAX, key, options),
    zpopmin: (key: Key, options?: { readonly count?: number | undefined }) => pop(ZPOPMIN, key, options),
    zrandmember: zrandmember as SortedSetCommands<V, K>["zrandmember"],
    zrank: (key: Key, member: V, options?: { readonly withscore?: boolean | undefined }) =>
      rank(ZRANK, key, member, options),
    zrem: (key, members) => ZREM(args().key(key).values(codec, "member", members), Decode.integer),
    zrevrank: (key: Key, member: V, options?: { readonly withscore?: boolean | undefined }) =>
      rank(ZREVRANK, key, member, options),
    zscan: zscan as SortedSetCommands<V, K>["zscan"],
    zscore: (key, member) => ZSCORE(args().key(key).value(codec, member), optionalScore)
  }
}
