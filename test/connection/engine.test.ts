/** The engine by itself: what a waiter or a listener throws ends nothing. */
import * as Net from "node:net"
import { afterEach, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { fromDuplex } from "../../src/internal/connection/nodeDuplex.js"
import { Engine } from "../../src/internal/engine/engine.js"
import type { Failure } from "../../src/internal/engine/failure.js"
import { Pending } from "../../src/internal/engine/pending.js"
import { QueueBounds } from "../../src/internal/engine/queue.js"
import { defaultLimits } from "../../src/internal/resp/parser.js"
import type { Reply } from "../../src/internal/resp/values.js"
import * as Peer from "../support/peer.js"

const seen: Array<unknown> = []
const thrown: Array<unknown> = []

/** A waiter that notes its reply or failure, and then throws if it is told to. */
class Waiter extends Pending {
  readonly text = true
  constructor(private readonly throws: boolean) {
    super(1)
  }
  onReply(reply: Reply): void {
    this.note(reply)
  }
  onFailure(failure: Failure): void {
    this.note(failure._tag)
  }
  private note(what: unknown): void {
    this.settled = true
    seen.push(what)
    if (this.throws) {
      throw new Error(`thrown at ${String(what)}`)
    }
  }
}

const ping = "*1\r\n$4\r\nPING\r\n"

const engineTo = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const pushes: Array<string> = []
      const engine = new Engine(fromDuplex(Net.connect({ host: "127.0.0.1", port })), {
        limits: defaultLimits,
        pushText: true,
        maxInFlight: 100,
        queueBounds: new QueueBounds(100, 1_000_000),
        unresponsiveAfter: 30_000,
        pingInterval: Infinity,
        onPush: (push) => {
          pushes.push(push.kind)
        },
        onClose: () => {}
      })
      return { engine, pushes }
    }),
    ({ engine }) => Effect.sync(() => engine.destroy({ reason: "closed", message: "the test is over" }))
  )

describe("a waiter that throws", () => {
  let listeners: Array<NodeJS.UncaughtExceptionListener> = []

  beforeEach(() => {
    seen.length = 0
    thrown.length = 0
    // What is thrown outside of any stack reaches the process. The test runner's own listeners would fail the run.
    listeners = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    process.on("uncaughtException", (error) => thrown.push(error))
  })
  afterEach(() => {
    process.removeAllListeners("uncaughtException")
    for (const listener of listeners) {
      process.on("uncaughtException", listener)
    }
  })

  it.scoped("ends nothing: the replies after it in the same chunk settle their waiters, in order", () =>
    Effect.gen(function* () {
      let commands = 0
      const peer = yield* Peer.make({
        onCommand: () => (++commands === 3 ? "+one\r\n>2\r\n+invalidate\r\n*0\r\n+two\r\n+three\r\n" : undefined)
      })
      const { engine, pushes } = yield* engineTo(peer.port)
      engine.accept(new Waiter(true), ping)
      engine.accept(new Waiter(true), ping)
      engine.accept(new Waiter(false), ping)
      yield* Peer.eventually("all three are answered", () => seen.length === 3)
      expect(seen).toEqual(["one", "two", "three"])
      expect(pushes).toEqual(["invalidate"])
      yield* Peer.eventually("the process is told of both throws", () => thrown.length === 2)
      expect(thrown).toMatchObject([{ message: "thrown at one" }, { message: "thrown at two" }])
      expect(engine.closed).toBeUndefined()
    })
  )

  it.scoped("does not keep the failure of the connection from the other waiters", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: () => undefined })
      const { engine } = yield* engineTo(peer.port)
      engine.accept(new Waiter(true), ping)
      engine.accept(new Waiter(false), ping)
      yield* Peer.eventually("both were sent", () => peer.connections[0]?.received.length === 2)
      peer.connections[0]?.reset()
      yield* Peer.eventually("both have failed", () => seen.length === 2)
      expect(seen).toEqual(["Closed", "Closed"])
      yield* Peer.eventually("the process is told of the throw", () => thrown.length === 1)
      expect(thrown).toMatchObject([{ message: "thrown at Closed" }])
    })
  )
})
