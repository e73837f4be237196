/**
 * What cluster commands report about nodes and slots, as records.
 *
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Decode from "../internal/command/decode.js"
import type { SlotRange } from "../internal/command/serverArgs.js"
import * as Server from "../internal/command/serverDecode.js"
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
 * The state of a cluster as one of its nodes sees it (CLUSTER INFO).
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterInfo {
  /** Whether the node accepts commands on keys. */
  readonly state: "ok" | "fail"
  /** How many of the 16384 slots are assigned to a node. */
  readonly slotsAssigned: number
  /** How many slots belong to nodes that work. */
  readonly slotsOk: number
  /** How many slots belong to nodes that this node cannot reach. */
  readonly slotsPfail: number
  /** How many slots belong to nodes that have failed. */
  readonly slotsFail: number
  readonly knownNodes: number
  /** The number of primaries that own slots. */
  readonly size: number
  readonly currentEpoch: number | bigint
  readonly myEpoch: number | bigint
  /** Every field under the server's own name for it, as text. */
  readonly fields: Readonly<Record<string, string>>
}

/**
 * A node of the cluster, as the node that replies knows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterNode {
  readonly id: string
  /** Its address; empty when a node does not know its own address. */
  readonly host: string
  readonly port: number
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
  readonly configEpoch: number | bigint
  readonly linkState: "connected" | "disconnected"
  readonly slots: ReadonlyArray<SlotRange>
  /** Slots that move to this node, and from which node. Reported only by the node itself. */
  readonly importing: ReadonlyArray<{ readonly slot: number; readonly node: string }>
  /** Slots that move away from this node, and to which node. Reported only by the node itself. */
  readonly migrating: ReadonlyArray<{ readonly slot: number; readonly node: string }>
}

/**
 * One direction of the connection between two nodes.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterLink {
  readonly direction: "to" | "from"
  /** The other node's id. */
  readonly node: string
  readonly createTime: DateTime.Utc
  /** The socket events the node waits for: `r`, `w`, `rw`. */
  readonly events: string
  /** In bytes. */
  readonly sendBufferAllocated: number
  /** In bytes. */
  readonly sendBufferUsed: number
}

/**
 * A shard: the nodes that hold the same slots.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterShard {
  /** Valkey 9.1. */
  readonly id: Option.Option<string>
  readonly slots: ReadonlyArray<SlotRange>
  readonly nodes: ReadonlyArray<ClusterShardNode>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ClusterShardNode {
  readonly id: string
  /** `None` when the node listens for TLS only. */
  readonly port: Option.Option<number>
  readonly tlsPort: Option.Option<number>
  readonly ip: string
  /**
   * The host that clients should connect to, as the cluster is configured. `None` or empty: the host of the current
   * connection.
   */
  readonly endpoint: Option.Option<string>
  readonly hostname: Option.Option<string>
  /** Valkey 9.1. */
  readonly availabilityZone: Option.Option<string>
  readonly role: "master" | "replica"
  readonly replicationOffset: number | bigint
  /** `online`, `failed`, `loading`. */
  readonly health: string
}

/**
 * A range of slots, and the nodes that hold it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterSlots extends SlotRange {
  readonly master: ClusterSlotsNode
  readonly replicas: ReadonlyArray<ClusterSlotsNode>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ClusterSlotsNode {
  /** The host that clients should connect to. `None` or empty: the host of the current connection; `?`: unknown. */
  readonly endpoint: Option.Option<string>
  readonly port: number
  /** Redis 4.0. */
  readonly id: Option.Option<string>
  /** `ip`, `hostname`, `availability-zone`, … Redis 7.0. */
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * Usage of one slot.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotStats {
  readonly slot: number
  readonly keyCount: number
  /** This field and the following ones need the setting `cluster-slot-stats-enabled`. */
  readonly cpuUsec: Option.Option<number | bigint>
  readonly networkBytesIn: Option.Option<number | bigint>
  readonly networkBytesOut: Option.Option<number | bigint>
  /** Redis 8.4. */
  readonly memoryBytes: Option.Option<number | bigint>
}

/**
 * A slot migration by CLUSTER MIGRATESLOTS, running or finished.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotMigration {
  readonly name: string
  /** Whether the node that replies receives (`IMPORT`) or gives away (`EXPORT`) the slots. */
  readonly operation: "IMPORT" | "EXPORT"
  readonly slots: ReadonlyArray<SlotRange>
  readonly sourceNode: Option.Option<string>
  readonly targetNode: Option.Option<string>
  readonly createTime: DateTime.Utc
  readonly lastUpdateTime: DateTime.Utc
  readonly lastAckTime: Option.Option<DateTime.Utc>
  /** `connecting`, `success`, `failed`, `cancelled`, … */
  readonly state: string
  /** Why it failed, or another remark of the server. */
  readonly message: string
}

/**
 * A task of CLUSTER MIGRATION.
 *
 * @since 0.1.0
 * @category models
 */
export interface MigrationStatus {
  readonly id: string
  readonly slots: ReadonlyArray<SlotRange>
  readonly source: string
  readonly dest: string
  readonly operation: "import" | "migrate"
  /** `completed`, `canceled`, … */
  readonly state: string
  /** Empty when there was no error. */
  readonly lastError: string
  readonly retries: number
  readonly createTime: DateTime.Utc
  readonly startTime: Option.Option<DateTime.Utc>
  readonly endTime: Option.Option<DateTime.Utc>
  /** How long writes to the slots were paused. */
  readonly writePause: Duration.Duration
}

const lines = (reply: Reply): Array<string> =>
  Decode.text(reply)
    .split(/\r?\n/)
    .filter((line) => line !== "")

/** @internal */
export const clusterInfo: Decode.Decoder<ClusterInfo> = (reply) => {
  const fields = Server.assignments(
    lines(reply)
      .map((line) => line.replace(":", "="))
      .join("\n"),
    "\n"
  )
  const read = <A>(name: string, decoder: Decode.Decoder<A>) => Decode.at(name, decoder, fields[name] ?? null)
  return {
    state: read("cluster_state", Decode.text) === "ok" ? "ok" : "fail",
    slotsAssigned: read("cluster_slots_assigned", Decode.integer),
    slotsOk: read("cluster_slots_ok", Decode.integer),
    slotsPfail: read("cluster_slots_pfail", Decode.integer),
    slotsFail: read("cluster_slots_fail", Decode.integer),
    knownNodes: read("cluster_known_nodes", Decode.integer),
    size: read("cluster_size", Decode.integer),
    currentEpoch: read("cluster_current_epoch", Decode.largeInteger),
    myEpoch: read("cluster_my_epoch", Decode.largeInteger),
    fields
  }
}

const range = (text: string): SlotRange => {
  const [start = "", end = start] = text.split("-")
  return { start: Decode.integer(start), end: Decode.integer(end) }
}

/**
 * `10.0.0.1:6379@16379,host.name,shard-id=…`: everything after the port may be missing; an IPv6 address contains
 * colons.
 */
const address: Decode.Decoder<Pick<ClusterNode, "host" | "port" | "busPort" | "hostname" | "metadata">> = (reply) => {
  const [socket = "", ...rest] = Decode.text(reply).split(",")
  const colon = socket.lastIndexOf(":")
  const [port = "", busPort] = socket.slice(colon + 1).split("@")
  const hostname = rest.find((part) => part !== "" && !part.includes("="))
  return {
    host: socket.slice(0, Math.max(colon, 0)),
    port: Decode.integer(port),
    busPort: busPort === undefined ? Option.none() : Option.some(Decode.integer(busPort)),
    hostname: Option.fromNullable(hostname),
    metadata: Server.assignments(rest.join(","), ",")
  }
}

/** `[93-<-id]`: slot 93 is imported from that node. `[77->-id]`: slot 77 migrates to that node. */
const moving = (slots: ReadonlyArray<string>, arrow: "-<-" | "->-") =>
  slots.flatMap((text) => {
    const [slot, node] = text.startsWith("[") ? text.slice(1, -1).split(arrow) : []
    return slot === undefined || node === undefined ? [] : [{ slot: Decode.integer(slot), node }]
  })

/** A line of CLUSTER NODES. */
const node: Decode.Decoder<ClusterNode> = (reply) => {
  const [id, where, flags, master, ping, pong, epoch, link, ...slots] = Decode.text(reply).trim().split(" ")
  if (id === undefined || where === undefined || flags === undefined || link === undefined) {
    return Decode.mismatch("a node", reply)
  }
  return {
    id,
    ...Decode.at("address", address, where),
    flags: flags === "noflags" ? [] : flags.split(","),
    master: master === undefined || master === "-" ? Option.none() : Option.some(master),
    pingSent: Decode.at("ping-sent", Server.someTimeMillis, ping ?? null),
    pongReceived: Decode.at("pong-recv", Server.someTimeMillis, pong ?? null),
    configEpoch: Decode.at("config-epoch", Decode.largeInteger, epoch ?? null),
    linkState: link === "connected" ? "connected" : "disconnected",
    slots: slots.filter((text) => !text.startsWith("[")).map(range),
    importing: moving(slots, "-<-"),
    migrating: moving(slots, "->-")
  }
}

/** @internal */
export const nodes: Decode.Decoder<Array<ClusterNode>> = Decode.array(node)

/** @internal */
export const nodeLines: Decode.Decoder<Array<ClusterNode>> = (reply) => nodes(lines(reply))

const direction: Decode.Decoder<"to" | "from"> = (reply) => {
  const word = Decode.text(reply)
  return word === "to" || word === "from" ? word : Decode.mismatch("to or from", reply)
}

/** @internal */
export const links: Decode.Decoder<Array<ClusterLink>> = Decode.array(
  Decode.structNamed("-", {
    direction,
    node: Decode.text,
    createTime: Server.timeMillis,
    events: Decode.text,
    sendBufferAllocated: Decode.integer,
    sendBufferUsed: Decode.integer
  })
)

const numbers = Decode.array(Decode.integer)
const flatRanges: Decode.Decoder<Array<SlotRange>> = (reply) => {
  const list = numbers(reply)
  const result: Array<SlotRange> = []
  for (let i = 0; i + 1 < list.length; i += 2) {
    result.push({ start: list[i] as number, end: list[i + 1] as number })
  }
  return result
}

const shardRole: Decode.Decoder<"master" | "replica"> = (reply) => {
  const word = Decode.text(reply)
  return word === "master" || word === "replica" ? word : Decode.mismatch("a role", reply)
}

/** @internal */
export const shards: Decode.Decoder<Array<ClusterShard>> = Decode.array(
  Decode.struct({
    id: Server.optionalText,
    slots: flatRanges,
    nodes: Decode.array(
      Decode.structNamed("-", {
        id: Decode.text,
        port: Server.optionalInteger,
        tlsPort: Server.optionalInteger,
        ip: Decode.text,
        endpoint: Server.optionalText,
        hostname: Server.optionalText,
        availabilityZone: Server.optionalText,
        role: shardRole,
        replicationOffset: Decode.largeInteger,
        health: Decode.text
      })
    )
  })
)

const slotsNode: Decode.Decoder<ClusterSlotsNode> = (reply) => {
  const [endpoint, port, id, metadata] = Decode.items(reply)
  return {
    endpoint: Decode.at(0, Server.optionalText, endpoint ?? null),
    port: Decode.at(1, Decode.integer, port ?? null),
    id: Decode.at(2, Server.optionalText, id ?? null),
    metadata: metadata === undefined ? Object.create(null) : Decode.at(3, Server.textRecord, metadata)
  }
}

const bounds = Decode.tuple(Decode.integer, Decode.integer, slotsNode)
const slotsNodes = Decode.array(slotsNode)

/** @internal */
export const slots: Decode.Decoder<Array<ClusterSlots>> = Decode.array((reply) => {
  const [start, end, master] = bounds(reply)
  return { start, end, master, replicas: slotsNodes(Decode.items(reply).slice(3)) }
})

const optionalLarge = Decode.nullable(Decode.largeInteger)
const stats = Decode.tuple(
  Decode.integer,
  Decode.structNamed("-", {
    keyCount: Decode.integer,
    cpuUsec: optionalLarge,
    networkBytesIn: optionalLarge,
    networkBytesOut: optionalLarge,
    memoryBytes: optionalLarge
  })
)

/** @internal */
export const slotStats: Decode.Decoder<Array<SlotStats>> = Decode.array((reply) => {
  const [slot, rest] = stats(reply)
  return { slot, ...rest }
})

const spacedRanges: Decode.Decoder<Array<SlotRange>> = (reply) =>
  Decode.text(reply)
    .split(" ")
    .filter((text) => text !== "")
    .map(range)

const operation =
  <const A extends string>(...words: ReadonlyArray<A>): Decode.Decoder<A> =>
  (reply) => {
    const word = Decode.text(reply)
    return words.find((one) => one === word) ?? Decode.mismatch(words.join(" or "), reply)
  }

const slotMigration = Decode.structNamed("_", {
  name: Decode.text,
  operation: operation("IMPORT", "EXPORT"),
  slotRanges: spacedRanges,
  sourceNode: Server.optionalText,
  targetNode: Server.optionalText,
  createTime: Server.timeSeconds,
  lastUpdateTime: Server.timeSeconds,
  lastAckTime: Server.someTimeSeconds,
  state: Decode.text,
  message: Decode.text
})

/** @internal */
export const slotMigrations: Decode.Decoder<Array<SlotMigration>> = Decode.array((reply) => {
  const { slotRanges, ...rest } = slotMigration(reply)
  return { ...rest, slots: slotRanges }
})

const migration = Decode.structNamed("_", {
  id: Decode.text,
  slots: spacedRanges,
  source: Decode.text,
  dest: Decode.text,
  operation: operation("import", "migrate"),
  state: Decode.text,
  lastError: Decode.text,
  retries: Decode.integer,
  createTime: Server.timeMillis,
  startTime: Server.someTimeMillis,
  endTime: Server.someTimeMillis,
  writePauseMs: Server.millis
})

/** @internal */
export const migrations: Decode.Decoder<Array<MigrationStatus>> = Decode.array((reply) => {
  const { writePauseMs, ...rest } = migration(reply)
  return { ...rest, writePause: writePauseMs }
})
