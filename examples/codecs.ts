/**
 * Values need not be text: `Redis.withCodec` gives every command over bytes, or over the values of a Schema.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Option, Redacted, Schema } from "effect"
import { Codec, Redis } from "effect-redis-client"

class User extends Schema.Class<User>("User")({
  name: Schema.NonEmptyString,
  born: Schema.DateFromString
}) {}

/** The same commands. `users.set` takes a `User`, `users.get` answers an `Option<User>`. */
const users = Redis.withCodec(Codec.schema(User))

/** Values are `Uint8Array`s, and so are keys that come back. */
const blobs = Redis.withCodec(Codec.bytes)

const program = Effect.gen(function* () {
  const ada = new User({ name: "Ada", born: new Date("1815-12-10") })
  yield* users.set("example:user:ada", ada, { ex: "1 minute" })
  const found = yield* users.get("example:user:ada")
  yield* Console.log(
    Option.match(found, { onNone: () => "nobody", onSome: (user) => `${user.name}, ${user.born.getFullYear()}` })
  )

  // A Schema is stored as JSON of its encoded side; the plain commands see the text.
  const stored = yield* Redis.get("example:user:ada")
  yield* Console.log(Option.getOrElse(stored, () => "nothing"))

  // Another program may have stored the value. One that does not fit fails with its path, and is not shown.
  yield* Redis.set("example:user:bob", `{"name":"Bob","born":1970}`, { ex: "1 minute" })
  const problem = yield* users.get("example:user:bob").pipe(
    Effect.as("fine"),
    Effect.catchTag("DecodeError", ({ path, reason }) => Effect.succeed(`${path.join(".")}: ${reason}`))
  )
  yield* Console.log(problem)

  yield* blobs.set("example:pixel", new Uint8Array([0xff, 0x00, 0x80]), { ex: "1 minute" })
  const pixel = yield* blobs.get("example:pixel")
  yield* Console.log(Option.match(pixel, { onNone: () => "no pixel", onSome: (bytes) => bytes.join(" ") }))

  // Commands of several codecs go into one pipeline.
  const [user, bytes] = yield* Redis.pipeline([users.get("example:user:ada"), blobs.strlen("example:pixel")])
  yield* Console.log(`${Option.isSome(user)}, ${bytes} bytes`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   Ada, 1815
//   {"name":"Ada","born":"1815-12-10T00:00:00.000Z"}
//   born: it does not fit the schema (expected …)
//   255 0 128
//   true, 3 bytes
