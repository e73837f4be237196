/** Log lines for people on call: refusals and failovers, each once, with the server and the client's name. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Redis } from "effect-redis-client"
import { slotOf } from "../../src/internal/cluster/slot.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import { quickly } from "../support/client.js"
import { make as makePeers, resp } from "../support/clusterPeers.js"
import { type LogLine, onlyLogger, recordingLogger } from "../support/effect.js"
import * as Peer from "../support/peer.js"

/** Runs a program, and returns its lines of this level and above debug. */
const logging = () => {
  const lines: Array<LogLine> = []
  const layer = onlyLogger(recordingLogger((line) => lines.push(line)))
  const texts = () => lines.filter(({ level }) => level !== "DEBUG").map(({ level, message }) => `${level} ${message}`)
  return { layer, lines, texts }
}

describe("log lines", () => {
  it.scoped("a client that the server refuses, because its password was changed, says so once", () =>
    Effect.gen(function* () {
      let attempts = 0
      const peer = yield* Peer.make({
        onCommand: ([name, ...args], connection) =>
          name === "HELLO" && attempts++ > 0
            ? "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
            : Peer.greeting(() => "+OK\r\n")([name ?? "", ...args], connection)
      })
      const { layer, texts } = logging()
      yield* Effect.provide(
        Effect.gen(function* () {
          yield* Redis.make({ host: "127.0.0.1", port: peer.port, clientName: "worker", reconnect: quickly })
          peer.connections[0]?.reset()
          yield* Peer.eventually("several attempts were refused", () => attempts > 4)
        }),
        layer
      )
      expect(texts().filter((text) => text.startsWith("ERROR"))).toEqual([
        expect.stringMatching(/^ERROR The connection to 127\.0\.0\.1:\d+ is refused: .*password/)
      ])
    })
  )

  it.live("a cluster with other primaries says which came and which left", () =>
    Effect.gen(function* () {
      const key = "b"
      const home = slotOf(key) < 8192 ? 0 : 1
      let ports: ReadonlyArray<number> = []
      const peers = yield* makePeers(3, {
        owners: 2,
        onCommand: ([, name], node) =>
          node === home ? resp(`-MOVED ${slotOf(key)} 127.0.0.1:${ports[2]}`) : resp(name ?? "")
      })
      ports = peers.ports
      const { layer, texts } = logging()
      yield* Effect.provide(
        Effect.gen(function* () {
          const redis = yield* RedisCluster.make({
            nodes: peers.seeds.slice(0, 1),
            reconnect: quickly,
            refreshInterval: "1 hour"
          })
          yield* redis.send(Redis.get(key))
          yield* Peer.eventually("it is logged", () => texts().length > 0)
        }),
        layer
      )
      expect(texts()).toEqual([
        `WARN The primaries of the cluster are others now: 127.0.0.1:${ports[2]} came, none left`
      ])
    }).pipe(Effect.scoped)
  )
})
