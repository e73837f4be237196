/** `npm run bench -- --cluster`: our client of clusters beside others, on a local cluster of three primaries. */
import * as Effect from "effect/Effect"
import type { Cost } from "../costs.js"
import { checkGoals, type GoalResult, goalTable } from "../goals.js"
import { compete, type Entry, type Settings } from "../measure.js"
import { type RowResult, summarise, table } from "../report.js"
import { type Server, start } from "../servers.js"
import { contestants, single } from "./contestants.js"
import { clusterGoals } from "./goals.js"
import { clusterRows } from "./rows.js"
import { clientMemory, failover, moved, starting } from "./scenarios.js"
import { type Cluster, fillCluster, fillServer, startCluster } from "./servers.js"

export const clusterContestants: ReadonlyArray<string> = Object.keys(contestants)

/** Who takes part when nobody is named. */
export const usualContestants: ReadonlyArray<string> = clusterContestants.filter((name) => !name.endsWith("+effect"))

const costNames = ["client-memory", "start", "moved-1", "moved-16", "failover-manual", "failover-kill"] as const

export const clusterRowNames: ReadonlyArray<{ readonly name: string; readonly title: string }> = [
  ...clusterRows,
  ...costNames.map((name) => ({ name, title: "" }))
]

export interface ClusterRun {
  readonly server: string | undefined
  readonly settings: Settings
  readonly rows: ReadonlyArray<string>
  readonly entries: ReadonlyArray<Entry>
  readonly about: (server: Server) => object
  readonly say: (text: string) => void
  readonly json: (value: object) => void
  readonly print: (cost: Cost) => void
  readonly save: ((server: Server, found: object) => void) | undefined
}

interface Found {
  readonly rows: ReadonlyArray<RowResult>
  readonly costs: ReadonlyArray<Cost>
  readonly goals: ReadonlyArray<GoalResult>
}

export const runCluster = (run: ClusterRun): Promise<Found> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const { entries: all, json, print, rows, say, settings } = run
        const cluster = yield* startCluster(run.server, 0)
        const one = yield* start(run.server)
        yield* fillCluster(cluster)
        yield* fillServer(one)
        const about = run.about(cluster)
        json({ type: "machine", ...about })
        const entries = all.map((entry) => (entry.contestant === single ? { ...entry, server: one } : entry))
        const results: Array<RowResult> = []
        const costs: Array<Cost> = []
        const found = (): Found => ({ rows: results, costs, goals: checkGoals(clusterGoals, results) })
        for (const row of clusterRows.filter(({ name }) => rows.includes(name))) {
          const { concurrency, work } = row
          const result = summarise(
            row,
            yield* Effect.promise(() => compete(entries, { concurrency, work }, cluster, settings))
          )
          results.push(result)
          say(table(result))
          json({ type: "row", server: cluster.name, ...result })
          run.save?.(cluster, found())
        }
        let withReplicas: Cluster | undefined
        for (const name of costNames.filter((name) => rows.includes(name))) {
          if (name.startsWith("failover") && withReplicas === undefined) {
            withReplicas = yield* startCluster(run.server, 1)
            yield* fillCluster(withReplicas)
          }
          const cost = yield* Effect.promise(() => costOf(name, cluster, withReplicas ?? cluster, entries, settings))
          costs.push(cost)
          print(cost)
          json({ type: "cost", server: cluster.name, ...cost })
          run.save?.(cluster, found())
        }
        const { goals } = found()
        if (goals.length > 0) {
          say(goalTable(goals))
        }
        for (const goal of goals) {
          json({ type: "goal", server: cluster.name, ...goal })
        }
        return found()
      })
    )
  )

const costOf = (
  name: (typeof costNames)[number],
  cluster: Cluster,
  withReplicas: Cluster,
  entries: ReadonlyArray<Entry>,
  settings: Settings
): Promise<Cost> => {
  const { rounds } = settings
  switch (name) {
    case "client-memory":
      return clientMemory(cluster, entries)
    case "start":
      return starting(entries, settings)
    case "moved-1":
      return moved(cluster, entries, 1, 2 * rounds)
    case "moved-16":
      return moved(cluster, entries, 16, 2 * rounds)
    case "failover-manual":
      return failover(withReplicas, entries, "manual", rounds)
    case "failover-kill":
      return failover(withReplicas, entries, "kill", rounds)
  }
}
