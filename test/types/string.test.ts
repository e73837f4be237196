/** Type tests of the string commands: the types of answers, and programs that must not compile. */

import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Codec from "effect-redis-client/Codec"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { type Increment, type LcsMatches, type LcsMatchWithLength, make } from "../../src/commands/string.js"

const strings = make(Codec.utf8)
const binary = make(Codec.bytes)
const users = make(Codec.schema(Schema.Struct({ name: Schema.String })))
const json = make(Codec.json)

describe("string commands", () => {
  it("have answers that depend on their options", () => {
    expectTypeOf(strings.set("k", "v")).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(strings.set("k", "v", { ex: "1 minute" })).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(strings.set("k", "v", { nx: true, px: "1 minute" })).toEqualTypeOf<RedisCommand<boolean>>()
    expectTypeOf(strings.set("k", "v", { ifeq: "o" })).toEqualTypeOf<RedisCommand<boolean>>()
    expectTypeOf(strings.set("k", "v", { get: true })).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(strings.set("k", "v", { get: true, nx: true })).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(json.set("k", 1)).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(json.set("k", 1, { nx: true })).toEqualTypeOf<RedisCommand<boolean>>()
    expectTypeOf(strings.lcs("a", "b")).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(strings.lcs("a", "b", { len: true })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(strings.lcs("a", "b", { idx: true })).toEqualTypeOf<RedisCommand<LcsMatches>>()
    expectTypeOf(strings.lcs("a", "b", { idx: true, withmatchlen: true })).toEqualTypeOf<
      RedisCommand<LcsMatches<LcsMatchWithLength>>
    >()
    expectTypeOf(strings.increx("k", { byfloat: 0.5 })).toEqualTypeOf<RedisCommand<Increment>>()
  })

  it("carry values of their codec; parts of values are text or bytes", () => {
    expectTypeOf(users.get("k")).toEqualTypeOf<RedisCommand<Option.Option<{ readonly name: string }>>>()
    expectTypeOf(binary.get("k")).toEqualTypeOf<RedisCommand<Option.Option<Uint8Array>>>()
    expectTypeOf(users.getrange("k", 0, 1)).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(binary.getrange("k", 0, 1)).toEqualTypeOf<RedisCommand<Uint8Array>>()
    // @ts-expect-error: the value must be a User
    users.set("k", "Ada")
    // @ts-expect-error: the value must be a User
    users.mset({ a: "Ada" })
  })

  it("refuse tokens that exclude each other", () => {
    // @ts-expect-error: conditions exclude each other
    strings.set("k", "v", { nx: true, xx: true })
    // @ts-expect-error: conditions exclude each other
    strings.set("k", "v", { nx: true, ifeq: "o" })
    // @ts-expect-error: expiries exclude each other
    strings.set("k", "v", { ex: "1 minute", keepttl: true })
    // @ts-expect-error: expiries exclude each other
    strings.set("k", "v", { ex: "1 minute", px: "1 minute" })
    // @ts-expect-error: SET has no PERSIST
    strings.set("k", "v", { persist: true })
    // @ts-expect-error: expiries exclude each other
    strings.getex("k", { ex: "1 minute", persist: true })
    // @ts-expect-error: GETEX has no KEEPTTL
    strings.getex("k", { keepttl: true })
    // @ts-expect-error: conditions exclude each other
    strings.msetex({ a: "1" }, { nx: true, xx: true })
    // @ts-expect-error: conditions exclude each other
    strings.delex("k", { ifeq: "a", ifne: "b" })
    // @ts-expect-error: LEN and IDX exclude each other
    strings.lcs("a", "b", { len: true, idx: true })
    // @ts-expect-error: WITHMATCHLEN needs IDX
    strings.lcs("a", "b", { withmatchlen: true })
    // @ts-expect-error: BYINT and BYFLOAT exclude each other
    strings.increx("k", { byint: 1, byfloat: 1 })
    // @ts-expect-error: with BYFLOAT the bounds must be numbers
    strings.increx("k", { byfloat: 1, ubound: 1n })
    // @ts-expect-error: ENX needs an expiry
    strings.increx("k", { persist: true, enx: true })
  })

  it("refuse durations without a unit", () => {
    // @ts-expect-error: a duration needs a unit
    strings.set("k", "v", { ex: 10 })
    // @ts-expect-error: a duration needs a unit
    strings.setex("k", 10, "v")
    // @ts-expect-error: a duration needs a unit
    strings.set("k", "v", { exat: 1893456000 })
  })
})
