/**
 * One connection to a server: one socket, greeted and ready, for as long as its scope lives. It is never replaced; when
 * it ends, everything that is owed fails with the reason, and so does everything sent later.
 *
 * Commands issued in one turn of the event loop leave in one write (or in writes of 64) and are answered in order, so any
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
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import type { RedisService, Status } from "./internal/command/model.js"
import type { Credentials } from "./internal/connection/credentials.js"
import { open, openOver, type Restore } from "./internal/connection/handshake.js"
import { logClose } from "./internal/connection/lifecycle.js"
import { Holder, type Link } from "./internal/connection/link.js"
import { type Duplex, fromDuplex as duplexTransport } from "./internal/connection/nodeTransport.js"
import * as Options from "./internal/connection/options.js"
import { fromSocket as socketTransport } from "./internal/connection/socketTransport.js"
import type { CloseReason, Transport } from "./internal/engine/engine.js"
import { closeError } from "./internal/request/failure.js"
import type { Push, Reply } from "./internal/resp/values.js"
import { type ArgumentInput, isRedisCommand, make as makeCommand, type RedisCommand, run } from "./RedisCommand.js"
import { ConnectionError, type RedisError, UsageError } from "./RedisError.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/Connection")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  readonly [TypeId]: TypeId
  /** The server's id of this connection, as CLIENT ID gives it; `None` where the server told none. */
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
   * Runs a command, or sends any command by its name and answers the reply as the server sent it, text or bytes as
   * `encoding` says.
   */
  readonly execute: {
    <A>(command: RedisCommand<A>): Effect.Effect<A, RedisError>
    (name: string, ...args: ReadonlyArray<ArgumentInput>): Effect.Effect<Reply, RedisError>
  }
  /** Like `execute` by name, with the reply read as text, whatever `encoding` says. */
  readonly executeText: (name: string, ...args: ReadonlyArray<ArgumentInput>) => Effect.Effect<Reply, RedisError>
  /** Like `execute` by name, with the reply read as bytes, whatever `encoding` says. */
  readonly executeBytes: (name: string, ...args: ReadonlyArray<ArgumentInput>) => Effect.Effect<Reply, RedisError>
  /** Changes the database (SELECT). A number that is no database is refused before anything is sent. */
  readonly select: (database: number) => Effect.Effect<void, RedisError>
  /** Becomes another user (AUTH). Without a user name it is the default user. */
  readonly auth: (credentials: Credentials) => Effect.Effect<void, RedisError>
  /**
   * What the server sends on its own account: invalidations, messages. Up to 4 096 wait for a slow listener; the oldest
   * go. It ends with the lease, or when this side closes the connection.
   */
  readonly pushes: Stream.Stream<Push, ConnectionError>
  /** This connection as the service that commands need. */
  readonly redis: RedisService
  /** Takes no more commands, waits for what is owed (up to `closeTimeout`), and ends the connection. */
  readonly close: Effect.Effect<void>
}

export type {
  /**
   * Who to be for the server.
   *
   * @since 0.1.0
   * @category models
   */
  Credentials
} from "./internal/connection/credentials.js"

/**
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
 * Connects and greets, within `connectTimeout`; the scope closes the connection.
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
  Effect.flatMap(Options.resolve(options), (resolved) => acquire((restore) => open(resolved, restore), resolved))

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
  Effect.flatMap(Options.resolve(options), (resolved) => {
    let given = false
    // There is one transport: where HELLO is answered by a close, there is no other to try without.
    const once = Effect.suspend((): Effect.Effect<Transport, RedisError, Scope.Scope> => {
      if (given) {
        return Effect.fail(
          new ConnectionError({
            reason: "peerClosed",
            delivery: "unsent",
            message: "the peer closed the transport at HELLO; try protocol: 2"
          })
        )
      }
      given = true
      return transport()
    })
    return acquire((restore) => openOver(() => once, resolved, restore), resolved)
  })

/** Opens interruptibly, and closes for sure. */
const acquire = <R>(
  opening: (restore: Restore) => Effect.Effect<Link, RedisError, R>,
  options: Options.ResolvedOptions
): Effect.Effect<Connection, RedisError, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const link = yield* opening(restore)
      yield* logClose(link)
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
 * A link as a connection. `released` says whether a lease of it is over; then nothing reaches the link any more. Pools make
 * one for each lease.
 *
 * @internal
 */
export const fromLink = (
  link: Link,
  options: Pick<Options.ResolvedOptions, "encoding" | "closeTimeout">,
  released: () => boolean = () => false
): Connection => {
  const refusal = (): UsageError | undefined =>
    released()
      ? new UsageError({
          reason: "released",
          message: "this connection was given back to its pool when its scope closed; acquire another"
        })
      : undefined
  const owner = new Holder(refusal)
  const raw =
    (reply: "text" | "bytes") =>
    (name: string, ...args: ReadonlyArray<ArgumentInput>) =>
      link.send(makeCommand(name, { args, reply }), owner)
  const byDefault = raw(options.encoding === "bytes" ? "bytes" : "text")
  const { closeReason, db, id, protocol, status } = factsOf(link)
  const redis: RedisService = {
    send: (command) => link.send(command, owner),
    sendAll: (commands, batch) => link.sendAll(commands, batch, owner),
    // It already is a connection of one's own; but its WATCH is told from that of others who lease it meanwhile.
    lease: Effect.sync(() => {
      const holder = new Holder(refusal)
      const leased: RedisService = {
        send: (command) => link.send(command, holder),
        sendAll: (commands, batch) => link.sendAll(commands, batch, holder),
        lease: Effect.sync(() => leased),
        status
      }
      return leased
    }),
    status
  }
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
    // Made when it is run: it costs more than a lease.
    pushes: Stream.suspend(() => pushesOf(link, released)),
    redis,
    close: Effect.suspend(() => (released() ? Effect.void : link.close(options.closeTimeout)))
  }
}

const pushesOf = (link: Link, released: () => boolean): Connection["pushes"] =>
  Stream.asyncPush<Push, ConnectionError>(
    (emit) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const onEnd = (close: CloseReason | undefined): void => {
            if (close === undefined || close.reason === "closed") {
              emit.end()
            } else {
              emit.fail(closeError(close, "unsent"))
            }
          }
          if (released()) {
            onEnd(undefined)
            return () => {}
          }
          return link.onPush({ onPush: (push) => emit.single(push), onEnd })
        }),
        (off) => Effect.sync(off)
      ),
    { bufferSize: 4096, strategy: "sliding" }
  )

/** What all leases of a link say of it alike: made once. */
interface Facts extends Pick<Connection, "id" | "protocol" | "db" | "closeReason">, Pick<RedisService, "status"> {}

const facts = new WeakMap<Link, Facts>()

const factsOf = (link: Link): Facts => {
  const known = facts.get(link)
  if (known !== undefined) {
    return known
  }
  const made: Facts = {
    id: Option.fromNullable(link.id),
    protocol: Effect.sync(() => link.session.protocol),
    db: Effect.sync(() => link.session.database),
    closeReason: Effect.sync(() =>
      Option.map(Option.fromNullable(link.engine.closed), (close) => closeError(close, "unsent"))
    ),
    status: statusOf(link)
  }
  facts.set(link, made)
  return made
}

/** A connection is there until it ends; there is no other. */
const statusOf = (link: Link): Subscribable.Subscribable<Status> => {
  const closed = (close: CloseReason): Status => ({ _tag: "Closed", cause: closeError(close, "unsent") })
  return Subscribable.make({
    get: Effect.sync(() => (link.engine.closed === undefined ? ready : closed(link.engine.closed))),
    changes: Stream.asyncPush<Status>(
      (emit) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const end = (close: CloseReason): void => {
              emit.single(closed(close))
              emit.end()
            }
            if (link.engine.closed !== undefined) {
              end(link.engine.closed)
              return () => {}
            }
            emit.single(ready)
            return link.onClose(end)
          }),
          (off) => Effect.sync(off)
        ),
      { bufferSize: "unbounded" }
    )
  })
}

const ready: Status = { _tag: "Ready" }
