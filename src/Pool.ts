/**
 * A pool of connections, each lent to one borrower at a time: for work that cannot share a connection (transactions
 * under WATCH, blocking commands, other databases).
 *
 * A connection becomes free again only when its state is what the handshake made it and it owes no reply; otherwise it
 * is destroyed. The borrower's handle ends with its scope: a fiber that uses it later fails with a `UsageError` and
 * never reaches the next borrower.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Connection, type ConnectionOptions, fromLink } from "./Connection.js"
import type { Under } from "./internal/client/under.js"
import type { DurationWithUnit } from "./internal/command/args.js"
import { Redis, type RedisService } from "./internal/command/model.js"
import * as Credentials from "./internal/connection/credentials.js"
import { makeDial } from "./internal/connection/dial.js"
import { connect } from "./internal/connection/lazyNodeTransport.js"
import { observing } from "./internal/connection/observing.js"
import * as Options from "./internal/connection/options.js"
import { reconnectSettings } from "./internal/connection/pacer.js"
import { fromEither } from "./internal/effect/either.js"
import type { Program } from "./internal/effect/program.js"
import { coreOfPool, makeCore, type PoolCore, type PoolSettings } from "./internal/pool/core.js"
import type { RedisError, UsageError } from "./RedisError.js"

/**
 * The property by which a pool is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/Pool")

/**
 * The property by which a pool is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A pool of connections.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pool {
  readonly [TypeId]: TypeId
  /** Connections that are kept even when nobody needs them. */
  readonly minSize: number
  /** Connections there can be at once. */
  readonly maxSize: number
  /** How raw replies are read by default. */
  readonly encoding: "utf8" | "bytes"
  /** Connections there are, lent and free, those being opened included. */
  readonly size: Effect.Effect<number>
  /** Connections that nobody holds. */
  readonly freeSize: Effect.Effect<number>
  /** Fibers that wait for a connection. */
  readonly waiting: Effect.Effect<number>
  /** The database that connections are at. */
  readonly db: Effect.Effect<number>
  /**
   * Lends a connection until the scope closes. While all are lent, or none can be opened, callers wait in order of
   * arrival, for at most `acquireTimeout`.
   */
  readonly acquire: Effect.Effect<Connection, RedisError, Scope.Scope>
  /** Lends a connection as the service that commands need, until the scope closes. */
  readonly acquireRedis: Effect.Effect<RedisService, RedisError, Scope.Scope>
  /** Closes the free connections. Those that are lent are not touched. */
  readonly clear: Effect.Effect<void>
  /** Moves the pool to another database. Connections that are lent stay where they are and end when they come back. */
  readonly select: (database: number) => Effect.Effect<void, RedisError>
}

/**
 * The tag of the pool.
 *
 * @since 0.1.0
 * @category tags
 */
export const Pool: Context.Tag<Pool, Pool> = Context.GenericTag<Pool>("effect-redis-client/Pool")

/**
 * Options of a pool.
 *
 * @since 0.1.0
 * @category options
 */
export interface PoolOptions extends ConnectionOptions {
  /** Connections that are opened at once and kept. Default: 10, or 0 when `lazy`; at most `maxSize`. */
  readonly minSize?: number | undefined
  /** Connections there can be at once. Default: 10. */
  readonly maxSize?: number | undefined
  /** Opens nothing before somebody asks. Default: false. */
  readonly lazy?: boolean | undefined
  /**
   * How long to wait before each attempt to open a connection after the last attempt failed, or its connection ended at
   * once. The Schedule starts over once a connection was ready for 10 seconds. When it is done, waiting callers fail
   * with the reason, and the next caller starts it over. After a permanent failure, such as a wrong password, the pool
   * waits the longest of the Schedule's next 32 delays (at most a minute). To find that delay the Schedule is stepped
   * ahead, so its Effects run early. Default: from 50 ms doubling to 2 seconds, with jitter, without end.
   */
  readonly reconnect?: Schedule.Schedule<unknown, RedisError> | undefined
  /**
   * Failures after which waiting callers fail at once, and nothing is opened until a caller asks. Default: none.
   * Permanent failures also fail waiting callers at once.
   */
  readonly stopReconnecting?: ((error: RedisError) => boolean) | undefined
  /**
   * What `acquire` does when no connection can be opened: wait for the next attempt (`queue`, the default) or `fail`.
   * After a permanent failure it fails at once, whatever this is set to.
   */
  readonly offline?: "queue" | "fail" | undefined
  /** How long `acquire` waits for a connection, attempts to open one included. Default: 5 seconds. */
  readonly acquireTimeout?: DurationWithUnit | undefined
  /** A connection beyond `minSize` that nobody needed for this long is closed. Default: 1 minute. */
  readonly idleTimeout?: DurationWithUnit | undefined
  /** The age at which a connection is replaced, less up to a tenth at random. Default: `Duration.infinity`. */
  readonly maxAge?: DurationWithUnit | undefined
  /** A free connection that was silent for this long is asked with PING before it is lent. Default: 15 seconds. */
  readonly checkAfter?: DurationWithUnit | undefined
}

const resolve = (options: PoolOptions): Either.Either<PoolSettings, UsageError> =>
  Either.gen(function* () {
    const duration = (input: DurationWithUnit | undefined, what: string, fallback: number) =>
      input === undefined ? Either.right(fallback) : Options.checkDuration(input, what)
    const max = options.maxSize === undefined ? 10 : yield* Options.checkCount(options.maxSize, "maxSize")
    const min =
      options.minSize === undefined
        ? options.lazy === true
          ? 0
          : Math.min(10, max)
        : yield* Options.checkCount(options.minSize, "minSize", 0)
    if (min > max) {
      return yield* Options.invalid("minSize must not be larger than maxSize")
    }
    if (options.lazy === true && min > 0) {
      return yield* Options.invalid("a lazy pool opens nothing ahead, so its minSize is 0")
    }
    return {
      ...reconnectSettings(options),
      min,
      max,
      acquireTimeout: yield* duration(options.acquireTimeout, "acquireTimeout", 5_000),
      idleTimeout: yield* duration(options.idleTimeout, "idleTimeout", 60_000),
      maxAge: yield* duration(options.maxAge, "maxAge", Infinity),
      checkAfter: yield* duration(options.checkAfter, "checkAfter", 15_000),
      logsOutages: true
    }
  })

/**
 * Opens a pool; the scope closes it, and with it every connection, within `closeTimeout`.
 *
 * @example
 * ```ts
 * import { Pool, Redis } from "effect-redis-client"
 * import { Effect } from "effect"
 *
 * export const program = Effect.scoped(Effect.gen(function*() {
 *   const connection = yield* Pool.acquire
 *   yield* connection.select(2)
 *   return yield* connection.execute(Redis.get("greeting"))
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: PoolOptions = {}): Effect.Effect<Pool, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const { onRotate, options: resolved } = yield* Credentials.source(yield* Options.resolve(options))
    const settings = yield* resolve(options)
    const dial = makeDial({ options: resolved, connect, observer: yield* observing(options, resolved) })
    const core = yield* makeCore(dial, settings)
    onRotate(() => core.renew())
    return fromCore(core)
  })

const fromCore = (core: PoolCore): Pool => {
  const lend = Effect.map(core.acquire, (lease) => fromLink(lease.link, core.options, () => lease.released))
  const pool: Pool = {
    [TypeId]: TypeId,
    minSize: core.settings.min,
    maxSize: core.settings.max,
    encoding: core.options.encoding,
    size: Effect.sync(() => core.size),
    freeSize: Effect.sync(() => core.freeSize),
    waiting: Effect.sync(() => core.waiting),
    db: Effect.sync(() => core.home.database),
    acquire: lend,
    acquireRedis: Effect.map(lend, (connection) => connection.redis),
    clear: core.clear,
    select: (database) => Effect.flatMap(fromEither(Options.checkDatabase(database)), core.select)
  }
  coreOfPool.set(pool, core)
  return pool
}

/**
 * The pool of a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: PoolOptions = {}): Layer.Layer<Pool, RedisError> => Layer.scoped(Pool, make(options))

/**
 * The pool of a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<PoolOptions>
): Layer.Layer<Pool, RedisError | ConfigError.ConfigError> =>
  Layer.scoped(Pool, Effect.flatMap(Config.unwrap(options), make))

/**
 * Lends a connection of the pool until the scope closes.
 *
 * @since 0.1.0
 * @category accessors
 */
export const acquire: Effect.Effect<Connection, RedisError, Pool | Scope.Scope> = Effect.flatMap(
  Pool,
  (pool) => pool.acquire
)

/**
 * Lends a connection of the pool, as the service that commands need, until the scope closes.
 *
 * @since 0.1.0
 * @category accessors
 */
export const acquireRedis: Effect.Effect<RedisService, RedisError, Pool | Scope.Scope> = Effect.flatMap(
  Pool,
  (pool) => pool.acquireRedis
)

/**
 * Runs an Effect or a Stream with one connection of the pool as its `Redis`: every command inside goes to that connection.
 * The connection is given back when the Effect or the Stream ends.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withConnection: <Self extends Program>(self: Self) => Under<Self, Pool, RedisError> = (<A, E, R>(
  self: Effect.Effect<A, E, R> | Stream.Stream<A, E, R>
) =>
  Effect.isEffect(self)
    ? Effect.scoped(Effect.provideServiceEffect(self, Redis, acquireRedis))
    : Stream.unwrapScoped(Effect.map(acquireRedis, (redis) => Stream.provideService(self, Redis, redis)))) as never
