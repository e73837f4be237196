/** The client's promises about delivery, with a proxy that cuts between the write and the reply. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { Connection, Redis, RedisCommand } from "effect-redis-client"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type { RedisOptions } from "../../src/Redis.js"
import { on, quickly } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { makeServer, type TestServer } from "../support/servers.js"

/** A server, a proxy in front of it, a client through the proxy, and a direct connection. */
const through = (server: TestServer, options: RedisOptions = {}) =>
  Effect.gen(function* () {
    const { host, port } = yield* makeServer(server)
    const proxy = yield* FaultProxy.make({ target: { host, port } })
    const redis = yield* Redis.make({
      host: proxy.host,
      port: proxy.port,
      reconnect: quickly,
      replyTimeout: "20 seconds",
      ...options
    })
    const direct = yield* Connection.make({ host, port, replyTimeout: "20 seconds" })
    /** The commands of the handshake. */
    const greeting = (yield* proxy.stats).bytesToServer
    return {
      proxy,
      redis,
      run: on(redis),
      direct,
      /** Every connection, later ones too, executes the next command and is reset when the reply comes. */
      cutEveryReply: Effect.zipRight(
        proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" }),
        proxy.inject(FaultProxy.after(greeting, FaultProxy.cutAfter(0), { direction: "toClient" }), {
          direction: "toServer",
          on: "new"
        })
      ),
      /** The number of times the server executed a command. */
      calls: (name: string) =>
        Effect.map(direct.executeText("INFO", "commandstats"), (text) =>
          Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(String(text))?.[1] ?? 0)
        )
    }
  })

describeReal((server) => {
  it.scopedLive(
    "INCR is never executed twice, and each error's delivery is true",
    () =>
      Effect.gen(function* () {
        const { direct, proxy, run } = yield* through(server)
        const outcomes = { answered: 0, unsent: 0, unknown: 0, unknownExecuted: 0 }
        let total = 0
        for (let round = 0; round < 300; round++) {
          const keys = [0, 1, 2].map((i) => `round:${round}:${i}`)
          // Ensures that there is a connection for the fault.
          yield* run(Redis.ping())
          yield* proxy.inject(
            // In turn: after the write, inside the second reply, inside the write, and at once.
            [
              FaultProxy.cutAfter(0),
              FaultProxy.cutAfter(6),
              FaultProxy.after(0, FaultProxy.cutAfter(40, "close")),
              FaultProxy.reset
            ][round % 4] as FaultProxy.Fault,
            { direction: round % 4 === 2 ? "toServer" : "toClient", on: "live" }
          )
          const results = yield* Effect.forEach(keys, (key) => Effect.either(run(Redis.incr(key))), {
            concurrency: "unbounded"
          })
          for (const [i, result] of results.entries()) {
            const executed = Number(Option.getOrElse(yield* direct.execute(Redis.get(keys[i] as string)), () => "0"))
            total += executed
            if (Either.isRight(result)) {
              outcomes.answered++
              expect([result.right, executed]).toEqual([1, 1])
            } else {
              const error = result.left
              expect(error._tag).toBe("ConnectionError")
              const delivery = error._tag === "ConnectionError" ? error.delivery : "none"
              expect(executed).toBeLessThanOrEqual(delivery === "unknown" ? 1 : 0)
              outcomes[delivery === "unknown" ? "unknown" : "unsent"]++
              outcomes.unknownExecuted += executed
            }
          }
          if (round % 4 === 0) {
            // Cut between the write and the reply: all were executed, and the client cannot know.
            expect(results.map((result) => (Either.isLeft(result) ? "unknown" : result.right))).toEqual(
              keys.map(() => "unknown")
            )
          }
        }
        console.log(`delivery, ${server.name}: 900 INCR, ${total} executed; ${JSON.stringify(outcomes)}`)
        expect(outcomes.answered + outcomes.unsent + outcomes.unknown).toBe(900)
        expect(total).toBe(outcomes.answered + outcomes.unknownExecuted)
        // The test proves something only if both cases occurred.
        expect(outcomes.unknownExecuted).toBeGreaterThan(200)
        expect(outcomes.answered).toBeGreaterThan(50)
      }),
    180_000
  )

  for (const maxRetries of [0, 2]) {
    it.scopedLive(`a readonly command is retried at most ${maxRetries} times`, () =>
      Effect.gen(function* () {
        const { calls, cutEveryReply, run } = yield* through(server, { maxRetries })
        const before = yield* calls("get")
        yield* cutEveryReply
        expect(yield* Effect.flip(run(Redis.get("key")))).toMatchObject({
          _tag: "ConnectionError",
          delivery: "unknown"
        })
        expect((yield* calls("get")) - before).toBe(1 + maxRetries)
      })
    )
  }

  it.scopedLive("a pipeline is retried only when all its commands are readonly", () =>
    Effect.gen(function* () {
      const { calls, direct, proxy, run } = yield* through(server)
      const cut = proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" })
      yield* direct.execute(Redis.set("key", "value"))
      const before = yield* calls("strlen")
      yield* cut
      expect(yield* run(Redis.pipeline([Redis.get("key"), Redis.strlen("key")]))).toEqual([Option.some("value"), 5])
      expect((yield* calls("strlen")) - before).toBe(2)
      yield* cut
      const mixed = yield* Effect.flip(run(Redis.pipeline([Redis.get("key"), Redis.incr("n")])))
      expect(mixed).toMatchObject({ _tag: "PipelineError", error: { _tag: "ConnectionError", delivery: "unknown" } })
      expect(yield* direct.execute(Redis.get("n"))).toEqual(Option.some("1"))
    })
  )

  it.scopedLive("a write that is declared repeatable is retried, and no other", () =>
    Effect.gen(function* () {
      const { calls, cutEveryReply, direct, proxy, run } = yield* through(server, { maxRetries: 2 })
      const cut = proxy.inject(FaultProxy.cutAfter(0), { direction: "toClient", on: "live" })
      yield* cut
      // Executed twice, as declared.
      expect(yield* run(RedisCommand.repeatable(Redis.incr("declared")))).toBe(2)
      yield* cut
      const both = Redis.transaction([
        RedisCommand.repeatable(Redis.incr("declared")),
        RedisCommand.repeatable(Redis.set("seen", "yes"))
      ])
      expect((yield* run(both))[0]).toBe(4)
      yield* cut
      expect(yield* Effect.flip(run(Redis.incr("not declared")))).toMatchObject({ delivery: "unknown" })
      expect(yield* direct.execute(Redis.get("not declared"))).toEqual(Option.some("1"))
      const before = yield* calls("set")
      // The client connects again after the last cut. A connection that is being made now would be missed by both faults.
      yield* run(Redis.ping())
      yield* cutEveryReply
      expect(yield* Effect.flip(run(RedisCommand.repeatable(Redis.set("seen", "yes"))))).toMatchObject({
        _tag: "ConnectionError",
        delivery: "unknown"
      })
      expect((yield* calls("set")) - before).toBe(3)
    })
  )

  it.scopedLive("a command that was sent once and waits for its retry is not reported as unsent", () =>
    Effect.gen(function* () {
      const { direct, proxy, run } = yield* through(server, { replyTimeout: "500 millis" })
      yield* proxy.inject([FaultProxy.refuse, FaultProxy.cutAfter(0)], { direction: "toClient", on: "live" })
      expect(yield* Effect.flip(run(RedisCommand.repeatable(Redis.incr("declared"))))).toMatchObject({
        _tag: "DeadlineError",
        phase: "queue",
        delivery: "unknown"
      })
      expect(yield* direct.execute(Redis.get("declared"))).toEqual(Option.some("1"))
    })
  )
})
