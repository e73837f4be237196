/**
 * A cluster of real Redis or Valkey servers for tests: three primaries with a replica each on free ports, which can be
 * moved, failed over, killed, paused, cut off, added and removed.
 *
 * It runs on Node, with `@effect/platform-node`. It needs a `redis-server` or `valkey-server` from 7.0 on.
 *
 * All waiting here uses timers of JavaScript, so it works under Effect's `TestClock` as well.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { SlotRange } from "../commands/cluster-models.js"
import type { RedisCommand } from "../RedisCommand.js"
import type { FaultProxy } from "./FaultProxy.js"
import * as Faults from "./FaultProxy.js"
import { failure, type RedisClusterError } from "./internal/clusterError.js"
import * as Members from "./internal/clusterMember.js"
import * as Moves from "./internal/clusterMoves.js"
import * as Slots from "./internal/clusterSlots.js"
import * as States from "./internal/clusterState.js"
import * as View from "./internal/clusterView.js"
import type { Certificates, Directive, RedisServer, TlsOptions } from "./RedisServer.js"
import * as Server from "./RedisServer.js"

export {
  /**
   * Why a cluster could not do what was asked.
   *
   * @since 0.1.0
   * @category errors
   */
  RedisClusterError
} from "./internal/clusterError.js"

/**
 * The property by which a cluster is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/testing/RedisCluster")

/**
 * The property by which a cluster is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A node as it was when it was asked for: roles and slots change, all else stays.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterNode {
  /** Its id in the cluster. */
  readonly id: string
  /** The host that the node announces to clients: its announced host name, else `127.0.0.1`. */
  readonly host: string
  /** The port that the node announces to clients. */
  readonly port: number
  /** Where to connect to it: through its proxy, when it has one. With user and password, when there are any. */
  readonly url: Redacted.Redacted<string>
  /** Its role when it was asked for. */
  readonly role: "primary" | "replica"
  /** The id of its primary, when it is a replica. */
  readonly primary: Option.Option<string>
  /** The hash slots that it owns. */
  readonly slots: ReadonlyArray<SlotRange>
  /**
   * Its process. Stop, kill and pause it by the operations of the cluster, which then do not wait for this node.
   */
  readonly server: RedisServer
  /** The proxy between it and its clients, when the cluster has proxies. */
  readonly proxy: Option.Option<FaultProxy>
  /** Runs a command on this node. The connection leads past all proxies, and a partition does not cut it. */
  readonly run: <A>(command: RedisCommand<A>) => Effect.Effect<A, RedisClusterError>
}

/**
 * A node, or its id.
 *
 * @since 0.1.0
 * @category models
 */
export type NodeRef = string | { readonly id: string }

/**
 * Hash slots: one, a range, or several of them.
 *
 * @since 0.1.0
 * @category models
 */
export type HashSlots = number | SlotRange | ReadonlyArray<number | SlotRange>

/**
 * The move of a hash slot that is held open: the source answers ASK for keys that it does not have, and the target
 * serves clients that send ASKING.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotMove {
  /** The hash slot that moves. */
  readonly slot: number
  /** The id of the source. */
  readonly from: string
  /** The id of the target. */
  readonly to: string
  /** The keys that the source still has, read as UTF-8: at most a thousand. */
  readonly keys: Effect.Effect<ReadonlyArray<string>, RedisClusterError>
  /** Sends one key to the target (MIGRATE); `false` when the source does not have it. */
  readonly moveKey: (key: string | Uint8Array) => Effect.Effect<boolean, RedisClusterError>
  /** Sends all remaining keys to the target. The slot still belongs to the source. */
  readonly moveKeys: Effect.Effect<void, RedisClusterError>
  /** Sends all remaining keys, and gives the slot to the target. */
  readonly finish: Effect.Effect<void, RedisClusterError>
  /** Sends the keys back, and leaves the slot with the source. */
  readonly cancel: Effect.Effect<void, RedisClusterError>
}

/**
 * A cluster that was started. All its nodes stop when its scope closes.
 *
 * Operations that change the cluster return when all nodes that can be reached (those that run, are not paused and are
 * not cut off) have the same map with the same config epochs. `kill`, `pause` and `partition` return at once instead, so
 * that a test can watch what follows; `agreed` waits for its end.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisCluster {
  readonly [TypeId]: TypeId
  /** Which server its nodes are. */
  readonly product: "redis" | "valkey"
  /** The version of its nodes. */
  readonly version: string
  /** The URLs of the nodes that it started with, primaries first. */
  readonly seeds: ReadonlyArray<Redacted.Redacted<string>>
  /** The user that clients are to be, when the cluster has one. */
  readonly username: Option.Option<string>
  /** The password of that user, or of the default user. */
  readonly password: Option.Option<Redacted.Redacted<string>>
  /** The certificates that all nodes share. */
  readonly tls: Option.Option<Certificates>
  /**
   * Where to connect instead of an address that the cluster announces. With `proxies: "mapped"` it is the node's proxy;
   * otherwise, and for other addresses, there is nothing to replace.
   */
  readonly nodeAddress: (address: {
    readonly host: string
    readonly port: number
  }) => { readonly host: string; readonly port: number } | undefined
  /** All nodes, those that do not run too. Role and slots are as the nodes with the highest config epoch see them. */
  readonly nodes: Effect.Effect<ReadonlyArray<ClusterNode>, RedisClusterError>
  /** The primaries, by their first slot; those without slots come last. */
  readonly primaries: Effect.Effect<ReadonlyArray<ClusterNode>, RedisClusterError>
  /** The replicas of all primaries. */
  readonly replicas: Effect.Effect<ReadonlyArray<ClusterNode>, RedisClusterError>
  /** A node as it is now. */
  readonly node: (node: NodeRef) => Effect.Effect<ClusterNode, RedisClusterError>
  /** The replicas of a primary. */
  readonly replicasOf: (primary: NodeRef) => Effect.Effect<ReadonlyArray<ClusterNode>, RedisClusterError>
  /** The primary that owns a hash slot, or the slot of a key. */
  readonly ownerOf: (slotOrKey: number | string | Uint8Array) => Effect.Effect<ClusterNode, RedisClusterError>
  /**
   * Waits until the nodes that can be reached agree, each slot belongs to one of them, `cluster_state` is `ok`, replicas
   * are connected, and the nodes that cannot be reached are known to have failed.
   */
  readonly agreed: Effect.Effect<void, RedisClusterError>
  /** Begins to move a slot to another primary, and holds the move open. */
  readonly beginMove: (slot: number, to: NodeRef) => Effect.Effect<SlotMove, RedisClusterError>
  /**
   * Closes all moves that were left open, as when a move failed because one of its nodes was killed: each slot stays with
   * its owner, which gets the keys that other primaries have of it. A primary of Redis that imports a slot from a node
   * that failed serves nothing until then. A node that was killed on the way and starts again may still have its part of
   * the move, so call it after `restart`, too.
   */
  readonly repair: Effect.Effect<void, RedisClusterError>
  /** Moves slots to another primary step by step, with ASK: MIGRATING and IMPORTING, the keys, then the slot. */
  readonly moveSlot: (slots: HashSlots, to: NodeRef) => Effect.Effect<void, RedisClusterError>
  /**
   * Moves slots with their keys to another primary at once, without ASK: CLUSTER MIGRATESLOTS of Valkey 9.0, or CLUSTER
   * MIGRATION of Redis 8.4. Fails with `Unsupported` on other releases.
   */
  readonly moveAtOnce: (slots: HashSlots, to: NodeRef) => Effect.Effect<void, RedisClusterError>
  /**
   * Makes a replica the primary of its shard. `"manual"` (the default) loses nothing and needs the primary; `"force"`
   * needs a majority of the primaries; `"takeover"` needs nobody.
   */
  readonly failover: (
    replica: NodeRef,
    mode?: "manual" | "force" | "takeover" | undefined
  ) => Effect.Effect<void, RedisClusterError>
  /** Kills a node (SIGKILL), and returns at once. `restart` starts it again. */
  readonly kill: (node: NodeRef) => Effect.Effect<void, RedisClusterError>
  /** Freezes a node (SIGSTOP), and returns at once. */
  readonly pause: (node: NodeRef) => Effect.Effect<void, RedisClusterError>
  /** Resumes a node after `pause`. */
  readonly resume: (node: NodeRef) => Effect.Effect<void, RedisClusterError>
  /** Stops a node, if it runs, and starts it again with the same id. Without `appendonly` its data is lost. */
  readonly restart: (node: NodeRef) => Effect.Effect<void, RedisClusterError>
  /**
   * Cuts nodes off, and returns at once. Needs the option `proxies`.
   *
   * - From `"clients"`: the proxies swallow what clients and nodes send, also on new connections.
   * - From `"cluster"`: messages of the cluster bus pass only among these nodes, and among the others. Not possible with
   *   TLS, because the proxy could not read who sends. Replication goes on.
   */
  readonly partition: (
    nodes: NodeRef | ReadonlyArray<NodeRef>,
    from: "clients" | "cluster"
  ) => Effect.Effect<void, RedisClusterError>
  /** Ends all partitions, and heals all proxies. */
  readonly heal: Effect.Effect<void, RedisClusterError>
  /** Starts another node: a primary without slots, or a replica. */
  readonly addNode: (options?: {
    readonly replicaOf?: NodeRef | undefined
  }) => Effect.Effect<ClusterNode, RedisClusterError>
  /**
   * Removes a node, and stops it. Before, the slots of a primary move to the other primaries (at once where the servers
   * can), and its replicas become theirs.
   */
  readonly removeNode: (node: NodeRef) => Effect.Effect<void, RedisClusterError>
}

/**
 * The tag of a cluster that was started.
 *
 * @since 0.1.0
 * @category tags
 */
export const RedisCluster: Context.Tag<RedisCluster, RedisCluster> = Context.GenericTag<RedisCluster>(
  "effect-redis-client/testing/RedisCluster"
)

/**
 * Options of a cluster.
 *
 * @since 0.1.0
 * @category options
 */
export interface RedisClusterOptions {
  /** The server to start, by path or name. When not given, it is found as `RedisServer` finds it. */
  readonly executable?: string | undefined
  /** How many primaries share the slots: 3 when not given. */
  readonly primaries?: number | undefined
  /** How many replicas each primary has: 1 when not given. */
  readonly replicasPerPrimary?: number | undefined
  /** The password of the default user, or of `username`. */
  readonly password?: Redacted.Redacted<string> | undefined
  /** A user who may do everything. The default user is off then. */
  readonly username?: string | undefined
  /** Further users, as in an ACL file: `"user ada on >secret ~* &* +@all"`. */
  readonly acl?: ReadonlyArray<string> | undefined
  /** TLS for clients, replication and the cluster bus, with one set of certificates for all nodes. */
  readonly tls?: boolean | TlsOptions | undefined
  /** The host name that each node announces, and that clients are redirected to. A function has one for each node. */
  readonly hostname?: string | ((index: number) => string) | undefined
  /** How long a node may be silent before it counts as failed: 2 seconds when not given. */
  readonly nodeTimeout?: Duration.DurationInput | undefined
  /**
   * A proxy between each node and its clients, and one in front of its cluster bus.
   *
   * - `"announced"`: the nodes announce the ports of the proxies, so clients find them by themselves. Replicas connect
   *   through their primary's proxy, too.
   * - `"mapped"`: the nodes announce their own ports, and clients reach the proxies by `nodeAddress`. Replication does
   *   not pass through the proxies.
   */
  readonly proxies?: "announced" | "mapped" | undefined
  /** Write each change to disk at once, so that a restart or a kill loses no data. */
  readonly appendonly?: boolean | undefined
  /** Further directives of `redis.conf` for all nodes; they come last. */
  readonly config?: Readonly<Record<string, Directive>> | undefined
  /** How long each process may take to answer its first PING: 30 seconds when not given. */
  readonly startTimeout?: Duration.DurationInput | undefined
  /** How long each process may take to end before it is killed: 3 seconds when not given. */
  readonly stopTimeout?: Duration.DurationInput | undefined
  /** How long the nodes may take to agree after a change: 30 seconds when not given. */
  readonly timeout?: Duration.DurationInput | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Keys and slots
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The hash slot of a key.
 *
 * @since 0.1.0
 * @category slots
 */
export const slotOf: (key: string | Uint8Array) => number = Slots.slotOf

/**
 * A key in a hash slot, or in the first slot of a node that owns some. The same slot and name give the same key.
 *
 * @example
 * ```ts
 * import * as RedisCluster from "effect-redis-client/testing/RedisCluster"
 *
 * export const same = RedisCluster.slotOf(RedisCluster.keyFor(12_182, "visits")) === 12_182
 * ```
 *
 * @since 0.1.0
 * @category slots
 */
export const keyFor = (slotOrNode: number | Pick<ClusterNode, "slots">, name = "key"): string => {
  const slot = typeof slotOrNode === "number" ? slotOrNode : (slotOrNode.slots[0]?.start ?? 0)
  return `{${Slots.tagOf(slot)}}:${name}`
}

const rangesOf = (slots: HashSlots): ReadonlyArray<SlotRange> =>
  (typeof slots === "number" || "start" in slots ? [slots] : slots).map((one) =>
    typeof one === "number" ? { start: one, end: one } : one
  )

// ---------------------------------------------------------------------------------------------------------------------
// Starting
// ---------------------------------------------------------------------------------------------------------------------

const together = { concurrency: "unbounded", discard: true } as const

/** While the nodes get to know each other they ping each other twice in this time. */
const formingTimeout = 500

/** Makes a cluster of nodes that know nothing of each other. The first ones become primaries. */
const form = (
  members: ReadonlyArray<Members.Member>,
  primaries: number,
  nodeTimeout: number,
  state: States.State
): Effect.Effect<void, RedisClusterError> =>
  Effect.gen(function* () {
    const ranges = Slots.divided(primaries)
    yield* Effect.forEach(
      members,
      ({ ask, index }) =>
        Effect.gen(function* () {
          // Not every node pings every other one all the time, but each pair does within half of this timeout. On a busy
          // machine it may pass, so no replica takes over until the cluster is there.
          yield* ask("CONFIG", "SET", "cluster-node-timeout", formingTimeout, "cluster-replica-no-failover", "yes")
          // With epochs of their own the nodes need not settle who of them gets which.
          yield* ask("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
          const range = ranges[index]
          if (range !== undefined) yield* ask("CLUSTER", "ADDSLOTSRANGE", range.start, range.end)
        }),
      together
    )
    // Gossip would do it, but later.
    for (const member of members) {
      const others = members.filter(({ index }) => index > member.index)
      yield* Effect.forEach(others, (other) => meet(member, other), together)
    }
    yield* state.agree("map")
    yield* Effect.forEach(
      members.slice(primaries),
      ({ ask, index }) => ask("CLUSTER", "REPLICATE", members[(index - primaries) % primaries]?.id ?? ""),
      together
    )
    yield* state.agree("served")
    yield* Effect.forEach(
      members,
      ({ ask }) => ask("CONFIG", "SET", "cluster-node-timeout", nodeTimeout, "cluster-replica-no-failover", "no"),
      together
    )
  })

const meet = (member: Members.Member, other: Members.Member) =>
  member.ask("CLUSTER", "MEET", "127.0.0.1", other.announcedPort, other.busPort)

const count = (value: number | undefined, otherwise: number, least: number, name: string) =>
  value === undefined
    ? Effect.succeed(otherwise)
    : Number.isSafeInteger(value) && value >= least
      ? Effect.succeed(value)
      : failure("Unsupported", `${name} must be a whole number from ${least}.`)

/** Certificates that hold for the announced names, also of nodes that are added later. */
const tlsOf = (options: RedisClusterOptions, nodes: number, hostname: (index: number) => string | undefined) =>
  Effect.gen(function* () {
    if (options.tls === undefined || options.tls === false) return undefined
    const given = options.tls === true ? {} : options.tls
    if (given.certificates !== undefined) return given
    const announced = Array.from({ length: nodes + 16 }, (_, index) => hostname(index) ?? "localhost")
    const names = [...new Set([...(given.names ?? ["localhost", "127.0.0.1", "::1"]), ...announced])]
    return { ...given, certificates: yield* Server.makeCertificates({ ...given, names }) }
  })

/**
 * Starts a cluster, and waits until every node knows all others and serves. When the scope closes, all nodes stop and
 * their folders are removed. A start takes two to four seconds, because a node of a cluster accepts no writes for two.
 *
 * @example
 * ```ts
 * import { Redis } from "effect-redis-client"
 * import * as RedisCluster from "effect-redis-client/testing/RedisCluster"
 * import { Effect } from "effect"
 *
 * // While a slot moves, its owner answers ASK for keys that have moved already.
 * export const program = Effect.scoped(Effect.gen(function*() {
 *   const cluster = yield* RedisCluster.make()
 *   const source = yield* cluster.ownerOf(0)
 *   const target = yield* cluster.ownerOf(16_383)
 *   const move = yield* cluster.beginMove(0, target)
 *   yield* Effect.flip(source.run(Redis.get(RedisCluster.keyFor(0))))
 *   yield* move.finish
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: RedisClusterOptions = {}): Effect.Effect<RedisCluster, RedisClusterError, Scope.Scope> =>
  Effect.gen(function* () {
    const primaries = yield* count(options.primaries, 3, 1, "primaries")
    const perPrimary = yield* count(options.replicasPerPrimary, 1, 0, "replicasPerPrimary")
    const { hostname } = options
    const hostnameOf = (index: number) => (typeof hostname === "function" ? hostname(index) : hostname)
    const total = primaries * (1 + perPrimary)
    const found = yield* Effect.mapError(Server.find({ executable: options.executable }), Members.ofServer)
    const tls = yield* tlsOf(options, total, hostnameOf)
    const state = States.make(Duration.toMillis(options.timeout ?? "30 seconds"))
    const common: Members.Common = {
      executable: found.executable,
      username: options.username,
      password: options.password,
      acl: options.acl ?? [],
      tls,
      hostname: hostnameOf,
      nodeTimeout: Duration.toMillis(options.nodeTimeout ?? "2 seconds"),
      proxies: options.proxies,
      appendonly: options.appendonly ?? false,
      config: options.config ?? {},
      startTimeout: Duration.toMillis(options.startTimeout ?? "30 seconds"),
      stopTimeout: Duration.toMillis(options.stopTimeout ?? "3 seconds"),
      passes: (from, to) => state.entries.get(from)?.side === state.entries.get(to)?.side
    }
    const scope = yield* Effect.scope
    const indexes = Array.from({ length: total }, (_, index) => index)
    const members = yield* Effect.forEach(indexes, (index) => Members.start(common, index), {
      concurrency: "unbounded"
    })
    // One after the other would take longer.
    yield* Effect.addFinalizer(() =>
      Effect.forEach(state.entries.values(), ({ member }) => Scope.close(member.scope, Exit.void), together)
    )
    for (const member of members) state.add(member)
    yield* form(members, primaries, common.nodeTimeout, state)
    return yield* handle(state, common, members, scope)
  })

/**
 * A cluster for as long as the layer lives.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: RedisClusterOptions = {}): Layer.Layer<RedisCluster, RedisClusterError> =>
  Layer.scoped(RedisCluster, make(options))

// ---------------------------------------------------------------------------------------------------------------------
// Operations
// ---------------------------------------------------------------------------------------------------------------------

const handle = (
  state: States.State,
  common: Members.Common,
  members: ReadonlyArray<Members.Member>,
  scope: Scope.Scope
): Effect.Effect<RedisCluster> =>
  Effect.gen(function* () {
    const lock = yield* Effect.makeSemaphore(1)
    const context: Moves.Context = { state, common }
    let started = members.length
    /** One change of the cluster at a time. */
    const change = lock.withPermits(1)
    const [first] = members
    const hostOf = ({ hostname }: Members.Member) => hostname ?? "127.0.0.1"
    const urlOf = (member: Members.Member) => {
      const { password, tls, username } = common
      const secret = password === undefined ? "" : encodeURIComponent(Redacted.value(password))
      const login = secret === "" && username === undefined ? "" : `${encodeURIComponent(username ?? "")}:${secret}@`
      const port = member.proxy?.port ?? member.server.port
      return Redacted.make(`redis${tls === undefined ? "" : "s"}://${login}${hostOf(member)}:${port}`)
    }

    const nodes = Effect.map(state.lines, (lines) =>
      [...state.entries.values()].map(({ member }): ClusterNode => {
        const line = lines.find(({ id }) => id === member.id)
        const primary = line === undefined || View.isPrimary(line)
        return {
          id: member.id,
          host: hostOf(member),
          port: member.announcedPort,
          url: urlOf(member),
          role: primary ? "primary" : "replica",
          primary: primary ? Option.none() : line.master,
          slots: line?.slots ?? [],
          server: member.server,
          proxy: Option.fromNullable(member.proxy),
          run: member.run
        }
      })
    )
    const primaries = Effect.map(nodes, (nodes) => {
      const place = ({ slots }: ClusterNode) => slots[0]?.start ?? Slots.slotCount
      return nodes.filter(({ role }) => role === "primary").sort((a, b) => place(a) - place(b))
    })
    const replicas = Effect.map(nodes, (nodes) => nodes.filter(({ role }) => role === "replica"))
    const node = (ref: NodeRef) =>
      Effect.flatMap(state.entry(ref), ({ member }) =>
        Effect.flatMap(nodes, (nodes) => {
          const found = nodes.find(({ id }) => id === member.id)
          return found === undefined ? failure("UnknownNode", "The node was removed.") : Effect.succeed(found)
        })
      )
    const memberOf = (ref: NodeRef) => Effect.map(state.entry(ref), ({ member }) => member)
    const process = (ref: NodeRef, f: (server: RedisServer) => Effect.Effect<void, Server.RedisServerError>) =>
      Effect.flatMap(memberOf(ref), ({ server }) => Effect.mapError(f(server), Members.ofServer))

    const beginMove = (slot: number, to: NodeRef) =>
      Effect.gen(function* () {
        const target = yield* memberOf(to)
        const source = yield* Moves.open(context, slot, target)
        const decoder = new TextDecoder()
        const move: SlotMove = {
          slot,
          from: source.id,
          to: target.id,
          keys: Effect.map(Moves.keysIn(source, slot, 1_000), (keys) => keys.map((key) => decoder.decode(key))),
          moveKey: (key) => Moves.migrate(context, source, target, [key]),
          moveKeys: Moves.migrateAll(context, source, target, slot),
          finish: change(Moves.finish(context, slot, source, target)),
          cancel: change(Moves.cancel(context, slot, source, target))
        }
        return move
      })

    const failover = (ref: NodeRef, mode: "manual" | "force" | "takeover" = "manual") =>
      Effect.gen(function* () {
        const { ask, id } = yield* memberOf(ref)
        let asked = 0
        const isPrimary = Effect.gen(function* () {
          // A node gives a failover up after five seconds.
          if (performance.now() - asked > 6_000 || asked === 0) {
            asked = performance.now()
            yield* ask("CLUSTER", "FAILOVER", ...(mode === "manual" ? [] : [mode.toUpperCase()]))
          }
          const lines = yield* state.lines
          const line = lines.find((line) => line.id === id)
          return line !== undefined && View.isPrimary(line) ? undefined : `${id.slice(0, 8)} is a replica`
        })
        if (View.isPrimary(yield* lineOf(id))) {
          return yield* failure("Unsupported", `The node ${id} is a primary already.`)
        }
        yield* state.until("the replica is a primary", isPrimary)
        yield* state.agree("replicas")
      })

    const lineOf = (id: string) =>
      Effect.flatMap(state.lines, (lines) => {
        const line = lines.find((line) => line.id === id)
        return line === undefined ? failure("UnknownNode", `No node knows ${id}.`) : Effect.succeed(line)
      })

    const resume = (ref: NodeRef) =>
      Effect.gen(function* () {
        const entry = yield* state.entry(ref)
        yield* process(ref, (server) => server.resume)
        entry.paused = false
        yield* state.agree("replicas")
      })

    const partition = (refs: NodeRef | ReadonlyArray<NodeRef>, from: "clients" | "cluster") =>
      Effect.gen(function* () {
        const list: ReadonlyArray<NodeRef> = typeof refs === "string" || "id" in refs ? [refs] : refs
        const entries = yield* Effect.forEach(list, state.entry)
        if (from === "clients") {
          yield* Effect.forEach(entries, ({ member: { proxy } }) =>
            proxy === undefined
              ? failure("Unsupported", "A partition needs a cluster with proxies: RedisCluster.make({ proxies }).")
              : Effect.mapError(proxy.inject(Faults.blackHole), (cause) => failure("Refused", cause.message, { cause }))
          )
          return
        }
        if (entries.some(({ member }) => member.bus === undefined)) {
          return yield* failure(
            "Unsupported",
            common.proxies === undefined
              ? "A partition needs a cluster with proxies: RedisCluster.make({ proxies })."
              : "With TLS a proxy cannot read who sends on the cluster bus, so it cannot separate nodes."
          )
        }
        const side = 1 + Math.max(...[...state.entries.values()].map(({ side }) => side))
        for (const entry of entries) entry.side = side
      })

    const heal = Effect.gen(function* () {
      for (const entry of state.entries.values()) entry.side = 0
      yield* Effect.forEach(
        state.entries.values(),
        ({ member: { bus, proxy } }) =>
          Effect.zipRight(
            bus === undefined ? Effect.void : bus.heal,
            proxy === undefined
              ? Effect.void
              : Effect.mapError(proxy.heal, (cause) => failure("Refused", cause.message, { cause }))
          ),
        together
      )
      yield* state.agree("replicas")
    })

    /** Stops a node without slots and replicas, and makes the others forget it. */
    const forget = ({ id, scope }: Members.Member) =>
      Effect.gen(function* () {
        yield* Scope.close(scope, Exit.void)
        state.remove(id)
        yield* Effect.forEach(
          yield* state.reachable,
          ({ ask }) =>
            Effect.catchAll(ask("CLUSTER", "FORGET", id), (error) =>
              // The newest servers pass it on.
              /unknown node/i.test(error.message) ? Effect.void : error
            ),
          together
        )
      })

    const addNode = (options?: { readonly replicaOf?: NodeRef | undefined }) =>
      Effect.gen(function* () {
        const primary = options?.replicaOf === undefined ? undefined : yield* memberOf(options.replicaOf)
        const others = yield* state.reachable
        const member = yield* Scope.extend(Members.start(common, started), scope)
        started++
        state.add(member)
        const join = Effect.gen(function* () {
          yield* Effect.forEach(others, (other) => meet(member, other), together)
          yield* state.agree("map")
          if (primary !== undefined) yield* member.ask("CLUSTER", "REPLICATE", primary.id)
          yield* state.agree("replicas")
          return yield* node(member)
        })
        // Half joined, it would be waited for by everything that follows.
        return yield* Effect.onError(join, () => Effect.ignore(forget(member)))
      })

    const removeNode = (ref: NodeRef) =>
      Effect.gen(function* () {
        const removed = yield* memberOf(ref)
        const before = yield* primaries
        const left = before.filter(({ id, slots }) => id !== removed.id && slots.length > 0)
        const owned = Slots.slotsIn((yield* lineOf(removed.id)).slots)
        if (left.length === 0) return yield* failure("Unsupported", "The last primary cannot be removed.")
        const share = Math.ceil(owned.length / left.length)
        for (const [n, { id }] of left.entries()) {
          const part = owned.slice(n * share, (n + 1) * share)
          if (part.length > 0) yield* Moves.anyhow(context, Slots.rangesOf(part), yield* memberOf(id))
        }
        // A primary that gave its last slot away may have become a replica, and its replicas may have followed it.
        const orphans = (yield* replicas).filter(({ primary }) => Option.contains(primary, removed.id))
        for (const [n, { id }] of orphans.entries()) {
          yield* (yield* memberOf(id)).ask("CLUSTER", "REPLICATE", left[n % left.length]?.id ?? "")
        }
        yield* state.agree("map")
        yield* forget(removed)
        yield* state.agree("replicas")
      })

    const mapped = common.proxies === "mapped"
    const cluster: RedisCluster = {
      [TypeId]: TypeId,
      product: first?.server.product === "valkey" ? "valkey" : "redis",
      version: first?.server.version ?? "",
      seeds: members.map(urlOf),
      username: Option.fromNullable(common.username),
      password: Option.fromNullable(common.password),
      tls: Option.fromNullable(common.tls?.certificates),
      nodeAddress: ({ host, port }) => {
        const entry = mapped
          ? [...state.entries.values()].find(
              ({ member }) => member.announcedPort === port && (host === "127.0.0.1" || host === hostOf(member))
            )
          : undefined
        return entry?.member.proxy === undefined ? undefined : { host: "127.0.0.1", port: entry.member.proxy.port }
      },
      nodes,
      primaries,
      replicas,
      node,
      replicasOf: (primary) =>
        Effect.flatMap(memberOf(primary), ({ id }) =>
          Effect.map(replicas, (replicas) => replicas.filter(({ primary }) => Option.contains(primary, id)))
        ),
      ownerOf: (slotOrKey) =>
        Effect.flatMap(Moves.ownerOf(state, typeof slotOrKey === "number" ? slotOrKey : Slots.slotOf(slotOrKey)), node),
      agreed: state.agree("served"),
      beginMove: (slot, to) => change(beginMove(slot, to)),
      repair: change(Moves.repair(context)),
      moveSlot: (slots, to) =>
        change(Effect.flatMap(memberOf(to), (target) => Moves.slowly(context, rangesOf(slots), target))),
      moveAtOnce: (slots, to) =>
        change(Effect.flatMap(memberOf(to), (target) => Moves.atOnce(context, rangesOf(slots), target))),
      failover: (replica, mode) => change(failover(replica, mode)),
      kill: (ref) => process(ref, (server) => server.kill),
      pause: (ref) =>
        Effect.flatMap(state.entry(ref), (entry) =>
          Effect.tap(
            process(ref, (server) => server.pause),
            Effect.sync(() => {
              entry.paused = true
            })
          )
        ),
      resume: (ref) => change(resume(ref)),
      restart: (ref) =>
        change(
          Effect.gen(function* () {
            const entry = yield* state.entry(ref)
            yield* process(ref, (server) => server.restart)
            entry.paused = false
            yield* state.agree("replicas")
          })
        ),
      partition,
      heal: change(heal),
      addNode: (options) => change(addNode(options)),
      removeNode: (ref) => change(removeNode(ref))
    }
    return cluster
  })
