/** What limiters promise, each promise by itself: on every server, over RESP2 and RESP3. */
import { describe, expect, it as plain } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Redis, RedisCommand } from "effect-redis-client"
import * as RedisRateLimiter from "effect-redis-client/RedisRateLimiter"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import { slotOf } from "../../src/internal/cluster/slot.js"
import { serverClock, sourceOf } from "../../src/internal/limiter/lua.js"
import type { RedisService } from "../../src/Redis.js"
import { connectTo, eachServer, on } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { interruptAndWait } from "../support/effect.js"
import * as Peer from "../support/peer.js"
import { makeServer, olderServers } from "../support/servers.js"

let names = 0
const fresh = (): string => `limiter-${++names}`

/** Three at once of a limit that comes back slowly, by each algorithm. */
const slowly = (prefix: string) =>
  ({
    gcra: RedisRateLimiter.make({ prefix, limit: 3, window: "1 hour" }),
    "token-bucket": RedisRateLimiter.make({ prefix, algorithm: "token-bucket", capacity: 3, interval: "1 hour" }),
    "fixed-window": RedisRateLimiter.make({ prefix, algorithm: "fixed-window", limit: 3, window: "1 hour" }),
    "sliding-window": RedisRateLimiter.make({ prefix, algorithm: "sliding-window", limit: 3, window: "1 hour" }),
    "sliding-log": RedisRateLimiter.make({ prefix, algorithm: "sliding-log", limit: 3, window: "1 hour" })
  }) as const

type Name = keyof ReturnType<typeof slowly>
const algorithms = Object.keys(slowly("names")) as ReadonlyArray<Name>

const keyOf = (prefix: string, subject: string, algorithm: Name): string =>
  `${prefix}:{${subject}}:${
    {
      gcra: "bucket",
      "token-bucket": "bucket",
      "fixed-window": "fixed",
      "sliding-window": "sliding",
      "sliding-log": "log"
    }[algorithm]
  }`

/** A client that records the commands that it is given. */
const spied = (redis: RedisService) => {
  const sent: Array<RedisCommand.RedisCommand<unknown>> = []
  const service: RedisService = {
    ...redis,
    send: (command) => {
      sent.push(command)
      return redis.send(command)
    }
  }
  return { sent, run: on(service) }
}

const millis = Duration.toMillis

/** A client without a server: what is wrong must fail before anything is sent. */
const sendsNothing = Redis.layerTest(({ name }) => Effect.die(new Error(`${name} was sent`)))

describe("a limiter that cannot be", () => {
  const good = { prefix: "p", limit: 5, window: "1 minute" } as const
  const bucket = { prefix: "p", algorithm: "token-bucket", capacity: 5, interval: "1 minute" } as const
  const wrong: ReadonlyArray<readonly [what: string, options: object, message: RegExp]> = [
    ["an empty prefix", { ...good, prefix: "" }, /^prefix must be text/],
    ["no prefix", { limit: 5, window: "1 minute" }, /^prefix must be text/],
    ["a prefix with a brace", { ...good, prefix: "a{b" }, /without \{ and \}/],
    ["an unknown algorithm", { ...good, algorithm: "leaky" }, /^algorithm must be gcra, /],
    ["a limit of zero", { ...good, limit: 0 }, /^limit must be a whole number from 1/],
    ["a limit that is not whole", { ...good, limit: 1.5 }, /^limit must be a whole number from 1/],
    ["a limit beyond 2^53", { ...good, algorithm: "fixed-window", limit: 2 ** 53 }, /^limit must be less than 2\^53/],
    ["no limit", { prefix: "p", window: "1 minute" }, /^limit must be/],
    ["a window without a unit", { ...good, window: 60 }, /^window must be a duration with its unit/],
    ["a window of zero", { ...good, window: "0 millis" }, /^window must be longer than zero/],
    ["an endless window", { ...good, window: Duration.infinity }, /^window must be shorter than 142 years/],
    ["a burst of zero", { ...good, burst: 0 }, /^burst must be a whole number from 1/],
    [
      "a burst for a window",
      { ...good, algorithm: "fixed-window", burst: 2 },
      /^burst is not an option of the algorithm fixed-window/
    ],
    ["a limit for a bucket", { ...bucket, limit: 2 }, /^limit is not an option of the algorithm token-bucket/],
    ["a capacity for GCRA", { ...good, capacity: 2 }, /^capacity is not an option of the algorithm gcra/],
    ["a capacity of zero", { ...bucket, capacity: 0 }, /^capacity must be a whole number from 1/],
    ["a refill of zero", { ...bucket, refill: 0 }, /^refill must be a whole number from 1/],
    ["an interval of zero", { ...bucket, interval: "0 seconds" }, /^interval must be longer than zero/],
    ["numbers that need more than 2^53", { ...good, limit: 999_983, window: "1 day" }, /cannot be counted exactly/],
    [
      "a burst that takes centuries",
      { ...good, limit: 1, window: "300 days", burst: 200 },
      /cannot be counted exactly/
    ],
    [
      "a sliding window that is too fine",
      { ...good, algorithm: "sliding-window", limit: 2 ** 50, window: "1 milli" },
      /cannot be counted exactly/
    ],
    ["another word for an outage", { ...good, onUnavailable: "retry" }, /^onUnavailable must be fail, allow or deny/],
    [
      "no room for denials",
      { ...good, blockLocally: { maxSubjects: 0 } },
      /^blockLocally.maxSubjects must be a whole number/
    ],
    ["a timeout of zero", { ...good, timeout: "0 millis" }, /^timeout must be longer than zero/]
  ]
  for (const [what, options, message] of wrong) {
    plain.effect(`fails with a UsageError that names the option, and sends nothing: ${what}`, () =>
      Effect.gen(function* () {
        const limiter = RedisRateLimiter.make(options as RedisRateLimiter.GcraOptions)
        for (const effect of [
          limiter.take("a"),
          limiter.peek("a"),
          limiter.refund("a", 1),
          limiter.reset("a"),
          limiter.limit("a")(Effect.void)
        ]) {
          const error = yield* Effect.flip(effect)
          expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
          expect(error.message).toMatch(message)
        }
        expect(yield* Effect.flip(RedisRateLimiter.all([limiter]).take("a"))).toMatchObject({ _tag: "UsageError" })
      }).pipe(Effect.provide(sendsNothing))
    )
  }

  plain.effect("limits that are joined need a prefix of their own, and there must be one", () =>
    Effect.gen(function* () {
      const { all, make } = RedisRateLimiter
      const refused = (limiter: RedisRateLimiter.RedisRateLimiter) => Effect.flip(limiter.take("a"))
      expect((yield* refused(all([]))).message).toBe("at least one limiter is needed")
      expect((yield* refused(all([make(good), make({ ...good, limit: 6 })]))).message).toMatch(/same prefix, p:/)
      expect((yield* refused(all([make(good), {} as never]))).message).toBe("all takes a list of limiters")
    }).pipe(Effect.provide(sendsNothing))
  )

  plain.effect("a cost, a subject or a way to wait that cannot be fails before anything is sent", () =>
    Effect.gen(function* () {
      const limiter = RedisRateLimiter.make(good)
      for (const cost of [0, -1, 1.5, Number.NaN, 6]) {
        expect((yield* Effect.flip(limiter.take("a", { cost }))).message).toBe(
          "cost must be a whole number from 1 to 5, which is the most that can be taken at once"
        )
        expect(yield* Effect.flip(limiter.peek("a", { cost }))).toMatchObject({ reason: "invalidArgument" })
        expect((yield* Effect.flip(limiter.refund("a", cost))).message).toMatch(/^the amount of a refund must be/)
      }
      for (const subject of ["", 7 as never, "a\ud800"]) {
        expect(yield* Effect.flip(limiter.take(subject))).toMatchObject({
          _tag: "UsageError",
          reason: "invalidArgument"
        })
        expect(yield* Effect.flip(limiter.reset(subject))).toMatchObject({
          _tag: "UsageError",
          reason: "invalidArgument"
        })
      }
      const limited = (options: object) => Effect.flip(limiter.limit("a", options)(Effect.void))
      expect((yield* limited({ onExceeded: "drop" })).message).toBe("onExceeded must be fail or wait")
      expect((yield* limited({ upTo: "1 second" })).message).toBe('upTo is for onExceeded: "wait"')
      expect((yield* limited({ onExceeded: "wait", upTo: 5 })).message).toMatch(/^upTo must be a duration/)
    }).pipe(Effect.provide(sendsNothing))
  )
})

describe("the numbers of a limiter", () => {
  const decision = {
    limit: 100,
    remaining: 0,
    retryAfter: Duration.millis(1200),
    resetAfter: Duration.millis(59_001)
  }

  plain("become headers in whole seconds, rounded up; Retry-After is of denials only", () => {
    expect(RedisRateLimiter.headers(decision)).toEqual({
      "RateLimit-Limit": "100",
      "RateLimit-Remaining": "0",
      "RateLimit-Reset": "60",
      "Retry-After": "2"
    })
    expect(RedisRateLimiter.headers({ ...decision, retryAfter: Duration.zero })).not.toHaveProperty("Retry-After")
  })

  plain("are in the error, which can be sent to another process", () => {
    const error = new RedisRateLimiter.RateLimitExceeded({ limiter: "api", ...decision })
    expect(error.message).toBe("The rate limit api is exceeded; it allows this again in 2 s")
    const wire = JSON.stringify(Schema.encodeSync(RedisRateLimiter.RateLimitExceeded)(error))
    const again = Schema.decodeUnknownSync(RedisRateLimiter.RateLimitExceeded)(JSON.parse(wire))
    expect(again.message).toBe(error.message)
    expect(millis(again.resetAfter)).toBe(59_001)
    expect(RedisRateLimiter.headers(again)).toEqual(RedisRateLimiter.headers(error))
  })

  plain("are counted by the server's clock", () => {
    for (const operation of ["take", "peek", "refund"] as const) {
      expect(sourceOf(["bucket"], operation)).toContain(serverClock.now)
    }
    expect(serverClock.now).toContain('redis.call("TIME")')
  })
})

eachServer((it, { connect, protocol }) => {
  for (const algorithm of algorithms) {
    it.scoped(`${algorithm}: allows what is left and no more, and says what is left and when it comes back`, () =>
      Effect.gen(function* () {
        const run = on(yield* connect())
        const limiter = slowly(fresh())[algorithm]
        const first = yield* run(limiter.take("s"))
        expect(first).toMatchObject({ allowed: true, limit: 3, remaining: 2, source: "server" })
        expect(millis(first.retryAfter)).toBe(0)
        expect(millis(first.resetAfter)).toBeGreaterThan(0)
        expect(yield* run(limiter.take("s", { cost: 3 }))).toMatchObject({ allowed: false, remaining: 2 })
        expect(yield* run(limiter.take("s", { cost: 2 }))).toMatchObject({ allowed: true, remaining: 0 })
        const denied = yield* run(limiter.take("s"))
        expect(denied).toMatchObject({ allowed: false, remaining: 0, source: "server" })
        expect(millis(denied.retryAfter)).toBeGreaterThan(0)
        expect(millis(denied.retryAfter)).toBeLessThanOrEqual(millis(denied.resetAfter))
        expect(yield* run(limiter.take("another"))).toMatchObject({ allowed: true, remaining: 2 })
      })
    )

    it.scoped(
      `${algorithm}: a denial and a peek write nothing, and every state has a TTL that lasts until it is full`,
      () =>
        Effect.gen(function* () {
          const run = on(yield* connect())
          const prefix = fresh()
          const limiter = slowly(prefix)[algorithm]
          const key = keyOf(prefix, "s", algorithm)
          const { resetAfter } = yield* run(limiter.take("s", { cost: 3 }))
          const ttl = Number(yield* run(Redis.execute("PTTL", key)))
          // The key was read a little later.
          expect(ttl).toBeGreaterThan(millis(resetAfter) - 30_000)
          expect(ttl).toBeLessThanOrEqual(Math.ceil(millis(resetAfter)))
          const changes = Effect.map(run(Redis.execute("INFO", "persistence")), (info) =>
            Number(/rdb_changes_since_last_save:(\d+)/.exec(String(info))?.[1])
          )
          const before = yield* changes
          for (let i = 0; i < 5; i++) {
            expect((yield* run(limiter.take("s"))).allowed).toBe(false)
            expect((yield* run(limiter.peek("s"))).allowed).toBe(false)
            expect((yield* run(limiter.peek("untouched"))).remaining).toBe(3)
          }
          expect(yield* changes).toBe(before)
          expect(yield* run(Redis.exists(keyOf(prefix, "untouched", algorithm)))).toBe(0)
        })
    )

    it.scoped(`${algorithm}: a refund gives back what was taken and no more, and a reset forgets everything`, () =>
      Effect.gen(function* () {
        const run = on(yield* connect())
        const prefix = fresh()
        const limiter = slowly(prefix)[algorithm]
        const key = keyOf(prefix, "s", algorithm)
        yield* run(limiter.refund("s", 2))
        expect(yield* run(Redis.exists(key))).toBe(0)
        yield* run(limiter.take("s", { cost: 2 }))
        yield* run(limiter.refund("s", 1))
        expect(yield* run(limiter.peek("s"))).toMatchObject({ allowed: true, remaining: 2 })
        expect(Number(yield* run(Redis.execute("PTTL", key)))).toBeGreaterThan(0)
        yield* run(limiter.refund("s", 3))
        expect(yield* run(limiter.peek("s"))).toMatchObject({ allowed: true, remaining: 3 })
        yield* run(limiter.take("s", { cost: 3 }))
        yield* run(limiter.reset("s"))
        expect(yield* run(limiter.take("s"))).toMatchObject({ allowed: true, remaining: 2 })
      })
    )

    it.scoped(
      `${algorithm}: a key that holds something else is a typed error, and is left as it is until a reset`,
      () =>
        Effect.gen(function* () {
          const run = on(yield* connect())
          const prefix = fresh()
          const limiter = slowly(prefix)[algorithm]
          const key = keyOf(prefix, "s", algorithm)
          const isLog = algorithm === "sliding-log"
          const doubles = (first: number) =>
            Uint8Array.from(
              [first, ...(algorithm === "sliding-window" ? [1, 1, 1, 1] : [1, 1])].flatMap((number) => {
                const bytes = new DataView(new ArrayBuffer(8))
                bytes.setFloat64(0, number)
                return [...new Uint8Array(bytes.buffer)]
              })
            )
          const strings = [
            ...["", "x", "1 2 3", "7".repeat(24), "7".repeat(40), "7".repeat(200)],
            ...[-1, 1.5, Number.NaN, Infinity, -Infinity, 2 ** 53, 1e300].map(doubles)
          ]
          const sets: ReadonlyArray<ReadonlyArray<readonly [member: string, score: number]>> = [
            [["a", 1]],
            [["a", -1]],
            [["3 3600000000", -1]],
            [
              ["3 3600000000", -1],
              ["b", 5]
            ],
            [
              ["3 3600000000", -2],
              ["0000000000000001", 5]
            ],
            [
              ["3 3600000000", -1],
              ["0000000000000001", 1e300]
            ]
          ]
          const others: ReadonlyArray<readonly [code: string, put: RedisCommand.RedisCommand<unknown>]> = [
            ["WRONGTYPE", isLog ? Redis.set(key, "1 2 3") : Redis.zadd(key, [["3 3600000000", -1]])],
            ["WRONGTYPE", Redis.rpush(key, ["1"])],
            ...(isLog
              ? sets.map((members) => ["BADSTATE", Redis.zadd(key, members)] as const)
              : strings.map(
                  (text) =>
                    [
                      "BADSTATE",
                      RedisCommand.make("SET", { args: [RedisCommand.key(key), RedisCommand.value(text)] })
                    ] as const
                ))
          ]
          for (const [code, put] of others) {
            yield* run(Redis.del(key))
            yield* run(put)
            const before = yield* run(Redis.dump(key))
            const patient = RedisRateLimiter.make({ prefix, limit: 3, window: "1 hour", onUnavailable: "allow" })
            const asked = [limiter.take("s"), limiter.peek("s"), limiter.refund("s", 1)]
            for (const effect of algorithm === "gcra" ? [...asked, patient.take("s")] : asked) {
              expect(yield* Effect.flip(run(effect))).toMatchObject({ _tag: "ReplyError", code })
            }
            expect(yield* run(Redis.dump(key))).toEqual(before)
            yield* run(limiter.reset("s"))
            expect(yield* run(limiter.take("s"))).toMatchObject({ allowed: true, remaining: 2 })
          }
        })
    )

    it.scoped(`${algorithm}: SCRIPT FLUSH in between loses no take and counts none twice`, () =>
      Effect.gen(function* () {
        const redis = yield* connect()
        const run = on(redis)
        const prefix = fresh()
        const limiter = {
          gcra: RedisRateLimiter.make({ prefix, limit: 300, window: "1 hour" }),
          "token-bucket": RedisRateLimiter.make({
            prefix,
            algorithm: "token-bucket",
            capacity: 300,
            refill: 1,
            interval: "1 hour"
          }),
          "fixed-window": RedisRateLimiter.make({ prefix, algorithm: "fixed-window", limit: 300, window: "1 hour" }),
          "sliding-window": RedisRateLimiter.make({ prefix, algorithm: "sliding-window", limit: 300, window: "1 day" }),
          "sliding-log": RedisRateLimiter.make({ prefix, algorithm: "sliding-log", limit: 300, window: "1 hour" })
        }[algorithm]
        const decisions = yield* Effect.forEach(
          Array.from({ length: 500 }, (_, i) => i),
          (i) => Effect.zipRight(i % 25 === 0 ? run(Redis.scriptFlush()) : Effect.void, run(limiter.take("s"))),
          { concurrency: 50 }
        )
        const allowed = decisions.filter(({ allowed }) => allowed)
        // GCRA gives one back every twelve seconds, which a busy machine may take.
        expect(allowed.length).toBeGreaterThanOrEqual(300)
        expect(allowed.length).toBeLessThanOrEqual(algorithm === "gcra" ? 303 : 300)
      })
    )
  }

  it.scoped("several limits are charged together, or none of them", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const prefix = fresh()
      const wide = RedisRateLimiter.make({ prefix: `${prefix}:wide`, limit: 10, window: "1 day" })
      const narrow = RedisRateLimiter.make({
        prefix: `${prefix}:narrow`,
        algorithm: "fixed-window",
        limit: 2,
        window: "1 hour"
      })
      const log = RedisRateLimiter.make({
        prefix: `${prefix}:log`,
        algorithm: "sliding-log",
        limit: 5,
        window: "1 hour"
      })
      const both = RedisRateLimiter.all([wide, RedisRateLimiter.all([narrow, log])])
      const first = yield* run(both.take("s"))
      expect(first).toMatchObject({ allowed: true, limiter: `${prefix}:narrow`, limit: 2, remaining: 1 })
      expect(first.each.map(({ remaining }) => remaining)).toEqual([9, 1, 4])
      yield* run(both.take("s"))
      const denied = yield* run(both.take("s"))
      expect(denied).toMatchObject({ allowed: false, limiter: `${prefix}:narrow`, remaining: 0 })
      expect(denied.each.map(({ allowed, remaining }) => [allowed, remaining])).toEqual([
        [true, 8],
        [false, 0],
        [true, 3]
      ])
      expect((yield* run(wide.peek("s"))).remaining).toBe(8)
      expect((yield* run(log.peek("s"))).remaining).toBe(3)
      yield* run(both.refund("s", 1))
      expect((yield* run(both.peek("s"))).each.map(({ remaining }) => remaining)).toEqual([9, 1, 4])
      yield* run(both.reset("s"))
      expect((yield* run(both.peek("s"))).each.map(({ remaining }) => remaining)).toEqual([10, 2, 5])
      // No more than the narrowest could ever allow.
      expect(yield* Effect.flip(run(both.take("s", { cost: 3 })))).toMatchObject({ _tag: "UsageError" })
    })
  )

  it.scoped("limits that deny together name the one that denies longest", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const prefix = fresh()
      const hour = RedisRateLimiter.make({
        prefix: `${prefix}:hour`,
        algorithm: "fixed-window",
        limit: 1,
        window: "1 hour"
      })
      const day = RedisRateLimiter.make({
        prefix: `${prefix}:day`,
        algorithm: "fixed-window",
        limit: 1,
        window: "1 day"
      })
      const both = RedisRateLimiter.all([hour, day])
      yield* run(both.take("s"))
      const denied = yield* run(both.take("s"))
      expect(denied.limiter).toBe(`${prefix}:day`)
      expect(millis(denied.retryAfter)).toBeGreaterThan(23 * 3_600_000)
    })
  )

  it.scoped("subjects that look alike or break hash tags are told apart, each in one slot", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const prefix = fresh()
      const one = RedisRateLimiter.make({
        prefix: `${prefix}:one`,
        algorithm: "fixed-window",
        limit: 2,
        window: "1 hour"
      })
      const two = RedisRateLimiter.make({ prefix: `${prefix}:two`, limit: 2, window: "1 hour" })
      const both = RedisRateLimiter.all([one, two])
      const subjects = ["}", "\\}", "\\\\}", "\\", "{", "{}", "}{", "a", "a}", "a}b", "{a}", " ", "ü", "\n", "a:b"]
      for (const subject of subjects) {
        expect([subject, (yield* run(both.take(subject, { cost: 2 }))).allowed]).toEqual([subject, true])
      }
      const keys = (yield* run(Redis.keys(`${prefix}:*`))).map(String)
      expect(keys.length).toBe(2 * subjects.length)
      const slots = (part: string) =>
        keys
          .filter((key) => key.includes(part))
          .map((key) => slotOf(key))
          .sort()
      expect(slots(":one:")).toEqual(slots(":two:"))
    })
  )

  it.scoped("a prefix around the program applies, and another limiter counts on its own", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const prefix = fresh()
      const limiter = slowly(prefix).gcra
      yield* run(limiter.take("s").pipe(Redis.withPrefix("app:")))
      expect(yield* run(Redis.exists(`app:${keyOf(prefix, "s", "gcra")}`))).toBe(1)
      expect((yield* run(limiter.peek("s"))).remaining).toBe(3)
    })
  )

  it.scoped("numbers that change carry over what is left, at most the new capacity", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      for (const algorithm of ["gcra", "fixed-window", "sliding-window", "sliding-log"] as const) {
        const prefix = fresh()
        const of = (limit: number) => RedisRateLimiter.make({ prefix, algorithm, limit, window: "100 days" } as never)
        yield* run(of(10).take("s", { cost: 4 }))
        expect([algorithm, (yield* run(of(100).peek("s"))).remaining]).toEqual([algorithm, 6])
        expect([algorithm, (yield* run(of(3).take("s"))).remaining]).toEqual([algorithm, 2])
        expect([algorithm, (yield* run(of(100).peek("s"))).remaining]).toEqual([algorithm, 2])
      }
    })
  )

  it.scoped("an Effect runs when its limit allows it, and fails with RateLimitExceeded otherwise", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const prefix = fresh()
      const limiter = slowly(prefix).gcra
      let ran = 0
      const once = Effect.sync(() => ++ran).pipe(limiter.limit("s", { cost: 2 }))
      expect(yield* run(once)).toBe(1)
      const error = yield* Effect.flip(run(once))
      expect(error).toMatchObject({ _tag: "RateLimitExceeded", limiter: prefix, limit: 3, remaining: 1 })
      expect(error.message).not.toContain("s}")
      expect(ran).toBe(1)
      // It is an error like any other of the program.
      expect(yield* run(Effect.catchTag(once, "RateLimitExceeded", () => Effect.succeed("later")))).toBe("later")
    })
  )

  it.scoped("an Effect that waits runs when its turn has come, and not before", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const limiter = RedisRateLimiter.make({ prefix: fresh(), limit: 1, window: "150 millis" })
      const waiting = Effect.sync(() => performance.now()).pipe(limiter.limit("s", { onExceeded: "wait" }))
      const times = yield* run(Effect.all([waiting, waiting, waiting], { concurrency: "unbounded" }))
      const [first = 0, second = 0, third = 0] = [...times].sort((a, b) => a - b)
      // Each reply may be read some milliseconds late, the first one by more than the others.
      expect(third - first).toBeGreaterThan(200)
      expect(second).toBeGreaterThan(first)
    })
  )

  it.scoped("an Effect that may not wait long enough fails at once", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const limiter = slowly(fresh()).gcra
      yield* run(limiter.take("s", { cost: 3 }))
      const started = performance.now()
      const patient = Effect.succeed("ran").pipe(limiter.limit("s", { onExceeded: "wait", upTo: "1 minute" }))
      expect(yield* Effect.flip(run(patient))).toMatchObject({ _tag: "RateLimitExceeded" })
      expect(performance.now() - started).toBeLessThan(30_000)
      // With enough patience it waits.
      const short = RedisRateLimiter.make({ prefix: fresh(), limit: 1, window: "50 millis" })
      yield* run(short.take("s"))
      expect(yield* run(Effect.succeed("ran").pipe(short.limit("s", { onExceeded: "wait", upTo: "1 minute" })))).toBe(
        "ran"
      )
    })
  )

  it.scoped("a waiting Effect that is interrupted ends at once, and takes nothing afterwards", () =>
    Effect.gen(function* () {
      const { run, sent } = spied(yield* connect())
      const limiter = slowly(fresh())["fixed-window"]
      yield* run(limiter.take("s", { cost: 3 }))
      let ran = false
      const body = Effect.sync(() => {
        ran = true
      })
      const asked = sent.length
      const fiber = yield* Effect.fork(run(body.pipe(limiter.limit("s", { onExceeded: "wait" }))))
      yield* Peer.eventually("it was denied, and waits", () => sent.length > asked)
      // The denial has been read when a later command has been.
      yield* run(Redis.ping())
      const exit = yield* interruptAndWait(fiber)
      expect(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)).toBe(true)
      expect(ran).toBe(false)
      yield* run(limiter.reset("s"))
      expect((yield* run(limiter.peek("s"))).remaining).toBe(3)
    })
  )

  it.scoped("after a denial this process denies by itself until it may be allowed again", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const { run, sent } = spied(redis)
      const other = on({ ...redis })
      const limiter = RedisRateLimiter.make({
        prefix: fresh(),
        algorithm: "fixed-window",
        limit: 3,
        window: "1 hour",
        blockLocally: { maxSubjects: 2 }
      })
      const asked = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
        const before = sent.length
        return Effect.map(run(effect), (decision) => [decision, sent.length - before] as const)
      }
      yield* run(limiter.take("a", { cost: 2 }))
      const [first] = yield* asked(limiter.take("a", { cost: 2 }))
      expect(first).toMatchObject({ allowed: false, source: "server" })
      const [again, sentAgain] = yield* asked(limiter.take("a", { cost: 2 }))
      expect(again).toMatchObject({ allowed: false, remaining: 1, source: "blocked" })
      expect(millis(again.retryAfter)).toBeLessThan(millis(first.retryAfter))
      expect(millis(again.retryAfter)).toBeGreaterThan(millis(first.retryAfter) - 60_000)
      expect(sentAgain).toBe(0)
      expect((yield* asked(limiter.take("a", { cost: 3 })))[1]).toBe(0)
      // What costs less may be allowed, and is.
      expect((yield* asked(limiter.take("a")))[0]).toMatchObject({ allowed: true, source: "server" })
      // Another client may have another server.
      expect(yield* other(limiter.take("a", { cost: 2 }))).toMatchObject({ source: "server" })
      // Only so many subjects are remembered, and the oldest is forgotten first.
      for (const subject of ["b", "c"]) {
        yield* run(limiter.take(subject, { cost: 3 }))
        yield* run(limiter.take(subject))
      }
      expect((yield* asked(limiter.take("a", { cost: 2 })))[0].source).toBe("server")
      expect((yield* asked(limiter.take("c")))[0].source).toBe("blocked")
      // A reset and a refund are known here.
      yield* run(limiter.reset("c"))
      expect((yield* asked(limiter.take("c")))[0]).toMatchObject({ allowed: true, source: "server" })
      yield* run(limiter.refund("a", 2))
      expect((yield* asked(limiter.take("a", { cost: 2 })))[0]).toMatchObject({ allowed: true, source: "server" })
    })
  )

  it.scoped("a process that denies by itself asks again when the time has passed", () =>
    Effect.gen(function* () {
      const { run } = spied(yield* connect())
      const limiter = RedisRateLimiter.make({ prefix: fresh(), limit: 1, window: "100 millis", blockLocally: true })
      yield* run(limiter.take("s"))
      const sources = new Set<string>()
      for (let decision = yield* run(limiter.take("s")); !decision.allowed; decision = yield* run(limiter.take("s"))) {
        sources.add(decision.source)
        yield* Effect.sleep("1 millis")
      }
      expect(sources).toContain("blocked")
    })
  )

  if (protocol === 3) {
    it.scoped("a take whose reply is lost is not sent again, unless the limiter is repeatable", () =>
      Effect.gen(function* () {
        const direct = yield* connect()
        const { host, port } = yield* Effect.map(connectedTo(direct), (at) => at)
        const proxy = yield* FaultProxy.make({ target: { host, port } })
        const run = on(yield* connect({ host: proxy.host, port: proxy.port }))
        const options = { prefix: fresh(), limit: 10, window: "100 days" } as const
        const careful = RedisRateLimiter.make(options)
        yield* run(careful.take("s"))
        const cut = proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" })
        yield* cut
        expect(yield* Effect.flip(run(careful.take("s")))).toMatchObject({
          _tag: "ConnectionError",
          delivery: "unknown"
        })
        expect((yield* on(direct)(careful.peek("s"))).remaining).toBe(8)
        yield* run(Redis.ping())
        yield* cut
        const repeatable = RedisRateLimiter.make({ ...options, repeatable: true })
        expect(yield* run(repeatable.take("s"))).toMatchObject({ allowed: true, remaining: 6 })
        yield* run(Redis.ping())
        yield* cut
        expect(yield* run(careful.peek("s"))).toMatchObject({ allowed: true, remaining: 6 })
      })
    )
  }
})

/** Where a client of `eachServer` is connected to. */
const connectedTo = (redis: RedisService) =>
  Effect.sync(() => {
    const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(redis.about?.server ?? "") ?? []
    return { host, port: Number(port) }
  })

describeReal((server) => {
  plain.scopedLive("while the server is away it fails, allows or denies, in the time that it was given", () =>
    Effect.gen(function* () {
      const real = yield* makeServer(server)
      const run = on(
        yield* Redis.make({ host: real.host, port: real.port, reconnect: undefined, replyTimeout: "1 minute" })
      )
      const options = { prefix: fresh(), limit: 3, window: "1 hour", timeout: "100 millis" } as const
      const failing = RedisRateLimiter.make(options)
      const allowing = RedisRateLimiter.make({ ...options, onUnavailable: "allow" })
      const denying = RedisRateLimiter.make({ ...options, onUnavailable: "deny", blockLocally: true })
      expect(yield* run(denying.take("s"))).toMatchObject({ allowed: true, remaining: 2, source: "server" })
      yield* real.kill
      const started = performance.now()
      expect(["ConnectionError", "DeadlineError"]).toContain((yield* Effect.flip(run(failing.take("s"))))._tag)
      expect(yield* run(allowing.take("s"))).toMatchObject({ allowed: true, remaining: 0, source: "unavailable" })
      expect(yield* run(allowing.peek("s"))).toMatchObject({ allowed: true, source: "unavailable" })
      const denied = yield* run(denying.take("s"))
      expect(denied).toMatchObject({ allowed: false, limit: 3, remaining: 0, source: "unavailable" })
      expect(RedisRateLimiter.headers(denied)).toMatchObject({ "Retry-After": "1" })
      const both = RedisRateLimiter.all([failing], { onUnavailable: "allow", timeout: "100 millis" })
      expect((yield* run(both.take("s"))).each).toMatchObject([{ allowed: true, source: "unavailable" }])
      expect(performance.now() - started).toBeLessThan(20_000)
      yield* real.start
      // Denials of an outage are not remembered.
      const back = Effect.repeat(run(denying.take("s")), { until: ({ source }) => source !== "unavailable" })
      expect(yield* back).toMatchObject({ allowed: true, source: "server" })
    })
  )
})

describe("an error of the server", () => {
  const answering = (line: string) =>
    connectTo(
      { onCommand: Peer.greeting(([name]) => (/^EVAL/.test(name ?? "") ? line : "+OK\r\n")) },
      { maxRetries: 0 }
    )
  const options = { prefix: "p", limit: 3, window: "1 hour", onUnavailable: "allow", timeout: "2 seconds" } as const

  for (const line of [
    "-OOM command not allowed when used memory > 'maxmemory'.",
    "-BUSY Redis is busy running a script.",
    "-MISCONF Errors writing to the AOF file"
  ]) {
    plain.scopedLive(`counts as unavailable when it passes: ${line.slice(1, 8)}`, () =>
      Effect.gen(function* () {
        const { run } = yield* answering(`${line}\r\n`)
        expect(yield* run(RedisRateLimiter.make(options).take("s"))).toMatchObject({ source: "unavailable" })
      })
    )
  }

  for (const [line, error] of [
    ["-NOPERM User x has no permissions to run the 'evalsha' command", { _tag: "ReplyError", code: "NOPERM" }],
    ["*4\r\n:1\r\n:2\r\n:0\r\n$1\r\nx", { _tag: "DecodeError" }],
    ["*3\r\n:1\r\n:2\r\n:0", { _tag: "DecodeError" }]
  ] as const) {
    plain.scopedLive(`is an error when it would remain: ${line.slice(1, 7).replaceAll("\r\n", " ")}`, () =>
      Effect.gen(function* () {
        const { run } = yield* answering(`${line}\r\n`)
        expect(yield* Effect.flip(run(RedisRateLimiter.make(options).take("s")))).toMatchObject(error)
      })
    )
  }
})

describeReal((server) => {
  plain.scopedLive("limits on a server that is older than those supported in full", () =>
    Effect.gen(function* () {
      const real = yield* makeServer(server)
      const run = on(yield* Redis.make({ host: real.host, port: real.port }))
      for (const algorithm of algorithms) {
        const limiter = slowly(fresh())[algorithm]
        expect(yield* run(limiter.take("s", { cost: 3 }))).toMatchObject({ allowed: true, remaining: 0 })
        expect(yield* run(limiter.take("s"))).toMatchObject({ allowed: false })
        yield* run(limiter.refund("s", 1))
        expect(yield* run(limiter.peek("s"))).toMatchObject({ allowed: true, remaining: 1 })
        yield* run(limiter.reset("s"))
        expect(yield* run(limiter.peek("s"))).toMatchObject({ remaining: 3 })
      }
    })
  )
}, olderServers)
