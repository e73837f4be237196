/** What a client of a cluster does with requests and subscriptions while nodes are made, are missing, and are closed. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { slotOf } from "../../src/internal/cluster/slot.js"
import { Redis, type RedisService } from "../../src/Redis.js"
import * as RedisCluster from "../../src/RedisCluster.js"
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
  it.live("is sent when they are, and answered", () =>
    Effect.gen(function* () {
      const peers = yield* withReplica((_, node) => resp(`from ${node}`))
      const redis = yield* RedisCluster.make({ nodes: peers.seeds.slice(0, 1), ...options })
      // Nothing was read from the replica before, so this read makes its connections.
      const answer = yield* readAtReplica(redis).pipe(Effect.timeout("5 seconds"))
      expect(answer).toEqual(Option.some("from 2"))
    }).pipe(Effect.scoped)
  )

  it.live("is not sent any more when its caller was interrupted", () =>
    Effect.gen(function* () {
      const peers = yield* withReplica((_, node) => resp(`from ${node}`))
      const redis = yield* RedisCluster.make({ nodes: peers.seeds.slice(0, 1), ...options })
      const fiber = yield* Effect.fork(readAtReplica(redis))
      yield* settle
      yield* Fiber.interrupt(fiber)
      expect(yield* Redis.get("other").pipe(Effect.provideService(Redis, redis))).toEqual(expect.anything())
      expect(yield* readAtReplica(redis)).toEqual(Option.some("from 2"))
      expect(peers.received(2).filter((line) => line === `GET ${key}`)).toHaveLength(1)
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
