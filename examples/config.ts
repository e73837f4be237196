/**
 * Where the server is comes from the environment, is checked before anything is sent, and is never shown.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, ConfigProvider, Console, Effect, Layer, Option, Redacted } from "effect"
import { Redis } from "effect-redis-client"

/** Each option may come from the configuration. `Config.redacted` keeps the URL, with its password, out of logs. */
const RedisLive = Redis.layerConfig({
  url: Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379")),
  clientName: Config.withDefault(Config.string("SERVICE_NAME"), "example"),
  replyTimeout: Config.withDefault(Config.duration("REDIS_REPLY_TIMEOUT"), "2 seconds")
})

const program = Effect.gen(function* () {
  const name = yield* Redis.clientGetname()
  yield* Console.log(`connected as ${Option.getOrElse(name, () => "nobody")}`)
})

/** The same layer under another environment, to see what it makes of it. */
const under = (environment: Record<string, string>) =>
  Layer.launch(RedisLive).pipe(
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(environment)))),
    Effect.flip,
    Effect.flatMap((error) => Console.log(`${error._tag}: ${error.message}`))
  )

Effect.gen(function* () {
  yield* program.pipe(Effect.provide(RedisLive))
  yield* under({ REDIS_URL: "redis://:s3cret@localhost:6379?databse=2" })
  yield* under({ REDIS_URL: "http://:s3cret@localhost:6379" })
}).pipe(NodeRuntime.runMain)

// prints:
//   connected as example
//   UsageError: the URL has an unknown parameter "databse"; known are db, protocol, client_name, family
//   UsageError: the URL's scheme is "http"; use redis, rediss, valkey, valkeys or unix
