/**
 * Whether the user may run what a feature needs. ACL DRYRUN says so without running anything, where the user may use it. Where
 * not, the commands are queued in a transaction that is never executed: servers check permissions when they queue. The commands
 * that cannot be queued change nothing but their connection, and are run.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as Connection from "../../Connection.js"
import { visible } from "../../internal/resp/visible.js"
import { Redis } from "../../Redis.js"
import type { RedisError, ReplyError } from "../../RedisError.js"
import { type Patient, rule, tried } from "../patient.js"
import { type Finding, failure, ok, unknown, warning } from "../report.js"
import type { Feature } from "../settings.js"

/** A command with arguments that it accepts: its name, which may have a second word, and its arguments. */
type Line = readonly [name: string, ...args: ReadonlyArray<string>]

/** What each feature sends. */
export const commandsOf = (feature: Feature, prefix: string, cluster: boolean): ReadonlyArray<Line> => {
  const key = `${prefix}effect-redis-client:doctor`
  const channel = key
  switch (feature) {
    case "commands":
      return [
        ["GET", key],
        ["SET", key, "v"],
        ["DEL", key],
        ["MGET", key],
        ["EXISTS", key],
        ["EXPIRE", key, "1"],
        ["INCR", key],
        ["HSET", key, "f", "v"],
        ["HGETALL", key],
        ["LPUSH", key, "v"],
        ["RPOP", key],
        ["SADD", key, "v"],
        ["ZADD", key, "1", "v"],
        ["SCAN", "0"]
      ]
    case "transactions":
      return [["MULTI"], ["EXEC"], ["DISCARD"], ["WATCH", key], ["UNWATCH"]]
    case "scripts":
      return [
        ["EVAL", "return 1", "1", key],
        ["EVALSHA", "0".repeat(40), "1", key],
        ["SCRIPT LOAD", "return 1"]
      ]
    case "functions":
      return [
        ["FCALL", "f", "1", key],
        ["FCALL_RO", "f", "1", key],
        ["FUNCTION LOAD", "#!lua name=doctor"]
      ]
    case "pubsub":
      return [
        ["PUBLISH", channel, "m"],
        ["SUBSCRIBE", channel],
        ["UNSUBSCRIBE", channel],
        // The ACL compares a pattern as text with the patterns that the user has.
        ["PSUBSCRIBE", `${prefix}*`],
        ["PUNSUBSCRIBE", `${prefix}*`],
        ...(cluster
          ? ([
              ["SPUBLISH", channel, "m"],
              ["SSUBSCRIBE", channel],
              ["SUNSUBSCRIBE", channel]
            ] as const)
          : [])
      ]
    case "keyspace-events":
      return [
        ["PSUBSCRIBE", `__keyspace@0__:${prefix}*`],
        ["PSUBSCRIBE", "__keyevent@0__:*"]
      ]
    case "streams":
      return [
        ["XADD", key, "*", "f", "v"],
        ["XREAD", "STREAMS", key, "0"],
        ["XREVRANGE", key, "+", "-"],
        ["XGROUP CREATE", key, "g", "$"],
        ["XREADGROUP", "GROUP", "g", "c", "STREAMS", key, ">"],
        ["XACK", key, "g", "0-1"],
        ["XPENDING", key, "g"],
        ["XCLAIM", key, "g", "c", "0", "0-1"],
        ["XAUTOCLAIM", key, "g", "c", "0", "0-1"],
        ["XINFO STREAM", key],
        ["EVAL", "return 1", "1", key]
      ]
    case "locks":
      return [
        ["SET", key, "v", "NX", "PX", "1"],
        ["GET", key],
        ["DEL", key],
        ["PEXPIRE", key, "1"],
        ["EVAL", "return 1", "1", key],
        ["EVALSHA", "0".repeat(40), "1", key]
      ]
    case "tracking":
      return [["CLIENT TRACKING", "OFF"]]
    case "cluster":
      return [["CLUSTER SLOTS"], ["CLUSTER NODES"], ["ASKING"], ["READONLY"]]
    case "sentinel":
      return [["SENTINEL MASTERS"], ["SENTINEL GET-MASTER-ADDR-BY-NAME", "m"]]
  }
}

/** What servers refuse to queue. Each of these changes nothing but the connection that it is run on. */
const notQueued = new Set([
  "MULTI",
  "EXEC",
  "DISCARD",
  "WATCH",
  "UNWATCH",
  "SUBSCRIBE",
  "UNSUBSCRIBE",
  "PSUBSCRIBE",
  "PUNSUBSCRIBE",
  "SSUBSCRIBE",
  "SUNSUBSCRIBE"
])

/** What was found out about one command. `key`: it may be run, but not on this key; and so on. */
type Verdict = "allowed" | "command" | "key" | "channel" | "database" | "missing" | "unknown"

const idOf = (line: Line): string => line.join("\0")

/** What the error of a command says about permissions. Any other error comes after the check of permissions. */
const verdictOf = (error: ReplyError): Verdict =>
  error.code === "NOPERM"
    ? (error.denied ?? "command")
    : /unknown (?:command|subcommand)|^ERR Command '.*' not found/i.test(Redacted.value(error.raw))
      ? "missing"
      : "allowed"

/** The refusal of ACL DRYRUN is text. */
const verdictOfDryrun = (text: string): Verdict =>
  /permissions? to run/i.test(text)
    ? "command"
    : /\bkeys?\b/i.test(text)
      ? "key"
      : /channel/i.test(text)
        ? "channel"
        : /database/i.test(text)
          ? "database"
          : "command"

type Verdicts = ReadonlyMap<string, Verdict>

/** Asks ACL DRYRUN; undefined when the user may not. */
const byDryrun: (patient: Patient, lines: ReadonlyArray<Line>) => Effect.Effect<Verdicts | undefined, RedisError> =
  Effect.fnUntraced(function* ({ connection, settings }: Patient, lines: ReadonlyArray<Line>) {
    const who = yield* tried(connection.execute(Redis.aclWhoami()))
    const user = Either.isRight(who) ? who.right : (settings.resolved.username ?? "default")
    const verdicts = new Map<string, Verdict>()
    for (const line of lines) {
      const [name, ...args] = line
      const answer = yield* tried(connection.executeText("ACL DRYRUN", user, ...name.split(" "), ...args))
      if (Either.isRight(answer)) {
        verdicts.set(idOf(line), answer.right === "OK" ? "allowed" : verdictOfDryrun(String(answer.right)))
      } else if (/Command .*not found/i.test(Redacted.value(answer.left.raw))) {
        verdicts.set(idOf(line), "missing")
      } else {
        // The server does not know DRYRUN, or the user may not use it.
        return undefined
      }
    }
    return verdicts
  })

/** Sends commands one after the other until one answers unlike `wanted`. */
const bySending: (
  connection: Connection.Connection,
  lines: ReadonlyArray<Line>,
  wanted?: string
) => Effect.Effect<Verdicts, RedisError> = Effect.fnUntraced(function* (
  connection: Connection.Connection,
  lines: ReadonlyArray<Line>,
  wanted?: string
) {
  const verdicts = new Map<string, Verdict>()
  for (const line of lines) {
    const [name, ...args] = line
    const answer = yield* tried(connection.executeText(name, ...args))
    if (Either.isRight(answer) && wanted !== undefined && answer.right !== wanted) {
      break
    }
    verdicts.set(idOf(line), Either.isRight(answer) ? "allowed" : verdictOf(answer.left))
  }
  return verdicts
})

/**
 * Queues the commands. The connection is closed after that, so the server forgets them also when the user may not run DISCARD.
 * A server that answers otherwise than QUEUED has run the command, and is asked no more.
 */
const byQueueing = ({ settings }: Patient, lines: ReadonlyArray<Line>): Effect.Effect<Verdicts, RedisError> =>
  Effect.scoped(
    Effect.flatMap(Connection.make(settings.options), (connection) =>
      Effect.flatMap(tried(connection.executeText("MULTI")), (began) =>
        Either.isRight(began) ? bySending(connection, lines, "QUEUED") : Effect.succeed<Verdicts>(new Map())
      )
    )
  )

/** Runs what servers do not queue, on a connection of its own: it may stay subscribed, and EXEC must find nothing queued. */
const byRunning = ({ settings }: Patient, lines: ReadonlyArray<Line>): Effect.Effect<Verdicts, RedisError> =>
  Effect.scoped(
    Effect.flatMap(Connection.make(settings.options), (connection) =>
      // MULTI comes last: what follows it would be queued.
      bySending(connection, [
        ...lines.filter(([name]) => name !== "MULTI"),
        ...lines.filter(([name]) => name === "MULTI")
      ])
    )
  )

const verdictsOf: (
  patient: Patient,
  lines: ReadonlyArray<Line>
) => Effect.Effect<{ readonly how: string; readonly verdicts: Verdicts }, RedisError> = Effect.fnUntraced(function* (
  patient: Patient,
  lines: ReadonlyArray<Line>
) {
  const dry = yield* byDryrun(patient, lines)
  if (dry !== undefined) {
    return { how: "dryrun", verdicts: dry }
  }
  const queued = lines.filter(([name]) => !notQueued.has(name))
  const run = lines.filter(([name]) => notQueued.has(name))
  const verdicts = new Map([
    ...(queued.length === 0 ? [] : yield* byQueueing(patient, queued)),
    ...(run.length === 0 ? [] : yield* byRunning(patient, run))
  ])
  return { how: "trial", verdicts }
})

export const checkAcl: (patient: Patient) => Effect.Effect<ReadonlyArray<Finding>, RedisError> = Effect.fnUntraced(
  function* (patient: Patient) {
    const { mode, settings } = patient
    const wanted = [...settings.features].filter((feature) => (feature === "sentinel") === (mode === "sentinel"))
    if (wanted.length === 0) {
      return []
    }
    const prefix = settings.prefix ?? ""
    const lines = wanted.map((feature) => ({ feature, lines: commandsOf(feature, prefix, mode === "cluster") }))
    const all = new Map(lines.flatMap(({ lines }) => lines.map((line) => [idOf(line), line])))
    const { how, verdicts } = yield* verdictsOf(patient, [...all.values()])
    const findings = lines.map(({ feature, lines }) => judge(patient, feature, how, lines, verdicts))
    return settings.features.has("keyspace-events") && mode !== "sentinel"
      ? [...findings, ...(yield* keyspaceEvents(patient))]
      : findings
  }
)

const unique = (names: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(names)]

const judge = (
  { settings }: Patient,
  feature: Feature,
  how: string,
  lines: ReadonlyArray<Line>,
  verdicts: Verdicts
): Finding => {
  const having = (...wanted: ReadonlyArray<Verdict>) =>
    unique(lines.filter((line) => wanted.includes(verdicts.get(idOf(line)) ?? "unknown")).map(([name]) => name))
  const denied = having("command")
  const missing = having("missing")
  const keys = having("key", "channel", "database")
  const open = having("unknown")
  const data = { feature, how, denied, missing, limited: keys, unknown: open }
  if (denied.length > 0) {
    return failure("acl", "acl-denied", `${feature}: the user may not run ${denied.join(", ")}`, {
      advice: `ACL SETUSER ${settings.target.user ?? "default"} ${denied.map(rule).join(" ")}`,
      data
    })
  }
  if (missing.length > 0) {
    return failure("acl", "command-missing", `${feature}: the server does not know ${missing.join(", ")}`, {
      advice: "The server is too old, or the commands were renamed or switched off there.",
      data
    })
  }
  if (keys.length > 0) {
    const what = `the user has no access to what ${keys.join(", ")} would use`
    return settings.prefix === undefined
      ? warning("acl", "acl-limited", `${feature}: the user has access to only some keys or channels`, {
          advice: "Say with --prefix how those of the program begin, and the doctor tries these.",
          data
        })
      : failure("acl", "acl-keys", `${feature}: under ${visible(settings.prefix)} ${what}`, {
          advice: `ACL SETUSER ${settings.target.user ?? "default"} ~${visible(settings.prefix)}* &${visible(settings.prefix)}*`,
          data
        })
  }
  return open.length > 0
    ? unknown("acl", "acl-unknown", `${feature}: whether the user may run ${open.join(", ")} is not known`, {
        advice: "The user may use neither ACL DRYRUN nor MULTI; ask an administrator for ACL GETUSER.",
        data
      })
    : ok(
        "acl",
        "acl-allowed",
        `${feature}: the user may run all ${unique(lines.map(([name]) => name)).length} commands`,
        data
      )
}

/** Servers send keyspace events only when they were told to. */
const keyspaceEvents: (patient: Patient) => Effect.Effect<ReadonlyArray<Finding>, RedisError> = Effect.fnUntraced(
  function* ({ connection }: Patient) {
    const answer = yield* tried(connection.execute(Redis.configGet("notify-keyspace-events")))
    if (Either.isLeft(answer)) {
      return [
        unknown(
          "acl",
          "keyspace-events-unknown",
          "whether the server sends keyspace events is not known: CONFIG GET is refused",
          {
            advice: "Look at notify-keyspace-events in the server's configuration."
          }
        )
      ]
    }
    const value = visible(answer.right["notify-keyspace-events"] ?? "")
    return /[KE]/.test(value)
      ? [ok("acl", "keyspace-events-on", `the server sends keyspace events (${value})`, { setting: value })]
      : [
          failure("acl", "keyspace-events-off", "the server sends no keyspace events", {
            advice: "CONFIG SET notify-keyspace-events KEA, or fewer kinds of events.",
            data: { setting: value }
          })
        ]
  }
)
