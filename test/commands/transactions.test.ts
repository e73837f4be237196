import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/transactions.js"
import type { Redis } from "../../src/internal/command/model.js"
import { ErrorReply } from "../../src/internal/resp/values.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const raw = make(Codec.utf8)
const { array, bulk, error, int, nil, nilArray, simple } = wire

describe("MULTI, EXEC, DISCARD, WATCH and UNWATCH", () => {
  it("encode their arguments and are stateful", () => {
    sends(raw.multi(), ["MULTI"])
    sends(raw.exec(), ["EXEC"])
    sends(raw.discard(), ["DISCARD"])
    sends(raw.unwatch(), ["UNWATCH"])
    sends(raw.watch("k"), ["WATCH", "k"])
    sends(raw.watch(["k", "l"]), ["WATCH", "k", "l"])
    tagged(raw.watch(["k", "l"]), ["key", "key"])
    refuses(raw.watch([] as never), /at least one key/)
    expect([raw.multi(), raw.exec(), raw.discard()].map(({ traits }) => traits.stateful)).toEqual(
      Array(3).fill("transaction")
    )
    expect([raw.watch("k"), raw.unwatch()].map(({ traits }) => traits.stateful)).toEqual(["watch", "watch"])
  })

  it("decode their replies", () => {
    for (const command of [raw.multi(), raw.discard(), raw.unwatch(), raw.watch("k")]) {
      reads(command, simple("OK"), undefined)
    }
    readsEach(raw.exec(), [nilArray, nil], Option.none())
    reads(raw.exec(), array(), Option.some([]))
    reads(
      raw.exec(),
      array(int(1), bulk("v"), error("WRONGTYPE no")),
      Option.some([1, "v", new ErrorReply("WRONGTYPE no")])
    )
    reads(make(Codec.bytes).exec(), array(bulk("v")), Option.some([new TextEncoder().encode("v")]))
    readsError(raw.exec(), error("EXECABORT Transaction discarded because of previous errors."), {
      _tag: "ReplyError",
      code: "EXECABORT"
    })
  })
})

liveSuite("transactions", ({ effect, onLease }) => {
  const set = (value: string) => RedisCommand.make("SET", { args: [RedisCommand.key("k"), value] })

  effect("MULTI, EXEC, DISCARD, WATCH and UNWATCH are refused on the shared connection", () =>
    Effect.gen(function* () {
      for (const command of [raw.multi(), raw.exec(), raw.discard(), raw.watch("k"), raw.unwatch()]) {
        expect(yield* Effect.flip<unknown, unknown, Redis>(command)).toMatchObject({ _tag: "UsageError" })
      }
    })
  )

  effect("MULTI, EXEC, DISCARD, WATCH and UNWATCH work on a leased connection", () =>
    onLease(
      Effect.gen(function* () {
        yield* raw.multi()
        expect(yield* set("1")).toBe("QUEUED")
        expect(yield* raw.exec()).toEqual(Option.some(["OK"]))
        yield* raw.multi()
        yield* set("2")
        yield* raw.discard()
        expect(yield* Effect.flip(raw.exec())).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        yield* raw.watch("k")
        yield* set("3")
        yield* raw.multi()
        yield* set("4")
        expect(yield* raw.exec()).toEqual(Option.none())
        yield* raw.watch("k")
        yield* set("5")
        yield* raw.unwatch()
        yield* raw.multi()
        expect(yield* raw.exec()).toEqual(Option.some([]))
      })
    )
  )
})
