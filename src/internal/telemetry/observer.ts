/**
 * The one place through which everything that a client does passes: requests, retries, attempts to connect, connections,
 * leases and messages. An observer turns it into spans, metrics or logs. Where nobody observes, each place costs one test
 * for `undefined`.
 *
 * An observer is called from the socket's stack. What it throws is swallowed: it ends nothing and delays nobody else.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { ConnectionError, RedisError } from "../../RedisError.js"
import type { Insight } from "../command/insight.js"
import type { RedisCommand } from "../command/model.js"
import { type Reference, reference } from "../effect/reference.js"

/** A command, pipeline or transaction that was accepted. The arguments of commands print redacted. */
export interface RequestStart {
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
  /** Between MULTI and EXEC. */
  readonly atomic: boolean
  /** A pipeline or a transaction: its result is a `BatchResult`. */
  readonly batch: boolean
  /** The address of the server that the client was given. */
  readonly server: string
}

/** A request that somebody watches, from when it was accepted to its result. */
export interface RequestWatch {
  /** Whether it is also told of the end of a request whose caller was interrupted. */
  readonly untilInterrupted: boolean
  /** It was handed to a connection to this server: once, and again for each time that it is sent again. */
  handed?(server: string): void
  retry?(retry: Retry): void
  /** A part of it goes to one of so many nodes. What is returned is called with the result of the part. */
  part?(part: RequestPart): Ended<RedisError> | undefined
  /** Called once. */
  ended(exit: Exit.Exit<unknown, RedisError>): void
}

/** What one node of a cluster gets of a request. */
export interface RequestPart {
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
  readonly server: string
  readonly nodes: number
}

/** A request is sent again, after it lost its connection or was refused before it was executed. */
export interface Retry {
  readonly commands: ReadonlyArray<RedisCommand<unknown>>
  /** The server that it was sent to. */
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
  /** Why it was lost: the reason of the `ConnectionError` that its commands fail with. */
  readonly reason: ConnectionError["reason"] | undefined
}

/** By how much a pool has grown, or shrunk: its connections, those that nobody holds, and the callers that wait for one. */
export interface PoolChange {
  readonly size: number
  readonly free: number
  readonly waiting: number
}

/** By how much more, or less, is on its way. */
export interface Load {
  /** The server of the connection; `undefined` for what waits unsent, which may go to any. */
  readonly server: string | undefined
  readonly inFlight: number
  readonly commands: number
  readonly bytes: number
}

/** Called at the end of what began. */
export type Ended<E> = (exit: Exit.Exit<unknown, E>) => void

export interface Observer {
  /** Whether requests of the fiber that runs now are watched. Asked for each request, so it must cost next to nothing. */
  readonly watches?: (() => boolean) | undefined
  /** A request was accepted, on the caller's fiber. Only called when `watches` is absent or says so. */
  readonly request?: ((start: RequestStart) => RequestWatch | undefined) | undefined
  readonly retry?: ((retry: Retry) => void) | undefined
  /** A caller is given the error of its request, whether the request was watched or not. */
  readonly failed?: ((error: RedisError) => void) | undefined
  /** An attempt to connect begins: it covers the socket, TLS and the handshake. */
  readonly attempt?: ((start: { readonly server: string }) => Ended<RedisError> | undefined) | undefined
  readonly connection?: ((change: ConnectionChange) => void) | undefined
  /** A client, or its subscriptions, have a connection again. */
  readonly reconnected?: ((back: { readonly server: string }) => void) | undefined
  /** A lease was given. `waited` is in milliseconds. The function that it returns is called when the lease ends. */
  readonly lease?:
    | ((lease: { readonly server: string; readonly waited: number }) => (() => void) | undefined)
    | undefined
  readonly pool?: ((change: PoolChange) => void) | undefined
  /** A message was handed to this many subscriptions. */
  readonly message?:
    | ((message: { readonly server: string; readonly kind: string; readonly listeners: number }) => void)
    | undefined
  /** A subscription dropped so many messages, because nobody took them. */
  readonly dropped?: ((count: number) => void) | undefined
  /** What one connection owes, or what waits unsent, has changed. Looked at now and then, not at each command. */
  readonly load?: ((change: Load) => void) | undefined
  /** A server answered after so many milliseconds. Only some of its replies are told. */
  readonly answered?: ((reply: { readonly server: string; readonly millis: number }) => void) | undefined
  /** What the client has counted. */
  readonly insight?: Insight | undefined
}

/** Further observers that clients, pools and connections use when they are built. Default: none. */
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
