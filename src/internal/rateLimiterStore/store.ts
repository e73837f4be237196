/** The store of Effect's rate limiter: checks what it is given, and runs the scripts. */
import * as RateLimiter from "@effect/experimental/RateLimiter"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { RedisCommand, RedisService } from "../command/model.js"
import { fixedWindow, tokenBucket } from "./scripts.js"

type Store = Context.Tag.Service<typeof RateLimiter.RateLimiterStore>

const storeError = (message: string, cause?: unknown): RateLimiter.RateLimitStoreError =>
  new RateLimiter.RateLimitStoreError({ message, ...(cause === undefined ? {} : { cause }) })

/** The longest time that is reckoned with exactly: some 140 years. */
const maxMicros = 2 ** 52

export const makeStore = (redis: RedisService, prefix: string): Store => {
  const run = <A>(
    { limit, refillRate, tokens }: { limit: number | undefined; refillRate: Duration.Duration; tokens: number },
    command: (micros: number) => RedisCommand<A>
  ): Effect.Effect<A, RateLimiter.RateLimitStoreError> =>
    Effect.suspend(() => {
      const micros = Duration.toMillis(refillRate) * 1000
      const most = Math.max(Math.abs(tokens), Math.abs(limit ?? 0), 1)
      return !Number.isFinite(tokens) || (limit !== undefined && !Number.isFinite(limit))
        ? Effect.fail(storeError("tokens and limit must be finite numbers"))
        : !(micros >= 0 && micros * most <= maxMicros)
          ? Effect.fail(storeError("the time that all tokens together take must be less than a hundred years"))
          : Effect.mapError(redis.send(command(micros)), (cause) => storeError(cause.message, cause))
    })

  return {
    fixedWindow: (options) =>
      run(options, (micros) =>
        fixedWindow(`${prefix}window:${options.key}`, options.tokens, micros, options.limit ?? "")
      ),
    tokenBucket: (options) =>
      run(options, (micros) =>
        tokenBucket(`${prefix}bucket:${options.key}`, options.tokens, micros, options.limit, options.allowOverflow)
      )
  }
}
