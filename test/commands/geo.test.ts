import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/geo.js"
import { make as makeZsets } from "../../src/commands/sorted-set.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const { array, bulk, double, int, nil, nil2, nilArray } = wire
const geo = make(Codec.utf8)
const users = make(Codec.schema(Schema.Struct({ id: Schema.Number })))
const zsets = makeZsets(Codec.utf8)

const palermo = { longitude: 13.361389, latitude: 38.115556, member: "Palermo" }
const catania = { longitude: 15.087269, latitude: 37.502669, member: "Catania" }
const middle = { longitude: 15, latitude: 37 }
const around = { fromlonlat: middle, byradius: { radius: 200, unit: "km" } } as const
const box = { frommember: "Palermo", bybox: { width: 400, height: 300.5, unit: "mi" } } as const
const corners = [
  { longitude: 10, latitude: 30 },
  { longitude: 20, latitude: 30 },
  { longitude: 20, latitude: 40 },
  { longitude: 10, latitude: 40 }
] as const

describe("geo commands encode their arguments", () => {
  it("GEOADD", () => {
    sends(geo.geoadd("k", palermo), ["GEOADD", "k", "13.361389", "38.115556", "Palermo"])
    sends(geo.geoadd("k", [palermo, catania], { nx: true, ch: true }), [
      "GEOADD",
      "k",
      "NX",
      "CH",
      "13.361389",
      "38.115556",
      "Palermo",
      "15.087269",
      "37.502669",
      "Catania"
    ])
    sends(geo.geoadd("k", palermo, { xx: true }), ["GEOADD", "k", "XX", "13.361389", "38.115556", "Palermo"])
    sends(users.geoadd("k", { ...middle, member: { id: 1 } }), ["GEOADD", "k", "15", "37", '{"id":1}'])
    refuses(geo.geoadd("k", [] as never), /at least one member/)
    refuses(geo.geoadd("k", { ...palermo, latitude: NaN }), /NaN/)
  })

  it("GEODIST, GEOHASH, GEOPOS", () => {
    sends(geo.geodist("k", "a", "b"), ["GEODIST", "k", "a", "b"])
    for (const unit of ["m", "km", "ft", "mi"] as const) {
      sends(geo.geodist("k", "a", "b", { unit }), ["GEODIST", "k", "a", "b", unit.toUpperCase()])
    }
    sends(geo.geohash("k", ["a", "b"]), ["GEOHASH", "k", "a", "b"])
    sends(geo.geohash("k", []), ["GEOHASH", "k"])
    sends(geo.geopos("k", ["a", "b"]), ["GEOPOS", "k", "a", "b"])
    sends(geo.geopos("k", []), ["GEOPOS", "k"])
  })

  it("GEOSEARCH", () => {
    sends(geo.geosearch("k", around), ["GEOSEARCH", "k", "FROMLONLAT", "15", "37", "BYRADIUS", "200", "KM"])
    sends(geo.geosearch("k", box, { desc: true }), [
      "GEOSEARCH",
      "k",
      "FROMMEMBER",
      "Palermo",
      "BYBOX",
      "400",
      "300.5",
      "MI",
      "DESC"
    ])
    sends(
      geo.geosearch("k", around, {
        asc: true,
        count: 3,
        any: true,
        withcoord: true,
        withdist: true,
        withhash: true
      }),
      [
        "GEOSEARCH",
        "k",
        "FROMLONLAT",
        "15",
        "37",
        "BYRADIUS",
        "200",
        "KM",
        "COUNT",
        "3",
        "ANY",
        "ASC",
        "WITHCOORD",
        "WITHDIST",
        "WITHHASH"
      ]
    )
    sends(geo.geosearch("k", { bypolygon: corners }), [
      "GEOSEARCH",
      "k",
      "BYPOLYGON",
      "4",
      "10",
      "30",
      "20",
      "30",
      "20",
      "40",
      "10",
      "40"
    ])
    refuses(geo.geosearch("k", { bypolygon: [corners[0], corners[1]] as never }), /at least three corners/)
  })

  it("GEOSEARCHSTORE", () => {
    sends(geo.geosearchstore("d", "k", around), [
      "GEOSEARCHSTORE",
      "d",
      "k",
      "FROMLONLAT",
      "15",
      "37",
      "BYRADIUS",
      "200",
      "KM"
    ])
    sends(geo.geosearchstore("d", "k", box, { asc: true, count: 1, storedist: true }), [
      "GEOSEARCHSTORE",
      "d",
      "k",
      "FROMMEMBER",
      "Palermo",
      "BYBOX",
      "400",
      "300.5",
      "MI",
      "COUNT",
      "1",
      "ASC",
      "STOREDIST"
    ])
    tagged(geo.geosearchstore("d", "k", { frommember: "a", byradius: { radius: 1, unit: "m" } }), [
      "key",
      "key",
      "token",
      "value",
      "token",
      "value",
      "token"
    ])
  })

  it("GEORADIUS, GEORADIUSBYMEMBER and their _RO forms", () => {
    sends(geo.georadius("k", middle, 200, "km"), ["GEORADIUS", "k", "15", "37", "200", "KM"])
    sends(geo.georadius("k", middle, 200, "ft", { withcoord: true, withdist: true, withhash: true, desc: true }), [
      "GEORADIUS",
      "k",
      "15",
      "37",
      "200",
      "FT",
      "WITHCOORD",
      "WITHDIST",
      "WITHHASH",
      "DESC"
    ])
    sends(geo.georadius("k", middle, 200, "km", { count: 2, any: true, asc: true, store: "d" }), [
      "GEORADIUS",
      "k",
      "15",
      "37",
      "200",
      "KM",
      "COUNT",
      "2",
      "ANY",
      "ASC",
      "STORE",
      "d"
    ])
    sends(geo.georadiusbymember("k", "a", 1.5, "m", { storedist: "d" }), [
      "GEORADIUSBYMEMBER",
      "k",
      "a",
      "1.5",
      "M",
      "STOREDIST",
      "d"
    ])
    sends(geo.georadiusRo("k", middle, 200, "km", { withdist: true }), [
      "GEORADIUS_RO",
      "k",
      "15",
      "37",
      "200",
      "KM",
      "WITHDIST"
    ])
    sends(geo.georadiusbymemberRo("k", "a", 200, "km", { count: 1 }), [
      "GEORADIUSBYMEMBER_RO",
      "k",
      "a",
      "200",
      "KM",
      "COUNT",
      "1"
    ])
    tagged(geo.georadius("k", middle, 200, "km", { store: "d" }), [
      "key",
      "value",
      "value",
      "value",
      "token",
      "token",
      "key"
    ])
    expect(geo.georadius("k", middle, 1, "m").traits.readonly).toBe(false)
    expect(geo.georadiusRo("k", middle, 1, "m").traits.readonly).toBe(true)
  })
})

describe("geo commands decode their replies", () => {
  const position = [array(bulk("13.5"), bulk("38.25")), array(double("13.5"), double("38.25"))] as const
  const place = { longitude: 13.5, latitude: 38.25 }

  it("GEOADD, GEODIST, GEOHASH, GEOPOS", () => {
    reads(geo.geoadd("k", palermo), int(1), 1)
    reads(geo.geodist("k", "a", "b"), bulk("166274.1516"), Option.some(166274.1516))
    readsEach(geo.geodist("k", "a", "b"), [nil2, nil], Option.none())
    readsEach(
      geo.geohash("k", ["a", "b"]),
      [array(bulk("sqc8b49rny0"), nil2), array(bulk("sqc8b49rny0"), nil)],
      [Option.some("sqc8b49rny0"), Option.none()]
    )
    readsEach(
      geo.geopos("k", ["a", "b"]),
      [array(position[0], nilArray), array(position[1], nil)],
      [Option.some(place), Option.none()]
    )
  })

  it("searches with distance, hash and coordinates, as asked for", () => {
    reads(geo.geosearch("k", around), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(users.geosearch("k", around, { withdist: true }), array(array(bulk('{"id":1}'), bulk("1.5"))), [
      { member: { id: 1 }, distance: 1.5 }
    ])
    reads(geo.geosearch("k", around, { withhash: true }), array(array(bulk("a"), int(3479099956230698))), [
      { member: "a", hash: 3479099956230698 }
    ])
    readsEach(
      geo.geosearch("k", around, { withcoord: true }),
      position.map((at) => array(array(bulk("a"), at))),
      [{ member: "a", coordinates: place }]
    )
    readsEach(
      geo.georadius("k", middle, 1, "m", { withcoord: true, withhash: true, withdist: true }),
      position.map((at) => array(array(bulk("a"), bulk("190.4424"), int(5), at))),
      [{ member: "a", distance: 190.4424, hash: 5, coordinates: place }]
    )
    reads(geo.georadiusbymember("k", "a", 1, "m", { withhash: true, withdist: true }), array(), [])
    reads(geo.georadius("k", middle, 1, "m", { store: "d" }), int(2), 2)
  })

  it("a reply of another form fails with its path", () => {
    const command = users.geosearch("k", around, { withdist: true })
    readsError(command, array(array(bulk("1"), bulk("1"))), { _tag: "DecodeError", path: [0, "member"] })
    readsError(command, array(array(bulk('{"id":1}'))), { _tag: "DecodeError", path: [0, "distance"] })
    const hashes = geo.geosearch("k", around, { withhash: true })
    readsError(hashes, array(array(bulk("a"), bulk("1.5"))), { _tag: "DecodeError", path: [0, "hash"] })
    readsError(geo.geosearch("k", around), wire.error("ERR could not decode requested zset member"), {
      _tag: "ReplyError",
      code: "ERR"
    })
  })
})

liveSuite("geo", ({ effect, needsVersion }) => {
  const cities = geo.geoadd("k", [palermo, catania])
  const nearly = (place: { readonly longitude: number; readonly latitude: number }) => ({
    longitude: expect.closeTo(place.longitude, 4),
    latitude: expect.closeTo(place.latitude, 4)
  })

  effect("GEOADD, GEODIST, GEOHASH, GEOPOS", () =>
    Effect.gen(function* () {
      expect(yield* cities).toBe(2)
      expect(yield* geo.geoadd("k", { ...palermo, latitude: 38 }, { nx: true, ch: true })).toBe(0)
      expect(yield* geo.geoadd("k", { ...palermo, latitude: 38.1 }, { xx: true, ch: true })).toBe(1)
      yield* geo.geoadd("k", palermo)
      expect(yield* geo.geodist("k", "Palermo", "Catania", { unit: "km" })).toEqual(Option.some(166.2742))
      expect(yield* geo.geodist("k", "Palermo", "none")).toEqual(Option.none())
      expect(yield* geo.geohash("k", ["Palermo", "none"])).toEqual([Option.some("sqc8b49rny0"), Option.none()])
      expect(yield* geo.geohash("k", [])).toEqual([])
      const [there, missing] = yield* geo.geopos("k", ["Palermo", "none"])
      expect(there).toMatchObject({ value: nearly(palermo) })
      expect(missing).toEqual(Option.none())
    })
  )

  effect("GEOSEARCH", () =>
    Effect.gen(function* () {
      yield* cities
      expect(yield* geo.geosearch("k", around, { asc: true })).toEqual(["Catania", "Palermo"])
      expect(yield* geo.geosearch("k", around, { desc: true, count: 1 })).toEqual(["Palermo"])
      const all = { asc: true, withcoord: true, withdist: true, withhash: true } as const
      expect(yield* geo.geosearch("k", around, all)).toEqual([
        { member: "Catania", distance: 56.4413, hash: 3479447370796909, coordinates: nearly(catania) },
        { member: "Palermo", distance: 190.4424, hash: 3479099956230698, coordinates: nearly(palermo) }
      ])
      const near = { frommember: "Palermo", bybox: { width: 10, height: 10, unit: "km" } } as const
      expect(yield* geo.geosearch("k", near, { withdist: true, count: 5, any: true })).toEqual([
        { member: "Palermo", distance: 0 }
      ])
      expect(yield* geo.geosearch("k", near, { withcoord: true })).toEqual([
        { member: "Palermo", coordinates: nearly(palermo) }
      ])
      expect(yield* geo.geosearch("none", around)).toEqual([])
      const lost = geo.geosearch("k", { frommember: "none", byradius: { radius: 1, unit: "ft" } })
      expect(yield* Effect.flip(lost)).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )

  effect("GEOSEARCH BYPOLYGON", () =>
    Effect.gen(function* () {
      yield* needsVersion({ valkey: "9.0" })
      yield* cities
      expect(yield* geo.geosearch("k", { bypolygon: corners }, { asc: true, withdist: true })).toEqual([
        { member: "Catania", distance: 267053.9696 },
        { member: "Palermo", distance: 365634.1492 }
      ])
      expect(yield* geo.geosearchstore("d", "k", { bypolygon: corners }, { storedist: true })).toBe(2)
    })
  )

  effect("GEOSEARCHSTORE", () =>
    Effect.gen(function* () {
      yield* cities
      expect(yield* geo.geosearchstore("d", "k", around, { asc: true, count: 1 })).toBe(1)
      expect(yield* zsets.zrange("d", 0, -1, { withscores: true })).toEqual([["Catania", 3479447370796909]])
      expect(yield* geo.geosearchstore("d", "k", around, { storedist: true })).toBe(2)
      expect(yield* zsets.zscore("d", "Palermo")).toEqual(Option.some(expect.closeTo(190.4424, 3)))
    })
  )

  effect("GEORADIUS, GEORADIUSBYMEMBER and their _RO forms", () =>
    Effect.gen(function* () {
      yield* cities
      expect(yield* geo.georadius("k", middle, 200, "km", { asc: true })).toEqual(["Catania", "Palermo"])
      expect(yield* geo.georadius("k", middle, 200, "km", { store: "d" })).toBe(2)
      expect(yield* geo.georadius("k", middle, 100, "km", { storedist: "d" })).toBe(1)
      expect(yield* geo.georadiusRo("k", middle, 100, "km", { withdist: true })).toEqual([
        { member: "Catania", distance: 56.4413 }
      ])
      expect(yield* geo.georadiusbymember("k", "Palermo", 10, "mi", { withhash: true })).toEqual([
        { member: "Palermo", hash: 3479099956230698 }
      ])
      expect(yield* geo.georadiusbymember("k", "Palermo", 200, "km", { storedist: "d", count: 1 })).toBe(1)
      expect(yield* geo.georadiusbymemberRo("k", "Palermo", 200, "km", { desc: true })).toEqual(["Catania", "Palermo"])
    })
  )

  effect("errors", () =>
    Effect.gen(function* () {
      yield* RedisCommand.make("SET", { args: [RedisCommand.key("text"), "v"] })
      const wrong = { _tag: "ReplyError", code: "WRONGTYPE" }
      expect(yield* Effect.flip(geo.geoadd("text", palermo))).toMatchObject(wrong)
      expect(yield* Effect.flip(geo.geosearch("text", around, { withdist: true }))).toMatchObject(wrong)
      const nowhere = geo.geoadd("k", { ...palermo, latitude: 90 })
      expect(yield* Effect.flip(nowhere)).toMatchObject({ _tag: "ReplyError", code: "ERR" })
    })
  )
})
