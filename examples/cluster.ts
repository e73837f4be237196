/**
 * A program on a cluster goes on while a hash slot moves to another node, and while a primary is killed. The cluster is one
 * of real servers that the program starts for itself, so it needs `redis-server` or `valkey-server` (`npm run servers`).
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Fiber, Option, Ref } from "effect"
import { Redis, RedisCommand } from "effect-redis-client"
import * as RedisCluster from "effect-redis-client/RedisCluster"
import * as TestCluster from "effect-redis-client/testing/RedisCluster"

const pages = Array.from({ length: 12 }, (_, i) => `example:visits:${i}`)

interface Tally {
  /** Visits that Redis confirmed, by page. */
  readonly counted: ReadonlyArray<number>
  /** Visits that were written to a node that died before it answered: they may be counted. */
  readonly unknown: number
  /** Visits that were certainly not counted. */
  readonly failed: number
}

/** Counts visits of one page until the site is closed. It knows nothing of nodes. */
const visit = (tally: Ref.Ref<Tally>, closed: Ref.Ref<boolean>, at: number) =>
  Redis.incr(pages[at] ?? "").pipe(
    // Longer than a failover takes: commands for the dead node wait for its successor.
    RedisCommand.withDeadline("20 seconds"),
    Effect.matchEffect({
      onSuccess: () =>
        Ref.update(tally, (now) => ({ ...now, counted: now.counted.map((n, i) => (i === at ? n + 1 : n)) })),
      onFailure: (error) =>
        Ref.update(tally, (now) =>
          "delivery" in error && error.delivery === "unknown"
            ? { ...now, unknown: now.unknown + 1 }
            : { ...now, failed: now.failed + 1 }
        )
    }),
    Effect.zipRight(Effect.sleep("2 millis")),
    Effect.repeat({ until: () => Ref.get(closed) })
  )

/** Runs a change of the cluster, waits until every page was visited 20 times more, and says what failed meanwhile. */
const during = <E, R>(what: string, tally: Ref.Ref<Tally>, change: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function* () {
    const before = yield* Ref.get(tally)
    yield* change
    const { counted } = yield* Ref.get(tally)
    const now = yield* Effect.repeat(Effect.zipRight(Effect.sleep("20 millis"), Ref.get(tally)), {
      until: (now) => now.counted.every((n, i) => n >= (counted[i] ?? 0) + 20)
    })
    yield* Console.log(`${what}: ${now.unknown - before.unknown} unknown, ${now.failed - before.failed} failed`)
  })

const program = Effect.gen(function* () {
  const cluster = yield* TestCluster.RedisCluster
  const nodes = yield* cluster.nodes
  const primaries = yield* cluster.primaries
  yield* Console.log(`a cluster of ${nodes.length} nodes, ${primaries.length} of them primaries`)

  const tally = yield* Ref.make<Tally>({ counted: pages.map(() => 0), unknown: 0, failed: 0 })
  const closed = yield* Ref.make(false)
  const visitors = yield* Effect.forEach(pages, (_, at) => Effect.fork(visit(tally, closed, at)))
  yield* during("all is well", tally, Effect.void)

  const slot = RedisCluster.keySlot(pages[0] ?? "")
  const owner = yield* cluster.ownerOf(slot)
  const other = primaries.find(({ id }) => id !== owner.id) ?? owner
  yield* during("a slot moves", tally, cluster.moveSlot(slot, other))
  yield* during("a primary is killed", tally, cluster.kill(owner))

  yield* Ref.set(closed, true)
  yield* Effect.forEach(visitors, Fiber.join)
  // MGET over several slots is sent in parts; KEYS goes to every primary.
  const values = yield* Redis.mget(pages)
  const { counted, unknown } = yield* Ref.get(tally)
  const total = values.reduce((sum, value) => sum + Number(Option.getOrElse(value, () => "0")), 0)
  const confirmed = counted.reduce((sum, n) => sum + n, 0)
  yield* Console.log(`pages: ${(yield* Redis.keys("example:visits:*")).length}`)
  yield* Console.log(`no visit was counted twice: ${total <= confirmed + unknown}`)
})

// In a program of your own the layer names some nodes of your cluster: nodes: ["redis://a:6379", "redis://b:6379"].
const ClusterLive = Effect.map(TestCluster.RedisCluster, ({ seeds }) => RedisCluster.layer({ nodes: seeds }))

Effect.flatMap(ClusterLive, (live) => Effect.provide(program, live)).pipe(
  Effect.provide(TestCluster.layer({ nodeTimeout: "1 second" })),
  Effect.catchIf(
    (error) => error._tag === "RedisClusterError" && error.reason === "NotFound",
    () => Console.log("skipped: there is no redis-server or valkey-server")
  ),
  NodeRuntime.runMain
)

// prints:
//   a cluster of 6 nodes, 3 of them primaries
//   all is well: 0 unknown, 0 failed
//   a slot moves: 0 unknown, 0 failed
//   a primary is killed: … unknown, 0 failed
//   pages: 12
//   no visit was counted twice: true
