/**
 * Publish and subscribe: confirmed subscriptions, typed payloads, patterns, and a Stream that says where messages may be
 * missing.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Option, Redacted, Schema, Stream } from "effect"
import { Codec, Redis, RedisPubSub } from "effect-redis-client"

const Price = Schema.Struct({ symbol: Schema.String, cents: Schema.Number })
const codec = Codec.schema(Price)
const prices = RedisPubSub.withCodec(codec)
const { publish } = Redis.withCodec(codec)

const program = Effect.scoped(
  Effect.gen(function* () {
    const all = yield* prices.withGaps.psubscribe("example:price:*")

    // Once it returns, the server has confirmed: nothing that is published from there on is missed. The scope owns it.
    yield* Effect.scoped(
      Effect.gen(function* () {
        const gold = yield* prices.subscribe("example:price:gold")
        yield* publish("example:price:gold", { symbol: "gold", cents: 250_000 })
        yield* publish("example:price:tin", { symbol: "tin", cents: 3_100 })
        yield* gold.pipe(
          Stream.take(1),
          Stream.runForEach(({ channel, payload }) => Console.log(`${channel}: ${payload.cents / 100}`))
        )
      })
    )

    // Somebody ends the connection; everything is subscribed again, and the Stream says that there was a gap.
    const subscribers = (yield* Redis.clientList()).filter(({ psub }) =>
      Option.exists(psub, (patterns) => patterns > 0)
    )
    yield* Effect.forEach(subscribers, ({ id }) => Redis.clientKill({ id }))

    yield* all.pipe(
      Stream.take(4),
      Stream.runForEach((element) =>
        RedisPubSub.isGap(element)
          ? Effect.zipRight(
              Console.log(`a gap (${element.reason}): look up what may have changed`),
              publish("example:price:tin", { symbol: "tin", cents: 3_200 })
            )
          : Console.log(
              `${element.payload.symbol} ${element.payload.cents / 100}, by ${Option.getOrThrow(element.pattern)}`
            )
      )
    )
  })
)

const RedisLive = Redis.layerConfig({
  url: Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))
})

program.pipe(Effect.provide(RedisLive), NodeRuntime.runMain)

// prints:
//   example:price:gold: 2500
//   gold 2500, by example:price:*
//   tin 31, by example:price:*
//   a gap (disconnected): look up what may have changed
//   tin 32, by example:price:*
