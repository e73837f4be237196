/*
 * `npm run rooms`: draws the rooms of `src` into docs/rooms.md, as dependency-cruiser finds them. `--check` writes nothing
 * and fails when the page is out of date.
 *
 * An arrow that follows from others is left out: when A imports B and B imports C, the arrow from A to C adds nothing
 * to the order. An import that .dependency-cruiser.mjs forbids is always drawn, with dots.
 */
import * as fs from "node:fs"
import { cruise } from "dependency-cruiser"
import { floors, options, pathOf } from "../.dependency-cruiser.mjs"

const page = "docs/rooms.md"
const { output } = await cruise(["src"], { ...options, includeOnly: "^src/" })

const rooms = floors.flatMap((names, floor) => names.map((name) => ({ name, floor, path: new RegExp(pathOf(name)) })))
const roomOf = (file) => rooms.find(({ path }) => path.test(file))

/** Which rooms each room imports. */
const imports = new Map()
for (const { dependencies, source } of output.modules) {
  const from = roomOf(source)
  if (from === undefined) throw new Error(`${source} has no floor: add its room to .dependency-cruiser.mjs`)
  if (!imports.has(from)) imports.set(from, new Set())
  for (const { resolved } of dependencies) {
    const to = roomOf(resolved)
    if (to !== undefined && to !== from) imports.get(from).add(to)
  }
}

const down = (room) => [...(imports.get(room) ?? [])].filter((other) => other.floor < room.floor)
const reaches = (from, to) => down(from).some((next) => next === to || reaches(next, to))
const follows = (from, to) => down(from).some((next) => next !== to && reaches(next, to))

const id = ({ name }) => name.replace(/\W/g, "_")
const box = (room) => `${id(room)}${room.name.startsWith("internal/") ? `["${room.name}"]` : `(["${room.name}"])`}`
const drawn = rooms.filter((room) => imports.has(room)).toReversed()
const arrows = drawn.flatMap((from) =>
  [...imports.get(from)].flatMap((to) => {
    if (to.floor >= from.floor) return [`${id(from)} -.-> ${id(to)}`]
    return follows(from, to) ? [] : [`${id(from)} --> ${id(to)}`]
  })
)

const text = `# Rooms

Drawn by \`npm run rooms\`; \`npm run check:rooms\` keeps the order. An arrow means "imports". An arrow
that follows from others is left out. Round boxes are public, square ones are private.

\`\`\`mermaid
flowchart TD
${[...drawn.map(box), ...arrows].map((line) => `  ${line}`).join("\n")}
\`\`\`
`

if (!process.argv.includes("--check")) {
  fs.writeFileSync(page, text)
  console.log(`${page}: ${drawn.length} rooms, ${arrows.length} arrows`)
} else if (!fs.existsSync(page) || fs.readFileSync(page, "utf8") !== text) {
  console.error(`${page} is out of date: run \`npm run rooms\``)
  process.exitCode = 1
}
