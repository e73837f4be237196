/**
 * Expiry of single hash fields.
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
  arrayOf,
  type DurationWithUnit,
  type Key,
  type List,
  type OneOrMany,
  toList
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { type ExistenceCondition, expiry, type GetExpiry, type SetExpiry } from "./string-options.js"

/**
 * Fields of a hash and their values, at least one: a record, or pairs when names are bytes.
 *
 * @since 0.1.0
 * @category options
 */
export type HashFields<V> = List<readonly [field: Key, value: V]> | { readonly [field: string]: V }

/**
 * The condition under which the expiry of a field is set. For `gt` and `lt`, a field without expiry counts as
 * infinitely late.
 *
 * @since 0.1.0
 * @category options
 */
export type HashExpiryCondition = AtMostOne<{
  /** Only if the field has no expiry. */
  readonly nx: true
  /** Only if the field has an expiry. */
  readonly xx: true
  /** Only if the new expiry is later than the current one. */
  readonly gt: true
  /** Only if the new expiry is earlier than the current one. */
  readonly lt: true
}>

/**
 * The result of setting the expiry of a field.
 *
 * - `set`: the expiry is set.
 * - `deleted`: the time was not in the future, so the field was deleted.
 * - `unchanged`: the condition was not met.
 * - `missing`: the field or the hash does not exist.
 *
 * @since 0.1.0
 * @category models
 */
export type HashExpiryChange = "set" | "deleted" | "unchanged" | "missing"

/**
 * The result of removing the expiry of a field.
 *
 * - `persisted`: the field no longer expires.
 * - `unchanged`: the field had no expiry.
 * - `missing`: the field or the hash does not exist.
 *
 * @since 0.1.0
 * @category models
 */
export type HashExpiryRemoval = "persisted" | "unchanged" | "missing"

/**
 * The conditions under which HSETEX stores: `nx` and `xx` concern the hash (Valkey only), `fnx` and `fxx` the fields.
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
   * Sets after how many whole seconds fields expire, and returns the result for each. Zero deletes the field.
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
    fields: OneOrMany<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * Sets the time at which fields expire, in whole seconds, and returns the result for each.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hexpireat: (
    key: Key,
    time: AbsoluteTime,
    fields: OneOrMany<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * The time at which each field expires, to the second: `None` for a missing field, `Some(None)` for a field that
   * never expires.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hexpiretime: (
    key: Key,
    fields: OneOrMany<Key>
  ) => RedisCommand<Array<Option.Option<Option.Option<DateTime.Utc>>>>

  /**
   * Reads and deletes fields; `None` for a missing field. A hash without fields is deleted.
   *
   * O(N) in the number of fields. Since Redis 8.0.0, Valkey 9.1.0.
   *
   * @example
   * ```ts
   * const [token] = yield* Redis.hgetdel("session:1", ["token"]) // Array<Option<string>>
   * ```
   */
  readonly hgetdel: (key: Key, fields: OneOrMany<Key>) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Reads fields and changes their expiry; `None` for a missing field. Without options it only reads.
   *
   * O(N) in the number of fields. Since Redis 8.0.0, Valkey 9.0.0.
   *
   * @example
   * ```ts
   * const [cart] = yield* Redis.hgetex("session:1", ["cart"], { ex: "30 minutes" }) // Array<Option<string>>
   * ```
   */
  readonly hgetex: (key: Key, fields: OneOrMany<Key>, options?: GetExpiry) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Removes the expiry of fields, and returns the result for each.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpersist: (key: Key, fields: OneOrMany<Key>) => RedisCommand<Array<HashExpiryRemoval>>

  /**
   * Like {@link hexpire}, in milliseconds.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpexpire: (
    key: Key,
    expiry: DurationWithUnit,
    fields: OneOrMany<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * Like {@link hexpireat}, to the millisecond.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpexpireat: (
    key: Key,
    time: AbsoluteTime,
    fields: OneOrMany<Key>,
    condition?: HashExpiryCondition
  ) => RedisCommand<Array<HashExpiryChange>>

  /**
   * Like {@link hexpiretime}, to the millisecond.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpexpiretime: (
    key: Key,
    fields: OneOrMany<Key>
  ) => RedisCommand<Array<Option.Option<Option.Option<DateTime.Utc>>>>

  /**
   * Like {@link httl}, to the millisecond.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly hpttl: (key: Key, fields: OneOrMany<Key>) => RedisCommand<Array<Option.Option<Duration.Duration>>>

  /**
   * Stores fields with one common expiry. `false` when the condition is not met; then none is stored. Without an expiry
   * the fields never expire, unless `keepttl` keeps their current one. `nx` and `xx` concern the hash, and only Valkey
   * supports them.
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
   * The remaining time to live of each field, in whole seconds: `None` for a missing field, an infinite duration for a
   * field that never expires.
   *
   * O(N) in the number of fields. Since Redis 7.4.0, Valkey 9.0.0.
   */
  readonly httl: (key: Key, fields: OneOrMany<Key>) => RedisCommand<Array<Option.Option<Duration.Duration>>>
}

/**
 * Appends names of fields. Neither the codec nor a key prefix applies to them.
 *
 * @internal
 */
export const appendNames = (args: Args, input: OneOrMany<Key>): Args =>
  args.some("field", input, (args, name) => args.text(name))

/**
 * Fields and values as pairs. Of a record, only its own properties.
 *
 * @internal
 */
export const pairsOf = <V>(fields: HashFields<V>): ReadonlyArray<readonly [Key, V]> =>
  arrayOf<readonly [Key, V]>(fields) ?? Object.entries(fields as { readonly [field: string]: V })

/**
 * Appends fields and values in turn.
 *
 * @internal
 */
export const appendPairs = <V, K extends Key>(
  args: Args,
  codec: Codec<V, K>,
  pairs: ReadonlyArray<readonly [Key, V]>
): Args => args.some("field", pairs, (args, [field, value]) => args.text(field).value(codec, value))

const appendFields = (args: Args, fields: OneOrMany<Key>): Args =>
  appendNames(args.token("FIELDS").integer(toList(fields).length), fields)

const appendCondition = (args: Args, condition: HashExpiryCondition | undefined): Args =>
  condition === undefined
    ? args
    : args
        .atMostOne(condition, ["nx", "xx", "gt", "lt"])
        .flag("NX", condition.nx)
        .flag("XX", condition.xx)
        .flag("GT", condition.gt)
        .flag("LT", condition.lt)

const outcomes = <A extends string>(byCode: { readonly [code: number]: A }): Decode.Decoder<Array<A>> =>
  Decode.array((reply) => byCode[Decode.integer(reply)] ?? Decode.mismatch("a known result code", reply))

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
        .atMostOne(options, ["nx", "xx"])
        .atMostOne(options, ["fnx", "fxx"])
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
