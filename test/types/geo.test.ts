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
  it("answers what was asked for", () => {
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

  it("takes what makes sense together", () => {
    // @ts-expect-error: from where?
    geo.geosearch("k", { byradius: { radius: 200, unit: "km" } })
    // @ts-expect-error: around one thing
    geo.geosearch("k", { ...around, frommember: "a" })
    // @ts-expect-error: one shape
    geo.geosearch("k", { ...around, bybox: { width: 1, height: 1, unit: "m" } })
    // @ts-expect-error: a polygon is nowhere around
    geo.geosearch("k", { fromlonlat: center, bypolygon: [center, center, center] })
    // @ts-expect-error: three corners at least
    geo.geosearch("k", { bypolygon: [center, center] })
    // @ts-expect-error: in which unit?
    geo.geosearch("k", { fromlonlat: center, byradius: { radius: 200 } })
    // @ts-expect-error: up or down
    geo.geosearch("k", around, { asc: true, desc: true })
    // @ts-expect-error: any of how many?
    geo.geosearch("k", around, { any: true })
    // @ts-expect-error: no such option
    geo.geosearch("k", around, { withDist: true })
    // @ts-expect-error: what is stored is not answered
    geo.georadius("k", center, 1, "m", { store: "d", withdist: true })
    // @ts-expect-error: stored once
    geo.georadius("k", center, 1, "m", { store: "d", storedist: "e" })
    // @ts-expect-error: stored nowhere
    geo.georadiusRo("k", center, 1, "m", { store: "d" })
    // @ts-expect-error: new or old
    geo.geoadd("k", { ...center, member: "a" }, { nx: true, xx: true })
    // @ts-expect-error: who is there?
    geo.geoadd("k", center)
    // @ts-expect-error: no such unit
    geo.geodist("k", "a", "b", { unit: "miles" })
  })
})
