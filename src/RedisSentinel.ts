/**
 * The client of a master that Sentinel watches: the same `Redis` service as for one server. It finds the master through the
 * sentinels, and follows it when another server takes its place.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Model from "./internal/command/model.js"
import { type Redis as RedisIdentifier, type RedisService, Redis as RedisTag } from "./internal/command/model.js"
import { showAddress } from "./internal/nodes/address.js"
import { type RedisPubSub as RedisPubSubIdentifier, RedisPubSub as RedisPubSubTag } from "./internal/pubsub/service.js"
import * as Internal from "./internal/sentinel/make.js"
import type { RedisError } from "./RedisError.js"

/**
 * Options of the client of a master that Sentinel watches. Options of connections, such as `tls` and `password`, hold for the
 * master and its replicas.
 *
 * @since 0.1.0
 * @category options
 */
export interface RedisSentinelOptions extends Internal.NodeOptions {
  /** The name of the master, as the sentinels know it: `mymaster`. */
  readonly name: string
  /**
   * Sentinels: `host:port`, URLs, or host and port. The default port is 26379. One that answers is enough, the others are found
   * through it, and those that are given are never forgotten. An Effect is run each time (service discovery). User and
   * password in a URL are those of the sentinels.
   */
  readonly sentinels: ReadonlyArray<Internal.Seed> | Effect.Effect<ReadonlyArray<Internal.Seed>, RedisError>
  /**
   * How the client identifies itself to sentinels. User and password of the master are not sent there. Default: no user and no
   * password, and TLS as for the master.
   */
  readonly sentinel?: SentinelAccess | undefined
  /** Where this client reaches a server or a sentinel that sentinels call by this address: for port forwarding and NAT. */
  readonly nodeAddress?: Internal.SentinelOptions["nodeAddress"]
  /**
   * Where readonly commands with a key go. What a replica answers may be older than what the master acknowledged. Pipelines go
   * there when all of their commands are readonly and have a key; transactions, blocking commands and scans always go to
   * the master. Default: `primary`. See `Redis.readFrom` for a part of a program.
   */
  readonly readFrom?: Model.ReadFrom | undefined
  /**
   * For how long a replica that is read from may be behind the master: a replica that has been behind for longer, or has lost
   * its master for longer, is passed over until it has caught up. It is measured once a second. Default: no limit.
   */
  readonly maxReplicaLag?: Internal.SentinelOptions["maxReplicaLag"]
  /** How long one sentinel may take to answer. Default: 1 second. */
  readonly sentinelTimeout?: Internal.SentinelOptions["sentinelTimeout"]
}

/**
 * How a client identifies itself to sentinels.
 *
 * @since 0.1.0
 * @category options
 */
export type SentinelAccess = Internal.SentinelAccess

/**
 * What the client knows of the servers: addresses as `host:port`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisSentinelService {
  /** The master. */
  readonly master: Effect.Effect<string>
  /** The replicas that can be read from. */
  readonly replicas: Effect.Effect<ReadonlyArray<string>>
  /** The sentinels that are known. */
  readonly sentinels: Effect.Effect<ReadonlyArray<string>>
}

/**
 * The identifier of the service in an Effect's requirements.
 *
 * @since 0.1.0
 * @category tags
 */
export interface RedisSentinel {
  readonly _: unique symbol
}

/**
 * The tag of {@link RedisSentinelService}.
 *
 * @since 0.1.0
 * @category tags
 */
export const RedisSentinel: Context.Tag<RedisSentinel, RedisSentinelService> = Context.GenericTag<
  RedisSentinel,
  RedisSentinelService
>("effect-redis-client/RedisSentinel")

const sentinelService = ({ sentinels, tracker }: Internal.Client): RedisSentinelService => ({
  master: Effect.sync(() => (tracker.master === undefined ? tracker.label : showAddress(tracker.master))),
  replicas: Effect.sync(() => tracker.replicas.map(showAddress)),
  sentinels: Effect.sync(() => sentinels.all.map(showAddress))
})

/**
 * Opens the client of a master that Sentinel watches; the scope closes it. {@link layer} is how programs usually get one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: RedisSentinelOptions): Effect.Effect<RedisService, RedisError, Scope.Scope> =>
  Effect.map(Internal.make(options), ({ service }) => service)

/**
 * The client of a master that Sentinel watches, as a Layer: it provides the same `Redis` and `RedisPubSub` as `Redis.layer`, and
 * `RedisSentinel`. Building it fails with a `ConnectionError` that says what each sentinel answered, when none names a master
 * that can be reached within `connectTimeout`.
 *
 * @example
 * ```ts
 * program.pipe(Effect.provide(RedisSentinel.layer({ name: "mymaster", sentinels: ["a:26379", "b:26379", "c:26379"] })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: RedisSentinelOptions
): Layer.Layer<RedisIdentifier | RedisPubSubIdentifier | RedisSentinel, RedisError> =>
  Layer.scopedContext(
    Effect.map(Internal.make(options), (client) =>
      Context.empty().pipe(
        Context.add(RedisTag, client.service),
        Context.add(RedisPubSubTag, client.pubsub),
        Context.add(RedisSentinel, sentinelService(client))
      )
    )
  )

/**
 * The client of a master that Sentinel watches, as a Layer, its options read from the configuration.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options: Config.Config.Wrap<RedisSentinelOptions>
): Layer.Layer<RedisIdentifier | RedisPubSubIdentifier | RedisSentinel, RedisError | ConfigError.ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(options), layer))

/**
 * The client of a master that Sentinel watches, under a tag of your own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAs = <I>(
  tag: Context.Tag<I, RedisService>,
  options: RedisSentinelOptions
): Layer.Layer<I, RedisError> => Layer.scoped(tag, make(options))

/**
 * The address of the master, `host:port`, as the client knows it now.
 *
 * @since 0.1.0
 * @category accessors
 */
export const master: Effect.Effect<string, never, RedisSentinel> = Effect.flatMap(
  RedisSentinel,
  (sentinel) => sentinel.master
)

/**
 * The addresses of the replicas that can be read from.
 *
 * @since 0.1.0
 * @category accessors
 */
export const replicas: Effect.Effect<ReadonlyArray<string>, never, RedisSentinel> = Effect.flatMap(
  RedisSentinel,
  (sentinel) => sentinel.replicas
)

/**
 * The addresses of the sentinels that are known.
 *
 * @since 0.1.0
 * @category accessors
 */
export const sentinels: Effect.Effect<ReadonlyArray<string>, never, RedisSentinel> = Effect.flatMap(
  RedisSentinel,
  (sentinel) => sentinel.sentinels
)
