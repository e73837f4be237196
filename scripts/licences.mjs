/*
 * `node scripts/licences.mjs`: writes the list of what users install, with licences, into docs/security.md, from
 * package-lock.json. `--check` writes nothing and fails when the list is old or a licence is not one of those below.
 * `--audit` asks the registry for known vulnerabilities of exactly that. (`npm audit --omit=dev` in this repository asks
 * about nothing: the peers, which users install, are development dependencies here.)
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "..")
const file = path.join(root, "docs", "security.md")
const lock = JSON.parse(fs.readFileSync(path.join(root, "package-lock.json"), "utf8")).packages
const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))

/** Licences that ask for no more than to be named. */
const fine = new Set(["MIT", "Apache-2.0", "ISC", "BSD-2-Clause", "BSD-3-Clause", "0BSD"])

/** Where Node would find `name` from the package at `from`. */
const find = (from, name) => {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    const key = `${at === "" ? "" : `${at}/`}node_modules/${name}`
    if (key in lock) return key
    if (at === "") return undefined
  }
}

/** What npm installs with these packages; the optional peers of others stay away. */
const closure = (names) => {
  const found = new Set()
  const open = names.map((name) => ["", name])
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const key = find(...next)
    if (key === undefined || found.has(key)) continue
    found.add(key)
    const { dependencies, optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = lock[key]
    const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional)
    const all = [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers]
    open.push(...all.map((name) => [key, name]))
  }
  return found
}

const isOptional = (name) => manifest.peerDependenciesMeta?.[name]?.optional === true
const required = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).filter((n) => !isOptional(n))
const optional = Object.keys(manifest.peerDependencies).filter(isOptional)

const rows = new Map()
const add = (why, keys) => {
  for (const key of keys) {
    const { license, version } = lock[key]
    const full = key.slice(key.lastIndexOf("node_modules/") + "node_modules/".length)
    // The native parts of a package, one for each platform, of which npm installs one.
    const name = full.replace(/-(?:android|darwin|freebsd|linux|win32)-.*$/, "-*")
    const row = rows.get(`${name}@${version}`)
    if (row === undefined) rows.set(`${name}@${version}`, { name, version, license, why })
    else row.license ??= license
  }
}
add("always", closure(required))
for (const name of optional) add(`\`${name}\``, closure([name]))

const list = [...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
const bad = list.filter(({ license }) => !fine.has(license))
const table = [
  "| package | version | licence | with |",
  "| --- | --- | --- | --- |",
  ...list.map(({ license, name, version, why }) => `| \`${name}\` | ${version} | ${license} | ${why} |`)
].join("\n")

const begin = "<!-- licences: written by scripts/licences.mjs -->"
const end = "<!-- licences: end -->"
const text = fs.readFileSync(file, "utf8")
const [head, rest] = text.split(begin)
const tail = rest?.split(end)[1]
if (tail === undefined) throw new Error(`docs/security.md has no place for the list: ${begin} … ${end}`)
const written = `${head}${begin}\n\n${table}\n\n${end}${tail}`

if (bad.length > 0) {
  console.error(`licences to look at: ${bad.map(({ license, name }) => `${name} (${license})`).join(", ")}`)
  process.exitCode = 1
}
if (process.argv.includes("--audit")) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect-redis-audit-"))
  try {
    const dependencies = Object.fromEntries(
      [...required, ...optional].map((name) => [name, manifest.peerDependencies[name]])
    )
    fs.writeFileSync(
      path.join(folder, "package.json"),
      JSON.stringify({ name: "user", version: "0.0.0", dependencies })
    )
    const npm = (...args) => spawnSync("npm", args, { cwd: folder, stdio: "inherit" }).status ?? 1
    process.exitCode ||= npm("install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund")
    process.exitCode ||= npm("audit")
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
} else if (process.argv.includes("--check")) {
  if (written !== text) {
    console.error("docs/security.md does not list what users install: run node scripts/licences.mjs")
    process.exitCode = 1
  }
} else {
  fs.writeFileSync(file, written)
  console.log(`${list.length} packages`)
}
