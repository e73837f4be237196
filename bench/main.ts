/**
 * `npm run bench`: this client beside what one would use instead, on the same work, in one run. How it measures is said
 * in docs/performance.md.
 */
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { Redis } from "effect-redis-client"
import { build, buildAt, install } from "./build.js"
import { contestants } from "./contestants.js"
import { compete, type Entry, type Outcome } from "./measure.js"
import { type Row, rows } from "./rows.js"
import { named, type Server, start } from "./servers.js"
import { cpuMicros, median, perSecond, ratio, spread } from "./stats.js"

const help = `npm run bench -- [options]
  --row NAME,NAME…      only these rows (--list shows them)
  --only NAME,NAME…     only these contestants
  --server NAME,NAME…   redis, valkey-9.1 (folders of .servers/), a program, a redis:// URL, or all
  --base REF            also ourselves as we were at a commit, as us@REF
  --rounds N --millis N --warmup N
  --quick               fewer and shorter rounds
  --json                lines of JSON instead of tables
  --flags "…"           for the measured processes: "--cpu-prof --cpu-prof-dir=/tmp/prof"
  --list`

const { values: options } = parseArgs({
  options: {
    row: { type: "string" },
    only: { type: "string" },
    server: { type: "string" },
    base: { type: "string" },
    rounds: { type: "string" },
    millis: { type: "string" },
    warmup: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    flags: { type: "string" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const list = (text: string | undefined): ReadonlyArray<string> | undefined =>
  text?.split(",").filter((name) => name !== "")

const chosen = <A extends { readonly name: string }>(
  all: ReadonlyArray<A>,
  names: string | undefined,
  what: string
) => {
  const wanted = list(names)
  const missing = wanted?.find((name) => !all.some((one) => one.name === name))
  if (missing !== undefined) {
    throw new Error(`no ${what} ${missing}; there are: ${all.map(({ name }) => name).join(" ")}`)
  }
  return wanted === undefined ? all : all.filter(({ name }) => wanted.includes(name))
}

const settings = {
  rounds: Number(options.rounds ?? (options.quick ? 3 : 5)),
  millis: Number(options.millis ?? (options.quick ? 60 : 150)),
  warmup: Number(options.warmup ?? (options.quick ? 250 : 500)),
  latency: true,
  delay: false,
  flags: options.flags?.split(" ").filter((flag) => flag !== "") ?? []
}

const seed = (server: Server, row: Row): Promise<unknown> =>
  Effect.runPromise(
    Effect.forEach(row.seed, ([name = "", ...args]) => Redis.execute(name, ...args), { discard: true }).pipe(
      Effect.provide(Redis.layer({ host: server.host, port: server.port }))
    )
  )

const number = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value.toPrecision(2)

const print = (row: Row, outcomes: ReadonlyArray<Outcome>): void => {
  const us = outcomes.find(({ entry }) => entry.name === "us")
  console.log(`\n${row.name}: ${row.title}`)
  console.log(
    `${"".padEnd(28)}${"ops/s".padStart(12)}${"±".padStart(6)}${"CPU µs".padStart(10)}${"p50 ms".padStart(10)}` +
      `${"p99 ms".padStart(10)}${"us : it".padStart(10)}`
  )
  for (const outcome of outcomes) {
    const { name } = outcome.entry
    if ("failure" in outcome) {
      console.log(`${name.padEnd(28)}${outcome.failure}`)
      continue
    }
    const { rounds } = outcome
    const speeds = rounds.map(perSecond)
    const ours = us !== undefined && "rounds" in us ? ratio(us.rounds, rounds, perSecond) : Number.NaN
    console.log(
      name.padEnd(28) +
        number(median(speeds)).padStart(12) +
        `${Math.round(spread(speeds) * 100)}%`.padStart(6) +
        number(median(rounds.map(cpuMicros))).padStart(10) +
        median(rounds.map(({ p50 = Number.NaN }) => p50))
          .toFixed(3)
          .padStart(10) +
        median(rounds.map(({ p99 = Number.NaN }) => p99))
          .toFixed(3)
          .padStart(10) +
        (Number.isNaN(ours) ? "" : ours.toFixed(2)).padStart(10)
    )
  }
}

const run = async (server: Server): Promise<void> => {
  const folder = build()
  const all: ReadonlyArray<Entry> = [
    ...Object.keys(contestants).map((name) => ({ name, contestant: name, folder })),
    ...(options.base === undefined
      ? []
      : [{ name: `us@${options.base}`, contestant: "us", folder: buildAt(options.base) }])
  ]
  const entries = chosen(all, options.only, "contestant")
  console.log(`${server.name}, Node ${process.versions.node}`)
  for (const row of chosen(rows, options.row, "row")) {
    await seed(server, row)
    const { concurrency, work } = row
    const outcomes = await compete(entries, { concurrency, work }, server, settings)
    print(row, outcomes)
  }
}

if (options.help) {
  console.log(help)
} else if (options.list) {
  for (const { name, title } of rows) {
    console.log(`${name.padEnd(20)} ${title}`)
  }
  console.log(`\ncontestants: ${Object.keys(contestants).join(" ")}`)
} else {
  install()
  for (const given of named(options.server)) {
    await Effect.runPromise(Effect.scoped(Effect.flatMap(start(given), (server) => Effect.promise(() => run(server)))))
  }
}
