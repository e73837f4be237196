import * as Schema from "effect/Schema"
import { defect, literals } from "../../internal/effect/errorSchemas.js"

/**
 * Why a cluster could not do what was asked.
 *
 * - `NotFound`: no server was found to start.
 * - `Start`: a node did not start.
 * - `NotAgreed`: the nodes did not agree in time; the message says on what.
 * - `NotRunning`: the operation needs a node that runs.
 * - `UnknownNode`: the node is not, or no longer, in this cluster.
 * - `Refused`: a node refused a command, or did not answer it.
 * - `Unsupported`: this cluster, or this release of its servers, cannot do it.
 *
 * @since 0.1.0
 * @category errors
 */
export class RedisClusterError extends Schema.TaggedError<RedisClusterError>(
  "effect-redis-client/testing/RedisClusterError"
)("RedisClusterError", {
  reason: literals("NotFound", "Start", "NotAgreed", "NotRunning", "UnknownNode", "Refused", "Unsupported"),
  message: Schema.String,
  cause: Schema.optional(defect)
}) {}

export const failure = (
  reason: RedisClusterError["reason"],
  message: string,
  cause?: { readonly cause: unknown }
): RedisClusterError => new RedisClusterError({ reason, message, ...cause })
