/**
 * Makes the typed error from what the engine knows of a failure.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ConnectionError, DeadlineError, OverflowError, ProtocolError, type RedisError } from "../../RedisError.js"
import type { BatchResult } from "../command/model.js"
import { withoutFrames } from "../effect/errorSchemas.js"
import type { Failure } from "../engine/failure.js"
import type { CloseReason } from "../engine/transport.js"

/** A copy of an error with other properties. Its cause is not enumerable, so spreading the error would lose it. */
export const changed = (
  error: ConnectionError,
  properties: {
    readonly message?: string
    readonly command?: string
    readonly server?: string
    readonly delivery?: "unsent" | "unknown"
  }
): ConnectionError =>
  withoutFrames(ConnectionError, {
    reason: error.reason,
    delivery: error.delivery,
    message: error.message,
    ...(error.command === undefined ? {} : { command: error.command }),
    ...(error.server === undefined ? {} : { server: error.server }),
    ...(error.cause === undefined ? {} : { cause: error.cause }),
    ...properties
  })

/** The end of a connection, or that there is none. `server` is the address, where it is known. */
export const closeError = (
  close: CloseReason,
  delivery: "unsent" | "unknown",
  server?: string | undefined
): ConnectionError =>
  withoutFrames(ConnectionError, {
    reason: close.reason,
    delivery,
    message: close.message,
    ...(server === undefined ? {} : { server }),
    ...(close.cause === undefined ? {} : { cause: close.cause })
  })

/** `milliseconds` is the time that was allowed, for deadlines. */
export const toRedisError = (
  failure: Failure,
  command: string,
  milliseconds: number,
  server: string | undefined
): RedisError => {
  const at = server === undefined ? {} : { server }
  switch (failure._tag) {
    case "Closed":
      // A request that was written fails with the ProtocolError; a request that was not sent fails with the lost
      // connection.
      return failure.close.protocol !== undefined && failure.delivery === "unknown"
        ? withoutFrames(ProtocolError, { reason: failure.close.protocol, command, ...at })
        : ofCommand(command, closeError(failure.close, failure.delivery, server))
    case "Deadline":
      return withoutFrames(DeadlineError, {
        phase: failure.phase,
        delivery: failure.delivery,
        milliseconds,
        command,
        ...at,
        ...(failure.hint === undefined ? {} : { hint: failure.hint })
      })
    case "Overflow":
      return withoutFrames(OverflowError, { limit: failure.limit, maximum: failure.maximum, command })
  }
}

/**
 * The failure of a command, which names the command. Many commands may fail because of one connection, whose error names
 * none, so each of them gets a copy.
 */
export const ofCommand = (command: string, error: RedisError): RedisError => {
  if (error._tag === "DeadlineError" && error.command === undefined) {
    return withoutFrames(DeadlineError, { ...error, command })
  }
  if (error._tag === "ProtocolError" && error.command === undefined) {
    return withoutFrames(ProtocolError, { ...error, command })
  }
  if (error._tag !== "ConnectionError" || error.command !== undefined) {
    return error
  }
  const { delivery, message, server } = error
  const at = server === undefined || message.includes(server) ? "" : `server: ${server}, `
  return changed(error, { command, message: `${command}: ${message} (${at}delivery: ${delivery})` })
}

/**
 * A deadline error with the whole time that was allowed, when a part of it passed before the request was handed over.
 */
export const allowedWas = (milliseconds: number, error: RedisError): RedisError =>
  error._tag === "DeadlineError" && error.phase !== "acquire"
    ? withoutFrames(DeadlineError, { ...error, milliseconds })
    : error

/**
 * The same for a batch, of whose time this much passed before. A deadline fails every reply that is owed, so the last
 * result shows it.
 */
export const allWaited = (
  milliseconds: number,
  result: Effect.Effect<BatchResult, RedisError>
): Effect.Effect<BatchResult, RedisError> => {
  const waited = (error: RedisError): RedisError =>
    error._tag === "DeadlineError" ? allowedWas(Math.round(error.milliseconds + milliseconds), error) : error
  return Effect.mapBoth(result, {
    onFailure: waited,
    onSuccess: ({ exits, outcome }) =>
      exits.length > 0 && Exit.isFailure(exits[exits.length - 1] as Exit.Exit<unknown, RedisError>)
        ? { outcome, exits: exits.map((exit) => Exit.mapError(exit, waited)) }
        : { outcome, exits }
  })
}
