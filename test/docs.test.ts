/**
 * The README and the pages of `docs/`: their TypeScript blocks compile, and run against a server unless they are marked
 * `no-run`; their links lead somewhere; every page can be reached from the index. In a block that runs, the test replaces
 * the address that readers see by the server's real one. Examples in the comments of the sources compile too, those that stand
 * alone.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as RedisCluster from "effect-redis-client/testing/RedisCluster"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { mismatch, promised, run } from "../scripts/programs.js"
import { withServer } from "../scripts/server.js"
import { blocksOf, problemsIn, writeBlocks } from "./support/blocks.js"
import { anchorsOf, linksOf } from "./support/pages.js"
import { commandServers } from "./support/servers.js"

const root = path.resolve(import.meta.dirname, "..")
const tmp = path.join(root, ".tmp")
const shown = "redis://localhost:6379"
/** The nodes of a cluster, as readers see them. */
const shownNodes = ["redis://localhost:7000", "redis://localhost:7001"]
const index = "docs/README.md"
const read = (page: string): string => fs.readFileSync(path.join(root, page), "utf8")

/** Every page of `docs/`, without the generated API reference, which git ignores. */
const docs = (fs.readdirSync(path.join(root, "docs"), { recursive: true }) as Array<string>)
  .map((name) => `docs/${name.replaceAll(path.sep, "/")}`)
  .filter((name) => name.endsWith(".md") && !name.startsWith("docs/api/"))
  .sort()

/** Pages that are linked to before they are written. */
const planned: ReadonlyArray<string> = []

const pages = new Map(["README.md", ...docs].map((page) => [page, read(page)]))

/** The comments of a source as a page: of its examples those that import what they use. Lines keep their numbers. */
const commentsOf = (source: string): string =>
  read(source)
    .replace(/^\s*\* ?/gm, "")
    .replace(/^( *)```ts\n([\s\S]*?)^ *```/gm, (block, _, code) =>
      block.replace("```ts", /^ *import /m.test(code) ? "```ts no-run" : "```")
    )

const sources = (fs.readdirSync(path.join(root, "src"), { recursive: true }) as Array<string>)
  .map((name) => `src/${name.replaceAll(path.sep, "/")}`)
  .filter((name) => name.endsWith(".ts"))
  .sort()
  .map((name): [string, string] => [name, commentsOf(name)])

/** The file or folder that a link of a page leads to, and the heading in it. */
const follow = (page: string, target: string): readonly [file: string, anchor: string | undefined] => {
  const [file = "", anchor] = target.split("#")
  return [file === "" ? page : path.posix.normalize(path.posix.join(path.posix.dirname(page), file)), anchor]
}

describe("README.md and docs", () => {
  const folder = path.join(tmp, "docs")
  const programs = writeBlocks(folder, [...pages, ...sources])

  it("have blocks that compile", { timeout: 300_000 }, async () => {
    expect(programs.length).toBeGreaterThan(20)
    expect(await problemsIn(folder)).toEqual([])
  })

  for (const { cluster, code, file, line, page, runs } of programs) {
    if (!runs || cluster) continue
    it(`${page} has a block at line ${line} that runs`, { timeout: 300_000 }, () =>
      withServer(async ({ url }) => {
        const program = file.replace(/\.ts$/, ".run.ts")
        fs.writeFileSync(program, fs.readFileSync(file, "utf8").replaceAll(shown, url))
        const { lines, problem } = await run(program, { REDIS_URL: url })
        expect(problem).toBeUndefined()
        expect(mismatch(promised(code) ?? ["…"], lines)).toBeUndefined()
      })
    )
  }

  describe.skipIf(commandServers.length === 0)("over a cluster", () => {
    const scope = Effect.runSync(Scope.make())
    let seeds: ReadonlyArray<string> = []
    beforeAll(async () => {
      const started = await Effect.runPromise(
        Scope.extend(RedisCluster.make({ executable: commandServers.at(-1)?.executable, replicasPerPrimary: 0 }), scope)
      )
      seeds = started.seeds.map(Redacted.value)
    })
    afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

    for (const { cluster, code, file, line, page } of programs) {
      if (!cluster) continue
      it(`${page} has a block at line ${line} that runs`, { timeout: 300_000 }, async () => {
        const program = file.replace(/\.ts$/, ".run.ts")
        const text = shownNodes.reduce(
          (text, node, i) => text.replaceAll(node, seeds[i] ?? ""),
          fs.readFileSync(file, "utf8")
        )
        fs.writeFileSync(program, text)
        const { lines, problem } = await run(program, {})
        expect(problem).toBeUndefined()
        expect(mismatch(promised(code) ?? ["…"], lines)).toBeUndefined()
      })
    }
  })

  it("have links to files and headings that exist", () => {
    const broken = [...pages].flatMap(([page, text]) =>
      linksOf(text).flatMap(({ line, target }) => {
        const [file, anchor] = follow(page, target)
        if (!fs.existsSync(path.join(root, file))) {
          return planned.includes(file) ? [] : [`${page}:${line} no such file: ${target}`]
        }
        if (anchor === undefined) return []
        return anchorsOf(pages.get(file) ?? read(file)).has(anchor)
          ? []
          : [`${page}:${line} no such heading: ${target}`]
      })
    )
    expect(broken).toEqual([])
  })

  it(`have no page that ${index} does not lead to`, () => {
    const reached = new Set<string>()
    const visit = (page: string): void => {
      if (reached.has(page)) return
      reached.add(page)
      for (const { target } of linksOf(pages.get(page) ?? "")) {
        const [file] = follow(page, target)
        // The README leads to the index, and not the other way round.
        if (file !== "README.md" && pages.has(file)) visit(file)
      }
    }
    visit(index)
    expect(docs.filter((page) => !reached.has(page))).toEqual([])
  })

  it("have a README of at most 300 lines that leads to the index", () => {
    const readme = (pages.get("README.md") ?? "").replace(/<!-- effect 3 -->\n|<!-- effect 4\s[\s\S]*?-->\n/g, "")
    expect(readme.trimEnd().split("\n").length).toBeLessThanOrEqual(300)
    expect(linksOf(readme).map(({ target }) => target)).toContain(index)
  })
})

const fence = "```"

describe("the blocks of a page", () => {
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

  it("are checked together, and an error names its page and line", { timeout: 300_000 }, async () => {
    const folder = path.join(tmp, "docs-harness")
    writeBlocks(folder, [
      ["docs/a-page.md", text],
      ["README.md", `${fence}ts\nexport const two: string = 2\n${fence}`]
    ])
    expect([...(await problemsIn(folder))].sort()).toEqual([
      expect.stringMatching(/^README\.md:2:\d+ Type 'number' is not assignable/),
      expect.stringMatching(/^docs\/a-page\.md:4:\d+ Type 'Option<number>' is not assignable/)
    ])
  })

  it("give their names to the tables that follow, whose right sides are checked", { timeout: 300_000 }, async () => {
    const folder = path.join(tmp, "docs-tables")
    const page = [
      `${fence}ts no-run tables`,
      "const two = (n: number) => n",
      fence,
      "| there | here |",
      "| --- | --- |",
      "| `one()` | `two(1)` |",
      '| `one("a")` | `two("a")` |',
      "| `lazyConnect` | `lazy: true`, `lazy: 1` |",
      "| none | not `code` |",
      "",
      "| there | elsewhere |",
      "| --- | --- |",
      "| `a` | `nothing` |"
    ]
    writeBlocks(folder, [["docs/b.md", page.join("\n")]])
    expect([...(await problemsIn(folder))].sort()).toEqual([
      expect.stringMatching(/^docs\/b\.md:7:\d+ Argument of type 'string'/),
      expect.stringMatching(/^docs\/b\.md:8:\d+ Type 'number' is not assignable/),
      expect.stringMatching(/^docs\/b\.md:9:\d+ Cannot find name 'code'/)
    ])
  })

  it("must be closed, and may only have known marks", () => {
    expect(() => blocksOf(`${fence}ts\nconst a = 1`)).toThrow("line 1")
    expect(() => blocksOf(`${fence}ts norun\n${fence}`)).toThrow("norun")
  })
})

describe("the links of a page", () => {
  it("are found outside of code", () => {
    const text = [
      "See [here](a.md) and [there](b.md#c), `[not](code.md)`, [elsewhere](https://example.com).",
      fence,
      "[not](block.md)",
      fence,
      "![image](c.svg)"
    ].join("\n")
    expect(linksOf(text)).toEqual([
      { line: 1, target: "a.md" },
      { line: 1, target: "b.md#c" },
      { line: 5, target: "c.svg" }
    ])
  })

  it("lead to the anchors that GitHub makes of headings", () => {
    const text = ["# A `code` word, and more", "## Again", "## Again", fence, "# Not one", fence, "### [Link](x.md)"]
    expect([...anchorsOf(text.join("\n"))]).toEqual(["a-code-word-and-more", "again", "again-1", "link"])
  })
})
