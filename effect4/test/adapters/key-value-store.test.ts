/** The store of keys and values on Effect 4. What both lines share is tested on Effect 3 (test/adapters). */
import * as Effect from "effect/Effect"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import { expect } from "vitest"
import * as RedisStore from "../../src/KeyValueStore.js"
import { Redis } from "../../src/Redis.js"
import { eachServer, failure, on } from "../support/client.js"

eachServer((it, { connect }) => {
  const fresh = Effect.gen(function* () {
    const redis = yield* connect()
    const run = on(redis)
    yield* run(Redis.flushall())
    return { run, store: yield* Effect.orDie(run(RedisStore.make({ prefix: "kv:" }))) }
  })

  it.scoped("does what the store in memory does, with the names of its keys", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh
      yield* run(Redis.set("foreign", "1"))
      const memory = yield* Effect.provide(
        Effect.flatMap(KeyValueStore.KeyValueStore, Effect.succeed),
        KeyValueStore.layerMemory
      )
      const seen = (of: KeyValueStore.KeyValueStore) =>
        Effect.gen(function* () {
          const all: Array<unknown> = [yield* of.get("a"), yield* of.modify("a", (text) => `${text}!`)]
          for (const key of ["a", "a:b", "b"]) yield* of.set(key, key)
          all.push(yield* of.modify("a", (text) => `${text}!`), yield* of.get("a"), yield* of.size)
          all.push([...(yield* of.keys)].sort(), yield* of.has("b"), yield* of.isEmpty)
          const part = KeyValueStore.prefix(of, "a:")
          all.push(yield* part.size, yield* part.get("b"))
          yield* part.clear
          all.push([...(yield* of.keys)].sort())
          yield* of.remove("b")
          yield* of.clear
          all.push(yield* of.size, yield* of.isEmpty)
          return all
        })
      expect(yield* seen(store)).toEqual(yield* seen(memory))
      expect(yield* run(Redis.dbsize())).toBe(1)
    })
  )

  it.scoped("loses no update, and says what went wrong without a key or a value", () =>
    Effect.gen(function* () {
      const { run, store } = yield* fresh
      yield* store.set("n", "0")
      yield* Effect.forEach(Array.from({ length: 20 }), () => store.modify("n", (n) => String(Number(n) + 1)), {
        concurrency: "unbounded"
      })
      expect(yield* store.get("n")).toBe("20")
      yield* run(Redis.rpush("kv:secret", ["a"]))
      const error = failure(yield* Effect.exit(store.get("secret")))
      expect(error).toMatchObject({ _tag: "KeyValueStoreError", method: "get", cause: { code: "WRONGTYPE" } })
      expect(error.message).not.toContain("secret")
    })
  )
})
