/** Shared by suites of subscriptions. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Redis, RedisPubSub } from "effect-redis-client"
import type { RedisService } from "../../src/Redis.js"
import type { RedisError } from "../../src/RedisError.js"
import type { RedisPubSubOptions, RedisPubSubService } from "../../src/RedisPubSub.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { type Live, on, quickly } from "./client.js"
import { onlyLogger, recordingLogger } from "./effect.js"
import * as Peer from "./peer.js"

/** Runs an effect with these subscriptions as its `RedisPubSub`. */
export const listenOn =
  (service: RedisPubSubService) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, RedisPubSub>> =>
    Effect.provideService(effect, RedisPubSub, service) as Effect.Effect<A, E, Exclude<R, RedisPubSub>>

/** A client of a live server, its subscriptions, and the server's counts. */
export const listener = (live: Live, options: RedisPubSubOptions = {}) =>
  Effect.gen(function* () {
    const { host, port } = yield* RedisServer.RedisServer
    const redis = yield* live.connect()
    const service = yield* RedisPubSub.make({ host, port, protocol: live.protocol, reconnect: quickly, ...options })
    const run = on(redis)
    return { redis, service, run, listen: listenOn(service), ...asking(redis) }
  })

const asking = (redis: RedisService) => {
  const run = on(redis)
  const text = (name: string, ...args: ReadonlyArray<string>) =>
    run(Redis.execute(name, ...args)).pipe(Effect.map(String))
  return {
    /** The number of times the server executed a command. */
    calls: (command: string) =>
      Effect.map(text("INFO", "commandstats"), (info) =>
        Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(info)?.[1] ?? 0)
      ),
    resetCalls: text("CONFIG", "RESETSTAT"),
    /** The number of connections with a subscription. */
    subscribers: Effect.map(
      text("CLIENT", "LIST", "TYPE", "pubsub"),
      (list) => list.split("\n").filter(Boolean).length
    ),
    connections: Effect.map(text("CLIENT", "LIST"), (list) => list.split("\n").filter(Boolean).length),
    kill: text("CLIENT", "KILL", "TYPE", "pubsub"),
    numsub: (channel: string) => run(Redis.pubsubNumsub(channel)).pipe(Effect.map((all) => all[0]?.subscribers ?? 0))
  }
}

/** Repeats a check until it holds; dies after 15 seconds. */
export const until = <E, R>(what: string, ask: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> => {
  const started = Date.now()
  const again: Effect.Effect<void, E, R> = Effect.flatMap(ask, (holds) =>
    holds
      ? Effect.void
      : Date.now() - started > 15_000
        ? Effect.dieMessage(`never happened: ${what}`)
        : Effect.zipRight(soon, again)
  )
  return again
}

const soon = Effect.async<void>((resume) => {
  setTimeout(() => resume(Effect.void), 3)
})

/** The first elements of a Stream. */
export const first = <A, R = never>(stream: Stream.Stream<A, RedisError, R>, count: number) =>
  Effect.map(Stream.runCollect(Stream.take(stream, count)), (chunk) => Chunk.toReadonlyArray(chunk))

/** Collects a Stream in the background. */
export const collecting = <A>(stream: Stream.Stream<A, RedisError>) =>
  Effect.gen(function* () {
    const got: Array<A> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(stream, (element) => Effect.sync(() => void got.push(element)))
    )
    return { got, fiber, has: (count: number) => Peer.eventually(`${count} elements`, () => got.length >= count) }
  })

/** The log lines of level warning and above. */
export const warnings = () => {
  const lines: Array<string> = []
  const logger = recordingLogger(({ annotations, level, message }) => {
    if (["WARN", "ERROR", "FATAL"].includes(level)) {
      lines.push(`${String(message)} ${JSON.stringify(annotations)}`)
    }
  })
  return { lines, layer: onlyLogger(logger) }
}

/** Publishes `count` numbered messages in pipelines. */
export const publish = (redis: RedisService, channel: string, count: number, size = 0) =>
  Effect.gen(function* () {
    for (let from = 0; from < count; from += 1000) {
      yield* on(redis)(
        Redis.pipeline(
          Array.from({ length: Math.min(1000, count - from) }, (_, i) =>
            Redis.publish(channel, String(from + i).padEnd(size, "."))
          )
        )
      )
    }
  })
