/**
 * A change feed: the server publishes what happens to keys (keyspace notifications), and the program reads it as a typed
 * Stream.
 *
 * The server reports that a key changed, not what it holds, and reports it once: a client that is not connected then misses
 * it. So a feed says when to look, and after a gap everything has to be looked at. Events that must not be missed belong in
 * a stream (`Redis.stream`).
 *
 * Servers notify of nothing unless they are told to. `notify` tells them, by CONFIG SET. Managed servers do not let
 * clients do that: set the parameter `notify-keyspace-events` to `Kg$hx` in the provider's console, and leave `notify` out.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Data, Effect, Redacted, Stream } from "effect"
import { Redis, RedisPubSub } from "effect-redis-client"
import type { KeyEvent } from "effect-redis-client/RedisPubSub"

type Change = Data.TaggedEnum<{
  Written: { readonly key: string; readonly how: string }
  /** It has a time to live now. */
  WillExpire: { readonly key: string }
  Removed: { readonly key: string; readonly why: "deleted" | "expired" }
  /** Everything read before may be out of date. */
  Unknown: { readonly since: Date }
}>
const { $match, Removed, Unknown, WillExpire, Written } = Data.taggedEnum<Change>()

const changeOf = ({ event, key }: KeyEvent): Change => {
  switch (event) {
    case "del":
      return Removed({ key, why: "deleted" })
    case "expired":
      return Removed({ key, why: "expired" })
    case "expire":
      return WillExpire({ key })
    default:
      return Written({ key, how: event })
  }
}

/** `K` for keyspace channels, and of the events those of keys in general, strings, hashes and expiry. */
const changes = RedisPubSub.withGaps
  .psubscribeKeyspace("example:feed:*", { notify: "Kg$hx" })
  .pipe(
    Effect.map(
      Stream.map((it) => (RedisPubSub.isGap(it) ? Unknown({ since: new Date(it.since.epochMillis) }) : changeOf(it)))
    )
  )

const describe = $match({
  Written: ({ how, key }) => `${key} was written (${how})`,
  WillExpire: ({ key }) => `${key} will expire`,
  Removed: ({ key, why }) => `${key} is gone (${why})`,
  Unknown: () => "anything may have changed"
})

/** Another program, which does not know of the feed. */
const somebody = Effect.gen(function* () {
  yield* Redis.set("example:feed:motto", "slow and steady")
  yield* Redis.hset("example:feed:user", { name: "Ada", city: "London" })
  yield* Redis.hset("example:feed:user", { city: "Turin" })
  yield* Redis.expire("example:feed:user", "1 hour")
  yield* Redis.del(["example:feed:motto", "example:feed:user"])
  yield* Redis.hset("example:feed:session", { user: "ada" })
  yield* Redis.pexpire("example:feed:session", "20 millis")
})

const program = Effect.gen(function* () {
  yield* Redis.del(["example:feed:motto", "example:feed:user", "example:feed:session"])
  // Confirmed when it returns: what happens from here on is in it.
  const feed = yield* changes
  yield* somebody
  yield* feed.pipe(
    Stream.tap((change) => Console.log(describe(change))),
    Stream.takeUntil((change) => change._tag === "Removed" && change.why === "expired"),
    Stream.runDrain
  )
})

const RedisLive = Redis.layerConfig({
  url: Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))
})

program.pipe(Effect.scoped, Effect.provide(RedisLive), NodeRuntime.runMain)

// prints:
//   example:feed:motto was written (set)
//   example:feed:user was written (hset)
//   example:feed:user was written (hset)
//   example:feed:user will expire
//   example:feed:motto is gone (deleted)
//   example:feed:user is gone (deleted)
//   example:feed:session was written (hset)
//   example:feed:session will expire
//   example:feed:session is gone (expired)
