/** Error classes that are schemas of themselves, and the schemas their fields are made of. */
import type * as Cause from "effect/Cause"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { transformed } from "./schemas.js"

/** What `Schema.TaggedError` makes, with its types spelled out: those that Effect computes cost each program that unites errors. */
export interface ErrorClass<Self, Tag extends string, Fields, Encoded = Fields>
  extends Schema.BottomWithoutNew<
    Self,
    { readonly _tag: Tag } & Encoded,
    never,
    never,
    SchemaAST.Declaration,
    Schema.Codec<Self, { readonly _tag: Tag } & Encoded>
  > {
  new (fields: Fields, options?: Schema.MakeOptions): Cause.YieldableError & { readonly _tag: Tag } & Fields
  readonly identifier: string
}

/**
 * The base of a class of errors, like `Schema.TaggedError`, but with the tag as the name of its errors: Effect 4 would take
 * the identifier. An error without a field `message` has to override the message.
 */
export const errorClass =
  <Self>(identifier: string) =>
  <Tag extends string, F extends Schema.Struct.Fields>(
    tag: Tag,
    fields: () => F
  ): ErrorClass<Self, Tag, Schema.Struct.Type<F>, Schema.Struct.Encoded<F>> => {
    const Class = Schema.TaggedError<Self>(identifier)(tag, fields()) as never as new () => Error
    Object.defineProperty(Class.prototype, "name", { value: tag, configurable: true, writable: true })
    return Class as never
  }

/** Makes an error without stack frames, where all of them would be frames of this library. */
export const withoutStack = <E>(make: () => E): E => {
  const limit = Error.stackTraceLimit
  // Reflect does not throw where the global Error is frozen. Some runtimes have no limit.
  const limited = typeof limit === "number" && Reflect.set(Error, "stackTraceLimit", 0)
  try {
    return make()
  } finally {
    if (limited) {
      Error.stackTraceLimit = limit
    }
  }
}

/**
 * Makes an error on the socket's stack: without frames, because the end of a connection may fail thousands of commands at
 * once. Effect 4 checks the types of its fields in any case.
 */
export const withoutFrames = <Fields, E>(
  Class: new (fields: Fields, options?: Schema.MakeOptions) => E,
  fields: Fields
): E => withoutStack(() => new Class(fields, { disableChecks: true }))

/** A union of error classes, like `Schema.Union`. */
export const errorUnion = <const Members extends ReadonlyArray<Schema.Constraint>>(
  ...members: Members
): Schema.Union<Members> => Schema.Union(members as never) as never

/** One of these values. */
export const literals = <const L extends ReadonlyArray<SchemaAST.LiteralValue>>(...values: L): Schema.Literals<L> =>
  Schema.Literals(values)

/** Text that a secret is made of. It encodes to a fixed text: an error that is serialised reveals no secret. */
export const redactedText = (): Schema.Codec<Redacted.Redacted<string>, string> =>
  transformed(Schema.String, Schema.Redacted(Schema.String), {
    decode: (text) => Redacted.make(text),
    encode: () => "<redacted>"
  })

/** Where in a value something is: names of fields and indexes. */
export const path = (): Schema.Codec<ReadonlyArray<string | number>> =>
  Schema.Array(Schema.Union([Schema.String, Schema.Number]))

/** The cause of an error, whatever it is. */
export const defect = Schema.Defect()
