import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/pubsub.js"
import { Redis } from "../../src/internal/command/model.js"
import type * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const pubsub = make(Codec.utf8)
const binary = make(Codec.bytes)
const json = make(Codec.json)
const bytes = (text: string) => new TextEncoder().encode(text)
const { array, bulk, int } = wire

describe("pubsub commands encode their arguments", () => {
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

  it("SUBSCRIBE, UNSUBSCRIBE and their variants, which are stateful", () => {
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

describe("pubsub commands decode their replies", () => {
  it("commands that answer counts", () => {
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

  it("lists of channels", () => {
    reads(pubsub.pubsubChannels(), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(pubsub.pubsubShardchannels(), array(), [])
    reads(binary.pubsubChannels(), Buffer.from("*1\r\n$1\r\n\xff\r\n", "latin1"), [new Uint8Array([0xff])])
    reads(pubsub.pubsubChannels(), Buffer.from("*1\r\n$1\r\n\xff\r\n", "latin1"), ["\\xff"])
  })
})

/** The channels of the server, without the one over which a sentinel that watches it is found by others. */
const channels = Effect.map(pubsub.pubsubChannels(), (names) => names.filter((name) => name !== "__sentinel__:hello"))

liveSuite("pubsub", ({ effect, onLease }) => {
  effect(
    "SUBSCRIBE, UNSUBSCRIBE and their variants work on a leased connection and are refused on the shared one",
    () =>
      Effect.gen(function* () {
        const shared = yield* Redis
        const seen = <A>(command: RedisCommand.RedisCommand<A>) => Effect.provideService(command, Redis, shared)
        yield* onLease(
          Effect.gen(function* () {
            yield* pubsub.subscribe(["a", "b"])
            yield* pubsub.unsubscribe("b")
            expect(yield* seen(pubsub.pubsubNumsub(["a", "b"]))).toEqual([
              { channel: "a", subscribers: 1 },
              { channel: "b", subscribers: 0 }
            ])
            expect(yield* Effect.provideService(channels, Redis, shared)).toEqual(["a"])
            expect(yield* seen(pubsub.publish("a", "m"))).toBe(1)

            yield* pubsub.ssubscribe(["s", "t"])
            yield* pubsub.sunsubscribe("t")
            expect(yield* seen(pubsub.pubsubShardnumsub(["s", "t"]))).toEqual([
              { channel: "s", subscribers: 1 },
              { channel: "t", subscribers: 0 }
            ])
            expect(yield* seen(pubsub.pubsubShardchannels({ pattern: "s*" }))).toEqual(["s"])
            expect(yield* seen(pubsub.spublish("s", "m"))).toBe(1)

            yield* pubsub.psubscribe(["p*", "q*"])
            yield* pubsub.punsubscribe("q*")
            expect(yield* seen(pubsub.pubsubNumpat())).toBe(1)
            expect(yield* seen(pubsub.publish("pp", "m"))).toBe(1)

            // Refused, because the number of confirmations that would follow is unknown.
            expect(yield* Effect.flip(pubsub.unsubscribe())).toMatchObject({ _tag: "UsageError" })
          })
        )
        expect(yield* Effect.flip(pubsub.subscribe("a"))).toMatchObject({ _tag: "UsageError" })
        expect(yield* Effect.flip(pubsub.punsubscribe("a"))).toMatchObject({ _tag: "UsageError" })
      })
  )

  effect("PUBLISH and PUBSUB without subscribers", () =>
    Effect.gen(function* () {
      expect(yield* pubsub.publish("c", "m")).toBe(0)
      expect(yield* pubsub.spublish("c", "m")).toBe(0)
      expect(yield* channels).toEqual([])
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
