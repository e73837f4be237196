/** Type tests of the connection commands. */
import * as Redacted from "effect/Redacted"
import * as Codec from "effect-redis-client/Codec"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { type ClientInfo, make, type TrackingInfo } from "../../src/commands/connection.js"

const connection = make(Codec.utf8)
const binary = make(Codec.bytes)

describe("connection commands", () => {
  it("answer by their arguments", () => {
    expectTypeOf(connection.ping()).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(binary.ping()).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(binary.ping("x")).toEqualTypeOf<RedisCommand<Uint8Array>>()
    expectTypeOf(connection.clientKill("127.0.0.1:1")).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(connection.clientKill({ id: 1 })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(connection.clientList()).toEqualTypeOf<RedisCommand<Array<ClientInfo>>>()
    expectTypeOf(binary.clientTrackinginfo()).toEqualTypeOf<RedisCommand<TrackingInfo<Uint8Array>>>()
  })

  it("refuse tokens that exclude each other", () => {
    // @ts-expect-error: one or the other
    connection.clientTracking("on", { optin: true, optout: true })
    // @ts-expect-error: broadcasting has no keys to opt in
    connection.clientTracking("on", { bcast: true, optin: true })
    // @ts-expect-error: prefixes are for broadcasting
    connection.clientTracking("on", { prefix: "a:" })
    // @ts-expect-error: nothing to track
    connection.clientTracking("off", { noloop: true })
    // @ts-expect-error: one at a time
    connection.clientSetinfo({ libName: "a", libVer: "1" })
    // @ts-expect-error: which of them?
    connection.clientSetinfo({})
    // @ts-expect-error: writes or all
    connection.clientPause("1 second", { write: true, all: true })
    // @ts-expect-error: one way to wake it
    connection.clientUnblock(1, { timeout: true, error: true })
  })

  it("refuse what is no secret, no duration, no protocol", () => {
    // @ts-expect-error: passwords are redacted
    connection.auth("ada", "secret")
    // @ts-expect-error: a username alone is no password
    connection.auth("secret")
    // @ts-expect-error: passwords are redacted
    connection.hello(3, { auth: { username: "ada", password: "secret" } })
    // @ts-expect-error: there is no RESP4
    connection.hello(4)
    // @ts-expect-error: seconds or milliseconds?
    connection.clientPause(1000)
    // @ts-expect-error: no ids
    connection.clientList({ id: [] })
    expectTypeOf(connection.auth(Redacted.make("secret"))).toEqualTypeOf<RedisCommand<void>>()
  })
})
