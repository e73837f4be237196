/** Type checking stays cheap: a limit on what many commands add to the cost of the same program without them. */
import * as fs from "node:fs"
import * as path from "node:path"
import { describe, expect, it } from "vitest"
import { costOf, fixtures } from "../../scripts/type-budget.js"

const limit = 5_800

describe("the cost of types", { timeout: 300_000 }, () => {
  it(`is at most ${limit} instantiations for a program of commands`, async () => {
    const uses = fs.readFileSync(path.join(fixtures, "with-commands.ts"), "utf8").match(/\bRedis\.[a-z]\w*\(/g) ?? []
    const without = await costOf("without-commands.ts")
    const cost = await costOf("with-commands.ts")
    const added = cost.instantiations - without.instantiations
    console.log(
      `${uses.length} uses of commands: ${added} instantiations on top of ${without.instantiations} ` +
        `(${cost.types - without.types} types)`
    )
    expect(uses.length).toBeGreaterThanOrEqual(20)
    expect(added).toBeLessThanOrEqual(limit)
  })
})
