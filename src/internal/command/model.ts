/**
 * The two interfaces that name each other: a command, and the service that runs it. They are public as
 * `RedisCommand.RedisCommand` and `Redis.RedisService`, and stand here so that everything above can name them. Only types
 * and the tag are here.
 */
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Inspectable from "effect/Inspectable"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import type { RedisError, UsageError } from "../../RedisError.js"
import type { Subscribable } from "../effect/callbackStream.js"
import type { Argument, Key } from "./args.js"
import type { Traits } from "./facts.js"
import type { Insight } from "./insight.js"

/**
 * The property by which a command is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisCommand")

/**
 * The property by which a command is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A command that answers an `A`.
 *
 * Two commands are equal when they send the same bytes and read the reply the same way. Printing one shows its name and
 * Redis' own words; keys and values are blanked.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisCommand<out A> extends Effect.Effect<A, RedisError, Redis>, Inspectable.Inspectable {
  readonly [TypeId]: { readonly _A: Types.Covariant<A> }
  /** The name in capitals, with its subcommand: `GET`, `CLIENT SETNAME`. */
  readonly name: string
  /** The arguments behind the name. */
  readonly args: ReadonlyArray<Argument>
  /** What a client must know to send it safely. */
  readonly traits: Traits
  /** Whether bulk strings of the reply are wanted as text; otherwise as bytes. */
  readonly text: boolean
  /** The deadline of this command alone, in milliseconds from when it is accepted. */
  readonly deadline: number | undefined
  /** Why the command cannot be sent, when an argument is wrong. It fails with it when it is run. */
  readonly problem: UsageError | undefined
}

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
    options: BatchOptions
  ) => Effect.Effect<BatchResult, RedisError>
  /** A service of the same kind on a connection of its own, until the scope closes. */
  readonly lease: Effect.Effect<RedisService, RedisError, Scope.Scope>
  /**
   * Scans from the first page to the last, where more than one server has to be asked. A client of one server leaves it
   * out: its scans are commands like any other.
   */
  readonly scan?: (<A>(page: ScanCommand<A>) => Stream.Stream<A, RedisError>) | undefined
  /** The same service with its readonly commands sent elsewhere. A client of one server leaves it out. */
  readonly readFrom?: ((from: ReadFrom) => RedisService) | undefined
  /** The hash slot of a key, where keys of different slots are on different servers. A client of one server leaves it out. */
  readonly slotOf?: ((key: Key) => number) | undefined
  /** Whether there is a connection, now and as it changes. */
  readonly status: Subscribable<Status>
  /** What log lines say about this client. A service that wraps another hands it on, or leaves it out. */
  readonly about?: About | undefined
}

/**
 * Where readonly commands go: to the primary; to a replica while the primary is not connected (`preferPrimary`); to a
 * replica, and to the primary where none can serve (`preferReplica`); to replicas only; to the node that answers
 * fastest, the primary included (`lowestLatency`); or to the nodes of an availability zone, the primary included, then to any
 * replica, then to the primary.
 */
export type ReadFrom =
  | "primary"
  | "preferPrimary"
  | "preferReplica"
  | "replica"
  | "lowestLatency"
  | { readonly nearest: string }

/** SCAN, HSCAN, SSCAN or ZSCAN at a cursor. */
export type ScanCommand<A> = (
  cursor: string
) => RedisCommand<{ readonly cursor: string; readonly items: ReadonlyArray<A> }>

/** The server and the client, for log lines. */
export interface About {
  /** The server's address. */
  readonly server: string
  /** The option `clientName`. */
  readonly client: string | undefined
  /** What the client counts, and what happens to it: `Redis.stats` and `Redis.events`. */
  readonly insight?: Insight | undefined
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

/** How commands are sent together. */
export interface BatchOptions {
  /** Between MULTI and EXEC, as one unit that no other command enters. */
  readonly atomic: boolean
  /** In milliseconds from when the batch is accepted. Without it the longest deadline of its commands counts. */
  readonly deadline?: number | undefined
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
