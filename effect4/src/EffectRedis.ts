/**
 * Effect's own service for Redis, `effect/persistence/Redis`, over the client of this package. What Effect builds on that
 * service (`Persistence`, `PersistedCache`, `PersistedQueue`, `RateLimiter`, `CircuitBreaker`) then shares the program's
 * connections, deadlines and reconnecting.
 *
 * @since 4.0.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as EffectRedis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Redis, type RedisService } from "./Redis.js"
import * as RedisCommand from "./RedisCommand.js"
import type { RedisError } from "./RedisError.js"
import { RedisPubSub } from "./RedisPubSub.js"
import * as RedisScript from "./RedisScript.js"
import * as Resp from "./Resp.js"

type Service = EffectRedis.Redis["Service"]

/** The errors of this package are the `cause`. */
const failed = (cause: RedisError): EffectRedis.RedisError => new EffectRedis.RedisError({ cause })

const utf8 = new TextDecoder()

/** A reply as the official layer gives it: maps as plain objects, sets as arrays, verbatim strings as text. */
const plain = (reply: Resp.Reply): unknown => {
  if (reply === null || typeof reply !== "object") {
    return reply
  }
  if (reply instanceof Uint8Array) {
    return utf8.decode(reply)
  }
  if (Array.isArray(reply)) {
    return reply.map(plain)
  }
  if (Resp.isMapReply(reply)) {
    const object: Record<string, unknown> = Object.create(null)
    for (const [key, value] of reply.entries) {
      object[String(plain(key))] = plain(value)
    }
    return object
  }
  if (Resp.isSetReply(reply)) {
    return reply.items.map(plain)
  }
  return Resp.isVerbatimString(reply) ? plain(reply.value) : reply
}

const decode = { decode: plain }

/** Sends commands of any name. */
const sendBy =
  (run: RedisService["send"]): Service["send"] =>
  <A>(command: string, ...args: ReadonlyArray<string>) =>
    Effect.mapError(run(RedisCommand.make(command, { args, ...decode })), failed) as Effect.Effect<
      A,
      EffectRedis.RedisError
    >

/** A script goes by its SHA1 where the server holds it, and otherwise with its source: one round trip either way. */
const evalBy =
  (run: RedisService["send"]): Service["eval"] =>
  (script) => {
    const { lua } = script
    const scripts = new Map<number, ReturnType<typeof scriptOf>>()
    return (...params) =>
      Effect.suspend(() => {
        const keys = script.numberOfKeys(...params)
        let made = scripts.get(keys)
        if (made === undefined) {
          made = scriptOf(lua, keys)
          scripts.set(keys, made)
        }
        return Effect.mapError(run(made(script.params(...params).map(String))), failed)
      })
  }

const scriptOf = (source: string, keys: number) => {
  const made = RedisScript.make({ source, keys: "any", result: plain })
  return (args: ReadonlyArray<string>) => made(args.slice(0, keys), ...(args.slice(keys) as []))
}

/**
 * The service on the connections of `Redis` and `RedisPubSub`.
 *
 * - `send`: replies look as those of the official layer do. A blocking command gets a connection of its own.
 * - `eval`: EVALSHA, and EVAL where the server does not hold the script.
 * - `subscribe`: messages are queued from when the server has confirmed the subscription; a subscription that fails for
 *   good fails the queue. After a reconnect it goes on: messages of the time between are lost, as with the official layer.
 * - `reserve`: a lease of the client's pool.
 *
 * The `cause` of each `RedisError` is the error of this package, with its `delivery`.
 *
 * @example
 * ```ts
 * import { Redis } from "effect-redis-client"
 * import * as EffectRedis from "effect-redis-client/EffectRedis"
 * import { Layer } from "effect"
 * import { PersistedQueue } from "effect/persistence"
 *
 * export const queues = PersistedQueue.layer.pipe(
 *   Layer.provide(PersistedQueue.layerStoreRedis()),
 *   Layer.provide(EffectRedis.layer),
 *   Layer.provide(Redis.layer({ host: "localhost" }))
 * )
 * ```
 *
 * @since 4.0.0
 * @category layers
 */
export const layer: Layer.Layer<EffectRedis.Redis, never, Redis | RedisPubSub> = Layer.effect(
  EffectRedis.Redis,
  Effect.gen(function* () {
    const redis = yield* Redis
    const pubsub = yield* RedisPubSub
    const subscribe = Effect.fnUntraced(function* (channel: string) {
      const queue = yield* Effect.acquireRelease(
        Queue.unbounded<EffectRedis.RedisMessage, EffectRedis.RedisError>(),
        Queue.shutdown
      )
      const messages = RedisPubSub.subscribe(channel).pipe(Effect.provideService(RedisPubSub, pubsub))
      yield* messages.pipe(
        Effect.flatMap((stream) =>
          stream.pipe(
            Stream.runForEach(({ channel, payload }) =>
              Effect.sync(() => Queue.offerUnsafe(queue, { channel, message: payload }))
            ),
            Effect.mapError(failed),
            Effect.catchCause((cause) => Queue.failCause(queue, cause)),
            Effect.forkScoped
          )
        ),
        Effect.catch((error) => Queue.fail(queue, failed(error)))
      )
      return queue as Queue.Dequeue<EffectRedis.RedisMessage, EffectRedis.RedisError>
    })
    const reserve: Effect.Effect<EffectRedis.Connection, EffectRedis.RedisError, Scope.Scope> = redis.lease.pipe(
      Effect.mapBoth({
        onFailure: failed,
        onSuccess: (leased) => ({ send: sendBy(leased.send), eval: evalBy(leased.send) })
      })
    )
    return EffectRedis.Redis.of({ send: sendBy(redis.send), eval: evalBy(redis.send), subscribe, reserve })
  })
)
