/** Type tests of subscriptions. The compiler checks them; nothing here runs. */
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
      Effect.Effect<Mailbox.ReadonlyMailbox<Message<number> | Gap, RedisError>, RedisError, RedisPubSub | Scope.Scope>
    >()
    const bytes = RedisPubSub.withCodec(Codec.bytes)
    expectTypeOf(bytes.subscribe("a")).toEqualTypeOf<Listens<Message<Uint8Array, Uint8Array>>>()
    expectTypeOf(bytes.subscribeKeyspace("a")).toEqualTypeOf<Listens<KeyEvent<Uint8Array>>>()
    expectTypeOf(RedisPubSub.subscribeInvalidations()).toEqualTypeOf<Listens<Invalidation>>()
    expectTypeOf(RedisPubSub.withGaps.subscribeMonitor()).toEqualTypeOf<Listens<MonitorLine | Gap>>()
  })

  it("need a channel or pattern and a known strategy", () => {
    // @ts-expect-error: this strategy does not exist
    RedisPubSub.stream("a", { strategy: "grow" })
    // @ts-expect-error: a pattern must be text or bytes
    RedisPubSub.pstream(1)
  })
})
