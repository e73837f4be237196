/**
 * `npm run import-cost [runs]`: what `import "effect-redis-client"` costs at run time beyond the modules of Effect that it
 * imports, beside what `import "redis"` costs. Each is imported by fresh processes in turn, into which those modules of
 * Effect were imported before, so that both find the same loader, equally warm; printed are medians. Measured is the
 * packed package, as a user gets it.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { packed } from "./packed.js"

const limit = 0.6
const runs = Number(process.argv[2] ?? 15)

const { consumer, home } = await packed()

/** What a module of ours imports from others, and its own modules in turn. */
const reach = (file: string, own: Set<string>, others: Set<string>): void => {
  if (own.has(file)) return
  own.add(file)
  // The compiler wrote them, one to a line.
  for (const [, name] of fs.readFileSync(file, "utf8").matchAll(/^(?:import|export)\b[^;]*?["']([^"']+)["'];?$/gm)) {
    if (name === undefined) continue
    if (name.startsWith(".")) reach(path.resolve(path.dirname(file), name), own, others)
    else others.add(name)
  }
}

const own = new Set<string>()
const others = new Set<string>()
reach(path.join(home, "dist/esm/index.js"), own, others)
const effects = [...others].filter((name) => /^(effect|@effect\/)/.test(name)).sort()

const folder = path.join(consumer, "import-cost")
fs.mkdirSync(folder, { recursive: true })

const program = (name: string, before: ReadonlyArray<string>, subject: ReadonlyArray<string>): string => {
  const file = path.join(folder, `${name}.mjs`)
  const importAll = (names: ReadonlyArray<string>) => names.map((name) => `await import("${name}")`).join("\n")
  fs.writeFileSync(
    file,
    `${importAll(before)}
const used = process.cpuUsage()
const started = performance.now()
${importAll(subject)}
const wall = performance.now() - started
const { system, user } = process.cpuUsage(used)
console.log(JSON.stringify({ wall, cpu: (system + user) / 1000 }))
process.exit(0)
`
  )
  return file
}

const subjects = {
  effect: program("effect", [], effects),
  ours: program("ours", effects, ["effect-redis-client"]),
  redis: program("redis", effects, ["redis"]),
  "redis alone": program("redis-alone", [], ["redis"])
}

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number

const sampled = (): { wall: Array<number>; cpu: Array<number> } => ({ wall: [], cpu: [] })
const samples = { effect: sampled(), ours: sampled(), redis: sampled(), "redis alone": sampled() }
// One round is left out: the first reads from the disk.
for (let run = 0; run <= runs; run++) {
  for (const [name, file] of Object.entries(subjects)) {
    const { cpu, wall } = JSON.parse(execFileSync(process.execPath, [file], { encoding: "utf8" }))
    if (run > 0) {
      const { cpu: cpus, wall: walls } = samples[name as keyof typeof subjects]
      cpus.push(cpu)
      walls.push(wall)
    }
  }
}

const of = (name: keyof typeof subjects) => ({ wall: median(samples[name].wall), cpu: median(samples[name].cpu) })
const line = (what: string, { cpu, wall }: { readonly cpu: number; readonly wall: number }) =>
  console.log(`${what.padEnd(44)}${wall.toFixed(1).padStart(7)} ms ${cpu.toFixed(1).padStart(7)} ms of processor`)

const version = JSON.parse(fs.readFileSync(path.resolve("node_modules/redis/package.json"), "utf8")).version
console.log(`medians of ${runs} processes each, Node ${process.versions.node}`)
line(`Effect: ${effects.length} modules`, of("effect"))
line(`effect-redis-client: ${own.size} modules, after Effect`, of("ours"))
line(`redis ${version}, after Effect`, of("redis"))
line(`redis ${version}, alone`, of("redis alone"))
const ratio = of("ours").wall / of("redis").wall
const percent = (number: number) => `${Math.round(number * 100)} %`
console.log(
  `${percent(ratio)} of redis by time, ${percent(of("ours").cpu / of("redis").cpu)} by processor; the limit is ${percent(limit)}`
)
if (ratio > limit) process.exitCode = 1
