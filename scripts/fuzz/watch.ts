/**
 * Watches what a round leaves behind: sockets and timers of this process, and fibers. The global timer functions are replaced,
 * so that timers that do not keep the process alive are counted, too. The client takes these functions when it is loaded, so
 * this module must be loaded first.
 */
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import { fiberTracker } from "../../test/support/fibers.js"

const real = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate }

type Handle = ReturnType<typeof setTimeout> | ReturnType<typeof setImmediate>

/** Timers that run, and where they were set when that is asked for: it costs a stack each. */
const running = new Map<unknown, string>()

let traced = false

const place = (kind: string): string => {
  if (!traced) {
    return kind
  }
  const frames = (new Error().stack ?? "").split("\n").slice(3)
  return `${kind}${frames.slice(0, 3).join("")}`
}

/** Notes where timers are set from now on. */
export const trace = (): void => {
  traced = true
}

/** Counts timers from now on, all but those set with {@link untracked}. */
const install = (): void => {
  const once =
    (set: (callback: (...args: Array<unknown>) => void, ...rest: Array<unknown>) => Handle, kind: string) =>
    (callback: (...args: Array<unknown>) => void, ...rest: Array<unknown>): Handle => {
      const handle = set(
        (...args) => {
          running.delete(handle)
          callback(...args)
        },
        ...rest
      )
      running.set(handle, place(kind))
      return handle
    }
  const clear =
    (end: (handle: never) => void) =>
    (handle: unknown): void => {
      running.delete(handle)
      end(handle as never)
    }
  const globals = globalThis as unknown as Record<string, unknown>
  globals.setTimeout = Object.assign(once(real.setTimeout as never, "Timeout"), real.setTimeout)
  globals.setImmediate = Object.assign(once(real.setImmediate as never, "Immediate"), real.setImmediate)
  globals.setInterval = (callback: () => void, ...rest: Array<unknown>) => {
    const handle = (real.setInterval as (...args: Array<unknown>) => unknown)(callback, ...rest)
    running.set(handle, place("Interval"))
    return handle
  }
  globals.clearTimeout = clear(real.clearTimeout)
  globals.clearInterval = clear(real.clearInterval)
  globals.clearImmediate = clear(real.clearImmediate)
}

install()

/** The timers of the fuzzer itself. */
export const untracked = real

export interface Left {
  readonly sockets: number
  readonly timers: ReadonlyArray<string>
  readonly fibers: ReadonlyArray<string>
}

const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => /TCP|Pipe|TLS|GetAddr/.test(name)).length

/** How many sockets and timers there are, where others than the observed have some, too. */
export const countLeft = (): { readonly sockets: number; readonly timers: number } => ({
  sockets: sockets(),
  timers: running.size
})

const pause = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    real.setTimeout(() => resume(Effect.void), millis)
  })

/** Runs an effect and answers what is left of it, once nothing is or after `patience` milliseconds. */
export const leftBy = <A, E, R>(
  use: Effect.Effect<A, E, R>,
  patience: number
): Effect.Effect<readonly [A, Left], E, R> =>
  Effect.gen(function* () {
    const tracker = fiberTracker()
    const socketsBefore = sockets()
    const timersBefore = new Set(running.keys())
    const result = yield* tracker.track(use)
    const started = Date.now()
    for (;;) {
      // Effect's own scheduler sets a timer for this very fiber now and then.
      yield* pause(1)
      const left: Left = {
        sockets: Math.max(0, sockets() - socketsBefore),
        timers: [...running].filter(([handle]) => !timersBefore.has(handle)).map(([, where]) => where),
        fibers: tracker.running()
      }
      const nothing = left.sockets === 0 && left.timers.length === 0 && left.fibers.length === 0
      if (nothing || Date.now() - started > patience) {
        if (traced && left.sockets > 0) {
          const { _getActiveHandles: handles } = process as unknown as {
            readonly _getActiveHandles: () => Array<Net.Socket>
          }
          for (const handle of handles()) {
            if (handle instanceof Net.Socket && handle.remotePort !== undefined) {
              const { destroyed, localPort, remotePort, writableEnded, readableEnded } = handle
              console.log("socket", { destroyed, localPort, readableEnded, remotePort, writableEnded })
            }
          }
        }
        return [result, left] as const
      }
    }
  })
