/**
 * Streams whose elements plain callbacks push, and values with the Stream of their changes. Effect 4 pushes into a
 * Queue and has no `Subscribable`; used by connections, for pushes and for the status.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as EffectSubscribable from "effect/Subscribable"

/** What a listener calls. After `end` or `fail` the other calls do nothing. */
export interface Emit<in A, in E = never> {
  readonly single: (value: A) => unknown
  readonly end: () => void
  readonly fail: (error: E) => void
}

/**
 * A Stream of what `listen` emits. Each run of the Stream listens for itself, and calls the returned function when it
 * ends. When more than `capacity` elements wait for a slow reader, the oldest are dropped.
 */
export const callbackStream = <A, E = never>(
  listen: (emit: Emit<A, E>) => () => unknown,
  capacity: number | "unbounded"
): Stream.Stream<A, E> =>
  Stream.asyncPush<A, E>(
    (emit) =>
      Effect.acquireRelease(
        Effect.sync(() => listen(emit)),
        (stop) => Effect.sync(stop)
      ),
    capacity === "unbounded" ? { bufferSize: "unbounded" } : { bufferSize: capacity, strategy: "sliding" }
  )

/** A value that changes: the value now, and the Stream of its changes, which begins with the value now. */
export type Subscribable<A> = EffectSubscribable.Subscribable<A>

export const subscribable = <A>(get: () => A, changes: Stream.Stream<A>): Subscribable<A> =>
  EffectSubscribable.make({ get: Effect.sync(get), changes })

/** The Subscribable of a value that never changes. Its Stream ends after the value. */
export const constant = <A>(value: A): Subscribable<A> =>
  EffectSubscribable.make({ get: Effect.succeed(value), changes: Stream.succeed(value) })
