/** Programs of the dev dependencies. The edition for Effect 4 lies in a folder of this repository and uses the same ones. */
import * as fs from "node:fs"
import * as path from "node:path"

/** A file of an installed package, from the nearest `node_modules` that has it: `tsx/dist/cli.mjs`. */
export const tool = (file: string): string => {
  for (let folder = import.meta.dirname; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const found = path.join(folder, "node_modules", file)
    if (fs.existsSync(found)) return found
  }
  throw new Error(`${file} is not installed`)
}
