/**
 * What needs a connection of its own for a while: WATCH with its transaction, and writes with their WAIT.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { define, key as keyArgument, make as makeCommand } from "../RedisCommand.js"
import {
  type ConnectionError,
  type PipelineError,
  type RedisError,
  TransactionError,
  UsageError
} from "../RedisError.js"
import { args, type DurationWithUnit, type Key, toList } from "./args.js"
import { type Commands, pipeline, type Transaction } from "./batch.js"
import { type Decoder, integer, tuple } from "./decode.js"
import { Redis } from "./service.js"

export interface OptimisticOptions {
  /**
   * When to try again after a conflict, or after a reconnect before EXEC. It runs on the program's clock. Default: at
   * most 16 times, from 1 ms doubling, with jitter.
   */
  readonly schedule?: Schedule.Schedule<unknown, TransactionError | ConnectionError> | undefined
}

const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("1 millis").pipe(
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(16))
)

/** A failure after which the whole is tried again. It never leaves `optimistic`. */
class Again {
  readonly _tag = "Again"
  constructor(readonly error: TransactionError | ConnectionError) {}
}

export const optimistic = <A, E2, E, R>(
  keys: Key | ReadonlyArray<Key>,
  body: Effect.Effect<Transaction<A, E2>, E, R>,
  options?: OptimisticOptions
): Effect.Effect<A, E | RedisError | TransactionError<E2>, R | Redis> => {
  const watched = toList(keys)
  const watch = makeCommand("WATCH", { args: watched.map((key) => keyArgument(key)) })
  const attempt = Effect.scoped(
    Effect.gen(function* () {
      const redis = yield* Effect.flatMap(Redis, (redis) => redis.lease)
      yield* again(redis.send(watch), isConnectionError)
      // Nested code finds the watched connection under the same tag. A connection that goes takes WATCH with it.
      const transaction = yield* again(Effect.provideService(body, Redis, redis), isConnectionError)
      if (transaction.commands.length === 0) {
        yield* redis.send(unwatch)
      }
      return yield* again(
        Effect.provideService(transaction, Redis, redis),
        (error): error is TransactionError | ConnectionError =>
          (error instanceof TransactionError && error.reason === "conflict") ||
          // What was written may have been executed.
          (isConnectionError(error) && error.delivery === "unsent")
      )
    })
  )
  return watched.length === 0
    ? Effect.fail(new UsageError({ reason: "invalidArgument", message: "WATCH needs at least one key" }))
    : Effect.catchIf(
        Effect.retry(attempt, {
          while: (error) => error instanceof Again,
          schedule: Schedule.mapInput(options?.schedule ?? defaultSchedule, (error: unknown) => (error as Again).error)
        }),
        (error): error is Again => error instanceof Again,
        ({ error }) => Effect.fail(error as ConnectionError | TransactionError<E2>)
      )
}

const unwatch = makeCommand("UNWATCH")

const isConnectionError = (error: unknown): error is ConnectionError =>
  (error as { readonly _tag?: unknown } | null)?._tag === "ConnectionError"

const again = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  when: (error: unknown) => error is TransactionError | ConnectionError
): Effect.Effect<A, E | Again, R> =>
  Effect.mapError(effect, (error): E | Again => (when(error) ? new Again(error) : error))

export interface ReplicationOptions {
  /** How many replicas should have the writes. */
  readonly replicas: number
  /** Also wait until the writes are in the append-only files, this server's (`local`) and the replicas' (WAITAOF). */
  readonly aof?: { readonly local: 0 | 1 } | undefined
  /** How long to wait for them. The writes stay done when it passes. `Duration.infinity` for ever. */
  readonly timeout: DurationWithUnit
}

export interface Replicated<A> {
  /** What the commands answered, in their shape. */
  readonly results: A
  /** How many replicas have the writes (with `aof`: in their files). */
  readonly replicas: number
  /** With `aof`: how many of this server's own files have them, 0 or 1. */
  readonly local: number
}

export const withReplication = (
  options: ReplicationOptions,
  commands: Commands
): Effect.Effect<Replicated<unknown>, RedisError | PipelineError, Redis> =>
  Effect.scoped(
    Effect.gen(function* () {
      const wait = waitFor(options)
      if (wait.problem !== undefined) {
        return yield* wait.problem
      }
      const redis = yield* Effect.flatMap(Redis, (redis) => redis.lease)
      const results = yield* Effect.provideService(pipeline(commands), Redis, redis)
      return { results, ...(yield* redis.send(wait)) }
    })
  )

const waitFor = ({ aof, replicas, timeout }: ReplicationOptions) =>
  aof === undefined
    ? WAIT(args().integer(replicas).timeoutMillis(timeout), readWait)
    : WAITAOF(args().integer(aof.local).integer(replicas).timeoutMillis(timeout), readWaitAof)

const WAIT = define("WAIT")
const WAITAOF = define("WAITAOF")

interface Reached {
  readonly replicas: number
  readonly local: number
}

const readWait: Decoder<Reached> = (reply) => ({ replicas: integer(reply), local: 0 })

const pair = tuple(integer, integer)
const readWaitAof: Decoder<Reached> = (reply) => {
  const [local, replicas] = pair(reply)
  return { replicas, local }
}
