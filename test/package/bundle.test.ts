/** A bundler keeps nothing of an import that is not used, and only the modules of the package that are used. */
import * as fs from "node:fs"
import * as path from "node:path"
import * as esbuild from "esbuild"
import { beforeAll, describe, expect, it } from "vitest"
import { type Packed, packed } from "../../scripts/packed.js"

describe("a bundle", () => {
  let made: Packed
  beforeAll(async () => {
    made = await packed()
  }, 300_000)

  /** What is left of each module of the package in the bundle of a program, in bytes. */
  const bytes = async (code: string): Promise<ReadonlyMap<string, number>> => {
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
    return new Map(
      Object.values(metafile.outputs)
        .flatMap(({ inputs }) => Object.entries(inputs))
        .filter(([name, { bytesInOutput }]) => name !== "<stdin>" && bytesInOutput > 0)
        .map(([name, { bytesInOutput }]) => [path.relative("dist/esm", name).replace(/\.js$/, ""), bytesInOutput])
    )
  }
  const kept = async (code: string) => [...(await bytes(code)).keys()]

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

  it("of a small module keeps no client, connection or command group", async () => {
    const of = (module: string) => kept(`import * as M from "effect-redis-client/${module}"\nconsole.log(M)`)
    expect((await of("RedisError")).sort()).toEqual(["RedisError", "internal/errorSchemas"])
    expect((await of("Codec")).sort()).toEqual(["Codec", "internal/issue", "internal/resp"])
    const others = (await of("Resp")).filter(
      (name) =>
        ![
          "Resp",
          "RedisError",
          "internal/resp",
          "internal/command",
          "internal/decodeChannel",
          "internal/errorSchemas"
        ].includes(name)
    )
    expect(others).toEqual([])
  })

  it("loads the Node transport only with the first connection: no other chunk names node:net or node:tls", () => {
    const folder = path.join(made.home, "dist/esm/internal")
    const naming = fs
      .readdirSync(folder)
      .filter(
        (file) => file.endsWith(".js") && /node:(?:net|tls)/.test(fs.readFileSync(path.join(folder, file), "utf8"))
      )
    expect(naming).toEqual(["node.js"])
    expect(fs.readFileSync(path.join(folder, "connection.js"), "utf8")).toMatch(/import\(["']\.\/node\.js["']\)/)
  })

  it("keeps only the used parts of a chunk", async () => {
    const chunk = fs.statSync(path.join(made.home, "dist/esm/internal/commands.js")).size
    const used = await bytes(`import { make } from "effect-redis-client/commands/transactions"\nconsole.log(make)`)
    expect(used.get("internal/commands")).toBeLessThan(chunk / 50)
  })
})
