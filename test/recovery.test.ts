/** Errors that say that a command was not executed, repeatable commands, and the status of the client. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { type Connection, Redis, RedisCommand, RedisError, RedisScript } from "effect-redis-client"
import type { RedisOptions, Status } from "../src/Redis.js"
import { connectTo, eachServer, failure, on, quickly, settle } from "./support/client.js"
import * as Peer from "./support/peer.js"
import { makeServer } from "./support/servers.js"

/** Answers the first commands with `refusals`, in turn, and all later ones with `then`. */
const refusing = (refusals: ReadonlyArray<string>, then = "+DONE\r\n"): Peer.Script => {
  let at = 0
  return { onCommand: Peer.greeting(() => (at < refusals.length ? `-${refusals[at++]}\r\n` : then)) }
}

describe("the classes of error codes", () => {
  it("every code has exactly one class", () => {
    const by = (way: string) => (code: string) => expect([code, RedisError.recovery(code)]).toEqual([code, way])
    for (const code of ["LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"]) {
      by("retry")(code)
    }
    by("reconnect")("READONLY")
    for (const code of [
      "ERR",
      "WRONGTYPE",
      "OOM",
      "BUSY",
      "NOAUTH",
      "NOSCRIPT",
      "EXECABORT",
      "MISCONF",
      "__proto__",
      ""
    ]) {
      by("fail")(code)
    }
  })

  for (const code of ["LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"]) {
    it.scoped(`${code}: a write is retried on the same server until it is executed`, () =>
      Effect.gen(function* () {
        const { commands, peer, run } = yield* connectTo(refusing([`${code} not yet`, `${code} not yet`], ":1\r\n"))
        expect(yield* run(Redis.incr("n"))).toBe(1)
        expect(commands()).toEqual(["INCR n", "INCR n", "INCR n"])
        expect(peer.connections.length).toBe(1)
      })
    )
  }

  it.scoped("at the deadline the caller gets the server's error, typed and in time", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo({ onCommand: Peer.greeting(() => "-LOADING for ever\r\n") })
      const exit = yield* Effect.exit(run(RedisCommand.withDeadline(Redis.incr("n"), "350 millis")))
      expect(failure(exit)).toMatchObject({ _tag: "ReplyError", code: "LOADING" })
    })
  )

  it.scoped("OOM, BUSY and all other codes fail the caller without a retry", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(refusing(["OOM no memory", "BUSY a script runs"]))
      expect(failure(yield* Effect.exit(run(Redis.incr("n"))))).toMatchObject({ code: "OOM" })
      expect(failure(yield* Effect.exit(run(Redis.incr("n"))))).toMatchObject({ code: "BUSY" })
      expect(commands()).toEqual(["INCR n", "INCR n"])
    })
  )

  it.scoped("a script that may write is never retried, a readonly one is", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(
        refusing(["TRYAGAIN inside", "TRYAGAIN inside", "TRYAGAIN once"], ":7\r\n")
      )
      for (const command of [Redis.eval("return 1"), Redis.fcall("f")]) {
        expect(failure(yield* Effect.exit(run(command)))).toMatchObject({ code: "TRYAGAIN" })
      }
      expect(yield* run(Redis.evalRo("return 7"))).toBe(7)
      expect(commands().map((line) => line.split(" ")[0])).toEqual(["EVAL", "FCALL", "EVAL_RO", "EVAL_RO"])
    })
  )

  it.scoped("a script that may write is retried after the server's own sentence, and not after words of its own", () =>
    Effect.gen(function* () {
      const loading = "LOADING Redis is loading the dataset in memory"
      const { commands, run } = yield* connectTo(
        refusing(["MASTERDOWN from inside", `${loading} script: 0a1b, on @user_script:1.`, loading], ":7\r\n")
      )
      for (const code of ["MASTERDOWN", "LOADING"]) {
        expect(failure(yield* Effect.exit(run(Redis.eval("return 7"))))).toMatchObject({ code })
      }
      expect(yield* run(Redis.eval("return 7"))).toBe(7)
      expect(commands().length).toBe(4)
    })
  )

  it.scoped("a script that is declared repeatable is retried after any refusal", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(refusing(["LOADING from inside", "TRYAGAIN from inside"], ":7\r\n"))
      const script = RedisScript.make({ source: "return 7", keys: 0 })
      expect(yield* run(RedisCommand.repeatable(script()))).toBe(7)
      expect(commands().map((line) => line.split(" ")[0])).toEqual(["EVALSHA", "EVALSHA", "EVALSHA"])
    })
  )

  it.scoped("a command whose caller was interrupted is not retried", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo({
        onCommand: Peer.greeting((command) => (command[1] === "n" ? "-LOADING for a while\r\n" : ":1\r\n"))
      })
      const alone = yield* Effect.fork(run(Redis.incr("n")))
      const transaction = yield* Effect.fork(run(Redis.pipeline([Redis.incr("n")])))
      yield* Peer.eventually("both were refused", () => commands().length === 2)
      yield* Fiber.interrupt(alone)
      yield* Fiber.interrupt(transaction)
      const sent = commands().length
      // All were refused at the same time: once this one was retried, the others would have been as well.
      const exit = yield* Effect.exit(run(RedisCommand.withDeadline(Redis.decr("n"), "650 millis")))
      expect(failure(exit)).toMatchObject({ code: "LOADING" })
      expect(new Set(commands().slice(sent))).toEqual(new Set(["DECR n"]))
      expect(commands().length).toBeGreaterThan(sent + 2)
    })
  )

  it.scoped("a pipeline is retried only when all its commands were refused", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(refusing(["LOADING", "LOADING", "LOADING"], ":1\r\n"))
      // The first time both are refused; the second time one is refused and one executed, which is the result.
      const answer = yield* run(Redis.pipeline([Redis.incr("a"), Redis.incr("b")], { mode: "either" }))
      expect(answer.map((slot: Either.Either<unknown, unknown>) => Either.isRight(slot))).toEqual([false, true])
      expect(commands()).toEqual(["INCR a", "INCR b", "INCR a", "INCR b"])
    })
  )

  it.scoped("READONLY: the connection is replaced, and the write is retried on the new one", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo({
        onCommand: (command, connection) =>
          Peer.greeting(() =>
            command[0] === "GET" ? "$1\r\nx\r\n" : connection.index === 0 ? "-READONLY a replica\r\n" : ":1\r\n"
          )(command, connection)
      })
      const [n, x] = yield* Effect.all([run(Redis.incr("n")), run(Redis.get("x"))], { concurrency: 2 })
      expect([n, x]).toEqual([1, Option.some("x")])
      expect(peer.connections.length).toBe(2)
      yield* Peer.eventually("the first connection is closed", () => peer.open() === 1)
    })
  )

  for (const [what, effect] of [
    ["a command", Effect.asVoid(Redis.incr("n"))],
    ["a pipeline", Effect.asVoid(Redis.pipeline([Redis.incr("n")]))]
  ] as const) {
    it.scoped(`READONLY: the connection is replaced although the caller of ${what} was interrupted`, () =>
      Effect.gen(function* () {
        const { commands, peer, run } = yield* connectTo({
          onCommand: Peer.greeting((_, connection) => (connection.index === 0 ? undefined : ":1\r\n"))
        })
        const fiber = yield* Effect.fork(run(effect))
        yield* Peer.eventually("it was sent", () => commands().length === 1)
        yield* Fiber.interrupt(fiber)
        peer.connections[0]?.socket.write("-READONLY a replica\r\n")
        yield* Peer.eventually("another connection was made", () => peer.connections.length === 2)
        expect(yield* run(Redis.incr("n"))).toBe(1)
        expect(commands()).toEqual(["INCR n", "INCR n"])
      })
    )
  }

  for (const [what, options] of [
    ["there is no time for it", { replyTimeout: "150 millis" }],
    ["maxRetries is 0", { maxRetries: 0 }]
  ] as const) {
    it.scoped(`READONLY: the connection is replaced although the command is not sent again, because ${what}`, () =>
      Effect.gen(function* () {
        const { commands, peer, run } = yield* connectTo(
          {
            onCommand: Peer.greeting((_, { index }) => (index === 0 ? "-READONLY a replica\r\n" : ":1\r\n"))
          },
          options
        )
        expect(failure(yield* Effect.exit(run(Redis.incr("n"))))).toMatchObject({ code: "READONLY" })
        yield* Peer.eventually("another connection was made", () => peer.connections.length === 2)
        expect(commands()).toEqual(["INCR n"])
      })
    )
  }

  it.scoped("READONLY every time: retried at most maxRetries times", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(
        { onCommand: Peer.greeting(() => "-READONLY a replica\r\n") },
        { maxRetries: 2 }
      )
      expect(failure(yield* Effect.exit(run(Redis.incr("n"))))).toMatchObject({ code: "READONLY" })
      expect(commands()).toEqual(["INCR n", "INCR n", "INCR n"])
    })
  )
})

describe("a server that became read-only", () => {
  const demoted: Peer.Script = {
    onCommand: (command, connection) =>
      Peer.greeting(() => {
        const replica = connection.index < 2
        switch (command[0]) {
          case "BLPOP":
            return replica ? "-READONLY a replica\r\n" : "*2\r\n$1\r\nk\r\n$1\r\nv\r\n"
          case "GET":
            return "$1\r\nx\r\n"
          case "MULTI":
            return "+OK\r\n"
          case "EXEC":
            return replica ? "-EXECABORT discarded\r\n" : "*1\r\n:1\r\n"
          default:
            return replica
              ? "-READONLY a replica\r\n"
              : connection.received.some(([word]) => word === "MULTI")
                ? "+QUEUED\r\n"
                : ":1\r\n"
        }
      })(command, connection)
  }

  it.scoped("its connections are replaced when a blocking command is refused", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo(demoted, { maxDedicated: 1 })
      const pop = run(Redis.blpop(["k"], { timeout: "1 second" }))
      expect(yield* pop).toEqual(Option.some(["k", "v"]))
    })
  )

  it.scoped("its connection is replaced when part of a pipeline is refused", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo(demoted)
      const both = run(Redis.pipeline([Redis.get("x"), Redis.incr("n")], { mode: "either" }))
      expect((yield* both).map((slot: Either.Either<unknown, unknown>) => Either.isRight(slot))).toEqual([true, false])
      yield* Peer.eventually("it is replaced", () => peer.connections.length === 2)
    })
  )

  it.scoped("its connection is replaced when a transaction is refused", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo(demoted)
      expect(failure(yield* Effect.exit(run(Redis.transaction([Redis.incr("n")]))))).toMatchObject({
        reason: "discarded"
      })
      yield* Peer.eventually("it is replaced", () => peer.connections.length === 2)
    })
  )

  it.scoped("a late READONLY from a replaced connection does not end its successor", () =>
    Effect.gen(function* () {
      const { peer, run } = yield* connectTo({
        onCommand: (command, connection) =>
          Peer.greeting(() =>
            connection.index > 0 ? ":1\r\n" : command[1] === "a" ? "-READONLY a replica\r\n" : undefined
          )(command, connection)
      })
      const late = yield* Effect.fork(run(Redis.execute("INCR", "a")))
      const later = yield* Effect.fork(run(Redis.execute("INCR", "b")))
      expect(yield* Fiber.join(late)).toBe(1)
      yield* Peer.eventually("there is another", () => peer.connections.length === 2)
      peer.connections[0]?.write("-READONLY a replica\r\n")
      expect(yield* Fiber.join(later)).toBe(1)
      expect(peer.connections.length).toBe(2)
    })
  )
})

describe("RedisCommand.repeatable", () => {
  /** Resets the first connection after reading the command. */
  const cut: Peer.Script = {
    onCommand: (command, connection) =>
      Peer.greeting(() => {
        if (connection.index === 0) {
          connection.reset()
          return undefined
        }
        return command[0] === "EXEC" ? "*1\r\n:2\r\n" : command[0] === "INCR" ? "+QUEUED\r\n" : "+OK\r\n"
      })(command, connection)
  }

  it.scoped("a write with delivery unknown is not retried", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(cut)
      expect(failure(yield* Effect.exit(run(Redis.set("k", "v"))))).toMatchObject({ delivery: "unknown" })
      expect(commands()).toEqual(["SET k v"])
    })
  )

  it.scoped("a write that is declared repeatable is retried", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(cut)
      yield* run(RedisCommand.repeatable(Redis.set("k", "v")))
      expect(commands()).toEqual(["SET k v", "SET k v"])
    })
  )

  describe("a pipeline that is cut in the middle", () => {
    /** Answers GET, and ends the first connection at the first other command. */
    const cutAfterReads: Peer.Script = {
      onCommand: (command, connection) =>
        Peer.greeting(() => {
          if (command[0] === "GET") {
            return `$1\r\n${connection.index}\r\n`
          }
          if (connection.index === 0) {
            connection.end()
            return undefined
          }
          return ":5\r\n"
        })(command, connection)
    }
    const hset = (key: string) => RedisCommand.repeatable(Redis.hset(key, { f: "v" }))

    it.scoped("sends the commands without a reply again, and all results keep their places", () =>
      Effect.gen(function* () {
        const { commands, peer, run } = yield* connectTo(cutAfterReads)
        const answer = yield* run(
          Redis.pipeline({ a: Redis.get("a"), b: hset("b"), c: Redis.get("c"), d: hset("d"), e: Redis.strlen("e") })
        )
        expect(answer).toEqual({ a: Option.some("0"), b: 5, c: Option.some("1"), d: 5, e: 5 })
        expect(commands().slice(-4)).toEqual(["HSET b f v", "GET c", "HSET d f v", "STRLEN e"])
        expect(peer.connections.length).toBe(2)
      })
    )

    it.scoped("may be cut again, at most maxRetries times", () =>
      Effect.gen(function* () {
        // Each connection answers one command and ends at the second.
        const { commands, run } = yield* connectTo(
          {
            onCommand: (command, connection) =>
              Peer.greeting(() => {
                if (Peer.sent(connection).length > 1) {
                  connection.end()
                  return undefined
                }
                return `$1\r\n${command[1]}\r\n`
              })(command, connection)
          },
          { maxRetries: 2 }
        )
        const reads = ["a", "b", "c", "d"].map((key) => Redis.get(key))
        const error = failure(yield* Effect.exit(run(Redis.pipeline(reads)))) as RedisError.PipelineError
        expect(error).toMatchObject({ at: 3, error: { _tag: "ConnectionError", delivery: "unknown" } })
        expect(commands().filter((line) => line === "GET a")).toEqual(["GET a"])
        expect(commands().filter((line) => line === "GET c").length).toBeGreaterThanOrEqual(1)
        const three = yield* connectTo(
          {
            onCommand: (command, connection) =>
              Peer.greeting(() => {
                if (Peer.sent(connection).length > 1) {
                  connection.end()
                  return undefined
                }
                return `$1\r\n${command[1]}\r\n`
              })(command, connection)
          },
          { maxRetries: 3 }
        )
        expect(yield* three.run(Redis.pipeline(reads))).toEqual(["a", "b", "c", "d"].map(Option.some))
      })
    )

    it.scoped("fails when one of the commands without a reply may not run twice", () =>
      Effect.gen(function* () {
        const { commands, run } = yield* connectTo(cutAfterReads)
        const answer = yield* run(Redis.pipeline([Redis.get("a"), hset("b"), Redis.incr("c")], { mode: "either" }))
        expect(answer.map((slot: Either.Either<unknown, unknown>) => Either.isRight(slot))).toEqual([
          true,
          false,
          false
        ])
        expect(answer[2]).toMatchObject({ left: { _tag: "ConnectionError", delivery: "unknown", command: "INCR" } })
        expect(commands().filter((line) => line.startsWith("INCR")).length).toBeLessThanOrEqual(1)
      })
    )

    it.scoped("is sent again although the command that was answered may not run twice", () =>
      Effect.gen(function* () {
        const { commands, run } = yield* connectTo({
          onCommand: (command, connection) =>
            Peer.greeting(() => {
              if (command[0] === "INCR" || connection.index > 0) {
                return ":1\r\n"
              }
              connection.end()
              return undefined
            })(command, connection)
        })
        expect(yield* run(Redis.pipeline([Redis.incr("n"), hset("a"), hset("b")]))).toEqual([1, 1, 1])
        expect(commands().filter((line) => line.startsWith("INCR"))).toEqual(["INCR n"])
      })
    )
  })

  it.scoped("a transaction is retried if its commands are declared repeatable", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo(cut)
      const once = yield* Effect.exit(run(Redis.transaction([Redis.incr("n")])))
      expect(failure(once)).toMatchObject({ delivery: "unknown" })
      const other = yield* connectTo(cut)
      expect(yield* other.run(Redis.transaction([RedisCommand.repeatable(Redis.incr("n"))]))).toEqual([2])
    })
  )

  it.scoped("commands that only report are repeatable by default: health checks survive a cut", () =>
    Effect.gen(function* () {
      for (const command of [Redis.ping(), Redis.time(), Redis.info(), Redis.execute("CLIENT", "ID")]) {
        expect([command.name, command.traits.repeatable]).toEqual([command.name, true])
      }
      const { commands, run } = yield* connectTo(cut)
      expect(yield* run(Redis.execute("PING"))).toBe("OK")
      expect(commands()).toEqual(["PING", "PING"])
    })
  )

  it("is part of a command's equality", () => {
    const set = Redis.set("k", "v")
    expect(RedisCommand.repeatable(set)).toEqual(RedisCommand.repeatable(set))
    expect(RedisCommand.repeatable(set).traits.repeatable).toBe(true)
    expect(set.traits.repeatable).toBe(false)
  })
})

describe("Redis.status", () => {
  const tags = (seen: ReadonlyArray<Status>) => seen.map(({ _tag }) => _tag)

  it.scoped("reports each connection, with the attempt and the cause", () =>
    Effect.gen(function* () {
      let away = false
      const { peer, redis } = yield* connectTo({
        onConnect: (connection) => (away ? connection.reset() : undefined),
        onCommand: Peer.greeting()
      })
      const seen: Array<Status> = []
      yield* Effect.fork(Stream.runForEach(redis.status.changes, (status) => Effect.sync(() => seen.push(status))))
      yield* Peer.eventually("it is ready", () => seen.length === 1)
      away = true
      peer.connections[0]?.reset()
      yield* Peer.eventually("it has tried thrice", () =>
        seen.some((status) => status._tag === "Reconnecting" && status.attempt >= 3)
      )
      away = false
      yield* Peer.eventually("it is ready again", () => seen.at(-1)?._tag === "Ready")
      expect(tags(seen).slice(0, 2)).toEqual(["Ready", "Reconnecting"])
      expect(seen[1]).toMatchObject({ attempt: 1, cause: { _tag: "ConnectionError" } })
      // Each attempt is reported once.
      const attempts = seen.flatMap((status) => (status._tag === "Reconnecting" ? [status.attempt] : []))
      expect(attempts).toEqual(attempts.map((_, i) => i + 1))
      expect(yield* redis.status.get).toEqual({ _tag: "Ready" })
    })
  )

  it.scoped("ends with Closed", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting() })
      const options: RedisOptions = { host: "127.0.0.1", port: peer.port }
      const fiber = yield* Effect.scoped(
        Effect.gen(function* () {
          const redis = yield* Redis.make(options)
          const fiber = yield* Effect.forkDaemon(on(redis)(Stream.runCollect(Redis.status)))
          yield* Effect.repeatN(Effect.yieldNow(), 20)
          return fiber
        })
      )
      expect(tags([...(yield* Fiber.join(fiber))])).toEqual(["Ready", "Closed"])
    })
  )

  it.scoped("a client that connects with its first command begins with Connecting", () =>
    Effect.gen(function* () {
      const redis = yield* Redis.make({ host: "127.0.0.1", port: 1, lazy: true, connectTimeout: "2 seconds" })
      expect((yield* redis.status.get)._tag).toMatch(/Connecting|Reconnecting/)
    })
  )
})

describe("a deadline names what the command waited for", () => {
  it.scoped("the connection, and why there was none", () =>
    Effect.gen(function* () {
      const redis = yield* Redis.make({ host: "127.0.0.1", port: 1, lazy: true, replyTimeout: "300 millis" })
      const error = failure(yield* Effect.exit(on(redis)(Redis.get("k"))))
      expect(error).toMatchObject({ _tag: "DeadlineError", phase: "queue", delivery: "unsent" })
      expect(error.message).toMatch(/there was no connection: .*ECONNREFUSED/)
    })
  )
})

describe("stopReconnecting", () => {
  it.scoped("ends the attempts for good: later commands fail with the reason", () =>
    Effect.gen(function* () {
      let rotated = false
      const { peer, redis, run } = yield* connectTo(
        {
          onCommand: (command, connection) =>
            rotated && command[0] === "HELLO"
              ? "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
              : Peer.greeting()(command, connection)
        },
        {
          password: Redacted.make("old"),
          stopReconnecting: (error) => error._tag === "ConnectionError" && error.reason === "authentication",
          replyTimeout: Duration.infinity
        }
      )
      rotated = true
      peer.connections[0]?.reset()
      yield* Peer.eventually("it gave up", () => {
        const status = Effect.runSync(redis.status.get)
        return status._tag === "Closed"
      })
      expect(failure(yield* Effect.exit(run(Redis.ping())))).toMatchObject({ reason: "authentication" })
    })
  )
})

eachServer((it, { protocol, server }) => {
  it.scoped("the status names the next attempt and its time; new credentials do not wait for it", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server, { acl: ["ada on >a >b ~* &* +@all"] })
      const { host, port } = redisServer
      const given = yield* Queue.unbounded<Connection.Credentials>()
      yield* Queue.offer(given, { username: "ada", password: Redacted.make("a") })
      const redis = yield* Redis.make({
        host,
        port,
        protocol,
        credentials: Stream.fromQueue(given),
        // Two short delays, and then a long one.
        reconnect: Schedule.union(
          Schedule.intersect(Schedule.spaced("5 millis"), Schedule.recurs(2)),
          Schedule.spaced("1 hour")
        )
      })
      const seen: Array<Extract<Status, { readonly _tag: "Reconnecting" }>> = []
      yield* Effect.fork(
        Stream.runForEach(redis.status.changes, (status) =>
          Effect.sync(() => (status._tag === "Reconnecting" ? seen.push(status) : undefined))
        )
      )
      const before = Date.now()
      yield* redisServer.kill
      yield* Peer.eventually("the pause is long", () => (seen.at(-1)?.next?.epochMillis ?? 0) > before + 60_000)
      const after = Date.now()
      const last = yield* redis.status.get
      expect(last).toMatchObject({ _tag: "Reconnecting", attempt: 3, cause: { _tag: "ConnectionError" } })
      const hour = 3_600_000
      expect(seen.at(-1)?.next?.epochMillis).toBeGreaterThanOrEqual(before + hour)
      expect(seen.at(-1)?.next?.epochMillis).toBeLessThanOrEqual(after + hour)
      // One status for each attempt, at the start of its delay.
      expect(seen.map(({ attempt, next }) => [attempt, next === undefined])).toEqual([
        [1, false],
        [2, false],
        [3, false]
      ])
      yield* redisServer.start
      yield* Queue.offer(given, { username: "ada", password: Redacted.make("b") })
      yield* Peer.eventually("it is ready", () => Effect.runSync(redis.status.get)._tag !== "Reconnecting")
      expect(seen.slice(3).map(({ attempt, next }) => [attempt, next])).toEqual([[3, undefined]])
    })
  )

  it.scoped("commands wait for a server that is loading its data, and none is executed twice", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server, {
        // Loading takes long enough to be observed.
        config: { "key-load-delay": "1500", "loading-process-events-interval-bytes": "1024" }
      })
      const { host, port } = redisServer
      const redis = yield* Redis.make({ host, port, protocol, reconnect: quickly, replyTimeout: "30 seconds" })
      const run = on(redis)
      yield* run(Redis.pipeline(Array.from({ length: 1_000 }, (_, i) => Redis.set(`key:${i}`, "x".repeat(100)))))
      yield* run(Redis.execute("SAVE"))
      yield* redisServer.kill
      const waiting = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 50 }), () => run(Redis.incr("n")), { concurrency: "unbounded" })
      )
      yield* redisServer.start
      // The server accepted the connection and answered LOADING until it had its data.
      expect(yield* Fiber.join(waiting)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1))
    })
  )

  it.scoped("scripts and functions wait for a server that is loading its data, as other commands do", () =>
    Effect.gen(function* () {
      const redisServer = yield* makeServer(server, {
        config: { "key-load-delay": "1500", "loading-process-events-interval-bytes": "1024" }
      })
      const { host, port } = redisServer
      const redis = yield* Redis.make({ host, port, protocol, reconnect: quickly, replyTimeout: "30 seconds" })
      const run = on(redis)
      const count = RedisScript.make({ source: "return redis.call('INCR', KEYS[1])", keys: 1 })
      yield* run(
        Redis.functionLoad(
          "#!lua name=counters\nredis.register_function('count', function(keys) return redis.call('INCR', keys[1]) end)"
        )
      )
      yield* run(Redis.pipeline(Array.from({ length: 1_000 }, (_, i) => Redis.set(`key:${i}`, "x".repeat(100)))))
      yield* run(Redis.execute("SAVE"))
      yield* redisServer.kill
      const waiting = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 10 }, () => [
            run(count("script")),
            run(RedisCommand.repeatable(count("repeatable"))),
            run(Redis.eval("return redis.call('INCR', KEYS[1])", { keys: ["eval"] })),
            run(Redis.fcall("count", { keys: ["function"] })),
            run(Redis.pipeline([count("pipeline"), Redis.fcall("count", { keys: ["pipeline"] })]))
          ]).flat(),
          { concurrency: "unbounded" }
        )
      )
      yield* redisServer.start
      yield* Fiber.join(waiting)
      // Each was executed once.
      expect(yield* run(Redis.mget(["script", "repeatable", "eval", "function", "pipeline"]))).toEqual(
        ["10", "10", "10", "10", "20"].map(Option.some)
      )
    })
  )

  it.scoped("a script waits for a replica that serves no stale data", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server, { config: { "replica-serve-stale-data": "no" } })
      const run = on(yield* Redis.make({ host, port, protocol, replyTimeout: "30 seconds" }))
      yield* run(Redis.execute("REPLICAOF", "127.0.0.1", "1"))
      const script = yield* Effect.fork(run(Redis.eval("return redis.call('GET', 'k') or 'nothing'")))
      yield* settle
      yield* run(Redis.execute("REPLICAOF", "NO", "ONE"))
      expect(yield* Fiber.join(script)).toBe("nothing")
    })
  )

  it.scoped("a function that writes waits until its replica becomes a master", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      const run = on(yield* Redis.make({ host, port, protocol, maxRetries: 1_000, replyTimeout: "30 seconds" }))
      yield* run(
        Redis.functionLoad("#!lua name=l\nredis.register_function('f', function() return redis.call('INCR', 'n') end)")
      )
      yield* run(Redis.execute("REPLICAOF", "127.0.0.1", "1"))
      const write = yield* Effect.fork(run(Redis.fcall("f")))
      yield* settle
      yield* run(Redis.execute("REPLICAOF", "NO", "ONE"))
      expect(yield* Fiber.join(write)).toBe(1)
    })
  )

  it.scoped("a blocked command goes on waiting when its server becomes a replica, and a master again", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      const options = { host, port, protocol, maxRetries: 1_000, replyTimeout: "30 seconds" } as const
      const run = on(yield* Redis.make(options))
      const other = on(yield* Redis.make(options))
      const pop = yield* Effect.fork(run(Redis.blpop(["list"], { timeout: "20 seconds" })))
      // It blocks.
      yield* Effect.repeat(other(Redis.execute("INFO", "clients")), {
        until: (text) => /blocked_clients:1/.test(String(text))
      })
      yield* run(Redis.execute("REPLICAOF", "127.0.0.1", "1"))
      yield* settle
      yield* run(Redis.execute("REPLICAOF", "NO", "ONE"))
      yield* other(Redis.rpush("list", "element"))
      expect(yield* Fiber.join(pop)).toEqual(Option.some(["list", "element"]))
    })
  )

  it.scoped("a read of what comes next is not begun again when its server becomes a replica", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server)
      const options = { host, port, protocol, maxRetries: 1_000, replyTimeout: "30 seconds" } as const
      const run = on(yield* Redis.make(options))
      const other = on(yield* Redis.make(options))
      const read = yield* Effect.fork(
        Effect.exit(run(Redis.execute("XREAD", "BLOCK", 20_000, "STREAMS", RedisCommand.key("stream"), "$")))
      )
      // It blocks.
      yield* Effect.repeat(other(Redis.execute("INFO", "clients")), {
        until: (text) => /blocked_clients:1/.test(String(text))
      })
      yield* run(Redis.execute("REPLICAOF", "127.0.0.1", "1"))
      expect(failure(yield* Fiber.join(read))).toMatchObject({ _tag: "ReplyError", code: "UNBLOCKED" })
    })
  )

  it.scoped("a write to a replica waits until it becomes a master", () =>
    Effect.gen(function* () {
      const master = yield* makeServer(server)
      const { host, port } = master
      const run = on(yield* Redis.make({ host, port, protocol, maxRetries: 1_000, replyTimeout: "30 seconds" }))
      yield* run(Redis.set("k", "v"))
      yield* run(Redis.execute("REPLICAOF", "127.0.0.1", "1"))
      const write = yield* Effect.fork(run(Redis.incr("n")))
      yield* run(Redis.execute("REPLICAOF", "NO", "ONE"))
      expect(yield* Fiber.join(write)).toBe(1)
    })
  )
})
