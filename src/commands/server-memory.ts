/**
 * Memory usage and hot keys.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type DurationWithUnit, type Key, type OneOrMany, toList } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { type SlotRange, slots } from "../internal/command/serverArgs.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * How a server uses its memory. Sizes are in bytes. No field is essential.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryStats {
  /** The highest value of `totalAllocated` so far. */
  readonly peakAllocated: Option.Option<number>
  readonly totalAllocated: Option.Option<number>
  readonly startupAllocated: Option.Option<number>
  readonly replicationBacklog: Option.Option<number>
  /** Buffers for replicas. */
  readonly clientsSlaves: Option.Option<number>
  /** Buffers for all other clients. */
  readonly clientsNormal: Option.Option<number>
  readonly aofBuffer: Option.Option<number>
  /** Memory used for anything but data. */
  readonly overheadTotal: Option.Option<number>
  /** The number of keys. */
  readonly keysCount: Option.Option<number>
  readonly keysBytesPerKey: Option.Option<number>
  readonly datasetBytes: Option.Option<number>
  /** The share of the memory that is data, in percent. */
  readonly datasetPercentage: Option.Option<number>
  /** The memory in use now, in percent of the peak. */
  readonly peakPercentage: Option.Option<number>
  /** The ratio of memory obtained from the system to memory requested. */
  readonly fragmentation: Option.Option<number>
  readonly fragmentationBytes: Option.Option<number>
  /** The overhead of each database with keys, by its number, under the server's own field names. */
  readonly databases: Readonly<Record<number, Readonly<Record<string, number>>>>
  /** Every number of the reply, including those above, under the server's own names: `allocator-rss.ratio`, … */
  readonly all: Readonly<Record<string, number>>
  /** Every other field, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A key, and the time or the traffic that its commands took.
 *
 * @since 0.1.0
 * @category models
 */
export interface HotKey<out K = string> {
  readonly key: K
  /** Microseconds in `byCpuTime`, bytes in `byNetBytes`. */
  readonly amount: number
}

/**
 * The result of HOTKEYS. Its essential field is `trackingActive`.
 *
 * @since 0.1.0
 * @category models
 */
export interface HotKeys<out K = string> {
  readonly trackingActive: boolean
  /** One key in this many was sampled. */
  readonly sampleRatio: Option.Option<number>
  readonly selectedSlots: ReadonlyArray<SlotRange>
  readonly collectionStart: Option.Option<DateTime.Utc>
  readonly collectionDuration: Option.Option<Duration.Duration>
  /** The hottest by processor time, when `cpu` was asked for. */
  readonly byCpuTime: Option.Option<ReadonlyArray<HotKey<K>>>
  /** The hottest by bytes read and written, when `net` was asked for. */
  readonly byNetBytes: Option.Option<ReadonlyArray<HotKey<K>>>
  /** Every number of the reply under the server's own names: `total-net-bytes`, `all-commands-all-slots-us`, … */
  readonly all: Readonly<Record<string, number>>
  /** Fields without a property of their own that are no numbers, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * Options of HOTKEYS START.
 *
 * @since 0.1.0
 * @category options
 */
export interface HotKeysOptions {
  /** How many keys to find. Default: 10. */
  readonly count?: number | undefined
  /** How long to look for hot keys, in whole seconds. Default: until {@link ServerMemoryCommands.hotkeysStop}. */
  readonly duration?: DurationWithUnit | undefined
  /** Sample one key in this many. Default: every key. */
  readonly sample?: number | undefined
  /** Sample only these slots of a cluster. */
  readonly slots?: OneOrMany<number> | undefined
}

/**
 * The commands on memory and hot keys.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerMemoryCommands<K = string> {
  /**
   * What {@link hotkeysStart} has found so far; `None` when it was not called. The result stays available after it has
   * stopped.
   *
   * O(K) in the keys found. Since Redis 8.6.0; not in Valkey.
   */
  readonly hotkeysGet: () => RedisCommand<Option.Option<HotKeys<K>>>

  /**
   * Deletes the result. Fails while the search for hot keys is still running.
   *
   * O(1). Since Redis 8.6.0; not in Valkey.
   */
  readonly hotkeysReset: () => RedisCommand<void>

  /**
   * Starts to look for the keys that take most processor time (`cpu`), most traffic (`net`), or both. Fails when a
   * search is already running.
   *
   * O(1). Since Redis 8.6.0; not in Valkey.
   *
   * @example
   * ```ts
   * yield* Redis.hotkeysStart(["cpu", "net"], { count: 5, duration: "1 minute" })
   * ```
   */
  readonly hotkeysStart: (metrics: OneOrMany<"cpu" | "net">, options?: HotKeysOptions) => RedisCommand<void>

  /**
   * Stops looking for hot keys, and keeps the result. `false` when no search was running.
   *
   * O(1). Since Redis 8.6.0; not in Valkey.
   */
  readonly hotkeysStop: () => RedisCommand<boolean>

  /**
   * The server's advice about memory, as text for humans.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly memoryDoctor: () => RedisCommand<string>

  /**
   * The allocator's statistics, as text for humans.
   *
   * O(N) in the allocated memory. Since Redis 4.0.0.
   */
  readonly memoryMallocStats: () => RedisCommand<string>

  /**
   * Asks the allocator to give memory back to the system.
   *
   * O(N) in the allocated memory. Since Redis 4.0.0.
   */
  readonly memoryPurge: () => RedisCommand<void>

  /**
   * How the server uses its memory.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly memoryStats: () => RedisCommand<MemoryStats>

  /**
   * How many bytes a key and its value take; `None` when the key is missing. The size of a collection is estimated from
   * `samples` of its elements (default: 5; 0: all of them).
   *
   * O(N) in the samples. Since Redis 4.0.0.
   *
   * @example
   * ```ts
   * const bytes = yield* Redis.memoryUsage("user:1", { samples: 0 }) // Option<number>
   * ```
   */
  readonly memoryUsage: (
    key: Key,
    options?: { readonly samples?: number | undefined }
  ) => RedisCommand<Option.Option<number>>
}

const HOTKEYS_GET = define("HOTKEYS GET")
const HOTKEYS_RESET = define("HOTKEYS RESET")
const HOTKEYS_START = define("HOTKEYS START")
const HOTKEYS_STOP = define("HOTKEYS STOP")
const MEMORY_DOCTOR = define("MEMORY DOCTOR")
const MEMORY_MALLOC_STATS = define("MEMORY MALLOC-STATS")
const MEMORY_PURGE = define("MEMORY PURGE")
const MEMORY_STATS = define("MEMORY STATS")
const MEMORY_USAGE = define("MEMORY USAGE")

const optionalInteger = Decode.nullable(Decode.integer)

const number = Report.optional(Report.double)
const known = Report.struct(".", {
  peakAllocated: number,
  totalAllocated: number,
  startupAllocated: number,
  replicationBacklog: number,
  clientsSlaves: number,
  clientsNormal: number,
  aofBuffer: number,
  overheadTotal: number,
  keysCount: number,
  "keys.bytes-per-key": number,
  datasetBytes: number,
  datasetPercentage: number,
  peakPercentage: number,
  fragmentation: number,
  fragmentationBytes: number
})
const numbers = Report.record(Report.double)

const memory: Decode.Decoder<MemoryStats> = (reply) => {
  const databases: Record<number, Record<string, number>> = {}
  const all: Record<string, number> = Object.create(null)
  const other: Record<string, string> = Object.create(null)
  for (const [name, value] of Report.namesAndValues(reply)) {
    const keep = (): void => {
      if (value !== null) {
        other[name] = Report.shown(value)
      }
    }
    const database = /^db\.(\d+)$/.exec(name)?.[1]
    if (database !== undefined) {
      databases[Number(database)] = Report.read(numbers, name, value, keep)
    } else {
      Option.match(Report.read(number, name, value), { onNone: keep, onSome: (found) => (all[name] = found) })
    }
  }
  const { "keys.bytes-per-key": keysBytesPerKey, other: _, ...rest } = known(reply)
  return { ...rest, keysBytesPerKey, databases, all, other }
}

const slotRange = (reply: Reply): SlotRange => {
  const [start, end] = Decode.array(Report.integer)(reply)
  return start === undefined ? Decode.mismatch("a range of slots", reply) : { start, end: end ?? start }
}

/**
 * The reply is nil, a map, or an array with a map for each node. Only one node was asked, so the array has one element.
 */
const only = (reply: Reply): Reply => {
  const [first, ...rest] = Array.isArray(reply) ? (reply as ReadonlyArray<Reply>) : []
  return rest.length === 0 && typeof first === "object" ? first : reply
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerMemoryCommands<K> => {
  const text = codec.wants === "text"
  const pairs = Decode.entries(Decode.key(codec), Report.integer)
  const hotKeys = Report.optional((reply) => pairs(reply).map(([key, amount]): HotKey<K> => ({ key, amount })))
  const hot = Report.struct("-", {
    trackingActive: Report.essential(Report.boolean),
    sampleRatio: Report.optional(Report.integer),
    selectedSlots: Report.list(slotRange),
    collectionStartTimeUnixMs: Report.optional(Report.timeMillis),
    collectionDurationMs: Report.optional(Report.millis),
    byCpuTimeUs: hotKeys,
    byNetBytes: hotKeys
  })
  const found = Decode.nullable((reply): HotKeys<K> => {
    const session = only(reply)
    const { byCpuTimeUs, collectionDurationMs, collectionStartTimeUnixMs, other, ...rest } = hot(session)
    const all: Record<string, number> = Object.create(null)
    const texts: Record<string, string> = Object.assign(Object.create(null), other)
    for (const [name, value] of Report.namesAndValues(session)) {
      if (typeof value === "number") {
        all[name] = value
        delete texts[name]
      }
    }
    return {
      ...rest,
      collectionStart: collectionStartTimeUnixMs,
      collectionDuration: collectionDurationMs,
      byCpuTime: byCpuTimeUs,
      all,
      other: texts
    }
  })

  return {
    hotkeysGet: () => HOTKEYS_GET(args(), found, text),
    hotkeysReset: () => HOTKEYS_RESET(args(), Decode.ok),
    hotkeysStart: (metrics, options) => {
      const list = toList<"cpu" | "net">(metrics)
      return HOTKEYS_START(
        args()
          .token("METRICS")
          .integer(list.length)
          .some<string>("metric", list, (args, metric) => args.word(metric))
          .option("COUNT", options?.count, (args, count) => args.integer(count))
          .option("DURATION", options?.duration, (args, duration) => args.seconds(duration))
          .option("SAMPLE", options?.sample, (args, ratio) => args.integer(ratio))
          .option("SLOTS", options?.slots, (args, input) => slots(args.integer(toList<number>(input).length), input)),
        Decode.ok
      )
    },
    hotkeysStop: () => HOTKEYS_STOP(args(), Decode.done),
    memoryDoctor: () => MEMORY_DOCTOR(args(), Report.text),
    memoryMallocStats: () => MEMORY_MALLOC_STATS(args(), Report.text),
    memoryPurge: () => MEMORY_PURGE(args(), Decode.ok),
    memoryStats: () => MEMORY_STATS(args(), memory),
    memoryUsage: (key, options) =>
      MEMORY_USAGE(
        args()
          .key(key)
          .option("SAMPLES", options?.samples, (args, samples) => args.integer(samples)),
        optionalInteger
      )
  }
}
