/**
 * The types as users get them, packed: doc comments and deprecations are still there, types stay readable, and every export
 * is documented.
 */
import { beforeAll, describe, expect, it } from "vitest"
import { type Editor, open } from "./editor.js"

describe("the packed types", { timeout: 300_000 }, () => {
  let editor: Editor
  beforeAll(async () => {
    editor = await open()
  }, 300_000)

  it("compile", () => {
    const code = editor.packed.entrypoints.map((entry, i) => {
      const specifier = entry === "." ? "effect-redis-client" : `effect-redis-client/${entry}`
      return `import * as M${i} from "${specifier}"\nexport { M${i} }`
    })
    expect(editor.problems(code.join("\n"))).toEqual([])
  })

  it("have `@since` and `@category` on every export", () => {
    const modules = editor.packed.entrypoints.filter((entry) => entry !== ".")
    const silent = editor
      .exports(modules.map((module) => `effect-redis-client/${module}`))
      .filter(({ tags }) => tags.since === undefined || tags.category === undefined)
      .map(({ module, name }) => `${module}: ${name}`)
    expect(silent).toEqual([])
  })

  it("show doc comments on commands", () => {
    const shown = editor.hover(`import { Redis } from "effect-redis-client"\nRedis./*|*/get("key")`)
    expect(shown.documentation).not.toBe("")
    expect(shown.signature).toMatch(/get.*RedisCommand<Option<string>/)
    expect(shown.struckThrough).toBe(false)
  })

  it("strike deprecated commands through", () => {
    const shown = editor.hover(`import { Redis } from "effect-redis-client"\nRedis./*|*/getset("key", "value")`)
    expect(shown.tags.deprecated).not.toBe("")
    expect(shown.struckThrough).toBe(true)
  })
})
