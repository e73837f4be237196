/**
 * The entries that a consumer has in hand: their states, their order by key, and the handlers that wait for one. It is
 * plain JavaScript that sends no command; the other files of this folder read, keep and acknowledge what is in hand.
 *
 * An entry is in hand from when its delivery is read until the group has confirmed its acknowledgement, or until it is
 * left to be claimed. However often the server delivers an entry, it is taken into hand once.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type { StreamId } from "../../commands/stream-entry.js"
import type { DecodeError, RedisError } from "../../RedisError.js"
import type { Stepper } from "../effect/schedule.js"
import type { StreamMetrics } from "../telemetry/streamMetrics.js"
import { type RawEntry, undecodable } from "./entry.js"
import type { EntryOf, GroupSettings, UndecodableOf } from "./settings.js"
import { Signal } from "./wait.js"

/** At most this many entries may be handled and not yet acknowledged, in addition to those in hand. */
const maxUnacked = 10_000

/** At most this many ids that were left are remembered. An id that is forgotten may be resumed too early. */
const maxLeft = 10_000

/**
 * - `ready`: waits for a handler, or for an earlier entry with its key.
 * - `running`: with its handler, or with the program.
 * - `waiting`: failed, and will be tried again here.
 * - `handled`: done, and about to be acknowledged.
 * - `dropped`: not in hand any more.
 */
type State = "ready" | "running" | "waiting" | "handled" | "dropped"

/** An entry in hand. */
export class Held<A> {
  state: State = "ready"
  /** The key by which its handling is ordered. */
  lane: string | undefined
  /** The Schedule of its retries, under way. */
  retries: Stepper<Cause.Cause<unknown>> | undefined
  /** Called when the acknowledgement is confirmed, or cannot be. */
  onAcked: ((exit: Exit.Exit<void, RedisError>) => void) | undefined

  constructor(
    readonly raw: RawEntry,
    readonly fields: Either.Either<A, Cause.Cause<unknown>>,
    /** Why the fields do not decode, when that is so. */
    readonly undecodable: DecodeError | undefined,
    /** Which delivery this is, by the group's count. */
    public attempt: number
  ) {}

  get id(): StreamId {
    return this.raw.id
  }
}

export class Hand<A> {
  private readonly held = new Map<StreamId, Held<A>>()
  /** Entries that are pending for this consumer, and that it does not take up again unless it claims them. */
  private readonly left = new Set<StreamId>()
  /** Entries in hand by their key. Only the first of each key may run. */
  private readonly lanes = new Map<string, Array<Held<A>>>()
  private readonly ready: Array<Held<A>> = []
  private readonly takers: Array<(held: Held<A> | undefined) => void> = []
  /** Entries with their handlers. */
  running = 0
  /** Entries that are handled and not yet acknowledged. */
  unacked = 0
  /** Nothing is taken in any more, and nothing handed out. */
  stopping = false
  private handsOut = true
  /** Notified when there may be room for more entries. */
  readonly room = new Signal()
  /** Notified when an entry leaves its handler, or the hand. */
  readonly progress = new Signal()

  constructor(
    private readonly settings: GroupSettings<A>,
    private readonly metrics: StreamMetrics
  ) {}

  get size(): number {
    return this.held.size
  }

  get entries(): ReadonlyArray<Held<A>> {
    return [...this.held.values()]
  }

  has(id: StreamId): boolean {
    return this.held.has(id)
  }

  wasLeft(id: StreamId): boolean {
    return this.left.has(id)
  }

  /** How many more entries there is room for. */
  get free(): number {
    return Math.min(this.settings.maxInHand - (this.held.size - this.unacked), maxUnacked - this.unacked)
  }

  /** Whether reading is worth it: there is room for many entries, or nothing left to handle and some room. */
  readonly hasRoom = (): boolean =>
    this.free > 0 && (this.ready.length === 0 || this.free >= Math.floor(this.settings.maxInHand / 2))

  // -------------------------------------------------------------------------------------------------------------------
  // In
  // -------------------------------------------------------------------------------------------------------------------

  /** Takes a delivered entry into hand, unless it is in hand already. */
  register(raw: RawEntry, attempt: number): void {
    if (this.held.has(raw.id) || this.stopping) {
      return
    }
    const { decode, orderBy, stream } = this.settings
    this.left.delete(raw.id)
    let error: DecodeError | undefined
    const fields: Either.Either<A, Cause.Cause<unknown>> = guarded(() =>
      Either.mapLeft(decode(raw), (issue) => {
        error = undecodable("XREADGROUP", stream, raw.id, issue)
        return Cause.fail(error)
      })
    )
    const lane =
      orderBy === undefined
        ? Either.right(undefined)
        : Either.flatMap(fields, (fields) => guarded(() => Either.right(orderBy({ stream, id: raw.id, fields }))))
    const held = new Held<A>(
      raw,
      Either.flatMap(lane, () => fields),
      error,
      attempt
    )
    this.held.set(raw.id, held)
    this.metrics.hold(this.held.size)
    if (Either.isRight(lane) && lane.right !== undefined) {
      held.lane = lane.right
      const line = this.lanes.get(lane.right)
      if (line !== undefined) {
        line.push(held)
        return
      }
      this.lanes.set(lane.right, [held])
    }
    this.offer(held)
  }

  private offer(held: Held<A>): void {
    if (this.stopping) {
      return
    }
    const taker = this.takers.shift()
    if (taker === undefined) {
      this.ready.push(held)
    } else {
      this.begin(held)
      taker(held)
    }
  }

  private begin(held: Held<A>): void {
    held.state = "running"
    this.running++
    if (held.retries === undefined) {
      this.metrics.taken(held.id)
    }
  }

  /** The next entry with the same key may run. */
  private advance(held: Held<A>): void {
    const { lane } = held
    const line = lane === undefined ? undefined : this.lanes.get(lane)
    if (lane === undefined || line === undefined) {
      return
    }
    const at = line.indexOf(held)
    line.splice(at, 1)
    if (line.length === 0) {
      this.lanes.delete(lane)
    } else if (at === 0) {
      this.offer(line[0] as Held<A>)
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Out
  // -------------------------------------------------------------------------------------------------------------------

  /** An entry that is ready now. */
  shift(): Held<A> | undefined {
    for (let held = this.ready.shift(); held !== undefined; held = this.ready.shift()) {
      if (held.state === "ready") {
        this.begin(held)
        this.room.notify()
        return held
      }
    }
    return undefined
  }

  /** The next entry; `undefined` when there will be none. */
  readonly take: Effect.Effect<Held<A> | undefined> = Effect.async<Held<A> | undefined>((resume) => {
    const ready = this.handsOut ? this.shift() : undefined
    if (ready !== undefined || !this.handsOut) {
      resume(Exit.succeed(ready))
      return undefined
    }
    const taker = (held: Held<A> | undefined): void => resume(Exit.succeed(held))
    this.takers.push(taker)
    this.room.notify()
    return Effect.sync(() => {
      const at = this.takers.indexOf(taker)
      if (at >= 0) {
        this.takers.splice(at, 1)
      }
    })
  })

  /** Hands out no more entries; handlers that wait for one get `undefined`. */
  endHandingOut(): void {
    this.handsOut = false
    for (const taker of this.takers.splice(0)) {
      taker(undefined)
    }
  }

  /** Takes no entry in and hands no entry out any more. */
  stop(): void {
    this.stopping = true
    this.endHandingOut()
  }

  private ended = false

  /** The consumer is over: what is still in hand is nobody's any more here. */
  end(): void {
    this.ended = true
    this.metrics.hold(0)
  }

  /**
   * Why an entry is not to be handled at all: it does not decode (unless the program takes such entries), or was delivered
   * too often already.
   */
  refusal(held: Held<A>): Cause.Cause<unknown> | undefined {
    return Either.isLeft(held.fields) && !this.emits(held)
      ? held.fields.left
      : held.attempt > this.settings.attempts
        ? Cause.fail(new Unacknowledged({ deliveries: held.attempt - 1 }))
        : undefined
  }

  private emits({ undecodable }: Held<A>): boolean {
    return undecodable !== undefined && this.settings.onUndecodable === "emit"
  }

  /** The entry as handlers get it. */
  entry(held: Held<A>): (EntryOf<A> | UndecodableOf) & { readonly attempt: number } {
    const { attempt, fields, id, raw, undecodable } = held
    const { stream } = this.settings
    return undecodable === undefined
      ? { stream, id, fields: Either.getOrThrow(fields), attempt }
      : { _tag: "Undecodable", stream, id, pairs: raw.pairs, error: undecodable, attempt }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // States
  // -------------------------------------------------------------------------------------------------------------------

  /** The entry was taken, and no handler has begun: it is as before. */
  putBack(held: Held<A>): void {
    if (held.state === "running") {
      held.state = "ready"
      this.running--
      this.ready.unshift(held)
    }
  }

  /** The handler is done: the entry leaves it, and waits for its acknowledgement. */
  handled(held: Held<A>): void {
    held.state = "handled"
    this.running--
    this.unacked++
    this.advance(held)
    this.progress.notify()
    this.room.notify()
  }

  /** The handler failed: the entry waits for its retry. Entries with its key wait too. */
  wait(held: Held<A>): void {
    held.state = "waiting"
    this.running--
    this.progress.notify()
  }

  /** An entry that waited for its retry is ready for a further attempt. */
  retry(held: Held<A>): void {
    held.attempt++
    held.state = "ready"
    this.offer(held)
  }

  /** The entry is not in hand any more, whatever its state was. */
  drop(held: Held<A>): void {
    if (held.state === "dropped") {
      return
    }
    if (held.state === "running") {
      this.running--
    }
    if (held.state === "handled") {
      this.unacked--
    }
    const advances = held.state !== "handled"
    held.state = "dropped"
    this.held.delete(held.id)
    this.metrics.hold(this.ended ? 0 : this.held.size)
    if (advances) {
      this.advance(held)
    }
    this.progress.notify()
    this.room.notify()
  }

  /** Drops an entry that stays pending, to be claimed once it is idle. */
  leave(held: Held<A>): void {
    if (held.state !== "dropped") {
      this.drop(held)
      if (this.left.size >= maxLeft) {
        this.left.delete(this.left.values().next().value as StreamId)
      }
      this.left.add(held.id)
    }
  }
}

/** Delivered as often as allowed and never acknowledged: its handlers ended with their process. */
class Unacknowledged extends Data.TaggedError("Unacknowledged")<{ readonly deliveries: number }> {
  override get message(): string {
    return `delivered ${this.deliveries} times, and never acknowledged`
  }
}

/** When code of the user throws, that is the failure of its entry. */
const guarded = <B>(f: () => Either.Either<B, Cause.Cause<unknown>>): Either.Either<B, Cause.Cause<unknown>> => {
  try {
    return f()
  } catch (defect) {
    return Either.left(Cause.die(defect))
  }
}
