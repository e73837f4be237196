/** What a request is given by who sends it, and how its result is handed over. */
import type * as Effect from "effect/Effect"
import type { RedisError } from "../../RedisError.js"
import type { Observer } from "../telemetry/observer.js"

/** How the caller of a request is given its result. Called once, from the socket's stack. */
export type Resume<A> = (result: Effect.Effect<A, RedisError>) => void

/** What a request takes from the client or connection that sends it. */
export interface RequestSettings {
  /** The deadline of a command that has none of its own, in milliseconds. */
  readonly replyTimeout: number
  readonly observer: Observer | undefined
  /** The server's address, for observers. */
  readonly address: string
}
