import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/list.js"
import { make as makeStrings } from "../../src/commands/string.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const lists = make(Codec.utf8)
const binary = make(Codec.bytes)
const anything = make(Codec.json)
const strings = makeStrings(Codec.utf8)
const User = Schema.Struct({ name: Schema.String, age: Schema.Number })
const users = make(Codec.schema(User))
const ada = { name: "Ada", age: 36 }
const adaJson = `{"name":"Ada","age":36}`
const notUtf8 = Uint8Array.of(0xff, 0x00, 0x0d, 0x0a)
const bytes = (text: string) => new TextEncoder().encode(text)
const { array, bulk, int, nil, nil2, nilArray } = wire

const pushing = { LPUSH: lists.lpush, LPUSHX: lists.lpushx, RPUSH: lists.rpush, RPUSHX: lists.rpushx }

describe("list commands encode their arguments", () => {
  it("commands without options", () => {
    sends(lists.lindex("l", -1), ["LINDEX", "l", "-1"])
    sends(lists.linsert("l", "before", "p", "e"), ["LINSERT", "l", "BEFORE", "p", "e"])
    sends(lists.linsert("l", "after", "p", "e"), ["LINSERT", "l", "AFTER", "p", "e"])
    sends(users.linsert("l", "after", ada, ada), ["LINSERT", "l", "AFTER", adaJson, adaJson])
    sends(lists.llen("l"), ["LLEN", "l"])
    sends(lists.lrange("l", 0, -1), ["LRANGE", "l", "0", "-1"])
    sends(lists.lrem("l", -2, "e"), ["LREM", "l", "-2", "e"])
    sends(lists.lset("l", 3, "e"), ["LSET", "l", "3", "e"])
    sends(lists.ltrim("l", 0, 99), ["LTRIM", "l", "0", "99"])
    sends(lists.rpoplpush("l", "m"), ["RPOPLPUSH", "l", "m"])
    tagged(lists.linsert("l", "before", "p", "e"), ["key", "token", "value", "value"])
  })

  it("commands that push", () => {
    for (const [name, command] of Object.entries(pushing)) {
      sends(command("l", ["a"]), [name, "l", "a"])
      sends(command("l", ["a", "b"]), [name, "l", "a", "b"])
    }
    sends(binary.rpush("l", [notUtf8]), ["RPUSH", "l", notUtf8])
    sends(users.rpush("l", [ada]), ["RPUSH", "l", adaJson])
    // An array as an element is one element.
    sends(anything.rpush("l", [["a", "b"]]), ["RPUSH", "l", `["a","b"]`])
  })

  it("commands that pop", () => {
    for (const [name, command] of Object.entries({ LPOP: lists.lpop, RPOP: lists.rpop })) {
      sends(command("l"), [name, "l"])
      sends(command("l", { count: 3 }), [name, "l", "3"])
      sends(command("l", { count: 0 }), [name, "l", "0"])
    }
    sends(lists.lmpop("l", "left"), ["LMPOP", "1", "l", "LEFT"])
    sends(lists.lmpop(["l", "m"], "right", { count: 3 }), ["LMPOP", "2", "l", "m", "RIGHT", "COUNT", "3"])
    tagged(lists.lmpop(["l", "m"], "right", { count: 3 }), ["value", "key", "key", "token", "token", "value"])
  })

  it("commands that move elements", () => {
    for (const from of ["left", "right"] as const) {
      for (const to of ["left", "right"] as const) {
        sends(lists.lmove("l", "m", from, to), ["LMOVE", "l", "m", from.toUpperCase(), to.toUpperCase()])
      }
    }
    tagged(lists.lmove("l", "m", "left", "right"), ["key", "key", "token", "token"])
    const sent = (...amount: ReadonlyArray<string>) => ["LMOVEM", "l", "m", "LEFT", "RIGHT", ...amount]
    sends(lists.lmovem("l", "m", "left", "right"), sent())
    sends(lists.lmovem("l", "m", "left", "right", { count: 3, obo: true }), sent("COUNT", "3", "OBO"))
    sends(lists.lmovem("l", "m", "left", "right", { exactly: 3, bulk: true }), sent("EXACTLY", "3", "BULK"))
  })

  it("LPOS", () => {
    sends(lists.lpos("l", "e"), ["LPOS", "l", "e"])
    sends(lists.lpos("l", "e", { rank: -1, maxlen: 100 }), ["LPOS", "l", "e", "RANK", "-1", "MAXLEN", "100"])
    sends(lists.lpos("l", "e", { count: 0, rank: 2 }), ["LPOS", "l", "e", "RANK", "2", "COUNT", "0"])
    sends(users.lpos("l", ada), ["LPOS", "l", adaJson])
  })

  it("commands that block", () => {
    const timeout = "1500 millis"
    sends(lists.blpop("l", { timeout }), ["BLPOP", "l", "1.5"])
    sends(lists.blpop(["l", "m"], { timeout: "5 seconds" }), ["BLPOP", "l", "m", "5"])
    sends(lists.blpop("l", { timeout: Duration.infinity }), ["BLPOP", "l", "0"])
    sends(lists.brpop(["l", "m"], { timeout }), ["BRPOP", "l", "m", "1.5"])
    sends(lists.brpoplpush("l", "m", { timeout }), ["BRPOPLPUSH", "l", "m", "1.5"])
    sends(lists.blmove("l", "m", "left", "right", { timeout }), ["BLMOVE", "l", "m", "LEFT", "RIGHT", "1.5"])
    sends(lists.blmpop("l", "left", { timeout }), ["BLMPOP", "1.5", "1", "l", "LEFT"])
    sends(lists.blmpop(["l", "m"], "right", { timeout, count: 3 }), [
      "BLMPOP",
      "1.5",
      "2",
      "l",
      "m",
      "RIGHT",
      "COUNT",
      "3"
    ])
    const blmovem = (...amount: ReadonlyArray<string>) => ["BLMOVEM", "l", "m", "LEFT", "RIGHT", "1.5", ...amount]
    sends(lists.blmovem("l", "m", "left", "right", { timeout }), blmovem())
    sends(lists.blmovem("l", "m", "left", "right", { timeout, count: 3, bulk: true }), blmovem("COUNT", "3", "BULK"))
    sends(lists.blmovem("l", "m", "left", "right", { timeout, exactly: 3, obo: true }), blmovem("EXACTLY", "3", "OBO"))
  })

  it("commands that block know the position of their timeout", () => {
    const timeout = "7 seconds"
    for (const command of [
      lists.blpop(["l", "m"], { timeout }),
      lists.brpop("l", { timeout }),
      lists.brpoplpush("l", "m", { timeout }),
      lists.blmove("l", "m", "left", "right", { timeout }),
      lists.blmpop(["l", "m"], "left", { timeout, count: 3 }),
      lists.blmovem("l", "m", "left", "right", { timeout, count: 3, bulk: true })
    ] as ReadonlyArray<RedisCommand.RedisCommand<unknown>>) {
      const { blocking } = command.traits
      expect(blocking?.unit).toBe("seconds")
      expect(command.args.at(blocking?.index ?? 99)?.data, command.name).toBe("7")
    }
  })

  it("commands are equal when they send the same", () => {
    expect(Equal.equals(lists.lpop("l"), lists.lpop("l"))).toBe(true)
    expect(Equal.equals(lists.lmpop("l", "left"), lists.lmpop(["l"], "left"))).toBe(true)
    expect(Equal.equals(lists.lpop("l"), lists.rpop("l"))).toBe(false)
  })

  it("empty lists, timeouts of zero and wrong arguments are refused", () => {
    for (const command of Object.values(pushing)) {
      refuses(command("l", [] as never), /at least one element/)
    }
    refuses(lists.lmpop([] as never, "left"), /at least one key/)
    refuses(lists.blpop([] as never, { timeout: "1 second" }), /at least one key/)
    refuses(lists.blmpop([] as never, "left", { timeout: "1 second" }), /at least one key/)
    for (const timeout of ["0 seconds", "5 micros"] as const) {
      refuses(lists.blpop("l", { timeout }), /longer than zero/)
      refuses(lists.brpop("l", { timeout }), /longer than zero/)
      refuses(lists.brpoplpush("l", "m", { timeout }), /longer than zero/)
      refuses(lists.blmove("l", "m", "left", "left", { timeout }), /longer than zero/)
      refuses(lists.blmovem("l", "m", "left", "left", { timeout }), /longer than zero/)
      refuses(lists.blmpop("l", "left", { timeout }), /longer than zero/)
    }
    // An untyped program may omit the options: the command is refused, and nothing throws.
    const unsaid = undefined as never
    refuses(lists.blpop("l", unsaid), /longer than zero/)
    refuses(lists.brpop("l", unsaid), /longer than zero/)
    refuses(lists.brpoplpush("l", "m", unsaid), /longer than zero/)
    refuses(lists.blmove("l", "m", "left", "left", unsaid), /longer than zero/)
    refuses(lists.blmovem("l", "m", "left", "left", unsaid), /longer than zero/)
    refuses(lists.blmpop("l", "left", unsaid), /longer than zero/)
    refuses(lists.lmove("l", "m", "LEFT" as never, "left"), /left or right/)
    refuses(lists.linsert("l", "constructor" as never, "p", "e"), /before or after/)
    refuses(lists.lrange("l", 0, 1.5), /integer/)
    refuses(users.rpush("l", [{ name: "Ada", age: "old" } as never]), /does not encode at age/)
  })
})

describe("list commands decode their replies", () => {
  it("an element or nil", () => {
    for (const command of [
      lists.lindex("l", 0),
      lists.lpop("l"),
      lists.rpop("l"),
      lists.lmove("l", "m", "left", "left"),
      lists.rpoplpush("l", "m"),
      lists.blmove("l", "m", "left", "left", { timeout: "1 second" }),
      lists.brpoplpush("l", "m", { timeout: "1 second" })
    ]) {
      reads(command, bulk("a"), Option.some("a"))
      readsEach(command, [nil2, nilArray, nil], Option.none())
      readsError(command, "-WRONGTYPE no\r\n", { _tag: "ReplyError", code: "WRONGTYPE" })
    }
    reads(users.lpop("l"), bulk(adaJson), Option.some(ada))
    reads(binary.lpop("l"), bulk("a"), Option.some(bytes("a")))
    readsError(users.lpop("l"), bulk("no"), { _tag: "DecodeError", command: "LPOP" })
  })

  it("lists of elements", () => {
    reads(lists.lrange("l", 0, -1), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(lists.lrange("l", 0, -1), array(), [])
    reads(users.lrange("l", 0, -1), array(bulk(adaJson)), [ada])
    readsError(users.lrange("l", 0, -1), array(bulk(adaJson), bulk("no")), { _tag: "DecodeError", path: [1] })
    for (const command of [lists.lpop("l", { count: 2 }), lists.rpop("l", { count: 2 })]) {
      reads(command, array(bulk("a"), bulk("b")), Option.some(["a", "b"]))
      reads(command, array(), Option.some([]))
      readsEach(command, [nilArray, nil2, nil], Option.none())
    }
  })

  it("an element with its key", () => {
    for (const command of [lists.blpop("l", { timeout: "1 second" }), lists.brpop("l", { timeout: "1 second" })]) {
      reads(command, array(bulk("l"), bulk("a")), Option.some(["l", "a"] as const))
      readsEach(command, [nilArray, nil], Option.none())
      readsError(command, array(bulk("l")), { _tag: "DecodeError" })
    }
    reads(
      binary.blpop("l", { timeout: "1 second" }),
      array(bulk("l"), bulk("a")),
      Option.some([bytes("l"), bytes("a")] as const)
    )
    readsError(users.blpop("l", { timeout: "1 second" }), array(bulk("l"), bulk("no")), {
      _tag: "DecodeError",
      path: [1]
    })
    for (const command of [lists.lmpop("l", "left"), lists.blmpop("l", "left", { timeout: "1 second" })]) {
      reads(command, array(bulk("l"), array(bulk("a"), bulk("b"))), Option.some(["l", ["a", "b"]] as const))
      readsEach(command, [nilArray, nil], Option.none())
    }
  })

  it("LMOVEM and BLMOVEM in their documented form", () => {
    const moved = array(bulk("b"), bulk("a"))
    reads(lists.lmovem("l", "m", "left", "left", { count: 2, obo: true }), moved, ["b", "a"])
    readsEach(lists.lmovem("l", "m", "left", "left"), [array(), nilArray, nil2, nil], [])
    const exactly = lists.lmovem("l", "m", "left", "left", { exactly: 2, obo: true })
    reads(exactly, moved, Option.some(["b", "a"]))
    readsEach(exactly, [nilArray, nil2, nil], Option.none())
    const waiting = lists.blmovem("l", "m", "left", "left", { timeout: "1 second" })
    reads(waiting, moved, Option.some(["b", "a"]))
    readsEach(waiting, [nilArray, nil2, nil], Option.none())
  })

  it("LPOS, by its options", () => {
    reads(lists.lpos("l", "e"), int(3), Option.some(3))
    readsEach(lists.lpos("l", "e"), [nil2, nil], Option.none())
    reads(lists.lpos("l", "e", { count: 2 }), array(int(1), int(3)), [1, 3])
    reads(lists.lpos("l", "e", { count: 2 }), array(), [])
    reads(binary.lpos("l", bytes("e")), int(3), Option.some(3))
  })

  it("commands that answer a count or a status", () => {
    for (const command of [
      lists.linsert("l", "before", "p", "e"),
      lists.llen("l"),
      lists.lpush("l", ["a"]),
      lists.lpushx("l", ["a"]),
      lists.lrem("l", 0, "e"),
      lists.rpush("l", ["a"]),
      lists.rpushx("l", ["a"])
    ]) {
      reads(command, int(3), 3)
      readsError(command, nil, { _tag: "DecodeError" })
    }
    reads(lists.linsert("l", "before", "p", "e"), int(-1), -1)
    for (const command of [lists.lset("l", 0, "e"), lists.ltrim("l", 0, 1)]) {
      reads(command, "+OK\r\n", undefined)
      readsError(command, nil, { _tag: "DecodeError" })
    }
  })
})

liveSuite("list", ({ effect, live, needs, onLease, protocol }) => {
  effect("commands that push and pop", () =>
    Effect.gen(function* () {
      expect(yield* lists.rpushx("l", ["z"])).toBe(0)
      expect(yield* lists.lpushx("l", ["z"])).toBe(0)
      expect(yield* lists.rpush("l", ["c", "d"])).toBe(2)
      expect(yield* lists.lpush("l", ["b", "a"])).toBe(4)
      expect(yield* lists.rpushx("l", ["e"])).toBe(5)
      expect(yield* lists.lpushx("l", ["_"])).toBe(6)
      expect(yield* lists.lrange("l", 0, -1)).toEqual(["_", "a", "b", "c", "d", "e"])
      expect(yield* lists.lrange("none", 0, -1)).toEqual([])
      expect(yield* lists.lrange("l", 5, 2)).toEqual([])
      expect(yield* lists.llen("l")).toBe(6)
      expect(yield* lists.llen("none")).toBe(0)
      expect(yield* lists.lpop("l")).toEqual(Option.some("_"))
      expect(yield* lists.rpop("l")).toEqual(Option.some("e"))
      expect(yield* lists.lpop("l", { count: 0 })).toEqual(Option.some([]))
      expect(yield* lists.rpop("l", { count: 2 })).toEqual(Option.some(["d", "c"]))
      expect(yield* lists.lpop("l", { count: 9 })).toEqual(Option.some(["a", "b"]))
      expect(yield* lists.lpop("l")).toEqual(Option.none())
      expect(yield* lists.rpop("l")).toEqual(Option.none())
      expect(yield* lists.lpop("l", { count: 2 })).toEqual(Option.none())
      expect(yield* lists.rpop("l", { count: 2 })).toEqual(Option.none())
    })
  )

  effect("elements of a schema, and bytes", () =>
    Effect.gen(function* () {
      yield* users.rpush("u", [ada])
      expect(yield* users.lindex("u", 0)).toEqual(Option.some(ada))
      expect(yield* users.lpos("u", ada)).toEqual(Option.some(0))
      yield* binary.rpush("b", [notUtf8])
      expect(yield* Effect.flip(lists.lrange("b", 0, -1))).toMatchObject({ _tag: "DecodeError", path: [0] })
      expect(yield* binary.lmpop("b", "left")).toEqual(Option.some([bytes("b"), [notUtf8]]))
    })
  )

  effect("commands that take a position", () =>
    Effect.gen(function* () {
      yield* lists.rpush("l", ["a", "b", "c", "b"])
      expect(yield* lists.lindex("l", -1)).toEqual(Option.some("b"))
      expect(yield* lists.lindex("l", 9)).toEqual(Option.none())
      expect(yield* lists.lpos("l", "b")).toEqual(Option.some(1))
      expect(yield* lists.lpos("l", "z")).toEqual(Option.none())
      expect(yield* lists.lpos("l", "b", { rank: -1, maxlen: 2 })).toEqual(Option.some(3))
      expect(yield* lists.lpos("l", "b", { count: 0 })).toEqual([1, 3])
      expect(yield* lists.lpos("l", "z", { count: 0 })).toEqual([])
      expect(yield* lists.lpos("none", "z", { count: 1 })).toEqual([])
      expect(yield* lists.linsert("l", "before", "c", "x")).toBe(5)
      expect(yield* lists.linsert("l", "after", "c", "y")).toBe(6)
      expect(yield* lists.linsert("l", "after", "z", "y")).toBe(-1)
      expect(yield* lists.linsert("none", "after", "z", "y")).toBe(0)
      yield* lists.lset("l", 0, "A")
      expect(yield* lists.lrange("l", 0, -1)).toEqual(["A", "b", "x", "c", "y", "b"])
      expect(yield* Effect.flip(lists.lset("l", 99, "A"))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
      expect(yield* lists.lrem("l", -1, "b")).toBe(1)
      expect(yield* lists.lrem("l", 0, "z")).toBe(0)
      yield* lists.ltrim("l", 1, -2)
      expect(yield* lists.lrange("l", 0, -1)).toEqual(["b", "x", "c"])
    })
  )

  effect("commands that move elements", () =>
    Effect.gen(function* () {
      yield* lists.rpush("l", ["a", "b", "c"])
      expect(yield* lists.lmove("l", "m", "left", "right")).toEqual(Option.some("a"))
      expect(yield* lists.lmove("l", "m", "right", "left")).toEqual(Option.some("c"))
      expect(yield* lists.lrange("m", 0, -1)).toEqual(["c", "a"])
      expect(yield* lists.rpoplpush("l", "m")).toEqual(Option.some("b"))
      expect(yield* lists.rpoplpush("l", "m")).toEqual(Option.none())
      expect(yield* lists.lmove("l", "m", "left", "left")).toEqual(Option.none())
      expect(yield* lists.lmpop(["l", "m"], "right")).toEqual(Option.some(["m", ["a"]]))
      expect(yield* lists.lmpop(["l", "m"], "left", { count: 9 })).toEqual(Option.some(["m", ["b", "c"]]))
      expect(yield* lists.lmpop(["l", "m"], "left")).toEqual(Option.none())
    })
  )

  effect("LMOVEM and BLMOVEM", () =>
    Effect.gen(function* () {
      yield* needs("LMOVEM", "BLMOVEM")
      yield* lists.rpush("l", ["a", "b", "c"])
      expect(yield* lists.lmovem("l", "m", "left", "left", { count: 2, obo: true })).toEqual(["b", "a"])
      expect(yield* lists.lmovem("l", "m", "left", "left", { exactly: 2, bulk: true })).toEqual(Option.none())
      expect(yield* onLease(lists.blmovem("l", "m", "left", "left", { timeout: "1 second" }))).toEqual(
        Option.some(["c"])
      )
    })
  )

  live("blocking commands answer at once when there is an element", () =>
    onLease(
      Effect.gen(function* () {
        const timeout = "5 seconds"
        yield* lists.rpush("l", ["a", "b", "c", "d", "e", "f"])
        expect(yield* lists.blpop(["none", "l"], { timeout })).toEqual(Option.some(["l", "a"]))
        expect(yield* lists.brpop("l", { timeout: Duration.infinity })).toEqual(Option.some(["l", "f"]))
        expect(yield* lists.blmove("l", "m", "left", "right", { timeout })).toEqual(Option.some("b"))
        expect(yield* lists.brpoplpush("l", "m", { timeout })).toEqual(Option.some("e"))
        expect(yield* lists.blmpop(["none", "l"], "left", { timeout })).toEqual(Option.some(["l", ["c"]]))
        expect(yield* lists.blmpop("m", "right", { timeout, count: 2 })).toEqual(Option.some(["m", ["b", "e"]]))
        expect(yield* binary.blpop("l", { timeout })).toEqual(Option.some([bytes("l"), bytes("d")]))
      })
    )
  )

  live("blocking commands answer None after their timeout", () =>
    onLease(
      Effect.gen(function* () {
        const timeout = "20 millis"
        expect(yield* lists.blpop("none", { timeout })).toEqual(Option.none())
        expect(yield* lists.brpop("none", { timeout })).toEqual(Option.none())
        expect(yield* lists.blmove("none", "m", "left", "right", { timeout })).toEqual(Option.none())
        expect(yield* lists.brpoplpush("none", "m", { timeout })).toEqual(Option.none())
        expect(yield* lists.blmpop("none", "left", { timeout })).toEqual(Option.none())
      })
    )
  )

  live("BLPOP answers when an element is pushed later", () =>
    Effect.gen(function* () {
      const popped = yield* Effect.fork(onLease(lists.blpop(["l", "m"], { timeout: "1 minute" })))
      yield* Effect.repeat(Effect.delay(RedisCommand.make("INFO", { args: ["clients"] }), "10 millis"), {
        until: (info) => /blocked_clients:1\r/.test(String(info))
      })
      yield* lists.rpush("m", ["a"])
      expect(yield* Fiber.join(popped)).toEqual(Option.some(["m", "a"]))
    })
  )

  live("every command fails with WRONGTYPE on a key of another type", () =>
    Effect.gen(function* () {
      yield* strings.set("k", "v")
      yield* lists.rpush("l", ["a"])
      const timeout = "1 second"
      for (const command of [
        lists.lindex("k", 0),
        lists.linsert("k", "before", "p", "e"),
        lists.llen("k"),
        lists.lmove("k", "l", "left", "left"),
        lists.lmpop("k", "left"),
        lists.lpop("k"),
        lists.lpop("k", { count: 2 }),
        lists.lpos("k", "e"),
        lists.lpush("k", ["a"]),
        lists.lpushx("k", ["a"]),
        lists.lrange("k", 0, -1),
        lists.lrem("k", 0, "e"),
        lists.lset("k", 0, "e"),
        lists.ltrim("k", 0, 1),
        lists.rpop("k"),
        lists.rpoplpush("k", "l"),
        lists.rpush("k", ["a"]),
        lists.rpushx("k", ["a"]),
        lists.blpop("k", { timeout }),
        lists.brpop("k", { timeout }),
        lists.blmove("k", "l", "left", "left", { timeout }),
        lists.brpoplpush("k", "l", { timeout }),
        lists.blmpop("k", "left", { timeout })
      ] as ReadonlyArray<RedisCommand.RedisCommand<unknown>>) {
        const failure = yield* Effect.flip(command.traits.blocking === undefined ? command : onLease(command))
        expect(failure, `${command.name}, RESP${protocol}`).toMatchObject({
          _tag: "ReplyError",
          code: "WRONGTYPE",
          command: command.name
        })
      }
    })
  )
})
