/** Metrics that plain callbacks update, each made once for its labels. */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

export interface Instrument {
  readonly name: string
  /** `upDown`: a counter that also goes down. */
  readonly kind: "counter" | "upDown" | "histogram"
  readonly unit: string
  readonly description: string
}

export type Labels = Readonly<Record<string, string>>

/** The upper bounds of histograms, in seconds, as the conventions for databases have them. */
const boundaries = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]

const nowhere = Context.empty()

/**
 * How to add to a counter, or to record a value of a histogram. It is made at its first update, and is in snapshots from then
 * on.
 */
export const instrument = (of: Instrument, labels: Labels): ((value: number) => void) => {
  let made: ReturnType<typeof make> | undefined
  return (value) => {
    made ??= make(of, labels)
    made.updateUnsafe(value, nowhere)
  }
}

const make = ({ description, kind, name, unit }: Instrument, labels: Labels) => {
  const attributes = { ...labels, unit }
  return kind === "histogram"
    ? Metric.histogram(name, { description, attributes, boundaries })
    : Metric.counter(name, { description, attributes, incremental: kind === "counter" })
}
