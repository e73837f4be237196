/** Credentials that rotate while programs are subscribed: the connection stays, and its successor uses the new ones. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { RedisPubSub } from "effect-redis-client"
import type { RedisPubSubOptions } from "../../src/RedisPubSub.js"
import { quickly, settle } from "../support/client.js"
import * as Peer from "../support/peer.js"
import { listenOn } from "../support/pubsub.js"

const push = (kind: string, channel: string, last: string | number): string =>
  `>3\r\n+${kind}\r\n$${channel.length}\r\n${channel}\r\n${typeof last === "number" ? `:${last}` : `+${last}`}\r\n`

/** A peer that accepts the current password only, and subscriptions that follow a queue of passwords. */
const setUp = (options: RedisPubSubOptions = {}) =>
  Effect.gen(function* () {
    const state = { password: "old" }
    const answer = Peer.greeting(([name, channel]) =>
      /SUBSCRIBE$/.test(name as string) ? push((name as string).toLowerCase(), channel as string, 1) : "+OK\r\n"
    )
    const accepted = new Set<number>()
    const peer = yield* Peer.make({
      onCommand: (words, connection) => {
        if (words[0] === "HELLO" && words[4] === state.password) {
          accepted.add(connection.index)
        }
        return accepted.has(connection.index)
          ? answer(words, connection)
          : "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
      }
    })
    const given = yield* Queue.unbounded<{ readonly password: Redacted.Redacted<string> }>()
    const rotate = (password: string) => Queue.offer(given, { password: Redacted.make(password) })
    yield* rotate("old")
    const service = yield* RedisPubSub.make({
      host: "127.0.0.1",
      port: peer.port,
      protocol: 3,
      credentials: Stream.fromQueue(given),
      reconnect: quickly,
      ...options
    })
    const connection = (index: number) => peer.connections[index] as Peer.PeerConnection
    const subscribed = (index: number, channel: string) =>
      peer.connections[index]?.received.some(([name, of]) => name === "SUBSCRIBE" && of === channel) === true
    return { state, peer, rotate, connection, subscribed, listen: listenOn(service) }
  })

describe("when credentials rotate", () => {
  it.scoped("a connection with subscriptions stays, without a gap, and its successor uses the new credentials", () =>
    Effect.gen(function* () {
      const { connection, listen, peer, rotate, state, subscribed } = yield* setUp()
      const messages = yield* listen(RedisPubSub.withGaps.mailbox("a"))
      state.password = "new"
      yield* rotate("new")
      yield* settle
      connection(0).write(push("message", "a", "still here"))
      expect(yield* messages.take).toMatchObject({ payload: "still here" })
      expect(peer.connections.length).toBe(1)
      connection(0).reset()
      expect(yield* messages.take).toMatchObject({ _tag: "Gap", reason: "disconnected" })
      yield* Peer.eventually("it is subscribed again", () => subscribed(1, "a"))
      expect(connection(1).received[0]?.slice(0, 5)).toEqual(["HELLO", "3", "AUTH", "default", "new"])
    })
  )

  it.scoped("new credentials end the long pause after a permanent failure", () =>
    Effect.gen(function* () {
      const { connection, listen, peer, rotate, state, subscribed } = yield* setUp({
        reconnect: Schedule.exponential("10 millis").pipe(Schedule.union(Schedule.spaced("1 hour")))
      })
      const messages = yield* listen(RedisPubSub.withGaps.mailbox("a"))
      state.password = "new"
      connection(0).reset()
      yield* Peer.eventually(
        "the old credentials are refused",
        () => peer.connections.length === 2 && peer.open() === 0
      )
      yield* settle
      yield* rotate("new")
      expect(yield* messages.take).toMatchObject({ _tag: "Gap", reason: "disconnected" })
      yield* Peer.eventually("it is subscribed again", () => subscribed(2, "a"))
    })
  )

  it.scoped("a connection to which nobody is subscribed is closed; the next subscriber uses the new credentials", () =>
    Effect.gen(function* () {
      const { connection, listen, peer, rotate, state } = yield* setUp()
      yield* Effect.scoped(listen(RedisPubSub.subscribe("a")))
      expect(peer.open()).toBe(1)
      state.password = "new"
      yield* rotate("new")
      yield* Peer.eventually("the connection is closed", () => peer.open() === 0)
      yield* listen(RedisPubSub.subscribe("a"))
      expect(peer.connections.length).toBe(2)
      expect(connection(1).received[0]?.slice(0, 5)).toEqual(["HELLO", "3", "AUTH", "default", "new"])
    })
  )
})
