import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as vm from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import ts from "typescript"
import { defaultLimits, Parser } from "../src/internal/resp/parser.js"
import * as Text from "../src/internal/resp/text.js"
import * as Resp from "../src/Resp.js"
import { prop } from "./support/effect.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const bytesOf = (...bytes: ReadonlyArray<number>): Uint8Array => Uint8Array.from(bytes)
const join = (...parts: ReadonlyArray<string | Uint8Array>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...(typeof part === "string" ? utf8(part) : part)]))

type Mode = "text" | "bytes"

interface Read {
  readonly frames: ReadonlyArray<Resp.Frame>
  readonly failure: string | undefined
  readonly idle: boolean
}

const newParser = (frames: Array<Resp.Frame>, mode: Mode, limits?: Resp.Limits): Parser => {
  const collect = (frame: Resp.Frame): void => {
    frames.push(frame)
  }
  return new Parser({ onReply: collect, onPush: collect, onAttribute: collect }, Resp.resolveLimits(limits), {
    text: mode === "text",
    pushText: mode === "text"
  })
}

const read = (chunks: Iterable<Uint8Array>, mode: Mode = "text", limits?: Resp.Limits): Read => {
  const frames: Array<Resp.Frame> = []
  const parser = newParser(frames, mode, limits)
  for (const chunk of chunks) {
    // A test may reuse the chunk, unlike a socket: whoever kept a reference to it sees the change.
    const own = Uint8Array.from(chunk)
    parser.write(own)
    own.fill(0x21)
  }
  return { frames, failure: parser.failure?.reason, idle: parser.idle }
}

/** Splits at these positions. */
const cut = (bytes: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const sorted = [0, ...[...places].sort((a, b) => a - b), bytes.length]
  return sorted.slice(1).map((place, i) => bytes.subarray(sorted[i], place))
}

const byteByByte = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => [...bytes].map((byte) => bytesOf(byte))

/** Every way to split in two. */
const twoWays = (bytes: Uint8Array): ReadonlyArray<ReadonlyArray<Uint8Array>> =>
  Array.from({ length: bytes.length + 1 }, (_, place) => cut(bytes, [place]))

/** A small random generator, so that one integer from fast-check determines a case, and shrinks. */
const randomOf = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return { next, below: (n: number): number => Math.floor(next() * n) }
}

const cutAtRandom = (bytes: Uint8Array, seed: number): ReadonlyArray<Uint8Array> => {
  const random = randomOf(seed)
  const places = Array.from({ length: random.below(Math.min(bytes.length, 40) + 1) }, () =>
    random.below(bytes.length + 1)
  )
  return cut(bytes, places)
}

/** The value in bytes mode; the vectors use `b` where the two modes differ. */
const b = (text: string): Uint8Array => utf8(text)
const errors = (message: string): Resp.ErrorReply => new Resp.ErrorReply(message)

interface Vector {
  readonly name: string
  readonly wire: string | Uint8Array
  readonly text: ReadonlyArray<Resp.Frame>
  /** The value in bytes mode, where it differs. */
  readonly bytes?: ReadonlyArray<Resp.Frame>
}

const vector = (
  name: string,
  wire: string | Uint8Array,
  text: ReadonlyArray<Resp.Frame>,
  bytes?: ReadonlyArray<Resp.Frame>
): Vector => ({ name, wire, text, ...(bytes === undefined ? {} : { bytes }) })

const invalid = bytesOf(0x61, 0xff, 0xc3, 0x28, 0x00)

const vectors: ReadonlyArray<Vector> = [
  // Simple strings are text in both modes.
  vector("simple string", "+PONG\r\n", ["PONG"]),
  vector("the commonest simple string", "+OK\r\n", ["OK"]),
  vector("two letters that are not OK", "+KO\r\n", ["KO"]),
  vector("empty simple string", "+\r\n", [""]),
  vector("simple string beyond ASCII", "+héllo ✓ 𝄞\r\n", ["héllo ✓ 𝄞"]),
  vector("simple string that is not UTF-8", join("+", invalid, "\r\n"), [invalid]),

  vector("error", "-ERR unknown command\r\n", [errors("ERR unknown command")]),
  vector("empty error", "-\r\n", [errors("")]),
  vector("error that is not UTF-8", join("-ERR ", bytesOf(0xff), "\r\n"), [errors("ERR \\xff")]),

  vector("integer", ":1000\r\n", [1000]),
  vector("zero", ":0\r\n", [0]),
  vector("minus zero is zero", ":-0\r\n", [0]),
  vector("negative integer", ":-17\r\n", [-17]),
  vector("signed integer", ":+5\r\n", [5]),
  vector("leading zeros", ":007\r\n", [7]),
  vector("the last safe integer", ":9007199254740991\r\n", [9007199254740991]),
  vector("the first unsafe integer", ":9007199254740992\r\n", [9007199254740992n]),
  vector("an integer that a double would round", ":9007199254740993\r\n", [9007199254740993n]),
  vector("the last safe negative integer", ":-9007199254740991\r\n", [-9007199254740991]),
  vector("the first unsafe negative integer", ":-9007199254740992\r\n", [-9007199254740992n]),
  vector("the largest integer", ":9223372036854775807\r\n", [9223372036854775807n]),
  vector("the smallest integer", ":-9223372036854775808\r\n", [-9223372036854775808n]),

  vector("bulk string", "$5\r\nhello\r\n", ["hello"], [b("hello")]),
  vector("empty bulk string", "$0\r\n\r\n", [""], [b("")]),
  vector("bulk string with CRLF inside", "$8\r\na\r\nb\r\n\r\n\r\n", ["a\r\nb\r\n\r\n"], [b("a\r\nb\r\n\r\n")]),
  vector("bulk string that looks like RESP", "$9\r\n$3\r\nfoo\r\n\r\n", ["$3\r\nfoo\r\n"], [b("$3\r\nfoo\r\n")]),
  vector("bulk string beyond ASCII", "$10\r\né✓𝄞\0\r\n", ["é✓𝄞\0"], [b("é✓𝄞\0")]),
  vector("bulk string that is not UTF-8", join("$5\r\n", invalid, "\r\n"), [invalid], [invalid]),
  vector("bulk string with U+FFFD of its own", "$3\r\n\uFFFD\r\n", ["\uFFFD"], [b("\uFFFD")]),
  vector("bulk string with a byte order mark", "$4\r\n\uFEFFa\r\n", ["\uFEFFa"], [b("\uFEFFa")]),
  vector("length with leading zeros", "$003\r\nfoo\r\n", ["foo"], [b("foo")]),

  vector("null bulk string", "$-1\r\n", [null]),
  vector("null array", "*-1\r\n", [null]),
  vector("null", "_\r\n", [null]),
  vector("the three spellings of nil in an array", "*3\r\n$-1\r\n*-1\r\n_\r\n", [[null, null, null]]),

  vector("true", "#t\r\n", [true]),
  vector("false", "#f\r\n", [false]),

  vector("double", ",1.25\r\n", [1.25]),
  vector("double without a fraction", ",10\r\n", [10]),
  vector("double with an empty fraction", ",10.\r\n", [10]),
  vector("double with an exponent", ",1e+300\r\n", [1e300]),
  vector("double with a capital exponent", ",1.5E-7\r\n", [1.5e-7]),
  vector("double with a sign", ",+1.5\r\n", [1.5]),
  vector("double minus zero", ",-0\r\n", [-0]),
  vector("infinity", ",inf\r\n", [Infinity]),
  vector("signed infinity", ",+inf\r\n", [Infinity]),
  vector("minus infinity", ",-inf\r\n", [-Infinity]),
  vector("not a number", ",nan\r\n", [Number.NaN]),
  vector("not a number, as C prints it", ",-nan\r\n", [Number.NaN]),
  vector("a double that is none is framed well", ",1,5\r\n", [new Resp.Unreadable("double", "1,5")]),
  vector("an empty double", ",\r\n", [new Resp.Unreadable("double", "")]),
  vector("a hexadecimal double", ",0x10\r\n", [new Resp.Unreadable("double", "0x10")]),
  vector("a double with spaces", ", 1\r\n", [new Resp.Unreadable("double", " 1")]),
  vector("Infinity in JavaScript's words", ",Infinity\r\n", [new Resp.Unreadable("double", "Infinity")]),

  vector("big number", "(3492890328409238509324850943850943825024385\r\n", [
    3492890328409238509324850943850943825024385n
  ]),
  vector("negative big number", "(-3492890328409238509324850943850943825024385\r\n", [
    -3492890328409238509324850943850943825024385n
  ]),
  vector("signed big number", "(+12\r\n", [12n]),
  vector("a big number that is none", "(12x\r\n", [new Resp.Unreadable("big number", "12x")]),
  vector("a big number in another base", "(0x1f\r\n", [new Resp.Unreadable("big number", "0x1f")]),
  vector("an empty big number", "(\r\n", [new Resp.Unreadable("big number", "")]),

  vector("bulk error", "!21\r\nSYNTAX invalid syntax\r\n", [errors("SYNTAX invalid syntax")]),
  vector("bulk error of two lines", "!8\r\nERR a\r\nb\r\n", [errors("ERR a\r\nb")]),
  vector("empty bulk error", "!0\r\n\r\n", [errors("")]),

  vector(
    "verbatim string",
    "=15\r\ntxt:Some string\r\n",
    [new Resp.VerbatimString("txt", "Some string")],
    [new Resp.VerbatimString("txt", b("Some string"))]
  ),
  vector(
    "empty verbatim string",
    "=4\r\nmkd:\r\n",
    [new Resp.VerbatimString("mkd", "")],
    [new Resp.VerbatimString("mkd", b(""))]
  ),
  vector(
    "verbatim string with colons",
    "=7\r\ntxt:a:b\r\n",
    [new Resp.VerbatimString("txt", "a:b")],
    [new Resp.VerbatimString("txt", b("a:b"))]
  ),
  vector("verbatim string that is not UTF-8", join("=9\r\ntxt:", invalid, "\r\n"), [
    new Resp.VerbatimString("txt", invalid)
  ]),

  vector("empty array", "*0\r\n", [[]]),
  vector("array", "*2\r\n$3\r\nfoo\r\n:1\r\n", [["foo", 1]], [[b("foo"), 1]]),
  vector("arrays in arrays", "*3\r\n*0\r\n*1\r\n*1\r\n:1\r\n*-1\r\n", [[[], [[1]], null]]),
  vector("errors in an array are values", "*3\r\n+OK\r\n-WRONGTYPE no\r\n!5\r\nERR x\r\n", [
    ["OK", errors("WRONGTYPE no"), errors("ERR x")]
  ]),

  vector(
    "map",
    "%2\r\n+a\r\n:1\r\n$1\r\nb\r\n:2\r\n",
    [new Resp.MapReply(["a", 1, "b", 2])],
    [new Resp.MapReply(["a", 1, b("b"), 2])]
  ),
  vector("empty map", "%0\r\n", [new Resp.MapReply([])]),
  vector("map whose keys repeat", "%2\r\n+a\r\n:1\r\n+a\r\n:2\r\n", [new Resp.MapReply(["a", 1, "a", 2])]),
  vector("map whose keys are not text", "%4\r\n:1\r\n:2\r\n*1\r\n:3\r\n_\r\n_\r\n#t\r\n-ERR k\r\n+v\r\n", [
    new Resp.MapReply([1, 2, [3], null, null, true, errors("ERR k"), "v"])
  ]),
  vector("map with __proto__", "%1\r\n+__proto__\r\n+x\r\n", [new Resp.MapReply(["__proto__", "x"])]),

  vector("set", "~3\r\n:1\r\n:1\r\n+a\r\n", [new Resp.SetReply([1, 1, "a"])]),
  vector("empty set", "~0\r\n", [new Resp.SetReply([])]),

  vector(
    "push",
    ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n",
    [new Resp.Push(["message", "a", "b"])],
    [new Resp.Push([b("message"), b("a"), b("b")])]
  ),
  vector("push before a reply", ">1\r\n+x\r\n+OK\r\n", [new Resp.Push(["x"]), "OK"]),
  vector("push inside an array", "*2\r\n:1\r\n>2\r\n+invalidate\r\n*1\r\n+k\r\n:2\r\n", [
    new Resp.Push(["invalidate", ["k"]]),
    [1, 2]
  ]),
  vector("push before the first element and before the last", "*2\r\n>1\r\n+a\r\n:1\r\n>1\r\n+b\r\n:2\r\n", [
    new Resp.Push(["a"]),
    new Resp.Push(["b"]),
    [1, 2]
  ]),
  vector("push between a key and its value", "%1\r\n+k\r\n>1\r\n+p\r\n+v\r\n", [
    new Resp.Push(["p"]),
    new Resp.MapReply(["k", "v"])
  ]),
  vector("push inside a set inside a push", ">2\r\n+a\r\n~1\r\n>1\r\n+b\r\n:1\r\n", [
    new Resp.Push(["b"]),
    new Resp.Push(["a", new Resp.SetReply([1])])
  ]),
  vector("push inside a streamed array", "*?\r\n>1\r\n+p\r\n:1\r\n.\r\n", [new Resp.Push(["p"]), [1]]),

  vector("attribute before a reply", "|1\r\n+ttl\r\n:3600\r\n+OK\r\n", [new Resp.Attribute(["ttl", 3600]), "OK"]),
  vector("empty attribute", "|0\r\n+OK\r\n", [new Resp.Attribute([]), "OK"]),
  vector("attribute inside an array", "*3\r\n:1\r\n|1\r\n+ttl\r\n:5\r\n:2\r\n:3\r\n", [
    new Resp.Attribute(["ttl", 5]),
    [1, 2, 3]
  ]),
  vector("attribute before a key and before a value", "%1\r\n|1\r\n+a\r\n:1\r\n+k\r\n|1\r\n+b\r\n:2\r\n+v\r\n", [
    new Resp.Attribute(["a", 1]),
    new Resp.Attribute(["b", 2]),
    new Resp.MapReply(["k", "v"])
  ]),
  vector("attribute inside an attribute", "|1\r\n+a\r\n|1\r\n+b\r\n:1\r\n:2\r\n:3\r\n", [
    new Resp.Attribute(["b", 1]),
    new Resp.Attribute(["a", 2]),
    3
  ]),
  vector("attribute before a push", "|1\r\n+a\r\n:1\r\n>1\r\n+p\r\n", [
    new Resp.Attribute(["a", 1]),
    new Resp.Push(["p"])
  ]),
  vector("attribute before nil in an array", "*1\r\n|1\r\n+a\r\n:1\r\n$-1\r\n", [new Resp.Attribute(["a", 1]), [null]]),

  vector("streamed string", "$?\r\n;4\r\nHell\r\n;5\r\no wor\r\n;1\r\nd\r\n;0\r\n", ["Hello word"], [b("Hello word")]),
  vector("streamed string without parts", "$?\r\n;0\r\n", [""], [b("")]),
  vector(
    "streamed string that splits a character",
    join("$?\r\n;1\r\n", bytesOf(0xc3), "\r\n;1\r\n", bytesOf(0xa9), "\r\n;0\r\n"),
    ["é"],
    [b("é")]
  ),
  vector("streamed string in an array", "*2\r\n$?\r\n;1\r\na\r\n;0\r\n:1\r\n", [["a", 1]], [[b("a"), 1]]),
  vector("streamed array", "*?\r\n:1\r\n:2\r\n.\r\n", [[1, 2]]),
  vector("empty streamed array", "*?\r\n.\r\n", [[]]),
  vector("streamed map", "%?\r\n+a\r\n:1\r\n+b\r\n:2\r\n.\r\n", [new Resp.MapReply(["a", 1, "b", 2])]),
  vector("empty streamed map", "%?\r\n.\r\n", [new Resp.MapReply([])]),
  vector("streamed set", "~?\r\n+a\r\n.\r\n", [new Resp.SetReply(["a"])]),
  vector("streams in streams", "*?\r\n*?\r\n%?\r\n~?\r\n.\r\n*1\r\n*?\r\n.\r\n.\r\n.\r\n.\r\n", [
    [[new Resp.MapReply([new Resp.SetReply([]), [[]]])]]
  ]),
  vector("attribute and push at the end of a stream", "*?\r\n:1\r\n|1\r\n+a\r\n:1\r\n>1\r\n+p\r\n.\r\n", [
    new Resp.Attribute(["a", 1]),
    new Resp.Push(["p"]),
    [1]
  ])
]

const wireOf = ({ wire }: Vector): Uint8Array => (typeof wire === "string" ? utf8(wire) : wire)
const framesOf = (of: Vector, mode: Mode): ReadonlyArray<Resp.Frame> =>
  mode === "text" ? of.text : (of.bytes ?? of.text)
const modes = ["text", "bytes"] as const

describe("reading", () => {
  describe.each(vectors)("$name", (of) => {
    const wire = wireOf(of)
    for (const mode of modes) {
      const whole: Read = { frames: framesOf(of, mode), failure: undefined, idle: true }
      it(`as ${mode}, whole, in every two parts, byte by byte, and in random parts`, () => {
        expect(read([wire], mode)).toStrictEqual(whole)
        for (const parts of twoWays(wire)) {
          expect(read(parts, mode)).toStrictEqual(whole)
        }
        expect(read(byteByByte(wire), mode)).toStrictEqual(whole)
        FastCheck.assert(
          FastCheck.property(FastCheck.integer(), (seed) => {
            expect(read(cutAtRandom(wire, seed), mode)).toStrictEqual(whole)
          }),
          { numRuns: 20 }
        )
      })
    }
    it("is not complete, and not idle, before its last byte", () => {
      // Only for vectors of a single frame: the others emit a frame earlier.
      for (let end = 1; end < wire.length; end++) {
        const part = read([wire.subarray(0, end)])
        expect(part.failure).toBeUndefined()
        expect(part.frames.length).toBeLessThan(of.text.length)
      }
    })
  })

  for (const mode of modes) {
    it(`all vectors in a row, in random parts, as ${mode}`, () => {
      const wire = join(...vectors.map(wireOf))
      const frames = vectors.flatMap((of) => framesOf(of, mode))
      expect(read([wire], mode).frames).toStrictEqual(frames)
      expect(read(byteByByte(wire), mode).frames).toStrictEqual(frames)
      FastCheck.assert(
        FastCheck.property(FastCheck.integer(), (seed) => {
          expect(read(cutAtRandom(wire, seed), mode)).toStrictEqual({ frames, failure: undefined, idle: true })
        }),
        { numRuns: 50 }
      )
    })
  }

  it("empty chunks change nothing", () => {
    for (const of of vectors) {
      const parts = byteByByte(wireOf(of)).flatMap((part) => [new Uint8Array(0), part, new Uint8Array(0)])
      expect(read(parts).frames).toStrictEqual(of.text)
    }
  })

  it("a Buffer over part of a larger one is read within its bounds", () => {
    const pool = Buffer.from("$9\r\n+OK\r\n$3\r\nfoo\r\n$4")
    expect(read([pool.subarray(4, 18)])).toStrictEqual({ frames: ["OK", "foo"], failure: undefined, idle: true })
  })

  it("pushes choose between text and bytes independently of replies", () => {
    const frames: Array<Resp.Frame> = []
    const collect = (frame: Resp.Frame): void => {
      frames.push(frame)
    }
    const handler = { onReply: collect, onPush: collect, onAttribute: collect }
    const wire = utf8("*2\r\n$1\r\na\r\n>2\r\n$1\r\np\r\n*1\r\n$1\r\nq\r\n$1\r\nb\r\n")
    new Parser(handler, defaultLimits, { text: true, pushText: false }).write(wire)
    new Parser(handler, defaultLimits, { text: false, pushText: true }).write(wire)
    expect(frames).toStrictEqual([
      new Resp.Push([b("p"), [b("q")]]),
      ["a", "b"],
      new Resp.Push(["p", ["q"]]),
      [b("a"), b("b")]
    ])
  })

  it("the choice of text or bytes can change from one bulk string to the next", () => {
    const frames: Array<Resp.Frame> = []
    const parser: Parser = new Parser({
      onReply: (reply) => {
        frames.push(reply)
        parser.text = !parser.text
      },
      onPush: () => {},
      onAttribute: () => {}
    })
    parser.write(utf8("$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"))
    expect(frames).toStrictEqual(["a", b("b"), "c"])
  })

  it("text of any length, ASCII or not, whole or in parts, is read as text; other bytes stay bytes", () => {
    for (const length of [...Array.from({ length: 26 }, (_, i) => i), 1000, 40_000, 70_000, 1_100_000]) {
      const ascii = Buffer.alloc(length, "abc\x7f\0xyz")
      for (const [at, letter] of [
        [0, "a"],
        [length - 2, "é"],
        [length >> 1, "\u20ac"]
      ] as const) {
        const bytes = Buffer.from(ascii)
        if (at >= 0 && at + Buffer.byteLength(letter) <= length) {
          bytes.write(letter, at)
        }
        const wire = join(`$${length}\r\n`, "").length
        const whole = Buffer.concat([Buffer.from(`$${length}\r\n`), bytes, Buffer.from("\r\n")])
        const expected = bytes.toString()
        const chunks = Array.from({ length: Math.ceil(whole.length / 65_536) }, (_, i) =>
          whole.subarray(i * 65_536, (i + 1) * 65_536)
        )
        for (const parts of [[whole], cut(whole, [wire + (length >> 1)]), cut(whole, [1]), chunks]) {
          const { frames } = read(parts)
          expect(frames.length === 1 && frames[0] === expected).toBe(true)
        }
      }
      if (length > 0) {
        const bytes = Buffer.from(ascii)
        bytes[length - 1] = 0xff
        const whole = Buffer.concat([Buffer.from(`$${length}\r\n`), bytes, Buffer.from("\r\n")])
        for (const parts of [[whole], cut(whole, [6 + (length >> 1)])]) {
          // The second value reuses the buffer in which the first was collected; the first must not share it.
          const { frames } = read([...parts, ...cut(Buffer.from(`$${length}\r\n${"z".repeat(length)}\r\n`), [8])])
          expect(Buffer.from(frames[0] as Uint8Array).equals(bytes)).toBe(true)
          expect(frames[1]).toBe("z".repeat(length))
        }
      }
    }
  })

  describe("text, by every way to read it", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
    const expected = (bytes: Uint8Array): string | undefined => {
      try {
        return strict.decode(bytes)
      } catch {
        return undefined
      }
    }
    /** Surrounded by other bytes, because bytes outside the bounds must not matter. */
    const check = (bytes: Uint8Array): void => {
      const padded = Buffer.concat([Buffer.from([0xe2, 0x82]), bytes, Buffer.from([0xac, 0x80, 0xbf])])
      const found = Text.utf8DecodeStrict(padded, 2, 2 + bytes.length)
      // Compared before `toBe`, which prints long values in full.
      if (found !== expected(bytes)) {
        expect([bytes.length, Buffer.from(bytes).toString("hex"), found]).toEqual([0, "", expected(bytes)])
      }
    }
    /** Just below and above each length at which another way of decoding is used: 20, 40, 191 and 65 536 bytes. */
    const lengths = [...Array.from({ length: 70 }, (_, i) => i), 95, 96, 97, 128, 190, 191, 192, 193, 300]
    const letters = [
      "é",
      "\u00ff",
      "\u0100",
      "\u07ff",
      "\u0800",
      "\u20ac",
      "\ufeff",
      "\ufffd",
      "\uffff",
      "𝄞",
      "\u{10ffff}"
    ]
    const wrong = [
      [0x80],
      [0xbf],
      [0xc0, 0x80],
      [0xc1, 0xbf],
      [0xc2],
      [0xc3, 0x28],
      [0xe0, 0x9f, 0xbf],
      [0xe2, 0x82],
      [0xe2, 0x28, 0xa1],
      [0xed, 0xa0, 0x80],
      [0xed, 0xbf, 0xbf],
      [0xf0, 0x8f, 0xbf, 0xbf],
      [0xf0, 0x9d, 0x84],
      [0xf0, 0x28, 0x8c, 0xbc],
      [0xf4, 0x90, 0x80, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
      [0xff]
    ]
    const fillers = ["a", "é", "\u20ac", "𝄞"]

    it.each(fillers)("a non-ASCII letter at every position among %s", (filler) => {
      for (const length of lengths) {
        const around = Buffer.alloc(length, filler)
        check(around)
        for (const letter of letters) {
          const put = Buffer.from(letter)
          for (let at = 0; at + put.length <= length; at++) {
            const bytes = Buffer.from(around)
            put.copy(bytes, at)
            check(bytes)
          }
        }
      }
    })

    it.each(fillers)("invalid UTF-8 at every position among %s, and cut off", (filler) => {
      for (const length of lengths) {
        const around = Buffer.alloc(length, filler)
        for (const put of wrong) {
          for (let at = 0; at < length; at++) {
            const bytes = Buffer.from(around)
            Buffer.from(put).copy(bytes, at)
            check(bytes)
            check(Buffer.concat([bytes.subarray(0, at), Buffer.from(put)]))
          }
        }
      }
    })

    it("every two leading bytes of a letter, followed by bytes at the edges of the valid ranges", () => {
      const edges = [0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff]
      for (let first = 0x80; first < 0x100; first++) {
        for (let second = 0; second < 0x100; second++) {
          check(Uint8Array.of(first, second))
        }
        for (const second of edges) {
          for (const third of edges) {
            check(Uint8Array.of(first, second, third))
            for (const fourth of edges) {
              check(Uint8Array.of(first, second, third, fourth))
            }
          }
        }
      }
    })

    it.each([1000, 65_535, 65_536, 65_537, 200_000])("long texts of %s bytes", (length) => {
      for (const filler of fillers) {
        for (const put of [
          ...letters.map((letter) => Buffer.from(letter)),
          ...wrong.map((bytes) => Buffer.from(bytes))
        ]) {
          for (const at of [0, 1, length >> 3, length >> 2, length >> 1, length - 5, length - put.length]) {
            const bytes = Buffer.alloc(length, filler)
            put.copy(bytes, Math.min(at, bytes.length - put.length))
            check(bytes)
          }
        }
      }
    })

    it("any mix of bytes and lengths", () => {
      FastCheck.assert(
        FastCheck.property(
          FastCheck.array(
            FastCheck.oneof(
              { weight: 6, arbitrary: FastCheck.string({ maxLength: 30 }).map((text) => Buffer.from(text)) },
              {
                weight: 6,
                arbitrary: FastCheck.string({ unit: "binary", maxLength: 30 }).map((text) => Buffer.from(text))
              },
              { weight: 1, arbitrary: FastCheck.constantFrom(...wrong).map((bytes) => Buffer.from(bytes)) }
            ),
            { maxLength: 12 }
          ),
          (parts) => {
            check(Buffer.concat(parts))
          }
        ),
        { numRuns: 3000 }
      )
    })

    it("map keys that repeat, that never repeat, that collide in the cache, and others between them", () => {
      const checkName = (bytes: Uint8Array): void => {
        const padded = Buffer.concat([Buffer.from("x"), bytes, Buffer.from("y")])
        expect(Text.nameDecodeStrict(padded, 1, 1 + bytes.length)).toBe(expected(bytes))
      }
      // More names than the cache has places, each twice, and enough misses for the cache to pause and to resume.
      for (let i = 0; i < 6000; i++) {
        checkName(utf8(`name:${i}`))
        checkName(utf8(`name:${i}`))
        checkName(utf8(`other:${i % 7}`))
      }
      for (let i = 0; i < 12_000; i++) {
        checkName(utf8(`once:${i}`))
      }
      // A two-byte letter and its first byte alone, which is invalid, may map to the same place of the cache.
      for (let first = 0xc2; first < 0xe0; first++) {
        for (let second = 0x80; second < 0xc0; second++) {
          for (let i = 0; i < 4; i++) {
            checkName(utf8("again"))
          }
          checkName(bytesOf(first, second))
          checkName(bytesOf(first))
        }
      }
      // Names of each length that differ in one byte, at each position, and may share a place of the cache.
      for (const length of Array.from({ length: 23 }, (_, i) => i)) {
        const name = Buffer.alloc(length, "n")
        for (let at = 0; at < length; at++) {
          for (let letter = 0; letter < 256; letter++) {
            const changed = Buffer.from(name)
            changed[at] = letter
            checkName(name)
            checkName(changed)
          }
        }
      }
      FastCheck.assert(
        FastCheck.property(
          FastCheck.array(FastCheck.oneof(anyBytes, wellFormed.map(utf8)), { maxLength: 50 }),
          (all) => {
            for (const bytes of [...all, ...all]) {
              checkName(bytes)
            }
          }
        )
      )
    })

    it("maps with repeated keys, split at every position", () => {
      const wire = utf8(
        "%2\r\n$4\r\nname\r\n$4\r\nname\r\n$2\r\nid\r\n:1\r\n%?\r\n$4\r\nname\r\n$3\r\nAda\r\n.\r\n*1\r\n$4\r\nname\r\n"
      )
      const frames = [new Resp.MapReply(["name", "name", "id", 1]), new Resp.MapReply(["name", "Ada"]), ["name"]]
      for (const parts of [[wire], byteByByte(wire), ...twoWays(wire)]) {
        expect(read(parts).frames).toStrictEqual(frames)
        expect(read(parts, "bytes").frames[2]).toStrictEqual([utf8("name")])
      }
    })

    it("a reply is not affected by the one before it", () => {
      const texts = ["é".repeat(100), "a\u20ac".repeat(50), "ü", "\u20ac", "𝄞".repeat(30), "aé"]
      const found = texts.map((text) => Text.utf8DecodeStrict(Buffer.from(text), 0, Buffer.byteLength(text)))
      expect(found).toEqual(texts)
    })
  })

  it("a one-character integer must be a digit: alone, among others and split at every position", () => {
    for (let letter = 0; letter < 256; letter++) {
      const wire = join("+OK\r\n:", bytesOf(letter), "\r\n:7\r\n:12\r\n*1\r\n:3\r\n:0\r\n")
      const digit = letter >= 48 && letter <= 57
      for (const parts of [[wire], byteByByte(wire), ...twoWays(wire)]) {
        const { failure, frames } = read(parts)
        expect(failure === undefined).toBe(digit)
        expect(frames).toStrictEqual(digit ? ["OK", letter - 48, 7, 12, [3], 0] : ["OK"])
      }
    }
  })

  it.each([":1\rx", ":1\n\r", ":1x\r\n", ":\r\n", ":1\r\r\n", "$?\r\n:1\r\n", "*?\r\n$?\r\n:1\r\n"])(
    "is not a one-digit integer: %j",
    (text) => {
      const wire = join(":5\r\n", text, ":6\r\n")
      for (const parts of [[wire], byteByByte(wire), ...twoWays(wire)]) {
        const { failure, frames } = read(parts)
        expect(failure).toBeDefined()
        expect(frames).toStrictEqual([5])
      }
    }
  )

  it("the size limit applies to a one-digit integer however it is split", () => {
    const wire = utf8(":1\r\n:2\r\n:3\r\n")
    for (const parts of [[wire], byteByByte(wire), ...twoWays(wire)]) {
      expect(read(parts, "text", { maxBufferedBytes: 4 }).frames).toStrictEqual([1, 2, 3])
      expect(read(parts, "text", { maxBufferedBytes: 3 })).toStrictEqual({
        frames: [],
        failure: "one reply is larger than 3 bytes (limits.maxBufferedBytes)",
        idle: true
      })
    }
  })

  it.each(["txt", "mkd", "txx", "xxt", "tat", "tx:", "TXT", "\u20ac"])(
    "a verbatim string keeps the format that was sent: %s",
    (format) => {
      const bytes = utf8(`${format}:text`)
      for (const parts of twoWays(join(`=${bytes.length}\r\n`, bytes, "\r\n"))) {
        expect(read(parts).frames).toStrictEqual([new Resp.VerbatimString(format, "text")])
      }
    }
  )

  it("doubles equal what JavaScript reads, to the last bit", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.bigInt({ min: 0n, max: 10n ** 19n }),
        FastCheck.nat(25),
        FastCheck.boolean(),
        (n, point, minus) => {
          const digits = n.toString().padStart(point + 1, "0")
          const text = `${minus ? "-" : ""}${digits.slice(0, digits.length - point)}${point === 0 ? "" : "."}${digits.slice(digits.length - point)}`
          expect(read([utf8(`,${text}\r\n`)]).frames).toStrictEqual([Number(text)])
        }
      ),
      { numRuns: 2000 }
    )
  })

  it("the helpers of the values", () => {
    const map = new Resp.MapReply(["a", 1, "a", 2])
    expect([map.size, map.entries]).toStrictEqual([
      2,
      [
        ["a", 1],
        ["a", 2]
      ]
    ])
    expect(Resp.map(map.entries)).toStrictEqual(map)
    expect(Resp.map([[["k"], ["v"]]])).toStrictEqual(new Resp.MapReply([["k"], ["v"]]))
    expect(new Resp.Push(["message"]).kind).toBe("message")
    expect(new Resp.Push([b("message")]).kind).toBe("message")
    expect(new Resp.Push([1]).kind).toBe("")
    expect(Resp.error("WRONGTYPE x").code).toBe("WRONGTYPE")
    expect(Resp.error("NOAUTH").code).toBe("NOAUTH")
    expect(Resp.error("Wrongtype x").code).toBe("ERR")
    expect(Resp.error("").code).toBe("ERR")
    expect(Resp.text("a\uD800")).toStrictEqual(b("a\uFFFD"))
  })
})

describe("what is not RESP", () => {
  const maxLength = "9".repeat(20)
  const strict: ReadonlyArray<readonly [name: string, wire: string | Uint8Array, reason: RegExp]> = [
    ["an unknown type byte", "x", /unknown type byte 0x78/],
    ["an inline command", "PING\r\n", /unknown type byte/],
    ["an HTTP answer", "HTTP/1.1 400 Bad Request\r\n", /unknown type byte/],
    ["a TLS alert", bytesOf(0x15, 0x03, 0x01, 0x00, 0x02), /unknown type byte 0x15/],
    ["a line end where a value is due", "\r\n", /unknown type byte/],
    ["an empty line after a value", "+OK\r\n\r\n", /unknown type byte/],

    ["an integer with letters", ":12a4\r\n", /not digits/],
    ["an integer with a fraction", ":1.5\r\n", /not digits/],
    ["an integer with an exponent", ":1e3\r\n", /not digits/],
    ["an integer without digits", ":\r\n", /not digits/],
    ["an integer that is a sign", ":-\r\n", /not digits/],
    ["an integer of two signs", ":+-1\r\n", /not digits/],
    ["an integer behind a space", ": 1\r\n", /not digits/],
    ["an integer before a space", ":1 \r\n", /not digits/],
    ["an integer before a bare LF", ":1\n", /not digits/],
    ["an integer before a bare CR", ":1\rx", /not digits/],
    ["an integer one above 64 bits", ":9223372036854775808\r\n", /64 bits/],
    ["an integer one below 64 bits", ":-9223372036854775809\r\n", /64 bits/],
    ["an integer far above 64 bits", `:${maxLength}\r\n`, /64 bits/],
    ["an integer that never ends", `:${"1".repeat(100)}`, /64 bits/],
    ["an integer of zeros that never ends", `:${"0".repeat(100)}`, /64 bits/],
    ["a NUL in an integer", ":1\0\r\n", /not digits/],

    ["a CR in a simple string", "+a\rb\r\n", /bare CR/],
    ["two CRs after a simple string", "+a\r\r\n", /bare CR/],
    ["an LF in a simple string", "+a\nb\r\n", /bare LF/],
    ["a simple string that ends with LF", "+OK\n", /bare LF/],
    ["a CR in an error", "-ERR a\rb\r\n", /bare CR/],
    ["an LF in an error", "-ERR a\nb\r\n", /bare LF/],
    ["an LF in a double", ",1\n\r\n", /bare LF/],
    ["a CR in a big number", "(1\r1\r\n", /bare CR/],

    ["a bulk string of length -2", "$-2\r\n", /negative length/],
    ["a bulk string of length -0", "$-0\r\n", /negative length/],
    ["a bulk string of length -11", "$-11\r\n", /not a number/],
    ["a bulk string of length -", "$-\r\n", /negative length/],
    ["a bulk string of length +1", "$+1\r\na\r\n", /not a number/],
    ["a bulk string of length ' 1'", "$ 1\r\na\r\n", /not a number/],
    ["a bulk string of length '1 '", "$1 \r\na\r\n", /not a number/],
    ["a bulk string of length 1x", "$1x\r\na\r\n", /not a number/],
    ["a bulk string of length x1", "$x1\r\na\r\n", /not a number/],
    ["a bulk string of length 0x1", "$0x1\r\na\r\n", /not a number/],
    ["a bulk string of length 1.0", "$1.0\r\na\r\n", /not a number/],
    ["a bulk string of length 1e0", "$1e0\r\na\r\n", /not a number/],
    ["a bulk string without a length", "$\r\na\r\n", /not a number/],
    ["a length before a bare LF", "$1\na\r\n", /not a number/],
    ["a length before a bare CR", "$1\ra\r\n", /CRLF/],
    ["a length that never ends", `$${"0".repeat(100)}`, /too many digits/],
    ["a null bulk string with more", "$-1x\r\n", /not a number/],
    ["a bulk string that is longer than it says", "$3\r\nfour\r\n", /not followed by CRLF/],
    ["a bulk string that is shorter than it says", "$5\r\nfour\r\n+OK\r\n", /not followed by CRLF/],
    ["a bulk string followed by LF", "$1\r\na\n\n", /not followed by CRLF/],
    ["a bulk string followed by CR and something", "$1\r\na\rb", /not followed by CRLF/],
    ["an empty bulk string followed by something", "$0\r\nab", /not followed by CRLF/],
    ["a bulk error followed by something", "!1\r\nab\r\n", /not followed by CRLF/],
    ["a null bulk error", "!-1\r\n", /not a number/],
    ["a streamed bulk error", "!?\r\n", /not a number/],
    ["a verbatim string without its format", "=3\r\ntxt\r\n", /without its format/],
    ["a verbatim string with a format of two letters", "=5\r\ntx:ab\r\n", /without its format/],
    ["a verbatim string of nothing", "=0\r\n\r\n", /without its format/],
    ["a null verbatim string", "=-1\r\n", /not a number/],
    ["a streamed verbatim string", "=?\r\n", /not a number/],

    ["a boolean of another letter", "#x\r\n", /neither #t nor #f/],
    ["a boolean in capitals", "#T\r\n", /neither #t nor #f/],
    ["a boolean of a word", "#true\r\n", /not followed by CRLF/],
    ["a boolean of no letter", "#\r\n", /neither #t nor #f/],
    ["a boolean as a digit", "#1\r\n", /neither #t nor #f/],
    ["a null with something", "_x\r\n", /not followed by CRLF/],
    ["a null with -1", "_-1\r\n", /not followed by CRLF/],
    ["a null before LF", "_\n", /not followed by CRLF/],

    ["an array of length -2", "*-2\r\n", /negative length/],
    ["an array of length +1", "*+1\r\n:1\r\n", /not a number/],
    ["an array of length 1.5", "*1.5\r\n", /not a number/],
    ["an array without a length", "*\r\n", /not a number/],
    ["a null map", "%-1\r\n", /not a number/],
    ["a null set", "~-1\r\n", /not a number/],
    ["a null push", ">-1\r\n", /not a number/],
    ["a null attribute", "|-1\r\n", /not a number/],
    ["a streamed push", ">?\r\n", /cannot be streamed/],
    ["a streamed attribute", "|?\r\n", /cannot be streamed/],
    ["a push without a kind", ">0\r\n", /without a kind/],
    ["a stream of length ?1", "*?1\r\n", /not a number/],

    ["a stream end outside of a stream", ".\r\n", /outside a streamed aggregate/],
    ["a stream end inside an array of known length", "*1\r\n.\r\n", /outside a streamed aggregate/],
    ["a stream end inside an array inside a stream", "*?\r\n*1\r\n.\r\n", /outside a streamed aggregate/],
    ["a stream end inside a push inside a stream", "*?\r\n>2\r\n+a\r\n.\r\n", /outside a streamed aggregate/],
    ["a stream end after the stream's", "*?\r\n.\r\n.\r\n", /outside a streamed aggregate/],
    ["a stream end with something", "*?\r\n.x\r\n", /stream end that is not followed by CRLF/],
    ["a streamed map that ends after a key", "%?\r\n+a\r\n.\r\n", /ends after a key/],
    ["a part of a streamed string outside of one", ";1\r\na\r\n", /outside of one/],
    ["the end of a streamed string outside of one", ";0\r\n", /outside of one/],
    ["a streamed string that something else follows", "$?\r\n+a\r\n", /not continued/],
    ["a streamed string that a bulk string follows", "$?\r\n;1\r\na\r\n$1\r\nb\r\n", /not continued/],
    ["a streamed string that a stream end follows", "*?\r\n$?\r\n.\r\n", /not continued/],
    ["a streamed string in a streamed string", "$?\r\n$?\r\n", /not continued/],
    ["a part of length -1", "$?\r\n;-1\r\n", /not a number/],
    ["a part of length ?", "$?\r\n;?\r\n", /not a number/],
    ["a part that is longer than it says", "$?\r\n;1\r\nab\r\n", /not followed by CRLF/],

    ["129 aggregates in each other", "*1\r\n".repeat(129), /deeper than 128/],
    ["129 aggregates of all kinds in each other", "*1\r\n%1\r\n~?\r\n*?\r\n>1\r\n".repeat(26), /deeper than 128/],
    ["a bulk string of 512 MB and a byte", `$${512 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["a bulk error of 512 MB and a byte", `!${512 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["a verbatim string of 512 MB and a byte", `=${512 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["a part of 512 MB and a byte", `$?\r\n;${512 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["a bulk string beyond every number", `$${maxLength}\r\n`, /more than the limit/],
    ["an array of one element too many", `*${64 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["a set of one element too many", `~${64 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["a push of one element too many", `>${64 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["a map of one key and value too many", `%${32 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["an attribute of one key and value too many", `|${32 * 1024 * 1024 + 1}\r\n`, /more than the limit/],
    ["an array beyond every number", `*${maxLength}\r\n`, /more than the limit/]
  ]

  it.each(strict)("%s", (_, wire, reason) => {
    const bytes = typeof wire === "string" ? utf8(wire) : wire
    for (const mode of modes) {
      const whole = read([bytes], mode)
      expect(whole.failure).toMatch(reason)
      expect(read(byteByByte(bytes), mode)).toStrictEqual(whole)
      for (const parts of twoWays(bytes)) {
        expect(read(parts, mode)).toStrictEqual(whole)
      }
    }
  })

  it.each(strict)("%s inside an array, after good values: nothing is read after it", (_, wire, reason) => {
    const bytes = typeof wire === "string" ? utf8(wire) : wire
    const frames: Array<Resp.Frame> = []
    const parser = newParser(frames, "text")
    const failure = parser.write(join("+first\r\n>1\r\n+push\r\n*?\r\n:1\r\n", bytes, "\r\n.\r\n+no\r\n"))
    // The vector with "." outside a stream ends the streamed array here, and the bytes after it are the failure.
    expect(frames.slice(0, 2)).toStrictEqual(["first", new Resp.Push(["push"])])
    expect(frames).not.toContain("no")
    expect(failure?.reason).toBeDefined()
    expect(parser.write(utf8("+OK\r\n"))).toBe(failure)
    expect(parser.write(utf8("+OK\r\n"))).toBe(parser.failure)
    expect(frames).not.toContain("OK")
    expect(reason).toBeInstanceOf(RegExp)
  })

  it("the reason never holds what was sent", () => {
    const secret = "s3cr3t"
    for (const wire of [
      `+${secret}\n`,
      `-${secret}\n`,
      `:${secret}\r\n`,
      `$${secret}\r\n`,
      `*${secret}\r\n`,
      `#${secret}\r\n`,
      `_${secret}\r\n`,
      `$1\r\n${secret}\r\n`,
      `=6\r\n${secret}\r\n`,
      `$?\r\n${secret}`,
      `.${secret}`,
      secret
    ]) {
      const { failure } = read([utf8(wire)])
      expect(failure).toBeDefined()
      expect(failure).not.toContain(secret)
    }
  })

  it("a handler's exception is rethrown, and ends the parse", () => {
    const seen: Array<Resp.Frame> = []
    const parser = new Parser({
      onReply: (reply) => {
        seen.push(reply)
        throw new Error("handler")
      },
      onPush: () => {},
      onAttribute: () => {}
    })
    expect(() => parser.write(utf8("+a\r\n+b\r\n"))).toThrow("handler")
    expect(parser.write(utf8("+c\r\n"))).toBeUndefined()
    expect(seen).toEqual(["a"])
  })

  it("a handler can stop the parse at its value", () => {
    const seen: Array<Resp.Frame> = []
    const parser: Parser = new Parser({
      onReply: (reply) => {
        seen.push(reply)
        parser.stop()
      },
      onPush: () => {},
      onAttribute: () => {}
    })
    parser.write(utf8("+a\r\n+b\r\nxxx"))
    parser.write(utf8("+c\r\n"))
    expect([seen, parser.failure]).toEqual([["a"], undefined])
  })
})

describe("limits", () => {
  const grown = (run: () => void): number => {
    const before = process.memoryUsage().arrayBuffers
    run()
    return process.memoryUsage().arrayBuffers - before
  }

  it("apply exactly", () => {
    expect(read([utf8("$3\r\nfoo\r\n")], "text", { maxBulkLength: 3 }).frames).toEqual(["foo"])
    expect(read([utf8("$4\r\n")], "text", { maxBulkLength: 3 }).failure).toMatch(/4 bytes, more than the limit of 3/)
    expect(read([utf8("*3\r\n:1\r\n:1\r\n:1\r\n")], "text", { maxAggregateLength: 3 }).frames).toEqual([[1, 1, 1]])
    expect(read([utf8("*4\r\n")], "text", { maxAggregateLength: 3 }).failure).toMatch(
      /4 elements, more than the limit of 3/
    )
    expect(read([utf8("*2\r\n*1\r\n:1\r\n:2\r\n")], "text", { maxDepth: 2 }).frames).toEqual([[[1], 2]])
    expect(read([utf8("*1\r\n*1\r\n*0\r\n")], "text", { maxDepth: 2 }).failure).toMatch(/deeper than 2/)
    expect(read([utf8("*1\r\n:1\r\n")], "text", { maxDepth: 0 }).failure).toMatch(/deeper than 0/)
    expect(read([utf8(":1\r\n")], "text", { maxDepth: 0 }).frames).toEqual([1])
    expect(read([utf8("*1\r\n".repeat(128)), utf8(":1\r\n")]).frames.length).toBe(1)
  })

  it("depth counts nesting, not elements", () => {
    const wire = utf8(`*200\r\n${"*1\r\n*1\r\n:1\r\n".repeat(200)}`.repeat(3))
    expect(read([wire], "text", { maxDepth: 3 }).frames.length).toBe(3)
  })

  it("keys and values of a map both count, with an announced length or streamed", () => {
    const limits = { maxAggregateLength: 4 }
    for (const type of ["%", "|"]) {
      expect(read([utf8(`${type}2\r\n:1\r\n:2\r\n:3\r\n:4\r\n`)], "text", limits).frames.length).toBe(1)
      expect(read([utf8(`${type}3\r\n`)], "text", limits).failure).toMatch(/6 elements/)
    }
    for (const type of ["*", "~", "%"]) {
      expect(read([utf8(`${type}?\r\n${":1\r\n".repeat(4)}.\r\n`)], "text", limits).frames.length).toBe(1)
      expect(read([utf8(`${type}?\r\n${":1\r\n".repeat(5)}`)], "text", limits).failure).toMatch(/more than 4 elements/)
    }
  })

  it("a line is limited however it is split", () => {
    const limits = { maxBulkLength: 5 }
    for (const type of ["+", "-", ",", "("]) {
      for (const parts of [...twoWays(utf8(`${type}12345\r\n`)), byteByByte(utf8(`${type}12345\r\n`))]) {
        expect(read(parts, "text", limits).frames.length).toBe(1)
      }
      for (const parts of [...twoWays(utf8(`${type}123456\r\n`)), byteByByte(utf8(`${type}123456\r\n`))]) {
        expect(read(parts, "text", limits)).toMatchObject({
          frames: [],
          failure: expect.stringMatching(/a line of more/)
        })
      }
    }
    expect(read([utf8("+OK\r\n")], "text", { maxBulkLength: 1 }).failure).toMatch(/a line of more/)
  })

  it("the parts of a streamed string are limited together, checked before each part", () => {
    const limits = { maxBulkLength: 5 }
    expect(read([utf8("$?\r\n;3\r\nabc\r\n;2\r\nde\r\n;0\r\n")], "text", limits).frames).toEqual(["abcde"])
    expect(read([utf8("$?\r\n;3\r\nabc\r\n;3\r\n")], "text", limits).failure).toMatch(/6 bytes/)
  })

  it("a value is limited as a whole, however it is split", () => {
    const values = vectors.filter(({ text }) => text.length === 1)
    for (const of of values) {
      const wire = wireOf(of)
      for (const parts of [[wire], ...twoWays(wire), byteByByte(wire)]) {
        expect(read(parts, "text", { maxBufferedBytes: wire.length }).failure, of.name).toBeUndefined()
        expect(read(parts, "text", { maxBufferedBytes: wire.length - 1 }), of.name).toMatchObject({
          frames: [],
          failure: expect.stringMatching(/larger than/)
        })
      }
    }
  })

  it("consecutive values are limited one by one", () => {
    const wire = utf8("*2\r\n:1\r\n$2\r\nab\r\n>1\r\n+x\r\n|1\r\n+a\r\n+b\r\n+OK\r\n".repeat(50))
    for (const seed of [1, 2, 3, 4, 5]) {
      expect(read(cutAtRandom(wire, seed), "text", { maxBufferedBytes: 16 }).failure).toBeUndefined()
    }
    expect(read(byteByByte(wire), "text", { maxBufferedBytes: 16 }).frames.length).toBe(200)
  })

  it("chunks that always end inside a header count towards the limit", () => {
    const frames: Array<Resp.Frame> = []
    const parser = newParser(frames, "text", { maxBufferedBytes: 100 })
    parser.write(utf8("*1000000\r\n:"))
    let chunks = 0
    while (parser.failure === undefined && chunks < 1000) {
      parser.write(utf8("1\r\n:1\r\n:1\r\n:"))
      chunks++
    }
    expect(chunks).toBeLessThan(10)
  })

  it("an announced length is not allocated in advance", () => {
    expect(
      grown(() => {
        for (let i = 0; i < 20; i++) {
          expect(read([utf8("$400000000\r\nx")], "text", { maxBulkLength: 1_000_000 }).failure).toBeDefined()
          expect(read([utf8("$400000000\r\nx")], "text", { maxBufferedBytes: 1_000_000 }).failure).toBeDefined()
          expect(
            read([utf8("*2\r\n$5\r\nhello\r\n$999990\r\nx")], "text", { maxBufferedBytes: 1_000_000 }).failure
          ).toBeDefined()
        }
      })
    ).toBeLessThan(1_000_000)
    const before = process.memoryUsage().heapUsed
    const kept = Array.from({ length: 20 }, () => {
      const frames: Array<Resp.Frame> = []
      const parser = newParser(frames, "text")
      parser.write(utf8("*67108864\r\n~67108864\r\n"))
      return parser
    })
    expect(kept.every(({ failure }) => failure === undefined)).toBe(true)
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000)
  })

  it("a limit of NaN or below 0 allows nothing", () => {
    expect(read([utf8("$1\r\na\r\n")], "text", { maxBulkLength: Number.NaN }).failure).toBeDefined()
    expect(read([utf8("*1\r\n")], "text", { maxAggregateLength: -1 }).failure).toBeDefined()
    expect(read([utf8("*1\r\n")], "text", { maxDepth: Number.NaN }).failure).toBeDefined()
    expect(read([utf8(":1\r\n")], "text", { maxBufferedBytes: Number.NaN }).failure).toBeDefined()
  })

  it("without limits, a length beyond any memory is a protocol error, and nothing throws", () => {
    const none = {
      maxBulkLength: Infinity,
      maxAggregateLength: Infinity,
      maxDepth: Infinity,
      maxBufferedBytes: Infinity
    }
    for (const type of ["$", "!", "=", "$?\r\n;"]) {
      expect(read([utf8(`${type}${"9".repeat(20)}\r\n`)], "text", none).failure).toMatch(/not enough memory/)
    }
    // V8 ends the process at more elements than this, so a larger limit does not apply.
    expect(read([utf8("*100000001\r\n")], "text", none).failure).toMatch(/more than the limit/)
    expect(read([utf8("%50000001\r\n")], "text", none).failure).toMatch(/more than the limit/)
  })

  it("a hundred thousand nested aggregates, where the limit allows them", () => {
    const depth = 100_000
    const limits = { maxDepth: depth }
    for (const [open, last] of [
      ["*1\r\n", ":1\r\n"],
      ["%1\r\n:0\r\n", ":1\r\n"],
      ["~1\r\n", "*0\r\n"]
    ] as const) {
      expect(read([utf8(open.repeat(depth - 1) + last)], "text", limits)).toMatchObject({
        failure: undefined,
        idle: true
      })
    }
    const streams = utf8(`${"*?\r\n".repeat(depth)}${".\r\n".repeat(depth)}`)
    const { frames } = read([streams], "text", limits)
    let value = frames[0] as ReadonlyArray<Resp.Reply>
    for (let i = 1; i < depth; i++) {
      value = value[0] as ReadonlyArray<Resp.Reply>
    }
    expect(value).toEqual([])
    // Encoded again: the encoder nests as deep as the parser.
    expect(Resp.encode(frames[0] as Resp.Frame).length).toBe(depth * 4)
  })

  it("one-byte chunks cost about a byte each", () => {
    const line = newParser([], "bytes")
    const size = 1_000_000
    line.write(utf8("+"))
    const one = bytesOf(0x61)
    expect(
      grown(() => {
        for (let i = 0; i < size; i++) {
          line.write(one)
        }
      })
    ).toBeLessThan(5 * size)
    const streamed = newParser([], "bytes")
    const part = utf8(";1\r\na\r\n")
    streamed.write(utf8("$?\r\n"))
    expect(
      grown(() => {
        for (let i = 0; i < size; i++) {
          streamed.write(part)
        }
      })
    ).toBeLessThan(5 * size)
  })

  it("absurdly long doubles and big numbers are refused without computing them", () => {
    const [double, big] = read([utf8(`,${"1".repeat(1_000_000)}\r\n(${"1".repeat(1_000_000)}\r\n`)]).frames
    expect(double).toBeInstanceOf(Resp.Unreadable)
    expect(big).toBeInstanceOf(Resp.Unreadable)
    // The longest `long double` that C prints, and a number of 66 000 bits.
    expect(read([utf8(`,${"1".repeat(4933)}.${"0".repeat(17)}\r\n`)]).frames).toEqual([Infinity])
    expect(typeof read([utf8(`(${"1".repeat(20_000)}\r\n`)]).frames[0]).toBe("bigint")
  })
})

describe("the memory that a reply keeps", () => {
  const own = (frame: Resp.Frame | undefined): boolean =>
    frame instanceof Uint8Array && frame.byteOffset === 0 && frame.buffer.byteLength === frame.byteLength

  it("is its own bytes, not the socket's chunk", () => {
    const chunk = Buffer.concat([Buffer.from("$5\r\nhello\r\n*1\r\n$3\r\nfoo\r\n"), Buffer.alloc(60_000, "+OK\r\n")])
    const { frames } = read([chunk.subarray(0, 26)], "bytes")
    expect(own(frames[0])).toBe(true)
    expect(own((frames[1] as ReadonlyArray<Resp.Reply>)[0] as Resp.Reply)).toBe(true)
  })

  it("is its own bytes in every vector, however it was split", () => {
    const check = (frame: Resp.Frame): void => {
      if (frame instanceof Uint8Array) {
        expect(own(frame)).toBe(true)
      } else if (Array.isArray(frame)) {
        frame.forEach(check)
      } else if (frame instanceof Resp.VerbatimString) {
        check(frame.value)
      } else if (
        frame instanceof Resp.MapReply ||
        frame instanceof Resp.SetReply ||
        frame instanceof Resp.Push ||
        frame instanceof Resp.Attribute
      ) {
        frame.items.forEach(check)
      }
    }
    for (const of of vectors) {
      const wire = wireOf(of)
      for (const mode of modes) {
        for (const parts of [[wire], byteByByte(wire), ...twoWays(wire)]) {
          read(parts, mode).frames.forEach(check)
        }
      }
    }
  })

  it("is one array of the announced size when the body spans chunks", () => {
    const size = 3_000_000
    const wire = Buffer.concat([Buffer.from(`$${size}\r\n`), Buffer.alloc(size, "x"), Buffer.from("\r\n")])
    const parts = Array.from({ length: Math.ceil(wire.length / 65_536) }, (_, i) =>
      wire.subarray(i * 65_536, (i + 1) * 65_536)
    )
    const [value] = read(parts, "bytes").frames
    expect((value as Uint8Array).length).toBe(size)
    expect(own(value)).toBe(true)
  })
})

// Where JavaScript has several values for one RESP value, the one that the parser returns.
const normal = (frame: Resp.Frame, mode: Mode): Resp.Frame => {
  const bulk = (data: string | Uint8Array): string | Uint8Array => {
    const bytes = typeof data === "string" ? utf8(data) : Uint8Array.from(data)
    if (mode === "bytes") {
      return bytes
    }
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      return bytes
    }
  }
  if (typeof frame === "string" || frame instanceof Uint8Array) {
    return bulk(frame)
  }
  if (typeof frame === "bigint") {
    return BigInt.asIntN(64, frame) === frame && Number.isSafeInteger(Number(frame)) ? Number(frame) : frame
  }
  if (frame instanceof Resp.VerbatimString) {
    return new Resp.VerbatimString(frame.format, bulk(frame.value))
  }
  const list = (items: ReadonlyArray<Resp.Reply>): ReadonlyArray<Resp.Reply> =>
    items.map((item) => normal(item, mode) as Resp.Reply)
  return frame instanceof Resp.MapReply
    ? new Resp.MapReply(list(frame.items))
    : frame instanceof Resp.SetReply
      ? new Resp.SetReply(list(frame.items))
      : frame instanceof Resp.Push
        ? new Resp.Push(list(frame.items))
        : frame instanceof Resp.Attribute
          ? new Resp.Attribute(list(frame.items))
          : Array.isArray(frame)
            ? list(frame)
            : frame
}

const wellFormed = FastCheck.string({ unit: "binary", maxLength: 20 })
const anyBytes = FastCheck.uint8Array({ maxLength: 40 }).map((bytes) => Uint8Array.from(bytes))
const even = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> => items.slice(0, items.length - (items.length % 2))

const { reply: anyReply } = FastCheck.letrec<{ reply: Resp.Reply; leaf: Resp.Reply }>((tie) => ({
  leaf: FastCheck.oneof(
    wellFormed,
    anyBytes,
    FastCheck.integer(),
    FastCheck.maxSafeInteger(),
    FastCheck.double(),
    FastCheck.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    FastCheck.boolean(),
    FastCheck.constant(null),
    wellFormed.map(errors),
    FastCheck.tuple(FastCheck.constantFrom("txt", "mkd"), FastCheck.oneof(wellFormed, anyBytes)).map(
      ([format, value]) => new Resp.VerbatimString(format, value)
    )
  ),
  reply: FastCheck.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    FastCheck.array(tie("reply"), { maxLength: 5 }),
    FastCheck.array(tie("reply"), { maxLength: 6 }).map((items) => new Resp.MapReply(even(items))),
    FastCheck.array(tie("reply"), { maxLength: 5 }).map((items) => new Resp.SetReply(items))
  )
}))

const anyFrame: FastCheck.Arbitrary<Resp.Frame> = FastCheck.oneof(
  anyReply,
  FastCheck.array(anyReply, { minLength: 1, maxLength: 4 }).map((items) => new Resp.Push(items)),
  FastCheck.array(anyReply, { maxLength: 4 }).map((items) => new Resp.Attribute(even(items)))
)

interface Spelling {
  readonly wire: Uint8Array
  /** The inserted pushes and attributes, in the order in which they end. */
  readonly aside: ReadonlyArray<Resp.Frame>
}

/** One of the ways in which a server may send a value, with pushes and attributes at any allowed position. */
const spell = (value: Resp.Reply, seed: number): Spelling => {
  const random = randomOf(seed)
  const parts: Array<string | Uint8Array> = []
  const aside: Array<Resp.Frame> = []
  const bulk = (prefix: string, data: Uint8Array): void => {
    parts.push(`${prefix}${data.length}\r\n`, data, "\r\n")
  }
  const aggregate = (prefix: string, length: number, items: ReadonlyArray<Resp.Reply>): void => {
    const streams = random.below(3) === 0
    parts.push(`${prefix}${streams ? "?" : length}\r\n`)
    items.forEach(element)
    if (streams) {
      parts.push(".\r\n")
    }
  }
  const element = (item: Resp.Reply): void => {
    if (random.below(8) === 0) {
      parts.push(">2\r\n+note\r\n")
      element(1)
      aside.push(new Resp.Push(["note", 1]))
    }
    if (random.below(8) === 0) {
      parts.push("|1\r\n+ttl\r\n")
      element(2)
      aside.push(new Resp.Attribute(["ttl", 2]))
    }
    if (typeof item === "string" || item instanceof Uint8Array) {
      const data = typeof item === "string" ? utf8(item) : item
      if (random.below(3) === 0) {
        parts.push("$?\r\n")
        let at = 0
        while (at < data.length) {
          const to = Math.min(data.length, at + 1 + random.below(5))
          bulk(";", data.subarray(at, to))
          at = to
        }
        parts.push(";0\r\n")
      } else {
        bulk("$", data)
      }
    } else if (item === null) {
      parts.push(["_\r\n", "$-1\r\n", "*-1\r\n"][random.below(3)] as string)
    } else if (item instanceof Resp.ErrorReply) {
      bulk("!", utf8(item.message))
    } else if (item instanceof Resp.MapReply) {
      aggregate("%", item.size, item.items)
    } else if (item instanceof Resp.SetReply) {
      aggregate("~", item.items.length, item.items)
    } else if (Array.isArray(item)) {
      aggregate("*", item.length, item)
    } else {
      parts.push(Resp.encode(item))
    }
  }
  element(value)
  return { wire: Buffer.concat(parts.map((part) => (typeof part === "string" ? utf8(part) : part))), aside }
}

describe("properties", () => {
  for (const mode of modes) {
    prop(
      `encoded values are read back as ${mode}`,
      [FastCheck.array(anyFrame, { maxLength: 5 }), FastCheck.integer()],
      ([frames, seed]) => {
        const wire = Buffer.concat(frames.map(Resp.encode))
        const expected: Read = { frames: frames.map((frame) => normal(frame, mode)), failure: undefined, idle: true }
        expect(read([wire], mode)).toStrictEqual(expected)
        expect(read(cutAtRandom(wire, seed), mode)).toStrictEqual(expected)
      },
      { fastCheck: { numRuns: 300 } }
    )

    prop(
      `every spelling of a value is read as ${mode}`,
      [anyReply, FastCheck.integer()],
      ([value, seed]) => {
        const { aside, wire } = spell(value, seed)
        const expected: Read = { frames: [...aside, normal(value, mode)], failure: undefined, idle: true }
        expect(read([wire], mode)).toStrictEqual(expected)
        expect(read(cutAtRandom(wire, seed), mode)).toStrictEqual(expected)
        expect(read(byteByByte(wire), mode)).toStrictEqual(expected)
      },
      { fastCheck: { numRuns: 300 } }
    )
  }

  prop(
    "bytes read directly into their final buffer equal bytes read through chunks",
    [FastCheck.array(FastCheck.nat(300_000), { minLength: 1, maxLength: 5 }), FastCheck.boolean(), FastCheck.integer()],
    ([lengths, inArray, seed]) => {
      const random = randomOf(seed)
      const values = lengths.map((length) => String.fromCharCode(97 + random.below(26)).repeat(length))
      const wire = Buffer.concat((inArray ? [values] : values).map(Resp.encode))
      for (const mode of modes) {
        const frames: Array<Resp.Frame> = []
        const parser = newParser(frames, mode)
        const memory = new Uint8Array(64 * 1024)
        for (let at = 0; at < wire.length; ) {
          const into = parser.room ?? memory
          const length = Math.min(into.length, wire.length - at, 1 + random.below(into.length))
          into.set(wire.subarray(at, at + length))
          expect(parser.write(into.subarray(0, length))).toBeUndefined()
          // The next read overwrites the chunk, unless the parser provided the buffer.
          memory.fill(0x21)
          at += length
        }
        const whole = read([wire], mode).frames
        expect(frames.length).toBe(whole.length)
        expect(Buffer.concat(frames.map(Resp.encode)).equals(wire)).toBe(true)
        expect(frames.map((frame) => typeof frame)).toEqual(whole.map((frame) => typeof frame))
      }
    },
    { fastCheck: { numRuns: 30 } }
  )

  /** Whatever the bytes: nothing throws, and every split is read alike. */
  const survives = (wire: Uint8Array, seed: number): void => {
    for (const mode of modes) {
      const limits = { maxBulkLength: 10_000, maxAggregateLength: 10_000, maxDepth: 16, maxBufferedBytes: 20_000 }
      const whole = read([wire], mode, limits)
      const parts = read(cutAtRandom(wire, seed), mode, limits)
      expect(parts).toStrictEqual(whole)
      expect(read(byteByByte(wire), mode, limits)).toStrictEqual(whole)
    }
  }

  prop(
    "valid bytes with some changed, lost, doubled or inserted",
    [
      FastCheck.array(anyReply, { minLength: 1, maxLength: 3 }),
      FastCheck.integer(),
      FastCheck.integer({ min: 1, max: 4 })
    ],
    ([values, seed, changes]) => {
      const random = randomOf(seed)
      let wire: Uint8Array = Buffer.concat(values.map((value, i) => spell(value, seed + i).wire))
      for (let i = 0; i < changes; i++) {
        const at = random.below(wire.length)
        const to = Math.min(wire.length, at + 1 + random.below(4))
        const put = utf8(
          ["\r", "\n", "\r\n", "-", "?", "9", "*", "$1", "%2\r\n", ";", ".\r\n", "\0"][random.below(12)] as string
        )
        wire =
          [
            () => join(wire.subarray(0, at), put, wire.subarray(to)),
            () => join(wire.subarray(0, at), wire.subarray(to)),
            () => join(wire.subarray(0, to), wire.subarray(at)),
            () => join(wire.subarray(0, at), put, wire.subarray(at))
          ][random.below(4)]?.() ?? wire
      }
      survives(wire, seed)
    },
    { fastCheck: { numRuns: 500 } }
  )

  prop(
    "random text over the characters of RESP",
    [
      FastCheck.string({
        unit: FastCheck.constantFrom(
          ..."+-:$*_#,(!=%|~>;.?0123456789tfinae \r\n",
          "\r\n",
          "\r\n",
          "\r\n",
          "*1\r\n",
          "$1\r\n",
          "+x\r\n"
        ),
        maxLength: 80
      }),
      FastCheck.integer()
    ],
    ([text, seed]) => {
      survives(utf8(text), seed)
    },
    { fastCheck: { numRuns: 2000 } }
  )

  prop(
    "any bytes",
    [FastCheck.uint8Array({ maxLength: 200 }), FastCheck.integer()],
    ([bytes, seed]) => {
      survives(bytes, seed)
    },
    { fastCheck: { numRuns: 500 } }
  )

  prop(
    "a value is refused exactly when it exceeds a limit",
    [anyReply, FastCheck.integer(), FastCheck.nat(40)],
    ([value, seed, under]) => {
      const wire = Resp.encode(value)
      const maxBufferedBytes = Math.max(0, wire.length - 20 + under)
      for (const parts of [[wire], byteByByte(wire), cutAtRandom(wire, seed)]) {
        const { failure } = read(parts, "text", { maxBufferedBytes })
        expect(failure === undefined).toBe(wire.length <= maxBufferedBytes)
      }
    }
  )
})

interface OtherParser {
  readonly execute: (bytes: Buffer) => void
}

interface OtherOptions {
  readonly returnReply: (reply: unknown) => void
  readonly returnError: (error: Error) => void
  readonly returnFatalError: (error: Error) => void
  readonly returnBuffers: boolean
}

const Other = createRequire(import.meta.url)("redis-parser") as new (options: OtherOptions) => OtherParser

describe("against redis-parser, on RESP2", () => {
  const { reply: resp2 } = FastCheck.letrec<{ reply: Resp.Reply }>((tie) => ({
    reply: FastCheck.oneof(
      { depthSize: "small" },
      wellFormed,
      anyBytes,
      FastCheck.maxSafeInteger(),
      FastCheck.constant(null),
      // Excludes U+FFFD, which redis-parser treats differently.
      FastCheck.stringMatching(/^[A-Z]{1,8} [a-z ]{0,20}$/).map(errors),
      FastCheck.array(tie("reply"), { maxLength: 6 })
    )
  }))

  /** RESP2 has one encoding for each of these values; nil has two. */
  const wire2 = (value: Resp.Reply, seed: number): Uint8Array =>
    value === null
      ? utf8(seed % 2 === 0 ? "$-1\r\n" : "*-1\r\n")
      : Array.isArray(value)
        ? join(`*${value.length}\r\n`, ...value.map((item: Resp.Reply, i) => wire2(item, seed + i)))
        : Resp.encode(value)

  /** Both parsers' values in one form. */
  const plain = (value: unknown): unknown =>
    value instanceof Uint8Array
      ? `bytes ${Buffer.from(value).toString("hex")}`
      : value instanceof Resp.ErrorReply || value instanceof Error
        ? `error ${value.message}`
        : Array.isArray(value)
          ? value.map(plain)
          : value

  prop(
    "both parsers agree",
    [FastCheck.array(resp2, { minLength: 1, maxLength: 6 }), FastCheck.integer()],
    ([values, seed]) => {
      const parts = cutAtRandom(Buffer.concat(values.map((value, i) => wire2(value, Math.abs(seed) + i))), seed)
      const theirs: Array<unknown> = []
      const parser = new Other({
        returnReply: (reply) => theirs.push(reply),
        returnError: (error) => theirs.push(error),
        returnFatalError: (error) => theirs.push(`fatal ${error.message}`),
        returnBuffers: true
      })
      for (const part of parts) {
        if (part.length > 0) {
          parser.execute(Buffer.from(part))
        }
      }
      expect(read(parts, "bytes").frames.map(plain)).toEqual(theirs.map(plain))
    },
    { fastCheck: { numRuns: 500 } }
  )
})

describe("Resp.decode", () => {
  const collected = <E>(stream: Stream.Stream<Resp.Frame, E>) =>
    Effect.gen(function* () {
      const seen: Array<Resp.Frame> = []
      const exit = yield* Effect.exit(Stream.runForEach(stream, (frame) => Effect.sync(() => seen.push(frame))))
      return { seen, exit }
    })

  it.effect("reads all vectors, in chunks of any size", () =>
    Effect.gen(function* () {
      const wire = join(...vectors.map(wireOf))
      for (const mode of modes) {
        for (const parts of [[wire], byteByByte(wire), cutAtRandom(wire, 7)]) {
          const frames = yield* Stream.fromIterable(parts).pipe(
            Stream.rechunk(3),
            Resp.decode({ bulk: mode }),
            Stream.runCollect
          )
          expect(Chunk.toReadonlyArray(frames)).toStrictEqual(vectors.flatMap((of) => framesOf(of, mode)))
        }
      }
    })
  )

  it.effect("gives bytes unless asked for text", () =>
    Effect.gen(function* () {
      const frames = yield* Stream.make(utf8("$1\r\na\r\n")).pipe(Resp.decode(), Stream.runCollect)
      expect(Chunk.toReadonlyArray(frames)).toStrictEqual([b("a")])
    })
  )

  it.effect("emits the complete values, then fails", () =>
    Effect.gen(function* () {
      const { exit, seen } = yield* collected(
        Stream.make(utf8("+a\r\n+b\r\n*1\r\nx+c\r\n"), utf8("+d\r\n")).pipe(Resp.decode())
      )
      expect(seen).toEqual(["a", "b"])
      expect(Exit.isFailure(exit) && Cause.failureOption(exit.cause)).toMatchObject(
        Option.some({ _tag: "ProtocolError", reason: expect.stringMatching(/unknown type byte/) })
      )
    })
  )

  it.effect("fails when the input ends inside a value", () =>
    Effect.gen(function* () {
      for (const rest of [
        "+O",
        "+",
        ":",
        ":1",
        ":1\r",
        "$",
        "$3",
        "$3\r\n",
        "$3\r\nfoo",
        "$3\r\nfoo\r",
        "*1\r\n",
        "*?\r\n",
        "$?\r\n",
        "$?\r\n;1\r\na\r\n",
        "#",
        "#t",
        "_",
        "*1\r\n>1\r\n+a\r\n",
        "|1\r\n"
      ]) {
        const { exit, seen } = yield* collected(Stream.make(utf8("+a\r\n"), utf8(rest)).pipe(Resp.decode()))
        expect(seen.filter((frame) => !(frame instanceof Resp.Push))).toEqual(["a"])
        expect(Exit.isFailure(exit) && Cause.failureOption(exit.cause), JSON.stringify(rest)).toMatchObject(
          Option.some({ _tag: "ProtocolError", reason: "the input ended inside a value" })
        )
      }
    })
  )

  it.effect("ends when the input ends between values", () =>
    Effect.gen(function* () {
      for (const wire of ["", "+a\r\n", ">1\r\n+a\r\n", "|0\r\n"]) {
        expect(Exit.isSuccess((yield* collected(Stream.make(utf8(wire)).pipe(Resp.decode()))).exit)).toBe(true)
      }
      expect(Exit.isSuccess((yield* collected(Stream.empty.pipe(Resp.decode()))).exit)).toBe(true)
    })
  )

  it.effect("an upstream error passes through unchanged, after the complete values", () =>
    Effect.gen(function* () {
      for (const before of ["+a\r\n", "+a\r\n+b"]) {
        const { exit, seen } = yield* collected(
          Stream.make(utf8(before)).pipe(Stream.concat(Stream.fail("upstream" as const)), Resp.decode())
        )
        expect(seen).toEqual(["a"])
        expect(exit).toStrictEqual(Exit.fail("upstream"))
      }
      const { exit } = yield* collected(Stream.die("bug").pipe(Resp.decode()))
      expect(exit).toStrictEqual(Exit.die("bug"))
    })
  )

  it.effect("each run starts with a fresh parser", () =>
    Effect.gen(function* () {
      const stream = Stream.make(utf8("+a\r\n+b")).pipe(Resp.decode())
      for (let i = 0; i < 2; i++) {
        expect((yield* collected(stream)).seen).toEqual(["a"])
      }
    })
  )

  it.effect("stops pulling when its reader stops", () =>
    Effect.gen(function* () {
      let pulled = 0
      const frames = yield* Stream.repeatEffect(
        Effect.sync(() => {
          pulled++
          return utf8("+a\r\n+b\r\n")
        })
      ).pipe(Resp.decode(), Stream.take(3), Stream.runCollect)
      expect(Chunk.toReadonlyArray(frames)).toEqual(["a", "b", "a"])
      expect(pulled).toBe(2)
    })
  )

  it.effect("honours its limits", () =>
    Effect.gen(function* () {
      const { exit } = yield* collected(Stream.make(utf8("$4\r\n")).pipe(Resp.decode({ limits: { maxBulkLength: 3 } })))
      expect(Exit.isFailure(exit)).toBe(true)
    })
  )

  it("has the documented default limits", () => {
    expect(Resp.defaultLimits).toStrictEqual({
      maxBulkLength: 536_870_912,
      maxAggregateLength: 67_108_864,
      maxDepth: 128,
      maxBufferedBytes: 1_073_741_824
    })
  })
})

describe("encodeCommand", () => {
  const sent = (...args: ReadonlyArray<string | Uint8Array | number | bigint>): string => {
    const encoded = Resp.encodeCommand(args)
    return Either.isRight(encoded) ? Buffer.from(encoded.right).toString("latin1") : `refused: ${encoded.left.message}`
  }

  it("writes an array of bulk strings", () => {
    expect(sent("SET", "k", "v")).toBe("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    expect(sent("")).toBe("*1\r\n$0\r\n\r\n")
    expect(sent("X", new Uint8Array(0))).toBe("*2\r\n$1\r\nX\r\n$0\r\n\r\n")
    expect(sent("X", "a\r\n$1\r\nb")).toBe("*2\r\n$1\r\nX\r\n$8\r\na\r\n$1\r\nb\r\n")
  })

  it("writes numbers exactly", () => {
    const one = (value: number | bigint): string => sent(value).split("\r\n")[2] ?? ""
    expect(
      [
        0,
        -0,
        1.5,
        -1,
        1e-7,
        0.1,
        Number.MAX_SAFE_INTEGER,
        Number.MIN_SAFE_INTEGER,
        Infinity,
        -Infinity,
        5e-324,
        2n ** 64n,
        -(2n ** 63n)
      ].map(one)
    ).toEqual([
      "0",
      "-0",
      "1.5",
      "-1",
      "1e-7",
      "0.1",
      "9007199254740991",
      "-9007199254740991",
      "inf",
      "-inf",
      "5e-324",
      "18446744073709551616",
      "-9223372036854775808"
    ])
  })

  it("refuses values that would be sent as something else", () => {
    const refused: ReadonlyArray<readonly [string, ReadonlyArray<string | number>]> = [
      ["an empty list", []],
      ["NaN", ["X", Number.NaN]],
      ["an unsafe integer", ["X", Number.MAX_SAFE_INTEGER + 1]],
      ["an unsafe negative integer", ["X", Number.MIN_SAFE_INTEGER - 1]],
      ["a large integer", ["X", 1e300]],
      ["a high surrogate", ["X", "a\uD83D"]],
      ["a low surrogate", ["X", "\uDE00a"]],
      ["surrogates in the wrong order", ["X", "\uDE00\uD83D"]],
      ["a surrogate in the name", ["\uD800"]],
      ["a surrogate in a long text", ["X", `${"a".repeat(20_000)}\uD800`]],
      // Possible after a cast, or from JavaScript.
      ["undefined", ["X", undefined as unknown as string]],
      ["null", ["X", null as unknown as string]],
      ["an object", ["X", {} as unknown as string]],
      ["a list", ["X", ["a"] as unknown as string]],
      ["a boolean", ["X", true as unknown as string]]
    ]
    for (const [name, args] of refused) {
      expect(Option.getOrUndefined(Either.getLeft(Resp.encodeCommand(args))), name).toMatchObject({
        _tag: "UsageError",
        reason: "invalidArgument"
      })
    }
  })

  it("a refusal does not show the argument", () => {
    expect(sent("X", "s3cr3t\uD800")).toMatch(/^refused: .*lone surrogate/)
    expect(sent("X", "s3cr3t\uD800")).not.toContain("s3cr3t")
  })

  prop(
    "counts the bytes of any text",
    [
      FastCheck.array(
        FastCheck.oneof(
          FastCheck.string({ unit: "binary" }),
          anyBytes,
          FastCheck.tuple(
            FastCheck.string({ unit: "grapheme", minLength: 1 }),
            FastCheck.integer({ min: 1, max: 6_000 })
          ).map(([unit, times]) => unit.repeat(times))
        ),
        { minLength: 1, maxLength: 5 }
      )
    ],
    ([args]) => {
      const encoded = Either.getOrThrow(Resp.encodeCommand(args))
      const { failure, frames } = read([encoded], "bytes")
      expect(failure).toBeUndefined()
      // Not by `toEqual`, which is slow on many bytes.
      const got = frames[0] as ReadonlyArray<Uint8Array>
      expect(got.length).toBe(args.length)
      expect(args.every((arg, i) => Buffer.from(arg).equals(got[i] ?? new Uint8Array(1)))).toBe(true)
    },
    { fastCheck: { numRuns: 100 } }
  )

  it("long texts among short ones keep their positions", () => {
    const long = "é".repeat(10_000)
    const args = ["SET", long, "short", long, utf8(long), "ü", utf8("x")]
    expect(read([Either.getOrThrow(Resp.encodeCommand(args))], "text").frames).toStrictEqual([
      args.map((arg) => (typeof arg === "string" ? arg : Buffer.from(arg).toString()))
    ])
  })
})

describe("text in other runtimes", () => {
  /** Loads the module as in a runtime without `Buffer`. */
  const load = (prepare: string): typeof Text => {
    const source = fs.readFileSync(new URL("../src/internal/resp/text.ts", import.meta.url), "utf8")
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 }
    })
    const exports = {}
    vm.runInNewContext(`${prepare}\n${outputText}`, { exports, TextEncoder, TextDecoder })
    return exports as typeof Text
  }

  it("is the same without Node's Buffer", () => {
    const other = load("")
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(anyBytes, wellFormed.map(utf8)), FastCheck.nat(5), (bytes, from) => {
        const start = Math.min(from, bytes.length)
        expect(other.utf8Decode(bytes, start, bytes.length)).toBe(Text.utf8Decode(bytes, start, bytes.length))
        expect(other.utf8DecodeStrict(bytes, start, bytes.length)).toBe(
          Text.utf8DecodeStrict(bytes, start, bytes.length)
        )
      })
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.string({ unit: "binary" }), (text) => {
        expect(other.utf8Length(text)).toBe(Text.utf8Length(text))
      })
    )
  })

  it("recognises a lone surrogate, with or without isWellFormed", () => {
    const texts = ["", "a", "é𝄞", "\uD800", "a\uDC00", "\uDC00\uD800", "𝄞\uD834", "\uFFFD"]
    const fallback = load("delete String.prototype.isWellFormed")
    expect(texts.map(Text.isWellFormed)).toEqual([true, true, true, false, false, false, false, true])
    expect(texts.map(fallback.isWellFormed)).toEqual(texts.map(Text.isWellFormed))
  })
})
