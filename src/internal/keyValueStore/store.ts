/** The store: GET, SET, UNLINK, and a script that compares and sets. */
import * as Platform from "@effect/platform/Error"
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Codec from "../../Codec.js"
import { Redis } from "../../Redis.js"
import type { RedisError } from "../../RedisError.js"
import * as RedisScript from "../../RedisScript.js"
import * as Keyspace from "../adapter/keyspace.js"
import type { RedisService } from "../command/model.js"
import { pauseFor } from "../effect/pause.js"
import { utf8Encode } from "../resp/text.js"

const binary = Redis.withCodec(Codec.bytes)

/**
 * Sets a value that is still the expected one, and keeps its time to live. Otherwise it answers the value that is there, so that
 * the next try needs no GET; or nothing, when the key is gone.
 */
const compareAndSet = RedisScript.make({
  source: `
    local now = redis.call("GET", KEYS[1])
    if now == ARGV[1] then
      redis.call("SET", KEYS[1], ARGV[2], "KEEPTTL")
      return 1
    end
    return now`,
  keys: 1,
  args: [Codec.bytes, Codec.bytes],
  reply: "bytes",
  result: (reply) => (reply instanceof Uint8Array ? reply : reply === 1 ? ("done" as const) : undefined)
})

/** How often a change that lost against others is tried again. */
const maxTries = 1_000

/** From this try on, the losers pause for a random time, so that they do not all meet again. In milliseconds. */
const pauseBefore = (tries: number): number => (tries < 4 ? 0 : Math.random() * Math.min(50, tries))

const module = "KeyValueStore"

const badArgument = (method: string, cause: { readonly message: string }): Platform.BadArgument =>
  new Platform.BadArgument({ module, method, description: cause.message, cause })

/** The error of the platform for an error of this package, which is its `cause`. Neither shows a key or a value. */
export const platformError =
  (method: string) =>
  (error: RedisError): Platform.PlatformError =>
    error._tag === "UsageError"
      ? badArgument(method, error)
      : new Platform.SystemError({ module, method, reason: reasonOf(error), description: error.message, cause: error })

const reasonOf = (error: RedisError): Platform.SystemErrorReason => {
  switch (error._tag) {
    case "DeadlineError":
      return "TimedOut"
    case "DecodeError":
      return "InvalidData"
    case "OverflowError":
      return "Busy"
    case "ReplyError":
      return error.code === "NOPERM" || error.code === "NOAUTH" ? "PermissionDenied" : "Unknown"
    default:
      return "Unknown"
  }
}

const notText = (method: string): Platform.SystemError =>
  new Platform.SystemError({ module, method, reason: "InvalidData", description: "the value is not UTF-8" })

const textOf = (method: string, bytes: Uint8Array): Effect.Effect<string, Platform.SystemError> =>
  Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes),
    catch: () => notText(method)
  })

export interface Settings {
  /** What all keys begin with; empty for the whole database. */
  readonly prefix: string
  /** In milliseconds. */
  readonly timeToLive: number | undefined
}

export const makeStore = (redis: RedisService, { prefix, timeToLive }: Settings): KeyValueStore.KeyValueStore => {
  const nameOf = (key: string): string => prefix + key
  const expiring = { px: timeToLive === undefined ? undefined : Duration.millis(timeToLive) }
  const run = <A>(method: string, effect: Effect.Effect<A, RedisError>): Effect.Effect<A, Platform.PlatformError> =>
    Effect.mapError(effect, platformError(method))

  /** `undefined` when the key does not exist. `change` runs again with each newer value. */
  const modifyBytes = <A, E, R>(
    method: string,
    key: string,
    change: (value: Uint8Array) => Effect.Effect<readonly [next: Uint8Array, result: A], E, R>
  ): Effect.Effect<Option.Option<A>, Platform.PlatformError | E, R> =>
    Effect.gen(function* () {
      let value = Option.getOrUndefined(yield* run(method, redis.send(binary.get(nameOf(key)))))
      for (let tries = 0; tries < maxTries && value !== undefined; tries++) {
        const [next, result] = yield* change(value)
        const found = yield* run(method, redis.send(compareAndSet(nameOf(key), value, next)))
        if (found === "done") {
          return Option.some(result)
        }
        value = found
        yield* pauseFor(pauseBefore(tries))
      }
      return value === undefined
        ? Option.none()
        : yield* new Platform.SystemError({
            module,
            method,
            reason: "Busy",
            description: `others changed the value in each of ${maxTries} tries`
          })
    })

  const encodeText = (method: string, text: string): Effect.Effect<Uint8Array, Platform.PlatformError> =>
    Effect.suspend(() => {
      const encoded = Codec.utf8.encode(text)
      return encoded._tag === "Left"
        ? Effect.fail(new Platform.BadArgument({ module, method, description: encoded.left.reason }))
        : Effect.succeed(typeof encoded.right === "string" ? utf8Encode(encoded.right) : encoded.right)
    })

  const modifyText = <E, R>(
    method: string,
    key: string,
    change: (text: string) => Effect.Effect<readonly [next: string, result: unknown], E, R>
  ) =>
    modifyBytes(method, key, (bytes) =>
      Effect.gen(function* () {
        const [next, result] = yield* change(yield* textOf(method, bytes))
        return [yield* encodeText(method, next), result] as const
      })
    )

  const store: KeyValueStore.KeyValueStore = KeyValueStore.make({
    get: (key) => run("get", redis.send(Redis.get(nameOf(key)))),
    getUint8Array: (key) => run("getUint8Array", redis.send(binary.get(nameOf(key)))),
    set: (key, value) =>
      run(
        "set",
        redis.send(
          typeof value === "string" ? Redis.set(nameOf(key), value, expiring) : binary.set(nameOf(key), value, expiring)
        )
      ),
    remove: (key) => Effect.asVoid(run("remove", redis.send(Redis.unlink(nameOf(key))))),
    clear: run("clear", Keyspace.clear(redis, prefix)),
    size: run("size", Keyspace.size(redis, prefix)),
    isEmpty: run("isEmpty", Keyspace.isEmpty(redis, prefix)),
    has: (key) => Effect.map(run("has", redis.send(Redis.exists(nameOf(key)))), (count) => count > 0),
    modify: (key, f) =>
      modifyText("modify", key, (text) =>
        Effect.sync(() => {
          const next = f(text)
          return [next, next] as const
        })
      ) as Effect.Effect<Option.Option<string>, Platform.PlatformError>,
    modifyUint8Array: (key, f) =>
      modifyBytes("modifyUint8Array", key, (bytes) =>
        Effect.sync(() => {
          const next = f(bytes)
          return [next, next] as const
        })
      ),
    forSchema<A, I, R>(this: KeyValueStore.KeyValueStore, schema: Schema.Schema<A, I, R>) {
      const plain = plainSchemaStore(this, schema)
      // Behind `KeyValueStore.prefix` the keys are others; there `modify` is what the platform makes of get and set.
      return this === store ? { ...plain, modify: modifyDecoded(schema) } : plain
    }
  })

  const modifyDecoded =
    <A, I, R>(schema: Schema.Schema<A, I, R>) =>
    (key: string, f: (value: A) => A) => {
      const json = Schema.parseJson(schema)
      const decode = Schema.decode(json)
      const encode = Schema.encode(json)
      return modifyText("modify", key, (text) =>
        Effect.flatMap(decode(text), (value) => {
          const next = f(value)
          return Effect.map(encode(next), (encoded) => [encoded, next] as const)
        })
      ) as Effect.Effect<Option.Option<A>, Platform.PlatformError | ParseResult.ParseError, R>
    }

  return store
}

/** The platform's own store of a schema, over any store. */
const plainSchemaStore = <A, I, R>(
  store: KeyValueStore.KeyValueStore,
  schema: Schema.Schema<A, I, R>
): KeyValueStore.SchemaStore<A, R> => ({ ...store, forSchema: ofPlatform.forSchema }).forSchema(schema)

/** Made for its `forSchema` alone, which works on the store that it is called on. */
const ofPlatform = KeyValueStore.make({
  get: () => Effect.succeedNone,
  getUint8Array: () => Effect.succeedNone,
  set: () => Effect.void,
  remove: () => Effect.void,
  clear: Effect.void,
  size: Effect.succeed(0)
})
