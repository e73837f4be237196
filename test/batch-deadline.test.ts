/** The deadline of a pipeline or a transaction as a whole, over every kind of client. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Connection, Pool, Redis, RedisCommand } from "effect-redis-client"
import type { DurationWithUnit } from "effect-redis-client/RedisCommand"
import type { RedisError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on } from "./support/client.js"
import * as Peer from "./support/peer.js"
import { faraway, promptly } from "./support/timing.js"

/** Runs an effect while the server is paused, and resumes it before the result is examined. */
const stopped = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const server = yield* RedisServer.RedisServer
    yield* server.pause
    return yield* Effect.ensuring(Effect.exit(effect), Effect.orDie(server.resume))
  })

const late = { _tag: "DeadlineError", phase: "reply", delivery: "unknown", milliseconds: 200 }

eachServer((it, { connect, protocol }) => {
  const pooled = (maxSize: number) =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const pool = yield* Pool.make({ host, port, protocol, minSize: 1, maxSize, acquireTimeout: "30 seconds" })
      const redis = yield* Effect.provide(Redis, Redis.layerFromPool).pipe(Effect.provideService(Pool.Pool, pool))
      return { pool, redis }
    })

  it.scoped("a pipeline fails at its deadline, with the result of each slot so far", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      yield* run(Redis.set("k", "v"))
      const commands = [RedisCommand.withDeadline(Redis.get("k"), "1 minute"), Redis.incr("n")] as const
      const error = failure(yield* stopped(run(Redis.pipeline(commands, { deadline: "200 millis" }))))
      expect(error).toMatchObject({ _tag: "PipelineError", at: 0, error: { ...late, command: "GET" } })
      const slots = yield* stopped(run(Redis.pipeline(commands, { mode: "either", deadline: "200 millis" })))
      const errors = (yield* slots).map((slot: Either.Either<unknown, unknown>) => Either.flip(slot))
      expect(errors.map((slot) => Either.getOrThrow(slot))).toMatchObject([
        { ...late, command: "GET" },
        { ...late, command: "INCR" }
      ])
      // The late replies reach no other command.
      expect(yield* run(Redis.get("k"))).toEqual(Option.some("v"))
    })
  )

  it.scoped("a transaction fails at its deadline, also one returned by the body of `optimistic`", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const transaction = Redis.transaction({ n: Redis.incr("m") }, { deadline: "200 millis" })
      yield* run(Redis.set("m", "0"))
      expect(failure(yield* stopped(run(transaction)))).toMatchObject({ ...late, command: "EXEC" })
      // It was sent, and the server executed it after it was resumed.
      expect(yield* run(Redis.transaction([Redis.get("m")], { deadline: "1 minute" }))).toEqual([Option.some("1")])
      const server = yield* RedisServer.RedisServer
      const body = Effect.as(Effect.zipRight(Redis.get("m"), Effect.orDie(server.pause)), transaction)
      const exit = yield* Effect.ensuring(Effect.exit(run(Redis.optimistic("m", body))), Effect.orDie(server.resume))
      expect(failure(exit)).toMatchObject({ ...late, command: "EXEC" })
    })
  )

  it.scoped("a deadline longer than `replyTimeout` replaces it", () =>
    Effect.gen(function* () {
      const run = on(yield* connect({ replyTimeout: "50 millis" }))
      const server = yield* RedisServer.RedisServer
      yield* server.pause
      const waiting = yield* Effect.fork(
        run(
          Effect.all([Redis.pipeline([Redis.ping()], { deadline: "1 minute" }), Effect.exit(Redis.ping())], {
            concurrency: 2
          })
        )
      )
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 300)))
      yield* server.resume
      const [answers, ping] = yield* Fiber.join(waiting)
      expect(answers).toEqual(["PONG"])
      expect(failure(ping)).toMatchObject({ _tag: "DeadlineError", milliseconds: 50 })
    })
  )

  it.scoped("on a dedicated connection the deadline ends blocking commands too", () =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const { redis } = yield* Connection.make({ host, port, protocol })
      const run = on(redis)
      const commands = [Redis.blpop("nothing", { timeout: "300 millis" }), Redis.ping()] as const
      expect(yield* run(Redis.pipeline(commands, { deadline: "30 seconds" }))).toEqual([Option.none(), "PONG"])
      const error = failure(yield* stopped(run(Redis.pipeline(commands, { deadline: "200 millis" }))))
      expect(error).toMatchObject({ error: { ...late, milliseconds: 200 } })
      const endless = [Redis.blpop("nothing", { timeout: Duration.infinity }), Redis.ping()] as const
      expect(failure(yield* Effect.exit(run(Redis.pipeline(endless, { deadline: "200 millis" }))))).toMatchObject({
        error: { ...late, milliseconds: 200 }
      })
    })
  )

  it.scoped("a deadline applies on a lease too", () =>
    Effect.gen(function* () {
      const { pool } = yield* pooled(1)
      const leased = <A, E>(effect: Effect.Effect<A, E, Redis>) =>
        Effect.provideService(Pool.withConnection(effect), Pool.Pool, pool)
      const error = failure(
        yield* stopped(leased(Redis.pipeline([Redis.get("k"), Redis.ping()], { deadline: "200 millis" })))
      )
      expect(error).toMatchObject({ _tag: "PipelineError", error: late })
    })
  )

  it.scoped("over a pool the deadline covers the wait for a connection", () =>
    Effect.gen(function* () {
      const { pool, redis } = yield* pooled(1)
      const run = on(redis)
      const pipeline = run(Redis.pipeline([Redis.get("k"), Redis.ping()], { deadline: "200 millis" }))
      const transaction = run(Redis.transaction([Redis.ping()], { deadline: "200 millis" }))
      const [first, second] = yield* yield* stopped(Effect.all([Effect.exit(pipeline), Effect.exit(transaction)]))
      expect(failure(first)).toMatchObject({ _tag: "PipelineError", error: late })
      // The only connection still owes a reply, and the pool may not open another.
      expect(failure(second)).toMatchObject({ _tag: "DeadlineError", phase: "acquire", milliseconds: 200 })
      const lent = Effect.scoped(Effect.zipRight(pool.acquire, Effect.exit(pipeline)))
      expect(failure(yield* lent)).toMatchObject({ _tag: "DeadlineError", phase: "acquire", milliseconds: 200 })
    })
  )
})

describe("an invalid deadline", () => {
  for (const [what, deadline, message] of [
    ["zero", "0 millis", /deadline must be longer than zero/],
    ["negative", Duration.millis(-5), /deadline must be longer than zero/],
    ["NaN", Duration.millis(Number.NaN), /deadline must be longer than zero/],
    ["a number, without types", 200 as unknown as DurationWithUnit, /deadline must be a duration with its unit/]
  ] as ReadonlyArray<readonly [string, DurationWithUnit, RegExp]>) {
    it.scoped(`${what}: a UsageError, and nothing is sent`, () =>
      Effect.gen(function* () {
        const { commands, run } = yield* connectTo({ onCommand: Peer.greeting() })
        for (const batch of [
          Redis.pipeline([Redis.ping()], { deadline }),
          Redis.pipeline({ a: Redis.ping() }, { deadline, mode: "either" }),
          Redis.pipeline([], { deadline }),
          Redis.transaction([Redis.ping()], { deadline }),
          Redis.transaction([], { deadline })
        ]) {
          const error = failure(yield* Effect.exit(run(batch as Effect.Effect<unknown, unknown, Redis>)))
          expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
          expect(String(error)).toMatch(message)
        }
        expect(commands()).toEqual([])
      })
    )
  }

  it.scoped("Infinity is valid, and waits as long as it takes", () =>
    Effect.gen(function* () {
      const answerLate = Peer.greeting((_, connection) => {
        setTimeout(() => connection.write("+OK\r\n"), 300)
        return undefined
      })
      const { run } = yield* connectTo({ onCommand: answerLate }, { replyTimeout: "50 millis" })
      const slots = yield* run(Redis.pipeline([Redis.execute("A")], { deadline: Duration.infinity, mode: "either" }))
      expect(slots).toEqual([Either.right("OK")])
    })
  )
})

describe("the deadlines of its commands", () => {
  it.scoped("a pipeline has the longest deadline of its commands, even where replyTimeout is longer", () =>
    Effect.gen(function* () {
      const { redis } = yield* connectTo(Peer.silent, { replyTimeout: faraway })
      const slow = RedisCommand.withDeadline(Redis.get("a"), "50 millis")
      const { exits } = yield* promptly(redis.sendAll([slow, slow], { atomic: false }))
      expect(failure(exits[0] as Exit.Exit<unknown, RedisError>)).toMatchObject({
        _tag: "DeadlineError",
        milliseconds: 50
      })
    })
  )
})
