/**
 * The pauses between attempts to connect, by a Schedule. It does not connect, and does not decide whether a failure
 * ends the attempts.
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { RedisError } from "../../RedisError.js"
import { liveClock, makeStepper } from "../effect/schedule.js"
import { isPermanent } from "./reconnect.js"

export interface Pacer {
  /**
   * Waits after a failed attempt, or after a connection that did not last; returns whether there is to be another
   * attempt. After a permanent failure the pause is as long as the slowest of the Schedule's next 32. `onPause` gets
   * the length of the pause in milliseconds.
   */
  readonly pause: (error: RedisError, onPause?: (millis: number) => void) => Effect.Effect<boolean>
  /** Ends the pause under way, because another attempt may now succeed. */
  readonly hurry: () => void
  /** The next pause is the Schedule's first one again. */
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
