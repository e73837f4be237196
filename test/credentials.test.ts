/** Credentials from an Effect or a Stream, their rotation, and pings on idle connections. */
import { inspect } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Connection, Pool, Redis, RedisCommand, RedisError } from "effect-redis-client"
import { connectTo, eachServer, failure, on, quickly, settle } from "./support/client.js"
import { configured, httpError, httpErrorTag, interruptName, onlyLogger, schemaErrorTag } from "./support/effect.js"
import * as Peer from "./support/peer.js"
import { makeServer } from "./support/servers.js"

const password = (text: string) => ({ password: Redacted.make(text) })

/** No error may show this. */
const token = "t0ken-of-the-vault"

const auths = (peer: Peer.Peer) =>
  peer.connections.map(({ received }) => received[0]?.slice(0, 5).join(" ")).filter((line) => line !== undefined)

const named = (connection: Peer.PeerConnection, name: string) => connection.received.some(([word]) => word === name)

const auth = (connection: Peer.PeerConnection | undefined) => connection?.received[0]?.[4]

/** Credentials that a test rotates. */
const rotating = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<string>()
  yield* Queue.offer(queue, "one")
  return { credentials: Stream.map(Stream.fromQueue(queue), password), rotate: (to: string) => Queue.offer(queue, to) }
})

describe("credentials", () => {
  it.scoped("an Effect is run at each connect", () =>
    Effect.gen(function* () {
      let asked = 0
      const { peer, run } = yield* connectTo(
        { onCommand: Peer.greeting() },
        { credentials: Effect.sync(() => ({ username: "ada", ...password(`token-${++asked}`) })) }
      )
      peer.connections[0]?.reset()
      yield* Peer.eventually("it is connected again", () => peer.connections.length === 2)
      yield* run(Redis.ping())
      expect(auths(peer)).toEqual(["HELLO 3 AUTH ada token-1", "HELLO 3 AUTH ada token-2"])
    })
  )

  it.scoped("a failing Effect is retried within connectTimeout", () =>
    Effect.gen(function* () {
      let asked = 0
      const credentials = Effect.suspend(() =>
        ++asked < 3 ? Effect.fail(new Error("the vault is closed")) : Effect.succeed(password("x"))
      )
      const { run } = yield* connectTo({ onCommand: Peer.greeting() }, { credentials })
      yield* run(Redis.ping())
      expect(asked).toBe(3)
      const exit = yield* Effect.exit(
        Effect.scoped(connectTo({}, { credentials: Effect.die(new Error("broken")), connectTimeout: "200 millis" }))
      )
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "credentials", delivery: "unsent" })
    })
  )

  it.scoped("an Effect that never ends is interrupted at connectTimeout", () =>
    Effect.gen(function* () {
      let interrupted = false
      const credentials = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => {
          interrupted = true
        })
      )
      const exit = yield* Effect.exit(
        Effect.scoped(Connection.make({ port: 1, credentials, connectTimeout: "100 millis" }))
      )
      expect(failure(exit)).toMatchObject({ _tag: "DeadlineError", phase: "connect" })
      expect(failure(exit).message).toMatch(/credentials did not come/)
      yield* Peer.eventually("it is interrupted", () => interrupted)
    })
  )

  it.scoped("cannot be combined with username and password", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Effect.scoped(Redis.make({ ...password("a"), credentials: Effect.succeed(password("b")) }))
      )
      expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
    })
  )

  it.scoped("a Stream that ends without credentials is a typed failure to connect", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Effect.scoped(Redis.make({ port: 1, credentials: Stream.empty, connectTimeout: "100 millis" }))
      )
      expect(failure(exit)).toMatchObject({
        reason: "credentials",
        message: "the Stream of credentials ended without any"
      })
    })
  )

  it.scoped("an Effect that interrupts itself is run again at the next attempt", () =>
    Effect.gen(function* () {
      let asked = 0
      const credentials = Effect.suspend(() => (++asked === 2 ? Effect.interrupt : Effect.succeed(password("x"))))
      const { peer, run } = yield* connectTo({ onCommand: Peer.greeting() }, { credentials })
      peer.connections[0]?.end()
      yield* Peer.eventually("they are asked again", () => asked >= 3)
      yield* run(Redis.ping())
    })
  )

  class VaultSealed extends Data.TaggedError("VaultSealed")<{ readonly message: string; readonly token: string }> {}
  class Unlucky extends Data.TaggedError("Unlucky")<{ readonly token: string }> {}
  const fields = Schema.Struct({ user: Schema.Number })
  const ofRedis = new RedisError.DeadlineError({ phase: "reply", delivery: "unknown", milliseconds: 5, command: "GET" })

  for (const [what, credentials, message] of [
    ["a tagged error", Effect.fail(new VaultSealed({ message: "the vault is sealed", token })), "the vault is sealed"],
    ["a tagged error without words", Effect.fail(new Unlucky({ token })), "Unlucky"],
    ["an error that quotes what it met", Schema.decodeUnknown(fields)({ user: token }), schemaErrorTag],
    ["a setting that is missing", Config.string("NO_SUCH_SETTING"), /NO_SUCH_SETTING/],
    [
      "a setting that is wrong",
      Effect.provide(Effect.as(Config.integer("PORT"), { password: Redacted.make("") }), configured([["PORT", token]])),
      "ConfigError"
    ],
    ["an error of HTTP, which has the URL in it", Effect.fail(httpError(`https://vault/${token}`)), httpErrorTag],
    ["an error of no tag", Effect.fail(new TypeError(`what is ${token}?`)), "TypeError"],
    ["text", Effect.fail(token), "for no known reason"],
    ["a defect", Effect.die(new VaultSealed({ message: token, token })), "VaultSealed"],
    ["an interruption", Effect.interrupt, interruptName],
    ["an error of ours", Effect.fail(ofRedis), ofRedis.message],
    [
      "a Stream that fails",
      Stream.fail(new VaultSealed({ message: "the vault is sealed", token })),
      "the vault is sealed"
    ]
  ] as ReadonlyArray<readonly [string, Connection.ConnectionOptions["credentials"], string | RegExp]>) {
    it.scoped(`a failure's message shows only what is safe: ${what}`, () =>
      Effect.gen(function* () {
        const options = { port: 1, credentials, connectTimeout: "1 second" } as const
        for (const build of [Redis.make(options), Connection.make(options), Pool.make(options)]) {
          const error = failure(yield* Effect.exit(Effect.scoped<unknown, RedisError.RedisError, Scope.Scope>(build)))
          expect(error).toMatchObject({ _tag: "ConnectionError", reason: "credentials", delivery: "unsent" })
          expect(error.message).toMatch(/^getting the credentials failed: ./)
          expect(error.message.slice("getting the credentials failed: ".length)).toMatch(
            typeof message === "string" ? new RegExp(`^${message.replace(/[()?]/g, "\\$&")}$`) : message
          )
          expect((error as RedisError.ConnectionError).cause).toBe(what === "an error of ours" ? ofRedis : undefined)
          expect(String(error) + JSON.stringify(error) + inspect(error, { depth: 9, showHidden: true })).not.toContain(
            token
          )
        }
      })
    )
  }

  it.effect("a Stream that fails later is logged, by the same rule", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting() })
      const lines: Array<string> = []
      const logger = Logger.make(({ cause, message }) => {
        lines.push(String(message) + Cause.pretty(cause))
      })
      const credentials = Stream.concat(
        Stream.make(password("only")),
        Stream.fail(new VaultSealed({ message: "the vault is sealed", token }))
      )
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port, credentials }).pipe(
        Effect.provide(onlyLogger(logger))
      )
      yield* Peer.eventually("it is logged", () => lines.some((line) => line.includes("newest ones stay in use")))
      expect(lines.join("\n")).toMatch(/stay in use: the vault is sealed/)
      expect(lines.join("\n")).not.toContain(token)
      yield* on(redis)(Redis.ping())
    }).pipe(Effect.scoped)
  )

  it.scoped("a Connection takes the newest element of a Stream", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting() })
      const connection = yield* Connection.make({
        host: "127.0.0.1",
        port: peer.port,
        credentials: Stream.make(password("only"))
      })
      yield* connection.execute("PING")
      expect(auths(peer)).toEqual(["HELLO 3 AUTH default only"])
    })
  )
})

describe("a connection that newer credentials replace", () => {
  it.scoped("retries its unanswered readonly commands over its successor when it ends", () =>
    Effect.gen(function* () {
      const { credentials, rotate } = yield* rotating
      const { peer, run } = yield* connectTo(
        {
          onCommand: (command, connection) =>
            Peer.greeting(() => (connection.index === 0 ? undefined : "$1\r\nx\r\n"))(command, connection)
        },
        // A replaced connection waits for the replies it owes, but no longer than closeTimeout.
        { credentials, replyTimeout: "20 seconds", closeTimeout: "20 seconds" }
      )
      const fiber = yield* Effect.fork(run(Redis.get("k")))
      const [old] = peer.connections
      yield* Peer.eventually("GET is there", () => old !== undefined && named(old, "GET"))
      yield* rotate("two")
      yield* Peer.eventually("it is replaced", () => peer.connections[1]?.received.length === 3)
      // The client may take it for its own a little after the peer has the handshake.
      const other = run(RedisCommand.withDeadline(Redis.get("other"), "200 millis"))
      yield* Effect.retry(other, { times: 50 })
      old?.end()
      const before = performance.now()
      expect(yield* Fiber.join(fiber)).toEqual(Option.some("x"))
      // Well before the deadline, which would also settle it.
      expect(performance.now() - before).toBeLessThan(10_000)
    })
  )

  it.scoped("is not replaced when the Stream repeats its credentials", () =>
    Effect.gen(function* () {
      const { credentials, rotate } = yield* rotating
      const { peer, run } = yield* connectTo({ onCommand: Peer.greeting() }, { credentials })
      expect(auth(peer.connections[0])).toBe("one")
      yield* rotate("one")
      yield* rotate("one")
      yield* settle
      yield* run(Redis.set("k", "v"))
      expect(peer.connections.length).toBe(1)
      yield* rotate("two")
      yield* Peer.eventually("it is replaced", () => peer.connections.length === 2)
    })
  )

  it.scoped(
    "ends with the client",
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

  it.scoped("credentials that change during the handshake of its successor are used at once after it", () =>
    Effect.gen(function* () {
      const { credentials, rotate } = yield* rotating
      const { peer, run } = yield* connectTo(
        {
          onCommand: (command, connection) =>
            connection.index === 1 && command[0] === "HELLO" ? undefined : Peer.greeting()(command, connection)
        },
        { credentials }
      )
      // The handshake of the second connection waits; meanwhile there are newer credentials.
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

describe("pingInterval", () => {
  it.scoped("an idle connection is pinged, and replaced when the peer does not answer", () =>
    Effect.gen(function* () {
      let alive = true
      const { commands, peer, redis, run } = yield* connectTo(
        { onCommand: Peer.greeting(([name]) => (alive ? `+${name}\r\n` : undefined)) },
        { pingInterval: "30 millis", unresponsiveTimeout: "100 millis" }
      )
      yield* Peer.eventually("it was asked thrice", () => commands().length >= 3)
      expect(new Set(commands())).toEqual(new Set(["PING"]))
      expect(yield* run(Redis.execute("ECHO"))).toBe("ECHO")
      expect(peer.connections.length).toBe(1)
      alive = false
      yield* Peer.eventually("it is replaced", () => peer.connections.length > 1)
      yield* redis.status.get
    })
  )

  it.scoped("a connection inside MULTI is not pinged, so EXEC's reply has no extra element", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting() })
      const connection = yield* Connection.make({ host: "127.0.0.1", port: peer.port, pingInterval: "20 millis" })
      yield* connection.execute("MULTI")
      const other = yield* Connection.make({ host: "127.0.0.1", port: peer.port, pingInterval: "20 millis" })
      yield* Peer.eventually(
        "another connection was asked thrice meanwhile",
        () => (peer.connections[1]?.received.filter(([name]) => name === "PING").length ?? 0) >= 3
      )
      expect(peer.connections[0]?.received.filter(([name]) => name === "PING")).toEqual([])
      yield* other.close
    })
  )
})

eachServer((it, { protocol, server }) => {
  it.scoped("rotating under load: every command is answered, and the old password is no longer used", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server, { password: Redacted.make("first") })
      const { host, port } = redisServer
      const rotated = yield* Queue.unbounded<Connection.Credentials>()
      yield* Queue.offer(rotated, password("first"))
      const options = { host, port, protocol, reconnect: quickly, credentials: Stream.fromQueue(rotated) }
      const redis = yield* Redis.make(options)
      const run = on(redis)
      const id = run(Redis.clientId())
      let stop = false
      const load = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: 50 }, (_, i) => `key:${i}`),
          (key) =>
            Effect.gen(function* () {
              for (let n = 1; !stop; n++) {
                expect(yield* run(Redis.incr(key))).toBe(n)
              }
            }),
          { concurrency: "unbounded" }
        )
      )
      for (const next of ["second", "third"]) {
        const before = yield* id
        // Both passwords are valid while the clients reconnect.
        yield* run(Redis.execute("ACL", "SETUSER", "default", `>${next}`))
        yield* Queue.offer(rotated, password(next))
        while ((yield* id) === before) {
          yield* Effect.yieldNow()
        }
        yield* run(Redis.execute("ACL", "SETUSER", "default", "resetpass", `>${next}`))
      }
      stop = true
      yield* Fiber.join(load)
      const list = String(yield* run(Redis.execute("CLIENT", "LIST", "TYPE", "normal")))
      expect(list.trim().split("\n").length).toBeLessThanOrEqual(2)
    })
  )

  it.scoped("an Effect that fails at first and then succeeds connects the client", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server, { password: Redacted.make("first") })
      const sealed = { open: false }
      const credentials = Effect.suspend(() =>
        sealed.open ? Effect.succeed(password("first")) : Effect.fail({ _tag: "VaultSealed", message: "sealed" })
      )
      const redis = yield* Redis.make({ host, port, protocol, reconnect: quickly, credentials, lazy: true })
      const run = on(redis)
      while ((yield* redis.status.get)._tag !== "Reconnecting") {
        yield* Effect.yieldNow()
      }
      expect(yield* redis.status.get).toMatchObject({
        cause: { reason: "credentials", message: "getting the credentials failed: sealed" }
      })
      sealed.open = true
      expect(yield* run(Redis.ping())).toBe("PONG")
    })
  )

  it.scoped("a pool's connections are replaced: free ones at once, leased ones when they are released", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server, { password: Redacted.make("first") })
      const { host, port } = redisServer
      const rotated = yield* Queue.unbounded<Connection.Credentials>()
      yield* Queue.offer(rotated, password("first"))
      const pool = yield* Pool.make({
        host,
        port,
        protocol,
        minSize: 2,
        maxSize: 2,
        credentials: Stream.fromQueue(rotated)
      })
      const ids: Array<number> = []
      const [before, lent] = yield* Effect.scoped(
        Effect.gen(function* () {
          const a = yield* pool.acquire
          const b = yield* Effect.scoped(pool.acquire)
          yield* a.execute("ACL", "SETUSER", "default", ">second")
          yield* Queue.offer(rotated, password("second"))
          // The free connection is replaced, the leased one still works.
          for (
            let i = 0;
            i < 5_000 && Option.getOrThrow((yield* Effect.scoped(pool.acquire)).id) === Option.getOrThrow(b.id);
            i++
          ) {
            yield* Effect.yieldNow()
          }
          expect(yield* a.execute("PING")).toBe("PONG")
          return [b, a] as const
        })
      )
      for (let i = 0; i < 2; i++) {
        ids.push(Option.getOrThrow((yield* pool.acquire).id))
      }
      expect(ids).not.toContain(Option.getOrThrow(before.id))
      expect(ids).not.toContain(Option.getOrThrow(lent.id))
    })
  )

  it.scoped("a wrong new password keeps the working connection", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server, { password: Redacted.make("first") })
      const { host, port } = redisServer
      const rotated = yield* Queue.unbounded<Connection.Credentials>()
      yield* Queue.offer(rotated, password("first"))
      const redis = yield* Redis.make({ host, port, protocol, credentials: Stream.fromQueue(rotated) })
      const run = on(redis)
      const id = yield* run(Redis.clientId())
      yield* Queue.offer(rotated, password("wrong"))
      const attempts = Effect.map(run(Redis.execute("INFO", "stats")), (info) =>
        Number(/acl_access_denied_auth:(\d+)/.exec(String(info))?.[1] ?? 0)
      )
      // Servers before 7.2 do not count refused logins here, so the received connections are checked too.
      const received = Effect.map(run(Redis.execute("INFO", "stats")), (info) =>
        Number(/total_connections_received:(\d+)/.exec(String(info))?.[1] ?? 0)
      )
      const before = yield* received
      while ((yield* received) === before && (yield* attempts) === 0) {
        yield* Effect.yieldNow()
      }
      expect(yield* run(Redis.clientId())).toBe(id)
      expect(Exit.isSuccess(yield* Effect.exit(run(Redis.ping())))).toBe(true)
    })
  )

  it.scoped("an idle subscriber is pinged too", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server)
      const { host, port } = redisServer
      const connection = yield* Connection.make({ host, port, protocol, pingInterval: "20 millis" })
      const pushes: Array<string> = []
      yield* Effect.fork(Stream.runForEach(connection.pushes, (push) => Effect.sync(() => pushes.push(push.kind))))
      yield* connection.execute("SUBSCRIBE", "news")
      const observer = yield* Connection.make({ host, port, protocol })
      const pings = Effect.map(observer.execute("INFO", "commandstats"), (info) =>
        Number(/cmdstat_ping:calls=(\d+)/.exec(String(info))?.[1] ?? 0)
      )
      const before = yield* pings
      while ((yield* pings) < before + 3) {
        yield* Effect.yieldNow()
      }
      expect(pushes).toEqual(["subscribe"])
      expect(yield* connection.closed).toBe(false)
    })
  )
})
