/**
 * Hashes as values of a schema: each field of a struct is a field of the hash. Its methods make commands, so they run
 * alone, in pipelines and in transactions.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type { CodecIssue } from "./Codec.js"
import { args, type Key, type List, toList } from "./internal/command/args.js"
import { define } from "./internal/command/command.js"
import { DecodeFailure, type Decoder, flatEntries, integer, items } from "./internal/command/decode.js"
import type { RedisCommand } from "./internal/command/model.js"
import { decoder, unknownEncoder } from "./internal/effect/issue.js"
import type { ServiceFree } from "./internal/effect/schemas.js"
import { encodedNames, pickFields } from "./internal/effect/struct.js"
import type { Reply } from "./internal/resp/values.js"

/**
 * The property by which the commands of a schema are recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisHash")

/**
 * The property by which the commands of a schema are recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * The encoded side of a hash's schema: text by name, where fields may be missing. A number is text by
 * `Schema.NumberFromString`.
 *
 * @since 0.1.0
 * @category models
 */
export type EncodedFields = { readonly [name: string]: string | undefined }

/**
 * A schema of hashes. It encodes each field to text, and needs no services.
 *
 * @since 0.1.0
 * @category models
 */
export interface HashSchema extends ServiceFree {
  readonly Type: unknown
  readonly Encoded: EncodedFields
}

/**
 * The fields of a struct or class; a schema that is no struct has none.
 *
 * @since 0.1.0
 * @category models
 */
export type FieldsOf<S> = S extends { readonly fields: infer Fields extends Schema.Struct.Fields }
  ? Fields
  : Record<never, never>

/**
 * The value of some fields of a struct.
 *
 * @since 0.1.0
 * @category models
 */
export type Picked<Fields extends Schema.Struct.Fields, Names extends keyof Fields> = Types.Simplify<
  Schema.Struct.Type<Pick<Fields, Names>>
>

/**
 * The hash commands over values of one schema. `Fields` are the fields of its struct, by which some of them can be read
 * and written; a schema that is no struct has none.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisHash<A, Fields extends Schema.Struct.Fields = Record<never, never>> {
  readonly [TypeId]: TypeId

  /**
   * Stores the fields of a value (HSET), and returns how many of them are new. Fields that are absent from the value keep
   * what the hash has: to replace a hash, delete it in the same transaction.
   */
  readonly hset: (key: Key, value: A) => RedisCommand<number>

  /**
   * The whole hash as a value (HGETALL); `None` when it is missing. Fields that the schema does not name are ignored. A
   * hash that does not fit the schema is a `DecodeError`, whose path has the field.
   */
  readonly hgetall: (key: Key) => RedisCommand<Option.Option<A>>

  /**
   * One or more fields, by their names in the schema (HMGET); `None` when the hash has none of them. When it has some, and one
   * that is not optional is missing, that is a `DecodeError`.
   *
   * @example
   * ```ts
   * const contact = yield* users.hmget("user:ada", ["name", "email"]) // Option<{ name: string, email?: string }>
   * ```
   */
  readonly hmget: <Names extends keyof Fields & string>(
    key: Key,
    names: Names | List<Names>
  ) => RedisCommand<Option.Option<Picked<Fields, Names>>>

  /**
   * The same hashes, of which only some fields are read and written.
   *
   * @example
   * ```ts
   * yield* users.pick("email").hset("user:ada", { email: "ada@example.org" })
   * ```
   */
  readonly pick: <Names extends keyof Fields & string>(
    ...names: ReadonlyArray<Names>
  ) => RedisHash<Picked<Fields, Names>, Pick<Fields, Names>>
}

/**
 * Makes the hash commands of a schema. The schema must encode each field to text, work synchronously and need no
 * services.
 *
 * @example
 * ```ts
 * import { Redis, RedisHash } from "effect-redis-client"
 * import { Effect, Schema } from "effect"
 *
 * const User = Schema.Struct({
 *   name: Schema.String,
 *   visits: Schema.NumberFromString,
 *   email: Schema.optional(Schema.String)
 * })
 * const users = RedisHash.make(User)
 *
 * export const program = Effect.gen(function*() {
 *   yield* users.hset("user:ada", { name: "Ada", visits: 1 })
 *   const ada = yield* users.hgetall("user:ada") // Option<{ name: string, visits: number, email?: string }>
 *   const [contact] = yield* Redis.pipeline([users.hmget("user:ada", ["name", "email"])])
 *   return { ada, contact }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: <S extends HashSchema>(schema: S) => RedisHash<S["Type"], FieldsOf<S>> = struct as never

type Struct = RedisHash<never, Schema.Struct.Fields>

const HGETALL = define("HGETALL")
const HMGET = define("HMGET")
const HSET = define("HSET")

/** The commands of a schema, and how some of its fields are read. */
interface Part {
  readonly hash: Struct
  /** The names of the fields in Redis. */
  readonly names: ReadonlyArray<string>
  readonly read: Decoder<Option.Option<never>>
}

function struct(schema: Schema.Schema<never>): Struct {
  const { fields = {} } = schema as { readonly fields?: Schema.Struct.Fields }
  const encode = unknownEncoder(schema)
  const decode = decoder(schema)
  const readAll: Decoder<Option.Option<never>> = (reply) => {
    const source = flatEntries(reply)
    const stored: Record<string, Reply> = Object.create(null)
    for (let i = 0; i < source.length; i += 2) {
      const name = source[i]
      // No field of a schema has a name that is not text.
      if (typeof name === "string") {
        stored[name] = source[i + 1] as Reply
      }
    }
    return source.length === 0 ? Option.none() : Option.some(decoded(decode, stored))
  }

  /** One for each list of names, so that equal commands have the same decoder. */
  const parts = new Map<string, Part>()
  const partOf = (given: ReadonlyArray<string>): Part => {
    const known = [...new Set(given)].filter((name) => Object.hasOwn(fields, name))
    const id = JSON.stringify(known)
    let part = parts.get(id)
    if (part === undefined) {
      part = partFrom(fields, known)
      if (parts.size < mostParts) {
        parts.set(id, part)
      }
    }
    return part
  }

  return {
    [TypeId]: TypeId,
    hset: (key, value) => {
      const builder = args().key(key)
      // A schema may run code of its author. The error it throws is dropped, because it may quote the value.
      const encoded = Either.flatMap(Either.try({ try: () => encode(value), catch: () => threw }), (either) => either)
      if (Either.isLeft(encoded)) {
        const { path, reason } = encoded.left
        const at = path.length === 0 ? "" : ` at ${path.join(".")}`
        return HSET(builder.fail(`the fields do not encode${at}: ${reason}`), integer)
      }
      const stored = Object.entries(encoded.right as object as EncodedFields)
      for (const [name, text] of stored) {
        if (text !== undefined) {
          builder.text(name)
          typeof text === "string" ? builder.text(text) : builder.fail("the fields do not encode: not each is text")
        }
      }
      return HSET(builder.list.length === 1 ? builder.fail("needs at least one field") : builder, integer)
    },
    hgetall: (key) => HGETALL(args().key(key), readAll),
    hmget: (key, names) => {
      const given = toList<string>(names)
      const builder = args().key(key)
      if (given.length === 0 || given.some((name) => !Object.hasOwn(fields, name))) {
        builder.fail(given.length === 0 ? "needs at least one field" : "the schema has no field of that name")
      }
      const { names: stored, read } = partOf(given)
      return HMGET(
        builder.each(stored, (args, name) => args.text(name)),
        read
      )
    },
    pick: (...names) => partOf(names).hash as never
  }
}

/** How many lists of names are kept. They may come from a program's data, so the map is bounded. */
const mostParts = 100

const threw = { path: [], reason: "its schema threw" }

const partFrom = (fields: Schema.Struct.Fields, given: ReadonlyArray<string>): Part => {
  const schema = pickFields(fields, given)
  const names = encodedNames(schema.ast)
  const decode = decoder(schema)
  return {
    hash: struct(schema),
    names,
    read: (reply) => {
      const stored: Record<string, Reply> = Object.create(null)
      let found = 0
      items(reply).forEach((value, i) => {
        if (value !== null) {
          found++
          stored[names[i] as string] = value
        }
      })
      return found === 0 ? Option.none() : Option.some(decoded(decode, stored))
    }
  }
}

/** The value of what is stored, or a failure that has the field in its path. */
const decoded = (
  decode: (stored: unknown) => Either.Either<never, CodecIssue>,
  stored: Readonly<Record<string, Reply>>
): never => {
  const value = decode(stored)
  if (Either.isLeft(value)) {
    throw new DecodeFailure(value.left.reason, value.left.path)
  }
  return value.right
}

/**
 * Whether a value is the hash commands of a schema.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRedisHash = (u: unknown): u is RedisHash<never> => Predicate.hasProperty(u, TypeId)
