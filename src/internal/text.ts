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
const latin1Slice = buffer?.prototype.latin1Slice

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

/** `String.fromCharCode`, for reads that are within bounds. */
const fromCharCodes = String.fromCharCode as (...codes: ReadonlyArray<number | undefined>) => string

/** Longer texts gain little from {@link shortAscii}. */
const longestShort = 20

/**
 * ASCII of few bytes, put together without leaving JavaScript; `undefined` when there are others among them. A call of the
 * runtime's decoder takes 70 to 100 ns, this 15 to 70.
 */
const shortAscii = (b: Uint8Array, i: number, end: number): string | undefined => {
  let all = 0
  for (let at = i; at < end; at++) {
    all |= b[at] as number
  }
  if (all > 127) {
    return undefined
  }
  const c = fromCharCodes
  // biome-ignore format: a table
  switch (end - i) {
    case 0: return ""
    case 1: return c(b[i])
    case 2: return c(b[i], b[i + 1])
    case 3: return c(b[i], b[i + 1], b[i + 2])
    case 4: return c(b[i], b[i + 1], b[i + 2], b[i + 3])
    case 5: return c(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4])
    case 6: return c(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5])
    case 7: return c(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6])
    case 8: return c(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7])
    case 9: return c(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8])
    case 10: return c(b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9])
    case 11: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10])
    case 12: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11])
    case 13: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12])
    case 14: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12], b[i + 13])
    case 15: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12], b[i + 13], b[i + 14])
    case 16: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15])
    case 17: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16])
    case 18: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17])
    case 19: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18])
    case 20: return c(
      b[i], b[i + 1], b[i + 2], b[i + 3], b[i + 4], b[i + 5], b[i + 6], b[i + 7], b[i + 8], b[i + 9], b[i + 10],
      b[i + 11], b[i + 12], b[i + 13], b[i + 14], b[i + 15], b[i + 16], b[i + 17], b[i + 18], b[i + 19])
    default: return undefined
  }
}

/**
 * From here on ASCII pays to be looked for: read as Latin-1 and counted, it takes two thirds of the time, and a third from
 * a megabyte on, where it is not copied into V8's heap.
 */
const shortestLong = 32 * 1024

/** ASCII of many bytes; `undefined` when there are others among them. */
const longAscii = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  // Most texts of other alphabets show it soon.
  const step = (end - start) >> 6
  for (let at = start; at < end; at += step) {
    if ((bytes[at] as number) > 127) {
      return undefined
    }
  }
  const text = latin1Slice?.call(bytes, start, end)
  return text !== undefined && utf8Length(text) === end - start ? text : undefined
}

/**
 * UTF-8 text of `bytes[start, end)`, or `undefined` when the bytes are not UTF-8 or make a string longer than the
 * runtime allows. Only text that contains U+FFFD needs the second, strict pass.
 */
export const utf8DecodeStrict = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  const length = end - start
  if (length <= longestShort) {
    const text = shortAscii(bytes, start, end)
    if (text !== undefined) {
      return text
    }
  } else if (length >= shortestLong) {
    if (length > longestString) {
      return decodeLong(bytes, start, end)
    }
    const text = longAscii(bytes, start, end)
    if (text !== undefined) {
      return text
    }
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
