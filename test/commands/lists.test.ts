/** Lists of any length, and one element in place of a list. */
import { it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import { describe, expect } from "vitest"
import * as Codec from "../../src/Codec.js"
import { Redis } from "../../src/Redis.js"
import { connectTo, failure } from "../support/client.js"
import { sends } from "../support/commands.js"
import * as Peer from "../support/peer.js"

const json = Redis.withCodec(Codec.json)

describe("lists", () => {
  it("are arrays, Chunks, or one element", () => {
    const members: Array<string> = ["a", "b"]
    for (const given of [members, Chunk.make("a", "b")]) {
      sends(Redis.sadd("k", given), ["SADD", "k", "a", "b"])
      sends(Redis.del(given), ["DEL", "a", "b"])
      sends(Redis.hmget("k", given), ["HMGET", "k", "a", "b"])
      sends(Redis.zunion(given), ["ZUNION", "2", "a", "b"])
    }
    sends(Redis.sadd("k", "a"), ["SADD", "k", "a"])
    sends(Redis.rpush("k", "a"), ["RPUSH", "k", "a"])
    sends(Redis.zrem("k", "a"), ["ZREM", "k", "a"])
    sends(Redis.pfadd("k", "a"), ["PFADD", "k", "a"])
    sends(Redis.zadd("k", ["a", 1]), ["ZADD", "k", "1", "a"])
    sends(Redis.zadd("k", Chunk.make(["a", 1] as const)), ["ZADD", "k", "1", "a"])
    sends(Redis.ardelrange("k", [0, 1]), ["ARDELRANGE", "k", "0", "1"])
    sends(Redis.mset(Chunk.make(["a", "1"] as const)), ["MSET", "a", "1"])
  })

  it("are told from values that are arrays: an array is always the list", () => {
    sends(json.rpush("k", [1, 2]), ["RPUSH", "k", "1", "2"])
    sends(json.rpush("k", [[1, 2]]), ["RPUSH", "k", "[1,2]"])
    sends(json.rpush("k", { a: 1 }), ["RPUSH", "k", '{"a":1}'])
    sends(json.zadd("k", [[[1, 2], 3]]), ["ZADD", "k", "3", "[1,2]"])
    sends(json.zadd("k", [[1, 2], 3]), ["ZADD", "k", "3", "[1,2]"])
  })

  it.effect("without elements fail typed when the command is run, before anything is sent", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { commands, run } = yield* connectTo({ onCommand: Peer.greeting() })
        const none: Array<string> = []
        const messages = yield* Effect.forEach(
          [
            Redis.sadd("k", none),
            Redis.del(none),
            Redis.rpush("k", none),
            Redis.hdel("k", none),
            Redis.publish("c", "v")
          ],
          (command) =>
            Effect.map(Effect.exit(run(command)), (exit) => (exit._tag === "Success" ? "" : failure(exit).message))
        )
        expect(messages.slice(0, 4)).toEqual([
          "SADD: needs at least one member",
          "DEL: needs at least one key",
          "RPUSH: needs at least one element",
          "HDEL: needs at least one field"
        ])
        expect(commands()).toEqual(["PUBLISH c v"])
      })
    )
  )

  it.effect("of commands may be Chunks: a pipeline answers an array", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { run } = yield* connectTo({ onCommand: Peer.greeting(() => ":1\r\n") })
        const first = Redis.incr("a")
        const commands = Chunk.make(first, Redis.incr("b"))
        expect(yield* run(Redis.pipeline(commands))).toEqual([1, 1])
        expect(yield* run(Redis.pipeline(Chunk.empty<typeof first>()))).toEqual([])
        const wrong = yield* Effect.exit(run(Redis.pipeline([null] as never)))
        expect(failure(wrong).message).toBe("a batch must be a list or a record of commands")
      })
    )
  )
})

describe("options that exclude each other", () => {
  it("are refused where only the running program knows that both are given", () => {
    const both: boolean = JSON.parse("true")
    expect(Redis.set("k", "v", { nx: both, xx: both }).problem?.message).toBe("SET: nx and xx exclude each other")
    expect(Redis.expire("k", "1 second", { xx: both, gt: true }).problem).toBeUndefined()
    sends(Redis.set("k", "v", { nx: both, xx: !both, ex: undefined }), ["SET", "k", "v", "NX"])
    expect(Redis.xtrim("k", { maxlen: 1, keepref: both, delref: both } as never).problem?.message).toMatch(/exclude/)
  })
})
