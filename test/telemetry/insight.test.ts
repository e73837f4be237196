/** What `Redis.stats` counts and `Redis.events` tells. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Pool, Redis } from "effect-redis-client"
import { Latencies } from "../../src/internal/telemetry/latencies.js"
import type { ClientEvent, RedisService } from "../../src/Redis.js"
import { quickly } from "../support/client.js"
import * as Peer from "../support/peer.js"
import { until } from "../support/pubsub.js"

const statsOf = (redis: RedisService) => Effect.provideService(Redis.stats, Redis, redis)

/** Keeps the events of a client. */
const listening = (redis: RedisService) =>
  Effect.gen(function* () {
    const events: Array<ClientEvent> = []
    yield* Redis.events.pipe(
      Stream.runForEach((event) => Effect.sync(() => events.push(event))),
      Effect.provideService(Redis, redis),
      Effect.forkScoped
    )
    yield* Effect.yieldNow()
    return events
  })

describe("the stats of a client", () => {
  it.scoped("count its connections, retries, reconnects and errors, by server, reason and type", () =>
    Effect.gen(function* () {
      let gets = 0
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name], connection) => {
          if (name === "GET" && gets++ === 0) {
            connection.reset()
            return undefined
          }
          return name === "GET" ? "$1\r\nv\r\n" : "-ERR no\r\n"
        })
      })
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port, reconnect: quickly })
      const server = `127.0.0.1:${peer.port}`
      expect(yield* statsOf(redis)).toMatchObject({ servers: [{ server, connections: 1, inFlight: 0 }], retries: 0 })
      const events = yield* listening(redis)
      yield* redis.send(Redis.get("k"))
      yield* Effect.exit(redis.send(Redis.incr("k")))
      const stats = yield* statsOf(redis)
      expect(stats).toMatchObject({
        servers: [{ server, connections: 1 }],
        queued: { commands: 0, bytes: 0 },
        retries: 1,
        redirections: 0,
        reconnects: 1,
        failedAttempts: 0,
        errors: { ERR: 1 }
      })
      expect(Object.values(stats.closed)).toEqual([1])
      const [{ latency }] = stats.servers as [(typeof stats.servers)[number]]
      expect(latency.samples).toBeGreaterThan(0)
      expect(Duration.toMillis(latency.p50)).toBeGreaterThan(0)
      expect(Duration.toMillis(latency.p50)).toBeLessThanOrEqual(Duration.toMillis(latency.max))
      expect(events.map(({ _tag }) => _tag)).toEqual(["Disconnected", "Retry", "Connected", "Reconnected"])
      expect(events[1]).toEqual({ _tag: "Retry", server, commands: ["GET"], reason: "disconnected", code: undefined })
    })
  )

  it.scoped("show what is owed and what waits while the server says nothing", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.silent)
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port, maxInFlight: 2 })
      for (let i = 0; i < 3; i++) {
        yield* Effect.forkScoped(Effect.exit(redis.send(Redis.get("k"))))
      }
      yield* until(
        "they are counted",
        Effect.map(statsOf(redis), ({ queued, servers }) => servers[0]?.inFlight === 2 && queued.commands === 1)
      )
      expect((yield* statsOf(redis)).queued.bytes).toBeGreaterThan(10)
    })
  )

  it.scoped("of a pool show its connections, and who waits for one", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 0, maxSize: 1 })
      const redis = yield* pool.acquireRedis
      yield* Effect.forkScoped(Effect.exit(Effect.scoped(pool.acquire)))
      yield* until(
        "one waits",
        Effect.map(statsOf(redis), ({ pool }) => pool.waiting === 1)
      )
      expect((yield* statsOf(redis)).pool).toEqual({ size: 1, free: 0, waiting: 1 })
    })
  )
})

describe("the events of a client", () => {
  it.scoped("tell which commands were slow, without their arguments, when the option slowAfter asks for it", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name], connection) => {
          if (name === "GET") {
            setTimeout(() => connection.write("$1\r\nv\r\n"), 40)
            return undefined
          }
          return "+OK\r\n"
        })
      })
      const redis = yield* Redis.make({
        host: "127.0.0.1",
        port: peer.port,
        telemetry: { slowAfter: "20 millis" }
      })
      const events = yield* listening(redis)
      yield* redis.send(Redis.set("secret", "v"))
      yield* redis.send(Redis.get("secret"))
      yield* until(
        "it was told",
        Effect.sync(() => events.length > 0)
      )
      expect(events).toMatchObject([{ _tag: "SlowCommand", server: `127.0.0.1:${peer.port}`, commands: ["GET"] }])
      expect(JSON.stringify(events)).not.toContain("secret")
    })
  )

  it.scoped("tell each attempt to connect that failed, with its error", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const peer = yield* Scope.extend(Peer.make({ onCommand: Peer.greeting(() => "+OK\r\n") }), scope)
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port, reconnect: quickly })
      const events = yield* listening(redis)
      yield* Scope.close(scope, Exit.void)
      yield* until(
        "an attempt failed",
        Effect.sync(() => events.some(({ _tag }) => _tag === "ConnectFailed"))
      )
      expect(events.find(({ _tag }) => _tag === "ConnectFailed")).toMatchObject({
        error: { _tag: "ConnectionError", reason: "connect" }
      })
      expect((yield* statsOf(redis)).failedAttempts).toBeGreaterThan(0)
    })
  )
})

describe("latencies", () => {
  it("tell quantiles within a quarter, never above the longest", () => {
    const latencies = new Latencies()
    expect(latencies.read()).toEqual({ count: 0, p50: 0, p99: 0, max: 0 })
    for (let i = 1; i <= 1_000; i++) {
      latencies.add(i / 10)
    }
    const { count, max, p50, p99 } = latencies.read()
    expect([count, max]).toEqual([1_000, 100])
    expect(p50 / 50).toBeGreaterThan(0.8)
    expect(p50 / 50).toBeLessThan(1.25)
    expect(p99).toBeGreaterThan(79)
    expect(p99).toBeLessThanOrEqual(100)
  })
})
