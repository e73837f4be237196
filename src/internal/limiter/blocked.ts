/** What this process knows to be denied for a while. A denial consumes nothing, so that until then the server would say the same. */
import * as Timers from "../engine/timers.js"

interface Denial<D> {
  readonly cost: number
  /** By the clock that only goes forward. */
  readonly until: number
  readonly since: number
  readonly decision: D
}

/** The denials of the last so many subjects that were denied. */
export class Blocked<D> {
  private readonly denials = new Map<string, Denial<D>>()

  constructor(private readonly most: number) {}

  get size(): number {
    return this.denials.size
  }

  /** The denial that still holds for this cost, and for how long it has been known, in milliseconds. */
  find(subject: string, cost: number): { readonly decision: D; readonly elapsed: number } | undefined {
    const denial = this.denials.get(subject)
    if (denial === undefined) {
      return undefined
    }
    const now = Timers.now()
    if (now >= denial.until) {
      this.denials.delete(subject)
      return undefined
    }
    // One that costs less may be allowed.
    return cost < denial.cost ? undefined : { decision: denial.decision, elapsed: now - denial.since }
  }

  add(subject: string, cost: number, millis: number, decision: D): void {
    const since = Timers.now()
    this.denials.delete(subject)
    this.denials.set(subject, { cost, until: since + millis, since, decision })
    if (this.denials.size > this.most) {
      this.denials.delete(this.denials.keys().next().value as string)
    }
  }

  forget(subject: string): void {
    this.denials.delete(subject)
  }
}
