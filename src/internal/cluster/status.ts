/**
 * The status of a cluster's client as a whole: ready when every slot has an owner that is connected.
 */
import type { Status } from "../command/model.js"
import { callbackStream, type Subscribable, subscribable } from "../effect/callbackStream.js"

/** How many changes of status wait for a slow subscriber. */
const statusCapacity = 64

export class ClusterStatus {
  private current: Status = { _tag: "Connecting" }
  private readonly listeners = new Set<(status: Status) => void>()

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

  /** Joins the status of the primaries. `complete` says whether every slot has an owner. */
  join(primaries: ReadonlyArray<Status>, complete: boolean): void {
    if (this.current._tag === "Closed") {
      return
    }
    const away = primaries.find(({ _tag }) => _tag === "Reconnecting" || _tag === "Closed")
    if (away !== undefined && away._tag !== "Closed") {
      this.report(away)
    } else if (complete && primaries.length > 0 && primaries.every(({ _tag }) => _tag === "Ready")) {
      this.report({ _tag: "Ready" })
    }
  }

  close(): void {
    this.report({ _tag: "Closed", cause: undefined })
  }

  private report(status: Status): void {
    if (status._tag === "Ready" && this.current._tag === "Ready") {
      return
    }
    this.current = status
    for (const listener of [...this.listeners]) {
      listener(status)
    }
  }
}
