/** What the fuzz does at random to a master, its replicas and its sentinels, and what the servers may lose by it. */
import * as Effect from "effect/Effect"
import { Redis } from "effect-redis-client"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type * as Kit from "effect-redis-client/testing/RedisSentinel"
import { add, type World } from "./clusterWork.js"
import type * as Random from "./random.js"

const now = (): number => performance.now()

/** Writes that were acknowledged so long before a master was lost had reached the replicas, in milliseconds. */
export const replicationMillis = 500

type Happening = Effect.Effect<unknown, unknown>

/** A proxy between the client and each node, by the port of the node. Servers do not use it. */
export type Proxies = ReadonlyMap<number, FaultProxy.FaultProxy>

export interface Surroundings {
  /** Masters are killed and frozen. */
  readonly harsh: boolean
  /** A master can hand over to its successor, so that nothing is lost. */
  readonly coordinated: boolean
  readonly proxies: Proxies
}

/** A time in which the servers may lose acknowledged writes. */
const lossy = (world: World, happening: Happening): Happening =>
  Effect.suspend(() => {
    const from = now() - replicationMillis
    // Until its end is known, it lasts.
    const open = { from, to: Number.POSITIVE_INFINITY }
    world.losses.push(open)
    return Effect.ensuring(
      happening,
      Effect.sync(() => {
        world.losses[world.losses.indexOf(open)] = { from, to: now() }
      })
    )
  })

const failover = (kit: Kit.RedisSentinel, world: World, { coordinated }: Surroundings): Happening =>
  Effect.suspend(() => {
    add(world.tally.events, coordinated ? "coordinated failovers" : "failovers")
    const happening = Effect.zipRight(kit.failover({ coordinated }), kit.agreed)
    // A master that does not hand over acknowledges writes for a moment after its successor was promoted.
    return coordinated ? happening : lossy(world, happening)
  })

const kill = (kit: Kit.RedisSentinel, world: World, random: Random.Random): Happening =>
  Effect.gen(function* () {
    const master = yield* kit.master
    add(world.tally.events, "masters killed")
    yield* lossy(
      world,
      Effect.gen(function* () {
        yield* kit.kill(master)
        yield* Effect.sleep(random.between(100, 4_000))
        yield* kit.restart(master)
        yield* kit.agreed
      })
    )
  })

const pause = (kit: Kit.RedisSentinel, world: World, random: Random.Random): Happening =>
  Effect.gen(function* () {
    const master = yield* kit.master
    add(world.tally.events, "masters frozen")
    yield* lossy(
      world,
      Effect.gen(function* () {
        yield* kit.pause(master)
        yield* Effect.sleep(random.between(100, 4_000))
        yield* kit.resume(master)
        yield* kit.agreed
      })
    )
  })

const proxyOfMaster = (
  kit: Kit.RedisSentinel,
  { proxies }: Surroundings,
  f: (proxy: FaultProxy.FaultProxy) => Happening
): Happening =>
  Effect.flatMap(kit.master, ({ port }) => {
    const proxy = proxies.get(port)
    return proxy === undefined ? Effect.void : Effect.ensuring(f(proxy), Effect.ignore(proxy.heal))
  })

/** Cuts the master off from the client. The servers and the sentinels see each other, so nobody else is promoted. */
const partition = (kit: Kit.RedisSentinel, world: World, random: Random.Random, how: Surroundings): Happening =>
  proxyOfMaster(kit, how, (proxy) => {
    add(world.tally.events, "masters cut off")
    return Effect.zipRight(proxy.inject(FaultProxy.blackHole), Effect.sleep(random.between(50, 2_000)))
  })

/** Ends the client's connections to the master, also in the middle of a command. */
const cut = (kit: Kit.RedisSentinel, world: World, random: Random.Random, how: Surroundings): Happening =>
  proxyOfMaster(kit, how, (proxy) => {
    add(world.tally.events, "masters whose connections were cut")
    const ending = random.pick([FaultProxy.reset, FaultProxy.close, FaultProxy.cutAfter(random.between(1, 400))])
    return Effect.zipRight(proxy.inject(ending, { on: "live" }), Effect.sleep(random.between(0, 100)))
  })

/** The name of the client's connections. */
export const clientName = "fuzz"

const killClients = (kit: Kit.RedisSentinel, world: World, random: Random.Random): Happening =>
  Effect.flatMap(kit.master, ({ run }) =>
    Effect.gen(function* () {
      const lines = String(yield* run(Redis.execute("CLIENT", "LIST"))).split("\n")
      const share = random.pick([0.2, 1])
      for (const line of lines) {
        const id = line.includes(` name=${clientName} `) ? /^id=(\d+)/.exec(line)?.[1] : undefined
        if (id !== undefined && random.chance(share)) {
          add(world.tally.events, "connections killed")
          yield* run(Redis.execute("CLIENT", "KILL", "ID", id))
        }
      }
    })
  )

const flushScripts = (kit: Kit.RedisSentinel, world: World): Happening =>
  Effect.flatMap(kit.master, ({ run }) => {
    add(world.tally.events, "scripts flushed")
    return run(Redis.execute("SCRIPT", "FLUSH"))
  })

/** One sentinel at a time, so that the others can still agree. */
const loseSentinel = (kit: Kit.RedisSentinel, world: World, random: Random.Random): Happening =>
  Effect.suspend(() => {
    const sentinel = random.pick(kit.sentinels)
    const away = Effect.sleep(random.between(100, 3_000))
    if (random.chance(0.5)) {
      add(world.tally.events, "sentinels killed")
      return Effect.ensuring(
        Effect.zipRight(kit.killSentinel(sentinel), away),
        Effect.ignore(kit.restartSentinel(sentinel))
      )
    }
    add(world.tally.events, "sentinels frozen")
    return Effect.ensuring(
      Effect.zipRight(kit.pauseSentinel(sentinel), away),
      Effect.ignore(kit.resumeSentinel(sentinel))
    )
  })

/** Changes who the master is, or may. */
export const change = (kit: Kit.RedisSentinel, world: World, random: Random.Random, how: Surroundings): Happening =>
  random.weighted<() => Happening>([
    [6, () => failover(kit, world, { ...how, coordinated: how.coordinated && (!how.harsh || random.chance(0.5)) })],
    [how.harsh ? 4 : 0, () => pause(kit, world, random)],
    [how.harsh ? 4 : 0, () => kill(kit, world, random)]
  ])()

/** Disturbs the client's connections, and the sentinels. */
export const shake = (kit: Kit.RedisSentinel, world: World, random: Random.Random, how: Surroundings): Happening =>
  random.weighted<() => Happening>([
    [3, () => killClients(kit, world, random)],
    [1, () => flushScripts(kit, world)],
    [3, () => cut(kit, world, random, how)],
    [2, () => partition(kit, world, random, how)],
    [2, () => loseSentinel(kit, world, random)]
  ])()
