/** The base of commands: an Effect that runs on a service of the fiber that runs it. Effect 4 gives the fiber. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"

interface OnService<S> {
  runOn(service: S): Effect.Effect<unknown, unknown>
}

/** A class of Effects: each runs what its `runOn` makes of the service. */
export const effectOn = <I, S>(
  tag: Context.Key<I, S>
): (abstract new <A, E>() => Effect.Effect<A, E, I> & {
  runOn(service: S): Effect.Effect<A, E>
}) => {
  const proto = Effectable.Prototype<Effect.Effect<unknown, unknown, I> & OnService<S>>({
    label: "RedisCommand",
    evaluate(fiber) {
      return this.runOn(Context.getUnsafe(fiber.context as Context.Context<I>, tag))
    }
  })
  abstract class Base {}
  Object.defineProperties(Base.prototype, Object.getOwnPropertyDescriptors(proto))
  return Base as never
}

/** Effect 4 keeps the hash of a value by itself. */
export const cachedHash = (_: object, hash: number): number => hash
