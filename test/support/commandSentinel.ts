/**
 * A sentinel for each server of a command suite: the client finds the server through it. It stops with the suite.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RedisService } from "../../src/internal/command/model.js"
import type { RedisError } from "../../src/RedisError.js"
import * as RedisSentinel from "../../src/RedisSentinel.js"
import type * as RedisServer from "../../src/testing/RedisServer.js"
import * as Servers from "./servers.js"

const name = "mymaster"

const sentinels = new WeakMap<RedisServer.RedisServer, RedisServer.RedisServer>()

/** Starts the server of a suite, and a sentinel that watches it. */
export const start = (
  server: Servers.TestServer,
  options: RedisServer.RedisServerOptions | undefined
): Effect.Effect<RedisServer.RedisServer, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const master = yield* Servers.makeServer(server, options)
    const { host, password, port } = master
    const sentinel = yield* Servers.makeServer(server, {
      mode: { monitor: { [name]: { host, port, password } } },
      // A server of a busy machine, or one that a test stops, may be silent for long, and there is no other one to promote.
      config: { "sentinel down-after-milliseconds": `${name} ${Duration.toMillis("10 minutes")}` }
    })
    sentinels.set(master, sentinel)
    return master
  })

export const make = (
  master: RedisServer.RedisServer,
  options: Omit<RedisSentinel.RedisSentinelOptions, "name" | "sentinels">
): Effect.Effect<RedisService, RedisError, Scope.Scope> =>
  Effect.suspend(() => {
    const sentinel = sentinels.get(master)
    return sentinel === undefined
      ? Effect.dieMessage("the server was not started together with a sentinel")
      : RedisSentinel.make({ ...options, name, sentinels: [{ host: sentinel.host, port: sentinel.port }] })
  })
