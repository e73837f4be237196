/**
 * A job worker: jobs are entries of a stream, workers are members of its group. A job that fails is tried again, a job that
 * fails permanently becomes a dead letter, and a terminal shows the progress.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Data, Deferred, Effect, Redacted, Ref, Schedule, Schema } from "effect"
import { Redis } from "effect-redis-client"

const jobs = "example:jobs"
const dead = "example:jobs:dead"
const total = 60

/** An entry holds text by name; the schema says what a program makes of it. */
const Job = Schema.Struct({ image: Schema.String, width: Schema.NumberFromString })

class BrokenImage extends Data.TaggedError("BrokenImage")<{ readonly image: string }> {}
class Overloaded extends Data.TaggedError("Overloaded") {}

/** Takes its time; every seventh job needs a second attempt, and one image is broken. */
const resize = (job: typeof Job.Type, attempt: number) =>
  Effect.gen(function* () {
    yield* Effect.sleep("15 millis")
    if (job.image === "image-13") {
      return yield* new BrokenImage({ image: job.image })
    }
    if (job.width % 7 === 0 && attempt === 1) {
      return yield* new Overloaded()
    }
  })

interface Progress {
  readonly done: number
  readonly retried: number
  readonly dead: number
}

/** Only where somebody watches: in a pipe there is nothing to redraw. */
const display = (progress: Ref.Ref<Progress>) =>
  process.stderr.isTTY
    ? Ref.get(progress).pipe(
        Effect.flatMap(({ dead, done, retried }) =>
          Effect.sync(() => {
            const bar = "█".repeat(Math.round((30 * (done + dead)) / total)).padEnd(30, "░")
            process.stderr.write(`\r${bar} ${done + dead}/${total}  tried again ${retried}  dead ${dead} `)
          })
        ),
        Effect.repeat(Schedule.spaced("50 millis")),
        Effect.ensuring(Effect.sync(() => process.stderr.write("\r\x1b[K")))
      )
    : Effect.never

const program = Effect.gen(function* () {
  yield* Redis.del([jobs, dead])
  yield* Redis.pipeline(
    Array.from({ length: total - 1 }, (_, i) =>
      Redis.stream.add(jobs, { image: `image-${i}`, width: i }, { schema: Job, maxlen: 10_000, approximately: true })
    )
  )
  // Somebody else's producer: no width that is a number.
  yield* Redis.stream.add(jobs, { image: "image-x", width: "wide" })

  const progress = yield* Ref.make<Progress>({ done: 0, retried: 0, dead: 0 })
  const finished = yield* Deferred.make<void>()
  const count = (change: (now: Progress) => Progress) =>
    Ref.updateAndGet(progress, change).pipe(
      Effect.tap(({ dead, done }) => (done + dead === total ? Deferred.succeed(finished, undefined) : Effect.void))
    )

  const worker = (consumer: string) =>
    Redis.stream.worker(
      {
        stream: jobs,
        group: "resizers",
        consumer,
        create: "all",
        schema: Job,
        concurrency: 4,
        attempts: 3,
        retry: Schedule.spaced("100 millis"),
        deadLetter: dead,
        on: (event) =>
          event._tag !== "Failed"
            ? Effect.void
            : event.next === "deadLettered"
              ? count((now) => ({ ...now, dead: now.dead + 1 }))
              : count((now) => ({ ...now, retried: now.retried + 1 }))
      },
      ({ attempt, fields }) =>
        Effect.zipRight(
          resize(fields, attempt),
          count((now) => ({ ...now, done: now.done + 1 }))
        )
    )

  // The loser of a race is interrupted, and an interrupted worker finishes the jobs it holds.
  yield* Deferred.await(finished).pipe(
    Effect.raceFirst(worker("worker-1")),
    Effect.raceFirst(worker("worker-2")),
    Effect.raceFirst(display(progress))
  )

  const { done, retried } = yield* Ref.get(progress)
  yield* Console.log(`${done} of ${total} jobs done, ${retried} times tried again`)
  const letters = yield* Redis.xrange(dead, "-", "+")
  for (const { fields } of [...letters].sort((a, b) => `${a.fields.image}`.localeCompare(`${b.fields.image}`))) {
    const { image, "dead-letter-attempts": attempts, "dead-letter-error": error } = fields
    yield* Console.log(`dead: ${image}, attempt ${attempts}: ${error}`)
  }
  const { pending } = yield* Redis.xpending(jobs, "resizers")
  yield* Console.log(`pending: ${pending}`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   58 of 60 jobs done, 11 times tried again
//   dead: image-13, attempt 3: BrokenImage
//   dead: image-x, attempt 1: DecodeError
//   pending: 0
