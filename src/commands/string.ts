/**
 * Strings: text, bytes, counters, bit fields of a value.
 *
 * @see https://redis.io/docs/latest/commands/?group=string
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type AbsoluteTime,
  type Args,
  args,
  type AtMostOne,
  type DurationWithUnit,
  type Key,
  type OneOrMore
} from "../internal/args.js"
import * as Decode from "../internal/decode.js"
import { define, type RedisCommand } from "../RedisCommand.js"

/**
 * When a value expires: after a time, at a time, or when it would have anyway.
 *
 * @since 0.1.0
 * @category options
 */
export type SetExpiry = AtMostOne<{
  /** After this long: EX for whole seconds, else PX. */
  readonly ex: DurationWithUnit
  /** After this long, in milliseconds. */
  readonly px: DurationWithUnit
  /** At this time: EXAT for whole seconds, else PXAT. */
  readonly exat: AbsoluteTime
  /** At this time, in milliseconds. */
  readonly pxat: AbsoluteTime
  /** Keep the expiry the key has. */
  readonly keepttl: true
}>

/**
 * Under which condition SET stores.
 *
 * @since 0.1.0
 * @category options
 */
export type SetCondition<V> = {
  /** Only if the key does not exist. */
  readonly nx: true
  /** Only if the key exists. */
  readonly xx: true
  /** Only if the key holds this value. Redis 8.4, Valkey 8.1. */
  readonly ifeq: V
  /** Only if the key does not hold this value. Redis 8.4. */
  readonly ifne: V
  /** Only if the digest of what the key holds is this one, as DIGEST gives it. Redis 8.4. */
  readonly ifdeq: string
  /** Only if the digest of what the key holds is not this one. Redis 8.4. */
  readonly ifdne: string
}

/** No condition: every field of it absent. */
type Unconditional<V> = { readonly [K in keyof SetCondition<V>]?: undefined }

/** Exactly one condition. */
type Conditional<V> = Exclude<AtMostOne<SetCondition<V>>, Unconditional<V>>

/**
 * The commands on strings.
 *
 * @since 0.1.0
 * @category models
 */
export interface StringCommands<V> {
  /**
   * Reads the value of a key; `None` when there is none.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const name = yield* Redis.get("user:1:name") // Option<string>
   * ```
   */
  readonly get: (key: Key) => RedisCommand<Option.Option<V>>

  /**
   * Stores a value, whatever the key held before. With a condition it says whether it did; with `get` it answers what
   * the key held before.
   *
   * O(1). Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.set("session", token, { ex: "30 minutes" })
   * const mine = yield* Redis.set("lock", id, { nx: true, px: "500 millis" }) // boolean
   * ```
   */
  readonly set: {
    (key: Key, value: V, options?: SetExpiry & Unconditional<V> & { readonly get?: undefined }): RedisCommand<void>
    (key: Key, value: V, options: SetExpiry & Conditional<V> & { readonly get?: undefined }): RedisCommand<boolean>
    (
      key: Key,
      value: V,
      options: SetExpiry & AtMostOne<SetCondition<V>> & { readonly get: true }
    ): RedisCommand<Option.Option<V>>
  }

  /**
   * Reads many keys at once, in order.
   *
   * O(N) in the number of keys. Since Redis 1.0.0.
   */
  readonly mget: (keys: OneOrMore<Key>) => RedisCommand<Array<Option.Option<V>>>

  /**
   * Adds one to a counter and answers the sum.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly incr: (key: Key) => RedisCommand<number>

  /**
   * @deprecated since Redis 2.6.12: use {@link set} with `ex`
   *
   * Stores a value with an expiry of whole seconds.
   *
   * O(1). Since Redis 2.0.0.
   */
  readonly setex: (key: Key, expiry: DurationWithUnit, value: V) => RedisCommand<void>
}

const expiry = (builder: Args, options: SetExpiry | undefined): Args =>
  options === undefined
    ? builder
    : builder
      .when(options.ex, (args, ex) => args.duration("EX", "PX", ex))
      .when(options.px, (args, px) => args.token("PX").millis(px))
      .when(options.exat, (args, exat) => args.time("EXAT", "PXAT", exat))
      .when(options.pxat, (args, pxat) => args.token("PXAT").timeMillis(pxat))
      .flag("KEEPTTL", options.keepttl)

const GET = define("GET", { readonly: true })
const SET = define("SET")
const MGET = define("MGET", { readonly: true, requestPolicy: "multi_shard" })
const INCR = define("INCR")
const SETEX = define("SETEX")

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): StringCommands<V> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const optional = Decode.nullable(value)
  const optionals = Decode.array(optional)

  const set = (
    key: Key,
    value: V,
    options?: SetExpiry & AtMostOne<SetCondition<V>> & { readonly get?: true | undefined }
  ): RedisCommand<never> => {
    const builder = args().key(key).value(codec, value)
    if (options === undefined) {
      return SET(builder, Decode.ok) as RedisCommand<never>
    }
    const { get, ifdeq, ifdne, ifeq, ifne, nx, xx } = options
    builder
      .flag("NX", nx)
      .flag("XX", xx)
      .option("IFEQ", ifeq, (args, value) => args.value(codec, value))
      .option("IFNE", ifne, (args, value) => args.value(codec, value))
      .option("IFDEQ", ifdeq, (args, digest) => args.text(digest))
      .option("IFDNE", ifdne, (args, digest) => args.text(digest))
      .flag("GET", get)
    expiry(builder, options)
    const conditional = nx ?? xx ?? ifeq ?? ifne ?? ifdeq ?? ifdne
    const decoder: Decode.Decoder<unknown> = get === true
      ? optional
      : conditional === undefined
      ? Decode.ok
      : Decode.done
    return SET(builder, decoder, text) as RedisCommand<never>
  }

  return {
    get: (key) => GET(args().key(key), optional, text),
    set,
    mget: (keys) => MGET(args().keys(keys), optionals, text),
    incr: (key) => INCR(args().key(key), Decode.integer),
    setex: (key, expiry, value) => SETEX(args().key(key).seconds(expiry).value(codec, value), Decode.ok)
  }
}
