/**
 * Metrics that plain callbacks update, each made once for its labels: to tag a metric at each update costs thirty times as
 * much. `@effect/opentelemetry` takes the unit from the label `unit`, and exports a number that goes up and down as a counter
 * only where it is one. Effect 4 makes and updates metrics differently; used by the metrics of clients and pools.
 */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import type * as MetricKeyType from "effect/MetricKeyType"
import * as MetricLabel from "effect/MetricLabel"

export interface Instrument {
  readonly name: string
  /** `upDown`: a counter that also goes down. */
  readonly kind: "counter" | "upDown" | "histogram"
  readonly unit: string
  readonly description: string
}

export type Labels = Readonly<Record<string, string>>

/** The upper bounds of histograms, in seconds, as the conventions for databases have them. */
const bounds = MetricBoundaries.fromIterable([0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10])

/**
 * How to add to a counter, or to record a value of a histogram. It is made at its first update, and is in snapshots from then
 * on.
 */
export const instrument = (of: Instrument, labels: Labels): ((value: number) => void) => {
  let made: { readonly unsafeUpdate: (value: number, tags: []) => void } | undefined
  return (value) => {
    made ??= make(of, labels)
    made.unsafeUpdate(value, [])
  }
}

/** Both take a number. */
type Input = MetricKeyType.MetricKeyType<number, unknown>

const make = ({ description, kind, name, unit }: Instrument, labels: Labels) => {
  const key =
    kind === "histogram"
      ? MetricKey.histogram(name, bounds, description)
      : MetricKey.counter(name, { description, incremental: kind === "counter" })
  const tags = Object.entries({ ...labels, unit }).map(([key, value]) => MetricLabel.make(key, value))
  return Metric.fromMetricKey(MetricKey.taggedWithLabels(key as MetricKey.MetricKey<Input>, tags))
}
