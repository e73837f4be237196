/**
 * Entries as streams are read here: a value that is not text makes its own entry undecodable, not the whole reply.
 */

import * as DateTime from "effect/DateTime"
import * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import { bytes, type Codec, type CodecIssue, TypeId } from "../../Codec.js"
import { make as makeStream } from "../../commands/stream.js"
import type { StreamEntry } from "../../commands/stream-entry.js"
import { make as makeGroup } from "../../commands/stream-group.js"
import { make as makeInfo, type StreamInfoCommands } from "../../commands/stream-info.js"
import { DecodeError, UsageError } from "../../RedisError.js"
import { type AbsoluteTime, type Key, wholeMillis } from "../command/args.js"
import { decoder } from "../effect/issue.js"

/** Text, and bytes where they are not UTF-8. */
const asItComes: Codec<Key, Key> = {
  [TypeId]: TypeId,
  wants: "text",
  encode: Either.right,
  decode: Either.right,
  decodeKey: Either.right
}

export type RawEntry = StreamEntry<Key, Key>

export const streams = makeStream(asItComes)
export const groups = makeGroup(asItComes)
/**
 * Names of consumers as their bytes. Text would have them escaped where they are not UTF-8, and no server knows that name.
 * (The type is spelled out, because older compilers do not know a Uint8Array with type parameters.)
 */
export const infos: StreamInfoCommands<Uint8Array, Uint8Array> = makeInfo(bytes)

/** Turns an entry's fields into the value that the program works with. */
export type DecodeFields<A> = (entry: RawEntry) => Either.Either<A, CodecIssue>

const textOnly: DecodeFields<Readonly<Record<string, string>>> = ({ fields, pairs }) => {
  for (const [name, value] of pairs) {
    if (typeof value !== "string") {
      return Either.left({
        path: typeof name === "string" ? [name] : [],
        reason: "the bytes are not UTF-8 text; read them with Redis.withCodec(Codec.bytes)"
      })
    }
  }
  return Either.right(fields as Readonly<Record<string, string>>)
}

/** The decoder of a schema over a record of text; without a schema, the record itself. */
export const fieldsDecoder = <A, I>(schema: Schema.Schema<A, I> | undefined): DecodeFields<A> => {
  if (schema === undefined) {
    return textOnly as DecodeFields<never>
  }
  const decode = decoder(schema)
  return ({ fields }) => decode(fields)
}

/** Names the entry and the field that do not decode. Ids and names of fields are shown, values never. */
export const undecodable = (command: string, stream: string, id: string, issue: CodecIssue): DecodeError =>
  new DecodeError({ command, path: [stream, id, "fields", ...issue.path], reason: issue.reason })

/** Reading begins after this id; `undefined` stands for the last id of the stream when reading starts. */
export const idOf = (from: string | AbsoluteTime): Either.Either<string | undefined, UsageError> => {
  if (typeof from === "string") {
    return from === "new"
      ? Either.right(undefined)
      : from === "all"
        ? Either.right("0-0")
        : /^\d{1,20}(?:-\d{1,20})?$/.test(from)
          ? Either.right(from)
          : invalid('where to begin must be "all", "new", an entry\'s id, or a time')
  }
  const millis = from instanceof Date ? from.getTime() : DateTime.isDateTime(from) ? DateTime.toEpochMillis(from) : NaN
  return Number.isSafeInteger(millis)
    ? // The last id that is possible before that millisecond.
      Either.right(millis <= 0 ? "0-0" : `${millis - 1}-18446744073709551615`)
    : invalid("where to begin must be a valid date")
}

const invalid = (message: string): Either.Either<never, UsageError> =>
  Either.left(new UsageError({ reason: "invalidArgument", message }))

/** A whole number of milliseconds, at least 1, as commands take it. */
export const wireMillis = (input: unknown, what: string): Either.Either<number, UsageError> => {
  const millis = wholeMillis(input as never)
  return millis !== undefined && millis > 0
    ? Either.right(millis)
    : Either.left(
        new UsageError({
          reason: "invalidOptions",
          message: `${what} must be a duration of whole milliseconds with its unit, such as "5 seconds"`
        })
      )
}
