import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/string.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const strings = make(Codec.utf8)
const binary = make(Codec.bytes)
const User = Schema.Struct({ name: Schema.String, age: Schema.Number })
const users = make(Codec.schema(User))
const ada = { name: "Ada", age: 36 }
const adaJson = `{"name":"Ada","age":36}`

const whole = new Date("2030-01-01T00:00:00Z")
const fraction = DateTime.unsafeMake(whole.getTime() + 5)
const notUtf8 = Uint8Array.of(0xff, 0x00, 0x0d, 0x0a)

describe("string commands encode their arguments", () => {
  it("commands without options", () => {
    sends(strings.append("k", "tail"), ["APPEND", "k", "tail"])
    sends(strings.append("k", notUtf8), ["APPEND", "k", notUtf8])
    sends(strings.decr("k"), ["DECR", "k"])
    sends(strings.decrby("k", 5), ["DECRBY", "k", "5"])
    sends(strings.decrby("k", -9223372036854775808n), ["DECRBY", "k", "-9223372036854775808"])
    sends(strings.delifeq("k", "v"), ["DELIFEQ", "k", "v"])
    sends(strings.digest("k"), ["DIGEST", "k"])
    sends(strings.get("k"), ["GET", "k"])
    sends(strings.getdel("k"), ["GETDEL", "k"])
    sends(strings.getrange("k", 0, -1), ["GETRANGE", "k", "0", "-1"])
    sends(strings.getset("k", "v"), ["GETSET", "k", "v"])
    sends(strings.incr("k"), ["INCR", "k"])
    sends(strings.incrby("k", 5), ["INCRBY", "k", "5"])
    sends(strings.incrbyfloat("k", 1.5), ["INCRBYFLOAT", "k", "1.5"])
    sends(strings.mget("k"), ["MGET", "k"])
    sends(strings.mget(["a", "b"]), ["MGET", "a", "b"])
    sends(strings.setnx("k", "v"), ["SETNX", "k", "v"])
    sends(strings.setrange("k", 3, "part"), ["SETRANGE", "k", "3", "part"])
    sends(strings.strlen("k"), ["STRLEN", "k"])
    sends(strings.substr("k", 0, 1), ["SUBSTR", "k", "0", "1"])
  })

  it("DELEX", () => {
    sends(strings.delex("k"), ["DELEX", "k"])
    sends(strings.delex("k", { ifeq: "v" }), ["DELEX", "k", "IFEQ", "v"])
    sends(strings.delex("k", { ifne: "v" }), ["DELEX", "k", "IFNE", "v"])
    sends(strings.delex("k", { ifdeq: "b6acb9d84a38ff74" }), ["DELEX", "k", "IFDEQ", "b6acb9d84a38ff74"])
    sends(strings.delex("k", { ifdne: "b6acb9d84a38ff74" }), ["DELEX", "k", "IFDNE", "b6acb9d84a38ff74"])
    sends(users.delex("k", { ifeq: ada }), ["DELEX", "k", "IFEQ", adaJson])
  })

  it("GETEX", () => {
    sends(strings.getex("k"), ["GETEX", "k"])
    sends(strings.getex("k", { ex: "2 seconds" }), ["GETEX", "k", "EX", "2"])
    sends(strings.getex("k", { ex: "1500 millis" }), ["GETEX", "k", "PX", "1500"])
    sends(strings.getex("k", { px: "2 seconds" }), ["GETEX", "k", "PX", "2000"])
    sends(strings.getex("k", { exat: whole }), ["GETEX", "k", "EXAT", "1893456000"])
    sends(strings.getex("k", { exat: fraction }), ["GETEX", "k", "PXAT", "1893456000005"])
    sends(strings.getex("k", { pxat: whole }), ["GETEX", "k", "PXAT", "1893456000000"])
    sends(strings.getex("k", { persist: true }), ["GETEX", "k", "PERSIST"])
  })

  it("INCREX", () => {
    sends(strings.increx("k"), ["INCREX", "k"])
    sends(strings.increx("k", { byint: 5n, lbound: 0, ubound: 10, saturate: true, ex: "1 minute", enx: true }), [
      "INCREX",
      "k",
      "BYINT",
      "5",
      "LBOUND",
      "0",
      "UBOUND",
      "10",
      "SATURATE",
      "EX",
      "60",
      "ENX"
    ])
    sends(strings.increx("k", { byfloat: 0.5, lbound: -1.5, ubound: 2.5, persist: true }), [
      "INCREX",
      "k",
      "BYFLOAT",
      "0.5",
      "LBOUND",
      "-1.5",
      "UBOUND",
      "2.5",
      "PERSIST"
    ])
    sends(strings.increx("k", { px: "1 second" }), ["INCREX", "k", "PX", "1000"])
    sends(strings.increx("k", { exat: whole }), ["INCREX", "k", "EXAT", "1893456000"])
    sends(strings.increx("k", { pxat: whole }), ["INCREX", "k", "PXAT", "1893456000000"])
    refuses(strings.increx("k", { ubound: 1.5 }), /integer/)
  })

  it("LCS", () => {
    sends(strings.lcs("a", "b"), ["LCS", "a", "b"])
    sends(strings.lcs("a", "b", { len: true }), ["LCS", "a", "b", "LEN"])
    sends(strings.lcs("a", "b", { idx: true }), ["LCS", "a", "b", "IDX"])
    sends(strings.lcs("a", "b", { idx: true, minmatchlen: 4 }), ["LCS", "a", "b", "IDX", "MINMATCHLEN", "4"])
    sends(strings.lcs("a", "b", { idx: true, withmatchlen: true }), ["LCS", "a", "b", "IDX", "WITHMATCHLEN"])
  })

  it("MSET, MSETNX and MSETEX", () => {
    sends(strings.mset({ a: "1", b: "2" }), ["MSET", "a", "1", "b", "2"])
    sends(
      strings.mset([
        ["a", "1"],
        [notUtf8, "2"]
      ]),
      ["MSET", "a", "1", notUtf8, "2"]
    )
    sends(users.mset({ ada }), ["MSET", "ada", adaJson])
    sends(strings.msetnx({ a: "1" }), ["MSETNX", "a", "1"])
    sends(strings.msetex({ a: "1", b: "2" }), ["MSETEX", "2", "a", "1", "b", "2"])
    sends(strings.msetex([["a", "1"]], { nx: true, ex: "5 seconds" }), ["MSETEX", "1", "a", "1", "NX", "EX", "5"])
    sends(strings.msetex([["a", "1"]], { xx: true, keepttl: true }), ["MSETEX", "1", "a", "1", "XX", "KEEPTTL"])
    sends(strings.msetex({ a: "1" }, { px: "1 second" }), ["MSETEX", "1", "a", "1", "PX", "1000"])
    sends(strings.msetex({ a: "1" }, { exat: whole }), ["MSETEX", "1", "a", "1", "EXAT", "1893456000"])
    sends(strings.msetex({ a: "1" }, { pxat: whole }), ["MSETEX", "1", "a", "1", "PXAT", "1893456000000"])
    refuses(strings.mset({}), /at least one key/)
    refuses(strings.mset([] as never), /at least one key/)
    refuses(strings.msetex({}), /at least one key/)
    refuses(strings.mget([] as never), /at least one key/)
  })

  it("MSET of a record sends its own keys only, __proto__ included", () => {
    const entries = JSON.parse(`{"__proto__":"1","constructor":"2"}`) as Record<string, string>
    sends(strings.mset(entries), ["MSET", "__proto__", "1", "constructor", "2"])
  })

  it("SET", () => {
    sends(strings.set("k", "v"), ["SET", "k", "v"])
    sends(strings.set("k", "v", {}), ["SET", "k", "v"])
    sends(strings.set("k", "v", { nx: true }), ["SET", "k", "v", "NX"])
    sends(strings.set("k", "v", { xx: true }), ["SET", "k", "v", "XX"])
    sends(strings.set("k", "v", { ifeq: "old" }), ["SET", "k", "v", "IFEQ", "old"])
    sends(strings.set("k", "v", { ifne: "old" }), ["SET", "k", "v", "IFNE", "old"])
    sends(strings.set("k", "v", { ifdeq: "00ff" }), ["SET", "k", "v", "IFDEQ", "00ff"])
    sends(strings.set("k", "v", { ifdne: "00ff" }), ["SET", "k", "v", "IFDNE", "00ff"])
    sends(users.set("k", ada, { ifeq: { name: "Eve", age: 1 } }), [
      "SET",
      "k",
      adaJson,
      "IFEQ",
      `{"name":"Eve","age":1}`
    ])
    sends(strings.set("k", "v", { get: true }), ["SET", "k", "v", "GET"])
    sends(strings.set("k", "v", { ex: "10 minutes" }), ["SET", "k", "v", "EX", "600"])
    sends(strings.set("k", "v", { ex: "1500 millis" }), ["SET", "k", "v", "PX", "1500"])
    sends(strings.set("k", "v", { px: "1 second" }), ["SET", "k", "v", "PX", "1000"])
    sends(strings.set("k", "v", { exat: whole }), ["SET", "k", "v", "EXAT", "1893456000"])
    sends(strings.set("k", "v", { exat: fraction }), ["SET", "k", "v", "PXAT", "1893456000005"])
    sends(strings.set("k", "v", { pxat: whole }), ["SET", "k", "v", "PXAT", "1893456000000"])
    sends(strings.set("k", "v", { keepttl: true }), ["SET", "k", "v", "KEEPTTL"])
    sends(strings.set("k", "v", { nx: true, get: true, ex: "1 second" }), ["SET", "k", "v", "NX", "GET", "EX", "1"])
    sends(strings.setex("k", "10 seconds", "v"), ["SETEX", "k", "10", "v"])
    sends(strings.psetex("k", "1500 millis", "v"), ["PSETEX", "k", "1500", "v"])
    refuses(strings.setex("k", "1500 millis", "v"), /whole seconds/)
    refuses(strings.set("k", "v", { ex: "100 nanos" }), /whole milliseconds/)
    refuses(strings.set("k", "v", { ex: "Infinity" as never }), /finite/)
    refuses(strings.set("k", "v", { exat: new Date(Number.NaN) }), /valid date/)
  })

  it("values are encoded by the codec", () => {
    sends(binary.set("k", notUtf8), ["SET", "k", notUtf8])
    sends(users.set("k", ada), ["SET", "k", adaJson])
    refuses(users.set("k", { name: "Ada", age: "36" } as never), /a value does not encode at age/)
    expect(users.set("k", { name: "Ada", age: "36" } as never).problem?.message).not.toMatch(/Ada|36/)
    refuses(strings.incrby("k", 2 ** 53), /2\^53/)
    refuses(strings.incrbyfloat("k", Number.NaN), /not NaN/)
  })

  it("arguments are tagged as keys, values and tokens", () => {
    tagged(strings.set("k", "v", { ifeq: "old", ex: "1 second" }), ["key", "value", "token", "value", "token", "value"])
    tagged(strings.lcs("a", "b", { len: true }), ["key", "key", "token"])
    tagged(
      strings.mset([
        ["a", "1"],
        ["b", "2"]
      ]),
      ["key", "value", "key", "value"]
    )
    expect(String(strings.set("k", "v", { nx: true }))).toBe("RedisCommand(SET <key> <value> NX)")
  })

  it("commands with the same name, arguments and codec are equal", () => {
    expect(Equal.equals(strings.lcs("a", "b", { idx: true }), strings.lcs("a", "b", { idx: true }))).toBe(true)
    expect(Equal.equals(strings.getex("k"), strings.getex("k"))).toBe(true)
    expect(Equal.equals(strings.digest("k"), strings.digest("k"))).toBe(true)
    expect(Equal.equals(strings.increx("k"), strings.increx("k"))).toBe(true)
    expect(Equal.equals(strings.get("k"), binary.get("k"))).toBe(false)
  })
})

describe("string commands decode their replies", () => {
  it("values are decoded by the codec", () => {
    const nils = [wire.nil2, wire.nil]
    for (const command of [strings.get("k"), strings.getdel("k"), strings.getex("k"), strings.getset("k", "v")]) {
      reads(command, wire.bulk("v"), Option.some("v"))
      reads(command, wire.bulk(""), Option.some(""))
      readsEach(command, nils, Option.none())
      readsError(command, "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", {
        _tag: "ReplyError",
        code: "WRONGTYPE"
      })
    }
    const bytes = Buffer.concat([Buffer.from("$4\r\n"), notUtf8, Buffer.from("\r\n")])
    reads(binary.get("k"), bytes, Option.some(notUtf8))
    readsError(strings.get("k"), bytes, { _tag: "DecodeError", command: "GET" })
    reads(users.get("k"), wire.bulk(adaJson), Option.some(ada))
    readsError(users.get("k"), wire.bulk(`{"name":"Ada","age":"x"}`), { _tag: "DecodeError", path: ["age"] })
    readsError(users.get("k"), wire.bulk(`{"name`), { _tag: "DecodeError", command: "GET" })
    readsError(strings.get("k"), wire.array(), { _tag: "DecodeError" })
  })

  it("MGET", () => {
    reads(strings.mget(["a", "b"]), wire.array(wire.bulk("1"), wire.nil2), [Option.some("1"), Option.none()])
    reads(strings.mget(["a", "b"]), wire.array(wire.nil, wire.bulk("1")), [Option.none(), Option.some("1")])
    readsError(users.mget(["a", "b"]), wire.array(wire.bulk(adaJson), wire.bulk(`{"name":1,"age":1}`)), {
      _tag: "DecodeError",
      path: [1, "name"]
    })
  })

  it("SET, by its options", () => {
    reads(strings.set("k", "v"), "+OK\r\n", undefined)
    readsError(strings.set("k", "v"), wire.nil, { _tag: "DecodeError" })
    reads(strings.set("k", "v", { nx: true }), "+OK\r\n", true)
    readsEach(strings.set("k", "v", { nx: true }), [wire.nil2, wire.nil], false)
    readsEach(strings.set("k", "v", { ifeq: "o" }), [wire.nil2, wire.nil], false)
    reads(strings.set("k", "v", { get: true }), wire.bulk("old"), Option.some("old"))
    readsEach(strings.set("k", "v", { get: true, nx: true }), [wire.nil2, wire.nil], Option.none())
  })

  it("commands that answer a boolean", () => {
    for (const command of [
      strings.delex("k"),
      strings.delifeq("k", "v"),
      strings.msetex({ a: "1" }),
      strings.msetnx({ a: "1" }),
      strings.setnx("k", "v")
    ]) {
      reads(command, ":1\r\n", true)
      reads(command, ":0\r\n", false)
      readsError(command, "+OK\r\n", { _tag: "DecodeError" })
    }
  })

  it("commands that answer a number", () => {
    for (const command of [
      strings.append("k", "t"),
      strings.decr("k"),
      strings.decrby("k", 1),
      strings.incr("k"),
      strings.incrby("k", 1),
      strings.setrange("k", 0, "p"),
      strings.strlen("k")
    ]) {
      reads(command, ":-5\r\n", -5)
      readsError(command, wire.nil, { _tag: "DecodeError" })
    }
    reads(strings.incr("k"), ":9007199254740991\r\n", 9007199254740991)
    readsError(strings.incr("k"), ":9007199254740992\r\n", { _tag: "DecodeError" })
    readsEach(strings.incrbyfloat("k", 1), [wire.bulk("10.5"), ",10.5\r\n"], 10.5)
    reads(strings.incrbyfloat("k", 1), wire.bulk("5.0e3"), 5000)
  })

  it("DIGEST and INCREX in their documented form", () => {
    reads(strings.digest("k"), wire.bulk("b6acb9d84a38ff74"), Option.some("b6acb9d84a38ff74"))
    readsEach(strings.digest("k"), [wire.nil2, wire.nil], Option.none())
    reads(strings.increx("k"), wire.array(":11\r\n", ":1\r\n"), { value: 11, applied: 1 })
    readsEach(
      strings.increx("k", { byfloat: 0.5 }),
      [wire.array(wire.bulk("1.5"), wire.bulk("0.5")), wire.array(",1.5\r\n", ",0.5\r\n")],
      { value: 1.5, applied: 0.5 }
    )
  })

  it("LCS, by its options", () => {
    reads(strings.lcs("a", "b"), wire.bulk("mytext"), "mytext")
    reads(binary.lcs("a", "b"), wire.bulk("my"), Uint8Array.of(0x6d, 0x79))
    reads(strings.lcs("a", "b", { len: true }), ":6\r\n", 6)
    const pair = (from: number, to: number) => wire.array(wire.int(from), wire.int(to))
    const matches = [wire.bulk("matches"), wire.array(wire.array(pair(4, 7), pair(5, 8))), wire.bulk("len"), ":6\r\n"]
    readsEach(strings.lcs("a", "b", { idx: true }), [wire.array(...matches), wire.map(...matches)], {
      matches: [{ key1: [4, 7], key2: [5, 8] }],
      len: 6
    })
    reads(
      strings.lcs("a", "b", { idx: true, withmatchlen: true }),
      wire.map(
        wire.bulk("matches"),
        wire.array(wire.array(pair(4, 7), pair(5, 8), ":4\r\n")),
        wire.bulk("len"),
        ":6\r\n"
      ),
      { matches: [{ key1: [4, 7], key2: [5, 8], length: 4 }], len: 6 }
    )
  })

  it("GETRANGE and SUBSTR are text, or bytes under Codec.bytes", () => {
    reads(strings.getrange("k", 0, 1), wire.bulk("ab"), "ab")
    reads(users.getrange("k", 0, 1), wire.bulk(`{"`), `{"`)
    reads(binary.substr("k", 0, 1), wire.bulk("ab"), Uint8Array.of(0x61, 0x62))
    readsError(strings.getrange("k", 0, 0), Buffer.from([0x24, 0x31, 13, 10, 0xc3, 13, 10]), { _tag: "DecodeError" })
  })
})

liveSuite("string", ({ effect, needs, needsVersion }) => {
  effect("SET and GET without options", () =>
    Effect.gen(function* () {
      expect(yield* strings.get("k")).toEqual(Option.none())
      yield* strings.set("k", "värde ✓")
      expect(yield* strings.get("k")).toEqual(Option.some("värde ✓"))
      expect(yield* strings.strlen("k")).toBe(10)
      yield* binary.set("b", notUtf8)
      expect(yield* binary.get("b")).toEqual(Option.some(notUtf8))
      const asText = yield* Effect.either(strings.get("b"))
      expect(Either.isLeft(asText) && asText.left._tag).toBe("DecodeError")
      yield* users.set("u", ada)
      expect(yield* users.get("u")).toEqual(Option.some(ada))
    })
  )

  effect("SET with conditions and GET", () =>
    Effect.gen(function* () {
      expect(yield* strings.set("k", "1", { xx: true })).toBe(false)
      expect(yield* strings.set("k", "1", { nx: true })).toBe(true)
      expect(yield* strings.set("k", "2", { nx: true })).toBe(false)
      expect(yield* strings.set("k", "2", { xx: true, keepttl: true })).toBe(true)
      expect(yield* strings.set("k", "3", { get: true, ex: "10 seconds" })).toEqual(Option.some("2"))
      expect(yield* strings.set("new", "3", { get: true })).toEqual(Option.none())
    })
  )

  effect("SET with GET and NX together", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "7.0", valkey: "7.2" })
      expect(yield* strings.set("k", "1", { nx: true, get: true })).toEqual(Option.none())
      expect(yield* strings.set("k", "2", { nx: true, get: true })).toEqual(Option.some("1"))
    })
  )

  effect("SET IFEQ", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "8.4", valkey: "8.1" })
      yield* strings.set("k", "1")
      expect(yield* strings.set("k", "2", { ifeq: "0" })).toBe(false)
      expect(yield* strings.set("k", "2", { ifeq: "1" })).toBe(true)
      expect(yield* strings.get("k")).toEqual(Option.some("2"))
    })
  )

  effect("SET with every expiry", () =>
    Effect.gen(function* () {
      const later = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000)
      yield* strings.set("k", "v", { ex: "10 seconds" })
      yield* strings.set("k", "v", { px: "1500 millis" })
      yield* strings.set("k", "v", { exat: later })
      yield* strings.set("k", "v", { pxat: later })
      yield* strings.set("k", "v", { exat: DateTime.unsafeMake(later.getTime() + 1) })
      yield* strings.setex("k", "10 seconds", "v")
      yield* strings.psetex("k", "60500 millis", "v")
      expect(yield* strings.get("k")).toEqual(Option.some("v"))
      yield* strings.set("k", "v", { exat: new Date(1000) })
      expect(yield* strings.get("k")).toEqual(Option.none())
    })
  )

  effect("GETEX, GETDEL, GETSET", () =>
    Effect.gen(function* () {
      const later = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000)
      yield* strings.set("k", "v")
      for (const options of [
        undefined,
        { ex: "10 seconds" },
        { px: "60500 millis" },
        { exat: later },
        { pxat: later },
        { persist: true }
      ] as const) {
        expect(yield* strings.getex("k", options)).toEqual(Option.some("v"))
      }
      expect(yield* strings.getset("k", "w")).toEqual(Option.some("v"))
      expect(yield* strings.getdel("k")).toEqual(Option.some("w"))
      expect(yield* strings.getdel("k")).toEqual(Option.none())
      expect(yield* strings.getset("k", "w")).toEqual(Option.none())
    })
  )

  effect("INCR, DECR and related commands", () =>
    Effect.gen(function* () {
      expect(yield* strings.incr("n")).toBe(1)
      expect(yield* strings.incrby("n", 41)).toBe(42)
      expect(yield* strings.decr("n")).toBe(41)
      expect(yield* strings.decrby("n", 50)).toBe(-9)
      expect(yield* strings.incrbyfloat("n", 0.5)).toBe(-8.5)
      expect(yield* strings.incrbyfloat("n", 1e20)).toBeCloseTo(1e20, -5)
      yield* strings.set("big", "9007199254740991")
      const beyond = yield* Effect.either(strings.incr("big"))
      expect(Either.isLeft(beyond) && beyond.left._tag).toBe("DecodeError")
      const overflow = yield* Effect.either(strings.incrby("big", 9223372036854775807n))
      expect(Either.isLeft(overflow) && overflow.left).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )

  effect("GETRANGE, SETRANGE and APPEND", () =>
    Effect.gen(function* () {
      expect(yield* strings.append("k", "Hello")).toBe(5)
      expect(yield* strings.append("k", " World")).toBe(11)
      expect(yield* strings.setrange("k", 6, "Redis")).toBe(11)
      expect(yield* strings.getrange("k", 0, -1)).toBe("Hello Redis")
      expect(yield* strings.substr("k", -5, -1)).toBe("Redis")
      expect(yield* strings.getrange("none", 0, -1)).toBe("")
      expect(yield* strings.setrange("z", 2, "x")).toBe(3)
      expect(yield* binary.getrange("z", 0, -1)).toEqual(Uint8Array.of(0, 0, 0x78))
      expect(yield* strings.strlen("none")).toBe(0)
    })
  )

  effect("MSET, MSETNX and MGET", () =>
    Effect.gen(function* () {
      yield* strings.mset({ a: "1", b: "2" })
      yield* strings.mset([["c", "3"]])
      expect(yield* strings.mget(["a", "none", "c"])).toEqual([Option.some("1"), Option.none(), Option.some("3")])
      expect(yield* strings.msetnx({ a: "x", d: "4" })).toBe(false)
      expect(yield* strings.msetnx({ d: "4", e: "5" })).toBe(true)
      expect(yield* strings.setnx("a", "x")).toBe(false)
      expect(yield* strings.setnx("f", "x")).toBe(true)
    })
  )

  effect("MSETEX", () =>
    Effect.gen(function* () {
      yield* needs("MSETEX")
      expect(yield* strings.msetex({ a: "1", b: "2" }, { nx: true, ex: "10 seconds" })).toBe(true)
      expect(yield* strings.msetex({ a: "x", c: "3" }, { nx: true })).toBe(false)
      expect(
        yield* strings.msetex(
          [
            ["a", "x"],
            ["b", "y"]
          ],
          { xx: true, keepttl: true }
        )
      ).toBe(true)
      expect(yield* strings.mget(["a", "b", "c"])).toEqual([Option.some("x"), Option.some("y"), Option.none()])
    })
  )

  effect("DELIFEQ", () =>
    Effect.gen(function* () {
      yield* needs("DELIFEQ")
      yield* strings.set("k", "mine")
      expect(yield* strings.delifeq("k", "other")).toBe(false)
      expect(yield* strings.delifeq("k", "mine")).toBe(true)
      expect(yield* strings.delifeq("k", "mine")).toBe(false)
    })
  )

  effect("DELEX and DIGEST", () =>
    Effect.gen(function* () {
      yield* needs("DELEX", "DIGEST")
      yield* strings.set("k", "Hello world")
      expect(yield* strings.digest("k")).toEqual(Option.some("b6acb9d84a38ff74"))
      expect(yield* strings.delex("k", { ifdne: "b6acb9d84a38ff74" })).toBe(false)
      expect(yield* strings.delex("k", { ifeq: "Hello world" })).toBe(true)
    })
  )

  effect("INCREX", () =>
    Effect.gen(function* () {
      yield* needs("INCREX")
      expect(yield* strings.increx("n", { byint: 5, ubound: 7 })).toEqual({ value: 5, applied: 5 })
      expect(yield* strings.increx("n", { byint: 5, ubound: 7 })).toEqual({ value: 5, applied: 0 })
      expect(yield* strings.increx("n", { byfloat: 0.5 })).toEqual({ value: 5.5, applied: 0.5 })
    })
  )

  effect("LCS", () =>
    Effect.gen(function* () {
      yield* needs("LCS")
      yield* strings.mset({ key1: "ohmytext", key2: "mynewtext" })
      expect(yield* strings.lcs("key1", "key2")).toBe("mytext")
      expect(yield* strings.lcs("key1", "key2", { len: true })).toBe(6)
      expect(yield* strings.lcs("key1", "key2", { idx: true })).toEqual({
        matches: [
          { key1: [4, 7], key2: [5, 8] },
          { key1: [2, 3], key2: [0, 1] }
        ],
        len: 6
      })
      expect(yield* strings.lcs("key1", "key2", { idx: true, minmatchlen: 4, withmatchlen: true })).toEqual({
        matches: [{ key1: [4, 7], key2: [5, 8], length: 4 }],
        len: 6
      })
      expect(yield* strings.lcs("none", "key2", { idx: true })).toEqual({ matches: [], len: 0 })
    })
  )

  effect("a key of another type or a value that is not a number fails", () =>
    Effect.gen(function* () {
      yield* RedisCommand.make("RPUSH", { args: [RedisCommand.key("list"), "a"] })
      yield* strings.set("text", "no number")
      const codes = (commands: ReadonlyArray<RedisCommand.RedisCommand<unknown>>) =>
        Effect.forEach(commands, (command) =>
          Effect.match(command, {
            onFailure: (error) => (error._tag === "ReplyError" ? error.code : error._tag),
            onSuccess: () => "none"
          })
        )
      expect(
        yield* codes([
          strings.get("list"),
          strings.getdel("list"),
          strings.append("list", "b"),
          strings.incr("list"),
          strings.strlen("list"),
          strings.set("list", "v", { get: true })
        ])
      ).toEqual(["WRONGTYPE", "WRONGTYPE", "WRONGTYPE", "WRONGTYPE", "WRONGTYPE", "WRONGTYPE"])
      expect(yield* codes([strings.incr("text"), strings.incrbyfloat("text", 1)])).toEqual(["ERR", "ERR"])
      expect(yield* strings.mget(["list", "text"])).toEqual([Option.none(), Option.some("no number")])
    })
  )
})
