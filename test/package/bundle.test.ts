/** What a bundler keeps of the packed package: nothing of what is imported for nothing, and no module that is not used. */
import * as path from "node:path"
import * as esbuild from "esbuild"
import { beforeAll, describe, expect, it } from "vitest"
import { type Packed, packed } from "../../scripts/packed.js"

describe("a bundle", () => {
  let made: Packed
  beforeAll(async () => {
    made = await packed()
  }, 300_000)

  /** The modules of the package of which something is left in the bundle of a program. */
  const kept = async (code: string) => {
    const { metafile } = await esbuild.build({
      stdin: { contents: code, resolveDir: made.consumer, loader: "js" },
      bundle: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "node",
      absWorkingDir: made.home,
      logLevel: "error",
      // The repository's own tsconfig maps the package's name to its sources.
      tsconfigRaw: {},
      external: ["effect", "@effect/*", "js-redis-server"]
    })
    return Object.values(metafile.outputs)
      .flatMap(({ inputs }) => Object.entries(inputs))
      .filter(([name, { bytesInOutput }]) => name !== "<stdin>" && bytesInOutput > 0)
      .map(([name]) => path.relative("dist/esm", name).replace(/\.js$/, ""))
  }

  it("has nothing of what is imported for nothing", async () => {
    for (const entry of made.entrypoints) {
      expect(await kept(`import "${path.posix.join("effect-redis-client", entry)}"`)).toEqual([])
    }
  })

  it("has only the modules that are used", async () => {
    const modules = await kept(`import { Codec } from "effect-redis-client"\nconsole.log(Codec)`)
    expect(modules).toContain("Codec")
    expect(modules).not.toContain("Redis")
    expect(modules.filter((name) => /transport|connection|pool/i.test(name))).toEqual([])
  })
})
