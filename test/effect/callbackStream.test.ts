import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { callbackStream, constant, type Emit, subscribable } from "../../src/internal/effect/callbackStream.js"

describe("callbackStream", () => {
  it.effect("gives what is emitted, in order, until the end; calls after the end do nothing", () =>
    Effect.gen(function* () {
      const values = yield* Stream.runCollect(
        callbackStream<number>((emit) => {
          emit.single(1)
          emit.single(2)
          emit.end()
          emit.single(3)
          emit.end()
          return () => {}
        }, 16)
      )
      expect(Chunk.toReadonlyArray(values)).toEqual([1, 2])
    })
  )

  it.effect("fails after what was emitted before", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const exit = yield* callbackStream<number, string>((emit) => {
        emit.single(1)
        emit.fail("over")
        return () => {}
      }, 16).pipe(
        Stream.runForEach((value) => Effect.sync(() => seen.push(value))),
        Effect.exit
      )
      expect(seen).toEqual([1])
      expect(exit).toEqual(Exit.fail("over"))
    })
  )

  for (const [capacity, expected] of [
    [4, [6, 7, 8, 9]],
    ["unbounded", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]
  ] as const) {
    it.effect(`keeps the newest of a burst, with a capacity of ${capacity}`, () =>
      Effect.gen(function* () {
        const values = yield* Stream.runCollect(
          callbackStream<number>((emit) => {
            for (let i = 0; i < 10; i++) {
              emit.single(i)
            }
            emit.end()
            return () => {}
          }, capacity)
        )
        expect(Chunk.toReadonlyArray(values)).toEqual(expected)
      })
    )
  }

  it.live("listens once for each run, and stops listening when the run ends", () =>
    Effect.gen(function* () {
      const listeners = new Set<Emit<string>>()
      const stream = callbackStream<string>((emit) => {
        listeners.add(emit)
        return () => listeners.delete(emit)
      }, 16)
      const first = yield* Effect.fork(Stream.runDrain(stream))
      const second = yield* Effect.fork(Stream.runCollect(Stream.take(stream, 1)))
      yield* Effect.sleep("10 millis")
      expect(listeners.size).toBe(2)
      for (const { single } of listeners) {
        single("a")
      }
      expect(Chunk.toReadonlyArray(yield* Fiber.join(second))).toEqual(["a"])
      expect(listeners.size).toBe(1)
      yield* Fiber.interrupt(first)
      expect(listeners.size).toBe(0)
    })
  )
})

describe("subscribable", () => {
  it.effect("has the value now, and its changes", () =>
    Effect.gen(function* () {
      let value = 1
      const changing = subscribable(() => value, Stream.make(1, 2))
      expect(yield* changing.get).toBe(1)
      value = 2
      expect(yield* changing.get).toBe(2)
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(changing.changes))).toEqual([1, 2])
      expect(yield* constant("x").get).toBe("x")
      expect(Chunk.toReadonlyArray(yield* Stream.runCollect(constant("x").changes))).toEqual(["x"])
    })
  )
})
