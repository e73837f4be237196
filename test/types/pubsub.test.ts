/** Type tests of subscriptions. The compiler checks them; nothing here runs. */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Codec from "effect-redis-client/Codec"
import type { RedisError } from "effect-redis-client/RedisError"
import {
  type Gap,
  type Invalidation,
  type KeyEvent,
  type Message,
  type MonitorLine,
  RedisPubSub,
  type SubscribeOptions,
  type Undecodable
} from "effect-redis-client/RedisPubSub"
import { describe, expectTypeOf, it } from "vitest"
import type { ReadonlyMailbox } from "../../src/internal/effect/mailbox.js"

describe("subscriptions", () => {
  it("have the payload's type, and gaps only with withGaps", () => {
    type Listens<A> = Effect.Effect<Stream.Stream<A, RedisError>, RedisError, RedisPubSub | Scope.Scope>
    expectTypeOf(RedisPubSub.subscribe("a")).toEqualTypeOf<Listens<Message<string>>>()
    expectTypeOf(RedisPubSub.withGaps.psubscribe("a")).toEqualTypeOf<Listens<Message<string> | Gap>>()
    expectTypeOf(RedisPubSub.stream(["a", "b"])).toEqualTypeOf<
      Stream.Stream<Message<string>, RedisError, RedisPubSub>
    >()
    const numbers = RedisPubSub.withCodec(Codec.schema(Schema.Number))
    expectTypeOf(numbers.ssubscribe("a")).toEqualTypeOf<Listens<Message<number>>>()
    expectTypeOf(numbers.withGaps.mailbox("a")).toEqualTypeOf<
      Effect.Effect<ReadonlyMailbox<Message<number> | Gap, RedisError>, RedisError, RedisPubSub | Scope.Scope>
    >()
    const bytes = RedisPubSub.withCodec(Codec.bytes)
    expectTypeOf(bytes.subscribe("a")).toEqualTypeOf<Listens<Message<Uint8Array, Uint8Array>>>()
    expectTypeOf(bytes.subscribeKeyspace("a")).toEqualTypeOf<Listens<KeyEvent<Uint8Array>>>()
    expectTypeOf(RedisPubSub.subscribeInvalidations()).toEqualTypeOf<Listens<Invalidation>>()
    expectTypeOf(RedisPubSub.withGaps.subscribeMonitor()).toEqualTypeOf<Listens<MonitorLine | Gap>>()
  })

  it("have messages that do not decode in their type only where the program asks for them", () => {
    type Lazily<A> = Stream.Stream<A, RedisError, RedisPubSub>
    const numbers = RedisPubSub.withCodec(Codec.schema(Schema.Number))
    expectTypeOf(numbers.stream("a", { onUndecodable: "skip" })).toEqualTypeOf<Lazily<Message<number>>>()
    expectTypeOf(numbers.stream("a", { onUndecodable: "emit", bufferSize: 5 })).toEqualTypeOf<
      Lazily<Message<number> | Undecodable>
    >()
    expectTypeOf(numbers.withGaps.pstream("a", { onUndecodable: "emit" })).toEqualTypeOf<
      Lazily<Message<number> | Undecodable | Gap>
    >()
    expectTypeOf(RedisPubSub.keyspace("a", { onUndecodable: "emit", database: 1 })).toEqualTypeOf<
      Lazily<KeyEvent | Undecodable>
    >()
    // Options that are known at run time only: either may come.
    expectTypeOf(numbers.stream("a", {} as SubscribeOptions)).toEqualTypeOf<Lazily<Message<number> | Undecodable>>()
    numbers.stream("a", { onUndecodable: "emit" }).pipe(
      Stream.map((it) => {
        if (RedisPubSub.isUndecodable(it)) {
          expectTypeOf(it.payload).toEqualTypeOf<Uint8Array>()
          return it.payload.length
        }
        return it.payload
      })
    )
    // @ts-expect-error: this option does not exist
    RedisPubSub.stream("a", { onUndecodeable: "skip" })
    // @ts-expect-error: this way does not exist
    RedisPubSub.stream("a", { onUndecodable: "ignore" })
  })

  it("of another server: using takes Effects and Streams, in both forms", () => {
    class Events extends RedisPubSub.Tag("Events")<Events>() {}
    type Lazily = Stream.Stream<Message<string>, RedisError, Events>
    type Subscribed = Effect.Effect<Stream.Stream<Message<string>, RedisError>, RedisError, Events | Scope.Scope>
    expectTypeOf(RedisPubSub.stream("a").pipe(RedisPubSub.using(Events))).toEqualTypeOf<Lazily>()
    expectTypeOf(RedisPubSub.using(RedisPubSub.stream("a"), Events)).toEqualTypeOf<Lazily>()
    expectTypeOf(RedisPubSub.subscribe("a").pipe(RedisPubSub.using(Events))).toEqualTypeOf<Subscribed>()
    expectTypeOf(RedisPubSub.using(RedisPubSub.subscribe("a"), Events)).toEqualTypeOf<Subscribed>()
    // @ts-expect-error: a layer is neither an Effect nor a Stream
    RedisPubSub.using(Events)(RedisPubSub.layer())
  })

  it("need a channel or pattern and a known strategy", () => {
    // @ts-expect-error: this strategy does not exist
    RedisPubSub.stream("a", { strategy: "grow" })
    // @ts-expect-error: a pattern must be text or bytes
    RedisPubSub.pstream(1)
  })
})
