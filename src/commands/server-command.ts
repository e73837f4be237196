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
import * as Report from "../internal/command/report.js"
import { type CommandLine, commandLine, someTexts } from "../internal/command/serverArgs.js"

/**
 * A command as its server describes it (COMMAND INFO). Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandInfo<out K = string> {
  /** In lower case, with a bar before a subcommand: `client|setname`. */
  readonly name: K
  /** The number of its words, name included. A negative number is a minimum: -2 means at least 2. */
  readonly arity: Option.Option<number>
  /** `readonly`, `blocking`, `fast`, … */
  readonly flags: ReadonlyArray<string>
  /** The position of its first key; 0 when it has no keys, or when only {@link keySpecs} can locate them. */
  readonly firstKey: Option.Option<number>
  /** The position of its last key; negative positions count from the end. */
  readonly lastKey: Option.Option<number>
  /** The distance from one key to the next. */
  readonly step: Option.Option<number>
  /** `@read`, `@string`, … */
  readonly aclCategories: ReadonlyArray<string>
  /** Hints for clients and proxies: `request_policy:all_shards`, … Redis 7.0. */
  readonly tips: ReadonlyArray<string>
  /** How to find its keys. Redis 7.0. */
  readonly keySpecs: ReadonlyArray<KeySpec>
  /** Redis 7.0. */
  readonly subcommands: ReadonlyArray<CommandInfo<K>>
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
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
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
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * An argument of a command. Its essential field is `name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface CommandArgument {
  readonly name: string
  /** `string`, `integer`, `key`, `oneof`, `block`, `pure-token`, … */
  readonly type: Option.Option<string>
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
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
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
  readonly command: () => RedisCommand<Array<CommandInfo<K>>>

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
  readonly commandInfo: (names?: OneOrMany<string>) => RedisCommand<Array<Option.Option<CommandInfo<K>>>>

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
  }) => RedisCommand<Array<K>>
}

const COMMAND = define("COMMAND")
const COMMAND_COUNT = define("COMMAND COUNT")
const COMMAND_DOCS = define("COMMAND DOCS")
const COMMAND_GETKEYS = define("COMMAND GETKEYS")
const COMMAND_GETKEYSANDFLAGS = define("COMMAND GETKEYSANDFLAGS")
const COMMAND_INFO = define("COMMAND INFO")
const COMMAND_LIST = define("COMMAND LIST")

const number = Report.essential(Report.integer)
const typed = Report.struct("_", { type: Report.essential(Report.text), spec: Report.essential(Decode.raw) })
const index = Report.struct("_", { index: number })
const keyword = Report.struct("_", { keyword: Report.essential(Report.text), startfrom: number })
const range = Report.struct("_", { lastkey: number, keystep: number, limit: number })
const keynum = Report.struct("_", { keynumidx: number, firstkey: number, keystep: number })

const unknown = { type: "unknown" } as const

/** A specification that is not read as a whole is kept as text too. */
const readAll = (misfit: () => void, { other }: Report.Other): void => {
  if (Object.keys(other).length > 0) {
    misfit()
  }
}

const beginSearch = new Report.Field<KeySpec["beginSearch"]>(
  (reply, misfit) => {
    const { other, spec, type } = typed(reply)
    readAll(misfit, { other })
    if (type === "index") {
      const { index: at, ...rest } = index(spec)
      readAll(misfit, rest)
      return { type, index: at }
    }
    if (type === "keyword") {
      const { keyword: word, startfrom, ...rest } = keyword(spec)
      readAll(misfit, rest)
      return { type, keyword: word, startfrom }
    }
    if (type !== "unknown") {
      misfit()
    }
    return unknown
  },
  () => unknown
)

const findKeys = new Report.Field<KeySpec["findKeys"]>(
  (reply, misfit) => {
    const { other, spec, type } = typed(reply)
    readAll(misfit, { other })
    if (type === "range") {
      const { keystep, lastkey, limit, ...rest } = range(spec)
      readAll(misfit, rest)
      return { type, lastkey, keystep, limit }
    }
    if (type === "keynum") {
      const { firstkey, keynumidx, keystep, ...rest } = keynum(spec)
      readAll(misfit, rest)
      return { type, keynumidx, firstkey, keystep }
    }
    if (type !== "unknown") {
      misfit()
    }
    return unknown
  },
  () => unknown
)

const optionalText = Report.optional(Report.text)
const optionalInteger = Report.optional(Report.integer)
const words = Report.list(Report.text)

const keySpecs = Report.list<KeySpec>(
  Report.struct("_", {
    notes: optionalText,
    flags: words,
    beginSearch,
    findKeys
  })
)

const infosOf = <K>(name: Decode.Decoder<K>): Decode.Decoder<CommandInfo<K>> => {
  const essentialName = Report.essential(name)
  const info: Decode.Decoder<CommandInfo<K>> = (reply) => {
    const parts = Decode.items(reply)
    const part = <A>(at: number, field: Report.Field<A>) => Report.read(field, at, parts[at])
    return {
      name: part(0, essentialName),
      arity: part(1, optionalInteger),
      flags: part(2, words),
      firstKey: part(3, optionalInteger),
      lastKey: part(4, optionalInteger),
      step: part(5, optionalInteger),
      // Servers before 7.0 send six or seven elements.
      aclCategories: part(6, words),
      tips: part(7, words),
      keySpecs: part(8, keySpecs),
      subcommands: part(9, subcommands)
    }
  }
  const subcommands = Report.list(info)
  return info
}

const change = Decode.tuple(Report.text, Report.text)
const history = Report.list((reply) => {
  const [version, text] = change(reply)
  return { version, change: text }
})

// These decoders are recursive: an argument may contain arguments, a command may contain subcommands.
const nestedArguments = Report.list<CommandArgument>((reply) => argument(reply))
const nestedDocs = Report.record<CommandDocs>((reply) => doc(reply))

const argument: Decode.Decoder<CommandArgument> = Report.struct("_", {
  name: Report.essential(Report.text),
  type: optionalText,
  displayText: optionalText,
  keySpecIndex: optionalInteger,
  token: optionalText,
  summary: optionalText,
  since: optionalText,
  deprecatedSince: optionalText,
  flags: words,
  arguments: nestedArguments
})

const doc: Decode.Decoder<CommandDocs> = Report.struct("_", {
  summary: optionalText,
  since: optionalText,
  group: optionalText,
  complexity: optionalText,
  module: optionalText,
  docFlags: words,
  deprecatedSince: optionalText,
  replacedBy: optionalText,
  history,
  arguments: nestedArguments,
  subcommands: nestedDocs
})
const docs = Report.whole(nestedDocs)

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerCommandCommands<K> => {
  const text = codec.wants === "text"
  const keys = Decode.array(Decode.key(codec))
  const key = Report.essential(Decode.key(codec))
  const keysAndFlags = Decode.array((reply): KeyAndFlags<K> => {
    const parts = Decode.items(reply)
    return { key: Report.read(key, 0, parts[0]), flags: Report.read(words, 1, parts[1]) }
  })
  const name = Report.name(codec)
  const names = Decode.array(name)
  const info = infosOf(name)
  const infos = Decode.array(info)
  const optionalInfos = Decode.array(Decode.nullable(info))

  return {
    command: () => COMMAND(args(), infos, text),
    commandCount: () => COMMAND_COUNT(args(), Decode.integer),
    commandDocs: (names) => COMMAND_DOCS(someTexts(args(), names), docs),
    commandGetkeys: (command) => COMMAND_GETKEYS(commandLine(args(), command), keys, text),
    commandGetkeysandflags: (command) => COMMAND_GETKEYSANDFLAGS(commandLine(args(), command), keysAndFlags, text),
    commandInfo: (commands) => COMMAND_INFO(someTexts(args(), commands), optionalInfos, text),
    commandList: (options) =>
      COMMAND_LIST(
        args().option("FILTERBY", options?.filterby, (args, by) =>
          args
            .exactlyOne(by, ["module", "aclcat", "pattern"])
            .option("MODULE", by.module, (args, module) => args.text(module))
            .option("ACLCAT", by.aclcat, (args, aclcat) => args.text(aclcat))
            .option("PATTERN", by.pattern, (args, pattern) => args.text(pattern))
        ),
        names,
        text
      )
  }
}
