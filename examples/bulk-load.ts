/**
 * Loading a lot: pipelines of a thousand commands, as a Stream, with a bar that shows how far it is.
 *
 * A pipeline is one write and one wait for all its replies. `Effect.forEach` would wait for each command in turn, or
 * fork a fiber for each; the client would still put what they send together, but the fibers cost more than the commands.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Redacted, Stream } from "effect"
import { Redis } from "effect-redis-client"

const total = 20_000
const batch = 1_000

const bar = (done: number) => `[${"#".repeat((10 * done) / total).padEnd(10)}] ${done}`

const load = Stream.range(1, total).pipe(
  Stream.map((n) => Redis.set(`example:bulk:${n}`, `value ${n}`, { ex: "1 minute" })),
  Stream.grouped(batch),
  // Two pipelines at once: while one is answered the next is written.
  Stream.mapEffect((commands) => Effect.as(Redis.pipeline([...commands]), commands.length), { concurrency: 2 }),
  Stream.scan(0, (done, more) => done + more),
  Stream.filter((done) => done % (total / 4) === 0),
  Stream.runForEach((done) => Console.log(bar(done)))
)

const program = Effect.gen(function* () {
  yield* load
  const keys = Array.from({ length: total }, (_, i) => `example:bulk:${i + 1}`)
  yield* Console.log(`removed ${yield* Redis.execute("UNLINK", ...keys)}`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   [          ] 0
//   [##        ] 5000
//   [#####     ] 10000
//   [#######   ] 15000
//   [##########] 20000
//   removed 20000
