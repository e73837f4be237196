/** Servers that die, freeze, restart, refuse, run out of memory or become replicas. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Connection, Redis, RedisCommand } from "effect-redis-client"
import type { RedisOptions } from "../../src/Redis.js"
import type { RedisServerOptions } from "../../src/testing/RedisServer.js"
import { on, quickly } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { makeServer, type TestServer } from "../support/servers.js"

/** A time limit that is never reached, however slow the machine. */
const patience = "20 seconds"

const make = (server: TestServer, options: RedisOptions = {}, serverOptions: RedisServerOptions = {}) =>
  Effect.gen(function* () {
    const process = yield* makeServer(server, serverOptions)
    const { host, port } = process
    const address = { host, port }
    const redis = yield* Redis.make({ ...address, reconnect: quickly, replyTimeout: patience, ...options })
    return { process, address, redis, run: on(redis) }
  })

/** A connection besides the client's. */
const beside = (address: { readonly host: string; readonly port: number }) =>
  Connection.make({ ...address, replyTimeout: patience })

const config = (connection: Connection.Connection, name: string, value: string) =>
  connection.execute("CONFIG", "SET", name, value)

/** Waits until a section of INFO matches. */
const info = (connection: Connection.Connection, section: string, pattern: RegExp) =>
  Effect.repeat(connection.executeText("INFO", section), { until: (text) => pattern.test(String(text)) })

describeReal((server) => {
  const test = (name: string, body: () => Effect.Effect<unknown, unknown, import("effect/Scope").Scope>) =>
    it.scopedLive(name, body, 90_000)

  test("kill -9: a write fails with delivery unknown, a read waits for the restart", () =>
    Effect.gen(function* () {
      const { process, run } = yield* make(server)
      yield* process.pause
      const read = yield* Effect.fork(run(Redis.get("key")))
      const write = yield* Effect.fork(Effect.flip(run(Redis.incr("key"))))
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      yield* process.kill
      expect(yield* Fiber.join(write)).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      yield* process.start
      expect(yield* Fiber.join(read)).toEqual(Option.none())
      expect(yield* run(Redis.incr("key"))).toBe(1)
    }))

  test("SIGSTOP: calls end at their deadlines, the connection after its silence; SIGCONT: both go on", () =>
    Effect.gen(function* () {
      const { process, redis, run } = yield* make(server, {
        replyTimeout: "300 millis",
        unresponsiveTimeout: "700 millis",
        connectTimeout: "500 millis"
      })
      yield* process.pause
      const first = yield* Effect.fork(run(RedisCommand.withDeadline(Redis.incr("key"), patience)))
      expect(yield* Effect.flip(run(Redis.incr("key")))).toMatchObject({
        _tag: "DeadlineError",
        phase: "reply",
        delivery: "unknown"
      })
      expect(yield* Effect.flip(Fiber.join(first))).toMatchObject({
        _tag: "ConnectionError",
        reason: "unresponsive",
        delivery: "unknown"
      })
      expect((yield* redis.status.get)._tag).toBe("Reconnecting")
      expect(yield* Effect.flip(run(Redis.get("key")))).toMatchObject({ phase: "queue", delivery: "unsent" })
      yield* process.resume
      // Commands sent before may have been executed, once each: the server reads its socket buffer.
      const value = yield* run(RedisCommand.withDeadline(Redis.incr("key"), patience))
      expect(value).toBeGreaterThanOrEqual(1)
      expect(value).toBeLessThanOrEqual(3)
    }))

  test("a restart under load: no answered write is lost, none is executed twice", () =>
    Effect.gen(function* () {
      const { process, run } = yield* make(server, {}, { appendonly: true })
      const results: Array<Either.Either<number, unknown>> = []
      const load = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: 400 }),
          () =>
            Effect.map(Effect.either(run(Redis.incr("n"))), (result) => {
              results.push(result)
            }),
          { concurrency: 4, discard: true }
        )
      )
      for (let i = 0; i < 2; i++) {
        yield* Effect.repeat(Effect.sleep("2 millis"), { until: () => results.length >= 100 * (i + 1) })
        yield* process.restart
      }
      yield* Fiber.join(load)
      const answered = results.flatMap((result) => (Either.isRight(result) ? [result.right] : []))
      for (const result of results) {
        if (Either.isLeft(result)) {
          expect(result.left).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
        }
      }
      const total = Number(Option.getOrThrow(yield* run(Redis.get("n"))))
      expect(new Set(answered).size).toBe(answered.length)
      expect(total).toBeGreaterThanOrEqual(answered.length)
      expect(total).toBeLessThanOrEqual(400)
      expect(answered.length).toBeGreaterThan(300)
    }))

  test("repeated CLIENT KILL: each error's delivery is true", () =>
    Effect.gen(function* () {
      const { address, redis, run } = yield* make(server)
      const admin = yield* beside(address)
      let done = 0
      let kills = 0
      const load = yield* Effect.fork(
        Effect.forEach(
          Array.from({ length: 600 }),
          () =>
            Effect.zipLeft(
              Effect.either(run(Redis.incr("n"))),
              Effect.sync(() => done++)
            ),
          { concurrency: 8 }
        )
      )
      while (done < 600) {
        yield* admin.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        kills++
        const before = done
        yield* Effect.repeat(Effect.sleep("1 millis"), { until: () => done >= Math.min(before + 40, 600) })
      }
      const results = yield* Fiber.join(load)
      const answered = results.filter(Either.isRight).length
      const unknown = results.filter(
        (result) => Either.isLeft(result) && "delivery" in result.left && result.left.delivery === "unknown"
      ).length
      expect(answered + unknown).toBe(600)
      const total = Number(Option.getOrThrow(yield* run(Redis.get("n"))))
      expect(total).toBeGreaterThanOrEqual(answered)
      expect(total).toBeLessThanOrEqual(answered + unknown)
      expect(kills).toBeGreaterThan(3)
      // Leases fail and recover alike.
      const lease = yield* redis.lease
      yield* admin.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
      expect(yield* Effect.flip(lease.send(Redis.incr("n")))).toMatchObject({ _tag: "ConnectionError" })
    }))

  test("CLIENT PAUSE: a command with time left is answered late, another ends at its deadline", () =>
    Effect.gen(function* () {
      const { address, run } = yield* make(server)
      const admin = yield* beside(address)
      yield* admin.execute("CLIENT", "PAUSE", 60_000, "WRITE")
      const late = yield* Effect.fork(run(Redis.incr("n")))
      expect(yield* Effect.flip(run(RedisCommand.withDeadline(Redis.incr("n"), "100 millis")))).toMatchObject({
        _tag: "DeadlineError",
        phase: "reply",
        delivery: "unknown"
      })
      yield* admin.execute("CLIENT", "UNPAUSE")
      // Both were executed, in either order.
      expect([1, 2]).toContain(yield* Fiber.join(late))
      expect(yield* run(Redis.incr("n"))).toBe(3)
    }))

  test("maxclients: refused while there are too many clients, connected when one leaves", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      const admin = yield* Connection.make({ host, port })
      yield* config(admin, "maxclients", "1")
      const refused = yield* Effect.flip(
        Effect.scoped(Redis.make({ host, port, reconnect: quickly, connectTimeout: "300 millis" }))
      )
      // Either the server's error, or the reset that follows it.
      expect(refused).toMatchObject({ _tag: "ConnectionError", delivery: "unsent" })
      expect(refused).toHaveProperty("reason", expect.stringMatching(/^(handshake|connect|transport|peerClosed)$/))
      const connecting = yield* Effect.fork(Redis.make({ host, port, reconnect: quickly, connectTimeout: patience }))
      yield* info(admin, "stats", /rejected_connections:[1-9]/)
      yield* config(admin, "maxclients", "100")
      expect(yield* on(yield* Fiber.join(connecting))(Redis.ping())).toBe("PONG")
    }))

  test("DEBUG SLEEP: a deadline is kept while the server sleeps, and each caller gets its own reply", () =>
    Effect.gen(function* () {
      const { address, run } = yield* make(server)
      const admin = yield* beside(address)
      yield* run(Redis.set("key", "value"))
      const asleep = yield* Effect.fork(admin.execute("DEBUG", "SLEEP", "0.5"))
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      const first = yield* Effect.fork(Effect.either(run(RedisCommand.withDeadline(Redis.incr("n"), "100 millis"))))
      const second = yield* Effect.fork(run(Redis.get("key")))
      expect(yield* Fiber.join(second)).toEqual(Option.some("value"))
      const outcome = yield* Fiber.join(first)
      if (Either.isLeft(outcome)) {
        expect(outcome.left).toMatchObject({ _tag: "DeadlineError", phase: "reply", delivery: "unknown" })
      }
      yield* Fiber.join(asleep)
      // The late reply was discarded.
      expect(yield* run(Redis.incr("n"))).toBe(2)
    }))

  test("an output buffer over its limit ends the connection: typed, and the next call works", () =>
    Effect.gen(function* () {
      const { address, run } = yield* make(server, { maxRetries: 1 })
      const admin = yield* beside(address)
      const small = "x".repeat(8 * 1024)
      yield* run(
        Redis.rpush(
          "big",
          Array.from({ length: 3_000 }, () => small)
        )
      )
      yield* config(admin, "client-output-buffer-limit", "normal 1mb 1mb 60")
      // One command whose whole reply is buffered before any of it is sent: of many small elements, because some servers
      // send large ones without copying them into the buffer. The result is dropped, so that no failure prints it.
      const error = yield* Effect.flip(run(Effect.asVoid(Redis.lrange("big", 0, -1))))
      expect(error).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      expect(yield* run(Redis.set("small", "value"))).toBeUndefined()
      yield* config(admin, "client-output-buffer-limit", "normal 0 0 0")
      expect((yield* run(Redis.lrange("big", 0, -1))).length).toBe(3_000)
    }))

  test("out of memory: writes fail with OOM without a retry, and reads go on", () =>
    Effect.gen(function* () {
      const { address, run } = yield* make(server)
      const admin = yield* beside(address)
      yield* run(Redis.set("key", "value"))
      yield* config(admin, "maxmemory-policy", "noeviction")
      yield* config(admin, "maxmemory", "1")
      expect(yield* Effect.flip(run(Redis.set("more", "value")))).toMatchObject({ _tag: "ReplyError", code: "OOM" })
      expect(yield* run(Redis.get("key"))).toEqual(Option.some("value"))
      const slots = yield* run(Redis.pipeline([Redis.get("key"), Redis.incr("n")], { mode: "either" }))
      expect(Either.isRight(slots[0])).toBe(true)
      expect(Either.flip(slots[1])).toMatchObject({ right: { _tag: "ReplyError", code: "OOM" } })
      expect(yield* Effect.flip(run(Redis.transaction([Redis.incr("n")])))).toMatchObject({
        _tag: "TransactionError",
        reason: "discarded"
      })
      yield* config(admin, "maxmemory", "0")
      expect(yield* run(Redis.incr("n"))).toBe(1)
    }))

  test("an endless script: all other commands fail with BUSY", () =>
    Effect.gen(function* () {
      const { address, redis, run } = yield* make(server)
      const admin = yield* beside(address)
      yield* config(admin, "lua-time-limit", "10")
      const lease = yield* redis.lease
      const script = yield* Effect.fork(lease.send(Redis.execute("EVAL", "while true do end", 0)))
      const busy = yield* Effect.repeat(Effect.either(run(Redis.get("key"))), { until: Either.isLeft })
      expect(busy).toMatchObject({ left: { _tag: "ReplyError", code: "BUSY" } })
      yield* admin.execute("SCRIPT", "KILL")
      expect(yield* Effect.flip(Fiber.join(script))).toMatchObject({ _tag: "ReplyError" })
      expect(yield* run(Redis.get("key"))).toEqual(Option.none())
    }))

  test("a master that becomes a replica: the client reconnects, retries the write, and it is executed once", () =>
    Effect.gen(function* () {
      const { address, run } = yield* make(server, { maxRetries: 1_000 })
      const other = yield* makeServer(server)
      const admin = yield* beside(address)
      expect(yield* run(Redis.incr("n"))).toBe(1)
      const before = yield* run(Redis.clientId())
      yield* admin.execute("REPLICAOF", other.host, other.port)
      yield* info(admin, "replication", /role:slave/)
      // With too little time for a retry, the failure is the server's error.
      expect(yield* Effect.flip(run(RedisCommand.withDeadline(Redis.incr("n"), "400 millis")))).toSatisfy(
        (error: { readonly _tag: string; readonly code?: string; readonly delivery?: string }) =>
          error._tag === "ReplyError" ? error.code === "READONLY" : error._tag === "DeadlineError"
      )
      const writing = yield* Effect.fork(run(Redis.incr("promoted")))
      const both = yield* Effect.fork(run(Redis.pipeline([Redis.incr("a"), Redis.incr("b")])))
      yield* Effect.sleep("300 millis")
      yield* admin.execute("REPLICAOF", "NO", "ONE")
      expect(yield* Fiber.join(writing)).toBe(1)
      expect(yield* Fiber.join(both)).toEqual([1, 1])
      // The client reconnected, since the address might lead to another server.
      expect(yield* run(Redis.clientId())).not.toBe(before)
    }))
})
