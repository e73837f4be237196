import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { Pool, Redis } from "effect-redis-client"
import { effects } from "../runners.js"
import type { Runner, Work } from "../work.js"
import type { Place } from "./rival.js"
import { sharedScheduler } from "./schedulers.js"

const operation = (
  work: Work,
  address: { readonly host: string; readonly port: number }
): (() => Effect.Effect<unknown, unknown, Redis | Pool.Pool>) | undefined => {
  switch (work.op) {
    case "get":
      return () => Redis.get(work.key)
    case "set":
      return () => Redis.set(work.key, work.value)
    case "pipeline":
      return () => Redis.pipeline(work.keys.map((key) => Redis.get(key)))
    case "transaction":
      return () => Redis.transaction(work.pairs.flatMap(([key, value]) => [Redis.set(key, value), Redis.get(key)]))
    case "mget":
      return () => Redis.mget(work.keys)
    case "lrange":
      return () => Redis.lrange(work.key, 0, -1)
    case "hgetall":
      return () => Redis.hgetall(work.key)
    case "xreadgroup":
      return () => Redis.xreadgroup(work.group, "bench", { [work.key]: "0" }, { count: work.count })
    case "connect":
      return () =>
        Effect.scoped(Effect.flatMap(Redis.make(address), (redis) => Effect.provideService(Redis.ping(), Redis, redis)))
    case "pool":
      return () => Effect.scoped(Pool.acquire)
    case "fanout":
    case "decode":
    case "encode":
      return undefined
  }
}

/** As users run us: inside Effect, from a Layer, with default options, deadlines on. */
export const ours = async (place: Place, work: Work, shared: boolean): Promise<Runner | undefined> => {
  const address = { host: place.host, port: place.port }
  const chosen = operation(work, address)
  if (chosen === undefined) {
    return undefined
  }
  const pool = work.op === "pool" ? work.size : 0
  const live = Layer.merge(
    Redis.layer(address),
    Pool.layer(pool === 0 ? { ...address, lazy: true } : { ...address, minSize: pool, maxSize: pool })
  )
  const runtime = ManagedRuntime.make(shared ? Layer.provideMerge(live, Layer.setScheduler(sharedScheduler())) : live)
  await runtime.runtime()
  return effects(
    chosen,
    (effect) => runtime.runPromise(effect),
    () => runtime.dispose()
  )
}
