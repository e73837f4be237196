/** The base of what programs take messages from. Effect 4 has no interface for it, so it is this package's own. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"

/**
 * What a program takes messages from: a view of a queue that ends or fails. As an Effect it is `takeAll`.
 *
 * @since 4.0.0
 * @category models
 */
export interface ReadonlyMailbox<A, E> extends Effect.Effect<Batch<A>, E> {
  /** Waits for at least one message, and takes all; `true` after the last one. */
  readonly takeAll: Effect.Effect<Batch<A>, E>
  /** Waits for so many messages, or for the end. */
  takeN(n: number): Effect.Effect<Batch<A>, E>
  /** Waits for one message; fails with `NoSuchElementError` after the last one. */
  readonly take: Effect.Effect<A, E | Ended>
  /** Takes what is there, without waiting. */
  readonly clear: Effect.Effect<Messages<A>, E>
  /** Waits for the end. */
  readonly await: Effect.Effect<void, E>
  /** How many messages wait; `None` after the end. */
  readonly size: Effect.Effect<Option.Option<number>>
  unsafeSize(): Option.Option<number>
}

/** Several messages. */
export type Messages<A> = ReadonlyArray<A>

export const messages = <A>(some: Array<A>): Messages<A> => some

/** Messages, and whether they are the last. */
export type Batch<A> = readonly [messages: Messages<A>, done: boolean]

export abstract class MailboxClass<A, E> extends Effectable.Class<Batch<A>, E> {
  abstract readonly takeAll: Effect.Effect<Batch<A>, E>

  override asEffect(): Effect.Effect<Batch<A>, E> {
    return this.takeAll
  }

  // Effect 4 would take the messages that wait for a part of the value, and not find a mailbox again in a set.
  [Equal.symbol](that: Equal.Equal): boolean {
    return this === that
  }

  [Hash.symbol](): number {
    return Hash.random(this)
  }
}

/** The failure of a taker after the last message. */
export type Ended = Cause.NoSuchElementError

export const ended = (): Ended => new Cause.NoSuchElementError()

/** All messages that wait become one array, so that an Effect is run for each array, not each message. */
export const toStream = <A, E>(mailbox: ReadonlyMailbox<A, E>): Stream.Stream<A, E> =>
  Stream.fromIterableEffectRepeat(
    Effect.flatMap(
      mailbox.takeAll,
      ([some, done]): Effect.Effect<Messages<A>, Cause.Done> =>
        done && some.length === 0 ? Cause.done() : Effect.succeed(some)
    )
  )
