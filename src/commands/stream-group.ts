/**
 * Consumer groups of streams: each entry goes to one consumer, and stays pending until it is acknowledged.
 *
 * @see https://redis.io/docs/latest/commands/?group=stream
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type AbsoluteTime,
  type Args,
  args,
  type DurationWithUnit,
  type Key,
  type OneOrMore
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import type { Reply } from "../internal/resp/values.js"
import { deletions, type StreamDeletion } from "./stream.js"
import {
  appendBound,
  appendCountedIds,
  appendId,
  appendIds,
  appendLimits,
  appendReferences,
  appendStreams,
  entryDecoders,
  idle,
  integer,
  largeInteger,
  type StreamBound,
  type StreamEntry,
  type StreamId,
  type StreamPositions,
  type StreamReferences,
  type XreadOptions
} from "./stream-entry.js"

/**
 * An entry read with XREADGROUP's `claim`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClaimedEntry<out V, out K = string> extends StreamEntry<V, K> {
  /** What was known of the entry before, when it was pending; `None` when this is its first delivery. */
  readonly claimed: Option.Option<Delivery>
}

/**
 * How an entry was delivered.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivery {
  /** How long ago it was delivered last; infinite when XNACK has released it. */
  readonly idle: Duration.Duration
  /** How often it was delivered. XNACK's `fatal` makes it 2^63 - 1, which is why it may be a bigint. */
  readonly deliveries: number | bigint
}

/**
 * What a stream has for a consumer.
 *
 * @since 0.1.0
 * @category models
 */
export interface GroupEntries<out E, out K = string> {
  readonly key: K
  readonly entries: ReadonlyArray<E>
  /** Entries that are still pending for the consumer, but were deleted from the stream: acknowledge them. */
  readonly deleted: ReadonlyArray<StreamId>
}

/**
 * What a group has pending, in sum.
 *
 * @since 0.1.0
 * @category models
 */
export interface PendingSummary<out K = string> {
  readonly pending: number
  /** The smallest pending id. */
  readonly smallest: Option.Option<StreamId>
  /** The greatest pending id. */
  readonly greatest: Option.Option<StreamId>
  /** The consumers that have something pending. */
  readonly consumers: ReadonlyArray<{ readonly name: K; readonly pending: number }>
}

/**
 * An entry that was delivered and not acknowledged.
 *
 * @since 0.1.0
 * @category models
 */
export interface PendingEntry<out K = string> extends Delivery {
  readonly id: StreamId
  /** Whose it is; empty when XNACK has released it. */
  readonly consumer: K
}

/**
 * What XAUTOCLAIM found, up to where, and which pending entries it dropped because the stream has them no more.
 *
 * @since 0.1.0
 * @category models
 */
export interface Autoclaimed<out E> {
  /** Where to go on; `0-0` when all was seen. */
  readonly next: StreamId
  readonly claimed: ReadonlyArray<E>
  readonly deleted: ReadonlyArray<StreamId>
}

/**
 * Which pending entries XPENDING lists.
 *
 * @since 0.1.0
 * @category options
 */
export interface PendingRange {
  readonly start: StreamBound
  readonly end: StreamBound
  /** At most this many. */
  readonly count: number
  /** Only those that were delivered at least this long ago. Redis 6.2. */
  readonly idle?: DurationWithUnit | undefined
  /** Only those of this consumer. */
  readonly consumer?: Key | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface XreadgroupOptions extends XreadOptions {
  /** Entries count as acknowledged once they are read. */
  readonly noack?: true | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface XclaimOptions {
  /** The idle time the entries shall have, instead of none. */
  readonly idle?: DurationWithUnit | undefined
  /** The same as a moment: when they count as delivered. */
  readonly time?: AbsoluteTime | undefined
  /** How often they count as delivered. */
  readonly retrycount?: number | bigint | undefined
  /** Also entries that are not pending at all, as long as the stream has them. */
  readonly force?: true | undefined
  /** The id the group has come to, if that is later than what it knows. */
  readonly lastid?: StreamId | undefined
}

/**
 * What XNACK does to the count of deliveries.
 *
 * - `silent`: one less, as if this delivery had not been.
 * - `fail`: it stays.
 * - `fatal`: it becomes 2^63 - 1.
 *
 * @since 0.1.0
 * @category options
 */
export type NackMode = "silent" | "fail" | "fatal"

/**
 * The commands on consumer groups.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamGroupCommands<V, K> {
  /**
   * Acknowledges entries, and answers how many of them were pending.
   *
   * O(1) for each id. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.xack("orders", "billing", entry.id)
   * ```
   */
  readonly xack: (key: Key, group: Key, ids: OneOrMore<StreamId>) => RedisCommand<number>

  /**
   * Acknowledges entries and removes them from the stream; says for each id what became of it.
   *
   * O(1) for each id. Since Redis 8.2.0; not in Valkey.
   */
  readonly xackdel: (
    key: Key,
    group: Key,
    ids: OneOrMore<StreamId>,
    options?: StreamReferences
  ) => RedisCommand<Array<StreamDeletion>>

  /**
   * Takes over pending entries of any consumer that were delivered at least `minIdle` ago, from the id `start` on. Pass
   * `next` of the answer as the next start. With `justid` only ids come back, and deliveries are not counted.
   *
   * O(1) if `count` is small. Since Redis 6.2.0; `deleted` since 7.0.0.
   *
   * @example
   * ```ts
   * const { claimed, next } = yield* Redis.xautoclaim("orders", "billing", "worker-2", "1 minute", "0")
   * ```
   */
  readonly xautoclaim: {
    (
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      start: StreamId,
      options?: { readonly count?: number | undefined; readonly justid?: undefined }
    ): RedisCommand<Autoclaimed<StreamEntry<V, K>>>
    (
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      start: StreamId,
      options: { readonly count?: number | undefined; readonly justid: true }
    ): RedisCommand<Autoclaimed<StreamId>>
  }

  /**
   * Takes over certain pending entries, if they were delivered at least `minIdle` ago. Answers those it got; with
   * `justid` only their ids, and deliveries are not counted.
   *
   * O(log N) in the entries pending for the group. Since Redis 5.0.0.
   */
  readonly xclaim: {
    (
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      ids: OneOrMore<StreamId>,
      options?: XclaimOptions & { readonly justid?: undefined }
    ): RedisCommand<Array<StreamEntry<V, K>>>
    (
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      ids: OneOrMore<StreamId>,
      options: XclaimOptions & { readonly justid: true }
    ): RedisCommand<Array<StreamId>>
  }

  /**
   * Makes a group that gets the entries behind `id`: `$` for new ones only, `0` for all. Fails with `BUSYGROUP` when
   * there is such a group. With `mkstream` an empty stream is made when there is none.
   *
   * O(1). Since Redis 5.0.0; `entriesread` since 7.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.xgroupCreate("orders", "billing", "$", { mkstream: true }).pipe(
   *   RedisError.catchCode("BUSYGROUP", () => Effect.void)
   * )
   * ```
   */
  readonly xgroupCreate: (
    key: Key,
    group: Key,
    id: StreamId,
    options?: { readonly mkstream?: true | undefined; readonly entriesread?: number | bigint | undefined }
  ) => RedisCommand<void>

  /**
   * Makes a consumer, and says whether it is new. Reading makes one too.
   *
   * O(1). Since Redis 6.2.0.
   */
  readonly xgroupCreateconsumer: (key: Key, group: Key, consumer: Key) => RedisCommand<boolean>

  /**
   * Removes a consumer, and answers how many entries it had pending: nobody gets those any more.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly xgroupDelconsumer: (key: Key, group: Key, consumer: Key) => RedisCommand<number>

  /**
   * Removes a group with all it has pending, and says whether there was one.
   *
   * O(N) in the entries pending. Since Redis 5.0.0.
   */
  readonly xgroupDestroy: (key: Key, group: Key) => RedisCommand<boolean>

  /**
   * Sets the id up to which a group has been served.
   *
   * O(1). Since Redis 5.0.0; `entriesread` since 7.0.0.
   */
  readonly xgroupSetid: (
    key: Key,
    group: Key,
    id: StreamId,
    options?: { readonly entriesread?: number | bigint | undefined }
  ) => RedisCommand<void>

  /**
   * Gives pending entries back to the group, so that any consumer may claim them at once, and answers how many.
   *
   * O(1) for each id. Since Redis 8.8.0; not in Valkey.
   */
  readonly xnack: (
    key: Key,
    group: Key,
    mode: NackMode,
    ids: OneOrMore<StreamId>,
    options?: { readonly retrycount?: number | bigint | undefined; readonly force?: true | undefined }
  ) => RedisCommand<number>

  /**
   * What a group has delivered and not seen acknowledged: in sum, or entry by entry when a range is given.
   *
   * O(N) in the entries listed; the sum is O(N) in the consumers. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * const { pending } = yield* Redis.xpending("orders", "billing")
   * const stale = yield* Redis.xpending("orders", "billing", { start: "-", end: "+", count: 10, idle: "1 minute" })
   * ```
   */
  readonly xpending: {
    (key: Key, group: Key): RedisCommand<PendingSummary<K>>
    (key: Key, group: Key, range: PendingRange): RedisCommand<Array<PendingEntry<K>>>
  }

  /**
   * Reads as a consumer of a group: behind `>` what nobody in the group got yet, behind any other id what is pending for
   * this consumer. Streams without anything are left out, and the list is empty when there is nothing at all; those of
   * which the consumer asked for its pending entries are always there.
   *
   * With `claim` it first takes over what has been pending for that long (Redis 8.4). With `block` the command waits,
   * on a connection of its own.
   *
   * O(N) in the entries read. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * const streams = yield* Redis.xreadgroup("billing", "worker-1", { orders: ">" }, { count: 10, block: "5 seconds" })
   * ```
   */
  readonly xreadgroup: {
    (
      group: Key,
      consumer: Key,
      streams: StreamPositions,
      options?: XreadgroupOptions & { readonly claim?: undefined }
    ): RedisCommand<Array<GroupEntries<StreamEntry<V, K>, K>>>
    (
      group: Key,
      consumer: Key,
      streams: StreamPositions,
      options: XreadgroupOptions & { readonly claim: DurationWithUnit }
    ): RedisCommand<Array<GroupEntries<ClaimedEntry<V, K>, K>>>
  }
}

const XACK = define("XACK")
const XACKDEL = define("XACKDEL")
const XAUTOCLAIM = define("XAUTOCLAIM")
const XCLAIM = define("XCLAIM")
const XGROUP_CREATE = define("XGROUP CREATE")
const XGROUP_CREATECONSUMER = define("XGROUP CREATECONSUMER")
const XGROUP_DELCONSUMER = define("XGROUP DELCONSUMER")
const XGROUP_DESTROY = define("XGROUP DESTROY")
const XGROUP_SETID = define("XGROUP SETID")
const XNACK = define("XNACK")
const XPENDING = define("XPENDING")
const XREADGROUP = define("XREADGROUP")

const ids = Decode.array(Decode.text)
const maybeId = Decode.nullable(Decode.text)

/** What XAUTOCLAIM and XREADGROUP share. Redis 6.2 answers nothing about what was deleted. */
const autoclaimed =
  <E>(claimed: Decode.Decoder<Array<E>>): Decode.Decoder<Autoclaimed<E>> =>
  (reply) => {
    const [next, found, deleted] = Decode.items(reply)
    return {
      next: Decode.at("next", Decode.text, next ?? null),
      claimed: Decode.at("claimed", claimed, found ?? null),
      deleted: deleted === undefined ? [] : Decode.at("deleted", ids, deleted)
    }
  }

/** Redis 6.2 answers nil for an entry that is no more. */
const present =
  <E>(decoder: Decode.Decoder<Array<E>>): Decode.Decoder<Array<E>> =>
  (reply) =>
    decoder(Decode.items(reply).filter((item) => item !== null))

const autoclaimedIds = autoclaimed(ids)

const claimed = (parts: ReadonlyArray<Reply>): Option.Option<Delivery> => {
  const [, , since, deliveries] = parts
  return since === undefined || deliveries === undefined
    ? Option.none()
    : Option.some({
        idle: Decode.at("idle", idle, since),
        deliveries: Decode.at("deliveries", largeInteger, deliveries)
      })
}

const consumerGroup = (key: Key, group: Key): Args => args().key(key).text(group)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): StreamGroupCommands<V, K> => {
  const text = codec.wants === "text"
  const { entries, key: decodeKey, parts, withFields } = entryDecoders(codec)
  const presentEntries = present(entries)
  const autoclaimedEntries = autoclaimed(presentEntries)

  const groupStreams = <E>(
    make: (entry: StreamEntry<V, K>, parts: ReadonlyArray<Reply>) => E
  ): Decode.Decoder<Array<GroupEntries<E, K>>> => {
    const found: Decode.Decoder<Omit<GroupEntries<E, K>, "key">> = (reply) => {
      const entries: Array<E> = []
      const deleted: Array<StreamId> = []
      const read = (item: Reply): void => {
        const [id, fields, all] = parts(item)
        if (fields === null) {
          deleted.push(id)
        } else {
          entries.push(make(withFields(id, fields), all))
        }
      }
      Decode.items(reply).forEach((item, i) => {
        Decode.at(i, read, item)
      })
      return { entries, deleted }
    }
    const byStream = Decode.entries(decodeKey, found)
    return (reply) => (reply === null ? [] : byStream(reply).map(([key, found]) => ({ key, ...found })))
  }
  const readStreams: Decode.Decoder<Array<GroupEntries<StreamEntry<V, K>, K>>> = groupStreams((entry) => entry)
  const claimedStreams: Decode.Decoder<Array<GroupEntries<ClaimedEntry<V, K>, K>>> = groupStreams((entry, parts) => ({
    ...entry,
    claimed: claimed(parts)
  }))

  const pendingEntry = Decode.tuple(Decode.text, decodeKey, idle, largeInteger)
  const pendingEntries: Decode.Decoder<Array<PendingEntry<K>>> = Decode.array((reply) => {
    const [id, consumer, since, deliveries] = pendingEntry(reply)
    return { id, consumer, idle: since, deliveries }
  })
  const consumer = Decode.tuple(decodeKey, integer)
  const consumers = Decode.array((reply) => {
    const [name, pending] = consumer(reply)
    return { name, pending }
  })
  const summary = Decode.tuple(integer, maybeId, maybeId, (reply) => (reply === null ? [] : consumers(reply)))
  const pendingSummary: Decode.Decoder<PendingSummary<K>> = (reply) => {
    const [pending, smallest, greatest, consumers] = summary(reply)
    return { pending, smallest, greatest, consumers }
  }

  const xautoclaim = (
    key: Key,
    group: Key,
    consumer: Key,
    minIdle: DurationWithUnit,
    start: StreamId,
    options?: { readonly count?: number | undefined; readonly justid?: true | undefined }
  ): RedisCommand<never> => {
    const builder = appendId(consumerGroup(key, group).text(consumer).millis(minIdle), start)
      .option("COUNT", options?.count, (args, count) => args.integer(count))
      .flag("JUSTID", options?.justid)
    const decoder: Decode.Decoder<unknown> = options?.justid === true ? autoclaimedIds : autoclaimedEntries
    return XAUTOCLAIM(builder, decoder, text) as RedisCommand<never>
  }

  const xclaim = (
    key: Key,
    group: Key,
    consumer: Key,
    minIdle: DurationWithUnit,
    claim: OneOrMore<StreamId>,
    options?: XclaimOptions & { readonly justid?: true | undefined }
  ): RedisCommand<never> => {
    const builder = appendIds(consumerGroup(key, group).text(consumer).millis(minIdle), claim)
      .option("IDLE", options?.idle, (args, idle) => args.millis(idle))
      .option("TIME", options?.time, (args, time) => args.timeMillis(time))
      .option("RETRYCOUNT", options?.retrycount, (args, count) => args.integer(count))
      .flag("FORCE", options?.force)
      .flag("JUSTID", options?.justid)
      .option("LASTID", options?.lastid, appendId)
    const decoder: Decode.Decoder<unknown> = options?.justid === true ? ids : presentEntries
    return XCLAIM(builder, decoder, text) as RedisCommand<never>
  }

  const xpending = (key: Key, group: Key, range?: PendingRange): RedisCommand<never> => {
    const builder = consumerGroup(key, group)
    if (range === undefined) {
      return XPENDING(builder, pendingSummary, text) as RedisCommand<never>
    }
    builder.option("IDLE", range.idle, (args, idle) => args.millis(idle))
    appendBound(appendBound(builder, range.start), range.end)
      .integer(range.count)
      .when(range.consumer, (args, consumer) => args.text(consumer))
    return XPENDING(builder, pendingEntries, text) as RedisCommand<never>
  }

  const xreadgroup = (
    group: Key,
    consumer: Key,
    streams: StreamPositions,
    options: XreadgroupOptions & { readonly claim?: DurationWithUnit | undefined } = {}
  ): RedisCommand<never> => {
    const builder = appendLimits(args().token("GROUP").text(group).text(consumer), options)
      .option("CLAIM", options.claim, (args, idle) => args.millis(idle))
      .flag("NOACK", options.noack)
    const decoder: Decode.Decoder<unknown> = options.claim === undefined ? readStreams : claimedStreams
    return XREADGROUP(appendStreams(builder, streams), decoder, text) as RedisCommand<never>
  }

  return {
    xack: (key, group, ids) => XACK(appendIds(consumerGroup(key, group), ids), Decode.integer),
    xackdel: (key, group, ids, options = {}) =>
      XACKDEL(appendCountedIds(appendReferences(consumerGroup(key, group), options), ids), deletions),
    xautoclaim,
    xclaim,
    xgroupCreate: (key, group, id, options) =>
      XGROUP_CREATE(
        appendId(consumerGroup(key, group), id)
          .flag("MKSTREAM", options?.mkstream)
          .option("ENTRIESREAD", options?.entriesread, (args, read) => args.integer(read)),
        Decode.ok
      ),
    xgroupCreateconsumer: (key, group, consumer) =>
      XGROUP_CREATECONSUMER(consumerGroup(key, group).text(consumer), Decode.boolean),
    xgroupDelconsumer: (key, group, consumer) =>
      XGROUP_DELCONSUMER(consumerGroup(key, group).text(consumer), Decode.integer),
    xgroupDestroy: (key, group) => XGROUP_DESTROY(consumerGroup(key, group), Decode.boolean),
    xgroupSetid: (key, group, id, options) =>
      XGROUP_SETID(
        appendId(consumerGroup(key, group), id).option("ENTRIESREAD", options?.entriesread, (args, read) =>
          args.integer(read)
        ),
        Decode.ok
      ),
    xnack: (key, group, mode, ids, options) =>
      XNACK(
        appendCountedIds(consumerGroup(key, group).token(`${mode}`.toUpperCase()), ids)
          .option("RETRYCOUNT", options?.retrycount, (args, count) => args.integer(count))
          .flag("FORCE", options?.force),
        Decode.integer
      ),
    xpending,
    xreadgroup
  }
}
