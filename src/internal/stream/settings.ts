/**
 * What a consumer of a group is told (its options, checked) and what it reports (events). Types only.
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { StreamId, StreamTrim } from "../../commands/stream-entry.js"
import type { DecodeError, RedisError } from "../../RedisError.js"
import type { DecodeFields, RawEntry } from "./entry.js"

/** The consumer that an event is about. */
export interface Member {
  readonly stream: string
  readonly group: string
  readonly consumer: string
}

/** What happened, without the consumer. */
export type Happening =
  | {
      readonly _tag: "Failed"
      readonly id: StreamId
      readonly attempt: number
      readonly cause: Cause.Cause<unknown>
      readonly next: "retried" | "left" | "deadLettered"
    }
  | { readonly _tag: "Skipped"; readonly id: StreamId; readonly error: DecodeError }
  | { readonly _tag: "Claimed" | "Resumed" | "Gone" | "Taken"; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Removed"; readonly consumers: ReadonlyArray<string> }
  | { readonly _tag: "Disconnected"; readonly error: RedisError }

export type GroupEvent = Member & Happening

/** What becomes of an entry that does not decode. */
export type OnUndecodable = "reject" | "skip" | "emit" | "fail"

/** Options of a consumer, checked. Durations are milliseconds. */
export interface GroupSettings<A> extends Member {
  readonly decode: DecodeFields<A>
  readonly onUndecodable: OnUndecodable
  /** A new group begins after this id; `undefined` when no group is to be made. */
  readonly create: StreamId | undefined
  readonly count: number
  readonly block: number
  readonly maxInHand: number
  readonly claim: ClaimSettings | undefined
  /** Consumers without entries that have been idle for this long are removed. `undefined`: none are. */
  readonly removeIdle: number | undefined
  readonly keepEvery: number
  readonly ackSize: number
  readonly ackWithin: number
  readonly attempts: number
  readonly deadLetter: DeadLetter | undefined
  readonly orderBy: ((entry: EntryOf<A>) => string) | undefined
  readonly reconnect: Schedule.Schedule<unknown, RedisError>
  readonly on: ((event: GroupEvent) => Effect.Effect<unknown>) | undefined
}

export interface ClaimSettings {
  readonly idle: number
  readonly count: number
  readonly schedule: Schedule.Schedule<unknown>
}

export interface DeadLetter {
  readonly stream: string
  readonly trim: StreamTrim | undefined
}

/** An entry that does not decode, as the program gets it. */
export interface UndecodableOf {
  readonly _tag: "Undecodable"
  readonly stream: string
  readonly id: StreamId
  readonly pairs: RawEntry["pairs"]
  readonly error: DecodeError
}

export interface EntryOf<A> {
  readonly stream: string
  readonly id: StreamId
  readonly fields: A
}
