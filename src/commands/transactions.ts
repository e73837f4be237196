/**
 * The commands that transactions are made of, as Redis has them. They belong to a connection, so a shared one refuses
 * them: use `Redis.transaction` and `Redis.optimistic`.
 *
 * @see https://redis.io/docs/latest/commands/?group=transactions
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Key, type OneOrMore } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * The raw commands of transactions: for connections of one's own.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransactionCommands {
  /**
   * Ends a transaction without running what was queued, and watches no key any more. Refused on shared connections: use
   * `Redis.transaction`, which sends it when it must.
   *
   * O(N) in the commands queued. Since Redis 2.0.0.
   */
  readonly discard: () => RedisCommand<void>

  /**
   * Runs what was queued, and answers the replies as they came; `None` when a watched key had changed. Refused on shared
   * connections: use `Redis.transaction`, whose results are typed.
   *
   * The sum of what the commands take. Since Redis 1.2.0.
   */
  readonly exec: () => RedisCommand<Option.Option<ReadonlyArray<Reply>>>

  /**
   * Begins a transaction: what follows on this connection is queued. Refused on shared connections: use
   * `Redis.transaction`.
   *
   * O(1). Since Redis 1.2.0.
   */
  readonly multi: () => RedisCommand<void>

  /**
   * Watches no key any more. Refused on shared connections: `Redis.optimistic` sends it when it must.
   *
   * O(1). Since Redis 2.2.0.
   */
  readonly unwatch: () => RedisCommand<void>

  /**
   * Watches keys: when one changes before EXEC, the transaction does not run. Refused on shared connections: use
   * `Redis.optimistic`.
   *
   * O(1) for each key. Since Redis 2.2.0.
   */
  readonly watch: (keys: OneOrMore<Key>) => RedisCommand<void>
}

const DISCARD = define("DISCARD")
const EXEC = define("EXEC")
const MULTI = define("MULTI")
const UNWATCH = define("UNWATCH")
const WATCH = define("WATCH")

const replies = Decode.nullable(Decode.items)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): TransactionCommands => ({
  discard: () => DISCARD(args(), Decode.ok),
  exec: () => EXEC(args(), replies, codec.wants === "text"),
  multi: () => MULTI(args(), Decode.ok),
  unwatch: () => UNWATCH(args(), Decode.ok),
  watch: (keys) => WATCH(args().keys(keys), Decode.ok)
})
