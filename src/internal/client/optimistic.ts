/**
 * Optimistic transactions: reads under WATCH and their transaction, on one leased connection, until nothing conflicts.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import {
  type ConnectionError,
  isRedisError,
  type PipelineError,
  type RedisError,
  type TransactionError,
  UsageError
} from "../../RedisError.js"
import { type Key, type OneOrMany, toList } from "../command/args.js"
import { withDeadline } from "../command/command.js"
import { Redis, type RedisCommand, type RedisService } from "../command/model.js"
import { key as keyArgument, make as makeCommand } from "../command/raw.js"
import { endsWatch } from "../connection/session.js"
import { defaultConflict, ofInput } from "../effect/schedule.js"
import { isPermanent } from "../request/recovery.js"
import type { Transaction } from "./batch.js"
import { isOutside } from "./under.js"

export interface OptimisticOptions {
  /**
   * When to try again after a conflict, or after a connection that ended before EXEC was written. It runs on the
   * program's clock. Default: at most 16 times, from 1 ms doubling up to 100 ms, with jitter.
   */
  readonly schedule?: Schedule.Schedule<unknown, TransactionError | ConnectionError> | undefined
}

/** A failure after which the whole is tried again, with its reason. It never leaves this file. */
class Again<E> {
  constructor(
    readonly error: E,
    readonly reason: TransactionError | ConnectionError
  ) {}
}

export const optimistic = <A, E2, E, R>(
  keys: OneOrMany<Key>,
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
          // The connection can serve the next borrower, so this is the body's own failure.
          onSuccess: () => Effect.fail(error),
          // The connection ended, and WATCH with it.
          onFailure: (ended) => again(Effect.fail(error), (error) => lost(ended) && lost(error))
        })
      )
      const refusal = isOutside(transaction) ? madeElsewhere() : undefined
      if (transaction.commands.length === 0 || refusal !== undefined) {
        yield* Effect.ignore(redis.send(unwatch))
      }
      if (refusal !== undefined) {
        return yield* refusal
      }
      return yield* again(Effect.provideService(transaction, Redis, redis), unexecuted)
    })
  )
  return watched.length === 0
    ? Effect.fail(new UsageError({ reason: "invalidArgument", message: "WATCH needs at least one key" }))
    : Effect.matchEffect(attempt, {
        // A final failure leaves the loop as a success, so that the schedule is only asked about failures to try again.
        onFailure: (error) => (error instanceof Again ? Effect.fail(error) : Effect.succeed(Effect.fail(error))),
        onSuccess: (result) => Effect.succeed(Effect.succeed(result))
      }).pipe(
        Effect.retry(ofInput(options?.schedule ?? defaultConflict, ({ reason }: Again<unknown>) => reason)),
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

/**
 * The end of a connection, if that is what failed. The client, the body and its transaction may be of different copies of
 * this package, so errors are recognised by their ids and tags.
 */
const lost = (error: unknown): ConnectionError | undefined =>
  isRedisError(error)
    ? error._tag === "ConnectionError"
      ? error
      : undefined
    : Predicate.isTagged(error, "PipelineError")
      ? lost((error as PipelineError).error)
      : undefined

/** Why a transaction was certainly not executed, when trying again may help. A written one may have been executed. */
const unexecuted = (error: RedisError | TransactionError): TransactionError | ConnectionError | undefined =>
  error._tag === "TransactionError"
    ? error.reason === "conflict"
      ? error
      : undefined
    : error._tag === "ConnectionError" && error.delivery === "unsent"
      ? error
      : undefined

/** The watched connection as the body sees it: commands that would end WATCH are refused. */
const watching = (redis: RedisService): RedisService => {
  const self: RedisService = {
    send: (command) => (mayEndWatch(command) ? Effect.fail(wouldEndWatch()) : redis.send(command)),
    sendAll: (commands, options) =>
      options.atomic || commands.some(mayEndWatch) ? Effect.fail(wouldEndWatch()) : redis.sendAll(commands, options),
    lease: Effect.sync(() => self),
    status: redis.status,
    about: redis.about
  }
  return self
}

const mayEndWatch = (command: RedisCommand<unknown>): boolean =>
  command.traits.stateful === "transaction" || endsWatch(command) || command.traits.session === "quit"

const wouldEndWatch = (): UsageError =>
  new UsageError({
    reason: "refusedCommand",
    message:
      "inside `optimistic` it would end WATCH, and the body's reads would be worth nothing; return the transaction"
  })

const madeElsewhere = (): UsageError =>
  new UsageError({
    reason: "refusedCommand",
    message:
      "the body of `optimistic` returned its transaction through `withPrefix` or `using`, which would not apply to the " +
      "transaction and the watched keys; put them around `optimistic`, or around single reads"
  })
