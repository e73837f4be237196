/**
 * Clusters: nodes, hash slots, and the slots of keys.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
 * @since 0.1.0
 */
import type { Codec } from "../Codec.js"
import {
  type AtMostOne,
  args,
  type CheckedOne,
  type DurationWithUnit,
  type ExactlyOne,
  type IfGiven,
  type Key,
  type OneOrMany
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { asyncOrSync, port, type SlotRange, slot, slotRanges, slots } from "../internal/command/serverArgs.js"
import type { Reply } from "../internal/resp/values.js"
import * as Model from "./cluster-models.js"
import type { FlushMode } from "./server.js"

/**
 * The state of a slot during a move between nodes, for CLUSTER SETSLOT.
 *
 * @since 0.1.0
 * @category options
 */
export type SetSlot = ExactlyOne<{
  /** The slot is being imported from this node. */
  readonly importing: string
  /** The slot is migrating to this node. */
  readonly migrating: string
  /** The slot belongs to this node. */
  readonly node: string
  /** The slot is not moving. */
  readonly stable: true
}> & {
  /** How long to wait for the replicas. Whole milliseconds. Valkey 8.0. */
  readonly timeout?: DurationWithUnit | undefined
}

/**
 * Slots to move to a node.
 *
 * @since 0.1.0
 * @category options
 */
export interface SlotMigrationGroup {
  readonly slotsrange: OneOrMany<SlotRange>
  /** The id of the node that gets them. */
  readonly node: string
}

/**
 * One migration by its id, or all of them.
 *
 * @since 0.1.0
 * @category options
 */
export type MigrationTask = ExactlyOne<{ readonly id: string; readonly all: true }>

/**
 * What CLUSTER MIGRATION does: exactly one of these.
 *
 * @since 0.1.0
 * @category options
 */
export interface MigrationOptions {
  /** Starts to move these slots, with their keys, to this node. */
  readonly import?: OneOrMany<SlotRange> | undefined
  /** Cancels tasks. */
  readonly cancel?: MigrationTask | undefined
  /** Reports on tasks. */
  readonly status?: MigrationTask | undefined
}

/**
 * Which slots CLUSTER SLOT-STATS reports: a range, or the first ones when sorted by a metric.
 *
 * @since 0.1.0
 * @category options
 */
export type SlotStatsFilter =
  | {
      readonly slotsrange: SlotRange
      readonly orderby?: undefined
      readonly limit?: undefined
      readonly asc?: undefined
      readonly desc?: undefined
    }
  | ({
      readonly slotsrange?: undefined
      /** `memory-bytes`: only in Redis. */
      readonly orderby: "key-count" | "cpu-usec" | "network-bytes-in" | "network-bytes-out" | "memory-bytes"
      readonly limit?: number | undefined
    } & AtMostOne<{ readonly asc: true; readonly desc: true }>)

/**
 * Messages between nodes while slots move.
 *
 * @since 0.1.0
 * @category options
 */
export type SyncSlots = ExactlyOne<{
  readonly sync: { readonly taskId: string; readonly slots: OneOrMany<SlotRange> }
  readonly rdbchannel: string
  readonly snapshotEof: true
  readonly streamEof: true
  readonly ack: { readonly state: string; readonly offset: number | bigint }
  readonly fail: string
  readonly conf: { readonly [option: string]: string }
}>

/**
 * Which keys CLUSTERSCAN returns.
 *
 * @since 0.1.0
 * @category options
 */
export interface ClusterScanOptions {
  /** Only keys that match this pattern. */
  readonly match?: Key | undefined
  /** About how many keys to scan per page. */
  readonly count?: number | undefined
  /** Only keys that hold this type: `string`, `list`, … */
  readonly type?: string | undefined
  /** Only keys of this slot. */
  readonly slot?: number | undefined
}

/**
 * The commands on clusters. All but {@link clusterscan} and {@link clusterKeyslot} concern the node that receives them.
 * A node id is 40 hexadecimal digits.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterCommands<K = string> {
  /**
   * Lets the next command on this connection use a slot that the node is still importing. Refused on shared
   * connections.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly asking: () => RedisCommand<void>

  /**
   * Assigns unassigned slots to the node.
   *
   * O(N) in the slots. Since Redis 3.0.0.
   */
  readonly clusterAddslots: (slots: OneOrMany<number>) => RedisCommand<void>

  /**
   * Assigns ranges of unassigned slots to the node.
   *
   * O(N) in the slots. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.clusterAddslotsrange({ start: 0, end: 16383 })
   * ```
   */
  readonly clusterAddslotsrange: (ranges: OneOrMany<SlotRange>) => RedisCommand<void>

  /**
   * Raises the node's config epoch above that of every other node, unless it is already the highest. Returns the
   * server's text: `BUMPED 7` or `STILL 7`.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterBumpepoch: () => RedisCommand<string>

  /**
   * Cancels all migrations that this node has started with {@link clusterMigrateslots}.
   *
   * O(N) in the migrations. Since Valkey 9.0.0; not in Redis.
   */
  readonly clusterCancelslotmigrations: () => RedisCommand<void>

  /**
   * The number of nodes that report a node as failed.
   *
   * O(N) in the reports. Since Redis 3.0.0.
   */
  readonly clusterCountFailureReports: (nodeId: string) => RedisCommand<number>

  /**
   * The number of keys that the node holds in a slot.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterCountkeysinslot: (slot: number) => RedisCommand<number>

  /**
   * Makes the node forget which nodes own these slots.
   *
   * O(N) in the slots. Since Redis 3.0.0.
   */
  readonly clusterDelslots: (slots: OneOrMany<number>) => RedisCommand<void>

  /**
   * Makes the node forget which nodes own these ranges of slots.
   *
   * O(N) in the slots. Since Redis 7.0.0.
   */
  readonly clusterDelslotsrange: (ranges: OneOrMany<SlotRange>) => RedisCommand<void>

  /**
   * Makes this replica the primary: in agreement with the old primary (the default), without it (`force`), or without
   * the agreement of any node (`takeover`).
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterFailover: (
    options?: AtMostOne<{ readonly force: true; readonly takeover: true }>
  ) => RedisCommand<void>

  /**
   * Removes all keys of a slot.
   *
   * O(N) in the keys. Since Valkey 9.0.0; not in Redis.
   */
  readonly clusterFlushslot: (slot: number, options?: FlushMode) => RedisCommand<void>

  /**
   * Makes the node forget the owners of all slots. The node must not hold any keys.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterFlushslots: () => RedisCommand<void>

  /**
   * Makes the node forget another node.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterForget: (nodeId: string) => RedisCommand<void>

  /**
   * Up to `count` keys that the node holds in a slot.
   *
   * O(N) in the keys. Since Redis 3.0.0.
   */
  readonly clusterGetkeysinslot: (slot: number, count: number) => RedisCommand<Array<K>>

  /**
   * The slot migrations from and to this node, running and finished.
   *
   * O(N) in the migrations. Since Valkey 9.0.0; not in Redis.
   */
  readonly clusterGetslotmigrations: () => RedisCommand<Array<Model.SlotMigration>>

  /**
   * The state of the cluster as this node sees it.
   *
   * O(1). Since Redis 3.0.0.
   *
   * @example
   * ```ts
   * const { state } = yield* Redis.clusterInfo() // "ok" or "fail"
   * ```
   */
  readonly clusterInfo: () => RedisCommand<Model.ClusterInfo>

  /**
   * The slot of a key. The key need not exist.
   *
   * O(N) in the key's length. Since Redis 3.0.0.
   */
  readonly clusterKeyslot: (key: Key) => RedisCommand<number>

  /**
   * The connections of the node to the other nodes, one for each direction.
   *
   * O(N) in the nodes. Since Redis 7.0.0.
   */
  readonly clusterLinks: () => RedisCommand<Array<Model.ClusterLink>>

  /**
   * Introduces another node to this one. The two, with all the nodes they know, become one cluster.
   *
   * O(1). Since Redis 3.0.0; `clusterBusPort` since 4.0.0.
   */
  readonly clusterMeet: (
    ip: string,
    port: number,
    options?: { readonly clusterBusPort?: number | undefined }
  ) => RedisCommand<void>

  /**
   * Starts to move slots of this node, with their keys, to other nodes.
   *
   * O(N) in the slots. Since Valkey 9.0.0; not in Redis, see {@link clusterMigration}.
   *
   * @example
   * ```ts
   * yield* Redis.clusterMigrateslots({ slotsrange: { start: 0, end: 99 }, node: nodeId })
   * ```
   */
  readonly clusterMigrateslots: (groups: OneOrMany<SlotMigrationGroup>) => RedisCommand<void>

  /**
   * With `import`: starts to move slots, with their keys, to this node, and returns the task's id. With `cancel`:
   * cancels tasks, and returns how many. With `status`: reports on tasks.
   *
   * O(N) in the slots. Since Redis 8.4.0; not in Valkey, see {@link clusterMigrateslots}.
   *
   * @example
   * ```ts
   * const id = yield* Redis.clusterMigration({ import: { start: 0, end: 99 } })
   * const [task] = yield* Redis.clusterMigration({ status: { id } })
   * ```
   */
  readonly clusterMigration: <const O extends MigrationOptions>(
    options: CheckedOne<O, MigrationOptions, keyof MigrationOptions>
  ) => RedisCommand<IfGiven<O, "import", string, IfGiven<O, "cancel", number, Array<Model.MigrationStatus>>>>

  /**
   * The id of the node.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterMyid: () => RedisCommand<string>

  /**
   * The id of the node's shard.
   *
   * O(1). Since Redis 7.2.0.
   */
  readonly clusterMyshardid: () => RedisCommand<string>

  /**
   * All nodes that this node knows.
   *
   * O(N) in the nodes. Since Redis 3.0.0.
   */
  readonly clusterNodes: () => RedisCommand<Array<Model.ClusterNode>>

  /**
   * The replicas of a primary.
   *
   * O(N) in the replicas. Since Redis 5.0.0.
   */
  readonly clusterReplicas: (nodeId: string) => RedisCommand<Array<Model.ClusterNode>>

  /**
   * Makes the node a replica of another node; or, with `"no one"`, a primary without slots and keys (Valkey 9.0).
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterReplicate: (nodeId: string | "no one") => RedisCommand<void>

  /**
   * Removes the node from its cluster; with `hard` the node also gets a new id. A primary must not hold any keys.
   *
   * O(N) in the nodes. Since Redis 3.0.0.
   */
  readonly clusterReset: (options?: AtMostOne<{ readonly hard: true; readonly soft: true }>) => RedisCommand<void>

  /**
   * Writes the node's cluster state to its configuration file.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterSaveconfig: () => RedisCommand<void>

  /**
   * Sets the config epoch of a new node.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly clusterSetConfigEpoch: (epoch: number | bigint) => RedisCommand<void>

  /**
   * Sets the state or the owner of a slot.
   *
   * O(1). Since Redis 3.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.clusterSetslot(42, { migrating: nodeId })
   * ```
   */
  readonly clusterSetslot: (slot: number, options: SetSlot) => RedisCommand<void>

  /**
   * The slots and the nodes of each shard.
   *
   * O(N) in the nodes. Since Redis 7.0.0.
   */
  readonly clusterShards: () => RedisCommand<Array<Model.ClusterShard>>

  /**
   * The replicas of a primary.
   *
   * O(N) in the replicas. Since Redis 3.0.0.
   *
   * @deprecated since Redis 5.0.0 and Valkey 5.0.0: use {@link clusterReplicas}
   */
  readonly clusterSlaves: (nodeId: string) => RedisCommand<Array<Model.ClusterNode>>

  /**
   * Usage of the node's slots.
   *
   * O(N) in the slots. Since Redis 8.2.0 and Valkey 8.0.0.
   *
   * @example
   * ```ts
   * const busiest = yield* Redis.clusterSlotStats({ orderby: "cpu-usec", limit: 10, desc: true })
   * ```
   */
  readonly clusterSlotStats: (filter: SlotStatsFilter) => RedisCommand<Array<Model.SlotStats>>

  /**
   * The nodes that hold each range of slots.
   *
   * O(N) in the nodes. Since Redis 3.0.0.
   *
   * @deprecated since Redis 7.0.0, and not in Valkey: use {@link clusterShards}
   */
  readonly clusterSlots: () => RedisCommand<Array<Model.ClusterSlots>>

  /**
   * Messages between nodes while slots move. Servers refuse it from clients.
   *
   * O(1). Since Redis 8.4.0 and Valkey 9.0.0, whose arguments differ.
   */
  readonly clusterSyncslots: (options: SyncSlots) => RedisCommand<Reply>

  /**
   * A page of the keys of a whole cluster. The cursor also encodes which node holds the next page.
   *
   * O(1) for a page. Since Valkey 9.1.0; not in Redis.
   */
  readonly clusterscan: (cursor: string, options?: ClusterScanOptions) => RedisCommand<Decode.ScanPage<K>>

  /**
   * Lets this connection read from a replica. Refused on shared connections.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly readonly: () => RedisCommand<void>

  /**
   * Reverts {@link readonly}. Refused on shared connections.
   *
   * O(1). Since Redis 3.0.0.
   */
  readonly readwrite: () => RedisCommand<void>
}

const ASKING = define("ASKING")
const CLUSTER_ADDSLOTS = define("CLUSTER ADDSLOTS")
const CLUSTER_ADDSLOTSRANGE = define("CLUSTER ADDSLOTSRANGE")
const CLUSTER_BUMPEPOCH = define("CLUSTER BUMPEPOCH")
const CLUSTER_CANCELSLOTMIGRATIONS = define("CLUSTER CANCELSLOTMIGRATIONS")
const CLUSTER_COUNT_FAILURE_REPORTS = define("CLUSTER COUNT-FAILURE-REPORTS")
const CLUSTER_COUNTKEYSINSLOT = define("CLUSTER COUNTKEYSINSLOT")
const CLUSTER_DELSLOTS = define("CLUSTER DELSLOTS")
const CLUSTER_DELSLOTSRANGE = define("CLUSTER DELSLOTSRANGE")
const CLUSTER_FAILOVER = define("CLUSTER FAILOVER")
const CLUSTER_FLUSHSLOT = define("CLUSTER FLUSHSLOT")
const CLUSTER_FLUSHSLOTS = define("CLUSTER FLUSHSLOTS")
const CLUSTER_FORGET = define("CLUSTER FORGET")
const CLUSTER_GETKEYSINSLOT = define("CLUSTER GETKEYSINSLOT")
const CLUSTER_GETSLOTMIGRATIONS = define("CLUSTER GETSLOTMIGRATIONS")
const CLUSTER_INFO = define("CLUSTER INFO")
const CLUSTER_KEYSLOT = define("CLUSTER KEYSLOT")
const CLUSTER_LINKS = define("CLUSTER LINKS")
const CLUSTER_MEET = define("CLUSTER MEET")
const CLUSTER_MIGRATESLOTS = define("CLUSTER MIGRATESLOTS")
const CLUSTER_MIGRATION = define("CLUSTER MIGRATION")
const CLUSTER_MYID = define("CLUSTER MYID")
const CLUSTER_MYSHARDID = define("CLUSTER MYSHARDID")
const CLUSTER_NODES = define("CLUSTER NODES")
const CLUSTER_REPLICAS = define("CLUSTER REPLICAS")
const CLUSTER_REPLICATE = define("CLUSTER REPLICATE")
const CLUSTER_RESET = define("CLUSTER RESET")
const CLUSTER_SAVECONFIG = define("CLUSTER SAVECONFIG")
const CLUSTER_SET_CONFIG_EPOCH = define("CLUSTER SET-CONFIG-EPOCH")
const CLUSTER_SETSLOT = define("CLUSTER SETSLOT")
const CLUSTER_SHARDS = define("CLUSTER SHARDS")
const CLUSTER_SLAVES = define("CLUSTER SLAVES")
const CLUSTER_SLOT_STATS = define("CLUSTER SLOT-STATS")
const CLUSTER_SLOTS = define("CLUSTER SLOTS")
const CLUSTER_SYNCSLOTS = define("CLUSTER SYNCSLOTS")
const CLUSTERSCAN = define("CLUSTERSCAN")
const READONLY = define("READONLY")
const READWRITE = define("READWRITE")

const setslot = (number: number, state: SetSlot) => {
  const { importing, migrating, node, stable, timeout } = state
  return slot(args(), number)
    .exactlyOne(state, ["importing", "migrating", "node", "stable"])
    .option("IMPORTING", importing, (args, id) => args.text(id))
    .option("MIGRATING", migrating, (args, id) => args.text(id))
    .option("NODE", node, (args, id) => args.text(id))
    .flag("STABLE", stable)
    .option("TIMEOUT", timeout, (args, timeout) => args.millis(timeout))
}

const slotStats = (filter: SlotStatsFilter) => {
  const { asc, desc, limit, orderby, slotsrange } = filter
  return args()
    .exactlyOne(filter, ["slotsrange", "orderby"])
    .atMostOne(filter, ["asc", "desc"])
    .option("SLOTSRANGE", slotsrange, slotRanges)
    .option("ORDERBY", orderby, (args, metric) => args.token(metric))
    .option("LIMIT", limit, (args, limit) => args.integer(limit))
    .flag("ASC", asc)
    .flag("DESC", desc)
}

const migrateslots = (groups: OneOrMany<SlotMigrationGroup>) => {
  return args().some<SlotMigrationGroup>("range of slots", groups, (args, { node, slotsrange }) =>
    slotRanges(args.token("SLOTSRANGE"), slotsrange).token("NODE").text(node)
  )
}

const task = (builder: ReturnType<typeof args>, which: MigrationTask) =>
  builder
    .exactlyOne(which, ["id", "all"])
    .option("ID", which.id, (args, id) => args.text(id))
    .flag("ALL", which.all)

const migration = (options: MigrationOptions): RedisCommand<never> => {
  const builder = args()
    .exactlyOne(options, ["import", "cancel", "status"])
    .option("IMPORT", options.import, slotRanges)
    .option("CANCEL", options.cancel, task)
    .option("STATUS", options.status, task)
  const decoder: Decode.Decoder<unknown> =
    options.import !== undefined ? Report.text : options.cancel !== undefined ? Decode.integer : Model.migrations
  return CLUSTER_MIGRATION(builder, decoder) as RedisCommand<never>
}

const syncslots = (message: SyncSlots) => {
  const { ack, conf, fail, rdbchannel, snapshotEof, streamEof, sync } = message
  return args()
    .exactlyOne(message, ["sync", "rdbchannel", "snapshotEof", "streamEof", "ack", "fail", "conf"])
    .option("SYNC", sync, (args, { slots, taskId }) => slotRanges(args.text(taskId), slots))
    .option("RDBCHANNEL", rdbchannel, (args, id) => args.text(id))
    .flag("SNAPSHOT-EOF", snapshotEof)
    .flag("STREAM-EOF", streamEof)
    .option("ACK", ack, (args, { offset, state }) => args.text(state).integer(offset))
    .option("FAIL", fail, (args, error) => args.text(error))
    .option("CONF", conf, (args, conf) =>
      args.each(Object.entries(conf), (args, [option, value]) => args.text(option).text(value))
    )
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ClusterCommands<K> => {
  const text = codec.wants === "text"
  const keys = Decode.array(Decode.key(codec))
  const page = Decode.scanPage(keys)

  return {
    asking: () => ASKING(args(), Decode.ok),
    clusterAddslots: (list) => CLUSTER_ADDSLOTS(slots(args(), list), Decode.ok),
    clusterAddslotsrange: (ranges) => CLUSTER_ADDSLOTSRANGE(slotRanges(args(), ranges), Decode.ok),
    clusterBumpepoch: () => CLUSTER_BUMPEPOCH(args(), Report.text),
    clusterCancelslotmigrations: () => CLUSTER_CANCELSLOTMIGRATIONS(args(), Decode.ok),
    clusterCountFailureReports: (nodeId) => CLUSTER_COUNT_FAILURE_REPORTS(args().text(nodeId), Decode.integer),
    clusterCountkeysinslot: (number) => CLUSTER_COUNTKEYSINSLOT(slot(args(), number), Decode.integer),
    clusterDelslots: (list) => CLUSTER_DELSLOTS(slots(args(), list), Decode.ok),
    clusterDelslotsrange: (ranges) => CLUSTER_DELSLOTSRANGE(slotRanges(args(), ranges), Decode.ok),
    clusterFailover: (options) =>
      CLUSTER_FAILOVER(
        args()
          .atMostOne(options, ["force", "takeover"])
          .flag("FORCE", options?.force)
          .flag("TAKEOVER", options?.takeover),
        Decode.ok
      ),
    clusterFlushslot: (number, options) => CLUSTER_FLUSHSLOT(asyncOrSync(slot(args(), number), options), Decode.ok),
    clusterFlushslots: () => CLUSTER_FLUSHSLOTS(args(), Decode.ok),
    clusterForget: (nodeId) => CLUSTER_FORGET(args().text(nodeId), Decode.ok),
    clusterGetkeysinslot: (number, count) => CLUSTER_GETKEYSINSLOT(slot(args(), number).integer(count), keys, text),
    clusterGetslotmigrations: () => CLUSTER_GETSLOTMIGRATIONS(args(), Model.slotMigrations),
    clusterInfo: () => CLUSTER_INFO(args(), Model.clusterInfo),
    clusterKeyslot: (key) => CLUSTER_KEYSLOT(args().key(key), Decode.integer),
    clusterLinks: () => CLUSTER_LINKS(args(), Model.links),
    clusterMeet: (ip, number, options) =>
      CLUSTER_MEET(port(args().text(ip), number).when(options?.clusterBusPort, port), Decode.ok),
    clusterMigrateslots: (groups) => CLUSTER_MIGRATESLOTS(migrateslots(groups), Decode.ok),
    clusterMigration: migration as ClusterCommands["clusterMigration"],
    clusterMyid: () => CLUSTER_MYID(args(), Report.text),
    clusterMyshardid: () => CLUSTER_MYSHARDID(args(), Report.text),
    clusterNodes: () => CLUSTER_NODES(args(), Model.nodeLines),
    clusterReplicas: (nodeId) => CLUSTER_REPLICAS(args().text(nodeId), Model.nodes),
    clusterReplicate: (nodeId) =>
      CLUSTER_REPLICATE(nodeId === "no one" ? args().token("NO").token("ONE") : args().text(nodeId), Decode.ok),
    clusterReset: (options) =>
      CLUSTER_RESET(
        args().atMostOne(options, ["hard", "soft"]).flag("HARD", options?.hard).flag("SOFT", options?.soft),
        Decode.ok
      ),
    clusterSaveconfig: () => CLUSTER_SAVECONFIG(args(), Decode.ok),
    clusterSetConfigEpoch: (epoch) => CLUSTER_SET_CONFIG_EPOCH(args().integer(epoch), Decode.ok),
    clusterSetslot: (number, options) => CLUSTER_SETSLOT(setslot(number, options), Decode.ok),
    clusterShards: () => CLUSTER_SHARDS(args(), Model.shards),
    clusterSlaves: (nodeId) => CLUSTER_SLAVES(args().text(nodeId), Model.nodes),
    clusterSlotStats: (filter) => CLUSTER_SLOT_STATS(slotStats(filter), Model.slotStats),
    clusterSlots: () => CLUSTER_SLOTS(args(), Model.slots),
    clusterSyncslots: (options) => CLUSTER_SYNCSLOTS(syncslots(options), Decode.raw),
    clusterscan: (cursor, options) =>
      CLUSTERSCAN(
        args()
          .text(cursor)
          .option("MATCH", options?.match, (args, pattern) => args.pattern(pattern))
          .option("COUNT", options?.count, (args, count) => args.integer(count))
          .option("TYPE", options?.type, (args, type) => args.text(type))
          .option("SLOT", options?.slot, slot),
        page,
        text
      ),
    readonly: () => READONLY(args(), Decode.ok),
    readwrite: () => READWRITE(args(), Decode.ok)
  }
}
