/**
 * Thousands of fibers on one connection, each reading a key whose value is its own name, are interrupted at random
 * moments: no caller gets another's value, and nothing stays pending. `SEED=…` repeats a run.
 */
import * as Net from "node:net"
import { expect, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { Connection, Pool, Redis } from "effect-redis-client"
import { SharedClient } from "../src/internal/client/shared.js"
import { makeDial } from "../src/internal/connection/dial.js"
import { connect } from "../src/internal/connection/lazyNodeTransport.js"
import * as Options from "../src/internal/connection/options.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { describeReal } from "./support/describeReal.js"
import * as Peer from "./support/peer.js"
import { serverLayer } from "./support/servers.js"

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32)) >>> 0
console.log(`interruption: SEED=${seed}`)

/** Random numbers from 0 up to 1, the same for the same seed (mulberry32). */
const randomFrom = (start: number) => {
  let state = start >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const fibers = 2_500

const keyOf = (i: number): string => `key:${i}`

const textOf = (value: Option.Option<string>): ReadonlyArray<string> => [Option.getOrElse(value, () => "nothing")]

const timer = (millis: number) =>
  Effect.async<void>((resume) => {
    const handle = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(handle))
  })

const turn = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** A random delay: none, a later microtask, the next turn, or some milliseconds. */
const moment = (random: () => number): Effect.Effect<void> => {
  const kind = random()
  return kind < 0.1
    ? Effect.void
    : kind < 0.4
      ? Effect.repeatN(Effect.yieldNow(), Math.floor(random() * 8))
      : kind < 0.6
        ? turn
        : timer(random() * 60)
}

/**
 * Runs `ask` for every key in a fiber of its own, and interrupts about half of them. Returns the wrong values and the
 * failures.
 */
const fuzz = (random: () => number, ask: (key: string) => Effect.Effect<ReadonlyArray<string>, unknown>) =>
  Effect.gen(function* () {
    const wrong: Array<string> = []
    let answered = 0
    let interrupted = 0
    const all = yield* Effect.forEach(Array.from({ length: fibers }), (_, i) => {
      const key = keyOf(i)
      const work = Effect.zipRight(moment(random), ask(key)).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) {
              answered++
              if (exit.value.some((value) => value !== key)) {
                wrong.push(`${key} got ${exit.value.join(", ")}`)
              }
            } else if (Cause.isInterruptedOnly(exit.cause)) {
              interrupted++
            } else {
              wrong.push(`${key} failed: ${Cause.pretty(exit.cause)}`)
            }
          })
        )
      )
      const doomed = random() < 0.5
      const when = moment(random)
      return Effect.flatMap(Effect.fork(work), (fiber) =>
        doomed ? Effect.as(Effect.fork(Effect.zipRight(when, Fiber.interrupt(fiber))), fiber) : Effect.succeed(fiber)
      )
    })
    yield* Fiber.awaitAll(all)
    expect(wrong).toEqual([])
    expect(answered + interrupted).toBe(fibers)
    // With fewer interruptions the test would prove little.
    expect(answered).toBeGreaterThan(fibers / 4)
    expect(interrupted).toBeGreaterThan(fibers / 50)
  })

/** A proxy that forwards bytes in pieces of random sizes, after random pauses, in order. */
const relay = (
  random: () => number,
  to: { readonly host: string; readonly port: number }
): Effect.Effect<{ readonly host: string; readonly port: number }, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket> }>((resume) => {
        const sockets = new Set<Net.Socket>()
        const pass = (from: Net.Socket, into: Net.Socket): void => {
          const pieces: Array<Buffer> = []
          let waiting = false
          const next = (): void => {
            const piece = pieces.shift()
            waiting = piece !== undefined
            if (piece !== undefined) {
              into.write(piece)
              random() < 0.2 ? setTimeout(next, random() * 4) : setImmediate(next)
            }
          }
          from.setNoDelay(true)
          from.on("error", () => {})
          from.on("close", () => {
            sockets.delete(from)
            into.destroy()
          })
          from.on("data", (bytes) => {
            for (let at = 0; at < bytes.length; ) {
              const size = random() < 0.3 ? 1 + Math.floor(random() * 5) : 1 + Math.floor(random() * 2_000)
              pieces.push(bytes.subarray(at, at + size))
              at += size
            }
            if (!waiting) {
              next()
            }
          })
        }
        const server = Net.createServer((client) => {
          const upstream = Net.connect(to)
          sockets.add(client).add(upstream)
          pass(client, upstream)
          pass(upstream, client)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
      }),
      ({ server, sockets }) =>
        Effect.async<void>((resume) => {
          for (const socket of sockets) {
            socket.destroy()
          }
          server.close(() => resume(Effect.void))
        })
    ),
    ({ server }) => ({ host: "127.0.0.1", port: (server.address() as Net.AddressInfo).port })
  )

type Target = { readonly host: string; readonly port: number }

/** The shared client, with access to its link. */
const makeClient = (options: Connection.ConnectionOptions) =>
  Effect.gen(function* () {
    const client = new SharedClient(
      makeDial({ options: yield* Options.resolve({ replyTimeout: "20 seconds", ...options }), connect }),
      {
        schedule: Schedule.spaced("5 millis"),
        readyAfter: 10_000,
        stopWhen: () => false,
        offline: "queue",
        maxRetries: 1_000
      }
    )
    yield* client.start(false)
    const link = () => client.reconnector.link
    const waiting = () => (client as unknown as { readonly waiting: { readonly length: number } }).waiting.length
    return { client, link, pending: () => (link()?.engine.pending ?? 0) + waiting() }
  })

describeReal((server) => {
  layer(serverLayer(server))("fibers that are interrupted", (it) => {
    const direct = (_: () => number) =>
      Effect.map(RedisServer.RedisServer, ({ host, port }): Target => ({ host, port }))
    const relayed = (random: () => number) => Effect.flatMap(RedisServer.RedisServer, (target) => relay(random, target))

    /** Sets each key to its own name. */
    const fill = Effect.flatMap(RedisServer.RedisServer, ({ host, port }) =>
      Effect.scoped(
        Effect.flatMap(Connection.make({ host, port }), (connection) =>
          connection.execute(
            Redis.mset(Object.fromEntries(Array.from({ length: fibers }, (_, i) => [keyOf(i), keyOf(i)])))
          )
        )
      )
    )

    for (const [way, reach] of [
      ["directly", direct],
      ["through a relay that splits and delays", relayed]
    ] as const) {
      for (const protocol of [2, 3] as const) {
        const setup = Effect.gen(function* () {
          const random = randomFrom(seed + protocol)
          yield* fill
          return { random, target: { ...(yield* reach(random)), protocol } }
        })

        it.scoped(`on one shared connection, RESP${protocol}, ${way}`, () =>
          Effect.gen(function* () {
            const { random, target } = yield* setup
            const { client, link, pending } = yield* makeClient(target)
            const before = link()
            yield* fuzz(random, (key) => Effect.map(client.send(Redis.get(key)), textOf))
            yield* Peer.eventually("nothing is pending", () => pending() === 0)
            expect(link()).toBe(before)
            expect(yield* client.send(Redis.get(keyOf(7)))).toEqual(Option.some(keyOf(7)))
          })
        )

        it.scoped(`beyond maxInFlight, RESP${protocol}, ${way}`, () =>
          Effect.gen(function* () {
            const { random, target } = yield* setup
            // Most commands wait unsent, and are removed from the queue there.
            const { client, pending } = yield* makeClient({ ...target, maxInFlight: 16 })
            yield* fuzz(random, (key) => Effect.map(client.send(Redis.get(key)), textOf))
            yield* Peer.eventually("nothing is pending", () => pending() === 0)
          })
        )

        it.scoped(`in pipelines and transactions, RESP${protocol}, ${way}`, () =>
          Effect.gen(function* () {
            const { random, target } = yield* setup
            const { client, link, pending } = yield* makeClient(target)
            const before = link()
            yield* fuzz(random, (key) => {
              const size = 1 + Math.floor(random() * 4)
              const commands = Array.from({ length: size }, () => Redis.get(key))
              return Effect.map(client.sendAll(commands, { atomic: random() < 0.3 }), ({ exits }) =>
                exits.map((exit) =>
                  Exit.isSuccess(exit) && Option.isOption(exit.value) ? String(Option.getOrNull(exit.value)) : "failed"
                )
              )
            })
            yield* Peer.eventually("nothing is pending", () => pending() === 0)
            expect(link()).toBe(before)
          })
        )

        it.scoped(`on a shared connection that is killed meanwhile, RESP${protocol}, ${way}`, () =>
          Effect.gen(function* () {
            const { random, target } = yield* setup
            const { client, pending } = yield* makeClient(target)
            const { host, port } = yield* RedisServer.RedisServer
            const killer = yield* Connection.make({ host, port })
            let kills = 0
            let replies = 0
            // Only after the connection has answered some commands, or a slow machine would make no progress.
            const progress = Effect.suspend(() => {
              const enough = replies + 1 + Math.floor(random() * 100)
              return Effect.repeat(timer(1), { until: () => replies >= enough })
            })
            // In a fiber that is not interrupted at random, because the kills are counted.
            const killing = yield* Effect.fork(
              Effect.forever(
                Effect.zipRight(
                  Effect.map(killer.execute("CLIENT KILL", "TYPE", "normal"), (killed) => {
                    kills += Number(killed)
                  }),
                  Effect.zipRight(progress, timer(random() * 20))
                )
              )
            )
            yield* fuzz(random, (key) =>
              Effect.map(client.send(Redis.get(key)), (value) => {
                replies++
                return textOf(value)
              })
            )
            yield* Fiber.interrupt(killing)
            expect(kills).toBeGreaterThan(0)
            yield* Peer.eventually("nothing is pending", () => pending() === 0)
          })
        )

        it.scoped(`on a pool, RESP${protocol}, ${way}`, () =>
          Effect.gen(function* () {
            const { random, target } = yield* setup
            const pool = yield* Pool.make({ ...target, minSize: 0, maxSize: 8, acquireTimeout: "1 minute" })
            yield* fuzz(random, (key) =>
              Effect.scoped(
                Effect.flatMap(pool.acquireRedis, (redis) => Effect.map(redis.send(Redis.get(key)), textOf))
              )
            )
            yield* Peer.eventually("nobody waits or holds", () => {
              const [size, free, waiting] = Effect.runSync(Effect.all([pool.size, pool.freeSize, pool.waiting]))
              return waiting === 0 && size === free && size <= 8
            })
          })
        )
      }
    }

    it.scoped("on Redis.layer's client, with pipelines in either mode", () =>
      Effect.gen(function* () {
        yield* fill
        const random = randomFrom(seed)
        const { host, port } = yield* RedisServer.RedisServer
        yield* Effect.provide(
          Effect.flatMap(Redis, (redis) =>
            fuzz(random, (key) =>
              Effect.provideService(
                Effect.map(
                  Redis.pipeline([Redis.get(key), Redis.mget([key, key])], { mode: "either" }),
                  ([one, two]) => [
                    Option.getOrElse(Either.getOrThrow(one), () => ""),
                    ...Either.getOrThrow(two).map(Option.getOrElse(() => ""))
                  ]
                ),
                Redis,
                redis
              )
            )
          ),
          Redis.layer({ host, port })
        )
      })
    )
  })
})
