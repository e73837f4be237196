/** One server as a client uses it: its dial asks for the endpoint at each attempt, and its requests can go elsewhere. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Connection, Redis } from "effect-redis-client"
import { warnOfOrphan } from "../../src/internal/client/blocking.js"
import { makeNode } from "../../src/internal/client/node.js"
import { makeDial } from "../../src/internal/connection/dial.js"
import { connect } from "../../src/internal/connection/lazyNodeTransport.js"
import * as Options from "../../src/internal/connection/options.js"
import { reconnectSettings } from "../../src/internal/connection/pacer.js"
import { prepare } from "../../src/internal/request/prepare.js"
import type { Request } from "../../src/internal/request/request.js"
import { UsageError } from "../../src/RedisError.js"
import { failure, quickly } from "../support/client.js"
import * as Peer from "../support/peer.js"

const settings = {
  ...reconnectSettings({ reconnect: quickly }),
  maxRetries: 3,
  followsBlocked: true,
  maxDedicated: 2,
  acquireTimeout: 5_000,
  idleTimeout: 30_000,
  lazy: false,
  onOrphan: warnOfOrphan
}

const answering = (answer: string) =>
  Peer.make({ onCommand: Peer.greeting(() => `$${answer.length}\r\n${answer}\r\n`) })

describe("a dial", () => {
  it.scoped("asks for the endpoint at each attempt, so that the next connection may reach another server", () =>
    Effect.gen(function* () {
      const first = yield* answering("first")
      const second = yield* answering("second")
      const options = yield* Options.resolve({ host: "127.0.0.1", port: 1 })
      let asked = 0
      const dial = makeDial({
        options,
        connect,
        endpoint: Effect.sync(() => ({
          _tag: "Tcp" as const,
          host: "127.0.0.1",
          port: (asked++ === 0 ? first : second).port
        }))
      })
      const node = yield* makeNode(dial, settings)
      expect(yield* node.service.send(Redis.execute("GET", "k"))).toBe("first")
      expect(dial.address).toBe(`127.0.0.1:${first.port}`)
      first.connections[0]?.reset()
      yield* Peer.eventually("the second server is reached", () => second.connections.length > 0)
      expect(yield* node.service.send(Redis.execute("GET", "k"))).toBe("second")
      expect(dial.address).toBe(`127.0.0.1:${second.port}`)
    })
  )

  it.scoped("keeps on the link what the handshake learnt of the server", () =>
    Effect.gen(function* () {
      const peer = yield* answering("x")
      const dial = makeDial({ options: yield* Options.resolve({ host: "127.0.0.1", port: peer.port }), connect })
      const link = yield* Effect.acquireRelease(
        Effect.uninterruptibleMask((restore) => dial.open({ restore })),
        (link) => link.close(100)
      )
      expect(link.server).toMatchObject({
        server: "redis",
        version: "7.0.0",
        mode: "standalone",
        role: "master",
        id: 42
      })
      expect(link.address).toBe(`127.0.0.1:${peer.port}`)
    })
  )

  it.scoped("names the server of each attempt, also when several attempts to different servers run at once", () =>
    Effect.gen(function* () {
      const { port } = yield* answering("x")
      const { port: other } = yield* answering("y")
      const ports = [port, other]
      const dial = makeDial({
        options: yield* Options.resolve({ host: "127.0.0.1", port: 1 }),
        connect,
        endpoint: Effect.sync(() => ({ _tag: "Tcp", host: "127.0.0.1", port: ports.shift() ?? 1 }))
      })
      const open = Effect.acquireRelease(
        Effect.uninterruptibleMask((restore) => dial.open({ restore })),
        (link) => link.close(100)
      )
      const links = yield* Effect.all([open, open], { concurrency: "unbounded" })
      expect(links.map(({ address }) => address)).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${other}`])
    })
  )

  it.scoped("adds the steps that it is given to the handshake", () =>
    Effect.gen(function* () {
      const peer = yield* answering("x")
      const dial = makeDial({
        options: yield* Options.resolve({ host: "127.0.0.1", port: peer.port }),
        connect,
        steps: [{ command: Redis.execute("READONLY"), required: true }]
      })
      const link = yield* Effect.acquireRelease(
        Effect.uninterruptibleMask((restore) => dial.open({ restore })),
        (link) => link.close(100)
      )
      expect(peer.connections[0]?.received.map(([name]) => name)).toEqual(["HELLO", "CLIENT", "CLIENT", "READONLY"])
      // The state after the handshake is the one that a lease returns to.
      expect(link.session.difference).toBeUndefined()
    })
  )

  it.scoped("names the server in the errors of an attempt and of a lost connection", () =>
    Effect.gen(function* () {
      const refused = failure(yield* Effect.exit(Connection.make({ host: "127.0.0.1", port: 1 })))
      expect(refused).toMatchObject({ _tag: "ConnectionError", server: "127.0.0.1:1" })
      const peer = yield* Peer.make(Peer.silent)
      const connection = yield* Connection.make({ host: "127.0.0.1", port: peer.port })
      const fiber = yield* Effect.fork(Effect.exit(connection.execute("INCR", "k")))
      yield* Peer.eventually(
        "it was sent",
        () => peer.connections[0]?.received.some(([name]) => name === "INCR") === true
      )
      peer.connections[0]?.reset()
      expect(failure(yield* Fiber.join(fiber))).toMatchObject({
        _tag: "ConnectionError",
        server: `127.0.0.1:${peer.port}`,
        delivery: "unknown"
      })
    })
  )
})

describe("a node", () => {
  it.scoped("gives up the requests that wait for it, and another node answers them", () =>
    Effect.gen(function* () {
      const peer = yield* answering("elsewhere")
      const dead = yield* makeNode(
        makeDial({ options: yield* Options.resolve({ host: "127.0.0.1", port: 1 }), connect }),
        { ...settings, lazy: true }
      )
      const alive = yield* makeNode(
        makeDial({ options: yield* Options.resolve({ host: "127.0.0.1", port: peer.port }), connect }),
        settings
      )
      const fiber = yield* Effect.fork(dead.service.send(Redis.execute("SET", "k", "v")))
      yield* Effect.yieldNow()
      const waiting = dead.shared.takeWaiting()
      expect(waiting.length).toBe(1)
      for (const request of waiting) {
        request.owner = alive.shared
        expect(alive.shared.reconnector.link?.accept(request)).toBe(true)
      }
      expect(yield* Fiber.join(fiber)).toBe("elsewhere")
      expect(dead.shared.takeWaiting()).toEqual([])
    })
  )

  it.scoped("asks the owner that a request came with, and not itself, whether a refused request is sent again", () =>
    Effect.gen(function* () {
      let replies = 0
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(() => (replies++ === 0 ? "-MOVED 1234 127.0.0.1:7001\r\n" : "+done\r\n"))
      })
      const node = yield* makeNode(
        makeDial({ options: yield* Options.resolve({ host: "127.0.0.1", port: peer.port }), connect }),
        settings
      )
      const refusals: Array<string | undefined> = []
      const result = yield* Effect.async<unknown, unknown>((resume) => {
        const call = prepare(Redis.execute("SET", "k", "v"), resume, node.shared, undefined)
        if (call instanceof UsageError) {
          return resume(Exit.fail(call))
        }
        node.shared.accept(call, {
          recover: () => false,
          refused: (request: Request, errors) => {
            refusals.push(errors[0]?.message)
            return node.shared.reconnector.link?.accept(request) === true
          },
          demoted: () => {}
        })
      })
      // The owner sees the whole text of the error, address included, before it is decoded.
      expect(refusals).toEqual(["MOVED 1234 127.0.0.1:7001"])
      expect(result).toBe("done")
    })
  )
})
