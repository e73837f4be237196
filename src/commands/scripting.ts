/**
 * Lua scripts and functions as plain commands, with raw replies. For typed scripts use `RedisScript`, for typed
 * functions `RedisFunction`.
 *
 * @see https://redis.io/docs/latest/commands/?group=scripting
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import {
  type Args,
  type AtMostOne,
  args,
  type Checked,
  type IfFlag,
  type Key,
  type OneOrMany,
  toList
} from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * The keys and arguments of a script or function.
 *
 * @since 0.1.0
 * @category options
 */
export interface ScriptOptions {
  /** Its `KEYS`. To run in a cluster, it must use no other keys. */
  readonly keys?: OneOrMany<Key> | undefined
  /** Its `ARGV`: text and bytes unchanged, numbers as text. */
  readonly args?: OneOrMany<string | Uint8Array | number | bigint> | undefined
}

/**
 * Whether the server frees the memory before it replies (`sync`) or in the background (`async`). Without either, the
 * server's settings decide.
 *
 * @since 0.1.0
 * @category options
 */
export type FlushOptions = AtMostOne<{ readonly async: true; readonly sync: true }>

/**
 * What FUNCTION RESTORE does with existing libraries.
 *
 * @since 0.1.0
 * @category options
 */
export type FunctionRestorePolicy = AtMostOne<{
  /** Removes all existing libraries first. */
  readonly flush: true
  /** Fails when a library of the same name exists. This is the default. */
  readonly append: true
  /** Replaces existing libraries of the same name. */
  readonly replace: true
}>

/**
 * A function. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FunctionInfo<out K = string> {
  readonly name: K
  readonly description: Option.Option<K>
  /** `no-writes`, `allow-oom`, … */
  readonly flags: ReadonlyArray<string>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A library of functions. Its essential field is `libraryName`.
 *
 * @since 0.1.0
 * @category models
 */
export interface FunctionLibrary<out K = string> {
  readonly libraryName: K
  /** `LUA`. */
  readonly engine: Option.Option<string>
  readonly functions: ReadonlyArray<FunctionInfo<K>>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FunctionLibraryWithCode<out K = string> extends FunctionLibrary<K> {
  readonly libraryCode: Option.Option<K>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface FunctionStats<out K = string> {
  readonly runningScript: Option.Option<RunningFunction<K>>
  /** Numbers of libraries and functions, by the name of the engine. */
  readonly engines: Readonly<
    Record<
      string,
      {
        readonly librariesCount: Option.Option<number>
        readonly functionsCount: Option.Option<number>
        /** The engine's other fields, as text. */
        readonly other: Readonly<Record<string, string>>
      }
    >
  >
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * A running function. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunningFunction<out K = string> {
  readonly name: K
  /** The whole command that called it, values included. */
  readonly command: ReadonlyArray<K>
  readonly duration: Option.Option<Duration.Duration>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * The commands on scripts and functions.
 *
 * The replies are raw: integers are numbers, Lua's `nil` and `false` are `null`, tables are arrays, and under RESP3
 * there may be maps and sets. An error inside an array is an element of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ScriptingCommands<K = string> {
  /**
   * Runs a Lua script.
   *
   * As long as the script takes: the server executes nothing else meanwhile. Since Redis 2.6.0.
   *
   * @example
   * ```ts
   * const reply = yield* Redis.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", { keys: ["visits"], args: [2] })
   * ```
   */
  readonly eval: (script: string | Uint8Array, options?: ScriptOptions) => RedisCommand<Reply>

  /**
   * Runs a script from the server's cache, by its SHA1. Fails with `NOSCRIPT` when the cache does not hold it.
   *
   * As long as the script takes. Since Redis 2.6.0.
   */
  readonly evalsha: (sha1: string, options?: ScriptOptions) => RedisCommand<Reply>

  /**
   * Like {@link evalsha}, for scripts that only read: the call may run on replicas, and may be retried.
   *
   * As long as the script takes. Since Redis 7.0.0.
   */
  readonly evalshaRo: (sha1: string, options?: ScriptOptions) => RedisCommand<Reply>

  /**
   * Like {@link eval}, for scripts that only read: the call may run on replicas, and may be retried.
   *
   * As long as the script takes. Since Redis 7.0.0.
   */
  readonly evalRo: (script: string | Uint8Array, options?: ScriptOptions) => RedisCommand<Reply>

  /**
   * Calls a function of a library that the server has loaded.
   *
   * As long as the function takes. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const reply = yield* Redis.fcall("take_token", { keys: ["bucket:1"], args: [10] })
   * ```
   */
  readonly fcall: (name: string, options?: ScriptOptions) => RedisCommand<Reply>

  /**
   * Like {@link fcall}, for functions with the flag `no-writes`: the call may run on replicas, and may be retried.
   *
   * As long as the function takes. Since Redis 7.0.0.
   */
  readonly fcallRo: (name: string, options?: ScriptOptions) => RedisCommand<Reply>

  /**
   * Removes a library.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly functionDelete: (library: string) => RedisCommand<void>

  /**
   * All libraries as bytes, for {@link functionRestore}.
   *
   * O(N) in the functions. Since Redis 7.0.0.
   */
  readonly functionDump: () => RedisCommand<Uint8Array>

  /**
   * Removes all libraries.
   *
   * O(N) in the functions. Since Redis 7.0.0.
   */
  readonly functionFlush: (options?: FlushOptions) => RedisCommand<void>

  /**
   * Stops the running function. Fails with `NOTBUSY` when no function is running, and with `UNKILLABLE` when the
   * function has already written.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly functionKill: () => RedisCommand<void>

  /**
   * The libraries and their functions: all, or those whose names match a pattern; with `withcode` their code too.
   *
   * O(N) in the functions. Since Redis 7.0.0.
   */
  readonly functionList: {
    /**
     * The libraries and their functions: all, or those whose names match a pattern; with `withcode` their code too.
     *
     * O(N) in the functions. Since Redis 7.0.0.
     */
    (): RedisCommand<Array<FunctionLibrary<K>>>

    /**
     * The libraries and their functions: all, or those whose names match a pattern; with `withcode` their code too.
     *
     * O(N) in the functions. Since Redis 7.0.0.
     */
    <const O extends FunctionListOptions | undefined>(
      options: Checked<O, FunctionListOptions>
    ): RedisCommand<IfFlag<O, "withcode", Array<FunctionLibraryWithCode<K>>, Array<FunctionLibrary<K>>>>
  }

  /**
   * Loads a library, and returns its name. Fails when a library of that name exists and `replace` is not set.
   *
   * O(1). Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const library = yield* Redis.functionLoad(code, { replace: true })
   * ```
   */
  readonly functionLoad: (
    code: string | Uint8Array,
    options?: { readonly replace?: boolean | undefined }
  ) => RedisCommand<string>

  /**
   * Loads libraries from the bytes of {@link functionDump}.
   *
   * O(N) in the functions. Since Redis 7.0.0.
   */
  readonly functionRestore: (dump: Uint8Array, options?: FunctionRestorePolicy) => RedisCommand<void>

  /**
   * The running function, and the number of libraries and functions of each engine. While a slow function makes other
   * commands fail with `BUSY`, the server still replies to this one; during a slow script it fails with `BUSY` too.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly functionStats: () => RedisCommand<FunctionStats<K>>

  /**
   * Turns the debugger on for the scripts of this connection. Refused on shared connections. Scripts then reply in the
   * debugger's own protocol, which only `redis-cli` understands.
   *
   * O(1). Since Redis 3.2.0; `engine` since Valkey 9.1.0.
   */
  readonly scriptDebug: (
    mode: "yes" | "sync" | "no",
    options?: { readonly engine?: string | undefined }
  ) => RedisCommand<void>

  /**
   * For each SHA1, whether the server's cache holds the script.
   *
   * O(N) in the scripts. Since Redis 2.6.0.
   */
  readonly scriptExists: (sha1s: OneOrMany<string>) => RedisCommand<Array<boolean>>

  /**
   * Removes all scripts from the server's cache.
   *
   * O(N) in the scripts. Since Redis 2.6.0; the options since 6.2.0.
   */
  readonly scriptFlush: (options?: FlushOptions) => RedisCommand<void>

  /**
   * Stops the running script. Fails with `NOTBUSY` when no script is running, and with `UNKILLABLE` when the script has
   * already written.
   *
   * O(1). Since Redis 2.6.0.
   */
  readonly scriptKill: () => RedisCommand<void>

  /**
   * Adds a script to the server's cache, and returns its SHA1 for {@link evalsha}.
   *
   * O(N) in the script's length. Since Redis 2.6.0.
   */
  readonly scriptLoad: (script: string | Uint8Array) => RedisCommand<string>

  /**
   * The source of a script in the server's cache. Fails with `NOSCRIPT` when the cache does not hold it.
   *
   * O(1). Since Valkey 8.0.0; not in Redis.
   */
  readonly scriptShow: (sha1: string) => RedisCommand<string>
}

interface FunctionListOptions {
  /** Only libraries whose name matches this pattern. */
  readonly libraryname?: string | undefined
  /** Return their code too. */
  readonly withcode?: boolean | undefined
}

const EVAL = define("EVAL")
const EVALSHA = define("EVALSHA")
const EVALSHA_RO = define("EVALSHA_RO")
const EVAL_RO = define("EVAL_RO")
const FCALL = define("FCALL")
const FCALL_RO = define("FCALL_RO")
const FUNCTION_DELETE = define("FUNCTION DELETE")
const FUNCTION_DUMP = define("FUNCTION DUMP")
const FUNCTION_FLUSH = define("FUNCTION FLUSH")
const FUNCTION_KILL = define("FUNCTION KILL")
const FUNCTION_LIST = define("FUNCTION LIST")
const FUNCTION_LOAD = define("FUNCTION LOAD")
const FUNCTION_RESTORE = define("FUNCTION RESTORE")
const FUNCTION_STATS = define("FUNCTION STATS")
const SCRIPT_DEBUG = define("SCRIPT DEBUG")
const SCRIPT_EXISTS = define("SCRIPT EXISTS")
const SCRIPT_FLUSH = define("SCRIPT FLUSH")
const SCRIPT_KILL = define("SCRIPT KILL")
const SCRIPT_LOAD = define("SCRIPT LOAD")
const SCRIPT_SHOW = define("SCRIPT SHOW")

const booleans = Decode.array(Decode.boolean)
const optionalInteger = Report.optional(Report.integer)

type ScriptArgument = string | Uint8Array | number | bigint

const invocation = (script: string | Uint8Array, options: ScriptOptions | undefined): Args => {
  const keys = options?.keys === undefined ? [] : toList(options.keys)
  return args()
    .text(script)
    .integer(keys.length)
    .each(keys, (args, key) => args.key(key))
    .each(options?.args === undefined ? [] : toList<ScriptArgument>(options.args), (args, arg) =>
      typeof arg === "bigint" ? args.integer(arg) : typeof arg === "number" ? number(args, arg) : args.text(arg)
    )
}

const number = (args: Args, value: number): Args => (Number.isInteger(value) ? args.integer(value) : args.double(value))

const flushing = (options: FlushOptions | undefined): Args =>
  args().flag("ASYNC", options?.async).flag("SYNC", options?.sync)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ScriptingCommands<K> => {
  const text = codec.wants === "text"
  const name = Report.name(codec)
  const essentialName = Report.essential(name)
  const optionalName = Report.optional(name)

  const library = {
    libraryName: essentialName,
    engine: Report.optional(Report.text),
    functions: Report.list(
      Report.struct("_", { name: essentialName, description: optionalName, flags: Report.list(Report.text) })
    )
  }
  const libraries: Decode.Decoder<Array<FunctionLibrary<K>>> = Decode.array(Report.struct("_", library))
  const librariesWithCode: Decode.Decoder<Array<FunctionLibraryWithCode<K>>> = Decode.array(
    Report.struct("_", { ...library, libraryCode: optionalName })
  )

  const running = Report.struct("_", {
    name: essentialName,
    command: Report.list(name),
    durationMs: Report.optional(Report.millis)
  })
  const stats: Decode.Decoder<FunctionStats<K>> = Report.struct("_", {
    runningScript: Report.optional((reply): RunningFunction<K> => {
      const { durationMs, ...rest } = running(reply)
      return { ...rest, duration: durationMs }
    }),
    engines: Report.record(Report.struct("_", { librariesCount: optionalInteger, functionsCount: optionalInteger }))
  })

  const functionList = (options?: {
    readonly libraryname?: string | undefined
    readonly withcode?: boolean | undefined
  }): RedisCommand<never> => {
    const builder = args()
      .option("LIBRARYNAME", options?.libraryname, (args, pattern) => args.text(pattern))
      .flag("WITHCODE", options?.withcode)
    const decoder: Decode.Decoder<unknown> = options?.withcode === true ? librariesWithCode : libraries
    return FUNCTION_LIST(builder, decoder, text) as RedisCommand<never>
  }

  return {
    eval: (script, options) => EVAL(invocation(script, options), Decode.raw, text),
    evalsha: (sha1, options) => EVALSHA(invocation(sha1, options), Decode.raw, text),
    evalshaRo: (sha1, options) => EVALSHA_RO(invocation(sha1, options), Decode.raw, text),
    evalRo: (script, options) => EVAL_RO(invocation(script, options), Decode.raw, text),
    fcall: (name, options) => FCALL(invocation(name, options), Decode.raw, text),
    fcallRo: (name, options) => FCALL_RO(invocation(name, options), Decode.raw, text),
    functionDelete: (library) => FUNCTION_DELETE(args().text(library), Decode.ok),
    functionDump: () => FUNCTION_DUMP(args(), Decode.bytes, false),
    functionFlush: (options) => FUNCTION_FLUSH(flushing(options), Decode.ok),
    functionKill: () => FUNCTION_KILL(args(), Decode.ok),
    functionList: functionList as ScriptingCommands<K>["functionList"],
    functionLoad: (code, options) => FUNCTION_LOAD(args().flag("REPLACE", options?.replace).text(code), Report.text),
    functionRestore: (dump, options) =>
      FUNCTION_RESTORE(
        args()
          .text(dump)
          .atMostOne(options, ["flush", "append", "replace"])
          .flag("FLUSH", options?.flush)
          .flag("APPEND", options?.append)
          .flag("REPLACE", options?.replace),
        Decode.ok
      ),
    functionStats: () => FUNCTION_STATS(args(), stats, text),
    scriptDebug: (mode, options) =>
      SCRIPT_DEBUG(
        args()
          .word(mode)
          .when(options?.engine, (args, engine) => args.text(engine)),
        Decode.ok
      ),
    scriptExists: (sha1s) =>
      SCRIPT_EXISTS(
        args().some("SHA1", sha1s, (args, sha1) => args.text(sha1)),
        booleans
      ),
    scriptFlush: (options) => SCRIPT_FLUSH(flushing(options), Decode.ok),
    scriptKill: () => SCRIPT_KILL(args(), Decode.ok),
    scriptLoad: (script) => SCRIPT_LOAD(args().text(script), Report.text),
    scriptShow: (sha1) => SCRIPT_SHOW(args().text(sha1), Decode.text)
  }
}
