/**
 * The types of the fault table: the faults (`faults.ts`), their moments (`phases.ts`), the kinds of calls (`calls.ts`), and
 * the expected outcomes (`expected.ts`).
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Connection, Pool } from "effect-redis-client"
import type * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type { RedisOptions, RedisService } from "../../src/Redis.js"

/**
 * The effect of a fault on a client.
 *
 * - `slow`: all bytes arrive, later.
 * - `ends`: the connection ends, and the client notices.
 * - `silent`: bytes do not arrive, and the client gets no sign of it.
 * - `corrupt`: one byte is changed.
 */
export type Kind = "slow" | "ends" | "silent" | "corrupt"

export interface FaultRow {
  readonly name: string
  readonly kind: Kind
  readonly direction: "toServer" | "toClient" | "both"
  /** Faults that apply together. Coarser for large requests and replies where they would take too long. */
  readonly faults: (large: boolean) => ReadonlyArray<FaultProxy.Fault>
  /** The client notices the fault without sending or reading anything. */
  readonly unasked?: boolean | undefined
  /** No connection can be made until the fault is healed. */
  readonly away?: boolean | undefined
  /**
   * What stands still at the moment of the phase, in place of the bytes: the event loop of the client, for longer than every
   * deadline; or the process of the server, for a moment or until the fault is healed.
   */
  readonly stops?: "client" | "server for a moment" | "server" | undefined
}

export type PhaseName =
  | "connect"
  | "tls"
  | "greeting"
  | "idle"
  | "writing"
  | "awaiting"
  | "largeReply"
  | "blocking"
  | "subscribed"
  | "multi"

export interface PhaseRow {
  readonly name: PhaseName
  /** Whether new connections have the fault, or existing ones. */
  readonly when: "connecting" | "connected"
  /** The fault begins after this number of bytes in this direction; by default at once. */
  readonly at?: { readonly bytes: number; readonly direction: "toServer" | "toClient" } | undefined
  /** Whether the request or the reply is large. */
  readonly size: Size
}

export type Size = "small" | "largeRequest" | "largeReply"

/** The tools of a call. All its keys begin with `key`. */
export interface Bench {
  readonly key: string
  readonly size: Size
  /** A value of 300 kB. */
  readonly big: string
  /** Options for a client through the proxy that the call makes itself. */
  readonly options: RedisOptions
  readonly fault: FaultRow
  readonly redis: RedisService
  readonly pool: Pool.Pool
  /** A connection that bypasses the proxy. */
  readonly direct: Connection.Connection
  readonly proxy: FaultProxy.FaultProxy
  /** Injects the fault where the phase says, for calls that inject it themselves. */
  readonly inject: Effect.Effect<void>
  /** Injects the fault at once. */
  readonly injectNow: Effect.Effect<void>
  /** Ends the fault. */
  readonly heal: Effect.Effect<void>
}

export interface CallRow {
  readonly name: string
  /**
   * - `readonly`: retried by the client after a lost connection.
   * - `repeatable`: declared repeatable, and retried too.
   * - `write`: never retried.
   */
  readonly kind: "readonly" | "repeatable" | "write"
  /** The call has several round trips, and the fault may meet any of them. */
  readonly rounds?: boolean | undefined
  /** The connection it uses: the shared one, one that the client leases, one of the pool, or its own. */
  readonly on: "shared" | "leased" | "pool" | "own"
  readonly phases: ReadonlyArray<PhaseName>
  /** The call injects the fault itself, when it has reached the phase. */
  readonly byItself?: boolean | undefined
  /** Prepares the data, bypassing the proxy. */
  readonly prepare: (data: Pick<Bench, "key" | "size" | "big" | "direct">) => Effect.Effect<unknown, unknown>
  readonly run: (bench: Bench) => Effect.Effect<unknown, unknown, Scope.Scope>
  /** The expected result of a call that succeeds. */
  readonly answer: (bench: Bench) => unknown
  /** The number of executions, read from the server. */
  readonly executed: (bench: Bench) => Effect.Effect<number, unknown>
}
