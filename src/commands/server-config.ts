/**
 * A server's settings and modules.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/config/
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import { args, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { type Settings, settings, someTexts, texts } from "../internal/command/serverArgs.js"
import * as Server from "../internal/command/serverDecode.js"

/**
 * A module that the server has loaded.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModuleInfo {
  readonly name: string
  readonly ver: number
  /** The file it was loaded from; empty for a built-in module. Redis 7.0. */
  readonly path: Option.Option<string>
  /** The arguments it was loaded with. */
  readonly args: ReadonlyArray<string>
}

/**
 * The commands on settings and modules.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerConfigCommands {
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
  readonly configGet: (parameters: OneOrMany<string>) => RedisCommand<Record<string, string>>

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
  readonly moduleList: () => RedisCommand<Array<ModuleInfo>>

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

const modules: Decode.Decoder<Array<ModuleInfo>> = Decode.array(
  Decode.struct({
    name: Decode.text,
    ver: Decode.integer,
    path: Server.optionalText,
    args: Server.textsOrNone
  })
)

/** @internal */
export const make = (): ServerConfigCommands => ({
  configGet: (parameters) => CONFIG_GET(texts(args(), parameters, "setting"), Server.textRecord),
  configResetstat: () => CONFIG_RESETSTAT(args(), Decode.ok),
  configRewrite: () => CONFIG_REWRITE(args(), Decode.ok),
  configSet: (parameters) => CONFIG_SET(settings(args(), parameters), Decode.ok),
  moduleList: () => MODULE_LIST(args(), modules),
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
})
