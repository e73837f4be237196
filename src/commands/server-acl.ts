/**
 * Access control: users, their rules, and the log of refused commands and logins.
 *
 * @see https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
 * @since 0.1.0
 */
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Codec } from "../Codec.js"
import { args, type Checked, type IfFlag, type Key, type OneOrMany, toList } from "../internal/command/args.js"
import { define } from "../internal/command/command.js"
import * as Decode from "../internal/command/decode.js"
import type { RedisCommand } from "../internal/command/model.js"
import * as Report from "../internal/command/report.js"
import { type CommandLine, commandLine, type Secret, secret, texts } from "../internal/command/serverArgs.js"
import type { Reply } from "../internal/resp/values.js"
import { clientFields } from "./connection-client.js"

/**
 * A rule of ACL SETUSER: `on`, `>password`, `~keys:*`, `+@read`, `(~other:* +get)`. A rule with a password may be
 * `Redacted`.
 *
 * @since 0.1.0
 * @category options
 */
export type AclRule = Secret

/**
 * What ACL LOG does: at most one of these.
 *
 * @since 0.1.0
 * @category options
 */
export interface AclLogOptions {
  /** At most this many entries. Default: 10. */
  readonly count?: number | undefined
  /** Empties the log. */
  readonly reset?: boolean | undefined
}

/**
 * The permissions of a user, or of one of its selectors.
 *
 * @since 0.1.0
 * @category models
 */
export interface AclSelector<out K = string> {
  /** `-@all +get`, … */
  readonly commands: Option.Option<string>
  /** `~cached:* %R~read:*`, …: patterns of keys. */
  readonly keys: Option.Option<K>
  /** `&news:*`, …: patterns of channels. Redis 6.2. */
  readonly channels: Option.Option<K>
  /** `alldbs`, `db=1`, … Valkey 9.1. */
  readonly databases: Option.Option<string>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface AclUser<out K = string> extends AclSelector<K> {
  /** `on`, `nopass`, … */
  readonly flags: ReadonlyArray<string>
  /** The SHA-256 hashes of the passwords. */
  readonly passwords: ReadonlyArray<string>
  readonly selectors: ReadonlyArray<AclSelector<K>>
}

/**
 * An entry of the ACL log: a refused command or login. Its essential field is `reason`.
 *
 * @since 0.1.0
 * @category models
 */
export interface AclLogEntry<out K = string> {
  /** How often it was refused, within a minute. */
  readonly count: Option.Option<number>
  /** `auth`, `command`, `key`, `channel`, `database`, … */
  readonly reason: string
  /** Where the command was executed: `toplevel`, `multi`, `lua`, `module`. */
  readonly context: Option.Option<string>
  /** The command, key or channel that was refused. */
  readonly object: Option.Option<K>
  /** The user; of a refused login, the name that the client gave. */
  readonly username: Option.Option<K>
  /** How long ago, to the millisecond. */
  readonly age: Option.Option<Duration.Duration>
  /** The client that sent it, with the fields of CLIENT LIST. */
  readonly clientInfo: Readonly<Record<string, string>>
  /** Redis 7.2. */
  readonly entryId: Option.Option<number>
  /** Redis 7.2. */
  readonly timestampCreated: Option.Option<DateTime.Utc>
  /** Redis 7.2. */
  readonly timestampLastUpdated: Option.Option<DateTime.Utc>
  /** Fields without a property of their own, and fields whose value has an unexpected shape, as text. */
  readonly other: Readonly<Record<string, string>>
}

/**
 * The commands on users.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerAclCommands<K = string> {
  /**
   * The categories of commands, or the commands of one category.
   *
   * O(1), or O(N) in the commands of the category. Since Redis 6.0.0.
   */
  readonly aclCat: (category?: string) => RedisCommand<Array<string>>

  /**
   * Removes users, closes their connections, and returns how many users existed.
   *
   * O(1) for each user. Since Redis 6.0.0.
   */
  readonly aclDeluser: (usernames: OneOrMany<string>) => RedisCommand<number>

  /**
   * Checks whether a user may execute a command, without executing it: `None` when the user may, else the reason for
   * the refusal.
   *
   * O(1). Since Redis 7.0.0.
   *
   * @example
   * ```ts
   * const refusal = yield* Redis.aclDryrun("reports", Redis.get("orders:1")) // Option<string>
   * ```
   */
  readonly aclDryrun: (username: string, command: CommandLine) => RedisCommand<Option.Option<string>>

  /**
   * A random password in hexadecimal digits, of 256 bits by default.
   *
   * O(1). Since Redis 6.0.0.
   */
  readonly aclGenpass: (options?: { readonly bits?: number | undefined }) => RedisCommand<Redacted.Redacted<string>>

  /**
   * A user's rules; `None` when the user does not exist.
   *
   * O(N) in the rules. Since Redis 6.0.0.
   */
  readonly aclGetuser: (username: string) => RedisCommand<Option.Option<AclUser<K>>>

  /**
   * All users, each as a line of an ACL file.
   *
   * O(N) in the users. Since Redis 6.0.0.
   */
  readonly aclList: () => RedisCommand<Array<K>>

  /**
   * Reloads all users from the ACL file. When a line is invalid, it fails and the current users stay.
   *
   * O(N) in the users. Since Redis 6.0.0.
   */
  readonly aclLoad: () => RedisCommand<void>

  /**
   * The log of refused commands and logins, newest first; with `reset`, empties the log.
   *
   * O(N) in the entries. Since Redis 6.0.0.
   */
  readonly aclLog: {
    /** The log of refused commands and logins, newest first. O(N) in the entries. Since Redis 6.0.0. */
    (): RedisCommand<Array<AclLogEntry<K>>>
    /**
     * The log of refused commands and logins, newest first: at most `count` of them. With `reset`, empties the log. O(N)
     * in the entries. Since Redis 6.0.0.
     */
    <const O extends AclLogOptions | undefined>(
      options: Checked<O, AclLogOptions, "count" | "reset">
    ): RedisCommand<IfFlag<O, "reset", void, Array<AclLogEntry<K>>>>
  }

  /**
   * Writes all users to the ACL file.
   *
   * O(N) in the users. Since Redis 6.0.0.
   */
  readonly aclSave: () => RedisCommand<void>

  /**
   * Creates a user, or adds rules to an existing one. A new user has no permissions.
   *
   * O(N) in the rules. Since Redis 6.0.0.
   *
   * @example
   * ```ts
   * yield* Redis.aclSetuser("reports", ["on", Redacted.make(">secret"), "~orders:*", "+@read"])
   * ```
   */
  readonly aclSetuser: (username: string, rules?: OneOrMany<AclRule>) => RedisCommand<void>

  /**
   * The names of all users.
   *
   * O(N) in the users. Since Redis 6.0.0.
   */
  readonly aclUsers: () => RedisCommand<Array<K>>

  /**
   * The user of this connection.
   *
   * O(1). Since Redis 6.0.0.
   */
  readonly aclWhoami: () => RedisCommand<K>
}

const ACL_CAT = define("ACL CAT")
const ACL_DELUSER = define("ACL DELUSER")
const ACL_DRYRUN = define("ACL DRYRUN")
const ACL_GENPASS = define("ACL GENPASS")
const ACL_GETUSER = define("ACL GETUSER")
const ACL_LIST = define("ACL LIST")
const ACL_LOAD = define("ACL LOAD")
const ACL_LOG = define("ACL LOG")
const ACL_SAVE = define("ACL SAVE")
const ACL_SETUSER = define("ACL SETUSER")
const ACL_USERS = define("ACL USERS")
const ACL_WHOAMI = define("ACL WHOAMI")

const allowed: Decode.Decoder<Option.Option<string>> = (reply) => Report.optionalText(reply === "OK" ? null : reply)

const password: Decode.Decoder<Redacted.Redacted<string>> = (reply) => Redacted.make(Report.text(reply))

/** Redis 6 sends patterns as a list, later servers as one text. */
const joined = (reply: Reply): Reply => {
  if (!Array.isArray(reply)) {
    return reply
  }
  const patterns = reply as ReadonlyArray<Reply>
  return patterns.some((pattern) => pattern instanceof Uint8Array)
    ? joinBytes(patterns.map(Decode.bytes))
    : Report.texts(patterns).join(" ")
}

const joinBytes = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const space = 32
  return Uint8Array.from(parts.flatMap((part, i) => (i === 0 ? [...part] : [space, ...part])))
}

/** @internal */
export const make = <V, K extends Key>(codec: Codec<V, K>): ServerAclCommands<K> => {
  const text = codec.wants === "text"
  const name = Report.name(codec)
  const names = Decode.array(name)

  const patterns = Report.optional((reply) => name(joined(reply)))
  const selector = {
    commands: Report.optional(Report.text),
    keys: patterns,
    channels: patterns,
    databases: Report.optional(Report.text)
  }
  const user: Decode.Decoder<Option.Option<AclUser<K>>> = Decode.nullable(
    Report.struct("-", {
      flags: Report.list(Report.text),
      passwords: Report.list(Report.text),
      ...selector,
      selectors: Report.list(Report.struct("-", selector))
    })
  )

  const logEntry = Report.struct("-", {
    count: Report.optional(Report.integer),
    reason: Report.essential(Report.text),
    context: Report.optional(Report.text),
    object: Report.optional(name),
    username: Report.optional(name),
    ageSeconds: Report.optional(Report.fractionalSeconds),
    clientInfo: new Report.Field<Readonly<Record<string, string>>>(
      (reply) => clientFields(Report.text(reply)),
      () => Object.create(null)
    ),
    entryId: Report.optional(Report.integer),
    timestampCreated: Report.optional(Report.timeMillis),
    timestampLastUpdated: Report.optional(Report.timeMillis)
  })
  const log = Decode.array((reply): AclLogEntry<K> => {
    const { ageSeconds, ...entry } = logEntry(reply)
    return { ...entry, age: ageSeconds }
  })

  const aclLog = (options?: AclLogOptions): RedisCommand<never> => {
    const builder = args()
      .atMostOne(options, ["count", "reset"])
      .when(options?.count, (args, count) => args.integer(count))
      .flag("RESET", options?.reset)
    const decoder: Decode.Decoder<unknown> = options?.reset === true ? Decode.ok : log
    return ACL_LOG(builder, decoder, text) as RedisCommand<never>
  }

  return {
    aclCat: (category) =>
      ACL_CAT(
        args().when(category, (args, category) => args.text(category)),
        Report.texts
      ),
    aclDeluser: (usernames) => ACL_DELUSER(texts(args(), usernames, "user"), Decode.integer),
    aclDryrun: (username, command) => ACL_DRYRUN(commandLine(args().text(username), command), allowed),
    aclGenpass: (options) =>
      ACL_GENPASS(
        args().when(options?.bits, (args, bits) => args.integer(bits)),
        password
      ),
    aclGetuser: (username) => ACL_GETUSER(args().text(username), user, text),
    aclList: () => ACL_LIST(args(), names, text),
    aclLoad: () => ACL_LOAD(args(), Decode.ok),
    aclLog,
    aclSave: () => ACL_SAVE(args(), Decode.ok),
    aclSetuser: (username, rules) =>
      ACL_SETUSER(
        args()
          .text(username)
          .each(rules === undefined ? [] : toList<AclRule>(rules), secret),
        Decode.ok
      ),
    aclUsers: () => ACL_USERS(args(), names, text),
    aclWhoami: () => ACL_WHOAMI(args(), name, text)
  }
}
