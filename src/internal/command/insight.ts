/** What `Redis.stats` and `Redis.events` show. A service hands it on with what it is about. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ConnectionError, RedisError } from "../../RedisError.js"

/**
 * How a server answers.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerStats {
  /** `host:port`, or the path of a socket. */
  readonly server: string
  /** Open connections to it, of any kind. */
  readonly connections: number
  /** Replies that it owes. Looked at every 20 milliseconds while there are any. */
  readonly inFlight: number
  /**
   * The time from a command to its reply in the last minute, the wait in the client left out, of some commands: the first after
   * an idle moment, and one every 20 milliseconds. All are zero without samples.
   */
  readonly latency: {
    readonly samples: number
    readonly p50: Duration.Duration
    readonly p99: Duration.Duration
    readonly max: Duration.Duration
  }
}

/**
 * What a client has counted since it was built. Names in `closed` are the reasons of `ConnectionError`, names in `errors` those of
 * the metric `redis.client.errors`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** The servers that the client was connected to: one, or the nodes of a cluster. */
  readonly servers: ReadonlyArray<ServerStats>
  /** Commands that wait unsent, and their bytes. At most 20 milliseconds old. */
  readonly queued: { readonly commands: number; readonly bytes: number }
  /** The connections for leases and blocking commands: how many there are, how many are free, how many callers wait for one. */
  readonly pool: { readonly size: number; readonly free: number; readonly waiting: number }
  /** Commands, pipelines and transactions that were sent again. */
  readonly retries: number
  /** Commands that a node of a cluster sent elsewhere. */
  readonly redirections: number
  /** How often a lost connection was replaced. */
  readonly reconnects: number
  /** Attempts to connect that failed. */
  readonly failedAttempts: number
  /** Connections that ended, by reason. */
  readonly closed: Readonly<Record<string, number>>
  /** Failures that callers were given, by type. */
  readonly errors: Readonly<Record<string, number>>
}

/**
 * Something that happened to a client. No event shows a key, a value or a password. A subscriber that lags misses the oldest.
 *
 * @since 0.1.0
 * @category models
 */
export type ClientEvent =
  | { readonly _tag: "Connected"; readonly server: string; readonly connection: number | undefined }
  | {
      readonly _tag: "Disconnected"
      readonly server: string
      readonly connection: number | undefined
      readonly reason: ConnectionError["reason"]
    }
  /** A lost connection was replaced. */
  | { readonly _tag: "Reconnected"; readonly server: string }
  | { readonly _tag: "ConnectFailed"; readonly server: string; readonly error: RedisError }
  | {
      readonly _tag: "Retry"
      readonly server: string
      /** The names of the commands. */
      readonly commands: ReadonlyArray<string>
      readonly reason: "disconnected" | "refused"
      /** The code of the refusal. */
      readonly code: string | undefined
    }
  /** A node of a cluster sent a command elsewhere. */
  | {
      readonly _tag: "Redirected"
      readonly server: string
      readonly commands: ReadonlyArray<string>
      readonly kind: "MOVED" | "ASK"
    }
  /** A request took longer than the option `telemetry.slowAfter`, from when it was accepted. */
  | {
      readonly _tag: "SlowCommand"
      readonly server: string
      readonly commands: ReadonlyArray<string>
      readonly duration: Duration.Duration
    }

/** The inside of `Redis.stats` and `Redis.events`. */
export interface Insight {
  readonly stats: Effect.Effect<Stats>
  readonly events: Stream.Stream<ClientEvent>
}
