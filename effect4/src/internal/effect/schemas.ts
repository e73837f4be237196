/** Schemas made of others, and what this library asks of a user's schema. */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** A schema that needs no services. */
export interface ServiceFree {
  readonly DecodingServices: never
  readonly EncodingServices: never
  readonly ast: Schema.Constraint["ast"]
}

/** The schema whose values are those of `to`, encoded as values of `from`. */
export const transformed = <A, B, I>(
  from: Schema.Codec<B, I>,
  to: Schema.Codec<A, unknown>,
  between: { readonly decode: (value: B) => A; readonly encode: (value: A) => B }
): Schema.Codec<A, I> =>
  from.pipe(Schema.decodeTo(Schema.toType(to), SchemaTransformation.transform(between))) as unknown as Schema.Codec<
    A,
    I
  >
