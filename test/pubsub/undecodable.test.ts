/** Messages that do not decode: what a listener does with them, by `onUndecodable`, and how logs and errors name them. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Codec, Redis, RedisPubSub } from "effect-redis-client"
import { DecodeError } from "../../src/RedisError.js"
import { eachServer, failure } from "../support/client.js"
import { first, listener, warnings } from "../support/pubsub.js"

const Order = RedisPubSub.withCodec(Codec.schema(Schema.Struct({ id: Schema.Number })))

const bytes = new Uint8Array([0xff, 0xfe])

eachServer((it, live) => {
  const publish = (channel: string) =>
    Effect.gen(function* () {
      for (const payload of [`{"id":1}`, `{"id":"secret"}`, bytes, `{"id":2}`]) {
        yield* Redis.execute("PUBLISH", channel, payload)
      }
    })

  it.scoped("are passed over with `skip`: the log says so once, and names server, client and channel", () =>
    Effect.gen(function* () {
      const { layer, lines } = warnings()
      const { listen, run } = yield* Effect.provide(listener(live, { clientName: "test" }), layer)
      const orders = yield* listen(Order.subscribe("u:skip", { onUndecodable: "skip" }))
      yield* run(publish("u:skip"))
      yield* run(publish("u:skip"))
      expect((yield* first(orders, 4)).map(({ payload }) => payload.id)).toEqual([1, 2, 1, 2])
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain("A message of a subscription is skipped")
      expect(lines[0]).toContain("u:skip.id")
      expect(lines[0]).toMatch(/"server.address":"127.0.0.1:\d+"/)
      expect(lines[0]).toContain(`"redis.client.name":"test"`)
      expect(lines[0]).toContain(`"channel":"u:skip"`)
      expect(lines[0]).not.toContain("secret")
    })
  )

  it.scoped("are elements with `emit`, in their places, with their bytes; gaps may be beside them", () =>
    Effect.gen(function* () {
      const { listen, run } = yield* listener(live)
      const orders = yield* listen(Order.withGaps.psubscribe("u:emi*", { onUndecodable: "emit" }))
      yield* run(publish("u:emit"))
      const got = yield* first(orders, 4)
      expect(got).toMatchObject([
        { _tag: "Message", payload: { id: 1 } },
        { _tag: "Undecodable", channel: "u:emit", pattern: Option.some("u:emi*") },
        { _tag: "Undecodable", channel: "u:emit", payload: bytes },
        { _tag: "Message", payload: { id: 2 } }
      ])
      const bad = got.filter(RedisPubSub.isUndecodable)
      expect(bad.map(({ payload }) => payload)).toEqual([new TextEncoder().encode(`{"id":"secret"}`), bytes])
      expect(bad[0]?.error).toBeInstanceOf(DecodeError)
      expect(bad[0]?.error).toMatchObject({ path: ["u:emit", "id"] })
      expect(bad[0]?.error.message).not.toContain("secret")
    })
  )

  it.scoped("of keyspace notifications are elements with `emit` too", () =>
    Effect.gen(function* () {
      const { listen, run } = yield* listener(live)
      const events = yield* listen(RedisPubSub.psubscribeKeyspace("*", { notify: "KEA", onUndecodable: "emit" }))
      yield* run(Redis.set(bytes, "1"))
      yield* run(Redis.set("text", "1"))
      const got = yield* first(events, 2)
      expect(got[1]).toMatchObject({ _tag: "KeyEvent", key: "text", event: "set" })
      const [bad] = got
      expect(RedisPubSub.isUndecodable(bad) && Buffer.from(bad.channel as Uint8Array).subarray(-2)).toEqual(
        Buffer.from(bytes)
      )
    })
  )

  it.scoped("name a channel with line breaks and control characters escaped, in the error and in the log", () =>
    Effect.gen(function* () {
      const { layer, lines } = warnings()
      const { listen, run } = yield* Effect.provide(listener(live), layer)
      const evil = "u:evil\nlevel=ERROR\u001b[31m\u2028"
      const shown = "u:evil\\nlevel=ERROR\\u001b[31m\\u2028"
      const failing = yield* listen(Order.mailbox(evil))
      const skipping = yield* listen(Order.subscribe(evil, { onUndecodable: "skip" }))
      yield* run(publish(evil))
      yield* failing.take
      const error = failure(yield* Effect.exit(failing.take))
      expect(error).toMatchObject({ _tag: "DecodeError", path: [evil, "id"] })
      expect(String(error)).toContain(`does not decode at ${shown}.id: `)
      yield* first(skipping, 2)
      expect(lines[0]).toContain(`does not decode at ${shown}.id: `)
      expect(lines[0]).toContain(JSON.stringify(shown))
    })
  )

  it.scoped("a way that does not exist is refused by name", () =>
    Effect.gen(function* () {
      const { listen } = yield* listener(live)
      for (const way of ["ignore", "toString"]) {
        const exit = yield* Effect.exit(listen(RedisPubSub.subscribe("a", { onUndecodable: way as "skip" })))
        expect(failure(exit)).toMatchObject({
          _tag: "UsageError",
          message: "onUndecodable must be fail, skip or emit"
        })
      }
    })
  )
})
