/**
 * Lua scripts as typed values, with their keys, arguments and results.
 *
 * A call is a command like any other. Run by itself, it sends the script's SHA1 (EVALSHA), and the source only when the
 * server does not hold the script. In a transaction it always sends the source (EVAL), because an SHA1 that the server
 * does not know would fail alone while the other commands are executed.
 *
 * In a pipeline it sends the source, unless this connection has run the script recently. If the server has lost the
 * script since then, because another client sent SCRIPT FLUSH or ran hundreds of other scripts by EVAL (from Redis 7.4
 * on, servers keep 500 of those), this one command of the pipeline fails with `NOSCRIPT`. It was not executed. It is not
 * sent again, because the commands after it have run; the next pipeline sends the source.
 *
 * @see https://redis.io/docs/latest/develop/programmability/eval-intro/
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { utf8 } from "./Codec.js"
import * as Scripting from "./commands/scripting.js"
import { Argument } from "./internal/command/args.js"
import { type Alone, declare, define, reword, Spec } from "./internal/command/command.js"
import { traitsOf } from "./internal/command/facts.js"
import type { RedisCommand } from "./internal/command/model.js"
import { transformed } from "./internal/effect/schemas.js"
import * as Timers from "./internal/engine/timers.js"
import { allowedWas } from "./internal/request/failure.js"
import { isWellFormed, utf8Encode } from "./internal/resp/text.js"
import type { Reply } from "./internal/resp/values.js"
import {
  type AnyOptions,
  type ArgumentType,
  type CallOptions,
  invocation,
  type KeyCount,
  type Parameters,
  resultDecoder
} from "./internal/script/invocation.js"
import { sha1 } from "./internal/script/sha1.js"
import type { RedisError } from "./RedisError.js"

/**
 * The property by which a script is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisScript")

/**
 * The property by which a script is recognised.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A script: a function from its keys and arguments to the command that runs it.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisScript<Parameters extends ReadonlyArray<unknown>, out A> extends Inspectable.Inspectable {
  /** The command that runs the script with these keys and arguments. */
  (...parameters: Parameters): RedisCommand<A>
  readonly [TypeId]: TypeId
  readonly source: string
  /** The id of the script on servers, as for `Redis.scriptExists`. */
  readonly sha1: string
  /**
   * Loads the script into the server's cache ahead of its first call (SCRIPT LOAD), and returns its SHA1. It is
   * optional.
   */
  readonly load: RedisCommand<string>
}

/**
 * The definition of a script.
 *
 * @since 0.1.0
 * @category options
 */
export interface Options<N extends KeyCount, T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType, A, I>
  extends CallOptions<N, T, Rest, A, I> {
  /** The script, in Lua. */
  readonly source: string
}

export type {
  /**
   * The type of an argument: a schema that encodes to text, bytes, a number or a boolean, or a `Codec`.
   *
   * @since 0.1.0
   * @category models
   */
  ArgumentType,
  /**
   * The keys, arguments and result of a script or function.
   *
   * @since 0.1.0
   * @category options
   */
  CallOptions,
  /**
   * The number of keys of a script or function: a literal number, or `"any"`.
   *
   * @since 0.1.0
   * @category models
   */
  KeyCount,
  /**
   * The parameters of a call: the keys, then the arguments.
   *
   * @since 0.1.0
   * @category models
   */
  Parameters
}

/**
 * Makes a typed script.
 *
 * An error of the script is a `ReplyError` with the script's own code, or `ERR`. Its text may quote arguments, so it is
 * only in the redacted field `raw`. A call that may have been executed is never sent again, unless the script is
 * `readonly` or the call is declared repeatable (`RedisCommand.repeatable`).
 *
 * A call sends the source when the server replies with its own error for an unknown SHA1, and waits when the server replies
 * with its own sentence that it is not ready (LOADING and its kin). A script must therefore not return exactly these errors
 * itself.
 *
 * @example
 * ```ts
 * import { Redis, RedisScript } from "effect-redis-client"
 * import { Effect, Schema } from "effect"
 *
 * const takeAtMost = RedisScript.make({
 *   source: `
 *     local left = tonumber(redis.call("GET", KEYS[1]) or "0")
 *     local taken = math.min(left, tonumber(ARGV[1]))
 *     if taken > 0 then redis.call("DECRBY", KEYS[1], taken) end
 *     return taken`,
 *   keys: 1,
 *   args: [Schema.Int],
 *   result: Schema.Int
 * })
 *
 * export const program = Effect.gen(function*() {
 *   const taken = yield* takeAtMost("stock", 3) // number
 *   const [more, left] = yield* Redis.pipeline([takeAtMost("stock", 2), Redis.get("stock")])
 *   return { taken, more, left }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  /**
   * Makes a typed script, whose `result` reads its replies.
   *
   * An error of the script is a `ReplyError` with the script's own code, or `ERR`. Its text may quote arguments, so it
   * is only in the redacted field `raw`. A call that may have been executed is never sent again, unless the script is
   * `readonly`.
   *
   * @example
   * ```ts
   * import { Redis, RedisScript } from "effect-redis-client"
   * import { Effect, Schema } from "effect"
   *
   * const takeAtMost = RedisScript.make({
   *   source: `
   *     local left = tonumber(redis.call("GET", KEYS[1]) or "0")
   *     local taken = math.min(left, tonumber(ARGV[1]))
   *     if taken > 0 then redis.call("DECRBY", KEYS[1], taken) end
   *     return taken`,
   *   keys: 1,
   *   args: [Schema.Int],
   *   result: Schema.Int
   * })
   *
   * export const program = Effect.gen(function*() {
   *   const taken = yield* takeAtMost("stock", 3) // number
   *   const [more, left] = yield* Redis.pipeline([takeAtMost("stock", 2), Redis.get("stock")])
   *   return { taken, more, left }
   * })
   * ```
   *
   * @since 0.1.0
   * @category constructors
   */
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType, A, I>(
    options: Options<N, T, Rest, A, I> & { readonly result: Schema.Schema<A, I> | ((reply: Reply) => A) }
  ): RedisScript<Parameters<N, T, Rest>, A>

  /**
   * Makes a typed script whose result is the reply as the server sent it.
   *
   * An error of the script is a `ReplyError` with the script's own code, or `ERR`. Its text may quote arguments, so it
   * is only in the redacted field `raw`. A call that may have been executed is never sent again, unless the script is
   * `readonly`.
   *
   * @since 0.1.0
   * @category constructors
   */
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType>(
    options: Options<N, T, Rest, Reply, never> & { readonly result?: undefined }
  ): RedisScript<Parameters<N, T, Rest>, Reply>
} = (options: AnyOptions & { readonly source: string }): never => {
  const { readonly, reply, source } = options
  // All calls share one `Argument`, because it is the key under which the SHA1 is cached.
  const first = new Argument("value", source)
  const problem =
    typeof source !== "string" || isWellFormed(source)
      ? undefined
      : "the source contains a lone surrogate, which UTF-8 cannot encode"
  const invoke = invocation(options, first, problem)
  const decoder = resultDecoder(options)
  const command = readonly === true ? EVAL_RO : EVAL
  const shown = {
    toString: () => `RedisScript(${shaOf(first)})`,
    toJSON: () => ({ _id: "RedisScript", sha1: shaOf(first) })
  }
  const script = (...parameters: ReadonlyArray<unknown>) => command(invoke(parameters), decoder, reply !== "bytes")
  Object.defineProperty(script, "sha1", { get: () => shaOf(first), enumerable: true })
  return Object.assign(script, shown, {
    [TypeId]: TypeId,
    [Inspectable.NodeInspectSymbol]: shown.toJSON,
    source,
    load: scriptLoad(source)
  }) as never
}

/**
 * Whether a value is a script.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRedisScript = (u: unknown): u is RedisScript<never, unknown> => Predicate.hasProperty(u, TypeId)

/**
 * A boolean returned by a script, for `result`: `true` arrives as 1; `false`, like `nil`, as null.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LuaBoolean: Schema.Schema<boolean, 0 | 1 | null> = transformed(
  Schema.NullOr(Schema.Literal(1, 0)),
  Schema.Boolean,
  {
    decode: (given) => given === 1,
    encode: (given) => (given ? 1 : null)
  }
)

const { scriptLoad } = Scripting.make(utf8)

const shas = new WeakMap<Argument, string>()

const shaOf = (source: Argument): string => {
  let sha = shas.get(source)
  if (sha === undefined) {
    sha = sha1(typeof source.data === "string" ? utf8Encode(source.data) : source.data)
    shas.set(source, sha)
  }
  return sha
}

/** The SHA1 of a script that is sent, with the source in case that it must be sent after all. */
class Sha extends Argument {
  constructor(readonly source: Argument) {
    super("value", shaOf(source))
  }
}

/** EVALSHA as calls of scripts send it. */
const shaSpec = (name: "EVALSHA" | "EVALSHA_RO"): Spec =>
  new Spec(name, traitsOf(name), undefined, {
    sha: ([sha]) => String(sha?.data),
    full: (command) => {
      const [sha, ...rest] = command.args
      return reword(command, { name: fullSpecs[name], args: [(sha as Sha).source, ...rest] })
    }
  })

/** EVAL in place of EVALSHA. */
const fullSpecs = {
  EVALSHA: new Spec("EVAL", traitsOf("EVAL")),
  EVALSHA_RO: new Spec("EVAL_RO", traitsOf("EVAL_RO"))
}

/** Runs a script outside of batches: sends its SHA1 and, when the server does not hold the script, its source, once. */
const bySha =
  (spec: Spec): Alone =>
  (command, redis) =>
    command.problem !== undefined
      ? Effect.fail(command.problem)
      : Effect.suspend(() => {
          const accepted = Timers.now()
          const [source, ...rest] = command.args
          const args = [new Sha(source as Argument), ...rest]
          const short = reword(command, { name: spec, args })
          return Effect.catchAll(
            redis.send(command.traits.repeatable ? declare(short, "repeatable") : short),
            (error) => {
              if (!isUnknownScript(error)) {
                return Effect.fail(error)
              }
              const { deadline } = command
              if (deadline === undefined || deadline === Infinity) {
                return redis.send(command)
              }
              // The deadline covers both attempts together.
              const left = Math.max(0, deadline - (Timers.now() - accepted))
              return Effect.mapError(redis.send(reword(command, { deadline: left })), (error) =>
                allowedWas(deadline, error)
              )
            }
          )
        })

/**
 * Compares the server's whole sentence and not only its code, because a script that has run may fail with any code, and
 * must not run twice.
 */
const isUnknownScript = (error: RedisError): boolean =>
  error._tag === "ReplyError" &&
  /^NOSCRIPT No matching script\.(?: Please use EVAL\.)?$/.test(Redacted.value(error.raw))

/** A call of a script, whose first argument is the source. */
const call = (name: "EVAL" | "EVAL_RO") => {
  const short = shaSpec(name === "EVAL" ? "EVALSHA" : "EVALSHA_RO")
  return define(name, { alone: bySha(short), script: { short, sha: ([source]) => shaOf(source as Argument) } })
}

const EVAL = call("EVAL")
const EVAL_RO = call("EVAL_RO")
