/**
 * Arrays: values at indexes from 0 to 2^64 - 2. An index without a value is a hole. A cursor marks where the next
 * insert goes. Redis 8.8; not in Valkey.
 *
 * Indexes in replies are numbers up to 2^53 - 1 and bigints beyond.
 *
 * @see https://redis.io/docs/latest/commands/?group=array
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type Args,
  type AtMostOne,
  args,
  arrayOf,
  type Checked,
  type ExactlyOne,
  type IfFlag,
  type Key,
  type List,
  type OneOrMany
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import type { Unbounded } from "./range.js"

/**
 * The index of a value, counted from 0.
 *
 * @since 0.1.0
 * @category models
 */
export type ArrayIndex = number | bigint

/**
 * A range of indexes, both ends included.
 *
 * @since 0.1.0
 * @category models
 */
export type ArrayRange = readonly [start: ArrayIndex, end: ArrayIndex]

/**
 * A value and its index.
 *
 * @since 0.1.0
 * @category models
 */
export type ArrayEntry<V> = readonly [index: ArrayIndex, value: V]

/**
 * A condition of ARGREP on the stored value.
 *
 * @since 0.1.0
 * @category options
 */
export type ArrayPredicate<V> = ExactlyOne<{
  /** Equals this value. */
  readonly exact: V
  /** Contains this text. */
  readonly match: Key
  /** Matches this glob pattern. */
  readonly glob: Key
  /** Matches this regular expression (POSIX extended, no back-references). */
  readonly re: Key
}>

/**
 * @since 0.1.0
 * @category options
 */
export type ArgrepOptions = AtMostOne<{
  /** Every predicate must hold. */
  readonly and: true
  /** At least one predicate must hold (the default). */
  readonly or: true
}> & {
  /** The maximal number of matches. */
  readonly limit?: number | undefined
  /** Ignores the case of ASCII letters. */
  readonly nocase?: boolean | undefined
}

/**
 * The reply of ARINFO. Its essential fields are `count` and `len`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ArrayInfo {
  /** How many values there are. */
  readonly count: ArrayIndex
  /** One more than the highest index. */
  readonly len: ArrayIndex
  /** The index of the next insert; also 0 when the cursor has reached the last index. */
  readonly nextInsertIndex: Option.Option<ArrayIndex>
  readonly slices: Option.Option<number>
  readonly directorySize: Option.Option<number>
  readonly superDirEntries: Option.Option<number>
  readonly sliceSize: Option.Option<number>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * The reply of ARINFO with `full`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FullArrayInfo extends ArrayInfo {
  readonly denseSlices: Option.Option<number>
  readonly sparseSlices: Option.Option<number>
  readonly avgDenseSize: Option.Option<number>
  readonly avgDenseFill: Option.Option<number>
  readonly avgSparseSize: Option.Option<number>
}

/** All options of ARGREP. */
interface ArgrepAll {
  /** Every predicate must hold. */
  readonly and?: boolean | undefined
  /** At least one predicate must hold (the default). */
  readonly or?: boolean | undefined
  /** The maximal number of matches. */
  readonly limit?: number | undefined
  /** Ignores the case of ASCII letters. */
  readonly nocase?: boolean | undefined
  /** Returns the values too. */
  readonly withvalues?: boolean | undefined
}

interface Full {
  readonly full?: boolean | undefined
}

/**
 * What AROP computes.
 *
 * @since 0.1.0
 * @category options
 */
export type AropOperation<V> = "sum" | "min" | "max" | "and" | "or" | "xor" | "used" | { readonly match: V }

/**
 * What AROP returns for an operation.
 *
 * @since 0.1.0
 * @category models
 */
export type Aggregated<O> = O extends "sum" | "min" | "max"
  ? Option.Option<number>
  : O extends "and" | "or" | "xor"
    ? Option.Option<number | bigint>
    : number

/**
 * The commands on arrays.
 *
 * @since 0.1.0
 * @category models
 */
export interface ArrayCommands<V> {
  /**
   * How many values there are.
   *
   * O(1). Since Redis 8.8.0; not in Valkey.
   */
  readonly arcount: (key: Key) => RedisCommand<ArrayIndex>

  /**
   * Removes the values at indexes, and returns how many it removed.
   *
   * O(N) in the indexes. Since Redis 8.8.0; not in Valkey.
   */
  readonly ardel: (key: Key, indexes: OneOrMany<ArrayIndex>) => RedisCommand<number>

  /**
   * Removes the values in ranges, both ends included, and returns how many it removed.
   *
   * O(N) in the existing values and slices, not in the length of the ranges. Since Redis 8.8.0; not in Valkey.
   */
  readonly ardelrange: (key: Key, ranges: ArrayRange | List<ArrayRange>) => RedisCommand<ArrayIndex>

  /**
   * The value at an index; `None` for a hole.
   *
   * O(1). Since Redis 8.8.0; not in Valkey.
   *
   * @example
   * ```ts
   * const third = yield* Redis.arget("log", 2) // Option<string>
   * ```
   */
  readonly arget: (key: Key, index: ArrayIndex) => RedisCommand<Option.Option<V>>

  /**
   * The values from `start` to `end`, both included; `None` for holes. In reverse order when `start` is higher than
   * `end`. At most a million values; {@link arscan} leaves holes out.
   *
   * O(N) in the length of the range. Since Redis 8.8.0; not in Valkey.
   */
  readonly argetrange: (key: Key, start: ArrayIndex, end: ArrayIndex) => RedisCommand<Array<Option.Option<V>>>

  /**
   * The indexes in a range whose values meet the predicates; with `withvalues`, the values too. `Redis.range.lowest`
   * and `.highest` are the ends of the array.
   *
   * O(N * C) for N indexes visited, where C is the cost of the predicates. Since Redis 8.8.0; not in Valkey.
   *
   * @example
   * ```ts
   * const { highest, lowest } = Redis.range
   * const errors = yield* Redis.argrep("log", lowest, highest, { match: "error" }, { nocase: true, withvalues: true })
   * // Array<readonly [index: number | bigint, value: string]>
   * ```
   */
  readonly argrep: {
    /**
     * The indexes in a range whose values meet the predicates; with `withvalues`, the values too. `Redis.range.lowest`
     * and `.highest` are the ends of the array.
     *
     * O(N * C) for N indexes visited, where C is the cost of the predicates. Since Redis 8.8.0; not in Valkey.
     */
    (
      key: Key,
      start: ArrayIndex | Unbounded,
      end: ArrayIndex | Unbounded,
      predicates: OneOrMany<ArrayPredicate<V>>
    ): RedisCommand<Array<ArrayIndex>>

    /**
     * The indexes in a range whose values meet the predicates; with `withvalues`, the values too. `Redis.range.lowest`
     * and `.highest` are the ends of the array.
     *
     * O(N * C) for N indexes visited, where C is the cost of the predicates. Since Redis 8.8.0; not in Valkey.
     */
    <const O extends ArgrepAll | undefined>(
      key: Key,
      start: ArrayIndex | Unbounded,
      end: ArrayIndex | Unbounded,
      predicates: OneOrMany<ArrayPredicate<V>>,
      options: Checked<O, ArgrepAll, "and" | "or">
    ): RedisCommand<IfFlag<O, "withvalues", Array<readonly [index: ArrayIndex, value: V]>, Array<ArrayIndex>>>
  }

  /**
   * The size and memory layout of an array. A missing key is an error.
   *
   * O(1); O(N) in its slices with `full`. Since Redis 8.8.0; not in Valkey.
   */
  readonly arinfo: {
    /**
     * The size and memory layout of an array. A missing key is an error.
     *
     * O(1); O(N) in its slices with `full`. Since Redis 8.8.0; not in Valkey.
     */
    (key: Key): RedisCommand<ArrayInfo>

    /**
     * The size and memory layout of an array. A missing key is an error.
     *
     * O(1); O(N) in its slices with `full`. Since Redis 8.8.0; not in Valkey.
     */
    <const O extends Full | undefined>(
      key: Key,
      options: Checked<O, Full>
    ): RedisCommand<IfFlag<O, "full", FullArrayInfo, ArrayInfo>>
  }

  /**
   * Inserts values at the cursor, and returns the index of the last one.
   *
   * O(N) in the values. Since Redis 8.8.0; not in Valkey.
   */
  readonly arinsert: (key: Key, values: OneOrMany<V>) => RedisCommand<ArrayIndex>

  /**
   * The last `count` inserted values, oldest first, or newest first with `rev`; `None` for holes.
   *
   * O(N) in the count. Since Redis 8.8.0; not in Valkey.
   */
  readonly arlastitems: (
    key: Key,
    count: number,
    options?: { readonly rev?: boolean | undefined }
  ) => RedisCommand<Array<Option.Option<V>>>

  /**
   * One more than the highest index that holds a value; 0 when the key is missing.
   *
   * O(1). Since Redis 8.8.0; not in Valkey.
   */
  readonly arlen: (key: Key) => RedisCommand<ArrayIndex>

  /**
   * The values at indexes, in the order of the indexes; `None` for holes.
   *
   * O(N) in the indexes. Since Redis 8.8.0; not in Valkey.
   */
  readonly armget: (key: Key, indexes: OneOrMany<ArrayIndex>) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Stores values at indexes, and returns how many of the indexes were holes.
   *
   * O(N) in the values. Since Redis 8.8.0; not in Valkey.
   *
   * @example
   * ```ts
   * yield* Redis.armset("samples", [[0, "10"], [100, "30"]])
   * ```
   */
  readonly armset: (key: Key, entries: ArrayEntry<V> | List<ArrayEntry<V>>) => RedisCommand<number>

  /**
   * The index of the next insert; `None` when the cursor is beyond the last possible index.
   *
   * O(1). Since Redis 8.8.0; not in Valkey.
   */
  readonly arnext: (key: Key) => RedisCommand<Option.Option<ArrayIndex>>

  /**
   * Aggregates the values in a range into one number.
   *
   * - `sum`, `min`, `max`: over the values that are numbers, in floating point; `None` when no value is a number.
   * - `and`, `or`, `xor`: over the values that are numbers, truncated to integers; `None` when no value is a number.
   * - `used`: the number of values. `{ match }`: the number of values equal to this one.
   *
   * O(N) in the indexes visited. Since Redis 8.8.0; not in Valkey.
   *
   * @example
   * ```ts
   * const sum = yield* Redis.arop("samples", 0, 99, "sum") // Option<number>
   * const zeros = yield* Redis.arop("samples", 0, 99, { match: "0" }) // number
   * ```
   */
  readonly arop: <O extends AropOperation<V>>(
    key: Key,
    start: ArrayIndex,
    end: ArrayIndex,
    operation: O
  ) => RedisCommand<Aggregated<O>>

  /**
   * Inserts values at the cursor, into a ring of this size: after its last index the ring continues at index 0. Returns
   * the index of the last value. When the size changes, the newest values are kept.
   *
   * O(M) in the values; O(N + M) when the size changes. Since Redis 8.8.0; not in Valkey.
   *
   * @example
   * ```ts
   * yield* Redis.arring("last-hundred", 100, ["measured"])
   * ```
   */
  readonly arring: (key: Key, size: number | bigint, values: OneOrMany<V>) => RedisCommand<ArrayIndex>

  /**
   * The values in a range with their indexes, without the holes. In reverse order when `start` is higher than `end`.
   *
   * O(N) in the indexes visited, about the number of existing values. Since Redis 8.8.0; not in Valkey.
   */
  readonly arscan: (
    key: Key,
    start: ArrayIndex,
    end: ArrayIndex,
    options?: { readonly limit?: number | undefined }
  ) => RedisCommand<Array<readonly [index: ArrayIndex, value: V]>>

  /**
   * Moves the cursor to an index. `false` when the key is missing.
   *
   * O(1). Since Redis 8.8.0; not in Valkey.
   */
  readonly arseek: (key: Key, index: ArrayIndex) => RedisCommand<boolean>

  /**
   * Stores values at consecutive indexes, the first at `index`. Returns how many of the indexes were holes.
   *
   * O(N) in the values. Since Redis 8.8.0; not in Valkey.
   */
  readonly arset: (key: Key, index: ArrayIndex, values: OneOrMany<V>) => RedisCommand<number>
}

const ARCOUNT = define("ARCOUNT")
const ARDEL = define("ARDEL")
const ARDELRANGE = define("ARDELRANGE")
const ARGET = define("ARGET")
const ARGETRANGE = define("ARGETRANGE")
const ARGREP = define("ARGREP")
const ARINFO = define("ARINFO")
const ARINSERT = define("ARINSERT")
const ARLASTITEMS = define("ARLASTITEMS")
const ARLEN = define("ARLEN")
const ARMGET = define("ARMGET")
const ARMSET = define("ARMSET")
const ARNEXT = define("ARNEXT")
const AROP = define("AROP")
const ARRING = define("ARRING")
const ARSCAN = define("ARSCAN")
const ARSEEK = define("ARSEEK")
const ARSET = define("ARSET")

const index = (builder: Args, index: ArrayIndex): Args =>
  index < 0 ? builder.fail("an index must not be negative") : builder.integer(index)

/** A range or an entry is told from a list by the index it begins with: a list holds pairs only. */
const listOf = <P extends readonly [ArrayIndex, unknown]>(input: P | List<P>): ReadonlyArray<P> => {
  const list = arrayOf<P | ArrayIndex>(input) ?? [input as P]
  return (typeof list[0] === "object" || list.length === 0 ? list : [list]) as ReadonlyArray<P>
}

const bound = (builder: Args, bound: ArrayIndex | Unbounded): Args =>
  typeof bound === "object" ? builder.token(bound._tag === "Lowest" ? "-" : "+") : index(builder, bound)

const indexes = (builder: Args, input: OneOrMany<ArrayIndex>): Args => builder.some("index", input, index)

const indexReplies = Decode.array(Decode.largeInteger)
const optionalIndex = Decode.nullable(Decode.largeInteger)
const optionalDouble = Decode.nullable(Decode.double)

const reportedInteger = Report.optional(Report.integer)
const reportedDouble = Report.optional(Report.double)

const infoFields = {
  count: Report.essential(Report.largeInteger),
  len: Report.essential(Report.largeInteger),
  nextInsertIndex: Report.optional(Report.largeInteger),
  slices: reportedInteger,
  directorySize: reportedInteger,
  superDirEntries: reportedInteger,
  sliceSize: reportedInteger
}

const info = Report.struct("-", infoFields)

const fullInfo = Report.struct("-", {
  ...infoFields,
  denseSlices: reportedInteger,
  sparseSlices: reportedInteger,
  avgDenseSize: reportedDouble,
  avgDenseFill: reportedDouble,
  avgSparseSize: reportedDouble
})

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ArrayCommands<V> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const optional = Decode.nullable(value)
  const optionals = Decode.array(optional)
  const indexed = Decode.pairs(Decode.largeInteger, value)

  const range = (key: Key, start: ArrayIndex, end: ArrayIndex): Args => index(index(args().key(key), start), end)

  const predicate = (builder: Args, predicate: ArrayPredicate<V>): Args =>
    builder
      .exactlyOne(predicate, ["exact", "match", "glob", "re"])
      .option("EXACT", predicate.exact, (args, value) => args.value(codec, value as V))
      .option("MATCH", predicate.match, (args, part) => args.text(part))
      .option("GLOB", predicate.glob, (args, pattern) => args.text(pattern))
      .option("RE", predicate.re, (args, pattern) => args.text(pattern))

  const argrep = (
    key: Key,
    start: ArrayIndex | Unbounded,
    end: ArrayIndex | Unbounded,
    predicates: OneOrMany<ArrayPredicate<V>>,
    options?: ArgrepOptions & { readonly withvalues?: boolean | undefined }
  ): RedisCommand<never> => {
    const builder = bound(bound(args().key(key), start), end)
      .some("predicate", predicates, predicate)
      .atMostOne(options, ["and", "or"])
      .flag("AND", options?.and)
      .flag("OR", options?.or)
      .option("LIMIT", options?.limit, (args, limit) => args.integer(limit))
      .flag("WITHVALUES", options?.withvalues)
      .flag("NOCASE", options?.nocase)
    const decoder: Decode.Decoder<unknown> = options?.withvalues === true ? indexed : indexReplies
    return ARGREP(builder, decoder, text) as RedisCommand<never>
  }

  const arop = (key: Key, start: ArrayIndex, end: ArrayIndex, operation: AropOperation<V>): RedisCommand<never> => {
    const builder = range(key, start, end)
    if (typeof operation === "object") {
      return AROP(builder.token("MATCH").value(codec, operation.match), Decode.integer) as RedisCommand<never>
    }
    const decoder: Decode.Decoder<unknown> =
      operation === "used"
        ? Decode.integer
        : operation === "and" || operation === "or" || operation === "xor"
          ? optionalIndex
          : optionalDouble
    return AROP(builder.word(operation), decoder) as RedisCommand<never>
  }

  return {
    arcount: (key) => ARCOUNT(args().key(key), Decode.largeInteger),
    ardel: (key, places) => ARDEL(indexes(args().key(key), places), Decode.integer),
    ardelrange: (key, ranges) =>
      ARDELRANGE(
        args()
          .key(key)
          .some("range", listOf<ArrayRange>(ranges), (args, [start, end]) => index(index(args, start), end)),
        Decode.largeInteger
      ),
    arget: (key, place) => ARGET(index(args().key(key), place), optional, text),
    argetrange: (key, start, end) => ARGETRANGE(range(key, start, end), optionals, text),
    argrep: argrep as ArrayCommands<V>["argrep"],
    arinfo: (key: Key, options?: { readonly full?: boolean | undefined }) => {
      const decoder: Decode.Decoder<unknown> = options?.full === true ? fullInfo : info
      return ARINFO(args().key(key).flag("FULL", options?.full), decoder) as RedisCommand<never>
    },
    arinsert: (key, values) => ARINSERT(args().key(key).values(codec, "value", values), Decode.largeInteger),
    arlastitems: (key, count, options) =>
      ARLASTITEMS(args().key(key).integer(count).flag("REV", options?.rev), optionals, text),
    arlen: (key) => ARLEN(args().key(key), Decode.largeInteger),
    armget: (key, places) => ARMGET(indexes(args().key(key), places), optionals, text),
    armset: (key, entries) =>
      ARMSET(
        args()
          .key(key)
          .some("value", listOf<ArrayEntry<V>>(entries), (args, [place, value]) =>
            index(args, place).value(codec, value)
          ),
        Decode.integer
      ),
    arnext: (key) => ARNEXT(args().key(key), optionalIndex),
    arop,
    arring: (key, size, values) =>
      ARRING(args().key(key).integer(size).values(codec, "value", values), Decode.largeInteger),
    arscan: (key, start, end, options) =>
      ARSCAN(
        range(key, start, end).option("LIMIT", options?.limit, (args, limit) => args.integer(limit)),
        indexed,
        text
      ),
    arseek: (key, place) => ARSEEK(index(args().key(key), place), Decode.boolean),
    arset: (key, place, values) => ARSET(index(args().key(key), place).values(codec, "value", values), Decode.integer)
  }
}
