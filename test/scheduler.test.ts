/** `Redis.layerScheduler`: the results are the same, and the event loop is not starved. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Redis } from "effect-redis-client"
import * as RedisServer from "../src/testing/RedisServer.js"
import { eachServer } from "./support/client.js"
import * as Peer from "./support/peer.js"

it.scoped("a fiber that yields forever does not starve timers and sockets", () =>
  Effect.gen(function* () {
    const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "+PONG\r\n") })
    const answer = yield* Effect.gen(function* () {
      const busy = yield* Effect.fork(Effect.forever(Effect.yieldNow()))
      const answer = yield* Redis.ping()
      yield* Fiber.interrupt(busy)
      return answer
    }).pipe(Effect.provide(Redis.layer({ host: "127.0.0.1", port: peer.port })), Effect.provide(Redis.layerScheduler))
    expect(answer).toBe("PONG")
  })
)

eachServer((it, { protocol }) => {
  it.effect("a thousand fibers repeatedly get their own replies", () =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const keys = Array.from({ length: 1_000 }, (_, i) => `scheduler:${protocol}:${i}`)
      const program = Effect.gen(function* () {
        yield* Redis.mset(Object.fromEntries(keys.map((key) => [key, key])))
        yield* Effect.forEach(
          keys,
          (key) =>
            Effect.gen(function* () {
              for (let i = 0; i < 5; i++) {
                expect(yield* Redis.get(key)).toEqual(Option.some(key))
              }
            }),
          { concurrency: "unbounded", discard: true }
        )
      })
      yield* Effect.provide(program, Layer.provideMerge(Redis.layer({ host, port, protocol }), Redis.layerScheduler))
    })
  )
})
