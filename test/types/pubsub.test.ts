/** What subscriptions infer, and what must not compile. Checked by the compiler; nothing here runs. */
import type * as Effect from "effect/Effect"
import type * as Mailbox from "effect/Mailbox"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Codec from "effect-redis-client/Codec"
import type { RedisError } from "effect-redis-client/RedisError"
import {
  type Gap,
  type Invalidation,
  type KeyEvent,
  type Message,
  type MonitorLine,
  RedisPubSub
} from "effect-redis-client/RedisPubSub"
import { describe, expectTypeOf, it } from "vitest"

describe("subscriptions", () => {
  it("have their payloads, and gaps where they are asked for", () => {
    type Listens<A> = Effect.Effect<Stream.Stream<A, RedisError>, RedisError, RedisPubSub | Scope.Scope>
    expectTypeOf(RedisPubSub.subscribe("a")).toEqualTypeOf<Listens<Message<string>>>()
    expectTypeOf(RedisPubSub.withGaps.psubscribe("a")).toEqualTypeOf<Listens<Message<string> | Gap>>()
    expectTypeOf(RedisPubSub.stream(["a", "b"])).toEqualTypeOf<
      Stream.Stream<Message<string>, RedisError, RedisPubSub>
    >()
    const numbers = RedisPubSub.withCodec(Codec.schema(Schema.Number))
    expectTypeOf(numbers.ssubscribe("a")).toEqualTypeOf<Listens<Message<number>>>()
    expectTypeOf(numbers.withGaps.mailbox("a")).toEqualTypeOf<
      Effect.Effect<Mailbox.ReadonlyMailbox<Message<number> | Gap, RedisError>, RedisError, RedisPubSub | Scope.Scope>
    >()
    const bytes = RedisPubSub.withCodec(Codec.bytes)
    expectTypeOf(bytes.subscribe("a")).toEqualTypeOf<Listens<Message<Uint8Array, Uint8Array>>>()
    expectTypeOf(bytes.subscribeKeyspace("a")).toEqualTypeOf<Listens<KeyEvent<Uint8Array>>>()
    expectTypeOf(RedisPubSub.subscribeInvalidations()).toEqualTypeOf<Listens<Invalidation>>()
    expectTypeOf(RedisPubSub.withGaps.subscribeMonitor()).toEqualTypeOf<Listens<MonitorLine | Gap>>()
  })

  it("must name something, and choose among what there is", () => {
    // @ts-expect-error: no channel
    RedisPubSub.stream([])
    // @ts-expect-error: there is no such strategy
    RedisPubSub.stream("a", { strategy: "grow" })
    // @ts-expect-error: a number has no glob
    RedisPubSub.pstream(1)
  })
})
