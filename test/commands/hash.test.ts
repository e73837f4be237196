import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/hash.js"
import { make as makeLists } from "../../src/commands/list.js"
import type * as RedisCommand from "../../src/RedisCommand.js"
import { decode } from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const hashes = make(Codec.utf8)
const binary = make(Codec.bytes)
const lists = makeLists(Codec.utf8)
const anything = make(Codec.json)
const User = Schema.Struct({ name: Schema.String, age: Schema.Number })
const users = make(Codec.schema(User))
const ada = { name: "Ada", age: 36 }
const adaJson = `{"name":"Ada","age":36}`

const whole = new Date("2030-01-01T00:00:00Z")
const fraction = DateTime.unsafeMake(whole.getTime() + 5)
const notUtf8 = Uint8Array.of(0xff, 0x00, 0x0d, 0x0a)
const bytes = (text: string) => new TextEncoder().encode(text)
const { array, bulk, int, map, nil, nil2 } = wire

const expiring = {
  HEXPIRE: hashes.hexpire,
  HPEXPIRE: hashes.hpexpire
}
const expiringAt = {
  HEXPIREAT: hashes.hexpireat,
  HPEXPIREAT: hashes.hpexpireat
}

describe("hash commands encode their arguments", () => {
  it("commands without options", () => {
    sends(hashes.hdel("h", "a"), ["HDEL", "h", "a"])
    sends(hashes.hdel("h", ["a", notUtf8]), ["HDEL", "h", "a", notUtf8])
    sends(hashes.hexists("h", "a"), ["HEXISTS", "h", "a"])
    sends(hashes.hget("h", "a"), ["HGET", "h", "a"])
    sends(hashes.hgetall("h"), ["HGETALL", "h"])
    sends(hashes.hincrby("h", "a", -5), ["HINCRBY", "h", "a", "-5"])
    sends(hashes.hincrby("h", "a", 9223372036854775807n), ["HINCRBY", "h", "a", "9223372036854775807"])
    sends(hashes.hincrbyfloat("h", "a", 1.5), ["HINCRBYFLOAT", "h", "a", "1.5"])
    sends(hashes.hkeys("h"), ["HKEYS", "h"])
    sends(hashes.hlen("h"), ["HLEN", "h"])
    sends(hashes.hmget("h", "a"), ["HMGET", "h", "a"])
    sends(hashes.hmget("h", ["a", "b"]), ["HMGET", "h", "a", "b"])
    sends(hashes.hsetnx("h", "a", "1"), ["HSETNX", "h", "a", "1"])
    sends(hashes.hstrlen("h", "a"), ["HSTRLEN", "h", "a"])
    sends(hashes.hvals("h"), ["HVALS", "h"])
  })

  it("HSET and HMSET from one field, a record or pairs", () => {
    for (const [name, command] of Object.entries({ HSET: hashes.hset, HMSET: hashes.hmset })) {
      sends(command("h", "a", "1"), [name, "h", "a", "1"])
      sends(command("h", { a: "1", b: "2" }), [name, "h", "a", "1", "b", "2"])
      sends(
        command("h", [
          ["a", "1"],
          [notUtf8, "2"]
        ]),
        [name, "h", "a", "1", notUtf8, "2"]
      )
    }
    sends(hashes.hset("h", JSON.parse(`{"__proto__":"1"}`)), ["HSET", "h", "__proto__", "1"])
    sends(users.hset("h", "a", ada), ["HSET", "h", "a", adaJson])
    sends(users.hset("h", { a: ada }), ["HSET", "h", "a", adaJson])
    sends(binary.hset("h", notUtf8, notUtf8), ["HSET", "h", notUtf8, notUtf8])
    // A value that is a record or a list of pairs is still one value.
    sends(anything.hset("h", "a", { b: 1 }), ["HSET", "h", "a", `{"b":1}`])
    sends(anything.hset("h", "a", [["b", 1]]), ["HSET", "h", "a", `[["b",1]]`])
    sends(anything.hset("h", { a: ["b"] }), ["HSET", "h", "a", `["b"]`])
  })

  it("HRANDFIELD", () => {
    sends(hashes.hrandfield("h"), ["HRANDFIELD", "h"])
    sends(hashes.hrandfield("h", { count: -3 }), ["HRANDFIELD", "h", "-3"])
    sends(hashes.hrandfield("h", { count: 3, withvalues: true }), ["HRANDFIELD", "h", "3", "WITHVALUES"])
    sends(hashes.hrandfield("h", { count: 3, withvalues: false }), ["HRANDFIELD", "h", "3"])
  })

  it("HSCAN", () => {
    sends(hashes.hscan("h", "0"), ["HSCAN", "h", "0"])
    sends(hashes.hscan("h", "18446744073709551615", { match: "a*", count: 100 }), [
      "HSCAN",
      "h",
      "18446744073709551615",
      "MATCH",
      "a*",
      "COUNT",
      "100"
    ])
    sends(hashes.hscan("h", "0", { novalues: true }), ["HSCAN", "h", "0", "NOVALUES"])
    // The pattern matches fields, not keys, so no prefix is put before it.
    tagged(hashes.hscan("h", "0", { match: "a*" }), ["key", "value", "token", "value"])
  })

  it("HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT", () => {
    for (const [name, command] of Object.entries(expiring)) {
      const amount = name === "HEXPIRE" ? "10" : "10000"
      sends(command("h", "10 seconds", "a"), [name, "h", amount, "FIELDS", "1", "a"])
      sends(command("h", "10 seconds", ["a", notUtf8]), [name, "h", amount, "FIELDS", "2", "a", notUtf8])
      for (const token of ["nx", "xx", "gt", "lt"] as const) {
        const condition = { [token]: true } as { readonly nx: true }
        sends(command("h", "10 seconds", "a", condition), [name, "h", amount, token.toUpperCase(), "FIELDS", "1", "a"])
      }
    }
    for (const [name, command] of Object.entries(expiringAt)) {
      const at = name === "HEXPIREAT" ? "1893456000" : "1893456000000"
      sends(command("h", whole, "a"), [name, "h", at, "FIELDS", "1", "a"])
      for (const token of ["nx", "xx", "gt", "lt"] as const) {
        const condition = { [token]: true } as { readonly nx: true }
        sends(command("h", whole, ["a", "b"], condition), [name, "h", at, token.toUpperCase(), "FIELDS", "2", "a", "b"])
      }
    }
    sends(hashes.hpexpire("h", "1500 millis", "a"), ["HPEXPIRE", "h", "1500", "FIELDS", "1", "a"])
    sends(hashes.hpexpireat("h", fraction, "a"), ["HPEXPIREAT", "h", "1893456000005", "FIELDS", "1", "a"])
  })

  it("commands that take FIELDS", () => {
    for (const [name, command] of Object.entries({
      HEXPIRETIME: hashes.hexpiretime,
      HGETDEL: hashes.hgetdel,
      HGETEX: hashes.hgetex,
      HPERSIST: hashes.hpersist,
      HPEXPIRETIME: hashes.hpexpiretime,
      HPTTL: hashes.hpttl,
      HTTL: hashes.httl
    })) {
      sends(command("h", "a"), [name, "h", "FIELDS", "1", "a"])
      sends(command("h", ["a", notUtf8]), [name, "h", "FIELDS", "2", "a", notUtf8])
    }
  })

  it("HGETEX", () => {
    const sent = (...expiry: ReadonlyArray<string>) => ["HGETEX", "h", ...expiry, "FIELDS", "1", "a"]
    sends(hashes.hgetex("h", "a", { ex: "2 seconds" }), sent("EX", "2"))
    sends(hashes.hgetex("h", "a", { ex: "1500 millis" }), sent("PX", "1500"))
    sends(hashes.hgetex("h", "a", { px: "2 seconds" }), sent("PX", "2000"))
    sends(hashes.hgetex("h", "a", { exat: whole }), sent("EXAT", "1893456000"))
    sends(hashes.hgetex("h", "a", { pxat: fraction }), sent("PXAT", "1893456000005"))
    sends(hashes.hgetex("h", "a", { persist: true }), sent("PERSIST"))
  })

  it("HSETEX", () => {
    const sent = (...options: ReadonlyArray<string>) => ["HSETEX", "h", ...options, "FIELDS", "1", "a", "1"]
    sends(hashes.hsetex("h", { a: "1" }), sent())
    sends(hashes.hsetex("h", { a: "1" }, { nx: true }), sent("NX"))
    sends(hashes.hsetex("h", { a: "1" }, { xx: true, fnx: true }), sent("XX", "FNX"))
    sends(hashes.hsetex("h", { a: "1" }, { fxx: true, ex: "2 seconds" }), sent("FXX", "EX", "2"))
    sends(hashes.hsetex("h", { a: "1" }, { px: "2 seconds" }), sent("PX", "2000"))
    sends(hashes.hsetex("h", { a: "1" }, { exat: whole }), sent("EXAT", "1893456000"))
    sends(hashes.hsetex("h", { a: "1" }, { pxat: whole }), sent("PXAT", "1893456000000"))
    sends(hashes.hsetex("h", { a: "1" }, { keepttl: true }), sent("KEEPTTL"))
    sends(
      hashes.hsetex("h", [
        ["a", "1"],
        [notUtf8, "2"]
      ]),
      ["HSETEX", "h", "FIELDS", "2", "a", "1", notUtf8, "2"]
    )
    sends(users.hsetex("h", { a: ada }), ["HSETEX", "h", "FIELDS", "1", "a", adaJson])
  })

  it("HIMPORT", () => {
    sends(hashes.himportPrepare("u", ["name", "email"]), ["HIMPORT", "PREPARE", "u", "name", "email"])
    sends(hashes.himportSet("h", "u", ["Ada", "ada@example.org"]), [
      "HIMPORT",
      "SET",
      "h",
      "u",
      "Ada",
      "ada@example.org"
    ])
    sends(users.himportSet("h", "u", [ada]), ["HIMPORT", "SET", "h", "u", adaJson])
    sends(hashes.himportDiscard("u"), ["HIMPORT", "DISCARD", "u"])
    sends(hashes.himportDiscardall(), ["HIMPORT", "DISCARDALL"])
    tagged(hashes.himportSet("h", "u", ["1"]), ["key", "value", "value"])
    for (const command of [hashes.himportPrepare("u", "a"), hashes.himportDiscard("u"), hashes.himportDiscardall()]) {
      expect(command.traits).toMatchObject({ stateful: "connection", requestPolicy: "all_shards", readonly: false })
    }
  })

  it("fields are tagged values, and printing does not show them", () => {
    tagged(hashes.hget("h", "a"), ["key", "value"])
    tagged(hashes.hset("h", { a: "1" }), ["key", "value", "value"])
    tagged(hashes.httl("h", ["a", "b"]), ["key", "token", "value", "value", "value"])
    expect(String(hashes.hset("secret", "password", "hunter2"))).toBe("RedisCommand(HSET <key> <value> <value>)")
  })

  it("commands are equal when they send the same and decode alike", () => {
    expect(Equal.equals(hashes.hget("h", "a"), hashes.hget("h", "a"))).toBe(true)
    expect(Equal.equals(hashes.hset("h", { a: "1" }), hashes.hset("h", "a", "1"))).toBe(true)
    expect(Equal.equals(hashes.hscan("h", "0"), hashes.hscan("h", "0"))).toBe(true)
    expect(
      Equal.equals<RedisCommand.RedisCommand<unknown>, unknown>(hashes.hget("h", "a"), binary.hget("h", "a"))
    ).toBe(false)
  })

  it("empty lists, wrong types and fractions of a unit are refused", () => {
    refuses(hashes.hset("h", {}), /at least one field/)
    refuses(hashes.hset("h", [] as never), /at least one field/)
    refuses(hashes.hsetex("h", {}), /at least one field/)
    refuses(hashes.hdel("h", [] as never), /at least one field/)
    refuses(hashes.hmget("h", [] as never), /at least one field/)
    refuses(hashes.httl("h", [] as never), /at least one field/)
    refuses(hashes.himportPrepare("u", [] as never), /at least one field/)
    refuses(hashes.himportSet("h", "u", [] as never), /at least one value/)
    refuses(hashes.hget("h", 1 as never), /text or bytes/)
    refuses(hashes.hset("h", "a", undefined as never), /a value must be text or bytes/)
    refuses(users.hset("h", "a", { name: "Ada", age: "old" } as never), /does not encode at age/)
    refuses(hashes.hincrby("h", "a", 0.5), /integer/)
    refuses(hashes.hincrbyfloat("h", "a", Number.NaN), /not NaN/)
    // A duration is never rounded: HEXPIRE with 0 seconds would delete the field.
    refuses(hashes.hexpire("h", "1500 millis", "a"), /whole seconds/)
    refuses(hashes.hexpireat("h", fraction, "a"), /whole seconds/)
    refuses(hashes.hpexpire("h", "5 micros", "a"), /whole milliseconds/)
    refuses(hashes.hexpire("h", Duration.infinity, "a"), /finite/)
    refuses(hashes.hpexpireat("h", new Date(Number.NaN), "a"), /valid date/)
  })
})

describe("hash commands decode their replies", () => {
  it("values and nil", () => {
    reads(hashes.hget("h", "a"), bulk("1"), Option.some("1"))
    readsEach(hashes.hget("h", "a"), [nil2, nil], Option.none())
    reads(users.hget("h", "a"), bulk(adaJson), Option.some(ada))
    reads(binary.hget("h", "a"), bulk("1"), Option.some(bytes("1")))
    readsError(users.hget("h", "a"), bulk(`{"name":1}`), { _tag: "DecodeError", command: "HGET", path: ["name"] })
    for (const command of [hashes.hmget("h", "a"), hashes.hgetdel("h", "a"), hashes.hgetex("h", "a")]) {
      readsEach(command, [array(bulk("1"), nil2), array(bulk("1"), nil)], [Option.some("1"), Option.none()])
      readsError(command, "-WRONGTYPE no\r\n", { _tag: "ReplyError", code: "WRONGTYPE" })
    }
    reads(hashes.hvals("h"), array(bulk("1"), bulk("2")), ["1", "2"])
    reads(users.hvals("h"), array(bulk(adaJson)), [ada])
    readsError(users.hvals("h"), array(bulk(adaJson), bulk("no")), { _tag: "DecodeError", path: [1] })
  })

  it("HGETALL is a record with text names", () => {
    const fields = [bulk("a"), bulk("1"), bulk("__proto__"), bulk("2")]
    const expected = Object.assign(Object.create(null), { a: "1" })
    Object.defineProperty(expected, "__proto__", { value: "2", enumerable: true, configurable: true, writable: true })
    readsEach(hashes.hgetall("h"), [array(...fields), map(...fields)], expected)
    readsEach(hashes.hgetall("none"), [array(), map()], {})
    reads(users.hgetall("h"), map(bulk("ada"), bulk(adaJson)), { ada })
    readsError(users.hgetall("h"), map(bulk("ada"), bulk("no")), { _tag: "DecodeError", path: [0] })
    readsError(hashes.hgetall("h"), array(bulk("a")), { _tag: "DecodeError" })
  })

  it("HGETALL has a field of any name or nothing under it, and a copy that equals a plain object", () => {
    const hash = Exit.match(decode(hashes.hgetall("h"), ["a", "1"]), {
      onFailure: () => ({}),
      onSuccess: (hash) => hash
    })
    expect(hash.constructor).toBeUndefined()
    expect({ ...hash }).toStrictEqual({ a: "1" })
  })

  it("HGETALL under Codec.bytes has values of bytes, and fails when a name is not UTF-8", () => {
    readsEach(binary.hgetall("h"), [array(bulk("é"), bulk("1")), map(bulk("é"), bulk("1"))], { é: bytes("1") })
    const named = Buffer.concat([Buffer.from("%1\r\n$4\r\n"), notUtf8, Buffer.from("\r\n$1\r\n1\r\n")])
    readsError(binary.hgetall("h"), named, { _tag: "DecodeError", command: "HGETALL", path: [0] })
    const keys = Buffer.concat([Buffer.from("*1\r\n$4\r\n"), notUtf8, Buffer.from("\r\n")])
    reads(binary.hkeys("h"), keys, [notUtf8])
    readsError(hashes.hkeys("h"), keys, { _tag: "DecodeError", path: [0] })
  })

  it("names of fields", () => {
    reads(hashes.hkeys("h"), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(binary.hkeys("h"), array(bulk("a")), [bytes("a")])
  })

  it("HRANDFIELD, by its options", () => {
    reads(hashes.hrandfield("h"), bulk("a"), Option.some("a"))
    reads(binary.hrandfield("h"), bulk("a"), Option.some(bytes("a")))
    readsEach(hashes.hrandfield("h"), [nil2, nil], Option.none())
    reads(hashes.hrandfield("h", { count: 2 }), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(hashes.hrandfield("h", { count: 2 }), array(), [])
    const pairs = [
      array(bulk("a"), bulk("1"), bulk("b"), bulk("2")),
      array(array(bulk("a"), bulk("1")), array(bulk("b"), bulk("2")))
    ]
    readsEach(hashes.hrandfield("h", { count: 2, withvalues: true }), pairs, [
      ["a", "1"],
      ["b", "2"]
    ])
    readsEach(hashes.hrandfield("h", { count: 2, withvalues: true }), [array()], [])
    readsEach(
      binary.hrandfield("h", { count: 1, withvalues: true }),
      [array(bulk("a"), bulk("1"))],
      [[bytes("a"), bytes("1")]]
    )
  })

  it("HSCAN", () => {
    const page = array(bulk("18446744073709551615"), array(bulk("a"), bulk("1"), bulk("a"), bulk("2")))
    reads(hashes.hscan("h", "0"), page, {
      cursor: "18446744073709551615",
      items: [
        ["a", "1"],
        ["a", "2"]
      ]
    })
    reads(hashes.hscan("h", "0", { novalues: true }), array(bulk("0"), array(bulk("a"), bulk("b"))), {
      cursor: "0",
      items: ["a", "b"]
    })
    reads(hashes.hscan("h", "0"), array(bulk("0"), array()), { cursor: "0", items: [] })
    reads(binary.hscan("h", "0"), array(bulk("7"), array(bulk("a"), bulk("1"))), {
      cursor: "7",
      items: [[bytes("a"), bytes("1")]]
    })
    readsError(hashes.hscan("h", "0"), array(bulk("0")), { _tag: "DecodeError" })
  })

  it("commands that answer a boolean", () => {
    for (const command of [
      hashes.hexists("h", "a"),
      hashes.hsetnx("h", "a", "1"),
      hashes.hsetex("h", { a: "1" }),
      hashes.himportDiscard("u")
    ]) {
      reads(command, ":1\r\n", true)
      reads(command, ":0\r\n", false)
      readsError(command, nil, { _tag: "DecodeError" })
    }
  })

  it("commands that answer a number", () => {
    for (const command of [
      hashes.hdel("h", "a"),
      hashes.hincrby("h", "a", 1),
      hashes.hlen("h"),
      hashes.hset("h", "a", "1"),
      hashes.hstrlen("h", "a"),
      hashes.himportDiscardall()
    ]) {
      reads(command, ":3\r\n", 3)
      readsError(command, nil, { _tag: "DecodeError" })
    }
    readsError(hashes.hincrby("h", "a", 1), ":9223372036854775807\r\n", { _tag: "DecodeError" })
    readsEach(hashes.hincrbyfloat("h", "a", 1), [bulk("10.5"), ",10.5\r\n"], 10.5)
    reads(binary.hincrbyfloat("h", "a", 1), bulk("10.5"), 10.5)
    for (const command of [
      hashes.hmset("h", { a: "1" }),
      hashes.himportPrepare("u", "a"),
      hashes.himportSet("h", "u", ["1"])
    ]) {
      reads(command, "+OK\r\n", undefined)
      readsError(command, nil, { _tag: "DecodeError" })
    }
  })

  it("HEXPIRE and related commands: the outcome for each field", () => {
    for (const command of [
      hashes.hexpire("h", "1 second", "a"),
      hashes.hexpireat("h", whole, "a"),
      hashes.hpexpire("h", "1 second", "a"),
      hashes.hpexpireat("h", whole, "a")
    ]) {
      reads(command, array(int(-2), int(0), int(1), int(2)), ["missing", "unchanged", "set", "deleted"])
      readsError(command, array(int(1), int(3)), { _tag: "DecodeError", path: [1] })
      readsError(command, array(int(-1)), { _tag: "DecodeError", path: [0] })
    }
    reads(hashes.hpersist("h", "a"), array(int(-2), int(-1), int(1)), ["missing", "unchanged", "persisted"])
    readsError(hashes.hpersist("h", "a"), array(int(0)), { _tag: "DecodeError" })
  })

  it("HTTL, HPTTL, HEXPIRETIME and HPEXPIRETIME", () => {
    const forEver = Option.some(Duration.infinity)
    reads(hashes.httl("h", "a"), array(int(-2), int(-1), int(10)), [
      Option.none(),
      forEver,
      Option.some(Duration.seconds(10))
    ])
    reads(hashes.hpttl("h", "a"), array(int(-2), int(-1), int(10)), [
      Option.none(),
      forEver,
      Option.some(Duration.millis(10))
    ])
    const at = (millis: number) => Option.some(Option.some(DateTime.unsafeMake(millis)))
    reads(hashes.hexpiretime("h", "a"), array(int(-2), int(-1), int(1893456000)), [
      Option.none(),
      Option.some(Option.none()),
      at(1893456000000)
    ])
    reads(hashes.hpexpiretime("h", "a"), array(int(-2), int(-1), int(1893456000005)), [
      Option.none(),
      Option.some(Option.none()),
      at(1893456000005)
    ])
  })

  it("an error does not show the field", () => {
    readsError(hashes.hget("h", "hunter2"), "-ERR what is hunter2\r\n", {
      _tag: "ReplyError",
      message: expect.not.stringContaining("hunter2")
    })
  })
})

liveSuite("hash", ({ effect, isSince, needs, needsVersion, protocol }) => {
  effect("HSET, HGET, HGETALL and related commands", () =>
    Effect.gen(function* () {
      expect(yield* hashes.hset("h", "a", "1")).toBe(1)
      expect(yield* hashes.hset("h", { a: "2", b: "värde ✓" })).toBe(1)
      expect(yield* hashes.hset("h", [["__proto__", "3"]])).toBe(1)
      yield* hashes.hmset("h", { c: "4" })
      expect(yield* hashes.hget("h", "b")).toEqual(Option.some("värde ✓"))
      expect(yield* hashes.hget("h", "z")).toEqual(Option.none())
      expect(yield* hashes.hget("none", "z")).toEqual(Option.none())
      const all = yield* hashes.hgetall("h")
      expect(Object.entries(all).sort()).toEqual([
        ["__proto__", "3"],
        ["a", "2"],
        ["b", "värde ✓"],
        ["c", "4"]
      ])
      expect(Object.getPrototypeOf(all)).toBe(null)
      expect(yield* hashes.hset("copy", all)).toBe(4)
      expect(yield* hashes.hgetall("copy")).toEqual(all)
      expect(yield* hashes.hgetall("none")).toEqual({})
      expect(yield* hashes.hmget("h", ["a", "z"])).toEqual([Option.some("2"), Option.none()])
      expect(yield* hashes.hmget("none", "a")).toEqual([Option.none()])
      expect((yield* hashes.hkeys("h")).sort()).toEqual(["__proto__", "a", "b", "c"])
      expect((yield* hashes.hvals("h")).sort()).toEqual(["2", "3", "4", "värde ✓"])
      expect(yield* hashes.hkeys("none")).toEqual([])
      expect(yield* hashes.hlen("h")).toBe(4)
      expect(yield* hashes.hlen("none")).toBe(0)
      expect(yield* hashes.hstrlen("h", "b")).toBe(10)
      expect(yield* hashes.hexists("h", "a")).toBe(true)
      expect(yield* hashes.hexists("h", "z")).toBe(false)
      expect(yield* hashes.hsetnx("h", "a", "9")).toBe(false)
      expect(yield* hashes.hsetnx("h", "d", "9")).toBe(true)
      expect(yield* hashes.hdel("h", ["a", "b", "z"])).toBe(2)
    })
  )

  effect("values of a schema, and bytes", () =>
    Effect.gen(function* () {
      yield* users.hset("u", { ada })
      expect(yield* users.hget("u", "ada")).toEqual(Option.some(ada))
      expect(yield* users.hgetall("u")).toEqual({ ada })
      expect(yield* Effect.flip(users.hset("u", "x", { name: 1 } as never))).toMatchObject({ _tag: "UsageError" })
      yield* hashes.hset("u", "broken", "{")
      expect(yield* Effect.flip(users.hgetall("u"))).toMatchObject({
        _tag: "DecodeError",
        command: "HGETALL",
        path: [expect.any(Number)]
      })
      yield* binary.hset("b", "image", notUtf8)
      expect(yield* binary.hgetall("b")).toEqual({ image: notUtf8 })
      expect(yield* Effect.flip(hashes.hgetall("b"))).toMatchObject({ _tag: "DecodeError", path: [expect.any(Number)] })
      // A name that is not UTF-8 cannot be in a record; lists of names and pairs can have it.
      yield* binary.hset("b", [[notUtf8, bytes("1")]])
      expect(yield* Effect.flip(binary.hgetall("b"))).toMatchObject({ _tag: "DecodeError" })
      const names = yield* binary.hkeys("b")
      expect(names).toContainEqual(notUtf8)
      expect(yield* binary.hmget("b", notUtf8)).toEqual([Option.some(bytes("1"))])
      expect((yield* binary.hscan("b", "0")).items).toContainEqual([notUtf8, bytes("1")])
    })
  )

  effect("HINCRBY and HINCRBYFLOAT", () =>
    Effect.gen(function* () {
      expect(yield* hashes.hincrby("h", "n", 5)).toBe(5)
      expect(yield* hashes.hincrby("h", "n", -7n)).toBe(-2)
      expect(yield* hashes.hincrbyfloat("h", "n", 0.5)).toBe(-1.5)
      expect(yield* hashes.hincrbyfloat("h", "big", 1e300)).toBeCloseTo(1e300, -290)
      expect(yield* hashes.hset("h", "text", "x")).toBe(1)
      expect(yield* Effect.flip(hashes.hincrby("h", "text", 1))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
      yield* hashes.hset("h", "max", "9223372036854775806")
      expect(yield* Effect.flip(hashes.hincrby("h", "max", 1))).toMatchObject({ _tag: "DecodeError" })
      expect(yield* hashes.hget("h", "max")).toEqual(Option.some("9223372036854775807"))
    })
  )

  effect("HRANDFIELD", () =>
    Effect.gen(function* () {
      expect(yield* hashes.hrandfield("none")).toEqual(Option.none())
      expect(yield* hashes.hrandfield("none", { count: 2 })).toEqual([])
      expect(yield* hashes.hrandfield("none", { count: 2, withvalues: true })).toEqual([])
      yield* hashes.hset("h", { a: "1", b: "2" })
      expect(["a", "b"]).toContain(Option.getOrThrow(yield* hashes.hrandfield("h")))
      expect((yield* hashes.hrandfield("h", { count: 5 })).sort()).toEqual(["a", "b"])
      expect(yield* hashes.hrandfield("h", { count: -5 })).toHaveLength(5)
      expect((yield* hashes.hrandfield("h", { count: 5, withvalues: true })).sort()).toEqual([
        ["a", "1"],
        ["b", "2"]
      ])
      expect(yield* hashes.hrandfield("h", { count: -5, withvalues: true })).toHaveLength(5)
      expect(Option.getOrThrow(yield* binary.hrandfield("h"))).toBeInstanceOf(Uint8Array)
    })
  )

  effect("HSCAN page by page", () =>
    Effect.gen(function* () {
      const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`field:${i}`, String(i)]))
      yield* hashes.hset("h", fields)
      const found: Record<string, string> = {}
      let cursor = "0"
      do {
        const page = yield* hashes.hscan("h", cursor, { match: "field:*", count: 50 })
        Object.assign(found, Object.fromEntries(page.items))
        cursor = page.cursor
      } while (cursor !== "0")
      expect(found).toEqual(fields)
      expect((yield* hashes.hscan("h", "0", { match: "field:7", count: 10_000 })).items).toEqual([["field:7", "7"]])
      expect(yield* hashes.hscan("none", "0")).toEqual({ cursor: "0", items: [] })
    })
  )

  effect("HSCAN NOVALUES", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "7.4", valkey: "8.0" })
      yield* hashes.hset("h", { a: "1", b: "2" })
      const { items } = yield* hashes.hscan("h", "0", { novalues: true })
      expect([...items].sort()).toEqual(["a", "b"])
      expect((yield* binary.hscan("h", "0", { novalues: true })).items).toContainEqual(bytes("a"))
    })
  )

  effect("HEXPIRE, HTTL, HPERSIST and related commands", () =>
    Effect.gen(function* () {
      yield* needs("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT", "HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME")
      const later = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000)
      const laterStill = new Date(later.getTime() + 60_005)
      yield* hashes.hset("h", { a: "1", b: "2", c: "3", d: "4" })
      expect(yield* hashes.hexpire("none", "10 seconds", "a")).toEqual(["missing"])
      expect(yield* hashes.hexpire("h", "10 seconds", ["a", "z"])).toEqual(["set", "missing"])
      expect(yield* hashes.hexpire("h", "20 seconds", ["a", "b"], { nx: true })).toEqual(["unchanged", "set"])
      expect(yield* hashes.hexpire("h", "20 seconds", ["a", "c"], { xx: true })).toEqual(["set", "unchanged"])
      expect(yield* hashes.hpexpire("h", "1500 millis", "a", { gt: true })).toEqual(["unchanged"])
      expect(yield* hashes.hpexpire("h", "15000 millis", "a", { lt: true })).toEqual(["set"])
      expect(yield* hashes.hexpire("h", "0 seconds", "d")).toEqual(["deleted"])
      expect(yield* hashes.hexpireat("h", later, "b")).toEqual(["set"])
      expect(yield* hashes.hexpireat("h", new Date(1000), "c")).toEqual(["deleted"])
      expect(yield* hashes.hexpiretime("h", ["b", "z"])).toEqual([
        Option.some(Option.some(DateTime.unsafeMake(later))),
        Option.none()
      ])
      expect(yield* hashes.hpexpireat("h", laterStill, "b")).toEqual(["set"])
      expect(yield* hashes.hpexpiretime("h", "b")).toEqual([Option.some(Option.some(DateTime.unsafeMake(laterStill)))])
      const left = (found: ReadonlyArray<Option.Option<Duration.Duration>>) =>
        found.map(Option.match({ onNone: () => -2, onSome: Duration.toMillis }))
      const [seconds, missing] = left(yield* hashes.httl("h", ["a", "z"]))
      expect(seconds).toBeGreaterThan(0)
      expect(seconds).toBeLessThanOrEqual(15_000)
      expect(missing).toBe(-2)
      const [millis] = left(yield* hashes.hpttl("h", "a"))
      expect(millis).toBeGreaterThan(0)
      expect(millis).toBeLessThanOrEqual(15_000)
      expect(yield* hashes.hpersist("h", ["a", "z"])).toEqual(["persisted", "missing"])
      expect(yield* hashes.hpersist("h", "a")).toEqual(["unchanged"])
      expect(yield* hashes.httl("h", "a")).toEqual([Option.some(Duration.infinity)])
      expect(yield* hashes.hexpiretime("h", "a")).toEqual([Option.some(Option.none())])
    })
  )

  effect("HGETEX", () =>
    Effect.gen(function* () {
      yield* needs("HGETEX")
      const later = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000)
      yield* hashes.hset("h", { a: "1" })
      for (const options of [
        undefined,
        { ex: "10 seconds" },
        { px: "60500 millis" },
        { exat: later },
        { pxat: later },
        { persist: true }
      ] as const) {
        expect(yield* hashes.hgetex("h", ["a", "z"], options)).toEqual([Option.some("1"), Option.none()])
      }
      expect(yield* hashes.httl("h", "a")).toEqual([Option.some(Duration.infinity)])
      expect(yield* hashes.hgetex("none", "a")).toEqual([Option.none()])
    })
  )

  effect("HSETEX", () =>
    Effect.gen(function* () {
      yield* needs("HSETEX")
      const later = new Date(Math.ceil(Date.now() / 1000) * 1000 + 60_000)
      expect(yield* hashes.hsetex("h", { a: "1" }, { fxx: true })).toBe(false)
      expect(yield* hashes.hsetex("h", { a: "1", b: "2" }, { fnx: true, exat: later })).toBe(true)
      expect(yield* hashes.hsetex("h", { b: "2", c: "3" }, { fnx: true, ex: "10 seconds" })).toBe(false)
      expect(yield* hashes.hexists("h", "c")).toBe(false)
      expect(yield* hashes.hsetex("h", { a: "2" }, { fxx: true, keepttl: true })).toBe(true)
      expect(yield* hashes.hexpiretime("h", "a")).toEqual([Option.some(Option.some(DateTime.unsafeMake(later)))])
      expect(yield* hashes.hsetex("h", [["a", "3"]], { px: "60500 millis" })).toBe(true)
      expect(yield* hashes.hsetex("h", { a: "4" }, { pxat: later })).toBe(true)
      expect(yield* hashes.hsetex("h", { a: "5" })).toBe(true)
      expect(yield* hashes.httl("h", "a")).toEqual([Option.some(Duration.infinity)])
    })
  )

  effect("HSETEX with a condition on the hash", () =>
    Effect.gen(function* () {
      yield* needsVersion({ valkey: "9.1" })
      expect(yield* hashes.hsetex("h", { a: "1" }, { xx: true })).toBe(false)
      expect(yield* hashes.hsetex("h", { a: "1" }, { nx: true, ex: "10 seconds" })).toBe(true)
      expect(yield* hashes.hsetex("h", { b: "1" }, { nx: true })).toBe(false)
      expect(yield* hashes.hsetex("h", { b: "1" }, { xx: true, fnx: true })).toBe(true)
    })
  )

  effect("HGETDEL", () =>
    Effect.gen(function* () {
      yield* needs("HGETDEL")
      yield* hashes.hset("h", { a: "1", b: "2" })
      expect(yield* hashes.hgetdel("h", ["a", "z"])).toEqual([Option.some("1"), Option.none()])
      expect(yield* hashes.hgetdel("h", "a")).toEqual([Option.none()])
      expect(yield* hashes.hgetdel("none", "a")).toEqual([Option.none()])
      expect(yield* hashes.hgetall("h")).toEqual({ b: "2" })
    })
  )

  effect("HIMPORT", () =>
    Effect.gen(function* () {
      yield* needs("HIMPORT")
      yield* hashes.himportPrepare("u", ["name", "email"])
      yield* hashes.himportSet("h", "u", ["Ada", "ada@example.org"])
      expect(yield* hashes.hgetall("h")).toEqual({ name: "Ada", email: "ada@example.org" })
      expect(yield* hashes.himportDiscard("u")).toBe(true)
      expect(yield* hashes.himportDiscardall()).toBe(0)
    })
  )

  effect("every command fails with WRONGTYPE on a key of another type", () =>
    Effect.gen(function* () {
      const expiry = isSince({ redis: "7.4", valkey: "9.0" })
      const withValues = isSince({ redis: "8.0", valkey: "9.1" })

      yield* lists.rpush("l", ["1"])
      for (const command of [
        hashes.hdel("l", "a"),
        hashes.hexists("l", "a"),
        hashes.hget("l", "a"),
        hashes.hgetall("l"),
        hashes.hincrby("l", "a", 1),
        hashes.hincrbyfloat("l", "a", 1),
        hashes.hkeys("l"),
        hashes.hlen("l"),
        hashes.hmget("l", "a"),
        hashes.hmset("l", { a: "1" }),
        hashes.hrandfield("l"),
        hashes.hscan("l", "0"),
        hashes.hset("l", { a: "1" }),
        hashes.hsetnx("l", "a", "1"),
        hashes.hstrlen("l", "a"),
        hashes.hvals("l"),
        ...(expiry
          ? [
              hashes.hexpire("l", "1 second", "a"),
              hashes.hexpireat("l", whole, "a"),
              hashes.hexpiretime("l", "a"),
              hashes.hpersist("l", "a"),
              hashes.hpexpire("l", "1 second", "a"),
              hashes.hpexpireat("l", whole, "a"),
              hashes.hpexpiretime("l", "a"),
              hashes.hpttl("l", "a"),
              hashes.httl("l", "a")
            ]
          : []),
        ...(withValues ? [hashes.hgetdel("l", "a"), hashes.hgetex("l", "a"), hashes.hsetex("l", { a: "1" })] : [])
      ] as ReadonlyArray<RedisCommand.RedisCommand<unknown>>) {
        expect(yield* Effect.flip(command), `${command.name}, RESP${protocol}`).toMatchObject({
          _tag: "ReplyError",
          code: "WRONGTYPE",
          command: command.name
        })
      }
    })
  )
})
