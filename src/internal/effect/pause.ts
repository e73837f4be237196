/** A pause by the clock of the connections, which no test clock holds up. */
import * as Effect from "effect/Effect"
import * as Timers from "../engine/timers.js"

export const pauseFor = (millis: number): Effect.Effect<void> =>
  millis <= 0
    ? Effect.void
    : Effect.async<void>((resume) => {
        const timer = Timers.setTimeout(() => resume(Effect.void), millis)
        return Effect.sync(() => Timers.clearTimeout(timer))
      })
