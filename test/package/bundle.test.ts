/** A bundler keeps nothing of an import that is not used, and only the modules of the package that are used. */
import * as path from "node:path"
import * as esbuild from "esbuild"
import { beforeAll, describe, expect, it } from "vitest"
import { type Packed, packed } from "../../scripts/packed.js"

describe("a bundle", () => {
  let made: Packed
  beforeAll(async () => {
    made = await packed()
  }, 300_000)

  /** The modules of the package that are part of a program's bundle. */
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
      // The repository's own tsconfig would map the package's name to its sources.
      tsconfigRaw: {},
      external: ["effect", "@effect/*", "js-redis-server"]
    })
    return Object.values(metafile.outputs)
      .flatMap(({ inputs }) => Object.entries(inputs))
      .filter(([name, { bytesInOutput }]) => name !== "<stdin>" && bytesInOutput > 0)
      .map(([name]) => path.relative("dist/esm", name).replace(/\.js$/, ""))
  }

  it("keeps nothing of a bare import", async () => {
    for (const entry of made.entrypoints) {
      expect(await kept(`import "${path.posix.join("effect-redis-client", entry)}"`)).toEqual([])
    }
  })

  it("keeps only the modules that are used", async () => {
    const modules = await kept(`import { Codec } from "effect-redis-client"\nconsole.log(Codec)`)
    expect(modules).toContain("Codec")
    expect(modules).not.toContain("Redis")
    expect(modules.filter((name) => /transport|connection|pool/i.test(name))).toEqual([])
  })
})
