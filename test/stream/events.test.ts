/** Events of consumers, and the log lines about them: which server, client, stream, group and consumer. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Connection from "../../src/Connection.js"
import * as Pool from "../../src/Pool.js"
import { Redis } from "../../src/Redis.js"
import * as RedisStream from "../../src/RedisStream.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, failure, on } from "../support/client.js"
import { allLevels, onlyLogger, recordingLogger } from "../support/effect.js"
import { eventually } from "../support/peer.js"
import { until } from "../support/pubsub.js"

/** Log lines about consumers and readers, with their annotations. (Others, about connections, come from the same fibers.) */
const recorded = () => {
  const lines: Array<{ readonly message: string; readonly annotations: Record<string, unknown> }> = []
  const logger = recordingLogger(({ annotations, message }) => {
    if ("stream" in annotations) {
      lines.push({ message: String(message), annotations })
    }
  })
  return {
    lines,
    record: <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      effect.pipe(Effect.provide(onlyLogger(logger)), Effect.provide(allLevels))
  }
}

const quick = { block: "100 millis", claim: { idle: "10 minutes" } } as const

eachServer((it, { connect, protocol }) => {
  let streams = 0
  const start = Effect.gen(function* () {
    const { host, port } = yield* RedisServer.RedisServer
    const redis = yield* connect({ clientName: "billing-1" })
    return { redis, run: on(redis), server: `${host}:${port}`, stream: `events:${protocol}:${++streams}` }
  })

  it.scoped("a failed entry is logged with its stream, group and consumer, and annotated with server and client", () =>
    Effect.gen(function* () {
      const { run, server, stream } = yield* start
      const { lines, record } = recorded()
      yield* run(Redis.xadd(stream, "1-0", { n: "1" }))
      const options = { stream, group: "billing", consumer: "a", create: "all", ...quick, attempts: 2 } as const
      const worker = yield* Effect.fork(
        run(
          record(
            RedisStream.worker({ ...options, retry: Schedule.spaced("1 millis"), deadLetter: `${stream}:dead` }, () =>
              Effect.fail("no")
            )
          )
        )
      )
      const annotations = {
        "server.address": server,
        "redis.client.name": "billing-1",
        stream,
        group: "billing",
        consumer: "a"
      }
      const where = `of stream ${stream} (group billing, consumer a)`
      yield* eventually("it is a dead letter", () => lines.some(({ message }) => message.includes("dead letter")))
      yield* Fiber.interrupt(worker)
      expect(lines).toEqual([
        { message: `Entry 1-0 ${where} failed at attempt 1 and is tried again`, annotations },
        { message: `Entry 1-0 ${where} failed at attempt 2 and is now a dead letter`, annotations }
      ])
    })
  )

  it.scoped("the other events name them too, also under a prefix", () =>
    Effect.gen(function* () {
      const { run, server, stream } = yield* start
      const { lines, record } = recorded()
      yield* run(
        Effect.gen(function* () {
          for (const n of [1, 2, 3]) {
            yield* Redis.xadd(`app:${stream}`, `${n}-0`, { n: String(n) })
          }
          yield* Redis.xgroupCreate(`app:${stream}`, "g", "0")
          yield* Redis.xreadgroup("g", "me", { [`app:${stream}`]: ">" }, { count: 2 })
          yield* Redis.xdel(`app:${stream}`, "2-0")
        })
      )
      const options = { stream, group: "g", consumer: "me", block: "100 millis", claim: { idle: "1 minute" } } as const
      let handled = 0
      const worker = yield* Effect.fork(
        run(record(RedisStream.worker(options, () => Effect.sync(() => handled++))).pipe(Redis.withPrefix("app:")))
      )
      yield* eventually("both are handled", () => handled === 2)
      yield* Fiber.interrupt(worker)
      const annotations = {
        "server.address": server,
        "redis.client.name": "billing-1",
        stream,
        group: "g",
        consumer: "me"
      }
      const where = `stream ${stream} (group g, consumer me)`
      expect(lines).toEqual([
        { message: `1 pending entries were taken up for ${where}`, annotations },
        { message: `Pending entries of ${where} were deleted before they were handled: 2-0`, annotations }
      ])
    })
  )

  it.scoped("`on` replaces the log, `logEvent` keeps it, and what `on` logs itself is annotated as well", () =>
    Effect.gen(function* () {
      const { run, server, stream } = yield* start
      const { lines, record } = recorded()
      yield* run(Redis.xadd(stream, "1-0", { n: "1" }))
      const counted: Array<string> = []
      const worker = yield* Effect.fork(
        run(
          record(
            RedisStream.worker(
              {
                stream,
                group: "g",
                consumer: "c",
                create: "all",
                ...quick,
                attempts: 1,
                on: (event) =>
                  Effect.zipRight(
                    Effect.sync(() => counted.push(`${event._tag} ${event.stream} ${event.group} ${event.consumer}`)),
                    Effect.zipRight(Effect.log("mine"), RedisStream.logEvent(event))
                  )
              },
              () => Effect.fail("no")
            )
          )
        )
      )
      const annotations = {
        "server.address": server,
        "redis.client.name": "billing-1",
        stream,
        group: "g",
        consumer: "c"
      }
      yield* eventually("both lines are there", () => lines.length === 2)
      yield* Fiber.interrupt(worker)
      expect(counted).toEqual([`Failed ${stream} g c`])
      expect(lines).toEqual([
        { message: "mine", annotations },
        {
          message: `Entry 1-0 of stream ${stream} (group g, consumer c) failed at attempt 1 and is left pending`,
          annotations
        }
      ])
      // An event that is logged elsewhere names everything but the server and the client.
      yield* record(
        RedisStream.logEvent({ _tag: "Taken", stream: "s", group: "g", consumer: "c", ids: ["1-0", "2-0"] })
      )
      expect(lines[2]).toEqual({
        message: "Another consumer claimed entries in hand of stream s (group g, consumer c): 1-0 2-0",
        annotations: { stream: "s", group: "g", consumer: "c" }
      })
    })
  )

  it.scoped("names with line breaks and control characters are escaped, in log lines and in errors", () =>
    Effect.gen(function* () {
      const { run, stream } = yield* start
      const { lines, record } = recorded()
      const evil = `${stream}\nlevel=ERROR\u001b[31m\u2028`
      const shown = `${stream}\\nlevel=ERROR\\u001b[31m\\u2028`
      yield* run(Redis.execute("XADD", evil, "1-0", "n\r", new Uint8Array([0xff])))
      const worker = yield* Effect.fork(
        run(
          record(
            RedisStream.worker(
              { stream: evil, group: "g\t", consumer: "c\u0007", create: "all", ...quick },
              () => Effect.void
            )
          )
        )
      )
      yield* eventually("it is logged", () => lines.length === 1)
      yield* Fiber.interrupt(worker)
      expect(lines[0]).toMatchObject({
        message: `Entry 1-0 of stream ${shown} (group g\\t, consumer c\\u0007) failed at attempt 1 and is left pending`,
        annotations: { stream: shown, group: "g\\t", consumer: "c\\u0007" }
      })
      const error = failure(
        yield* Effect.exit(run(Stream.runDrain(RedisStream.read(evil, { from: "all", follow: false }))))
      )
      expect(error).toMatchObject({ _tag: "DecodeError", path: [evil, "1-0", "fields", "n\r"] })
      expect(error.message).toContain(`does not decode at ${shown}.1-0.fields.n\\r: `)
      yield* record(run(Stream.runDrain(RedisStream.read(evil, { from: "all", follow: false, onUndecodable: "skip" }))))
      expect(lines[1]).toMatchObject({ annotations: { stream: shown } })
      expect(lines[1]?.message).toContain(`An entry of stream ${shown} is skipped`)
      expect(lines.map(({ message }) => message).join("")).not.toMatch(/[\p{Cc}\u2028]/u)
    })
  )

  it.scoped(
    "every kind of client knows its server and its name: shared, leased, prefixed, over a pool, one connection",
    () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const { redis, server } = yield* start
        const options = { host, port, protocol, clientName: "billing-1" } as const
        const pool = yield* Pool.make({ ...options, minSize: 0 })
        const connection = yield* Connection.make(options)
        const under = <E, R>(layer: Layer.Layer<Redis, E, R>) => Effect.provide(Redis, layer)
        const services = [
          redis,
          yield* Effect.scoped(redis.lease),
          yield* Redis.withPrefix(Redis, "app:").pipe(on(redis)),
          yield* under(Redis.layerFromPool).pipe(Effect.provideService(Pool.Pool, pool)),
          yield* under(Redis.layerFromConnection).pipe(Effect.provideService(Connection.Connection, connection))
        ]
        for (const { about } of services) {
          expect({ ...about }).toMatchObject({ server, client: "billing-1" })
        }
      })
  )

  it.scoped("a listener that fails is logged with its consumer, and stops nothing", () =>
    Effect.gen(function* () {
      const { run, server, stream } = yield* start
      const { lines, record } = recorded()
      yield* run(Redis.xadd(stream, "1-0", { n: "1" }))
      const worker = yield* Effect.fork(
        run(
          record(
            RedisStream.worker(
              {
                stream,
                group: "g",
                consumer: "c",
                create: "all",
                ...quick,
                retry: Schedule.recurs(0),
                on: () => Effect.die("no")
              },
              () => Effect.fail("no")
            )
          )
        )
      )
      yield* eventually("it is logged", () => lines.length === 1)
      expect(lines[0]).toEqual({
        message: `The listener of the consumer of stream ${stream} (group g, consumer c) failed`,
        annotations: { "server.address": server, "redis.client.name": "billing-1", stream, group: "g", consumer: "c" }
      })
      yield* until(
        "it goes on",
        run(Effect.map(Redis.xinfoConsumers(stream, "g"), (consumers) => consumers.length === 1))
      )
      yield* Fiber.interrupt(worker)
    })
  )
})
