/** The commands of the server group on real servers. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { expect } from "vitest"
import * as Codec from "../../src/Codec.js"
import * as Connection from "../../src/Connection.js"
import { make } from "../../src/commands/server.js"
import { make as makeStrings } from "../../src/commands/string.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import type { RedisError } from "../../src/RedisError.js"
import { liveSuite, notOverCluster } from "../support/commands.js"
import { commandServers, makeServer } from "../support/servers.js"

const server = make(Codec.utf8)
const strings = makeStrings(Codec.utf8)

const everything = "user default on nopass ~* &* +@all"

/** Asks until the answer is as wanted, because replication and background work take time. */
const until = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  so: (a: A) => boolean,
  left = 2_000
): Effect.Effect<A, E | Error, R> =>
  Effect.flatMap(ask, (a) =>
    so(a)
      ? Effect.succeed(a)
      : left === 0
        ? Effect.fail(new Error(`not in time: ${JSON.stringify(a)}`))
        : Effect.zipRight(Effect.sleep("25 millis"), until(ask, so, left - 1))
  )

const codeOf = <R>(effect: Effect.Effect<unknown, RedisError, R>) =>
  Effect.map(Effect.either(effect), (result) =>
    result._tag === "Right" ? "OK" : result.left._tag === "ReplyError" ? result.left.code : result.left._tag
  )

liveSuite(
  "server",
  ({ effect, isSince, live, name, needs, needsVersion, onLease, product, protocol, server: running, version }) => {
    /** Starts another server of the same version. */
    const another = (options?: Parameters<typeof makeServer>[1]) => {
      const installed = commandServers.find((server) => server.name === name)
      return installed === undefined ? Effect.dieMessage("no such server") : makeServer(installed, options)
    }
    const on =
      (address: { readonly host: string; readonly port: number }) =>
      <A>(command: RedisCommand.RedisCommand<A>): Effect.Effect<A, RedisError> =>
        Effect.scoped(
          Effect.flatMap(Connection.make({ host: address.host, port: address.port, protocol }), (connection) =>
            connection.execute(command)
          )
        )

    effect("ACL users and rules", () =>
      Effect.gen(function* () {
        expect(yield* server.aclCat()).toContain("read")
        expect(yield* server.aclCat("string")).toContain("getrange")
        expect(yield* server.aclGetuser("nobody")).toEqual(Option.none())
        yield* server.aclSetuser("ada", ["reset", "on", Redacted.make(">secret"), "~a*", "&news", "+get", "+set"])
        yield* server.aclSetuser("ada", "(~b* +set)")
        const ada = Option.getOrThrow(yield* server.aclGetuser("ada"))
        expect(ada.flags).toContain("on")
        expect(ada.passwords).toHaveLength(1)
        expect(ada.passwords[0]).toMatch(/^[0-9a-f]{64}$/)
        expect(ada).toMatchObject({ keys: Option.some("~a*"), channels: Option.some("&news") })
        // Redis 7.0 generates the rules, in no particular order.
        expect(Option.getOrThrow(ada.commands).split(" ").sort()).toEqual(["+get", "+set", "-@all"])
        expect(ada.selectors).toMatchObject([
          { commands: Option.some("-@all +set"), keys: Option.some("~b*"), channels: Option.some("") }
        ])
        expect(Option.isSome(ada.databases)).toBe(isSince({ valkey: "9.1" }))
        expect(yield* server.aclUsers()).toEqual(["ada", "default"])
        expect((yield* server.aclList()).some((line) => line.startsWith("user ada on"))).toBe(true)
        expect(yield* server.aclDryrun("ada", strings.get("a1"))).toEqual(Option.none())
        expect(Option.getOrThrow(yield* server.aclDryrun("ada", ["GET", "z"]))).toMatch(
          /no permissions to access the 'z' key/
        )
        expect(Option.isSome(yield* server.aclDryrun("ada", strings.getdel("a1")))).toBe(true)
        yield* server.aclSave()
        expect(yield* server.aclDeluser(["ada", "nobody"])).toBe(1)
        expect(yield* server.aclWhoami()).toBe("default")
        expect(Redacted.value(yield* server.aclGenpass())).toMatch(/^[0-9a-f]{64}$/)
        expect(Redacted.value(yield* server.aclGenpass({ bits: 10 }))).toMatch(/^[0-9a-f]{3}$/)
      })
    )

    effect("ACL LOAD", () =>
      Effect.gen(function* () {
        yield* server.aclSetuser("ada", ["reset", "on"])
        yield* server.aclSave()
        expect(yield* server.aclDeluser("ada")).toBe(1)
        yield* server.aclLoad()
        expect(yield* server.aclUsers()).toEqual(["ada", "default"])
      }).pipe(Effect.ensuring(Effect.ignore(Effect.zipRight(server.aclDeluser("ada"), server.aclSave()))))
    )

    effect("ACL LOG", () =>
      Effect.gen(function* () {
        yield* server.aclLog({ reset: true })
        expect(yield* server.aclLog()).toEqual([])
        const auth = RedisCommand.make("AUTH", { args: ["eve", "wrong"] })
        expect(yield* codeOf(onLease(auth))).toBe("WRONGPASS")
        const [entry, ...others] = yield* server.aclLog({ count: 5 })
        expect(others).toEqual([])
        expect(entry).toMatchObject({
          count: Option.some(1),
          reason: "auth",
          context: Option.some("toplevel"),
          object: Option.some("AUTH"),
          username: Option.some("eve")
        })
        expect(entry?.clientInfo).toMatchObject({ cmd: "auth", user: "default" })
        expect(Duration.toMillis(Option.getOrThrow(entry?.age ?? Option.none()))).toBeLessThan(60_000)
        const timed = isSince({ redis: "7.2", valkey: "7.2" })
        expect([entry?.entryId._tag, entry?.timestampCreated._tag, entry?.timestampLastUpdated._tag]).toEqual(
          timed ? ["Some", "Some", "Some"] : ["None", "None", "None"]
        )
      })
    )

    effect("COMMAND describes every command", () =>
      Effect.gen(function* () {
        const all = yield* server.command()
        expect(yield* server.commandCount()).toBe(all.length)
        const names = yield* server.commandList()
        expect(names.filter((name) => !name.includes("|")).length).toBe(all.length)
        expect(names).toContain("client|setname")
        const get = all.find(({ name }) => name === "get")
        expect(get).toMatchObject({
          arity: Option.some(2),
          firstKey: Option.some(1),
          lastKey: Option.some(1),
          step: Option.some(1)
        })
        expect(get?.flags).toEqual(expect.arrayContaining(["readonly", "fast"]))
        expect(get?.aclCategories).toContain("@read")
        expect(get?.keySpecs).toMatchObject([
          { beginSearch: { type: "index", index: 1 }, findKeys: { type: "range", keystep: 1 } }
        ])
        const xread = all.find(({ name }) => name === "xread")
        expect(xread?.keySpecs).toMatchObject([{ beginSearch: { type: "keyword", keyword: "STREAMS" } }])
        const zunion = all.find(({ name }) => name === "zunionstore")
        expect(zunion?.keySpecs[1]).toMatchObject({ findKeys: { type: "keynum", firstkey: 1 } })
        expect(all.find(({ name }) => name === "acl")?.subcommands.map(({ name }) => name)).toContain("acl|cat")
        expect(all.find(({ name }) => name === "dbsize")?.tips).toContain("response_policy:agg_sum")
        const some = yield* server.commandInfo(["nosuch", "client|setname"])
        expect(some.map(Option.map(({ name }) => name))).toEqual([Option.none(), Option.some("client|setname")])
        expect((yield* server.commandInfo()).every(Option.isSome)).toBe(true)
      })
    )

    effect("COMMAND DOCS, LIST, GETKEYS", () =>
      Effect.gen(function* () {
        const docs = yield* server.commandDocs()
        expect(Object.keys(docs).length).toBe(yield* server.commandCount())
        const { object, set } = yield* server.commandDocs(["set", "object", "nosuch"])
        expect(Object.keys(yield* server.commandDocs("nosuch"))).toEqual([])
        expect(set).toMatchObject({ since: Option.some("1.0.0"), group: Option.some("string") })
        expect(set?.history[0]).toMatchObject({ version: "2.6.12" })
        const condition = set?.arguments.find(({ name }) => name === "condition")
        expect(condition).toMatchObject({ type: Option.some("oneof"), flags: ["optional"] })
        expect(condition?.arguments[0]).toMatchObject({
          name: "nx",
          type: Option.some("pure-token"),
          token: Option.some("NX")
        })
        expect(set?.arguments[0]).toMatchObject({ name: "key", keySpecIndex: Option.some(0) })
        expect(Object.keys(object?.subcommands ?? {})).toContain("object|encoding")
        const { slaveof } = yield* server.commandDocs("slaveof")
        expect(slaveof).toMatchObject({
          docFlags: ["deprecated"],
          deprecatedSince: Option.some("5.0.0"),
          replacedBy: Option.some("`REPLICAOF`")
        })

        expect(yield* server.commandList({ filterby: { pattern: "getr*" } })).toEqual(["getrange"])
        expect(yield* server.commandList({ filterby: { aclcat: "string" } })).toContain("getrange")
        expect(yield* server.commandList({ filterby: { module: "nosuch" } })).toEqual([])

        expect(yield* server.commandGetkeys(["EVAL", "return 1", "2", "a", "b", "c"])).toEqual(["a", "b"])
        expect(yield* server.commandGetkeys(strings.mset({ a: "1", b: "2" }))).toEqual(["a", "b"])
        expect(yield* make(Codec.bytes).commandGetkeys(strings.get("a"))).toEqual([Uint8Array.of(97)])
        expect(yield* codeOf(server.commandGetkeys(["PING"]))).toBe("ERR")
        const flags = yield* server.commandGetkeysandflags(["LMOVE", "a", "b", "LEFT", "LEFT"])
        expect(flags.map(({ key }) => key)).toEqual(["a", "b"])
        expect(flags[0]?.flags).toEqual(expect.arrayContaining(["RW", "access", "delete"]))
      })
    )

    effect("CONFIG and MODULE", () =>
      Effect.gen(function* () {
        yield* server.configSet({ "lfu-log-factor": 9, activerehashing: false })
        expect(yield* server.configGet(["lfu-log-*", "activerehashing"])).toEqual({
          "lfu-log-factor": "9",
          activerehashing: "no"
        })
        yield* server.configSet({ "lfu-log-factor": 10, activerehashing: true })
        expect(yield* server.configGet("nosuch")).toEqual({})
        expect(yield* codeOf(server.configSet({ maxmemory: "much" }))).toBe("ERR")
        yield* server.configRewrite()
        yield* server.configResetstat()
        const { fields } = yield* server.info("stats")
        expect(Number(fields.total_commands_processed)).toBeLessThan(5)
        for (const module of yield* server.moduleList()) {
          expect(module).toMatchObject({ name: expect.stringMatching(/./), args: [] })
          expect(Option.getOrThrow(module.ver)).toEqual(expect.any(Number))
        }
        expect(yield* codeOf(server.moduleLoad("/nosuch.so", "x"))).toBe("ERR")
        expect(yield* codeOf(server.moduleLoadex("/nosuch.so", { config: { "a.b": 1 }, args: ["x"] }))).toBe("ERR")
        expect(yield* codeOf(server.moduleUnload("nosuch"))).toBe("ERR")
      })
    )

    effect("INFO", () =>
      Effect.gen(function* () {
        yield* strings.set("k", "v", { ex: "100 seconds" })
        const info = yield* server.info()
        expect(info.product).toEqual(Option.some(product))
        expect(info.version).toEqual(Option.some(version))
        expect(Object.keys(info.sections)).toEqual(expect.arrayContaining(["server", "memory", "keyspace"]))
        expect(info.sections.server?.tcp_port).toBe(String(running().port))
        expect(Number(info.fields.used_memory)).toBeGreaterThan(100_000)
        expect(info.databases).toMatchObject([{ database: 0, keys: Option.some(1), expires: Option.some(1) }])
        const some = yield* server.info(["memory", "cpu"])
        expect(Object.keys(some.sections).sort()).toEqual(["cpu", "memory"])
        expect(some.version).toEqual(Option.none())
        const modules = yield* server.moduleList()
        const everything = yield* server.info("everything")
        expect(everything.modules.map(({ name }) => name)).toEqual(modules.map(({ name }) => name))
        expect((yield* server.info("nosuch")).fields).toEqual({})
      })
    )

    effect("SWAPDB", () =>
      Effect.gen(function* () {
        yield* notOverCluster("a cluster has one database")
        yield* strings.set("a", "1")
        yield* server.swapdb(0, 1)
        expect(yield* server.dbsize()).toBe(0)
        yield* server.swapdb(0, 1)
        expect(yield* server.dbsize()).toBe(1)
      })
    )

    effect("TIME, DBSIZE, FLUSHDB, LOLWUT, MONITOR and DEBUG", () =>
      Effect.gen(function* () {
        const { epochMicros, time } = yield* server.time()
        expect(Math.abs(DateTime.toEpochMillis(time) - Date.now())).toBeLessThan(60_000)
        expect(Math.floor(epochMicros / 1000)).toBe(DateTime.toEpochMillis(time))
        expect(yield* server.dbsize()).toBe(0)
        yield* strings.mset({ a: "1", b: "2" })
        expect(yield* server.dbsize()).toBe(2)
        yield* server.flushdb({ sync: true })
        expect(yield* server.dbsize()).toBe(0)
        yield* strings.set("a", "1")
        yield* server.flushdb({ async: true })
        yield* server.flushdb()
        yield* server.flushall({ async: true })
        yield* server.flushall()
        expect(yield* server.lolwut({ version: 5, parameters: [10, 2, 2] })).toContain(" ver. ")
        expect(yield* server.lolwut()).toContain(" ver. ")
        expect(yield* onLease(server.monitor())).toBeUndefined()
        expect(yield* server.debug(["DIGEST"])).toMatch(/^[0-9a-f]{40}$/)
        expect(yield* codeOf(server.debug(["NOSUCH"]))).toBe("ERR")
      })
    )

    effect("LATENCY", () =>
      Effect.gen(function* () {
        // No other command takes this long, even on a busy machine.
        yield* server.configSet({ "latency-monitor-threshold": 150 })
        yield* server.latencyReset()
        expect(yield* server.latencyLatest()).toEqual([])
        yield* server.debug(["SLEEP", 0.2])
        yield* server.debug(["SLEEP", 0.2])
        const latest = (yield* server.latencyLatest()).find(({ event }) => event === "command")
        expect(Duration.toMillis(Option.getOrThrow(latest?.latency ?? Option.none()))).toBeGreaterThanOrEqual(200)
        expect(
          Math.abs(DateTime.toEpochMillis(Option.getOrThrow(latest?.time ?? Option.none())) - Date.now())
        ).toBeLessThan(60_000)
        const counted = isSince({ valkey: "8.1" })
        expect(latest?.count).toEqual(counted ? Option.some(2) : Option.none())
        expect(latest?.sum === undefined || Option.isSome(latest.sum)).toBe(counted)
        const history = yield* server.latencyHistory("command")
        expect(history.length).toBeGreaterThan(0)
        expect(Duration.toMillis(history[0]?.latency ?? Duration.zero)).toBeGreaterThanOrEqual(200)
        expect(yield* server.latencyHistory("nosuch")).toEqual([])
        expect(yield* server.latencyGraph("command")).toMatch(/^command - high/)
        expect(yield* codeOf(server.latencyGraph("nosuch"))).toBe("ERR")
        expect(yield* server.latencyDoctor()).toMatch(/latency/)
        expect(yield* server.latencyReset(["command", "nosuch"])).toBe(1)
        const histograms = yield* server.latencyHistogram(["debug", "client|setname", "nosuch"])
        expect(Object.keys(histograms)).toEqual(["debug"])
        expect(histograms.debug?.histogram.at(-1)?.calls).toBe(
          Option.getOrThrow(histograms.debug?.calls ?? Option.none())
        )
        expect(Object.keys(yield* server.latencyHistogram())).toContain("config|set")
      })
    )

    effect("SLOWLOG", () =>
      Effect.gen(function* () {
        // No other command takes this long, even on a busy machine.
        yield* server.configSet({ "slowlog-log-slower-than": 150_000 })
        yield* server.slowlogReset()
        expect(yield* server.slowlogGet()).toEqual([])
        yield* server.debug(["SLEEP", 0.2])
        expect(yield* server.slowlogLen()).toBe(1)
        const [slow] = yield* server.slowlogGet({ count: -1 })
        expect(slow?.command).toEqual(["DEBUG", "SLEEP", "0.2"])
        expect(Duration.toMillis(Option.getOrThrow(slow?.duration ?? Option.none()))).toBeGreaterThanOrEqual(200)
        expect(Option.getOrThrow(slow?.clientAddress ?? Option.none())).toMatch(/^127\.0\.0\.1:\d+$/)
        expect(slow?.clientName).toEqual(Option.some(""))
        expect(yield* server.slowlogGet({ count: 0 })).toEqual([])
      })
    )

    effect("COMMANDLOG", () =>
      Effect.gen(function* () {
        yield* needs("COMMANDLOG GET")
        yield* server.configSet({ "slowlog-log-slower-than": 150_000, "commandlog-request-larger-than": 1000 })
        for (const type of ["slow", "large-request", "large-reply"] as const) {
          yield* server.commandlogReset(type)
        }
        yield* server.debug(["SLEEP", 0.2])
        yield* strings.set("k", "x".repeat(2000))
        const [slow] = yield* server.commandlogGet(10, "slow")
        expect(Duration.toMillis(Option.getOrThrow(slow?.duration ?? Option.none()))).toBeGreaterThanOrEqual(200)
        const [large] = yield* server.commandlogGet(-1, "large-request")
        expect(large?.command.slice(0, 2)).toEqual(["SET", "k"])
        expect(Option.getOrThrow(large?.size ?? Option.none())).toBeGreaterThan(2000)
        expect(yield* server.commandlogLen("large-request")).toBe(1)
        expect(yield* server.commandlogGet(-1, "large-reply")).toEqual([])
      })
    )

    effect("MEMORY", () =>
      Effect.gen(function* () {
        expect(yield* server.memoryUsage("k")).toEqual(Option.none())
        yield* strings.set("k", "x".repeat(1000), { ex: "100 seconds" })
        expect(Option.getOrThrow(yield* server.memoryUsage("k", { samples: 0 }))).toBeGreaterThan(1000)
        const stats = yield* server.memoryStats()
        expect(Option.getOrThrow(stats.keysCount)).toBe(1)
        expect(Option.getOrThrow(stats.peakAllocated)).toBeGreaterThan(100_000)
        expect(Option.getOrThrow(stats.datasetPercentage)).toBeGreaterThan(0)
        expect(stats.databases[0]?.["overhead.hashtable.main"]).toBeGreaterThan(0)
        expect(stats.all["allocator-fragmentation.ratio"]).toBeGreaterThan(0)
        yield* server.memoryPurge()
        expect(yield* server.memoryDoctor()).toMatch(/Sam/)
        expect(yield* server.memoryMallocStats()).toMatch(/jemalloc|Stats not supported/)
      })
    )

    live("SAVE, BGSAVE, BGREWRITEAOF and LASTSAVE", () =>
      Effect.gen(function* () {
        const idle = until(
          server.info("persistence"),
          ({ fields }) => fields.rdb_bgsave_in_progress === "0" && fields.aof_rewrite_in_progress === "0"
        )
        yield* idle
        yield* server.save()
        expect(Math.abs(DateTime.toEpochMillis(yield* server.lastsave()) - Date.now())).toBeLessThan(60_000)
        expect(yield* server.bgsave()).toBe("Background saving started")
        yield* idle
        expect(yield* server.bgsave({ schedule: true })).toMatch(/^Background saving (started|scheduled)$/)
        yield* idle
        expect(yield* server.bgrewriteaof()).toMatch(/^Background append only file rewriting (started|scheduled)$/)
        yield* idle
        expect(yield* codeOf(server.bgsave({ cancel: true }))).toBe("ERR")
      })
    )

    live("BGSAVE CANCEL", () =>
      Effect.gen(function* () {
        yield* needsVersion({ valkey: "8.1" })
        yield* until(server.info("persistence"), ({ fields }) => fields.rdb_bgsave_in_progress === "0")
        yield* strings.set("k", "v")
        // Saving each key takes this long, so that the save is still running when it is cancelled.
        yield* server.configSet({ "rdb-key-save-delay": 60_000_000 })
        yield* server.bgsave()
        expect(yield* server.bgsave({ cancel: true })).toBe("Background saving cancelled")
      }).pipe(Effect.ensuring(Effect.ignore(server.configSet({ "rdb-key-save-delay": 0 }))))
    )

    live("ROLE, REPLICAOF and FAILOVER", () =>
      Effect.gen(function* () {
        const first = yield* another()
        const second = yield* another()
        yield* on(second)(server.replicaof(first.host, first.port))
        yield* until(
          on(second)(server.role()),
          (role) => role.role === "slave" && Option.contains(role.state, "connected")
        )
        expect(yield* on(second)(server.role())).toMatchObject({
          host: Option.some(first.host),
          port: Option.some(first.port)
        })
        yield* until(on(first)(server.role()), (role) => role.role === "master" && role.replicas.length === 1)
        expect(yield* on(first)(server.role())).toMatchObject({ replicas: [{ host: "127.0.0.1", port: second.port }] })
        // The second time the server replies "OK Already connected to specified master".
        yield* on(second)(server.slaveof(first.host, first.port))

        yield* on(first)(server.failover({ to: { host: "127.0.0.1", port: second.port }, timeout: "1 minute" }))
        yield* until(on(first)(server.role()), ({ role }) => role === "slave")
        // The other server is promoted a moment after this one became its replica.
        yield* until(on(second)(server.role()), ({ role }) => role === "master")
        expect(yield* codeOf(on(second)(server.failover({ abort: true })))).toBe("ERR")
        yield* on(first)(server.replicaof("no one"))
        expect(yield* on(first)(server.role())).toMatchObject({ role: "master" })
        yield* on(first)(server.slaveof("no one"))
      }).pipe(Effect.scoped)
    )

    effect("ROLE, REPLICAOF and SLAVEOF no one, and FAILOVER and SHUTDOWN ABORT with nothing to abort", () =>
      Effect.gen(function* () {
        yield* notOverCluster("its nodes refuse REPLICAOF")
        expect(yield* server.role()).toMatchObject({ role: "master", replicas: [] })
        yield* server.replicaof("no one")
        yield* server.slaveof("no one")
        expect(yield* codeOf(server.failover({ abort: true }))).toBe("ERR")
        expect(yield* codeOf(server.shutdown({ abort: true }))).toBe("ERR")
      })
    )

    live("SHUTDOWN succeeds when the connection closes", () =>
      Effect.gen(function* () {
        const other = yield* another()
        const connection = yield* Connection.make({ host: other.host, port: other.port, protocol })
        yield* connection.execute(server.shutdown({ nosave: true, now: true, force: true }))
        expect(yield* connection.closed).toBe(true)
      }).pipe(Effect.scoped)
    )
  },
  { server: { acl: [everything], config: { "enable-debug-command": "yes", "enable-module-command": "yes" } } }
)
