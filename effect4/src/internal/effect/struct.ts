/** Structs as hashes store them: the names of their encoded fields, and a struct of some of them. */
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"

/** A struct of some of the fields. */
export const pickFields = (fields: Schema.Struct.Fields, names: ReadonlyArray<string>): Schema.Codec<never> =>
  Schema.Struct(
    Object.fromEntries(names.map((name) => [name, fields[name] as Schema.Struct.Fields[string]]))
  ) as unknown as Schema.Codec<never>

/** The names that the fields of a struct have when they are encoded: `Schema.encodeKeys` gives a field another one. */
export const encodedNames = (ast: SchemaAST.AST): ReadonlyArray<string> => {
  const encoded = SchemaAST.toEncoded(ast)
  return SchemaAST.isObjects(encoded) ? encoded.propertySignatures.map(({ name }) => String(name)) : []
}
