/**
 * Keys, whatever they hold: deleting, renaming, expiry, scanning, sorting, moving between servers.
 *
 * A key that is not there and a key that never expires are different things, and the replies of TTL and kin say which:
 *
 * | | no such key | no expiry | expires |
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
  type DurationWithUnit,
  type Key,
  type OneOrMore,
  wholeMillis
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"

/**
 * What a key can hold. Modules add types of their own.
 *
 * @since 0.1.0
 * @category models
 */
export type KeyType = "string" | "list" | "set" | "zset" | "hash" | "stream" | "vectorset" | (string & {})

/**
 * When EXPIRE and kin set the new expiry. A key without expiry counts as one that expires after all others.
 *
 * @since 0.1.0
 * @category options
 */
export type ExpireCondition =
  | AtMostOne<{
      /** Only if the key has no expiry. */
      readonly nx: true
      /** Only if the key has an expiry. */
      readonly xx: true
      /** Only if the new expiry is later than the one the key has. */
      readonly gt: true
      /** Only if the new expiry is earlier than the one the key has. */
      readonly lt: true
    }>
  | { readonly xx: true; readonly gt: true; readonly nx?: undefined; readonly lt?: undefined }
  | { readonly xx: true; readonly lt: true; readonly nx?: undefined; readonly gt?: undefined }

/**
 * @since 0.1.0
 * @category options
 */
export interface CopyOptions {
  /** The database of the copy. Default: the connection's own. */
  readonly db?: number | undefined
  /** Overwrite what the destination holds. */
  readonly replace?: boolean | undefined
}

/**
 * How MIGRATE logs in to the other server, and what it leaves behind.
 *
 * @since 0.1.0
 * @category options
 */
export type MigrateOptions = {
  /** Keep the keys here. */
  readonly copy?: boolean | undefined
  /** Overwrite the keys there. */
  readonly replace?: boolean | undefined
} & AtMostOne<{
  /** The other server's password. */
  readonly auth: Redacted.Redacted<string>
  /** A user of the other server. */
  readonly auth2: { readonly username: string; readonly password: Redacted.Redacted<string> }
}>

/**
 * What RESTORE sets beside the value.
 *
 * @since 0.1.0
 * @category options
 */
export type RestoreOptions = {
  /** Overwrite what the key holds. */
  readonly replace?: boolean | undefined
} & AtMostOne<{
  /** Expires after this long. Without it and `absttl` the key never expires. */
  readonly ttl: DurationWithUnit
  /** Expires at this time. */
  readonly absttl: AbsoluteTime
}> &
  AtMostOne<{
    /** For how long the key has not been used, in whole seconds: for eviction by LRU. */
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
  /** About how many keys to look at per page. Default: 10. */
  readonly count?: number | undefined
  /** Only keys that hold this type. */
  readonly type?: KeyType | undefined
}

/**
 * What SORT sorts by, and what it answers.
 *
 * @since 0.1.0
 * @category options
 */
export type SortOptions = {
  /**
   * The keys to sort by: `*` stands for the element, `->` for a hash field (`weight:*`, `user:*->age`). `"nosort"` does
   * not sort.
   */
  readonly by?: Key | undefined
  readonly limit?: { readonly offset: number; readonly count: number } | undefined
  /** Sort as text, not as numbers. */
  readonly alpha?: boolean | undefined
} & AtMostOne<{ readonly asc: true; readonly desc: true }>

/**
 * What to answer in place of each element: patterns as in `by`, and `"#"` for the element itself.
 *
 * @since 0.1.0
 * @category options
 */
export interface SortGet {
  readonly get: OneOrMore<Key>
}

type AnySort = SortOptions & { readonly get?: OneOrMore<Key> | undefined }

/**
 * How far the writes of a connection have come.
 *
 * @since 0.1.0
 * @category models
 */
export interface WaitaofReply {
  /** 1 when this server's AOF has them, else 0. */
  readonly local: number
  /** The number of replicas whose AOF has them. */
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
   * Copies a key and says whether it did: not when the source is missing, nor when the destination exists (unless with
   * `replace`).
   *
   * O(N) in the elements of collections, O(1) for strings. Since Redis 6.2.0.
   */
  readonly copy: (source: Key, destination: Key, options?: CopyOptions) => RedisCommand<boolean>

  /**
   * Deletes keys and answers how many there were. {@link unlink} does it without making others wait for large ones.
   *
   * O(N) in the number of keys, and the elements of collections. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const deleted = yield* Redis.del(["a", "b"]) // number
   * ```
   */
  readonly del: (keys: OneOrMore<Key>) => RedisCommand<number>

  /**
   * What a key holds as bytes that {@link restore} understands, its expiry not included; `None` when there is no such
   * key. The format depends on the server's version.
   *
   * O(1) to find the key, O(N*M) in the elements and their size. Since Redis 2.6.0.
   */
  readonly dump: (key: Key) => RedisCommand<Option.Option<Uint8Array>>

  /**
   * How many of the keys exist; one that is named twice counts twice.
   *
   * O(N) in the number of keys. Since Redis 1.0.0 (several keys since 3.0.3).
   */
  readonly exists: (keys: OneOrMore<Key>) => RedisCommand<number>

  /**
   * Sets when a key expires, in whole seconds, and says whether it did. Zero deletes the key. For anything finer use
   * {@link pexpire}: durations are never rounded.
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
   * Sets at which whole second a key expires, and says whether it did. A time in the past deletes the key.
   *
   * O(1). Since Redis 1.2.0 (conditions since 7.0.0).
   */
  readonly expireat: (key: Key, time: AbsoluteTime, condition?: ExpireCondition) => RedisCommand<boolean>

  /**
   * When a key expires, in whole seconds. `None`: no such key; `Some(None)`: it never does.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly expiretime: (key: Key) => RedisCommand<Option.Option<Option.Option<DateTime.Utc>>>

  /**
   * All keys that match a glob pattern. It looks at every key while everybody waits: programs scan instead.
   *
   * O(N) in the number of keys of the database. Since Redis 1.0.0.
   */
  readonly keys: (pattern: Key) => RedisCommand<Array<K>>

  /**
   * Moves keys to another server and says whether there were any. The key is gone here once it is there, unless with
   * `copy`. `timeout` is how long either side may be silent; give large keys a deadline of their own with
   * `RedisCommand.withDeadline`.
   *
   * DUMP and DEL here, RESTORE there, for each key. Since Redis 2.6.0.
   */
  readonly migrate: (
    keys: OneOrMore<Key>,
    host: string,
    port: number,
    destinationDb: number,
    timeout: DurationWithUnit,
    options?: MigrateOptions
  ) => RedisCommand<boolean>

  /**
   * Moves a key to another database and says whether it did: not when it is missing here, or exists there.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly move: (key: Key, db: number) => RedisCommand<boolean>

  /**
   * How a key's value is stored inside the server, as in `"listpack"`; `None` when there is no such key.
   *
   * O(1). Since Redis 2.2.3.
   */
  readonly objectEncoding: (key: Key) => RedisCommand<Option.Option<string>>

  /**
   * About how often a key is used, as a logarithm; `None` when there is no such key. Fails unless the server evicts by
   * LFU.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly objectFreq: (key: Key) => RedisCommand<Option.Option<number>>

  /**
   * For how long a key has not been used; `None` when there is no such key. Fails when the server evicts by LFU.
   *
   * O(1). Since Redis 2.2.3.
   */
  readonly objectIdletime: (key: Key) => RedisCommand<Option.Option<Duration.Duration>>

  /**
   * How many references the server holds to a key's value; `None` when there is no such key.
   *
   * O(1). Since Redis 2.2.3.
   */
  readonly objectRefcount: (key: Key) => RedisCommand<Option.Option<number>>

  /**
   * Removes a key's expiry and says whether there was one.
   *
   * O(1). Since Redis 2.2.0.
   */
  readonly persist: (key: Key) => RedisCommand<boolean>

  /**
   * Sets when a key expires, in milliseconds, and says whether it did. Zero deletes the key.
   *
   * O(1). Since Redis 2.6.0 (conditions since 7.0.0).
   */
  readonly pexpire: (key: Key, ttl: DurationWithUnit, condition?: ExpireCondition) => RedisCommand<boolean>

  /**
   * Sets at which millisecond a key expires, and says whether it did. A time in the past deletes the key.
   *
   * O(1). Since Redis 2.6.0 (conditions since 7.0.0).
   */
  readonly pexpireat: (key: Key, time: AbsoluteTime, condition?: ExpireCondition) => RedisCommand<boolean>

  /**
   * When a key expires, to the millisecond. `None`: no such key; `Some(None)`: it never does.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly pexpiretime: (key: Key) => RedisCommand<Option.Option<Option.Option<DateTime.Utc>>>

  /**
   * How long a key has left, to the millisecond. `None`: no such key; an infinite duration: it never expires.
   *
   * O(1). Since Redis 2.6.0.
   */
  readonly pttl: (key: Key) => RedisCommand<Option.Option<Duration.Duration>>

  /**
   * Some key of the database; `None` when it is empty.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly randomkey: () => RedisCommand<Option.Option<K>>

  /**
   * Renames a key; what the new name held is lost. Fails when there is no such key.
   *
   * O(1), and the cost of deleting what is lost. Since Redis 1.0.0.
   */
  readonly rename: (key: Key, newkey: Key) => RedisCommand<void>

  /**
   * Renames a key if the new name is free, and says whether it did. Fails when there is no such key.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly renamenx: (key: Key, newkey: Key) => RedisCommand<boolean>

  /**
   * Makes a key of what {@link dump} answered. Fails with the code `BUSYKEY` when the key exists, unless with `replace`.
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
   * One page of keys from a cursor on; `"0"` begins. `scanStream` walks all pages.
   *
   * O(1) per page, O(N) for all of them. Since Redis 2.8.0 (`type` since 6.0.0).
   */
  readonly scan: (cursor: string, options?: ScanOptions) => RedisCommand<Decode.ScanPage<K>>

  /**
   * Sorts the elements of a list, set or sorted set. With `get` it answers other keys' values in their place, as many
   * per element as patterns; with `store` it writes a list and answers its length.
   *
   * O(N+M*log(M)) in the elements sorted and answered. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const newest = yield* Redis.sort("ids", { desc: true, limit: { offset: 0, count: 10 } }) // Array<string>
   * const names = yield* Redis.sort("ids", { by: "user:*->age", get: "user:*->name" }) // Array<Option<string>>
   * ```
   */
  readonly sort: {
    (key: Key, options: AnySort & { readonly store: Key }): RedisCommand<number>
    (key: Key, options: SortOptions & SortGet & { readonly store?: undefined }): RedisCommand<Array<Option.Option<V>>>
    (key: Key, options?: SortOptions & { readonly get?: undefined; readonly store?: undefined }): RedisCommand<Array<V>>
  }

  /**
   * {@link sort} without `store`: changes nothing, so replicas can do it.
   *
   * O(N+M*log(M)) in the elements sorted and answered. Since Redis 7.0.0.
   */
  readonly sortRo: {
    (key: Key, options: SortOptions & SortGet): RedisCommand<Array<Option.Option<V>>>
    (key: Key, options?: SortOptions & { readonly get?: undefined }): RedisCommand<Array<V>>
  }

  /**
   * Marks keys as used just now, and answers how many exist.
   *
   * O(N) in the number of keys. Since Redis 3.2.1.
   */
  readonly touch: (keys: OneOrMore<Key>) => RedisCommand<number>

  /**
   * How long a key has left, in seconds. `None`: no such key; an infinite duration: it never expires.
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
   * What type a key holds; `"none"` when there is no such key.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly type: (key: Key) => RedisCommand<KeyType | "none">

  /**
   * Deletes keys and answers how many there were; their memory is freed in the background.
   *
   * O(1) for each key. Since Redis 4.0.0.
   */
  readonly unlink: (keys: OneOrMore<Key>) => RedisCommand<number>

  /**
   * Waits until so many replicas have the writes of this connection, and answers how many do by then. It speaks of its
   * own connection only: use `Redis.withReplication`, or send it over the lease that wrote.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly wait: (numreplicas: number, timeout: DurationWithUnit) => RedisCommand<number>

  /**
   * Waits until the writes of this connection are in this server's append-only file (`numlocal` 1) and in those of so
   * many replicas. Like {@link wait} it speaks of its own connection only.
   *
   * O(1). Since Redis 7.2.0.
   */
  readonly waitaof: (numlocal: 0 | 1, numreplicas: number, timeout: DurationWithUnit) => RedisCommand<WaitaofReply>
}

const condition = (builder: Args, { gt, lt, nx, xx }: ExpireCondition = {}): Args =>
  builder.flag("NX", nx).flag("XX", xx).flag("GT", gt).flag("LT", lt)

/** `nosort` and `#` are Redis' words; everything else is made of keys. */
const sortPattern = (builder: Args, pattern: Key): Args =>
  pattern === "nosort" || pattern === "#" ? builder.token(pattern) : builder.keyPrefix(pattern)

const sorting = (builder: Args, options: AnySort): Args => {
  const { alpha, asc, by, desc, get, limit } = options
  builder
    .option("BY", by, sortPattern)
    .option("LIMIT", limit, (args, { count, offset }) => args.integer(offset).integer(count))
  if (get !== undefined) {
    const patterns = typeof get === "string" || get instanceof Uint8Array ? [get] : get
    if (patterns.length === 0) {
      builder.fail("get needs at least one pattern")
    }
    builder.each(patterns, (args, pattern) => sortPattern(args.token("GET"), pattern))
  }
  return builder.flag("ASC", asc).flag("DESC", desc).flag("ALPHA", alpha)
}

/** The time to live of RESTORE. Its 0 means none, so a duration or a time of zero is refused. */
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
  /^\d{1,20}$/.test(cursor) ? builder.text(cursor) : builder.fail('a cursor is what the page before answered, or "0"')

const optionalText = Decode.nullable(Decode.text)
const optionalInteger = Decode.nullable(Decode.integer)
const optionalBytes = Decode.nullable(Decode.bytes)
const optionalSeconds = Decode.nullable((reply) => Duration.seconds(Decode.integer(reply)))

const migrated: Decode.Decoder<boolean> = (reply) => Decode.text(reply) !== "NOKEY"

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

  const sort = (key: Key, options: AnySort & { readonly store?: Key | undefined } = {}) => {
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
      // With KEYS, the place of the only key stays empty.
      const placed = one ? builder.key(keys) : builder.text("")
      if (wholeMillis(timeout) === 0) {
        builder.fail("a timeout must be longer than zero (Redis would take it for a second)")
      }
      placed
        .integer(destinationDb)
        .millis(timeout)
        .flag("COPY", copy)
        .flag("REPLACE", replace)
        .option("AUTH", auth, (args, password) => args.secret(password))
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
    sortRo: (key: Key, options: AnySort = {}) =>
      SORT_RO(
        sorting(args().key(key), options),
        (options.get === undefined ? values : optionals) as Decode.Decoder<never>,
        text
      ),
    touch: (keys) => TOUCH(args().keys(keys), Decode.integer),
    ttl: (key) => TTL(args().key(key), Decode.ttlSeconds),
    type: (key) => TYPE(args().key(key), Decode.text),
    unlink: (keys) => UNLINK(args().keys(keys), Decode.integer),
    wait: (numreplicas, timeout) => WAIT(args().integer(numreplicas).timeoutMillis(timeout), Decode.integer),
    waitaof: (numlocal, numreplicas, timeout) =>
      WAITAOF(args().integer(numlocal).integer(numreplicas).timeoutMillis(timeout), waitaofReply)
  }
}
