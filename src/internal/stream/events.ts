/**
 * Reports what happened to entries: to the listener of the program, or to the log. Every line names the stream, the group
 * and the consumer, in its sentence and as annotations.
 */
import * as Effect from "effect/Effect"
import type { StreamId } from "../../commands/stream-entry.js"
import type { RedisService } from "../command/model.js"
import { annotated } from "../connection/about.js"
import { visible } from "../resp/visible.js"
import { leftOut, Sparse } from "../telemetry/sparse.js"
import type { GroupEvent, Member } from "./settings.js"

/**
 * Calls the listener, or logs when there is none. A listener that fails is logged, and stops nothing. What a listener logs
 * is annotated as our own lines are.
 */
export const report = (
  { about }: RedisService,
  on: ((event: GroupEvent) => Effect.Effect<unknown>) | undefined,
  event: GroupEvent,
  /** The lines about skipped entries of this consumer. */
  skipped: Sparse
): Effect.Effect<void> => {
  if (event._tag === "Skipped") {
    skips.set(event, skipped)
  }
  return annotated(
    on === undefined
      ? logEvent(event)
      : Effect.catchAllCause(
          Effect.suspend(() => Effect.asVoid(on(event))),
          (cause) => Effect.logWarning(`The listener of the consumer of ${place(event)} failed`, cause)
        ).pipe(Effect.annotateLogs(names(event))),
    about
  )
}

/** A log line about a consumer. */
export const logged = ({ about }: RedisService, member: Member, line: Effect.Effect<void>): Effect.Effect<void> =>
  annotated(Effect.annotateLogs(line, names(member)), about)

/** Where something happened, in a sentence. */
export const place = ({ consumer, group, stream }: Member): string =>
  `stream ${visible(stream)} (group ${visible(group)}, consumer ${visible(consumer)})`

const names = ({ consumer, group, stream }: Member) => ({
  stream: visible(stream),
  group: visible(group),
  consumer: visible(consumer)
})

/** The lines about skipped entries of the consumer that an event is about. An event is data, and holds no state itself. */
const skips = new WeakMap<GroupEvent, Sparse>()

export const logEvent = (event: GroupEvent): Effect.Effect<void> =>
  Effect.suspend(() => Effect.annotateLogs(line(event), names(event)))

const line = (event: GroupEvent): Effect.Effect<void> => {
  const where = place(event)
  switch (event._tag) {
    case "Failed":
      return Effect.logWarning(
        `Entry ${visible(event.id)} of ${where} failed at attempt ${event.attempt} and is ${said[event.next]}`,
        event.cause
      )
    case "Skipped": {
      const left = (skips.get(event) ?? new Sparse()).next()
      return left === undefined
        ? Effect.void
        : Effect.logWarning(`Entry ${visible(event.id)} of ${where} is skipped: ${event.error.message}${leftOut(left)}`)
    }
    case "Gone":
      return Effect.logWarning(`Pending entries of ${where} were deleted before they were handled: ${list(event.ids)}`)
    case "Taken":
      return Effect.logWarning(`Another consumer claimed entries in hand of ${where}: ${list(event.ids)}`)
    case "Claimed":
      return Effect.logDebug(`${event.ids.length} idle entries were claimed for ${where}`)
    case "Resumed":
      return Effect.logDebug(`${event.ids.length} pending entries were taken up for ${where}`)
    case "Removed":
      return Effect.logDebug(`Idle consumers were removed for ${where}: ${list(event.consumers)}`)
    case "Disconnected":
      return Effect.logDebug(`A command for ${where} is sent again: ${event.error.message}`)
  }
}

const said = { retried: "tried again", left: "left pending", deadLettered: "now a dead letter" } as const

const list = (names: ReadonlyArray<StreamId>): string =>
  names.length > 10
    ? `${names.slice(0, 10).map(visible).join(" ")} and ${names.length - 10} more`
    : names.map(visible).join(" ")
