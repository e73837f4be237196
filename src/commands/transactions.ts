/**
 * The raw transaction commands. They change the state of their connection, so shared connections refuse them: use
 * `Redis.transaction` and `Redis.optimistic`.
 *
 * @see https://redis.io/docs/latest/commands/?group=transactions
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Key, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * The raw transaction commands, for leased connections.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransactionCommands {
  /**
   * Ends a transaction without running the queued commands, and stops watching all keys. Refused on shared connections:
   * use `Redis.transaction`, which sends it when needed.
   *
   * O(N) in the commands queued. Since Redis 2.0.0.
   */
  readonly discard: () => RedisCommand<void>

  /**
   * Runs the queued commands, and returns their raw replies; `None` when a watched key has changed. Refused on shared
   * connections: use `Redis.transaction`, whose results are typed.
   *
   * The sum of the costs of the commands. Since Redis 1.2.0.
   */
  readonly exec: () => RedisCommand<Option.Option<ReadonlyArray<Reply>>>

  /**
   * Begins a transaction: the server queues the next commands on this connection. Refused on shared connections: use
   * `Redis.transaction`.
   *
   * O(1). Since Redis 1.2.0.
   */
  readonly multi: () => RedisCommand<void>

  /**
   * Stops watching all keys. Refused on shared connections: use `Redis.optimistic`, which sends it when needed.
   *
   * O(1). Since Redis 2.2.0.
   */
  readonly unwatch: () => RedisCommand<void>

  /**
   * Watches keys: when one of them changes before EXEC, the transaction does not run. Refused on shared connections:
   * use `Redis.optimistic`.
   *
   * O(1) for each key. Since Redis 2.2.0.
   */
  readonly watch: (keys: OneOrMany<Key>) => RedisCommand<void>
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
