import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make } from "../../src/commands/server.js"
import { make as makeStrings } from "../../src/commands/string.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import { decode, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"

const server = make(Codec.utf8)
const binary = make(Codec.bytes)
const strings = makeStrings(Codec.utf8)
const notUtf8 = Uint8Array.of(0xff, 0xfe)
const { array, bulk, int, map, nil, nil2, set, simple, verbatim } = wire

/** The two forms of a record in a reply: RESP2's flat array, and RESP3's map. */
const record = (...items: ReadonlyArray<string>) => [array(...items), map(...items)] as const
const both = (text: string) => [bulk(text), verbatim(text)]

describe("server commands encode their arguments", () => {
  it("ACL", () => {
    sends(server.aclCat(), ["ACL", "CAT"])
    sends(server.aclCat("read"), ["ACL", "CAT", "read"])
    sends(server.aclDeluser("ada"), ["ACL", "DELUSER", "ada"])
    sends(server.aclDeluser(["ada", "eve"]), ["ACL", "DELUSER", "ada", "eve"])
    refuses(server.aclDeluser([] as never), /at least one user/)
    sends(server.aclDryrun("ada", ["GET", "k"]), ["ACL", "DRYRUN", "ada", "GET", "k"])
    sends(server.aclDryrun("ada", strings.set("k", "v", { nx: true })), ["ACL", "DRYRUN", "ada", "SET", "k", "v", "NX"])
    sends(server.aclDryrun("ada", server.aclWhoami()), ["ACL", "DRYRUN", "ada", "ACL", "WHOAMI"])
    refuses(server.aclDryrun("ada", strings.incrby("k", 0.5)), /INCRBY.*integer/)
    refuses(server.aclDryrun("ada", [] as never), /needs a command/)
    sends(server.aclGenpass(), ["ACL", "GENPASS"])
    sends(server.aclGenpass({ bits: 32 }), ["ACL", "GENPASS", "32"])
    sends(server.aclGetuser("ada"), ["ACL", "GETUSER", "ada"])
    sends(server.aclList(), ["ACL", "LIST"])
    sends(server.aclLoad(), ["ACL", "LOAD"])
    sends(server.aclLog(), ["ACL", "LOG"])
    sends(server.aclLog({ count: 5 }), ["ACL", "LOG", "5"])
    sends(server.aclLog({ reset: true }), ["ACL", "LOG", "RESET"])
    sends(server.aclSave(), ["ACL", "SAVE"])
    sends(server.aclSetuser("ada"), ["ACL", "SETUSER", "ada"])
    sends(server.aclSetuser("ada", "on"), ["ACL", "SETUSER", "ada", "on"])
    sends(server.aclSetuser("ada", ["on", Redacted.make(">secret")]), ["ACL", "SETUSER", "ada", "on", ">secret"])
    sends(server.aclUsers(), ["ACL", "USERS"])
    sends(server.aclWhoami(), ["ACL", "WHOAMI"])
  })

  it("BACKUP", () => {
    sends(server.backupAbort(), ["BACKUP", "ABORT"])
    sends(server.backupCleanup(), ["BACKUP", "CLEANUP"])
    sends(server.backupList(), ["BACKUP", "LIST"])
    sends(server.backupSeal(), ["BACKUP", "SEAL"])
    sends(server.backupStart(), ["BACKUP", "START"])
    sends(server.backupStatus(), ["BACKUP", "STATUS"])
  })

  it("COMMAND", () => {
    sends(server.command(), ["COMMAND"])
    sends(server.commandCount(), ["COMMAND", "COUNT"])
    sends(server.commandDocs(), ["COMMAND", "DOCS"])
    sends(server.commandDocs(["get", "set"]), ["COMMAND", "DOCS", "get", "set"])
    sends(server.commandInfo(), ["COMMAND", "INFO"])
    sends(server.commandInfo("client|setname"), ["COMMAND", "INFO", "client|setname"])
    sends(server.commandGetkeys(["MGET", "a", notUtf8]), ["COMMAND", "GETKEYS", "MGET", "a", notUtf8])
    sends(server.commandGetkeys(strings.mget(["a", "b"])), ["COMMAND", "GETKEYS", "MGET", "a", "b"])
    sends(server.commandGetkeysandflags(strings.get("a")), ["COMMAND", "GETKEYSANDFLAGS", "GET", "a"])
    sends(server.commandList(), ["COMMAND", "LIST"])
    sends(server.commandList({}), ["COMMAND", "LIST"])
    sends(server.commandList({ filterby: { module: "m" } }), ["COMMAND", "LIST", "FILTERBY", "MODULE", "m"])
    sends(server.commandList({ filterby: { aclcat: "read" } }), ["COMMAND", "LIST", "FILTERBY", "ACLCAT", "read"])
    sends(server.commandList({ filterby: { pattern: "z*" } }), ["COMMAND", "LIST", "FILTERBY", "PATTERN", "z*"])
  })

  it("CONFIG and MODULE", () => {
    sends(server.configGet("max*"), ["CONFIG", "GET", "max*"])
    sends(server.configGet(["a", "b"]), ["CONFIG", "GET", "a", "b"])
    refuses(server.configGet([] as never), /at least one setting/)
    sends(server.configResetstat(), ["CONFIG", "RESETSTAT"])
    sends(server.configRewrite(), ["CONFIG", "REWRITE"])
    sends(server.configSet({ appendonly: true, activedefrag: false, "lfu-log-factor": 10 }), [
      "CONFIG",
      "SET",
      "appendonly",
      "yes",
      "activedefrag",
      "no",
      "lfu-log-factor",
      "10"
    ])
    sends(server.configSet({ requirepass: Redacted.make("secret"), ratio: 0.5 }), [
      "CONFIG",
      "SET",
      "requirepass",
      "secret",
      "ratio",
      "0.5"
    ])
    refuses(server.configSet({}), /at least one setting/)
    refuses(server.configSet({ maxmemory: 2 ** 60 }), /2\^53/)
    sends(server.moduleList(), ["MODULE", "LIST"])
    sends(server.moduleLoad("/m.so"), ["MODULE", "LOAD", "/m.so"])
    sends(server.moduleLoad("/m.so", ["a", "b"]), ["MODULE", "LOAD", "/m.so", "a", "b"])
    sends(server.moduleLoadex("/m.so"), ["MODULE", "LOADEX", "/m.so"])
    sends(server.moduleLoadex("/m.so", { config: { "m.a": 1, "m.b": true }, args: ["x", "y"] }), [
      "MODULE",
      "LOADEX",
      "/m.so",
      "CONFIG",
      "m.a",
      "1",
      "CONFIG",
      "m.b",
      "yes",
      "ARGS",
      "x",
      "y"
    ])
    sends(server.moduleUnload("m"), ["MODULE", "UNLOAD", "m"])
  })

  it("HOTKEYS and MEMORY", () => {
    sends(server.hotkeysGet(), ["HOTKEYS", "GET"])
    sends(server.hotkeysReset(), ["HOTKEYS", "RESET"])
    sends(server.hotkeysStop(), ["HOTKEYS", "STOP"])
    sends(server.hotkeysStart("cpu"), ["HOTKEYS", "START", "METRICS", "1", "CPU"])
    sends(server.hotkeysStart(["cpu", "net"], { count: 5, duration: "1 minute", sample: 2, slots: [1, 2] }), [
      ..."HOTKEYS START METRICS 2 CPU NET COUNT 5 DURATION 60 SAMPLE 2 SLOTS 2 1 2".split(" ")
    ])
    refuses(server.hotkeysStart([] as never), /at least one metric/)
    refuses(server.hotkeysStart("cpu", { duration: "1500 millis" }), /whole seconds/)
    refuses(server.hotkeysStart("cpu", { slots: 16384 }), /16383/)
    sends(server.memoryDoctor(), ["MEMORY", "DOCTOR"])
    sends(server.memoryMallocStats(), ["MEMORY", "MALLOC-STATS"])
    sends(server.memoryPurge(), ["MEMORY", "PURGE"])
    sends(server.memoryStats(), ["MEMORY", "STATS"])
    sends(server.memoryUsage("k"), ["MEMORY", "USAGE", "k"])
    sends(server.memoryUsage("k", { samples: 0 }), ["MEMORY", "USAGE", "k", "SAMPLES", "0"])
  })

  it("LATENCY, SLOWLOG and COMMANDLOG", () => {
    sends(server.latencyDoctor(), ["LATENCY", "DOCTOR"])
    sends(server.latencyGraph("command"), ["LATENCY", "GRAPH", "command"])
    sends(server.latencyHistogram(), ["LATENCY", "HISTOGRAM"])
    sends(server.latencyHistogram(["get", "set"]), ["LATENCY", "HISTOGRAM", "get", "set"])
    sends(server.latencyHistory("command"), ["LATENCY", "HISTORY", "command"])
    sends(server.latencyLatest(), ["LATENCY", "LATEST"])
    sends(server.latencyReset(), ["LATENCY", "RESET"])
    sends(server.latencyReset("command"), ["LATENCY", "RESET", "command"])
    sends(server.slowlogGet(), ["SLOWLOG", "GET"])
    sends(server.slowlogGet({ count: -1 }), ["SLOWLOG", "GET", "-1"])
    sends(server.slowlogLen(), ["SLOWLOG", "LEN"])
    sends(server.slowlogReset(), ["SLOWLOG", "RESET"])
    sends(server.commandlogGet(10, "slow"), ["COMMANDLOG", "GET", "10", "SLOW"])
    sends(server.commandlogGet(-1, "large-reply"), ["COMMANDLOG", "GET", "-1", "LARGE-REPLY"])
    sends(server.commandlogLen("large-request"), ["COMMANDLOG", "LEN", "LARGE-REQUEST"])
    sends(server.commandlogReset("slow"), ["COMMANDLOG", "RESET", "SLOW"])
  })

  it("BGSAVE, SAVE and other commands of persistence", () => {
    sends(server.bgrewriteaof(), ["BGREWRITEAOF"])
    sends(server.bgsave(), ["BGSAVE"])
    sends(server.bgsave({ schedule: true }), ["BGSAVE", "SCHEDULE"])
    sends(server.bgsave({ cancel: true }), ["BGSAVE", "CANCEL"])
    sends(server.lastsave(), ["LASTSAVE"])
    sends(server.save(), ["SAVE"])
    sends(server.shutdown(), ["SHUTDOWN"])
    sends(server.shutdown({ nosave: true, now: true, force: true }), ["SHUTDOWN", "NOSAVE", "NOW", "FORCE"])
    sends(server.shutdown({ save: true, safe: true, failover: true }), ["SHUTDOWN", "SAVE", "SAFE", "FAILOVER"])
    sends(server.shutdown({ abort: true }), ["SHUTDOWN", "ABORT"])
    expect(server.shutdown().traits.endsConnection).toBe(true)
    expect(server.shutdown({ abort: true }).traits.endsConnection).toBe(false)
  })

  it("FAILOVER, REPLICAOF and other commands of replication", () => {
    sends(server.failover(), ["FAILOVER"])
    sends(server.failover({ abort: true }), ["FAILOVER", "ABORT"])
    sends(server.failover({ timeout: "2 seconds" }), ["FAILOVER", "TIMEOUT", "2000"])
    sends(server.failover({ to: { host: "h", port: 1 } }), ["FAILOVER", "TO", "h", "1"])
    sends(server.failover({ to: { host: "h", port: 1, force: true }, timeout: "1 second" }), [
      ..."FAILOVER TO h 1 FORCE TIMEOUT 1000".split(" ")
    ])
    sends(server.replicaof("10.0.0.1", 6379), ["REPLICAOF", "10.0.0.1", "6379"])
    sends(server.replicaof("no one"), ["REPLICAOF", "NO", "ONE"])
    refuses(server.replicaof("10.0.0.1" as never), /a host and a port/)
    refuses(server.replicaof("10.0.0.1", 65536), /65535/)
    sends(server.role(), ["ROLE"])
    sends(server.slaveof("10.0.0.1", 6379), ["SLAVEOF", "10.0.0.1", "6379"])
    sends(server.slaveof("no one"), ["SLAVEOF", "NO", "ONE"])
  })

  it("DBSIZE, DEBUG, FLUSHALL, INFO and other commands of the server itself", () => {
    sends(server.dbsize(), ["DBSIZE"])
    sends(server.debug(["SLEEP", 0.5]), ["DEBUG", "SLEEP", "0.5"])
    sends(server.debug(["OBJECT", notUtf8, 1]), ["DEBUG", "OBJECT", notUtf8, "1"])
    refuses(server.debug([] as never), /subcommand/)
    sends(server.flushall(), ["FLUSHALL"])
    sends(server.flushall({ async: true }), ["FLUSHALL", "ASYNC"])
    sends(server.flushdb({ sync: true }), ["FLUSHDB", "SYNC"])
    sends(server.flushdb(), ["FLUSHDB"])
    sends(server.info(), ["INFO"])
    sends(server.info("server"), ["INFO", "server"])
    sends(server.info(["server", "memory"]), ["INFO", "server", "memory"])
    sends(server.lolwut(), ["LOLWUT"])
    sends(server.lolwut({ version: 5, parameters: [1, 2] }), ["LOLWUT", "VERSION", "5", "1", "2"])
    sends(server.monitor(), ["MONITOR"])
    sends(server.swapdb(0, 1), ["SWAPDB", "0", "1"])
    sends(server.time(), ["TIME"])
  })

  it("ACL rules, settings and names are tagged values, never tokens", () => {
    tagged(server.aclSetuser("ada", ["on", ">secret"]), ["value", "value", "value"])
    tagged(server.configSet({ requirepass: "secret" }), ["value", "value"])
    tagged(server.debug(["SLEEP", 1]), ["value", "value"])
    tagged(server.memoryUsage("k", { samples: 1 }), ["key", "token", "value"])
    // A prefix is put before the keys of the command that COMMAND GETKEYS is asked about.
    tagged(server.commandGetkeys(strings.set("k", "v", { nx: true })), ["token", "key", "value", "token"])
    expect(String(server.aclSetuser("ada", [">secret"]))).toBe("RedisCommand(ACL SETUSER <value> <value>)")
  })

  it("commands with the same name, arguments and codec are equal", () => {
    expect(Equal.equals(server.memoryStats(), server.memoryStats())).toBe(true)
    expect(Equal.equals(server.aclLog({ count: 1 }), server.aclLog({ count: 1 }))).toBe(true)
    expect(Equal.equals(server.commandGetkeys(["GET", "k"]), server.commandGetkeys(["GET", "k"]))).toBe(true)
    expect(Equal.equals(server.commandGetkeys(["GET", "k"]), binary.commandGetkeys(["GET", "k"]))).toBe(false)
  })
})

describe("server commands decode their replies", () => {
  it("commands that answer a status, a count or a list", () => {
    for (const command of [
      server.aclLoad(),
      server.aclSave(),
      server.aclSetuser("ada"),
      server.aclLog({ reset: true }),
      server.backupStart(),
      server.backupSeal(),
      server.backupAbort(),
      server.backupCleanup(),
      server.configSet({ a: 1 }),
      server.configResetstat(),
      server.configRewrite(),
      server.moduleLoad("m"),
      server.moduleLoadex("m"),
      server.moduleUnload("m"),
      server.hotkeysStart("cpu"),
      server.hotkeysReset(),
      server.memoryPurge(),
      server.slowlogReset(),
      server.commandlogReset("slow"),
      server.flushall(),
      server.flushdb(),
      server.failover(),
      server.replicaof("h", 1),
      server.slaveof("no one"),
      server.save(),
      server.swapdb(0, 1),
      server.monitor()
    ]) {
      reads(command, simple("OK"), undefined)
      readsError(command, nil, { _tag: "DecodeError", command: command.name })
      readsError(command, "-ERR no\r\n", { _tag: "ReplyError", code: "ERR" })
    }
    reads(server.replicaof("h", 1), simple("OK Already connected to specified master"), undefined)
    for (const command of [
      server.aclDeluser("ada"),
      server.commandCount(),
      server.commandlogLen("slow"),
      server.dbsize(),
      server.latencyReset(),
      server.slowlogLen()
    ]) {
      reads(command, int(3), 3)
      readsError(command, nil, { _tag: "DecodeError" })
    }
    for (const command of [server.aclCat(), server.aclList(), server.aclUsers(), server.backupList()]) {
      readsEach(command, [array(bulk("a"), bulk("b")), set(bulk("a"), bulk("b"))], ["a", "b"])
      reads(command, array(), [])
    }
    for (const command of [
      server.latencyDoctor(),
      server.latencyGraph("e"),
      server.lolwut(),
      server.memoryDoctor(),
      server.memoryMallocStats(),
      server.aclWhoami(),
      server.bgsave(),
      server.bgrewriteaof()
    ]) {
      readsEach(command, both("words"), "words")
    }
    readsEach(server.configGet("*"), record(bulk("a"), bulk("1"), bulk("__proto__"), bulk("2")), {
      a: "1",
      ["__proto__"]: "2"
    })
    readsEach(server.memoryUsage("k"), [nil, nil2], Option.none())
    reads(server.memoryUsage("k"), int(72), Option.some(72))
    readsError(server.memoryUsage("k"), bulk("many"), { _tag: "DecodeError", command: "MEMORY USAGE" })
  })

  it("ACL", () => {
    reads(server.aclDryrun("ada", ["GET", "k"]), simple("OK"), Option.none())
    readsEach(server.aclDryrun("ada", ["GET", "k"]), [bulk("no permissions")], Option.some("no permissions"))
    const password = decode(server.aclGenpass(), bulk("abcd"))
    expect(password._tag === "Success" && Redacted.value(password.value)).toBe("abcd")
    expect(String(password)).not.toContain("abcd")

    readsEach(server.aclGetuser("ada"), [nil, nil2, "*-1\r\n"], Option.none())
    const selector = [bulk("commands"), bulk("-@all +set"), bulk("keys"), bulk("%R~b*"), bulk("channels"), bulk("")]
    const user = (flags: string, selector: string, ...more: ReadonlyArray<string>) => [
      bulk("flags"),
      flags,
      bulk("passwords"),
      array(bulk("30c9")),
      bulk("commands"),
      bulk("-@all +get"),
      bulk("keys"),
      bulk("~a*"),
      bulk("channels"),
      bulk("&*"),
      ...more,
      bulk("selectors"),
      array(selector)
    ]
    const ada = {
      flags: ["on"],
      passwords: ["30c9"],
      commands: Option.some("-@all +get"),
      keys: Option.some("~a*"),
      channels: Option.some("&*"),
      databases: Option.none<string>(),
      selectors: [
        {
          commands: Option.some("-@all +set"),
          keys: Option.some("%R~b*"),
          channels: Option.some(""),
          databases: Option.none<string>(),
          other: {}
        }
      ],
      other: {}
    }
    reads(server.aclGetuser("ada"), array(...user(array(bulk("on")), array(...selector))), Option.some(ada))
    reads(server.aclGetuser("ada"), map(...user(set(bulk("on")), map(...selector))), Option.some(ada))
    reads(
      server.aclGetuser("ada"),
      map(
        ...user(set(bulk("on")), map(...selector, bulk("databases"), bulk("db=1")), bulk("databases"), bulk("alldbs"))
      ),
      Option.some({
        ...ada,
        databases: Option.some("alldbs"),
        selectors: [{ ...ada.selectors[0], databases: Option.some("db=1") }]
      } as never)
    )
  })

  it("ACL LOG", () => {
    const entry = (age: string, ...more: ReadonlyArray<string>) => [
      bulk("count"),
      int(2),
      bulk("reason"),
      bulk("auth"),
      bulk("context"),
      bulk("toplevel"),
      bulk("object"),
      bulk("AUTH"),
      bulk("username"),
      bulk("x"),
      bulk("age-seconds"),
      age,
      bulk("client-info"),
      bulk("id=6 addr=127.0.0.1:58836 name= db=0"),
      ...more
    ]
    const expected = {
      count: Option.some(2),
      reason: "auth",
      context: Option.some("toplevel"),
      object: Option.some("AUTH"),
      username: Option.some("x"),
      age: Option.some(Duration.millis(81)),
      clientInfo: { id: "6", addr: "127.0.0.1:58836", name: "", db: "0" },
      entryId: Option.none<number>(),
      timestampCreated: Option.none<DateTime.Utc>(),
      timestampLastUpdated: Option.none<DateTime.Utc>(),
      other: {}
    }
    reads(server.aclLog(), array(array(...entry(bulk("0.081000000000000003")))), [expected])
    reads(server.aclLog(), array(map(...entry(",0.081\r\n"))), [expected])
    const newer = [
      bulk("entry-id"),
      int(0),
      bulk("timestamp-created"),
      int(1795375927113),
      bulk("timestamp-last-updated"),
      int(1795375928484)
    ]
    reads(server.aclLog(), array(map(...entry(",0.081\r\n", ...newer))), [
      {
        ...expected,
        entryId: Option.some(0),
        timestampCreated: Option.some(DateTime.unsafeMake(1795375927113)),
        timestampLastUpdated: Option.some(DateTime.unsafeMake(1795375928484))
      }
    ])
    reads(server.aclLog(), array(), [])
  })

  it("BACKUP STATUS", () => {
    const status = (start: number, end: number, state: string) =>
      record(
        bulk("state"),
        bulk(state),
        bulk("error"),
        bulk(""),
        bulk("start_time"),
        int(start),
        bulk("end_time"),
        int(end)
      )
    readsEach(server.backupStatus(), status(0, 0, "idle"), {
      state: "idle",
      error: Option.some(""),
      startTime: Option.none(),
      endTime: Option.none(),
      other: {}
    })
    readsEach(server.backupStatus(), status(1795375927, 1795375928, "sealed"), {
      state: "sealed",
      error: Option.some(""),
      startTime: Option.some(DateTime.unsafeMake(1795375927000)),
      endTime: Option.some(DateTime.unsafeMake(1795375928000)),
      other: {}
    })
  })

  it("COMMAND INFO", () => {
    const index = (list: typeof array, record: typeof map) =>
      record(
        bulk("flags"),
        list(simple("RO"), simple("access")),
        bulk("begin_search"),
        record(bulk("type"), bulk("index"), bulk("spec"), record(bulk("index"), int(1))),
        bulk("find_keys"),
        record(
          bulk("type"),
          bulk("range"),
          bulk("spec"),
          record(bulk("lastkey"), int(0), bulk("keystep"), int(1), bulk("limit"), int(0))
        )
      )
    const keyword = (list: typeof array, record: typeof map) =>
      record(
        bulk("notes"),
        bulk("odd"),
        bulk("flags"),
        list(simple("RW")),
        bulk("begin_search"),
        record(
          bulk("type"),
          bulk("keyword"),
          bulk("spec"),
          record(bulk("keyword"), bulk("STREAMS"), bulk("startfrom"), int(1))
        ),
        bulk("find_keys"),
        record(
          bulk("type"),
          bulk("keynum"),
          bulk("spec"),
          record(bulk("keynumidx"), int(0), bulk("firstkey"), int(1), bulk("keystep"), int(1))
        )
      )
    const unknown = (list: typeof array, record: typeof map) =>
      record(
        bulk("flags"),
        list(),
        bulk("begin_search"),
        record(bulk("type"), bulk("unknown"), bulk("spec"), record()),
        bulk("find_keys"),
        record(bulk("type"), bulk("unknown"), bulk("spec"), record())
      )
    const command = (list: typeof array, record: typeof map, sub: string) =>
      array(
        bulk("get"),
        int(2),
        list(simple("readonly"), simple("fast")),
        int(1),
        int(1),
        int(1),
        list(simple("@read")),
        list(bulk("nondeterministic_output")),
        list(index(list, record), keyword(list, record), unknown(list, record)),
        sub
      )
    const child = array(bulk("get|sub"), int(-2), array(), int(0), int(0), int(0), array(), array(), array(), array())
    const info = {
      name: "get",
      arity: Option.some(2),
      flags: ["readonly", "fast"],
      firstKey: Option.some(1),
      lastKey: Option.some(1),
      step: Option.some(1),
      aclCategories: ["@read"],
      tips: ["nondeterministic_output"],
      keySpecs: [
        {
          notes: Option.none<string>(),
          flags: ["RO", "access"],
          beginSearch: { type: "index" as const, index: 1 },
          findKeys: { type: "range" as const, lastkey: 0, keystep: 1, limit: 0 },
          other: {}
        },
        {
          notes: Option.some("odd"),
          flags: ["RW"],
          beginSearch: { type: "keyword" as const, keyword: "STREAMS", startfrom: 1 },
          findKeys: { type: "keynum" as const, keynumidx: 0, firstkey: 1, keystep: 1 },
          other: {}
        },
        {
          notes: Option.none<string>(),
          flags: [],
          beginSearch: { type: "unknown" as const },
          findKeys: { type: "unknown" as const },
          other: {}
        }
      ],
      subcommands: [
        {
          name: "get|sub",
          arity: Option.some(-2),
          flags: [],
          firstKey: Option.some(0),
          lastKey: Option.some(0),
          step: Option.some(0),
          aclCategories: [],
          tips: [],
          keySpecs: [],
          subcommands: []
        }
      ]
    }
    readsEach(
      server.commandInfo(["get", "nosuch"]),
      [
        array(command(array, array, array(child)), "*-1\r\n"),
        array(command(set, map, set(child)), nil),
        array(command(array, array, array(child)), nil2)
      ],
      [Option.some(info), Option.none()]
    )
    readsEach(
      server.command(),
      [array(command(array, array, array(child))), array(command(set, map, set(child)))],
      [info]
    )
    // Redis 6 sends fewer items.
    reads(server.command(), array(array(bulk("get"), int(2), array(), int(1), int(1), int(1), array())), [
      { ...info, flags: [], aclCategories: [], tips: [], keySpecs: [], subcommands: [] }
    ])
    readsError(server.command(), array(array(nil, int(2))), { _tag: "DecodeError", path: [0, 0] })
  })

  it("COMMAND DOCS", () => {
    const doc = (list: typeof array, record: typeof map) =>
      record(
        bulk("set"),
        record(
          bulk("summary"),
          bulk("Sets"),
          bulk("since"),
          bulk("1.0.0"),
          bulk("group"),
          bulk("string"),
          bulk("complexity"),
          bulk("O(1)"),
          bulk("doc_flags"),
          list(simple("deprecated")),
          bulk("deprecated_since"),
          bulk("9.0"),
          bulk("replaced_by"),
          bulk("other"),
          bulk("history"),
          list(array(bulk("2.6.12"), bulk("Added EX.")), array(bulk("7.0.0"), bulk("Added more."))),
          bulk("arguments"),
          array(
            record(
              bulk("name"),
              bulk("condition"),
              bulk("type"),
              bulk("oneof"),
              bulk("since"),
              bulk("2.6.12"),
              bulk("flags"),
              list(simple("optional")),
              bulk("arguments"),
              array(record(bulk("name"), bulk("nx"), bulk("type"), bulk("pure-token"), bulk("token"), bulk("NX")))
            )
          ),
          bulk("subcommands"),
          record(bulk("set|sub"), record(bulk("summary"), bulk("Below")))
        )
      )
    const none = Option.none<string>()
    const argument = {
      displayText: none,
      keySpecIndex: Option.none<number>(),
      token: none,
      summary: none,
      since: none,
      deprecatedSince: none,
      flags: [],
      arguments: [],
      other: {}
    }
    readsEach(server.commandDocs("set"), [doc(array, array), doc(set, map)], {
      set: {
        summary: Option.some("Sets"),
        since: Option.some("1.0.0"),
        group: Option.some("string"),
        complexity: Option.some("O(1)"),
        module: none,
        docFlags: ["deprecated"],
        deprecatedSince: Option.some("9.0"),
        replacedBy: Option.some("other"),
        history: [
          { version: "2.6.12", change: "Added EX." },
          { version: "7.0.0", change: "Added more." }
        ],
        arguments: [
          {
            ...argument,
            name: "condition",
            type: Option.some("oneof"),
            since: Option.some("2.6.12"),
            flags: ["optional"],
            arguments: [{ ...argument, name: "nx", type: Option.some("pure-token"), token: Option.some("NX") }]
          }
        ],
        subcommands: {
          "set|sub": {
            summary: Option.some("Below"),
            since: none,
            group: none,
            complexity: none,
            module: none,
            docFlags: [],
            deprecatedSince: none,
            replacedBy: none,
            history: [],
            arguments: [],
            subcommands: {},
            other: {}
          }
        },
        other: {}
      }
    })
  })

  it("COMMAND GETKEYS, GETKEYSANDFLAGS and LIST", () => {
    reads(server.commandGetkeys(["GET", "a"]), array(bulk("a")), ["a"])
    reads(binary.commandGetkeys(["GET", "a"]), array(bulk("a")), [Uint8Array.of(97)])
    readsError(server.commandGetkeys(["PING"]), "-ERR The command has no key arguments\r\n", { _tag: "ReplyError" })
    readsEach(
      server.commandGetkeysandflags(["GET", "a"]),
      [
        array(array(bulk("a"), array(simple("RO"), simple("access")))),
        array(array(bulk("a"), set(simple("RO"), simple("access"))))
      ],
      [{ key: "a", flags: ["RO", "access"] }]
    )
    reads(server.commandList(), array(bulk("get"), bulk("set")), ["get", "set"])
  })

  it("MODULE LIST", () => {
    const module = [
      bulk("name"),
      bulk("lua"),
      bulk("ver"),
      int(1),
      bulk("path"),
      bulk("lua"),
      bulk("args"),
      array(bulk("x"))
    ]
    readsEach(
      server.moduleList(),
      [array(array(...module)), array(map(...module))],
      [{ name: "lua", ver: Option.some(1), path: Option.some("lua"), args: ["x"], other: {} }]
    )
    reads(server.moduleList(), array(array(...module.slice(0, 4))), [
      { name: "lua", ver: Option.some(1), path: Option.none(), args: [], other: {} }
    ])
  })

  it("HOTKEYS GET in its documented form", () => {
    const session = [
      bulk("tracking-active"),
      int(1),
      bulk("sample-ratio"),
      int(1),
      bulk("selected-slots"),
      array(array(int(0), int(100)), array(int(200))),
      bulk("all-commands-all-slots-us"),
      int(220),
      bulk("collection-start-time-unix-ms"),
      int(1769420604522),
      bulk("collection-duration-ms"),
      int(6408),
      bulk("by-cpu-time-us"),
      array(bulk("x"), int(104), bulk("y"), int(98))
    ]
    const expected = {
      trackingActive: true,
      sampleRatio: Option.some(1),
      selectedSlots: [
        { start: 0, end: 100 },
        { start: 200, end: 200 }
      ],
      collectionStart: Option.some(DateTime.unsafeMake(1769420604522)),
      collectionDuration: Option.some(Duration.millis(6408)),
      byCpuTime: Option.some([
        { key: "x", amount: 104 },
        { key: "y", amount: 98 }
      ]),
      byNetBytes: Option.none(),
      all: {
        "tracking-active": 1,
        "sample-ratio": 1,
        "all-commands-all-slots-us": 220,
        "collection-start-time-unix-ms": 1769420604522,
        "collection-duration-ms": 6408
      },
      other: {}
    }
    readsEach(
      server.hotkeysGet(),
      [array(array(...session)), array(map(...session)), array(...session), map(...session)],
      Option.some(expected)
    )
    reads(
      binary.hotkeysGet(),
      array(map(...session)),
      Option.some({
        ...expected,
        byCpuTime: Option.some([
          { key: Uint8Array.of(120), amount: 104 },
          { key: Uint8Array.of(121), amount: 98 }
        ])
      })
    )
    readsEach(server.hotkeysGet(), [nil, nil2], Option.none())
    reads(server.hotkeysStop(), simple("OK"), true)
    readsEach(server.hotkeysStop(), [nil, nil2], false)
  })

  it("MEMORY STATS", () => {
    const names = [
      "peak.allocated",
      "total.allocated",
      "startup.allocated",
      "replication.backlog",
      "clients.slaves",
      "clients.normal",
      "aof.buffer",
      "overhead.total",
      "keys.count",
      "keys.bytes-per-key",
      "dataset.bytes",
      "fragmentation.bytes",
      "newer.field"
    ]
    const integers = names.flatMap((name, i) => [bulk(name), int(i)])
    const rest = (double: (text: string) => string, record: typeof map) => [
      bulk("db.0"),
      record(bulk("overhead.hashtable.main"), int(288)),
      bulk("dataset.percentage"),
      double("92.371040344238281"),
      bulk("peak.percentage"),
      double("99.5"),
      bulk("fragmentation"),
      double("7.5")
    ]
    const all = Object.fromEntries(names.map((name, i) => [name, i]))
    readsEach(
      server.memoryStats(),
      [array(...integers, ...rest(bulk, array)), map(...integers, ...rest((text) => `,${text}\r\n`, map))],
      {
        peakAllocated: Option.some(0),
        totalAllocated: Option.some(1),
        startupAllocated: Option.some(2),
        replicationBacklog: Option.some(3),
        clientsSlaves: Option.some(4),
        clientsNormal: Option.some(5),
        aofBuffer: Option.some(6),
        overheadTotal: Option.some(7),
        keysCount: Option.some(8),
        keysBytesPerKey: Option.some(9),
        datasetBytes: Option.some(10),
        datasetPercentage: Option.some(92.37104034423828),
        peakPercentage: Option.some(99.5),
        fragmentation: Option.some(7.5),
        fragmentationBytes: Option.some(11),
        databases: { 0: { "overhead.hashtable.main": 288 } },
        all: {
          ...all,
          "dataset.percentage": 92.37104034423828,
          "peak.percentage": 99.5,
          fragmentation: 7.5
        },
        other: {}
      }
    )
    expect(decode(server.memoryStats(), map(bulk("peak.allocated"), bulk("x")))).toMatchObject({
      value: { peakAllocated: Option.none(), other: { "peak.allocated": "x" } }
    })
  })

  it("LATENCY", () => {
    const time = DateTime.unsafeMake(1795375969000)
    const histogram = (record: typeof map) =>
      record(
        bulk("debug"),
        record(bulk("calls"), int(2), bulk("histogram_usec"), record(int(4), int(1), int(16908), int(2)))
      )
    readsEach(server.latencyHistogram("debug"), [histogram(array), histogram(map)], {
      debug: {
        calls: Option.some(2),
        histogram: [
          { atMost: Duration.micros(4n), calls: 1 },
          { atMost: Duration.micros(16908n), calls: 2 }
        ],
        other: {}
      }
    })
    readsEach(server.latencyHistogram(), [array(), map()], {})
    reads(server.latencyHistory("command"), array(array(int(1795375969), int(10))), [
      { time, latency: Duration.millis(10) }
    ])
    const latest = {
      event: "command",
      time: Option.some(time),
      latency: Option.some(Duration.millis(10)),
      max: Option.some(Duration.millis(20))
    }
    reads(server.latencyLatest(), array(array(bulk("command"), int(1795375969), int(10), int(20))), [
      { ...latest, sum: Option.none(), count: Option.none() }
    ])
    reads(server.latencyLatest(), array(array(bulk("command"), int(1795375969), int(10), int(20), int(30), int(2))), [
      { ...latest, sum: Option.some(Duration.millis(30)), count: Option.some(2) }
    ])
    readsError(server.latencyLatest(), array(array()), { _tag: "DecodeError", path: [0, 0] })
  })

  it("SLOWLOG and COMMANDLOG", () => {
    const entry = array(
      int(1),
      int(1795375969),
      int(10091),
      array(bulk("DEBUG"), bulk("SLEEP")),
      bulk("127.0.0.1:40812"),
      bulk("me")
    )
    const command = {
      id: 1,
      time: Option.some(DateTime.unsafeMake(1795375969000)),
      command: ["DEBUG", "SLEEP"],
      clientAddress: Option.some("127.0.0.1:40812"),
      clientName: Option.some("me")
    }
    reads(server.slowlogGet(), array(entry), [{ ...command, duration: Option.some(Duration.micros(10091n)) }])
    reads(server.commandlogGet(1, "slow"), array(entry), [
      { ...command, duration: Option.some(Duration.micros(10091n)) }
    ])
    reads(server.commandlogGet(1, "large-reply"), array(entry), [{ ...command, size: Option.some(10091) }])
    reads(server.slowlogGet(), array(), [])
    const bytes = Buffer.concat([
      Buffer.from("*1\r\n*6\r\n:1\r\n:1795375969\r\n:10091\r\n*1\r\n$2\r\n"),
      notUtf8,
      Buffer.from("\r\n$1\r\na\r\n$0\r\n\r\n")
    ])
    const odd = { ...command, clientAddress: Option.some("a"), duration: Option.some(Duration.micros(10091n)) }
    reads(server.slowlogGet(), bytes, [{ ...odd, command: ["\\xff\\xfe"], clientName: Option.some("") }])
    reads(binary.slowlogGet(), bytes, [{ ...odd, command: [notUtf8], clientName: Option.some(new Uint8Array()) }])
  })

  it("INFO", () => {
    const text = [
      "# Server",
      "redis_version:7.2.4",
      "server_name:valkey",
      "valkey_version:9.1.2",
      "executable:/opt/a:b",
      "",
      "# Modules",
      "module:name=lua,ver=1",
      "module:name=json,ver=2",
      "",
      "# Keyspace",
      "db0:keys=3,expires=1,avg_ttl=500",
      "db12:keys=1,expires=0,avg_ttl=0,subexpiry=0",
      "",
      "# Errorstats",
      "__proto__:1",
      ""
    ].join("\r\n")
    readsEach(server.info(), both(text), {
      sections: {
        server: {
          redis_version: "7.2.4",
          server_name: "valkey",
          valkey_version: "9.1.2",
          executable: "/opt/a:b"
        },
        modules: { module: "name=json,ver=2" },
        keyspace: {
          db0: "keys=3,expires=1,avg_ttl=500",
          db12: "keys=1,expires=0,avg_ttl=0,subexpiry=0"
        },
        errorstats: { ["__proto__"]: "1" }
      },
      fields: {
        redis_version: "7.2.4",
        server_name: "valkey",
        valkey_version: "9.1.2",
        executable: "/opt/a:b",
        module: "name=json,ver=2",
        db0: "keys=3,expires=1,avg_ttl=500",
        db12: "keys=1,expires=0,avg_ttl=0,subexpiry=0",
        ["__proto__"]: "1"
      },
      product: Option.some<"redis" | "valkey">("valkey"),
      version: Option.some("9.1.2"),
      databases: [
        {
          database: 0,
          keys: Option.some(3),
          expires: Option.some(1),
          avgTtl: Option.some(Duration.millis(500)),
          fields: { keys: "3", expires: "1", avg_ttl: "500" }
        },
        {
          database: 12,
          keys: Option.some(1),
          expires: Option.some(0),
          avgTtl: Option.some(Duration.zero),
          fields: { keys: "1", expires: "0", avg_ttl: "0", subexpiry: "0" }
        }
      ],
      modules: [
        { name: "lua", ver: "1" },
        { name: "json", ver: "2" }
      ],
      text
    })
    const empty = {
      sections: {},
      fields: {},
      product: Option.none(),
      version: Option.none(),
      databases: [],
      modules: []
    }
    readsEach(server.info("nosuch"), both(""), { ...empty, text: "" } as never)
  })

  it("ROLE", () => {
    reads(server.role(), array(bulk("master"), int(291), array(array(bulk("10.0.0.2"), bulk("6380"), bulk("290")))), {
      role: "master",
      offset: Option.some(291),
      replicas: [{ host: "10.0.0.2", port: 6380, offset: Option.some(290) }]
    })
    reads(server.role(), array(bulk("slave"), bulk("10.0.0.1"), int(6379), bulk("handshake"), int(-1)), {
      role: "slave",
      host: Option.some("10.0.0.1"),
      port: Option.some(6379),
      state: Option.some("handshake"),
      offset: Option.some(-1)
    })
    reads(server.role(), array(bulk("sentinel"), array(bulk("mymaster"))), { role: "sentinel", masters: ["mymaster"] })
    readsError(server.role(), array(bulk("oracle")), { _tag: "DecodeError" })
    readsError(server.role(), array(), { _tag: "DecodeError" })
  })

  it("TIME and LASTSAVE", () => {
    reads(server.time(), array(bulk("1795375924"), bulk("828897")), {
      time: DateTime.unsafeMake(1795375924828),
      epochMicros: 1795375924828897
    })
    reads(server.lastsave(), int(1795375921), DateTime.unsafeMake(1795375921000))
    readsError(server.lastsave(), int(9007199254740991), { _tag: "DecodeError" })
  })

  it("an error does not show a password", () => {
    const command = server.aclSetuser("ada", [">topsecret", "+nosuch"])
    const exit = decode(command, "-ERR Error in ACL SETUSER modifier '>topsecret': no\r\n")
    expect(String(exit)).not.toContain("topsecret")
    expect(RedisCommand.isRedisCommand(command)).toBe(true)
  })
})
