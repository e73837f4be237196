/**
 * The base of what programs take messages from: Effect's Mailbox, whose elements come in Chunks. Effect 4 has no interface
 * for it (its queues are values of one module) and has arrays for Chunks; used by subscriptions.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as EffectMailbox from "effect/Mailbox"
import type * as Stream from "effect/Stream"

/** What a program takes messages from. */
export type ReadonlyMailbox<A, E> = EffectMailbox.ReadonlyMailbox<A, E>

/** Several messages. */
export type Messages<A> = Chunk.Chunk<A>

export const messages = <A>(some: Array<A>): Messages<A> => Chunk.unsafeFromArray(some)

/** Messages, and whether they are the last. */
export type Batch<A> = readonly [messages: Messages<A>, done: boolean]

export abstract class MailboxClass<A, E> extends Effectable.Class<Batch<A>, E> {
  readonly [EffectMailbox.ReadonlyTypeId]: typeof EffectMailbox.ReadonlyTypeId = EffectMailbox.ReadonlyTypeId
  abstract readonly takeAll: Effect.Effect<Batch<A>, E>

  override commit(): Effect.Effect<Batch<A>, E> {
    return this.takeAll
  }
}

/** The failure of a taker after the last message. */
export type Ended = Cause.NoSuchElementException

export const ended = (): Ended => new Cause.NoSuchElementException()

/** All messages that wait become one chunk, so that an Effect is run for each chunk, not each message. */
export const toStream = <A, E>(mailbox: ReadonlyMailbox<A, E>): Stream.Stream<A, E> => EffectMailbox.toStream(mailbox)
