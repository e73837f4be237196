/** Schedules taken step by step: the next pause, from the beginning again, and the slowest of the pauses to come. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Timers from "../engine/timers.js"

/** When to connect again: from 50 ms doubling to 2 seconds, with jitter, without end. */
export const defaultReconnect: Schedule.Schedule<unknown> = Schedule.jittered(
  Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")])
)

/** When to handle an entry of a stream again: from 1 second doubling to 1 minute, with jitter, without end. */
export const defaultRetry: Schedule.Schedule<unknown> = Schedule.jittered(
  Schedule.min([Schedule.exponential("1 second"), Schedule.spaced("1 minute")])
)

/** When to try an optimistic transaction again: at most 16 times, from 1 ms doubling to 100 ms, with jitter. */
export const defaultConflict: Schedule.Schedule<unknown> = Schedule.max([
  Schedule.jittered(Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("100 millis")])),
  Schedule.recurs(16)
])

/** The Schedule, given a part of each input. */
export const ofInput = <In, In2>(
  schedule: Schedule.Schedule<unknown, In>,
  part: (input: In2) => In
): Schedule.Schedule<unknown, In2> =>
  Schedule.fromStep(
    Effect.map(Schedule.toStep(schedule), (step) => (now: number, input: In2) => step(now, part(input)))
  )

/** Every so many milliseconds, with jitter, without end. */
export const everyMillis = (millis: number): Schedule.Schedule<unknown> =>
  Schedule.jittered(Schedule.spaced(Math.max(millis, 1)))

const clock = Clock.Clock.defaultValue()

/** The real clock, by the timers that were there when this library was loaded. */
const realTime: Clock.Clock = {
  currentTimeMillisUnsafe: Timers.timeOfDay,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  currentTimeMillis: Effect.sync(Timers.timeOfDay),
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: (duration) =>
    Effect.callback<void>((resume) => {
      const millis = Duration.toMillis(duration)
      const timer = millis > Timers.longestTimer ? undefined : Timers.setTimeout(() => resume(Effect.void), millis)
      return Effect.sync(() => Timers.clearTimeout(timer))
    })
}

/** Runs an Effect on the real clock, whatever clock the program has: waiting for a server takes real time. */
export const liveClock: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.provideService(
  Clock.Clock,
  realTime
)

/** The Schedule with each of its pauses as `change` makes it of the pause and says, in milliseconds. */
export const withPauses = <In>(
  schedule: Schedule.Schedule<unknown, In>,
  change: (millis: number) => number
): Schedule.Schedule<unknown, In> =>
  Schedule.modifyDelay(schedule, ({ duration }) =>
    Effect.sync(() => Duration.millis(change(Duration.toMillis(duration))))
  )

/** A Schedule under way. */
export interface Stepper<in In> {
  /** Waits for the next pause, on the clock of the running fiber; returns `false` when the Schedule is done. */
  readonly pause: (input: In) => Effect.Effect<boolean>
  /** Begins again with the first pause. */
  readonly reset: Effect.Effect<void>
  /**
   * The longest of the Schedule's next 32 pauses for this input, in milliseconds, at most a minute. To find it a second
   * copy of the Schedule is stepped to where the Stepper is, and ahead, its Effects included.
   */
  readonly slowestAhead: (input: In) => Effect.Effect<number>
}

/**
 * Begins a Schedule. `change` gives the pause in milliseconds that is made of each pause of the Schedule;
 * `slowestAhead` reports the pauses without it.
 */
export const makeStepper = <In>(
  schedule: Schedule.Schedule<unknown, In>,
  change?: (millis: number) => number
): Effect.Effect<Stepper<In>> => {
  const changed = change === undefined ? schedule : withPauses(schedule, change)
  return Effect.sync((): Stepper<In> => {
    let step: ((input: In) => Effect.Effect<unknown, unknown>) | undefined
    /** The times and inputs of the steps that were taken: the second copy takes them too. */
    let taken: Array<readonly [now: number, input: In]> = []
    return {
      pause: (input) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          taken.push([now, input])
          return Effect.isSuccess(
            step !== undefined
              ? step(input)
              : Effect.flatMap(Schedule.toStepWithSleep(changed), (first) => {
                  step = first
                  return first(input)
                })
          )
        }),
      reset: Effect.sync(() => {
        step = undefined
        taken = []
      }),
      slowestAhead: (input) => Effect.suspend(() => slowestAhead(schedule, [...taken], input))
    }
  })
}

/** How many of the next pauses are looked at, and the longest pause that is reported, in milliseconds. */
const stepsAhead = 32
const longestAhead = 60_000

const slowestAhead = <In>(
  schedule: Schedule.Schedule<unknown, In>,
  taken: ReadonlyArray<readonly [now: number, input: In]>,
  input: In
): Effect.Effect<number> =>
  Effect.suspend(() => {
    let slowest = 0
    return Effect.flatMap(Schedule.toStep(schedule), (step) => {
      const ahead = (steps: number, now: number): Effect.Effect<void> =>
        Effect.flatMap(Effect.result(step(now, input)), (next) => {
          if (Result.isFailure(next)) {
            return Effect.void
          }
          const delay = Math.max(Duration.toMillis(next.success[1]), 0)
          slowest = Math.max(slowest, delay)
          return steps === 1 || slowest >= longestAhead ? Effect.void : ahead(steps - 1, now + delay)
        })
      return Effect.andThen(
        Effect.forEach(taken, ([now, input]) => Effect.result(step(now, input)), { discard: true }),
        Effect.flatMap(Clock.currentTimeMillis, (now) => ahead(stepsAhead, now))
      )
    }).pipe(
      // A Schedule that dies in a step ahead dies again when that step is taken.
      Effect.catchDefect(() => Effect.void),
      Effect.map(() => Math.min(slowest, longestAhead))
    )
  })
