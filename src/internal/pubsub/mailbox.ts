/**
 * An inbox as a program takes from it: Effect's Mailbox, and a Stream over it. Messages are decoded here, in the fiber of
 * the taker. It does not buffer messages (the inbox does) and does not know what they mean (the reader does).
 */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { RedisError } from "../../RedisError.js"
import * as Mailbox from "../effect/mailbox.js"
import type { Delivery, Gap, Inbox } from "./inbox.js"
import { Undecodable } from "./read.js"

/** The messages of one subscription, as programs take them. */
export type Messages<A> = Mailbox.ReadonlyMailbox<A, RedisError>

/** What an item is for the program: a value, nothing (the item is skipped), or a failure to decode. */
export type ReadItem<A> = (item: Delivery | Gap) => A | undefined | Undecodable

/** The mailbox over an inbox. */
export const make = <A>(inbox: Inbox, read: ReadItem<A>): Messages<A> => new InboxMailbox(inbox, read)

/** A view of the messages. */
export const toStream = <A>(messages: Messages<A>): Stream.Stream<A, RedisError> => Mailbox.toStream(messages)

const finished = [Mailbox.messages<never>([]), true] as const

class InboxMailbox<A> extends Mailbox.MailboxClass<A, RedisError> implements Messages<A> {
  /** An item was unreadable after readable ones: those were taken first, and the next taker fails. */
  private failure: Effect.Effect<never, RedisError> | undefined

  constructor(
    private readonly inbox: Inbox,
    private readonly read: ReadItem<A>
  ) {
    super()
  }

  /** Up to `most` messages, or the failure. An empty array is the end; `undefined`: there is no message now. */
  private batch(most: number): Array<A> | Effect.Effect<never, RedisError> | undefined {
    const { failure, inbox } = this
    if (failure !== undefined) {
      this.failure = undefined
      return failure
    }
    const messages: Array<A> = []
    let item: Delivery | Gap | undefined
    while (messages.length < most && (item = inbox.take()) !== undefined) {
      const value = this.tryRead(item)
      if (value instanceof Unreadable) {
        if (messages.length === 0) {
          return value.failure
        }
        this.failure = value.failure
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

  /** A codec that throws is a defect of its taker, which must not lose the messages that were read before. */
  private tryRead(item: Delivery | Gap): A | undefined | Unreadable {
    try {
      const value = this.read(item)
      return value instanceof Undecodable ? new Unreadable(Effect.fail(value.error)) : value
    } catch (defect) {
      return new Unreadable(Effect.die(defect))
    }
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

  takeN(n: number): Effect.Effect<Mailbox.Batch<A>, RedisError> {
    return this.takeUpTo(n, Math.min(n, this.inbox.options.capacity))
  }

  private takeUpTo(n: number, least: number): Effect.Effect<Mailbox.Batch<A>, RedisError> {
    return Effect.suspend((): Effect.Effect<Mailbox.Batch<A>, RedisError> => {
      const batch = n <= 0 ? [] : this.failure !== undefined || this.inbox.ready(least) ? this.batch(n) : undefined
      if (batch === undefined) {
        return Effect.zipRight(this.ready(least), this.takeUpTo(n, least))
      }
      if (!Array.isArray(batch)) {
        return batch
      }
      return Effect.succeed(batch.length === 0 && n > 0 ? finished : [Mailbox.messages(batch), false])
    })
  }

  readonly takeAll: Effect.Effect<Mailbox.Batch<A>, RedisError> = this.takeUpTo(Infinity, 1)

  readonly take: Effect.Effect<A, RedisError | Mailbox.Ended> = Effect.suspend(() =>
    Effect.flatMap(this.takeN(1), ([messages]) => {
      for (const message of messages) {
        return Effect.succeed(message)
      }
      return Effect.fail(Mailbox.ended())
    })
  )

  readonly clear: Effect.Effect<Mailbox.Messages<A>, RedisError> = Effect.suspend(() => {
    const batch = this.batch(Infinity)
    return batch === undefined
      ? Effect.succeed(Mailbox.messages<A>([]))
      : Array.isArray(batch)
        ? Effect.succeed(Mailbox.messages(batch))
        : batch
  })

  readonly await: Effect.Effect<void, RedisError> = Effect.async<void, RedisError>((resume) => {
    const { inbox } = this
    const ended = (): void => {
      const error = inbox.end?.error
      resume(error === undefined ? Effect.void : Effect.fail(error))
    }
    if (inbox.exhausted) {
      return ended()
    }
    const off = inbox.onEnd(ended)
    return Effect.sync(off)
  })

  unsafeSize(): Option.Option<number> {
    return this.inbox.exhausted ? Option.none() : Option.some(this.inbox.size)
  }

  readonly size: Effect.Effect<Option.Option<number>> = Effect.sync(() => this.unsafeSize())

  toJSON(): unknown {
    return { _id: "effect-redis-client/Subscription", size: this.inbox.size, dropped: this.inbox.dropped }
  }

  override toString(): string {
    return JSON.stringify(this.toJSON(), undefined, 2)
  }

  [Inspectable.NodeInspectSymbol](): unknown {
    return this.toJSON()
  }
}

class Unreadable {
  constructor(readonly failure: Effect.Effect<never, RedisError>) {}
}
