/**
 * `npm run import-cost [runs]`: what `import "effect-redis-client"` costs at run time beyond the modules of Effect that it
 * imports, beside what `import "redis"` costs. It fails above the limit, by time and by processor time alike.
 *
 * Each package is imported by fresh processes in turn, into which those modules of Effect were imported before, so that
 * both find the same loader, equally warm. Ours and `redis` follow each other in each round, and the share is the median
 * of the rounds' shares: a machine that is busy for a while slows down both. If a share is above the limit, as many rounds
 * are measured again, at most twice, and all of them count. The package is the packed one, as a user gets it.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { packed } from "./packed.js"

const limit = 0.6
const runs = Number(process.argv[2] ?? 21)

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

interface Cost {
  readonly wall: number
  readonly cpu: number
}

const cost = (file: string): Cost => JSON.parse(execFileSync(process.execPath, [file], { encoding: "utf8" }))

const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] as number

const version = JSON.parse(fs.readFileSync(path.resolve("node_modules/redis/package.json"), "utf8")).version
const files = {
  effect: program("effect", [], effects),
  ours: program("ours", effects, ["effect-redis-client"]),
  redis: program("redis", effects, ["redis"])
}
type Round = { readonly [K in keyof typeof files]: Cost }
const round = (): Round => ({ effect: cost(files.effect), ours: cost(files.ours), redis: cost(files.redis) })

const percent = (share: number) => `${Math.round(share * 100)} %`
const line = (what: string, rounds: ReadonlyArray<Round>, subject: keyof Round) => {
  const [wall, cpu] = (["wall", "cpu"] as const).map((kind) => median(rounds.map((round) => round[subject][kind])))
  const millis = (number = 0) => `${number.toFixed(1).padStart(7)} ms`
  console.log(`${what.padEnd(44)}${millis(wall)} ${millis(cpu)} of processor`)
}

/** Prints the medians, and answers whether both shares are within the limit. */
const report = (rounds: ReadonlyArray<Round>): boolean => {
  console.log(`medians of ${rounds.length} processes each, Node ${process.versions.node}`)
  line(`Effect: ${effects.length} modules`, rounds, "effect")
  line(`effect-redis-client: ${own.size} files, after Effect`, rounds, "ours")
  line(`redis ${version}, after Effect`, rounds, "redis")
  const share = (kind: keyof Cost) => median(rounds.map(({ ours, redis }) => ours[kind] / redis[kind]))
  const time = share("wall")
  const processor = share("cpu")
  console.log(`${percent(time)} of redis by time, ${percent(processor)} by processor; the limit is ${percent(limit)}`)
  return time <= limit && processor <= limit
}

// The first round reads from the disk, so it does not count.
round()
const rounds = Array.from({ length: runs }, round)
let within = report(rounds)
for (let again = 0; again < 2 && !within; again++) {
  console.log("above the limit: as many rounds again")
  for (let i = 0; i < runs; i++) rounds.push(round())
  within = report(rounds)
}
if (!within) process.exitCode = 1
