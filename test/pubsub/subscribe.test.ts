/** Subscriptions on real servers: confirmed, typed, shared, and owned by their scope. */
import { describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Codec, Redis, RedisPubSub } from "effect-redis-client"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, failure, quickly } from "../support/client.js"
import { collecting, first, listener, until } from "../support/pubsub.js"

eachServer((it, live) => {
  describe("a subscription", () => {
    it.scoped("gives messages with channel, pattern and payload, by channel, pattern and shard channel", () =>
      Effect.gen(function* () {
        const { listen, run } = yield* listener(live)
        const news = yield* listen(RedisPubSub.subscribe(["s:news", "s:more"]))
        const every = yield* listen(RedisPubSub.psubscribe("s:*"))
        const shard = yield* listen(RedisPubSub.ssubscribe("s:shard"))
        yield* run(Redis.publish("s:news", "one"))
        yield* run(Redis.publish("s:more", "two"))
        yield* run(Redis.spublish("s:shard", "three"))
        const none = Option.none()
        expect(yield* first(news, 2)).toEqual([
          { _tag: "Message", channel: "s:news", pattern: none, payload: "one" },
          { _tag: "Message", channel: "s:more", pattern: none, payload: "two" }
        ])
        expect(yield* first(every, 2)).toEqual([
          { _tag: "Message", channel: "s:news", pattern: Option.some("s:*"), payload: "one" },
          { _tag: "Message", channel: "s:more", pattern: Option.some("s:*"), payload: "two" }
        ])
        expect(yield* first(shard, 1)).toEqual([
          { _tag: "Message", channel: "s:shard", pattern: none, payload: "three" }
        ])
      })
    )

    it.scoped("receives every message published after it returned", () =>
      Effect.gen(function* () {
        const { listen, run } = yield* listener(live)
        for (let i = 0; i < 100; i++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const messages = yield* listen(RedisPubSub.subscribe("s:again"))
              expect(yield* run(Redis.publish("s:again", String(i)))).toBe(1)
              expect((yield* first(messages, 1))[0]?.payload).toBe(String(i))
            })
          )
        }
      })
    )

    it.scoped(
      "shares one connection and one SUBSCRIBE with other listeners, and is unsubscribed when the last one leaves",
      () =>
        Effect.gen(function* () {
          const { calls, connections, listen, numsub, resetCalls, run, subscribers } = yield* listener(live)
          const before = yield* connections
          const scopes = yield* Effect.all(Array.from({ length: 20 }, () => Scope.make()))
          yield* resetCalls
          const streams = yield* Effect.forEach(
            scopes,
            (scope) => listen(RedisPubSub.subscribe(["s:shared", "s:shared"])).pipe(Scope.extend(scope)),
            { concurrency: "unbounded" }
          )
          expect(yield* calls("subscribe")).toBe(1)
          expect(yield* subscribers).toBe(1)
          expect(yield* connections).toBe(before + 1)
          expect(yield* run(Redis.publish("s:shared", "all"))).toBe(1)
          for (const stream of streams) {
            expect((yield* first(stream, 1))[0]?.payload).toBe("all")
          }
          const [last, ...others] = scopes
          for (const scope of others) {
            yield* Scope.close(scope, Exit.void)
          }
          expect(yield* numsub("s:shared")).toBe(1)
          expect(yield* calls("unsubscribe")).toBe(0)
          yield* Scope.close(last as Scope.CloseableScope, Exit.void)
          yield* until(
            "it is unsubscribed",
            Effect.map(numsub("s:shared"), (count) => count === 0)
          )
          expect(yield* calls("unsubscribe")).toBe(1)
        })
    )

    it.scoped("never misses a message published after its confirmation while listeners come and go", () =>
      Effect.gen(function* () {
        const { listen, numsub, run } = yield* listener(live)
        // The UNSUBSCRIBE of one listener is in flight when the SUBSCRIBE of the next follows.
        yield* Effect.forEach(
          Array.from({ length: 300 }, (_, i) => i),
          (i) =>
            Effect.scoped(
              Effect.gen(function* () {
                const messages = yield* listen(RedisPubSub.mailbox("s:busy"))
                yield* run(Redis.publish("s:busy", String(i)))
                while ((yield* messages.take).payload !== String(i)) {}
              })
            ),
          { concurrency: 3, discard: true }
        )
        yield* until(
          "it is unsubscribed",
          Effect.map(numsub("s:busy"), (count) => count === 0)
        )
      })
    )

    it.scoped("opens its connection with the first listener, and closes it when idle", () =>
      Effect.gen(function* () {
        const { connections, listen } = yield* listener(live, { idleTimeout: "50 millis" })
        const before = yield* connections
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* listen(RedisPubSub.subscribe("s:idle"))
            expect(yield* connections).toBe(before + 1)
          })
        )
        yield* until(
          "the connection is gone",
          Effect.map(connections, (count) => count === before)
        )
        // A later listener opens a connection again.
        yield* listen(RedisPubSub.subscribe("s:idle"))
        expect(yield* connections).toBe(before + 1)
      })
    )

    it.scoped("carries bytes that are not UTF-8, as channel, pattern and payload", () =>
      Effect.gen(function* () {
        const { listen, run } = yield* listener(live)
        const bytes = RedisPubSub.withCodec(Codec.bytes)
        const channel = Uint8Array.of(0, 255, 42, 128, 13, 10)
        const other = Uint8Array.of(0, 254, 42, 128, 13, 10)
        const pattern = Uint8Array.of(0, 255, 42)
        const messages = yield* listen(bytes.subscribe([channel, other]))
        const matches = yield* listen(bytes.psubscribe(pattern))
        const publish = (to: Uint8Array, payload: Uint8Array) => run(Redis.withCodec(Codec.bytes).publish(to, payload))
        yield* publish(other, Uint8Array.of(1))
        yield* publish(channel, Uint8Array.of(200, 201, 0, 13, 10))
        expect(yield* first(messages, 2)).toMatchObject([
          { channel: other, payload: Uint8Array.of(1) },
          { channel, payload: Uint8Array.of(200, 201, 0, 13, 10) }
        ])
        expect(yield* first(matches, 1)).toMatchObject([{ channel, pattern: Option.some(pattern) }])
      })
    )

    it.scoped(
      "is decoded by each listener's own codec, and a message that does not decode fails only that listener",
      () =>
        Effect.gen(function* () {
          const { listen, run } = yield* listener(live)
          const texts = yield* listen(RedisPubSub.mailbox("s:shared"))
          const others = yield* listen(RedisPubSub.mailbox("s:shared"))
          const matches = yield* listen(RedisPubSub.pmailbox("s:share*"))
          const numbers = yield* listen(RedisPubSub.withCodec(Codec.schema(Schema.Number)).mailbox("s:shared"))
          const bytes = yield* listen(RedisPubSub.withCodec(Codec.bytes).mailbox("s:shared"))
          const messages = [Uint8Array.of(49, 50), Uint8Array.of(255), Uint8Array.of(51)]
          for (const payload of messages) {
            yield* run(Redis.withCodec(Codec.bytes).publish("s:shared", payload))
          }
          for (const mailbox of [texts, others, matches]) {
            const pattern = mailbox === matches ? Option.some("s:share*") : Option.none()
            expect(yield* mailbox.take).toEqual({ _tag: "Message", channel: "s:shared", pattern, payload: "12" })
            expect(failure(yield* Effect.exit(mailbox.take))).toMatchObject({ _tag: "DecodeError", path: ["s:shared"] })
            expect(yield* mailbox.take).toMatchObject({ payload: "3" })
          }
          expect(yield* numbers.take).toMatchObject({ payload: 12 })
          expect(failure(yield* Effect.exit(numbers.take))).toMatchObject({ _tag: "DecodeError", path: ["s:shared"] })
          expect(yield* numbers.take).toMatchObject({ payload: 3 })
          for (const payload of messages) {
            expect(yield* bytes.take).toMatchObject({ payload })
          }
        })
    )

    it.scoped(
      "fails with a DecodeError naming the channel when a payload does not fit the schema, and can be taken from again",
      () =>
        Effect.gen(function* () {
          const { listen, run } = yield* listener(live)
          const Order = Schema.Struct({ id: Schema.Number })
          const orders = RedisPubSub.withCodec(Codec.schema(Order))
          const messages = yield* listen(orders.mailbox("s:orders"))
          const skipping = yield* listen(orders.subscribe("s:orders", { onUndecodable: "skip" }))
          for (const payload of [`{"id":1}`, `{"id":"secret"}`, "secret", `{"id":2}`]) {
            yield* run(Redis.publish("s:orders", payload))
          }
          expect((yield* messages.take).payload).toEqual({ id: 1 })
          const wrong = failure(yield* Effect.exit(messages.take))
          expect(wrong).toMatchObject({ _tag: "DecodeError", path: ["s:orders", "id"] })
          expect(String(wrong) + JSON.stringify(wrong)).not.toContain("secret")
          expect(failure(yield* Effect.exit(messages.take))).toMatchObject({ _tag: "DecodeError", path: ["s:orders"] })
          expect((yield* messages.take).payload).toEqual({ id: 2 })
          expect((yield* first(skipping, 2)).map(({ payload }) => payload.id)).toEqual([1, 2])
        })
    )

    it.scoped("as a Mailbox gives messages one by one, by number, and all at once", () =>
      Effect.gen(function* () {
        const { listen, run } = yield* listener(live)
        const messages = yield* listen(RedisPubSub.mailbox("s:mail"))
        const three = yield* Effect.fork(messages.takeN(3))
        for (const payload of ["1", "2", "3", "4", "5"]) {
          yield* run(Redis.publish("s:mail", payload))
        }
        const texts = (messages: Iterable<{ readonly payload: string }>) => [...messages].map(({ payload }) => payload)
        const [some, done] = yield* Fiber.join(three)
        expect(texts(some)).toEqual(["1", "2", "3"])
        expect(done).toBe(false)
        yield* until(
          "the other two are buffered",
          Effect.sync(() => Option.getOrNull(messages.unsafeSize()) === 2)
        )
        const [rest] = yield* messages
        expect(texts(rest)).toEqual(["4", "5"])
        expect(yield* messages.size).toEqual(Option.some(0))
        expect(texts(yield* messages.clear)).toEqual([])
      })
    )

    it.scoped("as a lazy Stream is subscribed only while the Stream runs", () =>
      Effect.gen(function* () {
        const { listen, numsub, run } = yield* listener(live)
        const fiber = yield* Effect.fork(listen(first(RedisPubSub.stream("s:lazy"), 1)))
        yield* until(
          "it is subscribed",
          Effect.map(numsub("s:lazy"), (count) => count === 1)
        )
        yield* run(Redis.publish("s:lazy", "hello"))
        expect(yield* Fiber.join(fiber)).toMatchObject([{ payload: "hello" }])
        yield* until(
          "it is unsubscribed",
          Effect.map(numsub("s:lazy"), (count) => count === 0)
        )
      })
    )

    it.scoped("that the server refuses fails with ReplyError, and no other subscription fails", () =>
      Effect.gen(function* () {
        const { run } = yield* listener(live)
        yield* run(Redis.execute("ACL", "SETUSER", "ear", "on", ">pw", "resetchannels", "&open*", "+@all"))
        const { host, port } = yield* RedisServer.RedisServer
        const service = yield* RedisPubSub.make({
          host,
          port,
          protocol: live.protocol,
          username: "ear",
          password: Redacted.make("pw"),
          reconnect: quickly
        })
        const as = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, RedisPubSub, service)
        const open = yield* as(RedisPubSub.subscribe("open:1"))
        const [one, two, three] = yield* Effect.all(
          [
            Effect.exit(as(RedisPubSub.subscribe(["open:2", "closed:1"]))),
            Effect.exit(as(RedisPubSub.subscribe("open:3"))),
            Effect.exit(as(RedisPubSub.psubscribe("closed*")))
          ],
          { concurrency: "unbounded" }
        )
        for (const refused of [one, three]) {
          expect(failure(refused)).toMatchObject({ _tag: "ReplyError", code: "NOPERM" })
        }
        expect(Exit.isSuccess(two)).toBe(true)
        yield* run(Redis.publish("open:1", "still"))
        expect((yield* first(open, 1))[0]?.payload).toBe("still")
        // The refused subscription's other channel is unsubscribed.
        const numsub = run(Redis.pubsubNumsub("open:2")).pipe(Effect.map((all) => all[0]?.subscribers))
        yield* until(
          "it is unsubscribed",
          Effect.map(numsub, (count) => count === 0)
        )
      })
    )

    it.scoped("is provided by Redis.layer, and ends when the layer closes", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(Redis.layer({ host, port, protocol: live.protocol }), scope)
        const messages = yield* RedisPubSub.subscribe("s:layer").pipe(Effect.provide(context))
        const { fiber, got, has } = yield* collecting(messages)
        yield* Redis.publish("s:layer", "hello").pipe(Effect.provide(context))
        yield* has(1)
        yield* Scope.close(scope, Exit.void)
        // The Stream ends without a failure.
        yield* Fiber.join(fiber)
        expect(got).toMatchObject([{ payload: "hello" }])
        const late = yield* Effect.exit(Effect.scoped(RedisPubSub.subscribe("s:late").pipe(Effect.provide(context))))
        expect(failure(late)).toMatchObject({ _tag: "ConnectionError", reason: "closed" })
      })
    )

    it.scoped("under its own tag listens to another server", () =>
      Effect.gen(function* () {
        class Events extends RedisPubSub.Tag("Events")<Events>() {}
        const { host, port } = yield* RedisServer.RedisServer
        const context = yield* Layer.build(RedisPubSub.layerAs(Events, { host, port, protocol: live.protocol }))
        const messages = yield* RedisPubSub.subscribe("s:tag").pipe(RedisPubSub.using(Events), Effect.provide(context))
        const { run } = yield* listener(live)
        yield* run(Redis.publish("s:tag", "there"))
        expect((yield* first(messages, 1))[0]?.payload).toBe("there")
      })
    )

    it.scoped("is refused when a name cannot be sent or an option is invalid", () =>
      Effect.gen(function* () {
        const { listen } = yield* listener(live)
        for (const names of [[], ["\uD800"], [1]]) {
          const exit = yield* Effect.exit(listen(RedisPubSub.subscribe(names as never)))
          expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
        }
        for (const options of [{ bufferSize: 0 }, { bufferBytes: -1 }, { strategy: "grow" }]) {
          const exit = yield* Effect.exit(listen(RedisPubSub.subscribe("s:x", options as never)))
          expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
        }
      })
    )
  })
})
