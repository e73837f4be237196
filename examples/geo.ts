/**
 * Places: what is near, and how far away.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Option, Redacted } from "effect"
import { Redis } from "effect-redis-client"

const cities = "example:cities"

const program = Effect.gen(function* () {
  yield* Redis.del(cities)
  // By name, because people say latitude first and Redis wants longitude first.
  yield* Redis.geoadd(cities, [
    { member: "Palermo", longitude: 13.361389, latitude: 38.115556 },
    { member: "Catania", longitude: 15.087269, latitude: 37.502669 },
    { member: "Naples", longitude: 14.268124, latitude: 40.851775 }
  ])

  // What is asked for decides the type of what is found: { member, distance } here.
  const near = yield* Redis.geosearch(
    cities,
    { fromlonlat: { longitude: 14.27, latitude: 37.57 }, byradius: { radius: 200, unit: "km" } },
    { asc: true, withdist: true }
  )
  for (const { distance, member } of near) {
    yield* Console.log(`${member}, ${distance.toFixed(0)} km from Enna`)
  }

  const apart = yield* Redis.geodist(cities, "Palermo", "Naples", { unit: "km" })
  yield* Console.log(
    `Palermo to Naples: ${Option.match(apart, { onNone: () => "?", onSome: (km) => km.toFixed(0) })} km`
  )

  const [atlantis] = yield* Redis.geopos(cities, ["Atlantis"])
  yield* Console.log(`Atlantis: ${atlantis !== undefined && Option.isSome(atlantis) ? "found" : "not on the map"}`)
})

const url = Config.withDefault(Config.redacted("REDIS_URL"), Redacted.make("redis://localhost:6379"))

program.pipe(Effect.provide(Redis.layerConfig({ url })), NodeRuntime.runMain)

// prints:
//   Catania, 72 km from Enna
//   Palermo, 100 km from Enna
//   Palermo to Naples: 314 km
//   Atlantis: not on the map
