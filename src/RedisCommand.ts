/**
 * A command as a value: its name, its arguments, what a client must know of it, and how to read its reply. A command is
 * also an `Effect` that needs a `Redis`, so it can be yielded, piped, and handed to a pipeline, a transaction or a
 * connection.
 *
 * @since 0.1.0
 */
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Predicate from "effect/Predicate"
import {
  type AbsoluteTime as AbsoluteTimeModel,
  Argument,
  type DurationWithUnit as DurationWithUnitModel,
  type Key as KeyModel,
  type OneOrMany as OneOrManyModel
} from "./internal/command/args.js"
import * as Core from "./internal/command/command.js"
import { type RedisCommand, TypeId } from "./internal/command/model.js"
import * as Raw from "./internal/command/raw.js"
import type { Reply } from "./internal/resp/values.js"
import type { RedisError } from "./RedisError.js"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Argument,
  /**
   * @since 0.1.0
   * @category models
   */
  ArgumentKind
} from "./internal/command/args.js"
export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Traits
} from "./internal/command/facts.js"
export {
  /**
   * @since 0.1.0
   * @category type ids
   */
  TypeId
} from "./internal/command/model.js"
export type {
  /**
   * Everything that can be an argument of a command by name. Text, bytes and numbers are values: they are never shown,
   * and get no prefix. {@link key} and {@link token} tag an argument as something else.
   *
   * @since 0.1.0
   * @category models
   */
  ArgumentInput,
  /**
   * @since 0.1.0
   * @category models
   */
  MakeOptions
} from "./internal/command/raw.js"
export type {
  /**
   * A command that answers an `A`.
   *
   * Two commands are equal when they send the same bytes and read the reply the same way. Printing one shows its name and
   * Redis' own words; keys and values are blanked.
   *
   * @since 0.1.0
   * @category models
   */
  RedisCommand
}

/**
 * A key, field or channel name: text, or bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type Key = KeyModel

/**
 * One element, or a list of any length: an array or a Chunk. An array or a Chunk always counts as the list, so an element
 * that is one itself (a value under `Codec.json`) stands in a list. Where Redis needs at least one element, an empty list
 * fails with a `UsageError` when the command is run.
 *
 * @since 0.1.0
 * @category models
 */
export type OneOrMany<A> = OneOrManyModel<A>

/**
 * A duration that says its unit: a bare number is milliseconds to Effect and seconds to Redis users, so it does not
 * compile. A wrapper that takes Effect's `DurationInput` passes `Duration.decode(input)`.
 *
 * @since 0.1.0
 * @category models
 */
export type DurationWithUnit = DurationWithUnitModel

/**
 * A moment in time.
 *
 * @since 0.1.0
 * @category models
 */
export type AbsoluteTime = AbsoluteTimeModel

/**
 * Whether a value is a command.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRedisCommand = (u: unknown): u is RedisCommand<unknown> => Predicate.hasProperty(u, TypeId)

/**
 * Tags an argument as a key.
 *
 * @since 0.1.0
 * @category arguments
 */
export const key: (data: string | Uint8Array) => Argument = Raw.key

/**
 * Tags an argument as one of Redis' own words: it is shown in errors and logs.
 *
 * @since 0.1.0
 * @category arguments
 */
export const token: (data: string) => Argument = Raw.token

/**
 * Tags an argument as a value. This is what untagged arguments are.
 *
 * @since 0.1.0
 * @category arguments
 */
export const value: (data: string | Uint8Array) => Argument = Raw.value

/**
 * A command by its name, where there is no constructor: new commands, modules. `decode` reads the reply; a throw in it
 * is a defect. Without it the result is the reply as the server sent it.
 *
 * The name may hold the subcommand (`"CLIENT SETNAME"`), or it may be the first argument. The traits of known commands,
 * such as readonly, blocking and state-changing, are recognised by their names here too.
 *
 * @example
 * ```ts
 * import { RedisCommand } from "effect-redis-client"
 *
 * export const jsonGet = (key: string) =>
 *   RedisCommand.make("JSON.GET", { args: [RedisCommand.key(key), "$"], readonly: true })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  /**
   * A command by its name, whose result is what `decode` makes of the reply; a throw in it is a defect.
   *
   * The name may hold the subcommand (`"CLIENT SETNAME"`), or it may be the first argument. The traits of known
   * commands, such as readonly, blocking and state-changing, are recognised by their names here too.
   *
   * @since 0.1.0
   * @category constructors
   */
  <A>(name: string, options: Raw.MakeOptions & { readonly decode: (reply: Reply) => A }): RedisCommand<A>

  /**
   * A command by its name, whose result is the reply as the server sent it.
   *
   * The name may hold the subcommand (`"CLIENT SETNAME"`), or it may be the first argument. The traits of known
   * commands, such as readonly, blocking and state-changing, are recognised by their names here too.
   *
   * @example
   * ```ts
   * import { RedisCommand } from "effect-redis-client"
   *
   * export const jsonGet = (key: string) =>
   *   RedisCommand.make("JSON.GET", { args: [RedisCommand.key(key), "$"], readonly: true })
   * ```
   *
   * @since 0.1.0
   * @category constructors
   */
  (name: string, options?: Raw.MakeOptions): RedisCommand<Reply>
} = Raw.make

/**
 * Changes the result of a command; it stays a command. A throw in `f` is a defect of the fiber that runs it.
 *
 * @since 0.1.0
 * @category mapping
 */
export const map: {
  /**
   * Changes the result of a command; it stays a command. A throw in `f` is a defect of the fiber that runs it.
   *
   * @since 0.1.0
   * @category mapping
   */
  <A, B>(f: (a: A) => B): (self: RedisCommand<A>) => RedisCommand<B>

  /**
   * Changes the result of a command; it stays a command. A throw in `f` is a defect of the fiber that runs it.
   *
   * @since 0.1.0
   * @category mapping
   */
  <A, B>(self: RedisCommand<A>, f: (a: A) => B): RedisCommand<B>
} = dual(2, Core.mapped)

/**
 * Replaces the result of a command.
 *
 * @since 0.1.0
 * @category mapping
 */
export const as: {
  /**
   * Replaces the result of a command; it stays a command.
   *
   * @since 0.1.0
   * @category mapping
   */
  <B>(value: B): <A>(self: RedisCommand<A>) => RedisCommand<B>

  /**
   * Replaces the result of a command; it stays a command.
   *
   * @since 0.1.0
   * @category mapping
   */
  <A, B>(self: RedisCommand<A>, value: B): RedisCommand<B>
} = dual(2, <A, B>(self: RedisCommand<A>, value: B): RedisCommand<B> => Core.mapped(self, () => value))

/**
 * Rewrites a command's arguments, keeping their kinds: how prefixes are put before keys.
 *
 * @since 0.1.0
 * @category mapping
 */
export const mapArguments: {
  /**
   * Rewrites a command's arguments, keeping their kinds: how prefixes are put before keys.
   *
   * @since 0.1.0
   * @category mapping
   */
  (f: (argument: Argument) => string | Uint8Array): <A>(self: RedisCommand<A>) => RedisCommand<A>

  /**
   * Rewrites a command's arguments, keeping their kinds: how prefixes are put before keys.
   *
   * @since 0.1.0
   * @category mapping
   */
  <A>(self: RedisCommand<A>, f: (argument: Argument) => string | Uint8Array): RedisCommand<A>
} = dual(
  2,
  <A>(self: RedisCommand<A>, f: (argument: Argument) => string | Uint8Array): RedisCommand<A> =>
    Core.reword(self, {
      args: self.args.map((argument) => {
        const data = f(argument)
        return data === argument.data ? argument : new Argument(argument.kind, data)
      })
    })
)

/**
 * The keys of a command, in order: its arguments that are tagged as keys.
 *
 * @since 0.1.0
 * @category getters
 */
export const keys = (self: RedisCommand<unknown>): ReadonlyArray<Key> =>
  self.args.flatMap(({ data, kind }) => (kind === "key" ? [data] : []))

/**
 * Gives one command a deadline of its own, counted from when it is accepted. It covers waiting, retries and the reply;
 * when it passes, the command fails with a `DeadlineError` that says whether the command may have been executed. It is
 * exact to about 20 ms. It takes a command, so apply it before operators that return an Effect. A pipeline or
 * transaction uses the longest deadline of its commands, unless it has a `deadline` of its own, which then counts
 * alone.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withDeadline: {
  /**
   * Gives one command a deadline of its own, counted from when it is accepted. It covers waiting, retries and the
   * reply; when it passes, the command fails with a `DeadlineError` that says whether the command may have been
   * executed. It is exact to about 20 ms.
   *
   * It takes a command, so apply it before operators that return an Effect. A pipeline or transaction uses the longest
   * deadline of its commands, unless it has a `deadline` of its own, which then counts alone.
   *
   * @since 0.1.0
   * @category combinators
   */
  (deadline: DurationWithUnit): <A>(self: RedisCommand<A>) => RedisCommand<A>

  /**
   * Gives one command a deadline of its own, counted from when it is accepted. It covers waiting, retries and the
   * reply; when it passes, the command fails with a `DeadlineError` that says whether the command may have been
   * executed. It is exact to about 20 ms.
   *
   * It takes a command, so apply it before operators that return an Effect. A pipeline or transaction uses the longest
   * deadline of its commands, unless it has a `deadline` of its own, which then counts alone.
   *
   * @since 0.1.0
   * @category combinators
   */
  <A>(self: RedisCommand<A>, deadline: DurationWithUnit): RedisCommand<A>
} = dual(2, Core.withDeadline)

/**
 * Declares that executing a command twice is the same as once, so that it may be sent again when its connection ended
 * before its reply. Readonly commands count as such without a declaration. Of writes only you can know: a `SET` is
 * repeatable where nobody else writes the key; `INCR` is not. Of a pipeline, the commands without a reply are sent again
 * when each of them is readonly or declared; a transaction is sent again when each command is declared, readonly ones too.
 * A script that is declared so is also sent again when it answers that the server is not ready (LOADING and its kin).
 *
 * @example
 * ```ts
 * import { Redis, RedisCommand } from "effect-redis-client"
 *
 * export const seen = RedisCommand.repeatable(Redis.set("seen:42", "yes"))
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const repeatable = <A>(self: RedisCommand<A>): RedisCommand<A> => Core.declare(self, "repeatable")

/**
 * What a reply means to a command: its result, or the typed error. For test doubles and for code that routes commands.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decode: <A>(self: RedisCommand<A>, reply: Reply) => Exit.Exit<A, RedisError> = Core.decode

/**
 * The same request, whose result is the reply before it is decoded: for code that joins the replies of several servers,
 * keeps replies in a cache, or compares them. {@link decode} turns such a reply into the command's own value. An error
 * reply still fails with a `ReplyError`.
 *
 * @example
 * ```ts
 * import { Redis, RedisCommand } from "effect-redis-client"
 * import { Effect } from "effect"
 *
 * const command = Redis.mget(["a", "b"])
 * export const values = Effect.flatMap(RedisCommand.undecoded(command), (reply) => RedisCommand.decode(command, reply))
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const undecoded: (self: RedisCommand<unknown>) => RedisCommand<Reply> = Core.undecoded
