/** `--scale`: how cost grows with concurrency, the size of values and the length of pipelines. */
import type { Panel } from "./chart.js"
import type { RowResult } from "./report.js"
import { getRow, pipelineRow, type Row } from "./rows.js"

export interface ScaleRow extends Row {
  readonly axis: "concurrency" | "size" | "length"
  readonly at: number
  readonly takers: ReadonlyArray<string>
}

const everybody = [
  "us",
  "us-shared",
  "node-redis",
  "node-redis+effect",
  "floor",
  "floor+effect",
  "runtime",
  "runtime-shared"
]
const few = ["us", "node-redis", "node-redis+effect", "floor"]

export const scaleRows: ReadonlyArray<ScaleRow> = [
  ...[1, 4, 16, 64, 256, 1_000, 4_000, 10_000].map(
    (at): ScaleRow => ({ ...getRow(`scale-concurrency-${at}`, 64, at), axis: "concurrency", at, takers: everybody })
  ),
  ...[1, 64, 1024, 16 * 1024, 256 * 1024, 1024 * 1024, 8 * 1024 * 1024, 50 * 1024 * 1024].map(
    (at): ScaleRow => ({ ...getRow(`scale-size-${at}`, at, 1), axis: "size", at, takers: few })
  ),
  ...[1, 10, 100, 1_000, 10_000, 100_000].map(
    (at): ScaleRow => ({ ...pipelineRow(`scale-pipeline-${at}`, at), axis: "length", at, takers: few })
  )
]

export interface ScaleResult extends RowResult {
  readonly axis: ScaleRow["axis"]
  readonly at: number
}

/** How much of what the Effect runtime could do at most a client does, at the same concurrency. */
const floorRatios = (results: ReadonlyArray<ScaleResult>, x: string): Panel => ({
  title: "throughput over that of the runtime's floor",
  x,
  lines: (
    [
      ["us", "runtime"],
      ["us-shared", "runtime-shared"],
      ["node-redis+effect", "runtime"],
      ["floor+effect", "runtime"]
    ] as const
  ).map(([name, floor]) => ({
    name,
    points: results.flatMap(({ at, figures }) => {
      const speedOf = (name: string) => figures.find(({ contestant }) => contestant === name)?.operationsPerSecond
      const own = speedOf(name)
      const least = speedOf(floor)
      return own === undefined || least === undefined ? [] : [[at, own / least] as const]
    })
  }))
})

const axes = [
  { axis: "concurrency", x: "GETs of 64 B at a time" },
  { axis: "size", x: "bytes of the value, one GET at a time" },
  { axis: "length", x: "GETs in a pipeline" }
] as const

export const scalePanels = (results: ReadonlyArray<ScaleResult>): ReadonlyArray<Panel> =>
  axes.flatMap(({ axis, x }): ReadonlyArray<Panel> => {
    const fitting = results.filter((result) => result.axis === axis)
    const names = [...new Set(fitting.flatMap(({ figures }) => figures.map(({ contestant }) => contestant)))]
    const panel = (title: string, of: (figure: RowResult["figures"][number], at: number) => number | undefined) => ({
      title,
      x,
      lines: names.map((name) => ({
        name,
        points: fitting.flatMap(({ at, figures }) => {
          const figure = figures.find(({ contestant }) => contestant === name)
          const value = figure === undefined ? undefined : of(figure, at)
          return value === undefined ? [] : [[at, value] as const]
        })
      }))
    })
    // A pipeline's operations are its commands, and a value's its bytes.
    const each = axis === "concurrency" ? () => 1 : (at: number) => at
    const thing = { concurrency: "operations", size: "bytes", length: "commands" }[axis]
    const scaled = (value: number | undefined, factor: number) => (value === undefined ? undefined : value * factor)
    return [
      panel(`${thing} per second`, (figure, at) => scaled(figure.operationsPerSecond, each(at))),
      axis === "size"
        ? panel("µs of processor per GET", (figure) => figure.cpuMicros)
        : panel(`µs of processor per ${thing.slice(0, -1)}`, (figure, at) => scaled(figure.cpuMicros, 1 / each(at))),
      ...(axis === "concurrency"
        ? [panel("event loop delay, p99, ms", (figure) => figure.delayP99), floorRatios(fitting, x)]
        : [])
    ]
  })
