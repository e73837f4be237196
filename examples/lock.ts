/**
 * Two processes pay the same invoice, and it is paid once: under a lock one of them works at a time. The account refuses what a
 * former holder of the lock writes too late, by the lock's fence. Here two clients stand for the two processes.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Option, Redacted, Schema } from "effect"
import { Redis, RedisScript } from "effect-redis-client"
import * as RedisLock from "effect-redis-client/RedisLock"

const invoice = "example:invoice:42"
const account = "example:account"

/** Books an amount unless somebody with a greater fence was here: the account is a resource that knows fences. */
const book = RedisScript.make({
  source: `
    local seen = tonumber(redis.call("HGET", KEYS[1], "fence") or "0")
    if tonumber(ARGV[1]) < seen then return 0 end
    redis.call("HSET", KEYS[1], "fence", ARGV[1])
    redis.call("HINCRBY", KEYS[1], "paid", ARGV[2])
    return 1`,
  keys: 1,
  args: [Schema.BigIntFromSelf, Schema.Int],
  result: Schema.Int
})

const pay = RedisLock.withLock(invoice, { ttl: "10 seconds", wait: "5 seconds" })((lock) =>
  Effect.gen(function* () {
    if (Option.isSome(yield* Redis.get(invoice))) {
      return "was paid already"
    }
    yield* Effect.sleep("20 millis") // the work
    yield* book(account, lock.fence, 100)
    yield* Redis.set(invoice, "paid")
    return "paid now"
  })
)

const program = Effect.gen(function* () {
  yield* Redis.del([invoice, account])
  const process = (name: string) =>
    pay.pipe(
      Effect.map((outcome) => `${name}: ${outcome}`),
      Effect.provide(RedisLive)
    )
  const outcomes = yield* Effect.all([process("a"), process("b")], { concurrency: 2 })
  yield* Console.log(
    outcomes
      .map((line) => line.slice(3))
      .sort()
      .join(", ")
  )

  // A holder that was paused writes too late: its fence is smaller than the last one.
  yield* Console.log(`a late write is ${(yield* book(account, 1n, 100)) === 1 ? "booked" : "refused"}`)
  yield* Console.log(`booked: ${Option.getOrElse(yield* Redis.hget(account, "paid"), () => "nothing")}`)

  // Whoever does not want to wait asks whether the lock is free.
  const busy = yield* RedisLock.withLock(invoice)(
    RedisLock.tryWithLock(invoice)(Effect.void).pipe(Effect.provide(RedisLive))
  )
  yield* Console.log(`meanwhile it is ${Option.isNone(busy) ? "taken" : "free"}`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))
const RedisLive = Redis.layerConfig({ url })

program.pipe(Effect.provide(RedisLive), NodeRuntime.runMain)

// prints:
//   paid now, was paid already
//   a late write is refused
//   booked: 100
//   meanwhile it is taken
