/**
 * The client of a Redis or Valkey Cluster: the same `Redis` service as for one server, over many.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { readFrom as readFromInternal } from "./internal/client/readFrom.js"
import type { Under } from "./internal/client/under.js"
import { noNode } from "./internal/cluster/batch.js"
import * as Internal from "./internal/cluster/make.js"
import { slotOf } from "./internal/cluster/slot.js"
import type { NodeFacts } from "./internal/cluster/view.js"
import type * as Model from "./internal/command/model.js"
import {
  type RedisCommand,
  type Redis as RedisIdentifier,
  type RedisService,
  Redis as RedisTag
} from "./internal/command/model.js"
import type { Program } from "./internal/effect/program.js"
import type { Member } from "./internal/nodes/member.js"
import { type RedisPubSub as RedisPubSubIdentifier, RedisPubSub as RedisPubSubTag } from "./internal/pubsub/service.js"
import type { RedisError } from "./RedisError.js"

/**
 * Options of the client of a cluster. Options of connections, such as `tls` and `password`, hold for every node.
 *
 * @since 0.1.0
 * @category options
 */
export interface RedisClusterOptions extends Internal.NodeOptions {
  /**
   * Nodes where the cluster is looked for: URLs, or host and port. One that answers is enough, and none is forgotten: they
   * are asked again whenever no known node answers. An Effect is run each time (service discovery).
   */
  readonly nodes: ReadonlyArray<Internal.Seed> | Effect.Effect<ReadonlyArray<Internal.Seed>, RedisError>
  /** Where this client reaches a node that others call by this address: for port forwarding and NAT. */
  readonly nodeAddress?: Internal.ClusterOptions["nodeAddress"]
  /** How often a command follows the nodes' redirections before it fails with the last one. Default: 16. */
  readonly maxRedirects?: number | undefined
  /**
   * Where readonly commands go. What a replica answers may be older than what its primary acknowledged. Pipelines go there
   * when all of their commands are readonly; transactions, blocking commands and scans always go to primaries. Default:
   * `primary`. See {@link readFrom} for a part of a program.
   */
  readonly readFrom?: ReadFrom | undefined
  /**
   * For how long a replica that is read from may be behind its primary: a replica that has been behind for longer, or has lost
   * its primary for longer, is passed over until it has caught up. It is measured once a second. Default: no limit.
   */
  readonly maxReplicaLag?: Internal.ClusterOptions["maxReplicaLag"]
  /**
   * Whether MGET, MSET, DEL, UNLINK, EXISTS and TOUCH over several hash slots are sent in parts, one for each slot. Together
   * the parts are not atomic. With `false` such a command fails with a `UsageError`. Default: true.
   */
  readonly splitKeys?: boolean | undefined
  /** How often the topology is asked for although nothing happened. Default: 1 minute. */
  readonly refreshInterval?: Internal.ClusterOptions["refreshInterval"]
  /** How long a node may take to answer when it is asked for the topology. Default: 1 second. */
  readonly refreshTimeout?: Internal.ClusterOptions["refreshTimeout"]
}

/**
 * Where readonly commands go.
 *
 * - `primary`: to the primary of their slot.
 * - `preferPrimary`: to the primary; while it is not connected, to a replica.
 * - `preferReplica`: to a replica; where none can serve, to the primary.
 * - `replica`: to replicas only.
 * - `lowestLatency`: to the node that answers fastest, the primary included. It is measured once a second.
 * - `{ nearest: zone }`: to the nodes of this availability zone, the primary included; then to any replica; then to the
 *   primary. Valkey tells the zones of its nodes (`availability-zone`), and so do some services in INFO.
 *
 * @since 0.1.0
 * @category options
 */
export type ReadFrom = Model.ReadFrom

/**
 * A node of the cluster, as the client knows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClusterNode {
  /** `host:port`, as this client reaches it. */
  readonly address: string
  readonly id: string
  readonly role: "primary" | "replica"
}

/**
 * A node of the cluster, and how this client is connected to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectedNode extends ClusterNode {
  /** The status of its connection. That of a replica is `Connecting` until a read goes to it. */
  readonly status: Model.Status
}

/**
 * Who owns the slots from `from` to `to`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlotRange {
  readonly from: number
  readonly to: number
  readonly primary: ClusterNode
  readonly replicas: ReadonlyArray<ClusterNode>
}

/**
 * What the client knows of the cluster, and how to speak to its nodes one by one.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisClusterService {
  /** Who owns which slots, as the client knows it now. */
  readonly topology: Effect.Effect<ReadonlyArray<SlotRange>>
  /** Every node that has slots or is a replica, and how this client is connected to it now. */
  readonly nodes: Effect.Effect<ReadonlyArray<ConnectedNode>>
  /** Sends a command to every primary: each node's own result, by its address. */
  readonly onPrimaries: <A>(command: RedisCommand<A>) => Effect.Effect<Record<string, Either.Either<A, RedisError>>>
  /** Sends a command to every primary and every replica: each node's own result, by its address. */
  readonly onNodes: <A>(command: RedisCommand<A>) => Effect.Effect<Record<string, Either.Either<A, RedisError>>>
  /** Sends a command to the node at an address, `host:port`. */
  readonly onNode: <A>(address: string, command: RedisCommand<A>) => Effect.Effect<A, RedisError>
  /** Sends a command to the primary that owns the slot of a key. */
  readonly onShardOf: <A>(key: string | Uint8Array, command: RedisCommand<A>) => Effect.Effect<A, RedisError>
}

/**
 * The identifier of the service in an Effect's requirements.
 *
 * @since 0.1.0
 * @category tags
 */
export interface RedisCluster {
  readonly _: unique symbol
}

/**
 * The tag of {@link RedisClusterService}.
 *
 * @since 0.1.0
 * @category tags
 */
export const RedisCluster: Context.Tag<RedisCluster, RedisClusterService> = Context.GenericTag<
  RedisCluster,
  RedisClusterService
>("effect-redis-client/RedisCluster")

const clusterService = ({ router }: Internal.Client): RedisClusterService => {
  const on = <A>(members: () => ReadonlyArray<Member>, command: RedisCommand<A>) =>
    Effect.suspend(() =>
      Effect.map(
        Effect.forEach(
          members(),
          (member) =>
            Effect.map(
              Effect.either(Effect.flatMap(member.ready, ({ service }) => service.send(command))),
              (result) => [member.address, result] as const
            ),
          { concurrency: "unbounded" }
        ),
        (results) => Object.fromEntries(results)
      )
    )
  const to = <A>(member: Member | undefined, command: RedisCommand<A>): Effect.Effect<A, RedisError> =>
    member === undefined
      ? Effect.fail(noNode(command.name))
      : Effect.flatMap(member.ready, ({ service }) => service.send(command))
  const node = (facts: NodeFacts, role: ClusterNode["role"]): ClusterNode => ({
    address: router.nameOf(facts),
    id: facts.id,
    role
  })
  const connectedNode = (facts: NodeFacts, role: ClusterNode["role"]): ConnectedNode => ({
    ...node(facts, role),
    status: router.statusOf(facts, role === "replica")
  })
  return {
    topology: Effect.sync(() =>
      router.topology.ranges.map(({ from, shard: { primary, replicas }, to }) => ({
        from,
        to,
        primary: node(primary, "primary"),
        replicas: replicas.map((replica) => node(replica, "replica"))
      }))
    ),
    nodes: Effect.sync(() =>
      router.topology.shards.flatMap(({ primary, replicas }) => [
        connectedNode(primary, "primary"),
        ...replicas.map((replica) => connectedNode(replica, "replica"))
      ])
    ),
    onPrimaries: (command) => on(() => router.allPrimaries, command),
    onNodes: (command) => on(() => router.allNodes, command),
    onNode: (address, command) =>
      Effect.suspend(() => {
        const all = router.allNodes
        const member = all.find((member) => member.address === address)
        if (member !== undefined) {
          return to(member, command)
        }
        const known = all.map(({ address }) => address).join(", ")
        return Effect.fail(noNode(command.name, `this is not the address of a node of the cluster; those are ${known}`))
      }),
    onShardOf: (key, command) => Effect.suspend(() => to(router.ownerOf(slotOf(key)), command))
  }
}

/**
 * Opens the client of a cluster; the scope closes it. {@link layer} is how programs usually get one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: RedisClusterOptions): Effect.Effect<RedisService, RedisError, Scope.Scope> =>
  Effect.map(Internal.make(options), ({ service }) => service)

/**
 * The client of a cluster as a Layer: it provides the same `Redis` and `RedisPubSub` as `Redis.layer`, and `RedisCluster`.
 *
 * @example
 * ```ts
 * program.pipe(Effect.provide(RedisCluster.layer({ nodes: ["redis://a:6379", "redis://b:6379"] })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: RedisClusterOptions
): Layer.Layer<RedisIdentifier | RedisPubSubIdentifier | RedisCluster, RedisError> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const client = yield* Internal.make(options)
      const pubsub = yield* Internal.pubSub(options, client)
      return Context.empty().pipe(
        Context.add(RedisTag, client.service),
        Context.add(RedisPubSubTag, pubsub),
        Context.add(RedisCluster, clusterService(client))
      )
    })
  )

/**
 * The client of a cluster as a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<RedisClusterOptions>
): Layer.Layer<RedisIdentifier | RedisPubSubIdentifier | RedisCluster, RedisError | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))

/**
 * The client of a cluster under a tag of your own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAs = <I>(
  tag: Context.Tag<I, RedisService>,
  options: RedisClusterOptions
): Layer.Layer<I, RedisError> => Layer.scoped(tag, make(options))

/**
 * Sends a command to every primary: each node's own result, by its address. For commands that speak of one node, such as
 * INFO and SCAN.
 *
 * @since 0.1.0
 * @category combinators
 */
export const onPrimaries = <A>(
  command: RedisCommand<A>
): Effect.Effect<Record<string, Either.Either<A, RedisError>>, never, RedisCluster> =>
  Effect.flatMap(RedisCluster, (cluster) => cluster.onPrimaries(command))

/**
 * Sends a command to every primary and every replica: each node's own result, by its address.
 *
 * @since 0.1.0
 * @category combinators
 */
export const onNodes = <A>(
  command: RedisCommand<A>
): Effect.Effect<Record<string, Either.Either<A, RedisError>>, never, RedisCluster> =>
  Effect.flatMap(RedisCluster, (cluster) => cluster.onNodes(command))

/**
 * Sends a command to the node at an address, `host:port`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const onNode = <A>(address: string, command: RedisCommand<A>): Effect.Effect<A, RedisError, RedisCluster> =>
  Effect.flatMap(RedisCluster, (cluster) => cluster.onNode(address, command))

/**
 * Sends a command to the primary that owns the slot of a key.
 *
 * @since 0.1.0
 * @category combinators
 */
export const onShardOf = <A>(
  key: string | Uint8Array,
  command: RedisCommand<A>
): Effect.Effect<A, RedisError, RedisCluster> =>
  Effect.flatMap(RedisCluster, (cluster) => cluster.onShardOf(key, command))

/**
 * Sends the readonly commands inside an Effect or a Stream elsewhere: to replicas, or to the nodes of a zone. The same as
 * `Redis.readFrom`.
 *
 * @example
 * ```ts
 * const name = yield* Redis.get("name").pipe(RedisCluster.readFrom("preferReplica"))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const readFrom: {
  /**
   * Sends the readonly commands inside an Effect or a Stream elsewhere: to replicas, or to the nodes of a zone. The
   * same as `Redis.readFrom`.
   *
   * @since 0.1.0
   * @category combinators
   */
  (from: ReadFrom): <Self extends Program>(self: Self) => Under<Self, RedisIdentifier>
  /**
   * Sends the readonly commands inside an Effect or a Stream elsewhere: to replicas, or to the nodes of a zone. The
   * same as `Redis.readFrom`.
   *
   * @since 0.1.0
   * @category combinators
   */
  <Self extends Program>(self: Self, from: ReadFrom): Under<Self, RedisIdentifier>
} = readFromInternal

/**
 * Who owns which slots, as the client knows it now.
 *
 * @since 0.1.0
 * @category accessors
 */
export const topology: Effect.Effect<ReadonlyArray<SlotRange>, never, RedisCluster> = Effect.flatMap(
  RedisCluster,
  (cluster) => cluster.topology
)

/**
 * Every node that has slots or is a replica, and how this client is connected to it now.
 *
 * @since 0.1.0
 * @category accessors
 */
export const nodes: Effect.Effect<ReadonlyArray<ConnectedNode>, never, RedisCluster> = Effect.flatMap(
  RedisCluster,
  (cluster) => cluster.nodes
)

/**
 * The hash slot of a key, from 0 to 16 383, as CLUSTER KEYSLOT gives it.
 *
 * @since 0.1.0
 * @category accessors
 */
export const keySlot: (key: string | Uint8Array) => number = slotOf
