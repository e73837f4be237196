/**
 * Effect 4's own service for Redis: the official layer over node-redis, and ours. Both modules exist in the edition for
 * Effect 4 only, where these contestants run; so they are loaded by name, with the little that is needed as an interface.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { Redis } from "effect-redis-client"
import { effects } from "../runners.js"
import { commandsOf, type Place, type Runner, type Work } from "../work.js"

interface Service {
  readonly send: (command: string, ...args: ReadonlyArray<string>) => Effect.Effect<unknown, unknown>
}

interface Modules {
  readonly service: { readonly Redis: Context.Tag<Service, Service> }
  readonly official: { readonly layer: (options: object) => Layer.Layer<Service, unknown> }
  readonly ours: { readonly layer: Layer.Layer<Service, unknown, Redis> }
}

const load = async (): Promise<Modules> => {
  const [service, official, ours] = await Promise.all(
    ["effect/persistence/Redis", "@effect/platform-node/NodeRedis", "effect-redis-client/EffectRedis"].map(
      (name) => import(name)
    )
  )
  return { service, official, ours }
}

/** Which layer, and for the official one whether node-redis makes an `AbortSignal.timeout` for each command. */
export type Kind = "ours" | "default" | "off"

export const effectRedis = async (place: Place, work: Work, kind: Kind): Promise<Runner | undefined> => {
  const commands = commandsOf(work)
  // The service has commands alone: no pipelines and no transactions.
  const [only] = commands
  if (only === undefined || commands.length > 1 || work.op === "connect") {
    return undefined
  }
  const { official, ours, service } = await load()
  const { host, port } = place
  const timeout = kind === "off" ? { commandOptions: { timeout: undefined } } : {}
  const layer =
    kind === "ours"
      ? Layer.provide(ours.layer, Redis.layer({ host, port }))
      : official.layer({ socket: { host, port }, ...timeout })
  const runtime = ManagedRuntime.make(layer)
  const redis = Context.get(await runtime.runPromise(Effect.context<Service>()), service.Redis)
  const [name = "", ...args] = only
  return effects(
    () => redis.send(name, ...args),
    (effect) => runtime.runPromise(effect),
    () => runtime.dispose()
  )
}
