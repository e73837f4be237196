/**
 * The contenders of this process for one resource, in the order in which they came. The first of them asks the server, the
 * others wait for their turn. Here a contender is also woken when the resource may be free: by a message of the server, or
 * by a holder of this process.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RedisService } from "../command/model.js"
import { interrupt, type Running } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import type { RedisPubSubService } from "../pubsub/service.js"
import type { Target } from "../pubsub/target.js"

/** Calls `resume` after `millis`; returns how to prevent that. Times that are too long for a timer are without end. */
const after = (millis: number, resume: () => void): (() => void) => {
  if (millis > Timers.longestTimer) {
    return () => {}
  }
  const timer = Timers.setTimeout(resume, Math.max(0, millis))
  return () => Timers.clearTimeout(timer)
}

/** The turn of one contender. Whoever gave a line a turn to wait for leaves it in the end, whatever happened in between. */
export class Turn {
  private line: Line | undefined

  /** Of the line in which this is the first. */
  get at(): Line | undefined {
    return this.line
  }

  /** Takes the turn, if nobody has it. */
  takeNow(redis: RedisService, key: string): boolean {
    const line = lineOf(redis, key)
    if (line.isBusy) {
      return false
    }
    line.enter(this)
    this.line = line
    return true
  }

  /** Waits for the turn, for at most `millis`; returns whether it came. */
  take(redis: RedisService, key: string, millis: number): Effect.Effect<boolean> {
    return Effect.async<boolean>((resume) => {
      // Looked for here, because a line that is empty is forgotten.
      const line = lineOf(redis, key)
      if (line.enter(this)) {
        this.line = line
        return resume(Effect.succeed(true))
      }
      const stop = after(millis, () => {
        line.forget(this)
        resume(Effect.succeed(false))
      })
      this.given = () => {
        stop()
        this.line = line
        resume(Effect.succeed(true))
      }
      return Effect.sync(() => {
        stop()
        line.forget(this)
      })
    })
  }

  /** The line calls it. */
  given = (): void => {}

  /** Gives the turn to the next in line. */
  leave(): void {
    const { line } = this
    this.line = undefined
    line?.next()
  }
}

interface Listener {
  fiber: Running | undefined
  confirmed: boolean
  stopped: boolean
}

export class Line {
  /** How often the resource may have become free. Who reads it before asking the server cannot miss a change meanwhile. */
  signals = 0
  private busy = false
  private readonly turns = new Set<Turn>()
  private wake: (() => void) | undefined
  private listener: Listener | undefined

  constructor(private readonly onEmpty: () => void) {}

  /** Whether somebody has the turn. */
  get isBusy(): boolean {
    return this.busy
  }

  /** Returns whether it is this turn already; otherwise it waits. */
  enter(turn: Turn): boolean {
    if (this.busy) {
      this.turns.add(turn)
      return false
    }
    this.busy = true
    return true
  }

  /** It waits no longer. */
  forget(turn: Turn): void {
    this.turns.delete(turn)
  }

  /** Whoever has the turn gives it to the next. */
  next(): void {
    const [next] = this.turns
    if (next !== undefined) {
      this.turns.delete(next)
      return next.given()
    }
    this.busy = false
    this.onEmpty()
    const { listener } = this
    this.listener = undefined
    if (listener !== undefined) {
      listener.stopped = true
      if (listener.fiber !== undefined) {
        interrupt(listener.fiber)
      }
    }
  }

  /** The resource may be free. */
  signal(): void {
    this.signals++
    const { wake } = this
    this.wake = undefined
    wake?.()
  }

  /** Waits for a signal after the first `seen`, for at most `millis`. */
  wait(seen: number, millis: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.signals !== seen) {
        return resume(Effect.void)
      }
      const done = (): void => {
        stop()
        this.wake = undefined
        resume(Effect.void)
      }
      const stop = after(millis, done)
      this.wake = done
      return Effect.sync(() => {
        stop()
        if (this.wake === done) {
          this.wake = undefined
        }
      })
    })
  }

  /** Whether the server tells when the resource may be free. */
  get listening(): boolean {
    return this.listener?.confirmed === true
  }

  /**
   * Listens for as long as there are contenders. The first signal is the confirmation of the server: a release before it was
   * not heard. A subscription that fails or ends leaves contenders to ask from time to time.
   */
  listen(pubsub: RedisPubSubService, target: Target, fork: (effect: Effect.Effect<unknown>) => Running): void {
    if (this.listener !== undefined || !this.busy) {
      return
    }
    const hear = Effect.flatMap(
      pubsub.subscribe([target], {
        capacity: 16,
        maxBytes: 65_536,
        strategy: "sliding",
        // After a gap a release may have been missed.
        gaps: "once",
        failOnGap: false,
        alone: false
      }),
      (inbox) =>
        Effect.async<void>((resume) => {
          const signalled = (): void => {
            listener.confirmed = inbox.end === undefined
            while (inbox.take() !== undefined) {}
            if (inbox.end !== undefined) {
              return resume(Effect.void)
            }
            stop = inbox.onReady(1, signalled)
            this.signal()
          }
          let stop = (): void => {}
          signalled()
          return Effect.sync(() => stop())
        })
    )
    const listener: Listener = { fiber: undefined, confirmed: false, stopped: false }
    this.listener = listener
    const fiber = fork(
      Effect.scoped(hear).pipe(
        Effect.interruptible,
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            listener.confirmed = false
            return Exit.isFailure(exit) && !Exit.isInterrupted(exit)
              ? Effect.logDebug("A lock's release is not heard; contenders ask for it from time to time", exit.cause)
              : Effect.void
          })
        ),
        Effect.exit
      )
    )
    listener.fiber = fiber
    if (listener.stopped) {
      interrupt(fiber)
    }
  }
}

/** The lines of each client. A client is known by its service. */
const lines = new WeakMap<RedisService, Map<string, Line>>()

const lineOf = (redis: RedisService, key: string): Line => {
  let ofClient = lines.get(redis)
  if (ofClient === undefined) {
    ofClient = new Map()
    lines.set(redis, ofClient)
  }
  const known = ofClient
  let line = known.get(key)
  if (line === undefined) {
    line = new Line(() => known.delete(key))
    known.set(key, line)
  }
  return line
}

/** Wakes the contender of this process, if there is one: a holder of this process releases. */
export const signalLine = (redis: RedisService, key: string): void => lines.get(redis)?.get(key)?.signal()
