/**
 * The first steps: strings, a counter, an expiry, a pipeline, a transaction, and an error caught by its tag.
 *
 * Runs against `REDIS_URL` when it is set, else against a real server when there is one, else against an embedded one.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Duration, Effect, Layer, Option } from "effect"
import { Redis } from "effect-redis-client"
import * as RedisServer from "effect-redis-client/testing/RedisServer"

const program = Effect.gen(function* () {
  yield* Redis.set("greeting", "hello", { ex: "10 minutes" })
  const greeting = yield* Redis.get("greeting") // Option<string>
  yield* Console.log(`greeting: ${Option.getOrElse(greeting, () => "none")}`)

  const visits = yield* Redis.incr("visits") // number
  yield* Console.log(`visits: ${visits}`)

  const expiry = yield* Redis.ttl("greeting")
  yield* Console.log(`expires in ${Option.match(expiry, { onNone: () => "no time", onSome: Duration.format })}`)

  const [name, score] = yield* Redis.pipeline([Redis.get("name"), Redis.incrby("score", 5)])
  yield* Console.log(`pipeline: name is ${Option.isNone(name) ? "not set" : "set"}, score is ${score}`)

  const { sold, stock } = yield* Redis.transaction({ stock: Redis.decr("stock"), sold: Redis.incr("sold") })
  yield* Console.log(`transaction: stock ${stock}, sold ${sold}`)

  const refused = yield* Redis.incr("greeting").pipe(
    Effect.catchTag("ReplyError", (error) => Effect.succeed(`the server said ${error.code}`))
  )
  yield* Console.log(`error: ${refused}`)
})

/** A server for the time of the program, unless `REDIS_URL` names one. */
const RedisLive = Layer.unwrapScoped(
  Effect.gen(function* () {
    const given = yield* Config.option(Config.redacted("REDIS_URL"))
    if (Option.isSome(given)) {
      yield* Console.log("server: the one at REDIS_URL")
      return Redis.layer({ url: given.value })
    }
    const server = yield* RedisServer.makeAny()
    yield* Console.log(`server: ${server.product} ${server.version}`)
    return Redis.layer({ url: server.url })
  })
)

program.pipe(Effect.provide(RedisLive), NodeRuntime.runMain)

// prints:
//   server: …
//   greeting: hello
//   visits: 1
//   expires in 10m
//   pipeline: name is not set, score is 5
//   transaction: stock -1, sold 1
//   error: the server said ERR
