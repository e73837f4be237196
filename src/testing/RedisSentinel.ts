/**
 * A master, its replicas and the sentinels that watch them, for tests: real Redis or Valkey servers on free ports, which
 * can be failed over, killed, paused and cut off.
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
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Redis } from "../Redis.js"
import type { RedisCommand } from "../RedisCommand.js"
import type { FaultProxy } from "./FaultProxy.js"
import * as Faults from "./FaultProxy.js"
import { failure, ofServer, type RedisSentinelError } from "./internal/sentinelError.js"
import * as Members from "./internal/sentinelMember.js"
import * as States from "./internal/sentinelState.js"
import type { Certificates, Directive, RedisServer, TlsOptions } from "./RedisServer.js"
import * as Server from "./RedisServer.js"

export {
  /**
   * Why a master, its replicas or its sentinels could not do what was asked.
   *
   * @since 0.1.0
   * @category errors
   */
  RedisSentinelError
} from "./internal/sentinelError.js"

/**
 * The property by which a set of nodes and sentinels is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/testing/RedisSentinel")

/**
 * The property by which a set of nodes and sentinels is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A sentinel. All of it stays as it is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Sentinel {
  /** The host that the sentinel announces: the host name of the options, else `127.0.0.1`. */
  readonly host: string
  /** The port of its clients. */
  readonly port: number
  /** Where to connect to it, with the sentinels' own user and password, when there are any. */
  readonly url: Redacted.Redacted<string>
  /** Its process. Stop, kill and pause it by the operations of the kit, which then do not wait for this sentinel. */
  readonly server: RedisServer
  /** Runs a command on this sentinel. */
  readonly run: <A>(command: RedisCommand<A>) => Effect.Effect<A, RedisSentinelError>
}

/**
 * The master or a replica, as it was when it was asked for: the role changes, all else stays.
 *
 * @since 0.1.0
 * @category models
 */
export interface SentinelNode {
  /** The host that sentinels name to clients: the host name of the options, else `127.0.0.1`. */
  readonly host: string
  /** The port that sentinels name to clients: that of the proxy, when there is one. */
  readonly port: number
  /** Where to connect to it. With user and password, when there are any. */
  readonly url: Redacted.Redacted<string>
  /** Its role when it was asked for, in its own words (ROLE). None when it did not answer. */
  readonly role: Option.Option<"master" | "replica">
  /** Its process. Stop, kill and pause it by the operations of the kit, which then do not wait for this node. */
  readonly server: RedisServer
  /** The proxy between it and its clients, the sentinels and its replicas, when there are proxies. */
  readonly proxy: Option.Option<FaultProxy>
  /** Runs a command on this node. The connection leads past its proxy. */
  readonly run: <A>(command: RedisCommand<A>) => Effect.Effect<A, RedisSentinelError>
}

/**
 * A node or a sentinel, or its port.
 *
 * @since 0.1.0
 * @category models
 */
export type PortRef = number | { readonly port: number }

/**
 * A master, its replicas and their sentinels, which were started. All of them stop when the scope closes.
 *
 * `failover` waits for the new master. All other operations return as soon as the process has started, ended or got the
 * signal, so that a test can watch what follows; `agreed` waits for its end.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisSentinel {
  readonly [TypeId]: TypeId
  /** Which server its nodes and sentinels are. */
  readonly product: "redis" | "valkey"
  /** The version of its nodes and sentinels. */
  readonly version: string
  /** The name by which the sentinels know the master. */
  readonly name: string
  /** All sentinels, those that do not run too. */
  readonly sentinels: ReadonlyArray<Sentinel>
  /** The user that clients of the nodes are to be, when there is one. */
  readonly username: Option.Option<string>
  /** The password of that user, or of the default user. */
  readonly password: Option.Option<Redacted.Redacted<string>>
  /** The user that clients of the sentinels are to be, when there is one. */
  readonly sentinelUsername: Option.Option<string>
  /** The password of that user, or of the default user. */
  readonly sentinelPassword: Option.Option<Redacted.Redacted<string>>
  /** The certificates that all nodes and sentinels share. */
  readonly tls: Option.Option<Certificates>
  /** All nodes, those that do not run too. The first one was the master at the start. */
  readonly nodes: Effect.Effect<ReadonlyArray<SentinelNode>, RedisSentinelError>
  /** A node as it is now. */
  readonly node: (node: PortRef) => Effect.Effect<SentinelNode, RedisSentinelError>
  /**
   * The node that says that it is the master. An old master goes on saying so until the sentinels make a replica of it:
   * of several, it is the one that the sentinels name.
   */
  readonly master: Effect.Effect<SentinelNode, RedisSentinelError>
  /**
   * Waits until the sentinels that run name the same master, it can be reached and says that it is one, all replicas that
   * can be reached are connected to it, and all sentinels know the replicas and each other, and which of them are down.
   * A failover that is needed then finds a replica to promote.
   */
  readonly agreed: Effect.Effect<void, RedisSentinelError>
  /**
   * Makes a replica the master (SENTINEL FAILOVER), and returns it when all sentinels that run name it. The old master
   * becomes a replica two or three seconds later. With `coordinated`, the old master hands over, and no write is lost:
   * Valkey from 9.0 on.
   */
  readonly failover: (options?: {
    readonly coordinated?: boolean | undefined
  }) => Effect.Effect<SentinelNode, RedisSentinelError>
  /** Kills a node (SIGKILL). `restart` starts it again. */
  readonly kill: (node: PortRef) => Effect.Effect<void, RedisSentinelError>
  /** Freezes a node (SIGSTOP). */
  readonly pause: (node: PortRef) => Effect.Effect<void, RedisSentinelError>
  /** Resumes a node after `pause`. */
  readonly resume: (node: PortRef) => Effect.Effect<void, RedisSentinelError>
  /**
   * Stops a node, if it runs, and starts it again. Without `appendonly` its data is lost, and when it is still the master,
   * its replicas lose theirs, too.
   */
  readonly restart: (node: PortRef) => Effect.Effect<void, RedisSentinelError>
  /** Kills a sentinel (SIGKILL). `restartSentinel` starts it again. */
  readonly killSentinel: (sentinel: PortRef) => Effect.Effect<void, RedisSentinelError>
  /** Freezes a sentinel (SIGSTOP). */
  readonly pauseSentinel: (sentinel: PortRef) => Effect.Effect<void, RedisSentinelError>
  /** Resumes a sentinel after `pauseSentinel`. */
  readonly resumeSentinel: (sentinel: PortRef) => Effect.Effect<void, RedisSentinelError>
  /** Stops a sentinel, if it runs, and starts it again: it has what it knew. */
  readonly restartSentinel: (sentinel: PortRef) => Effect.Effect<void, RedisSentinelError>
  /**
   * Cuts a node off: its proxy swallows what clients, sentinels and replicas send to it and what it answers, also on new
   * connections. What the node itself sends to its master still passes. Needs the option `proxies`.
   */
  readonly cut: (node: PortRef) => Effect.Effect<void, RedisSentinelError>
  /** Heals the proxy of a node, or all proxies. */
  readonly heal: (node?: PortRef | undefined) => Effect.Effect<void, RedisSentinelError>
}

/**
 * The tag of a master, its replicas and their sentinels, which were started.
 *
 * @since 0.1.0
 * @category tags
 */
export const RedisSentinel: Context.Tag<RedisSentinel, RedisSentinel> = Context.GenericTag<RedisSentinel>(
  "effect-redis-client/testing/RedisSentinel"
)

/**
 * Options of a master, its replicas and their sentinels.
 *
 * @since 0.1.0
 * @category options
 */
export interface RedisSentinelOptions {
  /** The server to start, by path or name. When not given, it is found as `RedisServer` finds it. */
  readonly executable?: string | undefined
  /** The name by which the sentinels know the master: `mymaster` when not given. */
  readonly name?: string | undefined
  /** How many replicas the master has: 2 when not given. */
  readonly replicas?: number | undefined
  /** How many sentinels there are: 3 when not given. */
  readonly sentinels?: number | undefined
  /** How many sentinels must agree that the master is down: 2 when not given, and 1 with a single sentinel. */
  readonly quorum?: number | undefined
  /** The password of the nodes: of the default user, or of `username`. */
  readonly password?: Redacted.Redacted<string> | undefined
  /** A user of the nodes who may do everything. The default user is off then. */
  readonly username?: string | undefined
  /** Further users of the nodes, as in an ACL file: `"user ada on >secret ~* &* +@all"`. */
  readonly acl?: ReadonlyArray<string> | undefined
  /** The password of the sentinels: of their default user, or of `sentinelUsername`. */
  readonly sentinelPassword?: Redacted.Redacted<string> | undefined
  /** A user of the sentinels who may do everything. Their default user is off then. */
  readonly sentinelUsername?: string | undefined
  /** TLS for nodes, replication and sentinels, with one set of certificates for all of them. */
  readonly tls?: boolean | TlsOptions | undefined
  /** The host name that nodes and sentinels announce instead of `127.0.0.1`, which is what it must stand for, or `::1`. */
  readonly hostname?: string | undefined
  /** How long a node or a sentinel may be silent before it counts as down: 1 second when not given. */
  readonly downAfter?: Duration.DurationInput | undefined
  /**
   * How long a failover may take: 5 seconds when not given. After a failover that failed, sentinels wait twice as long
   * before they try again.
   */
  readonly failoverTimeout?: Duration.DurationInput | undefined
  /** A proxy in front of each node: sentinels watch and name the proxies, and replicas connect to that of their master. */
  readonly proxies?: boolean | undefined
  /** Write each change to disk at once, so that a restart or a kill loses no data. */
  readonly appendonly?: boolean | undefined
  /** Further directives of `redis.conf` for all nodes; they come last. */
  readonly config?: Readonly<Record<string, Directive>> | undefined
  /** Further directives of `sentinel.conf` for all sentinels; they come last. */
  readonly sentinelConfig?: Readonly<Record<string, Directive>> | undefined
  /** How long each process may take to answer its first PING: 30 seconds when not given. */
  readonly startTimeout?: Duration.DurationInput | undefined
  /** How long each process may take to end before it is killed: 3 seconds when not given. */
  readonly stopTimeout?: Duration.DurationInput | undefined
  /** How long the sentinels may take to agree after a change: 30 seconds when not given. */
  readonly timeout?: Duration.DurationInput | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// Starting
// ---------------------------------------------------------------------------------------------------------------------

const together = { concurrency: "unbounded" } as const

const count = (value: number | undefined, otherwise: number, least: number, name: string) =>
  value === undefined
    ? Effect.succeed(otherwise)
    : Number.isSafeInteger(value) && value >= least
      ? Effect.succeed(value)
      : failure("Unsupported", `${name} must be a whole number from ${least}.`)

/** Certificates that hold for the announced name. */
const tlsOf = ({ hostname, tls }: RedisSentinelOptions) =>
  Effect.gen(function* () {
    if (tls === undefined || tls === false) return undefined
    const given = tls === true ? {} : tls
    if (given.certificates !== undefined) return given
    const names = [...(given.names ?? ["localhost", "127.0.0.1", "::1"]), ...(hostname === undefined ? [] : [hostname])]
    return { ...given, certificates: yield* Server.makeCertificates({ ...given, names: [...new Set(names)] }) }
  })

/**
 * Starts a master, its replicas and sentinels, and waits until every sentinel knows the master, the replicas and the other
 * sentinels. When the scope closes, all of them stop and their folders are removed. A start takes about two seconds.
 *
 * The sentinels look at the nodes more often than by default, so that a failover takes one to three seconds.
 *
 * @example
 * ```ts
 * import { Redis } from "effect-redis-client"
 * import * as RedisSentinel from "effect-redis-client/testing/RedisSentinel"
 * import { Effect } from "effect"
 *
 * // The master is killed, and the sentinels promote a replica.
 * export const program = Effect.scoped(Effect.gen(function*() {
 *   const kit = yield* RedisSentinel.make()
 *   const before = yield* kit.master
 *   yield* kit.kill(before)
 *   yield* kit.agreed
 *   const now = yield* kit.master
 *   yield* now.run(Redis.set("visits", "1"))
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: RedisSentinelOptions = {}
): Effect.Effect<RedisSentinel, RedisSentinelError, Scope.Scope> =>
  Effect.gen(function* () {
    const replicas = yield* count(options.replicas, 2, 0, "replicas")
    const watchers = yield* count(options.sentinels, 3, 1, "sentinels")
    const quorum = yield* count(options.quorum, Math.min(2, watchers), 1, "quorum")
    const found = yield* Effect.mapError(Server.find({ executable: options.executable }), ofServer)
    if (found.product === "redis" && Number.parseInt(found.version, 10) < 7) {
      return yield* failure("Unsupported", `The kit needs Redis from 7.0 on, or Valkey; this is ${found.version}.`)
    }
    const common: Members.Common = {
      name: options.name ?? "mymaster",
      executable: found.executable,
      replicas,
      quorum,
      login: { username: options.username, password: options.password },
      sentinelLogin: { username: options.sentinelUsername, password: options.sentinelPassword },
      acl: options.acl ?? [],
      tls: yield* tlsOf(options),
      hostname: options.hostname,
      downAfter: Duration.toMillis(options.downAfter ?? "1 second"),
      failoverTimeout: Duration.toMillis(options.failoverTimeout ?? "5 seconds"),
      proxies: options.proxies ?? false,
      appendonly: options.appendonly ?? false,
      config: options.config ?? {},
      sentinelConfig: options.sentinelConfig ?? {},
      startTimeout: Duration.toMillis(options.startTimeout ?? "30 seconds"),
      stopTimeout: Duration.toMillis(options.stopTimeout ?? "3 seconds")
    }
    const master = yield* Members.startNode(common, undefined)
    const [others, sentinels] = yield* Effect.all(
      [
        Effect.forEach(Array.from({ length: replicas }), () => Members.startNode(common, master), together),
        Effect.forEach(Array.from({ length: watchers }), () => Members.startSentinel(common, master), together)
      ],
      together
    )
    const nodes = [master, ...others]
    // One after the other would take longer.
    yield* Effect.addFinalizer(() =>
      Effect.forEach([...sentinels, ...nodes], ({ scope }) => Scope.close(scope, Exit.void), {
        ...together,
        discard: true
      })
    )
    const state = States.make(common.name, Duration.toMillis(options.timeout ?? "30 seconds"), nodes, sentinels)
    yield* state.agreed
    return handle(state, common, found)
  })

/**
 * A master, its replicas and their sentinels for as long as the layer lives.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: RedisSentinelOptions = {}): Layer.Layer<RedisSentinel, RedisSentinelError> =>
  Layer.scoped(RedisSentinel, make(options))

// ---------------------------------------------------------------------------------------------------------------------
// Operations
// ---------------------------------------------------------------------------------------------------------------------

const handle = (state: States.State, common: Members.Common, found: Server.Executable): RedisSentinel => {
  const nodeOf = (ref: PortRef) => States.find(state.nodes, ref, "node")
  const sentinelOf = (ref: PortRef) => States.find(state.sentinels, ref, "sentinel")
  const snapshot = (member: Members.Member): Effect.Effect<SentinelNode> =>
    Effect.map(state.roleOf(member), (role) => ({
      host: member.host,
      port: member.port,
      url: member.url,
      role: Option.map(role, ({ role }) => (role === "master" ? "master" : "replica")),
      server: member.server,
      proxy: Option.fromNullable(member.proxy),
      run: member.run
    }))

  const process =
    (f: (server: RedisServer) => Effect.Effect<void, Server.RedisServerError>, paused?: boolean) =>
    (member: Members.Member) =>
      Effect.tap(
        Effect.mapError(f(member.server), ofServer),
        Effect.sync(() => {
          if (paused !== undefined) member.paused = paused
        })
      )
  const kill = process((server) => server.kill)
  const pause = process((server) => server.pause, true)
  const resume = process((server) => server.resume, false)
  const restart = process((server) => server.restart, false)

  const failover: RedisSentinel["failover"] = (options) =>
    Effect.gen(function* () {
      const [first] = yield* state.watching
      if (first === undefined) return yield* failure("NotRunning", "No sentinel runs.")
      const before = Option.map(yield* state.addressBy(first), ({ port }) => port)
      let asked = Number.NEGATIVE_INFINITY
      let refusal: RedisSentinelError | undefined
      const check = Effect.gen(function* () {
        const [leader, ...others] = yield* state.watching
        if (leader === undefined) return "no sentinel runs"
        const named = Option.map(yield* state.addressBy(leader), ({ port }) => port)
        if (Option.isNone(named)) return `the sentinel ${leader.port} names nobody`
        // A failover ends without a new master when it takes longer than its timeout.
        if (Option.contains(before, named.value) && performance.now() - asked > common.failoverTimeout + 1_000) {
          const answer = yield* Effect.either(leader.run(Redis.sentinelFailover(common.name, options)))
          if (Either.isRight(answer)) asked = performance.now()
          else if (/NOGOOD|INPROG/.test(answer.left.message)) return answer.left.message
          else refusal = answer.left
        }
        if (refusal !== undefined) return undefined
        if (Option.contains(before, named.value)) return `the sentinel ${leader.port} still names the old master`
        const addresses = yield* Effect.forEach(others, state.addressBy, together)
        const late = addresses.findIndex((address) => !Option.exists(address, ({ port }) => port === named.value))
        return late < 0 ? undefined : `the sentinel ${others[late]?.port} does not name the new master`
      })
      yield* state.until("the sentinels name another master", check)
      if (refusal !== undefined) return yield* refusal
      return yield* snapshot(yield* state.master)
    })

  const healed = ({ proxy }: Members.Member) =>
    proxy === undefined
      ? Effect.void
      : Effect.mapError(proxy.heal, (cause) => failure("Refused", cause.message, { cause }))

  return {
    [TypeId]: TypeId,
    product: found.product,
    version: found.version,
    name: common.name,
    sentinels: state.sentinels.map(({ host, port, run, server, url }) => ({ host, port, url, server, run })),
    username: Option.fromNullable(common.login.username),
    password: Option.fromNullable(common.login.password),
    sentinelUsername: Option.fromNullable(common.sentinelLogin.username),
    sentinelPassword: Option.fromNullable(common.sentinelLogin.password),
    tls: Option.fromNullable(common.tls?.certificates),
    nodes: Effect.forEach(state.nodes, snapshot, together),
    node: (ref) => Effect.flatMap(nodeOf(ref), snapshot),
    master: Effect.flatMap(state.master, snapshot),
    agreed: state.agreed,
    failover,
    kill: (ref) => Effect.flatMap(nodeOf(ref), kill),
    pause: (ref) => Effect.flatMap(nodeOf(ref), pause),
    resume: (ref) => Effect.flatMap(nodeOf(ref), resume),
    restart: (ref) => Effect.flatMap(nodeOf(ref), restart),
    killSentinel: (ref) => Effect.flatMap(sentinelOf(ref), kill),
    pauseSentinel: (ref) => Effect.flatMap(sentinelOf(ref), pause),
    resumeSentinel: (ref) => Effect.flatMap(sentinelOf(ref), resume),
    restartSentinel: (ref) =>
      Effect.flatMap(sentinelOf(ref), (sentinel) => Effect.zipRight(restart(sentinel), Members.hasten(sentinel))),
    cut: (ref) =>
      Effect.flatMap(nodeOf(ref), (node) =>
        node.proxy === undefined
          ? failure("Unsupported", "To cut a node off, start with proxies: RedisSentinel.make({ proxies: true }).")
          : Effect.tap(
              Effect.mapError(node.proxy.inject(Faults.blackHole), (cause) =>
                failure("Refused", cause.message, { cause })
              ),
              Effect.sync(() => {
                node.cut = true
              })
            )
      ),
    heal: (ref) =>
      Effect.flatMap(
        ref === undefined ? Effect.succeed(state.nodes) : Effect.map(nodeOf(ref), (node) => [node]),
        (nodes) =>
          Effect.forEach(
            nodes,
            (node) =>
              Effect.tap(
                healed(node),
                Effect.sync(() => {
                  node.cut = false
                })
              ),
            { discard: true }
          )
      )
  }
}
