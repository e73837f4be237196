/**
 * How long a server took to answer, over the last minute: quantiles within an eighth, in little memory. Times are counted by
 * their order of magnitude, in six parts of ten seconds, of which the oldest is forgotten.
 */
import * as Timers from "../engine/timers.js"

/** The shortest time that is told from others, in milliseconds, and how much longer the next one is. */
const least = 0.02
const step = 1.25
const levels = 70
const partMillis = 10_000
const parts = 6

const levelOf = (millis: number): number =>
  Math.min(levels - 1, Math.max(0, Math.ceil(Math.log(millis / least) / Math.log(step))))

export class Latencies {
  private readonly counts: Array<Uint32Array | undefined> = new Array(parts).fill(undefined)
  private readonly longest: Array<number> = new Array(parts).fill(0)
  private part = Math.floor(Timers.now() / partMillis)

  add(millis: number): void {
    this.turn()
    const at = this.part % parts
    const counts = (this.counts[at] ??= new Uint32Array(levels))
    const level = levelOf(millis)
    counts[level] = (counts[level] ?? 0) + 1
    this.longest[at] = Math.max(this.longest[at] ?? 0, millis)
  }

  /** Forgets what is older than a minute. */
  private turn(): void {
    const now = Math.floor(Timers.now() / partMillis)
    for (let gone = Math.min(now - this.part, parts); gone > 0; gone--) {
      const at = (now - gone + 1) % parts
      this.counts[at] = undefined
      this.longest[at] = 0
    }
    this.part = now
  }

  /** In milliseconds. */
  read(): { readonly count: number; readonly p50: number; readonly p99: number; readonly max: number } {
    this.turn()
    const sums = new Array<number>(levels).fill(0)
    let count = 0
    for (const part of this.counts) {
      part?.forEach((n, level) => {
        sums[level] = (sums[level] ?? 0) + n
        count += n
      })
    }
    const max = Math.max(...this.longest)
    const quantile = (share: number): number => {
      let left = Math.ceil(count * share)
      for (const [level, n] of sums.entries()) {
        left -= n
        if (n > 0 && left <= 0) {
          return Math.min(least * step ** level, max)
        }
      }
      return 0
    }
    return { count, p50: quantile(0.5), p99: quantile(0.99), max }
  }
}
