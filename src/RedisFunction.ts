/**
 * Redis functions as typed values: how many keys a function takes, what its arguments are and what it answers.
 *
 * Functions belong to a library that the server keeps, with its data: it is loaded once, by whoever deploys it, and not by
 * calls. What a program sends along with its calls is a script: see `RedisScript`.
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
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisFunction")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A function: called with its keys and arguments, it gives the command that calls it on the server.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisFunction<Parameters extends ReadonlyArray<unknown>, out A> extends Inspectable.Inspectable {
  (...parameters: Parameters): RedisCommand<A>
  readonly [TypeId]: TypeId
  /** The name that the library registers it under. */
  readonly name: string
}

/**
 * A function as a value, by the name that its library registers it under. Since Redis 7.0.0.
 *
 * An error of the function is a `ReplyError` with the code it gave, or `ERR` (as for a function that is not there); its
 * text, which may quote arguments, is in the redacted field `raw` only.
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
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType, A, I>(
    name: string,
    options: CallOptions<N, T, Rest, A, I> & { readonly result: Schema.Schema<A, I> | ((reply: Reply) => A) }
  ): RedisFunction<Parameters<N, T, Rest>, A>
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType>(
    name: string,
    options: CallOptions<N, T, Rest, Reply, never> & { readonly result?: undefined }
  ): RedisFunction<Parameters<N, T, Rest>, Reply>
} = (name: string, options: AnyOptions): never => {
  // Its name is the program's own word, as a command's is: it is shown.
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
  /** As its source says. */
  readonly name: string
  readonly source: string
  /**
   * Loads it, in place of what has the same name (FUNCTION LOAD REPLACE), and answers its name. Functions are data: they
   * survive restarts as data does, and replicas get them too.
   */
  readonly load: RedisCommand<string>
}

/**
 * A library by its source, which begins with `#!lua name=…`. Since Redis 7.0.0.
 *
 * To list, delete, dump and restore libraries there are the commands: `Redis.functionList` and its kin.
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
 * // Loaded before whatever is built upon this Layer.
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
        ? FUNCTION_LOAD(args().fail("a library's source begins with a line like `#!lua name=counters`"), Decode.text)
        : functionLoad(source, { replace: true })
  }
}

const { functionLoad } = Scripting.make(utf8)

const FCALL = define("FCALL")
const FCALL_RO = define("FCALL_RO")
const FUNCTION_LOAD = define("FUNCTION LOAD")
