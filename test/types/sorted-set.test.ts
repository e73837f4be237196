/**
 * Type tests of the sorted set commands and their ranges (docs/decisions/0002).
 */
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Codec from "effect-redis-client/Codec"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { range } from "../../src/commands/range.js"
import { make } from "../../src/commands/sorted-set.js"

const zsets = make(Codec.utf8)
const inBytes = make(Codec.bytes)
const users = make(Codec.schema(Schema.Struct({ id: Schema.Number })))
type Scored<V> = readonly [member: V, score: number]

describe("zadd", () => {
  it("answers a count, or the score with incr", () => {
    expectTypeOf(
      zsets.zadd(
        "k",
        [
          ["a", 1],
          ["b", 2]
        ],
        { nx: true }
      )
    ).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(zsets.zadd("k", [["a", 1]], { xx: true, gt: true, incr: true })).toEqualTypeOf<
      RedisCommand<Option.Option<number>>
    >()
  })

  it("refuses options that exclude each other", () => {
    // @ts-expect-error: nx and xx exclude each other
    zsets.zadd("k", [["a", 1]], { nx: true, xx: true })
    // @ts-expect-error: nx and gt exclude each other
    zsets.zadd("k", [["a", 1]], { nx: true, gt: true })
    // @ts-expect-error: gt and lt exclude each other
    zsets.zadd("k", [["a", 1]], { gt: true, lt: true })
    const two = [["a", 1] as const, ["b", 2] as const] as const
    // @ts-expect-error: incr is for one member
    zsets.zadd("k", two, { incr: true })
    // @ts-expect-error: the member comes first
    zsets.zadd("k", [[1, "a"]])
    // @ts-expect-error: members are of the codec's type
    users.zadd("k", [["a", 1]])
    // @ts-expect-error: this option does not exist
    zsets.zadd("k", [["a", 1]], { changed: true })
  })
})

describe("ranges", () => {
  it("answer scores only with withscores", () => {
    expectTypeOf(zsets.zrange("k", 0, -1)).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(zsets.zrange("k", 0, -1, { withscores: true })).toEqualTypeOf<RedisCommand<Array<Scored<string>>>>()
    expectTypeOf(
      users.zrange("k", range.exclusive(1), range.highest, { byscore: true, limit: { offset: 0, count: 1 } })
    ).toEqualTypeOf<RedisCommand<Array<{ readonly id: number }>>>()
    expectTypeOf(users.zrange("k", range.inclusive({ id: 1 }), range.highest, { bylex: true })).toEqualTypeOf<
      RedisCommand<Array<{ readonly id: number }>>
    >()
  })

  it("take only bounds of their kind", () => {
    zsets.zrange("k", 1, range.exclusive(5), { byscore: true })
    // @ts-expect-error: a score must be a number or a bound made by `range`
    zsets.zrange("k", "(1", "5", { byscore: true })
    // @ts-expect-error: an index must be a number
    zsets.zrange("k", range.exclusive(1), 5)
    // @ts-expect-error: a member must say whether it belongs to the range
    zsets.zrange("k", "a", "b", { bylex: true })
    // @ts-expect-error: a member must be text
    zsets.zrange("k", range.inclusive(1), range.highest, { bylex: true })
    // @ts-expect-error: BYSCORE and BYLEX exclude each other
    zsets.zrange("k", 1, 2, { byscore: true, bylex: true })
    // @ts-expect-error: a limit needs byscore or bylex
    zsets.zrange("k", 0, -1, { limit: { offset: 0, count: 1 } })
    // @ts-expect-error: BYLEX excludes WITHSCORES
    zsets.zrange("k", range.lowest, range.highest, { bylex: true, withscores: true })
    // @ts-expect-error: a limit needs an offset and a count
    zsets.zrange("k", 0, 1, { byscore: true, limit: { count: 1 } })
    // @ts-expect-error: a score must be a number or a bound made by `range`
    zsets.zcount("k", "-inf", "+inf")
    // @ts-expect-error: ZRANGESTORE has no WITHSCORES
    zsets.zrangestore("d", "k", 0, -1, { withscores: true })
  })
})

describe("combinations", () => {
  it("take one weight for each key", () => {
    expectTypeOf(zsets.zunion(["a", "b"], { weights: [1, 2], aggregate: "max", withscores: true })).toEqualTypeOf<
      RedisCommand<Array<Scored<string>>>
    >()
    zsets.zinterstore("d", "a", { weights: 2 })
    const some: readonly [string, ...Array<string>] = ["a", "b"]
    zsets.zunionstore("d", some, { weights: [1, 2] })
    // @ts-expect-error: there must be a weight for each key
    zsets.zunion(["a", "b"], { weights: [1] })
    // @ts-expect-error: there must be a weight for each key
    zsets.zunionstore("d", ["a", "b"], { weights: [1, 2, 3] })
    // @ts-expect-error: this aggregate does not exist
    zsets.zinter(["a", "b"], { aggregate: "avg" })
    // @ts-expect-error: ZDIFF has no weights
    zsets.zdiff(["a", "b"], { weights: [1, 2] })
    // @ts-expect-error: this option does not exist
    zsets.zunion(["a", "b"], { weigths: [1, 2] })
  })
})

describe("other sorted set commands", () => {
  it("have answers that depend on the options", () => {
    expectTypeOf(zsets.zpopmin("k")).toEqualTypeOf<RedisCommand<Option.Option<Scored<string>>>>()
    expectTypeOf(zsets.zpopmin("k", { count: 2 })).toEqualTypeOf<RedisCommand<Array<Scored<string>>>>()
    expectTypeOf(inBytes.bzpopmin("k", { timeout: "1 second" })).toEqualTypeOf<
      RedisCommand<Option.Option<readonly [key: Uint8Array, member: Uint8Array, score: number]>>
    >()
    expectTypeOf(zsets.zrank("k", "a")).toEqualTypeOf<RedisCommand<Option.Option<number>>>()
    expectTypeOf(zsets.zrank("k", "a", { withscore: true })).toEqualTypeOf<
      RedisCommand<Option.Option<readonly [rank: number, score: number]>>
    >()
    expectTypeOf(zsets.zrandmember("k")).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(zsets.zrandmember("k", { count: 1 })).toEqualTypeOf<RedisCommand<Array<string>>>()
    // @ts-expect-error: withscores needs a count
    zsets.zrandmember("k", { withscores: true })
    // @ts-expect-error: a timeout is required
    zsets.bzpopmin("k")
    // @ts-expect-error: a duration needs a unit
    zsets.bzpopmin("k", { timeout: 5 })
    // @ts-expect-error: the end is "min" or "max"
    zsets.zmpop("k", "MIN")
    // @ts-expect-error: a cursor must be text
    zsets.zscan("k", 0)
  })
})
