/** Spans of requests of a cluster: one for each, however many nodes it goes to and is sent on by. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { slotOf } from "../../src/internal/cluster/slot.js"
import { Redis } from "../../src/Redis.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import { quickly } from "../support/client.js"
import { make as makePeers, resp } from "../support/clusterPeers.js"
import { line, parentName, traced } from "../support/spans.js"

const common = "db.namespace=0"

describe("a span of a cluster", () => {
  it.live("has each redirection as an event, and the address of the node that answered", () =>
    Effect.gen(function* () {
      const key = "b"
      const home = slotOf(key) < 8192 ? 0 : 1
      let ports: ReadonlyArray<number> = []
      const peers = yield* makePeers(2, {
        onCommand: ([, name], node) =>
          node === home ? resp(`-MOVED ${slotOf(key)} 127.0.0.1:${ports[1 - home]}`) : resp(name ?? "")
      })
      ports = peers.ports
      const redis = yield* RedisCluster.make({
        nodes: peers.seeds.slice(0, 1),
        reconnect: quickly,
        refreshInterval: "1 hour"
      })
      const events = yield* Effect.fork(
        Effect.provideService(
          Redis.events.pipe(
            Stream.filter(({ _tag }) => _tag === "Redirected"),
            Stream.take(1),
            Stream.runCollect
          ),
          Redis,
          redis
        )
      )
      yield* Effect.yieldNow()
      const { spans } = yield* traced(redis.send(Redis.get(key)))
      expect(spans.map(parentName)).toEqual(["none", "request"])
      const [, span] = spans
      expect(span?.attributes.get("server.port")).toBe(ports[1 - home])
      expect(span?.attributes.get("redis.client.retries")).toBe(1)
      expect(span?.events).toEqual([
        { name: "redis.redirect", attributes: { kind: "MOVED", "server.address": `127.0.0.1:${ports[home]}` } }
      ])
      expect([...(yield* Fiber.join(events))]).toEqual([
        { _tag: "Redirected", server: `127.0.0.1:${ports[home]}`, commands: ["GET"], kind: "MOVED" }
      ])
      expect((yield* Effect.provideService(Redis.stats, Redis, redis)).redirections).toBe(1)
    }).pipe(Effect.scoped)
  )
})

describe("a request of several nodes", () => {
  /** Answers everything with OK, or with a value for each key. */
  const answering = (options: Partial<RedisCluster.RedisClusterOptions>) =>
    Effect.gen(function* () {
      const peers = yield* makePeers(2, {
        onCommand: ([name, ...args]) => (name === "MGET" ? resp(args) : resp("+OK"))
      })
      return yield* RedisCluster.make({ nodes: peers.seeds, reconnect: quickly, refreshInterval: "1 hour", ...options })
    })

  it.live("has one span, with the number of nodes", () =>
    Effect.gen(function* () {
      const redis = yield* answering({})
      const { spans } = yield* traced(
        Effect.gen(function* () {
          yield* redis.send(Redis.mget(["a", "b"]))
          yield* redis.sendAll([Redis.set("a", "1"), Redis.set("b", "2")], { atomic: false })
          yield* redis.send(Redis.mget(["a{1}", "b{1}"]))
        })
      )
      expect(spans.slice(1).map((span) => [span.name, span.ends, span.attributes.get("redis.nodes")])).toEqual([
        ["MGET", 1, 2],
        ["PIPELINE SET", 1, 2],
        ["MGET", 1, undefined]
      ])
      expect(spans.map(parentName)).toEqual(["none", "request", "request", "request"])
    }).pipe(Effect.scoped)
  )

  it.live("with nodeSpans has a child for each node", () =>
    Effect.gen(function* () {
      const redis = yield* answering({ telemetry: { nodeSpans: true } })
      const { lines, spans } = yield* traced(redis.send(Redis.mget(["a", "b", "c{b}"])))
      expect(spans.map(parentName)).toEqual(["none", "request", "MGET", "MGET"])
      expect(lines.map((line) => line.split(" ").slice(0, 3).join(" "))).toEqual(
        Array.from({ length: 3 }, () => "client MGET ok")
      )
      expect(new Set(spans.slice(2).map(({ attributes }) => attributes.get("server.port"))).size).toBe(2)
      expect(lines[0]).toContain(`${common} `)
      expect(spans.slice(1).map(line)).toEqual(lines)
    }).pipe(Effect.scoped)
  )
})
