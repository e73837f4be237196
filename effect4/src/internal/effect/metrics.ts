/** Metrics that plain callbacks update. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Metric from "effect/Metric"

/** A number that goes up and down. */
export interface Gauge {
  readonly change: (by: number) => void
}

const untagged = Context.empty()

/** A gauge of the process; gauges with the same name are one. It exists in snapshots from its first change on. */
export const gauge = (name: string, description: string): Gauge => {
  const metric = Metric.gauge(name, { description })
  return { change: (by) => metric.modifyUnsafe(by, untagged) }
}

/** How long something takes. */
export interface Timer {
  readonly record: (millis: number) => void
}

/** A timer of the process. */
export const timer = (name: string, description: string): Timer => {
  const metric = Metric.timer(name, { description })
  return { record: (millis) => metric.updateUnsafe(Duration.millis(millis), untagged) }
}
