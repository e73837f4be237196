/** What the tests of locks and semaphores share: clients that stand for processes, and waiting for conditions. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Redis, type RedisError, type RedisPubSub } from "effect-redis-client"
import type { RedisOptions } from "../../src/Redis.js"
import { quickly } from "../support/client.js"

export type Services = Context.Tag.Identifier<typeof Redis> | Context.Tag.Identifier<typeof RedisPubSub>

/** A client with subscriptions, as a process has one: contenders of two of them do not know each other. */
export interface Process {
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Services>>
  /** The same without subscriptions. */
  readonly deaf: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, Exclude<R, Context.Tag.Identifier<typeof Redis>>>
}

export const processOf = (
  server: { readonly host: string; readonly port: number },
  options: RedisOptions = {}
): Effect.Effect<Process, RedisError.RedisError, Scope.Scope> =>
  Effect.map(
    Layer.build(
      Redis.layer({ host: server.host, port: server.port, reconnect: quickly, replyTimeout: "30 seconds", ...options })
    ),
    (services) => ({
      run: (effect) => Effect.provide(effect, services) as never,
      deaf: (effect) => Effect.provideService(effect, Redis, Context.get(services, Redis)) as never
    })
  )

/** Waits until a condition holds. */
export const poll = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> => {
  const until = performance.now() + 30_000
  const again: Effect.Effect<void, E, R> = Effect.flatMap(condition, (holds) =>
    holds
      ? Effect.void
      : performance.now() > until
        ? Effect.die(new Error(`it never happened: ${what}`))
        : Effect.zipRight(Effect.sleep("5 millis"), again)
  )
  return again
}

/** An Effect that says when it began and how it ended. */
export const watched = () => {
  const seen: { began: number | undefined; ended: number | undefined; interrupted: boolean } = {
    began: undefined,
    ended: undefined,
    interrupted: false
  }
  const body = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      seen.began = performance.now()
      return effect
    }).pipe(
      Effect.onInterrupt(() => Effect.sync(() => (seen.interrupted = true))),
      Effect.ensuring(Effect.sync(() => (seen.ended = performance.now())))
    )
  const begins = poll(
    "it begins",
    Effect.sync(() => seen.began !== undefined)
  )
  return { seen, body, begins }
}
