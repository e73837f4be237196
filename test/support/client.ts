/** Shared by suites over clients: running commands on a client, typed failures, and tests on every server and protocol. */
import { it as globalIt, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { describe } from "vitest"
import { Redis, type RedisOptions, type RedisService } from "../../src/Redis.js"
import type { RedisError } from "../../src/RedisError.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { describeReal } from "./describeReal.js"
import type { MethodsOf } from "./effect.js"
import * as Peer from "./peer.js"
import { realServers, serverLayer, type TestServer } from "./servers.js"

/** The typed failure of an exit; throws when it has none. */
export const failure = <A, E>(exit: Exit.Exit<A, E>): E =>
  Option.getOrThrowWith(
    Exit.isFailure(exit) ? Cause.failureOption(exit.cause) : Option.none(),
    () => new Error(`there is no typed failure: ${Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it succeeded"}`)
  )

/** Runs an effect with one client as its `Redis`. */
export const on =
  (redis: RedisService) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, Exclude<R, Redis>> =>
    Effect.provideService(effect, Redis, redis) as Effect.Effect<A, E, Exclude<R, Redis>>

/** Reconnects every 5 ms, forever: tests wait for conditions, not for delays. */
export const quickly = Schedule.spaced("5 millis")

/** A scripted peer and a client of it. */
export const connectTo = (script: Peer.Script, options: RedisOptions = {}) =>
  Effect.gen(function* () {
    const peer = yield* Peer.make(script)
    const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port, reconnect: quickly, ...options })
    return {
      peer,
      redis,
      run: on(redis),
      /** The commands received after the handshakes, over all connections. */
      commands: () => peer.connections.flatMap(Peer.sent)
    }
  })

/** Lets forked fibers run until they wait. */
export const settle = Effect.repeatN(Effect.yieldNow(), 20)

/** The server and the protocol of a test. */
export interface Live {
  readonly server: TestServer
  readonly protocol: 2 | 3
  /** A client of the server; the scope closes it. */
  readonly connect: (
    options?: RedisOptions
  ) => Effect.Effect<RedisService, RedisError, RedisServer.RedisServer | Scope.Scope>
}

type LiveIt = Pick<MethodsOf<RedisServer.RedisServer>, "effect" | "scoped">

/** A test that empties the server before it is run again: what its first attempt has left must not fail the second. */
const emptying = <Test extends LiveIt["effect"] | LiveIt["scoped"]>(test: Test): Test =>
  Object.assign(
    ((name, self, timeout) =>
      (test as LiveIt["scoped"])(
        name,
        (context) => {
          const { repeatCount = 0, retryCount = 0 } = context.task.result ?? {}
          const emptied = Effect.flatMap(RedisServer.RedisServer, ({ host, port }) =>
            Effect.scoped(
              Effect.flatMap(Redis.make({ host, port }), (redis) =>
                on(redis)(Effect.zipRight(Redis.flushall(), Redis.scriptFlush()))
              )
            )
          )
          return retryCount + repeatCount > 0 ? Effect.zipRight(Effect.orDie(emptied), self(context)) : self(context)
        },
        timeout
      )) as LiveIt["scoped"],
    test
  )

/** Tests over every real server, by RESP2 and RESP3, with the real clock. Each server is started once. */
export const eachServer = (
  tests: (it: LiveIt, live: Live) => void,
  options: RedisServer.RedisServerOptions & { readonly servers?: ReadonlyArray<TestServer> } = {}
): void => {
  const { servers = realServers, ...rest } = options
  describeReal((server) => {
    // `layer` changes the `it` of the whole file, so that later tests would run with its services and without TestClock.
    const { effect, scoped } = globalIt
    layer(serverLayer(server, rest), { excludeTestServices: true })((layered) => {
      const it: LiveIt = { effect: emptying(layered.effect), scoped: emptying(layered.scoped) }
      Object.assign(globalIt, { effect, scoped })
      for (const protocol of [2, 3] as const) {
        describe(`RESP${protocol}`, () =>
          tests(it, {
            server,
            protocol,
            connect: (options) =>
              Effect.flatMap(RedisServer.RedisServer, ({ host, port }) =>
                Redis.make({
                  host,
                  port,
                  protocol,
                  reconnect: quickly,
                  // Longer than a busy machine takes.
                  replyTimeout: "30 seconds",
                  acquireTimeout: "30 seconds",
                  ...options
                })
              )
          }))
      }
    })
  }, servers)
}
