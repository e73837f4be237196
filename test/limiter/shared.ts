/** The limiters of processes.test.ts and of its processes. */
import * as RedisRateLimiter from "effect-redis-client/RedisRateLimiter"

export const subject = "shared"

/** In a window of 300 ms. */
export const limit = 60
export const window = 300_000
export const burst = 15

const rest = { limit, window: "300 millis" } as const

export const limiters = [
  ["gcra", RedisRateLimiter.make({ prefix: "gcra", ...rest, burst })],
  [
    "token-bucket",
    RedisRateLimiter.make({
      prefix: "token-bucket",
      algorithm: "token-bucket",
      capacity: burst,
      refill: limit,
      interval: "300 millis"
    })
  ],
  ["fixed-window", RedisRateLimiter.make({ prefix: "fixed-window", algorithm: "fixed-window", ...rest })],
  ["sliding-window", RedisRateLimiter.make({ prefix: "sliding-window", algorithm: "sliding-window", ...rest })],
  ["sliding-log", RedisRateLimiter.make({ prefix: "sliding-log", algorithm: "sliding-log", ...rest })]
] as const
