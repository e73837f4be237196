import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/string.js"
import { liveSuite, reads, readsError, refuses, sends } from "../support/commands.js"

const strings = make(Codec.utf8)

describe("string, sent", () => {
  it("SET", () => {
    sends(strings.set("k", "v"), ["SET", "k", "v"])
    sends(strings.set("k", "v", { nx: true, ex: "1500 millis" }), ["SET", "k", "v", "NX", "PX", "1500"])
    refuses(strings.mget([] as never), /at least one key/)
  })
})

describe("string, read", () => {
  it("GET", () => {
    reads(strings.get("k"), "$1\r\nv\r\n", Option.some("v"))
    reads(strings.get("k"), "_\r\n", Option.none())
    readsError(strings.get("k"), "-WRONGTYPE no\r\n", { _tag: "ReplyError", code: "WRONGTYPE" })
  })
})

liveSuite("string", ({ effect, needs }) => {
  effect("SET and GET", () =>
    Effect.gen(function* () {
      yield* strings.set("k", "v")
      expect(yield* strings.get("k")).toEqual(Option.some("v"))
    })
  )
  effect("DELEX", () =>
    Effect.gen(function* () {
      yield* needs("DELEX")
      expect(1).toBe(2)
    })
  )
})
