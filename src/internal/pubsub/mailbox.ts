/**
 * An inbox as programs take from it: a Mailbox, and a Stream over it. Messages are decoded here, in the fiber of who takes
 * them.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Inspectable from "effect/Inspectable"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { DecodeError, RedisError } from "../../RedisError.js"
import type { Delivery, Gap, Inbox } from "./inbox.js"

/** What an item is to the program: a value, nothing (it is passed over), or why it does not decode. */
export type Read<A> = (item: Delivery | Gap) => A | undefined | Undecodable

/** Not an `Error` of its own: it only carries one. */
export class Undecodable {
  constructor(readonly error: DecodeError) {}
}

type Batch<A> = readonly [messages: Chunk.Chunk<A>, done: boolean]

const finished = [Chunk.empty<never>(), true] as const

export class InboxMailbox<A>
  extends Effectable.Class<Batch<A>, RedisError>
  implements Mailbox.ReadonlyMailbox<A, RedisError>
{
  readonly [Mailbox.ReadonlyTypeId]: typeof Mailbox.ReadonlyTypeId = Mailbox.ReadonlyTypeId
  /** What could not be read stood behind messages that could: it fails the next taker. */
  private failure: RedisError | undefined

  constructor(
    private readonly inbox: Inbox,
    private readonly read: Read<A>
  ) {
    super()
  }

  /** Up to `most` messages, or why there are none; `undefined` when nothing can be taken now. */
  private batch(most: number): Array<A> | Effect.Effect<never, RedisError> | undefined {
    const { failure, inbox } = this
    if (failure !== undefined) {
      this.failure = undefined
      return Effect.fail(failure)
    }
    const messages: Array<A> = []
    let item: Delivery | Gap | undefined
    while (messages.length < most && (item = inbox.take()) !== undefined) {
      const value = this.read(item)
      if (value instanceof Undecodable) {
        if (messages.length === 0) {
          return Effect.fail(value.error)
        }
        this.failure = value.error
        break
      }
      if (value !== undefined) {
        messages.push(value)
      }
    }
    if (messages.length > 0) {
      return messages
    }
    if (inbox.exhausted) {
      inbox.settle()
      const error = inbox.end?.error
      return error === undefined ? messages : Effect.fail(error)
    }
    return undefined
  }

  private ready(least: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.inbox.ready(least)) {
        return resume(Effect.void)
      }
      const off = this.inbox.onReady(least, () => resume(Effect.void))
      return Effect.sync(off)
    })
  }

  takeN(n: number): Effect.Effect<Batch<A>, RedisError> {
    return this.takeUpTo(n, Math.min(n, this.inbox.options.capacity))
  }

  private takeUpTo(n: number, least: number): Effect.Effect<Batch<A>, RedisError> {
    return Effect.suspend((): Effect.Effect<Batch<A>, RedisError> => {
      const batch = n <= 0 ? [] : this.failure !== undefined || this.inbox.ready(least) ? this.batch(n) : undefined
      if (batch === undefined) {
        return Effect.zipRight(this.ready(least), this.takeUpTo(n, least))
      }
      if (!Array.isArray(batch)) {
        return batch
      }
      return Effect.succeed(batch.length === 0 && n > 0 ? finished : [Chunk.unsafeFromArray(batch), false])
    })
  }

  readonly takeAll: Effect.Effect<Batch<A>, RedisError> = this.takeUpTo(Infinity, 1)

  readonly take: Effect.Effect<A, RedisError | Cause.NoSuchElementException> = Effect.suspend(() =>
    Effect.flatMap(this.takeN(1), ([messages, done]) =>
      done ? Effect.fail(new Cause.NoSuchElementException()) : Chunk.head(messages)
    )
  )

  readonly clear: Effect.Effect<Chunk.Chunk<A>, RedisError> = Effect.suspend(() => {
    const batch = this.batch(Infinity)
    return batch === undefined
      ? Effect.succeed(Chunk.empty<A>())
      : Array.isArray(batch)
        ? Effect.succeed(Chunk.unsafeFromArray(batch))
        : batch
  })

  readonly await: Effect.Effect<void, RedisError> = Effect.async<void, RedisError>((resume) => {
    const { inbox } = this
    const told = (): void => {
      const error = inbox.end?.error
      resume(error === undefined ? Effect.void : Effect.fail(error))
    }
    if (inbox.exhausted) {
      return told()
    }
    const off = inbox.onEnd(told)
    return Effect.sync(off)
  })

  unsafeSize(): Option.Option<number> {
    return this.inbox.exhausted ? Option.none() : Option.some(this.inbox.size)
  }

  readonly size: Effect.Effect<Option.Option<number>> = Effect.sync(() => this.unsafeSize())

  /** What was taken so far goes on as one chunk: one Effect per chunk, not per message. */
  readonly stream: Stream.Stream<A, RedisError> = Mailbox.toStream(this)

  override commit(): Effect.Effect<Batch<A>, RedisError> {
    return this.takeAll
  }

  toJSON(): unknown {
    return { _id: "effect-redis-client/Subscription", size: this.inbox.size, dropped: this.inbox.dropped }
  }

  override toString(): string {
    return Inspectable.format(this.toJSON())
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}
