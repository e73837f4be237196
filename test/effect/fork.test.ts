import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Scope from "effect/Scope"
import { forker, forkerIn, hasEnded, interrupt, interruptFork } from "../../src/internal/effect/fork.js"

const reference = FiberRef.unsafeMake("default")

describe("a Forker", () => {
  it.effect("starts Effects from callbacks, with the references of the fiber that made it", () =>
    Effect.gen(function* () {
      const fork = yield* Effect.locally(forker(), reference, "given")
      expect(yield* Fiber.join(fork(FiberRef.get(reference)))).toBe("given")
      expect(yield* Fiber.await(fork(Effect.fail("no")))).toEqual(Exit.fail("no"))
    })
  )

  it.live("ends its fibers with the scope that it was given", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const fiber = (yield* forkerIn(scope))(Effect.never)
      const other = (yield* forker())(Effect.never)
      yield* Effect.sleep("5 millis")
      expect([hasEnded(fiber), hasEnded(other)]).toEqual([false, false])
      yield* Scope.close(scope, Exit.void)
      expect([hasEnded(fiber), hasEnded(other)]).toEqual([true, false])
      interrupt(other)
      expect(Exit.isInterrupted(yield* Fiber.await(other))).toBe(true)
      expect(hasEnded(other)).toBe(true)
    })
  )

  it.live("does not wait for finalizers when it interrupts", () =>
    Effect.gen(function* () {
      const fork = yield* forker()
      const slow = () => fork(Effect.ensuring(Effect.never, Effect.sleep("20 millis")))
      const [first, second] = [slow(), slow()]
      yield* Effect.sleep("1 millis")
      interrupt(first)
      yield* interruptFork(second)
      yield* Effect.yieldNow()
      expect([hasEnded(first), hasEnded(second)]).toEqual([false, false])
      yield* Fiber.await(first)
      yield* Fiber.await(second)
      expect([hasEnded(first), hasEnded(second)]).toEqual([true, true])
    })
  )
})
