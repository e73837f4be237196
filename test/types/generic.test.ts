/** Type tests of the commands on keys. */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Codec from "effect-redis-client/Codec"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { make } from "../../src/commands/generic.js"
import type { ScanPage } from "../../src/internal/command/decode.js"

const generic = make(Codec.utf8)
const binary = make(Codec.bytes)
const json = make(Codec.json)
const payload = new Uint8Array()
const secret = Redacted.make("secret")

describe("generic commands", () => {
  it("have answers that depend on their options", () => {
    expectTypeOf(generic.sort("k")).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(json.sort("k", { desc: true })).toEqualTypeOf<RedisCommand<Array<unknown>>>()
    expectTypeOf(generic.sort("k", { get: "n:*" })).toEqualTypeOf<RedisCommand<Array<Option.Option<string>>>>()
    expectTypeOf(generic.sort("k", { store: "d" })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(generic.sort("k", { get: "n:*", store: "d" })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(generic.sortRo("k", { get: ["#", "n:*"] })).toEqualTypeOf<RedisCommand<Array<Option.Option<string>>>>()
    expectTypeOf(generic.scan("0")).toEqualTypeOf<RedisCommand<ScanPage<string>>>()
    expectTypeOf(binary.scan("0")).toEqualTypeOf<RedisCommand<ScanPage<Uint8Array>>>()
    expectTypeOf(binary.keys("*")).toEqualTypeOf<RedisCommand<Array<Uint8Array>>>()
    expectTypeOf(generic.dump("k")).toEqualTypeOf<RedisCommand<Option.Option<Uint8Array>>>()
    expectTypeOf(generic.ttl("k")).toEqualTypeOf<RedisCommand<Option.Option<Duration.Duration>>>()
    expectTypeOf(generic.expiretime("k")).toEqualTypeOf<RedisCommand<Option.Option<Option.Option<DateTime.Utc>>>>()
  })

  it("refuse tokens that exclude each other", () => {
    generic.expire("k", "1 minute", { xx: true, gt: true })
    // @ts-expect-error: NX excludes every other condition
    generic.expire("k", "1 minute", { nx: true, gt: true })
    // @ts-expect-error: GT and LT exclude each other
    generic.expire("k", "1 minute", { gt: true, lt: true })
    // @ts-expect-error: NX excludes every other condition
    generic.pexpireat("k", new Date(), { nx: true, xx: true })
    // @ts-expect-error: ASC and DESC exclude each other
    generic.sort("k", { asc: true, desc: true })
    // @ts-expect-error: SORT_RO stores nothing
    generic.sortRo("k", { store: "d" })
    // @ts-expect-error: expiries exclude each other
    generic.restore("k", payload, { ttl: "1 minute", absttl: new Date() })
    // @ts-expect-error: IDLETIME and FREQ exclude each other
    generic.restore("k", payload, { idletime: "1 minute", freq: 1 })
    // @ts-expect-error: AUTH and AUTH2 exclude each other
    generic.migrate("k", "h", 1, 0, "1 second", { auth: secret, auth2: { username: "u", password: secret } })
  })

  it("refuse durations without a unit and plain passwords", () => {
    // @ts-expect-error: a duration needs a unit
    generic.expire("k", 10)
    // @ts-expect-error: a time must be a Date or a DateTime
    generic.expireat("k", 1893456000)
    // @ts-expect-error: a cursor must be text
    generic.scan(0)
    // @ts-expect-error: a dump must be bytes
    generic.restore("k", "text")
    // @ts-expect-error: passwords are redacted
    generic.migrate("k", "h", 1, 0, "1 second", { auth: "secret" })
    // @ts-expect-error: `numlocal` is 0 or 1, because a server has one AOF
    generic.waitaof(2, 0, "1 second")
  })
})
