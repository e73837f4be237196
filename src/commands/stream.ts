/**
 * Streams: append-only logs of entries. Consumer groups are in `stream-group`.
 *
 * @see https://redis.io/docs/latest/commands/?group=stream
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { type AtMostOne, args, type DurationWithUnit, type Key, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import {
  appendBound,
  appendCountedIds,
  appendFields,
  appendId,
  appendIds,
  appendLimits,
  appendReferences,
  appendStreams,
  appendTrim,
  entryDecoders,
  type NoStreamTrim,
  type StreamBound,
  type StreamEntries,
  type StreamEntry,
  type StreamFields,
  type StreamId,
  type StreamPositions,
  type StreamReferences,
  type StreamTrim,
  type XreadOptions
} from "./stream-entry.js"

/**
 * How XADD avoids adding an entry twice. Redis 8.6.
 *
 * @since 0.1.0
 * @category options
 */
export type XaddIdempotence = AtMostOne<{
  /** The producer. Redis recognises a duplicate entry by its content. */
  readonly idmpauto: Key
  /** The producer, and its own id for this entry. */
  readonly idmp: { readonly producer: Key; readonly id: Key }
}>

/**
 * @since 0.1.0
 * @category options
 */
export type XaddOptions = StreamReferences & XaddIdempotence & (StreamTrim | NoStreamTrim)

/**
 * The result of XDELEX and XACKDEL for each id.
 *
 * - `deleted`: the entry was removed.
 * - `missing`: the entry did not exist.
 * - `referenced`: the entry was not removed, because not every group has acknowledged it.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamDeletion = "deleted" | "missing" | "referenced"

/**
 * The commands on streams.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamCommands<V, K> {
  /**
   * Adds an entry under an id (`*`: the server generates it), and returns the id. A missing stream is created; with
   * `nomkstream` it is not, and the result is `None`. The stream can be trimmed in the same step.
   *
   * O(1), plus O(N) in the entries trimmed. Since Redis 5.0.0; `nomkstream`, `minid` and `limit` since 6.2.0.
   *
   * @example
   * ```ts
   * const id = yield* Redis.xadd("orders", "*", { item: "book", amount: "2" })
   * yield* Redis.xadd("orders", "*", { item: "pen" }, { maxlen: 10_000, approximately: true })
   * ```
   */
  readonly xadd: <const NoMkStream extends boolean | undefined = undefined>(
    key: Key,
    id: StreamId,
    fields: StreamFields<V>,
    options?: XaddOptions & {
      /** Does not create a missing stream. */
      readonly nomkstream?: NoMkStream
    }
  ) => RedisCommand<NoMkStream extends true ? Option.Option<StreamId> : StreamId>

  /**
   * Sets how long, and how many, ids of XADD's `idmp` are remembered. All ids remembered so far are forgotten.
   *
   * O(1). Since Redis 8.6.0; not in Valkey.
   */
  readonly xcfgset: (
    key: Key,
    options:
      | { readonly idmpDuration: DurationWithUnit; readonly idmpMaxsize?: number | undefined }
      | { readonly idmpDuration?: DurationWithUnit | undefined; readonly idmpMaxsize: number }
  ) => RedisCommand<void>

  /**
   * Removes entries by their ids, and returns how many existed.
   *
   * O(1) for each entry. Since Redis 5.0.0.
   */
  readonly xdel: (key: Key, ids: OneOrMany<StreamId>) => RedisCommand<number>

  /**
   * Removes entries by their ids, and returns the result for each. The options determine what happens to the references
   * that consumer groups hold.
   *
   * O(1) for each entry. Since Redis 8.2.0; not in Valkey.
   */
  readonly xdelex: (
    key: Key,
    ids: OneOrMany<StreamId>,
    options?: StreamReferences
  ) => RedisCommand<Array<StreamDeletion>>

  /**
   * Records a producer's id for an existing entry. Redis writes this command to its own append-only file; it is not
   * meant for programs.
   *
   * O(1). Since Redis 8.6.2; not in Valkey.
   */
  readonly xidmprecord: (key: Key, producer: Key, id: Key, entry: StreamId) => RedisCommand<void>

  /**
   * The number of entries; 0 when the stream is missing.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly xlen: (key: Key) => RedisCommand<number>

  /**
   * The entries between two ids or times, both included.
   *
   * O(N) in the entries read. Since Redis 5.0.0; exclusive bounds since 6.2.0.
   *
   * @example
   * ```ts
   * const all = yield* Redis.xrange("orders", "-", "+")
   * const page = yield* Redis.xrange("orders", Redis.range.exclusive(last.id), "+", { count: 100 })
   * const today = yield* Redis.xrange("orders", new Date("2026-11-22"), "+")
   * ```
   */
  readonly xrange: (
    key: Key,
    start: StreamBound,
    end: StreamBound,
    options?: { readonly count?: number | undefined }
  ) => RedisCommand<Array<StreamEntry<V, K>>>

  /**
   * Reads the entries of streams after the given ids. Streams without such entries are left out; the result is empty
   * when there are none, and when the `block` timeout passes.
   *
   * With `block`, it waits for entries, on a connection of its own.
   *
   * O(N) in the entries read. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * for (const { key, entries } of yield* Redis.xread({ orders: lastId, refunds: "$" }, { block: "5 seconds" })) {
   *   yield* Effect.log(key, entries.map((entry) => entry.fields.item))
   * }
   * ```
   */
  readonly xread: (streams: StreamPositions, options?: XreadOptions) => RedisCommand<Array<StreamEntries<V, K>>>

  /**
   * Like {@link xrange}, newest entries first.
   *
   * O(N) in the entries read. Since Redis 5.0.0.
   *
   * @example
   * ```ts
   * const [newest] = yield* Redis.xrevrange("orders", "+", "-", { count: 1 })
   * ```
   */
  readonly xrevrange: (
    key: Key,
    end: StreamBound,
    start: StreamBound,
    options?: { readonly count?: number | undefined }
  ) => RedisCommand<Array<StreamEntry<V, K>>>

  /**
   * Sets the stream's last id and its counters. It is meant for replication.
   *
   * O(1). Since Redis 5.0.0; the options since 7.0.0.
   */
  readonly xsetid: (
    key: Key,
    lastId: StreamId,
    options?: { readonly entriesadded?: number | bigint | undefined; readonly maxdeletedid?: StreamId | undefined }
  ) => RedisCommand<void>

  /**
   * Trims the stream, and returns how many entries were removed.
   *
   * O(N) in the entries removed. Since Redis 5.0.0; `minid` and `limit` since 6.2.0.
   *
   * @example
   * ```ts
   * yield* Redis.xtrim("orders", { maxlen: 1000 })
   * yield* Redis.xtrim("orders", { minid: new Date("2026-01-01"), approximately: true })
   * ```
   */
  readonly xtrim: (key: Key, options: StreamTrim & StreamReferences) => RedisCommand<number>
}

const XADD = define("XADD")
const XCFGSET = define("XCFGSET")
const XDEL = define("XDEL")
const XDELEX = define("XDELEX")
const XIDMPRECORD = define("XIDMPRECORD")
const XLEN = define("XLEN")
const XRANGE = define("XRANGE")
const XREAD = define("XREAD")
const XREVRANGE = define("XREVRANGE")
const XSETID = define("XSETID")
const XTRIM = define("XTRIM")

const maybeId = Decode.nullable(Decode.text)

const deletion: Decode.Decoder<StreamDeletion> = (reply) => {
  switch (reply) {
    case 1:
      return "deleted"
    case -1:
      return "missing"
    case 2:
      return "referenced"
  }
  return Decode.mismatch("1, -1 or 2", reply)
}

/** @internal */
export const deletions = Decode.array(deletion)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): StreamCommands<V, K> => {
  const text = codec.wants === "text"
  const { entries, key: decodeKey } = entryDecoders(codec)
  const byStream = Decode.entries(decodeKey, entries)
  const streamEntries: Decode.Decoder<Array<StreamEntries<V, K>>> = (reply) =>
    reply === null ? [] : byStream(reply).map(([key, entries]) => ({ key, entries }))

  const xadd = (
    key: Key,
    id: StreamId,
    fields: StreamFields<V>,
    options: XaddOptions & { readonly nomkstream?: boolean | undefined } = {}
  ): RedisCommand<never> => {
    const builder = args().key(key).flag("NOMKSTREAM", options.nomkstream)
    appendReferences(builder, options)
      .atMostOne(options, ["idmpauto", "idmp"])
      .option("IDMPAUTO", options.idmpauto, (args, producer) => args.text(producer))
      .option("IDMP", options.idmp, (args, { id, producer }) => args.text(producer).text(id))
    appendFields(appendId(appendTrim(builder, options), id), codec, fields)
    const decoder: Decode.Decoder<unknown> = options.nomkstream === true ? maybeId : Decode.text
    return XADD(builder, decoder) as RedisCommand<never>
  }

  return {
    xadd,
    xcfgset: (key, { idmpDuration, idmpMaxsize }) =>
      XCFGSET(
        args()
          .key(key)
          .option("IDMP-DURATION", idmpDuration, (args, duration) => args.seconds(duration))
          .option("IDMP-MAXSIZE", idmpMaxsize, (args, maxsize) => args.integer(maxsize)),
        Decode.ok
      ),
    xdel: (key, ids) => XDEL(appendIds(args().key(key), ids), Decode.integer),
    xdelex: (key, ids, options = {}) =>
      XDELEX(appendCountedIds(appendReferences(args().key(key), options), ids), deletions),
    xidmprecord: (key, producer, id, entry) =>
      XIDMPRECORD(appendId(args().key(key).text(producer).text(id), entry), Decode.ok),
    xlen: (key) => XLEN(args().key(key), Decode.integer),
    xrange: (key, start, end, options) =>
      XRANGE(
        appendBound(appendBound(args().key(key), start), end).option("COUNT", options?.count, (args, count) =>
          args.integer(count)
        ),
        entries,
        text
      ),
    xread: (streams, options = {}) => XREAD(appendStreams(appendLimits(args(), options), streams), streamEntries, text),
    xrevrange: (key, end, start, options) =>
      XREVRANGE(
        appendBound(appendBound(args().key(key), end), start).option("COUNT", options?.count, (args, count) =>
          args.integer(count)
        ),
        entries,
        text
      ),
    xsetid: (key, lastId, options) =>
      XSETID(
        appendId(args().key(key), lastId)
          .option("ENTRIESADDED", options?.entriesadded, (args, added) => args.integer(added))
          .option("MAXDELETEDID", options?.maxdeletedid, appendId),
        Decode.ok
      ),
    xtrim: (key, options) => XTRIM(appendReferences(appendTrim(args().key(key), options), options), Decode.integer)
  }
}
