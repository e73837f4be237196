/**
 * Acknowledges entries that were handled (XACK), at once or in batches. It decides nothing about entries that failed.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { RedisError } from "../../RedisError.js"
import type { Group } from "./group.js"
import type { Hand, Held } from "./hand.js"
import { Signal } from "./wait.js"

export class Acknowledging<A> {
  private readonly queue: Array<Held<A>> = []
  /** Why nothing is acknowledged any more, once an XACK failed for good. */
  private broken: Exit.Exit<void, RedisError> | undefined
  private readonly changed = new Signal()

  constructor(
    private readonly group: Group<A>,
    private readonly hand: Hand<A>
  ) {}

  /** An entry was handled: it will be acknowledged. `onAcked` is called when that is confirmed, or cannot be. */
  add(held: Held<A>, onAcked?: (exit: Exit.Exit<void, RedisError>) => void): void {
    if (held.state !== "running") {
      onAcked?.(Exit.void)
      return
    }
    if (this.broken !== undefined) {
      this.hand.drop(held)
      onAcked?.(this.broken)
      return
    }
    held.onAcked = onAcked
    this.queue.push(held)
    this.hand.handled(held)
    this.changed.notify()
  }

  /** Does not wait for a batch to become complete any more, because the consumer stops. */
  flush(): void {
    this.changed.notify()
  }

  /** Acknowledges what is added, until an XACK fails for good. */
  readonly run: Effect.Effect<never, RedisError> = Effect.suspend(() => {
    const { changed, group, hand, queue } = this
    const { ackSize, ackWithin } = group.settings
    return Effect.gen(this, function* () {
      while (true) {
        yield* changed.until(() => queue.length > 0)
        if (ackWithin > 0) {
          yield* changed.until(() => queue.length >= ackSize || hand.stopping, ackWithin)
        }
        const batch = queue.splice(0, ackSize)
        const [first, ...rest] = batch.map(({ id }) => id)
        const ids: ReadonlyArray<string> = [first as string, ...rest]
        // Acknowledging twice is the same as once, so XACK is sent until it is answered.
        const acked = yield* Effect.exit(group.persist(group.redis.send(group.xack(ids))))
        const outcome = Exit.asVoid(acked)
        if (Exit.isFailure(outcome)) {
          // No further XACK follows: every entry that waits for one, or is added later, gets this failure.
          this.broken = outcome
          batch.push(...queue.splice(0))
        }
        for (const held of batch) {
          hand.drop(held)
          held.onAcked?.(outcome)
        }
        yield* acked
      }
    })
  })
}
