/** Each of these was red once: what a hostile review of the connection, the pool and the client found. */
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Codec, Connection, Pool, Redis, RedisCommand } from "effect-redis-client"
import * as Options from "../src/internal/connection/options.js"
import type { RedisError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import * as Peer from "./support/peer.js"
import { realServers, serverLayer } from "./support/servers.js"

const failure = <A, E>(exit: Exit.Exit<A, E>): E =>
  Option.getOrThrow(Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none())

const connectTo = (script: Peer.Script, options: Connection.ConnectionOptions = {}) =>
  Effect.gen(function* () {
    const peer = yield* Peer.make(script)
    const connection = yield* Connection.make({ host: "127.0.0.1", port: peer.port, ...options })
    return { peer, connection, socket: () => peer.connections.at(-1) as Peer.PeerConnection }
  })

/** A peer that greets and then only listens. */
const silent: Peer.Script = { onCommand: Peer.greeting(() => undefined) }
const pong: Peer.Script = { onCommand: Peer.greeting(() => "+PONG\r\n") }

const sent = ({ received }: Peer.PeerConnection): ReadonlyArray<string> =>
  received.filter(([name]) => name !== "HELLO" && name !== "CLIENT").map((words) => words.join(" "))

/** Runs an effect in a fiber and waits until the peer has seen so many commands more. */
const inFlight = <A, E>(effect: Effect.Effect<A, E>, socket: () => Peer.PeerConnection, commands: number) =>
  Effect.gen(function* () {
    const before = socket().received.length
    const fiber = yield* Effect.fork(Effect.exit(effect))
    yield* Peer.eventually("the commands arrived", () => socket().received.length >= before + commands)
    return fiber
  })

const borrow = <A, E>(
  pool: Pool.Pool,
  use: (connection: Connection.Connection) => Effect.Effect<A, E>
): Effect.Effect<A, E | RedisError> => Effect.scoped(Effect.flatMap(pool.acquire, use))

const gaugeOf = { description: "Connections of Redis pools" }

const pause = (millis: number) => Effect.promise(() => new Promise<void>((done) => setTimeout(done, millis)))

/** Runs a fiber so that it yields, once, before its `at`th operation: others run there, where they seldom do. */
const yieldingAt = (at: number) => {
  let count = 0
  return Effect.withScheduler({
    scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
    shouldYield: () => (++count === at ? 0 : false)
  })
}

/**
 * Expects an effect to end in real time by itself, and not by a time limit of its own: those are `late` where this is
 * used. Machines are slow, so there is plenty of room in between.
 */
const soon = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.tap(effect, () => expect(performance.now() - started).toBeLessThan(20_000))
  })
const late = "1 minute"

describe("a reply never reaches the wrong caller", () => {
  it.scoped("an empty batch on the service owes no reply", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(pong)
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port })
      for (const atomic of [false, true]) {
        expect(yield* redis.sendAll([], { atomic })).toEqual({ outcome: "executed", exits: [] })
        expect(yield* redis.send(Redis.ping())).toBe("PONG")
      }
      expect(peer.connections.flatMap(sent)).toEqual(["PING", "PING"])
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

  it.scoped("RESP2: after the last unsubscription a list that begins like a message is a reply again", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo(oldPeer(), old)
      yield* connection.execute("SUBSCRIBE", "a", "b")
      yield* connection.execute("UNSUBSCRIBE", "a", "b")
      expect(yield* connection.execute("LRANGE", "list", 0, -1)).toEqual(["message", "x"])
      expect(yield* connection.execute("PING")).toBe("PONG")
    })
  )

  it.scoped("RESP2: what was sent before a subscription is answered before it", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo(oldPeer(), old)
      const [list] = yield* Effect.all(
        [connection.execute("LRANGE", "list", 0, -1), connection.execute("SUBSCRIBE", "a")],
        { concurrency: "unbounded" }
      )
      expect(list).toEqual(["message", "x"])
    })
  )

  it.scoped("a subscription inside MULTI, which is answered once, is refused", () =>
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

describe("a lease comes back as its handshake made it, or not at all", () => {
  const server = (): Peer.Script => ({
    onCommand: Peer.greeting(([name]) => (name === "EXEC" ? "*0\r\n" : name === "UNWATCH" ? "+OK\r\n" : "+OK\r\n"))
  })

  for (const [what, commands] of [
    ["MULTI, EXEC, MULTI", [["MULTI"], ["EXEC"], ["MULTI"]]],
    ["WATCH, UNWATCH, WATCH", [["WATCH", "k"], ["UNWATCH"], ["WATCH", "k"]]]
  ] as ReadonlyArray<readonly [string, ReadonlyArray<readonly [string, ...Array<string>]>]>) {
    it.scoped(`${what}, sent at once, leaves the connection changed`, () =>
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

  it.scoped("a SELECT that was queued and discarded does not pass for executed", () =>
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

  it.scoped("a connection that was being opened while the pool moved is at the new database", () =>
    Effect.gen(function* () {
      const held = yield* Deferred.make<Peer.PeerConnection>()
      const peer = yield* Peer.make({
        onCommand: (command, connection) => {
          if (connection.index === 1 && connection.received.length <= 3) {
            // Its whole greeting waits.
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

  it.scoped("who listened to the pushes of a lease hears nothing of the next borrower's", () =>
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
      expect(Chunk.toReadonlyArray(yield* soon(Fiber.join(heard)))).toEqual([])
    })
  )

  it.scoped("a command that is about to be sent when its lease ends is not sent, at whatever step it is", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(pong)
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
        // It was sent before the release, and then its connection ended with the lease; or it never was.
        expect([at, kept ? failure(exit) : undefined]).toMatchObject([at, kept ? { reason: "released" } : undefined])
      }
    })
  )
})

describe("the pool loses nothing", () => {
  it.scoped("a grant whose fiber is interrupted at any step is handed on", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(pong)
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
                // What comes back is destroyed then, and the waiter is given the right to open another.
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

  it.scoped("a server that greets and drops is not asked in a tight loop", () =>
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

  it.scoped("the minimum comes back after an outage", () =>
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

  it.scoped("the gauges tell of all pools together", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(pong)
      const gauge = Effect.map(Metric.value(Metric.gauge("redis_pool_size", gaugeOf)), ({ value }) => value)
      const before = yield* gauge
      const scope = yield* Scope.make()
      const options = { host: "127.0.0.1", port: peer.port, maxSize: 3 } as const
      yield* Scope.extend(Pool.make({ ...options, minSize: 2 }), scope)
      yield* Scope.extend(Pool.make({ ...options, minSize: 3 }), scope)
      expect((yield* gauge) - before).toBe(5)
      yield* Scope.close(scope, Exit.void)
      expect((yield* gauge) - before).toBe(0)
    })
  )

  it.scoped("closing a pool ends what is being opened", () =>
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

describe("nothing hangs", () => {
  it.scoped("the connect deadline holds where nothing interrupts", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({})
      const options = { host: "127.0.0.1", port: peer.port, connectTimeout: "100 millis" } as const
      const openings: ReadonlyArray<Effect.Effect<unknown, RedisError, Scope.Scope>> = [
        Connection.make(options),
        Pool.make(options),
        Redis.make(options)
      ]
      for (const opening of openings) {
        const exit = yield* soon(Effect.exit(Effect.uninterruptible(Effect.scoped(opening))))
        expect(failure(exit)).toMatchObject({ _tag: "DeadlineError", phase: "connect" })
      }
      yield* Peer.eventually("no socket is left", () => peer.open() === 0)
    })
  )

  it.scoped("a client for a server that is not there fails in time where nothing interrupts", () =>
    Effect.gen(function* () {
      const peer = yield* Effect.scoped(Peer.make({}))
      for (const reconnect of [Schedule.spaced("10 millis"), Schedule.spaced("1 hour")]) {
        const exit = yield* soon(
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

  it.scoped("the greeting is bounded by the connect deadline alone", () =>
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

  it.scoped("a connection over a platform Socket that is interrupted at any step of its opening closes its scope", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(pong)
      for (let at = 1; at < 200; at++) {
        const socket = yield* NodeSocket.makeNet({ host: "127.0.0.1", port: peer.port })
        const fiber = yield* Effect.fork(Effect.scoped(Connection.fromSocket(socket)).pipe(yieldingAt(at)))
        yield* Effect.yieldNow()
        const ended = yield* Effect.forkDaemon(Fiber.interrupt(fiber))
        yield* Peer.eventually(`it ends (${at})`, () => ended.unsafePoll() !== null)
      }
    })
  )

  it.scoped("closing twice at once waits for nothing that is not owed", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(silent, { closeTimeout: late })
      const owed = yield* inFlight(connection.execute("GET", "a"), socket, 1)
      const closing = yield* Effect.fork(Effect.all([connection.close, connection.close], { concurrency: "unbounded" }))
      yield* Effect.yieldNow()
      yield* pause(10)
      socket().write("$1\r\nA\r\n")
      yield* Fiber.join(owed)
      yield* soon(Fiber.join(closing))
    })
  )

  it.scoped("closing ends with the last reply before those of blocking commands", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo(silent, { closeTimeout: late })
      yield* inFlight(connection.execute("GET", "a"), socket, 1)
      yield* inFlight(connection.execute("BLPOP", "list", 0), socket, 1)
      const closing = yield* Effect.fork(connection.close)
      yield* pause(10)
      socket().write("$1\r\nA\r\n")
      yield* soon(Fiber.join(closing))
    })
  )

  it.scoped("a dead peer is noticed although a blocking command that is overdue is still owed", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo(silent, { replyTimeout: "50 millis", unresponsiveTimeout: "1 second" })
      yield* Effect.exit(connection.execute("BLPOP", "list", 0.05))
      yield* Peer.eventually("the connection ends", () => Effect.runSync(connection.closed))
      expect(Option.getOrThrow(yield* connection.closeReason)).toMatchObject({ reason: "unresponsive" })
    })
  )
})

describe("deadlines and retries", () => {
  it.scoped("a pipeline has the longest deadline of its commands, not at least the default", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo(silent, { replyTimeout: late })
      const slow = RedisCommand.withDeadline(Redis.get("a"), "50 millis")
      const { exits } = yield* soon(connection.redis.sendAll([slow, slow], { atomic: false }))
      expect(failure(exits[0] as Exit.Exit<unknown, RedisError>)).toMatchObject({
        _tag: "DeadlineError",
        milliseconds: 50
      })
    })
  )

  it.scoped("a TLS handshake that is cut is tried again", () =>
    Effect.gen(function* () {
      for (const cut of [(c: Peer.PeerConnection) => c.reset(), (c: Peer.PeerConnection) => c.end()]) {
        const peer = yield* Peer.make({ onConnect: cut })
        const building = yield* Effect.fork(
          Effect.scoped(
            Redis.make({
              host: "127.0.0.1",
              port: peer.port,
              tls: true,
              connectTimeout: late,
              reconnect: Schedule.spaced("10 millis")
            })
          )
        )
        yield* Peer.eventually("it is tried again and again", () => peer.connections.length > 2)
        yield* Fiber.interrupt(building)
      }
    })
  )

  const optimistically = (answer: NonNullable<Peer.Script["onCommand"]>) =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(answer) })
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port })
      return { peer, run: Effect.provideService(Redis, redis) }
    })

  it.scoped("optimistic: the schedule sees conflicts and lost connections only", () =>
    Effect.gen(function* () {
      const { run } = yield* optimistically(() => "+OK\r\n")
      const seen: Array<unknown> = []
      const exit = yield* Effect.exit(
        Redis.optimistic("k", Effect.fail("no" as const), {
          schedule: Schedule.recurs(1).pipe(Schedule.tapInput((error) => Effect.sync(() => seen.push(error))))
        }).pipe(run)
      )
      expect(failure(exit)).toBe("no")
      expect(seen).toEqual([])
    })
  )

  it.scoped("optimistic: somebody else's ConnectionError is the body's failure", () =>
    Effect.gen(function* () {
      const { run } = yield* optimistically(() => "+OK\r\n")
      let times = 0
      const foreign = { _tag: "ConnectionError" } as const
      const body = Effect.suspend(() => {
        times++
        return Effect.fail(foreign)
      })
      const exit = yield* Effect.exit(Redis.optimistic("k", body, { schedule: Schedule.recurs(3) }).pipe(run))
      expect(failure(exit)).toBe(foreign)
      expect(times).toBe(1)
    })
  )
})

describe("batches", () => {
  it.scoped("a transaction that mixes bytes and text answers each command as it asked", () =>
    Effect.gen(function* () {
      const { connection } = yield* connectTo({
        onCommand: Peer.greeting(([name]) =>
          name === "MULTI"
            ? "+OK\r\n"
            : name === "EXEC"
              ? "*3\r\n$1\r\na\r\n*1\r\n*2\r\n$1\r\nb\r\n%1\r\n$1\r\nc\r\n$1\r\nd\r\n*1\r\n$1\r\ne\r\n"
              : "+QUEUED\r\n"
        )
      })
      const commands = [
        Redis.withCodec(Codec.bytes).get("a"),
        RedisCommand.make("NESTED"),
        RedisCommand.make("LRANGE", { args: ["l", 0, -1], reply: "bytes" })
      ]
      const { exits } = yield* connection.redis.sendAll(commands, { atomic: true })
      expect(exits[0]).toEqual(Exit.succeed(Option.some(Uint8Array.of(97))))
      expect(JSON.stringify(Exit.getOrElse(exits[1] as Exit.Exit<unknown, RedisError>, String))).toBe(
        '[["b",{"items":["c","d"]}]]'
      )
      expect(exits[2]).toEqual(Exit.succeed([Uint8Array.of(101)]))
    })
  )

  it.scoped("a transaction on a connection that is inside MULTI is refused", () =>
    Effect.gen(function* () {
      const { connection, socket } = yield* connectTo({ onCommand: Peer.greeting(() => "+OK\r\n") })
      yield* connection.execute("MULTI")
      const exit = yield* Effect.exit(connection.redis.sendAll([Redis.incr("a")], { atomic: true }))
      expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "refusedCommand" })
      expect(sent(socket())).toEqual(["MULTI"])
    })
  )

  it.scoped("WAIT on its own is refused over a pool too", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => ":1\r\n") })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true })
      const exit = yield* Effect.exit(
        Redis.execute("WAIT", 1, 100).pipe(Effect.provide(Redis.layerFromPool), Effect.provideService(Pool.Pool, pool))
      )
      expect(failure(exit as Exit.Exit<unknown, RedisError>)).toMatchObject({ reason: "blockingCommand" })
      expect(peer.connections.flatMap(sent)).toEqual([])
    })
  )
})

describe.each(realServers)("on $name", (server) => {
  it.scoped("optimistic over a connection that others share loses no update", () =>
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

describe("secrets", () => {
  it("a password that was not percent-encoded is in no message about the URL", () => {
    for (const url of ["redis://u:1?hunter2@host:6379", "redis://u:1?a@hunter2=@host"]) {
      const result = Options.parseUrl(url)
      expect(String(result)).not.toContain("hunter2")
    }
  })
})
