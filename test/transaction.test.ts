/** MULTI … EXEC as one unit: its results, its failures, and its isolation from other commands. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Codec, Connection, Redis, RedisCommand } from "effect-redis-client"
import type { RedisError } from "../src/RedisError.js"
import { ConnectionError, TransactionError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on, quickly, settle } from "./support/client.js"
import { describeReal } from "./support/describeReal.js"
import { interruptAndWait } from "./support/effect.js"
import * as Peer from "./support/peer.js"
import { makeServer } from "./support/servers.js"

const users = ["nomulti on >pw ~* &* +@all -multi", "noexec on >pw ~* &* +@all -exec", "noset on >pw ~* &* +@all -set"]
const bytes = Redis.withCodec(Codec.bytes)

const left = (either: Either.Either<unknown, RedisError>): RedisError => Either.getOrThrow(Either.flip(either))

const flush = RedisCommand.make("FLUSHALL", { args: ["SYNC"] })

eachServer(
  (it, { connect, protocol }) => {
    /** Connects a client, and empties the server. */
    const start = (...args: Parameters<typeof connect>) =>
      Effect.gen(function* () {
        const redis = yield* connect(...args)
        yield* redis.send(flush)
        return on(redis)
      })
    const as = (username: string) => connect({ username, password: Redacted.make("pw") })

    it.scoped("answers in the shape it was given, with every value", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const tuple = yield* run(Redis.transaction([Redis.set("a", "1"), Redis.incr("a"), Redis.get("a")]))
        expect(tuple).toEqual([undefined, 2, Option.some("2")])
        const record = yield* run(
          Redis.transaction({
            missing: Redis.get("nope"),
            members: Redis.sadd("s", ["x", "y"]),
            all: Redis.smembers("s")
          })
        )
        expect(record).toMatchObject({ missing: Option.none(), members: 2 })
        expect([...record.all].sort()).toEqual(["x", "y"])
      })
    )

    it.scoped("is isolated: another client sees all of it or none", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const other = on(yield* connect())
        // More than a server reads at once, so that a plain pipeline would be seen half executed.
        const filler = Array.from({ length: 40 }, (_, i) => Redis.set(`filler:${i}`, "x".repeat(5_000)))
        let seen = 0
        const torn: Array<unknown> = []
        let done = false
        const look: Effect.Effect<void, RedisError> = Effect.suspend(() =>
          Effect.flatMap(other(Redis.mget(["first", "last"])), ([first, last]) => {
            seen++
            if (Option.getOrNull(first) !== Option.getOrNull(last)) {
              torn.push([first, last])
            }
            return done ? Effect.void : look
          })
        )
        const looking = yield* Effect.fork(look)
        // Other fibers write over the same connection meanwhile.
        let rounds = 0
        const round = Effect.suspend(() => {
          rounds++
          return Effect.all(
            [
              run(Redis.transaction([Redis.incr("first"), ...filler, Redis.incr("last")])),
              run(Redis.incr("first:not")),
              run(Redis.pipeline([Redis.incr("last:not"), Redis.incr("first:not")]))
            ],
            { concurrency: "unbounded" }
          )
        })
        while (rounds < 20 || seen < 10) {
          yield* Effect.all([round, round, round, round], { concurrency: "unbounded" })
        }
        done = true
        yield* Fiber.join(looking)
        expect(torn).toEqual([])
        expect(yield* run(Redis.mget(["first", "last", "first:not", "last:not"]))).toEqual(
          [rounds, rounds, 2 * rounds, rounds].map((n) => Option.some(String(n)))
        )
      })
    )

    it.scoped("commands of other fibers on the same connection get their own replies", () =>
      Effect.gen(function* () {
        const run = yield* start()
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => i),
          (i) =>
            i % 3 === 0
              ? Effect.map(
                  run(Redis.transaction([Redis.set(`k${i}`, `v${i}`), Redis.get(`k${i}`), Redis.append(`k${i}`, "!")])),
                  (results) => expect(results).toEqual([undefined, Option.some(`v${i}`), `v${i}!`.length])
                )
              : Effect.map(run(Redis.echo(`e${i}`)), (echo) => expect(echo).toBe(`e${i}`)),
          { concurrency: "unbounded" }
        )
      })
    )

    it.scoped("a command refused while queueing: reason discarded, the error in its slot, nothing executed", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const error = failure(
          yield* Effect.exit(
            run(
              Redis.transaction({
                before: Redis.set("before", "1"),
                arity: Redis.execute("GET"),
                unknown: Redis.execute("NOSUCHCOMMAND", "secret"),
                after: Redis.incr("after")
              })
            )
          )
        ) as TransactionError<Record<string, Either.Either<unknown, RedisError>>>
        expect(error).toMatchObject({ _tag: "TransactionError", reason: "discarded" })
        const results = error.results as Record<
          "before" | "arity" | "unknown" | "after",
          Either.Either<unknown, RedisError>
        >
        expect(Object.keys(results)).toEqual(["before", "arity", "unknown", "after"])
        expect(left(results.arity)).toMatchObject({ _tag: "ReplyError", code: "ERR", command: "GET" })
        expect(left(results.arity).message).toMatch(/number of arguments/)
        expect(left(results.unknown)).toMatchObject({ _tag: "ReplyError", command: "NOSUCHCOMMAND" })
        expect(left(results.before)).toMatchObject({ _tag: "ReplyError", code: "EXECABORT" })
        expect(left(results.after)).toMatchObject({ _tag: "ReplyError", code: "EXECABORT" })
        expect(JSON.stringify(error)).not.toContain("secret")
        expect(yield* run(Redis.exists(["before", "after"]))).toBe(0)
      })
    )

    it.scoped("the error names the first refused slot, not the first slot", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const error = failure(
          yield* Effect.exit(run(Redis.transaction([Redis.set("a", "1"), Redis.execute("GET"), Redis.get("a")])))
        )
        expect(error).toMatchObject({ reason: "discarded", at: 1, error: { code: "ERR", command: "GET" } })
      })
    )

    it.scoped("MULTI refused: reason refused, the commands ran, and each slot has its result", () =>
      Effect.gen(function* () {
        yield* start()
        const run = on(yield* as("nomulti"))
        const error = failure(
          yield* Effect.exit(
            run(
              Redis.transaction({
                set: Redis.set("ran", "yes"),
                wrong: Redis.lpush("ran", ["x"]),
                counted: Redis.incr("count"),
                data: bytes.get("ran")
              })
            )
          )
        ) as TransactionError<Record<string, Either.Either<unknown, RedisError>>>
        expect(error).toMatchObject({ _tag: "TransactionError", reason: "refused", at: "wrong" })
        const { counted, data, set, wrong } = error.results as Record<
          "counted" | "data" | "set" | "wrong",
          Either.Either<unknown, RedisError>
        >
        expect([set, counted]).toEqual([Either.right(undefined), Either.right(1)])
        expect(data).toEqual(Either.right(Option.some(new TextEncoder().encode("yes"))))
        expect(left(wrong)).toMatchObject({ _tag: "ReplyError", code: "WRONGTYPE", command: "LPUSH" })
        expect(yield* run(Redis.mget(["ran", "count"]))).toEqual([Option.some("yes"), Option.some("1")])
      })
    )

    it.scoped("MULTI refused: a failure even if every command succeeded", () =>
      Effect.gen(function* () {
        yield* start()
        const run = on(yield* as("nomulti"))
        const error = failure(yield* Effect.exit(run(Redis.transaction([Redis.incr("n")])))) as TransactionError
        expect(error).toMatchObject({ reason: "refused", at: undefined, error: undefined })
        expect(error.results).toEqual([Either.right(1)])
      })
    )

    it.scoped("MULTI refused: a SELECT that ran is tracked, and the connection is not lent again", () =>
      Effect.gen(function* () {
        yield* start()
        const redis = yield* as("nomulti")
        const lease = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.scoped(Effect.flatMap(redis.lease, (leased) => on(leased)(effect)))
        yield* lease(Effect.exit(Redis.transaction([Redis.execute("SELECT", 1) as never, Redis.set("where", "db 1")])))
        expect(yield* lease(Redis.get("where"))).toEqual(Option.none())
      })
    )

    it.scoped("EXEC refused: reason discarded, nothing executed, and the connection is out of MULTI", () =>
      Effect.gen(function* () {
        yield* start()
        const run = on(yield* as("noexec"))
        const error = failure(yield* Effect.exit(run(Redis.transaction([Redis.set("a", "1")]))))
        expect(error).toMatchObject({ _tag: "TransactionError", reason: "discarded", at: 0 })
        expect(yield* run(Redis.get("a"))).toEqual(Option.none())
      })
    )

    it.scoped("a command without permission: reason discarded", () =>
      Effect.gen(function* () {
        yield* start()
        const run = on(yield* as("noset"))
        const error = failure(yield* Effect.exit(run(Redis.transaction([Redis.incr("n"), Redis.set("a", "1")]))))
        expect(error).toMatchObject({ reason: "discarded", at: 1, error: { code: "NOPERM", command: "SET" } })
        expect(yield* run(Redis.exists(["n", "a"]))).toBe(0)
      })
    )

    it.scoped("errors inside EXEC fail their slots only; the other commands were executed", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const error = failure(
          yield* Effect.exit(
            run(Redis.transaction([Redis.set("text", "x"), Redis.lpush("text", ["y"]), Redis.incr("n")]))
          )
        ) as TransactionError<ReadonlyArray<Either.Either<unknown, RedisError>>>
        expect(error).toMatchObject({ reason: "failed", at: 1, error: { _tag: "ReplyError", code: "WRONGTYPE" } })
        expect(error.results?.map(Either.isRight)).toEqual([true, false, true])
        expect(yield* run(Redis.get("n"))).toEqual(Option.some("1"))
      })
    )

    it.scoped("returns text and bytes in one transaction", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const blob = new Uint8Array([0xff, 0x00, 0xfe])
        const results = yield* run(
          Redis.transaction({
            blob: bytes.set("blob", blob),
            text: Redis.set("text", "é€😀"),
            asBytes: bytes.get("blob"),
            asText: Redis.get("text"),
            list: Redis.rpush("list", ["ü"]),
            all: Redis.lrange("list", 0, -1),
            number: Redis.incr("n")
          })
        )
        expect(results).toEqual({
          blob: undefined,
          text: undefined,
          asBytes: Option.some(blob),
          asText: Option.some("é€😀"),
          list: 1,
          all: ["ü"],
          number: 1
        })
        // The next reply is read as text again.
        expect(yield* run(Redis.get("text"))).toEqual(Option.some("é€😀"))
      })
    )

    if (protocol === 3) {
      it.scoped("invalidations of CLIENT TRACKING do not shift the results", () =>
        Effect.gen(function* () {
          yield* start()
          const { host, port } = yield* RedisServer.RedisServer
          const connection = yield* Connection.make({ host, port, protocol })
          const run = on(connection.redis)
          const pushes = yield* connection.pushes.pipe(Stream.take(1), Stream.runCollect, Effect.fork)
          yield* connection.execute("CLIENT TRACKING", "ON")
          yield* run(Redis.get("k"))
          expect(
            yield* run(Redis.transaction([Redis.get("k"), Redis.set("k", "1"), Redis.get("k"), Redis.set("k", "2")]))
          ).toEqual([Option.none(), undefined, Option.some("1"), undefined])
          expect(yield* run(Redis.get("k"))).toEqual(Option.some("2"))
          expect(Chunk.toReadonlyArray(yield* Fiber.join(pushes)).map(({ kind }) => kind)).toEqual(["invalidate"])
        })
      )
    }

    it.scoped("interrupted at any moment: executed completely or not at all, and the connection stays usable", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const times = 150
        let interrupted = 0
        yield* Effect.forEach(
          Array.from({ length: times }, (_, i) => i),
          (i) =>
            Effect.gen(function* () {
              const fiber = yield* Effect.fork(
                run(Redis.transaction([Redis.set(`a${i}`, "1"), Redis.get(`a${i}`), Redis.set(`b${i}`, "1")]))
              )
              yield* Effect.repeatN(Effect.yieldNow(), i % 7)
              const exit = yield* interruptAndWait(fiber)
              interrupted += exit._tag === "Failure" ? 1 : 0
            }),
          { concurrency: 10 }
        )
        expect(yield* run(Redis.echo("mine"))).toBe("mine")
        expect(interrupted).toBeGreaterThan(10)
        const values = (name: string) => Redis.mget(Array.from({ length: times }, (_, i) => `${name}${i}`) as [string])
        const [a, b] = yield* run(Redis.pipeline([values("a"), values("b")]))
        expect(a).toEqual(b)
      })
    )

    it.scoped("a SELECT inside changes its own lease only; the next lease is clean", () =>
      Effect.gen(function* () {
        yield* start()
        const redis = yield* connect({ maxDedicated: 1 })
        const lease = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.scoped(Effect.flatMap(redis.lease, (leased) => on(leased)(effect)))
        const first = yield* lease(
          Effect.zipRight(Redis.transaction([Redis.execute("SELECT", 1), Redis.set("where", "db 1")]), Redis.clientId())
        )
        const [where, second] = yield* lease(Effect.all([Redis.get("where"), Redis.clientId()]))
        expect(where).toEqual(Option.none())
        expect(second).not.toBe(first)
      })
    )
  },
  { acl: users }
)

describeReal((server) => {
  it.scoped(
    "a server without EXEC: the connection left inside MULTI is replaced, and later commands are executed",
    () =>
      Effect.gen(function* () {
        const { host, port } = yield* makeServer(server, { config: { "rename-command": 'EXEC ""' } })
        const run = on(yield* Redis.make({ host, port, reconnect: quickly }))
        const before = yield* run(Redis.clientId())
        expect(failure(yield* Effect.exit(run(Redis.transaction([Redis.set("a", "1")]))))).toMatchObject({
          _tag: "ReplyError",
          command: "EXEC"
        })
        expect(yield* run(Redis.get("a"))).toEqual(Option.none())
        expect(yield* run(Redis.clientId())).not.toBe(before)
      })
  )
})

describe("with a scripted peer", () => {
  const queued = (exec: (connection: Peer.PeerConnection) => string | undefined): Peer.Script => ({
    onCommand: Peer.greeting(([name], connection) =>
      name === "EXEC" ? exec(connection) : name === "MULTI" ? "+OK\r\n" : name === "PING" ? "+PONG\r\n" : "+QUEUED\r\n"
    )
  })

  it.scoped("its commands are sent between MULTI and EXEC, whatever else is sent in the same turn", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(queued(() => "*2\r\n:1\r\n:2\r\n"))
      const pair = (id: string) => Redis.transaction([Redis.incr(`${id}1`), Redis.incr(`${id}2`)])
      const fibers = yield* Effect.forEach([pair("a"), Redis.ping(), pair("b"), Redis.ping(), pair("c")], (effect) =>
        Effect.fork(run(effect as Effect.Effect<unknown, unknown, Redis>))
      )
      yield* Effect.forEach(fibers, Fiber.join)
      const unit = (id: string) => ["MULTI", `INCR ${id}1`, `INCR ${id}2`, "EXEC"]
      expect(commands()).toEqual([...unit("a"), "PING", ...unit("b"), "PING", ...unit("c")])
    })
  )

  it.scoped("any other error of EXEC is a ReplyError, with its code", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo(queued(() => "-MOVED 3999 127.0.0.1:6381\r\n"))
      expect(failure(yield* Effect.exit(run(Redis.transaction([Redis.get("a")]))))).toMatchObject({
        _tag: "ReplyError",
        code: "MOVED",
        command: "EXEC"
      })
    })
  )

  for (const [what, exec] of [
    ["nil, RESP2", "*-1\r\n"],
    ["nil, RESP3", "_\r\n"]
  ] as const) {
    it.scoped(`EXEC answers ${what}: a conflict, without results`, () =>
      Effect.gen(function* () {
        const { run } = yield* connectTo(queued(() => exec))
        const error = failure(yield* Effect.exit(run(Redis.transaction([Redis.get("a")])))) as TransactionError
        expect(error).toBeInstanceOf(TransactionError)
        expect(error).toMatchObject({ reason: "conflict", at: undefined, error: undefined })
        expect(error.results).toBeUndefined()
      })
    )
  }

  it.scoped("fewer results than commands are a DecodeError, and the next command gets its own reply", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo(queued(() => "*1\r\n:1\r\n"))
      const error = failure(yield* Effect.exit(run(Redis.transaction([Redis.incr("a"), Redis.incr("b")]))))
      expect(error).toMatchObject({ _tag: "DecodeError", command: "EXEC", reason: "expected 2 results, got 1" })
      expect(yield* run(Redis.ping())).toBe("PONG")
    })
  )

  it.scoped("pushes anywhere among the replies are set aside", () =>
    Effect.gen(function* () {
      const push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
      const { run } = yield* connectTo({
        onCommand: Peer.greeting(([name]) =>
          name === "EXEC"
            ? `${push}*2\r\n${push}:1\r\n${push}*1\r\n${push}$1\r\nx\r\n${push}`
            : `${push}${name === "MULTI" ? "+OK" : name === "PING" ? "+PONG" : "+QUEUED"}\r\n${push}`
        )
      })
      expect(yield* run(Redis.transaction([Redis.incr("n"), Redis.lrange("l", 0, -1)]))).toEqual([1, ["x"]])
      expect(yield* run(Redis.ping())).toBe("PONG")
    })
  )

  for (const [what, cut] of [
    ["before any reply", ""],
    ["after MULTI's reply", "+OK\r\n"],
    ["after all QUEUED replies", "+OK\r\n+QUEUED\r\n+QUEUED\r\n"],
    ["in the middle of EXEC's reply", "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n"]
  ] as const) {
    it.scoped(`a connection lost ${what}: delivery unknown, and never retried`, () =>
      Effect.gen(function* () {
        const { commands, run } = yield* connectTo({
          onCommand: Peer.greeting(([name], connection) => {
            if (name === "EXEC") {
              connection.write(cut)
              connection.end()
            }
            return name === "PING" ? "+PONG\r\n" : undefined
          })
        })
        const exit = yield* Effect.exit(run(Redis.transaction([Redis.get("a"), Redis.get("b")])))
        expect(failure(exit)).toBeInstanceOf(ConnectionError)
        expect(failure(exit)).toMatchObject({ delivery: "unknown" })
        expect(yield* run(Redis.ping())).toBe("PONG")
        expect(commands()).toEqual(["MULTI", "GET a", "GET b", "EXEC", "PING"])
      })
    )
  }

  const forbidden: ReadonlyArray<readonly [name: string, ...args: Array<string>]> = [
    ["MULTI"],
    ["EXEC"],
    ["DISCARD"],
    ["WATCH", "k"],
    ["UNWATCH"],
    ["SUBSCRIBE", "c"],
    ["PSUBSCRIBE", "c*"],
    ["SSUBSCRIBE", "c"],
    ["UNSUBSCRIBE", "c"],
    ["MONITOR"],
    ["HELLO", "3"],
    ["AUTH", "pw"],
    ["RESET"],
    ["QUIT"],
    ["CLIENT REPLY", "OFF"],
    ["CLIENT REPLY", "SKIP"],
    ["CLIENT REPLY", "ON"],
    ["CLIENT TRACKING", "ON"],
    ["CLIENT CACHING", "YES"]
  ]

  it.scoped("commands that are not allowed inside are refused before anything is sent, on a lease too", () =>
    Effect.gen(function* () {
      const { commands, redis, run } = yield* connectTo(queued(() => "*1\r\n:1\r\n"))
      const leased = on(yield* redis.lease)
      for (const [name, ...args] of forbidden) {
        const transaction = Redis.transaction([Redis.set("a", "b"), Redis.execute(name.toLowerCase(), ...args)])
        for (const exit of [yield* Effect.exit(run(transaction)), yield* Effect.exit(leased(transaction))]) {
          expect(failure(exit)).toMatchObject({ _tag: "UsageError", command: name })
        }
      }
      expect(commands()).toEqual([])
    })
  )

  it.scoped("an empty transaction needs no connection", () =>
    Effect.gen(function* () {
      const run = on(yield* Redis.make({ port: 1, lazy: true }))
      expect(yield* run(Redis.transaction([]))).toEqual([])
      expect(yield* run(Redis.transaction({}))).toEqual({})
    })
  )

  it.scoped("interrupted before it is sent: none of it is ever sent", () =>
    Effect.gen(function* () {
      let away = false
      const { commands, peer, run } = yield* connectTo({
        onConnect: (connection) => away && connection.reset(),
        ...queued(() => "*1\r\n:1\r\n")
      })
      away = true
      peer.connections[0]?.reset()
      yield* Peer.eventually("the client tries again", () => peer.connections.length > 1)
      const kept = yield* Effect.fork(run(Redis.transaction([Redis.incr("kept")])))
      const dropped = yield* Effect.fork(run(Redis.transaction([Redis.incr("dropped")])))
      yield* settle
      yield* Fiber.interrupt(dropped)
      away = false
      expect(yield* Fiber.join(kept)).toEqual([1])
      yield* run(Redis.ping())
      expect(commands()).toEqual(["MULTI", "INCR kept", "EXEC", "PING"])
    })
  )

  it.scoped("each command is answered as text or bytes, as it asked for", () =>
    Effect.gen(function* () {
      const { redis } = yield* connectTo({
        onCommand: Peer.greeting(([name]) =>
          name === "MULTI"
            ? "+OK\r\n"
            : name === "EXEC"
              ? "*3\r\n$1\r\na\r\n*1\r\n*2\r\n$1\r\nb\r\n%1\r\n$1\r\nc\r\n$1\r\nd\r\n*1\r\n$1\r\ne\r\n"
              : "+QUEUED\r\n"
        )
      })
      const commands = [
        bytes.get("a"),
        RedisCommand.make("NESTED"),
        RedisCommand.make("LRANGE", { args: ["l", 0, -1], reply: "bytes" })
      ]
      const { exits } = yield* redis.sendAll(commands, { atomic: true })
      expect(exits[0]).toEqual(Exit.succeed(Option.some(Uint8Array.of(97))))
      expect(
        JSON.stringify(
          Exit.match(exits[1] as Exit.Exit<unknown, RedisError>, { onFailure: String, onSuccess: (reply) => reply })
        )
      ).toBe('[["b",{"items":["c","d"]}]]')
      expect(exits[2]).toEqual(Exit.succeed([Uint8Array.of(101)]))
    })
  )

  it.scoped("is refused on a connection that is already inside MULTI", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "+OK\r\n") })
      const connection = yield* Connection.make({ host: "127.0.0.1", port: peer.port })
      yield* connection.execute("MULTI")
      const exit = yield* Effect.exit(connection.redis.sendAll([Redis.incr("a")], { atomic: true }))
      expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "refusedCommand" })
      expect(peer.connections.flatMap(Peer.sent)).toEqual(["MULTI"])
    })
  )
})
