/** The options of a node, which clients of one server, of sentinels and of a cluster share, and their defaults. */
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { UsageError } from "../../RedisError.js"
import type { DurationWithUnit } from "../command/args.js"
import * as Options from "../connection/options.js"
import { type ReconnectSettings, reconnectSettings } from "../connection/pacer.js"
import { type Orphan, pushBackOrphan, warnOfOrphan } from "./blocking.js"
import type { NodeSettings } from "./node.js"

export interface NodeOptions {
  readonly reconnect?: ReconnectSettings["schedule"] | undefined
  readonly stopReconnecting?: ReconnectSettings["stopWhen"] | undefined
  readonly offline?: "queue" | "fail" | undefined
  readonly maxRetries?: number | undefined
  readonly maxDedicated?: number | undefined
  readonly onOrphan?: "warn" | "pushBack" | ((orphan: Orphan) => Effect.Effect<void>) | undefined
  readonly acquireTimeout?: DurationWithUnit | undefined
  readonly idleTimeout?: DurationWithUnit | undefined
}

/** A duration in milliseconds, or the default. */
export const durationOr = (
  input: DurationWithUnit | undefined,
  what: string,
  fallback: number
): Either.Either<number, UsageError> =>
  input === undefined ? Either.right(fallback) : Options.checkDuration(input, what)

/** A whole number, or the default. */
export const countOr = (
  input: number | undefined,
  what: string,
  fallback: number,
  least = 1
): Either.Either<number, UsageError> =>
  input === undefined ? Either.right(fallback) : Options.checkCount(input, what, least)

/** Checks the options of a node. */
export const nodeSettings = (
  options: NodeOptions,
  own: Pick<NodeSettings, "lazy" | "followsBlocked">
): Either.Either<NodeSettings, UsageError> =>
  Either.gen(function* () {
    const orphans = options.onOrphan ?? "warn"
    return {
      ...reconnectSettings(options),
      ...own,
      maxRetries: yield* countOr(options.maxRetries, "maxRetries", 3, 0),
      maxDedicated: yield* countOr(options.maxDedicated, "maxDedicated", 10),
      acquireTimeout: yield* durationOr(options.acquireTimeout, "acquireTimeout", 5_000),
      idleTimeout: yield* durationOr(options.idleTimeout, "idleTimeout", 30_000),
      onOrphan: orphans === "warn" ? warnOfOrphan : orphans === "pushBack" ? pushBackOrphan : orphans
    }
  })
