/**
 * A job that runs in one process at a time, however many are started. When the leader ends, another process follows; here two
 * clients stand for two processes.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Deferred, Effect, Fiber, Redacted, Schedule } from "effect"
import { Redis } from "effect-redis-client"
import * as RedisLock from "effect-redis-client/RedisLock"

const program = Effect.gen(function* () {
  /** Contends for ever, and leads when it is elected. */
  const start = (name: string, ticks: number) =>
    Effect.gen(function* () {
      const elected = yield* Deferred.make<void>()
      const job = Effect.gen(function* () {
        yield* Console.log(`${name} leads`)
        yield* Deferred.succeed(elected, undefined)
        yield* Redis.incr("example:ticks").pipe(
          Effect.repeat(Schedule.spaced("5 millis").pipe(Schedule.upTo("20 millis")))
        )
        yield* ticks === 0 ? Effect.never : Effect.void
      })
      const fiber = yield* Effect.fork(
        job.pipe(
          Effect.onInterrupt(() => Console.log(`${name} is stopped`)),
          RedisLock.leader("example:cron", { ttl: "5 seconds" }),
          Effect.provide(RedisLive)
        )
      )
      return { elected: Deferred.await(elected), fiber }
    })

  const first = yield* start("first", 0)
  yield* first.elected
  const second = yield* start("second", 1)

  // A deployment ends the leader. The other one takes over at once, because the leader gives the lock back.
  yield* Fiber.interrupt(first.fiber)
  yield* Fiber.join(second.fiber)
  yield* Console.log("second has done its work")
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))
const RedisLive = Redis.layerConfig({ url })

program.pipe(NodeRuntime.runMain)

// prints:
//   first leads
//   first is stopped
//   second leads
//   second has done its work
