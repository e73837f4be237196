/** What compiles of hashes by a schema, and what does not: see core.test.ts. */
import * as Chunk from "effect/Chunk"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { RedisHash } from "effect-redis-client"
import { describe, expectTypeOf, it } from "vitest"
import type { RedisCommand } from "../../src/RedisCommand.js"
import { Checked } from "../support/schemas.js"

const User = Schema.Struct({
  name: Schema.String,
  visits: Schema.NumberFromString,
  email: Schema.optional(Schema.String)
})
const users = RedisHash.make(User)
const names: ReadonlyArray<"name" | "email"> = []

describe("RedisHash", () => {
  it("has the values of its schema, whole and in part", () => {
    expectTypeOf(users.hgetall("u")).toEqualTypeOf<RedisCommand<Option.Option<typeof User.Type>>>()
    expectTypeOf(users.hmget("u", "visits")).toEqualTypeOf<RedisCommand<Option.Option<{ readonly visits: number }>>>()
    expectTypeOf(users.hmget("u", ["name", "email"])).toEqualTypeOf<
      RedisCommand<Option.Option<{ readonly name: string; readonly email?: string | undefined }>>
    >()
    expectTypeOf(users.hmget("u", names)).toEqualTypeOf<
      RedisCommand<Option.Option<{ readonly name: string; readonly email?: string | undefined }>>
    >()
    expectTypeOf(users.hmget("u", Chunk.fromIterable(names))).toEqualTypeOf<
      RedisCommand<Option.Option<{ readonly name: string; readonly email?: string | undefined }>>
    >()
    expectTypeOf(users.pick("visits").hset).parameter(1).toEqualTypeOf<{ readonly visits: number }>()
    expectTypeOf(users.hset("u", { name: "Ada", visits: 1 })).toEqualTypeOf<RedisCommand<number>>()
  })

  it("takes classes, and schemas that are no struct, which have no fields to pick", () => {
    class Point extends Schema.Class<Point>("Point")({ x: Schema.NumberFromString }) {}
    const points = RedisHash.make(Point)
    expectTypeOf(points.hgetall("p")).toEqualTypeOf<RedisCommand<Option.Option<Point>>>()
    expectTypeOf(points.hmget("p", "x")).toEqualTypeOf<RedisCommand<Option.Option<{ readonly x: number }>>>()
    const filtered = RedisHash.make(Checked)
    expectTypeOf(filtered.hgetall("u")).toEqualTypeOf<RedisCommand<Option.Option<typeof Checked.Type>>>()
    // @ts-expect-error a filtered struct has no fields
    filtered.hmget("u", "name")
  })

  it("does not compile with a field that encodes to no text, a missing field, or a name that is none", () => {
    // @ts-expect-error a number is no text: Schema.NumberFromString
    RedisHash.make(Schema.Struct({ n: Schema.Number }))
    // @ts-expect-error `visits` is missing
    users.hset("u", { name: "Ada" })
    // @ts-expect-error `age` is no field
    users.hmget("u", ["age"])
    // @ts-expect-error `age` is no field
    users.hmget("u", Chunk.make("age"))
    // @ts-expect-error `age` is no field
    users.pick("age")
    // @ts-expect-error only `visits` was picked
    users.pick("visits").hset("u", { name: "Ada" })
  })
})
