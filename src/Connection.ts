/**
 * One connection to a server: one socket, ready after its handshake, for as long as its scope lives. It is never
 * replaced. When it ends, commands in flight fail with the reason, and so do later commands.
 *
 * Commands of one turn of the event loop leave in one write (or in writes of 64) and are answered in order, so any
 * number of fibers may share a connection, as long as none changes its state.
 *
 * @since 0.1.0
 */
import type * as Socket from "@effect/platform/Socket"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { run } from "./internal/command/command.js"
import type { RedisCommand, RedisService } from "./internal/command/model.js"
import { type ArgumentInput, make as makeCommand } from "./internal/command/raw.js"
import { makeDial, openOver, Peculiarities, reportEnd } from "./internal/connection/dial.js"
import { connect } from "./internal/connection/lazyNodeTransport.js"
import type { Link } from "./internal/connection/link.js"
import { factsOf, holderOf, serviceOf } from "./internal/connection/linkService.js"
import { type Duplex, fromDuplex as duplexTransport } from "./internal/connection/nodeDuplex.js"
import { observing } from "./internal/connection/observing.js"
import type { Restore } from "./internal/connection/opening.js"
import * as Options from "./internal/connection/options.js"
import { fromSocket as socketTransport } from "./internal/connection/socketTransport.js"
import { callbackStream } from "./internal/effect/callbackStream.js"
import type { CloseReason, Transport } from "./internal/engine/transport.js"
import { closeError } from "./internal/request/failure.js"
import type { Push, Reply } from "./internal/resp/values.js"
import type { Observer } from "./internal/telemetry/observer.js"
import { isRedisCommand } from "./RedisCommand.js"
import { ConnectionError, type RedisError } from "./RedisError.js"

/**
 * The property by which a connection is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/Connection")

/**
 * The property by which a connection is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A connection to a server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  readonly [TypeId]: TypeId
  /** The server's id of this connection, as CLIENT ID gives it; `None` when the server did not report it. */
  readonly id: Option.Option<number>
  /** How raw replies are read: as UTF-8 text, or as bytes. */
  readonly encoding: "utf8" | "bytes"
  /** The protocol that is spoken. */
  readonly protocol: Effect.Effect<2 | 3>
  /** The database that is selected. */
  readonly db: Effect.Effect<number>
  /** Whether the connection has ended. */
  readonly closed: Effect.Effect<boolean>
  /** Why it has ended. */
  readonly closeReason: Effect.Effect<Option.Option<ConnectionError>>
  /**
   * Runs a command, or sends any command by its name and returns the reply as the server sent it, as text or bytes by
   * `encoding`.
   */
  readonly execute: <C extends RedisCommand<unknown> | string>(
    command: C,
    ...args: C extends string ? ReadonlyArray<ArgumentInput> : []
  ) => Effect.Effect<C extends RedisCommand<infer A> ? A : Reply, RedisError>
  /** Like `execute` by name, with the reply read as text, whatever `encoding` says. */
  readonly executeText: (name: string, ...args: ReadonlyArray<ArgumentInput>) => Effect.Effect<Reply, RedisError>
  /** Like `execute` by name, with the reply read as bytes, whatever `encoding` says. */
  readonly executeBytes: (name: string, ...args: ReadonlyArray<ArgumentInput>) => Effect.Effect<Reply, RedisError>
  /** Changes the database (SELECT). A number that is no database is refused before anything is sent. */
  readonly select: (database: number) => Effect.Effect<void, RedisError>
  /** Becomes another user (AUTH). Without a user name it is the default user. */
  readonly auth: (credentials: Options.Credentials) => Effect.Effect<void, RedisError>
  /**
   * Pushes of the server: invalidations, messages. Up to 4 096 wait for a slow listener; then the oldest are dropped.
   * The Stream ends with the lease, or when this side closes the connection.
   */
  readonly pushes: Stream.Stream<Push, ConnectionError>
  /** This connection as the service that commands need. */
  readonly redis: RedisService
  /** Takes no more commands, waits for what is owed (up to `closeTimeout`), and ends the connection. */
  readonly close: Effect.Effect<void>
}

export type {
  /**
   * The user that a connection authenticates as.
   *
   * @since 0.1.0
   * @category models
   */
  Credentials
} from "./internal/connection/options.js"

/**
 * The tag of the connection.
 *
 * @since 0.1.0
 * @category tags
 */
export const Connection: Context.Tag<Connection, Connection> = Context.GenericTag<Connection>(
  "effect-redis-client/Connection"
)

export type {
  /**
   * @since 0.1.0
   * @category options
   */
  ConnectionOptions,
  /**
   * @since 0.1.0
   * @category options
   */
  TlsOptions
} from "./internal/connection/options.js"

/**
 * Connects and shakes hands, within `connectTimeout`. The scope closes the connection.
 *
 * Fails with `UsageError` on options that are wrong, `ConnectionError` when there is no connection, and `DeadlineError`
 * when there is none in time.
 *
 * @example
 * ```ts
 * import { Connection } from "effect-redis-client"
 * import { Effect } from "effect"
 *
 * export const program = Effect.scoped(Effect.gen(function*() {
 *   const connection = yield* Connection.make({ url: "redis://localhost:6379" })
 *   yield* connection.select(2)
 *   return yield* connection.execute("PING")
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options.ConnectionOptions = {}): Effect.Effect<Connection, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const resolved = yield* Options.resolve(options)
    const dial = makeDial({ options: resolved, connect, observer: yield* observing(options, resolved) })
    return yield* acquire((restore) => dial.open({ restore }), resolved)
  })

/**
 * A connection over a Duplex that somebody else connected. The scope ends it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDuplex = (
  duplex: Duplex,
  options: OverOptions = {}
): Effect.Effect<Connection, RedisError, Scope.Scope> => over(() => Effect.sync(() => duplexTransport(duplex)), options)

/**
 * A connection over any `@effect/platform` Socket: WebSocket tunnels, other runtimes. Best effort: such sockets give no
 * read backpressure. It does not reconnect, even where the socket could.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromSocket = (
  socket: Socket.Socket,
  options: OverOptions = {}
): Effect.Effect<Connection, RedisError, Scope.Scope> => over(() => socketTransport(socket), options)

/**
 * Options of a connection whose transport is given.
 *
 * @since 0.1.0
 * @category options
 */
export interface OverOptions
  extends Omit<
    Options.ConnectionOptions,
    "url" | "host" | "port" | "path" | "tls" | "family" | "keepAlive" | "noDelay"
  > {}

const over = (
  transport: () => Effect.Effect<Transport, never, Scope.Scope>,
  options: OverOptions
): Effect.Effect<Connection, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const resolved = yield* Options.resolve(options)
    const observer = yield* observing(options, resolved, handedIn)
    let given = false
    // There is only one transport: when the peer closes it at a step of the handshake, there is no other to try without that step.
    const once = Effect.suspend((): Effect.Effect<Transport, RedisError, Scope.Scope> => {
      if (given) {
        return Effect.fail(
          new ConnectionError({
            reason: "peerClosed",
            delivery: "unsent",
            message: "the peer closed the transport at HELLO; try protocol: 2, and clientInfo: false"
          })
        )
      }
      given = true
      return transport()
    })
    return yield* acquire((restore) => openGiven(once, resolved, restore, observer), resolved)
  })

const handedIn = "a transport that was handed in"

/** Opens a link over a transport that somebody else connected. */
const openGiven = (
  transport: Effect.Effect<Transport, RedisError, Scope.Scope>,
  options: Options.ResolvedOptions,
  restore: Restore,
  observer: Observer | undefined
): Effect.Effect<Link, RedisError, Scope.Scope> =>
  Effect.tap(
    openOver(() => Effect.succeed({ transport, ifUnheard: "" }), options, {
      restore,
      steps: [],
      observer,
      address: () => handedIn,
      peculiarities: new Peculiarities()
    }),
    (link) => reportEnd(link, observer)
  )

/** Opens interruptibly. The scope closes what was opened. */
const acquire = <R>(
  opening: (restore: Restore) => Effect.Effect<Link, RedisError, R>,
  options: Options.ResolvedOptions
): Effect.Effect<Connection, RedisError, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const link = yield* opening(restore)
      yield* Effect.addFinalizer(() => link.close(options.closeTimeout))
      return fromLink(link, options)
    })
  )

/**
 * The connection of a Layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options.ConnectionOptions = {}): Layer.Layer<Connection, RedisError> =>
  Layer.scoped(Connection, make(options))

/**
 * The connection of a Layer, its options read from the configuration: `layerConfig({ url: Config.redacted("REDIS_URL") })`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<Options.ConnectionOptions>
): Layer.Layer<Connection, RedisError | ConfigError.ConfigError> =>
  Layer.scoped(Connection, Effect.flatMap(Config.unwrap(options), make))

/**
 * A link as a connection. `released` says whether its lease is over: then nothing that is sent reaches the link. Pools make
 * one for each lease.
 *
 * @internal
 */
export const fromLink = (
  link: Link,
  options: Pick<Options.ResolvedOptions, "encoding" | "closeTimeout">,
  released: () => boolean = () => false
): Connection => {
  const holder = holderOf(released)
  const raw =
    (reply: "text" | "bytes") =>
    (name: string, ...args: ReadonlyArray<ArgumentInput>) =>
      link.send(makeCommand(name, { args, reply }), holder)
  const byDefault = raw(options.encoding === "bytes" ? "bytes" : "text")
  const { closeReason, db, id, protocol } = factsOf(link)
  const redis = serviceOf(link, holder)
  return {
    [TypeId]: TypeId,
    id,
    encoding: options.encoding,
    protocol,
    db,
    closed: Effect.sync(() => released() || link.engine.closed !== undefined),
    closeReason,
    execute: ((command: RedisCommand<unknown> | string, ...args: ReadonlyArray<ArgumentInput>) =>
      isRedisCommand(command) ? run(command, redis) : byDefault(command, ...args)) as Connection["execute"],
    executeText: raw("text"),
    executeBytes: raw("bytes"),
    select: (database) =>
      Either.match(Options.checkDatabase(database), {
        onLeft: Effect.fail,
        onRight: (database) => Effect.asVoid(redis.send(makeCommand("SELECT", { args: [database] })))
      }),
    auth: ({ password, username }) =>
      Effect.suspend(() =>
        Effect.asVoid(
          redis.send(
            makeCommand("AUTH", {
              args: username === undefined ? [Redacted.value(password)] : [username, Redacted.value(password)]
            })
          )
        )
      ),
    // Made when it is run, because it costs more than a lease.
    pushes: Stream.suspend(() => pushesOf(link, released)),
    redis,
    close: Effect.suspend(() => (released() ? Effect.void : link.close(options.closeTimeout)))
  }
}

const pushesOf = (link: Link, released: () => boolean): Connection["pushes"] =>
  callbackStream<Push, ConnectionError>((emit) => {
    const onEnd = (close: CloseReason | undefined): void => {
      if (close === undefined || close.reason === "closed") {
        emit.end()
      } else {
        emit.fail(closeError(close, "unsent", link.address))
      }
    }
    if (released()) {
      onEnd(undefined)
      return () => {}
    }
    return link.onPush({ onPush: (push) => emit.single(push), onEnd })
  }, 4096)
