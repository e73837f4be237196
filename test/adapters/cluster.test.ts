/** Each adapter over a cluster: stores find their keys on all nodes, and a limit or a queue has its keys in one hash slot. */

import { PersistedQueueStore } from "@effect/experimental/PersistedQueue"
import { BackingPersistence } from "@effect/experimental/Persistence"
import { RateLimiterStore } from "@effect/experimental/RateLimiter"
import { KeyValueStore } from "@effect/platform/KeyValueStore"
import { layer } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Redis } from "effect-redis-client"
import * as RedisStore from "effect-redis-client/KeyValueStore"
import * as PersistedQueue from "effect-redis-client/PersistedQueue"
import * as Persistence from "effect-redis-client/Persistence"
import * as RateLimits from "effect-redis-client/RateLimiterStore"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as Kit from "effect-redis-client/testing/RedisCluster"
import { expect } from "vitest"
import { describeReal } from "../support/describeReal.js"
import { realServers } from "../support/servers.js"

describeReal((server) => {
  const Cluster = Layer.unwrapScoped(
    Effect.map(
      Kit.make({
        executable: server.executable,
        replicasPerPrimary: 0,
        nodeTimeout: "30 seconds",
        startTimeout: "1 minute"
      }),
      ({ seeds }) => RedisCluster.layer({ nodes: seeds, replyTimeout: "30 seconds" })
    )
  )
  const Adapters = Layer.mergeAll(
    RedisStore.layer({ prefix: "kv:" }),
    Persistence.layer({ prefix: "p:" }),
    RateLimits.layer(),
    PersistedQueue.layerStore({ pollEvery: "1 hour" })
  ).pipe(Layer.provideMerge(Cluster))

  layer(Adapters, { excludeTestServices: true, timeout: "2 minutes" })("over a cluster", (it) => {
    const keys = Array.from({ length: 300 }, (_, i) => `key-${i}`)

    it.effect("KeyValueStore clears and counts the keys of all nodes, and no others", () =>
      Effect.gen(function* () {
        const store = yield* KeyValueStore
        yield* Redis.set("foreign", "1")
        yield* Effect.forEach(keys, (key) => store.set(key, key), { concurrency: "unbounded" })
        expect(yield* store.size).toBe(keys.length)
        expect(yield* store.modify("key-7", (text) => `${text}!`)).toEqual(Option.some("key-7!"))
        yield* store.clear
        expect([yield* store.size, yield* store.isEmpty, yield* Redis.dbsize()]).toEqual([0, true, 1])
      })
    )

    it.scoped("Persistence stores, finds and clears entries on all nodes", () =>
      Effect.gen(function* () {
        const store = yield* (yield* BackingPersistence).make("users")
        yield* store.setMany(keys.map((key, i) => [key, i, Option.some(Duration.minutes(1))]))
        expect(yield* store.getMany([...keys, "none"])).toEqual([...keys.map((_, i) => Option.some(i)), Option.none()])
        yield* store.clear
        expect(yield* store.getMany(keys.slice(0, 2))).toEqual([Option.none(), Option.none()])
      })
    )

    it.effect("RateLimiterStore counts each key where it is", () =>
      Effect.gen(function* () {
        const store = yield* RateLimiterStore
        for (const key of keys.slice(0, 20)) {
          const call = { key, tokens: 1, limit: 3, refillRate: Duration.minutes(1) }
          expect((yield* store.fixedWindow(call))[0]).toBe(1)
          expect((yield* store.fixedWindow(call))[0]).toBe(2)
          expect(yield* store.tokenBucket({ ...call, allowOverflow: false })).toBe(2)
        }
      })
    )

    it.effect("PersistedQueue hands on and wakes, whatever node a queue is on", () =>
      Effect.gen(function* () {
        const store = yield* PersistedQueueStore
        for (const name of ["a", "b", "c", "d", "{odd}", "}{"]) {
          const waiting = yield* Effect.fork(Effect.scoped(store.take({ name, maxAttempts: 1 })))
          yield* store.offer({ name, id: "1", element: name, isCustomId: false })
          expect(yield* Fiber.join(waiting)).toEqual({ id: "1", attempts: 0, element: name })
        }
        expect(yield* Redis.keys("{queue:*")).toEqual([])
      })
    )
  })
}, realServers.slice(-1))
