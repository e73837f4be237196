/**
 * Two servers in one program: the one at `REDIS_URL`, and a second one under a tag of its own.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option, Redacted } from "effect"
import { Redis } from "effect-redis-client"
import * as RedisServer from "effect-redis-client/testing/RedisServer"

class Sessions extends Redis.Tag("Sessions")<Sessions>() {}

/** Here the second server is one that is started for it. With a fixed address: `Redis.layerAs(Sessions, { url })`. */
const SessionsLive = Layer.unwrapScoped(
  Effect.map(RedisServer.makeAny(), (server) => Redis.layerAs(Sessions, { url: server.url }))
)

const RedisLive = Redis.layerConfig({
  url: Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))
})

/** Requires `Sessions`, not `Redis`: the type says which server it speaks to. */
const theme = Redis.hget("example:session:1", "theme").pipe(Redis.using(Sessions))

const program = Effect.gen(function* () {
  yield* Redis.set("example:greeting", "hello", { ex: "1 minute" })
  yield* Redis.hset("example:session:1", { theme: "dark" }).pipe(Redis.using(Sessions))

  yield* Console.log(`theme: ${Option.getOrElse(yield* theme, () => "none")}`)

  // `using` is for whole programs too: every command inside, pipelines included, goes there.
  const there = yield* Redis.pipeline([Redis.exists("example:greeting"), Redis.exists("example:session:1")]).pipe(
    Redis.using(Sessions)
  )
  yield* Console.log(`on Sessions: ${there}`)
})

program.pipe(Effect.provide([RedisLive, SessionsLive]), NodeRuntime.runMain)

// prints:
//   theme: dark
//   on Sessions: 0,1
