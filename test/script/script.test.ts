/** Scripts and functions as typed values: the commands they send, alone and in batches, and their failures. */
import { createHash } from "node:crypto"
import * as util from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Hash from "effect/Hash"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { Codec, Pool, Redis, RedisCommand, RedisFunction, RedisScript, Resp } from "effect-redis-client"
import { sha1 } from "../../src/internal/script/sha1.js"
import type { RedisOptions, RedisService } from "../../src/Redis.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"
import * as Peer from "../support/peer.js"

const utf8 = (text: string) => new TextEncoder().encode(text)
const { array, bulk, double, error, int, map, nil, nil2, set, simple, verbatim } = wire

const noScript = "-NOSCRIPT No matching script. Please use EVAL.\r\n"

const source = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
const countUp = RedisScript.make({ source, keys: 1, args: [Schema.Int], result: Schema.Int })
const current = RedisScript.make({
  source: "return redis.call('GET', KEYS[1])",
  keys: 1,
  result: Schema.OptionFromNullOr(Schema.String),
  readonly: true
})

describe("SHA-1", () => {
  it("equals Node's SHA-1 at every length around block boundaries, and for any bytes", () => {
    const expected = (bytes: Uint8Array) => createHash("sha1").update(bytes).digest("hex")
    for (let length = 0; length < 200; length++) {
      const bytes = new Uint8Array(length).fill(length)
      expect(sha1(bytes), `${length}`).toBe(expected(bytes))
    }
    FastCheck.assert(
      FastCheck.property(FastCheck.uint8Array({ maxLength: 2000 }), (bytes) => sha1(bytes) === expected(bytes))
    )
    expect(RedisScript.make({ source: "return 'zażółć 🦆'", keys: 0 }).sha1).toBe(expected(utf8("return 'zażółć 🦆'")))
  })
})

describe("a script's call, as a command", () => {
  it("is EVAL with the source; keys are tagged as keys, values redacted", () => {
    sends(countUp("visits", 2), ["EVAL", source, "1", "visits", "2"])
    tagged(countUp("visits", 2), ["value", "value", "key", "value"])
    expect(String(countUp("secret", 7))).toBe("RedisCommand(EVAL <value> <value> <key> <value>)")
    sends(current("visits"), ["EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "visits"])
    expect(countUp("visits", 2).traits.readonly).toBe(false)
    expect(current("visits").traits.readonly).toBe(true)
    sends(countUp.load, ["SCRIPT", "LOAD", source])
  })

  it("takes exactly its declared number of keys, or any number", () => {
    const none = RedisScript.make({ source: "s", keys: 0 })
    sends(none(), ["EVAL", "s", "0"])
    const two = RedisScript.make({ source: "s", keys: 2, args: [Schema.String] })
    sends(two("a", utf8("b"), "c"), ["EVAL", "s", "2", "a", "b", "c"])
    const any = RedisScript.make({ source: "s", keys: "any", args: [Schema.String] })
    sends(any("a", "x"), ["EVAL", "s", "1", "a", "x"])
    sends(any(utf8("a"), "x"), ["EVAL", "s", "1", "a", "x"])
    sends(any(["a", "b", "c"], "x"), ["EVAL", "s", "3", "a", "b", "c", "x"])
    sends(any([], "x"), ["EVAL", "s", "0", "x"])
    tagged(any(["a", "b"], "x"), ["value", "value", "key", "key", "value"])
    const rest = RedisScript.make({ source: "s", keys: 1, args: [Schema.Int], rest: Schema.String })
    sends(rest("k", 1), ["EVAL", "s", "1", "k", "1"])
    sends(rest("k", 1, "a", "b"), ["EVAL", "s", "1", "k", "1", "a", "b"])
    // The check also runs for JavaScript programs and after casts.
    refuses(
      (two as unknown as (...keys: ReadonlyArray<string>) => RedisCommand.RedisCommand<unknown>)("a", "b"),
      /2 keys and 1 argument$/
    )
    refuses((rest as unknown as () => RedisCommand.RedisCommand<unknown>)(), /1 key and 1 argument or more/)
    refuses((any as unknown as () => RedisCommand.RedisCommand<unknown>)(), /keys and 1 argument$/)
    refuses(two("a", 1 as never, "c"), /a key must be text or bytes/)
    refuses(RedisScript.make({ source: "s", keys: -1 as number })(...([] as never)), /`keys` must be/)
    refuses(RedisScript.make({ source: undefined as never, keys: 0 })(), /must be text/)
    refuses(RedisScript.make({ source: "\ud800", keys: 0 })(), /lone surrogate/)
  })

  it("encodes its arguments by schemas and codecs", () => {
    const User = Schema.Struct({ name: Schema.String })
    const script = RedisScript.make({
      source: "s",
      keys: 0,
      args: [
        Schema.Number,
        Schema.BigIntFromSelf,
        Schema.Boolean,
        Schema.DurationFromMillis,
        Schema.Uint8ArrayFromSelf,
        Schema.parseJson(User),
        Codec.schema(User),
        Codec.bytes
      ]
    })
    const ada = { name: "Ada" }
    sends(script(1.5, 2n ** 63n - 1n, true, Duration.seconds(2), utf8("b"), ada, ada, utf8("c")), [
      ...["EVAL", "s", "0", "1.5", "9223372036854775807", "1", "2000", "b", `{"name":"Ada"}`, `{"name":"Ada"}`, "c"]
    ])
    const small = RedisScript.make({ source: "s", keys: 1, args: [Schema.Int.pipe(Schema.between(0, 9))] })
    sends(small("k", 9), ["EVAL", "s", "1", "k", "9"])
    refuses(small("k", 12345), /argument 1 does not encode/)
    expect(small("k", 12345).problem?.message).not.toContain("12345")
    refuses(script(Number.NaN, 1n, true, Duration.zero, utf8(""), ada, ada, utf8("")), /not NaN/)
    refuses(script(2 ** 60, 1n, true, Duration.zero, utf8(""), ada, ada, utf8("")), /bigint/)
    const throws = RedisScript.make({
      source: "s",
      keys: 0,
      args: [
        Schema.transform(Schema.String, Schema.String, {
          decode: (text) => text,
          encode: (text) => {
            throw new Error(text)
          }
        })
      ]
    })
    refuses(throws("secret"), /argument 1 does not encode: its schema threw/)
    expect(throws("secret").problem?.message).not.toContain("secret")
    const odd = RedisScript.make({ source: "s", keys: 0, args: [User as unknown as typeof Schema.String] })
    refuses(odd({ name: "Ada" } as never), /must encode to text/)
  })

  it("reads its reply by a schema, the same under RESP2 and RESP3", () => {
    readsEach(current("k"), [nil, nil2], Option.none())
    reads(current("k"), bulk("v"), Option.some("v"))
    reads(countUp("k", 1), int(3), 3)
    readsError(countUp("k", 1), bulk("secret"), { _tag: "DecodeError", command: "EVAL", path: [] })
    const result = Schema.Tuple(Schema.Int, Schema.OptionFromNullOr(Schema.String), Schema.Array(Schema.String))
    const tuple = RedisScript.make({ source: "s", keys: 0, result })
    reads(tuple(), array(int(1), nil, array(bulk("a"), bulk("b"))), [1, Option.none(), ["a", "b"]])
    reads(tuple(), array(int(1), verbatim("x"), set(bulk("a"))), [1, Option.some("x"), ["a"]])
    readsError(tuple(), array(int(1), nil, array(bulk("a"), int(2))), { _tag: "DecodeError", path: [2, 1] })
    const flat = RedisScript.make({ source: "s", keys: 0, result: Schema.Array(Schema.Unknown) })
    readsEach(flat(), [map(bulk("a"), wire.boolean(true)), array(bulk("a"), int(1))], ["a", 1])
    const truth = RedisScript.make({ source: "s", keys: 0, result: RedisScript.LuaBoolean })
    readsEach(truth(), [int(1), wire.boolean(true)], true)
    readsEach(truth(), [int(0), nil, nil2, wire.boolean(false)], false)
    const json = RedisScript.make({ source: "s", keys: 0, result: Schema.parseJson(Schema.Struct({ a: Schema.Date })) })
    reads(json(), bulk(`{"a":"2026-11-22T00:00:00.000Z"}`), { a: new Date("2026-11-22") })
    readsError(json(), bulk(`{"a":"secret"}`), { _tag: "DecodeError", reason: expect.not.stringContaining("secret") })
    const binary = RedisScript.make({ source: "s", keys: 0, result: Schema.Uint8ArrayFromSelf, reply: "bytes" })
    reads(binary(), bulk("ab"), utf8("ab"))
  })

  it("reads its reply by a function, or leaves it undecoded", () => {
    const scores = RedisScript.make({
      source: "s",
      keys: 0,
      result: (reply) => (reply instanceof Resp.MapReply ? 3 : 2)
    })
    reads(scores(), map(bulk("a"), double(1)), 3)
    reads(scores(), array(), 2)
    const throwing = RedisScript.make({
      source: "s",
      keys: 0,
      result: (): string => {
        throw new Error("bug")
      }
    })
    const exit = RedisCommand.decode(throwing(), 1)
    expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
    const plain = RedisScript.make({ source: "s", keys: 0 })
    reads(plain(), array(int(1), error("ERR inside")), [1, Resp.error("ERR inside")])
  })

  it("fails typed, without showing arguments or the script's own text", () => {
    readsError(countUp("secret", 1), error("ERR user_script:1: secret script: abc"), {
      _tag: "ReplyError",
      code: "ERR",
      command: "EVAL",
      message: expect.not.stringContaining("secret")
    })
    readsError(countUp("k", 1), error("LIMITED come back in secret seconds"), {
      _tag: "ReplyError",
      code: "LIMITED",
      message: expect.not.stringContaining("secret")
    })
    // A value that the script read is not an argument, and may even look like a code of the server.
    readsError(countUp("k", 1), error("READONLY secret"), {
      _tag: "ReplyError",
      code: "READONLY",
      message: expect.not.stringContaining("secret")
    })
    // Errors of the server itself inside a script are shown.
    const wrong = "WRONGTYPE Operation against a key holding the wrong kind of value"
    readsError(countUp("k", 1), error(`${wrong} script: ${countUp.sha1}, on @user_script:1.`), {
      _tag: "ReplyError",
      message: `EVAL: ${wrong}`
    })
  })

  it("is equal to a call of the same script with the same arguments", () => {
    expect(Equal.equals(countUp("k", 1), countUp("k", 1))).toBe(true)
    expect(Hash.hash(countUp("k", 1))).toBe(Hash.hash(countUp("k", 1)))
    expect(Equal.equals(countUp("k", 1), countUp("k", 2))).toBe(false)
    expect(Equal.equals(countUp("k", 1), countUp("l", 1))).toBe(false)
    // Same bytes and decoder as EVAL, but sent alone a script tries EVALSHA first.
    const plain = RedisScript.make({ source: "s", keys: 0 })
    expect(Equal.equals(plain(), Redis.eval("s"))).toBe(false)
    expect(Equal.equals(plain(), RedisScript.make({ source: "s", keys: 0 })())).toBe(true)
  })

  it("scripts are distinguished from other functions, and print without their source", () => {
    expect(RedisScript.isRedisScript(countUp)).toBe(true)
    expect(RedisScript.isRedisScript(() => countUp)).toBe(false)
    expect(countUp.source).toBe(source)
    for (const printed of [String(countUp), JSON.stringify(countUp), util.inspect(countUp)]) {
      expect(printed).toContain(countUp.sha1)
      expect(printed).not.toContain("INCRBY")
    }
  })
})

/** A client of a scripted peer, and the commands that the peer received. */
const over = (
  then: Parameters<typeof Peer.greeting>[0],
  options: RedisOptions = {}
): Effect.Effect<
  { readonly redis: RedisService; readonly asked: () => ReadonlyArray<string>; readonly peer: Peer.Peer },
  unknown,
  import("effect/Scope").Scope
> =>
  Effect.gen(function* () {
    const peer = yield* Peer.make({ onCommand: Peer.greeting(then) })
    const redis = yield* Redis.make({
      host: "127.0.0.1",
      port: peer.port,
      reconnect: Schedule.spaced("5 millis"),
      ...options
    })
    const asked = () =>
      peer.connections.flatMap(({ received }) =>
        received.map((words) => words.join(" ")).filter((words) => !/^(?:HELLO|CLIENT)/.test(words))
      )
    return { redis, asked, peer }
  })

const bySha = `EVALSHA ${countUp.sha1} 1 k 1`
const bySource = `EVAL ${source} 1 k 1`

describe("a script's call outside a batch", () => {
  it.scoped("is sent by SHA1, and once with the source when the server answers NOSCRIPT", () =>
    Effect.gen(function* () {
      let held = false
      const { asked, redis } = yield* over(([name]) => {
        const answer = held || name === "EVAL" ? int(5) : noScript
        held ||= name === "EVAL"
        return answer
      })
      const program = Effect.provideService(countUp("k", 1), Redis, redis)
      expect(yield* program).toBe(5)
      expect(asked()).toEqual([bySha, bySource])
      expect(yield* program).toBe(5)
      expect(asked()).toEqual([bySha, bySource, bySha])
    })
  )

  it.scoped("NOSCRIPT in reply to the source is the result", () =>
    Effect.gen(function* () {
      const { asked, redis } = yield* over(() => noScript)
      const failure = yield* Effect.flip(Effect.provideService(countUp("k", 1), Redis, redis))
      expect(failure).toMatchObject({ _tag: "ReplyError", code: "NOSCRIPT", command: "EVAL" })
      expect(asked()).toEqual([bySha, bySource])
    })
  )

  for (const answer of [
    "-ERR Error running script\r\n",
    "-BUSY Redis is busy running a script.\r\n",
    "-NOSCRIPT of the script's own making\r\n",
    `-NOSCRIPT No matching script. Please use EVAL. script: ${countUp.sha1}, on @user_script:1.\r\n`,
    "-LOADING in words of the script\r\n",
    "$4\r\ntext\r\n"
  ]) {
    it.scoped(`no other error is retried: ${answer.trim()}`, () =>
      Effect.gen(function* () {
        const { asked, redis } = yield* over(() => answer)
        yield* Effect.flip(Effect.provideService(countUp("k", 1), Redis, redis))
        expect(asked()).toEqual([bySha])
      })
    )
  }

  it.scoped("nothing is sent when an argument is invalid", () =>
    Effect.gen(function* () {
      const { asked, redis } = yield* over(() => int(1))
      expect(yield* Effect.flip(Effect.provideService(countUp("k", 1.5), Redis, redis))).toMatchObject({
        _tag: "UsageError",
        reason: "invalidArgument"
      })
      expect(asked()).toEqual([])
    })
  )

  it.scoped("a sent EVALSHA is not retried after a lost connection, unless the script is readonly", () =>
    Effect.gen(function* () {
      let cuts = 0
      const { asked, redis } = yield* over(([name], connection) => {
        if (name === "EVALSHA" || cuts++ === 0) {
          connection.reset()
          return undefined
        }
        return bulk("v")
      })
      const failure = yield* Effect.flip(Effect.provideService(countUp("k", 1), Redis, redis))
      expect(failure).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      expect(asked()).toEqual([bySha])
      expect(yield* Effect.provideService(current("k"), Redis, redis)).toEqual(Option.some("v"))
      expect(asked().slice(1)).toEqual(Array.from({ length: 2 }, () => `EVALSHA_RO ${current.sha1} 1 k`))
    })
  )

  it.scoped("a sent EVAL with the source is not retried after a lost connection", () =>
    Effect.gen(function* () {
      const { asked, redis } = yield* over(([name], connection) => {
        if (name === "EVALSHA") {
          return noScript
        }
        connection.reset()
        return undefined
      })
      const failure = yield* Effect.flip(Effect.provideService(countUp("k", 1), Redis, redis))
      expect(failure).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      expect(asked()).toEqual([bySha, bySource])
    })
  )

  it.scopedLive("its deadline covers EVALSHA and EVAL together", () =>
    Effect.gen(function* () {
      const { asked, redis } = yield* over(([name], { write }) => {
        if (name === "EVALSHA") {
          setTimeout(() => write(noScript), 2_500)
        }
        return undefined
      })
      const call = RedisCommand.withDeadline(countUp("k", 1), "4 seconds")
      const [took, failure] = yield* Effect.timed(Effect.flip(Effect.provideService(call, Redis, redis)))
      expect(failure).toMatchObject({ _tag: "DeadlineError", phase: "reply", milliseconds: 4_000, command: "EVAL" })
      expect(asked()).toEqual([bySha, bySource])
      expect(Duration.toMillis(took)).toBeGreaterThan(3_900)
      // If the deadline began again with the second command, it would be at least 6.5 s.
      expect(Duration.toMillis(took)).toBeLessThan(6_400)
    })
  )

  it.scoped("stays a script when it is mapped, rewritten, prefixed, or executed on a connection", () =>
    Effect.gen(function* () {
      const { asked, redis } = yield* over(([name]) => (name === "EVALSHA" ? noScript : int(5)))
      const run = <A, E>(effect: Effect.Effect<A, E, Redis>) => Effect.provideService(effect, Redis, redis)
      expect(yield* run(RedisCommand.map(countUp("k", 1), (n) => n * 2))).toBe(10)
      expect(asked()).toEqual([bySha, bySource])
      yield* run(RedisCommand.mapArguments(countUp("k", 1), ({ data, kind }) => (kind === "key" ? `p:${data}` : data)))
      yield* run(Redis.withPrefix(countUp("k", 1), "p:"))
      expect(asked().slice(2)).toEqual([bySha, bySource, bySha, bySource].map((words) => words.replace(" k ", " p:k ")))
    })
  )

  it.scoped("works the same on a dedicated connection", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name]) => (name === "EVALSHA" ? noScript : int(5)))
      })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port })
      const connection = yield* pool.acquire
      expect(yield* connection.execute(countUp("k", 1))).toBe(5)
      expect(peer.connections.flatMap(({ received }) => received.map((words) => words[0]))).toContain("EVALSHA")
    })
  )
})

describe("a script's call in a batch", () => {
  it.scoped(
    "is sent with its source unless the server is known to hold it, in a transaction always; NOSCRIPT is its slot's error",
    () =>
      Effect.gen(function* () {
        const { asked, redis } = yield* over(([name, script]) => {
          switch (name) {
            case "EVAL":
              return script === source ? int(5) : noScript
            case "EVALSHA":
              return int(5)
            case "MULTI":
              return simple("OK")
            case "EXEC":
              return array(int(6))
            default:
              return simple("PONG")
          }
        })
        const run = <A, E>(effect: Effect.Effect<A, E, Redis>) => Effect.provideService(effect, Redis, redis)
        expect(yield* run(Redis.pipeline([countUp("k", 1), Redis.execute("PING")]))).toEqual([5, "PONG"])
        expect(asked()).toEqual([bySource, "PING"])
        expect(yield* run(Redis.transaction({ count: countUp("k", 1) }))).toEqual({ count: 6 })
        expect(asked().slice(2)).toEqual(["MULTI", bySource, "EXEC"])
        const other = RedisScript.make({ source: "other", keys: 0 })
        const [failed, fine] = yield* run(Redis.pipeline([other(), countUp("k", 1)], { mode: "either" }))
        expect(Option.getOrThrow(Either.getLeft(failed))).toMatchObject({ _tag: "ReplyError", code: "NOSCRIPT" })
        expect(fine).toEqual(Either.right(5))
        expect(asked().slice(5)).toEqual(["EVAL other 0", `EVALSHA ${countUp.sha1} 1 k 1`])
      })
  )
})

describe("functions", () => {
  const source = "#!lua name=counters\nredis.register_function('count_up', f)"
  const countUp = RedisFunction.make("count_up", { keys: 1, args: [Schema.Int], result: Schema.Int })

  it("are called by name", () => {
    sends(countUp("k", 2), ["FCALL", "count_up", "1", "k", "2"])
    tagged(countUp("k", 2), ["token", "value", "key", "value"])
    expect(countUp("k", 2).traits.readonly).toBe(false)
    reads(countUp("k", 2), int(2), 2)
    const current = RedisFunction.make("current", {
      keys: "any",
      result: Schema.OptionFromNullOr(Schema.String),
      readonly: true
    })
    sends(current(["k", "l"]), ["FCALL_RO", "current", "2", "k", "l"])
    expect(current("k").traits.readonly).toBe(true)
    reads(current("k"), nil2, Option.none())
    readsError(countUp("k", 2), error("ERR secret script: count_up, on @user_function:1."), {
      _tag: "ReplyError",
      code: "ERR",
      message: expect.not.stringContaining("secret")
    })
    expect(Equal.equals(countUp("k", 2), countUp("k", 2))).toBe(true)
    expect(countUp.name).toBe("count_up")
    expect(RedisFunction.isRedisFunction(countUp)).toBe(true)
    expect(RedisFunction.isRedisFunction(current("k"))).toBe(false)
    expect([String(countUp), JSON.stringify(countUp)]).toEqual([
      "RedisFunction(count_up)",
      `{"_id":"RedisFunction","name":"count_up"}`
    ])
    expect(util.inspect(countUp)).toContain("count_up")
  })

  it("are loaded as a library", () => {
    const library = RedisFunction.library(source)
    expect(library.name).toBe("counters")
    expect(RedisFunction.library("#!lua engine=x name='a_1'\n").name).toBe("a_1")
    sends(library.load, ["FUNCTION", "LOAD", "REPLACE", source])
    for (const nameless of ["return 1", "#!lua\nname=counters", "-- #!lua name=x"]) {
      refuses(RedisFunction.library(nameless).load, /must begin with a line like/)
    }
  })

  it.scoped("a sent FCALL is not retried after a lost connection, unless the function is readonly", () =>
    Effect.gen(function* () {
      let cut = false
      const { asked, redis } = yield* over((_, connection) => {
        cut = !cut
        return cut ? void connection.reset() : int(1)
      })
      const run = <A, E>(effect: Effect.Effect<A, E, Redis>) => Effect.provideService(effect, Redis, redis)
      expect(yield* Effect.flip(run(countUp("k", 1)))).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      cut = false
      const current = RedisFunction.make("current", { keys: 1, result: Schema.Int, readonly: true })
      expect(yield* run(current("k"))).toBe(1)
      expect(asked()).toEqual(["FCALL count_up 1 k 1", "FCALL_RO current 1 k", "FCALL_RO current 1 k"])
    })
  )
})

/** Runs an effect, and records the names of the commands that are sent outside a batch. */
const spied = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Redis, (redis) => {
    const names: Array<string> = []
    const service: RedisService = {
      ...redis,
      send: (command) => {
        names.push(command.name)
        return redis.send(command)
      }
    }
    return Effect.map(Effect.provideService(effect, Redis, service), (value) => [value, names] as const)
  })

liveSuite(
  "scripts and functions as values",
  ({ effect, live, needs, onLease, protocol }) => {
    const forget = Redis.scriptFlush({ sync: true })

    effect("a script is sent once, and called by its SHA1 from then on", () =>
      Effect.gen(function* () {
        yield* forget
        expect(yield* spied(countUp("k", 2))).toEqual([2, ["EVALSHA", "EVAL"]])
        expect(yield* spied(countUp("k", 3))).toEqual([5, ["EVALSHA"]])
        expect(yield* Redis.scriptExists(countUp.sha1)).toEqual([true])
        yield* forget
        expect(yield* countUp.load).toBe(countUp.sha1)
        expect(yield* spied(countUp("k", 1))).toEqual([6, ["EVALSHA"]])
        // On another server run or another lease nothing is assumed to be held.
        yield* forget
        expect(yield* onLease(countUp("k", 1))).toBe(7)
      })
    )

    effect("works in a pipeline, in a transaction, under WATCH and with a prefix", () =>
      Effect.gen(function* () {
        yield* forget
        expect(yield* Redis.pipeline([countUp("k", 1), Redis.get("k"), countUp("k", 1)])).toEqual([
          1,
          Option.some("1"),
          2
        ])
        yield* forget
        expect(yield* Redis.transaction({ a: countUp("k", 1), b: Redis.get("k") })).toEqual({
          a: 3,
          b: Option.some("3")
        })
        yield* forget
        const moved = yield* Redis.optimistic(
          "k",
          Effect.map(countUp("other", 4), (n) => Redis.transaction([countUp("k", n)]))
        )
        expect(moved).toEqual([7])
        yield* Redis.withPrefix(countUp("k", 1), "p:")
        expect(yield* Redis.get("p:k")).toEqual(Option.some("1"))
        const all = yield* Effect.forEach(Array.from({ length: 50 }), () => countUp("many", 1), {
          concurrency: "unbounded"
        })
        expect(all.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
      })
    )

    effect("results are the same under both protocols", () =>
      Effect.gen(function* () {
        const result = Schema.Tuple(
          Schema.OptionFromNullOr(Schema.String),
          RedisScript.LuaBoolean,
          RedisScript.LuaBoolean,
          Schema.Array(Schema.NumberFromString),
          Schema.parseJson(Schema.Struct({ name: Schema.String }))
        )
        const script = RedisScript.make({
          source: "return {false, true, false, {ARGV[1], ARGV[2]}, cjson.encode({name = cjson.decode(ARGV[3]).name})}",
          keys: 0,
          args: [Schema.Number, Schema.Boolean, Codec.schema(Schema.Struct({ name: Schema.String }))],
          result
        })
        const answer = yield* script(1.5, true, { name: "Ada" })
        expect(answer).toEqual([Option.none(), true, false, [1.5, 1], { name: "Ada" }])
        const three = RedisScript.make({
          source: "redis.setresp(3); return {map = {a = true}}",
          keys: 0,
          result: Schema.Array(Schema.Unknown)
        })
        expect(yield* three()).toEqual(["a", 1])
        const truth = RedisScript.make({
          source: "redis.setresp(3); return {true, false}",
          keys: 0,
          result: Schema.Tuple(RedisScript.LuaBoolean, RedisScript.LuaBoolean)
        })
        expect(yield* truth()).toEqual([true, false])
        const bytes = RedisScript.make({
          source: "return {KEYS[1], ARGV[1]}",
          keys: 1,
          args: [Codec.bytes],
          result: Schema.Array(Schema.Uint8ArrayFromSelf),
          reply: "bytes"
        })
        const odd = new Uint8Array([0xff, 0, 0x0d, 0x0a])
        expect(yield* bytes(odd, odd)).toEqual([odd, odd])
        const whole = RedisScript.make({ source: "redis.setresp(3); return {map = {a = 1}}", keys: 0 })
        expect(yield* whole()).toEqual(protocol === 3 ? new Resp.MapReply(["a", 1]) : ["a", 1])
      })
    )

    effect("a script's failure is typed, and is not retried", () =>
      Effect.gen(function* () {
        const fails = (failure: string) =>
          RedisScript.make({ source: `redis.call('INCR', KEYS[1]) ${failure}`, keys: 1, args: [Schema.String] })
        const cases: ReadonlyArray<readonly [string, string]> = [
          ["return redis.error_reply('LIMITED ' .. ARGV[1])", "LIMITED"],
          ["error(ARGV[1])", "ERR"],
          ["error({err = 'NOSCRIPT ' .. ARGV[1]})", "NOSCRIPT"],
          ["return redis.error_reply('NOSCRIPT ' .. ARGV[1])", "NOSCRIPT"],
          ["redis.call('LPUSH', KEYS[1], ARGV[1])", "WRONGTYPE"]
        ]
        for (const [failure, code] of cases) {
          yield* Redis.set("k", "0")
          const script = fails(failure)
          yield* script.load
          const error = yield* Effect.flip(script("k", "hunter2"))
          expect(error).toMatchObject({ _tag: "ReplyError", code, command: "EVALSHA" })
          expect(error.message).not.toContain("hunter2")
          expect(yield* Redis.get("k"), failure).toEqual(Option.some("1"))
        }
        const nonsense = RedisScript.make({ source: "this is no Lua", keys: 0 })
        const error = yield* Effect.flip(nonsense())
        expect(error).toMatchObject({ _tag: "ReplyError", code: "ERR", command: "EVAL" })
        expect(error.message).not.toContain("Lua")
        expect(error._tag === "ReplyError" && Redacted.value(error.raw)).toContain("compiling")
      })
    )

    effect("a readonly script", () =>
      Effect.gen(function* () {
        yield* needs("EVAL_RO")
        yield* forget
        yield* Redis.set("k", "v")
        expect(yield* spied(current("k"))).toEqual([Option.some("v"), ["EVALSHA_RO", "EVAL_RO"]])
        expect(yield* spied(current("none"))).toEqual([Option.none(), ["EVALSHA_RO"]])
        const writes = RedisScript.make({ source, keys: 1, args: [Schema.Int], readonly: true })
        expect(yield* Effect.flip(writes("k", 1))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
      })
    )

    live("a script that runs for too long is killed", () =>
      Effect.gen(function* () {
        const endless = RedisScript.make({ source: "while true do end", keys: 0 })
        const script = yield* Effect.fork(Effect.flip(onLease(endless())))
        yield* Effect.eventually(Effect.delay(Redis.scriptKill(), "20 millis")).pipe(Effect.timeout("1 minute"))
        expect(yield* script).toMatchObject({ _tag: "ReplyError" })
      })
    )

    effect("functions", () =>
      Effect.gen(function* () {
        yield* needs("FCALL")
        const library = RedisFunction.library(`#!lua name=counters
        redis.register_function('count_up', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
        redis.register_function{
          function_name = 'current',
          callback = function(keys) return redis.call('GET', keys[1]) end,
          flags = { 'no-writes' }
        }`)
        const countUp = RedisFunction.make("count_up", { keys: 1, args: [Schema.Int], result: Schema.Int })
        const current = RedisFunction.make("current", {
          keys: 1,
          result: Schema.OptionFromNullOr(Schema.NumberFromString),
          readonly: true
        })
        yield* Redis.functionFlush({ sync: true })
        expect(yield* Effect.flip(countUp("k", 1))).toMatchObject({ _tag: "ReplyError", code: "ERR", command: "FCALL" })
        expect(yield* library.load).toBe("counters")
        expect(yield* library.load).toBe(library.name)
        expect(yield* countUp("k", 2)).toBe(2)
        expect(yield* current("k")).toEqual(Option.some(2))
        expect(yield* Redis.pipeline([countUp("k", 1), current("k"), current("none")])).toEqual([
          3,
          Option.some(3),
          Option.none()
        ])
        yield* Redis.withPrefix(countUp("k", 1), "p:")
        expect(yield* Redis.get("p:k")).toEqual(Option.some("1"))
        const writes = RedisFunction.make("count_up", { keys: 1, args: [Schema.Int], readonly: true })
        expect(yield* Effect.flip(writes("k", 1))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        yield* Redis.functionFlush({ sync: true })
      })
    )
  },
  { server: { config: { "busy-reply-threshold": "50" } } }
)
