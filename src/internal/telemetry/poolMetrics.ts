/** The metrics of one pool. Pools of the same name are added up. */
import { instrument } from "../effect/metrics.js"
import * as Instruments from "./instruments.js"
import type { PoolChange } from "./observer.js"

export interface PoolMetrics {
  readonly changed: (change: PoolChange) => void
  /** A caller was given a connection after so many milliseconds. */
  readonly waited: (millis: number) => void
  /** A caller gave its connection back after so many milliseconds. */
  readonly used: (millis: number) => void
  readonly timedOut: () => void
  /** The pool is closed. */
  readonly end: () => void
}

export const poolMetrics = (
  name: string,
  { max, min }: { readonly max: number; readonly min: number }
): PoolMetrics => {
  const pool = { "db.client.connection.pool.name": name }
  const idle = instrument(Instruments.connectionCount, { ...pool, "db.client.connection.state": "idle" })
  const used = instrument(Instruments.connectionCount, { ...pool, "db.client.connection.state": "used" })
  const pending = instrument(Instruments.pendingRequests, pool)
  const wait = instrument(Instruments.waitTime, pool)
  const use = instrument(Instruments.useTime, pool)
  const timeouts = instrument(Instruments.timeouts, pool)
  const limits = [
    [instrument(Instruments.connectionMax, pool), max],
    [instrument(Instruments.idleMax, pool), max],
    [instrument(Instruments.idleMin, pool), min]
  ] as const
  // A metric is registered when it is first updated, and is to be there from the beginning, at zero.
  for (const add of [idle, used, pending, timeouts]) {
    add(0)
  }
  for (const [add, limit] of limits) {
    add(limit)
  }
  const changed = (add: (by: number) => void, by: number): void => {
    if (by !== 0) {
      add(by)
    }
  }
  let open = true
  return {
    changed: ({ free, size, waiting }) => {
      changed(idle, free)
      changed(used, size - free)
      changed(pending, waiting)
    },
    waited: (millis) => wait(millis / 1000),
    used: (millis) => use(millis / 1000),
    timedOut: () => timeouts(1),
    end: () => {
      if (open) {
        open = false
        for (const [add, limit] of limits) {
          add(-limit)
        }
      }
    }
  }
}
