/**
 * A task is one fiber of a round and its record: when it is to be interrupted, and where it was when that happened. The state
 * of a command is observed at `Engine.accept`, which is wrapped for that; nothing else of the library is touched.
 */
import * as Effect from "effect/Effect"
import { interrupt, type Running } from "../../src/internal/effect/fork.js"
import { Engine } from "../../src/internal/engine/engine.js"
import type { Pending } from "../../src/internal/engine/pending.js"
import { fiberLocal } from "../../test/support/fibers.js"
import type { Random } from "./random.js"
import { untracked } from "./watch.js"

/** The place where a fiber was interrupted. */
export const points = [
  "before encoding",
  "acquiring",
  "gathered",
  "queued",
  "half-written",
  "awaiting",
  "half-read",
  "while decoding",
  "answered",
  "on release"
] as const

export type Point = (typeof points)[number]

/** When a task is to be interrupted. */
export type Plan =
  | { readonly at: "never" }
  | { readonly at: "start" | "encode" | "accept" | "queue" | "decode" | "release" }
  | { readonly at: "microtask" | "turn" | "millis"; readonly after: number }

/** The places that a task passes; a plan for any other place would never interrupt it. */
export interface Places {
  readonly encode: boolean
  readonly queue: boolean
  readonly release: boolean
}

export const plan = (random: Random, places: Places): Plan =>
  random.weighted<() => Plan>([
    [8, () => ({ at: "never" })],
    [4, () => ({ at: "start" })],
    [places.encode ? 30 : 0, () => ({ at: "encode" })],
    [10, () => ({ at: "accept" })],
    [places.queue ? 25 : 0, () => ({ at: "queue" })],
    [10, () => ({ at: "decode" })],
    [places.release ? 25 : 0, () => ({ at: "release" })],
    [14, () => ({ at: "microtask", after: random.below(12) })],
    [25, () => ({ at: "turn", after: 1 + random.below(6) })],
    [12, () => ({ at: "millis", after: 1 + random.below(random.pick([3, 10, 40])) })]
  ])()

export class Task {
  fiber: Running | undefined
  stage: "new" | "acquiring" | "working" | "decoding" | "releasing" = "new"
  /** Where it was when it was interrupted. */
  met: Point | undefined
  private asked = false
  ended = false
  private pending: Pending | undefined
  private engine: Engine | undefined
  private entering = false

  constructor(
    readonly id: number,
    readonly kind: string,
    /** Its own name, which its key holds. */
    readonly own: string,
    readonly plan: Plan,
    readonly random: Random
  ) {}

  /** Records the task's place; a plan for this place interrupts the task here. */
  reached(at: Plan["at"]): void {
    if (this.plan.at === at) {
      this.interrupt()
    }
  }

  interrupt(): void {
    if (!this.asked && !this.ended && this.fiber !== undefined) {
      this.asked = true
      this.met = this.where()
      interrupt(this.fiber)
    }
  }

  private where(): Point {
    const { engine, pending, stage } = this
    if (stage === "acquiring" || stage === "releasing" || stage === "decoding") {
      return stage === "acquiring" ? "acquiring" : stage === "releasing" ? "on release" : "while decoding"
    }
    if (pending === undefined || engine === undefined) {
      return "before encoding"
    }
    if (this.entering) {
      return "gathered"
    }
    if (pending.settled) {
      return "answered"
    }
    if (pending.queued !== undefined) {
      return "queued"
    }
    const { inFlight, parser, transport, unflushed } = engine as unknown as {
      readonly inFlight: { readonly length: number; readonly at: (i: number) => Pending | undefined }
      readonly parser: { readonly idle: boolean }
      readonly transport: { readonly isFull: () => boolean }
      readonly unflushed: number
    }
    for (let i = inFlight.length - unflushed; i < inFlight.length; i++) {
      if (inFlight.at(i) === pending) {
        return "gathered"
      }
    }
    return transport.isFull() ? "half-written" : !parser.idle && inFlight.at(0) === pending ? "half-read" : "awaiting"
  }

  /** Called as a command of this task goes into an engine. */
  accepting(engine: Engine, pending: Pending): void {
    this.engine = engine
    this.pending = pending
    this.entering = true
    this.reached("accept")
    this.entering = false
  }
}

/** Which task a fiber, or a child of it, works for. */
export const { current: currentTask, locally: asTask } = fiberLocal<Task>()

/** The engines that were used since this was last emptied. */
export const engines = new Set<Engine>()

let observing = false

/** Has every task told where its commands are. */
export const observe = (): void => {
  if (observing) {
    return
  }
  observing = true
  const accept = Engine.prototype.accept
  Engine.prototype.accept = function (this: Engine, pending, encoded) {
    engines.add(this)
    const task = currentTask()
    task?.accepting(this, pending)
    const taken = accept.call(this, pending, encoded)
    if (!taken && task !== undefined && task.plan.at === "queue") {
      // After the fiber's own step, when the fiber waits.
      queueMicrotask(() => task.reached("queue"))
    }
    return taken
  }
}

/** Interrupts a task by its plan, if that goes by time. */
export const schedule = (task: Task): void => {
  const { plan } = task
  switch (plan.at) {
    case "start":
      return task.interrupt()
    case "microtask": {
      let left = plan.after
      const step = (): void => {
        left-- > 0 ? queueMicrotask(step) : task.interrupt()
      }
      return queueMicrotask(step)
    }
    case "turn": {
      let left = plan.after
      const step = (): void => {
        left-- > 0 ? void untracked.setImmediate(step) : task.interrupt()
      }
      return void untracked.setImmediate(step)
    }
    case "millis":
      return void untracked.setTimeout(() => task.interrupt(), plan.after)
  }
}

/** A pause of the task's, in real time. */
export const pause = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const handle = untracked.setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => untracked.clearTimeout(handle))
  })

export const turn: Effect.Effect<void> = Effect.async<void>((resume) => {
  const handle = untracked.setImmediate(() => resume(Effect.void))
  return Effect.sync(() => untracked.clearImmediate(handle))
})
