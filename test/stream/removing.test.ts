/** Consumers that are not used any more are removed (`removeIdleConsumers`), and nothing pending is lost by it. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Redis } from "../../src/Redis.js"
import * as RedisStream from "../../src/RedisStream.js"
import { eachServer, failure, on } from "../support/client.js"
import { eventually } from "../support/peer.js"
import { until } from "../support/pubsub.js"

eachServer((it, { connect, protocol }) => {
  let streams = 0
  const start = Effect.gen(function* () {
    const redis = yield* connect()
    const run = on(redis)
    const stream = `removing:${protocol}:${++streams}`
    yield* run(Redis.xgroupCreate(stream, "g", "0", { mkstream: true }))
    const names = run(
      Effect.map(Redis.xinfoConsumers(stream, "g"), (consumers) => consumers.map(({ name }) => name).sort())
    )
    return { redis, run, stream, names }
  })
  const options = { group: "g", block: "50 millis", claim: false, removeIdleConsumers: "100 millis" } as const

  it.scoped("a consumer without entries is removed once it is idle; one with entries stays, and loses none", () =>
    Effect.gen(function* () {
      const { names, run, stream } = yield* start
      yield* run(
        Effect.gen(function* () {
          yield* Redis.xadd(stream, "1-0", { n: "1" })
          yield* Redis.xreadgroup("g", "busy", { [stream]: ">" })
          yield* Redis.xgroupCreateconsumer(stream, "g", "gone")
          yield* Redis.execute("XGROUP", "CREATECONSUMER", stream, "g", new Uint8Array([0xff]))
        })
      )
      const events: Array<RedisStream.GroupEvent> = []
      const worker = yield* Effect.fork(
        run(
          RedisStream.worker(
            { ...options, stream, consumer: "me", on: (event) => Effect.sync(() => events.push(event)) },
            () => Effect.void
          )
        )
      )
      const removed = () => events.flatMap((event) => (event._tag === "Removed" ? event.consumers : []))
      yield* eventually("they are reported", () => removed().length === 2)
      expect(events[0]).toMatchObject({ _tag: "Removed", stream, group: "g", consumer: "me" })
      expect(removed().sort()).toEqual(["\\xff", "gone"])
      yield* until(
        "the one with an entry is left",
        // Redis 7.0 lists a consumer that has received nothing only if it was made by hand.
        Effect.map(names, (names) => names.filter((name) => name !== "me").join() === "busy")
      )
      yield* Fiber.interrupt(worker)
      expect((yield* run(Redis.xpending(stream, "g"))).consumers).toEqual([{ name: "busy", pending: 1 }])
    })
  )

  it.scoped("a consumer that gets an entry between the look and the removal keeps it", () =>
    Effect.gen(function* () {
      const { names, redis, run, stream } = yield* start
      yield* run(
        Effect.gen(function* () {
          yield* Redis.xadd(stream, "1-0", { n: "1" })
          yield* Redis.xreadgroup("g", "first", { [stream]: ">" })
          yield* Redis.xgroupCreateconsumer(stream, "g", "late")
        })
      )
      let removals = 0
      // It claims the entry when the worker has found it without entries, just before it is removed.
      const racing: typeof redis = {
        ...redis,
        send: (command) =>
          command.name === "EVAL" && removals++ === 0
            ? Effect.zipRight(run(Redis.xclaim(stream, "g", "late", "0 millis", "1-0")), redis.send(command))
            : redis.send(command)
      }
      const worker = yield* Effect.fork(
        on(racing)(RedisStream.worker({ ...options, stream, consumer: "me" }, () => Effect.void))
      )
      yield* until(
        "the consumer that has no entry any more is removed",
        Effect.map(names, (names) => !names.includes("first"))
      )
      yield* Fiber.interrupt(worker)
      expect(removals).toBeGreaterThan(1)
      expect((yield* run(Redis.xpending(stream, "g"))).consumers).toEqual([{ name: "late", pending: 1 }])
    })
  )

  it.scoped("a consumer that still runs is made again by its next read, and gets its entries", () =>
    Effect.gen(function* () {
      const { run, stream } = yield* start
      const got: Array<string> = []
      yield* run(Redis.xgroupCreateconsumer(stream, "g", "quiet"))
      const quiet = yield* Effect.fork(
        run(
          RedisStream.worker({ stream, group: "g", consumer: "quiet", block: "20 seconds", claim: false }, ({ id }) =>
            Effect.sync(() => got.push(id))
          )
        )
      )
      const reads = until(
        "it reads alone",
        run(Effect.map(Redis.execute("INFO", "clients"), (info) => String(info).includes("blocked_clients:1")))
      )
      yield* reads
      const removed: Array<RedisStream.GroupEvent> = []
      const other = yield* Effect.fork(
        run(
          RedisStream.worker(
            {
              ...options,
              stream,
              consumer: "other",
              on: (event) => Effect.sync(() => removed.push(event))
            },
            () => Effect.never
          )
        )
      )
      yield* eventually("the idle one is removed", () => removed.some(({ _tag }) => _tag === "Removed"))
      yield* Fiber.interrupt(other)
      yield* reads
      yield* run(Redis.xadd(stream, "2-0", { n: "2" }))
      yield* eventually("its entry comes", () => got.length === 1)
      yield* until("it is acknowledged", run(Effect.map(Redis.xpending(stream, "g"), ({ pending }) => pending === 0)))
      yield* Fiber.interrupt(quiet)
      expect(got).toEqual(["2-0"])
    })
  )

  it.scoped("the dead letter stream must be another one than the consumed one, also under a prefix", () =>
    Effect.gen(function* () {
      const { run, stream } = yield* start
      const worker = (deadLetter: RedisStream.WorkerOptions["deadLetter"]) =>
        Effect.exit(
          run(
            RedisStream.worker({ ...options, stream, consumer: "me", deadLetter }, () => Effect.void).pipe(
              Redis.withPrefix("app:")
            )
          )
        )
      for (const same of [stream, { stream, maxlen: 10 }] as const) {
        expect(failure(yield* worker(same))).toMatchObject({
          _tag: "UsageError",
          reason: "invalidOptions",
          message: expect.stringContaining("deadLetter must be another stream")
        })
      }
    })
  )
})
