/** The store as `@effect/platform` has it. The edition for Effect 4 has a file of its own in this place. */
import * as Platform from "@effect/platform/Error"
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { RedisError } from "../../RedisError.js"
import type { RedisService } from "../command/model.js"
import { changed, makeOperations, type Problem, type Settings } from "./operations.js"

/** What errors call it. */
const moduleName = "KeyValueStore"

const reasonOf = (
  error: Exclude<RedisError | Problem, { readonly _tag: "UsageError" }>
): Platform.SystemErrorReason => {
  switch (error._tag) {
    case "Problem":
      return error.kind === "busy" ? "Busy" : "InvalidData"
    case "DeadlineError":
      return "TimedOut"
    case "DecodeError":
      return "InvalidData"
    case "OverflowError":
      return "Busy"
    case "ReplyError":
      return ["NOPERM", "NOAUTH", "WRONGPASS"].includes(error.code) ? "PermissionDenied" : "Unknown"
    case "ConnectionError":
      return error.reason === "authentication" || error.reason === "credentials" ? "PermissionDenied" : "Unknown"
    default:
      return "Unknown"
  }
}

/** The error of the platform, whose `cause` is that of the client. Neither shows a key or a value. */
const platformError =
  (method: string) =>
  (error: RedisError | Problem): Platform.PlatformError => {
    const description = error.message
    const cause = error._tag === "Problem" ? {} : { cause: error }
    return error._tag === "UsageError" || (error._tag === "Problem" && error.kind === "badArgument")
      ? new Platform.BadArgument({ module: moduleName, method, description, ...cause })
      : new Platform.SystemError({ module: moduleName, method, reason: reasonOf(error), description, ...cause })
  }

export const makeStore = (redis: RedisService, settings: Settings): KeyValueStore.KeyValueStore => {
  const on = makeOperations(redis, settings)
  const run = <A>(
    method: string,
    effect: Effect.Effect<A, RedisError | Problem>
  ): Effect.Effect<A, Platform.PlatformError> => Effect.mapError(effect, platformError(method))

  const modifyDecoded =
    <A, I, R>(schema: Schema.Schema<A, I, R>) =>
    (
      key: string,
      f: (value: A) => A
    ): Effect.Effect<Option.Option<A>, Platform.PlatformError | ParseResult.ParseError, R> => {
      const json = Schema.parseJson(schema)
      const decode = Schema.decode(json)
      const encode = Schema.encode(json)
      return on
        .modifyText(key, (text) =>
          Effect.flatMap(decode(text), (value) => {
            const next = f(value)
            return Effect.map(encode(next), (encoded) => [encoded, next] as const)
          })
        )
        .pipe(Effect.mapError((error) => (error._tag === "ParseError" ? error : platformError("modify")(error))))
    }

  const store: KeyValueStore.KeyValueStore = KeyValueStore.make({
    get: (key) => run("get", on.get(key)),
    getUint8Array: (key) => run("getUint8Array", on.getBytes(key)),
    set: (key, value) => Effect.asVoid(run("set", on.set(key, value))),
    remove: (key) => Effect.asVoid(run("remove", on.remove(key))),
    clear: run("clear", on.clear()),
    size: run("size", on.size),
    isEmpty: run("isEmpty", on.isEmpty),
    has: (key) => run("has", on.has(key)),
    modify: (key, f) => run("modify", on.modifyText(key, changed(f))),
    modifyUint8Array: (key, f) => run("modifyUint8Array", on.modifyBytes(key, changed(f))),
    forSchema<A, I, R>(this: KeyValueStore.KeyValueStore | undefined, schema: Schema.Schema<A, I, R>) {
      const self = this ?? store
      const plain = plainSchemaStore(self, schema)
      // Behind `KeyValueStore.prefix` the keys are others; there `modify` is what the platform makes of get and set.
      return self === store ? { ...plain, modify: modifyDecoded(schema) } : plain
    }
  })
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
