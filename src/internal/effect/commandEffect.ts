/**
 * The base of commands: an Effect that runs on a service of the fiber that runs it. Effect 4 names the method differently
 * and finds the fiber without asking for it; used by commands.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Fiber from "effect/Fiber"
import * as Hash from "effect/Hash"
import * as Option from "effect/Option"

/** A class of Effects: each runs what its `runOn` makes of the service. */
export const effectOn = <I, S>(
  tag: Context.Tag<I, S>
): (abstract new <A, E>() => Effect.Effect<A, E, I> & {
  runOn(service: S): Effect.Effect<A, E>
}) => {
  abstract class OnService extends Effectable.Class<unknown, unknown, I> {
    abstract runOn(service: S): Effect.Effect<unknown, unknown>

    commit(): Effect.Effect<unknown, unknown, I> {
      // The context is read from the fiber, because that costs one step of the run loop less than an Effect (8 % of a
      // GET's time).
      const fiber = Option.getOrThrow(Fiber.getCurrentFiber())
      return this.runOn(Context.unsafeGet(fiber.currentContext as Context.Context<I>, tag))
    }
  }
  return OnService as never
}

/** Keeps the hash of a value with the value. */
export const cachedHash = (self: object, hash: number): number => Hash.cached(self, hash)
