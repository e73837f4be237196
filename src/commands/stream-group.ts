/**
 * Consumer groups of streams: each entry is delivered to one consumer, and stays pending until it is acknowledged.
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
  type Checked,
  type DurationWithUnit,
  type IfFlag,
  type IfGiven,
  type Key,
  type OneOrMany
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
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
  /** The earlier delivery, when the entry was pending before; `None` when this is its first delivery. */
  readonly claimed: Option.Option<Delivery>
}

/**
 * The deliveries of an entry.
 *
 * @since 0.1.0
 * @category models
 */
export interface Delivery {
  /** How long ago it was last delivered; infinite when XNACK has released it. */
  readonly idle: Duration.Duration
  /** How often it was delivered. It may be a bigint, because XNACK's `fatal` sets it to 2^63 - 1. */
  readonly deliveries: number | bigint
}

/**
 * The entries that a read returns to a consumer for one stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface GroupEntries<out E, out K = string> {
  readonly key: K
  readonly entries: ReadonlyArray<E>
  /** Entries that are pending for the consumer but were deleted from the stream: acknowledge them. */
  readonly deleted: ReadonlyArray<StreamId>
}

/**
 * A summary of a group's pending entries. `pending` is essential.
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
  /** The consumers with pending entries. */
  readonly consumers: ReadonlyArray<{ readonly name: K; readonly pending: number }>
}

/**
 * An entry that was delivered but not acknowledged.
 *
 * @since 0.1.0
 * @category models
 */
export interface PendingEntry<out K = string> extends Delivery {
  readonly id: StreamId
  /** The consumer it is pending for; empty when XNACK has released it. */
  readonly consumer: K
}

/**
 * The result of XAUTOCLAIM. `deleted` lists pending entries that it dropped because they are no longer in the stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface Autoclaimed<out E> {
  /** The start for the next call; `0-0` when all pending entries were seen. */
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
  /** Only entries that were delivered at least this long ago. Redis 6.2. */
  readonly idle?: DurationWithUnit | undefined
  /** Only entries of this consumer. */
  readonly consumer?: Key | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface XreadgroupOptions extends XreadOptions {
  /** Entries count as acknowledged as soon as they are read. */
  readonly noack?: boolean | undefined
}

/**
 * @since 0.1.0
 * @category options
 */
export interface XclaimOptions {
  /** The idle time to set for the entries. Default: zero. */
  readonly idle?: DurationWithUnit | undefined
  /** The idle time as an absolute time: when the entries count as delivered. */
  readonly time?: AbsoluteTime | undefined
  /** The number of deliveries to set. */
  readonly retrycount?: number | bigint | undefined
  /** Also claim entries that are not pending, as long as they are in the stream. */
  readonly force?: boolean | undefined
  /** Raises the group's last delivered id to this one, if it is lower. */
  readonly lastid?: StreamId | undefined
}

/**
 * What XNACK does with the number of deliveries.
 *
 * - `silent`: it is decremented, as if this delivery had not happened.
 * - `fail`: it stays unchanged.
 * - `fatal`: it becomes 2^63 - 1.
 *
 * @since 0.1.0
 * @category options
 */
export type NackMode = "silent" | "fail" | "fatal"

interface JustId {
  /** Return only ids, and do not increment the number of deliveries. */
  readonly justid?: boolean | undefined
}

interface AutoclaimOptions extends JustId {
  /** Claim at most this many entries. */
  readonly count?: number | undefined
}

interface ClaimOptions extends XclaimOptions, JustId {}

interface ReadgroupClaimOptions extends XreadgroupOptions {
  /** First claim entries that have been pending for this long. Redis 8.4. */
  readonly claim?: DurationWithUnit | undefined
}

/**
 * The commands on consumer groups.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamGroupCommands<V, K> {
  /**
   * Acknowledges entries, and returns how many of them were pending.
   *
   * O(1) for each id. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.xack("orders", "billing", entry.id)
   * ```
   */
  readonly xack: (key: Key, group: Key, ids: OneOrMany<StreamId>) => RedisCommand<number>

  /**
   * Acknowledges entries, removes them from the stream, and returns the result for each id.
   *
   * O(1) for each id. Since Redis 8.2.0; not in Valkey.
   */
  readonly xackdel: (
    key: Key,
    group: Key,
    ids: OneOrMany<StreamId>,
    options?: StreamReferences
  ) => RedisCommand<Array<StreamDeletion>>

  /**
   * Claims pending entries of any consumer that were delivered at least `minIdle` ago, from the id `start` on. Pass
   * `next` of the result as the next start. With `justid`, it returns only ids and does not increment the number of
   * deliveries.
   *
   * O(1) if `count` is small. Since Redis 6.2.0; `deleted` since 7.0.0.
   *
   * @example
   * ```ts
   * const { claimed, next } = yield* Redis.xautoclaim("orders", "billing", "worker-2", "1 minute", "0")
   * ```
   */
  readonly xautoclaim: {
    /**
     * Claims pending entries of any consumer that were delivered at least `minIdle` ago, from the id `start` on. Pass
     * `next` of the result as the next start. With `justid`, it returns only ids and does not increment the number of
     * deliveries.
     *
     * O(1) if `count` is small. Since Redis 6.2.0; `deleted` since 7.0.0.
     */
    (
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      start: StreamId
    ): RedisCommand<Autoclaimed<StreamEntry<V, K>>>

    /**
     * Claims pending entries of any consumer that were delivered at least `minIdle` ago, from the id `start` on. Pass
     * `next` of the result as the next start. With `justid`, it returns only ids and does not increment the number of
     * deliveries.
     *
     * O(1) if `count` is small. Since Redis 6.2.0; `deleted` since 7.0.0.
     */
    <const O extends AutoclaimOptions | undefined>(
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      start: StreamId,
      options: Checked<O, AutoclaimOptions>
    ): RedisCommand<IfFlag<O, "justid", Autoclaimed<StreamId>, Autoclaimed<StreamEntry<V, K>>>>
  }

  /**
   * Claims the given pending entries if they were delivered at least `minIdle` ago, and returns the claimed ones. With
   * `justid`, it returns only ids and does not increment the number of deliveries.
   *
   * O(log N) in the entries pending for the group. Since Redis 5.0.0.
   */
  readonly xclaim: {
    /**
     * Claims the given pending entries if they were delivered at least `minIdle` ago, and returns the claimed ones.
     * With `justid`, it returns only ids and does not increment the number of deliveries.
     *
     * O(log N) in the entries pending for the group. Since Redis 5.0.0.
     */
    (
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      ids: OneOrMany<StreamId>
    ): RedisCommand<Array<StreamEntry<V, K>>>

    /**
     * Claims the given pending entries if they were delivered at least `minIdle` ago, and returns the claimed ones.
     * With `justid`, it returns only ids and does not increment the number of deliveries.
     *
     * O(log N) in the entries pending for the group. Since Redis 5.0.0.
     */
    <const O extends ClaimOptions | undefined>(
      key: Key,
      group: Key,
      consumer: Key,
      minIdle: DurationWithUnit,
      ids: OneOrMany<StreamId>,
      options: Checked<O, ClaimOptions>
    ): RedisCommand<IfFlag<O, "justid", Array<StreamId>, Array<StreamEntry<V, K>>>>
  }

  /**
   * Creates a group that receives the entries after `id`: `$` for new entries only, `0` for all. Fails with `BUSYGROUP`
   * when the group exists. With `mkstream`, a missing stream is created.
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
    options?: { readonly mkstream?: boolean | undefined; readonly entriesread?: number | bigint | undefined }
  ) => RedisCommand<void>

  /**
   * Creates a consumer. `false` when it exists already. Reading also creates the consumer.
   *
   * O(1). Since Redis 6.2.0.
   */
  readonly xgroupCreateconsumer: (key: Key, group: Key, consumer: Key) => RedisCommand<boolean>

  /**
   * Removes a consumer, and returns how many entries were pending for it. These are no longer pending, and no consumer
   * can claim them.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly xgroupDelconsumer: (key: Key, group: Key, consumer: Key) => RedisCommand<number>

  /**
   * Removes a group with its pending entries. `false` when the group is missing.
   *
   * O(N) in the pending entries. Since Redis 5.0.0.
   */
  readonly xgroupDestroy: (key: Key, group: Key) => RedisCommand<boolean>

  /**
   * Sets the last delivered id of a group.
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
   * Releases pending entries, so that any consumer may claim them at once, and returns how many.
   *
   * O(1) for each id. Since Redis 8.8.0; not in Valkey.
   */
  readonly xnack: (
    key: Key,
    group: Key,
    mode: NackMode,
    ids: OneOrMany<StreamId>,
    options?: { readonly retrycount?: number | bigint | undefined; readonly force?: boolean | undefined }
  ) => RedisCommand<number>

  /**
   * The pending entries of a group: a summary, or each entry when a range is given.
   *
   * O(N) in the entries listed; the summary is O(N) in the consumers. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * const { pending } = yield* Redis.xpending("orders", "billing")
   * const stale = yield* Redis.xpending("orders", "billing", { start: "-", end: "+", count: 10, idle: "1 minute" })
   * ```
   */
  readonly xpending: {
    /**
     * A summary of the pending entries of a group; with a range, each entry.
     *
     * O(N) in the consumers. Since Redis 5.0.0.
     *
     * @example
     * ```ts
     * const { pending } = yield* Redis.xpending("orders", "billing")
     * ```
     */
    (key: Key, group: Key): RedisCommand<PendingSummary<K>>

    /**
     * The pending entries of a group in a range, one by one.
     *
     * O(N) in the entries listed. Since Redis 5.0.0.
     *
     * @example
     * ```ts
     * const stale = yield* Redis.xpending("orders", "billing", { start: "-", end: "+", count: 10, idle: "1 minute" })
     * ```
     */
    (key: Key, group: Key, range: PendingRange): RedisCommand<Array<PendingEntry<K>>>
  }

  /**
   * Reads entries as a consumer of a group. With the id `>`: entries not yet delivered to the group. With any other id:
   * entries pending for this consumer, after that id. A stream without new entries is left out, so the result may be
   * empty; a stream read for its pending entries is always in the result.
   *
   * With `claim`, it first claims entries that have been pending for that long (Redis 8.4). With `block`, it waits for
   * entries, on a connection of its own.
   *
   * O(N) in the entries read. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * const streams = yield* Redis.xreadgroup("billing", "worker-1", { orders: ">" }, { count: 10, block: "5 seconds" })
   * ```
   */
  readonly xreadgroup: {
    /**
     * Reads entries as a consumer of a group. With the id `>`: entries not yet delivered to the group. With any other
     * id: entries pending for this consumer, after that id. A stream without new entries is left out, so the result may
     * be empty; a stream read for its pending entries is always in the result.
     *
     * With `claim`, it first claims entries that have been pending for that long (Redis 8.4). With `block`, it waits
     * for entries, on a connection of its own.
     *
     * O(N) in the entries read. Since Redis 5.0.0.
     */
    (group: Key, consumer: Key, streams: StreamPositions): RedisCommand<Array<GroupEntries<StreamEntry<V, K>, K>>>

    /**
     * Reads entries as a consumer of a group. With the id `>`: entries not yet delivered to the group. With any other
     * id: entries pending for this consumer, after that id. A stream without new entries is left out, so the result may
     * be empty; a stream read for its pending entries is always in the result.
     *
     * With `claim`, it first claims entries that have been pending for that long (Redis 8.4). With `block`, it waits
     * for entries, on a connection of its own.
     *
     * O(N) in the entries read. Since Redis 5.0.0.
     */
    <const O extends ReadgroupClaimOptions | undefined>(
      group: Key,
      consumer: Key,
      streams: StreamPositions,
      options: Checked<O, ReadgroupClaimOptions>
    ): RedisCommand<
      IfGiven<O, "claim", Array<GroupEntries<ClaimedEntry<V, K>, K>>, Array<GroupEntries<StreamEntry<V, K>, K>>>
    >
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
const maybeId = Report.optional(Report.text)
const pending = Report.essential(Report.integer)

/** Decodes the reply of XAUTOCLAIM. Redis 6.2 does not send the list of deleted entries. */
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

/** Redis 6.2 sends nil for an entry that was deleted from the stream. */
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
        deliveries: Decode.at("deliveries", Report.largeInteger, deliveries)
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

  const name = Report.name(codec)
  const pendingEntry = Decode.tuple(Report.text, name, idle, Report.largeInteger)
  const pendingEntries: Decode.Decoder<Array<PendingEntry<K>>> = Decode.array((reply) => {
    const [id, consumer, since, deliveries] = pendingEntry(reply)
    return { id, consumer, idle: since, deliveries }
  })
  const consumer = Decode.tuple(name, Report.integer)
  const consumers = Report.list((reply) => {
    const [name, pending] = consumer(reply)
    return { name, pending }
  })
  const pendingSummary: Decode.Decoder<PendingSummary<K>> = (reply) => {
    const parts = Decode.items(reply)
    return {
      pending: Report.read(pending, 0, parts[0]),
      smallest: Report.read(maybeId, 1, parts[1]),
      greatest: Report.read(maybeId, 2, parts[2]),
      consumers: Report.read(consumers, 3, parts[3])
    }
  }

  const xautoclaim = (
    key: Key,
    group: Key,
    consumer: Key,
    minIdle: DurationWithUnit,
    start: StreamId,
    options?: { readonly count?: number | undefined; readonly justid?: boolean | undefined }
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
    claim: OneOrMany<StreamId>,
    options?: XclaimOptions & { readonly justid?: boolean | undefined }
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
    xautoclaim: xautoclaim as StreamGroupCommands<V, K>["xautoclaim"],
    xclaim: xclaim as StreamGroupCommands<V, K>["xclaim"],
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
        appendCountedIds(consumerGroup(key, group).word(mode), ids)
          .option("RETRYCOUNT", options?.retrycount, (args, count) => args.integer(count))
          .flag("FORCE", options?.force),
        Decode.integer
      ),
    xpending,
    xreadgroup: xreadgroup as StreamGroupCommands<V, K>["xreadgroup"]
  }
}
