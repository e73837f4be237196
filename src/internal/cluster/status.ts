/**
 * The status of a cluster's client as a whole: ready when every slot has an owner that is connected, and otherwise what keeps
 * it from that.
 */
import type { Status } from "../command/model.js"
import { StatusSource } from "../connection/statusSource.js"
import { noNode } from "./batch.js"
import { slots } from "./slot.js"

export class ClusterStatus {
  private readonly source = new StatusSource()
  readonly subscribable = this.source.subscribable

  /** Joins the status of the primaries. `unowned` says how many slots have no owner. */
  join(primaries: ReadonlyArray<Status>, unowned: number): void {
    if (this.source.current._tag === "Closed") {
      return
    }
    for (const status of primaries) {
      if (status._tag === "Reconnecting") {
        return this.report(status)
      }
      if (status._tag === "Closed" && status.cause !== undefined) {
        // There are no more attempts to connect to this node. The cluster may give its slots to another one.
        return this.report({ _tag: "Reconnecting", attempt: 1, next: undefined, cause: status.cause })
      }
    }
    if (unowned > 0) {
      const cause = noNode(undefined, `${unowned} of ${slots} hash slots have no owner`)
      this.report({ _tag: "Reconnecting", attempt: 1, next: undefined, cause })
    } else if (primaries.length > 0 && primaries.every(({ _tag }) => _tag === "Ready")) {
      this.report({ _tag: "Ready" })
    }
  }

  close(): void {
    this.report({ _tag: "Closed", cause: undefined })
  }

  private report(status: Status): void {
    if (isSame(status, this.source.current)) {
      return
    }
    this.source.report(status)
  }
}

const isSame = (a: Status, b: Status): boolean =>
  a._tag === "Reconnecting" && b._tag === "Reconnecting"
    ? a.attempt === b.attempt && a.next === b.next && a.cause.message === b.cause.message
    : a._tag === b._tag && a._tag === "Ready"
