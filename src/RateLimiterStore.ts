/**
 * The store of `RateLimiter` of `@effect/experimental` over this client: limits that all processes share.
 *
 * @since 0.1.0
 */
import { RateLimiterStore } from "@effect/experimental/RateLimiter"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { checkPrefix } from "./internal/adapter/options.js"
import { fromEither } from "./internal/effect/either.js"
import { makeStore } from "./internal/rateLimiterStore/store.js"
import { Redis } from "./Redis.js"
import type { UsageError } from "./RedisError.js"

/**
 * Options of the store.
 *
 * @since 0.1.0
 * @category options
 */
export interface RateLimiterStoreOptions {
  /** What the names of all keys begin with. Default: `ratelimiter:`. */
  readonly prefix?: string | undefined
}

/**
 * Makes the store. {@link layer} is how programs usually get one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: RateLimiterStoreOptions = {}
): Effect.Effect<Context.Tag.Service<typeof RateLimiterStore>, UsageError, Redis> =>
  Effect.flatMap(Redis, (redis) =>
    Effect.map(fromEither(checkPrefix(options.prefix ?? "ratelimiter:")), (prefix) => makeStore(redis, prefix))
  )

/**
 * The store as a Layer, for `RateLimiter.layer`.
 *
 * Time is the server's, so clients whose clocks differ share a limit, and Effect's `TestClock` does not move it. A call whose
 * reply was lost may have taken its tokens; it is not sent again.
 *
 * @example
 * ```ts
 * import { RateLimiter } from "@effect/experimental"
 * import { Redis } from "effect-redis-client"
 * import * as RateLimiterStore from "effect-redis-client/RateLimiterStore"
 * import { Effect, Layer } from "effect"
 *
 * const LimiterLive = RateLimiter.layer.pipe(
 *   Layer.provide(RateLimiterStore.layer()),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 *
 * export const program = Effect.gen(function*() {
 *   const withLimiter = yield* RateLimiter.makeWithRateLimiter
 *   yield* Effect.log("hello").pipe(withLimiter({ key: "greetings", limit: 3, window: "1 second" }))
 * }).pipe(Effect.provide(LimiterLive))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: RateLimiterStoreOptions = {}): Layer.Layer<RateLimiterStore, UsageError, Redis> =>
  Layer.effect(RateLimiterStore, make(options))

/**
 * The store as a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<RateLimiterStoreOptions>
): Layer.Layer<RateLimiterStore, UsageError | ConfigError.ConfigError, Redis> =>
  Layer.effect(RateLimiterStore, Effect.flatMap(Config.unwrap(options), make))
