/** Many channels and a few slow listeners do not slow down ordinary commands, and leave nothing open afterwards. */
import { describe, expect } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Redis, RedisPubSub } from "effect-redis-client"
import { eachServer } from "../support/client.js"
import * as Peer from "../support/peer.js"
import { listener } from "../support/pubsub.js"

const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length

eachServer((it, live) => {
  describe("subscriptions under load", () => {
    it.scoped("1 000 channels and three slow listeners do not hold up commands", () =>
      Effect.gen(function* () {
        const { connections, listen, run } = yield* listener(live)
        const before = yield* connections
        const channels = 1000
        const each = 30
        const total = channels * each
        const names = Array.from({ length: channels }, (_, i) => `l:${i}`)
        let got = 0
        const views = yield* Effect.forEach(names, (name) => listen(RedisPubSub.mailbox(name)), {
          concurrency: "unbounded"
        })
        const readers = yield* Effect.forEach(views, (view) =>
          Effect.fork(
            Effect.gen(function* () {
              let mine = 0
              while (mine < each) {
                const [messages] = yield* view.takeAll
                mine += Chunk.size(messages)
                got += Chunk.size(messages)
              }
            })
          )
        )
        // Listeners that never take a message, one for each strategy.
        const slow = yield* Effect.all([
          listen(RedisPubSub.pmailbox("l:*", { bufferSize: 500 })),
          listen(RedisPubSub.pmailbox("l:*", { bufferSize: 500, strategy: "dropping" })),
          listen(RedisPubSub.pmailbox("l:*", { bufferSize: 500, strategy: "suspend" }))
        ])
        expect(yield* connections).toBe(before + 2)
        const publisher = yield* Effect.fork(
          Effect.forEach(
            Array.from({ length: each }, (_, round) => round),
            (round) => run(Redis.pipeline(names.map((name) => Redis.publish(name, `${round}`.padEnd(100, "."))))),
            { discard: true }
          )
        )
        const waits: Array<number> = []
        const started = performance.now()
        while (got < total) {
          const asked = performance.now()
          yield* run(Redis.set("l:command", "1"))
          waits.push(performance.now() - asked)
        }
        const took = performance.now() - started
        yield* Fiber.join(publisher)
        yield* Effect.forEach(readers, Fiber.join, { discard: true })
        waits.sort((a, b) => a - b)
        const at = (part: number) => (waits[Math.floor(waits.length * part)] ?? waits.at(-1) ?? 0).toFixed(1)
        const held = slow.map((view) => view.unsafeSize()).map((size) => (size._tag === "Some" ? size.value : -1))
        console.log(
          `load on ${live.server.name} RESP${live.protocol}: ${channels} channels, ${got} of ${total} messages in ` +
            `${Math.round(took)} ms, beside 3 slow listeners that hold ${held.join(", ")}; ${waits.length} commands ` +
            `meanwhile: median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`
        )
        expect(got).toBe(total)
        expect(held[0]).toBe(500)
        expect(held[1]).toBe(500)
        expect(held[2]).toBeLessThan(500 + 1500)
        // A shared machine may be slow, but a command that waited for a listener would never be answered.
        expect(waits.at(-1)).toBeLessThan(2_500)
      })
    )

    it.scoped("leave no socket and no subscription once their scope closes", () =>
      Effect.gen(function* () {
        const outer = yield* listener(live)
        const before = yield* outer.connections
        const open = sockets()
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { listen } = yield* listener(live)
            yield* listen(RedisPubSub.subscribe("left:1"))
            yield* listen(RedisPubSub.psubscribe("left:*", { strategy: "suspend" }))
            yield* listen(RedisPubSub.subscribeInvalidations())
            yield* listen(RedisPubSub.subscribeMonitor())
            yield* Effect.fork(Effect.never)
          })
        )
        yield* Peer.eventually("the sockets are closed", () => sockets() <= open)
        expect(yield* outer.connections).toBe(before)
        expect(yield* outer.subscribers).toBe(0)
      })
    )
  })
})
