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
const maybeNone: Array<string> = []

describe("hash", () => {
  it("answers what its options say", () => {
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

  it("takes fields that are not none, and values of the codec", () => {
    hashes.hdel("h", names)
    // @ts-expect-error: the list may be empty
    hashes.hdel("h", maybeNone)
    // @ts-expect-error: the list is empty
    hashes.hmget("h", [])
    hashes.hset("h", [["a", "1"]])
    // @ts-expect-error: there are no pairs
    hashes.hset("h", [])
    hashes.hset("h", "a", "1")
    // @ts-expect-error: a field without its value
    hashes.hset("h", "a")
    // @ts-expect-error: a number is no value of a codec of text
    hashes.hset("h", { a: 1 })
    anything.hset("h", { a: 1 })
    // @ts-expect-error: a list of names is no list of pairs
    hashes.hset("h", names)
  })

  it("takes durations and moments with their units, one at a time", () => {
    hashes.hexpire("h", "10 seconds", "a")
    // @ts-expect-error: a bare number has no unit
    hashes.hexpire("h", 10, "a")
    // @ts-expect-error: a duration is no moment
    hashes.hexpireat("h", "10 seconds", "a")
    hashes.hgetex("h", "a", { ex: "10 seconds" })
    // @ts-expect-error: a bare number has no unit
    hashes.hgetex("h", "a", { ex: 10 })
    // @ts-expect-error: one expiry only
    hashes.hgetex("h", "a", { ex: "10 seconds", px: "10 seconds" })
    // @ts-expect-error: to keep it and to set it
    hashes.hgetex("h", "a", { ex: "10 seconds", persist: true })
    // @ts-expect-error: HGETEX keeps the expiry anyway
    hashes.hgetex("h", "a", { keepttl: true })
  })

  it("takes conditions that do not exclude each other", () => {
    hashes.hexpire("h", "10 seconds", "a", { nx: true })
    // @ts-expect-error: one condition only
    hashes.hexpire("h", "10 seconds", "a", { nx: true, xx: true })
    // @ts-expect-error: one condition only
    hashes.hpexpireat("h", new Date(), "a", { gt: true, lt: true })
    hashes.hsetex("h", { a: "1" }, { xx: true, fnx: true, keepttl: true })
    // @ts-expect-error: fields that exist and do not
    hashes.hsetex("h", { a: "1" }, { fnx: true, fxx: true })
    // @ts-expect-error: a hash that exists and does not
    hashes.hsetex("h", { a: "1" }, { nx: true, xx: true })
    // @ts-expect-error: one expiry only
    hashes.hsetex("h", { a: "1" }, { ex: "1 second", keepttl: true })
    // @ts-expect-error: HSETEX cannot persist
    hashes.hsetex("h", { a: "1" }, { persist: true })
  })

  it("takes no half of an option", () => {
    // @ts-expect-error: values of how many?
    hashes.hrandfield("h", { withvalues: true })
    // @ts-expect-error: cursors are text: they have up to 64 bits
    hashes.hscan("h", 0)
    // @ts-expect-error: at least one value
    hashes.himportSet("h", "u", [])
    hashes.hincrby("h", "a", 5n)
    // @ts-expect-error: text is no number
    hashes.hincrby("h", "a", "5")
  })
})
