/**
 * Schemas made of others, and what this library asks of a user's schema. Effect 4 pipes a schema to a transformation, and
 * names the services of decoding and encoding apart; used by scripts and errors.
 */
import * as Schema from "effect/Schema"

/** A schema that needs no services. */
export interface ServiceFree {
  readonly Context: never
  readonly ast: Schema.Schema.All["ast"]
}

/** The schema whose values are those of `to`, encoded as values of `from`. */
export const transformed = <A, B, I>(
  from: Schema.Schema<B, I>,
  to: Schema.Schema<A>,
  between: { readonly decode: (value: B) => A; readonly encode: (value: A) => B }
): Schema.Schema<A, I> => Schema.transform(from, to, { strict: true, ...between })
