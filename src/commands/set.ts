/**
 * Sets: members without order, each once.
 *
 * Members are values: they go through the codec. Two are the same when they are the same bytes.
 *
 * @see https://redis.io/docs/latest/commands/?group=set
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Key, type OneOrMore } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"

/**
 * How far to count.
 *
 * @since 0.1.0
 * @category options
 */
export interface SetCardinalityOptions {
  /** Stop counting here. 0, the default, counts to the end. */
  readonly limit?: number | undefined
}

/**
 * Which part of a set a page of SSCAN looks at.
 *
 * @since 0.1.0
 * @category options
 */
export interface SscanOptions {
  /** Only members that fit this glob pattern. It is applied to what was found: pages may be empty. */
  readonly match?: Key | undefined
  /** How much work to do for one page, 10 by default. No limit: small sets come in one page. */
  readonly count?: number | undefined
}

/**
 * The commands on sets.
 *
 * @since 0.1.0
 * @category models
 */
export interface SetCommands<V> {
  /**
   * Adds members and answers how many of them are new.
   *
   * O(N) in the number of members. Since Redis 1.0.0, many at once since 2.4.0.
   *
   * @example
   * ```ts
   * const added = yield* Redis.sadd("tags", ["red", "green"]) // number
   * ```
   */
  readonly sadd: (key: Key, members: Arr.NonEmptyReadonlyArray<V>) => RedisCommand<number>

  /**
   * Counts the members; 0 when there is no such set.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly scard: (key: Key) => RedisCommand<number>

  /**
   * The members of the first set that none of the others has.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sdiff: (keys: OneOrMore<Key>) => RedisCommand<Array<V>>

  /**
   * Counts the members of the first set that none of the others has.
   *
   * O(N) in the members of all sets. Since Redis 8.10.0; not in Valkey.
   */
  readonly sdiffcard: (keys: OneOrMore<Key>, options?: SetCardinalityOptions) => RedisCommand<number>

  /**
   * Stores what {@link sdiff} would answer, in place of what the destination held, and answers how many members it has.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sdiffstore: (destination: Key, keys: OneOrMore<Key>) => RedisCommand<number>

  /**
   * The members that all sets have.
   *
   * O(N*M) at worst, N being the members of the smallest set and M the number of sets. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const both = yield* Redis.sinter(["tags:1", "tags:2"]) // Array<string>
   * ```
   */
  readonly sinter: (keys: OneOrMore<Key>) => RedisCommand<Array<V>>

  /**
   * Counts the members that all sets have.
   *
   * O(N*M) at worst, N being the members of the smallest set and M the number of sets. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const many = yield* Redis.sintercard(["tags:1", "tags:2"], { limit: 100 }) // number, at most 100
   * ```
   */
  readonly sintercard: (keys: OneOrMore<Key>, options?: SetCardinalityOptions) => RedisCommand<number>

  /**
   * Stores what {@link sinter} would answer, in place of what the destination held, and answers how many members it
   * has.
   *
   * O(N*M) at worst, N being the members of the smallest set and M the number of sets. Since Redis 1.0.0.
   */
  readonly sinterstore: (destination: Key, keys: OneOrMore<Key>) => RedisCommand<number>

  /**
   * Whether the set has a member.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly sismember: (key: Key, member: V) => RedisCommand<boolean>

  /**
   * All members; none when there is no such set.
   *
   * O(N) in the members. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const tags = yield* Redis.smembers("tags") // Array<string>
   * ```
   */
  readonly smembers: (key: Key) => RedisCommand<Array<V>>

  /**
   * Whether the set has each of the members, in order.
   *
   * O(N) in the number of members. Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const [red, blue] = yield* Redis.smismember("tags", ["red", "blue"]) // Array<boolean>
   * ```
   */
  readonly smismember: (key: Key, members: Arr.NonEmptyReadonlyArray<V>) => RedisCommand<Array<boolean>>

  /**
   * Moves a member from one set to another, and says whether it was there to be moved.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly smove: (source: Key, destination: Key, member: V) => RedisCommand<boolean>

  /**
   * Takes a member by chance out of the set (`None` when there is none), or with `count` up to as many.
   *
   * O(1), or O(N) in the count. Since Redis 1.0.0, `count` since 3.2.0.
   *
   * @example
   * ```ts
   * const winner = yield* Redis.spop("raffle") // Option<string>
   * const three = yield* Redis.spop("raffle", { count: 3 }) // Array<string>
   * ```
   */
  readonly spop: {
    (key: Key): RedisCommand<Option.Option<V>>
    (key: Key, options: { readonly count: number }): RedisCommand<Array<V>>
  }

  /**
   * Members by chance, which stay: one (`None` when there is none), or with `count` up to as many different ones, or with
   * a negative `count` exactly as many, which may repeat.
   *
   * O(1), or O(N) in the count. Since Redis 1.0.0, `count` since 2.6.0.
   */
  readonly srandmember: {
    (key: Key): RedisCommand<Option.Option<V>>
    (key: Key, options: { readonly count: number }): RedisCommand<Array<V>>
  }

  /**
   * Removes members and answers how many there were. The set is gone with its last member.
   *
   * O(N) in the number of members. Since Redis 1.0.0, many at once since 2.4.0.
   */
  readonly srem: (key: Key, members: Arr.NonEmptyReadonlyArray<V>) => RedisCommand<number>

  /**
   * A page of a set, beginning at a cursor: `"0"` at first, then the one of the page before, until it is `"0"` again. A
   * member that is there all the time comes at least once; one may come twice.
   *
   * O(1) for each page. Since Redis 2.8.0.
   *
   * @example
   * ```ts
   * const { cursor, items } = yield* Redis.sscan("tags", "0", { match: "r*" })
   * ```
   */
  readonly sscan: (key: Key, cursor: string, options?: SscanOptions) => RedisCommand<Decode.ScanPage<V>>

  /**
   * The members that any of the sets has.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sunion: (keys: OneOrMore<Key>) => RedisCommand<Array<V>>

  /**
   * Counts the members that any of the sets has; `approx` estimates them in little memory, within about 1 %.
   *
   * O(N) in the members of all sets. Since Redis 8.10.0; not in Valkey.
   */
  readonly sunioncard: (
    keys: OneOrMore<Key>,
    options?: SetCardinalityOptions & { readonly approx?: boolean | undefined }
  ) => RedisCommand<number>

  /**
   * Stores what {@link sunion} would answer, in place of what the destination held, and answers how many members it
   * has.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sunionstore: (destination: Key, keys: OneOrMore<Key>) => RedisCommand<number>
}

const SADD = define("SADD")
const SCARD = define("SCARD")
const SDIFF = define("SDIFF")
const SDIFFCARD = define("SDIFFCARD")
const SDIFFSTORE = define("SDIFFSTORE")
const SINTER = define("SINTER")
const SINTERCARD = define("SINTERCARD")
const SINTERSTORE = define("SINTERSTORE")
const SISMEMBER = define("SISMEMBER")
const SMEMBERS = define("SMEMBERS")
const SMISMEMBER = define("SMISMEMBER")
const SMOVE = define("SMOVE")
const SPOP = define("SPOP")
const SRANDMEMBER = define("SRANDMEMBER")
const SREM = define("SREM")
const SSCAN = define("SSCAN")
const SUNION = define("SUNION")
const SUNIONCARD = define("SUNIONCARD")
const SUNIONSTORE = define("SUNIONSTORE")

const booleans = Decode.array(Decode.boolean)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): SetCommands<V> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const values = Decode.array(value)
  const optional = Decode.nullable(value)
  const page = Decode.scanPage(values)

  /** One by chance, or with a count a list. */
  const byChance =
    (command: typeof SPOP) =>
    (key: Key, options?: { readonly count: number }): RedisCommand<never> => {
      const builder = args().key(key)
      const decoder: Decode.Decoder<unknown> = options === undefined ? optional : values
      return command(
        builder.when(options, (args, { count }) => args.integer(count)),
        decoder,
        text
      ) as RedisCommand<never>
    }

  const limited = (keys: OneOrMore<Key>, { approx, limit }: { approx?: boolean | undefined } & SetCardinalityOptions) =>
    args()
      .numkeys(keys)
      .flag("APPROX", approx)
      .option("LIMIT", limit, (args, limit) => args.integer(limit))

  return {
    sadd: (key, members) => SADD(args().key(key).values(codec, members), Decode.integer),
    scard: (key) => SCARD(args().key(key), Decode.integer),
    sdiff: (keys) => SDIFF(args().keys(keys), values, text),
    sdiffcard: (keys, options = {}) => SDIFFCARD(limited(keys, options), Decode.integer),
    sdiffstore: (destination, keys) => SDIFFSTORE(args().key(destination).keys(keys), Decode.integer),
    sinter: (keys) => SINTER(args().keys(keys), values, text),
    sintercard: (keys, options = {}) => SINTERCARD(limited(keys, options), Decode.integer),
    sinterstore: (destination, keys) => SINTERSTORE(args().key(destination).keys(keys), Decode.integer),
    sismember: (key, member) => SISMEMBER(args().key(key).value(codec, member), Decode.boolean),
    smembers: (key) => SMEMBERS(args().key(key), values, text),
    smismember: (key, members) => SMISMEMBER(args().key(key).values(codec, members), booleans),
    smove: (source, destination, member) =>
      SMOVE(args().key(source).key(destination).value(codec, member), Decode.boolean),
    spop: byChance(SPOP),
    srandmember: byChance(SRANDMEMBER),
    srem: (key, members) => SREM(args().key(key).values(codec, members), Decode.integer),
    sscan: (key, cursor, { count, match } = {}) =>
      SSCAN(
        args()
          .key(key)
          .text(cursor)
          // Over members, not keys: no prefix belongs before it.
          .option("MATCH", match, (args, match) => args.text(match))
          .option("COUNT", count, (args, count) => args.integer(count)),
        page,
        text
      ),
    sunion: (keys) => SUNION(args().keys(keys), values, text),
    sunioncard: (keys, options = {}) => SUNIONCARD(limited(keys, options), Decode.integer),
    sunionstore: (destination, keys) => SUNIONSTORE(args().key(destination).keys(keys), Decode.integer)
  }
}
