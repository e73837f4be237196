import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import {
  defaultReconnect,
  defaultRetry,
  everyMillis,
  liveClock,
  makeStepper
} from "../../src/internal/effect/schedule.js"
import { onInput, onOutput } from "../support/effect.js"
import { poll } from "../support/fibers.js"

/** Takes a step on the test clock; the milliseconds that it paused, or `undefined` when the Schedule is done. */
const step = (pause: Effect.Effect<boolean>): Effect.Effect<number | undefined> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(pause)
    let millis = 0
    while (true) {
      yield* Effect.yieldNow()
      const exit = yield* poll(fiber)
      if (exit._tag === "Some") {
        return (yield* exit.value) ? millis : undefined
      }
      yield* TestClock.adjust("1 millis")
      millis++
    }
  })

describe("a stepper", () => {
  it.effect("pauses as the Schedule says, and returns false when the Schedule is done", () =>
    Effect.gen(function* () {
      const stepper = yield* makeStepper(Schedule.exponential("10 millis").pipe(Schedule.intersect(Schedule.recurs(3))))
      expect([
        yield* step(stepper.pause(undefined)),
        yield* step(stepper.pause(undefined)),
        yield* step(stepper.pause(undefined)),
        yield* step(stepper.pause(undefined))
      ]).toEqual([10, 20, 40, undefined])
    })
  )

  it.effect("begins again with the first pause after a reset", () =>
    Effect.gen(function* () {
      const stepper = yield* makeStepper(Schedule.exponential("10 millis"))
      yield* step(stepper.pause(undefined))
      yield* step(stepper.pause(undefined))
      yield* stepper.reset
      expect(yield* step(stepper.pause(undefined))).toBe(10)
    })
  )

  it.effect("changes each pause, and reports the slowest of those ahead unchanged", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const stepper = yield* makeStepper(Schedule.spaced("10 millis"), (millis) => {
        seen.push(millis)
        return millis * 3
      })
      expect(yield* step(stepper.pause(undefined))).toBe(30)
      expect(seen).toEqual([10])
      expect(yield* stepper.slowestAhead(undefined)).toBe(10)
      expect(seen).toEqual([10])
    })
  )

  it.effect("looks ahead from where it is, and stays there", () =>
    Effect.gen(function* () {
      const stepper = yield* makeStepper(Schedule.exponential("10 millis").pipe(Schedule.intersect(Schedule.recurs(5))))
      expect(yield* stepper.slowestAhead(undefined)).toBe(160)
      yield* step(stepper.pause(undefined))
      yield* step(stepper.pause(undefined))
      expect(yield* stepper.slowestAhead(undefined)).toBe(160)
      expect(yield* step(stepper.pause(undefined))).toBe(40)
      expect(yield* step(stepper.pause(undefined))).toBe(80)
      expect(yield* step(stepper.pause(undefined))).toBe(160)
      expect(yield* stepper.slowestAhead(undefined)).toBe(0)
      expect(yield* step(stepper.pause(undefined))).toBe(undefined)
    })
  )

  it.effect("hands the input to the Schedule", () =>
    Effect.gen(function* () {
      const inputs: Array<string> = []
      const stepper = yield* makeStepper(
        onInput(Schedule.spaced("1 millis"), (input: string) => Effect.sync(() => inputs.push(input)))
      )
      yield* step(stepper.pause("first"))
      expect(inputs).toEqual(["first"])
    })
  )
})

describe("the slowest of the pauses ahead", () => {
  for (const [what, schedule, least, most] of [
    ["reconnecting's default", defaultReconnect, 2_000, 2_400],
    ["the default of a worker's retries", defaultRetry, 60_000, 60_000],
    ["a Schedule with jitter", everyMillis(1_000), 800, 1_200],
    ["equal pauses", Schedule.spaced("5 millis"), 5, 5],
    ["a Schedule that ends", Schedule.exponential("10 millis").pipe(Schedule.intersect(Schedule.recurs(4))), 80, 80],
    ["a Schedule that is done", Schedule.recurs(0), 0, 0],
    ["a Schedule that grows without end", Schedule.exponential("10 millis"), 60_000, 60_000],
    ["pauses of hours", Schedule.spaced("2 hours"), 60_000, 60_000],
    ["a Schedule that ends by time", Schedule.spaced("100 millis").pipe(Schedule.upTo("1 second")), 100, 100],
    [
      "a Schedule that dies at its sixth step",
      onOutput(Schedule.exponential("10 millis"), (delay) =>
        Duration.toMillis(delay) === 320 ? Effect.die("too long") : Effect.void
      ),
      160,
      160
    ]
  ] as ReadonlyArray<readonly [string, Schedule.Schedule<unknown>, number, number]>) {
    it.effect(`of ${what}`, () =>
      Effect.gen(function* () {
        const { slowestAhead } = yield* makeStepper(schedule)
        const millis = yield* slowestAhead(undefined)
        expect(millis).toBeGreaterThanOrEqual(least)
        expect(millis).toBeLessThanOrEqual(most)
      })
    )
  }
})

describe("liveClock", () => {
  it.effect("waits in real time under a clock that stands still", () =>
    Effect.gen(function* () {
      const started = performance.now()
      yield* liveClock(Effect.sleep("20 millis"))
      expect(performance.now() - started).toBeGreaterThan(15)
    })
  )
})
