/** The store of Effect's rate limiter: the same answers as the store in memory, on the server's clock. */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Redis, RedisCommand, RedisScript } from "effect-redis-client"
import * as RateLimiterStore from "effect-redis-client/RateLimiterStore"
import * as Scripts from "../../src/internal/rateLimiterStore/scripts.js"
import { eachServer, failure, on } from "../support/client.js"
import { withTestServices } from "../support/effect.js"

describe("what cannot be counted", () => {
  it.scoped("is refused with the name of what is wrong", () =>
    Effect.gen(function* () {
      const fake = Redis.layerTest(() => Effect.succeed(null))
      const wrong = yield* Effect.exit(Effect.provide(Layer.build(RateLimiterStore.layer({ prefix: "\ud800" })), fake))
      expect(failure(wrong).message).toContain("prefix")
      const store = yield* Effect.provide(RateLimiterStore.make(), fake)
      const call = { key: "k", tokens: 1, refillRate: Duration.seconds(1), limit: 5 }
      for (const change of [{ tokens: NaN }, { limit: Infinity }]) {
        const exit = yield* Effect.exit(store.fixedWindow({ ...call, ...change }))
        expect(failure(exit)).toMatchObject({
          reason: "StoreError",
          message: expect.stringContaining("tokens and limit")
        })
      }
      for (const refillRate of [Duration.infinity, Duration.days(40_000)]) {
        const exit = yield* Effect.exit(store.tokenBucket({ ...call, refillRate, allowOverflow: false }))
        expect(failure(exit).message).toContain("a hundred years")
      }
    })
  )
})

/** A script whose clock is its last argument, in microseconds. */
const atTime = (script: { readonly source: string }, argument: number) =>
  RedisScript.make({
    source: script.source.replace(Scripts.clock, `local now = tonumber(ARGV[${argument}])`),
    keys: 1,
    rest: Schema.Union(Schema.Number, Schema.String)
  })

/** Effect's store in memory, under a clock that stands still except for `wait`. */
const inMemory = <A, E>(
  start: number,
  use: (tools: {
    readonly store: Context.Tag.Service<typeof RateLimiter.RateLimiterStore>
    readonly wait: (millis: number) => void
  }) => Effect.Effect<A, E>
): Effect.Effect<A, E> => {
  let now = start
  const clock = { ...Clock.make(), unsafeCurrentTimeMillis: () => now }
  const wait = (millis: number) => {
    now += millis
  }
  return Effect.flatMap(RateLimiter.RateLimiterStore, (store) => use({ store, wait })).pipe(
    Effect.provide(RateLimiter.layerStoreMemory),
    Effect.withClock(clock)
  )
}

/** Numbers that are the same in each run. */
const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state % below
  }
}

eachServer((it, { connect }) => {
  const fresh = Effect.gen(function* () {
    const redis = yield* connect()
    const run = on(redis)
    yield* run(Redis.flushall())
    return { redis, run, store: yield* Effect.orDie(run(RateLimiterStore.make({ prefix: "r:" }))) }
  })

  /** Runs the same calls at the same times over the script and over Effect's store in memory. */
  const compared = (kind: "fixedWindow" | "tokenBucket", histories: number) =>
    Effect.gen(function* () {
      const { run } = yield* fresh
      const start = 1_700_000_000_000
      const script = atTime(
        kind === "fixedWindow" ? Scripts.fixedWindow : Scripts.tokenBucket,
        kind === "fixedWindow" ? 4 : 5
      )
      const next = random(42)
      for (let history = 0; history < histories; history++) {
        // In whole milliseconds and in fractions of them: 3 in a second, 7 in a minute.
        const [window = 0, limit = 1] =
          [
            [1_000, 4],
            [1_000, 3],
            [60_000, 7],
            [10_000, 10]
          ][next(4)] ?? []
        const refillRate = Duration.millis(window / limit)
        const fails = next(2) === 0
        const calls = Array.from({ length: 25 }, () => ({
          wait: next(3) === 0 ? 0 : next(Math.ceil((window / limit) * (kind === "fixedWindow" ? 2 : 1))),
          tokens: next(8) === 0 ? 0.5 : 1 + next(kind === "fixedWindow" ? 3 : 2)
        }))
        const key = `${kind}-${history}`
        const model = yield* inMemory(start, ({ store, wait }) =>
          Effect.forEach(calls, (call): Effect.Effect<number | readonly [number, number], unknown> => {
            wait(call.wait)
            return kind === "fixedWindow"
              ? store.fixedWindow({ key, tokens: call.tokens, refillRate, limit: fails ? limit : undefined })
              : store.tokenBucket({ key, tokens: call.tokens, refillRate, limit, allowOverflow: !fails })
          })
        )
        let now = start
        const micros = Duration.toMillis(refillRate) * 1000
        const replies = yield* run(
          Redis.pipeline(
            calls.map(({ tokens, wait }) => {
              now += wait
              return kind === "fixedWindow"
                ? script(key, tokens, micros, fails ? limit : "", now * 1000)
                : script(key, tokens, micros, limit, fails ? "0" : "1", now * 1000)
            })
          )
        )
        for (const [i, reply] of replies.entries()) {
          const expected = [model[i]].flat() as ReadonlyArray<number>
          const got = [reply].flat().map(Number)
          expect(got).toHaveLength(expected.length)
          for (const [j, value] of got.entries()) expect(value).toBeCloseTo(expected[j] as number, 2)
        }
      }
    })

  it.scoped("counts a window as the store in memory does, over random histories", () => compared("fixedWindow", 60))

  it.scoped("fills and empties a bucket as the store in memory does, over random histories", () =>
    compared("tokenBucket", 60)
  )

  it.scoped("takes limits whose time for one token is no whole number of milliseconds", () =>
    Effect.gen(function* () {
      const { store } = yield* fresh
      for (const [window, limit] of [
        [1_000, 3],
        [60_000, 7],
        [1, 3]
      ] as const) {
        const refillRate = Duration.unsafeDivide(Duration.millis(window), limit)
        const call = { key: `${window}/${limit}`, tokens: 1, refillRate, limit }
        const [count, ttl] = yield* store.fixedWindow(call)
        expect(count).toBe(1)
        expect(ttl).toBeCloseTo(window / limit, 3)
        expect(yield* store.tokenBucket({ ...call, allowOverflow: false })).toBe(limit - 1)
      }
    })
  )

  it.scoped("counts fractions of tokens", () =>
    Effect.gen(function* () {
      const { store } = yield* fresh
      const call = { key: "half", tokens: 0.5, refillRate: Duration.hours(1), limit: 2 }
      const counts = yield* Effect.replicateEffect(store.fixedWindow(call), 3)
      expect(counts.map(([count]) => count)).toEqual([0.5, 1, 1.5])
      const left = yield* Effect.replicateEffect(store.tokenBucket({ ...call, allowOverflow: false }), 3)
      expect(left).toEqual([1.5, 1, 0.5])
    })
  )

  it.scoped("every key has a time to live, and a call that is denied writes nothing", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh
      const call = { key: "k", tokens: 2, refillRate: Duration.minutes(1), limit: 3 }
      const denied = () =>
        Effect.all([store.fixedWindow(call), store.tokenBucket({ ...call, allowOverflow: false })] as const)
      yield* denied()
      const keys = [...(yield* run(Redis.keys("*")))].sort()
      expect(keys).toEqual(["r:bucket:k", "r:window:k"])
      const state = Effect.all([
        run(Redis.hgetall("r:window:k")),
        run(Redis.hgetall("r:bucket:k")),
        run(Redis.execute("INFO", "replication")).pipe(
          Effect.map((text) => /master_repl_offset:(\d+)/.exec(String(text))?.[1])
        )
      ])
      const before = yield* state
      const [[count, ttl], rest] = yield* denied()
      expect([count, rest]).toEqual([4, -1])
      expect(ttl).toBeGreaterThan(60_000)
      expect(yield* state).toEqual(before)
      for (const key of keys) {
        const left = yield* run(RedisCommand.undecoded(Redis.pttl(key)))
        expect(left).toBeGreaterThan(60_000)
        expect(left).toBeLessThanOrEqual(120_000)
      }
    })
  )

  it.scoped("goes by the server's clock: Effect's clock, which stands still here, has no part in it", () =>
    Effect.gen(function* () {
      const { store } = yield* fresh
      const call = { key: "k", tokens: 1, refillRate: Duration.millis(100), limit: 1, allowOverflow: false }
      yield* withTestServices(
        Effect.gen(function* () {
          expect(yield* store.tokenBucket(call)).toBe(0)
          // Filled up again at some time: a condition, which a busy machine meets late.
          while ((yield* store.tokenBucket(call)) < 0) yield* Effect.yieldNow()
        })
      )
    })
  )

  it.scoped("works through Effect's limiter, and goes on after the server has forgotten its scripts", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh
      const limiter = yield* Effect.provide(
        RateLimiter.RateLimiter,
        Layer.provide(RateLimiter.layer, Layer.succeed(RateLimiter.RateLimiterStore, store))
      )
      for (const algorithm of ["fixed-window", "token-bucket"] as const) {
        const consume = limiter.consume({ algorithm, key: "k", limit: 3, window: "1 hour" })
        const remaining = yield* Effect.replicateEffect(Effect.zipLeft(consume, run(Redis.scriptFlush())), 3)
        expect(remaining.map((result) => result.remaining)).toEqual([2, 1, 0])
        expect(failure(yield* Effect.exit(consume))).toMatchObject({ reason: "Exceeded", limit: 3 })
      }
    })
  )

  it.scoped("an error of the server is its cause, and shows no key", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh
      yield* run(Redis.set("r:window:secret", "x"))
      const call = { key: "secret", tokens: 1, refillRate: Duration.seconds(1), limit: 3 }
      const error = failure(yield* Effect.exit(store.fixedWindow(call)))
      expect(error).toMatchObject({ reason: "StoreError", cause: { _tag: "ReplyError" } })
      expect(error.message).not.toContain("secret")
    })
  )
})
