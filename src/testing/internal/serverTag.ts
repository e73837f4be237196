/**
 * The tag of `RedisServer` in a file of its own: the fault proxy names a server, and must not load the code that starts
 * one, which needs `@effect/platform-node`.
 */
import * as Context from "effect/Context"
import type { RedisServer as Model } from "../RedisServer.js"

export const RedisServer: Context.Tag<Model, Model> = Context.GenericTag<Model>(
  "effect-redis-client/testing/RedisServer"
)
