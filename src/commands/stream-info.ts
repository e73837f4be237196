/**
 * XINFO as records, the same over RESP2 and RESP3. Fields that not every server sends are `Option`s.
 *
 * @see https://redis.io/docs/latest/commands/?group=stream
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Checked, type IfFlag, type Key, type Needs, type Possible } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import type { Reply } from "../internal/resp/values.js"
import {
  entryDecoders,
  idle,
  integer,
  largeInteger,
  optionalIdle,
  optionalInteger,
  optionalTime,
  type StreamEntry,
  type StreamId,
  time
} from "./stream-entry.js"

/**
 * The common fields of XINFO STREAM with and without `full`.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamInfoBase {
  /** The number of entries. */
  readonly length: number
  readonly radixTreeKeys: number
  readonly radixTreeNodes: number
  readonly lastGeneratedId: StreamId
  /** Redis 7.0. */
  readonly maxDeletedEntryId: Option.Option<StreamId>
  /** The number of entries ever added. Redis 7.0. */
  readonly entriesAdded: Option.Option<number | bigint>
  /** Redis 7.0. */
  readonly recordedFirstEntryId: Option.Option<StreamId>
  /** The state of XADD's `idmp`. Redis 8.6. */
  readonly idempotence: Option.Option<StreamIdempotence>
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
  readonly groups: number
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
 * @since 0.1.0
 * @category models
 */
export interface FullGroupInfo<out K = string> {
  readonly name: K
  readonly lastDeliveredId: StreamId
  /** `None` when the server does not know, and before Redis 7.0. */
  readonly entriesRead: Option.Option<number>
  /**
   * The number of entries not yet delivered to the group; `None` when the server does not know, and before Redis 7.0.
   */
  readonly lag: Option.Option<number>
  /** The number of pending entries. */
  readonly pelCount: number
  readonly pending: ReadonlyArray<{
    readonly id: StreamId
    readonly consumer: K
    readonly delivered: DateTime.Utc
    readonly deliveries: number | bigint
  }>
  readonly consumers: ReadonlyArray<FullConsumerInfo<K>>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FullConsumerInfo<out K = string> {
  readonly name: K
  /** When it last tried to read or claim; before Redis 7.2, when it last succeeded. */
  readonly seenTime: DateTime.Utc
  /** When it last received an entry. `None` when it never did, and before Redis 7.2. */
  readonly activeTime: Option.Option<DateTime.Utc>
  readonly pelCount: number
  readonly pending: ReadonlyArray<{
    readonly id: StreamId
    readonly delivered: DateTime.Utc
    readonly deliveries: number | bigint
  }>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface GroupInfo<out K = string> {
  readonly name: K
  /** The number of consumers. */
  readonly consumers: number
  /** The number of pending entries. */
  readonly pending: number
  readonly lastDeliveredId: StreamId
  /** `None` when the server does not know, and before Redis 7.0. */
  readonly entriesRead: Option.Option<number>
  /**
   * The number of entries not yet delivered to the group; `None` when the server does not know, and before Redis 7.0.
   */
  readonly lag: Option.Option<number>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ConsumerInfo<out K = string> {
  readonly name: K
  /** The number of pending entries. */
  readonly pending: number
  /** The time since it last tried to read or claim; before Redis 7.2, since it last succeeded. */
  readonly idle: Duration.Duration
  /** The time since it last received an entry. `None` when it never did, and before Redis 7.2. */
  readonly inactive: Option.Option<Duration.Duration>
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
    (key: Key): RedisCommand<StreamInfo<V, K>>
    <const O extends FullOptions | undefined>(
      key: Key,
      options: Checked<O, FullOptions> & WithFull<O>
    ): RedisCommand<IfFlag<O, "full", FullStreamInfo<V, K>, StreamInfo<V, K>>>
  }
}

const XINFO_CONSUMERS = define("XINFO CONSUMERS")
const XINFO_GROUPS = define("XINFO GROUPS")
const XINFO_STREAM = define("XINFO STREAM")

const maybeId = Decode.nullable(Decode.text)

const base = {
  length: integer,
  radixTreeKeys: integer,
  radixTreeNodes: integer,
  lastGeneratedId: Decode.text,
  maxDeletedEntryId: maybeId,
  entriesAdded: Decode.nullable(largeInteger),
  recordedFirstEntryId: maybeId
}

const remembered = Decode.structNamed("-", {
  idmpDuration: Decode.nullable((reply) => Duration.seconds(integer(reply))),
  idmpMaxsize: optionalInteger,
  pidsTracked: optionalInteger,
  iidsTracked: optionalInteger,
  iidsAdded: optionalInteger,
  iidsDuplicates: optionalInteger
})

/** A server sends all of these fields or none of them. */
const idempotence = (reply: Reply): Option.Option<StreamIdempotence> => {
  const found = remembered(reply)
  return Option.all({
    duration: found.idmpDuration,
    maxsize: found.idmpMaxsize,
    producers: found.pidsTracked,
    ids: found.iidsTracked,
    added: found.iidsAdded,
    duplicates: found.iidsDuplicates
  })
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): StreamInfoCommands<V, K> => {
  const text = codec.wants === "text"
  const { entries, entry, key: name } = entryDecoders(codec)
  const maybeEntry = Decode.nullable(entry)

  const consumers: Decode.Decoder<Array<ConsumerInfo<K>>> = Decode.array(
    Decode.structNamed("-", { name, pending: integer, idle, inactive: optionalIdle })
  )
  const group = { name, lastDeliveredId: Decode.text, entriesRead: optionalInteger, lag: optionalInteger }
  const groups: Decode.Decoder<Array<GroupInfo<K>>> = Decode.array(
    Decode.structNamed("-", { ...group, consumers: integer, pending: integer })
  )

  const summary = Decode.structNamed("-", {
    ...base,
    groups: integer,
    firstEntry: maybeEntry,
    lastEntry: maybeEntry
  })
  const stream: Decode.Decoder<StreamInfo<V, K>> = (reply) => ({ ...summary(reply), idempotence: idempotence(reply) })

  const ownPending = Decode.tuple(Decode.text, time, largeInteger)
  const groupPending = Decode.tuple(Decode.text, name, time, largeInteger)
  const fullConsumer = Decode.structNamed("-", {
    name,
    seenTime: time,
    activeTime: optionalTime,
    pelCount: integer,
    pending: Decode.array((reply) => {
      const [id, delivered, deliveries] = ownPending(reply)
      return { id, delivered, deliveries }
    })
  })
  const fullGroup = Decode.structNamed("-", {
    ...group,
    pelCount: integer,
    pending: Decode.array((reply) => {
      const [id, consumer, delivered, deliveries] = groupPending(reply)
      return { id, consumer, delivered, deliveries }
    }),
    consumers: Decode.array(fullConsumer)
  })
  const full = Decode.structNamed("-", { ...base, entries, groups: Decode.array(fullGroup) })
  const fullStream: Decode.Decoder<FullStreamInfo<V, K>> = (reply) => ({
    ...full(reply),
    idempotence: idempotence(reply)
  })

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
