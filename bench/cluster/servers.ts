/** Local clusters of real servers, pinned to one processor, and scripted ones that are larger. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as Client from "effect-redis-client/RedisCluster"
import * as RedisCluster from "effect-redis-client/testing/RedisCluster"
import * as Peers from "../../test/support/clusterPeers.js"
import { find, nameOf, pin, type Server } from "../servers.js"
import type { Address } from "../work.js"
import { keys } from "./keys.js"
import { value } from "./runner.js"

export interface Cluster extends Server {
  readonly nodes: ReadonlyArray<Address>
  readonly kit: RedisCluster.RedisCluster
}

export const startCluster = (
  given: string | undefined,
  replicasPerPrimary: number
): Effect.Effect<Cluster, RedisCluster.RedisClusterError, Scope.Scope> =>
  Effect.gen(function* () {
    const kit = yield* RedisCluster.make({
      executable: given === undefined ? undefined : find(given),
      replicasPerPrimary,
      config: { maxclients: 10_000 }
    })
    const nodes = yield* kit.nodes
    yield* Effect.forEach(nodes, ({ server }) => pin(server), { discard: true })
    return {
      name: nameOf(kit),
      host: "127.0.0.1",
      port: nodes[0]?.port ?? 0,
      nodes: nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
      kit
    }
  })

const fill = Effect.forEach(
  Array.from({ length: Math.ceil(keys.length / 1_000) }, (_, i) => keys.slice(i * 1_000, (i + 1) * 1_000)),
  (part) => Redis.pipeline(part.map((key) => Redis.set(key, value))),
  { discard: true }
)

/** Every key has a value of 64 B. */
export const fillCluster = ({ nodes }: Cluster): Effect.Effect<void, unknown> =>
  Effect.provide(fill, Client.layer({ nodes }))

export const fillServer = ({ host, port }: Server): Effect.Effect<void, unknown> =>
  Effect.provide(fill, Redis.layer({ host, port }))

/** Nodes that answer GET with a value, in this process. */
export const scripted = (
  nodes: number
): Effect.Effect<Address & { nodes: ReadonlyArray<Address> }, never, Scope.Scope> =>
  Effect.map(
    Peers.make(nodes, { onCommand: ([name]) => (name === "GET" ? Peers.resp(value) : "+OK\r\n") }),
    ({ ports }) => ({
      host: "127.0.0.1",
      port: ports[0] ?? 0,
      // Clients know a few of a large cluster's nodes.
      nodes: ports.slice(0, 3).map((port) => ({ host: "127.0.0.1", port }))
    })
  )
