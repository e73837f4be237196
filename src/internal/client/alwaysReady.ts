/**
 * The status of a client that opens connections as they are needed, or has none: it is always ready.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import type { Status } from "../command/model.js"

export const alwaysReady: Subscribable.Subscribable<Status> = Subscribable.make({
  get: Effect.succeed<Status>({ _tag: "Ready" }),
  changes: Stream.make<[Status]>({ _tag: "Ready" })
})
