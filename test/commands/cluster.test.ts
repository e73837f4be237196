import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import * as Connection from "../../src/Connection.js"
import { make } from "../../src/commands/cluster.js"
import type { ClusterNode } from "../../src/commands/cluster-models.js"
import { make as makeServer } from "../../src/commands/server.js"
import { make as makeStrings } from "../../src/commands/string.js"
import type * as RedisCommand from "../../src/RedisCommand.js"
import type { RedisError } from "../../src/RedisError.js"
import { liveSuite, reads, readsEach, readsError, refuses, sends, tagged, wire } from "../support/commands.js"
import * as Servers from "../support/servers.js"

const cluster = make(Codec.utf8)
const binary = make(Codec.bytes)
const server = makeServer(Codec.utf8)
const strings = makeStrings(Codec.utf8)
const { array, bulk, int, map, nil, nil2, simple, verbatim } = wire
const id = "07c37dfeb235213a872192d90877d0cd55635b91"

describe("cluster commands encode their arguments", () => {
  it("all other CLUSTER commands, ASKING, READONLY and READWRITE", () => {
    sends(cluster.asking(), ["ASKING"])
    sends(cluster.clusterAddslots(5), ["CLUSTER", "ADDSLOTS", "5"])
    sends(cluster.clusterAddslots([0, 16383]), ["CLUSTER", "ADDSLOTS", "0", "16383"])
    refuses(cluster.clusterAddslots([] as never), /at least one slot/)
    refuses(cluster.clusterAddslots(-1), /16383/)
    refuses(cluster.clusterAddslots(1.5), /integer/)
    sends(cluster.clusterAddslotsrange({ start: 0, end: 5 }), ["CLUSTER", "ADDSLOTSRANGE", "0", "5"])
    sends(
      cluster.clusterAddslotsrange([
        { start: 0, end: 5 },
        { start: 7, end: 7 }
      ]),
      ["CLUSTER", "ADDSLOTSRANGE", "0", "5", "7", "7"]
    )
    refuses(cluster.clusterAddslotsrange([] as never), /at least one range/)
    refuses(cluster.clusterDelslotsrange({ start: 0, end: 16384 }), /16383/)
    sends(cluster.clusterBumpepoch(), ["CLUSTER", "BUMPEPOCH"])
    sends(cluster.clusterCancelslotmigrations(), ["CLUSTER", "CANCELSLOTMIGRATIONS"])
    sends(cluster.clusterCountFailureReports(id), ["CLUSTER", "COUNT-FAILURE-REPORTS", id])
    sends(cluster.clusterCountkeysinslot(5), ["CLUSTER", "COUNTKEYSINSLOT", "5"])
    sends(cluster.clusterDelslots([5]), ["CLUSTER", "DELSLOTS", "5"])
    sends(cluster.clusterDelslotsrange({ start: 0, end: 5 }), ["CLUSTER", "DELSLOTSRANGE", "0", "5"])
    sends(cluster.clusterFailover(), ["CLUSTER", "FAILOVER"])
    sends(cluster.clusterFailover({ force: true }), ["CLUSTER", "FAILOVER", "FORCE"])
    sends(cluster.clusterFailover({ takeover: true }), ["CLUSTER", "FAILOVER", "TAKEOVER"])
    sends(cluster.clusterFlushslot(5), ["CLUSTER", "FLUSHSLOT", "5"])
    sends(cluster.clusterFlushslot(5, { async: true }), ["CLUSTER", "FLUSHSLOT", "5", "ASYNC"])
    sends(cluster.clusterFlushslot(5, { sync: true }), ["CLUSTER", "FLUSHSLOT", "5", "SYNC"])
    sends(cluster.clusterFlushslots(), ["CLUSTER", "FLUSHSLOTS"])
    sends(cluster.clusterForget(id), ["CLUSTER", "FORGET", id])
    sends(cluster.clusterGetkeysinslot(5, 10), ["CLUSTER", "GETKEYSINSLOT", "5", "10"])
    sends(cluster.clusterGetslotmigrations(), ["CLUSTER", "GETSLOTMIGRATIONS"])
    sends(cluster.clusterInfo(), ["CLUSTER", "INFO"])
    sends(cluster.clusterKeyslot("k"), ["CLUSTER", "KEYSLOT", "k"])
    tagged(cluster.clusterKeyslot("k"), ["key"])
    sends(cluster.clusterLinks(), ["CLUSTER", "LINKS"])
    sends(cluster.clusterMeet("10.0.0.1", 6379), ["CLUSTER", "MEET", "10.0.0.1", "6379"])
    sends(cluster.clusterMeet("10.0.0.1", 6379, { clusterBusPort: 16379 }), [
      "CLUSTER",
      "MEET",
      "10.0.0.1",
      "6379",
      "16379"
    ])
    refuses(cluster.clusterMeet("10.0.0.1", 70000), /65535/)
    sends(cluster.clusterMyid(), ["CLUSTER", "MYID"])
    sends(cluster.clusterMyshardid(), ["CLUSTER", "MYSHARDID"])
    sends(cluster.clusterNodes(), ["CLUSTER", "NODES"])
    sends(cluster.clusterReplicas(id), ["CLUSTER", "REPLICAS", id])
    sends(cluster.clusterReplicate(id), ["CLUSTER", "REPLICATE", id])
    sends(cluster.clusterReplicate("no one"), ["CLUSTER", "REPLICATE", "NO", "ONE"])
    sends(cluster.clusterReset(), ["CLUSTER", "RESET"])
    sends(cluster.clusterReset({ hard: true }), ["CLUSTER", "RESET", "HARD"])
    sends(cluster.clusterReset({ soft: true }), ["CLUSTER", "RESET", "SOFT"])
    sends(cluster.clusterSaveconfig(), ["CLUSTER", "SAVECONFIG"])
    sends(cluster.clusterSetConfigEpoch(7n), ["CLUSTER", "SET-CONFIG-EPOCH", "7"])
    sends(cluster.clusterShards(), ["CLUSTER", "SHARDS"])
    sends(cluster.clusterSlaves(id), ["CLUSTER", "SLAVES", id])
    sends(cluster.clusterSlots(), ["CLUSTER", "SLOTS"])
    sends(cluster.readonly(), ["READONLY"])
    sends(cluster.readwrite(), ["READWRITE"])
  })

  it("CLUSTER SETSLOT", () => {
    sends(cluster.clusterSetslot(5, { importing: id }), ["CLUSTER", "SETSLOT", "5", "IMPORTING", id])
    sends(cluster.clusterSetslot(5, { migrating: id }), ["CLUSTER", "SETSLOT", "5", "MIGRATING", id])
    sends(cluster.clusterSetslot(5, { stable: true }), ["CLUSTER", "SETSLOT", "5", "STABLE"])
    sends(cluster.clusterSetslot(5, { node: id, timeout: "2 seconds" }), [
      "CLUSTER",
      "SETSLOT",
      "5",
      "NODE",
      id,
      "TIMEOUT",
      "2000"
    ])
  })

  it("CLUSTER SLOT-STATS and its order and limit", () => {
    sends(cluster.clusterSlotStats({ slotsrange: { start: 0, end: 9 } }), [
      "CLUSTER",
      "SLOT-STATS",
      "SLOTSRANGE",
      "0",
      "9"
    ])
    sends(cluster.clusterSlotStats({ orderby: "cpu-usec" }), ["CLUSTER", "SLOT-STATS", "ORDERBY", "cpu-usec"])
    sends(cluster.clusterSlotStats({ orderby: "key-count", limit: 3, desc: true }), [
      ..."CLUSTER SLOT-STATS ORDERBY key-count LIMIT 3 DESC".split(" ")
    ])
    sends(cluster.clusterSlotStats({ orderby: "key-count", asc: true }), [
      ..."CLUSTER SLOT-STATS ORDERBY key-count ASC".split(" ")
    ])
  })

  it("CLUSTER MIGRATION, MIGRATESLOTS and SYNCSLOTS", () => {
    sends(
      cluster.clusterMigrateslots([
        {
          slotsrange: [
            { start: 0, end: 9 },
            { start: 20, end: 29 }
          ],
          node: "a"
        },
        { slotsrange: { start: 40, end: 40 }, node: "b" }
      ]),
      [..."CLUSTER MIGRATESLOTS SLOTSRANGE 0 9 20 29 NODE a SLOTSRANGE 40 40 NODE b".split(" ")]
    )
    refuses(cluster.clusterMigrateslots([] as never), /at least one range/)
    sends(cluster.clusterMigration({ import: { start: 0, end: 9 } }), ["CLUSTER", "MIGRATION", "IMPORT", "0", "9"])
    sends(cluster.clusterMigration({ cancel: { id: "t" } }), ["CLUSTER", "MIGRATION", "CANCEL", "ID", "t"])
    sends(cluster.clusterMigration({ cancel: { all: true } }), ["CLUSTER", "MIGRATION", "CANCEL", "ALL"])
    sends(cluster.clusterMigration({ status: { id: "t" } }), ["CLUSTER", "MIGRATION", "STATUS", "ID", "t"])
    sends(cluster.clusterMigration({ status: { all: true } }), ["CLUSTER", "MIGRATION", "STATUS", "ALL"])
    sends(cluster.clusterSyncslots({ sync: { taskId: "t", slots: { start: 0, end: 9 } } }), [
      ..."CLUSTER SYNCSLOTS SYNC t 0 9".split(" ")
    ])
    sends(cluster.clusterSyncslots({ rdbchannel: "t" }), ["CLUSTER", "SYNCSLOTS", "RDBCHANNEL", "t"])
    sends(cluster.clusterSyncslots({ snapshotEof: true }), ["CLUSTER", "SYNCSLOTS", "SNAPSHOT-EOF"])
    sends(cluster.clusterSyncslots({ streamEof: true }), ["CLUSTER", "SYNCSLOTS", "STREAM-EOF"])
    sends(cluster.clusterSyncslots({ ack: { state: "s", offset: 5n } }), ["CLUSTER", "SYNCSLOTS", "ACK", "s", "5"])
    sends(cluster.clusterSyncslots({ fail: "why" }), ["CLUSTER", "SYNCSLOTS", "FAIL", "why"])
    sends(cluster.clusterSyncslots({ conf: { a: "1", b: "2" } }), [..."CLUSTER SYNCSLOTS CONF a 1 b 2".split(" ")])
  })

  it("CLUSTERSCAN", () => {
    sends(cluster.clusterscan("0"), ["CLUSTERSCAN", "0"])
    const command = cluster.clusterscan("0", { match: "k*", count: 10, type: "string", slot: 5 })
    sends(command, [..."CLUSTERSCAN 0 MATCH k* COUNT 10 TYPE string SLOT 5".split(" ")])
    // The cursor is in the position of other commands' key, but is tagged a value, so that no prefix is put before it.
    tagged(command, ["value", "token", "pattern", "token", "value", "token", "value", "token", "value"])
  })
})

describe("cluster commands decode their replies", () => {
  it("commands that answer a status, a count or a text", () => {
    for (const command of [
      cluster.asking(),
      cluster.readonly(),
      cluster.readwrite(),
      cluster.clusterAddslots(1),
      cluster.clusterAddslotsrange({ start: 0, end: 0 }),
      cluster.clusterCancelslotmigrations(),
      cluster.clusterDelslots(1),
      cluster.clusterDelslotsrange({ start: 0, end: 0 }),
      cluster.clusterFailover(),
      cluster.clusterFlushslot(1),
      cluster.clusterFlushslots(),
      cluster.clusterForget(id),
      cluster.clusterMeet("h", 1),
      cluster.clusterMigrateslots({ slotsrange: { start: 0, end: 0 }, node: id }),
      cluster.clusterReplicate(id),
      cluster.clusterReset(),
      cluster.clusterSaveconfig(),
      cluster.clusterSetConfigEpoch(1),
      cluster.clusterSetslot(1, { stable: true })
    ]) {
      reads(command, simple("OK"), undefined)
      readsError(command, nil, { _tag: "DecodeError", command: command.name })
      readsError(command, "-ERR This instance has cluster support disabled\r\n", { _tag: "ReplyError", code: "ERR" })
    }
    for (const command of [
      cluster.clusterCountFailureReports(id),
      cluster.clusterCountkeysinslot(1),
      cluster.clusterKeyslot("k")
    ]) {
      reads(command, int(7), 7)
    }
    reads(cluster.clusterBumpepoch(), simple("BUMPED 7"), "BUMPED 7")
    reads(cluster.clusterMyid(), bulk(id), id)
    reads(cluster.clusterMyshardid(), bulk(id), id)
    reads(cluster.clusterGetkeysinslot(1, 5), array(bulk("a"), bulk("b")), ["a", "b"])
    reads(cluster.clusterGetkeysinslot(1, 5), array(), [])
    reads(binary.clusterGetkeysinslot(1, 5), array(bulk("a")), [Uint8Array.of(97)])
    reads(cluster.clusterscan("0"), array(bulk("0-{06S}-5"), array(bulk("a"))), { cursor: "0-{06S}-5", items: ["a"] })
    reads(binary.clusterscan("0"), array(bulk("0"), array(bulk("a"))), { cursor: "0", items: [Uint8Array.of(97)] })
  })

  it("CLUSTER INFO", () => {
    const text = [
      "cluster_state:ok",
      "cluster_slots_assigned:16384",
      "cluster_slots_ok:16380",
      "cluster_slots_pfail:3",
      "cluster_slots_fail:1",
      "cluster_known_nodes:6",
      "cluster_size:3",
      "cluster_current_epoch:18446744073709551615",
      "cluster_my_epoch:2",
      ""
    ].join("\r\n")
    readsEach(cluster.clusterInfo(), [bulk(text), verbatim(text)], {
      state: "ok",
      slotsAssigned: Option.some(16384),
      slotsOk: Option.some(16380),
      slotsPfail: Option.some(3),
      slotsFail: Option.some(1),
      knownNodes: Option.some(6),
      size: Option.some(3),
      currentEpoch: Option.some(18446744073709551615n),
      myEpoch: Option.some(2),
      fields: {
        cluster_state: "ok",
        cluster_slots_assigned: "16384",
        cluster_slots_ok: "16380",
        cluster_slots_pfail: "3",
        cluster_slots_fail: "1",
        cluster_known_nodes: "6",
        cluster_size: "3",
        cluster_current_epoch: "18446744073709551615",
        cluster_my_epoch: "2"
      }
    })
    readsError(cluster.clusterInfo(), bulk("cluster_size:3"), { _tag: "DecodeError", path: ["cluster_state"] })
  })

  const lines = [
    `${id} 10.0.0.1:30004@31004,host4,shard-id=69bc,tls-port=0 slave e7d1 0 1426238317239 4 connected`,
    "67ed [2001:db8::1]:30002@31002 master - 0 1426238316232 2 connected 5461-10922 12000",
    "e7d1 :30001@31001,,shard-id=69bc myself,master - 1426238317741 0 1 disconnected 0-5460 [93->-67ed] [77-<-67ed]",
    "824f :0 noflags - 0 0 0 connected"
  ]
  const none = Option.none<string>()
  const nodes = [
    {
      id,
      host: "10.0.0.1",
      port: Option.some(30004),
      busPort: Option.some(31004),
      hostname: Option.some("host4"),
      metadata: { "shard-id": "69bc", "tls-port": "0" },
      flags: ["slave"],
      master: Option.some("e7d1"),
      pingSent: Option.none<DateTime.Utc>(),
      pongReceived: Option.some(DateTime.unsafeMake(1426238317239)),
      configEpoch: Option.some(4),
      linkState: Option.some("connected"),
      slots: [],
      importing: [],
      migrating: [],
      text: lines[0] as string
    },
    {
      id: "67ed",
      host: "[2001:db8::1]",
      port: Option.some(30002),
      busPort: Option.some(31002),
      hostname: none,
      metadata: {},
      flags: ["master"],
      master: none,
      pingSent: Option.none<DateTime.Utc>(),
      pongReceived: Option.some(DateTime.unsafeMake(1426238316232)),
      configEpoch: Option.some(2),
      linkState: Option.some("connected"),
      slots: [
        { start: 5461, end: 10922 },
        { start: 12000, end: 12000 }
      ],
      importing: [],
      migrating: [],
      text: lines[1] as string
    },
    {
      id: "e7d1",
      host: "",
      port: Option.some(30001),
      busPort: Option.some(31001),
      hostname: none,
      metadata: { "shard-id": "69bc" },
      flags: ["myself", "master"],
      master: none,
      pingSent: Option.some(DateTime.unsafeMake(1426238317741)),
      pongReceived: Option.none<DateTime.Utc>(),
      configEpoch: Option.some(1),
      linkState: Option.some("disconnected"),
      slots: [{ start: 0, end: 5460 }],
      importing: [{ slot: 77, node: "67ed" }],
      migrating: [{ slot: 93, node: "67ed" }],
      text: lines[2] as string
    },
    {
      id: "824f",
      host: "",
      port: Option.some(0),
      busPort: Option.none<number>(),
      hostname: none,
      metadata: {},
      flags: [],
      master: none,
      pingSent: Option.none<DateTime.Utc>(),
      pongReceived: Option.none<DateTime.Utc>(),
      configEpoch: Option.some(0),
      linkState: Option.some("connected"),
      slots: [],
      importing: [],
      migrating: [],
      text: lines[3] as string
    }
  ]

  it("CLUSTER NODES, REPLICAS and SLAVES", () => {
    const text = `${lines.join("\n")}\n`
    readsEach(cluster.clusterNodes(), [bulk(text), verbatim(text)], nodes)
    for (const command of [cluster.clusterReplicas(id), cluster.clusterSlaves(id)]) {
      reads(command, array(...lines.map(bulk)), nodes)
      reads(command, array(), [])
    }
    readsError(cluster.clusterNodes(), bulk("e7d1"), { _tag: "DecodeError", path: [0] })
    reads(cluster.clusterNodes(), bulk("824f :x@y"), [
      {
        ...(nodes[3] as ClusterNode),
        port: Option.none(),
        configEpoch: Option.none(),
        linkState: Option.none(),
        text: "824f :x@y"
      }
    ])
  })

  it("CLUSTER LINKS", () => {
    const link = [
      bulk("direction"),
      bulk("to"),
      bulk("node"),
      bulk(id),
      bulk("create-time"),
      int(1639442739375),
      bulk("events"),
      bulk("rw"),
      bulk("send-buffer-allocated"),
      int(4512),
      bulk("send-buffer-used"),
      int(12)
    ]
    const expected = {
      direction: Option.some("to"),
      node: id,
      createTime: Option.some(DateTime.unsafeMake(1639442739375)),
      events: Option.some("rw"),
      sendBufferAllocated: Option.some(4512),
      sendBufferUsed: Option.some(12),
      other: {}
    }
    readsEach(cluster.clusterLinks(), [array(array(...link)), array(map(...link))], [expected])
  })

  it("CLUSTER SHARDS", () => {
    const node = (...more: ReadonlyArray<string>) => [
      bulk("id"),
      bulk(id),
      bulk("port"),
      int(30001),
      bulk("ip"),
      bulk("127.0.0.1"),
      bulk("endpoint"),
      nil2,
      bulk("role"),
      bulk("replica"),
      bulk("replication-offset"),
      int(72156),
      bulk("health"),
      bulk("online"),
      ...more
    ]
    const expected = {
      id,
      port: Option.some(30001),
      tlsPort: Option.none<number>(),
      ip: Option.some("127.0.0.1"),
      endpoint: none,
      hostname: none,
      availabilityZone: none,
      role: Option.some("replica"),
      replicationOffset: Option.some(72156),
      health: Option.some("online"),
      other: {}
    }
    const slots = array(int(0), int(100), int(200), int(300))
    readsEach(
      cluster.clusterShards(),
      [
        array(array(bulk("slots"), slots, bulk("nodes"), array(array(...node())))),
        array(map(bulk("slots"), slots, bulk("nodes"), array(map(...node()))))
      ],
      [
        {
          id: none,
          slots: [
            { start: 0, end: 100 },
            { start: 200, end: 300 }
          ],
          nodes: [expected],
          other: {}
        }
      ]
    )
    const more = [bulk("tls-port"), int(1), bulk("hostname"), bulk("h"), bulk("availability-zone"), bulk("z")]
    reads(
      cluster.clusterShards(),
      array(map(bulk("slots"), array(), bulk("nodes"), array(map(...node(...more))), bulk("id"), bulk("s"))),
      [
        {
          id: Option.some("s"),
          slots: [],
          nodes: [
            { ...expected, tlsPort: Option.some(1), hostname: Option.some("h"), availabilityZone: Option.some("z") }
          ],
          other: {}
        }
      ]
    )
  })

  it("CLUSTER SLOTS", () => {
    const node = (host: string, port: number, metadata: string) => array(host, int(port), bulk(id), metadata)
    const slots = (record: typeof map, nil: string) =>
      array(
        array(
          int(0),
          int(5460),
          node(bulk("127.0.0.1"), 30001, record(bulk("hostname"), bulk("h"))),
          node(nil, 30004, record())
        ),
        array(int(5461), int(5461), array(bulk("127.0.0.1"), int(30002)))
      )
    readsEach(
      cluster.clusterSlots(),
      [slots(array, nil2), slots(map, nil)],
      [
        {
          start: 0,
          end: 5460,
          master: Option.some({
            endpoint: Option.some("127.0.0.1"),
            port: Option.some(30001),
            id: Option.some(id),
            metadata: { hostname: "h" }
          }),
          replicas: [{ endpoint: none, port: Option.some(30004), id: Option.some(id), metadata: {} }]
        },
        {
          start: 5461,
          end: 5461,
          master: Option.some({ endpoint: Option.some("127.0.0.1"), port: Option.some(30002), id: none, metadata: {} }),
          replicas: []
        }
      ]
    )
    reads(cluster.clusterSlots(), array(), [])
  })

  it("CLUSTER SLOT-STATS", () => {
    const all = [
      bulk("key-count"),
      int(2),
      bulk("cpu-usec"),
      int(50),
      bulk("network-bytes-in"),
      int(60),
      bulk("network-bytes-out"),
      int(70)
    ]
    readsEach(
      cluster.clusterSlotStats({ orderby: "key-count" }),
      [array(array(int(5), array(...all))), array(array(int(5), map(...all)))],
      [
        {
          slot: 5,
          keyCount: Option.some(2),
          cpuUsec: Option.some(50),
          networkBytesIn: Option.some(60),
          networkBytesOut: Option.some(70),
          memoryBytes: Option.none(),
          other: {}
        }
      ]
    )
    reads(cluster.clusterSlotStats({ orderby: "key-count" }), array(array(int(5), map(...all.slice(0, 2)))), [
      {
        slot: 5,
        keyCount: Option.some(2),
        cpuUsec: Option.none(),
        networkBytesIn: Option.none(),
        networkBytesOut: Option.none(),
        memoryBytes: Option.none(),
        other: {}
      }
    ])
  })

  it("CLUSTER MIGRATION in the form of Redis' own schema", () => {
    reads(cluster.clusterMigration({ import: { start: 0, end: 9 } }), bulk("task"), "task")
    reads(cluster.clusterMigration({ cancel: { all: true } }), int(2), 2)
    const task = [
      bulk("id"),
      bulk("task"),
      bulk("slots"),
      bulk("0-9 20-20"),
      bulk("source"),
      bulk("a"),
      bulk("dest"),
      bulk("b"),
      bulk("operation"),
      bulk("import"),
      bulk("state"),
      bulk("completed"),
      bulk("last_error"),
      bulk(""),
      bulk("retries"),
      int(1),
      bulk("create_time"),
      int(1795375927113),
      bulk("start_time"),
      int(1795375927114),
      bulk("end_time"),
      int(0),
      bulk("write_pause_ms"),
      int(7)
    ]
    readsEach(
      cluster.clusterMigration({ status: { all: true } }),
      [array(array(...task)), array(map(...task))],
      [
        {
          id: "task",
          slots: [
            { start: 0, end: 9 },
            { start: 20, end: 20 }
          ],
          source: Option.some("a"),
          dest: Option.some("b"),
          operation: Option.some("import"),
          state: Option.some("completed"),
          lastError: Option.some(""),
          retries: Option.some(1),
          createTime: Option.some(DateTime.unsafeMake(1795375927113)),
          startTime: Option.some(DateTime.unsafeMake(1795375927114)),
          endTime: Option.none(),
          writePause: Option.some(Duration.millis(7)),
          other: {}
        }
      ]
    )
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

const codeOf = <R>(effect: Effect.Effect<unknown, RedisError, R>) =>
  Effect.map(Effect.either(effect), (result) =>
    result._tag === "Right" ? "OK" : result.left._tag === "ReplyError" ? result.left.code : result.left._tag
  )

const all = { start: 0, end: 16383 }

liveSuite(
  "cluster",
  ({ isSince, live, name, needs, onLease, protocol, server: running }) => {
    /** Makes the node a new one, which knows no other node and which no other node knows. */
    const reset = cluster.clusterReset({ hard: true })
    // A primary refuses the reset while it holds keys, so they are flushed then; a replica refuses the flush.
    const fresh = Effect.catchAll(reset, () => Effect.zipRight(server.flushall(), reset))
    const another = Effect.suspend(() => {
      const installed = Servers.commandServers.find((server) => server.name === name)
      return installed === undefined
        ? Effect.dieMessage("no such server")
        : Servers.makeServer(installed, { mode: "cluster", config: { "cluster-node-timeout": 1500 } })
    })
    const on =
      (address: { readonly host: string; readonly port: number }) =>
      <A>(command: RedisCommand.RedisCommand<A>): Effect.Effect<A, RedisError> =>
        Effect.scoped(
          Effect.flatMap(
            Connection.make({ host: address.host, port: address.port, protocol, expect: "node" }),
            (connection) => connection.execute(command)
          )
        )

    live("a node that serves all slots", () =>
      Effect.gen(function* () {
        yield* fresh
        const me = yield* cluster.clusterMyid()
        expect(me).toMatch(/^[0-9a-f]{40}$/)
        yield* cluster.clusterSetConfigEpoch(3)
        yield* cluster.clusterAddslotsrange(all)
        const info = yield* until(cluster.clusterInfo(), ({ state }) => state === "ok")
        expect(info).toMatchObject({
          slotsAssigned: Option.some(16384),
          slotsOk: Option.some(16384),
          slotsFail: Option.some(0),
          knownNodes: Option.some(1),
          size: Option.some(1),
          currentEpoch: Option.some(3),
          myEpoch: Option.some(3)
        })
        expect(yield* cluster.clusterBumpepoch()).toMatch(/^(BUMPED|STILL) \d+$/)

        const slot = yield* cluster.clusterKeyslot("k")
        expect(slot).toBe(7629)
        expect(yield* cluster.clusterKeyslot("{k}.other")).toBe(slot)
        expect(yield* cluster.clusterCountkeysinslot(slot)).toBe(0)
        yield* strings.set("k", "v")
        expect(yield* cluster.clusterCountkeysinslot(slot)).toBe(1)
        expect(yield* cluster.clusterGetkeysinslot(slot, 10)).toEqual(["k"])
        expect(yield* binary.clusterGetkeysinslot(slot, 10)).toEqual([Uint8Array.of(107)])

        const [node, ...others] = yield* cluster.clusterNodes()
        expect(others).toEqual([])
        expect(node).toMatchObject({
          id: me,
          port: Option.some(running().port),
          slots: [all],
          linkState: Option.some("connected")
        })
        expect(node?.flags).toEqual(["myself", "master"])
        expect(node?.busPort).toEqual(Option.some(running().port + 10000))
        const [shard] = yield* cluster.clusterShards()
        expect(shard?.slots).toEqual([all])
        expect(shard?.nodes).toMatchObject([
          {
            id: me,
            port: Option.some(running().port),
            role: Option.some("master"),
            health: Option.some("online"),
            tlsPort: Option.none()
          }
        ])
        expect(shard === undefined || Option.isSome(shard.id)).toBe(isSince({ valkey: "9.1" }))
        const [slots] = yield* cluster.clusterSlots()
        expect(slots).toMatchObject({ ...all, replicas: [] })
        expect(slots?.master).toMatchObject({ value: { port: Option.some(running().port), id: Option.some(me) } })
        expect(yield* cluster.clusterLinks()).toEqual([])
        expect(yield* cluster.clusterCountFailureReports(me)).toBe(0)
        yield* cluster.clusterSaveconfig()
        expect(yield* codeOf(cluster.clusterReplicas("nosuch"))).toBe("ERR")

        yield* server.flushall()
        yield* cluster.clusterDelslots([0, 1])
        yield* cluster.clusterDelslotsrange([
          { start: 2, end: 9 },
          { start: 20, end: 29 }
        ])
        yield* cluster.clusterAddslots([5, 6])
        expect((yield* cluster.clusterNodes())[0]?.slots).toEqual([
          { start: 5, end: 6 },
          { start: 10, end: 19 },
          { start: 30, end: 16383 }
        ])
        yield* cluster.clusterFlushslots()
        expect((yield* cluster.clusterNodes())[0]?.slots).toEqual([])
        expect(yield* cluster.clusterSlots()).toEqual([])
        yield* cluster.clusterReset({ soft: true })
        yield* cluster.clusterReset()
        expect(yield* cluster.clusterMyid()).toBe(me)
      })
    )

    live("ASKING, READONLY and READWRITE on a leased connection", () =>
      Effect.gen(function* () {
        yield* onLease(cluster.asking())
        yield* onLease(cluster.readonly())
        yield* onLease(cluster.readwrite())
      })
    )

    live("CLUSTER MYSHARDID", () =>
      Effect.gen(function* () {
        yield* needs("CLUSTER MYSHARDID")
        expect(yield* cluster.clusterMyshardid()).toMatch(/^[0-9a-f]{40}$/)
      })
    )

    live("CLUSTER SLOT-STATS, CLUSTER FLUSHSLOT and CLUSTERSCAN", () =>
      Effect.gen(function* () {
        yield* needs("CLUSTER SLOT-STATS", "CLUSTER FLUSHSLOT", "CLUSTERSCAN")
        yield* fresh
        yield* cluster.clusterAddslotsrange(all)
        yield* until(cluster.clusterInfo(), ({ state }) => state === "ok")
        yield* server.configSet({ "cluster-slot-stats-enabled": true })
        const slot = yield* cluster.clusterKeyslot("k")
        yield* strings.set("k", "v")
        const [stats] = yield* cluster.clusterSlotStats({ slotsrange: { start: slot, end: slot } })
        expect(stats).toMatchObject({ slot, keyCount: Option.some(1), memoryBytes: Option.none() })
        expect(Option.getOrThrow(stats?.networkBytesIn ?? Option.none())).toBeGreaterThan(0)
        const top = yield* cluster.clusterSlotStats({ orderby: "network-bytes-in", limit: 2, desc: true })
        expect(top.map(({ slot }) => slot)[0]).toBe(slot)
        expect(top).toHaveLength(2)
        expect(yield* cluster.clusterSlotStats({ orderby: "key-count", asc: true })).toHaveLength(16384)
        yield* server.configSet({ "cluster-slot-stats-enabled": false })
        const [less] = yield* cluster.clusterSlotStats({ slotsrange: { start: slot, end: slot } })
        expect(less).toMatchObject({ keyCount: Option.some(1), cpuUsec: Option.none() })

        for (let i = 0; i < 100; i++) {
          yield* strings.set(`key:${i}`, "v")
        }
        const scan = (options: Parameters<typeof cluster.clusterscan>[1]) =>
          Effect.gen(function* () {
            const seen = new Set<string>()
            let cursor = "0"
            for (let pages = 0; pages === 0 || (cursor !== "0" && pages < 20_000); pages++) {
              const page = yield* cluster.clusterscan(cursor, options)
              for (const key of page.items) {
                seen.add(key)
              }
              cursor = page.cursor
            }
            expect(cursor).toBe("0")
            return seen
          })
        expect((yield* scan({ match: "key:*", count: 1000, type: "string" })).size).toBe(100)
        expect(yield* scan({ slot, count: 10 })).toEqual(new Set(["k"]))

        yield* cluster.clusterFlushslot(slot, { sync: true })
        expect(yield* cluster.clusterCountkeysinslot(slot)).toBe(0)
        yield* cluster.clusterFlushslot(slot, { async: true })
        yield* cluster.clusterFlushslot(slot)
      })
    )

    live("two nodes meet, replicate, fail over and forget each other", () =>
      Effect.gen(function* () {
        yield* fresh
        yield* cluster.clusterAddslotsrange(all)
        const me = yield* cluster.clusterMyid()
        const second = yield* another
        const other = yield* on(second)(cluster.clusterMyid())
        yield* cluster.clusterMeet(second.host, second.port, { clusterBusPort: second.port + 10000 })
        yield* until(cluster.clusterNodes(), (nodes) => nodes.some(({ id }) => id === other))
        yield* until(on(second)(cluster.clusterNodes()), (nodes) => nodes.some(({ id }) => id === me))
        const links = yield* until(cluster.clusterLinks(), (links) => links.length === 2)
        expect(new Set(links.map(({ direction }) => Option.getOrThrow(direction)))).toEqual(new Set(["to", "from"]))
        expect(links.every(({ node }) => node === other)).toBe(true)

        yield* cluster.clusterSetslot(5, { migrating: other })
        yield* on(second)(cluster.clusterSetslot(5, { importing: me }))
        expect((yield* cluster.clusterNodes()).find(({ id }) => id === me)?.migrating).toEqual([
          { slot: 5, node: other }
        ])
        expect((yield* on(second)(cluster.clusterNodes())).find(({ id }) => id === other)?.importing).toEqual([
          { slot: 5, node: me }
        ])
        yield* cluster.clusterSetslot(5, { stable: true })
        yield* on(second)(cluster.clusterSetslot(5, { stable: true }))
        yield* cluster.clusterSetslot(5, { node: me })

        yield* until(cluster.clusterInfo(), ({ state }) => state === "ok")
        yield* on(second)(cluster.clusterReplicate(me))
        const replicas = yield* until(cluster.clusterReplicas(me), ({ length }) => length === 1)
        expect(replicas).toMatchObject([
          { id: other, flags: ["slave"], master: Option.some(me), port: Option.some(second.port) }
        ])
        expect((yield* cluster.clusterSlaves(me)).map(({ id }) => id)).toEqual([other])
        const [slots] = yield* until(cluster.clusterSlots(), ([slots]) => slots?.replicas.length === 1)
        expect(slots?.replicas).toMatchObject([{ port: Option.some(second.port), id: Option.some(other) }])
        const [shard] = yield* until(cluster.clusterShards(), ([shard]) => shard?.nodes.length === 2)
        expect(shard?.nodes.map(({ role }) => Option.getOrThrow(role)).sort()).toEqual(["master", "replica"])

        expect(yield* codeOf(cluster.clusterFailover())).toBe("ERR")
        yield* until(
          on(second)(server.role()),
          (role) => role.role === "slave" && Option.contains(role.state, "connected")
        )
        yield* on(second)(cluster.clusterFailover({ takeover: true }))
        yield* until(server.role(), ({ role }) => role === "slave")
        expect((yield* cluster.clusterReplicas(other)).map(({ id }) => id)).toEqual([me])
        if (isSince({ valkey: "9.0" })) {
          yield* cluster.clusterReplicate("no one")
        } else {
          yield* fresh
        }
        yield* on(second)(cluster.clusterForget(me))
      }).pipe(Effect.ensuring(Effect.ignore(fresh)), Effect.scoped)
    )

    live("CLUSTER MIGRATESLOTS moves slots to another node", () =>
      Effect.gen(function* () {
        yield* needs("CLUSTER MIGRATESLOTS", "CLUSTER GETSLOTMIGRATIONS", "CLUSTER CANCELSLOTMIGRATIONS")
        yield* fresh
        yield* cluster.clusterAddslotsrange({ start: 0, end: 8191 })
        const me = yield* cluster.clusterMyid()
        const second = yield* another
        const other = yield* on(second)(cluster.clusterMyid())
        yield* on(second)(cluster.clusterAddslotsrange({ start: 8192, end: 16383 }))
        yield* cluster.clusterMeet(second.host, second.port)
        yield* until(cluster.clusterInfo(), ({ knownNodes, state }) => state === "ok" && Option.contains(knownNodes, 2))
        yield* until(on(second)(cluster.clusterInfo()), ({ state }) => state === "ok")
        expect(yield* codeOf(cluster.clusterCancelslotmigrations())).toBe("ERR")
        yield* cluster.clusterMigrateslots({
          slotsrange: [
            { start: 0, end: 9 },
            { start: 20, end: 29 }
          ],
          node: other
        })
        // The node still lists the migrations of earlier tests.
        const mine = Effect.map(cluster.clusterGetslotmigrations(), (jobs) =>
          jobs.filter(({ sourceNode }) => Option.contains(sourceNode, me))
        )
        const [job] = yield* until(mine, ([job]) => job !== undefined && Option.contains(job.state, "success"))
        expect(job).toMatchObject({
          operation: Option.some("EXPORT"),
          slots: [
            { start: 0, end: 9 },
            { start: 20, end: 29 }
          ],
          sourceNode: Option.some(me),
          targetNode: Option.some(other)
        })
        expect(
          Math.abs(DateTime.toEpochMillis(Option.getOrThrow(job?.createTime ?? Option.none())) - Date.now())
        ).toBeLessThan(60_000)
        const [received] = yield* on(second)(cluster.clusterGetslotmigrations())
        expect(received).toMatchObject({ name: job?.name, operation: Option.some("IMPORT") })
        expect((yield* on(second)(cluster.clusterNodes())).find(({ id }) => id === other)?.slots[0]).toEqual({
          start: 0,
          end: 9
        })
      }).pipe(Effect.ensuring(Effect.ignore(fresh)), Effect.scoped)
    )

    live("CLUSTER SYNCSLOTS is refused to a client", () =>
      Effect.gen(function* () {
        yield* needs("CLUSTER SYNCSLOTS")
        expect(yield* codeOf(onLease(cluster.clusterSyncslots({ snapshotEof: true })))).not.toBe("OK")
      })
    )
  },
  // A node waits for this timeout after a reset before it accepts writes.
  { server: { mode: "cluster", config: { "cluster-node-timeout": 1500 } } }
)
