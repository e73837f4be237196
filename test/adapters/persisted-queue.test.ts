/** Persisted queues: what is claimed, settled, renewed and woken, and what goes wrong in upstream's store and not here. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { Redis, RedisCommand } from "effect-redis-client"
import * as RedisQueue from "effect-redis-client/PersistedQueue"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import { hasEnded } from "../../src/internal/effect/fork.js"
import * as Scripts from "../../src/internal/persistedQueue/scripts.js"
import * as Internal from "../../src/internal/persistedQueue/store.js"
import type { RedisService } from "../../src/Redis.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, failure, on } from "../support/client.js"
import { interruptAndWait, noLogger } from "../support/effect.js"
import { until } from "../support/pubsub.js"

const pause = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

describe("the options", () => {
  it.scoped("that are wrong fail with an error that names the option", () =>
    Effect.gen(function* () {
      const fake = Redis.layerTest(() => Effect.succeed(null))
      const wrong: ReadonlyArray<RedisQueue.PersistedQueueOptions> = [
        { prefix: "\ud800" },
        { lease: "999 millis" },
        { rememberIds: "0 seconds" },
        { pollEvery: 5 as never },
        { failedLimit: 0 },
        { failedTimeToLive: "-1 seconds" as never }
      ]
      for (const options of wrong) {
        const exit = yield* Effect.exit(Effect.provide(Layer.build(RedisQueue.layer(options)), fake))
        expect(failure(exit).message).toContain(Object.keys(options)[0])
      }
    })
  )
})

/** Interrupts a fiber just before its `at`th operation. */
const interruptedAt = (at: number) => {
  let count = 0
  return Effect.withScheduler({
    scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
    shouldYield: (fiber) => {
      if (++count !== at) return false
      fiber.unsafeInterruptAsFork(FiberId.none)
      return 0
    }
  })
}

type Store = Internal.Store

/** An element, in a scope that the test closes. */
const takeOne = (store: Store, name = "q", maxAttempts = 10) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const taken = yield* Scope.extend(store.take({ name, maxAttempts }), scope)
    const close = (exit: Exit.Exit<unknown, unknown>) => Scope.close(scope, exit)
    return {
      ...taken,
      done: close(Exit.void),
      fail: close(Exit.fail("boom")),
      interrupt: close(Exit.interrupt(Fiber.id(yield* Effect.fork(Effect.void))))
    }
  })

/** Takes and handles an element, in a scope that closes in any case. */
const handle = <A>(store: Store, handler: (n: number, attempts: number) => Effect.Effect<A>) =>
  Effect.scoped(
    Effect.flatMap(store.take({ name: "q", maxAttempts: 10 }), ({ attempts, element }) =>
      handler(Number(element), attempts)
    )
  )

const offerTo =
  (store: Store, name = "q") =>
  (id: string, element: unknown = id, isCustomId = true) =>
    store.offer({ name, id, element, isCustomId })

eachServer((it, { connect, protocol }) => {
  /** Where time has to pass: the protocol makes no difference there. */
  const slow = protocol === 3 ? it.scoped : () => {}

  const fresh = (options?: RedisQueue.PersistedQueueOptions) =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      yield* run(Redis.flushall())
      const store = yield* Effect.orDie(run(RedisQueue.make({ pollEvery: "1 hour", ...options })))
      return { redis, run, store, offer: offerTo(store) }
    })
  const anotherStore = (options?: RedisQueue.PersistedQueueOptions) =>
    Effect.flatMap(connect(), (redis) => Effect.orDie(on(redis)(RedisQueue.make({ pollEvery: "1 hour", ...options }))))

  it.scoped("elements come in the order in which they were offered, with and without an id of their own", () =>
    Effect.gen(function* () {
      const { offer, store } = yield* fresh()
      for (const n of [0, 1, 2, 3, 4, 5]) yield* offer(`id-${n}`, { n }, n % 2 === 0)
      for (const n of [0, 1, 2, 3, 4, 5]) {
        const taken = yield* takeOne(store)
        expect(taken).toMatchObject({ id: `id-${n}`, attempts: 0, element: { n } })
        yield* taken.done
      }
    })
  )

  slow("an id is added once: while its element waits, while it is handled, and for a time afterwards", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh({ rememberIds: "1 second" })
      yield* offer("a", 1)
      yield* offer("a", 2)
      const taken = yield* takeOne(store)
      expect(taken.element).toBe(1)
      yield* offer("a", 3)
      yield* taken.done
      yield* offer("a", 4)
      const waiting = run(Redis.llen("{queue:q}:ready"))
      expect(yield* waiting).toBe(0)
      // The id is not kept for ever.
      yield* until(
        "the id is forgotten",
        Effect.zipRight(
          offer("a", 5),
          Effect.map(waiting, (count) => count === 1)
        )
      )
      expect((yield* takeOne(store)).element).toBe(5)
    })
  )

  it.scoped("an element whose handler fails goes to the end, one attempt older, and at last to those that failed", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh({ rememberIds: "1 millis" })
      const failed = run(Redis.xrange(RedisQueue.failedKey("q"), "-", "+"))
      yield* offer("a", { n: 1 })
      yield* offer("b")
      yield* (yield* takeOne(store, "q", 2)).fail
      yield* (yield* takeOne(store, "q", 2)).done
      const second = yield* takeOne(store, "q", 2)
      expect(second).toMatchObject({ id: "a", attempts: 1 })
      expect(yield* failed).toEqual([])
      yield* second.fail
      // The same id fails again: the first failure is still there.
      yield* until(
        "the id is forgotten",
        Effect.zipRight(
          offer("a", { n: 2 }),
          Effect.map(run(Redis.llen("{queue:q}:ready")), (count) => count === 1)
        )
      )
      yield* (yield* takeOne(store, "q", 1)).fail
      expect((yield* failed).map(({ fields }) => fields)).toEqual([
        { id: "a", attempts: "2", element: '{"n":1}' },
        { id: "a", attempts: "1", element: '{"n":2}' }
      ])
      expect(yield* run(RedisCommand.undecoded(Redis.pttl(RedisQueue.failedKey("q"))))).toBeGreaterThan(0)
    })
  )

  it.scoped("an element whose handler is interrupted goes back to the front, and that is no attempt", () =>
    Effect.gen(function* () {
      const { offer, store } = yield* fresh()
      yield* offer("a")
      yield* offer("b")
      yield* (yield* takeOne(store)).interrupt
      expect(yield* takeOne(store)).toMatchObject({ id: "a", attempts: 0 })
    })
  )

  it.scoped("a claim is repeated with the same element when its reply was lost, and never with two", () =>
    Effect.gen(function* () {
      const { offer, run } = yield* fresh()
      const keys = Scripts.keysOf("queue:", "q")
      const claim = (token: string) => run(Scripts.claim(...keys, token, 60_000_000, 10, 100, ""))
      yield* offer("a")
      yield* offer("b")
      expect(yield* claim("one")).toMatchObject({ id: "a" })
      expect(yield* claim("one")).toMatchObject({ id: "a" })
      expect(yield* claim("two")).toMatchObject({ id: "b" })
      expect(yield* claim("three")).toMatchObject({ _tag: "Empty" })
    })
  )

  it.scoped("a worker whose lease has ended settles nothing that another worker has", () =>
    Effect.gen(function* () {
      const { offer, run } = yield* fresh()
      const keys = Scripts.keysOf("queue:", "q")
      const claim = (token: string, lease: number) => run(Scripts.claim(...keys, token, lease, 10, 100, ""))
      const settle = (token: string, outcome: Scripts.Outcome) =>
        run(Scripts.settle(...keys, token, outcome, 10, 100, ""))
      yield* offer("a")
      yield* claim("stale", 1)
      yield* until(
        "the lease has ended",
        Effect.map(claim("new", 60_000_000), (claimed) => claimed._tag === "Element" && claimed.attempts === 1)
      )
      for (const outcome of ["done", "back", "failed"] as const) expect(yield* settle("stale", outcome)).toBe(0)
      expect(yield* run(Scripts.renew(...keys, 60_000_000, "stale", "new"))).toEqual(["stale"])
      expect(yield* run(Redis.hlen("{queue:q}:elements"))).toBe(1)
      expect(yield* settle("new", "done")).toBe(1)
      expect(yield* run(Redis.keys("{queue:q}:*"))).toEqual(["{queue:q}:done"])
    })
  )

  it.scoped("leases that end count as attempts, and come back in their order", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh()
      const keys = Scripts.keysOf("queue:", "q")
      for (const id of ["a", "b", "c"]) yield* offer(id)
      for (const id of ["a", "b"]) yield* run(Scripts.claim(...keys, id, 60_000_000, 10, 100, ""))
      yield* run(
        Redis.zadd("{queue:q}:leases", [
          ["a", 1],
          ["b", 2]
        ])
      )
      const order: Array<unknown> = []
      for (let i = 0; i < 3; i++) {
        const { attempts, id } = yield* takeOne(store)
        order.push([id, attempts])
      }
      expect(order).toEqual([
        ["a", 1],
        ["b", 1],
        ["c", 0]
      ])
    })
  )

  slow("a lease is renewed for as long as the handler runs, and ends when the store has gone", () =>
    Effect.gen(function* () {
      const { offer, store } = yield* fresh({ lease: "1 second" })
      const scope = yield* Scope.make()
      const mortal = yield* Scope.extend(anotherStore({ lease: "1 second" }), scope)
      yield* offer("a")
      yield* takeOne(mortal)
      const next = yield* Effect.fork(takeOne(store))
      yield* pause(2_000)
      expect(hasEnded(next)).toBe(false)
      yield* Scope.close(scope, Exit.void)
      // A new caller looks when the lease ends; the one that waits looks by its poll, or is woken.
      expect(yield* Fiber.join(next)).toMatchObject({ id: "a", attempts: 1 })
    })
  )

  slow("a queue whose renewal fails does not stop the renewals of the others", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh({ lease: "1 second" })
      yield* offerTo(store, "broken")("a")
      yield* offerTo(store, "sound")("a")
      yield* takeOne(store, "broken")
      yield* takeOne(store, "sound")
      yield* run(Redis.set("{queue:broken}:owners", "not a hash"))
      const until_ = run(Redis.zscore("{queue:sound}:leases", "a"))
      const first = Option.getOrThrow(yield* until_)
      yield* until(
        "the lease was renewed three times",
        Effect.map(until_, (score) => Option.getOrThrow(score) > first + 900_000)
      )
    })
  )

  it.scoped("who waits is woken by an offer, by a failure and by an interruption, without a poll", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh()
      const other = yield* anotherStore()
      const waiting = yield* Effect.fork(takeOne(other))
      yield* until(
        "the other waits",
        Effect.map(run(Redis.clientList()), (clients) => clients.some(({ cmd }) => Option.contains(cmd, "blpop")))
      )
      yield* offer("a")
      let held = yield* Fiber.join(waiting)
      for (const end of ["fail", "interrupt"] as const) {
        const next = yield* Effect.fork(takeOne(store))
        yield* pause(20)
        yield* held[end]
        held = yield* Fiber.join(next)
        expect(held.id).toBe("a")
      }
    })
  )

  it.scoped("forty callers of two stores wait, and each gets one of forty elements", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh()
      const other = yield* anotherStore()
      const callers = yield* Effect.forEach(Array.from({ length: 40 }), (_, i) =>
        Effect.fork(takeOne(i % 2 === 0 ? store : other))
      )
      yield* Effect.forEach(Array.from({ length: 40 }), (_, i) => offer(String(i)), { concurrency: 10 })
      const ids = yield* Effect.forEach(callers, (caller) => Effect.map(Fiber.join(caller), ({ id }) => id))
      expect(new Set(ids).size).toBe(40)
      // The wake-up expires, whether or not somebody takes it.
      expect(yield* run(RedisCommand.undecoded(Redis.pttl("{queue:q}:wake")))).not.toBe(-1)
    })
  )

  it.scoped("a wake-up that nobody takes expires", () =>
    Effect.gen(function* () {
      const { offer, run } = yield* fresh()
      yield* offer("a")
      expect(yield* run(RedisCommand.undecoded(Redis.pttl("{queue:q}:wake")))).toBeGreaterThan(0)
    })
  )

  it.scoped("an interrupted caller loses no element, wherever it was interrupted", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh()
      const interrupted = (
        n: number,
        how: <A, E>(take: Effect.Effect<A, E>) => Effect.Effect<A, E>,
        when: (begun: Effect.Effect<void>) => Effect.Effect<unknown>
      ) =>
        Effect.gen(function* () {
          yield* offer(String(n), n, false)
          const begun = yield* Deferred.make<void>()
          const fiber = yield* Effect.fork(
            how(handle(store, () => Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never)))
          )
          const ended = Effect.as(Fiber.await(fiber), "ended")
          const result = yield* Effect.raceFirst(Effect.as(when(Deferred.await(begun)), "begun"), ended)
          yield* Fiber.interrupt(fiber)
          expect(yield* handle(store, (n, attempts) => Effect.succeed([n, attempts]))).toEqual([n, 0])
          return result
        })
      // At each operation of its fiber, until it is in the handler.
      let at = 1
      while ((yield* interrupted(at, interruptedAt(at), (begun) => begun)) === "ended") at++
      expect(at).toBeGreaterThan(30)
      // On its way to the server, and back.
      for (let round = 0; round < 60; round++) {
        yield* interrupted(
          round,
          (take) => take,
          () => (round % 2 === 0 ? pause(Math.random() * 2) : Effect.yieldNow())
        )
      }
      expect(yield* run(Redis.keys("{queue:q}:*"))).toEqual([])
    })
  )

  it.scoped("an interrupted caller that waited passes its wake-up on", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh()
      const waiting = Effect.map(run(Redis.clientList()), (clients) =>
        clients.some(({ cmd }) => Option.contains(cmd, "blpop"))
      )
      const take = handle(store, () => Effect.void)
      // At each operation: before it waits, when it is woken, and on its way to the element.
      for (let at = 1, done = false; !done; at++) {
        const first = yield* Effect.fork(interruptedAt(at)(take))
        yield* Effect.yieldNow()
        const second = yield* Effect.fork(take)
        yield* until("somebody waits", waiting)
        yield* offer(String(at), at, false)
        yield* until(
          "somebody has the element",
          Effect.map(run(Redis.hlen("{queue:q}:elements")), (count) => count === 0)
        )
        yield* Fiber.interrupt(second)
        done = Exit.isSuccess(yield* interruptAndWait(first))
      }
    })
  )

  it.scoped("keeps nothing of a queue that nobody uses any more, here and on the server", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* fresh()
      const { queues, store } = yield* Internal.makeStore(
        redis,
        {
          prefix: "many:",
          lease: 1_000,
          rememberIds: 1,
          pollEvery: 50,
          failedLimit: 10,
          failedTimeToLive: undefined
        },
        yield* Effect.scope
      )
      for (let i = 0; i < 50; i++) {
        yield* offerTo(store, `q${i}`)("a", i, false)
        yield* (yield* takeOne(store, `q${i}`)).done
        const waiting = yield* Effect.fork(store.take({ name: `w${i % 5}`, maxAttempts: 1 }))
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(waiting)
      }
      yield* until(
        "the queues are forgotten",
        Effect.sync(() => queues.size === 0)
      )
      yield* until(
        "their keys are gone",
        Effect.map(run(Redis.keys("{many:*")), (keys) => keys.length === 0)
      )
    })
  )

  it.scoped("goes on after the server has forgotten its scripts", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh()
      const flush = run(Redis.scriptFlush())
      yield* flush
      yield* offer("a")
      yield* flush
      const taken = yield* takeOne(store)
      yield* flush
      yield* taken.done
      expect(yield* run(Redis.exists("{queue:q}:elements"))).toBe(0)
    })
  )

  it.scoped("what has no JSON, and what is none, are errors that show nothing of it", () =>
    Effect.gen(function* () {
      const { offer, run, store } = yield* fresh()
      for (const element of [undefined, 1n]) {
        const offered = store.offer({ name: "q", id: "a", element, isCustomId: true })
        expect(failure(yield* Effect.exit(offered)).message).toBe("the element has no JSON")
      }
      yield* offer("a")
      yield* run(Redis.hset("{queue:q}:elements", { a: "0:secret" }))
      const error = failure(yield* Effect.exit(takeOne(store, "q", 1)))
      expect(error.message).toBe("an element of the queue is not JSON")
      expect(yield* run(Redis.xlen(RedisQueue.failedKey("q")))).toBe(1)
      yield* run(Redis.set("{queue:q}:ready", "not a list"))
      const refused = failure(yield* Effect.exit(offer("b")))
      expect(refused).toMatchObject({ _tag: "PersistedQueueError", cause: { _tag: "ReplyError" } })
    })
  )

  // -----------------------------------------------------------------------------------------------------------------
  // Behind a proxy
  // -----------------------------------------------------------------------------------------------------------------

  const proxied = (options?: RedisQueue.PersistedQueueOptions) =>
    Effect.gen(function* () {
      const { run } = yield* fresh()
      const { host, port } = yield* RedisServer.RedisServer
      const proxy = yield* FaultProxy.make({ target: { host, port } })
      const redis: RedisService = yield* connect({ host: proxy.host, port: proxy.port })
      const store = yield* Effect.orDie(on(redis)(RedisQueue.make({ pollEvery: "1 hour", ...options })))
      return { run, proxy, store, offer: offerTo(store) }
    })
  /** The server executes what is sent next, and its reply is lost with the connection. */
  const losingReply = (proxy: FaultProxy.FaultProxy) =>
    proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" })

  it.scoped("an offer, a claim and a settlement whose replies are lost are repeated, and count once", () =>
    Effect.gen(function* () {
      const { offer, proxy, run, store } = yield* proxied()
      yield* losingReply(proxy)
      yield* offer("a")
      expect(yield* run(Redis.llen("{queue:q}:ready"))).toBe(1)
      yield* losingReply(proxy)
      const taken = yield* takeOne(store)
      expect(taken).toMatchObject({ id: "a", attempts: 0 })
      yield* losingReply(proxy)
      yield* taken.done
      yield* offer("a")
      expect(yield* run(Redis.keys("{queue:q}:*"))).toEqual(["{queue:q}:done"])
      // Without an id of the program's own, only the program can know whether to repeat it.
      yield* losingReply(proxy)
      const error = failure(yield* Effect.exit(offer("b", 1, false)))
      expect(error).toMatchObject({ cause: { _tag: "ConnectionError", delivery: "unknown" } })
    })
  )

  slow("a caller that waits outlives lost connections, and is woken afterwards", () =>
    Effect.gen(function* () {
      const { proxy, run, store } = yield* proxied({ pollEvery: "5 seconds" })
      const waiting = yield* Effect.fork(takeOne(store))
      const blocked = Effect.map(run(Redis.clientList()), (clients) =>
        clients.some(({ cmd }) => Option.contains(cmd, "blpop"))
      )
      for (let round = 0; round < 2; round++) {
        yield* until("it waits on the server", blocked)
        yield* proxy.inject(FaultProxy.reset, { on: "live" })
        yield* until(
          "its connection has ended",
          Effect.map(blocked, (is) => !is)
        )
      }
      yield* until("it waits again", blocked)
      yield* run(Scripts.offer(...Scripts.keysOf("queue:", "q"), "a", 0, "1"))
      expect(yield* Fiber.join(waiting)).toMatchObject({ id: "a", element: 1 })
    })
  )

  slow("what became of an element is stored later, when the server is away at its end", () =>
    Effect.gen(function* () {
      const { run } = yield* fresh()
      const { host, port } = yield* RedisServer.RedisServer
      const proxy = yield* FaultProxy.make({ target: { host, port } })
      const redis = yield* connect({ host: proxy.host, port: proxy.port, replyTimeout: "300 millis" })
      const store = yield* Effect.orDie(on(redis)(RedisQueue.make({ lease: "1 minute" })))
      yield* offerTo(store)("a")
      const taken = yield* takeOne(store)
      yield* proxy.inject([FaultProxy.refuse, FaultProxy.reset])
      yield* taken.done
      expect(yield* run(Redis.hlen("{queue:q}:elements"))).toBe(1)
      yield* proxy.heal
      yield* until(
        "the element has left",
        Effect.map(run(Redis.hlen("{queue:q}:elements")), (count) => count === 0)
      )
    }).pipe(Effect.provide(noLogger))
  )
})
