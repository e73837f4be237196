/**
 * The slow log, the log of large commands, and latency spikes.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/optimization/latency-monitor/
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import { args, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { someTexts } from "../internal/command/serverArgs.js"
import * as Server from "../internal/command/serverDecode.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * An entry of a server's command log.
 *
 * @since 0.1.0
 * @category models
 */
export interface LoggedCommand {
  readonly id: number | bigint
  /** When the command was executed. */
  readonly time: DateTime.Utc
  /**
   * The words of the command, values included. The server truncates long ones. A word that is not UTF-8 is given as
   * bytes.
   */
  readonly command: ReadonlyArray<string | Uint8Array>
  /** The client's address: `host:port`. */
  readonly clientAddress: string
  /** The client's name; empty when it has none. */
  readonly clientName: string
}

/**
 * A slow command.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlowCommand extends LoggedCommand {
  /** The execution time. Time spent waiting, and writing the reply, does not count. */
  readonly duration: Duration.Duration
}

/**
 * A command with a large request or a large reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface LargeCommand extends LoggedCommand {
  /** In bytes. */
  readonly size: number
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
  readonly calls: number
  /** How many calls took at most this long. The counts are cumulative. */
  readonly histogram: ReadonlyArray<{ readonly atMost: Duration.Duration; readonly calls: number }>
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
 * The last spike of an event.
 *
 * @since 0.1.0
 * @category models
 */
export interface LatestLatency extends LatencySpike {
  /** `command`, `fork`, `aof-fsync-always`, … */
  readonly event: string
  /** The longest spike so far. */
  readonly max: Duration.Duration
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
export interface ServerLatencyCommands {
  /**
   * The last `count` slow or large commands, newest first; all of them with -1.
   *
   * O(N) in the entries. Since Valkey 8.1.0; not in Redis.
   */
  readonly commandlogGet: {
    (count: number, type: "slow"): RedisCommand<Array<SlowCommand>>
    (count: number, type: "large-request" | "large-reply"): RedisCommand<Array<LargeCommand>>
  }

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
  readonly latencyHistogram: (
    commands?: string | ReadonlyArray<string>
  ) => RedisCommand<Record<string, LatencyHistogram>>

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
  readonly latencyLatest: () => RedisCommand<Array<LatestLatency>>

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
  readonly slowlogGet: (options?: { readonly count?: number | undefined }) => RedisCommand<Array<SlowCommand>>

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

const entry = <A, B>(measure: Decode.Decoder<A>, named: (measured: A) => B): Decode.Decoder<LoggedCommand & B> => {
  const fields = Decode.tuple(Decode.largeInteger, Server.timeSeconds, measure, Decode.array(Server.word))
  const client = (reply: Reply, at: number): string => {
    // Servers before 4.0 do not send the client's address and name.
    const found = Decode.items(reply)[at]
    return found === undefined ? "" : Decode.at(at, Decode.text, found)
  }
  return (reply) => {
    const [id, time, measured, command] = fields(reply)
    return { id, time, command, clientAddress: client(reply, 4), clientName: client(reply, 5), ...named(measured) }
  }
}
const slow: Decode.Decoder<Array<SlowCommand>> = Decode.array(entry(Server.micros, (duration) => ({ duration })))
const large: Decode.Decoder<Array<LargeCommand>> = Decode.array(entry(Decode.integer, (size) => ({ size })))

const buckets = Decode.entries(Server.micros, Decode.integer)
const histograms = Decode.record(
  Decode.structNamed("_", {
    calls: Decode.integer,
    histogramUsec: (reply: Reply) => buckets(reply).map(([atMost, calls]) => ({ atMost, calls }))
  })
)
const histogram: Decode.Decoder<Record<string, LatencyHistogram>> = (reply) => {
  const result: Record<string, LatencyHistogram> = Object.create(null)
  for (const [name, { calls, histogramUsec }] of Object.entries(histograms(reply))) {
    result[name] = { calls, histogram: histogramUsec }
  }
  return result
}

const spike = Decode.tuple(Server.timeSeconds, Server.millis)
const spikes = Decode.array((reply): LatencySpike => {
  const [time, latency] = spike(reply)
  return { time, latency }
})

const last = Decode.tuple(Decode.text, Server.timeSeconds, Server.millis, Server.millis)
const optionalMillis = Decode.nullable(Server.millis)
const latest = Decode.array((reply): LatestLatency => {
  const [event, time, latency, max] = last(reply)
  const [, , , , sum, count] = Decode.items(reply)
  return {
    event,
    time,
    latency,
    max,
    sum: Decode.at(4, optionalMillis, sum ?? null),
    count: Decode.at(5, Server.optionalInteger, count ?? null)
  }
})

/** @internal */
export const make = (): ServerLatencyCommands => ({
  commandlogGet: (count: number, type: CommandLogType): RedisCommand<never> => {
    const decoder: Decode.Decoder<unknown> = type === "slow" ? slow : large
    return COMMANDLOG_GET(args().integer(count).word(type), decoder) as RedisCommand<never>
  },
  commandlogLen: (type) => COMMANDLOG_LEN(args().word(type), Decode.integer),
  commandlogReset: (type) => COMMANDLOG_RESET(args().word(type), Decode.ok),
  latencyDoctor: () => LATENCY_DOCTOR(args(), Decode.text),
  latencyGraph: (event) => LATENCY_GRAPH(args().text(event), Decode.text),
  latencyHistogram: (commands) => LATENCY_HISTOGRAM(someTexts(args(), commands), histogram),
  latencyHistory: (event) => LATENCY_HISTORY(args().text(event), spikes),
  latencyLatest: () => LATENCY_LATEST(args(), latest),
  latencyReset: (events) => LATENCY_RESET(someTexts(args(), events), Decode.integer),
  slowlogGet: (options) =>
    SLOWLOG_GET(
      args().when(options?.count, (args, count) => args.integer(count)),
      slow
    ),
  slowlogLen: () => SLOWLOG_LEN(args(), Decode.integer),
  slowlogReset: () => SLOWLOG_RESET(args(), Decode.ok)
})
