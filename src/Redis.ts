/**
 * The client: one value that is the service's tag, its layers, and every command.
 *
 * `Redis.layer` makes one shared connection, on which the commands of all fibers are pipelined, and further connections
 * on demand for commands that cannot share one.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Codec, utf8 } from "./Codec.js"
import { Connection, type ConnectionOptions } from "./Connection.js"
import { type Ranges, range } from "./commands/range.js"
import * as Batch from "./internal/client/batch.js"
import type { Orphan } from "./internal/client/blocking.js"
import { type Commands, make as makeCommands } from "./internal/client/commands.js"
import { makeNode } from "./internal/client/node.js"
import { nodeSettings } from "./internal/client/nodeOptions.js"
import { type OptimisticOptions, optimistic } from "./internal/client/optimistic.js"
import { overPool } from "./internal/client/overPool.js"
import { prefixed } from "./internal/client/prefix.js"
import { readFrom } from "./internal/client/readFrom.js"
import { type Replicated, type ReplicationOptions, withReplication } from "./internal/client/replication.js"
import { testService } from "./internal/client/testDouble.js"
import { type Under, type Unmarked, under } from "./internal/client/under.js"
import type { DurationWithUnit, Key, OneOrMany } from "./internal/command/args.js"
import type { ClientEvent, ServerStats, Stats } from "./internal/command/insight.js"
import {
  type About,
  type BatchResult,
  type ReadFrom,
  type RedisCommand,
  type Redis as RedisIdentifier,
  type RedisService,
  Redis as RedisTag,
  type Status
} from "./internal/command/model.js"
import { type ArgumentInput, make as makeCommand } from "./internal/command/raw.js"
import * as Credentials from "./internal/connection/credentials.js"
import { makeDial } from "./internal/connection/dial.js"
import { connect } from "./internal/connection/lazyNodeTransport.js"
import { observing } from "./internal/connection/observing.js"
import * as Options from "./internal/connection/options.js"
import { fromEither } from "./internal/effect/either.js"
import type { Program } from "./internal/effect/program.js"
import { layer as layerScheduler } from "./internal/effect/scheduler.js"
import { listed } from "./internal/nodes/lazyListed.js"
import {
  make as makePubSub,
  type RedisPubSub as RedisPubSubIdentifier,
  RedisPubSub as RedisPubSubTag
} from "./internal/pubsub/service.js"
import type { Reply } from "./internal/resp/values.js"
import { noInsight } from "./internal/telemetry/insight.js"
import { Pool } from "./Pool.js"
import type { PipelineError, RedisError, TransactionError } from "./RedisError.js"
import * as RedisStream from "./RedisStream.js"

export type {
  /**
   * What a pipeline or transaction is made of: a tuple, an array or a record of commands.
   *
   * @since 0.1.0
   * @category models
   */
  BatchCommands,
  /**
   * What the commands answer, with an `Either` in each place.
   *
   * @since 0.1.0
   * @category models
   */
  EitherResults,
  /**
   * What the commands answer, in the shape they were given.
   *
   * @since 0.1.0
   * @category models
   */
  Results,
  /**
   * Commands that are executed as one, as a value.
   *
   * @since 0.1.0
   * @category models
   */
  Transaction
} from "./internal/client/batch.js"

export type {
  /**
   * Elements that a blocking command removed for a caller that had stopped waiting.
   *
   * @since 0.1.0
   * @category models
   */
  Orphan
} from "./internal/client/blocking.js"

export type {
  /**
   * When `Redis.optimistic` tries again.
   *
   * @since 0.1.0
   * @category options
   */
  OptimisticOptions
} from "./internal/client/optimistic.js"

export type {
  /**
   * How far the writes of `Redis.withReplication` got.
   *
   * @since 0.1.0
   * @category models
   */
  Replicated,
  /**
   * What `Redis.withReplication` waits for.
   *
   * @since 0.1.0
   * @category options
   */
  ReplicationOptions
} from "./internal/client/replication.js"

export type {
  /**
   * The server and the client, for log lines.
   *
   * @since 0.1.0
   * @category models
   */
  About,
  /**
   * What became of a batch.
   *
   * @since 0.1.0
   * @category models
   */
  BatchResult,
  /**
   * Something that happened to a client. No event shows a key, a value or a password.
   *
   * @since 0.1.0
   * @category models
   */
  ClientEvent,
  /**
   * Every command over values of one type.
   *
   * @since 0.1.0
   * @category models
   */
  Commands,
  /**
   * Where readonly commands go.
   *
   * - `primary`: to the primary.
   * - `preferPrimary`: to the primary; while it is not connected, to a replica.
   * - `preferReplica`: to a replica; where none can serve, to the primary.
   * - `replica`: to replicas only.
   * - `lowestLatency`: to the server that answers fastest, the primary included. It is measured once a second.
   * - `{ nearest: zone }`: to the servers of this availability zone, the primary included; then to any replica; then to the
   *   primary. Valkey tells the zones of its servers (`availability-zone`), and so do some services in INFO.
   *
   * @since 0.1.0
   * @category options
   */
  ReadFrom,
  /**
   * The client as commands see it.
   *
   * @since 0.1.0
   * @category models
   */
  RedisService,
  /**
   * How a server answers.
   *
   * @since 0.1.0
   * @category models
   */
  ServerStats,
  /**
   * What a client has counted since it was built.
   *
   * @since 0.1.0
   * @category models
   */
  Stats,
  /**
   * How a client is connected.
   *
   * @since 0.1.0
   * @category models
   */
  Status
}

/**
 * Options of the client.
 *
 * @since 0.1.0
 * @category options
 */
export interface RedisOptions extends ConnectionOptions {
  /**
   * How long to wait before each attempt to reconnect. The Schedule starts over once a connection was ready for 10
   * seconds. When it is done, the client is closed. After a permanent failure, such as a wrong password, the client
   * waits the longest of the Schedule's next 32 delays (at most a minute), and commands fail at once with the reason
   * meanwhile. To find that delay 32 steps of the Schedule are run in advance, so it should have no side effects.
   * Default: from 50 ms doubling to 2 seconds, with jitter, without end.
   */
  readonly reconnect?: Schedule.Schedule<unknown, RedisError> | undefined
  /**
   * Failures after which there are no more attempts, once there was a connection: waiting and later commands fail with
   * the reason. Default: none, because even a wrong password may be accepted later, when passwords rotate.
   */
  readonly stopReconnecting?: ((error: RedisError) => boolean) | undefined
  /** What commands do while there is no connection: wait (`queue`, the default) or `fail` at once. */
  readonly offline?: "queue" | "fail" | undefined
  /** How often a readonly command that lost its connection is sent again; under `offline: "fail"` none is. Default: 3. */
  readonly maxRetries?: number | undefined
  /** Builds the layer without waiting for a connection: it is opened in the background, and commands wait for it. Default: false. */
  readonly lazy?: boolean | undefined
  /** Connections of their own that there can be at once, for blocking commands and leases. Default: 10. */
  readonly maxDedicated?: number | undefined
  /**
   * What to do with elements that BLPOP, BRPOP, BLMPOP, BZPOPMIN, BZPOPMAX or BZMPOP removed for a caller that was
   * interrupted, or whose deadline had passed, meanwhile. `warn` (the default) logs the command's name and their count.
   * `pushBack` puts them back where they were removed, which other clients may see as a change of order. BLMOVE and
   * streams lose nothing and need none of this.
   */
  readonly onOrphan?: "warn" | "pushBack" | ((orphan: Orphan) => Effect.Effect<void>) | undefined
  /** How long a command waits for one of the `maxDedicated` connections. Default: 5 seconds. */
  readonly acquireTimeout?: DurationWithUnit | undefined
  /**
   * How long one of the `maxDedicated` connections, or the connection for subscriptions, is kept when nobody needs it.
   * Default: 30 seconds.
   */
  readonly idleTimeout?: DurationWithUnit | undefined
  /**
   * Replicas of the server, as URLs or by host and port, that readonly commands may go to. What a URL leaves out is as for the
   * server itself. A server of the list that is not a replica gets no command.
   */
  readonly replicas?:
    | ReadonlyArray<string | Redacted.Redacted<string> | { readonly host: string; readonly port?: number | undefined }>
    | undefined
  /**
   * Where readonly commands with a key go, when there are `replicas`. What a replica answers may be older than what the primary
   * acknowledged. Pipelines go there when all of their commands are readonly and have a key; transactions, blocking commands
   * and scans always go to the primary. Default: `primary`. See {@link RedisModule.readFrom} for a part of a program.
   */
  readonly readFrom?: ReadFrom | undefined
  /**
   * For how long a replica that is read from may be behind the primary: a replica that has been behind for longer, or has lost
   * its primary for longer, is passed over until it has caught up. It is measured once a second. Default: no limit.
   */
  readonly maxReplicaLag?: DurationWithUnit | undefined
}

const make = (options: RedisOptions = {}): Effect.Effect<RedisService, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const given = yield* Options.resolve(options)
    const { onRotate, options: resolved } = yield* Credentials.source(given)
    const isListed = [options.replicas, options.readFrom, options.maxReplicaLag].some((option) => option !== undefined)
    const replication = isListed ? yield* listed : undefined
    const reads = yield* replication?.checkListed(options, resolved) ?? Effect.succeed(undefined)
    const observer = yield* observing(options, resolved)
    const settings = yield* nodeSettings(options, { lazy: options.lazy === true, followsBlocked: true })
    const node = yield* makeNode(makeDial({ options: resolved, connect, observer }), settings)
    onRotate(node.renew)
    if (replication === undefined || reads === undefined || reads.replicas.size === 0) {
      return node.service
    }
    const replicated = yield* replication.overReplicas({ node, observer, options: resolved, settings }, reads)
    onRotate(replicated.renew)
    return replicated.service
  })

/** Subscriptions have connections of their own, made when somebody listens; so they share no more than the options. */
const layer = (options: RedisOptions = {}): Layer.Layer<RedisIdentifier | RedisPubSubIdentifier, RedisError> =>
  // Checked first, because both check them, and would fail with the same error.
  Layer.unwrapEffect(
    Effect.as(
      fromEither(Options.resolve(options)),
      Layer.merge(Layer.scoped(RedisTag, make(options)), Layer.scoped(RedisPubSubTag, makePubSub(options)))
    )
  )

const layerConfig = (
  options: Config.Config.Wrap<RedisOptions>
): Layer.Layer<RedisIdentifier | RedisPubSubIdentifier, RedisError | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))

const layerAs = <I>(tag: Context.Tag<I, RedisService>, options: RedisOptions = {}): Layer.Layer<I, RedisError> =>
  Layer.scoped(tag, make(options))

const layerConfigAs = <I>(
  tag: Context.Tag<I, RedisService>,
  options: Config.Config.Wrap<RedisOptions>
): Layer.Layer<I, RedisError | ConfigError.ConfigError> =>
  Layer.scoped(tag, Effect.flatMap(Config.unwrap(options), make))

const layerFromPool: Layer.Layer<RedisIdentifier, never, Pool> = Layer.effect(RedisTag, Effect.map(Pool, overPool))

const layerFromConnection: Layer.Layer<RedisIdentifier, never, Connection> = Layer.effect(
  RedisTag,
  Effect.map(Connection, (connection) => connection.redis)
)

const layerTest = (
  answer: (request: RedisCommand<unknown>) => Effect.Effect<Reply, RedisError>
): Layer.Layer<RedisIdentifier> => Layer.succeed(RedisTag, testService(answer))

/**
 * What `Redis` is: the tag of the service, its layers and combinators, and every command.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisModule extends Context.Tag<RedisIdentifier, RedisService>, Commands<string> {
  /**
   * Opens a client; the scope closes it. {@link RedisModule.layer} is how programs usually get one.
   */
  readonly make: (options?: RedisOptions) => Effect.Effect<RedisService, RedisError, Scope.Scope>

  /**
   * The client of a Layer: one shared connection, and connections of their own on demand. It provides `RedisPubSub`, too.
   *
   * Building the layer connects, within `connectTimeout`, or fails with a typed error. Layers are memoised by
   * reference: two calls of `Redis.layer` make two clients, so keep the layer in a constant.
   *
   * @example
   * ```ts
   * program.pipe(Effect.provide(Redis.layer({ url: "redis://localhost:6379" })))
   * ```
   */
  readonly layer: (options?: RedisOptions) => Layer.Layer<RedisIdentifier | RedisPubSubIdentifier, RedisError>

  /**
   * The client of a Layer, its options read from the configuration. The error for a wrong URL does not show it.
   *
   * @example
   * ```ts
   * const RedisLive = Redis.layerConfig({ url: Config.redacted("REDIS_URL") })
   * ```
   */
  readonly layerConfig: (
    options: Config.Config.Wrap<RedisOptions>
  ) => Layer.Layer<RedisIdentifier | RedisPubSubIdentifier, RedisError | ConfigError.ConfigError>

  /**
   * One scheduler for all fibers under this layer: hundreds of fibers that get their replies at once are resumed in one
   * batch, instead of with one promise for each. It may help where that many fibers wait for Redis at once; measure it
   * with your program.
   *
   * It schedules everything under the layer, not only commands. Fibers stay as fair to each other as before, and the
   * event loop gets its turns; but a resumed fiber waits for the fibers that were resumed before it in that turn.
   *
   * @example
   * ```ts
   * program.pipe(Effect.provide(Redis.layer()), Effect.provide(Redis.layerScheduler), NodeRuntime.runMain)
   * ```
   */
  readonly layerScheduler: Layer.Layer<never>

  /** A client of which each command takes a connection of a `Pool` for itself. */
  readonly layerFromPool: Layer.Layer<RedisIdentifier, never, Pool>

  /** A `Connection` as the client. State-changing commands are its owner's business. */
  readonly layerFromConnection: Layer.Layer<RedisIdentifier, never, Connection>

  /**
   * A client whose replies a function gives: a test double without a server. Its replies are decoded like a server's.
   *
   * @example
   * ```ts
   * const Fake = Redis.layerTest((request) => Effect.succeed(request.name === "PING" ? "PONG" : null))
   * ```
   */
  readonly layerTest: (
    answer: (request: RedisCommand<unknown>) => Effect.Effect<Reply, RedisError>
  ) => Layer.Layer<RedisIdentifier>

  /**
   * A tag for a further server: `class Sessions extends Redis.Tag("Sessions")<Sessions>() {}`.
   */
  readonly Tag: <const Id extends string>(id: Id) => <Self>() => Context.TagClass<Self, Id, RedisService>

  /** The client of a Layer, under a tag of your own. */
  readonly layerAs: <I>(tag: Context.Tag<I, RedisService>, options?: RedisOptions) => Layer.Layer<I, RedisError>

  /** The same with its options read from the configuration. */
  readonly layerConfigAs: <I>(
    tag: Context.Tag<I, RedisService>,
    options: Config.Config.Wrap<RedisOptions>
  ) => Layer.Layer<I, RedisError | ConfigError.ConfigError>

  /** Runs an Effect or a Stream with the server of another tag. */
  readonly using: {
    /**
     * Runs an Effect or a Stream with the server of another tag.
     *
     * @example
     * ```ts
     * const theme = yield* Redis.hget("s:1", "theme").pipe(Redis.using(Sessions))
     * const ids = Redis.scanStream({ match: "s:*" }).pipe(Redis.using(Sessions))
     * ```
     */
    <I>(tag: Context.Tag<I, RedisService>): <Self extends Program>(self: Self) => Under<Self, I>
    /**
     * Runs an Effect or a Stream with the server of another tag.
     *
     * @example
     * ```ts
     * const theme = yield* Redis.using(Redis.hget("s:1", "theme"), Sessions)
     * const ids = Redis.using(Redis.scanStream({ match: "s:*" }), Sessions)
     * ```
     */
    <Self extends Program, I>(self: Self, tag: Context.Tag<I, RedisService>): Under<Self, I>
  }

  /** Puts a prefix before every key of the commands inside an Effect or a Stream. */
  readonly withPrefix: {
    /**
     * Puts a prefix before every key of the commands inside an Effect or a Stream, pipelines and leases included.
     *
     * Keys are what the commands tag as keys; in raw commands, what `RedisCommand.key` says. Patterns over keys (KEYS,
     * SCAN's MATCH) get the prefix too, escaped, and so do SORT's BY and GET and the prefixes of CLIENT TRACKING.
     * Channels do not. Keys that come back (KEYS, SCAN, RANDOMKEY, BLPOP) have their full names: use them outside.
     *
     * Put it around `Redis.optimistic`, so that the watched keys and the transaction have the prefix too. Around the body
     * alone it does not compile.
     *
     * @example
     * ```ts
     * const name = yield* Redis.get("name").pipe(Redis.withPrefix("app:"))
     * ```
     */
    (prefix: string): <Self extends Program>(self: Self) => Under<Self, RedisIdentifier>
    /**
     * Puts a prefix before every key of the commands inside an Effect or a Stream, pipelines and leases included. What
     * counts as a key is said at the other form.
     *
     * @example
     * ```ts
     * const name = yield* Redis.withPrefix(Redis.get("name"), "app:")
     * const entries = Redis.withPrefix(Redis.stream.read("orders"), "app:")
     * ```
     */
    <Self extends Program>(self: Self, prefix: string): Under<Self, RedisIdentifier>
  }

  /** Sends the readonly commands inside an Effect or a Stream elsewhere: to replicas, or to the servers of a zone. */
  readonly readFrom: {
    /**
     * Sends the readonly commands inside an Effect or a Stream elsewhere: to replicas, or to the servers of a zone. What a
     * replica answers may be older than what its primary acknowledged. Over a client that has no replicas it changes nothing.
     *
     * @example
     * ```ts
     * const name = yield* Redis.get("name").pipe(Redis.readFrom("preferReplica"))
     * ```
     */
    (from: ReadFrom): <Self extends Program>(self: Self) => Under<Self, RedisIdentifier>
    /**
     * Sends the readonly commands inside an Effect or a Stream elsewhere: to replicas, or to the servers of a zone. What a
     * replica answers may be older than what its primary acknowledged. Over a client that has no replicas it changes nothing.
     *
     * @example
     * ```ts
     * const name = yield* Redis.readFrom(Redis.get("name"), "preferReplica")
     * ```
     */
    <Self extends Program>(self: Self, from: ReadFrom): Under<Self, RedisIdentifier>
  }

  /**
   * Every command over another codec.
   *
   * @example
   * ```ts
   * const users = Redis.withCodec(Codec.schema(User))
   * const ada = yield* users.get("user:ada") // Option<User>
   * ```
   */
  readonly withCodec: <V, K extends Key>(codec: Codec<V, K>) => Commands<V, K>

  /**
   * Whether the client is connected, now and as it changes: `Connecting`, `Ready`, `Reconnecting` (with the attempt,
   * when it begins, and the cause), `Closed`. A pool opens connections as they are needed, so over `layerFromPool` it
   * is always `Ready`. For the present status alone, as in a health endpoint: `Effect.flatMap(Redis, ({ status }) =>
   * status.get)`.
   *
   * @example
   * ```ts
   * yield* Redis.status.pipe(Stream.runForEach((status) => Effect.log(status)), Effect.fork)
   * ```
   */
  readonly status: Stream.Stream<Status, never, RedisIdentifier>

  /**
   * What the client has counted: its servers and how fast they answer, what waits, retries, errors by type. It costs nothing
   * to leave it alone.
   *
   * @example
   * ```ts
   * const { queued, servers } = yield* Redis.stats
   * ```
   */
  readonly stats: Effect.Effect<Stats, never, RedisIdentifier>

  /**
   * What happens to the client from now on: connections, failed attempts to connect, retries, redirections, and, with the option
   * `telemetry.slowAfter`, slow commands. A subscriber that lags misses the oldest events.
   *
   * @example
   * ```ts
   * yield* Redis.events.pipe(Stream.runForEach((event) => Effect.log(event._tag, event.server)), Effect.fork)
   * ```
   */
  readonly events: Stream.Stream<ClientEvent, never, RedisIdentifier>

  /** Bounds of ranges: `Redis.range.exclusive(5)`, `Redis.range.highest`. */
  readonly range: Ranges

  /**
   * Any command by its name, with the reply as the server sends it. Text and numbers are values; mark keys with
   * `RedisCommand.key`.
   */
  readonly execute: (name: string, ...args: ReadonlyArray<ArgumentInput>) => RedisCommand<Reply>

  /**
   * Sends a tuple, an array or a record of commands in one write and answers the same shape.
   *
   * When a command fails, the other commands were executed all the same, and their replies were read (unless the
   * connection was lost or the deadline passed in between). The `PipelineError` says which command failed first and holds every command's `Either`. With `mode: "either"` the
   * result is those `Either`s. An empty pipeline does no I/O. Blocking and state-changing commands are refused.
   *
   * Its deadline is the longest of its commands' deadlines, or the option `deadline`, which replaces those. It covers
   * waiting, retries and all replies. When it passes, results that were read are kept, and the other commands have a
   * `DeadlineError`.
   *
   * @example
   * ```ts
   * const [name, visits] = yield* Redis.pipeline([Redis.get("name"), Redis.incr("visits")])
   * const quick = Redis.pipeline([Redis.get("name"), Redis.incr("visits")], { deadline: "200 millis" })
   * ```
   */
  readonly pipeline: <const T extends Batch.BatchCommands, Mode extends "default" | "either" | undefined = undefined>(
    commands: T,
    options?: { readonly mode?: Mode; readonly deadline?: DurationWithUnit | undefined }
  ) => Effect.Effect<Batch.PipelineResults<T, Mode>, RedisError | Batch.PipelineFailure<T, Mode>, RedisIdentifier>

  /**
   * Executes a tuple, an array or a record of commands between MULTI and EXEC, as one unit that nothing else enters.
   * It is a value until it is run. Its `deadline` counts from then, and replaces the deadlines of the commands.
   *
   * @example
   * ```ts
   * const { sold, stock } = yield* Redis.transaction({ stock: Redis.decr("stock"), sold: Redis.incr("sold") })
   * ```
   */
  readonly transaction: <const T extends Batch.BatchCommands>(
    commands: T,
    options?: { readonly deadline?: DurationWithUnit | undefined }
  ) => Batch.Transaction<Batch.Results<T>, Batch.EitherResults<T>>

  /**
   * Runs `body` on a connection of its own that watches `keys`, then the transaction that the body returns: it is
   * executed only if no watched key changed meanwhile. Commands inside the body go to that connection by themselves.
   * The body may run several times, so it should only read.
   *
   * After a conflict, or when the connection ends before EXEC was written, the whole is run again, by `schedule`; when
   * the schedule is done, it fails with the `TransactionError` or `ConnectionError`. An empty transaction means that
   * there is nothing to do.
   *
   * @see https://redis.io/docs/latest/commands/watch/
   * @example
   * ```ts
   * const buy = Redis.optimistic("stock", Effect.gen(function*() {
   *   const stock = Number(Option.getOrElse(yield* Redis.get("stock"), () => "0"))
   *   return stock > 0 ? Redis.transaction([Redis.decr("stock"), Redis.incr("sold")]) : Redis.transaction([])
   * }))
   * ```
   */
  readonly optimistic: <T extends Batch.Transaction<unknown, unknown> & Unmarked, E, R>(
    keys: OneOrMany<Key>,
    body: Effect.Effect<T, E, R>,
    options?: OptimisticOptions
  ) => Effect.Effect<
    Batch.TransactionResult<T>,
    E | RedisError | TransactionError<Batch.TransactionFailure<T>>,
    R | RedisIdentifier
  >

  /**
   * The module `RedisStream`: Streams of entries (`read`), members of consumer groups (`consume`, `worker`), and a
   * producer (`add`).
   *
   * @example
   * ```ts
   * yield* Redis.stream.read("orders", { from: "all" }).pipe(Stream.runForEach(({ fields }) => Effect.log(fields)))
   * ```
   */
  readonly stream: typeof RedisStream

  /**
   * Sends commands and then waits until replicas have them (WAIT), or until files do (WAITAOF, with `aof`), all on one
   * connection, because WAIT is about the writes of its own connection. When fewer have them in time, that is not a
   * failure: see `replicas` and `local` in the result.
   *
   * @see https://redis.io/docs/latest/commands/wait/
   * @example
   * ```ts
   * const { replicas } = yield* Redis.withReplication(
   *   { replicas: 1, timeout: "500 millis" },
   *   [Redis.set("order:1", "paid")]
   * )
   * ```
   */
  readonly withReplication: <const T extends Batch.BatchCommands>(
    options: ReplicationOptions,
    commands: T
  ) => Effect.Effect<Replicated<Batch.Results<T>>, RedisError | PipelineError<Batch.EitherResults<T>>, RedisIdentifier>
}

/**
 * The identifier of the client in an Effect's requirements.
 *
 * @since 0.1.0
 * @category models
 */
export type Redis = RedisIdentifier

/**
 * The client: the tag of its service, its layers, and every command.
 *
 * @since 0.1.0
 * @category tags
 */
export const Redis: RedisModule = Object.assign(RedisTag, makeCommands(utf8), {
  make,
  layer,
  layerConfig,
  layerScheduler,
  layerFromPool,
  layerFromConnection,
  layerTest,
  Tag: (<const Id extends string>(id: Id) =>
    <Self>() =>
      Context.Tag(id)<Self, RedisService>()) as RedisModule["Tag"],
  layerAs,
  layerConfigAs,
  using: dual(2, under) as RedisModule["using"],
  withPrefix: dual(2, (self: Program, prefix: string) =>
    under(
      self,
      Effect.map(RedisTag, (redis) => prefixed(redis, prefix))
    )
  ) as RedisModule["withPrefix"],
  readFrom: readFrom as RedisModule["readFrom"],
  withCodec: makeCommands,
  status: Stream.unwrap(Effect.map(RedisTag, (redis) => redis.status.changes)),
  stats: Effect.flatMap(RedisTag, ({ about }) => (about?.insight ?? noInsight).stats),
  events: Stream.unwrap(Effect.map(RedisTag, ({ about }) => (about?.insight ?? noInsight).events)),
  range,
  execute: (name: string, ...args: ReadonlyArray<ArgumentInput>) => makeCommand(name, { args }),
  pipeline: Batch.pipeline as RedisModule["pipeline"],
  transaction: Batch.transaction as RedisModule["transaction"],
  optimistic: optimistic as RedisModule["optimistic"],
  withReplication: withReplication as RedisModule["withReplication"],
  stream: RedisStream
})
