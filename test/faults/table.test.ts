/**
 * The fault table: each fault in each phase of each kind of call, through a proxy in front of a real server. Each cell
 * ends in time with the right answer or error; no write is executed twice; the next call works; nothing is left open.
 */
import * as FileSystem from "node:fs"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { Connection } from "effect-redis-client"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { fiberTracker } from "../support/fibers.js"
import { makeServer, realServers } from "../support/servers.js"
import { type Apart, makeApart, Together } from "./apart.js"
import { type Cell, type Home, heldFor, nameOf, runCell, type Seen } from "./cell.js"
import { problemsOf } from "./expected.js"
import { cells } from "./table.js"

const homes: Array<Omit<Home, "apart" | "together">> = []
const scope = Effect.runSync(Scope.make())
let apart: Apart

beforeAll(async () => {
  if (realServers.length > 0) {
    apart = await Effect.runPromise(Scope.extend(makeApart, scope))
  }
  for (const server of realServers) {
    homes.push(
      await Effect.runPromise(
        Effect.gen(function* () {
          const plain = yield* makeServer(server)
          const tls = yield* makeServer(server, { tls: true })
          return {
            plain,
            tls,
            direct: yield* Connection.make({ host: plain.host, port: plain.port, replyTimeout: "1 minute" }),
            directTls: yield* Connection.make({ path: tls.socketPath, replyTimeout: "1 minute" })
          }
        }).pipe(Scope.extend(scope))
      )
    )
  }
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const only = process.env.FAULTS
const chosen = cells.filter((cell) => only === undefined || nameOf(cell).includes(only))
const byFault = new Map<string, Array<readonly [Cell, number]>>()
for (const [i, cell] of chosen.entries()) {
  byFault.set(cell.fault.name, [...(byFault.get(cell.fault.name) ?? []), [cell, i]])
}

/** The number of fibers, and of each kind of resource that keeps a process alive. */
const fibers = fiberTracker()
const resources = (): Map<string, number> => {
  const counts = new Map([["fibers", fibers.running().length]])
  for (const name of process.getActiveResourcesInfo()) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

describe.runIf(realServers.length === 0)("the fault table, without a real server", () => {
  it.skip("not run: npm run servers fetches them", () => {})
})

describe.runIf(realServers.length > 0)("the fault table", () => {
  let before = resources()
  beforeAll(() => {
    before = resources()
  })
  const counts = new Map<string, { readonly cells: number; readonly failures: number }>()
  /** A file to which the outcome of each cell is written. */
  const dump = process.env.FAULTS_DUMP
  for (const [name, row] of byFault) {
    it(`${name}: ${row.length} cells`, { timeout: 600_000 }, async () => {
      const failures: Array<string> = []
      const sockets = homes.flatMap(({ plain, tls }) => [plain.socketPath, tls.socketPath])
      const { kind, stops } = (row[0] as readonly [Cell, number])[0].fault
      const together = new Together(row.length, () => apart.hold(heldFor, sockets, kind !== "silent"))
      const run = ([cell, i]: readonly [Cell, number]) =>
        Effect.suspend(() => {
          const started = performance.now()
          const home = { ...(homes[i % homes.length] as (typeof homes)[number]), apart, together }
          return Effect.map(Effect.ensuring(runCell(home, cell, `cell${i}`), together.leave), (seen: Seen) => {
            const problems = problemsOf(cell, seen, realServers[i % homes.length] as (typeof realServers)[number])
            if (dump !== undefined) {
              const took = Math.round(performance.now() - started)
              const line = `${nameOf(cell)} => ${seen.outcome}, ${seen.executed} times, ${took} ms`
              FileSystem.appendFileSync(dump, `${[line, ...problems].join("; ").replaceAll("\n", " ")}\n`)
            }
            if (problems.length > 0) {
              failures.push(`${nameOf(cell)}: ${problems.join("; ")}`)
            }
          })
        })
      // A stopped server stops every cell that uses it, so these take turns.
      const turns =
        stops === undefined || stops === "client"
          ? row.map((cell) => [cell])
          : homes.map((_, home) => row.filter(([, i]) => i % homes.length === home))
      await Effect.runPromise(
        fibers.track(
          Effect.forEach(turns, (cells) => Effect.forEach(cells, run, { discard: true }), {
            // Cells that wait cost nothing, so more of them run at once.
            concurrency: stops === "client" ? "unbounded" : kind === "silent" ? 24 : 12,
            discard: true
          })
        )
      )
      counts.set(name, { cells: row.length, failures: failures.length })
      expect(failures.join("\n")).toBe("")
    })
  }
  it("leaves no socket, timer or fiber", async () => {
    const left = () => [...resources()].filter(([name, count]) => count > (before.get(name) ?? 0))
    for (const started = Date.now(); left().length > 0 && Date.now() - started < 20_000; ) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(left()).toEqual([])
  })

  afterAll(() => {
    let failures = 0
    for (const [name, count] of counts) {
      failures += count.failures
      console.log(`  ${name}: ${count.cells} cells, ${count.failures} failures`)
    }
    console.log(`fault table: ${chosen.length} cells, ${failures} failures`)
  })
})
