/**
 * The timers and clocks of the runtime. They are taken once, when this module is loaded, because connections live in real
 * time: a test that replaces the global timers for a while must not stop the deadlines of a connection for good. Nothing else
 * in the library reads global timers, but for one microtask of the parser, for which nothing waits.
 */

export const { clearTimeout, queueMicrotask, setTimeout } = globalThis

/** A clock that only goes forward, in milliseconds. */
export const now: () => number = performance.now.bind(performance)

/** The time of day, in milliseconds since 1970. */
export const timeOfDay: () => number = Date.now

/** Calls `f` after the event loop has polled its sockets once. */
export const afterPoll: (f: () => void) => unknown = globalThis.setImmediate ?? ((f: () => void) => setTimeout(f, 0))

export type Timer = ReturnType<typeof setTimeout>

/** The longest that `setTimeout` can wait, in milliseconds (24.8 days). With a longer time it fires at once. */
export const longestTimer = 0x7fff_ffff

/** A timer that fires this much too late, in milliseconds, says that the program did not run meanwhile. */
const heldFor = 10

/**
 * Calls `expired` when `millis` have passed; returns how to prevent that. Event loops run timers before they read sockets, so
 * after a time in which the program did not run (a long computation, a stopped process, a suspended machine) every limit
 * would expire although the answer has arrived. Therefore time that the program did not run does not count, up to as much
 * as `millis`, and sockets are read once more before `expired` is called.
 */
export const limit = (millis: number, expired: () => void): (() => void) => {
  let timer: Timer | undefined
  let stopped = millis > longestTimer
  let spare = millis
  const start = (left: number): void => {
    const due = now() + left
    timer = setTimeout(() => {
      const late = now() - due
      if (late > heldFor && spare > 0) {
        const more = Math.min(late, spare)
        spare -= more
        return start(more)
      }
      afterPoll(() => {
        if (!stopped) {
          expired()
        }
      })
    }, left)
  }
  if (!stopped) {
    start(millis)
  }
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
