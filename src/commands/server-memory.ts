/**
 * What takes memory, and which keys are hot.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/memory-optimization/
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type DurationWithUnit, type Key, type OneOrMore, toList } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { type SlotRange, slots } from "../internal/command/serverArgs.js"
import * as Server from "../internal/command/serverDecode.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * Where a server's memory is, in bytes where it is not said otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export interface MemoryStats {
  /** The most there ever was. */
  readonly peakAllocated: number
  readonly totalAllocated: number
  readonly startupAllocated: number
  readonly replicationBacklog: number
  /** Buffers for replicas. */
  readonly clientsSlaves: number
  /** Buffers for all other clients. */
  readonly clientsNormal: number
  readonly aofBuffer: number
  /** Everything that is not data. */
  readonly overheadTotal: number
  /** How many keys there are. */
  readonly keysCount: number
  readonly keysBytesPerKey: number
  readonly datasetBytes: number
  /** How much of the memory is data, in percent. */
  readonly datasetPercentage: number
  /** How much of the peak is taken now, in percent. */
  readonly peakPercentage: number
  /** What the system gave, by what was asked of it. */
  readonly fragmentation: number
  readonly fragmentationBytes: number
  /** The overhead of each database that has keys, by its number, under the names the server has for it. */
  readonly databases: Readonly<Record<number, Readonly<Record<string, number>>>>
  /** Every number of the reply, those above too, under the server's names: `allocator-rss.ratio`, … */
  readonly all: Readonly<Record<string, number>>
}

/**
 * A key, and how much time or traffic its commands took.
 *
 * @since 0.1.0
 * @category models
 */
export interface HotKey<out K = string> {
  readonly key: K
  /** Microseconds, or bytes. */
  readonly amount: number
}

/**
 * What HOTKEYS found out.
 *
 * @since 0.1.0
 * @category models
 */
export interface HotKeys<out K = string> {
  readonly trackingActive: boolean
  /** One key in so many was looked at. */
  readonly sampleRatio: number
  readonly selectedSlots: ReadonlyArray<SlotRange>
  readonly collectionStart: DateTime.Utc
  readonly collectionDuration: Duration.Duration
  /** The hottest by processor time, when `cpu` was asked for. */
  readonly byCpuTime: Option.Option<ReadonlyArray<HotKey<K>>>
  /** The hottest by bytes read and written, when `net` was asked for. */
  readonly byNetBytes: Option.Option<ReadonlyArray<HotKey<K>>>
  /** Every number of the reply under the server's names: `total-net-bytes`, `all-commands-all-slots-us`, … */
  readonly all: Readonly<Record<string, number>>
}

/**
 * How HOTKEYS looks for hot keys.
 *
 * @since 0.1.0
 * @category options
 */
export interface HotKeysOptions {
  /** How many keys to find: 10 when not given. */
  readonly count?: number | undefined
  /** When to stop: not before {@link ServerMemoryCommands.hotkeysStop} when not given. Whole seconds. */
  readonly duration?: DurationWithUnit | undefined
  /** Look at one key in so many: at each when not given. */
  readonly sample?: number | undefined
  /** Look only at these slots of a cluster. */
  readonly slots?: OneOrMore<number> | undefined
}

/**
 * The commands on memory and hot keys.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerMemoryCommands<K = string> {
  /**
   * What {@link hotkeysStart} found so far; `None` when it was not called. The keys stay when it has stopped.
   *
   * O(K) in the keys that are found. Since Redis 8.6.0; not in Valkey.
   */
  readonly hotkeysGet: () => RedisCommand<Option.Option<HotKeys<K>>>

  /**
   * Forgets what was found. Fails while keys are still being looked for.
   *
   * O(1). Since Redis 8.6.0; not in Valkey.
   */
  readonly hotkeysReset: () => RedisCommand<void>

  /**
   * Begins to look for the keys that take most processor time, or traffic, or both. Fails when that goes on already.
   *
   * O(1). Since Redis 8.6.0; not in Valkey.
   *
   * @example
   * ```ts
   * yield* Redis.hotkeysStart(["cpu", "net"], { count: 5, duration: "1 minute" })
   * ```
   */
  readonly hotkeysStart: (metrics: OneOrMore<"cpu" | "net">, options?: HotKeysOptions) => RedisCommand<void>

  /**
   * Stops looking for hot keys, and keeps what was found. Answers whether there was something to stop.
   *
   * O(1). Since Redis 8.6.0; not in Valkey.
   */
  readonly hotkeysStop: () => RedisCommand<boolean>

  /**
   * Advice about memory, for people.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly memoryDoctor: () => RedisCommand<string>

  /**
   * What the allocator says of itself, for people.
   *
   * O(N) in what is allocated. Since Redis 4.0.0.
   */
  readonly memoryMallocStats: () => RedisCommand<string>

  /**
   * Asks the allocator to give memory back to the system.
   *
   * O(N) in what is allocated. Since Redis 4.0.0.
   */
  readonly memoryPurge: () => RedisCommand<void>

  /**
   * Where the memory is.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly memoryStats: () => RedisCommand<MemoryStats>

  /**
   * How many bytes a key and its value take; `None` when there is no such key. Of the elements of a list, hash, set or
   * sorted set, `samples` are looked at (5 when not given, all of them with 0).
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

const known = Decode.structNamed(".", {
  peakAllocated: Decode.double,
  totalAllocated: Decode.double,
  startupAllocated: Decode.double,
  replicationBacklog: Decode.double,
  clientsSlaves: Decode.double,
  clientsNormal: Decode.double,
  aofBuffer: Decode.double,
  overheadTotal: Decode.double,
  keysCount: Decode.double,
  datasetBytes: Decode.double,
  datasetPercentage: Decode.double,
  peakPercentage: Decode.double,
  fragmentation: Decode.double,
  fragmentationBytes: Decode.double
})
const bytesPerKey = Decode.struct({ "keys.bytes-per-key": Decode.double })
const named = Decode.record(Decode.raw)
const numbers = Decode.record(Decode.double)

const memory: Decode.Decoder<MemoryStats> = (reply) => {
  const databases: Record<number, Record<string, number>> = {}
  const all: Record<string, number> = Object.create(null)
  for (const [name, value] of Object.entries(named(reply))) {
    const database = /^db\.(\d+)$/.exec(name)?.[1]
    if (database !== undefined) {
      databases[Number(database)] = Decode.at(name, numbers, value)
    } else {
      all[name] = Decode.at(name, Decode.double, value)
    }
  }
  return { ...known(reply), keysBytesPerKey: bytesPerKey(reply)["keys.bytes-per-key"], databases, all }
}

const ranges = Decode.array((reply): SlotRange => {
  const [start, end] = Decode.array(Decode.integer)(reply)
  return start === undefined ? Decode.mismatch("a range of slots", reply) : { start, end: end ?? start }
})
const hot = Decode.structNamed("-", {
  trackingActive: Decode.boolean,
  sampleRatio: Decode.integer,
  selectedSlots: ranges,
  collectionStartTimeUnixMs: Server.timeMillis,
  collectionDurationMs: Server.millis
})

/** Nil, a map, or a map in an array: one for each node, and only one node was asked. */
const only = (reply: Reply): Reply => {
  const [first, ...rest] = Array.isArray(reply) ? (reply as ReadonlyArray<Reply>) : []
  return rest.length === 0 && typeof first === "object" ? first : reply
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerMemoryCommands<K> => {
  const text = codec.wants === "text"
  const pairs = Decode.entries(Decode.key(codec), Decode.integer)
  const hotKeys = Decode.nullable((reply: Reply) => pairs(reply).map(([key, amount]): HotKey<K> => ({ key, amount })))
  const lists = Decode.struct({ "by-cpu-time-us": hotKeys, "by-net-bytes": hotKeys })
  const found = Decode.nullable((reply): HotKeys<K> => {
    const session = only(reply)
    const { collectionDurationMs, collectionStartTimeUnixMs, ...rest } = hot(session)
    const { "by-cpu-time-us": byCpuTime, "by-net-bytes": byNetBytes } = lists(session)
    const all: Record<string, number> = Object.create(null)
    for (const [name, value] of Object.entries(named(session))) {
      if (typeof value === "number") {
        all[name] = value
      }
    }
    return {
      ...rest,
      collectionStart: collectionStartTimeUnixMs,
      collectionDuration: collectionDurationMs,
      byCpuTime,
      byNetBytes,
      all
    }
  })

  return {
    hotkeysGet: () => HOTKEYS_GET(args(), found, text),
    hotkeysReset: () => HOTKEYS_RESET(args(), Decode.ok),
    hotkeysStart: (metrics, options) => {
      const list = toList<"cpu" | "net">(metrics)
      const builder = list.length === 0 ? args().fail("needs at least one metric") : args()
      return HOTKEYS_START(
        builder
          .token("METRICS")
          .integer(list.length)
          .each(list, (args, metric) => args.token(metric.toUpperCase()))
          .option("COUNT", options?.count, (args, count) => args.integer(count))
          .option("DURATION", options?.duration, (args, duration) => args.seconds(duration))
          .option("SAMPLE", options?.sample, (args, ratio) => args.integer(ratio))
          .option("SLOTS", options?.slots, (args, input) => slots(args.integer(toList<number>(input).length), input)),
        Decode.ok
      )
    },
    hotkeysStop: () => HOTKEYS_STOP(args(), Decode.done),
    memoryDoctor: () => MEMORY_DOCTOR(args(), Decode.text),
    memoryMallocStats: () => MEMORY_MALLOC_STATS(args(), Decode.text),
    memoryPurge: () => MEMORY_PURGE(args(), Decode.ok),
    memoryStats: () => MEMORY_STATS(args(), memory),
    memoryUsage: (key, options) =>
      MEMORY_USAGE(
        args()
          .key(key)
          .option("SAMPLES", options?.samples, (args, samples) => args.integer(samples)),
        Server.optionalInteger
      )
  }
}
