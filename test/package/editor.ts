/** What an editor shows a user of the packed package: TypeScript's language service, asked about a place in a program. */
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"
import { type Packed, packed } from "../../scripts/packed.js"

const options: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
  types: [],
  noEmit: true
}

export interface Shown {
  /** The signature line(s). */
  readonly signature: string
  readonly documentation: string
  /** The tags by name: `since`, `deprecated`, … */
  readonly tags: Record<string, string>
  /** Whether the editor strikes the name through. */
  readonly struckThrough: boolean
}

export interface Editor {
  readonly packed: Packed
  /** Type errors of a program. */
  readonly problems: (code: string) => ReadonlyArray<string>
  /** What is shown for the name that follows the mark `/*|*\/` in a program. */
  readonly hover: (code: string) => Shown
  /** Every export of a module, with what is shown for it. */
  readonly exports: (
    specifier: string
  ) => ReadonlyArray<{ readonly name: string } & Pick<Shown, "documentation" | "tags">>
}

const mark = "/*|*/"

const tagsOf = (tags: ReadonlyArray<ts.JSDocTagInfo>) =>
  Object.fromEntries(tags.map(({ name, text }) => [name, ts.displayPartsToString([...(text ?? [])])]))

export const open = (): Editor => {
  const made = packed()
  const file = path.join(made.consumer, "user.mts")
  let text = ""
  let version = 0
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [file],
    getScriptVersion: (name) => (name === file ? String(version) : "0"),
    getScriptSnapshot: (name) => {
      if (name === file) return ts.ScriptSnapshot.fromString(text)
      return fs.existsSync(name) ? ts.ScriptSnapshot.fromString(fs.readFileSync(name, "utf8")) : undefined
    },
    getCurrentDirectory: () => made.consumer,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (name) => name === file || ts.sys.fileExists(name),
    readFile: ts.sys.readFile,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    realpath: (name) => ts.sys.realpath?.(name) ?? name
  })
  const type = (code: string) => {
    text = code
    version++
  }
  return {
    packed: made,
    problems: (code) => {
      type(code)
      return [...service.getSyntacticDiagnostics(file), ...service.getSemanticDiagnostics(file)].map(
        ({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")
      )
    },
    hover: (code) => {
      const at = code.indexOf(mark) + mark.length
      if (at < mark.length) throw new Error(`no ${mark} in the program`)
      type(code)
      const info = service.getQuickInfoAtPosition(file, at)
      if (info === undefined) throw new Error("the editor shows nothing there")
      return {
        signature: ts.displayPartsToString(info.displayParts),
        documentation: ts.displayPartsToString(info.documentation),
        tags: tagsOf(info.tags ?? []),
        struckThrough: service
          .getSuggestionDiagnostics(file)
          .some(({ reportsDeprecated, start = -1 }) => reportsDeprecated !== undefined && start === at)
      }
    },
    exports: (specifier) => {
      type(`import * as module from "${specifier}"\nmodule`)
      const program = service.getProgram()
      const checker = program?.getTypeChecker()
      const source = program?.getSourceFile(file)
      const statement = source?.statements[0]
      if (checker === undefined || statement === undefined || !ts.isImportDeclaration(statement))
        throw new Error("no program")
      const symbol = checker.getSymbolAtLocation(statement.moduleSpecifier)
      if (symbol === undefined) throw new Error(`no module ${specifier}`)
      return checker.getExportsOfModule(symbol).map((exported) => ({
        name: exported.name,
        documentation: ts.displayPartsToString(exported.getDocumentationComment(checker)),
        tags: tagsOf(exported.getJsDocTags(checker))
      }))
    }
  }
}
