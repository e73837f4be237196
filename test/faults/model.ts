/**
 * The fault table's words: what goes wrong (`faults.ts`), when (`phases.ts`), to which kind of call (`calls.ts`), and what
 * must come of it (`expected.ts`).
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Connection, Pool } from "effect-redis-client"
import type * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type { RedisOptions, RedisService } from "../../src/Redis.js"

/**
 * What a fault is to a client.
 *
 * - `slow`: everything comes, later.
 * - `ends`: the connection ends, and the client hears of it.
 * - `silent`: nothing comes, and nobody says so.
 * - `corrupt`: a byte is another one.
 */
export type Kind = "slow" | "ends" | "silent" | "corrupt"

export interface FaultRow {
  readonly name: string
  readonly kind: Kind
  readonly direction: "toServer" | "toClient" | "both"
  /** Several happen together. Large requests and replies have it coarser where it would take too long. */
  readonly faults: (large: boolean) => ReadonlyArray<FaultProxy.Fault>
  /** The client hears of it although nothing is sent or read. */
  readonly unasked?: boolean | undefined
  /** There is nobody to connect to, until it is healed. */
  readonly away?: boolean | undefined
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
  /** Connections to come have the fault, or those there are. */
  readonly when: "connecting" | "connected"
  /** Where in the bytes it begins: so many bytes, in a direction; at once when not given. */
  readonly at?: { readonly bytes: number; readonly direction: "toServer" | "toClient" } | undefined
  /** What is large in it. */
  readonly size: Size
}

export type Size = "small" | "largeRequest" | "largeReply"

/** What a call has to work with. Its keys begin with `key`. */
export interface Bench {
  readonly key: string
  readonly size: Size
  /** A value of some hundred kilobytes. */
  readonly big: string
  /** How a client of one's own reaches the server through the proxy. */
  readonly options: RedisOptions
  readonly fault: FaultRow
  readonly redis: RedisService
  readonly pool: Pool.Pool
  /** A connection that goes past the proxy. */
  readonly direct: Connection.Connection
  readonly proxy: FaultProxy.FaultProxy
  /** Makes the fault happen where the phase says, for calls that do it themselves. */
  readonly inject: Effect.Effect<void>
  /** Makes it happen at once. */
  readonly injectNow: Effect.Effect<void>
}

export interface CallRow {
  readonly name: string
  /**
   * - `readonly`: asked again by the client when its connection ended.
   * - `repeatable`: so declared.
   * - `write`: never asked twice.
   */
  readonly kind: "readonly" | "repeatable" | "write"
  /** More than one round trip: what ends in the middle may be met by any of them. */
  readonly rounds?: boolean | undefined
  /** On which connection it goes: the shared one, one that the client leases for it, one of the pool, or its own. */
  readonly on: "shared" | "leased" | "pool" | "own"
  readonly phases: ReadonlyArray<PhaseName>
  /** It makes the fault happen itself, when it is where the phase says. */
  readonly byItself?: boolean | undefined
  /** What has to be there, past the proxy. */
  readonly prepare: (bench: Bench) => Effect.Effect<unknown, unknown>
  readonly run: (bench: Bench) => Effect.Effect<unknown, unknown, Scope.Scope>
  /** What the answer is, if there is one. */
  readonly answer: (bench: Bench) => unknown
  /** How often it was executed, by what is there now. */
  readonly executed: (bench: Bench) => Effect.Effect<number, unknown>
}
