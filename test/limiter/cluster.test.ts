/** Limiters over a cluster: each subject is in one slot, whatever it is called, and several limits of it are decided by one node. */
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as RedisRateLimiter from "effect-redis-client/RedisRateLimiter"
import * as Kit from "effect-redis-client/testing/RedisCluster"
import { on } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"

const algorithms = ["gcra", "fixed-window", "sliding-window", "sliding-log"] as const

describeReal((server) => {
  const scope = Effect.runSync(Scope.make())
  let run: ReturnType<typeof on>
  beforeAll(async () => {
    const started = Kit.make({ executable: server.executable, nodeTimeout: "1 second" })
    const cluster = await Effect.runPromise(Scope.extend(started, scope))
    const services = await Effect.runPromise(
      Scope.extend(Layer.build(RedisCluster.layer({ nodes: cluster.seeds })), scope)
    )
    run = on(Context.get(services, Redis))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const limiters = algorithms.map((algorithm) =>
    RedisRateLimiter.make({ prefix: "api", algorithm, limit: 3, window: "1 day" } as never)
  )
  const subjects = [...Array.from({ length: 50 }, (_, i) => `user:${i}`), "}", "{", "a}b", "{a}b", "\\}"]

  it.live("one subject after the other is limited, on every node", () =>
    Effect.gen(function* () {
      for (const limiter of limiters) {
        const decisions = yield* run(
          Effect.forEach(subjects, (subject) => limiter.take(subject, { cost: 2 }), { concurrency: 20 })
        )
        expect(decisions.filter(({ allowed, remaining }) => allowed && remaining === 1)).toHaveLength(subjects.length)
        const denied = yield* run(
          Effect.forEach(subjects, (subject) => limiter.take(subject, { cost: 2 }), { concurrency: 20 })
        )
        expect(denied.filter(({ allowed }) => allowed)).toHaveLength(0)
        yield* run(Effect.forEach(subjects, (subject) => limiter.reset(subject), { concurrency: 20 }))
      }
    })
  )

  it.live("several limits of a subject are charged together, or none of them", () =>
    Effect.gen(function* () {
      const all = RedisRateLimiter.all(limiters)
      for (const subject of subjects) {
        expect((yield* run(all.take(subject, { cost: 2 }))).each.map(({ remaining }) => remaining)).toEqual([
          1, 1, 1, 1
        ])
        yield* run((limiters[1] as RedisRateLimiter.RedisRateLimiter).take(subject))
        const denied = yield* run(all.take(subject))
        expect(denied.each.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
          [true, 1],
          [false, 0],
          [true, 1],
          [true, 1]
        ])
        yield* run(all.refund(subject, 1))
        expect((yield* run(all.peek(subject))).each.map(({ remaining }) => remaining)).toEqual([2, 1, 2, 2])
        yield* run(all.reset(subject))
        expect((yield* run(all.peek(subject))).remaining).toBe(3)
      }
    })
  )
})
