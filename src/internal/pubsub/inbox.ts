/**
 * The buffer of one subscription: messages, and the gaps between them, that wait to be taken. It is bounded by count and
 * bytes; a strategy decides what happens beyond the bound. The hub fills it by a plain call while the socket is read, and
 * takers empty it in batches. It does not decode messages and it starts no fiber.
 */
import * as DateTime from "effect/DateTime"
import { type ConnectionError, OverflowError, type RedisError } from "../../RedisError.js"
import { Ring } from "../engine/ring.js"
import * as Timers from "../engine/timers.js"
import type { Reply } from "../resp/values.js"

/** What happens to messages when the inbox is full. */
export type Strategy = "suspend" | "sliding" | "dropping" | "fail"

/** A message as it arrived. All listeners of a topic share one object. */
export class Delivery {
  /** About how many bytes of memory it holds. */
  readonly size: number
  constructor(
    readonly channel: string | Uint8Array,
    readonly pattern: string | Uint8Array | undefined,
    readonly payload: Reply
  ) {
    this.size = sizeOf(payload)
  }
}

/** A place where messages may be missing. Until it is taken, `dropped` may grow and other gaps may be merged into it. */
export class Gap {
  readonly _tag = "Gap"
  readonly since: DateTime.Utc
  constructor(
    public reason: "disconnected" | "moved" | "overflow",
    public cause: ConnectionError | undefined,
    since?: DateTime.Utc,
    public dropped = 0
  ) {
    this.since = since ?? DateTime.unsafeMake(Timers.timeOfDay())
  }
}

/** The inbox may be of another copy of this package than the program that takes from it. */
export const isGap = (item: Delivery | Gap): item is Gap => "_tag" in item

export interface InboxOptions {
  /** How many messages may wait, and how many bytes. */
  readonly capacity: number
  readonly maxBytes: number
  readonly strategy: Strategy
  /**
   * Whether gaps are items among the messages. With `once` a gap can be taken when it is over: a program that then reads
   * its state again misses nothing. With `twice` there is an item when the gap begins and one when it is over.
   */
  readonly gaps: "none" | "once" | "twice"
}

/** What an inbox reports to its owner. */
export interface InboxOwner {
  /** A message was dropped. */
  readonly onDrop: () => void
  /** The same, of the first one since the inbox was empty. */
  readonly onBurst: () => void
  /** The inbox is empty again, after it has dropped so many messages. */
  readonly onBurstEnd: (dropped: number) => void
  /** With the strategy `suspend`: the inbox is full, or at most half full again. */
  readonly onFull: () => void
  readonly onRoom: () => void
  /** With the strategy `fail`: a message did not fit. */
  readonly onOverflow: (error: OverflowError) => void
  /** A taker or a watcher threw. */
  readonly onDefect: (defect: unknown) => void
}

/** The end of the messages: an error, or none. Takers get it after the last message. */
export type End = { readonly error: RedisError | undefined }

/** About how many bytes of memory a message holds beside its payload. */
const overhead = 64

const sizeOf = (payload: Reply): number =>
  typeof payload === "string" || payload instanceof Uint8Array
    ? payload.length + overhead
    : Array.isArray(payload)
      ? payload.reduce((sum: number, item: Reply) => sum + sizeOf(item), overhead)
      : overhead

export class Inbox {
  /** How many messages were dropped since the beginning. */
  dropped = 0
  end: End | undefined

  private readonly items = new Ring<Delivery | Gap>()
  /** How many messages wait, and how many bytes. Gaps do not count. */
  private messages = 0
  private bytes = 0
  /** A gap before all items. */
  private first: Gap | undefined
  /** With `once`, while there is a gap that is not over: how many items before it may be taken. */
  private takeable: number | undefined
  /** With `twice`, while there is a gap that is not over: the item for its end. */
  private again: Gap | undefined
  private burst = 0
  private full = false
  private readonly takers = new Map<() => void, number>()
  private readonly watchers = new Set<() => void>()

  constructor(
    readonly options: InboxOptions,
    private readonly owner: InboxOwner
  ) {}

  /** How many messages wait. */
  get size(): number {
    return this.messages
  }

  /** Whether `onFull` was reported, and `onRoom` not yet. */
  get isFull(): boolean {
    return this.full
  }

  /**
   * Whether a taker who wants `least` items would get an answer now: that many items, or all there are because the inbox
   * is full, or the end.
   */
  ready(least: number): boolean {
    const there = this.takeable === 0 ? 0 : (this.takeable ?? this.items.length) + (this.first === undefined ? 0 : 1)
    return (
      there >= least || this.end !== undefined || (there > 0 && (this.full || this.messages >= this.options.capacity))
    )
  }

  /** Whether the next taker gets the end. */
  get exhausted(): boolean {
    return this.end !== undefined && this.items.length === 0 && this.first === undefined
  }

  offer(delivery: Delivery): void {
    if (this.end !== undefined) {
      return
    }
    const { size } = delivery
    const { capacity, maxBytes, strategy } = this.options
    if (!this.fits(size)) {
      switch (strategy) {
        case "dropping":
          return this.dropNewest()
        case "sliding":
          this.dropOldest(size)
          break
        case "fail": {
          return this.owner.onOverflow(
            this.messages < capacity
              ? new OverflowError({ limit: "messageBytes", maximum: maxBytes })
              : new OverflowError({ limit: "messages", maximum: capacity })
          )
        }
      }
    }
    this.items.push(delivery)
    this.messages++
    this.bytes += size
    if (strategy === "suspend" && !this.full && (this.messages >= capacity || this.bytes >= maxBytes)) {
      this.full = true
      this.owner.onFull()
    }
    if (this.takers.size > 0) {
      this.wake()
    }
  }

  /** A message larger than `maxBytes` fits while no other waits: otherwise it would never fit. */
  private fits(size: number): boolean {
    const { capacity, maxBytes } = this.options
    return this.messages < capacity && (this.messages === 0 || this.bytes + size <= maxBytes)
  }

  private dropNewest(): void {
    if (this.options.gaps !== "none") {
      const last = this.items.at(this.items.length - 1)
      if (last instanceof Gap && last.reason === "overflow") {
        last.dropped++
      } else {
        this.items.push(new Gap("overflow", undefined, undefined, 1))
      }
    }
    this.lose()
  }

  private dropOldest(size: number): void {
    while (this.messages > 0 && !this.fits(size)) {
      const item = this.items.shift() as Delivery | Gap
      if (this.takeable !== undefined && this.takeable > 0) {
        this.takeable--
      }
      if (item instanceof Gap) {
        this.first = merge(this.first, item)
      } else {
        this.messages--
        this.bytes -= item.size
        if (this.first !== undefined) {
          this.first.dropped++
        } else if (this.options.gaps !== "none") {
          this.first = new Gap("overflow", undefined, undefined, 1)
        }
        this.lose()
      }
    }
  }

  private lose(): void {
    this.dropped++
    this.owner.onDrop()
    if (this.burst++ === 0) {
      this.owner.onBurst()
    }
  }

  /**
   * A gap begins: messages may be missing from here on, until {@link lift} ends it. With `once` takers do not get the gap,
   * or a message after it, before that.
   */
  hold(reason: "disconnected" | "moved", cause: ConnectionError | undefined): void {
    const { gaps } = this.options
    if (gaps === "none" || this.end !== undefined) {
      return
    }
    if (gaps === "twice") {
      this.again ??= new Gap(reason, cause)
      this.mark(new Gap(reason, cause))
      return this.wake()
    }
    const last = this.items.at(this.items.length - 1)
    if (last instanceof Gap && last.reason !== "overflow") {
      // No message arrived since that gap: both are one.
      last.cause ??= cause
      this.takeable ??= this.items.length - 1
      return
    }
    this.takeable ??= this.items.length
    this.items.push(new Gap(reason, cause))
  }

  /** The gap is over. */
  lift(): void {
    this.takeable = undefined
    if (this.again !== undefined) {
      this.mark(this.again)
      this.again = undefined
    }
    this.wake()
  }

  private mark(gap: Gap): void {
    const last = this.items.at(this.items.length - 1)
    if (!(last instanceof Gap)) {
      this.items.push(gap)
    }
  }

  /** Removes everything that waits. It does not count as dropped. */
  clear(): void {
    while (this.items.length > 0) {
      this.items.shift()
    }
    this.messages = 0
    this.bytes = 0
    this.first = undefined
    this.takeable = undefined
    this.room()
  }

  /** Takes the next item. `undefined`: there is none now. */
  take(): Delivery | Gap | undefined {
    if (this.takeable === 0) {
      return undefined
    }
    const { first } = this
    if (first !== undefined) {
      this.first = undefined
      return first
    }
    const item = this.items.shift()
    if (item === undefined) {
      return undefined
    }
    if (this.takeable !== undefined) {
      this.takeable--
    }
    if (item instanceof Delivery) {
      this.messages--
      this.bytes -= item.size
    }
    this.room()
    return item
  }

  private room(): void {
    if (this.full && this.messages <= this.options.capacity / 2 && this.bytes <= this.options.maxBytes / 2) {
      this.full = false
      this.owner.onRoom()
    }
    if (this.burst > 0 && this.messages === 0) {
      const { burst } = this
      this.burst = 0
      this.owner.onBurstEnd(burst)
    }
  }

  /** No message will come any more. Items that wait can still be taken. */
  finish(error: RedisError | undefined): void {
    if (this.end === undefined) {
      this.end = { error }
      this.takeable = undefined
      this.wake()
      this.settle()
    }
  }

  /** Calls the watchers, if the last item was taken and the end is reached. Takers call it. */
  settle(): void {
    if (this.exhausted) {
      const watchers = [...this.watchers]
      this.watchers.clear()
      for (const watcher of watchers) {
        this.call(watcher)
      }
    }
  }

  /** Calls `taker` once, when {@link ready} holds; returns how to cancel that. */
  onReady(least: number, taker: () => void): () => void {
    this.takers.set(taker, least)
    return () => this.takers.delete(taker)
  }

  /** Calls `watcher` once, when the end is reached; returns how to cancel that. */
  onEnd(watcher: () => void): () => void {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }

  private wake(): void {
    for (const [taker, least] of this.takers) {
      if (this.ready(least)) {
        this.takers.delete(taker)
        this.call(taker)
      }
    }
  }

  /** Takers and watchers are called while the socket is read: one that throws must not take messages from others. */
  private call(waiter: () => void): void {
    try {
      waiter()
    } catch (defect) {
      this.owner.onDefect(defect)
    }
  }
}

/** Makes one gap of two, when no message between them is left. */
const merge = (before: Gap | undefined, after: Gap): Gap => {
  if (before === undefined) {
    return after
  }
  before.dropped += after.dropped
  before.cause ??= after.cause
  if (before.reason === "overflow") {
    before.reason = after.reason
  }
  return before
}
