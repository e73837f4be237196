/** What a client of a cluster does with requests and subscriptions while nodes are made, are missing, and are closed. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { makeNode, type NodeSettings } from "../../src/internal/client/node.js"
import { slotOf } from "../../src/internal/cluster/slot.js"
import { makeDial } from "../../src/internal/connection/dial.js"
import { connect } from "../../src/internal/connection/lazyNodeTransport.js"
import * as Options from "../../src/internal/connection/options.js"
import { reconnectSettings } from "../../src/internal/connection/pacer.js"
import { type Group, Member } from "../../src/internal/nodes/member.js"
import { prepare } from "../../src/internal/request/prepare.js"
import { Request } from "../../src/internal/request/request.js"
import { Redis, type RedisService } from "../../src/Redis.js"
import * as RedisCluster from "../../src/RedisCluster.js"
import type { RedisError } from "../../src/RedisError.js"
import { RedisPubSub } from "../../src/RedisPubSub.js"
import { failure, quickly, settle } from "../support/client.js"
import { type ClusterScript, make as makePeers, resp } from "../support/clusterPeers.js"
import * as Peer from "../support/peer.js"

const key = "b"
const home = slotOf(key) < 8192 ? 0 : 1

const options = { reconnect: quickly, refreshInterval: "1 hour" } as const

/** Two primaries, and node 2 as the replica of the one that owns `key`. */
const withReplica = (onCommand: NonNullable<ClusterScript["onCommand"]>) =>
  Effect.gen(function* () {
    let ports: ReadonlyArray<number> = []
    const peers = yield* makePeers(3, {
      owners: 2,
      onCommand: (command, node, connection) =>
        command[0] === "READONLY" ? resp("+OK") : onCommand(command, node, connection),
      onSlots: (_, right) =>
        resp(
          (right as ReadonlyArray<ReadonlyArray<unknown>>).map((range, node) =>
            node === home ? [...range, ["127.0.0.1", ports[2], "node2", []]] : range
          )
        )
    })
    ports = peers.ports
    return peers
  })

const readAtReplica = (redis: RedisService) =>
  Redis.get(key).pipe(RedisCluster.readFrom("replica"), Effect.provideService(Redis, redis))

describe("a request that comes before the connections of its node are made", () => {
  /** A member whose connections are made when the test says so, by a fiber that ends at once. */
  const unmade = Effect.gen(function* () {
    const peer = yield* Peer.make({ onCommand: Peer.greeting(([, name]) => resp(`value of ${name}`)) })
    const options = yield* Options.resolve({ host: "127.0.0.1", port: peer.port, expect: "node" })
    const cluster: Group = {
      reroute: () => {},
      replyTimeout: 5_000,
      observer: undefined,
      address: "the cluster",
      closed: false,
      maxRetries: 3,
      dispatch: () => {},
      refused: () => false,
      doubt: () => {}
    }
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const member = new Member({ host: "127.0.0.1", port: peer.port }, false, cluster, scope, Effect.never, () => {})
    const settings: NodeSettings = {
      ...reconnectSettings({ reconnect: quickly }),
      maxRetries: 3,
      followsBlocked: true,
      maxDedicated: 1,
      acquireTimeout: 1_000,
      idleTimeout: 1_000,
      lazy: true,
      onOrphan: () => Effect.void
    }
    const begin = Effect.map(
      Scope.extend(makeNode(makeDial({ options, connect, observer: undefined, steps: [] }), settings), scope),
      (node) => member.begin(node)
    )
    const get = (name: string) =>
      Effect.async<Option.Option<string>, RedisError>((resume) => {
        const request = prepare(Redis.get(name), resume, cluster, undefined)
        return request instanceof Request ? member.accept(request) : resume(Effect.fail(request))
      })
    return { begin: Effect.flatMap(Effect.fork(begin), Fiber.join), get, peer }
  })

  it.live("is sent when they are, and answered", () =>
    Effect.gen(function* () {
      const { begin, get } = yield* unmade
      const fiber = yield* Effect.fork(get(key))
      yield* settle
      yield* begin
      expect(yield* Fiber.join(fiber).pipe(Effect.timeout("5 seconds"))).toEqual(Option.some(`value of ${key}`))
    }).pipe(Effect.scoped)
  )

  it.live("is not sent when its caller was interrupted", () =>
    Effect.gen(function* () {
      const { begin, get, peer } = yield* unmade
      const interrupted = yield* Effect.fork(get("interrupted"))
      yield* settle
      yield* Fiber.interrupt(interrupted)
      yield* begin
      expect(yield* get(key)).toEqual(Option.some(`value of ${key}`))
      expect(peer.connections.flatMap(Peer.sent)).not.toContain("GET interrupted")
    }).pipe(Effect.scoped)
  )
})

describe("closing the client of a cluster", () => {
  it.live("ends a read that a replica has not answered, and does not send it to another node", () =>
    Effect.gen(function* () {
      const peers = yield* withReplica((_, node) => (node === 2 ? undefined : resp("from a primary")))
      const scope = yield* Scope.make()
      const redis = yield* RedisCluster.make({
        nodes: peers.seeds.slice(0, 1),
        closeTimeout: "50 millis",
        ...options
      }).pipe(Scope.extend(scope))
      const fiber = yield* Effect.fork(readAtReplica(redis))
      yield* Peer.eventually("the replica was asked", () => peers.received(2).includes(`GET ${key}`))
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.await(fiber).pipe(Effect.timeout("5 seconds"))
      // It was written, so it is not known what became of it.
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "closed", delivery: "unknown" })
      expect(peers.received(home)).not.toContain(`GET ${key}`)
    }).pipe(Effect.scoped)
  )

  it.live("ends a request of the same moment, although the connections of its node are not made yet", () =>
    Effect.gen(function* () {
      const peers = yield* withReplica((_, node) => resp(`from ${node}`))
      const scope = yield* Scope.make()
      const redis = yield* RedisCluster.make({ nodes: peers.seeds.slice(0, 1), ...options }).pipe(Scope.extend(scope))
      const fiber = yield* Effect.fork(readAtReplica(redis))
      yield* Effect.yieldNow()
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.await(fiber).pipe(Effect.timeout("5 seconds"))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "closed", delivery: "unsent" })
    }).pipe(Effect.scoped)
  )

  it.live("refuses what comes later, also for nodes that were never used", () =>
    Effect.gen(function* () {
      const peers = yield* withReplica((_, node) => resp(`from ${node}`))
      const scope = yield* Scope.make()
      const redis = yield* RedisCluster.make({ nodes: peers.seeds.slice(0, 1), ...options }).pipe(Scope.extend(scope))
      yield* Scope.close(scope, Exit.void)
      const all: Record<string, Effect.Effect<unknown, unknown, Redis>> = {
        "a read at a replica": Redis.get(key).pipe(RedisCluster.readFrom("replica")),
        "a command": Redis.get(key),
        "a command without a key": Redis.ping(),
        "a command in parts": Redis.mget([key, "a"]),
        "a transaction": Redis.transaction([Redis.get(key)]),
        "a blocking command": Redis.blpop([key], { timeout: "1 second" })
      }
      for (const [what, effect] of Object.entries(all)) {
        const exit = yield* Effect.exit(Effect.provideService(effect, Redis, redis)).pipe(Effect.timeout("2 seconds"))
        expect([what, exit._tag]).toEqual([what, "Failure"])
        const error = failure(exit) as { readonly error?: unknown }
        expect([what, error.error ?? error]).toMatchObject([what, { reason: "closed", delivery: "unsent" }])
      }
    }).pipe(Effect.scoped)
  )
})

describe("a subscription whose slot has no owner", () => {
  it.live("does not come back when it ended before there was one", () =>
    Effect.gen(function* () {
      let owned = false
      const peers = yield* makePeers(2, {
        // At first nobody owns the slot of `key`.
        onSlots: (_, right) => resp((right as ReadonlyArray<unknown>).filter((_, node) => owned || node !== home)),
        onCommand: ([name, channel], _, connection) => {
          if (name === "SSUBSCRIBE") {
            connection.write(`>3\r\n${resp("ssubscribe")}${resp(channel)}${resp(1)}`)
          }
          return undefined
        }
      })
      const live = yield* Layer.build(RedisCluster.layer({ nodes: peers.seeds, ...options }))
      const subscribe = (channel: string) => Effect.scoped(Effect.provide(RedisPubSub.ssubscribe(channel), live))
      const fiber = yield* Effect.fork(subscribe(`{${key}}:ended`))
      yield* settle
      yield* Fiber.interrupt(fiber)
      owned = true
      yield* subscribe(`{${key}}:lives`).pipe(Effect.timeout("5 seconds"))
      const subscribed = peers.received(home).filter((line) => line.startsWith("SSUBSCRIBE"))
      expect(subscribed).toEqual([`SSUBSCRIBE {${key}}:lives`])
    }).pipe(Effect.scoped)
  )
})

describe("a primary that joins", () => {
  it.live("is told to publish keyspace notifications, again while it is not ready", () =>
    Effect.gen(function* () {
      let joined = false
      let refusals = 3
      const peers = yield* makePeers(3, {
        onSlots: (_, right) => resp((right as ReadonlyArray<unknown>).filter((_, node) => joined || node < 2)),
        onCommand: ([name, second], node, connection) => {
          switch (name) {
            case "PSUBSCRIBE":
              connection.write(`>3\r\n${resp("psubscribe")}${resp(second)}${resp(1)}`)
              return undefined
            case "CONFIG":
              return node === 2 && refusals-- > 0
                ? resp("-LOADING Redis is loading the dataset in memory")
                : second === "GET"
                  ? resp(["notify-keyspace-events", ""])
                  : resp("+OK")
            default:
              return undefined
          }
        }
      })
      const live = yield* Layer.build(
        RedisCluster.layer({ nodes: peers.seeds, reconnect: quickly, refreshInterval: "50 millis" })
      )
      yield* Effect.provide(RedisPubSub.psubscribeKeyspace("x:*", { notify: "KEA" }), live)
      joined = true
      yield* Peer.eventually("it was subscribed to", () =>
        peers.received(2).some((line) => line.startsWith("PSUBSCRIBE"))
      )
      expect(peers.received(2).filter((line) => /^(CONFIG SET|PSUBSCRIBE)/.test(line))).toEqual([
        "CONFIG SET notify-keyspace-events KEA",
        "PSUBSCRIBE __keyspace@0__:x:*"
      ])
    }).pipe(Effect.scoped)
  )
})
