/** The status of a client, and who follows it. A subscriber that lags sees the newest few changes. */
import type { Status } from "../command/model.js"
import { callbackStream, type Subscribable, subscribable } from "../effect/callbackStream.js"

/** How many changes of status wait for a slow subscriber. */
const statusCapacity = 64

export class StatusSource {
  current: Status = { _tag: "Connecting" }
  private readonly listeners = new Set<(status: Status) => void>()

  /** The status now, and as it changes until it is `Closed`. */
  readonly subscribable: Subscribable<Status> = subscribable(
    () => this.current,
    callbackStream<Status>((emit) => {
      const listener = (status: Status): void => {
        emit.single(status)
        if (status._tag === "Closed") {
          emit.end()
        }
      }
      this.listeners.add(listener)
      listener(this.current)
      return () => this.listeners.delete(listener)
    }, statusCapacity)
  )

  report(status: Status): void {
    this.current = status
    for (const listener of [...this.listeners]) {
      listener(status)
    }
  }
}
