/** `npm run fuzz -- --hostile`: the full counts of bytes that no server should send. */
import * as Effect from "effect/Effect"
import * as Peers from "./peers.js"
import * as Random from "./random.js"
import * as Streams from "./streams.js"

export interface HostileOptions {
  readonly seed: number
  readonly streams: number
  readonly cases: number
}

const n = (count: number): string => Math.round(count).toLocaleString("en-US").replaceAll(",", " ")

const mb = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`

/** Runs all of it and answers whether everything was as it must be. */
export const run = ({ cases, seed, streams }: HostileOptions): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    const random = Random.make(seed, 0x6861)
    const problems: Array<string> = []
    for (const event of ["uncaughtException", "unhandledRejection"] as const) {
      process.on(event, (error: unknown) => {
        problems.push(`${event}: ${error instanceof Error ? error.stack : String(error)}`)
      })
    }
    const objectBefore = Object.getOwnPropertyNames(Object.prototype).join()
    const started = performance.now()

    const parsed = Streams.emptyStreams()
    // In slices, so that timers and signals get their turn.
    const ofStreams = random.fork()
    while (parsed.streams < streams && parsed.problems.length === 0) {
      Streams.run(ofStreams, Math.min(10_000, streams - parsed.streams), Infinity, parsed)
      yield* Effect.promise(() => new Promise<void>((resume) => setImmediate(resume)))
    }
    problems.push(...parsed.problems)
    const streamsLine =
      `hostile: seed ${seed}, ${n(parsed.streams)} byte streams (${mb(parsed.bytes)}) against the parser in ` +
      `${n((performance.now() - started) / 1000)} s, each whole and in parts: ${n(parsed.right)} read as they should be, ` +
      `${n(parsed.refused)} refused with a reason, ${n(parsed.unfinished)} without an end or well framed; slowest ` +
      `${n(parsed.slowest)} ms, memory at most ${mb(parsed.grown)} more`
    console.log(streamsLine)

    for (const stream of Streams.endless) {
      const fed = Streams.feed(
        stream,
        { maxBulkLength: 1 << 20, maxAggregateLength: 1 << 20, maxDepth: 64, maxBufferedBytes: 4 << 20 },
        64 << 20
      )
      const flooded = yield* Peers.flood(stream, 3)
      console.log(
        `  endless: ${stream.name}: ${fed.failure ?? "nothing is kept"} after ${mb(fed.read)}; ` +
          `its connection: ${flooded.outcome} after ${mb(flooded.sent)}, memory at most ${mb(flooded.grown)} more`
      )
      if (
        (fed.failure === undefined) !== (stream.harmless === true) ||
        flooded.outcome !== (stream.harmless === true ? "DeadlineError" : "ProtocolError")
      ) {
        problems.push(`${stream.name}: ${fed.failure}, ${flooded.outcome} (${flooded.reason})`)
      }
    }

    const lived = Peers.emptyPeers()
    const before = performance.now()
    yield* Peers.run(random.fork(), cases, Infinity, 48, lived)
    problems.push(...lived.problems)
    if (Object.getOwnPropertyNames(Object.prototype).join() !== objectBefore) {
      problems.push("Object.prototype was changed")
    }
    const errors = Object.entries(lived.errors).map(([tag, count]) => `${tag} ${n(count)}`)
    const places = Object.entries(lived.byPhase).map(([phase, count]) => `${phase} ${n(count)}`)
    for (const problem of problems.slice(0, 20)) {
      console.log(`problem: ${problem}`)
    }
    console.log(
      `hostile: seed ${seed}, ${n(lived.cases)} live connections in ${n((performance.now() - before) / 1000)} s ` +
        `(${places.join(", ")}): ${n(lived.answered)} answers of their types, typed errors: ${errors.join(", ")}; ` +
        `slowest ${n(lived.slowest)} ms; memory ${mb(process.memoryUsage().rss)}`
    )
    console.log(streamsLine)
    console.log(`hostile: ${problems.length} problems`)
    return problems.length === 0
  })
