/**
 * Reports what happened to entries: to the listener of the program, or to the log.
 */
import * as Effect from "effect/Effect"
import type { StreamId } from "../../commands/stream-entry.js"
import type { GroupEvent } from "./settings.js"

/** Calls the listener, or logs when there is none. A listener that fails is logged, and stops nothing. */
export const report = (
  on: ((event: GroupEvent) => Effect.Effect<unknown>) | undefined,
  event: GroupEvent
): Effect.Effect<void> =>
  on === undefined
    ? log(event)
    : Effect.catchAllCause(
        Effect.suspend(() => Effect.asVoid(on(event))),
        (cause) => Effect.logWarning("A stream consumer's listener failed", cause)
      )

const log = (event: GroupEvent): Effect.Effect<void> => {
  switch (event._tag) {
    case "Failed":
      return Effect.logWarning(
        `Entry ${event.id} of a stream failed at attempt ${event.attempt} and is ${said[event.next]}`,
        event.cause
      )
    case "Gone":
      return Effect.logWarning(`Pending entries are not in their stream any more: ${list(event.ids)}`)
    case "Taken":
      return Effect.logWarning(`Another consumer has entries that were in hand here: ${list(event.ids)}`)
    case "Disconnected":
      return Effect.logDebug(`A stream consumer sends a command again: ${event.error.message}`)
    default:
      return Effect.logDebug(`${event._tag} ${event.ids.length} entries of a stream`)
  }
}

const said = { retried: "tried again", left: "left pending", deadLettered: "a dead letter now" } as const

const list = (ids: ReadonlyArray<StreamId>): string =>
  ids.length > 10 ? `${ids.slice(0, 10).join(" ")} and ${ids.length - 10} more` : ids.join(" ")
