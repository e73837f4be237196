/**
 * A few rounds of `npm run fuzz`, in a process of their own, because every timer and socket of the process is counted.
 * `SEED=…` repeats a run. docs/fuzz.md explains what a round is.
 */
import { spawn } from "node:child_process"
import * as Path from "node:path"
import { describe, expect, it } from "vitest"
import * as Random from "../scripts/fuzz/random.js"
import { realServers } from "./support/servers.js"

const seed = Random.seedFrom(process.env.SEED)
const root = Path.join(import.meta.dirname, "..")

const fuzz = (...args: ReadonlyArray<string>): Promise<{ readonly code: number | null; readonly output: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ["--import", "tsx", "scripts/fuzz.ts", ...args], { cwd: root })
    let output = ""
    const take = (text: Buffer): void => {
      output += text.toString()
    }
    child.stdout.on("data", take)
    child.stderr.on("data", take)
    child.on("close", (code) => resolve({ code, output }))
  })

describe("fibers that are interrupted at random points", () => {
  if (realServers.length === 0) {
    it.skip("not run: npm run servers fetches servers", () => {})
    return
  }
  it("get their own replies, and leave nothing open", { timeout: 240_000 }, async () => {
    const { code, output } = await fuzz("--seed", String(seed), "--seconds", "8", "--tasks", "600")
    console.log(
      output
        .split("\n")
        .filter((one) => one.startsWith("fuzz: seed"))
        .at(-1) ?? output
    )
    expect(code === 0 ? "" : output).toBe("")
    expect(output).toMatch(/0 wrong answers, 0 unsettled, leaked: 0 sockets, 0 timers, 0 fibers/)
  })
})
