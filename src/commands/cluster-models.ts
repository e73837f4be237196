/**
 * What cluster commands report about nodes and slots, as records.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Decode from "../internal/command/decode.js"
import * as Report from "../internal/command/report.js"
import type { SlotRange } from "../internal/command/serverArgs.js"
import type { Reply } from "../internal/resp/values.js"

export type {
  /**
   * A range of hash slots, both ends included.
   *
   * @since 0.1.0
   * @category models
   */
  SlotRange
}

/**
 * The state of a cluster as one of its nodes sees it (CLUSTER INFO). Its essential field is `state`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterInfo {
  /** Whether the node accepts commands on keys. */
  readonly state: "ok" | "fail" | (string & {})
  /** How many of the 16384 slots are assigned to a node. */
  readonly slotsAssigned: Option.Option<number>
  /** How many slots belong to nodes that work. */
  readonly slotsOk: Option.Option<number>
  /** How many slots belong to nodes that this node cannot reach. */
  readonly slotsPfail: Option.Option<number>
  /** How many slots belong to nodes that have failed. */
  readonly slotsFail: Option.Option<number>
  readonly knownNodes: Option.Option<number>
  /** The number of primaries that own slots. */
  readonly size: Option.Option<number>
  readonly currentEpoch: Option.Option<number | bigint>
  readonly myEpoch: Option.Option<number | bigint>
  /** Every field under the server's own name for it, as text. */
  readonly fields: Readonly<Record<string, string>>
}

/**
 * A node of the cluster, as the node that replies knows it. Its essential fields are `id` and `host`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterNode {
  readonly id: string
  /** Its address; empty when a node does not know its own address. */
  readonly host: string
  readonly port: Option.Option<number>
  /** The port of the cluster bus. */
  readonly busPort: Option.Option<number>
  /** Redis 7.0. */
  readonly hostname: Option.Option<string>
  /** Further fields that the node announces: `shard-id`, `availability-zone`, … Redis 7.2. */
  readonly metadata: Readonly<Record<string, string>>
  /** `myself`, `master`, `slave`, `fail?`, `fail`, `handshake`, `noaddr`, `nofailover`. */
  readonly flags: ReadonlyArray<string>
  /** The id of its primary, when it is a replica. */
  readonly master: Option.Option<string>
  /** When the ping was sent that is still unanswered. */
  readonly pingSent: Option.Option<DateTime.Utc>
  /** When the last pong arrived. */
  readonly pongReceived: Option.Option<DateTime.Utc>
  readonly configEpoch: Option.Option<number | bigint>
  readonly linkState: Option.Option<"connected" | "disconnected" | (string & {})>
  readonly slots: ReadonlyArray<SlotRange>
  /** Slots that move to this node, and from which node. Reported only by the node itself. */
  readonly importing: ReadonlyArray<{ readonly slot: number; readonly node: string }>
  /** Slots that move away from this node, and to which node. Reported only by the node itself. */
  readonly migrating: ReadonlyArray<{ readonly slot: number; readonly node: string }>
  /** The line as the node wrote it. */
  readonly text: string
}

/**
 * One direction of the connection between two nodes. Its essential field is `node`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterLink {
  readonly direction: Option.Option<"to" | "from" | (string & {})>
  /** The other node's id. */
  readonly node: string
  readonly createTime: Option.Option<DateTime.Utc>
  /** The socket events the node waits for: `r`, `w`, `rw`. */
  readonly events: Option.Option<string>
  /** In bytes. */
  readonly sendBufferAllocated: Option.Option<number>
  /** In bytes. */
  readonly sendBufferUsed: Option.Option<number>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A shard: the nodes that hold the same slots. No field is essential.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterShard {
  /** Valkey 9.1. */
  readonly id: Option.Option<string>
  readonly slots: ReadonlyArray<SlotRange>
  readonly nodes: ReadonlyArray<ClusterShardNode>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A node of a shard. Its essential field is `id`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterShardNode {
  readonly id: string
  /** `None` when the node listens for TLS only. */
  readonly port: Option.Option<number>
  readonly tlsPort: Option.Option<number>
  readonly ip: Option.Option<string>
  /**
   * The host that clients should connect to, as the cluster is configured. `None` or empty: the host of the current
   * connection.
   */
  readonly endpoint: Option.Option<string>
  readonly hostname: Option.Option<string>
  /** Valkey 9.1. */
  readonly availabilityZone: Option.Option<string>
  readonly role: Option.Option<"master" | "replica" | (string & {})>
  readonly replicationOffset: Option.Option<number | bigint>
  /** `online`, `failed`, `loading`. */
  readonly health: Option.Option<string>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A range of slots, and the nodes that hold it. The range is essential.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterSlots extends SlotRange {
  /** `None` when no node is known to hold the range. */
  readonly master: Option.Option<ClusterSlotsNode>
  readonly replicas: ReadonlyArray<ClusterSlotsNode>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ClusterSlotsNode {
  /** The host that clients should connect to. `None` or empty: the host of the current connection; `?`: unknown. */
  readonly endpoint: Option.Option<string>
  /** `None` when the node has no port for this kind of connection, or is not known. */
  readonly port: Option.Option<number>
  /** Redis 4.0. */
  readonly id: Option.Option<string>
  /** `ip`, `hostname`, `availability-zone`, … Redis 7.0. */
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * Usage of one slot. Its essential field is `slot`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotStats {
  readonly slot: number
  readonly keyCount: Option.Option<number>
  /** This field and the following ones need the setting `cluster-slot-stats-enabled`. */
  readonly cpuUsec: Option.Option<number | bigint>
  readonly networkBytesIn: Option.Option<number | bigint>
  readonly networkBytesOut: Option.Option<number | bigint>
  /** Redis 8.4. */
  readonly memoryBytes: Option.Option<number | bigint>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A slot migration by CLUSTER MIGRATESLOTS, running or finished. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotMigration {
  readonly name: string
  /** Whether the node that replies receives (`IMPORT`) or gives away (`EXPORT`) the slots. */
  readonly operation: Option.Option<"IMPORT" | "EXPORT" | (string & {})>
  readonly slots: ReadonlyArray<SlotRange>
  readonly sourceNode: Option.Option<string>
  readonly targetNode: Option.Option<string>
  readonly createTime: Option.Option<DateTime.Utc>
  readonly lastUpdateTime: Option.Option<DateTime.Utc>
  readonly lastAckTime: Option.Option<DateTime.Utc>
  /** `connecting`, `success`, `failed`, `cancelled`, … */
  readonly state: Option.Option<string>
  /** Why it failed, or another remark of the server. */
  readonly message: Option.Option<string>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A task of CLUSTER MIGRATION. Its essential field is `id`.
 *
 * @since 0.1.0
 * @category models
 */
export interface MigrationStatus {
  readonly id: string
  readonly slots: ReadonlyArray<SlotRange>
  readonly source: Option.Option<string>
  readonly dest: Option.Option<string>
  readonly operation: Option.Option<"import" | "migrate" | (string & {})>
  /** `completed`, `canceled`, … */
  readonly state: Option.Option<string>
  /** Empty when there was no error. */
  readonly lastError: Option.Option<string>
  readonly retries: Option.Option<number>
  readonly createTime: Option.Option<DateTime.Utc>
  readonly startTime: Option.Option<DateTime.Utc>
  readonly endTime: Option.Option<DateTime.Utc>
  /** How long writes to the slots were paused. */
  readonly writePause: Option.Option<Duration.Duration>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

const optionalText = Report.optional(Report.text)
const optionalInteger = Report.optional(Report.integer)
const optionalLarge = Report.optional(Report.largeInteger)
const optionalMillis = Report.optional(Report.timeMillis)
/** Zero means "never". */
const millisUnlessZero = Report.optionalUnless(0, Report.timeMillis)

const lines = (reply: Reply): Array<string> =>
  Report.text(reply)
    .split(/\r?\n/)
    .filter((line) => line !== "")

const state = Report.essential(Report.text)

/** @internal */
export const clusterInfo: Decode.Decoder<ClusterInfo> = (reply) => {
  const fields = Report.assignments(
    lines(reply)
      .map((line) => line.replace(":", "="))
      .join("\n"),
    "\n"
  )
  const read = <A>(name: string, field: Report.Field<A>) => Report.read(field, name, fields[name])
  return {
    state: read("cluster_state", state),
    slotsAssigned: read("cluster_slots_assigned", optionalInteger),
    slotsOk: read("cluster_slots_ok", optionalInteger),
    slotsPfail: read("cluster_slots_pfail", optionalInteger),
    slotsFail: read("cluster_slots_fail", optionalInteger),
    knownNodes: read("cluster_known_nodes", optionalInteger),
    size: read("cluster_size", optionalInteger),
    currentEpoch: read("cluster_current_epoch", optionalLarge),
    myEpoch: read("cluster_my_epoch", optionalLarge),
    fields
  }
}

const range = (reply: Reply): SlotRange => {
  const [start = "", end = start] = Report.text(reply).split("-")
  return { start: Decode.integer(start), end: Decode.integer(end) }
}
const ranges = Report.list(range)

/**
 * `10.0.0.1:6379@16379,host.name,shard-id=…`: everything after the port may be missing; an IPv6 address contains
 * colons.
 */
const address = (where: string): Pick<ClusterNode, "host" | "port" | "busPort" | "hostname" | "metadata"> => {
  const [socket = "", ...rest] = where.split(",")
  const colon = socket.lastIndexOf(":")
  const [port, busPort] = socket.slice(colon + 1).split("@")
  const hostname = rest.find((part) => part !== "" && !part.includes("="))
  return {
    host: socket.slice(0, Math.max(colon, 0)),
    port: Report.read(optionalInteger, "port", port),
    busPort: Report.read(optionalInteger, "bus-port", busPort),
    hostname: Option.fromNullable(hostname),
    metadata: Report.assignments(rest.join(","), ",")
  }
}

/** `[93-<-id]`: slot 93 is imported from that node. `[77->-id]`: slot 77 migrates to that node. */
const moving = (arrow: "-<-" | "->-") =>
  Report.list((reply) => {
    const [slot = "", node] = Report.text(reply).slice(1, -1).split(arrow)
    return node === undefined ? Decode.mismatch("a moving slot", reply) : { slot: Decode.integer(slot), node }
  })
const importing = moving("-<-")
const migrating = moving("->-")

/** A line of CLUSTER NODES. */
const node: Decode.Decoder<ClusterNode> = (reply) => {
  const text = Report.text(reply)
  const [id, where, flags = "", master, ping, pong, epoch, link, ...words] = text
    .split(" ")
    .filter((word) => word !== "")
  if (id === undefined || where === undefined) {
    return Decode.mismatch("a node", reply)
  }
  const moves = words.filter((word) => word.startsWith("["))
  return {
    id,
    ...address(where),
    flags: flags === "noflags" || flags === "" ? [] : flags.split(","),
    master: master === undefined || master === "-" ? Option.none() : Option.some(master),
    pingSent: Report.read(millisUnlessZero, "ping-sent", ping),
    pongReceived: Report.read(millisUnlessZero, "pong-recv", pong),
    configEpoch: Report.read(optionalLarge, "config-epoch", epoch),
    linkState: Option.fromNullable(link),
    slots: Report.read(
      ranges,
      "slots",
      words.filter((word) => !word.startsWith("["))
    ),
    importing: Report.read(importing, "importing", moves),
    migrating: Report.read(migrating, "migrating", moves),
    text
  }
}

/** @internal */
export const nodes: Decode.Decoder<Array<ClusterNode>> = Decode.array(node)

/** @internal */
export const nodeLines: Decode.Decoder<Array<ClusterNode>> = (reply) => nodes(lines(reply))

/** @internal */
export const links: Decode.Decoder<Array<ClusterLink>> = Decode.array(
  Report.struct("-", {
    direction: optionalText,
    node: Report.essential(Report.text),
    createTime: optionalMillis,
    events: optionalText,
    sendBufferAllocated: optionalInteger,
    sendBufferUsed: optionalInteger
  })
)

const numbers = Decode.array(Report.integer)
const flatRanges: Decode.Decoder<Array<SlotRange>> = (reply) => {
  const list = numbers(reply)
  const result: Array<SlotRange> = []
  for (let i = 0; i + 1 < list.length; i += 2) {
    result.push({ start: list[i] as number, end: list[i + 1] as number })
  }
  return result
}

/** @internal */
export const shards: Decode.Decoder<Array<ClusterShard>> = Decode.array(
  Report.struct("-", {
    id: optionalText,
    slots: new Report.Field(flatRanges, () => []),
    nodes: Report.list(
      Report.struct("-", {
        id: Report.essential(Report.text),
        port: optionalInteger,
        tlsPort: optionalInteger,
        ip: optionalText,
        endpoint: optionalText,
        hostname: optionalText,
        availabilityZone: optionalText,
        role: optionalText,
        replicationOffset: optionalLarge,
        health: optionalText
      })
    )
  })
)

const metadata = Report.record(Report.text)
const slotsNode: Decode.Decoder<ClusterSlotsNode> = (reply) => {
  const parts = Decode.items(reply)
  const part = <A>(at: number, field: Report.Field<A>) => Report.read(field, at, parts[at])
  return {
    endpoint: part(0, optionalText),
    port: part(1, optionalInteger),
    id: part(2, optionalText),
    metadata: part(3, metadata)
  }
}

const bounds = Decode.tuple(Report.integer, Report.integer)
const slotsMaster = Report.optional(slotsNode)
const slotsReplicas = Report.list(slotsNode)

/** @internal */
export const slots: Decode.Decoder<Array<ClusterSlots>> = Decode.array((reply) => {
  const [start, end] = bounds(reply)
  const [, , master, ...replicas] = Decode.items(reply)
  return {
    start,
    end,
    master: Report.read(slotsMaster, 2, master),
    replicas: Report.read(slotsReplicas, 3, replicas)
  }
})

const usage = Report.struct("-", {
  keyCount: optionalInteger,
  cpuUsec: optionalLarge,
  networkBytesIn: optionalLarge,
  networkBytesOut: optionalLarge,
  memoryBytes: optionalLarge
})
const slotOf = Report.essential(Report.integer)
const usageOf = new Report.Field(usage, () => usage([]))

/** @internal */
export const slotStats: Decode.Decoder<Array<SlotStats>> = Decode.array((reply) => {
  const [slot, rest] = Decode.items(reply)
  return { slot: Report.read(slotOf, 0, slot), ...Report.read(usageOf, 1, rest) }
})

const spacedRanges = new Report.Field<Array<SlotRange>>(
  (reply, misfit) =>
    ranges.decode(
      Report.text(reply)
        .split(" ")
        .filter((text) => text !== ""),
      misfit
    ),
  () => []
)

const slotMigration = Report.struct("_", {
  name: Report.essential(Report.text),
  operation: optionalText,
  slotRanges: spacedRanges,
  sourceNode: optionalText,
  targetNode: optionalText,
  createTime: Report.optional(Report.timeSeconds),
  lastUpdateTime: Report.optional(Report.timeSeconds),
  lastAckTime: Report.optionalUnless(0, Report.timeSeconds),
  state: optionalText,
  message: optionalText
})

/** @internal */
export const slotMigrations: Decode.Decoder<Array<SlotMigration>> = Decode.array((reply) => {
  const { slotRanges, ...rest } = slotMigration(reply)
  return { ...rest, slots: slotRanges }
})

const migration = Report.struct("_", {
  id: Report.essential(Report.text),
  slots: spacedRanges,
  source: optionalText,
  dest: optionalText,
  operation: optionalText,
  state: optionalText,
  lastError: optionalText,
  retries: optionalInteger,
  createTime: optionalMillis,
  startTime: millisUnlessZero,
  endTime: millisUnlessZero,
  writePauseMs: Report.optional(Report.millis)
})

/** @internal */
export const migrations: Decode.Decoder<Array<MigrationStatus>> = Decode.array((reply) => {
  const { writePauseMs, ...rest } = migration(reply)
  return { ...rest, writePause: writePauseMs }
})
