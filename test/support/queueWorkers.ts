/** Persisted queues under fire: processes that are killed (-9), and processes whose connections are cut. */
import { type ChildProcess, spawn } from "node:child_process"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Redis } from "effect-redis-client"
import * as RedisQueue from "effect-redis-client/PersistedQueue"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import { on } from "./client.js"
import { until } from "./pubsub.js"
import { makeServer, type TestServer } from "./servers.js"

export interface Battle {
  readonly elements: number
  /** How many processes whose connections are cut again and again. */
  readonly cut: number
  /** After how many handled elements, in parts of all, a process is killed and another takes its place. */
  readonly kills: ReadonlyArray<number>
  readonly lease: number
  readonly concurrency: number
  readonly cutEvery: number
}

export interface Outcome {
  /** Elements that no worker has ended. */
  readonly lost: number
  /** Elements that began while another worker had begun and neither ended nor died. */
  readonly overlaps: ReadonlyArray<string>
  /** Elements that began, after the death of the worker that had them, before its lease could have ended. */
  readonly early: ReadonlyArray<string>
  /** How often an element was ended once more than needed: its worker died, or the end was not stored in time. */
  readonly repeated: number
  /** Elements that were in the hand of a worker when it was killed. */
  readonly orphaned: number
  readonly kills: number
  readonly cuts: number
  readonly seconds: number
  readonly leftKeys: ReadonlyArray<string>
}

const fixture = Path.join(import.meta.dirname, "..", "adapters", "fixtures", "worker.ts")

const pause = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

const kill = (child: ChildProcess) =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })

/** Runs the battle, until the queue is empty. */
export const fight = (server: TestServer, battle: Battle) =>
  Effect.gen(function* () {
    const { host, port } = yield* makeServer(server)
    const redis = yield* Redis.make({ host, port, replyTimeout: "1 minute" })
    const run = on(redis)
    const proxy = yield* FaultProxy.make({ target: { host, port } })
    const started = Date.now()

    const begin = (worker: string, through: number) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const args = [through, port, worker, battle.lease, battle.concurrency].map(String)
          return spawn(process.execPath, ["--import", "tsx", fixture, ...args], {
            stdio: ["ignore", "ignore", "inherit"]
          })
        }),
        kill
      )

    const isHere = (worker: string) => Effect.map(run(Redis.exists(`here:${worker}`)), (count) => count === 1)
    const names: Array<string> = []
    let next = 0
    const mortals: Array<{ readonly name: string; readonly child: ChildProcess }> = []
    const beginMortal = Effect.gen(function* () {
      const name = `mortal-${next++}`
      mortals.push({ name, child: yield* begin(name, port) })
    })
    if (battle.kills.length > 0) yield* beginMortal
    for (let i = 0; i < battle.cut; i++) {
      yield* begin(`cut-${i}`, proxy.port)
      names.push(`cut-${i}`)
    }
    for (const name of [...names, ...mortals.map(({ name }) => name)]) {
      yield* until(`${name} is here`, isHere(name))
    }
    const store = yield* Effect.orDie(run(RedisQueue.make()))
    yield* Effect.forEach(
      Array.from({ length: battle.elements }, (_, n) => n),
      (n) => store.offer({ name: "jobs", id: String(n), element: n, isCustomId: n % 2 === 0 }),
      { concurrency: 200, discard: true }
    )

    let cuts = 0
    const cutting = yield* Effect.fork(
      Effect.forever(
        Effect.gen(function* () {
          yield* pause(battle.cutEvery)
          const { open } = yield* proxy.stats
          if (open > 0) {
            // Sometimes between a request and its reply, sometimes at once.
            const [fault, where] =
              cuts % 2 === 0
                ? ([FaultProxy.cutAfter(0), { direction: "toClient", on: "live" }] as const)
                : ([FaultProxy.reset, { on: "live" }] as const)
            yield* proxy.inject(fault, where)
            cuts++
          }
        })
      )
    )

    const remaining = run(Redis.hlen("{queue:jobs}:elements"))
    const kills = [...battle.kills]
    for (;;) {
      const left = yield* remaining
      if (left === 0) break
      const share = kills[0]
      const mortal = mortals.at(-1)
      if (
        share !== undefined &&
        mortal !== undefined &&
        battle.elements - left >= share * battle.elements &&
        (yield* isHere(mortal.name))
      ) {
        kills.shift()
        yield* kill(mortal.child)
        yield* run(Redis.xadd("journal", "*", { worker: mortal.name, what: "dead", id: "" }))
        if (kills.length > 0) yield* beginMortal
      }
      yield* pause(20)
    }
    yield* Fiber.interrupt(cutting)
    const journal = yield* run(Redis.xrange("journal", "-", "+"))
    return judge(journal, battle, {
      cuts,
      kills: battle.kills.length - kills.length,
      seconds: (Date.now() - started) / 1000,
      leftKeys: yield* run(Redis.keys("{queue:jobs}:*"))
    })
  })

interface Line {
  readonly id: string
  readonly fields: Readonly<Record<string, string>>
}

const millisOf = (line: Line): number => Number(String(line.id).split("-")[0])

const judge = (
  journal: ReadonlyArray<Line>,
  battle: Battle,
  rest: Pick<Outcome, "cuts" | "kills" | "seconds" | "leftKeys">
): Outcome => {
  /** Who has an element in hand, since when. */
  const inHand = new Map<string, { readonly worker: string; readonly since: number; dead: boolean }>()
  const ends = new Map<string, number>()
  const overlaps: Array<string> = []
  const early: Array<string> = []
  let orphaned = 0
  for (const line of journal) {
    const { id = "", what, worker = "" } = line.fields
    if (what === "dead") {
      for (const held of inHand.values()) {
        if (held.worker === worker) {
          held.dead = true
          orphaned++
        }
      }
    } else if (what === "begin") {
      const held = inHand.get(id)
      if (held !== undefined && !held.dead) overlaps.push(`${id}: ${held.worker}, then ${worker}`)
      // The lease began before the worker wrote that it begins, by less than half of it.
      if (held?.dead && millisOf(line) - held.since < battle.lease / 2) early.push(id)
      inHand.set(id, { worker, since: millisOf(line), dead: false })
    } else if (what === "end") {
      inHand.delete(id)
      ends.set(id, (ends.get(id) ?? 0) + 1)
    }
  }
  let repeated = 0
  for (const [id, count] of ends) repeated += count - (Number(id) % 100 === 0 ? 2 : 1)
  return { ...rest, lost: battle.elements - ends.size, overlaps, early, orphaned, repeated }
}
