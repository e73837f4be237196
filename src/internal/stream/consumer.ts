/**
 * A consumer of a consumer group: starts and stops the fibers that read, claim, keep and acknowledge, and is what
 * readers and workers of `RedisStream` talk to. What each fiber does is in the file of its name.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import { type Exclusive, range } from "../../commands/range.js"
import type { StreamId } from "../../commands/stream-entry.js"
import { type DecodeError, type RedisError, UsageError } from "../../RedisError.js"
import type { RedisService } from "../command/model.js"
import { interruptFork, type Running } from "../effect/fork.js"
import { StreamMetrics } from "../telemetry/streamMetrics.js"
import { Acknowledging } from "./acknowledging.js"
import { stopped } from "./deadLetter.js"
import { place } from "./events.js"
import { byCount, Group, type PendingEntry } from "./group.js"
import { Hand, type Held } from "./hand.js"
import { Intake } from "./intake.js"
import { keep } from "./keeping.js"
import { removeIdle as removeIdleConsumers } from "./removing.js"
import { Retry } from "./retry.js"
import type { EntryOf, GroupSettings, UndecodableOf } from "./settings.js"
import { Signal, within } from "./wait.js"

/** How long the last commands of a consumer that stops may take, in milliseconds. */
const farewell = 2_000

/** Entries that are handed back look idle for this long, so that the next claim takes them. */
const handedBackIdle = "1 day"

export class GroupConsumer<A> {
  private readonly group: Group<A>
  private readonly hand: Hand<A>
  private readonly intake: Intake<A>
  private readonly acknowledging: Acknowledging<A>
  private readonly retry: Retry<A>
  private failure: RedisError | undefined
  private readonly ended = new Signal()
  private over = false
  /** The fibers that read and claim, and remove other consumers. */
  private taking: Array<Running> = []
  /** The fibers that keep and acknowledge. */
  private upkeep: Array<Running> = []

  constructor(redis: RedisService, settings: GroupSettings<A>) {
    this.group = new Group(redis, settings)
    this.hand = new Hand(settings, new StreamMetrics(redis.about?.server ?? "unknown"))
    this.intake = new Intake(this.group, this.hand)
    this.acknowledging = new Acknowledging(this.group, this.hand)
    this.retry = new Retry(this.group, this.hand, {
      fork: (effect) => this.fork(effect),
      fail: (error) => this.fail(error)
    })
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Start and end
  // -------------------------------------------------------------------------------------------------------------------

  /** Starts the fibers. The caller has to stop the consumer. */
  readonly start: Effect.Effect<void> = Effect.suspend(() => {
    const { claim, removeIdle } = this.group.settings
    return Effect.map(
      Effect.all([
        this.fork(this.intake.read),
        ...(claim === undefined ? [] : [this.fork(this.intake.claim(claim))]),
        ...(removeIdle === undefined
          ? []
          : [this.fork(Effect.zipRight(this.intake.whenResumed, removeIdleConsumers(this.group, removeIdle)))]),
        this.fork(keep(this.group, this.hand)),
        this.fork(this.acknowledging.run)
      ]),
      (fibers) => {
        this.upkeep = fibers.slice(-2)
        this.taking = fibers.slice(0, -2)
      }
    )
  })

  private fork(effect: Effect.Effect<unknown, RedisError>): Effect.Effect<Running> {
    return Effect.forkDaemon(
      Effect.interruptible(
        Effect.catchAllCause(effect, (cause) =>
          Effect.suspend(() => {
            if (Cause.isInterruptedOnly(cause)) {
              return Effect.void
            }
            const failure = Cause.failureOption(cause)
            if (Option.isSome(failure)) {
              this.fail(failure.value)
              return Effect.void
            }
            this.fail(
              new UsageError({
                reason: "invalidArgument",
                message: "a Schedule of the consumer, or the client under it, died"
              })
            )
            return this.group.log(Effect.logError(`The consumer of ${place(this.group.settings)} died`, cause))
          })
        )
      )
    )
  }

  private fail(error: RedisError): void {
    this.failure ??= error
    this.ended.notify()
    this.hand.endHandingOut()
  }

  /** Fails when the consumer cannot go on. */
  readonly end: Effect.Effect<never, RedisError> = Effect.suspend(() =>
    Effect.flatMap(
      this.ended.until(() => this.failure !== undefined),
      () => Effect.fail(this.failure as RedisError)
    )
  )

  /** Whether the consumer has stopped. */
  get isOver(): boolean {
    return this.over
  }

  /**
   * Stops reading, waits up to `millis` for handlers that run, acknowledges handled entries, and hands back entries
   * that no handler began. `abandon` ends the handlers that are not done by then.
   */
  stop(millis: number, abandon: Effect.Effect<unknown> = Effect.void): Effect.Effect<void> {
    const { acknowledging, hand, intake } = this
    return Effect.gen(this, function* () {
      hand.stop()
      // Entries that the server sends to a read that ends now are pending here; handing back finds them.
      for (const fiber of [...this.taking, ...this.retry.fibers]) {
        yield* interruptFork(fiber)
      }
      const unbegun = hand.entries.filter(({ state }) => state === "ready")
      for (const held of unbegun) {
        hand.drop(held)
      }
      if (!(yield* hand.progress.until(() => hand.running === 0, millis))) {
        yield* abandon
      }
      acknowledging.flush()
      const handBack = hand.size > 0 || unbegun.length > 0 || intake.resumed ? this.handBack(unbegun) : Effect.void
      const finish = Effect.zipRight(
        hand.progress.until(() => hand.unacked === 0),
        handBack
      )
      yield* within(finish, farewell)
      this.over = true
      for (const fiber of this.upkeep) {
        yield* interruptFork(fiber)
      }
      hand.end()
      for (const held of hand.entries) {
        held.onAcked?.(Exit.fail(this.failure ?? stopped()))
      }
    })
  }

  /**
   * Hands entries that no handler began, and entries of replies that were not read, to the next consumer that claims.
   */
  private handBack(unbegun: ReadonlyArray<Held<A>>): Effect.Effect<void> {
    const { group, hand, intake } = this
    return Effect.gen(function* () {
      const counts = new Map(unbegun.map(({ attempt, id }) => [id, attempt - 1]))
      let start: StreamId | Exclusive<StreamId> = "-"
      while (true) {
        const page: ReadonlyArray<PendingEntry> = yield* group.redis.send(group.xpending(start))
        const last = page[page.length - 1]
        if (last === undefined) {
          return
        }
        const handedBack = byCount(
          page.filter(({ id }) => !hand.has(id) && !hand.wasLeft(id)),
          // A delivery in a reply that was not read was no attempt; deliveries from before the start may have been.
          ({ deliveries, id }) => counts.get(id) ?? Math.max(Number(deliveries) - (intake.resumed ? 1 : 0), 0)
        )
        for (const [retrycount, ids] of handedBack) {
          yield* group.redis.send(group.touch(ids, { idle: handedBackIdle, retrycount }))
        }
        start = range.exclusive(last.id)
      }
    }).pipe(
      Effect.catchAllCause((cause) =>
        group.log(Effect.logDebug(`Entries of ${place(group.settings)} could not be handed back`, cause))
      )
    )
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Entries
  // -------------------------------------------------------------------------------------------------------------------

  /** The next entry; `undefined` when there will be none. */
  get take(): Effect.Effect<Held<A> | undefined> {
    return this.hand.take
  }

  /** All entries that are ready, at least one. */
  readonly takeAll: Effect.Effect<ReadonlyArray<Held<A>>, Option.Option<RedisError>> = Effect.suspend(() =>
    Effect.flatMap(this.hand.take, (first): Effect.Effect<ReadonlyArray<Held<A>>, Option.Option<RedisError>> => {
      if (first === undefined) {
        return Effect.fail(Option.fromNullable(this.failure))
      }
      const all = [first]
      for (let next = this.hand.shift(); next !== undefined; next = this.hand.shift()) {
        all.push(next)
      }
      return Effect.succeed(all)
    })
  )

  /** Whether an entry is to be handled. What becomes of any other is decided here. */
  admits(held: Held<A>): Effect.Effect<boolean> {
    const refusal = this.hand.refusal(held)
    return refusal === undefined ? Effect.succeed(true) : Effect.as(this.refuse(held, refusal), false)
  }

  private refuse(held: Held<A>, refusal: Cause.Cause<unknown>): Effect.Effect<void> {
    const { acknowledging, group, hand, retry } = this
    const { undecodable } = held
    return Effect.suspend(() => {
      switch (undecodable === undefined ? "reject" : group.settings.onUndecodable) {
        case "skip":
          acknowledging.add(held)
          return group.report({ _tag: "Skipped", id: held.id, error: undecodable as DecodeError })
        case "fail":
          hand.leave(held)
          this.fail(undecodable as DecodeError)
          return Effect.void
        default:
          return retry.failed(held, refusal, undefined, true)
      }
    })
  }

  /** Whether it will hand out no more entries, because it cannot go on. */
  get failing(): boolean {
    return this.failure !== undefined
  }

  /** An entry that was taken will not be handled now: a stop hands it back. */
  putBack(held: Held<A>): void {
    this.hand.putBack(held)
  }

  /** The entry as handlers get it. */
  entry(held: Held<A>): (EntryOf<A> | UndecodableOf) & { readonly attempt: number } {
    return this.hand.entry(held)
  }

  /** The entry was handled: it will be acknowledged. */
  succeed(held: Held<A>, onAcked?: (exit: Exit.Exit<void, RedisError>) => void): void {
    this.acknowledging.add(held, onAcked)
  }

  /** Acknowledges one entry at once, for entries of a consumer that has stopped. */
  acknowledgeAlone(held: Held<A>): Effect.Effect<void, RedisError> {
    return Effect.asVoid(this.group.redis.send(this.group.xack(held.id)))
  }

  get buffersAcks(): boolean {
    return this.group.settings.ackWithin > 0
  }

  /** The entry was not handled: see {@link Retry.failed}. */
  failed(
    held: Held<A>,
    cause: Cause.Cause<unknown>,
    retry: Schedule.Schedule<unknown, Cause.Cause<unknown>> | undefined,
    final = false
  ): Effect.Effect<void> {
    return this.retry.failed(held, cause, retry, final)
  }
}
