import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { gauge, timer } from "../../src/internal/effect/metrics.js"
import { metrics } from "../support/effect.js"

let runs = 0

it.effect("callbacks change gauges and record times, which snapshots of Effect show", () =>
  Effect.gen(function* () {
    // Metrics stay in the process.
    const run = ++runs
    const size = gauge(`test_metrics_size_${run}`, "A size")
    size.change(0)
    size.change(3)
    gauge(`test_metrics_size_${run}`, "A size").change(-1)
    expect(yield* Metric.value(Metric.gauge(`test_metrics_size_${run}`, { description: "A size" }))).toMatchObject({
      value: 2
    })
    const time = timer(`test_metrics_time_${run}`, "A time")
    time.record(5)
    time.record(0.5)
    const shown = (yield* metrics).find(({ name }) => name === `test_metrics_time_${run}`)
    expect(shown?.state).toMatchObject({ count: 2, sum: 5.5 })
  })
)
