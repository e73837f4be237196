/** The metrics of workers and other consumers of groups. Those of one server are added up: the name of a stream is a key. */
import { instrument } from "../effect/metrics.js"
import * as Timers from "../engine/timers.js"
import * as Instruments from "./instruments.js"

export class StreamMetrics {
  private readonly lag: (seconds: number) => void
  private readonly inHand: (by: number) => void
  private held = 0

  constructor(server: string) {
    const labels = { "server.address": server }
    this.lag = instrument(Instruments.streamLag, labels)
    this.inHand = instrument(Instruments.streamInHand, labels)
  }

  /** So many entries are in hand now. */
  hold(entries: number): void {
    if (entries !== this.held) {
      this.inHand(entries - this.held)
      this.held = entries
    }
  }

  /** A handler begins with an entry. Its id begins with the server's time of day, where the server made it. */
  taken(id: string): void {
    const millis = Timers.timeOfDay() - Number(id.slice(0, id.indexOf("-")))
    if (millis >= 0 && millis < longestLag) {
      this.lag(millis / 1_000)
    }
  }
}

/** An id that is older says nothing of time: the program made it. Ten years, in milliseconds. */
const longestLag = 10 * 365 * 24 * 3_600_000
