/** The options of a limiter, checked, and made into the whole numbers that its script counts with. */
import * as Either from "effect/Either"
import type { UsageError } from "../../RedisError.js"
import type { DurationWithUnit } from "../command/args.js"
import * as Options from "../connection/options.js"
import type { Kind } from "./lua.js"

export interface Policy {
  readonly kind: Kind
  readonly prefix: string
  /** The most that can be taken at once. */
  readonly capacity: number
  /** The three numbers that the script gets, as text. */
  readonly numbers: readonly [string, string, string]
}

export type Checked<A> = Either.Either<A, UsageError>

/** What says how much is allowed: of all algorithms, the fields that any of them has. */
export interface PolicyOptions {
  readonly prefix: string
  readonly algorithm?: "gcra" | "fixed-window" | "sliding-window" | "sliding-log" | "token-bucket" | undefined
  readonly limit?: number | undefined
  readonly window?: DurationWithUnit | undefined
  readonly burst?: number | undefined
  readonly capacity?: number | undefined
  readonly refill?: number | undefined
  readonly interval?: DurationWithUnit | undefined
}

/** Integers from here on are not all exact in Lua's doubles. */
const most = 2 ** 53

/** Until the year 2112 a time and a duration below this are an exact integer together, in microseconds. */
const longest = 2 ** 52

const microsOf = (input: unknown, what: string): Checked<number> =>
  Either.flatMap(Options.checkDuration(input, what), (millis) => {
    // Rounded up, but not by what a fraction of a millisecond lacks as a double.
    const micros = Math.ceil(Number((millis * 1000).toFixed(3)))
    return micros < longest ? Either.right(micros) : Options.invalid(`${what} must be shorter than 142 years`)
  })

const countOf = (value: unknown, what: string): Checked<number> =>
  Either.flatMap(Options.checkCount(value, what), (count) =>
    count < most ? Either.right(count) : Options.invalid(`${what} must be less than 2^53`)
  )

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))

/**
 * A bucket of `capacity` tokens, into which `amount` flow in `micros`. It is counted in the largest part of a token of which
 * a whole number flows each microsecond, so nothing is rounded.
 */
const bucket = (
  prefix: string,
  { amount, capacity, micros, names }: { amount: number; capacity: number; micros: number; names: string }
): Checked<Policy> => {
  const common = divisor(amount, micros)
  const token = micros / common
  const rate = amount / common
  const full = capacity * token
  return full < most && full / rate < longest
    ? Either.right({ kind: "bucket", prefix, capacity, numbers: [String(full), String(token), String(rate)] })
    : Options.invalid(
        `${names} cannot be counted exactly with integers below 2^53: choose numbers of which one divides the other`
      )
}

/** Windows are divided into ticks of so many microseconds that a count times the ticks is an exact integer. */
const sliding = (prefix: string, limit: number, micros: number): Checked<Policy> => {
  let unit = 1
  while (limit * Math.ceil(micros / unit) >= most) {
    unit *= 10
  }
  const ticks = Math.ceil(micros / unit)
  return ticks >= 1000 || unit === 1
    ? Either.right({ kind: "sliding", prefix, capacity: limit, numbers: [String(limit), String(ticks), String(unit)] })
    : Options.invalid("limit and window cannot be counted exactly with integers below 2^53: choose a smaller limit")
}

const plain = (kind: "fixed" | "log", prefix: string, limit: number, micros: number): Checked<Policy> =>
  Either.right({ kind, prefix, capacity: limit, numbers: [String(limit), String(micros), "0"] })

const checkPrefix = (prefix: unknown): Checked<string> =>
  typeof prefix === "string" && prefix !== "" && !/[{}]/.test(prefix)
    ? Either.right(prefix)
    : Options.invalid("prefix must be text of at least one character, without { and }")

/** Options that belong to another algorithm would be ignored silently. */
const only = (options: PolicyOptions, names: ReadonlyArray<keyof PolicyOptions>): Checked<void> => {
  const all = ["limit", "window", "burst", "capacity", "refill", "interval"] as const
  const other = all.find((name) => options[name] !== undefined && !names.includes(name))
  return other === undefined
    ? Either.right(undefined)
    : Options.invalid(`${other} is not an option of the algorithm ${options.algorithm ?? "gcra"}`)
}

export const policyOf = (options: PolicyOptions): Checked<Policy> =>
  Either.gen(function* () {
    const prefix = yield* checkPrefix(options.prefix)
    const { algorithm = "gcra" } = options
    switch (algorithm) {
      case "gcra": {
        yield* only(options, ["limit", "window", "burst"])
        const amount = yield* countOf(options.limit, "limit")
        const micros = yield* microsOf(options.window, "window")
        const capacity = options.burst === undefined ? amount : yield* countOf(options.burst, "burst")
        return yield* bucket(prefix, { amount, capacity, micros, names: "limit, window and burst" })
      }
      case "token-bucket": {
        yield* only(options, ["capacity", "refill", "interval"])
        const capacity = yield* countOf(options.capacity, "capacity")
        const amount = options.refill === undefined ? capacity : yield* countOf(options.refill, "refill")
        const micros = yield* microsOf(options.interval, "interval")
        return yield* bucket(prefix, { amount, capacity, micros, names: "capacity, refill and interval" })
      }
      case "fixed-window":
      case "sliding-window":
      case "sliding-log": {
        yield* only(options, ["limit", "window"])
        const limit = yield* countOf(options.limit, "limit")
        const micros = yield* microsOf(options.window, "window")
        return yield* algorithm === "sliding-window"
          ? sliding(prefix, limit, micros)
          : plain(algorithm === "fixed-window" ? "fixed" : "log", prefix, limit, micros)
      }
      default:
        return yield* Options.invalid(
          "algorithm must be gcra, fixed-window, sliding-window, token-bucket or sliding-log"
        )
    }
  })

/**
 * The key of a subject. The subject is the hash tag, so that all limits of one subject are in one slot. An empty tag would not be
 * one, so a subject that begins with `}` gets a `\` before it, and so does one that begins with `\`.
 */
export const keyOf = ({ kind, prefix }: Policy, subject: string): string =>
  `${prefix}:{${/^[}\\]/.test(subject) ? "\\" : ""}${subject}}:${kind}`

const mostPolicies = 10

/** The limits of several limiters, as one; or why they cannot be one. */
export const joined = (limiters: ReadonlyArray<Checked<ReadonlyArray<Policy>>>): Checked<ReadonlyArray<Policy>> =>
  Either.gen(function* () {
    const all: Array<Policy> = []
    for (const policies of limiters) {
      all.push(...(yield* policies))
    }
    if (all.length === 0) {
      return yield* Options.invalid("at least one limiter is needed")
    }
    if (all.length > mostPolicies) {
      // Lua has room for 200 local variables in one script.
      return yield* Options.invalid(`at most ${mostPolicies} limits are decided in one script`)
    }
    const keys = all.map((policy) => keyOf(policy, "s"))
    const twice = all.find((policy, i) => keys.indexOf(keyOf(policy, "s")) !== i)
    return twice === undefined
      ? all
      : yield* Options.invalid(`two limiters count under the same prefix, ${twice.prefix}: each needs one of its own`)
  })
