/**
 * The metrics of pools: `redis_pool_size`, `redis_pool_free`, `redis_pool_waiting` (gauges over all pools of the process
 * together) and `redis_pool_acquire` (a timer). They are an observer like any other, and always there.
 */
import { type Gauge, gauge, timer } from "../effect/metrics.js"
import type { PoolChange } from "./observer.js"

const size = gauge("redis_pool_size", "Connections of Redis pools")
const free = gauge("redis_pool_free", "Connections of Redis pools that nobody holds")
const waiting = gauge("redis_pool_waiting", "Fibers that wait for a connection of a Redis pool")
const acquireTime = timer("redis_pool_acquire", "How long acquiring a connection of a Redis pool took")

/** Most reports change one gauge or none. */
const changed = (gauge: Gauge, by: number): void => {
  if (by !== 0) {
    gauge.change(by)
  }
}

/** An observer of one pool. The gauges are of all pools together, so each pool adds how much it changed. */
export const poolMetrics = (): {
  readonly lease: (lease: { readonly waited: number }) => void
  readonly pool: (change: PoolChange) => void
} => {
  let last: Omit<PoolChange, "server"> = { size: 0, free: 0, waiting: 0 }
  // A gauge is registered when it is first changed, and is to be there from the beginning, at zero.
  for (const gauge of [size, free, waiting]) {
    gauge.change(0)
  }
  return {
    lease: ({ waited }) => {
      acquireTime.record(waited)
    },
    pool: (now) => {
      changed(size, now.size - last.size)
      changed(free, now.free - last.free)
      changed(waiting, now.waiting - last.waiting)
      last = now
    }
  }
}
