import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import * as Connection from "../../src/Connection.js"
import { make } from "../../src/commands/sentinel.js"
import { make as makeServerCommands } from "../../src/commands/server.js"
import { Redis, type RedisService } from "../../src/internal/command/model.js"
import type { RedisError } from "../../src/RedisError.js"
import type { RedisServer } from "../../src/testing/RedisServer.js"
import { reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"
import { LiveMatrix } from "../support/liveMatrix.js"
import * as Servers from "../support/servers.js"

const sentinel = make()
const server = makeServerCommands(Codec.utf8)
const { array, bulk, int, map, nil, simple } = wire

describe("sentinel commands encode their arguments", () => {
  it("every SENTINEL command", () => {
    sends(sentinel.sentinelCkquorum("m"), ["SENTINEL", "CKQUORUM", "m"])
    sends(sentinel.sentinelConfig({ get: "*" }), ["SENTINEL", "CONFIG", "GET", "*"])
    sends(sentinel.sentinelConfig({ get: ["a", "b"] }), ["SENTINEL", "CONFIG", "GET", "a", "b"])
    sends(sentinel.sentinelConfig({ set: { "resolve-hostnames": true, "sentinel-pass": Redacted.make("p") } }), [
      ..."SENTINEL CONFIG SET resolve-hostnames yes sentinel-pass p".split(" ")
    ])
    refuses(sentinel.sentinelConfig({ get: [] as never }), /at least one setting/)
    refuses(sentinel.sentinelConfig({ set: {} }), /at least one setting/)
    sends(sentinel.sentinelDebug(), ["SENTINEL", "DEBUG"])
    sends(sentinel.sentinelDebug({ "PING-PERIOD": "2 seconds", "INFO-PERIOD": "500 millis" }), [
      ..."SENTINEL DEBUG PING-PERIOD 2000 INFO-PERIOD 500".split(" ")
    ])
    refuses(sentinel.sentinelDebug({}), /at least one time/)
    sends(sentinel.sentinelFailover("m"), ["SENTINEL", "FAILOVER", "m"])
    sends(sentinel.sentinelFailover("m", { coordinated: true }), ["SENTINEL", "FAILOVER", "m", "COORDINATED"])
    sends(sentinel.sentinelFlushconfig(), ["SENTINEL", "FLUSHCONFIG"])
    sends(sentinel.sentinelGetMasterAddrByName("m"), ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m"])
    sends(sentinel.sentinelGetPrimaryAddrByName("m"), ["SENTINEL", "GET-PRIMARY-ADDR-BY-NAME", "m"])
    sends(sentinel.sentinelInfoCache(["a", "b"]), ["SENTINEL", "INFO-CACHE", "a", "b"])
    refuses(sentinel.sentinelInfoCache([] as never), /at least one primary/)
    sends(sentinel.sentinelIsMasterDownByAddr("h", 1, 2n, "*"), [
      ..."SENTINEL IS-MASTER-DOWN-BY-ADDR h 1 2 *".split(" ")
    ])
    sends(sentinel.sentinelIsPrimaryDownByAddr("h", 1, 2, "id"), [
      ..."SENTINEL IS-PRIMARY-DOWN-BY-ADDR h 1 2 id".split(" ")
    ])
    sends(sentinel.sentinelMaster("m"), ["SENTINEL", "MASTER", "m"])
    sends(sentinel.sentinelMasters(), ["SENTINEL", "MASTERS"])
    sends(sentinel.sentinelMonitor("m", "h", 1, 2), ["SENTINEL", "MONITOR", "m", "h", "1", "2"])
    sends(sentinel.sentinelMyid(), ["SENTINEL", "MYID"])
    sends(sentinel.sentinelPendingScripts(), ["SENTINEL", "PENDING-SCRIPTS"])
    sends(sentinel.sentinelPrimaries(), ["SENTINEL", "PRIMARIES"])
    sends(sentinel.sentinelPrimary("m"), ["SENTINEL", "PRIMARY", "m"])
    sends(sentinel.sentinelRemove("m"), ["SENTINEL", "REMOVE", "m"])
    sends(sentinel.sentinelReplicas("m"), ["SENTINEL", "REPLICAS", "m"])
    sends(sentinel.sentinelReset("m*"), ["SENTINEL", "RESET", "m*"])
    sends(sentinel.sentinelSentinels("m"), ["SENTINEL", "SENTINELS", "m"])
    sends(sentinel.sentinelSet("m", { quorum: 3, "auth-pass": Redacted.make("p") }), [
      ..."SENTINEL SET m quorum 3 auth-pass p".split(" ")
    ])
    tagged(sentinel.sentinelSet("m", { "auth-pass": "p" }), ["value", "value", "value"])
    refuses(sentinel.sentinelSet("m", {}), /at least one setting/)
    sends(sentinel.sentinelSimulateFailure("help"), ["SENTINEL", "SIMULATE-FAILURE", "HELP"])
    sends(sentinel.sentinelSimulateFailure(["crash-after-election", "crash-after-promotion"]), [
      ..."SENTINEL SIMULATE-FAILURE CRASH-AFTER-ELECTION CRASH-AFTER-PROMOTION".split(" ")
    ])
    refuses(sentinel.sentinelSimulateFailure([] as never), /at least one moment/)
    sends(sentinel.sentinelSlaves("m"), ["SENTINEL", "SLAVES", "m"])
  })
})

describe("sentinel commands decode their replies", () => {
  const instance = {
    name: "mymaster",
    ip: "127.0.0.1",
    port: "6379",
    runid: "31ed",
    flags: "master,o_down"
  }
  const expected = {
    name: instance.name,
    ip: Option.some(instance.ip),
    port: Option.some(6379),
    runid: Option.some(instance.runid),
    flags: ["master", "o_down"]
  }
  const flat = (fields: Record<string, string>) =>
    Object.entries(fields).flatMap(([name, value]) => [bulk(name), bulk(value)])
  const both = (fields: Record<string, string>) => [array(...flat(fields)), map(...flat(fields))]

  it("commands that answer a status or a text", () => {
    for (const command of [
      sentinel.sentinelConfig({ set: { a: "b" } }),
      sentinel.sentinelDebug({ a: "1 second" }),
      sentinel.sentinelFailover("m"),
      sentinel.sentinelFlushconfig(),
      sentinel.sentinelMonitor("m", "h", 1, 1),
      sentinel.sentinelRemove("m"),
      sentinel.sentinelSet("m", { a: "b" }),
      sentinel.sentinelSimulateFailure("crash-after-election")
    ]) {
      reads(command, simple("OK"), undefined)
      readsError(command, nil, { _tag: "DecodeError", command: command.name })
      readsError(command, "-ERR No such master with that name\r\n", { _tag: "ReplyError", code: "ERR" })
    }
    reads(sentinel.sentinelCkquorum("m"), simple("OK 1 usable Sentinels."), "OK 1 usable Sentinels.")
    readsError(sentinel.sentinelCkquorum("m"), "-NOQUORUM 1 usable Sentinels.\r\n", {
      _tag: "ReplyError",
      code: "NOQUORUM"
    })
    reads(sentinel.sentinelMyid(), bulk("abcd"), "abcd")
    reads(sentinel.sentinelReset("*"), int(2), 2)
    reads(sentinel.sentinelSimulateFailure("help"), array(bulk("crash-after-election")), ["crash-after-election"])
    readsEach(sentinel.sentinelConfig({ get: "*" }), both({ "announce-ip": "", loglevel: "notice" }), {
      "announce-ip": "",
      loglevel: "notice"
    })
    readsEach(sentinel.sentinelDebug(), both({ "PING-PERIOD": "1000" }), { "PING-PERIOD": Duration.seconds(1) })
  })

  it("addresses of a primary", () => {
    for (const command of [sentinel.sentinelGetMasterAddrByName("m"), sentinel.sentinelGetPrimaryAddrByName("m")]) {
      reads(command, array(bulk("127.0.0.1"), bulk("6379")), Option.some({ host: "127.0.0.1", port: 6379 }))
      readsEach(command, ["*-1\r\n", nil], Option.none())
    }
  })

  it("properties of primaries", () => {
    const fields = {
      ...instance,
      "down-after-milliseconds": "30000",
      "config-epoch": "18446744073709551615",
      "num-slaves": "2",
      "num-other-sentinels": "1",
      quorum: "2",
      "failover-timeout": "180000",
      "parallel-syncs": "1"
    }
    const primary = {
      ...expected,
      quorum: Option.some(2),
      numSlaves: Option.some(2),
      numOtherSentinels: Option.some(1),
      configEpoch: Option.some(18446744073709551615n),
      downAfter: Option.some(Duration.seconds(30)),
      failoverTimeout: Option.some(Duration.minutes(3)),
      parallelSyncs: Option.some(1),
      fields
    }
    for (const command of [sentinel.sentinelMaster("m"), sentinel.sentinelPrimary("m")]) {
      readsEach(command, both(fields), primary)
      readsError(command, map(bulk("ip"), bulk("h")), { _tag: "DecodeError", path: ["name"] })
    }
    for (const command of [sentinel.sentinelMasters(), sentinel.sentinelPrimaries()]) {
      readsEach(
        command,
        both(fields).map((item) => array(item)),
        [primary]
      )
      reads(command, array(), [])
    }
  })

  it("properties of replicas and sentinels", () => {
    const fields = {
      ...instance,
      "master-link-status": "ok",
      "master-host": "10.0.0.1",
      "master-port": "6380",
      "slave-priority": "100",
      "slave-repl-offset": "7215600"
    }
    for (const command of [sentinel.sentinelReplicas("m"), sentinel.sentinelSlaves("m")]) {
      readsEach(
        command,
        both(fields).map((item) => array(item)),
        [
          {
            ...expected,
            masterHost: Option.some("10.0.0.1"),
            masterPort: Option.some(6380),
            masterLinkStatus: Option.some("ok"),
            priority: Option.some(100),
            replicaOffset: Option.some(7215600),
            fields
          }
        ]
      )
    }
    readsEach(
      sentinel.sentinelSentinels("m"),
      both(instance).map((item) => array(item)),
      [{ ...expected, fields: instance }]
    )
  })

  it("votes, pending scripts and cached INFO", () => {
    for (const command of [
      sentinel.sentinelIsMasterDownByAddr("h", 1, 0, "*"),
      sentinel.sentinelIsPrimaryDownByAddr("h", 1, 0, "*")
    ]) {
      reads(command, array(int(0), bulk("*"), int(0)), {
        down: false,
        leader: Option.none(),
        leaderEpoch: Option.some(0)
      })
      reads(command, array(int(1), bulk("31ed"), int(7)), {
        down: true,
        leader: Option.some("31ed"),
        leaderEpoch: Option.some(7)
      })
    }
    const script = (flags: string, pid: string, time: string) => [
      bulk("argv"),
      array(bulk("/notify.sh"), bulk("+sdown")),
      bulk("flags"),
      bulk(flags),
      bulk("pid"),
      bulk(pid),
      bulk(time),
      bulk("1500"),
      bulk("retry-num"),
      bulk("1")
    ]
    const running = script("running", "77", "run-time")
    readsEach(
      sentinel.sentinelPendingScripts(),
      [array(array(...running)), array(map(...running))],
      [
        {
          argv: ["/notify.sh", "+sdown"],
          running: Option.some(true),
          pid: Option.some(77),
          runTime: Option.some(Duration.millis(1500)),
          runDelay: Option.none(),
          retryNum: Option.some(1),
          other: {}
        }
      ]
    )
    reads(sentinel.sentinelPendingScripts(), array(map(...script("scheduled", "0", "run-delay"))), [
      {
        argv: ["/notify.sh", "+sdown"],
        running: Option.some(false),
        pid: Option.none(),
        runTime: Option.none(),
        runDelay: Option.some(Duration.millis(1500)),
        retryNum: Option.some(1),
        other: {}
      }
    ])
    const text = "# Server\r\nredis_version:7.0.15\r\n"
    reads(sentinel.sentinelInfoCache("m"), array(bulk("m"), array(array(int(5), bulk(text)), array(int(0), nil))), [
      {
        name: "m",
        instances: [
          {
            age: Option.some(Duration.millis(5)),
            info: Option.some({
              sections: { server: { redis_version: "7.0.15" } },
              fields: { redis_version: "7.0.15" },
              product: Option.some<"redis" | "valkey">("redis"),
              version: Option.some("7.0.15"),
              databases: [],
              modules: [],
              text
            })
          },
          { age: Option.some(Duration.zero), info: Option.none() }
        ]
      }
    ])
  })
})

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

const codeOf = (effect: Effect.Effect<unknown, RedisError, Redis>) =>
  Effect.map(Effect.either(effect), (result) =>
    result._tag === "Right" ? "OK" : result.left._tag === "ReplyError" ? result.left.code : result.left._tag
  )

/** A primary, its replica and a sentinel. `liveSuite` cannot be used: it sends FLUSHALL, which a sentinel does not have. */
describe("sentinel, live", () => {
  const matrix = new LiveMatrix("sentinel")
  afterAll(() => matrix.finish())
  if (Servers.commandServers.length === 0) {
    it.skip("no real server found: run `npm run servers`", () => {})
  }
  for (const installed of Servers.commandServers) {
    describe(installed.name, () => {
      const scope = Effect.runSync(Scope.make())
      let primary: RedisServer
      let replica: RedisServer
      let watcher: RedisServer
      beforeAll(async () => {
        await Effect.runPromise(
          Effect.gen(function* () {
            primary = yield* Servers.makeServer(installed)
            replica = yield* Servers.makeServer(installed, { mode: { replicaOf: primary } })
            watcher = yield* Servers.makeServer(installed, {
              mode: { monitor: { mymaster: { ...primary, quorum: 1 } } }
            })
          }).pipe(Scope.extend(scope))
        )
      })
      afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

      const valkey = installed.product === "valkey"
      for (const protocol of [2, 3] as const) {
        const test = (name: string, body: Effect.Effect<void, unknown, Redis>) =>
          it(`RESP${protocol}: ${name}`, () =>
            Effect.gen(function* () {
              const connection = yield* Connection.make({
                host: watcher.host,
                port: watcher.port,
                protocol,
                expect: "node"
              })
              const { redis } = connection
              const observed: RedisService = {
                ...redis,
                send: (command) =>
                  Effect.tap(redis.send(command), () =>
                    Effect.sync(() => matrix.ran(command.name, installed.name, protocol))
                  )
              }
              yield* Effect.provideService(body, Redis, observed)
            }).pipe(Effect.scoped, Effect.runPromise))

        test(
          "answers about the primary, replicas and sentinels it watches",
          Effect.gen(function* () {
            const master = yield* until(sentinel.sentinelMaster("mymaster"), ({ numSlaves }) =>
              Option.contains(numSlaves, 1)
            )
            expect(master).toMatchObject({
              name: "mymaster",
              port: Option.some(primary.port),
              quorum: Option.some(1),
              flags: ["master"]
            })
            expect(master.fields["role-reported"]).toBe("master")
            expect(Duration.toMillis(Option.getOrThrow(master.downAfter))).toBeGreaterThan(0)
            expect((yield* sentinel.sentinelMasters()).map(({ name }) => name)).toEqual(["mymaster"])
            expect(yield* codeOf(sentinel.sentinelMaster("nosuch"))).toBe("ERR")
            const [first] = yield* until(
              sentinel.sentinelReplicas("mymaster"),
              ([first]) => first !== undefined && Option.contains(first.masterLinkStatus, "ok")
            )
            expect(first).toMatchObject({
              port: Option.some(replica.port),
              masterPort: Option.some(primary.port),
              priority: Option.some(100)
            })
            expect((yield* sentinel.sentinelSlaves("mymaster")).map(({ port }) => port)).toEqual([
              Option.some(replica.port)
            ])
            expect(yield* sentinel.sentinelSentinels("mymaster")).toEqual([])
            const address = Option.some({ host: "127.0.0.1", port: primary.port })
            expect(yield* sentinel.sentinelGetMasterAddrByName("mymaster")).toEqual(address)
            expect(yield* sentinel.sentinelGetMasterAddrByName("nosuch")).toEqual(Option.none())
            expect(yield* sentinel.sentinelCkquorum("mymaster")).toMatch(/^OK 1 usable/)
            expect(yield* sentinel.sentinelMyid()).toMatch(/^[0-9a-f]{40}$/)
            expect(yield* sentinel.sentinelPendingScripts()).toEqual([])
            const [cached] = yield* sentinel.sentinelInfoCache(["mymaster", "nosuch"])
            expect(cached?.name).toBe("mymaster")
            expect(cached?.instances).toHaveLength(2)
            expect(Option.flatMap(cached?.instances[0]?.info ?? Option.none(), ({ version }) => version)).toEqual(
              Option.some(installed.version)
            )
            const vote = { down: false, leader: Option.none(), leaderEpoch: Option.some(0) }
            expect(yield* sentinel.sentinelIsMasterDownByAddr("127.0.0.1", primary.port, 0, "*")).toEqual(vote)
            expect(yield* server.role()).toEqual({ role: "sentinel", masters: ["mymaster"] })
            if (valkey) {
              expect((yield* sentinel.sentinelPrimary("mymaster")).port).toEqual(Option.some(primary.port))
              expect((yield* sentinel.sentinelPrimaries()).map(({ name }) => name)).toEqual(["mymaster"])
              expect(yield* sentinel.sentinelGetPrimaryAddrByName("mymaster")).toEqual(address)
              expect(yield* sentinel.sentinelIsPrimaryDownByAddr("127.0.0.1", primary.port, 0, "*")).toEqual(vote)
            }
          })
        )

        test(
          "changes its settings and monitors another primary",
          Effect.gen(function* () {
            yield* sentinel.sentinelConfig({ set: { "announce-port": 1234 } })
            expect(yield* sentinel.sentinelConfig({ get: "announce-*" })).toMatchObject({ "announce-port": "1234" })
            yield* sentinel.sentinelConfig({ set: { "announce-port": 0 } })
            yield* sentinel.sentinelDebug({ "SCRIPT-MAX-RUNTIME": "61 seconds" })
            expect((yield* sentinel.sentinelDebug())["SCRIPT-MAX-RUNTIME"]).toEqual(Duration.seconds(61))
            yield* sentinel.sentinelMonitor("other", "127.0.0.1", 1, 3)
            yield* sentinel.sentinelSet("other", { quorum: 2, "auth-pass": Redacted.make("secret") })
            expect((yield* sentinel.sentinelMaster("other")).quorum).toEqual(Option.some(2))
            expect(yield* codeOf(sentinel.sentinelCkquorum("other"))).toBe("NOQUORUM")
            expect(yield* sentinel.sentinelReset("oth*")).toBe(1)
            yield* sentinel.sentinelRemove("other")
            yield* sentinel.sentinelFlushconfig()
            expect(yield* sentinel.sentinelSimulateFailure("help")).toEqual([
              "crash-after-election",
              "crash-after-promotion"
            ])
            expect(yield* codeOf(sentinel.sentinelFailover("nosuch"))).toBe("ERR")
          })
        )
      }

      it("fails over at SENTINEL FAILOVER", () =>
        Effect.gen(function* () {
          const { redis } = yield* Connection.make({ host: watcher.host, port: watcher.port, expect: "node" })
          const send = redis.send
          yield* until(
            send(sentinel.sentinelReplicas("mymaster")),
            ([first]) => first !== undefined && Option.contains(first.masterLinkStatus, "ok")
          )
          yield* send(sentinel.sentinelFailover("mymaster"))
          matrix.ran("SENTINEL FAILOVER", installed.name, 3)
          yield* until(send(sentinel.sentinelGetMasterAddrByName("mymaster")), (address) =>
            Option.exists(address, ({ port }) => port === replica.port)
          )
          // It ends itself at the next election.
          yield* send(sentinel.sentinelSimulateFailure(["crash-after-election", "crash-after-promotion"]))
        }).pipe(Effect.scoped, Effect.runPromise))
    })
  }
})
