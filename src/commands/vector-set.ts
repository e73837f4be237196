/**
 * Vector sets: elements with vectors, searched by similarity. Not in Valkey.
 *
 * @see https://redis.io/docs/latest/commands/?group=vector_set
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
  type IfFlag,
  type IfGiven,
  type Key,
  type List,
  toList
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { isMapReply, type Reply } from "../internal/resp/values.js"
import { appendLex, type LexBound } from "./range.js"
import type { WithScores } from "./sorted-set-range.js"

/**
 * A vector. A `Float32Array` is sent as FP32, four bytes for each number; a list of numbers is sent as text (VALUES).
 *
 * @since 0.1.0
 * @category models
 */
export type Vector = Float32Array | List<number>

/**
 * @since 0.1.0
 * @category options
 */
export type VaddOptions = AtMostOne<{
  /** Store the numbers without quantization. */
  readonly noquant: true
  /** Store one bit of each number: smallest and fastest, but least exact. */
  readonly bin: true
  /** Store eight bits of each number (the default). */
  readonly q8: true
}> & {
  /** Project the vector to this many dimensions. */
  readonly reduce?: number | undefined
  /**
   * The server searches for neighbours in the background and inserts the element afterwards. The reply comes sooner.
   */
  readonly cas?: boolean | undefined
  /** The effort of the search for neighbours. Default: 200. */
  readonly ef?: number | undefined
  /** Attributes, as JSON text. */
  readonly setattr?: string | undefined
  /** The number of links of an element in the graph. Default: 16. */
  readonly m?: number | undefined
}

/**
 * The vector to compare with: itself, or as an element of the set.
 *
 * @since 0.1.0
 * @category options
 */
export type VsimQuery<V> = Vector | { readonly ele: V }

type Flag = boolean | undefined

/**
 * @since 0.1.0
 * @category options
 */
export interface VsimOptions<Scores, Attributes> {
  /** Also return the similarity of each element, from 0 to 1. */
  readonly withscores?: Scores
  /** Also return the attributes of each element. Redis 8.2. */
  readonly withattribs?: Attributes
  /** At most this many. Default: 10. */
  readonly count?: number | undefined
  /** Only elements at most this far away, from 0 to 1. */
  readonly epsilon?: number | undefined
  /** The effort of the search: a higher value finds more of the nearest elements, and takes longer. */
  readonly ef?: number | undefined
  /** Only elements whose attributes fulfil this expression, such as `.year > 1980`. */
  readonly filter?: string | undefined
  /** How many elements to try the filter on. */
  readonly filterEf?: number | undefined
  /** Compare with every element: exact, and O(N). */
  readonly truth?: boolean | undefined
  /** Search in the main thread. */
  readonly nothread?: boolean | undefined
}

/**
 * An element found by VSIM, with its score and attributes when they are asked for.
 *
 * @since 0.1.0
 * @category models
 */
export type SimilarElement<V, Scores, Attributes> = Scores extends true
  ? Attributes extends true
    ? readonly [element: V, score: number, attributes: Option.Option<string>]
    : readonly [element: V, score: number]
  : Attributes extends true
    ? readonly [element: V, attributes: Option.Option<string>]
    : V

/**
 * A vector as the server stores it.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawVector {
  /** The format of the numbers: `f32`, `int8` or `bin`. */
  readonly quantization: string
  readonly data: Uint8Array
  /** The length (norm) of the vector before it was normalised. */
  readonly norm: number
  /** The number that the largest `int8` represents; `None` for other formats. */
  readonly range: Option.Option<number>
}

/**
 * The reply of VINFO. Its essential fields are `size` and `vectorDim`.
 *
 * @since 0.1.0
 * @category models
 */
export interface VectorSetInfo {
  /** `f32`, `int8` or `bin`. */
  readonly quantType: Option.Option<string>
  readonly vectorDim: number
  /** The number of dimensions before projection; 0 without projection. */
  readonly projectionInputDim: Option.Option<number>
  readonly size: number
  readonly maxLevel: Option.Option<number>
  readonly attributesCount: Option.Option<number>
  readonly vsetUid: Option.Option<number>
  readonly hnswM: Option.Option<number>
  readonly hnswMaxNodeUid: Option.Option<number>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

interface Raw {
  readonly raw?: boolean | undefined
}

interface Counted {
  readonly count?: number | undefined
}

/**
 * The commands on vector sets.
 *
 * @since 0.1.0
 * @category models
 */
export interface VectorSetCommands<V> {
  /**
   * Adds an element with its vector, or changes the vector of an existing element. `true` when the element is new. All
   * vectors of a set must have the dimensions and the quantization of the first one.
   *
   * O(log N) for N elements. Since Redis 8.0.0; not in Valkey.
   *
   * @example
   * ```ts
   * const added = yield* Redis.vadd("words", embedding, "apple", { setattr: JSON.stringify({ len: 5 }) }) // boolean
   * ```
   */
  readonly vadd: (key: Key, vector: Vector, element: V, options?: VaddOptions) => RedisCommand<boolean>

  /**
   * The number of elements.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vcard: (key: Key) => RedisCommand<number>

  /**
   * The number of dimensions of the vectors. A missing key is an error.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vdim: (key: Key) => RedisCommand<number>

  /**
   * The vector of an element, approximately as it was added; with `raw`, as the server stores it. `None` when the
   * element is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vemb: {
    /**
     * The vector of an element, approximately as it was added; with `raw`, as the server stores it. `None` when the
     * element is missing.
     *
     * O(1). Since Redis 8.0.0; not in Valkey.
     */
    (key: Key, element: V): RedisCommand<Option.Option<Array<number>>>

    /**
     * The vector of an element, approximately as it was added; with `raw`, as the server stores it. `None` when the
     * element is missing.
     *
     * O(1). Since Redis 8.0.0; not in Valkey.
     */
    <const O extends Raw | undefined>(
      key: Key,
      element: V,
      options: Checked<O, Raw>
    ): RedisCommand<IfFlag<O, "raw", Option.Option<RawVector>, Option.Option<Array<number>>>>
  }

  /**
   * The attributes of an element, as JSON text; `None` when the element has none or is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vgetattr: (key: Key, element: V) => RedisCommand<Option.Option<string>>

  /**
   * Information about a vector set; `None` when the key is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vinfo: (key: Key) => RedisCommand<Option.Option<VectorSetInfo>>

  /**
   * Whether an element is in the set.
   *
   * O(1). Documented since Redis 8.2.0, though 8.0 has it; not in Valkey.
   */
  readonly vismember: (key: Key, element: V) => RedisCommand<boolean>

  /**
   * The neighbours of an element in the graph, for each level from the top; `None` when the element is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vlinks: {
    /**
     * The neighbours of an element in the graph, for each level from the top; `None` when the element is missing.
     *
     * O(1). Since Redis 8.0.0; not in Valkey.
     */
    (key: Key, element: V): RedisCommand<Option.Option<Array<Array<V>>>>

    /**
     * The neighbours of an element in the graph, with their similarity, for each level from the top; `None` when the
     * element is missing.
     *
     * O(1). Since Redis 8.0.0; not in Valkey.
     */
    <const O extends WithScores | undefined>(
      key: Key,
      element: V,
      options: Checked<O, WithScores>
    ): RedisCommand<
      IfFlag<
        O,
        "withscores",
        Option.Option<Array<Array<readonly [element: V, score: number]>>>,
        Option.Option<Array<Array<V>>>
      >
    >
  }

  /**
   * Random elements. Without `count`: one element, `None` when the key is missing. With a positive `count`: up to that
   * many different elements. With a negative `count`: exactly that many, which may repeat.
   *
   * O(N) in the elements returned. Since Redis 8.0.0; not in Valkey.
   */
  readonly vrandmember: {
    /**
     * A random element; `None` when the key is missing.
     *
     * O(N) in the elements returned. Since Redis 8.0.0; not in Valkey.
     */
    (key: Key): RedisCommand<Option.Option<V>>

    /**
     * Random elements. Without `count`: one element, `None` when the key is missing. With a positive `count`: up to
     * that many different elements. With a negative `count`: exactly that many, which may repeat.
     *
     * O(N) in the elements returned. Since Redis 8.0.0; not in Valkey.
     */
    <const O extends Counted | undefined>(
      key: Key,
      options: Checked<O, Counted>
    ): RedisCommand<IfGiven<O, "count", Array<V>, Option.Option<V>>>
  }

  /**
   * The elements in a range, in the order of their bytes. Without `count`, or with a negative one: all of them.
   *
   * O(log K + M) for K elements at the start of the range and M returned. Since Redis 8.4.0; not in Valkey.
   *
   * @example
   * ```ts
   * const page = yield* Redis.vrange("words", Redis.range.exclusive("apple"), Redis.range.highest, { count: 10 })
   * ```
   */
  readonly vrange: (
    key: Key,
    start: LexBound<V>,
    end: LexBound<V>,
    options?: { readonly count?: number | undefined }
  ) => RedisCommand<Array<V>>

  /**
   * Removes an element. `false` when the element is missing.
   *
   * O(log N) for N elements. Since Redis 8.0.0; not in Valkey.
   */
  readonly vrem: (key: Key, element: V) => RedisCommand<boolean>

  /**
   * Sets the attributes of an element, as JSON text; an empty text removes them. `false` when the element is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vsetattr: (key: Key, element: V, attributes: string) => RedisCommand<boolean>

  /**
   * The elements most similar to a vector or to an element, most similar first. A missing element is an error; for a
   * missing set the result is empty.
   *
   * O(log N) for N elements. Since Redis 8.0.0; not in Valkey.
   *
   * @example
   * ```ts
   * const alike = yield* Redis.vsim("words", { ele: "apple" }, { count: 3, withscores: true })
   * // Array<readonly [element: string, score: number]>
   * ```
   */
  readonly vsim: <Scores extends Flag = undefined, Attributes extends Flag = undefined>(
    key: Key,
    query: VsimQuery<V>,
    options?: VsimOptions<Scores, Attributes>
  ) => RedisCommand<Array<SimilarElement<V, Scores, Attributes>>>
}

const VADD = define("VADD")
const VCARD = define("VCARD")
const VDIM = define("VDIM")
const VEMB = define("VEMB")
const VGETATTR = define("VGETATTR")
const VINFO = define("VINFO")
const VISMEMBER = define("VISMEMBER")
const VLINKS = define("VLINKS")
const VRANDMEMBER = define("VRANDMEMBER")
const VRANGE = define("VRANGE")
const VREM = define("VREM")
const VSETATTR = define("VSETATTR")
const VSIM = define("VSIM")

const appendVector = (builder: Args, input: Vector): Args => {
  const vector = input instanceof Float32Array ? input : toList<number>(input)
  if (vector.length === 0) {
    return builder.fail("a vector needs at least one number")
  }
  if (!(vector instanceof Float32Array)) {
    return builder
      .token("VALUES")
      .integer(vector.length)
      .each(vector, (args, value) => args.double(value))
  }
  const bytes = new DataView(new ArrayBuffer(vector.length * 4))
  vector.forEach((value, i) => {
    bytes.setFloat32(i * 4, value, true)
  })
  return builder.token("FP32").text(new Uint8Array(bytes.buffer))
}

const optionalText = Decode.nullable(Decode.text)
const optionalNumbers = Decode.nullable(Decode.array(Decode.double))

const rawParts = Decode.tuple(Decode.text, Decode.bytes, Decode.double)
const optionalRange = Decode.nullable(Decode.double)
const optionalRaw = Decode.nullable((reply): RawVector => {
  const [quantization, data, norm] = rawParts(reply)
  return { quantization, data, norm, range: Decode.at("range", optionalRange, Decode.items(reply)[3] ?? null) }
})

const optionalInteger = Report.optional(Report.integer)
const optionalInfo: Decode.Decoder<Option.Option<VectorSetInfo>> = Decode.nullable(
  Report.struct("-", {
    quantType: Report.optional(Report.text),
    vectorDim: Report.essential(Report.integer),
    projectionInputDim: optionalInteger,
    size: Report.essential(Report.integer),
    maxLevel: optionalInteger,
    attributesCount: optionalInteger,
    vsetUid: optionalInteger,
    hnswM: optionalInteger,
    hnswMaxNodeUid: optionalInteger
  })
)

const scoreAndAttributes = Decode.tuple(Decode.double, optionalText)

/** Elements with scores and attributes: RESP3 sends a map from element to pair, RESP2 a flat array of triples. */
const triples = <V>(element: Decode.Decoder<V>): Decode.Decoder<Array<readonly [V, number, Option.Option<string>]>> => {
  const nested = Decode.pairs(element, scoreAndAttributes)
  return (reply) => {
    if (isMapReply(reply)) {
      return nested(reply).map(([element, [score, attributes]]) => [element, score, attributes])
    }
    const items = Decode.items(reply)
    if (items.length % 3 !== 0) {
      return Decode.mismatch("elements, scores and attributes", reply)
    }
    return Array.from({ length: items.length / 3 }, (_, i) => [
      Decode.at(i, element, items[i * 3] as Reply),
      Decode.at(i, Decode.double, items[i * 3 + 1] as Reply),
      Decode.at(i, optionalText, items[i * 3 + 2] as Reply)
    ])
  }
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): VectorSetCommands<V> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const values = Decode.array(value)
  const optional = Decode.nullable(value)
  const scored = Decode.pairs(value, Decode.double)
  const attributed = Decode.pairs(value, optionalText)
  const both = triples(value)
  const levels = Decode.nullable(Decode.array(values))
  const scoredLevels = Decode.nullable(Decode.array(scored))

  const isElement = (query: VsimQuery<V>): query is { readonly ele: V } =>
    arrayOf(query) === undefined && !(query instanceof Float32Array)

  const element = (key: Key, element: V): Args => args().key(key).value(codec, element)

  return {
    vadd: (key, vector, element, options) =>
      VADD(
        appendVector(
          args()
            .key(key)
            .option("REDUCE", options?.reduce, (args, dimensions) => args.integer(dimensions)),
          vector
        )
          .value(codec, element)
          .atMostOne(options, ["noquant", "bin", "q8"])
          .flag("CAS", options?.cas)
          .flag("NOQUANT", options?.noquant)
          .flag("BIN", options?.bin)
          .flag("Q8", options?.q8)
          .option("EF", options?.ef, (args, effort) => args.integer(effort))
          .option("SETATTR", options?.setattr, (args, attributes) => args.text(attributes))
          .option("M", options?.m, (args, links) => args.integer(links)),
        Decode.boolean
      ),
    vcard: (key) => VCARD(args().key(key), Decode.integer),
    vdim: (key) => VDIM(args().key(key), Decode.integer),
    vemb: (key: Key, name: V, options?: { readonly raw?: boolean | undefined }) => {
      const decoder: Decode.Decoder<unknown> = options?.raw === true ? optionalRaw : optionalNumbers
      const builder = element(key, name).flag("RAW", options?.raw)
      return VEMB(builder, decoder, options?.raw !== true) as RedisCommand<never>
    },
    vgetattr: (key, name) => VGETATTR(element(key, name), optionalText),
    vinfo: (key) => VINFO(args().key(key), optionalInfo),
    vismember: (key, name) => VISMEMBER(element(key, name), Decode.boolean),
    vlinks: (key: Key, name: V, options?: { readonly withscores?: boolean | undefined }) => {
      const decoder: Decode.Decoder<unknown> = options?.withscores === true ? scoredLevels : levels
      return VLINKS(element(key, name).flag("WITHSCORES", options?.withscores), decoder, text) as RedisCommand<never>
    },
    vrandmember: (key: Key, options?: Counted) => {
      const builder = args().key(key)
      return options?.count === undefined
        ? VRANDMEMBER(builder, optional as Decode.Decoder<never>, text)
        : VRANDMEMBER(builder.integer(options.count), values as Decode.Decoder<never>, text)
    },
    vrange: (key, start, end, options) =>
      VRANGE(
        appendLex(appendLex(args().key(key), codec, start), codec, end).when(options?.count, (args, count) =>
          args.integer(count)
        ),
        values,
        text
      ),
    vrem: (key, name) => VREM(element(key, name), Decode.boolean),
    vsetattr: (key, name, attributes) => VSETATTR(element(key, name).text(attributes), Decode.boolean),
    vsim: (key: Key, query: VsimQuery<V>, options?: VsimOptions<Flag, Flag>) => {
      const builder = args().key(key)
      if (isElement(query)) {
        builder.token("ELE").value(codec, query.ele)
      } else {
        appendVector(builder, query)
      }
      builder
        .flag("WITHSCORES", options?.withscores)
        .flag("WITHATTRIBS", options?.withattribs)
        .option("COUNT", options?.count, (args, count) => args.integer(count))
        .option("EPSILON", options?.epsilon, (args, distance) => args.double(distance))
        .option("EF", options?.ef, (args, effort) => args.integer(effort))
        .option("FILTER", options?.filter, (args, expression) => args.text(expression))
        .option("FILTER-EF", options?.filterEf, (args, effort) => args.integer(effort))
        .flag("TRUTH", options?.truth)
        .flag("NOTHREAD", options?.nothread)
      const decoder: Decode.Decoder<unknown> =
        options?.withscores === true
          ? options.withattribs === true
            ? both
            : scored
          : options?.withattribs === true
            ? attributed
            : values
      return VSIM(builder, decoder, text) as RedisCommand<never>
    }
  }
}
