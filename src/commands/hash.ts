/**
 * Hashes: fields and values under one key. The expiry of fields is in `hash-expiry`.
 *
 * The codec encodes and decodes values, never names of fields: they are text, or bytes. Whole hashes come back as
 * records with text names under every codec, so that they have one shape (docs/decisions/0003). In lists of names and
 * of pairs, names are bytes under `Codec.bytes`.
 *
 * @see https://redis.io/docs/latest/commands/?group=hash
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type Args,
  args,
  type Checked,
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
import {
  appendNames,
  appendPairs,
  type HashExpiryChange,
  type HashExpiryCommands,
  type HashExpiryCondition,
  type HashExpiryRemoval,
  type HashFields,
  type HsetexCondition,
  make as makeExpiry,
  pairsOf
} from "./hash-expiry.js"

export type {
  HashExpiryChange,
  HashExpiryCommands,
  HashExpiryCondition,
  HashExpiryRemoval,
  HashFields,
  HsetexCondition
}

/**
 * Options of HSCAN.
 *
 * @since 0.1.0
 * @category options
 */
export interface HscanOptions {
  /**
   * Only fields whose name matches this glob pattern. The server filters a page after it has read it, so a page may be
   * empty.
   */
  readonly match?: Key | undefined
  /** About how many fields to scan per page. Default: 10. It is not a limit: a small hash comes in one page. */
  readonly count?: number | undefined
}

/** How many random fields, and whether with their values. */
interface RandomFields {
  readonly count?: number | undefined
  readonly withvalues?: boolean | undefined
}

type WithCount<O> = [Possible<O, "withvalues">] extends [never]
  ? unknown
  : O extends { readonly count: number }
    ? unknown
    : { readonly withvalues: Needs<"count"> }

/**
 * {@link HscanOptions}, and whether to leave the values out.
 *
 * @since 0.1.0
 * @category options
 */
export interface HscanAll extends HscanOptions {
  readonly novalues?: boolean | undefined
}

/**
 * The commands on hashes.
 *
 * @since 0.1.0
 * @category models
 */
export interface HashCommands<V, K extends Key> extends HashExpiryCommands<V> {
  /**
   * Deletes fields, and returns how many existed. A hash without fields is deleted.
   *
   * O(N) in the number of fields. Since Redis 2.0.0.
   */
  readonly hdel: (key: Key, fields: OneOrMany<Key>) => RedisCommand<number>

  /**
   * Whether a field exists.
   *
   * O(1). Since Redis 2.0.0.
   */
  readonly hexists: (key: Key, field: Key) => RedisCommand<boolean>

  /**
   * The value of a field; `None` when the field is missing.
   *
   * O(1). Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * const name = yield* Redis.hget("user:1", "name") // Option<string>
   * ```
   */
  readonly hget: (key: Key, field: Key) => RedisCommand<Option.Option<V>>

  /**
   * All fields as a record; empty when the hash is missing. The record has no prototype, so a field may have any name.
   * The order is the server's, except that JavaScript puts names that are whole numbers first.
   *
   * A name that is not UTF-8 is a `DecodeError`, because as text it could collide with other names. To read such a
   * hash, use {@link hkeys} with {@link hmget}, or {@link hscan}, under `Codec.bytes`.
   *
   * O(N) in the size of the hash. Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * const user = yield* Redis.hgetall("user:1") // Record<string, string>
   * const copy = yield* Redis.hset("user:2", user)
   * ```
   */
  readonly hgetall: (key: Key) => RedisCommand<Record<string, V>>

  /**
   * Removes a fieldset from this connection. `false` when there is none. Hashes made with it stay.
   *
   * Needs a connection of its own. O(N) in the number of the connection's fieldsets. Since Redis 8.10.0; not in Valkey.
   */
  readonly himportDiscard: (fieldset: Key) => RedisCommand<boolean>

  /**
   * Removes all fieldsets from this connection, and returns how many there were.
   *
   * Needs a connection of its own. O(N) in the number of the connection's fieldsets. Since Redis 8.10.0; not in Valkey.
   */
  readonly himportDiscardall: () => RedisCommand<number>

  /**
   * Defines a fieldset, a named list of fields, for this connection only. {@link himportSet} then makes hashes with
   * these fields and sends only their values. No field may repeat.
   *
   * Needs a connection of its own. O(N*log(N)) in the number of fields. Since Redis 8.10.0; not in Valkey.
   *
   * @example
   * ```ts
   * const connection = yield* Pool.acquire
   * yield* connection.execute(Redis.himportPrepare("user", ["name", "email"]))
   * yield* connection.execute(Redis.himportSet("user:1", "user", ["Ada", "ada@example.org"]))
   * ```
   */
  readonly himportPrepare: (fieldset: Key, fields: OneOrMany<Key>) => RedisCommand<void>

  /**
   * Makes a hash from a fieldset's fields and these values, one for each field, in the order of {@link himportPrepare}.
   * An existing hash is replaced.
   *
   * Needs the connection that prepared the fieldset. O(N) in the number of fields. Since Redis 8.10.0; not in Valkey.
   */
  readonly himportSet: (key: Key, fieldset: Key, values: OneOrMany<V>) => RedisCommand<void>

  /**
   * Adds an integer to a field, and returns the sum. A missing field counts as 0. A sum beyond 2^53 - 1 is stored, but
   * fails with a `DecodeError`, because a number cannot hold it exactly.
   *
   * O(1). Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * const visits = yield* Redis.hincrby("user:1", "visits", 1) // number
   * ```
   */
  readonly hincrby: (key: Key, field: Key, increment: number | bigint) => RedisCommand<number>

  /**
   * Adds a floating point number to a field, and returns the sum. A missing field counts as 0.
   *
   * O(1). Since Redis 2.6.0.
   */
  readonly hincrbyfloat: (key: Key, field: Key, increment: number) => RedisCommand<number>

  /**
   * The names of all fields.
   *
   * O(N) in the size of the hash. Since Redis 2.0.0.
   */
  readonly hkeys: (key: Key) => RedisCommand<Array<K>>

  /**
   * The number of fields; 0 when the hash is missing.
   *
   * O(1). Since Redis 2.0.0.
   */
  readonly hlen: (key: Key) => RedisCommand<number>

  /**
   * The values of fields, in order; `None` for a missing field.
   *
   * O(N) in the number of fields. Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * const [name, email] = yield* Redis.hmget("user:1", ["name", "email"]) // Array<Option<string>>
   * ```
   */
  readonly hmget: (key: Key, fields: OneOrMany<Key>) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Stores fields.
   *
   * O(N) in the number of fields. Since Redis 2.0.0.
   *
   * @deprecated since Redis 4.0.0, not in Valkey: use {@link hset}
   */
  readonly hmset: {
    /**
     * Stores fields.
     *
     * O(N) in the number of fields. Since Redis 2.0.0.
     *
     * @deprecated since Redis 4.0.0, not in Valkey: use {@link hset}
     */
    (key: Key, fields: HashFields<V>): RedisCommand<void>

    /**
     * Stores one field.
     *
     * O(1). Since Redis 2.0.0.
     *
     * @deprecated since Redis 4.0.0, not in Valkey: use {@link hset}
     */
    (key: Key, field: Key, value: V): RedisCommand<void>
  }

  /**
   * Random fields. Without `count`: one field, `None` when the hash is missing. With a positive `count`: up to that
   * many different fields. With a negative `count`: exactly that many, which may repeat. With `withvalues`: pairs.
   *
   * O(N) in the number of fields returned. Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const field = yield* Redis.hrandfield("quiz") // Option<string>
   * const three = yield* Redis.hrandfield("quiz", { count: 3, withvalues: true }) // Array<[string, string]>
   * ```
   */
  readonly hrandfield: {
    /**
     * One random field; `None` when the hash is missing.
     *
     * O(N) in the number of fields returned. Since Redis 6.2.0.
     *
     * @example
     * ```ts
     * const field = yield* Redis.hrandfield("quiz") // Option<string>
     * ```
     */
    (key: Key): RedisCommand<Option.Option<K>>

    /**
     * Random fields. Without `count`: one field, `None` when the hash is missing. With a positive `count`: up to that
     * many different fields. With a negative `count`: exactly that many, which may repeat. With `withvalues`: pairs.
     *
     * O(N) in the number of fields returned. Since Redis 6.2.0.
     */
    <const O extends RandomFields | undefined>(
      key: Key,
      options: Checked<O, RandomFields> & WithCount<O>
    ): RedisCommand<IfGiven<O, "count", IfFlag<O, "withvalues", Array<[K, V]>, Array<K>>, Option.Option<K>>>
  }

  /**
   * One page of a hash. The first cursor is `"0"`; each page returns the next one, and `"0"` after the last page. A
   * field that exists during the whole scan is returned at least once; a field may be returned twice. With `novalues`
   * (Redis 7.4.0, Valkey 8.0.0): names only.
   *
   * O(1) for each page. Since Redis 2.8.0.
   *
   * @example
   * ```ts
   * const { cursor, items } = yield* Redis.hscan("user:1", "0", { match: "address:*" })
   * ```
   */
  readonly hscan: {
    /**
     * One page of a hash. The first cursor is `"0"`; each page returns the next one, and `"0"` after the last page. A
     * field that exists during the whole scan is returned at least once; a field may be returned twice. With `novalues`
     * (Redis 7.4.0, Valkey 8.0.0): names only.
     *
     * O(1) for each page. Since Redis 2.8.0.
     */
    (key: Key, cursor: string): RedisCommand<Decode.ScanPage<[K, V]>>

    /**
     * One page of a hash. The first cursor is `"0"`; each page returns the next one, and `"0"` after the last page. A
     * field that exists during the whole scan is returned at least once; a field may be returned twice. With `novalues`
     * (Redis 7.4.0, Valkey 8.0.0): names only.
     *
     * O(1) for each page. Since Redis 2.8.0.
     */
    <const O extends HscanAll | undefined>(
      key: Key,
      cursor: string,
      options: Checked<O, HscanAll>
    ): RedisCommand<IfFlag<O, "novalues", Decode.ScanPage<K>, Decode.ScanPage<[K, V]>>>
  }

  /**
   * Stores one or more fields, and returns how many of them are new. Other fields stay unchanged.
   *
   * O(N) in the number of fields. Since Redis 2.0.0, many at once since 4.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.hset("user:1", { name: "Ada", email: "ada@example.org" })
   * yield* Redis.hset("user:1", "name", "Ada")
   * ```
   */
  readonly hset: {
    /**
     * Stores fields, and returns how many of them are new. Other fields stay unchanged.
     *
     * O(N) in the number of fields. Since Redis 2.0.0, many at once since 4.0.0.
     *
     * @example
     * ```ts
     * yield* Redis.hset("user:1", { name: "Ada", email: "ada@example.org" })
     * ```
     */
    (key: Key, fields: HashFields<V>): RedisCommand<number>

    /**
     * Stores one field, and returns 1 if it is new, 0 if not. Other fields stay unchanged.
     *
     * O(1). Since Redis 2.0.0.
     *
     * @example
     * ```ts
     * yield* Redis.hset("user:1", "name", "Ada")
     * ```
     */
    (key: Key, field: Key, value: V): RedisCommand<number>
  }

  /**
   * Stores a field. `false` when the field exists already.
   *
   * O(1). Since Redis 2.0.0.
   */
  readonly hsetnx: (key: Key, field: Key, value: V) => RedisCommand<boolean>

  /**
   * The length of a field's value in bytes; 0 when the field is missing.
   *
   * O(1). Since Redis 3.2.0.
   */
  readonly hstrlen: (key: Key, field: Key) => RedisCommand<number>

  /**
   * The values of all fields, in the order of {@link hkeys}.
   *
   * O(N) in the size of the hash. Since Redis 2.0.0.
   */
  readonly hvals: (key: Key) => RedisCommand<Array<V>>
}

const HDEL = define("HDEL")
const HEXISTS = define("HEXISTS")
const HGET = define("HGET")
const HGETALL = define("HGETALL")
const HIMPORT_DISCARD = define("HIMPORT DISCARD")
const HIMPORT_DISCARDALL = define("HIMPORT DISCARDALL")
const HIMPORT_PREPARE = define("HIMPORT PREPARE")
const HIMPORT_SET = define("HIMPORT SET")
const HINCRBY = define("HINCRBY")
const HINCRBYFLOAT = define("HINCRBYFLOAT")
const HKEYS = define("HKEYS")
const HLEN = define("HLEN")
const HMGET = define("HMGET")
const HMSET = define("HMSET")
const HRANDFIELD = define("HRANDFIELD")
const HSCAN = define("HSCAN")
const HSET = define("HSET")
const HSETNX = define("HSETNX")
const HSTRLEN = define("HSTRLEN")
const HVALS = define("HVALS")

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): HashCommands<V, K> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const values = Decode.array(value)
  const optional = Decode.nullable(value)
  const optionals = Decode.array(optional)
  const record = Decode.record(value)
  const name = Decode.key(codec)
  const names = Decode.array(name)
  const optionalName = Decode.nullable(name)
  const pairs = Decode.entries(name, value)
  const namePage = Decode.scanPage(names)
  const pairPage = Decode.scanPage(pairs)

  type Stored = readonly [fields: HashFields<V>] | readonly [field: Key, value: V]

  const stored = (key: Key, input: Stored): Args =>
    appendPairs(args().key(key), codec, input.length === 2 ? [input] : pairsOf(input[0]))

  const hrandfield = (key: Key, options?: RandomFields): RedisCommand<never> => {
    const builder = args().key(key)
    if (options?.count === undefined && options?.withvalues !== true) {
      return HRANDFIELD(builder, optionalName, text) as RedisCommand<never>
    }
    if (options.count === undefined) {
      builder.fail("withvalues needs a count")
    }
    builder.when(options.count, (args, count) => args.integer(count)).flag("WITHVALUES", options.withvalues)
    const decoder: Decode.Decoder<unknown> = options.withvalues === true ? pairs : names
    return HRANDFIELD(builder, decoder, text) as RedisCommand<never>
  }

  const hscan = (
    key: Key,
    cursor: string,
    options: HscanOptions & { readonly novalues?: boolean | undefined } = {}
  ): RedisCommand<never> => {
    const builder = args()
      .key(key)
      .text(cursor)
      // The pattern matches fields, not keys, so a key prefix must not be added to it.
      .option("MATCH", options.match, (args, match) => args.text(match))
      .option("COUNT", options.count, (args, count) => args.integer(count))
      .flag("NOVALUES", options.novalues)
    const decoder: Decode.Decoder<unknown> = options.novalues === true ? namePage : pairPage
    return HSCAN(builder, decoder, text) as RedisCommand<never>
  }

  return {
    ...makeExpiry(codec),
    hdel: (key, fields) => HDEL(appendNames(args().key(key), fields), Decode.integer),
    hexists: (key, field) => HEXISTS(args().key(key).text(field), Decode.boolean),
    hget: (key, field) => HGET(args().key(key).text(field), optional, text),
    hgetall: (key) => HGETALL(args().key(key), record, text),
    himportDiscard: (fieldset) => HIMPORT_DISCARD(args().text(fieldset), Decode.boolean),
    himportDiscardall: () => HIMPORT_DISCARDALL(args(), Decode.integer),
    himportPrepare: (fieldset, fields) => HIMPORT_PREPARE(appendNames(args().text(fieldset), fields), Decode.ok),
    himportSet: (key, fieldset, values) =>
      HIMPORT_SET(args().key(key).text(fieldset).values(codec, "value", values), Decode.ok),
    hincrby: (key, field, increment) => HINCRBY(args().key(key).text(field).integer(increment), Decode.integer),
    hincrbyfloat: (key, field, increment) => HINCRBYFLOAT(args().key(key).text(field).double(increment), Decode.double),
    hkeys: (key) => HKEYS(args().key(key), names, text),
    hlen: (key) => HLEN(args().key(key), Decode.integer),
    hmget: (key, fields) => HMGET(appendNames(args().key(key), fields), optionals, text),
    hmset: (key: Key, ...input: Stored) => HMSET(stored(key, input), Decode.ok),
    hrandfield: hrandfield as HashCommands<V, K>["hrandfield"],
    hscan: hscan as HashCommands<V, K>["hscan"],
    hset: (key: Key, ...input: Stored) => HSET(stored(key, input), Decode.integer),
    hsetnx: (key, field, value) => HSETNX(args().key(key).text(field).value(codec, value), Decode.boolean),
    hstrlen: (key, field) => HSTRLEN(args().key(key).text(field), Decode.integer),
    hvals: (key) => HVALS(args().key(key), values, text)
  }
}
