/**
 * Strings: values, counters, and parts of values.
 *
 * GETRANGE, SETRANGE, APPEND and LCS work on parts of values. The codec does not apply to a part: it is text, or bytes.
 *
 * @see https://redis.io/docs/latest/commands/?group=string
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type Args,
  type AtMostOne,
  args,
  type Checked,
  type DurationWithUnit,
  type Key,
  type OneOrMany
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import {
  type AnyValueCondition,
  type CheckedSetOptions,
  type ConditionWord,
  conditionWords,
  type ExistenceCondition,
  expiry,
  type GetExpiry,
  type Increment,
  type IncrexFloats,
  type IncrexIntegers,
  type IncrexOptions,
  type KeyValues,
  type LcsMatch,
  type LcsMatches,
  type LcsMatchWithLength,
  type LcsOptions,
  type LcsResult,
  pairsOf,
  type SetExpiry,
  type SetOptions,
  type SetResult,
  type ValueCondition,
  valueConditions,
  type WithIdx
} from "./string-options.js"

export type {
  CheckedSetOptions,
  ExistenceCondition,
  ExpiryFields,
  GetExpiry,
  Increment,
  IncrexFloats,
  IncrexIntegers,
  IncrexOptions,
  KeyValues,
  LcsMatch,
  LcsMatches,
  LcsMatchWithLength,
  LcsOptions,
  LcsResult,
  SetCondition,
  SetExpiry,
  SetOptions,
  SetResult,
  ValueCondition
} from "./string-options.js"

/**
 * The commands on strings.
 *
 * @since 0.1.0
 * @category models
 */
export interface StringCommands<V, K extends Key> {
  /**
   * Appends text or bytes to the value of a key, and returns the new length in bytes. A missing key counts as empty.
   *
   * O(1) amortised. Since Redis 2.0.0.
   */
  readonly append: (key: Key, tail: string | Uint8Array) => RedisCommand<number>

  /**
   * Subtracts one from a counter, and returns the result. A missing key counts as 0.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const left = yield* Redis.decr("stock:42") // number
   * ```
   */
  readonly decr: (key: Key) => RedisCommand<number>

  /**
   * Subtracts an integer from a counter, and returns the result. A missing key counts as 0.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly decrby: (key: Key, decrement: number | bigint) => RedisCommand<number>

  /**
   * Deletes a key if it meets a condition, and returns whether it did. Without a condition it is like DEL of one key.
   *
   * O(1); O(N) in the value's length for digests. Since Redis 8.4.0; not in Valkey, which has {@link delifeq}.
   */
  readonly delex: (key: Key, condition?: AtMostOne<ValueCondition<V>>) => RedisCommand<boolean>

  /**
   * Deletes a key if it holds this value, and returns whether it did. With it, only the owner of a lock can release the
   * lock.
   *
   * O(1). Since Valkey 9.0.0; not in Redis, which has {@link delex}.
   */
  readonly delifeq: (key: Key, value: V) => RedisCommand<boolean>

  /**
   * The XXH3 digest of a key's value, in hexadecimal digits; `None` when the key is missing. Use it for `ifdeq` and
   * `ifdne` of SET and DELEX.
   *
   * O(N) in the value's length. Since Redis 8.4.0; not in Valkey.
   */
  readonly digest: (key: Key) => RedisCommand<Option.Option<string>>

  /**
   * The value of a key; `None` when the key is missing.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const name = yield* Redis.get("user:1:name") // Option<string>
   * ```
   */
  readonly get: (key: Key) => RedisCommand<Option.Option<V>>

  /**
   * Returns the value of a key, and deletes the key; `None` when the key is missing.
   *
   * O(1). Since Redis 6.2.0.
   */
  readonly getdel: (key: Key) => RedisCommand<Option.Option<V>>

  /**
   * Returns the value of a key, and changes its expiry; `None` when the key is missing.
   *
   * O(1). Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const session = yield* Redis.getex("session:1", { ex: "30 minutes" }) // Option<string>
   * ```
   */
  readonly getex: (key: Key, options?: GetExpiry) => RedisCommand<Option.Option<V>>

  /**
   * The bytes `start` to `end` of a key's value, both included; negative offsets count from the end. A missing key
   * counts as empty. When the range cuts through a character, text fails with a `DecodeError`: read it with
   * `Codec.bytes`.
   *
   * O(N) in the length read. Since Redis 2.4.0.
   */
  readonly getrange: (key: Key, start: number, end: number) => RedisCommand<K>

  /**
   * Stores a value, and returns the previous one.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @deprecated since Redis 6.2.0: use {@link set} with `get`
   */
  readonly getset: (key: Key, value: V) => RedisCommand<Option.Option<V>>

  /**
   * Adds one to a counter, and returns the sum. A missing key counts as 0.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const visits = yield* Redis.incr("visits") // number
   * ```
   */
  readonly incr: (key: Key) => RedisCommand<number>

  /**
   * Adds an integer to a counter, and returns the sum. A missing key counts as 0. A sum beyond 2^53 - 1 is stored, but
   * fails with a `DecodeError`, because a number cannot hold it exactly.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly incrby: (key: Key, increment: number | bigint) => RedisCommand<number>

  /**
   * Adds a floating point number to a counter, and returns the sum. A missing key counts as 0.
   *
   * O(1). Since Redis 2.6.0.
   */
  readonly incrbyfloat: (key: Key, increment: number) => RedisCommand<number>

  /**
   * Adds to a counter within bounds, and sets its expiry, in one step: a rate limiter in one command. `enx` sets the
   * expiry only if the key has none.
   *
   * O(1). Since Redis 8.8.0, Valkey 9.2.0.
   *
   * @example
   * ```ts
   * const { applied } = yield* Redis.increx("rate:ada", { ubound: 10, ex: "1 minute", enx: true })
   * const allowed = applied === 1
   * ```
   */
  readonly increx: (key: Key, options?: IncrexOptions & (IncrexIntegers | IncrexFloats)) => RedisCommand<Increment>

  /**
   * The longest common subsequence of two values: the subsequence itself, its length with `len`, or its positions with
   * `idx`.
   *
   * O(N*M) in the lengths of the values. Since Redis 7.0.0.
   */
  readonly lcs: {
    /** The longest common subsequence of two values. O(N*M) in the lengths of the values. Since Redis 7.0.0. */
    (key1: Key, key2: Key): RedisCommand<K>

    /**
     * The longest common subsequence of two values: the subsequence itself, its length with `len`, or its positions
     * with `idx`.
     *
     * O(N*M) in the lengths of the values. Since Redis 7.0.0.
     */
    <const O extends LcsOptions | undefined>(
      key1: Key,
      key2: Key,
      options: Checked<O, LcsOptions, "len" | "idx", "len" | "withmatchlen"> & WithIdx<O>
    ): RedisCommand<LcsResult<O, K>>
  }

  /**
   * The values of many keys, in order; `None` for a key that is missing or does not hold a string.
   *
   * O(N) in the number of keys. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const [a, b] = yield* Redis.mget(["a", "b"]) // Array<Option<string>>
   * ```
   */
  readonly mget: (keys: OneOrMany<Key>) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Stores many values atomically.
   *
   * O(N) in the number of keys. Since Redis 1.0.1.
   *
   * @example
   * ```ts
   * yield* Redis.mset({ a: "1", b: "2" })
   * yield* Redis.mset([["a", "1"], ["b", "2"]])
   * ```
   */
  readonly mset: (entries: KeyValues<V>) => RedisCommand<void>

  /**
   * Stores many values atomically, with one common expiry. `false` when the condition is not met; then none is stored.
   *
   * O(N) in the number of keys. Since Redis 8.4.0, Valkey 9.1.0.
   */
  readonly msetex: (entries: KeyValues<V>, options?: SetExpiry & AtMostOne<ExistenceCondition>) => RedisCommand<boolean>

  /**
   * Stores many values atomically if none of the keys exists. `false` when one of them exists; then none is stored.
   *
   * O(N) in the number of keys. Since Redis 1.0.1.
   */
  readonly msetnx: (entries: KeyValues<V>) => RedisCommand<boolean>

  /**
   * Stores a value with an expiry in milliseconds.
   *
   * O(1). Since Redis 2.6.0.
   *
   * @deprecated since Redis 2.6.12: use {@link set} with `px`
   */
  readonly psetex: (key: Key, expiry: DurationWithUnit, value: V) => RedisCommand<void>

  /**
   * Stores a value, and replaces a value of any type. With a condition, it returns whether it stored the value; with
   * `get`, it returns the previous value, `None` when the key was missing.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.set("session", token, { ex: "30 minutes" })
   * const mine = yield* Redis.set("lock", id, { nx: true, px: "500 millis" }) // boolean
   * ```
   */
  readonly set: {
    /**
     * Stores a value, and replaces a value of any type. With a condition, it returns whether it stored the value; with
     * `get`, it returns the previous value, `None` when the key was missing.
     *
     * O(1). Since Redis 1.0.0.
     */
    (key: Key, value: V): RedisCommand<void>

    /**
     * Stores a value, and replaces a value of any type. With a condition, it returns whether it stored the value; with
     * `get`, it returns the previous value, `None` when the key was missing.
     *
     * O(1). Since Redis 1.0.0.
     */
    <const O extends SetOptions<V> | undefined>(
      key: Key,
      value: V,
      options: CheckedSetOptions<O, V>
    ): RedisCommand<SetResult<O, V>>
  }

  /**
   * Stores a value with an expiry of whole seconds.
   *
   * O(1). Since Redis 2.0.0.
   *
   * @deprecated since Redis 2.6.12: use {@link set} with `ex`
   */
  readonly setex: (key: Key, expiry: DurationWithUnit, value: V) => RedisCommand<void>

  /**
   * Stores a value if the key does not exist, and returns whether it did.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @deprecated since Redis 2.6.12: use {@link set} with `nx`
   */
  readonly setnx: (key: Key, value: V) => RedisCommand<boolean>

  /**
   * Overwrites a key's value from a byte offset on, and returns the new length. A gap between the old end and the
   * offset is filled with zero bytes.
   *
   * O(1) amortised for short parts. Since Redis 2.2.0.
   */
  readonly setrange: (key: Key, offset: number, part: string | Uint8Array) => RedisCommand<number>

  /**
   * The length of a key's value in bytes; 0 when the key is missing.
   *
   * O(1). Since Redis 2.2.0.
   */
  readonly strlen: (key: Key) => RedisCommand<number>

  /**
   * The old name of GETRANGE.
   *
   * O(N) in the length read. Since Redis 1.0.0.
   *
   * @deprecated since Redis 2.0.0: use {@link getrange}
   */
  readonly substr: (key: Key, start: number, end: number) => RedisCommand<K>
}

const range: Decode.Decoder<[number, number]> = Decode.tuple(Decode.integer, Decode.integer)

const lcsMatch: Decode.Decoder<LcsMatch | LcsMatchWithLength> = (reply) => {
  const [key1, key2, length] = Decode.items(reply)
  const match = { key1: Decode.at(0, range, key1 ?? null), key2: Decode.at(1, range, key2 ?? null) }
  return length === undefined ? match : { ...match, length: Decode.at(2, Decode.integer, length) }
}

const lcsReport = Report.struct("-", {
  matches: Report.essential(Decode.array(lcsMatch)),
  len: Report.essential(Report.integer)
})
const lcsMatches: Decode.Decoder<LcsMatches> = (reply) => {
  const { len, matches } = lcsReport(reply)
  return { matches, len }
}

const incrementOf = (number: Decode.Decoder<number>): Decode.Decoder<Increment> => {
  const pair = Decode.tuple(number, number)
  return (reply) => {
    const [value, applied] = pair(reply)
    return { value, applied }
  }
}
const integerIncrement = incrementOf(Decode.integer)
const floatIncrement = incrementOf(Decode.double)

const optionalText = Decode.nullable(Decode.text)

const APPEND = define("APPEND")
const DECR = define("DECR")
const DECRBY = define("DECRBY")
const DELEX = define("DELEX")
const DELIFEQ = define("DELIFEQ")
const DIGEST = define("DIGEST")
const GET = define("GET")
const GETDEL = define("GETDEL")
const GETEX = define("GETEX")
const GETRANGE = define("GETRANGE")
const GETSET = define("GETSET")
const INCR = define("INCR")
const INCRBY = define("INCRBY")
const INCRBYFLOAT = define("INCRBYFLOAT")
const INCREX = define("INCREX")
const LCS = define("LCS")
const MGET = define("MGET")
const MSET = define("MSET")
const MSETEX = define("MSETEX")
const MSETNX = define("MSETNX")
const PSETEX = define("PSETEX")
const SET = define("SET")
const SETEX = define("SETEX")
const SETNX = define("SETNX")
const SETRANGE = define("SETRANGE")
const STRLEN = define("STRLEN")
const SUBSTR = define("SUBSTR")

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): StringCommands<V, K> => {
  const text = codec.wants === "text"
  const optional = Decode.nullable(Decode.value(codec))
  const optionals = Decode.array(optional)
  const part = Decode.key(codec)

  const pairs = (builder: Args, entries: ReadonlyArray<readonly [Key, V]>): Args =>
    builder.some("key and its value", entries, (args, [key, value]) => args.key(key).value(codec, value))

  const set = (key: Key, value: V, options?: SetOptions<V>): RedisCommand<unknown> => {
    const builder = args().key(key).value(codec, value)
    if (options === undefined) {
      return SET(builder, Decode.ok, text)
    }
    const { get, keepttl, nx, xx } = options
    builder.atMostOne(options, conditionWords).flag("NX", nx).flag("XX", xx)
    valueConditions<V, K>(builder, codec, options).flag("GET", get)
    expiry(builder, options).flag("KEEPTTL", keepttl)
    const conditional = conditionWords.some((word) => (options[word as ConditionWord] ?? false) !== false)
    return SET(builder, get === true ? optional : conditional ? Decode.done : Decode.ok, text)
  }

  const lcs = (key1: Key, key2: Key, options: LcsOptions = {}): RedisCommand<unknown> => {
    const { idx, len, minmatchlen, withmatchlen } = options
    const builder = args()
      .key(key1)
      .key(key2)
      .atMostOne(options, ["len", "idx"])
      .flag("LEN", len)
      .flag("IDX", idx)
      .option("MINMATCHLEN", minmatchlen, (args, length) => args.integer(length))
      .flag("WITHMATCHLEN", withmatchlen)
    const decoder: Decode.Decoder<unknown> = idx === true ? lcsMatches : len === true ? Decode.integer : part
    return LCS(builder, decoder, text)
  }

  return {
    append: (key, tail) => APPEND(args().key(key).text(tail), Decode.integer),
    decr: (key) => DECR(args().key(key), Decode.integer),
    decrby: (key, decrement) => DECRBY(args().key(key).integer(decrement), Decode.integer),
    delex: (key, condition = {}) =>
      DELEX(valueConditions(args().key(key), codec, condition as AnyValueCondition<V>), Decode.boolean),
    delifeq: (key, value) => DELIFEQ(args().key(key).value(codec, value), Decode.boolean),
    digest: (key) => DIGEST(args().key(key), optionalText),
    get: (key) => GET(args().key(key), optional, text),
    getdel: (key) => GETDEL(args().key(key), optional, text),
    getex: (key, options = {}) =>
      GETEX(expiry(args().key(key), options).flag("PERSIST", options.persist), optional, text),
    getrange: (key, start, end) => GETRANGE(args().key(key).integer(start).integer(end), part, text),
    getset: (key, value) => GETSET(args().key(key).value(codec, value), optional, text),
    incr: (key) => INCR(args().key(key), Decode.integer),
    incrby: (key, increment) => INCRBY(args().key(key).integer(increment), Decode.integer),
    incrbyfloat: (key, increment) => INCRBYFLOAT(args().key(key).double(increment), Decode.double),
    increx: (key, options = {}) => {
      const { byfloat, byint, enx, lbound, persist, saturate, ubound } = options
      const bound = (args: Args, value: number | bigint) =>
        typeof value === "number" && byfloat !== undefined ? args.double(value) : args.integer(value)
      const builder = args()
        .key(key)
        .option("BYFLOAT", byfloat, (args, increment) => args.double(increment))
        .option("BYINT", byint, (args, increment) => args.integer(increment))
        .option("LBOUND", lbound, bound)
        .option("UBOUND", ubound, bound)
        .flag("SATURATE", saturate)
      expiry(builder, options).atMostOne(options, ["persist", "enx"]).flag("PERSIST", persist).flag("ENX", enx)
      return INCREX(builder, byfloat === undefined ? integerIncrement : floatIncrement)
    },
    lcs: lcs as StringCommands<V, K>["lcs"],
    mget: (keys) => MGET(args().keys(keys), optionals, text),
    mset: (entries) => MSET(pairs(args(), pairsOf(entries)), Decode.ok),
    msetex: (entries, options = {}) => {
      const list = pairsOf(entries)
      const builder = pairs(args().integer(list.length), list)
        .atMostOne(options, ["nx", "xx"])
        .flag("NX", options.nx)
        .flag("XX", options.xx)
      return MSETEX(expiry(builder, options).flag("KEEPTTL", options.keepttl), Decode.boolean)
    },
    msetnx: (entries) => MSETNX(pairs(args(), pairsOf(entries)), Decode.boolean),
    psetex: (key, expiry, value) => PSETEX(args().key(key).millis(expiry).value(codec, value), Decode.ok),
    set: set as StringCommands<V, K>["set"],
    setex: (key, expiry, value) => SETEX(args().key(key).seconds(expiry).value(codec, value), Decode.ok),
    setnx: (key, value) => SETNX(args().key(key).value(codec, value), Decode.boolean),
    setrange: (key, offset, part) => SETRANGE(args().key(key).integer(offset).text(part), Decode.integer),
    strlen: (key) => STRLEN(args().key(key), Decode.integer),
    substr: (key, start, end) => SUBSTR(args().key(key).integer(start).integer(end), part, text)
  }
}
