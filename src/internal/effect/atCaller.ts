/**
 * How a request gives its failure to the fiber that waits. `Effect.fail`, run by that fiber, adds the fiber's span, which
 * `Cause.pretty` shows with the place of its `Effect.fn` or `Effect.withSpan`; an `Exit` would not. It costs nothing as long
 * as commands succeed. In Effect 4 a Cause carries stack frames instead; used by requests.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

interface AtCaller<E> extends Effect.Effect<never, E> {
  /** The failure as an Exit, for observers. */
  readonly exit: Exit.Exit<never, E>
}

export const atCaller = <A, E>(exit: Exit.Exit<A, E>): Effect.Effect<A, E> =>
  exit._tag === "Success" ? exit : Object.assign(failing(exit.cause), { exit })

const failing = <E>(cause: Cause.Cause<E>): Effect.Effect<never, E> =>
  cause._tag === "Fail"
    ? Effect.fail(cause.error)
    : cause._tag === "Die"
      ? Effect.die(cause.defect)
      : Effect.failCause(cause)

/** What a request gave to its caller, as an Exit. */
export const exitOf = <A, E>(result: Exit.Exit<A, E> | Effect.Effect<A, E>): Exit.Exit<A, E> =>
  (result as AtCaller<E>).exit ?? (result as Exit.Exit<A, E>)
