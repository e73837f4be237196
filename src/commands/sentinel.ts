/**
 * Sentinels: the servers they watch, and their settings. Send these commands to a sentinel's own port.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { args, type CheckedOne, type DurationWithUnit, type IfGiven, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { port, type Settings, settings, texts } from "../internal/command/serverArgs.js"
import { parse, type ServerInfo } from "./server-info.js"

/**
 * What a sentinel knows about a server, or about another sentinel. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SentinelInstance {
  readonly name: string
  readonly ip: Option.Option<string>
  readonly port: Option.Option<number>
  /** Empty when the sentinel has not reached it yet. */
  readonly runid: Option.Option<string>
  /** `master`, `slave`, `sentinel`, `s_down`, `o_down`, `disconnected`, … */
  readonly flags: ReadonlyArray<string>
  /** Every field under the sentinel's own name for it, as text: `last-ok-ping-reply`, … */
  readonly fields: Readonly<Record<string, string>>
}

/**
 * A primary that a sentinel watches.
 *
 * @since 0.1.0
 * @category models
 */
export interface SentinelPrimary extends SentinelInstance {
  /** How many sentinels must agree that the primary has failed. */
  readonly quorum: Option.Option<number>
  readonly numSlaves: Option.Option<number>
  readonly numOtherSentinels: Option.Option<number>
  readonly configEpoch: Option.Option<number | bigint>
  readonly downAfter: Option.Option<Duration.Duration>
  readonly failoverTimeout: Option.Option<Duration.Duration>
  readonly parallelSyncs: Option.Option<number>
}

/**
 * A replica of a primary that a sentinel watches.
 *
 * @since 0.1.0
 * @category models
 */
export interface SentinelReplica extends SentinelInstance {
  readonly masterHost: Option.Option<string>
  readonly masterPort: Option.Option<number>
  /** `ok` or `err`. */
  readonly masterLinkStatus: Option.Option<string>
  /** The replica with the lowest number is promoted first; one with 0 is never promoted. */
  readonly priority: Option.Option<number>
  readonly replicaOffset: Option.Option<number | bigint>
}

/**
 * Where a server listens.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/**
 * A sentinel's view of a primary, and its vote. `down` is essential.
 *
 * @since 0.1.0
 * @category models
 */
export interface SentinelVote {
  /** Whether the sentinel considers the primary down. */
  readonly down: boolean
  /** The id of the sentinel it voted for as leader of the failover; `None` without a vote. */
  readonly leader: Option.Option<string>
  readonly leaderEpoch: Option.Option<number | bigint>
}

/**
 * A script that a sentinel is running or will run. Its essential field is `argv`.
 *
 * @since 0.1.0
 * @category models
 */
export interface PendingScript {
  readonly argv: ReadonlyArray<string>
  readonly running: Option.Option<boolean>
  /** `None` while the script is not running. */
  readonly pid: Option.Option<number>
  /** How long it has been running. */
  readonly runTime: Option.Option<Duration.Duration>
  /** The time until it starts. */
  readonly runDelay: Option.Option<Duration.Duration>
  readonly retryNum: Option.Option<number>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * The replies to the last INFO that a sentinel sent to a primary and its replicas.
 *
 * @since 0.1.0
 * @category models
 */
export interface CachedInfo {
  /** The name of the primary. */
  readonly name: string
  /** The primary and its replicas. */
  readonly instances: ReadonlyArray<{
    /** How long ago the server was asked. */
    readonly age: Option.Option<Duration.Duration>
    /** `None` when the server was never reached. */
    readonly info: Option.Option<ServerInfo>
  }>
}

/**
 * Which of a sentinel's own settings are read or changed: exactly one of the two.
 *
 * @since 0.1.0
 * @category options
 */
export interface SentinelConfigOptions {
  /** Returns the settings whose names match. */
  readonly get?: OneOrMany<string> | undefined
  /** Changes these settings. */
  readonly set?: Settings | undefined
}

/** The moments at which a sentinel can crash itself, for tests. */
type Crash = "crash-after-election" | "crash-after-promotion"

/**
 * The commands of sentinels.
 *
 * Valkey has two names for the commands about primaries: `sentinelMasters` and `sentinelPrimaries`, for example, do the
 * same.
 *
 * @since 0.1.0
 * @category models
 */
export interface SentinelCommands {
  /**
   * Checks that enough sentinels are reachable for a failover, and returns the sentinel's text. Fails with `NOQUORUM`
   * when they are not.
   *
   * O(N) in the sentinels. Since Redis 2.8.4.
   */
  readonly sentinelCkquorum: (name: string) => RedisCommand<string>

  /**
   * Reads or changes the sentinel's own settings. Passwords may be `Redacted`.
   *
   * O(N) in the settings. Since Redis 6.2.0; more than one at once since 7.2.0.
   *
   * @example
   * ```ts
   * yield* Redis.sentinelConfig({ set: { "resolve-hostnames": true } })
   * const settings = yield* Redis.sentinelConfig({ get: "*" })
   * ```
   */
  readonly sentinelConfig: <const O extends SentinelConfigOptions>(
    options: CheckedOne<O, SentinelConfigOptions, "get" | "set">
  ) => RedisCommand<IfGiven<O, "set", void, Record<string, string>>>

  /**
   * Reads or changes the periods and timeouts of a sentinel by their names: `INFO-PERIOD`, `PING-PERIOD`, … For tests.
   *
   * O(N) in the times. Since Redis 7.0.0.
   */
  readonly sentinelDebug: {
    /**
     * Reads the periods and timeouts of a sentinel by their names: `INFO-PERIOD`, `PING-PERIOD`, … For tests.
     *
     * O(N) in the times. Since Redis 7.0.0.
     */
    (): RedisCommand<Record<string, Duration.Duration>>

    /**
     * Changes periods and timeouts of a sentinel by their names: `INFO-PERIOD`, `PING-PERIOD`, … For tests.
     *
     * O(N) in the times. Since Redis 7.0.0.
     */
    (times: { readonly [name: string]: DurationWithUnit }): RedisCommand<void>
  }

  /**
   * Makes a replica the primary without the agreement of the other sentinels; with `coordinated`, the old primary hands
   * over and no write is lost.
   *
   * O(1). Since Redis 2.8.4; `coordinated` since Valkey 9.0.0.
   */
  readonly sentinelFailover: (
    name: string,
    options?: { readonly coordinated?: boolean | undefined }
  ) => RedisCommand<void>

  /**
   * Writes the sentinel's state to its configuration file.
   *
   * O(1). Since Redis 2.8.4.
   */
  readonly sentinelFlushconfig: () => RedisCommand<void>

  /**
   * The address of a primary; `None` when the sentinel watches no primary of that name. During a failover, the address
   * of the new primary.
   *
   * O(1). Since Redis 2.8.4.
   *
   * @example
   * ```ts
   * const address = yield* Redis.sentinelGetMasterAddrByName("mymaster") // Option<{ host, port }>
   * ```
   */
  readonly sentinelGetMasterAddrByName: (name: string) => RedisCommand<Option.Option<ServerAddress>>

  /**
   * The same as {@link sentinelGetMasterAddrByName}.
   *
   * O(1). Since Valkey 8.0.0; not in Redis.
   */
  readonly sentinelGetPrimaryAddrByName: (name: string) => RedisCommand<Option.Option<ServerAddress>>

  /**
   * The last INFO replies of the primaries and their replicas.
   *
   * O(N) in the servers. Since Redis 3.2.0.
   */
  readonly sentinelInfoCache: (names: OneOrMany<string>) => RedisCommand<Array<CachedInfo>>

  /**
   * Whether the sentinel considers a primary down. With a sentinel's `runid` the command also asks for a vote for that
   * sentinel; with `"*"` it does not.
   *
   * O(1). Since Redis 2.8.4.
   */
  readonly sentinelIsMasterDownByAddr: (
    ip: string,
    port: number,
    currentEpoch: number | bigint,
    runid: string
  ) => RedisCommand<SentinelVote>

  /**
   * The same as {@link sentinelIsMasterDownByAddr}.
   *
   * O(1). Since Valkey 8.0.0; not in Redis.
   */
  readonly sentinelIsPrimaryDownByAddr: (
    ip: string,
    port: number,
    currentEpoch: number | bigint,
    runid: string
  ) => RedisCommand<SentinelVote>

  /**
   * A primary by its name. Fails when the sentinel watches no primary of that name.
   *
   * O(1). Since Redis 2.8.4.
   */
  readonly sentinelMaster: (name: string) => RedisCommand<SentinelPrimary>

  /**
   * All primaries that the sentinel watches.
   *
   * O(N) in the primaries. Since Redis 2.8.4.
   */
  readonly sentinelMasters: () => RedisCommand<Array<SentinelPrimary>>

  /**
   * Starts watching a primary.
   *
   * O(1). Since Redis 2.8.4.
   *
   * @example
   * ```ts
   * yield* Redis.sentinelMonitor("mymaster", "10.0.0.1", 6379, 2)
   * ```
   */
  readonly sentinelMonitor: (name: string, ip: string, port: number, quorum: number) => RedisCommand<void>

  /**
   * The id of the sentinel.
   *
   * O(1). Since Redis 6.2.0.
   */
  readonly sentinelMyid: () => RedisCommand<string>

  /**
   * The scripts that are running or will run.
   *
   * O(N) in the scripts. Since Redis 2.8.4.
   */
  readonly sentinelPendingScripts: () => RedisCommand<Array<PendingScript>>

  /**
   * The same as {@link sentinelMasters}.
   *
   * O(N) in the primaries. Since Valkey 8.0.0; not in Redis.
   */
  readonly sentinelPrimaries: () => RedisCommand<Array<SentinelPrimary>>

  /**
   * The same as {@link sentinelMaster}.
   *
   * O(1). Since Valkey 8.0.0; not in Redis.
   */
  readonly sentinelPrimary: (name: string) => RedisCommand<SentinelPrimary>

  /**
   * Stops watching a primary.
   *
   * O(1). Since Redis 2.8.4.
   */
  readonly sentinelRemove: (name: string) => RedisCommand<void>

  /**
   * The replicas of a primary.
   *
   * O(N) in the replicas. Since Redis 5.0.0.
   */
  readonly sentinelReplicas: (name: string) => RedisCommand<Array<SentinelReplica>>

  /**
   * For the primaries whose names match, forgets their replicas and other sentinels and discovers them again. Returns
   * the number of matching primaries.
   *
   * O(N) in the primaries. Since Redis 2.8.4.
   */
  readonly sentinelReset: (pattern: string) => RedisCommand<number>

  /**
   * The other sentinels that watch a primary.
   *
   * O(N) in the sentinels. Since Redis 2.8.4.
   */
  readonly sentinelSentinels: (name: string) => RedisCommand<Array<SentinelInstance>>

  /**
   * Changes the settings for a watched primary. Passwords may be `Redacted`.
   *
   * O(1). Since Redis 2.8.4.
   *
   * @example
   * ```ts
   * yield* Redis.sentinelSet("mymaster", { quorum: 3, "auth-pass": Redacted.make("secret") })
   * ```
   */
  readonly sentinelSet: (name: string, options: Settings) => RedisCommand<void>

  /**
   * Makes the sentinel crash at a given moment of a failover, for tests; with `"help"`, returns the possible moments.
   *
   * O(1). Since Redis 3.2.0.
   */
  readonly sentinelSimulateFailure: <M extends OneOrMany<Crash> | "help">(
    moments: M
  ) => RedisCommand<M extends "help" ? Array<string> : void>

  /**
   * The replicas of a primary.
   *
   * O(N) in the replicas. Since Redis 2.8.0.
   *
   * @deprecated since Redis 5.0.0: use {@link sentinelReplicas}
   */
  readonly sentinelSlaves: (name: string) => RedisCommand<Array<SentinelReplica>>
}

const SENTINEL_CKQUORUM = define("SENTINEL CKQUORUM")
const SENTINEL_CONFIG = define("SENTINEL CONFIG")
const SENTINEL_DEBUG = define("SENTINEL DEBUG")
const SENTINEL_FAILOVER = define("SENTINEL FAILOVER")
const SENTINEL_FLUSHCONFIG = define("SENTINEL FLUSHCONFIG")
const SENTINEL_GET_MASTER_ADDR_BY_NAME = define("SENTINEL GET-MASTER-ADDR-BY-NAME")
const SENTINEL_GET_PRIMARY_ADDR_BY_NAME = define("SENTINEL GET-PRIMARY-ADDR-BY-NAME")
const SENTINEL_INFO_CACHE = define("SENTINEL INFO-CACHE")
const SENTINEL_IS_MASTER_DOWN_BY_ADDR = define("SENTINEL IS-MASTER-DOWN-BY-ADDR")
const SENTINEL_IS_PRIMARY_DOWN_BY_ADDR = define("SENTINEL IS-PRIMARY-DOWN-BY-ADDR")
const SENTINEL_MASTER = define("SENTINEL MASTER")
const SENTINEL_MASTERS = define("SENTINEL MASTERS")
const SENTINEL_MONITOR = define("SENTINEL MONITOR")
const SENTINEL_MYID = define("SENTINEL MYID")
const SENTINEL_PENDING_SCRIPTS = define("SENTINEL PENDING-SCRIPTS")
const SENTINEL_PRIMARIES = define("SENTINEL PRIMARIES")
const SENTINEL_PRIMARY = define("SENTINEL PRIMARY")
const SENTINEL_REMOVE = define("SENTINEL REMOVE")
const SENTINEL_REPLICAS = define("SENTINEL REPLICAS")
const SENTINEL_RESET = define("SENTINEL RESET")
const SENTINEL_SENTINELS = define("SENTINEL SENTINELS")
const SENTINEL_SET = define("SENTINEL SET")
const SENTINEL_SIMULATE_FAILURE = define("SENTINEL SIMULATE-FAILURE")
const SENTINEL_SLAVES = define("SENTINEL SLAVES")

type Fields = Readonly<Record<string, string>>

const optionalText = Report.optional(Report.text)
const optionalInteger = Report.optional(Report.integer)
const optionalLarge = Report.optional(Report.largeInteger)
const optionalMillis = Report.optional(Report.millis)

const fieldsOf = Report.whole(
  Report.record((reply) => (reply === null ? Decode.mismatch("a value", reply) : Report.shown(reply)))
)
const name = Report.essential(Report.text)

const read = <A>(fields: Fields, name: string, field: Report.Field<A>): A => Report.read(field, name, fields[name])

const ofFields =
  <A>(more: (fields: Fields) => A): Decode.Decoder<SentinelInstance & A> =>
  (reply) => {
    const fields = fieldsOf(reply)
    const { flags = "" } = fields
    return {
      name: read(fields, "name", name),
      ip: read(fields, "ip", optionalText),
      port: read(fields, "port", optionalInteger),
      runid: read(fields, "runid", optionalText),
      flags: flags === "" ? [] : flags.split(","),
      fields,
      ...more(fields)
    }
  }

const primary: Decode.Decoder<SentinelPrimary> = ofFields((fields) => ({
  quorum: read(fields, "quorum", optionalInteger),
  numSlaves: read(fields, "num-slaves", optionalInteger),
  numOtherSentinels: read(fields, "num-other-sentinels", optionalInteger),
  configEpoch: read(fields, "config-epoch", optionalLarge),
  downAfter: read(fields, "down-after-milliseconds", optionalMillis),
  failoverTimeout: read(fields, "failover-timeout", optionalMillis),
  parallelSyncs: read(fields, "parallel-syncs", optionalInteger)
}))
const primaries = Decode.array(primary)

const replicas: Decode.Decoder<Array<SentinelReplica>> = Decode.array(
  ofFields((fields) => ({
    masterHost: read(fields, "master-host", optionalText),
    masterPort: read(fields, "master-port", optionalInteger),
    masterLinkStatus: read(fields, "master-link-status", optionalText),
    priority: read(fields, "slave-priority", optionalInteger),
    replicaOffset: read(fields, "slave-repl-offset", optionalLarge)
  }))
)
const sentinels: Decode.Decoder<Array<SentinelInstance>> = Decode.array(ofFields(() => ({})))

const hostAndPort = Decode.tuple(Report.text, Report.integer)
const address = Decode.nullable((reply): ServerAddress => {
  const [host, port] = hostAndPort(reply)
  return { host, port }
})

const down = Report.essential(Report.boolean)
const vote: Decode.Decoder<SentinelVote> = (reply) => {
  const parts = Decode.items(reply)
  const leader = Report.read(optionalText, 1, parts[1])
  return {
    down: Report.read(down, 0, parts[0]),
    leader: Option.filter(leader, (id) => id !== "*"),
    leaderEpoch: Report.read(optionalLarge, 2, parts[2])
  }
}

const instances = Report.list((reply) => {
  const [age, text] = Decode.items(reply)
  return {
    age: Report.read(optionalMillis, 0, age),
    info: Option.map(Report.read(optionalText, 1, text), parse)
  }
})
const cache: Decode.Decoder<Array<CachedInfo>> = (reply) =>
  Report.namesAndValues(reply).map(([name, value]) => ({ name, instances: Report.read(instances, name, value) }))

const job = Report.struct("-", {
  argv: Report.essential(Report.texts),
  flags: optionalText,
  pid: Report.optionalUnless(0, Report.integer),
  runTime: optionalMillis,
  runDelay: optionalMillis,
  retryNum: optionalInteger
})
const scripts: Decode.Decoder<Array<PendingScript>> = Decode.array((reply) => {
  const { flags, ...rest } = job(reply)
  return { ...rest, running: Option.map(flags, (word) => word === "running") }
})

const durations = Report.whole(Report.record(Report.millis))

const config = (options: SentinelConfigOptions): RedisCommand<never> => {
  const builder = args()
    .exactlyOne(options, ["get", "set"])
    .option("GET", options.get, (args, names) => texts(args, names, "setting"))
    .option("SET", options.set, settings)
  const decoder: Decode.Decoder<unknown> = options.set === undefined ? fieldsOf : Decode.ok
  return SENTINEL_CONFIG(builder, decoder) as RedisCommand<never>
}

const debug = (times?: { readonly [name: string]: DurationWithUnit }): RedisCommand<never> => {
  const builder = args()
  const entries = Object.entries(times ?? {})
  if (times !== undefined && entries.length === 0) {
    builder.fail("needs at least one time")
  }
  builder.each(entries, (args, [name, time]) => args.text(name).millis(time))
  const decoder: Decode.Decoder<unknown> = times === undefined ? durations : Decode.ok
  return SENTINEL_DEBUG(builder, decoder) as RedisCommand<never>
}

const simulateFailure = (moments: OneOrMany<Crash> | "help"): RedisCommand<never> => {
  const builder = args().some<string>("moment", moments, (args, moment) => args.word(moment))
  const decoder: Decode.Decoder<unknown> = moments === "help" ? Report.texts : Decode.ok
  return SENTINEL_SIMULATE_FAILURE(builder, decoder) as RedisCommand<never>
}

const downByAddr = (ip: string, number: number, currentEpoch: number | bigint, runid: string) =>
  port(args().text(ip), number).integer(currentEpoch).text(runid)

/** @internal */
export const make = (): SentinelCommands => ({
  sentinelCkquorum: (name) => SENTINEL_CKQUORUM(args().text(name), Report.text),
  sentinelConfig: config as SentinelCommands["sentinelConfig"],
  sentinelDebug: debug,
  sentinelFailover: (name, options) =>
    SENTINEL_FAILOVER(args().text(name).flag("COORDINATED", options?.coordinated), Decode.ok),
  sentinelFlushconfig: () => SENTINEL_FLUSHCONFIG(args(), Decode.ok),
  sentinelGetMasterAddrByName: (name) => SENTINEL_GET_MASTER_ADDR_BY_NAME(args().text(name), address),
  sentinelGetPrimaryAddrByName: (name) => SENTINEL_GET_PRIMARY_ADDR_BY_NAME(args().text(name), address),
  sentinelInfoCache: (names) => SENTINEL_INFO_CACHE(texts(args(), names, "primary"), cache),
  sentinelIsMasterDownByAddr: (ip, port, epoch, runid) =>
    SENTINEL_IS_MASTER_DOWN_BY_ADDR(downByAddr(ip, port, epoch, runid), vote),
  sentinelIsPrimaryDownByAddr: (ip, port, epoch, runid) =>
    SENTINEL_IS_PRIMARY_DOWN_BY_ADDR(downByAddr(ip, port, epoch, runid), vote),
  sentinelMaster: (name) => SENTINEL_MASTER(args().text(name), primary),
  sentinelMasters: () => SENTINEL_MASTERS(args(), primaries),
  sentinelMonitor: (name, ip, number, quorum) =>
    SENTINEL_MONITOR(port(args().text(name).text(ip), number).integer(quorum), Decode.ok),
  sentinelMyid: () => SENTINEL_MYID(args(), Report.text),
  sentinelPendingScripts: () => SENTINEL_PENDING_SCRIPTS(args(), scripts),
  sentinelPrimaries: () => SENTINEL_PRIMARIES(args(), primaries),
  sentinelPrimary: (name) => SENTINEL_PRIMARY(args().text(name), primary),
  sentinelRemove: (name) => SENTINEL_REMOVE(args().text(name), Decode.ok),
  sentinelReplicas: (name) => SENTINEL_REPLICAS(args().text(name), replicas),
  sentinelReset: (pattern) => SENTINEL_RESET(args().text(pattern), Decode.integer),
  sentinelSentinels: (name) => SENTINEL_SENTINELS(args().text(name), sentinels),
  sentinelSet: (name, options) => SENTINEL_SET(settings(args().text(name), options), Decode.ok),
  sentinelSimulateFailure: simulateFailure,
  sentinelSlaves: (name) => SENTINEL_SLAVES(args().text(name), replicas)
})
