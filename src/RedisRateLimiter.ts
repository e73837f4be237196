/**
 * Rate limits that all processes share: how often a subject (a user, an address, an API key) may do something.
 *
 * A limiter is a value. It decides on the server in one script, by the server's clock, so neither the number of processes
 * nor their clocks matter. It works over every layer that provides `Redis`: one server, a pool, a cluster, Sentinel.
 * docs/rate-limits.md says which algorithm to choose and what each one costs.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { DurationWithUnit } from "./internal/command/args.js"
import type { Redis } from "./internal/command/model.js"
import * as Options from "./internal/connection/options.js"
import { pauseFor } from "./internal/effect/pause.js"
import * as Timers from "./internal/engine/timers.js"
import * as Internal from "./internal/limiter/limiter.js"
import { type Checked, joined, type Policy, policyOf } from "./internal/limiter/policy.js"
import type { RedisError, UsageError } from "./RedisError.js"

/**
 * The property by which a limiter is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisRateLimiter")

/**
 * The property by which a limiter is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * What a limiter answers: whether a take was allowed, and what the subject can expect next.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decision extends Internal.Decision {}

/**
 * What several limiters answer together. Its own fields are those of the limiter that the caller should heed: of those that
 * denied, the one with the longest `retryAfter`; where all allowed, the one with the least `remaining`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CombinedDecision extends Internal.CombinedDecision {}

/**
 * Options of every limiter.
 *
 * @since 0.1.0
 * @category options
 */
export interface CommonOptions {
  /**
   * What to do when the server cannot be asked (no connection, a deadline that passed, a server that loads its data or is a
   * replica): `fail` with the error, `allow`, or `deny`. Mistakes, such as a key that holds something else, always
   * fail. Default: `fail`.
   */
  readonly onUnavailable?: "fail" | "allow" | "deny" | undefined
  /**
   * After a denial, this process denies the subject until `retryAfter` has passed without asking the server. It remembers
   * the last `maxSubjects` subjects that were denied (10 000 unless said). It learns of a {@link RedisRateLimiter.refund} or a
   * {@link RedisRateLimiter.reset} only in this process, and with the same limiter. Default: false.
   */
  readonly blockLocally?: boolean | { readonly maxSubjects?: number | undefined } | undefined
  /**
   * How long a decision may take, waiting for a connection included. With `onUnavailable`, this is how long callers wait
   * before they are answered without a server. Default: the client's `replyTimeout`, which is 5 seconds.
   */
  readonly timeout?: DurationWithUnit | undefined
  /**
   * Sends a take again when its connection ended before its reply, although it may have been counted already: then it counts
   * twice. Without it such a take fails with a `ConnectionError` whose `delivery` is `unknown`. Default: false.
   */
  readonly repeatable?: boolean | undefined
}

/**
 * Options of GCRA, the default algorithm: `limit` in a `window`, evenly. What was taken comes back bit by bit, and not all at
 * once when a window ends.
 *
 * @since 0.1.0
 * @category options
 */
export interface GcraOptions extends CommonOptions {
  readonly algorithm?: "gcra" | undefined
  /** What the limiter's keys begin with. Two limiters need different ones. Without `{` and `}`. */
  readonly prefix: string
  /** How much can be taken in a `window` in the long run. */
  readonly limit: number
  /** The time for the `limit`. */
  readonly window: DurationWithUnit
  /** How much can be taken at once after a quiet time. Default: `limit`. */
  readonly burst?: number | undefined
}

/**
 * Options of a token bucket: the same as GCRA in other words. A full bucket has `capacity` tokens, and `refill` tokens flow
 * in evenly in each `interval`.
 *
 * @since 0.1.0
 * @category options
 */
export interface TokenBucketOptions extends CommonOptions {
  readonly algorithm: "token-bucket"
  /** What the limiter's keys begin with. Two limiters need different ones. Without `{` and `}`. */
  readonly prefix: string
  /** How many tokens a full bucket has: the most that can be taken at once. */
  readonly capacity: number
  /** How many tokens flow in during an `interval`. Default: `capacity`. */
  readonly refill?: number | undefined
  /** The time for `refill` tokens. */
  readonly interval: DurationWithUnit
}

/**
 * Options of the algorithms that count in windows.
 *
 * - `fixed-window`: a window begins with a subject's first take, and everything comes back when it ends. Around its end up to
 *   twice the `limit` can be taken in the time of one window.
 * - `sliding-window`: two counters, for this window and the one before it, which counts in part. It assumes that the takes of the
 *   window before were spread evenly.
 * - `sliding-log`: remembers every take, and never allows more than `limit` in any time of a `window`. It costs memory for each
 *   take.
 *
 * @since 0.1.0
 * @category options
 */
export interface WindowOptions extends CommonOptions {
  readonly algorithm: "fixed-window" | "sliding-window" | "sliding-log"
  /** What the limiter's keys begin with. Two limiters need different ones. Without `{` and `}`. */
  readonly prefix: string
  /** How much can be taken in a `window`. */
  readonly limit: number
  /** How long a window is. */
  readonly window: DurationWithUnit
}

/**
 * Options of {@link RedisRateLimiter.take}.
 *
 * @since 0.1.0
 * @category options
 */
export interface TakeOptions {
  /** How much is taken: a whole number, at most what can be taken at once. Default: 1. */
  readonly cost?: number | undefined
}

/**
 * Options of {@link RedisRateLimiter.limit}.
 *
 * @since 0.1.0
 * @category options
 */
export interface LimitOptions extends TakeOptions {
  /** Whether a denial fails at once, or waits until the take is allowed. Default: `fail`. */
  readonly onExceeded?: "fail" | "wait" | undefined
  /**
   * How long `wait` may wait. When that is not enough it fails, and it does so at once where `retryAfter` says that it would not
   * be. Default: without end.
   */
  readonly upTo?: DurationWithUnit | undefined
}

/** What {@link all} needs to know of a limiter. */
interface Limits {
  /** @internal */
  readonly policies: Checked<ReadonlyArray<Policy>>
}

/**
 * A limiter: one limit, or several at once (see {@link all}).
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisRateLimiter<out D extends Decision = Decision> {
  readonly [TypeId]: Limits
  /**
   * Takes `cost` of what is left of the subject's limit, if there is as much; otherwise it takes nothing. A denial is a
   * decision, not a failure. It fails with a `UsageError` when `cost` is more than could ever be taken at once.
   *
   * A take whose reply is lost may have been counted; it is not sent again unless the limiter is `repeatable`.
   *
   * @example
   * ```ts
   * const { allowed, remaining, retryAfter } = yield* perUser.take("user:42", { cost: 5 })
   * ```
   */
  readonly take: (subject: string, options?: TakeOptions) => Effect.Effect<D, RedisError, Redis>
  /** What {@link take} would answer now, with what is left before it. It takes nothing and writes nothing. */
  readonly peek: (subject: string, options?: TakeOptions) => Effect.Effect<D, RedisError, Redis>
  /** Gives back some of what was taken, for work that was not done after all. Never more than was taken. */
  readonly refund: (subject: string, amount: number) => Effect.Effect<void, RedisError, Redis>
  /** Forgets what the subject has taken. */
  readonly reset: (subject: string) => Effect.Effect<void, RedisError, Redis>
  /**
   * Runs an Effect when the subject's limit allows it. Otherwise it fails with {@link RateLimitExceeded}, or waits, by the
   * real clock: the server's time decides, also under a `TestClock`. Callers that wait are not in a queue: whoever asks first
   * when something is left gets it.
   *
   * @example
   * ```ts
   * const polite = yield* sendMail.pipe(perUser.limit("user:42", { onExceeded: "wait", upTo: "2 seconds" }))
   * ```
   */
  readonly limit: (
    subject: string,
    options?: LimitOptions
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded | RedisError, R | Redis>
}

/**
 * Whether a value is a limiter.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRedisRateLimiter = (u: unknown): u is RedisRateLimiter => Predicate.hasProperty(u, TypeId)

/**
 * The subject has taken as much as it may. The error does not name the subject, which may be a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class RateLimitExceeded extends Schema.TaggedError<RateLimitExceeded>("effect-redis-client/RateLimitExceeded")(
  "RateLimitExceeded",
  {
    /** The prefix of the limiter. */
    limiter: Schema.String,
    /** The most that can be taken at once. */
    limit: Schema.Number,
    /** What could be taken now. */
    remaining: Schema.Number,
    /** When the same take would be allowed. */
    retryAfter: Schema.DurationFromMillis,
    /** When everything could be taken again. */
    resetAfter: Schema.DurationFromMillis
  }
) {
  /** @since 0.1.0 */
  override get message(): string {
    return `The rate limit ${this.limiter} is exceeded; it allows this again in ${seconds(this.retryAfter)} s`
  }
}

const seconds = (duration: Duration.Duration): number => Math.ceil(Duration.toSeconds(duration))

const exceeded = ({ limit, limiter, remaining, resetAfter, retryAfter }: Decision): RateLimitExceeded =>
  new RateLimitExceeded({ limiter, limit, remaining, retryAfter, resetAfter })

/** How long a caller waits at most, in milliseconds. */
const patienceOf = ({ onExceeded = "fail", upTo }: LimitOptions): Either.Either<number, UsageError> =>
  onExceeded !== "fail" && onExceeded !== "wait"
    ? Options.invalid("onExceeded must be fail or wait")
    : upTo === undefined
      ? Either.right(onExceeded === "wait" ? Infinity : 0)
      : onExceeded === "wait"
        ? Options.checkDuration(upTo, "upTo")
        : Options.invalid('upTo is for onExceeded: "wait"')

const admitted = <D extends Decision>(
  take: Effect.Effect<D, RedisError, Redis>,
  patience: number
): Effect.Effect<D, RateLimitExceeded | RedisError, Redis> =>
  Effect.suspend(() => {
    const until = Timers.now() + patience
    const ask: Effect.Effect<D, RateLimitExceeded | RedisError, Redis> = Effect.flatMap(take, (decision) => {
      if (decision.allowed) {
        return Effect.succeed(decision)
      }
      const millis = Math.ceil(Duration.toMillis(decision.retryAfter))
      return Timers.now() + millis > until
        ? Effect.fail(exceeded(decision))
        : Effect.zipRight(pauseFor(Math.min(millis, Timers.longestTimer)), ask)
    })
    return ask
  })

const faceOf = <D extends Decision>(limiter: Internal.Limiter<D>): RedisRateLimiter<D> => {
  const { peek, refund, reset, take } = limiter
  return {
    [TypeId]: { policies: limiter.policies },
    take,
    peek,
    refund,
    reset,
    limit: (subject, options = {}) => {
      const patience = patienceOf(options)
      return (effect) =>
        Either.isLeft(patience)
          ? Effect.fail(patience.left)
          : Effect.zipRight(admitted(take(subject, options), patience.right), effect)
    }
  }
}

/**
 * Makes a limiter. Options that are wrong fail with a `UsageError` when it is used.
 *
 * The server keeps one key for each subject, `prefix:{subject}:algorithm`, which expires by itself. When a program
 * comes back with other numbers, what was left after the last take carries over, at most the new capacity, and counts by
 * the new numbers from then on. Another algorithm starts afresh.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as RedisRateLimiter from "effect-redis-client/RedisRateLimiter"
 *
 * const perUser = RedisRateLimiter.make({ prefix: "api", limit: 100, window: "1 minute", burst: 20 })
 *
 * export const program = Effect.gen(function*() {
 *   const { allowed, remaining, retryAfter } = yield* perUser.take("user:42")
 *   return allowed ? `${remaining} left` : `try again in ${retryAfter}`
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: GcraOptions | TokenBucketOptions | WindowOptions): RedisRateLimiter =>
  faceOf(
    Internal.makeLimiter<Decision>(
      Either.map(policyOf(options), (policy) => [policy]),
      options,
      Internal.binding
    )
  )

/**
 * Several limits at once, in one script: all of them are charged, or none. They may have different algorithms; each needs a
 * prefix of its own, unless their algorithms differ.
 *
 * Its `onUnavailable`, `blockLocally`, `timeout` and `repeatable` are its own options: those of the limiters do not count.
 *
 * @example
 * ```ts
 * import * as RedisRateLimiter from "effect-redis-client/RedisRateLimiter"
 *
 * const perSecond = RedisRateLimiter.make({ prefix: "api:second", limit: 10, window: "1 second" })
 * const perDay = RedisRateLimiter.make({ prefix: "api:day", algorithm: "fixed-window", limit: 10_000, window: "1 day" })
 *
 * export const decision = RedisRateLimiter.all([perSecond, perDay]).take("user:42")
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const all = (
  limiters: ReadonlyArray<RedisRateLimiter>,
  options: CommonOptions = {}
): RedisRateLimiter<CombinedDecision> =>
  faceOf(
    Internal.makeLimiter<CombinedDecision>(
      limiters.every(isRedisRateLimiter)
        ? joined(limiters.map((limiter) => limiter[TypeId].policies))
        : Options.invalid("all takes a list of limiters"),
      options,
      (each) => ({ ...Internal.binding(each), each })
    )
  )

/**
 * The headers of an HTTP answer: `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` of the IETF's draft, and
 * `Retry-After` where the take was denied. Times are whole seconds, rounded up. It takes a decision or the error.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06
 * @example
 * ```ts
 * const answer = HttpServerResponse.empty({ status: 429, headers: RedisRateLimiter.headers(decision) })
 * ```
 *
 * @since 0.1.0
 * @category getters
 */
export const headers = (
  decision: Pick<Decision, "limit" | "remaining" | "retryAfter" | "resetAfter">
): Readonly<Record<string, string>> => {
  const retry = seconds(decision.retryAfter)
  return {
    "RateLimit-Limit": String(decision.limit),
    "RateLimit-Remaining": String(decision.remaining),
    "RateLimit-Reset": String(seconds(decision.resetAfter)),
    ...(retry > 0 ? { "Retry-After": String(retry) } : {})
  }
}
