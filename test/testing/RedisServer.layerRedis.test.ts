/** A client and its server in one layer, under the default services of a test. */
import { expect, layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Redis, RedisPubSub } from "effect-redis-client"
import * as RedisServer from "effect-redis-client/testing/RedisServer"

layer(RedisServer.layerRedis())("a server of the suite's own", (it) => {
  it.effect("answers", () =>
    Effect.gen(function* () {
      yield* Redis.set("greeting", "hello")
      expect(yield* Redis.get("greeting")).toEqual(Option.some("hello"))
      expect((yield* RedisServer.RedisServer).port).toBeGreaterThan(0)
    })
  )

  it.scoped("has subscriptions", () =>
    Effect.gen(function* () {
      const news = yield* RedisPubSub.subscribe("news")
      yield* Redis.publish("news", "hello")
      expect(Option.getOrThrow(yield* Stream.runHead(news)).payload).toBe("hello")
    })
  )
})

layer(RedisServer.layerRedis({ tls: true, password: Redacted.make("s3cret"), client: { database: 2 } }))(
  "one with TLS and a password",
  (it) => {
    it.effect("answers commands, and uses the client's options", () =>
      Effect.gen(function* () {
        expect(String(yield* Redis.execute("CLIENT", "INFO"))).toContain(" db=2 ")
      })
    )
  }
)
