/** What becomes of texts and versions in the edition for Effect 4. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { chooseEffect4, docs } from "../scripts/effect4/docs.js"
import { versionFor } from "../scripts/effect4/package.js"
import { blocksOf } from "./support/blocks.js"
import { anchorsOf, linksOf } from "./support/pages.js"

const root = path.resolve(import.meta.dirname, "..")
const fence = "```"

describe("a page", () => {
  const page = [
    "An <!-- effect 3 -->`Either`<!-- effect 4 `Result` -->, for short.",
    "<!-- effect 3 -->",
    "## Three",
    `${fence}ts`,
    "const three = 3",
    fence,
    "<!-- effect 4",
    "## Four",
    "[a link](four.md)",
    `${fence}ts no-run effect4`,
    "const four = 4",
    fence,
    "-->",
    "The end."
  ].join("\n")

  it("shows what is for Effect 3, and is translated with what is for Effect 4 in its place", () => {
    expect(chooseEffect4(page).split("\n")).toEqual([
      "An `Result`, for short.",
      "## Four",
      "[a link](four.md)",
      `${fence}ts no-run effect4`,
      "const four = 4",
      fence,
      "The end."
    ])
  })

  it("hides what is for Effect 4 from its readers: blocks, links and headings", () => {
    expect(blocksOf(page).map(({ code }) => code)).toEqual(["const three = 3\n"])
    expect(linksOf(page)).toEqual([])
    expect([...anchorsOf(page)]).toEqual(["three"])
  })

  it("keeps blocks that are for the other edition out of this one's program", () => {
    const both = `${fence}ts no-run effect3\nconst a = 3\n${fence}\n${fence}ts no-run effect4\nconst a = 4\n${fence}\n`
    expect(blocksOf(both).map(({ code }) => code)).toEqual(["const a = 3\n"])
  })
})

describe("names in backticks", () => {
  const translated = (text: string) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "effect4-docs-"))
    try {
      const reading = docs({
        root,
        folder,
        texts: new Map([["docs/a.md", text]]),
        translateFile: () => ({ text: "", unknown: [] }),
        exportsOf: () => new Set(["gen"])
      })
      return { text: reading.translate("docs/a.md", text), unknown: reading.unknown }
    } finally {
      fs.rmSync(folder, { recursive: true })
    }
  }

  it("get the names of Effect 4, once", () => {
    expect(translated("an `Either`, `Schema.BigInt` and `Schema.BigIntFromSelf`, `Effect.gen`, `Redis.Tag`").text).toBe(
      "a `Result`, `Schema.BigIntFromString` and `Schema.BigInt`, `Effect.gen`, `Redis.Tag`"
    )
  })

  it("that Effect 4 does not have are reported with their place", () => {
    expect(translated("one\n`Effect.nothingOfThatName`").unknown).toEqual([
      "docs/a.md:2: Effect 4 has no Effect.nothingOfThatName"
    ])
  })
})

describe("the version for Effect 4", () => {
  it("has the numbers of the version for Effect 3, and is a pre-release before that has one", () => {
    expect(["3.0.0", "3.12.1", "0.1.0"].map(versionFor)).toEqual(["4.0.0", "4.12.1", "4.0.0-pre.0.1.0"])
  })
})
