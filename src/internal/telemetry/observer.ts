/**
 * The one place through which everything that a client does passes: requests, retries, attempts to connect, connections,
 * leases and messages. An observer turns it into spans, metrics or logs. Where nobody observes, each place costs one test
 * for `undefined`.
 *
 * An observer is called from the socket's stack. What it throws is swallowed: it ends nothing and delays nobody else.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { RedisError } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { type Reference, reference } from "../effect/reference.js"

/** A command, pipeline or transaction that was accepted. */
export interface RequestStart {
  /** Their arguments print redacted. */
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
  /** Between MULTI and EXEC. */
  readonly atomic: boolean
  /** The server's address. */
  readonly server: string
  /** The fiber of the caller. */
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
}

/** A request is sent again, after it lost its connection or was refused before it was executed. */
export interface Retry {
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
  readonly server: string
  readonly reason: "disconnected" | "refused"
  /** The code of the refusal. */
  readonly code: string | undefined
  /** How often the request was written before. */
  readonly attempts: number
}

/** A connection of any kind ended, or a client has a connection again. */
export interface ConnectionChange {
  readonly server: string
  /** CLIENT ID, where the server reported it. */
  readonly id: number | undefined
  readonly change: "ready" | "lost"
  /** Why it was lost. */
  readonly reason: string | undefined
}

/** How the size of a pool changed. */
export interface PoolChange {
  readonly server: string
  readonly size: number
  readonly free: number
  readonly waiting: number
}

/** Called at the end of what began. */
export type Ended<E> = (exit: Exit.Exit<unknown, E>) => void

export interface Observer {
  /** A request was accepted, on the caller's fiber. The function that it returns is called with the result, once. */
  readonly request?: ((start: RequestStart) => Ended<RedisError> | undefined) | undefined
  readonly retry?: ((retry: Retry) => void) | undefined
  /** An attempt to connect begins: it covers the socket, TLS and the handshake. */
  readonly attempt?: ((start: { readonly server: string }) => Ended<RedisError> | undefined) | undefined
  readonly connection?: ((change: ConnectionChange) => void) | undefined
  /** A lease was given. `waited` is in milliseconds. The function that it returns is called when the lease ends. */
  readonly lease?:
    | ((lease: { readonly server: string; readonly waited: number }) => (() => void) | undefined)
    | undefined
  readonly pool?: ((change: PoolChange) => void) | undefined
  /** A message was handed to this many subscriptions. */
  readonly message?:
    | ((message: { readonly server: string; readonly kind: string; readonly listeners: number }) => void)
    | undefined
}

/** The observer that clients, pools and connections use when they are built. Default: none. */
export const CurrentObserver: Reference<{ readonly observer: Observer | undefined }> = reference<{
  readonly observer: Observer | undefined
}>("effect-redis-client/CurrentObserver", () => ({ observer: undefined }))

export const currentObserver: Effect.Effect<Observer | undefined> = Effect.map(
  CurrentObserver,
  ({ observer }) => observer
)

/** Calls an observer. What it throws is dropped, so that the caller's work goes on. */
export const notify = <A, B>(observe: ((event: A) => B) | undefined, event: A): B | undefined => {
  if (observe === undefined) {
    return undefined
  }
  try {
    return observe(event)
  } catch {
    return undefined
  }
}
