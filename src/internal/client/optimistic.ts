/**
 * What needs a connection of its own for a while: WATCH with its transaction, and writes with their WAIT.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { define, key as keyArgument, make as makeCommand, type RedisCommand, withDeadline } from "../../RedisCommand.js"
import { ConnectionError, PipelineError, type RedisError, TransactionError, UsageError } from "../../RedisError.js"
import { args, type DurationWithUnit, type Key, toList } from "../command/args.js"
import { type Decoder, integer, tuple } from "../command/decode.js"
import { Redis, type RedisService } from "../command/model.js"
import { isPermanent } from "../connection/reconnect.js"
import { type Commands, pipeline, type Transaction } from "./batch.js"

export interface OptimisticOptions {
  /**
   * When to try again after a conflict, or after a connection that ended before EXEC was written. It runs on the
   * program's clock. Default: at most 16 times, from 1 ms doubling up to 100 ms, with jitter.
   */
  readonly schedule?: Schedule.Schedule<unknown, TransactionError | ConnectionError> | undefined
}

const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("1 millis").pipe(
  Schedule.union(Schedule.spaced("100 millis")),
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(16))
)

/** A failure after which the whole is tried again: what to fail with in the end, and why. Only seen in here. */
class Again<E> {
  constructor(
    readonly error: E,
    readonly reason: TransactionError | ConnectionError
  ) {}
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
      const redis = yield* again(
        Effect.flatMap(Redis, (redis) => redis.lease),
        (error) => (isPermanent(error) ? undefined : lost(error))
      )
      yield* again(redis.send(watch), lost)
      // Nested code finds the watched connection under the same tag.
      const transaction = yield* Effect.catchAll(Effect.provideService(body, Redis, watching(redis)), (error) =>
        Effect.matchEffect(redis.send(unwatch), {
          // The connection is as it was and serves the next: this is the body's own failure.
          onSuccess: () => Effect.fail(error),
          // One that ended took WATCH with it.
          onFailure: (ended) => again(Effect.fail(error), (error) => lost(ended) && lost(error))
        })
      )
      if (transaction.commands.length === 0) {
        yield* Effect.ignore(redis.send(unwatch))
      }
      return yield* again(Effect.provideService(transaction, Redis, redis), unexecuted)
    })
  )
  return watched.length === 0
    ? Effect.fail(new UsageError({ reason: "invalidArgument", message: "WATCH needs at least one key" }))
    : Effect.matchEffect(attempt, {
        // What is not tried again leaves the loop as an answer, so that the schedule is asked of nothing else.
        onFailure: (error) => (error instanceof Again ? Effect.fail(error) : Effect.succeed(Effect.fail(error))),
        onSuccess: (result) => Effect.succeed(Effect.succeed(result))
      }).pipe(
        Effect.retry(Schedule.mapInput(options?.schedule ?? defaultSchedule, ({ reason }: Again<unknown>) => reason)),
        Effect.mapError(({ error }) => error),
        Effect.flatten
      )
}

const unwatch = withDeadline(makeCommand("UNWATCH"), "1 second")

/** Fails with `Again` where there is a reason to try again. */
const again = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  reason: (error: E) => TransactionError | ConnectionError | undefined
): Effect.Effect<A, E | Again<E>, R> =>
  Effect.mapError(effect, (error): E | Again<E> => {
    const why = reason(error)
    return why === undefined ? error : new Again(error, why)
  })

/** The end of a connection, if that is what failed. */
const lost = (error: unknown): ConnectionError | undefined =>
  error instanceof ConnectionError ? error : error instanceof PipelineError ? lost(error.error) : undefined

/** Why a transaction was certainly not executed, if trying again may help. What was written may have been executed. */
const unexecuted = (error: RedisError | TransactionError): TransactionError | ConnectionError | undefined =>
  error instanceof TransactionError
    ? error.reason === "conflict"
      ? error
      : undefined
    : error instanceof ConnectionError && error.delivery === "unsent"
      ? error
      : undefined

/** The watched connection as the body sees it: nothing in there ends WATCH. */
const watching = (redis: RedisService): RedisService => {
  const self: RedisService = {
    send: (command) => (endsWatch(command) ? Effect.fail(wouldEndWatch) : redis.send(command)),
    sendAll: (commands, options) =>
      options.atomic || commands.some(endsWatch) ? Effect.fail(wouldEndWatch) : redis.sendAll(commands, options),
    lease: Effect.sync(() => self),
    status: redis.status
  }
  return self
}

const endsWatch = ({ name, traits }: RedisCommand<unknown>): boolean =>
  traits.stateful === "transaction" || name === "UNWATCH" || name === "RESET" || name === "QUIT"

const wouldEndWatch = new UsageError({
  reason: "refusedCommand",
  message: "inside `optimistic` it would end WATCH, and the body's reads would be worth nothing; return the transaction"
})

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

/** Checked before the writes leave: that WAIT was refused would come too late for them. */
const waitFor = ({ aof, replicas, timeout }: ReplicationOptions) => {
  const builder = aof === undefined ? args() : args().integer(aof.local)
  if (replicas < 0) {
    builder.fail("the number of replicas must not be negative")
  }
  builder.integer(replicas).timeoutMillis(timeout)
  return aof === undefined ? WAIT(builder, readWait) : WAITAOF(builder, readWaitAof)
}

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
