/** Opening and closing a connection end in bounded time, whatever the peer does. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Connection, Pool, Redis } from "effect-redis-client"
import { hasEnded } from "../../src/internal/effect/fork.js"
import type { RedisError } from "../../src/RedisError.js"
import { failure } from "../support/client.js"
import { connectTo, inFlight } from "../support/connection.js"
import { netSocket, yieldingAt } from "../support/effect.js"
import * as Peer from "../support/peer.js"
import { faraway, pause, promptly } from "../support/timing.js"

describe("opening ends in time", () => {
  it.scoped("connectTimeout ends an uninterruptible attempt", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({})
      const options = { host: "127.0.0.1", port: peer.port, connectTimeout: "100 millis" } as const
      const openings: ReadonlyArray<Effect.Effect<unknown, RedisError, Scope.Scope>> = [
        Connection.make(options),
        Pool.make(options),
        Redis.make(options)
      ]
      for (const opening of openings) {
        const exit = yield* promptly(Effect.exit(Effect.uninterruptible(Effect.scoped(opening))))
        expect(failure(exit)).toMatchObject({ _tag: "DeadlineError", phase: "connect" })
      }
      yield* Peer.eventually("no socket is left", () => peer.open() === 0)
    })
  )

  it.scoped("building a client for an absent server fails in time, even when uninterruptible", () =>
    Effect.gen(function* () {
      const peer = yield* Effect.scoped(Peer.make({}))
      for (const reconnect of [Schedule.spaced("10 millis"), Schedule.spaced("1 hour")]) {
        const exit = yield* promptly(
          Effect.exit(
            Effect.uninterruptible(
              Effect.scoped(Redis.make({ host: "127.0.0.1", port: peer.port, connectTimeout: "1 second", reconnect }))
            )
          )
        )
        expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "connect" })
      }
    })
  )

  it.scoped("connectTimeout alone bounds the handshake, not replyTimeout", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: (command, connection) => {
          if (command[0] === "HELLO") {
            setTimeout(() => connection.write(`${Peer.hello3}+OK\r\n+OK\r\n`), 100)
            return undefined
          }
          return undefined
        }
      })
      yield* Connection.make({ host: "127.0.0.1", port: peer.port, replyTimeout: "20 millis" })
    })
  )

  it.scoped("opening a connection over a platform Socket ends when it is interrupted, at whatever step", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      for (let at = 1; at < 200; at++) {
        const socket = yield* netSocket({ host: "127.0.0.1", port: peer.port })
        const fiber = yield* Effect.fork(Effect.scoped(Connection.fromSocket(socket)).pipe(yieldingAt(at)))
        yield* Effect.yieldNow()
        const ended = yield* Effect.forkDaemon(Fiber.interrupt(fiber))
        yield* Peer.eventually(`it ends (${at})`, () => hasEnded(ended))
      }
    })
  )
})

describe("law 13: closing", () => {
  it.scoped("waits for the replies owed, then closes", () =>
    Effect.gen(function* () {
      const { connection, peer, socket } = yield* connectTo(Peer.silent)
      const owed = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      const closing = yield* Effect.fork(connection.close)
      yield* Effect.yieldNow()
      expect(failure(yield* Effect.exit(connection.execute("PING")))).toMatchObject({
        _tag: "ConnectionError",
        delivery: "unsent"
      })
      socket().write("$1\r\nA\r\n")
      expect(yield* Fiber.join(owed)).toEqual(Exit.succeed("A"))
      yield* Fiber.join(closing)
      yield* Peer.eventually("the socket is closed", () => peer.open() === 0)
    })
  )

  it.scoped("waits no longer than closeTimeout, under TestClock too", () =>
    Effect.gen(function* () {
      const { connection, peer, socket } = yield* connectTo(Peer.silent, { closeTimeout: "50 millis" })
      const owed = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      yield* connection.close
      expect(failure(yield* Fiber.join(owed))).toMatchObject({
        _tag: "ConnectionError",
        reason: "closed",
        delivery: "unknown"
      })
      yield* Peer.eventually("the socket is closed", () => peer.open() === 0)
    })
  )

  it.scoped("does not wait for blocking commands", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent, { closeTimeout: "1 minute" })
      const blocked = yield* inFlight(connection.execute("BLPOP", "list", 0), socket, 1)
      yield* connection.close
      expect(failure(yield* Fiber.join(blocked))).toMatchObject({ _tag: "ConnectionError", reason: "closed" })
    })
  )

  it.scoped("two concurrent closes end with the last reply owed", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent, { closeTimeout: faraway })
      const owed = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      const closing = yield* Effect.fork(Effect.all([connection.close, connection.close], { concurrency: "unbounded" }))
      yield* Effect.yieldNow()
      yield* pause(10)
      socket().write("$1\r\nA\r\n")
      yield* Fiber.join(owed)
      yield* promptly(Fiber.join(closing))
    })
  )

  it.scoped("waits for the replies owed before the first blocking command, and for no other", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent, { closeTimeout: faraway })
      yield* inFlight(connection.execute("GET", "a"), socket, 1)
      yield* inFlight(connection.execute("BLPOP", "list", 0), socket, 1)
      const closing = yield* Effect.fork(connection.close)
      yield* pause(10)
      socket().write("$1\r\nA\r\n")
      yield* promptly(Fiber.join(closing))
    })
  )
})

describe("law 11: a silent peer", () => {
  it.scoped("a dead peer is noticed while the reply of a timed-out blocking command is still owed", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo(Peer.silent, {
        replyTimeout: "50 millis",
        unresponsiveTimeout: "1 second"
      })
      yield* Effect.exit(connection.execute("BLPOP", "list", 0.05))
      yield* Peer.eventually("the connection ends", () => Effect.runSync(connection.closed))
      expect(Option.getOrThrow(yield* connection.closeReason)).toMatchObject({ reason: "unresponsive" })
    })
  )
})
