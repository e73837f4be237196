/** Schemas of tests that Effect 4 writes otherwise, and what it calls them: the edition for Effect 4 replaces this file. */
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** Any schema without services. */
export type AnySchema = Schema.Schema.AnyNoContext

/** A set of texts that is encoded to a list. */
export const Tags = Schema.ReadonlySet(Schema.String)

/** The values of a class. */
export const Instances = Schema.instanceOf(URL)

/** A field that may be undefined or missing. */
export const Undefinable = Schema.UndefinedOr(Schema.String)

/** A boolean as the text `true` or `false`. */
export const BooleanText = Schema.BooleanFromString

/** A field that has a default when it is missing. */
export const Theme = Schema.optionalWith(Schema.Literal("light", "dark"), { default: () => "light" })

/** A field that has the name {@link adminName} when it is encoded. */
export const Admin = Schema.propertySignature(BooleanText).pipe(Schema.fromKey("is_admin"))
export const adminName = "is_admin"

/** A struct whose field `admin` is called `is_admin` when it is encoded. */
export const Renamed = Schema.Struct({ name: Schema.String, admin: Admin })

/** A struct that is checked as a whole, which makes it a schema without fields. */
export const Checked = Schema.Struct({ name: Schema.String, visits: Schema.NumberFromString }).pipe(
  Schema.filter(({ visits }) => visits > 0)
)

/** Text that no value fits. The schema's own message quotes the value. */
export const refusing: Schema.Schema<string> = Schema.String.pipe(
  Schema.filter(() => false, { message: (issue) => `bad: ${String(issue.actual)}` })
)

/** A number that no text becomes. The transformation's own message quotes the value. */
export const failing: Schema.Schema<number, string> = Schema.transformOrFail(Schema.String, Schema.Number, {
  decode: (text, _, ast) => ParseResult.fail(new ParseResult.Type(ast, text, `bad: ${text}`)),
  encode: (n) => ParseResult.succeed(String(n))
})

/** Text that is decoded asynchronously. */
export const asynchronous: Schema.Schema<string> = Schema.transformOrFail(Schema.String, Schema.String, {
  decode: (text) => Effect.delay(Effect.succeed(text), "1 second"),
  encode: (text) => ParseResult.succeed(text)
})

/** Text whose encoding throws an error with this message. */
export const throwing = (message: string): Schema.Schema<string> =>
  Schema.transform(Schema.String, Schema.String, {
    decode: (text) => text,
    encode: () => {
      throw new Error(message)
    }
  })

/** What schemas are called in the reason of a failure. */
export const shown = {
  struct: "{",
  between: "between(0, 150)",
  int: "Int",
  notANumber: "expected NumberFromString",
  literals: '"a" | "b"',
  set: "Set<number>",
  transformedSet: "Set<",
  map: "Map",
  option: "Option",
  date: "DateFromSelf",
  duration: "DurationFromSelf",
  bytes: "Uint8ArrayFromSelf",
  redacted: "Redacted",
  instance: "URL"
} as const
