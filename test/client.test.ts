/** The client: commands refused on the shared connection, lost connections, deadlines, closing, layers and batches. */
import { describe, expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Codec, Connection, Pool, Redis, RedisCommand } from "effect-redis-client"
import type { RedisOptions } from "../src/Redis.js"
import type { PipelineError, RedisError, TransactionError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, failure, on, quickly, settle } from "./support/client.js"
import { onInput } from "./support/effect.js"
import { poll } from "./support/fibers.js"
import * as Peer from "./support/peer.js"
import { makeServer, realServers, serverLayer } from "./support/servers.js"
import { faraway } from "./support/timing.js"

type Failure = RedisError | PipelineError | TransactionError

/** A peer that can be away: meanwhile it resets every connection. */
const switchable = (onCommand: NonNullable<Peer.Script["onCommand"]>) =>
  Effect.map(
    Effect.suspend(() => {
      const state = { away: false }
      const peer = Peer.make({
        onConnect: (connection) => {
          if (state.away) {
            connection.reset()
          }
        },
        onCommand
      })
      return Effect.map(peer, (peer) => ({ peer, state }))
    }),
    ({ peer, state }) => ({
      peer,
      options: { host: "127.0.0.1", port: peer.port, reconnect: quickly } satisfies RedisOptions,
      leave: Effect.suspend(() => {
        state.away = true
        for (const connection of peer.connections) {
          connection.reset()
        }
        const before = peer.connections.length
        // A failed attempt shows that the client has noticed.
        return Peer.eventually("the client tries again", () => peer.connections.length > before)
      }),
      comeBack: Effect.sync(() => {
        state.away = false
      }),
      /** The commands received after the handshakes, over all connections. */
      commands: () => peer.connections.flatMap(Peer.sent)
    })
  )

/** Retries in real time while there is no connection. */
const again = <A>(effect: Effect.Effect<A, RedisError>): Effect.Effect<A, RedisError> =>
  Effect.catchTag(effect, "ConnectionError", () =>
    Effect.zipRight(
      Effect.async<void>((resume) => {
        const timer = setTimeout(() => resume(Effect.void), 5)
        return Effect.sync(() => clearTimeout(timer))
      }),
      again(effect)
    )
  )

describe("law 7: the shared connection refuses commands that would change its state", () => {
  const stateful: ReadonlyArray<readonly [name: string, args: ReadonlyArray<string>, way: RegExp]> = [
    ["SELECT", ["1"], /`database` to the layer, or use Pool\.acquire/],
    ["MULTI", [], /Redis\.transaction/],
    ["EXEC", [], /Redis\.transaction/],
    ["DISCARD", [], /Redis\.transaction/],
    ["WATCH", ["k"], /Redis\.optimistic/],
    ["UNWATCH", [], /Redis\.optimistic/],
    ["SUBSCRIBE", ["c"], /RedisPubSub/],
    ["PSUBSCRIBE", ["c*"], /RedisPubSub/],
    ["SSUBSCRIBE", ["c"], /RedisPubSub/],
    ["UNSUBSCRIBE", ["c"], /RedisPubSub/],
    ["PUNSUBSCRIBE", ["c*"], /RedisPubSub/],
    ["SUNSUBSCRIBE", ["c"], /RedisPubSub/],
    ["MONITOR", [], /Pool\.acquire/],
    ["AUTH", ["hunter2"], /option of the layer/],
    ["HELLO", ["2"], /option of the layer/],
    ["RESET", [], /Pool\.acquire/],
    ["QUIT", [], /Pool\.acquire/],
    ["READONLY", [], /Pool\.acquire/],
    ["READWRITE", [], /Pool\.acquire/],
    ["ASKING", [], /Pool\.acquire/],
    ["CLIENT REPLY", ["OFF"], /without replies/],
    ["CLIENT REPLY", ["SKIP"], /without replies/],
    ["CLIENT TRACKING", ["ON"], /Pool\.acquire/],
    ["CLIENT CACHING", ["YES"], /Pool\.acquire/],
    ["CLIENT NO-EVICT", ["ON"], /Pool\.acquire/],
    ["CLIENT NO-TOUCH", ["ON"], /Pool\.acquire/],
    ["CLIENT SETNAME", ["me"], /option of the layer/],
    ["CLIENT CAPA", ["redirect"], /Pool\.acquire/],
    ["CLIENT IMPORT-SOURCE", ["ON"], /Pool\.acquire/],
    ["SCRIPT DEBUG", ["YES"], /Pool\.acquire/]
  ]

  it.scoped("each is refused in every spelling, unsent, and the error names the right way", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo(Peer.pong)
      for (const [name, args, way] of stateful) {
        const words = name.split(" ")
        const [first = "", ...rest] = words
        const spellings = [
          Redis.execute(name, ...args),
          Redis.execute(name.toLowerCase(), ...args.map((arg) => arg.toLowerCase())),
          Redis.execute(first.toLowerCase(), ...rest.map((word) => word.toLowerCase()), ...args),
          Redis.execute(first, ...rest.map((word) => new TextEncoder().encode(word)), ...args),
          Redis.execute(`  ${[...words, ...args].join("  ").toLowerCase()} `)
        ]
        for (const command of spellings) {
          const error = failure(yield* Effect.exit(run(command)))
          expect(error).toMatchObject({ _tag: "UsageError", reason: "statefulCommand", command: name })
          expect(error.message).toMatch(way)
          expect(error.message).not.toContain("hunter2")
          for (const batch of [run(Redis.pipeline([command])), run(Redis.transaction([command]))]) {
            expect(failure(yield* Effect.exit<unknown, Failure, never>(batch))).toMatchObject({
              _tag: "UsageError",
              reason: "statefulCommand",
              command: name
            })
          }
        }
      }
      expect(yield* run(Redis.ping())).toBe("PONG")
      const sent = peer.connections.flatMap(({ received }) => received.map((words) => words.join(" ")))
      expect(sent.filter((words) => !/^(HELLO 3|CLIENT SETINFO)/.test(words))).toEqual(["PING"])
    })
  )

  it.scoped("WAIT and WAITAOF are refused: they count the writes of their own connection only", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo(Peer.pong)
      for (const command of [Redis.execute("WAIT", 1, 100), Redis.execute("waitaof", 1, 0, 100)]) {
        const error = failure(yield* Effect.exit(run(command)))
        expect(error).toMatchObject({ _tag: "UsageError", reason: "blockingCommand" })
        expect(error.message).toMatch(/Pool\.acquire/)
      }
      expect(peer.connections.length).toBe(1)
    })
  )

  it.scoped("WAIT is refused over a pool too", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => ":1\r\n") })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true })
      const exit = yield* Effect.exit(
        Redis.execute("WAIT", 1, 100).pipe(Effect.provide(Redis.layerFromPool), Effect.provideService(Pool.Pool, pool))
      )
      expect(failure(exit as Exit.Exit<unknown, RedisError>)).toMatchObject({ reason: "blockingCommand" })
      expect(peer.connections.flatMap(Peer.sent)).toEqual([])
    })
  )

  it.scoped("blocking commands are refused in a batch, and use a dedicated connection outside one", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo({
        onCommand: Peer.greeting(([name]) => (name === "BLPOP" ? undefined : "+PONG\r\n"))
      })
      const blocking = Redis.execute("blpop", "list", 0)
      for (const batch of [run(Redis.pipeline([blocking])), run(Redis.transaction([blocking]))]) {
        const error = failure(yield* Effect.exit<unknown, Failure, never>(batch))
        expect(error).toMatchObject({ _tag: "UsageError", reason: "blockingCommand", command: "BLPOP" })
        expect(error.message).toMatch(/outside of the pipeline/)
      }
      const blocked = yield* Effect.fork(run(blocking))
      yield* Peer.eventually("BLPOP is on a connection of its own", () =>
        (peer.connections[1]?.received ?? []).some(([name]) => name === "BLPOP")
      )
      expect(yield* run(Redis.ping())).toBe("PONG")
      yield* Fiber.interrupt(blocked)
      // The connection still owes a reply, so it is not lent again.
      yield* Peer.eventually("its connection is closed", () => peer.open() === 1)
    })
  )
})

describe("law 9: a lost connection", () => {
  /** Resets the connection instead of answering, the first `times` times. */
  const dropping = (name: string, times: number): NonNullable<Peer.Script["onCommand"]> => {
    let left = times
    return Peer.greeting((words, connection) => {
      if (words[0] === name && left > 0) {
        left--
        connection.reset()
        return undefined
      }
      return words[0] === "INCR" ? ":1\r\n" : "+PONG\r\n"
    })
  }

  it.scoped("a written readonly command is retried", () =>
    Effect.gen(function* () {
      const { commands, options } = yield* switchable(dropping("GET", 2))
      const run = on(yield* Redis.make(options))
      expect(yield* run(Redis.get("a"))).toEqual(Option.some("PONG"))
      expect(commands()).toEqual(["GET a", "GET a", "GET a"])
    })
  )

  for (const maxRetries of [0, 1, 3]) {
    it.scoped(`is retried at most maxRetries times: ${maxRetries}`, () =>
      Effect.gen(function* () {
        const { commands, options } = yield* switchable(dropping("GET", 100))
        const run = on(yield* Redis.make({ ...options, maxRetries }))
        expect(failure(yield* Effect.exit(run(Redis.get("a"))))).toMatchObject({
          _tag: "ConnectionError",
          delivery: "unknown"
        })
        expect(commands().length).toBe(1 + maxRetries)
      })
    )
  }

  it.scoped("a write that was sent fails with delivery unknown, and is not retried", () =>
    Effect.gen(function* () {
      const { commands, options } = yield* switchable(dropping("INCR", 1))
      const run = on(yield* Redis.make(options))
      expect(failure(yield* Effect.exit(run(Redis.incr("n"))))).toMatchObject({
        _tag: "ConnectionError",
        delivery: "unknown"
      })
      expect(yield* run(Redis.get("a"))).toEqual(Option.some("PONG"))
      expect(commands()).toEqual(["INCR n", "GET a"])
    })
  )

  it.scoped("a pipeline is retried only if all its commands are readonly", () =>
    Effect.gen(function* () {
      const { commands, options } = yield* switchable(dropping("GET", 2))
      const run = on(yield* Redis.make(options))
      expect(yield* run(Redis.pipeline([Redis.get("a"), Redis.get("b")]))).toEqual([
        Option.some("PONG"),
        Option.some("PONG")
      ])
      const mixed = yield* switchable(dropping("GET", 1))
      const runMixed = on(yield* Redis.make(mixed.options))
      const slots = yield* runMixed(Redis.pipeline([Redis.get("b"), Redis.incr("n")], { mode: "either" }))
      for (const slot of slots) {
        expect(Either.getOrThrow(Either.flip<unknown, RedisError>(slot))).toMatchObject({
          _tag: "ConnectionError",
          delivery: "unknown"
        })
      }
      expect(mixed.commands().filter((words) => words === "GET b").length).toBe(1)
      expect(commands()).toEqual(["GET a", "GET b", "GET a", "GET b"])
    })
  )

  it.scoped("replies of a pipeline read before the cut are kept; the rest is unknown", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo({
        onCommand: Peer.greeting((words, connection) => {
          if (words[0] === "INCR") {
            connection.write(":1\r\n")
            connection.end()
          }
          return undefined
        })
      })
      const commands = { first: Redis.incr("n"), second: Redis.set("a", "b") }
      const either = yield* run(Redis.pipeline(commands, { mode: "either" }))
      expect(either.first).toEqual(Either.right(1))
      expect(Either.getOrThrow(Either.flip(either.second))).toMatchObject({ delivery: "unknown" })
    })
  )

  it.scoped("a transaction that was sent is never retried, readonly or not", () =>
    Effect.gen(function* () {
      const { commands, options } = yield* switchable(dropping("EXEC", 1))
      const run = on(yield* Redis.make(options))
      expect(failure(yield* Effect.exit(run(Redis.transaction([Redis.get("a")]))))).toMatchObject({
        _tag: "ConnectionError",
        delivery: "unknown"
      })
      yield* run(Redis.ping())
      expect(commands()).toEqual(["MULTI", "GET a", "EXEC", "PING"])
    })
  )

  it.scoped("unsent commands wait, and are sent in order before later ones", () =>
    Effect.gen(function* () {
      const { commands, comeBack, leave, options } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      const run = on(yield* Redis.make(options))
      yield* leave
      const waiting: Array<Fiber.RuntimeFiber<unknown, Failure>> = []
      for (let i = 0; i < 20; i++) {
        waiting.push(yield* Effect.fork(run(Redis.set(`k${i}`, "v"))))
        yield* settle
      }
      waiting.push(yield* Effect.fork(run(Redis.transaction([Redis.set("t", "v")]))))
      yield* settle
      yield* Fiber.interrupt(waiting[7] as Fiber.RuntimeFiber<unknown, Failure>)
      yield* comeBack
      yield* Fiber.join(waiting[0] as Fiber.RuntimeFiber<unknown, Failure>).pipe(Effect.ignore)
      yield* Effect.ignore(run(Redis.set("last", "v")))
      yield* Effect.forEach(waiting, Fiber.await)
      const expected = Array.from({ length: 20 }, (_, i) => `SET k${i} v`).filter((_, i) => i !== 7)
      expect(commands()).toEqual([...expected, "MULTI", "SET t v", "EXEC", "SET last v"])
    })
  )

  it.scoped('offline: "fail" fails commands at once, unsent, until it is connected again', () =>
    Effect.gen(function* () {
      const { comeBack, leave, options } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      const run = on(yield* Redis.make({ ...options, offline: "fail", replyTimeout: "1 minute" }))
      yield* leave
      expect(failure(yield* Effect.exit(run(Redis.get("a"))))).toMatchObject({
        _tag: "ConnectionError",
        delivery: "unsent"
      })
      yield* comeBack
      yield* again(run(Redis.ping()))
    })
  )

  it.scoped("the offline queue is bounded by count; an interrupted command makes room", () =>
    Effect.gen(function* () {
      const { commands, comeBack, leave, options } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      const run = on(yield* Redis.make({ ...options, maxQueuedCommands: 2 }))
      yield* leave
      const first = yield* Effect.fork(run(Redis.set("a", "1")))
      const second = yield* Effect.fork(run(Redis.set("b", "1")))
      yield* settle
      expect(failure(yield* Effect.exit(run(Redis.set("c", "1"))))).toMatchObject({
        _tag: "OverflowError",
        limit: "commands",
        maximum: 2,
        command: "SET"
      })
      yield* Fiber.interrupt(first)
      const third = yield* Effect.fork(run(Redis.set("d", "1")))
      yield* settle
      yield* comeBack
      yield* Fiber.join(second)
      yield* Fiber.join(third)
      expect(commands()).toEqual(["SET b 1", "SET d 1"])
    })
  )

  it.scoped("the offline queue is bounded by bytes", () =>
    Effect.gen(function* () {
      const { comeBack, leave, options } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      const run = on(yield* Redis.make({ ...options, maxQueuedBytes: 1000 }))
      yield* leave
      const first = yield* Effect.fork(run(Redis.set("a", "x".repeat(900))))
      yield* settle
      expect(failure(yield* Effect.exit(run(Redis.set("b", "x".repeat(200)))))).toMatchObject({
        _tag: "OverflowError",
        limit: "bytes",
        maximum: 1000
      })
      yield* comeBack
      yield* Fiber.join(first)
    })
  )

  it.scoped("a deadline that passes in the offline queue reports the command as unsent", () =>
    Effect.gen(function* () {
      const { commands, comeBack, leave, options } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      const run = on(yield* Redis.make(options))
      yield* leave
      const exit = yield* Effect.exit(run(RedisCommand.withDeadline(Redis.incr("n"), "50 millis")))
      expect(failure(exit)).toMatchObject({
        _tag: "DeadlineError",
        phase: "queue",
        delivery: "unsent",
        milliseconds: 50,
        command: "INCR"
      })
      yield* comeBack
      yield* run(Redis.ping())
      expect(commands()).toEqual(["PING"])
    })
  )

  it.scoped("a connection that ends as its handshake completes is not used", () =>
    Effect.gen(function* () {
      const broken = { yes: false }
      const { leave, comeBack, options, peer } = yield* switchable((words, connection) =>
        // The last reply of the handshake and the error before the close, in one packet.
        words[2] === "LIB-VER" && broken.yes
          ? "+OK\r\n-ERR max number of clients reached\r\n"
          : Peer.greeting(() => "+PONG\r\n")(words, connection)
      )
      const run = on(yield* Redis.make(options))
      yield* leave
      broken.yes = true
      const waiting = yield* Effect.fork(run(Redis.get("a")))
      const interrupted = yield* Effect.fork(run(Redis.get("b")))
      yield* settle
      const before = peer.connections.length
      yield* comeBack
      yield* Peer.eventually("some broken connections", () => peer.connections.length > before + 3)
      yield* Fiber.interrupt(interrupted)
      broken.yes = false
      expect(yield* Fiber.join(waiting)).toEqual(Option.some("PONG"))
    })
  )
})

describe("law 10: reconnecting", () => {
  it.scoped("a Schedule that is done ends the client: waiting and later commands fail with the reason", () =>
    Effect.gen(function* () {
      const { leave, options, peer } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      const run = on(
        yield* Redis.make({
          ...options,
          reconnect: Schedule.intersect(Schedule.spaced("20 millis"), Schedule.recurs(3)),
          replyTimeout: "1 minute"
        })
      )
      yield* leave
      expect(failure(yield* Effect.exit(run(Redis.get("a"))))).toMatchObject({
        _tag: "ConnectionError",
        delivery: "unsent"
      })
      const attempts = peer.connections.length
      expect(failure(yield* Effect.exit(run(Redis.get("a"))))).toMatchObject({
        _tag: "ConnectionError",
        delivery: "unsent"
      })
      expect(peer.connections.length).toBe(attempts)
    })
  )

  it.scoped("a server that accepts and closes is reconnected to by the Schedule, not in a tight loop", () =>
    Effect.gen(function* () {
      let asked = 0
      const delays: Array<unknown> = []
      const peer = yield* Peer.make({
        onCommand: (words, connection) => {
          if (words[2] === "LIB-VER") {
            asked++
            setImmediate(connection.end)
          }
          return Peer.greeting()(words, connection)
        }
      })
      yield* Redis.make({
        host: "127.0.0.1",
        port: peer.port,
        reconnect: onInput(Schedule.spaced("10 millis"), (error) => Effect.sync(() => delays.push(error)))
      })
      yield* Peer.eventually("five connections", () => asked >= 5)
      expect(delays.length).toBeGreaterThanOrEqual(asked - 1)
    })
  )

  it.scoped("a permanent failure fails commands at once, and attempts go on: passwords rotate", () =>
    Effect.gen(function* () {
      let password = "old"
      const peer = yield* Peer.make({
        onCommand: (words, connection) =>
          words[0] === "HELLO" && words[4] !== password
            ? "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
            : Peer.greeting(() => "+PONG\r\n")(words, connection)
      })
      const run = on(
        yield* Redis.make({
          host: "127.0.0.1",
          port: peer.port,
          reconnect: quickly,
          password: Redacted.make("old"),
          replyTimeout: "1 minute"
        })
      )
      password = "new"
      peer.connections[0]?.reset()
      yield* Peer.eventually("it is refused", () => peer.connections.length > 1)
      const error = failure(yield* Effect.exit(run(Redis.get("a"))))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication", delivery: "unsent" })
      password = "old"
      yield* again(run(Redis.ping()))
    })
  )

  for (const [what, answer] of [
    ["a wrong password", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"],
    ["a missing password", "-NOAUTH HELLO must be called with the client already authenticated\r\n"],
    ["a peer that is not Redis", "HTTP/1.1 400 Bad Request\r\n\r\n"]
  ] as const) {
    it.scoped(`${what} fails the building at once`, () =>
      Effect.gen(function* () {
        const peer = yield* Peer.make({ onCommand: () => answer })
        const exit = yield* Effect.exit(
          Redis.make({ host: "127.0.0.1", port: peer.port, reconnect: quickly, connectTimeout: "1 minute" })
        )
        expect(failure(exit)._tag).toMatch(/ConnectionError|ProtocolError/)
        expect(peer.connections.length).toBe(1)
      })
    )
  }

  it.scoped("a transient failure is retried while building, within connectTimeout", () =>
    Effect.gen(function* () {
      const { comeBack, leave, options, peer } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      yield* Effect.scoped(Effect.zipRight(Redis.make(options), leave))
      const exit = yield* Effect.exit(Redis.make({ ...options, connectTimeout: "1 second" }))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", delivery: "unsent" })
      const before = peer.connections.length
      const building = yield* Effect.fork(Redis.make({ ...options, connectTimeout: "1 minute" }))
      yield* Peer.eventually("it tries again and again", () => peer.connections.length > before + 3)
      yield* comeBack
      expect(yield* on(yield* Fiber.join(building))(Redis.ping())).toBe("PONG")
    })
  )

  it.scoped("a TLS handshake that the peer cuts is retried", () =>
    Effect.gen(function* () {
      for (const cut of [(c: Peer.PeerConnection) => c.reset(), (c: Peer.PeerConnection) => c.end()]) {
        const peer = yield* Peer.make({ onConnect: cut })
        const building = yield* Effect.fork(
          Effect.scoped(
            Redis.make({
              host: "127.0.0.1",
              port: peer.port,
              tls: true,
              connectTimeout: faraway,
              reconnect: Schedule.spaced("10 millis")
            })
          )
        )
        yield* Peer.eventually("it is tried again and again", () => peer.connections.length > 2)
        yield* Fiber.interrupt(building)
      }
    })
  )

  it.scoped("a silent peer fails the building at connectTimeout, which the error names", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({})
      const exit = yield* Effect.exit(
        Redis.make({ host: "127.0.0.1", port: peer.port, reconnect: quickly, connectTimeout: "100 millis" })
      )
      expect(failure(exit)).toMatchObject({ _tag: "DeadlineError", phase: "connect", milliseconds: 100 })
      yield* Peer.eventually("the socket is closed", () => peer.open() === 0)
    })
  )

  it.scoped("lazy: builds without a server, and the first command waits for it", () =>
    Effect.gen(function* () {
      const { comeBack, leave, options } = yield* switchable(Peer.greeting(() => "+PONG\r\n"))
      yield* Effect.scoped(Effect.zipRight(Redis.make(options), leave))
      const run = on(yield* Redis.make({ ...options, lazy: true }))
      const first = yield* Effect.fork(run(Redis.ping()))
      yield* settle
      expect(Option.isNone(yield* poll(first))).toBe(true)
      yield* comeBack
      expect(yield* Fiber.join(first)).toBe("PONG")
    })
  )
})

describe("law 12: deadlines", () => {
  it.scoped("pass in time, and never early", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo(Peer.silent, { replyTimeout: "1 minute" })
      for (let millis = 40; millis < 60; millis++) {
        const [error, took] = yield* Effect.suspend(() => {
          const started = performance.now()
          return Effect.map(
            Effect.flip(run(Redis.get("k").pipe(RedisCommand.withDeadline(`${millis} millis`)))),
            (error) => [error, performance.now() - started] as const
          )
        })
        expect(error).toMatchObject({
          _tag: "DeadlineError",
          phase: "reply",
          delivery: "unknown",
          milliseconds: millis
        })
        expect(took).toBeGreaterThanOrEqual(millis)
      }
    })
  )

  it.scoped("a thousand different deadlines share one timer", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(Peer.silent, { replyTimeout: "1 minute" })
      yield* settle
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
      const before = timers()
      const fiber = yield* Effect.fork(
        run(
          Effect.forEach(
            Array.from({ length: 1_000 }, (_, i) => 3_000 + (i % 50)),
            (millis) =>
              Redis.get("k").pipe(
                RedisCommand.withDeadline(`${millis} millis`),
                Effect.flip,
                Effect.map((error) => ({ error, millis }))
              ),
            { concurrency: "unbounded" }
          )
        )
      )
      yield* Peer.eventually("all were sent", () => commands().length === 1_000)
      expect(timers() - before).toBeLessThanOrEqual(1)
      for (const { error, millis } of yield* Fiber.join(fiber)) {
        expect(error).toMatchObject({
          _tag: "DeadlineError",
          phase: "reply",
          delivery: "unknown",
          milliseconds: millis
        })
      }
    })
  )

  it.scoped("the deadline of a blocking command is its own timeout plus replyTimeout", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(Peer.silent, { replyTimeout: "300 millis" })
      const started = performance.now()
      const error = yield* Effect.flip(run(Redis.blpop("k", { timeout: "200 millis" })))
      expect(error).toMatchObject({ _tag: "DeadlineError", phase: "reply", delivery: "unknown", milliseconds: 500 })
      expect(performance.now() - started).toBeGreaterThanOrEqual(500)
      expect(commands()).toContain("BLPOP k 0.2")
    })
  )
})

describe("closing", () => {
  it.scoped("waits for the replies owed, and accepts no new command", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { peer, run } = yield* Scope.extend(connectTo(Peer.silent), scope).pipe(
        Effect.provideService(Scope.Scope, yield* Effect.scope)
      )
      const owed = yield* Effect.fork(run(Redis.get("a")))
      yield* Peer.eventually("it was sent", () => peer.connections[0]?.received.at(-1)?.[0] === "GET")
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* settle
      expect(failure(yield* Effect.exit(run(Redis.get("b"))))).toMatchObject({
        _tag: "ConnectionError",
        reason: "closed",
        delivery: "unsent"
      })
      peer.connections[0]?.write("$1\r\nA\r\n")
      expect(yield* Fiber.join(owed)).toEqual(Option.some("A"))
      yield* Fiber.join(closing)
    })
  )

  it.scoped("does not wait longer than closeTimeout, and every command settles", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.silent)
      const scope = yield* Scope.make()
      const redis = yield* Scope.extend(
        Redis.make({ host: "127.0.0.1", port: peer.port, closeTimeout: "50 millis" }),
        scope
      )
      const run = on(redis)
      const written = yield* Effect.fork(Effect.exit(run(Redis.get("a"))))
      const batch = yield* Effect.fork(Effect.exit(run(Redis.pipeline([Redis.get("a"), Redis.get("b")]))))
      const blocked = yield* Effect.fork(Effect.exit(run(Redis.execute("BLPOP", "list", 0))))
      yield* Peer.eventually(
        "all were sent",
        () =>
          peer.connections.flatMap(({ received }) => received).filter(([name]) => /GET|BLPOP/.test(name ?? ""))
            .length === 4
      )
      yield* Scope.close(scope, Exit.void)
      expect(failure(yield* Fiber.join(written))).toMatchObject({ reason: "closed", delivery: "unknown" })
      expect(failure(yield* Fiber.join(batch))).toMatchObject({ _tag: "PipelineError", at: 0 })
      expect(failure(yield* Fiber.join(blocked))).toMatchObject({ reason: "closed" })
      yield* Peer.eventually("no socket is left", () => peer.open() === 0)
    })
  )

  it.scoped("while disconnected fails the waiting commands", () =>
    Effect.gen(function* () {
      const { leave, options, peer } = yield* switchable(Peer.greeting())
      const scope = yield* Scope.make()
      const run = on(yield* Scope.extend(Redis.make({ ...options, replyTimeout: "1 minute" }), scope))
      yield* leave
      const waiting = yield* Effect.fork(Effect.exit(run(Redis.get("a"))))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      expect(failure(yield* Fiber.join(waiting))).toMatchObject({ reason: "closed", delivery: "unsent" })
      const attempts = peer.connections.length
      expect(failure(yield* Effect.exit(run(Redis.get("b"))))).toMatchObject({ reason: "closed", delivery: "unsent" })
      expect(peer.connections.length).toBe(attempts)
    })
  )
})

describe("layerTest", () => {
  const Fake = Redis.layerTest((request) =>
    Effect.succeed(request.name === "PING" ? "PONG" : request.name === "GET" ? "1" : request.name === "INCR" ? 7 : null)
  )

  it.effect("answers with a function's replies, decoded like a server's", () =>
    Effect.gen(function* () {
      expect(yield* Redis.ping()).toBe("PONG")
      expect(yield* Redis.get("a")).toEqual(Option.some("1"))
      expect(yield* Redis.pipeline({ a: Redis.get("a"), n: Redis.incr("n") })).toEqual({ a: Option.some("1"), n: 7 })
      expect(yield* Redis.transaction([Redis.incr("n")])).toEqual([7])
      expect(yield* Redis.withCodec(Codec.json).get("a")).toEqual(Option.some(1))
      const error = failure(yield* Effect.exit(Redis.execute("ECHO", Number.NaN)))
      expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
      const unfit = failure(yield* Effect.exit(Redis.append("a", "b")))
      expect(unfit).toMatchObject({ _tag: "DecodeError", command: "APPEND" })
    }).pipe(Effect.provide(Fake))
  )
})

describe("empty batches", () => {
  it.scoped("send nothing", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo(Peer.pong)
      const before = peer.connections[0]?.received.length
      expect(yield* run(Redis.pipeline([]))).toEqual([])
      expect(yield* run(Redis.pipeline({}))).toEqual({})
      expect(yield* run(Redis.pipeline([], { mode: "either" }))).toEqual([])
      expect(yield* run(Redis.transaction([]))).toEqual([])
      expect(yield* run(Redis.transaction({}))).toEqual({})
      yield* run(Redis.ping())
      expect(peer.connections[0]?.received.length).toBe((before ?? 0) + 1)
    })
  )

  it.scoped("a pipeline is one write, and so is a transaction", () =>
    Effect.gen(function* () {
      const writes: Array<string> = []
      const { run } = yield* connectTo({
        onConnect: ({ socket }) => socket.on("data", (bytes) => writes.push(String(bytes))),
        onCommand: Peer.greeting(([name]) =>
          name === "EXEC" ? "*2\r\n:1\r\n:2\r\n" : name === "SET" ? "+OK\r\n" : ":1\r\n"
        )
      })
      writes.length = 0
      yield* run(Redis.pipeline([Redis.incr("a"), Redis.withCodec(Codec.bytes).set("b", new Uint8Array(10))]))
      expect(writes.length).toBe(1)
      yield* run(Redis.transaction([Redis.incr("a"), Redis.incr("b")]))
      expect(writes.length).toBe(2)
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// On real servers
// ---------------------------------------------------------------------------------------------------------------------

class Other extends Redis.Tag("test/Other")<Other>() {}

const User = Schema.Struct({ name: Schema.String, born: Schema.Number })

/** An ACL user without MULTI. */
const noMulti = "ada on >secret ~* &* +@all -multi"

describe.each(realServers)("on $name", (server) => {
  describe("a server of its own", () => {
    for (const protocol of [2, 3] as const) {
      const start = Effect.gen(function* () {
        const redisServer = yield* makeServer(server)
        const { host, port } = redisServer
        // Long enough for a server to start.
        const options: RedisOptions = {
          host,
          port,
          protocol,
          reconnect: Schedule.spaced("20 millis"),
          replyTimeout: "1 minute"
        }
        return { redisServer, options, redis: yield* Redis.make(options) }
      })

      it.scoped(`RESP${protocol}: commands that wait for an absent server succeed in order once it is back`, () =>
        Effect.gen(function* () {
          const { redis, redisServer } = yield* start
          const run = on(redis)
          yield* run(Redis.set("before", "1"))
          yield* redisServer.kill
          const waiting = yield* Effect.fork(
            Effect.forEach(
              Array.from({ length: 50 }, (_, i) => i),
              (i) => run(Redis.rpush("list", [`${i}`])),
              { concurrency: "unbounded" }
            )
          )
          yield* redisServer.start
          // A reply of the previous connection would show up as a wrong number.
          expect(yield* Fiber.join(waiting)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
          expect(yield* run(Redis.execute("LRANGE", "list", 0, -1))).toEqual(
            Array.from({ length: 50 }, (_, i) => `${i}`)
          )
        })
      )

      it.scoped(`RESP${protocol}: when the server is killed among writes, none is executed twice`, () =>
        Effect.gen(function* () {
          const redisServer = yield* makeServer(server, { appendonly: true })
          const { host, port } = redisServer
          const run = on(yield* Redis.make({ host, port, protocol, reconnect: Schedule.spaced("20 millis") }))
          let answered = 0
          const writes = yield* Effect.fork(
            Effect.forEach(
              Array.from({ length: 5_000 }),
              () => Effect.exit(Effect.tap(run(Redis.incr("n")), () => Effect.sync(() => answered++))),
              { concurrency: 50 }
            )
          )
          yield* Peer.eventually("some are done", () => answered > 100)
          yield* redisServer.kill
          yield* redisServer.start
          const exits = yield* Fiber.join(writes)
          const done = exits.filter(Exit.isSuccess).length
          const unknown = exits.filter(Exit.isFailure).map(failure)
          for (const error of unknown) {
            expect(error).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
          }
          // At most the commands that were in flight when the server was killed.
          expect(unknown.length).toBeLessThanOrEqual(50)
          const n = Number(Option.getOrThrow(yield* run(Redis.get("n"))))
          expect(n).toBeGreaterThanOrEqual(done)
          expect(n).toBeLessThanOrEqual(done + unknown.length)
        })
      )

      it.scoped(`RESP${protocol}: a paused server: deadlines pass, and a late reply reaches no other caller`, () =>
        Effect.gen(function* () {
          const { redis, redisServer } = yield* start
          const run = on(redis)
          yield* run(Redis.mset({ a: "A", b: "B" }))
          yield* redisServer.pause
          const late = yield* Effect.exit(run(RedisCommand.withDeadline(Redis.get("a"), "50 millis")))
          expect(failure(late)).toMatchObject({ _tag: "DeadlineError", phase: "reply", delivery: "unknown" })
          yield* redisServer.resume
          expect(yield* run(Redis.get("b"))).toEqual(Option.some("B"))
        })
      )
    }

    it.scoped("a user without MULTI: the commands ran one by one, and the error says so", () =>
      Effect.gen(function* () {
        const { host, port } = yield* makeServer(server, { acl: [noMulti] })
        const run = on(yield* Redis.make({ host, port, username: "ada", password: Redacted.make("secret") }))
        yield* run(Redis.set("text", "x"))
        const error = failure(
          yield* Effect.exit(
            run(Redis.transaction({ n: Redis.incr("n"), wrong: Redis.incr("text"), m: Redis.incr("n") }))
          )
        )
        expect(error).toMatchObject({ _tag: "TransactionError", reason: "refused", at: "wrong" })
        const { m, n, wrong } = (error as TransactionError<Record<string, Either.Either<number, RedisError>>>)
          .results as {
          readonly [K in "m" | "n" | "wrong"]: Either.Either<number, RedisError>
        }
        expect([n, m]).toEqual([Either.right(1), Either.right(2)])
        expect(Either.getOrThrow(Either.flip(wrong))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        expect(yield* run(Redis.get("n"))).toEqual(Option.some("2"))
      })
    )

    it.scoped("a user without EXEC: nothing is executed, and later commands are not queued", () =>
      Effect.gen(function* () {
        const { host, port } = yield* makeServer(server, { acl: ["ada on >secret ~* &* +@all -exec"] })
        const run = on(yield* Redis.make({ host, port, username: "ada", password: Redacted.make("secret") }))
        const [refused, after] = yield* Effect.all(
          [Effect.exit(run(Redis.transaction([Redis.incr("n")]))), run(Redis.ping())],
          { concurrency: "unbounded" }
        )
        expect(failure(refused)).toMatchObject({ _tag: "TransactionError", reason: "discarded" })
        expect(after).toBe("PONG")
        expect(yield* run(Redis.get("n"))).toEqual(Option.none())
      })
    )
  })

  layer(serverLayer(server))("a server", (it) => {
    for (const protocol of [2, 3] as const) {
      describe(`RESP${protocol}`, () => {
        const make = (more: RedisOptions = {}) =>
          Effect.gen(function* () {
            const { host, port } = yield* RedisServer.RedisServer
            const redis = yield* Redis.make({ host, port, protocol, reconnect: quickly, ...more })
            yield* on(redis)(Redis.execute("FLUSHALL"))
            return on(redis)
          })

        it.scoped("refuses state-changing commands while others go on", () =>
          Effect.gen(function* () {
            const run = yield* make({ database: 3 })
            for (const words of [["select", "0"], ["MULTI"], ["reset"], ["client", "reply", "off"]]) {
              const [name = "", ...args] = words
              expect(failure(yield* Effect.exit(run(Redis.execute(name, ...args))))).toMatchObject({
                _tag: "UsageError",
                reason: "statefulCommand"
              })
            }
            yield* run(Redis.set("here", "1"))
            expect(yield* run(Redis.execute("CLIENT", "INFO"))).toMatch(/ db=3 /)
          })
        )

        it.scoped("blocking commands do not stall others", () =>
          Effect.gen(function* () {
            const run = yield* make()
            const blocked = yield* Effect.forEach(Array.from({ length: 5 }), (_, i) =>
              Effect.fork(run(Redis.execute("BLPOP", RedisCommand.key(`queue:${i}`), 0)))
            )
            yield* Effect.repeat(run(Redis.execute("INFO", "clients")), {
              until: (info) => /blocked_clients:5/.test(String(info))
            })
            expect(yield* run(Redis.ping())).toBe("PONG")
            for (let i = 0; i < 5; i++) {
              yield* run(Redis.rpush(`queue:${i}`, [`job ${i}`]))
            }
            expect(yield* Effect.forEach(blocked, Fiber.join)).toEqual(
              Array.from({ length: 5 }, (_, i) => [`queue:${i}`, `job ${i}`])
            )
          })
        )

        it.scoped("reconnects after CLIENT KILL: readonly commands succeed, writes are not executed twice", () =>
          Effect.gen(function* () {
            const run = yield* make()
            const killer = yield* make()
            yield* run(Redis.set("a", "A"))
            const id = yield* run(Redis.execute("CLIENT", "ID"))
            const reads = yield* Effect.fork(
              Effect.forEach(Array.from({ length: 2_000 }), () => run(Redis.get("a")), { concurrency: 20 })
            )
            const writes = yield* Effect.fork(
              Effect.forEach(Array.from({ length: 2_000 }), () => Effect.exit(run(Redis.incr("n"))), {
                concurrency: 20
              })
            )
            yield* Effect.repeat(killer(Redis.get("n")), { until: (n) => Number(Option.getOrElse(n, () => 0)) > 20 })
            yield* killer(Redis.execute("CLIENT", "KILL", "ID", Number(id)))
            expect(new Set((yield* Fiber.join(reads)).map(Option.getOrThrow))).toEqual(new Set(["A"]))
            const exits = yield* Fiber.join(writes)
            const done = exits.filter(Exit.isSuccess).length
            for (const exit of exits.filter(Exit.isFailure)) {
              expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
            }
            const n = Number(Option.getOrThrow(yield* run(Redis.get("n"))))
            expect(n).toBeGreaterThanOrEqual(done)
            expect(n).toBeLessThanOrEqual(exits.length)
            expect(yield* run(Redis.execute("CLIENT", "ID"))).not.toBe(id)
          })
        )

        it.scoped("a pipeline answers in the shape it was given", () =>
          Effect.gen(function* () {
            const run = yield* make()
            const [nothing, set, n] = yield* run(Redis.pipeline([Redis.get("a"), Redis.set("a", "1"), Redis.incr("a")]))
            expect([nothing, set, n]).toEqual([Option.none(), undefined, 2])
            const array = yield* run(Redis.pipeline(Array.from({ length: 1_000 }, () => Redis.incr("a"))))
            expect(array).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 3))
            const record = yield* run(Redis.pipeline({ a: Redis.get("a"), ["__proto__"]: Redis.incr("a") }))
            expect(Object.entries(record)).toEqual([
              ["a", Option.some("1002")],
              ["__proto__", 1003]
            ])
            const users = Redis.withCodec(Codec.schema(User))
            const ada = { name: "Ada", born: 1815 }
            expect(
              yield* run(Redis.pipeline([users.set("u", ada), users.get("u"), Redis.withCodec(Codec.bytes).get("a")]))
            ).toEqual([undefined, Option.some(ada), Option.some(new TextEncoder().encode("1003"))])
          })
        )

        it.scoped(
          "a failing slot fails a pipeline with every slot's result; in either mode it is one of the results",
          () =>
            Effect.gen(function* () {
              const run = yield* make()
              yield* run(Redis.set("text", "x"))
              const commands = { before: Redis.incr("n"), wrong: Redis.incr("text"), after: Redis.incr("n") }
              const error = failure(yield* Effect.exit(run(Redis.pipeline(commands))))
              if (error._tag !== "PipelineError") {
                return yield* Effect.dieMessage(`not a PipelineError: ${error}`)
              }
              expect(error).toMatchObject({ at: "wrong", error: { _tag: "ReplyError", command: "INCR" } })
              expect(error.results.before).toEqual(Either.right(1))
              expect(error.results.after).toEqual(Either.right(2))
              const either = yield* run(Redis.pipeline(commands, { mode: "either" }))
              expect([either.before, either.after]).toEqual([Either.right(3), Either.right(4)])
              expect(Either.isLeft(either.wrong)).toBe(true)
              const unfit = yield* run(
                Redis.pipeline([Redis.withCodec(Codec.schema(User)).get("text"), Redis.incr("n")], { mode: "either" })
              )
              expect(Either.getOrThrow(Either.flip(unfit[0]))).toMatchObject({ _tag: "DecodeError", command: "GET" })
              expect(unfit[1]).toEqual(Either.right(5))
            })
        )

        it.scoped("a transaction answers in the shape it was given, as one unit", () =>
          Effect.gen(function* () {
            const run = yield* make()
            const transaction = Redis.transaction({ first: Redis.incr("n"), second: Redis.get("n") })
            expect(yield* run(transaction)).toEqual({ first: 1, second: Option.some("1") })
            // A transaction is a value: it can be run again, and concurrently.
            const all = yield* Effect.all(
              Array.from({ length: 200 }, () => run(Redis.transaction([Redis.incr("n"), Redis.get("n")]))),
              { concurrency: "unbounded" }
            )
            for (const [n, seen] of all) {
              expect(seen).toEqual(Option.some(String(n)))
            }
          })
        )

        it.scoped("a transaction with a command that is refused while queueing is discarded", () =>
          Effect.gen(function* () {
            const run = yield* make()
            const error = failure(
              yield* Effect.exit(run(Redis.transaction([Redis.incr("n"), Redis.execute("NOSUCHCOMMAND", "s3cret")])))
            )
            if (error._tag !== "TransactionError") {
              return yield* Effect.dieMessage(`not a TransactionError: ${error}`)
            }
            expect(error).toMatchObject({ reason: "discarded" })
            expect(String(error) + JSON.stringify(error)).not.toContain("s3cret")
            const [first, second] = error.results ?? []
            expect(first && Either.getOrThrow(Either.flip(first))).toMatchObject({ code: "EXECABORT" })
            expect(second && Either.getOrThrow(Either.flip(second))).toMatchObject({ command: "NOSUCHCOMMAND" })
            expect(yield* run(Redis.get("n"))).toEqual(Option.none())
          })
        )

        it.scoped("a transaction whose command fails was executed: reason failed, with the others' results", () =>
          Effect.gen(function* () {
            const run = yield* make()
            yield* run(Redis.set("text", "x"))
            const error = failure(
              yield* Effect.exit(run(Redis.transaction([Redis.incr("n"), Redis.incr("text"), Redis.incr("n")])))
            )
            if (error._tag !== "TransactionError") {
              return yield* Effect.dieMessage(`not a TransactionError: ${error}`)
            }
            expect(error).toMatchObject({ reason: "failed", at: 1, error: { _tag: "ReplyError", command: "INCR" } })
            expect(error.results?.[0]).toEqual(Either.right(1))
            expect(error.results?.[2]).toEqual(Either.right(2))
          })
        )

        it.scoped("withPrefix: keys and patterns, in pipelines and leases too; not values, not channels", () =>
          Effect.gen(function* () {
            const run = yield* make()
            const prefixed = <A, E>(effect: Effect.Effect<A, E, Redis>) => run(Redis.withPrefix(effect, "app[1]:"))
            yield* prefixed(Redis.set("a", "a"))
            yield* prefixed(Redis.pipeline([Redis.mset({ b: "b", c: "c" }), Redis.rename("c", "d")]))
            yield* prefixed(Redis.transaction([Redis.set(new TextEncoder().encode("e"), "e")]))
            yield* prefixed(
              Effect.scoped(
                Effect.flatMap(Redis, ({ lease }) => Effect.flatMap(lease, (redis) => redis.send(Redis.set("f", "f"))))
              )
            )
            yield* prefixed(Redis.execute("SET", RedisCommand.key("g"), "g"))
            yield* run(Redis.set("app1:x", "not ours"))
            const names = (keys: ReadonlyArray<string>) => [...keys].sort()
            expect(names(yield* prefixed(Redis.keys("*")))).toEqual(
              ["a", "b", "d", "e", "f", "g"].map((k) => `app[1]:${k}`)
            )
            expect(yield* run(Redis.get("app[1]:a"))).toEqual(Option.some("a"))
            const blocking = yield* Effect.fork(prefixed(Redis.execute("BLPOP", RedisCommand.key("list"), 0)))
            yield* run(Redis.rpush("app[1]:list", ["job"]))
            expect(yield* Fiber.join(blocking)).toEqual(["app[1]:list", "job"])
            expect(yield* prefixed(Redis.execute("PUBLISH", "news", "x"))).toBe(0)
          })
        )

        it.scoped("withPrefix does not touch channels", () =>
          Effect.gen(function* () {
            const { host, port } = yield* RedisServer.RedisServer
            const run = yield* make()
            const subscriber = yield* Connection.make({ host, port, protocol })
            yield* subscriber.execute("SUBSCRIBE", "news")
            expect(yield* run(Redis.withPrefix(Redis.execute("PUBLISH", "news", "x"), "app:"))).toBe(1)
          })
        )

        it.scoped("layerFromConnection: commands, pipelines and leases all use the one connection", () =>
          Effect.gen(function* () {
            const { host, port } = yield* RedisServer.RedisServer
            const client = Redis.layerFromConnection.pipe(
              Layer.provideMerge(Connection.layer({ host, port, protocol, database: 5 }))
            )
            yield* Effect.gen(function* () {
              const connection = yield* Connection.Connection
              const id = Option.getOrThrow(connection.id)
              expect(yield* Redis.execute("CLIENT", "ID")).toBe(id)
              const { lease } = yield* Redis
              expect(yield* Effect.flatMap(lease, (redis) => redis.send(Redis.execute("CLIENT", "ID")))).toBe(id)
              expect(yield* Redis.pipeline([Redis.set("a", "1"), Redis.incr("a")])).toEqual([undefined, 2])
              // The connection belongs to the caller, so SELECT is allowed.
              yield* Redis.execute("SELECT", 6)
              expect(yield* connection.db).toBe(6)
            }).pipe(Effect.provide(client))
          })
        )

        it.scoped("layerFromPool: every command may block, none may change a connection's state", () =>
          Effect.gen(function* () {
            const { host, port } = yield* RedisServer.RedisServer
            const client = Redis.layerFromPool.pipe(
              Layer.provideMerge(Pool.layer({ host, port, protocol, minSize: 0, maxSize: 2 }))
            )
            yield* Effect.gen(function* () {
              yield* Redis.execute("FLUSHALL")
              const blocked = yield* Effect.fork(Redis.execute("BLPOP", RedisCommand.key("queue"), 0))
              yield* Effect.repeat(Redis.execute("INFO", "clients"), {
                until: (info) => /blocked_clients:1/.test(String(info))
              })
              yield* Redis.rpush("queue", ["job"])
              expect(yield* Fiber.join(blocked)).toEqual(["queue", "job"])
              expect(yield* Redis.pipeline([Redis.set("a", "1"), Redis.incr("a")])).toEqual([undefined, 2])
              expect(yield* Redis.transaction([Redis.incr("a")])).toEqual([3])
              expect(failure(yield* Effect.exit(Redis.execute("select", 1)))).toMatchObject({
                reason: "statefulCommand"
              })
              // It would count the writes of another connection.
              expect(failure(yield* Effect.exit(Redis.execute("WAIT", 0, 10)))).toMatchObject({
                _tag: "UsageError",
                reason: "blockingCommand"
              })
              const pool = yield* Pool.Pool
              expect(yield* pool.size).toBe(yield* pool.freeSize)
            }).pipe(Effect.provide(client))
          })
        )
      })
    }

    const clients = Effect.flatMap(RedisServer.RedisServer, ({ host, port }) =>
      Effect.map(Connection.make({ host, port, clientInfo: false }), (connection) =>
        Effect.map(connection.executeText("CLIENT", "LIST"), (list) => String(list).trim().split("\n"))
      )
    )

    it.scoped("the same layer value is one client, two calls are two", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const list = yield* clients
        const named = Effect.map(list, (lines) => lines.filter((line) => / name=memo /.test(line)).length)
        const one = Redis.layer({ host, port, clientName: "memo" })
        const Both = Layer.merge(Layer.effect(Other, Redis).pipe(Layer.provide(one)), one)
        expect(yield* Effect.provide(named, Both)).toBe(1)
        expect(
          yield* Effect.gen(function* () {
            return (yield* Redis) === (yield* Other)
          }).pipe(Effect.provide(Both))
        ).toBe(true)
        // Another name, because the server may still list the previous client.
        const twice = Effect.map(list, (lines) => lines.filter((line) => / name=twice /.test(line)).length)
        const two = Layer.merge(
          Redis.layerAs(Other, { host, port, clientName: "twice" }),
          Redis.layer({ host, port, clientName: "twice" })
        )
        expect(yield* Effect.provide(twice, two)).toBe(2)
      })
    )

    it.scoped("two servers in one program: Tag, layerAs, using", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const other = yield* makeServer(server)
        yield* Effect.gen(function* () {
          yield* Redis.set("where", "here")
          yield* Redis.set("where", "there").pipe(Redis.using(Other))
          expect(yield* Redis.get("where")).toEqual(Option.some("here"))
          expect(yield* Redis.using(Redis.get("where"), Other)).toEqual(Option.some("there"))
          const both = Redis.pipeline([Redis.get("where"), Redis.del(["where"])])
          expect(yield* both.pipe(Redis.using(Other))).toEqual([Option.some("there"), 1])
          expect(yield* Redis.get("where")).toEqual(Option.some("here"))
          expect(yield* Redis.get("where").pipe(Redis.withPrefix("p:"), Redis.using(Other))).toEqual(Option.none())
        }).pipe(
          Effect.provide(Redis.layer({ host, port })),
          Effect.provide(Redis.layerAs(Other, { host: other.host, port: other.port }))
        )
      })
    )

    it.scoped("withCodec: the same commands with values of another type", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        yield* Effect.gen(function* () {
          const users = Redis.withCodec(Codec.schema(User))
          const bytes = Redis.withCodec(Codec.bytes)
          const ada = { name: "Ada", born: 1815 }
          yield* users.set("u", ada)
          expect(yield* users.get("u")).toEqual(Option.some(ada))
          expect(yield* users.mget(["u", "none"])).toEqual([Option.some(ada), Option.none()])
          const raw = Uint8Array.of(0, 255, 10, 13)
          yield* bytes.set("raw", raw)
          expect(yield* bytes.get("raw")).toEqual(Option.some(raw))
          expect((yield* bytes.keys("raw"))[0]).toEqual(new TextEncoder().encode("raw"))
          expect(failure(yield* Effect.exit(Redis.get("raw")))).toMatchObject({ _tag: "DecodeError", command: "GET" })
          expect(failure(yield* Effect.exit(users.get("raw")))).toMatchObject({ _tag: "DecodeError", command: "GET" })
        }).pipe(Effect.provide(Redis.layer({ host, port })))
      })
    )
  })
})
