/**
 * What the steps of opening a connection have in common: how they are interrupted, ended from outside, and how far they
 * came. A transport is made by a {@link Connect}, one for each runtime; nothing else here knows a runtime.
 */
import type * as Effect from "effect/Effect"
import type { ConnectionError, RedisError } from "../../RedisError.js"
import type { Transport } from "../engine/transport.js"
import type { Endpoint, ResolvedOptions } from "./options.js"

/** Restores the interruptibility of the caller, inside a region that is not interruptible. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** How far an attempt to connect came, for its error. */
export type Stage =
  | "no connection was made"
  | "the peer does not answer the TLS handshake; does this port speak TLS?"
  | "the peer does not answer the handshake"
  | "the credentials did not come"
  | "the server's address did not come"

/** Is given how to end what was opened last, so that nothing is left when the attempt fails or is interrupted. */
export type Own = (end: () => void, stage?: Stage) => void

/** Is given how to end an attempt from outside, with the failure that the attempt then has. */
export type Started = (abort: (error: RedisError) => void) => void

/** Makes a transport to an endpoint. `own` is told how to end it. */
export type Connect = (
  endpoint: Endpoint,
  options: ResolvedOptions,
  own: Own
) => Effect.Effect<Transport, ConnectionError>
