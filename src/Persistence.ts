/**
 * `Persistence` of `@effect/experimental` over this client: what `PersistedCache` and persisted request resolvers keep their
 * results in.
 *
 * @since 0.1.0
 */
import type { BackingPersistence, ResultPersistence } from "@effect/experimental/Persistence"
import * as Experimental from "@effect/experimental/Persistence"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { checkPrefix } from "./internal/adapter/options.js"
import { fromEither } from "./internal/effect/either.js"
import { makeBacking } from "./internal/persistence/backing.js"
import { Redis } from "./Redis.js"
import type { UsageError } from "./RedisError.js"

/**
 * Options of the persistence.
 *
 * @since 0.1.0
 * @category options
 */
export interface PersistenceOptions {
  /**
   * What the names of all keys begin with. After it come the id of the store and `:`, then the key of the entry. In an id, `:` is
   * written as `%3A` and `%` as `%25`, so that no two stores share a key. Default: none.
   */
  readonly prefix?: string | undefined
}

/**
 * Makes the persistence. {@link layer} is how programs usually get one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: PersistenceOptions = {}): Effect.Effect<BackingPersistence, UsageError, Redis> =>
  Effect.flatMap(Redis, (redis) =>
    Effect.map(fromEither(checkPrefix(options.prefix ?? "")), (prefix) => makeBacking(redis, prefix))
  )

/**
 * `BackingPersistence` as a Layer: entries as JSON, with a time to live of their own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: PersistenceOptions = {}): Layer.Layer<BackingPersistence, UsageError, Redis> =>
  Layer.effect(Experimental.BackingPersistence, make(options))

/**
 * `BackingPersistence` as a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<PersistenceOptions>
): Layer.Layer<BackingPersistence, UsageError | ConfigError.ConfigError, Redis> =>
  Layer.effect(Experimental.BackingPersistence, Effect.flatMap(Config.unwrap(options), make))

/**
 * `ResultPersistence` as a Layer, which `PersistedCache` and `RequestResolver.persisted` need.
 *
 * @example
 * ```ts
 * import { PersistedCache } from "@effect/experimental"
 * import { Redis } from "effect-redis-client"
 * import * as Persistence from "effect-redis-client/Persistence"
 * import { Effect, Layer, PrimaryKey, Schema } from "effect"
 *
 * class Price extends Schema.TaggedRequest<Price>()("Price", {
 *   success: Schema.Number,
 *   failure: Schema.String,
 *   payload: { symbol: Schema.String }
 * }) {
 *   [PrimaryKey.symbol]() {
 *     return this.symbol
 *   }
 * }
 *
 * const PersistenceLive = Persistence.layerResult({ prefix: "shop:" }).pipe(
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 *
 * export const program = Effect.gen(function*() {
 *   const prices = yield* PersistedCache.make({
 *     storeId: "prices",
 *     lookup: (_: Price) => Effect.succeed(12),
 *     timeToLive: () => "1 minute"
 *   })
 *   return yield* prices.get(new Price({ symbol: "gold" }))
 * }).pipe(Effect.scoped, Effect.provide(PersistenceLive))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerResult = (options: PersistenceOptions = {}): Layer.Layer<ResultPersistence, UsageError, Redis> =>
  Layer.provide(Experimental.layerResult, layer(options))

/**
 * `ResultPersistence` as a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerResultConfig = (
  options: Config.Config.Wrap<PersistenceOptions>
): Layer.Layer<ResultPersistence, UsageError | ConfigError.ConfigError, Redis> =>
  Layer.provide(Experimental.layerResult, layerConfig(options))
