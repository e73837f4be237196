/**
 * The package as a user gets it: staged, built, packed by npm and unpacked again, in a folder of its own under `.tmp/`.
 * Tests and checks of the package share it. It is made once for each state of the sources, and appears whole, by a
 * rename.
 */
import { execFile, execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { build } from "./build.js"

const root = path.resolve(import.meta.dirname, "..")
const tmp = path.join(root, ".tmp")
const tsx = path.join(root, "node_modules/tsx/dist/cli.mjs")

const inputs = [
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "scripts/build.ts",
  "README.md",
  "LICENSE"
]

/** What `files` of package.json names, except `dist`, which is built. A name that begins with `!` leaves a folder out. */
const shipped = (): ReadonlyArray<string> => {
  const { files }: { readonly files: ReadonlyArray<string> } = JSON.parse(
    fs.readFileSync(path.join(root, "package.json"), "utf8")
  )
  const out = files.filter((name) => name.startsWith("!")).map((name) => `${name.slice(1)}${path.sep}`)
  return files
    .filter((name) => name !== "dist" && !name.startsWith("!"))
    .flatMap((name) => (fs.statSync(path.join(root, name)).isDirectory() ? filesIn(name) : [name]))
    .filter((file) => !out.some((folder) => file.startsWith(folder)))
}

const filesIn = (folder: string): ReadonlyArray<string> =>
  fs
    .readdirSync(path.join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort()

const stateOf = (files: ReadonlyArray<string>) => {
  const hash = createHash("sha256")
  for (const file of files)
    hash
      .update(`${file}\0`)
      .update(fs.readFileSync(path.join(root, file)))
      .update("\0")
  return hash.digest("hex").slice(0, 16)
}

export interface Packed {
  /** The tarball that `npm publish` would upload. */
  readonly tarball: string
  /** A folder in whose `node_modules` the tarball is unpacked; the peers are found further up, in the repository's. */
  readonly consumer: string
  /** The unpacked package. */
  readonly home: string
  /** What may be imported: `.`, `Resp`, `commands/string`, … */
  readonly entrypoints: ReadonlyArray<string>
  /** What may not: `internal/parser`, … */
  readonly internal: ReadonlyArray<string>
}

const at = (folder: string) => {
  const tarball = fs.readdirSync(folder).find((name) => name.endsWith(".tgz"))
  if (tarball === undefined) throw new Error(`no tarball in ${folder}`)
  const consumer = path.join(folder, "consumer")
  return {
    tarball: path.join(folder, tarball),
    consumer,
    home: path.join(consumer, "node_modules/effect-redis-client")
  }
}

const modulesIn = (home: string) =>
  (fs.readdirSync(path.join(home, "dist/esm"), { recursive: true }) as Array<string>)
    .filter((name) => name.endsWith(".js"))
    .map((name) => name.slice(0, -".js".length).replaceAll(path.sep, "/"))
    .sort()

const isInternal = (module: string) => module.split("/").includes("internal") || module.startsWith("cli/")

/** Folders of earlier states, left alone for an hour: somebody may still be reading them. */
const sweep = () => {
  for (const name of fs.readdirSync(tmp)) {
    const folder = path.join(tmp, name)
    const made = fs.statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY
    if (/^pack(ed|ing)-/.test(name) && Date.now() - made > 3_600_000) {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  }
}

const make = async (folder: string, files: ReadonlyArray<string>) => {
  const stage = path.join(folder, "stage")
  for (const file of files) fs.cpSync(path.join(root, file), path.join(stage, file))
  await build(stage)
  execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: stage })
  fs.rmSync(stage, { recursive: true })
  const { consumer, home, tarball } = at(folder)
  fs.mkdirSync(home, { recursive: true })
  execFileSync("tar", ["-xzf", tarball, "-C", home, "--strip-components=1"])
  // Without it the nearest package.json is the repository's, and the package's name means the repository itself.
  fs.writeFileSync(path.join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true }))
}

const wanted = () => {
  const files = [...inputs, ...shipped()]
  return { files, folder: path.join(tmp, `packed-${stateOf(files)}`) }
}

/** Waits in place: for a process that has nothing else to do. */
const pause = (millis: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)

/** Makes the folder unless it is there. One process makes it, others that want the same one wait. */
const ensure = async () => {
  const { files, folder } = wanted()
  const lock = `${folder}.lock`
  while (!fs.existsSync(folder)) {
    try {
      fs.mkdirSync(lock)
    } catch {
      const made = fs.statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
      // The process that made a lock this old has ended. (Another waiting process may be quicker to remove the lock.)
      if (Date.now() - made > 600_000) fs.rmSync(lock, { recursive: true, force: true })
      pause(100)
      continue
    }
    const making = fs.mkdtempSync(path.join(tmp, "packing-"))
    try {
      // The process that had the lock before may have made the folder since the last look.
      if (!fs.existsSync(folder)) {
        await make(making, files)
        fs.renameSync(making, folder)
      }
    } finally {
      fs.rmSync(making, { recursive: true, force: true })
      fs.rmdirSync(lock)
    }
  }
}

/**
 * The package, packed. Building takes a process of its own: it blocks for seconds, on a busy machine for a minute, and a
 * test runner takes a worker that does not answer for that long for dead.
 */
export const packed = async (): Promise<Packed> => {
  const { folder } = wanted()
  if (!fs.existsSync(folder)) {
    await promisify(execFile)(process.execPath, [tsx, fileURLToPath(import.meta.url)]).catch((error) => {
      throw new Error(error.stderr || error.message)
    })
  }
  const paths = at(folder)
  const modules = modulesIn(paths.home)
  return {
    ...paths,
    entrypoints: modules.filter((module) => !isInternal(module)).map((module) => (module === "index" ? "." : module)),
    internal: modules.filter(isInternal)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  fs.mkdirSync(tmp, { recursive: true })
  sweep()
  try {
    await ensure()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
