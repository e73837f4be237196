/**
 * Bitmaps: strings read as rows of bits, or of integers of any width.
 *
 * @see https://redis.io/docs/latest/commands/?group=bitmap
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import {
  type Args,
  type AtMostOne,
  args,
  type Key,
  type List,
  type OneOrMany,
  toList
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * @since 0.1.0
 * @category models
 */
export type Bit = 0 | 1

/** Widths whose integers a JavaScript number holds exactly. */
// biome-ignore format: a table
type ExactWidth =
  | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25
  | 26 | 27 | 28 | 29 | 30 | 31 | 32 | 33 | 34 | 35 | 36 | 37 | 38 | 39 | 40 | 41 | 42 | 43 | 44 | 45 | 46 | 47 | 48
  | 49 | 50 | 51 | 52 | 53

type WideWidth = 54 | 55 | 56 | 57 | 58 | 59 | 60 | 61 | 62 | 63

/**
 * The type of an integer inside a bitmap: signed (`i1` to `i64`) or unsigned (`u1` to `u63`).
 *
 * @since 0.1.0
 * @category models
 */
export type BitfieldEncoding = `u${ExactWidth | WideWidth}` | `i${ExactWidth | WideWidth | 64}`

/**
 * Where an integer begins: at a bit, or, with `#`, at that multiple of its width.
 *
 * @since 0.1.0
 * @category models
 */
export type BitfieldOffset = number | bigint | `#${number}` | `#${bigint}`

/**
 * How an overflow is handled: the value wraps around (`wrap`), it stops at the limit (`sat`), or it is not stored and
 * the result is `None` (`fail`).
 *
 * @since 0.1.0
 * @category models
 */
export type BitfieldOverflow = "wrap" | "sat" | "fail"

/**
 * Reads an integer.
 *
 * @since 0.1.0
 * @category models
 */
export interface BitfieldGet {
  readonly get: BitfieldEncoding
  readonly offset: BitfieldOffset
  readonly set?: undefined
  readonly incrby?: undefined
  readonly overflow?: undefined
}

/**
 * Stores an integer, and returns the previous one.
 *
 * @since 0.1.0
 * @category models
 */
export interface BitfieldSet {
  readonly set: BitfieldEncoding
  readonly offset: BitfieldOffset
  readonly value: number | bigint
  /** Default: `wrap`, whatever earlier operations in the list use. */
  readonly overflow?: BitfieldOverflow | undefined
  readonly get?: undefined
  readonly incrby?: undefined
}

/**
 * Adds to an integer, and returns the sum.
 *
 * @since 0.1.0
 * @category models
 */
export interface BitfieldIncrby {
  readonly incrby: BitfieldEncoding
  readonly offset: BitfieldOffset
  readonly increment: number | bigint
  /** Default: `wrap`, whatever earlier operations in the list use. */
  readonly overflow?: BitfieldOverflow | undefined
  readonly get?: undefined
  readonly set?: undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export type BitfieldOperation = BitfieldGet | BitfieldSet | BitfieldIncrby

type IntegerOf<Encoding> = Encoding extends `${"u" | "i"}${ExactWidth}` ? number : number | bigint

type EncodingOf<Operation> = Operation extends
  | { readonly get: infer E extends string }
  | { readonly set: infer E extends string }
  | { readonly incrby: infer E extends string }
  ? E
  : never

type OverflowOf<Operation> = "overflow" extends keyof Operation ? Operation["overflow"] : undefined

/**
 * The result of an operation: a number, or `number | bigint` from a width of 54 on. With `overflow: "fail"` it is an
 * `Option`, `None` after an overflow.
 *
 * @since 0.1.0
 * @category models
 */
export type BitfieldAnswer<Operation> = Operation extends { readonly overflow: "fail" }
  ? Option.Option<IntegerOf<EncodingOf<Operation>>>
  : "fail" extends OverflowOf<Operation>
    ? Option.Option<IntegerOf<EncodingOf<Operation>>> | IntegerOf<EncodingOf<Operation>>
    : IntegerOf<EncodingOf<Operation>>

/**
 * The results of all operations, in their order.
 *
 * @since 0.1.0
 * @category models
 */
export type BitfieldAnswers<Operations> =
  Operations extends ReadonlyArray<unknown>
    ? { -readonly [I in keyof Operations]: BitfieldAnswer<Operations[I]> }
    : Operations extends List<infer Operation>
      ? Array<BitfieldAnswer<Operation>>
      : [BitfieldAnswer<Operations>]

type BitUnit = AtMostOne<{
  /** The range counts bytes (the default). */
  readonly byte: true
  /** The range counts bits. Redis 7.0. */
  readonly bit: true
}>

/**
 * A part of a bitmap: from one byte (or bit) to another, both included. Negative positions count from the end.
 *
 * @since 0.1.0
 * @category options
 */
export type BitRange =
  | { readonly start?: undefined; readonly end?: undefined; readonly byte?: undefined; readonly bit?: undefined }
  | { readonly start: number; readonly end?: undefined; readonly byte?: undefined; readonly bit?: undefined }
  | ({ readonly start: number; readonly end: number } & BitUnit)

/**
 * How bitmaps are combined. `diff`: bits set in the first and in none of the others; `diff1`: set in some other and not
 * in the first; `andor`: set in the first and in some other; `one`: set in exactly one. These four since Redis 8.2; not
 * in Valkey.
 *
 * @since 0.1.0
 * @category models
 */
export type BitOperation = "and" | "or" | "xor" | "diff" | "diff1" | "andor" | "one"

/**
 * The commands on bitmaps.
 *
 * @since 0.1.0
 * @category models
 */
export interface BitmapCommands {
  /**
   * The number of set bits, in the whole string or in a range. Redis needs both ends of a range; Valkey 8.0 also takes
   * `start` alone.
   *
   * O(N) in the bytes read. Since Redis 2.6.0; ranges of bits since 7.0.0.
   *
   * @example
   * ```ts
   * const present = yield* Redis.bitcount("visitors:today") // number
   * ```
   */
  readonly bitcount: (key: Key, range?: BitRange) => RedisCommand<number>

  /**
   * Reads, stores and increments integers inside a string, and returns the result of each operation. `overflow` applies
   * to its own operation only; an operation without it wraps.
   *
   * O(1) for each operation. Since Redis 3.2.0.
   *
   * @example
   * ```ts
   * const [visits, level] = yield* Redis.bitfield("player:1", [
   *   { incrby: "u32", offset: 0, increment: 1 },
   *   { incrby: "u8", offset: 32, increment: 1, overflow: "fail" }
   * ]) // [number, Option<number>]
   * ```
   */
  readonly bitfield: <const Operations extends OneOrMany<BitfieldOperation>>(
    key: Key,
    operations: Operations
  ) => RedisCommand<BitfieldAnswers<Operations>>

  /**
   * {@link bitfield} that only reads, so replicas can execute it.
   *
   * O(1) for each. Since Redis 6.0.0.
   */
  readonly bitfieldRo: <const Operations extends OneOrMany<BitfieldGet>>(
    key: Key,
    operations: Operations
  ) => RedisCommand<BitfieldAnswers<Operations>>

  /**
   * Combines bitmaps bit by bit, stores the result in the destination, and returns its length in bytes. Shorter bitmaps
   * count as if filled up with zeros. `not` inverts one bitmap.
   *
   * O(N) in bytes. Since Redis 2.6.0.
   *
   * @example
   * ```ts
   * yield* Redis.bitop("and", "both-days", ["visitors:1", "visitors:2"])
   * ```
   */
  readonly bitop: <O extends BitOperation | "not">(
    operation: O,
    destination: Key,
    keys: O extends "not" ? Key : OneOrMany<Key>
  ) => RedisCommand<number>

  /**
   * The position of the first bit with this value, in the whole string or in a range; -1 when there is none. Without an
   * `end`, a search for 0 in a string of only ones returns the position after the last bit.
   *
   * O(N) in the bytes read. Since Redis 2.8.7; ranges of bits since 7.0.0.
   */
  readonly bitpos: (key: Key, bit: Bit, range?: BitRange) => RedisCommand<number>

  /**
   * One bit. Bits after the end of the string, and those of a missing key, are 0.
   *
   * O(1). Since Redis 2.2.0.
   */
  readonly getbit: (key: Key, offset: number) => RedisCommand<Bit>

  /**
   * Sets or clears one bit, and returns its previous value. The string grows as needed.
   *
   * O(1). Since Redis 2.2.0.
   *
   * @example
   * ```ts
   * const before = yield* Redis.setbit("visitors:today", 42, 1) // 0 | 1
   * ```
   */
  readonly setbit: (key: Key, offset: number, bit: Bit) => RedisCommand<Bit>
}

const BITCOUNT = define("BITCOUNT")
const BITFIELD = define("BITFIELD")
const BITFIELD_RO = define("BITFIELD_RO")
const BITOP = define("BITOP")
const BITPOS = define("BITPOS")
const GETBIT = define("GETBIT")
const SETBIT = define("SETBIT")

const bit: Decode.Decoder<Bit> = (reply) => (reply === 1 || reply === 0 ? reply : Decode.mismatch("0 or 1", reply))

const integers = Decode.array(Decode.largeInteger)
const optionalInteger = Decode.nullable(Decode.largeInteger)

const mixedDecoders = new Map<string, Decode.Decoder<Array<unknown>>>()

/**
 * The decoder of a BITFIELD reply in which some results may be `None`: those with an `x` in the pattern. Decoders are
 * cached, so that equal commands share one; the size of the cache is bounded.
 */
const mixed = (pattern: string): Decode.Decoder<Array<unknown>> => {
  const known = mixedDecoders.get(pattern)
  if (known !== undefined) {
    return known
  }
  const decoder: Decode.Decoder<Array<unknown>> = (reply) =>
    Decode.items(reply).map((item: Reply, i) =>
      Decode.at<unknown>(i, pattern[i] === "x" ? optionalInteger : Decode.largeInteger, item)
    )
  if (mixedDecoders.size < 1000 && pattern.length <= 64) {
    mixedDecoders.set(pattern, decoder)
  }
  return decoder
}

const offset = (builder: Args, offset: BitfieldOffset): Args => {
  if (typeof offset !== "string") {
    return builder.integer(offset)
  }
  return /^#\d+$/.test(offset)
    ? builder.text(offset)
    : builder.fail("an offset must be an integer, or # followed by an integer")
}

const encoding = (builder: Args, encoding: BitfieldEncoding): Args =>
  /^[ui]\d{1,2}$/.test(encoding) ? builder.token(encoding) : builder.fail("an encoding must be u1 to u63 or i1 to i64")

const operationsOf = (builder: Args, operations: ReadonlyArray<BitfieldOperation>): Args => {
  // The server's OVERFLOW applies to all later operations; ours only to its own operation.
  let current: BitfieldOverflow = "wrap"
  const overflow = (wanted: BitfieldOverflow = "wrap"): void => {
    if (wanted !== current) {
      builder.token("OVERFLOW").word(wanted)
      current = wanted
    }
  }
  for (const operation of operations) {
    if (operation.get !== undefined) {
      offset(encoding(builder.token("GET"), operation.get), operation.offset)
    } else if (operation.set !== undefined) {
      overflow(operation.overflow)
      offset(encoding(builder.token("SET"), operation.set), operation.offset).integer(operation.value)
    } else {
      overflow(operation.overflow)
      offset(encoding(builder.token("INCRBY"), operation.incrby), operation.offset).integer(operation.increment)
    }
  }
  return builder
}

const within = (builder: Args, range: BitRange | undefined): Args =>
  builder
    .when(range?.start, (args, start) => args.integer(start))
    .when(range?.end, (args, end) => args.integer(end))
    .atMostOne(range, ["byte", "bit"])
    .flag("BYTE", range?.byte)
    .flag("BIT", range?.bit)

const bitmaps: BitmapCommands = {
  bitcount: (key, range) => BITCOUNT(within(args().key(key), range), Decode.integer),
  bitfield: (key: Key, input: OneOrMany<BitfieldOperation>) => {
    const operations = toList<BitfieldOperation>(input)
    const pattern = operations.map(({ overflow }) => (overflow === "fail" ? "x" : ".")).join("")
    const decoder: Decode.Decoder<Array<unknown>> = pattern.includes("x") ? mixed(pattern) : integers
    return BITFIELD(operationsOf(args().key(key), operations), decoder) as RedisCommand<never>
  },
  bitfieldRo: (key: Key, operations: OneOrMany<BitfieldGet>) =>
    BITFIELD_RO(operationsOf(args().key(key), toList<BitfieldGet>(operations)), integers) as RedisCommand<never>,
  bitop: (operation: BitOperation | "not", destination: Key, keys: OneOrMany<Key>) =>
    BITOP(args().word(operation).key(destination).keys(keys), Decode.integer),
  bitpos: (key, bit, range) => BITPOS(within(args().key(key).integer(bit), range), Decode.integer),
  getbit: (key, offset) => GETBIT(args().key(key).integer(offset), bit),
  setbit: (key, offset, value) => SETBIT(args().key(key).integer(offset).integer(value), bit)
}

/** @internal */
export const make = (): BitmapCommands => bitmaps
