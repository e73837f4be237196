/**
 * Servers that are older than the oldest one that is supported in full (Redis 7.0): a client connects to them, and the common
 * commands work.
 */
import { expect } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Codec, Pool, Redis, RedisPubSub, RedisScript, RedisStream } from "effect-redis-client"
import * as RedisServer from "effect-redis-client/testing/RedisServer"
import { eachServer, failure } from "./support/client.js"
import { olderServers } from "./support/servers.js"

eachServer(
  (it, { connect, protocol }) => {
    const withClient = <A, E>(effect: Effect.Effect<A, E, Redis>) =>
      Effect.flatMap(connect(), (redis) => Effect.provideService(effect, Redis, redis))

    it.scoped("strings, hashes, lists, sets, sorted sets and keys", () =>
      withClient(
        Effect.gen(function* () {
          yield* Redis.flushall()
          expect(yield* Redis.set("k", "v", { ex: "1 minute", nx: true })).toBe(true)
          expect(yield* Redis.get("k")).toEqual(Option.some("v"))
          expect(yield* Redis.mget(["k", "none"])).toEqual([Option.some("v"), Option.none()])
          expect(yield* Redis.incrby("n", 5)).toBe(5)
          expect(yield* Redis.hset("h", { a: "1", b: "2" })).toBe(2)
          expect({ ...(yield* Redis.hgetall("h")) }).toEqual({ a: "1", b: "2" })
          expect(yield* Redis.rpush("l", ["a", "b"])).toBe(2)
          expect(yield* Redis.lrange("l", 0, -1)).toEqual(["a", "b"])
          expect(yield* Redis.sadd("s", ["x", "y"])).toBe(2)
          expect((yield* Redis.smembers("s")).slice().sort()).toEqual(["x", "y"])
          expect(yield* Redis.zadd("z", [["m", 1.5]])).toBe(1)
          expect(yield* Redis.zscore("z", "m")).toEqual(Option.some(1.5))
          expect(yield* Redis.exists(["k", "h", "none"])).toBe(2)
          expect(Chunk.size(yield* Stream.runCollect(Redis.scanStream()))).toBe(6)
          expect(yield* Redis.del(["k", "n"])).toBe(2)
        })
      )
    )

    it.scoped("pipelines, transactions and scripts", () =>
      withClient(
        Effect.gen(function* () {
          yield* Redis.flushall()
          expect(yield* Redis.pipeline([Redis.incr("p"), Redis.incr("p")])).toEqual([1, 2])
          expect(yield* Redis.transaction([Redis.incr("p"), Redis.get("p")])).toEqual([3, Option.some("3")])
          const add = RedisScript.make({
            source: "return redis.call('incrby', KEYS[1], ARGV[1])",
            keys: 1,
            args: [Schema.Number],
            result: Schema.Number
          })
          expect(yield* add("p", 4)).toBe(7)
          expect(yield* add("p", 4)).toBe(11)
        })
      )
    )

    it.scoped("blocking commands, a pool, and its leases", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const pool = yield* Pool.make({ host, port, protocol, maxSize: 2 })
        yield* withClient(
          Effect.gen(function* () {
            yield* Redis.flushall()
            const waiting = yield* Effect.fork(Redis.blpop("l", { timeout: "10 seconds" }))
            yield* Redis.rpush("l", ["v"])
            expect(yield* Fiber.join(waiting)).toEqual(Option.some(["l", "v"]))
          })
        )
        const id = Effect.scoped(Effect.flatMap(pool.acquire, (connection) => connection.execute(Redis.clientId())))
        expect(yield* id).toBe(yield* id)
      })
    )

    it.scoped("subscriptions and streams with a group", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const client = Layer.mergeAll(
          Redis.layer({ host, port, protocol }),
          RedisPubSub.layer({ host, port, protocol })
        )
        yield* Effect.gen(function* () {
          yield* Redis.flushall()
          const messages = yield* RedisPubSub.subscribe("news")
          yield* Redis.publish("news", "hello")
          const first = yield* Stream.runHead(messages)
          expect(Option.map(first, ({ payload }) => payload)).toEqual(Option.some("hello"))
          yield* RedisStream.add("jobs", { n: "1" })
          const got: Array<string | undefined> = []
          const worker = yield* Effect.fork(
            RedisStream.worker(
              { stream: "jobs", group: "g", consumer: "c", create: "all", claim: false },
              ({ fields }) => Effect.sync(() => got.push(fields.n))
            )
          )
          yield* Effect.repeat(Redis.xpending("jobs", "g").pipe(Effect.option), {
            until: (pending) => got.length === 1 && Option.exists(pending, ({ pending }) => pending === 0)
          })
          yield* Fiber.interrupt(worker)
          expect(got).toEqual(["1"])
        }).pipe(Effect.provide(client))
      })
    )

    it.scoped("what the server reports of itself and its clients is read", () =>
      withClient(
        Effect.gen(function* () {
          expect((yield* Redis.info("server")).sections.server?.redis_version).toBeDefined()
          expect((yield* Redis.clientList()).length).toBeGreaterThan(0)
          expect((yield* Redis.role()).role).toBe("master")
          yield* Redis.memoryStats()
          yield* Redis.configGet("maxmemory")
        })
      )
    )

    it.scoped("bytes, and a command that the server does not have fails typed", () =>
      withClient(
        Effect.gen(function* () {
          const bytes = Uint8Array.from([0, 255, 13, 10])
          yield* Redis.withCodec(Codec.bytes).set("b", bytes)
          expect(yield* Redis.withCodec(Codec.bytes).get("b")).toEqual(Option.some(bytes))
          expect(failure(yield* Effect.exit(Redis.digest("b")))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        })
      )
    )
  },
  { servers: olderServers }
)
