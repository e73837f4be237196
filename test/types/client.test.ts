/** Type tests of the client: the inferred types of batches, codecs, layers and options, and programs that must not compile. */
import * as Chunk from "effect/Chunk"
import * as Config from "effect/Config"
import type * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Codec from "effect-redis-client/Codec"
import * as Connection from "effect-redis-client/Connection"
import * as Pool from "effect-redis-client/Pool"
import { Redis, type RedisService, type Status } from "effect-redis-client/Redis"
import * as RedisCommand from "effect-redis-client/RedisCommand"
import type { PipelineError, RedisError } from "effect-redis-client/RedisError"
import type { RedisPubSub } from "effect-redis-client/RedisPubSub"
import type { Reply } from "effect-redis-client/Resp"
import { describe, expectTypeOf, it } from "vitest"

const User = Schema.Struct({ name: Schema.String, born: Schema.Date })
type User = typeof User.Type
const users = Redis.withCodec(Codec.schema(User))
const binary = Redis.withCodec(Codec.bytes)

type Success<T> = T extends Effect.Effect<infer A, infer _E, infer _R> ? A : never
type Failure<T> = T extends Effect.Effect<infer _A, infer E, infer _R> ? E : never
type Needs<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

describe("a command", () => {
  it("is an Effect that needs a client and fails with RedisError", () => {
    const get = Redis.get("a")
    expectTypeOf<Success<typeof get>>().toEqualTypeOf<Option.Option<string>>()
    expectTypeOf<Failure<typeof get>>().toEqualTypeOf<RedisError>()
    expectTypeOf<Needs<typeof get>>().toEqualTypeOf<Redis>()
  })

  it("stays a command under RedisCommand.map, and is only an Effect after Effect.map", () => {
    expectTypeOf(RedisCommand.map(Redis.incr("n"), String)).toEqualTypeOf<RedisCommand.RedisCommand<string>>()
    expectTypeOf(Redis.set("a", "b").pipe(RedisCommand.as(1))).toEqualTypeOf<RedisCommand.RedisCommand<number>>()
    const mapped = Effect.map(Redis.incr("n"), String)
    // @ts-expect-error: an Effect is not a command
    Redis.pipeline([mapped])
    Redis.pipeline([RedisCommand.map(Redis.incr("n"), String)])
  })

  it("made from a name answers the raw reply", () => {
    expectTypeOf(Redis.execute("JSON.GET", "a", 1, 2n, new Uint8Array())).toEqualTypeOf<
      RedisCommand.RedisCommand<Reply>
    >()
    // @ts-expect-error: only text, bytes and numbers are arguments
    Redis.execute("GET", { key: "a" })
    // @ts-expect-error: only text, bytes and numbers are arguments
    Redis.execute("GET", undefined)
    // @ts-expect-error: only text, bytes and numbers are arguments
    Redis.execute("GET", true)
  })

  it("has an answer that depends on its options", () => {
    expectTypeOf(Redis.set("a", "b")).toEqualTypeOf<RedisCommand.RedisCommand<void>>()
    expectTypeOf(Redis.set("a", "b", { nx: true })).toEqualTypeOf<RedisCommand.RedisCommand<boolean>>()
    expectTypeOf(Redis.set("a", "b", { get: true })).toEqualTypeOf<RedisCommand.RedisCommand<Option.Option<string>>>()
    expectTypeOf(users.set("a", { name: "Ada", born: new Date(0) }, { get: true })).toEqualTypeOf<
      RedisCommand.RedisCommand<Option.Option<User>>
    >()
  })
})

describe("durations", () => {
  it("need units", () => {
    Redis.set("a", "b", { ex: "10 seconds" })
    Redis.set("a", "b", { ex: Duration.seconds(10) })
    // @ts-expect-error: a duration needs a unit
    Redis.set("a", "b", { ex: 10 })
    // @ts-expect-error: a duration needs a unit
    Redis.set("a", "b", { ex: 10n })
    // @ts-expect-error: a duration needs a unit
    Redis.set("a", "b", { ex: [10, 0] })
    // @ts-expect-error: a duration needs a unit
    Redis.set("a", "b", { ex: "10" })
    RedisCommand.withDeadline(Redis.get("a"), "1 second")
    // @ts-expect-error: a duration needs a unit
    RedisCommand.withDeadline(Redis.get("a"), 1)
    Redis.pipeline([Redis.get("a")], { deadline: "200 millis" })
    Redis.pipeline([Redis.get("a")], { deadline: Duration.infinity, mode: "either" })
    Redis.transaction([Redis.get("a")], { deadline: undefined })
    // @ts-expect-error: a duration needs a unit
    Redis.pipeline([Redis.get("a")], { deadline: 200 })
    // @ts-expect-error: a duration needs a unit
    Redis.pipeline([Redis.get("a")], { deadline: 200, mode: "either" })
    // @ts-expect-error: a duration needs a unit
    Redis.transaction([Redis.get("a")], { deadline: 200 })
    Redis.layer({ connectTimeout: "5 seconds", keepAlive: false })
    // @ts-expect-error: a duration needs a unit
    Redis.layer({ connectTimeout: 5_000 })
    // @ts-expect-error: a duration needs a unit
    Redis.layer({ idleTimeout: 5_000 })
    // @ts-expect-error: a duration needs a unit
    Pool.layer({ acquireTimeout: 5_000 })
    // @ts-expect-error: keepAlive needs a delay
    Connection.make({ keepAlive: true })
  })
})

describe("options", () => {
  it("are typed by their allowed values", () => {
    Redis.layer({ url: "redis://h", password: Redacted.make("x"), protocol: 2, family: 6, offline: "fail" })
    Redis.layer({ url: Redacted.make("redis://h") })
    // @ts-expect-error: passwords are redacted
    Redis.layer({ password: "x" })
    // @ts-expect-error: the protocol is 2 or 3
    Redis.layer({ protocol: 4 })
    // @ts-expect-error: the family is 4 or 6
    Redis.layer({ family: 5 })
    // @ts-expect-error: `offline` is "queue" or "fail"
    Redis.layer({ offline: "drop" })
    // @ts-expect-error: this option does not exist
    Redis.layer({ hostname: "h" })
    // @ts-expect-error: options of the address are not allowed when the transport is given
    Connection.fromDuplex(null as never, { host: "h" })
    Connection.fromDuplex(null as never, { database: 1 })
  })
})

describe("pipeline", () => {
  it("answers a tuple for a tuple, an array for an array, a record for a record", () => {
    const tuple = Redis.pipeline([Redis.get("a"), Redis.incr("n"), users.get("u"), binary.get("b")])
    expectTypeOf<Success<typeof tuple>>().toEqualTypeOf<
      [Option.Option<string>, number, Option.Option<User>, Option.Option<Uint8Array>]
    >()
    const array = Redis.pipeline(["a", "b"].map((key) => Redis.get(key)))
    expectTypeOf<Success<typeof array>>().toEqualTypeOf<Array<Option.Option<string>>>()
    const record = Redis.pipeline({ name: Redis.get("a"), visits: Redis.incr("n") })
    expectTypeOf<Success<typeof record>>().toEqualTypeOf<{ name: Option.Option<string>; visits: number }>()
    const empty = Redis.pipeline([])
    expectTypeOf<Success<typeof empty>>().toEqualTypeOf<[]>()
    expectTypeOf<Needs<typeof tuple>>().toEqualTypeOf<Redis>()
  })

  it("fails with an Either for each command, in its shape; with mode `either` that is the answer", () => {
    const commands = { name: Redis.get("a"), visits: Redis.incr("n") }
    type Slots = {
      name: Either.Either<Option.Option<string>, RedisError>
      visits: Either.Either<number, RedisError>
    }
    const whole = Redis.pipeline(commands)
    expectTypeOf<Failure<typeof whole>>().toEqualTypeOf<RedisError | PipelineError<Slots>>()
    const either = Redis.pipeline(commands, { mode: "either" })
    expectTypeOf<Success<typeof either>>().toEqualTypeOf<Slots>()
    expectTypeOf<Failure<typeof either>>().toEqualTypeOf<RedisError>()
    const tuple = Redis.pipeline([Redis.get("a"), Redis.incr("n")], { mode: "either" })
    expectTypeOf<Success<typeof tuple>>().toEqualTypeOf<
      [Either.Either<Option.Option<string>, RedisError>, Either.Either<number, RedisError>]
    >()
    const inTime = Redis.pipeline(commands, { mode: "either", deadline: "1 second" })
    expectTypeOf<Success<typeof inTime>>().toEqualTypeOf<Slots>()
    // @ts-expect-error: this mode does not exist
    Redis.pipeline(commands, { mode: "validate" })
  })

  it("takes only commands", () => {
    // @ts-expect-error: a transaction is not a command
    Redis.pipeline([Redis.transaction([Redis.incr("n")])])
    // @ts-expect-error: a string is not a command
    Redis.pipeline({ a: "GET a" })
    // @ts-expect-error: a tuple, array or record of commands is required
    Redis.pipeline(Redis.get("a"))
  })
})

describe("transaction", () => {
  it("answers the shape it is given", () => {
    const tuple = Redis.transaction([Redis.get("a"), Redis.incr("n")])
    expectTypeOf<Success<typeof tuple>>().toEqualTypeOf<[Option.Option<string>, number]>()
    const record = Redis.transaction({ stock: Redis.decr("stock"), user: users.get("u") })
    expectTypeOf<Success<typeof record>>().toEqualTypeOf<{ stock: number; user: Option.Option<User> }>()
    expectTypeOf<Needs<typeof record>>().toEqualTypeOf<Redis>()
  })

  it("fails with a TransactionError whose results have its shape", () => {
    const record = Redis.transaction({ stock: Redis.decr("stock") })
    const results = Effect.catchTag(record, "TransactionError", ({ results }) => Effect.fail({ results }))
    type Results = Extract<Failure<typeof results>, { readonly results: unknown; readonly _tag?: never }>["results"]
    expectTypeOf<Results>().toEqualTypeOf<{ stock: Either.Either<number, RedisError> } | undefined>()
  })
})

describe("withCodec", () => {
  it("changes the type of values, and under bytes also of keys in replies", () => {
    expectTypeOf(users.mget(["a"])).toEqualTypeOf<RedisCommand.RedisCommand<Array<Option.Option<User>>>>()
    expectTypeOf(users.keys("*")).toEqualTypeOf<RedisCommand.RedisCommand<Array<string>>>()
    expectTypeOf(binary.keys("*")).toEqualTypeOf<RedisCommand.RedisCommand<Array<Uint8Array>>>()
    expectTypeOf(users.incr("n")).toEqualTypeOf<RedisCommand.RedisCommand<number>>()
    // @ts-expect-error: the value must be a User
    users.set("a", "Ada")
    // @ts-expect-error: the value must be a User
    users.set("a", { name: "Ada" })
    // @ts-expect-error: the value must be text
    Redis.set("a", 1)
  })
})

describe("lists of keys", () => {
  it("may be of any length, arrays or Chunks, and one key may stand for a list", () => {
    Redis.del([] as ReadonlyArray<string>)
    Redis.del(Chunk.empty<string>())
    Redis.del("a")
  })
})

describe("tags and layers", () => {
  class Sessions extends Redis.Tag("Sessions")<Sessions>() {}
  type KeysOf<R> = Stream.Stream<string, RedisError, R>
  type Batch = ReturnType<typeof Redis.transaction<readonly [RedisCommand.RedisCommand<number>]>>
  const Live = Redis.layerAs(Sessions, { url: "redis://sessions:6379" })

  it("a second server has its own tag", () => {
    expectTypeOf(Live).toEqualTypeOf<Layer.Layer<Sessions, RedisError>>()
    const theme = Redis.get("theme").pipe(Redis.using(Sessions))
    expectTypeOf<Needs<typeof theme>>().toEqualTypeOf<Sessions>()
    const mixed = Effect.zip(theme, Redis.get("a"))
    expectTypeOf<Needs<typeof mixed>>().toEqualTypeOf<Sessions | Redis>()
    const provided: Effect.Effect<unknown, RedisError> = Effect.provide(theme, Live)
    // @ts-expect-error: the layer of the second server is not provided
    const missing: Effect.Effect<unknown, RedisError> = Effect.provide(mixed, Live)
    expectTypeOf(provided).toEqualTypeOf(missing)
  })

  it("state their requirements and their errors", () => {
    expectTypeOf(Redis.layer()).toEqualTypeOf<Layer.Layer<Redis | RedisPubSub, RedisError>>()
    expectTypeOf(Redis.layerConfig({ url: Config.redacted("REDIS_URL") })).toEqualTypeOf<
      Layer.Layer<Redis | RedisPubSub, RedisError | ConfigError.ConfigError>
    >()
    expectTypeOf(Redis.layerFromPool).toEqualTypeOf<Layer.Layer<Redis, never, Pool.Pool>>()
    expectTypeOf(Redis.layerFromConnection).toEqualTypeOf<Layer.Layer<Redis, never, Connection.Connection>>()
    expectTypeOf(Redis.make()).toEqualTypeOf<Effect.Effect<RedisService, RedisError, Scope.Scope>>()
    // @ts-expect-error: the port must be a Config of a number
    Redis.layerConfig({ port: Config.string("PORT") })
  })

  it("Streams are taken by using, withPrefix and withConnection, in both forms", () => {
    expectTypeOf(Redis.scanStream().pipe(Redis.using(Sessions))).toEqualTypeOf<KeysOf<Sessions>>()
    expectTypeOf(Redis.using(Redis.scanStream(), Sessions)).toEqualTypeOf<KeysOf<Sessions>>()
    expectTypeOf(Redis.scanStream().pipe(Redis.withPrefix("app:"))).toEqualTypeOf<KeysOf<Redis>>()
    expectTypeOf(Redis.withPrefix(Redis.scanStream(), "app:")).toEqualTypeOf<KeysOf<Redis>>()
    expectTypeOf(Redis.scanStream().pipe(Pool.withConnection)).toEqualTypeOf<KeysOf<Pool.Pool>>()
    expectTypeOf(Redis.withPrefix("app:")(Redis.status)).toEqualTypeOf<Stream.Stream<Status, never, Redis>>()
    const mixed = Redis.scanStream().pipe(Stream.zip(Stream.fromEffect(Scope.Scope)), Redis.using(Sessions))
    expectTypeOf(mixed).toEqualTypeOf<Stream.Stream<[string, Scope.Scope], RedisError, Sessions | Scope.Scope>>()
  })

  it("Effects keep their value's type under using and withPrefix, also in generic functions", () => {
    type Flags = Effect.Effect<boolean | undefined, RedisError, Sessions>
    expectTypeOf(Redis.using(Effect.as(Redis.ping(), true as boolean | undefined), Sessions)).toEqualTypeOf<Flags>()
    expectTypeOf(Redis.using(Sessions)(Effect.as(Redis.ping(), true as boolean | undefined))).toEqualTypeOf<Flags>()
    expectTypeOf(Redis.transaction([Redis.incr("n")]).pipe(Redis.withPrefix("app:"))).toEqualTypeOf<
      Effect.Effect<[number], Failure<Batch>, Redis>
    >()
    const ofTenant = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Redis> =>
      self.pipe(Redis.withPrefix("tenant:"), Effect.withSpan("tenant"))
    expectTypeOf(ofTenant(Redis.incr("n"))).toEqualTypeOf<Effect.Effect<number, RedisError, Redis>>()
    const eachOfTenant = <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E, R | Redis> =>
      Redis.withPrefix(self.pipe(Redis.withPrefix("inner:")), "tenant:")
    expectTypeOf(eachOfTenant(Redis.scanStream())).toEqualTypeOf<KeysOf<Redis>>()
    const atSessions = <A, E>(self: Effect.Effect<A, E, Redis>): Effect.Effect<A, E, Sessions> =>
      self.pipe(Redis.using(Sessions))
    expectTypeOf(atSessions(Redis.incr("n"))).toEqualTypeOf<Effect.Effect<number, RedisError, Sessions>>()
    // @ts-expect-error: a number is neither an Effect nor a Stream
    Redis.withPrefix(1, "app:")
    // @ts-expect-error: a number is neither an Effect nor a Stream
    Redis.using(Sessions)(1)
  })

  it("optimistic takes no body whose transaction comes out of another client", () => {
    const body = Effect.as(Redis.get("k"), Redis.transaction([Redis.incr("n")]))
    expectTypeOf<Success<ReturnType<typeof whole>>>().toEqualTypeOf<[number]>()
    const whole = () => Redis.optimistic("k", body).pipe(Redis.withPrefix("app:"))
    Redis.optimistic(
      "k",
      Effect.map(Redis.get("k").pipe(Redis.withPrefix("app:")), () => Redis.transaction([Redis.incr("n")]))
    )
    // @ts-expect-error: the transaction and the watched key would have no prefix
    Redis.optimistic("k", body.pipe(Redis.withPrefix("app:")))
    // @ts-expect-error: the transaction and the watched key would have no prefix
    Redis.optimistic("k", Redis.withPrefix(body, "app:"))
    // @ts-expect-error: the transaction would go to another server than the reads before it
    Redis.optimistic("k", body.pipe(Redis.using(Sessions)))
    // @ts-expect-error: the transaction would go to another connection than the reads before it
    Redis.optimistic("k", Pool.withConnection(body))
    Redis.optimistic(
      "k",
      // @ts-expect-error: one branch would have no prefix
      Effect.race(body, Redis.withPrefix(body, "app:"))
    )
  })

  it("withPrefix needs the client; a leased connection replaces the client", () => {
    const prefixed = Redis.withPrefix(Redis.get("a"), "app:")
    expectTypeOf<Needs<typeof prefixed>>().toEqualTypeOf<Redis>()
    const own = Pool.withConnection(Redis.get("a"))
    expectTypeOf<Needs<typeof own>>().toEqualTypeOf<Pool.Pool>()
    expectTypeOf(own).toEqualTypeOf<Effect.Effect<Option.Option<string>, RedisError, Pool.Pool>>()
  })
})
