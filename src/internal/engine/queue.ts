/**
 * Commands that were accepted and wait to be written: while the socket is full, or while there is none. Bounded by
 * count and bytes; what is taken back costs nothing more.
 */
import { type Encoded, encodedLength } from "../resp/encoder.js"
import type { Failure, Pending } from "./engine.js"
import { Ring } from "./ring.js"

/** A command that waits; nothing of it is held once it no longer does. */
export interface Queued {
  readonly owner: CommandQueue
  pending: Pending | undefined
  encoded: Encoded
}

export class CommandQueue {
  private readonly ring = new Ring<Queued>()
  private bytes = 0
  /** How many commands wait. */
  length = 0

  constructor(
    private readonly maxCommands: number,
    private readonly maxBytes: number
  ) {}

  /** Takes a command, or answers why there is no room. */
  add(pending: Pending, encoded: Encoded): Failure | undefined {
    const bytes = encodedLength(encoded)
    if (this.length >= this.maxCommands) {
      return { _tag: "Overflow", limit: "commands", maximum: this.maxCommands }
    }
    // One command larger than the bound must still be able to go when nothing else waits.
    if (this.length > 0 && this.bytes + bytes > this.maxBytes) {
      return { _tag: "Overflow", limit: "bytes", maximum: this.maxBytes }
    }
    this.length++
    this.bytes += bytes
    pending.queued = { owner: this, pending, encoded }
    this.ring.push(pending.queued)
    return undefined
  }

  /** The next command that still waits and that somebody waits for; it is taken out. */
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

  /** Takes a command back. */
  remove(queued: Queued): void {
    this.drop(queued)
    this.compact()
  }

  /** Fails what has waited past its deadline, and drops what nobody waits for; `hint` says what it waited for. */
  expire(now: number, hint?: string): void {
    for (let i = 0; i < this.ring.length; i++) {
      const queued = this.ring.at(i) as Queued
      const { pending } = queued
      if (pending?.abandoned === true) {
        this.drop(queued)
        pending.settled = true
      } else if (pending !== undefined && pending.deadline <= now) {
        this.drop(queued)
        settleFailure(pending, { _tag: "Deadline", phase: "queue", delivery: "unsent", hint })
      }
    }
    this.compact()
  }

  private drop(queued: Queued): void {
    const { encoded, pending } = queued
    if (pending !== undefined) {
      this.length--
      this.bytes -= encodedLength(encoded)
      pending.queued = undefined
      queued.pending = undefined
      queued.encoded = ""
    }
  }

  /** What was taken back goes when it is most of the queue, so that a queue nobody drains does not grow. */
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

/** Takes back a command that waits, wherever it does. Its owner is gone. */
export const withdraw = (pending: Pending): void => {
  pending.settled = true
  pending.queued?.owner.remove(pending.queued)
}

/** Tells a pending command that its reply will not come, once. */
export const settleFailure = (pending: Pending, failure: Failure): void => {
  if (!pending.settled) {
    pending.settled = true
    pending.onFailure(failure)
  }
}
