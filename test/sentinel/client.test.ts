/** The client of a master that Sentinel watches, on real servers: planned failovers, killed and frozen masters, lost sentinels. */
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Redis, type RedisError, RedisPubSub } from "effect-redis-client"
import * as RedisSentinel from "effect-redis-client/RedisSentinel"
import * as Kit from "effect-redis-client/testing/RedisSentinel"
import { failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { commandServers } from "../support/servers.js"

type Services =
  | Context.Tag.Identifier<typeof Redis>
  | Context.Tag.Identifier<typeof RedisPubSub>
  | RedisSentinel.RedisSentinel

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

const clientName = "app"

/** How many connections of the client a node has. */
const connectionsAt = (node: Kit.SentinelNode) =>
  Effect.map(
    node.run(Redis.execute("CLIENT", "LIST")),
    (text) =>
      String(text)
        .split("\n")
        .filter((line) => line.includes(` name=${clientName} `)).length
  )

const addressOf = ({ host, port }: { readonly host: string; readonly port: number }): string => `${host}:${port}`

describeReal((server) => {
  describe.each([2, 3] as const)("RESP%i", (protocol) => {
    const scope = Effect.runSync(Scope.make())
    let kit: Kit.RedisSentinel
    let services: Context.Context<Services>
    const options = () =>
      ({
        name: kit.name,
        sentinels: kit.sentinels.slice(0, 1).map(({ host, port }) => ({ host, port })),
        protocol,
        clientName,
        replyTimeout: "30 seconds"
      }) as const
    beforeAll(async () => {
      kit = await Effect.runPromise(Scope.extend(Kit.make({ executable: server.executable, appendonly: true }), scope))
      services = await Effect.runPromise(Scope.extend(Layer.build(RedisSentinel.layer(options())), scope))
    })
    afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

    const test = <A, E>(title: string, effect: () => Effect.Effect<A, E, Services | Scope.Scope>) =>
      it.live(title, () => Effect.scoped(Effect.provide(Effect.zipRight(kit.agreed, Effect.suspend(effect)), services)))

    test("finds the master, its replicas and all sentinels through one sentinel", () =>
      Effect.gen(function* () {
        const master = yield* kit.master
        expect(yield* RedisSentinel.master).toBe(addressOf(master))
        yield* Redis.set("k", "v")
        expect(yield* master.run(Redis.get("k"))).toEqual(Option.some("v"))
        yield* poll(
          "it knows all sentinels",
          Effect.map(RedisSentinel.sentinels, (all) => all.length === kit.sentinels.length)
        )
        const replicas = (yield* kit.nodes).map(addressOf).filter((address) => address !== addressOf(master))
        expect([...(yield* RedisSentinel.replicas)].sort()).toEqual(replicas.sort())
      }))

    test("a planned failover fails no command, and none goes to the former master afterwards", () =>
      Effect.gen(function* () {
        const before = yield* kit.master
        yield* Redis.del(["n", "list"])
        let stop = false
        const writer = Effect.gen(function* () {
          let last = 0
          while (!stop) {
            last = yield* Redis.incr("n")
          }
          return last
        })
        const optimist = Effect.gen(function* () {
          let times = 0
          while (!stop) {
            yield* Redis.optimistic("o", Effect.succeed(Redis.transaction([Redis.incr("o")])), {
              schedule: Schedule.spaced("10 millis")
            })
            times++
          }
          return times
        })
        const writers = yield* Effect.fork(
          Effect.all([...Array.from({ length: 20 }, () => writer), optimist], { concurrency: "unbounded" })
        )
        const after = yield* kit.failover()
        yield* poll(
          "the client is at the new master",
          Effect.map(RedisSentinel.master, (now) => now === addressOf(after))
        )
        yield* poll(
          "it has no connection to the former one",
          Effect.map(connectionsAt(before), (count) => count === 0)
        )
        stop = true
        const [, ...rest] = yield* Fiber.join(writers)
        expect(rest.length).toBe(20)
        yield* Redis.set("where", "new")
        expect(yield* after.run(Redis.get("where"))).toEqual(Option.some("new"))
      }))

    test("a subscription moves to the new master, with a gap", () =>
      Effect.gen(function* () {
        const items = yield* Effect.fork(
          Stream.runCollect(
            RedisPubSub.withGaps.stream("news").pipe(
              Stream.map((item) => (item._tag === "Gap" ? item.reason : item.payload)),
              Stream.takeUntil((item) => item === "last")
            )
          )
        )
        yield* poll(
          "it listens",
          Effect.map(Redis.publish("news", "first"), (listeners) => listeners === 1)
        )
        yield* kit.failover()
        yield* poll(
          "it listens again",
          Effect.map(Redis.publish("news", "last"), (listeners) => listeners === 1)
        )
        const seen = [...Chunk.toReadonlyArray(yield* Fiber.join(items))]
        expect(seen.filter((item) => item !== "first")).toEqual(["disconnected", "last"])
      }))

    test("a blocked command of the former master ends with a typed error, and the next one is served", () =>
      Effect.gen(function* () {
        const blocked = yield* Effect.fork(Effect.exit(Redis.blpop(["queue"], { timeout: "25 seconds" })))
        const before = yield* kit.master
        yield* poll(
          "it blocks",
          Effect.map(before.run(Redis.execute("INFO", "clients")), (text) => /blocked_clients:1/.test(String(text)))
        )
        yield* kit.failover()
        expect(failure(yield* Fiber.join(blocked))).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
        const next = yield* Effect.fork(Redis.blpop(["queue"], { timeout: "25 seconds" }))
        yield* Redis.rpush("queue", "element")
        expect(yield* Fiber.join(next)).toEqual(Option.some(["queue", "element"]))
      }))

    test("a killed master: commands wait for its successor", () =>
      Effect.gen(function* () {
        const before = yield* kit.master
        yield* kit.kill(before)
        yield* Redis.set("survived", "yes")
        const after = yield* kit.master
        expect(addressOf(after)).not.toBe(addressOf(before))
        expect(yield* after.run(Redis.get("survived"))).toEqual(Option.some("yes"))
        yield* kit.agreed
        yield* kit.restart(before)
      }))

    test("a frozen master that comes back gets nothing", () =>
      Effect.gen(function* () {
        const before = yield* kit.master
        yield* Redis.set("frozen", "0")
        yield* kit.pause(before)
        // It was written to the frozen master, and nobody knows whether it was executed there.
        expect(failure(yield* Effect.exit(Redis.set("frozen", "?")))).toMatchObject({ delivery: "unknown" })
        yield* Redis.set("frozen", "1")
        const after = yield* kit.master
        yield* kit.resume(before)
        yield* Effect.forEach(Array.from({ length: 100 }), () => Redis.incr("frozen"), { concurrency: 10 })
        expect(yield* after.run(Redis.get("frozen"))).toEqual(Option.some("101"))
        yield* poll(
          "it has no connection to it",
          Effect.map(connectionsAt(before), (count) => count === 0)
        )
      }))

    test("while no sentinel runs, the connection that is there goes on", () =>
      Effect.gen(function* () {
        yield* Effect.forEach(kit.sentinels, kit.killSentinel, { discard: true })
        yield* Redis.set("alone", "yes")
        // A connection that is lost meanwhile is opened again at the master that was known last.
        const master = yield* kit.node(Number((yield* RedisSentinel.master).split(":")[1]))
        yield* master.run(Redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
        expect(yield* Redis.get("alone")).toEqual(Option.some("yes"))
        yield* Effect.forEach(kit.sentinels, kit.restartSentinel, { discard: true })
      }))

    test("a frozen sentinel holds nobody up", () =>
      Effect.gen(function* () {
        const [frozen] = kit.sentinels
        yield* kit.pauseSentinel(frozen as Kit.Sentinel)
        const { sentinels: _, ...rest } = options()
        const redis = yield* RedisSentinel.make({
          ...rest,
          sentinels: kit.sentinels.map(({ host, port }) => `${host}:${port}`),
          connectTimeout: "5 seconds"
        })
        expect(yield* Effect.provideService(Redis.ping(), Redis, redis)).toBe("PONG")
        yield* kit.resumeSentinel(frozen as Kit.Sentinel)
      }))

    test("reads go to replicas where the program wants it, and everything else to the master", () =>
      Effect.gen(function* () {
        yield* Redis.set("read", "value")
        yield* Redis.execute("WAIT", "2", "5000").pipe(Effect.ignore)
        const replicas = (yield* kit.nodes).filter(({ role }) => Option.contains(role, "replica"))
        const reads = Effect.map(
          Effect.forEach(replicas, ({ run }) => run(Redis.execute("INFO", "commandstats"))),
          (texts) =>
            texts.reduce<number>((sum, text) => sum + Number(/cmdstat_get:calls=(\d+)/.exec(String(text))?.[1] ?? 0), 0)
        )
        yield* poll(
          "replicas have the value",
          Effect.map(
            Effect.forEach(replicas, ({ run }) => run(Redis.get("read"))),
            (values) => values.every(Option.isSome)
          )
        )
        const before = yield* reads
        const read = Redis.get("read").pipe(Redis.readFrom("replica"))
        expect(yield* Effect.replicateEffect(read, 10)).toEqual(Array.from({ length: 10 }, () => Option.some("value")))
        const pipeline = Redis.pipeline([Redis.get("read"), Redis.get("read")]).pipe(Redis.readFrom("replica"))
        expect(yield* pipeline).toEqual([Option.some("value"), Option.some("value")])
        expect((yield* reads) - before).toBe(12)
        yield* Redis.incr("written").pipe(Redis.readFrom("replica"))
        yield* Redis.get("read")
        expect((yield* reads) - before).toBe(12)
      }))

    test("a name that the sentinels do not know fails at once, and says what each of them answered", () =>
      Effect.gen(function* () {
        const started = performance.now()
        const exit = yield* Effect.exit(RedisSentinel.make({ ...options(), name: "nobody" }))
        const error = failure(exit) as RedisError.ConnectionError
        expect(error._tag).toBe("ConnectionError")
        const [{ host, port }] = kit.sentinels as [Kit.Sentinel]
        expect(error.message).toContain(
          `no sentinel knows a master with the name "nobody": ${host}:${port}: it knows no such master`
        )
        expect(performance.now() - started).toBeLessThan(4_000)
      }))
  })
}, commandServers)
