/** The shared part of `RedisScript` and `RedisFunction`: the keys, the typed arguments and the result of a call. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { Codec, CodecIssue, TypeId as CodecTypeId } from "../../Codec.js"
import { type Args, type Argument, args, type Key, type OneOrMany, toList } from "../command/args.js"
import { DecodeFailure, type Decoder, raw } from "../command/decode.js"
import { decoder, unknownEncoder } from "../effect/issue.js"
import type { ServiceFree } from "../effect/schemas.js"
import { isMapReply, isSetReply, isVerbatimString, type Reply } from "../resp/values.js"

/** The types that an argument's schema may encode to. Each has one obvious form as text. */
export type Encodable = string | Uint8Array | number | bigint | boolean

/** A schema that encodes to {@link Encodable} and needs no services. */
export interface ArgumentSchema extends ServiceFree {
  readonly Type: unknown
  readonly Encoded: Encodable
}

/** The encoding half of a `Codec`. */
export interface ArgumentCodec {
  readonly [CodecTypeId]: CodecTypeId
  readonly encode: (value: never) => Either.Either<string | Uint8Array, CodecIssue>
}

export type ArgumentType = ArgumentSchema | ArgumentCodec

export type ArgumentValue<T> = T extends { readonly Encoded: Encodable; readonly Type: infer A }
  ? A
  : T extends { readonly encode: (value: infer A) => unknown }
    ? A
    : never

export type KeyCount = number | "any"

/** Keys and arguments with names, for editors, by how many there are. Editors number those of longer calls themselves. */
interface Names {
  readonly keys: [
    [],
    [key: Key],
    [key1: Key, key2: Key],
    [key1: Key, key2: Key, key3: Key],
    [key1: Key, key2: Key, key3: Key, key4: Key],
    [key1: Key, key2: Key, key3: Key, key4: Key, key5: Key],
    [key1: Key, key2: Key, key3: Key, key4: Key, key5: Key, key6: Key]
  ]
  readonly args: [
    [],
    [argument: 0],
    [argument1: 0, argument2: 0],
    [argument1: 0, argument2: 0, argument3: 0],
    [argument1: 0, argument2: 0, argument3: 0, argument4: 0],
    [argument1: 0, argument2: 0, argument3: 0, argument4: 0, argument5: 0],
    [argument1: 0, argument2: 0, argument3: 0, argument4: 0, argument5: 0, argument6: 0]
  ]
}

type KeyTuple<N extends number, Keys extends ReadonlyArray<Key> = []> = `${N}` extends keyof Names["keys"]
  ? Names["keys"][N]
  : Keys["length"] extends N
    ? Keys
    : KeyTuple<N, [...Keys, key: Key]>

export type KeyParameters<N extends KeyCount> = N extends number
  ? number extends N
    ? never
    : `${N}` extends `-${string}` | `${string}.${string}` | `${string}e${string}`
      ? never
      : KeyTuple<N>
  : [keys: OneOrMany<Key>]

/**
 * The values for the declared arguments. Without declared arguments TypeScript infers the constraint `ReadonlyArray`,
 * which means no arguments here; a default type parameter would impede inference.
 */
type ArgumentValues<T extends ReadonlyArray<ArgumentType>> = number extends T["length"]
  ? []
  : `${T["length"]}` extends keyof Names["args"]
    ? ValuesOf<T, Names["args"][T["length"]]>
    : LongValuesOf<T>

/** A mapped type keeps the names of the tuple that it maps. */
type ValuesOf<T extends ReadonlyArray<ArgumentType>, Named extends ReadonlyArray<unknown>> = {
  [K in keyof Named]: K extends keyof T ? ArgumentValue<T[K]> : never
}

type LongValuesOf<T extends ReadonlyArray<unknown>, Values extends ReadonlyArray<unknown> = []> = T extends readonly [
  infer Type,
  ...infer Others
]
  ? LongValuesOf<Others, [...Values, argument: ArgumentValue<Type>]>
  : Values

export type Parameters<N extends KeyCount, T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType> = [
  ArgumentType
] extends [Rest]
  ? [...KeyParameters<N>, ...ArgumentValues<T>]
  : [...KeyParameters<N>, ...ArgumentValues<T>, ...rest: Array<ArgumentValue<Rest>>]

export interface CallOptions<
  N extends KeyCount,
  T extends ReadonlyArray<ArgumentType>,
  Rest extends ArgumentType,
  A,
  I
> {
  /**
   * The number of keys. They are the first parameters of every call. With `"any"`, the first parameter is one key or a
   * list of keys.
   */
  readonly keys: N
  /**
   * The arguments, which follow the keys: each a schema that encodes to text, a number, bytes or a boolean (sent as 1
   * or 0), or a codec.
   */
  readonly args?: T | undefined
  /** The type of any number of further arguments after `args`. */
  readonly rest?: Rest | undefined
  /**
   * How the reply is decoded. Without it, the result is the raw reply.
   *
   * A schema decodes the reply in its RESP2 form, under RESP3 too: Lua's integers as numbers, strings as text, `nil`
   * and `false` as `null`, `true` as 1, tables as arrays, and maps as arrays of keys and values in turn. A reply that
   * does not fit fails with a `DecodeError`. A function receives the raw reply; when it throws, that is a defect.
   */
  readonly result?: Schema.Schema<A, I> | ((reply: Reply) => A) | undefined
  /** Whether strings in the reply are text (the default) or bytes. */
  readonly reply?: "text" | "bytes" | undefined
  /**
   * Whether it only reads, which the server enforces (EVAL_RO, EVALSHA_RO, FCALL_RO; since Redis 7.0.0). Only a call
   * that only reads is sent again after a lost connection, and may run on replicas. Default: false.
   */
  readonly readonly?: boolean | undefined
}

export type AnyOptions = CallOptions<KeyCount, ReadonlyArray<ArgumentType>, ArgumentType, unknown, unknown>

/** Makes the function that builds the arguments of a call. `first` is the script's source, or the function's name. */
export const invocation = (options: AnyOptions, first: Argument, problem: string | undefined) => {
  const { keys } = options
  const types = (options.args ?? []).map(appender)
  const rest = options.rest === undefined ? undefined : appender(options.rest)
  const leading = keys === "any" ? 1 : keys
  const invalid =
    (typeof first.data === "string" ? problem : "its source or name must be text") ??
    (keys === "any" || (Number.isInteger(keys) && keys >= 0) ? undefined : '`keys` must be a count or "any"')
  return (parameters: ReadonlyArray<unknown>): Args => {
    const builder = args()
    builder.add(first)
    if (invalid !== undefined) {
      return builder.fail(invalid)
    }
    const expected = leading + types.length
    if (rest === undefined ? parameters.length !== expected : parameters.length < expected) {
      const least = rest === undefined ? "" : " or more"
      return builder.fail(`takes ${count(keys, "key")} and ${count(types.length, "argument")}${least}`)
    }
    const names = keys === "any" ? toList(parameters[0] as OneOrMany<Key>) : parameters.slice(0, keys)
    builder.integer(names.length)
    for (const name of names) {
      builder.key(name as Key)
    }
    for (let i = leading; i < parameters.length; i++) {
      const append = types[i - leading] ?? rest
      append?.(builder, parameters[i], i - leading + 1)
    }
    return builder
  }
}

const count = (n: KeyCount, what: string): string => (n === "any" ? `${what}s` : `${n} ${what}${n === 1 ? "" : "s"}`)

type Appender = (builder: Args, value: unknown, position: number) => void

const appender = (type: ArgumentType): Appender => {
  if (!Schema.isSchema(type)) {
    return (builder, value) => builder.value(type as Codec<unknown>, value)
  }
  const encode = unknownEncoder(type as Schema.Schema<unknown>)
  return (builder, value, position) => {
    // A schema may run user code. The error it throws is dropped, because it may quote the value.
    const tried = Either.try(() => encode(value))
    if (Either.isLeft(tried)) {
      builder.fail(`argument ${position} does not encode: its schema threw`)
    } else if (Either.isLeft(tried.right)) {
      const { path, reason } = tried.right.left
      builder.fail(`argument ${position} does not encode${path.length === 0 ? "" : ` at ${path.join(".")}`}: ${reason}`)
    } else {
      appendEncoded(builder, tried.right.right, position)
    }
  }
}

const appendEncoded = (builder: Args, encoded: unknown, position: number): void => {
  switch (typeof encoded) {
    case "string":
      builder.text(encoded)
      return
    case "bigint":
      builder.integer(encoded)
      return
    case "number":
      Number.isInteger(encoded) ? builder.integer(encoded) : builder.double(encoded)
      return
    case "boolean":
      builder.text(encoded ? "1" : "0")
      return
  }
  encoded instanceof Uint8Array
    ? builder.text(encoded)
    : builder.fail(`argument ${position} must encode to text, bytes, a number or a boolean`)
}

/** The decoder of a call's result. */
export const resultDecoder = ({ result }: AnyOptions): Decoder<unknown> => {
  if (result === undefined) {
    return raw
  }
  if (!Schema.isSchema(result)) {
    return result as (reply: Reply) => unknown
  }
  const decode = decoder(result as Schema.Schema<unknown>)
  return (reply) => {
    const decoded = decode(plain(reply))
    if (Either.isLeft(decoded)) {
      const { path, reason } = decoded.left
      throw new DecodeFailure(reason, path)
    }
    return decoded.right
  }
}

/** Converts a reply to its RESP2 form, so that a schema fits under both protocols. */
const plain = (reply: Reply): unknown => {
  if (typeof reply === "boolean") {
    return reply ? 1 : 0
  }
  if (isVerbatimString(reply)) {
    return reply.value
  }
  return Array.isArray(reply)
    ? (reply as ReadonlyArray<Reply>).map(plain)
    : isMapReply(reply) || isSetReply(reply)
      ? reply.items.map(plain)
      : reply
}
