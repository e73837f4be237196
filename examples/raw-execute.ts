/**
 * Commands by name, for whatever has no typed constructor: new commands, modules, one's own server.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Redacted } from "effect"
import { Connection, Redis, RedisCommand, Resp } from "effect-redis-client"

const program = Effect.gen(function* () {
  const connection = yield* Connection.Connection

  // A name, and arguments: text, bytes, numbers. The answer is the reply as the server sent it: Resp.Reply.
  yield* connection.execute("DEL", "example:list", "example:count")
  const length = yield* connection.execute("RPUSH", "example:list", "a", "b", "c")
  const list = yield* connection.execute("LRANGE", "example:list", 0, -1)
  yield* Console.log(`${length} elements: ${JSON.stringify(list)}`)

  // Text or bytes, call by call.
  const bytes = yield* connection.executeBytes("LINDEX", "example:list", 0)
  yield* Console.log(`as bytes: ${bytes instanceof Uint8Array ? [...bytes].join(" ") : "no bytes"}`)

  // Under RESP3 some commands answer maps. A map is a list of entries, for its keys may repeat and need not be text.
  const hello = yield* connection.execute("HELLO")
  const fields = hello instanceof Resp.MapReply ? hello.entries.length : 0
  yield* Console.log(`HELLO answered ${fields > 0 ? "a map" : "something else"}`)

  // With a decoder it is a command like any other: a value, typed, fit for pipelines. Say what is a key, so that prefixes
  // find it; say `readonly`, so that it may be sent again after a disconnect.
  const strlen = (key: string) =>
    RedisCommand.make("STRLEN", { args: [RedisCommand.key(key)], readonly: true, decode: Number })
  const [count, size] = yield* Redis.pipeline([Redis.incr("example:count"), strlen("example:count")])
  yield* Console.log(`count ${count} has ${size} digit`)

  // Printing a command shows its name and no arguments but Redis' own words.
  yield* Console.log(String(Redis.set("example:secret", "hunter2", { ex: "1 minute" })))
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(
  // The connection, as itself and as the Redis of the pipeline.
  Effect.provide(Redis.layerFromConnection),
  Effect.provide(Connection.layerConfig({ url })),
  NodeRuntime.runMain
)

// prints:
//   3 elements: ["a","b","c"]
//   as bytes: 97
//   HELLO answered a map
//   count 1 has 1 digit
//   RedisCommand(SET <key> <value> EX <value>)
