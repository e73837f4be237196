/**
 * `KeyValueStore` of `@effect/platform` over this client: values are strings of Redis, and `modify` loses no update.
 *
 * @since 0.1.0
 */
import * as Platform from "@effect/platform/KeyValueStore"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { checkPrefix, invalid } from "./internal/adapter/options.js"
import type { DurationWithUnit } from "./internal/command/args.js"
import { checkDuration } from "./internal/connection/options.js"
import { fromEither } from "./internal/effect/either.js"
import type { Settings } from "./internal/keyValueStore/operations.js"
import { makeStore } from "./internal/keyValueStore/store.js"
import { Redis } from "./Redis.js"
import type { UsageError } from "./RedisError.js"

/**
 * In place of a prefix: the store has every key of the database. Its `clear` removes all of them, whoever wrote them.
 *
 * @since 0.1.0
 * @category options
 */
export const wholeDatabase: unique symbol = Symbol.for("effect-redis-client/KeyValueStore/wholeDatabase")

/**
 * Options of the store.
 *
 * @since 0.1.0
 * @category options
 */
export interface KeyValueStoreOptions {
  /**
   * What the names of all its keys begin with, such as `"settings:"`. `clear`, `size` and `isEmpty` are about the keys with
   * this prefix, so two stores whose prefixes begin alike share keys: end a prefix with `:`. For a store without one, say
   * {@link wholeDatabase}.
   */
  readonly prefix: string | typeof wholeDatabase
  /** How long a value lives after it was set. `modify` leaves the rest of that time as it is. Default: for ever. */
  readonly timeToLive?: DurationWithUnit | undefined
}

const settings = ({ prefix, timeToLive }: KeyValueStoreOptions): Effect.Effect<Settings, UsageError> =>
  Effect.gen(function* () {
    if (prefix === "") {
      return yield* fromEither(invalid("prefix must not be empty; for all keys of the database say wholeDatabase"))
    }
    const millis = timeToLive === undefined ? Infinity : yield* fromEither(checkDuration(timeToLive, "timeToLive"))
    return {
      prefix: prefix === wholeDatabase ? "" : yield* fromEither(checkPrefix(prefix)),
      timeToLive: millis === Infinity ? undefined : Math.ceil(millis)
    }
  })

/**
 * Makes the store. {@link layer} is how programs usually get one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: KeyValueStoreOptions): Effect.Effect<Platform.KeyValueStore, UsageError, Redis> =>
  Effect.flatMap(Redis, (redis) => Effect.map(settings(options), (checked) => makeStore(redis, checked)))

/**
 * The store as a Layer.
 *
 * @example
 * ```ts
 * import * as KeyValueStore from "@effect/platform/KeyValueStore"
 * import { Redis } from "effect-redis-client"
 * import * as RedisStore from "effect-redis-client/KeyValueStore"
 * import { Effect, Layer } from "effect"
 *
 * const StoreLive = RedisStore.layer({ prefix: "settings:", timeToLive: "30 days" }).pipe(
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 *
 * export const program = Effect.gen(function*() {
 *   const store = yield* KeyValueStore.KeyValueStore
 *   yield* store.set("theme", "dark")
 *   return yield* store.modify("theme", (theme) => `${theme}er`)
 * }).pipe(Effect.provide(StoreLive))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: KeyValueStoreOptions): Layer.Layer<Platform.KeyValueStore, UsageError, Redis> =>
  Layer.effect(Platform.KeyValueStore, make(options))

/**
 * The store as a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<KeyValueStoreOptions>
): Layer.Layer<Platform.KeyValueStore, UsageError | ConfigError.ConfigError, Redis> =>
  Layer.effect(Platform.KeyValueStore, Effect.flatMap(Config.unwrap(options), make))
