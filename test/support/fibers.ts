/**
 * How tests and the fuzzer start, follow and count fibers. The edition for Effect 4 replaces this file. It does not load
 * vitest, because the fuzzer runs outside of it.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Supervisor from "effect/Supervisor"

/** Knows the fibers that an Effect has started and that have not ended. */
export const fiberTracker = (): {
  readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly running: () => ReadonlyArray<string>
} => {
  const supervisor = Effect.runSync(Supervisor.track)
  return {
    track: Effect.supervised(supervisor),
    running: () => Effect.runSync(supervisor.value).map((fiber) => `fiber ${fiber.id().id}`)
  }
}

/** A value that a fiber and its children have. */
export const fiberLocal = <A>(): {
  readonly locally: (value: A) => <B, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>
  /** That of the fiber that runs now. */
  readonly current: () => A | undefined
} => {
  const ref = FiberRef.unsafeMake<A | undefined>(undefined)
  return {
    locally: (value) => Effect.locally(ref, value),
    current: () => Option.getOrUndefined(Fiber.getCurrentFiber())?.getFiberRef(ref)
  }
}

/** Starts fibers that nobody waits for: at once, or with the next tasks of Effect's scheduler. */
export const launcher: Effect.Effect<
  <A, E>(effect: Effect.Effect<A, E>, immediate: boolean) => Fiber.RuntimeFiber<A, E>
> = Effect.map(Effect.runtime<never>(), (runtime) => {
  const fork = Runtime.runFork(runtime)
  return (effect, immediate) => fork(effect, { immediate })
})

/** Starts a fiber, which runs at once even where test tools have replaced the timers. */
export const forkNow = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.fork(effect)

/** The result of a fiber; `None` while it runs. */
export const poll = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Option.Option<Exit.Exit<A, E>>> => Fiber.poll(fiber)

/** Runs an Effect without its log. */
export const unlogged: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Logger.withMinimumLogLevel(
  LogLevel.None
)
