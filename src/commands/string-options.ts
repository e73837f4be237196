/**
 * What the string commands take beside keys and values, and the shapes they answer.
 *
 * @since 0.1.0
 */
import type { Codec } from "../Codec.js"
import type { AbsoluteTime, Args, AtMostOne, DurationWithUnit, Key } from "../internal/command/args.js"

/**
 * When a value expires: after a time, or at a time.
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
 * When a stored value expires. With none of these it never does, whatever the key's expiry was.
 *
 * @since 0.1.0
 * @category options
 */
export type SetExpiry = AtMostOne<
  ExpiryFields & {
    /** Keep the expiry the key has. */
    readonly keepttl: true
  }
>

/**
 * What becomes of the expiry of a value that is read. With none of these it stays.
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
 * What a key must hold for a command to act.
 *
 * @since 0.1.0
 * @category options
 */
export interface ValueCondition<V> {
  /** Only if the key holds this value. Redis 8.4, Valkey 8.1. */
  readonly ifeq: V
  /** Only if the key does not hold this value. Redis 8.4. */
  readonly ifne: V
  /** Only if the digest of what the key holds is this one, as DIGEST gives it. Redis 8.4. */
  readonly ifdeq: string
  /** Only if the digest of what the key holds is not this one. Redis 8.4. */
  readonly ifdne: string
}

/**
 * Whether keys must exist for a command to act.
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
 * Under which condition SET stores.
 *
 * @since 0.1.0
 * @category options
 */
export type SetCondition<V> = ExistenceCondition & ValueCondition<V>

/**
 * No condition: every field of it absent.
 *
 * @since 0.1.0
 * @category options
 */
export type Unconditional<V> = { readonly [K in keyof SetCondition<V>]?: undefined }

/**
 * Keys and their values: pairs, or a record for keys that are text. Never empty.
 *
 * @since 0.1.0
 * @category options
 */
export type KeyValues<V> =
  | readonly [readonly [key: Key, value: V], ...ReadonlyArray<readonly [key: Key, value: V]>]
  | { readonly [key: string]: V }

/**
 * By how much INCREX increments, and within which bounds.
 *
 * @since 0.1.0
 * @category options
 */
export type IncrexOptions = {
  /** Stop at the bound instead of leaving the counter alone. */
  readonly saturate?: boolean | undefined
} & (
  | (AtMostOne<ExpiryFields> & { readonly persist?: undefined; readonly enx?: boolean | undefined })
  | ({ readonly [K in keyof ExpiryFields]?: undefined } & { readonly persist: true; readonly enx?: undefined })
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
 * What INCREX did.
 *
 * @since 0.1.0
 * @category models
 */
export interface Increment {
  /** What the key holds now. */
  readonly value: number
  /** What was added: 0 when a bound was in the way, less than asked for with `saturate`. */
  readonly applied: number
}

/**
 * Where two values have something in common: first and last offset in each.
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
  /** From the end of the values to their beginning. */
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

type AnyExpiry = { readonly [K in keyof ExpiryFields]?: ExpiryFields[K] | undefined }

/**
 * EX, PX, EXAT or PXAT.
 *
 * @internal
 */
export const expiry = (builder: Args, { ex, exat, px, pxat }: AnyExpiry): Args =>
  builder
    .when(ex, (args, ex) => args.duration("EX", "PX", ex))
    .when(px, (args, px) => args.token("PX").millis(px))
    .when(exat, (args, exat) => args.time("EXAT", "PXAT", exat))
    .when(pxat, (args, pxat) => args.token("PXAT").timeMillis(pxat))

/**
 * IFEQ, IFNE, IFDEQ or IFDNE.
 *
 * @internal
 */
export const valueConditions = <V, K extends Key>(
  builder: Args,
  codec: Codec<V, K>,
  { ifdeq, ifdne, ifeq, ifne }: { readonly [F in keyof ValueCondition<V>]?: ValueCondition<V>[F] | undefined }
): Args =>
  builder
    .option("IFEQ", ifeq, (args, value) => args.value(codec, value))
    .option("IFNE", ifne, (args, value) => args.value(codec, value))
    .option("IFDEQ", ifdeq, (args, digest) => args.text(digest))
    .option("IFDNE", ifdne, (args, digest) => args.text(digest))

/**
 * The pairs of either form.
 *
 * @internal
 */
export const pairsOf = <V>(entries: KeyValues<V>): ReadonlyArray<readonly [Key, V]> =>
  Array.isArray(entries)
    ? (entries as ReadonlyArray<readonly [Key, V]>)
    : Object.entries(entries as { readonly [key: string]: V })
