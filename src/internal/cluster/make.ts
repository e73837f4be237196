/**
 * Builds the client of a cluster: checks the options, asks the seeds for the topology, and keeps it.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type RedisError, UsageError } from "../../RedisError.js"
import { makeNode } from "../client/node.js"
import { countOr, durationOr, nodeSettings, type NodeOptions as Shared } from "../client/nodeOptions.js"
import type { DurationWithUnit } from "../command/args.js"
import type { About, ReadFrom, RedisService } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import { annotated } from "../connection/about.js"
import * as Credentials from "../connection/credentials.js"
import { makeDial } from "../connection/dial.js"
import { connect } from "../connection/lazyNodeTransport.js"
import { observing } from "../connection/observing.js"
import * as Options from "../connection/options.js"
import { reconnectSettings } from "../connection/pacer.js"
import { fromEither } from "../effect/either.js"
import { forkerIn } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import { type Address, longestSearch, type Place, showAddress, within } from "../nodes/address.js"
import { openMember } from "../nodes/member.js"
import { ask, checkReadFrom } from "../nodes/readers.js"
import { idleAfterOf } from "../pubsub/service.js"
import { leftOut, Sparse } from "../telemetry/sparse.js"
import { make as makePubSub } from "./pubsub.js"
import { Refresher } from "./refresh.js"
import { Router } from "./router.js"
import { serviceOf } from "./service.js"
import { ClusterStatus } from "./status.js"

/** The options of one server that a cluster's client has, too. */
export interface NodeOptions
  extends Shared,
    Omit<Options.ConnectionOptions, "url" | "host" | "port" | "path" | "expect"> {}

/** A node where a cluster is looked for. */
export type Seed = Place

export interface ClusterOptions extends NodeOptions {
  readonly nodes: ReadonlyArray<Seed> | Effect.Effect<ReadonlyArray<Seed>, RedisError>
  readonly nodeAddress?:
    | ((address: {
        readonly host: string
        readonly port: number
      }) => { readonly host: string; readonly port: number } | undefined)
    | undefined
  readonly maxRedirects?: number | undefined
  readonly readFrom?: ReadFrom | undefined
  readonly maxReplicaLag?: DurationWithUnit | undefined
  readonly splitKeys?: boolean | undefined
  readonly refreshInterval?: DurationWithUnit | undefined
  readonly refreshTimeout?: DurationWithUnit | undefined
}

/** The client with what is behind it. */
export interface Client {
  readonly service: RedisService
  readonly router: Router
  readonly options: Options.ResolvedOptions
  /** Calls the listener whenever the credentials have changed. */
  readonly onRotate: (listener: () => void) => void
}

export const make = (options: ClusterOptions): Effect.Effect<Client, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const { nodes } = options
    const given = Effect.isEffect(nodes) ? yield* within(nodes, longestSearch) : nodes
    const checked = yield* resolveSeeds(options, given)
    const { onRotate, options: resolved } = yield* Credentials.source(checked.options)
    const settings = yield* nodeSettings(options, { lazy: true, followsBlocked: false })
    const maxRedirects = yield* countOr(options.maxRedirects, "maxRedirects", 16, 0)
    const timeout = yield* durationOr(options.refreshTimeout, "refreshTimeout", 1_000)
    const readFrom = yield* checkReadFrom(options.readFrom ?? "primary")
    const maxReplicaLag = yield* durationOr(options.maxReplicaLag, "maxReplicaLag", Infinity)
    const interval = yield* durationOr(options.refreshInterval, "refreshInterval", 60_000)
    const address = checked.seeds.map(showAddress).join(",")
    const observer = yield* observing(options, resolved, address)
    const scope = yield* Effect.scope
    const fork = yield* forkerIn(scope)
    const status = new ClusterStatus()
    const dialTo = ({ host, port }: Address, replica = false) =>
      makeDial({
        options: { ...resolved, endpoint: { _tag: "Tcp", host, port } },
        endpoint: router.endpointOf({ host, port }),
        connect,
        observer,
        steps: replica ? [{ command: readonly, required: true }] : []
      })
    let started: (() => void) | undefined
    /** A node was connected or lost, or the topology has changed. */
    const changed = (): void => {
      const primaries = router.allPrimaries
      status.join(
        primaries.map((member) => member.status),
        router.topology.unowned
      )
      router.warmUp()
      if (primaries.some(({ connected }) => connected) || !primaries.some(({ connecting }) => connecting)) {
        started?.()
      }
    }
    const router: Router = new Router({
      replyTimeout: resolved.replyTimeout,
      observer,
      address,
      maxRedirects,
      maxRetries: settings.maxRetries,
      splitKeys: options.splitKeys ?? true,
      located: (address) => options.nodeAddress?.(address) ?? address,
      doubt: () => refresher.doubt(),
      close: (member, closed) => {
        fork(Effect.ensuring(member.close, Effect.sync(closed)))
      },
      maxReplicaLag,
      queueBounds: resolved.queueBounds,
      ask,
      fork: (effect) => {
        fork(effect)
      },
      open: (place, router, replica) =>
        openMember(place, replica, router, () => makeNode(dialTo(place, replica), settings), fork, changed)
    })
    const refresher: Refresher = new Refresher(
      () => router,
      {
        seeds: Effect.isEffect(nodes)
          ? Effect.flatMap(nodes, (nodes) => Effect.map(resolveSeeds(options, nodes), ({ seeds }) => seeds))
          : Effect.succeed(checked.seeds),
        dialTo,
        timeout,
        seedsTimeout: Math.min(resolved.connectTimeout, longestSearch),
        interval
      },
      fork
    )
    const changes = new Sparse()
    let known: ReadonlySet<string> = new Set()
    router.onAdopt(() => {
      const now = new Set(router.allPrimaries.map(({ address }) => address))
      const joined = [...now].filter((one) => !known.has(one))
      const left = [...known].filter((one) => !now.has(one))
      const more = known.size === 0 || (joined.length === 0 && left.length === 0) ? undefined : changes.next()
      known = now
      if (more !== undefined) {
        const line = `The primaries of the cluster are others now: ${joined.join(", ") || "none"} came, ${left.join(", ") || "none"} left`
        fork(annotated(Effect.logWarning(`${line}${leftOut(more)}`), { server: address, client: resolved.clientName }))
      }
    })
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        refresher.end()
        router.end()
        status.close()
        return Effect.forEach(router.everyMember, (member) => member.close, {
          concurrency: "unbounded",
          discard: true
        })
      })
    )
    router.onAdopt(changed)
    yield* refresher.first
    // The first command is to have somewhere to go. One node that hangs must not hold up the start.
    yield* Effect.async<void>((resume) => {
      const start = (): void => {
        started = undefined
        stop()
        resume(Effect.void)
      }
      const stop = Timers.limit(Math.min(resolved.connectTimeout, longestStart), start)
      started = start
      changed()
      return Effect.sync(stop)
    })
    router.watch()
    onRotate(() => {
      for (const member of router.everyMember) {
        member.renew()
      }
    })
    const about: About = { server: address, client: resolved.clientName, insight: observer.insight }
    return {
      service: serviceOf(router, status.subscribable, about, readFrom),
      router,
      options: resolved,
      onRotate
    }
  })

/** Has a replica answer reads of the slots of its primary. */
const readonly = makeCommand("READONLY")

/** How long a node that hangs holds up the start at most, in milliseconds. */
const longestStart = 1_000

interface Seeds {
  readonly seeds: ReadonlyArray<Address>
  readonly options: Options.ResolvedOptions
}

/** Seeds may be URLs. What they say beside the address must be the same in all of them. */
const resolveSeeds = (
  {
    maxRedirects: _,
    maxReplicaLag: ______,
    nodeAddress: __,
    nodes: ___,
    readFrom: _____,
    splitKeys: ____,
    ...options
  }: ClusterOptions,
  nodes: ReadonlyArray<Seed>
): Effect.Effect<Seeds, UsageError> =>
  Effect.gen(function* () {
    if (!Array.isArray(nodes) || nodes.length === 0) {
      return yield* invalid("nodes must name at least one node of the cluster")
    }
    const resolved: Array<Options.ResolvedOptions> = []
    for (const node of nodes as ReadonlyArray<Seed>) {
      const seed =
        typeof node === "string" || Redacted.isRedacted(node) ? { url: node } : { host: node.host, port: node.port }
      resolved.push(yield* Options.resolve({ ...options, ...seed, expect: "node" }))
    }
    const [first] = resolved as [Options.ResolvedOptions]
    const seeds: Array<Address> = []
    for (const one of resolved) {
      if (one.endpoint._tag === "Unix") {
        return yield* invalid("nodes of a cluster are reached by host and port, not by the path of a socket")
      }
      const same =
        one.username === first.username &&
        (one.password === undefined ? undefined : Redacted.value(one.password)) ===
          (first.password === undefined ? undefined : Redacted.value(first.password)) &&
        one.database === first.database &&
        (one.tls === undefined) === (first.tls === undefined)
      if (!same) {
        return yield* invalid("the URLs of nodes must agree on user, password, database and TLS")
      }
      seeds.push({ host: one.endpoint.host, port: one.endpoint.port })
    }
    return { seeds, options: first }
  })

const invalid = (message: string): Effect.Effect<never, UsageError> =>
  Effect.fail(new UsageError({ reason: "invalidOptions", message }))

/** Subscriptions over the cluster. */
export const pubSub = (options: ClusterOptions, { onRotate, options: resolved, router }: Client) =>
  Effect.flatMap(fromEither(idleAfterOf(options)), (idleAfter) =>
    makePubSub(router, { options: resolved, onRotate, reconnect: reconnectSettings(options), idleAfter })
  )
