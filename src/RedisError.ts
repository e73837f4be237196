/**
 * What commands fail with, as one small tagged union: {@link RedisError}. {@link AnyRedisError} adds the errors of
 * pipelines and transactions.
 *
 * Errors contain no value of an argument: messages name the command, the server's code and the reason. The server's own
 * text may repeat arguments, so {@link ReplyError} keeps it as `Redacted`.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Predicate from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import {
  defect,
  type ErrorClass,
  errorClass,
  errorUnion,
  literals,
  path,
  redactedText
} from "./internal/effect/errorSchemas.js"
import { visible } from "./internal/resp/visible.js"

/**
 * The property by which an error of this package is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisError")

/**
 * The property by which an error of this package is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * What is known about a command that failed: `"unsent"` means that the server never received it, `"unknown"` that it
 * was written and may have been executed.
 *
 * @since 0.1.0
 * @category models
 */
export const Delivery = literals("unsent", "unknown")

/**
 * @since 0.1.0
 * @category models
 */
export type Delivery = typeof Delivery.Type

/**
 * What the ACL forbids to the user: to run the command or a command of the script, or to access a key, a channel or a
 * database.
 *
 * @since 0.1.0
 * @category models
 */
export const Denied = literals("command", "key", "channel", "database")

/**
 * @since 0.1.0
 * @category models
 */
export type Denied = typeof Denied.Type

const ReplyErrorBase: ErrorClass<
  ReplyError,
  "ReplyError",
  {
    readonly code: string
    readonly command: string
    readonly message: string
    readonly raw: Redacted.Redacted<string>
    readonly denied?: Denied | undefined
    readonly transient?: boolean | undefined
  },
  {
    readonly code: string
    readonly command: string
    readonly message: string
    readonly raw: string
    readonly denied?: Denied | undefined
    readonly transient?: boolean | undefined
  }
> = errorClass<ReplyError>("effect-redis-client/ReplyError")("ReplyError", () => ({
  code: Schema.String,
  command: Schema.String,
  message: Schema.String,
  raw: redactedText(),
  denied: Schema.optional(Denied),
  transient: Schema.optional(Schema.Boolean)
}))

/**
 * The server answered the command with an error.
 *
 * - `code` is the error's first word (`WRONGTYPE`, `NOAUTH`, `MOVED`, …), or `ERR`.
 * - `message` is the server's text with every argument blanked out. When arguments cannot be told from the rest
 *   (unknown commands, ACL rules, script errors), it is a description instead.
 * - `raw` is the server's text, unchanged.
 * - `denied` is what the user has no permission for, when that is the error: of the command itself (`NOPERM`), or of a
 *   command that its script ran (`ERR`).
 * - `transient` is true when the server refused the command before it executed any of it, and may execute it later: a
 *   server that loads its data, is out of memory, or is a replica. See {@link isRetryable}.
 *
 * @see RESP specification, "Simple errors"
 * @since 0.1.0
 * @category errors
 */
export class ReplyError extends ReplyErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
}

const ProtocolErrorBase: ErrorClass<
  ProtocolError,
  "ProtocolError",
  {
    readonly reason: string
    readonly command?: string | undefined
    /** The server's address. */
    readonly server?: string | undefined
  }
> = errorClass<ProtocolError>("effect-redis-client/ProtocolError")("ProtocolError", () => ({
  reason: Schema.String,
  command: Schema.optional(Schema.String),
  server: Schema.optional(Schema.String)
}))

/**
 * The server sent bytes that are not RESP, or a reply that belongs to no command. The connection is closed, because
 * nothing after that can be trusted.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProtocolError extends ProtocolErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message(): string {
    const { command, reason, server } = this
    const text = `${server === undefined ? "server" : `server ${server}`} broke the protocol: ${reason}`
    return command === undefined ? `The ${text}` : `${command}: the ${text}`
  }
}

/**
 * Why there is no connection.
 *
 * - `connect`: no connection could be opened (refused, unreachable, unknown host).
 * - `tls`: the TLS handshake failed, or only one side uses TLS.
 * - `handshake`: the server refused HELLO, SELECT or another command of the handshake.
 * - `authentication`: the server refused the credentials, or requires some.
 * - `credentials`: the Effect or Stream of the credentials failed, or provided none.
 * - `peerClosed`: the server, or a proxy in between, closed the connection.
 * - `transport`: the socket failed.
 * - `unresponsive`: commands were in flight, and nothing was read for too long.
 * - `protocol`: the connection ended because of a {@link ProtocolError}.
 * - `closed`: this side closed it.
 * - `noNode`: no node of a cluster is known that could be asked.
 *
 * @since 0.1.0
 * @category models
 */
export const ConnectionErrorReason = literals(
  "connect",
  "tls",
  "handshake",
  "authentication",
  "credentials",
  "peerClosed",
  "transport",
  "unresponsive",
  "protocol",
  "closed",
  "noNode"
)

/**
 * @since 0.1.0
 * @category models
 */
export type ConnectionErrorReason = typeof ConnectionErrorReason.Type

const ConnectionErrorBase: ErrorClass<
  ConnectionError,
  "ConnectionError",
  {
    readonly reason: ConnectionErrorReason
    readonly delivery: Delivery
    readonly message: string
    /** The name of the command that failed. Absent where no command did, as when connecting. */
    readonly command?: string | undefined
    /** The server's address: `host:port`, or the path of a unix socket. */
    readonly server?: string | undefined
    readonly cause?: unknown
  }
> = errorClass<ConnectionError>("effect-redis-client/ConnectionError")("ConnectionError", () => ({
  reason: ConnectionErrorReason,
  delivery: Delivery,
  message: Schema.String,
  command: Schema.optional(Schema.String),
  server: Schema.optional(Schema.String),
  cause: Schema.optional(defect)
}))

/**
 * There is no connection, or it ended before the reply arrived. `delivery` says whether the command may have been
 * executed. The `message` of a command's failure also names the command, the server and the delivery.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConnectionError extends ConnectionErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
}

const DeadlineErrorBase: ErrorClass<
  DeadlineError,
  "DeadlineError",
  {
    readonly phase: "connect" | "acquire" | "queue" | "reply"
    readonly delivery: Delivery
    /** The time that was allowed, in milliseconds. */
    readonly milliseconds: number
    readonly command?: string | undefined
    /** The server's address, where one was chosen. */
    readonly server?: string | undefined
    /** How far the operation got, when that helps to find the cause. */
    readonly hint?: string | undefined
  }
> = errorClass<DeadlineError>("effect-redis-client/DeadlineError")("DeadlineError", () => ({
  phase: literals("connect", "acquire", "queue", "reply"),
  delivery: Delivery,
  /** The time that was allowed, in milliseconds. */
  milliseconds: Schema.Number,
  command: Schema.optional(Schema.String),
  server: Schema.optional(Schema.String),
  /** How far the operation got, when that helps to find the cause. */
  hint: Schema.optional(Schema.String)
}))

/**
 * A deadline passed. `phase` says which: connecting (`connect`), waiting for a connection of the pool (`acquire`),
 * waiting to be sent (`queue`), or waiting for the reply (`reply`).
 *
 * @since 0.1.0
 * @category errors
 */
export class DeadlineError extends DeadlineErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message(): string {
    const { command, delivery, hint, milliseconds, phase, server } = this
    const of = command === undefined ? "" : ` of ${command}`
    const at = server === undefined ? "" : `server: ${server}, `
    const how = hint === undefined ? "" : `: ${hint}`
    return `The ${phase} deadline${of} passed after ${milliseconds} ms (${at}delivery: ${delivery})${how}`
  }
}

const DecodeErrorBase: ErrorClass<
  DecodeError,
  "DecodeError",
  {
    readonly command: string
    readonly path: ReadonlyArray<string | number>
    readonly reason: string
  }
> = errorClass<DecodeError>("effect-redis-client/DecodeError")("DecodeError", () => ({
  command: Schema.String,
  path: path(),
  reason: Schema.String
}))

/**
 * The server's reply does not have the type that the command promises. `path` leads to the part that does not fit; the
 * message shows it with line breaks and control characters escaped. The command was executed, and the connection stays
 * open.
 *
 * @since 0.1.0
 * @category errors
 */
export class DecodeError extends DecodeErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message(): string {
    const at = this.path.length === 0 ? "" : ` at ${visible(this.path.join("."))}`
    return `The reply to ${this.command} does not decode${at}: ${this.reason}`
  }
}

const UsageErrorBase: ErrorClass<
  UsageError,
  "UsageError",
  {
    readonly reason:
      | "invalidArgument"
      | "invalidOptions"
      | "statefulCommand"
      | "blockingCommand"
      | "refusedCommand"
      | "released"
      | "crossSlot"
    readonly message: string
    readonly command?: string | undefined
  }
> = errorClass<UsageError>("effect-redis-client/UsageError")("UsageError", () => ({
  reason: literals(
    "invalidArgument",
    "invalidOptions",
    "statefulCommand",
    "blockingCommand",
    "refusedCommand",
    "released",
    "crossSlot"
  ),
  message: Schema.String,
  command: Schema.optional(Schema.String)
}))

/**
 * The program asked for something that this client cannot do; nothing was sent.
 *
 * - `invalidArgument`: an argument cannot be sent, or the command does not accept it.
 * - `invalidOptions`: an option, URL or configuration value is wrong.
 * - `statefulCommand`: the command would change the state of a shared connection.
 * - `blockingCommand`: the command would block a shared connection.
 * - `refusedCommand`: the command can never be sent through this client.
 * - `released`: the lease is over; its connection is back in the pool.
 * - `crossSlot`: the keys are in several hash slots of a cluster, and the command cannot be split.
 *
 * @since 0.1.0
 * @category errors
 */
export class UsageError extends UsageErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
}

const OverflowErrorBase: ErrorClass<
  OverflowError,
  "OverflowError",
  {
    readonly limit: "commands" | "bytes" | "messages" | "messageBytes"
    readonly maximum: number
    readonly command?: string | undefined
  }
> = errorClass<OverflowError>("effect-redis-client/OverflowError")("OverflowError", () => ({
  limit: literals("commands", "bytes", "messages", "messageBytes"),
  maximum: Schema.Number,
  command: Schema.optional(Schema.String)
}))

/**
 * A queue is full. With `commands` and `bytes`: as many commands wait to be sent as may wait, so the command was
 * refused and not sent. With `messages` and `messageBytes`: a subscription whose strategy is to fail has as many
 * messages waiting as may wait, and another message arrived.
 *
 * @since 0.1.0
 * @category errors
 */
export class OverflowError extends OverflowErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message(): string {
    if (this.limit === "messages" || this.limit === "messageBytes") {
      return `A subscription was too slow: ${this.maximum} ${this.limit === "messages" ? "messages" : "bytes"} wait to be taken`
    }
    const command = this.command === undefined ? "A command" : this.command
    const option = this.limit === "commands" ? "maxQueuedCommands" : "maxQueuedBytes"
    return (
      `${command} was not accepted: with it more would wait to be sent than ${option} (${this.maximum}) allows; ` +
      "raise that option, or have less wait at once"
    )
  }
}

const PartialErrorBase: ErrorClass<
  PartialError,
  "PartialError",
  {
    readonly command: string
    readonly succeeded: number
    readonly errors: ReadonlyArray<{ readonly server: string; readonly error: RedisError }>
  },
  {
    readonly command: string
    readonly succeeded: number
    readonly errors: ReadonlyArray<{ readonly server: string; readonly error: unknown }>
  }
> = errorClass<PartialError>("effect-redis-client/PartialError")("PartialError", () => ({
  command: Schema.String,
  succeeded: Schema.Number,
  errors: Schema.Array(
    Schema.Struct({
      server: Schema.String,
      error: Schema.suspend((): Schema.Schema<RedisError, unknown> => RedisError as never)
    })
  )
}))

/**
 * A command went to several nodes of a cluster, and some of them failed: MSET or DEL over several hash slots, FLUSHALL on all
 * primaries. `succeeded` parts were executed; `errors` has what became of each of the others, by its node or slot.
 *
 * @since 0.1.0
 * @category errors
 */
export class PartialError extends PartialErrorBase {
  /** @since 0.1.0 */
  get [TypeId](): TypeId {
    return TypeId
  }
  override get message(): string {
    const { command, errors, succeeded } = this
    const [first] = errors
    const why = first === undefined ? "" : `: ${first.server}: ${first.error.message}`
    return `${command} was executed in part: ${succeeded} of ${succeeded + errors.length} parts succeeded${why}`
  }
}

/**
 * All errors that a command can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type RedisError =
  | ReplyError
  | ProtocolError
  | ConnectionError
  | DeadlineError
  | DecodeError
  | UsageError
  | OverflowError
  | PartialError

/**
 * {@link RedisError} as a schema, for errors that travel.
 *
 * @since 0.1.0
 * @category schemas
 */
export const RedisError = errorUnion(
  ReplyError,
  ProtocolError,
  ConnectionError,
  DeadlineError,
  DecodeError,
  UsageError,
  OverflowError,
  PartialError
)

/**
 * Whether a value is one of the errors of a command. The errors of pipelines and transactions are not:
 * {@link isAnyRedisError} is true for them, too.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRedisError = (u: unknown): u is RedisError => Predicate.hasProperty(u, TypeId)

/** By this, the errors of batches are recognised, also those of another copy of this package. */
const BatchTypeId = Symbol.for("effect-redis-client/RedisError/Batch")

/**
 * Marks the error of a batch, and keeps the results out of logs and JSON, because they contain the server's replies. They
 * are a getter because Node's `%o` shows the value of any other property, even of one that is not enumerable.
 */
const hide = (error: object, results: unknown): void => {
  Object.defineProperty(error, BatchTypeId, { value: BatchTypeId })
  Object.defineProperty(error, "results", { get: () => results, enumerable: false })
}

/** Which command of a batch failed. */
const place = (at: string | number | undefined, command: string | undefined): string =>
  command === undefined ? `${at}` : `${at} (${command})`

/** The message of a failure, with its delivery. It is there already, except where no command was named. */
const describe = (error: RedisError): string =>
  error._tag === "ConnectionError" && error.command === undefined
    ? `${error.message} (delivery: ${error.delivery})`
    : error.message

/**
 * A pipeline in which at least one command failed. `results` has the shape of the pipeline, with an `Either` in each place,
 * because the other commands were executed all the same. Where the connection was lost or the deadline passed in between,
 * the commands without a reply have that error.
 *
 * @since 0.1.0
 * @category errors
 */
export class PipelineError<out Results = unknown> extends Data.Error<{
  readonly at: string | number
  readonly command: string | undefined
  readonly error: RedisError
  readonly message: string
}> {
  /** @since 0.1.0 */
  readonly _tag = "PipelineError"
  /** @since 0.1.0 */
  override readonly name = "PipelineError"
  /** Every command's result, in the pipeline's shape. */
  declare readonly results: Results

  constructor(options: {
    /** The place of the first failure: an index, or the record's key. */
    readonly at: string | number
    /** The name of the command in that place. */
    readonly command?: string | undefined
    /** The first failure. */
    readonly error: RedisError
    readonly results: Results
  }) {
    const { at, command, error } = options
    super({ at, command, error, message: `Command ${place(at, command)} of the pipeline failed: ${describe(error)}` })
    hide(this, options.results)
  }
}

/**
 * A transaction that was not executed as one.
 *
 * - `conflict`: a watched key changed, so EXEC executed nothing and replied with nil.
 * - `discarded`: the server refused to queue a command, so EXEC executed nothing (`EXECABORT`).
 * - `refused`: the server refused MULTI itself, so the commands after it ran one by one: see `results`.
 * - `failed`: all commands were executed, and at least one failed.
 *
 * @see https://redis.io/docs/latest/develop/using-commands/transactions/
 * @since 0.1.0
 * @category errors
 */
export class TransactionError<out Results = unknown> extends Data.Error<{
  readonly reason: "conflict" | "discarded" | "refused" | "failed"
  readonly at: string | number | undefined
  readonly command: string | undefined
  readonly error: RedisError | undefined
  readonly message: string
}> {
  /** @since 0.1.0 */
  readonly _tag = "TransactionError"
  /** @since 0.1.0 */
  override readonly name = "TransactionError"
  /** Every command's result, in the transaction's shape. Absent on a conflict. */
  declare readonly results: Results | undefined

  constructor(options: {
    readonly reason: "conflict" | "discarded" | "refused" | "failed"
    /** The place of the first failure: an index, or the record's key. Absent on a conflict. */
    readonly at?: string | number | undefined
    /** The name of the command in that place. Absent on a conflict. */
    readonly command?: string | undefined
    /** The first failure. Absent on a conflict. */
    readonly error?: RedisError | undefined
    readonly results?: Results | undefined
  }) {
    const { at, command, error, reason } = options
    const because = error === undefined ? "" : ` at command ${place(at, command)}: ${describe(error)}`
    super({ reason, at, command, error, message: `The transaction did not succeed (${reason})${because}` })
    hide(this, options.results)
  }
}

/**
 * All errors that this library fails with: {@link RedisError}, and the errors of pipelines and transactions. For code that
 * handles whatever fails, such as the mapping to a response of HTTP.
 *
 * @since 0.1.0
 * @category models
 */
export type AnyRedisError = RedisError | PipelineError | TransactionError

/**
 * Whether a value is an error of this library: of a command, a pipeline or a transaction.
 *
 * @since 0.1.0
 * @category guards
 */
export const isAnyRedisError = (u: unknown): u is AnyRedisError => isRedisError(u) || isBatchError(u)

const isBatchError = (u: unknown): u is PipelineError | TransactionError => Predicate.hasProperty(u, BatchTypeId)

const placesOf = ({ results }: PipelineError | TransactionError): ReadonlyArray<unknown> =>
  Predicate.isObject(results) ? Object.values(results) : []

/** The errors of a batch's commands. */
const leftsOf = (error: PipelineError | TransactionError): ReadonlyArray<RedisError> =>
  placesOf(error).flatMap((place) => (Either.isEither(place) && Either.isLeft(place) ? [place.left as RedisError] : []))

/** The errors of a batch of which every command failed. */
const failuresOf = (error: PipelineError | TransactionError): ReadonlyArray<RedisError> => {
  const lefts = leftsOf(error)
  return lefts.length === placesOf(error).length ? lefts : []
}

/** A command of a discarded transaction that failed only because of another one. */
const isAborted = (error: RedisError): boolean =>
  error._tag === "ReplyError" && error.code === "EXECABORT" && error.transient !== true

/**
 * Whether the server never received what failed: a command with the delivery `unsent`, one that was refused by this
 * library ({@link UsageError}, {@link OverflowError}), or a pipeline of which all of that is true of each command. It is
 * false for all other values.
 *
 * @see {@link isRetryable} for what may be tried again
 * @since 0.1.0
 * @category guards
 */
export const isUnsent = (u: unknown): boolean => {
  if (isBatchError(u)) {
    const failures = failuresOf(u)
    return failures.length > 0 && failures.every(isUnsent)
  }
  if (!isRedisError(u)) {
    return false
  }
  switch (u._tag) {
    case "ConnectionError":
    case "DeadlineError":
      return u.delivery === "unsent"
    case "OverflowError":
      return u.limit === "commands" || u.limit === "bytes"
    case "UsageError":
      return true
    default:
      return false
  }
}

/**
 * Whether what failed was certainly not executed, and may succeed when the program tries again. So it is safe for writes:
 *
 * - what is unsent ({@link isUnsent}), except for a {@link UsageError}, for failures that every further attempt would meet
 *   again (wrong credentials, a bad certificate, a refused handshake, a peer that speaks another protocol), and for a
 *   client that was closed;
 * - a command that the server refused before it executed any of it (`ReplyError.transient`): LOADING, MASTERDOWN,
 *   CLUSTERDOWN, TRYAGAIN, READONLY, BUSY, OOM, NOREPLICAS, MISCONF. Of a script that may write, only the server's own
 *   sentence counts;
 * - a pipeline of which each command failed so;
 * - a transaction that was not executed because of a conflict, or because commands were refused so. After a conflict, what
 *   is tried again has to include the reads.
 *
 * It is false for everything else, so for a delivery of `unknown`, too. Readonly commands and those that are declared
 * repeatable were sent again by the client already.
 *
 * @example
 * ```ts
 * import { Redis, RedisError } from "effect-redis-client"
 * import { Effect, Schedule } from "effect"
 *
 * export const hits = Redis.incr("hits").pipe(
 *   Effect.retry({ while: RedisError.isRetryable, schedule: Schedule.exponential("100 millis"), times: 5 })
 * )
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const isRetryable = (u: unknown): boolean => {
  if (isBatchError(u)) {
    if (u._tag === "TransactionError" && u.reason === "conflict") {
      return true
    }
    const causes = failuresOf(u).filter((error) => !isAborted(error))
    return causes.length > 0 && causes.every(isRetryable)
  }
  if (!isRedisError(u)) {
    return false
  }
  switch (u._tag) {
    case "ReplyError":
      return u.transient === true
    case "ConnectionError":
      return u.delivery === "unsent" && mayConnect(u)
    case "UsageError":
      return false
    default:
      return isUnsent(u)
  }
}

/** Whether a further attempt to connect may succeed. */
const mayConnect = ({ cause, message, reason }: ConnectionError): boolean => {
  switch (reason) {
    case "authentication":
    case "tls":
    case "protocol":
    case "closed":
      return false
    case "handshake":
      return isRetryable(cause) || message.includes("max number of clients")
    default:
      return true
  }
}

/**
 * What the client does when the server replies to a command with an error, by the error's code.
 *
 * - `retry`: the server is not ready (LOADING, MASTERDOWN, CLUSTERDOWN, TRYAGAIN) and has not executed the command. It
 *   is sent again to the same server, every 100 ms, until its deadline; then it fails with the error.
 * - `reconnect`: the server became read-only (READONLY), as a master does after a failover. The command is sent again,
 *   at most `maxRetries` times, to the server that a new connection reaches.
 * - `fail`: all other codes. The command fails with the error. BUSY is one of them: a script may run for long, and the
 *   caller should learn of it while it can still be killed.
 *
 * A script or function that may write can answer any error itself. It is sent again only when the error is, word for word,
 * the server's own sentence, which the server gives before it runs the script; or when the call is declared repeatable
 * (`RedisCommand.repeatable`). Transactions are never sent again. A pipeline is sent again when every command of it was
 * refused.
 *
 * @since 0.1.0
 * @category error handling
 */
export const recovery = (code: string): "retry" | "reconnect" | "fail" => {
  switch (code) {
    case "LOADING":
    case "MASTERDOWN":
    case "CLUSTERDOWN":
    case "TRYAGAIN":
      return "retry"
    case "READONLY":
      return "reconnect"
    default:
      return "fail"
  }
}

/**
 * Recovers from a server error by its code; other errors stay in the error channel. The error of a pipeline or transaction
 * is recovered from when all its failures are server errors of these codes; `f` gets the first of them.
 *
 * @example
 * ```ts
 * import { Redis, RedisError } from "effect-redis-client"
 * import { Effect, Option } from "effect"
 *
 * export const name = Redis.get("user:1").pipe(
 *   RedisError.catchCode("WRONGTYPE", () => Effect.succeed(Option.none<string>()))
 * )
 * ```
 *
 * @since 0.1.0
 * @category error handling
 */
export const catchCode: {
  /**
   * Recovers from a server error by its code, or by one of several; other errors stay in the error channel.
   *
   * @example
   * ```ts
   * import { Redis, RedisError } from "effect-redis-client"
   * import { Effect, Option } from "effect"
   *
   * export const name = Redis.get("user:1").pipe(
   *   RedisError.catchCode("WRONGTYPE", () => Effect.succeed(Option.none<string>()))
   * )
   * ```
   *
   * @since 0.1.0
   * @category error handling
   */
  <A2, E2, R2>(
    code: string | ReadonlyArray<string>,
    f: (error: ReplyError) => Effect.Effect<A2, E2, R2>
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A | A2, E | E2, R | R2>

  /**
   * Recovers from a server error by its code, or by one of several; other errors stay in the error channel.
   *
   * @since 0.1.0
   * @category error handling
   */
  <A, E, R, A2, E2, R2>(
    self: Effect.Effect<A, E, R>,
    code: string | ReadonlyArray<string>,
    f: (error: ReplyError) => Effect.Effect<A2, E2, R2>
  ): Effect.Effect<A | A2, E | E2, R | R2>
} = dual(
  3,
  <A, E, R, A2, E2, R2>(
    self: Effect.Effect<A, E, R>,
    code: string | ReadonlyArray<string>,
    f: (error: ReplyError) => Effect.Effect<A2, E2, R2>
  ): Effect.Effect<A | A2, E | E2, R | R2> =>
    Effect.catchIf(
      self,
      (error) => {
        const codes = typeof code === "string" ? [code] : code
        const errors = replyErrors(error)
        return errors.length > 0 && errors.every((error) => codes.includes(error.code))
      },
      (error) => f(replyErrors(error)[0] as ReplyError)
    )
)

/** The server errors of which a failure is made; none when anything else failed, too. */
const replyErrors = (error: unknown): ReadonlyArray<ReplyError> => {
  const all = isBatchError(error) ? leftsOf(error) : isRedisError(error) ? [error] : []
  const causes = all.some((error) => !isAborted(error)) ? all.filter((error) => !isAborted(error)) : all
  const replies = causes.filter((error) => error._tag === "ReplyError")
  return replies.length === causes.length ? replies : []
}
