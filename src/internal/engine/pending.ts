/**
 * What the engine settles: the replies that are owed to one request.
 */
import type { Reply } from "../resp/values.js"
import type { Failure } from "./failure.js"
import * as Timers from "./timers.js"

/** A place in a queue of requests that wait to be written. */
export interface Place {
  /** Gives the place up. */
  readonly leave: () => void
}

/**
 * The engine calls `onReply` for each reply, in order, and `onFailure` at most once, when the remaining replies will not
 * come, or come too late. `settled` says that the caller has its result: late replies may still come and must not settle
 * again.
 */
export abstract class Pending {
  settled = false
  /** Absolute, by the engine's clock. */
  deadline = Infinity
  /** Where it waits unsent. */
  queued: Place | undefined = undefined

  constructor(public remaining: number) {}

  // Rare properties are getters and not fields: there is one instance for each request in flight, and the garbage
  // collector copies each of them.

  /** The kind of push that confirms it in place of a reply: subscriptions. */
  get confirmedBy(): string | undefined {
    return undefined
  }

  /** Its reply may rightly take longer than any deadline of the connection. */
  get blocking(): boolean {
    return false
  }

  /** Its caller gave it a deadline of its own. While the server works on it, silence does not mean that the peer is dead. */
  get mayTakeLong(): boolean {
    return false
  }

  /** No caller waits for it any more, as far as can be known. While it waits to be written, it is dropped. */
  get abandoned(): boolean {
    return false
  }

  /** The end of the connection is its success: SHUTDOWN, QUIT. */
  get endsConnection(): boolean {
    return false
  }

  /** Why the connection can no longer be trusted, once its replies say so: the connection ends. */
  get spoiled(): string | undefined {
    return undefined
  }

  /** Whether the next reply's bulk strings are read as text. */
  abstract readonly text: boolean
  abstract onReply(reply: Reply): void
  abstract onFailure(failure: Failure): void

  /** Whether a push of the kind that it waits for concerns this channel. Servers send such pushes on their own account too. */
  confirmedFor(_channel: Reply | undefined): boolean {
    return true
  }
}

/**
 * Reports what a waiter or a listener threw, outside of the socket's stack: as an uncaught exception, like any other throw
 * in a callback. The parser goes on with the next reply.
 */
export const rethrowLater = (error: unknown): void => {
  Timers.queueMicrotask(() => {
    throw error
  })
}

/** Hands a reply over. A throw of the waiter ends nothing. */
export const settleReply = (pending: Pending, reply: Reply): void => {
  try {
    pending.onReply(reply)
  } catch (error) {
    rethrowLater(error)
  }
}

/** Tells a request that its reply will not come, once. A throw of the waiter ends nothing. */
export const settleFailure = (pending: Pending, failure: Failure): void => {
  if (!pending.settled) {
    pending.settled = true
    try {
      pending.onFailure(failure)
    } catch (error) {
      rethrowLater(error)
    }
  }
}

/** Takes back a request that waits, whatever queue it waits in. Its caller is gone. */
export const withdraw = (pending: Pending): void => {
  pending.settled = true
  pending.queued?.leave()
}
