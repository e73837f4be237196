/** The pool: its sizes, its waiters, and when a connection is lent again or destroyed. */
import { describe, expect, it, layer } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Connection, Pool, Redis, RedisCommand } from "effect-redis-client"
import { interruptFork } from "../src/internal/effect/fork.js"
import type { ConnectionError, RedisError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, failure, on, quickly, settle } from "./support/client.js"
import { metrics, onInput, yieldingAt } from "./support/effect.js"
import * as Peer from "./support/peer.js"
import { realServers, serverLayer } from "./support/servers.js"
import { pause, promptly } from "./support/timing.js"

const idOf = (connection: Connection.Connection) => Option.getOrThrow(connection.id)

/** Leases a connection for the duration of one function. */
const borrow = <A, E>(
  pool: Pool.Pool,
  use: (connection: Connection.Connection) => Effect.Effect<A, E>
): Effect.Effect<A, E | RedisError> => Effect.scoped(Effect.flatMap(pool.acquire, use))

describe("options", () => {
  for (const [options, message] of [
    [{ minSize: 5, maxSize: 2 }, /minSize must not be larger/],
    [{ maxSize: 0 }, /maxSize/],
    [{ minSize: -1 }, /minSize/],
    [{ minSize: 1.5 }, /minSize/],
    [{ lazy: true, minSize: 2 }, /lazy/],
    [{ acquireTimeout: 5 as never }, /acquireTimeout must be a duration/],
    [{ idleTimeout: "0 millis" }, /idleTimeout/]
  ] as ReadonlyArray<readonly [Pool.PoolOptions, RegExp]>) {
    it.scoped(`${JSON.stringify(options)} is refused by name`, () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(Pool.make({ port: 1, ...options }))
        expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
        expect(failure(exit).message).toMatch(message)
      })
    )
  }

  it.scoped("building a pool retries by the Schedule, like a client", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onConnect: (connection) => (connection.index < 3 ? connection.reset() : undefined),
        onCommand: Peer.greeting()
      })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 2, reconnect: quickly })
      expect(yield* pool.size).toBe(2)
      expect(peer.connections.length).toBeGreaterThanOrEqual(5)
    })
  )

  it.scoped("a pool that cannot open its minimum fails typed, and leaves nothing open", () =>
    Effect.gen(function* () {
      let greeted = 0
      const peer = yield* Peer.make({
        onCommand: (command, connection) =>
          command[0] === "HELLO" && ++greeted > 2
            ? "-ERR max number of clients reached\r\n"
            : Peer.greeting()(command, connection)
      })
      const exit = yield* Effect.exit(Effect.scoped(Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 4 })))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "handshake" })
      yield* Peer.eventually("no socket is left", () => peer.open() === 0)
    })
  )
})

/** While it is away, refuses the handshake with `refusal`, or resets connections without one. */
const moody = (away: { now: boolean; connections: number; refusal?: string }): Peer.Script => ({
  onConnect: (connection) => {
    away.connections++
    if (away.now && away.refusal === undefined) {
      connection.reset()
    }
  },
  onCommand: (words, connection) =>
    away.now && away.refusal !== undefined && words[0] === "HELLO"
      ? away.refusal
      : Peer.greeting(() => "+PONG\r\n")(words, connection)
})

/** Delays that grow from 10 ms to the given one. */
const slowingTo = (slowest: Duration.DurationInput) =>
  Schedule.exponential("10 millis").pipe(Schedule.union(Schedule.spaced(slowest)))

const wrongPassword = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

describe("a lease whose connection cannot be opened", () => {
  const away = (options: Pool.PoolOptions = {}, refusal?: string) =>
    Effect.gen(function* () {
      const state = { now: true, connections: 0, ...(refusal === undefined ? {} : { refusal }) }
      const peer = yield* Peer.make(moody(state))
      const base = { host: "127.0.0.1", port: peer.port, reconnect: quickly } as const
      const pool = yield* Pool.make({ ...base, lazy: true, maxSize: 2, acquireTimeout: "1 minute", ...options })
      return { peer, pool, state, base }
    })
  const ping = (pool: Pool.Pool) => borrow(pool, (connection) => connection.execute("PING"))

  it.scoped("waits for further attempts until one succeeds", () =>
    Effect.gen(function* () {
      const { pool, state } = yield* away()
      const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(ping(pool)))
      yield* Peer.eventually("it is asked some times", () => state.connections > 5)
      state.now = false
      expect(yield* Fiber.joinAll(waiting)).toEqual(["PONG", "PONG", "PONG"])
      expect(yield* pool.size).toBeLessThanOrEqual(2)
    })
  )

  it.scoped("fails at its deadline, under TestClock too, with the last attempt's failure", () =>
    Effect.gen(function* () {
      const { pool } = yield* away({ acquireTimeout: "200 millis" }, "-ERR max number of clients reached\r\n")
      const error = failure(yield* Effect.exit(ping(pool)))
      expect(error).toMatchObject({ _tag: "DeadlineError", phase: "acquire", delivery: "unsent", milliseconds: 200 })
      expect(error).toHaveProperty("server", expect.stringMatching(/^127\.0\.0\.1:\d+$/))
      expect(error.message).toMatch(/the last attempt to connect failed: .*max number of clients reached/)
      // The waiter has left the line.
      expect(yield* pool.waiting).toBe(0)
    })
  )

  it.scoped("takes a connection that is released meanwhile", () =>
    Effect.gen(function* () {
      const { pool, state } = yield* away(
        { reconnect: Schedule.spaced("1 hour") },
        "-ERR max number of clients reached\r\n"
      )
      state.now = false
      const held = yield* Scope.make()
      yield* Scope.extend(pool.acquire, held)
      state.now = true
      const waiting = yield* Effect.fork(ping(pool))
      yield* Peer.eventually("it was refused, and waits", () => Effect.runSync(pool.waiting) === 1)
      yield* Scope.close(held, Exit.void)
      expect(yield* Fiber.join(waiting)).toBe("PONG")
      expect(state.connections).toBe(2)
    })
  )

  it.scoped("however many wait, one Schedule paces the attempts", () =>
    Effect.gen(function* () {
      const steps: Array<unknown> = []
      const reconnect = onInput(quickly, (error) => Effect.sync(() => steps.push(error)))
      const { pool, state } = yield* away({ reconnect, maxSize: 10 })
      const waiting = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.fork(ping(pool)))
      yield* Peer.eventually("it is asked some times", () => state.connections >= 80)
      // At most maxSize attempts at once, and then a step of the Schedule. An attempt has up to two connections: after a
      // peer that closes without a word, the handshake is tried once more without its optional steps.
      expect(steps.length).toBeGreaterThanOrEqual(state.connections / 20 - 1)
      yield* Fiber.interruptAll(waiting)
      expect([yield* pool.waiting, yield* pool.size]).toEqual([0, 0])
    })
  )

  for (const [what, options, refusal, reason] of [
    ["a wrong password", {}, wrongPassword, "authentication"],
    [
      "a failure that stopReconnecting matches",
      { stopReconnecting: () => true },
      undefined,
      /connect|transport|peerClosed/
    ],
    ['any failure, with offline: "fail"', { offline: "fail" }, undefined, /connect|transport|peerClosed/],
    ["a Schedule that is done", { reconnect: Schedule.recurs(0) }, undefined, /connect|transport|peerClosed/]
  ] as ReadonlyArray<readonly [string, Pool.PoolOptions, string | undefined, string | RegExp]>) {
    it.scoped(`fails at once on ${what}, and so do the waiters in line`, () =>
      Effect.gen(function* () {
        const { pool, state } = yield* away({ maxSize: 1, acquireTimeout: Duration.infinity, ...options }, refusal)
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Effect.exit(ping(pool))))
        for (const exit of yield* Fiber.joinAll(waiting)) {
          expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", delivery: "unsent" })
          expect((failure(exit) as ConnectionError).reason).toMatch(reason)
        }
        state.now = false
        // A later acquire succeeds.
        const works: Effect.Effect<unknown> = Effect.catchAll(ping(pool), () => Effect.zipRight(settle, works))
        yield* works
      })
    )
  }

  it.scoped("after a wrong password the pool retries at the Schedule's slowest delay", () =>
    Effect.gen(function* () {
      const { pool, state } = yield* away({ reconnect: slowingTo("1500 millis") }, wrongPassword)
      yield* Effect.exit(ping(pool))
      const first = performance.now()
      const again = Effect.zipRight(settle, Effect.flip(ping(pool)))
      // Until the next attempt an acquire fails at once with the reason, without a connection.
      expect(yield* again).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
      expect(state.connections).toBe(1)
      yield* Effect.repeat(again, { until: () => state.connections > 1 })
      expect(performance.now() - first).toBeGreaterThan(1_200)
      expect(state.connections).toBe(2)
    })
  )

  it.scoped("the minimum is reopened by the Schedule, also when a server accepts and closes", () =>
    Effect.gen(function* () {
      const steps: Array<unknown> = []
      const reconnect = onInput(Schedule.spaced("10 millis"), (error) => Effect.sync(() => steps.push(error)))
      const { base, peer, state } = yield* away()
      state.now = false
      const pool = yield* Pool.make({ ...base, minSize: 2, maxSize: 2, reconnect })
      const before = state.connections
      // The server completes the handshake and closes.
      for (let round = 0; round < 5; round++) {
        yield* Peer.eventually("two are free", () => Effect.runSync(pool.freeSize) === 2)
        for (const connection of peer.connections) {
          connection.end()
        }
        yield* Peer.eventually("they are gone", () => Effect.runSync(pool.freeSize) < 2)
      }
      yield* Peer.eventually("two are free", () => Effect.runSync(pool.freeSize) === 2)
      expect(steps.length).toBeGreaterThanOrEqual(5)
      // The server refuses connections.
      state.now = true
      yield* pool.clear
      yield* Peer.eventually("it is asked some times", () => state.connections > before + 30)
      expect(steps.length).toBeGreaterThanOrEqual(10)
      state.now = false
      yield* Peer.eventually("two are free again", () => Effect.runSync(pool.freeSize) === 2)
    })
  )
})

describe("the leases of a client follow its Schedule", () => {
  it.scoped("a blocking command waits for further attempts until its deadline", () =>
    Effect.gen(function* () {
      const state = { now: false, connections: 0, refusal: "-ERR max number of clients reached\r\n" }
      const { run } = yield* connectTo(moody(state))
      state.now = true
      const blpop = Redis.execute("BLPOP", RedisCommand.key("list"), 1)
      const error = failure(yield* Effect.exit(run(RedisCommand.withDeadline(blpop, "2 seconds"))))
      expect(error).toMatchObject({ _tag: "DeadlineError", phase: "acquire", delivery: "unsent", milliseconds: 2_000 })
      expect(error.message).toMatch(/the last attempt to connect failed: .*max number of clients reached/)
      const waiting = yield* Effect.fork(run(blpop))
      const asked = state.connections
      yield* Peer.eventually("it is asked again", () => state.connections > asked + 2)
      state.now = false
      expect(yield* Fiber.join(waiting)).toBe("PONG")
    })
  )

  it.scoped('with offline: "fail" a blocking command does not wait', () =>
    Effect.gen(function* () {
      const state = { now: false, connections: 0, refusal: "-ERR max number of clients reached\r\n" }
      const { run } = yield* connectTo(moody(state), { offline: "fail", acquireTimeout: "1 hour" })
      state.now = true
      const error = failure(yield* Effect.exit(run(Redis.execute("BLPOP", RedisCommand.key("list"), 0))))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "handshake", delivery: "unsent" })
    })
  )
})

describe("the deadline of a command over layerFromPool begins when it is accepted", () => {
  const client = (options: Pool.PoolOptions, script: Peer.Script = { onCommand: Peer.greeting(() => undefined) }) =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(script)
      const pool = yield* Pool.make({
        host: "127.0.0.1",
        port: peer.port,
        maxSize: 1,
        acquireTimeout: "1 hour",
        ...options
      })
      const context = yield* Layer.build(Redis.layerFromPool).pipe(Effect.provideService(Pool.Pool, pool))
      return { pool, run: on(Context.get(context, Redis)) }
    })

  it.scoped("it covers the wait for a connection: replyTimeout, a command's own deadline, and a pipeline's", () =>
    Effect.gen(function* () {
      const { pool, run } = yield* client({ replyTimeout: "200 millis" })
      yield* pool.acquire
      const late = { _tag: "DeadlineError", phase: "acquire", delivery: "unsent" }
      expect(failure(yield* Effect.exit(run(Redis.get("k"))))).toMatchObject({ ...late, milliseconds: 200 })
      const own = RedisCommand.withDeadline(Redis.get("k"), "100 millis")
      expect(failure(yield* Effect.exit(run(own)))).toMatchObject({ ...late, milliseconds: 100 })
      const both = Redis.pipeline([own, Redis.get("k")], { mode: "either" })
      expect(failure(yield* Effect.exit(run(both)))).toMatchObject({ ...late, milliseconds: 200 })
    })
  )

  it.scoped("acquireTimeout bounds the wait as well", () =>
    Effect.gen(function* () {
      const { pool, run } = yield* client({ replyTimeout: "1 hour", acquireTimeout: "100 millis" })
      yield* pool.acquire
      expect(failure(yield* Effect.exit(run(Redis.get("k"))))).toMatchObject({ phase: "acquire", milliseconds: 100 })
    })
  )

  it.scoped("time spent waiting for a connection is not given back", () =>
    Effect.gen(function* () {
      // The peer does not answer.
      const { pool, run } = yield* client({ replyTimeout: "4 seconds" })
      const held = yield* Scope.make()
      yield* Scope.extend(pool.acquire, held)
      const started = performance.now()
      const waiting = yield* Effect.fork(Effect.exit(run(Redis.get("k"))))
      yield* Peer.eventually("it has waited for a while", () => performance.now() - started > 2_500)
      yield* Scope.close(held, Exit.void)
      const error = failure(yield* Fiber.join(waiting))
      expect(error).toMatchObject({ _tag: "DeadlineError", phase: "reply", delivery: "unknown", milliseconds: 4_000 })
      // If the deadline began with the lease, it would be 6.5 seconds.
      expect(performance.now() - started).toBeLessThan(5_400)
    })
  )
})

describe("a connection is lent again only in the state that its handshake left", () => {
  const server = (): Peer.Script => ({
    onCommand: Peer.greeting(([name]) => (name === "EXEC" ? "*0\r\n" : name === "UNWATCH" ? "+OK\r\n" : "+OK\r\n"))
  })

  for (const [what, commands] of [
    ["MULTI, EXEC, MULTI", [["MULTI"], ["EXEC"], ["MULTI"]]],
    ["WATCH, UNWATCH, WATCH", [["WATCH", "k"], ["UNWATCH"], ["WATCH", "k"]]]
  ] as ReadonlyArray<readonly [string, ReadonlyArray<readonly [string, ...Array<string>]>]>) {
    it.scoped(`${what} in one pipeline: the connection is destroyed`, () =>
      Effect.gen(function* () {
        const peer = yield* Peer.make(server())
        const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true })
        yield* borrow(pool, ({ redis }) =>
          redis.sendAll(
            commands.map(([name, ...args]) => RedisCommand.make(name, { args })),
            { atomic: false }
          )
        )
        yield* borrow(pool, (connection) => connection.execute("PING"))
        expect(peer.connections.length).toBe(2)
      })
    )
  }

  it.scoped("a SELECT that was queued and discarded does not count as executed", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name, database]) =>
          name === "SELECT" && database === "0" ? "+QUEUED\r\n" : "+OK\r\n"
        )
      })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true })
      yield* borrow(pool, (connection) =>
        Effect.gen(function* () {
          yield* connection.select(2)
          yield* connection.execute("MULTI")
          yield* connection.select(0)
          yield* connection.execute("DISCARD")
        })
      )
      yield* borrow(pool, (connection) => connection.execute("PING"))
      expect(peer.connections.length).toBe(2)
    })
  )

  it.scoped("a connection whose handshake was under way during pool.select is lent at the new database", () =>
    Effect.gen(function* () {
      const held = yield* Deferred.make<Peer.PeerConnection>()
      const peer = yield* Peer.make({
        onCommand: (command, connection) => {
          if (connection.index === 1 && connection.received.length <= 3) {
            // The whole handshake waits.
            if (connection.received.length === 3) {
              Deferred.unsafeDone(held, Exit.succeed(connection))
            }
            return undefined
          }
          return Peer.greeting(() => "+OK\r\n")(command, connection)
        }
      })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 1, maxSize: 3 })
      const scope = yield* Effect.scope
      yield* Scope.extend(pool.acquire, scope)
      const late = yield* Effect.fork(Scope.extend(pool.acquire, scope))
      const connection = yield* Deferred.await(held)
      yield* pool.select(5)
      connection.write(`${Peer.hello3}+OK\r\n+OK\r\n`)
      expect(yield* (yield* Fiber.join(late)).db).toBe(5)
    })
  )

  it.scoped("a listener to a lease's pushes receives nothing once the lease ended", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name]) => (name === "NOTIFY" ? ">2\r\n+secret\r\n+b\r\n+OK\r\n" : "+OK\r\n"))
      })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 1, maxSize: 1 })
      const heard = yield* borrow(pool, (connection) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkDaemon(Stream.runCollect(connection.pushes))
          yield* Effect.yieldNow()
          yield* pause(5)
          return fiber
        })
      )
      yield* borrow(pool, (connection) => connection.execute("NOTIFY"))
      expect(peer.connections.length).toBe(1)
      expect(Chunk.toReadonlyArray(yield* promptly(Fiber.join(heard)))).toEqual([])
    })
  )

  it.scoped("a command that was not yet sent when its lease ends is never sent, at whatever step its fiber is", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 1, maxSize: 1 })
      for (let at = 1; at < 30; at++) {
        const fiber = yield* borrow(pool, (connection) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkDaemon(Effect.exit(connection.execute("STRAY")).pipe(yieldingAt(at)))
            yield* Effect.yieldNow()
            return fiber
          })
        )
        const before = peer.connections.length
        yield* borrow(pool, (connection) => connection.execute("PING"))
        const kept = peer.connections.length === before
        const exit = yield* Fiber.join(fiber)
        // Either it was sent before the release, and the connection ended with the lease; or it was never sent.
        expect([at, kept ? failure(exit) : undefined]).toMatchObject([at, kept ? { reason: "released" } : undefined])
      }
    })
  )

  it.scoped("a lease can be spread into an object that replaces one of its members", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 1, maxSize: 1 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* pool.acquire
          const names: Array<string> = []
          const traced: Connection.Connection = {
            ...connection,
            executeText: (name, ...args) => {
              names.push(name)
              return connection.executeText(name, ...args)
            }
          }
          expect(yield* traced.executeText("PING")).toBe("PONG")
          expect(yield* traced.execute("PING")).toBe("PONG")
          expect(yield* traced.protocol).toBe(3)
          expect(traced.id).toEqual(connection.id)
          expect(traced.pushes).toBe(connection.pushes)
          expect(names).toEqual(["PING"])
        })
      )
    })
  )
})

describe("a pool loses no connection", () => {
  it.scoped("a connection granted to a fiber that is interrupted, at whatever step, goes to the next waiter", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      for (const minSize of [1, 0]) {
        const pool = yield* Pool.make({
          host: "127.0.0.1",
          port: peer.port,
          minSize,
          maxSize: 1,
          acquireTimeout: "10 seconds"
        })
        for (let at = 1; at < 80; at++) {
          const fiber = yield* borrow(pool, (connection) =>
            Effect.gen(function* () {
              const fiber = yield* Effect.forkDaemon(borrow(pool, () => Effect.void).pipe(yieldingAt(at)))
              yield* Effect.repeatN(Effect.yieldNow(), 3)
              if (minSize === 0) {
                // The connection is then destroyed on release, and the waiter may open another instead.
                yield* connection.execute("RESET")
              }
              return fiber
            })
          )
          yield* Effect.yieldNow()
          yield* Fiber.interrupt(fiber)
          const exit = yield* Effect.exit(borrow(pool, () => Effect.void))
          expect([minSize, at, Exit.isSuccess(exit)]).toEqual([minSize, at, true])
        }
      }
    })
  )

  it.scoped("a server that completes handshakes and then closes is not connected to in a tight loop", () =>
    Effect.gen(function* () {
      let dropping = false
      const peer = yield* Peer.make({
        onCommand: (command, connection) => {
          const answer = Peer.greeting()(command, connection)
          if (dropping && command[2] === "LIB-VER") {
            connection.write("+OK\r\n")
            connection.end()
            return undefined
          }
          return answer
        }
      })
      yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 2, maxSize: 2 })
      dropping = true
      for (const connection of peer.connections) {
        connection.end()
      }
      yield* pause(500)
      expect(peer.connections.length).toBeLessThan(30)
    })
  )

  it.scoped("the minimum is open again after an outage", () =>
    Effect.gen(function* () {
      let away = false
      const peer = yield* Peer.make({
        onConnect: (connection) => {
          if (away) {
            connection.reset()
          }
        },
        onCommand: Peer.greeting()
      })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 2, maxSize: 2 })
      away = true
      for (const connection of peer.connections) {
        connection.reset()
      }
      yield* Peer.eventually("it tries again", () => peer.connections.length > 2)
      yield* Peer.eventually("it fails", () => Effect.runSync(pool.size) === 0)
      away = false
      yield* Peer.eventually("the minimum is there", () => Effect.runSync(pool.freeSize) === 2)
    })
  )

  it.scoped("closing a pool ends a connection whose handshake is under way", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({})
      const scope = yield* Scope.make()
      const pool = yield* Scope.extend(Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true }), scope)
      const fiber = yield* Effect.fork(Effect.exit(borrow(pool, () => Effect.void)))
      yield* Peer.eventually("HELLO arrived", () => (peer.connections[0]?.received.length ?? 0) > 0)
      yield* Scope.close(scope, Exit.void)
      yield* Peer.eventually("no socket is left", () => peer.open() === 0)
      expect(failure(yield* Fiber.join(fiber))).toMatchObject({ _tag: "ConnectionError", reason: "closed" })
    })
  )
})

describe("metrics", () => {
  it.scoped("are registered as soon as the pool is built", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      yield* Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true })
      const shown = (yield* metrics).map(({ name }) => name)
      expect(shown).toEqual(
        expect.arrayContaining(["count", "max", "pending_requests"].map((name) => `db.client.connection.${name}`))
      )
    })
  )

  it.scoped("count the connections of pools of one name together", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      const clientName = `counted-${peer.port}`
      const count = Effect.map(metrics, (all) =>
        all
          .filter(({ name, tags }) => name === "db.client.connection.count" && Object.values(tags).includes(clientName))
          .reduce((sum, { state }) => sum + (state as { readonly count: number }).count, 0)
      )
      const scope = yield* Scope.make()
      const options = { host: "127.0.0.1", port: peer.port, maxSize: 3, clientName } as const
      yield* Scope.extend(Pool.make({ ...options, minSize: 2 }), scope)
      yield* Scope.extend(Pool.make({ ...options, minSize: 3 }), scope)
      expect(yield* count).toBe(5)
      yield* Scope.close(scope, Exit.void)
      expect(yield* count).toBe(0)
    })
  )
})

describe.each(realServers)("on $name", (server) => {
  layer(serverLayer(server))("a pool", (it) => {
    const make = (options: Pool.PoolOptions = {}) =>
      Effect.flatMap(RedisServer.RedisServer, ({ host, port }) => Pool.make({ host, port, ...options }))

    it.scoped("is 10 to 10 by default, as in aioredis, and eager", () =>
      Effect.gen(function* () {
        const pool = yield* make()
        expect([pool.minSize, pool.maxSize, yield* pool.size, yield* pool.freeSize]).toEqual([10, 10, 10, 10])
        expect([pool.encoding, yield* pool.db]).toEqual(["utf8", 0])
        yield* borrow(pool, () =>
          Effect.gen(function* () {
            expect(yield* pool.freeSize).toBe(9)
          })
        )
        expect(yield* pool.freeSize).toBe(10)
      })
    )

    it.scoped("opens no connection in advance when lazy", () =>
      Effect.gen(function* () {
        const pool = yield* make({ lazy: true, maxSize: 2 })
        expect(yield* pool.size).toBe(0)
        yield* borrow(pool, (connection) => connection.execute("PING"))
        expect([yield* pool.size, yield* pool.freeSize]).toEqual([1, 1])
      })
    )

    it.scoped("lends a clean connection again, with a new handle", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 1, maxSize: 1 })
        const first = yield* borrow(pool, (connection) => Effect.as(connection.execute("PING"), connection))
        const second = yield* borrow(pool, (connection) =>
          Effect.gen(function* () {
            // The first handle is revoked, although the connection is the same.
            const exit = yield* Effect.exit(first.execute("PING"))
            expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "released" })
            expect(failure(yield* Effect.exit(first.select(1)))).toMatchObject({ reason: "released" })
            expect(yield* first.closed).toBe(true)
            yield* first.close
            expect(yield* connection.execute("PING")).toBe("PONG")
            return connection
          })
        )
        expect(idOf(second)).toBe(idOf(first))
      })
    )

    it.scoped("a command created before the release and run after it fails", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 1, maxSize: 1 })
        const late = yield* borrow(pool, (connection) => Effect.succeed(connection.execute(Redis.get("a"))))
        expect(failure(yield* Effect.exit(late))).toMatchObject({ _tag: "UsageError", reason: "released" })
      })
    )

    for (const [what, use] of [
      ["SELECT", (c) => c.select(3)],
      ["a raw select in lower case", (c) => c.execute("select", 3)],
      ["MULTI", (c) => c.execute("MULTI")],
      ["WATCH", (c) => c.execute("WATCH", "k")],
      ["SUBSCRIBE", (c) => c.execute("SUBSCRIBE", "news")],
      ["MONITOR", (c) => c.execute("MONITOR")],
      ["CLIENT SETNAME", (c) => c.execute("CLIENT", "SETNAME", "me")],
      ["CLIENT TRACKING", (c) => c.execute("CLIENT", "TRACKING", "ON")],
      ["CLIENT NO-EVICT", (c) => c.execute("CLIENT NO-EVICT", "ON")],
      ["HELLO", (c) => c.execute("HELLO", "2")],
      ["RESET", (c) => c.execute("RESET")],
      ["QUIT", (c) => c.execute("QUIT")],
      ["AUTH, even refused", (c) => Effect.exit(c.execute("AUTH", "x", "y"))],
      [
        "a stateful command in a pipeline",
        (c) => c.redis.sendAll([RedisCommand.make("SELECT", { args: [2] })], { atomic: false })
      ]
    ] as ReadonlyArray<readonly [string, (c: Connection.Connection) => Effect.Effect<unknown, RedisError>]>) {
      it.scoped(`destroys a connection after ${what}`, () =>
        Effect.gen(function* () {
          const pool = yield* make({ minSize: 0, maxSize: 1 })
          const before = yield* borrow(pool, (connection) => Effect.as(use(connection), idOf(connection)))
          const after = yield* borrow(pool, (connection) =>
            Effect.gen(function* () {
              expect(yield* connection.execute("PING")).toBe("PONG")
              expect(yield* connection.db).toBe(0)
              return idOf(connection)
            })
          )
          expect(after).not.toBe(before)
        })
      )
    }

    for (const [what, use] of [
      ["SELECT there and back", (c) => Effect.zipRight(c.select(3), c.select(0))],
      ["WATCH and UNWATCH", (c) => Effect.zipRight(c.execute("WATCH", "k"), c.execute("UNWATCH"))],
      ["MULTI and EXEC", (c) => Effect.zipRight(c.execute("MULTI"), c.execute("EXEC"))],
      ["MULTI and DISCARD", (c) => Effect.zipRight(c.execute("MULTI"), c.execute("DISCARD"))]
    ] as ReadonlyArray<readonly [string, (c: Connection.Connection) => Effect.Effect<unknown, RedisError>]>) {
      it.scoped(`keeps a connection after ${what}`, () =>
        Effect.gen(function* () {
          const pool = yield* make({ minSize: 0, maxSize: 1 })
          const before = yield* borrow(pool, (connection) => Effect.as(use(connection), idOf(connection)))
          expect(yield* borrow(pool, (connection) => Effect.succeed(idOf(connection)))).toBe(before)
        })
      )
    }

    it.scoped("destroys a connection whose borrower was interrupted mid-reply", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 0, maxSize: 1 })
        const waiting = yield* Deferred.make<number>()
        const fiber = yield* Effect.fork(
          borrow(pool, (connection) =>
            Effect.zipRight(Deferred.succeed(waiting, idOf(connection)), connection.execute("BLPOP", "nothing", 0))
          )
        )
        const before = yield* Deferred.await(waiting)
        yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
        const after = yield* borrow(pool, (connection) => Effect.as(connection.execute("PING"), idOf(connection)))
        expect(after).not.toBe(before)
      })
    )

    it.scoped("serves waiters in order of arrival", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 1, maxSize: 1 })
        const held = yield* Scope.make()
        yield* Scope.extend(pool.acquire, held)
        const order: Array<number> = []
        const fibers = yield* Effect.forEach([1, 2, 3], (n) =>
          Effect.zipLeft(Effect.fork(borrow(pool, () => Effect.sync(() => order.push(n)))), Effect.yieldNow())
        )
        yield* Peer.eventually("all wait", () => Effect.runSync(pool.waiting) === 3)
        yield* Scope.close(held, Exit.void)
        yield* Fiber.joinAll(fibers)
        expect(order).toEqual([1, 2, 3])
        expect(yield* pool.waiting).toBe(0)
      })
    )

    it.scoped("an acquire that waits too long fails typed, under TestClock too", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 1, maxSize: 1, acquireTimeout: "60 millis" })
        yield* borrow(pool, () =>
          Effect.gen(function* () {
            const exit = yield* Effect.exit(borrow(pool, () => Effect.void))
            expect(failure(exit)).toMatchObject({ _tag: "DeadlineError", phase: "acquire", delivery: "unsent" })
          })
        )
        expect(yield* pool.waiting).toBe(0)
      })
    )

    it.scoped("interrupted waiters lose no connection", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 0, maxSize: 2 })
        for (let round = 0; round < 50; round++) {
          const fibers = yield* Effect.forEach(Array.from({ length: 8 }), () =>
            Effect.fork(borrow(pool, (connection) => connection.execute("PING")))
          )
          yield* Effect.forEach(
            fibers.filter((_, i) => (i + round) % 3 === 0),
            interruptFork
          )
          yield* Effect.forEach(fibers, Fiber.await)
        }
        yield* Peer.eventually("nobody waits", () => Effect.runSync(pool.waiting) === 0)
        // Both connections can still be leased.
        yield* borrow(pool, () => borrow(pool, (connection) => connection.execute("PING")))
        expect(yield* pool.size).toBeLessThanOrEqual(2)
        expect(yield* pool.freeSize).toBe(yield* pool.size)
      })
    )

    it.scoped("clear closes the free connections, and the minimum is reopened", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 2, maxSize: 3 })
        const ids = yield* borrow(pool, (connection) =>
          Effect.gen(function* () {
            yield* pool.clear
            expect(yield* connection.execute("PING")).toBe("PONG")
            return idOf(connection)
          })
        )
        yield* Peer.eventually("two are free again", () => Effect.runSync(pool.freeSize) === 2)
        expect(ids).toBeGreaterThan(0)
      })
    )

    it.scoped("select changes the database of the pool; an invalid database changes nothing", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 2, maxSize: 2 })
        expect(failure(yield* Effect.exit(pool.select(-1)))._tag).toBe("UsageError")
        expect(failure(yield* Effect.exit(pool.select(99_999)))._tag).toBe("ReplyError")
        expect(yield* pool.db).toBe(0)
        const lent = yield* borrow(pool, (connection) =>
          Effect.gen(function* () {
            yield* pool.select(5)
            expect(yield* connection.db).toBe(0)
            return idOf(connection)
          })
        )
        expect(yield* pool.db).toBe(5)
        const [db, id] = yield* borrow(pool, (connection) =>
          Effect.map(connection.execute("CLIENT", "INFO"), (info) => [
            / db=(\d+)/.exec(String(info))?.[1],
            idOf(connection)
          ])
        )
        expect(db).toBe("5")
        expect(id).not.toBe(lent)
      })
    )

    it.scoped("a connection that the server closed is not lent", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 0, maxSize: 1 })
        const id = yield* borrow(pool, (connection) => Effect.succeed(idOf(connection)))
        const { host, port } = yield* RedisServer.RedisServer
        const other = yield* Connection.make({ host, port })
        yield* other.execute("CLIENT", "KILL", "ID", id)
        yield* Peer.eventually("it is gone", () => Effect.runSync(pool.size) === 0)
        const next = yield* borrow(pool, (connection) => Effect.as(connection.execute("PING"), idOf(connection)))
        expect(next).not.toBe(id)
      })
    )

    it.scoped("closes idle connections, down to the minimum", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 1, maxSize: 4, idleTimeout: "100 millis" })
        const most = yield* borrow(pool, () => borrow(pool, () => borrow(pool, () => pool.size)))
        expect(most).toBe(3)
        yield* Peer.eventually("one is left", () => Effect.runSync(pool.size) === 1)
      })
    )

    it.scoped("replaces a connection at maxAge", () =>
      Effect.gen(function* () {
        const pool = yield* make({ minSize: 0, maxSize: 1, maxAge: "100 millis" })
        const id = yield* borrow(pool, (connection) => Effect.succeed(idOf(connection)))
        yield* Peer.eventually("it is gone", () => Effect.runSync(pool.size) === 0)
        expect(yield* borrow(pool, (connection) => Effect.succeed(idOf(connection)))).not.toBe(id)
      })
    )

    it.scoped("pings a connection that was idle for checkAfter before lending it", () =>
      Effect.gen(function* () {
        const server = yield* RedisServer.RedisServer
        const pool = yield* make({ minSize: 0, maxSize: 1, checkAfter: "1 millis" })
        const id = yield* borrow(pool, (connection) => Effect.succeed(idOf(connection)))
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
        expect(yield* borrow(pool, (connection) => Effect.succeed(idOf(connection)))).toBe(id)
        expect(server.port).toBeGreaterThan(0)
      })
    )

    it.effect("closing its scope closes every connection, leased ones too", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const scope = yield* Scope.make()
        const pool = yield* Scope.extend(Pool.make({ host, port, minSize: 3 }), scope)
        const lease = yield* Scope.make()
        const connection = yield* Scope.extend(pool.acquire, lease)
        const waiter = yield* Effect.fork(Effect.exit(connection.execute("BLPOP", "nothing", 0)))
        yield* Effect.yieldNow()
        yield* Scope.close(scope, Exit.void)
        expect(yield* connection.closed).toBe(true)
        expect(failure(yield* Fiber.join(waiter))).toMatchObject({ _tag: "ConnectionError", reason: "closed" })
        expect(failure(yield* Effect.exit(Effect.scoped(pool.acquire)))).toMatchObject({ _tag: "ConnectionError" })
        yield* Scope.close(lease, Exit.void)
        expect(yield* pool.size).toBe(0)
      })
    )

    it.effect("commands reach it through Pool.withConnection and Redis.layerFromPool", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const PoolLive = Pool.layer({ host, port, minSize: 1 })
        const onOne = Pool.withConnection(
          Effect.gen(function* () {
            yield* Redis.set("here", "1")
            return yield* Redis.get("here")
          })
        )
        expect(yield* Effect.provide(onOne, PoolLive)).toEqual(Option.some("1"))
        const each = Effect.gen(function* () {
          yield* Redis.del("there")
          const exit = yield* Effect.exit(Redis.execute("SELECT", 2))
          expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "statefulCommand" })
          return yield* Redis.pipeline([Redis.get("here"), Redis.incr("there")])
        })
        const results = yield* each.pipe(Effect.provide(Redis.layerFromPool), Effect.provide(PoolLive))
        expect(results).toEqual([Option.some("1"), 1])
      })
    )
  })
})
