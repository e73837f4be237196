/**
 * Replication: the roles of servers, and failover.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/replication/
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import { args, type DurationWithUnit } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { port } from "../internal/command/serverArgs.js"

/**
 * The role of a server in replication, in the servers' own words. A role that is none of these is a `DecodeError`.
 *
 * @since 0.1.0
 * @category models
 */
export type ServerRole =
  | {
      readonly role: "master"
      readonly offset: Option.Option<number | bigint>
      readonly replicas: ReadonlyArray<{
        readonly host: string
        readonly port: number
        /** The offset that the replica last acknowledged. */
        readonly offset: Option.Option<number | bigint>
      }>
    }
  | {
      readonly role: "slave"
      /** The host of its primary. */
      readonly host: Option.Option<string>
      readonly port: Option.Option<number>
      /** `connect`, `connecting`, `sync`, `connected`, `handshake`, … */
      readonly state: Option.Option<string>
      /** How far it has read from its primary; -1 before the first synchronisation. */
      readonly offset: Option.Option<number | bigint>
    }
  | {
      readonly role: "sentinel"
      /** The names of the primaries it watches. */
      readonly masters: ReadonlyArray<string>
    }

/**
 * How a primary hands its role over to a replica.
 *
 * @since 0.1.0
 * @category options
 */
export type FailoverOptions =
  | {
      /** The replica. Default: the first one that has caught up. */
      readonly to?: { readonly host: string; readonly port: number; readonly force?: undefined } | undefined
      /** How long to wait for the replica to catch up, in whole milliseconds. Default: for ever. */
      readonly timeout?: DurationWithUnit | undefined
      readonly abort?: undefined
    }
  | {
      /**
       * With `force`, the replica becomes the primary after the timeout even when it has not caught up: writes may be
       * lost.
       */
      readonly to: { readonly host: string; readonly port: number; readonly force: true }
      readonly timeout: DurationWithUnit
      readonly abort?: undefined
    }
  | {
      /** Cancels a failover in progress. */
      readonly abort: true
      readonly to?: undefined
      readonly timeout?: undefined
    }

/**
 * The commands on replication.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerReplicationCommands {
  /**
   * Makes a replica the primary without losing a write (unless `force` is set). The server replies when the failover
   * has started.
   *
   * O(1). Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * yield* Redis.failover({ to: { host: "10.0.0.2", port: 6379 }, timeout: "5 seconds" })
   * ```
   */
  readonly failover: (options?: FailoverOptions) => RedisCommand<void>

  /**
   * Makes the server a replica of another one, whose data replaces all of its own; or, with `"no one"`, a primary.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly replicaof: {
    /** Makes the server a replica of another one, whose data replaces all of its own. O(1). Since Redis 5.0.0. */
    (host: string, port: number): RedisCommand<void>
    /** Makes the server a primary. O(1). Since Redis 5.0.0. */
    (none: "no one"): RedisCommand<void>
  }

  /**
   * The role of the server: a primary, a replica, or a sentinel.
   *
   * O(1). Since Redis 2.8.12.
   *
   * @example
   * ```ts
   * const { role } = yield* Redis.role() // "master", "slave" or "sentinel"
   * ```
   */
  readonly role: () => RedisCommand<ServerRole>

  /**
   * Makes the server a replica of another one, or a primary.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @deprecated since Redis 5.0.0 and Valkey 5.0.0: use {@link replicaof}
   */
  readonly slaveof: {
    /**
     * Makes the server a replica of another one, whose data replaces all of its own.
     *
     * O(1). Since Redis 1.0.0.
     *
     * @deprecated since Redis 5.0.0 and Valkey 5.0.0: use {@link replicaof}
     */
    (host: string, port: number): RedisCommand<void>

    /**
     * Makes the server a primary.
     *
     * O(1). Since Redis 1.0.0.
     *
     * @deprecated since Redis 5.0.0 and Valkey 5.0.0: use {@link replicaof}
     */
    (none: "no one"): RedisCommand<void>
  }
}

const FAILOVER = define("FAILOVER")
const REPLICAOF = define("REPLICAOF")
const ROLE = define("ROLE")
const SLAVEOF = define("SLAVEOF")

const optionalText = Report.optional(Report.text)
const optionalInteger = Report.optional(Report.integer)
const optionalOffset = Report.optional(Report.largeInteger)
const names = Report.list(Report.text)

const address = Decode.tuple(Report.text, Report.integer)
const replicas = Report.list((reply) => {
  const [host, port] = address(reply)
  return { host, port, offset: Report.read(optionalOffset, 2, Decode.items(reply)[2]) }
})

const role: Decode.Decoder<ServerRole> = (reply) => {
  const [first, ...parts] = Decode.items(reply)
  const part = <A>(at: number, field: Report.Field<A>) => Report.read(field, at + 1, parts[at])
  const word = Decode.at(0, Report.text, first ?? null)
  switch (word) {
    case "master":
      // Dragonfly sends no offset: its replicas come first.
      return { role: word, offset: part(0, optionalOffset), replicas: part(Array.isArray(parts[0]) ? 0 : 1, replicas) }
    case "slave":
    case "replica":
      return {
        role: "slave",
        host: part(0, optionalText),
        port: part(1, optionalInteger),
        state: part(2, optionalText),
        offset: part(3, optionalOffset)
      }
    case "sentinel":
      return { role: word, masters: part(0, names) }
    default:
      return Decode.mismatch("a role", reply)
  }
}

const of = (host: string, of?: number) =>
  of === undefined
    ? // Without a port, any other word would be a host alone.
      host === "no one"
      ? args().token("NO").token("ONE")
      : args().fail('needs a host and a port, or "no one"')
    : port(args().text(host), of)

/** @internal */
export const make = (): ServerReplicationCommands => ({
  failover: (options) =>
    FAILOVER(
      args()
        .option("TO", options?.to, (args, { force, host, port: number }) =>
          port(args.text(host), number).flag("FORCE", force)
        )
        .flag("ABORT", options?.abort)
        .option("TIMEOUT", options?.timeout, (args, timeout) => args.millis(timeout)),
      Decode.ok
    ),
  replicaof: (host: string, port?: number) => REPLICAOF(of(host, port), Decode.ok),
  role: () => ROLE(args(), role),
  slaveof: (host: string, port?: number) => SLAVEOF(of(host, port), Decode.ok)
})
