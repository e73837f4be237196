import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/array.js"
import { range } from "../../src/commands/range.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

// The replies have the form that Redis 8.8's t_array.c writes (https://redis.io/docs/latest/commands/?group=array).
const { array, bulk, double, error, int, map, nil, nil2 } = wire
const arrays = make(Codec.utf8)
const inBytes = make(Codec.bytes)
const users = make(Codec.schema(Schema.Struct({ id: Schema.Number })))
const last = 18446744073709551614n

describe("array commands encode their arguments", () => {
  it("ARGET, ARMGET, ARGETRANGE", () => {
    sends(arrays.arget("k", 2), ["ARGET", "k", "2"])
    sends(arrays.arget("k", last), ["ARGET", "k", "18446744073709551614"])
    sends(arrays.armget("k", 1), ["ARMGET", "k", "1"])
    sends(arrays.armget("k", [1, 2n]), ["ARMGET", "k", "1", "2"])
    sends(arrays.argetrange("k", 9, 0), ["ARGETRANGE", "k", "9", "0"])
    refuses(arrays.arget("k", -1), /negative/)
    refuses(arrays.arget("k", 2 ** 60), /bigint/)
    refuses(arrays.armget("k", [] as never), /at least one index/)
  })

  it("ARSET, ARMSET, ARINSERT, ARRING", () => {
    sends(arrays.arset("k", 0, ["a", "b"]), ["ARSET", "k", "0", "a", "b"])
    sends(users.arset("k", 0, [{ id: 1 }]), ["ARSET", "k", "0", '{"id":1}'])
    sends(
      arrays.armset("k", [
        [0, "a"],
        [7n, "b"]
      ]),
      ["ARMSET", "k", "0", "a", "7", "b"]
    )
    sends(arrays.arinsert("k", ["a", "b"]), ["ARINSERT", "k", "a", "b"])
    sends(arrays.arring("k", 100, ["a"]), ["ARRING", "k", "100", "a"])
    tagged(arrays.armset("k", [[0, "a"]]), ["key", "value", "value"])
    refuses(arrays.armset("k", [] as never), /at least one value/)
    refuses(arrays.arset("k", 0, [] as never), /at least one value/)
    refuses(arrays.arinsert("k", [] as never), /at least one value/)
  })

  it("ARDEL, ARDELRANGE", () => {
    sends(arrays.ardel("k", [1, 2]), ["ARDEL", "k", "1", "2"])
    sends(
      arrays.ardelrange("k", [
        [0, 5],
        [9, 7]
      ]),
      ["ARDELRANGE", "k", "0", "5", "9", "7"]
    )
    refuses(arrays.ardelrange("k", [] as never), /at least one range/)
  })

  it("ARCOUNT, ARLEN, ARNEXT, ARSEEK, ARLASTITEMS, ARINFO", () => {
    sends(arrays.arcount("k"), ["ARCOUNT", "k"])
    sends(arrays.arlen("k"), ["ARLEN", "k"])
    sends(arrays.arnext("k"), ["ARNEXT", "k"])
    sends(arrays.arseek("k", last + 1n), ["ARSEEK", "k", "18446744073709551615"])
    sends(arrays.arlastitems("k", 3), ["ARLASTITEMS", "k", "3"])
    sends(arrays.arlastitems("k", 3, { rev: true }), ["ARLASTITEMS", "k", "3", "REV"])
    sends(arrays.arinfo("k"), ["ARINFO", "k"])
    sends(arrays.arinfo("k", { full: true }), ["ARINFO", "k", "FULL"])
  })

  it("ARSCAN, ARGREP", () => {
    sends(arrays.arscan("k", 0, 9), ["ARSCAN", "k", "0", "9"])
    sends(arrays.arscan("k", 0, 9, { limit: 2 }), ["ARSCAN", "k", "0", "9", "LIMIT", "2"])
    sends(arrays.argrep("k", range.lowest, range.highest, { match: "x" }), ["ARGREP", "k", "-", "+", "MATCH", "x"])
    sends(
      users.argrep("k", 0, 9n, [{ exact: { id: 1 } }, { glob: "a*" }, { re: "^a" }], {
        and: true,
        limit: 5,
        withvalues: true,
        nocase: true
      }),
      [
        "ARGREP",
        "k",
        "0",
        "9",
        "EXACT",
        '{"id":1}',
        "GLOB",
        "a*",
        "RE",
        "^a",
        "AND",
        "LIMIT",
        "5",
        "WITHVALUES",
        "NOCASE"
      ]
    )
    sends(arrays.argrep("k", 0, 1, { exact: "a" }, { or: true }), ["ARGREP", "k", "0", "1", "EXACT", "a", "OR"])
    refuses(arrays.argrep("k", 0, 1, [] as never), /at least one predicate/)
  })

  it("AROP", () => {
    for (const operation of ["sum", "min", "max"] as const) {
      sends(arrays.arop("k", 0, 9, operation), ["AROP", "k", "0", "9", operation.toUpperCase()])
    }
    for (const operation of ["and", "or", "xor"] as const) {
      sends(arrays.arop("k", 0, 9, operation), ["AROP", "k", "0", "9", operation.toUpperCase()])
    }
    sends(arrays.arop("k", 0, 9, "used"), ["AROP", "k", "0", "9", "USED"])
    sends(arrays.arop("k", 0, 9, { match: "a" }), ["AROP", "k", "0", "9", "MATCH", "a"])
  })
})

describe("array commands decode their replies", () => {
  it("values and holes", () => {
    reads(arrays.arget("k", 0), bulk("a"), Option.some("a"))
    readsEach(arrays.arget("k", 0), [nil2, nil], Option.none())
    reads(inBytes.arget("k", 0), bulk("a"), Option.some(Uint8Array.of(97)))
    const some = [array(bulk("a"), nil2), array(bulk("a"), nil)]
    readsEach(arrays.armget("k", [0, 1]), some, [Option.some("a"), Option.none()])
    readsEach(arrays.argetrange("k", 0, 1), some, [Option.some("a"), Option.none()])
    readsEach(arrays.arlastitems("k", 2), some, [Option.some("a"), Option.none()])
    reads(arrays.arlastitems("k", 2), array(), [])
  })

  it("indexes and counts", () => {
    reads(arrays.arlen("k"), int(9223372036854775807n), 9223372036854775807n)
    readsEach(arrays.arlen("k"), [wire.bigNumber(last), bulk(String(last))], last)
    reads(arrays.arcount("k"), int(3), 3)
    reads(arrays.arinsert("k", ["a"]), int(7), 7)
    reads(arrays.arring("k", 9, ["a"]), int(7), 7)
    reads(arrays.arnext("k"), int(0), Option.some(0))
    readsEach(arrays.arnext("k"), [nil2, nil], Option.none())
    reads(arrays.arseek("k", 1), int(0), false)
    reads(arrays.arset("k", 1, ["a"]), int(1), 1)
    reads(arrays.armset("k", [[1, "a"]]), int(1), 1)
    reads(arrays.ardel("k", 1), int(1), 1)
    reads(arrays.ardelrange("k", [[1, 2]]), int(2), 2)
  })

  it("indexes with values, in pairs or flat", () => {
    const forms = [
      array(array(int(0), bulk("a")), array(int(5), bulk("b"))),
      array(int(0), bulk("a"), int(5), bulk("b"))
    ]
    const pairs = [
      [0, "a"],
      [5, "b"]
    ] as const
    readsEach(arrays.arscan("k", 0, 9), forms, [...pairs])
    readsEach(arrays.argrep("k", 0, 9, { match: "" }, { withvalues: true }), forms, [...pairs])
    reads(arrays.argrep("k", 0, 9, { match: "" }), array(int(0), int(5)), [0, 5])
    reads(arrays.arscan("k", 0, 9), array(), [])
    readsError(users.arscan("k", 0, 9), array(array(int(0), bulk("a"))), { _tag: "DecodeError", path: [0] })
  })

  it("AROP", () => {
    reads(arrays.arop("k", 0, 9, "sum"), bulk("60.5"), Option.some(60.5))
    readsEach(arrays.arop("k", 0, 9, "min"), [nil2, nil], Option.none())
    reads(arrays.arop("k", 0, 9, "xor"), int(-9223372036854775808n), Option.some(-9223372036854775808n))
    for (const operation of ["and", "or"] as const) {
      reads(arrays.arop("k", 0, 9, operation), int(9223372036854775807n), Option.some(9223372036854775807n))
      readsEach(arrays.arop("k", 0, 9, operation), [nil2, nil], Option.none())
    }
    reads(arrays.arop("k", 0, 9, "used"), int(0), 0)
    reads(arrays.arop("k", 0, 9, { match: "a" }), int(2), 2)
  })

  it("ARINFO", () => {
    const common = [
      bulk("count"),
      int(3),
      bulk("len"),
      int(101),
      bulk("next-insert-index"),
      int(1),
      bulk("slices"),
      int(1),
      bulk("directory-size"),
      int(1),
      bulk("super-dir-entries"),
      int(0),
      bulk("slice-size"),
      int(4096)
    ]
    const info = {
      count: 3,
      len: 101,
      nextInsertIndex: Option.some(1),
      slices: Option.some(1),
      directorySize: Option.some(1),
      superDirEntries: Option.some(0),
      sliceSize: Option.some(4096),
      other: {}
    }
    readsEach(arrays.arinfo("k"), [array(...common), map(...common)], info)
    const rest = (number: (text: string) => string) => [
      bulk("dense-slices"),
      int(1),
      bulk("sparse-slices"),
      int(0),
      bulk("avg-dense-size"),
      number("128"),
      bulk("avg-dense-fill"),
      number("0.5"),
      bulk("avg-sparse-size"),
      number("0")
    ]
    readsEach(arrays.arinfo("k", { full: true }), [array(...common, ...rest(bulk)), map(...common, ...rest(double))], {
      ...info,
      denseSlices: Option.some(1),
      sparseSlices: Option.some(0),
      avgDenseSize: Option.some(128),
      avgDenseFill: Option.some(0.5),
      avgSparseSize: Option.some(0)
    })
    readsError(arrays.arinfo("none"), error("ERR no such key"), { _tag: "ReplyError", code: "ERR" })
    readsError(arrays.arget("k", 0), error("WRONGTYPE no"), { _tag: "ReplyError", code: "WRONGTYPE" })
  })
})

liveSuite("array", ({ effect, needs }) => {
  effect("every array command", () =>
    Effect.gen(function* () {
      yield* needs("ARSET")
      expect(yield* arrays.arset("k", 0, ["10", "20", "30"])).toBe(3)
      expect(
        yield* arrays.armset("k", [
          [2, "33"],
          [100, "x"]
        ])
      ).toBe(1)
      expect(yield* arrays.arget("k", 1)).toEqual(Option.some("20"))
      expect(yield* arrays.armget("k", [1, 50])).toEqual([Option.some("20"), Option.none()])
      expect(yield* arrays.argetrange("k", 3, 2)).toEqual([Option.none(), Option.some("33")])
      expect(yield* arrays.arlen("k")).toBe(101)
      expect(yield* arrays.arcount("k")).toBe(4)
      expect(yield* arrays.arscan("k", 0, 1000, { limit: 2 })).toEqual([
        [0, "10"],
        [1, "20"]
      ])
      expect(yield* arrays.argrep("k", range.lowest, range.highest, { match: "3" })).toEqual([2])
      const values = { withvalues: true, nocase: true } as const
      expect(yield* arrays.argrep("k", 0, 200, [{ exact: "X" }, { re: "^1" }], values)).toEqual([
        [0, "10"],
        [100, "x"]
      ])
      expect(yield* arrays.arop("k", 0, 100, "sum")).toEqual(Option.some(63))
      expect(yield* arrays.arop("k", 100, 100, "max")).toEqual(Option.none())
      expect(yield* arrays.arop("k", 0, 1, "or")).toEqual(Option.some(30))
      expect(yield* arrays.arop("k", 0, 100, "used")).toBe(4)
      expect(yield* arrays.arop("k", 0, 100, { match: "10" })).toBe(1)
      expect(yield* arrays.ardel("k", [0, 50])).toBe(1)
      expect(yield* arrays.ardelrange("k", [[90, 110]])).toBe(1)
      expect(yield* arrays.arinsert("log", ["a", "b"])).toBe(1)
      expect(yield* arrays.arnext("log")).toEqual(Option.some(2))
      expect(yield* arrays.arseek("log", 7)).toBe(true)
      expect(yield* arrays.arseek("none", 7)).toBe(false)
      expect(yield* arrays.arring("ring", 2, ["a", "b", "c"])).toBe(0)
      expect(yield* arrays.arlastitems("ring", 5, { rev: true })).toEqual([Option.some("c"), Option.some("b")])
      expect(yield* arrays.arinfo("ring")).toMatchObject({ count: 2, len: 2 })
      expect(yield* arrays.arinfo("ring", { full: true })).toMatchObject({ count: 2, len: 2 })
    })
  )
})
