/**
 * `npm run bench`: this client beside what one would use instead, on the same work, in one run. How it measures is said
 * in docs/performance.md.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { Redis } from "effect-redis-client"
import { packed } from "../scripts/packed.js"
import { build, buildAt, buildEffect4, home, install, nodeOfEffect4, root } from "./build.js"
import { bars, panels } from "./chart.js"
import { clusterContestants, clusterRowNames, runCluster, usualContestants } from "./cluster/main.js"
import { contestants, inEffect4, specialists } from "./contestants.js"
import { type Cost, costNames, importing, memory, soak, types } from "./costs.js"
import { check, goalTable } from "./goals.js"
import { compete, type Entry, runtime } from "./measure.js"
import { type RowResult, short, summarise, table } from "./report.js"
import { type Row, rows } from "./rows.js"
import { type ScaleResult, scalePanels, scaleRows } from "./scale.js"
import { named, pins, type Server, start } from "./servers.js"

const help = `npm run bench -- [options]      some minutes: what clients do, by those most asked for, in short rounds
  --full                all rows, everybody, long rounds; saved: half an hour
  --row NAME,NAME…      only these rows (--list shows them; "decode-" means all that begin so)
  --only NAME,NAME…     only these contestants
  --server NAME,NAME…   redis, valkey-9.1 (folders of .servers/), a program, a redis:// URL, or all
  --at REF              ourselves as we were at a commit, instead of the working tree
  --effect4             the edition for Effect 4 beside this one and the official layer (first: npm run effect4)
  --base REF            also ourselves as we were at a commit, as us@REF
  --scale               how cost grows, instead of the rows
  --cluster             a cluster of three primaries and the clients of clusters, with rows and contestants of their own
  --rounds N --millis N --warmup N
  --json                lines of JSON instead of tables
  --save                writes results and chart into bench/results/; a full run does so by itself
  --profile DIR         writes a CPU profile of each measured process; read them with npx tsx bench/profile.ts DIR
  --list`

const { values: options } = parseArgs({
  options: {
    row: { type: "string" },
    only: { type: "string" },
    server: { type: "string" },
    at: { type: "string" },
    base: { type: "string" },
    effect4: { type: "boolean", default: false },
    scale: { type: "boolean", default: false },
    cluster: { type: "boolean", default: false },
    rounds: { type: "string" },
    millis: { type: "string" },
    warmup: { type: "string" },
    full: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    save: { type: "boolean", default: false },
    profile: { type: "string" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const wanted = (text: string | undefined): ReadonlyArray<string> | undefined =>
  text?.split(",").filter((name) => name !== "")

const chosen = <A extends { readonly name: string }>(
  all: ReadonlyArray<A>,
  names: ReadonlyArray<string> | undefined,
  what: string
): ReadonlyArray<A> => {
  const fits = (name: string, one: string) => one === name || (name.endsWith("-") && one.startsWith(name))
  const missing = names?.find((name) => !all.some((one) => fits(name, one.name)))
  if (missing !== undefined) {
    throw new Error(`no ${what} ${missing}; there are: ${all.map(({ name }) => name).join(" ")}`)
  }
  return names === undefined ? all : all.filter((one) => names.some((name) => fits(name, one.name)))
}

const settings = {
  rounds: Number(options.rounds ?? (options.full ? 5 : 3)),
  millis: Number(options.millis ?? (options.full ? 120 : 60)),
  warmup: Number(options.warmup ?? 500),
  // With ten thousand fibers a round of a hundred for each takes seconds, and shorter ones show the making of fibers.
  atMost: options.scale ? 100 : 5,
  latency: !options.scale,
  delay: options.scale,
  profile: options.profile === undefined ? undefined : path.resolve(options.profile)
}

const say = (text: string): void => {
  if (!options.json) {
    console.log(text)
  }
}

const json = (value: object): void => {
  if (options.json) {
    console.log(JSON.stringify(value))
  }
}

const versionOf = (file: string): string => JSON.parse(fs.readFileSync(file, "utf8")).version

/** What of ourselves is measured. */
const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim()
  try {
    const changed = options.at === undefined && git("status", "--porcelain", "src") !== ""
    return `${git("rev-parse", "--short", options.at ?? "HEAD")}${changed ? " with changes" : ""}`
  } catch {
    return "no commit"
  }
}

const machine = (server: Server) => {
  const processors = os.cpus()
  return {
    server: server.name,
    node: runtime.version,
    processor: processors[0]?.model.trim() ?? "unknown",
    processors: processors.length,
    pinned: pins === undefined ? "not pinned" : `server on ${pins.server}, clients on ${pins.client}`,
    load: os.loadavg()[0]?.toFixed(1) ?? "",
    date: new Date().toISOString().slice(0, 16),
    versions: {
      "effect-redis-client": `${versionOf(path.join(root, "package.json"))} (${commit()})`,
      effect: versionOf(path.join(root, "node_modules/effect/package.json")),
      ...Object.fromEntries(
        [
          "redis",
          "ioredis",
          "iovalkey",
          "@valkey/valkey-glide",
          "redis-parser",
          "rate-limiter-flexible",
          "@upstash/ratelimit"
        ].map((name) => [name, versionOf(path.join(home, "node_modules", name, "package.json"))])
      )
    }
  }
}

type Machine = ReturnType<typeof machine>

const footnote = ({ load, node, pinned, processor, processors, server, versions, date }: Machine): string =>
  `${server}, Node ${node}, ${processors} × ${processor} (${pinned}); load ${load} at the start, ${date}. ` +
  Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ")

const seed = (server: Server, row: Row): Promise<unknown> =>
  Effect.runPromise(
    Effect.forEach(row.seed, ([name = "", ...args]) => Redis.execute(name, ...args), { discard: true }).pipe(
      Effect.provide(Redis.layer({ host: server.host, port: server.port }))
    )
  )

const measure = async (server: Server, row: Row, entries: ReadonlyArray<Entry>): Promise<RowResult> => {
  const { concurrency, takers, work } = row
  await seed(server, row)
  const taking = entries.filter(({ contestant }) =>
    takers === undefined ? !specialists.has(contestant) : takers.includes(contestant)
  )
  const result = summarise(row, await compete(taking, { concurrency, work }, server, settings))
  say(table(result))
  json({ type: "row", server: server.name, ...result })
  return result
}

const printCost = ({ lines, name, title }: Cost): void => {
  say(`\n${name}: ${title}`)
  for (const { figures, who } of lines) {
    const shown = Object.entries(figures).map(
      ([name, value]) => `${name} ${typeof value === "number" ? short(value) : value}`
    )
    say(`${who.padEnd(28)}${shown.join("   ")}`)
  }
}

/** What is not measured in rounds. */
const measureCost = async (name: string, server: Server, entries: ReadonlyArray<Entry>): Promise<Cost> => {
  const clients = entries.filter(({ contestant }) => !/floor|runtime/.test(contestant) && !specialists.has(contestant))
  const [first] = entries
  switch (name) {
    case "types":
      return types((await packed()).consumer)
    case "memory":
      // What a native client holds is not in the engine's heap.
      return memory(
        clients.filter(({ contestant }) => !contestant.startsWith("glide")),
        server
      )
    case "soak":
      return soak(
        clients.filter(({ contestant }) => options.only !== undefined || /^(us|node-redis)$/.test(contestant)),
        server
      )
    default:
      return importing(first?.folder ?? "", options.full ? 9 : 3)
  }
}

const save = (name: string, extension: string, text: string): void => {
  const folder = path.join(home, "results")
  fs.mkdirSync(folder, { recursive: true })
  const file = path.join(folder, `${name}.${extension}`)
  fs.writeFileSync(file, text)
}

const fileName = (server: Server): string => server.name.toLowerCase().replace(/[^a-z0-9]+/g, "-")

const shownInBars = [
  ["us", "effect-redis-client"],
  ["us-shared", "… with the shared scheduler"],
  ["node-redis", "node-redis, timeout off, bare"],
  ["node-redis+effect", "node-redis, timeout off, in Effect"],
  ["node-redis-default+effect", "node-redis, default, in Effect"],
  ["ioredis", "ioredis, bare"],
  ["ioredis+effect", "ioredis, in Effect"],
  ["glide+effect", "valkey-glide, in Effect"],
  ["floor+effect", "a bare socket in Effect"]
] as const

/** Who takes part when nobody is named. The others are variants of these, with their own defaults or inside Effect. */
const mostAskedFor = [
  "us",
  "us-shared",
  "node-redis",
  "node-redis+effect",
  "node-redis-default+effect",
  "ioredis",
  "ioredis+effect",
  ...specialists,
  "floor",
  "runtime"
]

/** Who takes part in `--effect4`. */
const ofBothEditions = ["us", "node-redis", ...Object.keys(inEffect4)]

/** The contestants of the edition for Effect 4. It is made where they are asked for, and all run on its Node then. */
const entriesOfEffect4 = (): ReadonlyArray<Entry> => {
  if (!options.effect4 && wanted(options.only)?.some((name) => name in inEffect4) !== true) {
    return []
  }
  const folder = buildEffect4()
  runtime.node = nodeOfEffect4()
  runtime.version = execFileSync(runtime.node, ["-p", "process.versions.node"], { encoding: "utf8" }).trim()
  return Object.entries(inEffect4).map(([name, contestant]) => ({ name, contestant, folder }))
}

const run = async (server: Server): Promise<void> => {
  const folder = options.at === undefined ? build() : buildAt(options.at)
  const ofEffect4 = entriesOfEffect4()
  const entries: ReadonlyArray<Entry> = chosen(
    [
      ...Object.keys(contestants)
        .filter((name) => !(name in inEffect4))
        .map((name) => ({ name, contestant: name, folder })),
      ...ofEffect4,
      ...(options.base === undefined
        ? []
        : [{ name: `us@${options.base}`, contestant: "us", folder: buildAt(options.base) }])
    ],
    wanted(options.only) ??
      (options.effect4
        ? ofBothEditions
        : options.full || options.scale
          ? undefined
          : [...mostAskedFor, ...(options.base === undefined ? [] : [`us@${options.base}`])]),
    "contestant"
  )
  const about = machine(server)
  say(footnote(about))
  json({ type: "machine", ...about })
  const saved = options.save || (options.full && options.row === undefined && options.only === undefined)
  if (options.scale) {
    const results: Array<ScaleResult> = []
    for (const row of chosen(scaleRows, wanted(options.row), "row")) {
      const { at, axis } = row
      results.push({ ...(await measure(server, row, entries)), axis, at })
    }
    if (saved) {
      const name = `scale-${fileName(server)}`
      save(name, "json", `${JSON.stringify({ machine: about, settings, rows: results }, null, 1)}\n`)
      save(name, "svg", panels(scalePanels(results), "How cost grows", footnote(about)))
    }
    return
  }
  const all = chosen<{ readonly name: string; readonly row?: Row }>(
    [...rows.map((row) => ({ name: row.name, row })), ...costNames.map((name) => ({ name }))],
    wanted(options.row) ??
      (options.full ? undefined : rows.map(({ name }) => name).filter((name) => !/^(?:de|en)code-/.test(name))),
    "row"
  )
  const results: Array<RowResult> = []
  const costs: Array<Cost> = []
  const name = fileName(server)
  for (const { name: what, row } of all) {
    if (row !== undefined) {
      results.push(await measure(server, row, entries))
    } else {
      const cost = await measureCost(what, server, entries)
      costs.push(cost)
      printCost(cost)
      json({ type: "cost", server: server.name, ...cost })
    }
    if (saved) {
      // After each: a whole run takes long, and what was measured is not lost when it is stopped.
      const found = { machine: about, settings, rows: results, costs, goals: check(results) }
      save(name, "json", `${JSON.stringify(found, null, 1)}\n`)
      const title = "Throughput, relative to node-redis with its command timeout off (1.0)"
      const inChart = results.filter(({ messages }) => messages === undefined)
      save(name, "svg", bars(inChart, shownInBars, "node-redis", title, footnote(about)))
    }
  }
  const goals = check(results)
  if (goals.length > 0) {
    say(goalTable(goals))
    for (const goal of goals) {
      json({ type: "goal", server: server.name, ...goal })
    }
  }
}

const onCluster = async (given: string | undefined): Promise<void> => {
  const folder = options.at === undefined ? build() : buildAt(options.at)
  const base = `us@${options.base}`
  const entries: ReadonlyArray<Entry> = [
    ...clusterContestants.map((name) => ({ name, contestant: name, folder })),
    ...(options.base === undefined ? [] : [{ name: base, contestant: "us", folder: buildAt(options.base) }])
  ]
  await runCluster({
    server: given,
    settings,
    rows: chosen(clusterRowNames, wanted(options.row), "row").map(({ name }) => name),
    entries: chosen(
      entries,
      wanted(options.only) ?? [...usualContestants, ...(options.base === undefined ? [] : [base])],
      "contestant"
    ),
    about: (server) => {
      const about = machine(server)
      say(footnote(about))
      return about
    },
    say,
    json,
    print: printCost,
    save:
      options.save || (options.full && options.row === undefined && options.only === undefined)
        ? (server, found) => {
            const text = JSON.stringify({ machine: machine(server), settings, ...found }, null, 1)
            save(`cluster-${fileName(server)}`, "json", `${text}\n`)
          }
        : undefined
  })
}

if (options.help) {
  console.log(help)
} else if (options.list) {
  const shown = options.cluster ? clusterRowNames : options.scale ? scaleRows : rows
  for (const { name, title } of shown) {
    console.log(`${name.padEnd(22)} ${title}`)
  }
  const costs = options.cluster ? "" : `${costNames.join(" ")}\n`
  console.log(`${costs}\ncontestants: ${(options.cluster ? clusterContestants : Object.keys(contestants)).join(" ")}`)
} else if (options.cluster) {
  install()
  for (const given of named(options.server)) {
    await onCluster(given)
  }
} else {
  install()
  for (const given of named(options.server)) {
    await Effect.runPromise(Effect.scoped(Effect.flatMap(start(given), (server) => Effect.promise(() => run(server)))))
  }
}
