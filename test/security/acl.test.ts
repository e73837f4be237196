/** When an ACL user is denied something, the error says which kind of thing was denied, and never which one. */
import * as util from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Connection, Redis, RedisCommand, RedisError, Resp } from "effect-redis-client"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, failure, on } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { prettyWithCauses } from "../support/effect.js"
import { atLeast, makeServer } from "../support/servers.js"

/** Every key, channel, value and user name of these tests has this mark; no rendering of an error may have it. */
const mark = "m4rk3d"
/** A name that is one of the words by which the servers' denials are told apart. */
const user = `channel-key-${mark}`

const users = [
  `${user} on >pw ~ok:* %R~ro:* %W~wo:* resetchannels &news +@all -flushall -client|kill`,
  `selected-${mark} on >pw ~a:* &* +get (+set ~b:*)`
]

const command = (name: string, ...args: ReadonlyArray<RedisCommand.ArgumentInput>) => RedisCommand.make(name, { args })

const cases: ReadonlyArray<readonly [RedisError.Denied, RedisCommand.RedisCommand<unknown>]> = [
  ["command", command("FLUSHALL")],
  ["command", command("CLIENT KILL", "ID", "999999")],
  ["key", Redis.get(mark)],
  ["key", Redis.set(`ro:${mark}`, mark)],
  ["key", Redis.get(`wo:${mark}`)],
  ["key", Redis.mget([`ok:${mark}`, mark])],
  ["key", command("EVAL", "return 1", 1, mark)],
  ["key", command("SORT", "ok:list", "BY", `${mark}_*`)],
  ["channel", Redis.publish(mark, mark)],
  ["channel", command("SPUBLISH", mark, mark)],
  // Denials inside of a script.
  ["command", command("EVAL", "return redis.call('flushall')", 0)],
  ["key", command("EVAL", "return redis.call('get', ARGV[1])", 0, mark)],
  ["key", command("EVAL", "return redis.pcall('get', ARGV[1])", 0, mark)],
  ["channel", command("EVAL", "return redis.call('publish', ARGV[1], ARGV[1])", 0, mark)]
]

const isReplyError = (error: unknown): error is RedisError.ReplyError => error instanceof RedisError.ReplyError

const reply = (error: unknown): RedisError.ReplyError => {
  if (!isReplyError(error)) {
    throw new Error(`no ReplyError: ${error}`)
  }
  return error
}

const showsNothing = (error: RedisError.ReplyError): void => {
  for (const text of [
    error.message,
    JSON.stringify(error),
    util.inspect(error, { depth: 10, showHidden: true }),
    prettyWithCauses(Cause.fail(error)),
    JSON.stringify(Schema.encodeSync(RedisError.RedisError)(error))
  ]) {
    expect(text).not.toContain(mark)
  }
}

describe("the kind of denial is read from the servers' texts", () => {
  const say = (name: string, message: string): RedisError.ReplyError => {
    const exit = RedisCommand.decode(command(name, "k"), Resp.error(message))
    return reply(failure(exit))
  }

  it.each<readonly [RedisError.Denied | undefined, string, string]>([
    // Redis 6 and 7.
    ["command", "GET", "NOPERM this user has no permissions to run the 'get' command or its subcommand"],
    ["command", "GET", "NOPERM this user has no permissions to run the 'get' command"],
    ["key", "GET", "NOPERM this user has no permissions to access one of the keys used as arguments"],
    ["channel", "PUBLISH", "NOPERM this user has no permissions to access one of the channels used as arguments"],
    // Redis 7.2 and later, Valkey.
    ["command", "KEYS", "NOPERM User ada has no permissions to run the 'keys' command"],
    ["command", "GET", "NOPERM User key has no permissions to run the 'get' command"],
    ["key", "GET", "NOPERM No permissions to access a key"],
    ["channel", "PUBLISH", "NOPERM No permissions to access a channel"],
    ["database", "SELECT", "NOPERM No permissions to access database"],
    // Texts of other servers: the kind stays unknown when the text does not state it.
    [undefined, "GET", "NOPERM"],
    [undefined, "GET", "NOPERM not today"],
    [undefined, "GET", "NOPERM User key no"],
    // A script may answer any text as its error.
    [undefined, "EVAL", "NOPERM the key to run the channel"],
    [undefined, "EVAL", "ERR ACL failure in script: who knows, some key"],
    [undefined, "EVAL", "MYERR No permissions to access a key"],
    [undefined, "GET", "ERR ACL failure in script: No permissions to access a key"]
  ])("%s: %s, %s", (denied, name, message) => {
    const error = say(name, message)
    expect(error.denied).toBe(denied)
    expect(error.code).toBe(/^\w+/.exec(message)?.[0])
    expect("denied" in error).toBe(denied !== undefined)
    const back = Schema.decodeUnknownSync(RedisError.RedisError)(
      JSON.parse(JSON.stringify(Schema.encodeSync(RedisError.RedisError)(error)))
    )
    expect(reply(back).denied).toBe(denied)
  })
})

eachServer(
  (it, { connect, protocol }) => {
    const as = (username: string) =>
      Effect.map(connect({ username, password: Redacted.make("pw") }), (redis) => ({ redis, run: on(redis) }))

    for (const [denied, denial] of cases) {
      it.scoped(`${denied}: ${denial.name} ${denial.args.length}`, () =>
        Effect.gen(function* () {
          const { redis, run } = yield* as(user)
          const error = reply(failure(yield* Effect.exit(redis.send(denial))))
          expect(error.denied).toBe(denied)
          expect(error.code).toBe(/^ERR/.test(Redacted.value(error.raw)) ? "ERR" : "NOPERM")
          showsNothing(error)
          expect(yield* run(Redis.ping())).toBe("PONG")
        })
      )
    }

    it.scoped("in a pipeline each denied command has its own error, and the others have their results", () =>
      Effect.gen(function* () {
        const { run } = yield* as(user)
        const slots = yield* run(
          Redis.pipeline([Redis.set("ok:1", "v"), ...cases.map(([, denial]) => denial), Redis.get("ok:1")], {
            mode: "either"
          })
        )
        expect(slots[0]).toEqual(Either.right(undefined))
        expect(slots.at(-1)).toEqual(Either.right(Option.some("v")))
        for (const [i, [denied]] of cases.entries()) {
          const error = reply(Either.getOrThrow(Either.flip(slots[i + 1] as Either.Either<unknown, unknown>)))
          expect(error.denied).toBe(denied)
          showsNothing(error)
        }
        const first = failure(yield* Effect.exit(run(Redis.pipeline({ fine: Redis.get("ok:1"), no: Redis.get(mark) }))))
        expect(first).toMatchObject({ _tag: "PipelineError", at: "no", error: { denied: "key" } })
      })
    )

    it.scoped("in a transaction a denial while queueing fails it, and nothing is executed", () =>
      Effect.gen(function* () {
        const { run } = yield* as(user)
        yield* run(Redis.set("ok:n", "0"))
        const refusals = [
          ["command", command("FLUSHALL")],
          ["key", Redis.get(mark)],
          ["channel", Redis.publish(mark, mark)]
        ] as const
        for (const [denied, denial] of refusals) {
          const error = failure(
            yield* Effect.exit(run(Redis.transaction({ n: Redis.incr("ok:n"), no: denial as typeof denial })))
          )
          expect(error).toMatchObject({ _tag: "TransactionError", reason: "discarded", at: "no", error: { denied } })
          expect(String(error)).not.toContain(mark)
        }
        expect(yield* run(Redis.get("ok:n"))).toEqual(Option.some("0"))
      })
    )

    it.scoped("in a transaction a denial inside of a script fails only that script", () =>
      Effect.gen(function* () {
        const { run } = yield* as(user)
        yield* run(Redis.set("ok:m", "0"))
        const script = command("EVAL", "return redis.call('get', ARGV[1])", 0, mark)
        const error = failure(yield* Effect.exit(run(Redis.transaction({ n: Redis.incr("ok:m"), no: script }))))
        expect(error).toMatchObject({
          _tag: "TransactionError",
          reason: "failed",
          at: "no",
          error: { code: "ERR", denied: "key" }
        })
        expect(yield* run(Redis.get("ok:m"))).toEqual(Option.some("1"))
      })
    )

    it.scoped("subscriptions of every kind fail with the denial", () =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const connection = yield* Connection.make({
          host,
          port,
          protocol,
          username: user,
          password: Redacted.make("pw")
        })
        for (const name of ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"]) {
          const error = reply(failure(yield* Effect.exit(connection.execute(name, mark))))
          expect(error.denied).toBe("channel")
          showsNothing(error)
        }
        yield* connection.execute("SUBSCRIBE", "news")
      })
    )

    it.scoped("a command that one selector allows succeeds; one that no selector allows fails with its kind", () =>
      Effect.gen(function* () {
        const { redis, run } = yield* as(`selected-${mark}`)
        yield* run(Redis.set(`b:${mark}`, "1"))
        expect(yield* run(Redis.get("a:1"))).toEqual(Option.none())
        for (const [denied, denial] of [
          ["key", Redis.set("a:1", mark)],
          ["key", Redis.get(`b:${mark}`)],
          ["command", Redis.del([`b:${mark}`])]
        ] as const) {
          const error = reply(failure(yield* Effect.exit(redis.send(denial as RedisCommand.RedisCommand<unknown>))))
          expect(error.denied).toBe(denied)
          showsNothing(error)
        }
      })
    )

    it.scoped("an unknown user or a wrong password is refused during the handshake", () =>
      Effect.gen(function* () {
        for (const [username, password] of [
          [`nobody-${mark}`, "pw"],
          [user, `wrong-${mark}`]
        ] as const) {
          const exit = yield* Effect.exit(connect({ username, password: Redacted.make(password) }))
          const error = failure(exit)
          expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication", delivery: "unsent" })
          for (const text of [String(error), JSON.stringify(error), util.inspect(error, { depth: 10 })]) {
            expect(text).not.toContain(mark)
          }
          expect(Exit.isFailure(exit) && prettyWithCauses(exit.cause)).not.toContain(mark)
        }
      })
    )
  },
  { acl: users, config: { "acl-pubsub-default": "allchannels" } }
)

describe("denied databases (rules of Valkey 9.1)", () => {
  describeReal(
    (server) => {
      for (const protocol of [2, 3] as const) {
        it.scoped(`RESP${protocol}`, () =>
          Effect.gen(function* () {
            const { host, port } = yield* makeServer(server, {
              acl: ["ada on >pw ~* &* +@all alldbs resetdbs db=0"]
            })
            const options = { host, port, protocol, username: "ada", password: Redacted.make("pw") } as const
            const connection = yield* Connection.make(options)
            for (const [name, ...args] of [
              ["SELECT", 3],
              ["MOVE", "k", 3],
              ["COPY", "k", "j", "DB", 3],
              ["SWAPDB", 0, 3],
              ["FLUSHALL"]
            ] as ReadonlyArray<readonly [string, ...ReadonlyArray<RedisCommand.ArgumentInput>]>) {
              const error = reply(failure(yield* Effect.exit(connection.execute(name, ...args))))
              expect([error.denied, error.code]).toEqual(["database", "NOPERM"])
            }
            expect(yield* connection.execute("SET", "k", "v")).toBe("OK")
            const error = failure(yield* Effect.exit(Connection.make({ ...options, database: 3 })))
            expect(error).toMatchObject({ _tag: "ConnectionError", reason: "handshake", cause: { denied: "database" } })
          })
        )
      }
    },
    atLeast({ valkey: "9.1" })
  )
})
