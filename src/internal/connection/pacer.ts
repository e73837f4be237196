/**
 * The pace of attempts to connect, by the user's Schedule: the first connection of a layer, and the pauses between later
 * attempts. It opens nothing itself.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constFalse } from "effect/Function"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import { DeadlineError, type RedisError } from "../../RedisError.js"
import { isPermanent } from "../request/recovery.js"

/** From 50 ms doubling to 2 seconds, with jitter, without end. */
export const defaultReconnect: Schedule.Schedule<unknown> = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("2 seconds")),
  Schedule.jittered
)

/** A connection that was ready for less than this, in milliseconds, counts as accepted and dropped. */
const readyAfter = 10_000

export interface ReconnectSettings {
  /** How long to wait before each attempt to reconnect. */
  readonly schedule: Schedule.Schedule<unknown, RedisError>
  /** A connection that was ready for this long, in milliseconds, starts the schedule over when it ends. */
  readonly readyAfter: number
  /** Failures after which there are no more attempts, once there was a connection. */
  readonly stopWhen: (error: RedisError) => boolean
  /** What commands do while there is no connection: wait, or fail. */
  readonly offline: "queue" | "fail"
}

/** The options of clients, pools and subscriptions, with their defaults. */
export const reconnectSettings = (options: {
  readonly reconnect?: ReconnectSettings["schedule"] | undefined
  readonly stopReconnecting?: ReconnectSettings["stopWhen"] | undefined
  readonly offline?: ReconnectSettings["offline"] | undefined
}): ReconnectSettings => ({
  schedule: options.reconnect ?? defaultReconnect,
  readyAfter,
  stopWhen: options.stopReconnecting ?? constFalse,
  offline: options.offline ?? "queue"
})

type Reconnect = ReconnectSettings["schedule"]

/**
 * The first connection while a layer is built: attempts by the schedule, all within the connect deadline, of which each
 * attempt is given the rest in milliseconds. A permanent failure ends it at once.
 */
export const firstConnection = (
  connectTimeout: number,
  reconnect: Reconnect,
  attempt: (left: number) => Effect.Effect<void, RedisError>
): Effect.Effect<void, RedisError> =>
  Effect.suspend(() => {
    const until = performance.now() + connectTimeout
    const left = () => Math.max(until - performance.now(), 0)
    // The failure of the last attempt that failed for another reason than the deadline.
    let last: RedisError | undefined
    // Only made when it is needed, because making an error costs a twentieth of connecting.
    const late = () => last ?? new DeadlineError({ phase: "connect", delivery: "unsent", milliseconds: connectTimeout })
    // Each attempt and each pause is cut to the time that is left, so that this works where nothing can be interrupted.
    const next = Effect.suspend(() => (left() > 0 ? attempt(left()) : Effect.fail(late()))).pipe(
      Effect.mapError((error) => (error._tag === "DeadlineError" ? late() : error)),
      Effect.tapError((error) =>
        Effect.sync(() => {
          last = error
        })
      )
    )
    const schedule = Schedule.modifyDelay(reconnect, (_, delay) => Duration.min(delay, Duration.millis(left())))
    return Effect.retry(next, { schedule, while: (error) => left() > 0 && !isPermanent(error) }).pipe(liveClock)
  })

/** How many of a schedule's next delays are looked at for the longest, and how long that may be, in milliseconds. */
const stepsAhead = 32
const longestAhead = 60_000

/** The longest of a schedule's next delays, in milliseconds. The steps are taken from its present state and not kept. */
export const slowestAhead = (schedule: Reconnect, from: unknown, error: RedisError): Effect.Effect<number> =>
  Effect.suspend(() => {
    let slowest = 0
    const ahead = (steps: number, now: number, state: unknown): Effect.Effect<void> =>
      Effect.flatMap(schedule.step(now, error, state), ([next, , decision]) => {
        if (ScheduleDecision.isDone(decision)) {
          return Effect.void
        }
        const delay = Math.max(ScheduleIntervals.start(decision.intervals) - now, 0)
        slowest = Math.max(slowest, delay)
        return steps === 1 || slowest >= longestAhead ? Effect.void : ahead(steps - 1, now + delay, next)
      })
    return Effect.flatMap(Clock.currentTimeMillis, (now) => ahead(stepsAhead, now, from)).pipe(
      // A schedule that dies ahead will die again at its turn, and is reported then.
      Effect.catchAllDefect(() => Effect.void),
      Effect.map(() => Math.min(slowest, longestAhead))
    )
  })

/** The pauses between attempts, by a Schedule. After a permanent failure a pause is as long as the longest of its next delays. */
export interface Pacer {
  /**
   * Waits after a failed attempt, or after a connection that did not last. Returns whether another attempt follows.
   * `onPause` is called with the length of the pause, in milliseconds.
   */
  readonly pause: (error: RedisError, onPause?: (millis: number) => void) => Effect.Effect<boolean>
  /** Ends the pause that is running, because something changed: there are new credentials. */
  readonly hurry: () => void
  /** Starts the schedule over. */
  readonly reset: Effect.Effect<void>
}

export const makePacer = (schedule: Reconnect): Effect.Effect<Pacer> =>
  Effect.suspend(() => {
    let least = Duration.zero
    let told: ((millis: number) => void) | undefined
    let hurry = (): void => {}
    const hurried = Effect.async<boolean>((resume) => {
      hurry = () => resume(Effect.succeed(true))
    })
    const paced = Schedule.modifyDelayEffect(schedule, (_, delay) =>
      Effect.sync(() => {
        const pause = Duration.max(delay, least)
        told?.(Duration.toMillis(pause))
        return pause
      })
    )
    return Effect.map(Schedule.driver(paced), (driver) => ({
      pause: (error, onPause) =>
        (isPermanent(error)
          ? Effect.flatMap(driver.state, (state) => slowestAhead(schedule, state, error))
          : Effect.succeed(0)
        ).pipe(
          Effect.flatMap((millis) => {
            least = Duration.millis(millis)
            told = onPause
            return Effect.isSuccess(driver.next(error))
          }),
          // The race includes the look ahead, because its steps may take long too.
          (paused) => Effect.raceFirst(hurried, paused),
          liveClock
        ),
      hurry: () => hurry(),
      reset: driver.reset
    }))
  })

/** Connecting keeps real time, whatever clock the program runs under. */
export const liveClock = Effect.withClock(Clock.make())
