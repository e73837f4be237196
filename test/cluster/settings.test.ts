/** Clusters that are set up in other ways: TLS with announced host names, users whose passwords change, several databases. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Redis, RedisPubSub, RedisStream } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as Kit from "effect-redis-client/testing/RedisCluster"
import { failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { until } from "../support/pubsub.js"
import { atLeast } from "../support/servers.js"

describeReal((server) => {
  const start = (options: Kit.RedisClusterOptions) =>
    Kit.make({ executable: server.executable, primaries: 2, replicasPerPrimary: 0, ...options })

  it.live("a node that is reached by its address is verified by the host name that it announces", () =>
    Effect.gen(function* () {
      const cluster = yield* start({
        tls: { names: ["localhost", "node.example"] },
        hostname: "node.example",
        config: { "cluster-preferred-endpoint-type": "ip" }
      })
      const [{ port }] = (yield* cluster.nodes) as [Kit.ClusterNode, ...Array<Kit.ClusterNode>]
      const nodes = [{ host: "localhost", port }]
      const ca = [Option.getOrThrow(cluster.tls).ca]
      const program = Effect.gen(function* () {
        const [slot] = (yield* RedisCluster.topology) as [RedisCluster.SlotRange, ...Array<RedisCluster.SlotRange>]
        expect(slot.primary.address).toMatch(/^127\.0\.0\.1:/)
        yield* Redis.mset({ a: "1", b: "2" })
        // Subscriptions have connections of their own.
        yield* Effect.scoped(RedisPubSub.ssubscribe(["a", "b"]))
        return yield* Redis.mget(["a", "b"])
      })
      expect(yield* Effect.provide(program, RedisCluster.layer({ nodes, tls: { ca } }))).toEqual([
        Option.some("1"),
        Option.some("2")
      ])
      // Another name in its place: no node is believed.
      const strange = RedisCluster.layer({ nodes, tls: { ca, serverName: "other.example" } })
      expect(failure(yield* Effect.exit(Effect.provide(Redis.get("a"), strange)))).toMatchObject({
        _tag: "ConnectionError"
      })
    }).pipe(Effect.scoped)
  )

  it.live("new credentials renew the connections of commands, and count for subscriptions that connect again", () =>
    Effect.gen(function* () {
      const cluster = yield* start({ acl: ["user ada on >one >two ~* &* +@all"] })
      const passwords = yield* Queue.unbounded<string>()
      yield* Queue.offer(passwords, "one")
      const credentials = Stream.map(Stream.fromQueue(passwords), (text) => ({
        username: "ada",
        password: Redacted.make(text)
      }))
      /** The ids of all connections of this user, by node. */
      const ids = Effect.map(
        Effect.flatMap(cluster.nodes, (nodes) =>
          Effect.forEach(nodes, (node) => Effect.map(node.run(Redis.clientList()), (list) => [node.id, list] as const))
        ),
        (all) =>
          all.flatMap(([node, list]) =>
            list.flatMap(({ id, user }) => (Option.contains(user, "ada") ? [`${node} ${id}`] : []))
          )
      )
      const program = Effect.gen(function* () {
        yield* Redis.mset({ a: "1", b: "2" })
        const heard = new Set<string>()
        for (const subscription of [RedisPubSub.subscribe("plain"), RedisPubSub.ssubscribe(["shard-a", "shard-b"])]) {
          const messages = yield* subscription
          yield* Effect.forkScoped(Stream.runForEach(messages, ({ channel }) => Effect.sync(() => heard.add(channel))))
        }
        const channels = [Redis.publish("plain", "x"), Redis.spublish("shard-a", "x"), Redis.spublish("shard-b", "x")]
        const all = Effect.suspend(() => {
          heard.clear()
          return until(
            "all channels are heard",
            // A publication may be lost with its connection, which the test kills.
            Effect.map(
              Effect.forEach(channels, (publish) => Effect.ignore(publish)),
              () => heard.size === channels.length
            )
          )
        })
        yield* all
        const before = yield* ids
        yield* Queue.offer(passwords, "two")
        // Each node has one connection for commands, and the three of subscriptions stay.
        yield* until(
          "the connections for commands are new",
          Effect.map(ids, (now) => before.filter((id) => now.includes(id)).length <= 3)
        )
        for (const node of yield* cluster.nodes) {
          yield* node.run(Redis.aclSetuser("ada", ["<one"]))
          yield* node.run(Redis.clientKill({ user: "ada" }))
        }
        yield* all
        expect(yield* Redis.mget(["a", "b"])).toEqual([Option.some("1"), Option.some("2")])
      })
      yield* Effect.provide(program, RedisCluster.layer({ nodes: cluster.seeds, credentials }))
    }).pipe(Effect.scoped)
  )

  it.live("streams of several hash slots are read as one Stream, also with a prefix", () =>
    Effect.gen(function* () {
      const cluster = yield* start({})
      const program = Effect.gen(function* () {
        yield* RedisStream.add("a", { n: "1" })
        const seen = yield* Queue.unbounded<string>()
        yield* Effect.forkScoped(
          Stream.runForEach(RedisStream.read({ a: "all", b: "all", c: "all" }), ({ fields, stream }) =>
            Queue.offer(seen, `${stream} ${fields.n}`)
          )
        )
        expect(yield* Queue.take(seen)).toBe("a 1")
        yield* Effect.forEach(["b", "c"], (stream) => RedisStream.add(stream, { n: "2" }))
        expect([yield* Queue.take(seen), yield* Queue.take(seen)].sort()).toEqual(["b 2", "c 2"])
        const all = yield* Stream.runCollect(RedisStream.read({ a: "all", b: "all", c: "all" }, { follow: false }))
        expect([...all].map(({ stream }) => stream).sort()).toEqual(["a", "b", "c"])
      })
      const layer = RedisCluster.layer({ nodes: cluster.seeds })
      yield* Effect.provide(Effect.scoped(program), layer)
      yield* Effect.provide(Redis.withPrefix(Effect.scoped(program), "tenant:"), layer)
    }).pipe(Effect.scoped)
  )

  it.live("a worker whose dead letters would go to another slot is refused before it reads anything", () =>
    Effect.gen(function* () {
      const cluster = yield* start({})
      const program = Effect.gen(function* () {
        yield* RedisStream.add("{orders}", { n: "1" })
        const options = { stream: "{orders}", group: "g", consumer: "c", create: "all" } as const
        const refused = RedisStream.worker({ ...options, deadLetter: "dead" }, () => Effect.void)
        expect(failure(yield* Effect.exit(refused))).toMatchObject({
          _tag: "UsageError",
          reason: "crossSlot",
          message: expect.stringContaining("hash tag in common")
        })
        const handled = yield* Queue.unbounded<string>()
        yield* Effect.forkScoped(
          RedisStream.worker({ ...options, deadLetter: "{orders}:dead" }, ({ id }) => Queue.offer(handled, id))
        )
        yield* Queue.take(handled)
      })
      yield* Effect.provide(program, RedisCluster.layer({ nodes: cluster.seeds }))
    }).pipe(Effect.scoped)
  )
})

describe("several databases", () => {
  describeReal(
    (server) => {
      it.live("have keys of their own, also after a slot has moved", () =>
        Effect.gen(function* () {
          const cluster = yield* Kit.make({
            executable: server.executable,
            primaries: 2,
            replicasPerPrimary: 0,
            config: { "cluster-databases": 4 }
          })
          const inDatabase = (database: number) => RedisCluster.layer({ nodes: cluster.seeds, database })
          const program = Effect.gen(function* () {
            yield* Redis.mset({ a: "of two", b: "of two" })
            const slot = RedisCluster.keySlot("a")
            const owner = yield* cluster.ownerOf("a")
            const [other] = (yield* cluster.primaries).filter(({ id }) => id !== owner.id) as [Kit.ClusterNode]
            yield* cluster.moveAtOnce(slot, other)
            expect(yield* Redis.mget(["a", "b"])).toEqual([Option.some("of two"), Option.some("of two")])
            expect(yield* Effect.scoped(Stream.runCollect(Redis.scanStream()))).toHaveLength(2)
            expect(yield* Effect.provide(Redis.mget(["a", "b"]), inDatabase(0))).toEqual([Option.none(), Option.none()])
          })
          yield* Effect.provide(program, inDatabase(2))
        }).pipe(Effect.scoped)
      )
    },
    atLeast({ valkey: "9.0" }).filter(({ product }) => product === "valkey")
  )
})
