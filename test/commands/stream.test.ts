import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { range } from "../../src/commands/range.js"
import { make } from "../../src/commands/stream.js"
import type { StreamEntry } from "../../src/commands/stream-entry.js"
import { make as makeGroups } from "../../src/commands/stream-group.js"
import { make as makeInfo } from "../../src/commands/stream-info.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const streams = { ...make(Codec.utf8), ...makeGroups(Codec.utf8), ...makeInfo(Codec.utf8) }
const binary = { ...make(Codec.bytes), ...makeGroups(Codec.bytes), ...makeInfo(Codec.bytes) }
const json = { ...make(Codec.json), ...makeGroups(Codec.json) }

const bytes = (text: string) => new TextEncoder().encode(text)
const { array, bulk, error, int, map, nil, nil2, nilArray, simple } = wire

/** The decoded entry that is expected; the order of `pairs` matters, that of `fields` does not. */
const entry = <V>(id: string, ...pairs: StreamEntry<V>["pairs"]): StreamEntry<V> => ({
  id,
  fields: Object.fromEntries(pairs),
  pairs
})
const wireEntry = (id: string, ...words: ReadonlyArray<string>) => array(bulk(id), array(...words.map(bulk)))

const one = wireEntry("1-1", "a", "1", "a", "2", "b", "3")
const oneRead = entry("1-1", ["a", "1"], ["a", "2"], ["b", "3"])
const two = wireEntry("2-1", "c", "4")
const twoRead = entry("2-1", ["c", "4"])

describe("stream commands encode their arguments", () => {
  it("XADD", () => {
    const { xadd } = streams
    sends(xadd("s", "*", { a: "1", b: "2" }), ["XADD", "s", "*", "a", "1", "b", "2"])
    sends(
      xadd("s", "5-*", [
        ["a", "1"],
        ["a", "2"]
      ]),
      ["XADD", "s", "5-*", "a", "1", "a", "2"]
    )
    sends(xadd("s", "*", [[bytes("\xff"), "1"]]), ["XADD", "s", "*", bytes("\xff"), "1"])
    sends(xadd("s", "*", { a: "1" }, { nomkstream: true }), ["XADD", "s", "NOMKSTREAM", "*", "a", "1"])
    sends(xadd("s", "*", { a: "1" }, { maxlen: 5 }), ["XADD", "s", "MAXLEN", "5", "*", "a", "1"])
    sends(xadd("s", "*", { a: "1" }, { maxlen: 5, equal: true }), ["XADD", "s", "MAXLEN", "=", "5", "*", "a", "1"])
    sends(xadd("s", "*", { a: "1" }, { nomkstream: true, acked: true, minid: "3-0", approximately: true, limit: 10 }), [
      "XADD",
      "s",
      "NOMKSTREAM",
      "ACKED",
      "MINID",
      "~",
      "3-0",
      "LIMIT",
      "10",
      "*",
      "a",
      "1"
    ])
    sends(xadd("s", "*", { a: "1" }, { minid: new Date(1500) }), ["XADD", "s", "MINID", "1500", "*", "a", "1"])
    sends(xadd("s", "*", { a: "1" }, { keepref: true, maxlen: 0 }), [
      "XADD",
      "s",
      "KEEPREF",
      "MAXLEN",
      "0",
      "*",
      "a",
      "1"
    ])
    sends(xadd("s", "*", { a: "1" }, { delref: true, idmpauto: "p" }), [
      "XADD",
      "s",
      "DELREF",
      "IDMPAUTO",
      "p",
      "*",
      "a",
      "1"
    ])
    sends(xadd("s", "*", { a: "1" }, { idmp: { producer: "p", id: "i" }, maxlen: 9 }), [
      "XADD",
      "s",
      "IDMP",
      "p",
      "i",
      "MAXLEN",
      "9",
      "*",
      "a",
      "1"
    ])
    sends(json.xadd("s", "*", { a: { n: 1 } }), ["XADD", "s", "*", "a", `{"n":1}`])
    tagged(xadd("s", "*", { a: "1" }, { maxlen: 5 }), ["key", "token", "value", "token", "value", "value"])
    refuses(xadd("s", "*", {}), /at least one field/)
    refuses(xadd("s", "*", [] as never), /at least one field/)
    refuses(xadd("s", "*", { a: "1" }, { minid: new Date(NaN) }), /valid date/)
    refuses(xadd("s", "*", { a: "1" }, { maxlen: 1.5 }), /integer/)
    refuses(json.xadd("s", "*", { a: undefined }), /does not encode/)
  })

  it("XTRIM, XDEL, XDELEX, XLEN", () => {
    sends(streams.xtrim("s", { maxlen: 5 }), ["XTRIM", "s", "MAXLEN", "5"])
    sends(streams.xtrim("s", { maxlen: 5, equal: true }), ["XTRIM", "s", "MAXLEN", "=", "5"])
    sends(streams.xtrim("s", { minid: "5", approximately: true, limit: 0, delref: true }), [
      "XTRIM",
      "s",
      "MINID",
      "~",
      "5",
      "LIMIT",
      "0",
      "DELREF"
    ])
    sends(streams.xtrim("s", { minid: DateTime.unsafeMake(7), keepref: true }), ["XTRIM", "s", "MINID", "7", "KEEPREF"])
    sends(streams.xtrim("s", { maxlen: 1, acked: true }), ["XTRIM", "s", "MAXLEN", "1", "ACKED"])
    sends(streams.xdel("s", "1-1"), ["XDEL", "s", "1-1"])
    sends(streams.xdel("s", ["1-1", "2"]), ["XDEL", "s", "1-1", "2"])
    refuses(streams.xdel("s", [] as never), /at least one id/)
    sends(streams.xdelex("s", "1-1"), ["XDELEX", "s", "IDS", "1", "1-1"])
    sends(streams.xdelex("s", ["1-1", "2-1"], { acked: true }), ["XDELEX", "s", "ACKED", "IDS", "2", "1-1", "2-1"])
    sends(streams.xdelex("s", "1-1", { keepref: true }), ["XDELEX", "s", "KEEPREF", "IDS", "1", "1-1"])
    sends(streams.xdelex("s", "1-1", { delref: true }), ["XDELEX", "s", "DELREF", "IDS", "1", "1-1"])
    refuses(streams.xdelex("s", [] as never), /at least one id/)
    sends(streams.xlen("s"), ["XLEN", "s"])
  })

  it("XRANGE, XREVRANGE", () => {
    sends(streams.xrange("s", "-", "+"), ["XRANGE", "s", "-", "+"])
    sends(streams.xrange("s", range.exclusive("1-1"), "5", { count: 2 }), ["XRANGE", "s", "(1-1", "5", "COUNT", "2"])
    sends(streams.xrange("s", new Date(1000), DateTime.unsafeMake(2000)), ["XRANGE", "s", "1000", "2000"])
    tagged(streams.xrange("s", "-", "5"), ["key", "token", "value"])
    sends(streams.xrevrange("s", "+", range.exclusive("1-1")), ["XREVRANGE", "s", "+", "(1-1"])
    sends(streams.xrevrange("s", "9", "-", { count: 1 }), ["XREVRANGE", "s", "9", "-", "COUNT", "1"])
    sends(streams.xrange("s", range.lowest, range.highest), ["XRANGE", "s", "-", "+"])
    sends(streams.xrange("s", range.inclusive("1-1"), "5"), ["XRANGE", "s", "1-1", "5"])
    refuses(streams.xrange("s", undefined as never, "+"), /valid date/)
  })

  it("XREAD", () => {
    sends(streams.xread({ s: "$" }), ["XREAD", "STREAMS", "s", "$"])
    sends(streams.xread({ s: "0", t: "+" }, { count: 2 }), ["XREAD", "COUNT", "2", "STREAMS", "s", "t", "0", "+"])
    sends(
      streams.xread(
        [
          [bytes("s"), "0"],
          ["t", "5-1"]
        ],
        { count: 1, maxcount: 2, maxsize: 3, block: "1500 millis" }
      ),
      ["XREAD", "COUNT", "1", "MAXCOUNT", "2", "MAXSIZE", "3", "BLOCK", "1500", "STREAMS", "s", "t", "0", "5-1"]
    )
    sends(streams.xread({ s: "$" }, { block: Duration.infinity }), ["XREAD", "BLOCK", "0", "STREAMS", "s", "$"])
    tagged(streams.xread({ s: "0", t: "$" }), ["token", "key", "key", "value", "token"])
    refuses(streams.xread({}), /at least one key/)
    refuses(streams.xread({ s: "$" }, { block: "0 millis" }), /longer than zero/)
    expect(streams.xread({ s: "$" }).traits.readonly).toBe(true)
    expect(streams.xread({ s: "$" }).traits.blocking).toEqual({
      unit: "milliseconds",
      token: "BLOCK",
      fromNewest: true
    })
    expect(streams.xreadgroup("g", "c", { s: ">" }).traits.blocking).toEqual({ unit: "milliseconds", token: "BLOCK" })
  })

  it("XSETID, XCFGSET, XIDMPRECORD", () => {
    sends(streams.xsetid("s", "5-1"), ["XSETID", "s", "5-1"])
    sends(streams.xsetid("s", "5-1", { entriesadded: 9n, maxdeletedid: "4-0" }), [
      "XSETID",
      "s",
      "5-1",
      "ENTRIESADDED",
      "9",
      "MAXDELETEDID",
      "4-0"
    ])
    sends(streams.xcfgset("s", { idmpDuration: "2 minutes", idmpMaxsize: 50 }), [
      "XCFGSET",
      "s",
      "IDMP-DURATION",
      "120",
      "IDMP-MAXSIZE",
      "50"
    ])
    sends(streams.xcfgset("s", { idmpMaxsize: 50 }), ["XCFGSET", "s", "IDMP-MAXSIZE", "50"])
    refuses(streams.xcfgset("s", { idmpDuration: "1500 millis" }), /whole seconds/)
    sends(streams.xidmprecord("s", "p", "i", "1-1"), ["XIDMPRECORD", "s", "p", "i", "1-1"])
  })

  it("XGROUP", () => {
    sends(streams.xgroupCreate("s", "g", "$"), ["XGROUP", "CREATE", "s", "g", "$"])
    sends(streams.xgroupCreate("s", "g", "0", { mkstream: true, entriesread: 3 }), [
      "XGROUP",
      "CREATE",
      "s",
      "g",
      "0",
      "MKSTREAM",
      "ENTRIESREAD",
      "3"
    ])
    sends(streams.xgroupCreateconsumer("s", "g", "c"), ["XGROUP", "CREATECONSUMER", "s", "g", "c"])
    sends(streams.xgroupDelconsumer("s", "g", "c"), ["XGROUP", "DELCONSUMER", "s", "g", "c"])
    sends(streams.xgroupDestroy("s", "g"), ["XGROUP", "DESTROY", "s", "g"])
    sends(streams.xgroupSetid("s", "g", "$"), ["XGROUP", "SETID", "s", "g", "$"])
    sends(streams.xgroupSetid("s", "g", "1-1", { entriesread: 3n }), [
      "XGROUP",
      "SETID",
      "s",
      "g",
      "1-1",
      "ENTRIESREAD",
      "3"
    ])
    tagged(streams.xgroupCreate("s", "g", "$"), ["key", "value", "token"])
  })

  it("XREADGROUP", () => {
    sends(streams.xreadgroup("g", "c", { s: ">" }), ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"])
    sends(
      streams.xreadgroup(
        "g",
        "c",
        { s: ">", t: "0" },
        {
          count: 1,
          maxcount: 2,
          maxsize: 3,
          block: "2 seconds",
          claim: "0 millis",
          noack: true
        }
      ),
      [
        ...["XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "MAXCOUNT", "2", "MAXSIZE", "3", "BLOCK", "2000"],
        ...["CLAIM", "0", "NOACK", "STREAMS", "s", "t", ">", "0"]
      ]
    )
    tagged(streams.xreadgroup("g", "c", { s: ">" }), ["token", "value", "value", "token", "key", "token"])
    refuses(streams.xreadgroup("g", "c", [] as never), /at least one key/)
  })

  it("XACK, XACKDEL, XNACK", () => {
    sends(streams.xack("s", "g", ["1-1", "2-1"]), ["XACK", "s", "g", "1-1", "2-1"])
    refuses(streams.xack("s", "g", [] as never), /at least one id/)
    sends(streams.xackdel("s", "g", "1-1"), ["XACKDEL", "s", "g", "IDS", "1", "1-1"])
    sends(streams.xackdel("s", "g", ["1-1", "2"], { delref: true }), [
      "XACKDEL",
      "s",
      "g",
      "DELREF",
      "IDS",
      "2",
      "1-1",
      "2"
    ])
    sends(streams.xackdel("s", "g", "1-1", { keepref: true }), ["XACKDEL", "s", "g", "KEEPREF", "IDS", "1", "1-1"])
    sends(streams.xackdel("s", "g", "1-1", { acked: true }), ["XACKDEL", "s", "g", "ACKED", "IDS", "1", "1-1"])
    sends(streams.xnack("s", "g", "silent", "1-1"), ["XNACK", "s", "g", "SILENT", "IDS", "1", "1-1"])
    sends(streams.xnack("s", "g", "fail", "1-1", { force: true }), [
      "XNACK",
      "s",
      "g",
      "FAIL",
      "IDS",
      "1",
      "1-1",
      "FORCE"
    ])
    sends(streams.xnack("s", "g", "fatal", ["1-1", "2-1"], { retrycount: 4, force: true }), [
      "XNACK",
      "s",
      "g",
      "FATAL",
      "IDS",
      "2",
      "1-1",
      "2-1",
      "RETRYCOUNT",
      "4",
      "FORCE"
    ])
  })

  it("XPENDING", () => {
    sends(streams.xpending("s", "g"), ["XPENDING", "s", "g"])
    sends(streams.xpending("s", "g", { start: "-", end: "+", count: 10 }), ["XPENDING", "s", "g", "-", "+", "10"])
    sends(
      streams.xpending("s", "g", {
        start: range.exclusive("1-1"),
        end: "5",
        count: 1,
        idle: "1 second",
        consumer: "c"
      }),
      ["XPENDING", "s", "g", "IDLE", "1000", "(1-1", "5", "1", "c"]
    )
  })

  it("XCLAIM, XAUTOCLAIM", () => {
    sends(streams.xclaim("s", "g", "c", "1 second", "1-1"), ["XCLAIM", "s", "g", "c", "1000", "1-1"])
    sends(
      streams.xclaim("s", "g", "c", "0 millis", ["1-1", "2-1"], {
        idle: "5 millis",
        time: new Date(7),
        retrycount: 3,
        force: true,
        justid: true,
        lastid: "9-0"
      }),
      [
        ...["XCLAIM", "s", "g", "c", "0", "1-1", "2-1", "IDLE", "5", "TIME", "7", "RETRYCOUNT", "3"],
        ...["FORCE", "JUSTID", "LASTID", "9-0"]
      ]
    )
    refuses(streams.xclaim("s", "g", "c", "1 second", [] as never), /at least one id/)
    sends(streams.xautoclaim("s", "g", "c", "1 minute", "0"), ["XAUTOCLAIM", "s", "g", "c", "60000", "0"])
    sends(streams.xautoclaim("s", "g", "c", "1 minute", "0-0", { count: 5, justid: true }), [
      "XAUTOCLAIM",
      "s",
      "g",
      "c",
      "60000",
      "0-0",
      "COUNT",
      "5",
      "JUSTID"
    ])
  })

  it("XINFO", () => {
    sends(streams.xinfoConsumers("s", "g"), ["XINFO", "CONSUMERS", "s", "g"])
    sends(streams.xinfoGroups("s"), ["XINFO", "GROUPS", "s"])
    sends(streams.xinfoStream("s"), ["XINFO", "STREAM", "s"])
    sends(streams.xinfoStream("s", { full: true }), ["XINFO", "STREAM", "s", "FULL"])
    sends(streams.xinfoStream("s", { full: true, count: 0 }), ["XINFO", "STREAM", "s", "FULL", "COUNT", "0"])
  })
})

describe("stream commands decode their replies", () => {
  it("XADD", () => {
    reads(streams.xadd("s", "*", { a: "1" }), bulk("1-1"), "1-1")
    reads(streams.xadd("s", "*", { a: "1" }, { nomkstream: true }), bulk("1-1"), Option.some("1-1"))
    readsEach(streams.xadd("s", "*", { a: "1" }, { nomkstream: true }), [nil2, nil], Option.none())
    readsError(streams.xadd("s", "*", { a: "1" }), error("WRONGTYPE no"), { _tag: "ReplyError", code: "WRONGTYPE" })
  })

  it("entries keep the order of their fields and fields that repeat", () => {
    reads(streams.xrange("s", "-", "+"), array(one, two), [oneRead, twoRead])
    reads(streams.xrevrange("s", "+", "-"), array(two, one), [twoRead, oneRead])
    reads(streams.xrange("s", "-", "+"), array(), [])
    reads(streams.xrange("s", "-", "+"), array(wireEntry("1-1", "__proto__", "x", "2", "y", "1", "z")), [
      entry("1-1", ["__proto__", "x"], ["2", "y"], ["1", "z"])
    ])
  })

  it("a field named __proto__ is kept as a field", () => {
    const command = streams.xrange("s", "-", "+")
    const decoded = command as unknown as { decoder: (reply: unknown) => Array<StreamEntry<string>> }
    const [found] = decoded.decoder([["1-1", ["__proto__", "x"]]])
    expect(Object.getPrototypeOf(found?.fields)).toBe(null)
    expect(Object.keys(found?.fields ?? {})).toEqual(["__proto__"])
    expect(Object.values(found?.fields ?? {})).toEqual(["x"])
  })

  it("values are decoded by the codec, names of fields are text", () => {
    reads(json.xrange("s", "-", "+"), array(wireEntry("1-1", "a", `{"n":1}`)), [entry("1-1", ["a", { n: 1 }])])
    readsError(json.xrange("s", "-", "+"), array(wireEntry("1-1", "a", "{")), {
      _tag: "DecodeError",
      command: "XRANGE",
      path: [0, "fields", 0]
    })
    const bad = Buffer.from([0xff])
    reads(
      binary.xrange("s", "-", "+"),
      Buffer.concat([
        Buffer.from("*1\r\n*2\r\n$3\r\n1-1\r\n*4\r\n$1\r\n"),
        bad,
        Buffer.from("\r\n$1\r\nx\r\n$1\r\na\r\n$1\r\n"),
        bad,
        Buffer.from("\r\n")
      ]),
      [
        {
          id: "1-1",
          fields: { a: new Uint8Array([0xff]) },
          pairs: [
            [new Uint8Array([0xff]), bytes("x")],
            [bytes("a"), new Uint8Array([0xff])]
          ]
        }
      ]
    )
  })

  it("an entry without fields is empty", () => {
    const empty = { id: "1-1", fields: {}, pairs: [] }
    readsEach(
      streams.xrange("s", "-", "+"),
      [nil, nilArray, nil2, array(), map()].map((fields) => array(array(bulk("1-1"), fields))),
      [empty]
    )
  })

  it("a reply that is not a list of entries fails with its path", () => {
    const path = (...path: ReadonlyArray<string | number>) => ({ _tag: "DecodeError", path }) as const
    readsError(streams.xrange("s", "-", "+"), array(array(bulk("1-1"))), path(0))
    readsError(streams.xrange("s", "-", "+"), array(array(bulk("1-1"), array(bulk("a")))), path(0, "fields"))
    readsError(streams.xrange("s", "-", "+"), array(array(int(1), array())), path(0, "id"))
    readsError(streams.xrange("s", "-", "+"), nil, path())
  })

  it("XREAD", () => {
    readsEach(
      streams.xread({ s: "0", t: "0" }),
      [
        array(array(bulk("s"), array(one, two)), array(bulk("t"), array(two))),
        map(bulk("s"), array(one, two), bulk("t"), array(two))
      ],
      [
        { key: "s", entries: [oneRead, twoRead] },
        { key: "t", entries: [twoRead] }
      ]
    )
    readsEach(streams.xread({ s: "0" }), [nilArray, nil], [])
    readsEach(
      binary.xread({ s: "0" }),
      [array(array(bulk("s"), array(two))), map(bulk("s"), array(two))],
      [
        {
          key: bytes("s"),
          entries: [{ id: "2-1", fields: { c: bytes("4") }, pairs: [[bytes("c"), bytes("4")]] }]
        }
      ]
    )
  })

  it("XREADGROUP", () => {
    const command = streams.xreadgroup("g", "c", { s: "0" })
    readsEach(command, [nilArray, nil], [])
    readsEach(
      command,
      [array(array(bulk("s"), array())), map(bulk("s"), array())],
      [{ key: "s", entries: [], deleted: [] }]
    )
    readsEach(
      command,
      [
        array(array(bulk("s"), array(array(bulk("1-1"), nilArray), two))),
        map(bulk("s"), array(array(bulk("1-1"), nil), two))
      ],
      [{ key: "s", entries: [twoRead], deleted: ["1-1"] }]
    )
  })

  it("XREADGROUP with CLAIM", () => {
    // Claimed entries have two more elements: redis.io/docs/latest/commands/xreadgroup
    const command = streams.xreadgroup("g", "c", { s: ">" }, { claim: "1 second" })
    const claimed = array(bulk("2-1"), array(bulk("c"), bulk("4")), int(1500), int(3))
    readsEach(
      command,
      [array(array(bulk("s"), array(claimed, one))), map(bulk("s"), array(claimed, one))],
      [
        {
          key: "s",
          entries: [
            { ...twoRead, claimed: Option.some({ idle: Duration.millis(1500), deliveries: 3 }) },
            { ...oneRead, claimed: Option.none() }
          ],
          deleted: []
        }
      ]
    )
    const often = array(bulk("2-1"), array(bulk("c"), bulk("4")), int(-1), int(9223372036854775807n))
    reads(command, array(array(bulk("s"), array(often))), [
      {
        key: "s",
        entries: [{ ...twoRead, claimed: Option.some({ idle: Duration.infinity, deliveries: 9223372036854775807n }) }],
        deleted: []
      }
    ])
  })

  it("XDELEX, XACKDEL", () => {
    // redis.io/docs/latest/commands/xdelex
    const answer = ["deleted", "missing", "referenced"] as const
    reads(streams.xdelex("s", ["1", "2", "3"]), array(int(1), int(-1), int(2)), [...answer])
    reads(streams.xackdel("s", "g", ["1", "2", "3"]), array(int(1), int(-1), int(2)), [...answer])
    readsError(streams.xdelex("s", "1"), array(int(7)), { _tag: "DecodeError", path: [0] })
  })

  it("commands that answer a count, a status or a boolean", () => {
    for (const command of [
      streams.xlen("s"),
      streams.xdel("s", "1"),
      streams.xtrim("s", { maxlen: 1 }),
      streams.xack("s", "g", "1"),
      streams.xnack("s", "g", "fail", "1"),
      streams.xgroupDelconsumer("s", "g", "c")
    ]) {
      reads(command, int(2), 2)
      readsError(command, bulk("x"), { _tag: "DecodeError" })
    }
    for (const command of [
      streams.xcfgset("s", { idmpMaxsize: 1 }),
      streams.xidmprecord("s", "p", "i", "1-1"),
      streams.xsetid("s", "1-1"),
      streams.xgroupCreate("s", "g", "$"),
      streams.xgroupSetid("s", "g", "$")
    ]) {
      reads(command, simple("OK"), undefined)
    }
    for (const command of [streams.xgroupCreateconsumer("s", "g", "c"), streams.xgroupDestroy("s", "g")]) {
      reads(command, int(1), true)
      reads(command, int(0), false)
    }
  })

  it("XPENDING", () => {
    const summary = array(int(3), bulk("1-1"), bulk("2-1"), array(array(bulk("c"), bulk("3"))))
    reads(streams.xpending("s", "g"), summary, {
      pending: 3,
      smallest: Option.some("1-1"),
      greatest: Option.some("2-1"),
      consumers: [{ name: "c", pending: 3 }]
    })
    reads(binary.xpending("s", "g"), summary, {
      pending: 3,
      smallest: Option.some("1-1"),
      greatest: Option.some("2-1"),
      consumers: [{ name: bytes("c"), pending: 3 }]
    })
    readsEach(streams.xpending("s", "g"), [array(int(0), nil2, nil2, nilArray), array(int(0), nil, nil, nil)], {
      pending: 0,
      smallest: Option.none(),
      greatest: Option.none(),
      consumers: []
    })
    const pending = streams.xpending("s", "g", { start: "-", end: "+", count: 9 })
    reads(
      pending,
      array(array(bulk("1-1"), bulk("c"), int(365), int(1)), array(bulk("2-1"), bulk(""), int(-1), int(4))),
      [
        { id: "1-1", consumer: "c", idle: Duration.millis(365), deliveries: 1 },
        { id: "2-1", consumer: "", idle: Duration.infinity, deliveries: 4 }
      ]
    )
    reads(pending, array(), [])
    readsError(pending, error("NOGROUP No such key 's' or consumer group 'g'"), { _tag: "ReplyError", code: "NOGROUP" })
  })

  it("XCLAIM, XAUTOCLAIM", () => {
    reads(streams.xclaim("s", "g", "c", "1 second", "1-1"), array(one, nilArray, two), [oneRead, twoRead])
    reads(streams.xclaim("s", "g", "c", "1 second", "1-1", { justid: true }), array(bulk("1-1")), ["1-1"])
    reads(binary.xclaim("s", "g", "c", "1 second", "1-1", { justid: true }), array(bulk("1-1")), ["1-1"])
    reads(streams.xautoclaim("s", "g", "c", "1 second", "0"), array(bulk("0-0"), array(two), array(bulk("1-1"))), {
      next: "0-0",
      claimed: [twoRead],
      deleted: ["1-1"]
    })
    reads(
      streams.xautoclaim("s", "g", "c", "1 second", "0", { justid: true }),
      array(bulk("5-1"), array(bulk("2-1")), array()),
      { next: "5-1", claimed: ["2-1"], deleted: [] }
    )
    // Redis 6.2 sends two elements, with nil for each deleted entry.
    reads(streams.xautoclaim("s", "g", "c", "1 second", "0"), array(bulk("0-0"), array(nilArray, two)), {
      next: "0-0",
      claimed: [twoRead],
      deleted: []
    })
    readsError(streams.xautoclaim("s", "g", "c", "1 second", "0"), array(), { _tag: "DecodeError", path: ["next"] })
  })

  const info = [
    ...[bulk("length"), int(2), bulk("radix-tree-keys"), int(1), bulk("radix-tree-nodes"), int(2)],
    ...[bulk("last-generated-id"), bulk("2-1")]
  ]
  const since7 = [
    ...[bulk("max-deleted-entry-id"), bulk("0-0"), bulk("entries-added"), int(2)],
    ...[bulk("recorded-first-entry-id"), bulk("1-1")]
  ]
  const infoRead = {
    length: 2,
    radixTreeKeys: Option.some(1),
    radixTreeNodes: Option.some(2),
    lastGeneratedId: "2-1",
    other: {}
  }
  const since7Read = {
    maxDeletedEntryId: Option.some("0-0"),
    entriesAdded: Option.some(2),
    recordedFirstEntryId: Option.some("1-1"),
    idempotence: Option.none()
  }

  it("XINFO STREAM", () => {
    const ends = [bulk("groups"), int(1), bulk("first-entry"), one, bulk("last-entry"), two]
    const endsRead = { groups: Option.some(1), firstEntry: Option.some(oneRead), lastEntry: Option.some(twoRead) }
    readsEach(streams.xinfoStream("s"), [array(...info, ...since7, ...ends), map(...info, ...since7, ...ends)], {
      ...infoRead,
      ...since7Read,
      ...endsRead
    })
    const empty = [bulk("groups"), int(1), bulk("first-entry"), nil, bulk("last-entry"), nil]
    reads(streams.xinfoStream("s"), map(...info, ...since7, ...empty), {
      ...infoRead,
      ...since7Read,
      groups: Option.some(1),
      firstEntry: Option.none(),
      lastEntry: Option.none()
    })
    // Redis 6.2 has fewer fields.
    reads(streams.xinfoStream("s"), array(...info, ...ends), {
      ...infoRead,
      maxDeletedEntryId: Option.none(),
      entriesAdded: Option.none(),
      recordedFirstEntryId: Option.none(),
      idempotence: Option.none(),
      ...endsRead
    })
    // The fields that Redis 8.6 adds: redis.io/docs/latest/commands/xinfo-stream
    const idmp = [
      ...[bulk("idmp-duration"), int(100), bulk("idmp-maxsize"), int(50), bulk("pids-tracked"), int(1)],
      ...[bulk("iids-tracked"), int(2), bulk("iids-added"), int(3), bulk("iids-duplicates"), int(0)]
    ]
    reads(streams.xinfoStream("s"), map(...info, ...since7, ...idmp, ...ends), {
      ...infoRead,
      ...since7Read,
      ...endsRead,
      idempotence: Option.some({
        duration: Duration.seconds(100),
        maxsize: 50,
        producers: 1,
        ids: 2,
        added: 3,
        duplicates: 0
      })
    })
  })

  it("XINFO STREAM FULL", () => {
    const literal = (record: (...items: ReadonlyArray<string>) => string) =>
      record(
        ...info,
        ...since7,
        ...[bulk("entries"), array(one, two), bulk("groups")],
        array(
          record(
            ...[bulk("name"), bulk("g"), bulk("last-delivered-id"), bulk("1-1"), bulk("entries-read"), int(1)],
            ...[bulk("lag"), record === map ? nil : nil2, bulk("pel-count"), int(1), bulk("pending")],
            array(array(bulk("1-1"), bulk("c"), int(5000), int(2))),
            bulk("consumers"),
            array(
              record(
                ...[bulk("name"), bulk("c"), bulk("seen-time"), int(6000), bulk("active-time"), int(5000)],
                ...[bulk("pel-count"), int(1), bulk("pending"), array(array(bulk("1-1"), int(5000), int(2)))]
              ),
              record(
                ...[bulk("name"), bulk("d"), bulk("seen-time"), int(7000), bulk("active-time"), int(-1)],
                ...[bulk("pel-count"), int(0), bulk("pending"), array()]
              )
            )
          )
        )
      )
    readsEach(streams.xinfoStream("s", { full: true }), [literal(array), literal(map)], {
      ...infoRead,
      ...since7Read,
      entries: [oneRead, twoRead],
      groups: [
        {
          name: "g",
          lastDeliveredId: Option.some("1-1"),
          entriesRead: Option.some(1),
          lag: Option.none(),
          pelCount: Option.some(1),
          pending: [{ id: "1-1", consumer: "c", delivered: DateTime.unsafeMake(5000), deliveries: 2 }],
          consumers: [
            {
              name: "c",
              seenTime: Option.some(DateTime.unsafeMake(6000)),
              activeTime: Option.some(DateTime.unsafeMake(5000)),
              pelCount: Option.some(1),
              pending: [{ id: "1-1", delivered: DateTime.unsafeMake(5000), deliveries: 2 }],
              other: {}
            },
            {
              name: "d",
              seenTime: Option.some(DateTime.unsafeMake(7000)),
              activeTime: Option.none(),
              pelCount: Option.some(0),
              pending: [],
              other: {}
            }
          ],
          other: {}
        }
      ]
    })
  })

  it("XINFO GROUPS, XINFO CONSUMERS", () => {
    const group = [
      ...[bulk("name"), bulk("g"), bulk("consumers"), int(1), bulk("pending"), int(2)],
      ...[bulk("last-delivered-id"), bulk("1-1"), bulk("entries-read"), int(1), bulk("lag"), nil]
    ]
    readsEach(
      streams.xinfoGroups("s"),
      [array(array(...group)), array(map(...group))],
      [
        {
          name: "g",
          consumers: Option.some(1),
          pending: Option.some(2),
          lastDeliveredId: Option.some("1-1"),
          entriesRead: Option.some(1),
          lag: Option.none(),
          other: {}
        }
      ]
    )
    reads(streams.xinfoGroups("s"), array(), [])
    const consumer = [bulk("name"), bulk("c"), bulk("pending"), int(1), bulk("idle"), int(246)]
    const active = [...consumer, bulk("inactive"), int(300)]
    const never = [...consumer, bulk("inactive"), int(-1)]
    const read = {
      name: "c",
      pending: Option.some(1),
      idle: Option.some(Duration.millis(246)),
      inactive: Option.none(),
      other: {}
    }
    readsEach(
      streams.xinfoConsumers("s", "g"),
      [
        array(array(...consumer), array(...active), array(...never)),
        array(map(...consumer), map(...active), map(...never))
      ],
      [read, { ...read, inactive: Option.some(Duration.millis(300)) }, read]
    )
    reads(binary.xinfoConsumers("s", "g"), array(array(...consumer)), [{ ...read, name: bytes("c") }])
    readsError(streams.xinfoGroups("s"), error("ERR no such key"), { _tag: "ReplyError", code: "ERR" })
  })
})

liveSuite("stream", ({ effect, isSince, live, needs, needsVersion, onLease }) => {
  const add = (key: string, ...ids: ReadonlyArray<string>) =>
    Effect.forEach(ids, (id) => streams.xadd(key, id, { id }), { discard: true })
  const added = (id: string) => entry(id, ["id", id])

  effect("XADD, XLEN, XRANGE, XREVRANGE, XDEL, XTRIM", () =>
    Effect.gen(function* () {
      expect(
        yield* streams.xadd("s", "1-1", [
          ["a", "1"],
          ["a", "2"],
          ["b", "3"]
        ])
      ).toBe("1-1")
      expect(yield* streams.xadd("s", "2-*", { c: "4" })).toBe("2-0")
      expect(yield* streams.xadd("s", "*", { d: "5" })).toMatch(/^\d{13}-\d+$/)
      expect(yield* streams.xadd("none", "*", { d: "5" }, { nomkstream: true })).toEqual(Option.none())
      expect(Option.isSome(yield* streams.xadd("s", "*", { d: "6" }, { nomkstream: true }))).toBe(true)
      expect(yield* streams.xlen("s")).toBe(4)
      expect(yield* streams.xlen("none")).toBe(0)
      expect(yield* streams.xrange("s", "-", "2")).toEqual([oneRead, entry("2-0", ["c", "4"])])
      expect(yield* streams.xrange("s", range.exclusive("1-1"), "+", { count: 1 })).toEqual([entry("2-0", ["c", "4"])])
      expect(yield* streams.xrange("s", new Date(1), new Date(1))).toEqual([oneRead])
      expect(yield* streams.xrevrange("s", "2-0", "-")).toEqual([entry("2-0", ["c", "4"]), oneRead])
      expect(yield* streams.xrange("none", "-", "+")).toEqual([])
      expect(yield* streams.xdel("s", ["2-0", "7-7"])).toBe(1)
      expect(yield* streams.xtrim("s", { maxlen: 1 })).toBe(2)
      expect(yield* streams.xtrim("s", { minid: new Date(2), approximately: true, limit: 10 })).toBe(0)
      yield* streams.xadd("s", "*", { e: "7" }, { maxlen: 1, equal: true })
      yield* streams.xadd("s", "*", { e: "8" }, { minid: new Date(2), approximately: true, limit: 0 })
      expect(yield* streams.xlen("s")).toBe(2)
      const error = yield* Effect.flip(streams.xadd("s", "1-1", { a: "1" }))
      expect(error).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )

  effect("entries under Codec.bytes", () =>
    Effect.gen(function* () {
      const name = new Uint8Array([0xff, 0])
      const key = new Uint8Array([0xfe])
      yield* binary.xadd(key, "1-1", [
        [name, new Uint8Array([0xfd])],
        [bytes("a"), bytes("x")]
      ])
      const read = {
        id: "1-1",
        fields: { a: bytes("x") },
        pairs: [
          [name, new Uint8Array([0xfd])],
          [bytes("a"), bytes("x")]
        ]
      }
      expect(yield* binary.xrange(key, "-", "+")).toEqual([read])
      expect(yield* binary.xread([[key, "0"]])).toEqual([{ key, entries: [read] }])
      yield* binary.xgroupCreate(key, name, "0")
      expect(yield* binary.xreadgroup(name, name, [[key, ">"]])).toEqual([{ key, entries: [read], deleted: [] }])
      expect(yield* binary.xpending(key, name)).toEqual({
        pending: 1,
        smallest: Option.some("1-1"),
        greatest: Option.some("1-1"),
        consumers: [{ name, pending: 1 }]
      })
      expect((yield* binary.xpending(key, name, { start: "-", end: "+", count: 1 }))[0]?.consumer).toEqual(name)
      expect((yield* binary.xinfoGroups(key))[0]?.name).toEqual(name)
      expect((yield* binary.xinfoConsumers(key, name))[0]?.name).toEqual(name)
      expect((yield* binary.xinfoStream(key)).firstEntry).toEqual(Option.some(read))
      expect((yield* binary.xinfoStream(key, { full: true })).groups[0]?.pending[0]?.consumer).toEqual(name)
      expect((yield* binary.xautoclaim(key, name, "c", "0 millis", "0")).claimed).toEqual([read])
    })
  )

  effect("XREAD", () =>
    Effect.gen(function* () {
      yield* add("s", "1-1", "2-1")
      yield* add("t", "3-1")
      expect(yield* streams.xread({ s: "0", t: "0", none: "0" }, { count: 1 })).toEqual([
        { key: "s", entries: [added("1-1")] },
        { key: "t", entries: [added("3-1")] }
      ])
      expect(yield* streams.xread({ s: "$", t: "$" })).toEqual([])
    })
  )

  live("XREAD with BLOCK", () =>
    Effect.gen(function* () {
      // Waits until the server reports a blocked client: `$` means the last entry when the command arrives.
      const blocked = Effect.delay(RedisCommand.make("INFO", { args: ["clients"] }), "10 millis").pipe(
        Effect.repeat({ until: (info) => /blocked_clients:1\r/.test(String(info)) })
      )
      const leased = yield* Effect.fork(onLease(streams.xread({ s: "$" }, { block: "30 seconds" })))
      yield* blocked
      yield* add("s", "1-1")
      expect(yield* leased).toEqual([{ key: "s", entries: [added("1-1")] }])
      // The client runs it on a separate connection, so that no other command waits.
      const waiting = yield* Effect.fork(streams.xread({ s: "$" }, { block: "30 seconds" }))
      yield* blocked
      yield* add("s", "2-1")
      expect(yield* waiting).toEqual([{ key: "s", entries: [added("2-1")] }])
      expect(yield* streams.xread({ s: "$" }, { block: "20 millis" })).toEqual([])
      expect(yield* streams.xgroupCreate("s", "g", "$")).toBe(undefined)
      expect(yield* onLease(streams.xreadgroup("g", "c", { s: ">" }, { block: "20 millis" }))).toEqual([])
    })
  )

  effect("missing keys, missing groups and existing groups fail", () =>
    Effect.gen(function* () {
      yield* streams.xgroupCreate("s", "g", "$", { mkstream: true })
      expect(yield* Effect.flip(streams.xgroupCreate("s", "g", "$"))).toMatchObject({ code: "BUSYGROUP" })
      expect(yield* Effect.flip(streams.xgroupCreate("none", "g", "$"))).toMatchObject({ code: "ERR" })
      expect(yield* Effect.flip(streams.xreadgroup("other", "c", { s: ">" }))).toMatchObject({ code: "NOGROUP" })
      expect(yield* Effect.flip(streams.xpending("s", "other"))).toMatchObject({ code: "NOGROUP" })
      expect(yield* Effect.flip(streams.xinfoStream("none"))).toMatchObject({ code: "ERR" })
    })
  )

  effect("XGROUP", () =>
    Effect.gen(function* () {
      yield* add("s", "1-1", "2-1", "3-1")
      yield* streams.xgroupCreate("s", "g", "1-1", { entriesread: 1 })
      expect(yield* streams.xgroupCreateconsumer("s", "g", "c")).toBe(true)
      expect(yield* streams.xgroupCreateconsumer("s", "g", "c")).toBe(false)
      const [group] = yield* streams.xinfoGroups("s")
      expect(group).toEqual({
        name: "g",
        consumers: Option.some(1),
        pending: Option.some(0),
        lastDeliveredId: Option.some("1-1"),
        entriesRead: Option.some(1),
        lag: Option.some(2),
        other: {}
      })
      yield* streams.xgroupSetid("s", "g", "2-1", { entriesread: 2 })
      expect(yield* streams.xreadgroup("g", "c", { s: ">" })).toEqual([
        { key: "s", entries: [added("3-1")], deleted: [] }
      ])
      expect(yield* streams.xgroupDelconsumer("s", "g", "c")).toBe(1)
      expect(yield* streams.xgroupDestroy("s", "g")).toBe(true)
      expect(yield* streams.xgroupDestroy("s", "g")).toBe(false)
      expect(yield* streams.xinfoGroups("s")).toEqual([])
    })
  )

  effect("XREADGROUP, XACK, XPENDING and deleted entries", () =>
    Effect.gen(function* () {
      yield* add("s", "1-1", "2-1", "3-1")
      yield* streams.xgroupCreate("s", "g", "0")
      expect(yield* streams.xreadgroup("g", "c", { s: ">" }, { count: 2 })).toEqual([
        { key: "s", entries: [added("1-1"), added("2-1")], deleted: [] }
      ])
      expect(yield* streams.xpending("s", "g")).toEqual({
        pending: 2,
        smallest: Option.some("1-1"),
        greatest: Option.some("2-1"),
        consumers: [{ name: "c", pending: 2 }]
      })
      const pending = yield* streams.xpending("s", "g", {
        start: "-",
        end: "+",
        count: 10,
        consumer: "c",
        idle: "0 millis"
      })
      expect(pending.map(({ consumer, deliveries, id }) => [id, consumer, deliveries])).toEqual([
        ["1-1", "c", 1],
        ["2-1", "c", 1]
      ])
      expect(Duration.toMillis(pending[0]?.idle ?? Duration.infinity)).toBeLessThan(5000)
      yield* streams.xdel("s", "1-1")
      expect(yield* streams.xreadgroup("g", "c", { s: "0" })).toEqual([
        { key: "s", entries: [added("2-1")], deleted: ["1-1"] }
      ])
      expect(yield* streams.xreadgroup("g", "c", { s: "9" })).toEqual([{ key: "s", entries: [], deleted: [] }])
      expect(yield* streams.xreadgroup("g", "c", { s: ">" }, { noack: true })).toEqual([
        { key: "s", entries: [added("3-1")], deleted: [] }
      ])
      expect(yield* streams.xreadgroup("g", "c", { s: ">" })).toEqual([])
      expect(yield* streams.xack("s", "g", ["1-1", "2-1", "3-1"])).toBe(2)
      expect(yield* streams.xpending("s", "g")).toEqual({
        pending: 0,
        smallest: Option.none(),
        greatest: Option.none(),
        consumers: []
      })
      expect(yield* streams.xpending("s", "g", { start: "-", end: "+", count: 1 })).toEqual([])
    })
  )

  effect("XCLAIM, XAUTOCLAIM", () =>
    Effect.gen(function* () {
      yield* add("s", "1-1", "2-1", "3-1", "4-1")
      yield* streams.xgroupCreate("s", "g", "0")
      yield* streams.xreadgroup("g", "a", { s: ">" }, { count: 3 })
      expect(yield* streams.xclaim("s", "g", "b", "0 millis", ["1-1", "4-1"])).toEqual([added("1-1")])
      expect(yield* streams.xclaim("s", "g", "b", "1 hour", "2-1")).toEqual([])
      expect(
        yield* streams.xclaim("s", "g", "b", "0 millis", ["2-1", "4-1"], {
          idle: "1 hour",
          retrycount: 7,
          force: true,
          justid: true,
          lastid: "3-1"
        })
      ).toEqual(["2-1", "4-1"])
      yield* streams.xclaim("s", "g", "b", "0 millis", "3-1", { time: new Date(1_700_000_000_000) })
      const pending = yield* streams.xpending("s", "g", { start: "2", end: "3", count: 10, idle: "1 hour" })
      expect(pending.map(({ deliveries, id }) => [id, deliveries])).toEqual([
        ["2-1", 7],
        ["3-1", 2]
      ])
      yield* streams.xdel("s", "1-1")
      const first = yield* streams.xautoclaim("s", "g", "c", "0 millis", "-", { count: 2 })
      expect(first).toEqual({ next: "3-1", claimed: [added("2-1")], deleted: ["1-1"] })
      expect(yield* streams.xautoclaim("s", "g", "c", "0 millis", first.next, { justid: true })).toEqual({
        next: "0-0",
        claimed: ["3-1", "4-1"],
        deleted: []
      })
      yield* streams.xdel("s", "2-1")
      expect(yield* streams.xclaim("s", "g", "a", "0 millis", ["2-1", "3-1"])).toEqual([added("3-1")])
    })
  )

  effect("XINFO", () =>
    Effect.gen(function* () {
      yield* add("s", "1-1", "2-1")
      yield* streams.xgroupCreate("s", "g", "0")
      yield* streams.xreadgroup("g", "c", { s: ">" }, { count: 1 })
      yield* streams.xgroupCreateconsumer("s", "g", "d")
      const info = yield* streams.xinfoStream("s")
      expect(info).toMatchObject({
        length: 2,
        lastGeneratedId: "2-1",
        maxDeletedEntryId: Option.some("0-0"),
        entriesAdded: Option.some(2),
        recordedFirstEntryId: Option.some("1-1"),
        groups: Option.some(1),
        firstEntry: Option.some(added("1-1")),
        lastEntry: Option.some(added("2-1"))
      })
      expect(info.radixTreeKeys).toEqual(Option.some(1))
      expect(Option.getOrThrow(info.radixTreeNodes)).toBeGreaterThan(0)

      const full = yield* streams.xinfoStream("s", { full: true, count: 0 })
      const now = yield* Effect.sync(() => Date.now())
      expect(full.entries).toEqual([added("1-1"), added("2-1")])
      const [group] = full.groups
      expect(group).toMatchObject({
        name: "g",
        lastDeliveredId: Option.some("1-1"),
        entriesRead: Option.some(1),
        lag: Option.some(1),
        pelCount: Option.some(1)
      })
      expect(group?.pending).toMatchObject([{ id: "1-1", consumer: "c", deliveries: 1 }])
      expect(Math.abs((group?.pending[0]?.delivered.epochMillis ?? 0) - now)).toBeLessThan(60_000)
      const consumers = group?.consumers ?? []
      expect(consumers.map(({ name, pelCount }) => [name, pelCount])).toEqual([
        ["c", Option.some(1)],
        ["d", Option.some(0)]
      ])
      expect(consumers[0]?.pending).toMatchObject([{ id: "1-1", deliveries: 1 }])
      const hasActive = isSince({ redis: "7.2.0", valkey: "7.2.0" })
      expect(consumers.map(({ activeTime }) => Option.isSome(activeTime))).toEqual([hasActive, false])

      const listed = yield* streams.xinfoConsumers("s", "g")
      expect(listed.map(({ name, pending }) => [name, pending])).toEqual([
        ["c", Option.some(1)],
        ["d", Option.some(0)]
      ])
      expect(listed.map(({ inactive }) => Option.isSome(inactive))).toEqual([hasActive, false])
      yield* streams.xdel("s", ["1-1", "2-1"])
      expect(yield* streams.xinfoStream("s")).toMatchObject({ firstEntry: Option.none(), lastEntry: Option.none() })
    })
  )

  effect("XSETID", () =>
    Effect.gen(function* () {
      yield* add("s", "1-1")
      yield* streams.xsetid("s", "5-1", { entriesadded: 9, maxdeletedid: "4-0" })
      expect(yield* streams.xinfoStream("s")).toMatchObject({
        lastGeneratedId: "5-1",
        entriesAdded: Option.some(9),
        maxDeletedEntryId: Option.some("4-0")
      })
      yield* streams.xsetid("s", "6-1")
      expect(yield* Effect.flip(streams.xsetid("none", "6-1"))).toMatchObject({ _tag: "ReplyError" })
    })
  )

  effect("XDELEX, XACKDEL", () =>
    Effect.gen(function* () {
      yield* needs("XDELEX", "XACKDEL")
      yield* add("s", "1-1", "2-1", "3-1")
      yield* streams.xgroupCreate("s", "g", "0")
      yield* streams.xreadgroup("g", "c", { s: ">" }, { count: 2 })
      expect(yield* streams.xdelex("s", ["1-1", "0-9"], { acked: true })).toEqual(["referenced", "missing"])
      expect(yield* streams.xackdel("s", "g", ["1-1", "2-1"], { acked: true })).toEqual(["deleted", "deleted"])
    })
  )

  effect("XADD and XTRIM with a policy for the groups' references", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "8.2.0" })
      yield* add("s", "1-1")
      yield* streams.xadd("s", "*", { a: "1" }, { maxlen: 1, delref: true })
      expect(yield* streams.xtrim("s", { maxlen: 0, delref: true })).toBe(1)
    })
  )

  effect("XADD with an idempotence id adds the entry once", () =>
    Effect.gen(function* () {
      yield* needs("XCFGSET")
      yield* add("s", "1-1")
      yield* streams.xcfgset("s", { idmpDuration: "1 minute", idmpMaxsize: 10 })
      const id = yield* streams.xadd("s", "*", { a: "1" }, { idmp: { producer: "p", id: "i" } })
      expect(yield* streams.xadd("s", "*", { a: "1" }, { idmp: { producer: "p", id: "i" } })).toBe(id)
      expect(yield* streams.xlen("s")).toBe(2)
    })
  )

  effect("XNACK", () =>
    Effect.gen(function* () {
      yield* needs("XNACK")
      yield* add("s", "1-1")
      yield* streams.xgroupCreate("s", "g", "0")
      yield* streams.xreadgroup("g", "c", { s: ">" })
      expect(yield* streams.xnack("s", "g", "fatal", "1-1")).toBe(1)
      expect(yield* streams.xpending("s", "g", { start: "-", end: "+", count: 1 })).toEqual([
        { id: "1-1", consumer: "", idle: Duration.infinity, deliveries: 9223372036854775807n }
      ])
    })
  )

  effect("XREADGROUP with CLAIM", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "8.4.0" })
      yield* add("s", "1-1")
      yield* streams.xgroupCreate("s", "g", "0")
      yield* streams.xreadgroup("g", "c", { s: ">" })
      const [found] = yield* streams.xreadgroup("g", "d", { s: ">" }, { claim: "0 millis" })
      expect(found?.entries[0]?.claimed).toMatchObject({ value: { deliveries: 1 } })
    })
  )
})
