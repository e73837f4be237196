/**
 * A rate limiter as a Lua script: counting and deciding are one step on the server, so no number of clients can slip
 * through between the two.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Duration, Effect, Redacted, Schema } from "effect"
import { Redis, RedisScript } from "effect-redis-client"

/**
 * Counts a request in its window. A call of it is a command: alone it sends the script's SHA1, and the source only when
 * the server does not hold it; in a pipeline it sends the source, unless its connection has run the script lately.
 */
const countRequest = RedisScript.make({
  source: `
    local count = redis.call("INCR", KEYS[1])
    if count == 1 then
      redis.call("PEXPIRE", KEYS[1], ARGV[2])
    end
    local left = tonumber(ARGV[1]) - count
    if left >= 0 then
      return { left, 0 }
    end
    return { 0, redis.call("PTTL", KEYS[1]) }
  `,
  keys: 1,
  args: [Schema.Int, Schema.DurationFromMillis],
  result: Schema.Tuple(Schema.Int, Schema.DurationFromMillis)
})

class TooManyRequests extends Schema.TaggedError<TooManyRequests>()("TooManyRequests", {
  retryAfter: Schema.Duration
}) {}

/** At most `limit` requests of a client in a window: answers how many are left of them, or fails. */
const admit = (client: string, limit = 3, window: Duration.DurationInput = "1 minute") =>
  Effect.gen(function* () {
    const [left, retryAfter] = yield* countRequest(`example:requests:${client}`, limit, Duration.decode(window))
    return Duration.greaterThan(retryAfter, Duration.zero) ? yield* new TooManyRequests({ retryAfter }) : left
  })

const program = Effect.gen(function* () {
  yield* Redis.del(["example:requests:ada", "example:requests:bob"])

  for (const client of ["ada", "ada", "bob", "ada", "ada"]) {
    yield* admit(client).pipe(
      Effect.flatMap((left) => Console.log(`${client}: welcome, ${left} left`)),
      Effect.catchTag("TooManyRequests", ({ retryAfter }) =>
        Console.log(`${client}: come back in ${Math.ceil(Duration.toSeconds(retryAfter))} seconds`)
      )
    )
  }

  // The server holds the script now. In a pipeline it need not have been loaded before.
  const [held] = yield* Redis.scriptExists(countRequest.sha1)
  const { bob, keys } = yield* Redis.pipeline({
    bob: countRequest("example:requests:bob", 3, Duration.minutes(1)),
    keys: Redis.exists(["example:requests:ada", "example:requests:bob"])
  })
  yield* Console.log(`held: ${held}; bob has ${bob[0]} left; ${keys} windows are open`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   ada: welcome, 2 left
//   ada: welcome, 1 left
//   bob: welcome, 2 left
//   ada: welcome, 0 left
//   ada: come back in … seconds
//   held: true; bob has 1 left; 2 windows are open
