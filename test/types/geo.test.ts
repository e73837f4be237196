/**
 * Type tests of the geo commands (docs/decisions/0002).
 */
import * as Codec from "effect-redis-client/Codec"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { describe, expectTypeOf, it } from "vitest"
import { type GeoCoordinates, make } from "../../src/commands/geo.js"

const geo = make(Codec.utf8)
const center = { longitude: 15, latitude: 37 }
const around = { fromlonlat: center, byradius: { radius: 200, unit: "km" } } as const

describe("geo", () => {
  it("answers the properties that were asked for", () => {
    expectTypeOf(geo.geosearch("k", around)).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(geo.geosearch("k", around, { asc: true, count: 1 })).toEqualTypeOf<RedisCommand<Array<string>>>()
    expectTypeOf(geo.geosearch("k", around, { withdist: true })).toEqualTypeOf<
      RedisCommand<Array<{ readonly member: string; readonly distance: number }>>
    >()
    expectTypeOf(geo.georadius("k", center, 1, "m", { withdist: true, withcoord: true, withhash: true })).toEqualTypeOf<
      RedisCommand<
        Array<{
          readonly member: string
          readonly coordinates: GeoCoordinates
          readonly distance: number
          readonly hash: number
        }>
      >
    >()
    expectTypeOf(geo.georadius("k", center, 1, "m", { store: "d" })).toEqualTypeOf<RedisCommand<number>>()
  })

  it("refuses incomplete and contradictory options", () => {
    // @ts-expect-error: a center is required
    geo.geosearch("k", { byradius: { radius: 200, unit: "km" } })
    // @ts-expect-error: FROMMEMBER and FROMLONLAT exclude each other
    geo.geosearch("k", { ...around, frommember: "a" })
    // @ts-expect-error: shapes exclude each other
    geo.geosearch("k", { ...around, bybox: { width: 1, height: 1, unit: "m" } })
    // @ts-expect-error: a polygon has no center
    geo.geosearch("k", { fromlonlat: center, bypolygon: [center, center, center] })
    // @ts-expect-error: a unit is required
    geo.geosearch("k", { fromlonlat: center, byradius: { radius: 200 } })
    // @ts-expect-error: ASC and DESC exclude each other
    geo.geosearch("k", around, { asc: true, desc: true })
    // @ts-expect-error: ANY needs a count
    geo.geosearch("k", around, { any: true })
    // @ts-expect-error: this option does not exist
    geo.geosearch("k", around, { withDist: true })
    // @ts-expect-error: STORE excludes options of the answer
    geo.georadius("k", center, 1, "m", { store: "d", withdist: true })
    // @ts-expect-error: STORE and STOREDIST exclude each other
    geo.georadius("k", center, 1, "m", { store: "d", storedist: "e" })
    // @ts-expect-error: GEORADIUS_RO cannot store
    geo.georadiusRo("k", center, 1, "m", { store: "d" })
    // @ts-expect-error: NX and XX exclude each other
    geo.geoadd("k", { ...center, member: "a" }, { nx: true, xx: true })
    // @ts-expect-error: a member is required
    geo.geoadd("k", center)
    // @ts-expect-error: this unit does not exist
    geo.geodist("k", "a", "b", { unit: "miles" })
  })
})
