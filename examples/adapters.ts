/**
 * Effect's own services over one client: a key-value store, a cache of results, a rate limiter and a queue.
 */
import { PersistedCache, PersistedQueue, RateLimiter } from "@effect/experimental"
import { KeyValueStore } from "@effect/platform"
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option, PrimaryKey, Redacted, Schema } from "effect"
import { Redis } from "effect-redis-client"
import * as RedisStore from "effect-redis-client/KeyValueStore"
import * as RedisQueue from "effect-redis-client/PersistedQueue"
import * as Persistence from "effect-redis-client/Persistence"
import * as RateLimiterStore from "effect-redis-client/RateLimiterStore"

const settings = Effect.gen(function* () {
  const store = yield* KeyValueStore.KeyValueStore
  yield* store.set("visits", "0")
  // Twenty at once: none is lost.
  const visit = store.modify("visits", (count) => String(Number(count) + 1))
  yield* Effect.all(
    Array.from({ length: 20 }, () => visit),
    { concurrency: "unbounded" }
  )
  yield* Console.log(`visits: ${Option.getOrElse(yield* store.get("visits"), () => "?")}`)
})

class Price extends Schema.TaggedRequest<Price>()("Price", {
  success: Schema.Number,
  failure: Schema.String,
  payload: { symbol: Schema.String }
}) {
  [PrimaryKey.symbol]() {
    return this.symbol
  }
}

const prices = Effect.scoped(
  Effect.gen(function* () {
    const cache = PersistedCache.make({
      storeId: "prices",
      lookup: ({ symbol }: Price) => Effect.as(Console.log(`looked up: ${symbol}`), 12),
      timeToLive: () => "1 minute"
    })
    // The second cache finds what the first has stored, as another process would.
    for (const { get } of [yield* cache, yield* cache]) {
      yield* Console.log(`gold: ${yield* get(new Price({ symbol: "gold" }))}`)
    }
  })
)

const limits = Effect.gen(function* () {
  const limiter = yield* RateLimiter.RateLimiter
  const request = limiter.consume({ key: "ada", limit: 3, window: "1 minute" })
  const results = yield* Effect.replicateEffect(Effect.either(request), 4)
  yield* Console.log(`allowed: ${results.filter(({ _tag }) => _tag === "Right").length} of 4`)
})

const mails = Effect.gen(function* () {
  const queue = yield* PersistedQueue.make({ name: "mails", schema: Schema.Struct({ to: Schema.String }) })
  yield* queue.offer({ to: "ada" }, { id: "welcome:ada" })
  yield* queue.offer({ to: "ada" }, { id: "welcome:ada" })
  yield* queue.offer({ to: "bob" })
  const send = queue.take(
    ({ to }, { attempts }) =>
      to === "bob" ? Effect.fail("no such mailbox") : Console.log(`to ${to}, attempt ${attempts + 1}`),
    { maxAttempts: 1 }
  )
  yield* send
  yield* Effect.ignore(send)
  const failed = yield* Redis.xrange(RedisQueue.failedKey("mails"), "-", "+")
  yield* Console.log(`failed: ${failed.map(({ fields }) => fields.element).join()}`)
})

const program = Effect.all([settings, prices, limits, mails])

const Services = Layer.mergeAll(
  RedisStore.layer({ prefix: "example:settings:" }),
  Persistence.layerResult({ prefix: "example:" }),
  RateLimiter.layer.pipe(Layer.provide(RateLimiterStore.layer({ prefix: "example:limits:" }))),
  RedisQueue.layer()
)

const RedisLive = Redis.layerConfig({
  url: Config.redacted("REDIS_URL").pipe(Config.withDefault(Redacted.make("redis://localhost:6379")))
})

program.pipe(Effect.provide(Services), Effect.provide(RedisLive), NodeRuntime.runMain)

// prints:
//   visits: 20
//   looked up: gold
//   gold: 12
//   gold: 12
//   allowed: 3 of 4
//   to ada, attempt 1
//   failed: {"to":"bob"}
