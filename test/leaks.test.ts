/** Design law 13: closing a scope leaves no socket, timer or fiber of ours. */
import { createHook } from "node:async_hooks"
import * as Net from "node:net"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { describe, expect, it, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Connection, Pool, Redis, RedisCommand } from "effect-redis-client"
import type { RedisOptions } from "../src/Redis.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { failure, on } from "./support/client.js"
import { netSocket } from "./support/effect.js"
import { fiberTracker } from "./support/fibers.js"
import * as Peer from "./support/peer.js"
import { embeddedServer, makeServer, realServers, serverLayer, serverOptions, servers } from "./support/servers.js"

/** Sockets, name lookups, processes: the test runner has none of them, or a constant number. */
const handles = (): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const name of process.getActiveResourcesInfo()) {
    if (!/Timeout|Immediate/.test(name)) {
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
  }
  return counts
}

/** Active timers with the code that set them, without those of the test runner and of these tests. */
const timers = new Map<number, string>()
createHook({
  init: (id, type) => {
    if (type === "Timeout" || type === "Immediate") {
      const frames = (new Error().stack ?? "").split("\n").slice(2)
      const place = frames.find((frame) => !frame.includes("node:")) ?? ""
      if (!/node_modules\/(?:@?vitest|tinypool)|\/test\//.test(place)) {
        timers.set(id, `${type} ${place.trim()}`)
      }
    }
  },
  destroy: (id) => {
    timers.delete(id)
  }
}).enable()

/** A short real delay. It resumes after the callback of the timer, when the timer itself is gone. */
const soon = Effect.async<void>((resume) => {
  setTimeout(() => resume(Effect.void), 2)
})

/**
 * Runs a scoped effect and checks that it leaves nothing: no more sockets than before, no timer, no fiber. All durations
 * in this file are long, so that a forgotten timer is still there.
 */
const leavesNothing = <A, E, R>(use: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fibers = fiberTracker()
    const before = handles()
    const earlier = new Set(timers.keys())
    const exit = yield* fibers.track(Effect.exit(Effect.scoped(use)))
    const left = Effect.sync(() => [
      ...[...handles()].filter(([name, count]) => count > (before.get(name) ?? 0)).map(([name]) => name),
      ...[...timers].filter(([id]) => !earlier.has(id)).map(([, place]) => place),
      ...fibers.running()
    ])
    const started = Date.now()
    while ((yield* left).length > 0) {
      if (Date.now() - started > 20_000) {
        return yield* Effect.dieMessage(`left: ${(yield* left).join("; ")}`)
      }
      yield* soon
    }
    return exit
  })

const long = {
  host: "127.0.0.1",
  connectTimeout: "1 minute",
  replyTimeout: "1 minute",
  closeTimeout: "1 minute"
} as const satisfies Connection.ConnectionOptions

const longPool = { ...long, acquireTimeout: "1 minute", idleTimeout: "10 minutes", maxAge: "1 hour" } as const

v8.setFlagsFromString("--expose-gc")
const gc = vm.runInNewContext("gc") as () => void

/** Starts an effect, waits until the condition holds, and interrupts it. */
const interruptedWhen = <A, E, R>(what: string, condition: () => boolean, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* Peer.eventually(what, condition)
    yield* Fiber.interrupt(fiber)
  })

describe("with scripted peers", () => {
  /** The peer outlives the examined effect, because its own sockets are not a leak of ours. */
  const test = (
    name: string,
    script: Peer.Script,
    use: (peer: Peer.Peer) => Effect.Effect<unknown, unknown, Scope.Scope>,
    outcome: "success" | "failure" = "success"
  ) =>
    it.scoped(name, () =>
      Effect.gen(function* () {
        const peer = yield* Peer.make(script)
        const exit = yield* leavesNothing(use(peer))
        expect(exit._tag.toLowerCase()).toBe(outcome)
        yield* Peer.eventually("the peer's sockets are closed", () => peer.open() === 0)
      })
    )

  test("a connection", Peer.pong, ({ port }) =>
    Effect.flatMap(Connection.make({ ...long, port }), (connection) => connection.execute("PING"))
  )

  test("a connection that was closed before its scope, twice at once", Peer.pong, ({ port }) =>
    Effect.gen(function* () {
      const connection = yield* Connection.make({ ...long, port })
      yield* Effect.all([connection.close, connection.close], { concurrency: "unbounded" })
      yield* connection.close
    })
  )

  test(
    "a connection that is closed twice while a reply is owed",
    { onCommand: Peer.greeting(() => undefined) },
    (peer) =>
      Effect.gen(function* () {
        const connection = yield* Connection.make({ ...long, port: peer.port })
        yield* Effect.fork(connection.execute("PING"))
        yield* Peer.eventually("PING arrived", () => peer.connections[0]?.received.at(-1)?.[0] === "PING")
        const closes = yield* Effect.forEach([1, 2, 3], () => Effect.fork(connection.close))
        yield* Effect.repeatN(Effect.yieldNow(), 20)
        peer.connections[0]?.write("+PONG\r\n")
        yield* Fiber.joinAll(closes)
      })
  )

  test(
    "a connection with a reply owed before a blocked command",
    { onCommand: Peer.greeting(() => undefined) },
    (peer) =>
      Effect.gen(function* () {
        const connection = yield* Connection.make({ ...long, port: peer.port })
        yield* Effect.fork(connection.execute("PING"))
        yield* Effect.fork(connection.execute("BLPOP", "list", 0))
        yield* Peer.eventually("both arrived", () => peer.connections[0]?.received.at(-1)?.[0] === "BLPOP")
        const closing = yield* Effect.fork(connection.close)
        yield* Effect.repeatN(Effect.yieldNow(), 20)
        peer.connections[0]?.write("+PONG\r\n")
        yield* Fiber.join(closing)
      })
  )

  for (const [what, answer] of [
    ["a refused password", "-WRONGPASS invalid username-password pair or user is disabled.\r\n"],
    ["too many clients", "-ERR max number of clients reached\r\n"],
    ["an HTTP peer", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["garbage", "?\r\n"]
  ] as const) {
    test(
      `a handshake that failed: ${what}`,
      { onCommand: () => answer },
      ({ port }) => Connection.make({ ...long, port }),
      "failure"
    )
  }

  test(
    "a handshake that timed out",
    {},
    ({ port }) => Connection.make({ ...long, port, connectTimeout: "50 millis" }),
    "failure"
  )

  test("a handshake that was interrupted", {}, (peer) =>
    interruptedWhen(
      "HELLO arrived",
      () => (peer.connections[0]?.received.length ?? 0) > 0,
      Effect.scoped(Connection.make({ ...long, port: peer.port }))
    )
  )

  test("a TLS handshake that was interrupted", {}, (peer) =>
    interruptedWhen(
      "it is connected",
      () => peer.open() > 0,
      Effect.scoped(Connection.make({ ...long, port: peer.port, tls: true }))
    )
  )

  test(
    "a TLS handshake that failed",
    { onConnect: (connection) => connection.write("-ERR Protocol error\r\n") },
    ({ port }) => Connection.make({ ...long, port, tls: true }),
    "failure"
  )

  // Too long for a name, so that no name server is asked: without one, the lookup would take long.
  test("a name that does not exist", Peer.pong, () => Connection.make({ ...long, host: "x".repeat(64) }), "failure")

  test(
    "a port without a listener",
    Peer.pong,
    () => Effect.flatMap(Effect.scoped(Peer.make({})), ({ port }) => Connection.make({ ...long, port })),
    "failure"
  )

  test("a listener to pushes", Peer.pong, (peer) =>
    Effect.gen(function* () {
      const connection = yield* Connection.make({ ...long, port: peer.port })
      const all = yield* Effect.forkScoped(Stream.runDrain(connection.pushes))
      const some = yield* Effect.fork(Stream.runCollect(Stream.take(connection.pushes, 2)))
      const none = yield* Effect.fork(Stream.runDrain(connection.pushes))
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      peer.connections[0]?.write(">1\r\n+a\r\n>1\r\n+b\r\n")
      expect((yield* Fiber.join(some)).length).toBe(2)
      yield* Fiber.interrupt(none)
      yield* connection.close
      // The end of the connection ends the stream.
      yield* Fiber.join(all)
    })
  )

  test("a client with answered, interrupted and waiting commands", Peer.pong, (peer) =>
    Effect.gen(function* () {
      const run = on(yield* Redis.make({ ...long, port: peer.port, maxInFlight: 1 }))
      yield* Effect.all(
        Array.from({ length: 100 }, () => run(Redis.ping())),
        { concurrency: "unbounded" }
      )
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => Effect.fork(run(Redis.ping())))
      yield* Fiber.interruptAll(fibers)
    })
  )

  test("a client that is closed with commands in flight and waiting", Peer.silent, (peer) =>
    Effect.gen(function* () {
      const run = on(yield* Redis.make({ ...longPool, port: peer.port, maxInFlight: 2, closeTimeout: "50 millis" }))
      for (let i = 0; i < 5; i++) {
        yield* Effect.fork(Effect.ignore(run(Redis.ping())))
      }
      yield* Effect.fork(Effect.ignore(run(Redis.execute("BLPOP", "list", 0))))
      yield* Effect.ignore(run(RedisCommand.withDeadline(Redis.get("late"), "30 millis")))
      yield* Peer.eventually("BLPOP arrived", () =>
        peer.connections.some(({ received }) => received.some(([name]) => name === "BLPOP"))
      )
    })
  )

  const away = (index: number): Peer.Script => ({
    onConnect: (connection) => {
      if (connection.index >= index) {
        connection.reset()
      }
    },
    ...Peer.pong
  })

  test("a client that is closed while it reconnects", away(1), (peer) =>
    Effect.gen(function* () {
      const run = on(yield* Redis.make({ ...longPool, port: peer.port, reconnect: Schedule.spaced("10 millis") }))
      peer.connections[0]?.reset()
      yield* Peer.eventually("it tries again", () => peer.connections.length > 3)
      yield* Effect.fork(Effect.ignore(run(Redis.ping())))
      yield* Effect.yieldNow()
    })
  )

  test("a client that is closed while it waits to reconnect", away(1), (peer) =>
    Effect.gen(function* () {
      yield* Redis.make({ ...longPool, port: peer.port, reconnect: Schedule.spaced("1 minute") })
      peer.connections[0]?.reset()
      yield* Peer.eventually("the socket is gone", () => peer.open() === 0)
    })
  )

  test("a client whose Schedule ended", away(1), (peer) =>
    Effect.gen(function* () {
      const run = on(yield* Redis.make({ ...longPool, port: peer.port, reconnect: Schedule.recurs(2) }))
      peer.connections[0]?.reset()
      yield* Peer.eventually("it tries again", () => peer.connections.length > 1)
      expect(Exit.isFailure(yield* Effect.exit(run(Redis.incr("n"))))).toBe(true)
    })
  )

  test(
    "a client that could not be built",
    away(0),
    ({ port }) =>
      Redis.make({ ...longPool, port, reconnect: Schedule.spaced("5 millis"), connectTimeout: "100 millis" }),
    "failure"
  )

  test("a client whose building was interrupted while it waited to try again", away(0), (peer) =>
    interruptedWhen(
      "it tried",
      () => peer.connections.length > 0,
      Effect.scoped(Redis.make({ ...longPool, port: peer.port, reconnect: Schedule.spaced("1 minute") }))
    )
  )

  test("a lazy client that nobody used", away(0), (peer) =>
    Effect.zipRight(
      Redis.make({ ...longPool, port: peer.port, lazy: true, reconnect: Schedule.spaced("1 minute") }),
      Peer.eventually("it tried", () => peer.connections.length > 0)
    )
  )

  test("a pool", Peer.pong, ({ port }) =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ ...longPool, port, minSize: 2, maxSize: 4 })
      yield* Effect.all(
        Array.from({ length: 20 }, () =>
          Effect.scoped(Effect.flatMap(pool.acquire, (connection) => connection.execute("PING")))
        ),
        { concurrency: "unbounded" }
      )
      yield* pool.clear
    })
  )

  test("a pool with waiters that were interrupted, timed out, or still waiting", Peer.pong, ({ port }) =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ ...longPool, port, minSize: 0, maxSize: 1 })
      const short = yield* Pool.make({ ...longPool, port, minSize: 0, maxSize: 1, acquireTimeout: "30 millis" })
      yield* pool.acquire
      yield* short.acquire
      expect(Exit.isFailure(yield* Effect.exit(Effect.scoped(short.acquire)))).toBe(true)
      const waiting = yield* Effect.fork(Effect.scoped(pool.acquire))
      yield* Effect.forkScoped(Effect.ignore(Effect.scoped(pool.acquire)))
      yield* Peer.eventually("both wait", () => Effect.runSync(pool.waiting) === 2)
      yield* Fiber.interrupt(waiting)
    })
  )

  test("a pool whose building was interrupted", {}, (peer) =>
    interruptedWhen(
      "all are connected",
      () => peer.connections.length === 3,
      Effect.scoped(Pool.make({ ...longPool, port: peer.port, minSize: 3, maxSize: 3 }))
    )
  )

  test("a pool that replaces a lost connection", Peer.pong, (peer) =>
    Effect.gen(function* () {
      const pool = yield* Pool.make({ ...longPool, port: peer.port, minSize: 2, maxSize: 2 })
      peer.connections[0]?.reset()
      yield* Peer.eventually(
        "it was replaced",
        () => peer.connections.length > 2 && Effect.runSync(pool.freeSize) === 2
      )
    })
  )

  test("a connection over a Duplex", Peer.pong, ({ port }) =>
    Effect.gen(function* () {
      const connection = yield* Connection.fromDuplex(Net.connect({ host: "127.0.0.1", port }), long)
      expect(yield* connection.execute("PING")).toBe("PONG")
    })
  )

  test("a connection over a Socket", Peer.pong, ({ port }) =>
    Effect.gen(function* () {
      const socket = yield* netSocket({ host: "127.0.0.1", port })
      const connection = yield* Connection.fromSocket(socket, long)
      expect(yield* connection.execute("PING")).toBe("PONG")
    })
  )

  test("an interrupted handshake over a Socket", {}, (peer) =>
    interruptedWhen(
      "HELLO arrived",
      () => (peer.connections[0]?.received.length ?? 0) > 0,
      Effect.scoped(
        Effect.flatMap(netSocket({ host: "127.0.0.1", port: peer.port }), (socket) =>
          Connection.fromSocket(socket, long)
        )
      )
    )
  )

  test("a runtime that was disposed of", Peer.pong, ({ port }) =>
    Effect.promise(async () => {
      const runtime = ManagedRuntime.make(Redis.layer({ ...longPool, port }))
      expect(await runtime.runPromise(Redis.ping())).toBe("PONG")
      await runtime.dispose()
    })
  )
})

describe("a closed connection that is still referenced", () => {
  it.scoped("keeps no memory of a value that its connection did not finish", () =>
    Effect.gen(function* () {
      const length = 50_000_000
      const peer = yield* Peer.make({
        onCommand: Peer.greeting((_, connection) => {
          connection.write(`$${length}\r\n`)
          connection.write(new Uint8Array(length / 2))
          connection.end()
          return undefined
        })
      })
      const held: Array<Connection.Connection> = []
      const memory = (): number => {
        gc()
        return process.memoryUsage().arrayBuffers
      }
      const before = memory()
      for (let i = 0; i < 4; i++) {
        const connection = yield* Connection.make({ host: "127.0.0.1", port: peer.port })
        held.push(connection)
        expect(failure(yield* Effect.exit(connection.executeBytes("GET", "k")))).toMatchObject({
          _tag: "ConnectionError",
          delivery: "unknown"
        })
      }
      // The buffer of the last one may still be referenced from a stack.
      yield* Peer.eventually("the values are gone", () => memory() - before < 1.5 * length)
      expect(held.length).toBe(4)
    })
  )
})

describe("it.effect with its default services builds, uses and closes", () => {
  for (const server of servers) {
    it.effect(`a server, a client, a pool and a connection: ${server.name}`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { host, port } = yield* makeServer(server)
          const run = on(yield* Redis.make({ host, port }))
          yield* run(Redis.set("a", "1", { ex: "10 minutes" }))
          expect(yield* run(Redis.pipeline([Redis.get("a"), Redis.incr("a")]))).toEqual([Option.some("1"), 2])
          const pool = yield* Pool.make({ host, port, minSize: 1 })
          expect(
            yield* Effect.scoped(Effect.flatMap(pool.acquire, (connection) => connection.execute(Redis.get("a"))))
          ).toEqual(Option.some("2"))
          const connection = yield* Connection.make({ host, port })
          expect(yield* connection.execute("PING")).toBe("PONG")
          // The deadline passes in real time, although TestClock stands still.
          const late = run(RedisCommand.withDeadline(Redis.execute("BLPOP", "list", 0), "50 millis"))
          expect(yield* Effect.flip(late)).toMatchObject({ _tag: "DeadlineError" })
        })
      )
    )
  }
})

describe.each(realServers)("on $name", (server) => {
  it.scoped("CLIENT LIST shows no connection of ours after each scope", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      const watcher = yield* Connection.make({ host, port, clientName: "watcher" })
      const others = Effect.map(watcher.executeText("CLIENT", "LIST"), (list) =>
        String(list)
          .trim()
          .split("\n")
          .filter((line) => !line.includes(" name=watcher "))
      )
      const options: RedisOptions = { ...longPool, host, port }
      const busyClient = Effect.gen(function* () {
        const run = on(yield* Redis.make(options))
        yield* Effect.forkScoped(Effect.ignore(run(Redis.execute("BLPOP", "list", 0))))
        yield* Effect.repeat(watcher.executeText("INFO", "clients"), {
          until: (info) => /blocked_clients:1/.test(String(info))
        })
        return yield* run(Redis.ping())
      })
      const subscriber = Effect.gen(function* () {
        const connection = yield* Connection.make(options)
        yield* connection.execute("SUBSCRIBE", "news")
        yield* Effect.forkScoped(Stream.runDrain(connection.pushes))
      })
      const scopes: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, Scope.Scope>]> = [
        ["a connection", Connection.make(options)],
        ["a subscriber", subscriber],
        ["a client with a blocked command", busyClient],
        ["a pool", Pool.make({ ...longPool, host, port, minSize: 5 })],
        ["a refused user", Connection.make({ ...options, username: "nobody", password: Redacted.make("x") })],
        ["a refused database", Connection.make({ ...options, database: 9_999 })]
      ]
      for (const [what, use] of scopes) {
        yield* leavesNothing(use)
        yield* Effect.repeat(others, { until: (lines) => lines.length === 0, times: 2_000 }).pipe(
          Effect.map((lines) => expect([what, lines]).toEqual([what, []]))
        )
      }
    })
  )

  it.scoped("clients of a killed server leave nothing open", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server)
      const { host, port } = redisServer
      yield* leavesNothing(
        Effect.gen(function* () {
          const run = on(yield* Redis.make({ ...longPool, host, port, reconnect: Schedule.spaced("5 millis") }))
          const pool = yield* Pool.make({ ...longPool, host, port, minSize: 2 })
          yield* redisServer.kill
          yield* Effect.fork(Effect.ignore(run(Redis.ping())))
          yield* Peer.eventually("the pool noticed", () => Effect.runSync(pool.freeSize) === 0)
        })
      )
    })
  )

  it.scoped("clients of a paused server leave nothing open: closing is bounded", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server)
      const { host, port } = redisServer
      yield* leavesNothing(
        Effect.gen(function* () {
          const run = on(yield* Redis.make({ ...longPool, host, port, closeTimeout: "50 millis" }))
          yield* redisServer.pause
          yield* Effect.fork(Effect.ignore(run(Redis.ping())))
          yield* Effect.yieldNow()
        })
      )
      yield* redisServer.resume
    })
  )

  const Server = serverLayer(server)
  const Client = Layer.unwrapEffect(
    Effect.map(RedisServer.RedisServer, ({ host, port }) =>
      Layer.mergeAll(
        Redis.layer({ host, port }),
        Pool.layer({ host, port, lazy: true }),
        Connection.layer({ host, port })
      )
    )
  )

  layer(Client.pipe(Layer.provideMerge(Server)))("it.layer with its default services", (it) => {
    it.effect("uses a client, a pool and a connection", () =>
      Effect.gen(function* () {
        yield* Redis.set("a", "1")
        expect(yield* Redis.get("a")).toEqual(Option.some("1"))
        expect(yield* Pool.withConnection(Redis.get("a"))).toEqual(Option.some("1"))
        expect(yield* (yield* Connection.Connection).execute(Redis.get("a"))).toEqual(Option.some("1"))
      })
    )
  })
})

layer(
  Layer.unwrapEffect(Effect.map(RedisServer.RedisServer, ({ host, port }) => Redis.layer({ host, port }))).pipe(
    Layer.provide(RedisServer.layer(serverOptions(embeddedServer)))
  )
)("it.layer with the embedded server", (it) => {
  it.effect("uses a client", () =>
    Effect.gen(function* () {
      yield* Redis.set("a", "1")
      expect(yield* Redis.get("a")).toEqual(Option.some("1"))
    })
  )
})
