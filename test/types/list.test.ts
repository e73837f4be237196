/** What compiles of the list commands, and what does not: see core.test.ts. */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expectTypeOf, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/list.js"
import type { RedisCommand } from "../../src/RedisCommand.js"

const lists = make(Codec.utf8)
const binary = make(Codec.bytes)
const many = make(Codec.schema(Schema.Array(Schema.Number)))
const keysOfData: Array<string> = []

describe("list", () => {
  it("has an answer that depends on the options", () => {
    expectTypeOf(lists.lpop("l")).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(lists.lpop("l", { count: 2 })).toEqualTypeOf<RedisCommand<Option.Option<Array<string>>>>()
    expectTypeOf(lists.blpop("l", { timeout: "1 second" })).branded.toEqualTypeOf<
      RedisCommand<Option.Option<readonly [string, string]>>
    >()
    expectTypeOf(binary.lmpop("l", "left")).branded.toEqualTypeOf<
      RedisCommand<Option.Option<readonly [Uint8Array, Array<Uint8Array>]>>
    >()
    expectTypeOf(lists.lpos("l", "a")).toEqualTypeOf<RedisCommand<Option.Option<number>>>()
    expectTypeOf(lists.lpos("l", "a", { rank: 2, count: 0 })).toEqualTypeOf<RedisCommand<Array<number>>>()
    expectTypeOf(lists.lmovem("l", "m", "left", "left")).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(lists.lmovem("l", "m", "left", "left", { count: 2, obo: true })).toEqualTypeOf<
      RedisCommand<Array<string>>
    >()
    expectTypeOf(lists.lmovem("l", "m", "left", "left", { exactly: 2, obo: true })).toEqualTypeOf<
      RedisCommand<Option.Option<Array<string>>>
    >()
    expectTypeOf(lists.lset("l", 0, "a")).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(lists.lrange("l", 0, -1)).toEqualTypeOf<RedisCommand<Array<string>>>()
  })

  it("takes elements as a list", () => {
    lists.rpush("l", ["a"])
    lists.rpush("l", keysOfData)
    many.rpush("l", [[1, 2]])
    // @ts-expect-error: with a codec of lists, an array of elements is required
    many.rpush("l", [1, 2])
  })

  it("blocks only with a timeout", () => {
    // @ts-expect-error: a timeout is required
    lists.blpop("l")
    // @ts-expect-error: a duration needs a unit
    lists.blpop("l", { timeout: 5 })
    // @ts-expect-error: LPOP has no timeout
    lists.lpop("l", { timeout: "1 second" })
  })

  it("refuses unknown ends and sides, and contradictory counts", () => {
    // @ts-expect-error: the end is "left" or "right"
    lists.lmove("l", "m", "left", "top")
    // @ts-expect-error: the side is "before" or "after"
    lists.linsert("l", "left", "p", "e")
    // @ts-expect-error: a count needs `bulk` or `obo`
    lists.lmovem("l", "m", "left", "left", { count: 2 })
    // @ts-expect-error: `bulk` needs a count
    lists.lmovem("l", "m", "left", "left", { bulk: true })
    // @ts-expect-error: COUNT and EXACTLY exclude each other
    lists.lmovem("l", "m", "left", "left", { count: 2, exactly: 2, bulk: true })
    // @ts-expect-error: BULK and OBO exclude each other
    lists.lmovem("l", "m", "left", "left", { exactly: 2, bulk: true, obo: true })
    lists.blmovem("l", "m", "left", "left", { timeout: "1 second", exactly: 2, bulk: true })
    // @ts-expect-error: a count needs `bulk` or `obo`
    lists.blmovem("l", "m", "left", "left", { timeout: "1 second", exactly: 2 })
  })
})
