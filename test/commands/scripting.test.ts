import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/scripting.js"
import { ErrorReply, MapReply, SetReply } from "../../src/internal/resp/values.js"
import {
  liveSuite,
  onOneNode,
  reads,
  readsEach,
  readsError,
  refuses,
  sends,
  tagged,
  wire
} from "../support/commands.js"

const scripts = make(Codec.utf8)
const binary = make(Codec.bytes)
const bytes = (text: string) => new TextEncoder().encode(text)
const { array, bulk, error, int, map, nil, nil2, set, simple } = wire

const source = `#!lua name=lib
redis.register_function{function_name="first",callback=function(k, a) return {k[1], a[1]} end,flags={"no-writes"},description="does it"}
redis.register_function("second", function() return 1 end)`
const sha = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"

describe("scripting commands encode their arguments", () => {
  it("EVAL, EVALSHA, FCALL and their _RO forms", () => {
    for (const [name, command] of [
      ["EVAL", scripts.eval],
      ["EVAL_RO", scripts.evalRo],
      ["EVALSHA", scripts.evalsha],
      ["EVALSHA_RO", scripts.evalshaRo],
      ["FCALL", scripts.fcall],
      ["FCALL_RO", scripts.fcallRo]
    ] as const) {
      sends(command("x"), [name, "x", "0"])
      sends(command("x", { keys: "k" }), [name, "x", "1", "k"])
      sends(command("x", { keys: ["k", bytes("l")], args: ["a", bytes("b"), 1, 1.5, 2n ** 63n - 1n] }), [
        ...[name, "x", "2", "k", "l", "a", "b", "1", "1.5", "9223372036854775807"]
      ])
      sends(command("x", { keys: [], args: [] }), [name, "x", "0"])
      tagged(command("x", { keys: ["k"], args: ["a"] }), ["value", "value", "key", "value"])
      refuses(command("x", { args: [Number.NaN] }), /not NaN/)
      refuses(command("x", { args: [2 ** 60] }), /bigint/)
      expect(command("x").traits.readonly).toBe(name.endsWith("_RO"))
    }
    sends(scripts.eval(bytes("return 1")), ["EVAL", "return 1", "0"])
    expect(String(scripts.eval("secret", { keys: "secret" }))).not.toContain("secret")
  })

  it("FUNCTION", () => {
    sends(scripts.functionDelete("lib"), ["FUNCTION", "DELETE", "lib"])
    sends(scripts.functionDump(), ["FUNCTION", "DUMP"])
    sends(scripts.functionFlush(), ["FUNCTION", "FLUSH"])
    sends(scripts.functionFlush({ async: true }), ["FUNCTION", "FLUSH", "ASYNC"])
    sends(scripts.functionFlush({ sync: true }), ["FUNCTION", "FLUSH", "SYNC"])
    sends(scripts.functionKill(), ["FUNCTION", "KILL"])
    sends(scripts.functionList(), ["FUNCTION", "LIST"])
    sends(scripts.functionList({ withcode: true }), ["FUNCTION", "LIST", "WITHCODE"])
    sends(scripts.functionList({ libraryname: "l*", withcode: true }), [
      "FUNCTION",
      "LIST",
      "LIBRARYNAME",
      "l*",
      "WITHCODE"
    ])
    sends(scripts.functionLoad(source), ["FUNCTION", "LOAD", source])
    sends(scripts.functionLoad(bytes(source), { replace: true }), ["FUNCTION", "LOAD", "REPLACE", source])
    const dump = new Uint8Array([0xff, 0])
    sends(scripts.functionRestore(dump), ["FUNCTION", "RESTORE", dump])
    sends(scripts.functionRestore(dump, { flush: true }), ["FUNCTION", "RESTORE", dump, "FLUSH"])
    sends(scripts.functionRestore(dump, { append: true }), ["FUNCTION", "RESTORE", dump, "APPEND"])
    sends(scripts.functionRestore(dump, { replace: true }), ["FUNCTION", "RESTORE", dump, "REPLACE"])
    sends(scripts.functionStats(), ["FUNCTION", "STATS"])
  })

  it("SCRIPT", () => {
    sends(scripts.scriptDebug("yes"), ["SCRIPT", "DEBUG", "YES"])
    sends(scripts.scriptDebug("sync", { engine: "lua" }), ["SCRIPT", "DEBUG", "SYNC", "lua"])
    sends(scripts.scriptDebug("no"), ["SCRIPT", "DEBUG", "NO"])
    expect(scripts.scriptDebug("no").traits.stateful).toBe("connection")
    sends(scripts.scriptExists(sha), ["SCRIPT", "EXISTS", sha])
    sends(scripts.scriptExists([sha, "x"]), ["SCRIPT", "EXISTS", sha, "x"])
    refuses(scripts.scriptExists([] as never), /at least one SHA1/)
    sends(scripts.scriptFlush(), ["SCRIPT", "FLUSH"])
    sends(scripts.scriptFlush({ async: true }), ["SCRIPT", "FLUSH", "ASYNC"])
    sends(scripts.scriptFlush({ sync: true }), ["SCRIPT", "FLUSH", "SYNC"])
    sends(scripts.scriptKill(), ["SCRIPT", "KILL"])
    sends(scripts.scriptLoad("return 1"), ["SCRIPT", "LOAD", "return 1"])
    sends(scripts.scriptShow(sha), ["SCRIPT", "SHOW", sha])
  })
})

describe("scripting commands decode their replies", () => {
  it("EVAL, EVALSHA, FCALL and their _RO forms answer the raw reply", () => {
    for (const command of [scripts.eval("x"), scripts.evalshaRo("x"), scripts.fcall("x")]) {
      reads(command, int(1), 1)
      readsEach(command, [nil, nil2], null)
      reads(command, bulk("text"), "text")
      reads(command, array(int(1), error("ERR inside"), nil), [1, new ErrorReply("ERR inside"), null])
      reads(command, map(bulk("a"), int(1)), new MapReply(["a", 1]))
      reads(command, set(bulk("a")), new SetReply(["a"]))
      readsError(command, error("NOSCRIPT No matching script."), { _tag: "ReplyError", code: "NOSCRIPT" })
    }
    reads(binary.eval("x"), bulk("text"), bytes("text"))
    readsError(scripts.eval("x"), error("ERR secret script: 1: secret"), {
      _tag: "ReplyError",
      message: expect.not.stringContaining("secret")
    })
  })

  it("FUNCTION DUMP is bytes", () => {
    reads(scripts.functionDump(), Buffer.from("$2\r\n\xff\x00\r\n", "latin1"), new Uint8Array([0xff, 0]))
    reads(scripts.functionDump(), bulk("text"), bytes("text"))
    expect(scripts.functionDump().text).toBe(false)
  })

  it("FUNCTION LIST", () => {
    const literal = (protocol: 2 | 3, code: boolean) => {
      const record = protocol === 3 ? map : array
      const flags = protocol === 3 ? set : array
      return array(
        record(
          ...[bulk("library_name"), bulk("lib"), bulk("engine"), bulk("LUA"), bulk("functions")],
          array(
            record(
              bulk("name"),
              bulk("second"),
              bulk("description"),
              protocol === 3 ? nil : nil2,
              bulk("flags"),
              flags()
            ),
            record(
              ...[bulk("name"), bulk("first"), bulk("description"), bulk("does it")],
              ...[bulk("flags"), flags(simple("no-writes"))]
            )
          ),
          ...(code ? [bulk("library_code"), bulk(source)] : [])
        )
      )
    }
    const library = {
      libraryName: "lib",
      engine: Option.some("LUA"),
      functions: [
        { name: "second", description: Option.none(), flags: [], other: {} },
        { name: "first", description: Option.some("does it"), flags: ["no-writes"], other: {} }
      ],
      other: {}
    }
    readsEach(scripts.functionList(), [literal(2, false), literal(3, false)], [library])
    readsEach(
      scripts.functionList({ withcode: true }),
      [literal(2, true), literal(3, true)],
      [{ ...library, libraryCode: Option.some(source) }]
    )
    reads(scripts.functionList(), array(), [])
    // Names are exact under Codec.bytes.
    const bytes = (text: string) => new TextEncoder().encode(text)
    reads(binary.functionList(), literal(3, false), [
      {
        ...library,
        libraryName: bytes("lib"),
        functions: [
          { name: bytes("second"), description: Option.none(), flags: [], other: {} },
          { name: bytes("first"), description: Option.some(bytes("does it")), flags: ["no-writes"], other: {} }
        ]
      }
    ])
  })

  it("FUNCTION STATS", () => {
    const engines = (record: typeof map) =>
      record(bulk("LUA"), record(bulk("libraries_count"), int(1), bulk("functions_count"), int(2)))
    const enginesRead = { LUA: { librariesCount: Option.some(1), functionsCount: Option.some(2), other: {} } }
    readsEach(
      scripts.functionStats(),
      [
        array(bulk("running_script"), nil2, bulk("engines"), engines(array)),
        map(bulk("running_script"), nil, bulk("engines"), engines(map))
      ],
      { runningScript: Option.none(), engines: enginesRead, other: {} }
    )
    const running = (record: typeof map) =>
      record(
        ...[bulk("name"), bulk("first"), bulk("command"), array(bulk("FCALL"), bulk("first"), bulk("0"))],
        ...[bulk("duration_ms"), int(1500)]
      )
    readsEach(
      scripts.functionStats(),
      [
        array(bulk("running_script"), running(array), bulk("engines"), engines(array)),
        map(bulk("running_script"), running(map), bulk("engines"), engines(map))
      ],
      {
        runningScript: Option.some({
          name: "first",
          command: ["FCALL", "first", "0"],
          duration: Option.some(Duration.millis(1500)),
          other: {}
        }),
        engines: enginesRead,
        other: {}
      }
    )
  })

  it("all other scripting commands", () => {
    reads(scripts.functionLoad(source), bulk("lib"), "lib")
    reads(scripts.scriptLoad("return 1"), bulk(sha), sha)
    reads(scripts.scriptShow(sha), bulk("return 1"), "return 1")
    reads(scripts.scriptExists([sha, "x"]), array(int(1), int(0)), [true, false])
    for (const command of [
      scripts.functionDelete("lib"),
      scripts.functionFlush(),
      scripts.functionKill(),
      scripts.functionRestore(new Uint8Array(0)),
      scripts.scriptDebug("no"),
      scripts.scriptFlush(),
      scripts.scriptKill()
    ]) {
      reads(command, simple("OK"), undefined)
    }
    readsError(scripts.functionKill(), error("NOTBUSY No scripts in execution right now."), {
      code: "NOTBUSY",
      _tag: "ReplyError"
    })
  })
})

liveSuite(
  "scripting",
  ({ effect, live, needs, onLease, protocol }) => {
    effect("EVAL, EVALSHA and their _RO forms", () =>
      Effect.gen(function* () {
        const script = "return {KEYS[1], ARGV[1], ARGV[2] + 1, false, 'x'}"
        const options = { keys: ["k"], args: ["a", 41] }
        const answer = ["k", "a", 42, null, "x"]
        expect(yield* scripts.eval(script, options)).toEqual(answer)
        expect(yield* scripts.evalRo(script, options)).toEqual(answer)
        const sha1 = yield* scripts.scriptLoad(script)
        expect(yield* scripts.evalsha(sha1, options)).toEqual(answer)
        expect(yield* scripts.evalshaRo(sha1, options)).toEqual(answer)
        expect(yield* scripts.scriptExists([sha1, "x"])).toEqual([true, false])
        yield* scripts.scriptFlush({ sync: true })
        yield* scripts.scriptFlush()
        expect(yield* scripts.scriptExists(sha1)).toEqual([false])
        expect(yield* Effect.flip(scripts.evalsha(sha1))).toMatchObject({ _tag: "ReplyError", code: "NOSCRIPT" })
        expect(yield* Effect.flip(scripts.evalRo("return redis.call('SET', KEYS[1], 1)", { keys: "k" }))).toMatchObject(
          {
            _tag: "ReplyError",
            code: "ERR"
          }
        )
        expect(yield* Effect.flip(scripts.eval("return redis.error_reply('MINE of mine')"))).toMatchObject({
          code: "MINE"
        })
        expect(yield* binary.eval("return ARGV[1]", { args: [new Uint8Array([0xff])] })).toEqual(new Uint8Array([0xff]))
        expect(yield* scripts.eval("redis.setresp(3); return {map={a=1}}")).toEqual(
          protocol === 3 ? new MapReply(["a", 1]) : ["a", 1]
        )
      })
    )

    effect("SCRIPT SHOW", () =>
      Effect.gen(function* () {
        yield* needs("SCRIPT SHOW")
        expect(yield* scripts.scriptShow(yield* scripts.scriptLoad("return 1"))).toBe("return 1")
        expect(yield* Effect.flip(scripts.scriptShow("0".repeat(40)))).toMatchObject({ code: "NOSCRIPT" })
      })
    )

    effect("SCRIPT DEBUG", () => onLease(scripts.scriptDebug("no")))

    effect("FUNCTION", () =>
      Effect.gen(function* () {
        yield* scripts.functionFlush({ sync: true })
        expect(yield* scripts.functionLoad(source)).toBe("lib")
        expect(yield* Effect.flip(scripts.functionLoad(source))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        expect(yield* scripts.functionLoad(source, { replace: true })).toBe("lib")
        expect(yield* scripts.fcall("first", { keys: "k", args: ["a"] })).toEqual(["k", "a"])
        expect(yield* scripts.fcallRo("first", { keys: "k", args: ["a"] })).toEqual(["k", "a"])
        expect(yield* Effect.flip(scripts.fcallRo("second"))).toMatchObject({ _tag: "ReplyError" })
        const [library] = yield* scripts.functionList({ libraryname: "li*" })
        expect(library).toMatchObject({ libraryName: "lib", engine: Option.some("LUA") })
        expect([...(library?.functions ?? [])].sort((a, b) => a.name.localeCompare(b.name))).toEqual([
          { name: "first", description: Option.some("does it"), flags: ["no-writes"], other: {} },
          { name: "second", description: Option.none(), flags: [], other: {} }
        ])
        expect((yield* scripts.functionList({ withcode: true }))[0]?.libraryCode).toEqual(Option.some(source))
        expect(yield* scripts.functionList({ libraryname: "other" })).toEqual([])
        const { engines, runningScript } = yield* scripts.functionStats()
        expect(runningScript).toEqual(Option.none())
        expect(engines.LUA).toEqual({ librariesCount: Option.some(1), functionsCount: Option.some(2), other: {} })
        const dump = yield* scripts.functionDump()
        expect(dump).toBeInstanceOf(Uint8Array)
        yield* scripts.functionDelete("lib")
        expect(yield* Effect.flip(scripts.functionDelete("lib"))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        yield* scripts.functionRestore(dump)
        expect(yield* Effect.flip(scripts.functionRestore(dump, { append: true }))).toMatchObject({ code: "ERR" })
        yield* scripts.functionRestore(dump, { replace: true })
        yield* scripts.functionRestore(dump, { flush: true })
        expect(yield* scripts.functionList()).toHaveLength(1)
        yield* scripts.functionFlush({ async: true })
        yield* scripts.functionFlush()
        expect(yield* scripts.functionList()).toEqual([])
        expect(yield* Effect.flip(scripts.functionKill())).toMatchObject({ code: "NOTBUSY" })
        expect(yield* Effect.flip(scripts.scriptKill())).toMatchObject({ code: "NOTBUSY" })
      })
    )

    live("FUNCTION STATS shows a running function; FUNCTION KILL and SCRIPT KILL end it", () =>
      Effect.gen(function* () {
        yield* onOneNode
        yield* scripts.functionFlush({ sync: true })
        yield* scripts.functionLoad(
          "#!lua name=busy\nredis.register_function('busy', function() while true do end end)"
        )
        const busy = yield* Effect.fork(Effect.flip(onLease(scripts.fcall("busy", { args: ["a"] }))))
        const { runningScript } = yield* scripts.functionStats().pipe(
          Effect.catchTag("ReplyError", () => Effect.succeed({ runningScript: Option.none() } as const)),
          Effect.delay("20 millis"),
          Effect.repeat({ until: ({ runningScript }) => Option.isSome(runningScript), times: 2_000 })
        )
        expect(runningScript).toMatchObject({ value: { name: "busy", command: ["FCALL", "busy", "0", "a"] } })
        yield* scripts.functionKill()
        expect(yield* busy).toMatchObject({ _tag: "ReplyError" })

        const script = yield* Effect.fork(Effect.flip(onLease(scripts.eval("while true do end"))))
        yield* Effect.eventually(Effect.delay(scripts.scriptKill(), "20 millis")).pipe(Effect.timeout("1 minute"))
        expect(yield* script).toMatchObject({ _tag: "ReplyError" })
      })
    )
  },
  { server: { config: { "busy-reply-threshold": "50" } } }
)
