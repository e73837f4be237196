/**
 * `npm run build`: `src/` becomes `dist/`, one output file per module, so that bundlers can leave out what is not used.
 *
 *     dist/esm/   ES modules, source maps, declarations (with doc comments) and declaration maps
 *     dist/cjs/   the same as CommonJS, with a package.json that says so
 *
 * TypeScript does both: the ES modules from a checked program, the CommonJS file by file. Each format has declarations of
 * its own, because a declaration file takes the module format of the package.json above it; their text is the same.
 * When the type checker reports an error, nothing is written.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = path.resolve(import.meta.dirname, "..")

const host: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => root,
  getCanonicalFileName: (name) => name,
  getNewLine: () => "\n"
}

const failOn = (diagnostics: ReadonlyArray<ts.Diagnostic>) => {
  if (diagnostics.length > 0) throw new Error(`the build failed\n${ts.formatDiagnostics(diagnostics, host)}`)
}

const write = (file: string, text: string) => {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, text)
}

const emitEsm = (project: ts.ParsedCommandLine, outDir: string) => {
  const program = ts.createProgram(project.fileNames, { ...project.options, outDir, noEmitOnError: true })
  failOn(ts.getPreEmitDiagnostics(program))
  failOn(program.emit().diagnostics)
}

/**
 * The name ends in `.cts` while TypeScript looks at it: with module `Node16` this means CommonJS in which `import()`
 * stays `import()`. With module `CommonJS` it would become `require`, which cannot load the peers that are ES modules.
 */
const toCommonJs = (file: string, options: ts.CompilerOptions, outFile: string) => {
  const result = ts.transpileModule(fs.readFileSync(file, "utf8"), {
    fileName: file.replace(/\.ts$/, ".cts"),
    compilerOptions: {
      ...options,
      module: ts.ModuleKind.Node16,
      moduleResolution: ts.ModuleResolutionKind.Node16,
      declaration: false,
      declarationMap: false,
      esModuleInterop: true
    },
    reportDiagnostics: true
  })
  failOn(result.diagnostics ?? [])
  const map = JSON.parse(result.sourceMapText ?? "{}")
  map.file = path.basename(outFile)
  map.sources = [path.relative(path.dirname(outFile), file)]
  write(outFile, result.outputText.replace(/(?<=sourceMappingURL=.*)\.cjs\.map$/m, ".js.map"))
  write(`${outFile}.map`, JSON.stringify(map))
}

/** Builds the sources of the package in `home` into its `dist`. */
export const build = (home: string = root) => {
  const dist = path.join(home, "dist")
  // A module that was deleted or renamed must not be published from an older build.
  fs.rmSync(dist, { recursive: true, force: true })
  const config = path.join(home, "tsconfig.build.json")
  const project = ts.getParsedCommandLineOfConfigFile(
    config,
    {},
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (d) => failOn([d]) }
  )
  if (project === undefined) throw new Error(`no project at ${config}`)
  failOn(project.errors)
  const esm = path.join(dist, "esm")
  const cjs = path.join(dist, "cjs")
  emitEsm(project, esm)
  for (const file of project.fileNames) {
    const module = path.relative(path.join(home, "src"), file).replace(/\.ts$/, "")
    toCommonJs(file, project.options, path.join(cjs, `${module}.js`))
    for (const suffix of [".d.ts", ".d.ts.map"]) {
      fs.copyFileSync(path.join(esm, module + suffix), path.join(cjs, module + suffix))
    }
  }
  // Bundlers look for `sideEffects` in the nearest package.json, which for these files is this one.
  write(path.join(cjs, "package.json"), `${JSON.stringify({ type: "commonjs", sideEffects: [] })}\n`)
  return { modules: project.fileNames.length, dist }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { modules } = build()
    console.log(`built ${modules} modules into dist/esm and dist/cjs`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
