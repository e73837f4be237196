import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { range } from "../../src/commands/range.js"
import { make } from "../../src/commands/sorted-set.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const { array, bulk, double, int, nil, nil2, nilArray } = wire
const zsets = make(Codec.utf8)
const inBytes = make(Codec.bytes)
const users = make(Codec.schema(Schema.Struct({ id: Schema.Number })))

const wrongType = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
/** The forms of members with scores in RESP2 and RESP3. */
const scoredLiterals = [
  array(bulk("a"), bulk("1.5"), bulk("b"), bulk("inf")),
  array(array(bulk("a"), double("1.5")), array(bulk("b"), double("inf")))
]
const scored = [
  ["a", 1.5],
  ["b", Infinity]
] as const

describe("sorted-set commands encode their arguments", () => {
  it("ZADD", () => {
    sends(zsets.zadd("k", [["a", 1]]), ["ZADD", "k", "1", "a"])
    sends(
      zsets.zadd("k", [
        ["a", -Infinity],
        ["b", 1e21]
      ]),
      ["ZADD", "k", "-inf", "a", "1e+21", "b"]
    )
    sends(zsets.zadd("k", [["a", 1]], { nx: true, ch: true }), ["ZADD", "k", "NX", "CH", "1", "a"])
    sends(zsets.zadd("k", [["a", 1]], { xx: true, gt: true }), ["ZADD", "k", "XX", "GT", "1", "a"])
    sends(zsets.zadd("k", [["a", 1]], { lt: true }), ["ZADD", "k", "LT", "1", "a"])
    sends(zsets.zadd("k", [["a", 1]], { xx: true, incr: true }), ["ZADD", "k", "XX", "INCR", "1", "a"])
    sends(users.zadd("k", [[{ id: 1 }, 2]]), ["ZADD", "k", "2", '{"id":1}'])
    refuses(zsets.zadd("k", [["a", NaN]]), /NaN/)
    refuses(zsets.zadd("k", [] as never), /at least one member/)
    tagged(zsets.zadd("k", [["a", 1]], { nx: true }), ["key", "token", "value", "value"])
  })

  it("ZCARD, ZINCRBY, ZMSCORE, ZSCORE, ZREM", () => {
    sends(zsets.zcard("k"), ["ZCARD", "k"])
    sends(zsets.zincrby("k", -1.5, "a"), ["ZINCRBY", "k", "-1.5", "a"])
    sends(zsets.zincrby("k", Infinity, "a"), ["ZINCRBY", "k", "+inf", "a"])
    sends(zsets.zmscore("k", ["a", "b"]), ["ZMSCORE", "k", "a", "b"])
    sends(zsets.zscore("k", "a"), ["ZSCORE", "k", "a"])
    sends(zsets.zrem("k", ["a", "b"]), ["ZREM", "k", "a", "b"])
    refuses(zsets.zrem("k", [] as never), /at least one member/)
    refuses(zsets.zmscore("k", [] as never), /at least one member/)
  })

  it("ZRANK, ZREVRANK", () => {
    sends(zsets.zrank("k", "a"), ["ZRANK", "k", "a"])
    sends(zsets.zrank("k", "a", { withscore: true }), ["ZRANK", "k", "a", "WITHSCORE"])
    sends(zsets.zrevrank("k", "a"), ["ZREVRANK", "k", "a"])
    sends(zsets.zrevrank("k", "a", { withscore: true }), ["ZREVRANK", "k", "a", "WITHSCORE"])
  })

  it("ZPOPMIN, ZPOPMAX, ZMPOP", () => {
    sends(zsets.zpopmin("k"), ["ZPOPMIN", "k"])
    sends(zsets.zpopmin("k", { count: 2 }), ["ZPOPMIN", "k", "2"])
    sends(zsets.zpopmax("k"), ["ZPOPMAX", "k"])
    sends(zsets.zpopmax("k", { count: 2 }), ["ZPOPMAX", "k", "2"])
    sends(zsets.zmpop("k", "min"), ["ZMPOP", "1", "k", "MIN"])
    sends(zsets.zmpop(["k", "l"], "max", { count: 3 }), ["ZMPOP", "2", "k", "l", "MAX", "COUNT", "3"])
    tagged(zsets.zmpop("k", "min"), ["value", "key", "token"])
    refuses(zsets.zmpop([] as never, "min"), /at least one key/)
  })

  it("BZPOPMIN, BZPOPMAX, BZMPOP", () => {
    sends(zsets.bzpopmin("k", { timeout: "1500 millis" }), ["BZPOPMIN", "k", "1.5"])
    sends(zsets.bzpopmax(["k", "l"], { timeout: Duration.infinity }), ["BZPOPMAX", "k", "l", "0"])
    sends(zsets.bzmpop(["k", "l"], "max", { timeout: "1 second", count: 2 }), [
      "BZMPOP",
      "1",
      "2",
      "k",
      "l",
      "MAX",
      "COUNT",
      "2"
    ])
    expect(zsets.bzpopmin("k", { timeout: "1 second" }).traits.blocking).toEqual({ unit: "seconds", index: -1 })
    expect(zsets.bzmpop("k", "min", { timeout: "1 second" }).traits.blocking).toEqual({ unit: "seconds", index: 0 })
    refuses(zsets.bzpopmin("k", { timeout: "0 seconds" }), /longer than zero/)
  })

  it("ZRANDMEMBER, ZSCAN", () => {
    sends(zsets.zrandmember("k"), ["ZRANDMEMBER", "k"])
    sends(zsets.zrandmember("k", { count: -3 }), ["ZRANDMEMBER", "k", "-3"])
    sends(zsets.zrandmember("k", { count: 3, withscores: true }), ["ZRANDMEMBER", "k", "3", "WITHSCORES"])
    sends(zsets.zscan("k", "18446744073709551615"), ["ZSCAN", "k", "18446744073709551615"])
    sends(zsets.zscan("k", "0", { match: "a*", count: 5, noscores: true }), [
      "ZSCAN",
      "k",
      "0",
      "MATCH",
      "a*",
      "COUNT",
      "5",
      "NOSCORES"
    ])
    // The pattern matches members, not keys, so no prefix is put before it.
    tagged(zsets.zscan("k", "0", { match: "a*" }), ["key", "value", "token", "value"])
  })

  it("ZRANGE", () => {
    sends(zsets.zrange("k", 0, -1), ["ZRANGE", "k", "0", "-1"])
    sends(zsets.zrange("k", 0, 9, { rev: true, withscores: true }), ["ZRANGE", "k", "0", "9", "REV", "WITHSCORES"])
    sends(zsets.zrange("k", range.exclusive(1.5), 3, { byscore: true }), ["ZRANGE", "k", "(1.5", "3", "BYSCORE"])
    sends(
      zsets.zrange("k", Infinity, range.inclusive(2), {
        byscore: true,
        rev: true,
        limit: { offset: 1, count: -1 },
        withscores: true
      }),
      ["ZRANGE", "k", "+inf", "2", "BYSCORE", "REV", "LIMIT", "1", "-1", "WITHSCORES"]
    )
    sends(zsets.zrange("k", range.inclusive("a"), range.exclusive("c"), { bylex: true }), [
      "ZRANGE",
      "k",
      "[a",
      "(c",
      "BYLEX"
    ])
    sends(zsets.zrange("k", range.highest, range.lowest, { bylex: true, rev: true, limit: { offset: 0, count: 2 } }), [
      "ZRANGE",
      "k",
      "+",
      "-",
      "BYLEX",
      "REV",
      "LIMIT",
      "0",
      "2"
    ])
    sends(inBytes.zrange("k", range.inclusive(Uint8Array.of(0xff)), range.highest, { bylex: true }), [
      "ZRANGE",
      "k",
      Uint8Array.of(0x5b, 0xff),
      "+",
      "BYLEX"
    ])
    refuses(zsets.zrange("k", range.exclusive(NaN), 1, { byscore: true }), /NaN/)
    refuses(zsets.zrange("k", NaN, 1), /integer/)
    refuses(zsets.zrange("k", "a" as never, "b" as never, { bylex: true }), /made with Redis\.range/)
    refuses(zsets.zrange("k", "(1" as never, "2" as never, { byscore: true }), /made with Redis\.range/)
  })

  it("ZRANGESTORE", () => {
    sends(zsets.zrangestore("d", "k", 0, -1), ["ZRANGESTORE", "d", "k", "0", "-1"])
    sends(
      zsets.zrangestore("d", "k", range.lowest, range.exclusive(2), {
        byscore: true,
        limit: { offset: 0, count: 1 }
      }),
      ["ZRANGESTORE", "d", "k", "-inf", "(2", "BYSCORE", "LIMIT", "0", "1"]
    )
    sends(zsets.zrangestore("d", "k", range.lowest, range.highest, { bylex: true, rev: true }), [
      "ZRANGESTORE",
      "d",
      "k",
      "-",
      "+",
      "BYLEX",
      "REV"
    ])
    tagged(zsets.zrangestore("d", "k", 0, -1), ["key", "key", "value", "value"])
  })

  it("ZCOUNT, ZLEXCOUNT and ZREMRANGEBY… with their ranges", () => {
    sends(zsets.zcount("k", range.exclusive(-Infinity), range.exclusive(Infinity)), ["ZCOUNT", "k", "(-inf", "(+inf"])
    sends(zsets.zlexcount("k", range.lowest, range.inclusive("m")), ["ZLEXCOUNT", "k", "-", "[m"])
    sends(zsets.zremrangebylex("k", range.exclusive("a"), range.highest), ["ZREMRANGEBYLEX", "k", "(a", "+"])
    sends(zsets.zremrangebyrank("k", 0, -101), ["ZREMRANGEBYRANK", "k", "0", "-101"])
    sends(zsets.zremrangebyscore("k", range.lowest, 5), ["ZREMRANGEBYSCORE", "k", "-inf", "5"])
    sends(users.zlexcount("k", range.inclusive({ id: 1 }), range.highest), ["ZLEXCOUNT", "k", '[{"id":1}', "+"])
  })

  it("ZRANGEBYSCORE and other deprecated range commands", () => {
    const limit = { offset: 1, count: 2 }
    sends(zsets.zrangebylex("k", range.lowest, range.highest, { limit }), [
      "ZRANGEBYLEX",
      "k",
      "-",
      "+",
      "LIMIT",
      "1",
      "2"
    ])
    sends(zsets.zrevrangebylex("k", range.highest, range.inclusive("b"), { limit }), [
      "ZREVRANGEBYLEX",
      "k",
      "+",
      "[b",
      "LIMIT",
      "1",
      "2"
    ])
    sends(zsets.zrangebyscore("k", 1, range.exclusive(2)), ["ZRANGEBYSCORE", "k", "1", "(2"])
    sends(zsets.zrangebyscore("k", 1, 2, { withscores: true, limit }), [
      "ZRANGEBYSCORE",
      "k",
      "1",
      "2",
      "LIMIT",
      "1",
      "2",
      "WITHSCORES"
    ])
    sends(zsets.zrevrangebyscore("k", range.highest, 2, { withscores: true, limit }), [
      "ZREVRANGEBYSCORE",
      "k",
      "+inf",
      "2",
      "LIMIT",
      "1",
      "2",
      "WITHSCORES"
    ])
    sends(zsets.zrevrange("k", 0, -1), ["ZREVRANGE", "k", "0", "-1"])
    sends(zsets.zrevrange("k", 0, -1, { withscores: true }), ["ZREVRANGE", "k", "0", "-1", "WITHSCORES"])
  })

  it("ZUNION, ZINTER, ZDIFF", () => {
    sends(zsets.zunion("k"), ["ZUNION", "1", "k"])
    sends(zsets.zunion(["k", "l"], { weights: [1, 0.5], aggregate: "max", withscores: true }), [
      "ZUNION",
      "2",
      "k",
      "l",
      "WEIGHTS",
      "1",
      "0.5",
      "AGGREGATE",
      "MAX",
      "WITHSCORES"
    ])
    sends(zsets.zinter(["k", "l"], { aggregate: "count" }), ["ZINTER", "2", "k", "l", "AGGREGATE", "COUNT"])
    sends(zsets.zinter("k", { weights: 2, withscores: true }), ["ZINTER", "1", "k", "WEIGHTS", "2", "WITHSCORES"])
    sends(zsets.zdiff(["k", "l"]), ["ZDIFF", "2", "k", "l"])
    sends(zsets.zdiff(["k", "l"], { withscores: true }), ["ZDIFF", "2", "k", "l", "WITHSCORES"])
    sends(zsets.zunionstore("d", ["k", "l"], { weights: [1, 2], aggregate: "min" }), [
      "ZUNIONSTORE",
      "d",
      "2",
      "k",
      "l",
      "WEIGHTS",
      "1",
      "2",
      "AGGREGATE",
      "MIN"
    ])
    sends(zsets.zinterstore("d", "k", { aggregate: "sum" }), ["ZINTERSTORE", "d", "1", "k", "AGGREGATE", "SUM"])
    sends(zsets.zdiffstore("d", ["k", "l"]), ["ZDIFFSTORE", "d", "2", "k", "l"])
    sends(zsets.zintercard(["k", "l"]), ["ZINTERCARD", "2", "k", "l"])
    sends(zsets.zintercard(["k", "l"], { limit: 5 }), ["ZINTERCARD", "2", "k", "l", "LIMIT", "5"])
    tagged(zsets.zunionstore("d", ["k", "l"]), ["key", "value", "key", "key"])
    refuses(zsets.zunion([] as never), /at least one key/)
    refuses(zsets.zunion(["k", "l"], { weights: [1] as never }), /as many weights as keys/)
  })
})

describe("sorted-set commands decode their replies", () => {
  it("members with scores, from flat arrays or pairs", () => {
    readsEach(zsets.zrange("k", 0, -1, { withscores: true }), scoredLiterals, [...scored])
    readsEach(zsets.zunion("k", { withscores: true }), scoredLiterals, [...scored])
    readsEach(zsets.zdiff("k", { withscores: true }), scoredLiterals, [...scored])
    readsEach(zsets.zpopmax("k", { count: 2 }), scoredLiterals, [...scored])
    readsEach(zsets.zrandmember("k", { count: 2, withscores: true }), scoredLiterals, [...scored])
    readsEach(zsets.zrevrangebyscore("k", 2, 1, { withscores: true }), scoredLiterals, [...scored])
    reads(zsets.zrange("k", 0, -1, { withscores: true }), array(), [])
    reads(inBytes.zrange("k", 0, -1, { withscores: true }), array(array(bulk("a"), double(1))), [
      [Uint8Array.of(97), 1]
    ])
  })

  it("lists of members", () => {
    reads(zsets.zrange("k", 0, -1), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(users.zinter(["k", "l"]), array(bulk('{"id":1}')), [{ id: 1 }])
    readsEach(zsets.zrandmember("k"), [bulk("a")], Option.some("a"))
    readsEach(zsets.zrandmember("k"), [nil2, nil], Option.none())
  })

  it("ZPOPMIN, ZMPOP and their blocking forms: members or None", () => {
    readsEach(
      zsets.zpopmin("k"),
      [array(bulk("a"), bulk("1")), array(bulk("a"), double(1))],
      Option.some(["a", 1] as const)
    )
    reads(zsets.zpopmin("k"), array(), Option.none())
    readsEach(
      zsets.bzpopmin("k", { timeout: "1 second" }),
      [array(bulk("k"), bulk("a"), bulk("1")), array(bulk("k"), bulk("a"), double(1))],
      Option.some(["k", "a", 1] as const)
    )
    readsEach(zsets.bzpopmax("k", { timeout: "1 second" }), [nilArray, nil], Option.none())
    readsEach(
      zsets.zmpop("k", "min"),
      [array(bulk("k"), array(array(bulk("a"), bulk("1")))), array(bulk("k"), array(array(bulk("a"), double(1))))],
      Option.some(["k", [["a", 1]]] as const) as never
    )
    readsEach(zsets.bzmpop("k", "min", { timeout: "1 second" }), [nilArray, nil], Option.none())
  })

  it("scores and ranks", () => {
    readsEach(zsets.zscore("k", "a"), [bulk("-inf"), double("-inf")], Option.some(-Infinity))
    readsEach(zsets.zscore("k", "a"), [nil2, nil], Option.none())
    readsEach(
      zsets.zmscore("k", ["a", "b"]),
      [array(bulk("1e+21"), nil2), array(double("1e+21"), nil)],
      [Option.some(1e21), Option.none()]
    )
    readsEach(zsets.zincrby("k", 1, "a"), [bulk("2.5"), double("2.5")], 2.5)
    reads(zsets.zadd("k", [["a", 1]]), int(1), 1)
    readsEach(zsets.zadd("k", [["a", 1]], { incr: true }), [bulk("2"), double(2)], Option.some(2))
    readsEach(zsets.zadd("k", [["a", 1]], { nx: true, incr: true }), [nil2, nil], Option.none())
    reads(zsets.zrank("k", "a"), int(3), Option.some(3))
    readsEach(zsets.zrank("k", "a"), [nil2, nil], Option.none())
    readsEach(
      zsets.zrevrank("k", "a", { withscore: true }),
      [array(int(3), bulk("1.5")), array(int(3), double("1.5"))],
      Option.some([3, 1.5] as const)
    )
    readsEach(zsets.zrank("k", "a", { withscore: true }), [nilArray, nil], Option.none())
  })

  it("pages of ZSCAN", () => {
    reads(zsets.zscan("k", "0"), array(bulk("18446744073709551615"), array(bulk("a"), bulk("1"))), {
      cursor: "18446744073709551615",
      items: [["a", 1]]
    })
    reads(zsets.zscan("k", "0", { noscores: true }), array(bulk("0"), array(bulk("a"), bulk("b"))), {
      cursor: "0",
      items: ["a", "b"]
    })
    reads(zsets.zscan("k", "0"), array(bulk("0"), array()), { cursor: "0", items: [] })
  })

  it("a reply that does not fit fails with its path", () => {
    readsError(zsets.zscore("k", "a"), wrongType, { _tag: "ReplyError", code: "WRONGTYPE" })
    readsError(zsets.zscore("k", "a"), bulk("many"), { _tag: "DecodeError", command: "ZSCORE" })
    // The error has the path of the member, never the member itself.
    readsError(
      users.zrange("k", 0, -1, { withscores: true }),
      array(bulk('{"id":1}'), bulk("1"), bulk('{"id":"secret"}'), bulk("2")),
      { _tag: "DecodeError", command: "ZRANGE", path: [1, "id"] }
    )
    readsError(zsets.zrange("k", 0, -1, { withscores: true }), array(bulk("secret"), bulk("x")), {
      _tag: "DecodeError",
      path: [0]
    })
    readsError(zsets.zrange("k", 0, -1, { withscores: true }), array(bulk("a")), { _tag: "DecodeError" })
  })
})

liveSuite("sorted-set", ({ effect, live, needsVersion, onLease }) => {
  const board = zsets.zadd("k", [
    ["a", 1],
    ["b", 2],
    ["c", 3]
  ])
  const names = zsets.zadd("names", [
    ["a", 0],
    ["b", 0],
    ["c", 0],
    ["d", 0]
  ])

  effect("ZADD, ZCARD, ZSCORE, ZMSCORE, ZINCRBY, ZREM", () =>
    Effect.gen(function* () {
      expect(yield* board).toBe(3)
      expect(
        yield* zsets.zadd(
          "k",
          [
            ["a", 9],
            ["d", Infinity]
          ],
          { nx: true }
        )
      ).toBe(1)
      expect(yield* zsets.zadd("k", [["a", 0]], { gt: true, ch: true })).toBe(0)
      expect(yield* zsets.zadd("k", [["a", 1.5]], { xx: true, gt: true, ch: true })).toBe(1)
      expect(yield* zsets.zadd("k", [["a", 1]], { incr: true })).toEqual(Option.some(2.5))
      expect(yield* zsets.zadd("k", [["a", 1]], { nx: true, incr: true })).toEqual(Option.none())
      expect(yield* zsets.zadd("k", [["a", -1]], { gt: true, incr: true })).toEqual(Option.none())
      expect(yield* zsets.zcard("k")).toBe(4)
      expect(yield* zsets.zscore("k", "d")).toEqual(Option.some(Infinity))
      expect(yield* zsets.zscore("k", "none")).toEqual(Option.none())
      expect(yield* zsets.zmscore("k", ["a", "none"])).toEqual([Option.some(2.5), Option.none()])
      expect(yield* zsets.zincrby("k", -0.5, "a")).toBe(2)
      expect(yield* zsets.zincrby("k", -Infinity, "new")).toBe(-Infinity)
      expect(yield* zsets.zrem("k", ["a", "none"])).toBe(1)
      const sum = yield* Effect.flip(zsets.zincrby("k", Infinity, "new"))
      expect(sum).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )

  effect("ZRANGE by index, score and member", () =>
    Effect.gen(function* () {
      yield* board
      yield* names
      expect(yield* zsets.zrange("k", 0, -1)).toEqual(["a", "b", "c"])
      expect(yield* zsets.zrange("k", 0, 1, { rev: true, withscores: true })).toEqual([
        ["c", 3],
        ["b", 2]
      ])
      expect(yield* zsets.zrange("none", 0, -1, { withscores: true })).toEqual([])
      expect(yield* zsets.zrange("k", range.exclusive(1), Infinity, { byscore: true })).toEqual(["b", "c"])
      const last = { byscore: true, rev: true, limit: { offset: 1, count: 1 }, withscores: true } as const
      expect(yield* zsets.zrange("k", range.highest, range.lowest, last)).toEqual([["b", 2]])
      expect(yield* zsets.zrange("names", range.exclusive("a"), range.inclusive("c"), { bylex: true })).toEqual([
        "b",
        "c"
      ])
      const down = { bylex: true, rev: true, limit: { offset: 1, count: 2 } } as const
      expect(yield* zsets.zrange("names", range.highest, range.lowest, down)).toEqual(["c", "b"])
      expect(yield* zsets.zrangestore("d", "k", range.lowest, range.exclusive(3), { byscore: true })).toBe(2)
      expect(yield* zsets.zrangestore("d", "k", 0, 0, { rev: true })).toBe(1)
      expect(yield* zsets.zrange("d", 0, -1)).toEqual(["c"])
      expect(yield* zsets.zrangestore("d", "names", range.inclusive("c"), range.highest, { bylex: true })).toBe(2)
    })
  )

  effect("ZRANGEBYSCORE, ZRANGEBYLEX and ZREVRANGE, which ZRANGE replaces", () =>
    Effect.gen(function* () {
      yield* board
      yield* names
      expect(yield* zsets.zrangebyscore("k", 1, range.exclusive(3))).toEqual(["a", "b"])
      const second = { withscores: true, limit: { offset: 1, count: 1 } } as const
      expect(yield* zsets.zrangebyscore("k", range.lowest, range.highest, second)).toEqual([["b", 2]])
      expect(yield* zsets.zrevrangebyscore("k", range.highest, range.exclusive(1))).toEqual(["c", "b"])
      expect(yield* zsets.zrevrangebyscore("k", 3, 1, second)).toEqual([["b", 2]])
      expect(yield* zsets.zrangebylex("names", range.inclusive("b"), range.highest)).toEqual(["b", "c", "d"])
      expect(yield* zsets.zrevrangebylex("names", range.highest, range.exclusive("b"))).toEqual(["d", "c"])
      expect(yield* zsets.zrevrange("k", 0, 0)).toEqual(["c"])
      expect(yield* zsets.zrevrange("k", 0, 0, { withscores: true })).toEqual([["c", 3]])
    })
  )

  effect("ZCOUNT, ZLEXCOUNT, ZREMRANGEBY…", () =>
    Effect.gen(function* () {
      yield* board
      yield* names
      expect(yield* zsets.zcount("k", range.exclusive(1), 3)).toBe(2)
      expect(yield* zsets.zlexcount("names", range.lowest, range.exclusive("c"))).toBe(2)
      expect(yield* zsets.zremrangebylex("names", range.inclusive("b"), range.inclusive("c"))).toBe(2)
      expect(yield* zsets.zremrangebyrank("k", 0, 0)).toBe(1)
      expect(yield* zsets.zremrangebyscore("k", range.exclusive(2), range.highest)).toBe(1)
      expect(yield* zsets.zrange("k", 0, -1)).toEqual(["b"])
      const bytes = inBytes.zadd("bytes", [
        [Uint8Array.of(0xfe), 0],
        [Uint8Array.of(0xff), 0]
      ])
      expect(yield* bytes).toBe(2)
      const from = range.inclusive(Uint8Array.of(0xff))
      expect(yield* inBytes.zrange("bytes", from, range.highest, { bylex: true })).toEqual([Uint8Array.of(0xff)])
    })
  )

  effect("ZRANK, ZREVRANK", () =>
    Effect.gen(function* () {
      yield* board
      expect(yield* zsets.zrank("k", "b")).toEqual(Option.some(1))
      expect(yield* zsets.zrevrank("k", "a")).toEqual(Option.some(2))
      expect(yield* zsets.zrank("k", "none")).toEqual(Option.none())
      expect(yield* zsets.zrevrank("none", "a")).toEqual(Option.none())
    })
  )

  effect("ZRANK WITHSCORE", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "7.2", valkey: "7.2" })
      yield* board
      expect(yield* zsets.zrank("k", "b", { withscore: true })).toEqual(Option.some([1, 2]))
      expect(yield* zsets.zrevrank("k", "b", { withscore: true })).toEqual(Option.some([1, 2]))
      expect(yield* zsets.zrank("k", "none", { withscore: true })).toEqual(Option.none())
    })
  )

  effect("ZPOPMIN, ZPOPMAX, ZMPOP", () =>
    Effect.gen(function* () {
      yield* board
      yield* names
      expect(yield* zsets.zpopmin("k")).toEqual(Option.some(["a", 1]))
      expect(yield* zsets.zpopmax("k", { count: 5 })).toEqual([
        ["c", 3],
        ["b", 2]
      ])
      expect(yield* zsets.zpopmax("k")).toEqual(Option.none())
      expect(yield* zsets.zpopmin("k", { count: 2 })).toEqual([])
      expect(yield* zsets.zmpop(["k", "names"], "max", { count: 2 })).toEqual(
        Option.some([
          "names",
          [
            ["d", 0],
            ["c", 0]
          ]
        ])
      )
      expect(yield* zsets.zmpop("names", "min")).toEqual(Option.some(["names", [["a", 0]]]))
      expect(yield* zsets.zmpop("k", "min")).toEqual(Option.none())
    })
  )

  live("BZPOPMIN, BZPOPMAX, BZMPOP", () =>
    onLease(
      Effect.gen(function* () {
        yield* board
        expect(yield* zsets.bzpopmin(["none", "k"], { timeout: "1 second" })).toEqual(Option.some(["k", "a", 1]))
        expect(yield* zsets.bzpopmax("k", { timeout: "1 second" })).toEqual(Option.some(["k", "c", 3]))
        expect(yield* zsets.bzmpop(["none", "k"], "min", { timeout: "1 second", count: 9 })).toEqual(
          Option.some(["k", [["b", 2]]])
        )
        expect(yield* zsets.bzpopmin("k", { timeout: "10 millis" })).toEqual(Option.none())
        expect(yield* zsets.bzpopmax("k", { timeout: "10 millis" })).toEqual(Option.none())
        expect(yield* zsets.bzmpop("k", "max", { timeout: "10 millis" })).toEqual(Option.none())
      })
    )
  )

  effect("ZRANDMEMBER, ZSCAN", () =>
    Effect.gen(function* () {
      yield* zsets.zadd("one", [["a", 1.5]])
      expect(yield* zsets.zrandmember("one")).toEqual(Option.some("a"))
      expect(yield* zsets.zrandmember("none")).toEqual(Option.none())
      expect(yield* zsets.zrandmember("one", { count: -2 })).toEqual(["a", "a"])
      expect(yield* zsets.zrandmember("one", { count: -2, withscores: true })).toEqual([
        ["a", 1.5],
        ["a", 1.5]
      ])
      expect(yield* zsets.zrandmember("none", { count: 2, withscores: true })).toEqual([])
      expect(yield* zsets.zscan("one", "0", { match: "a*", count: 10 })).toEqual({ cursor: "0", items: [["a", 1.5]] })
      expect(yield* zsets.zscan("one", "0", { match: "b*" })).toEqual({ cursor: "0", items: [] })
    })
  )

  effect("ZSCAN NOSCORES", () =>
    Effect.gen(function* () {
      yield* needsVersion({ valkey: "8.0" })
      yield* zsets.zadd("one", [["a", 1.5]])
      expect(yield* zsets.zscan("one", "0", { noscores: true })).toEqual({ cursor: "0", items: ["a"] })
    })
  )

  effect("ZUNION, ZINTER, ZDIFF", () =>
    Effect.gen(function* () {
      yield* board
      yield* zsets.zadd("l", [
        ["b", 10],
        ["d", 20]
      ])
      expect(yield* zsets.zunion(["k", "l"])).toEqual(["a", "c", "b", "d"])
      const weighted = { weights: [1, 0.5], aggregate: "max", withscores: true } as const
      expect(yield* zsets.zunion(["k", "l"], weighted)).toEqual([
        ["a", 1],
        ["c", 3],
        ["b", 5],
        ["d", 10]
      ])
      expect(yield* zsets.zinter(["k", "l"], { withscores: true })).toEqual([["b", 12]])
      expect(yield* zsets.zinter(["k", "none"])).toEqual([])
      expect(yield* zsets.zdiff(["k", "l"])).toEqual(["a", "c"])
      expect(yield* zsets.zdiff(["k", "l"], { withscores: true })).toEqual([
        ["a", 1],
        ["c", 3]
      ])
      expect(yield* zsets.zintercard(["k", "l"], { limit: 0 })).toBe(1)
      expect(yield* zsets.zunionstore("d", ["k", "l"], { aggregate: "min" })).toBe(4)
      expect(yield* zsets.zinterstore("d", ["k", "l"], { weights: [2, 1] })).toBe(1)
      expect(yield* zsets.zrange("d", 0, -1, { withscores: true })).toEqual([["b", 14]])
      expect(yield* zsets.zdiffstore("d", ["k", "l"])).toBe(2)
    })
  )

  effect("ZUNION with AGGREGATE COUNT", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "8.8" })
      yield* board
      expect(yield* zsets.zunion(["k", "k"], { aggregate: "count", withscores: true })).toEqual([
        ["a", 2],
        ["b", 2],
        ["c", 2]
      ])
    })
  )

  effect("members of other codecs", () =>
    Effect.gen(function* () {
      yield* users.zadd("users", [
        [{ id: 1 }, 1],
        [{ id: 2 }, 2]
      ])
      expect(yield* users.zrange("users", 0, -1, { withscores: true })).toEqual([
        [{ id: 1 }, 1],
        [{ id: 2 }, 2]
      ])
      expect(yield* users.zscore("users", { id: 2 })).toEqual(Option.some(2))
      expect(yield* inBytes.zpopmin("users")).toEqual(Option.some([new TextEncoder().encode('{"id":1}'), 1]))
    })
  )

  effect("errors", () =>
    Effect.gen(function* () {
      yield* RedisCommand.make("SET", { args: [RedisCommand.key("text"), "v"] })
      const wrong = { _tag: "ReplyError", code: "WRONGTYPE" }
      expect(yield* Effect.flip(zsets.zadd("text", [["a", 1]]))).toMatchObject(wrong)
      expect(yield* Effect.flip(zsets.zrange("text", 0, -1, { withscores: true }))).toMatchObject(wrong)
      expect(yield* Effect.flip(zsets.zpopmin("text"))).toMatchObject(wrong)
      expect(yield* Effect.flip(zsets.zunion(["text", "none"]))).toMatchObject(wrong)
    })
  )
})
