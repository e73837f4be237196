/**
 * The status of a client that opens connections as they are needed, or has none: it is always ready.
 */
import type { Status } from "../command/model.js"
import { constant, type Subscribable } from "../effect/callbackStream.js"

export const alwaysReady: Subscribable<Status> = constant<Status>({ _tag: "Ready" })
