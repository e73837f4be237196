/** Locks and semaphores over a cluster: each has one hash slot, and its release is published in that shard alone. */
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as RedisLock from "effect-redis-client/RedisLock"
import * as RedisSemaphore from "effect-redis-client/RedisSemaphore"
import * as Kit from "effect-redis-client/testing/RedisCluster"
import { failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { poll, type Services, watched } from "./support.js"

describeReal((server) => {
  const scope = Effect.runSync(Scope.make())
  let cluster: Kit.RedisCluster
  type Run = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Services>>
  let one: Run
  let two: Run
  beforeAll(() =>
    Effect.runPromise(
      Scope.extend(
        Effect.gen(function* () {
          cluster = yield* Kit.make({ executable: server.executable, nodeTimeout: "1 second", replicasPerPrimary: 1 })
          const client = Effect.map(
            Layer.build(RedisCluster.layer({ nodes: cluster.seeds.slice(0, 2) })),
            (services): Run =>
              (effect) =>
                Effect.provide(effect, services) as never
          )
          one = yield* client
          two = yield* client
        }),
        scope
      )
    )
  )
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it.live("names of all slots are locked, and nobody listens where nobody waits", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 30 }, (_, i) => `name-${i}`)
      yield* Effect.forEach(
        names,
        (name) =>
          one(
            RedisLock.withLock(name)(
              Effect.tap(two(RedisLock.tryWithLock(name)(Effect.void)), (got) =>
                Effect.sync(() => expect(got).toEqual(Option.none()))
              )
            )
          ),
        { concurrency: 10 }
      )
      const permits = RedisSemaphore.withPermits("calls", { permits: 1 })
      expect(yield* one(permits(two(RedisSemaphore.tryWithPermits("calls", { permits: 1 })(Effect.void))))).toEqual(
        Option.none()
      )
    })
  )

  it.live("a contender is woken through the shard of the lock", () =>
    Effect.gen(function* () {
      const times: Array<number> = []
      for (let i = 0; i < 3; i++) {
        const name = `woken-${i}`
        const { begins, body } = watched()
        const holder = yield* Effect.fork(two(RedisLock.withLock(name)(body(Effect.never))))
        yield* begins
        const waiter = yield* Effect.fork(one(RedisLock.withLock(name)(Effect.sync(() => performance.now()))))
        const channel = `lock:{${name}}:free`
        const { run } = yield* cluster.ownerOf(channel)
        yield* poll(
          "it listens to the shard channel",
          Effect.map(run(Redis.pubsubShardnumsub([channel])), ([count]) => count?.subscribers === 1)
        )
        // By now it asks once a second.
        yield* Effect.sleep("150 millis")
        const released = performance.now()
        yield* Fiber.interrupt(holder)
        times.push((yield* Fiber.join(waiter)) - released)
      }
      expect([...times].sort((a, b) => a - b)[1]).toBeLessThan(300)
    })
  )

  it.live("a lock follows its slot to another node, and a contender gets it there", () =>
    Effect.gen(function* () {
      const { begins, body } = watched()
      const stop = yield* Effect.makeSemaphore(1)
      yield* stop.take(1)
      const held = RedisLock.withLock("moves", { ttl: "5 seconds" })((lock) =>
        Effect.as(body(stop.withPermits(1)(lock.ensureHeld)), lock.fence)
      )
      const holder = yield* Effect.fork(two(held))
      yield* begins
      const waiter = yield* Effect.fork(one(RedisLock.withLock("moves")((lock) => Effect.succeed(lock.fence))))
      const owner = yield* cluster.ownerOf("lock:{moves}")
      const [other] = (yield* cluster.primaries).filter(({ id }) => id !== owner.id)
      const slot = Number(yield* owner.run(Redis.execute("CLUSTER", "KEYSLOT", "lock:{moves}")))
      yield* cluster.moveSlot(slot, other as Kit.ClusterNode)
      yield* stop.release(1)
      const before = yield* Fiber.join(holder)
      expect(yield* Fiber.join(waiter)).toBeGreaterThan(before)
    })
  )

  it.live("a failover that loses a lock ends its holder, and the next fence is greater", () =>
    Effect.gen(function* () {
      const { begins, body } = watched()
      const owner = yield* cluster.ownerOf("lock:{failover}")
      let before = 0n
      const holder = yield* Effect.fork(
        Effect.exit(
          two(
            RedisLock.withLock("failover", { ttl: "1 second" })((lock) => {
              before = lock.fence
              return body(Effect.never)
            })
          )
        )
      )
      yield* begins
      const [replica] = yield* cluster.replicasOf(owner)
      yield* cluster.failover(replica as Kit.ClusterNode, "takeover")
      // As if the replica had not received it in time.
      yield* one(Redis.del(["lock:{failover}", "lock:{failover}:fence"]))
      const after = yield* one(RedisLock.withLock("failover")((lock) => Effect.succeed(lock.fence)))
      expect(after).toBeGreaterThan(before)
      expect(failure(yield* Fiber.join(holder))).toMatchObject({ _tag: "LockError", reason: "lost" })
    })
  )
})
