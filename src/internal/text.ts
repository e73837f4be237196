/**
 * Text in and out of bytes. Node's (and Bun's and Deno's) `Buffer` is several times faster than `TextDecoder` on the
 * short strings of a Redis reply, so it is used where the runtime has it; nothing here imports `node:`.
 */

interface BufferPrototype {
  readonly utf8Slice: (this: Uint8Array, start: number, end: number) => string
  readonly latin1Slice: (this: Uint8Array, start: number, end: number) => string
}

interface BufferLike {
  readonly byteLength: (text: string) => number
  readonly prototype: BufferPrototype
}

const buffer = (globalThis as { readonly Buffer?: BufferLike }).Buffer

/** The longest string of V8 is a little shorter than Redis' largest value. */
export const longestString = 0x1fff_ffe8

const encoder = new TextEncoder()
const lenient = new TextDecoder("utf-8", { ignoreBOM: true })
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true })

/** The UTF-8 bytes of `text`. */
export const utf8Encode = (text: string): Uint8Array => encoder.encode(text)

/** How many bytes `text` has as UTF-8. */
export const utf8Length: (text: string) => number =
  buffer === undefined ? (text) => encoder.encode(text).length : buffer.byteLength

const utf8Slice = buffer?.prototype.utf8Slice

/** UTF-8 text of `bytes[start, end)`; malformed sequences become U+FFFD. Throws when longer than the runtime's strings. */
export const utf8Decode: (bytes: Uint8Array, start: number, end: number) => string =
  utf8Slice === undefined
    ? (bytes, start, end) => lenient.decode(bytes.subarray(start, end))
    : (bytes, start, end) => utf8Slice.call(bytes, start, end)

const isValid = (bytes: Uint8Array): boolean => {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}

/**
 * UTF-8 text of `bytes[start, end)`, or `undefined` when the bytes are not UTF-8 or make a string longer than the
 * runtime allows. Only text that contains U+FFFD needs the second, strict pass.
 */
export const utf8DecodeStrict = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  if (end - start > longestString) {
    return decodeLong(bytes, start, end)
  }
  const text = utf8Decode(bytes, start, end)
  return text.includes("\uFFFD") && !isValid(bytes.subarray(start, end)) ? undefined : text
}

const decodeLong = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  try {
    return strict.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/** Whether every UTF-16 surrogate of `text` is paired; a lone one would be sent as U+FFFD, and different keys collide. */
export const isWellFormed: (text: string) => boolean =
  typeof (String.prototype as { readonly isWellFormed?: () => boolean }).isWellFormed === "function"
    ? (text) => (text as unknown as { readonly isWellFormed: () => boolean }).isWellFormed()
    : (text) => !/\p{Surrogate}/u.test(text)
