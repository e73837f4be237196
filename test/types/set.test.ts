/** What compiles of the set commands, and what does not: see core.test.ts. */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expectTypeOf, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/set.js"
import type { RedisCommand } from "../../src/RedisCommand.js"

const sets = make(Codec.utf8)
const numbers = make(Codec.schema(Schema.Number))
const keysOfData: Array<string> = []

describe("set", () => {
  it("has an answer that depends on the options", () => {
    expectTypeOf(numbers.smembers("s")).toEqualTypeOf<RedisCommand<Array<number>>>()
    expectTypeOf(sets.spop("s")).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(sets.spop("s", { count: 2 })).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(sets.srandmember("s")).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(sets.srandmember("s", { count: -2 })).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(sets.smismember("s", ["a", "b"])).toEqualTypeOf<RedisCommand<Array<boolean>>>()
    expectTypeOf(sets.smove("s", "t", "a")).toEqualTypeOf<RedisCommand<boolean>>()
    expectTypeOf(numbers.sscan("s", "0")).toEqualTypeOf<
      RedisCommand<{ readonly cursor: string; readonly items: ReadonlyArray<number> }>
    >()
    expectTypeOf(sets.sunioncard("s", { approx: true, limit: 2 })).toEqualTypeOf<RedisCommand<number>>()
  })

  it("refuses options that do not exist", () => {
    sets.sadd("s", ["a"])
    sets.srem("s", keysOfData)
    // @ts-expect-error: the member must be a number
    numbers.sadd("s", ["a"])
    // @ts-expect-error: only SUNIONCARD has APPROX
    sets.sintercard("s", { approx: true })
    // @ts-expect-error: a cursor must be text, because it has up to 64 bits
    sets.sscan("s", 0)
  })
})
