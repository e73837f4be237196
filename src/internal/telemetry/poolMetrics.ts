/**
 * The metrics of pools: `redis_pool_size`, `redis_pool_free`, `redis_pool_waiting` (gauges over all pools of the process
 * together) and `redis_pool_acquire` (a timer). They are an observer like any other, and always there.
 */
import * as Duration from "effect/Duration"
import * as Metric from "effect/Metric"
import type { PoolChange } from "./observer.js"

const size = Metric.gauge("redis_pool_size", { description: "Connections of Redis pools" })
const free = Metric.gauge("redis_pool_free", { description: "Connections of Redis pools that nobody holds" })
const waiting = Metric.gauge("redis_pool_waiting", { description: "Fibers that wait for a connection of a Redis pool" })
const acquireTime = Metric.timer("redis_pool_acquire", "How long acquiring a connection of a Redis pool took")

const change = (gauge: Metric.Metric.Gauge<number>, by: number): void => {
  if (by !== 0) {
    gauge.unsafeModify(by, [])
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
    gauge.unsafeModify(0, [])
  }
  return {
    lease: ({ waited }) => {
      acquireTime.unsafeUpdate(Duration.millis(waited), [])
    },
    pool: (now) => {
      change(size, now.size - last.size)
      change(free, now.free - last.free)
      change(waiting, now.waiting - last.waiting)
      last = now
    }
  }
}
