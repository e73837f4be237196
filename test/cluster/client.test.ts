/** The client of a cluster, on a cluster of every real server: routing, splits, fan-outs, moves of slots and failovers. */
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Redis, RedisCommand, RedisPubSub } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as Kit from "effect-redis-client/testing/RedisCluster"
import { describeReal } from "../support/describeReal.js"
import { commandServers } from "../support/servers.js"

type Services =
  | Context.Tag.Identifier<typeof Redis>
  | Context.Tag.Identifier<typeof RedisPubSub>
  | RedisCluster.RedisCluster

/** Waits until a condition holds. */
const poll = <E, R>(what: string, condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> => {
  const until = performance.now() + 30_000
  const again: Effect.Effect<void, E, R> = Effect.flatMap(condition, (holds) =>
    holds
      ? Effect.void
      : performance.now() > until
        ? Effect.die(new Error(`it never happened: ${what}`))
        : Effect.zipRight(Effect.sleep("10 millis"), again)
  )
  return again
}

/** An error by its tag and what else tells it apart. */
const kindOf = (error: unknown): string => {
  const { _tag, code, reason } = error as { readonly _tag: string; readonly code?: string; readonly reason?: string }
  return [_tag, code ?? reason].join(" ")
}

describeReal((server) => {
  describe.each([2, 3] as const)("RESP%i", (protocol) => {
    const scope = Effect.runSync(Scope.make())
    let cluster: Kit.RedisCluster
    let services: Context.Context<Services>
    beforeAll(async () => {
      const started = Kit.make({ executable: server.executable, nodeTimeout: "1 second" })
      cluster = await Effect.runPromise(Scope.extend(started, scope))
      const layer = RedisCluster.layer({ nodes: cluster.seeds.slice(0, 2), protocol })
      services = await Effect.runPromise(Scope.extend(Layer.build(layer), scope))
    })
    afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

    const test = <A, E>(title: string, effect: Effect.Effect<A, E, Services | Scope.Scope>) =>
      it.live(title, () => Effect.scoped(Effect.provide(effect, services)))

    test(
      "sends each command to the owner of its key",
      Effect.gen(function* () {
        const keys = Array.from({ length: 200 }, (_, i) => `key:${i}`)
        yield* Effect.forEach(keys, (key) => Redis.set(key, `value of ${key}`), { concurrency: 50 })
        const values = yield* Effect.forEach(keys, (key) => Redis.get(key), { concurrency: 50 })
        expect(values).toEqual(keys.map((key) => Option.some(`value of ${key}`)))
        expect(yield* Redis.execute("GET", "key:7")).toBe("value of key:7")
        const sizes = yield* RedisCluster.onPrimaries(Redis.dbsize())
        const counts = Object.values(sizes).map(Either.getOrElse(() => 0))
        expect(counts).toHaveLength(3)
        expect(Math.min(...counts)).toBeGreaterThan(0)
        expect(yield* Redis.dbsize()).toBe(counts.reduce((a, b) => a + b))
      })
    )

    test(
      "splits commands over several slots, and keeps the order of their keys",
      Effect.gen(function* () {
        yield* Redis.mset({ "m:1": "one", "m:2": "two", "m:3": "three" })
        expect(yield* Redis.mget(["m:3", "none", "m:1", "m:2", "m:3"])).toEqual([
          Option.some("three"),
          Option.none(),
          Option.some("one"),
          Option.some("two"),
          Option.some("three")
        ])
        expect(yield* Redis.exists(["m:1", "m:2", "none", "m:1"])).toBe(3)
        expect(yield* Redis.touch(["m:1", "m:2", "none"])).toBe(2)
        expect(yield* Redis.unlink(["m:1", "m:2", "none"])).toBe(2)
        expect(yield* Redis.del(["m:3", "none"])).toBe(1)
      })
    )

    test(
      "refuses what no node can do alone, before anything is sent",
      Effect.gen(function* () {
        const refused = (effect: Effect.Effect<unknown, unknown, Services>) => Effect.map(Effect.flip(effect), kindOf)
        expect(yield* refused(Redis.rename("a", "b"))).toBe("UsageError crossSlot")
        expect(yield* refused(Redis.msetnx({ a: "1", b: "2" }))).toBe("UsageError crossSlot")
        expect(yield* refused(Redis.transaction([Redis.incr("a"), Redis.incr("b")]))).toBe("UsageError crossSlot")
        expect(yield* refused(Redis.info("server"))).toBe("UsageError refusedCommand")
        expect(yield* refused(Redis.execute("SCAN", "0"))).toBe("UsageError refusedCommand")
        expect(yield* refused(Redis.execute("SELECT", 1))).toBe("UsageError statefulCommand")
      })
    )

    test(
      "a pipeline goes to all nodes, and its results keep their places",
      Effect.gen(function* () {
        const results = yield* Redis.pipeline([
          Redis.set("p:1", "1"),
          Redis.incr("p:2"),
          Redis.mget(["p:1", "p:3"]),
          Redis.get("p:1"),
          Redis.ping(),
          Redis.incr("p:2")
        ])
        expect(results[1]).toBe(1)
        expect(results[3]).toEqual(Option.some("1"))
        expect(results[4]).toBe("PONG")
        expect(results[5]).toBe(2)
        const either = yield* Redis.pipeline([Redis.get("p:1"), Redis.lpush("p:2", "x")], { mode: "either" })
        expect([Either.isRight(either[0]), Either.isRight(either[1])]).toEqual([true, false])
      })
    )

    test(
      "transactions, optimistic transactions and scripts run at their keys' node",
      Effect.gen(function* () {
        expect(yield* Redis.transaction({ a: Redis.incr("{t}a"), b: Redis.incr("{t}b") })).toEqual({ a: 1, b: 1 })
        const buy = Redis.optimistic(
          "{o}stock",
          Effect.map(Redis.get("{o}stock"), (stock) =>
            Redis.transaction([Redis.set("{o}stock", `${Number(Option.getOrElse(stock, () => "5")) - 1}`)])
          )
        )
        yield* Effect.all([buy, buy, buy], { concurrency: "unbounded" })
        expect(yield* Redis.get("{o}stock")).toEqual(Option.some("2"))
        expect(yield* Redis.execute("EVAL", "return redis.call('GET', KEYS[1])", 1, "{o}stock")).toBe("2")
      })
    )

    test(
      "a blocking command waits at its key's node, and takes what is pushed",
      Effect.gen(function* () {
        const waiting = yield* Effect.fork(Redis.blpop(["jobs"], { timeout: "10 seconds" }))
        yield* Redis.rpush("jobs", "one")
        expect(yield* Fiber.join(waiting)).toEqual(Option.some(["jobs", "one"]))
        expect(yield* Redis.blpop(["none"], { timeout: "20 millis" })).toEqual(Option.none())
      })
    )

    test(
      "scans every key of all nodes, and one key at its node",
      Effect.gen(function* () {
        const keys = Array.from({ length: 300 }, (_, i) => `scan:${i}`)
        yield* Effect.forEach(keys, (key) => Redis.set(key, "x"), { concurrency: 50 })
        const found = yield* Stream.runCollect(Redis.scanStream({ match: "scan:*", count: 20 }))
        expect([...new Set(found)].sort()).toEqual([...keys].sort())
        const prefixed = yield* Stream.runCollect(Redis.scanStream().pipe(Redis.withPrefix("scan:1")))
        expect(Chunk.size(prefixed)).toBeGreaterThanOrEqual(111)
        yield* Redis.hset("hash", Object.fromEntries(keys.map((key) => [key, "1"])))
        expect(Chunk.size(yield* Stream.runCollect(Redis.hscanStream("hash")))).toBe(300)
        expect((yield* Redis.keys("scan:*")).length).toBe(300)
      })
    )

    test(
      "messages reach subscribers whichever node they were published at",
      Effect.gen(function* () {
        const seen = yield* Ref.make<ReadonlyArray<string>>([])
        const messages = yield* RedisPubSub.subscribe(["news"])
        yield* Effect.forkScoped(
          Stream.runForEach(messages, ({ payload }) => Ref.update(seen, (all) => [...all, payload]))
        )
        yield* RedisCluster.onPrimaries(Redis.publish("news", "hello"))
        yield* poll(
          "three messages",
          Effect.map(Ref.get(seen), ({ length }) => length === 3)
        )
      })
    )

    test(
      "shard channels are subscribed to at their slot's node, and follow the slot when it moves",
      Effect.gen(function* () {
        const channels = ["{s1}", "{s2}", "{s3}", "{s4}"]
        const seen = yield* Ref.make<ReadonlyArray<string>>([])
        const gaps = yield* Ref.make(0)
        const messages = yield* RedisPubSub.withGaps.ssubscribe(channels)
        yield* Effect.forkScoped(
          Stream.runForEach(messages, (message) =>
            RedisPubSub.isGap(message)
              ? Ref.update(gaps, (n) => n + 1)
              : Ref.update(seen, (all) => [...all, `${message.channel} ${message.payload}`])
          )
        )
        yield* Effect.forEach(channels, (channel) => Redis.spublish(channel, "before"))
        yield* poll(
          "all channels heard",
          Effect.map(Ref.get(seen), ({ length }) => length === 4)
        )
        const slot = RedisCluster.keySlot("{s1}")
        const owner = yield* cluster.ownerOf(slot)
        const other = (yield* cluster.primaries).find(({ id }) => id !== owner.id)
        yield* cluster.moveSlot(slot, other?.id ?? "")
        yield* poll(
          "the gap was told",
          Effect.map(Ref.get(gaps), (n) => n > 0)
        )
        yield* Effect.forEach(channels, (channel) => Redis.spublish(channel, "after"))
        yield* poll(
          "all channels heard again",
          Effect.map(Ref.get(seen), ({ length }) => length === 8)
        )
      })
    )

    test(
      "follows a slot that is moved key by key: nothing fails, and nothing is executed twice",
      Effect.gen(function* () {
        const slot = RedisCluster.keySlot("{moving}")
        const owner = yield* cluster.ownerOf(slot)
        const other = (yield* cluster.primaries).find(({ id }) => id !== owner.id)
        const stop = yield* Ref.make(false)
        const count = yield* Ref.make(0)
        const load = Effect.repeat(
          Effect.zipRight(
            Effect.all([
              Redis.incr("{moving}a"),
              Redis.transaction([Redis.incr("{moving}b"), Redis.incr("{moving}c")]),
              Redis.pipeline([Redis.incr("{moving}d"), Redis.incr("elsewhere")]),
              Redis.execute("EVAL", "return redis.call('INCR', KEYS[1])", 1, "{moving}e")
            ]),
            Ref.update(count, (n) => n + 1)
          ),
          { until: () => Ref.get(stop) }
        )
        const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.fork(load))
        const atLeast = (n: number) =>
          poll(
            `${n} rounds`,
            Effect.map(Ref.get(count), (done) => done >= n)
          )
        yield* atLeast(20)
        const move = yield* cluster.beginMove(slot, other?.id ?? "")
        yield* atLeast(60)
        yield* move.moveKeys
        yield* atLeast(100)
        yield* move.finish
        yield* atLeast(140)
        yield* Ref.set(stop, true)
        yield* Effect.forEach(fibers, Fiber.join)
        const total = yield* Ref.get(count)
        const values = yield* Redis.mget(["{moving}a", "{moving}b", "{moving}c", "{moving}d", "{moving}e"])
        expect(values).toEqual(Array(5).fill(Option.some(`${total}`)))
      })
    )

    test(
      "reads from replicas where that is asked for, and writes to primaries",
      Effect.gen(function* () {
        yield* Redis.set("read", "1")
        const owner = yield* cluster.ownerOf("read")
        const replicas = yield* cluster.replicasOf(owner)
        const gets = (node: Kit.ClusterNode) =>
          Effect.map(node.run(Redis.execute("INFO", "commandstats")), (info) =>
            Number(/cmdstat_get:calls=(\d+)/.exec(String(info))?.[1] ?? 0)
          )
        const read = Redis.get("read").pipe(RedisCluster.readFrom("preferReplica"))
        const atReplicas = Effect.map(Effect.forEach(replicas, gets), (counts) => counts.reduce((a, b) => a + b, 0))
        const before = yield* atReplicas
        // The first read opens the replica's connection, and may go to the primary meanwhile.
        yield* poll(
          "a replica was asked",
          Effect.map(Effect.zipRight(read, atReplicas), (count) => count > before)
        )
        const primaryGets = yield* gets(owner)
        expect(yield* read).toEqual(Option.some("1"))
        const [one, two] = yield* Redis.pipeline([Redis.get("read"), Redis.mget(["read", "none"])]).pipe(
          RedisCluster.readFrom("replica")
        )
        expect([one, two]).toEqual([Option.some("1"), [Option.some("1"), Option.none()]])
        expect(yield* gets(owner)).toBe(primaryGets)
        yield* Redis.incr("read").pipe(RedisCluster.readFrom("replica"))
        expect(yield* Redis.get("read")).toEqual(Option.some("2"))
        expect(yield* gets(owner)).toBe(primaryGets + 1)
      })
    )

    test(
      "an error that a script answers by itself is the answer: the script is not run again",
      Effect.gen(function* () {
        for (const error of ["TRYAGAIN later", "CLUSTERDOWN no", "READONLY no", "LOADING no", "MOVED 1 10.0.0.1:1"]) {
          const key = `forged:${error}`
          const script = `redis.call('INCR', KEYS[1]) return redis.error_reply('${error}')`
          const run = Redis.execute("EVAL", script, 1, RedisCommand.key(key))
          expect(kindOf(yield* Effect.flip(run))).toBe(`ReplyError ${error.split(" ")[0]}`)
          yield* Redis.pipeline([run, Redis.get("other")], { mode: "either" })
          expect(yield* Redis.get(key)).toEqual(Option.some("2"))
        }
      })
    )

    test(
      "an optimistic transaction begins again where its slot is now",
      Effect.gen(function* () {
        const slot = RedisCluster.keySlot("{leased}")
        const increase = Redis.optimistic(
          "{leased}",
          Effect.map(Redis.get("{leased}"), (value) =>
            Redis.transaction([Redis.set("{leased}", `${Number(Option.getOrElse(value, () => "0")) + 1}`)])
          )
        )
        yield* increase
        for (let i = 0; i < 2; i++) {
          const owner = yield* cluster.ownerOf(slot)
          const other = (yield* cluster.primaries).find(({ id }) => id !== owner.id)
          yield* cluster.moveSlot(slot, other?.id ?? "")
          yield* increase
        }
        expect(yield* Redis.get("{leased}")).toEqual(Option.some("3"))
      })
    )

    test(
      "a leased connection refuses keys of other nodes, and the error names the command",
      Effect.gen(function* () {
        const leased = yield* (yield* Redis).lease
        yield* leased.send(Redis.ping())
        const keys = Array.from({ length: 30 }, (_, i) => `leased:${i}`)
        const sent = yield* Effect.forEach(keys, (key) => Effect.either(leased.send(Redis.set(key, "v"))))
        const refused = sent.filter(Either.isLeft).map(({ left }) => left)
        expect(refused.length).toBeGreaterThan(0)
        expect(refused.length).toBeLessThan(keys.length)
        for (const error of refused) {
          expect(error).toMatchObject({ _tag: "UsageError", reason: "crossSlot", command: "SET" })
          expect(error.message).toMatch(/^SET was not sent: .*another node/)
        }
      })
    )

    test(
      "a blocking command follows its slot",
      Effect.gen(function* () {
        const slot = RedisCluster.keySlot("{queue}")
        const waiting = yield* Effect.fork(Redis.blpop(["{queue}"], { timeout: "30 seconds" }))
        const owner = yield* cluster.ownerOf(slot)
        yield* poll(
          "it blocks there",
          Effect.map(owner.run(Redis.execute("INFO", "clients")), (info) => /blocked_clients:[1-9]/.test(String(info)))
        )
        const other = (yield* cluster.primaries).find(({ id }) => id !== owner.id)
        yield* cluster.moveSlot(slot, other?.id ?? "")
        yield* Redis.rpush("{queue}", "found")
        expect(yield* Fiber.join(waiting)).toEqual(Option.some(["{queue}", "found"]))
      })
    )

    test(
      "a scan during a migration gives every key that was there all the time",
      Effect.gen(function* () {
        const slot = RedisCluster.keySlot("{scanned}")
        const keys = Array.from({ length: 40 }, (_, i) => `{scanned}${i}`)
        yield* Effect.forEach(keys, (key) => Redis.set(key, "x"), { concurrency: 20 })
        const owner = yield* cluster.ownerOf(slot)
        const other = (yield* cluster.primaries).find(({ id }) => id !== owner.id)
        const move = yield* cluster.beginMove(slot, other?.id ?? "")
        // Half of the keys are on each side.
        yield* Effect.forEach(keys.slice(0, 20), (key) => move.moveKey(key))
        const during = yield* Stream.runCollect(Redis.scanStream({ match: "{scanned}*" }))
        expect([...new Set(during)].sort()).toEqual([...keys].sort())
        yield* move.finish
        const after = yield* Stream.runCollect(Redis.scanStream({ match: "{scanned}*" }))
        expect([...new Set(after)].sort()).toEqual([...keys].sort())
      })
    )

    test(
      "a planned failover fails no command",
      Effect.gen(function* () {
        const key = "failover"
        const stop = yield* Ref.make(false)
        const count = yield* Ref.make(0)
        const fiber = yield* Effect.fork(
          Effect.repeat(
            Effect.zipRight(
              Redis.incr(key),
              Ref.update(count, (n) => n + 1)
            ),
            {
              until: () => Ref.get(stop)
            }
          )
        )
        const atLeast = (n: number) =>
          poll(
            `${n} rounds`,
            Effect.map(Ref.get(count), (done) => done >= n)
          )
        yield* atLeast(50)
        const owner = yield* cluster.ownerOf(RedisCluster.keySlot(key))
        const [replica] = yield* cluster.replicasOf(owner)
        yield* cluster.failover(replica?.id ?? "")
        yield* atLeast((yield* Ref.get(count)) + 50)
        yield* Ref.set(stop, true)
        yield* Fiber.join(fiber)
        expect(yield* Redis.get(key)).toEqual(Option.some(`${yield* Ref.get(count)}`))
      })
    )

    test(
      "a read at a primary that hangs is answered by its successor",
      Effect.gen(function* () {
        yield* Redis.set("hangs", "1")
        const owner = yield* cluster.ownerOf("hangs")
        yield* cluster.pause(owner)
        const read = Redis.get("hangs").pipe(RedisCommand.withDeadline("25 seconds"))
        expect(yield* read).toEqual(Option.some("1"))
        yield* cluster.resume(owner)
        yield* cluster.agreed
      })
    )

    test(
      "when a primary is killed, what was in flight fails as unknown, and everything else waits for its successor",
      Effect.gen(function* () {
        const key = "killed"
        const owner = yield* cluster.ownerOf(RedisCluster.keySlot(key))
        const [replica] = yield* cluster.replicasOf(owner)
        const acknowledged = yield* Ref.make(0)
        const unknown = yield* Ref.make<ReadonlyArray<string>>([])
        const stop = yield* Ref.make(false)
        const fibers = yield* Effect.forEach(Array.from({ length: 10 }), () =>
          Effect.fork(
            Effect.repeat(
              Redis.incr(key).pipe(
                RedisCommand.withDeadline("20 seconds"),
                Effect.matchEffect({
                  onFailure: (error) =>
                    Ref.update(unknown, (all) => [
                      ...all,
                      `${error._tag} ${(error as { readonly delivery?: string }).delivery}`
                    ]),
                  onSuccess: () => Ref.update(acknowledged, (n) => n + 1)
                })
              ),
              { until: () => Ref.get(stop) }
            )
          )
        )
        const atLeast = (n: number) =>
          poll(
            `${n} rounds`,
            Effect.map(Ref.get(acknowledged), (done) => done >= n)
          )
        yield* atLeast(50)
        yield* cluster.kill(owner)
        yield* atLeast((yield* Ref.get(acknowledged)) + 50)
        yield* Ref.set(stop, true)
        yield* Effect.forEach(fibers, Fiber.join)
        const failed = yield* Ref.get(unknown)
        expect(failed.filter((kind) => kind !== "ConnectionError unknown")).toEqual([])
        const value = Number(Option.getOrElse(yield* Redis.get(key), () => "0"))
        const least = yield* Ref.get(acknowledged)
        // The replica may lack the last writes of the primary that was killed.
        expect(value).toBeGreaterThan(least / 2)
        expect(value).toBeLessThanOrEqual(least + failed.length)
        yield* cluster.restart(owner)
        expect((yield* cluster.ownerOf(key)).id).toBe(replica?.id)
      })
    )
  })
}, commandServers)
