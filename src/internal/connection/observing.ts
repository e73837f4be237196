/** The observer of a client, from its options. */
import type * as Effect from "effect/Effect"
import type { UsageError } from "../../RedisError.js"
import { telemetry } from "../telemetry/make.js"
import type { Observer } from "../telemetry/observer.js"
import type { TelemetryOptions } from "../telemetry/options.js"
import { type ResolvedOptions, showEndpoint } from "./options.js"

/** `address` is what the client was given, where that is not one server. */
export const observing = (
  { telemetry: given }: { readonly telemetry?: TelemetryOptions | undefined },
  { database, endpoint, queueBounds }: ResolvedOptions,
  address: string = showEndpoint(endpoint)
): Effect.Effect<Observer, UsageError> => telemetry(given, { address, database, bounds: queueBounds })
