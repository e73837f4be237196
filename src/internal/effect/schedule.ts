/**
 * Schedules taken step by step: the next pause, from the beginning again, and the slowest of the pauses to come. In
 * Effect 4 a step function keeps its state to itself, so there the look ahead steps a second copy of the Schedule; used
 * by reconnecting, the pool, optimistic transactions, and readers and consumers of streams.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Timers from "../engine/timers.js"

/** When to connect again: from 50 ms doubling to 2 seconds, with jitter, without end. */
export const defaultReconnect: Schedule.Schedule<unknown> = Schedule.exponential("50 millis").pipe(
  Schedule.union(Schedule.spaced("2 seconds")),
  Schedule.jittered
)

/** When to handle an entry of a stream again: from 1 second doubling to 1 minute, with jitter, without end. */
export const defaultRetry: Schedule.Schedule<unknown> = Schedule.exponential("1 second").pipe(
  Schedule.union(Schedule.spaced("1 minute")),
  Schedule.jittered
)

/** When to try an optimistic transaction again: at most 16 times, from 1 ms doubling to 100 ms, with jitter. */
export const defaultConflict: Schedule.Schedule<unknown> = Schedule.exponential("1 millis").pipe(
  Schedule.union(Schedule.spaced("100 millis")),
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(16))
)

/** The Schedule, given a part of each input. */
export const ofInput = <In, In2>(
  schedule: Schedule.Schedule<unknown, In>,
  part: (input: In2) => In
): Schedule.Schedule<unknown, In2> => Schedule.mapInput(schedule, part)

/** Every so many milliseconds, with jitter, without end. */
export const everyMillis = (millis: number): Schedule.Schedule<unknown> =>
  Schedule.jittered(Schedule.spaced(Math.max(millis, 1)))

const clock = Clock.make()

/** The real clock, by the timers that were there when this library was loaded. */
const realTime: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: Timers.timeOfDay,
  unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
  currentTimeMillis: Effect.sync(Timers.timeOfDay),
  currentTimeNanos: clock.currentTimeNanos,
  sleep: (duration) =>
    Effect.async<void>((resume) => {
      const millis = Duration.toMillis(duration)
      const timer = millis > Timers.longestTimer ? undefined : Timers.setTimeout(() => resume(Effect.void), millis)
      return Effect.sync(() => Timers.clearTimeout(timer))
    })
}

/** Runs an Effect on the real clock, whatever clock the program has: waiting for a server takes real time. */
export const liveClock = Effect.withClock(realTime)

/** The Schedule with each of its pauses as `change` makes it of the pause and says, in milliseconds. */
export const withPauses = <In>(
  schedule: Schedule.Schedule<unknown, In>,
  change: (millis: number) => number
): Schedule.Schedule<unknown, In> =>
  Schedule.modifyDelayEffect(schedule, (_, delay) =>
    Effect.sync(() => Duration.millis(change(Duration.toMillis(delay))))
  )

/** A Schedule under way. */
export interface Stepper<in In> {
  /** Waits for the next pause, on the clock of the running fiber; returns `false` when the Schedule is done. */
  readonly pause: (input: In) => Effect.Effect<boolean>
  /** Begins again with the first pause. */
  readonly reset: Effect.Effect<void>
  /**
   * The longest of the Schedule's next 32 pauses for this input, in milliseconds, at most a minute. To find it the
   * Schedule is stepped ahead, its Effects included; the state of the Stepper stays as it is.
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
): Effect.Effect<Stepper<In>> =>
  Effect.map(
    Schedule.driver(change === undefined ? schedule : withPauses(schedule, change)),
    (driver): Stepper<In> => ({
      pause: (input) => Effect.isSuccess(driver.next(input)),
      reset: driver.reset,
      slowestAhead: (input) => Effect.flatMap(driver.state, (state) => slowestAhead(schedule, state, input))
    })
  )

/** How many of the next pauses are looked at, and the longest pause that is reported, in milliseconds. */
const stepsAhead = 32
const longestAhead = 60_000

const slowestAhead = <In>(schedule: Schedule.Schedule<unknown, In>, from: unknown, input: In): Effect.Effect<number> =>
  Effect.suspend(() => {
    let slowest = 0
    const ahead = (steps: number, now: number, state: unknown): Effect.Effect<void> =>
      Effect.flatMap(schedule.step(now, input, state), ([next, , decision]) => {
        if (ScheduleDecision.isDone(decision)) {
          return Effect.void
        }
        const delay = Math.max(ScheduleIntervals.start(decision.intervals) - now, 0)
        slowest = Math.max(slowest, delay)
        return steps === 1 || slowest >= longestAhead ? Effect.void : ahead(steps - 1, now + delay, next)
      })
    return Effect.flatMap(Clock.currentTimeMillis, (now) => ahead(stepsAhead, now, from)).pipe(
      // A Schedule that dies in a step ahead dies again when that step is taken.
      Effect.catchAllDefect(() => Effect.void),
      Effect.map(() => Math.min(slowest, longestAhead))
    )
  })
