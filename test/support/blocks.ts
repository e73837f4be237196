/**
 * The TypeScript blocks of Markdown pages, as programs. A block stands alone: it imports what it uses.
 *
 *     ```ts             is type-checked and run; what it `// prints:` at its end is compared (see scripts/programs.ts)
 *     ```ts no-run      is type-checked only
 *     ```ts no-run tables   the same; and so are, with its names, the right sides of the tables that follow it: the code
 *                           in the second column where that is called `here`. `name: value` is an option of a client
 *     ```ts cluster     runs against a cluster of real servers, and is only type-checked where there is none
 *     ```ts no-run effect4  is for one edition, and left out in the other
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import { edition } from "../../scripts/edition.js"
import { tool } from "../../scripts/tools.js"
import { withoutOtherEdition } from "./pages.js"

const root = path.resolve(import.meta.dirname, "../..")

export interface Block {
  readonly line: number
  readonly code: string
  readonly runs: boolean
  /** Whether it runs against a cluster. */
  readonly cluster: boolean
  /** Whether the tables of the page use its names. */
  readonly tables: boolean
}

const knownMarks = ["no-run", "tables", "cluster", "effect3", "effect4"]

export const blocksOf = (markdown: string): ReadonlyArray<Block> => {
  const blocks: Array<Block> = []
  let open: { readonly indent: string; readonly line: number; readonly words: ReadonlyArray<string> } | undefined
  let code: Array<string> = []
  withoutOtherEdition(markdown)
    .split(/\r?\n/)
    .forEach((text, index) => {
      const [, indent = "", info] = /^(\s*)```(.*)$/.exec(text) ?? []
      if (open === undefined && info !== undefined) {
        open = { indent, line: index + 2, words: info.trim().split(/\s+/) }
        code = []
      } else if (open !== undefined && info?.trim() === "") {
        const [language = "", ...marks] = open.words
        const strange = marks.filter((mark) => !knownMarks.includes(mark))
        if (/^(ts|typescript)$/.test(language)) {
          if (strange.length > 0) throw new Error(`line ${open.line - 1}: unknown mark ${strange.join(" ")}`)
          if (marks.includes(`effect${7 - edition}`)) {
            open = undefined
            return
          }
          blocks.push({
            line: open.line,
            code: `${code.join("\n")}\n`,
            runs: !marks.includes("no-run"),
            cluster: marks.includes("cluster"),
            tables: marks.includes("tables")
          })
        }
        open = undefined
      } else if (open !== undefined) {
        code.push(text.startsWith(open.indent) ? text.slice(open.indent.length) : text)
      }
    })
  if (open !== undefined) throw new Error(`line ${open.line - 1}: the block does not end`)
  return blocks
}

/** The code in the second column of tables where that is called `here`, by line. */
const rightSidesOf = (markdown: string): ReadonlyMap<number, ReadonlyArray<string>> => {
  const found = new Map<number, ReadonlyArray<string>>()
  let here = false
  markdown.split(/\r?\n/).forEach((text, index) => {
    const [, , second] = text.startsWith("|") ? text.split("|").map((cell) => cell.trim()) : []
    here = second !== undefined && (here || second === "here")
    const code = here ? [...(second ?? "").matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span) : []
    if (code.length > 0) found.set(index + 1, code)
  })
  return found
}

/** A program whose lines have the numbers that they have in the page. */
const sourceOf = (markdown: string, { code, line, tables }: Block): string => {
  const lines = [...Array.from({ length: line - 1 }, () => ""), ...code.trimEnd().split("\n")]
  // `export {}` makes a module of a block that imports nothing.
  lines.push("export {}")
  for (const [at, spans] of tables ? rightSidesOf(markdown) : []) {
    while (lines.length < at) lines.push("")
    const expressions = spans.map((span) =>
      /^\w+: /.test(span) ? `({ ${span} }) satisfies import("effect-redis-client/Redis").RedisOptions` : `(${span})`
    )
    lines[at - 1] = `void [${expressions.join(", ")}]`
  }
  return `${lines.join("\n")}\n`
}

/** A block of a page, and the program it was written to. */
export interface Program extends Block {
  /** The page, as it was named: `docs/pool.md`. */
  readonly page: string
  readonly file: string
}

/** `docs/pool.md` and line 12 as the name of a file, and back. */
const nameOf = (page: string, line: number): string => `${page.replaceAll("/", "~")}~${line}.ts`
const pageOf = (name: string): string => name.replace(/~\d+\.ts$/, "").replaceAll("~", "/")

/** Writes each block of each page (its name, its text) to a file in which lines keep the numbers that they have in the page. */
export const writeBlocks = (
  folder: string,
  pages: ReadonlyArray<readonly [page: string, text: string]>
): ReadonlyArray<Program> => {
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  return pages.flatMap(([page, text]) =>
    blocksOf(text).map((block) => {
      const file = path.join(folder, nameOf(page, block.line))
      fs.writeFileSync(file, sourceOf(text, block))
      return { ...block, page, file }
    })
  )
}

/**
 * What the type checker reports for the files of such a folder, as `page:line:column message`. All files are one program,
 * since they share most of it. The compiler is the native one: the other takes seconds, in which a test worker does not
 * answer.
 */
export const problemsIn = async (folder: string): Promise<ReadonlyArray<string>> => {
  if (fs.readdirSync(folder).length === 0) return []
  fs.writeFileSync(
    path.join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: path.relative(folder, path.join(root, "tsconfig.json")),
      // A block may show a value that it does not use itself.
      compilerOptions: { incremental: false, noUnusedLocals: false, noUnusedParameters: false },
      include: ["*.ts"]
    })
  )
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [tool("typescript-7/bin/tsc"), "-p", folder, "--pretty", "false"],
    {
      cwd: folder,
      maxBuffer: 16 * 1024 * 1024
    }
  ).catch((error: { readonly stdout: string }) => {
    if (/error TS\d+/.test(error.stdout)) return error
    throw error
  })
  // Errors in the sources are not the blocks' fault.
  const problems = /^([^\s(]+~\d+\.ts)\((\d+),(\d+)\): error TS\d+: (.*(?:\n .*)*)/gm
  return Array.from(
    stdout.matchAll(problems),
    ([, name = "", line, column, message]) => `${pageOf(name)}:${line}:${column} ${message}`
  )
}
