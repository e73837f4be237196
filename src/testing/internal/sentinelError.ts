import * as Schema from "effect/Schema"
import { defect, literals } from "../../internal/effect/errorSchemas.js"
import type * as RedisServer from "../RedisServer.js"

/**
 * Why a master, its replicas or its sentinels could not do what was asked.
 *
 * - `NotFound`: no server was found to start.
 * - `Start`: a server did not start.
 * - `NotAgreed`: the sentinels did not agree in time, or no node is the master; the message says what is missing.
 * - `NotRunning`: the operation needs a node or a sentinel that runs.
 * - `UnknownNode`: no node, or no sentinel, has this port.
 * - `Refused`: a node or a sentinel refused a command, or did not answer it.
 * - `Unsupported`: these options, or this release of the servers, do not allow it.
 *
 * @since 0.1.0
 * @category errors
 */
export class RedisSentinelError extends Schema.TaggedError<RedisSentinelError>(
  "effect-redis-client/testing/RedisSentinelError"
)("RedisSentinelError", {
  reason: literals("NotFound", "Start", "NotAgreed", "NotRunning", "UnknownNode", "Refused", "Unsupported"),
  message: Schema.String,
  cause: Schema.optional(defect)
}) {}

export const failure = (
  reason: RedisSentinelError["reason"],
  message: string,
  cause?: { readonly cause: unknown }
): RedisSentinelError => new RedisSentinelError({ reason, message, ...cause })

/** An error of a server, as an error of the set it belongs to. */
export const ofServer = (error: RedisServer.RedisServerError): RedisSentinelError =>
  failure(error.reason === "Closed" ? "NotRunning" : error.reason, error.message, { cause: error })
