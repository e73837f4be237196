/**
 * The TypeScript blocks of a Markdown text, as programs. A block stands alone: it imports what it uses.
 *
 *     ```ts             is type-checked and run; what it `// prints:` at its end is compared (see scripts/programs.ts)
 *     ```ts no-run      is type-checked only
 */
import * as fs from "node:fs"
import * as path from "node:path"
import ts from "typescript"

const root = path.resolve(import.meta.dirname, "../..")

export interface Block {
  readonly line: number
  readonly code: string
  readonly runs: boolean
}

export const blocksOf = (markdown: string): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  let open: { readonly indent: string; readonly line: number; readonly words: ReadonlyArray<string> } | undefined
  let code: Array<string> = []
  markdown.split(/\r?\n/).forEach((text, index) => {
    const [, indent = "", info] = /^(\s*)```(.*)$/.exec(text) ?? []
    if (open === undefined && info !== undefined) {
      open = { indent, line: index + 2, words: info.trim().split(/\s+/) }
      code = []
    } else if (open !== undefined && info?.trim() === "") {
      const [language = "", ...marks] = open.words
      const strange = marks.filter((mark) => mark !== "no-run")
      if (/^(ts|typescript)$/.test(language)) {
        if (strange.length > 0) throw new Error(`line ${open.line - 1}: unknown mark ${strange.join(" ")}`)
        blocks.push({ line: open.line, code: `${code.join("\n")}\n`, runs: !marks.includes("no-run") })
      }
      open = undefined
    } else if (open !== undefined) {
      code.push(text.startsWith(open.indent) ? text.slice(open.indent.length) : text)
    }
  })
  if (open !== undefined) throw new Error(`line ${open.line - 1}: the block does not end`)
  return blocks
}

/** Writes each block to a file in which its lines have the numbers they have in the Markdown file. */
export const writeBlocks = (folder: string, blocks: ReadonlyArray<Block>): ReadonlyArray<string> => {
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  return blocks.map(({ code, line }) => {
    const file = path.join(folder, `line-${line}.ts`)
    // `export {}` makes a module of a block that imports nothing.
    fs.writeFileSync(file, `${"\n".repeat(line - 1)}${code}export {}\n`)
    return file
  })
}

/** What the type checker says about the files, as `line:column message`. One program for all of them: most is shared. */
export const problemsIn = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { config } = ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [], include: [] }, ts.sys, root)
  const program = ts.createProgram(files, {
    ...options,
    incremental: false,
    declaration: false,
    declarationMap: false,
    // A reader is shown values that the block itself does nothing with.
    noUnusedLocals: false,
    noUnusedParameters: false
  })
  return files.flatMap((name) => {
    const file = program.getSourceFile(name)
    if (file === undefined) throw new Error(`${name} is not in the program`)
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map((diagnostic) => {
      const { character, line } = file.getLineAndCharacterOfPosition(diagnostic.start ?? 0)
      return `${line + 1}:${character + 1} ${ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n")}`
    })
  })
}
