/*
 * The hash slot of a key, and keys for a hash slot.
 */

/** How many hash slots a cluster has. */
export const slotCount = 16_384

/** CRC16 with the polynomial 0x1021, which begins with 0. */
const crc16 = (bytes: Uint8Array): number => {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
    }
    crc &= 0xffff
  }
  return crc
}

/** The hash slot of a key. Only the hash tag counts, if there is one: the text in the first braces, unless it is empty. */
export const slotOf = (key: string | Uint8Array): number => {
  const bytes = typeof key === "string" ? new TextEncoder().encode(key) : key
  const open = bytes.indexOf("{".charCodeAt(0))
  const close = open < 0 ? -1 : bytes.indexOf("}".charCodeAt(0), open + 1)
  return crc16(close > open + 1 ? bytes.subarray(open + 1, close) : bytes) % slotCount
}

let tags: ReadonlyArray<string> | undefined

/** A short hash tag for each hash slot. */
const makeTags = (): ReadonlyArray<string> => {
  const found = new Array<string>(slotCount)
  for (let left = slotCount, n = 0; left > 0; n++) {
    const tag = n.toString(36)
    const slot = slotOf(tag)
    if (found[slot] === undefined) {
      found[slot] = tag
      left--
    }
  }
  return found
}

/** The hash tag, without braces, whose hash slot is the given one. */
export const tagOf = (slot: number): string => {
  tags ??= makeTags()
  return tags[slot] ?? ""
}

/** A range of hash slots, both ends included. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The slots, divided evenly: the ranges of `count` primaries. */
export const divided = (count: number): ReadonlyArray<Range> =>
  Array.from({ length: count }, (_, n) => ({
    start: Math.ceil((n * slotCount) / count),
    end: Math.ceil(((n + 1) * slotCount) / count) - 1
  }))

/** The slots of the ranges, one by one. */
export const slotsIn = (ranges: ReadonlyArray<Range>): ReadonlyArray<number> =>
  ranges.flatMap(({ end, start }) => Array.from({ length: end - start + 1 }, (_, n) => start + n))

/** Neighbouring slots, joined. */
export const rangesOf = (slots: ReadonlyArray<number>): ReadonlyArray<Range> => {
  const ranges: Array<{ start: number; end: number }> = []
  for (const slot of [...slots].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last !== undefined && slot <= last.end + 1) last.end = Math.max(last.end, slot)
    else ranges.push({ start: slot, end: slot })
  }
  return ranges
}
