/**
 * Shared parts of the stream commands: entries, ids, ranges and trimming.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import type { Codec } from "../Codec.js"
import {
  type AbsoluteTime,
  type Args,
  type AtMostOne,
  type DurationWithUnit,
  type ExactlyOne,
  type Key,
  type List,
  type OneOrMany,
  toList
} from "../internal/command/args.js"
import * as Decode from "../internal/command/decode.js"
import * as Report from "../internal/command/report.js"
import type { Reply } from "../internal/resp/values.js"
import type { Exclusive, Inclusive, Unbounded } from "./range.js"
import { pairsOf } from "./string-options.js"

/**
 * The id of an entry, `<milliseconds>-<sequence>`. Both parts are integers of 64 bits, so ids are text.
 *
 * Where Redis accepts them, commands also take special ids: `*` (the server generates one), `$` (the last id of the
 * stream), `>` (entries not yet delivered to the group), `-` and `+` (the smallest and the greatest), and an id without
 * its sequence.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamId = string

/**
 * An entry of a stream. It has at least one field, except on servers that accept entries without fields, and where a
 * server sends nil in the place of the fields.
 *
 * Redis keeps fields in order, and names may repeat. `fields` is convenient to read; `pairs` is complete.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamEntry<out V, out K = string> {
  readonly id: StreamId
  /**
   * The values by name, in a record without a prototype. When a name repeats, its last value. Under `Codec.bytes`,
   * names that are not UTF-8 are only in `pairs`.
   */
  readonly fields: Readonly<Record<string, V>>
  /** Names and values as they were added: in order, repetitions included. XADD accepts them unchanged. */
  readonly pairs: ReadonlyArray<readonly [name: K, value: V]>
}

/**
 * The entries that a read returns for one stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamEntries<out V, out K = string> {
  readonly key: K
  readonly entries: ReadonlyArray<StreamEntry<V, K>>
}

/**
 * The fields of a new entry, at least one: a record, or pairs. Pairs keep their order, may repeat names, and may have
 * names of bytes. In a record, JavaScript puts names that are whole numbers first.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamFields<V> = List<readonly [name: Key, value: V]> | { readonly [name: string]: V }

/**
 * Streams, at least one, with the id after which each is read: a record, or pairs when keys are bytes.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamPositions = List<readonly [key: Key, after: StreamId]> | { readonly [key: string]: StreamId }

/**
 * Where a range of entries begins or ends. An id is inclusive (`-` and `+` are the ends of the stream); a time includes
 * its whole millisecond. `Redis.range.exclusive` makes an exclusive bound from an id.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamBound = StreamId | AbsoluteTime | Inclusive<StreamId> | Exclusive<StreamId> | Unbounded

/**
 * How removing entries affects the references that consumer groups hold to them. Redis 8.2.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamReferences = AtMostOne<{
  /** Groups keep their references (the default). */
  readonly keepref: true
  /** The references are removed too. */
  readonly delref: true
  /** Only entries that every group has acknowledged are removed. */
  readonly acked: true
}>

/**
 * How a stream is trimmed: to a length, or to the ids from a given one on.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamTrim = ExactlyOne<{
  /** Keep this many of the newest entries. */
  readonly maxlen: number
  /** Keep the entries from this id, or from this time. */
  readonly minid: StreamId | AbsoluteTime
}> &
  (
    | {
        /** Trim exactly, `=` (the default). */
        readonly equal?: boolean | undefined
        readonly approximately?: false | undefined
        readonly limit?: undefined
      }
    | {
        readonly equal?: false | undefined
        /** Trim approximately, `~`: some more entries may stay, which is much cheaper. */
        readonly approximately: boolean | undefined
        /** Remove at most this many entries at once; 0 means no limit. */
        readonly limit?: number | undefined
      }
  )

/**
 * No trimming.
 *
 * @since 0.1.0
 * @category options
 */
export type NoStreamTrim = { readonly [Name in "maxlen" | "minid" | "equal" | "approximately" | "limit"]?: undefined }

/**
 * How much XREAD and XREADGROUP read, and how long they wait.
 *
 * @since 0.1.0
 * @category options
 */
export interface XreadOptions {
  /** At most this many entries of each stream. */
  readonly count?: number | undefined
  /** At most this many entries of all streams together. Redis 8.10. */
  readonly maxcount?: number | undefined
  /** Add no further entries once the reply has this many bytes. Redis 8.10. */
  readonly maxsize?: number | undefined
  /** When there is no entry, wait this long for one; `Duration.infinity` waits for ever. */
  readonly block?: DurationWithUnit | undefined
}

const special = new Set(["*", "$", ">", "-", "+"])

/** @internal */
export const appendId = (args: Args, id: StreamId): Args => (special.has(id) ? args.token(id) : args.text(id))

/** @internal */
export const appendIds = (args: Args, ids: OneOrMany<StreamId>): Args => args.some("id", ids, appendId)

/** @internal */
export const appendCountedIds = (args: Args, ids: OneOrMany<StreamId>): Args =>
  appendIds(args.token("IDS").integer(toList(ids).length), ids)

/** @internal */
export const appendBound = (args: Args, bound: StreamBound): Args => {
  if (typeof bound === "string") {
    return appendId(args, bound)
  }
  switch (Predicate.hasProperty(bound, "_tag") && bound._tag) {
    case "Inclusive":
      return appendId(args, (bound as Inclusive<StreamId>).value)
    case "Exclusive":
      return args.text(`(${(bound as Exclusive<StreamId>).value}`)
    case "Lowest":
      return args.token("-")
    case "Highest":
      return args.token("+")
    default:
      return args.timeMillis(bound as AbsoluteTime)
  }
}

/** @internal */
export const appendReferences = (args: Args, options: StreamReferences): Args =>
  args
    .atMostOne(options, ["keepref", "delref", "acked"])
    .flag("KEEPREF", options.keepref)
    .flag("DELREF", options.delref)
    .flag("ACKED", options.acked)

/** @internal */
export const appendTrim = (args: Args, trim: StreamTrim | NoStreamTrim): Args => {
  const { approximately, equal, limit, maxlen, minid } = trim
  if (maxlen === undefined && minid === undefined) {
    return args
  }
  args
    .atMostOne(trim, ["maxlen", "minid"])
    .atMostOne(trim, ["equal", "approximately"])
    .token(maxlen === undefined ? "MINID" : "MAXLEN")
    .flag("=", equal)
    .flag("~", approximately)
  return args
    .when(maxlen, (args, maxlen) => args.integer(maxlen))
    .when(minid, appendBound)
    .option("LIMIT", limit, (args, limit) => args.integer(limit))
}

/** @internal */
export const appendFields = <V, K extends Key>(args: Args, codec: Codec<V, K>, fields: StreamFields<V>): Args => {
  return args.some("field", pairsOf(fields), (args, [name, value]) => args.text(name).value(codec, value))
}

/** @internal */
export const appendStreams = (args: Args, streams: StreamPositions): Args => {
  const pairs = pairsOf(streams)
  return args
    .token("STREAMS")
    .keys(pairs.map(([key]) => key))
    .each(pairs, (args, [, id]) => appendId(args, id))
}

/** @internal */
export const appendLimits = (args: Args, { block, count, maxcount, maxsize }: XreadOptions): Args =>
  args
    .option("COUNT", count, (args, count) => args.integer(count))
    .option("MAXCOUNT", maxcount, (args, maxcount) => args.integer(maxcount))
    .option("MAXSIZE", maxsize, (args, maxsize) => args.integer(maxsize))
    .option("BLOCK", block, (args, block) => args.timeoutMillis(block))

/** An idle time. For an entry that XNACK has released, the server sends -1: it counts as infinitely idle. @internal */
export const idle: Decode.Decoder<Duration.Duration> = (reply) =>
  reply === -1 ? Duration.infinity : Report.millis(reply)

/** @internal */
export interface EntryDecoders<V, K> {
  readonly key: Decode.Decoder<K>
  readonly entry: Decode.Decoder<StreamEntry<V, K>>
  readonly entries: Decode.Decoder<Array<StreamEntry<V, K>>>
  /**
   * The entry's id and fields, then all items of its reply. `fields` is nil when the entry was deleted and only its id
   * is left.
   */
  readonly parts: (reply: Reply) => readonly [id: StreamId, fields: Reply, all: ReadonlyArray<Reply>]
  readonly withFields: (id: StreamId, fields: Reply) => StreamEntry<V, K>
}

/** @internal */
export const entryDecoders = <V, K extends Key>(codec: Codec<V, K>): EntryDecoders<V, K> => {
  const key = Decode.key(codec)
  const pairs = Decode.entries(key, Decode.value(codec))

  const withFields = (id: StreamId, reply: Reply): StreamEntry<V, K> => {
    const list = reply === null ? [] : Decode.at("fields", pairs, reply)
    const fields: Record<string, V> = Object.create(null)
    for (const [name, value] of list) {
      const text = typeof name === "string" ? name : textOf(name)
      if (text !== undefined) {
        fields[text] = value
      }
    }
    return { id, fields, pairs: list }
  }

  const parts = (reply: Reply) => {
    const all = Decode.items(reply)
    const [id, fields] = all
    return id === undefined || fields === undefined
      ? Decode.mismatch("an entry", reply)
      : ([typeof id === "string" ? id : Decode.at("id", Decode.text, id), fields, all] as const)
  }

  const entry: Decode.Decoder<StreamEntry<V, K>> = (reply) => {
    const [id, fields] = parts(reply)
    return withFields(id, fields)
  }

  return { key, entry, entries: Decode.array(entry), parts, withFields }
}

const textOf = (name: Uint8Array): string | undefined => {
  try {
    return Decode.text(name)
  } catch {
    return undefined
  }
}
