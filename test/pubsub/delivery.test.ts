/**
 * Delivery of messages: numbered messages are published while connections are killed, and while the server is killed and
 * started again. Every lost message lies inside a signalled gap, and no gap is signalled without a disconnect.
 */
import { describe, expect, it as plain } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Redis, RedisPubSub } from "effect-redis-client"
import type { Gap } from "../../src/RedisPubSub.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, on, quickly } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import * as Peer from "../support/peer.js"
import { collecting, listenOn, until } from "../support/pubsub.js"
import { makeServer } from "../support/servers.js"

const pause = (millis: number) =>
  Effect.async<void>((resume) => {
    setTimeout(() => resume(Effect.void), millis)
  })

interface Numbered {
  readonly payload: string
}

/** Counts messages lost inside and outside of gaps, and messages that arrived twice or out of order. */
const audit = (got: ReadonlyArray<Numbered | Gap>, published: number) => {
  let next = 0
  let inside = 0
  let outside = 0
  let disorder = 0
  let received = 0
  let gap = false
  const gaps = got.filter(RedisPubSub.isGap).length
  for (const element of got) {
    if (RedisPubSub.isGap(element)) {
      gap = true
      continue
    }
    const number = Number(element.payload)
    received++
    if (number < next) {
      disorder++
    } else if (number > next) {
      if (gap) {
        inside += number - next
      } else {
        outside += number - next
      }
    }
    next = number + 1
    gap = false
  }
  return { published, received, gaps, inside, outside: outside + (published - next), disorder }
}

eachServer((it, live) => {
  describe("delivery", () => {
    it.scoped(
      "connections are killed: every lost message lies inside a gap, and there is no gap without a killed connection",
      () =>
        Effect.gen(function* () {
          const { host, port } = yield* RedisServer.RedisServer
          const redis = yield* live.connect()
          const run = on(redis)
          const service = yield* RedisPubSub.make({ host, port, protocol: live.protocol, reconnect: quickly })
          const listen = listenOn(service)
          const buffer = { bufferSize: 1_000_000, bufferBytes: 1e9 } as const
          const views = [
            yield* collecting(yield* listen(RedisPubSub.withGaps.subscribe("d:n", buffer))),
            yield* collecting(yield* listen(RedisPubSub.withGaps.psubscribe("d:*", buffer))),
            yield* collecting(yield* listen(RedisPubSub.withGaps.subscribe("d:n", { strategy: "suspend" })))
          ]
          let published = 0
          let stop = false
          const publisher = yield* Effect.fork(
            Effect.whileLoop({
              while: () => !stop,
              body: () =>
                run(Redis.pipeline(Array.from({ length: 50 }, (_, i) => Redis.publish("d:n", String(published + i))))),
              step: () => {
                published += 50
              }
            })
          )
          let kills = 0
          for (let i = 0; i < 25; i++) {
            yield* pause(i % 5 === 0 ? 0 : 5 + i)
            kills += Number(yield* run(Redis.execute("CLIENT", "KILL", "TYPE", "pubsub")))
          }
          stop = true
          yield* Fiber.await(publisher)
          yield* until(
            "all listeners are subscribed again",
            Effect.suspend(() => run(Redis.publish("d:n", String(published)))).pipe(
              Effect.tap(() => Effect.sync(() => published++)),
              Effect.map((count) => count === 3)
            )
          )
          for (const { got } of views) {
            yield* Peer.eventually(
              "the last message arrived",
              () => Number((got.at(-1) as Numbered).payload) === published - 1
            )
          }
          const audits = views.map(({ got }) => audit(got, published))
          const sum = (what: "gaps" | "inside" | "outside" | "disorder" | "received") =>
            audits.reduce((sum, audit) => sum + audit[what], 0)
          console.log(
            `delivery on ${live.server.name} RESP${live.protocol}: ${published} published to 3 views, ${kills} connections ` +
              `killed, ${sum("received")} received, ${sum("gaps")} gaps, lost inside gaps ${sum("inside")}, ` +
              `outside ${sum("outside")}, out of order ${sum("disorder")}`
          )
          expect(sum("outside")).toBe(0)
          expect(sum("disorder")).toBe(0)
          // The first two views share a connection, so killing it causes at most one gap in each.
          expect(kills).toBeGreaterThan(10)
          expect(sum("gaps")).toBeGreaterThan(0)
          for (const { gaps } of audits) {
            expect(gaps).toBeLessThanOrEqual(kills)
          }
          expect((audits[0]?.gaps ?? 0) + (audits[2]?.gaps ?? 0)).toBeLessThanOrEqual(kills)
        })
    )

    it.scoped("loses no message and signals no gap when no connection is lost", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const run = on(yield* live.connect())
        const service = yield* RedisPubSub.make({ host, port, protocol: live.protocol })
        const view = yield* collecting(yield* listenOn(service)(RedisPubSub.withGaps.subscribe("d:quiet")))
        for (let from = 0; from < 5000; from += 100) {
          yield* run(Redis.pipeline(Array.from({ length: 100 }, (_, i) => Redis.publish("d:quiet", String(from + i)))))
        }
        yield* view.has(5000)
        expect(audit(view.got, 5000)).toMatchObject({ received: 5000, gaps: 0, inside: 0, outside: 0, disorder: 0 })
      })
    )
  })
})

describeReal((server) => {
  for (const protocol of [2, 3] as const) {
    describe(`delivery, RESP${protocol}`, () => {
      live(protocol)
    })
  }
  function live(protocol: 2 | 3) {
    plain.scopedLive(`the server is killed with kill -9 and restarted: every lost message lies inside a gap`, () =>
      Effect.gen(function* () {
        const running = yield* makeServer(server)
        const { host, port } = running
        const redis = yield* Redis.make({ host, port, protocol, reconnect: quickly })
        const run = on(redis)
        const service = yield* RedisPubSub.make({ host, port, protocol, reconnect: quickly })
        const view = yield* collecting(
          yield* listenOn(service)(RedisPubSub.withGaps.subscribe("d:n", { bufferSize: 1_000_000 }))
        )
        let published = 0
        const restarts = 3
        const back = until(
          "the listener is subscribed again",
          Effect.suspend(() => run(Redis.publish("d:n", String(published)))).pipe(
            Effect.tap(() => Effect.sync(() => published++)),
            Effect.map((count) => count === 1)
          )
        )
        for (let i = 0; i <= restarts; i++) {
          for (let j = 0; j < 20; j++) {
            yield* run(
              Redis.pipeline(Array.from({ length: 50 }, (_, k) => Redis.publish("d:n", String(published + k))))
            )
            published += 50
          }
          if (i < restarts) {
            yield* running.kill
            yield* running.start
            // Otherwise the next kill could fall into the same gap.
            yield* back
          }
        }
        yield* Peer.eventually(
          "the last message arrived",
          () => Number((view.got.at(-1) as Numbered).payload) === published - 1
        )
        const said = audit(view.got, published)
        console.log(
          `delivery on ${server.name} RESP${protocol}: ${published} published, ${restarts} times kill -9 and restart, ` +
            `${said.received} received, ${said.gaps} gaps, lost inside gaps ${said.inside}, outside ${said.outside}`
        )
        expect(said).toMatchObject({ outside: 0, disorder: 0, gaps: restarts })
      })
    )
  }
})
