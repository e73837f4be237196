/** Locks over a master that sentinels watch, through failovers. */
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as RedisLock from "effect-redis-client/RedisLock"
import * as RedisSentinel from "effect-redis-client/RedisSentinel"
import * as Kit from "effect-redis-client/testing/RedisSentinel"
import { failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { poll, type Services, watched } from "./support.js"

describeReal((server) => {
  const scope = Effect.runSync(Scope.make())
  let kit: Kit.RedisSentinel
  let services: Context.Context<Services | RedisSentinel.RedisSentinel>
  beforeAll(() =>
    Effect.runPromise(
      Scope.extend(
        Effect.gen(function* () {
          kit = yield* Kit.make({ executable: server.executable, replicas: 1 })
          const sentinels = kit.sentinels.map(({ host, port }) => ({ host, port }))
          services = yield* Layer.build(RedisSentinel.layer({ name: kit.name, sentinels }))
          yield* kit.agreed
        }),
        scope
      )
    )
  )
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it.live(
    "a lock that a replica has outlives a failover; one that is lost with it ends its holder, and fences grow",
    () =>
      Effect.gen(function* () {
        const { begins, body, seen } = watched()
        let lock: RedisLock.Lock | undefined
        const holder = yield* Effect.fork(
          Effect.exit(
            RedisLock.withLock("kept", { ttl: "10 seconds", replicas: { count: 1, within: "5 seconds" } })((given) => {
              lock = given
              return body(Effect.never)
            })
          )
        )
        yield* begins
        const held = lock as unknown as RedisLock.Lock
        const before = yield* kit.master
        yield* kit.failover()
        yield* poll(
          "the client is at the new master",
          Effect.map(RedisSentinel.master, (now) => now !== `${before.host}:${before.port}`)
        )
        yield* held.ensureHeld
        expect(seen.ended).toBe(undefined)
        // As if the new master had not received it in time.
        yield* Redis.del(["lock:{kept}", "lock:{kept}:fence"])
        const after = yield* RedisLock.withLock("kept")((next) => Effect.succeed(next.fence))
        expect(after).toBeGreaterThan(held.fence)
        expect(failure(yield* Effect.exit(held.ensureHeld))).toMatchObject({ _tag: "LockError", reason: "lost" })
        expect(failure(yield* Fiber.join(holder))).toMatchObject({ _tag: "LockError", reason: "lost" })
        expect(seen.interrupted).toBe(true)
      }).pipe(Effect.provide(services))
  )
})
