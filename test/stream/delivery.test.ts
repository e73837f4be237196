/**
 * Delivery under faults: 50 000 entries and three workers, each with its own client. Connections are killed all the time,
 * and the server is killed (-9) and restarted in the middle. Every entry is handled at least once and acknowledged only
 * after its handler succeeded; entries that are handled twice are counted and explained.
 */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { describe, expect } from "vitest"
import { hasEnded } from "../../src/internal/effect/fork.js"
import { Redis, type RedisService } from "../../src/Redis.js"
import { ConnectionError } from "../../src/RedisError.js"
import * as RedisStream from "../../src/RedisStream.js"
import { on } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { makeServer, realServers } from "../support/servers.js"

const total = 50_000
const workers = 3
/** The number of handled entries after which the server is killed. */
const serverKills = [0.15, 0.4, 0.65]
/** The number of handled entries after which one worker dies, with entries in hand, some handled but not acknowledged. */
const workerDies = 0.3
const stream = "jobs"
const group = "workers"

const pause = (millis: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, millis)))

/** The fate of the entries, over all workers. */
class Ledger {
  /** The workers that handled each entry successfully. */
  readonly handled = new Map<string, Array<number>>()
  /** The entries whose handler failed on purpose. */
  readonly failed = new Set<string>()
  /** The entries whose XACK was sent before any handler succeeded: there must be none. */
  readonly early = new Set<string>()
  readonly acknowledged = new Set<string>()
  readonly claimed = new Set<string>()
  readonly resumed = new Set<string>()
  readonly taken = new Set<string>()
  readonly gone = new Set<string>()
  readonly disconnects = { count: 0 }

  readonly hear = (event: RedisStream.GroupEvent): Effect.Effect<void> =>
    Effect.sync(() => {
      switch (event._tag) {
        case "Claimed":
          return add(this.claimed, event.ids)
        case "Resumed":
          return add(this.resumed, event.ids)
        case "Taken":
          return add(this.taken, event.ids)
        case "Gone":
          return add(this.gone, event.ids)
        case "Disconnected":
          this.disconnects.count++
      }
    })

  /** A client whose XACKs are checked as they are sent. */
  watch(inner: RedisService): RedisService {
    return {
      ...inner,
      send: (command) => {
        if (command.name === "XACK") {
          for (const { data } of command.args.slice(2)) {
            this.acknowledged.add(String(data))
            if (!this.handled.has(String(data))) {
              this.early.add(String(data))
            }
          }
        }
        return inner.send(command)
      },
      lease: Effect.map(inner.lease, (leased) => this.watch(leased))
    }
  }
}

/** A client that can be cut off permanently. */
const mortal = (inner: RedisService) => {
  let dead = false
  const gated = (inner: RedisService): RedisService => ({
    ...inner,
    send: (command) => Effect.suspend(() => (dead ? cutOff : inner.send(command))),
    sendAll: (commands, options) => Effect.suspend(() => (dead ? cutOff : inner.sendAll(commands, options))),
    lease: Effect.map(
      Effect.suspend(() => (dead ? cutOff : inner.lease)),
      gated
    )
  })
  return {
    redis: gated(inner),
    die: () => {
      dead = true
    }
  }
}

const cutOff = Effect.fail(
  new ConnectionError({ reason: "closed", delivery: "unsent", message: "this worker died, for the test's sake" })
)

const add = (set: Set<string>, ids: ReadonlyArray<string>): void => {
  for (const id of ids) {
    set.add(id)
  }
}

const suite = (protocol: 2 | 3) => (server: (typeof realServers)[number]) => {
  it.scopedLive(
    `RESP${protocol}: every entry is handled at least once`,
    () =>
      Effect.gen(function* () {
        const running = yield* makeServer(server, { appendonly: true })
        const { host, port } = running
        const connect = Redis.make({ host, port, protocol, reconnect: Schedule.spaced("20 millis") })
        const admin = yield* connect
        for (let at = 0; at < total; at += 5000) {
          yield* on(admin)(
            Redis.pipeline(
              Array.from({ length: 5000 }, (_, i) =>
                RedisStream.add(stream, { n: String(at + i), payload: "x".repeat(64) })
              )
            )
          )
        }
        const ledger = new Ledger()
        const started = Date.now()
        const fibers: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
        let die = (): void => {}
        for (let w = 0; w < workers; w++) {
          const client = mortal(ledger.watch(yield* connect))
          die = client.die
          const worker = RedisStream.worker(
            {
              stream,
              group,
              consumer: `worker-${w}`,
              create: "all",
              concurrency: 32,
              count: 250,
              maxInHand: 500,
              block: "1 second",
              claim: { idle: "4 seconds", schedule: Schedule.spaced("500 millis") },
              keepEvery: "500 millis",
              retry: Schedule.spaced("20 millis"),
              on: ledger.hear
            },
            ({ fields, id }) =>
              Effect.suspend(() => {
                const n = Number(fields.n)
                if (n % 250 === 0 && !ledger.failed.has(id)) {
                  ledger.failed.add(id)
                  return Effect.fail("on purpose")
                }
                const done = Effect.sync(() => ledger.handled.set(id, [...(ledger.handled.get(id) ?? []), w]))
                return n % 20 === 0 ? Effect.zipRight(pause(n % 7), done) : done
              })
          )
          fibers.push(yield* Effect.forkScoped(Effect.provideService(worker, Redis, client.redis)))
        }

        let alive = fibers
        let connectionKills = 0
        let serverRestarts = 0
        const until = Date.now() + 240_000
        for (let turn = 0; ; turn++) {
          yield* pause(20)
          const share = ledger.handled.size / total
          if (alive === fibers && share >= workerDies) {
            die()
            alive = fibers.slice(0, -1)
          }
          if (serverRestarts < serverKills.length && share >= (serverKills[serverRestarts] as number)) {
            serverRestarts++
            yield* running.kill
            yield* running.start
          } else if (turn % 15 === 0 && share < 1) {
            const killed = yield* Effect.either(
              on(admin)(Redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
            )
            connectionKills += killed._tag === "Right" ? Number(killed.right) : 0
          } else if (share === 1) {
            const { pending } = yield* Effect.orElseSucceed(on(admin)(Redis.xpending(stream, group)), () => ({
              pending: -1
            }))
            if (pending === 0) {
              break
            }
          }
          const ended = alive.find((fiber) => hasEnded(fiber))
          if (ended !== undefined) {
            return yield* Effect.dieMessage(`a worker ended: ${yield* Fiber.await(ended)}`)
          }
          if (Date.now() > until) {
            return yield* Effect.dieMessage(
              `not done in time: ${ledger.handled.size} handled, ${ledger.acknowledged.size} acknowledged`
            )
          }
        }
        const seconds = (Date.now() - started) / 1000
        yield* Fiber.interruptAll(fibers)

        const entries = yield* on(admin)(Redis.xlen(stream))
        const [info] = yield* on(admin)(Redis.xinfoGroups(stream))
        // An entry is handled twice by two workers: the one that died before acknowledging and the one that took over, or
        // one that was disconnected for so long that another claimed it. No worker handles an entry twice itself.
        const twice = [...ledger.handled].filter(([, by]) => by.length > 1)
        const inherited = twice.filter(([, by]) => by[0] === workers - 1 && by.slice(1).every((w) => w !== by[0]))
        const claimed = twice.filter(([, by]) => by[0] !== workers - 1 && new Set(by).size === by.length)
        const unexplained = twice.length - inherited.length - claimed.length
        console.log(
          [
            `${server.name} RESP${protocol}: ${total} entries, ${workers} workers`,
            `${connectionKills} connections killed, the server killed ${serverRestarts} times, one worker for good`,
            `${ledger.handled.size} handled, ${total - ledger.handled.size} lost`,
            `${ledger.early.size} acknowledged early`,
            `${twice.length} handled twice (${inherited.length} by the worker that died and by who took over, ` +
              `${claimed.length} by who was cut off and by who took over, ${unexplained} unexplained)`,
            `${ledger.failed.size} failed once, ${ledger.claimed.size} claimed`,
            `${ledger.resumed.size} found again after lost replies, ${seconds.toFixed(1)} s`
          ].join("; ")
        )
        expect(entries).toBe(total)
        expect(ledger.handled.size).toBe(total)
        expect([...ledger.early]).toEqual([])
        expect(ledger.acknowledged.size).toBe(total)
        expect(ledger.gone.size).toBe(0)
        expect(unexplained).toBe(0)
        expect(info).toMatchObject({ name: group, pending: Option.some(0) })
        // Other workers took over the entries that the dead worker had in hand.
        expect(ledger.claimed.size + ledger.resumed.size).toBeGreaterThan(0)
        expect(connectionKills).toBeGreaterThan(10)
        expect(serverRestarts).toBe(serverKills.length)
      }),
    300_000
  )
}

describe("delivery", () => {
  describeReal(suite(3))
  describeReal(suite(2), realServers.slice(0, 1))
})
