import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { instrument } from "../../src/internal/effect/metrics.js"
import { metrics } from "../support/effect.js"

let runs = 0

it.effect("callbacks add to counters and record values, each under its labels, which snapshots of Effect show", () =>
  Effect.gen(function* () {
    // Metrics stay in the process.
    const name = `test.metrics.${++runs}`
    const upDown = { name: `${name}.open`, kind: "upDown", unit: "{thing}", description: "Open things" } as const
    const open = instrument(upDown, { kind: "a" })
    open(3)
    instrument(upDown, { kind: "a" })(-1)
    instrument(upDown, { kind: "b" })(7)
    const time = instrument({ name: `${name}.time`, kind: "histogram", unit: "s", description: "A time" }, {})
    time(5)
    time(0.5)
    const shown = (yield* metrics).filter((metric) => metric.name.startsWith(`${name}.`))
    expect(shown.map((metric) => [metric.name, metric.tags, metric.state])).toEqual(
      expect.arrayContaining([
        [`${name}.open`, { kind: "a", unit: "{thing}" }, expect.objectContaining({ count: 2 })],
        [`${name}.open`, { kind: "b", unit: "{thing}" }, expect.objectContaining({ count: 7 })],
        [`${name}.time`, { unit: "s" }, expect.objectContaining({ count: 2, sum: 5.5 })]
      ])
    )
  })
)
