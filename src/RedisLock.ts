/**
 * Locks: a program, or a part of one, runs in one process at a time.
 *
 * A lock has a time to live, which its holder renews as long as it works. What runs under a lock is interrupted before the
 * lock may be held by somebody else. No lock of this kind can stop a process that is paused in the middle of a write, so
 * each lock comes with a fence, a number that grows: a resource that refuses smaller ones than it has seen is safe from
 * such writes.
 *
 * @see https://redis.io/docs/latest/develop/use/patterns/distributed-locks/
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
import { lockOf, settingsOf } from "./internal/lock/settings.js"
import type { RedisError } from "./RedisError.js"

export {
  /**
   * A lock or a permit was not obtained, or is held no longer.
   *
   * @since 0.1.0
   * @category errors
   */
  LockError
} from "./internal/lock/lockError.js"

/**
 * Options of a lock.
 *
 * @since 0.1.0
 * @category options
 */
export interface TryOptions {
  /**
   * After how long the server frees the lock of a holder that is gone. A holder that works renews it every third of this time.
   * At least 50 milliseconds. Default: 10 seconds.
   */
  readonly ttl?: DurationWithUnit | undefined
  /**
   * How many replicas must have the lock, and within which time (WAIT), before it counts as obtained. When the primary is lost,
   * one of them may take its place. With too few it is given back, and that is a `LockError` with the reason `replicas`.
   * Default: none are waited for.
   */
  readonly replicas?: { readonly count: number; readonly within: DurationWithUnit } | undefined
}

/**
 * Options of a lock that may be waited for.
 *
 * @since 0.1.0
 * @category options
 */
export interface LockOptions extends TryOptions {
  /**
   * For how long to wait while others hold the lock. Then it is a `LockError` with the reason `timeout`. Default: without end,
   * so under a timeout of the program.
   */
  readonly wait?: DurationWithUnit | undefined
}

/**
 * A lock that is held.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lock {
  readonly name: string
  /**
   * Greater than that of every holder before, so that a resource can refuse what a former holder writes too late. It is not the
   * next number.
   */
  readonly fence: bigint
  /** Fails when the lock is lost; waits until then. */
  readonly lost: Effect.Effect<never, LockError>
  /** Asks the server whether the lock is held, and renews it. Fails with a `LockError` when it is lost. */
  readonly ensureHeld: Effect.Effect<void, LockError | RedisError>
  /** For how long the lock is certainly held, if it is not renewed. Zero when it is lost or released. */
  readonly expiresIn: Effect.Effect<Duration.Duration>
}

/**
 * What runs under a lock: an Effect, or a function that is given the lock.
 *
 * @since 0.1.0
 * @category models
 */
export type Guarded<A, E, R> = Effect.Effect<A, E, R> | ((lock: Lock) => Effect.Effect<A, E, R>)

const wanted = (name: string, options: LockOptions = {}): Run.Wanted =>
  Either.flatMap(lockOf(name), (resource) => Either.map(settingsOf(options), (settings) => ({ resource, settings })))

const lockOfHeld = (held: Held): Lock => ({
  name: held.holding.resource.name,
  fence: held.fence ?? 0n,
  lost: held.lost,
  ensureHeld: held.ensure,
  expiresIn: Effect.sync(() => Duration.millis(held.left))
})

const isDataFirst = (args: IArguments): boolean => typeof args[0] !== "string"

/**
 * Runs an Effect while it holds a lock, and waits for the lock before. The lock is released when the Effect ends, however it
 * ends.
 *
 * When the lock is lost, because somebody deleted it or the server could not be asked in time, the Effect is interrupted, and
 * this fails with a `LockError` with the reason `lost`. It fails so too when the Effect succeeded after the lock was lost.
 *
 * A lock is not held twice: to take a lock inside of itself is a `UsageError`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Redis } from "effect-redis-client"
 * import * as RedisLock from "effect-redis-client/RedisLock"
 *
 * const once = RedisLock.withLock("invoice:42", { ttl: "10 seconds", wait: "5 seconds" })
 *
 * export const program = Effect.gen(function*() {
 *   yield* once(Redis.incr("invoices"))
 *   // What it writes carries the fence, so that a reader can tell a write that comes too late.
 *   yield* once((lock) => Redis.set("invoice:42", `paid, fence ${lock.fence}`))
 * })
 * ```
 *
 * @since 0.1.0
 * @category locks
 */
export const withLock: {
  /**
   * Runs an Effect while it holds a lock, and waits for the lock before. The lock is released when the Effect ends, however it
   * ends. When the lock is lost, the Effect is interrupted, and this fails with a `LockError`.
   *
   * @example
   * ```ts
   * yield* Redis.incr("invoices").pipe(RedisLock.withLock("invoice:42", { wait: "5 seconds" }))
   * ```
   *
   * @since 0.1.0
   * @category locks
   */
  (
    name: string,
    options?: LockOptions
  ): <A, E, R>(self: Guarded<A, E, R>) => Effect.Effect<A, E | LockError | RedisError, R | Redis>

  /**
   * Runs an Effect while it holds a lock, and waits for the lock before. The lock is released when the Effect ends, however it
   * ends. When the lock is lost, the Effect is interrupted, and this fails with a `LockError`.
   *
   * @since 0.1.0
   * @category locks
   */
  <A, E, R>(
    self: Guarded<A, E, R>,
    name: string,
    options?: LockOptions
  ): Effect.Effect<A, E | LockError | RedisError, R | Redis>
} = dual(
  isDataFirst,
  <A, E, R>(
    self: Guarded<A, E, R>,
    name: string,
    options?: LockOptions
  ): Effect.Effect<A, E | LockError | RedisError, R | Redis> => Run.around(wanted(name, options), lockOfHeld, self)
)

/**
 * Runs an Effect while it holds a lock, if the lock is free now: `None` when it is taken. Otherwise like {@link withLock}.
 *
 * @example
 * ```ts
 * import { Effect, Option } from "effect"
 * import { Redis } from "effect-redis-client"
 * import * as RedisLock from "effect-redis-client/RedisLock"
 *
 * const report = Redis.set("report", "done")
 *
 * export const program = RedisLock.tryWithLock("report")(report).pipe(
 *   Effect.map(Option.match({ onNone: () => "somebody else makes it", onSome: () => "made" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category locks
 */
export const tryWithLock: {
  /**
   * Runs an Effect while it holds a lock, if the lock is free now: `None` when it is taken.
   *
   * @example
   * ```ts
   * const made = yield* RedisLock.tryWithLock("report")(report) // Option
   * ```
   *
   * @since 0.1.0
   * @category locks
   */
  (
    name: string,
    options?: TryOptions
  ): <A, E, R>(self: Guarded<A, E, R>) => Effect.Effect<Option.Option<A>, E | LockError | RedisError, R | Redis>

  /**
   * Runs an Effect while it holds a lock, if the lock is free now: `None` when it is taken.
   *
   * @since 0.1.0
   * @category locks
   */
  <A, E, R>(
    self: Guarded<A, E, R>,
    name: string,
    options?: TryOptions
  ): Effect.Effect<Option.Option<A>, E | LockError | RedisError, R | Redis>
} = dual(
  isDataFirst,
  <A, E, R>(
    self: Guarded<A, E, R>,
    name: string,
    options?: TryOptions
  ): Effect.Effect<Option.Option<A>, E | LockError | RedisError, R | Redis> =>
    Run.ifFree(wanted(name, options), lockOfHeld, self)
)

/**
 * Obtains a lock and holds it until the scope closes. Nothing is interrupted when it is lost: watch `lost`, or ask with
 * `ensureHeld`. {@link withLock} does it for the program.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Redis } from "effect-redis-client"
 * import * as RedisLock from "effect-redis-client/RedisLock"
 *
 * export const program = Effect.scoped(
 *   Effect.gen(function*() {
 *     const lock = yield* RedisLock.acquire("import", { ttl: "30 seconds" })
 *     for (const part of ["a", "b", "c"]) {
 *       yield* lock.ensureHeld
 *       yield* Redis.rpush("imported", part)
 *     }
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 * @category locks
 */
export const acquire = (
  name: string,
  options?: LockOptions
): Effect.Effect<Lock, LockError | RedisError, Redis | Scope.Scope> =>
  Effect.map(Run.scoped(wanted(name, options)), lockOfHeld)

/**
 * Contends for leadership without end, and runs an Effect whenever this process is the leader. When leadership is lost, the
 * Effect is interrupted, and this contends again. It ends when the Effect ends by itself, with what it answered or failed
 * with. While the server cannot be reached it tries again, with a warning in the log.
 *
 * @example
 * ```ts
 * import { Console, Effect, Schedule } from "effect"
 * import * as RedisLock from "effect-redis-client/RedisLock"
 *
 * const tick = Console.log("the only one").pipe(Effect.repeat(Schedule.spaced("1 minute")))
 *
 * export const cron = tick.pipe(RedisLock.leader("cron", { ttl: "10 seconds" }))
 * ```
 *
 * @since 0.1.0
 * @category leadership
 */
export const leader: {
  /**
   * Contends for leadership without end, and runs an Effect whenever this process is the leader. When leadership is lost, the
   * Effect is interrupted, and this contends again. It ends when the Effect ends by itself.
   *
   * @example
   * ```ts
   * yield* tick.pipe(RedisLock.leader("cron", { ttl: "10 seconds" }))
   * ```
   *
   * @since 0.1.0
   * @category leadership
   */
  (name: string, options?: TryOptions): <A, E, R>(self: Guarded<A, E, R>) => Effect.Effect<A, E | RedisError, R | Redis>

  /**
   * Contends for leadership without end, and runs an Effect whenever this process is the leader. When leadership is lost, the
   * Effect is interrupted, and this contends again. It ends when the Effect ends by itself.
   *
   * @since 0.1.0
   * @category leadership
   */
  <A, E, R>(self: Guarded<A, E, R>, name: string, options?: TryOptions): Effect.Effect<A, E | RedisError, R | Redis>
} = dual(
  isDataFirst,
  <A, E, R>(self: Guarded<A, E, R>, name: string, options?: TryOptions): Effect.Effect<A, E | RedisError, R | Redis> =>
    Run.elected(wanted(name, withoutWait(options)), lockOfHeld, self)
)

/** A candidate waits without end, whatever an untyped program gives. */
const withoutWait = (options: TryOptions = {}): LockOptions => ({ ...options, wait: Duration.infinity })
