/** Type tests of the array and vector set commands (docs/decisions/0002). */
import type * as Option from "effect/Option"
import * as Codec from "effect-redis-client/Codec"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { make as makeArrays } from "../../src/commands/array.js"
import { range } from "../../src/commands/range.js"
import { make as makeVectors, type RawVector } from "../../src/commands/vector-set.js"

const arrays = makeArrays(Codec.utf8)
const vectors = makeVectors(Codec.utf8)

describe("array", () => {
  it("has an answer that depends on the options", () => {
    expectTypeOf(arrays.arop("k", 0, 1, "sum")).toEqualTypeOf<RedisCommand<Option.Option<number>>>()
    expectTypeOf(arrays.arop("k", 0, 1, "xor")).toEqualTypeOf<RedisCommand<Option.Option<number | bigint>>>()
    expectTypeOf(arrays.arop("k", 0, 1, { match: "a" })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(arrays.argrep("k", range.lowest, 5, { match: "a" })).toEqualTypeOf<
      RedisCommand<Array<number | bigint>>
    >()
    expectTypeOf(
      arrays.argrep("k", 0, range.highest, [{ exact: "a" }, { re: "b" }], { withvalues: true })
    ).toEqualTypeOf<RedisCommand<Array<readonly [index: number | bigint, value: string]>>>()
  })

  it("refuses incomplete and contradictory options", () => {
    // @ts-expect-error: "match" needs a value
    arrays.arop("k", 0, 1, "match")
    // @ts-expect-error: an item may have one kind of test only
    arrays.argrep("k", 0, 1, { exact: "a", match: "b" })
    // @ts-expect-error: `and` and `or` exclude each other
    arrays.argrep("k", 0, 1, { match: "a" }, { and: true, or: true })
    // @ts-expect-error: bounds must be made by `range`
    arrays.argrep("k", "-", "+", { match: "a" })
    // @ts-expect-error: the bounds of ARGETRANGE are indexes
    arrays.argetrange("k", range.lowest, 5)
  })
})

describe("vector set", () => {
  it("has an answer that depends on the options", () => {
    expectTypeOf(vectors.vsim("k", [1], { count: 1 })).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(vectors.vsim("k", { ele: "a" }, { withscores: true })).toEqualTypeOf<
      RedisCommand<Array<readonly [element: string, score: number]>>
    >()
    expectTypeOf(vectors.vsim("k", new Float32Array(3), { withscores: true, withattribs: true })).toEqualTypeOf<
      RedisCommand<Array<readonly [element: string, score: number, attributes: Option.Option<string>]>>
    >()
    expectTypeOf(vectors.vemb("k", "a")).toEqualTypeOf<RedisCommand<Option.Option<Array<number>>>>()
    expectTypeOf(vectors.vemb("k", "a", { raw: true })).toEqualTypeOf<RedisCommand<Option.Option<RawVector>>>()
  })

  it("refuses incomplete and contradictory options", () => {
    // @ts-expect-error: quantizations exclude each other
    vectors.vadd("k", [1], "a", { q8: true, bin: true })
    // @ts-expect-error: a vector must consist of numbers
    vectors.vadd("k", ["1"], "a")
    // @ts-expect-error: text is not a vector
    vectors.vsim("k", "apple")
    // @ts-expect-error: attributes are JSON text
    vectors.vsetattr("k", "a", { x: 1 })
    // @ts-expect-error: this option does not exist
    vectors.vsim("k", [1], { withScores: true })
  })
})
