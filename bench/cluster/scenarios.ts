/** What is not measured in rounds: what happens to commands while the cluster changes, starting, memory. */
import * as Effect from "effect/Effect"
import * as RedisCommand from "effect-redis-client/RedisCommand"
import { home } from "../build.js"
import type { Cost } from "../costs.js"
import { Contender, compete, type Entry, measureOnce, type Settings } from "../measure.js"
import { cpuMicros, median, perSecond } from "../stats.js"
import type { ClusterWork, TrafficGroup } from "../work.js"
import { single } from "./contestants.js"
import { keys, keysBySlot } from "./keys.js"
import { type Cluster, scripted } from "./servers.js"

type Figures = Readonly<Record<string, number | string>>

const get: ClusterWork = { op: "cluster", does: "get", count: 1 }
const connect: ClusterWork = { ...get, does: "connect" }

/** Runs `during` while a contestant does its GETs, and answers what became of them. */
const underTraffic = (
  { contestant, folder }: Entry,
  { host, nodes, port }: Cluster,
  groups: ReadonlyArray<TrafficGroup>,
  during: (enter: (phase: string) => Effect.Effect<void>) => Effect.Effect<void, unknown>
): Effect.Effect<Readonly<Record<string, number | string>>, unknown> =>
  Effect.acquireUseRelease(
    Effect.sync(() => Contender.start(folder, [])),
    (contender) =>
      Effect.gen(function* () {
        const ask = (request: Parameters<Contender["ask"]>[0], type: "prepared" | "warmed" | "flowing") =>
          Effect.promise(() => contender.ask(request, type))
        const assignment = { contestant, concurrency: 64, work: get, host, port, nodes, home }
        yield* ask({ type: "prepare", assignment }, "prepared")
        yield* ask({ type: "warm", millis: 300 }, "warmed")
        yield* ask({ type: "traffic", groups }, "flowing")
        yield* during((phase) => Effect.asVoid(ask({ type: "phase", phase }, "flowing")))
        return (yield* Effect.promise(() => contender.ask({ type: "halt" }, "figures"))).figures
      }),
    (contender) => Effect.promise(() => contender.stop())
  )

const failed = (effect: Effect.Effect<Figures, unknown>): Promise<Figures> =>
  Effect.runPromise(
    Effect.catchAllCause(effect, (cause) => Effect.succeed({ failure: cause.toString().split("\n")[0] ?? "" }))
  )

const number = (figures: Figures, name: string): number => Number(figures[name] ?? Number.NaN)

const clusterClients = (entries: ReadonlyArray<Entry>) => entries.filter(({ contestant }) => contestant !== single)

const each = async (
  entries: ReadonlyArray<Entry>,
  measure: (entry: Entry) => Promise<Figures>
): Promise<Cost["lines"]> => {
  const lines: Array<Cost["lines"][number]> = []
  for (const entry of entries) {
    lines.push({ who: entry.name, figures: await measure(entry) })
  }
  return lines
}

/** How often the nodes answered so since they started. */
const redirections = ({ kit }: Cluster) =>
  Effect.gen(function* () {
    const count = { MOVED: 0, ASK: 0 }
    for (const node of yield* kit.nodes) {
      const info = yield* node.run(RedisCommand.make("INFO", { args: ["errorstats"] }))
      for (const [, code, many] of String(info).matchAll(/errorstat_(MOVED|ASK):count=(\d+)/g)) {
        count[code as "MOVED" | "ASK"] += Number(many)
      }
    }
    return count
  })

const movingSlot = 4_242

/** One slot moves between two primaries while some loops ask for its key, one command after the other, and 48 for others. */
export const moved = async (
  cluster: Cluster,
  entries: ReadonlyArray<Entry>,
  loops: number,
  moves: number
): Promise<Cost> => {
  const { kit } = cluster
  const move = Effect.gen(function* () {
    const owner = yield* kit.ownerOf(movingSlot)
    const target = (yield* kit.primaries).find(({ id }) => id !== owner.id)
    if (target !== undefined) {
      // At once, where the servers can; the keys come with the slot.
      yield* Effect.catchIf(
        kit.moveAtOnce(movingSlot, target),
        ({ reason }) => reason === "Unsupported",
        () => kit.moveSlot(movingSlot, target)
      )
    }
  })
  const groups = [
    { name: "hot", keys: [keysBySlot[movingSlot] as string], loops },
    { name: "others", keys: keys.filter((key) => key !== keysBySlot[movingSlot]), loops: 48 }
  ]
  const measure = (entry: Entry) =>
    failed(
      Effect.gen(function* () {
        const before = yield* redirections(cluster)
        const figures = yield* underTraffic(entry, cluster, groups, (enter) =>
          Effect.gen(function* () {
            yield* Effect.sleep("200 millis")
            yield* enter("moving")
            for (let i = 0; i < moves; i++) {
              yield* move
              yield* Effect.sleep("100 millis")
            }
          })
        )
        const after = yield* redirections(cluster)
        return {
          "MOVED per move": (after.MOVED - before.MOVED) / moves,
          "ASK per move": (after.ASK - before.ASK) / moves,
          failed: number(figures, "moving.hot.failed") + number(figures, "moving.others.failed"),
          "slowest of the slot, ms": number(figures, "moving.hot.max"),
          "GETs of the slot": number(figures, "moving.hot.done")
        }
      })
    )
  return {
    name: `moved-${loops}`,
    title: `one slot moves ${moves} times; in flight to it: ${loops} at a time, to others 48`,
    lines: await each(clusterClients(entries), measure)
  }
}

/** What the commands to other shards take while a primary is replaced. */
export const failover = async (
  cluster: Cluster,
  entries: ReadonlyArray<Entry>,
  how: "kill" | "manual",
  rounds: number
): Promise<Cost> => {
  const { kit } = cluster
  const once = (entry: Entry) =>
    Effect.gen(function* () {
      const [primary] = yield* kit.primaries
      const [replica] = primary === undefined ? [] : yield* kit.replicasOf(primary)
      if (primary === undefined || replica === undefined) {
        return {}
      }
      const own = primary.slots.flatMap(({ end, start }) => keysBySlot.slice(start, end + 1))
      const mine = new Set(own)
      const figures = yield* underTraffic(
        entry,
        cluster,
        [
          { name: "shard", keys: own, loops: 16 },
          { name: "others", keys: keys.filter((key) => !mine.has(key)), loops: 48 }
        ],
        (enter) =>
          Effect.gen(function* () {
            yield* Effect.sleep("500 millis")
            yield* enter("before")
            yield* Effect.sleep("2 seconds")
            yield* enter("during")
            yield* how === "kill" ? Effect.zipRight(kit.kill(primary), kit.agreed) : kit.failover(replica)
            yield* Effect.sleep("1 second")
            yield* enter("after")
          })
      )
      if (how === "kill") {
        yield* kit.restart(primary)
      }
      return figures
    })
  const measure = (entry: Entry) =>
    failed(
      Effect.gen(function* () {
        const all: Array<Figures> = []
        for (let i = 0; i < rounds; i++) {
          all.push(yield* once(entry))
        }
        const of = (f: (figures: Figures) => number) => median(all.map(f))
        return {
          "others' p99 before, ms": of((one) => number(one, "before.others.p99")),
          "during, ms": of((one) => number(one, "during.others.p99")),
          ratio: of((one) => number(one, "during.others.p99") / number(one, "before.others.p99")),
          "slowest, ms": of((one) => number(one, "during.others.max")),
          "others failed": of((one) => number(one, "during.others.failed")),
          "shard without answer, ms": of((one) => number(one, "during.shard.gap")),
          "shard failed": of((one) => number(one, "during.shard.failed"))
        }
      })
    )
  return {
    name: `failover-${how}`,
    title: `${how === "kill" ? "a primary is killed" : "a replica takes over (CLUSTER FAILOVER)"}: GETs of the other shards, 48 at a time`,
    lines: await each(clusterClients(entries), measure)
  }
}

/** A client of a cluster of 100 nodes, and of one of 3, by turns: made, first answer, closed. */
export const starting = (entries: ReadonlyArray<Entry>, settings: Settings): Promise<Cost> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const sizes = [3, 100]
        const places = yield* Effect.forEach(sizes, scripted)
        const taking = entries.flatMap((entry) =>
          /^us(@|$)/.test(entry.name)
            ? places.map((server, i) => ({ ...entry, name: `${entry.name}, ${sizes[i]} nodes`, server }))
            : []
        )
        const [first] = places
        const outcomes = yield* Effect.promise(() =>
          first === undefined
            ? Promise.resolve([])
            : compete(taking, { concurrency: 1, work: connect }, first, { ...settings, latency: false })
        )
        return {
          name: "start",
          title: "connect, first reply, close: clusters of scripted nodes",
          lines: outcomes.map((outcome) => ({
            who: outcome.entry.name,
            figures:
              "failure" in outcome
                ? { failure: outcome.failure }
                : {
                    millis: 1_000 / median(outcome.rounds.map(perSecond)),
                    cpuMillis: median(outcome.rounds.map(cpuMicros)) / 1_000
                  }
          }))
        }
      })
    )
  )

/** What a client holds that is connected to each of three nodes. */
export const clientMemory = async (cluster: Cluster, entries: ReadonlyArray<Entry>): Promise<Cost> => {
  const third = Math.floor(keysBySlot.length / 3)
  const request = {
    type: "clients",
    clients: 20,
    keys: [0, 1, 2].map((i) => keysBySlot[i * third + 100] as string)
  } as const
  return {
    name: "client-memory",
    title: "bytes for each of 20 more clients that are connected to all three nodes",
    lines: await each(entries, (entry) => measureOnce(entry, { concurrency: 1, work: get }, cluster, request))
  }
}
