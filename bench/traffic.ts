/** GETs without end while something happens to the servers, by phases. */
import type { Runner, TrafficGroup } from "./work.js"

interface Counted {
  readonly millis: Array<number>
  failed: number
  lastSuccess: number
  longestGap: number
}

/** How long a loop pauses after a failure, in milliseconds, so that a client that fails at once does not fill the processor. */
const pause = 10

/** How long loops may take to end, in milliseconds: commands to a node that is gone may take far longer. */
const patience = 3_000

export class Traffic {
  private phase = "start"
  private halted = false
  private readonly phases = new Map<string, Counted>()
  private readonly loops: ReadonlyArray<Promise<void>>

  constructor(
    runner: Runner,
    private readonly groups: ReadonlyArray<TrafficGroup>
  ) {
    const { cluster } = runner
    if (cluster === undefined) {
      throw new Error("has no such thing")
    }
    this.enter(this.phase)
    this.loops = groups.flatMap((group) =>
      Array.from({ length: group.loops }, (_, i) => this.loop(cluster.get, group, i))
    )
  }

  enter(phase: string): void {
    this.close()
    this.phase = phase
    const now = performance.now()
    for (const { name } of this.groups) {
      this.phases.set(`${phase}.${name}`, { millis: [], failed: 0, lastSuccess: now, longestGap: 0 })
    }
  }

  /** A gap that lasts until the end of a phase counts in it. */
  private close(): void {
    const now = performance.now()
    for (const { name } of this.groups) {
      const counted = this.phases.get(`${this.phase}.${name}`)
      if (counted !== undefined) {
        counted.longestGap = Math.max(counted.longestGap, now - counted.lastSuccess)
      }
    }
  }

  private async loop(get: (key: string) => Promise<unknown>, group: TrafficGroup, first: number): Promise<void> {
    const { keys, loops, name } = group
    for (let i = first; !this.halted; i += loops) {
      const started = performance.now()
      const failed = await get(keys[i % keys.length] as string).then(
        () => false,
        () => true
      )
      const now = performance.now()
      // A command counts in the phase in which it ends.
      const counted = this.phases.get(`${this.phase}.${name}`) as Counted
      if (failed) {
        counted.failed++
        await new Promise((resolve) => setTimeout(resolve, pause))
      } else {
        counted.millis.push(now - started)
        counted.longestGap = Math.max(counted.longestGap, now - counted.lastSuccess)
        counted.lastSuccess = now
      }
    }
  }

  async halt(): Promise<Readonly<Record<string, number>>> {
    this.close()
    this.halted = true
    await Promise.race([Promise.all(this.loops), new Promise((resolve) => setTimeout(resolve, patience))])
    const figures: Record<string, number> = {}
    for (const [name, { failed, longestGap, millis }] of this.phases) {
      const sorted = Float64Array.from(millis).sort()
      const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
      figures[`${name}.done`] = sorted.length
      figures[`${name}.failed`] = failed
      figures[`${name}.p50`] = at(0.5)
      figures[`${name}.p99`] = at(0.99)
      figures[`${name}.max`] = at(1)
      figures[`${name}.gap`] = longestGap
    }
    return figures
  }
}
