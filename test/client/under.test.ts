/** Effects and Streams under another client: `using`, `withPrefix`, `Pool.withConnection`, `RedisPubSub.using`. */
import { describe, expect } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Pool, Redis, RedisPubSub } from "effect-redis-client"
import { ConnectionError } from "../../src/RedisError.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, failure, on } from "../support/client.js"
import { until } from "../support/pubsub.js"

class Sessions extends Redis.Tag("test/Sessions")<Sessions>() {}
class Events extends RedisPubSub.Tag("test/Events")<Events>() {}

/** What a Stream gives, sorted: SCAN has no order. */
const sorted = <E, R>(stream: Stream.Stream<string, E, R>) =>
  Effect.map(Stream.runCollect(stream), (all) => [...all].sort())

eachServer((it, { connect, protocol }) => {
  const start = Effect.gen(function* () {
    const { host, port } = yield* RedisServer.RedisServer
    const redis = yield* connect({ database: 1 })
    const sessions = yield* connect({ database: 2 })
    for (const client of [redis, sessions]) {
      yield* on(client)(Redis.flushdb())
    }
    return { host, port, redis, sessions, at: { host, port, protocol } as const }
  })

  describe("a Stream", () => {
    it.scoped("of a scan runs with the server of another tag, in both forms", () =>
      Effect.gen(function* () {
        const { redis, sessions } = yield* start
        yield* on(redis)(Redis.mset({ here: "1" }))
        yield* on(sessions)(Redis.mset({ "s:1": "1", "s:2": "2", other: "3" }))
        const keys = Redis.scanStream({ match: "s:*" })
        for (const stream of [keys.pipe(Redis.using(Sessions)), Redis.using(keys, Sessions)]) {
          expect(yield* sorted(stream).pipe(Effect.provideService(Sessions, sessions))).toEqual(["s:1", "s:2"])
        }
        expect(yield* on(redis)(sorted(Redis.scanStream()))).toEqual(["here"])
      })
    )

    it.scoped("of a scan and of entries has the prefix in its keys, in both forms", () =>
      Effect.gen(function* () {
        const { redis } = yield* start
        const run = on(redis)
        yield* run(Redis.mset({ "app:a": "1", "app:b": "2", c: "3" }))
        for (const stream of [
          Redis.scanStream().pipe(Redis.withPrefix("app:")),
          Redis.withPrefix(Redis.scanStream(), "app:")
        ]) {
          expect(yield* run(sorted(stream))).toEqual(["app:a", "app:b"])
        }
        yield* run(Redis.xadd("app:orders", "1-0", { n: "1" }))
        const entries = Redis.stream.read("orders", { from: "all", follow: false }).pipe(Redis.withPrefix("app:"))
        expect([...(yield* run(Stream.runCollect(entries)))]).toEqual([
          { stream: "orders", id: "1-0", fields: { n: "1" } }
        ])
      })
    )

    it.scoped("keeps its chunks, its failures and its finalizers", () =>
      Effect.gen(function* () {
        const { redis } = yield* start
        const ended: Array<string> = []
        const three = Stream.fromChunk(Chunk.make(1, 2, 3)).pipe(
          Stream.ensuring(Effect.sync(() => ended.push("ended"))),
          Redis.withPrefix("app:"),
          Redis.using(Sessions)
        )
        const chunks = yield* Stream.runCollect(Stream.chunks(three)).pipe(Effect.provideService(Sessions, redis))
        expect(Chunk.toReadonlyArray(chunks).map(Chunk.toReadonlyArray)).toEqual([[1, 2, 3]])
        const failing = Stream.fail("no" as const).pipe(Redis.withPrefix("app:"))
        expect(yield* on(redis)(Effect.exit(Stream.runDrain(failing)))).toEqual(Exit.fail("no"))
        expect(ended).toEqual(["ended"])
      })
    )

    it.scoped("with a connection of a pool keeps it until the Stream ends, also when it is interrupted", () =>
      Effect.gen(function* () {
        const { at } = yield* start
        const pool = yield* Pool.make({ ...at, minSize: 0, maxSize: 2 })
        const began = yield* Deferred.make<void>()
        const ids = Stream.repeatEffect(Redis.clientId()).pipe(
          Stream.tap(() => Deferred.succeed(began, undefined)),
          Pool.withConnection
        )
        const some = yield* Stream.runCollect(Stream.take(ids, 3)).pipe(Effect.provideService(Pool.Pool, pool))
        expect(new Set(some).size).toBe(1)
        expect([yield* pool.size, yield* pool.freeSize]).toEqual([1, 1])
        const fiber = yield* Effect.fork(Stream.runDrain(ids).pipe(Effect.provideService(Pool.Pool, pool)))
        yield* Deferred.await(began)
        yield* until(
          "it is lent",
          Effect.map(pool.freeSize, (free) => free === 0)
        )
        yield* Fiber.interrupt(fiber)
        // A connection that still owes a reply is closed instead.
        yield* until(
          "it is given back",
          Effect.zipWith(pool.size, pool.freeSize, (size, free) => size === free)
        )
      })
    )

    it.scoped("of messages runs with the subscriptions of another tag, in both forms", () =>
      Effect.gen(function* () {
        const { at, redis } = yield* start
        const events = yield* RedisPubSub.make(at)
        const nowhere = yield* RedisPubSub.make({ host: "127.0.0.1", port: 1, connectTimeout: "100 millis" })
        const heard = (channel: string) => RedisPubSub.stream(channel).pipe(Stream.take(1))
        // A channel for each form: the server counts a listener that has just left for a moment.
        for (const [channel, stream] of [
          [`one:${protocol}`, heard(`one:${protocol}`).pipe(RedisPubSub.using(Events))],
          [`two:${protocol}`, RedisPubSub.using(heard(`two:${protocol}`), Events)]
        ] as const) {
          const fiber = yield* Effect.fork(
            Stream.runCollect(stream).pipe(
              Effect.provideService(Events, events),
              Effect.provideService(RedisPubSub, nowhere)
            )
          )
          yield* until(
            "it listens",
            Effect.map(on(redis)(Redis.publish(channel, "hello")), (listeners) => listeners === 1)
          )
          expect([...(yield* Fiber.join(fiber))]).toMatchObject([{ payload: "hello" }])
        }
        const without = yield* Effect.exit(
          Stream.runDrain(heard("none")).pipe(Effect.provideService(RedisPubSub, nowhere))
        )
        expect(failure(without)).toBeInstanceOf(ConnectionError)
      })
    )
  })

  describe("an Effect", () => {
    it.scoped("runs with the server of another tag and with a prefix, in both forms", () =>
      Effect.gen(function* () {
        const { redis, sessions } = yield* start
        const both = Effect.zip(
          Redis.incr("n").pipe(Redis.withPrefix("app:")),
          Redis.using(Redis.withPrefix(Redis.incrby("n", 5), "app:"), Sessions)
        )
        expect(yield* on(redis)(both).pipe(Effect.provideService(Sessions, sessions))).toEqual([1, 5])
        expect(yield* on(redis)(Redis.keys("*"))).toEqual(["app:n"])
      })
    )
  })
})
