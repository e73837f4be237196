/** Streams of bytes that a server might send, should send, and must not send. Text is Latin-1: a character is a byte. */
import {
  type Attribute,
  ErrorReply,
  MapReply,
  Push,
  type Reply,
  SetReply,
  Unreadable,
  VerbatimString
} from "../../src/internal/resp/values.js"
import type { Random } from "./random.js"

export const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1")

/** A value as it is sent, and as {@link show} shows what is read of it. */
export interface Sample {
  readonly sent: string
  readonly shown: string
}

const words = ["", "OK", "ok", "__proto__", "constructor", "prototype", "toString", "key:7", "message", "invalidate"]

const word = (random: Random): string =>
  random.chance(0.7)
    ? random.pick(words)
    : Array.from({ length: random.below(40) }, () => String.fromCharCode(32 + random.below(95))).join("")

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

const samples = (random: Random, depth: number, count: number): ReadonlyArray<Sample> =>
  Array.from({ length: count }, () => sample(random, depth - 1))

const joined = (parts: ReadonlyArray<Sample>): Sample => ({
  sent: parts.map(({ sent }) => sent).join(""),
  shown: parts.map(({ shown }) => shown).join()
})

/** A value that a server may send, in one of the ways in which it may. */
export const sample = (random: Random, depth = 4): Sample => {
  const kind = random.below(depth > 0 ? 17 : 11)
  switch (kind) {
    case 0: {
      const text = word(random)
      return { sent: `+${text}\r\n`, shown: `"${text}"` }
    }
    case 1:
    case 2: {
      const text = word(random)
      return { sent: bulk(text), shown: `"${text}"` }
    }
    case 3: {
      const value = random.below(2 ** 31) * (random.chance(0.3) ? -1 : 1)
      return { sent: `:${value}\r\n`, shown: `${value === 0 ? 0 : value}` }
    }
    case 4:
      return { sent: random.pick(["_\r\n", "$-1\r\n", "*-1\r\n"]), shown: "null" }
    case 5: {
      const value = random.chance(0.5)
      return { sent: value ? "#t\r\n" : "#f\r\n", shown: String(value) }
    }
    case 6: {
      const value = random.pick([1.5, -0.25, 1e300, 10])
      return { sent: `,${value}\r\n`, shown: String(value) }
    }
    case 7: {
      const value = 10n ** BigInt(20 + random.below(30))
      return { sent: `(${value}\r\n`, shown: `${value}n` }
    }
    case 8: {
      const text = `ERR ${word(random)}`
      return { sent: random.chance(0.5) ? `-${text}\r\n` : `!${text.length}\r\n${text}\r\n`, shown: `!${text}` }
    }
    case 9: {
      const text = word(random)
      return { sent: `=${text.length + 4}\r\ntxt:${text}\r\n`, shown: `txt:"${text}"` }
    }
    case 10: {
      const parts = Array.from({ length: random.below(4) }, () => word(random)).filter((part) => part !== "")
      const text = parts.join("")
      return {
        sent: `$?\r\n${parts.map((part) => `;${part.length}\r\n${part}\r\n`).join("")};0\r\n`,
        shown: `"${text}"`
      }
    }
    case 11:
    case 12: {
      const items = samples(random, depth, random.below(5))
      const { sent, shown } = joined(items)
      return { sent: random.chance(0.8) ? `*${items.length}\r\n${sent}` : `*?\r\n${sent}.\r\n`, shown: `[${shown}]` }
    }
    case 13: {
      const items = samples(random, depth, 2 * random.below(3))
      const { sent, shown } = joined(items)
      return {
        sent: random.chance(0.8) ? `%${items.length / 2}\r\n${sent}` : `%?\r\n${sent}.\r\n`,
        shown: `{${shown}}`
      }
    }
    case 14: {
      const items = samples(random, depth, random.below(4))
      const { sent, shown } = joined(items)
      return { sent: `~${items.length}\r\n${sent}`, shown: `~[${shown}]` }
    }
    case 15: {
      // Pushes and attributes, which are set aside, before a value.
      const key = sample(random, 0)
      const value = sample(random, depth - 1)
      const { sent, shown } = sample(random, depth - 1)
      return { sent: `|1\r\n${key.sent}${value.sent}${sent}`, shown }
    }
    default: {
      // A push in the middle of an array is no element of it.
      const before = sample(random, depth - 1)
      const after = sample(random, depth - 1)
      return {
        sent: `*2\r\n${before.sent}>2\r\n+message\r\n${sample(random, 0).sent}${after.sent}`,
        shown: `[${before.shown},${after.shown}]`
      }
    }
  }
}

/** What was read, as {@link Sample.shown} has it. */
export const show = (reply: Reply): string => {
  if (typeof reply === "string") {
    return `"${reply}"`
  }
  if (reply instanceof Uint8Array) {
    return `"${Buffer.from(reply).toString("latin1")}"`
  }
  if (typeof reply === "bigint") {
    return `${reply}n`
  }
  if (reply === null || typeof reply !== "object") {
    return String(reply)
  }
  if (Array.isArray(reply)) {
    return `[${reply.map(show).join()}]`
  }
  if (reply instanceof MapReply) {
    return `{${reply.items.map(show).join()}}`
  }
  if (reply instanceof SetReply) {
    return `~[${reply.items.map(show).join()}]`
  }
  if (reply instanceof ErrorReply) {
    return `!${reply.message}`
  }
  if (reply instanceof VerbatimString) {
    return `${reply.format}:${show(reply.value)}`
  }
  if (reply instanceof Unreadable) {
    return `?${reply.type}`
  }
  return "(unknown)"
}

export const showPush = (push: Push | Attribute): string =>
  `${push instanceof Push ? ">" : "|"}[${push.items.map(show).join()}]`

const numbers = [
  "-1",
  "-2",
  "0",
  "00",
  "+1",
  "1",
  "3",
  "65536",
  "536870912",
  "536870913",
  "2147483647",
  "2147483648",
  "4294967296",
  "9007199254740991",
  "9007199254740993",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775809",
  "99999999999999999999",
  "1e9",
  "0x10",
  "?",
  "??",
  " 1",
  "1 ",
  "",
  "NaN",
  "__proto__",
  "9".repeat(300)
]

const types = "+-:$*_#,(!=%~>|;.?"

/** Hand-written streams, short enough to be put anywhere. */
export const notions: ReadonlyArray<string> = [
  "-MOVED __proto__\r\n",
  "-MOVED 3999 __proto__:constructor\r\n",
  "-ASK 0 [::1\r\n",
  "-\r\n",
  "- \r\n",
  "-__proto__\r\n",
  "-NOAUTH\r\n",
  "-LOADING\r\n",
  "%1\r\n+__proto__\r\n%1\r\n+polluted\r\n+yes\r\n",
  "%2\r\n$9\r\n__proto__\r\n$1\r\n1\r\n$11\r\nconstructor\r\n$1\r\n2\r\n",
  "*4\r\n$9\r\n__proto__\r\n$1\r\n1\r\n$9\r\n__proto__\r\n$1\r\n2\r\n",
  "%1\r\n*0\r\n%0\r\n",
  "$-1\r\n",
  "*-1\r\n",
  "$2\r\nOK\r\r\n",
  "$99999999999999999999\r\n",
  "*2147483647\r\n",
  "%4611686018427387904\r\n",
  ">0\r\n",
  "|0\r\n",
  ">1\r\n+message\r\n",
  ">3\r\n+message\r\n+channel\r\n",
  ">2\r\n$10\r\ninvalidate\r\n_\r\n",
  ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:-5\r\n",
  "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
  "*3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n",
  "+QUEUED\r\n",
  "*2\r\n+OK\r\n-EXECABORT no\r\n",
  "$?\r\n;1\r\na\r\n",
  "*?\r\n:1\r\n",
  ".\r\n",
  ";0\r\n",
  "\r\n",
  "\n",
  "\0",
  "HTTP/1.1 400 Bad Request\r\n\r\n",
  "\x16\x03\x01\x02\x00\x01\x00",
  "\x15\x03\x01\x00\x02\x02\x46",
  "SSH-2.0-OpenSSH_9.6\r\n",
  "220 smtp ESMTP\r\n",
  ",nan\r\n",
  ",1e999999\r\n",
  `(${"9".repeat(400)}\r\n`,
  `:${"0".repeat(30)}1\r\n`,
  "=3\r\ntxt\r\n",
  "*1\r\n".repeat(200),
  "%1\r\n+k\r\n".repeat(150),
  "|1\r\n+k\r\n".repeat(60),
  ">1\r\n".repeat(60),
  "+ÿþý\r\n",
  "$3\r\n\xff\xfe\xfd\r\n"
]

/** One to four changes, of the kinds that find faults. */
export const mutate = (random: Random, stream: string): string => {
  let text = stream
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = random.below(text.length + 1)
    const to = Math.min(text.length, at + 1 + random.below(random.pick([1, 4, 30])))
    const before = text.slice(0, at)
    switch (random.below(10)) {
      case 0:
        text = before + String.fromCharCode(random.below(256)) + text.slice(at + 1)
        break
      case 1:
        text = before + random.pick([...types]) + text.slice(at + 1)
        break
      case 2:
        text = before + text.slice(to)
        break
      case 3:
        text = before + text.slice(at, to) + text.slice(at)
        break
      case 4:
        text = before
        break
      case 5:
        text = before + random.pick(notions) + text.slice(at)
        break
      case 6: {
        // Replaces a number by another one.
        const spots = [...text.matchAll(/[-+]?\d+/g)]
        const spot = spots.length === 0 ? undefined : random.pick(spots)
        text =
          spot === undefined
            ? text
            : text.slice(0, spot.index) + random.pick(numbers) + text.slice(spot.index + spot[0].length)
        break
      }
      case 7:
        text = before + text.slice(at).replace("\r\n", random.pick(["\n", "\r", "\r\r\n", "", "\n\r"]))
        break
      case 8:
        text =
          before +
          Array.from({ length: random.below(20) }, () => String.fromCharCode(random.below(256))).join("") +
          text.slice(at)
        break
      default:
        text = before + sample(random, 2).sent + text.slice(at)
    }
    if (text.length > 20_000) {
      text = text.slice(0, 20_000)
    }
  }
  return text
}

/** Bytes of any kind: correct values, changed values, hand-written streams, and noise that looks a little like RESP. */
export const hostile = (random: Random): string =>
  random.weighted<() => string>([
    [5, () => mutate(random, Array.from({ length: 1 + random.below(4) }, () => sample(random).sent).join(""))],
    [2, () => random.pick(notions)],
    [1, () => mutate(random, random.pick(notions))],
    [1, () => Array.from({ length: random.below(120) }, () => String.fromCharCode(random.below(256))).join("")],
    [
      1,
      () =>
        Array.from({ length: random.below(60) }, () =>
          random.chance(0.5)
            ? random.pick([...types])
            : random.chance(0.5)
              ? "\r\n"
              : random.pick(["1", "2", "0", "-1", "a", "?"])
        ).join("")
    ]
  ])()

/** In parts of random sizes. */
export const parts = (random: Random, bytes: Buffer): ReadonlyArray<Buffer> => {
  const pieces: Array<Buffer> = []
  const most = random.pick([1, 3, 20, 200, 100_000])
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + random.below(most)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}
