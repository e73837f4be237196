/**
 * Encodes commands as RESP. Text stays a string until the socket writes it, because joining strings and writing them at
 * once is the fastest way to send in JavaScript.
 */
import { isWellFormed, utf8Length } from "./text.js"

/** An encoded command: one string, or strings and byte arrays to write one after the other. */
export type Encoded = string | ReadonlyArray<string | Uint8Array>

/** An argument: the text or the bytes to send. */
interface Data {
  readonly data: string | Uint8Array
}

/** Why a command cannot be sent. */
export class EncodeFailure {
  constructor(readonly reason: string) {}
}

/**
 * The name of a command, which encodes the beginning of the command: the number of bulk strings, then the words of the
 * name.
 */
export class Name {
  private readonly words: number
  private readonly wire: string
  private readonly heads: Array<string> = []
  constructor(words: ReadonlyArray<string>) {
    this.words = words.length
    this.wire = words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")
  }

  /**
   * The beginning of a command with `count` arguments. Short ones are cached, because joining them again would allocate
   * a string and two numbers for each command.
   */
  head(count: number): string {
    return count < 8 ? (this.heads[count] ??= this.join(count)) : this.join(count)
  }

  private join(count: number): string {
    return `*${this.words + count}\r\n${this.wire}`
  }
}

/** An empty name: encodes the arguments alone. */
export const nameless = new Name([])

const lengths: Array<string> = []

/** The header of a bulk string. Headers of short strings are cached. */
const header = (length: number): string => (length < 128 ? (lengths[length] ??= `$${length}\r\n`) : `$${length}\r\n`)

/** A longer text becomes a part of its own, so that the string joined for one tick stays cheap to flatten. */
const longText = 16 * 1024

export const encode = (name: Name, args: ReadonlyArray<Data>): Encoded | EncodeFailure => {
  let text = name.head(args.length)
  let parts: Array<string | Uint8Array> | undefined
  for (let i = 0; i < args.length; i++) {
    const { data } = args[i] as Data
    if (typeof data === "string") {
      const length = utf8Length(data)
      // Equal numbers of bytes and UTF-16 units mean ASCII, which has no surrogates to check.
      if (length !== data.length && !isWellFormed(data)) {
        return new EncodeFailure("an argument contains a lone surrogate, which UTF-8 cannot encode")
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

/** The approximate size of an encoded command in bytes, in memory and on the wire. */
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
