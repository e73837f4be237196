/**
 * Lua scripts as typed values: how many keys a script takes, what its arguments are and what it answers.
 *
 * A call is a command like any other. Run by itself it sends the script's SHA1 (EVALSHA), and the source only when the
 * server does not hold the script yet. In a pipeline or a transaction, where nothing can be sent after the fact, it sends
 * the source (EVAL), unless this connection has run the script lately. Should the server have lost it since, because
 * somebody else sent SCRIPT FLUSH, or ran hundreds of other scripts by EVAL (from Redis 7.4 on servers keep 500 of those),
 * then that slot fails with `NOSCRIPT`; it is not sent again, and the next batch has the source.
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
import { DeadlineError, type RedisError } from "./RedisError.js"

/**
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("effect-redis-client/RedisScript")

/**
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A script: called with its keys and arguments, it gives the command that runs it.
 *
 * @since 0.1.0
 * @category models
 */
export interface RedisScript<Parameters extends ReadonlyArray<unknown>, out A> extends Inspectable.Inspectable {
  (...parameters: Parameters): RedisCommand<A>
  readonly [TypeId]: TypeId
  readonly source: string
  /** What servers call it: for `Redis.scriptExists`. */
  readonly sha1: string
  /** Gives the server the script ahead of its first call (SCRIPT LOAD), and answers its SHA1. Nothing depends on it. */
  readonly load: RedisCommand<string>
}

/**
 * What a script is.
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
   * What an argument may be: a schema that encodes to text, bytes, a number or a boolean, or a `Codec`.
   *
   * @since 0.1.0
   * @category models
   */
  ArgumentType,
  /**
   * What a script or function takes, and what it answers.
   *
   * @since 0.1.0
   * @category options
   */
  CallOptions,
  /**
   * How many keys a script or function takes: a literal number, or `"any"`.
   *
   * @since 0.1.0
   * @category models
   */
  KeyCount,
  /**
   * What a script or function is called with: its keys, then its arguments.
   *
   * @since 0.1.0
   * @category models
   */
  Parameters
}

/**
 * A script as a value.
 *
 * An error of the script is a `ReplyError` with the code it gave, or `ERR`; its text, which may quote arguments, is in
 * the redacted field `raw` only. A call that may have been executed is never repeated, unless the script is `readonly`.
 *
 * The server's own answer to a SHA1 that it does not hold is what makes a call send the source: a script must not answer
 * with that very error itself.
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
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType, A, I>(
    options: Options<N, T, Rest, A, I> & { readonly result: Schema.Schema<A, I> | ((reply: Reply) => A) }
  ): RedisScript<Parameters<N, T, Rest>, A>
  <const N extends KeyCount, const T extends ReadonlyArray<ArgumentType>, Rest extends ArgumentType>(
    options: Options<N, T, Rest, Reply, never> & { readonly result?: undefined }
  ): RedisScript<Parameters<N, T, Rest>, Reply>
} = (options: AnyOptions & { readonly source: string }): never => {
  const { readonly, reply, source } = options
  // One Argument for all calls: it is what the SHA1 is remembered by.
  const first = new Argument("value", source)
  const problem =
    typeof source !== "string" || isWellFormed(source)
      ? undefined
      : "the source holds a lone surrogate, which UTF-8 cannot carry"
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
 * @since 0.1.0
 * @category guards
 */
export const isRedisScript = (u: unknown): u is RedisScript<never, unknown> => Predicate.hasProperty(u, TypeId)

/**
 * A boolean as scripts answer it: `true` arrives as 1, and `false`, like `nil`, as null. For `result`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const LuaBoolean: Schema.Schema<boolean, 0 | 1 | null> = Schema.transform(
  Schema.Literal(1, 0, null),
  Schema.Boolean,
  { strict: true, decode: (given) => given === 1, encode: (given) => (given ? 1 : null) }
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

/** EVALSHA as calls of scripts send it. */
const shaSpec = (name: "EVALSHA" | "EVALSHA_RO"): Spec =>
  new Spec(name, traitsOf(name), undefined, { sha: ([sha]) => String(sha?.data) })

/** A script run by itself: by its SHA1, and by its source when the server does not hold it, once. */
const bySha =
  (spec: Spec): Alone =>
  (command, redis) =>
    command.problem !== undefined
      ? Effect.fail(command.problem)
      : Effect.suspend(() => {
          const accepted = performance.now()
          const [source, ...rest] = command.args
          const args = [new Argument("value", shaOf(source as Argument)), ...rest]
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
              // The deadline covers both.
              const left = Math.max(0, deadline - (performance.now() - accepted))
              return Effect.mapError(redis.send(reword(command, { deadline: left })), (error) =>
                error._tag === "DeadlineError"
                  ? new DeadlineError({
                      phase: error.phase,
                      delivery: error.delivery,
                      milliseconds: deadline,
                      command: command.name
                    })
                  : error
              )
            }
          )
        })

/**
 * The server's own sentence, not merely its code: a script that has run may fail with any code, and must not run twice.
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
