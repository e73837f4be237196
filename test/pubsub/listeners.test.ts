/** A listener that throws: it ends nothing, and the other listeners get their messages. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { Codec, RedisPubSub } from "effect-redis-client"
import { onlyLogger, recordingLogger } from "../support/effect.js"
import * as Peer from "../support/peer.js"
import { listenOn } from "../support/pubsub.js"

const push = (kind: string, channel: string, last: string | number): string =>
  `>3\r\n+${kind}\r\n$${channel.length}\r\n${channel}\r\n${typeof last === "number" ? `:${last}` : `+${last}`}\r\n`

const setUp = Effect.gen(function* () {
  const peer = yield* Peer.make({
    onCommand: Peer.greeting(([name, channel]) =>
      /SUBSCRIBE$/.test(name as string) ? push((name as string).toLowerCase(), channel as string, 1) : "+OK\r\n"
    )
  })
  const service = yield* RedisPubSub.make({ host: "127.0.0.1", port: peer.port, protocol: 3 })
  const inbox = service.subscribe([{ kind: "subscribe", name: "a" }], {
    capacity: 16,
    maxBytes: 1024,
    strategy: "sliding",
    gaps: "none",
    failOnGap: false,
    alone: false
  })
  return { peer, inbox, listen: listenOn(service), write: (raw: string) => peer.connections[0]?.write(raw) }
})

const logged = () => {
  const lines: Array<string> = []
  const logger = recordingLogger(({ cause, level, message }) => {
    lines.push(`${level} ${String(message)} ${String(cause)}`)
  })
  return { lines, layer: onlyLogger(logger) }
}

describe("a listener that throws", () => {
  const { layer, lines } = logged()
  it.scoped("starves neither the other listeners of its channel nor the connection, and is logged", () =>
    Effect.gen(function* () {
      lines.length = 0
      const { inbox, listen, peer, write } = yield* setUp
      const thrower = yield* inbox
      const before = yield* listen(RedisPubSub.mailbox("a"))
      thrower.onReady(1, () => {
        throw new Error("thrown by the listener")
      })
      const after = yield* listen(RedisPubSub.mailbox("a"))
      write(push("message", "a", "one") + push("message", "a", "two"))
      for (const messages of [before, after]) {
        expect(yield* messages.take).toMatchObject({ payload: "one" })
        expect(yield* messages.take).toMatchObject({ payload: "two" })
      }
      expect(thrower.size).toBe(2)
      expect(peer.open()).toBe(1)
      expect(lines.filter((line) => line.includes("thrown by the listener"))).toHaveLength(1)
    }).pipe(Effect.provide(layer))
  )

  it.scoped("a codec that throws is a defect of its own taker, after the messages before it", () =>
    Effect.gen(function* () {
      const { listen, write } = yield* setUp
      const codec = Codec.make<string>({
        encode: Either.right,
        decode: (text) => {
          if (text === "bad") {
            throw new Error("thrown by the codec")
          }
          return Either.right(text)
        }
      })
      const throwing = yield* listen(RedisPubSub.withCodec(codec).mailbox("a"))
      const other = yield* listen(RedisPubSub.mailbox("a"))
      write(push("message", "a", "one") + push("message", "a", "bad") + push("message", "a", "three"))
      yield* Peer.eventually("all are there", () =>
        Effect.runSync(other.size).pipe((size) => String(size).includes("3"))
      )
      const [first] = yield* throwing.takeAll
      expect([...first]).toMatchObject([{ payload: "one" }])
      const exit = yield* Effect.exit(throwing.takeAll)
      expect(Exit.isFailure(exit) && String(exit.cause)).toMatch(/thrown by the codec/)
      const [third] = yield* throwing.takeAll
      expect([...third]).toMatchObject([{ payload: "three" }])
      const [all] = yield* other.takeAll
      expect([...all].map(({ payload }) => payload)).toEqual(["one", "bad", "three"])
    })
  )
})
