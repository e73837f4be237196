/**
 * Requests that were accepted and wait to be written: while the socket is full, or while there is no connection. All queues of
 * a client share bounds of count and bytes. A request that is taken back costs nothing more.
 */
import { type Encoded, encodedLength } from "../resp/encoder.js"
import type { Failure } from "./failure.js"
import { type Pending, type Place, settleFailure } from "./pending.js"
import { Ring } from "./ring.js"
import * as Timers from "./timers.js"

/** The place of a request that waits. Once it no longer waits, its place holds nothing of it. */
class Queued implements Place {
  constructor(
    private readonly queue: CommandQueue,
    public pending: Pending | undefined,
    public encoded: Encoded,
    readonly bytes: number
  ) {}

  leave(): void {
    this.queue.remove(this)
  }
}

/** How many commands, and bytes of them, may wait in all queues of a client, over all of its connections. */
export class QueueBounds {
  private commands = 0
  private bytes = 0
  /** Told, soon after a change, what waits. */
  onChange: ((commands: number, bytes: number) => void) | undefined = undefined
  private timer: Timers.Timer | undefined

  constructor(
    readonly maxCommands: number,
    readonly maxBytes: number
  ) {}

  /** Takes room for a command, or returns why there is none. */
  take(bytes: number): Failure | undefined {
    if (this.commands >= this.maxCommands) {
      return { _tag: "Overflow", limit: "commands", maximum: this.maxCommands }
    }
    // A request that is larger than the bound must still be able to go when nothing else waits.
    if (this.commands > 0 && this.bytes + bytes > this.maxBytes) {
      return { _tag: "Overflow", limit: "bytes", maximum: this.maxBytes }
    }
    this.commands++
    this.bytes += bytes
    this.changed()
    return undefined
  }

  give(bytes: number): void {
    this.commands--
    this.bytes -= bytes
    this.changed()
  }

  private changed(): void {
    if (this.onChange !== undefined && this.timer === undefined) {
      this.timer = Timers.setTimeout(() => {
        this.timer = undefined
        this.onChange?.(this.commands, this.bytes)
      }, changeMillis)
    }
  }
}

/** How often a change of what waits is told, in milliseconds. */
const changeMillis = 20

export class CommandQueue {
  private readonly ring = new Ring<Queued>()
  /** How many requests wait. */
  length = 0

  constructor(private readonly bounds: QueueBounds) {}

  /** Takes a request, or returns why there is no room. */
  add(pending: Pending, encoded: Encoded): Failure | undefined {
    const bytes = encodedLength(encoded)
    const overflow = this.bounds.take(bytes)
    if (overflow !== undefined) {
      return overflow
    }
    this.length++
    const queued = new Queued(this, pending, encoded, bytes)
    pending.queued = queued
    this.ring.push(queued)
    return undefined
  }

  /** Takes out the next request that a caller still waits for. */
  shift(): { readonly pending: Pending; readonly encoded: Encoded } | undefined {
    while (this.ring.length > 0) {
      const queued = this.ring.shift() as Queued
      const { encoded, pending } = queued
      if (pending !== undefined) {
        this.drop(queued)
        if (!pending.abandoned) {
          return { pending, encoded }
        }
        pending.settled = true
      }
    }
    return undefined
  }

  /** Takes a request back. */
  remove(queued: Queued): void {
    this.drop(queued)
    this.compact()
  }

  /** Fails requests that have waited past their deadline, and drops those without a caller. `hint` says what they waited for. */
  expire(now: number, hint?: string): void {
    const expired: Array<Pending> = []
    for (let i = 0; i < this.ring.length; i++) {
      const queued = this.ring.at(i) as Queued
      const { pending } = queued
      if (pending?.abandoned === true) {
        this.drop(queued)
        pending.settled = true
      } else if (pending !== undefined && pending.deadline <= now) {
        this.drop(queued)
        expired.push(pending)
      }
    }
    this.compact()
    // Last, because in Effect 4 a caller goes on inside `settleFailure`, and may take other requests back.
    for (const pending of expired) {
      settleFailure(pending, { _tag: "Deadline", phase: "queue", delivery: "unsent", hint })
    }
  }

  private drop(queued: Queued): void {
    const { pending } = queued
    if (pending !== undefined) {
      this.length--
      this.bounds.give(queued.bytes)
      pending.queued = undefined
      queued.pending = undefined
      queued.encoded = ""
    }
  }

  /** Removes the entries that were taken back once they are most of the queue, so that a queue nobody drains does not grow. */
  private compact(): void {
    if (this.ring.length > 2 * this.length + 64) {
      for (let left = this.ring.length; left > 0; left--) {
        const queued = this.ring.shift() as Queued
        if (queued.pending !== undefined) {
          this.ring.push(queued)
        }
      }
    }
  }
}
