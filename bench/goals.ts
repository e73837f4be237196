/** The goals, and whether they are reached. */
import type { Figure, RowResult } from "./report.js"

export interface Goal {
  readonly rows: ReadonlyArray<string>
  readonly against: ReadonlyArray<string>
  readonly least: number
  /** Who is compared, when it is not `us`. */
  readonly who?: string
  /** What the goal is of: throughput, when nothing is said. */
  readonly by?: "cpu"
}

const bare = ["node-redis"]
const inEffect = ["node-redis+effect"]
const defaults = ["node-redis-default+effect", "ioredis+effect", "iovalkey+effect", "glide+effect"]

const three = (rows: ReadonlyArray<string>, first: number, second: number, third: number): ReadonlyArray<Goal> => [
  { rows, against: bare, least: first },
  { rows, against: inEffect, least: second },
  { rows, against: defaults, least: third }
]

const ofEffect4 = (against: ReadonlyArray<string>, rows: ReadonlyArray<string>, least: number): ReadonlyArray<Goal> => [
  { rows, against, least, who: "us-effect4" }
]

const goals: ReadonlyArray<Goal> = [
  ...three(["get-1", "set-1", "get-16", "set-16"], 1, 1.1, 1.2),
  ...three(["get-100", "set-100"], 1.1, 1.35, 3),
  ...three(["get-1000", "set-1000"], 1, 1.85, 3),
  { rows: ["get-1000", "set-1000"], against: bare, least: 1.2, who: "us-shared" },
  ...three(["pipeline-100", "mget-100"], 1.8, 1.8, 3),
  ...three(["lrange-1000", "hgetall-100", "xreadgroup-100"], 1.8, 1.8, 3),
  ...three(["get-1mb", "get-50mb"], 1, 1, 1),
  {
    rows: ["limiter-fixed-100", "limiter-denied-100"],
    against: ["rate-limiter-flexible", "upstash-ratelimit"],
    least: 1,
    by: "cpu"
  },
  { rows: ["limiter-bucket-100", "limiter-sliding-100"], against: ["upstash-ratelimit"], least: 1, by: "cpu" },
  {
    rows: ["limiter-fixed-1", "limiter-bucket-1"],
    against: ["rate-limiter-flexible+effect", "upstash-ratelimit+effect"],
    least: 1
  },
  ...ofEffect4(bare, ["get-1", "set-1", "get-16", "set-16", "get-1000", "set-1000"], 1),
  ...ofEffect4(bare, ["get-100", "set-100"], 1.4),
  ...ofEffect4(["us"], ["get-1000", "set-1000"], 2),
  ...ofEffect4(["us"], ["pipeline-100", "mget-100", "lrange-1000", "hgetall-100", "get-1mb", "get-50mb"], 1),
  ...ofEffect4(["effect4-node-redis"], ["get-16", "set-16"], 3),
  ...ofEffect4(["effect4-node-redis"], ["get-100", "set-100", "get-1000", "set-1000"], 8)
]

export interface GoalResult {
  readonly row: string
  readonly who: string
  readonly against: string
  readonly goal: string
  readonly ratio: number
  /** The same by processor time, which other work on the machine disturbs less. */
  readonly cpuRatio: number
  readonly met: boolean
  /** What the same ratio would be for the floors. */
  readonly floors: Readonly<Record<string, number>>
}

const floors = ["floor", "floor+effect", "floor+effect4", "runtime", "runtime-shared", "runtime-effect4"]

const figureOf = (results: ReadonlyArray<RowResult>, row: string, contestant: string): Figure | undefined =>
  results.find(({ name }) => name === row)?.figures.find((figure) => figure.contestant === contestant)

export const checkGoals = (
  goals: ReadonlyArray<Goal>,
  results: ReadonlyArray<RowResult>
): ReadonlyArray<GoalResult> => {
  const checked: Array<GoalResult> = []
  for (const { against, by, least, rows, who = "us" } of goals) {
    for (const row of rows) {
      const ours = figureOf(results, row, who)
      for (const name of against) {
        const theirs = figureOf(results, row, name)
        if (ours?.ratio === undefined || theirs?.ratio === undefined) {
          continue
        }
        // Both are relative to `us`, round by round.
        const ratio = theirs.ratio / ours.ratio
        const cpuRatio = (theirs.cpuRatio ?? Number.NaN) / (ours.cpuRatio ?? Number.NaN)
        const { ratio: theirRatio } = theirs
        const ofFloor = (floor: string) => theirRatio / (figureOf(results, row, floor)?.ratio ?? Number.NaN)
        checked.push({
          row,
          who,
          against: name,
          goal: `≥ ${least}${by === "cpu" ? " CPU" : ""}`,
          ratio,
          cpuRatio,
          met: (by === "cpu" ? cpuRatio : ratio) >= least,
          floors: Object.fromEntries(
            floors.map((floor): [string, number] => [floor, ofFloor(floor)]).filter(([, at]) => !Number.isNaN(at))
          )
        })
      }
    }
  }
  return checked
}

export const check = (results: ReadonlyArray<RowResult>): ReadonlyArray<GoalResult> => {
  const checked = [...checkGoals(goals, results)]
  const rival = figureOf(results, "get-1", "ioredis")
  if (rival?.p50Ratio !== undefined) {
    checked.push({
      row: "get-1, p50",
      who: "us",
      against: "ioredis",
      goal: "≤ 1.05",
      ratio: rival.p50Ratio,
      cpuRatio: Number.NaN,
      met: rival.p50Ratio <= 1.05,
      floors: {}
    })
  }
  for (const { figures, name } of results.filter(({ name }) => name.startsWith("decode-"))) {
    const rivals = figures.filter(({ contestant, ratio }) => contestant !== "us" && ratio !== undefined)
    // These rows wait for no server, so they are compared by processor time, which other work on the machine does not change.
    const fastest = rivals.sort((a, b) => (a.cpuRatio ?? 0) - (b.cpuRatio ?? 0))[0]
    if (fastest?.ratio !== undefined) {
      checked.push({
        row: name,
        who: "us",
        against: fastest.contestant,
        goal: "≥ 1 CPU",
        ratio: fastest.ratio,
        cpuRatio: fastest.cpuRatio ?? Number.NaN,
        met: (fastest.cpuRatio ?? 0) >= 1,
        floors: {}
      })
    }
  }
  return checked
}

export const goalTable = (results: ReadonlyArray<GoalResult>): string =>
  [
    `\ngoals: ${results.filter(({ met }) => met).length} of the ${results.length} that this run compares are met`,
    ...results.map(
      ({ against, cpuRatio, floors, goal, met, ratio, row, who }) =>
        `${met ? "met    " : "NOT MET"}  ${row.padEnd(20)}${who.padEnd(11)}against ${against.padEnd(28)}${goal.padEnd(11)}` +
        `${ratio.toFixed(2).padStart(7)}${Number.isNaN(cpuRatio) ? "" : `   by CPU ${cpuRatio.toFixed(2)}`}${
          met
            ? ""
            : Object.entries(floors)
                .map(([name, at]) => `   ${name} ${at.toFixed(2)}`)
                .join("")
        }`
    )
  ].join("\n")
