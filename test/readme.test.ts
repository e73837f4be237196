/**
 * Every TypeScript block of the README compiles, and runs against a server unless it is marked `no-run`. The address in a
 * block is replaced by that of the test's server.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { mismatch, promised, run } from "../scripts/programs.js"
import { withServer } from "../scripts/server.js"
import { blocksOf, problemsIn, writeBlocks } from "./support/blocks.js"

const root = path.resolve(import.meta.dirname, "..")
const tmp = path.join(root, ".tmp")
const readme = path.join(root, "README.md")
const shown = "redis://localhost:6379"

describe("README.md", () => {
  const blocks = fs.existsSync(readme) ? blocksOf(fs.readFileSync(readme, "utf8")) : []
  const folder = path.join(tmp, "readme")
  const files = writeBlocks(folder, blocks)

  it("has blocks that compile", { timeout: 300_000 }, async () => {
    expect(await problemsIn(folder)).toEqual([])
  })

  for (const [i, { code, line, runs }] of blocks.entries()) {
    const file = files[i]
    if (!runs || file === undefined) continue
    it(`has a block at line ${line} that runs`, { timeout: 300_000 }, () =>
      withServer(async ({ url }) => {
        const program = file.replace(/\.ts$/, ".run.ts")
        fs.writeFileSync(program, fs.readFileSync(file, "utf8").replaceAll(shown, url))
        const { lines, problem } = await run(program, { REDIS_URL: url })
        expect(problem).toBeUndefined()
        expect(mismatch(promised(code) ?? ["…"], lines)).toBeUndefined()
      })
    )
  }
})

describe("the blocks of a Markdown text", () => {
  const fence = "```"
  const text = [
    "# Title",
    `${fence}ts no-run`,
    'import * as Option from "effect/Option"',
    "export const one: Option.Option<string> = Option.some(1)",
    fence,
    `${fence}sh`,
    "npm install",
    fence,
    `  ${fence}typescript`,
    "  const two: number = 2",
    "    ",
    "  console.log(two)",
    `  ${fence}`
  ].join("\n")

  it("are found", () => {
    expect(blocksOf(text)).toMatchObject([
      { line: 3, runs: false },
      { line: 10, runs: true, code: "const two: number = 2\n  \nconsole.log(two)\n" }
    ])
  })

  it("are type-checked, and errors have the line of the text", { timeout: 300_000 }, async () => {
    const folder = path.join(tmp, "readme-harness")
    writeBlocks(folder, blocksOf(text))
    expect(await problemsIn(folder)).toEqual([expect.stringMatching(/^4:\d+ Type 'Option<number>' is not assignable/)])
  })

  it("must be closed, with known marks only", () => {
    expect(() => blocksOf(`${fence}ts\nconst a = 1`)).toThrow("line 1")
    expect(() => blocksOf(`${fence}ts norun\n${fence}`)).toThrow("norun")
  })
})
