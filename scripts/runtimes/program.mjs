/**
 * What `npm run runtimes` runs under each runtime, from the packed package, as plain JavaScript. It prints a line for each
 * part that works. `REDIS_URL` is a server; `REDIS_TLS_URL` and `REDIS_TLS_CA` another one that speaks TLS.
 */
import assert from "node:assert/strict"
import { Chunk, Deferred, Effect, Fiber, Layer, Option, Redacted, Schedule, Schema, Stream } from "effect"
import { Codec, Pool, Redis, RedisCommand, RedisPubSub, RedisScript } from "effect-redis-client"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import * as RedisServer from "effect-redis-client/testing/RedisServer"

const url = Redacted.make(process.env.REDIS_URL)
const live = Layer.mergeAll(Redis.layer({ url, reconnect: Schedule.spaced("10 millis") }), RedisPubSub.layer({ url }))

const works = (part, effect) =>
  Effect.zipRight(
    Effect.timeoutFail(effect, { duration: "20 seconds", onTimeout: () => new Error(`${part}: did not end`) }),
    Effect.sync(() => console.log(part))
  )

const commands = Effect.gen(function* () {
  yield* Redis.set("text", "grüße", { ex: "1 minute" })
  assert.deepEqual(yield* Redis.get("text"), Option.some("grüße"))
  const bytes = Uint8Array.from({ length: 1_000_000 }, (_, i) => i % 256)
  yield* Redis.withCodec(Codec.bytes).set("bytes", bytes)
  const read = Option.getOrThrow(yield* Redis.withCodec(Codec.bytes).get("bytes"))
  assert.ok(read.length === bytes.length && read.every((byte, i) => byte === bytes[i]))
  const counts = yield* Effect.all(
    Array.from({ length: 100 }, () => Redis.incr("count")),
    { concurrency: "unbounded" }
  )
  assert.deepEqual(
    counts,
    Array.from({ length: 100 }, (_, i) => i + 1)
  )
})

const batches = Effect.gen(function* () {
  assert.deepEqual(yield* Redis.pipeline([Redis.incr("p"), Redis.incr("p")]), [1, 2])
  assert.deepEqual(
    { ...(yield* Redis.transaction({ a: Redis.incr("t"), b: Redis.get("none") })) },
    { a: 1, b: Option.none() }
  )
})

const blocking = Effect.gen(function* () {
  const taken = yield* Effect.fork(Redis.blpop("list", { timeout: "10 seconds" }))
  yield* Redis.rpush("list", ["element"])
  assert.deepEqual(Option.getOrThrow(yield* Fiber.join(taken)), ["list", "element"])
  const waiting = yield* Effect.fork(Redis.blpop("list", { timeout: "10 seconds" }))
  yield* Effect.sleep("20 millis")
  yield* Fiber.interrupt(waiting)
})

const pubsub = Effect.scoped(
  Effect.gen(function* () {
    const messages = yield* RedisPubSub.subscribe("news")
    yield* Redis.publish("news", "hello")
    const first = yield* Stream.runCollect(Stream.take(messages, 1))
    assert.equal(Chunk.unsafeHead(first).payload, "hello")
  })
)

const scripts = Effect.gen(function* () {
  const add = RedisScript.make({
    source: "return redis.call('incrby', KEYS[1], ARGV[1])",
    keys: 1,
    args: [Schema.Number]
  })
  yield* add("script", 2)
  yield* add("script", 3)
  assert.deepEqual(yield* Redis.get("script"), Option.some("5"))
})

const testing = Effect.scoped(
  Effect.gen(function* () {
    const server = yield* RedisServer.make()
    const proxy = yield* FaultProxy.make({ target: { host: server.host, port: server.port } })
    const redis = yield* Redis.make({ host: proxy.host, port: proxy.port, reconnect: Schedule.spaced("10 millis") })
    yield* proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" })
    assert.equal((yield* Effect.flip(redis.send(Redis.incr("visits")))).delivery, "unknown")
    yield* proxy.heal
    assert.deepEqual(yield* redis.send(Redis.get("visits")), Option.some("1"))
    yield* server.restart
    assert.equal(yield* redis.send(Redis.ping()), "PONG")
  })
)

const pool = Effect.scoped(
  Effect.gen(function* () {
    const members = yield* Pool.make({ url, minSize: 0, maxSize: 2 })
    const pings = Array.from({ length: 10 }, () =>
      Effect.scoped(Effect.flatMap(members.acquire, (connection) => connection.execute(Redis.ping())))
    )
    assert.deepEqual(new Set(yield* Effect.all(pings, { concurrency: 10 })), new Set(["PONG"]))
  })
)

const reconnects = Effect.gen(function* () {
  const before = yield* Redis.clientId()
  const ready = yield* Deferred.make()
  const redis = yield* Redis
  yield* redis.status.changes.pipe(
    Stream.tap(() => Deferred.succeed(ready, undefined)),
    Stream.runDrain,
    Effect.forkScoped
  )
  yield* Deferred.await(ready)
  const other = yield* Effect.scoped(
    Effect.provide(Redis.clientKill({ id: before }), Layer.fresh(Redis.layer({ url })))
  )
  assert.equal(other, 1)
  assert.deepEqual(yield* Redis.get("text"), Option.some("grüße"))
  assert.notEqual(yield* Redis.clientId(), before)
}).pipe(Effect.scoped)

const deadlines = Effect.gen(function* () {
  const late = yield* Effect.flip(
    Redis.blpop("nothing", { timeout: "10 seconds" }).pipe(RedisCommand.withDeadline("50 millis"))
  )
  assert.equal(late._tag, "DeadlineError")
  assert.deepEqual(yield* Redis.get("text"), Option.some("grüße"))
})

const tls = Effect.gen(function* () {
  assert.equal(yield* Redis.ping(), "PONG")
}).pipe(
  Effect.provide(
    Redis.layer({ url: Redacted.make(process.env.REDIS_TLS_URL), tls: { ca: [process.env.REDIS_TLS_CA] } })
  )
)

const all = Effect.gen(function* () {
  yield* works("commands", commands)
  yield* works("pipeline and transaction", batches)
  yield* works("blocking commands", blocking)
  yield* works("pub/sub", pubsub)
  yield* works("scripts", scripts)
  yield* works("pool", pool)
  yield* works("RedisServer and FaultProxy", testing)
  yield* works("deadlines", deadlines)
  yield* works("reconnecting", reconnects)
}).pipe(Effect.provide(live))

await Effect.runPromise(Effect.zipRight(all, works("TLS", tls)))
