/**
 * The laws of locks on real servers, one by one (docs/decisions/0042-locks.md). Two clients stand for two processes: their
 * contenders do not know each other.
 */
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as RedisLock from "effect-redis-client/RedisLock"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type * as RedisServer from "effect-redis-client/testing/RedisServer"
import { failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { interruptAndWait, type LogLine, onlyLogger, recordingLogger, yieldingAt } from "../support/effect.js"
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

  const isFree = (name: string) => two.run(Effect.map(Redis.exists([`lock:{${name}}`]), (n) => n === 0))
  const isHeld = (name: string) => Effect.map(isFree(name), (free) => !free)

  /** Waits until so many contenders listen to a lock's release. */
  const listeners = (key: string, expected: number) =>
    poll(
      `${expected} listen`,
      Effect.map(two.run(Redis.pubsubNumsub([`${key}:free`])), (counts) => counts[0]?.subscribers === expected)
    )

  /** A process behind a proxy. */
  const proxied = Effect.gen(function* () {
    const proxy = yield* FaultProxy.make({ target: { host: redis.host, port: redis.port } })
    return { proxy, far: yield* processOf(proxy) }
  })

  describe("a lock", () => {
    it.live("is held while the effect runs, and free when it has ended, however it ended", () =>
      Effect.gen(function* () {
        const lock = RedisLock.withLock("ends")
        expect(yield* one.run(lock(isHeld("ends")))).toBe(true)
        expect(yield* isFree("ends")).toBe(true)
        expect(failure(yield* Effect.exit(one.run(lock(Effect.fail("no")))))).toBe("no")
        expect(yield* isFree("ends")).toBe(true)
        const { begins, body } = watched()
        const fiber = yield* Effect.fork(one.run(lock(body(Effect.never))))
        yield* begins
        yield* Fiber.interrupt(fiber)
        expect(yield* isFree("ends")).toBe(true)
      })
    )

    it.live("is one for all processes: counters that are read and written under it lose nothing", () =>
      Effect.gen(function* () {
        const count = Effect.gen(function* () {
          const n = Number(Option.getOrElse(yield* Redis.get("counter"), () => "0"))
          yield* Effect.yieldNow()
          yield* Redis.set("counter", String(n + 1))
        }).pipe(RedisLock.withLock("counter"))
        const many = (process: Process) =>
          process.run(
            Effect.all(
              Array.from({ length: 100 }, () => count),
              { concurrency: "unbounded" }
            )
          )
        yield* Effect.all([many(one), many(two)], { concurrency: 2 })
        expect(yield* one.run(Redis.get("counter"))).toEqual(Option.some("200"))
      })
    )

    it.live("is not waited for by `tryWithLock`", () =>
      Effect.gen(function* () {
        const attempt = RedisLock.tryWithLock("try")(Effect.succeed("done"))
        expect(yield* one.run(RedisLock.withLock("try")(two.run(attempt)))).toEqual(Option.none())
        expect(yield* two.run(attempt)).toEqual(Option.some("done"))
        expect(yield* isFree("try")).toBe(true)
      })
    )

    it.live("is held until the scope closes by `acquire`, which tells its fence and for how long it is held", () =>
      Effect.gen(function* () {
        const lock = yield* one.run(
          Effect.scoped(
            Effect.gen(function* () {
              const lock = yield* RedisLock.acquire("scoped", { ttl: "2 seconds" })
              expect(yield* isHeld("scoped")).toBe(true)
              expect(Duration.toMillis(yield* lock.expiresIn)).toBeLessThanOrEqual(1975)
              expect(Duration.toMillis(yield* lock.expiresIn)).toBeGreaterThan(0)
              yield* lock.ensureHeld
              return lock
            })
          )
        )
        expect(lock.fence).toBeTypeOf("bigint")
        expect(yield* isFree("scoped")).toBe(true)
        expect(Duration.toMillis(yield* lock.expiresIn)).toBe(0)
        expect(failure(yield* Effect.exit(lock.ensureHeld))).toMatchObject({ _tag: "LockError", reason: "lost" })
      })
    )

    it.live("fails with `timeout` when it is not free within `wait`", () =>
      Effect.gen(function* () {
        const waits = two.run(RedisLock.withLock("busy", { wait: "50 millis" })(Effect.void))
        const exit = yield* one.run(RedisLock.withLock("busy")(Effect.exit(waits)))
        expect(failure(exit)).toMatchObject({ _tag: "LockError", reason: "timeout", resource: "busy" })
        // In the line of its own process, too.
        const twice = yield* one.run(
          RedisLock.withLock("busy")(Effect.exit(Effect.all([waits, waits], { concurrency: 2 })))
        )
        expect(failure(twice)).toMatchObject({ reason: "timeout" })
        yield* waits
      })
    )

    it.live("refuses wrong options by their names", () =>
      Effect.gen(function* () {
        const refused = (name: string, options: RedisLock.LockOptions) =>
          Effect.map(Effect.exit(one.run(RedisLock.withLock(name, options)(Effect.void))), (exit) => {
            const error = failure(exit)
            return error._tag === "UsageError" ? error.message : error._tag
          })
        expect(yield* refused("", {})).toContain("name")
        expect(yield* refused("}", {})).toContain("name")
        expect(yield* refused("k", { ttl: "10 millis" })).toContain("ttl")
        expect(yield* refused("k", { ttl: 5000 as never })).toContain("ttl")
        expect(yield* refused("k", { ttl: Duration.infinity })).toContain("ttl")
        expect(yield* refused("k", { wait: "0 seconds" })).toContain("wait")
        expect(yield* refused("k", { replicas: { count: 0, within: "1 second" } })).toContain("replicas.count")
      })
    )

    it.live("is given back when too few replicas have it", () =>
      Effect.gen(function* () {
        const lock = RedisLock.withLock("copied", { replicas: { count: 1, within: "20 millis" } })
        expect(failure(yield* Effect.exit(one.run(lock(Effect.void))))).toMatchObject({ reason: "replicas" })
        expect(yield* isFree("copied")).toBe(true)
      })
    )

    it.live("has the prefix of `Redis.withPrefix`, and contenders under it are woken", () =>
      Effect.gen(function* () {
        const { begins, body } = watched()
        const holder = yield* Effect.fork(
          one.run(RedisLock.withLock("same")(body(Effect.never)).pipe(Redis.withPrefix("app:")))
        )
        yield* begins
        // Another lock, without the prefix.
        yield* two.run(RedisLock.withLock("same")(Effect.void))
        const waiting = yield* Effect.fork(
          two.run(RedisLock.withLock("same")(Effect.void).pipe(Redis.withPrefix("app:")))
        )
        yield* listeners("app:lock:{same}", 1)
        yield* Fiber.interrupt(holder)
        yield* Fiber.join(waiting)
      })
    )
  })

  describe("the fence", () => {
    const fence = (process: Process, name: string) =>
      process.run(RedisLock.withLock(name)((lock) => Effect.succeed(lock.fence)))

    it.live("grows with every holder, also when the server has lost the last one", () =>
      Effect.gen(function* () {
        const fences: Array<bigint> = []
        for (const process of [one, two, one]) {
          fences.push(yield* fence(process, "grows"))
        }
        yield* one.run(Redis.del(["lock:{grows}:fence"]))
        fences.push(yield* fence(two, "grows"))
        expect(fences).toEqual([...fences].sort((a, b) => (a < b ? -1 : 1)))
        expect(new Set(fences).size).toBe(fences.length)
      })
    )

    it.live("grows although the server's clock went back", () =>
      Effect.gen(function* () {
        const ahead = 4_000_000_000_000_000n
        yield* one.run(Redis.set("lock:{back}:fence", String(ahead), { ex: "1 minute" }))
        expect(yield* fence(one, "back")).toBe(ahead + 1n)
        expect(yield* fence(one, "back")).toBe(ahead + 2n)
      })
    )
  })

  describe("validity", () => {
    it.live("is counted from before the command was sent", () =>
      Effect.gen(function* () {
        const { far, proxy } = yield* proxied
        yield* far.run(Redis.ping())
        yield* proxy.inject(FaultProxy.latency("100 millis"), { direction: "toClient" })
        const left = yield* far.run(RedisLock.withLock("far", { ttl: "2 seconds" })((lock) => lock.expiresIn))
        expect(Duration.toMillis(left)).toBeLessThanOrEqual(1975 - 99)
      }).pipe(Effect.scoped)
    )

    it.live("that ended before the reply arrived gives the lock back and asks again", () =>
      Effect.gen(function* () {
        const { far, proxy } = yield* proxied
        const fence = (yield* far.run(RedisLock.withLock("stale")((lock) => Effect.succeed(lock.fence)))) + 1n
        yield* proxy.inject(FaultProxy.stall, { direction: "toClient" })
        const late = yield* Effect.fork(
          far.run(
            RedisLock.withLock("stale", { ttl: "60 millis" })((lock) =>
              Effect.map(lock.expiresIn, (left) => [lock.fence, Duration.toMillis(left)] as const)
            )
          )
        )
        yield* poll("the server has granted it", isHeld("stale"))
        const [granted] = yield* one.run(Effect.map(Redis.get("lock:{stale}:fence"), Option.toArray))
        expect(BigInt(granted ?? 0)).toBeGreaterThan(fence)
        yield* poll("it has expired", isFree("stale"))
        yield* proxy.heal
        const [now, left] = yield* Fiber.join(late)
        expect(now).toBeGreaterThan(BigInt(granted ?? 0))
        expect(left).toBeGreaterThan(0)
      }).pipe(Effect.scoped)
    )
  })

  describe("renewal", () => {
    it.live("keeps the lock for much longer than its time to live", () =>
      Effect.gen(function* () {
        const attempt = two.run(RedisLock.tryWithLock("long", { ttl: "600 millis" })(Effect.void))
        const attempts = Effect.repeatN(
          Effect.tap(Effect.zipLeft(attempt, Effect.sleep("10 millis")), (got) =>
            Effect.sync(() => expect(Option.isNone(got)).toBe(true))
          ),
          80
        )
        yield* one.run(RedisLock.withLock("long", { ttl: "600 millis" })(attempts))
      })
    )

    it.live("finds that somebody deleted the lock: the effect is interrupted and fails with `lost`", () =>
      Effect.gen(function* () {
        const { begins, body, seen } = watched()
        let fence = 0n
        const fiber = yield* Effect.fork(
          one.run(
            RedisLock.withLock("deleted", { ttl: "150 millis" })((lock) => {
              fence = lock.fence
              return body(Effect.never)
            })
          )
        )
        yield* begins
        yield* two.run(Redis.del(["lock:{deleted}"]))
        const error = failure(yield* Fiber.await(fiber))
        expect(error).toMatchObject({ _tag: "LockError", reason: "lost", resource: "deleted", fence })
        // The name of a lock is a key: it is a field, and in no text. JSON has the fence as text.
        expect(String(error)).not.toContain("deleted")
        expect(JSON.parse(JSON.stringify(error))).toMatchObject({ resource: "deleted", fence: String(fence) })
        expect(seen.interrupted).toBe(true)
      })
    )

    it.live("without an answer: the effect is interrupted before anybody else can have the lock", () =>
      Effect.gen(function* () {
        const { far, proxy } = yield* proxied
        const { begins, body, seen } = watched()
        const fiber = yield* Effect.fork(
          Effect.exit(far.run(RedisLock.withLock("cut", { ttl: "300 millis" })(body(Effect.never))))
        )
        yield* begins
        yield* proxy.inject(FaultProxy.blackHole)
        const next = yield* one.run(RedisLock.withLock("cut")(Effect.sync(() => performance.now())))
        expect(seen.interrupted).toBe(true)
        expect(seen.ended).toBeLessThan(next)
        yield* proxy.heal
        expect(failure(yield* Fiber.join(fiber))).toMatchObject({ reason: "lost" })
      }).pipe(Effect.scoped)
    )

    it.live("goes on over a lost connection", () =>
      Effect.gen(function* () {
        const { far, proxy } = yield* proxied
        const lock = RedisLock.withLock("reconnects", { ttl: "800 millis" })
        const cuts = Effect.repeatN(
          Effect.zipRight(proxy.inject(FaultProxy.reset, { on: "live" }), Effect.sleep("50 millis")),
          20
        )
        yield* far.run(lock(Effect.zipRight(cuts, isHeld("reconnects"))))
        expect(yield* isFree("reconnects")).toBe(true)
      }).pipe(Effect.scoped)
    )

    it.live("that is late after a held event loop is not believed: the effect's success is `lost`", () =>
      Effect.gen(function* () {
        const held = Effect.sync(() => {
          const until = performance.now() + 100
          while (performance.now() < until) {}
        })
        const exit = yield* Effect.exit(one.run(RedisLock.withLock("blocked", { ttl: "60 millis" })(held)))
        expect(failure(exit)).toMatchObject({ reason: "lost" })
      })
    )
  })

  describe("an interrupted contender", () => {
    it.live("leaves nothing behind, at whatever point it is interrupted", () =>
      Effect.gen(function* () {
        for (let at = 1; at <= 60; at++) {
          const fiber = yield* Effect.fork(
            one.run(RedisLock.withLock("points", { ttl: "30 seconds" })(Effect.never)).pipe(yieldingAt(at))
          )
          // Another fiber, so that both take turns.
          yield* Effect.repeatN(Effect.yieldNow(), at % 13)
          if (at % 3 === 0) {
            yield* Effect.sleep(`${at % 5} millis`)
          }
          yield* Fiber.interrupt(fiber)
          expect(yield* isFree("points"), `point ${at}`).toBe(true)
        }
        // Its place in the line is free, too.
        yield* one.run(RedisLock.withLock("points", { wait: "5 seconds" })(Effect.void))
      })
    )

    it.live("releases what the server granted although the reply never came", () =>
      Effect.gen(function* () {
        const { far, proxy } = yield* proxied
        yield* far.run(RedisLock.withLock("unknown")(Effect.void))
        yield* proxy.inject(FaultProxy.stall, { direction: "toClient" })
        const fiber = yield* Effect.fork(far.run(RedisLock.withLock("unknown", { ttl: "1 minute" })(Effect.void)))
        yield* poll("the server has granted it", isHeld("unknown"))
        const interrupting = yield* Effect.fork(interruptAndWait(fiber))
        yield* poll("it is free again", isFree("unknown"))
        yield* proxy.heal
        expect(Exit.isInterrupted(yield* Fiber.join(interrupting))).toBe(true)
      }).pipe(Effect.scoped)
    )

    it.live("that ran out of time does the same", () =>
      Effect.gen(function* () {
        const { far, proxy } = yield* proxied
        yield* far.run(RedisLock.withLock("late")(Effect.void))
        yield* proxy.inject(FaultProxy.stall, { direction: "toClient" })
        const fiber = yield* Effect.fork(
          Effect.exit(far.run(RedisLock.withLock("late", { ttl: "1 minute", wait: "200 millis" })(Effect.void)))
        )
        yield* poll("the server has granted it", isHeld("late"))
        yield* poll("it is free again", isFree("late"))
        yield* proxy.heal
        expect(failure(yield* Fiber.join(fiber))).toMatchObject({ _tag: "LockError", reason: "timeout" })
      }).pipe(Effect.scoped)
    )

    it.live("in the line lets the next one pass", () =>
      Effect.gen(function* () {
        const { begins, body } = watched()
        const holder = yield* Effect.fork(one.run(RedisLock.withLock("line")(body(Effect.never))))
        yield* begins
        const waiters = yield* Effect.forEach([1, 2, 3, 4], (n) =>
          Effect.fork(one.run(RedisLock.withLock("line")(Effect.succeed(n))))
        )
        yield* Effect.sleep("20 millis")
        yield* Fiber.interrupt(waiters[0] as Fiber.RuntimeFiber<unknown>)
        yield* Fiber.interrupt(waiters[2] as Fiber.RuntimeFiber<unknown>)
        yield* Fiber.interrupt(holder)
        expect(yield* Fiber.join(waiters[1] as Fiber.RuntimeFiber<number, unknown>)).toBe(2)
        expect(yield* Fiber.join(waiters[3] as Fiber.RuntimeFiber<number, unknown>)).toBe(4)
      })
    )
  })

  describe("the release", () => {
    it.live("does not free the lock of somebody else", () =>
      Effect.gen(function* () {
        yield* one.run(RedisLock.withLock("other")(two.run(Redis.set("lock:{other}", "somebody", { px: "1 minute" }))))
        expect(yield* two.run(Redis.get("lock:{other}"))).toEqual(Option.some("somebody"))
      })
    )

    it.live("that fails is a warning, takes a bounded time, and keeps what the effect answered or failed with", () =>
      Effect.gen(function* () {
        const lines: Array<LogLine> = []
        const ends = <A, E>(name: string, effect: Effect.Effect<A, E>) =>
          Effect.gen(function* () {
            const { far, proxy } = yield* proxied
            const cut = Effect.orDie(proxy.inject(FaultProxy.blackHole))
            const exit = yield* Effect.exit(
              far.run(RedisLock.withLock(name, { ttl: "200 millis" })(Effect.zipRight(cut, effect)))
            )
            // So that the client closes at once.
            yield* proxy.heal
            return yield* exit
          }).pipe(Effect.scoped, Effect.exit, Effect.provide(onlyLogger(recordingLogger((line) => lines.push(line)))))
        const before = performance.now()
        const [answered, failed] = yield* Effect.all(
          [ends("silent-1", Effect.succeed("answer")), ends("silent-2", Effect.fail("no"))],
          { concurrency: 2 }
        )
        expect(answered).toEqual(Exit.succeed("answer"))
        expect(failure(failed)).toBe("no")
        expect(performance.now() - before).toBeLessThan(10_000)
        const warnings = lines.filter(({ level }) => level === "WARN").map(({ message }) => String(message))
        // Without the name, which is part of a key.
        expect(warnings.filter((text) => text.startsWith("A lock was not released"))).toHaveLength(2)
      })
    )
  })

  describe("contenders", () => {
    it.live("of one process come in the order in which they asked, and only the first asks the server", () =>
      Effect.gen(function* () {
        const order: Array<number> = []
        const calls = one.run(
          Effect.map(Redis.execute("INFO", "commandstats"), (info) =>
            Number(/cmdstat_evalsha:calls=(\d+)/.exec(String(info))?.[1] ?? 0)
          )
        )
        const { begins, body } = watched()
        // The prefix changes nothing in that.
        const lock = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          RedisLock.withLock("order")(effect).pipe(Redis.withPrefix("p:"))
        const holder = yield* Effect.fork(two.run(lock(body(Effect.never))))
        yield* begins
        const before = yield* calls
        expect(before).toBeGreaterThan(0)
        const waiters = yield* Effect.forEach(
          Array.from({ length: 50 }, (_, n) => n),
          (n) => Effect.fork(one.run(lock(Effect.sync(() => order.push(n)))))
        )
        yield* listeners("p:lock:{order}", 1)
        yield* Effect.sleep("200 millis")
        // One asked, once more when it began to listen, and perhaps when a pause ended.
        expect((yield* calls) - before).toBeLessThanOrEqual(6)
        yield* Fiber.interrupt(holder)
        yield* Effect.forEach(waiters, Fiber.join)
        expect(order).toEqual(Array.from({ length: 50 }, (_, n) => n))
        yield* listeners("p:lock:{order}", 0)
      })
    )

    it.live("are woken by a release, long before they would ask again", () =>
      Effect.gen(function* () {
        const times: Array<number> = []
        for (let i = 0; i < 3; i++) {
          const { begins, body } = watched()
          const holder = yield* Effect.fork(two.run(RedisLock.withLock("woken")(body(Effect.never))))
          yield* begins
          const waiter = yield* Effect.fork(one.run(RedisLock.withLock("woken")(Effect.sync(() => performance.now()))))
          yield* listeners("lock:{woken}", 1)
          // By now it asks once a second.
          yield* Effect.sleep("150 millis")
          const released = performance.now()
          yield* Fiber.interrupt(holder)
          times.push((yield* Fiber.join(waiter)) - released)
        }
        expect([...times].sort((a, b) => a - b)[1]).toBeLessThan(300)
      })
    )

    it.live("ask from time to time where there are no subscriptions, and when a lock just expires", () =>
      Effect.gen(function* () {
        const { begins, body } = watched()
        const holder = yield* Effect.fork(two.run(RedisLock.withLock("deaf")(body(Effect.never))))
        yield* begins
        const waiter = yield* Effect.fork(one.deaf(RedisLock.withLock("deaf")(Effect.succeed("got it"))))
        yield* Effect.sleep("20 millis")
        yield* Fiber.interrupt(holder)
        expect(yield* Fiber.join(waiter)).toBe("got it")
        // Somebody died.
        yield* two.run(Redis.set("lock:{deaf}", "dead", { px: "100 millis" }))
        expect(yield* one.run(RedisLock.withLock("deaf")(Effect.succeed("got it")))).toBe("got it")
      })
    )

    it.live("hear again after the connection of their subscription was lost", () =>
      Effect.gen(function* () {
        const { begins, body } = watched()
        const holder = yield* Effect.fork(two.run(RedisLock.withLock("gap")(body(Effect.never))))
        yield* begins
        const waiter = yield* Effect.fork(one.run(RedisLock.withLock("gap")(Effect.succeed("got it"))))
        const listens = listeners("lock:{gap}", 1)
        yield* listens
        yield* two.run(Redis.execute("CLIENT", "KILL", "TYPE", "pubsub"))
        yield* Fiber.interrupt(holder)
        expect(yield* Fiber.join(waiter)).toBe("got it")
      })
    )
  })

  describe("a lock inside of itself", () => {
    it.live("is a `UsageError`, in fibers that the effect starts too, and with `acquire`", () =>
      Effect.gen(function* () {
        const lock = RedisLock.withLock("itself")
        const inner = Effect.exit(lock(Effect.void))
        const outcomes = yield* one.run(
          lock(
            Effect.all([
              inner,
              Effect.timeout(inner, "10 seconds"),
              RedisLock.withLock("another")(inner),
              Effect.exit(Effect.scoped(RedisLock.acquire("itself")))
            ])
          )
        )
        for (const exit of outcomes) {
          expect(failure(exit as Exit.Exit<unknown, unknown>)).toMatchObject({ _tag: "UsageError" })
        }
        // That is no deadlock, and the answer is true.
        expect(yield* one.run(lock(RedisLock.tryWithLock("itself")(Effect.void)))).toEqual(Option.none())
      })
    )

    it.live("is a `UsageError` in the fiber that holds it until its scope closes, and allowed afterwards", () =>
      Effect.gen(function* () {
        const once = RedisLock.withLock("until-scope", { wait: "200 millis" })
        const exit = yield* one.run(
          Effect.scoped(Effect.zipRight(RedisLock.acquire("until-scope"), Effect.exit(once(Effect.void))))
        )
        expect(failure(exit as Exit.Exit<unknown, unknown>)).toMatchObject({ _tag: "UsageError" })
        yield* one.run(once(Effect.void))
      })
    )

    it.live("is allowed to what the effect has started, when the lock is released", () =>
      Effect.gen(function* () {
        const lock = RedisLock.withLock("later")
        const gate = yield* Effect.makeSemaphore(1)
        yield* gate.take(1)
        const fiber = yield* one.run(lock(Effect.forkDaemon(gate.withPermits(1)(lock(Effect.succeed("later"))))))
        yield* gate.release(1)
        expect(yield* Fiber.join(fiber)).toBe("later")
      })
    )
  })

  describe("a leader", () => {
    it.live("is one at a time, and another one follows when it has gone", () =>
      Effect.gen(function* () {
        const first = watched()
        const leader = yield* Effect.fork(
          one.run(RedisLock.leader("cron", { ttl: "1 second" })(first.body(Effect.never)))
        )
        yield* first.begins
        const second = watched()
        const other = yield* Effect.fork(two.run(second.body(Effect.succeed("led")).pipe(RedisLock.leader("cron"))))
        yield* Effect.sleep("50 millis")
        expect(second.seen.began).toBe(undefined)
        yield* Fiber.interrupt(leader)
        expect(yield* Fiber.join(other)).toBe("led")
        expect(first.seen.ended).toBeLessThan(second.seen.began ?? 0)
      })
    )

    it.live("that is lost is interrupted and contends again; its failure ends it", () =>
      Effect.gen(function* () {
        const terms: Array<bigint> = []
        const fiber = yield* Effect.fork(
          Effect.exit(
            one.run(
              RedisLock.leader("again", { ttl: "300 millis" })((lock) => {
                terms.push(lock.fence)
                return terms.length < 3 ? Effect.never : Effect.fail("enough")
              })
            )
          )
        )
        for (const term of [1, 2]) {
          yield* poll(
            `term ${term}`,
            Effect.sync(() => terms.length === term)
          )
          yield* two.run(Redis.del(["lock:{again}"]))
        }
        expect(failure(yield* Fiber.join(fiber))).toBe("enough")
        expect(terms).toEqual([...terms].sort((a, b) => (a < b ? -1 : 1)))
      })
    )

    it.live("contends on while the server cannot be reached", () =>
      Effect.gen(function* () {
        const { far, proxy } = yield* proxied
        const { begins, body } = watched()
        const holder = yield* Effect.fork(
          two.run(RedisLock.withLock("away", { ttl: "200 millis" })(body(Effect.never)))
        )
        yield* begins
        const leader = yield* Effect.fork(far.run(RedisLock.leader("away")(Effect.succeed("led"))))
        yield* proxy.inject([FaultProxy.refuse, FaultProxy.reset])
        yield* Effect.sleep("100 millis")
        yield* proxy.heal
        yield* Fiber.interrupt(holder)
        expect(yield* Fiber.join(leader)).toBe("led")
      }).pipe(Effect.scoped)
    )
  })

  it.live("everything in the server has a time to live", () =>
    one.run(
      Effect.gen(function* () {
        yield* Redis.del(["counter"])
        yield* RedisLock.withLock("held")(
          Effect.gen(function* () {
            for (const key of yield* Redis.keys("*lock:*")) {
              const ttl = yield* Redis.execute("PTTL", key)
              expect(Number(ttl), key).toBeGreaterThan(0)
              expect(Number(ttl), key).toBeLessThanOrEqual(3_600_000)
            }
          })
        )
      })
    )
  )
})
