/**
 * Type tests of the bitmap commands (docs/decisions/0002).
 */
import type * as Option from "effect/Option"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { type BitfieldGet, type BitfieldOperation, make } from "../../src/commands/bitmap.js"

const bitmaps = make()

describe("bitfield", () => {
  it("answers an integer for each operation, exact, and an option where it may fail", () => {
    expectTypeOf(
      bitmaps.bitfield("k", [
        { get: "u53", offset: 0 },
        { get: "i54", offset: "#1" },
        { set: "u8", offset: 0, value: 1, overflow: "sat" },
        { incrby: "i64", offset: 0, increment: 1n, overflow: "fail" }
      ])
    ).toEqualTypeOf<RedisCommand<[number, number | bigint, number, Option.Option<number | bigint>]>>()
    expectTypeOf(bitmaps.bitfieldRo("k", [{ get: "u8", offset: 0 }])).toEqualTypeOf<RedisCommand<[number]>>()
  })

  it("is honest about operations that it does not know", () => {
    const some: ReadonlyArray<BitfieldGet> = []
    expectTypeOf(bitmaps.bitfield("k", some)).toEqualTypeOf<RedisCommand<Array<number | bigint>>>()
    const any: ReadonlyArray<BitfieldOperation> = []
    expectTypeOf(bitmaps.bitfield("k", any)).toEqualTypeOf<
      RedisCommand<Array<number | bigint | Option.Option<number | bigint>>>
    >()
  })

  it("takes operations that are complete", () => {
    // @ts-expect-error: there is no u64
    bitmaps.bitfield("k", [{ get: "u64", offset: 0 }])
    // @ts-expect-error: one operation at a time
    bitmaps.bitfield("k", [{ get: "u8", set: "u8", offset: 0, value: 1 }])
    // @ts-expect-error: reading does not overflow
    bitmaps.bitfield("k", [{ get: "u8", offset: 0, overflow: "fail" }])
    // @ts-expect-error: where?
    bitmaps.bitfield("k", [{ get: "u8" }])
    // @ts-expect-error: by how much?
    bitmaps.bitfield("k", [{ incrby: "u8", offset: 0, value: 1 }])
    // @ts-expect-error: an offset in widths is written #1
    bitmaps.bitfield("k", [{ get: "u8", offset: "1" }])
    // @ts-expect-error: bitfieldRo reads
    bitmaps.bitfieldRo("k", [{ set: "u8", offset: 0, value: 1 }])
  })
})

describe("the rest", () => {
  it("takes bits, ranges and operations", () => {
    expectTypeOf(bitmaps.setbit("k", 0, 1)).toEqualTypeOf<RedisCommand<0 | 1>>()
    // @ts-expect-error: no bit
    bitmaps.setbit("k", 0, 2)
    // @ts-expect-error: bytes or bits
    bitmaps.bitcount("k", { start: 0, end: 1, byte: true, bit: true })
    // @ts-expect-error: a unit needs both ends
    bitmaps.bitcount("k", { start: 0, bit: true })
    // @ts-expect-error: from where?
    bitmaps.bitpos("k", 1, { end: 5 })
    // @ts-expect-error: one bitmap is inverted
    bitmaps.bitop("not", "d", ["k", "l"])
    // @ts-expect-error: no such operation
    bitmaps.bitop("nand", "d", ["k", "l"])
  })
})
