/**
 * Semaphores over all processes: at most so many of them, or of their parts, run at a time.
 *
 * A permit has a time to live, which its holder renews as long as it works, like a lock of `RedisLock`. A permit has no fence:
 * with several holders none is the newest.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { DurationWithUnit } from "./internal/command/args.js"
import type { Redis } from "./internal/command/model.js"
import type { Held } from "./internal/lock/held.js"
import type { LockError } from "./internal/lock/lockError.js"
import * as Run from "./internal/lock/run.js"
import { permitOf, settingsOf } from "./internal/lock/settings.js"
import type { RedisError } from "./RedisError.js"

/**
 * Options of a semaphore.
 *
 * @since 0.1.0
 * @category options
 */
export interface TryOptions {
  /** How many may hold a permit at a time. Everybody who uses the semaphore should give the same number. */
  readonly permits: number
  /**
   * After how long the server frees the permit of a holder that is gone. A holder that works renews it every third of this
   * time. At least 50 milliseconds. Default: 10 seconds.
   */
  readonly ttl?: DurationWithUnit | undefined
}

/**
 * Options of a semaphore whose permits may be waited for.
 *
 * @since 0.1.0
 * @category options
 */
export interface PermitOptions extends TryOptions {
  /**
   * For how long to wait for a permit. Then it is a `LockError` with the reason `timeout`. Default: without end, so under a
   * timeout of the program.
   */
  readonly wait?: DurationWithUnit | undefined
}

/**
 * A permit that is held.
 *
 * @since 0.1.0
 * @category models
 */
export interface Permit {
  /** The name of the semaphore. */
  readonly name: string
  /** Fails when the permit is lost; waits until then. */
  readonly lost: Effect.Effect<never, LockError>
  /** Asks the server whether the permit is held, and renews it. Fails with a `LockError` when it is lost. */
  readonly ensureHeld: Effect.Effect<void, LockError | RedisError>
  /** For how long the permit is certainly held, if it is not renewed. Zero when it is lost or released. */
  readonly expiresIn: Effect.Effect<Duration.Duration>
}

/**
 * What runs with a permit: an Effect, or a function that is given the permit.
 *
 * @since 0.1.0
 * @category models
 */
export type Permitted<A, E, R> = Effect.Effect<A, E, R> | ((permit: Permit) => Effect.Effect<A, E, R>)

const wanted = (name: string, options: PermitOptions): Run.Wanted =>
  Either.flatMap(permitOf(name, options?.permits), (resource) =>
    Either.map(settingsOf({ ttl: options.ttl, wait: options.wait }), (settings) => ({ resource, settings }))
  )

const permitOfHeld = (held: Held): Permit => ({
  name: held.holding.resource.name,
  lost: held.lost,
  ensureHeld: held.ensure,
  expiresIn: Effect.sync(() => Duration.millis(held.left))
})

const isDataFirst = (args: IArguments): boolean => typeof args[0] !== "string"

/**
 * Runs an Effect while it holds one of the permits, and waits for one before. The permit is given back when the Effect ends,
 * however it ends. When the permit is lost, the Effect is interrupted, and this fails with a `LockError`.
 *
 * @example
 * ```ts
 * import { Redis } from "effect-redis-client"
 * import * as RedisSemaphore from "effect-redis-client/RedisSemaphore"
 *
 * // No more than five at a time, over all processes.
 * export const call = Redis.incr("calls").pipe(RedisSemaphore.withPermits("api", { permits: 5, ttl: "10 seconds" }))
 * ```
 *
 * @since 0.1.0
 * @category permits
 */
export const withPermits: {
  /**
   * Runs an Effect while it holds one of the permits, and waits for one before. The permit is given back when the Effect ends,
   * however it ends. When the permit is lost, the Effect is interrupted, and this fails with a `LockError`.
   *
   * @example
   * ```ts
   * yield* Redis.incr("calls").pipe(RedisSemaphore.withPermits("api", { permits: 5 }))
   * ```
   *
   * @since 0.1.0
   * @category permits
   */
  (
    name: string,
    options: PermitOptions
  ): <A, E, R>(self: Permitted<A, E, R>) => Effect.Effect<A, E | LockError | RedisError, R | Redis>

  /**
   * Runs an Effect while it holds one of the permits, and waits for one before. The permit is given back when the Effect ends,
   * however it ends. When the permit is lost, the Effect is interrupted, and this fails with a `LockError`.
   *
   * @since 0.1.0
   * @category permits
   */
  <A, E, R>(
    self: Permitted<A, E, R>,
    name: string,
    options: PermitOptions
  ): Effect.Effect<A, E | LockError | RedisError, R | Redis>
} = dual(
  isDataFirst,
  <A, E, R>(
    self: Permitted<A, E, R>,
    name: string,
    options: PermitOptions
  ): Effect.Effect<A, E | LockError | RedisError, R | Redis> => Run.around(wanted(name, options), permitOfHeld, self)
)

/**
 * Runs an Effect while it holds one of the permits, if one is free now: `None` when all are taken. Otherwise like
 * {@link withPermits}.
 *
 * @since 0.1.0
 * @category permits
 */
export const tryWithPermits: {
  /**
   * Runs an Effect while it holds one of the permits, if one is free now: `None` when all are taken.
   *
   * @example
   * ```ts
   * const called = yield* RedisSemaphore.tryWithPermits("api", { permits: 5 })(Redis.incr("calls")) // Option
   * ```
   *
   * @since 0.1.0
   * @category permits
   */
  (
    name: string,
    options: TryOptions
  ): <A, E, R>(self: Permitted<A, E, R>) => Effect.Effect<Option.Option<A>, E | LockError | RedisError, R | Redis>

  /**
   * Runs an Effect while it holds one of the permits, if one is free now: `None` when all are taken.
   *
   * @since 0.1.0
   * @category permits
   */
  <A, E, R>(
    self: Permitted<A, E, R>,
    name: string,
    options: TryOptions
  ): Effect.Effect<Option.Option<A>, E | LockError | RedisError, R | Redis>
} = dual(
  isDataFirst,
  <A, E, R>(
    self: Permitted<A, E, R>,
    name: string,
    options: TryOptions
  ): Effect.Effect<Option.Option<A>, E | LockError | RedisError, R | Redis> =>
    Run.ifFree(wanted(name, options), permitOfHeld, self)
)

/**
 * Obtains a permit and holds it until the scope closes. Nothing is interrupted when it is lost: watch `lost`, or ask with
 * `ensureHeld`. {@link withPermits} does it for the program.
 *
 * @example
 * ```ts
 * const permit = yield* RedisSemaphore.acquire("api", { permits: 5, wait: "1 second" })
 * ```
 *
 * @since 0.1.0
 * @category permits
 */
export const acquire = (
  name: string,
  options: PermitOptions
): Effect.Effect<Permit, LockError | RedisError, Redis | Scope.Scope> =>
  Effect.map(Run.scoped(wanted(name, options)), permitOfHeld)
