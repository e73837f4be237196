/**
 * HyperLogLogs: estimates of how many different elements were added, in at most 12 kB each.
 *
 * @see https://redis.io/docs/latest/commands/?group=hyperloglog
 * @since 0.1.0
 */
import type { Codec } from "../Codec.js"
import { args, type Key, type OneOrMany, toList } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"

/**
 * The commands on HyperLogLogs.
 *
 * @since 0.1.0
 * @category models
 */
export interface HyperloglogCommands<V> {
  /**
   * Adds elements. `true` when the estimate changed. Without elements it creates an empty HyperLogLog; `true` when
   * there was none.
   *
   * O(1) for each element. Since Redis 2.8.9.
   *
   * @example
   * ```ts
   * const changed = yield* Redis.pfadd("visitors", ["ada", "bob"]) // boolean
   * ```
   */
  readonly pfadd: (key: Key, elements?: OneOrMany<V>) => RedisCommand<boolean>

  /**
   * The estimated number of different elements in one HyperLogLog, or in the union of several. The standard error is
   * 0.81 %.
   *
   * O(1) with a small constant for one key, O(N) with a large one for N keys. Since Redis 2.8.9.
   */
  readonly pfcount: (keys: OneOrMany<Key>) => RedisCommand<number>

  /**
   * Merges the sources into the destination, which then holds the union of all, its own elements included.
   *
   * O(N) for N keys, with a large constant. Since Redis 2.8.9.
   */
  readonly pfmerge: (destination: Key, sources?: OneOrMany<Key>) => RedisCommand<void>
}

const PFADD = define("PFADD")
const PFCOUNT = define("PFCOUNT")
const PFMERGE = define("PFMERGE")

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): HyperloglogCommands<V> => ({
  pfadd: (key, elements) =>
    PFADD(
      args()
        .key(key)
        .each(elements === undefined ? [] : toList<V>(elements), (args, element) => args.value(codec, element)),
      Decode.boolean
    ),
  pfcount: (keys) => PFCOUNT(args().keys(keys), Decode.integer),
  pfmerge: (destination, sources) =>
    PFMERGE(
      args()
        .key(destination)
        .when(sources, (args, sources) => args.keys(sources)),
      Decode.ok
    )
})
