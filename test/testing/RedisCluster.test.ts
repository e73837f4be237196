/*
 * The cluster for tests: each operation is proven by what every node says.
 */
import * as FileSystem from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { Connection, Redis, RedisCommand } from "effect-redis-client"
import * as RedisCluster from "../../src/testing/RedisCluster.js"
import { describeReal } from "../support/describeReal.js"
import { commandServers } from "../support/servers.js"

const pause = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

const lives = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

// All folders of servers are made in this one, which has to be empty at the end.
const temporary = FileSystem.mkdtempSync(Path.join(Os.tmpdir(), "rc-"))
const before = process.env.TMPDIR

beforeAll(() => {
  process.env.TMPDIR = temporary
})

afterAll(() => {
  if (before === undefined) delete process.env.TMPDIR
  else process.env.TMPDIR = before
  const left = FileSystem.readdirSync(temporary)
  FileSystem.rmSync(temporary, { recursive: true, force: true })
  expect(left).toEqual([])
})

// ---------------------------------------------------------------------------------------------------------------------
// What every node says
// ---------------------------------------------------------------------------------------------------------------------

const isRunning = ({ server }: RedisCluster.ClusterNode) => Effect.map(server.pid, Option.isSome)

/** Asks every node that runs. */
const askEach = <A>(
  cluster: RedisCluster.RedisCluster,
  ask: (node: RedisCluster.ClusterNode) => Effect.Effect<A, RedisCluster.RedisClusterError>
) =>
  Effect.flatMap(cluster.nodes, (nodes) =>
    Effect.flatMap(Effect.filter(nodes, isRunning), (running) =>
      Effect.forEach(running, ask, { concurrency: "unbounded" })
    )
  )

/** The owners of a slot: by CLUSTER NODES and by CLUSTER SLOTS of every node. */
const ownersOf = (cluster: RedisCluster.RedisCluster, slot: number) =>
  Effect.gen(function* () {
    const has = ({ end, start }: { readonly start: number; readonly end: number }) => start <= slot && slot <= end
    const lines = yield* askEach(cluster, ({ run }) => run(Redis.clusterNodes()))
    const ranges = yield* askEach(cluster, ({ run }) => run(Redis.clusterSlots()))
    return [
      ...new Set([
        ...lines.map((lines) => lines.find(({ slots }) => slots.some(has))?.id),
        ...ranges.map((ranges) =>
          Option.getOrUndefined(Option.flatMap(ranges.find(has)?.master ?? Option.none(), ({ id }) => id))
        )
      ])
    ]
  })

/** The roles of a node in CLUSTER NODES of every node. */
const rolesOf = (cluster: RedisCluster.RedisCluster, { id }: RedisCluster.ClusterNode) =>
  Effect.map(
    askEach(cluster, ({ run }) => run(Redis.clusterNodes())),
    (views) => [
      ...new Set(
        views.map((lines) => {
          const flags = lines.find((line) => line.id === id)?.flags ?? ["unknown"]
          return flags.filter((flag) => flag !== "myself").join(",")
        })
      )
    ]
  )

/** The ids that every node knows. */
const known = (cluster: RedisCluster.RedisCluster) =>
  Effect.map(
    askEach(cluster, ({ run }) => run(Redis.clusterNodes())),
    (views) => [
      ...new Set(
        views.map((lines) =>
          lines
            .map(({ id }) => id)
            .sort()
            .join()
        )
      )
    ]
  )

const idsOf = (nodes: ReadonlyArray<RedisCluster.ClusterNode>) =>
  nodes
    .map(({ id }) => id)
    .sort()
    .join()

/** The slots that are moving, as any node says. Valkey's replicas say it, too. */
const moving = (cluster: RedisCluster.RedisCluster) =>
  Effect.map(
    askEach(cluster, ({ run }) => run(Redis.clusterNodes())),
    (views) =>
      views
        .flat()
        .flatMap(({ id, importing, migrating }) => [
          ...importing.map(({ node, slot }) => ({ slot, by: id, from: node })),
          ...migrating.map(({ node, slot }) => ({ slot, by: id, to: node }))
        ])
  )

const refusal = (effect: Effect.Effect<unknown, RedisCluster.RedisClusterError>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

/** Two primaries, of different shards. */
const two = (cluster: RedisCluster.RedisCluster) =>
  Effect.map(cluster.primaries, (nodes) => {
    const [first, second] = nodes
    if (first === undefined || second === undefined) throw new Error("there are not two primaries")
    return [first, second] as const
  })

const only = <A>(values: ReadonlyArray<A>): A => {
  const [value] = values
  if (value === undefined) throw new Error("there is none")
  return value
}

/** A cluster that lives as long as the tests of a block. */
const shared = (options: RedisCluster.RedisClusterOptions) => {
  const made: { cluster?: RedisCluster.RedisCluster; scope?: Scope.CloseableScope; millis: number } = { millis: 0 }
  const close = Effect.suspend(() => (made.scope === undefined ? Effect.void : Scope.close(made.scope, Exit.void)))
  const start = Effect.gen(function* () {
    made.scope = yield* Scope.make()
    const begin = performance.now()
    made.cluster = yield* Scope.extend(RedisCluster.make(options), made.scope)
    made.millis = performance.now() - begin
  })
  beforeAll(() => Effect.runPromise(start))
  // What a failed test has left of the cluster must not fail its second attempt, nor the tests after it.
  beforeEach(({ task }) =>
    (task.result?.retryCount ?? 0) > 0 ? Effect.runPromise(Effect.zipRight(close, start)) : undefined
  )
  afterAll(() => Effect.runPromise(close))
  return {
    /** How long its start took. */
    millis: Effect.sync(() => made.millis),
    cluster: Effect.suspend(() =>
      made.cluster === undefined ? Effect.die("not started") : Effect.succeed(made.cluster)
    ),
    close
  }
}

/** The processes and folders of a cluster, of which nothing may be left. */
const tracesOf = (cluster: RedisCluster.RedisCluster) =>
  Effect.gen(function* () {
    const nodes = yield* cluster.nodes
    const pids = (yield* Effect.forEach(nodes, ({ server }) => server.pid)).flatMap(Option.toArray)
    return { pids, ports: nodes.map(({ port }) => port) }
  })

const refuses = (port: number) =>
  Effect.async<boolean>((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    socket.on("error", () => resume(Effect.succeed(true)))
    socket.on("connect", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  })

describeReal((server) => {
  const all = shared({ executable: server.executable, proxies: "announced" })
  const canMoveAtOnce = server.product === "valkey" || server.name === "redis-8.6"

  it.effect("starts three primaries with a replica each, in less than five seconds where the machine is not busy", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const isBusy = (Os.loadavg()[0] ?? 0) > Os.cpus().length
      expect(yield* all.millis).toBeLessThan(isBusy ? 20_000 : 5_000)
      const primaries = yield* cluster.primaries
      expect(primaries.map(({ slots }) => slots)).toEqual([
        [{ start: 0, end: 5461 }],
        [{ start: 5462, end: 10922 }],
        [{ start: 10923, end: 16383 }]
      ])
      for (const primary of primaries) {
        expect(yield* ownersOf(cluster, primary.slots[0]?.start ?? -1)).toEqual([primary.id])
        expect(yield* cluster.replicasOf(primary)).toHaveLength(1)
      }
      expect(yield* known(cluster)).toEqual([idsOf(yield* cluster.nodes)])
      const shown = yield* askEach(cluster, ({ run }) => run(Redis.clusterSlots()))
      expect(shown.map((ranges) => ranges.map(({ replicas }) => replicas.length))).toEqual(
        Array.from({ length: 6 }, () => [1, 1, 1])
      )
      const infos = yield* askEach(cluster, ({ run }) => run(Redis.clusterInfo()))
      expect(infos.map(({ state }) => state)).toEqual(Array.from({ length: 6 }, () => "ok"))
      const timeouts = yield* askEach(cluster, ({ run }) => run(Redis.configGet("cluster-node-timeout")))
      expect(new Set(timeouts.map((values) => values["cluster-node-timeout"]))).toEqual(new Set(["2000"]))
    })
  )

  it.scoped("announces the proxies, and its seeds lead through them", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const nodes = yield* cluster.nodes
      expect(cluster.seeds.map(Redacted.value)).toEqual(nodes.map(({ url }) => Redacted.value(url)))
      for (const node of nodes) {
        const proxy = Option.getOrThrow(node.proxy)
        expect(node.port).toBe(proxy.port)
        expect(node.port).not.toBe(node.server.port)
        const { accepted } = yield* proxy.stats
        const connection = yield* Connection.make({ url: node.url, expect: "node" })
        expect(yield* connection.execute(Redis.clusterMyid())).toBe(node.id)
        expect((yield* proxy.stats).accepted).toBe(accepted + 1)
        const ports = (yield* connection.execute(Redis.clusterSlots())).map(({ master }) =>
          Option.getOrUndefined(Option.flatMap(master, ({ port }) => port))
        )
        expect(ports).toEqual((yield* cluster.primaries).map(({ port }) => port))
      }
      expect(cluster.nodeAddress(only(nodes))).toBeUndefined()
    })
  )

  it.effect("makes keys for a slot and for a node", () =>
    Effect.gen(function* () {
      const [first, second] = yield* two(yield* all.cluster)
      for (const slot of [0, 1, 5461, 12_182, 16_383]) {
        const key = RedisCluster.keyFor(slot, "visits")
        expect(RedisCluster.slotOf(key)).toBe(slot)
        expect(yield* first.run(Redis.clusterKeyslot(key))).toBe(slot)
      }
      for (const key of ["", "{}", "a{}b", "a{b}c}", "{{b}}", "}{x", "é{ü}"]) {
        expect(RedisCluster.slotOf(key)).toBe(yield* first.run(Redis.clusterKeyslot(key)))
      }
      expect(RedisCluster.slotOf(RedisCluster.keyFor(second))).toBe(second.slots[0]?.start)
      expect((yield* (yield* all.cluster).ownerOf(RedisCluster.keyFor(second))).id).toBe(second.id)
    })
  )

  it.effect("holds the move of a slot open, moves keys one by one, and finishes it", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [from, to] = yield* two(cluster)
      const keys = Array.from({ length: 150 }, (_, n) => RedisCluster.keyFor(7, `${n}`))
      for (const key of keys) yield* from.run(Redis.set(key, key))
      const move = yield* cluster.beginMove(7, to)
      expect(move).toMatchObject({ slot: 7, from: from.id, to: to.id })
      expect((yield* moving(cluster)).filter(({ by }) => by === from.id || by === to.id)).toEqual([
        { slot: 7, by: from.id, to: to.id },
        { slot: 7, by: to.id, from: from.id }
      ])
      expect(yield* ownersOf(cluster, 7)).toEqual([from.id])

      const one = only(keys)
      expect(yield* move.moveKey(one)).toBe(true)
      expect(yield* move.moveKey(one)).toBe(false)
      expect([...(yield* move.keys)].sort()).toEqual(keys.slice(1).sort())
      expect(yield* refusal(from.run(Redis.get(one)))).toContain(`ASK 7 ${to.host}:${to.port}`)
      expect(yield* refusal(to.run(Redis.get(one)))).toContain(`MOVED 7 ${from.host}:${from.port}`)
      yield* move.moveKeys
      expect(yield* move.keys).toEqual([])
      expect(yield* ownersOf(cluster, 7)).toEqual([from.id])

      yield* move.finish
      expect(yield* ownersOf(cluster, 7)).toEqual([to.id])
      expect(yield* moving(cluster)).toEqual([])
      expect((yield* cluster.ownerOf(7)).id).toBe(to.id)
      for (const key of keys) expect(yield* to.run(Redis.get(key))).toEqual(Option.some(key))
      expect(yield* refusal(from.run(Redis.get(one)))).toContain(`MOVED 7 ${to.host}:${to.port}`)
    })
  )

  it.effect("cancels the move of a slot, and brings its keys back", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [from, to] = yield* two(cluster)
      const key = RedisCluster.keyFor(8)
      yield* from.run(Redis.set(key, "kept"))
      const move = yield* cluster.beginMove(8, to)
      yield* move.moveKeys
      expect(yield* refusal(from.run(Redis.get(key)))).toContain("ASK 8 ")
      yield* move.cancel
      expect(yield* from.run(Redis.get(key))).toEqual(Option.some("kept"))
      expect(yield* ownersOf(cluster, 8)).toEqual([from.id])
      expect(yield* moving(cluster)).toEqual([])
    })
  )

  it.effect("moves slots step by step, with their keys", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [first, second] = yield* two(cluster)
      const keys = [20, 21, 30].map((slot) => RedisCluster.keyFor(slot))
      for (const key of keys) yield* first.run(Redis.set(key, key))
      yield* cluster.moveSlot([20, { start: 21, end: 24 }, 30], second)
      for (const slot of [20, 21, 22, 23, 24, 30]) expect(yield* ownersOf(cluster, slot)).toEqual([second.id])
      for (const slot of [19, 25, 29, 31]) expect(yield* ownersOf(cluster, slot)).toEqual([first.id])
      for (const key of keys) expect(yield* second.run(Redis.get(key))).toEqual(Option.some(key))
      expect(yield* moving(cluster)).toEqual([])
    })
  )

  it.effect.runIf(canMoveAtOnce)("moves slots at once, with their keys", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [first, second] = yield* two(cluster)
      const key = RedisCluster.keyFor(110)
      yield* first.run(Redis.set(key, "here"))
      yield* cluster.moveAtOnce([{ start: 100, end: 200 }, 205], second)
      for (const slot of [100, 110, 200, 205]) expect(yield* ownersOf(cluster, slot)).toEqual([second.id])
      for (const slot of [99, 201, 204, 206]) expect(yield* ownersOf(cluster, slot)).toEqual([first.id])
      expect(yield* second.run(Redis.get(key))).toEqual(Option.some("here"))
    })
  )

  it.effect.runIf(!canMoveAtOnce)("says that these servers cannot move slots at once", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [first, second] = yield* two(cluster)
      const error = yield* Effect.flip(cluster.moveAtOnce(100, second))
      expect(error).toMatchObject({ _tag: "RedisClusterError", reason: "Unsupported" })
      expect(yield* ownersOf(cluster, 100)).toEqual([first.id])
    })
  )

  it.effect("refuses what a node cannot do", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [first, second] = yield* two(cluster)
      const replica = only(yield* cluster.replicasOf(first))
      const reasons = [
        cluster.beginMove(0, first),
        cluster.moveSlot(0, replica),
        cluster.failover(second),
        cluster.kill("0123"),
        cluster.resume({ id: "" })
      ].map((effect) => Effect.map(Effect.flip(effect), ({ reason }) => reason))
      expect(yield* Effect.all(reasons)).toEqual([
        "Unsupported",
        "Unsupported",
        "Unsupported",
        "UnknownNode",
        "UnknownNode"
      ])
    })
  )

  it.effect("fails over to a replica", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [primary] = yield* two(cluster)
      const replica = only(yield* cluster.replicasOf(primary))
      const key = RedisCluster.keyFor(0)
      yield* primary.run(Redis.set(key, "kept"))
      yield* cluster.failover(replica)
      expect(yield* rolesOf(cluster, replica)).toEqual(["master"])
      expect(yield* rolesOf(cluster, primary)).toEqual(["slave"])
      expect(yield* ownersOf(cluster, 0)).toEqual([replica.id])
      expect(yield* cluster.node(primary)).toMatchObject({
        role: "replica",
        primary: Option.some(replica.id),
        slots: []
      })
      expect(yield* replica.run(Redis.get(key))).toEqual(Option.some("kept"))
    })
  )

  it.effect("kills a primary, pauses a replica, repairs the move that was open, and takes both back", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [killed, other] = yield* two(cluster)
      const heir = only(yield* cluster.replicasOf(killed))
      // Of another shard: a primary of Valkey refuses SETSLOT while its replica does not answer.
      const third = only((yield* cluster.primaries).slice(2))
      const paused = only(yield* cluster.replicasOf(third))
      const pid = Option.getOrThrow(yield* killed.server.pid)
      const keys = [RedisCluster.keyFor(9, "goes"), RedisCluster.keyFor(9, "stays")] as const
      for (const key of keys) yield* killed.run(Redis.set(key, "kept"))
      yield* killed.run(RedisCommand.make("WAIT", { args: [1, 5_000] }))
      const move = yield* cluster.beginMove(9, other)
      yield* move.moveKey(keys[0])
      yield* cluster.kill(killed)
      expect(lives(pid)).toBe(false)
      expect((yield* cluster.ownerOf(0)).id).toBe(killed.id)
      yield* cluster.pause(paused)
      yield* cluster.repair
      yield* cluster.agreed
      expect(yield* heir.run(Redis.mget([...keys]))).toEqual([Option.some("kept"), Option.some("kept")])
      for (const node of (yield* cluster.nodes).filter(({ id }) => id !== killed.id && id !== paused.id)) {
        const lines = yield* node.run(Redis.clusterNodes())
        const flags = (id: string) => lines.find((line) => line.id === id)?.flags
        expect(flags(killed.id)).toContain("fail")
        expect(flags(paused.id)).toContain("fail")
        expect(flags(heir.id)).toContain("master")
      }
      expect((yield* cluster.ownerOf(0)).id).toBe(heir.id)
      yield* cluster.resume(paused)
      expect(yield* rolesOf(cluster, paused)).toEqual(["slave"])
      yield* cluster.restart(killed)
      expect(yield* rolesOf(cluster, killed)).toEqual(["slave"])
      yield* cluster.repair
      for (const slot of [0, 9]) expect(yield* ownersOf(cluster, slot)).toEqual([heir.id])
      expect(yield* moving(cluster)).toEqual([])
      yield* cluster.agreed
    })
  )

  it.effect("separates a primary from the cluster, and takes it back as a replica", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [alone] = yield* two(cluster)
      const heir = only(yield* cluster.replicasOf(alone))
      yield* cluster.partition(alone, "cluster")
      yield* cluster.agreed
      const here = yield* heir.run(Redis.clusterNodes())
      expect(here.find(({ id }) => id === alone.id)?.flags).toContain("fail")
      expect(here.find(({ id }) => id === heir.id)?.flags).toContain("master")
      const there = yield* alone.run(Redis.clusterNodes())
      expect(there.find(({ id }) => id === alone.id)?.flags).toContain("master")
      yield* cluster.heal
      expect(yield* rolesOf(cluster, alone)).toEqual(["slave"])
      expect(yield* rolesOf(cluster, heir)).toEqual(["master"])
    })
  )

  it.scoped("separates a node from its clients", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [node, other] = yield* two(cluster)
      const connect = (node: RedisCluster.ClusterNode) =>
        Effect.scoped(
          Effect.flatMap(
            Connection.make({ url: node.url, expect: "node", connectTimeout: "500 millis" }),
            (connection) => connection.execute(Redis.clusterMyid())
          )
        )
      yield* cluster.partition([node], "clients")
      expect((yield* Effect.flip(connect(node)))._tag).toBe("DeadlineError")
      expect(yield* connect(other)).toBe(other.id)
      expect(yield* rolesOf(cluster, node)).toEqual(["master"])
      yield* cluster.heal
      expect(yield* connect(node)).toBe(node.id)
    })
  )

  it.effect("adds a primary and a replica, and removes them", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const nodes = idsOf(yield* cluster.nodes)
      const primary = yield* cluster.addNode()
      expect(yield* rolesOf(cluster, primary)).toEqual(["master"])
      const replica = yield* cluster.addNode({ replicaOf: primary })
      expect(yield* rolesOf(cluster, replica)).toEqual(["slave"])
      expect(yield* known(cluster)).toEqual([idsOf(yield* cluster.nodes)])
      const key = RedisCluster.keyFor(8)
      yield* (yield* cluster.ownerOf(8)).run(Redis.set(key, "kept"))
      yield* cluster.moveSlot([8, 16_000], primary)
      expect(yield* ownersOf(cluster, 8)).toEqual([primary.id])
      const shown = yield* askEach(cluster, ({ run }) => run(Redis.clusterSlots()))
      for (const ranges of shown) {
        expect(ranges.find(({ start }) => start === 8)?.replicas.map(({ id }) => id)).toEqual([Option.some(replica.id)])
      }
      const pids = (yield* Effect.all([primary.server.pid, replica.server.pid])).flatMap(Option.toArray)
      yield* cluster.removeNode(primary)
      yield* cluster.removeNode(replica)
      expect(pids.map(lives)).toEqual([false, false])
      expect(yield* known(cluster)).toEqual([nodes])
      expect(idsOf(yield* cluster.nodes)).toBe(nodes)
      const owner = yield* cluster.ownerOf(8)
      expect(yield* ownersOf(cluster, 8)).toEqual([owner.id])
      expect(yield* owner.run(Redis.get(key))).toEqual(Option.some("kept"))
      expect((yield* Effect.flip(cluster.node(primary))).reason).toBe("UnknownNode")
      yield* cluster.agreed
    })
  )

  it.effect("leaves nothing behind when its scope closes, with nodes that are paused and killed", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const { pids, ports } = yield* tracesOf(cluster)
      expect(pids).toHaveLength(6)
      const [paused, killed] = yield* two(cluster)
      yield* cluster.pause(paused)
      yield* cluster.kill(killed)
      yield* all.close
      expect(pids.filter(lives)).toEqual([])
      expect(FileSystem.readdirSync(temporary)).toEqual([])
      expect(yield* Effect.forEach(ports, refuses)).toEqual(ports.map(() => true))
    })
  )
}, commandServers)

/** Of the options, only the oldest and the newest server differ. */
const ends = commandServers.filter((_, n) => n === 0 || n === commandServers.length - 1)

describeReal((server) => {
  const all = shared({
    executable: server.executable,
    primaries: 2,
    tls: true,
    username: "ada",
    password: Redacted.make('s"e\\c r%t'),
    acl: ["eve on >two ~app:* +get"],
    hostname: "localhost",
    proxies: "mapped"
  })

  it.scoped("speaks TLS, has a user of its own, and announces a host name", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const nodes = yield* cluster.nodes
      const tls = { ca: [Option.getOrThrow(cluster.tls).ca] }
      for (const node of nodes) {
        expect(node.host).toBe("localhost")
        const connection = yield* Connection.make({ url: node.url, expect: "node", tls })
        expect(yield* connection.execute(Redis.aclWhoami())).toBe("ada")
        const masters = (yield* connection.execute(Redis.clusterSlots())).map(({ master }) => Option.getOrThrow(master))
        const shown = masters.map(({ endpoint, port }) => [
          Option.getOrUndefined(endpoint),
          Option.getOrUndefined(port)
        ])
        expect(shown).toEqual((yield* cluster.primaries).map(({ port }) => ["localhost", port]))
      }
      const { port } = only(nodes)
      const refused = yield* Effect.flip(
        Effect.scoped(
          Effect.flatMap(Connection.make({ host: "127.0.0.1", port, expect: "node", tls }), (connection) =>
            connection.execute(Redis.ping())
          )
        )
      )
      expect(refused.message).toMatch(/NOAUTH|WRONGPASS/)
    })
  )

  it.effect("moves slots and fails over with TLS and a user", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const [first, second] = yield* two(cluster)
      const key = RedisCluster.keyFor(3)
      yield* first.run(Redis.set(key, "here"))
      yield* cluster.moveSlot(3, second)
      expect(yield* ownersOf(cluster, 3)).toEqual([second.id])
      const replica = only(yield* cluster.replicasOf(second))
      yield* cluster.failover(replica)
      expect(yield* replica.run(Redis.get(key))).toEqual(Option.some("here"))
      expect((yield* Effect.flip(cluster.partition(first, "cluster"))).message).toContain("TLS")
    })
  )

  it.scoped("announces its own ports, and maps them to the proxies", () =>
    Effect.gen(function* () {
      const cluster = yield* all.cluster
      const tls = { ca: [Option.getOrThrow(cluster.tls).ca], serverName: "localhost" }
      for (const node of yield* cluster.nodes) {
        expect(node.port).toBe(node.server.port)
        const proxy = Option.getOrThrow(node.proxy)
        const mapped = cluster.nodeAddress(node)
        expect(mapped).toEqual({ host: "127.0.0.1", port: proxy.port })
        const connection = yield* Connection.make({
          ...mapped,
          username: "ada",
          ...Option.match(cluster.password, { onNone: () => ({}), onSome: (password) => ({ password }) }),
          expect: "node",
          tls
        })
        expect(yield* connection.execute(Redis.clusterMyid())).toBe(node.id)
      }
      expect(cluster.nodeAddress({ host: "elsewhere.example", port: 1 })).toBeUndefined()
    })
  )

  it.effect("leaves nothing behind when its start is interrupted", () =>
    Effect.gen(function* () {
      const folders = FileSystem.readdirSync(temporary)
      for (const millis of [20, 150, 600]) {
        const fiber = yield* Effect.fork(
          Effect.scoped(RedisCluster.make({ executable: server.executable, proxies: "mapped" }))
        )
        yield* pause(millis)
        yield* Fiber.interrupt(fiber)
        expect(FileSystem.readdirSync(temporary)).toHaveLength(folders.length)
      }
    })
  )
}, ends)

describe("a cluster that cannot start", () => {
  it.scoped("says that its server was not found", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RedisCluster.make({ executable: "/nowhere/redis-server" }))
      expect(error).toMatchObject({ _tag: "RedisClusterError", reason: "NotFound" })
    })
  )

  it.scoped("says that a number of nodes is wrong", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RedisCluster.make({ primaries: 0 }))
      expect(error).toMatchObject({ reason: "Unsupported", message: "primaries must be a whole number from 1." })
    })
  )

  it.effect("makes a key for every slot", () =>
    Effect.sync(() => {
      const slots = Array.from({ length: 16_384 }, (_, slot) => slot)
      expect(slots.map((slot) => RedisCluster.slotOf(RedisCluster.keyFor(slot)))).toEqual(slots)
    })
  )
})
