/** Type tests of the connection commands. */
import * as Redacted from "effect/Redacted"
import * as Codec from "effect-redis-client/Codec"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { type ClientInfo, make, type TrackingInfo } from "../../src/commands/connection.js"

const connection = make(Codec.utf8)
const binary = make(Codec.bytes)

describe("connection commands", () => {
  it("have answers that depend on their arguments", () => {
    expectTypeOf(connection.ping()).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(binary.ping()).toEqualTypeOf<RedisCommand<string>>()
    expectTypeOf(binary.ping("x")).toEqualTypeOf<RedisCommand<Uint8Array>>()
    expectTypeOf(connection.clientKill("127.0.0.1:1")).toEqualTypeOf<RedisCommand<void>>()
    expectTypeOf(connection.clientKill({ id: 1 })).toEqualTypeOf<RedisCommand<number>>()
    expectTypeOf(connection.clientList()).toEqualTypeOf<RedisCommand<Array<ClientInfo>>>()
    expectTypeOf(binary.clientTrackinginfo()).toEqualTypeOf<RedisCommand<TrackingInfo<Uint8Array>>>()
  })

  it("refuse tokens that exclude each other", () => {
    // @ts-expect-error: OPTIN and OPTOUT exclude each other
    connection.clientTracking("on", { optin: true, optout: true })
    // @ts-expect-error: BCAST and OPTIN exclude each other
    connection.clientTracking("on", { bcast: true, optin: true })
    // @ts-expect-error: PREFIX needs BCAST
    connection.clientTracking("on", { prefix: "a:" })
    // @ts-expect-error: options need tracking to be on
    connection.clientTracking("off", { noloop: true })
    // @ts-expect-error: the name and the version exclude each other
    connection.clientSetinfo({ libName: "a", libVer: "1" })
    // @ts-expect-error: the name or the version is required
    connection.clientSetinfo({})
    // @ts-expect-error: WRITE and ALL exclude each other
    connection.clientPause("1 second", { write: true, all: true })
    // @ts-expect-error: TIMEOUT and ERROR exclude each other
    connection.clientUnblock(1, { timeout: true, error: true })
  })

  it("refuse plain passwords, durations without a unit and unknown protocols", () => {
    // @ts-expect-error: passwords are redacted
    connection.auth("ada", "secret")
    // @ts-expect-error: a password must be redacted
    connection.auth("secret")
    // @ts-expect-error: passwords are redacted
    connection.hello(3, { auth: { username: "ada", password: "secret" } })
    // @ts-expect-error: there is no RESP4
    connection.hello(4)
    // @ts-expect-error: a duration needs a unit
    connection.clientPause(1000)
    expectTypeOf(connection.auth(Redacted.make("secret"))).toEqualTypeOf<RedisCommand<void>>()
  })
})
