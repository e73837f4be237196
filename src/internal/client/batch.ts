/**
 * Pipelines and transactions: a tuple, array or record of commands becomes one request, and its results take the same
 * shape.
 */
import * as Cause from "effect/Cause"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { PipelineError, type RedisError, TransactionError, UsageError } from "../../RedisError.js"
import { arrayOf, type ChunkShape, type DurationWithUnit, type List } from "../command/args.js"
import type { RedisCommand } from "../command/model.js"
import { type BatchOptions, type BatchResult, Redis, TypeId } from "../command/model.js"
import { checkDuration } from "../connection/options.js"
import { withoutStack } from "../effect/errorSchemas.js"

export type BatchCommands = List<RedisCommand<unknown>> | Readonly<Record<string, RedisCommand<unknown>>>

/**
 * What the commands answer, in the shape they were given; a Chunk is answered by an array. (`& {}` makes editors show the
 * answers, not this name.)
 */
export type Results<T extends BatchCommands> = T extends ChunkShape
  ? Array<AnswerOf<T>>
  : { -readonly [K in keyof T]: T[K] extends RedisCommand<infer A> ? A : never } & {}

/** The same with an `Either` in each place. */
export type EitherResults<T extends BatchCommands> = T extends ChunkShape
  ? Array<Either.Either<AnswerOf<T>, RedisError>>
  : { -readonly [K in keyof T]: T[K] extends RedisCommand<infer A> ? Either.Either<A, RedisError> : never } & {}

/** What a pipeline answers: with `mode: "either"` an `Either` in each place. */
export type PipelineResults<T extends BatchCommands, Mode> = Mode extends "either" ? EitherResults<T> : Results<T>

/** How a failed command fails its pipeline; with `mode: "either"` it does not. */
export type PipelineFailure<T extends BatchCommands, Mode> = Mode extends "either"
  ? never
  : PipelineError<EitherResults<T>>

type AnswerOf<T> = T extends Chunk.Chunk<RedisCommand<infer A>> ? A : never

/** Where a command stands: its index, or its key in a record. */
type PlaceInBatch = string | number

/** The commands, in order; a copy, since a program may change its array before the Effect runs. */
const listOf = (commands: BatchCommands): ReadonlyArray<RedisCommand<unknown>> =>
  arrayOf<RedisCommand<unknown>>(commands)?.slice() ?? Object.values(commands ?? {})

const placeOf = (commands: BatchCommands, index: number): PlaceInBatch =>
  arrayOf(commands) === undefined ? (Object.keys(commands)[index] as string) : index

/** Puts values into the shape of the commands. A record made from data may have a key called `__proto__`. */
const shape = (commands: BatchCommands, values: ReadonlyArray<unknown>): unknown => {
  if (arrayOf(commands) !== undefined) {
    return values
  }
  const record: Record<string, unknown> = {}
  Object.keys(commands).forEach((key, i) => {
    Object.defineProperty(record, key, { value: values[i], enumerable: true, configurable: true, writable: true })
  })
  return record
}

/** The values of the commands when all succeeded; otherwise `undefined`. In one pass, since a pipeline may be long. */
const successes = (exits: ReadonlyArray<Exit.Exit<unknown, RedisError>>): ReadonlyArray<unknown> | undefined => {
  const values: Array<unknown> = []
  for (const exit of exits) {
    if (exit._tag === "Failure") {
      return undefined
    }
    values.push(exit.value)
  }
  return values
}

/** A defect of one command (a throw in `map`) is a defect of the whole. */
const toEithers = (
  exits: ReadonlyArray<Exit.Exit<unknown, RedisError>>
): Effect.Effect<ReadonlyArray<Either.Either<unknown, RedisError>>> => {
  const eithers: Array<Either.Either<unknown, RedisError>> = []
  for (const exit of exits) {
    if (Exit.isSuccess(exit)) {
      eithers.push(Either.right(exit.value))
      continue
    }
    const failure = Cause.failureOption(exit.cause)
    if (Option.isNone(failure)) {
      return Effect.failCause(exit.cause as Cause.Cause<never>)
    }
    eithers.push(Either.left(failure.value))
  }
  return Effect.succeed(eithers)
}

interface FirstFailure {
  readonly at: PlaceInBatch
  readonly command: string | undefined
  readonly error: RedisError
}

const firstLeft = (
  source: BatchCommands,
  commands: ReadonlyArray<RedisCommand<unknown>>,
  eithers: ReadonlyArray<Either.Either<unknown, RedisError>>,
  which: (error: RedisError) => boolean = () => true
): FirstFailure | undefined => {
  for (let i = 0; i < eithers.length; i++) {
    const either = eithers[i]
    if (either !== undefined && Either.isLeft(either) && which(either.left)) {
      return { at: placeOf(source, i), command: commands[i]?.name, error: either.left }
    }
  }
  return undefined
}

/**
 * The options for the service. A deadline that is not valid fails the batch when it is run, also an empty batch, and so
 * does what is no command, which only an untyped program can pass.
 */
const asked = (
  source: BatchCommands,
  list: ReadonlyArray<unknown>,
  atomic: boolean,
  deadline: DurationWithUnit | undefined
): Either.Either<BatchOptions, UsageError> =>
  typeof source !== "object" || source === null || !list.every((command) => Predicate.hasProperty(command, TypeId))
    ? Either.left(
        new UsageError({ reason: "invalidArgument", message: "a batch must be a list or a record of commands" })
      )
    : deadline === undefined
      ? atomic
        ? asOne
        : asMany
      : Either.map(checkDuration(deadline, "deadline"), (deadline) => ({ atomic, deadline }))

const asOne = Either.right({ atomic: true })
const asMany = Either.right({ atomic: false })

export const pipeline = (
  commands: BatchCommands,
  options?: {
    readonly mode?: "default" | "either" | undefined
    readonly deadline?: DurationWithUnit | undefined
  }
): Effect.Effect<unknown, RedisError | PipelineError, Redis> => {
  const list = listOf(commands)
  const batch = asked(commands, list, false, options?.deadline)
  if (Either.isLeft(batch)) {
    return Effect.fail(batch.left)
  }
  if (list.length === 0) {
    return Effect.succeed(shape(commands, []))
  }
  return Effect.flatMap(Redis, (redis) =>
    Effect.flatMap(
      redis.sendAll(list, batch.right),
      ({ exits }): Effect.Effect<unknown, RedisError | PipelineError> => {
        const values = options?.mode === "either" ? undefined : successes(exits)
        return values !== undefined
          ? Effect.succeed(shape(commands, values))
          : Effect.flatMap(toEithers(exits), (eithers) => {
              const failure = options?.mode === "either" ? undefined : firstLeft(commands, list, eithers)
              return failure === undefined
                ? Effect.succeed(shape(commands, eithers))
                : Effect.fail(withoutStack(() => new PipelineError({ ...failure, results: shape(commands, eithers) })))
            })
      }
    )
  )
}

export const TransactionTypeId: unique symbol = Symbol.for("effect-redis-client/Redis/Transaction")

/**
 * Commands that are executed as one unit, as a value: it can be yielded, or returned from the body of
 * `Redis.optimistic`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transaction<out A, out E> extends Effect.Effect<A, RedisError | TransactionError<E>, Redis> {
  readonly [TransactionTypeId]: { readonly _A: () => A; readonly _E: () => E }
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
}

/** The result of a transaction; of a union of transactions, the union of their results. */
export type TransactionResult<T> = T extends Transaction<infer A, unknown> ? A : never

/** The `results` of a failed transaction; of a union of transactions, the union of theirs. */
export type TransactionFailure<T> = T extends Transaction<unknown, infer E> ? E : never

class TransactionValue
  extends Effectable.Class<unknown, RedisError | TransactionError, Redis>
  implements Transaction<unknown, unknown>
{
  readonly [TransactionTypeId] = { _A: (): unknown => undefined, _E: (): unknown => undefined }
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
  private readonly batch: Either.Either<BatchOptions, UsageError>

  constructor(
    private readonly source: BatchCommands,
    deadline: DurationWithUnit | undefined
  ) {
    super()
    this.commands = listOf(source)
    this.batch = asked(source, this.commands, true, deadline)
  }

  commit(): Effect.Effect<unknown, RedisError | TransactionError, Redis> {
    const { batch, commands } = this
    if (Either.isLeft(batch)) {
      return Effect.fail(batch.left)
    }
    return commands.length === 0
      ? Effect.succeed(shape(this.source, []))
      : Effect.flatMap(Redis, (redis) =>
          Effect.flatMap(redis.sendAll(commands, batch.right), (result) => this.read(result))
        )
  }

  private read({ exits, outcome }: BatchResult): Effect.Effect<unknown, TransactionError> {
    if (outcome === "conflict") {
      return Effect.fail(withoutStack(() => new TransactionError({ reason: "conflict" })))
    }
    const values = outcome === "executed" ? successes(exits) : undefined
    if (values !== undefined) {
      return Effect.succeed(shape(this.source, values))
    }
    return Effect.flatMap(toEithers(exits), (eithers) => {
      // When a transaction was discarded, the refused command has the reason; the others only have EXECABORT.
      const failure =
        firstLeft(this.source, this.commands, eithers, isRefusal) ?? firstLeft(this.source, this.commands, eithers)
      return Effect.fail(
        withoutStack(
          () =>
            new TransactionError({
              reason: outcome === "executed" ? "failed" : outcome,
              ...failure,
              results: shape(this.source, eithers)
            })
        )
      )
    })
  }
}

const isRefusal = (error: RedisError): boolean => error._tag !== "ReplyError" || error.code !== "EXECABORT"

export const transaction = (
  commands: BatchCommands,
  options?: { readonly deadline?: DurationWithUnit | undefined }
): Transaction<unknown, unknown> => new TransactionValue(commands, options?.deadline)
