/**
 * Rate limits that all processes share: one limit, two at once, waiting for one's turn, and what an HTTP answer says of it.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Redacted } from "effect"
import { Redis } from "effect-redis-client"
import * as RedisRateLimiter from "effect-redis-client/RedisRateLimiter"

/** Three at once, then one every 20 seconds. */
const requests = RedisRateLimiter.make({ prefix: "example:requests", limit: 3, window: "1 minute" })

/** A quota: the window begins with a client's first mail. */
const mails = RedisRateLimiter.make({
  prefix: "example:mails",
  algorithm: "fixed-window",
  limit: 2,
  window: "1 day"
})

/** A request that sends a mail is charged for both, or for neither. */
const both = RedisRateLimiter.all([requests, mails])

/** One of these at a time, with a little patience. */
const reports = RedisRateLimiter.make({
  prefix: "example:reports",
  algorithm: "token-bucket",
  capacity: 1,
  interval: "100 millis",
  // A report that nobody counted does no harm.
  onUnavailable: "allow",
  timeout: "1 second"
})

const welcome = (client: string) =>
  Console.log(`${client}: welcome`).pipe(
    requests.limit(client),
    Effect.catchTag("RateLimitExceeded", (error) =>
      Console.log(`${client}: status 429`, RedisRateLimiter.headers(error))
    )
  )

const program = Effect.gen(function* () {
  yield* Effect.forEach(["ada", "bob"], (client) => Effect.zipRight(both.reset(client), reports.reset(client)))

  for (const client of ["ada", "ada", "bob", "ada", "ada"]) {
    yield* welcome(client)
  }

  for (let i = 0; i < 3; i++) {
    const { allowed, each, limiter } = yield* both.take("bob")
    yield* Console.log(`mail: ${allowed}, by ${limiter}; left: ${each.map(({ remaining }) => remaining).join(", ")}`)
  }

  // What was not sent after all is given back.
  yield* mails.refund("bob", 1)
  yield* Console.log(`mails left: ${(yield* mails.peek("bob")).remaining}`)

  yield* Effect.forEach(
    ["first", "second", "third"],
    (report) =>
      Console.log(`the ${report} report`).pipe(reports.limit("ada", { onExceeded: "wait", upTo: "5 seconds" })),
    { discard: true }
  )
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   ada: welcome
//   ada: welcome
//   bob: welcome
//   ada: welcome
//   ada: status 429 {
//     'RateLimit-Limit': '3',
//     'RateLimit-Remaining': '0',
//     'RateLimit-Reset': '…',
//     'Retry-After': '…'
//   }
//   mail: true, by example:requests; left: 1, 1
//   mail: true, by example:requests; left: 0, 0
//   mail: false, by example:…; left: 0, 0
//   mails left: 1
//   the first report
//   the second report
//   the third report
