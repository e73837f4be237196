/**
 * Waiting, for consumers of streams: on conditions and on time. All of it is engine timers or the live clock, since
 * what is waited for is I/O (design law 17).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import type { RedisError } from "../../RedisError.js"
import { isPermanent } from "../request/recovery.js"

/** Timers of engines hold 31 bits. */
const longestTimer = 2_147_483_647

/** Where fibers wait until something holds. Whoever makes it hold calls `notify`. */
export class Signal {
  private readonly waiters = new Set<() => void>()

  notify(): void {
    for (const waiter of [...this.waiters]) {
      waiter()
    }
  }

  /** Waits until `condition` holds, for at most `millis`; answers whether it does. */
  until(condition: () => boolean, millis = Infinity): Effect.Effect<boolean> {
    return Effect.async<boolean>((resume) => {
      if (condition()) {
        resume(Effect.succeed(true))
        return undefined
      }
      const leave = (): void => {
        clearTimeout(timer)
        this.waiters.delete(look)
      }
      const look = (): void => {
        if (condition()) {
          leave()
          resume(Effect.succeed(true))
        }
      }
      const timer =
        millis > longestTimer
          ? undefined
          : setTimeout(() => {
              leave()
              resume(Effect.sync(condition))
            }, millis)
      this.waiters.add(look)
      return Effect.sync(leave)
    })
  }
}

const never = new Signal()

/** A pause in real time. */
export const pause = (millis: number): Effect.Effect<unknown> => never.until(() => false, millis)

/** Runs what a Schedule waits for in real time. */
export const liveClock = Effect.withClock(Clock.make())

/** What the server says when the same command may succeed a little later. None of these was executed. */
const passing =
  /^(?:LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|READONLY|MISCONF|NOREPLICAS|OOM|UNBLOCKED|FAILOVER|REDIRECT)$/

/** Whether it is worth asking again. */
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

/** Whether the server may have done what was asked, though the answer never came. */
export const isUnknown = (error: RedisError): boolean =>
  error._tag === "ConnectionError" || error._tag === "DeadlineError"
    ? error.delivery === "unknown"
    : error._tag === "DecodeError" || error._tag === "ProtocolError"

/**
 * Asks until there is an answer, with the pauses of a Schedule that starts over after each success. Failures that
 * asking again will not mend end it, and so does the end of the Schedule.
 */
export class Persistence {
  private readonly driver: Effect.Effect<Schedule.ScheduleDriver<unknown, RedisError>>

  constructor(
    readonly schedule: Schedule.Schedule<unknown, RedisError>,
    /** Told of each failure that is not the end. */
    private readonly onFailure: (error: RedisError) => Effect.Effect<void>
  ) {
    this.driver = Schedule.driver(schedule)
  }

  persist<A>(effect: Effect.Effect<A, RedisError>): Effect.Effect<A, RedisError> {
    return Effect.catchAll(effect, (error) =>
      isTransient(error)
        ? Effect.flatMap(this.driver, (driver) => this.again(effect, driver, error))
        : Effect.fail(error)
    )
  }

  private again<A>(
    effect: Effect.Effect<A, RedisError>,
    driver: Schedule.ScheduleDriver<unknown, RedisError>,
    error: RedisError
  ): Effect.Effect<A, RedisError> {
    return Effect.flatMap(
      Effect.zipRight(this.onFailure(error), liveClock(Effect.either(driver.next(error)))),
      (next): Effect.Effect<A, RedisError> =>
        Either.isLeft(next)
          ? Effect.fail(error)
          : Effect.catchAll(effect, (error) =>
              isTransient(error) ? this.again(effect, driver, error) : Effect.fail(error)
            )
    )
  }
}
