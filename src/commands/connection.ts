/**
 * The connection itself: its login, name and tracking, and the other clients of the server.
 *
 * Most of these commands change the connection they are sent over. A shared connection refuses them; send them over a
 * lease.
 *
 * @see https://redis.io/docs/latest/commands/?group=connection
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type { Codec } from "../Codec.js"
import {
  type AtMostOne,
  args,
  type Checked,
  type DurationWithUnit,
  type ExactlyOne,
  type Key,
  type OneOrMany,
  toList
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { type ClientFilter, type ClientInfo, clientInfo, filter } from "./connection-client.js"

import { type ModuleInfo, moduleInfo } from "./server-config.js"

export type { ClientFilter, ClientInfo, ClientType } from "./connection-client.js"

/**
 * Which keys CLIENT TRACKING ON tracks. With `bcast`: all keys, or those with one of the prefixes. Without it: the keys
 * that this connection reads; with `optin` or `optout`, {@link ConnectionCommands.clientCaching} decides for each
 * command.
 *
 * @since 0.1.0
 * @category options
 */
export type TrackingOptions = {
  /** The id of the client that receives the invalidations. RESP2 needs this. */
  readonly redirect?: number | undefined
  /** The server sends no invalidations for keys that this connection changes itself. */
  readonly noloop?: boolean | undefined
} & (
  | {
      readonly bcast: true
      /** Only keys that begin with one of these. */
      readonly prefix?: OneOrMany<Key> | undefined
      readonly optin?: undefined
      readonly optout?: undefined
    }
  | ({ readonly bcast?: undefined; readonly prefix?: undefined } & AtMostOne<{
      readonly optin: true
      readonly optout: true
    }>)
)

/**
 * The state of a connection's tracking (CLIENT TRACKINGINFO).
 *
 * @since 0.1.0
 * @category models
 */
export interface TrackingInfo<out K> {
  /** `off`, or `on` followed by the chosen options. */
  readonly flags: ReadonlyArray<string>
  /** The id of the client that receives the invalidations; 0: this connection itself; -1: tracking is off. */
  readonly redirect: Option.Option<number>
  readonly prefixes: ReadonlyArray<K>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * @since 0.1.0
 * @category options
 */
export interface HelloOptions {
  readonly auth?: { readonly username: string; readonly password: Redacted.Redacted<string> } | undefined
  /** The connection's name, as by CLIENT SETNAME. */
  readonly setname?: string | undefined
}

/**
 * The reply to HELLO: what the server is, and the state of the connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface HelloReply<out K = string> {
  /** `redis` or `valkey`; other servers may use either name. */
  readonly server: Option.Option<string>
  readonly version: Option.Option<string>
  /** The protocol in use from now on: 2 or 3. */
  readonly proto: number
  /** The id of this connection. */
  readonly id: Option.Option<number>
  readonly mode: Option.Option<"standalone" | "sentinel" | "cluster" | (string & {})>
  /** A sentinel has none. */
  readonly role: Option.Option<"master" | "replica" | (string & {})>
  readonly modules: ReadonlyArray<ModuleInfo<K>>
  /** The server's availability zone; empty unless the server is configured with one. Valkey 8.1. */
  readonly availabilityZone: Option.Option<string>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * The commands on the connection and on clients.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionCommands<K extends Key> {
  /**
   * Logs the connection in, as the default user or as another one. The client does this by itself with the credentials
   * given to its layer.
   *
   * O(N) in the user's passwords. Since Redis 1.0.0 (users since 6.0.0).
   */
  readonly auth: {
    /**
     * Logs the connection in as the default user. The client does this by itself with the credentials given to its
     * layer.
     *
     * O(N) in the user's passwords. Since Redis 1.0.0.
     */
    (password: Redacted.Redacted<string>): RedisCommand<void>

    /**
     * Logs the connection in as a user. The client does this by itself with the credentials given to its layer.
     *
     * O(N) in the user's passwords. Since Redis 6.0.0.
     */
    (username: string, password: Redacted.Redacted<string>): RedisCommand<void>
  }

  /**
   * Sets whether the keys of the next command are tracked: `"yes"` under CLIENT TRACKING with `optin`, `"no"` with
   * `optout`.
   *
   * O(1). Since Redis 6.0.0.
   */
  readonly clientCaching: (mode: "yes" | "no") => RedisCommand<void>

  /**
   * Announces what this client can do. `"redirect"`: the server may redirect it to the primary on failover.
   *
   * O(1). Since Valkey 8.0.0; not in Redis.
   */
  readonly clientCapa: (capabilities: OneOrMany<string>) => RedisCommand<void>

  /**
   * The connection's name; `None` when it has none.
   *
   * O(1). Since Redis 2.6.9.
   */
  readonly clientGetname: () => RedisCommand<Option.Option<K>>

  /**
   * The id of the client that receives this connection's invalidations; 0: this connection itself; -1: tracking is off.
   *
   * O(1). Since Redis 6.0.0.
   */
  readonly clientGetredir: () => RedisCommand<number>

  /**
   * The id of the connection. A later connection always has a higher id.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly clientId: () => RedisCommand<number>

  /**
   * Marks the connection as an import source: it sees expired keys while the server is in import mode.
   *
   * O(1). Since Valkey 8.1.0; not in Redis.
   */
  readonly clientImportSource: (mode: "on" | "off") => RedisCommand<void>

  /**
   * What the server knows about this connection.
   *
   * O(1). Since Redis 6.2.0.
   */
  readonly clientInfo: () => RedisCommand<ClientInfo<K>>

  /**
   * Closes connections. With an address: that connection; fails when there is none. With a filter: every connection
   * that meets all its fields; returns how many. This connection is spared unless `skipme` is `"no"`.
   *
   * O(N) in the number of clients. Since Redis 2.4.0 (filters since 2.8.12).
   *
   * @example
   * ```ts
   * const ended = yield* Redis.clientKill({ user: "ada", type: "normal" }) // number
   * ```
   */
  readonly clientKill: <const F extends string | ClientFilter>(
    addressOrFilter: F extends string ? F : Checked<F, ClientFilter>
  ) => RedisCommand<F extends string ? void : number>

  /**
   * The clients of the server, or those that meet every field of a filter. Redis supports only `type` or `id`.
   *
   * O(N) in the number of clients. Since Redis 2.4.0.
   *
   * @example
   * ```ts
   * const clients = yield* Redis.clientList() // Array<ClientInfo>
   * const idle = clients.filter((client) => Duration.greaterThan(client.idle, "1 hour"))
   * ```
   */
  readonly clientList: (filter?: ClientFilter) => RedisCommand<Array<ClientInfo<K>>>

  /**
   * With `"on"`, the server spares the connection when it closes clients to save memory.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly clientNoEvict: (mode: "on" | "off") => RedisCommand<void>

  /**
   * With `"on"`, commands of this connection do not update the last access time of keys.
   *
   * O(1). Since Redis 7.2.0.
   */
  readonly clientNoTouch: (mode: "on" | "off") => RedisCommand<void>

  /**
   * Pauses the commands of all clients for this long: all commands, or only those that write.
   *
   * O(1). Since Redis 3.0.0 (modes since 6.2.0).
   */
  readonly clientPause: (
    timeout: DurationWithUnit,
    mode?: AtMostOne<{ readonly write: true; readonly all: true }>
  ) => RedisCommand<void>

  /**
   * Sets whether the server replies. This client refuses `"off"` and `"skip"`: it matches replies to commands by their
   * order.
   *
   * O(1). Since Redis 3.2.0.
   */
  readonly clientReply: (mode: "on" | "off" | "skip") => RedisCommand<void>

  /**
   * Announces the name or the version of the client library.
   *
   * O(1). Since Redis 7.2.0.
   */
  readonly clientSetinfo: (
    info: ExactlyOne<{ readonly libName: string; readonly libVer: string }>
  ) => RedisCommand<void>

  /**
   * Sets the connection's name; the empty name removes it.
   *
   * O(1). Since Redis 2.6.9.
   */
  readonly clientSetname: (name: string) => RedisCommand<void>

  /**
   * Turns the tracking of keys for client-side caching on or off.
   *
   * O(1). Since Redis 6.0.0.
   */
  readonly clientTracking: <Mode extends "on" | "off">(
    mode: Mode,
    options?: Mode extends "on" ? TrackingOptions | undefined : undefined
  ) => RedisCommand<void>

  /**
   * The state of the connection's tracking.
   *
   * O(1). Since Redis 6.2.0.
   */
  readonly clientTrackinginfo: () => RedisCommand<TrackingInfo<K>>

  /**
   * Ends the blocking command that a client waits in, as if its timeout had passed, or, with `error`, with the error
   * `UNBLOCKED`. `false` when the client was not blocked.
   *
   * O(log N) in the number of clients. Since Redis 5.0.0.
   */
  readonly clientUnblock: (
    id: number,
    how?: AtMostOne<{ readonly timeout: true; readonly error: true }>
  ) => RedisCommand<boolean>

  /**
   * Ends {@link clientPause} before its time.
   *
   * O(N) in the number of paused clients. Since Redis 6.2.0.
   */
  readonly clientUnpause: () => RedisCommand<void>

  /**
   * Returns the message.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly echo: (message: Key) => RedisCommand<K>

  /**
   * Asks what the server is; can also change the protocol, log in and name the connection. The client sends HELLO by
   * itself when it connects.
   *
   * O(1). Since Redis 6.0.0.
   */
  readonly hello: (protover?: 2 | 3, options?: HelloOptions) => RedisCommand<HelloReply<K>>

  /**
   * Checks that the server replies: with `PONG`, or with the message.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.ping() // "PONG"
   * ```
   */
  readonly ping: {
    /** Checks that the server replies, with `PONG`. O(1). Since Redis 1.0.0. */
    (): RedisCommand<string>
    /** Checks that the server replies, with the message. O(1). Since Redis 1.0.0. */
    (message: Key): RedisCommand<K>
  }

  /**
   * Asks the server to close the connection.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @deprecated since Redis 7.2.0: close the scope of the connection instead
   */
  readonly quit: () => RedisCommand<void>

  /**
   * Resets the connection's state: login, name, database, protocol, transaction, subscriptions, tracking.
   *
   * O(1). Since Redis 6.2.0.
   */
  readonly reset: () => RedisCommand<void>

  /**
   * Changes the connection's database.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly select: (db: number) => RedisCommand<void>
}

const AUTH = define("AUTH")
const CLIENT_CACHING = define("CLIENT CACHING")
const CLIENT_CAPA = define("CLIENT CAPA")
const CLIENT_GETNAME = define("CLIENT GETNAME")
const CLIENT_GETREDIR = define("CLIENT GETREDIR")
const CLIENT_ID = define("CLIENT ID")
const CLIENT_IMPORT_SOURCE = define("CLIENT IMPORT-SOURCE")
const CLIENT_INFO = define("CLIENT INFO")
const CLIENT_KILL = define("CLIENT KILL")
const CLIENT_LIST = define("CLIENT LIST")
const CLIENT_NO_EVICT = define("CLIENT NO-EVICT")
const CLIENT_NO_TOUCH = define("CLIENT NO-TOUCH")
const CLIENT_PAUSE = define("CLIENT PAUSE")
const CLIENT_REPLY = define("CLIENT REPLY")
const CLIENT_SETINFO = define("CLIENT SETINFO")
const CLIENT_SETNAME = define("CLIENT SETNAME")
const CLIENT_TRACKING = define("CLIENT TRACKING")
const CLIENT_TRACKINGINFO = define("CLIENT TRACKINGINFO")
const CLIENT_UNBLOCK = define("CLIENT UNBLOCK")
const CLIENT_UNPAUSE = define("CLIENT UNPAUSE")
const ECHO = define("ECHO")
const HELLO = define("HELLO")
const PING = define("PING")
const QUIT = define("QUIT")
const RESET = define("RESET")
const SELECT = define("SELECT")

const auth = (first: string | Redacted.Redacted<string>, second?: Redacted.Redacted<string>): RedisCommand<void> => {
  // With two arguments the first is the user's name; a single argument is the password.
  const builder = second === undefined ? args() : args().text(first as string)
  return AUTH(builder.secret(second ?? (first as Redacted.Redacted<string>)), Decode.ok)
}

const clientKill = (which: string | ClientFilter): RedisCommand<never> => {
  if (typeof which === "string") {
    return CLIENT_KILL(args().text(which), Decode.ok) as RedisCommand<never>
  }
  const builder = filter(args(), which)
  return CLIENT_KILL(
    builder.list.length === 0 ? builder.fail("needs at least one filter") : builder,
    Decode.integer
  ) as RedisCommand<never>
}

const clientTracking = (mode: "on" | "off", options: TrackingOptions = {}): RedisCommand<void> => {
  const { bcast, noloop, optin, optout, prefix, redirect } = options
  const prefixes = prefix === undefined ? [] : toList(prefix)
  const builder = args()
    .word(mode)
    .atMostOne(options, ["bcast", "optin", "optout"])
    .option("REDIRECT", redirect, (args, id) => args.integer(id))
    .each(prefixes, (args, prefix) => args.token("PREFIX").keyPrefix(prefix))
    .flag("BCAST", bcast)
    .flag("OPTIN", optin)
    .flag("OPTOUT", optout)
    .flag("NOLOOP", noloop)
  return CLIENT_TRACKING(builder, Decode.ok)
}

const mode = (mode: string) => args().word(mode)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ConnectionCommands<K> => {
  const text = codec.wants === "text"
  const echoed = Decode.key(codec)
  const name = Report.name(codec)
  const optionalName = Decode.nullable(name)
  const clients = clientInfo(codec)
  const trackingInfo: Decode.Decoder<TrackingInfo<K>> = Report.struct("-", {
    flags: Report.list(Report.text),
    redirect: Report.optional(Report.integer),
    prefixes: Report.list(name)
  })
  const helloReply: Decode.Decoder<HelloReply<K>> = Report.struct("_", {
    server: Report.optional(Report.text),
    version: Report.optional(Report.text),
    proto: Report.essential(Report.integer),
    id: Report.optional(Report.integer),
    mode: Report.optional(Report.text),
    role: Report.optional(Report.text),
    modules: Report.list(moduleInfo(codec)),
    availabilityZone: Report.optional(Report.text)
  })

  return {
    auth,
    clientCaching: (caching) => CLIENT_CACHING(mode(caching), Decode.ok),
    clientCapa: (capabilities) =>
      CLIENT_CAPA(
        args().some("capability", capabilities, (args, capability) => args.text(capability)),
        Decode.ok
      ),
    clientGetname: () => CLIENT_GETNAME(args(), optionalName, text),
    clientGetredir: () => CLIENT_GETREDIR(args(), Decode.integer),
    clientId: () => CLIENT_ID(args(), Decode.integer),
    clientImportSource: (importing) => CLIENT_IMPORT_SOURCE(mode(importing), Decode.ok),
    clientInfo: () => CLIENT_INFO(args(), clients.one, text),
    clientKill,
    clientList: (which = {}) => CLIENT_LIST(filter(args(), which), clients.all, text),
    clientNoEvict: (sparing) => CLIENT_NO_EVICT(mode(sparing), Decode.ok),
    clientNoTouch: (sparing) => CLIENT_NO_TOUCH(mode(sparing), Decode.ok),
    clientPause: (timeout, mode) =>
      CLIENT_PAUSE(
        args().millis(timeout).atMostOne(mode, ["write", "all"]).flag("WRITE", mode?.write).flag("ALL", mode?.all),
        Decode.ok
      ),
    clientReply: (answering) => CLIENT_REPLY(mode(answering), Decode.ok),
    clientSetinfo: (info) => {
      const { libName, libVer } = info
      const builder = args()
        .exactlyOne(info, ["libName", "libVer"])
        .option("LIB-NAME", libName, (args, name) => args.text(name))
        .option("LIB-VER", libVer, (args, version) => args.text(version))
      return CLIENT_SETINFO(builder, Decode.ok)
    },
    clientSetname: (name) => CLIENT_SETNAME(args().text(name), Decode.ok),
    clientTracking,
    clientTrackinginfo: () => CLIENT_TRACKINGINFO(args(), trackingInfo, text),
    clientUnblock: (id, how) =>
      CLIENT_UNBLOCK(
        args().integer(id).atMostOne(how, ["timeout", "error"]).flag("TIMEOUT", how?.timeout).flag("ERROR", how?.error),
        Decode.boolean
      ),
    clientUnpause: () => CLIENT_UNPAUSE(args(), Decode.ok),
    echo: (message) => ECHO(args().text(message), echoed, text),
    hello: (protover, options = {}) => {
      const builder = args()
        .when(protover, (args, version) => args.integer(version))
        .option("AUTH", options.auth, (args, { password, username }) => args.text(username).secret(password))
        .option("SETNAME", options.setname, (args, name) => args.text(name))
      return HELLO(
        protover === undefined && builder.list.length > 0
          ? builder.fail("auth and setname need protover, the protocol's version")
          : builder,
        helloReply,
        text
      )
    },
    ping: (message?: Key) =>
      (message === undefined
        ? PING(args(), Report.text)
        : PING(args().text(message), echoed, text)) as RedisCommand<never>,
    quit: () => QUIT(args(), Decode.ok),
    reset: () => RESET(args(), Decode.ok),
    select: (db) => SELECT(args().integer(db), Decode.ok)
  }
}
