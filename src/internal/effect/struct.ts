/**
 * Structs as hashes store them: the names of their encoded fields, and a struct of some of them. Effect 4 has another tree
 * of schemas; used by `RedisHash`.
 */
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"

/** A struct of some of the fields. */
export const pickFields = (fields: Schema.Struct.Fields, names: ReadonlyArray<string>): Schema.Schema<never> =>
  Schema.Struct(
    Object.fromEntries(names.map((name) => [name, fields[name] as Schema.Struct.Field]))
  ) as unknown as Schema.Schema<never>

/** The names that the fields of a struct have when they are encoded: `Schema.fromKey` gives a field another one. */
export const encodedNames = (ast: SchemaAST.AST): ReadonlyArray<string> => {
  switch (ast._tag) {
    case "Transformation":
    case "Refinement":
      return encodedNames(ast.from)
    case "TypeLiteral":
      return ast.propertySignatures.map(({ name }) => String(name))
    default:
      return []
  }
}
