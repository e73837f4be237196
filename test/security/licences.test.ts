/** docs/security.md lists the packages that users install, with their licences. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"

const root = path.resolve(import.meta.dirname, "..", "..")
const script = path.join(root, "scripts", "licences.mjs")
const text = fs.readFileSync(path.join(root, "docs", "security.md"), "utf8")

describe("docs/security.md", () => {
  it("lists the packages of the lockfile, all with licences that only ask to be named", () => {
    const { status, stderr } = spawnSync(process.execPath, [script, "--check"], { encoding: "utf8" })
    expect(stderr).toBe("")
    expect(status).toBe(0)
    expect(text).toMatch(/^\| `effect` \| 3\.\d+\.\d+ \| MIT \| always \|$/m)
  })

  it("names tests and documents that exist", () => {
    const named = [
      ...text.matchAll(/`((?:test|scripts|src)\/[\w./-]+)`/g),
      ...text.matchAll(/\]\((?!http)([\w./-]+)\)/g)
    ].map(([, name = ""]) => name)
    expect(named.length).toBeGreaterThan(8)
    for (const name of named) {
      const file = /^(?:test|scripts|src)\//.test(name) ? path.join(root, name) : path.join(root, "docs", name)
      expect([name, fs.existsSync(file)]).toEqual([name, true])
    }
    expect(fs.existsSync(path.join(root, "SECURITY.md"))).toBe(true)
  })

  it("the library itself has no dependencies", () => {
    const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"))
    expect(manifest.dependencies).toBeUndefined()
    expect(manifest.optionalDependencies).toBeUndefined()
    expect(["preinstall", "install", "postinstall"].filter((name) => name in manifest.scripts)).toEqual([])
  })
})
