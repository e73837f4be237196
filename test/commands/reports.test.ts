/**
 * Reports: what servers say about themselves and their clients. Each report is recorded from a real server, then changed in
 * every place, as another server or another version may send it, and with bytes that are not UTF-8 in every text. Only a
 * missing essential field may make a report unreadable (docs/decisions/0024-reports.md).
 */
import { it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { describe, expect } from "vitest"
import * as Codec from "../../src/Codec.js"
import * as Connection from "../../src/Connection.js"
import type { Commands } from "../../src/internal/client/commands.js"
import { MapReply, type Reply, SetReply, VerbatimString } from "../../src/internal/resp/values.js"
import { Redis, type RedisService } from "../../src/Redis.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { makeServer } from "../support/servers.js"

type Command = RedisCommand.RedisCommand<unknown>
type AnyCommands = Commands<never, never>

const text = Redis.withCodec(Codec.utf8) as unknown as AnyCommands
const bytes = Redis.withCodec(Codec.bytes) as unknown as AnyCommands

/** A way from the whole reply to one place: names of fields and positions of elements. */
type Path = ReadonlyArray<string | number>

interface Report {
  readonly command: (redis: AnyCommands) => Command
  /** The paths, joined by dots, of what makes it a report. */
  readonly essential?: RegExp
  /** Words of the server that decide how the rest is read. */
  readonly words?: RegExp
  /** What a program stored: it stays strict. */
  readonly stored?: RegExp
  /** Names that are exact under `Codec.bytes`. */
  readonly exact?: RegExp
  /** Records whose unknown fields have no place in the result. */
  readonly forgets?: RegExp
  /** A reply that no server under test can be made to give. */
  readonly scripted?: Reply
}

const map = (fields: Readonly<Record<string, Reply>>): MapReply => new MapReply(Object.entries(fields).flat())

/** Every report of a standalone server. */
const reports: Readonly<Record<string, Report>> = {
  "ACL CAT": { command: (redis) => redis.aclCat(), essential: /^\d+$/ },
  "ACL GETUSER": {
    command: (redis) => redis.aclGetuser("stranger"),
    exact: /^(selectors\.0\.)?(keys|channels)$/
  },
  "ACL LIST": { command: (redis) => redis.aclList(), essential: /^\d+$/, exact: /^\d+$/ },
  "ACL LOG": { command: (redis) => redis.aclLog(), essential: /^\d+(\.reason)?$/, exact: /\.(username|object)$/ },
  "ACL USERS": { command: (redis) => redis.aclUsers(), essential: /^\d+$/, exact: /^\d+$/ },
  "ACL WHOAMI": { command: (redis) => redis.aclWhoami(), essential: /^$/, exact: /^$/ },
  "CLIENT GETNAME": { command: (redis) => redis.clientGetname(), exact: /^$/, essential: /^$/ },
  "CLIENT TRACKINGINFO": { command: (redis) => redis.clientTrackinginfo(), exact: /^prefixes\.\d$/ },
  "COMMAND INFO": {
    command: (redis) => redis.commandInfo(["get", "xread", "slowlog"]),
    essential: /^\d+(\.0)?$/,
    exact: /^\d+(\.9\.\d+)?\.0$/
  },
  "COMMAND DOCS": { command: (redis) => redis.commandDocs(["lcs", "slowlog"]), forgets: /^$/ },
  "COMMAND LIST": {
    command: (redis) => redis.commandList({ filterby: { pattern: "x*" } }),
    essential: /^\d+$/,
    exact: /^\d+$/
  },
  "COMMAND GETKEYS": {
    command: (redis) => redis.commandGetkeys(["GET", "k"]),
    essential: /^0$/,
    exact: /^0$/,
    stored: /^0$/
  },
  "COMMAND GETKEYSANDFLAGS": {
    command: (redis) => redis.commandGetkeysandflags(["GET", "k"]),
    essential: /^0(\.0)?$/,
    exact: /^0\.0$/,
    stored: /^0\.0$/
  },
  "CONFIG GET": { command: (redis) => redis.configGet("*max*"), exact: /./ },
  "FUNCTION LIST": {
    command: (redis) => redis.functionList({ withcode: true }),
    essential: /^\d+(\.library_name)?$/,
    exact: /\.(library_name|library_code|name|description)$/
  },
  "FUNCTION STATS": { command: (redis) => redis.functionStats() },
  HELLO: { command: (redis) => redis.hello(), essential: /^proto$/, exact: /^modules\.\d+\.(name|path|args\.\d+)$/ },
  "LATENCY HISTOGRAM": { command: (redis) => redis.latencyHistogram("xadd"), forgets: /^$|histogram_usec/ },
  "LATENCY HISTORY": { command: (redis) => redis.latencyHistory("command"), essential: /^\d+(\.[01])?$/ },
  "LATENCY LATEST": { command: (redis) => redis.latencyLatest(), essential: /^\d+(\.0)?$/, exact: /\.0$/ },
  "MEMORY STATS": { command: (redis) => redis.memoryStats() },
  "MODULE LIST": {
    command: (redis) => redis.moduleList(),
    essential: /^\d+(\.name)?$/,
    exact: /\.(name|path|args\.\d+)$/
  },
  "PUBSUB CHANNELS": { command: (redis) => redis.pubsubChannels(), essential: /^\d+$/, exact: /^\d+$/ },
  "PUBSUB NUMSUB": { command: (redis) => redis.pubsubNumsub("c"), essential: /^[01]$/, exact: /^0$/ },
  "PUBSUB SHARDCHANNELS": { command: (redis) => redis.pubsubShardchannels(), essential: /^\d+$/, exact: /^\d+$/ },
  "PUBSUB SHARDNUMSUB": { command: (redis) => redis.pubsubShardnumsub("c"), essential: /^[01]$/, exact: /^0$/ },
  ROLE: { command: (redis) => redis.role(), essential: /^0$/, words: /^0$/ },
  "SLOWLOG GET": { command: (redis) => redis.slowlogGet(), essential: /^\d+(\.0)?$/, exact: /^\d+\.(3\.\d+|5)$/ },
  "XINFO CONSUMERS": {
    command: (redis) => redis.xinfoConsumers("s", "g"),
    essential: /^\d+(\.name)?$/,
    exact: /\.name$/
  },
  "XINFO GROUPS": { command: (redis) => redis.xinfoGroups("s"), essential: /^\d+(\.name)?$/, exact: /\.name$/ },
  "XINFO STREAM": {
    command: (redis) => redis.xinfoStream("s"),
    essential: /^(length|last-generated-id)$/,
    exact: /-entry\.1\./,
    stored: /-entry\.1\./
  },
  "XINFO STREAM FULL": {
    command: (redis) => redis.xinfoStream("s", { full: true }),
    essential: /^(length|last-generated-id)$/,
    exact: /^entries\.\d+\.1\.|^groups\.\d+(\.consumers\.\d+)?\.name$|^groups\.\d+\.pending\.\d+\.1$/,
    stored: /^entries\.\d+\.1\./
  },
  XPENDING: { command: (redis) => redis.xpending("s", "g"), essential: /^0$/, exact: /^3\.\d+\.0$/ },
  "XPENDING range": {
    command: (redis) => redis.xpending("s", "g", { start: "-", end: "+", count: 10 }),
    essential: /^\d+(\.[0-3])?$/,
    exact: /^\d+\.1$/
  }
}

/** Reports of servers, and in states, that are not under test here. The replies are those of the servers' documentation. */
const scripted: Readonly<Record<string, Report>> = {
  "ROLE of a replica": {
    command: (redis) => redis.role(),
    essential: /^0$/,
    words: /^0$/,
    scripted: ["slave", "10.0.0.1", 6379, "connected", 3167038]
  },
  "ROLE of a primary": {
    command: (redis) => redis.role(),
    essential: /^0$/,
    words: /^0$/,
    scripted: [
      "master",
      3129659,
      [
        ["10.0.0.2", "9001", "3129242"],
        ["10.0.0.3", "9002", "3129543"]
      ]
    ]
  },
  "ROLE of a sentinel": {
    command: (redis) => redis.role(),
    essential: /^0$/,
    words: /^0$/,
    scripted: ["sentinel", ["one", "two"]]
  },
  "CLUSTER SHARDS": {
    command: (redis) => redis.clusterShards(),
    essential: /^\d+$/,
    scripted: [
      map({
        slots: [0, 100, 200, 300],
        nodes: [
          map({
            id: "aa",
            port: 30001,
            "tls-port": 30002,
            ip: "127.0.0.1",
            endpoint: "127.0.0.1",
            hostname: "h",
            role: "master",
            "replication-offset": 72156,
            health: "online"
          })
        ],
        id: "shard"
      })
    ]
  },
  "CLUSTER SLOTS": {
    command: (redis) => redis.clusterSlots(),
    essential: /^\d+(\.[01])?$/,
    scripted: [
      [0, 5460, ["127.0.0.1", 30001, "aa", map({ hostname: "h" })], ["127.0.0.1", 30004, "bb", map({})]],
      [5461, 10922, [null, null, "cc"]],
      [10923, 16383]
    ]
  },
  "CLUSTER LINKS": {
    command: (redis) => redis.clusterLinks(),
    essential: /^\d+(\.node)?$/,
    scripted: [
      map({
        direction: "to",
        node: "aa",
        "create-time": 1639442739375,
        events: "rw",
        "send-buffer-allocated": 4512,
        "send-buffer-used": 0
      })
    ]
  },
  "CLUSTER SLOT-STATS": {
    command: (redis) => redis.clusterSlotStats({ orderby: "key-count" }),
    essential: /^\d+(\.0)?$/,
    scripted: [[5, map({ "key-count": 2, "cpu-usec": 50, "network-bytes-in": 60, "network-bytes-out": 70 })]]
  },
  "CLUSTER GETSLOTMIGRATIONS": {
    command: (redis) => redis.clusterGetslotmigrations(),
    essential: /^\d+(\.name)?$/,
    scripted: [
      map({
        name: "job",
        operation: "EXPORT",
        slot_ranges: "0-9 20-20",
        source_node: "aa",
        target_node: "bb",
        create_time: 1795375927,
        last_update_time: 1795375928,
        last_ack_time: 0,
        state: "success",
        message: ""
      })
    ]
  },
  "CLUSTER MIGRATION STATUS": {
    command: (redis) => redis.clusterMigration({ status: { all: true } }),
    essential: /^\d+(\.id)?$/,
    scripted: [
      map({
        id: "task",
        slots: "0-9",
        source: "aa",
        dest: "bb",
        operation: "import",
        state: "completed",
        last_error: "",
        retries: 1,
        create_time: 1795375927113,
        start_time: 1795375927114,
        end_time: 1795375927115,
        write_pause_ms: 7
      })
    ]
  },
  "FUNCTION STATS while a function runs": {
    command: (redis) => redis.functionStats(),
    scripted: map({
      running_script: map({ name: "f", command: ["FCALL", "f", "0"], duration_ms: 1500 }),
      engines: map({ LUA: map({ libraries_count: 1, functions_count: 2 }) })
    })
  },
  "COMMANDLOG GET": {
    command: (redis) => redis.commandlogGet(1, "large-reply"),
    essential: /^\d+(\.0)?$/,
    exact: /^\d+\.(3\.\d+|5)$/,
    scripted: [[14, 1795375969, 20000, ["GET", "k"], "127.0.0.1:40812", "me"]]
  },
  "HOTKEYS GET": {
    command: (redis) => redis.hotkeysGet(),
    essential: /^0$|tracking-active/,
    exact: /by-.*\.\d*[02468]$/,
    stored: /by-.*\.\d*[02468]$/,
    scripted: [
      map({
        "tracking-active": 1,
        "sample-ratio": 1,
        "selected-slots": [[0, 100], [200]],
        "total-net-bytes": 7,
        "collection-start-time-unix-ms": 1769420604522,
        "collection-duration-ms": 6408,
        "by-cpu-time-us": ["x", 104, "y", 98],
        "by-net-bytes": ["x", 104]
      })
    ]
  },
  "BACKUP STATUS": {
    command: (redis) => redis.backupStatus(),
    essential: /^state$/,
    scripted: map({ state: "sealed", error: "", start_time: 1795375927, end_time: 1795375928 })
  },
  ARINFO: {
    command: (redis) => redis.arinfo("k", { full: true }),
    essential: /^(count|len)$/,
    scripted: map({ count: 3, len: 101, "next-insert-index": 1, slices: 1, "avg-dense-fill": "0.5" })
  },
  VINFO: {
    command: (redis) => redis.vinfo("k"),
    essential: /^(size|vector-dim)$/,
    scripted: map({ "quant-type": "int8", "hnsw-m": 16, "vector-dim": 3, size: 3, "max-level": 1, "vset-uid": 5 })
  },
  LCS: {
    command: (redis) => redis.lcs("a", "b", { idx: true, withmatchlen: true }),
    essential: /./,
    forgets: /^/,
    scripted: map({ matches: [[[4, 7], [5, 8], 4]], len: 6 })
  },
  "SENTINEL MASTERS": {
    command: (redis) => redis.sentinelMasters(),
    essential: /^\d+(\.name)?$/,
    scripted: [map({ name: "m", ip: "h", port: "6379", runid: "aa", flags: "master", quorum: "2", "num-slaves": "1" })]
  },
  "SENTINEL REPLICAS": {
    command: (redis) => redis.sentinelReplicas("m"),
    essential: /^\d+(\.name)?$/,
    scripted: [map({ name: "r", ip: "h", port: "6379", runid: "aa", flags: "slave", "slave-priority": "100" })]
  },
  "SENTINEL SENTINELS": {
    command: (redis) => redis.sentinelSentinels("m"),
    essential: /^\d+(\.name)?$/,
    scripted: [map({ name: "s", ip: "h", port: "6379", runid: "aa", flags: "sentinel" })]
  },
  "SENTINEL PENDING-SCRIPTS": {
    command: (redis) => redis.sentinelPendingScripts(),
    essential: /^\d+$|\.argv/,
    scripted: [map({ argv: ["/n.sh", "+sdown"], flags: "running", pid: "77", "run-time": "1500", "retry-num": "1" })]
  },
  "SENTINEL INFO-CACHE": {
    command: (redis) => redis.sentinelInfoCache("m"),
    forgets: /^/,
    scripted: [
      "m",
      [
        [5, "# Server\r\nredis_version:7.0.15\r\n"],
        [0, null]
      ]
    ]
  },
  "SENTINEL IS-MASTER-DOWN-BY-ADDR": {
    command: (redis) => redis.sentinelIsMasterDownByAddr("h", 1, 0, "*"),
    essential: /^0$/,
    scripted: [1, "31ed", 7]
  },
  "SENTINEL CONFIG GET": {
    command: (redis) => redis.sentinelConfig({ get: "*" }),
    scripted: map({ loglevel: "notice" })
  },
  "SENTINEL DEBUG": {
    command: (redis) => redis.sentinelDebug(),
    forgets: /^/,
    scripted: map({ "PING-PERIOD": "1000" })
  }
}

/** A reply with another value at a place. */
const changed = (reply: Reply, [part, ...rest]: Path, change: (old: Reply) => Reply): Reply => {
  if (part === undefined) {
    return change(reply)
  }
  if (reply instanceof MapReply) {
    return new MapReply(
      reply.entries.flatMap(([name, value]) => [name, shown(name) === part ? changed(value, rest, change) : value])
    )
  }
  const within = (items: ReadonlyArray<Reply>) =>
    items.map((item, i) => (i === part ? changed(item, rest, change) : item))
  return reply instanceof SetReply ? new SetReply(within(reply.items)) : within(reply as ReadonlyArray<Reply>)
}

const shown = (reply: Reply): string => (reply instanceof Uint8Array ? Buffer.from(reply).toString() : String(reply))

/** Every place of a reply, with its value. */
const places = (reply: Reply, path: Path = []): ReadonlyArray<readonly [Path, Reply]> => [
  [path, reply],
  ...(reply instanceof MapReply
    ? reply.entries.flatMap(([name, value]) => places(value, [...path, shown(name)]))
    : reply instanceof SetReply || Array.isArray(reply)
      ? (Array.isArray(reply) ? (reply as ReadonlyArray<Reply>) : (reply as SetReply).items).flatMap((item, i) =>
          places(item, [...path, i])
        )
      : [])
]

/** The RESP2 form: maps and sets are flat arrays. */
const resp2 = (reply: Reply): Reply =>
  reply instanceof MapReply || reply instanceof SetReply
    ? reply.items.map(resp2)
    : Array.isArray(reply)
      ? (reply as ReadonlyArray<Reply>).map(resp2)
      : reply

const foreign = Uint8Array.of(0xff, 0xfe)

const withForeign = (old: Reply): Reply => {
  const end = (part: string | Uint8Array) => new Uint8Array(Buffer.concat([Buffer.from(part), foreign]))
  return old instanceof VerbatimString
    ? new VerbatimString(old.format, end(old.value))
    : end(old as string | Uint8Array)
}

const isText = (reply: Reply): reply is string | Uint8Array | VerbatimString =>
  typeof reply === "string" || reply instanceof Uint8Array || reply instanceof VerbatimString

/** Whether some text or bytes are anywhere in a value. */
const holds = (value: unknown, wanted: (leaf: string | Uint8Array) => boolean): boolean =>
  typeof value === "string" || value instanceof Uint8Array
    ? wanted(value)
    : typeof value === "object" &&
      value !== null &&
      (Object.values(value).some((part) => holds(part, wanted)) ||
        Object.keys(value).some(wanted) ||
        (Option.isOption(value) && Option.isSome(value) && holds(value.value, wanted)))

const contains = (whole: Uint8Array, part: Uint8Array): boolean => Buffer.from(whole).includes(Buffer.from(part))

const endsForeign = (leaf: string | Uint8Array): boolean =>
  leaf instanceof Uint8Array && leaf.at(-2) === 0xff && leaf.at(-1) === 0xfe

/** What is wrong with the reading of a reply, as text; `undefined` when it is read as it must be. */
const problem = (
  command: Command,
  reply: Reply,
  expected: "read" | "either" | "refused",
  so: (value: unknown) => boolean = () => true
): string | undefined => {
  const exit = RedisCommand.decode(command, reply)
  if (Exit.isFailure(exit)) {
    const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
    return error?._tag !== "DecodeError"
      ? `dies: ${Cause.pretty(exit.cause)}`
      : expected === "read"
        ? `fails: ${error.message}`
        : undefined
  }
  return expected === "refused" ? "is read" : so(exit.value) ? undefined : "loses it"
}

/** Changes a recorded reply in every place. Returns what went wrong, as text. */
const wrongReadings = (report: Report, redis: AnyCommands, recorded: Reply): ReadonlyArray<string> => {
  const command = report.command(redis)
  const wrong: Array<string> = []
  const check = (
    what: string,
    path: Path,
    change: (reply: Reply) => Reply,
    expected: Parameters<typeof problem>[2],
    so?: Parameters<typeof problem>[3]
  ) => {
    const reply = change(recorded)
    for (const form of [reply, resp2(reply)]) {
      const found = problem(command, form, expected, so)
      if (found !== undefined) {
        wrong.push(`${what} ${path.join(".")} ${found}`)
        return
      }
    }
  }
  const isBytes = redis === bytes
  const is = (pattern: RegExp | undefined, path: Path): boolean => pattern?.test(path.join(".")) === true
  check("unchanged", [], (reply) => reply, "read")
  for (const [path, value] of places(recorded)) {
    const essential = is(report.essential, path)
    if (value instanceof MapReply) {
      const unknown = (reply: Reply) => new MapReply([...(reply as MapReply).items, "Foo.Bar", "unknown-value"])
      check(
        "an unknown field in",
        path,
        (reply) => changed(reply, path, unknown),
        is(report.forgets, path) ? "either" : "read",
        (read) =>
          is(report.forgets, path) ||
          holds(read, (leaf) =>
            String(isBytes && leaf instanceof Uint8Array ? Buffer.from(leaf) : leaf).includes("unknown-value")
          )
      )
      for (const [name] of value.entries) {
        const field = [...path, shown(name)]
        const without = (reply: Reply) =>
          new MapReply((reply as MapReply).entries.filter(([other]) => other !== name).flat())
        const misspelt = (reply: Reply) =>
          new MapReply(
            (reply as MapReply).entries.flatMap(([other, value]) => [other === name ? "misspelt" : other, value])
          )
        const expected = is(report.essential, field) ? "refused" : "read"
        check("without", field, (reply) => changed(reply, path, without), expected)
        check("misspelt", field, (reply) => changed(reply, path, misspelt), expected)
      }
    }
    if (path.length > 0 || !essential) {
      // Nothing but a list or a record is a report of several fields.
      const refused = path.length === 0 ? "either" : essential ? "either" : "read"
      check("null at", path, (reply) => changed(reply, path, () => null), refused)
      check("an empty list at", path, (reply) => changed(reply, path, () => []), refused)
      check("a list at", path, (reply) => changed(reply, path, () => [1, ["x"], map({ a: "b" })]), refused)
      check("other text at", path, (reply) => changed(reply, path, () => "odd"), refused)
      check("a number at", path, (reply) => changed(reply, path, () => -7.5), refused)
    }
    if (isText(value)) {
      const stored = is(report.stored, path)
      const numeric = /^\d+$/.test(shown(value instanceof VerbatimString ? value.value : value))
      check(
        "foreign bytes at",
        path,
        (reply) => changed(reply, path, withForeign),
        stored && !isBytes ? "refused" : (essential && numeric) || is(report.words, path) ? "either" : "read",
        (read) => !isBytes || !is(report.exact, path) || holds(read, endsForeign)
      )
    }
  }
  return wrong
}

/** A report that is one text of fields. */
interface TextReport {
  readonly command: (redis: AnyCommands) => Command
  readonly field: RegExp
  readonly essential?: RegExp
  /** The essential field is a word, which may be any word. Otherwise it is a number. */
  readonly word?: boolean
}

const lines: Readonly<Record<string, TextReport>> = {
  "CLIENT INFO": { command: (redis) => redis.clientInfo(), field: /[a-z-]+=[^ \n]*/g, essential: /^id=/ },
  "CLIENT LIST": { command: (redis) => redis.clientList(), field: /[a-z-]+=[^ \n]*/g, essential: /^id=/ },
  INFO: {
    command: (redis) => redis.info(["server", "replication", "errorstats", "modules", "keyspace"]),
    field: /^[a-z_0-9]+:[^\r\n]*/gm
  }
}

const linesWithProblems = (row: TextReport, redis: AnyCommands, recorded: string): ReadonlyArray<string> => {
  const command = row.command(redis)
  const wrong: Array<string> = []
  expect(recorded).toMatch(row.field)
  for (const match of recorded.matchAll(row.field)) {
    const field = match[0]
    const [name = "", separator = ""] = /^[a-z_0-9-]+|[=:]/g[Symbol.match](field) ?? []
    const essential = row.essential?.test(field) === true
    const check = (
      what: string,
      text: string | Uint8Array,
      expected: Parameters<typeof problem>[2],
      so?: Parameters<typeof problem>[3]
    ): void => {
      const before = recorded.slice(0, match.index)
      const after = recorded.slice(match.index + field.length)
      const whole = new Uint8Array(Buffer.concat([Buffer.from(before), Buffer.from(text), Buffer.from(after)]))
      const isText = typeof text === "string" && redis !== bytes
      for (const reply of [
        isText ? before + text + after : whole,
        new VerbatimString("txt", isText ? before + text + after : whole)
      ]) {
        const found = problem(command, reply, expected, so)
        if (found !== undefined) {
          wrong.push(`${what} ${name} ${found}`)
          return
        }
      }
    }
    check("without", "", essential ? "refused" : "read")
    check("misspelt", `x${field}`, essential ? "refused" : "read")
    // An essential word may be any word; an essential number must be one.
    const essentialValue = row.word === true ? "read" : "refused"
    check("no value of", `${name}${separator}`, essential ? essentialValue : "read")
    check("another value of", `${name}${separator}odd`, essential ? essentialValue : "read")
    const gap = separator === "=" ? " " : "\r\n"
    check("after an unknown field", `${field}${gap}Foo.Bar${separator}unknown-value`, "read", (read) =>
      holds(read, (leaf) => leaf === "unknown-value")
    )
    check(
      "foreign bytes in",
      new Uint8Array(Buffer.concat([Buffer.from(field), foreign])),
      essential ? essentialValue : "read",
      (read) =>
        holds(read, (leaf) => typeof leaf === "string" && leaf.includes("\\xff\\xfe")) &&
        (redis !== bytes || separator === ":" || !/^(name|user)$/.test(name) || holds(read, endsForeign))
    )
  }
  return wrong
}

/** All texts of a reply as bytes, as they arrive under `Codec.bytes`. */
const inBytes = (reply: Reply): Reply =>
  typeof reply === "string"
    ? new Uint8Array(Buffer.from(reply))
    : reply instanceof MapReply
      ? new MapReply(reply.items.map(inBytes))
      : Array.isArray(reply)
        ? (reply as ReadonlyArray<Reply>).map(inBytes)
        : reply

const codecs = [
  ["text", text],
  ["bytes", bytes]
] as const

describe("a report of another server or version", () => {
  for (const [name, report] of Object.entries(scripted)) {
    for (const [codec, redis] of codecs) {
      it(`${name} demands only its essential fields, under ${codec}`, () => {
        const reply = report.scripted as Reply
        // Some commands read text under every codec.
        expect(wrongReadings(report, redis, report.command(redis).text ? reply : inBytes(reply))).toEqual([])
      })
    }
  }

  it("keeps what it does not know: fields of newer servers, and values of another shape", () => {
    const line = "id=3 addr=/tmp/a b:0 Foo.Bar=1 sub=many name=n qbuf=2\n"
    const exit = RedisCommand.decode(Redis.clientInfo(), line)
    expect(exit).toMatchObject({
      value: {
        id: 3,
        addr: Option.some("/tmp/a b:0"),
        laddr: Option.none(),
        sub: Option.none(),
        name: Option.some("n"),
        qbuf: Option.some(2),
        fields: { "Foo.Bar": "1", sub: "many" }
      }
    })
    expect(RedisCommand.decode(Redis.moduleList(), [map({ name: "m", ver: "new", since: [1, "x"] })])).toMatchObject({
      value: [{ name: "m", ver: Option.none(), path: Option.none(), args: [], other: { ver: "new", since: '[1,"x"]' } }]
    })
  })

  it("leaves out the elements of a list that do not fit, and keeps the whole list as text", () => {
    const shard = map({ slots: [0, 5], nodes: [map({ id: "aa", port: "x" }), map({ port: 1 })] })
    expect(RedisCommand.decode(Redis.clusterShards(), [shard])).toMatchObject({
      value: [
        {
          slots: [{ start: 0, end: 5 }],
          nodes: [{ id: "aa", port: Option.none(), other: { port: "x" } }],
          other: { nodes: '[{"id":"aa","port":"x"},{"port":1}]' }
        }
      ]
    })
  })

  it("is read from the lines of Redis 6.0, Kvrocks and Dragonfly", () => {
    const lines = [
      "id=3 addr=127.0.0.1:1 fd=8 name= age=5 idle=0 flags=N db=0 sub=0 psub=0 multi=-1 qbuf=26 qbuf-free=32742 obl=0 oll=0 omem=0 events=r cmd=client user=default",
      "id=4 addr=127.0.0.1:2 fd=9 name=n age=5 idle=0 flags=N namespace=__namespace qbuf=0 obuf=0 cmd=client",
      "id=5 addr=127.0.0.1:3 laddr=127.0.0.1:6379 fd=10 name= tid=1 irqmatch=0 pipeline=0 pbuf=0 age=2 idle=0 db=0 phase=process"
    ]
    const exit = RedisCommand.decode(Redis.clientList(), `${lines.join("\n")}\n`)
    expect(exit).toMatchObject({
      value: [
        { id: 3, laddr: Option.none(), psub: Option.some(0), user: Option.some("default") },
        { id: 4, name: Option.some("n"), psub: Option.none(), fields: { namespace: "__namespace" } },
        { id: 5, laddr: Option.some("127.0.0.1:6379"), cmd: Option.none(), fields: { phase: "process" } }
      ]
    })
    // Dragonfly: a primary sends no offset, and a replica calls itself one.
    expect(RedisCommand.decode(Redis.role(), ["master", [["10.0.0.2", "6380", "online"]]])).toMatchObject({
      value: { role: "master", offset: Option.none(), replicas: [{ host: "10.0.0.2", port: 6380 }] }
    })
    expect(RedisCommand.decode(Redis.role(), ["replica", "10.0.0.1", "6379", "online"])).toMatchObject({
      value: { role: "slave", host: Option.some("10.0.0.1"), port: Option.some(6379), offset: Option.none() }
    })
    // A sentinel has no role.
    const hello = map({ server: "redis", version: "7.0.15", proto: 3, id: 4, mode: "sentinel", modules: [] })
    expect(RedisCommand.decode(Redis.hello(3), hello)).toMatchObject({
      value: { mode: Option.some("sentinel"), role: Option.none() }
    })
    // CLUSTER SLOTS without nodes, and with a node without a port.
    expect(
      RedisCommand.decode(Redis.clusterSlots(), [
        [0, 1],
        [2, 3, ["h", null]],
        [4, 5, null]
      ])
    ).toMatchObject({
      value: [{ master: Option.none() }, { master: { value: { port: Option.none() } } }, { master: Option.none() }]
    })
  })

  it("says which essential field is missing", () => {
    expect(failure(RedisCommand.decode(Redis.moduleList(), [map({ name: "a" }), map({ ver: 1 })]))).toMatchObject({
      _tag: "DecodeError",
      path: [1, "name"]
    })
    expect(failure(RedisCommand.decode(Redis.clientInfo(), "addr=a"))).toMatchObject({
      _tag: "DecodeError",
      path: ["id"]
    })
  })
})

/** Records each report of a table, and changes it in every place. */
const recordedProblems = (
  { send }: Pick<RedisService, "send">,
  table: Readonly<Record<string, Report>>,
  texts: Readonly<Record<string, TextReport>>
) =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    for (const [codec, commands] of codecs) {
      for (const [name, report] of Object.entries(table)) {
        const recorded = yield* send(RedisCommand.undecoded(report.command(commands)))
        wrong.push(...wrongReadings(report, commands, recorded).map((what) => `${name}, under ${codec}: ${what}`))
      }
      for (const [name, row] of Object.entries(texts)) {
        const recorded = yield* send(RedisCommand.undecoded(row.command(commands)))
        const content = recorded instanceof VerbatimString ? recorded.value : (recorded as string | Uint8Array)
        wrong.push(
          ...linesWithProblems(row, commands, shown(content)).map((what) => `${name}, under ${codec}: ${what}`)
        )
      }
    }
    return wrong
  })

/** Makes a server say as much about itself as it can. */
const busy = Effect.gen(function* () {
  const redis = yield* Redis
  const raw = (name: string, ...args: ReadonlyArray<string>) => redis.send(RedisCommand.make(name, { args }))
  yield* raw("FLUSHALL")
  yield* raw("CONFIG SET", "slowlog-log-slower-than", "0", "latency-monitor-threshold", "1")
  yield* raw("ACL SETUSER", "stranger", "on", ">pw", "~k*", "&c*", "+get", "(+set ~b*)")
  yield* Effect.flip(
    Effect.scoped(Effect.flatMap(redis.lease, ({ send }) => send(Redis.auth("eve", Redacted.make("no")))))
  )
  yield* raw("DEBUG", "SLEEP", "0.01")
  yield* raw(
    "FUNCTION LOAD",
    "REPLACE",
    "#!lua name=lib\nredis.register_function{function_name='f', callback=function() return 1 end, flags={'no-writes'}}"
  )
  yield* raw("XADD", "s", "1-1", "field", "value")
  yield* raw("XADD", "s", "2-1", "field", "value")
  yield* raw("XGROUP CREATE", "s", "g", "0")
  yield* raw("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "s", ">")
})

eachServer(
  (test, { connect, protocol }) => {
    test.scoped("a report is read whatever is missing, new, misspelt, of another shape, or not UTF-8", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const redis = yield* connect()
        yield* Effect.provideService(busy, Redis, redis)
        const subscriber = yield* Connection.make({ host, port, protocol: 3 })
        yield* subscriber.redis.send(Redis.subscribe("c"))
        yield* subscriber.redis.send(Redis.ssubscribe("c"))
        const leased = yield* redis.lease
        yield* leased.send(Redis.clientSetname("me"))
        yield* leased.send(
          Redis.clientTracking(
            "on",
            protocol === 3 ? { bcast: true, prefix: "p:" } : { redirect: yield* leased.send(Redis.clientId()) }
          )
        )
        // The RESP2 form of a record is a list of any length: it is made from the RESP3 form where that is changed.
        if (protocol === 3) {
          expect(yield* recordedProblems(leased, reports, lines)).toEqual([])
        }
        for (const [, commands] of codecs) {
          for (const { command } of [...Object.values(reports), ...Object.values(lines)]) {
            yield* leased.send(command(commands))
          }
        }
      })
    )

    test.scoped("a stranger's bytes break no report", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const redis = yield* connect()
        const odd = (after: string) => Uint8Array.from([...foreign, ...Buffer.from(after)])
        const raw = (name: string, ...args: ReadonlyArray<string | Uint8Array>) => RedisCommand.make(name, { args })
        const binary = Redis.withCodec(Codec.bytes)
        const send = redis.send
        yield* send(raw("FLUSHALL"))
        yield* send(raw("ACL LOG", "RESET"))
        yield* send(raw("CONFIG SET", "slowlog-log-slower-than", "0"))

        // A login by anybody.
        const stranger = yield* redis.lease
        yield* Effect.flip(stranger.send(raw("AUTH", foreign, "x")))
        expect((yield* send(Redis.aclLog()))[0]?.username).toEqual(Option.some("\\xff\\xfe"))
        expect((yield* send(binary.aclLog()))[0]?.username).toEqual(Option.some(foreign))

        // A user's name and rules, and a client of that user.
        yield* send(raw("ACL SETUSER", odd("u"), "on", ">pw", "allkeys", "+@all"))
        yield* send(
          raw("ACL SETUSER", "ada", "on", "nopass", new Uint8Array(Buffer.concat([Buffer.from("~"), odd("k")])))
        )
        yield* stranger.send(raw("AUTH", odd("u"), "pw"))
        expect(yield* stranger.send(Redis.aclWhoami())).toBe("\\xff\\xfeu")
        expect(yield* stranger.send(binary.aclWhoami())).toEqual(odd("u"))
        expect((yield* stranger.send(Redis.clientInfo())).user).toEqual(Option.some("\\xff\\xfeu"))
        expect((yield* stranger.send(binary.clientInfo())).user).toEqual(Option.some(odd("u")))
        expect((yield* send(Redis.clientList())).map(({ user }) => user)).toContainEqual(Option.some("\\xff\\xfeu"))
        expect((yield* send(binary.clientList())).map(({ user }) => user)).toContainEqual(Option.some(odd("u")))
        expect(yield* send(Redis.aclUsers())).toContain("\\xff\\xfeu")
        expect(yield* send(binary.aclUsers())).toContainEqual(odd("u"))
        expect((yield* send(Redis.aclList())).some((line) => line.startsWith("user \\xff\\xfeu on"))).toBe(true)
        expect((yield* send(binary.aclList())).some((line) => contains(line, odd("u on")))).toBe(true)
        const ada = Option.getOrThrow(yield* send(binary.aclGetuser("ada")))
        expect(contains(Option.getOrThrow(ada.keys), odd("k"))).toBe(true)
        expect(Option.flatMap(yield* send(Redis.aclGetuser("ada")), ({ keys }) => keys)).toEqual(
          Option.some("~\\xff\\xfek")
        )

        // A client's name: servers refuse such bytes. Were they taken, they would be read.
        yield* Effect.either(stranger.send(raw("CLIENT SETNAME", foreign)))
        expect(Option.isOption(yield* stranger.send(Redis.clientGetname()))).toBe(true)

        // A script's error code, in the error and in INFO.
        const script = "return redis.error_reply('\\255\\254CODE text')"
        const error = yield* Effect.flip(send(Redis.eval(script)))
        expect(error).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        expect(error._tag === "ReplyError" && Redacted.value(error.raw)).toContain("\\xff\\xfeCODE text")
        const info = yield* send(Redis.info("everything"))
        expect(Object.keys(info.sections.errorstats ?? {})).toContain("errorstat_\\xff\\xfeCODE")
        const exact = yield* send(binary.info("everything"))
        expect(contains(exact.text, odd("CODE"))).toBe(true)
        expect(exact.fields).toHaveProperty(["errorstat_\\xff\\xfeCODE"])

        // A setting.
        yield* send(raw("CONFIG SET", "masteruser", odd("m")))
        expect((yield* send(Redis.configGet("*"))).masteruser).toBe("\\xff\\xfem")
        expect((yield* send(binary.configGet("*"))).masteruser).toEqual(odd("m"))
        yield* send(raw("CONFIG SET", "masteruser", ""))

        // A channel.
        const subscriber = yield* Connection.make({ host, port, protocol })
        yield* subscriber.redis.send(Redis.subscribe(odd("c")))
        yield* subscriber.redis.send(Redis.ssubscribe(odd("s")))
        expect(yield* send(Redis.pubsubChannels())).toEqual(["\\xff\\xfec"])
        expect(yield* send(binary.pubsubChannels())).toEqual([odd("c")])
        expect(yield* send(Redis.pubsubShardchannels())).toEqual(["\\xff\\xfes"])
        expect(yield* send(Redis.pubsubNumsub(odd("c")))).toEqual([{ channel: "\\xff\\xfec", subscribers: 1 }])
        expect(yield* send(binary.pubsubShardnumsub(odd("s")))).toEqual([{ channel: odd("s"), subscribers: 1 }])

        // A group and a consumer.
        yield* send(raw("XADD", "s", "1-1", "a", "1"))
        yield* send(raw("XGROUP CREATE", "s", odd("g"), "0"))
        yield* send(raw("XREADGROUP", "GROUP", odd("g"), odd("c"), "STREAMS", "s", ">"))
        expect((yield* send(Redis.xinfoGroups("s")))[0]?.name).toBe("\\xff\\xfeg")
        expect((yield* send(Redis.xinfoConsumers("s", odd("g"))))[0]?.name).toBe("\\xff\\xfec")
        expect((yield* send(binary.xinfoConsumers("s", odd("g"))))[0]?.name).toEqual(odd("c"))
        expect((yield* send(Redis.xinfoStream("s", { full: true }))).groups[0]?.name).toBe("\\xff\\xfeg")
        expect((yield* send(Redis.xpending("s", odd("g")))).consumers).toEqual([{ name: "\\xff\\xfec", pending: 1 }])

        // The words of logged commands.
        yield* send(raw("SET", odd("key"), "v"))
        expect((yield* send(Redis.slowlogGet({ count: -1 }))).map(({ command }) => command)).toContainEqual([
          "SET",
          "\\xff\\xfekey",
          "v"
        ])
        expect((yield* send(binary.slowlogGet({ count: -1 }))).map(({ command }) => command[1])).toContainEqual(
          odd("key")
        )

        // What a program stored stays strict.
        expect(yield* Effect.flip(send(Redis.keys("*key")))).toMatchObject({ _tag: "DecodeError" })
        expect(yield* send(binary.keys("*key"))).toEqual([odd("key")])
        yield* send(raw("ACL DELUSER", odd("u"), "ada"))
      })
    )
  },
  { config: { "enable-debug-command": "local" } }
)

/** Reports of a node of a cluster. */
const ofCluster: Readonly<Record<string, Report>> = {
  "CLUSTER SHARDS": { command: (redis) => redis.clusterShards(), essential: /^\d+$/ },
  "CLUSTER SLOTS": { command: (redis) => redis.clusterSlots(), essential: /^\d+(\.[01])?$/ },
  "CLUSTER LINKS": { command: (redis) => redis.clusterLinks() },
  HELLO: { command: (redis) => redis.hello(), essential: /^proto$/ }
}

const linesOfCluster: Readonly<Record<string, TextReport>> = {
  "CLUSTER INFO": {
    command: (redis) => redis.clusterInfo(),
    field: /^[a-z_]+:[^\r\n]*/gm,
    essential: /^cluster_state:/,
    word: true
  }
}

/** Reports of a sentinel. */
const ofSentinel: Readonly<Record<string, Report>> = {
  "SENTINEL MASTER": { command: (redis) => redis.sentinelMaster("m"), essential: /^name$/ },
  "SENTINEL MASTERS": { command: (redis) => redis.sentinelMasters(), essential: /^\d+(\.name)?$/ },
  "SENTINEL REPLICAS": { command: (redis) => redis.sentinelReplicas("m"), essential: /^\d+(\.name)?$/ },
  "SENTINEL CONFIG GET": { command: (redis) => redis.sentinelConfig({ get: "*" }) },
  "SENTINEL INFO-CACHE": { command: (redis) => redis.sentinelInfoCache("m") },
  "SENTINEL IS-MASTER-DOWN-BY-ADDR": {
    command: (redis) => redis.sentinelIsMasterDownByAddr("h", 1, 0, "*"),
    essential: /^0$/
  },
  ROLE: { command: (redis) => redis.role(), essential: /^0$/, words: /^0$/ },
  HELLO: { command: (redis) => redis.hello(), essential: /^proto$/ }
}

describeReal((server) => {
  it.scopedLive("a node of a cluster: a report is read whatever is missing, new, misspelt or not UTF-8", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server, { mode: "cluster" })
      const { redis } = yield* Connection.make({ host, port, protocol: 3, expect: "node" })
      yield* redis.send(Redis.clusterAddslotsrange({ start: 0, end: 16383 }))
      expect(yield* recordedProblems(redis, ofCluster, linesOfCluster)).toEqual([])

      const recorded = yield* redis.send(RedisCommand.undecoded(Redis.clusterNodes()))
      const line = shown(recorded instanceof VerbatimString ? recorded.value : recorded)
      const words = line.trim().split(" ")
      for (const [, commands] of codecs) {
        const reads = (at: number, word: Uint8Array): void => {
          const changed = words.flatMap((old, i) => [...(i === at ? word : Buffer.from(old)), 0x20])
          expect(problem(commands.clusterNodes(), Uint8Array.from(changed), "read")).toBeUndefined()
        }
        words.forEach((word, at) => {
          reads(at, Uint8Array.from([...Buffer.from(word), ...foreign]))
          reads(at, Buffer.from("odd"))
        })
        for (let length = 2; length < words.length; length++) {
          expect(problem(commands.clusterNodes(), words.slice(0, length).join(" "), "read")).toBeUndefined()
        }
      }
    })
  )

  it.scopedLive("a sentinel: a report is read whatever is missing, new, misspelt or not UTF-8", () =>
    Effect.gen(function* () {
      const primary = yield* makeServer(server)
      const { host, port } = yield* makeServer(server, { mode: { monitor: { m: { ...primary, quorum: 1 } } } })
      const { redis } = yield* Connection.make({ host, port, protocol: 3, expect: "node" })
      expect(yield* recordedProblems(redis, ofSentinel, {})).toEqual([])
    })
  )
})
