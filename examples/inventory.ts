/**
 * Selling the last piece once: read under WATCH, decide, and write only if nothing changed meanwhile.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Data, Effect, Option, Redacted } from "effect"
import { Redis } from "effect-redis-client"

class SoldOut extends Data.TaggedError("SoldOut")<{ readonly item: string }> {}

/** Bodies that ran, to show how often the stock changed under a buyer. */
let bodies = 0

/**
 * The body runs on a connection of its own that watches the stock: every command inside goes there by itself. It returns
 * the transaction as a value. When the stock changed before EXEC, all of it runs again.
 */
const buy = (item: string, buyer: string) =>
  Redis.optimistic(
    `example:stock:${item}`,
    Effect.gen(function* () {
      bodies++
      const stock = Option.getOrElse(yield* Redis.get(`example:stock:${item}`), () => "0")
      if (Number(stock) === 0) {
        return yield* new SoldOut({ item })
      }
      return Redis.transaction({
        left: Redis.decr(`example:stock:${item}`),
        sold: Redis.rpush(`example:sold:${item}`, [buyer])
      })
    })
  )

const program = Effect.gen(function* () {
  yield* Redis.del(["example:sold:lamp"])
  yield* Redis.set("example:stock:lamp", "3")

  const buyers = ["ada", "bob", "cyd", "dan", "eve"]
  const results = yield* Effect.forEach(buyers, (buyer) => Effect.either(buy("lamp", buyer)), {
    concurrency: "unbounded"
  })
  const refused = results.filter((result) => result._tag === "Left" && result.left._tag === "SoldOut")

  const [left, sold] = yield* Redis.pipeline([Redis.get("example:stock:lamp"), Redis.llen("example:sold:lamp")])
  yield* Console.log(`left ${Option.getOrElse(left, () => "?")}, sold ${sold}, too late ${refused.length}`)
  yield* Console.log(`tries: ${bodies}`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   left 0, sold 3, too late 2
//   tries: …
