/** Design laws 1–4, 6, 7, 8 and 12 on one connection, with scripted peers and real servers. */
import * as Net from "node:net"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Connection, Redis, RedisCommand } from "effect-redis-client"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { failure } from "../support/client.js"
import { connectTo, inFlight } from "../support/connection.js"
import * as Peer from "../support/peer.js"
import { realServers, serverLayer } from "../support/servers.js"

describe("laws 1 and 3: every command settles once, in order", () => {
  it.scoped(
    "commands issued in one turn are sent in one write, or in writes of 64 commands, and answered in order",
    () =>
      Effect.gen(function* () {
        const peer = yield* Peer.make({ onCommand: Peer.greeting(([, value]) => `$${value?.length}\r\n${value}\r\n`) })
        const socket = Net.connect({ host: "127.0.0.1", port: peer.port })
        // Counted on the client's side, because the peer may read several writes at once.
        const writes: Array<number> = []
        const write = socket.write.bind(socket) as (data: string, encoding: BufferEncoding) => boolean
        socket.write = (data: string | Uint8Array, encoding?: unknown) => {
          writes.push(data.length)
          return write(data as string, encoding as BufferEncoding)
        }
        const connection = yield* Connection.fromDuplex(socket)
        const writesOf = (values: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            writes.length = 0
            const answers = yield* Effect.forEach(values, (value) => connection.execute("ECHO", value), {
              concurrency: "unbounded"
            })
            expect(answers).toEqual(values)
            return writes.length
          })
        const many = (count: number) => Array.from({ length: count }, (_, i) => `v${i}`)
        expect(yield* writesOf(many(63))).toBe(1)
        expect(yield* writesOf(many(64))).toBe(1)
        expect(yield* writesOf(many(65))).toBe(2)
        expect(yield* writesOf(many(1_000))).toBe(16)
        // A write also ends at a number of bytes.
        expect(yield* writesOf(many(5).map((value) => value.repeat(5_000)))).toBe(2)
      })
  )

  it.scoped("a failing write ends the connection, and fails all commands in flight", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo(Peer.silent)
      const bytes = new Uint8Array(8)
      const fibers = yield* Effect.forEach(["a", "b"], (key) =>
        Effect.fork(Effect.exit(connection.execute("GET", key)))
      )
      const given = yield* Effect.fork(Effect.exit(connection.execute("SET", "k", bytes)))
      yield* Effect.yieldNow()
      // In the turn that issues the command: its buffer is transferred before it is written.
      yield* Effect.sync(() => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }))
      for (const fiber of [...fibers, given]) {
        expect(failure(yield* Fiber.join(fiber))).toMatchObject({ _tag: "ConnectionError", reason: "transport" })
      }
      expect(yield* connection.closed).toBe(true)
    })
  )

  it.scoped("an interrupted caller's late reply is discarded, never given to the next", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent)
      const fiber = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      yield* Fiber.interrupt(fiber)
      const next = yield* inFlight(connection.execute("GET", "b"), socket, 1)
      socket().write("$1\r\nA\r\n")
      socket().write("$1\r\nB\r\n")
      expect(yield* Fiber.join(next)).toEqual(Exit.succeed("B"))
    })
  )

  it.scoped("a passed deadline settles its caller; the late reply is read and discarded", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent)
      const slow = RedisCommand.make("GET", { args: ["a"] }).pipe(RedisCommand.withDeadline("50 millis"))
      const exit = yield* Effect.exit(connection.execute(slow))
      expect(failure(exit)).toMatchObject({
        _tag: "DeadlineError",
        phase: "reply",
        delivery: "unknown",
        command: "GET"
      })
      const next = yield* inFlight(connection.execute("GET", "b"), socket, 1)
      socket().write("$1\r\nA\r\n$1\r\nB\r\n")
      expect(yield* Fiber.join(next)).toEqual(Exit.succeed("B"))
    })
  )

  it.scoped("beyond maxInFlight commands wait unsent, and interruption removes them", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent, { maxInFlight: 1 })
      const first = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      const second = yield* Effect.fork(connection.execute("GET", "b"))
      const third = yield* Effect.fork(Effect.exit(connection.execute("GET", "c")))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(second)
      socket().write("$1\r\nA\r\n")
      expect(yield* Fiber.join(first)).toEqual(Exit.succeed("A"))
      yield* Peer.eventually("the next is sent", () => socket().received.at(-1)?.[1] === "c")
      socket().write("$1\r\nC\r\n")
      expect(yield* Fiber.join(third)).toEqual(Exit.succeed("C"))
      expect(socket().received.map((words) => words[1])).not.toContain("b")
    })
  )

  it.scoped("beyond maxQueuedCommands a command is refused, typed and unsent", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent, { maxInFlight: 1, maxQueuedCommands: 2 })
      yield* inFlight(connection.execute("GET", "a"), socket, 1)
      yield* Effect.fork(connection.execute("GET", "b"))
      yield* Effect.fork(connection.execute("GET", "c"))
      yield* Effect.yieldNow()
      const exit = yield* Effect.exit(connection.execute("GET", "d"))
      expect(failure(exit)).toMatchObject({ _tag: "OverflowError", limit: "commands", maximum: 2, command: "GET" })
    })
  )
})

describe("a reply never reaches the wrong caller", () => {
  it.scoped("an empty batch owes no reply", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port })
      for (const atomic of [false, true]) {
        expect(yield* redis.sendAll([], { atomic })).toEqual({ outcome: "executed", exits: [] })
        expect(yield* redis.send(Redis.ping())).toBe("PONG")
      }
      expect(peer.connections.flatMap(Peer.sent)).toEqual(["PING", "PING"])
    })
  )

  const old: Connection.ConnectionOptions = { protocol: 2, clientInfo: false }
  const oldPeer = (): Peer.Script => ({
    onCommand: ([name, ...args]) => {
      switch (name) {
        case "SUBSCRIBE":
          return args.map((channel, i) => `*3\r\n$9\r\nsubscribe\r\n$1\r\n${channel}\r\n:${i + 1}\r\n`).join("")
        case "UNSUBSCRIBE":
          return args
            .map((channel, i) => `*3\r\n$11\r\nunsubscribe\r\n$1\r\n${channel}\r\n:${args.length - i - 1}\r\n`)
            .join("")
        case "LRANGE":
          return "*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n"
        case "CLIENT":
          return ":1\r\n"
        default:
          return "+PONG\r\n"
      }
    }
  })

  it.scoped("RESP2: after the last unsubscription, a list that looks like a message is read as a reply", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo(oldPeer(), old)
      yield* connection.execute("SUBSCRIBE", "a", "b")
      yield* connection.execute("UNSUBSCRIBE", "a", "b")
      expect(yield* connection.execute("LRANGE", "list", 0, -1)).toEqual(["message", "x"])
      expect(yield* connection.execute("PING")).toBe("PONG")
    })
  )

  it.scoped(
    "RESP2: a list that looks like a message is read as a reply while its command, sent before SUBSCRIBE, is unanswered",
    () =>
      Effect.gen(function* () {
        const { connection } = yield* connectTo(oldPeer(), old)
        const [list] = yield* Effect.all(
          [connection.execute("LRANGE", "list", 0, -1), connection.execute("SUBSCRIBE", "a")],
          { concurrency: "unbounded" }
        )
        expect(list).toEqual(["message", "x"])
      })
  )

  it.scoped("SUBSCRIBE inside MULTI is refused", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo({
        onCommand: Peer.greeting(([name]) =>
          name === "MULTI" ? "+OK\r\n" : name === "EXEC" ? "*0\r\n" : "+QUEUED\r\n"
        )
      })
      yield* connection.execute("MULTI")
      const exit = yield* Effect.exit(
        connection.execute(
          RedisCommand.withDeadline(RedisCommand.make("SUBSCRIBE", { args: ["a", "b"] }), "10 seconds")
        )
      )
      expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "refusedCommand" })
      expect(yield* connection.execute("EXEC")).toEqual([])
    })
  )
})

describe("law 2: a command that cannot be encoded never reaches the queue", () => {
  for (const [what, args] of [
    ["NaN", [Number.NaN]],
    ["an unsafe integer", [2 ** 53]],
    ["a lone surrogate", ["a\uD800b"]],
    ["an integer beyond 64 bits", [2n ** 64n]]
  ] as const) {
    it.scoped(`${what} is refused, and the connection goes on`, () =>
      Effect.gen(function* () {
        const { connection, socket } = yield* connectTo({ onCommand: Peer.greeting(() => "+PONG\r\n") })
        const exit = yield* Effect.exit(connection.execute("ECHO", ...args))
        expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidArgument", command: "ECHO" })
        expect(yield* connection.execute("PING")).toBe("PONG")
        expect(socket().received.map(([name]) => name)).not.toContain("ECHO")
      })
    )
  }

  it.scoped("an invalid database is refused before anything is sent", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo({ onCommand: Peer.greeting() })
      for (const database of [-1, 1.5, Number.NaN, "2" as unknown as number]) {
        const exit = yield* Effect.exit(connection.select(database))
        expect(failure(exit)).toMatchObject({ _tag: "UsageError" })
      }
      expect(socket().received.map(([name]) => name)).not.toContain("SELECT")
      yield* connection.select(4)
      expect(yield* connection.db).toBe(4)
    })
  )
})

describe("law 4: what ends a connection, and what does not", () => {
  it.scoped("a peer that closes mid-reply fails all commands in flight, delivery unknown", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent)
      const first = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      const second = yield* inFlight(connection.execute("GET", "b"), socket, 1)
      socket().write("$10\r\nabc")
      socket().end()
      for (const fiber of [first, second]) {
        expect(failure(yield* Fiber.join(fiber))).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      }
      expect(yield* connection.closed).toBe(true)
      expect(Option.getOrThrow(yield* connection.closeReason)).toMatchObject({ reason: "peerClosed" })
      const late = yield* Effect.exit(connection.execute("PING"))
      expect(failure(late)).toMatchObject({ _tag: "ConnectionError", delivery: "unsent" })
    })
  )

  it.scoped("garbage after a good reply: its caller is answered, all others fail", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent)
      const first = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      const second = yield* inFlight(connection.execute("GET", "b"), socket, 1)
      const third = yield* inFlight(connection.execute("GET", "c"), socket, 1)
      socket().write("$1\r\nA\r\nxyz\r\n$1\r\nC\r\n")
      expect(yield* Fiber.join(first)).toEqual(Exit.succeed("A"))
      for (const fiber of [second, third]) {
        expect(failure(yield* Fiber.join(fiber))._tag).toBe("ProtocolError")
      }
      expect(yield* connection.closed).toBe(true)
    })
  )

  it.scoped("an unrequested reply ends the connection", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent)
      socket().write("+SURPRISE\r\n")
      yield* Peer.eventually("it is closed", () => Effect.runSync(connection.closed))
      expect(Option.getOrThrow(yield* connection.closeReason)).toMatchObject({ reason: "protocol" })
    })
  )

  it.scoped("a reply that does not decode fails its caller only", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo({
        onCommand: Peer.greeting(([name]) =>
          name === "BAD" ? Uint8Array.of(36, 49, 13, 10, 0xff, 13, 10) : "+PONG\r\n"
        )
      })
      const [bad, good] = yield* Effect.all([Effect.exit(connection.execute("BAD")), connection.execute("PING")], {
        concurrency: "unbounded"
      })
      expect(failure(bad)).toMatchObject({ _tag: "DecodeError", command: "BAD" })
      expect(good).toBe("PONG")
    })
  )

  it.scoped("a throw in map is a defect of its caller, and the connection goes on", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo({ onCommand: Peer.greeting(() => "+PONG\r\n") })
      const boom = RedisCommand.map(RedisCommand.make("PING"), (): never => {
        throw new Error("boom")
      })
      const exit = yield* Effect.exit(connection.execute(boom))
      expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
      expect(yield* connection.execute("PING")).toBe("PONG")
    })
  )

  it.scoped("pushes at any position settle no command, and are a Stream", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(Peer.silent)
      const pushes = yield* Effect.fork(Stream.runCollect(Stream.take(connection.pushes, 2)))
      const reply = yield* inFlight(connection.execute("MGET", "a", "b"), socket, 1)
      socket().write(">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n*2\r\n$1\r\n1\r\n>2\r\n+invalidate\r\n_\r\n$1\r\n2\r\n")
      expect(yield* Fiber.join(reply)).toEqual(Exit.succeed(["1", "2"]))
      const seen = Chunk.toReadonlyArray(yield* Fiber.join(pushes))
      expect(seen.map((push) => push.items)).toEqual([
        ["invalidate", ["a"]],
        ["invalidate", null]
      ])
    })
  )
})

describe("law 7: state", () => {
  it.scoped("CLIENT REPLY OFF and SKIP are refused everywhere, raw ones and lower case included", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo({ onCommand: Peer.greeting() })
      for (const args of [["client", "reply", "off"], ["CLIENT REPLY", "SKIP"], ["client reply off"]] as const) {
        const exit = yield* Effect.exit(connection.execute(...(args as unknown as [string, ...Array<string>])))
        expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "refusedCommand" })
      }
      expect(socket().received.map((words) => words[1]?.toUpperCase())).not.toContain("REPLY")
    })
  )

  for (const [name, ...args] of [["SHUTDOWN", "NOSAVE"], ["QUIT"]] as const) {
    it.scoped(`${name} succeeds when the socket closes`, () =>
      Effect.gen(function* () {
        const { connection } = yield* connectTo({
          onCommand: Peer.greeting((_, connection) => {
            connection.end()
            return undefined
          })
        })
        expect(yield* connection.execute(name, ...args)).toBe("OK")
      })
    )
  }
})

describe("law 8: infinite waits", () => {
  it.scoped("are sent in slices, until there is a reply", () =>
    Effect.gen(function* () {
      const asked = (socket: Peer.PeerConnection) => socket.received.filter(([name]) => name === "BLPOP")
      const { connection, socket } = yield* connectTo(
        {
          onCommand: Peer.greeting((_, peer) => {
            if (asked(peer).length === 3) {
              return "*2\r\n$1\r\nk\r\n$1\r\nv\r\n"
            }
            // Half of unresponsiveTimeout; the other half is slack for a busy machine.
            setTimeout(() => peer.write("*-1\r\n"), 1_500)
            return undefined
          })
        },
        { unresponsiveTimeout: "3 seconds" }
      )
      expect(yield* connection.execute(Redis.blpop("k", { timeout: Duration.infinity }))).toEqual(
        Option.some(["k", "v"])
      )
      expect(asked(socket())).toEqual(Array.from({ length: 3 }, () => ["BLPOP", "k", "1.5"]))
    })
  )

  it.scoped("end with nil when another client unblocks them", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo({ onCommand: Peer.greeting(() => "*-1\r\n") })
      expect(yield* connection.execute(Redis.blpop("k", { timeout: Duration.infinity }))).toEqual(Option.none())
      expect(socket().received.at(-1)).toEqual(["BLPOP", "k", "15"])
    })
  )

  it.scoped("are not sliced when they have a timeout or a deadline; `$` is resolved first", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo({ onCommand: Peer.greeting(() => "*-1\r\n") })
      yield* connection.execute("BLPOP", "k", "0.5")
      yield* connection.execute(
        RedisCommand.make("BLPOP", { args: ["k", 0] }).pipe(RedisCommand.withDeadline("1 minute"))
      )
      yield* connection.execute("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
      expect(socket().received.slice(-4)).toEqual([
        ["BLPOP", "k", "0.5"],
        ["BLPOP", "k", "0"],
        ["XREVRANGE", "s", "+", "-", "COUNT", "1"],
        ["XREAD", "BLOCK", "15000", "STREAMS", "s", "0-0"]
      ])
    })
  )
})

describe.each(realServers)("on $name", (server) => {
  const withServer = <A, E>(test: (url: RedisServer.RedisServer) => Effect.Effect<A, E, Scope.Scope>) =>
    Effect.flatMap(RedisServer.RedisServer, test).pipe(Effect.provide(serverLayer(server)))

  const options = (server: RedisServer.RedisServer, protocol: 2 | 3): Connection.ConnectionOptions => ({
    host: server.host,
    port: server.port,
    protocol
  })

  for (const protocol of [2, 3] as const) {
    describe(`RESP${protocol}`, () => {
      it.scoped("100 000 commands in one pipeline", () =>
        withServer((server) =>
          Effect.gen(function* () {
            const connection = yield* Connection.make({ ...options(server, protocol), replyTimeout: "1 minute" })
            const result = yield* connection.redis.sendAll(
              Array.from({ length: 100_000 }, () => Redis.incr("counter")),
              { atomic: false }
            )
            expect(result.exits.length).toBe(100_000)
            expect(result.exits.at(-1)).toEqual(Exit.succeed(100_000))
            const answers = yield* Effect.forEach(
              Array.from({ length: 5_000 }),
              () => connection.execute(Redis.incr("counter")),
              { concurrency: "unbounded" }
            )
            expect(new Set(answers).size).toBe(5_000)
          })
        )
      )

      it.scoped(
        "50 MB each way at once: reading never waits for writing",
        () =>
          withServer((server) =>
            Effect.gen(function* () {
              const connection = yield* Connection.make({ ...options(server, protocol), replyTimeout: "60 seconds" })
              const value = new Uint8Array(50 * 1024 * 1024).fill(97)
              yield* connection.execute("SET", "big", value)
              const replies = yield* Effect.all(
                [
                  connection.executeBytes("GET", "big"),
                  connection.execute("SET", "other", value),
                  connection.executeBytes("GET", "big"),
                  connection.execute("SET", "third", value)
                ],
                { concurrency: "unbounded" }
              )
              expect(replies.map((reply) => (reply instanceof Uint8Array ? reply.length : reply))).toEqual([
                value.length,
                "OK",
                value.length,
                "OK"
              ])
            })
          ),
        120_000
      )

      it.scoped("the event loop keeps turning while thousands of fibers are answered", () =>
        withServer((server) =>
          Effect.gen(function* () {
            const connection = yield* Connection.make(options(server, protocol))
            yield* connection.execute("SET", "k", "x".repeat(64))
            let answered = 0
            let most = 0
            let over = false
            const turn = (): void => {
              most = Math.max(most, answered)
              answered = 0
              if (!over) {
                setImmediate(turn)
              }
            }
            setImmediate(turn)
            const count = Effect.sync(() => {
              answered++
            })
            const fiber = Effect.replicateEffect(Effect.zipRight(connection.execute("GET", "k"), count), 50)
            yield* Effect.replicateEffect(fiber, 3_000, { concurrency: "unbounded", discard: true })
            over = true
            // In one turn libuv reads at most 32 chunks of 64 KB, with some 900 replies each.
            expect(most).toBeLessThan(12_000)
          })
        )
      )

      it.scoped("subscriptions on a connection settle, and messages arrive as pushes", () =>
        withServer((server) =>
          Effect.gen(function* () {
            const connection = yield* Connection.make(options(server, protocol))
            const publisher = yield* Connection.make(options(server, protocol))
            const messages = yield* Effect.fork(
              Stream.runCollect(
                connection.pushes.pipe(
                  Stream.filter((push) => push.kind === "message"),
                  Stream.take(2)
                )
              )
            )
            yield* connection.execute("SUBSCRIBE", "news", "sports")
            yield* publisher.execute("PUBLISH", "news", "one")
            yield* publisher.execute("PUBLISH", "sports", "two")
            const seen = Chunk.toReadonlyArray(yield* Fiber.join(messages))
            expect(seen.map((push) => push.items)).toEqual([
              ["message", "news", "one"],
              ["message", "sports", "two"]
            ])
            const exit = yield* Effect.exit(connection.execute("UNSUBSCRIBE"))
            expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "refusedCommand" })
            yield* connection.execute("UNSUBSCRIBE", "news", "sports")
          })
        )
      )

      it.scoped("MONITOR lines arrive as pushes", () =>
        withServer((server) =>
          Effect.gen(function* () {
            const connection = yield* Connection.make(options(server, protocol))
            const other = yield* Connection.make(options(server, protocol))
            const lines = yield* Effect.fork(
              Stream.runHead(
                connection.pushes.pipe(Stream.filter((push) => String(push.items[1]).includes("watched-key")))
              )
            )
            yield* connection.execute("MONITOR")
            yield* other.execute("GET", "watched-key")
            expect(Option.isSome(yield* Fiber.join(lines))).toBe(true)
            const exit = yield* Effect.exit(connection.execute("PING"))
            expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "refusedCommand" })
          })
        )
      )
    })
  }
})
