/** Semaphores on real servers. Clients stand for processes: their contenders do not know each other. */
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as RedisSemaphore from "effect-redis-client/RedisSemaphore"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type * as RedisServer from "effect-redis-client/testing/RedisServer"
import { failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { yieldingAt } from "../support/effect.js"
import { makeServer } from "../support/servers.js"
import { type Process, poll, processOf, watched } from "./support.js"

describeReal((server) => {
  const scope = Effect.runSync(Scope.make())
  let redis: RedisServer.RedisServer
  let one: Process
  let two: Process
  beforeAll(() =>
    Effect.runPromise(
      Scope.extend(
        Effect.gen(function* () {
          redis = yield* makeServer(server)
          one = yield* processOf(redis)
          two = yield* processOf(redis, { protocol: 2 })
        }),
        scope
      )
    )
  )
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const permitsOf = (name: string) => two.run(Redis.zcard(`semaphore:{${name}}`))

  describe("a semaphore", () => {
    it.live("lets so many run at a time, over all processes", () =>
      Effect.gen(function* () {
        let running = 0
        let most = 0
        const call = Effect.gen(function* () {
          running++
          most = Math.max(most, running, yield* Redis.zcard("semaphore:{api}"))
          yield* Effect.yieldNow()
          running--
        }).pipe(RedisSemaphore.withPermits("api", { permits: 3 }))
        const many = (process: Process) =>
          process.run(
            Effect.all(
              Array.from({ length: 60 }, () => call),
              { concurrency: "unbounded" }
            )
          )
        yield* Effect.all([many(one), many(two)], { concurrency: 2 })
        expect(most).toBe(3)
        expect(yield* permitsOf("api")).toBe(0)
      })
    )

    it.live("gives no permit beyond its number, and gives the next one when one is given back", () =>
      Effect.gen(function* () {
        const options = { permits: 2 }
        const [first, second] = [watched(), watched()]
        const holders = yield* Effect.forEach([first, second], ({ body }) =>
          Effect.fork(one.run(body(Effect.never).pipe(RedisSemaphore.withPermits("two", options))))
        )
        yield* Effect.all([first.begins, second.begins])
        expect(yield* two.run(RedisSemaphore.tryWithPermits("two", options)(Effect.void))).toEqual(Option.none())
        const timedOut = two.run(RedisSemaphore.withPermits("two", { ...options, wait: "50 millis" })(Effect.void))
        expect(failure(yield* Effect.exit(timedOut))).toMatchObject({
          _tag: "LockError",
          reason: "timeout",
          resource: "two"
        })
        const waiter = yield* Effect.fork(two.run(RedisSemaphore.withPermits("two", options)(Effect.succeed("mine"))))
        yield* Fiber.interrupt(holders[0] as Fiber.RuntimeFiber<never, unknown>)
        expect(yield* Fiber.join(waiter)).toBe("mine")
        yield* Fiber.interruptAll(holders)
        expect(yield* permitsOf("two")).toBe(0)
      })
    )

    it.live("renews a permit, and frees the permit of a process that is gone when its time to live is over", () =>
      Effect.gen(function* () {
        const options = { permits: 1, ttl: "800 millis" } as const
        const proxy = yield* FaultProxy.make({ target: { host: redis.host, port: redis.port } })
        const far = yield* processOf(proxy)
        const { begins, body, seen } = watched()
        const holder = yield* Effect.fork(
          Effect.exit(far.run(RedisSemaphore.withPermits("gone", options)(body(Effect.never))))
        )
        yield* begins
        yield* Effect.repeatN(
          Effect.zipRight(
            Effect.sleep("20 millis"),
            Effect.map(one.run(RedisSemaphore.tryWithPermits("gone", options)(Effect.void)), (got) =>
              expect(Option.isNone(got)).toBe(true)
            )
          ),
          45
        )
        yield* proxy.inject(FaultProxy.blackHole)
        const next = yield* one.run(RedisSemaphore.withPermits("gone", options)(Effect.sync(() => performance.now())))
        expect(seen.interrupted).toBe(true)
        expect(seen.ended).toBeLessThan(next)
        yield* proxy.heal
        expect(failure(yield* Fiber.join(holder))).toMatchObject({ _tag: "LockError", reason: "lost" })
      }).pipe(Effect.scoped)
    )

    it.live("interrupts who holds a permit that somebody removed", () =>
      Effect.gen(function* () {
        const { begins, body } = watched()
        const holder = yield* Effect.fork(
          Effect.exit(
            one.run(RedisSemaphore.withPermits("removed", { permits: 2, ttl: "150 millis" })(body(Effect.never)))
          )
        )
        yield* begins
        yield* two.run(Redis.del(["semaphore:{removed}"]))
        expect(failure(yield* Fiber.join(holder))).toMatchObject({ reason: "lost", resource: "removed" })
      })
    )

    it.live("keeps no permit for an interrupted contender, at whatever point it is interrupted", () =>
      Effect.gen(function* () {
        const call = RedisSemaphore.withPermits("points", { permits: 2, ttl: "30 seconds" })(Effect.never)
        for (let at = 1; at <= 40; at++) {
          const fiber = yield* Effect.fork(one.run(call).pipe(yieldingAt(at)))
          yield* Effect.repeatN(Effect.yieldNow(), at % 13)
          yield* Fiber.interrupt(fiber)
          expect(yield* permitsOf("points"), `point ${at}`).toBe(0)
        }
      })
    )

    it.live("has a time to live while a permit is held, and holds a permit until the scope closes by `acquire`", () =>
      one.run(
        Effect.gen(function* () {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const permit = yield* RedisSemaphore.acquire("scoped", { permits: 1, ttl: "2 seconds" })
              expect(Duration.toMillis(yield* permit.expiresIn)).toBeGreaterThan(0)
              const ttl = Effect.map(Redis.execute("PTTL", "semaphore:{scoped}"), Number)
              const before = yield* ttl
              expect(before).toBeGreaterThan(0)
              expect(before).toBeLessThanOrEqual(2_001)
              yield* Effect.sleep("20 millis")
              yield* permit.ensureHeld
              expect(yield* ttl).toBeGreaterThan(1_900)
            })
          )
          expect(yield* Redis.exists(["semaphore:{scoped}"])).toBe(0)
        })
      )
    )

    it.live("refuses a wrong number of permits, and a single permit inside of itself", () =>
      Effect.gen(function* () {
        for (const permits of [0, 1.5, undefined]) {
          const exit = yield* Effect.exit(
            one.run(RedisSemaphore.withPermits("wrong", { permits: permits as number })(Effect.void))
          )
          expect(failure(exit)).toMatchObject({ _tag: "UsageError", message: "permits must be a whole number from 1" })
        }
        const single = RedisSemaphore.withPermits("single", { permits: 1 })
        expect(failure(yield* one.run(single(Effect.exit(single(Effect.void)))))).toMatchObject({ _tag: "UsageError" })
        const double = RedisSemaphore.withPermits("double", { permits: 2 })
        expect(yield* one.run(double(double(Effect.succeed("both"))))).toBe("both")
      })
    )

    it.live("counts by the server's clock: a permit that has expired is not counted", () =>
      Effect.gen(function* () {
        const expired = `${(Date.now() - 1_000) * 1_000}`
        const future = `${(Date.now() + 60_000) * 1_000}`
        yield* one.run(Redis.execute("ZADD", "semaphore:{clock}", expired, "dead", future, "alive"))
        const attempt = (permits: number) =>
          one.run(RedisSemaphore.tryWithPermits("clock", { permits })(permitsOf("clock")))
        expect(yield* attempt(1)).toEqual(Option.none())
        expect(yield* attempt(2)).toEqual(Option.some(2))
        yield* poll(
          "nothing is left but what somebody wrote",
          Effect.map(permitsOf("clock"), (count) => count === 1)
        )
      })
    )
  })
})
