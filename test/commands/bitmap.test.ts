import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import { make } from "../../src/commands/bitmap.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const { array, bulk, int, nil, nil2 } = wire
const bitmaps = make()
const text = (key: string, value: string) => RedisCommand.make("SET", { args: [RedisCommand.key(key), value] })

describe("bitmap commands encode their arguments", () => {
  it("GETBIT, SETBIT", () => {
    sends(bitmaps.getbit("k", 7), ["GETBIT", "k", "7"])
    sends(bitmaps.setbit("k", 4294967295, 1), ["SETBIT", "k", "4294967295", "1"])
    refuses(bitmaps.getbit("k", 1.5), /integer/)
  })

  it("BITCOUNT, BITPOS", () => {
    sends(bitmaps.bitcount("k"), ["BITCOUNT", "k"])
    sends(bitmaps.bitcount("k", { start: 0 }), ["BITCOUNT", "k", "0"])
    sends(bitmaps.bitcount("k", { start: 0, end: -1 }), ["BITCOUNT", "k", "0", "-1"])
    sends(bitmaps.bitcount("k", { start: 0, end: -1, byte: true }), ["BITCOUNT", "k", "0", "-1", "BYTE"])
    sends(bitmaps.bitcount("k", { start: 0, end: -1, bit: true }), ["BITCOUNT", "k", "0", "-1", "BIT"])
    sends(bitmaps.bitpos("k", 1), ["BITPOS", "k", "1"])
    sends(bitmaps.bitpos("k", 0, { start: 2 }), ["BITPOS", "k", "0", "2"])
    sends(bitmaps.bitpos("k", 0, { start: 2, end: 9, bit: true }), ["BITPOS", "k", "0", "2", "9", "BIT"])
  })

  it("BITOP", () => {
    for (const operation of ["and", "or", "xor", "diff", "diff1", "andor", "one"] as const) {
      sends(bitmaps.bitop(operation, "d", ["k", "l"]), ["BITOP", operation.toUpperCase(), "d", "k", "l"])
    }
    sends(bitmaps.bitop("not", "d", "k"), ["BITOP", "NOT", "d", "k"])
    tagged(bitmaps.bitop("and", "d", ["k", "l"]), ["token", "key", "key", "key"])
    refuses(bitmaps.bitop("and", "d", [] as never), /at least one key/)
  })

  it("BITFIELD", () => {
    sends(bitmaps.bitfield("k", []), ["BITFIELD", "k"])
    sends(
      bitmaps.bitfield("k", [
        { get: "u8", offset: "#1" },
        { set: "i64", offset: 0, value: -9223372036854775808n },
        { incrby: "u63", offset: 4294967296n, increment: 5 }
      ]),
      [
        "BITFIELD",
        "k",
        "GET",
        "u8",
        "#1",
        "SET",
        "i64",
        "0",
        "-9223372036854775808",
        "INCRBY",
        "u63",
        "4294967296",
        "5"
      ]
    )
    sends(bitmaps.bitfieldRo("k", [{ get: "i5", offset: 3 }]), ["BITFIELD_RO", "k", "GET", "i5", "3"])
    refuses(bitmaps.bitfield("k", [{ get: "u8", offset: "#x" as never }]), /offset/)
    refuses(bitmaps.bitfield("k", [{ get: "bits" as never, offset: 0 }]), /encoding/)
  })

  it("BITFIELD sends OVERFLOW before each operation whose overflow differs from the one before", () => {
    sends(
      bitmaps.bitfield("k", [
        { incrby: "u8", offset: 0, increment: 1 },
        { incrby: "u8", offset: 0, increment: 1, overflow: "fail" },
        { get: "u8", offset: 0 },
        { set: "u8", offset: 0, value: 1, overflow: "fail" },
        { incrby: "u8", offset: 0, increment: 1 },
        { incrby: "u8", offset: 0, increment: 1, overflow: "sat" }
      ]),
      [
        "BITFIELD",
        "k",
        "INCRBY",
        "u8",
        "0",
        "1",
        "OVERFLOW",
        "FAIL",
        "INCRBY",
        "u8",
        "0",
        "1",
        "GET",
        "u8",
        "0",
        "SET",
        "u8",
        "0",
        "1",
        "OVERFLOW",
        "WRAP",
        "INCRBY",
        "u8",
        "0",
        "1",
        "OVERFLOW",
        "SAT",
        "INCRBY",
        "u8",
        "0",
        "1"
      ]
    )
  })

  it("commands with the same operations are equal, with other overflows not", () => {
    const one = () => bitmaps.bitfield("k", [{ incrby: "u8", offset: 0, increment: 1, overflow: "fail" }])
    const two = () => bitmaps.bitfield("k", [{ incrby: "u8", offset: 0, increment: 1, overflow: "sat" }])
    expect(Equal.equals(one(), one())).toBe(true)
    expect(Equal.equals(two(), two())).toBe(true)
    expect(Equal.equals(one(), two())).toBe(false)
  })
})

describe("bitmap commands decode their replies", () => {
  it("bits, positions and counts", () => {
    reads(bitmaps.getbit("k", 7), int(1), 1)
    reads(bitmaps.setbit("k", 7, 0), int(0), 0)
    readsError(bitmaps.getbit("k", 7), int(2), { _tag: "DecodeError" })
    reads(bitmaps.bitpos("k", 1), int(-1), -1)
    reads(bitmaps.bitcount("k"), int(26), 26)
    reads(bitmaps.bitop("not", "d", "k"), int(6), 6)
    readsError(bitmaps.bitcount("k"), wire.error("WRONGTYPE no"), { _tag: "ReplyError", code: "WRONGTYPE" })
  })

  it("BITFIELD", () => {
    const three = bitmaps.bitfield("k", [
      { get: "u8", offset: 0 },
      { incrby: "u8", offset: 0, increment: 255, overflow: "fail" },
      { set: "i64", offset: 0, value: 1, overflow: "fail" }
    ])
    readsEach(
      three,
      [array(int(1), nil2, int(-9223372036854775808n)), array(int(1), nil, int(-9223372036854775808n))],
      [1, Option.none(), Option.some(-9223372036854775808n)]
    )
    reads(bitmaps.bitfield("k", [{ get: "u63", offset: 0 }]), array(int(4611686018427387904n)), [4611686018427387904n])
    readsError(bitmaps.bitfield("k", [{ get: "u8", offset: 0 }]), array(nil), { _tag: "DecodeError", path: [0] })
    readsError(three, array(int(1), nil, bulk("x")), { _tag: "DecodeError", path: [2] })
    reads(bitmaps.bitfield("k", []), array(), [])
  })
})

liveSuite("bitmap", ({ effect, needsVersion }) => {
  effect("GETBIT, SETBIT, BITCOUNT, BITPOS", () =>
    Effect.gen(function* () {
      expect(yield* bitmaps.setbit("k", 7, 1)).toBe(0)
      expect(yield* bitmaps.setbit("k", 7, 1)).toBe(1)
      expect(yield* bitmaps.getbit("k", 7)).toBe(1)
      expect(yield* bitmaps.getbit("k", 8)).toBe(0)
      expect(yield* bitmaps.bitcount("k")).toBe(1)
      expect(yield* bitmaps.bitcount("k", { start: 0, end: 6, bit: true })).toBe(0)
      expect(yield* bitmaps.bitcount("none", { start: 0, end: -1, byte: true })).toBe(0)
      expect(yield* bitmaps.bitpos("k", 1)).toBe(7)
      expect(yield* bitmaps.bitpos("k", 1, { start: 1 })).toBe(-1)
      expect(yield* bitmaps.bitpos("k", 0, { start: 7, end: 7, bit: true })).toBe(-1)
      yield* text("ones", "\x7f")
      expect(yield* bitmaps.bitpos("ones", 0, { start: 0, end: -1, byte: true })).toBe(0)
    })
  )

  effect("BITCOUNT with only a start", () =>
    Effect.gen(function* () {
      yield* needsVersion({ valkey: "8.0" })
      yield* bitmaps.setbit("k", 15, 1)
      expect(yield* bitmaps.bitcount("k", { start: 1 })).toBe(1)
    })
  )

  effect("BITOP", () =>
    Effect.gen(function* () {
      yield* text("k", "\x0f\x0f")
      yield* text("l", "\x03")
      expect(yield* bitmaps.bitop("and", "d", ["k", "l"])).toBe(2)
      expect(yield* bitmaps.bitcount("d")).toBe(2)
      expect(yield* bitmaps.bitop("or", "d", ["k", "l"])).toBe(2)
      expect(yield* bitmaps.bitcount("d")).toBe(8)
      expect(yield* bitmaps.bitop("xor", "d", ["k", "l"])).toBe(2)
      expect(yield* bitmaps.bitcount("d")).toBe(6)
      expect(yield* bitmaps.bitop("not", "d", "l")).toBe(1)
      expect(yield* bitmaps.bitcount("d")).toBe(6)
      expect(yield* bitmaps.bitop("and", "d", "none")).toBe(0)
    })
  )

  effect("BITOP DIFF, DIFF1, ANDOR, ONE", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "8.2" })
      yield* text("k", "\x0f")
      yield* text("l", "\x13")
      for (const [operation, bits] of [
        ["diff", 2],
        ["diff1", 1],
        ["andor", 2],
        ["one", 3]
      ] as const) {
        expect(yield* bitmaps.bitop(operation, "d", ["k", "l"])).toBe(1)
        expect(yield* bitmaps.bitcount("d")).toBe(bits)
      }
    })
  )

  effect("BITFIELD, BITFIELD_RO", () =>
    Effect.gen(function* () {
      expect(yield* bitmaps.bitfield("k", [{ set: "u8", offset: "#1", value: 250 }])).toEqual([0])
      expect(
        yield* bitmaps.bitfield("k", [
          { incrby: "u8", offset: 8, increment: 5 },
          { incrby: "u8", offset: 8, increment: 1, overflow: "fail" },
          { incrby: "u8", offset: 8, increment: 9, overflow: "sat" },
          { incrby: "u8", offset: 8, increment: 2 },
          { get: "i16", offset: 0 }
        ])
      ).toEqual([255, Option.none(), 255, 1, 1])
      expect(
        yield* bitmaps.bitfield("wide", [
          { set: "i64", offset: 0, value: -9223372036854775808n },
          { get: "i64", offset: 0 }
        ])
      ).toEqual([0, -9223372036854775808n])
      expect(
        yield* bitmaps.bitfieldRo("wide", [
          { get: "u63", offset: 0 },
          { get: "u1", offset: 0 }
        ])
      ).toEqual([4611686018427387904n, 1])
      expect(yield* bitmaps.bitfield("none", [])).toEqual([])
      expect(yield* bitmaps.bitfieldRo("none", [{ get: "u8", offset: 0 }])).toEqual([0])
    })
  )

  effect("errors", () =>
    Effect.gen(function* () {
      yield* RedisCommand.make("RPUSH", { args: [RedisCommand.key("list"), "v"] })
      const wrong = { _tag: "ReplyError", code: "WRONGTYPE" }
      expect(yield* Effect.flip(bitmaps.getbit("list", 0))).toMatchObject(wrong)
      expect(yield* Effect.flip(bitmaps.bitfield("list", [{ get: "u8", offset: 0 }]))).toMatchObject(wrong)
      expect(yield* Effect.flip(bitmaps.setbit("k", 2 ** 33, 1))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )
})
