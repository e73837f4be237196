/**
 * `npm run check:package`: looks at the packed package as its users would.
 *
 * 1. publint and are-the-types-wrong find nothing, in any module that may be imported.
 * 2. Node loads every module by `import` and by `require`, and refuses the internal ones.
 * 3. A small program that uses the package type-checks as ES module, as CommonJS, under a bundler and under the old `node`
 *    resolution, with the oldest TypeScript we support, ours, and the native one. The emitted declarations are checked
 *    too, which `skipLibCheck` keeps users from noticing.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"
import ts54 from "typescript-5.4"
import { packed } from "./packed.js"

const root = path.resolve(import.meta.dirname, "..")
const modules = path.join(root, "node_modules")
const { consumer, entrypoints, home, internal, tarball } = await packed()

let failures = 0
const report = (name: string, problems: string) => {
  console.log(`${problems === "" ? "ok    " : "FAILED"}  ${name}`)
  if (problems === "") return
  failures++
  console.log(problems.trimEnd().replace(/^/gm, "        "))
}

/** Runs a program and gives back what it said if it failed. */
const problemsOf = (args: ReadonlyArray<string>, cwd = root) => {
  const done = spawnSync(process.execPath, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" }
  })
  return done.status === 0 ? "" : `${done.stdout}${done.stderr}` || `ended with ${done.status ?? done.signal}`
}

// 1. The linters of packages

report("publint", problemsOf([path.join(modules, "publint/src/cli.js"), "run", tarball, "--strict"]))
report(
  `are-the-types-wrong, ${entrypoints.length} modules`,
  problemsOf([
    path.join(modules, "@arethetypeswrong/cli/dist/index.js"),
    tarball,
    "--format",
    "ascii",
    "--no-emoji",
    "--entrypoints",
    ...entrypoints
  ])
)

// 2. The modules load

const specifiers = entrypoints.map((entry) => path.posix.join("effect-redis-client", entry))
const closed = internal.map((module) => `effect-redis-client/${module}`)

const loads = (load: string) => `
const load = ${load}
const main = async () => {
  for (const name of ${JSON.stringify(specifiers)}) {
    await load(name)
  }
  for (const name of ${JSON.stringify(closed)}) {
    const error = await Promise.resolve().then(() => load(name)).then(() => undefined, (error) => error)
    if (error?.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw new Error(name + " can be imported")
  }
}
main().catch((error) => { console.error(error); process.exitCode = 1 })
`
const write = (file: string, text: string) => {
  fs.mkdirSync(path.join(consumer, path.dirname(file)), { recursive: true })
  fs.writeFileSync(path.join(consumer, file), text)
}
write("load.mjs", loads("(name) => import(name)"))
write("load.cjs", loads("(name) => require(name)"))
report(
  `import of ${specifiers.length} modules, none of ${closed.length} internal ones`,
  problemsOf(["load.mjs"], consumer)
)
report(
  `require of ${specifiers.length} modules, none of ${closed.length} internal ones`,
  problemsOf(["load.cjs"], consumer)
)

// 3. The types compile

const fixtures = path.join(root, "test/types/fixtures")
const programs = fs.existsSync(fixtures) ? fs.readdirSync(fixtures).filter((name) => name.endsWith(".ts")) : []
const everything = [
  ...specifiers.map((name, i) => `import * as M${i} from "${name}"`),
  `export const modules = [${specifiers.map((_, i) => `M${i}`).join(", ")}]`
].join("\n")

const strict = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  esModuleInterop: true,
  target: "ES2022",
  lib: ["ES2022", "DOM", "ESNext.Disposable"],
  types: ["node"],
  noEmit: true
}
const kinds = [
  { kind: "esm", type: "module", options: { module: "NodeNext", moduleResolution: "NodeNext" }, native: true },
  { kind: "cjs", type: "commonjs", options: { module: "NodeNext", moduleResolution: "NodeNext" }, native: true },
  { kind: "bundler", type: "module", options: { module: "ESNext", moduleResolution: "Bundler" }, native: true },
  { kind: "node10", type: "commonjs", options: { module: "CommonJS", moduleResolution: "Node10" }, native: false }
]

/** Diagnostics of the consumer's files and of our declarations, not of the peers'. */
const diagnosticsOf = (compiler: typeof ts, config: string) => {
  const project = compiler.getParsedCommandLineOfConfigFile(
    config,
    {},
    {
      ...compiler.sys,
      onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
        throw new Error(compiler.flattenDiagnosticMessageText(diagnostic.messageText, "\n"))
      }
    }
  )
  if (project === undefined) throw new Error(`no project at ${config}`)
  const program = compiler.createProgram(project.fileNames, project.options)
  const ours = program.getSourceFiles().filter((file) => file.fileName.startsWith(`${consumer}/`))
  if (!ours.some((file) => file.fileName.startsWith(`${home}/`))) return "the package was not found"
  return compiler.formatDiagnostics(
    [
      ...project.errors,
      ...program.getOptionsDiagnostics(),
      ...program.getGlobalDiagnostics(),
      ...ours.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    ],
    { getCurrentDirectory: () => consumer, getCanonicalFileName: (name) => name, getNewLine: () => "\n" }
  )
}

for (const { kind, native, options, type } of kinds) {
  write(`${kind}/package.json`, JSON.stringify({ type }))
  write(`${kind}/everything.ts`, everything)
  for (const program of programs) fs.copyFileSync(path.join(fixtures, program), path.join(consumer, kind, program))
  const config = path.join(consumer, kind, "tsconfig.json")
  write(`${kind}/tsconfig.json`, JSON.stringify({ compilerOptions: { ...strict, ...options, skipLibCheck: false } }))
  for (const compiler of [ts, ts54 as unknown as typeof ts]) {
    report(`types under TypeScript ${compiler.version}, ${kind}`, diagnosticsOf(compiler, config))
  }
  if (native) {
    const tsc = path.join(modules, "typescript-7/bin/tsc")
    report(`types under TypeScript 7, ${kind}`, problemsOf([tsc, "-p", config, "--skipLibCheck"]))
  }
}

if (failures > 0) {
  console.error(`${failures} checks of the package failed`)
  process.exitCode = 1
}
