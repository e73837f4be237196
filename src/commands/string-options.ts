/**
 * Options and results of the string commands.
 *
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type AbsoluteTime,
  type Args,
  type AtMostOne,
  arrayOf,
  type Checked,
  type DurationWithUnit,
  type Given,
  type IfFlag,
  type Key,
  type List,
  type Needs,
  type Possible
} from "../internal/command/args.js"

/**
 * When a value expires: after a duration, or at a time.
 *
 * @since 0.1.0
 * @category options
 */
export interface ExpiryFields {
  /** After this long: EX for whole seconds, else PX. */
  readonly ex: DurationWithUnit
  /** After this long, in milliseconds. */
  readonly px: DurationWithUnit
  /** At this time: EXAT for whole seconds, else PXAT. */
  readonly exat: AbsoluteTime
  /** At this time, in milliseconds. */
  readonly pxat: AbsoluteTime
}

/**
 * When a stored value expires. Without any of these it never expires, even when the key had an expiry before.
 *
 * @since 0.1.0
 * @category options
 */
export type SetExpiry = AtMostOne<
  ExpiryFields & {
    /** Keep the key's current expiry. */
    readonly keepttl: true
  }
>

/**
 * How a read changes the expiry of the key. Without any of these it stays unchanged.
 *
 * @since 0.1.0
 * @category options
 */
export type GetExpiry = AtMostOne<
  ExpiryFields & {
    /** Remove the expiry. */
    readonly persist: true
  }
>

/**
 * A condition on the current value of the key.
 *
 * @since 0.1.0
 * @category options
 */
export interface ValueCondition<V> {
  /** Only if the key holds this value. Redis 8.4, Valkey 8.1. */
  readonly ifeq: V
  /** Only if the key does not hold this value. Redis 8.4. */
  readonly ifne: V
  /** Only if the digest of the key's value, as DIGEST returns it, is this one. Redis 8.4. */
  readonly ifdeq: string
  /** Only if the digest of the key's value is not this one. Redis 8.4. */
  readonly ifdne: string
}

/**
 * A condition on the existence of the key.
 *
 * @since 0.1.0
 * @category options
 */
export interface ExistenceCondition {
  /** Only if the key does not exist. */
  readonly nx: true
  /** Only if the key exists. */
  readonly xx: true
}

/**
 * The condition under which SET stores.
 *
 * @since 0.1.0
 * @category options
 */
export type SetCondition<V> = ExistenceCondition & ValueCondition<V>

/**
 * The options of SET. At most one expiry and one condition may be given. An option that is `undefined`, or a flag that is
 * `false`, counts as absent.
 *
 * @since 0.1.0
 * @category options
 */
export interface SetOptions<V> {
  /** Expires after this long: EX for whole seconds, else PX. */
  readonly ex?: DurationWithUnit | undefined
  /** Expires after this long, in milliseconds. */
  readonly px?: DurationWithUnit | undefined
  /** Expires at this time: EXAT for whole seconds, else PXAT. */
  readonly exat?: AbsoluteTime | undefined
  /** Expires at this time, in milliseconds. */
  readonly pxat?: AbsoluteTime | undefined
  /** Keeps the key's current expiry. */
  readonly keepttl?: boolean | undefined
  /** Only if the key does not exist. */
  readonly nx?: boolean | undefined
  /** Only if the key exists. */
  readonly xx?: boolean | undefined
  /** Only if the key holds this value. Redis 8.4, Valkey 8.1. */
  readonly ifeq?: V | undefined
  /** Only if the key does not hold this value. Redis 8.4. */
  readonly ifne?: V | undefined
  /** Only if the digest of the key's value, as DIGEST returns it, is this one. Redis 8.4. */
  readonly ifdeq?: string | undefined
  /** Only if the digest of the key's value is not this one. Redis 8.4. */
  readonly ifdne?: string | undefined
  /** Return the previous value. */
  readonly get?: boolean | undefined
}

type ExpiryWord = "ex" | "px" | "exat" | "pxat" | "keepttl"
/**
 * The options of which SET takes at most one: its condition.
 *
 * @since 0.1.0
 * @category options
 */
export type ConditionWord = "nx" | "xx" | "ifeq" | "ifne" | "ifdeq" | "ifdne"

/**
 * The options that a call of SET gives, with what is wrong with them.
 *
 * @since 0.1.0
 * @category options
 */
export type CheckedSetOptions<O, V> = Checked<O, SetOptions<V>, ExpiryWord, ConditionWord>

/**
 * What SET returns: the previous value with `get`; else whether it stored the value if there is a condition; else
 * nothing.
 *
 * @since 0.1.0
 * @category models
 */
export type SetResult<O, V> = IfFlag<O, "get", Option.Option<V>, Conditional<O>>

/** Both answers when it is not known whether a condition is given. */
type Conditional<O> = O extends unknown
  ? [keyof O & ConditionWord] extends [never]
    ? void
    : [Given<O, ConditionWord>] extends [never]
      ? [Possible<O, ConditionWord>] extends [never]
        ? void
        : boolean | void
      : boolean
  : never

/**
 * Keys and their values, at least one: a record, or pairs when keys are bytes.
 *
 * @since 0.1.0
 * @category options
 */
export type KeyValues<V> = List<readonly [key: Key, value: V]> | { readonly [key: string]: V }

/**
 * Options of INCREX: what happens at a bound, and the expiry.
 *
 * @since 0.1.0
 * @category options
 */
export type IncrexOptions = {
  /** When the sum passes a bound, set the counter to the bound instead of leaving it unchanged. */
  readonly saturate?: boolean | undefined
} & (
  | (AtMostOne<ExpiryFields> & { readonly persist?: false | undefined; readonly enx?: boolean | undefined })
  | ({ readonly [K in keyof ExpiryFields]?: undefined } & {
      readonly persist?: boolean | undefined
      readonly enx?: false | undefined
    })
)

/**
 * Integer increments of INCREX.
 *
 * @since 0.1.0
 * @category options
 */
export interface IncrexIntegers {
  /** Default: 1. */
  readonly byint?: number | bigint | undefined
  readonly byfloat?: undefined
  readonly lbound?: number | bigint | undefined
  readonly ubound?: number | bigint | undefined
}

/**
 * Floating point increments of INCREX.
 *
 * @since 0.1.0
 * @category options
 */
export interface IncrexFloats {
  readonly byfloat: number
  readonly byint?: undefined
  readonly lbound?: number | undefined
  readonly ubound?: number | undefined
}

/**
 * The result of INCREX.
 *
 * @since 0.1.0
 * @category models
 */
export interface Increment {
  /** The value of the counter now. */
  readonly value: number
  /** The amount added: 0 when the sum would have passed a bound; with `saturate`, the part up to the bound. */
  readonly applied: number
}

/**
 * What LCS returns: at most one of `len` and `idx`. `withmatchlen` and `minmatchlen` belong to `idx`.
 *
 * @since 0.1.0
 * @category options
 */
export interface LcsOptions {
  /** The length only. */
  readonly len?: boolean | undefined
  /** The positions. */
  readonly idx?: boolean | undefined
  /** Leave out matches shorter than this. */
  readonly minmatchlen?: number | undefined
  /** The length of each match too. */
  readonly withmatchlen?: boolean | undefined
}

/**
 * Demands `idx` where options say how positions are given.
 *
 * @since 0.1.0
 * @category options
 */
export type WithIdx<O> = [Possible<O, "withmatchlen">] extends [never]
  ? unknown
  : [Possible<O, "idx">] extends [never]
    ? { readonly withmatchlen: Needs<"idx"> }
    : unknown

/**
 * What LCS returns with these options.
 *
 * @since 0.1.0
 * @category models
 */
export type LcsResult<O, K> = IfFlag<
  O,
  "idx",
  IfFlag<O, "withmatchlen", LcsMatches<LcsMatchWithLength>, LcsMatches>,
  IfFlag<O, "len", number, K>
>

/**
 * A common part of two values: its first and last offset in each.
 *
 * @since 0.1.0
 * @category models
 */
export interface LcsMatch {
  readonly key1: readonly [first: number, last: number]
  readonly key2: readonly [first: number, last: number]
}

/**
 * The longest common subsequence of two values, as offsets.
 *
 * @since 0.1.0
 * @category models
 */
export interface LcsMatches<Match extends LcsMatch = LcsMatch> {
  /** The common parts, from the end of the values to their beginning. */
  readonly matches: ReadonlyArray<Match>
  /** The length of the whole subsequence. */
  readonly len: number
}

/**
 * A match with its length in bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface LcsMatchWithLength extends LcsMatch {
  readonly length: number
}

const expiryWords = ["ex", "px", "exat", "pxat", "keepttl", "persist"]

/** The words of SET that are conditions. @internal */
export const conditionWords = ["nx", "xx", "ifeq", "ifne", "ifdeq", "ifdne"]

type AnyExpiry = { readonly [K in keyof ExpiryFields]?: ExpiryFields[K] | undefined }

/**
 * EX, PX, EXAT or PXAT.
 *
 * @internal
 */
export const expiry = (builder: Args, options: AnyExpiry): Args => {
  const { ex, exat, px, pxat } = options
  return builder
    .atMostOne(options, expiryWords)
    .when(ex, (args, ex) => args.duration("EX", "PX", ex))
    .when(px, (args, px) => args.token("PX").millis(px))
    .when(exat, (args, exat) => args.time("EXAT", "PXAT", exat))
    .when(pxat, (args, pxat) => args.token("PXAT").timeMillis(pxat))
}

/** @internal */
export type AnyValueCondition<V> = { readonly [F in keyof ValueCondition<V>]?: ValueCondition<V>[F] | undefined }

/**
 * IFEQ, IFNE, IFDEQ or IFDNE.
 *
 * @internal
 */
export const valueConditions = <V, K extends Key>(
  builder: Args,
  codec: Codec<V, K>,
  options: AnyValueCondition<V>
): Args => {
  const { ifdeq, ifdne, ifeq, ifne } = options
  return builder
    .atMostOne(options, conditionWords)
    .option("IFEQ", ifeq, (args, value) => args.value(codec, value))
    .option("IFNE", ifne, (args, value) => args.value(codec, value))
    .option("IFDEQ", ifdeq, (args, digest) => args.text(digest))
    .option("IFDNE", ifdne, (args, digest) => args.text(digest))
}

/**
 * Keys and values as pairs.
 *
 * @internal
 */
export const pairsOf = <V>(entries: KeyValues<V>): ReadonlyArray<readonly [Key, V]> =>
  arrayOf<readonly [Key, V]>(entries) ?? Object.entries(entries as { readonly [key: string]: V })
