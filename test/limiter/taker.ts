/** A process of processes.test.ts: takes as often as it can, from several fibers, until it is told to stop. */
import * as Effect from "effect/Effect"
import { Redis } from "effect-redis-client"
import { limiters, subject } from "./shared.js"

const [port = "", fibers = ""] = process.argv.slice(2)

let stopped = false
process.stdin.once("data", () => {
  stopped = true
})

const takes = (limiter: (typeof limiters)[number][1]) =>
  Effect.gen(function* () {
    let allowed = 0
    while (!stopped) {
      const decision = yield* limiter.take(subject)
      if (decision.allowed) {
        allowed++
      }
    }
    return allowed
  })

const program = Effect.gen(function* () {
  yield* Redis.ping()
  console.log("ready")
  const counts = yield* Effect.forEach(
    limiters,
    ([, limiter]) =>
      Effect.map(
        Effect.all(
          Array.from({ length: Number(fibers) }, () => takes(limiter)),
          { concurrency: "unbounded" }
        ),
        (all) => all.reduce((sum, count) => sum + count, 0)
      ),
    { concurrency: "unbounded" }
  )
  console.log(JSON.stringify(Object.fromEntries(limiters.map(([name], i) => [name, counts[i]]))))
})

Effect.runPromise(
  Effect.provide(program, Redis.layer({ host: "127.0.0.1", port: Number(port), replyTimeout: "30 seconds" }))
).then(
  () => process.exit(0),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
