import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Pool, Redis, RedisPubSub } from "effect-redis-client"
import { effects } from "../runners.js"
import type { Place, Runner, Work } from "../work.js"
import { type Fanout, fanout } from "./fanout.js"
import { limiter } from "./limiters.js"
import { names } from "./locks.js"
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
    case "lock":
    case "fanout":
    case "limit":
    case "decode":
    case "encode":
      return undefined
  }
}

/** Each listener is a subscription of its own, and a Stream that is run, as users write it. */
const listening = async (place: Place, work: Fanout): Promise<Runner> => {
  const runtime = ManagedRuntime.make(RedisPubSub.layer({ host: place.host, port: place.port }))
  const scope = Effect.runSync(Scope.make())
  const listen = (onMessage: (message: string) => void) =>
    RedisPubSub.subscribe(work.channel).pipe(
      Effect.map(Stream.runForEach(({ payload }) => Effect.sync(() => onMessage(payload)))),
      Effect.flatMap(Effect.forkIn(scope)),
      Scope.extend(scope)
    )
  return fanout(
    place,
    work,
    async (onMessage) => {
      await runtime.runPromise(listen(onMessage))
    },
    async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      await runtime.dispose()
    }
  )
}

/** Sources of before the locks can be measured by the other rows. */
const locking = async (work: Extract<Work, { readonly op: "lock" }>) => {
  const RedisLock = await import("effect-redis-client/RedisLock")
  const name = names(work)
  return () => RedisLock.withLock(name())(Effect.void)
}

/** What a program adds to a client: a tracer, and a span around the loops. */
interface Telemetry {
  readonly layer?: Layer.Layer<never>
  readonly around?: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly options?: object
}

/** As users run us: inside Effect, from a Layer, with default options, deadlines on. */
export const ours = async (
  place: Place,
  work: Work,
  shared: boolean,
  telemetry: Telemetry = {}
): Promise<Runner | undefined> => {
  const address = { host: place.host, port: place.port, ...telemetry.options }
  if (work.op === "fanout") {
    return listening(place, work)
  }
  if (work.op === "limit") {
    return shared ? undefined : limiter(place, work)
  }
  const chosen = work.op === "lock" ? await locking(work) : operation(work, address)
  if (chosen === undefined) {
    return undefined
  }
  const pool = work.op === "pool" ? work.size : 0
  const live = Layer.merge(
    Redis.layer(address),
    Pool.layer(pool === 0 ? { ...address, lazy: true } : { ...address, minSize: pool, maxSize: pool })
  )
  const all = telemetry.layer === undefined ? live : Layer.provideMerge(live, telemetry.layer)
  const runtime = ManagedRuntime.make(shared ? Layer.provideMerge(all, Layer.setScheduler(sharedScheduler())) : all)
  const { around } = telemetry
  await runtime.runtime()
  return effects(
    chosen,
    (effect) => runtime.runPromise(around === undefined ? effect : around(effect)),
    () => runtime.dispose()
  )
}
