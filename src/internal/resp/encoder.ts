/**
 * Commands to bytes. Text stays text until the socket takes it: joining strings and writing them in one go is the
 * cheapest way to the kernel in JavaScript.
 */
import type { Argument } from "../command/args.js"
import { isWellFormed, utf8Length } from "./text.js"

/** A command as it is written: one string, or strings and byte arrays in turn. */
export type Encoded = string | ReadonlyArray<string | Uint8Array>

/** Why a command cannot be sent. */
export class EncodeFailure {
  constructor(readonly reason: string) {}
}

/** How a command begins on the wire: how many bulk strings there are, and those of its name. */
export class Name {
  private readonly words: number
  private readonly wire: string
  private readonly heads: Array<string> = []
  constructor(words: ReadonlyArray<string>) {
    this.words = words.length
    this.wire = words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")
  }

  /** For so many arguments. Those of few are kept: joining it anew made a string and two numbers for each command. */
  head(count: number): string {
    return count < 8 ? (this.heads[count] ??= this.join(count)) : this.join(count)
  }

  private join(count: number): string {
    return `*${this.words + count}\r\n${this.wire}`
  }
}

/** No name: the arguments alone. */
export const nameless = new Name([])

const lengths: Array<string> = []

/** A bulk string's header. Those of short ones are kept. */
const header = (length: number): string => (length < 128 ? (lengths[length] ??= `$${length}\r\n`) : `$${length}\r\n`)

/** Values longer than this are written as bytes of their own, so that the tick's string stays cheap to flatten. */
const longText = 16 * 1024

export const encode = (name: Name, args: ReadonlyArray<Argument>): Encoded | EncodeFailure => {
  let text = name.head(args.length)
  let parts: Array<string | Uint8Array> | undefined
  for (let i = 0; i < args.length; i++) {
    const { data } = args[i] as Argument
    if (typeof data === "string") {
      const length = utf8Length(data)
      // As many bytes as UTF-16 units means ASCII, and ASCII has no surrogates to check.
      if (length !== data.length && !isWellFormed(data)) {
        return new EncodeFailure("an argument holds a lone surrogate, which UTF-8 cannot carry")
      }
      text += header(length)
      if (length > longText) {
        parts ??= []
        parts.push(text, data)
        text = "\r\n"
      } else {
        text += `${data}\r\n`
      }
    } else {
      parts ??= []
      parts.push(text + header(data.length), data)
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
