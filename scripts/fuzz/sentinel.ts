/**
 * `npm run fuzz -- --sentinel`: a master, two replicas and three sentinels of each server. The master is failed over, killed,
 * frozen and cut off at random, sentinels are lost, and fibers use the master in every way (clusterWork.ts,
 * sentinelEvents.ts). In each round there is a new client; when it was closed, nothing of it is left.
 */
import * as Net from "node:net"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RedisSentinel from "effect-redis-client/RedisSentinel"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import * as Kit from "effect-redis-client/testing/RedisSentinel"
import { fiberTracker } from "../../test/support/fibers.js"
import type { TestServer } from "../../test/support/servers.js"
import { counts, makeWorld, n, type Options, roundSeconds, useCluster } from "./cluster.js"
import { add, emptyTally, type Tally } from "./clusterWork.js"
import * as Random from "./random.js"
import { change, clientName, type Proxies, replicationMillis, shake } from "./sentinelEvents.js"
import { countLeft } from "./watch.js"

const line = (name: string, seed: number, tally: Tally, written: number, rounds: number, millis: number): string =>
  `fuzz --sentinel: ${name}, seed ${seed}, ${rounds} rounds in ${Math.round(millis / 1000)} s, ${n(tally.done)} operations, ` +
  `${n(tally.interrupted)} interruptions, ${n(tally.failed)} failures with a reason, ${n(tally.messages)} messages, ` +
  `${n(tally.gaps)} gaps, ${n(tally.handled)} entries handled (${n(tally.handledAgain)} again); ${counts(tally.events)}; ` +
  `${n(tally.lost)} acknowledged increments lost by servers, ${n(written)} chunks with writes checked; ` +
  `${tally.wrong.length} wrong answers, ${tally.unsettled.length} unsettled, ` +
  `leaked: ${tally.sockets} sockets, ${tally.timers} timers, ${tally.fibers} fibers`

/** Commands that only the master may get, as they begin on the wire. */
const writes = /\r\n(?:INCR|SET|HSET|RPUSH|BLPOP|XADD|XGROUP|XREADGROUP|XACK|EVAL|EVALSHA|MULTI|PUBLISH|SPUBLISH)\r\n/

/**
 * Watches what this process hands to sockets. `onWrite` is called in the turn in which bytes with a write are handed to a
 * socket, with the port to which the socket leads.
 */
const watchWrites = (onWrite: (port: number, chunk: string) => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { write } = Net.Socket.prototype
      Net.Socket.prototype.write = function (this: Net.Socket, ...args: Parameters<typeof write>) {
        const [chunk] = args as ReadonlyArray<unknown>
        if (this.remotePort !== undefined) {
          const text = typeof chunk === "string" ? chunk : Buffer.from(chunk as Uint8Array).toString("latin1")
          if (writes.test(text)) onWrite(this.remotePort, text)
        }
        return write.apply(this, args)
      } as typeof write
      return write
    }),
    (write) =>
      Effect.sync(() => {
        Net.Socket.prototype.write = write
      })
  )

const makeProxies = (kit: Kit.RedisSentinel) =>
  Effect.gen(function* () {
    const proxies = new Map<number, FaultProxy.FaultProxy>()
    for (const { port } of yield* kit.nodes) {
      proxies.set(port, yield* FaultProxy.make({ target: { host: "127.0.0.1", port } }))
    }
    return proxies
  })

/** Ends all that was done to the servers. Returns whether they agree again. */
const restore = (kit: Kit.RedisSentinel, proxies: Proxies) =>
  Effect.gen(function* () {
    for (const proxy of proxies.values()) yield* Effect.ignore(proxy.heal)
    for (const node of yield* kit.nodes) {
      yield* Effect.ignore(Option.isNone(yield* node.server.pid) ? kit.restart(node) : kit.resume(node))
    }
    for (const sentinel of kit.sentinels) {
      const isGone = Option.isNone(yield* sentinel.server.pid)
      yield* Effect.ignore(isGone ? kit.restartSentinel(sentinel) : kit.resumeSentinel(sentinel))
    }
    return yield* Effect.isSuccess(kit.agreed)
  })

const runOn = (server: TestServer, { fibers, seconds, seed }: Options, at: number) =>
  Effect.gen(function* () {
    const tally = emptyTally()
    const random = Random.make(seed, at)
    const kit = yield* Kit.make({
      executable: server.executable,
      appendonly: true,
      config: { "hash-max-listpack-entries": 8, "notify-keyspace-events": "KEA" }
    })
    const proxies = yield* makeProxies(kit)
    const ports = new Set([...proxies.values()].map(({ port }) => port))
    const started = performance.now()
    let written = 0
    /** The port of the master, as the client knows it in this moment. */
    let followed: (() => number) | undefined
    yield* watchWrites((port, chunk) => {
      if (followed === undefined || !ports.has(port)) return
      written++
      const master = followed()
      if (port !== master) {
        tally.wrong.push(
          `a write went to ${port} while the client followed ${master}: ${JSON.stringify(chunk.slice(0, 200))}`
        )
      }
    })
    let round = 0
    let whole = true
    for (; whole && performance.now() - started < seconds * 1000 && tally.wrong.length === 0; round++) {
      yield* kit.agreed
      const name = `r${round}`
      const coordinated = server.product === "valkey" && Number.parseInt(server.version, 10) >= 9
      const how = { harsh: round % 2 === 1, coordinated, proxies }
      const world = makeWorld(name, fibers, tally)
      const client = RedisSentinel.layer({
        name: kit.name,
        sentinels: random.chance(0.5) ? kit.sentinels.slice(0, 1) : kit.sentinels,
        nodeAddress: ({ port }) => {
          const proxy = proxies.get(port)
          return proxy === undefined ? undefined : { host: proxy.host, port: proxy.port }
        },
        protocol: random.chance(0.5) ? 3 : 2,
        replyTimeout: "8 seconds",
        clientName,
        maxDedicated: 64,
        closeTimeout: "1 second",
        onOrphan: (orphan) => orphan.pushBack.pipe(Effect.ignore)
      })
      const until = Math.min(performance.now() + roundSeconds * 1000, started + seconds * 1000)
      let quiet = false
      const goesOn = (): boolean => performance.now() < until && tally.wrong.length === 0
      const changes = random.fork()
      const changing = Effect.gen(function* () {
        while (!world.ready) yield* Effect.sleep(20)
        // What the fibers read has reached the replicas.
        yield* Effect.sleep(replicationMillis)
        while (goesOn()) {
          yield* Effect.sleep(changes.between(20, 1_500))
          const done = yield* Effect.either(change(kit, world, changes, how))
          if (Either.isLeft(done)) {
            // The sentinels did not agree in time, which says nothing about the client.
            add(tally.events, "changes that the sentinels refused")
            world.losses.push({ from: 0, to: performance.now() + 60_000 })
            console.log(`${server.name} ${name}: ${(done.left as Error).message}`)
            whole = yield* restore(kit, proxies)
          }
        }
      })
      const shakes = random.fork()
      const shaking = Effect.gen(function* () {
        while (!world.ready) yield* Effect.sleep(20)
        while (goesOn()) {
          yield* Effect.sleep(shakes.between(100, 2_000))
          // A master that was just killed cannot be asked.
          yield* Effect.ignore(shake(kit, world, shakes, how))
        }
      })
      const disturbing = Effect.gen(function* () {
        yield* Effect.all([changing, shaking], { concurrency: 2, discard: true })
        yield* Effect.ignore(kit.agreed)
        quiet = true
      })
      const before = countLeft()
      const tracker = fiberTracker()
      const using = tracker.track(
        Effect.scoped(
          Effect.gen(function* () {
            const services = yield* Layer.build(client)
            const { master } = Context.get(services, RedisSentinel.RedisSentinel)
            followed = () => Number(Effect.runSync(master).split(":").at(-1))
            yield* Effect.provide(
              useCluster(world, () => quiet, random.fork()),
              services
            )
          })
        )
      )
      yield* Effect.all([using, disturbing], { concurrency: 2, discard: true })
      followed = undefined
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
      const label = `${server.name} ${how.harsh ? "harsh" : "gentle"}`
      console.log(line(label, seed, tally, written, round + 1, performance.now() - started))
    }
    if (!whole) {
      console.log(`${server.name}: the sentinels did not agree again, so its run ends here`)
    }
    for (const wrong of tally.wrong.slice(0, 20)) console.log(`wrong: ${wrong}`)
    for (const unsettled of tally.unsettled.slice(0, 20)) console.log(`unsettled: ${unsettled}`)
    console.log(`interruptions by what the fiber did: ${counts(tally.byKind)}`)
    console.log(`failures: ${counts(tally.failures)}`)
    console.log(line(server.name, seed, tally, written, round, performance.now() - started))
    return tally.wrong.length + tally.unsettled.length + tally.sockets + tally.timers + tally.fibers === 0
  })

export const run = (options: Options): Effect.Effect<boolean, unknown> =>
  Effect.map(
    Effect.forEach(options.servers, (server, at) => Effect.scoped(runOn(server, options, at))),
    (results) => results.every(Boolean)
  )
