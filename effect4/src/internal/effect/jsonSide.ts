/** What JSON can hold of a schema, read from the tree of the schema's encoded side. */
import type * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { type Issue, named } from "./issue.js"

export interface JsonSide {
  /** The first place whose values JSON can never hold. */
  readonly problem: Issue | undefined
  /** Whether the schema alone guarantees that JSON gives back what it was given. Otherwise the values must be looked at. */
  readonly faithful: boolean
  /** The names of the schema's fields. The keys of a record are part of the value and are not among them. */
  readonly names: ReadonlySet<string>
}

export const jsonSide = (schema: Schema.Constraint): JsonSide => {
  const names = new Set<string>()
  let faithful = true

  const unfit = (ast: SchemaAST.AST, path: Issue["path"]): Issue => ({
    path,
    reason: `JSON cannot hold what its schema encodes to (${named(ast)})`
  })

  /** `undefined` may stand in a field, which JSON leaves out; in a list JSON would make it null. */
  const visit = (ast: SchemaAST.AST, path: Issue["path"], inField: boolean): Issue | undefined => {
    switch (ast._tag) {
      case "BigInt":
      case "Symbol":
      case "UniqueSymbol":
        return unfit(ast, path)
      case "Undefined":
      case "Void":
        return inField ? undefined : unfit(ast, path)
      case "Literal":
        return typeof ast.literal === "bigint" ? unfit(ast, path) : undefined
      case "Number":
      case "Unknown":
      case "Any":
      case "ObjectKeyword":
      // A suspended schema may not be defined yet.
      case "Suspend":
        faithful = false
        return undefined
      case "Declaration":
        faithful = false
        return isData(ast) ? unfit(ast, path) : undefined
      case "Arrays": {
        let problem: Issue | undefined
        ast.elements.forEach((element, i) => {
          problem ??= visit(element, [...path, i], false)
        })
        for (const rest of ast.rest) {
          problem ??= visit(rest, [...path, "*"], false)
        }
        return problem
      }
      case "Objects": {
        let problem: Issue | undefined
        for (const { name, type } of ast.propertySignatures) {
          if (typeof name === "symbol") {
            problem ??= unfit(ast, path)
          } else {
            names.add(String(name))
            const at = [...path, String(name)]
            // JSON leaves a field out that is undefined, and Effect 4 does not take a missing field for an undefined one.
            problem ??= isUndefinable(type) && !SchemaAST.isOptional(type) ? unfit(type, at) : visit(type, at, true)
          }
        }
        for (const { parameter, type } of ast.indexSignatures) {
          problem ??= visit(parameter, path, true) ?? visit(type, [...path, "*"], true)
        }
        return problem
      }
      case "Union": {
        const members = ast.types.filter(({ _tag }) => _tag !== "Undefined" && _tag !== "Void")
        const problems = members.map((member) => visit(member, path, inField))
        faithful &&= inField || members.length === ast.types.length
        // Where some members fit, the value decides.
        faithful &&= problems.every((problem) => problem === undefined)
        return problems.includes(undefined) ? undefined : (problems[0] ?? (inField ? undefined : unfit(ast, path)))
      }
      default:
        return undefined
    }
  }

  const problem = visit(SchemaAST.toEncoded(schema.ast), [], false)
  return { problem, faithful, names }
}

const isUndefinable = (ast: SchemaAST.AST): boolean =>
  ast._tag === "Undefined" || ast._tag === "Void" || (ast._tag === "Union" && ast.types.some(isUndefinable))

/**
 * Effect's own data types (`Set`, `Date`, …) and instances of a `Schema.Class`. Of other declarations, such as
 * `Schema.instanceOf`, only the values show whether JSON can hold them.
 */
const isData = ({ annotations = {} }: SchemaAST.Declaration): boolean => {
  const { representation } = annotations as { readonly representation?: { readonly id?: unknown } }
  return (
    ("identifier" in annotations || ["representation", "toCodec", "toCodecJson"].some((name) => name in annotations)) &&
    !json.has(representation?.id)
  )
}

/** The declarations whose values are JSON. */
const json: ReadonlySet<unknown> = new Set(["effect/schema/Json", "effect/schema/MutableJson"])
