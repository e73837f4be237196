/**
 * How links live and die: opened within their deadline, closed with a bound, and the reason of every end logged.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { RedisError } from "../../RedisError.js"
import { open, type Restore, type Started } from "./handshake.js"
import type { Link } from "./link.js"
import type { ResolvedOptions } from "./options.js"

/** Opens a link whose end is logged at debug level. Whoever opens it closes it. */
export const openLogged = (
  options: ResolvedOptions,
  restore: Restore,
  started?: Started
): Effect.Effect<Link, RedisError> => Effect.tap(open(options, restore, started), logClose)

export const logClose = (link: Link): Effect.Effect<void> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    link.onClose((close) => {
      Runtime.runFork(runtime)(
        Effect.logDebug(`Redis connection ended: ${close.message}`).pipe(
          Effect.annotateLogs({ reason: close.reason, ...(link.id === undefined ? {} : { connection: link.id }) })
        )
      )
    })
  })
