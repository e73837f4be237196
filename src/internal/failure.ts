/**
 * From what the engine knows of a failure to the typed error.
 */
import { ConnectionError, DeadlineError, OverflowError, ProtocolError, type RedisError } from "../RedisError.js"
import type { CloseReason, Failure } from "./engine.js"

export const closeError = (close: CloseReason, delivery: "unsent" | "unknown"): ConnectionError =>
  new ConnectionError({
    reason: close.reason,
    delivery,
    message: close.message,
    ...(close.cause === undefined ? {} : { cause: close.cause })
  })

/** `milliseconds` is the time that was allowed, for deadlines. */
export const toRedisError = (failure: Failure, command: string, milliseconds: number): RedisError => {
  switch (failure._tag) {
    case "Closed":
      // Those whose replies were being read when the peer broke the protocol hear of that; the others were not sent.
      return failure.close.protocol !== undefined && failure.delivery === "unknown"
        ? new ProtocolError({ reason: failure.close.protocol })
        : closeError(failure.close, failure.delivery)
    case "Deadline":
      return new DeadlineError({
        phase: failure.phase,
        delivery: failure.delivery,
        milliseconds,
        command,
        ...(failure.hint === undefined ? {} : { hint: failure.hint })
      })
    case "Overflow":
      return new OverflowError({ limit: failure.limit, maximum: failure.maximum, command })
  }
}

/** A deadline error that says all the time that was allowed, of which a part went by while there was no connection. */
export const allowedWas = (milliseconds: number, error: RedisError): RedisError =>
  error._tag === "DeadlineError" && error.phase !== "acquire" ? new DeadlineError({ ...error, milliseconds }) : error
