/**
 * What a client of a cluster does where a hostile reader, the suites of other clients and the reports of their users say that
 * clients fail. Peers that are scripted play it; docs/cluster-cases.md lists the cases.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { slotOf } from "../../src/internal/cluster/slot.js"
import { Redis, type RedisService } from "../../src/Redis.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import * as RedisCommand from "../../src/RedisCommand.js"
import type { RedisError } from "../../src/RedisError.js"
import { RedisPubSub } from "../../src/RedisPubSub.js"
import { failure, quickly, settle } from "../support/client.js"
import { type ClusterPeers, type ClusterScript, make as makePeers, resp } from "../support/clusterPeers.js"
import * as Peer from "../support/peer.js"

type Services = Redis | RedisPubSub | RedisCluster.RedisCluster

interface Setting {
  readonly peers: ClusterPeers
  readonly run: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Services>>
}

/** A cluster of peers and a client of it. The script is given the ports of the peers as soon as there are some. */
const cluster = (
  count: number,
  script: (ports: ReadonlyArray<number>) => ClusterScript,
  options:
    | Partial<RedisCluster.RedisClusterOptions>
    | ((peers: ClusterPeers) => Partial<RedisCluster.RedisClusterOptions>) = {}
): Effect.Effect<Setting, RedisError, Scope.Scope> =>
  Effect.gen(function* () {
    const ports: Array<number> = []
    const peers = yield* makePeers(count, script(ports))
    ports.push(...peers.ports)
    const layer = RedisCluster.layer({
      nodes: peers.seeds.slice(0, 1),
      reconnect: quickly,
      refreshInterval: "1 hour",
      ...(typeof options === "function" ? options(peers) : options)
    })
    const services = yield* Layer.build(layer)
    return {
      peers,
      run: (effect) => Effect.provide(effect, services) as Effect.Effect<never, never, never>
    }
  })

/** With two owners, the left node has the slot of `left`, and the right one that of `right`. */
const left = "b"
const right = "a"
const moved = (key: string, port = 0) => resp(`-MOVED ${slotOf(key)} 127.0.0.1:${port}`)

/** An error by its tag and what else tells it apart. */
const kindOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const { _tag, ...rest } = failure(exit) as { readonly _tag: string; readonly [name: string]: unknown }
  return [_tag, rest.code ?? rest.reason ?? rest.phase, rest.delivery].filter((word) => word !== undefined).join(" ")
}

const address = ({ ports }: ClusterPeers, node: number): string => `127.0.0.1:${ports[node]}`

/** Ends the connections of a node and waits until one that is new stands. */
const reset = ({ peers }: ClusterPeers, node: number) =>
  Effect.suspend(() => {
    const peer = peers[node] as Peer.Peer
    const before = peer.connections.length
    for (const connection of peer.connections) {
      connection.reset()
    }
    return Peer.eventually("a new connection", () => peer.connections.length > before && peer.open() > 0)
  })

describe("what is for one node", () => {
  it.live("waits for its connection, and does not go to another one when the topology changes", () =>
    Effect.gen(function* () {
      let hangs = false
      let changed = false
      const { peers, run } = yield* cluster(
        2,
        () => ({
          onHello: (node) => (node === 1 && hangs ? undefined : Peer.hello3),
          onSlots: (_, topology) => {
            const [first, ...rest] = topology as ReadonlyArray<ReadonlyArray<unknown>>
            return resp(changed ? [[...(first ?? []), ["127.0.0.1", 1, "replica", []]], ...rest] : topology)
          },
          onCommand: ([name], node) => resp(name === "DBSIZE" ? (node === 0 ? 5 : 7) : `node${node}`)
        }),
        { refreshInterval: "50 millis" }
      )
      hangs = true
      yield* reset(peers, 1)
      const size = yield* Effect.fork(run(Redis.dbsize()))
      const id = yield* Effect.fork(run(RedisCluster.onNode(address(peers, 1), RedisCommand.make("CLUSTER MYID"))))
      yield* Peer.eventually("the other node was asked", () => peers.received(0).includes("DBSIZE"))
      changed = true
      const replicas = Effect.map(RedisCluster.topology, (ranges) => ranges.flatMap(({ replicas }) => replicas))
      yield* Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), run(replicas)), {
        until: ({ length }) => length > 0
      })
      hangs = false
      yield* reset(peers, 1)
      expect(yield* Fiber.join(size)).toBe(12)
      expect(yield* Fiber.join(id)).toBe("node1")
      expect(peers.received(0).filter((line) => line === "DBSIZE")).toHaveLength(1)
    }).pipe(Effect.scoped)
  )
})

/** A range of CLUSTER SLOTS: its primary and its replicas by their ports. */
const range = (from: number, to: number, ports: ReadonlyArray<number | undefined>) => [
  from,
  to,
  ...ports.map((port) => ["127.0.0.1", port ?? 0, `id${port}`, []])
]

describe("reads from replicas", () => {
  const serving = ([name]: ReadonlyArray<string>) => resp(name === "READONLY" ? "+OK" : "value")

  it.live("that all refuse to serve are tried again with pauses", () =>
    Effect.gen(function* () {
      const { peers, run } = yield* cluster(
        2,
        (ports) => ({
          owners: 1,
          onSlots: () => resp([range(0, 16_383, ports)]),
          onCommand: (command, node) =>
            command[0] === "GET" && node === 1
              ? resp("-LOADING Redis is loading the dataset in memory")
              : serving(command)
        }),
        { readFrom: "replica" }
      )
      const read = run(Redis.get(left).pipe(RedisCommand.withDeadline("500 millis")))
      expect(kindOf(yield* Effect.exit(read))).toBe("DeadlineError queue unsent")
      expect(peers.received(1).length).toBeLessThan(12)
    }).pipe(Effect.scoped)
  )

  it.live("do not wait for a replica that is down while another one is there", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 6; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { run } = yield* cluster(
              2,
              (ports) => ({
                owners: 1,
                // Nothing listens on port 1.
                onSlots: () => resp([range(0, 16_383, [...ports, 1])]),
                onCommand: serving
              }),
              { readFrom: "replica" }
            )
            expect(yield* run(Redis.get(left))).toEqual(Option.some("value"))
          })
        )
      }
    })
  )
})

describe("a connection of its own (a lease)", () => {
  const withLease = <A, E>(use: (lease: RedisService) => Effect.Effect<A, E, Redis>) =>
    Effect.scoped(Effect.flatMap(Redis, (redis) => Effect.flatMap(redis.lease, use)))
  const script = RedisCommand.make("EVAL", { args: ["return 1", "1", RedisCommand.key(left)] })

  it.live.each([`MOVED ${slotOf(left)} 127.0.0.1:PORT`, `ASK ${slotOf(left)} 127.0.0.1:PORT`, "TRYAGAIN later"])(
    "gives the error %j of a script as it is, and connects to nobody",
    (text) =>
      Effect.gen(function* () {
        const spy = yield* Peer.make(Peer.pong)
        const forged = resp(`-${text.replace("PORT", String(spy.port))}`)
        const { run } = yield* cluster(
          2,
          () => ({ onCommand: ([name]) => (name === "EVAL" ? forged : resp("value")) }),
          { password: Redacted.make("secret") }
        )
        expect(kindOf(yield* Effect.exit(run(withLease((lease) => lease.send(script)))))).toBe(
          `ReplyError ${text.split(" ")[0]}`
        )
        // A later command goes where it went before.
        expect(yield* run(Redis.get(left))).toEqual(Option.some("value"))
        expect(spy.connections).toHaveLength(0)
      }).pipe(Effect.scoped)
  )

  it.live("ends as not sent when its slot moved meanwhile, as the client knows already", () =>
    Effect.gen(function* () {
      let owner = 0
      const { run } = yield* cluster(2, (ports) => ({
        onCommand: (_, node) => (node === owner ? resp("value") : moved(left, ports[owner]))
      }))
      const used = withLease((lease) =>
        Effect.gen(function* () {
          yield* lease.send(Redis.get(left))
          owner = 1
          yield* Redis.get(left)
          const again = yield* Effect.exit(lease.send(Redis.get(left)))
          // A slot that was never of this node is another matter.
          const other = yield* Effect.exit(lease.send(Redis.get(right)))
          return [kindOf(again), kindOf(other)]
        })
      )
      expect(yield* run(used)).toEqual(["ConnectionError noNode unsent", "UsageError crossSlot"])
    }).pipe(Effect.scoped)
  )

  it.live("opens once, also when its first command stops waiting for that", () =>
    Effect.gen(function* () {
      let hangs = false
      const { peers, run } = yield* cluster(2, () => ({
        onHello: () => (hangs ? undefined : Peer.hello3),
        onCommand: () => resp("value")
      }))
      const before = peers.peers[0]?.connections.length ?? 0
      hangs = true
      const used = withLease((lease) =>
        Effect.gen(function* () {
          yield* Effect.timeoutOption(lease.send(Redis.get(left)), "50 millis")
          hangs = false
          peers.peers[0]?.connections[before]?.reset()
          return yield* lease.send(Redis.get(left))
        })
      )
      expect(yield* run(used)).toEqual(Option.some("value"))
      expect(peers.peers[0]?.connections).toHaveLength(before + 2)
    }).pipe(Effect.scoped)
  )

  it.live("is opened by a later command when it could not be opened at once", () =>
    Effect.gen(function* () {
      let isLoading = false
      const { run } = yield* cluster(
        2,
        () => ({
          onHello: () => (isLoading ? resp("-LOADING Redis is loading the dataset in memory") : Peer.hello3),
          onCommand: () => resp("value")
        }),
        { offline: "fail", reconnect: Schedule.spaced("100 millis") }
      )
      isLoading = true
      const get = (lease: RedisService) => Effect.exit(lease.send(Redis.get(left)))
      const used = withLease((lease) =>
        Effect.gen(function* () {
          // The second one fails during the pause between two attempts.
          expect([yield* get(lease), yield* get(lease)].filter(Exit.isFailure)).toHaveLength(2)
          isLoading = false
          const works = Effect.map(withLease(get), Exit.isSuccess)
          yield* Effect.repeat(Effect.zipLeft(works, Effect.sleep("5 millis")), { until: (isDone) => isDone })
          return yield* lease.send(Redis.get(left))
        })
      )
      expect(yield* run(used)).toEqual(Option.some("value"))
    }).pipe(Effect.scoped)
  )
})

describe("the topology", () => {
  it.live("is asked for again after a search for seeds that never ended", () =>
    Effect.gen(function* () {
      let searches = 0
      const { peers } = yield* cluster(
        2,
        () => ({ onCommand: () => resp("value") }),
        (peers) => ({
          connectTimeout: "300 millis",
          nodes: Effect.suspend(() => (++searches === 3 ? Effect.never : Effect.succeed(peers.seeds)))
        })
      )
      const lose = Effect.sync(() => {
        for (const connection of peers.peers.flatMap(({ connections }) => connections)) {
          connection.reset()
        }
      })
      // Nobody is connected just then, so the seeds are searched for.
      yield* Effect.repeat(Effect.zipRight(lose, Effect.sleep("20 millis")), { until: () => searches >= 3 })
      const asked = peers.refreshes()
      const tries = yield* Effect.repeat(
        Effect.map(Effect.zipRight(lose, Effect.sleep("50 millis")), () => peers.refreshes()),
        { until: (now) => now > asked, times: 100 }
      )
      expect(tries).toBeGreaterThan(asked)
    }).pipe(Effect.scoped)
  )

  it.live("makes the client ready once every slot has an owner, although no node has changed", () =>
    Effect.gen(function* () {
      let complete = false
      const { peers, run } = yield* cluster(
        2,
        (ports) => ({
          onSlots: () => resp([range(0, 8191, [ports[0]]), range(8192, complete ? 16_383 : 16_000, [ports[1]])]),
          onCommand: () => resp("value")
        }),
        { refreshInterval: "50 millis" }
      )
      const changes = Stream.unwrap(Effect.map(Redis, ({ status }) => status.changes))
      const incomplete = Stream.filter(changes, ({ _tag }) => _tag === "Reconnecting")
      expect(yield* run(Stream.runHead(incomplete))).toMatchObject({
        value: {
          cause: { reason: "noNode", message: expect.stringContaining("383 of 16384 hash slots have no owner") }
        }
      })
      const nodes = yield* run(RedisCluster.nodes)
      expect(nodes.map(({ address }) => address)).toEqual([address(peers, 0), address(peers, 1)])
      yield* Peer.eventually("both are connected", () => peers.peers.every((peer) => peer.open() > 0))
      complete = true
      yield* run(Stream.runDrain(Stream.takeUntil(changes, ({ _tag }) => _tag === "Ready")))
      expect((yield* run(RedisCluster.nodes)).map(({ role, status }) => [role, status._tag])).toEqual([
        ["primary", "Ready"],
        ["primary", "Ready"]
      ])
    }).pipe(Effect.scoped)
  )

  it.live("does not know the owner of a slot yet: commands of each kind wait for it", () =>
    Effect.gen(function* () {
      let complete = false
      const { peers, run } = yield* cluster(2, (ports) => ({
        onSlots: () => resp([range(0, 8191, [ports[0]]), range(8192, complete ? 16_383 : 15_000, [ports[1]])]),
        onCommand: ([name]) => (name === "BLPOP" ? resp([right, "value"]) : resp(name === "MSET" ? "+OK" : "value"))
      }))
      const all = yield* Effect.fork(
        run(
          Effect.all(
            [
              Redis.get(right),
              Effect.map(Redis.pipeline([Redis.get(right)]), ([value]) => value),
              Effect.as(Redis.mset({ [left]: "1", [right]: "2" }), "set"),
              Redis.blpop([right], { timeout: "10 seconds" })
            ],
            { concurrency: "unbounded" }
          )
        )
      )
      yield* Peer.eventually("the other part was sent", () => peers.received(0).length > 0)
      complete = true
      expect(yield* Fiber.join(all)).toEqual([
        Option.some("value"),
        Option.some("value"),
        "set",
        Option.some([right, "value"])
      ])
    }).pipe(Effect.scoped)
  )
})

describe("a blocking command", () => {
  it.live("at a node that lost its last slot waits until the node says so, and goes on at the new owner", () =>
    Effect.gen(function* () {
      let gone = false
      let blocked: Peer.PeerConnection | undefined
      const { peers, run } = yield* cluster(2, (ports) => ({
        onSlots: (_, topology) => resp(gone ? [range(0, 16_383, [ports[1]])] : topology),
        onNodes: (node, text) =>
          resp(gone ? `x 127.0.0.1:${ports[1]}@1 ${node === 1 ? "myself," : ""}master - 0 0 9 connected` : text),
        onCommand: ([name], node, connection) => {
          if (name === "BLPOP" && node === 0) {
            blocked = connection
            return undefined
          }
          return name === "BLPOP" ? resp([left, "x"]) : gone && node === 0 ? moved(left, ports[1]) : resp("value")
        }
      }))
      const popped = yield* Effect.fork(run(Redis.blpop([left], { timeout: "20 seconds" })))
      yield* Peer.eventually("it blocks", () => blocked !== undefined)
      gone = true
      yield* run(Redis.get(left))
      yield* Peer.eventually("the node left", () => peers.refreshes() > 2 && peers.received(1).length > 0)
      yield* Effect.sleep("200 millis")
      blocked?.write(moved(left, peers.ports[1]))
      expect(yield* Fiber.join(popped)).toEqual(Option.some([left, "x"]))
      // And then its connections are closed.
      yield* Peer.eventually("the node is left alone", () => peers.peers[0]?.open() === 0)
    }).pipe(Effect.scoped)
  )

  it.live("that waits for a connection to a dead node goes on at its successor", () =>
    Effect.gen(function* () {
      let dead = false
      let gone = false
      const { peers, run } = yield* cluster(
        2,
        (ports) => ({
          onHello: (node) => (node === 0 && dead ? undefined : Peer.hello3),
          onSlots: (_, topology) => resp(gone ? [range(0, 16_383, [ports[1]])] : topology),
          onNodes: (_, text) => resp(gone ? `x 127.0.0.1:${ports[1]}@1 myself,master - 0 0 9 connected` : text),
          onCommand: ([name]) => (name === "BLPOP" ? resp([left, "x"]) : resp("value"))
        }),
        { refreshInterval: "50 millis" }
      )
      dead = true
      yield* reset(peers, 0)
      const popped = yield* Effect.fork(run(Redis.blpop([left], { timeout: "20 seconds" })))
      const opened = peers.peers[0]?.connections.length ?? 0
      yield* Peer.eventually("it connects", () => (peers.peers[0]?.connections.length ?? 0) > opened)
      gone = true
      expect(yield* Fiber.join(popped)).toEqual(Option.some([left, "x"]))
    }).pipe(Effect.scoped)
  )
})

describe("subscriptions", () => {
  const confirming = ([name = "", channel]: ReadonlyArray<string>) =>
    /SUBSCRIBE$/.test(name) ? `>3\r\n${resp(name.toLowerCase())}${resp(channel)}:1\r\n` : resp("+OK")
  const lines = (peers: ClusterPeers, node: number, name: string) =>
    peers.received(node).filter((line) => line.startsWith(`${name} `))

  it.live("to keyspace events reach a primary that joined with a shard channel", () =>
    Effect.gen(function* () {
      let joined = false
      const slot = slotOf(left)
      const { peers, run } = yield* cluster(
        3,
        (ports) => ({
          owners: 2,
          onSlots: (_, topology) =>
            resp(
              joined
                ? [
                    range(0, slot - 1, [ports[0]]),
                    range(slot, slot, [ports[2]]),
                    range(slot + 1, 8191, [ports[0]]),
                    range(8192, 16_383, [ports[1]])
                  ]
                : topology
            ),
          onNodes: (node, text) =>
            resp(
              joined
                ? [0, 1, 2]
                    .map((i) => `id${ports[i]} 127.0.0.1:${ports[i]}@1 ${i === node ? "myself," : ""}master - 0 0 9 ok`)
                    .join("\n")
                : text
            ),
          onCommand: confirming
        }),
        { refreshInterval: "50 millis" }
      )
      yield* Effect.forkScoped(run(Stream.runDrain(RedisPubSub.withGaps.sstream([left]))))
      yield* Effect.forkScoped(run(Stream.runDrain(RedisPubSub.withGaps.pstream(["__keyevent@0__:*"]))))
      yield* Peer.eventually(
        "all are subscribed",
        () =>
          [0, 1].every((node) => lines(peers, node, "PSUBSCRIBE").length === 1) &&
          lines(peers, 0, "SSUBSCRIBE").length === 1
      )
      joined = true
      yield* Peer.eventually("the shard channel moved", () => lines(peers, 2, "SSUBSCRIBE").length === 1)
      yield* Peer.eventually("its events are wanted", () => lines(peers, 2, "PSUBSCRIBE").length === 1)
    }).pipe(Effect.scoped)
  )

  it.live("to keyspace events reach a primary that joined, left while it was not ready, and joined again", () =>
    Effect.gen(function* () {
      let isPart = false
      let isLoading = true
      const { peers, run } = yield* cluster(
        3,
        (ports) => ({
          owners: 2,
          onHello: (node) =>
            node === 2 && isLoading ? resp("-LOADING Redis is loading the dataset in memory") : Peer.hello3,
          onSlots: (_, topology) =>
            resp(
              isPart
                ? [range(0, 8191, [ports[0]]), range(8192, 16_000, [ports[1]]), range(16_001, 16_383, [ports[2]])]
                : topology
            ),
          onNodes: (node) =>
            resp(
              (isPart ? [0, 1, 2] : [0, 1])
                .map((i) => `n${i} 127.0.0.1:${ports[i]}@1 ${i === node ? "myself," : ""}master - 0 0 ${i + 1} ok`)
                .join("\n")
            ),
          onCommand: (command) =>
            command.slice(0, 2).join(" ") === "CONFIG GET"
              ? resp(["notify-keyspace-events", "AKE"])
              : confirming(command)
        }),
        { refreshInterval: "20 millis" }
      )
      const knows = (count: number) =>
        Effect.repeat(
          Effect.zipRight(
            Effect.sleep("5 millis"),
            run(
              Effect.map(RedisCluster.topology, (ranges) => new Set(ranges.map(({ primary }) => primary.address)).size)
            )
          ),
          { until: (size) => size === count }
        )
      yield* Effect.forkScoped(run(Stream.runDrain(RedisPubSub.keyevents("*", { notify: "KEA" }))))
      yield* Peer.eventually("it is subscribed", () =>
        [0, 1].every((node) => lines(peers, node, "PSUBSCRIBE").length === 1)
      )
      isPart = true
      yield* knows(3)
      isPart = false
      yield* knows(2)
      isLoading = false
      isPart = true
      yield* knows(3)
      yield* Peer.eventually("its events are wanted", () => lines(peers, 2, "PSUBSCRIBE").length > 0)
    }).pipe(Effect.scoped)
  )

  it.live("to channels leave a node that is no longer part of the cluster, with a gap", () =>
    Effect.gen(function* () {
      let gone: number | undefined
      const rest = (ports: ReadonlyArray<number>) => ports.filter((_, node) => node !== gone)
      const { peers, run } = yield* cluster(
        3,
        (ports) => ({
          onSlots: (_, topology) =>
            resp(
              gone === undefined ? topology : [range(0, 8191, [rest(ports)[0]]), range(8192, 16_383, [rest(ports)[1]])]
            ),
          onNodes: (node, text) =>
            resp(
              gone === undefined
                ? text
                : rest(ports)
                    .map(
                      (port) => `x${port} 127.0.0.1:${port}@1 ${port === ports[node] ? "myself," : ""}master - 0 0 9 ok`
                    )
                    .join("\n")
            ),
          onCommand: confirming
        }),
        { refreshInterval: "50 millis" }
      )
      let gaps = 0
      const messages = Stream.runForEach(RedisPubSub.withGaps.stream(["news"]), (message) =>
        Effect.sync(() => {
          gaps += RedisPubSub.isGap(message) ? 1 : 0
        })
      )
      yield* Effect.forkScoped(run(messages))
      const subscribed = () => [0, 1, 2].filter((node) => lines(peers, node, "SUBSCRIBE").length > 0)
      yield* Peer.eventually("it is subscribed", () => subscribed().length === 1)
      gone = subscribed()[0]
      yield* Peer.eventually("it is subscribed elsewhere", () => subscribed().length === 2)
      yield* Peer.eventually("the gap was told", () => gaps === 1)
    }).pipe(Effect.scoped)
  )
})

describe("a scan", () => {
  it.live("whose later page is always lost ends with the error, after a while", () =>
    Effect.gen(function* () {
      const { run } = yield* cluster(2, () => ({
        onCommand: ([name, , cursor], _, connection) => {
          switch (name) {
            case "INFO":
              return resp("run_id:abc")
            case "HSCAN":
              if (cursor === "0") {
                return resp(["5", ["field", "value"]])
              }
              connection.reset()
              return undefined
            default:
              return resp("+OK")
          }
        }
      }))
      const scan = run(Stream.runDrain(Redis.hscanStream(left)))
      expect(kindOf(yield* Effect.exit(scan))).toBe("ConnectionError transport unknown")
    }).pipe(Effect.scoped)
  )
})

describe("a command in parts", () => {
  it.live.each(["text", null, [], 5])("of which one is answered with %j fails with a DecodeError", (reply) =>
    Effect.gen(function* () {
      const { run } = yield* cluster(2, () => ({ onCommand: (_, node) => resp(node === 0 ? reply : ["value"]) }))
      expect(kindOf(yield* Effect.exit(run(Redis.mget([left, right]))))).toMatch(/^DecodeError/)
    }).pipe(Effect.scoped)
  )
})

describe("a redirection to the node itself", () => {
  it.live("by each of many commands opens few connections", () =>
    Effect.gen(function* () {
      const { peers, run } = yield* cluster(2, (ports) => ({
        onCommand: (_, node) => (node === 0 ? moved(left, ports[0]) : resp("value"))
      }))
      const before = peers.peers[0]?.connections.length ?? 0
      const started = performance.now()
      const read = Effect.exit(run(Redis.get(left).pipe(RedisCommand.withDeadline("200 millis"))))
      yield* Effect.all(
        Array.from({ length: 50 }, () => Effect.repeatN(read, 4)),
        { concurrency: "unbounded" }
      )
      const opened = (peers.peers[0]?.connections.length ?? 0) - before
      expect(opened).toBeLessThan(3 + (performance.now() - started) / 250)
    }).pipe(Effect.scoped)
  )
})

describe("writes of one key that were refused together", () => {
  it.live.each([
    "CLUSTERDOWN The cluster is down",
    "READONLY You can't write against a read only replica.",
    "TRYAGAIN"
  ])("with %j are sent again in their order", (error) =>
    Effect.gen(function* () {
      const count = 30
      let refused = 0
      const { peers, run } = yield* cluster(2, () => ({
        onCommand: () => (refused++ < count ? resp(`-${error}`) : resp("+OK"))
      }))
      const values = Array.from({ length: count }, (_, i) => `${i}`)
      yield* Effect.all(
        values.map((value) => run(Redis.set(left, value))),
        { concurrency: "unbounded" }
      )
      const sent = peers.received(0).slice(count)
      expect(sent).toEqual(values.map((value) => `SET ${left} ${value}`))
    }).pipe(Effect.scoped)
  )

  it.live("end at the deadline of each, however long the others wait", () =>
    Effect.gen(function* () {
      const { run } = yield* cluster(2, () => ({ onCommand: () => resp("-CLUSTERDOWN The cluster is down") }))
      const started = performance.now()
      const ended = (millis: number) =>
        Effect.map(Effect.exit(run(Redis.get(left).pipe(RedisCommand.withDeadline(`${millis} millis`)))), (exit) => {
          expect(kindOf(exit)).toMatch(/^DeadlineError/)
          return performance.now() - started
        })
      const [short, long] = yield* Effect.all([ended(150), ended(900)], { concurrency: "unbounded" })
      expect(short).toBeLessThan(700)
      expect(long).toBeGreaterThan(850)
    }).pipe(Effect.scoped)
  )
})

describe("every connection", () => {
  it.live("is given the credentials: of nodes that were found, of leases and of subscriptions", () =>
    Effect.gen(function* () {
      const { peers, run } = yield* cluster(
        2,
        () => ({
          onCommand: ([name = "", channel]) =>
            /SUBSCRIBE$/.test(name) ? `>3\r\n${resp(name.toLowerCase())}${resp(channel)}:1\r\n` : resp([right, "x"])
        }),
        { password: Redacted.make("secret") }
      )
      yield* run(Redis.blpop([right], { timeout: "1 second" }))
      yield* Effect.forkScoped(run(Stream.runDrain(RedisPubSub.stream(["news"]))))
      yield* Effect.forkScoped(run(Stream.runDrain(RedisPubSub.sstream([right]))))
      const all = () => peers.peers.flatMap(({ connections }) => connections)
      yield* Peer.eventually(
        "both are subscribed",
        () => all().filter(({ received }) => received.some(([name]) => /SUBSCRIBE$/.test(name ?? ""))).length === 2
      )
      for (const { received } of all()) {
        expect(received[0]?.slice(0, 5)).toEqual(["HELLO", "3", "AUTH", "default", "secret"])
      }
    }).pipe(Effect.scoped)
  )
})

describe("a pipeline", () => {
  it.live("whose redirected command meets a node that says nothing ends at its deadline, with the other results", () =>
    Effect.gen(function* () {
      const { run } = yield* cluster(3, (ports) => ({
        owners: 2,
        onNodes: () => resp("-NOPERM no"),
        onCommand: (_, node) => (node === 0 ? moved(left, ports[2]) : node === 1 ? resp("value") : undefined)
      }))
      const [one, other] = yield* run(
        Redis.pipeline([Redis.get(left), Redis.get(right)], { deadline: "400 millis", mode: "either" })
      )
      expect(one).toMatchObject({ _tag: "Left", left: { _tag: "DeadlineError", phase: "reply" } })
      expect(other).toMatchObject({ _tag: "Right", right: Option.some("value") })
    }).pipe(Effect.scoped)
  )
})

describe('with offline: "fail"', () => {
  it.live("a redirection to a node that is not connected yet is followed", () =>
    Effect.gen(function* () {
      const { run } = yield* cluster(
        3,
        (ports) => ({
          owners: 2,
          onNodes: () => resp("-NOPERM no"),
          onCommand: (_, node) => (node === 2 ? resp("value") : moved(left, ports[2]))
        }),
        { offline: "fail" }
      )
      expect(yield* run(Redis.get(left))).toEqual(Option.some("value"))
    }).pipe(Effect.scoped)
  )

  it.live("a command for a node whose first connection is being opened waits for it", () =>
    Effect.gen(function* () {
      const keys = Array.from({ length: 60 }, (_, i) => `key${i}`)
      const { run } = yield* cluster(12, () => ({ onCommand: () => resp("value") }), { offline: "fail" })
      const all = Effect.forEach(keys, (key) => Redis.get(key), { concurrency: "unbounded" })
      expect(yield* run(all)).toHaveLength(60)
    }).pipe(Effect.scoped)
  )

  it.live(
    "a command that was lost at a node that left may have been executed, also when its successor is not connected",
    () =>
      Effect.gen(function* () {
        let isGone = false
        const { peers, run } = yield* cluster(
          3,
          (ports) => ({
            owners: 2,
            onHello: (node) => (node === 2 ? resp("-LOADING Redis is loading the dataset in memory") : Peer.hello3),
            // The lost command is answered with nothing, and so is what comes after it.
            onSlots: (node, topology) =>
              node === 1 && isGone
                ? undefined
                : resp(isGone ? [range(0, 8191, [ports[0]]), range(8192, 16_383, [ports[2]])] : topology),
            onNodes: (node) =>
              node === 1 && isGone
                ? undefined
                : resp(
                    (isGone ? [0, 2] : [0, 1])
                      .map(
                        (i) => `n${i} 127.0.0.1:${ports[i]}@1 ${i === node ? "myself," : ""}master - 0 0 ${i + 1} ok`
                      )
                      .join("\n")
                  ),
            onCommand: ([name]) => {
              isGone ||= name === "SET"
              return isGone ? undefined : resp("value")
            }
          }),
          { offline: "fail", refreshInterval: "20 millis" }
        )
        const set = RedisCommand.repeatable(Redis.set(right, "1"))
        yield* Peer.eventually("the node is connected", () => peers.peers[1]?.open() === 1)
        yield* Effect.repeat(Effect.either(run(Redis.get(right))), { until: Either.isRight })
        const lost = yield* Effect.fork(Effect.exit(run(set)))
        yield* Peer.eventually("it was written", () => peers.received(1).includes(`SET ${right} 1`))
        isGone = true
        yield* Peer.eventually("the successor refuses", () => (peers.peers[2]?.connections.length ?? 0) > 1)
        for (const connection of peers.peers[1]?.connections ?? []) {
          connection.reset()
        }
        expect(kindOf(yield* Fiber.join(lost))).toMatch(/^ConnectionError \w+ unknown$/)
      }).pipe(Effect.scoped)
  )
})

describe("a shard channel", () => {
  it.live("that its node redirects is subscribed to where the redirection leads", () =>
    Effect.gen(function* () {
      const { peers, run } = yield* cluster(2, (ports) => ({
        onCommand: ([name = "", channel], node) =>
          name !== "SSUBSCRIBE"
            ? resp("+OK")
            : node === 0
              ? moved(left, ports[1])
              : `>3\r\n${resp("ssubscribe")}${resp(channel)}:1\r\n`
      }))
      yield* run(Effect.scoped(RedisPubSub.ssubscribe([left])))
      expect(peers.received(1).filter((line) => line === `SSUBSCRIBE ${left}`)).toHaveLength(1)
    }).pipe(Effect.scoped)
  )
})

describe("closing", () => {
  it.live("ends commands that wait to be sent again, and closes every connection", () =>
    Effect.gen(function* () {
      const peers = yield* makePeers(2, { onCommand: () => resp("-CLUSTERDOWN The cluster is down") })
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          const redis = yield* RedisCluster.make({ nodes: peers.seeds })
          const waiting = yield* Effect.forkDaemon(Effect.exit(redis.send(Redis.get(left))))
          yield* Peer.eventually("it was refused", () => peers.received(0).length > 0)
          return waiting
        })
      )
      // The second, when its refusal comes after the client began to close.
      expect(kindOf(yield* Fiber.join(waiting))).toMatch(/^(ConnectionError closed unsent|ReplyError CLUSTERDOWN)$/)
      yield* Peer.eventually("all is closed", () => peers.peers.every(({ open }) => open() === 0))
    }).pipe(Effect.scoped)
  )
})

describe("a batch", () => {
  it.live("sends to each node in its order, also what goes to every node", () =>
    Effect.gen(function* () {
      const { peers, run } = yield* cluster(2, () => ({ onCommand: () => resp("+OK") }))
      yield* run(Redis.pipeline([Redis.set(left, "0"), Redis.flushall(), Redis.set(left, "1"), Redis.set(right, "2")]))
      expect(peers.received(0)).toEqual([`SET ${left} 0`, "FLUSHALL", `SET ${left} 1`])
      expect(peers.received(1)).toEqual(["FLUSHALL", `SET ${right} 2`])
    }).pipe(Effect.scoped)
  )

  it.live("with an argument that cannot be sent fails before anything is sent", () =>
    Effect.gen(function* () {
      const { peers, run } = yield* cluster(2, () => ({ onCommand: () => resp("+OK") }))
      const lone = "\ud800"
      const pipelines = [left, right].map((key) => Redis.pipeline([Redis.set(key, lone), Redis.set(right, "1")]))
      for (const batch of [...pipelines, Redis.mset({ [left]: lone, [right]: "2" })]) {
        expect(kindOf(yield* Effect.exit(run(batch)))).toBe("UsageError invalidArgument")
      }
      expect([...peers.received(0), ...peers.received(1)]).toEqual([])
    }).pipe(Effect.scoped)
  )

  it.live("that is run again has its whole deadline again", () =>
    Effect.gen(function* () {
      let refuses = false
      const { run } = yield* cluster(2, () => ({
        onCommand: () => {
          const refused = refuses
          refuses = false
          return resp(refused ? "-TRYAGAIN later" : "value")
        }
      }))
      const redis = yield* run(Redis)
      const batch = redis.sendAll([Redis.get(left)], { atomic: false, deadline: 300 })
      yield* batch
      yield* Effect.sleep("350 millis")
      refuses = true
      expect((yield* batch).exits).toEqual([Exit.succeed(Option.some("value"))])
    }).pipe(Effect.scoped)
  )

  it.live("without a deadline has none either when it is sent again", () =>
    Effect.gen(function* () {
      let asked = 0
      const { run } = yield* cluster(
        2,
        () => ({
          onCommand: (_, __, connection) => {
            asked++
            if (asked > 1) {
              setTimeout(() => connection.write(resp("value")), 300)
            }
            return asked > 1 ? undefined : resp("-TRYAGAIN later")
          }
        }),
        { replyTimeout: "100 millis" }
      )
      expect(yield* run(Redis.pipeline([Redis.get(left)], { deadline: Duration.infinity }))).toEqual([
        Option.some("value")
      ])
    }).pipe(Effect.scoped)
  )
})

describe("a command that is taken back while its caller still cleans up", () => {
  /** Interrupts a SET of a caller whose finalizer goes on until `sent` holds; then looks whether the SET was sent, too. */
  const takenBack = (
    { peers, run }: Setting,
    key: string,
    change: Effect.Effect<void>,
    sent: () => boolean
  ): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      const cleaned = yield* Deferred.make<void>()
      const clean = Deferred.succeed(cleaned, undefined)
      const set = Effect.onInterrupt(Effect.either(run(Redis.set(key, "taken back"))), () => Deferred.await(cleaned))
      const caller = yield* Effect.fork(set)
      yield* settle
      const interrupting = yield* Effect.fork(Fiber.interrupt(caller))
      yield* Effect.gen(function* () {
        yield* settle
        yield* change
        const other = yield* Effect.fork(Effect.either(run(Redis.set(key, "other"))))
        yield* Peer.eventually("a later command was sent", sent)
        yield* Fiber.join(other)
        // Also when this fails: nothing ends while the caller cleans up.
      }).pipe(Effect.ensuring(clean))
      yield* Fiber.join(interrupting)
      return peers.peers.flatMap((_, node) => peers.received(node)).some((line) => line.endsWith("taken back"))
    })

  it.live("is not sent when it waited for an owner of its slot", () =>
    Effect.gen(function* () {
      let isOwned = false
      const setting = yield* cluster(
        2,
        () => ({
          onSlots: (_, topology) => resp(isOwned ? topology : (topology as ReadonlyArray<unknown>).slice(0, 1)),
          onNodes: (node, text) =>
            resp(isOwned ? text : (text.split("\n")[0] ?? "").replace("master", `${node === 0 ? "" : "x"}master`)),
          onCommand: () => resp("+OK")
        }),
        { refreshInterval: "50 millis" }
      )
      const change = Effect.sync(() => {
        isOwned = true
      })
      expect(
        yield* takenBack(setting, right, change, () => setting.peers.received(1).includes(`SET ${right} other`))
      ).toBe(false)
    }).pipe(Effect.scoped)
  )

  it.live("is not sent when it waited for the first connection of its node", () =>
    Effect.gen(function* () {
      let hangs = false
      const setting = yield* cluster(20, () => ({
        onHello: () => (hangs ? undefined : Peer.hello3),
        onSlots: (_, topology) => {
          hangs = true
          return resp(topology)
        },
        onCommand: () => resp("+OK")
      }))
      const { peers } = setting.peers
      const key = Array.from({ length: 999 }, (_, i) => String(i)).find((key) => slotOf(key) > 16_000) ?? ""
      expect(peers[19]?.connections).toHaveLength(0)
      const change = Effect.zipRight(
        Peer.eventually("its node is connected to", () => peers[19]?.open() === 1),
        Effect.sync(() => {
          hangs = false
          peers[19]?.connections[0]?.reset()
        })
      )
      expect(
        yield* takenBack(setting, key, change, () => setting.peers.received(19).includes(`SET ${key} other`))
      ).toBe(false)
    }).pipe(Effect.scoped)
  )
})

describe("a node that no connection was opened to yet", () => {
  it.live("is connected to by a command that needs a connection of its own", () =>
    Effect.gen(function* () {
      let isBusy = false
      const { peers, run } = yield* cluster(20, () => ({
        onHello: (node) => (isBusy && node !== 19 ? undefined : Peer.hello3),
        onSlots: (_, topology) => {
          isBusy = true
          return resp(topology)
        },
        onCommand: () => resp(["key", "x"])
      }))
      const key = Array.from({ length: 999 }, (_, i) => String(i)).find((key) => slotOf(key) > 16_000) ?? ""
      expect(peers.peers[19]?.connections).toHaveLength(0)
      const popped = run(Redis.blpop(key, { timeout: "1 second" }))
      expect(Option.isSome(yield* Effect.timeout(popped, "3 seconds"))).toBe(true)
    }).pipe(Effect.scoped)
  )
})
