/** The store as Effect 4 has it: `undefined` for what is not there, an error of its own, and the names of its keys. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type { RedisError } from "../../RedisError.js"
import type { RedisService } from "../command/model.js"
import { changed, makeOperations, type Problem, type Settings } from "./operations.js"

/** The error of Effect's store, whose `cause` is that of the client. Neither shows a key or a value. */
const storeError =
  (method: string) =>
  (error: RedisError | Problem): KeyValueStore.KeyValueStoreError =>
    new KeyValueStore.KeyValueStoreError({
      method,
      message: error.message,
      ...(error._tag === "Problem" ? {} : { cause: error })
    })

export const makeStore = (redis: RedisService, settings: Settings): KeyValueStore.KeyValueStore => {
  const on = makeOperations(redis, settings)
  const run = <A>(method: string, effect: Effect.Effect<A, RedisError | Problem>) =>
    Effect.mapError(effect, storeError(method))
  const optional = <A>(method: string, effect: Effect.Effect<Option.Option<A>, RedisError | Problem>) =>
    Effect.map(run(method, effect), Option.getOrUndefined)

  return KeyValueStore.make({
    get: (key) => optional("get", on.get(key)),
    getUint8Array: (key) => optional("getUint8Array", on.getBytes(key)),
    set: (key, value) => Effect.asVoid(run("set", on.set(key, value))),
    remove: (key) => Effect.asVoid(run("remove", on.remove(key))),
    clear: run("clear", on.clear()),
    clearPrefix: (prefix) => run("clearPrefix", on.clear(prefix)),
    size: run("size", on.size),
    keys: run("keys", on.keys),
    isEmpty: run("isEmpty", on.isEmpty),
    has: (key) => run("has", on.has(key)),
    modify: (key, f) => optional("modify", on.modifyText(key, changed(f))),
    modifyUint8Array: (key, f) => optional("modifyUint8Array", on.modifyBytes(key, changed(f)))
  })
}
