/**
 * XINFO as records, the same over RESP2 and RESP3. All fields but the essential ones are `Option`s.
 *
 * @see https://redis.io/docs/latest/commands/?group=stream
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Checked, type IfFlag, type Key, type Needs, type Possible } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { entryDecoders, idle, type StreamEntry, type StreamId } from "./stream-entry.js"

/**
 * The common fields of XINFO STREAM with and without `full`. `length` and `lastGeneratedId` are essential.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamInfoBase {
  /** The number of entries. */
  readonly length: number
  readonly radixTreeKeys: Option.Option<number>
  readonly radixTreeNodes: Option.Option<number>
  readonly lastGeneratedId: StreamId
  /** Redis 7.0. */
  readonly maxDeletedEntryId: Option.Option<StreamId>
  /** The number of entries ever added. Redis 7.0. */
  readonly entriesAdded: Option.Option<number | bigint>
  /** Redis 7.0. */
  readonly recordedFirstEntryId: Option.Option<StreamId>
  /** The state of XADD's `idmp`. Redis 8.6. */
  readonly idempotence: Option.Option<StreamIdempotence>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * The remembered ids by which XADD detects duplicate entries.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamIdempotence {
  /** How long an id is remembered. */
  readonly duration: Duration.Duration
  /** How many ids are remembered for each producer. */
  readonly maxsize: number
  /** The number of known producers. */
  readonly producers: number
  /** The number of ids remembered now. */
  readonly ids: number
  /** The number of ids ever added. */
  readonly added: number
  /** The number of entries not added because they were duplicates. */
  readonly duplicates: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface StreamInfo<out V, out K = string> extends StreamInfoBase {
  /** The number of consumer groups. */
  readonly groups: Option.Option<number>
  readonly firstEntry: Option.Option<StreamEntry<V, K>>
  readonly lastEntry: Option.Option<StreamEntry<V, K>>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FullStreamInfo<out V, out K = string> extends StreamInfoBase {
  readonly entries: ReadonlyArray<StreamEntry<V, K>>
  readonly groups: ReadonlyArray<FullGroupInfo<K>>
}

/**
 * A group. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FullGroupInfo<out K = string> {
  readonly name: K
  readonly lastDeliveredId: Option.Option<StreamId>
  /** `None` when the server does not know, and before Redis 7.0. */
  readonly entriesRead: Option.Option<number>
  /**
   * The number of entries not yet delivered to the group; `None` when the server does not know, and before Redis 7.0.
   */
  readonly lag: Option.Option<number>
  /** The number of pending entries. */
  readonly pelCount: Option.Option<number>
  readonly pending: ReadonlyArray<{
    readonly id: StreamId
    readonly consumer: K
    readonly delivered: DateTime.Utc
    readonly deliveries: number | bigint
  }>
  readonly consumers: ReadonlyArray<FullConsumerInfo<K>>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A consumer. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FullConsumerInfo<out K = string> {
  readonly name: K
  /** When it last tried to read or claim; before Redis 7.2, when it last succeeded. */
  readonly seenTime: Option.Option<DateTime.Utc>
  /** When it last received an entry. `None` when it never did, and before Redis 7.2. */
  readonly activeTime: Option.Option<DateTime.Utc>
  readonly pelCount: Option.Option<number>
  readonly pending: ReadonlyArray<{
    readonly id: StreamId
    readonly delivered: DateTime.Utc
    readonly deliveries: number | bigint
  }>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A group. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface GroupInfo<out K = string> {
  readonly name: K
  /** The number of consumers. */
  readonly consumers: Option.Option<number>
  /** The number of pending entries. */
  readonly pending: Option.Option<number>
  readonly lastDeliveredId: Option.Option<StreamId>
  /** `None` when the server does not know, and before Redis 7.0. */
  readonly entriesRead: Option.Option<number>
  /**
   * The number of entries not yet delivered to the group; `None` when the server does not know, and before Redis 7.0.
   */
  readonly lag: Option.Option<number>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A consumer. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConsumerInfo<out K = string> {
  readonly name: K
  /** The number of pending entries. */
  readonly pending: Option.Option<number>
  /** The time since it last tried to read or claim; before Redis 7.2, since it last succeeded. */
  readonly idle: Option.Option<Duration.Duration>
  /** The time since it last received an entry. `None` when it never did, and before Redis 7.2. */
  readonly inactive: Option.Option<Duration.Duration>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

interface FullOptions {
  readonly full?: boolean | undefined
  readonly count?: number | undefined
}

type WithFull<O> = [Possible<O, "count">] extends [never]
  ? unknown
  : [Possible<O, "full">] extends [never]
    ? { readonly count: Needs<"full"> }
    : unknown

/**
 * The commands that describe streams.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamInfoCommands<V, K> {
  /**
   * The consumers of a group.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly xinfoConsumers: (key: Key, group: Key) => RedisCommand<Array<ConsumerInfo<K>>>

  /**
   * The consumer groups of a stream.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly xinfoGroups: (key: Key) => RedisCommand<Array<GroupInfo<K>>>

  /**
   * Information about a stream. With `full`, also its entries, its groups and their pending entries, at most `count` of
   * each (default: 10; 0: all).
   *
   * O(1); with `full` O(N) in the listed items. Since Redis 5.0.0; `full` since 6.0.0.
   *
   * @example
   * ```ts
   * const { lastGeneratedId, length } = yield* Redis.xinfoStream("orders")
   * ```
   */
  readonly xinfoStream: {
    /**
     * Information about a stream. With `full`, also its entries, its groups and their pending entries, at most `count`
     * of each (default: 10; 0: all).
     *
     * O(1); with `full` O(N) in the listed items. Since Redis 5.0.0; `full` since 6.0.0.
     */
    (key: Key): RedisCommand<StreamInfo<V, K>>

    /**
     * Information about a stream. With `full`, also its entries, its groups and their pending entries, at most `count`
     * of each (default: 10; 0: all).
     *
     * O(1); with `full` O(N) in the listed items. Since Redis 5.0.0; `full` since 6.0.0.
     */
    <const O extends FullOptions | undefined>(
      key: Key,
      options: Checked<O, FullOptions> & WithFull<O>
    ): RedisCommand<IfFlag<O, "full", FullStreamInfo<V, K>, StreamInfo<V, K>>>
  }
}

const XINFO_CONSUMERS = define("XINFO CONSUMERS")
const XINFO_GROUPS = define("XINFO GROUPS")
const XINFO_STREAM = define("XINFO STREAM")

const id = Report.optional(Report.text)
const optionalInteger = Report.optional(Report.integer)
/** -1 means "never", or "unknown". */
const unlessUnknown = Report.optionalUnless(-1, Report.integer)

const base = {
  length: Report.essential(Report.integer),
  radixTreeKeys: optionalInteger,
  radixTreeNodes: optionalInteger,
  lastGeneratedId: Report.essential(Report.text),
  maxDeletedEntryId: id,
  entriesAdded: Report.optional(Report.largeInteger),
  recordedFirstEntryId: id
}

const remembered = {
  idmpDuration: Report.optional(Report.seconds),
  idmpMaxsize: unlessUnknown,
  pidsTracked: unlessUnknown,
  iidsTracked: unlessUnknown,
  iidsAdded: unlessUnknown,
  iidsDuplicates: unlessUnknown
}

type Remembered = {
  readonly [K in keyof typeof remembered]: (typeof remembered)[K] extends Report.Field<infer A> ? A : never
}

/** A server sends all of these fields or none of them. */
const idempotence = <A extends Remembered>({
  idmpDuration: duration,
  idmpMaxsize: maxsize,
  iidsAdded: added,
  iidsDuplicates: duplicates,
  iidsTracked: ids,
  pidsTracked: producers,
  ...rest
}: A) => ({ ...rest, idempotence: Option.all({ duration, maxsize, producers, ids, added, duplicates }) })

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): StreamInfoCommands<V, K> => {
  const text = codec.wants === "text"
  const { entry } = entryDecoders(codec)
  const named = Report.name(codec)
  const name = Report.essential(named)
  const maybeEntry = Report.optional(entry)

  const consumers: Decode.Decoder<Array<ConsumerInfo<K>>> = Decode.array(
    Report.struct("-", {
      name,
      pending: optionalInteger,
      idle: Report.optional(idle),
      inactive: Report.optionalUnless(-1, Report.millis)
    })
  )
  const group = { name, lastDeliveredId: id, entriesRead: unlessUnknown, lag: unlessUnknown }
  const groups: Decode.Decoder<Array<GroupInfo<K>>> = Decode.array(
    Report.struct("-", { ...group, consumers: optionalInteger, pending: optionalInteger })
  )

  const summary = Report.struct("-", {
    ...base,
    ...remembered,
    groups: optionalInteger,
    firstEntry: maybeEntry,
    lastEntry: maybeEntry
  })
  const stream: Decode.Decoder<StreamInfo<V, K>> = (reply) => idempotence(summary(reply))

  const ownPending = Decode.tuple(Report.text, Report.timeMillis, Report.largeInteger)
  const groupPending = Decode.tuple(Report.text, named, Report.timeMillis, Report.largeInteger)
  const fullConsumer = Report.struct("-", {
    name,
    seenTime: Report.optional(Report.timeMillis),
    activeTime: Report.optionalUnless(-1, Report.timeMillis),
    pelCount: optionalInteger,
    pending: Report.list((reply) => {
      const [id, delivered, deliveries] = ownPending(reply)
      return { id, delivered, deliveries }
    })
  })
  const fullGroup = Report.struct("-", {
    ...group,
    pelCount: optionalInteger,
    pending: Report.list((reply) => {
      const [id, consumer, delivered, deliveries] = groupPending(reply)
      return { id, consumer, delivered, deliveries }
    }),
    consumers: Report.list(fullConsumer)
  })
  const full = Report.struct("-", {
    ...base,
    ...remembered,
    entries: Report.list(entry),
    groups: Report.list(fullGroup)
  })
  const fullStream: Decode.Decoder<FullStreamInfo<V, K>> = (reply) => idempotence(full(reply))

  const xinfoStream = (
    key: Key,
    options?: { readonly full?: boolean | undefined; readonly count?: number | undefined }
  ): RedisCommand<never> => {
    const builder = args()
      .key(key)
      .flag("FULL", options?.full)
      .option("COUNT", options?.count, (args, count) => args.integer(count))
    const decoder: Decode.Decoder<unknown> = options?.full === true ? fullStream : stream
    return XINFO_STREAM(builder, decoder, text) as RedisCommand<never>
  }

  return {
    xinfoConsumers: (key, group) => XINFO_CONSUMERS(args().key(key).text(group), consumers, text),
    xinfoGroups: (key) => XINFO_GROUPS(args().key(key), groups, text),
    xinfoStream: xinfoStream as StreamInfoCommands<V, K>["xinfoStream"]
  }
}
