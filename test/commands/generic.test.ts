import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/generic.js"
import { make as makeStrings } from "../../src/commands/string.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import {
  liveSuite,
  notOverCluster,
  onOneNode,
  reads,
  readsEach,
  readsError,
  refuses,
  sends,
  tagged,
  wire
} from "../support/commands.js"

const generic = make(Codec.utf8)
const binary = make(Codec.bytes)
const numbers = make(Codec.json)
const strings = makeStrings(Codec.utf8)

const whole = new Date("2030-01-01T00:00:00Z")
const payload = Uint8Array.of(0x00, 0x01, 0xff, 0x0d, 0x0a)
const raw = (name: string, ...args: ReadonlyArray<string>) => RedisCommand.make(name, { args })

describe("generic commands encode their arguments", () => {
  it("commands on keys", () => {
    for (const [name, command] of [
      ["DEL", generic.del],
      ["EXISTS", generic.exists],
      ["TOUCH", generic.touch],
      ["UNLINK", generic.unlink]
    ] as const) {
      sends(command("a"), [name, "a"])
      sends(command(["a", payload]), [name, "a", payload])
      refuses(command([] as never), /at least one key/)
    }
    sends(generic.dump("k"), ["DUMP", "k"])
    sends(generic.keys("user:*"), ["KEYS", "user:*"])
    sends(generic.move("k", 2), ["MOVE", "k", "2"])
    sends(generic.objectEncoding("k"), ["OBJECT", "ENCODING", "k"])
    sends(generic.objectFreq("k"), ["OBJECT", "FREQ", "k"])
    sends(generic.objectIdletime("k"), ["OBJECT", "IDLETIME", "k"])
    sends(generic.objectRefcount("k"), ["OBJECT", "REFCOUNT", "k"])
    sends(generic.persist("k"), ["PERSIST", "k"])
    sends(generic.randomkey(), ["RANDOMKEY"])
    sends(generic.rename("a", "b"), ["RENAME", "a", "b"])
    sends(generic.renamenx("a", "b"), ["RENAMENX", "a", "b"])
    sends(generic.type("k"), ["TYPE", "k"])
  })

  it("COPY", () => {
    sends(generic.copy("a", "b"), ["COPY", "a", "b"])
    sends(generic.copy("a", "b", { db: 3, replace: true }), ["COPY", "a", "b", "DB", "3", "REPLACE"])
  })

  it("EXPIRE, TTL and related commands: units, conditions and refused durations", () => {
    sends(generic.expire("k", "10 seconds"), ["EXPIRE", "k", "10"])
    sends(generic.expire("k", Duration.zero), ["EXPIRE", "k", "0"])
    sends(generic.expire("k", "10 seconds", { nx: true }), ["EXPIRE", "k", "10", "NX"])
    sends(generic.expire("k", "10 seconds", { xx: true }), ["EXPIRE", "k", "10", "XX"])
    sends(generic.expire("k", "10 seconds", { gt: true }), ["EXPIRE", "k", "10", "GT"])
    sends(generic.expire("k", "10 seconds", { lt: true }), ["EXPIRE", "k", "10", "LT"])
    sends(generic.expire("k", "10 seconds", { xx: true, gt: true }), ["EXPIRE", "k", "10", "XX", "GT"])
    sends(generic.expire("k", "10 seconds", { xx: true, lt: true }), ["EXPIRE", "k", "10", "XX", "LT"])
    sends(generic.pexpire("k", "1500 millis", { gt: true }), ["PEXPIRE", "k", "1500", "GT"])
    sends(generic.expireat("k", whole, { lt: true }), ["EXPIREAT", "k", "1893456000", "LT"])
    sends(generic.pexpireat("k", DateTime.unsafeMake(whole), { nx: true }), ["PEXPIREAT", "k", "1893456000000", "NX"])
    sends(generic.expiretime("k"), ["EXPIRETIME", "k"])
    sends(generic.pexpiretime("k"), ["PEXPIRETIME", "k"])
    sends(generic.ttl("k"), ["TTL", "k"])
    sends(generic.pttl("k"), ["PTTL", "k"])
    refuses(generic.expire("k", "1500 millis"), /whole seconds/)
    refuses(generic.expire("k", Duration.infinity), /finite/)
    refuses(generic.pexpire("k", "1 nano"), /whole milliseconds/)
    refuses(generic.expireat("k", new Date(1001)), /whole seconds/)
    refuses(generic.pexpireat("k", new Date(Number.NaN)), /valid date/)
  })

  it("MIGRATE", () => {
    const password = Redacted.make("secret")
    sends(generic.migrate("k", "host", 6379, 0, "5 seconds"), ["MIGRATE", "host", "6379", "k", "0", "5000"])
    sends(generic.migrate(["a", "b"], "host", 6379, 1, "5 seconds", { copy: true, replace: true, auth: password }), [
      "MIGRATE",
      "host",
      "6379",
      "",
      "1",
      "5000",
      "COPY",
      "REPLACE",
      "AUTH",
      "secret",
      "KEYS",
      "a",
      "b"
    ])
    sends(generic.migrate("k", "host", 6379, 0, "5 seconds", { auth2: { username: "ada", password } }), [
      "MIGRATE",
      "host",
      "6379",
      "k",
      "0",
      "5000",
      "AUTH2",
      "ada",
      "secret"
    ])
    refuses(generic.migrate("k", "host", 6379, 0, Duration.zero), /longer than zero/)
    refuses(generic.migrate([] as never, "host", 6379, 0, "1 second"), /at least one key/)
    const command = generic.migrate(["a"], "host", 6379, 0, "1 second", { auth: password })
    expect(String(command)).toBe(
      "RedisCommand(MIGRATE <value> <value> <value> <value> <value> AUTH <value> KEYS <key>)"
    )
    expect(JSON.stringify(command)).not.toContain("secret")
  })

  it("RESTORE", () => {
    sends(generic.restore("k", payload), ["RESTORE", "k", "0", payload])
    sends(generic.restore("k", payload, { ttl: "10 seconds", replace: true, freq: 7 }), [
      "RESTORE",
      "k",
      "10000",
      payload,
      "REPLACE",
      "FREQ",
      "7"
    ])
    sends(generic.restore("k", payload, { absttl: whole, idletime: "1 minute" }), [
      "RESTORE",
      "k",
      "1893456000000",
      payload,
      "ABSTTL",
      "IDLETIME",
      "60"
    ])
    refuses(generic.restore("k", payload, { ttl: Duration.zero }), /longer than zero/)
    refuses(generic.restore("k", payload, { absttl: new Date(0) }), /longer than zero/)
  })

  it("SCAN", () => {
    sends(generic.scan("0"), ["SCAN", "0"])
    sends(generic.scan("18446744073709551615", { match: "a*", count: 100, type: "hash" }), [
      "SCAN",
      "18446744073709551615",
      "MATCH",
      "a*",
      "COUNT",
      "100",
      "TYPE",
      "hash"
    ])
    refuses(generic.scan("x"), /cursor/)
    tagged(generic.scan("0", { match: "a*" }), ["value", "token", "pattern"])
  })

  it("SORT and SORT_RO", () => {
    sends(generic.sort("k"), ["SORT", "k"])
    sends(generic.sort("k", { by: "nosort", desc: true, alpha: true }), ["SORT", "k", "BY", "nosort", "DESC", "ALPHA"])
    sends(
      generic.sort("k", { by: "w:*", limit: { offset: 5, count: 10 }, get: ["#", "u:*->n"], asc: true, store: "d" }),
      ["SORT", "k", "BY", "w:*", "LIMIT", "5", "10", "GET", "#", "GET", "u:*->n", "ASC", "STORE", "d"]
    )
    sends(generic.sortRo("k"), ["SORT_RO", "k"])
    sends(generic.sortRo("k", { by: "w:*", limit: { offset: 0, count: 1 }, get: "u:*", asc: true, alpha: true }), [
      "SORT_RO",
      "k",
      "BY",
      "w:*",
      "LIMIT",
      "0",
      "1",
      "GET",
      "u:*",
      "ASC",
      "ALPHA"
    ])
    refuses(generic.sort("k", { get: [] as never }), /at least one pattern/)
    tagged(generic.sort("k", { by: "nosort", get: ["#", "u:*"], store: "d" }), [
      "key",
      "token",
      "token",
      "token",
      "token",
      "token",
      "keyPrefix",
      "token",
      "key"
    ])
  })

  it("WAIT and WAITAOF", () => {
    sends(generic.wait(2, "1500 millis"), ["WAIT", "2", "1500"])
    sends(generic.wait(2, Duration.infinity), ["WAIT", "2", "0"])
    sends(generic.waitaof(1, 2, "1 second"), ["WAITAOF", "1", "2", "1000"])
    refuses(generic.wait(1, Duration.zero), /longer than zero/)
    expect(generic.wait(1, "1 second").traits.blocking).toEqual({ unit: "milliseconds", index: -1 })
  })

  it("commands with the same name, arguments and codec are equal", () => {
    expect(Equal.equals(generic.scan("0"), generic.scan("0"))).toBe(true)
    expect(Equal.equals(generic.sort("k", { get: "a" }), generic.sort("k", { get: "a" }))).toBe(true)
    expect(Equal.equals(generic.objectIdletime("k"), generic.objectIdletime("k"))).toBe(true)
    expect(Equal.equals(generic.ttl("k"), generic.ttl("k"))).toBe(true)
  })
})

describe("generic commands decode their replies", () => {
  it("commands that answer a boolean or a count", () => {
    for (const command of [
      generic.copy("a", "b"),
      generic.expire("k", "1 second"),
      generic.expireat("k", whole),
      generic.move("k", 1),
      generic.persist("k"),
      generic.pexpire("k", "1 second"),
      generic.pexpireat("k", whole),
      generic.renamenx("a", "b")
    ]) {
      reads(command, ":1\r\n", true)
      reads(command, ":0\r\n", false)
      readsError(command, wire.nil, { _tag: "DecodeError" })
    }
    for (const command of [
      generic.del("k"),
      generic.exists("k"),
      generic.touch("k"),
      generic.unlink("k"),
      generic.wait(1, "1 second")
    ]) {
      reads(command, ":2\r\n", 2)
    }
    reads(generic.waitaof(0, 1, "1 second"), wire.array(":1\r\n", ":2\r\n"), { local: 1, replicas: 2 })
    reads(generic.rename("a", "b"), "+OK\r\n", undefined)
    readsError(generic.rename("a", "b"), "-ERR no such key\r\n", { _tag: "ReplyError", code: "ERR" })
    reads(generic.restore("k", payload), "+OK\r\n", undefined)
    readsError(generic.restore("k", payload), "-BUSYKEY Target key name already exists.\r\n", {
      code: "BUSYKEY",
      _tag: "ReplyError"
    })
    reads(generic.migrate("k", "h", 1, 0, "1 second"), "+OK\r\n", true)
    reads(generic.migrate("k", "h", 1, 0, "1 second"), "+NOKEY\r\n", false)
  })

  it("TTL, PTTL, EXPIRETIME and PEXPIRETIME", () => {
    for (const command of [generic.ttl("k"), generic.pttl("k")]) {
      reads(command, ":-2\r\n", Option.none())
      reads(command, ":-1\r\n", Option.some(Duration.infinity))
    }
    reads(generic.ttl("k"), ":90\r\n", Option.some(Duration.seconds(90)))
    reads(generic.pttl("k"), ":1500\r\n", Option.some(Duration.millis(1500)))
    reads(generic.ttl("k"), ":0\r\n", Option.some(Duration.zero))
    for (const command of [generic.expiretime("k"), generic.pexpiretime("k")]) {
      reads(command, ":-2\r\n", Option.none())
      reads(command, ":-1\r\n", Option.some(Option.none()))
    }
    reads(generic.expiretime("k"), ":1893456000\r\n", Option.some(Option.some(DateTime.unsafeMake(whole))))
    reads(generic.pexpiretime("k"), ":1893456000000\r\n", Option.some(Option.some(DateTime.unsafeMake(whole))))
    readsError(generic.pexpiretime("k"), ":9007199254740991\r\n", { _tag: "DecodeError" })
  })

  it("DUMP is bytes under every codec", () => {
    const reply = Buffer.concat([Buffer.from("$5\r\n"), payload, Buffer.from("\r\n")])
    reads(generic.dump("k"), reply, Option.some(payload))
    reads(binary.dump("k"), reply, Option.some(payload))
    reads(generic.dump("k"), wire.bulk("text"), Option.some(Uint8Array.of(0x74, 0x65, 0x78, 0x74)))
    readsEach(generic.dump("k"), [wire.nil2, wire.nil], Option.none())
  })

  it("OBJECT", () => {
    reads(generic.objectEncoding("k"), wire.bulk("listpack"), Option.some("listpack"))
    reads(generic.objectFreq("k"), ":7\r\n", Option.some(7))
    reads(generic.objectIdletime("k"), ":7\r\n", Option.some(Duration.seconds(7)))
    reads(generic.objectRefcount("k"), ":2147483647\r\n", Option.some(2147483647))
    for (const command of [
      generic.objectEncoding("k"),
      generic.objectFreq("k"),
      generic.objectIdletime("k"),
      generic.objectRefcount("k")
    ]) {
      readsEach<Option.Option<unknown>>(command, [wire.nil2, wire.nil], Option.none())
    }
  })

  it("SCAN, KEYS, RANDOMKEY and TYPE: keys by the codec", () => {
    const page = wire.array(wire.bulk("18446744073709551615"), wire.array(wire.bulk("a"), wire.bulk("b")))
    reads(generic.scan("0"), page, { cursor: "18446744073709551615", items: ["a", "b"] })
    reads(binary.scan("0"), page, { cursor: "18446744073709551615", items: [Uint8Array.of(0x61), Uint8Array.of(0x62)] })
    reads(generic.scan("0"), wire.array(wire.bulk("0"), wire.array()), { cursor: "0", items: [] })
    reads(generic.keys("*"), wire.array(wire.bulk("a")), ["a"])
    reads(binary.keys("*"), wire.array(wire.bulk("a")), [Uint8Array.of(0x61)])
    reads(generic.randomkey(), wire.bulk("a"), Option.some("a"))
    readsEach(generic.randomkey(), [wire.nil2, wire.nil], Option.none())
    readsError(
      generic.keys("*"),
      Buffer.concat([Buffer.from("*1\r\n$1\r\n"), Uint8Array.of(0xff), Buffer.from("\r\n")]),
      { _tag: "DecodeError", path: [0] }
    )
    reads(generic.type("k"), "+none\r\n", "none")
    reads(generic.type("k"), "+ReJSON-RL\r\n", "ReJSON-RL")
  })

  it("SORT and SORT_RO, by their options", () => {
    reads(generic.sort("k"), wire.array(wire.bulk("1"), wire.bulk("2")), ["1", "2"])
    reads(numbers.sort("k"), wire.array(wire.bulk("1"), wire.bulk("2")), [1, 2])
    reads(generic.sort("k", { get: ["#", "x:*"] }), wire.array(wire.bulk("1"), wire.nil2), [
      Option.some("1"),
      Option.none()
    ])
    reads(generic.sort("k", { store: "d" }), ":2\r\n", 2)
    reads(generic.sort("k", { store: "d", get: "x" }), ":2\r\n", 2)
    reads(generic.sortRo("k"), wire.array(), [])
    reads(generic.sortRo("k", { get: "x:*" }), wire.array(wire.nil), [Option.none()])
  })
})

liveSuite("generic", ({ effect, isSince, live, needs, needsVersion, onLease, protocol, server }) => {
  const text = (reply: unknown) => String(reply)

  effect("EXISTS, DEL, KEYS and other commands about which keys exist", () =>
    Effect.gen(function* () {
      yield* strings.mset({ a: "1", b: "2", c: "3" })
      expect(yield* generic.exists(["a", "a", "none"])).toBe(2)
      expect(yield* generic.touch(["a", "none"])).toBe(1)
      expect(yield* generic.type("a")).toBe("string")
      expect(yield* generic.type("none")).toBe("none")
      expect((yield* generic.keys("*")).sort()).toEqual(["a", "b", "c"])
      expect(yield* binary.keys("a")).toEqual([Uint8Array.of(0x61)])
      expect(["a", "b", "c"]).toContain(Option.getOrThrow(yield* generic.randomkey()))
      expect(yield* generic.del(["a", "none"])).toBe(1)
      expect(yield* generic.unlink(["b", "c"])).toBe(2)
      expect(yield* generic.randomkey()).toEqual(Option.none())
    })
  )

  effect("COPY and MOVE to another database", () =>
    Effect.gen(function* () {
      yield* notOverCluster("a cluster has one database")
      yield* strings.mset({ a: "1", b: "2" })
      expect(yield* generic.copy("b", "b", { db: 1 })).toBe(true)
      expect(yield* generic.move("b", 1)).toBe(false)
      expect(yield* generic.move("a", 1)).toBe(true)
      expect(yield* generic.keys("*")).toEqual(["b"])
    })
  )

  effect("COPY and RENAME", () =>
    Effect.gen(function* () {
      yield* strings.mset({ a: "1", b: "2" })
      expect(yield* generic.copy("a", "c")).toBe(true)
      expect(yield* generic.copy("a", "c")).toBe(false)
      expect(yield* generic.copy("b", "c", { replace: true })).toBe(true)
      expect(yield* strings.get("c")).toEqual(Option.some("2"))
      yield* generic.rename("a", "x")
      expect(yield* generic.renamenx("x", "b")).toBe(false)
      expect(yield* generic.renamenx("x", "y")).toBe(true)
      expect((yield* generic.keys("*")).sort()).toEqual(["b", "c", "y"])
      expect(yield* Effect.flip(generic.rename("none", "x"))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )

  effect("expiries are set, read and removed", () =>
    Effect.gen(function* () {
      expect(yield* generic.ttl("k")).toEqual(Option.none())
      expect(yield* generic.pttl("k")).toEqual(Option.none())
      expect(yield* generic.expire("k", "1 second")).toBe(false)
      yield* strings.set("k", "v")
      expect(yield* generic.ttl("k")).toEqual(Option.some(Duration.infinity))
      expect(yield* generic.pttl("k")).toEqual(Option.some(Duration.infinity))
      expect(yield* generic.persist("k")).toBe(false)
      expect(yield* generic.expire("k", "100 seconds")).toBe(true)
      const seconds = Option.getOrThrow(yield* generic.ttl("k"))
      expect(Duration.between(seconds, { minimum: Duration.seconds(60), maximum: Duration.seconds(100) })).toBe(true)
      expect(yield* generic.pexpire("k", "50500 millis")).toBe(true)
      const millis = Option.getOrThrow(yield* generic.pttl("k"))
      expect(Duration.between(millis, { minimum: Duration.seconds(20), maximum: Duration.millis(50_500) })).toBe(true)
      expect(yield* generic.expireat("k", whole)).toBe(true)
      expect(yield* generic.pexpireat("k", whole)).toBe(true)
      expect(yield* generic.persist("k")).toBe(true)
      expect(yield* generic.expire("k", Duration.zero)).toBe(true)
      expect(yield* generic.exists("k")).toBe(0)
    })
  )

  effect("EXPIRE with conditions, and EXPIRETIME", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "7.0", valkey: "7.2" })
      yield* strings.mset({ k: "v", persistent: "v" })
      expect(yield* generic.expiretime("none")).toEqual(Option.none())
      expect(yield* generic.pexpiretime("none")).toEqual(Option.none())
      expect(yield* generic.expiretime("k")).toEqual(Option.some(Option.none()))
      expect(yield* generic.pexpiretime("k")).toEqual(Option.some(Option.none()))
      expect(yield* generic.expire("k", "100 seconds", { xx: true })).toBe(false)
      expect(yield* generic.expire("k", "100 seconds", { gt: true })).toBe(false)
      expect(yield* generic.expire("k", "100 seconds", { nx: true })).toBe(true)
      expect(yield* generic.expire("k", "50 seconds", { gt: true })).toBe(false)
      expect(yield* generic.pexpire("k", "50 seconds", { lt: true })).toBe(true)
      expect(yield* generic.pexpire("k", "60 seconds", { xx: true, gt: true })).toBe(true)
      expect(yield* generic.expire("persistent", "50 seconds", { xx: true, lt: true })).toBe(false)
      expect(yield* generic.pexpireat("k", whole, { gt: true })).toBe(true)
      expect(yield* generic.expireat("k", whole, { nx: true })).toBe(false)
      const expected = Option.some(Option.some(DateTime.unsafeMake(whole)))
      expect(yield* generic.expiretime("k")).toEqual(expected)
      expect(yield* generic.pexpiretime("k")).toEqual(expected)
    })
  )

  effect("DUMP and RESTORE", () =>
    Effect.gen(function* () {
      expect(yield* generic.dump("k")).toEqual(Option.none())
      yield* strings.set("k", "värde")
      const dumped = Option.getOrThrow(yield* generic.dump("k"))
      expect(dumped).toBeInstanceOf(Uint8Array)
      yield* generic.restore("copy", dumped)
      yield* generic.restore("short", dumped, { ttl: "100 seconds" })
      expect(yield* strings.mget(["copy", "short"])).toEqual([Option.some("värde"), Option.some("värde")])
      expect(yield* generic.ttl("copy")).toEqual(Option.some(Duration.infinity))
      expect(Duration.toSeconds(Option.getOrThrow(yield* generic.ttl("short")))).toBeGreaterThan(60)
      expect(yield* Effect.flip(generic.restore("copy", dumped))).toMatchObject({ code: "BUSYKEY" })
      yield* generic.restore("copy", dumped, { replace: true, absttl: whole, idletime: "1000 seconds" })
      expect(Duration.toSeconds(Option.getOrThrow(yield* generic.ttl("copy")))).toBeGreaterThan(1000)
      expect(Duration.toSeconds(Option.getOrThrow(yield* generic.objectIdletime("copy")))).toBeGreaterThanOrEqual(1000)
      yield* generic.restore("used", dumped, { freq: 5 })
      expect(yield* Effect.flip(generic.restore("bad", payload))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )

  effect("MIGRATE", () =>
    Effect.gen(function* () {
      const here = server()
      const there = yield* RedisServer.make({
        executable: Option.getOrUndefined(here.executable),
        password: Redacted.make("sesame")
      })
      const auth = Redacted.make("sesame")
      yield* strings.mset({ a: "1", b: "2", c: "3" })
      expect(yield* generic.migrate("none", there.host, there.port, 0, "20 seconds", { auth })).toBe(false)
      expect(yield* generic.migrate("a", there.host, there.port, 0, "20 seconds", { auth })).toBe(true)
      const auth2 = { username: "default", password: auth }
      expect(yield* generic.migrate(["b", "c"], there.host, there.port, 0, "20 seconds", { auth2, copy: true })).toBe(
        true
      )
      expect((yield* generic.keys("*")).sort()).toEqual(["b", "c"])
      const again = yield* Effect.flip(generic.migrate("b", there.host, there.port, 0, "20 seconds", { auth }))
      expect(again).toMatchObject({ _tag: "ReplyError" })
      expect(yield* generic.migrate("b", there.host, there.port, 0, "20 seconds", { auth, replace: true })).toBe(true)
      const refused = yield* Effect.flip(
        generic.migrate("c", there.host, there.port, 0, "20 seconds", { auth: Redacted.make("wrong-password") })
      )
      expect(text(refused)).not.toContain("wrong-password")
      expect(refused).toMatchObject({ _tag: "ReplyError" })
    })
  )

  effect("OBJECT", () =>
    Effect.gen(function* () {
      expect(yield* generic.objectEncoding("none")).toEqual(Option.none())
      expect(yield* generic.objectIdletime("none")).toEqual(Option.none())
      expect(yield* generic.objectRefcount("none")).toEqual(Option.none())
      expect(yield* generic.objectFreq("none")).toEqual(Option.none())
      // Keys share the small numbers, whose idle time may be that of the server.
      yield* strings.set("k", "123456")
      expect(yield* generic.objectEncoding("k")).toEqual(Option.some("int"))
      expect(Option.getOrThrow(yield* generic.objectRefcount("k"))).toBeGreaterThan(0)
      expect(Duration.toSeconds(Option.getOrThrow(yield* generic.objectIdletime("k")))).toBeLessThan(60)
      expect(yield* Effect.flip(generic.objectFreq("k"))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
      yield* raw("CONFIG SET", "maxmemory-policy", "allkeys-lfu")
      yield* strings.set("f", "1")
      expect(Option.getOrThrow(yield* generic.objectFreq("f"))).toBeGreaterThanOrEqual(0)
    }).pipe(Effect.ensuring(Effect.ignore(raw("CONFIG SET", "maxmemory-policy", "noeviction"))))
  )

  effect("SCAN", () =>
    Effect.gen(function* () {
      const all = Array.from({ length: 50 }, (_, i) => `key:${i}`)
      yield* strings.mset(Object.fromEntries(all.map((key) => [key, key])))
      yield* raw("RPUSH", "list", "a")
      const walk = (options: Parameters<typeof generic.scan>[1]) =>
        Effect.gen(function* () {
          const found = new Set<string>()
          let cursor = "0"
          do {
            const page = yield* generic.scan(cursor, options)
            for (const key of page.items) {
              found.add(key)
            }
            cursor = page.cursor
          } while (cursor !== "0")
          return [...found].sort()
        })
      expect(yield* walk({})).toEqual([...all, "list"].sort())
      expect(yield* walk({ match: "key:1*", count: 5 })).toEqual(all.filter((key) => key.startsWith("key:1")).sort())
      expect(yield* walk({ type: "list" })).toEqual(["list"])
      expect((yield* binary.scan("0", { match: "list", count: 1000 })).items).toEqual(
        [Buffer.from("list")].map((b) => new Uint8Array(b))
      )
    })
  )

  /** Patterns must be of one slot in a cluster, and older servers refuse even these. */
  const needsSortPatterns = Effect.zipRight(
    onOneNode,
    isSince({ redis: "7.4", valkey: "8.0" }) ? Effect.void : notOverCluster("SORT takes no BY and no GET")
  )

  effect("SORT", () =>
    Effect.gen(function* () {
      yield* raw("RPUSH", "ids", "3", "1", "2")
      expect(yield* generic.sort("ids")).toEqual(["1", "2", "3"])
      expect(yield* numbers.sort("ids", { desc: true, limit: { offset: 0, count: 2 } })).toEqual([3, 2])
      expect(yield* generic.sort("ids", { store: "sorted", alpha: true })).toBe(3)
      expect(yield* generic.sort("none", { store: "sorted" })).toBe(0)
      expect(yield* generic.sort("none")).toEqual([])
      yield* strings.set("s", "v")
      expect(yield* Effect.flip(generic.sort("s"))).toMatchObject({ code: "WRONGTYPE" })
    })
  )

  effect("SORT BY and GET", () =>
    Effect.gen(function* () {
      yield* needsSortPatterns
      yield* raw("RPUSH", "ids", "3", "1", "2")
      yield* strings.mset({ "w:1": "30", "w:2": "20", "w:3": "10", "n:1": "one", "n:3": "three" })
      expect(yield* generic.sort("ids", { by: "w:*" })).toEqual(["3", "2", "1"])
      expect(yield* generic.sort("ids", { by: "nosort" })).toEqual(["3", "1", "2"])
      expect(yield* generic.sort("ids", { get: ["#", "n:*"], asc: true })).toEqual([
        Option.some("1"),
        Option.some("one"),
        Option.some("2"),
        Option.none(),
        Option.some("3"),
        Option.some("three")
      ])
    })
  )

  effect("SORT_RO", () =>
    Effect.gen(function* () {
      yield* needs("SORT_RO")
      yield* needsSortPatterns
      yield* raw("RPUSH", "ids", "b", "a")
      expect(yield* generic.sortRo("ids", { alpha: true })).toEqual(["a", "b"])
      expect(yield* generic.sortRo("ids", { alpha: true, get: ["n:*"] })).toEqual([Option.none(), Option.none()])
    })
  )

  live("WAIT", () =>
    onLease(
      Effect.gen(function* () {
        yield* strings.set("k", "v")
        expect(yield* generic.wait(0, "1 second")).toBe(0)
        expect(yield* generic.wait(1, "20 millis")).toBe(0)
      })
    )
  )

  live("WAITAOF", () =>
    onLease(
      Effect.gen(function* () {
        yield* needs("WAITAOF")
        yield* onOneNode
        expect(yield* generic.waitaof(0, 0, "1 second")).toEqual({ local: 0, replicas: 0 })
        expect(yield* Effect.flip(generic.waitaof(1, 0, "1 second"))).toMatchObject({ _tag: "ReplyError" })
        if (protocol === 3) {
          yield* raw("CONFIG SET", "appendonly", "yes")
          yield* strings.set("k", "v")
          expect(yield* generic.waitaof(1, 0, "10 seconds")).toEqual({ local: 1, replicas: 0 })
        }
      }).pipe(Effect.ensuring(Effect.ignore(raw("CONFIG SET", "appendonly", "no"))))
    )
  )
})
