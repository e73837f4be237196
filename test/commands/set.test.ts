import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/set.js"
import { make as makeStrings } from "../../src/commands/string.js"
import type * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const sets = make(Codec.utf8)
const binary = make(Codec.bytes)
const anything = make(Codec.json)
const strings = makeStrings(Codec.utf8)
const User = Schema.Struct({ name: Schema.String, age: Schema.Number })
const users = make(Codec.schema(User))
const ada = { name: "Ada", age: 36 }
const adaJson = `{"name":"Ada","age":36}`
const notUtf8 = Uint8Array.of(0xff, 0x00, 0x0d, 0x0a)
const bytes = (text: string) => new TextEncoder().encode(text)
const { array, bulk, int, nil, nil2, set } = wire

const combining = { SDIFF: sets.sdiff, SINTER: sets.sinter, SUNION: sets.sunion }
const storing = { SDIFFSTORE: sets.sdiffstore, SINTERSTORE: sets.sinterstore, SUNIONSTORE: sets.sunionstore }
const counting = { SDIFFCARD: sets.sdiffcard, SINTERCARD: sets.sintercard, SUNIONCARD: sets.sunioncard }

describe("set commands encode their arguments", () => {
  it("commands without options", () => {
    sends(sets.sadd("s", ["a"]), ["SADD", "s", "a"])
    sends(sets.sadd("s", ["a", "b"]), ["SADD", "s", "a", "b"])
    sends(binary.sadd("s", [notUtf8]), ["SADD", "s", notUtf8])
    sends(users.sadd("s", [ada]), ["SADD", "s", adaJson])
    // An array as a member is one member.
    sends(anything.sadd("s", [["a", "b"]]), ["SADD", "s", `["a","b"]`])
    sends(anything.sismember("s", ["a", "b"]), ["SISMEMBER", "s", `["a","b"]`])
    sends(sets.scard("s"), ["SCARD", "s"])
    sends(sets.sismember("s", "a"), ["SISMEMBER", "s", "a"])
    sends(sets.smembers("s"), ["SMEMBERS", "s"])
    sends(sets.smismember("s", ["a", "b"]), ["SMISMEMBER", "s", "a", "b"])
    sends(sets.smove("s", "t", "a"), ["SMOVE", "s", "t", "a"])
    sends(sets.srem("s", ["a", "b"]), ["SREM", "s", "a", "b"])
    tagged(sets.smove("s", "t", "a"), ["key", "key", "value"])
  })

  it("commands that combine sets", () => {
    for (const [name, command] of Object.entries(combining)) {
      sends(command("s"), [name, "s"])
      sends(command(["s", notUtf8]), [name, "s", notUtf8])
    }
    for (const [name, command] of Object.entries(storing)) {
      sends(command("d", "s"), [name, "d", "s"])
      sends(command("d", ["s", "t"]), [name, "d", "s", "t"])
      tagged(command("d", ["s", "t"]), ["key", "key", "key"])
    }
    for (const [name, command] of Object.entries(counting)) {
      sends(command("s"), [name, "1", "s"])
      sends(command(["s", "t"], { limit: 3 }), [name, "2", "s", "t", "LIMIT", "3"])
      tagged(command("s", { limit: 3 }), ["value", "key", "token", "value"])
    }
    sends(sets.sunioncard(["s", "t"], { approx: true, limit: 3 }), [
      "SUNIONCARD",
      "2",
      "s",
      "t",
      "APPROX",
      "LIMIT",
      "3"
    ])
    sends(sets.sunioncard("s", { approx: false }), ["SUNIONCARD", "1", "s"])
  })

  it("SPOP and SRANDMEMBER", () => {
    for (const [name, command] of Object.entries({ SPOP: sets.spop, SRANDMEMBER: sets.srandmember })) {
      sends(command("s"), [name, "s"])
      sends(command("s", { count: 3 }), [name, "s", "3"])
    }
    sends(sets.srandmember("s", { count: -3 }), ["SRANDMEMBER", "s", "-3"])
  })

  it("SSCAN", () => {
    sends(sets.sscan("s", "0"), ["SSCAN", "s", "0"])
    sends(sets.sscan("s", "18446744073709551615", { match: "a*", count: 100 }), [
      "SSCAN",
      "s",
      "18446744073709551615",
      "MATCH",
      "a*",
      "COUNT",
      "100"
    ])
    // The pattern matches members, not keys, so no prefix is put before it.
    tagged(sets.sscan("s", "0", { match: "a*" }), ["key", "value", "token", "value"])
  })

  it("commands are equal when they send the same and decode alike", () => {
    expect(Equal.equals(sets.spop("s"), sets.spop("s"))).toBe(true)
    expect(Equal.equals(sets.sunion(["s", "t"]), sets.sunion(["s", "t"]))).toBe(true)
    expect(Equal.equals<RedisCommand.RedisCommand<unknown>, unknown>(sets.spop("s"), binary.spop("s"))).toBe(false)
  })

  it("empty lists, fractions and values that do not encode are refused", () => {
    for (const command of Object.values(combining)) {
      refuses(command([] as never), /at least one key/)
    }
    for (const command of Object.values(storing)) {
      refuses(command("d", [] as never), /at least one key/)
    }
    for (const command of Object.values(counting)) {
      refuses(command([] as never), /at least one key/)
      refuses(command("s", { limit: 0.5 }), /integer/)
    }
    for (const command of [sets.sadd, sets.srem, sets.smismember]) {
      refuses(command("s", [] as never), /at least one member/)
    }
    refuses(sets.spop("s", { count: Number.NaN }), /integer/)
    refuses(users.sadd("s", [{ name: "Ada", age: "old" } as never]), /does not encode at age/)
  })
})

describe("set commands decode their replies", () => {
  it("members, from an array or a set", () => {
    for (const command of [
      sets.smembers("s"),
      sets.sdiff("s"),
      sets.sinter("s"),
      sets.sunion("s"),
      sets.spop("s", { count: 2 }),
      sets.srandmember("s", { count: 2 })
    ]) {
      readsEach(command, [array(bulk("a"), bulk("b")), set(bulk("a"), bulk("b"))], ["a", "b"])
      readsEach(command, [array(), set()], [])
      readsError(command, nil, { _tag: "DecodeError" })
      readsError(command, "-WRONGTYPE no\r\n", { _tag: "ReplyError", code: "WRONGTYPE" })
    }
    reads(users.smembers("s"), set(bulk(adaJson)), [ada])
    reads(binary.smembers("s"), set(bulk("a")), [bytes("a")])
    readsError(users.smembers("s"), set(bulk(adaJson), bulk("no")), { _tag: "DecodeError", path: [1] })
  })

  it("SPOP and SRANDMEMBER without a count", () => {
    for (const command of [sets.spop("s"), sets.srandmember("s")]) {
      reads(command, bulk("a"), Option.some("a"))
      readsEach(command, [nil2, nil], Option.none())
    }
    reads(users.spop("s"), bulk(adaJson), Option.some(ada))
  })

  it("commands that answer a boolean", () => {
    for (const command of [sets.sismember("s", "a"), sets.smove("s", "t", "a")]) {
      readsEach(command, [int(1), "#t\r\n"], true)
      readsEach(command, [int(0), "#f\r\n"], false)
      readsError(command, nil, { _tag: "DecodeError" })
    }
    reads(sets.smismember("s", ["a", "b"]), array(int(1), int(0)), [true, false])
    readsError(sets.smismember("s", ["a"]), array(int(2)), { _tag: "DecodeError", path: [0] })
  })

  it("commands that answer a count", () => {
    for (const command of [
      sets.sadd("s", ["a"]),
      sets.scard("s"),
      sets.sdiffcard("s"),
      sets.sdiffstore("d", "s"),
      sets.sintercard("s"),
      sets.sinterstore("d", "s"),
      sets.srem("s", ["a"]),
      sets.sunioncard("s"),
      sets.sunionstore("d", "s")
    ]) {
      reads(command, int(3), 3)
      readsError(command, nil, { _tag: "DecodeError" })
    }
  })

  it("SSCAN", () => {
    reads(sets.sscan("s", "0"), array(bulk("18446744073709551615"), array(bulk("a"), bulk("a"))), {
      cursor: "18446744073709551615",
      items: ["a", "a"]
    })
    reads(binary.sscan("s", "0"), array(bulk("0"), array()), { cursor: "0", items: [] })
    reads(users.sscan("s", "0"), array(bulk("7"), array(bulk(adaJson))), { cursor: "7", items: [ada] })
  })
})

liveSuite("set", ({ effect, needs, protocol }) => {
  effect("SADD, SREM and other commands on members", () =>
    Effect.gen(function* () {
      expect(yield* sets.sadd("s", ["a", "b", "a"])).toBe(2)
      expect(yield* sets.scard("s")).toBe(2)
      expect(yield* sets.scard("none")).toBe(0)
      expect((yield* sets.smembers("s")).sort()).toEqual(["a", "b"])
      expect(yield* sets.smembers("none")).toEqual([])
      expect(yield* sets.sismember("s", "a")).toBe(true)
      expect(yield* sets.sismember("s", "z")).toBe(false)
      expect(yield* sets.smismember("s", ["a", "z"])).toEqual([true, false])
      expect(yield* sets.smismember("none", ["a"])).toEqual([false])
      expect(yield* sets.smove("s", "t", "a")).toBe(true)
      expect(yield* sets.smove("s", "t", "z")).toBe(false)
      expect(yield* sets.srem("t", ["a", "z"])).toBe(1)
    })
  )

  effect("members of a schema, and bytes", () =>
    Effect.gen(function* () {
      yield* users.sadd("u", [ada])
      expect(yield* users.smembers("u")).toEqual([ada])
      expect(yield* users.sismember("u", ada)).toBe(true)
      yield* binary.sadd("b", [notUtf8])
      expect(yield* binary.smembers("b")).toEqual([notUtf8])
      expect(yield* binary.sscan("b", "0")).toEqual({ cursor: "0", items: [notUtf8] })
      expect(yield* Effect.flip(sets.smembers("b"))).toMatchObject({ _tag: "DecodeError", path: [0] })
    })
  )

  effect("commands that combine sets", () =>
    Effect.gen(function* () {
      yield* sets.sadd("s", ["a", "b", "c"])
      yield* sets.sadd("t", ["c", "d"])
      expect((yield* sets.sdiff(["s", "t"])).sort()).toEqual(["a", "b"])
      expect(yield* sets.sinter(["s", "t"])).toEqual(["c"])
      expect((yield* sets.sunion(["s", "t", "none"])).sort()).toEqual(["a", "b", "c", "d"])
      expect(yield* sets.sinter(["s", "none"])).toEqual([])
      expect(yield* sets.sdiffstore("d", ["s", "t"])).toBe(2)
      expect(yield* sets.sinterstore("d", ["s", "t"])).toBe(1)
      expect(yield* sets.smembers("d")).toEqual(["c"])
      expect(yield* sets.sunionstore("d", ["s", "t"])).toBe(4)
      expect(yield* sets.sintercard(["s", "s"])).toBe(3)
      expect(yield* sets.sintercard(["s", "s"], { limit: 2 })).toBe(2)
      expect(yield* sets.sintercard("none")).toBe(0)
    })
  )

  effect("SDIFFCARD and SUNIONCARD", () =>
    Effect.gen(function* () {
      yield* needs("SDIFFCARD", "SUNIONCARD")
      yield* sets.sadd("s", ["a", "b", "c"])
      yield* sets.sadd("t", ["c", "d"])
      expect(yield* sets.sdiffcard(["s", "t"])).toBe(2)
      expect(yield* sets.sunioncard(["s", "t"], { approx: true, limit: 3 })).toBe(3)
    })
  )

  effect("SPOP and SRANDMEMBER", () =>
    Effect.gen(function* () {
      expect(yield* sets.spop("none")).toEqual(Option.none())
      expect(yield* sets.spop("none", { count: 2 })).toEqual([])
      expect(yield* sets.srandmember("none")).toEqual(Option.none())
      expect(yield* sets.srandmember("none", { count: -2 })).toEqual([])
      yield* sets.sadd("s", ["a", "b", "c"])
      expect(["a", "b", "c"]).toContain(Option.getOrThrow(yield* sets.srandmember("s")))
      expect((yield* sets.srandmember("s", { count: 5 })).sort()).toEqual(["a", "b", "c"])
      expect(yield* sets.srandmember("s", { count: -5 })).toHaveLength(5)
      const one = Option.getOrThrow(yield* sets.spop("s"))
      const rest = yield* sets.spop("s", { count: 5 })
      expect([one, ...rest].sort()).toEqual(["a", "b", "c"])
      expect(yield* sets.scard("s")).toBe(0)
      expect(yield* Effect.flip(sets.spop("s", { count: -1 }))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )

  effect("SSCAN page by page", () =>
    Effect.gen(function* () {
      const members = Array.from({ length: 1000 }, (_, i) => `member:${i}`)
      yield* sets.sadd("s", ["other", ...members])
      const found = new Set<string>()
      let cursor = "0"
      let pages = 0
      do {
        const page = yield* sets.sscan("s", cursor, { match: "member:*", count: 50 })
        for (const member of page.items) {
          found.add(member)
        }
        cursor = page.cursor
        pages++
      } while (cursor !== "0")
      expect([...found].sort()).toEqual(members.sort())
      expect(pages).toBeGreaterThan(1)
      expect(yield* sets.sscan("none", "0")).toEqual({ cursor: "0", items: [] })
    })
  )

  effect("every command fails with WRONGTYPE on a key of another type", () =>
    Effect.gen(function* () {
      yield* strings.set("k", "v")
      yield* sets.sadd("s", ["a"])
      for (const command of [
        sets.sadd("k", ["a"]),
        sets.scard("k"),
        sets.sdiff("k"),
        sets.sdiffstore("d", "k"),
        sets.sinter("k"),
        sets.sintercard("k"),
        sets.sinterstore("d", "k"),
        sets.sismember("k", "a"),
        sets.smembers("k"),
        sets.smismember("k", ["a"]),
        sets.smove("s", "k", "a"),
        sets.spop("k"),
        sets.srandmember("k"),
        sets.srem("k", ["a"]),
        sets.sscan("k", "0"),
        sets.sunion("k"),
        sets.sunionstore("d", "k")
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
