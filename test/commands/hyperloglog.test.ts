import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/hyperloglog.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsError, refuses, sends, wire } from "../support/commands.js"

const logs = make(Codec.utf8)
const users = make(Codec.schema(Schema.Struct({ id: Schema.Number })))

describe("hyperloglog commands encode their arguments", () => {
  it("PFADD, PFCOUNT, PFMERGE", () => {
    sends(logs.pfadd("k"), ["PFADD", "k"])
    sends(logs.pfadd("k", ["a", "b"]), ["PFADD", "k", "a", "b"])
    sends(users.pfadd("k", [{ id: 1 }]), ["PFADD", "k", '{"id":1}'])
    sends(logs.pfcount("k"), ["PFCOUNT", "k"])
    sends(logs.pfcount(["k", "l"]), ["PFCOUNT", "k", "l"])
    sends(logs.pfmerge("d"), ["PFMERGE", "d"])
    sends(logs.pfmerge("d", ["k", "l"]), ["PFMERGE", "d", "k", "l"])
    refuses(logs.pfcount([] as never), /at least one key/)
    refuses(logs.pfmerge("d", [] as never), /at least one key/)
  })
})

describe("hyperloglog commands decode their replies", () => {
  it("PFADD, PFCOUNT, PFMERGE", () => {
    reads(logs.pfadd("k", ["a"]), wire.int(1), true)
    reads(logs.pfadd("k", ["a"]), wire.int(0), false)
    reads(logs.pfcount("k"), wire.int(3), 3)
    reads(logs.pfmerge("d"), wire.simple("OK"), undefined)
    readsError(logs.pfcount("k"), wire.error("WRONGTYPE Key is not a valid HyperLogLog string value."), {
      _tag: "ReplyError",
      code: "WRONGTYPE"
    })
    readsError(logs.pfcount("k"), wire.nil, { _tag: "DecodeError" })
  })
})

liveSuite("hyperloglog", ({ effect }) => {
  effect("PFADD, PFCOUNT, PFMERGE", () =>
    Effect.gen(function* () {
      expect(yield* logs.pfadd("k")).toBe(true)
      expect(yield* logs.pfadd("k")).toBe(false)
      expect(yield* logs.pfadd("k", ["a", "b", "c"])).toBe(true)
      expect(yield* logs.pfadd("k", ["a"])).toBe(false)
      expect(yield* logs.pfadd("l", ["c", "d"])).toBe(true)
      expect(yield* logs.pfcount("k")).toBe(3)
      expect(yield* logs.pfcount(["k", "l", "none"])).toBe(4)
      expect(yield* logs.pfcount("none")).toBe(0)
      yield* logs.pfmerge("d", ["k", "l"])
      expect(yield* logs.pfcount("d")).toBe(4)
      yield* logs.pfmerge("new")
      expect(yield* logs.pfcount("new")).toBe(0)
    })
  )

  effect("errors", () =>
    Effect.gen(function* () {
      yield* RedisCommand.make("SET", { args: [RedisCommand.key("text"), "v"] })
      const wrong = { _tag: "ReplyError", code: "WRONGTYPE" }
      expect(yield* Effect.flip(logs.pfadd("text", ["a"]))).toMatchObject(wrong)
      expect(yield* Effect.flip(logs.pfmerge("d", "text"))).toMatchObject(wrong)
    })
  )
})
