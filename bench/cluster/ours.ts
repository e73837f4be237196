import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import type { RedisService } from "effect-redis-client/Redis"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import { effects } from "../runners.js"
import type { ClusterClient, ClusterWork, Place, Runner } from "../work.js"
import { keySource } from "./keys.js"
import { value } from "./runner.js"

const operationOf = (
  work: ClusterWork,
  another: Effect.Effect<RedisService, unknown, Scope.Scope>
): (() => Effect.Effect<unknown, unknown, Redis>) => {
  const next = keySource()
  switch (work.does) {
    case "get":
      return () => Redis.get(next.one())
    case "set":
      return () => Redis.set(next.one(), value)
    case "mget":
      return () => Redis.mget(next.several(work.count))
    case "pipeline":
      return () => Redis.pipeline(next.several(work.count).map((key) => Redis.get(key)))
    case "connect":
      return () =>
        Effect.scoped(Effect.flatMap(another, (redis) => Effect.provideService(Redis.get(next.one()), Redis, redis)))
  }
}

/** As users run us: inside Effect, from a Layer, with default options. */
const run = async (
  layer: Layer.Layer<Redis, unknown>,
  make: Effect.Effect<RedisService, unknown, Scope.Scope>,
  work: ClusterWork
): Promise<Runner> => {
  const open = async () => {
    const runtime = ManagedRuntime.make(layer)
    await runtime.runtime()
    const client: ClusterClient = {
      get: (key) => runtime.runPromise(Redis.get(key)),
      another: async () => (await open()).client,
      close: () => runtime.dispose()
    }
    return { client, runtime }
  }
  const { client, runtime } = await open()
  return {
    ...effects(operationOf(work, make), (effect) => runtime.runPromise(effect), client.close),
    cluster: client
  }
}

export const ours = ({ nodes = [] }: Place, work: ClusterWork): Promise<Runner> =>
  run(RedisCluster.layer({ nodes }), RedisCluster.make({ nodes }), work)

/** Our client of one server, which has all the keys. */
export const oursOfOneServer = ({ host, port }: Place, work: ClusterWork): Promise<Runner> =>
  run(Redis.layer({ host, port }), Redis.make({ host, port }), work)
