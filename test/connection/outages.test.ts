/** What the log says of connections that are lost and come back. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Pool, Redis, RedisPubSub } from "effect-redis-client"
import { afterEach, beforeEach, vi } from "vitest"
import { Outages } from "../../src/internal/connection/outages.js"
import type { Forker } from "../../src/internal/effect/fork.js"
import { connectTo, eachServer, on, quickly } from "../support/client.js"
import { furtherLogger, onlyLogger, recordingLogger } from "../support/effect.js"
import * as Peer from "../support/peer.js"
import { makeServer } from "../support/servers.js"

interface Line {
  readonly level: string
  readonly text: string
  readonly annotations: Readonly<Record<string, unknown>>
}

/** A logger that collects the lines of INFO and above. */
const collecting = () => {
  const lines: Array<Line> = []
  const logger = recordingLogger(({ annotations, level, message }) => {
    if (level !== "DEBUG") {
      lines.push({
        level,
        text: String(Array.isArray(message) ? message[0] : message),
        annotations
      })
    }
  })
  return { lines, layer: onlyLogger(logger), add: furtherLogger(logger) }
}

describe("an outage", () => {
  const close = { reason: "peerClosed", message: "the server closed the connection" } as const
  const { add, lines } = collecting()
  const fork = ((effect: Effect.Effect<void>) => Effect.runSync(Effect.provide(effect, add))) as unknown as Forker
  const texts = () => lines.splice(0).map(({ level, text }) => `${level} ${text}`)

  /** The library takes its timers when it is loaded, so it is handed the ones that the test moves. */
  const time = {
    now: () => performance.now(),
    setTimeout: ((f: () => void, millis: number) => setTimeout(f, millis)) as typeof setTimeout,
    clearTimeout: ((timer) => clearTimeout(timer)) as typeof clearTimeout
  }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it("is one line when it begins and one when it ends", () => {
    const outages = new Outages(fork, "The connection", "worker-1", time)
    outages.lost(close, "h:1", 7)
    vi.advanceTimersByTime(1_500)
    outages.back("h:1", 8)
    expect(lines).toEqual([
      {
        level: "WARN",
        text: "The connection to h:1 was lost: the server closed the connection",
        annotations: { "server.address": "h:1", reason: "peerClosed", connection: 7, "redis.client.name": "worker-1" }
      },
      {
        level: "INFO",
        text: "The connection to h:1 is back after 1500 ms",
        annotations: { "server.address": "h:1", connection: 8, "redis.client.name": "worker-1" }
      }
    ])
    texts()
  })

  it("that begins soon after another is only logged when it lasts, and the lines count what they leave out", () => {
    const outages = new Outages(fork, "The connection", undefined, time)
    for (let i = 0; i < 20; i++) {
      outages.lost(close, "h:1", undefined)
      vi.advanceTimersByTime(50)
      outages.back("h:1", undefined)
      vi.advanceTimersByTime(50)
    }
    expect(texts()).toEqual([
      "WARN The connection to h:1 was lost: the server closed the connection",
      "INFO The connection to h:1 is back after 50 ms"
    ])
    outages.lost(close, "h:1", undefined)
    vi.advanceTimersByTime(7_900)
    expect(texts()).toEqual([])
    vi.advanceTimersByTime(200)
    expect(texts()).toEqual([
      "WARN The connection to h:1 was lost: the server closed the connection (19 more were lost since the last warning)"
    ])
    vi.advanceTimersByTime(60_000)
    outages.back("h:1", undefined)
    expect(texts()).toEqual(["INFO The connection to h:1 is back after 68100 ms"])
    outages.lost(close, "h:1", undefined)
    outages.end()
    expect(texts()).toEqual(["WARN The connection to h:1 was lost: the server closed the connection"])
  })

  it("is not logged any more once this side has closed", () => {
    const outages = new Outages(fork, "The connection", undefined, time)
    outages.lost(close, "h:1", undefined)
    outages.back("h:1", undefined)
    outages.lost(close, "h:1", undefined)
    texts()
    outages.end()
    vi.advanceTimersByTime(60_000)
    expect(texts()).toEqual([])
  })
})

describe("a pool", () => {
  it.scoped("that loses all of its connections at once writes one line, and one when it has some again", () => {
    const { layer, lines } = collecting()
    return Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.pong)
      yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 8, reconnect: quickly })
      for (const connection of [...peer.connections]) {
        connection.end()
      }
      yield* Peer.eventually("it has them again", () => peer.connections.length >= 16 && lines.length >= 2)
      expect(lines.map(({ level, text }) => [level, text.replace(/\d+ ms/, "… ms")])).toEqual([
        ["WARN", `A connection of a pool to 127.0.0.1:${peer.port} was lost: the server closed the connection`],
        ["INFO", `A connection of a pool to 127.0.0.1:${peer.port} is back after … ms`]
      ])
    }).pipe(Effect.provide(layer))
  })

  it.scoped("that closes its connections itself writes nothing, and neither does a client", () => {
    const { layer, lines } = collecting()
    return Effect.gen(function* () {
      const { peer, redis } = yield* connectTo(Peer.pong)
      yield* Effect.scoped(Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 2 }))
      yield* on(redis)(Redis.ping())
      yield* Effect.scoped(Effect.asVoid(Redis.make({ host: "127.0.0.1", port: peer.port })))
      expect(lines).toEqual([])
    }).pipe(Effect.provide(layer))
  })
})

eachServer((it, { protocol, server }) => {
  it.scoped(
    "a server that goes and comes back is one WARNING and one INFO, of the client and of its subscriptions",
    () => {
      const { layer, lines } = collecting()
      return Effect.gen(function* () {
        const redisServer = yield* makeServer(server)
        const { host, port } = redisServer
        const options = { host, port, protocol, reconnect: quickly, clientName: "worker-1" } as const
        const redis = yield* Redis.make(options)
        const pubsub = yield* RedisPubSub.make(options)
        yield* Effect.provideService(RedisPubSub.mailbox("c"), RedisPubSub, pubsub)
        yield* redisServer.kill
        yield* Peer.eventually("it is lost", () => lines.filter(({ text }) => text.includes("was lost")).length === 2)
        yield* redisServer.start
        yield* Peer.eventually("it is back", () => lines.filter(({ text }) => text.includes("is back")).length === 2)
        expect((yield* redis.status.get)._tag).toBe("Ready")
        for (const subject of ["The connection to", "The connection for subscriptions to"]) {
          const own = lines.filter(({ text }) => text.startsWith(`${subject} ${host}:${port} `))
          expect(own.map(({ level }) => level)).toEqual(["WARN", "INFO"])
          for (const { annotations } of own) {
            expect(annotations).toMatchObject({
              "server.address": `${host}:${port}`,
              "redis.client.name": "worker-1",
              connection: expect.any(Number)
            })
          }
          expect(own[0]?.annotations).toMatchObject({ reason: expect.stringMatching(/peerClosed|transport/) })
        }
      }).pipe(Effect.provide(layer))
    }
  )
})
