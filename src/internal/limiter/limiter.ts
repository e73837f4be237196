/** Asks the server, by the script of the limits; knows what to answer without it. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { utf8 } from "../../Codec.js"
import * as Generic from "../../commands/generic.js"
import { type RedisError, UsageError } from "../../RedisError.js"
import * as RedisScript from "../../RedisScript.js"
import type { DurationWithUnit } from "../command/args.js"
import { declare, withDeadline } from "../command/command.js"
import { DecodeFailure } from "../command/decode.js"
import type { Redis, RedisService } from "../command/model.js"
import { type RedisCommand, Redis as RedisTag } from "../command/model.js"
import * as Options from "../connection/options.js"
import type { Reply } from "../resp/values.js"
import { Blocked } from "./blocked.js"
import { type Kind, type Operation, sourceOf } from "./lua.js"
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

/** How long a caller is told to wait when nobody knows, in microseconds. */
const whenUnknown = 1_000_000

/** A decision as the script answers it: times in microseconds. */
interface Raw {
  readonly allowed: boolean
  readonly policy: Policy
  readonly remaining: number
  readonly retry: number
  readonly reset: number
  readonly source: DecisionSource
}

const duration = (micros: number): Duration.Duration =>
  micros <= 0 ? Duration.zero : Duration.micros(BigInt(Math.ceil(micros)))

const decisionOf = ({ allowed, policy, remaining, reset, retry, source }: Raw): Decision => ({
  allowed,
  limiter: policy.prefix,
  limit: policy.capacity,
  remaining,
  retryAfter: duration(retry),
  resetAfter: duration(reset),
  source
})

/** The limit that a caller should heed: of those that deny the one that does so longest, else the one with least left. */
const binding = (all: ReadonlyArray<Raw>): Raw =>
  all.reduce((one, other) =>
    one.allowed !== other.allowed
      ? one.allowed
        ? other
        : one
      : (one.allowed ? other.remaining < one.remaining : other.retry > one.retry)
        ? other
        : one
  )

const isWhole = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value)

/** Reads `allowed remaining retryAfter resetAfter` of each limit. */
const rawOf =
  (policies: ReadonlyArray<Policy>) =>
  (reply: Reply): ReadonlyArray<Raw> => {
    if (!Array.isArray(reply) || reply.length !== 4 * policies.length || !reply.every(isWhole)) {
      throw new DecodeFailure("it must be four whole numbers for each limit")
    }
    const numbers = reply as ReadonlyArray<number>
    return policies.map((policy, i) => ({
      allowed: numbers[4 * i] === 1,
      policy,
      remaining: numbers[4 * i + 1] as number,
      retry: numbers[4 * i + 2] as number,
      reset: numbers[4 * i + 3] as number,
      source: "server"
    }))
  }

/** How the decisions of the limits become the one that the caller gets. */
export type Combine<D> = (decision: Decision, each: () => ReadonlyArray<Decision>) => D

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

const script = (kinds: ReadonlyArray<Kind>, operation: Operation, policies: ReadonlyArray<Policy>) =>
  RedisScript.make({
    source: sourceOf(kinds, operation),
    keys: "any",
    rest: utf8,
    result: operation === "refund" ? () => [] : rawOf(policies)
  })

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
  private readonly scripts
  private readonly words: ReadonlyArray<string>
  private readonly capacity: number
  /** Each service is a server of its own. */
  private readonly blocked = new WeakMap<RedisService, Blocked<ReadonlyArray<Raw>>>()

  constructor(
    private readonly policies: ReadonlyArray<Policy>,
    private readonly checks: Checks,
    private readonly combine: Combine<D>
  ) {
    const kinds = policies.map(({ kind }) => kind)
    this.scripts = {
      take: script(kinds, "take", policies),
      peek: script(kinds, "peek", policies),
      refund: script(kinds, "refund", policies)
    }
    this.words = policies.flatMap(({ numbers }) => numbers)
    this.capacity = Math.min(...policies.map(({ capacity }) => capacity))
  }

  take(subject: string, cost: number): Effect.Effect<D, RedisError, Redis> {
    const command = this.command("take", subject, cost)
    if (Either.isLeft(command)) {
      return Effect.fail(command.left)
    }
    const asked = this.checks.repeatable ? declare(command.right, "repeatable") : command.right
    return this.checks.mostBlocked === 0
      ? Effect.map(this.available(asked), this.answer)
      : this.unlessBlocked(subject, cost, asked)
  }

  peek(subject: string, cost: number): Effect.Effect<D, RedisError, Redis> {
    const command = this.command("peek", subject, cost)
    return Either.isLeft(command)
      ? Effect.fail(command.left)
      : // It writes nothing.
        Effect.map(this.available(declare(command.right, "repeatable")), this.answer)
  }

  refund(subject: string, amount: number): Effect.Effect<void, RedisError, Redis> {
    const command = this.command("refund", subject, amount)
    return Either.isLeft(command) ? Effect.fail(command.left) : this.forgetting(subject, command.right)
  }

  reset(subject: string): Effect.Effect<void, RedisError, Redis> {
    const keys = this.keys(subject)
    return Either.isLeft(keys) ? Effect.fail(keys.left) : this.forgetting(subject, this.timed(del(keys.right)))
  }

  private readonly answer = (all: ReadonlyArray<Raw>): D =>
    this.combine(decisionOf(all.length === 1 ? (all[0] as Raw) : binding(all)), () => all.map(decisionOf))

  private keys(subject: string): Checked<ReadonlyArray<string>> {
    return typeof subject === "string" && subject !== ""
      ? Either.right(this.policies.map((policy) => keyOf(policy, subject)))
      : refuse("a subject must be text of at least one character")
  }

  private command(operation: Operation, subject: string, count: number): Checked<RedisCommand<ReadonlyArray<Raw>>> {
    if (!(Number.isInteger(count) && count >= 1 && count <= this.capacity)) {
      const what = operation === "refund" ? "the amount of a refund" : "cost"
      return refuse(
        `${what} must be a whole number from 1 to ${this.capacity}, which is the most that can be taken at once`
      )
    }
    return Either.map(this.keys(subject), (keys) =>
      this.timed(this.scripts[operation](keys, String(count), ...this.words))
    )
  }

  private timed<A>(command: RedisCommand<A>): RedisCommand<A> {
    const { timeout } = this.checks
    return timeout === undefined ? command : withDeadline(command, timeout)
  }

  /** The server's decision, or one in its place. */
  private available(
    command: Effect.Effect<ReadonlyArray<Raw>, RedisError, Redis>
  ): Effect.Effect<ReadonlyArray<Raw>, RedisError, Redis> {
    const { onUnavailable } = this.checks
    if (onUnavailable === "fail") {
      return command
    }
    const allowed = onUnavailable === "allow"
    const wait = allowed ? 0 : whenUnknown
    return Effect.catchAll(command, (error) =>
      isUnavailable(error)
        ? Effect.succeed(
            this.policies.map(
              (policy): Raw => ({ allowed, policy, remaining: 0, retry: wait, reset: wait, source: "unavailable" })
            )
          )
        : Effect.fail(error)
    )
  }

  private blockedOf(redis: RedisService): Blocked<ReadonlyArray<Raw>> {
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
    command: RedisCommand<ReadonlyArray<Raw>>
  ): Effect.Effect<D, RedisError, Redis> {
    return Effect.flatMap(RedisTag, (redis) => {
      const blocked = this.blockedOf(redis)
      const known = blocked.find(subject, cost)
      if (known !== undefined) {
        const elapsed = known.elapsed * 1000
        return Effect.succeed(
          this.answer(
            known.decision.map((raw) => ({
              ...raw,
              retry: raw.retry - elapsed,
              reset: raw.reset - elapsed,
              source: "blocked"
            }))
          )
        )
      }
      return Effect.map(this.available(command), (all) => {
        const one = binding(all)
        if (!one.allowed && one.source === "server") {
          blocked.add(subject, cost, one.retry / 1000, all)
        }
        return this.answer(all)
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
