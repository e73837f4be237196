/**
 * Errors are part of the type: matched by tag or by the server's code, with what is known about the command's execution.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Either, Match, Option, Redacted } from "effect"
import { Redis, RedisCommand, RedisError } from "effect-redis-client"

const program = Effect.gen(function* () {
  yield* Redis.del("example:list")
  yield* Redis.rpush("example:list", ["a"])

  // The codes are what people match. Other errors stay in the error channel.
  const name = yield* Redis.get("example:list").pipe(
    RedisError.catchCode("WRONGTYPE", () => Effect.succeed(Option.some("not a string")))
  )
  yield* Console.log(`by code: ${Option.getOrElse(name, () => "none")}`)

  // The server would say: unknown command 'FROBNICATE', with args beginning with: 'secret'. The error names the command,
  // and never shows an argument.
  const byTag = yield* Redis.execute("FROBNICATE", "secret").pipe(
    Effect.catchTag("ReplyError", ({ code, message }) => Effect.succeed(`${code}, ${message}`))
  )
  yield* Console.log(`by tag: ${byTag}`)

  // A deadline of its own for one command. It was sent, so nobody can say whether it was executed, or will be.
  const slow = yield* Redis.blpop("example:nothing", { timeout: "1 second" }).pipe(
    RedisCommand.withDeadline("100 millis"),
    Effect.as("fine"),
    Effect.catchTag("DeadlineError", ({ delivery, phase }) => Effect.succeed(`${phase}, delivery ${delivery}`))
  )
  yield* Console.log(`deadline: ${slow}`)

  // A command with an invalid argument is refused before anything is sent.
  const wrong = yield* Redis.incrby("example:count", 0.5).pipe(Effect.flip)
  yield* Console.log(`refused: ${wrong.message}`)
  const shared = yield* Redis.execute("SELECT", 3).pipe(Effect.flip)
  yield* Console.log(`refused: ${shared.message}`)

  // In a pipeline the other commands were executed nevertheless: their results are in the error.
  const batch = yield* Redis.pipeline({ good: Redis.llen("example:list"), bad: Redis.incr("example:list") }).pipe(
    Effect.as("fine"),
    Effect.catchTag("PipelineError", ({ at, error, results }) =>
      Effect.succeed(`${at} failed with ${error._tag}; good is ${Either.getOrElse(results.good, () => 0)}`)
    )
  )
  yield* Console.log(`pipeline: ${batch}`)
})

/** Matches the whole union, with what a program may do about each error. */
export const advice = Match.type<RedisError.RedisError>().pipe(
  Match.tag("ConnectionError", "DeadlineError", ({ delivery }) =>
    delivery === "unsent" ? "try again" : "look first: it may have been executed"
  ),
  Match.tag("OverflowError", () => "slow down"),
  Match.tag("ReplyError", ({ code }) => (code === "OOM" ? "the server is full" : "the server said no")),
  Match.tag("ProtocolError", () => "is this a Redis server?"),
  Match.tag("DecodeError", () => "somebody else's data"),
  Match.tag("UsageError", () => "a bug in the program"),
  Match.tag("PartialError", ({ errors }) => `look at ${errors.length} nodes of the cluster`),
  Match.exhaustive
)

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   by code: not a string
//   by tag: ERR, FROBNICATE: ERR unknown command…
//   deadline: reply, delivery unknown
//   refused: INCRBY: an argument must be an integer that a number holds exactly…
//   refused: SELECT was not sent: it would change the database for everybody; …
//   pipeline: bad failed with ReplyError; good is 1
