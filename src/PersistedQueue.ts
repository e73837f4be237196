/**
 * The store of `PersistedQueue` of `@effect/experimental` over this client: queues that outlive their processes, and whose
 * elements are handled at least once.
 *
 * @since 0.1.0
 */

import type { PersistedQueueFactory, PersistedQueueStore } from "@effect/experimental/PersistedQueue"
import * as Experimental from "@effect/experimental/PersistedQueue"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { checkPrefix, invalid } from "./internal/adapter/options.js"
import type { DurationWithUnit } from "./internal/command/args.js"
import { checkCount, checkDuration } from "./internal/connection/options.js"
import { fromEither } from "./internal/effect/either.js"
import { keysOf } from "./internal/persistedQueue/scripts.js"
import * as Internal from "./internal/persistedQueue/store.js"
import { Redis } from "./Redis.js"
import type { UsageError } from "./RedisError.js"

/**
 * Options of the store. All processes that use a queue should have the same.
 *
 * @since 0.1.0
 * @category options
 */
export interface PersistedQueueOptions {
  /** What the names of all keys begin with, inside their hash tag. Default: `queue:`. */
  readonly prefix?: string | undefined
  /**
   * How long an element belongs to the worker that took it, without a sign of life. Workers renew it at a third of that time.
   * When it ends, because the process died or the server was out of reach for as long, the element goes to another worker, and
   * that counts as an attempt. Default: 90 seconds, at least 1 second.
   */
  readonly lease?: DurationWithUnit | undefined
  /**
   * For how long an id that the program chose is not accepted again after its element was handled or has failed. Default: 1 day.
   */
  readonly rememberIds?: DurationWithUnit | undefined
  /**
   * How often a process that waits looks without being woken, for leases that have ended. It waits for wake-ups
   * meanwhile. Default: 5 seconds.
   */
  readonly pollEvery?: DurationWithUnit | undefined
  /** How many elements that have failed too often are kept, about. Default: 10 000. */
  readonly failedLimit?: number | undefined
  /** How long they are kept after the last one failed. Default: 30 days. */
  readonly failedTimeToLive?: DurationWithUnit | undefined
}

const defaultPrefix = "queue:"

const settings = (options: PersistedQueueOptions): Effect.Effect<Internal.Settings, UsageError> =>
  Effect.gen(function* () {
    const millis = (name: "lease" | "rememberIds" | "pollEvery" | "failedTimeToLive", initial: DurationWithUnit) =>
      fromEither(checkDuration(options[name] ?? initial, name))
    const finite = (name: "lease" | "rememberIds" | "pollEvery", initial: DurationWithUnit) =>
      Effect.flatMap(millis(name, initial), (value) =>
        Number.isFinite(value) ? Effect.succeed(Math.ceil(value)) : fromEither(invalid(`${name} must be finite`))
      )
    const lease = yield* finite("lease", "90 seconds")
    if (lease < 1_000) {
      return yield* fromEither(invalid("lease must be at least 1 second"))
    }
    const failedTimeToLive = yield* millis("failedTimeToLive", "30 days")
    return {
      prefix: yield* fromEither(checkPrefix(options.prefix ?? defaultPrefix)),
      lease,
      rememberIds: yield* finite("rememberIds", "1 day"),
      pollEvery: yield* finite("pollEvery", "5 seconds"),
      failedLimit: yield* fromEither(checkCount(options.failedLimit ?? 10_000, "failedLimit")),
      failedTimeToLive: failedTimeToLive === Infinity ? undefined : Math.ceil(failedTimeToLive)
    }
  })

/**
 * Makes the store. When the scope closes, it renews no more leases. {@link layer} is how programs usually get one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: PersistedQueueOptions = {}
): Effect.Effect<Context.Tag.Service<typeof PersistedQueueStore>, UsageError, Redis | Scope.Scope> =>
  Effect.gen(function* () {
    const checked = yield* settings(options)
    const { store } = yield* Internal.makeStore(yield* Redis, checked, yield* Effect.scope)
    return store
  })

/**
 * `PersistedQueueFactory` as a Layer, from which `PersistedQueue.make` makes queues.
 *
 * @example
 * ```ts
 * import { PersistedQueue } from "@effect/experimental"
 * import { Redis } from "effect-redis-client"
 * import * as RedisQueue from "effect-redis-client/PersistedQueue"
 * import { Effect, Layer, Schema } from "effect"
 *
 * const QueuesLive = RedisQueue.layer({ lease: "1 minute" }).pipe(
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 *
 * export const program = Effect.gen(function*() {
 *   const mails = yield* PersistedQueue.make({ name: "mails", schema: Schema.Struct({ to: Schema.String }) })
 *   yield* mails.offer({ to: "ada" }, { id: "welcome:ada" })
 *   yield* mails.take(({ to }, { attempts }) => Effect.log(`to ${to}, attempt ${attempts}`))
 * }).pipe(Effect.provide(QueuesLive))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: PersistedQueueOptions = {}): Layer.Layer<PersistedQueueFactory, UsageError, Redis> =>
  Layer.provide(Experimental.layer, layerStore(options))

/**
 * `PersistedQueueFactory` as a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<PersistedQueueOptions>
): Layer.Layer<PersistedQueueFactory, UsageError | ConfigError.ConfigError, Redis> =>
  Layer.provide(
    Experimental.layer,
    Layer.scoped(Experimental.PersistedQueueStore, Effect.flatMap(Config.unwrap(options), make))
  )

/**
 * `PersistedQueueStore` as a Layer, for programs that build the factory themselves.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerStore = (options: PersistedQueueOptions = {}): Layer.Layer<PersistedQueueStore, UsageError, Redis> =>
  Layer.scoped(Experimental.PersistedQueueStore, make(options))

/**
 * The key of the stream of a queue's failed elements, oldest first. Each entry has the fields `id`, `attempts` and `element`,
 * which is JSON.
 *
 * @example
 * ```ts
 * import { Redis } from "effect-redis-client"
 * import * as RedisQueue from "effect-redis-client/PersistedQueue"
 *
 * export const failed = Redis.xrange(RedisQueue.failedKey("mails"), "-", "+")
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const failedKey = (name: string, options?: Pick<PersistedQueueOptions, "prefix">): string =>
  keysOf(options?.prefix ?? defaultPrefix, name)[6]
