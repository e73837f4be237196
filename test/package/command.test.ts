/** The command of the package, as npm installs it. */
import { execFile, execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { packed } from "../../scripts/packed.js"
import { withServer } from "../../scripts/server.js"

describe("npx effect-redis-client", () => {
  let folder = ""
  let home = ""

  beforeAll(async () => {
    const made = await packed()
    home = made.home
    // Inside of the repository, whose node_modules have the peers.
    folder = fs.mkdtempSync(path.join(path.dirname(path.dirname(made.tarball)), "installed-"))
    fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true }))
    const options = ["--offline", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel=error"]
    execFileSync("npm", ["install", ...options, made.tarball], { cwd: folder })
  }, 600_000)

  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

  const npx = (...args: ReadonlyArray<string>) =>
    new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resolve) => {
      execFile("npx", ["--no", "--", "effect-redis-client", ...args], { cwd: folder }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr })
      )
    })

  it("runs the doctor", () =>
    withServer(async ({ url }) => {
      const { code, stderr, stdout } = await npx("doctor", url, "--pings", "10")
      expect(stderr).toBe("")
      expect(stdout).toMatch(/^effect-redis-client doctor \d/)
      expect(stdout).toMatch(/✓ latency +10 PINGs/)
      expect(code).toBe(0)
    }))

  it("ends with 1 when the server cannot be used, and with 2 when the command line is wrong", async () => {
    const { code, stdout } = await npx("doctor", "redis://127.0.0.1:1", "--json")
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ usable: false, exitCode: 1, findings: [{ code: "tcp-refused" }] })
    expect((await npx("nurse")).code).toBe(2)
  })

  it("is one file that no module of the package imports", () => {
    expect(fs.readdirSync(path.join(home, "dist/esm/cli")).sort()).toEqual(["main.js", "main.js.map"])
    expect(fs.existsSync(path.join(home, "dist/cjs/cli"))).toBe(false)
    const files = (fs.readdirSync(path.join(home, "dist"), { recursive: true }) as Array<string>).filter(
      (name) => name.endsWith(".js") && !name.includes(`cli${path.sep}`)
    )
    expect(files.length).toBeGreaterThan(20)
    expect(files.filter((name) => /\bcli\//.test(fs.readFileSync(path.join(home, "dist", name), "utf8")))).toEqual([])
  })
})
