/** `Persistence` of `@effect/experimental`: what goes wrong in its own store over Redis, and not here. */
import * as PersistedCache from "@effect/experimental/PersistedCache"
import * as Experimental from "@effect/experimental/Persistence"
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PrimaryKey from "effect/PrimaryKey"
import * as Schema from "effect/Schema"
import { Redis, RedisCommand } from "effect-redis-client"
import * as Persistence from "effect-redis-client/Persistence"
import type { RedisService } from "../../src/Redis.js"
import { eachServer, failure, on } from "../support/client.js"

class Price extends Schema.TaggedRequest<Price>()("Price", {
  success: Schema.Number,
  failure: Schema.String,
  payload: { symbol: Schema.String }
}) {
  [PrimaryKey.symbol]() {
    return this.symbol
  }
}

describe("the options", () => {
  it.scoped("that are wrong fail with an error that names the option", () =>
    Effect.gen(function* () {
      const fake = Redis.layerTest(() => Effect.succeed(null))
      const exit = yield* Effect.exit(Effect.provide(Layer.build(Persistence.layer({ prefix: "\ud800" })), fake))
      expect(failure(exit).message).toContain("prefix")
    })
  )
})

eachServer((it, { connect }) => {
  const fresh = (options?: Persistence.PersistenceOptions) =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      yield* run(Redis.flushall())
      const persistence = yield* Effect.orDie(run(Persistence.make(options)))
      return { redis, run, persistence, store: yield* persistence.make("users") }
    })

  it.scoped("keeps entries as JSON, one by one and many at once, and finds them again", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh()
      yield* store.set("a", { n: [1, null, "ä"] }, Option.none())
      yield* store.setMany([
        ["b", 1, Option.none()],
        ["c", null, Option.some(Duration.minutes(1))]
      ])
      expect(yield* store.get("a")).toEqual(Option.some({ n: [1, null, "ä"] }))
      expect(yield* store.getMany(["c", "none", "b"])).toEqual([Option.some(null), Option.none(), Option.some(1)])
      expect(yield* run(Redis.get("users:a"))).toEqual(Option.some('{"n":[1,null,"ä"]}'))
      yield* store.remove("a")
      yield* store.remove("a")
      expect(yield* store.get("a")).toEqual(Option.none())
    })
  )

  it.scoped("clears a store that is empty, and asks for no entries and stores none", () =>
    Effect.gen(function* () {
      const { store } = yield* fresh()
      yield* store.clear
      yield* store.setMany([])
      expect(yield* store.getMany([])).toEqual([])
    })
  )

  it.scoped("rounds a time to live up to milliseconds, and removes an entry that has no time left", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh()
      const left = run(RedisCommand.undecoded(Redis.pttl("users:a")))
      yield* store.set("a", 1, Option.some(Duration.micros(60_000_500n)))
      expect(yield* left).toBeGreaterThan(50_000)
      yield* store.set("a", 1, Option.some(Duration.nanos(1n)))
      yield* store.setMany([["b", 1, Option.some(Duration.micros(60_000_500n))]])
      expect(yield* store.get("b")).toEqual(Option.some(1))
      yield* store.set("a", 1, Option.some(Duration.infinity))
      expect(yield* left).toBe(-1)
      yield* store.set("a", 2, Option.some(Duration.zero))
      expect(yield* store.get("a")).toEqual(Option.none())
    })
  )

  it.scoped("fails with the error of the entry that the server refuses, and stores the others", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* fresh()
      const refusing: RedisService = {
        ...redis,
        sendAll: (commands, options) =>
          redis.sendAll(
            commands.map((command) =>
              String(command.args[0]?.data).endsWith("bad") ? Redis.execute("LPUSHX") : command
            ),
            options
          )
      }
      const persistence = yield* Effect.orDie(on(refusing)(Persistence.make()))
      const store = yield* persistence.make("users")
      const exit = yield* Effect.exit(
        store.setMany([
          ["bad", 1, Option.none()],
          ["good", 2, Option.none()]
        ])
      )
      expect(failure(exit)).toMatchObject({ reason: "BackingError", method: "setMany", cause: { _tag: "ReplyError" } })
      expect(yield* run(Redis.get("users:good"))).toEqual(Option.some("2"))
    })
  )

  it.scoped("fails, and does not die, on what has no JSON", () =>
    Effect.gen(function* () {
      const { store } = yield* fresh()
      const circle: Record<string, unknown> = {}
      circle.self = circle
      for (const value of [circle, 1n, undefined, () => 1]) {
        const error = failure(yield* Effect.exit(store.setMany([["a", value, Option.none()]])))
        expect([error.reason, error.method]).toEqual(["BackingError", "setMany"])
        expect(failure(yield* Effect.exit(store.set("a", value, Option.none()))).method).toBe("set")
      }
      expect(yield* store.get("a")).toEqual(Option.none())
    })
  )

  it.scoped("a store shares no key with another, whatever their ids are, and clears its own alone", () =>
    Effect.gen(function* () {
      const { persistence, run } = yield* fresh({ prefix: "p:" })
      const ids = ["a", "a:b", "a%3Ab", "a*", "aa", ""]
      const stores = yield* Effect.forEach(ids, (id) => persistence.make(id))
      for (const [i, store] of stores.entries()) {
        yield* store.set("b:c", i, Option.none())
        yield* store.set("c", i, Option.none())
      }
      expect(yield* run(Redis.dbsize())).toBe(2 * ids.length)
      for (const [i, store] of stores.entries()) {
        expect(yield* store.getMany(["b:c", "c"])).toEqual([Option.some(i), Option.some(i)])
      }
      yield* run(Redis.set("foreign", "1"))
      for (const [i, store] of stores.entries()) {
        yield* store.clear
        expect(yield* run(Redis.dbsize())).toBe(2 * (ids.length - i - 1) + 1)
      }
    })
  )

  it.scoped("what is not JSON is an error of `get`, and absent for `getMany`", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh()
      yield* run(Redis.set("users:a", "no json"))
      yield* run(Redis.set("users:b", "1"))
      expect(failure(yield* Effect.exit(store.get("a")))).toMatchObject({ reason: "BackingError", method: "get" })
      expect(yield* store.getMany(["a", "b"])).toEqual([Option.none(), Option.some(1)])
    })
  )

  it.scoped("more entries than fit into one command are written and read", () =>
    Effect.gen(function* () {
      const { store } = yield* fresh()
      const keys = Array.from({ length: 2_500 }, (_, i) => String(i))
      yield* store.setMany(keys.map((key) => [key, key, Option.some(Duration.minutes(1))]))
      expect((yield* store.getMany(keys)).every((found, i) => Option.getOrNull(found) === keys[i])).toBe(true)
      yield* store.clear
      expect(yield* store.getMany(keys.slice(0, 2))).toEqual([Option.none(), Option.none()])
    })
  )

  it.scoped("results outlive the cache that looked them up, failures too", () =>
    Effect.gen(function* () {
      const { redis } = yield* fresh()
      const asked: Array<string> = []
      const cache = PersistedCache.make({
        storeId: "prices",
        lookup: ({ symbol }: Price) =>
          Effect.suspend(() => {
            asked.push(symbol)
            return symbol === "gold" ? Effect.succeed(12) : Effect.fail("unknown")
          }),
        timeToLive: (_, exit) => (Exit.isSuccess(exit) ? "1 minute" : Duration.micros(60_000_001n))
      })
      const results = Layer.provide(Persistence.layerResult(), Layer.succeed(Redis, redis))
      for (let round = 0; round < 2; round++) {
        yield* Effect.provide(
          Effect.gen(function* () {
            const prices = yield* cache
            expect(yield* prices.get(new Price({ symbol: "gold" }))).toBe(12)
            expect(failure(yield* Effect.exit(prices.get(new Price({ symbol: "tin" }))))).toBe("unknown")
          }),
          results
        )
      }
      expect(asked).toEqual(["gold", "tin"])
    })
  )

  it.scoped("a store of results drops what it can no longer read, and finds the others", () =>
    Effect.gen(function* () {
      const { persistence, run } = yield* fresh()
      const results = yield* Effect.provide(
        Experimental.ResultPersistence,
        Layer.provide(Experimental.layerResult, Layer.succeed(Experimental.BackingPersistence, persistence))
      )
      const store = yield* results.make({ storeId: "prices" })
      const [gold, tin] = [new Price({ symbol: "gold" }), new Price({ symbol: "tin" })]
      yield* store.setMany([
        [gold, Exit.succeed(12)],
        [tin, Exit.fail("unknown")]
      ])
      yield* run(Redis.set("prices:gold", '"of an older version"'))
      expect(yield* store.getMany([gold, tin])).toEqual([Option.none(), Option.some(Exit.fail("unknown"))])
      expect(yield* run(Redis.exists("prices:gold"))).toBe(0)
    })
  )
})
