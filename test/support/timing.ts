/** Waiting in real time. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"

/** Waits in real time, whatever the test's clock. */
export const pause = (millis: number) => Effect.promise(() => new Promise<void>((done) => setTimeout(done, millis)))

/** A time limit that {@link promptly} must not need. */
export const faraway = "1 minute"

/** Expects an effect to end long before a {@link faraway} time limit. Generous, since machines are slow. */
export const promptly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.tap(effect, () => Effect.sync(() => expect(performance.now() - started).toBeLessThan(20_000)))
  })
