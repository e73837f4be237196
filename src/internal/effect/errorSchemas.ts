/**
 * Error classes that are schemas of themselves, and the schemas their fields are made of. Effect 4 builds such classes,
 * literals, unions and transformations with other functions; used by `RedisError` and the errors of `testing`.
 *
 * A class makes its schema when it is first asked for it: making all of them took a seventh of the time that importing
 * the client took.
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as ParseResult from "effect/ParseResult"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { transformed } from "./schemas.js"

/**
 * What `Schema.TaggedError` makes, with its types spelled out. The types that Effect computes from the fields cost each
 * program that unites errors 8 000 instantiations, more than all its commands.
 */
export interface ErrorClass<Self, Tag extends string, Fields, Encoded = Fields>
  extends Schema.Schema<Self, { readonly _tag: Tag } & Encoded> {
  new (fields: Fields, options?: Schema.MakeOptions): Cause.YieldableError & { readonly _tag: Tag } & Fields
  readonly identifier: string
}

/** Effect's own class for the same error. */
interface EffectClass {
  readonly ast: SchemaAST.AST
}

type Fields = Schema.Struct.Fields

/**
 * The base of a class of errors, like `Schema.TaggedError`. An error without a field `message` has to override the
 * message.
 */
export const errorClass =
  <Self>(identifier: string) =>
  <Tag extends string, F extends Fields>(
    tag: Tag,
    fields: () => F
  ): ErrorClass<Self, Tag, Schema.Struct.Constructor<F>, Schema.Struct.Encoded<F>> => {
    let effectClass: EffectClass | undefined
    const made = (): EffectClass => {
      effectClass ??= Schema.TaggedError<Self>(identifier)(tag, fields()) as unknown as EffectClass
      return effectClass
    }
    let check: ((properties: unknown) => object) | undefined
    const checked = (properties: object): object => {
      check ??= ParseResult.validateSync(
        Schema.Struct({ ...fields(), _tag: Schema.Literal(tag) }).annotations({ title: `${identifier} (Constructor)` })
      )
      return check(properties)
    }
    /** By this, Effect recognises the errors of another copy of this package. */
    const brand = Symbol.for(`effect/Schema/TaggedError/${identifier}`)

    class Base extends Data.Error<{ readonly message?: string }> {
      static readonly [Schema.TypeId] = Schema.String[Schema.TypeId]
      static readonly identifier = identifier

      /** Effect's getter asks `this` for the class whose instances the schema accepts and makes. */
      static get ast(): SchemaAST.AST {
        // biome-ignore lint/complexity/noThisInStatic: the class that extends this one is meant.
        return Reflect.get(made(), "ast", this)
      }

      static annotations(annotations: Schema.Annotations.GenericSchema<unknown>): Schema.Schema.Any {
        // biome-ignore lint/complexity/noThisInStatic: the class that extends this one is meant.
        return Schema.make(this.ast).annotations(annotations)
      }

      static pipe(): unknown {
        // biome-ignore lint/complexity/noArguments: this is how Effect implements `pipe`.
        // biome-ignore lint/complexity/noThisInStatic: the class that extends this one is meant.
        return pipeArguments(this as unknown as Pipeable, arguments)
      }

      static override toString(): string {
        return String(made())
      }

      constructor(properties: object, options?: Schema.MakeOptions) {
        const unchecked = typeof options === "boolean" ? options : options?.disableValidation
        const tagged = { ...properties, _tag: tag }
        super(unchecked ? tagged : checked(tagged))
      }

      get [brand](): symbol {
        return brand
      }
    }
    Object.defineProperty(Base.prototype, "name", { value: tag, enumerable: true, configurable: true, writable: true })
    return Base as never
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
 * Makes an error on the socket's stack: without frames, and without a check of its fields, because the end of a connection
 * may fail thousands of commands at once.
 */
export const withoutFrames = <Fields, E>(
  Class: new (fields: Fields, options?: Schema.MakeOptions) => E,
  fields: Fields
): E => withoutStack(() => new Class(fields, { disableValidation: true }))

/** A union of error classes, like `Schema.Union`. */
export const errorUnion = <Members extends ReadonlyArray<Schema.Schema.Any>>(
  ...members: Members
): Schema.Union<Members> => {
  let union: Schema.Schema.Any | undefined
  const made = (): Schema.Schema.Any => {
    union ??= Schema.Union(...members)
    return union
  }
  // biome-ignore lint/complexity/noStaticOnlyClass: a schema of Effect is a class, which programs extend to name it.
  class Union {
    static readonly [Schema.TypeId] = Schema.String[Schema.TypeId]
    static readonly members = members

    static get ast(): SchemaAST.AST {
      return made().ast
    }

    static annotations(annotations: Schema.Annotations.GenericSchema<unknown>): Schema.Schema.Any {
      return made().annotations(annotations)
    }

    static pipe(): unknown {
      // biome-ignore lint/complexity/noArguments: this is how Effect implements `pipe`.
      return pipeArguments(made(), arguments)
    }

    static toString(): string {
      return String(made())
    }
  }
  return Union as never
}

/** One of these values. */
export const literals = Schema.Literal

/** Text that a secret is made of. It encodes to a fixed text: an error that is serialised reveals no secret. */
export const redactedText = (): Schema.Schema<Redacted.Redacted<string>, string> =>
  transformed(Schema.String, Schema.RedactedFromSelf(Schema.String), {
    decode: (text) => Redacted.make(text),
    encode: () => "<redacted>"
  })

/** Where in a value something is: names of fields and indexes. */
export const path = (): Schema.Schema<ReadonlyArray<string | number>> =>
  Schema.Array(Schema.Union(Schema.String, Schema.Number))

/** The cause of an error, whatever it is. */
export const defect = Schema.Defect
