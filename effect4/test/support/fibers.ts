/** How tests and the fuzzer start, follow and count fibers. It does not load vitest, because the fuzzer runs outside of it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as References from "effect/References"

/** Knows the fibers that an Effect has started and that have not ended. Effect 4 tells their number alone. */
export const fiberTracker = (): {
  readonly track: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly running: () => ReadonlyArray<string>
} => {
  let running = 0
  const counting: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => {
      running++
    },
    recordFiberEnd: () => {
      running--
    }
  }
  return {
    // A fiber of its own, so that no fiber is counted that was there before.
    track: (effect) =>
      Effect.flatMap(
        Effect.provideService(
          Effect.forkChild(effect, { startImmediately: true }),
          Metric.FiberRuntimeMetrics,
          counting
        ),
        (fiber) => Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interrupt(fiber))
      ),
    running: () => Array.from({ length: running }, (_, i) => `fiber ${i + 1} of ${running}`)
  }
}

/** A value that a fiber and its children have. */
export const fiberLocal = <A>(): {
  readonly locally: (value: A) => <B, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>
  /** That of the fiber that runs now. */
  readonly current: () => A | undefined
} => {
  const reference = Context.Reference<A | undefined>("test/fiberLocal", { defaultValue: () => undefined })
  return {
    locally: (value) => Effect.provideService(reference, value),
    current: () => Fiber.getCurrent()?.getRef(reference)
  }
}

/** Starts fibers that nobody waits for: at once, or with the next tasks of Effect's scheduler. */
export const launcher: Effect.Effect<<A, E>(effect: Effect.Effect<A, E>, immediate: boolean) => Fiber.Fiber<A, E>> =
  Effect.map(Effect.context<never>(), (context) => {
    const fork = Effect.runForkWith(context)
    return (effect, immediate) => fork(immediate ? effect : Effect.andThen(Effect.yieldNow, effect))
  })

/** Starts a fiber, which runs at once even where test tools have replaced the timers. */
export const forkNow = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
  Effect.forkChild(effect, { startImmediately: true })

/** The result of a fiber; `None` while it runs. */
export const poll = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Option.Option<Exit.Exit<A, E>>> =>
  Effect.sync(() => Option.fromNullishOr(fiber.pollUnsafe()))

/** Runs an Effect without its log. */
export const unlogged: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R> = Effect.provideService(
  References.MinimumLogLevel,
  "None"
)
