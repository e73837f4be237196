/**
 * Hash fields that expire, each by itself.
 *
 * @see https://redis.io/docs/latest/commands/?group=hash
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type AbsoluteTime,
  type Args,
  type AtMostOne,
  args,
  type DurationWithUnit,
  type Key,
  type OneOrMore,
  toList
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { type ExistenceCondition, expiry, type GetExpiry, type SetExpiry } from "./string-options.js"

/**
 * Fields of a hash and their values: a record, or pairs, for names that are bytes. Never empty.
 *
 * @since 0.1.0
 * @category options
 */
export type HashFields<V> =
  | readonly [readonly [field: Key, value: V], ...ReadonlyArray<readonly [field: Key, value: V]>]
  | { readonly [field: string]: V }

/**
 * Under which condition a field is given an expiry. A field without one never expires, so it is later than any other.
 *
 * @since 0.1.0
 * @category options
 */
export type HashExpiryCondition = AtMostOne<{
  /** Only if the field has no expiry. */
  readonly nx: true
  /** Only if the field has an expiry. */
  readonly xx: true
  /** Only if the field expires later then. */
  readonly gt: true
  /** Only if the field expires sooner then. */
  readonly lt: true
}>

/**
 * What became of a field that was given an expiry.
 *
 * - `set`: it expires then.
 * - `deleted`: the time was not in the future.
 * - `unchanged`: the condition was not met.
 * - `missing`: there is no such field, or no such hash.
 *
 * @since 0.1.0
 * @category models
 */
export type HashExpiryChange = "set" | "deleted" | "unchanged" | "missing"

/**
 * What became of a field whose expiry was to be removed.
 *
 * - `persisted`: it no longer expires.
 * - `unchanged`: it had no expiry.
 * - `missing`: there is no such field, or no such hash.
 *
 * @since 0.1.0
 * @category models
 */
export type HashExpiryRemoval = "persisted" | "unchanged" | "missing"

/**
 * Under which conditions HSETEX stores: of the hash, which only Valkey knows, and of the fields.
 *
 * @since 0.1.0
 * @category options
 */
export type HsetexCondition = AtMostOne<ExistenceCondition> &
  AtMostOne<{
    /** Only if none of the fields exists. */
    readonly fnx: true
    /** Only if all of the fields exist. */
    readonly fxx: true
  }>

/**
 * The commands on the expiry of hash fields.
 *
 * @since 0.1.0
 * @category models
 */
export interface HashExpiryCommands<V> {
  /**
   * Lets fields expire after a time of whole seconds, and says for each what became of it. After no time at all it is
   * deleted.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   *
   * @example
   * ```ts
   * const [cart] = yield* Redis.hexpire("session:1", "30 minutes", ["cart"]) // "set", "missing", …
   * ```
   */
  readonly hexpire: (
    key: Key,
    expiry: DurationWithUnit,
    fields: OneOrMore<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * Lets fields expire at a time of a whole second, and says for each what became of it.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hexpireat: (
    key: Key,
    time: AbsoluteTime,
    fields: OneOrMore<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * When each of the fields expires, to the second: `None` for a field that is missing, `Some(None)` for one that does
   * not expire.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hexpiretime: (
    key: Key,
    fields: OneOrMore<Key>
  ) => RedisCommand<Array<Option.Option<Option.Option<DateTime.Utc>>>>

  /**
   * Reads fields and deletes them, in order; `None` for those that are missing. The hash is gone with its last field.
   *
   * O(N) in the number of fields. Since Redis 8.0.0, Valkey 9.1.0.
   *
   * @example
   * ```ts
   * const [token] = yield* Redis.hgetdel("session:1", ["token"]) // Array<Option<string>>
   * ```
   */
  readonly hgetdel: (key: Key, fields: OneOrMore<Key>) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Reads fields and changes when they expire; `None` for those that are missing. Without options it only reads.
   *
   * O(N) in the number of fields. Since Redis 8.0.0, Valkey 9.0.0.
   *
   * @example
   * ```ts
   * const [cart] = yield* Redis.hgetex("session:1", ["cart"], { ex: "30 minutes" }) // Array<Option<string>>
   * ```
   */
  readonly hgetex: (key: Key, fields: OneOrMore<Key>, options?: GetExpiry) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Removes the expiry of fields, and says for each what became of it.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpersist: (key: Key, fields: OneOrMore<Key>) => RedisCommand<Array<HashExpiryRemoval>>

  /**
   * Lets fields expire after a time of whole milliseconds; otherwise like {@link hexpire}.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpexpire: (
    key: Key,
    expiry: DurationWithUnit,
    fields: OneOrMore<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * Lets fields expire at a time, to the millisecond; otherwise like {@link hexpireat}.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpexpireat: (
    key: Key,
    time: AbsoluteTime,
    fields: OneOrMore<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * When each of the fields expires, to the millisecond; otherwise like {@link hexpiretime}.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpexpiretime: (
    key: Key,
    fields: OneOrMore<Key>
  ) => RedisCommand<Array<Option.Option<Option.Option<DateTime.Utc>>>>

  /**
   * How long each of the fields has left, to the millisecond; otherwise like {@link httl}.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpttl: (key: Key, fields: OneOrMore<Key>) => RedisCommand<Array<Option.Option<Duration.Duration>>>

  /**
   * Stores fields with one expiry, all or none of them, and says whether it did. Without an expiry they never expire,
   * unless `keepttl` says otherwise. `nx` and `xx` speak of the hash, and only Valkey knows them.
   *
   * O(N) in the number of fields. Since Redis 8.0.0, Valkey 9.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.hsetex("session:1", { cart: "[]", theme: "dark" }, { ex: "30 minutes" })
   * const fresh = yield* Redis.hsetex("session:1", { token }, { fnx: true, ex: "1 minute" }) // boolean
   * ```
   */
  readonly hsetex: (key: Key, fields: HashFields<V>, options?: HsetexCondition & SetExpiry) => RedisCommand<boolean>

  /**
   * How long each of the fields has left, in whole seconds: `None` for a field that is missing, an infinite duration
   * for one that does not expire.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly httl: (key: Key, fields: OneOrMore<Key>) => RedisCommand<Array<Option.Option<Duration.Duration>>>
}

/**
 * Names of fields: the codec does not touch them, and no prefix is put before them.
 *
 * @internal
 */
export const appendNames = (args: Args, input: OneOrMore<Key>): Args => {
  const names = toList(input)
  return names.length === 0 ? args.fail("needs at least one field") : args.each(names, (args, name) => args.text(name))
}

/**
 * Fields and values as pairs. A record's own fields only.
 *
 * @internal
 */
export const pairsOf = <V>(fields: HashFields<V>): ReadonlyArray<readonly [Key, V]> =>
  Array.isArray(fields) ? fields : Object.entries(fields as { readonly [field: string]: V })

/**
 * Fields and values in turn.
 *
 * @internal
 */
export const appendPairs = <V, K extends Key>(
  args: Args,
  codec: Codec<V, K>,
  pairs: ReadonlyArray<readonly [Key, V]>
): Args =>
  pairs.length === 0
    ? args.fail("needs at least one field")
    : args.each(pairs, (args, [field, value]) => args.text(field).value(codec, value))

const appendFields = (args: Args, fields: OneOrMore<Key>): Args =>
  appendNames(args.token("FIELDS").integer(toList(fields).length), fields)

const appendCondition = (args: Args, condition: HashExpiryCondition | undefined): Args =>
  condition === undefined
    ? args
    : args.flag("NX", condition.nx).flag("XX", condition.xx).flag("GT", condition.gt).flag("LT", condition.lt)

const outcomes = <A extends string>(byCode: { readonly [code: number]: A }): Decode.Decoder<Array<A>> =>
  Decode.array((reply) => byCode[Decode.integer(reply)] ?? Decode.mismatch("a code of what became of the field", reply))

const changes = outcomes<HashExpiryChange>({ [-2]: "missing", 0: "unchanged", 1: "set", 2: "deleted" })
const removals = outcomes<HashExpiryRemoval>({ [-2]: "missing", [-1]: "unchanged", 1: "persisted" })
const ttlSeconds = Decode.array(Decode.ttlSeconds)
const ttlMillis = Decode.array(Decode.ttlMillis)
const timeSeconds = Decode.array(Decode.expiryTimeSeconds)
const timeMillis = Decode.array(Decode.expiryTimeMillis)

const HEXPIRE = define("HEXPIRE")
const HEXPIREAT = define("HEXPIREAT")
const HEXPIRETIME = define("HEXPIRETIME")
const HGETDEL = define("HGETDEL")
const HGETEX = define("HGETEX")
const HPERSIST = define("HPERSIST")
const HPEXPIRE = define("HPEXPIRE")
const HPEXPIREAT = define("HPEXPIREAT")
const HPEXPIRETIME = define("HPEXPIRETIME")
const HPTTL = define("HPTTL")
const HSETEX = define("HSETEX")
const HTTL = define("HTTL")

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): HashExpiryCommands<V> => {
  const text = codec.wants === "text"
  const optionals = Decode.array(Decode.nullable(Decode.value(codec)))

  return {
    hexpire: (key, expiry, fields, condition) =>
      HEXPIRE(appendFields(appendCondition(args().key(key).seconds(expiry), condition), fields), changes),
    hexpireat: (key, time, fields, condition) =>
      HEXPIREAT(appendFields(appendCondition(args().key(key).timeSeconds(time), condition), fields), changes),
    hexpiretime: (key, fields) => HEXPIRETIME(appendFields(args().key(key), fields), timeSeconds),
    hgetdel: (key, fields) => HGETDEL(appendFields(args().key(key), fields), optionals, text),
    hgetex: (key, fields, options = {}) => {
      const builder = expiry(args().key(key), options).flag("PERSIST", options.persist)
      return HGETEX(appendFields(builder, fields), optionals, text)
    },
    hpersist: (key, fields) => HPERSIST(appendFields(args().key(key), fields), removals),
    hpexpire: (key, expiry, fields, condition) =>
      HPEXPIRE(appendFields(appendCondition(args().key(key).millis(expiry), condition), fields), changes),
    hpexpireat: (key, time, fields, condition) =>
      HPEXPIREAT(appendFields(appendCondition(args().key(key).timeMillis(time), condition), fields), changes),
    hpexpiretime: (key, fields) => HPEXPIRETIME(appendFields(args().key(key), fields), timeMillis),
    hpttl: (key, fields) => HPTTL(appendFields(args().key(key), fields), ttlMillis),
    hsetex: (key, fields, options = {}) => {
      const pairs = pairsOf(fields)
      const builder = args()
        .key(key)
        .flag("NX", options.nx)
        .flag("XX", options.xx)
        .flag("FNX", options.fnx)
        .flag("FXX", options.fxx)
      expiry(builder, options).flag("KEEPTTL", options.keepttl).token("FIELDS").integer(pairs.length)
      return HSETEX(appendPairs(builder, codec, pairs), Decode.boolean)
    },
    httl: (key, fields) => HTTL(appendFields(args().key(key), fields), ttlSeconds)
  }
}
