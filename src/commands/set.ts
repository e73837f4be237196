/**
 * Sets: unordered members, each at most once.
 *
 * Members are values: the codec encodes and decodes them. Two members are equal when their encoded bytes are.
 *
 * @see https://redis.io/docs/latest/commands/?group=set
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Checked, type IfGiven, type Key, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"

/**
 * Options of the commands that count members.
 *
 * @since 0.1.0
 * @category options
 */
export interface SetCardinalityOptions {
  /** Stop counting at this number. 0 (the default) counts all. */
  readonly limit?: number | undefined
}

/**
 * Options of SSCAN.
 *
 * @since 0.1.0
 * @category options
 */
export interface SscanOptions {
  /**
   * Only members that match this glob pattern. The server filters a page after it has read it, so a page may be empty.
   */
  readonly match?: Key | undefined
  /** About how many members to scan per page. Default: 10. It is not a limit: a small set comes in one page. */
  readonly count?: number | undefined
}

/** How many elements. */
interface Counted {
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
   * Adds members, and returns how many of them are new.
   *
   * O(N) in the number of members. Since Redis 1.0.0, many at once since 2.4.0.
   *
   * @example
   * ```ts
   * const added = yield* Redis.sadd("tags", ["red", "green"]) // number
   * ```
   */
  readonly sadd: (key: Key, members: OneOrMany<V>) => RedisCommand<number>

  /**
   * The number of members; 0 when the set is missing.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly scard: (key: Key) => RedisCommand<number>

  /**
   * The members of the first set that are in none of the others.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sdiff: (keys: OneOrMany<Key>) => RedisCommand<Array<V>>

  /**
   * The number of members of the first set that are in none of the others.
   *
   * O(N) in the members of all sets. Since Redis 8.10.0; not in Valkey.
   */
  readonly sdiffcard: (keys: OneOrMany<Key>, options?: SetCardinalityOptions) => RedisCommand<number>

  /**
   * Stores the result of {@link sdiff}, and returns its number of members. An existing destination is overwritten.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sdiffstore: (destination: Key, keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * The members that are in all sets.
   *
   * O(N*M) worst case, where N is the size of the smallest set and M the number of sets. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const both = yield* Redis.sinter(["tags:1", "tags:2"]) // Array<string>
   * ```
   */
  readonly sinter: (keys: OneOrMany<Key>) => RedisCommand<Array<V>>

  /**
   * The number of members that are in all sets.
   *
   * O(N*M) worst case, where N is the size of the smallest set and M the number of sets. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const many = yield* Redis.sintercard(["tags:1", "tags:2"], { limit: 100 }) // number, at most 100
   * ```
   */
  readonly sintercard: (keys: OneOrMany<Key>, options?: SetCardinalityOptions) => RedisCommand<number>

  /**
   * Stores the result of {@link sinter}, and returns its number of members. An existing destination is overwritten.
   *
   * O(N*M) worst case, where N is the size of the smallest set and M the number of sets. Since Redis 1.0.0.
   */
  readonly sinterstore: (destination: Key, keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * Whether a value is a member of the set.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly sismember: (key: Key, member: V) => RedisCommand<boolean>

  /**
   * All members; empty when the set is missing.
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
   * Whether each of the values is a member of the set, in order.
   *
   * O(N) in the number of members. Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const [red, blue] = yield* Redis.smismember("tags", ["red", "blue"]) // Array<boolean>
   * ```
   */
  readonly smismember: (key: Key, members: OneOrMany<V>) => RedisCommand<Array<boolean>>

  /**
   * Moves a member from one set to another. `false` when the source does not contain it.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly smove: (source: Key, destination: Key, member: V) => RedisCommand<boolean>

  /**
   * Removes and returns a random member; `None` when the set is missing. With `count`: up to that many.
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
    /**
     * Removes and returns a random member; `None` when the set is missing.
     *
     * O(1). Since Redis 1.0.0.
     *
     * @example
     * ```ts
     * const winner = yield* Redis.spop("raffle") // Option<string>
     * ```
     */
    (key: Key): RedisCommand<Option.Option<V>>

    /**
     * Removes and returns a random member; `None` when the set is missing. With `count`: up to that many.
     *
     * O(1), or O(N) in the count. Since Redis 1.0.0, `count` since 3.2.0.
     */
    <const O extends Counted | undefined>(
      key: Key,
      options: Checked<O, Counted>
    ): RedisCommand<IfGiven<O, "count", Array<V>, Option.Option<V>>>
  }

  /**
   * Random members, without removing them. Without `count`: one member, `None` when the set is missing. With a positive
   * `count`: up to that many different members. With a negative `count`: exactly that many, which may repeat.
   *
   * O(1), or O(N) in the count. Since Redis 1.0.0, `count` since 2.6.0.
   */
  readonly srandmember: {
    /**
     * A random member, without removing it; `None` when the set is missing.
     *
     * O(1). Since Redis 1.0.0.
     */
    (key: Key): RedisCommand<Option.Option<V>>

    /**
     * Random members, without removing them. Without `count`: one member, `None` when the set is missing. With a
     * positive `count`: up to that many different members. With a negative `count`: exactly that many, which may
     * repeat.
     *
     * O(1), or O(N) in the count. Since Redis 1.0.0, `count` since 2.6.0.
     */
    <const O extends Counted | undefined>(
      key: Key,
      options: Checked<O, Counted>
    ): RedisCommand<IfGiven<O, "count", Array<V>, Option.Option<V>>>
  }

  /**
   * Removes members, and returns how many existed. A set without members is deleted.
   *
   * O(N) in the number of members. Since Redis 1.0.0, many at once since 2.4.0.
   */
  readonly srem: (key: Key, members: OneOrMany<V>) => RedisCommand<number>

  /**
   * One page of a set. The first cursor is `"0"`; each page returns the next one, and `"0"` after the last page. A
   * member that exists during the whole scan is returned at least once; a member may be returned twice.
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
   * The members that are in any of the sets.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sunion: (keys: OneOrMany<Key>) => RedisCommand<Array<V>>

  /**
   * The number of members that are in any of the sets. With `approx` it is estimated in little memory, within about 1
   * %.
   *
   * O(N) in the members of all sets. Since Redis 8.10.0; not in Valkey.
   */
  readonly sunioncard: (
    keys: OneOrMany<Key>,
    options?: SetCardinalityOptions & { readonly approx?: boolean | undefined }
  ) => RedisCommand<number>

  /**
   * Stores the result of {@link sunion}, and returns its number of members. An existing destination is overwritten.
   *
   * O(N) in the members of all sets. Since Redis 1.0.0.
   */
  readonly sunionstore: (destination: Key, keys: OneOrMany<Key>) => RedisCommand<number>
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

  /** One random member, or a list of them when `count` is given. */
  const byChance =
    (command: typeof SPOP) =>
    (key: Key, options?: Counted): RedisCommand<never> => {
      const count = options?.count
      const decoder: Decode.Decoder<unknown> = count === undefined ? optional : values
      return command(
        args()
          .key(key)
          .when(count, (args, count) => args.integer(count)),
        decoder,
        text
      ) as RedisCommand<never>
    }

  const limited = (keys: OneOrMany<Key>, { approx, limit }: { approx?: boolean | undefined } & SetCardinalityOptions) =>
    args()
      .numkeys(keys)
      .flag("APPROX", approx)
      .option("LIMIT", limit, (args, limit) => args.integer(limit))

  return {
    sadd: (key, members) => SADD(args().key(key).values(codec, "member", members), Decode.integer),
    scard: (key) => SCARD(args().key(key), Decode.integer),
    sdiff: (keys) => SDIFF(args().keys(keys), values, text),
    sdiffcard: (keys, options = {}) => SDIFFCARD(limited(keys, options), Decode.integer),
    sdiffstore: (destination, keys) => SDIFFSTORE(args().key(destination).keys(keys), Decode.integer),
    sinter: (keys) => SINTER(args().keys(keys), values, text),
    sintercard: (keys, options = {}) => SINTERCARD(limited(keys, options), Decode.integer),
    sinterstore: (destination, keys) => SINTERSTORE(args().key(destination).keys(keys), Decode.integer),
    sismember: (key, member) => SISMEMBER(args().key(key).value(codec, member), Decode.boolean),
    smembers: (key) => SMEMBERS(args().key(key), values, text),
    smismember: (key, members) => SMISMEMBER(args().key(key).values(codec, "member", members), booleans),
    smove: (source, destination, member) =>
      SMOVE(args().key(source).key(destination).value(codec, member), Decode.boolean),
    spop: byChance(SPOP),
    srandmember: byChance(SRANDMEMBER),
    srem: (key, members) => SREM(args().key(key).values(codec, "member", members), Decode.integer),
    sscan: (key, cursor, { count, match } = {}) =>
      SSCAN(
        args()
          .key(key)
          .text(cursor)
          // The pattern matches members, not keys, so a key prefix must not be added to it.
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
