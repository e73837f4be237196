/** A Result as an Effect: in Effect 4 it is none by itself. */
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"

export const fromEither = <A, E>(result: Result.Result<A, E>): Effect.Effect<A, E> => Effect.fromResult(result)
