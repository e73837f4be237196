/**
 * Streams of what an Effect gives piece by piece. Effect 4 has arrays for Chunks, and ends a Stream by another failure;
 * used by scans and by readers of streams.
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/** A Stream of pages. `page` is given a position, and returns elements and the next position; without one it was the last. */
export const paginate = <S, A, E, R>(
  start: S,
  page: (position: S) => Effect.Effect<readonly [ReadonlyArray<A>, Option.Option<S>], E, R>
): Stream.Stream<A, E, R> =>
  Stream.paginateChunkEffect(start, (position) =>
    Effect.map(page(position), ([elements, next]) => [Chunk.unsafeFromArray(elements), next])
  )

/** Takes again and again what `next` gives. The Stream ends when that fails with `None`. */
export const repeat = <A, E, R>(next: Effect.Effect<ReadonlyArray<A>, Option.Option<E>, R>): Stream.Stream<A, E, R> =>
  Stream.repeatEffectChunkOption(Effect.map(next, Chunk.unsafeFromArray))

/** Reads up to so many pieces ahead. */
export const readAhead = <A, E, R>(stream: Stream.Stream<A, E, R>, pieces: number): Stream.Stream<A, E, R> =>
  Stream.bufferChunks(stream, { capacity: pieces })
