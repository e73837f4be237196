/** Costs other than operations per second: importing, type checking, memory. */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"
import { home } from "./build.js"
import { type Entry, measureOnce } from "./measure.js"
import { getRow, type Row } from "./rows.js"
import { pins, type Server } from "./servers.js"
import { median } from "./stats.js"

export interface Cost {
  readonly name: string
  readonly title: string
  readonly lines: ReadonlyArray<{ readonly who: string; readonly figures: Readonly<Record<string, number | string>> }>
}

export const costNames = ["import", "types", "memory", "soak"] as const

const rivals = ["redis", "ioredis", "iovalkey", "@valkey/valkey-glide"]

/** What our modules import of Effect, to be loaded before, as an Effect program has anyway. */
const effectModules = (folder: string): ReadonlyArray<string> => {
  const dist = path.join(folder, "node_modules/effect-redis-client/dist/esm")
  const names = new Set<string>()
  for (const file of fs.readdirSync(dist, { recursive: true, encoding: "utf8" })) {
    if (file.endsWith(".js")) {
      const source = fs.readFileSync(path.join(dist, file), "utf8")
      for (const [, name = ""] of source.matchAll(/^import\b[^;]*?["'](effect\/[^"']+)["']/gm)) {
        names.add(name)
      }
    }
  }
  return [...names]
}

/** Fresh processes, by turns; medians. */
export const importing = (folder: string, rounds: number): Cost => {
  const before = effectModules(folder)
  const fromHome = (name: string) => path.join(home, "node_modules", name)
  const subjects: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    ["us", [], ["effect-redis-client"]],
    ["us, after Effect", before, ["effect-redis-client"]],
    ["Effect", [], before],
    ...rivals.map((name) => [name, [], [fromHome(name)]] as const)
  ]
  const programs = subjects.map(([who, before, imported], i) => {
    const file = path.join(folder, `bench/import-${i}.mjs`)
    const all = (names: ReadonlyArray<string>) =>
      names
        .map((name) =>
          name.startsWith("/")
            ? `createRequire(${JSON.stringify(path.join(home, "package.json"))})(${JSON.stringify(name)})`
            : `await import(${JSON.stringify(name)})`
        )
        .join("\n")
    const program = `import { createRequire } from "node:module"
${all(before)}
const used = process.cpuUsage()
const started = performance.now()
${all(imported)}
const wall = performance.now() - started
const { system, user } = process.cpuUsage(used)
console.log(JSON.stringify({ wall, cpu: (system + user) / 1000 }))
process.exit(0)
`
    fs.writeFileSync(file, program)
    return { who, file, walls: [] as Array<number>, cpus: [] as Array<number> }
  })
  for (let i = 0; i <= rounds; i++) {
    for (const { cpus, file, walls } of programs) {
      const command = [process.execPath, file]
      const [program = "", ...args] = pins === undefined ? command : ["taskset", "-c", pins.client, ...command]
      const { cpu, wall } = JSON.parse(execFileSync(program, args, { encoding: "utf8" }))
      // The first reads from the disk.
      if (i > 0) {
        walls.push(wall)
        cpus.push(cpu)
      }
    }
  }
  return {
    name: "import",
    title: "importing, in a fresh process",
    lines: programs.map(({ cpus, walls, who }) => ({
      who,
      figures: { millis: median(walls), cpuMillis: median(cpus) }
    }))
  }
}

const typePrograms: Readonly<Record<string, string>> = {
  nothing: "export {}\n",
  redis: `import { createClient } from "redis"
const client = createClient()
export const all = async () => [
  await client.get("k"), await client.set("k", "v", { EX: 1 }), await client.hGetAll("h"), await client.lRange("l", 0, -1),
  await client.zAdd("z", { score: 1, value: "a" }), await client.incr("n"), await client.multi().get("k").incr("n").exec()
] as const
`,
  ioredis: `import { Redis } from "ioredis"
const client = new Redis()
export const all = async () => [
  await client.get("k"), await client.set("k", "v", "EX", 1), await client.hgetall("h"), await client.lrange("l", 0, -1),
  await client.zadd("z", 1, "a"), await client.incr("n"), await client.multi().get("k").incr("n").exec()
] as const
`,
  us: `import { Redis } from "effect-redis-client"
import * as Effect from "effect/Effect"
export const all = Effect.gen(function* () {
  return [
    yield* Redis.get("k"), yield* Redis.set("k", "v", { ex: "1 second" }), yield* Redis.hgetall("h"),
    yield* Redis.lrange("l", 0, -1), yield* Redis.zadd("z", [["a", 1]]), yield* Redis.incr("n"),
    yield* Redis.transaction([Redis.get("k"), Redis.incr("n")])
  ] as const
})
`
}

/** The same small program with each client, type-checked; instantiations are the same on every machine. */
export const types = (consumer: string): Cost => ({
  name: "types",
  title: "type-checking a program of seven calls, strict, with skipLibCheck",
  lines: Object.entries(typePrograms).map(([who, source]) => {
    const folder = path.join(who === "us" ? consumer : path.join(home, "node_modules"), ".bench-types")
    fs.mkdirSync(folder, { recursive: true })
    fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }))
    const file = path.join(folder, `${who}.ts`)
    fs.writeFileSync(file, source)
    const started = performance.now()
    const program = ts.createProgram([file], {
      strict: true,
      skipLibCheck: true,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      types: [],
      noEmit: true
    })
    const problems = ts.getPreEmitDiagnostics(program).length
    return {
      who,
      figures: {
        instantiations: program.getInstantiationCount(),
        types: program.getTypeCount(),
        files: program.getSourceFiles().length,
        millis: performance.now() - started,
        ...(problems === 0 ? {} : { problems })
      }
    }
  })
})

const eachOf = async (
  entries: ReadonlyArray<Entry>,
  row: Row,
  server: Server,
  request: Parameters<typeof measureOnce>[3]
): Promise<Cost["lines"]> => {
  const lines: Array<Cost["lines"][number]> = []
  for (const entry of entries) {
    const figures = await measureOnce(entry, row, server, request)
    lines.push({ who: entry.name, figures })
  }
  return lines
}

/** Bytes that each of 10 000 waiting commands holds, its fiber or promise included. */
export const memory = async (entries: ReadonlyArray<Entry>, server: Server): Promise<Cost> => ({
  name: "memory",
  title: "bytes for each of 10 000 GETs that wait for their reply, with the fiber or promise that waits",
  lines: await eachOf(entries, getRow("memory", 64, 1), server, { type: "memory", commands: 10_000 })
})

/** What is left of ten million operations. */
export const soak = async (entries: ReadonlyArray<Entry>, server: Server): Promise<Cost> => ({
  name: "soak",
  title: "memory over ten million GETs, 100 at a time",
  lines: await eachOf(entries, getRow("soak", 64, 100), server, { type: "soak", operations: 10_000_000 })
})
