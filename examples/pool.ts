/**
 * A pool lends connections: for work that cannot share one, such as blocking commands and other databases.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Fiber, Option, Redacted } from "effect"
import { Pool, Redis } from "effect-redis-client"

/** A lent connection belongs to its borrower until the scope closes. */
const inAnotherDatabase = Effect.scoped(
  Effect.gen(function* () {
    const connection = yield* Pool.acquire
    yield* connection.select(1)
    yield* connection.execute(Redis.set("example:where", "database 1", { ex: "1 minute" }))
    return yield* connection.execute(Redis.get("example:where"))
  })
)

/** `withConnection` provides a lent connection as the `Redis` of everything inside. */
const waitForJob = Redis.blpop("example:jobs", { timeout: "5 seconds" }).pipe(Pool.withConnection)

const program = Effect.gen(function* () {
  const pool = yield* Pool.Pool
  yield* Console.log(`open: ${yield* pool.size} of ${pool.maxSize}`)

  const found = yield* inAnotherDatabase
  yield* Console.log(`found in ${Option.getOrElse(found, () => "nothing")}`)
  // SELECT made the connection different from what it was, so it was closed rather than lent again. (The pool opens
  // another one when it falls below its minimum.)

  const worker = yield* Effect.fork(waitForJob)
  yield* Redis.rpush("example:jobs", ["send the mail"]).pipe(Pool.withConnection)
  const job = yield* Fiber.join(worker)
  yield* Console.log(`job: ${Option.match(job, { onNone: () => "none", onSome: ([, element]) => element })}`)

  // A lease that is used after its scope fails, and its commands never reach the next borrower.
  const kept = yield* Effect.scoped(Pool.acquire)
  const refused = yield* Effect.flip(kept.execute("PING"))
  yield* Console.log(`after its scope: ${refused._tag}`)
})

const PoolLive = Pool.layerConfig({
  url: Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379")),
  minSize: Config.succeed(1),
  maxSize: Config.succeed(4)
})

program.pipe(Effect.provide(PoolLive), NodeRuntime.runMain)

// prints:
//   open: 1 of 4
//   found in database 1
//   job: send the mail
//   after its scope: UsageError
