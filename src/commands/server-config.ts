/**
 * A server's settings and modules.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/config/
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type Key, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { type Settings, settings, someTexts, texts } from "../internal/command/serverArgs.js"

/**
 * A module that the server has loaded. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModuleInfo<out K = string> {
  readonly name: K
  readonly ver: Option.Option<number>
  /** The file it was loaded from; empty for a built-in module. Redis 7.0. */
  readonly path: Option.Option<K>
  /** The arguments it was loaded with. Redis 7.0. */
  readonly args: ReadonlyArray<K>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * The commands on settings and modules.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerConfigCommands<K = string> {
  /**
   * Settings by name or pattern, as the server's text. They include passwords.
   *
   * O(N) in the settings. Since Redis 2.0.0; more than one name since 7.0.0.
   *
   * @example
   * ```ts
   * const { maxmemory } = yield* Redis.configGet("maxmemory")
   * ```
   */
  readonly configGet: (parameters: OneOrMany<string>) => RedisCommand<Record<string, K>>

  /**
   * Resets the statistics of INFO.
   *
   * O(1). Since Redis 2.0.0.
   */
  readonly configResetstat: () => RedisCommand<void>

  /**
   * Writes changed settings to the configuration file.
   *
   * O(N) in the file. Since Redis 2.8.0.
   */
  readonly configRewrite: () => RedisCommand<void>

  /**
   * Changes settings of the running server: all of them, or none when one is invalid. Booleans become `yes` and `no`;
   * passwords may be `Redacted`.
   *
   * O(N) in the settings. Since Redis 2.0.0; more than one since 7.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.configSet({ maxmemory: "100mb", "maxmemory-policy": "allkeys-lru" })
   * ```
   */
  readonly configSet: (parameters: Settings) => RedisCommand<void>

  /**
   * The modules that the server has loaded.
   *
   * O(N) in the modules. Since Redis 4.0.0.
   */
  readonly moduleList: () => RedisCommand<Array<ModuleInfo<K>>>

  /**
   * Loads a module from a file on the server.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly moduleLoad: (path: string, args?: OneOrMany<string>) => RedisCommand<void>

  /**
   * Loads a module from a file on the server, with settings.
   *
   * O(1). Since Redis 7.0.0.
   */
  readonly moduleLoadex: (
    path: string,
    options?: {
      readonly config?: Settings | undefined
      readonly args?: OneOrMany<string> | undefined
    }
  ) => RedisCommand<void>

  /**
   * Unloads a module.
   *
   * O(1). Since Redis 4.0.0.
   */
  readonly moduleUnload: (name: string) => RedisCommand<void>
}

const CONFIG_GET = define("CONFIG GET")
const CONFIG_RESETSTAT = define("CONFIG RESETSTAT")
const CONFIG_REWRITE = define("CONFIG REWRITE")
const CONFIG_SET = define("CONFIG SET")
const MODULE_LIST = define("MODULE LIST")
const MODULE_LOAD = define("MODULE LOAD")
const MODULE_LOADEX = define("MODULE LOADEX")
const MODULE_UNLOAD = define("MODULE UNLOAD")

/** @internal */
export const moduleInfo = <V, K extends Key>(codec: Codec<V, K>): Decode.Decoder<ModuleInfo<K>> => {
  const name = Report.name(codec)
  return Report.struct("-", {
    name: Report.essential(name),
    ver: Report.optional(Report.integer),
    path: Report.optional(name),
    args: Report.list(name)
  })
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerConfigCommands<K> => {
  const text = codec.wants === "text"
  const values = Report.whole(Report.record(Report.name(codec)))
  const modules = Decode.array(moduleInfo(codec))
  return {
    configGet: (parameters) => CONFIG_GET(texts(args(), parameters, "setting"), values, text),
    configResetstat: () => CONFIG_RESETSTAT(args(), Decode.ok),
    configRewrite: () => CONFIG_REWRITE(args(), Decode.ok),
    configSet: (parameters) => CONFIG_SET(settings(args(), parameters), Decode.ok),
    moduleList: () => MODULE_LIST(args(), modules, text),
    moduleLoad: (path, moduleArgs) => MODULE_LOAD(someTexts(args().text(path), moduleArgs), Decode.ok),
    moduleLoadex: (path, options) =>
      MODULE_LOADEX(
        args()
          .text(path)
          .each(Object.entries(options?.config ?? {}), (args, [name, value]) =>
            settings(args.token("CONFIG"), { [name]: value })
          )
          .option("ARGS", options?.args, (args, moduleArgs) => texts(args, moduleArgs, "argument")),
        Decode.ok
      ),
    moduleUnload: (name) => MODULE_UNLOAD(args().text(name), Decode.ok)
  }
}
