/**
 * Decoders of reports: what a server says about itself and its clients (docs/decisions/0024-reports.md).
 *
 * - **A report demands only its essential fields.** Every other field may be missing, or have a value of another shape:
 *   that costs this field alone.
 * - **A report never fails by its bytes.** Where text is wanted, bytes that are not UTF-8 are escaped ({@link text});
 *   names that a client or an administrator chose are exact under `Codec.bytes` ({@link name}). What a program stored
 *   (keys and values) is decoded strictly instead, by `Decode.key` and `Decode.value`.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Codec } from "../../Codec.js"
import { utf8Encode, utf8Escape } from "../resp/text.js"
import { isErrorReply, isMapReply, isSetReply, isUnreadable, isVerbatimString, type Reply } from "../resp/values.js"
import * as Decode from "./decode.js"

/** Text. Bytes that are not UTF-8 are escaped as `\xff`. Some servers send a number where others send text. */
export const text: Decode.Decoder<string> = (reply) => {
  switch (typeof reply) {
    case "string":
      return reply
    case "number":
    case "bigint":
    case "boolean":
      return String(reply)
  }
  return reply instanceof Uint8Array
    ? utf8Escape(reply, 0, reply.length)
    : isVerbatimString(reply)
      ? text(reply.value)
      : Decode.mismatch("text", reply)
}

export const texts: Decode.Decoder<Array<string>> = Decode.array(text)

export const optionalText: Decode.Decoder<Option.Option<string>> = Decode.nullable(text)

/** A name that a client or an administrator chose: escaped text, and the exact bytes under `Codec.bytes`. */
export const name = <V, K extends string | Uint8Array>(codec: Codec<V, K>): Decode.Decoder<K> =>
  codec.wants === "text"
    ? (reply) => Decode.fromEither(codec.decodeKey(text(reply)))
    : (reply) => Decode.fromEither(codec.decodeKey(Decode.stored(typeof reply === "boolean" ? String(reply) : reply)))

/** Numbers arrive as bytes where a command asks for bytes and the server sends them as text. */
const plain = (reply: Reply): Reply => (reply instanceof Uint8Array || isVerbatimString(reply) ? text(reply) : reply)

export const integer: Decode.Decoder<number> = (reply) => Decode.integer(plain(reply))
export const largeInteger: Decode.Decoder<number | bigint> = (reply) => Decode.largeInteger(plain(reply))
export const double: Decode.Decoder<number> = (reply) => Decode.double(plain(reply))
export const boolean: Decode.Decoder<boolean> = (reply) => {
  const value = plain(reply)
  return Decode.boolean(value === "1" ? 1 : value === "0" ? 0 : value)
}

const moment =
  (millis: number): Decode.Decoder<DateTime.Utc> =>
  (reply) =>
    Option.getOrElse(DateTime.make(integer(reply) * millis), () =>
      Decode.mismatch("a time that a date can hold", reply)
    )

/** A Unix time in seconds. */
export const timeSeconds = moment(1000)

/** A Unix time in milliseconds. */
export const timeMillis = moment(1)

export const seconds: Decode.Decoder<Duration.Duration> = (reply) => Duration.seconds(integer(reply))

export const millis: Decode.Decoder<Duration.Duration> = (reply) => Duration.millis(integer(reply))

export const micros: Decode.Decoder<Duration.Duration> = (reply) => {
  const value = integer(reply)
  return value < 0 ? Decode.mismatch("a duration", reply) : Duration.micros(BigInt(value))
}

/** Seconds with a fraction. */
export const fractionalSeconds: Decode.Decoder<Duration.Duration> = (reply) =>
  Duration.millis(Math.round(double(reply) * 1000))

/**
 * A field of a report.
 *
 * `decode` calls `misfit` when it leaves out a part of the value that does not fit.
 */
export class Field<out A> {
  constructor(
    readonly decode: (reply: Reply, misfit: () => void) => A,
    /** The value where the server does not send the field, or sends another shape. Without it the field is essential. */
    readonly absent: (() => A) | undefined
  ) {}
}

/** A field without which there is no report. */
export const essential = <A>(decoder: Decode.Decoder<A>): Field<A> => new Field(decoder, undefined)

export const optional = <A>(decoder: Decode.Decoder<A>): Field<Option.Option<A>> =>
  new Field((reply) => Option.some(decoder(reply)), Option.none)

/** A number that stands for "never" or "unknown" is `None`, as a missing field is. */
export const optionalUnless = <A>(never: number, decoder: Decode.Decoder<A>): Field<Option.Option<A>> =>
  new Field((reply) => (Number(plain(reply)) === never ? Option.none() : Option.some(decoder(reply))), Option.none)

/** A list: empty where the server does not send it. Elements that do not fit are left out. */
export const list = <A>(element: Decode.Decoder<A>): Field<Array<A>> => new Field(elements(element), () => [])

/** A list whose absence means something else than an empty list. */
export const optionalList = <A>(element: Decode.Decoder<A>): Field<Option.Option<Array<A>>> => {
  const read = elements(element)
  return new Field((reply, misfit) => Option.some(read(reply, misfit)), Option.none)
}

const elements =
  <A>(element: Decode.Decoder<A>) =>
  (reply: Reply, misfit: () => void): Array<A> => {
    const result: Array<A> = []
    Decode.items(reply).forEach((item, i) => {
      try {
        result.push(Decode.at(i, element, item))
      } catch (failure) {
        pass(failure)
        misfit()
      }
    })
    return result
  }

/** A record whose names come from the server; it has no prototype. Entries whose value does not fit are left out. */
export const record = <A>(value: Decode.Decoder<A>): Field<Record<string, A>> =>
  new Field(
    (reply, misfit) => {
      const result: Record<string, A> = Object.create(null)
      for (const [name, field] of namesAndValues(reply)) {
        try {
          result[name] = Decode.at(name, value, field)
        } catch (failure) {
          pass(failure)
          misfit()
        }
      }
      return result
    },
    () => Object.create(null)
  )

/** A field's decoder where the field is the whole reply: what does not fit is left out. */
export const whole =
  <A>(field: Field<A>): Decode.Decoder<A> =>
  (reply) =>
    field.decode(reply, ignore)

/** Passes on every failure but that of a value of another shape. */
const pass = (failure: unknown): void => {
  if (!Decode.isDecodeFailure(failure) || failure.byCodec) {
    throw failure
  }
}

const ignore = (): void => {}

/** Reads a field, at a place of a list or under its name. `misfit` is called when (a part of) its value does not fit. */
export const read = <A>(
  field: Field<A>,
  part: string | number,
  reply: Reply | undefined,
  misfit: () => void = ignore
): A => {
  const { absent, decode } = field
  if (absent === undefined) {
    return Decode.at(part, (reply) => decode(reply, misfit), reply ?? null)
  }
  if (reply === undefined || reply === null) {
    return absent()
  }
  try {
    return Decode.at(part, (reply) => decode(reply, misfit), reply)
  } catch (failure) {
    pass(failure)
    misfit()
    return absent()
  }
}

/** The names and values of a record. Names may repeat. */
export const namesAndValues = (reply: Reply): Array<[name: string, value: Reply]> => {
  const items = isMapReply(reply) ? reply.items : Decode.items(reply)
  const pairs = items.length > 0 && items.every((item) => Array.isArray(item) && item.length === 2)
  const source = pairs ? (items as ReadonlyArray<ReadonlyArray<Reply>>).flat() : items
  const result: Array<[string, Reply]> = []
  for (let i = 0; i + 1 < source.length; i += 2) {
    result.push([shown(source[i] as Reply), source[i + 1] as Reply])
  }
  return result
}

/** A value as text, whatever its shape: lists and records as JSON. */
export const shown = (reply: Reply): string => {
  const value = json(reply)
  return typeof value === "string" ? value : JSON.stringify(value)
}

const json = (reply: Reply): unknown => {
  switch (typeof reply) {
    case "string":
    case "boolean":
      return reply
    case "number":
      return Number.isFinite(reply) ? reply : String(reply)
    case "bigint":
      return String(reply)
  }
  if (reply === null) {
    return null
  }
  if (reply instanceof Uint8Array || isVerbatimString(reply)) {
    return text(reply)
  }
  if (isErrorReply(reply)) {
    return reply.message
  }
  if (isUnreadable(reply)) {
    return reply.text
  }
  if (isMapReply(reply)) {
    const result: Record<string, unknown> = Object.create(null)
    for (const [name, value] of namesAndValues(reply)) {
      result[name] = json(value)
    }
    return result
  }
  return (isSetReply(reply) ? reply.items : (reply as ReadonlyArray<Reply>)).map(json)
}

type Fields = Record<string, Field<unknown>>

type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer A> ? A : never }

/** The fields that a report has no property for. */
export interface Other {
  readonly other: Readonly<Record<string, string>>
}

/**
 * A record of named fields. Property names become the server's names: `struct("-", { lastId })` reads `last-id`. `other`
 * has, as text, every field that is not among them, and every field whose value does not fit.
 */
export const struct = <const F extends Fields>(separator: string, fields: F): Decode.Decoder<Values<F> & Other> => {
  const known = new Map(
    Object.entries(fields).map(([property, field]) => [
      property.replace(/[A-Z]/g, (capital) => separator + capital.toLowerCase()),
      { property, field }
    ])
  )
  return (reply) => {
    const found = new Map(namesAndValues(reply))
    const result: Record<string, unknown> = {}
    const other: Record<string, string> = Object.create(null)
    for (const [name, { field, property }] of known) {
      const value = found.get(name)
      result[property] = read(field, name, value, () => {
        other[name] = shown(value ?? null)
      })
    }
    for (const [name, value] of found) {
      if (value !== null && !known.has(name)) {
        other[name] = shown(value)
      }
    }
    return { ...result, other } as never
  }
}

/** Reads `a=1,b=2` into a record without a prototype. */
export const assignments = (source: string, separator: string): Record<string, string> => {
  const result: Record<string, string> = Object.create(null)
  for (const part of source.split(separator)) {
    const at = part.indexOf("=")
    if (at > 0) {
      result[part.slice(0, at)] = part.slice(at + 1)
    }
  }
  return result
}

/** A text that is cut into parts. Only ASCII may be searched for in `source`. */
export interface Cut<out K> {
  readonly source: string
  readonly text: (part: string) => string
  readonly name: (part: string) => K
}

/** For reports that are one text: cuts it so that names keep their exact bytes under `Codec.bytes`. */
export const cutting = <V, K extends string | Uint8Array>(codec: Codec<V, K>): ((reply: Reply) => Cut<K>) => {
  const decode = name(codec)
  if (codec.wants === "text") {
    return (reply) => ({ source: text(reply), text: (part) => part, name: decode })
  }
  // One character for each byte.
  const bytesOf = (part: string): Uint8Array => Uint8Array.from(part, (character) => character.charCodeAt(0))
  return (reply) => {
    text(reply)
    const stored = Decode.stored(reply as string | Uint8Array)
    let source = ""
    for (const byte of typeof stored === "string" ? utf8Encode(stored) : stored) {
      source += String.fromCharCode(byte)
    }
    return { source, text: (part) => text(bytesOf(part)), name: (part) => decode(bytesOf(part)) }
  }
}
