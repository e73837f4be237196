/** Streams whose elements plain callbacks push, and values with the Stream of their changes. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

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
  Stream.callback<A, E>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          listen({
            single: (value) => Queue.offerUnsafe(queue, value),
            end: () => void Queue.endUnsafe(queue),
            fail: (error) => void Queue.failCauseUnsafe(queue, Cause.fail(error))
          })
        ),
        (stop) => Effect.sync(stop)
      ),
    capacity === "unbounded" ? {} : { bufferSize: capacity, strategy: "sliding" }
  )

/** A value that changes: the value now, and the Stream of its changes, which begins with the value now. */
export interface Subscribable<out A> {
  readonly get: Effect.Effect<A>
  readonly changes: Stream.Stream<A>
}

export const subscribable = <A>(get: () => A, changes: Stream.Stream<A>): Subscribable<A> => ({
  get: Effect.sync(get),
  changes
})

/** The Subscribable of a value that never changes. Its Stream ends after the value. */
export const constant = <A>(value: A): Subscribable<A> => ({
  get: Effect.succeed(value),
  changes: Stream.succeed(value)
})
