/**
 * The loops that are measured. All contestants go through these two, so that what differs is the client: promises in an
 * async function, or effects in a generator, as people write them.
 */
import * as Effect from "effect/Effect"
import type { Meter, Runner } from "./work.js"

/** Each of so many async functions does its share, one after the other. */
export const promises = (operation: () => Promise<unknown>, close: () => Promise<void>): Runner => {
  const plain = async (count: number, tick: () => void): Promise<void> => {
    for (let i = 0; i < count; i++) {
      await operation()
      tick()
    }
  }
  const timed = async (count: number, tick: () => void, samples: Float64Array, next: { at: number }): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const started = performance.now()
      await operation()
      samples[next.at++] = performance.now() - started
      tick()
    }
  }
  return {
    once: operation,
    close,
    run: async (concurrency, meter, samples) => {
      const next = { at: 0 }
      const loops: Array<Promise<void>> = []
      for (let i = 0; i < concurrency; i++) {
        const share = meter.share(i, concurrency)
        loops.push(samples === undefined ? plain(share, meter.tick) : timed(share, meter.tick, samples, next))
      }
      await Promise.all(loops)
    }
  }
}

/** Each of so many fibers does its share, one after the other. */
export const effects = <R>(
  operation: () => Effect.Effect<unknown, unknown, R>,
  runPromise: <A>(effect: Effect.Effect<A, unknown, R>) => Promise<A>,
  close: () => Promise<void>
): Runner => {
  const plain = (count: number, tick: () => void) =>
    Effect.gen(function* () {
      for (let i = 0; i < count; i++) {
        yield* operation()
        tick()
      }
    })
  const timed = (count: number, tick: () => void, samples: Float64Array, next: { at: number }) =>
    Effect.gen(function* () {
      for (let i = 0; i < count; i++) {
        const started = performance.now()
        yield* operation()
        samples[next.at++] = performance.now() - started
        tick()
      }
    })
  const program = (concurrency: number, meter: Meter, samples: Float64Array | undefined) => {
    const next = { at: 0 }
    const fibers = Array.from({ length: concurrency }, (_, i) => {
      const share = meter.share(i, concurrency)
      return samples === undefined ? plain(share, meter.tick) : timed(share, meter.tick, samples, next)
    })
    return Effect.all(fibers, { concurrency: "unbounded", discard: true })
  }
  return {
    once: () => runPromise(operation()),
    close,
    run: (concurrency, meter, samples) => runPromise(program(concurrency, meter, samples))
  }
}
