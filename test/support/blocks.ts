/**
 * The TypeScript blocks of a Markdown text, as programs. Each block is a program of its own, with its own imports.
 *
 *     ```ts             is type-checked and run; its output is compared with a final `// prints:` (scripts/programs.ts)
 *     ```ts no-run      is type-checked only
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"

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

/** Writes each block to a file in which its lines keep their line numbers of the Markdown file. */
export const writeBlocks = (folder: string, blocks: ReadonlyArray<Block>): ReadonlyArray<string> => {
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  return blocks.map(({ code, line }) => {
    const file = path.join(folder, `line-${line}.ts`)
    // `export {}` makes a block without imports a module.
    fs.writeFileSync(file, `${"\n".repeat(line - 1)}${code}export {}\n`)
    return file
  })
}

/**
 * The type errors in the files of such a folder, as `line:column message`. All files are checked as one program, by the
 * native compiler: the other compilers would block the test worker for seconds.
 */
export const problemsIn = async (folder: string): Promise<ReadonlyArray<string>> => {
  if (fs.readdirSync(folder).length === 0) return []
  fs.writeFileSync(
    path.join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: path.relative(folder, path.join(root, "tsconfig.json")),
      // A block may declare values only to show them.
      compilerOptions: { incremental: false, noUnusedLocals: false, noUnusedParameters: false },
      include: ["*.ts"]
    })
  )
  const tsc = path.join(root, "node_modules/typescript-7/bin/tsc")
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, "-p", folder, "--pretty", "false"], {
    cwd: folder,
    maxBuffer: 16 * 1024 * 1024
  }).catch((error: { readonly stdout: string }) => {
    if (/error TS\d+/.test(error.stdout)) return error
    throw error
  })
  // Errors in the sources do not count against the blocks.
  const problems = /^line-\d+\.ts\((\d+),(\d+)\): error TS\d+: (.*(?:\n .*)*)/gm
  return Array.from(stdout.matchAll(problems), ([, line, column, message]) => `${line}:${column} ${message}`)
}
