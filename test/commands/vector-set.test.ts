import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { range } from "../../src/commands/range.js"
import { make } from "../../src/commands/vector-set.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const { array, boolean, bulk, double, error, int, map, nil, nil2, nilArray, simple } = wire
const vectors = make(Codec.utf8)
const inBytes = make(Codec.bytes)
const objects = make(Codec.json)
const fp32 = Float32Array.of(1, -2.5)
const fp32Bytes = Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0)

describe("vector-set commands encode their arguments", () => {
  it("VADD", () => {
    sends(vectors.vadd("k", [1, -0.5], "a"), ["VADD", "k", "VALUES", "2", "1", "-0.5", "a"])
    sends(vectors.vadd("k", fp32, "a"), ["VADD", "k", "FP32", fp32Bytes, "a"])
    sends(vectors.vadd("k", [1], "a", { reduce: 5, cas: true, q8: true, ef: 100, setattr: '{"x":1}', m: 8 }), [
      "VADD",
      "k",
      "REDUCE",
      "5",
      "VALUES",
      "1",
      "1",
      "a",
      "CAS",
      "Q8",
      "EF",
      "100",
      "SETATTR",
      '{"x":1}',
      "M",
      "8"
    ])
    sends(vectors.vadd("k", [1], "a", { noquant: true }), ["VADD", "k", "VALUES", "1", "1", "a", "NOQUANT"])
    sends(vectors.vadd("k", [1], "a", { bin: true }), ["VADD", "k", "VALUES", "1", "1", "a", "BIN"])
    refuses(vectors.vadd("k", [], "a"), /at least one number/)
    refuses(vectors.vadd("k", [NaN], "a"), /NaN/)
    tagged(vectors.vadd("k", fp32, "a"), ["key", "token", "value", "value"])
  })

  it("VSIM", () => {
    sends(vectors.vsim("k", { ele: "a" }), ["VSIM", "k", "ELE", "a"])
    sends(objects.vsim("k", { ele: { id: 1 } }), ["VSIM", "k", "ELE", '{"id":1}'])
    sends(vectors.vsim("k", [1, 2]), ["VSIM", "k", "VALUES", "2", "1", "2"])
    sends(vectors.vsim("k", fp32), ["VSIM", "k", "FP32", fp32Bytes])
    sends(
      vectors.vsim(
        "k",
        { ele: "a" },
        {
          withscores: true,
          withattribs: true,
          count: 3,
          epsilon: 0.25,
          ef: 500,
          filter: ".x > 1",
          filterEf: 10,
          truth: true,
          nothread: true
        }
      ),
      [
        "VSIM",
        "k",
        "ELE",
        "a",
        "WITHSCORES",
        "WITHATTRIBS",
        "COUNT",
        "3",
        "EPSILON",
        "0.25",
        "EF",
        "500",
        "FILTER",
        ".x > 1",
        "FILTER-EF",
        "10",
        "TRUTH",
        "NOTHREAD"
      ]
    )
  })

  it("all other vector set commands", () => {
    sends(vectors.vcard("k"), ["VCARD", "k"])
    sends(vectors.vdim("k"), ["VDIM", "k"])
    sends(vectors.vemb("k", "a"), ["VEMB", "k", "a"])
    sends(vectors.vemb("k", "a", { raw: true }), ["VEMB", "k", "a", "RAW"])
    sends(vectors.vgetattr("k", "a"), ["VGETATTR", "k", "a"])
    sends(vectors.vsetattr("k", "a", "{}"), ["VSETATTR", "k", "a", "{}"])
    sends(vectors.vinfo("k"), ["VINFO", "k"])
    sends(vectors.vismember("k", "a"), ["VISMEMBER", "k", "a"])
    sends(vectors.vlinks("k", "a"), ["VLINKS", "k", "a"])
    sends(vectors.vlinks("k", "a", { withscores: true }), ["VLINKS", "k", "a", "WITHSCORES"])
    sends(vectors.vrandmember("k"), ["VRANDMEMBER", "k"])
    sends(vectors.vrandmember("k", { count: -2 }), ["VRANDMEMBER", "k", "-2"])
    sends(vectors.vrem("k", "a"), ["VREM", "k", "a"])
    sends(vectors.vrange("k", range.exclusive("a"), range.highest), ["VRANGE", "k", "(a", "+"])
    sends(vectors.vrange("k", range.lowest, range.inclusive("b"), { count: -1 }), ["VRANGE", "k", "-", "[b", "-1"])
  })
})

describe("vector-set commands decode their replies", () => {
  it("VSIM", () => {
    reads(vectors.vsim("k", [1]), array(bulk("a"), bulk("b")), ["a", "b"])
    const scores = [array(bulk("a"), bulk("0.5")), map(bulk("a"), double("0.5"))]
    readsEach(vectors.vsim("k", [1], { withscores: true }), scores, [["a", 0.5]])
    readsEach(
      vectors.vsim("k", [1], { withattribs: true }),
      [array(bulk("a"), bulk("{}"), bulk("b"), nil2), map(bulk("a"), bulk("{}"), bulk("b"), nil)],
      [
        ["a", Option.some("{}")],
        ["b", Option.none()]
      ]
    )
    readsEach(
      vectors.vsim("k", [1], { withscores: true, withattribs: true }),
      [
        array(bulk("a"), bulk("1"), bulk("{}"), bulk("b"), bulk("0.5"), nil2),
        map(bulk("a"), array(double(1), bulk("{}")), bulk("b"), array(double("0.5"), nil))
      ],
      [
        ["a", 1, Option.some("{}")],
        ["b", 0.5, Option.none()]
      ]
    )
    readsEach(vectors.vsim("k", [1], { withscores: true, withattribs: true }), [array(), map()], [])
    readsError(vectors.vsim("k", [1], { withscores: true, withattribs: true }), array(bulk("a"), bulk("1")), {
      _tag: "DecodeError"
    })
    reads(inBytes.vsim("k", [1], { withattribs: true }), array(bulk("a"), bulk("{}")), [
      [Uint8Array.of(97), Option.some("{}")]
    ])
    readsError(vectors.vsim("k", { ele: "q" }), error("ERR element not found in set"), { _tag: "ReplyError" })
  })

  it("VEMB", () => {
    readsEach(
      vectors.vemb("k", "a"),
      [array(bulk("1"), bulk("-0.5")), array(double(1), double("-0.5"))],
      Option.some([1, -0.5])
    )
    readsEach(vectors.vemb("k", "a"), [nil2, nil], Option.none())
    // A raw vector is asked for as bytes, and must not be decoded as text.
    expect(vectors.vemb("k", "a", { raw: true }).text).toBe(false)
    expect(vectors.vemb("k", "a").text).toBe(true)
    const data = Buffer.from([0x7f, 0, 0xff])
    const raw = (...rest: ReadonlyArray<string>) =>
      Buffer.concat([Buffer.from(`*${rest.length + 2}\r\n+int8\r\n$3\r\n`), data, Buffer.from(`\r\n${rest.join("")}`)])
    readsEach(
      vectors.vemb("k", "a", { raw: true }),
      [raw(bulk("1.5"), bulk("0.25")), raw(double("1.5"), double("0.25"))],
      Option.some({ quantization: "int8", data: Uint8Array.of(0x7f, 0, 0xff), norm: 1.5, range: Option.some(0.25) })
    )
    reads(
      vectors.vemb("k", "a", { raw: true }),
      raw(double("1.5")),
      Option.some({ quantization: "int8", data: Uint8Array.of(0x7f, 0, 0xff), norm: 1.5, range: Option.none() })
    )
    readsEach(vectors.vemb("k", "a", { raw: true }), [nil2, nil], Option.none())
  })

  it("all other vector set commands", () => {
    readsEach(vectors.vadd("k", [1], "a"), [int(1), boolean(true)], true)
    readsEach(vectors.vrem("k", "a"), [int(0), boolean(false)], false)
    readsEach(vectors.vismember("k", "a"), [int(1), boolean(true)], true)
    readsEach(vectors.vsetattr("k", "a", ""), [int(0), boolean(false)], false)
    reads(vectors.vgetattr("k", "a"), bulk("{}"), Option.some("{}"))
    readsEach(vectors.vgetattr("k", "a"), [nil2, nil], Option.none())
    reads(vectors.vcard("k"), int(3), 3)
    readsError(vectors.vdim("k"), error("ERR key does not exist"), { _tag: "ReplyError", code: "ERR" })
    readsEach(vectors.vlinks("k", "a"), [array(array(bulk("b")), array())], Option.some([["b"], []]))
    readsEach(
      vectors.vlinks("k", "a", { withscores: true }),
      [array(array(bulk("b"), bulk("0.5")), array()), array(map(bulk("b"), double("0.5")), map())],
      Option.some([[["b", 0.5]], []]) as never
    )
    readsEach(vectors.vlinks("k", "a"), [nil2, nil], Option.none())
    readsEach(vectors.vrandmember("k"), [nil2, nil], Option.none())
    reads(vectors.vrandmember("k", { count: 2 }), array(bulk("a")), ["a"])
    reads(vectors.vrange("k", range.lowest, range.highest), array(bulk("a")), ["a"])
    readsEach(vectors.vinfo("k"), [nilArray, nil], Option.none())
    const fields = [
      simple("quant-type"),
      simple("int8"),
      simple("hnsw-m"),
      int(16),
      simple("vector-dim"),
      int(3),
      simple("projection-input-dim"),
      int(0),
      simple("size"),
      int(3),
      simple("max-level"),
      int(1),
      simple("attributes-count"),
      int(1),
      simple("vset-uid"),
      int(5),
      simple("hnsw-max-node-uid"),
      int(4)
    ]
    readsEach(
      vectors.vinfo("k"),
      [array(...fields), map(...fields)],
      Option.some({
        quantType: Option.some("int8"),
        hnswM: Option.some(16),
        vectorDim: 3,
        projectionInputDim: Option.some(0),
        size: 3,
        maxLevel: Option.some(1),
        attributesCount: Option.some(1),
        vsetUid: Option.some(5),
        hnswMaxNodeUid: Option.some(4),
        other: {}
      })
    )
  })
})

liveSuite("vector-set", ({ effect, needs, needsVersion }) => {
  const filled = Effect.gen(function* () {
    yield* needs("VADD")
    expect(yield* vectors.vadd("k", [1, 0, 0], "a", { setattr: '{"x":1}' })).toBe(true)
    expect(yield* vectors.vadd("k", Float32Array.of(0, 1, 0), "b")).toBe(true)
    expect(yield* vectors.vadd("k", [0.5, 1, 0], "c", { cas: true, q8: true, ef: 100, m: 16 })).toBe(true)
  })

  effect("VADD, VCARD, VDIM, VISMEMBER, VREM", () =>
    Effect.gen(function* () {
      yield* filled
      expect(yield* vectors.vadd("k", [0, 1, 0], "b")).toBe(false)
      expect(yield* vectors.vadd("r", [1, 2, 3], "a", { reduce: 2, noquant: true })).toBe(true)
      expect(yield* vectors.vadd("bin", [1, 2, 3], "a", { bin: true })).toBe(true)
      expect(yield* vectors.vcard("k")).toBe(3)
      expect(yield* vectors.vcard("none")).toBe(0)
      expect(yield* vectors.vdim("k")).toBe(3)
      expect(yield* vectors.vdim("r")).toBe(2)
      expect(yield* Effect.flip(vectors.vdim("none"))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
      expect(yield* vectors.vrem("k", "a")).toBe(true)
      expect(yield* vectors.vrem("k", "a")).toBe(false)
    })
  )

  effect("VISMEMBER", () =>
    Effect.gen(function* () {
      yield* needs("VISMEMBER")
      yield* filled
      expect(yield* vectors.vismember("k", "b")).toBe(true)
      expect(yield* vectors.vismember("k", "q")).toBe(false)
    })
  )

  effect("VEMB, VGETATTR, VSETATTR, VINFO", () =>
    Effect.gen(function* () {
      yield* filled
      expect(yield* vectors.vemb("k", "a")).toEqual(Option.some([1, 0, 0]))
      expect(yield* vectors.vemb("k", "q")).toEqual(Option.none())
      expect(yield* vectors.vemb("k", "a", { raw: true })).toEqual(
        Option.some({ quantization: "int8", data: Uint8Array.of(127, 0, 0), norm: 1, range: Option.some(1) })
      )
      yield* vectors.vadd("r", Float32Array.of(1, 0), "a", { noquant: true })
      expect(yield* vectors.vemb("r", "a", { raw: true })).toEqual(
        Option.some({
          quantization: "f32",
          data: Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0),
          norm: 1,
          range: Option.none()
        })
      )
      expect(yield* vectors.vgetattr("k", "a")).toEqual(Option.some('{"x":1}'))
      expect(yield* vectors.vgetattr("k", "b")).toEqual(Option.none())
      expect(yield* vectors.vsetattr("k", "b", '{"x":2}')).toBe(true)
      expect(yield* vectors.vsetattr("k", "q", "{}")).toBe(false)
      expect(yield* vectors.vinfo("k")).toMatchObject({
        value: {
          quantType: Option.some("int8"),
          vectorDim: 3,
          size: 3,
          attributesCount: Option.some(2),
          hnswM: Option.some(16),
          projectionInputDim: Option.some(0)
        }
      })
      expect(yield* vectors.vinfo("none")).toEqual(Option.none())
    })
  )

  effect("VSIM", () =>
    Effect.gen(function* () {
      yield* filled
      expect(yield* vectors.vsim("k", { ele: "a" })).toEqual(["a", "c", "b"])
      expect(yield* vectors.vsim("k", Float32Array.of(0, 1, 0), { count: 1, truth: true })).toEqual(["b"])
      const found = yield* vectors.vsim("k", [1, 0, 0], { withscores: true, ef: 100, nothread: true })
      expect(found).toEqual([
        ["a", 1],
        ["c", expect.closeTo(0.72, 1)],
        ["b", 0.5]
      ])
      expect(yield* vectors.vsim("k", { ele: "b" }, { filter: ".x == 1", filterEf: 20 })).toEqual(["a"])
      expect(yield* vectors.vsim("none", [1])).toEqual([])
      expect(yield* vectors.vsim("none", [1], { withscores: true })).toEqual([])
      expect(yield* Effect.flip(vectors.vsim("k", { ele: "q" }))).toMatchObject({ _tag: "ReplyError", code: "ERR" })
      expect(yield* inBytes.vsim("k", { ele: Uint8Array.of(97) }, { count: 1, withscores: true })).toEqual([
        [Uint8Array.of(97), 1]
      ])
    })
  )

  effect("VSIM EPSILON", () =>
    Effect.gen(function* () {
      yield* filled
      expect(yield* vectors.vsim("k", { ele: "a" }, { epsilon: 0.1 })).toEqual(["a"])
    })
  )

  effect("VSIM WITHATTRIBS", () =>
    Effect.gen(function* () {
      yield* needsVersion({ redis: "8.2" })
      yield* filled
      const one = { count: 1, withattribs: true } as const
      expect(yield* vectors.vsim("k", { ele: "a" }, one)).toEqual([["a", Option.some('{"x":1}')]])
      expect(yield* vectors.vsim("k", { ele: "a" }, { ...one, withscores: true })).toEqual([
        ["a", 1, Option.some('{"x":1}')]
      ])
    })
  )

  effect("VLINKS, VRANDMEMBER", () =>
    Effect.gen(function* () {
      yield* filled
      const links = yield* vectors.vlinks("k", "a")
      expect(Option.getOrThrow(links).at(-1)).toEqual(["b", "c"])
      const scored = Option.getOrThrow(yield* vectors.vlinks("k", "a", { withscores: true })).at(-1)
      expect(scored).toEqual([
        ["b", 0.5],
        ["c", expect.closeTo(0.72, 1)]
      ])
      expect(yield* vectors.vlinks("k", "q")).toEqual(Option.none())
      expect(yield* vectors.vlinks("none", "q", { withscores: true })).toEqual(Option.none())
      expect(Option.getOrThrow(yield* vectors.vrandmember("k"))).toMatch(/^[abc]$/)
      expect([...(yield* vectors.vrandmember("k", { count: 9 }))].sort()).toEqual(["a", "b", "c"])
      expect(yield* vectors.vrandmember("none")).toEqual(Option.none())
      expect(yield* vectors.vrandmember("none", { count: 2 })).toEqual([])
    })
  )

  effect("VRANGE", () =>
    Effect.gen(function* () {
      yield* needs("VRANGE")
      yield* filled
      expect(yield* vectors.vrange("k", range.exclusive("a"), range.highest, { count: 1 })).toEqual(["b"])
    })
  )

  effect("errors", () =>
    Effect.gen(function* () {
      yield* needs("VADD")
      yield* RedisCommand.make("SET", { args: [RedisCommand.key("text"), "v"] })
      const wrong = { _tag: "ReplyError", code: "WRONGTYPE" }
      expect(yield* Effect.flip(vectors.vcard("text"))).toMatchObject(wrong)
      expect(yield* Effect.flip(vectors.vadd("text", [1], "a"))).toMatchObject(wrong)
    })
  )
})
