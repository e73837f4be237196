/**
 * The service behind every command. Public as `Redis.Redis` and friends; here so that commands can name it without
 * knowing the client.
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import type { RedisCommand } from "../../RedisCommand.js"
import type { RedisError } from "../../RedisError.js"

/**
 * The client as commands see it. It is small on purpose: what it does not do (decoding, naming, composing) is done by
 * the commands, so that test doubles, prefixes, caches and cluster routers are a few lines each.
 */
export interface RedisService {
  /** Sends one command and reads its reply. */
  readonly send: <A>(command: RedisCommand<A>) => Effect.Effect<A, RedisError>
  /**
   * Sends commands in one write and reads all their replies: each command's own `Exit`, in order. With `atomic`, they
   * go between MULTI and EXEC. `deadline`, in milliseconds from when they are accepted, stands in for those of the
   * commands. It fails only when nothing is known of any of them.
   */
  readonly sendAll: (
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: { readonly atomic: boolean; readonly deadline?: number | undefined }
  ) => Effect.Effect<BatchResult, RedisError>
  /** A service of the same kind on a connection of its own, until the scope closes. */
  readonly lease: Effect.Effect<RedisService, RedisError, Scope.Scope>
  /** Whether there is a connection, now and as it changes. */
  readonly status: Subscribable.Subscribable<Status>
}

/**
 * How a client is connected.
 *
 * - `Connecting`: there was no connection yet.
 * - `Ready`: commands are sent.
 * - `Reconnecting`: the connection ended, and `attempt` (from 1) is next or under way; as many as come before it have
 *   failed since. `next` is when it begins, or began, after a pause; `undefined` where there is none. Commands wait.
 * - `Closed`: there will be no connection any more: the scope was closed, or there are no more attempts (`cause`).
 */
export type Status =
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Ready" }
  | {
      readonly _tag: "Reconnecting"
      readonly attempt: number
      readonly next: DateTime.Utc | undefined
      readonly cause: RedisError
    }
  | { readonly _tag: "Closed"; readonly cause: RedisError | undefined }

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

/** The status of what has no connection that comes and goes. */
export const alwaysReady: Subscribable.Subscribable<Status> = Subscribable.make({
  get: Effect.succeed<Status>({ _tag: "Ready" }),
  changes: Stream.make<[Status]>({ _tag: "Ready" })
})
