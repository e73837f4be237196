/** Streams of what an Effect gives piece by piece. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** A Stream of pages. `page` is given a position, and returns elements and the next position; without one it was the last. */
export const paginate = <S, A, E, R>(
  start: S,
  page: (position: S) => Effect.Effect<readonly [ReadonlyArray<A>, Option.Option<S>], E, R>
): Stream.Stream<A, E, R> => Stream.paginate(start, page)

/** Takes again and again what `next` gives. The Stream ends when that fails with `None`. */
export const repeat = <A, E, R>(next: Effect.Effect<ReadonlyArray<A>, Option.Option<E>, R>): Stream.Stream<A, E, R> =>
  Stream.fromIterableEffectRepeat(
    Effect.catch(
      next,
      (error): Effect.Effect<never, E | Cause.Done> => (Option.isSome(error) ? Effect.fail(error.value) : Cause.done())
    )
  ) as Stream.Stream<A, E, R>

/** Reads up to so many pieces ahead. */
export const readAhead = <A, E, R>(stream: Stream.Stream<A, E, R>, pieces: number): Stream.Stream<A, E, R> =>
  Stream.bufferArray(stream, { capacity: pieces })
