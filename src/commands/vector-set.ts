/**
 * Vector sets: elements with vectors, found by how similar they are. Not in Valkey.
 *
 * @see https://redis.io/docs/latest/commands/?group=vector_set
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { type Args, type AtMostOne, args, type Key } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { MapReply, type Reply } from "../internal/resp/values.js"
import { appendLex, type LexBound } from "./range.js"

/**
 * A vector. A `Float32Array` is sent as four bytes a number (FP32), a list of numbers as text (VALUES).
 *
 * @since 0.1.0
 * @category models
 */
export type Vector = Float32Array | ReadonlyArray<number>

/**
 * @since 0.1.0
 * @category options
 */
export type VaddOptions = AtMostOne<{
  /** Keep the numbers as they are. */
  readonly noquant: true
  /** Keep one bit of each number: the smallest and fastest, and the least exact. */
  readonly bin: true
  /** Keep eight bits of each number: the default. */
  readonly q8: true
}> & {
  /** Project the vector to this many dimensions. */
  readonly reduce?: number | undefined
  /** Look for neighbours in the background, and insert later: quicker for the caller. */
  readonly cas?: boolean | undefined
  /** How hard to look for neighbours. Default: 200. */
  readonly ef?: number | undefined
  /** Attributes, as JSON text. */
  readonly setattr?: string | undefined
  /** How many links an element has. Default: 16. */
  readonly m?: number | undefined
}

/**
 * What to compare with: a vector, or an element of the set.
 *
 * @since 0.1.0
 * @category options
 */
export type VsimQuery<V> = Vector | { readonly ele: V }

type Flag = true | undefined

/**
 * @since 0.1.0
 * @category options
 */
export interface VsimOptions<Scores, Attributes> {
  /** Answer how similar each element is, from 0 to 1. */
  readonly withscores?: Scores
  /** Answer the attributes of each element. Redis 8.2. */
  readonly withattribs?: Attributes
  /** At most this many. Default: 10. */
  readonly count?: number | undefined
  /** Only elements at most this far away, from 0 to 1. */
  readonly epsilon?: number | undefined
  /** How hard to look: more finds more of what is nearest, and takes longer. */
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
 * An element that was found, with what was asked for.
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
 * A vector as the server keeps it.
 *
 * @since 0.1.0
 * @category models
 */
export interface RawVector {
  /** How the numbers are kept: `f32`, `int8` or `bin`. */
  readonly quantization: string
  readonly data: Uint8Array
  /** How long the vector was, before it was normalised. */
  readonly norm: number
  /** What the largest `int8` stands for; `None` for the others. */
  readonly range: Option.Option<number>
}

/**
 * What VINFO says.
 *
 * @since 0.1.0
 * @category models
 */
export interface VectorSetInfo {
  /** `f32`, `int8` or `bin`. */
  readonly quantType: string
  readonly vectorDim: number
  /** How many dimensions vectors had before they were projected; 0 when they are not. */
  readonly projectionInputDim: number
  readonly size: number
  readonly maxLevel: number
  readonly attributesCount: number
  readonly vsetUid: number
  readonly hnswM: number
  readonly hnswMaxNodeUid: number
}

/**
 * The commands on vector sets.
 *
 * @since 0.1.0
 * @category models
 */
export interface VectorSetCommands<V> {
  /**
   * Adds an element with its vector, or gives it another vector; says whether it is new. All vectors of a set have the
   * dimensions and the quantization of the first.
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
   * How many elements there are.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vcard: (key: Key) => RedisCommand<number>

  /**
   * How many dimensions the vectors have. Without the set it fails: the server calls that an error.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vdim: (key: Key) => RedisCommand<number>

  /**
   * The vector of an element, about as it was given; with `raw` as the server keeps it. `None` when it is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vemb: {
    (key: Key, element: V, options?: { readonly raw?: undefined }): RedisCommand<Option.Option<Array<number>>>
    (key: Key, element: V, options: { readonly raw: true }): RedisCommand<Option.Option<RawVector>>
  }

  /**
   * The attributes of an element, as JSON text; `None` when it has none or is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vgetattr: (key: Key, element: V) => RedisCommand<Option.Option<string>>

  /**
   * What a vector set is made of; `None` when there is none.
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
   * The neighbours of an element in the graph, level by level from the top; `None` when it is missing.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vlinks: {
    (key: Key, element: V, options?: { readonly withscores?: undefined }): RedisCommand<Option.Option<Array<Array<V>>>>
    (
      key: Key,
      element: V,
      options: { readonly withscores: true }
    ): RedisCommand<Option.Option<Array<Array<readonly [element: V, score: number]>>>>
  }

  /**
   * Some element, drawn at random. With `count` that many different ones, or fewer when there are no more; a negative
   * count draws that many, perhaps the same again.
   *
   * O(N) in the elements drawn. Since Redis 8.0.0; not in Valkey.
   */
  readonly vrandmember: {
    (key: Key): RedisCommand<Option.Option<V>>
    (key: Key, options: { readonly count: number }): RedisCommand<Array<V>>
  }

  /**
   * The elements in a range, in the order of their bytes. A negative count, like none, is all of them.
   *
   * O(log K + M) for K elements at the beginning and M answered. Since Redis 8.4.0; not in Valkey.
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
   * Removes an element, and says whether it was there.
   *
   * O(log N) for N elements. Since Redis 8.0.0; not in Valkey.
   */
  readonly vrem: (key: Key, element: V) => RedisCommand<boolean>

  /**
   * Gives an element attributes, as JSON text, or takes them with an empty one; says whether the element is there.
   *
   * O(1). Since Redis 8.0.0; not in Valkey.
   */
  readonly vsetattr: (key: Key, element: V, attributes: string) => RedisCommand<boolean>

  /**
   * The elements most similar to a vector or an element, the most similar first. An element that is not there is an
   * error; a set that is not there is empty.
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

const appendVector = (builder: Args, vector: Vector): Args => {
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

const optionalInfo: Decode.Decoder<Option.Option<VectorSetInfo>> = Decode.nullable(
  Decode.structNamed("-", {
    quantType: Decode.text,
    vectorDim: Decode.integer,
    projectionInputDim: Decode.integer,
    size: Decode.integer,
    maxLevel: Decode.integer,
    attributesCount: Decode.integer,
    vsetUid: Decode.integer,
    hnswM: Decode.integer,
    hnswMaxNodeUid: Decode.integer
  })
)

const scoreAndAttributes = Decode.tuple(Decode.double, optionalText)

/** Elements with both: a map to pairs under RESP3, three by three under RESP2. */
const triples = <V>(element: Decode.Decoder<V>): Decode.Decoder<Array<readonly [V, number, Option.Option<string>]>> => {
  const nested = Decode.pairs(element, scoreAndAttributes)
  return (reply) => {
    if (reply instanceof MapReply) {
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
    !Array.isArray(query) && !(query instanceof Float32Array)

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
    vrandmember: (key: Key, options?: { readonly count: number }) => {
      const builder = args().key(key)
      return options === undefined
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
