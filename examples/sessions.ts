/**
 * Sessions in hashes. The session expires as a whole; where the server can, single fields expire sooner.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Duration, Effect, Option, Redacted } from "effect"
import { Redis } from "effect-redis-client"

const key = (id: string) => `example:session:${id}`

/** The fields and their expiry, as one: nobody sees a session that would never end. */
const open = (id: string, user: string) =>
  Redis.transaction([Redis.hset(key(id), { user, theme: "dark", code: "493817" }), Redis.expire(key(id), "30 minutes")])

/**
 * Lets the one-time code expire by itself: Redis 7.4 and later, Valkey 9.0 and later. Older servers do not know the
 * command, and the code then lives as long as its session.
 */
const expireCode = (id: string) =>
  Redis.hexpire(key(id), "1 minute", "code").pipe(
    Effect.map(([change]) => change === "set"),
    Effect.catchIf(
      (error) => error._tag === "ReplyError" && error.message.includes("unknown command"),
      () => Effect.succeed(false)
    )
  )

const program = Effect.gen(function* () {
  yield* open("1", "ada")
  const expires = yield* expireCode("1")
  yield* Console.log(`the code expires ${expires ? "in a minute" : "with the session"}`)

  // Fields by name, in a record. One round trip for both commands.
  const [session, left] = yield* Redis.pipeline([Redis.hgetall(key("1")), Redis.ttl(key("1"))])
  yield* Console.log(`${session.user} likes it ${session.theme}`)
  yield* Console.log(`expires in ${Option.match(left, { onNone: () => "no time", onSome: Duration.format })}`)

  // Used once.
  const code = yield* Redis.hget(key("1"), "code")
  yield* Redis.hdel(key("1"), "code")
  const again = yield* Redis.hget(key("1"), "code")
  yield* Console.log(`code: ${Option.isSome(code)}, again: ${Option.isSome(again)}`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   the code expires …
//   ada likes it dark
//   expires in 30m
//   code: true, again: false
