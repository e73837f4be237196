/**
 * The slow log, the log of large commands, and latency spikes.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor/
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Key, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { someTexts } from "../internal/command/serverArgs.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * An entry of a server's command log. Its essential field is `id`.
 *
 * @since 0.1.0
 * @category models
 */
export interface LoggedCommand<out K = string> {
  readonly id: number | bigint
  /** When the command was executed. */
  readonly time: Option.Option<DateTime.Utc>
  /** The words of the command, values included. The server truncates long ones. */
  readonly command: ReadonlyArray<K>
  /** The client's address: `host:port`. Redis 4.0. */
  readonly clientAddress: Option.Option<string>
  /** The client's name; empty when it has none. Redis 4.0. */
  readonly clientName: Option.Option<K>
}

/**
 * A slow command.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlowCommand<out K = string> extends LoggedCommand<K> {
  /** The execution time. Time spent waiting, and writing the reply, does not count. */
  readonly duration: Option.Option<Duration.Duration>
}

/**
 * A command with a large request or a large reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface LargeCommand<out K = string> extends LoggedCommand<K> {
  /** In bytes. */
  readonly size: Option.Option<number>
}

/**
 * Which log COMMANDLOG reads.
 *
 * @since 0.1.0
 * @category options
 */
export type CommandLogType = "slow" | "large-request" | "large-reply"

/**
 * A histogram of a command's execution times.
 *
 * @since 0.1.0
 * @category models
 */
export interface LatencyHistogram {
  readonly calls: Option.Option<number>
  /** How many calls took at most this long. The counts are cumulative. */
  readonly histogram: ReadonlyArray<{ readonly atMost: Duration.Duration; readonly calls: number }>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface LatencySpike {
  readonly time: DateTime.Utc
  readonly latency: Duration.Duration
}

/**
 * The last spike of an event. Its essential field is `event`.
 *
 * @since 0.1.0
 * @category models
 */
export interface LatestLatency<out K = string> {
  /** `command`, `fork`, `aof-fsync-always`, … */
  readonly event: K
  readonly time: Option.Option<DateTime.Utc>
  readonly latency: Option.Option<Duration.Duration>
  /** The longest spike so far. */
  readonly max: Option.Option<Duration.Duration>
  /** The sum of all spikes. Valkey 8.1. */
  readonly sum: Option.Option<Duration.Duration>
  /** The number of spikes. Valkey 8.1. */
  readonly count: Option.Option<number>
}

/**
 * The commands on slow commands and latency.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerLatencyCommands<K = string> {
  /**
   * The last `count` slow or large commands, newest first; all of them with -1.
   *
   * O(N) in the entries. Since Valkey 8.1.0; not in Redis.
   */
  readonly commandlogGet: <T extends CommandLogType>(
    count: number,
    type: T
  ) => RedisCommand<T extends "slow" ? Array<SlowCommand<K>> : Array<LargeCommand<K>>>

  /**
   * The number of entries in a log.
   *
   * O(1). Since Valkey 8.1.0; not in Redis.
   */
  readonly commandlogLen: (type: CommandLogType) => RedisCommand<number>

  /**
   * Empties a log.
   *
   * O(N) in the entries. Since Valkey 8.1.0; not in Redis.
   */
  readonly commandlogReset: (type: CommandLogType) => RedisCommand<void>

  /**
   * The server's advice about latency, as text for humans.
   *
   * O(1). Since Redis 2.8.13.
   */
  readonly latencyDoctor: () => RedisCommand<string>

  /**
   * The spikes of an event as an ASCII graph. Fails when there are none.
   *
   * O(1). Since Redis 2.8.13.
   */
  readonly latencyGraph: (event: string) => RedisCommand<string>

  /**
   * Histograms of execution times by command name: of all commands that were called, or of the given ones. Subcommands
   * have their full names, `client|setname`.
   *
   * O(N) in the commands. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const { get } = yield* Redis.latencyHistogram("get")
   * ```
   */
  readonly latencyHistogram: (commands?: OneOrMany<string>) => RedisCommand<Record<string, LatencyHistogram>>

  /**
   * The spikes of an event, at most one for each second; empty for an unknown event.
   *
   * O(1). Since Redis 2.8.13.
   */
  readonly latencyHistory: (event: string) => RedisCommand<Array<LatencySpike>>

  /**
   * The last spike of each event.
   *
   * O(1). Since Redis 2.8.13.
   */
  readonly latencyLatest: () => RedisCommand<Array<LatestLatency<K>>>

  /**
   * Deletes the spikes of the given events, or of all, and returns how many events had any.
   *
   * O(1). Since Redis 2.8.13.
   */
  readonly latencyReset: (events?: OneOrMany<string>) => RedisCommand<number>

  /**
   * The last slow commands, newest first: 10 by default, all of them with -1.
   *
   * O(N) in the entries. Since Redis 2.2.12. Valkey 8.1 calls it `COMMANDLOG GET … slow`.
   *
   * @example
   * ```ts
   * const slow = yield* Redis.slowlogGet({ count: 25 })
   * ```
   */
  readonly slowlogGet: (options?: { readonly count?: number | undefined }) => RedisCommand<Array<SlowCommand<K>>>

  /**
   * The number of entries in the slow log.
   *
   * O(1). Since Redis 2.2.12.
   */
  readonly slowlogLen: () => RedisCommand<number>

  /**
   * Empties the slow log.
   *
   * O(N) in the entries. Since Redis 2.2.12.
   */
  readonly slowlogReset: () => RedisCommand<void>
}

const COMMANDLOG_GET = define("COMMANDLOG GET")
const COMMANDLOG_LEN = define("COMMANDLOG LEN")
const COMMANDLOG_RESET = define("COMMANDLOG RESET")
const LATENCY_DOCTOR = define("LATENCY DOCTOR")
const LATENCY_GRAPH = define("LATENCY GRAPH")
const LATENCY_HISTOGRAM = define("LATENCY HISTOGRAM")
const LATENCY_HISTORY = define("LATENCY HISTORY")
const LATENCY_LATEST = define("LATENCY LATEST")
const LATENCY_RESET = define("LATENCY RESET")
const SLOWLOG_GET = define("SLOWLOG GET")
const SLOWLOG_LEN = define("SLOWLOG LEN")
const SLOWLOG_RESET = define("SLOWLOG RESET")

const id = Report.essential(Report.largeInteger)
const optionalInteger = Report.optional(Report.integer)
const optionalMillis = Report.optional(Report.millis)
const optionalMicros = Report.optional(Report.micros)
const optionalSeconds = Report.optional(Report.timeSeconds)
const optionalText = Report.optional(Report.text)

const bucket = Decode.tuple(Report.micros, Report.integer)
const buckets = Report.list((reply) => {
  const [atMost, calls] = bucket(reply)
  return { atMost, calls }
})
const pairs = (reply: Reply): ReadonlyArray<Reply> => Report.namesAndValues(reply)
const histogramOf = Report.struct("_", {
  calls: optionalInteger,
  histogramUsec: new Report.Field((reply, misfit) => buckets.decode(pairs(reply), misfit), buckets.absent)
})
const histogram: Decode.Decoder<Record<string, LatencyHistogram>> = Report.whole(
  Report.record((reply) => {
    const { histogramUsec, ...rest } = histogramOf(reply)
    return { ...rest, histogram: histogramUsec }
  })
)

const spike = Decode.tuple(Report.timeSeconds, Report.millis)
const spikes = Decode.array((reply): LatencySpike => {
  const [time, latency] = spike(reply)
  return { time, latency }
})

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerLatencyCommands<K> => {
  const text = codec.wants === "text"
  const name = Report.name(codec)
  const words = Report.list(name)
  const optionalName = Report.optional(name)
  const event = Report.essential(name)

  const entries = <A, B>(
    measure: Report.Field<A>,
    named: (measured: A) => B
  ): Decode.Decoder<Array<LoggedCommand<K> & B>> =>
    Decode.array((reply) => {
      const parts = Decode.items(reply)
      const part = <A>(at: number, field: Report.Field<A>) => Report.read(field, at, parts[at])
      return {
        id: part(0, id),
        time: part(1, optionalSeconds),
        ...named(part(2, measure)),
        command: part(3, words),
        clientAddress: part(4, optionalText),
        clientName: part(5, optionalName)
      }
    })
  const slow: Decode.Decoder<Array<SlowCommand<K>>> = entries(optionalMicros, (duration) => ({ duration }))
  const large: Decode.Decoder<Array<LargeCommand<K>>> = entries(optionalInteger, (size) => ({ size }))

  const latest = Decode.array((reply): LatestLatency<K> => {
    const parts = Decode.items(reply)
    const part = <A>(at: number, field: Report.Field<A>) => Report.read(field, at, parts[at])
    return {
      event: part(0, event),
      time: part(1, optionalSeconds),
      latency: part(2, optionalMillis),
      max: part(3, optionalMillis),
      sum: part(4, optionalMillis),
      count: part(5, optionalInteger)
    }
  })

  return {
    commandlogGet: (count: number, type: CommandLogType): RedisCommand<never> => {
      const decoder: Decode.Decoder<unknown> = type === "slow" ? slow : large
      return COMMANDLOG_GET(args().integer(count).word(type), decoder, text) as RedisCommand<never>
    },
    commandlogLen: (type) => COMMANDLOG_LEN(args().word(type), Decode.integer),
    commandlogReset: (type) => COMMANDLOG_RESET(args().word(type), Decode.ok),
    latencyDoctor: () => LATENCY_DOCTOR(args(), Report.text),
    latencyGraph: (event) => LATENCY_GRAPH(args().text(event), Report.text),
    latencyHistogram: (commands) => LATENCY_HISTOGRAM(someTexts(args(), commands), histogram),
    latencyHistory: (event) => LATENCY_HISTORY(args().text(event), spikes),
    latencyLatest: () => LATENCY_LATEST(args(), latest, text),
    latencyReset: (events) => LATENCY_RESET(someTexts(args(), events), Decode.integer),
    slowlogGet: (options) =>
      SLOWLOG_GET(
        args().when(options?.count, (args, count) => args.integer(count)),
        slow,
        text
      ),
    slowlogLen: () => SLOWLOG_LEN(args(), Decode.integer),
    slowlogReset: () => SLOWLOG_RESET(args(), Decode.ok)
  }
}
