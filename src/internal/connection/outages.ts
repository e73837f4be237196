/**
 * Log lines about connections that are lost and come back, for people on call: one at WARNING when an outage begins, one at
 * INFO when it ends. An outage that begins soon after such a line is only logged if it lasts, so that a connection that ends
 * again and again, or a pool whose connections all end at once, writes one line in ten seconds. The last line always says
 * whether there is a connection.
 */
import * as Effect from "effect/Effect"
import type { Forker } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import type { CloseReason } from "../engine/transport.js"
import { leftOut, Sparse } from "../telemetry/sparse.js"

/** The least time between two warnings of one client, hub or pool, in milliseconds. */
const quietFor = 10_000

export class Outages {
  /** When the outage began; `undefined` while there is a connection. */
  private since: number | undefined
  private logged = false
  private lastWarning = -Infinity
  /** How many connections were lost since the last warning without a line of their own. */
  private unlogged = 0
  private timer: Timers.Timer | undefined

  constructor(
    private readonly fork: Forker,
    /** What is lost: `The connection`. */
    private readonly subject: string,
    private readonly clientName: string | undefined,
    private readonly time: Pick<typeof Timers, "now" | "setTimeout" | "clearTimeout"> = Timers
  ) {}

  lost(close: CloseReason, server: string, connection: number | undefined): void {
    if (this.since !== undefined) {
      this.unlogged++
      return
    }
    const now = this.time.now()
    this.since = now
    const warn = (): void => {
      this.logged = true
      this.lastWarning = this.time.now()
      const others = this.unlogged === 0 ? "" : ` (${this.unlogged} more were lost since the last warning)`
      this.unlogged = 0
      this.log(Effect.logWarning(`${this.subject} to ${server} was lost: ${close.message}${others}`), {
        "server.address": server,
        reason: close.reason,
        ...(connection === undefined ? {} : { connection })
      })
    }
    const wait = this.lastWarning + quietFor - now
    if (wait > 0) {
      this.timer = this.time.setTimeout(warn, wait)
    } else {
      warn()
    }
  }

  back(server: string, connection: number | undefined): void {
    const { since } = this
    if (since === undefined) {
      return
    }
    this.since = undefined
    this.time.clearTimeout(this.timer)
    if (!this.logged) {
      this.unlogged++
      return
    }
    this.logged = false
    const millis = Math.round(this.time.now() - since)
    this.log(Effect.logInfo(`${this.subject} to ${server} is back after ${millis} ms`), {
      "server.address": server,
      ...(connection === undefined ? {} : { connection })
    })
  }

  /** The server refuses this client, and will until something is changed: a wrong password, a bad certificate. */
  refused(message: string, server: string): void {
    const left = this.refusals.next()
    if (left !== undefined) {
      this.log(Effect.logError(`${this.subject} to ${server} is refused: ${message}${leftOut(left)}`), {
        "server.address": server
      })
    }
  }

  private readonly refusals = new Sparse()

  /** There are no more lines: this side closes. */
  end(): void {
    this.time.clearTimeout(this.timer)
  }

  private log(line: Effect.Effect<void>, annotations: Readonly<Record<string, unknown>>): void {
    const { clientName } = this
    this.fork(
      Effect.annotateLogs(
        line,
        clientName === undefined ? annotations : { ...annotations, "redis.client.name": clientName }
      )
    )
  }
}
