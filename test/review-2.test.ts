/** What a second hostile review found in reconnecting, recovering, blocking, rotating and scripting. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Redis, RedisCommand, RedisPubSub, RedisScript } from "effect-redis-client"
import type { Orphan } from "../src/Redis.js"
import { connectTo, eachServer, failure, on, quickly } from "./support/client.js"
import * as Peer from "./support/peer.js"
import { listenOn, warnings } from "./support/pubsub.js"

const password = (text: string) => ({ password: Redacted.make(text) })

const named = (connection: Peer.PeerConnection, name: string) => connection.received.some(([word]) => word === name)

const auth = (connection: Peer.PeerConnection | undefined) => connection?.received[0]?.[4]

/** Credentials that a test rotates. */
const rotating = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<string>()
  yield* Queue.offer(queue, "one")
  return { credentials: Stream.map(Stream.fromQueue(queue), password), rotate: (to: string) => Queue.offer(queue, to) }
})

describe("a connection that was replaced", () => {
  it.scoped("what it owed when it ended goes over the one that is there", () =>
    Effect.gen(function* () {
      const { credentials, rotate } = yield* rotating
      const { peer, run } = yield* connectTo(
        {
          onCommand: (command, connection) =>
            Peer.greeting(() => (connection.index === 0 ? undefined : "$1\r\nx\r\n"))(command, connection)
        },
        // What is replaced is closed, and waits for what it owes no longer than that.
        { credentials, replyTimeout: "20 seconds", closeTimeout: "20 seconds" }
      )
      const fiber = yield* Effect.fork(run(Redis.get("k")))
      const [old] = peer.connections
      yield* Peer.eventually("GET is there", () => old !== undefined && named(old, "GET"))
      yield* rotate("two")
      yield* Peer.eventually("it is replaced", () => peer.connections[1]?.received.length === 3)
      yield* run(Redis.get("other"))
      old?.end()
      const before = performance.now()
      expect(yield* Fiber.join(fiber)).toEqual(Option.some("x"))
      // Not the deadline: nobody would look at the queue before that.
      expect(performance.now() - before).toBeLessThan(10_000)
    })
  )

  it.scoped("its late READONLY does not end the one that is there", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo({
        onCommand: (command, connection) =>
          Peer.greeting(() =>
            connection.index > 0 ? ":1\r\n" : command[1] === "a" ? "-READONLY a replica\r\n" : undefined
          )(command, connection)
      })
      const late = yield* Effect.fork(run(Redis.execute("INCR", "a")))
      const later = yield* Effect.fork(run(Redis.execute("INCR", "b")))
      expect(yield* Fiber.join(late)).toBe(1)
      yield* Peer.eventually("there is another", () => peer.connections.length === 2)
      peer.connections[0]?.write("-READONLY a replica\r\n")
      expect(yield* Fiber.join(later)).toBe(1)
      expect(peer.connections.length).toBe(2)
    })
  )

  it.scoped(
    "it ends with the client",
    () =>
      Effect.gen(function* () {
        const { credentials, rotate } = yield* rotating
        const peer = yield* Peer.make({
          onCommand: (command, connection) =>
            Peer.greeting(() => (connection.index === 0 ? undefined : "$1\r\nx\r\n"))(command, connection)
        })
        const program = Effect.gen(function* () {
          const redis = yield* Redis.make({
            host: "127.0.0.1",
            port: peer.port,
            credentials,
            replyTimeout: "1 minute",
            closeTimeout: "50 millis"
          })
          const fiber = yield* Effect.forkDaemon(Effect.exit(on(redis)(Redis.get("k"))))
          yield* Peer.eventually("GET is there", () => peer.connections.some((connection) => named(connection, "GET")))
          yield* rotate("two")
          yield* Peer.eventually("it is replaced", () => peer.connections[1]?.received.length === 3)
          return fiber
        })
        const fiber = yield* Effect.scoped(program)
        expect(failure(yield* Fiber.join(fiber))).toMatchObject({
          _tag: "ConnectionError",
          reason: "closed"
        })
        yield* Peer.eventually("no socket is left", () => peer.open() === 0)
      }),
    20_000
  )

  it.scoped("credentials that rotate while it is being made are used all the same", () =>
    Effect.gen(function* () {
      const { credentials, rotate } = yield* rotating
      const { peer, run } = yield* connectTo(
        {
          onCommand: (command, connection) =>
            connection.index === 1 && command[0] === "HELLO" ? undefined : Peer.greeting()(command, connection)
        },
        { credentials }
      )
      // The greeting of the second connection waits; meanwhile there are newer credentials.
      peer.connections[0]?.end()
      yield* Peer.eventually(
        "it reconnects",
        () => peer.connections[1]?.received.length === 1 || auth(peer.connections[1]) === "one"
      )
      yield* rotate("two")
      yield* Effect.yieldNow()
      peer.connections[1]?.write(`${Peer.hello3}+OK\r\n+OK\r\n`)
      yield* run(Redis.ping())
      yield* Peer.eventually("the newest are used", () => auth(peer.connections[2]) === "two")
    })
  )
})

describe("a server that became read-only", () => {
  const demoted: Peer.Script = {
    onCommand: (command, connection) =>
      Peer.greeting(() => {
        const replica = connection.index < 2
        switch (command[0]) {
          case "BLPOP":
            return replica ? "-READONLY a replica\r\n" : "*2\r\n$1\r\nk\r\n$1\r\nv\r\n"
          case "GET":
            return "$1\r\nx\r\n"
          case "MULTI":
            return "+OK\r\n"
          case "EXEC":
            return replica ? "-EXECABORT discarded\r\n" : "*1\r\n:1\r\n"
          default:
            return replica
              ? "-READONLY a replica\r\n"
              : connection.received.some(([word]) => word === "MULTI")
                ? "+QUEUED\r\n"
                : ":1\r\n"
        }
      })(command, connection)
  }

  it.scoped("is left by blocking commands too", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo(demoted, { maxDedicated: 1 })
      const pop = run(Redis.blpop(["k"], { timeout: "1 second" }))
      expect(failure(yield* Effect.exit(pop))).toMatchObject({ code: "READONLY" })
      expect(yield* pop).toEqual(Option.some(["k", "v"]))
    })
  )

  it.scoped("is left by pipelines of which only a part was refused", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo(demoted)
      const both = run(Redis.pipeline([Redis.get("x"), Redis.incr("n")], { mode: "either" }))
      expect((yield* both).map(({ _tag }) => _tag)).toEqual(["Right", "Left"])
      yield* Peer.eventually("it is left", () => peer.connections.length === 2)
    })
  )

  it.scoped("is left by transactions", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo(demoted)
      expect(failure(yield* Effect.exit(run(Redis.transaction([Redis.incr("n")]))))).toMatchObject({
        reason: "discarded"
      })
      yield* Peer.eventually("it is left", () => peer.connections.length === 2)
    })
  )
})

describe("blocking commands", () => {
  it.scoped("what came in the same turn as the interruption is an orphan", () =>
    Effect.gen(function* () {
      const orphans: Array<Orphan> = []
      const { run } = yield* connectTo(
        {
          onCommand: Peer.greeting((command) => (command[0] === "BLPOP" ? "*2\r\n$1\r\nk\r\n$1\r\nv\r\n" : "+OK\r\n"))
        },
        { onOrphan: (orphan) => Effect.sync(() => void orphans.push(orphan)) }
      )
      let interrupt = (): void => {}
      const command = RedisCommand.make("BLPOP", {
        args: [RedisCommand.key("k"), 10],
        decode: (reply) => {
          interrupt()
          return reply
        }
      })
      const fiber = yield* Effect.fork(run(command))
      interrupt = () => fiber.unsafeInterruptAsFork(FiberId.none)
      expect(Exit.isInterrupted(yield* Fiber.await(fiber))).toBe(true)
      yield* Peer.eventually("it is told of", () => orphans.length === 1)
      expect(orphans[0]).toMatchObject({ count: 1, reply: ["k", "v"] })
    })
  )
})

describe("what is the user's", () => {
  it.scoped("a handler of orphans that throws costs nothing but a warning", () =>
    Effect.gen(function* () {
      const { lines, layer } = warnings()
      const test = Effect.gen(function* () {
        const { peer, run } = yield* connectTo(
          { onCommand: Peer.greeting((command) => (command[0] === "BLPOP" ? undefined : ":1\r\n")) },
          {
            maxDedicated: 1,
            onOrphan: () => {
              throw new Error("broken")
            }
          }
        )
        const fiber = yield* Effect.fork(run(Redis.blpop(["k"], { timeout: "10 seconds" })))
        const blocked = () => peer.connections.find((connection) => named(connection, "BLPOP"))
        yield* Peer.eventually("it blocks", () => blocked() !== undefined)
        yield* Fiber.interrupt(fiber)
        blocked()?.write("*2\r\n$1\r\nk\r\n$1\r\nv\r\n")
        yield* Peer.eventually("it is said", () => lines.some((line) => line.includes("BLPOP took 1")))
      })
      yield* Effect.provide(test, layer)
    })
  )

  it.scoped("credentials that interrupt themselves do not end the attempts", () =>
    Effect.gen(function* () {
      let asked = 0
      const credentials = Effect.suspend(() => (++asked === 2 ? Effect.interrupt : Effect.succeed(password("x"))))
      const { peer, run } = yield* connectTo({ onCommand: Peer.greeting() }, { credentials })
      peer.connections[0]?.end()
      yield* Peer.eventually("they are asked again", () => asked >= 3)
      yield* run(Redis.ping())
    })
  )
})

describe("a subscription that is not taken from", () => {
  it.scoped("is not filled by the next connection either", () =>
    Effect.gen(function* () {
      const message = `>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$100000\r\n${"x".repeat(100_000)}\r\n`
      const short = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\ny\r\n"
      const confirmed = ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
      const peer = yield* Peer.make({
        onCommand: (command, connection) =>
          Peer.greeting(() =>
            command[0] !== "SUBSCRIBE"
              ? undefined
              : connection.index === 0
                ? `${confirmed}${short.repeat(8)}!broken\r\n`
                : confirmed + message.repeat(300)
          )(command, connection)
      })
      const service = yield* RedisPubSub.make({ host: "127.0.0.1", port: peer.port, reconnect: quickly })
      const mailbox = yield* RedisPubSub.mailbox("c", { strategy: "suspend", bufferSize: 8 }).pipe(listenOn(service))
      const second = () => peer.connections[1]?.socket
      yield* Peer.eventually("it is connected again", () => (second()?.bytesWritten ?? 0) > 30_000_000)
      let before = -1
      let since = performance.now()
      yield* Peer.eventually("the peer feels that nobody takes", () => {
        const waits = second()?.writableLength ?? 0
        if (waits !== before) {
          before = waits
          since = performance.now()
        }
        return performance.now() - since > 500
      })
      expect(before).toBeGreaterThan(0)
      expect(Option.getOrThrow(mailbox.unsafeSize())).toBeLessThan(100)
    })
  )
})

eachServer((it, { connect, protocol }) => {
  it.scoped("scripts that the server evicts, as new ones do from 500 on, are sent again", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      const script = (n: number) =>
        RedisScript.make({ source: `return ${n} + ${protocol} * 100000`, keys: 0, args: [] })()
      const all = Array.from({ length: 700 }, (_, n) => script(n))
      yield* run(Redis.pipeline(all))
      const again = yield* run(Redis.pipeline(all.slice(0, 100)))
      expect(again[7]).toBe(7 + protocol * 100_000)
    })
  )

  it.scoped("a repeatable script is repeatable by its SHA1 too", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      const sleepy = RedisScript.make({ source: "return redis.call('SET', KEYS[1], 'x')", keys: 1, args: [] })
      yield* run(sleepy(`warm:${protocol}`))
      yield* run(Redis.execute("CLIENT", "PAUSE", "300", "WRITE"))
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        Effect.zipRight(Deferred.succeed(started, undefined), run(RedisCommand.repeatable(sleepy(`k:${protocol}`))))
      )
      yield* Deferred.await(started)
      const other = yield* connect()
      yield* on(other)(Redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
      expect(yield* Fiber.join(fiber)).toBe("OK")
    })
  )
})
