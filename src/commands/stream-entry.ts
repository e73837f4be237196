/**
 * What the stream commands have in common: entries, ids, ranges and trimming.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { Codec } from "../Codec.js"
import {
  type AbsoluteTime,
  type Args,
  type AtMostOne,
  type DurationWithUnit,
  type ExactlyOne,
  type Key,
  toList
} from "../internal/command/args.js"
import * as Decode from "../internal/command/decode.js"
import type { Reply } from "../internal/resp/values.js"
import type { Exclusive, Inclusive, Unbounded } from "./range.js"
import { pairsOf } from "./string-options.js"

/**
 * An entry's id as Redis writes it, `<milliseconds>-<sequence>`. Both parts are integers of 64 bits, so ids are text.
 *
 * Commands take special ids where Redis does: `*` (make one), `$` (the last there is), `>` (what nobody in the group
 * got yet), `-` and `+` (the smallest and the greatest), and an id without its sequence.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamId = string

/**
 * An entry of a stream.
 *
 * Redis keeps fields in order and lets names repeat. `fields` is what programs want to read; `pairs` is all there is.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamEntry<out V, out K = string> {
  readonly id: StreamId
  /**
   * The values by name, in a record without a prototype. Of a name that repeats, the last value. Under a codec of bytes,
   * names that are not UTF-8 are only in `pairs`.
   */
  readonly fields: Readonly<Record<string, V>>
  /** Names and values as they were added: in order, and with every repetition. XADD takes them again as they are. */
  readonly pairs: readonly [first: readonly [name: K, value: V], ...rest: ReadonlyArray<readonly [name: K, value: V]>]
}

/**
 * What a stream has for its reader.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamEntries<out V, out K = string> {
  readonly key: K
  readonly entries: ReadonlyArray<StreamEntry<V, K>>
}

/**
 * The fields of a new entry: a record, or pairs, which keep any order, repeat names and have names of bytes. Never empty.
 * A record lists names that are whole numbers first, as JavaScript does.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamFields<V> =
  | readonly [readonly [name: Key, value: V], ...ReadonlyArray<readonly [name: Key, value: V]>]
  | { readonly [name: string]: V }

/**
 * Streams and the id after which each is read: a record, or pairs, for keys of bytes. Never empty.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamPositions =
  | readonly [readonly [key: Key, after: StreamId], ...ReadonlyArray<readonly [key: Key, after: StreamId]>]
  | { readonly [key: string]: StreamId }

/**
 * Where a range of entries begins or ends. An id belongs to the range (`-` and `+` are the ends of the stream), and so
 * does the whole millisecond of a time; `Redis.range.exclusive` makes a bound of an id that does not.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamBound = StreamId | AbsoluteTime | Inclusive<StreamId> | Exclusive<StreamId> | Unbounded

/**
 * What becomes of the references that consumer groups hold to entries that go. Redis 8.2.
 *
 * @since 0.1.0
 * @category options
 */
export type StreamReferences = AtMostOne<{
  /** Groups keep their references. This is what Redis does by default. */
  readonly keepref: true
  /** The references go too. */
  readonly delref: true
  /** Only entries go that every group has acknowledged. */
  readonly acked: true
}>

/**
 * How a stream is cut: to a length, or to ids from a certain one on.
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
        /** Exactly, `=`. This is what Redis does by default. */
        readonly equal?: true | undefined
        readonly approximately?: undefined
        readonly limit?: undefined
      }
    | {
        readonly equal?: undefined
        /** About, `~`: some more may stay, which is much cheaper. */
        readonly approximately: true
        /** Evict at most this many at once; 0 is without a limit. */
        readonly limit?: number | undefined
      }
  )

/**
 * No trimming: every field of it absent.
 *
 * @since 0.1.0
 * @category options
 */
export type NoStreamTrim = { readonly [Name in "maxlen" | "minid" | "equal" | "approximately" | "limit"]?: undefined }

/**
 * How much XREAD and XREADGROUP answer, and how long they wait for it.
 *
 * @since 0.1.0
 * @category options
 */
export interface XreadOptions {
  /** At most this many entries of each stream. */
  readonly count?: number | undefined
  /** At most this many entries of all streams together. Redis 8.10. */
  readonly maxcount?: number | undefined
  /** No further entries once the reply has this many bytes. Redis 8.10. */
  readonly maxsize?: number | undefined
  /** Wait this long for an entry when there is none; `Duration.infinity` waits for ever. */
  readonly block?: DurationWithUnit | undefined
}

const special = new Set(["*", "$", ">", "-", "+"])

/** @internal */
export const appendId = (args: Args, id: StreamId): Args => (special.has(id) ? args.token(id) : args.text(id))

/** @internal */
export const appendIds = (args: Args, ids: StreamId | ReadonlyArray<StreamId>): Args => {
  const list = toList(ids)
  return list.length === 0 ? args.fail("needs at least one id") : args.each(list, appendId)
}

/** @internal */
export const appendCountedIds = (args: Args, ids: StreamId | ReadonlyArray<StreamId>): Args =>
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
export const appendReferences = (args: Args, { acked, delref, keepref }: StreamReferences): Args =>
  args.flag("KEEPREF", keepref).flag("DELREF", delref).flag("ACKED", acked)

/** @internal */
export const appendTrim = (args: Args, trim: StreamTrim | NoStreamTrim): Args => {
  const { approximately, equal, limit, maxlen, minid } = trim
  if (maxlen === undefined && minid === undefined) {
    return args
  }
  args
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
  const pairs = pairsOf(fields)
  return pairs.length === 0
    ? args.fail("needs at least one field")
    : args.each(pairs, (args, [name, value]) => args.text(name).value(codec, value))
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

/** Numbers that servers write as text; under a codec of bytes that text is bytes. */
const plain = (reply: Reply): Reply => (reply instanceof Uint8Array ? Decode.text(reply) : reply)

/** @internal */
export const integer: Decode.Decoder<number> = (reply) => Decode.integer(plain(reply))

/** @internal */
export const largeInteger: Decode.Decoder<number | bigint> = (reply) => Decode.largeInteger(plain(reply))

/** What a record need not have, because servers differ. -1 is how they say "never". @internal */
const unlessNever =
  <A>(decoder: Decode.Decoder<A>): Decode.Decoder<Option.Option<A>> =>
  (reply) =>
    reply === null || reply === -1 ? Option.none() : Option.some(decoder(reply))

/** @internal */
export const optionalInteger = unlessNever(integer)

/** An idle time. Entries that XNACK released have none: -1, and any wait is over. @internal */
export const idle: Decode.Decoder<Duration.Duration> = (reply) =>
  reply === -1 ? Duration.infinity : Duration.millis(integer(reply))

/** @internal */
export const optionalIdle = unlessNever(idle)

/** @internal */
export const time: Decode.Decoder<DateTime.Utc> = (reply) =>
  Option.getOrElse(DateTime.make(integer(reply)), () => Decode.mismatch("a Unix time in milliseconds", reply))

/** @internal */
export const optionalTime = unlessNever(time)

/** @internal */
export interface EntryDecoders<V, K> {
  readonly key: Decode.Decoder<K>
  readonly entry: Decode.Decoder<StreamEntry<V, K>>
  readonly entries: Decode.Decoder<Array<StreamEntry<V, K>>>
  /** The entry's parts: nil where the entry was deleted and only its id is left. Behind them may be more. */
  readonly parts: (reply: Reply) => readonly [id: StreamId, fields: Reply, all: ReadonlyArray<Reply>]
  readonly withFields: (id: StreamId, fields: Reply) => StreamEntry<V, K>
}

/** @internal */
export const entryDecoders = <V, K extends Key>(codec: Codec<V, K>): EntryDecoders<V, K> => {
  const key = Decode.key(codec)
  const pairs = Decode.entries(key, Decode.value(codec))

  const withFields = (id: StreamId, reply: Reply): StreamEntry<V, K> => {
    const list = Decode.at("fields", pairs, reply)
    if (!Arr.isNonEmptyReadonlyArray(list)) {
      return Decode.mismatch("at least one field", reply)
    }
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
