/** A primary whose replicas are given as a list. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { UsageError } from "../../RedisError.js"
import { makeNode, type Node, type NodeSettings } from "../client/node.js"
import type { DurationWithUnit } from "../command/args.js"
import type { ReadFrom, RedisService } from "../command/model.js"
import { makeDial } from "../connection/dial.js"
import { connect } from "../connection/lazyNodeTransport.js"
import * as Options from "../connection/options.js"
import { expectRole } from "../connection/role.js"
import { forkerIn } from "../effect/fork.js"
import type { Observer } from "../telemetry/observer.js"
import { type Address, type Place, showAddress } from "./address.js"
import { checkReadFrom } from "./readers.js"
import { Replicated } from "./replicated.js"

export interface ListedOptions {
  readonly replicas?: ReadonlyArray<Place> | undefined
  readonly readFrom?: ReadFrom | undefined
  readonly maxReplicaLag?: DurationWithUnit | undefined
}

interface Primary {
  readonly node: Node
  /** The options of the primary, with credentials that can be read at any time. */
  readonly options: Options.ResolvedOptions
  readonly settings: NodeSettings
  readonly observer: Observer | undefined
}

/** The options of a primary, and of each of its replicas by its address. */
interface Listed {
  readonly readFrom: ReadFrom
  readonly maxReplicaLag: number
  readonly replicas: ReadonlyMap<string, Options.ResolvedOptions & { readonly endpoint: { readonly _tag: "Tcp" } }>
}

/** Checks the options that say where to read. */
export const checkListed = (
  { maxReplicaLag, readFrom = "primary", replicas = [] }: ListedOptions,
  primary: Options.ResolvedOptions
): Effect.Effect<Listed, UsageError> =>
  Effect.gen(function* () {
    const from = yield* checkReadFrom(readFrom)
    if (!Array.isArray(replicas)) {
      return yield* invalid("replicas must be a list of servers")
    }
    const listed = new Map<string, Options.ResolvedOptions & { readonly endpoint: { readonly _tag: "Tcp" } }>()
    for (const replica of replicas as ReadonlyArray<Place>) {
      const isUrl = typeof replica === "string" || Redacted.isRedacted(replica)
      const own = yield* Options.resolve(isUrl ? { url: replica } : { host: replica.host, port: replica.port })
      const { endpoint } = own
      if (endpoint._tag === "Unix") {
        return yield* invalid("a replica is reached by host and port, not by the path of a socket")
      }
      listed.set(showAddress(endpoint), {
        ...primary,
        endpoint,
        // A password that is sent to the primary over TLS must not be sent in the clear elsewhere.
        tls: primary.tls ?? own.tls,
        ...(own.password === undefined
          ? {}
          : { username: own.username, password: own.password, credentials: undefined })
      })
    }
    return {
      readFrom: from,
      maxReplicaLag: yield* maxReplicaLag === undefined
        ? Either.right(Infinity)
        : Options.checkDuration(maxReplicaLag, "maxReplicaLag"),
      replicas: listed
    }
  })

/** The service of a primary whose reads may go to replicas. The scope closes their connections. */
export const overReplicas = (
  { node, observer, options, settings }: Primary,
  { maxReplicaLag, readFrom, replicas }: Listed
): Effect.Effect<{ readonly service: RedisService; readonly renew: () => void }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* forkerIn(yield* Effect.scope)
    const replicated = new Replicated({
      primary: node,
      replyTimeout: options.replyTimeout,
      observer,
      address: Options.showEndpoint(options.endpoint),
      maxRetries: settings.maxRetries,
      maxReplicaLag,
      queueBounds: options.queueBounds,
      open: (place) =>
        makeNode(
          makeDial({
            options: replicas.get(showAddress(place)) ?? options,
            connect,
            observer,
            check: expectRole("replica")
          }),
          { ...settings, lazy: true }
        ),
      doubt: () => {},
      fork
    })
    yield* Effect.addFinalizer(() => replicated.close)
    const places: Array<Address> = [...replicas.values()].flatMap(({ endpoint }) =>
      endpoint._tag === "Tcp" ? [{ host: endpoint.host, port: endpoint.port }] : []
    )
    replicated.setReplicas(places)
    return { service: replicated.service(readFrom), renew: () => replicated.renew() }
  })

const invalid = (message: string): Effect.Effect<never, UsageError> =>
  Effect.fail(new UsageError({ reason: "invalidOptions", message }))
