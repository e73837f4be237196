/**
 * Sends commands again until they are answered, and decides which failures are worth that. It does not know what a
 * command does: only commands that may be executed twice are given to it.
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { RedisError } from "../../RedisError.js"
import { liveClock, makeStepper, type Stepper } from "../effect/schedule.js"
import { isPermanent } from "../request/recovery.js"

/** Errors of a server that did not execute the command, and may execute it a little later. */
const passing =
  /^(?:LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|READONLY|MISCONF|NOREPLICAS|OOM|UNBLOCKED|FAILOVER|REDIRECT)$/

/** Whether the same command may succeed later. */
export const isTransient = (error: RedisError): boolean => {
  switch (error._tag) {
    case "ConnectionError":
      return error.reason !== "closed" && !isPermanent(error)
    case "DeadlineError":
    case "OverflowError":
      return true
    case "ReplyError":
      return passing.test(error.code)
    default:
      return false
  }
}

/** Whether the server may have executed the command although its reply was not read. */
export const isUnknown = (error: RedisError): boolean =>
  error._tag === "ConnectionError" || error._tag === "DeadlineError"
    ? error.delivery === "unknown"
    : error._tag === "DecodeError" || error._tag === "ProtocolError"

/** The Schedule's next pause. Returns `false` when the Schedule is done, and when it died. */
export const nextPause = <In>(stepper: Stepper<In>, input: In): Effect.Effect<boolean> =>
  Effect.catchAllCause(stepper.pause(input), () => Effect.succeed(false))

/**
 * Sends a command until it is answered, with the pauses of a Schedule, which starts over for each command. A failure
 * that is not transient ends it, and so does the end of the Schedule.
 */
export class Persistence {
  private readonly stepper: Effect.Effect<Stepper<RedisError>>

  constructor(
    schedule: Schedule.Schedule<unknown, RedisError>,
    /** Runs after each failure that is not the end. */
    private readonly onFailure: (error: RedisError) => Effect.Effect<void>
  ) {
    this.stepper = makeStepper(schedule)
  }

  persist<A>(effect: Effect.Effect<A, RedisError>): Effect.Effect<A, RedisError> {
    return Effect.catchAll(effect, (error) =>
      isTransient(error)
        ? Effect.flatMap(this.stepper, (stepper) => this.again(effect, stepper, error))
        : Effect.fail(error)
    )
  }

  private again<A>(
    effect: Effect.Effect<A, RedisError>,
    stepper: Stepper<RedisError>,
    error: RedisError
  ): Effect.Effect<A, RedisError> {
    return Effect.flatMap(
      Effect.zipRight(this.onFailure(error), liveClock(stepper.pause(error))),
      (more): Effect.Effect<A, RedisError> =>
        more
          ? Effect.catchAll(effect, (error) =>
              isTransient(error) ? this.again(effect, stepper, error) : Effect.fail(error)
            )
          : Effect.fail(error)
    )
  }
}
