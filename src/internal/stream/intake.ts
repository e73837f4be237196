/**
 * Takes entries into hand: new ones (XREADGROUP), those that were pending for this consumer (XPENDING, XCLAIM), and
 * those that other consumers have had for too long (XAUTOCLAIM). It does not hand entries out.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type Exclusive, range } from "../../commands/range.js"
import type { StreamId } from "../../commands/stream-entry.js"
import type { RedisError } from "../../RedisError.js"
import { liveClock, makeStepper } from "../effect/schedule.js"
import * as Timers from "../engine/timers.js"
import { checkDeadLetter } from "./deadLetter.js"
import { groups } from "./entry.js"
import { byCount, type Group, type PendingEntry } from "./group.js"
import type { Hand } from "./hand.js"
import { isTransient, isUnknown, nextPause } from "./persistence.js"
import type { ClaimSettings } from "./settings.js"
import { pause } from "./wait.js"

export class Intake<A> {
  /** The entries that were pending at the start are in hand. */
  resumed = false
  /**
   * Held from asking for pending entries until they are in hand. Without it, taking up and claiming could both get an
   * entry, and the later reply would bring it back after its acknowledgement.
   */
  private readonly pending = Effect.unsafeMakeSemaphore(1)

  constructor(
    private readonly group: Group<A>,
    private readonly hand: Hand<A>
  ) {}

  /** Makes the group if asked to, takes up what is pending, and then reads new entries without end. */
  readonly read: Effect.Effect<never, RedisError> = Effect.suspend(() => {
    const { group, hand } = this
    const { block, consumer, count, reconnect, stream } = group.settings
    return Effect.gen(this, function* () {
      yield* this.makeGroup
      yield* checkDeadLetter(group)
      yield* this.resume(true)
      group.mayBeLost = false
      this.resumed = true
      hand.room.notify()
      const backoff = yield* makeStepper(reconnect)
      while (true) {
        yield* hand.room.until(hand.hasRoom)
        if (group.mayBeLost) {
          group.mayBeLost = false
          yield* this.resume(false)
          continue
        }
        const started = Timers.now()
        const found = yield* Effect.either(
          group.redis.send(
            groups.xreadgroup(
              group.settings.group,
              consumer,
              { [stream]: ">" },
              { count: Math.min(count, hand.free), block: `${block} millis` }
            )
          )
        )
        if (Either.isLeft(found)) {
          const error = found.left
          // Entries that this read may have delivered are taken up before anything else is read.
          group.mayBeLost ||= isUnknown(error)
          if (!isTransient(error)) {
            return yield* error
          }
          yield* group.report({ _tag: "Disconnected", error })
          if (!(yield* liveClock(nextPause(backoff, error)))) {
            return yield* error
          }
          continue
        }
        yield* backoff.reset
        const [only] = found.right
        if (only !== undefined) {
          for (const entry of only.entries) {
            hand.register(entry, 1)
          }
        } else if (Timers.now() - started < block / 2) {
          // The read was unblocked early, or the server did not wait: it must not become a tight loop.
          yield* pause(10)
        }
      }
    })
  })

  private readonly makeGroup: Effect.Effect<void, RedisError> = Effect.suspend(() => {
    const { create, group, stream } = this.group.settings
    return create === undefined
      ? Effect.void
      : Effect.asVoid(
          this.group.persist(
            Effect.catchIf(
              this.group.redis.send(groups.xgroupCreate(stream, group, create, { mkstream: true })),
              (error) => error._tag === "ReplyError" && error.code === "BUSYGROUP",
              () => Effect.void
            )
          )
        )
  })

  /**
   * Takes up entries that are pending for this consumer and not in hand: those from before it was started, or those of
   * replies that were not read. The first count as a further delivery, the second do not.
   */
  private resume(before: boolean): Effect.Effect<void, RedisError> {
    const { hand } = this
    return Effect.gen(this, function* () {
      let start: StreamId | Exclusive<StreamId> | undefined = "-"
      while (start !== undefined) {
        yield* hand.room.until(() => hand.free > 0)
        start = yield* this.pending.withPermits(1)(this.resumePage(start, before))
      }
    })
  }

  /** Takes up entries from `start` on; returns where to go on. */
  private resumePage(
    start: StreamId | Exclusive<StreamId>,
    before: boolean
  ): Effect.Effect<Exclusive<StreamId> | undefined, RedisError> {
    const { group, hand } = this
    return Effect.gen(this, function* () {
      const inHand = new Set(hand.entries.map(({ id }) => id))
      const page: ReadonlyArray<PendingEntry> = yield* group.persist(group.redis.send(group.xpending(start)))
      const last = page[page.length - 1]
      if (last === undefined) {
        return undefined
      }
      const all = page.filter(({ id }) => !inHand.has(id) && !hand.has(id) && (before || !hand.wasLeft(id)))
      const some = all.slice(0, Math.max(hand.free, 1))
      for (const [count, ids] of byCount(some, ({ deliveries }) =>
        Math.max(Number(deliveries) + (before ? 1 : 0), 1)
      )) {
        yield* this.takeUp(ids, count)
      }
      return range.exclusive(((some.length < all.length ? some[some.length - 1] : undefined) ?? last).id)
    })
  }

  /**
   * Claims entries that already are this consumer's, for their fields. Because it sets the count, it may be sent twice.
   */
  private takeUp(ids: ReadonlyArray<StreamId>, count: number): Effect.Effect<void, RedisError> {
    const { group, hand } = this
    return Effect.gen(function* () {
      const { deleted, entries } = yield* group.persist(group.claimOwn(ids, count))
      for (const entry of entries) {
        hand.register(entry, count)
      }
      yield* group.report({ _tag: "Resumed", ids: entries.map(({ id }) => id) })
      yield* group.forget(deleted)
    })
  }

  /** Waits until the group exists and the entries that were pending at the start are in hand. */
  readonly whenResumed: Effect.Effect<unknown> = Effect.suspend(() => this.hand.room.until(() => this.resumed))

  /** Looks through the whole group for idle entries, again and again by the Schedule. */
  claim(claim: ClaimSettings): Effect.Effect<never, RedisError> {
    return Effect.gen(this, function* () {
      yield* this.whenResumed
      const stepper = yield* makeStepper(claim.schedule)
      while (true) {
        yield* this.claimIdle(claim)
        if (!(yield* liveClock(nextPause(stepper, undefined)))) {
          return yield* Effect.never
        }
      }
    })
  }

  private claimIdle(claim: ClaimSettings): Effect.Effect<void, RedisError> {
    const { hand } = this
    return Effect.gen(this, function* () {
      let cursor = "0-0"
      do {
        yield* hand.room.until(() => hand.free > 0)
        cursor = yield* this.pending.withPermits(1)(this.claimPage(claim, cursor))
      } while (cursor !== "0-0")
    })
  }

  /** Claims idle entries from `cursor` on; returns where to go on. */
  private claimPage(claim: ClaimSettings, cursor: StreamId): Effect.Effect<StreamId, RedisError> {
    const { group, hand } = this
    const { consumer, stream } = group.settings
    return Effect.gen(function* () {
      const { claimed, deleted, next } = yield* group.persist(
        group.own(
          groups.xautoclaim(stream, group.settings.group, consumer, `${claim.idle} millis`, cursor, {
            count: Math.min(claim.count, Math.max(hand.free, 1))
          })
        )
      )
      // Entries in hand are among them when their idle time was not renewed early enough.
      const fresh = claimed.filter(({ id }) => !hand.has(id))
      const counts = yield* group.deliveries(fresh.map(({ id }) => id))
      const ours = fresh.filter(({ id }) => counts.has(id) && !hand.has(id))
      for (const entry of ours) {
        hand.register(entry, counts.get(entry.id) ?? 1)
      }
      if (ours.length > 0) {
        yield* group.report({ _tag: "Claimed", ids: ours.map(({ id }) => id) })
      }
      yield* group.forget(deleted)
      return next
    })
  }
}
