/**
 * Time and connections: a program that did not run for a while loses no reply that has arrived meanwhile, and test tools that
 * replace the global timers stop no deadline for good.
 */
import { execFileSync } from "node:child_process"
import { describe, expect, it as test } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { vi } from "vitest"
import { Connection, Pool, Redis, RedisCommand, RedisPubSub } from "../../src/index.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on } from "../support/client.js"
import { forkNow } from "../support/fibers.js"
import { greeting, silent } from "../support/peer.js"

const pingProgram = `
  const socket = require("node:net").connect(Number(process.argv[1]), process.argv[2], () => socket.write("PING\\r\\n"))
  socket.once("data", () => process.exit(0))
`

/**
 * Keeps the event loop from running anything for this long, in milliseconds, and until the server has answered a PING of
 * another process. On a machine that is busy, only that answer says that the replies to earlier commands have been sent.
 */
const hold = (millis: number) =>
  Effect.map(RedisServer.RedisServer, ({ host, port }) => {
    const until = performance.now() + millis
    execFileSync(process.execPath, ["-e", pingProgram, String(port), host], { timeout: 60_000 })
    while (performance.now() < until) {
      // Nothing else runs.
    }
  })

/** Runs the effects, and holds the event loop once all of them have been sent. */
const held = <A, E, R>(effects: ReadonlyArray<Effect.Effect<A, E, R>>, millis: number) =>
  Effect.gen(function* () {
    const fibers = yield* Effect.forEach(effects, (effect) => Effect.fork(effect))
    // Commands of one turn are written at its end.
    yield* Effect.promise(() => Promise.resolve())
    yield* hold(millis)
    return yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
  })

const eight = Array.from({ length: 8 }, (_, i) => i + 1)

eachServer((it, { connect, protocol }) => {
  const address = Effect.map(RedisServer.RedisServer, ({ host, port }) => ({ host, port, protocol }))

  it.scoped("replies that arrive while the event loop is held are given to their callers, not their deadlines", () =>
    Effect.gen(function* () {
      const run = on(yield* connect({ replyTimeout: "100 millis" }))
      const exits = yield* run(
        held(
          eight.map(() => Redis.incr(`held-${protocol}`)),
          250
        )
      )
      expect(exits.map((exit) => (exit._tag === "Success" ? exit.value : exit.cause))).toEqual(eight)
    })
  )

  it.scoped("a connection is not taken for dead because the event loop was held", () =>
    Effect.gen(function* () {
      const redis = yield* connect({ unresponsiveTimeout: "200 millis" })
      const run = on(redis)
      const id = yield* run(Redis.clientId())
      const exits = yield* run(
        held(
          eight.map(() => Redis.incr(`held-again-${protocol}`)),
          300
        )
      )
      expect(exits.map((exit) => (exit._tag === "Success" ? exit.value : exit.cause))).toEqual(eight)
      expect(yield* run(Redis.clientId())).toBe(id)
    })
  )

  it.scoped("pipelines, transactions, blocking commands and leases keep the replies that arrive meanwhile", () =>
    Effect.gen(function* () {
      const run = on(yield* connect({ replyTimeout: "300 millis" }))
      const [pipeline, transaction] = yield* run(
        held<Array<number>, unknown, Redis>(
          [
            Redis.pipeline([Redis.incr(`p-${protocol}`), Redis.incr(`p-${protocol}`)]),
            Redis.transaction([Redis.incr(`t-${protocol}`), Redis.incr(`t-${protocol}`)])
          ],
          600
        )
      )
      expect(pipeline).toEqual(yield* Effect.exit(Effect.succeed([1, 2])))
      expect(transaction).toEqual(yield* Effect.exit(Effect.succeed([1, 2])))
      const connection = yield* Connection.make({ ...(yield* address), replyTimeout: "300 millis" })
      const [ping] = yield* held([connection.execute(Redis.ping())], 600)
      expect(ping).toEqual(yield* Effect.exit(Effect.succeed("PONG")))
      // More time than a busy machine takes until the event loop is held.
      const patient = yield* Connection.make({ ...(yield* address), replyTimeout: "1 second" })
      const blocked = yield* Effect.fork(patient.execute(Redis.blpop("list-2", { timeout: "1 second" })))
      yield* run(Redis.rpush("list-2", ["b"]))
      yield* hold(2_500)
      expect(Option.map(yield* Fiber.join(blocked), ([, element]) => element)).toEqual(Option.some("b"))
    })
  )

  it.scoped("connecting goes on where it was when the event loop was held for longer than connectTimeout", () =>
    Effect.gen(function* () {
      const to = { ...(yield* address), connectTimeout: "1 second" } as const
      const attempts = [
        Effect.asVoid(Redis.make(to)),
        Effect.asVoid(Connection.make(to)),
        Effect.flatMap(Pool.make({ ...to, acquireTimeout: "1 second" }), (pool) => Effect.asVoid(pool.acquire)),
        Effect.flatMap(RedisPubSub.make(to), (pubsub) =>
          Effect.provideService(Effect.asVoid(RedisPubSub.subscribe("channel")), RedisPubSub, pubsub)
        )
      ]
      const exits = yield* held(attempts, 1_500)
      expect(exits.map((exit) => (exit._tag === "Success" ? "connected" : String(exit.cause)))).toEqual(
        attempts.map(() => "connected")
      )
    })
  )

  it.scoped("closing still takes the replies that arrived while the event loop was held", () =>
    Effect.gen(function* () {
      const reply = yield* Deferred.make<Either.Either<number, unknown>>()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* RedisServer.RedisServer
          const redis = yield* connect({ closeTimeout: "100 millis" })
          const run = on(redis)
          yield* Effect.forkDaemon(Effect.intoDeferred(run(Effect.either(Redis.incr(`closing-${protocol}`))), reply))
          yield* Effect.yieldNow()
          yield* redis.status.changes.pipe(
            Stream.takeUntil(({ _tag }) => _tag === "Closed"),
            Stream.runDrain,
            Effect.zipRight(hold(200)),
            Effect.forkDaemon
          )
          // The reply is read only after closing has begun.
          yield* server.pause
          yield* Effect.yieldNow()
          yield* Effect.addFinalizer(() => Effect.orDie(server.resume))
        })
      )
      expect(yield* Deferred.await(reply)).toEqual(Either.right(1))
    })
  )

  for (const fakes of ["vitest's default", "everything, as jest does"]) {
    it.scoped(`commands and deadlines go on after fake timers (${fakes}) were used for a while`, () =>
      Effect.gen(function* () {
        const server = yield* RedisServer.RedisServer
        const run = on(yield* connect({ replyTimeout: "200 millis" }))
        yield* run(Redis.set("k", "v"))
        const during = yield* Effect.sync(() => {
          vi.useFakeTimers(
            fakes === "vitest's default"
              ? {}
              : {
                  toFake: [
                    "setTimeout",
                    "clearTimeout",
                    "setImmediate",
                    "clearImmediate",
                    "queueMicrotask",
                    "Date",
                    "performance"
                  ]
                }
          )
        }).pipe(
          Effect.zipRight(forkNow(run(Redis.get("k")))),
          Effect.tap(() => Effect.promise(() => Promise.resolve())),
          Effect.ensuring(Effect.sync(() => vi.useRealTimers()))
        )
        expect(yield* Fiber.join(during)).toEqual(Option.some("v"))
        expect(yield* run(Redis.get("k"))).toEqual(Option.some("v"))
        yield* server.pause
        const late = yield* Effect.ensuring(Effect.exit(run(Redis.get("k"))), Effect.orDie(server.resume))
        expect(failure(late)).toMatchObject({ _tag: "DeadlineError", phase: "reply" })
      })
    )
  }

  it.scoped("a reply beyond a limit ends the connection once: its command is not sent again, others are", () =>
    Effect.gen(function* () {
      const plain = on(yield* connect())
      const run = on(yield* connect({ limits: { maxBulkLength: 1000 } }))
      yield* plain(Redis.set("large", "x".repeat(5000)))
      yield* plain(Redis.configResetstat())
      const [large, small] = yield* run(
        Effect.all([Effect.exit(Redis.get("large")), Effect.exit(Redis.get("missing"))], { concurrency: 2 })
      )
      const error = failure(large)
      expect(error).toMatchObject({ _tag: "ProtocolError" })
      expect(error.message).toContain("limits.maxBulkLength")
      expect(small).toEqual(yield* Effect.exit(Effect.succeed(Option.none())))
      const { sections } = yield* plain(Redis.info("commandstats"))
      expect(sections.commandstats?.cmdstat_get).toContain("calls=3,")
    })
  )

  it.scoped("a reply that nests too deeply is not asked for again, although the command is repeatable", () =>
    Effect.gen(function* () {
      const run = on(yield* connect({ limits: { maxDepth: 8 } }))
      const runs = `runs-${protocol}`
      const deep = RedisCommand.repeatable(
        RedisCommand.make("EVAL", { args: ["redis.call('incr',KEYS[1]) return {{{{{{{{{{1}}}}}}}}}}", 1, runs] })
      )
      expect(failure(yield* run(Effect.exit(deep)))).toMatchObject({
        _tag: "ProtocolError",
        message: expect.stringContaining("limits.maxDepth")
      })
      expect(yield* run(Redis.get(runs))).toEqual(Option.some("1"))
    })
  )
})

describe("a peer", () => {
  test.scoped(
    "that is silent is noticed, also where unresponsiveTimeout is hardly longer than the timer's period",
    () =>
      Effect.gen(function* () {
        const { run } = yield* connectTo(silent, {
          unresponsiveTimeout: "30 millis",
          maxRetries: 0,
          replyTimeout: "10 seconds"
        })
        expect(failure(yield* run(Effect.exit(Redis.get("k"))))).toMatchObject({
          _tag: "ConnectionError",
          reason: "unresponsive"
        })
      })
  )

  test.scoped("may take as long as the deadline of the command itself allows", () =>
    Effect.gen(function* () {
      const { commands, peer, run } = yield* connectTo(
        {
          onCommand: greeting((_, { write }) => {
            setTimeout(() => write("$1\r\nv\r\n"), 350)
            return undefined
          })
        },
        { unresponsiveTimeout: "100 millis" }
      )
      const value = yield* run(Redis.get("k").pipe(RedisCommand.withDeadline("5 seconds")))
      expect(value).toEqual(Option.some("v"))
      expect(peer.connections.length).toBe(1)
      expect(commands().length).toBe(1)
    })
  )
})
