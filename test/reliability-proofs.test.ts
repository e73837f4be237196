/** What docs/reliability.md promises and no other suite proves by itself. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { Redis, RedisCommand } from "effect-redis-client"
import { connectTo, settle } from "./support/client.js"
import * as Peer from "./support/peer.js"

/** What was received up to the first command that is no part of a greeting. */
const greetingOf = ({ received }: Peer.PeerConnection) => {
  const end = received.findIndex(([name]) => !/^(?:HELLO|AUTH|SELECT|CLIENT)$/.test(name ?? ""))
  return end < 0 ? received : received.slice(0, end)
}

describe("a connection that replaces another", () => {
  for (const protocol of [2, 3] as const) {
    it.scoped(`is made as the first one was before anything of a user's is sent, RESP${protocol}`, () =>
      Effect.gen(function* () {
        const { peer, run } = yield* connectTo(
          {
            onCommand: ([name, sub], connection) => {
              if (name === "HELLO") {
                return Peer.hello3
              }
              if (name === "CLIENT" && sub === "ID") {
                return ":7\r\n"
              }
              if (name === "GET" && connection.index === 0) {
                connection.reset()
                return undefined
              }
              return name === "GET" ? "$1\r\nv\r\n" : "+OK\r\n"
            }
          },
          { protocol, database: 3, clientName: "proof", username: "ada", password: Redacted.make("secret") }
        )
        yield* run(Redis.get("k"))
        const [first, second] = peer.connections.map(greetingOf)
        expect(second).toEqual(first)
        const words = (second ?? []).map((command) => command.join(" "))
        expect(words).toContain("SELECT 3")
        expect(words.some((line) => /AUTH ada secret/.test(line))).toBe(true)
        expect(words.some((line) => /SETNAME proof/.test(line))).toBe(true)
        expect(peer.connections[1]?.received.at(words.length)).toEqual(["GET", "k"])
      })
    )
  }
})

/** Answers the greeting, and nothing else. */
const silent: Peer.Script = { onCommand: Peer.greeting(() => undefined) }

describe("deadlines", () => {
  it.scoped("pass when they should, and never early", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo(silent, { replyTimeout: "1 minute" })
      for (let millis = 40; millis < 60; millis++) {
        const [error, took] = yield* Effect.suspend(() => {
          const started = performance.now()
          return Effect.map(
            Effect.flip(run(Redis.get("k").pipe(RedisCommand.withDeadline(`${millis} millis`)))),
            (error) => [error, performance.now() - started] as const
          )
        })
        expect(error).toMatchObject({
          _tag: "DeadlineError",
          phase: "reply",
          delivery: "unknown",
          milliseconds: millis
        })
        expect(took).toBeGreaterThanOrEqual(millis)
      }
    })
  )

  it.scoped("a thousand share one timer, and each has its own", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(silent, { replyTimeout: "1 minute" })
      yield* settle
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
      const before = timers()
      const fiber = yield* Effect.fork(
        run(
          Effect.forEach(
            Array.from({ length: 1_000 }, (_, i) => 3_000 + (i % 50)),
            (millis) =>
              Redis.get("k").pipe(
                RedisCommand.withDeadline(`${millis} millis`),
                Effect.flip,
                Effect.map((error) => ({ error, millis }))
              ),
            { concurrency: "unbounded" }
          )
        )
      )
      yield* Peer.eventually("all were sent", () => commands().length === 1_000)
      expect(timers() - before).toBeLessThanOrEqual(1)
      for (const { error, millis } of yield* Fiber.join(fiber)) {
        expect(error).toMatchObject({
          _tag: "DeadlineError",
          phase: "reply",
          delivery: "unknown",
          milliseconds: millis
        })
      }
    })
  )

  it.scoped("that of a blocking command is its own timeout, and replyTimeout on top", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(silent, { replyTimeout: "300 millis" })
      const started = performance.now()
      const error = yield* Effect.flip(run(Redis.blpop("k", { timeout: "200 millis" })))
      expect(error).toMatchObject({ _tag: "DeadlineError", phase: "reply", delivery: "unknown", milliseconds: 500 })
      expect(performance.now() - started).toBeGreaterThanOrEqual(500)
      expect(commands()).toContain("BLPOP k 0.2")
    })
  )
})
