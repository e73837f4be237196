/**
 * What becomes of an entry whose handler failed: it is tried again here, left pending to be claimed, or becomes a dead
 * letter. It runs no handler.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { RedisError } from "../../RedisError.js"
import type { Running } from "../effect/fork.js"
import { makeStepper } from "../effect/schedule.js"
import { bury } from "./deadLetter.js"
import type { Group } from "./group.js"
import type { Hand, Held } from "./hand.js"
import { takenAway } from "./keeping.js"
import { nextPause } from "./persistence.js"

type Retries = Schedule.Schedule<unknown, Cause.Cause<unknown>>

/** What retrying needs of its consumer. */
export interface RetryOwner {
  /** Starts a fiber whose failure ends the consumer. */
  readonly fork: (effect: Effect.Effect<unknown, RedisError>) => Effect.Effect<Running>
  /** Ends the consumer. */
  readonly fail: (error: RedisError) => void
}

export class Retry<A> {
  /** Fibers that wait for the pause before a retry. */
  readonly fibers = new Set<Running>()

  constructor(
    private readonly group: Group<A>,
    private readonly hand: Hand<A>,
    private readonly owner: RetryOwner
  ) {}

  /**
   * The entry was not handled. By `retry` it is tried again here, or left to be claimed. After its last attempt, or
   * when the failure is `final`, it becomes a dead letter, or is left for good.
   */
  failed(held: Held<A>, cause: Cause.Cause<unknown>, retry: Retries | undefined, final = false): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (held.state !== "running") {
        return Effect.void
      }
      return final || held.attempt >= this.group.settings.attempts
        ? this.exhausted(held, cause)
        : retry === undefined || this.hand.stopping
          ? this.leave(held, cause)
          : this.tryAgain(held, cause, retry)
    })
  }

  private report(held: Held<A>, cause: Cause.Cause<unknown>, next: "retried" | "left" | "deadLettered") {
    return this.group.report({ _tag: "Failed", id: held.id, attempt: held.attempt, cause, next })
  }

  private leave(held: Held<A>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.hand.leave(held)
      return this.report(held, cause, "left")
    })
  }

  /** Waits by the Schedule, on the program's clock. The entry occupies no handler; entries with its key wait too. */
  private tryAgain(held: Held<A>, cause: Cause.Cause<unknown>, retry: Retries): Effect.Effect<void> {
    const { group, hand } = this
    const again = Effect.gen(function* () {
      held.retries ??= yield* makeStepper(retry)
      const more = yield* nextPause(held.retries, cause)
      if (held.state !== "waiting") {
        return
      }
      if (!more) {
        hand.leave(held)
        return
      }
      const ours = yield* group.deliveries([held.id])
      if (!ours.has(held.id)) {
        yield* takenAway(group, hand, [held])
        return
      }
      // The group keeps the count, so that it does not start over when this consumer dies before the next attempt ends.
      yield* group.persist(group.redis.send(group.touch(held.id, { retrycount: held.attempt + 1 })))
      if (held.state === "waiting") {
        hand.retry(held)
      }
    })
    return Effect.gen(this, function* () {
      hand.wait(held)
      yield* this.report(held, cause, "retried")
      const fiber = yield* this.owner.fork(again)
      this.fibers.add(fiber)
      fiber.addObserver(() => this.fibers.delete(fiber))
    })
  }

  private exhausted(held: Held<A>, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const { group, hand } = this
    const { deadLetter } = group.settings
    return deadLetter === undefined
      ? this.leave(held, cause)
      : Effect.matchEffect(bury(group, held, cause, deadLetter), {
          onFailure: (error) =>
            Effect.suspend(() => {
              hand.leave(held)
              this.owner.fail(error)
              return this.report(held, cause, "left")
            }),
          onSuccess: (buried) =>
            Effect.suspend(() => {
              hand.drop(held)
              return buried ? this.report(held, cause, "deadLettered") : group.report({ _tag: "Taken", ids: [held.id] })
            })
        })
  }
}
