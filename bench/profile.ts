/**
 * Reads profiles of Node: `npm run bench -- --row get-100 --only us --profile DIR`, then `npx tsx bench/profile.ts DIR`.
 * Prints where the time went, by function with file and line, and by package.
 */
import * as fs from "node:fs"
import * as path from "node:path"

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const [, , folder = ".", most = "40"] = process.argv
const byFunction = new Map<string, number>()
const byPackage = new Map<string, number>()
let total = 0

const packageOf = (url: string): string =>
  /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url.slice(url.lastIndexOf("node_modules")))?.[1] ??
  (url.startsWith("node:") ? "node" : url === "" ? "engine" : "bench")

for (const name of fs.readdirSync(folder).filter((name) => name.endsWith(".cpuprofile"))) {
  const { nodes, samples, timeDeltas }: Profile = JSON.parse(fs.readFileSync(path.join(folder, name), "utf8"))
  const frames = new Map(nodes.map(({ callFrame, id }) => [id, callFrame]))
  samples.forEach((id, i) => {
    const { functionName = "", lineNumber = 0, url = "" } = frames.get(id) ?? {}
    if (functionName === "(idle)" || functionName === "(program)") {
      return
    }
    const micros = timeDeltas[i] ?? 0
    total += micros
    const file = url.slice(url.lastIndexOf("node_modules/") + 1).replace(/^ode_modules\//, "")
    const where = `${functionName || "(anonymous)"} ${file}${file === "" ? "" : `:${lineNumber + 1}`}`
    byFunction.set(where, (byFunction.get(where) ?? 0) + micros)
    byPackage.set(packageOf(url), (byPackage.get(packageOf(url)) ?? 0) + micros)
  })
}

const print = (all: ReadonlyMap<string, number>, limit: number): void => {
  for (const [name, micros] of [...all].sort(([, a], [, b]) => b - a).slice(0, limit)) {
    console.log(`${((micros / total) * 100).toFixed(1).padStart(6)} %  ${name}`)
  }
}

print(byPackage, 20)
console.log()
print(byFunction, Number(most))
