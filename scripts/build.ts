/**
 * `npm run build`: `src/` becomes `dist/`.
 *
 *     dist/esm/   ES modules: one file per public module, and one per chunk of internal ones; declarations per module
 *     dist/cjs/   CommonJS file by file, with a package.json that says so, and the same declarations
 *
 * The command (`src/cli`) is one file, `cli/main.js` of the ES modules: nobody imports it, so it has no declarations.
 *
 * Node pays for every file it loads and for every import it resolves, so rollup joins the ES modules by room
 * (docs/decisions/0019-chunks.md). TypeScript checks the program, translates each file and writes the declarations. Each
 * format has declarations of its own, because a declaration file takes the module format of the package.json above it;
 * their text is the same. Both formats have source maps that point into `src/`.
 *
 * With an error nothing is written.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { transform } from "esbuild"
import { type Plugin, rollup } from "rollup"
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

/**
 * Declares a member that is a function as a call signature with the member's comment: while arguments are typed, editors
 * show the comment of the signature, and not the member's. The sources have it once.
 */
const documentSignatures: ts.TransformerFactory<ts.SourceFile | ts.Bundle> = (context) => (file) => {
  const { factory } = context
  const visit = (node: ts.Node): ts.Node => {
    const visited = ts.visitEachChild(node, visit, context)
    const source = ts.getParseTreeNode(node)
    if (!ts.isPropertySignature(visited) || !visited.type || !ts.isFunctionTypeNode(visited.type) || !source) {
      return visited
    }
    const comment = ts.getJSDocCommentsAndTags(source).filter(ts.isJSDoc).at(-1)
    if (comment === undefined) return visited
    const { modifiers, name, questionToken, type } = visited
    const signature = factory.createCallSignature(type.typeParameters, type.parameters, type.type)
    const text = comment.getText().slice("/*".length, -"*/".length)
    ts.addSyntheticLeadingComment(signature, ts.SyntaxKind.MultiLineCommentTrivia, text, true)
    const members = factory.createTypeLiteralNode([signature])
    return factory.updatePropertySignature(visited, modifiers, name, questionToken, members)
  }
  return ts.visitEachChild(file as ts.SourceFile, visit, context)
}

/** Checks the program and writes its declarations. */
const emitDeclarations = (project: ts.ParsedCommandLine, outDir: string) => {
  const options = { ...project.options, outDir, noEmitOnError: true, emitDeclarationOnly: true }
  const program = ts.createProgram(project.fileNames, options)
  failOn(ts.getPreEmitDiagnostics(program))
  const transformers = { afterDeclarations: [documentSignatures] }
  failOn(program.emit(undefined, undefined, undefined, undefined, transformers).diagnostics)
}

/**
 * The chunk in which an internal module, or a module of `commands/`, is put. A chunk is what one part of the package loads
 * together: `Codec` loads `resp` alone, `RedisError` loads none. Rooms that no rule names go to `client`.
 */
const chunks: ReadonlyArray<readonly [modules: RegExp, chunk: string]> = [
  // `RedisError` needs these alone.
  [/^internal\/(effect\/(errorSchemas|schemas)|resp\/visible)$/, "internal/errorSchemas"],
  [/^internal\/resp\//, "internal/resp"],
  // Each of these is all that a small public module needs of Effect: `Codec`, `Resp`.
  [/^internal\/effect\/(issue|either|jsonSide|struct)$/, "internal/issue"],
  [/^internal\/effect\/decodeChannel$/, "internal/decodeChannel"],
  [/^internal\/(command\/|effect\/commandEffect$)/, "internal/command"],
  [/^commands\//, "internal/commands"],
  // `node:net` and `node:tls` are imported here and nowhere else.
  [/^internal\/connection\/nodeTransport$/, "internal/node"],
  [/^internal\/(effect|telemetry|engine|request|connection|pool)\b/, "internal/connection"],
  [/^internal\/nodes\/(?!lazyListed$)/, "internal/nodes"],
  [/^internal\/cluster\//, "internal/cluster"],
  [/^internal\/sentinel\//, "internal/sentinel"],
  [/^internal\/lock\//, "internal/lock"],
  // Each of these needs a peer of its own.
  [/^internal\/adapter\//, "internal/adapter"],
  [/^internal\/keyValueStore\//, "internal/keyValueStore"],
  [/^internal\/persistence\//, "internal/persistence"],
  [/^internal\/rateLimiterStore\//, "internal/rateLimiterStore"],
  [/^internal\/persistedQueue\//, "internal/persistedQueue"],
  [/^internal\/limiter\//, "internal/limiter"],
  [/^internal\//, "internal/client"]
]

/** The file that the package's `bin` names. */
const command = "cli/main"

const ofCommand = (module: string): boolean => module.startsWith("cli/")

/**
 * Public modules, except those of `commands/`, are files of their own, and so is the inside of `testing/`. What only the command
 * imports goes into its file.
 */
const chunkOf = (module: string): string | undefined =>
  ofCommand(module) ? undefined : (chunks.find(([modules]) => modules.test(module))?.[1] ?? module)

/**
 * Marks every call that runs when the module is loaded as one that a bundler may leave out when its result is not used.
 * The package promises this with `sideEffects: []` for whole files; a chunk holds many modules, so it has to be said for
 * each call.
 */
const markPure: ts.TransformerFactory<ts.SourceFile> = (context) => (file) => {
  const mark = <N extends ts.Node>(node: N): N =>
    ts.addSyntheticLeadingComment(node, ts.SyntaxKind.MultiLineCommentTrivia, "#__PURE__", false)
  const skipCallee = (callee: ts.Node): ts.Node =>
    ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)
      ? ts.visitEachChild(callee, (child) => (child === callee.expression ? skipCallee(child) : visit(child)), context)
      : visit(callee)
  const visit = (node: ts.Node): ts.Node => {
    // What is in a function runs later.
    if (ts.isFunctionLike(node)) return node
    if (ts.isCallExpression(node)) {
      // One mark stands for a whole chain of calls.
      return mark(
        ts.visitEachChild(node, (child) => (child === node.expression ? skipCallee(child) : visit(child)), context)
      )
    }
    const visited = ts.visitEachChild(node, visit, context)
    return ts.isNewExpression(visited) ? mark(visited) : visited
  }
  return ts.visitEachChild(
    file,
    (statement) =>
      ts.isVariableStatement(statement) || ts.isClassDeclaration(statement) ? visit(statement) : statement,
    context
  )
}

/** TypeScript translates and marks the calls, esbuild drops the comments: they are in `src/` and in the declarations. */
const translate = async (file: string, options: ts.CompilerOptions) => {
  const typed = ts.transpileModule(fs.readFileSync(file, "utf8"), {
    fileName: file,
    compilerOptions: {
      ...options,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      declaration: false,
      declarationMap: false,
      inlineSourceMap: true,
      sourceMap: false
    },
    transformers: { before: [markPure] },
    reportDiagnostics: true
  })
  failOn(typed.diagnostics ?? [])
  return transform(typed.outputText, {
    loader: "js",
    sourcefile: file,
    sourcemap: "external",
    legalComments: "none",
    tsconfigRaw: {}
  })
}

const emitEsm = async (project: ts.ParsedCommandLine, src: string, outDir: string) => {
  const moduleOf = (file: string) => path.relative(src, file).replaceAll(path.sep, "/").replace(/\.ts$/, "")
  const files = new Map(project.fileNames.map((file) => [moduleOf(file), path.resolve(file)]))
  const sources: Plugin = {
    name: "sources",
    resolveId(name, importer) {
      if (importer === undefined) return name
      if (!name.startsWith(".")) return { id: name, external: true, moduleSideEffects: false }
      // Public modules import each other as users do: `Redis.stream` is the namespace that \`import * as\` gives.
      const isPublic = (module: string) => !module.includes("/")
      const imported = path.resolve(path.dirname(importer), name.replace(/\.js$/, ".ts"))
      return isPublic(moduleOf(importer)) && isPublic(moduleOf(imported))
        ? { id: name, external: true, moduleSideEffects: false }
        : imported
    },
    load: (file) => translate(file, project.options),
    // A module of `commands/` only names its exports: beside the chunk that has them there is nothing to load.
    renderChunk: (code, { modules }) =>
      Object.keys(modules).length > 0 ? null : { code: code.replace(/^import '[^']+';\n/gm, ""), map: null }
  }
  const bundle = await rollup({
    input: Object.fromEntries(
      [...files].filter(
        ([module]) => !module.split("/").includes("internal") && (!ofCommand(module) || module === command)
      )
    ),
    plugins: [sources],
    preserveEntrySignatures: "strict",
    treeshake: { moduleSideEffects: false },
    onLog: (_, { message }) => {
      // Among others: chunks that import each other.
      throw new Error(`the build failed\n${message}`)
    }
  })
  await bundle.write({
    dir: outDir,
    format: "es",
    entryFileNames: "[name].js",
    chunkFileNames: "[name].js",
    manualChunks: (file) => chunkOf(moduleOf(file)),
    minifyInternalExports: false,
    generatedCode: "es2015",
    hoistTransitiveImports: false,
    sourcemap: true,
    sourcemapExcludeSources: true
  })
  await bundle.close()
  fs.chmodSync(path.join(outDir, `${command}.js`), 0o755)
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

/**
 * Builds the sources of the package in `home` into its `dist`. Without `commonJs` (the edition for Effect 4) there are ES modules
 * alone, in `dist` itself.
 */
export const build = async (home: string = root, { commonJs = true } = {}) => {
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
  const esm = commonJs ? path.join(dist, "esm") : dist
  const cjs = path.join(dist, "cjs")
  emitDeclarations(project, esm)
  fs.rmSync(path.join(esm, "cli"), { recursive: true })
  await emitEsm(project, path.join(home, "src"), esm)
  if (!commonJs) return { modules: project.fileNames.length, dist }
  for (const file of project.fileNames) {
    const module = path.relative(path.join(home, "src"), file).replace(/\.ts$/, "")
    if (ofCommand(module)) continue
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
    const { modules } = await build()
    console.log(`built ${modules} modules into dist/esm and dist/cjs`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
