/** Messages of errors on real servers: each says what failed, why, and what to do. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { Connection, Pool, Redis, type RedisCommand } from "effect-redis-client"
import type { RedisOptions } from "../src/Redis.js"
import {
  type ConnectionError,
  type DeadlineError,
  isRetryable,
  type OverflowError,
  type PipelineError,
  type ProtocolError,
  type ReplyError
} from "../src/RedisError.js"
import * as FaultProxy from "../src/testing/FaultProxy.js"
import type { RedisServerOptions } from "../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on, quickly, settle } from "./support/client.js"
import * as Peer from "./support/peer.js"
import { makeServer } from "./support/servers.js"

describe("a peer that breaks the protocol", () => {
  it.scoped("fails each command by name, and an attempt to connect with an error that names none", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo({ onCommand: Peer.greeting(() => "nonsense\r\n") }, { maxRetries: 0 })
      const address = `127.0.0.1:${peer.port}`
      const error = failure(yield* Effect.exit(run(Redis.incr("n")))) as ProtocolError
      expect(error).toMatchObject({ _tag: "ProtocolError", command: "INCR", server: address })
      expect(error.message).toMatch(new RegExp(`^INCR: the server ${address} broke the protocol: `))
      const nonsense = yield* Peer.make({ onCommand: () => "nonsense\r\n" })
      const exit = yield* Effect.exit(Effect.scoped(Connection.make({ host: "127.0.0.1", port: nonsense.port })))
      expect(failure(exit)).toMatchObject({ _tag: "ProtocolError", server: `127.0.0.1:${nonsense.port}` })
      expect((failure(exit) as ProtocolError).command).toBeUndefined()
    })
  )
})

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
      expect(error.message).toMatch(
        /^Command count \(INCR\) of the pipeline failed: INCR: .* \(server: \S+, delivery: unknown\)$/
      )
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
      expect(error.message).toMatch(
        /^Command 0 \(INCR\) of the pipeline failed: INCR: .* \((?:server: \S+, )?delivery: unsent\)$/
      )
    })
  )

  it.scoped("a pipeline whose deadline passed says so once", () =>
    Effect.gen(function* () {
      const { process, run } = yield* own()
      yield* process.pause
      const exit = yield* Effect.exit(run(Redis.pipeline([Redis.get("k")], { deadline: "50 millis" })))
      yield* process.resume
      expect((failure(exit) as PipelineError).message).toBe(
        "Command 0 (GET) of the pipeline failed: The reply deadline of GET passed after 50 ms " +
          `(server: ${process.host}:${process.port}, delivery: unknown)`
      )
    })
  )

  it.scoped("a lost connection: each command names itself, the server, and whether it may have been executed", () =>
    Effect.gen(function* () {
      const { process, run } = yield* own()
      yield* process.pause
      const commands: ReadonlyArray<RedisCommand.RedisCommand<unknown>> = [
        Redis.incr("n"),
        Redis.set("k", "v"),
        Redis.fcall("f")
      ]
      const waiting = yield* Effect.forEach(commands, (command) => Effect.fork(Effect.exit(run(command))))
      yield* settle
      yield* process.kill
      const address = `${process.host}:${process.port}`
      for (const [i, exit] of (yield* Fiber.joinAll(waiting)).entries()) {
        const command = commands[i]?.name
        const error = failure(exit) as ConnectionError
        expect(error).toMatchObject({ _tag: "ConnectionError", command, server: address, delivery: "unknown" })
        expect(error.message).toMatch(
          new RegExp(`^${command}: the .*(?:closed|failed).* \\(server: ${address}, delivery: unknown\\)$`)
        )
      }
    })
  )

  it.scoped("no connection: the command and the address", () =>
    Effect.gen(function* () {
      const { process, redis, run } = yield* own({ offline: "fail" })
      yield* process.kill
      const address = `${process.host}:${process.port}`
      // Until an attempt has failed, the reason is that the connection was lost.
      while (!JSON.stringify(yield* redis.status.get).includes("ECONNREFUSED")) {
        yield* Effect.sleep("1 millis")
      }
      const error = failure(yield* Effect.exit(run(Redis.get("k")))) as ConnectionError
      expect(error).toMatchObject({ _tag: "ConnectionError", command: "GET", server: address, delivery: "unsent" })
      expect(error.message).toMatch(/^GET: .*ECONNREFUSED.* \(delivery: unsent\)$/)
      // Node's text has the address already.
      expect(error.message).not.toContain("server: ")
    })
  )

  it.scoped("no connection of a pool: the command that waited for one", () =>
    Effect.gen(function* () {
      const { process, run } = yield* own({ maxDedicated: 1, acquireTimeout: "100 millis" })
      yield* Effect.fork(run(Redis.blpop(["k"], { timeout: "1 minute" })))
      yield* settle
      const late = failure(yield* Effect.exit(run(Redis.brpop(["k"], { timeout: "1 minute" })))) as DeadlineError
      expect(late).toMatchObject({ _tag: "DeadlineError", phase: "acquire", command: "BRPOP" })
      expect(late.message).toMatch(/^The acquire deadline of BRPOP passed after 100 ms/)
      const { host, port } = process
      yield* process.kill
      const pool = yield* Pool.make({
        host,
        port,
        protocol,
        lazy: true,
        acquireTimeout: "100 millis",
        reconnect: quickly
      })
      const overPool = Effect.provide(Redis.get("k"), Redis.layerFromPool).pipe(Effect.provideService(Pool.Pool, pool))
      expect(failure(yield* Effect.exit(overPool))).toMatchObject({ _tag: "DeadlineError", command: "GET" })
    })
  )

  it.scoped("the caller's span shows where it stood, and no frame of this library does", () =>
    Effect.gen(function* () {
      const { process, run } = yield* own()
      const loadUser = Effect.fn("loadUser")(function* (id: string) {
        return yield* Redis.hgetall(id)
      })
      yield* run(Redis.set("user", "x"))
      const refused = yield* Effect.exit(run(loadUser("user")))
      yield* process.pause
      const lost = yield* Effect.fork(Effect.exit(run(Effect.withSpan(Redis.incr("n"), "countVisit"))))
      const transaction = yield* Effect.fork(
        Effect.exit(run(Effect.withSpan(Redis.transaction([Redis.incr("n")]), "countVisit")))
      )
      const pipeline = yield* Effect.fork(
        Effect.exit(run(Effect.withSpan(Redis.pipeline([Redis.incr("n")]), "countVisit")))
      )
      yield* settle
      yield* process.kill
      const seen: ReadonlyArray<readonly [Exit.Exit<unknown, unknown>, span: string]> = [
        [refused, "loadUser"],
        [yield* Fiber.join(lost), "countVisit"],
        [yield* Fiber.join(transaction), "countVisit"],
        [yield* Fiber.join(pipeline), "countVisit"]
      ]
      for (const [exit, span] of seen) {
        const pretty = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""
        expect(pretty).toMatch(new RegExp(`at ${span} \\(.*error-texts\\.test\\.ts:`))
        expect(pretty).not.toMatch(/src\/internal\//)
      }
    })
  )

  it.scoped("a user whose name is a word of the server's sentence: the sentence is whole", () =>
    Effect.gen(function* () {
      const { process } = yield* own()
      const { host, port } = process
      const exit = yield* Effect.exit(
        Effect.scoped(Redis.make({ host, port, protocol, username: "user", password: Redacted.make("pair") }))
      )
      const error = failure(exit) as ConnectionError
      expect((error.cause as ReplyError).message).toMatch(
        /^(?:HELLO|AUTH): WRONGPASS invalid username-password pair or user is disabled\.$/
      )
    })
  )

  it.scoped("a server's fixed sentences are shown whole, whatever the arguments are", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      yield* run(Redis.set("a", "is"))
      for (const words of [
        ["LPUSH", "a", "kind"],
        ["INCRBY", "a", "or"],
        ["INCRBY", "a", "1"],
        ["SETBIT", "or", "an", "1"],
        ["SETRANGE", "is", "-1", "out"],
        ["SET", "a", "1", "or"],
        ["RESTORE", "or", "0", "are"],
        ["ZADD", "z", "a", "valid"],
        ["XADD", "stream", "0-0", "a", "1"],
        ["SWAPDB", "0", "99999"]
      ] as const) {
        const [name, ...args] = words
        const error = failure(yield* Effect.exit(run(Redis.execute(name, ...args)))) as ReplyError
        expect(error.message).toBe(`${error.command}: ${Redacted.value(error.raw)}`)
      }
    })
  )

  it.scoped("a script that a busy server refuses: the server's sentence", () =>
    Effect.gen(function* () {
      const { process, run } = yield* own({}, { config: { "busy-reply-threshold": "10" } })
      const { host, port } = process
      const other = on(yield* Redis.make({ host, port, protocol }))
      const busy = yield* Effect.fork(Effect.exit(run(Redis.eval("while true do end"))))
      const one = Effect.exit(other(Redis.eval("return 1")))
      let exit = yield* one
      while (Exit.isSuccess(exit)) {
        exit = yield* one
      }
      const error = failure(exit) as ReplyError
      expect(error.message).toMatch(
        /^EVAL: BUSY (?:Redis|Valkey) is busy running a script\. You can only call SCRIPT KILL or SHUTDOWN NOSAVE\.$/
      )
      expect([isRetryable(error), error.transient]).toEqual([true, true])
      yield* other(Redis.scriptKill())
      yield* Fiber.join(busy)
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
