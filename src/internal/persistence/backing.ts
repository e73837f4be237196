/** The store behind Effect's persistence: one key for each entry, whose value is JSON. */
import * as Experimental from "@effect/experimental/Persistence"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Redis } from "../../Redis.js"
import type { RedisError } from "../../RedisError.js"
import * as Keyspace from "../adapter/keyspace.js"
import type { RedisCommand, RedisService } from "../command/model.js"

type Store = Experimental.BackingPersistenceStore
type Failure = Experimental.PersistenceError

/** A store's id, so that no key of one store can be a key of another: it holds no `:`. */
const escapeId = (storeId: string): string => storeId.replace(/[%:]/g, (found) => (found === "%" ? "%25" : "%3A"))

const backingError = (method: string, cause: unknown): Failure =>
  Experimental.PersistenceBackingError.make(method, cause)

/** JSON of a value. The error of a value that has none does not show it. */
const toJson = (method: string, value: unknown): Effect.Effect<string, Failure> =>
  Effect.suspend(() =>
    Option.match(Option.fromNullable(stringify(value)), {
      onNone: () => Effect.fail(backingError(method, new Error("the value has no JSON"))),
      onSome: Effect.succeed
    })
  )

/** Nothing for what has no JSON: `undefined`, a circle, a bigint. */
const stringify = (value: unknown): string | undefined =>
  Option.getOrUndefined(Option.liftThrowable((given: unknown): string | undefined => JSON.stringify(given))(value))

/** `none` for text that is no JSON. */
const parse = (text: string): Option.Option<unknown> => Option.liftThrowable((given: string) => JSON.parse(given))(text)

/** The most that a server takes, a little below 2^63 milliseconds after now, as an integer that is exact. */
const maxMillis = Number.MAX_SAFE_INTEGER - 4_102_444_800_000

/** What stores an entry. Its time is rounded up, because zero would be refused. An entry without any time left is removed. */
const store = (name: string, json: string, ttl: Option.Option<Duration.Duration>): RedisCommand<unknown> => {
  const millis = Option.match(ttl, { onNone: () => Infinity, onSome: Duration.toMillis })
  return millis <= 0
    ? Redis.unlink(name)
    : millis > maxMillis
      ? Redis.set(name, json)
      : Redis.set(name, json, { px: Duration.millis(Math.ceil(millis)) })
}

/** How many entries are written or read by one pipeline or MGET. */
const batchSize = 1_000

const batches = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / batchSize) }, (_, i) => all.slice(i * batchSize, (i + 1) * batchSize))

const makeStore = (redis: RedisService, prefix: string): Store => {
  const nameOf = (key: string): string => prefix + key
  const run = <A>(method: string, effect: Effect.Effect<A, RedisError>): Effect.Effect<A, Failure> =>
    Effect.mapError(effect, (cause) => backingError(method, cause))

  return {
    get: (key) =>
      Effect.flatMap(
        run("get", redis.send(Redis.get(nameOf(key)))),
        (text): Effect.Effect<Option.Option<unknown>, Failure> =>
          Option.isNone(text)
            ? Effect.succeedNone
            : Option.match(parse(text.value), {
                onNone: () => Effect.fail(backingError("get", new Error("the stored value is not JSON"))),
                onSome: Effect.succeedSome
              })
      ),
    getMany: (keys) =>
      run(
        "getMany",
        Effect.map(
          Effect.forEach(batches(keys), (some) => redis.send(Redis.mget(some.map(nameOf)))),
          // What is not JSON is as good as absent: it is computed and stored anew.
          (found) => found.flat().map(Option.flatMap(parse))
        )
      ),
    set: (key, value, ttl) =>
      Effect.flatMap(toJson("set", value), (json) =>
        Effect.asVoid(run("set", redis.send(store(nameOf(key), json, ttl))))
      ),
    setMany: (entries) =>
      Effect.gen(function* () {
        const commands: Array<RedisCommand<unknown>> = []
        for (const [key, value, ttl] of entries) {
          commands.push(store(nameOf(key), yield* toJson("setMany", value), ttl))
        }
        for (const some of batches(commands)) {
          const { exits } = yield* run("setMany", redis.sendAll(some, { atomic: false }))
          for (const exit of exits) {
            yield* run("setMany", exit)
          }
        }
      }),
    remove: (key) => Effect.asVoid(run("remove", redis.send(Redis.unlink(nameOf(key))))),
    clear: run("clear", Keyspace.clear(redis, prefix))
  }
}

export const makeBacking = (redis: RedisService, prefix: string): Experimental.BackingPersistence => ({
  [Experimental.BackingPersistenceTypeId]: Experimental.BackingPersistenceTypeId,
  make: (storeId) => Effect.sync(() => makeStore(redis, `${prefix}${escapeId(storeId)}:`))
})
