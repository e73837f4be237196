import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import {
  currentFiber,
  forker,
  forkerIn,
  hasEnded,
  interrupt,
  interrupted,
  interruptFork,
  onEnd
} from "../../src/internal/effect/fork.js"

const reference = Context.Reference<string>("test/fork", { defaultValue: () => "default" })

describe("a Forker", () => {
  it.effect("starts Effects from callbacks, with the references of the fiber that made it", () =>
    Effect.gen(function* () {
      const fork = yield* Effect.provideService(forker(), reference, "given")
      expect(yield* Fiber.join(fork(Effect.service(reference)))).toBe("given")
      expect(yield* Fiber.await(fork(Effect.fail("no")))).toEqual(Exit.fail("no"))
      const scope = yield* Effect.scope
      const forkIn = yield* Effect.provideService(forkerIn(scope), reference, "given")
      expect(yield* Fiber.join(forkIn(Effect.service(reference)))).toBe("given")
    })
  )

  it.live("ends its fibers with the scope that it was given", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const forkIn = yield* forkerIn(scope)
      const fiber = forkIn(Effect.never)
      const other = (yield* forker())(Effect.never)
      yield* Effect.sleep("5 millis")
      expect([hasEnded(fiber), hasEnded(other)]).toEqual([false, false])
      yield* Scope.close(scope, Exit.void)
      expect([hasEnded(fiber), hasEnded(other)]).toEqual([true, false])
      expect(Exit.hasInterrupts(yield* Fiber.await(forkIn(Effect.never)))).toBe(true)
      interrupt(other)
      expect(Exit.hasInterrupts(yield* Fiber.await(other))).toBe(true)
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
      yield* Effect.yieldNow
      expect([hasEnded(first), hasEnded(second)]).toEqual([false, false])
      yield* Fiber.await(first)
      yield* Fiber.await(second)
      expect([hasEnded(first), hasEnded(second)]).toEqual([true, true])
    })
  )

  it.effect("says when its fibers end, unless told not to", () =>
    Effect.gen(function* () {
      const fork = yield* forker()
      const [first, second] = [fork(Effect.never), fork(Effect.never)]
      const ended: Array<string> = []
      onEnd(first, () => ended.push("first"))
      const forget = onEnd(second, () => ended.push("second"))
      forget()
      interrupt(first)
      interrupt(second)
      yield* Fiber.await(first)
      yield* Fiber.await(second)
      expect(ended).toEqual(["first"])
    })
  )

  it.effect("knows the fiber that runs, and the exit of an interrupted one", () =>
    Effect.gen(function* () {
      expect(currentFiber()).toBe(yield* Effect.withFiber(Effect.succeed))
      expect(Exit.hasInterrupts(interrupted)).toBe(true)
    })
  )
})
