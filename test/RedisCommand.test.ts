import * as util from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Hash from "effect/Hash"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { alwaysReady } from "../src/internal/client/alwaysReady.js"
import { args } from "../src/internal/command/args.js"
import { define as defineCommand } from "../src/internal/command/command.js"
import * as Decode from "../src/internal/command/decode.js"
import { Redis, type RedisService } from "../src/internal/command/model.js"
import * as RedisCommand from "../src/RedisCommand.js"
import type { RedisError, UsageError } from "../src/RedisError.js"
import * as Resp from "../src/Resp.js"
import { defects } from "./support/effect.js"

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const secret = "s3cr3t"

const define = defineCommand("GET")
const get = (key: string) => define(args().key(key), Decode.text)

/** A client that answers from a list, and records the commands that it was sent. */
const scripted = (...replies: ReadonlyArray<Resp.Reply>) => {
  const sent: Array<string> = []
  const service: RedisService = {
    send: (command) =>
      Effect.suspend(() => {
        sent.push(String(command))
        return RedisCommand.decode(command, replies[sent.length - 1] ?? null)
      }),
    sendAll: () => Effect.dieMessage("not here"),
    lease: Effect.dieMessage("not here"),
    status: alwaysReady
  }
  return { layer: Layer.succeed(Redis, service), sent }
}

const failureOf = <A>(exit: Exit.Exit<A, RedisError>): RedisError =>
  Exit.match(exit, {
    onSuccess: () => {
      throw new Error("it succeeded")
    },
    onFailure: (cause) => Option.getOrThrow(Cause.failureOption(cause))
  })

const dataOf = (command: RedisCommand.RedisCommand<unknown>): ReadonlyArray<string | Uint8Array> =>
  command.args.map(({ data }) => data)

describe("a command is an Effect", () => {
  it.effect("that can be yielded, piped and run again", () => {
    const { layer, sent } = scripted("a", "b", "c", "d")
    return Effect.gen(function* () {
      const command = get("k")
      expect(Effect.isEffect(command)).toBe(true)
      expect(RedisCommand.isRedisCommand(command)).toBe(true)
      expect(yield* command).toBe("a")
      expect(yield* command).toBe("b")
      expect(yield* command.pipe(Effect.map((text) => text.length))).toBe(1)
      expect(yield* Effect.zipRight(Effect.void, command)).toBe("d")
      expect(sent).toEqual(Array.from({ length: 4 }, () => "RedisCommand(GET <key>)"))
    }).pipe(Effect.provide(layer))
  })

  it.effect("whose failures are typed, and whose bugs are defects", () =>
    Effect.gen(function* () {
      const program = Effect.all([
        Effect.exit(get("k")),
        Effect.exit(get("k")),
        Effect.exit(
          RedisCommand.map(get("k"), () => {
            throw new Error("bug")
          })
        )
      ])
      const [reply, decode, bug] = yield* program.pipe(
        Effect.provide(
          scripted(Resp.error("WRONGTYPE Operation against a key holding the wrong kind of value"), 1, "x").layer
        )
      )
      expect(failureOf(reply)).toMatchObject({ _tag: "ReplyError", code: "WRONGTYPE", command: "GET" })
      expect(failureOf(decode)).toMatchObject({ _tag: "DecodeError", command: "GET", path: [] })
      expect(Exit.isFailure(bug) && Cause.isDie(bug.cause)).toBe(true)
    })
  )

  it("other Effects are not commands", () => {
    for (const other of [Effect.void, Effect.map(get("k"), (text) => text), undefined, null, "GET", {}]) {
      expect(RedisCommand.isRedisCommand(other)).toBe(false)
    }
  })
})

describe("equality", () => {
  it("two commands are equal when they send the same and read it the same way", () => {
    const length = (text: string): number => text.length
    const same: ReadonlyArray<readonly [RedisCommand.RedisCommand<unknown>, RedisCommand.RedisCommand<unknown>]> = [
      [get("a"), get("a")],
      [RedisCommand.make("GET", { args: ["a"] }), RedisCommand.make("get", { args: ["a"] })],
      [RedisCommand.make("GET", { args: [utf8("a")] }), RedisCommand.make("GET", { args: [utf8("a")] })],
      [RedisCommand.map(get("a"), length), RedisCommand.map(get("a"), length)],
      [RedisCommand.withDeadline(get("a"), "1 second"), RedisCommand.withDeadline(get("a"), "1000 millis")],
      [RedisCommand.make("CLIENT", { args: ["id"] }), RedisCommand.make("client id")]
    ]
    for (const [one, other] of same) {
      expect(Equal.equals(one, other)).toBe(true)
      expect(Hash.hash(one)).toBe(Hash.hash(other))
    }
  })

  it("commands that differ in anything else are not equal", () => {
    const commands: ReadonlyArray<RedisCommand.RedisCommand<unknown>> = [
      get("a"),
      get("b"),
      get(""),
      define(args().key("a"), Decode.bytes),
      define(args().key("a"), Decode.text, false),
      define(args().text("a"), Decode.text),
      define(args().key("a").key("a"), Decode.text),
      RedisCommand.map(get("a"), (text) => text),
      RedisCommand.map(get("a"), (text) => text),
      RedisCommand.as(get("a"), 1),
      RedisCommand.withDeadline(get("a"), "1 second"),
      RedisCommand.withDeadline(get("a"), "2 seconds"),
      RedisCommand.make("STRLEN", { args: [RedisCommand.key("a")] }),
      RedisCommand.make("GET", { args: [RedisCommand.key("a")], reply: "bytes" }),
      RedisCommand.make("GET", { args: [Number.NaN] }),
      RedisCommand.make("GET", { args: [] }),
      // The same characters, split differently.
      RedisCommand.make("MGET", { args: ["ab", "c"] }),
      RedisCommand.make("MGET", { args: ["a", "bc"] })
    ]
    for (const [i, one] of commands.entries()) {
      for (const [j, other] of commands.entries()) {
        expect(Equal.equals(one, other), `${i} ${j}`).toBe(i === j)
      }
      expect(Equal.equals(one, "GET")).toBe(false)
    }
  })

  it("commands can be keys of a HashMap", () => {
    const cache = HashMap.make([get("a"), 1], [get("b"), 2])
    expect(HashMap.get(cache, get("a"))).toEqual(Option.some(1))
    expect(HashMap.get(cache, get("c"))).toEqual(Option.none())
  })
})

describe("printing", () => {
  const command = RedisCommand.make("SET", {
    args: [RedisCommand.key(`${secret}-key`), secret, RedisCommand.token("EX"), 10, utf8(secret)]
  })

  it("shows the name and Redis' own keywords, and nothing else", () => {
    expect(String(command)).toBe("RedisCommand(SET <key> <value> EX <value> <value>)")
    for (const text of [
      String(command),
      `${JSON.stringify(command)}`,
      util.inspect(command, { depth: 10, showHidden: false }),
      util.format("%s %o", command, { command }),
      util.inspect([{ command }], { depth: 10 }),
      JSON.stringify({ nested: [command] }),
      Cause.pretty(Cause.fail(command)),
      Cause.pretty(Cause.die(command))
    ]) {
      expect(text).toContain("SET")
      expect(text).not.toContain(secret)
      expect(text).not.toContain([...utf8(secret)].join(","))
    }
  })

  it("shows no more of a mapped command or of one that cannot be sent", () => {
    for (const changed of [
      RedisCommand.map(command, () => secret),
      RedisCommand.as(command, secret),
      RedisCommand.withDeadline(command, "1 second"),
      RedisCommand.mapArguments(command, ({ data, kind }) => (kind === "token" ? data : `${secret}${String(data)}`)),
      RedisCommand.make("SET", { args: [secret, Number.NaN] }),
      RedisCommand.make(`GET ${secret}`),
      RedisCommand.make(`bad name\n${secret}`),
      RedisCommand.make(`${secret}!`)
    ]) {
      expect(util.inspect(changed) + String(changed) + JSON.stringify(changed)).not.toMatch(new RegExp(secret, "i"))
    }
  })
})

describe("combinators", () => {
  it("map, as, mapArguments and withDeadline keep a command a command", () => {
    const command = get("k").pipe(
      RedisCommand.map((text) => text.length),
      RedisCommand.map((length) => length + 1),
      RedisCommand.withDeadline("2 seconds"),
      RedisCommand.mapArguments(({ data, kind }) => (kind === "key" ? `app:${String(data)}` : data))
    )
    expect(command).toMatchObject({ name: "GET", text: true, deadline: 2000, problem: undefined })
    expect(command.traits.readonly).toBe(true)
    expect(command.args).toMatchObject([{ kind: "key", data: "app:k" }])
    expect(RedisCommand.decode(command, "abc")).toEqual(Exit.succeed(4))
    expect(RedisCommand.decode(RedisCommand.as(command, "x"), "abc")).toEqual(Exit.succeed("x"))
    expect(RedisCommand.decode(RedisCommand.as("x")(command), "abc")).toEqual(Exit.succeed("x"))
    expect(RedisCommand.isRedisCommand(RedisCommand.as(command, "x"))).toBe(true)
  })

  it("the original command is unchanged", () => {
    const command = get("k")
    RedisCommand.mapArguments(RedisCommand.withDeadline(command, "1 second"), () => "other")
    expect([dataOf(command), command.deadline]).toEqual([["k"], undefined])
  })

  it("mapArguments changes arguments of every kind, and keeps the kind", () => {
    const command = define(args().key("k").pattern("p").channel("c").token("T").text("v"), Decode.text)
    const kinds: Array<string> = []
    const mapped = RedisCommand.mapArguments(command, ({ data, kind }) => {
      kinds.push(kind)
      return data
    })
    expect(kinds).toEqual(["key", "pattern", "channel", "token", "value"])
    expect(mapped.args.map(({ kind }) => kind)).toEqual(kinds)
    expect(Equal.equals(mapped, command)).toBe(true)
  })

  it("an invalid deadline is kept as a problem, and is never dropped", () => {
    expect(RedisCommand.withDeadline(get("k"), Duration.infinity).deadline).toBe(Infinity)
    expect(RedisCommand.withDeadline(get("k"), "0 millis").deadline).toBe(0)
    for (const bad of ["500 micros", Duration.nanos(1n), "soon" as "1 second"] as const) {
      const command = RedisCommand.withDeadline(get("k"), bad)
      expect(command.problem).toMatchObject({ _tag: "UsageError", reason: "invalidArgument", command: "GET" })
      expect(command.problem?.message).toMatch(/deadline/)
      expect(dataOf(command)).toEqual(["k"])
    }
  })

  it("every combinator keeps problems", () => {
    const command = RedisCommand.make("GET", { args: [Number.NaN] })
    for (const changed of [
      RedisCommand.map(command, (reply) => reply),
      RedisCommand.as(command, 1),
      RedisCommand.mapArguments(command, ({ data }) => data),
      RedisCommand.withDeadline(command, "1 second"),
      RedisCommand.withDeadline(command, "1 nano")
    ]) {
      expect(changed.problem).toEqual(command.problem)
    }
  })
})

describe("make", () => {
  const form = (command: RedisCommand.RedisCommand<unknown>) => [command.name, ...dataOf(command)]

  it.each<readonly [string, ReadonlyArray<RedisCommand.ArgumentInput>, ReadonlyArray<string>]>([
    ["get", ["k"], ["GET", "k"]],
    ["client setname", ["x"], ["CLIENT SETNAME", "x"]],
    ["CLIENT", ["SETNAME", "x"], ["CLIENT SETNAME", "x"]],
    ["client", ["setname", "x"], ["CLIENT SETNAME", "x"]],
    ["client", [RedisCommand.token("setname"), "x"], ["CLIENT SETNAME", "x"]],
    ["client", [utf8("setname"), "x"], ["CLIENT SETNAME", "x"]],
    ["client", [RedisCommand.value(utf8("setname")), "x"], ["CLIENT SETNAME", "x"]],
    ["  client   setname  ", ["x"], ["CLIENT SETNAME", "x"]],
    ["client\tsetname", ["x"], ["CLIENT SETNAME", "x"]],
    ["client setname Name", [], ["CLIENT SETNAME", "Name"]],
    ["SELECT 2", [], ["SELECT", "2"]],
    ["select", [2], ["SELECT", "2"]],
    ["GET myKey", [], ["GET", "myKey"]],
    ["set Foo Bar", ["EX", 10], ["SET", "Foo", "Bar", "EX", "10"]],
    ["CLIENT", [], ["CLIENT"]],
    ["COMMAND", [], ["COMMAND"]],
    ["command", ["count"], ["COMMAND COUNT"]],
    ["xinfo", ["stream", "S"], ["XINFO STREAM", "S"]],
    ["JSON.GET", ["k", "$"], ["JSON.GET", "k", "$"]],
    ["client no-evict", ["on"], ["CLIENT NO-EVICT", "on"]],
    ["PUBLISH", ["c", "client"], ["PUBLISH", "c", "client"]]
  ])("%j %j", (name, input, expected) => {
    const command = RedisCommand.make(name, { args: input })
    expect(command.problem).toBeUndefined()
    expect(form(command)).toEqual(expected)
  })

  it.each(["", " ", "GET\0", "G\u00c9T", 'GET"', "*1", "GET$", "CLIENT SET\0NAME", "{GET}"])(
    "a name like %j is kept as a problem, and never shown",
    (name) => {
      const command = RedisCommand.make(name, { args: ["k"] })
      expect(command.problem).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
      expect(command.name).toBe("UNKNOWN")
    }
  )

  it("stateful and blocking commands are recognised in every spelling", () => {
    const silent: ReadonlyArray<RedisCommand.RedisCommand<unknown>> = [
      RedisCommand.make("client reply", { args: ["OFF"] }),
      RedisCommand.make("client reply off"),
      RedisCommand.make("CLIENT", { args: ["reply", "off"] }),
      RedisCommand.make("client", { args: [utf8("RePLy"), "off"] }),
      RedisCommand.make("client", { args: [RedisCommand.key(utf8("reply")), "off"], readonly: true })
    ]
    expect(silent.map(({ traits }) => traits.stateful)).toEqual(silent.map(() => "silence"))
    expect(RedisCommand.make("SELECT 2").traits.stateful).toBe("database")
    expect(RedisCommand.make("multi").traits.stateful).toBe("transaction")
    expect(RedisCommand.make("watch", { args: ["k"] }).traits.stateful).toBe("watch")
    expect(RedisCommand.make("subscribe c").traits.stateful).toBe("subscription")
    expect(RedisCommand.make("blpop", { args: ["k", 0] }).traits.blocking).toBeDefined()
    expect(RedisCommand.make("get", { args: ["k"] }).traits).toMatchObject({ stateful: undefined, blocking: undefined })
  })

  it("readonly is known by the name, or declared by the caller", () => {
    expect(RedisCommand.make("GET").traits.readonly).toBe(true)
    expect(RedisCommand.make("FT.SEARCH").traits.readonly).toBe(true)
    expect(RedisCommand.make("MY.READ").traits.readonly).toBe(false)
    expect(RedisCommand.make("MY.READ", { readonly: true }).traits.readonly).toBe(true)
  })

  it("arguments keep their kinds, and untagged ones are values", () => {
    const command = RedisCommand.make("X", {
      args: [
        RedisCommand.key("k"),
        RedisCommand.token("T"),
        RedisCommand.value("v"),
        "s",
        utf8("b"),
        1,
        2n ** 64n - 1n,
        1.5,
        -Infinity
      ]
    })
    expect(command.args.map(({ kind }) => kind)).toEqual(["key", "token", ...Array.from({ length: 7 }, () => "value")])
    expect(dataOf(command)).toEqual(["k", "T", "v", "s", utf8("b"), "1", "18446744073709551615", "1.5", "-inf"])
  })

  it.each<readonly [string, unknown]>([
    ["NaN", Number.NaN],
    ["an unsafe integer", 2 ** 53],
    ["an integer beyond 64 bits", 2n ** 64n],
    ["a negative integer beyond 64 bits", -(2n ** 63n) - 1n],
    ["undefined", undefined],
    ["null", null],
    ["an object", {}],
    ["a list", ["a"]],
    ["a boolean", true],
    ["a date", new Date(0)],
    ["an ArrayBuffer", new ArrayBuffer(1)],
    ["a tagged number", RedisCommand.key(5 as unknown as string)]
  ])("%s is kept as a typed problem", (_, arg) => {
    const command = RedisCommand.make("SET", { args: ["k", arg as string] })
    expect(command.problem satisfies UsageError | undefined).toMatchObject({
      _tag: "UsageError",
      reason: "invalidArgument",
      command: "SET",
      message: expect.stringMatching(/^SET: /)
    })
  })
})

describe("decode", () => {
  it("without a decoder the result is the reply, as text or as bytes", () => {
    const text = RedisCommand.make("X")
    const bytes = RedisCommand.make("X", { reply: "bytes" })
    expect([text.text, bytes.text]).toEqual([true, false])
    for (const reply of ["a", 1, 1n, true, null, [["a"], 1], new Resp.MapReply(["a", 1]), new Resp.SetReply([])]) {
      expect(RedisCommand.decode(text, reply)).toStrictEqual(Exit.succeed(reply))
      expect(RedisCommand.decode(bytes, reply)).toStrictEqual(Exit.succeed(reply))
    }
    expect(RedisCommand.decode(text, new Resp.VerbatimString("txt", "a"))).toEqual(Exit.succeed("a"))
    expect(RedisCommand.decode(text, [new Resp.VerbatimString("txt", "a")])).toEqual(Exit.succeed(["a"]))
    expect(RedisCommand.decode(bytes, utf8("a"))).toEqual(Exit.succeed(utf8("a")))
  })

  it("bytes that are not UTF-8 do not pass as text", () => {
    expect(failureOf(RedisCommand.decode(RedisCommand.make("X"), Uint8Array.of(0xff)))).toMatchObject({
      _tag: "DecodeError",
      reason: "expected text, got bytes that are not text"
    })
    expect(RedisCommand.decode(RedisCommand.make("X", { reply: "bytes" }), Uint8Array.of(0xff))).toEqual(
      Exit.succeed(Uint8Array.of(0xff))
    )
  })

  it("an error is a ReplyError, and an error inside an array is a value", () => {
    expect(failureOf(RedisCommand.decode(RedisCommand.make("X"), Resp.error("ERR syntax error")))).toMatchObject({
      _tag: "ReplyError",
      code: "ERR",
      command: "X",
      message: "X: ERR syntax error"
    })
    expect(RedisCommand.decode(RedisCommand.make("X"), [Resp.error("ERR a")])).toEqual(
      Exit.succeed([Resp.error("ERR a")])
    )
  })

  it("a reply that does not fit fails with the place, not the value", () => {
    const lists = define(args(), Decode.array(Decode.tuple(Decode.text, Decode.integer)))
    expect(
      failureOf(
        RedisCommand.decode(lists, [
          ["a", 1],
          ["b", secret]
        ])
      )
    ).toMatchObject({
      _tag: "DecodeError",
      command: "GET",
      path: [1, 1],
      message: "The reply to GET does not decode at 1.1: expected an integer, got text"
    })
    expect(failureOf(RedisCommand.decode(lists, secret))).toMatchObject({
      path: [],
      reason: "expected an array, got text"
    })
    expect(
      failureOf(RedisCommand.decode(define(args(), Decode.double), new Resp.Unreadable("double", secret)))
    ).toMatchObject({ reason: "expected a number, got a malformed double" })
    expect(
      failureOf(RedisCommand.decode(define(args(), Decode.text), [Resp.error(`WRONGTYPE ${secret}`)])).message
    ).not.toContain(secret)
  })

  it("a decoder or a mapping that throws is a defect, and later mappings do not run", () => {
    const bug = new Error("bug")
    const raise = (): never => {
      throw bug
    }
    let later = 0
    const mapped = get("k").pipe(
      RedisCommand.map(raise),
      RedisCommand.map(() => later++)
    )
    for (const command of [RedisCommand.make("X", { decode: raise }), mapped]) {
      const exit = RedisCommand.decode(command, "x")
      expect(Exit.isFailure(exit) && defects(exit.cause)).toEqual([bug])
    }
    expect(later).toBe(0)
  })

  it("mappings do not see errors", () => {
    let seen = 0
    const command = RedisCommand.map(get("k"), () => seen++)
    RedisCommand.decode(command, Resp.error("ERR no"))
    RedisCommand.decode(command, 1)
    expect(seen).toBe(0)
  })
})
