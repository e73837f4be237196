/**
 * `npm run examples [name …]`: runs every example against a server and checks what it prints (see programs.ts for how an
 * example says what that is). Each one gets an empty server of its own, in `REDIS_URL`; if `REDIS_URL` is set already, they
 * all run against that one, and it is neither started, emptied nor stopped. With `DEMO` set, examples that would serve until
 * they are stopped show what they do and end. An example that cannot run here prints one line, `skipped: why`.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { mismatch, promised, run } from "./programs.js"
import { withServer } from "./server.js"

const folder = path.resolve(import.meta.dirname, "../examples")
const wanted = process.argv.slice(2)
const names = fs
  .readdirSync(folder)
  .filter((name) => name.endsWith(".ts"))
  .filter((name) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
  .sort()

const servers = new Set<string>()

const skipped = new Map<string, string>()

const problemOf = async (file: string) => {
  const expected = promised(fs.readFileSync(file, "utf8"))
  if (expected === undefined) return "does not say what it prints: end it with a `// prints:` comment"
  const { lines, problem } = await withServer((server) => {
    servers.add(server.name)
    return run(file, { REDIS_URL: server.url, DEMO: "true" })
  })
  if (problem !== undefined) return problem
  const [only = ""] = lines
  if (lines.length === 1 && only.startsWith("skipped: ")) {
    skipped.set(file, only)
    return undefined
  }
  const difference = mismatch(expected, lines)
  return difference && `${difference}\nall of it:\n${lines.join("\n")}`
}

if (names.length === 0) throw new Error("there are no such examples")
let failed = 0
for (const name of names) {
  const file = path.join(folder, name)
  const problem = await problemOf(file)
  const why = skipped.get(file)
  console.log(why === undefined ? `${problem === undefined ? "ok    " : "FAILED"}  ${name}` : `-       ${name} ${why}`)
  if (problem === undefined) continue
  failed++
  console.log(problem.replace(/^/gm, "        "))
}
const ran = names.length - skipped.size
console.log(`${ran - failed} of ${ran} examples print what they promise, on ${[...servers].join(", ")}`)
process.exitCode = failed === 0 ? 0 : 1
