/**
 * Keeps log lines about one thing rare: a publisher can send bad messages faster than anybody reads lines about them.
 */
import * as Timers from "../engine/timers.js"

/** After a line, this long there is none about the same thing, in milliseconds. */
const quiet = 10_000

export class Sparse {
  private until = -Infinity
  private left = 0

  /**
   * Asks for one line. Returns how many lines were left out since the last one, or `undefined` when this one is to be left
   * out too.
   */
  next(): number | undefined {
    const now = Timers.now()
    if (now < this.until) {
      this.left++
      return undefined
    }
    const { left } = this
    this.left = 0
    this.until = now + quiet
    return left
  }
}

/** What a line adds when lines before it were left out. */
export const leftOut = (count: number): string =>
  count === 0 ? "" : ` (${count} more since the last line like this one)`
