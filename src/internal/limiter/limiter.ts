/** Asks the server, by the script of the limits; knows what to answer without it. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { utf8 } from "../../Codec.js"
import * as Generic from "../../commands/generic.js"
import { type RedisError, UsageError } from "../../RedisError.js"
import * as RedisScript from "../../RedisScript.js"
import { Argument, type DurationWithUnit } from "../command/args.js"
import { declare, reword, withDeadline } from "../command/command.js"
import { DecodeFailure } from "../command/decode.js"
import type { Redis, RedisService } from "../command/model.js"
import { type RedisCommand, Redis as RedisTag } from "../command/model.js"
import * as Options from "../connection/options.js"
import type { Reply } from "../resp/values.js"
import { Blocked } from "./blocked.js"
import { type Operation, sourceOf } from "./lua.js"
import { type Checked, keyOf, type Policy } from "./policy.js"

/** Where a decision comes from. */
export type DecisionSource = "server" | "blocked" | "unavailable"

export interface Decision {
  /** Whether the take was allowed, and so was counted. */
  readonly allowed: boolean
  /** The prefix of the limiter that decided. */
  readonly limiter: string
  /** The most that can be taken at once. */
  readonly limit: number
  /** How much can be taken now, after this take. */
  readonly remaining: number
  /** How long it takes until the same take would be allowed, if nobody takes anything in between. Zero when it was allowed. */
  readonly retryAfter: Duration.Duration
  /** How long it takes until everything can be taken again, if nobody takes anything in between. */
  readonly resetAfter: Duration.Duration
  /** `server`: it was asked. `blocked`: this process knew of the denial. `unavailable`: the server could not be asked. */
  readonly source: DecisionSource
}

export interface CombinedDecision extends Decision {
  /** The decision of each limiter by itself, in order. Where one of them denied, the others were not charged. */
  readonly each: ReadonlyArray<Decision>
}

export interface Settings {
  readonly onUnavailable?: "fail" | "allow" | "deny" | undefined
  readonly blockLocally?: boolean | { readonly maxSubjects?: number | undefined } | undefined
  readonly timeout?: DurationWithUnit | undefined
  readonly repeatable?: boolean | undefined
}

interface Checks {
  readonly onUnavailable: "fail" | "allow" | "deny"
  readonly mostBlocked: number
  readonly timeout: DurationWithUnit | undefined
  readonly repeatable: boolean
}

const checkSettings = (settings: Settings): Checked<Checks> =>
  Either.gen(function* () {
    const { blockLocally = false, onUnavailable = "fail", timeout } = settings
    if (!["fail", "allow", "deny"].includes(onUnavailable)) {
      return yield* Options.invalid("onUnavailable must be fail, allow or deny")
    }
    if (timeout !== undefined) {
      yield* Options.checkDuration(timeout, "timeout")
    }
    return {
      onUnavailable,
      timeout,
      repeatable: settings.repeatable === true,
      mostBlocked:
        typeof blockLocally === "object"
          ? yield* Options.checkCount(blockLocally.maxSubjects ?? 10_000, "blockLocally.maxSubjects")
          : blockLocally
            ? 10_000
            : 0
    }
  })

/** Whether the server could not be asked, as opposed to a mistake that remains when it can be. */
export const isUnavailable = (error: RedisError): boolean => {
  switch (error._tag) {
    case "ConnectionError":
    case "DeadlineError":
    case "OverflowError":
    case "ProtocolError":
      return true
    case "ReplyError":
      return error.transient === true || outages.has(error.code)
    default:
      return false
  }
}

/** Codes with which a server says that it cannot do its work now. */
const outages = new Set([
  "BUSY",
  "CLUSTERDOWN",
  "LOADING",
  "MASTERDOWN",
  "MISCONF",
  "NOREPLICAS",
  "OOM",
  "READONLY",
  "TRYAGAIN"
])

/** How long a caller is told to wait when nobody knows. */
const whenUnknown = Duration.seconds(1)

const one = new Argument("value", "1")

const duration = (micros: number): Duration.Duration =>
  micros <= 0 ? Duration.zero : Duration.micros(BigInt(Math.ceil(micros)))

const isWhole = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value)

/** Reads `allowed remaining retryAfter resetAfter` of each limit. */
const decisionsOf = (policies: ReadonlyArray<Policy>, reply: Reply): ReadonlyArray<Decision> => {
  if (!Array.isArray(reply) || reply.length !== 4 * policies.length || !reply.every(isWhole)) {
    throw new DecodeFailure("it must be four whole numbers for each limit")
  }
  const numbers = reply as ReadonlyArray<number>
  return policies.map(({ capacity, prefix }, i) => ({
    allowed: numbers[4 * i] === 1,
    limiter: prefix,
    limit: capacity,
    remaining: numbers[4 * i + 1] as number,
    retryAfter: duration(numbers[4 * i + 2] as number),
    resetAfter: duration(numbers[4 * i + 3] as number),
    source: "server"
  }))
}

/** Of two limits the one that a caller should heed: that denies for longer, or else has less left. */
const stricter = (one: Decision, other: Decision): Decision => {
  if (one.allowed !== other.allowed) {
    return one.allowed ? other : one
  }
  const isOther = one.allowed
    ? other.remaining < one.remaining
    : Duration.toMillis(other.retryAfter) > Duration.toMillis(one.retryAfter)
  return isOther ? other : one
}

/** The limit that a caller should heed. */
export const binding = (all: ReadonlyArray<Decision>): Decision => all.reduce(stricter)

/** How the decisions of the limits become the one that the caller gets. */
export type Combine<D> = (each: ReadonlyArray<Decision>) => D

export interface Take {
  readonly cost?: number | undefined
}

/** What is asked of a server, of one limit or of several at once. */
export interface Limiter<D> {
  readonly policies: Checked<ReadonlyArray<Policy>>
  readonly take: (subject: string, options?: Take) => Effect.Effect<D, RedisError, Redis>
  readonly peek: (subject: string, options?: Take) => Effect.Effect<D, RedisError, Redis>
  readonly refund: (subject: string, amount: number) => Effect.Effect<void, RedisError, Redis>
  readonly reset: (subject: string) => Effect.Effect<void, RedisError, Redis>
}

/** The call of a script as all calls of it begin and end; its keys, and the cost behind them, differ. */
const prototypeOf = <A>(policies: ReadonlyArray<Policy>, operation: Operation, result: (reply: Reply) => A) => {
  const source = sourceOf(
    policies.map(({ kind }) => kind),
    operation
  )
  const script = RedisScript.make({ source, keys: "any", rest: utf8, result })
  return script(
    policies.map(({ prefix }) => prefix),
    ...policies.flatMap(({ numbers }) => numbers)
  )
}

const { del } = Generic.make(utf8)

export const makeLimiter = <D extends Decision>(
  policies: Checked<ReadonlyArray<Policy>>,
  settings: Settings,
  combine: Combine<D>
): Limiter<D> => {
  const made = Either.flatMap(policies, (policies) =>
    Either.map(checkSettings(settings), (checks) => new Asking(policies, checks, combine))
  )
  if (Either.isLeft(made)) {
    const refused = Effect.fail(made.left)
    // So that a limiter with any wrong option is none for others, either.
    return {
      policies: Either.left(made.left),
      take: () => refused,
      peek: () => refused,
      refund: () => refused,
      reset: () => refused
    }
  }
  const asking = made.right
  return {
    policies,
    take: (subject, { cost = 1 } = {}) => asking.take(subject, cost),
    peek: (subject, { cost = 1 } = {}) => asking.peek(subject, cost),
    refund: (subject, amount) => asking.refund(subject, amount),
    reset: (subject) => asking.reset(subject)
  }
}

class Asking<D extends Decision> {
  private readonly prototypes
  private readonly capacity: number
  /** Each service is a server of its own. */
  private readonly blocked = new WeakMap<RedisService, Blocked<ReadonlyArray<Decision>>>()

  constructor(
    private readonly policies: ReadonlyArray<Policy>,
    private readonly checks: Checks,
    private readonly combine: Combine<D>
  ) {
    const read = (reply: Reply): D => combine(decisionsOf(policies, reply))
    this.prototypes = {
      take: prototypeOf(policies, "take", read),
      // Denials are remembered limit by limit.
      takeEach: prototypeOf(policies, "take", (reply) => decisionsOf(policies, reply)),
      peek: prototypeOf(policies, "peek", read),
      refund: prototypeOf(policies, "refund", () => undefined)
    }
    this.capacity = Math.min(...policies.map(({ capacity }) => capacity))
  }

  take(subject: string, cost: number): Effect.Effect<D, RedisError, Redis> {
    if (this.checks.mostBlocked > 0) {
      const command = this.command(this.prototypes.takeEach, "cost", subject, cost)
      return Either.isLeft(command)
        ? Effect.fail(command.left)
        : this.unlessBlocked(subject, cost, this.repeated(command.right))
    }
    const command = this.command(this.prototypes.take, "cost", subject, cost)
    return Either.isLeft(command)
      ? Effect.fail(command.left)
      : this.available(this.repeated(command.right), () => this.combine(this.guesses()))
  }

  peek(subject: string, cost: number): Effect.Effect<D, RedisError, Redis> {
    const command = this.command(this.prototypes.peek, "cost", subject, cost)
    return Either.isLeft(command)
      ? Effect.fail(command.left)
      : // It writes nothing.
        this.available(declare(command.right, "repeatable"), () => this.combine(this.guesses()))
  }

  refund(subject: string, amount: number): Effect.Effect<void, RedisError, Redis> {
    const command = this.command(this.prototypes.refund, "the amount of a refund", subject, amount)
    return Either.isLeft(command) ? Effect.fail(command.left) : this.forgetting(subject, command.right)
  }

  reset(subject: string): Effect.Effect<void, RedisError, Redis> {
    const keys = this.keys(subject)
    return Either.isLeft(keys) ? Effect.fail(keys.left) : this.forgetting(subject, this.timed(del(keys.right)))
  }

  private repeated<A>(command: RedisCommand<A>): RedisCommand<A> {
    return this.checks.repeatable ? declare(command, "repeatable") : command
  }

  private keys(subject: string): Checked<ReadonlyArray<string>> {
    return typeof subject === "string" && subject !== ""
      ? Either.right(this.policies.map((policy) => keyOf(policy, subject)))
      : refuse("a subject must be text of at least one character")
  }

  private command<A>(
    prototype: RedisCommand<A>,
    what: string,
    subject: string,
    count: number
  ): Checked<RedisCommand<A>> {
    if (!(Number.isInteger(count) && count >= 1 && count <= this.capacity)) {
      return refuse(
        `${what} must be a whole number from 1 to ${this.capacity}, which is the most that can be taken at once`
      )
    }
    return Either.map(this.keys(subject), (keys) => {
      const { args } = prototype
      const numbers = args.length - 3 * keys.length
      return this.timed(
        reword(prototype, {
          args: [
            ...args.slice(0, numbers - keys.length),
            ...keys.map((key) => new Argument("key", key)),
            count === 1 ? one : new Argument("value", String(count)),
            ...args.slice(numbers)
          ]
        })
      )
    })
  }

  private timed<A>(command: RedisCommand<A>): RedisCommand<A> {
    const { timeout } = this.checks
    return timeout === undefined ? command : withDeadline(command, timeout)
  }

  /** The server's answer, or one in its place. */
  private available<A>(
    command: Effect.Effect<A, RedisError, Redis>,
    inPlace: () => A
  ): Effect.Effect<A, RedisError, Redis> {
    return this.checks.onUnavailable === "fail"
      ? command
      : Effect.catchAll(command, (error) => (isUnavailable(error) ? Effect.sync(inPlace) : Effect.fail(error)))
  }

  /** What is answered when nobody knows. */
  private guesses(): ReadonlyArray<Decision> {
    const allowed = this.checks.onUnavailable === "allow"
    const wait = allowed ? Duration.zero : whenUnknown
    return this.policies.map(({ capacity, prefix }) => ({
      allowed,
      limiter: prefix,
      limit: capacity,
      remaining: 0,
      retryAfter: wait,
      resetAfter: wait,
      source: "unavailable"
    }))
  }

  private blockedOf(redis: RedisService): Blocked<ReadonlyArray<Decision>> {
    let blocked = this.blocked.get(redis)
    if (blocked === undefined) {
      blocked = new Blocked(this.checks.mostBlocked)
      this.blocked.set(redis, blocked)
    }
    return blocked
  }

  private unlessBlocked(
    subject: string,
    cost: number,
    command: RedisCommand<ReadonlyArray<Decision>>
  ): Effect.Effect<D, RedisError, Redis> {
    return Effect.flatMap(RedisTag, (redis) => {
      const blocked = this.blockedOf(redis)
      const known = blocked.find(subject, cost)
      if (known !== undefined) {
        const less = (given: Duration.Duration) => duration((Duration.toMillis(given) - known.elapsed) * 1000)
        return Effect.sync(() =>
          this.combine(
            known.decision.map((decision) => ({
              ...decision,
              retryAfter: less(decision.retryAfter),
              resetAfter: less(decision.resetAfter),
              source: "blocked"
            }))
          )
        )
      }
      const asked = this.available(command, () => this.guesses())
      return Effect.map(asked, (each) => {
        const { allowed, retryAfter, source } = binding(each)
        if (!allowed && source === "server") {
          blocked.add(subject, cost, Duration.toMillis(retryAfter), each)
        }
        return this.combine(each)
      })
    })
  }

  /** What this process knew of the subject is no longer so. */
  private forgetting(subject: string, command: RedisCommand<unknown>): Effect.Effect<void, RedisError, Redis> {
    return this.checks.mostBlocked === 0
      ? Effect.asVoid(command)
      : Effect.flatMap(RedisTag, (redis) =>
          Effect.ensuring(
            Effect.asVoid(command),
            Effect.sync(() => this.blockedOf(redis).forget(subject))
          )
        )
  }
}

const refuse = (message: string): Checked<never> => Either.left(new UsageError({ reason: "invalidArgument", message }))
