/** Type tests of the string commands: what must not compile does not, and results have their shapes. */

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
  it("answer by their options", () => {
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
    // @ts-expect-error: no user
    users.set("k", "Ada")
    // @ts-expect-error: no user
    users.mset({ a: "Ada" })
  })

  it("refuse tokens that exclude each other", () => {
    // @ts-expect-error: two conditions
    strings.set("k", "v", { nx: true, xx: true })
    // @ts-expect-error: two conditions
    strings.set("k", "v", { nx: true, ifeq: "o" })
    // @ts-expect-error: two expiries
    strings.set("k", "v", { ex: "1 minute", keepttl: true })
    // @ts-expect-error: two expiries
    strings.set("k", "v", { ex: "1 minute", px: "1 minute" })
    // @ts-expect-error: PERSIST is GETEX's
    strings.set("k", "v", { persist: true })
    // @ts-expect-error: two expiries
    strings.getex("k", { ex: "1 minute", persist: true })
    // @ts-expect-error: KEEPTTL is SET's
    strings.getex("k", { keepttl: true })
    // @ts-expect-error: two conditions
    strings.msetex({ a: "1" }, { nx: true, xx: true })
    // @ts-expect-error: two conditions
    strings.delex("k", { ifeq: "a", ifne: "b" })
    // @ts-expect-error: the length or the offsets
    strings.lcs("a", "b", { len: true, idx: true })
    // @ts-expect-error: lengths of matches need the matches
    strings.lcs("a", "b", { withmatchlen: true })
    // @ts-expect-error: integers or floats
    strings.increx("k", { byint: 1, byfloat: 1 })
    // @ts-expect-error: floats have no bigint bounds
    strings.increx("k", { byfloat: 1, ubound: 1n })
    // @ts-expect-error: no expiry to set only when there is none
    strings.increx("k", { persist: true, enx: true })
  })

  it("refuse empty lists and durations without a unit", () => {
    // @ts-expect-error: no keys
    strings.mget([])
    // @ts-expect-error: no entries
    strings.mset([])
    // @ts-expect-error: seconds or milliseconds?
    strings.set("k", "v", { ex: 10 })
    // @ts-expect-error: seconds or milliseconds?
    strings.setex("k", 10, "v")
    // @ts-expect-error: seconds or milliseconds?
    strings.set("k", "v", { exat: 1893456000 })
  })
})
