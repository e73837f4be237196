/** From rounds to numbers, and from numbers to what is printed. */
import type { Outcome } from "./measure.js"
import type { Row } from "./rows.js"
import { cpuMicros, median, perSecond, ratio, spread } from "./stats.js"

/** What one contestant did in one row. */
export interface Figure {
  readonly contestant: string
  readonly failure?: string
  readonly operationsPerSecond?: number
  readonly spread?: number
  readonly cpuMicros?: number
  readonly p50?: number
  readonly p99?: number
  readonly delayP50?: number
  readonly delayP99?: number
  readonly delayMax?: number
  /** Ours over its: throughput. Above 1 we are ahead. */
  readonly ratio?: number
  /** Its over ours: processor time per operation. Above 1 we are ahead. */
  readonly cpuRatio?: number
  /** Ours over its: median latency. Below 1 we are ahead. */
  readonly p50Ratio?: number
}

export interface RowResult {
  readonly name: string
  readonly title: string
  readonly unit: string
  readonly concurrency: number
  readonly messages?: { readonly count: number; readonly bytes: number } | undefined
  readonly figures: ReadonlyArray<Figure>
}

export const summarise = (
  row: Pick<Row, "concurrency" | "messages" | "name" | "title" | "unit">,
  outcomes: ReadonlyArray<Outcome>
): RowResult => {
  const us = outcomes.find(({ entry }) => entry.name === "us")
  const ours = us !== undefined && "rounds" in us ? us.rounds : []
  const figures = outcomes.map((outcome): Figure => {
    const contestant = outcome.entry.name
    if ("failure" in outcome) {
      return { contestant, failure: outcome.failure }
    }
    const { rounds } = outcome
    const speeds = rounds.map(perSecond)
    const middle = (name: "p50" | "p99" | "delayP50" | "delayP99" | "delayMax") =>
      rounds[0]?.[name] === undefined ? {} : { [name]: median(rounds.map((round) => round[name] ?? Number.NaN)) }
    return {
      contestant,
      operationsPerSecond: median(speeds),
      spread: spread(speeds),
      cpuMicros: median(rounds.map(cpuMicros)),
      ...middle("p50"),
      ...middle("p99"),
      ...middle("delayP50"),
      ...middle("delayP99"),
      ...middle("delayMax"),
      ...(ours.length === 0
        ? {}
        : {
            ratio: ratio(ours, rounds, perSecond),
            cpuRatio: ratio(rounds, ours, cpuMicros),
            p50Ratio: ratio(ours, rounds, ({ p50 = Number.NaN }) => p50)
          })
    }
  })
  const { concurrency, messages, name, title, unit } = row
  return { name, title, unit, concurrency, messages, figures }
}

export const short = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toPrecision(2)

const cell = (text: string | undefined, width: number): string => (text ?? "").padStart(width)

const fixed = (value: number | undefined, digits: number): string | undefined =>
  value === undefined || Number.isNaN(value) ? undefined : value.toFixed(digits)

const latencies = [
  { title: "p50 ms", of: ({ p50 }: Figure) => p50 },
  { title: "p99 ms", of: ({ p99 }: Figure) => p99 }
]

/** How late the event loop's timers were. */
const delays = [
  { title: "loop p99", of: ({ delayP99 }: Figure) => delayP99 },
  { title: "loop max", of: ({ delayMax }: Figure) => delayMax }
]

export const table = ({ figures, messages, name, title }: RowResult): string => {
  const times = figures.some(({ delayP99 }) => delayP99 !== undefined) ? delays : latencies
  const head = [
    "".padEnd(28),
    ...(messages === undefined ? [cell("ops/s", 12)] : [cell("messages/s", 14), cell("MB/s", 9)]),
    cell("±", 6),
    cell(messages === undefined ? "CPU µs" : "ns each", 11),
    ...(messages === undefined ? times.map(({ title }) => cell(title, 10)) : []),
    cell("us : it", 10),
    cell("by CPU", 9)
  ].join("")
  const lines = figures.map((figure) => {
    const { contestant, cpuMicros = 0, failure, operationsPerSecond: speed = 0, spread = 0 } = figure
    if (failure !== undefined) {
      return `${contestant.padEnd(28)}${cell("", 4)}${failure}`
    }
    return [
      contestant.padEnd(28),
      ...(messages === undefined
        ? [cell(short(speed), 12)]
        : [cell(short(speed * messages.count), 14), cell(short((speed * messages.bytes) / 1e6), 9)]),
      cell(`${Math.round(spread * 100)}%`, 6),
      cell(short(messages === undefined ? cpuMicros : (cpuMicros * 1000) / messages.count), 11),
      ...(messages === undefined ? times.map(({ of }) => cell(fixed(of(figure), 3), 10)) : []),
      cell(fixed(figure.ratio, 2), 10),
      cell(fixed(figure.cpuRatio, 2), 9)
    ].join("")
  })
  return [`\n${name}: ${title}`, head, ...lines].join("\n")
}
