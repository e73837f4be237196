/**
 * What JSON can hold of a schema, read from the tree of the schema's encoded side. Effect 4 has another tree; used by
 * `Codec.schema`.
 */
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

export const jsonSide = (schema: Schema.Schema.All): JsonSide => {
  const names = new Set<string>()
  let faithful = true

  const unfit = (ast: SchemaAST.AST, path: Issue["path"]): Issue => ({
    path,
    reason: `JSON cannot hold what its schema encodes to (${named(ast)})`
  })

  /** `undefined` may stand in a field, which JSON leaves out; in a list JSON would make it null. */
  const visit = (ast: SchemaAST.AST, path: Issue["path"], inField: boolean): Issue | undefined => {
    switch (ast._tag) {
      case "BigIntKeyword":
      case "SymbolKeyword":
      case "UniqueSymbol":
        return unfit(ast, path)
      case "UndefinedKeyword":
      case "VoidKeyword":
        return inField ? undefined : unfit(ast, path)
      case "Literal":
        return typeof ast.literal === "bigint" ? unfit(ast, path) : undefined
      case "NumberKeyword":
      case "UnknownKeyword":
      case "AnyKeyword":
      case "ObjectKeyword":
      // A suspended schema may not be defined yet.
      case "Suspend":
        faithful = false
        return undefined
      case "Declaration":
        faithful = false
        return isClass(ast) ? unfit(ast, path) : undefined
      case "Refinement":
      case "Transformation":
        return visit(ast.from, path, inField)
      case "TupleType": {
        let problem: Issue | undefined
        ast.elements.forEach(({ type }, i) => {
          problem ??= visit(type, [...path, i], false)
        })
        for (const { type } of ast.rest) {
          problem ??= visit(type, [...path, "*"], false)
        }
        return problem
      }
      case "TypeLiteral": {
        let problem: Issue | undefined
        for (const { name, type } of ast.propertySignatures) {
          if (typeof name === "symbol") {
            problem ??= unfit(ast, path)
          } else {
            names.add(String(name))
            problem ??= visit(type, [...path, String(name)], true)
          }
        }
        for (const { parameter, type } of ast.indexSignatures) {
          problem ??= visit(parameter, path, true) ?? visit(type, [...path, "*"], true)
        }
        return problem
      }
      case "Union": {
        const members = ast.types.filter(({ _tag }) => _tag !== "UndefinedKeyword" && _tag !== "VoidKeyword")
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

  const problem = visit(schema.ast, [], false)
  return { problem, faithful, names }
}

/** Effect's own data types (`SetFromSelf`, `DateFromSelf`, …) and instances of classes. */
const isClass = (ast: SchemaAST.AST): boolean =>
  SchemaAST.TypeConstructorAnnotationId in ast.annotations ||
  ast.annotations[SchemaAST.SchemaIdAnnotationId] === Symbol.for("effect/SchemaId/InstanceOf")
