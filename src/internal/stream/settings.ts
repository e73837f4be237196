/**
 * What a consumer of a group is told (its options, checked) and what it reports (events). Types only.
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { StreamId, StreamTrim } from "../../commands/stream-entry.js"
import type { RedisError } from "../../RedisError.js"
import type { DecodeFields } from "./entry.js"

/** What happened to entries. */
export type GroupEvent =
  | {
      readonly _tag: "Failed"
      readonly stream: string
      readonly id: StreamId
      readonly attempt: number
      readonly cause: Cause.Cause<unknown>
      readonly next: "retried" | "left" | "deadLettered"
    }
  | { readonly _tag: "Claimed"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Resumed"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Gone"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Taken"; readonly stream: string; readonly ids: ReadonlyArray<StreamId> }
  | { readonly _tag: "Disconnected"; readonly stream: string; readonly error: RedisError }

/** Options of a consumer, checked. Durations are milliseconds. */
export interface GroupSettings<A> {
  readonly stream: string
  readonly group: string
  readonly consumer: string
  readonly decode: DecodeFields<A>
  /** A new group begins after this id; `undefined` when no group is to be made. */
  readonly create: StreamId | undefined
  readonly count: number
  readonly block: number
  readonly maxInHand: number
  readonly claim: ClaimSettings | undefined
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

export interface EntryOf<A> {
  readonly stream: string
  readonly id: StreamId
  readonly fields: A
}
