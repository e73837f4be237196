/** The observer of a client: everything that the client does passes through it, and what it throws ends nothing. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Pool, Redis, RedisPubSub } from "effect-redis-client"
import { makeDial } from "../../src/internal/connection/dial.js"
import { connect } from "../../src/internal/connection/lazyNodeTransport.js"
import { Holder } from "../../src/internal/connection/link.js"
import * as Options from "../../src/internal/connection/options.js"
import { currentFiber } from "../../src/internal/effect/fork.js"
import { CurrentObserver, type Observer } from "../../src/internal/telemetry/observer.js"
import * as Peer from "../support/peer.js"

/** Notes each event as one line. */
const noting = () => {
  const lines: Array<string> = []
  const ended =
    (what: string) =>
    (exit: Exit.Exit<unknown, unknown>): void => {
      lines.push(`${what} ${exit._tag}`)
    }
  const fibers: Array<unknown> = []
  const observer: Observer = {
    request: ({ atomic, commands, server }) => {
      const names = commands.map(({ name }) => name).join(",")
      fibers.push(currentFiber())
      lines.push(`${atomic ? "transaction" : "request"} ${names} to ${server}`)
      return { untilInterrupted: true, ended: ended(names) }
    },
    retry: ({ code, commands, reason }) => {
      lines.push(`retry ${commands.map(({ name }) => name).join(",")} ${reason} ${code ?? ""}`.trim())
    },
    attempt: () => {
      lines.push("attempt")
      return ended("attempt")
    },
    connection: ({ change, id }) => {
      lines.push(`connection ${id} ${change}`)
    },
    lease: () => {
      lines.push("lease")
      return () => lines.push("lease ended")
    },
    message: ({ kind, listeners }) => {
      lines.push(`${kind} for ${listeners}`)
    }
  }
  return { lines, fibers, observer }
}

const observing = (observer: Observer) => Effect.provideService(CurrentObserver, { observer })

describe("an observer", () => {
  it.scoped("is told of connections, requests with their server and fiber, retries and results", () =>
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
      const { fibers, lines, observer } = noting()
      const redis = yield* observing(observer)(Redis.make({ host: "127.0.0.1", port: peer.port }))
      const fiber = yield* Effect.fork(redis.send(Redis.get("k")))
      expect(yield* Fiber.join(fiber)).toEqual(Option.some("v"))
      yield* Effect.exit(redis.send(Redis.incr("k")))
      const server = `127.0.0.1:${peer.port}`
      expect(lines).toEqual([
        "attempt",
        "attempt Success",
        "connection 42 ready",
        `request GET to ${server}`,
        "connection 42 lost",
        "retry GET disconnected",
        "attempt",
        "attempt Success",
        "connection 42 ready",
        "GET Success",
        `request INCR to ${server}`,
        "INCR Failure"
      ])
      expect(fibers[0]).toBe(fiber)
    })
  )

  it.scoped("is told of leases of a pool, and of what is sent over them", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting() })
      const { lines, observer } = noting()
      const pool = yield* observing(observer)(Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 1, maxSize: 1 }))
      lines.length = 0
      yield* Effect.scoped(Effect.flatMap(pool.acquire, (connection) => connection.execute("SET", "k", "v")))
      expect(lines).toEqual(["lease", `request SET to 127.0.0.1:${peer.port}`, "SET Success", "lease ended"])
    })
  )

  it.scoped("is told of messages, with the number of their listeners", () =>
    Effect.gen(function* () {
      const push = (kind: string, last: string) => `>3\r\n+${kind}\r\n+news\r\n${last}\r\n`
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => push("subscribe", ":1")) })
      const { lines, observer } = noting()
      const live = RedisPubSub.layer({ host: "127.0.0.1", port: peer.port })
      yield* Effect.gen(function* () {
        const messages = yield* RedisPubSub.mailbox("news")
        lines.length = 0
        peer.connections[0]?.write(push("message", "+hello"))
        expect(yield* messages.take).toMatchObject({ payload: "hello" })
        expect(lines).toEqual(["message for 1"])
      }).pipe(Effect.provide(live), observing(observer))
    })
  )

  it.scoped("is told the end of a request whose caller was interrupted", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.silent)
      const open = new Set<string>()
      const exits: Array<boolean> = []
      const request: Observer["request"] = ({ commands }) => {
        const name = commands[0]?.name ?? ""
        open.add(name)
        return {
          untilInterrupted: true,
          ended: (exit) => {
            open.delete(name)
            exits.push(Exit.isInterrupted(exit))
          }
        }
      }
      const redis = yield* observing({ request })(Redis.make({ host: "127.0.0.1", port: peer.port }))
      const waits = yield* Effect.forEach([Redis.execute("BLPOP", "k", 0), Redis.execute("GET", "k")], (command) =>
        Effect.fork(redis.send(command))
      )
      yield* Peer.eventually("both were sent", () => peer.connections.flatMap(Peer.sent).length === 2)
      yield* Fiber.interruptAll(waits)
      expect(exits).toEqual([true, true])
      peer.connections[0]?.reset()
      yield* Peer.eventually("CLIENT UNBLOCK ended too", () => open.size === 0)
      expect(exits.length).toBe(3)
    })
  )

  it.scoped("is not told of a transaction that is not sent, because another holder ended its WATCH", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting() })
      const { lines, observer } = noting()
      const dial = makeDial({
        options: yield* Options.resolve({ host: "127.0.0.1", port: peer.port }),
        connect,
        observer
      })
      const link = yield* Effect.acquireRelease(
        Effect.uninterruptibleMask((restore) => dial.open({ restore })),
        (link) => link.close(100)
      )
      const [one, other] = [new Holder(() => undefined), new Holder(() => undefined)]
      yield* link.send(Redis.execute("WATCH", "k"), one)
      yield* link.send(Redis.execute("UNWATCH"), other)
      lines.length = 0
      expect(yield* link.sendAll([Redis.get("k")], { atomic: true }, one)).toMatchObject({ outcome: "conflict" })
      expect(lines).toEqual([])
    })
  )

  it.scoped("is told the end of a connection that ends right after its handshake", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: (words, connection) =>
          connection.index > 0
            ? Peer.greeting()(words, connection)
            : connection.received.length === 3
              ? `${Peer.hello3}+OK\r\n+OK\r\n-ERR shutting down\r\n`
              : undefined
      })
      const changes: Array<string> = []
      const observer: Observer = { connection: ({ change }) => changes.push(change) }
      yield* observing(observer)(Redis.make({ host: "127.0.0.1", port: peer.port }))
      // In Effect 4 the caller goes on before the rest of the bytes is read.
      yield* Peer.eventually("there is another connection", () => changes.length === 3)
      expect(changes).toEqual(["ready", "lost", "ready"])
    })
  )

  it.scoped("that throws ends nothing", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "$1\r\nv\r\n") })
      const fail = (): never => {
        throw new Error("the observer")
      }
      const observer: Observer = {
        watches: () => true,
        request: () => ({ untilInterrupted: true, handed: fail, retry: fail, ended: fail }),
        failed: fail,
        load: fail,
        retry: fail,
        attempt: fail,
        connection: fail,
        lease: () => fail,
        pool: fail
      }
      const redis = yield* observing(observer)(Redis.make({ host: "127.0.0.1", port: peer.port }))
      expect(yield* redis.send(Redis.get("k"))).toEqual(Option.some("v"))
      expect(yield* Effect.scoped(Effect.flatMap(redis.lease, (leased) => leased.send(Redis.get("k"))))).toEqual(
        Option.some("v")
      )
    })
  )
})
