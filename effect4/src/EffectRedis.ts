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
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Codec from "./Codec.js"
import { Argument } from "./internal/command/args.js"
import * as Command from "./internal/command/command.js"
import * as Decode from "./internal/command/decode.js"
import type { RedisCommand } from "./internal/command/model.js"
import * as ReplyErrors from "./internal/command/replyError.js"
import { isWellFormed, utf8Decode, utf8Encode } from "./internal/resp/text.js"
import {
  isErrorReply,
  isMapReply,
  isSetReply,
  isUnreadable,
  isVerbatimString,
  type Reply
} from "./internal/resp/values.js"
import { Redis, type RedisService } from "./Redis.js"
import * as Commands from "./RedisCommand.js"
import { ConnectionError, type RedisError } from "./RedisError.js"
import { RedisPubSub } from "./RedisPubSub.js"
import * as RedisScript from "./RedisScript.js"

type Service = EffectRedis.Redis["Service"]

/** The errors of this package are the `cause`. */
const failed = (cause: RedisError): EffectRedis.RedisError => new EffectRedis.RedisError({ cause })

const textOf = (stored: string | Uint8Array): string =>
  typeof stored === "string" ? stored : utf8Decode(stored, 0, stored.length)

/** A reply as the official layer gives it: maps as plain objects, sets as arrays, all strings as text. */
const plain = (reply: Reply): unknown => {
  if (reply === null || typeof reply !== "object") {
    return reply
  }
  if (reply instanceof Uint8Array) {
    return textOf(reply)
  }
  if (isMapReply(reply)) {
    return Object.fromEntries([...reply.entries].map(([key, value]) => [String(plain(key)), plain(value)]))
  }
  if (isSetReply(reply)) {
    return reply.items.map(plain)
  }
  if (isVerbatimString(reply)) {
    return textOf(reply.value)
  }
  if (isUnreadable(reply)) {
    return Decode.mismatch("a reply that can be read", reply)
  }
  // Inside of an array: a command of a transaction has failed, and the others have not.
  return isErrorReply(reply) ? ReplyErrors.make(reply, "EXEC", []) : (reply as ReadonlyArray<Reply>).map(plain)
}

/**
 * What Effect builds on the service expects that a lone surrogate is stored as U+FFFD, as encoders of UTF-8 do it. A command
 * of this package refuses it.
 */
const sendable = (text: unknown): string | Uint8Array => {
  const string = String(text)
  return isWellFormed(string) ? string : utf8Encode(string)
}

/** Sends commands of any name. */
const sendOn =
  (redis: RedisService): Service["send"] =>
  <A>(command: string, ...args: ReadonlyArray<string>) =>
    Effect.mapError(
      redis.send(Commands.make(command, { args: args.map(sendable), decode: plain })),
      failed
    ) as Effect.Effect<A, EffectRedis.RedisError>

/** A call of each script, without keys and arguments. A script is hashed once, however many calls it has. */
const calls = new WeakMap<object, RedisCommand<unknown>>()

const callOf = (script: { readonly lua: string }): RedisCommand<unknown> => {
  let call = calls.get(script)
  if (call === undefined) {
    call = RedisScript.make({ source: script.lua, keys: 0, result: plain })()
    calls.set(script, call)
  }
  return call
}

/** Keys are values here, as they are for `send`: `Redis.withPrefix` must not change one and leave the other as it is. */
const value = (data: unknown): Argument => new Argument("value", sendable(data))

/** A script goes by its SHA1, and with its source when the server does not hold it. */
const evalOn =
  (redis: RedisService): Service["eval"] =>
  (script) =>
  (...params) =>
    Effect.suspend(() => {
      const call = callOf(script)
      const args = [
        call.args[0] as Argument,
        value(script.numberOfKeys(...params)),
        ...script.params(...params).map(value)
      ]
      return Effect.mapError(Command.run(Command.reword(call, { args }), redis), failed)
    })

/** Text that is not UTF-8 does not end a subscription: the official layer replaces what cannot be read. */
const lenient: Codec.Codec<string> = {
  ...Codec.utf8,
  decode: (stored) => Result.succeed(textOf(stored)),
  decodeKey: (stored) => Result.succeed(textOf(stored))
}

/** The Stream of a subscription ends when its client is closed; the queue must not wait forever then. */
const closed = new ConnectionError({ reason: "closed", delivery: "unsent", message: "the client was closed" })

/** The queue of the service has no bound, so the buffer before it has none either. */
const unbounded = { bufferSize: Number.MAX_SAFE_INTEGER, bufferBytes: Number.MAX_SAFE_INTEGER }

const messagesOf = RedisPubSub.withCodec(lenient)

/**
 * The service on the connections of `Redis` and `RedisPubSub`.
 *
 * - `send`: replies look as those of the official layer do. A blocking command gets a connection of its own. A command that
 *   changes its connection, such as SELECT or MULTI, is refused: it belongs on a reserved one.
 * - `eval`: EVALSHA, and EVAL when the server does not hold the script.
 * - `subscribe`: returns once the server has confirmed. Messages are queued without a bound. A subscription that fails for
 *   good fails the queue. After a reconnect it goes on; messages of the time between are lost, and the log has a warning.
 * - `reserve`: a lease of the client's pool. A connection on which a command is unfinished or was interrupted is closed.
 *
 * The `cause` of each `RedisError` is the error of this package, with its `delivery`. Keys get no prefix. An integer beyond
 * 2^53 is a `bigint`.
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
      yield* messagesOf.subscribe(sendable(channel) as string, unbounded).pipe(
        Effect.provideService(RedisPubSub, pubsub),
        Effect.flatMap((messages) =>
          messages.pipe(
            Stream.runForEachArray((some) =>
              Effect.sync(() => {
                for (const { channel, payload } of some) {
                  Queue.offerUnsafe(queue, { channel, message: payload })
                }
              })
            ),
            Effect.andThen(Effect.fail(closed)),
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
        onSuccess: (leased) => ({ send: sendOn(leased), eval: evalOn(leased) })
      })
    )
    return EffectRedis.Redis.of({ send: sendOn(redis), eval: evalOn(redis), subscribe, reserve })
  })
)
