/**
 * Hostile servers: random and mutated bytes against the parser and against live connections, endless streams, and
 * hand-made replies. `SEED=…` repeats a run; `npm run fuzz -- --hostile` runs far more cases.
 */
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Connection, Redis } from "effect-redis-client"
import * as Peers from "../scripts/fuzz/peers.js"
import * as Random from "../scripts/fuzz/random.js"
import * as Streams from "../scripts/fuzz/streams.js"
import { failure } from "./support/client.js"
import * as Peer from "./support/peer.js"

const seed = Random.seedFrom(process.env.SEED)

const limits = { maxBulkLength: 1 << 20, maxAggregateLength: 1 << 20, maxDepth: 64, maxBufferedBytes: 4 << 20 }

/** Uncaught exceptions and unhandled rejections. The test runner would end the run; here they are reported with the seed. */
const unexpected: Array<unknown> = []
const note = (error: unknown): void => {
  unexpected.push(error)
}
const names = Object.getOwnPropertyNames(Object.prototype).join()

beforeAll(() => {
  console.log(`hostile: SEED=${seed}`)
  process.on("uncaughtExceptionMonitor", note)
  process.on("unhandledRejection", note)
})

afterAll(() => {
  process.off("uncaughtExceptionMonitor", note)
  process.off("unhandledRejection", note)
  expect(unexpected).toEqual([])
  expect(Object.getOwnPropertyNames(Object.prototype).join()).toBe(names)
})

describe("random bytes", () => {
  it("the parser never throws, reads every split alike, gives a reason for each refusal, and uses little memory", () => {
    const tally = Streams.emptyStreams()
    Streams.run(Random.make(seed), 60_000, 6_000, tally)
    console.log(`hostile: ${tally.streams} streams, ${tally.right} right, ${tally.refused} refused, SEED=${seed}`)
    expect(tally.problems.slice(0, 5)).toEqual([])
    expect(tally.streams).toBeGreaterThan(500)
    expect(tally.right).toBeGreaterThan(0)
    expect(tally.refused).toBeGreaterThan(0)
    expect(tally.grown).toBeLessThan(256 * 1024 * 1024)
  })

  it.live(
    "on live connections each call ends with a value of its type or a typed error",
    () =>
      Effect.gen(function* () {
        const tally = Peers.emptyPeers()
        yield* Peers.run(Random.make(seed, 1), 2_000, 5_000, 12, tally)
        console.log(`hostile: ${tally.cases} live cases, ${JSON.stringify(tally.errors)}, SEED=${seed}`)
        expect(tally.problems.slice(0, 5)).toEqual([])
        expect(tally.cases).toBeGreaterThan(20)
      }),
    60_000
  )
})

describe("endless streams", () => {
  for (const stream of Streams.endless) {
    it(`${stream.name}: the parser keeps no more than its limits`, () => {
      const { failure, grown, read } = Streams.feed(stream, limits, 6 << 20)
      expect(failure === undefined).toBe(stream.harmless === true)
      if (failure !== undefined) {
        expect(read).toBeLessThan(5 << 20)
      }
      // Small values take a multiple of their bytes, and garbage may not be collected yet.
      expect(grown).toBeLessThan(200 << 20)
    })
  }

  for (const name of ["a simple string without its end", "a streamed array of nothing", "pushes", "a streamed map"]) {
    const stream = Streams.endless.find((one) => one.name === name)
    if (stream !== undefined) {
      it.live(
        `${name}: the command of the connection fails typed`,
        () =>
          Effect.gen(function* () {
            const { grown, outcome } = yield* Peers.flood(stream, 3)
            expect(outcome).toBe(stream.harmless === true ? "DeadlineError" : "ProtocolError")
            expect(grown).toBeLessThan(256 << 20)
          }),
        60_000
      )
    }
  }
})

describe("hand-made replies", () => {
  const answered = (reply: string, protocol: 2 | 3 = 3) =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: ([name]) =>
          name === "HELLO" ? Peer.hello3 : name === "CLIENT" ? ":7\r\n" : name === "PING" ? "+PONG\r\n" : reply
      })
      const connection = yield* Connection.make({ host: "127.0.0.1", port: peer.port, protocol, limits })
      return { connection, peer }
    })

  it.scoped("-MOVED with a property name of Object as its slot is an ordinary error", () =>
    Effect.gen(function* () {
      for (const line of ["MOVED __proto__", "MOVED 1 __proto__:constructor", "ASK constructor", "__proto__ x"]) {
        const { connection } = yield* answered(`-${line}\r\n`)
        const error = failure(yield* Effect.exit(connection.execute(Redis.get("k"))))
        expect(error).toMatchObject({ _tag: "ReplyError", code: line.startsWith("_") ? "ERR" : line.split(" ")[0] })
        expect(yield* connection.execute("PING")).toBe("PONG")
      }
    })
  )

  for (const protocol of [2, 3] as const) {
    it.scoped(`fields called __proto__ and constructor are data, RESP${protocol}`, () =>
      Effect.gen(function* () {
        const fields = "$9\r\n__proto__\r\n$8\r\npolluted\r\n$11\r\nconstructor\r\n$1\r\nc\r\n"
        const { connection } = yield* answered(protocol === 3 ? `%2\r\n${fields}` : `*4\r\n${fields}`, protocol)
        const got = yield* connection.execute(Redis.hgetall("h"))
        expect(Object.getOwnPropertyDescriptor(got, "__proto__")?.value).toBe("polluted")
        expect(Object.getOwnPropertyDescriptor(got, "constructor")?.value).toBe("c")
        expect((Object.prototype as Record<string, unknown>).polluted).toBeUndefined()
      })
    )
  }

  for (const [what, bytes] of [
    ["a bulk string of 20 digits", "$99999999999999999999\r\n"],
    ["a bulk string beyond the limit", "$536870913\r\n"],
    ["an array of two billion", "*2147483647\r\n"],
    ["a map of 2^62", "%4611686018427387904\r\n"],
    ["a set of negative length", "~-3\r\n"],
    ["values 100 000 deep", "*1\r\n".repeat(100_000)],
    ["attributes 100 000 deep", "|1\r\n".repeat(100_000)]
  ] as const) {
    it.scoped(`${what} ends the connection, typed`, () =>
      Effect.gen(function* () {
        const { connection } = yield* answered(bytes)
        expect(failure(yield* Effect.exit(connection.execute(Redis.get("k"))))._tag).toBe("ProtocolError")
        expect(yield* connection.closed).toBe(true)
      })
    )
  }

  it.scoped("an error of half a megabyte is one error, and the next reply reaches the next command", () =>
    Effect.gen(function* () {
      const { connection } = yield* answered(`-ERR ${"x".repeat(500_000)}\r\n`)
      expect(failure(yield* Effect.exit(connection.execute(Redis.get("k"))))._tag).toBe("ReplyError")
      expect(yield* connection.execute("PING")).toBe("PONG")
    })
  )

  it.scoped("an unrequested reply ends the connection before any command can receive it", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* answered("$2\r\nok\r\n")
      peer.connections[0]?.write("$6\r\nforged\r\n")
      yield* Peer.eventually("the connection ended", () => Effect.runSync(connection.closed))
      const exit = yield* Effect.exit(connection.execute(Redis.get("k")))
      expect(Exit.isFailure(exit)).toBe(true)
    })
  )

  it.scoped("two replies to one command: the second reaches no command", () =>
    Effect.gen(function* () {
      const { connection } = yield* answered("$5\r\nfirst\r\n$6\r\nsecond\r\n")
      expect(yield* connection.execute(Redis.get("k"))).toEqual(Option.some("first"))
      yield* Peer.eventually("the connection ended", () => Effect.runSync(connection.closed))
    })
  )

  it.scoped("a flood of pushes: the reply after them is read, and a slow listener loses only the oldest", () =>
    Effect.gen(function* () {
      const pushes = 50_000
      const { connection } = yield* answered(`${">2\r\n+message\r\n+x\r\n".repeat(pushes)}$2\r\nok\r\n`)
      const listening = yield* Effect.fork(Stream.runCount(connection.pushes))
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      expect(yield* connection.execute(Redis.get("k"))).toEqual(Option.some("ok"))
      yield* connection.close
      const seen = yield* listening
      expect(seen).toBeGreaterThan(0)
      expect(seen).toBeLessThanOrEqual(pushes)
    })
  )
})
