/**
 * `npm run fuzz -- --cluster`: a cluster of each server, whose slots move and whose nodes are failed over, stopped, cut off,
 * killed, added and removed at random, and fibers that use it in every way (clusterWork.ts, clusterEvents.ts). In each round
 * there is a new client; when it was closed, nothing of it is left. In gentle rounds no server may lose anything.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { Redis } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import * as Kit from "effect-redis-client/testing/RedisCluster"
import { fiberTracker } from "../../test/support/fibers.js"
import type { TestServer } from "../../test/support/servers.js"
import { change, clientName, type Surroundings, shake } from "./clusterEvents.js"
import {
  add,
  addJobs,
  allHandled,
  audit,
  consume,
  Entity,
  emptyTally,
  fields,
  handleJobs,
  Jobs,
  listen,
  produce,
  publish,
  Queue,
  Series,
  scanAll,
  type Tally,
  type World,
  work
} from "./clusterWork.js"
import * as Random from "./random.js"
import { countLeft } from "./watch.js"

export interface Options {
  readonly seed: number
  readonly seconds: number
  readonly fibers: number
  readonly servers: ReadonlyArray<TestServer>
}

export const n = (count: number): string => count.toLocaleString("en-US").replaceAll(",", " ")

export const counts = (of: Record<string, number>): string =>
  Object.entries(of)
    .map(([name, count]) => `${n(count)} ${name}`)
    .join(", ")

const line = (name: string, seed: number, tally: Tally, rounds: number, millis: number): string =>
  `fuzz --cluster: ${name}, seed ${seed}, ${rounds} rounds in ${Math.round(millis / 1000)} s, ${n(tally.done)} operations, ` +
  `${n(tally.interrupted)} interruptions, ${n(tally.failed)} failures with a reason, ${n(tally.messages)} messages, ` +
  `${n(tally.gaps)} gaps, ${n(tally.handled)} entries handled (${n(tally.handledAgain)} again); ${counts(tally.events)}; ` +
  `${tally.wrong.length} wrong answers, ${tally.unsettled.length} unsettled, ` +
  `leaked: ${tally.sockets} sockets, ${tally.timers} timers, ${tally.fibers} fibers`

export const roundSeconds = 25

export const makeWorld = (name: string, fibers: number, tally: Tally): World => {
  const entities = Array.from({ length: fibers }, (_, i) => new Entity(`${name}:${i}`))
  const several = <A>(count: number, make: (i: number) => A): ReadonlyArray<A> =>
    Array.from({ length: count }, (_, i) => make(i))
  return {
    name,
    tally,
    entities,
    channels: [
      ...several(4, (i) => new Series("channel", `${name}:news:${i}`)),
      ...several(3, (i) => new Series("pattern", `${name}:by pattern:${i}`)),
      ...several(6, (i) => new Series("shard channel", `{${name}:shard:${i}}`)),
      ...several(4, (i) => new Series("keyspace", `{${name}:events:${i}}`))
    ],
    queues: several(4, (i) => new Queue(`{${name}:queue:${i}}`)),
    jobs: several(4, (i) => new Jobs(`{${name}:jobs:${i}}`)),
    constant: entities.map((entity) => entity.key("own")),
    losses: [],
    busLosses: [],
    torn: new Set(),
    repeated: new Set(),
    ready: false,
    stopped: false,
    ending: false
  }
}

/** What the fibers of a round read. */
const prepare = (world: World) =>
  Effect.forEach(
    world.entities,
    (entity) =>
      Redis.pipeline([
        Redis.set(entity.key("own"), entity.own),
        Redis.hset(
          entity.key("hash"),
          Object.fromEntries(Array.from({ length: fields }, (_, i) => [`field:${i}`, "x"]))
        )
      ]).pipe(Effect.retry({ times: 20, schedule: Schedule.spaced("200 millis") })),
    { concurrency: 20, discard: true }
  )

/** All fibers of a round, from the first command to the comparison with the servers. */
export const useCluster = (world: World, quiet: () => boolean, random: Random.Random) =>
  Effect.gen(function* () {
    const { tally } = world
    yield* prepare(world)
    world.ready = true
    let handled = false
    const ofKind = (kind: Series["kind"]) => world.channels.filter((series) => series.kind === kind)
    const running = [
      ...world.entities.map((entity) => [`the fiber of ${entity.tag}`, work(entity, random.fork(), world)] as const),
      ...[1, 2].map((i) => [`scan ${i}`, scanAll(random.fork(), world)] as const),
      ...world.queues.flatMap((queue) => [
        [`producer of ${queue.key}`, produce(queue, random.fork(), world)] as const,
        [`consumer 1 of ${queue.key}`, consume(queue, random.fork(), world)] as const,
        [`consumer 2 of ${queue.key}`, consume(queue, random.fork(), world)] as const
      ]),
      ...world.jobs.map((jobs) => [`producer of ${jobs.stream}`, addJobs(jobs, random.fork(), world)] as const),
      ...world.channels.map((series) => [`publisher of ${series.name}`, publish(series, random.fork(), world)] as const)
    ]
    const listening = (["channel", "pattern", "shard channel", "keyspace"] as const).flatMap((kind) => [
      [`listener to each ${kind}`, listen(ofKind(kind), random.fork(), world)] as const,
      [`listener to one ${kind}`, listen(ofKind(kind).slice(0, 1), random.fork(), world)] as const
    ])
    const handling = world.jobs.flatMap((jobs) =>
      ["a", "b"].map(
        (name) =>
          [`worker ${name} of ${jobs.stream}`, handleJobs(jobs, name, random.fork(), world, () => handled)] as const
      )
    )
    const start = <E, R>(all: ReadonlyArray<readonly [string, Effect.Effect<void, E, R>]>) =>
      Effect.forEach(all, ([name, effect]) => Effect.map(Effect.fork(effect), (fiber) => [name, fiber] as const))
    const end = <E>(all: ReadonlyArray<readonly [string, Fiber.Fiber<void, E>]>) =>
      Effect.forEach(
        all,
        ([name, fiber]) =>
          Effect.map(Effect.timeoutOption(Fiber.await(fiber), "60 seconds"), (exit) => {
            if (Option.isNone(exit)) {
              tally.unsettled.push(`${world.name}: ${name}`)
            } else if (exit.value._tag === "Failure") {
              tally.wrong.push(`${world.name}: ${name} died: ${exit.value.cause}`)
            }
          }),
        { concurrency: "unbounded", discard: true }
      )
    const workers = yield* start(handling)
    const listeners = yield* start(listening)
    const others = yield* start(running)
    while (!quiet()) yield* Effect.sleep(20)
    world.ending = true
    yield* end(listeners)
    world.stopped = true
    yield* end(others)
    const patience = performance.now() + 30_000
    while (allHandled(world).length > 0 && performance.now() < patience) yield* Effect.sleep(50)
    const unhandled = allHandled(world)
    if (unhandled.length > 0) {
      tally.wrong.push(`${unhandled.length} entries of streams were not handled: ${unhandled.slice(0, 5).join()}`)
    }
    handled = true
    yield* end(workers)
    yield* audit(world)
  })

/** Ends all that was done to the cluster. Returns whether it is whole again. */
const restore = (cluster: Kit.RedisCluster, { proxies }: Surroundings) =>
  Effect.gen(function* () {
    for (const { proxy } of proxies.values()) yield* Effect.ignore(proxy.heal)
    for (const { id, server } of yield* cluster.nodes) {
      if (Option.isNone(yield* server.pid)) {
        yield* Effect.ignore(cluster.restart(id))
      } else {
        yield* Effect.ignore(server.resume)
      }
    }
    yield* Effect.ignore(cluster.repair)
    return yield* Effect.isSuccess(cluster.agreed)
  })

/** A proxy between clients and each node that the cluster starts with. Nodes do not see each other through them. */
const makeProxies = (cluster: Kit.RedisCluster) =>
  Effect.gen(function* () {
    const proxies = new Map<string, { readonly port: number; readonly proxy: FaultProxy.FaultProxy }>()
    for (const { id, server } of yield* cluster.nodes) {
      proxies.set(id, {
        port: server.port,
        proxy: yield* FaultProxy.make({ target: { host: "127.0.0.1", port: server.port } })
      })
    }
    return proxies
  })

const throughProxies =
  (proxies: Surroundings["proxies"]): NonNullable<RedisCluster.RedisClusterOptions["nodeAddress"]> =>
  (address) => {
    const found = [...proxies.values()].find(({ port }) => port === address.port)
    return found === undefined ? undefined : { host: found.proxy.host, port: found.proxy.port }
  }

const runOn = (server: TestServer, { fibers, seconds, seed }: Options, at: number) =>
  Effect.gen(function* () {
    const tally = emptyTally()
    const random = Random.make(seed, at)
    const atOnce = server.product === "valkey" || server.version.startsWith("8.6")
    const cluster = yield* Kit.make({
      executable: server.executable,
      nodeTimeout: "2 seconds",
      timeout: "15 seconds",
      config: {
        // What a killed server has acknowledged is in its file, because the system writes it.
        appendonly: "yes",
        appendfsync: "no",
        "hash-max-listpack-entries": 8,
        "cluster-require-full-coverage": random.chance(0.5) ? "yes" : "no"
      }
    })
    const proxies = yield* makeProxies(cluster)
    const started = performance.now()
    let round = 0
    let whole = true
    for (; whole && performance.now() - started < seconds * 1000 && tally.wrong.length === 0; round++) {
      yield* cluster.agreed
      const name = `r${round}`
      const how = { harsh: round % 2 === 1, proxied: random.chance(0.5), atOnce, proxies }
      const world = makeWorld(name, fibers, tally)
      const client = RedisCluster.layer({
        nodes: cluster.seeds.slice(0, 3),
        protocol: random.chance(0.5) ? 3 : 2,
        replyTimeout: "8 seconds",
        clientName,
        maxDedicated: 64,
        closeTimeout: "1 second",
        ...(how.proxied ? { nodeAddress: throughProxies(proxies) } : {}),
        onOrphan: (orphan) => orphan.pushBack.pipe(Effect.ignore)
      })
      const until = Math.min(performance.now() + roundSeconds * 1000, started + seconds * 1000)
      let quiet = false
      const goesOn = (): boolean => performance.now() < until && tally.wrong.length === 0
      const changes = random.fork()
      const changing = Effect.gen(function* () {
        while (!world.ready) yield* Effect.sleep(20)
        while (goesOn()) {
          yield* Effect.sleep(changes.between(20, 400))
          const done = yield* Effect.either(change(cluster, world, changes, how))
          if (Either.isLeft(done)) {
            // The cluster itself did not agree in time, which says nothing about the client.
            add(tally.events, "changes that the cluster refused")
            const lasting = { from: 0, to: performance.now() + 60_000 }
            world.losses.push(lasting)
            world.busLosses.push(lasting)
            console.log(`${server.name} ${name}: ${(done.left as Error).message}`)
            whole = yield* restore(cluster, how)
          }
        }
      })
      const shakes = random.fork()
      const shaking = Effect.gen(function* () {
        while (!world.ready) yield* Effect.sleep(20)
        while (goesOn()) {
          yield* Effect.sleep(shakes.between(100, 2_000))
          // A node that was just killed cannot be asked.
          yield* Effect.ignore(shake(cluster, world, shakes, how))
        }
      })
      const disturbing = Effect.gen(function* () {
        yield* Effect.all([changing, shaking], { concurrency: 2, discard: true })
        yield* Effect.ignore(cluster.agreed)
        quiet = true
      })
      const before = countLeft()
      const tracker = fiberTracker()
      const using = tracker.track(
        Effect.scoped(
          Effect.provide(
            useCluster(world, () => quiet, random.fork()),
            client
          )
        )
      )
      yield* Effect.all([using, disturbing], { concurrency: 2, discard: true })
      // The kit has connections, too, so only their number can be compared.
      const patience = performance.now() + 10_000
      const leaked = () => {
        const { sockets, timers } = countLeft()
        return {
          sockets: Math.max(sockets - before.sockets, 0),
          timers: Math.max(timers - before.timers, 0),
          fibers: tracker.running().length
        }
      }
      while (performance.now() < patience && Object.values(leaked()).some((count) => count > 0)) {
        yield* Effect.sleep(20)
      }
      const left = leaked()
      tally.sockets += left.sockets
      tally.timers += left.timers
      tally.fibers += left.fibers
      console.log(
        line(`${server.name} ${how.harsh ? "harsh" : "gentle"}`, seed, tally, round + 1, performance.now() - started)
      )
    }
    if (!whole) {
      console.log(`${server.name}: the cluster did not recover, so its run ends here`)
    }
    for (const wrong of tally.wrong.slice(0, 20)) console.log(`wrong: ${wrong}`)
    for (const unsettled of tally.unsettled.slice(0, 20)) console.log(`unsettled: ${unsettled}`)
    console.log(`interruptions by what the fiber did: ${counts(tally.byKind)}`)
    console.log(`failures: ${counts(tally.failures)}`)
    console.log(line(server.name, seed, tally, round, performance.now() - started))
    return tally.wrong.length + tally.unsettled.length + tally.sockets + tally.timers + tally.fibers === 0
  })

export const run = (options: Options): Effect.Effect<boolean, unknown> =>
  Effect.map(
    Effect.forEach(options.servers, (server, at) => Effect.scoped(runOn(server, options, at))),
    (results) => results.every(Boolean)
  )
