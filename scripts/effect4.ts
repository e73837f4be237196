/**
 * `npm run effect4`: makes the edition for Effect 4 in `.effect4` from the sources, the tests and the examples, which are
 * written for Effect 3. Whatever differs in more than names stands in `effect4/`, whose files replace those of the same path.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as ts from "typescript"
import { translate } from "./effect4/codemod.js"

const root = path.resolve(import.meta.dirname, "..")
const overlay = path.join(root, "effect4")
const out = path.join(root, ".effect4")
const folders = ["src", "test", "examples", "scripts/fuzz"]
/** Further files that both editions need. */
const files = ["vitest.config.ts"]

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

const filesIn = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder) && !fs.statSync(folder).isDirectory()
    ? [folder]
    : fs.existsSync(folder)
      ? fs
          .readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => path.join(entry.parentPath, entry.name))
      : []

const write = (to: string, text: string | Buffer): void => {
  fs.mkdirSync(path.dirname(to), { recursive: true })
  // An unchanged file keeps its time, so that compilers need not read it again.
  const now = fs.existsSync(to) ? fs.readFileSync(to) : undefined
  if (now === undefined || !now.equals(Buffer.from(text))) fs.writeFileSync(to, text)
}

const config = ts.parseJsonConfigFileContent(
  ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile).config,
  ts.sys,
  root
)
const program = ts.createProgram(config.fileNames, { ...config.options, noEmit: true })
const replaced = new Set(filesIn(overlay).map((file) => path.relative(overlay, file)))
const unknown: Array<string> = []
const kept = new Set<string>()
let changed = 0
for (const folder of [...folders, ...files]) {
  for (const file of filesIn(path.join(root, folder))) {
    const name = path.relative(root, file)
    kept.add(name)
    if (replaced.has(name)) continue
    const source = file.endsWith(".ts") ? program.getSourceFile(file) : undefined
    if (source === undefined) {
      write(path.join(out, name), fs.readFileSync(file))
      continue
    }
    const translation = translate(source, { program, exportsOf })
    unknown.push(...translation.unknown)
    if (translation.text !== source.text) changed++
    write(path.join(out, name), translation.text)
  }
}
for (const name of replaced) {
  kept.add(name)
  write(path.join(out, name), fs.readFileSync(path.join(overlay, name)))
}
// What is gone from the sources goes here too.
for (const folder of folders) {
  for (const file of filesIn(path.join(out, folder))) {
    if (!kept.has(path.relative(out, file))) fs.rmSync(file)
  }
}
if (unknown.length > 0) {
  console.error(unknown.map((line) => line.replace(`${root}/`, "")).join("\n"))
  console.error(
    `${unknown.length} names that Effect 4 does not have. Give them to scripts/effect4/names.ts or to effect4/.`
  )
  process.exitCode = 1
}
console.log(`${kept.size} files, ${changed} changed, ${replaced.size} of the overlay`)
