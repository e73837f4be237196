/** The options of locks and semaphores, checked. */
import * as Either from "effect/Either"
import type { UsageError } from "../../RedisError.js"
import type { DurationWithUnit } from "../command/args.js"
import * as Options from "../connection/options.js"
import * as Timers from "../engine/timers.js"
import type { Settings } from "./contend.js"
import { lock, permit, type Resource } from "./resource.js"

export interface Given {
  readonly ttl?: DurationWithUnit | undefined
  readonly wait?: DurationWithUnit | undefined
  readonly replicas?: { readonly count: number; readonly within: DurationWithUnit } | undefined
}

/** The shortest time to live, in milliseconds: validity ends a little earlier, and renewals need time. */
const shortestTtl = 50

const wholeMillis = (
  given: DurationWithUnit | undefined,
  what: string,
  fallback: number,
  least: number
): Either.Either<number, UsageError> =>
  given === undefined
    ? Either.right(fallback)
    : Either.flatMap(Options.checkDuration(given, what), (millis) =>
        Number.isInteger(millis) && millis >= least && millis <= Timers.longestTimer
          ? Either.right(millis)
          : Options.invalid(`${what} must be whole milliseconds, from ${least} milliseconds to 24 days`)
      )

export const settingsOf = (given: Given): Either.Either<Settings, UsageError> =>
  Either.gen(function* () {
    const { replicas } = given
    return {
      ttl: yield* wholeMillis(given.ttl, "ttl", 10_000, shortestTtl),
      wait: given.wait === undefined ? Infinity : yield* Options.checkDuration(given.wait, "wait"),
      replicas:
        replicas === undefined
          ? undefined
          : {
              count: yield* Options.checkCount(replicas.count, "replicas.count"),
              millis: yield* wholeMillis(replicas.within, "replicas.within", 0, 1)
            }
    }
  })

/** A name is the hash tag of its keys, which must not be empty. */
const checkName = (name: unknown): Either.Either<string, UsageError> =>
  typeof name === "string" && name !== "" && !name.startsWith("}")
    ? Either.right(name)
    : Options.invalid("the name of a lock or a semaphore must be text that is not empty and does not begin with }")

export const lockOf = (name: string): Either.Either<Resource, UsageError> => Either.map(checkName(name), lock)

export const permitOf = (name: string, permits: number): Either.Either<Resource, UsageError> =>
  Either.flatMap(checkName(name), (name) =>
    Either.map(Options.checkCount(permits, "permits"), (permits) => permit(name, permits))
  )
