/**
 * Fibers that plain callbacks start, end and look at. Effect 4 has no Runtime (a fiber starts from a Context, and in a
 * scope by another function), and a fiber that still runs is polled as `undefined` instead of `null`; used by
 * connections, pools, subscriptions, blocking commands and consumers of streams.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** A fiber, which runs on its own. */
export type Running<A = unknown, E = unknown> = Fiber.RuntimeFiber<A, E>

/** Starts an Effect, with the context, loggers and references of the fiber that made the Forker. */
export type Forker<R = never> = <A, E>(effect: Effect.Effect<A, E, R>) => Running<A, E>

/** What goes on in the background is no part of the span in which a client was built, and may go on long after it. */
const withoutSpan = <R>(runtime: Runtime.Runtime<R>): Runtime.Runtime<R> =>
  Runtime.updateContext(runtime, (context) => Context.omit(Tracer.ParentSpan)(context) as Context.Context<R>)

/** A Forker whose fibers end by themselves. */
export const forker = <R = never>(): Effect.Effect<Forker<R>, never, R> =>
  Effect.map(Effect.runtime<R>(), (runtime) => Runtime.runFork(withoutSpan(runtime)))

/** A Forker whose fibers are interrupted when the scope closes. */
export const forkerIn = <R = never>(scope: Scope.Scope): Effect.Effect<Forker<R>, never, R> =>
  Effect.map(Effect.runtime<R>(), (runtime) => {
    const fork = Runtime.runFork(withoutSpan(runtime))
    const options = { scope }
    return (effect) => fork(effect, options)
  })

/** The fiber that runs now. */
export const currentFiber = (): Running | undefined => Option.getOrUndefined(Fiber.getCurrentFiber())

/** Whether the fiber has ended. A fiber that runs finalizers has not. */
export const hasEnded = (fiber: Running): boolean => fiber.unsafePoll() !== null

/** Calls `f` when the fiber ends; returns how to prevent that. */
export const onEnd = (fiber: Running, f: () => void): (() => void) => {
  fiber.addObserver(f)
  return () => fiber.removeObserver(f)
}

/** The exit of an interrupted fiber. */
export const interrupted: Exit.Exit<never> = Exit.interrupt(FiberId.none)

/** Interrupts the fiber, and does not wait for its end. */
export const interrupt = (fiber: Running): void => fiber.unsafeInterruptAsFork(FiberId.none)

/** The same as an Effect: the running fiber is the one that interrupts. */
export const interruptFork = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> => Fiber.interruptFork(fiber)
