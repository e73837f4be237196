/** One subscription that several hubs feed: its owner stands between them, as a cluster's will. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { makeDial } from "../../src/internal/connection/dial.js"
import { connect } from "../../src/internal/connection/lazyNodeTransport.js"
import * as Options from "../../src/internal/connection/options.js"
import { reconnectSettings } from "../../src/internal/connection/pacer.js"
import { forker, forkerIn } from "../../src/internal/effect/fork.js"
import { Hub } from "../../src/internal/pubsub/hub.js"
import { Delivery, Gap } from "../../src/internal/pubsub/inbox.js"
import { Subscription, type SubscriptionOwner } from "../../src/internal/pubsub/subscription.js"
import { settle } from "../support/client.js"
import * as Peer from "../support/peer.js"

const push = (kind: string, channel: string, last: string | number): string =>
  `>3\r\n+${kind}\r\n$${channel.length}\r\n${channel}\r\n${typeof last === "number" ? `:${last}` : `+${last}`}\r\n`

/** A peer that confirms nothing by itself, and a hub over it. */
const node = Effect.gen(function* () {
  const peer = yield* Peer.make({ onCommand: Peer.greeting(() => undefined) })
  const options = yield* Options.resolve({ host: "127.0.0.1", port: peer.port, protocol: 3 })
  const hub = new Hub(
    {
      dial: makeDial({ options: { ...options, encoding: "utf8" }, connect }),
      reconnect: reconnectSettings({ reconnect: Schedule.spaced("5 millis") }),
      idleAfter: 0,
      logger: yield* forker()
    },
    yield* forkerIn(yield* Effect.scope)
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => hub.close()))
  const subscribed = (index: number, channel: string) =>
    Peer.eventually(`${channel} is asked for`, () =>
      (peer.connections[index]?.received ?? []).some(([name, of]) => name === "SUBSCRIBE" && of === channel)
    )
  return { peer, hub, subscribed, write: (index: number, raw: string) => peer.connections[index]?.write(raw) }
})

describe("a subscription that two hubs feed", () => {
  it.scoped("starts when both have confirmed, has one gap for a loss of one connection, and ends on both", () =>
    Effect.gen(function* () {
      const one = yield* node
      const two = yield* node
      const hubs = [one.hub, two.hub]
      const owner: SubscriptionOwner = {
        remove: (subscription) => {
          for (const hub of hubs) {
            hub.remove(subscription)
          }
        },
        dropped: () => {},
        pause: (subscription, paused) => {
          for (const hub of hubs) {
            hub.pause(subscription, paused)
          }
        },
        log: (effect) => one.hub.log(effect)
      }
      const a = { kind: "subscribe", name: "a" } as const
      const b = { kind: "subscribe", name: "b" } as const
      const subscription = new Subscription(owner, [a, b], {
        capacity: 16,
        maxBytes: 1024,
        strategy: "sliding",
        gaps: "once",
        failOnGap: false
      })
      one.hub.add(subscription, [a])
      two.hub.add(subscription, [b])
      subscription.begin()
      yield* one.subscribed(0, "a")
      yield* two.subscribed(0, "b")
      one.write(0, push("subscribe", "a", 1))
      yield* settle
      expect(subscription.started).toBe(false)
      two.write(0, push("subscribe", "b", 1))
      yield* subscription.confirmed

      one.write(0, push("message", "a", "one"))
      yield* Peer.eventually("a message of the first", () => subscription.inbox.size === 1)
      expect(subscription.inbox.take()).toBeInstanceOf(Delivery)

      one.peer.connections[0]?.reset()
      yield* one.subscribed(1, "a")
      two.write(0, push("message", "b", "during the gap"))
      yield* Peer.eventually("a message of the second", () => subscription.inbox.size === 1)
      expect(subscription.inbox.take()).toBeUndefined()
      one.write(1, push("subscribe", "a", 1))
      yield* Peer.eventually("the gap is over", () => subscription.inbox.ready(2))
      expect(subscription.inbox.take()).toBeInstanceOf(Gap)
      expect(subscription.inbox.take()).toMatchObject({ payload: "during the gap" })

      // A target may come later, too, and end the subscription when it is refused.
      two.hub.add(subscription, [{ kind: "subscribe", name: "c" }])
      yield* two.subscribed(0, "c")
      two.write(0, "-NOPERM this user has no permissions to access one of the channels\r\n")
      yield* Peer.eventually("it fails", () => subscription.inbox.end !== undefined)
      expect(subscription.inbox.end).toMatchObject({ error: { _tag: "ReplyError", code: "NOPERM" } })
      yield* Peer.eventually("both connections are closed", () => one.peer.open() === 0 && two.peer.open() === 0)
    })
  )
})
