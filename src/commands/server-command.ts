/**
 * What a server reports about its own commands.
 *
 * @see https://redis.io/docs/latest/develop/reference/key-specs/
 * @since 0.1.0
 */
import type * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import { args, type ExactlyOne, type Key, type OneOrMany } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import { type CommandLine, commandLine, someTexts } from "../internal/command/serverArgs.js"
import * as Server from "../internal/command/serverDecode.js"
import type { Reply } from "../internal/resp/values.js"

/**
 * A command as its server describes it (COMMAND INFO).
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandInfo {
  /** In lower case, with a bar before a subcommand: `client|setname`. */
  readonly name: string
  /** The number of its words, name included. A negative number is a minimum: -2 means at least 2. */
  readonly arity: number
  /** `readonly`, `blocking`, `fast`, … */
  readonly flags: ReadonlyArray<string>
  /** The position of its first key; 0 when it has no keys, or when only {@link keySpecs} can locate them. */
  readonly firstKey: number
  /** The position of its last key; negative positions count from the end. */
  readonly lastKey: number
  /** The distance from one key to the next. */
  readonly step: number
  /** `@read`, `@string`, … */
  readonly aclCategories: ReadonlyArray<string>
  /** Hints for clients and proxies: `request_policy:all_shards`, … Redis 7.0. */
  readonly tips: ReadonlyArray<string>
  /** How to find its keys. Redis 7.0. */
  readonly keySpecs: ReadonlyArray<KeySpec>
  /** Redis 7.0. */
  readonly subcommands: ReadonlyArray<CommandInfo>
}

/**
 * How to find some of a command's keys among its words, and what the command does with them.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeySpec {
  readonly notes: Option.Option<string>
  /** `RO`, `RW`, `OW`, `RM`; `access`, `update`, `insert`, `delete`; … */
  readonly flags: ReadonlyArray<string>
  /** Where the keys begin. */
  readonly beginSearch:
    | { readonly type: "index"; readonly index: number }
    | { readonly type: "keyword"; readonly keyword: string; readonly startfrom: number }
    | { readonly type: "unknown" }
  /** How the keys continue from there. */
  readonly findKeys:
    | { readonly type: "range"; readonly lastkey: number; readonly keystep: number; readonly limit: number }
    | { readonly type: "keynum"; readonly keynumidx: number; readonly firstkey: number; readonly keystep: number }
    | { readonly type: "unknown" }
}

/**
 * The documentation of a command by its server (COMMAND DOCS).
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandDocs {
  readonly summary: Option.Option<string>
  /** The first version that has it, of the product itself or of the product it was forked from. */
  readonly since: Option.Option<string>
  /** `string`, `hash`, … */
  readonly group: Option.Option<string>
  readonly complexity: Option.Option<string>
  /** The module it belongs to. */
  readonly module: Option.Option<string>
  /** `deprecated`, `syscmd`. */
  readonly docFlags: ReadonlyArray<string>
  readonly deprecatedSince: Option.Option<string>
  readonly replacedBy: Option.Option<string>
  readonly history: ReadonlyArray<{ readonly version: string; readonly change: string }>
  readonly arguments: ReadonlyArray<CommandArgument>
  /** Subcommands by their full names: `client|setname`. */
  readonly subcommands: Readonly<Record<string, CommandDocs>>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface CommandArgument {
  readonly name: string
  /** `string`, `integer`, `key`, `oneof`, `block`, `pure-token`, … */
  readonly type: string
  readonly displayText: Option.Option<string>
  /** For a key: the index of the command's key specification that finds it. */
  readonly keySpecIndex: Option.Option<number>
  /** The token before the argument, or the token that is the argument. */
  readonly token: Option.Option<string>
  readonly summary: Option.Option<string>
  readonly since: Option.Option<string>
  readonly deprecatedSince: Option.Option<string>
  /** `optional`, `multiple`, `multiple_token`. */
  readonly flags: ReadonlyArray<string>
  /** The arguments inside a `oneof` or a `block`. */
  readonly arguments: ReadonlyArray<CommandArgument>
}

/**
 * A key of a command, and what the command does with it.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyAndFlags<out K = string> {
  readonly key: K
  /** `RO`, `RW`, `OW`, `RM`; `access`, `update`, `insert`, `delete`; … */
  readonly flags: ReadonlyArray<string>
}

/**
 * The commands on commands.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerCommandCommands<K = string> {
  /**
   * All commands of the server.
   *
   * O(N) in the commands. Since Redis 2.8.13.
   */
  readonly command: () => RedisCommand<Array<CommandInfo>>

  /**
   * The number of the server's commands, without subcommands.
   *
   * O(1). Since Redis 2.8.13.
   */
  readonly commandCount: () => RedisCommand<number>

  /**
   * The documentation of the named commands, or of all. Unknown commands are left out.
   *
   * O(N) in the commands. Since Redis 7.0.0.
   */
  readonly commandDocs: (names?: OneOrMany<string>) => RedisCommand<Record<string, CommandDocs>>

  /**
   * The keys of a command, without executing it. Fails when the command has no keys, or is incomplete.
   *
   * O(N) in its words. Since Redis 2.8.13.
   *
   * @example
   * ```ts
   * const keys = yield* Redis.commandGetkeys(["EVAL", "return 1", "2", "a", "b"]) // ["a", "b"]
   * ```
   */
  readonly commandGetkeys: (command: CommandLine) => RedisCommand<Array<K>>

  /**
   * The keys of a command and what it does with them, without executing it.
   *
   * O(N) in its words. Since Redis 7.0.0.
   */
  readonly commandGetkeysandflags: (command: CommandLine) => RedisCommand<Array<KeyAndFlags<K>>>

  /**
   * Descriptions of the named commands (`"client|setname"`), in order; `None` for an unknown command. Without names,
   * all commands.
   *
   * O(N) in the commands. Since Redis 2.8.13.
   */
  readonly commandInfo: (names?: OneOrMany<string>) => RedisCommand<Array<Option.Option<CommandInfo>>>

  /**
   * The names of all commands and subcommands (`client|setname`), or only those of a module, of an ACL category, or
   * that match a pattern.
   *
   * O(N) in the commands. Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const names = yield* Redis.commandList({ filterby: { pattern: "z*" } })
   * ```
   */
  readonly commandList: (options?: {
    readonly filterby?:
      | ExactlyOne<{
          readonly module: string
          readonly aclcat: string
          readonly pattern: string
        }>
      | undefined
  }) => RedisCommand<Array<string>>
}

const COMMAND = define("COMMAND")
const COMMAND_COUNT = define("COMMAND COUNT")
const COMMAND_DOCS = define("COMMAND DOCS")
const COMMAND_GETKEYS = define("COMMAND GETKEYS")
const COMMAND_GETKEYSANDFLAGS = define("COMMAND GETKEYSANDFLAGS")
const COMMAND_INFO = define("COMMAND INFO")
const COMMAND_LIST = define("COMMAND LIST")

/** Decodes a missing list as an empty one, because servers before 7.0 send fewer fields. */
const orEmpty =
  <A>(decoder: Decode.Decoder<Array<A>>): Decode.Decoder<Array<A>> =>
  (reply) =>
    reply === null || reply === undefined ? [] : decoder(reply)

const typed = Decode.struct({ type: Decode.text, spec: Decode.raw })
const index = Decode.struct({ index: Decode.integer })
const keyword = Decode.struct({ keyword: Decode.text, startfrom: Decode.integer })
const range = Decode.struct({ lastkey: Decode.integer, keystep: Decode.integer, limit: Decode.integer })
const keynum = Decode.struct({ keynumidx: Decode.integer, firstkey: Decode.integer, keystep: Decode.integer })

const beginSearch: Decode.Decoder<KeySpec["beginSearch"]> = (reply) => {
  const { spec, type } = typed(reply)
  return type === "index"
    ? { type, ...Decode.at("spec", index, spec) }
    : type === "keyword"
      ? { type, ...Decode.at("spec", keyword, spec) }
      : { type: "unknown" }
}

const findKeys: Decode.Decoder<KeySpec["findKeys"]> = (reply) => {
  const { spec, type } = typed(reply)
  return type === "range"
    ? { type, ...Decode.at("spec", range, spec) }
    : type === "keynum"
      ? { type, ...Decode.at("spec", keynum, spec) }
      : { type: "unknown" }
}

const keySpec = Decode.structNamed("_", {
  notes: Server.optionalText,
  flags: Server.texts,
  beginSearch,
  findKeys
})

const info: Decode.Decoder<CommandInfo> = (reply) => {
  const [name, arity, flags, firstKey, lastKey, step, ...rest] = Decode.items(reply)
  const part = <A>(at: number, decoder: Decode.Decoder<A>, reply: Reply | undefined) =>
    Decode.at(at, decoder, reply ?? null)
  return {
    name: part(0, Decode.text, name),
    arity: part(1, Decode.integer, arity),
    flags: part(2, Server.texts, flags),
    firstKey: part(3, Decode.integer, firstKey),
    lastKey: part(4, Decode.integer, lastKey),
    step: part(5, Decode.integer, step),
    aclCategories: part(6, Server.textsOrNone, rest[0]),
    tips: part(7, Server.textsOrNone, rest[1]),
    keySpecs: part(8, orEmpty(Decode.array(keySpec)), rest[2]),
    subcommands: part(9, orEmpty(infos), rest[3])
  }
}
const infos = Decode.array(info)
const optionalInfos = Decode.array(Decode.nullable(info))

const change = Decode.tuple(Decode.text, Decode.text)
const history = Decode.array((reply) => {
  const [version, text] = change(reply)
  return { version, change: text }
})

// These decoders are recursive: an argument may contain arguments, a command may contain subcommands.
const nestedArguments: Decode.Decoder<Array<CommandArgument>> = (reply) => orEmpty(Decode.array(argument))(reply)
const nestedDocs: Decode.Decoder<Record<string, CommandDocs>> = (reply) =>
  reply === null ? Object.create(null) : docs(reply)

const argument: Decode.Decoder<CommandArgument> = Decode.structNamed("_", {
  name: Decode.text,
  type: Decode.text,
  displayText: Server.optionalText,
  keySpecIndex: Server.optionalInteger,
  token: Server.optionalText,
  summary: Server.optionalText,
  since: Server.optionalText,
  deprecatedSince: Server.optionalText,
  flags: Server.textsOrNone,
  arguments: nestedArguments
})

const docs: Decode.Decoder<Record<string, CommandDocs>> = Decode.record(
  Decode.structNamed("_", {
    summary: Server.optionalText,
    since: Server.optionalText,
    group: Server.optionalText,
    complexity: Server.optionalText,
    module: Server.optionalText,
    docFlags: Server.textsOrNone,
    deprecatedSince: Server.optionalText,
    replacedBy: Server.optionalText,
    history: orEmpty(history),
    arguments: nestedArguments,
    subcommands: nestedDocs
  })
)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerCommandCommands<K> => {
  const text = codec.wants === "text"
  const keys = Decode.array(Decode.key(codec))
  const pair = Decode.tuple(Decode.key(codec), Server.texts)
  const keysAndFlags = Decode.array((reply): KeyAndFlags<K> => {
    const [key, flags] = pair(reply)
    return { key, flags }
  })

  return {
    command: () => COMMAND(args(), infos),
    commandCount: () => COMMAND_COUNT(args(), Decode.integer),
    commandDocs: (names) => COMMAND_DOCS(someTexts(args(), names), docs),
    commandGetkeys: (command) => COMMAND_GETKEYS(commandLine(args(), command), keys, text),
    commandGetkeysandflags: (command) => COMMAND_GETKEYSANDFLAGS(commandLine(args(), command), keysAndFlags, text),
    commandInfo: (names) => COMMAND_INFO(someTexts(args(), names), optionalInfos),
    commandList: (options) =>
      COMMAND_LIST(
        args().option("FILTERBY", options?.filterby, (args, { aclcat, module, pattern }) =>
          args
            .option("MODULE", module, (args, module) => args.text(module))
            .option("ACLCAT", aclcat, (args, aclcat) => args.text(aclcat))
            .option("PATTERN", pattern, (args, pattern) => args.text(pattern))
        ),
        Server.texts
      )
  }
}
