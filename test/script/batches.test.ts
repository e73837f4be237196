/** Scripts in pipelines and transactions: sent by SHA1 if the connection's server is known to hold them, else as source. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Redis, RedisCommand, RedisScript } from "effect-redis-client"
import { connectTo, eachServer, failure, on } from "../support/client.js"
import * as Peer from "../support/peer.js"

const source = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
const countUp = RedisScript.make({ source, keys: 1, args: [Schema.Int], result: Schema.Int })
const noScript = "-NOSCRIPT No matching script. Please use EVAL.\r\n"

describe("a script in a batch", () => {
  /** Holds the scripts that it was sent until SCRIPT FLUSH. */
  const server = () => {
    const held = new Set<string>()
    let queued: Array<string> | undefined
    const script: Peer.Script = {
      onCommand: (command, connection) =>
        Peer.greeting(() => {
          const answer = (() => {
            switch (command[0]) {
              case "EVAL":
                held.add(countUp.sha1)
                return ":1\r\n"
              case "EVALSHA":
                return held.has(command[1] as string) ? ":2\r\n" : noScript
              case "SCRIPT":
                held.clear()
                return "+OK\r\n"
              default:
                return "+OK\r\n"
            }
          })()
          if (command[0] === "MULTI") {
            queued = []
            return "+OK\r\n"
          }
          if (command[0] === "EXEC") {
            const all = queued ?? []
            queued = undefined
            return `*${all.length}\r\n${all.join("")}`
          }
          if (queued !== undefined) {
            queued.push(answer)
            return "+QUEUED\r\n"
          }
          return answer
        })(command, connection)
    }
    return { held, script }
  }
  const names = (lines: ReadonlyArray<string>) => lines.map((line) => line.split(" ").slice(0, 1).join(" "))

  it.scoped(
    "is sent as its source first and as its SHA1 later in pipelines, and always as its source in transactions",
    () =>
      Effect.gen(function* () {
        const { commands, run } = yield* connectTo(server().script)
        expect(yield* run(Redis.pipeline([countUp("n", 1), countUp("n", 1)]))).toEqual([1, 1])
        expect(yield* run(Redis.pipeline([countUp("n", 1), Redis.ping()]))).toEqual([2, "OK"])
        expect(yield* run(Redis.transaction([countUp("n", 1)]))).toEqual([1])
        expect(names(commands())).toEqual(["EVAL", "EVAL", "EVALSHA", "PING", "MULTI", "EVAL", "EXEC"])
        expect(commands()[2]).toBe(`EVALSHA ${countUp.sha1} 1 n 1`)
      })
  )

  it.scoped("is sent as its SHA1 after it ran outside a batch", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(server().script)
      yield* run(countUp("n", 1))
      yield* run(Redis.pipeline([countUp("n", 1)]))
      expect(names(commands())).toEqual(["EVALSHA", "EVAL", "EVALSHA"])
    })
  )

  it.scoped("is sent as its source after SCRIPT FLUSH, even while replies are in flight", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(server().script)
      yield* run(Redis.pipeline([countUp("n", 1)]))
      // All in one turn: the first reply is from before the flush, although it arrives after FLUSH was sent.
      yield* Effect.all(
        [run(Redis.pipeline([countUp("n", 1)])), run(Redis.scriptFlush()), run(Redis.pipeline([countUp("n", 1)]))],
        { concurrency: "unbounded" }
      )
      yield* run(Redis.pipeline([countUp("n", 1)]))
      expect(names(commands())).toEqual(["EVAL", "EVALSHA", "SCRIPT", "EVAL", "EVALSHA"])
    })
  )

  it.scoped(
    "after another client's SCRIPT FLUSH its slot fails with NOSCRIPT, without a retry; the next batch sends the source",
    () =>
      Effect.gen(function* () {
        const { held, script } = server()
        const { commands, run } = yield* connectTo(script)
        yield* run(Redis.pipeline([countUp("n", 1)]))
        held.clear()
        const [first, second] = yield* run(Redis.pipeline([countUp("n", 1), Redis.ping()], { mode: "either" }))
        expect(Either.getOrThrow(Either.flip(first))).toMatchObject({ _tag: "ReplyError", code: "NOSCRIPT" })
        expect(second).toEqual(Either.right("OK"))
        expect(yield* run(Redis.pipeline([countUp("n", 1)]))).toEqual([1])
        expect(names(commands())).toEqual(["EVAL", "EVALSHA", "PING", "EVAL"])
      })
  )

  it.scoped("is sent as its source on a new connection", () =>
    Effect.gen(function* () {
      const { commands, peer, run } = yield* connectTo(server().script)
      yield* run(Redis.pipeline([countUp("n", 1)]))
      peer.connections[0]?.reset()
      yield* Peer.eventually("there is another", () => (peer.connections[1]?.received.length ?? 0) > 0)
      yield* run(Redis.pipeline([countUp("n", 1)]))
      expect(names(commands())).toEqual(["EVAL", "EVAL"])
    })
  )
})

eachServer((it, { connect, protocol }) => {
  it.scoped("sends the source once, then the SHA1, and fails with NOSCRIPT when another client flushed", () =>
    Effect.gen(function* () {
      const run = on(yield* connect())
      const other = on(yield* connect())
      const key = `scripts:${protocol}`
      yield* other(Redis.scriptFlush())
      const calls = Effect.map(run(Redis.execute("INFO", "commandstats")), (info) =>
        ["eval", "evalsha"].map((name) =>
          Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(String(info))?.[1] ?? 0)
        )
      )
      yield* other(Redis.execute("CONFIG", "RESETSTAT"))
      expect(yield* run(Redis.pipeline([countUp(key, 1), countUp(key, 1)]))).toEqual([1, 2])
      expect(yield* run(Redis.pipeline([countUp(key, 1), countUp(key, 1)]))).toEqual([3, 4])
      expect(yield* run(Redis.transaction({ a: countUp(key, 1), b: Redis.get(key) }))).toEqual({
        a: 5,
        b: Option.some("5")
      })
      expect(yield* calls).toEqual([3, 2])
      yield* other(Redis.scriptFlush())
      const exit = yield* Effect.exit(run(Redis.pipeline([countUp(key, 1)])))
      expect(Exit.isFailure(exit) && failure(exit)).toMatchObject({ at: 0, error: { code: "NOSCRIPT" } })
      expect(yield* run(Redis.pipeline([countUp(key, 1)]))).toEqual([6])
    })
  )

  it.scoped("scripts that the server evicted (it keeps 500) are sent again with their source", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      const script = (n: number) =>
        RedisScript.make({ source: `return ${n} + ${protocol} * 100000`, keys: 0, args: [] })()
      const all = Array.from({ length: 700 }, (_, n) => script(n))
      yield* run(Redis.pipeline(all))
      const again = yield* run(Redis.pipeline(all.slice(0, 100)))
      expect(again[7]).toBe(7 + protocol * 100_000)
    })
  )

  it.scoped(
    "a transaction is executed whole although the server lost its script: flushed, or evicted by 600 others",
    () =>
      Effect.gen(function* () {
        const run = on(yield* connect())
        const other = on(yield* connect())
        const key = `whole:${protocol}`
        const losses = [
          other(Redis.scriptFlush()),
          other(
            Redis.pipeline(
              Array.from({ length: 600 }, (_, n) =>
                Redis.eval(`return ${n} + ${protocol} * 1000`, { keys: [], args: [] })
              )
            )
          )
        ]
        for (const loss of losses) {
          yield* run(Redis.del(key))
          yield* run(countUp(key, 1))
          yield* loss
          expect(yield* run(Redis.transaction([Redis.incr(key), countUp(key, 1), Redis.incr(key)]))).toEqual([2, 3, 4])
        }
      })
  )

  it.scoped("so is a MULTI that the program sends by itself, with the script alone or in a pipeline", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(yield* redis.lease)
      const other = on(yield* connect())
      const key = `by-hand:${protocol}`
      const raw = RedisScript.make({ source, keys: 1, args: [Schema.Int] })
      yield* run(Redis.pipeline([raw(key, 1)]))
      yield* run(Redis.execute("MULTI"))
      expect(yield* run(raw(key, 1))).toBe("QUEUED")
      expect(yield* run(Redis.pipeline([raw(key, 1)]))).toEqual(["QUEUED"])
      yield* other(Redis.scriptFlush())
      expect(yield* run(Redis.execute("EXEC"))).toEqual([2, 3])
      // A script that was only queued is not known to be held.
      const discarded = RedisScript.make({ source: `${source} -- ${protocol}`, keys: 1, args: [Schema.Int] })
      yield* run(Redis.execute("MULTI"))
      yield* run(Redis.pipeline([discarded(key, 1)]))
      yield* run(Redis.execute("DISCARD"))
      expect(yield* run(Redis.pipeline([discarded(key, 1)]))).toEqual([4])
    })
  )

  it.scoped("a repeatable script is sent again after a lost connection, by its SHA1 too", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      const sleepy = RedisScript.make({ source: "return redis.call('SET', KEYS[1], 'x')", keys: 1, args: [] })
      yield* run(sleepy(`warm:${protocol}`))
      yield* run(Redis.execute("CLIENT", "PAUSE", "300", "WRITE"))
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        Effect.zipRight(Deferred.succeed(started, undefined), run(RedisCommand.repeatable(sleepy(`k:${protocol}`))))
      )
      yield* Deferred.await(started)
      const other = yield* connect()
      yield* on(other)(Redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
      expect(yield* Fiber.join(fiber)).toBe("OK")
    })
  )
})
