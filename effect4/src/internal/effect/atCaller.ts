/** How a request gives its failure to the fiber that waits. Effect 4 adds the caller's place to the Cause by itself. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

export const atCaller = <A, E>(exit: Exit.Exit<A, E>): Effect.Effect<A, E> => exit

/** What a request gave to its caller, as an Exit. */
export const exitOf = <A, E>(result: Exit.Exit<A, E> | Effect.Effect<A, E>): Exit.Exit<A, E> =>
  result as Exit.Exit<A, E>
