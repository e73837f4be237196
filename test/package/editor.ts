/** Asks TypeScript's language service what an editor shows at a place in a program that uses the packed package. */
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"
import { type Packed, packed } from "../../scripts/packed.js"
import { type Place, placesIn } from "./places.js"

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

export interface Exported extends Pick<Shown, "documentation" | "tags"> {
  readonly module: string
  readonly name: string
}

export interface Editor {
  readonly packed: Packed
  /** Type errors of a program. */
  readonly problems: (code: string) => ReadonlyArray<string>
  /** The declarations that the compiler emits for a program (`declaration: true`, projects with references). */
  readonly declarations: (code: string) => string
  /** The text that the editor shows for the name after the mark `/*|*\/` in a program. */
  readonly hover: (code: string) => Shown
  /** Every export of the modules, with the text that the editor shows for it. */
  readonly exports: (specifiers: ReadonlyArray<string>) => ReadonlyArray<Exported>
  /** Every export of the modules, and every member of their services, with the ways in which an editor shows it bare. */
  readonly places: (specifiers: ReadonlyArray<string>) => Promise<ReadonlyArray<Place>>
}

const mark = "/*|*/"

const tagsOf = (tags: ReadonlyArray<ts.JSDocTagInfo>) =>
  Object.fromEntries(tags.map(({ name, text }) => [name, ts.displayPartsToString([...(text ?? [])])]))

export const open = async (): Promise<Editor> => {
  const made = await packed()
  const file = path.join(made.consumer, "user.mts")
  let text = ""
  let version = 0
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [file],
    getProjectVersion: () => String(version),
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
    declarations: (code) => {
      type(code)
      return service.getEmitOutput(file, true, true).outputFiles[0]?.text ?? ""
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
    exports: (specifiers) => {
      type(specifiers.map((specifier) => `export * from "${specifier}"`).join("\n"))
      const program = service.getProgram()
      const checker = program?.getTypeChecker()
      if (program === undefined || checker === undefined) throw new Error("no program")
      return (program.getSourceFile(file)?.statements ?? []).flatMap((statement, i) => {
        const module = specifiers[i] ?? ""
        const from = ts.isExportDeclaration(statement) ? statement.moduleSpecifier : undefined
        const symbol = from && checker.getSymbolAtLocation(from)
        if (symbol === undefined) throw new Error(`no module ${module}`)
        return checker.getExportsOfModule(symbol).map((exported) => {
          // A re-exported name has its comment in its own module, or at the re-export.
          const origin = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
          const documentation = [exported, origin].map((symbol) =>
            ts.displayPartsToString(symbol.getDocumentationComment(checker))
          )
          return {
            module,
            name: exported.name,
            documentation: documentation.find((text) => text !== "") ?? "",
            tags: { ...tagsOf(origin.getJsDocTags(checker)), ...tagsOf(exported.getJsDocTags(checker)) }
          }
        })
      })
    },
    places: (specifiers) => placesIn({ service, file, type, home: made.home }, specifiers)
  }
}
