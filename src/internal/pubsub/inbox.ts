/**
 * Where one subscription's messages wait: bounded by count and bytes, with what happens beyond said by a strategy. It is
 * filled by a plain call on the socket's stack and emptied by whoever takes, in batches; a message costs no fiber, no
 * Deferred and no decoding before it is taken.
 */
import * as DateTime from "effect/DateTime"
import { type ConnectionError, OverflowError, type RedisError } from "../../RedisError.js"
import { Ring } from "../engine/ring.js"
import type { Reply } from "../resp/values.js"

/** What becomes of messages when as many wait as may. */
export type Strategy = "suspend" | "sliding" | "dropping" | "fail"

/** A message as it came: one object, however many listeners share it. */
export class Delivery {
  /** What it takes while it waits, about. */
  readonly size: number
  constructor(
    readonly channel: string | Uint8Array,
    readonly pattern: string | Uint8Array | undefined,
    readonly payload: Reply
  ) {
    this.size = sizeOf(payload)
  }
}

/** A place where messages may be missing. `dropped` grows, and gaps are merged, until it is taken. */
export class Gap {
  readonly _tag = "Gap"
  readonly since: DateTime.Utc
  constructor(
    public reason: "disconnected" | "moved" | "overflow",
    public cause: ConnectionError | undefined,
    since?: DateTime.Utc,
    public dropped = 0
  ) {
    this.since = since ?? DateTime.unsafeMake(Date.now())
  }
}

export interface InboxOptions {
  /** How many messages may wait, and how many bytes of them. */
  readonly capacity: number
  readonly maxBytes: number
  readonly strategy: Strategy
  /**
   * Whether gaps stand among the messages: `once`, and only when it is over, so that who then looks again sees everything;
   * or `twice`, at its begin and its end.
   */
  readonly gaps: "none" | "once" | "twice"
}

/** What an inbox tells its owner. */
export interface InboxOwner {
  /** Messages begin to be dropped, for the first time since the inbox was empty. */
  readonly onBurst: () => void
  /** A burst is over: everything was taken. */
  readonly onBurstEnd: (dropped: number) => void
  /** Enough waits, or there is room again. */
  readonly onFull: () => void
  readonly onRoom: () => void
  /** The strategy was to fail. */
  readonly onOverflow: (error: OverflowError) => void
}

/** How the end is told, once everything was taken. */
export type End = { readonly error: RedisError | undefined }

/** What a message takes beside its payload, about. */
const overhead = 64

const sizeOf = (payload: Reply): number =>
  typeof payload === "string" || payload instanceof Uint8Array
    ? payload.length + overhead
    : Array.isArray(payload)
      ? payload.reduce((sum: number, item: Reply) => sum + sizeOf(item), overhead)
      : overhead

export class Inbox {
  /** How many messages were dropped, ever. */
  dropped = 0
  end: End | undefined

  private readonly items = new Ring<Delivery | Gap>()
  /** Messages, and bytes of them, that wait; gaps do not count. */
  private messages = 0
  private bytes = 0
  /** A gap that stands before everything else. */
  private first: Gap | undefined
  /** How many items may be taken before the place where it is not yet known how long the gap is. */
  private takeable: number | undefined
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

  /** Enough waits, and nobody was told of room since. */
  get isFull(): boolean {
    return this.full
  }

  /** Whether a taker would get as much now: so many items, what there is in a full or ended inbox, or the end. */
  ready(least: number): boolean {
    const there = this.takeable === 0 ? 0 : (this.takeable ?? this.items.length) + (this.first === undefined ? 0 : 1)
    return (
      there >= least || this.end !== undefined || (there > 0 && (this.full || this.messages >= this.options.capacity))
    )
  }

  /** The end was told, or will be to the next who asks. */
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

  /** One message larger than the bound has to find room when nothing else waits. */
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
    if (this.burst++ === 0) {
      this.owner.onBurst()
    }
  }

  /** Something may be missing from here on; nothing behind is given before {@link lift} says that it is over. */
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
      // Nothing came since.
      last.cause ??= cause
      this.takeable ??= this.items.length - 1
      return
    }
    this.takeable ??= this.items.length
    this.items.push(new Gap(reason, cause))
  }

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
  /** The gap that is told again when it is over. */
  private again: Gap | undefined

  /** Forgets what waits, as if it had never come. */
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

  /** The next item, or `undefined` when none may be taken now. */
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

  /** Nothing comes any more; what waits can still be taken. */
  finish(error: RedisError | undefined): void {
    if (this.end === undefined) {
      this.end = { error }
      this.takeable = undefined
      this.wake()
      this.settle()
    }
  }

  /** Told by who took the last: those who wait for the end hear of it. */
  settle(): void {
    if (this.exhausted) {
      for (const watcher of [...this.watchers]) {
        watcher()
      }
      this.watchers.clear()
    }
  }

  /** Calls once there is as much to take; answers how not to be called. */
  onReady(least: number, taker: () => void): () => void {
    this.takers.set(taker, least)
    return () => this.takers.delete(taker)
  }

  /** Calls once the end was reached; answers how not to be called. */
  onEnd(watcher: () => void): () => void {
    this.watchers.add(watcher)
    return () => this.watchers.delete(watcher)
  }

  private wake(): void {
    for (const [taker, least] of this.takers) {
      if (this.ready(least)) {
        this.takers.delete(taker)
        taker()
      }
    }
  }
}

/** Two gaps with nothing between them that anybody could still take. */
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
