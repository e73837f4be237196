/** Blocking commands: on dedicated connections, unblocked when the caller is interrupted, and no element lost silently. */
import { describe, expect, it as plain } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { Codec, Redis, RedisCommand } from "effect-redis-client"
import { interrupt as interruptFiber } from "../src/internal/effect/fork.js"
import type { Orphan, RedisOptions } from "../src/Redis.js"
import { connectTo, eachServer, failure, on } from "./support/client.js"
import { interruptAndWait, onlyLogger, recordingLogger } from "./support/effect.js"
import * as Peer from "./support/peer.js"
import { warnings } from "./support/pubsub.js"

/** Repeats an effect in real time until its result satisfies the condition. */
const until = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>, holds: (a: A) => boolean) =>
  Effect.gen(function* () {
    for (let i = 0; i < 2_000; i++) {
      const answer = yield* effect
      if (holds(answer)) {
        return answer
      }
      yield* Effect.async<void>((resume) => {
        setTimeout(() => resume(Effect.void), 5)
      })
    }
    return yield* Effect.dieMessage(`never happened: ${what}`)
  })

eachServer((it, { connect, protocol }) => {
  const client = (options: RedisOptions = {}) =>
    Effect.gen(function* () {
      const redis = yield* connect(options)
      const run = on(redis)
      const blocked = Effect.map(run(Redis.info("clients")), (info) =>
        Number(/blocked_clients:(\d+)/.exec(JSON.stringify(info).replace(/"/g, ""))?.[1] ?? -1)
      )
      return { redis, run, blocked }
    })
  const name = (label: string) => `blocking:${protocol}:${label}`

  it.scoped("interruption frees the caller at once, and the unblocked connection is lent again", () =>
    Effect.gen(function* () {
      const { blocked, run } = yield* client({ maxDedicated: 1 })
      for (let i = 0; i < 10; i++) {
        const fiber = yield* Effect.fork(run(Redis.blpop([name("none")], { timeout: "1 hour" })))
        yield* until("it blocks", blocked, (n) => n === 1)
        const before = performance.now()
        expect(Exit.isInterrupted(yield* interruptAndWait(fiber))).toBe(true)
        // Neither the hour nor a round trip of CLIENT UNBLOCK. Generous, for slow machines.
        expect(performance.now() - before).toBeLessThan(1_000)
        yield* until("the server is not blocked any more", blocked, (n) => n === 0)
      }
      // maxDedicated is 1: the connection was released each time.
      yield* run(Redis.rpush(name("some"), ["x"]))
      expect(yield* run(Redis.blpop([name("some")], { timeout: "1 second" }))).toEqual(Option.some([name("some"), "x"]))
      const list = yield* run(Redis.execute("INFO", "stats"))
      expect(String(list)).toContain("total_connections_received")
    })
  )

  it.scoped("the connection of an interrupted command is reused, not replaced", () =>
    Effect.gen(function* () {
      const { blocked, redis, run } = yield* client({ maxDedicated: 1 })
      const id = Effect.scoped(Effect.flatMap(redis.lease, (leased) => on(leased)(Redis.clientId())))
      const first = yield* id
      const fiber = yield* Effect.fork(run(Redis.blpop([name("none")], { timeout: Duration.infinity })))
      yield* until("it blocks", blocked, (n) => n === 1)
      yield* Fiber.interrupt(fiber)
      expect(yield* id).toBe(first)
    })
  )

  it.scoped("an element popped for an interrupted caller is reported, and can be pushed back where it was", () =>
    Effect.gen(function* () {
      const orphans: Array<{ readonly name: string; readonly count: number }> = []
      const done = yield* Deferred.make<void>()
      const { blocked, run } = yield* client({
        onOrphan: (orphan) =>
          Effect.gen(function* () {
            orphans.push({ name: orphan.command.name, count: orphan.count })
            yield* Effect.orDie(orphan.pushBack)
            yield* Deferred.succeed(done, undefined)
          })
      })
      const key = name("race")
      const fiber = yield* Effect.fork(run(Redis.blpop([key], { timeout: "1 hour" })))
      yield* until("it blocks", blocked, (n) => n === 1)
      // RPUSH is sent in this turn, and CLIENT UNBLOCK after it on the same connection: BLPOP takes the element first.
      const push = yield* Effect.fork(run(Redis.rpush(key, ["element"])))
      yield* Effect.yieldNow()
      expect(Exit.isInterrupted(yield* interruptAndWait(fiber))).toBe(true)
      yield* Fiber.join(push)
      yield* Deferred.await(done)
      expect(orphans).toEqual([{ name: "BLPOP", count: 1 }])
      expect(yield* run(Redis.lrange(key, 0, -1))).toEqual(["element"])
    })
  )

  it.scoped("infinite waits are sent in slices; XREAD from $ keeps the id that $ first meant", () =>
    Effect.gen(function* () {
      const { blocked, run } = yield* client({ unresponsiveTimeout: "400 millis" })
      const stream = name("stream")
      yield* run(Redis.xadd(stream, "*", { n: "before" }))
      const reading = yield* Effect.fork(
        run(Redis.execute("XREAD", "BLOCK", "0", "STREAMS", stream, name("empty"), "$", "$"))
      )
      yield* until("it blocks", blocked, (n) => n === 1)
      // Longer than a slice: `$` must keep its first meaning.
      yield* until(
        "two slices are over",
        run(Redis.time()),
        (() => {
          const begun = performance.now()
          return () => performance.now() - begun > 500
        })()
      )
      yield* run(Redis.xadd(stream, "*", { n: "after" }))
      expect(JSON.stringify(yield* Fiber.join(reading))).toMatch(/after/)
      const popping = yield* Effect.fork(run(Redis.blpop([name("late")], { timeout: Duration.infinity })))
      yield* until(
        "two slices are over",
        run(Redis.time()),
        (() => {
          const begun = performance.now()
          return () => performance.now() - begun > 500
        })()
      )
      yield* run(Redis.rpush(name("late"), ["x"]))
      expect(yield* Fiber.join(popping)).toEqual(Option.some([name("late"), "x"]))
    })
  )

  it.scoped("beyond maxDedicated, blocking commands fail to acquire in time, and ordinary commands go on", () =>
    Effect.gen(function* () {
      const { blocked, run } = yield* client({ maxDedicated: 5, acquireTimeout: "3 seconds" })
      const fibers = yield* Effect.forEach(Array.from({ length: 1_000 }), () =>
        Effect.fork(run(Redis.blpop([name("nothing")], { timeout: "1 hour" })))
      )
      yield* until("five block", blocked, (n) => n === 5)
      expect(yield* run(Redis.ping())).toBe("PONG")
      const failed = yield* Effect.exit(Fiber.join(fibers[999] as (typeof fibers)[number]))
      expect(failure(failed)).toMatchObject({ _tag: "DeadlineError", phase: "acquire", delivery: "unsent" })
      expect(yield* blocked).toBe(5)
      yield* Fiber.interruptAll(fibers)
      yield* until("none blocks", blocked, (n) => n === 0)
    })
  )

  it.scoped("a deadline of its own covers the wait for a connection", () =>
    Effect.gen(function* () {
      const { blocked, run } = yield* client({ maxDedicated: 1, acquireTimeout: "1 hour" })
      const holder = yield* Effect.fork(run(Redis.blpop([name("held")], { timeout: "1 hour" })))
      yield* until("it blocks", blocked, (n) => n === 1)
      const command = RedisCommand.withDeadline(Redis.blpop([name("x")], { timeout: "1 hour" }), "100 millis")
      expect(failure(yield* Effect.exit(run(command)))).toMatchObject({ _tag: "DeadlineError", phase: "acquire" })
      yield* Fiber.interrupt(holder)
    })
  )

  it.scoped("a command whose deadline passed is unblocked too", () =>
    Effect.gen(function* () {
      const { blocked, run } = yield* client()
      const command = RedisCommand.withDeadline(Redis.blpop([name("x")], { timeout: "1 hour" }), "100 millis")
      expect(failure(yield* Effect.exit(run(command)))).toMatchObject({ _tag: "DeadlineError", phase: "reply" })
      yield* until("the server is not blocked any more", blocked, (n) => n === 0)
    })
  )

  it.scoped("closing the scope while many commands block ends in time, and none stays blocked", () =>
    Effect.gen(function* () {
      const { blocked } = yield* client()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const inner = yield* client({ maxDedicated: 20 })
          for (let i = 0; i < 20; i++) {
            yield* Effect.fork(inner.run(Redis.blpop([name("none")], { timeout: Duration.infinity })))
          }
          yield* until("all block", blocked, (n) => n === 20)
        })
      )
      yield* until("none blocks", blocked, (n) => n === 0)
    })
  )
})

describe("after the caller was interrupted", () => {
  /** Leaves a blocking command unanswered until `state.answer` is called; answers CLIENT UNBLOCK with `unblock`. */
  const peer = (unblock: string | undefined) => {
    const state = { answer: (_: string): void => {} }
    const script: Peer.Script = {
      onCommand: (command, connection) => {
        if (command[0] === "CLIENT" && command[1] === "UNBLOCK") {
          return unblock
        }
        return Peer.greeting(() => {
          if (/^B/.test(command[0] as string)) {
            state.answer = connection.write
            return undefined
          }
          return "+OK\r\n"
        })(command, connection)
      }
    }
    return { script, state }
  }
  const received = (peer: Peer.Peer, first: string) =>
    peer.connections.flatMap(({ received }) =>
      received.filter(([word]) => word === first).map((words) => words.join(" "))
    )
  const unblocks = (peer: Peer.Peer) => received(peer, "CLIENT").filter((line) => line.startsWith("CLIENT UNBLOCK"))

  const cases: ReadonlyArray<
    readonly [command: RedisCommand.RedisCommand<unknown>, reply: string, count: number, back: string]
  > = [
    [Redis.blpop(["k"], { timeout: "1 hour" }), "*2\r\n$1\r\nk\r\n$1\r\na\r\n", 1, "LPUSH k a"],
    [Redis.brpop(["k"], { timeout: "1 hour" }), "*2\r\n$1\r\nk\r\n$1\r\na\r\n", 1, "RPUSH k a"],
    [
      Redis.blmpop(["k"], "left", { timeout: "1 hour", count: 2 }),
      "*2\r\n$1\r\nk\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
      2,
      "LPUSH k b a"
    ],
    [Redis.bzpopmin(["k"], { timeout: "1 hour" }), "*3\r\n$1\r\nk\r\n$1\r\nm\r\n,1.5\r\n", 1, "ZADD k 1.5 m"],
    [Redis.bzpopmax(["k"], { timeout: "1 hour" }), "*3\r\n$1\r\nk\r\n$1\r\nm\r\n$3\r\ninf\r\n", 1, "ZADD k inf m"],
    [
      Redis.bzmpop(["k"], "min", { timeout: "1 hour", count: 2 }),
      "*2\r\n$1\r\nk\r\n*2\r\n*2\r\n$1\r\nm\r\n,1\r\n*2\r\n$1\r\nn\r\n,inf\r\n",
      2,
      "ZADD k 1 m +inf n"
    ]
  ]
  for (const [command, reply, count, back] of cases) {
    plain.scoped(`${command.name}: a late element is pushed back with ${back}`, () =>
      Effect.gen(function* () {
        const { script, state } = peer(":0\r\n")
        const server = yield* connectTo(script, { onOrphan: "pushBack" })
        const fiber = yield* Effect.fork(server.run(command))
        yield* Peer.eventually("it waits", () => received(server.peer, command.name).length === 1)
        yield* Fiber.interrupt(fiber)
        yield* Peer.eventually("it is unblocked", () => unblocks(server.peer).length === 1)
        state.answer(reply)
        const word = back.split(" ")[0] as string
        yield* Peer.eventually("it is put back", () => received(server.peer, word).length === 1)
        expect(received(server.peer, word)).toEqual([back])
        expect(count).toBeGreaterThan(0)
      })
    )
  }

  plain.scoped("by default a warning names the command and the count, never the value", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = recordingLogger(({ level, message }) => {
        lines.push(`${level} ${String(message)}`)
      })
      yield* Effect.gen(function* () {
        const { script, state } = peer(":0\r\n")
        const server = yield* connectTo(script)
        const fiber = yield* Effect.fork(server.run(Redis.withCodec(Codec.bytes).blpop(["k"], { timeout: "1 hour" })))
        yield* Peer.eventually("it waits", () => received(server.peer, "BLPOP").length === 1)
        yield* Fiber.interrupt(fiber)
        yield* Peer.eventually("it is unblocked", () => unblocks(server.peer).length === 1)
        state.answer("*2\r\n$1\r\nk\r\n$6\r\nsecret\r\n")
        yield* Peer.eventually("it is logged", () => lines.some((line) => line.startsWith("WARN")))
      }).pipe(Effect.provide(onlyLogger(logger)))
      const warning = lines.filter((line) => line.startsWith("WARN"))
      expect(warning).toHaveLength(1)
      expect(warning[0]).toMatch(/BLPOP took 1 element/)
      expect(warning[0]).not.toMatch(/secret/)
    })
  )

  for (const [what, answer] of [
    ["refused", "-NOPERM no\r\n"],
    ["never answered", undefined]
  ] as const) {
    plain.scoped(`when CLIENT UNBLOCK is ${what}, the connection is closed and another can take its place`, () =>
      Effect.gen(function* () {
        const { script } = peer(answer)
        const server = yield* connectTo(script, { maxDedicated: 1, replyTimeout: "20 seconds" })
        const blpop = Redis.blpop(["k"], { timeout: "1 hour" })
        const fiber = yield* Effect.fork(server.run(blpop))
        yield* Peer.eventually("it waits", () => received(server.peer, "BLPOP").length === 1)
        yield* Fiber.interrupt(fiber)
        const next = yield* Effect.fork(server.run(blpop))
        yield* Peer.eventually("another takes its place", () => received(server.peer, "BLPOP").length === 2)
        yield* Fiber.interrupt(next)
        expect(server.peer.connections.length).toBe(3)
      })
    )
  }

  plain.scoped("the connection is not lent before both replies were read", () =>
    Effect.gen(function* () {
      const { script, state } = peer(":1\r\n")
      const server = yield* connectTo(script, { maxDedicated: 1, acquireTimeout: "20 seconds" })
      const blpop = Redis.blpop(["k"], { timeout: "1 hour" })
      const fiber = yield* Effect.fork(server.run(blpop))
      yield* Peer.eventually("it waits", () => received(server.peer, "BLPOP").length === 1)
      yield* Fiber.interrupt(fiber)
      const next = yield* Effect.fork(server.run(blpop))
      yield* Peer.eventually("it is unblocked", () => unblocks(server.peer).length === 1)
      // After a round trip on the shared connection, CLIENT UNBLOCK has been answered.
      yield* server.run(Redis.execute("ECHO", "x"))
      expect(received(server.peer, "BLPOP")).toHaveLength(1)
      state.answer("*-1\r\n")
      yield* Peer.eventually("the next waits", () => received(server.peer, "BLPOP").length === 2)
      expect(server.peer.connections.length).toBe(2)
      state.answer("*2\r\n$1\r\nk\r\n$1\r\na\r\n")
      expect(yield* Fiber.join(next)).toEqual(Option.some(["k", "a"]))
    })
  )

  plain.scoped("a reply that arrives in the same turn as the interruption is an orphan", () =>
    Effect.gen(function* () {
      const orphans: Array<Orphan> = []
      const { run } = yield* connectTo(
        {
          onCommand: Peer.greeting((command) => (command[0] === "BLPOP" ? "*2\r\n$1\r\nk\r\n$1\r\nv\r\n" : "+OK\r\n"))
        },
        { onOrphan: (orphan) => Effect.sync(() => void orphans.push(orphan)) }
      )
      let interrupt = (): void => {}
      const command = RedisCommand.make("BLPOP", {
        args: [RedisCommand.key("k"), 10],
        decode: (reply) => {
          interrupt()
          return reply
        }
      })
      const fiber = yield* Effect.fork(run(command))
      interrupt = () => interruptFiber(fiber)
      expect(Exit.isInterrupted(yield* Fiber.await(fiber))).toBe(true)
      yield* Peer.eventually("the orphan is reported", () => orphans.length === 1)
      expect(orphans[0]).toMatchObject({ count: 1, reply: ["k", "v"] })
    })
  )

  plain.scoped("an onOrphan that throws is logged, with what the command took", () =>
    Effect.gen(function* () {
      const { lines, layer } = warnings()
      const test = Effect.gen(function* () {
        const { peer, run } = yield* connectTo(
          { onCommand: Peer.greeting((command) => (command[0] === "BLPOP" ? undefined : ":1\r\n")) },
          {
            maxDedicated: 1,
            onOrphan: () => {
              throw new Error("broken")
            }
          }
        )
        const fiber = yield* Effect.fork(run(Redis.blpop(["k"], { timeout: "10 seconds" })))
        const blocked = () =>
          peer.connections.find((connection) => connection.received.some(([name]) => name === "BLPOP"))
        yield* Peer.eventually("it blocks", () => blocked() !== undefined)
        yield* Fiber.interrupt(fiber)
        blocked()?.write("*2\r\n$1\r\nk\r\n$1\r\nv\r\n")
        yield* Peer.eventually("it is logged", () => lines.some((line) => line.includes("BLPOP took 1")))
      })
      yield* Effect.provide(test, layer)
    })
  )
})
