/** What the package holds beside its code: every link of its pages, and every page that a doc comment names, is in it. */
import * as fs from "node:fs"
import * as path from "node:path"
import { beforeAll, describe, expect, it } from "vitest"
import { packed } from "../../scripts/packed.js"
import { anchorsOf, linksOf } from "../support/pages.js"

describe("the packed package", () => {
  let home = ""
  let files: ReadonlyArray<string> = []
  const read = (file: string) => fs.readFileSync(path.join(home, file), "utf8")

  beforeAll(async () => {
    home = (await packed()).home
    files = (fs.readdirSync(home, { recursive: true }) as Array<string>).map((name) => name.replaceAll(path.sep, "/"))
  }, 600_000)

  it("has the README, the changelog, the docs and the examples, and no generated reference", () => {
    expect(files).toEqual(
      expect.arrayContaining(["README.md", "CHANGELOG.md", "docs/README.md", "examples/quickstart.ts"])
    )
    expect(files.filter((name) => /^(docs\/api|test|scripts|bench\/(?!results))\b/.test(name))).toEqual([])
  })

  it("has every file and heading that its pages link to", () => {
    const pages = files.filter((name) => name.endsWith(".md"))
    const links = pages.flatMap((page) => linksOf(read(page)).map((link) => ({ page, ...link })))
    expect(links.length).toBeGreaterThan(200)
    const broken = links.filter(({ page, target }) => {
      const [file = "", anchor] = target.split("#")
      const led = file === "" ? page : path.posix.join(path.posix.dirname(page), file)
      return !files.includes(led) || (anchor !== undefined && !anchorsOf(read(led)).has(anchor))
    })
    expect(broken.map(({ line, page, target }) => `${page}:${line} ${target}`)).toEqual([])
  })

  it("has every page that a comment of its sources, declarations or examples names", () => {
    const texts = files.filter((name) => /\.ts$/.test(name))
    const named = texts.flatMap((file) =>
      [...read(file).matchAll(/(?<![\w./-])(?:docs|examples)\/[\w./-]*\.\w+/g)].map(([name]) => ({ file, name }))
    )
    expect(named.length).toBeGreaterThan(0)
    expect(named.filter(({ name }) => !files.includes(name))).toEqual([])
  })

  it("is less than 2.5 megabytes to download", async () => {
    expect(fs.statSync((await packed()).tarball).size).toBeLessThan(2_500_000)
  })
})
