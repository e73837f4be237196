/**
 * The tag of `RedisServer`, by itself: what only names a server (the fault proxy) must not load what starts one, which
 * needs `@effect/platform-node`.
 */
import * as Context from "effect/Context"
import type { RedisServer as Model } from "../RedisServer.js"

export const RedisServer: Context.Tag<Model, Model> = Context.GenericTag<Model>(
  "effect-redis-client/testing/RedisServer"
)
