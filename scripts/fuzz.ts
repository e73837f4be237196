/**
 * `npm run fuzz -- [--seconds N] [--interruptions N] [--seed S] [--round R] [--tasks N] [--trace]`: fibers that are
 * interrupted at random points, on the shared connection, the pool and connections of their own, over real servers, and
 * what became of them (docs/fuzz.md). `--round` runs one round of a seed again. `npm run fuzz -- --hostile [--streams N]
 * [--cases N]` throws bytes at the parser and at live connections instead. `npm run fuzz -- --cluster [--fibers N]
 * [--server NAME]` disturbs a cluster, and `--sentinel` in its place a master that sentinels watch. Exits 1 when anything was not as it must be.
 */
import "./fuzz/watch.js"

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Connection } from "effect-redis-client"
import { unlogged } from "../test/support/fibers.js"
import { makeServer, realServers } from "../test/support/servers.js"
import * as Cluster from "./fuzz/cluster.js"
import * as Hostile from "./fuzz/hostile.js"
import { faulty, splitting } from "./fuzz/proxy.js"
import { seedFrom } from "./fuzz/random.js"
import { clean, describe, emptyTally, type RoundOptions, run, type Tally, type Target } from "./fuzz/round.js"
import * as Sentinel from "./fuzz/sentinel.js"
import { observe } from "./fuzz/task.js"
import { trace } from "./fuzz/watch.js"

const given = process.argv.slice(2)
const option = (name: string): string | undefined => {
  const at = given.indexOf(`--${name}`)
  return at === -1 ? undefined : given[at + 1]
}
const flag = (name: string): boolean => given.includes(`--${name}`)

const seed = seedFrom(option("seed"))
const seconds = Number(option("seconds") ?? (option("interruptions") === undefined ? 60 : 86_400))
const wanted = Number(option("interruptions") ?? Number.POSITIVE_INFINITY)
const tasks = Number(option("tasks") ?? 4_000)
const only = option("round")

/** Those of the two products that are tested most; others where these are not there. */
const preferred = realServers.filter(({ name }) => name.startsWith("redis-8.") || name === "valkey-9.1")
const tested = preferred.length > 0 ? preferred : realServers

const n = (count: number): string => count.toLocaleString("en-US").replaceAll(",", " ")

const line = (tally: Tally, millis: number): string =>
  `fuzz: seed ${seed}, ${n(tally.rounds)} rounds in ${Math.round(millis / 1000)} s, ${n(tally.tasks)} tasks, ` +
  `${n(tally.interrupted)} interruptions, ${n(tally.answered)} right answers, ${n(tally.failed)} failures with a reason, ` +
  `${n(tally.kills)} connections killed; ${n(tally.wrong.length)} wrong answers, ${n(tally.unsettled.length)} unsettled, ` +
  `leaked: ${n(tally.sockets)} sockets, ${n(tally.timers.length)} timers, ${n(tally.fibers.length)} fibers`

/** Either proxy; which one is the round's decision. */
const proxy: RoundOptions["proxy"] = (target, random, harsh) =>
  random.chance(0.6) ? splitting(target, random) : faulty(target, random, harsh)

const main = Effect.gen(function* () {
  const targets: Array<Target> = []
  for (const server of tested) {
    const { host, port } = yield* makeServer(server)
    // It lives through all rounds, so it must set no timers in them.
    const observer = yield* Connection.make({
      host,
      port,
      replyTimeout: "1 minute",
      pingInterval: Duration.infinity
    })
    targets.push({ name: server.name, host, port, observer })
  }
  const tally = emptyTally()
  let unexpected = 0
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (error: unknown) => {
      unexpected++
      tally.wrong.push(`${event}: ${error instanceof Error ? error.stack : String(error)}`)
    })
  }
  const started = Date.now()
  let told = started
  let interrupted = false
  process.once("SIGINT", () => {
    interrupted = true
  })
  for (let round = Number(only ?? 0); ; round++) {
    const options: RoundOptions = { seed, round, targets, tasks, proxy }
    const before = Date.now()
    yield* run(options, tally)
    if (flag("verbose")) {
      console.log(`${describe(options)}: ${Date.now() - before} ms`)
    }
    const now = Date.now()
    if (now - told > 15_000) {
      told = now
      console.log(line(tally, now - started))
    }
    if (!clean(tally)) {
      console.log(
        `${describe(options)} is not clean. Replay: npm run fuzz -- --seed ${seed} --round ${round} --tasks ${tasks}`
      )
      break
    }
    const done = now - started > seconds * 1000 || tally.interrupted >= wanted
    if (only !== undefined || done || interrupted) {
      break
    }
  }
  console.log("interruptions by where they met their fiber:")
  for (const [point, count] of Object.entries(tally.met)) {
    console.log(`  ${point.padEnd(18)}${n(count).padStart(12)}`)
  }
  console.log("interruptions by what the fiber did:")
  for (const [kind, count] of Object.entries(tally.byKind)) {
    console.log(`  ${kind.padEnd(22)}${n(count).padStart(12)}`)
  }
  console.log(`  (${n(tally.tooLate)} more came too late)`)
  for (const [what, list] of [
    ["wrong", tally.wrong],
    ["unsettled", tally.unsettled],
    ["timer", tally.timers],
    ["fiber", tally.fibers]
  ] as const) {
    for (const item of list.slice(0, 20)) {
      console.log(`${what}: ${item}`)
    }
  }
  console.log(line(tally, Date.now() - started))
  return clean(tally) && unexpected === 0
})

if (flag("hostile")) {
  const fine = await Effect.runPromise(
    Hostile.run({ seed, streams: Number(option("streams") ?? 1_000_000), cases: Number(option("cases") ?? 20_000) })
  )
  process.exitCode = fine ? 0 : 1
} else if ((flag("cluster") || flag("sentinel")) && tested.length > 0) {
  const fibers = Number(option("fibers") ?? 100)
  const only = option("server")
  const servers = only === undefined ? tested : realServers.filter(({ name }) => name === only)
  const fuzz = (flag("cluster") ? Cluster : Sentinel).run({ seed, seconds, fibers, servers })
  process.exitCode = (await Effect.runPromise(unlogged(fuzz))) ? 0 : 1
} else if (tested.length === 0) {
  console.log("fuzz: not run, no real server was found. `npm run servers` fetches them.")
} else {
  console.log(`fuzz: seed ${seed}, servers ${tested.map(({ name }) => name).join(", ")}`)
  if (flag("trace")) {
    trace()
  }
  observe()
  // The fuzzer kills connections and interrupts callers on purpose, so the warnings about that are switched off.
  const fine = await Effect.runPromise(unlogged(Effect.scoped(main)))
  process.exitCode = fine ? 0 : 1
}
