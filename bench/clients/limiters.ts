/**
 * Rate limiters. The rivals work over ioredis: `rate-limiter-flexible` is made for it, and @upstash/ratelimit, which is made for
 * HTTP, gets the two methods that it uses. Both are at their fastest: no timer for each decision, nothing kept in the process.
 */
import { createHash } from "node:crypto"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { Redis } from "effect-redis-client"
import { effects } from "../runners.js"
import type { Place, Runner, Work } from "../work.js"
import { load, type Rival } from "./rival.js"

export type Limit = Extract<Work, { readonly op: "limit" }>

/** The subjects, in turn. */
const inTurn = (work: Limit): (() => string) => {
  const subjects = Array.from({ length: work.subjects }, (_, i) => `user:${i}`)
  let at = 0
  return () => subjects[at++ % subjects.length] as string
}

const seconds = 3600

export const limiter = async (place: Place, work: Limit): Promise<Runner> => {
  // Sources of before the limiter can be measured by the other rows.
  const RedisRateLimiter = await import("effect-redis-client/RedisRateLimiter")
  const { algorithm, limit } = work
  const made = RedisRateLimiter.make(
    algorithm === "token-bucket"
      ? { prefix: "bench", algorithm, capacity: limit, interval: `${seconds} seconds` }
      : { prefix: "bench", algorithm, limit, window: `${seconds} seconds` }
  )
  const runtime = ManagedRuntime.make(Redis.layer({ host: place.host, port: place.port }))
  await runtime.runtime()
  const next = inTurn(work)
  return effects(
    () => made.take(next()),
    (effect) => runtime.runPromise(effect),
    () => runtime.dispose()
  )
}

interface Client {
  on(event: "error", listener: (error: unknown) => void): void
  connect(): Promise<void>
  disconnect(): void
  evalsha(sha: string, keys: number, ...args: ReadonlyArray<unknown>): Promise<unknown>
  eval(script: string, keys: number, ...args: ReadonlyArray<unknown>): Promise<unknown>
}

const connected = async ({ home, host, port }: Place): Promise<Client> => {
  const { Redis } = load<{ readonly Redis: new (options: object) => Client }>({ home, host, port }, "ioredis")
  const client = new Redis({ host, port, lazyConnect: true })
  client.on("error", () => {})
  await client.connect()
  return client
}

const rival = (client: Client, take: (work: Limit) => (() => Promise<unknown>) | undefined): Rival => ({
  operation: (work) => (work.op === "limit" ? take(work) : undefined),
  close: async () => client.disconnect()
})

export const flexible = async (place: Place): Promise<Rival> => {
  const { RateLimiterRedis } = load<{
    readonly RateLimiterRedis: new (options: object) => { consume(key: string): Promise<unknown> }
  }>(place, "rate-limiter-flexible")
  const client = await connected(place)
  return rival(client, (work) => {
    if (work.algorithm !== "fixed-window") {
      return undefined
    }
    const made = new RateLimiterRedis({
      storeClient: client,
      points: work.limit,
      duration: seconds,
      keyPrefix: "flexible"
    })
    const next = inTurn(work)
    // A denial is a rejection, and a decision all the same.
    return () => made.consume(next()).catch((denial: unknown) => denial)
  })
}

interface Upstash {
  readonly Ratelimit: {
    new (options: object): { limit(key: string): Promise<unknown> }
    fixedWindow(tokens: number, window: string): object
    slidingWindow(tokens: number, window: string): object
    tokenBucket(refill: number, interval: string, most: number): object
  }
}

export const upstash = async (place: Place): Promise<Rival> => {
  const { Ratelimit } = load<Upstash>(place, "@upstash/ratelimit")
  const client = await connected(place)
  // Upstash's servers know a flag in the first line of scripts that Redis refuses, so the scripts go without it.
  const held = new Map<string, string>()
  const sha1 = (script: string) => createHash("sha1").update(script).digest("hex")
  const redis = {
    evalsha: (sha: string, keys: ReadonlyArray<string>, args: ReadonlyArray<unknown>) => {
      const known = held.get(sha)
      return known === undefined
        ? Promise.reject(new Error("NOSCRIPT"))
        : client.evalsha(known, keys.length, ...keys, ...args)
    },
    eval: (script: string, keys: ReadonlyArray<string>, args: ReadonlyArray<unknown>) => {
      const plain = script.replace(/^\s*#!.*\n/, "")
      held.set(sha1(script), sha1(plain))
      return client.eval(plain, keys.length, ...keys, ...args)
    }
  }
  return rival(client, ({ algorithm, limit, ...rest }) => {
    const window = `${seconds} s`
    const made = new Ratelimit({
      redis,
      limiter:
        algorithm === "token-bucket"
          ? Ratelimit.tokenBucket(limit, window, limit)
          : algorithm === "fixed-window"
            ? Ratelimit.fixedWindow(limit, window)
            : Ratelimit.slidingWindow(limit, window),
      prefix: "upstash",
      timeout: 0,
      ephemeralCache: false,
      analytics: false
    })
    const next = inTurn({ algorithm, limit, ...rest })
    return () => made.limit(next())
  })
}
