/** Schemas of tests that Effect 3 writes otherwise, and what Effect 4 calls them. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

/** Any schema without services. */
export type AnySchema = Schema.Codec<unknown, unknown>

/** A set of texts that is encoded to a list. */
export const Tags = Schema.Array(Schema.String).pipe(
  Schema.decodeTo(
    Schema.ReadonlySet(Schema.String),
    SchemaTransformation.transform({
      decode: (list): ReadonlySet<string> => new Set(list),
      encode: (set) => [...set]
    })
  )
)

/** The values of a class. In Effect 4, `instanceOf` does not say that they are. */
export const Instances = Schema.URL

/** A field that may be undefined or missing. In Effect 4, a field of `UndefinedOr` must not be missing. */
export const Undefinable = Schema.optional(Schema.String)

/** A boolean as the text `true` or `false`. */
export const BooleanText = Schema.Literals(["true", "false"]).pipe(
  Schema.decodeTo(
    Schema.Boolean,
    SchemaTransformation.transform({
      decode: (text) => text === "true",
      encode: (value): "true" | "false" => (value ? "true" : "false")
    })
  )
)

/** A field that has a default when it is missing. */
export const Theme = Schema.Literals(["light", "dark"]).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed("light" as const))
)

/** In Effect 4 a struct gives its fields other names, not a field to itself. */
export const Admin = BooleanText
export const adminName = "admin"

/** A struct whose field `admin` is called `is_admin` when it is encoded. */
export const Renamed = Schema.Struct({ name: Schema.String, admin: BooleanText }).pipe(
  Schema.encodeKeys({ admin: "is_admin" })
)

type Visits<Count> = { readonly name: string; readonly visits: Count }

/** A struct that is checked as a whole. In Effect 4 it keeps its fields, unless its type says otherwise. */
export const Checked: Schema.Codec<Visits<number>, Visits<string>> = Schema.Struct({
  name: Schema.String,
  visits: Schema.FiniteFromString
}).check(Schema.makeFilter(({ visits }) => visits > 0))

/** Text that no value fits. The schema's own message quotes the value. */
export const refusing: Schema.Codec<string> = Schema.String.check(Schema.makeFilter((text) => `bad: ${text}`))

/** A number that no text becomes. The transformation's own message quotes the value. */
export const failing: Schema.Codec<number, string> = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Number,
    SchemaTransformation.transformEffect<number, string>({
      decode: (text) => Effect.fail(new SchemaIssue.InvalidValue({ message: `bad: ${text}` }, text)),
      encode: (n) => Effect.succeed(String(n))
    })
  )
)

/** Text that is decoded asynchronously. */
export const asynchronous: Schema.Codec<string> = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transformEffect((text: string) => Effect.delay(Effect.succeed(text), "1 second")),
    encode: SchemaGetter.passthrough()
  })
)

/** Text whose encoding throws an error with this message. */
export const throwing = (message: string): Schema.Codec<string> =>
  Schema.String.pipe(
    Schema.decodeTo(
      Schema.String,
      SchemaTransformation.transform<string, string>({
        decode: (text) => text,
        encode: () => {
          throw new Error(message)
        }
      })
    )
  )

/** What schemas are called in the reason of a failure. */
export const shown = {
  struct: "object",
  between: "a value between 0 and 150",
  int: "an integer",
  notANumber: "expected a finite number",
  literals: '"a" | "b"',
  set: "ReadonlySet",
  transformedSet: "ReadonlySet",
  map: "ReadonlyMap",
  option: "Option",
  date: "a valid Date",
  duration: "Duration",
  bytes: "Uint8Array",
  redacted: "Redacted",
  instance: "URL"
} as const
