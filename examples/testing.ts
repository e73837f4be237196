/**
 * Tests without a server: `Redis.layerTest` answers what a function says, and real commands decode it.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Option } from "effect"
import { Redis, Resp } from "effect-redis-client"

/** What is to be tested. It asks for `Redis` and does not know which. */
const greet = (id: string) =>
  Redis.hget(`user:${id}`, "name").pipe(
    Effect.map(Option.match({ onNone: () => "Hello, stranger!", onSome: (name) => `Hello, ${name}!` })),
    Effect.catchTag("ReplyError", () => Effect.succeed("Hello! (who are you?)"))
  )

/** A double: for each command, the reply that a server would send. Nothing is cast; what does not fit is a DecodeError. */
const Fake = Redis.layerTest((command) => {
  const key = command.args.find(({ kind }) => kind === "key")?.data
  switch (`${command.name} ${key}`) {
    case "HGET user:1":
      return Effect.succeed("Ada")
    case "HGET user:2":
      return Effect.succeed(null)
    default:
      return Effect.succeed(Resp.error("WRONGTYPE Operation against a key holding the wrong kind of value"))
  }
})

Effect.forEach(["1", "2", "3"], (id) => Effect.flatMap(greet(id), Console.log)).pipe(
  Effect.provide(Fake),
  NodeRuntime.runMain
)

// prints:
//   Hello, Ada!
//   Hello, stranger!
//   Hello! (who are you?)
