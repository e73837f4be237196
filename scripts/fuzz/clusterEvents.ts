/** What the fuzz does to a cluster, at random, and what the cluster may lose by it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Redis } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type * as Kit from "effect-redis-client/testing/RedisCluster"
import { add, type World } from "./clusterWork.js"
import type * as Random from "./random.js"

const now = (): number => performance.now()

/** Writes that were acknowledged so long before a primary was lost had reached its replica, in milliseconds. */
const replicationMillis = 500

type Happening = Effect.Effect<unknown, unknown>

export interface Surroundings {
  /** Servers may lose what they have acknowledged. */
  readonly harsh: boolean
  /** The client reaches the nodes through proxies. */
  readonly proxied: boolean
  /** The servers can move a slot at once. */
  readonly atOnce: boolean
  /** By the ids of the nodes. */
  readonly proxies: ReadonlyMap<string, { readonly port: number; readonly proxy: FaultProxy.FaultProxy }>
}

/** A time in which servers may lose acknowledged writes, and messages. */
const lossy = (world: World, happening: Happening): Happening =>
  Effect.suspend(() => {
    const from = now() - replicationMillis
    // Until its end is known, it lasts.
    const open = { from, to: Number.POSITIVE_INFINITY }
    world.losses.push(open)
    world.busLosses.push(open)
    return Effect.ensuring(
      happening,
      Effect.sync(() => {
        const closed = { from, to: now() + replicationMillis }
        world.losses[world.losses.indexOf(open)] = closed
        world.busLosses[world.busLosses.indexOf(open)] = closed
      })
    )
  })

/** A time in which nodes may lose messages that they send each other. */
const busLossy = (world: World, happening: Happening): Happening =>
  Effect.suspend(() => {
    const from = now() - replicationMillis
    const open = { from, to: Number.POSITIVE_INFINITY }
    world.busLosses.push(open)
    return Effect.ensuring(
      happening,
      Effect.sync(() => {
        world.busLosses[world.busLosses.indexOf(open)] = { from, to: now() + replicationMillis }
      })
    )
  })

const other = (
  cluster: Kit.RedisCluster,
  slot: number,
  random: Random.Random
): Effect.Effect<Kit.ClusterNode | undefined, unknown> =>
  Effect.gen(function* () {
    const owner = yield* cluster.ownerOf(slot)
    const others = (yield* cluster.primaries).filter(({ id }) => id !== owner.id)
    return others.length === 0 ? undefined : random.pick(others)
  })

/** Slots that have keys of this round. */
const slotOf = (world: World, random: Random.Random): number =>
  RedisCluster.keySlot(
    random.chance(0.6)
      ? random.pick(world.entities).key("n")
      : random.pick([
          ...world.channels.map(({ name }) => name),
          ...world.queues.map(({ key }) => key),
          ...world.jobs.map(({ stream }) => stream)
        ])
  )

const moveSlowly = (cluster: Kit.RedisCluster, world: World, random: Random.Random): Happening =>
  Effect.gen(function* () {
    const slot = slotOf(world, random)
    const to = yield* other(cluster, slot, random)
    if (to === undefined) return
    const move = yield* cluster.beginMove(slot, to)
    yield* Effect.sleep(random.between(0, 200))
    if (random.chance(0.5)) {
      for (const key of yield* move.keys) {
        if (random.chance(0.5)) yield* move.moveKey(key)
      }
      yield* Effect.sleep(random.between(0, 200))
    }
    if (random.chance(0.9)) {
      add(world.tally.events, "slots moved key by key")
      yield* move.finish
      return
    }
    add(world.tally.events, "moves given up")
    world.torn.add(slot)
    // The keys come back over what was written at the source meanwhile.
    yield* lossy(world, move.cancel)
  })

const moveAtOnce = (cluster: Kit.RedisCluster, world: World, random: Random.Random): Happening =>
  Effect.gen(function* () {
    const slot = slotOf(world, random)
    const to = yield* other(cluster, slot, random)
    if (to === undefined) return
    add(world.tally.events, "slots moved at once")
    world.repeated.add(slot)
    yield* cluster.moveAtOnce(slot, to)
  })

const failover = (cluster: Kit.RedisCluster, world: World, random: Random.Random, forced: boolean): Happening =>
  Effect.gen(function* () {
    const replicas = (yield* cluster.replicas).filter(({ primary }) => Option.isSome(primary))
    if (replicas.length === 0) return
    const replica = random.pick(replicas)
    if (!forced) {
      add(world.tally.events, "failovers")
      yield* cluster.failover(replica)
      return
    }
    add(world.tally.events, "forced failovers")
    yield* lossy(world, cluster.failover(replica, random.pick(["force", "takeover"])))
  })

const onPrimary = (
  cluster: Kit.RedisCluster,
  random: Random.Random,
  f: (node: Kit.ClusterNode) => Happening
): Happening =>
  Effect.flatMap(cluster.primaries, (primaries) => f(random.pick(primaries.filter(({ slots }) => slots.length > 0))))

const kill = (cluster: Kit.RedisCluster, world: World, random: Random.Random): Happening =>
  onPrimary(cluster, random, (node) => {
    add(world.tally.events, "primaries killed")
    return lossy(
      world,
      Effect.gen(function* () {
        yield* cluster.kill(node)
        yield* Effect.sleep(random.between(200, 4_000))
        yield* cluster.restart(node)
        // What a subscription had set is gone with the process.
        yield* node.run(Redis.execute("CONFIG", "SET", "notify-keyspace-events", "KEA"))
        yield* cluster.agreed
      })
    )
  })

const pause = (cluster: Kit.RedisCluster, world: World, random: Random.Random): Happening =>
  onPrimary(cluster, random, (node) => {
    add(world.tally.events, "primaries stopped for a while")
    return lossy(
      world,
      Effect.gen(function* () {
        yield* cluster.pause(node)
        yield* Effect.sleep(random.between(100, 4_000))
        yield* cluster.resume(node)
        yield* cluster.agreed
      })
    )
  })

/** Cuts a primary off from clients; the nodes see each other. */
const partition = (
  cluster: Kit.RedisCluster,
  world: World,
  random: Random.Random,
  { proxies }: Surroundings
): Happening =>
  onPrimary(cluster, random, ({ id }) => {
    const proxy = proxies.get(id)?.proxy
    if (proxy === undefined) return Effect.void
    add(world.tally.events, "primaries cut off from clients")
    return Effect.zipRight(proxy.inject(FaultProxy.blackHole), Effect.sleep(random.between(50, 3_000))).pipe(
      Effect.ensuring(Effect.ignore(proxy.heal))
    )
  })

/** Ends the client's connections to a primary, also in the middle of a command. */
const cut = (cluster: Kit.RedisCluster, world: World, random: Random.Random, { proxies }: Surroundings): Happening =>
  onPrimary(cluster, random, ({ id }) => {
    const proxy = proxies.get(id)?.proxy
    if (proxy === undefined) return Effect.void
    add(world.tally.events, "primaries whose connections were cut")
    const ending = random.pick([FaultProxy.reset, FaultProxy.close, FaultProxy.cutAfter(random.between(1, 400))])
    return Effect.zipRight(proxy.inject(ending, { on: "live" }), Effect.sleep(random.between(0, 100))).pipe(
      Effect.ensuring(Effect.ignore(proxy.heal))
    )
  })

/** The name of the client's connections. */
export const clientName = "fuzz"

/** Kills some of the client's connections at a primary. */
const killClients = (cluster: Kit.RedisCluster, world: World, random: Random.Random): Happening =>
  onPrimary(cluster, random, ({ run }) =>
    Effect.gen(function* () {
      const lines = String(yield* run(Redis.execute("CLIENT", "LIST"))).split("\n")
      const ids = lines.flatMap((line) =>
        line.includes(` name=${clientName} `) ? [/^id=(\d+)/.exec(line)?.[1] ?? ""] : []
      )
      const share = random.pick([0.2, 1])
      for (const id of ids) {
        if (random.chance(share)) {
          add(world.tally.events, "connections killed")
          yield* run(Redis.execute("CLIENT", "KILL", "ID", id))
        }
      }
    })
  )

const flushScripts = (cluster: Kit.RedisCluster, world: World, random: Random.Random): Happening =>
  onPrimary(cluster, random, ({ run }) => {
    add(world.tally.events, "scripts flushed at a primary")
    return run(Redis.execute("SCRIPT", "FLUSH"))
  })

/** A node joins, as a primary that gets some slots or as a replica, and leaves again. */
const joinAndLeave = (cluster: Kit.RedisCluster, world: World, random: Random.Random): Happening =>
  Effect.gen(function* () {
    add(world.tally.events, "nodes joined and left")
    // A node that leaves gives its slots away at once, where the servers can.
    for (const { name } of world.channels) world.repeated.add(RedisCluster.keySlot(name))
    if (random.chance(0.3)) {
      const node = yield* cluster.addNode({ replicaOf: random.pick(yield* cluster.primaries) })
      yield* Effect.sleep(random.between(100, 1_000))
      yield* busLossy(world, cluster.removeNode(node))
      return
    }
    const node = yield* cluster.addNode()
    for (let i = 0; i < 4; i++) {
      const slot = slotOf(world, random)
      const owner = yield* cluster.ownerOf(slot)
      if (owner.id !== node.id) yield* cluster.moveSlot(slot, node)
    }
    yield* Effect.sleep(random.between(100, 1_000))
    yield* busLossy(world, cluster.removeNode(node))
  })

/** Changes the cluster. */
export const change = (cluster: Kit.RedisCluster, world: World, random: Random.Random, how: Surroundings): Happening =>
  random.weighted<() => Happening>([
    [10, () => moveSlowly(cluster, world, random)],
    [how.atOnce ? 8 : 0, () => moveAtOnce(cluster, world, random)],
    [6, () => failover(cluster, world, random, false)],
    [3, () => joinAndLeave(cluster, world, random)],
    [how.harsh ? 3 : 0, () => failover(cluster, world, random, true)],
    [how.harsh ? 6 : 0, () => pause(cluster, world, random)],
    [how.harsh ? 6 : 0, () => kill(cluster, world, random)]
  ])()

/** Disturbs the client's connections. */
export const shake = (cluster: Kit.RedisCluster, world: World, random: Random.Random, how: Surroundings): Happening =>
  random.weighted<() => Happening>([
    [3, () => killClients(cluster, world, random)],
    [1, () => flushScripts(cluster, world, random)],
    [how.proxied ? 3 : 0, () => cut(cluster, world, random, how)],
    [how.proxied ? 2 : 0, () => partition(cluster, world, random, how)]
  ])()
