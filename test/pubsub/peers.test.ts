/** A scripted peer does what no real server does on demand: it confirms late, without being asked, or for others. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { RedisPubSub } from "effect-redis-client"
import type { RedisPubSubOptions } from "../../src/RedisPubSub.js"
import { failure, quickly, settle } from "../support/client.js"
import { poll } from "../support/fibers.js"
import * as Peer from "../support/peer.js"
import { first, listenOn } from "../support/pubsub.js"

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`
const frame = (protocol: 2 | 3, ...items: ReadonlyArray<string | number>): string =>
  `${protocol === 3 ? ">" : "*"}${items.length}\r\n${items
    .map((item) => (typeof item === "string" ? bulk(item) : `:${item}\r\n`))
    .join("")}`

/** Answers CLIENT ID, too, which the RESP2 handshake sends. */
const greeting = (then: Parameters<typeof Peer.greeting>[0]): NonNullable<Peer.Script["onCommand"]> => {
  const answer = Peer.greeting(then)
  return (command, connection) =>
    command[0] === "CLIENT" && command[1] === "ID" ? ":42\r\n" : answer(command, connection)
}

for (const protocol of [2, 3] as const) {
  const push = (...items: ReadonlyArray<string | number>) => frame(protocol, ...items)

  /** A peer that confirms every (un)subscribe command that `answer` leaves to it. */
  const setUp = (
    answer: (command: ReadonlyArray<string>, connection: Peer.PeerConnection) => string | null | undefined = () =>
      undefined,
    options: RedisPubSubOptions = {}
  ) =>
    Effect.gen(function* () {
      const script = greeting((command, connection) => {
        const said = answer(command, connection)
        if (said !== undefined) {
          return said ?? undefined
        }
        const kind = (command[0] as string).toLowerCase()
        return /subscribe$/.test(kind) ? push(kind, command[1] as string, 1) : "+OK\r\n"
      })
      const peer = yield* Peer.make({ onCommand: script })
      const service = yield* RedisPubSub.make({
        host: "127.0.0.1",
        port: peer.port,
        protocol,
        reconnect: quickly,
        ...options
      })
      const commands = () =>
        peer.connections.flatMap(({ received }) =>
          received.filter(([name]) => /SUBSCRIBE|PING/.test(name ?? "")).map((words) => words.join(" "))
        )
      return { peer, listen: listenOn(service), commands, connection: () => peer.connections[0] as Peer.PeerConnection }
    })

  describe(`subscriptions of a peer, RESP${protocol}`, () => {
    it.scoped(
      "each channel has its own SUBSCRIBE and is settled only by its own confirmation, whatever other pushes arrive",
      () =>
        Effect.gen(function* () {
          const { commands, connection, listen } = yield* setUp(([name, channel]) =>
            name === "SUBSCRIBE" && channel !== "read" ? null : undefined
          )
          const read = yield* listen(RedisPubSub.mailbox("read"))
          const a = yield* Effect.fork(listen(RedisPubSub.subscribe("a")))
          yield* Peer.eventually("SUBSCRIBE a arrived", () => commands().length === 2)
          const b = yield* Effect.fork(listen(RedisPubSub.subscribe("b")))
          yield* Peer.eventually("SUBSCRIBE b arrived", () => commands().length === 3)
          // None of these confirms a: another channel, another kind of subscription, and a message.
          connection().write(push("subscribe", "z", 1) + push("psubscribe", "a", 1) + push("message", "a", "early"))
          connection().write(push("message", "read", "so far"))
          yield* read.take
          yield* settle
          expect(Option.isNone(yield* poll(a))).toBe(true)
          connection().write(push("subscribe", "a", 1) + push("message", "read", "so far"))
          yield* Fiber.join(a)
          yield* read.take
          yield* settle
          expect(Option.isNone(yield* poll(b))).toBe(true)
          connection().write(push("subscribe", "b", 2))
          yield* Fiber.join(b)
          expect(commands()).toEqual(["SUBSCRIBE read", "SUBSCRIBE a", "SUBSCRIBE b"])
        })
    )

    it.scoped(
      "the confirmation of an interrupted subscribe does not settle a later subscribe to the same channel",
      () =>
        Effect.gen(function* () {
          const { commands, connection, listen } = yield* setUp(([, channel]) => (channel === "a" ? null : undefined))
          const read = yield* listen(RedisPubSub.mailbox("read"))
          const gone = yield* Effect.fork(listen(RedisPubSub.subscribe("a")))
          yield* Peer.eventually("SUBSCRIBE a arrived", () => commands().length === 2)
          yield* Fiber.interrupt(gone)
          const again = yield* Effect.fork(listen(RedisPubSub.subscribe("a")))
          yield* Peer.eventually("the second SUBSCRIBE a arrived", () => commands().length === 4)
          connection().write(push("subscribe", "a", 2) + push("message", "read", "so far"))
          yield* read.take
          yield* settle
          expect(Option.isNone(yield* poll(again))).toBe(true)
          connection().write(push("unsubscribe", "a", 1) + push("subscribe", "a", 2) + push("message", "a", "mine"))
          expect(yield* first(yield* Fiber.join(again), 1)).toMatchObject([{ payload: "mine" }])
          expect(commands().slice(1)).toEqual(["SUBSCRIBE a", "UNSUBSCRIBE a", "SUBSCRIBE a"])
        })
    )

    it.scoped("an error reply fails the subscribe whose place in the order of commands it has", () =>
      Effect.gen(function* () {
        const { commands, connection, listen } = yield* setUp(([name]) => (name === "SUBSCRIBE" ? null : undefined))
        const fibers = yield* Effect.forEach(["a", "b", "c"], (name) =>
          Effect.fork(Effect.exit(listen(RedisPubSub.subscribe(name))))
        )
        yield* Peer.eventually("all three arrived", () => commands().length === 3)
        connection().write(
          `${push("subscribe", "a", 1)}-NOPERM this user has no permissions to access one of the channels\r\n${push("subscribe", "c", 2)}`
        )
        const [a, b, c] = yield* Effect.all(fibers.map(Fiber.join))
        expect([a?._tag, c?._tag]).toEqual(["Success", "Success"])
        expect(b !== undefined && failure(b)).toMatchObject({
          _tag: "ReplyError",
          code: "NOPERM",
          command: "SUBSCRIBE"
        })
      })
    )

    it.scoped(
      "listeners that subscribe to a channel while its SUBSCRIBE is in flight wait for the same confirmation",
      () =>
        Effect.gen(function* () {
          const { commands, connection, listen } = yield* setUp(([name]) => (name === "SUBSCRIBE" ? null : undefined))
          const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.fork(listen(RedisPubSub.subscribe("a"))))
          yield* Peer.eventually("SUBSCRIBE a arrived", () => commands().length > 0)
          connection().write(push("subscribe", "a", 1) + push("message", "a", "hello"))
          for (const fiber of fibers) {
            expect(yield* first(yield* Fiber.join(fiber), 1)).toMatchObject([{ payload: "hello" }])
          }
          expect(commands()).toEqual(["SUBSCRIBE a"])
        })
    )

    it.scoped("a subscribe interrupted before its confirmation is unsubscribed", () =>
      Effect.gen(function* () {
        const { commands, connection, listen } = yield* setUp(([name, channel]) =>
          name === "SUBSCRIBE" && channel === "a" ? null : undefined
        )
        yield* listen(RedisPubSub.subscribe("b"))
        const fiber = yield* Effect.fork(listen(RedisPubSub.subscribe(["a", "b"])))
        yield* Peer.eventually("SUBSCRIBE a arrived", () => commands().includes("SUBSCRIBE a"))
        yield* Fiber.interrupt(fiber)
        connection().write(push("subscribe", "a", 2))
        yield* Peer.eventually("UNSUBSCRIBE a arrived", () => commands().includes("UNSUBSCRIBE a"))
        expect(commands()).toEqual(["SUBSCRIBE b", "SUBSCRIBE a", "UNSUBSCRIBE a"])
      })
    )

    it.scoped(
      "a subscribe issued while the channel's UNSUBSCRIBE is in flight sends a new SUBSCRIBE and waits for its confirmation",
      () =>
        Effect.gen(function* () {
          let subscribes = 0
          const { commands, connection, listen } = yield* setUp(([name]) =>
            name === "UNSUBSCRIBE" || (name === "SUBSCRIBE" && ++subscribes > 1) ? null : undefined
          )
          yield* Effect.scoped(listen(RedisPubSub.subscribe("a")))
          const again = yield* Effect.fork(listen(RedisPubSub.subscribe("a")))
          yield* Peer.eventually("the second SUBSCRIBE a arrived", () => commands().length === 3)
          connection().write(push("message", "a", "between") + push("unsubscribe", "a", 0))
          connection().write(push("subscribe", "a", 1) + push("message", "a", "mine"))
          expect(yield* first(yield* Fiber.join(again), 1)).toMatchObject([{ payload: "mine" }])
          expect(commands()).toEqual(["SUBSCRIBE a", "UNSUBSCRIBE a", "SUBSCRIBE a"])
        })
    )

    it.scoped(
      "a sunsubscribe the server sends unasked settles no command; the channel is subscribed again, with a gap",
      () =>
        Effect.gen(function* () {
          let slots = 0
          const { commands, connection, listen } = yield* setUp(([name, channel]) =>
            name === "SUNSUBSCRIBE" || (channel === "slot" && ++slots > 1) ? null : undefined
          )
          const other = yield* listen(RedisPubSub.withGaps.mailbox("other"))
          const moved = yield* listen(RedisPubSub.withGaps.smailbox("slot"))
          yield* Effect.scoped(listen(RedisPubSub.ssubscribe("held")))
          yield* Peer.eventually("SUNSUBSCRIBE held arrived", () => commands().includes("SUNSUBSCRIBE held"))
          connection().write(push("sunsubscribe", "slot", 0))
          yield* Peer.eventually("the second SSUBSCRIBE slot arrived", () => commands().length === 5)
          expect(commands().slice(1)).toEqual([
            "SSUBSCRIBE slot",
            "SSUBSCRIBE held",
            "SUNSUBSCRIBE held",
            "SSUBSCRIBE slot"
          ])
          connection().write(push("sunsubscribe", "held", 1) + push("ssubscribe", "slot", 1))
          expect(yield* moved.take).toMatchObject({ _tag: "Gap", reason: "moved" })
          connection().write(push("smessage", "slot", "after"))
          expect(yield* moved.take).toMatchObject({ payload: "after" })
          // The server may send both its own sunsubscribe and the reply to ours.
          connection().write(push("sunsubscribe", "held", 0) + push("message", "other", "alive"))
          expect(yield* other.take).toMatchObject({ payload: "alive" })
          expect(other.unsafeSize()).toEqual(Option.some(0))
        })
    )

    it.scoped("a subscribe that is not confirmed fails at its deadline; a late confirmation is unsubscribed", () =>
      Effect.gen(function* () {
        const { commands, connection, listen } = yield* setUp(
          ([name, channel]) => (name === "SUBSCRIBE" && channel === "a" ? null : undefined),
          { replyTimeout: "50 millis" }
        )
        const late = yield* Effect.exit(listen(RedisPubSub.subscribe("a")))
        expect(failure(late)).toMatchObject({ _tag: "DeadlineError", phase: "reply", delivery: "unknown" })
        connection().write(push("subscribe", "a", 1))
        yield* Peer.eventually("UNSUBSCRIBE a arrived", () => commands().includes("UNSUBSCRIBE a"))
        yield* listen(RedisPubSub.subscribe("b"))
      })
    )

    it.scoped("a subscribe fails with the connection's error when no server answers within connectTimeout", () =>
      Effect.gen(function* () {
        const service = yield* RedisPubSub.make({
          host: "127.0.0.1",
          port: 1,
          connectTimeout: "100 millis",
          reconnect: quickly
        })
        const exit = yield* Effect.exit(listenOn(service)(RedisPubSub.subscribe("a")))
        expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "connect", delivery: "unsent" })
      })
    )

    it.scoped(
      "an idle connection is pinged; when the peer stops answering, the connection is replaced, with a gap",
      () =>
        Effect.gen(function* () {
          let answers = 3
          const { commands, listen, peer } = yield* setUp(
            ([name]) =>
              name !== "PING" ? undefined : answers-- <= 0 ? null : protocol === 3 ? "+PONG\r\n" : push("pong", ""),
            { pingInterval: "20 millis", unresponsiveTimeout: "200 millis" }
          )
          const messages = yield* listen(RedisPubSub.withGaps.mailbox("a"))
          yield* Peer.eventually(
            "three pings arrived",
            () => commands().filter((command) => command === "PING").length >= 3
          )
          // The replies to PING went to the engine and are not messages of any listener.
          expect(messages.unsafeSize()).toEqual(Option.some(0))
          expect(peer.connections.length).toBe(1)
          expect(yield* messages.take).toMatchObject({ _tag: "Gap", cause: { reason: "unresponsive" } })
          expect(peer.connections.length).toBe(2)
        })
    )

    it.scoped("every unsubscribe command names its channel", () =>
      Effect.gen(function* () {
        const { commands, listen } = yield* setUp()
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* listen(RedisPubSub.subscribe(["a", "b"]))
            yield* listen(RedisPubSub.psubscribe("p*"))
            yield* listen(RedisPubSub.ssubscribe("s"))
          })
        )
        yield* Peer.eventually("all four are unsubscribed", () => commands().length === 8)
        expect(commands().slice(4).sort()).toEqual([
          "PUNSUBSCRIBE p*",
          "SUNSUBSCRIBE s",
          "UNSUBSCRIBE a",
          "UNSUBSCRIBE b"
        ])
      })
    )

    it.scoped("closing does not wait for an unanswered UNSUBSCRIBE, and leaves no socket", () =>
      Effect.gen(function* () {
        const { peer } = yield* Effect.scoped(
          Effect.gen(function* () {
            const inner = yield* setUpKept(protocol)
            yield* inner.listen(RedisPubSub.subscribe("a"))
            yield* inner.listen(RedisPubSub.subscribe("b", { strategy: "suspend" }))
            expect(inner.peer.open()).toBe(2)
            return inner
          })
        )
        yield* Peer.eventually("the sockets are closed", () => peer.open() === 0)
      })
    )
  })
}

/** The peer outlives the scope of the subscriptions, so that sockets left open can be counted from outside. */
const setUpKept = (protocol: 2 | 3) =>
  Effect.gen(function* () {
    const peer = yield* Peer.make({
      onCommand: greeting(([name, channel]) =>
        name === "SUBSCRIBE" ? frame(protocol, "subscribe", channel as string, 1) : undefined
      )
    })
    const service = yield* RedisPubSub.make({
      host: "127.0.0.1",
      port: peer.port,
      protocol,
      closeTimeout: "100 millis"
    })
    return { peer, listen: listenOn(service) }
  })
