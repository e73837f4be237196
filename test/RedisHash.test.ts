/** Hashes by a schema: what is sent, how replies are read, and that all of it works on every server. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Redis, RedisHash } from "effect-redis-client"
import { eachServer, on } from "./support/client.js"
import { reads, readsEach, readsError, refuses, sends, tagged, wire } from "./support/commands.js"
import { Admin, adminName, Renamed, Theme, throwing } from "./support/schemas.js"

const { array, bulk, map, nil, nil2 } = wire

const User = Schema.Struct({
  name: Schema.NonEmptyString,
  born: Schema.Date,
  visits: Schema.NumberFromString,
  email: Schema.optional(Schema.String),
  theme: Theme,
  admin: Admin
})
const users = RedisHash.make(User)
const ada = { name: "Ada", born: new Date(0), visits: 3, theme: "dark", admin: true } as const
const stored = ["name", "Ada", "born", "1970-01-01T00:00:00.000Z", "visits", "3", "theme", "dark", adminName, "true"]
const flat = stored.map(bulk)

describe("hashes by a schema", () => {
  it("are stored field by field, under their encoded names, without absent ones", () => {
    sends(users.hset("u", ada), ["HSET", "u", ...stored.slice(0, 6), "theme", "dark", adminName, "true"])
    sends(users.hset("u", { ...ada, email: undefined }), ["HSET", "u", ...stored])
    sends(users.pick("visits").hset("u", { visits: 4 }), ["HSET", "u", "visits", "4"])
    sends(users.pick("admin", "name").hset("u", { admin: false, name: "A" }), [
      "HSET",
      "u",
      adminName,
      "false",
      "name",
      "A"
    ])
    tagged(users.pick("visits").hset("u", { visits: 4 }), ["key", "value", "value"])
  })

  it("are read whole; a missing hash is None, and fields that the schema does not name are ignored", () => {
    sends(users.hgetall("u"), ["HGETALL", "u"])
    readsEach(users.hgetall("u"), [array(...flat), map(...flat)], Option.some(ada))
    const more = [...flat.slice(0, 6), bulk(adminName), bulk("true"), bulk("__proto__"), bulk("x")]
    readsEach(users.hgetall("u"), [array(...more), map(...more)], Option.some({ ...ada, theme: "light" }))
    readsEach(users.hgetall("u"), [array(), map()], Option.none())
  })

  it("are stored and read whole under the names that a schema gives to its encoded fields", () => {
    const renamed = RedisHash.make(Renamed)
    sends(renamed.hset("u", { name: "Ada", admin: true }), ["HSET", "u", "name", "Ada", "is_admin", "true"])
    const reply = map(bulk("name"), bulk("Ada"), bulk("is_admin"), bulk("true"))
    reads(renamed.hgetall("u"), reply, Option.some({ name: "Ada", admin: true }))
    readsError(renamed.hgetall("u"), map(bulk("name"), bulk("Ada"), bulk("is_admin"), bulk("s3cr3t")), {
      _tag: "DecodeError",
      command: "HGETALL",
      path: ["is_admin"]
    })
  })

  it("are read in part, by the names of the schema; without any of the fields that is None", () => {
    sends(users.hmget("u", "name"), ["HMGET", "u", "name"])
    sends(users.hmget("u", ["admin", "email"]), ["HMGET", "u", adminName, "email"])
    sends(users.hmget("u", Chunk.make("admin" as const, "email" as const)), ["HMGET", "u", adminName, "email"])
    for (const none of [nil, nil2]) {
      reads(users.hmget("u", ["admin", "email"]), array(bulk("true"), none), Option.some({ admin: true }))
      reads(users.hmget("u", ["admin", "email"]), array(none, none), Option.none())
      readsError(users.hmget("u", ["admin", "email"]), array(none, bulk("e")), {
        _tag: "DecodeError",
        command: "HMGET",
        path: [adminName]
      })
    }
  })

  it("that do not fit are a DecodeError with the field in its path, never its value", () => {
    const secret = "s3cr3t"
    const wrong = [
      bulk("name"),
      bulk("Ada"),
      bulk("born"),
      bulk("1970-01-01T00:00:00.000Z"),
      bulk("visits"),
      bulk(secret)
    ]
    readsError(users.hgetall("u"), map(...wrong), { _tag: "DecodeError", command: "HGETALL", path: ["visits"] })
    const bytes = Buffer.concat([Buffer.from("*2\r\n$4\r\nname\r\n$1\r\n"), Uint8Array.of(0xff), Buffer.from("\r\n")])
    readsError(users.pick("name").hgetall("u"), bytes, { _tag: "DecodeError", path: ["name"] })
  })

  it("that do not encode are not sent", () => {
    refuses(users.hset("u", { ...ada, name: "" }), /HSET: the fields do not encode at name/)
    refuses(users.pick("email").hset("u", {}), /at least one field/)
    refuses(users.hmget("u", []), /at least one field/)
    refuses(users.hmget("u", Chunk.empty<"name">()), /at least one field/)
    refuses(users.hmget("u", "nothing" as "name"), /no field of that name/)
    refuses(users.hmget("u", "toString" as "name"), /no field of that name/)
    const untyped = RedisHash.make(Schema.Struct({ any: Schema.Any }))
    refuses(untyped.hset("u", { any: 1 }), /not each is text/)
    refuses(RedisHash.make(Schema.Struct({ a: throwing("s3cr3t") })).hset("u", { a: "1" }), /its schema threw$/)
  })

  it("may be of a class, a union or a record", () => {
    class Point extends Schema.Class<Point>("Point")({ x: Schema.NumberFromString, y: Schema.NumberFromString }) {}
    const points = RedisHash.make(Point)
    sends(points.hset("p", new Point({ x: 1, y: 2 })), ["HSET", "p", "x", "1", "y", "2"])
    reads(points.hgetall("p"), map(bulk("x"), bulk("1"), bulk("y"), bulk("2")), Option.some(new Point({ x: 1, y: 2 })))
    reads(points.hmget("p", "y"), array(bulk("2")), Option.some({ y: 2 }))
    const shapes = RedisHash.make(
      Schema.Union(
        Schema.Struct({ kind: Schema.Literal("circle"), radius: Schema.NumberFromString }),
        Schema.Struct({ kind: Schema.Literal("square"), side: Schema.NumberFromString })
      )
    )
    sends(shapes.hset("s", { kind: "square", side: 2 }), ["HSET", "s", "kind", "square", "side", "2"])
    const counts = RedisHash.make(Schema.Record({ key: Schema.String, value: Schema.NumberFromString }))
    sends(counts.hset("c", { a: 1 }), ["HSET", "c", "a", "1"])
    reads(counts.hgetall("c"), map(bulk("a"), bulk("1")), Option.some({ a: 1 }))
  })

  it("make equal commands of equal arguments", () => {
    expect(Equal.equals(users.hgetall("u"), users.hgetall("u"))).toBe(true)
    expect(Equal.equals(users.hmget("u", ["name"]), users.hmget("u", ["name"]))).toBe(true)
    expect(Equal.equals(users.hmget("u", ["name"]), users.hmget("u", ["email"]))).toBe(false)
    expect(RedisHash.isRedisHash(users)).toBe(true)
    expect(RedisHash.isRedisHash({})).toBe(false)
  })
})

eachServer((it, { connect, protocol }) => {
  it.scoped("run alone, in pipelines and in transactions, with prefixes", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const key = `hash:${protocol}`
      yield* run(Redis.del(key))
      expect(yield* run(users.hgetall(key))).toEqual(Option.none())
      expect(yield* run(users.hset(key, ada))).toBe(5)
      expect(yield* run(users.hgetall(key))).toEqual(Option.some(ada))
      expect(
        yield* run(
          Redis.pipeline({
            changed: users.pick("visits", "email").hset(key, { visits: 4, email: "ada@example.org" }),
            contact: users.hmget(key, ["name", "email"]),
            missing: users.hmget(`${key}:missing`, "name")
          })
        )
      ).toEqual({
        changed: 1,
        contact: Option.some({ name: "Ada", email: "ada@example.org" }),
        missing: Option.none()
      })
      // A hash is replaced whole when it is deleted in the same transaction: HSET leaves absent fields as they are.
      expect(yield* run(Redis.transaction([users.hset(key, ada), users.hgetall(key)]))).toEqual([
        0,
        Option.some({ ...ada, email: "ada@example.org" })
      ])
      expect(yield* run(Redis.transaction([Redis.del(key), users.hset(key, ada), users.hgetall(key)]))).toEqual([
        1,
        5,
        Option.some(ada)
      ])
      expect(yield* run(Redis.withPrefix(users.hgetall(String(protocol)), "hash:"))).toEqual(Option.some(ada))
      yield* run(Redis.hset(key, "visits", "many"))
      expect(yield* Effect.flip(run(users.hgetall(key)))).toMatchObject({ _tag: "DecodeError", path: ["visits"] })
      yield* run(Redis.set(key, "x"))
      expect(yield* Effect.flip(run(users.hgetall(key)))).toMatchObject({ _tag: "ReplyError", code: "WRONGTYPE" })
    })
  )
})
