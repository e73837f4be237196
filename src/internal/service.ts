/**
 * The service behind every command. Public as `Redis.Redis` and friends; here so that commands can name it without
 * knowing the client.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { RedisCommand } from "../RedisCommand.js"
import type { RedisError } from "../RedisError.js"

/**
 * The client as commands see it. It is small on purpose: what it does not do (decoding, naming, composing) is done by
 * the commands, so that test doubles, prefixes, caches and cluster routers are a few lines each.
 */
export interface RedisService {
  /** Sends one command and reads its reply. */
  readonly send: <A>(command: RedisCommand<A>) => Effect.Effect<A, RedisError>
  /**
   * Sends commands in one write and reads all their replies: each command's own `Exit`, in order. With `atomic`, they
   * go between MULTI and EXEC. It fails only when nothing is known of any of them.
   */
  readonly sendAll: (
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: { readonly atomic: boolean }
  ) => Effect.Effect<BatchResult, RedisError>
  /** A service of the same kind on a connection of its own, until the scope closes. */
  readonly lease: Effect.Effect<RedisService, RedisError, Scope.Scope>
}

/** What became of a batch. */
export interface BatchResult {
  /**
   * `executed`: the replies are in `exits`. The others only come from atomic batches: `conflict` (EXEC answered nil),
   * `discarded` (EXECABORT), `refused` (MULTI was refused, so the commands ran on their own).
   */
  readonly outcome: "executed" | "conflict" | "discarded" | "refused"
  /** One for each command, except on a conflict. */
  readonly exits: ReadonlyArray<Exit.Exit<unknown, RedisError>>
}

/** The identifier of the client in an Effect's requirements. */
export interface Redis {
  readonly _: unique symbol
}

export const Redis: Context.Tag<Redis, RedisService> = Context.GenericTag<Redis, RedisService>(
  "effect-redis-client/Redis"
)
