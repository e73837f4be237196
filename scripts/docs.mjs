/*
 * A plug-in of TypeDoc, for `npm run docs`:
 *
 *   - the comment at the head of a file is what its page begins with. (TypeDoc asks for `@module` in it, which nobody
 *     else does.)
 *   - `Redis`, and the groups that are made of several, have their commands by inheritance. Each command is documented
 *     once, on the page that it comes from.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { Comment, Converter, MinimalSourceFile, ReflectionKind } from "typedoc"

const src = fileURLToPath(new URL("../src/", import.meta.url))
const ofCommands = /Commands$|^RedisModule$/

/** The comment at the head of a file as Markdown, without its stars and tags. */
const headOf = (file) => {
  const comment = /^\s*\/\*\*([\s\S]*?)\*\//.exec(fs.readFileSync(file, "utf8"))?.[1] ?? ""
  return comment
    .replace(/^ *\* ?/gm, "")
    .replace(/^@see +(\S+)$/gm, "See $1.")
    .replace(/^@.*$/gm, "")
    .trim()
}

/** @param {import("typedoc").Application} app */
export const load = (app) => {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.getReflectionsByKind(ReflectionKind.Module)) {
      const file = path.join(src, `${module.name}.ts`)
      const { content } = app.converter.parseRawComment(new MinimalSourceFile(headOf(file), file), project.files)
      module.comment ??= new Comment(content)
    }
  })
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    // What comes from an internal interface has no other page, and stays. Found first, removed later: they know each other.
    const repeated = project
      .getReflectionsByKind(ReflectionKind.Interface)
      .filter((type) => ofCommands.test(type.name))
      .flatMap((type) => type.children ?? [])
      .filter((child) => child.inheritedFrom?.reflection !== undefined)
    for (const child of repeated) project.removeReflection(child)
  })
}
