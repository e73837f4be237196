/** Large pipelines, and how `Effect.all` and `Effect.forEach` differ from a pipeline. */
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { Redis, RedisCommand } from "effect-redis-client"
import { prepareAll } from "../src/internal/request/prepare.js"
import type { Request } from "../src/internal/request/request.js"
import { connectTo, eachServer, on } from "./support/client.js"
import { greeting } from "./support/peer.js"

v8.setFlagsFromString("--expose-gc")
const gc = vm.runInNewContext("gc") as () => void

const megabytes = (bytes: number): number => Math.round(bytes / 1024 / 1024)

/** The memory in use after a garbage collection. */
const alive = (): number => {
  gc()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

const many = 100_000

eachServer((it, { connect, protocol, server }) => {
  it.scoped("100 000 commands in one pipeline: answered in order, with bounded memory", () =>
    Effect.gen(function* () {
      const redis = yield* connect({ replyTimeout: "30 seconds" })
      const run = on(redis)
      yield* redis.send(RedisCommand.make("FLUSHALL", { args: ["SYNC"] }))
      const commands = Array.from({ length: many }, (_, i) => Redis.incrby(`n${i % 10}`, 1))
      const cold = alive()
      const numbers = yield* run(Redis.pipeline(commands))
      expect(numbers.length).toBe(many)
      expect(numbers.every((n, i) => n === Math.floor(i / 10) + 1)).toBe(true)
      const before = alive()
      let peak = 0
      const sampling = setInterval(() => {
        const { arrayBuffers, heapUsed } = process.memoryUsage()
        peak = Math.max(peak, heapUsed + arrayBuffers - before)
      }, 2)
      const started = performance.now()
      yield* run(Redis.pipeline(commands)).pipe(Effect.ensuring(Effect.sync(() => clearInterval(sampling))))
      const millis = performance.now() - started
      yield* run(Redis.pipeline(commands))
      const kept = alive() - before
      process.stdout.write(
        `  ${server.name} RESP${protocol}: ${many} commands in one pipeline, ${Math.round(millis)} ms, ` +
          `at most ${megabytes(peak)} MB more meanwhile, ${megabytes(before - cold)} MB kept by the first, ` +
          `${megabytes(kept)} MB by two more\n`
      )
      expect(megabytes(before - cold)).toBeLessThan(25)
      expect(megabytes(kept)).toBeLessThan(3)
      expect(megabytes(peak)).toBeLessThan(150)
    })
  )

  it.scoped("many large values at once, in both directions", () =>
    Effect.gen(function* () {
      const run = on(yield* connect({ replyTimeout: "30 seconds" }))
      const value = "x".repeat(1_000_000)
      const commands = Array.from({ length: 20 }, (_, i) => Redis.set(`big${i % 3}`, value))
      expect(yield* run(Redis.pipeline(commands))).toHaveLength(20)
      const read = yield* run(Redis.pipeline(Array.from({ length: 20 }, (_, i) => Redis.get(`big${i % 3}`))))
      expect(read.every((got) => Option.getOrThrow(got).length === value.length)).toBe(true)
    })
  )

  it.scoped("failures keep their positions among many results", () =>
    Effect.gen(function* () {
      const redis = yield* connect({ replyTimeout: "30 seconds" })
      const run = on(redis)
      yield* redis.send(RedisCommand.make("FLUSHALL", { args: ["SYNC"] }))
      yield* run(Redis.set("text", "x"))
      const slots = yield* run(
        Redis.pipeline(
          Array.from({ length: 10_000 }, (_, i) => (i % 100 === 42 ? Redis.incr("text") : Redis.incr("n"))),
          { mode: "either" }
        )
      )
      expect(slots.every((slot, i) => Either.isLeft(slot) === (i % 100 === 42))).toBe(true)
      expect(slots.at(-1)).toEqual(Either.right(9_900))
    })
  )
})

describe("pipelines and other batches", () => {
  it("a pipeline is encoded in parts, because runtimes limit the length of a string", () => {
    const commands = Array.from({ length: 5_000 }, (_, i) => Redis.set(`k${i}`, "x".repeat(1_000)))
    const settings = { replyTimeout: 1_000, observer: undefined, address: "" }
    const request = prepareAll(commands, { atomic: true }, () => {}, settings, undefined)
    const parts = (request as Request).wire as ReadonlyArray<string>
    expect(parts.length).toBeGreaterThan(4)
    expect(Math.max(...parts.map(({ length }) => length))).toBeLessThan(1.5 * 1024 * 1024)
    expect(parts.join("")).toMatch(/^\*1\r\n\$5\r\nMULTI\r\n\*3\r\n.*\*1\r\n\$4\r\nEXEC\r\n$/s)
  })

  const counted = Effect.gen(function* () {
    const writes = { count: 0 }
    const { run } = yield* connectTo({
      onConnect: ({ socket }) => socket.on("data", () => writes.count++),
      onCommand: greeting(() => ":1\r\n")
    })
    const commands = Array.from({ length: 50 }, (_, i) => Redis.incr(`n${i}`))
    writes.count = 0
    return { commands, run, writes }
  })

  it.scoped("Redis.pipeline makes one write and uses one fiber", () =>
    Effect.gen(function* () {
      const { commands, run, writes } = yield* counted
      yield* run(Redis.pipeline(commands))
      expect(writes.count).toBe(1)
    })
  )

  it.scoped("Effect.all and Effect.forEach wait for each reply before sending the next command", () =>
    Effect.gen(function* () {
      const { commands, run, writes } = yield* counted
      yield* run(Effect.all(commands))
      expect(writes.count).toBe(50)
      yield* run(Effect.forEach(commands, (command) => command))
      expect(writes.count).toBe(100)
    })
  )

  it.scoped("with unbounded concurrency they send all commands together, at the cost of a fiber each", () =>
    Effect.gen(function* () {
      const { commands, run, writes } = yield* counted
      yield* run(Effect.all(commands, { concurrency: "unbounded" }))
      expect(writes.count).toBeLessThan(5)
    })
  )
})
