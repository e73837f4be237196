/** `KeyValueStore` of the platform: what its own stores do, and what is lost there and not here. */
import * as Platform from "@effect/platform/KeyValueStore"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Codec, Redis, RedisCommand, RedisError } from "effect-redis-client"
import * as RedisStore from "effect-redis-client/KeyValueStore"
import type { RedisService } from "../../src/Redis.js"
import { eachServer, failure, on } from "../support/client.js"
import { configured } from "../support/effect.js"

const storeOf = (redis: RedisService, options: Partial<RedisStore.KeyValueStoreOptions> = {}) =>
  Effect.orDie(on(redis)(RedisStore.make({ prefix: "kv:", ...options })))

it.scoped("says when the time is over", () =>
  Effect.gen(function* () {
    const late = new RedisError.DeadlineError({ phase: "reply", delivery: "unknown", milliseconds: 5 })
    const store = RedisStore.layer({ prefix: "a:" }).pipe(Layer.provide(Redis.layerTest(() => Effect.fail(late))))
    const got = Effect.provide(
      Effect.flatMap(Platform.KeyValueStore, (kv) => kv.get("a")),
      store
    )
    expect(failure(yield* Effect.exit(got))).toMatchObject({ _tag: "SystemError", reason: "TimedOut", cause: late })
  })
)

describe("the options", () => {
  const fake = Redis.layerTest(() => Effect.succeed(null))
  const message = (options: RedisStore.KeyValueStoreOptions) =>
    Effect.map(
      Effect.exit(Effect.provide(Layer.build(RedisStore.layer(options)), fake)),
      (exit) => failure(exit).message
    )

  it.scoped("that are wrong fail with an error that names the option", () =>
    Effect.gen(function* () {
      expect(yield* message({ prefix: "" })).toContain("prefix must not be empty")
      expect(yield* message({ prefix: "\ud800" })).toContain("prefix")
      expect(yield* message({ prefix: 1 as never })).toContain("prefix")
      expect(yield* message({ prefix: "a:", timeToLive: "0 seconds" })).toContain("timeToLive")
      expect(yield* message({ prefix: "a:", timeToLive: 5 as never })).toContain("timeToLive")
    })
  )

  it.scoped("may come from the configuration", () =>
    Effect.gen(function* () {
      const sent: Array<unknown> = []
      const recording = Redis.layerTest((command) =>
        Effect.sync(() => {
          sent.push(...command.args.map(({ data }) => data))
          return null
        })
      )
      const store = RedisStore.layerConfig({ prefix: Config.string("PREFIX") }).pipe(
        Layer.provide(recording),
        Layer.provide(configured([["PREFIX", "from-configuration:"]]))
      )
      yield* Effect.provide(
        Effect.flatMap(Platform.KeyValueStore, (kv) => kv.get("a")),
        store
      )
      expect(sent).toEqual(["from-configuration:a"])
    })
  )
})

eachServer((it, { connect }) => {
  const fresh = (options?: Partial<RedisStore.KeyValueStoreOptions>) =>
    Effect.gen(function* () {
      const redis = yield* connect()
      yield* on(redis)(Redis.flushall())
      return { redis, run: on(redis), kv: yield* storeOf(redis, options) }
    })

  it.scoped("does what the store in memory does", () =>
    Effect.gen(function* () {
      const { kv } = yield* fresh()
      const memory = yield* Effect.provide(Platform.KeyValueStore, Platform.layerMemory)
      const seen = (store: Platform.KeyValueStore) =>
        Effect.gen(function* () {
          const all: Array<unknown> = [yield* store.isEmpty, yield* store.get("a"), yield* store.has("a")]
          all.push(
            yield* store.modify("a", (text) => `${text}!`),
            yield* Effect.asVoid(store.remove("a")),
            yield* store.size
          )
          yield* store.set("a", "ä\u0000\ufeff")
          yield* store.set("b", "")
          all.push(yield* store.get("a"), yield* store.getUint8Array("a").pipe(Effect.map(Option.map((b) => [...b]))))
          all.push(yield* store.get("b"), yield* store.has("b"), yield* store.size, yield* store.isEmpty)
          all.push(yield* store.modify("a", (text) => `${text}!`), yield* store.get("a"))
          yield* store.set("bytes", new Uint8Array([0, 255, 128]))
          all.push(yield* store.getUint8Array("bytes").pipe(Effect.map(Option.map((b) => [...b]))))
          all.push(
            yield* store
              .modifyUint8Array("bytes", (bytes) => new Uint8Array([...bytes, 1]))
              .pipe(Effect.map(Option.map((b) => [...b])))
          )
          yield* store.remove("b")
          all.push(yield* store.has("b"), yield* store.size)
          yield* store.clear
          all.push(yield* store.size, yield* store.get("a"), yield* store.clear)
          return all
        })
      expect(yield* seen(kv)).toEqual(yield* seen(memory))
    })
  )

  it.scoped("loses no update when 40 fibers and two clients modify one value", () =>
    Effect.gen(function* () {
      const { kv } = yield* fresh()
      const other = yield* storeOf(yield* connect())
      yield* kv.set("n", "0")
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? kv : other)),
        (store) => store.modify("n", (n) => String(Number(n) + 1)),
        { concurrency: "unbounded" }
      )
      expect(yield* kv.get("n")).toEqual(Option.some("40"))
    })
  )

  it.scoped("loses no update of a store of a schema, whose values stay valid", () =>
    Effect.gen(function* () {
      const { kv } = yield* fresh()
      const counters = kv.forSchema(Schema.Struct({ n: Schema.Int }))
      yield* counters.set("c", { n: 0 })
      yield* Effect.forEach(Array.from({ length: 20 }), () => counters.modify("c", ({ n }) => ({ n: n + 1 })), {
        concurrency: "unbounded"
      })
      expect(yield* counters.get("c")).toEqual(Option.some({ n: 20 }))
      expect(failure(yield* Effect.exit(counters.modify("c", () => ({ n: 0.5 }))))._tag).toBe("ParseError")
      expect(yield* counters.modify("gone", ({ n }) => ({ n }))).toEqual(Option.none())
      expect(yield* counters.get("c")).toEqual(Option.some({ n: 20 }))
    })
  )

  it.scoped("clears, counts and changes only keys with its prefix, in which `*`, `[` and `\\` mean themselves", () =>
    Effect.gen(function* () {
      const { run, redis } = yield* fresh()
      const kv = yield* storeOf(redis, { prefix: "a*[b]\\:" })
      yield* run(Redis.set("axb:other", "1"))
      yield* run(Redis.set("a*[b]", "1"))
      yield* kv.set("one", "1")
      yield* kv.set("two", "1")
      expect(yield* kv.size).toBe(2)
      yield* kv.clear
      expect([yield* kv.size, yield* kv.isEmpty]).toEqual([0, true])
      expect(yield* run(Redis.dbsize())).toBe(2)
    })
  )

  it.scoped("clears and counts thousands of keys, and the whole database only where that was asked for", () =>
    Effect.gen(function* () {
      const { kv, redis, run } = yield* fresh()
      yield* run(Redis.pipeline(Array.from({ length: 3_000 }, (_, i) => Redis.set(`kv:${i}`, "x"))))
      yield* run(Redis.set("foreign", "x"))
      expect(yield* kv.size).toBe(3_000)
      yield* kv.clear
      expect(yield* run(Redis.dbsize())).toBe(1)
      const whole = yield* storeOf(redis, { prefix: RedisStore.wholeDatabase })
      expect([yield* whole.size, yield* whole.get("foreign")]).toEqual([1, Option.some("x")])
      // Somebody else's key need not be text.
      yield* run(Redis.set(new Uint8Array([0xff, 0x01]), "x"))
      expect([yield* whole.size, yield* whole.isEmpty]).toEqual([2, false])
      yield* whole.clear
      expect(yield* run(Redis.dbsize())).toBe(0)
    })
  )

  it.scoped("finds its keys under a client that puts a prefix before every key", () =>
    Effect.gen(function* () {
      const { run } = yield* fresh()
      const prefixed = yield* run(Effect.flatMap(Redis, Effect.succeed).pipe(Redis.withPrefix("app:")))
      const kv = yield* storeOf(prefixed)
      const whole = yield* storeOf(prefixed, { prefix: RedisStore.wholeDatabase })
      yield* kv.set("a", "1")
      yield* run(Redis.set("kv:a", "not of the application"))
      expect([yield* kv.size, yield* whole.size]).toEqual([1, 1])
      yield* kv.clear
      yield* whole.clear
      expect(yield* run(Redis.keys("*"))).toEqual(["kv:a"])
    })
  )

  it.scoped("lets a value live as long as the option says, and `modify` leaves the rest of that time", () =>
    Effect.gen(function* () {
      const { kv, run } = yield* fresh({ timeToLive: Duration.micros(59_999_000_500n / 1000n) })
      yield* kv.set("a", "1")
      expect(yield* run(Redis.pttl("kv:a"))).toMatchObject({ _tag: "Some" })
      yield* run(Redis.pexpire("kv:a", "40 seconds"))
      yield* kv.modify("a", () => "2")
      const left = yield* run(RedisCommand.undecoded(Redis.pttl("kv:a")))
      expect(left).toBeGreaterThan(1_000)
      expect(left).toBeLessThanOrEqual(40_000)
    })
  )

  it.scoped("fails with the platform's errors, which show no key and no value", () =>
    Effect.gen(function* () {
      const { kv, run } = yield* fresh()
      yield* run(Redis.withCodec(Codec.bytes).set("kv:secret-key", new Uint8Array([0xff, 0xfe])))
      yield* run(Redis.rpush("kv:list", ["a"]))
      const errors = [
        failure(yield* Effect.exit(kv.get("secret-key"))),
        failure(yield* Effect.exit(kv.modify("secret-key", () => "x"))),
        failure(yield* Effect.exit(kv.get("list"))),
        failure(yield* Effect.exit(kv.set("k", "\ud800secret-value")))
      ]
      expect(errors.map((error) => (error._tag === "SystemError" ? error.reason : error._tag))).toEqual([
        "InvalidData",
        "InvalidData",
        "Unknown",
        "BadArgument"
      ])
      expect(errors.map(({ message }) => message).join()).not.toContain("secret")
      expect((errors[2] as { readonly cause?: { readonly code?: string } }).cause?.code).toBe("WRONGTYPE")
    })
  )

  it.scoped("says when the user of the server may not do it", () =>
    Effect.gen(function* () {
      const { run } = yield* fresh()
      yield* run(Redis.execute("ACL", "SETUSER", "reader", "on", ">pass", "~*", "+@all", "-set"))
      const redis = yield* connect({ username: "reader", password: Redacted.make("pass") })
      const kv = yield* storeOf(redis)
      const refused = failure(yield* Effect.exit(kv.set("a", "1")))
      expect(refused).toMatchObject({ _tag: "SystemError", reason: "PermissionDenied", method: "set" })
    })
  )

  it.scoped("a change that throws is a defect, and changes nothing", () =>
    Effect.gen(function* () {
      const { kv } = yield* fresh()
      yield* kv.set("a", "1")
      const exit = yield* Effect.exit(
        kv.modify("a", () => {
          throw new Error("of the program")
        })
      )
      expect(Exit.isFailure(exit) && exit.cause._tag).toBe("Die")
      expect(yield* kv.get("a")).toEqual(Option.some("1"))
    })
  )
})
