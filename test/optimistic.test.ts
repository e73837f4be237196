/** `Redis.optimistic`: WATCH, the body and its transaction on one connection, retried on a conflict. */
import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { Connection, Redis, RedisCommand } from "effect-redis-client"
import type { RedisService } from "../src/Redis.js"
import { ConnectionError, PipelineError, TransactionError, UsageError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on, quickly, settle } from "./support/client.js"
import { describeReal } from "./support/describeReal.js"
import { defects, onInput, onOutput } from "./support/effect.js"
import { poll } from "./support/fibers.js"
import * as Peer from "./support/peer.js"
import { serverLayer } from "./support/servers.js"

class SoldOut extends Data.TaggedError("SoldOut")<{ readonly left: number }> {}

const flush = RedisCommand.make("FLUSHALL", { args: ["SYNC"] })

const number = (key: string) => Effect.map(Redis.get(key), (value) => Number(Option.getOrElse(value, () => "0")))

const kill = (id: number) => RedisCommand.make("CLIENT KILL", { args: ["ID", id] })

/** The client under test, another one, and a runner for each. */
eachServer((it, { connect }) => {
  const start = (...args: Parameters<typeof connect>) =>
    Effect.gen(function* () {
      const redis = yield* connect(...args)
      yield* redis.send(flush)
      return { redis, run: on(redis), other: on(yield* connect()) }
    })

  /** Expects the pool to lend a clean connection: nothing is watched, and a transaction succeeds. */
  const expectClean = (redis: RedisService) =>
    Effect.scoped(
      Effect.gen(function* () {
        const leased = yield* redis.lease
        yield* redis.send(Redis.incr("watched"))
        expect(yield* on(leased)(Redis.transaction([Redis.incr("clean")]))).toHaveLength(1)
      })
    )

  it.scoped("without a conflict the body runs once and its transaction answers", () =>
    Effect.gen(function* () {
      const { run } = yield* start()
      yield* run(Redis.set("stock", "3"))
      let bodies = 0
      const result = yield* run(
        Redis.optimistic(
          "stock",
          Effect.gen(function* () {
            bodies++
            const stock = yield* number("stock")
            return Redis.transaction({ left: Redis.decrby("stock", stock), sold: Redis.incrby("sold", stock) })
          })
        )
      )
      expect([result, bodies]).toEqual([{ left: 0, sold: 3 }, 1])
    })
  )

  it.scoped("a conflict runs the body again, over the current values", () =>
    Effect.gen(function* () {
      const { other, run } = yield* start()
      const seen: Array<number> = []
      const result = yield* run(
        Redis.optimistic(
          ["a", "b"],
          Effect.gen(function* () {
            seen.push(yield* number("b"))
            if (seen.length < 3) {
              yield* other(Redis.incr("b"))
            }
            return Redis.transaction([Redis.incr("done")])
          })
        )
      )
      expect([seen, result]).toEqual([[0, 1, 2], [1]])
    })
  )

  it.scoped("fails typed after the Schedule's last attempt; the Schedule's input is the conflict", () =>
    Effect.gen(function* () {
      const { other, redis, run } = yield* start({ maxDedicated: 1 })
      const heard: Array<unknown> = []
      let bodies = 0
      const exit = yield* Effect.exit(
        run(
          Redis.optimistic(
            "k",
            Effect.gen(function* () {
              bodies++
              yield* other(Redis.incr("k"))
              return Redis.transaction([Redis.incr("never")])
            }),
            { schedule: onInput(Schedule.recurs(2), (input) => Effect.sync(() => heard.push(input))) }
          )
        )
      )
      expect(failure(exit)).toBeInstanceOf(TransactionError)
      expect(failure(exit)).toMatchObject({ reason: "conflict" })
      expect(bodies).toBe(3)
      expect(heard).toMatchObject(Array(3).fill({ _tag: "TransactionError", reason: "conflict" }))
      expect(yield* run(Redis.get("never"))).toEqual(Option.none())
      yield* expectClean(redis)
    })
  )

  it.scoped("by default retries 16 times", () =>
    Effect.gen(function* () {
      const { other, run } = yield* start()
      let bodies = 0
      const body = Effect.suspend(() => {
        bodies++
        return Effect.as(other(Redis.incr("k")), Redis.transaction([Redis.incr("never")]))
      })
      expect(failure(yield* Effect.exit(run(Redis.optimistic("k", body))))).toMatchObject({ reason: "conflict" })
      expect(bodies).toBe(17)
    })
  )

  it.scoped("commands in the body use the watched connection, nested ones and pipelines too", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start()
      const nested = Effect.fn("nested")(function* () {
        return yield* Redis.clientId()
      })
      const ids = yield* Ref.make<ReadonlyArray<number>>([])
      yield* run(
        Redis.optimistic(
          "k",
          Effect.gen(function* () {
            const [piped] = yield* Redis.pipeline([Redis.clientId()])
            const leased = yield* Effect.scoped(
              Effect.flatMap(Redis, (redis) => Effect.flatMap(redis.lease, (leased) => leased.send(Redis.clientId())))
            )
            yield* Ref.set(ids, [yield* Redis.clientId(), yield* nested(), piped, leased])
            return Redis.transaction([Redis.incr("n")])
          })
        )
      )
      const [first, ...others] = yield* Ref.get(ids)
      expect(others).toEqual([first, first, first])
      expect(yield* redis.send(Redis.clientId())).not.toBe(first)
    })
  )

  it.scoped("the body's own write to a watched key is a conflict too", () =>
    Effect.gen(function* () {
      const { run } = yield* start()
      let bodies = 0
      // The server compares with the time of WATCH, whichever client wrote.
      const result = yield* run(
        Redis.optimistic(
          "k",
          Effect.suspend(() => {
            bodies++
            return Effect.as(
              bodies === 1 ? Effect.asVoid(Redis.incr("k")) : Effect.void,
              Redis.transaction([Redis.get("k")])
            )
          })
        )
      )
      expect([bodies, result]).toEqual([2, [Option.some("1")]])
    })
  )

  it.scoped("further keys can be watched inside the body", () =>
    Effect.gen(function* () {
      const { other, run } = yield* start()
      let bodies = 0
      yield* run(
        Redis.optimistic(
          "index",
          Effect.gen(function* () {
            bodies++
            yield* Redis.execute("WATCH", RedisCommand.key("found"))
            if (bodies === 1) {
              yield* other(Redis.set("found", "changed"))
            }
            return Redis.transaction([Redis.incr("n")])
          })
        )
      )
      expect([bodies, yield* run(Redis.get("n"))]).toEqual([2, Option.some("1")])
    })
  )

  it.scoped("commands that would end WATCH are refused inside the body, typed, without a retry", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start({ maxDedicated: 1 })
      const nested = Redis.optimistic("k2", Effect.succeed(Redis.transaction([Redis.incr("n")])))
      const attempts: ReadonlyArray<Effect.Effect<unknown, unknown, Redis>> = [
        Redis.transaction([Redis.incr("n")]),
        nested,
        Redis.execute("UNWATCH"),
        Redis.execute("multi"),
        Redis.execute("EXEC"),
        Redis.execute("RESET"),
        Redis.pipeline([Redis.incr("n"), Redis.execute("UNWATCH")])
      ]
      for (const attempt of attempts) {
        let bodies = 0
        const body = Effect.suspend(() => {
          bodies++
          return Effect.as(attempt, Redis.transaction([Redis.incr("n")]))
        })
        const exit = yield* Effect.exit(run(Redis.optimistic("k", body)))
        expect(failure(exit)).toBeInstanceOf(UsageError)
        expect(failure(exit)).toMatchObject({ reason: "refusedCommand" })
        expect(bodies).toBe(1)
      }
      expect(yield* run(Redis.get("n"))).toEqual(Option.none())
      yield* expectClean(redis)
    })
  )

  for (const [what, use] of [
    ["a command", Redis.ping()],
    ["a pipeline", Redis.pipeline([Redis.get("a"), Redis.incr("b")])],
    ["EXEC only, since the body catches its own failure", Effect.ignore(Redis.ping())]
  ] as ReadonlyArray<readonly [string, Effect.Effect<unknown, never, Redis>]>) {
    it.scoped(`a connection lost inside the body is retried: noticed by ${what}`, () =>
      Effect.gen(function* () {
        const { other, run } = yield* start()
        const ids: Array<number> = []
        const heard: Array<unknown> = []
        const result = yield* run(
          Redis.optimistic(
            "k",
            Effect.gen(function* () {
              const id = yield* Redis.clientId()
              ids.push(id)
              if (ids.length === 1) {
                yield* other(kill(id))
                yield* use
              }
              return Redis.transaction([Redis.incr("n")])
            }),
            { schedule: onInput(Schedule.recurs(1), (input) => Effect.sync(() => heard.push(input))) }
          )
        )
        expect(result).toEqual([1])
        expect(new Set(ids).size).toBe(2)
        expect(heard).toMatchObject([{ _tag: "ConnectionError" }])
      })
    )
  }

  it.scoped("when the last attempt loses its connection, the body's own error is the failure", () =>
    Effect.gen(function* () {
      const { other, run } = yield* start()
      const body = Effect.gen(function* () {
        yield* other(kill(yield* Redis.clientId()))
        yield* Redis.pipeline([Redis.get("a"), Redis.get("b")])
        return Redis.transaction([Redis.incr("n")])
      })
      const exit = yield* Effect.exit(run(Redis.optimistic("k", body, { schedule: Schedule.recurs(2) })))
      expect(failure(exit)).toBeInstanceOf(PipelineError)
      expect(yield* run(Redis.get("n"))).toEqual(Option.none())
    })
  )

  it.scoped("an empty transaction sends UNWATCH, and the connection is reused", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start({ maxDedicated: 1 })
      const ids: Array<number> = []
      const once = Redis.optimistic(
        "watched",
        Effect.map(Redis.clientId(), (id) => {
          ids.push(id)
          return Redis.transaction([])
        })
      )
      expect([yield* run(once), yield* run(once)]).toEqual([[], []])
      expect(new Set(ids).size).toBe(1)
      yield* expectClean(redis)
    })
  )

  it.scoped("the body's own failure stays typed, is not retried, and leaves the connection clean", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start({ maxDedicated: 1 })
      const ids: Array<number> = []
      const body = Effect.gen(function* () {
        ids.push(yield* Redis.clientId())
        if ((yield* number("watched")) === 0) {
          return yield* new SoldOut({ left: 0 })
        }
        return Redis.transaction([Redis.decr("watched")])
      })
      for (let i = 0; i < 3; i++) {
        const error = failure(yield* Effect.exit(run(Redis.optimistic("watched", body))))
        expect(error).toEqual(new SoldOut({ left: 0 }))
      }
      expect(ids).toEqual([ids[0], ids[0], ids[0]])
      yield* expectClean(redis)
    })
  )

  it.scoped("a server's error in the body is the body's failure", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start({ maxDedicated: 1 })
      yield* run(Redis.set("text", "x"))
      let bodies = 0
      const body = Effect.suspend(() => {
        bodies++
        return Effect.as(Redis.incr("text"), Redis.transaction([Redis.incr("n")]))
      })
      expect(failure(yield* Effect.exit(run(Redis.optimistic("k", body))))).toMatchObject({
        _tag: "ReplyError",
        code: "ERR",
        command: "INCR"
      })
      expect(bodies).toBe(1)
      yield* expectClean(redis)
    })
  )

  it.scoped("errors inside EXEC fail the transaction, without a retry", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start({ maxDedicated: 1 })
      yield* run(Redis.set("text", "x"))
      let bodies = 0
      const body = Effect.sync(() => {
        bodies++
        return Redis.transaction({ n: Redis.incr("n"), wrong: Redis.lpush("text", ["y"]) })
      })
      const error = failure(yield* Effect.exit(run(Redis.optimistic("k", body))))
      expect(error).toMatchObject({ _tag: "TransactionError", reason: "failed", at: "wrong" })
      expect([bodies, yield* run(Redis.get("n"))]).toEqual([1, Option.some("1")])
      yield* expectClean(redis)
    })
  )

  it.scoped("a defect in the body stays a defect, and the connection is released", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start({ maxDedicated: 1 })
      let bodies = 0
      const body = Effect.zipRight(
        Redis.incr("read"),
        Effect.sync((): ReturnType<typeof Redis.transaction<[]>> => {
          bodies++
          throw new RangeError("a bug")
        })
      )
      const exit = yield* Effect.exit(run(Redis.optimistic("watched", body)))
      expect(Exit.isFailure(exit) && defects(exit.cause)).toEqual([new RangeError("a bug")])
      expect(bodies).toBe(1)
      yield* expectClean(redis)
    })
  )

  it.scoped("interruption at any step releases the watch and the connection", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* start({ maxDedicated: 1, acquireTimeout: "10 seconds" })
      // Interrupted in the body.
      const reached = yield* Deferred.make<void>()
      const stuck = yield* Effect.fork(
        run(Redis.optimistic("watched", Effect.zipRight(Deferred.succeed(reached, undefined), Effect.never)))
      )
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(stuck)
      yield* expectClean(redis)
      // Interrupted at any step.
      for (let i = 0; i < 40; i++) {
        const fiber = yield* Effect.fork(
          run(Redis.optimistic("watched", Effect.as(Redis.get("watched"), Redis.transaction([Redis.incr("n")]))))
        )
        yield* Effect.repeatN(Effect.yieldNow(), i)
        if (i % 4 === 0) {
          yield* run(Redis.ping())
        }
        yield* Fiber.interrupt(fiber)
      }
      yield* expectClean(redis)
    })
  )

  it.scoped("20 fibers of 50 decrements each sell exactly the stock", () =>
    Effect.gen(function* () {
      const { run } = yield* start({ acquireTimeout: "30 seconds" })
      const stock = 250
      yield* run(Redis.set("stock", String(stock)))
      const patient = Schedule.exponential("1 millis").pipe(
        Schedule.union(Schedule.spaced("10 millis")),
        Schedule.jittered
      )
      let conflicts = -1
      const buy = Redis.optimistic(
        "stock",
        Effect.gen(function* () {
          conflicts++
          const left = yield* number("stock")
          expect(left).toBeGreaterThanOrEqual(0)
          return left > 0 ? Redis.transaction([Redis.decr("stock"), Redis.incr("sold")]) : yield* new SoldOut({ left })
        }),
        { schedule: patient }
      )
      const bought = yield* run(
        Effect.forEach(
          Array.from({ length: 20 }),
          () =>
            Effect.reduce(Array.from({ length: 50 }), 0 as number, (bought) =>
              Effect.as(buy, bought + 1).pipe(Effect.catchTag("SoldOut", () => Effect.succeed(bought)))
            ),
          { concurrency: "unbounded" }
        )
      )
      expect(bought.reduce((a, b) => a + b, 0)).toBe(stock)
      expect(yield* run(Redis.mget(["stock", "sold"]))).toEqual([Option.some("0"), Option.some(String(stock))])
      expect(conflicts).toBeGreaterThan(1000)
    })
  )

  it.scoped("under withPrefix the prefixed key is watched", () =>
    Effect.gen(function* () {
      const { other, run } = yield* start()
      let bodies = 0
      const result = yield* run(
        Redis.optimistic(
          "k",
          Effect.suspend(() => {
            bodies++
            return Effect.as(
              bodies === 1 ? other(Redis.set("app:k", "theirs")) : Effect.void,
              Redis.transaction([Redis.get("k")])
            )
          })
        ).pipe(Redis.withPrefix("app:"))
      )
      expect([bodies, result]).toEqual([2, [Option.some("theirs")]])
    })
  )

  it.scoped(
    "a body that returns its transaction through withPrefix or using is refused, and leaves the connection clean",
    () =>
      Effect.gen(function* () {
        const { redis, run } = yield* start({ maxDedicated: 1 })
        class Sessions extends Redis.Tag("test/Sessions")<Sessions>() {}
        const shared = Redis.transaction([Redis.incr("n")])
        // Functions that state a plainer type for their result: the compiler cannot see it.
        const ofTenant = <A, E>(self: Effect.Effect<A, E, Redis>): Effect.Effect<A, E, Redis> =>
          self.pipe(Redis.withPrefix("app:"))
        const atSessions = <A, E>(self: Effect.Effect<A, E, Redis>): Effect.Effect<A, E, Sessions> =>
          self.pipe(Redis.using(Sessions))
        const body = Effect.as(Redis.get("watched"), shared)
        for (const outside of [ofTenant(body), Effect.provideService(atSessions(body), Sessions, redis)]) {
          let bodies = 0
          const counted = Effect.suspend(() => {
            bodies++
            return outside
          })
          const exit = yield* Effect.exit(run(Redis.optimistic("watched", counted)))
          expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "refusedCommand" })
          expect(bodies).toBe(1)
        }
        expect(yield* run(Redis.get("n"))).toEqual(Option.none())
        yield* expectClean(redis)
        // The transaction itself is a value that may be used elsewhere.
        expect(yield* run(Redis.optimistic("watched", Effect.succeed(shared)))).toEqual([1])
        expect(yield* run(ofTenant(Redis.optimistic("watched", body)))).toEqual([1])
        expect(yield* run(Redis.mget(["n", "app:n"]))).toEqual([Option.some("1"), Option.some("1")])
      })
  )

  it.scoped("a server that restarts during the body is waited for by the client's Schedule", () =>
    Effect.gen(function* () {
      const server = yield* RedisServer.RedisServer
      let bodies = 0
      let tries = 0
      const { run } = yield* start({
        reconnect: onOutput(quickly, () =>
          // Restarts once some attempts have failed. Repeated, because the first start may come before the kill is complete.
          // Uninterruptible, because client and pool share this Schedule, and an interrupted start would end the server.
          ++tries % 5 === 0 ? Effect.uninterruptible(Effect.orDie(server.start)) : Effect.void
        )
      })
      const result = yield* run(
        Redis.optimistic(
          "k",
          Effect.gen(function* () {
            bodies++
            if (bodies === 1) {
              yield* Effect.orDie(server.kill)
            }
            yield* Redis.get("k")
            return Redis.transaction([Redis.set("k", "v"), Redis.get("k")])
          }),
          // The lease waits for the server by the client's Schedule, so optimistic's own Schedule is stepped once.
          { schedule: Schedule.recurs(1) }
        )
      )
      expect(result).toEqual([undefined, Option.some("v")])
      expect(bodies).toBe(2)
    })
  )
})

describe("with a scripted peer", () => {
  const script = (exec: (connection: Peer.PeerConnection) => string | undefined, get = "$1\r\n1\r\n"): Peer.Script => ({
    onCommand: Peer.greeting(([name], connection) => {
      switch (name) {
        case "EXEC":
          return exec(connection)
        case "GET":
          return get
        case "INCR":
          return "+QUEUED\r\n"
        default:
          return "+OK\r\n"
      }
    })
  })

  const body = Effect.as(Redis.get("k"), Redis.transaction([Redis.incr("n")]))

  it.scoped("a connection lost after EXEC was sent: delivery unknown, and never retried", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(
        script((connection) => {
          connection.reset()
          return undefined
        })
      )
      const exit = yield* Effect.exit(run(Redis.optimistic("k", body, { schedule: Schedule.recurs(5) })))
      expect(failure(exit)).toBeInstanceOf(ConnectionError)
      expect(failure(exit)).toMatchObject({ delivery: "unknown" })
      expect(commands()).toEqual(["WATCH k", "GET k", "MULTI", "INCR n", "EXEC"])
    })
  )

  it.scoped("WATCH, reads and EXEC share one connection through all conflicts, and it is reused", () =>
    Effect.gen(function* () {
      let execs = 0
      const { peer, run } = yield* connectTo(script(() => (++execs < 3 ? "_\r\n" : "*1\r\n:1\r\n")))
      expect(yield* run(Redis.optimistic("k", body, { schedule: Schedule.recurs(5) }))).toEqual([1])
      expect(peer.connections.length).toBe(2)
      const attempt = ["WATCH", "GET", "MULTI", "INCR", "EXEC"]
      const received = (peer.connections[1]?.received ?? []).map(([name]) => name)
      expect(received.filter((name) => name !== "HELLO" && name !== "CLIENT")).toEqual([
        ...attempt,
        ...attempt,
        ...attempt
      ])
    })
  )

  it.scoped("a connection lost at WATCH is retried", () =>
    Effect.gen(function* () {
      let watches = 0
      const { commands, run } = yield* connectTo({
        onCommand: Peer.greeting(([name], connection) => {
          if (name === "WATCH" && ++watches === 1) {
            connection.end()
            return undefined
          }
          return name === "EXEC" ? "*1\r\n:1\r\n" : name === "GET" ? "$1\r\n1\r\n" : "+OK\r\n"
        })
      })
      expect(yield* run(Redis.optimistic("k", body, { schedule: Schedule.recurs(1) }))).toEqual([1])
      expect(commands()).toEqual(["WATCH k", "WATCH k", "GET k", "MULTI", "INCR n", "EXEC"])
    })
  )

  it.scoped("another client's ConnectionError in the body is the body's failure: not retried", () =>
    Effect.gen(function* () {
      const lost = yield* connectTo(
        {
          onCommand: Peer.greeting((_, connection) => {
            connection.reset()
            return undefined
          })
        },
        { maxRetries: 0 }
      )
      const { commands, run } = yield* connectTo(script(() => "*1\r\n:1\r\n"))
      const exit = yield* Effect.exit(
        run(
          Redis.optimistic("k", Effect.as(lost.run(Redis.incr("elsewhere")), Redis.transaction([Redis.incr("n")])), {
            schedule: Schedule.recurs(5)
          })
        )
      )
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      expect(lost.commands()).toEqual(["INCR elsewhere"])
      expect(commands()).toEqual(["WATCH k", "UNWATCH"])
    })
  )

  it.scoped("the Schedule is stepped by conflicts and lost connections only", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo({ onCommand: Peer.greeting(() => "+OK\r\n") })
      const seen: Array<unknown> = []
      const exit = yield* Effect.exit(
        run(
          Redis.optimistic("k", Effect.fail("no" as const), {
            schedule: onInput(Schedule.recurs(1), (error) => Effect.sync(() => seen.push(error)))
          })
        )
      )
      expect(failure(exit)).toBe("no")
      expect(seen).toEqual([])
    })
  )

  it.scoped("an error of the body that only looks like a ConnectionError is the body's failure", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo({ onCommand: Peer.greeting(() => "+OK\r\n") })
      let times = 0
      const foreign = { _tag: "ConnectionError" } as const
      const body = Effect.suspend(() => {
        times++
        return Effect.fail(foreign)
      })
      const exit = yield* Effect.exit(run(Redis.optimistic("k", body, { schedule: Schedule.recurs(3) })))
      expect(failure(exit)).toBe(foreign)
      expect(times).toBe(1)
    })
  )

  it.scoped("an empty transaction succeeds even if the connection ends at UNWATCH", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo({
        onCommand: Peer.greeting(([name], connection) => {
          if (name === "UNWATCH") {
            connection.end()
            return undefined
          }
          return "+OK\r\n"
        })
      })
      expect(yield* run(Redis.optimistic("k", Effect.succeed(Redis.transaction({}))))).toEqual({})
      expect(commands()).toEqual(["WATCH k", "UNWATCH"])
    })
  )

  it.scoped("the Schedule runs on the program's clock", () =>
    Effect.gen(function* () {
      let execs = 0
      let heard = 0
      const { run } = yield* connectTo(script(() => (++execs < 3 ? "_\r\n" : "*1\r\n:1\r\n")))
      const schedule = onInput(Schedule.spaced("1 hour"), () => Effect.sync(() => heard++))
      const fiber = yield* Effect.fork(run(Redis.optimistic("k", body, { schedule })))
      for (const conflicts of [1, 2]) {
        yield* Peer.eventually("the Schedule received the conflict", () => heard === conflicts)
        yield* settle
        yield* TestClock.adjust("59 minutes")
        expect(Option.isNone(yield* poll(fiber))).toBe(true)
        expect(execs).toBe(conflicts)
        yield* TestClock.adjust("1 minute")
      }
      expect(yield* Fiber.join(fiber)).toEqual([1])
      expect(execs).toBe(3)
    })
  )

  it.scoped("an empty list of keys is refused before anything is sent", () =>
    Effect.gen(function* () {
      const run = on(yield* Redis.make({ port: 1, lazy: true }))
      const exit = yield* Effect.exit(run(Redis.optimistic([] as never, body)))
      expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
    })
  )

  it.scoped("wrong credentials are not retried", () =>
    Effect.gen(function* () {
      let greetings = 0
      const { peer, run } = yield* connectTo({
        onCommand: (words, connection) =>
          words[0] === "HELLO" && ++greetings > 1
            ? "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
            : Peer.greeting()(words, connection)
      })
      const exit = yield* Effect.exit(run(Redis.optimistic("k", body, { schedule: Schedule.recurs(5) })))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
      expect(peer.connections.length).toBe(2)
    })
  )
})

describeReal((server) => {
  it.scoped("concurrent updates over a shared connection lose nothing", () =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const connection = yield* Connection.make({ host, port })
      const add = Redis.optimistic(
        "n",
        Effect.gen(function* () {
          const n = Number(Option.getOrElse(yield* Redis.get("n"), () => "0"))
          return Redis.transaction([Redis.set("n", String(n + 1))])
        }),
        { schedule: Schedule.forever }
      )
      const [n] = yield* Effect.gen(function* () {
        yield* Effect.all(
          Array.from({ length: 20 }, () => add),
          { concurrency: "unbounded", discard: true }
        )
        return [yield* Redis.get("n")]
      }).pipe(Effect.provide(Redis.layerFromConnection), Effect.provideService(Connection.Connection, connection))
      expect(n).toEqual(Option.some("20"))
    }).pipe(Effect.provide(serverLayer(server)))
  )
})
