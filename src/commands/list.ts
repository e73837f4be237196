/**
 * Lists: ordered elements, pushed and popped at both ends.
 *
 * Elements are values: the codec encodes and decodes them. Blocking commands need a connection of their own.
 *
 * @see https://redis.io/docs/latest/commands/?group=list
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type Args,
  args,
  type Checked,
  type DurationWithUnit,
  type ExactlyOne,
  type IfGiven,
  type Key,
  type Needs,
  type OneOrMany,
  type Possible
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"

/**
 * An end of a list. The left end is the head.
 *
 * @since 0.1.0
 * @category models
 */
export type ListSide = "left" | "right"

/**
 * How long a blocking command waits.
 *
 * @since 0.1.0
 * @category options
 */
export interface BlockingOptions {
  /** Longer than zero; `Duration.infinity` waits for ever. */
  readonly timeout: DurationWithUnit
}

/**
 * How many elements LMOVEM moves, and in which order they end up.
 *
 * @since 0.1.0
 * @category options
 */
export type LmovemAmount = ExactlyOne<{
  /** At most this many. */
  readonly count: number
  /** Exactly this many, or none. */
  readonly exactly: number
}> &
  ExactlyOne<{
    /** One by one: each popped element is pushed before the next one is popped. */
    readonly obo: true
    /** All at once: they keep their order. */
    readonly bulk: true
  }>

/**
 * Where LPOS searches.
 *
 * @since 0.1.0
 * @category options
 */
export interface LposOptions {
  /** The match to start with: 1 is the first, 2 the second, -1 the first from the end. Must not be 0. */
  readonly rank?: number | undefined
  /** How many elements to compare at most. 0 (the default) compares all. */
  readonly maxlen?: number | undefined
}

/** How many elements. */
interface Counted {
  readonly count?: number | undefined
}

/** {@link LposOptions} with a count. */
interface LposAll extends LposOptions, Counted {}

/** The amount of LMOVEM, all of it optional. */
interface LmovemOptions {
  readonly count?: number | undefined
  readonly exactly?: number | undefined
  readonly obo?: boolean | undefined
  readonly bulk?: boolean | undefined
}

type WithOrder<O> = [Possible<O, "obo" | "bulk">] extends [never]
  ? [Possible<O, "count">] extends [never]
    ? [Possible<O, "exactly">] extends [never]
      ? unknown
      : { readonly exactly: Needs<"obo" | "bulk"> }
    : { readonly count: Needs<"obo" | "bulk"> }
  : [Possible<O, "count" | "exactly">] extends [never]
    ? [Possible<O, "obo">] extends [never]
      ? { readonly bulk: Needs<"count" | "exactly"> }
      : { readonly obo: Needs<"count" | "exactly"> }
    : unknown

/** No amount: one element is moved. */
type NoLmovemAmount = { readonly [F in "count" | "exactly" | "obo" | "bulk"]?: undefined }

/**
 * The commands on lists.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListCommands<V, K extends Key> {
  /**
   * Moves an element like {@link lmove}; waits while the source is empty. `None` after the timeout.
   *
   * O(1). Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const job = yield* Redis.blmove("jobs", "running", "left", "right", { timeout: "5 seconds" }) // Option<string>
   * ```
   */
  readonly blmove: (
    source: Key,
    destination: Key,
    from: ListSide,
    to: ListSide,
    options: BlockingOptions
  ) => RedisCommand<Option.Option<V>>

  /**
   * Moves elements like {@link lmovem}; waits for the first element, or with `exactly` for all of them. `None` after
   * the timeout.
   *
   * O(N) in the elements moved. Since Redis 8.10.0; not in Valkey.
   */
  readonly blmovem: (
    source: Key,
    destination: Key,
    from: ListSide,
    to: ListSide,
    options: BlockingOptions & (LmovemAmount | NoLmovemAmount)
  ) => RedisCommand<Option.Option<Array<V>>>

  /**
   * Pops elements like {@link lmpop}; waits while all lists are empty. `None` after the timeout.
   *
   * O(N+M) in the number of keys and of elements popped. Since Redis 7.0.0.
   */
  readonly blmpop: (
    keys: OneOrMany<Key>,
    side: ListSide,
    options: BlockingOptions & { readonly count?: number | undefined }
  ) => RedisCommand<Option.Option<readonly [key: K, elements: Array<V>]>>

  /**
   * Pops the first element of the first non-empty list, and returns it with the list's key. Waits while all lists are
   * empty; `None` after the timeout.
   *
   * O(N) in the number of keys. Since Redis 2.0.0.
   *
   * @example
   * ```ts
   * const popped = yield* Redis.blpop(["urgent", "jobs"], { timeout: "5 seconds" })
   * if (Option.isSome(popped)) {
   *   const [key, job] = popped.value
   * }
   * ```
   */
  readonly blpop: (
    keys: OneOrMany<Key>,
    options: BlockingOptions
  ) => RedisCommand<Option.Option<readonly [key: K, element: V]>>

  /**
   * Like {@link blpop}, but pops the last element.
   *
   * O(N) in the number of keys. Since Redis 2.0.0.
   */
  readonly brpop: (
    keys: OneOrMany<Key>,
    options: BlockingOptions
  ) => RedisCommand<Option.Option<readonly [key: K, element: V]>>

  /**
   * Moves the last element of a list to the head of another; waits while the source is empty. `None` after the timeout.
   *
   * O(1). Since Redis 2.2.0.
   *
   * @deprecated since Redis 6.2.0, not in Valkey: use {@link blmove} from `right` to `left`
   */
  readonly brpoplpush: (source: Key, destination: Key, options: BlockingOptions) => RedisCommand<Option.Option<V>>

  /**
   * The element at an index; a negative index counts from the end. `None` when the index is outside the list.
   *
   * O(N) in the distance from the nearer end. Since Redis 1.0.0.
   */
  readonly lindex: (key: Key, index: number) => RedisCommand<Option.Option<V>>

  /**
   * Inserts an element before or after the first element that equals the pivot. Returns the new length; -1 when the
   * pivot is missing, 0 when the list is missing.
   *
   * O(N) in the distance of the pivot from the head. Since Redis 2.2.0.
   */
  readonly linsert: (key: Key, where: "before" | "after", pivot: V, element: V) => RedisCommand<number>

  /**
   * The number of elements; 0 when the list is missing.
   *
   * O(1). Since Redis 1.0.0.
   */
  readonly llen: (key: Key) => RedisCommand<number>

  /**
   * Pops an element at one end of a list, pushes it at one end of another (or the same) list, and returns it; `None`
   * when the source is empty.
   *
   * O(1). Since Redis 6.2.0.
   *
   * @example
   * ```ts
   * const job = yield* Redis.lmove("jobs", "running", "left", "right") // Option<string>
   * ```
   */
  readonly lmove: (source: Key, destination: Key, from: ListSide, to: ListSide) => RedisCommand<Option.Option<V>>

  /**
   * Moves one or more elements like {@link lmove}, and returns them in their order at the destination. With `exactly`:
   * `None` when the source has fewer elements.
   *
   * O(N) in the elements moved. Since Redis 8.10.0; not in Valkey.
   *
   * @example
   * ```ts
   * const batch = yield* Redis.lmovem("jobs", "running", "left", "right", { count: 10, bulk: true }) // Array<string>
   * ```
   */
  readonly lmovem: {
    /**
     * Moves one or more elements like {@link lmove}, and returns them in their order at the destination. With
     * `exactly`: `None` when the source has fewer elements.
     *
     * O(N) in the elements moved. Since Redis 8.10.0; not in Valkey.
     */
    (source: Key, destination: Key, from: ListSide, to: ListSide): RedisCommand<Array<V>>

    /**
     * Moves one or more elements like {@link lmove}, and returns them in their order at the destination. With
     * `exactly`: `None` when the source has fewer elements.
     *
     * O(N) in the elements moved. Since Redis 8.10.0; not in Valkey.
     */
    <const O extends LmovemOptions | undefined>(
      source: Key,
      destination: Key,
      from: ListSide,
      to: ListSide,
      options: Checked<O, LmovemOptions, "count" | "exactly", "obo" | "bulk"> & WithOrder<O>
    ): RedisCommand<IfGiven<O, "exactly", Option.Option<Array<V>>, Array<V>>>
  }

  /**
   * Pops up to `count` elements (default: 1) at one end of the first non-empty list, and returns them with the list's
   * key; `None` when all lists are empty.
   *
   * O(N+M) in the number of keys and of elements popped. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const popped = yield* Redis.lmpop(["urgent", "jobs"], "left", { count: 10 }) // Option<[string, Array<string>]>
   * ```
   */
  readonly lmpop: (
    keys: OneOrMany<Key>,
    side: ListSide,
    options?: { readonly count?: number | undefined }
  ) => RedisCommand<Option.Option<readonly [key: K, elements: Array<V>]>>

  /**
   * Pops the first element, or with `count` up to that many; `None` when the list is missing.
   *
   * O(N) in the elements popped. Since Redis 1.0.0, `count` since 6.2.0.
   *
   * @example
   * ```ts
   * const job = yield* Redis.lpop("jobs") // Option<string>
   * const ten = yield* Redis.lpop("jobs", { count: 10 }) // Option<Array<string>>
   * ```
   */
  readonly lpop: {
    /**
     * Pops the first element; `None` when the list is missing.
     *
     * O(1). Since Redis 1.0.0.
     *
     * @example
     * ```ts
     * const job = yield* Redis.lpop("jobs") // Option<string>
     * ```
     */
    (key: Key): RedisCommand<Option.Option<V>>

    /**
     * Pops the first element, or with `count` up to that many; `None` when the list is missing.
     *
     * O(N) in the elements popped. Since Redis 1.0.0, `count` since 6.2.0.
     */
    <const O extends Counted | undefined>(
      key: Key,
      options: Checked<O, Counted>
    ): RedisCommand<IfGiven<O, "count", Option.Option<Array<V>>, Option.Option<V>>>
  }

  /**
   * The index of an element; `None` when it is missing. With `count`: up to that many indexes of equal elements, or all
   * of them with 0.
   *
   * O(N) in the length of the list. Since Redis 6.0.6.
   *
   * @example
   * ```ts
   * const index = yield* Redis.lpos("queue", "ada") // Option<number>
   * const all = yield* Redis.lpos("queue", "ada", { count: 0 }) // Array<number>
   * ```
   */
  readonly lpos: {
    /**
     * The index of an element; `None` when it is missing. With `count`: up to that many indexes of equal elements, or
     * all of them with 0.
     *
     * O(N) in the length of the list. Since Redis 6.0.6.
     */
    (key: Key, element: V): RedisCommand<Option.Option<number>>

    /**
     * The index of an element; `None` when it is missing. With `count`: up to that many indexes of equal elements, or
     * all of them with 0.
     *
     * O(N) in the length of the list. Since Redis 6.0.6.
     */
    <const O extends LposAll | undefined>(
      key: Key,
      element: V,
      options: Checked<O, LposAll>
    ): RedisCommand<IfGiven<O, "count", Array<number>, Option.Option<number>>>
  }

  /**
   * Pushes elements at the head, one after the other, so the last one becomes the head. Returns the new length.
   *
   * O(N) in the number of elements. Since Redis 1.0.0, many at once since 2.4.0.
   */
  readonly lpush: (key: Key, elements: OneOrMany<V>) => RedisCommand<number>

  /**
   * Pushes like {@link lpush}, but only to an existing list. Returns the new length; 0 when the list is missing.
   *
   * O(N) in the number of elements. Since Redis 2.2.0, many at once since 4.0.0.
   */
  readonly lpushx: (key: Key, elements: OneOrMany<V>) => RedisCommand<number>

  /**
   * The elements from `start` to `stop`, both included; negative indexes count from the end. Indexes outside the list
   * are ignored.
   *
   * O(S+N), where S is the distance from the nearer end and N the number of elements read. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * const latest = yield* Redis.lrange("news", 0, 9) // Array<string>
   * ```
   */
  readonly lrange: (key: Key, start: number, stop: number) => RedisCommand<Array<V>>

  /**
   * Removes elements that equal this one, and returns how many: up to `count` from the head, from the end when `count`
   * is negative, or all when it is 0.
   *
   * O(N) in the length of the list. Since Redis 1.0.0.
   */
  readonly lrem: (key: Key, count: number, element: V) => RedisCommand<number>

  /**
   * Replaces the element at an index. An index outside the list fails with a `ReplyError`.
   *
   * O(N) in the distance from the nearer end. Since Redis 1.0.0.
   */
  readonly lset: (key: Key, index: number, element: V) => RedisCommand<void>

  /**
   * Removes all elements except those from `start` to `stop`, both included.
   *
   * O(N) in the elements removed. Since Redis 1.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.transaction([Redis.lpush("news", [item]), Redis.ltrim("news", 0, 99)])
   * ```
   */
  readonly ltrim: (key: Key, start: number, stop: number) => RedisCommand<void>

  /**
   * Pops the last element, or with `count` up to that many, the last one first; `None` when the list is missing.
   *
   * O(N) in the elements popped. Since Redis 1.0.0, `count` since 6.2.0.
   */
  readonly rpop: {
    /**
     * Pops the last element; `None` when the list is missing.
     *
     * O(1). Since Redis 1.0.0.
     */
    (key: Key): RedisCommand<Option.Option<V>>

    /**
     * Pops the last element, or with `count` up to that many, the last one first; `None` when the list is missing.
     *
     * O(N) in the elements popped. Since Redis 1.0.0, `count` since 6.2.0.
     */
    <const O extends Counted | undefined>(
      key: Key,
      options: Checked<O, Counted>
    ): RedisCommand<IfGiven<O, "count", Option.Option<Array<V>>, Option.Option<V>>>
  }

  /**
   * Moves the last element of a list to the head of another, and returns it; `None` when the source is empty.
   *
   * O(1). Since Redis 1.2.0.
   *
   * @deprecated since Redis 6.2.0, not in Valkey: use {@link lmove} from `right` to `left`
   */
  readonly rpoplpush: (source: Key, destination: Key) => RedisCommand<Option.Option<V>>

  /**
   * Pushes elements at the end, in order, and returns the new length.
   *
   * O(N) in the number of elements. Since Redis 1.0.0, many at once since 2.4.0.
   *
   * @example
   * ```ts
   * const length = yield* Redis.rpush("jobs", ["build", "test"]) // number
   * ```
   */
  readonly rpush: (key: Key, elements: OneOrMany<V>) => RedisCommand<number>

  /**
   * Pushes like {@link rpush}, but only to an existing list. Returns the new length; 0 when the list is missing.
   *
   * O(N) in the number of elements. Since Redis 2.2.0, many at once since 4.0.0.
   */
  readonly rpushx: (key: Key, elements: OneOrMany<V>) => RedisCommand<number>
}

const words = { left: "LEFT", right: "RIGHT", before: "BEFORE", after: "AFTER" } as const

/** Appends the token for a side or a position. Only an untyped program can pass another word. */
const appendWord = (args: Args, word: keyof typeof words): Args =>
  Object.hasOwn(words, word)
    ? args.token(words[word])
    : args.fail("a side must be left or right, a position before or after")

const appendAmount = (args: Args, options: LmovemOptions): Args => {
  const { bulk, count, exactly, obo } = options
  return args
    .atMostOne(options, ["count", "exactly"])
    .atMostOne(options, ["obo", "bulk"])
    .option("COUNT", count, (args, count) => args.integer(count))
    .option("EXACTLY", exactly, (args, exactly) => args.integer(exactly))
    .flag("OBO", obo)
    .flag("BULK", bulk)
}

const BLMOVE = define("BLMOVE")
const BLMOVEM = define("BLMOVEM")
const BLMPOP = define("BLMPOP")
const BLPOP = define("BLPOP")
const BRPOP = define("BRPOP")
const BRPOPLPUSH = define("BRPOPLPUSH")
const LINDEX = define("LINDEX")
const LINSERT = define("LINSERT")
const LLEN = define("LLEN")
const LMOVE = define("LMOVE")
const LMOVEM = define("LMOVEM")
const LMPOP = define("LMPOP")
const LPOP = define("LPOP")
const LPOS = define("LPOS")
const LPUSH = define("LPUSH")
const LPUSHX = define("LPUSHX")
const LRANGE = define("LRANGE")
const LREM = define("LREM")
const LSET = define("LSET")
const LTRIM = define("LTRIM")
const RPOP = define("RPOP")
const RPOPLPUSH = define("RPOPLPUSH")
const RPUSH = define("RPUSH")
const RPUSHX = define("RPUSHX")

const index = Decode.nullable(Decode.integer)
const indexes = Decode.array(Decode.integer)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ListCommands<V, K> => {
  const text = codec.wants === "text"
  const value = Decode.value(codec)
  const values = Decode.array(value)
  const optional = Decode.nullable(value)
  const optionals = Decode.nullable(values)
  /**
   * The documentation of LMOVEM gives both an empty array and nil as the reply when nothing was moved, so both are
   * accepted.
   */
  const valuesOrNone: Decode.Decoder<Array<V>> = (reply) => (reply === null ? [] : values(reply))
  const key = Decode.key(codec)
  const popped = Decode.nullable(Decode.tuple(key, value))
  const poppedMany = Decode.nullable(Decode.tuple(key, values))

  const pop =
    (command: typeof LPOP) =>
    (key: Key, options?: Counted): RedisCommand<never> => {
      const count = options?.count
      const decoder: Decode.Decoder<unknown> = count === undefined ? optional : optionals
      return command(
        args()
          .key(key)
          .when(count, (args, count) => args.integer(count)),
        decoder,
        text
      ) as RedisCommand<never>
    }

  const sides = (source: Key, destination: Key, from: ListSide, to: ListSide): Args =>
    appendWord(appendWord(args().key(source).key(destination), from), to)

  const lmovem = (
    source: Key,
    destination: Key,
    from: ListSide,
    to: ListSide,
    options: LmovemOptions = {}
  ): RedisCommand<never> => {
    const decoder: Decode.Decoder<unknown> = options.exactly === undefined ? valuesOrNone : optionals
    return LMOVEM(appendAmount(sides(source, destination, from, to), options), decoder, text) as RedisCommand<never>
  }

  const lpos = (
    key: Key,
    element: V,
    { count, maxlen, rank }: LposOptions & { readonly count?: number | undefined } = {}
  ): RedisCommand<never> => {
    const builder = args()
      .key(key)
      .value(codec, element)
      .option("RANK", rank, (args, rank) => args.integer(rank))
      .option("COUNT", count, (args, count) => args.integer(count))
      .option("MAXLEN", maxlen, (args, maxlen) => args.integer(maxlen))
    const decoder: Decode.Decoder<unknown> = count === undefined ? index : indexes
    return LPOS(builder, decoder) as RedisCommand<never>
  }

  const appendCount = (args: Args, count: number | undefined): Args =>
    args.option("COUNT", count, (args, count) => args.integer(count))

  return {
    blmove: (source, destination, from, to, options) =>
      BLMOVE(sides(source, destination, from, to).timeout(options?.timeout), optional, text),
    blmovem: (source, destination, from, to, options) =>
      BLMOVEM(
        appendAmount(sides(source, destination, from, to).timeout(options?.timeout), options ?? {}),
        optionals,
        text
      ),
    blmpop: (keys, side, options) =>
      BLMPOP(
        appendCount(appendWord(args().timeout(options?.timeout).numkeys(keys), side), options?.count),
        poppedMany,
        text
      ),
    blpop: (keys, options) => BLPOP(args().keys(keys).timeout(options?.timeout), popped, text),
    brpop: (keys, options) => BRPOP(args().keys(keys).timeout(options?.timeout), popped, text),
    brpoplpush: (source, destination, options) =>
      BRPOPLPUSH(args().key(source).key(destination).timeout(options?.timeout), optional, text),
    lindex: (key, index) => LINDEX(args().key(key).integer(index), optional, text),
    linsert: (key, where, pivot, element) =>
      LINSERT(appendWord(args().key(key), where).value(codec, pivot).value(codec, element), Decode.integer),
    llen: (key) => LLEN(args().key(key), Decode.integer),
    lmove: (source, destination, from, to) => LMOVE(sides(source, destination, from, to), optional, text),
    lmovem: lmovem as ListCommands<V, K>["lmovem"],
    lmpop: (keys, side, { count } = {}) =>
      LMPOP(appendCount(appendWord(args().numkeys(keys), side), count), poppedMany, text),
    lpop: pop(LPOP),
    lpos: lpos as ListCommands<V, K>["lpos"],
    lpush: (key, elements) => LPUSH(args().key(key).values(codec, "element", elements), Decode.integer),
    lpushx: (key, elements) => LPUSHX(args().key(key).values(codec, "element", elements), Decode.integer),
    lrange: (key, start, stop) => LRANGE(args().key(key).integer(start).integer(stop), values, text),
    lrem: (key, count, element) => LREM(args().key(key).integer(count).value(codec, element), Decode.integer),
    lset: (key, index, element) => LSET(args().key(key).integer(index).value(codec, element), Decode.ok),
    ltrim: (key, start, stop) => LTRIM(args().key(key).integer(start).integer(stop), Decode.ok),
    rpop: pop(RPOP),
    rpoplpush: (source, destination) => RPOPLPUSH(args().key(source).key(destination), optional, text),
    rpush: (key, elements) => RPUSH(args().key(key).values(codec, "element", elements), Decode.integer),
    rpushx: (key, elements) => RPUSHX(args().key(key).values(codec, "element", elements), Decode.integer)
  }
}
