/**
 * What Effect takes for equal. Effect 3 compares plain objects and instances of classes by reference, Effect 4 by their structure.
 * What stands for something that exists once (a client, a connection, a subscription) is equal to itself alone in both.
 */
import { describe, expect, it as plain } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as HashSet from "effect/HashSet"
import { Connection, Pool, Redis, RedisPubSub } from "effect-redis-client"
import { Attribute, MapReply, Push, SetReply } from "../src/internal/resp/values.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { eachServer, on } from "./support/client.js"
import { listenOn } from "./support/pubsub.js"

describe("what a server sends", () => {
  plain("is not equal to another kind of value with the same elements", () => {
    const items = ["message", "channel", "payload", "1"]
    const kinds = [items, new MapReply(items), new SetReply(items), new Push(items), new Attribute(items)]
    for (const [i, one] of kinds.entries()) {
      for (const [j, other] of kinds.entries()) expect(Equal.equals(one, other), `${i} ${j}`).toBe(i === j)
    }
  })
})

eachServer((it, { protocol }) => {
  describe("two of the same server and options", () => {
    it.scoped("are not equal, and each is found again in a set after it has worked", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const at = { host, port, protocol } as const
        const twice = <A, E, R>(make: Effect.Effect<A, E, R>) => Effect.all([make, make] as const)
        const clients = yield* twice(Redis.make(at))
        const connections = yield* twice(Connection.make(at))
        const pools = yield* twice(Pool.make({ ...at, maxSize: 2 }))
        const leases = yield* twice(pools[0].acquire)
        const services = yield* twice(RedisPubSub.make(at))
        const mailboxes = yield* twice(listenOn(services[0])(RedisPubSub.mailbox("equality")))
        const all: ReadonlyArray<readonly [unknown, unknown]> = [
          clients,
          connections,
          pools,
          leases,
          services,
          mailboxes
        ]
        const found = HashSet.fromIterable(all.flat())
        expect(HashSet.size(found)).toBe(12)
        yield* on(clients[0])(Redis.publish("equality", "1"))
        yield* connections[0].execute(Redis.ping())
        yield* mailboxes[0].take
        for (const [one, other] of all) {
          expect([Equal.equals(one, other), Equal.equals(one, one)]).toEqual([false, true])
          expect(HashSet.has(found, one)).toBe(true)
        }
      })
    )
  })
})
