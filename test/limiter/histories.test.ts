/**
 * Every algorithm against a plain model: random histories of takes, peeks and refunds, at times that the history gives to the
 * script in place of the server's, with clocks that go back and policies that change.
 *
 * `LIMITER_HISTORIES=100000` runs more than the usual number for each algorithm.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Redis, RedisScript } from "effect-redis-client"
import { expect } from "vitest"
import * as Codec from "../../src/Codec.js"
import { type Clock, serverClock, sourceOf } from "../../src/internal/limiter/lua.js"
import { policyOf } from "../../src/internal/limiter/policy.js"
import type { Reply } from "../../src/Resp.js"
import { eachServer, on } from "../support/client.js"
import { type Algorithm, type Answer, type Policy, Subject } from "./model.js"

/** The number of histories, and of takes, peeks and refunds in each. */
const histories = Number(process.env.LIMITER_HISTORIES ?? 150)
const steps = 14

/** Random numbers that come again with the same seed. */
const randomOf = (seed: number) => {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const below = (n: number) => Math.floor(next() * n)
  return {
    below,
    chance: (part: number) => next() < part,
    pick: <A>(all: ReadonlyArray<A>) => all[below(all.length)] as A
  }
}

type Random = ReturnType<typeof randomOf>

/** In microseconds. */
const windows = [1_000, 7_000_001, 60_000_000, 1_000_001, 3_600_000_000, 86_400_000_000, 997_000_000]

const randomPolicy = (algorithm: Algorithm, random: Random): Policy => {
  const limit = BigInt(random.pick([1, 2, 3, 5, 7, 10, 16, 100, random.chance(0.2) ? 1_000_000 : 12]))
  const window = BigInt(random.pick(windows))
  const isBucket = algorithm === "gcra" || algorithm === "token-bucket"
  return {
    algorithm,
    limit,
    window,
    capacity: isBucket && random.chance(0.5) ? BigInt(1 + random.below(20)) : limit
  }
}

/** What the module makes of the same numbers. */
const numbersOf = ({ algorithm, capacity, limit, window }: Policy): ReadonlyArray<string> => {
  const duration = Duration.micros(window)
  const common = { prefix: "p" }
  const checked = policyOf(
    algorithm === "gcra"
      ? { ...common, algorithm, limit: Number(limit), window: duration, burst: Number(capacity) }
      : algorithm === "token-bucket"
        ? { ...common, algorithm, capacity: Number(capacity), refill: Number(limit), interval: duration }
        : { ...common, algorithm, limit: Number(limit), window: duration }
  )
  return Either.getOrThrow(checked).numbers
}

/** The last argument is the time, and keys are kept for an hour longer than the server would. */
const clock: Clock = {
  now: "local now = tonumber(ARGV[#ARGV])",
  ttl: (micros) => `${serverClock.ttl(micros)} + 3600000`
}

const kindOf = {
  gcra: "bucket",
  "token-bucket": "bucket",
  "fixed-window": "fixed",
  "sliding-window": "sliding",
  "sliding-log": "log"
} as const

interface Step {
  readonly does: "take" | "peek" | "refund"
  readonly policy: Policy
  readonly now: bigint
  readonly count: bigint
  readonly expected: Answer | undefined
}

/** A history of one subject, with what the model says to it. */
const historyOf = (algorithm: Algorithm, seed: number): ReadonlyArray<Step> => {
  const random = randomOf(seed)
  const subject = new Subject()
  const changes = random.chance(0.4)
  const goesBack = random.chance(0.4)
  const history: Array<Step> = []
  let policy = randomPolicy(algorithm, random)
  let now = 1_764_000_000_000_000n + BigInt(random.below(1_000_000_000))
  let last: Answer | undefined
  for (let i = 0; i < steps; i++) {
    if (changes && random.chance(0.2)) {
      policy = randomPolicy(algorithm, random)
    }
    const { capacity, limit, window } = policy
    const some = (most: bigint) => BigInt(random.below(Number(most) + 1))
    // Often exactly when the last answer said that something changes, or a microsecond before that.
    now += random.pick([
      0n,
      1n,
      some(window / limit + 1n),
      some(window),
      some(2n * window),
      window,
      last?.retry ?? 0n,
      last === undefined || last.retry === 0n ? 0n : last.retry - 1n,
      last?.reset ?? 0n,
      last === undefined || last.reset === 0n ? 0n : last.reset - 1n
    ])
    if (goesBack && random.chance(0.25)) {
      now -= some(random.pick([10n, window / 2n, 3n * window]))
    }
    const count = random.chance(0.5) ? 1n : 1n + some(capacity - 1n)
    const does = random.pick(["take", "take", "take", "take", "peek", "refund"] as const)
    if (does === "refund") {
      subject.refund(policy, now, count)
      history.push({ does, policy, now, count, expected: undefined })
    } else {
      last = subject[does](policy, now, count)
      history.push({ does, policy, now, count, expected: last })
    }
  }
  return history
}

const read = (reply: Reply): Answer | undefined => {
  if (!Array.isArray(reply)) {
    return undefined
  }
  const [allowed, remaining, retry, reset] = reply as ReadonlyArray<number>
  return {
    allowed: allowed === 1,
    remaining: BigInt(remaining as number),
    retry: BigInt(retry as number),
    reset: BigInt(reset as number)
  }
}

const shown = (history: ReadonlyArray<Step>): string =>
  history
    .map(
      ({ count, does, expected, now, policy: { algorithm, capacity, limit, window } }) =>
        `${does} ${count} at ${now} of ${algorithm} ${limit}/${window}/${capacity}: ` +
        (expected === undefined ? "" : `${expected.allowed} ${expected.remaining} ${expected.retry} ${expected.reset}`)
    )
    .join("\n")

eachServer((it, { connect, protocol }) => {
  for (const algorithm of ["gcra", "token-bucket", "fixed-window", "sliding-window", "sliding-log"] as const) {
    it.scoped(
      `${algorithm}: random histories are decided as by the model`,
      () =>
        Effect.gen(function* () {
          const run = on(yield* connect())
          const made = (operation: Step["does"]) =>
            RedisScript.make({
              source: sourceOf([kindOf[algorithm]], operation, clock),
              keys: 1,
              rest: Codec.utf8
            })
          const scripts = { take: made("take"), peek: made("peek"), refund: made("refund") }
          // Each protocol has its half.
          const first = Number(process.env.LIMITER_SEED ?? 1) + (protocol === 2 ? 0 : Math.ceil(histories / 2))
          const end = first + Math.ceil(histories / 2)
          for (let seed = first; seed < end; seed += 100) {
            const seeds = Array.from({ length: Math.min(100, end - seed) }, (_, i) => seed + i)
            const all = seeds.map((seed) => ({ seed, history: historyOf(algorithm, seed) }))
            const commands = all.flatMap(({ history, seed }) =>
              history.map(({ count, does, now, policy }) =>
                scripts[does](`${algorithm}:${seed}`, String(count), ...numbersOf(policy), String(now))
              )
            )
            const replies = (yield* run(Redis.pipeline(commands))).map(read)
            let at = 0
            for (const { history, seed } of all) {
              history.forEach((step, i) => {
                const reply = replies[at++]
                if (step.expected !== undefined) {
                  expect(reply, `seed ${seed}, step ${i}:\n${shown(history.slice(0, i + 1))}`).toEqual(step.expected)
                }
              })
            }
            const ttls = yield* run(Redis.pipeline(seeds.map((seed) => Redis.execute("PTTL", `${algorithm}:${seed}`))))
            expect(ttls.filter((ttl) => ttl === -1)).toEqual([])
            yield* run(Redis.flushall())
          }
        }),
      600_000
    )
  }
})
