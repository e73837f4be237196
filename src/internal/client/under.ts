/**
 * Effects and Streams under another client: the server of another tag, a prefix, a leased connection.
 *
 * A transaction is a value. When an Effect that runs under another client returns one, the transaction is run outside of
 * that client: its keys get no prefix, or it goes to another server than the reads before it. In the body of `optimistic`
 * that is always a mistake, so such a transaction is marked, in its type and as a value, and `optimistic` does not take it.
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import { Redis, type RedisService } from "../command/model.js"
import type { Program } from "../effect/program.js"
import { type Transaction, TransactionTypeId } from "./batch.js"

declare const OutsideId: unique symbol

/** The mark of a transaction that is outside of the client under which it was made. */
interface OutsideMark {
  readonly [OutsideId]: "Put withPrefix, using or withConnection around Redis.optimistic, not around its body"
}

/** A transaction without that mark. */
export interface Unmarked {
  readonly [OutsideId]?: never
}

/** A value that an Effect under another client returned. Only a transaction is changed: it gets the mark. */
export type Outside<A> = A & (A extends Transaction<unknown, unknown> ? OutsideMark : unknown)

/**
 * The Effect or Stream `Self` under another client. It fails with `E2` too, and needs `R2`, and no `Redis` unless `R2` does.
 * It is a conditional type because `pipe` infers nothing from overloads.
 */
export type Under<Self, R2, E2 = never> =
  Self extends Effect.Effect<infer A, infer E, infer R>
    ? UnderEffect<A, E | E2, R, R2>
    : Self extends Stream.Stream<infer A, infer E, infer R>
      ? UnderStream<A, E | E2, R, R2>
      : never

export type UnderEffect<A, E, R, R2> = Effect.Effect<Outside<A>, E, Exclude<R, Redis> | R2>

export type UnderStream<A, E, R, R2> = Stream.Stream<A, E, Exclude<R, Redis> | R2>

/** The mark of the value. A mark in the type can be lost: a function may state a plainer type for its result. */
const mark: unique symbol = Symbol.for("effect-redis-client/Redis/Transaction/outside")

/** Marks a copy, because the transaction itself may be used elsewhere too. */
const outside = (value: unknown): unknown =>
  Predicate.hasProperty(value, TransactionTypeId)
    ? Object.assign(Object.create(Object.getPrototypeOf(value)), value, { [mark]: true })
    : value

export const isOutside = (transaction: object): boolean => mark in transaction

/** Runs an Effect or a Stream with another client. A Stream gets it when it is run, and keeps it until it ends. */
export const under = <E2, R2>(
  self: Program,
  client: Effect.Effect<RedisService, E2, R2>
): Effect.Effect<unknown, unknown, unknown> | Stream.Stream<unknown, unknown, unknown> =>
  Effect.isEffect(self)
    ? Effect.map(Effect.provideServiceEffect(self, Redis, client), outside)
    : Stream.provideServiceEffect(self, Redis, client)
