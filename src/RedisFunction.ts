/**
 * Redis functions as typed values, with their keys, arguments and results.
 *
 * Functions belong to a library, which the server stores with its data. A library is loaded once, at deployment; calls
 * do not load it. For code that a program sends with its calls, see `RedisScript`.
 *
 * @see https://redis.io/docs/latest/develop/programmability/functions-intro/
 * @since 0.1.0
 */
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { utf8 } from "./Codec.js"
import * as Scripting from "./commands/scripting.js"
import { Argument, args } from "./internal/command/args.js"
import { define } from "./internal/command/command.js"
import * as Decode from "./internal/command/decode.js"
import type { RedisCommand } from "./internal/command/model.js"
import type { Reply } from "./internal/resp/values.js"
import { type AnyOptions, invocation, resultDecoder } from "./internal/script/invocation.js"
import type { ArgumentType, CallOptions, KeyCount, Parameters } from "./RedisScript.js"

/**
 * The property by which a function is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisFunction")

/**
 * The property by which a function is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A function: from its keys and arguments it makes the command that calls it on the server.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisFunction<Parameters extends ReadonlyArray<unknown>, out A> extends Inspectable.Inspectable {
  /** The command that calls the function with these keys and arguments. */
  (...parameters: Parameters): RedisCommand<A>
  readonly [TypeId]: TypeId
  /** The name under which the library registers it. */
  readonly name: string
}

/**
 * Makes a typed function, by the name under which its library registers it. Since Redis 7.0.0.
 *
 * An error of the function is a `ReplyError` with the function's own code, or `ERR` (also for a missing function). Its
 * text may quote arguments, so it is only in the redacted field `raw`.
 *
 * @example
 * ```ts
 * import { RedisFunction } from "effect-redis-client"
 * import { Effect, Schema } from "effect"
 *
 * const counters = RedisFunction.library(`#!lua name=counters
 *   redis.register_function("count_up", function(keys, args)
 *     return redis.call("INCRBY", keys[1], args[1])
 *   end)
 * `)
 *
 * const countUp = RedisFunction.make("count_up", { keys: 1, args: [Schema.Int], result: Schema.Int })
 *
 * export const program = Effect.gen(function*() {
 *   yield* counters.load
 *   return yield* countUp("visits", 2) // number
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  /**
   * Makes a typed function, by the name under which its library registers it. `result` reads its replies. Since Redis
   * 7.0.0.
   *
   * An error of the function is a `ReplyError` with the function's own code, or `ERR` (also for a missing function).
   * Its text may quote arguments, so it is only in the redacted field `raw`.
   *
   * @example
   * ```ts
   * const countUp = RedisFunction.make("count_up", { keys: 1, args: [Schema.Int], result: Schema.Int })
   * ```
   *
   * @since 0.1.0
   * @category constructors
   */
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType, A, I>(
    name: string,
    options: CallOptions<N, T, Rest, A, I> & { readonly result: Schema.Schema<A, I> | ((reply: Reply) => A) }
  ): RedisFunction<Parameters<N, T, Rest>, A>

  /**
   * Makes a typed function whose result is the reply as the server sent it. Since Redis 7.0.0.
   *
   * An error of the function is a `ReplyError` with the function's own code, or `ERR` (also for a missing function).
   * Its text may quote arguments, so it is only in the redacted field `raw`.
   *
   * @since 0.1.0
   * @category constructors
   */
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType>(
    name: string,
    options: CallOptions<N, T, Rest, Reply, never> & { readonly result?: undefined }
  ): RedisFunction<Parameters<N, T, Rest>, Reply>
} = (name: string, options: AnyOptions): never => {
  // The name is chosen by the program, like the name of a command, so errors and logs may show it.
  const invoke = invocation(options, new Argument("token", name), undefined)
  const decoder = resultDecoder(options)
  const command = options.readonly === true ? FCALL_RO : FCALL
  const shown = { toString: () => `RedisFunction(${name})`, toJSON: () => ({ _id: "RedisFunction", name }) }
  const call = (...parameters: ReadonlyArray<unknown>) =>
    command(invoke(parameters), decoder, options.reply !== "bytes")
  Object.defineProperty(call, "name", { value: name })
  return Object.assign(call, shown, { [TypeId]: TypeId, [Inspectable.NodeInspectSymbol]: shown.toJSON }) as never
}

/**
 * Whether a value is a function of this module.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRedisFunction = (u: unknown): u is RedisFunction<never, unknown> => Predicate.hasProperty(u, TypeId)

/**
 * A library of functions.
 *
 * @since 0.1.0
 * @category models
 */
export interface Library {
  /** The name in the first line of the source. */
  readonly name: string
  readonly source: string
  /**
   * Loads the library, replaces one of the same name (FUNCTION LOAD REPLACE), and returns its name. Functions are
   * persisted and replicated like data.
   */
  readonly load: RedisCommand<string>
}

/**
 * Makes a library from its source, which begins with `#!lua name=…`. Since Redis 7.0.0.
 *
 * To list, delete, dump and restore libraries, use `Redis.functionList`, `functionDelete`, `functionDump` and
 * `functionRestore`.
 *
 * @example
 * ```ts
 * import { RedisFunction } from "effect-redis-client"
 * import { Layer } from "effect"
 *
 * const counters = RedisFunction.library(`#!lua name=counters
 *   redis.register_function{
 *     function_name = "current",
 *     callback = function(keys) return redis.call("GET", keys[1]) end,
 *     flags = { "no-writes" }
 *   }
 * `)
 *
 * // Loads the library before any layer that depends on this one is built.
 * export const CountersLive = Layer.effectDiscard(counters.load)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const library = (source: string): Library => {
  const name = /^#!\w+(?:[ \t][^\n]*)?[ \t]name=["']?(\w+)/.exec(source)?.[1]
  return {
    name: name ?? "",
    source,
    load:
      name === undefined
        ? FUNCTION_LOAD(
            args().fail("a library's source must begin with a line like `#!lua name=counters`"),
            Decode.text
          )
        : functionLoad(source, { replace: true })
  }
}

const { functionLoad } = Scripting.make(utf8)

const FCALL = define("FCALL")
const FCALL_RO = define("FCALL_RO")
const FUNCTION_LOAD = define("FUNCTION LOAD")
