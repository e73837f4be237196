/** Fibers that plain callbacks start, end and look at. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"

/** A fiber, which runs on its own. */
export type Running<A = unknown, E = unknown> = Fiber.Fiber<A, E>

/** Starts an Effect, with the context, loggers and references of the fiber that made the Forker. */
export type Forker<R = never> = <A, E>(effect: Effect.Effect<A, E, R>) => Running<A, E>

/** What goes on in the background is no part of the span in which a client was built, and may go on long after it. */
const withoutSpan = <R>(context: Context.Context<R>): Context.Context<R> =>
  Context.omit(Tracer.ParentSpan)(context) as Context.Context<R>

/** A Forker whose fibers end by themselves. */
export const forker = <R = never>(): Effect.Effect<Forker<R>, never, R> =>
  Effect.map(Effect.context<R>(), (context) => Effect.runForkWith(withoutSpan(context)))

/** A Forker whose fibers are interrupted when the scope closes. */
export const forkerIn = <R = never>(scope: Scope.Scope): Effect.Effect<Forker<R>, never, R> =>
  Effect.map(Effect.context<R>(), (context) => {
    const run = Effect.runSyncWith(withoutSpan(context))
    return (effect) => run(Effect.forkIn(effect, scope, { startImmediately: true }))
  })

/** The fiber that runs now. */
export const currentFiber = (): Running | undefined => Fiber.getCurrent()

/** Whether the fiber has ended. A fiber that runs finalizers has not. */
export const hasEnded = (fiber: Running): boolean => fiber.pollUnsafe() !== undefined

/** Calls `f` when the fiber ends; returns how to prevent that. */
export const onEnd = (fiber: Running, f: () => void): (() => void) => fiber.addObserver(f)

/** The exit of an interrupted fiber. */
export const interrupted: Exit.Exit<never> = Exit.interrupt()

/** Interrupts the fiber, and does not wait for its end. */
export const interrupt = (fiber: Running): void => fiber.interruptUnsafe()

/** The same as an Effect: the running fiber is the one that interrupts. */
export const interruptFork = (fiber: Fiber.Fiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.withFiber((self) => {
    fiber.interruptUnsafe(self.id)
    return Effect.void
  })
