/** What combinators such as `using` and `withPrefix` take: an Effect or a Stream that needs services. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** An Effect or a Stream. */
export type Program = Effect.Effect<unknown, unknown, unknown> | Stream.Stream<unknown, unknown, unknown>

/** The same Effect or Stream. It fails with `E2` too, and needs `R2` in the place of the service `I`. */
export type Provided<Self, I, R2, E2 = never> =
  Self extends Effect.Effect<infer A, infer E, infer R>
    ? Effect.Effect<A, E | E2, Exclude<R, I> | R2>
    : Self extends Stream.Stream<infer A, infer E, infer R>
      ? Stream.Stream<A, E | E2, Exclude<R, I> | R2>
      : never

/** Runs an Effect or a Stream with the service that `service` gives. A Stream gets it once, when it is run. */
export const provide = <A, E, R, I, S, E2, R2>(
  self: Effect.Effect<A, E, R> | Stream.Stream<A, E, R>,
  tag: Context.Key<I, S>,
  service: Effect.Effect<S, E2, R2>
): Effect.Effect<A, E | E2, Exclude<R, I> | R2> | Stream.Stream<A, E | E2, Exclude<R, I> | R2> =>
  Effect.isEffect(self)
    ? Effect.provideServiceEffect(self, tag, service)
    : Stream.provideServiceEffect(self, tag, service)
