/**
 * Type tests of the bitmap commands (docs/decisions/0002).
 */
import type * as Option from "effect/Option"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { type BitfieldGet, type BitfieldOperation, make } from "../../src/commands/bitmap.js"

const bitmaps = make()

describe("bitfield", () => {
  it("answers an exact integer for each operation, and an Option where the operation may fail", () => {
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

  it("answers a general type when the operations are not known to the compiler", () => {
    const some: ReadonlyArray<BitfieldGet> = []
    expectTypeOf(bitmaps.bitfield("k", some)).toEqualTypeOf<RedisCommand<Array<number | bigint>>>()
    const any: ReadonlyArray<BitfieldOperation> = []
    expectTypeOf(bitmaps.bitfield("k", any)).toEqualTypeOf<
      RedisCommand<Array<number | bigint | Option.Option<number | bigint>>>
    >()
  })

  it("refuses operations that are incomplete or contradictory", () => {
    // @ts-expect-error: u64 does not exist
    bitmaps.bitfield("k", [{ get: "u64", offset: 0 }])
    // @ts-expect-error: an operation may have one kind only
    bitmaps.bitfield("k", [{ get: "u8", set: "u8", offset: 0, value: 1 }])
    // @ts-expect-error: GET cannot overflow
    bitmaps.bitfield("k", [{ get: "u8", offset: 0, overflow: "fail" }])
    // @ts-expect-error: an offset is required
    bitmaps.bitfield("k", [{ get: "u8" }])
    // @ts-expect-error: an increment is required
    bitmaps.bitfield("k", [{ incrby: "u8", offset: 0, value: 1 }])
    // @ts-expect-error: an offset counted in widths is written "#1"
    bitmaps.bitfield("k", [{ get: "u8", offset: "1" }])
    // @ts-expect-error: BITFIELD_RO can only GET
    bitmaps.bitfieldRo("k", [{ set: "u8", offset: 0, value: 1 }])
  })
})

describe("other bitmap commands", () => {
  it("take bits, complete ranges and known operations", () => {
    expectTypeOf(bitmaps.setbit("k", 0, 1)).toEqualTypeOf<RedisCommand<0 | 1>>()
    // @ts-expect-error: a bit is 0 or 1
    bitmaps.setbit("k", 0, 2)
    // @ts-expect-error: `byte` and `bit` exclude each other
    bitmaps.bitcount("k", { start: 0, end: 1, byte: true, bit: true })
    // @ts-expect-error: a unit needs start and end
    bitmaps.bitcount("k", { start: 0, bit: true })
    // @ts-expect-error: an end needs a start
    bitmaps.bitpos("k", 1, { end: 5 })
    // @ts-expect-error: NOT takes one key
    bitmaps.bitop("not", "d", ["k", "l"])
    // @ts-expect-error: this operation does not exist
    bitmaps.bitop("nand", "d", ["k", "l"])
  })
})
