/** A stream worker's handler is linked to the span that added the entry, when both ask for it. */
import { expect, layer } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Redis, RedisStream } from "effect-redis-client"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { describeReal } from "../support/describeReal.js"
import { metrics } from "../support/effect.js"
import { until } from "../support/pubsub.js"
import { serverLayer } from "../support/servers.js"
import { keepingTracer } from "../support/tracer.js"

describeReal((server) => {
  const redis = Layer.unwrapEffect(
    Effect.map(RedisServer.RedisServer, ({ host, port }) => Redis.layer({ host, port }))
  ).pipe(Layer.provideMerge(serverLayer(server)))

  layer(redis)("a worker", (it) => {
    it.scoped("counts the entries that it has in hand, and how old they were when it took them up", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const shown = Effect.map(metrics, (all) =>
          Object.fromEntries(
            all.flatMap(({ name, state, tags }) =>
              name.startsWith("redis.client.stream.") && tags["server.address"] === `${host}:${port}`
                ? [[name.slice(20), (state as { readonly count: number }).count]]
                : []
            )
          )
        )
        const before = { lag: 0, in_hand: 0, ...(yield* shown) }
        yield* Effect.forEach([1, 2, 3], (n) => RedisStream.add("counted", { n: String(n) }))
        const latch = yield* Deferred.make<void>()
        const worker = yield* Effect.fork(
          RedisStream.worker({ stream: "counted", group: "group", consumer: "one", create: "all" }, () =>
            Deferred.await(latch)
          )
        )
        yield* until(
          "all are in hand, and one has a handler",
          Effect.map(shown, (now) => now.in_hand === before.in_hand + 3)
        )
        yield* until(
          "one was taken up",
          Effect.map(shown, (now) => now.lag === before.lag + 1)
        )
        yield* Deferred.succeed(latch, undefined)
        yield* until(
          "all are acknowledged",
          Effect.map(shown, (now) => now.in_hand === before.in_hand)
        )
        expect((yield* shown).lag).toBe(before.lag + 3)
        yield* Fiber.interrupt(worker)
      })
    )
  })

  layer(redis)("a worker with propagate", (it) => {
    it.scoped("links its span to the producer's, and shows neither the stream nor the entry", () =>
      Effect.gen(function* () {
        const { spans, tracer } = keepingTracer()
        const handled = yield* Deferred.make<Readonly<Record<string, string>>>()
        const program = Effect.gen(function* () {
          yield* Effect.withSpan(RedisStream.add("secret:orders", { item: "book" }), "unlinked")
          yield* Effect.withSpan(
            Effect.suspend(() => RedisStream.add("secret:orders", { item: "pen" }, { propagate: true })),
            "order"
          )
          const worker = yield* Effect.fork(
            RedisStream.worker(
              { stream: "secret:orders", group: "group", consumer: "one", create: "all", propagate: true },
              ({ fields }) => (fields.item === "pen" ? Deferred.succeed(handled, fields) : Effect.void)
            )
          )
          const fields = yield* Deferred.await(handled)
          yield* Fiber.interrupt(worker)
          return fields
        })
        const fields = yield* Effect.withTracer(program, tracer)
        const order = spans.find(({ name }) => name === "order")
        expect(fields).toEqual({ item: "pen", traceparent: `00-${order?.traceId}-${order?.spanId}-01` })
        const processed = spans.filter(({ name }) => name === "redis.stream.process")
        expect(processed.map(({ kind, links }) => [kind, links.map(({ span }) => span.spanId)])).toEqual([
          ["consumer", []],
          ["consumer", [order?.spanId]]
        ])
        const shown = JSON.stringify(spans.map(({ attributes, events, name }) => [name, [...attributes], events]))
        expect(shown).not.toContain("secret")
        expect(shown).not.toContain("book")
      })
    )
  })
})
