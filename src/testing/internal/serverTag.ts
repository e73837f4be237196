/**
 * The tag of `RedisServer` for modules that only use a server, such as the fault proxy. `RedisServer.ts` also starts
 * servers and therefore loads `@effect/platform-node`; this module takes only a type from it. Tags with the same key are
 * the same tag to Effect, so the two keys must be equal.
 */
import * as Context from "effect/Context"
import type { RedisServer as Model } from "../RedisServer.js"

export const RedisServer: Context.Tag<Model, Model> = Context.GenericTag<Model>(
  "effect-redis-client/testing/RedisServer"
)
