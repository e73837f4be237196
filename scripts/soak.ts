/**
 * `npm run soak -- [--commands N] [--seed S] [--chart FILE]`: commands by the million on one shared client, values from a
 * byte to 50 MB, a server that stops reading and consumers that stop taking, with memory and the event loop's delay
 * watched all the while (docs/soak.md). It stops by itself, and exits 1 when memory grew, a bound did not hold or an
 * answer was wrong.
 */
import * as FileSystem from "node:fs"
import { loadavg } from "node:os"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Codec, Redis, RedisPubSub } from "effect-redis-client"
import { Parser } from "../src/internal/resp/parser.js"
import type { RedisService } from "../src/Redis.js"
import { makeServer, realServers } from "../test/support/servers.js"
import * as Random from "./fuzz/random.js"
import { chart, type Sample } from "./soak-chart.js"

const given = process.argv.slice(2)
const option = (name: string): string | undefined => {
  const at = given.indexOf(`--${name}`)
  return at === -1 ? undefined : given[at + 1]
}

const wanted = Number(option("commands") ?? 10_000_000)
const seed = Random.seedFrom(option("seed"))
const chartFile = option("chart")
const largest = 50 * 1024 * 1024
const maxQueuedBytes = 32 * 1024 * 1024
const maxQueuedCommands = 20_000

const random = Random.make(seed)
const problems: Array<string> = []
const n = (count: number): string => Math.round(count).toLocaleString("en-US").replaceAll(",", " ")
const mb = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`
const gc = (globalThis as { readonly gc?: () => void }).gc

const pause = (millis: number): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const handle = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(handle))
  })

const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

// ---------------------------------------------------------------------------------------------------------------------
// What is watched
// ---------------------------------------------------------------------------------------------------------------------

let commands = 0
let bytes = 0
let phase = "small values"
const started = performance.now()
const samples: Array<Sample> = []
/** The memory still in use after a forced collection, measured between the parts. */
const floors: Array<Sample> = []

const sample = (into: Array<Sample>): Sample => {
  const { external, heapUsed, rss } = process.memoryUsage()
  const one = { commands, seconds: (performance.now() - started) / 1000, heapUsed, external, rss, phase }
  into.push(one)
  return one
}

const settle = Effect.gen(function* () {
  // Twice, because objects released by finalizers are collected the second time.
  for (let i = 0; i < 2; i++) {
    gc?.()
    yield* turn
  }
  return sample(floors)
})

/** The event loop's delay by what is going on, in milliseconds. */
const delays = new Map<string, { p50: number; p99: number; max: number; spans: number }>()
const histogram = monitorEventLoopDelay({ resolution: 5 })

const during = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    phase = name
    histogram.reset()
    histogram.enable()
    return effect
  }).pipe(
    Effect.tap(() =>
      Effect.sync(() => {
        histogram.disable()
        const old = delays.get(name) ?? { p50: 0, p99: 0, max: 0, spans: 0 }
        // The monitor counts the whole interval; what is beyond its resolution is delay.
        const late = (nanos: number) => Math.max(0, nanos / 1e6 - 5)
        delays.set(name, {
          p50: Math.max(old.p50, late(histogram.percentile(50))),
          p99: Math.max(old.p99, late(histogram.percentile(99))),
          max: Math.max(old.max, late(histogram.max)),
          spans: old.spans + 1
        })
        sample(samples)
      })
    )
  )

/** What reading one reply of the largest size costs by itself: the whole in chunks of a socket, and the longest chunk. */
const cost = (text: boolean): { readonly whole: number; readonly longest: number } => {
  const chunk = Buffer.alloc(65_536, 97)
  const parser = new Parser({ onReply: () => {}, onPush: () => {}, onAttribute: () => {} }, undefined, { text })
  let longest = 0
  const began = performance.now()
  const write = (bytes: Uint8Array): void => {
    const before = performance.now()
    parser.write(bytes)
    longest = Math.max(longest, performance.now() - before)
  }
  write(Buffer.from(`$${largest}\r\n`))
  for (let left = largest; left > 0; left -= chunk.length) {
    write(chunk.subarray(0, Math.min(left, chunk.length)))
  }
  write(Buffer.from("\r\n"))
  return { whole: performance.now() - began, longest }
}

// ---------------------------------------------------------------------------------------------------------------------
// What is done
// ---------------------------------------------------------------------------------------------------------------------

/** Text that says which key it is of, in its beginning and its end. */
const valueOf = (key: string, size: number): string => {
  const mark = `${key}|`
  return size <= 2 * mark.length ? mark.repeat(2).slice(0, size) : mark + "x".repeat(size - 2 * mark.length) + mark
}

const check = (key: string, size: number, got: Option.Option<string>): void => {
  const value = Option.getOrElse(got, () => "")
  const wanted = size <= 4096 ? valueOf(key, size) : undefined
  const mark = `${key}|`
  const right =
    wanted === undefined ? value.length === size && value.startsWith(mark) && value.endsWith(mark) : value === wanted
  if (!right) {
    problems.push(`${key} of ${size} characters came back as ${value.length}`)
  }
}

const did = (count: number, size: number) => (): void => {
  commands += count
  bytes += size
}

/** From a byte to some kilobytes, most of them small. */
const smallSize = (): number => Math.ceil(2 ** (random.next() * (random.chance(0.02) ? 15 : 8)))

let keys = 0

/** Fibers by the hundred with commands of their own, and pipelines: what one turn issues leaves together. */
const small = (redis: RedisService, count: number) =>
  Effect.gen(function* () {
    let left = count
    while (left > 0) {
      const singles = Array.from({ length: 120 }, (_, i) => {
        const key = `s:${(keys + i) % 5_000}:${i}`
        const size = smallSize()
        return Effect.zipRight(
          redis.send(Redis.set(key, valueOf(key, size))),
          Effect.map(redis.send(Redis.get(key)), (got) => {
            check(key, size, got)
            did(2, 2 * size)()
          })
        )
      })
      keys += singles.length
      const batches = Array.from({ length: 4 }, (_, b) => {
        const key = `p:${b}`
        const size = smallSize()
        const value = valueOf(key, size)
        const batch = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? Redis.set(key, value) : Redis.get(key)))
        return Effect.map(redis.sendAll(batch, { atomic: false }), ({ exits }) => {
          exits.forEach((exit, i) => {
            if (i % 2 === 1 && !(Exit.isSuccess(exit) && Option.isOption(exit.value) && exit.value._tag === "Some")) {
              problems.push(`a slot of a pipeline: ${exit._tag}`)
            }
          })
          const last = exits[199]
          if (last !== undefined && Exit.isSuccess(last)) {
            check(key, size, last.value as Option.Option<string>)
          }
          did(batch.length, batch.length * size)()
        })
      })
      const before = commands
      yield* Effect.all([...singles, ...batches], { concurrency: "unbounded", discard: true })
      left -= commands - before
    }
  })

/** One value after the other, up to the largest, while small commands go on beside them. */
const large = (redis: RedisService) =>
  Effect.gen(function* () {
    const busy = yield* Effect.fork(
      Effect.forever(Effect.zipRight(Effect.map(redis.send(Redis.ping()), did(1, 4)), pause(2)))
    )
    for (const size of [100_000, 1_000_000, 5_000_000, 20_000_000, largest]) {
      const key = `large:${size}`
      yield* redis.send(Redis.set(key, valueOf(key, size)))
      check(key, size, yield* redis.send(Redis.get(key)))
      const raw = yield* redis.send(Redis.withCodec(Codec.bytes).get(key))
      if (Option.isNone(raw) || raw.value.length !== size) {
        problems.push(`${key} as bytes`)
      }
      yield* redis.send(Redis.del(key))
      did(4, 3 * size)()
    }
    yield* Fiber.interrupt(busy)
  })

interface Stopped {
  accepted: number
  overflows: number
  most: number
}

const stopped: Stopped = { accepted: 0, overflows: 0, most: 0 }

/** The server stops reading (SIGSTOP): the socket fills, then the queue, and then comes OverflowError, typed. */
const stoppedServer = (
  redis: RedisService,
  server: { readonly pause: Effect.Effect<void, unknown>; readonly resume: Effect.Effect<void, unknown> },
  value: string
) =>
  Effect.gen(function* () {
    gc?.()
    const before = process.memoryUsage()
    yield* server.pause
    let overflows = 0
    const accepted: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
    const until = performance.now() + 1_500
    while (performance.now() < until || overflows === 0) {
      for (let i = 0; i < 200; i++) {
        const fiber = yield* Effect.fork(Effect.exit(redis.send(Redis.set(`stopped:${i}`, value))))
        accepted.push(fiber)
      }
      yield* turn
      // Those that were refused have their answer; the others wait.
      for (let i = accepted.length - 1; i >= 0; i--) {
        const exit = Option.getOrUndefined(yield* Fiber.poll(accepted[i] as Fiber.RuntimeFiber<unknown, unknown>))
        if (exit === undefined) {
          continue
        }
        accepted.splice(i, 1)
        if (Exit.isSuccess(exit) && Exit.isExit(exit.value) && Exit.isFailure(exit.value)) {
          const error = Option.getOrUndefined(Cause.failureOption(exit.value.cause)) as
            | { readonly _tag?: string }
            | undefined
          if (error?._tag === "OverflowError") {
            overflows++
          } else {
            problems.push(`a stopped server: ${JSON.stringify(error).slice(0, 200)}`)
          }
        }
      }
      const { external, heapUsed } = process.memoryUsage()
      stopped.most = Math.max(stopped.most, external + heapUsed - before.external - before.heapUsed)
    }
    stopped.overflows += overflows
    stopped.accepted += accepted.length
    if (accepted.length > maxQueuedCommands * 2) {
      problems.push(`${accepted.length} commands were waiting, beyond the bound`)
    }
    sample(samples)
    yield* server.resume
    for (const fiber of accepted) {
      const exit = yield* Fiber.join(fiber)
      if (Exit.isExit(exit) && Exit.isFailure(exit)) {
        problems.push("a command that was accepted failed when the server went on")
      }
      did(1, value.length)()
    }
  })

const consumed = { scanned: 0, published: 0, received: 0, gaps: 0, dropped: 0, most: 0 }

/** Consumers that stop taking: a scan asks for no page ahead; of messages so many wait as the buffer holds. */
const stoppedConsumers = (redis: RedisService, pubsub: Effect.Effect.Success<ReturnType<typeof RedisPubSub.make>>) =>
  Effect.gen(function* () {
    const members = Array.from({ length: 20_000 }, (_, i) => `member:${i}:${"m".repeat(50)}`)
    yield* redis.send(Redis.sadd("scanned", members as [string, ...Array<string>]))
    yield* Stream.runForEach(Redis.sscanStream("scanned", { count: 500 }), () =>
      Effect.suspend(() => (consumed.scanned++ % 2_500 === 0 ? pause(30) : Effect.void))
    )
    did(40, 0)()
    gc?.()
    const before = process.memoryUsage()
    yield* Effect.scoped(
      Effect.gen(function* () {
        const news = yield* Effect.provideService(
          RedisPubSub.withGaps.subscribe("news", { bufferSize: 2_000 }),
          RedisPubSub,
          pubsub
        )
        const payload = "n".repeat(1_000)
        // Publishes far more than the buffer holds, before anything is taken.
        for (let round = 0; round < 20; round++) {
          const { exits } = yield* redis.sendAll(
            Array.from({ length: 1_000 }, () => Redis.publish("news", payload)),
            { atomic: false }
          )
          did(exits.length, exits.length * payload.length)()
          consumed.published += exits.length
          const { external, heapUsed } = process.memoryUsage()
          consumed.most = Math.max(consumed.most, external + heapUsed - before.external - before.heapUsed)
        }
        yield* redis.send(Redis.publish("news", "last"))
        consumed.published++
        yield* news.pipe(
          Stream.tap((message) =>
            Effect.sync(() => {
              if (RedisPubSub.isGap(message)) {
                consumed.gaps++
                consumed.dropped += message.dropped
              } else {
                consumed.received++
              }
            })
          ),
          Stream.takeUntil((message) => !RedisPubSub.isGap(message) && message.payload === "last"),
          Stream.runDrain
        )
      })
    )
  }).pipe(Effect.provideService(Redis, redis))

// ---------------------------------------------------------------------------------------------------------------------
// All of it
// ---------------------------------------------------------------------------------------------------------------------

const main = Effect.gen(function* () {
  const found = realServers.find(({ name }) => name === "redis-8.0") ?? realServers[0]
  if (found === undefined) {
    console.log("soak: not run, no real server was found. `npm run servers` fetches them.")
    return
  }
  console.log(
    `soak: seed ${seed}, ${found.name}, ${n(wanted)} commands${gc === undefined ? ", without --expose-gc" : ""}`
  )
  const server = yield* makeServer(found)
  const redis = yield* Redis.make({
    host: server.host,
    port: server.port,
    replyTimeout: "5 minutes",
    unresponsiveTimeout: "5 minutes",
    maxQueuedBytes,
    maxQueuedCommands
  })
  const pubsub = yield* RedisPubSub.make({ host: server.host, port: server.port })
  const alone = { text: cost(true), bytes: cost(false) }
  const value = "v".repeat(20_000)
  // Everything once before the first look: code is compiled and buffers have their size.
  yield* during("warming up", Effect.zipRight(small(redis, 100_000), large(redis)))
  const first = yield* settle
  const ticking = setInterval(() => sample(samples), 500)
  const cycles = 20
  const each = wanted / cycles
  let told = 0
  for (let cycle = 0; cycle < cycles; cycle++) {
    const until = Math.min(wanted, (cycle + 1) * each)
    yield* during("values up to 50 MB", large(redis))
    if (cycle % 4 === 1) {
      yield* during("server stopped", stoppedServer(redis, server, value))
    }
    if (cycle % 4 === 3) {
      yield* during("consumers stopped", stoppedConsumers(redis, pubsub))
    }
    yield* during("small values", small(redis, until - commands))
    const floor = yield* settle
    if (performance.now() - told > 10_000) {
      told = performance.now()
      console.log(
        `  ${n(commands)} commands in ${n(floor.seconds)} s: heap ${mb(floor.heapUsed)}, external ` +
          `${mb(floor.external)}, RSS ${mb(floor.rss)}; load ${loadavg()[0]?.toFixed(1)}`
      )
    }
  }
  clearInterval(ticking)
  const last = yield* settle

  const kept = (one: Sample) => one.heapUsed + one.external
  const grown = kept(last) - kept(first)
  if (grown > 16 * 1024 * 1024) {
    problems.push(`memory grew by ${mb(grown)}`)
  }
  if (stopped.overflows === 0) {
    problems.push("the queue's bound was never met")
  }
  // The queue, what the socket holds, and as much again that is not collected yet.
  if (stopped.most > 4 * maxQueuedBytes) {
    problems.push(`a stopped server cost ${mb(stopped.most)}`)
  }
  if (consumed.dropped + consumed.received !== consumed.published) {
    problems.push(
      `${consumed.published} published, ${consumed.received} received, ${consumed.dropped} said to be dropped`
    )
  }
  const seconds = (performance.now() - started) / 1000
  console.log(
    `soak: ${n(commands)} commands, ${(bytes / 1024 ** 3).toFixed(1)} GB of values from 1 byte to ${mb(largest)}, in ` +
      `${n(seconds)} s on one connection; memory kept: ${mb(kept(first))} at the beginning, ` +
      `${mb(kept(last))} at the end (heap ${mb(first.heapUsed)} and ${mb(last.heapUsed)}, external ` +
      `${mb(first.external)} and ${mb(last.external)}, RSS ${mb(first.rss)} and ${mb(last.rss)}, ` +
      `RSS at most ${mb(Math.max(...samples.map(({ rss }) => rss)))})`
  )
  console.log(
    `soak: server stopped: ${n(stopped.accepted)} commands of 20 kB waited, ${n(stopped.overflows)} failed with ` +
      `OverflowError (bounds ${mb(maxQueuedBytes)}, ${n(maxQueuedCommands)}), at most ${mb(stopped.most)} more memory; ` +
      `consumers stopped: ${n(consumed.scanned)} members scanned, ${n(consumed.published)} messages published, ` +
      `${n(consumed.received)} received, ${n(consumed.dropped)} said to be dropped, at most ${mb(consumed.most)} more memory`
  )
  for (const [name, { max, p50, p99 }] of delays) {
    console.log(
      `soak: event loop delay, ${name}: p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, max ${max.toFixed(1)} ms`
    )
  }
  console.log(
    `soak: a reply of ${mb(largest)} by itself, in chunks of 64 KB: as text ${alone.text.whole.toFixed(1)} ms, of which ` +
      `${alone.text.longest.toFixed(1)} ms at once; as bytes ${alone.bytes.whole.toFixed(1)} ms, ` +
      `${alone.bytes.longest.toFixed(1)} ms at once`
  )
  if (chartFile !== undefined) {
    FileSystem.writeFileSync(chartFile, chart(samples, floors, wanted))
  }
})

await Effect.runPromise(Effect.scoped(main).pipe(Logger.withMinimumLogLevel(LogLevel.Error)))
for (const problem of problems.slice(0, 20)) {
  console.log(`problem: ${problem}`)
}
console.log(`soak: ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
