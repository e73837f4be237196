/**
 * Keys of any type: deleting, renaming, expiry, scanning, sorting, moving between servers.
 *
 * A missing key and a key that never expires are different results of TTL and its relatives:
 *
 * | | missing key | no expiry | expires |
 * |---|---|---|---|
 * | `ttl`, `pttl` | `None` | `Some(Duration.infinity)` | `Some(duration)` |
 * | `expiretime`, `pexpiretime` | `None` | `Some(None)` | `Some(Some(time))` |
 *
 * @see https://redis.io/docs/latest/commands/?group=generic
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { Codec } from "../Codec.js"
import {
  type AbsoluteTime,
  type Args,
  type AtMostOne,
  args,
  type Checked,
  type DurationWithUnit,
  type IfGiven,
  type Key,
  type OneOrMany,
  wholeMillis
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"

/**
 * The type of a key's value. Modules add types of their own.
 *
 * @since 0.1.0
 * @category models
 */
export type KeyType = "string" | "list" | "set" | "zset" | "hash" | "stream" | "vectorset" | (string & {})

/**
 * The condition under which EXPIRE and its relatives set the expiry. For `gt` and `lt`, a key without expiry counts as
 * infinitely late.
 *
 * @since 0.1.0
 * @category options
 */
export type ExpireCondition =
  | {
      /** Only if the key has no expiry. */
      readonly nx?: boolean | undefined
      readonly xx?: false | undefined
      readonly gt?: false | undefined
      readonly lt?: false | undefined
    }
  | ({
      readonly nx?: false | undefined
      /** Only if the key has an expiry. */
      readonly xx?: boolean | undefined
    } & AtMostOne<{
      /** Only if the new expiry is later than the current one. */
      readonly gt: true
      /** Only if the new expiry is earlier than the current one. */
      readonly lt: true
    }>)

/**
 * @since 0.1.0
 * @category options
 */
export interface CopyOptions {
  /** The database of the copy. Default: the connection's own. */
  readonly db?: number | undefined
  /** Overwrite an existing destination. */
  readonly replace?: boolean | undefined
}

/**
 * How MIGRATE logs in to the other server, and whether it copies or moves.
 *
 * @since 0.1.0
 * @category options
 */
export type MigrateOptions = {
  /** Keep the keys on this server. */
  readonly copy?: boolean | undefined
  /** Overwrite existing keys on the other server. */
  readonly replace?: boolean | undefined
} & AtMostOne<{
  /** The other server's password. */
  readonly auth: Redacted.Redacted<string>
  /** A user of the other server. */
  readonly auth2: { readonly username: string; readonly password: Redacted.Redacted<string> }
}>

/**
 * Options of RESTORE: the expiry and usage of the new key.
 *
 * @since 0.1.0
 * @category options
 */
export type RestoreOptions = {
  /** Overwrite an existing key. */
  readonly replace?: boolean | undefined
} & AtMostOne<{
  /** Expires after this long. Without it and `absttl` the key never expires. */
  readonly ttl: DurationWithUnit
  /** Expires at this time. */
  readonly absttl: AbsoluteTime
}> &
  AtMostOne<{
    /** How long the key has been idle, in whole seconds: for eviction by LRU. */
    readonly idletime: DurationWithUnit
    /** How often the key was used, from 0 to 255: for eviction by LFU. */
    readonly freq: number
  }>

/**
 * @since 0.1.0
 * @category options
 */
export interface ScanOptions {
  /** Only keys that match this glob pattern. */
  readonly match?: Key | undefined
  /** About how many keys to scan per page. Default: 10. */
  readonly count?: number | undefined
  /** Only keys that hold this type. */
  readonly type?: KeyType | undefined
}

/**
 * How SORT sorts. At most one of `asc` and `desc` may be given.
 *
 * @since 0.1.0
 * @category options
 */
export interface SortOptions {
  /**
   * The keys to sort by: `*` stands for the element, `->` for a hash field (`weight:*`, `user:*->age`). `"nosort"` does
   * not sort.
   */
  readonly by?: Key | undefined
  readonly limit?: { readonly offset: number; readonly count: number } | undefined
  /** Sort as text, not as numbers. */
  readonly alpha?: boolean | undefined
  /** The lowest first. This is the default. */
  readonly asc?: boolean | undefined
  /** The highest first. */
  readonly desc?: boolean | undefined
  /** What is returned in place of each element: patterns as in `by`, or `"#"` for the element itself. */
  readonly get?: OneOrMany<Key> | undefined
}

/**
 * How SORT sorts, and where it stores.
 *
 * @since 0.1.0
 * @category options
 */
export interface SortStoreOptions extends SortOptions {
  /** The key to store the result in, as a list. */
  readonly store?: Key | undefined
}

/**
 * What SORT returns: the elements, or with `get` what stands in their places.
 *
 * @since 0.1.0
 * @category models
 */
export type Sorted<O, V> = IfGiven<O, "get", Array<Option.Option<V>>, Array<V>>

/**
 * Where the writes of a connection are persisted (WAITAOF).
 *
 * @since 0.1.0
 * @category models
 */
export interface WaitaofReply {
  /** 1 when this server's AOF contains the writes, else 0. */
  readonly local: number
  /** The number of replicas whose AOF contains the writes. */
  readonly replicas: number
}

/**
 * The commands on keys of any type.
 *
 * @since 0.1.0
 * @category models
 */
export interface GenericCommands<V, K extends Key> {
  /**
   * Copies a key. `false` when the source is missing, or when the destination exists and `replace` is not set.
   *
   * O(N) in the elements of collections, O(1) for strings. Since Redis 6.2.0.
   */
  readonly copy: (source: Key, destination: Key, options?: CopyOptions) => RedisCommand<boolean>

  /**
   * Deletes keys, and returns how many existed. For large values use {@link unlink}, which does not block other
   * clients.
   *
   * O(N) in the number of keys, and the elements of collections. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const deleted = yield* Redis.del(["a", "b"]) // number
   * ```
   */
  readonly del: (keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * A key's value as bytes for {@link restore}, without its expiry; `None` when the key is missing. The format depends
   * on the server's version.
   *
   * O(1) to find the key, O(N*M) in the elements and their size. Since Redis 2.6.0.
   */
  readonly dump: (key: Key) => RedisCommand<Option.Option<Uint8Array>>

  /**
   * How many of the keys exist; a key that is given twice counts twice.
   *
   * O(N) in the number of keys. Since Redis 1.0.0 (several keys since 3.0.3).
   */
  readonly exists: (keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * Sets after how many whole seconds a key expires. `false` when the key is missing or the condition is not met. Zero
   * deletes the key. Durations are never rounded; for milliseconds use {@link pexpire}.
   *
   * O(1). Since Redis 1.0.0 (conditions since 7.0.0).
   *
   * @example
   * ```ts
   * yield* Redis.expire("session", "30 minutes")
   * yield* Redis.expire("session", "1 hour", { gt: true })
   * ```
   */
  readonly expire: (key: Key, ttl: DurationWithUnit, condition?: ExpireCondition) => RedisCommand<boolean>

  /**
   * Sets the time at which a key expires, in whole seconds. `false` when the key is missing or the condition is not
   * met. A time in the past deletes the key.
   *
   * O(1). Since Redis 1.2.0 (conditions since 7.0.0).
   */
  readonly expireat: (key: Key, time: AbsoluteTime, condition?: ExpireCondition) => RedisCommand<boolean>

  /**
   * The time at which a key expires, in whole seconds. `None`: the key is missing; `Some(None)`: it never expires.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly expiretime: (key: Key) => RedisCommand<Option.Option<Option.Option<DateTime.Utc>>>

  /**
   * All keys that match a glob pattern. The server looks at every key and blocks all other clients meanwhile: in
   * production use {@link scan}.
   *
   * O(N) in the number of keys of the database. Since Redis 1.0.0.
   */
  readonly keys: (pattern: Key) => RedisCommand<Array<K>>

  /**
   * Moves keys to another server. `false` when none of the keys exists. A key is deleted on this server once the other
   * one has stored it, unless `copy` is set. `timeout` is how long either server may be silent; give large keys a
   * deadline of their own with `RedisCommand.withDeadline`.
   *
   * For each key, the cost of DUMP and DEL on this server and of RESTORE on the other. Since Redis 2.6.0.
   */
  readonly migrate: (
    keys: OneOrMany<Key>,
    host: string,
    port: number,
    destinationDb: number,
    timeout: DurationWithUnit,
    options?: MigrateOptions
  ) => RedisCommand<boolean>

  /**
   * Moves a key to another database. `false` when the key is missing, or exists in the other database.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly move: (key: Key, db: number) => RedisCommand<boolean>

  /**
   * The server's internal encoding of a key's value, such as `"listpack"`; `None` when the key is missing.
   *
   * O(1). Since Redis 2.2.3.
   */
  readonly objectEncoding: (key: Key) => RedisCommand<Option.Option<string>>

  /**
   * How often a key is used, as an approximate logarithm; `None` when the key is missing. Fails unless the server
   * evicts by LFU.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly objectFreq: (key: Key) => RedisCommand<Option.Option<number>>

  /**
   * How long a key has been idle; `None` when the key is missing. Fails when the server evicts by LFU.
   *
   * O(1). Since Redis 2.2.3.
   */
  readonly objectIdletime: (key: Key) => RedisCommand<Option.Option<Duration.Duration>>

  /**
   * How many references the server holds to a key's value; `None` when the key is missing.
   *
   * O(1). Since Redis 2.2.3.
   */
  readonly objectRefcount: (key: Key) => RedisCommand<Option.Option<number>>

  /**
   * Removes a key's expiry. `false` when the key is missing or has no expiry.
   *
   * O(1). Since Redis 2.2.0.
   */
  readonly persist: (key: Key) => RedisCommand<boolean>

  /**
   * Sets after how many milliseconds a key expires. `false` when the key is missing or the condition is not met. Zero
   * deletes the key.
   *
   * O(1). Since Redis 2.6.0 (conditions since 7.0.0).
   */
  readonly pexpire: (key: Key, ttl: DurationWithUnit, condition?: ExpireCondition) => RedisCommand<boolean>

  /**
   * Sets the time at which a key expires, to the millisecond. `false` when the key is missing or the condition is not
   * met. A time in the past deletes the key.
   *
   * O(1). Since Redis 2.6.0 (conditions since 7.0.0).
   */
  readonly pexpireat: (key: Key, time: AbsoluteTime, condition?: ExpireCondition) => RedisCommand<boolean>

  /**
   * The time at which a key expires, to the millisecond. `None`: the key is missing; `Some(None)`: it never expires.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly pexpiretime: (key: Key) => RedisCommand<Option.Option<Option.Option<DateTime.Utc>>>

  /**
   * The remaining time to live of a key, to the millisecond. `None`: the key is missing; an infinite duration: it never
   * expires.
   *
   * O(1). Since Redis 2.6.0.
   */
  readonly pttl: (key: Key) => RedisCommand<Option.Option<Duration.Duration>>

  /**
   * A random key of the database; `None` when the database is empty.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly randomkey: () => RedisCommand<Option.Option<K>>

  /**
   * Renames a key, and overwrites an existing key of the new name. Fails when the key is missing.
   *
   * O(1), plus the cost of deleting the overwritten value. Since Redis 1.0.0.
   */
  readonly rename: (key: Key, newkey: Key) => RedisCommand<void>

  /**
   * Renames a key. `false` when the new name exists already. Fails when the key is missing.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly renamenx: (key: Key, newkey: Key) => RedisCommand<boolean>

  /**
   * Creates a key from the bytes of {@link dump}. Fails with the code `BUSYKEY` when the key exists and `replace` is
   * not set.
   *
   * O(1) to create the key, O(N*M) in the elements and their size. Since Redis 2.6.0.
   *
   * @example
   * ```ts
   * const dumped = yield* Redis.dump("a") // Option<Uint8Array>
   * if (Option.isSome(dumped)) yield* Redis.restore("b", dumped.value, { ttl: "1 day", replace: true })
   * ```
   */
  readonly restore: (key: Key, serialized: Uint8Array, options?: RestoreOptions) => RedisCommand<void>

  /**
   * One page of keys. The first cursor is `"0"`; each page returns the next one. `scanStream` walks all pages.
   *
   * O(1) per page, O(N) for all of them. Since Redis 2.8.0 (`type` since 6.0.0).
   */
  readonly scan: (cursor: string, options?: ScanOptions) => RedisCommand<Decode.ScanPage<K>>

  /**
   * Sorts the elements of a list, set or sorted set. With `get`, each element is replaced by the values of other keys,
   * one for each pattern. With `store`, the result is stored as a list, and its length is returned.
   *
   * O(N+M*log(M)) for N elements sorted and M returned. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const newest = yield* Redis.sort("ids", { desc: true, limit: { offset: 0, count: 10 } }) // Array<string>
   * const names = yield* Redis.sort("ids", { by: "user:*->age", get: "user:*->name" }) // Array<Option<string>>
   * ```
   */
  readonly sort: {
    /**
     * Sorts the elements of a list, set or sorted set.
     *
     * O(N+M*log(M)) for N elements sorted and M returned. Since Redis 1.0.0.
     */
    (key: Key): RedisCommand<Array<V>>

    /**
     * Sorts the elements of a list, set or sorted set. With `get`, each element is replaced by the values of other keys,
     * one for each pattern. With `store`, the result is stored as a list, and its length is returned.
     *
     * O(N+M*log(M)) for N elements sorted and M returned. Since Redis 1.0.0.
     *
     * @example
     * ```ts
     * const newest = yield* Redis.sort("ids", { desc: true, limit: { offset: 0, count: 10 } }) // Array<string>
     * const names = yield* Redis.sort("ids", { by: "user:*->age", get: "user:*->name" }) // Array<Option<string>>
     * ```
     */
    <const O extends SortStoreOptions | undefined>(
      key: Key,
      options: Checked<O, SortStoreOptions, "asc" | "desc">
    ): RedisCommand<IfGiven<O, "store", number, Sorted<O, V>>>
  }

  /**
   * {@link sort} without `store`: it only reads, so replicas can execute it.
   *
   * O(N+M*log(M)) for N elements sorted and M returned. Since Redis 7.0.0.
   */
  readonly sortRo: {
    /**
     * {@link sort} without `store`: it only reads, so replicas can execute it.
     *
     * O(N+M*log(M)) for N elements sorted and M returned. Since Redis 7.0.0.
     */
    (key: Key): RedisCommand<Array<V>>

    /**
     * {@link sort} without `store`: it only reads, so replicas can execute it.
     *
     * O(N+M*log(M)) for N elements sorted and M returned. Since Redis 7.0.0.
     */
    <const O extends SortOptions | undefined>(
      key: Key,
      options: Checked<O, SortOptions, "asc" | "desc">
    ): RedisCommand<Sorted<O, V>>
  }

  /**
   * Updates the last access time of keys, and returns how many exist.
   *
   * O(N) in the number of keys. Since Redis 3.2.1.
   */
  readonly touch: (keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * The remaining time to live of a key, in whole seconds. `None`: the key is missing; an infinite duration: it never
   * expires.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const left = yield* Redis.ttl("session") // Option<Duration>
   * const soon = Option.exists(left, Duration.lessThan("1 minute"))
   * ```
   */
  readonly ttl: (key: Key) => RedisCommand<Option.Option<Duration.Duration>>

  /**
   * The type of a key's value; `"none"` when the key is missing.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly type: (key: Key) => RedisCommand<KeyType | "none">

  /**
   * Deletes keys, and returns how many existed. Their memory is freed in the background.
   *
   * O(1) for each key. Since Redis 4.0.0.
   */
  readonly unlink: (keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * Waits until this many replicas have the writes of this connection, or the timeout passes, and returns how many have
   * them. It covers the writes of its own connection only: use `Redis.withReplication`, or send it over the lease that
   * wrote.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly wait: (numreplicas: number, timeout: DurationWithUnit) => RedisCommand<number>

  /**
   * Waits until the writes of this connection are in this server's append-only file (`numlocal` 1) and in those of this
   * many replicas, or the timeout passes. Like {@link wait} it covers its own connection only.
   *
   * O(1). Since Redis 7.2.0.
   */
  readonly waitaof: (numlocal: 0 | 1, numreplicas: number, timeout: DurationWithUnit) => RedisCommand<WaitaofReply>
}

const condition = (builder: Args, options: ExpireCondition = {}): Args => {
  const { gt, lt, nx, xx } = options
  return builder
    .atMostOne(options, ["nx", "xx"])
    .atMostOne(options, ["nx", "gt", "lt"])
    .flag("NX", nx)
    .flag("XX", xx)
    .flag("GT", gt)
    .flag("LT", lt)
}

/** `nosort` and `#` are tokens of Redis; every other pattern begins with the beginning of a key. */
const sortPattern = (builder: Args, pattern: Key): Args =>
  pattern === "nosort" || pattern === "#" ? builder.token(pattern) : builder.keyPrefix(pattern)

const sorting = (builder: Args, options: SortOptions): Args => {
  const { alpha, asc, by, desc, get, limit } = options
  builder
    .atMostOne(options, ["asc", "desc"])
    .option("BY", by, sortPattern)
    .option("LIMIT", limit, (args, { count, offset }) => args.integer(offset).integer(count))
  if (get !== undefined) {
    builder.some("pattern of `get`", get, (args, pattern) => sortPattern(args.token("GET"), pattern))
  }
  return builder.flag("ASC", asc).flag("DESC", desc).flag("ALPHA", alpha)
}

/**
 * The time to live of RESTORE. For Redis, 0 means that the key never expires, so a duration or a time of zero is
 * refused.
 */
const restoreTtl = (builder: Args, ttl: DurationWithUnit | undefined, absttl: AbsoluteTime | undefined): Args => {
  if (ttl === undefined && absttl === undefined) {
    return builder.integer(0)
  }
  builder.when(ttl, (args, ttl) => args.millis(ttl)).when(absttl, (args, time) => args.timeMillis(time))
  return builder.list.at(-1)?.data === "0"
    ? builder.fail("an expiry must be longer than zero (leave it out for a key that never expires)")
    : builder
}

const cursor = (builder: Args, cursor: string): Args =>
  /^\d{1,20}$/.test(cursor)
    ? builder.text(cursor)
    : builder.fail('a cursor must be "0" or the cursor of the previous page')

const optionalText = Report.optionalText
const optionalInteger = Decode.nullable(Decode.integer)
const optionalBytes = Decode.nullable(Decode.bytes)
const optionalSeconds = Decode.nullable((reply) => Duration.seconds(Decode.integer(reply)))

const migrated: Decode.Decoder<boolean> = (reply) => Report.text(reply) !== "NOKEY"

const waitaofPair = Decode.tuple(Decode.integer, Decode.integer)
const waitaofReply: Decode.Decoder<WaitaofReply> = (reply) => {
  const [local, replicas] = waitaofPair(reply)
  return { local, replicas }
}

const COPY = define("COPY")
const DEL = define("DEL")
const DUMP = define("DUMP")
const EXISTS = define("EXISTS")
const EXPIRE = define("EXPIRE")
const EXPIREAT = define("EXPIREAT")
const EXPIRETIME = define("EXPIRETIME")
const KEYS = define("KEYS")
const MIGRATE = define("MIGRATE")
const MOVE = define("MOVE")
const OBJECT_ENCODING = define("OBJECT ENCODING")
const OBJECT_FREQ = define("OBJECT FREQ")
const OBJECT_IDLETIME = define("OBJECT IDLETIME")
const OBJECT_REFCOUNT = define("OBJECT REFCOUNT")
const PERSIST = define("PERSIST")
const PEXPIRE = define("PEXPIRE")
const PEXPIREAT = define("PEXPIREAT")
const PEXPIRETIME = define("PEXPIRETIME")
const PTTL = define("PTTL")
const RANDOMKEY = define("RANDOMKEY")
const RENAME = define("RENAME")
const RENAMENX = define("RENAMENX")
const RESTORE = define("RESTORE")
const SCAN = define("SCAN")
const SORT = define("SORT")
const SORT_RO = define("SORT_RO")
const TOUCH = define("TOUCH")
const TTL = define("TTL")
const TYPE = define("TYPE")
const UNLINK = define("UNLINK")
const WAIT = define("WAIT")
const WAITAOF = define("WAITAOF")

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): GenericCommands<V, K> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const values = Decode.array(value)
  const optionals = Decode.array(Decode.nullable(value))
  const key = Decode.key(codec)
  const keys = Decode.array(key)
  const optionalKey = Decode.nullable(key)

  const page = Decode.scanPage(keys)

  const sort = (key: Key, options: SortStoreOptions = {}) => {
    const { get, store } = options
    const builder = sorting(args().key(key), options).option("STORE", store, (args, destination) =>
      args.key(destination)
    )
    const decoder: Decode.Decoder<unknown> =
      store !== undefined ? Decode.integer : get === undefined ? values : optionals
    return SORT(builder, decoder, text) as RedisCommand<never>
  }

  return {
    copy: (source, destination, options = {}) => {
      const builder = args()
        .key(source)
        .key(destination)
        .option("DB", options.db, (args, db) => args.integer(db))
      return COPY(builder.flag("REPLACE", options.replace), Decode.boolean)
    },
    del: (keys) => DEL(args().keys(keys), Decode.integer),
    dump: (key) => DUMP(args().key(key), optionalBytes, false),
    exists: (keys) => EXISTS(args().keys(keys), Decode.integer),
    expire: (key, ttl, options) => EXPIRE(condition(args().key(key).seconds(ttl), options), Decode.boolean),
    expireat: (key, time, options) => EXPIREAT(condition(args().key(key).timeSeconds(time), options), Decode.boolean),
    expiretime: (key) => EXPIRETIME(args().key(key), Decode.expiryTimeSeconds),
    keys: (pattern) => KEYS(args().pattern(pattern), keys, text),
    migrate: (keys, host, port, destinationDb, timeout, options = {}) => {
      const { auth, auth2, copy, replace } = options
      const one = typeof keys === "string" || keys instanceof Uint8Array
      const builder = args().text(host).integer(port)
      // With KEYS, the argument for a single key must be empty.
      const placed = one ? builder.key(keys) : builder.text("")
      if (wholeMillis(timeout) === 0) {
        builder.fail("a timeout must be longer than zero (Redis would treat zero as one second)")
      }
      placed
        .integer(destinationDb)
        .millis(timeout)
        .flag("COPY", copy)
        .flag("REPLACE", replace)
        .option("AUTH", auth, (args, password) => args.secret(password))
        .atMostOne(options, ["auth", "auth2"])
        .option("AUTH2", auth2, (args, { password, username }) => args.text(username).secret(password))
      return MIGRATE(one ? placed : placed.token("KEYS").keys(keys), migrated)
    },
    move: (key, db) => MOVE(args().key(key).integer(db), Decode.boolean),
    objectEncoding: (key) => OBJECT_ENCODING(args().key(key), optionalText),
    objectFreq: (key) => OBJECT_FREQ(args().key(key), optionalInteger),
    objectIdletime: (key) => OBJECT_IDLETIME(args().key(key), optionalSeconds),
    objectRefcount: (key) => OBJECT_REFCOUNT(args().key(key), optionalInteger),
    persist: (key) => PERSIST(args().key(key), Decode.boolean),
    pexpire: (key, ttl, options) => PEXPIRE(condition(args().key(key).millis(ttl), options), Decode.boolean),
    pexpireat: (key, time, options) => PEXPIREAT(condition(args().key(key).timeMillis(time), options), Decode.boolean),
    pexpiretime: (key) => PEXPIRETIME(args().key(key), Decode.expiryTimeMillis),
    pttl: (key) => PTTL(args().key(key), Decode.ttlMillis),
    randomkey: () => RANDOMKEY(args(), optionalKey, text),
    rename: (key, newkey) => RENAME(args().key(key).key(newkey), Decode.ok),
    renamenx: (key, newkey) => RENAMENX(args().key(key).key(newkey), Decode.boolean),
    restore: (key, serialized, options = {}) => {
      const { absttl, freq, idletime, replace, ttl } = options
      const builder = restoreTtl(args().key(key), ttl, absttl)
        .text(serialized)
        .flag("REPLACE", replace)
        .flag("ABSTTL", absttl !== undefined)
        .atMostOne(options, ["ttl", "absttl"])
        .atMostOne(options, ["idletime", "freq"])
        .option("IDLETIME", idletime, (args, idle) => args.seconds(idle))
        .option("FREQ", freq, (args, frequency) => args.integer(frequency))
      return RESTORE(builder, Decode.ok)
    },
    scan: (from, options = {}) => {
      const builder = cursor(args(), from)
        .option("MATCH", options.match, (args, pattern) => args.pattern(pattern))
        .option("COUNT", options.count, (args, count) => args.integer(count))
        .option("TYPE", options.type, (args, type) => args.text(type))
      return SCAN(builder, page, text)
    },
    sort,
    sortRo: (key: Key, options: SortOptions = {}) =>
      SORT_RO(
        sorting(args().key(key), options),
        (options.get === undefined ? values : optionals) as Decode.Decoder<never>,
        text
      ),
    touch: (keys) => TOUCH(args().keys(keys), Decode.integer),
    ttl: (key) => TTL(args().key(key), Decode.ttlSeconds),
    type: (key) => TYPE(args().key(key), Report.text),
    unlink: (keys) => UNLINK(args().keys(keys), Decode.integer),
    wait: (numreplicas, timeout) => WAIT(args().integer(numreplicas).timeoutMillis(timeout), Decode.integer),
    waitaof: (numlocal, numreplicas, timeout) =>
      WAITAOF(args().integer(numlocal).integer(numreplicas).timeoutMillis(timeout), waitaofReply)
  }
}
