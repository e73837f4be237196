/**
 * What readers of the edition for Effect 4 see: the pages, and the comments of the sources.
 *
 * - Examples (blocks ` ```ts ` of pages and of comments) are programs. They are written to files, so that the codemod can look
 *   at their types, and their translation is put where they stood. A fragment, which imports nothing, gets imports and a
 *   generator around it while it is translated.
 * - In the rest of the text, names in backticks get their new names.
 * - What is said differently for Effect 4 stands in a comment after what it replaces:
 *   `<!-- effect 3 -->` text `<!-- effect 4` other text `-->`.
 * - A block that is marked `effect3` or `effect4` is shown in both editions and belongs to one: it stays as it is.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import type { Translation } from "./codemod.js"
import { members } from "./names.js"

/** A block of code in a text: its lines from `first` to `end` (not included), each after a margin. */
interface Block {
  readonly first: number
  readonly end: number
  readonly margin: string
  readonly code: string
  readonly marks: ReadonlyArray<string>
}

const isPage = (name: string): boolean => name.endsWith(".md")

/** Pages about the work itself, which tell what was measured or decided with the names of that time. */
const historical = /^docs\/(?:decisions\/|performance|effect4|moving-to-effect4|known-gaps)|^CHANGELOG/

const blocksOf = (name: string, lines: ReadonlyArray<string>): ReadonlyArray<Block> => {
  const margins = isPage(name) ? /^(\s*)```(.*)$/ : /^(\s*\* ?)```(.*)$/
  const blocks: Array<Block> = []
  let open: { readonly first: number; readonly margin: string; readonly words: ReadonlyArray<string> } | undefined
  lines.forEach((line, i) => {
    const [, margin = "", info] = margins.exec(line) ?? []
    if (open === undefined) {
      if (info !== undefined) open = { first: i + 1, margin, words: info.trim().split(/\s+/) }
    } else if (info?.trim() === "") {
      const [language = "", ...marks] = open.words
      const { first } = open
      const code = lines.slice(first, i).map((line) => line.slice(open?.margin.length))
      if (/^(?:ts|typescript)$/.test(language) && !marks.some((mark) => /^effect\d$/.test(mark))) {
        blocks.push({ first, end: i, margin: open.margin, code: code.join("\n"), marks })
      }
      open = undefined
    }
  })
  return blocks
}

/** The code in the second column of tables where that is called `here`, by line. */
const tablesOf = (lines: ReadonlyArray<string>): ReadonlyMap<number, ReadonlyArray<string>> => {
  const found = new Map<number, ReadonlyArray<string>>()
  let here = false
  lines.forEach((text, i) => {
    const [, , second] = text.startsWith("|") ? text.split("|").map((cell) => cell.trim()) : []
    here = second !== undefined && (here || second === "here")
    const code = here ? [...(second ?? "").matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span) : []
    if (code.length > 0) found.set(i, code)
  })
  return found
}

/** Names that texts use without their module. */
const alone: Readonly<Record<string, string>> = { Either: "Result", DurationInput: "Duration.Input" }

/** Modules of Effect with the name of a global. */
const globals = new Set(["Array", "BigInt", "Boolean", "Function", "Iterable", "Number", "RegExp", "String", "Symbol"])
const isOption = (span: string): boolean => /^\w+: /.test(span)
const start = "//<\n"
const end = "\n//>\n"

/** The text for Effect 4 in place of that for Effect 3. */
export const chooseEffect4 = (text: string): string =>
  text.replace(
    /<!-- effect 3 -->(\n?)[\s\S]*?<!-- effect 4\s([\s\S]*?) ?-->(\n?)/g,
    (_, block: string, other: string, after: string) => other + (block === "" ? after : "")
  )

export interface Docs {
  /** The files with the examples, which the program of the codemod must have. */
  readonly files: ReadonlyArray<string>
  /** A page, or a source whose code is translated already. */
  readonly translate: (name: string, text: string) => string
  /** Names in backticks that Effect 4 does not have, each with its place. */
  readonly unknown: Array<string>
}

export interface Options {
  readonly root: string
  /** Where the examples are written to. */
  readonly folder: string
  readonly texts: ReadonlyMap<string, string>
  readonly translateFile: (file: string) => Translation
  readonly exportsOf: (module: string) => ReadonlySet<string> | undefined
}

export const docs = ({ exportsOf, folder, root, texts, translateFile }: Options): Docs => {
  const unknown: Array<string> = []
  fs.mkdirSync(folder, { recursive: true })
  for (const old of fs.readdirSync(folder)) fs.rmSync(path.join(folder, old))
  const isEffect = (module: string): boolean =>
    !globals.has(module) && fs.existsSync(path.join(root, `node_modules/effect/dist/dts/${module}.d.ts`))
  const isOurs = (module: string): boolean => fs.existsSync(path.join(root, `src/${module}.ts`))

  const programOf = (code: string, spans: ReadonlyArray<string>): string => {
    const expressions = spans.map((span) => `\nvoid (${isOption(span) ? `{ ${span} }` : span}) //span`).join("")
    if (/^import /m.test(code)) return `${start}${code}${end}${expressions}\nexport {}\n`
    const names = new Set(["Effect", ...[...code.matchAll(/\b([A-Z]\w+)\b/g)].map(([, name = ""]) => name)])
    const ours = [...names].filter(isOurs)
    const effects = [...names].filter(
      (name) => isEffect(name) && !ours.includes(name) && (name === "Effect" || code.includes(`${name}.`))
    )
    const imports = [
      `import { ${effects.join(", ")} } from "effect"`,
      ...(ours.length === 0 ? [] : [`import { ${ours.join(", ")} } from "effect-redis-client"`])
    ]
    return `${imports.join("\n")}\nexport const example = Effect.gen(function* () {\n${start}${code}${end}})\n`
  }

  const examples = new Map<string, { readonly block: Block; readonly file: string }[]>()
  for (const [name, whole] of texts) {
    const lines = chooseEffect4(whole).split("\n")
    const found = blocksOf(name, lines).map((block) => {
      const file = path.join(folder, `${name.replaceAll("/", "~")}~${block.first + 1}.ts`)
      const spans = block.marks.includes("tables") ? [...tablesOf(lines).values()].flat() : []
      fs.writeFileSync(file, programOf(block.code, spans))
      return { block, file }
    })
    if (found.length > 0) examples.set(name, found)
  }

  /** New names for the names in backticks. */
  const rename = (name: string, line: string, number: number): string =>
    line.replace(/\b([Aa])n (?=`Either`)/g, "$1 ").replace(/(?<!`)`([^`]+)`(?!`)/g, (_, span: string) => {
      const renamed = span
        .replace(/(?<![\w./-])([A-Z]\w+)\.(\w+)/g, (whole, module: string, member: string) => {
          if (!isEffect(module) || isOurs(module)) return whole
          const target = members[`${module}.${member}`]
          if (target !== undefined) return target.slice(target.lastIndexOf("/") + 1)
          const isKnown = member === "ts" || exportsOf(`effect/${module}`)?.has(member) === true
          if (!isKnown) unknown.push(`${name}:${number}: Effect 4 has no ${whole}`)
          return whole
        })
        .replace(/^\w+$/, (whole) => alone[whole] ?? whole)
      return `\`${renamed}\``
    })

  const translate = (name: string, whole: string): string => {
    const page = isPage(name)
    const lines = (page ? chooseEffect4(whole) : whole).split("\n")
    const blocks = blocksOf(name, lines)
    const known = examples.get(name) ?? []
    if (blocks.length !== known.length) throw new Error(`${name}: the examples of the translated text are others`)
    const inBlock = (i: number): boolean => blocks.some(({ end, first }) => i >= first && i < end)
    const tables = page ? tablesOf(lines) : new Map<number, ReadonlyArray<string>>()
    const text = lines.map((line, i) => {
      if (inBlock(i) || historical.test(name)) return line
      if (tables.has(i)) {
        // The second column is translated as code, below.
        return line
          .split("|")
          .map((cell, column) => (column === 2 ? cell : rename(name, cell, i + 1)))
          .join("|")
      }
      return page || /^\s*(?:\/\/|\/?\*)/.test(line) ? rename(name, line, i + 1) : line
    })
    // From the end, so that places stay true.
    Array.from(blocks)
      .reverse()
      .forEach((block, back) => {
        const example = known[known.length - 1 - back]
        if (example === undefined) return
        const translation = translateFile(example.file)
        unknown.push(...translation.unknown)
        const from = translation.text.indexOf(start)
        const to = translation.text.indexOf(end)
        // Imports are put in place of the old ones; a fragment shows none.
        const standsAlone = /^import /m.test(example.block.code)
        const before = standsAlone ? translation.text.slice(0, from) : ""
        const code = `${before}${translation.text.slice(from + start.length, to)}`.trim().split("\n")
        text.splice(
          block.first,
          block.end - block.first,
          ...code.map((line) => (line === "" ? block.margin.trimEnd() : block.margin + line))
        )
      })
    if (!blocks.some(({ marks }) => marks.includes("tables"))) return text.join("\n")
    const withTables = known.find(({ block }) => block.marks.includes("tables"))
    const spans = withTables
      ? [...translateFile(withTables.file).text.matchAll(/^void \((.*)\) \/\/span$/gm)].map(([, span = ""]) => span)
      : []
    const olds = [...tables.values()].flat()
    let next = 0
    return text
      .map((line) => {
        const cells = line.startsWith("|") ? line.split("|") : []
        const count = [...(cells[2] ?? "").matchAll(/`([^`]+)`/g)].length
        if (count === 0 || olds[next] === undefined || !cells[2]?.includes(`\`${olds[next]}\``)) return line
        cells[2] = cells[2].replace(/`([^`]+)`/g, () => {
          const old = olds[next] ?? ""
          const span = spans[next++] ?? old
          return `\`${isOption(old) ? span.slice(2, -2) : span}\``
        })
        return cells.join("|")
      })
      .join("\n")
  }

  return { files: [...examples.values()].flat().map(({ file }) => file), translate, unknown }
}
