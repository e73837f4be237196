/** Shared decoders of the commands on servers, clusters and sentinels. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Reply } from "../resp/values.js"
import * as Decode from "./decode.js"

export const texts = Decode.array(Decode.text)
export const optionalText = Decode.nullable(Decode.text)
export const optionalInteger = Decode.nullable(Decode.integer)
export const textRecord = Decode.record(Decode.text)

/** A list of texts; empty when an older server does not send it. */
export const textsOrNone: Decode.Decoder<Array<string>> = (reply) => (reply === null ? [] : texts(reply))

/** A word of a logged command: text, or bytes when it is not UTF-8. */
export const word: Decode.Decoder<string | Uint8Array> = (reply) =>
  reply instanceof Uint8Array ? reply : Decode.text(reply)

const moment =
  (millis: number): Decode.Decoder<DateTime.Utc> =>
  (reply) =>
    Option.getOrElse(DateTime.make(Decode.integer(reply) * millis), () =>
      Decode.mismatch("a time that a date can hold", reply)
    )

/** A Unix time in seconds. */
export const timeSeconds = moment(1000)

/** A Unix time in milliseconds. */
export const timeMillis = moment(1)

/** Zero means "never" and is `None`. */
const unlessZero =
  <A>(decoder: Decode.Decoder<A>): Decode.Decoder<Option.Option<A>> =>
  (reply) =>
    Decode.integer(reply) === 0 ? Option.none() : Option.some(decoder(reply))

export const someTimeSeconds = unlessZero(timeSeconds)
export const someTimeMillis = unlessZero(timeMillis)

export const millis: Decode.Decoder<Duration.Duration> = (reply) => Duration.millis(Decode.integer(reply))

export const micros: Decode.Decoder<Duration.Duration> = (reply) => Duration.micros(BigInt(Decode.integer(reply)))

/** Seconds with a fraction. */
export const fractionalSeconds: Decode.Decoder<Duration.Duration> = (reply) =>
  Duration.millis(Math.round(Decode.double(reply) * 1000))

/** Reads `a=1 b=2` into a record without a prototype. */
export const assignments = (text: string, separator: string): Record<string, string> => {
  const result: Record<string, string> = Object.create(null)
  for (const part of text.split(separator)) {
    const at = part.indexOf("=")
    if (at > 0) {
      result[part.slice(0, at)] = part.slice(at + 1)
    }
  }
  return result
}

/** A field of a record of texts; `undefined` when it is missing. */
export const field = (fields: Readonly<Record<string, string>>, name: string): string | undefined => fields[name]

/** An integer field of a record of texts; `None` when it is missing. */
export const fieldInteger = (fields: Readonly<Record<string, string>>, name: string): Option.Option<number> => {
  const value: Reply | undefined = fields[name]
  return value === undefined ? Option.none() : Option.some(Decode.at(name, Decode.integer, value))
}
