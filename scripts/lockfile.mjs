/*
 * `npm run lockfile [-- file]`: completes package-lock.json, or the one that is named. Run it after every `npm install` that changed the lockfile.
 *
 * The tools with native parts (biome, rollup, …) name one optional package per platform. A registry mirror that does not
 * carry the packages of foreign platforms makes npm leave those out of the lockfile without a word, and then
 *   - `npm ci` refuses the lockfile ("Missing: … from lock file"), and
 *   - `npm install` on such a platform does not install them, and the tool does not start.
 * So this writes the missing entries: the tool itself names the version (of a range, the lowest), and the platform is in the name.
 * (They have no integrity, which npm accepts.) `--check` writes nothing and fails when there is something to do, or when
 * the lockfile names the host of a registry.
 */
import * as fs from "node:fs"

const check = process.argv.includes("--check")
const file = process.argv.slice(2).find((argument) => argument !== "--check") ?? "package-lock.json"
const lock = JSON.parse(fs.readFileSync(file, "utf8"))

/** Where Node would find `name` from the package at `from`: in its own node_modules, or in any further out. */
const resolves = (from, name) => {
  for (let at = from; ; at = at.slice(0, at.lastIndexOf("node_modules/")).replace(/\/$/, "")) {
    if (`${at === "" ? "" : `${at}/`}node_modules/${name}` in lock.packages) return true
    if (at === "") return false
  }
}

const platformOf = (name) => {
  const words = name.split("/").at(-1)
  // Names that do not spell the platform as npm does.
  if (words === "fsevents") return { os: ["darwin"] }
  if (words.includes("windows")) return { os: ["win32"] }
  const os = /android|darwin|freebsd|linux|openbsd|openharmony|win32/.exec(words)?.[0]
  const cpu = /arm64|arm|ia32|loong64|ppc64|riscv64|s390x|x64/.exec(words)?.[0]
  if (os === undefined || cpu === undefined)
    throw new Error(`cannot tell the platform of ${name}: add its entry by hand`)
  const libc = os !== "linux" ? undefined : /musl/.test(words) ? "musl" : /gnu/.test(words) ? "glibc" : undefined
  return { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) }
}

const missing = []
for (const [from, { optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (resolves(from, name)) continue
    const pinned = /^[~^]?(\d+\.\d+\.\d+)$/.exec(version)?.[1]
    if (pinned === undefined) throw new Error(`${name}@${version} is not pinned: add its entry by hand`)
    missing.push(name)
    const { cpu, libc, os } = platformOf(name)
    lock.packages[`node_modules/${name}`] = {
      version: pinned,
      ...(cpu && { cpu }),
      dev: true,
      ...(libc && { libc }),
      optional: true,
      os
    }
  }
}
const hosts = Object.entries(lock.packages).filter(([, entry]) => "resolved" in entry)

if (check) {
  for (const name of missing) console.error(`${file}: no entry for ${name}`)
  for (const [name] of hosts) console.error(`${file}: ${name} names a registry ("resolved")`)
  if (missing.length + hosts.length > 0) {
    console.error("run `npm run lockfile`")
    process.exitCode = 1
  }
} else {
  for (const [, entry] of hosts) delete entry.resolved
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en"))
  fs.writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`)
  console.log(`${file}: added ${missing.length}, removed ${hosts.length} hosts`)
}
