/**
 * An Either as an Effect. In Effect 3 an Either is one; in Effect 4 a Result is not. Used wherever a checked option or
 * an encoded value is needed in an Effect.
 */
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"

export const fromEither = <A, E>(either: Either.Either<A, E>): Effect.Effect<A, E> => either
