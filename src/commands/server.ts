/**
 * The server itself. Other commands of the group are in the files `server-*.ts`; {@link ServerCommands} includes them
 * all.
 *
 * @see https://redis.io/docs/latest/commands/?group=server
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type { Codec } from "../Codec.js"
import { type AtMostOne, args, type Key, type OneOrMany, toList } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { asyncOrSync, someTexts } from "../internal/command/serverArgs.js"
import type { Reply } from "../internal/resp/values.js"
import * as Acl from "./server-acl.js"
import * as Command from "./server-command.js"
import * as Config from "./server-config.js"
import * as Info from "./server-info.js"
import * as Latency from "./server-latency.js"
import * as Memory from "./server-memory.js"
import * as Persistence from "./server-persistence.js"
import * as Replication from "./server-replication.js"

/**
 * The time of a server.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerTime {
  /** To the millisecond. */
  readonly time: DateTime.Utc
  /** Microseconds since the epoch. */
  readonly epochMicros: number
}

/**
 * Whether the memory is freed before the server replies, while all other clients wait (`sync`), or in the background
 * (`async`). Without either, the server's settings decide.
 *
 * @since 0.1.0
 * @category options
 */
export type FlushMode = AtMostOne<{
  readonly async: true
  /** Redis 6.2. */
  readonly sync: true
}>

/**
 * The commands on a server itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerCommands<K = string>
  extends Acl.ServerAclCommands<K>,
    Command.ServerCommandCommands<K>,
    Config.ServerConfigCommands<K>,
    Latency.ServerLatencyCommands<K>,
    Memory.ServerMemoryCommands<K>,
    Persistence.ServerPersistenceCommands,
    Replication.ServerReplicationCommands {
  /**
   * The number of keys in the database of this connection.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly dbsize: () => RedisCommand<number>

  /**
   * Debugging of the server by its developers. Refused unless the setting `enable-debug-command` is on. Some
   * subcommands crash the server.
   *
   * Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.debug(["SLEEP", 0.1])
   * ```
   */
  readonly debug: (
    words: readonly [subcommand: string, ...args: ReadonlyArray<string | Uint8Array | number>]
  ) => RedisCommand<Reply>

  /**
   * Removes all keys of all databases.
   *
   * O(N) in the keys. Since Redis 1.0.0.
   */
  readonly flushall: (options?: FlushMode) => RedisCommand<void>

  /**
   * Removes all keys of the database of this connection.
   *
   * O(N) in the keys. Since Redis 1.0.0.
   */
  readonly flushdb: (options?: FlushMode) => RedisCommand<void>

  /**
   * Information about the server: the default sections, or the given ones.
   *
   * O(1). Since Redis 1.0.0; more than one section since 7.0.0.
   *
   * @example
   * ```ts
   * const { fields, version } = yield* Redis.info(["server", "memory"])
   * const used = Number(fields.used_memory)
   * ```
   */
  readonly info: (sections?: OneOrMany<Info.InfoSection>) => RedisCommand<Info.ServerInfo<K>>

  /**
   * ASCII art, with the server's version below it. The meaning of the parameters depends on `version`.
   *
   * O(1). Since Redis 5.0.0.
   */
  readonly lolwut: (options?: {
    readonly version?: number | undefined
    readonly parameters?: OneOrMany<number> | undefined
  }) => RedisCommand<string>

  /**
   * Makes the server send this connection every command it receives, until RESET. Refused on shared connections.
   *
   * Since Redis 1.0.0.
   */
  readonly monitor: () => RedisCommand<void>

  /**
   * Swaps two databases: clients that use one of them see the data of the other.
   *
   * O(N) in the clients that watch keys or block. Since Redis 4.0.0.
   */
  readonly swapdb: (index1: number, index2: number) => RedisCommand<void>

  /**
   * The time of the server's clock.
   *
   * O(1). Since Redis 2.6.0.
   *
   * @example
   * ```ts
   * const { time } = yield* Redis.time() // DateTime.Utc
   * ```
   */
  readonly time: () => RedisCommand<ServerTime>
}

const DBSIZE = define("DBSIZE")
const DEBUG = define("DEBUG")
const FLUSHALL = define("FLUSHALL")
const FLUSHDB = define("FLUSHDB")
const INFO = define("INFO")
const LOLWUT = define("LOLWUT")
const MONITOR = define("MONITOR")
const SWAPDB = define("SWAPDB")
const TIME = define("TIME")

const clock = Decode.tuple(Decode.integer, Decode.integer)
const time: Decode.Decoder<ServerTime> = (reply) => {
  const [seconds, micros] = clock(reply)
  const epochMicros = seconds * 1_000_000 + micros
  return { time: Report.timeMillis(Math.floor(epochMicros / 1000)), epochMicros }
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerCommands<K> => {
  const text = codec.wants === "text"
  const info = Info.info(codec)
  return {
    ...Acl.make(codec),
    ...Command.make(codec),
    ...Config.make(codec),
    ...Latency.make(codec),
    ...Memory.make(codec),
    ...Persistence.make(),
    ...Replication.make(),
    dbsize: () => DBSIZE(args(), Decode.integer),
    debug: (words) => {
      const builder = words.length === 0 ? args().fail("needs a subcommand") : args()
      return DEBUG(
        builder.each(words, (args, word) =>
          typeof word !== "number" ? args.text(word) : Number.isInteger(word) ? args.integer(word) : args.double(word)
        ),
        Decode.raw,
        text
      )
    },
    flushall: (options) => FLUSHALL(asyncOrSync(args(), options), Decode.ok),
    flushdb: (options) => FLUSHDB(asyncOrSync(args(), options), Decode.ok),
    info: (sections) => INFO(someTexts(args(), sections), info, text),
    lolwut: (options) =>
      LOLWUT(
        args()
          .option("VERSION", options?.version, (args, version) => args.integer(version))
          .each(options?.parameters === undefined ? [] : toList<number>(options.parameters), (args, parameter) =>
            args.integer(parameter)
          ),
        Report.text
      ),
    monitor: () => MONITOR(args(), Decode.ok),
    swapdb: (index1, index2) => SWAPDB(args().integer(index1).integer(index2), Decode.ok),
    time: () => TIME(args(), time)
  }
}
