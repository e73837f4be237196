/**
 * The hash slot of a key: CRC16 (XMODEM) of its hash tag, modulo 16 384.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
 */
import { utf8Encode } from "../resp/text.js"

/** How many hash slots a cluster has. */
export const slots = 16_384

const table = new Uint16Array(256)
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) {
    crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  }
  table[byte] = crc
}

const open = 0x7b
const close = 0x7d

/** The slot of a key as it is sent. */
export const slotOf = (key: string | Uint8Array): number => (typeof key === "string" ? ofText(key) : ofBytes(key))

const ofText = (key: string): number => {
  let from = 0
  let to = key.length
  const begin = key.indexOf("{")
  if (begin !== -1) {
    const end = key.indexOf("}", begin + 1)
    if (end > begin + 1) {
      from = begin + 1
      to = end
    }
  }
  let crc = 0
  for (let i = from; i < to; i++) {
    const code = key.charCodeAt(i)
    if (code > 0x7f) {
      // Of text that is not ASCII the bytes count. Braces are ASCII, so the hash tag is the same.
      return ofBytes(utf8Encode(key))
    }
    crc = ((crc << 8) & 0xffff) ^ (table[(crc >> 8) ^ code] as number)
  }
  return crc % slots
}

const ofBytes = (key: Uint8Array): number => {
  let from = 0
  let to = key.length
  const begin = key.indexOf(open)
  if (begin !== -1) {
    const end = key.indexOf(close, begin + 1)
    if (end > begin + 1) {
      from = begin + 1
      to = end
    }
  }
  let crc = 0
  for (let i = from; i < to; i++) {
    crc = ((crc << 8) & 0xffff) ^ (table[(crc >> 8) ^ (key[i] as number)] as number)
  }
  return crc % slots
}
