/**
 * The consumer group as one of its consumers sees it: commands with the names filled in, sent until they are answered,
 * and events. It knows no entries in hand.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Exclusive } from "../../commands/range.js"
import type { StreamEntry, StreamId } from "../../commands/stream-entry.js"
import type { RedisError } from "../../RedisError.js"
import type { Key, OneOrMany } from "../command/args.js"
import type { RedisCommand, RedisService } from "../command/model.js"
import { Sparse } from "../telemetry/sparse.js"
import { groups } from "./entry.js"
import { logged, report } from "./events.js"
import { isUnknown, Persistence } from "./persistence.js"
import type { GroupSettings, Happening } from "./settings.js"

/** How many ids one command names. */
export const batchSize = 500

/** An entry that was delivered and not acknowledged, as XPENDING lists it. */
export interface PendingEntry {
  readonly id: StreamId
  readonly deliveries: number | bigint
}

type ClaimOptions = Parameters<typeof groups.xclaim>[5]

export class Group<A> {
  /** A reply that may have held entries was not read: they may be pending here without being in hand. */
  mayBeLost = false
  private readonly persistence: Persistence
  /** The log lines about skipped entries. */
  private readonly skipped = new Sparse()

  constructor(
    readonly redis: RedisService,
    readonly settings: GroupSettings<A>
  ) {
    this.persistence = new Persistence(settings.reconnect, (error) => {
      if (isUnknown(error)) {
        this.mayBeLost = true
      }
      return this.report({ _tag: "Disconnected", error })
    })
  }

  report(happening: Happening): Effect.Effect<void> {
    const { consumer, group, on, stream } = this.settings
    return report(this.redis, on, { ...happening, stream, group, consumer }, this.skipped)
  }

  /** Logs something that is not an event. */
  log(line: Effect.Effect<void>): Effect.Effect<void> {
    return logged(this.redis, this.settings, line)
  }

  persist<B>(effect: Effect.Effect<B, RedisError>): Effect.Effect<B, RedisError> {
    return this.persistence.persist(effect)
  }

  /** Sends on a connection of its own: replies with entries are large, and other commands must not wait for them. */
  own<B>(command: RedisCommand<B>): Effect.Effect<B, RedisError> {
    return Effect.scoped(Effect.flatMap(this.redis.lease, (redis) => redis.send(command)))
  }

  xack(ids: OneOrMany<StreamId>): RedisCommand<unknown> {
    return groups.xack(this.settings.stream, this.settings.group, ids)
  }

  /**
   * Claims entries that are pending for this consumer, for their fields. A deleted entry has none, and an entry that was
   * acknowledged meanwhile is not pending any more: XPENDING in the same transaction tells them apart. (XCLAIM removes
   * deleted entries from the group, so when a reply was lost, the second attempt finds them neither pending nor deleted.)
   */
  claimOwn(
    ids: ReadonlyArray<StreamId>,
    retrycount: number
  ): Effect.Effect<
    { readonly entries: ReadonlyArray<StreamEntry<Key, Key>>; readonly deleted: ReadonlyArray<StreamId> },
    RedisError
  > {
    const { consumer, group, stream } = this.settings
    const xpending = groups.xpending(stream, group, {
      start: ids[0] as StreamId,
      end: ids[ids.length - 1] as StreamId,
      // Entries with other counts may lie between these.
      count: 2 * batchSize,
      consumer
    })
    const xclaim = groups.xclaim(stream, group, consumer, "0 millis", ids, { retrycount })
    return Effect.gen(this, function* () {
      const { exits } = yield* Effect.scoped(
        Effect.flatMap(this.redis.lease, (redis) => redis.sendAll([xpending, xclaim], { atomic: true }))
      )
      // A refused XCLAIM is looked at first: XPENDING only has EXECABORT then.
      const entries = yield* exits[1] as Exit.Exit<ReadonlyArray<StreamEntry<Key, Key>>, RedisError>
      const pending = yield* exits[0] as Exit.Exit<ReadonlyArray<PendingEntry>, RedisError>
      const claimed = new Set(entries.map(({ id }) => id))
      const wasPending = new Set(pending.map(({ id }) => id))
      return { entries, deleted: ids.filter((id) => wasPending.has(id) && !claimed.has(id)) }
    })
  }

  /** XCLAIM that changes what the group knows of the entries. */
  touch(
    ids: OneOrMany<StreamId>,
    options: Omit<ClaimOptions & object, "justid">,
    leastIdle = 0
  ): RedisCommand<unknown> {
    const { consumer, group, stream } = this.settings
    return groups.xclaim(stream, group, consumer, `${leastIdle} millis`, ids, { ...options, justid: true } as never)
  }

  /** What is pending for this consumer, from an id on. */
  xpending(start: StreamId | Exclusive<StreamId>): RedisCommand<ReadonlyArray<PendingEntry>> {
    const { consumer, group, stream } = this.settings
    return groups.xpending(stream, group, { start, end: "+", count: batchSize, consumer })
  }

  /** One entry, when it is pending for this consumer. */
  xpendingOne(id: StreamId): RedisCommand<ReadonlyArray<PendingEntry>> {
    const { consumer, group, stream } = this.settings
    return groups.xpending(stream, group, { start: id, end: id, count: 1, consumer })
  }

  /** The entries among `ids` that are pending for this consumer, with the group's count of their deliveries. */
  deliveries(ids: ReadonlyArray<StreamId>): Effect.Effect<ReadonlyMap<StreamId, number>, RedisError> {
    return Effect.gen(this, function* () {
      const found = new Map<StreamId, number>()
      for (let at = 0; at < ids.length; at += batchSize) {
        const asked = ids.slice(at, at + batchSize).map((id) => this.xpendingOne(id))
        const { exits } = yield* this.persist(
          Effect.tap(this.redis.sendAll(asked, { atomic: false }), ({ exits }) =>
            Effect.forEach(exits, (exit) => exit, { discard: true })
          )
        )
        for (const exit of exits as ReadonlyArray<Exit.Exit<ReadonlyArray<PendingEntry>>>) {
          const one = Exit.isSuccess(exit) ? exit.value[0] : undefined
          if (one !== undefined) {
            found.set(one.id, Number(one.deliveries))
          }
        }
      }
      return found
    })
  }

  /** Acknowledges pending entries that were deleted from the stream: nobody can handle them. */
  forget(ids: ReadonlyArray<StreamId>): Effect.Effect<void, RedisError> {
    const [first, ...rest] = ids
    return first === undefined
      ? Effect.void
      : Effect.zipRight(this.persist(this.redis.send(this.xack([first, ...rest]))), this.report({ _tag: "Gone", ids }))
  }
}

/** The ids with equal counts together: one command can name them. */
export const byCount = (
  pending: ReadonlyArray<PendingEntry>,
  count: (entry: PendingEntry) => number
): ReadonlyMap<number, ReadonlyArray<StreamId>> => {
  const groups = new Map<number, ReadonlyArray<StreamId>>()
  for (const entry of pending) {
    const group = groups.get(count(entry))
    groups.set(count(entry), group === undefined ? [entry.id] : [...group, entry.id])
  }
  return groups
}
