/**
 * Waiting for conditions and for time, by timers of JavaScript: a consumer waits for a server, which takes real time
 * whatever clock the program has.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { interruptFork } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"

/** Where fibers wait until a condition holds. The code that makes it hold calls `notify`. */
export class Signal {
  private readonly waiters = new Set<() => void>()

  notify(): void {
    for (const waiter of [...this.waiters]) {
      waiter()
    }
  }

  /** Waits until `condition` holds, for at most `millis`; returns whether it does. */
  until(condition: () => boolean, millis = Infinity): Effect.Effect<boolean> {
    return Effect.async<boolean>((resume) => {
      if (condition()) {
        resume(Effect.succeed(true))
        return undefined
      }
      const leave = (): void => {
        Timers.clearTimeout(timer)
        this.waiters.delete(look)
      }
      const look = (): void => {
        if (condition()) {
          leave()
          resume(Effect.succeed(true))
        }
      }
      const timer =
        millis > Timers.longestTimer
          ? undefined
          : Timers.setTimeout(() => {
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

/** Runs the Effect for at most `millis`. It works in finalizers too, where a timeout could not interrupt. */
export const within = (effect: Effect.Effect<unknown>, millis: number): Effect.Effect<void> =>
  Effect.flatMap(Effect.forkDaemon(Effect.interruptible(effect)), (fiber: Fiber.RuntimeFiber<unknown>) => {
    let done = false
    const signal = new Signal()
    fiber.addObserver(() => {
      done = true
      signal.notify()
    })
    return Effect.zipRight(
      signal.until(() => done, millis),
      interruptFork(fiber)
    )
  })
