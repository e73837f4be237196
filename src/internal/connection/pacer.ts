/**
 * The pace of attempts to connect, by the user's Schedule: the first connection of a layer, and the pauses between later
 * attempts. It opens nothing itself.
 */
import * as Effect from "effect/Effect"
import { constFalse } from "effect/Function"
import type * as Schedule from "effect/Schedule"
import { DeadlineError, type RedisError } from "../../RedisError.js"
import { defaultReconnect, liveClock, makeStepper, withPauses } from "../effect/schedule.js"
import * as Timers from "../engine/timers.js"
import { isPermanent } from "../request/recovery.js"

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
    const until = Timers.now() + connectTimeout
    const left = () => Math.max(until - Timers.now(), 0)
    // The failure of the last attempt that failed for another reason than the deadline.
    let last: RedisError | undefined
    // Only made when it is needed, because making an error costs a twentieth of connecting.
    const late = (attempt?: DeadlineError) =>
      last ?? new DeadlineError({ ...attempt, phase: "connect", delivery: "unsent", milliseconds: connectTimeout })
    // Each attempt and each pause is cut to the time that is left, so that this works where nothing can be interrupted.
    const next = Effect.suspend(() => (left() > 0 ? attempt(left()) : Effect.fail(late()))).pipe(
      // How far the attempt came stays in the error, but its time is that of the whole.
      Effect.mapError((error) => (error._tag === "DeadlineError" ? late(error) : error)),
      Effect.tapError((error) =>
        Effect.sync(() => {
          last = error
        })
      )
    )
    const schedule = withPauses(reconnect, (millis) => Math.min(millis, left()))
    return Effect.retry(next, { schedule, while: (error) => left() > 0 && !isPermanent(error) }).pipe(liveClock)
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

export const makePacer = (schedule: Schedule.Schedule<unknown, RedisError>): Effect.Effect<Pacer> =>
  Effect.suspend(() => {
    let least = 0
    let report: ((millis: number) => void) | undefined
    let hurry = (): void => {}
    const hurried = Effect.async<boolean>((resume) => {
      hurry = () => resume(Effect.succeed(true))
    })
    const stepper = makeStepper(schedule, (millis) => {
      const pause = Math.max(millis, least)
      report?.(pause)
      return pause
    })
    return Effect.map(stepper, ({ pause, reset, slowestAhead }) => ({
      pause: (error, onPause) =>
        (isPermanent(error) ? slowestAhead(error) : Effect.succeed(0)).pipe(
          Effect.flatMap((millis) => {
            least = millis
            report = onPause
            return pause(error)
          }),
          // The race includes the look ahead, which may take long when the Schedule's Effects do.
          (paused) => Effect.raceFirst(hurried, paused),
          liveClock
        ),
      hurry: () => hurry(),
      reset
    }))
  })
