/**
 * Commands to bytes. Text stays text until the socket takes it: joining strings and writing them in one go is the
 * cheapest way to the kernel in JavaScript.
 */
import type { Argument } from "./args.js"
import { isWellFormed, utf8Length } from "./text.js"

/** A command as it is written: one string, or strings and byte arrays in turn. */
export type Encoded = string | ReadonlyArray<string | Uint8Array>

/** Why a command cannot be sent. */
export class EncodeFailure {
  constructor(readonly reason: string) {}
}

/** What the encoder needs of a command's name. */
export interface EncodableSpec {
  readonly words: number
  readonly wire: string
}

/** Values longer than this are written as bytes of their own, so that the tick's string stays cheap to flatten. */
const longText = 16 * 1024

export const encode = (spec: EncodableSpec, args: ReadonlyArray<Argument>): Encoded | EncodeFailure => {
  let text = `*${spec.words + args.length}\r\n${spec.wire}`
  let parts: Array<string | Uint8Array> | undefined
  for (let i = 0; i < args.length; i++) {
    const data = (args[i] as Argument).data
    if (typeof data === "string") {
      const length = utf8Length(data)
      // As many bytes as UTF-16 units means ASCII, and ASCII has no surrogates to check.
      if (length !== data.length && !isWellFormed(data)) {
        return new EncodeFailure("an argument holds a lone surrogate, which UTF-8 cannot carry")
      }
      text += `$${length}\r\n`
      if (length > longText) {
        parts ??= []
        parts.push(text, data)
        text = "\r\n"
      } else {
        text += `${data}\r\n`
      }
    } else {
      parts ??= []
      parts.push(`${text}$${data.length}\r\n`, data)
      text = "\r\n"
    }
  }
  if (parts === undefined) {
    return text
  }
  parts.push(text)
  return parts
}

/** About how many bytes an encoded command takes in memory and on the wire. */
export const encodedLength = (encoded: Encoded): number => {
  if (typeof encoded === "string") {
    return encoded.length
  }
  let length = 0
  for (const part of encoded) {
    length += part.length
  }
  return length
}
