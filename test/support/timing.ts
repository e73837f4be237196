/** Real time, and the exact step at which a fiber pauses. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"

/** Waits in real time, whatever the test's clock. */
export const pause = (millis: number) => Effect.promise(() => new Promise<void>((done) => setTimeout(done, millis)))

/** A time limit that {@link promptly} must not need. */
export const faraway = "1 minute"

/** Expects an effect to end long before a {@link faraway} time limit. Generous, since machines are slow. */
export const promptly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.tap(effect, () => expect(performance.now() - started).toBeLessThan(20_000))
  })

/** Makes a fiber yield once, before its `at`th operation, so that other fibers run at a point where they rarely do. */
export const yieldingAt = (at: number) => {
  let count = 0
  return Effect.withScheduler({
    scheduleTask: (task, priority) => Scheduler.defaultScheduler.scheduleTask(task, priority),
    shouldYield: () => (++count === at ? 0 : false)
  })
}
