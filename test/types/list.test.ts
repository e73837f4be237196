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
const maybeNone: Array<string> = []

describe("list", () => {
  it("answers what its options say", () => {
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

  it("takes elements as a list that is not empty", () => {
    lists.rpush("l", ["a"])
    // @ts-expect-error: the list is empty
    lists.rpush("l", [])
    // @ts-expect-error: the list may be empty
    lists.rpush("l", maybeNone)
    many.rpush("l", [[1, 2]])
    // @ts-expect-error: one element that is a list, or two elements?
    many.rpush("l", [1, 2])
  })

  it("waits for a while that is said", () => {
    // @ts-expect-error: for how long?
    lists.blpop("l")
    // @ts-expect-error: a bare number has no unit
    lists.blpop("l", { timeout: 5 })
    // @ts-expect-error: from which key?
    lists.blpop([], { timeout: "1 second" })
    // @ts-expect-error: LPOP does not wait
    lists.lpop("l", { timeout: "1 second" })
  })

  it("knows ends, sides and amounts", () => {
    // @ts-expect-error: a list has two ends
    lists.lmove("l", "m", "left", "top")
    // @ts-expect-error: a pivot has two sides
    lists.linsert("l", "left", "p", "e")
    // @ts-expect-error: how do they lie then?
    lists.lmovem("l", "m", "left", "left", { count: 2 })
    // @ts-expect-error: how many?
    lists.lmovem("l", "m", "left", "left", { bulk: true })
    // @ts-expect-error: up to, or exactly
    lists.lmovem("l", "m", "left", "left", { count: 2, exactly: 2, bulk: true })
    // @ts-expect-error: one by one, or all at once
    lists.lmovem("l", "m", "left", "left", { exactly: 2, bulk: true, obo: true })
    lists.blmovem("l", "m", "left", "left", { timeout: "1 second", exactly: 2, bulk: true })
    // @ts-expect-error: how do they lie then?
    lists.blmovem("l", "m", "left", "left", { timeout: "1 second", exactly: 2 })
  })
})
