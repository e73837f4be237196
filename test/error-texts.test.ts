/** Messages of errors on real servers: each says what failed, why, and what to do. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { Connection, Redis } from "effect-redis-client"
import type { RedisOptions } from "../src/Redis.js"
import type { OverflowError, PipelineError } from "../src/RedisError.js"
import * as FaultProxy from "../src/testing/FaultProxy.js"
import type { RedisServerOptions } from "../src/testing/RedisServer.js"
import { eachServer, failure, on, quickly, settle } from "./support/client.js"
import { makeServer } from "./support/servers.js"

eachServer((it, { connect, protocol, server }) => {
  /** A server for this test alone, and a client of it. */
  const own = (options: RedisOptions = {}, serverOptions: RedisServerOptions = {}) =>
    Effect.gen(function* () {
      const process = yield* makeServer(server, serverOptions)
      const { host, port } = process
      const redis = yield* Redis.make({ host, port, protocol, reconnect: quickly, ...options })
      return { process, redis, run: on(redis) }
    })

  it.scoped("a cut pipeline: the slot, the command, the cause, and that it may have been executed", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const id = yield* run(Redis.clientId())
      const error = failure(
        yield* Effect.exit(
          run(
            Redis.pipeline({ kill: Redis.execute("CLIENT", "KILL", "ID", id, "SKIPME", "no"), count: Redis.incr("n") })
          )
        )
      ) as PipelineError
      expect(error).toMatchObject({ _tag: "PipelineError", at: "count", command: "INCR" })
      expect(error.message).toMatch(/^Command count \(INCR\) of the pipeline failed: .*\(delivery: unknown\)$/)
      expect(error.message).toContain(error.error.message)
    })
  )

  it.scoped("a pipeline that was not sent", () =>
    Effect.gen(function* () {
      const { process, redis, run } = yield* own({ offline: "fail" })
      yield* process.kill
      while ((yield* redis.status.get)._tag === "Ready") {
        yield* Effect.yieldNow()
      }
      const error = failure(yield* Effect.exit(run(Redis.pipeline([Redis.incr("n")])))) as PipelineError
      expect(error.message).toMatch(/^Command 0 \(INCR\) of the pipeline failed: .*\(delivery: unsent\)$/)
    })
  )

  it.scoped("a pipeline whose deadline passed says so once", () =>
    Effect.gen(function* () {
      const { process, run } = yield* own()
      yield* process.pause
      const exit = yield* Effect.exit(run(Redis.pipeline([Redis.get("k")], { deadline: "50 millis" })))
      yield* process.resume
      expect((failure(exit) as PipelineError).message).toBe(
        "Command 0 (GET) of the pipeline failed: The reply deadline of GET passed after 50 ms (delivery: unknown)"
      )
    })
  )

  it.scoped("a transaction: the slot and the command", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      yield* run(Redis.set("text", "x"))
      const error = failure(yield* Effect.exit(run(Redis.transaction([Redis.ping(), Redis.incr("text")]))))
      expect(error).toMatchObject({ _tag: "TransactionError", at: 1, command: "INCR" })
      expect(error.message).toBe(
        "The transaction did not succeed (failed) at command 1 (INCR): INCR: ERR value is not an integer or out of range"
      )
    })
  )

  for (const [option, commands] of [
    ["maxQueuedCommands", [Redis.get("a"), Redis.get("b")]],
    ["maxQueuedBytes", [Redis.set("a", "x"), Redis.set("b", "x".repeat(100))]]
  ] as const) {
    it.scoped(`beyond ${option}: the option, its value, and what to do`, () =>
      Effect.gen(function* () {
        const { process, redis, run } = yield* own({ [option]: option === "maxQueuedBytes" ? 100 : 1 })
        yield* process.kill
        while ((yield* redis.status.get)._tag === "Ready") {
          yield* Effect.yieldNow()
        }
        const [waits, refused] = commands
        yield* Effect.fork(Effect.exit(run<unknown, unknown, Redis>(waits)))
        yield* settle
        const error = failure(yield* Effect.exit(run<unknown, unknown, Redis>(refused))) as OverflowError
        expect(error._tag).toBe("OverflowError")
        expect(error.message).toContain(option === "maxQueuedBytes" ? "maxQueuedBytes (100)" : "maxQueuedCommands (1)")
        expect(error.message).toMatch(/raise that option, or have less wait at once$/)
      })
    )
  }

  it.scoped("a cut handshake: TLS is suspected only where nothing at all was read", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      const proxy = yield* FaultProxy.make({ target: { host, port } })
      for (const [bytes, suspects] of [
        [0, true],
        [1, false],
        [3, false]
      ] as const) {
        yield* proxy.inject(FaultProxy.cutAfter(bytes), { direction: "toClient", on: "new" })
        const error = failure(
          yield* Effect.exit(Effect.scoped(Connection.make({ host: proxy.host, port: proxy.port, protocol })))
        )
        yield* proxy.heal
        expect(error).toMatchObject({ _tag: "ConnectionError", delivery: "unsent" })
        expect([bytes, /if this port speaks TLS, ask for it/.test(error.message)]).toEqual([bytes, suspects])
      }
    })
  )

  it.scoped("a server that requires a password: which options set it", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server, { password: Redacted.make("s3cret") })
      const missing = failure(yield* Effect.exit(Effect.scoped(Redis.make({ host, port, protocol }))))
      expect(missing).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
      expect(missing.message).toMatch(
        /NOAUTH.*; the server wants a password: give it as the option password or credentials, or in the URL/
      )
      const wrong = failure(
        yield* Effect.exit(Effect.scoped(Redis.make({ host, port, protocol, password: Redacted.make("wr0ng") })))
      )
      expect(wrong.message).toMatch(/WRONGPASS/)
      expect(wrong.message).not.toMatch(/wants a password|wr0ng/)
    })
  )
})
