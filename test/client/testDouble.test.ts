/** `Redis.layerTest` refuses what a client of a server refuses, with the same errors. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Redis, RedisCommand } from "effect-redis-client"
import type { RedisService } from "../../src/Redis.js"
import { type RedisError, UsageError } from "../../src/RedisError.js"
import { on } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { makeServer } from "../support/servers.js"

const lone = "a\ud800"

const leased = <A, E>(use: Effect.Effect<A, E, Redis>) =>
  Effect.scoped(
    Effect.flatMap(
      Effect.flatMap(Redis, (redis) => redis.lease),
      (redis) => on(redis)(use)
    )
  )

/** What no client sends, each for a reason of its own. */
const refused: Readonly<Record<string, Effect.Effect<unknown, unknown, Redis>>> = {
  SELECT: Redis.execute("SELECT", 1),
  MULTI: Redis.execute("MULTI"),
  WATCH: Redis.execute("WATCH", RedisCommand.key("k")),
  SUBSCRIBE: Redis.execute("SUBSCRIBE", "c"),
  "CLIENT REPLY OFF": Redis.execute("CLIENT", "REPLY", "OFF"),
  "CLIENT SETNAME": Redis.execute("CLIENT", "SETNAME", "me"),
  MONITOR: Redis.execute("MONITOR"),
  "HELLO, in lower case": Redis.execute("hello", 3),
  WAIT: Redis.execute("WAIT", 1, 100),
  WAITAOF: Redis.execute("WAITAOF", 1, 0, 100),
  "a key with a lone surrogate": Redis.get(lone),
  "a value with a lone surrogate": Redis.set("k", lone),
  "a number that is not one": Redis.execute("ECHO", Number.NaN),
  "a deadline without a unit": RedisCommand.withDeadline(Redis.get("k"), 5 as never),
  "a name that is not one": Redis.execute("GÄT", "k"),
  "SELECT in a pipeline": Redis.pipeline([Redis.get("k"), Redis.execute("SELECT", 1)]),
  "SUBSCRIBE in a pipeline": Redis.pipeline([Redis.execute("SUBSCRIBE", "c")]),
  "BLPOP in a pipeline": Redis.pipeline([Redis.blpop(["k"], { timeout: "1 second" })]),
  "WAIT in a pipeline": Redis.pipeline([Redis.execute("WAIT", 1, 100)]),
  "a lone surrogate in a pipeline": Redis.pipeline([Redis.get("k"), Redis.get(lone)]),
  "a deadline of a pipeline without a unit": Redis.pipeline([Redis.get("k")], { deadline: 5 as never }),
  "WATCH in a transaction": Redis.transaction([Redis.execute("WATCH", RedisCommand.key("k"))]),
  "a lone surrogate in a transaction": Redis.transaction([Redis.set("k", lone)]),
  "CLIENT REPLY OFF on a lease": leased(Redis.execute("CLIENT", "REPLY", "OFF")),
  "SUBSCRIBE without channels on a lease": leased(Redis.execute("SUBSCRIBE")),
  "SUBSCRIBE in a pipeline on a lease": leased(Redis.pipeline([Redis.execute("SUBSCRIBE", "c")])),
  "SUBSCRIBE inside MULTI on a lease": leased(Effect.zipRight(Redis.execute("MULTI"), Redis.execute("SUBSCRIBE", "c"))),
  "MULTI in a transaction on a lease": leased(Redis.transaction([Redis.execute("MULTI")])),
  "a transaction inside MULTI on a lease": leased(
    Effect.zipRight(Redis.execute("MULTI"), Redis.transaction([Redis.incr("n")]))
  ),
  "a lone surrogate on a lease": leased(Redis.get(lone)),
  "GET in MONITOR mode on a lease": leased(Effect.zipRight(Redis.execute("MONITOR"), Redis.get("k"))),
  "EXEC in the body of optimistic": Redis.optimistic(
    "k",
    Effect.as(Redis.execute("EXEC"), Redis.transaction([Redis.incr("n")]))
  ),
  "optimistic with no key": Redis.optimistic([] as never, Effect.succeed(Redis.transaction([Redis.incr("n")])))
}

describeReal((server) => {
  it.scoped("what a client refuses, its double refuses with the same error", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      for (const [what, call] of Object.entries(refused)) {
        const error = yield* Effect.flip(on(yield* Redis.make({ host, port }))(call))
        expect(error, what).toBeInstanceOf(UsageError)
        const faked = yield* Effect.exit(
          Effect.provide(
            call,
            Redis.layerTest(() => Effect.succeed("OK"))
          )
        )
        expect(faked, what).toEqual(Exit.fail(error))
      }
    })
  )
})

describe("the double", () => {
  const asked: Array<string> = []
  const Fake = Redis.layerTest((command) => {
    asked.push(command.name)
    return Effect.succeed(command.name === "GET" ? "1" : command.name === "BLPOP" ? ["k", "v"] : "OK")
  })

  it.effect("asks nothing for what it refuses, and nothing for an empty batch", () =>
    Effect.gen(function* () {
      asked.length = 0
      for (const call of [refused.SELECT, refused["WAIT in a pipeline"], refused["a lone surrogate in a pipeline"]]) {
        yield* Effect.flip(call as Effect.Effect<unknown, unknown, Redis>)
      }
      yield* Redis.pipeline([])
      expect(asked).toEqual([])
    }).pipe(Effect.provide(Fake))
  )

  it.effect("lets a lease change its state, and lets a blocking command wait", () =>
    Effect.gen(function* () {
      expect(yield* leased(Redis.execute("SELECT", 1))).toBe("OK")
      expect(yield* leased(Effect.zipRight(Redis.execute("MULTI"), Redis.execute("DISCARD")))).toBe("OK")
      // Each lease has a state of its own.
      yield* leased(Redis.execute("MONITOR"))
      yield* leased(Redis.get("k"))
      yield* Redis.blpop(["k"], { timeout: "1 second" })
      const own = yield* Effect.flatMap(Redis, (redis: RedisService) => redis.lease).pipe(Effect.scoped)
      const twice = yield* Effect.scoped(own.lease)
      yield* on(twice)(Redis.execute("MONITOR"))
      const error: RedisError = yield* Effect.flip(on(own)(Redis.get("k")))
      expect(error.message).toContain("MONITOR mode")
    }).pipe(Effect.provide(Fake))
  )
})
