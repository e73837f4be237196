/**
 * The package as a user gets it: staged, built, packed by npm and unpacked again, in a folder of its own under `.tmp/`.
 * Tests and checks of the package share it. It is made once for each state of the sources, and whoever asks while it is
 * made waits for nothing shared: the folder appears whole, by a rename.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { build } from "./build.js"

const root = path.resolve(import.meta.dirname, "..")
export const tmp = path.join(root, ".tmp")

const inputs = [
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "scripts/build.ts",
  "README.md",
  "LICENSE"
]

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

const isInternal = (module: string) => module.split("/").includes("internal")

/** Folders of earlier states, left alone for an hour: somebody may still be reading them. */
const sweep = () => {
  for (const name of fs.readdirSync(tmp)) {
    const folder = path.join(tmp, name)
    if (/^pack(ed|ing)-/.test(name) && Date.now() - fs.statSync(folder).mtimeMs > 3_600_000) {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  }
}

const make = (folder: string, files: ReadonlyArray<string>) => {
  const stage = path.join(folder, "stage")
  for (const file of files) fs.cpSync(path.join(root, file), path.join(stage, file))
  build(stage)
  execFileSync("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder], { cwd: stage })
  fs.rmSync(stage, { recursive: true })
  const { consumer, home, tarball } = at(folder)
  fs.mkdirSync(home, { recursive: true })
  execFileSync("tar", ["-xzf", tarball, "-C", home, "--strip-components=1"])
  // Without it the nearest package.json is the repository's, and the package's name means the repository itself.
  fs.writeFileSync(path.join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true }))
}

export const packed = (): Packed => {
  const files = [...inputs.filter((file) => fs.existsSync(path.join(root, file))), ...filesIn("src")]
  const folder = path.join(tmp, `packed-${stateOf(files)}`)
  fs.mkdirSync(tmp, { recursive: true })
  sweep()
  if (!fs.existsSync(folder)) {
    const making = fs.mkdtempSync(path.join(tmp, "packing-"))
    try {
      make(making, files)
      fs.renameSync(making, folder)
    } catch (error) {
      fs.rmSync(making, { recursive: true, force: true })
      // No error if another process made the same one meanwhile.
      if (!fs.existsSync(folder)) throw error
    }
  }
  const paths = at(folder)
  const modules = modulesIn(paths.home)
  return {
    ...paths,
    entrypoints: modules.filter((module) => !isInternal(module)).map((module) => (module === "index" ? "." : module)),
    internal: modules.filter(isInternal)
  }
}
