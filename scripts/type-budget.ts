/**
 * `npm run type-budget [fixture …]`: what the packed types cost a user's type checker, in instantiations (they are the
 * same on every machine; seconds are not). Measured is each program of `test/types/fixtures/`; what the library adds is the
 * difference between two that do the same with it and without it.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"
import { packed } from "./packed.js"

export const fixtures = path.resolve(import.meta.dirname, "../test/types/fixtures")

export interface Cost {
  readonly instantiations: number
  readonly types: number
  readonly millis: number
}

/** Checks one fixture against the packed declarations, as a user's `tsc` would. It has to compile. */
export const costOf = async (fixture: string): Promise<Cost> => {
  const folder = path.join((await packed()).consumer, "budget")
  fs.mkdirSync(folder, { recursive: true })
  const file = path.join(folder, fixture)
  fs.copyFileSync(path.join(fixtures, fixture), file)
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ type: "module" }))
  const started = performance.now()
  const program = ts.createProgram([file], {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: [],
    noEmit: true
  })
  const diagnostics = ts.getPreEmitDiagnostics(program)
  if (diagnostics.length > 0) {
    throw new Error(
      ts.formatDiagnostics(diagnostics, {
        getCurrentDirectory: () => folder,
        getCanonicalFileName: (name) => name,
        getNewLine: () => "\n"
      })
    )
  }
  return {
    instantiations: program.getInstantiationCount(),
    types: program.getTypeCount(),
    millis: Math.round(performance.now() - started)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const named = process.argv.slice(2)
  const names = named.length > 0 ? named : fs.readdirSync(fixtures).filter((name) => name.endsWith(".ts"))
  for (const name of names) {
    const { instantiations, millis, types } = await costOf(name)
    console.log(`${name}: ${instantiations} instantiations, ${types} types, ${millis} ms`)
  }
}
