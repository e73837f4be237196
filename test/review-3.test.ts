/** What a third hostile review found in what was made faster. */
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Connection, Pool } from "effect-redis-client"
import { failure } from "./support/client.js"
import * as Peer from "./support/peer.js"

v8.setFlagsFromString("--expose-gc")
const gc = vm.runInNewContext("gc") as () => void

const pong = { onCommand: Peer.greeting(() => "+PONG\r\n") }

describe("a pool", () => {
  it.scoped("shows all its gauges from the beginning", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(pong)
      yield* Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true })
      const shown = (yield* Metric.snapshot).map(({ metricKey }) => metricKey.name)
      expect(shown).toEqual(expect.arrayContaining(["redis_pool_size", "redis_pool_free", "redis_pool_waiting"]))
    })
  )
})

describe("a connection", () => {
  it.scoped("can be spread, to change one of its members", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(pong)
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 1, maxSize: 1 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* pool.acquire
          const names: Array<string> = []
          const traced: Connection.Connection = {
            ...connection,
            executeText: (name, ...args) => {
              names.push(name)
              return connection.executeText(name, ...args)
            }
          }
          expect(yield* traced.executeText("PING")).toBe("PONG")
          expect(yield* traced.execute("PING")).toBe("PONG")
          expect(yield* traced.protocol).toBe(3)
          expect(traced.id).toEqual(connection.id)
          expect(traced.pushes).toBe(connection.pushes)
          expect(names).toEqual(["PING"])
        })
      )
    })
  )

  it.scoped("that ended inside a long value holds nothing of it", () =>
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
      // What the last one read into may still be on somebody's stack.
      yield* Peer.eventually("the values are gone", () => memory() - before < 1.5 * length)
      expect(held.length).toBe(4)
    })
  )
})
