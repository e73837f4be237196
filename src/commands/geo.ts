/**
 * Geographic positions: members of a sorted set whose scores are geohashes.
 *
 * @see https://redis.io/docs/latest/commands/?group=geo
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type * as Types from "effect/Types"
import type { Codec } from "../Codec.js"
import {
  type Args,
  type AtMostOne,
  args,
  type Checked,
  type ExactlyOne,
  type ExcludedBy,
  type Given,
  type IfFlag,
  type IfGiven,
  type Key,
  type List,
  type Needs,
  type OneOrMany,
  type Possible,
  toList
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * A position, in degrees. The fields have names because people say latitude first while Redis takes longitude first.
 *
 * @since 0.1.0
 * @category models
 */
export interface GeoCoordinates {
  readonly longitude: number
  /** From -85.05112878 to 85.05112878. */
  readonly latitude: number
}

/**
 * A member and its position.
 *
 * @since 0.1.0
 * @category models
 */
export interface GeoMember<V> extends GeoCoordinates {
  readonly member: V
}

/**
 * Metres, kilometres, feet or miles.
 *
 * @since 0.1.0
 * @category models
 */
export type GeoUnit = "m" | "km" | "ft" | "mi"

/**
 * Where to search: around a member or a position, within a radius or a box; or within a polygon.
 *
 * @since 0.1.0
 * @category options
 */
export type GeoArea<V> =
  | (ExactlyOne<{
      /** Around this member. */
      readonly frommember: V
      /** Around this position. */
      readonly fromlonlat: GeoCoordinates
    }> &
      ExactlyOne<{
        /** At most this far away. */
        readonly byradius: { readonly radius: number; readonly unit: GeoUnit }
        /** Within a box of this size. */
        readonly bybox: { readonly width: number; readonly height: number; readonly unit: GeoUnit }
      }> & { readonly bypolygon?: undefined })
  | {
      /** Within the polygon with these corners, at least three; distances are in metres from its centre. Valkey 9.0; not in Redis. */
      readonly bypolygon: List<GeoCoordinates>
      readonly frommember?: undefined
      readonly fromlonlat?: undefined
      readonly byradius?: undefined
      readonly bybox?: undefined
    }

/**
 * The order and the number of results.
 *
 * @since 0.1.0
 * @category options
 */
export type GeoSearchOptions = AtMostOne<{
  /** Nearest first. */
  readonly asc: true
  /** Farthest first. */
  readonly desc: true
}> &
  (
    | { readonly count?: undefined; readonly any?: undefined }
    | {
        /** At most this many members: the nearest ones. */
        readonly count: number
        /** Take the first members found instead of the nearest ones, which is faster. */
        readonly any?: boolean | undefined
      }
  )

/**
 * What to return in addition to the members.
 *
 * @since 0.1.0
 * @category options
 */
export interface GeoWith<Coord, Dist, Hash> {
  /** Their positions. */
  readonly withcoord?: Coord | undefined
  /** Their distances, in the unit of the search. */
  readonly withdist?: Dist | undefined
  /** Their geohashes, as the integers that are their scores. */
  readonly withhash?: Hash | undefined
}

type Flag = boolean | undefined

/**
 * A found member: the member itself, or a record of it with the fields asked for in {@link GeoWith}.
 *
 * @since 0.1.0
 * @category models
 */
export type GeoFound<V, Coord, Dist, Hash> = Coord extends unknown
  ? Dist extends unknown
    ? Hash extends unknown
      ? true extends Coord | Dist | Hash
        ? Types.Simplify<
            { readonly member: V } & (Coord extends true ? { readonly coordinates: GeoCoordinates } : unknown) &
              (Dist extends true ? { readonly distance: number } : unknown) &
              (Hash extends true ? { readonly hash: number } : unknown)
          >
        : V
      : never
    : never
  : never

/**
 * The options of GEORADIUS: at most one order and one key to store in, `any` only with `count`, and the `with…` only
 * where nothing is stored.
 *
 * @since 0.1.0
 * @category options
 */
export interface GeoradiusOptions extends GeoWith<boolean, boolean, boolean> {
  /** Nearest first. */
  readonly asc?: boolean | undefined
  /** Farthest first. */
  readonly desc?: boolean | undefined
  /** At most this many members: the nearest ones. */
  readonly count?: number | undefined
  /** Take the first members found instead of the nearest ones, which is faster. */
  readonly any?: boolean | undefined
  /** The key to store the members in, with their geohashes as scores. */
  readonly store?: Key | undefined
  /** The key to store the members in, with their distances as scores. */
  readonly storedist?: Key | undefined
}

type StoreWord = "store" | "storedist"

/**
 * The options that a call of GEORADIUS gives, with what is wrong with them.
 *
 * @since 0.1.0
 * @category options
 */
export type CheckedGeoradius<O> = Checked<O, GeoradiusOptions, "asc" | "desc", StoreWord> &
  ([Possible<O, "any">] extends [never]
    ? unknown
    : [Possible<O, "count">] extends [never]
      ? { readonly any: Needs<"count"> }
      : unknown) &
  ([Given<O, StoreWord>] extends [never]
    ? unknown
    : { readonly [K in Given<O, "withcoord" | "withdist" | "withhash">]: ExcludedBy<Given<O, StoreWord>> })

/**
 * What GEORADIUS returns: the number of members where it stores them, else the members.
 *
 * @since 0.1.0
 * @category models
 */
export type GeoradiusResult<O, V> = IfGiven<
  O,
  "store",
  number,
  IfGiven<
    O,
    "storedist",
    number,
    Array<
      GeoFound<
        V,
        IfFlag<O, "withcoord", true, false>,
        IfFlag<O, "withdist", true, false>,
        IfFlag<O, "withhash", true, false>
      >
    >
  >
>

/**
 * The commands on geographic positions.
 *
 * @since 0.1.0
 * @category models
 */
export interface GeoCommands<V> {
  /**
   * Adds members, or moves existing ones, and returns how many are new (with `ch`: new or moved).
   *
   * O(log N) for each, where N is the size of the set. Since Redis 3.2.0; the options since 6.2.0.
   *
   * @example
   * ```ts
   * yield* Redis.geoadd("cities", { longitude: 13.361389, latitude: 38.115556, member: "Palermo" })
   * ```
   */
  readonly geoadd: (
    key: Key,
    members: OneOrMany<GeoMember<V>>,
    options?: AtMostOne<{
      /** Only add new members; do not move existing ones. */
      readonly nx: true
      /** Only move existing members. */
      readonly xx: true
    }> & {
      /** Count moved members as well as new ones. */
      readonly ch?: boolean | undefined
    }
  ) => RedisCommand<number>

  /**
   * The distance between two members, in metres or in `unit`; `None` when one of them is missing.
   *
   * O(1). Since Redis 3.2.0.
   *
   * @example
   * ```ts
   * const far = yield* Redis.geodist("cities", "Palermo", "Catania", { unit: "km" }) // Option<number>
   * ```
   */
  readonly geodist: (
    key: Key,
    member1: V,
    member2: V,
    options?: { readonly unit?: GeoUnit | undefined }
  ) => RedisCommand<Option.Option<number>>

  /**
   * The standard geohash strings of members, in order; `None` for a missing member.
   *
   * O(1) for each. Since Redis 3.2.0.
   */
  readonly geohash: (key: Key, members: OneOrMany<V>) => RedisCommand<Array<Option.Option<string>>>

  /**
   * The positions of members, in order; `None` for a missing member.
   *
   * O(1) for each. Since Redis 3.2.0.
   *
   * @example
   * ```ts
   * const [palermo] = yield* Redis.geopos("cities", ["Palermo"]) // Option<{ longitude: number, latitude: number }>
   * ```
   */
  readonly geopos: (key: Key, members: OneOrMany<V>) => RedisCommand<Array<Option.Option<GeoCoordinates>>>

  /**
   * The members within a radius around a position. With `store` or `storedist` they are stored, and their number is
   * returned.
   *
   * O(N + log M) for N members around the position and M in the set. Since Redis 3.2.0.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link geosearch} or {@link geosearchstore}
   */
  readonly georadius: <const O extends GeoradiusOptions | undefined = undefined>(
    key: Key,
    center: GeoCoordinates,
    radius: number,
    unit: GeoUnit,
    options?: CheckedGeoradius<O>
  ) => RedisCommand<GeoradiusResult<O, V>>

  /**
   * {@link georadius} without storing: it only reads, so replicas can execute it.
   *
   * O(N + log M) for N members around the position and M in the set. Since Redis 3.2.10.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link geosearch}
   */
  readonly georadiusRo: <Coord extends Flag = undefined, Dist extends Flag = undefined, Hash extends Flag = undefined>(
    key: Key,
    center: GeoCoordinates,
    radius: number,
    unit: GeoUnit,
    options?: GeoSearchOptions & GeoWith<Coord, Dist, Hash>
  ) => RedisCommand<Array<GeoFound<V, Coord, Dist, Hash>>>

  /**
   * {@link georadius} around a member.
   *
   * O(N + log M) for N members around it and M in the set. Since Redis 3.2.0.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link geosearch} or {@link geosearchstore} with `frommember`
   */
  readonly georadiusbymember: <const O extends GeoradiusOptions | undefined = undefined>(
    key: Key,
    member: V,
    radius: number,
    unit: GeoUnit,
    options?: CheckedGeoradius<O>
  ) => RedisCommand<GeoradiusResult<O, V>>

  /**
   * {@link georadiusbymember} without storing: it only reads, so replicas can execute it.
   *
   * O(N + log M) for N members around it and M in the set. Since Redis 3.2.10.
   *
   * @deprecated since Redis 6.2.0 (not in Valkey): use {@link geosearch} with `frommember`
   */
  readonly georadiusbymemberRo: <
    Coord extends Flag = undefined,
    Dist extends Flag = undefined,
    Hash extends Flag = undefined
  >(
    key: Key,
    member: V,
    radius: number,
    unit: GeoUnit,
    options?: GeoSearchOptions & GeoWith<Coord, Dist, Hash>
  ) => RedisCommand<Array<GeoFound<V, Coord, Dist, Hash>>>

  /**
   * The members in an area. With `withcoord`, `withdist` or `withhash` each result is a record of the member and these
   * fields.
   *
   * O(N + log M) for N members around the area and M in it. Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const near = yield* Redis.geosearch(
   *   "cities",
   *   { fromlonlat: { longitude: 15, latitude: 37 }, byradius: { radius: 200, unit: "km" } },
   *   { asc: true, count: 10, withdist: true }
   * ) // Array<{ member: string, distance: number }>
   * ```
   */
  readonly geosearch: <Coord extends Flag = undefined, Dist extends Flag = undefined, Hash extends Flag = undefined>(
    key: Key,
    area: GeoArea<V>,
    options?: GeoSearchOptions & GeoWith<Coord, Dist, Hash>
  ) => RedisCommand<Array<GeoFound<V, Coord, Dist, Hash>>>

  /**
   * Stores the members in an area as a sorted set, and returns how many. An existing destination is overwritten. The
   * scores are geohashes, or distances with `storedist`.
   *
   * O(N + log M) for N members around the area and M in it. Since Redis 6.2.0.
   */
  readonly geosearchstore: (
    destination: Key,
    source: Key,
    area: GeoArea<V>,
    options?: GeoSearchOptions & { readonly storedist?: boolean | undefined }
  ) => RedisCommand<number>
}

const GEOADD = define("GEOADD")
const GEODIST = define("GEODIST")
const GEOHASH = define("GEOHASH")
const GEOPOS = define("GEOPOS")
const GEORADIUS = define("GEORADIUS")
const GEORADIUS_RO = define("GEORADIUS_RO")
const GEORADIUSBYMEMBER = define("GEORADIUSBYMEMBER")
const GEORADIUSBYMEMBER_RO = define("GEORADIUSBYMEMBER_RO")
const GEOSEARCH = define("GEOSEARCH")
const GEOSEARCHSTORE = define("GEOSEARCHSTORE")

/** The options at run time. */
interface Order {
  readonly asc?: boolean | undefined
  readonly desc?: boolean | undefined
  readonly count?: number | undefined
  readonly any?: boolean | undefined
}

interface Search extends Order {
  readonly withcoord?: boolean | undefined
  readonly withdist?: boolean | undefined
  readonly withhash?: boolean | undefined
  readonly store?: Key | undefined
  readonly storedist?: Key | undefined
}

const unit = (builder: Args, unit: GeoUnit): Args => builder.word(unit)

const place = (builder: Args, { latitude, longitude }: GeoCoordinates): Args =>
  builder.double(longitude).double(latitude)

const order = (builder: Args, options: Order | undefined): Args =>
  builder
    .atMostOne(options, ["asc", "desc"])
    .option("COUNT", options?.count, (args, count) => args.integer(count))
    .flag("ANY", options?.any)
    .flag("ASC", options?.asc)
    .flag("DESC", options?.desc)

const extras = (builder: Args, options: Search | undefined): Args =>
  builder.flag("WITHCOORD", options?.withcoord).flag("WITHDIST", options?.withdist).flag("WITHHASH", options?.withhash)

const radiusOptions = (builder: Args, options: Search | undefined): Args =>
  order(extras(builder, options), options)
    .atMostOne(options, ["store", "storedist"])
    .option("STORE", options?.store, (args, key) => args.key(key))
    .option("STOREDIST", options?.storedist, (args, key) => args.key(key))

const lonLat = Decode.tuple(Decode.double, Decode.double)

const coordinates: Decode.Decoder<GeoCoordinates> = (reply) => {
  const [longitude, latitude] = lonLat(reply)
  return { longitude, latitude }
}

const optionalCoordinates = Decode.array(Decode.nullable(coordinates))
const optionalTexts = Decode.array(Decode.nullable(Decode.text))
const optionalDouble = Decode.nullable(Decode.double)

/** The server sends the fields in this order, whatever the order of the options. */
const parts = [
  ["distance", Decode.double],
  ["hash", Decode.integer],
  ["coordinates", coordinates]
] as const

/** The decoder for one of the eight forms of a result. `form` has a bit for each part in {@link parts}. */
const foundDecoder = <V>(member: Decode.Decoder<V>, form: number): Decode.Decoder<Array<unknown>> => {
  if (form === 0) {
    return Decode.array(member)
  }
  const asked = parts.filter((_, i) => (form & (1 << i)) !== 0)
  return Decode.array((reply) => {
    const items = Decode.items(reply)
    const found: Record<string, unknown> = { member: Decode.at("member", member, items[0] as Reply) }
    asked.forEach(([name, decoder], i) => {
      found[name] = Decode.at<unknown>(name, decoder, (items[i + 1] ?? null) as Reply)
    })
    return found
  })
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): GeoCommands<V> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const forms = Array.from({ length: 8 }, (_, form) => foundDecoder(value, form))

  const found = (options: Search | undefined): Decode.Decoder<Array<unknown>> =>
    forms[
      (options?.withdist === true ? 1 : 0) |
        (options?.withhash === true ? 2 : 0) |
        (options?.withcoord === true ? 4 : 0)
    ] as Decode.Decoder<Array<unknown>>

  const inArea = (builder: Args, area: GeoArea<V>): Args =>
    builder
      .atMostOne(area, ["frommember", "fromlonlat", "bypolygon"])
      .atMostOne(area, ["byradius", "bybox", "bypolygon"])
      .option("FROMMEMBER", area.frommember, (args, member) => args.value(codec, member as V))
      .option("FROMLONLAT", area.fromlonlat, place)
      .option("BYRADIUS", area.byradius, (args, by) => unit(args.double(by.radius), by.unit))
      .option("BYBOX", area.bybox, (args, by) => unit(args.double(by.width).double(by.height), by.unit))
      .option("BYPOLYGON", area.bypolygon, (args, polygon) => {
        const corners = toList<GeoCoordinates>(polygon)
        if (corners.length < 3) {
          args.fail("a polygon needs at least three corners")
        }
        args.integer(corners.length).each(corners, place)
      })

  const radius = (
    command: typeof GEORADIUS,
    from: Args,
    distance: number,
    in_: GeoUnit,
    options: Search | undefined
  ): RedisCommand<never> => {
    const builder = radiusOptions(unit(from.double(distance), in_), options)
    const stored = options?.store ?? options?.storedist
    const decoder: Decode.Decoder<unknown> = stored === undefined ? found(options) : Decode.integer
    return command(builder, decoder, text) as RedisCommand<never>
  }

  return {
    geoadd: (key, members, options) =>
      GEOADD(
        args()
          .key(key)
          .atMostOne(options, ["nx", "xx"])
          .flag("NX", options?.nx)
          .flag("XX", options?.xx)
          .flag("CH", options?.ch)
          .some<GeoMember<V>>("member", members, (args, member) => place(args, member).value(codec, member.member)),
        Decode.integer
      ),
    geodist: (key, member1, member2, options) =>
      GEODIST(args().key(key).value(codec, member1).value(codec, member2).when(options?.unit, unit), optionalDouble),
    geohash: (key, members) =>
      GEOHASH(
        args()
          .key(key)
          .each(toList<V>(members), (args, member) => args.value(codec, member)),
        optionalTexts
      ),
    geopos: (key, members) =>
      GEOPOS(
        args()
          .key(key)
          .each(toList<V>(members), (args, member) => args.value(codec, member)),
        optionalCoordinates
      ),
    georadius: (key: Key, center: GeoCoordinates, distance: number, unit: GeoUnit, options?: Search) =>
      radius(GEORADIUS, place(args().key(key), center), distance, unit, options),
    georadiusRo: (key: Key, center: GeoCoordinates, distance: number, unit: GeoUnit, options?: Search) =>
      radius(GEORADIUS_RO, place(args().key(key), center), distance, unit, options),
    georadiusbymember: (key: Key, member: V, distance: number, unit: GeoUnit, options?: Search) =>
      radius(GEORADIUSBYMEMBER, args().key(key).value(codec, member), distance, unit, options),
    georadiusbymemberRo: (key: Key, member: V, distance: number, unit: GeoUnit, options?: Search) =>
      radius(GEORADIUSBYMEMBER_RO, args().key(key).value(codec, member), distance, unit, options),
    geosearch: (key: Key, area: GeoArea<V>, options?: Search) =>
      GEOSEARCH(
        extras(order(inArea(args().key(key), area), options), options),
        found(options),
        text
      ) as RedisCommand<never>,
    geosearchstore: (destination, source, area, options) =>
      GEOSEARCHSTORE(
        order(inArea(args().key(destination).key(source), area), options).flag("STOREDIST", options?.storedist),
        Decode.integer
      )
  }
}
