/** What compiles of the hash commands, and what does not: see core.test.ts. */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import { describe, expectTypeOf, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/hash.js"
import type { RedisCommand } from "../../src/RedisCommand.js"

const hashes = make(Codec.utf8)
const binary = make(Codec.bytes)
const anything = make(Codec.json)
const names: [string, ...Array<string>] = ["a"]
const keysOfData: Array<string> = []

describe("hash", () => {
  it("has an answer that depends on the options", () => {
    expectTypeOf(hashes.hget("h", "a")).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(hashes.hgetall("h")).toEqualTypeOf<RedisCommand<Record<string, string>>>()
    expectTypeOf(binary.hgetall("h")).toEqualTypeOf<RedisCommand<Record<string, Uint8Array>>>()
    expectTypeOf(hashes.hkeys("h")).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(binary.hkeys("h")).toEqualTypeOf<RedisCommand<Array<Uint8Array>>>()
    expectTypeOf(hashes.hset("h", { a: "1" })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(hashes.hmset("h", { a: "1" })).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(hashes.hexists("h", "a")).toEqualTypeOf<RedisCommand<boolean>>()
    expectTypeOf(hashes.hrandfield("h")).toEqualTypeOf<RedisCommand<Option.Option<string>>>()
    expectTypeOf(hashes.hrandfield("h", { count: 2 })).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(binary.hrandfield("h", { count: 2, withvalues: true })).toEqualTypeOf<
      RedisCommand<Array<[Uint8Array, Uint8Array]>>
    >()
    expectTypeOf(hashes.hscan("h", "0", { count: 2 })).toEqualTypeOf<
      RedisCommand<{ readonly cursor: string; readonly items: ReadonlyArray<[string, string]> }>
    >()
    expectTypeOf(binary.hscan("h", "0", { novalues: true })).toEqualTypeOf<
      RedisCommand<{ readonly cursor: string; readonly items: ReadonlyArray<Uint8Array> }>
    >()
    expectTypeOf(hashes.httl("h", "a")).toEqualTypeOf<RedisCommand<Array<Option.Option<Duration.Duration>>>>()
    expectTypeOf(hashes.hexpiretime("h", "a")).toEqualTypeOf<
      RedisCommand<Array<Option.Option<Option.Option<DateTime.Utc>>>>
    >()
    expectTypeOf(hashes.hexpire("h", "1 second", "a")).toEqualTypeOf<
      RedisCommand<Array<"set" | "deleted" | "unchanged" | "missing">>
    >()
    expectTypeOf(hashes.hpersist("h", "a")).toEqualTypeOf<RedisCommand<Array<"persisted" | "unchanged" | "missing">>>()
    expectTypeOf(hashes.hsetex("h", { a: "1" })).toEqualTypeOf<RedisCommand<boolean>>()
    expectTypeOf(hashes.himportSet("h", "u", ["1"])).toEqualTypeOf<RedisCommand<void>>()
  })

  it("takes at least one field, and values of the codec", () => {
    hashes.hdel("h", names)
    hashes.hdel("h", keysOfData)
    hashes.hset("h", [["a", "1"]])
    hashes.hset("h", "a", "1")
    // @ts-expect-error: a value is required
    hashes.hset("h", "a")
    // @ts-expect-error: the value must be text
    hashes.hset("h", { a: 1 })
    anything.hset("h", { a: 1 })
    // @ts-expect-error: a list of pairs is required, not a list of names
    hashes.hset("h", names)
  })

  it("takes one expiry: a duration with a unit, or a point in time", () => {
    hashes.hexpire("h", "10 seconds", "a")
    // @ts-expect-error: a duration needs a unit
    hashes.hexpire("h", 10, "a")
    // @ts-expect-error: a point in time is required, not a duration
    hashes.hexpireat("h", "10 seconds", "a")
    hashes.hgetex("h", "a", { ex: "10 seconds" })
    // @ts-expect-error: a duration needs a unit
    hashes.hgetex("h", "a", { ex: 10 })
    // @ts-expect-error: expiries exclude each other
    hashes.hgetex("h", "a", { ex: "10 seconds", px: "10 seconds" })
    // @ts-expect-error: EX and PERSIST exclude each other
    hashes.hgetex("h", "a", { ex: "10 seconds", persist: true })
    // @ts-expect-error: HGETEX has no KEEPTTL
    hashes.hgetex("h", "a", { keepttl: true })
  })

  it("takes conditions that do not exclude each other", () => {
    hashes.hexpire("h", "10 seconds", "a", { nx: true })
    // @ts-expect-error: conditions exclude each other
    hashes.hexpire("h", "10 seconds", "a", { nx: true, xx: true })
    // @ts-expect-error: conditions exclude each other
    hashes.hpexpireat("h", new Date(), "a", { gt: true, lt: true })
    hashes.hsetex("h", { a: "1" }, { xx: true, fnx: true, keepttl: true })
    // @ts-expect-error: FNX and FXX exclude each other
    hashes.hsetex("h", { a: "1" }, { fnx: true, fxx: true })
    // @ts-expect-error: NX and XX exclude each other
    hashes.hsetex("h", { a: "1" }, { nx: true, xx: true })
    // @ts-expect-error: expiries exclude each other
    hashes.hsetex("h", { a: "1" }, { ex: "1 second", keepttl: true })
    // @ts-expect-error: HSETEX has no PERSIST
    hashes.hsetex("h", { a: "1" }, { persist: true })
  })

  it("refuses incomplete options", () => {
    // @ts-expect-error: WITHVALUES needs a count
    hashes.hrandfield("h", { withvalues: true })
    // @ts-expect-error: a cursor must be text, because it has up to 64 bits
    hashes.hscan("h", 0)
    hashes.hincrby("h", "a", 5n)
    // @ts-expect-error: the increment must be a number
    hashes.hincrby("h", "a", "5")
  })
})
