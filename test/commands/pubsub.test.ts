import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/pubsub.js"
import type * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const pubsub = make(Codec.utf8)
const binary = make(Codec.bytes)
const json = make(Codec.json)
const bytes = (text: string) => new TextEncoder().encode(text)
const { array, bulk, int } = wire

describe("pubsub, sent", () => {
  it("PUBLISH, SPUBLISH", () => {
    sends(pubsub.publish("c", "m"), ["PUBLISH", "c", "m"])
    sends(pubsub.spublish("c", "m"), ["SPUBLISH", "c", "m"])
    sends(json.publish("c", { n: 1 }), ["PUBLISH", "c", `{"n":1}`])
    sends(binary.publish(bytes("c"), new Uint8Array([0xff])), ["PUBLISH", "c", new Uint8Array([0xff])])
    tagged(pubsub.publish("c", "m"), ["channel", "value"])
    refuses(json.publish("c", undefined), /does not encode/)
  })

  it("PUBSUB", () => {
    sends(pubsub.pubsubChannels(), ["PUBSUB", "CHANNELS"])
    sends(pubsub.pubsubChannels({ pattern: "n*" }), ["PUBSUB", "CHANNELS", "n*"])
    sends(pubsub.pubsubShardchannels(), ["PUBSUB", "SHARDCHANNELS"])
    sends(pubsub.pubsubShardchannels({ pattern: "n*" }), ["PUBSUB", "SHARDCHANNELS", "n*"])
    sends(pubsub.pubsubNumpat(), ["PUBSUB", "NUMPAT"])
    sends(pubsub.pubsubNumsub("a"), ["PUBSUB", "NUMSUB", "a"])
    sends(pubsub.pubsubNumsub(["a", bytes("b")]), ["PUBSUB", "NUMSUB", "a", "b"])
    sends(pubsub.pubsubShardnumsub(["a", "b"]), ["PUBSUB", "SHARDNUMSUB", "a", "b"])
    tagged(pubsub.pubsubNumsub("a"), ["channel"])
    refuses(pubsub.pubsubNumsub([] as never), /at least one channel/)
  })

  it("SUBSCRIBE and kin, which change their connection", () => {
    for (const [name, command] of [
      ["SUBSCRIBE", pubsub.subscribe],
      ["SSUBSCRIBE", pubsub.ssubscribe],
      ["PSUBSCRIBE", pubsub.psubscribe],
      ["UNSUBSCRIBE", pubsub.unsubscribe],
      ["SUNSUBSCRIBE", pubsub.sunsubscribe],
      ["PUNSUBSCRIBE", pubsub.punsubscribe]
    ] as const) {
      sends(command("a"), [name, "a"])
      sends(command(["a", "b"]), [name, "a", "b"])
      tagged(command("a"), ["channel"])
      refuses(command([] as never), /at least one (channel|pattern)/)
      expect(command("a").traits.stateful).toBe("subscription")
    }
    sends(pubsub.unsubscribe(), ["UNSUBSCRIBE"])
    sends(pubsub.sunsubscribe(), ["SUNSUBSCRIBE"])
    sends(pubsub.punsubscribe(), ["PUNSUBSCRIBE"])
  })
})

describe("pubsub, read", () => {
  it("counts", () => {
    for (const command of [pubsub.publish("c", "m"), pubsub.spublish("c", "m"), pubsub.pubsubNumpat()]) {
      reads(command, int(2), 2)
      readsError(command, bulk("x"), { _tag: "DecodeError" })
    }
    readsEach(
      pubsub.pubsubNumsub(["a", "b"]),
      [array(bulk("a"), int(0), bulk("b"), int(2)), wire.map(bulk("a"), int(0), bulk("b"), int(2))],
      [
        { channel: "a", subscribers: 0 },
        { channel: "b", subscribers: 2 }
      ]
    )
    reads(binary.pubsubShardnumsub("a"), array(bulk("a"), int(1)), [{ channel: bytes("a"), subscribers: 1 }])
  })

  it("channels", () => {
    reads(pubsub.pubsubChannels(), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(pubsub.pubsubShardchannels(), array(), [])
    reads(binary.pubsubChannels(), Buffer.from("*1\r\n$1\r\n\xff\r\n", "latin1"), [new Uint8Array([0xff])])
    readsError(pubsub.pubsubChannels(), Buffer.from("*1\r\n$1\r\n\xff\r\n", "latin1"), {
      _tag: "DecodeError",
      path: [0]
    })
  })
})

liveSuite("pubsub", ({ effect, live, onLease }) => {
  // The client refuses these on shared connections, and under RESP3 their answer is a push, which settles no command: so
  // they are sent, and what they did is seen from another connection.
  live("SUBSCRIBE and kin", () =>
    Effect.gen(function* () {
      const sent = (...commands: ReadonlyArray<RedisCommand.RedisCommand<void>>) =>
        Effect.forkScoped(
          onLease(
            Effect.forEach(commands, (command) => Effect.timeoutOption(command, "20 millis")).pipe(
              Effect.zipRight(Effect.never)
            )
          )
        )
      const until = <A>(command: RedisCommand.RedisCommand<A>, done: (a: A) => boolean) =>
        Effect.delay(command, "10 millis").pipe(Effect.repeat({ until: done, times: 300 }))

      yield* sent(pubsub.subscribe("a"))
      const counts = yield* until(pubsub.pubsubNumsub(["a", "b"]), ([a]) => a?.subscribers === 1)
      expect(counts).toEqual([
        { channel: "a", subscribers: 1 },
        { channel: "b", subscribers: 0 }
      ])
      expect(yield* pubsub.pubsubChannels()).toEqual(["a"])
      expect(yield* pubsub.publish("a", "m")).toBe(1)

      yield* sent(pubsub.ssubscribe("s"))
      const shards = yield* until(pubsub.pubsubShardnumsub("s"), ([s]) => s?.subscribers === 1)
      expect(shards).toEqual([{ channel: "s", subscribers: 1 }])
      expect(yield* pubsub.pubsubShardchannels({ pattern: "s*" })).toEqual(["s"])
      expect(yield* pubsub.spublish("s", "m")).toBe(1)

      yield* sent(pubsub.psubscribe("p*"))
      expect(yield* until(pubsub.pubsubNumpat(), (count) => count === 1)).toBe(1)
      expect(yield* pubsub.publish("pp", "m")).toBe(1)

      yield* sent(pubsub.subscribe("u"), pubsub.unsubscribe("u"), pubsub.subscribe("w"))
      yield* until(pubsub.pubsubNumsub("w"), ([w]) => w?.subscribers === 1)
      expect(yield* pubsub.pubsubNumsub("u")).toEqual([{ channel: "u", subscribers: 0 }])
      yield* sent(pubsub.ssubscribe("t"), pubsub.sunsubscribe(), pubsub.ssubscribe("v"))
      yield* until(pubsub.pubsubShardnumsub("v"), ([v]) => v?.subscribers === 1)
      expect(yield* pubsub.pubsubShardnumsub("t")).toEqual([{ channel: "t", subscribers: 0 }])
      yield* sent(pubsub.psubscribe("q*"), pubsub.punsubscribe(), pubsub.subscribe("x"))
      yield* until(pubsub.pubsubNumsub("x"), ([x]) => x?.subscribers === 1)
      expect(yield* pubsub.pubsubNumpat()).toBe(1)
    })
  )

  effect("with nobody listening", () =>
    Effect.gen(function* () {
      expect(yield* pubsub.publish("c", "m")).toBe(0)
      expect(yield* pubsub.spublish("c", "m")).toBe(0)
      expect(yield* pubsub.pubsubChannels()).toEqual([])
      expect(yield* pubsub.pubsubChannels({ pattern: "c*" })).toEqual([])
      expect(yield* pubsub.pubsubShardchannels({ pattern: "c*" })).toEqual([])
      expect(yield* pubsub.pubsubNumpat()).toBe(0)
      expect(yield* pubsub.pubsubNumsub(["a", "b"])).toEqual([
        { channel: "a", subscribers: 0 },
        { channel: "b", subscribers: 0 }
      ])
      expect(yield* pubsub.pubsubShardnumsub("a")).toEqual([{ channel: "a", subscribers: 0 }])
    })
  )
})
