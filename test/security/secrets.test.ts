/**
 * Secrets and values: in these programs every password, key and value has a mark, and everything goes wrong. Nothing they
 * show (errors in every rendering, log lines of every level, spans, metrics) has the mark, or five of its letters in a
 * row. `test/RedisError.test.ts` checks single messages in the same way.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import {
  Codec,
  Connection,
  Pool,
  Redis,
  RedisCommand,
  RedisError,
  RedisFunction,
  RedisPubSub,
  RedisScript
} from "effect-redis-client"
import { issue } from "../../src/testing/internal/certificates.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { eachServer, on, quickly } from "../support/client.js"
import { configured } from "../support/effect.js"
import * as Peer from "../support/peer.js"
import * as Witness from "./support/witness.js"

const { mark } = Witness
const secret = Redacted.make(mark)
const bytes = new TextEncoder().encode(mark)
/** The password of this file's servers. */
const password = Redacted.make(`pw-${mark}`)

type Input = RedisCommand.ArgumentInput
const raw = (name: string, ...args: ReadonlyArray<Input>) => RedisCommand.make(name, { args })

const Person = Schema.Struct({ name: Schema.String, age: Schema.Number })
const people = Redis.withCodec(Codec.schema(Person))
const wrong = { name: mark, age: mark } as unknown as typeof Person.Type

/** The server's raw text, for an error that has one. */
const rawOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const failure = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
  const error =
    failure instanceof RedisError.PipelineError || failure instanceof RedisError.TransactionError
      ? failure.error
      : failure
  const reply = error instanceof RedisError.ConnectionError ? error.cause : error
  return reply instanceof RedisError.ReplyError ? Redacted.value(reply.raw) : ""
}

/**
 * Commands that the client or the server refuses. (The names of commands and subcommands are the program's own words and
 * are shown, so none of them has the mark.)
 */
const refused: ReadonlyArray<RedisCommand.RedisCommand<unknown>> = [
  // Credentials.
  raw("AUTH", mark),
  raw("AUTH", mark, mark),
  raw("AUTH", mark, mark, mark),
  raw("HELLO", 3, "AUTH", mark, mark),
  raw("HELLO", 3, "AUTH", "default", mark),
  raw("HELLO", 3, mark),
  raw("HELLO", mark),
  raw("HELLO", 3, "SETNAME", `${mark} ${mark}`),
  raw("ACL SETUSER", "u", `%${mark}`),
  raw("ACL SETUSER", "u", `<${mark}`),
  raw("ACL SETUSER", mark, "+@all", `+${mark}`),
  raw("ACL SETUSER", "u", `#${mark}`),
  raw("ACL SETUSER", `${mark} ${mark}`, "on"),
  raw("ACL DELUSER", "default", mark),
  raw("ACL DRYRUN", mark, "GET", mark),
  raw("ACL CAT", mark),
  raw("ACL GENPASS", mark),
  raw("ACL LOG", mark),
  raw("CONFIG SET", "requirepass", mark, mark),
  raw("CONFIG SET", "maxmemory", mark),
  raw("CONFIG SET", mark, mark),
  raw("CONFIG SET", "requirepass", mark, "requirepass", mark),
  raw("CONFIG SET", "save", mark),
  raw("CONFIG REWRITE"),
  raw("MIGRATE", "127.0.0.1", 1, mark, mark, mark, "AUTH", mark),
  raw("MIGRATE", "127.0.0.1", 1, "string", 0, 20, "AUTH2", mark, mark),
  raw("MIGRATE", "127.0.0.1", mark, "string", 0, 20, "AUTH", mark, "KEYS", mark),
  // Values in the wrong place.
  raw("FOO", mark, mark, mark),
  raw("SET", "k", mark, mark),
  raw("SET", "k", mark, "EX", mark),
  raw("SET", mark, mark, "PX", "-1"),
  raw("GET", mark, mark),
  raw("GETEX", "string", "EX", mark),
  raw("INCRBY", "string", mark),
  raw("INCRBY", "string", 1),
  raw("INCRBYFLOAT", "string", mark),
  raw("SETRANGE", "string", mark, mark),
  raw("SETBIT", "string", mark, mark),
  raw("BITFIELD", "string", "GET", mark, mark),
  raw("BITOP", mark, "k", mark),
  raw("EXPIRE", "string", mark),
  raw("EXPIRE", "string", 1, mark),
  raw("HSET", "hash", mark),
  raw("HSET", "string", mark, mark),
  raw("HINCRBY", "hash", mark, 1),
  raw("HINCRBYFLOAT", "hash", mark, mark),
  raw("LPUSH", "string", mark),
  raw("LSET", "list", mark, mark),
  raw("LSET", "list", 99, mark),
  raw("LINSERT", "list", mark, mark, mark),
  raw("LPOS", "list", mark, mark, mark),
  raw("SADD", "string", mark),
  raw("SPOP", "set", mark),
  raw("ZADD", "zset", mark, mark),
  raw("ZADD", "zset", mark, 1, mark, 2),
  raw("ZRANGE", "zset", mark, mark, "BYSCORE"),
  raw("ZRANGE", "zset", mark, mark, "BYLEX"),
  raw("ZRANGEBYSCORE", "zset", mark, mark),
  raw("ZUNION", mark, "zset", mark),
  raw("GEOADD", "geo", 1, mark, mark),
  raw("GEOADD", "geo", 500, 500, mark),
  raw("GEOSEARCH", "geo", "FROMMEMBER", mark, "BYRADIUS", 1, "km"),
  raw("GEOSEARCH", "geo", "FROMLONLAT", 1, 1, "BYRADIUS", mark, mark),
  raw("XADD", "stream", mark, "f", "v"),
  raw("XADD", "stream", "1-1", mark, mark),
  raw("XADD", "stream", mark, mark, mark, mark),
  raw("XGROUP", "CREATE", mark, mark, "$"),
  raw("XGROUP", "CREATE", "stream", "group", mark),
  raw("XGROUP", "CREATE", "stream", "group", 0),
  raw("XREADGROUP", "GROUP", mark, mark, "STREAMS", "stream", ">"),
  raw("XREADGROUP", "GROUP", "group", mark, "STREAMS", mark, ">"),
  raw("XREADGROUP", "GROUP", "group", mark, "STREAMS", "stream", mark),
  raw("XACK", "stream", "group", mark),
  raw("XCLAIM", "stream", mark, mark, mark, mark),
  raw("XAUTOCLAIM", "stream", mark, mark, 0, 0),
  raw("XPENDING", "stream", mark),
  raw("XINFO", "CONSUMERS", "stream", mark),
  raw("XSETID", "stream", mark),
  raw("PFADD", "string", mark),
  raw("PFCOUNT", "string", mark),
  raw("RESTORE", "restored", 0, mark),
  raw("RESTORE", "restored", mark, mark),
  raw("SORT", "list", "LIMIT", mark, mark),
  raw("SORT", "list", mark, mark),
  raw("SCAN", mark),
  raw("SCAN", 0, "TYPE", mark, "COUNT", mark),
  raw("RENAME", mark, mark),
  raw("COPY", "string", "k", "DB", mark),
  raw("MOVE", "string", mark),
  raw("LCS", "string", "list", mark),
  raw("DEBUG", mark, mark),
  raw("CLIENT KILL", mark),
  raw("CLIENT KILL", "ID", mark),
  raw("CLIENT NO-EVICT", mark),
  raw("CLIENT SETINFO", "LIB-NAME", `${mark} ${mark}`),
  raw("CLIENT SETINFO", mark, mark),
  raw("CLIENT UNBLOCK", mark, mark),
  raw("CLIENT LIST", "TYPE", mark),
  raw("CLUSTER KEYSLOT", mark, mark),
  raw("LATENCY GRAPH", mark),
  raw("LATENCY RESET", mark, mark),
  raw("MEMORY USAGE", mark, mark),
  raw("OBJECT ENCODING", mark, mark),
  raw("REPLICAOF", mark, mark),
  raw("SWAPDB", mark, mark),
  raw("COMMAND GETKEYS", mark, mark),
  raw("COMMAND GETKEYS", "GET"),
  raw("COMMAND LIST", "FILTERBY", mark, mark),
  raw("FAILOVER", "TO", mark, mark),
  raw("MODULE LOAD", `/${mark}`),
  raw("WAIT", mark, mark),
  // Bytes.
  raw("SET", "k", bytes, bytes),
  raw("XADD", "stream", bytes, bytes, bytes),
  raw("FOO", bytes),
  // Scripts.
  raw("EVAL", `error('${mark}')`, 0),
  raw("EVAL", `${mark} is no Lua`, 0),
  raw("EVAL", `return redis.error_reply('${mark} ${mark}')`, 0),
  raw("EVAL", `return redis.error_reply('WRONGTYPE ${mark}')`, 0),
  raw("EVAL", `return redis.error_reply('NOPERM ${mark}')`, 0),
  raw("EVAL", `return {err='${mark}'}`, 0),
  raw("EVAL", "return {err=ARGV[1]}", 0, mark),
  raw("EVAL", "return {err=redis.call('get', 'string')}", 0),
  raw("EVAL", "error({err=ARGV[1]})", 0, `MYERR ${mark}`),
  raw("EVAL", `return redis.call('set', KEYS[1], '${mark}', '${mark}')`, 1, mark),
  raw("EVAL", `return redis.call('${mark}')`, 0),
  raw("EVAL", `return ${mark}.x`, 0),
  raw("EVAL", `${mark} = 1`, 0),
  raw("EVAL", "return 1", mark),
  raw("EVALSHA", mark, 0),
  raw("EVAL_RO", `return redis.call('set', '${mark}', '${mark}')`, 0),
  raw("SCRIPT LOAD", `${mark} is no Lua`),
  raw("SCRIPT FLUSH", mark),
  raw("FUNCTION LOAD", mark),
  raw("FUNCTION LOAD", `#!lua name=${mark}-!\n${mark}`),
  raw("FUNCTION LOAD", `#!lua name=l\n${mark} is no Lua`),
  raw("FUNCTION LOAD", `#!${mark} name=l\nreturn 1`),
  raw("FUNCTION LOAD", `#!lua name=l ${mark}=1\nreturn 1`),
  raw("FUNCTION DELETE", mark),
  raw("FUNCTION RESTORE", mark),
  raw("FUNCTION RESTORE", mark, mark),
  raw("FCALL", mark, 0, mark),
  raw("FCALL", "fails", 0, mark),
  raw("FCALL", "calls", 1, mark, mark)
]

const library = `#!lua name=marked
redis.register_function('fails', function(keys, args) return redis.error_reply(args[1]) end)
redis.register_function('calls', function(keys, args) return redis.call('lpush', 'string', args[1]) end)`

const prepare = [
  raw("FLUSHALL", "SYNC"),
  raw("SET", "string", mark),
  raw("HSET", "hash", mark, mark),
  raw("RPUSH", "list", mark),
  raw("SADD", "set", mark),
  raw("ZADD", "zset", 1, mark),
  raw("GEOADD", "geo", 1, 1, "member"),
  raw("XADD", "stream", "5-5", mark, mark),
  raw("XGROUP", "CREATE", "stream", "group", 0),
  raw("FUNCTION LOAD", "REPLACE", library)
]

const limited = `limited on >pw-${mark} ~ok:* resetchannels +@all -flushall -select`

eachServer(
  (it, { connect: connectAs, protocol }) => {
    const connect = (options?: Parameters<typeof connectAs>[0]) => connectAs({ password, ...options })

    /** Runs a program under a witness and checks that nothing the program showed has the mark. */
    const watched = (
      name: string,
      program: (
        witness: Witness.Witness
      ) => Effect.Effect<void, RedisError.RedisError, Scope.Scope | RedisServer.RedisServer>
    ) =>
      it.scoped(name, () =>
        Effect.gen(function* () {
          const witness = Witness.make()
          yield* Effect.provide(Effect.scoped(program(witness)), witness.layer)
          expect(witness.leaks).toEqual([])
          expect(witness.spans()).toBeGreaterThan(0)
          expect(witness.lines()).toBeGreaterThan(0)
        })
      )

    watched("errors of wrong commands", (witness) =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const options = { host, port, protocol, password } as const
        const setup = yield* connect()
        for (const command of prepare) {
          yield* setup.send(command)
        }
        let echoed = 0
        let failed = 0
        for (const command of refused) {
          // Each command has its own connection, because some close it or change its user.
          const exit = yield* witness.watch(
            `${command.name} ${command.args.length}`,
            Effect.scoped(Effect.flatMap(Connection.make(options), (connection) => connection.execute(command)))
          )
          witness.look(command.name, "the command", command)
          failed += Exit.isFailure(exit) ? 1 : 0
          echoed += rawOf(exit).toLowerCase().includes(mark.toLowerCase().slice(0, 8)) ? 1 : 0
        }
        // Otherwise the test would prove nothing.
        expect(failed).toBeGreaterThan(refused.length * 0.8)
        expect(echoed).toBeGreaterThan(20)
      })
    )

    watched("errors of pipelines, transactions and scripts", (witness) =>
      Effect.gen(function* () {
        const redis = yield* connect()
        const run = on(redis)
        for (const command of prepare) {
          yield* redis.send(command)
        }
        const fails = RedisScript.make({
          source: `return redis.error_reply('${mark} ' .. ARGV[1])`,
          keys: 1,
          args: [Schema.String]
        })
        const counts = RedisScript.make({ source: `return '${mark}'`, keys: 0, args: [], result: Schema.Int })
        const called = RedisFunction.make("fails", { keys: 0, args: [Schema.String] })
        const picky = RedisFunction.make("fails", { keys: 0, args: [Schema.NumberFromString] })
        const interfering = Effect.as(redis.send(raw("SET", mark, mark)), Redis.transaction([Redis.set(mark, mark)]))
        for (const [tag, effect] of [
          ["PipelineError", Redis.pipeline([Redis.set(mark, mark), Redis.get("string"), raw("LPUSH", "string", mark)])],
          ["PipelineError", Redis.pipeline({ a: raw("FOO", mark), b: Redis.get("string") })],
          ["PipelineError", Redis.pipeline([people.get("string"), raw("SET", "k", bytes, bytes)])],
          ["TransactionError", Redis.transaction([Redis.set(mark, mark), raw("LPUSH", "string", mark)])],
          ["TransactionError", Redis.transaction([Redis.set(mark, mark), raw("FOO", mark)])],
          ["TransactionError", Redis.transaction({ a: people.get("string"), b: Redis.get("string") })],
          ["TransactionError", Redis.optimistic([mark], interfering, { schedule: Schedule.recurs(0) })],
          ["UsageError", Redis.pipeline([Redis.blpop([mark], { timeout: "1 second" }), Redis.set(mark, mark)])],
          ["UsageError", Redis.pipeline([Redis.set(mark, `${mark}\uD800`)])],
          ["UsageError", raw("AUTH", mark)],
          ["UsageError", raw("SUBSCRIBE", mark)],
          ["UsageError", raw("CLIENT REPLY", "OFF", mark)],
          ["ReplyError", fails(mark, mark)],
          ["DecodeError", counts()],
          ["ReplyError", called(mark)],
          ["UsageError", picky(mark as never)],
          ["PipelineError", Redis.pipeline([fails(mark, mark), called(mark)])],
          ["DecodeError", people.get("string")],
          ["DecodeError", Redis.withCodec(Codec.json).get("string")],
          ["DecodeError", people.hgetall("hash")],
          ["DecodeError", people.lrange("list", 0, -1)],
          ["DecodeError", people.smembers("set")],
          ["UsageError", people.set(mark, wrong)],
          ["UsageError", people.rpush(mark, [wrong, wrong])],
          ["UsageError", Redis.set(mark, `${mark}\uD800`)],
          ["UsageError", Redis.set(`${mark}\uDFFF`, mark)],
          ["UsageError", Redis.incrby(mark, Number.NaN)],
          ["UsageError", Redis.expire(mark, "soon" as never)],
          ["UsageError", Redis.mset({})],
          ["success", Redis.get("string")],
          ["success", Redis.pipeline({ one: Redis.get("string"), two: Redis.hgetall("hash") })]
        ] as ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, Redis>]>) {
          const name = `${tag}: ${String(effect)}`
          const exit = yield* witness.watch(name, run(effect))
          expect([name, Witness.outcome(exit)]).toEqual([name, tag])
          witness.look(name, "the effect", effect)
        }
        witness.look("script", "shown", fails)
        witness.look("function", "shown", called)
      })
    )

    watched("errors of refused credentials, however the connection is made", (witness) =>
      Effect.gen(function* () {
        const { host, port } = yield* RedisServer.RedisServer
        const url = Redacted.make(`redis://${mark}:${mark}@${host}:${port}/3?client_name=me`)
        const base = { host, port, protocol, connectTimeout: "20 seconds" } as const
        const config = configured([["REDIS_URL", Redacted.value(url)]])
        class Other extends Redis.Tag("Other")<Other>() {}
        for (const [name, build] of [
          ["no password", Redis.make({ ...base, clientName: "me" })],
          ["a wrong password", Redis.make({ ...base, password: secret })],
          ["a wrong user", Connection.make({ ...base, username: mark, password: secret })],
          ["a URL", Connection.make({ url })],
          ["a URL as text", Redis.make({ url: Redacted.value(url) })],
          ["a layer", Layer.build(Redis.layer({ url }))],
          [
            "a layer of the configuration",
            Layer.build(Layer.provide(Redis.layerConfig({ url: Config.redacted("REDIS_URL") }), config))
          ],
          ["a layer of another tag", Layer.build(Redis.layerAs(Other, { url }))],
          ["a pool", Pool.make({ ...base, password: secret, minSize: 2 })],
          [
            "a layer of a pool",
            Layer.build(Layer.provide(Redis.layerFromPool, Pool.layer({ ...base, password: secret })))
          ],
          ["a user who may not SELECT", Connection.make({ ...base, username: "limited", password, database: 3 })],
          ["no such database", Connection.make({ ...base, password, database: 99_999 })]
        ] as ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown, Scope.Scope>]>) {
          const exit = yield* witness.watch(name, Effect.scoped(build))
          expect([name, Witness.outcome(exit)]).toEqual([name, "ConnectionError"])
        }
        const lazy = yield* Redis.make({ ...base, password: secret, lazy: true, reconnect: Schedule.recurs(0) })
        expect(Witness.outcome(yield* witness.watch("lazy", lazy.send(raw("SET", mark, mark))))).toBe("ConnectionError")
        const connection = yield* Connection.make({ ...base, password })
        const auth = yield* witness.watch("auth", connection.auth({ username: mark, password: secret }))
        expect(Witness.outcome(auth)).toBe("ReplyError")
        witness.look("a connection", "shown", connection)
        witness.look("a client", "shown", yield* connect())
        witness.look("a pool", "shown", yield* Pool.make({ ...base, password }))
      })
    )

    watched(
      "errors of subscriptions: slow listeners, messages that do not decode, lost connections, denied channels",
      (witness) =>
        Effect.gen(function* () {
          const { host, port } = yield* RedisServer.RedisServer
          const options = { host, port, protocol, password } as const
          const admin = yield* connect()
          const publish = (message: string) => admin.send(raw("PUBLISH", `news:${mark}`, message))
          const service = yield* RedisPubSub.make(options)
          const via = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, RedisPubSub, service)
          const slow = yield* via(
            RedisPubSub.subscribe([`news:${mark}`, mark], { bufferSize: 1, strategy: "dropping" })
          )
          const typed = yield* via(RedisPubSub.withCodec(Codec.schema(Person)).subscribe("typed"))
          for (let i = 0; i < 50; i++) {
            yield* publish(`${mark} ${i}`)
            // The error names the channel (docs/security.md), but shows nothing of the message.
            yield* admin.send(raw("PUBLISH", "typed", JSON.stringify({ name: mark, age: mark })))
          }
          yield* witness.watch("a slow one", Stream.runDrain(Stream.take(slow, 1)))
          const decoded = yield* witness.watch("a message that does not decode", Stream.runDrain(typed))
          expect(Witness.outcome(decoded)).toBe("DecodeError")
          yield* admin.send(raw("CLIENT KILL", "TYPE", "pubsub"))
          const limitedService = yield* RedisPubSub.make({ ...options, username: "limited" })
          const denied = yield* witness.watch(
            "no permission",
            Effect.scoped(Effect.provideService(RedisPubSub.subscribe(mark), RedisPubSub, limitedService))
          )
          expect(Witness.outcome(denied)).not.toBe("success")
          const wrong = yield* witness.watch(
            "a wrong password",
            Effect.scoped(
              Effect.flatMap(RedisPubSub.make({ ...options, password: secret }), (service) =>
                Effect.provideService(RedisPubSub.subscribe(mark), RedisPubSub, service)
              )
            )
          )
          expect(Witness.outcome(wrong)).toBe("ConnectionError")
          witness.look("subscriptions", "shown", service)
        })
    )

    watched("no permission", (witness) =>
      Effect.gen(function* () {
        const redis = yield* connect({ username: "limited" })
        for (const command of [
          raw("FLUSHALL", mark),
          raw("GET", mark),
          raw("SET", bytes, bytes),
          raw("PUBLISH", mark, mark),
          raw("EVAL", `return redis.call('get', '${mark}')`, 0),
          raw("EVAL", `return redis.call('flushall', '${mark}')`, 0)
        ]) {
          const exit = yield* witness.watch(command.name, redis.send(command))
          expect(Witness.outcome(exit)).toBe("ReplyError")
        }
      })
    )

    watched("errors of deadlines, lost and closed connections, ended leases and full queues", (witness) =>
      Effect.gen(function* () {
        const server = yield* RedisServer.RedisServer
        const redis = yield* connect({ replyTimeout: "30 seconds" })
        const admin = yield* connect()
        const set = raw("SET", mark, mark)
        const expectFrom = (name: string, tag: string, effect: Effect.Effect<unknown, unknown>) =>
          Effect.map(witness.watch(name, effect), (exit) => expect([name, Witness.outcome(exit)]).toEqual([name, tag]))
        yield* admin.send(raw("CLIENT PAUSE", 300, "ALL"))
        yield* expectFrom("a deadline", "DeadlineError", redis.send(RedisCommand.withDeadline(set, "20 millis")))
        const connection = yield* Connection.make({ ...server, protocol, tls: false, password })
        const waiting = yield* Effect.fork(witness.watch("killed", connection.execute(raw("BLPOP", `list:${mark}`, 0))))
        yield* Effect.repeatN(Effect.yieldNow(), 50)
        witness.look("a connection with a command in flight", "shown", connection)
        yield* admin.send(
          raw(
            "CLIENT KILL",
            "ID",
            Option.getOrElse(connection.id, () => 0)
          )
        )
        expect(Witness.outcome(yield* Fiber.join(waiting))).toBe("ConnectionError")
        yield* expectFrom("afterwards", "ConnectionError", connection.execute(set))
        witness.look("why", "closeReason", yield* connection.closeReason)
        const pool = yield* Pool.make({
          host: server.host,
          port: server.port,
          protocol,
          password,
          maxSize: 1,
          acquireTimeout: "30 millis"
        })
        const lease = yield* Effect.scoped(
          Effect.tap(pool.acquire, () => expectFrom("no place", "DeadlineError", Effect.scoped(pool.acquire)))
        )
        yield* expectFrom("a lease that is over", "UsageError", lease.execute(set))
        witness.look("a lease", "shown", lease)
        const interrupted = yield* Effect.fork(
          witness.watch("interrupted", redis.send(raw("BLPOP", `list:${mark}`, 0)))
        )
        yield* Effect.repeatN(Effect.yieldNow(), 50)
        witness.look("an interruption", "exit", yield* Fiber.interrupt(interrupted))
        const closed = yield* Effect.scoped(connect())
        yield* expectFrom("a closed client", "ConnectionError", closed.send(set))
        yield* expectFrom(
          "a closed client, pipeline",
          "PipelineError",
          on(closed)(Redis.pipeline([Redis.set(mark, mark)]))
        )
        const subscriber = yield* Connection.make({ host: server.host, port: server.port, protocol, password })
        yield* subscriber.execute("SUBSCRIBE", mark)
        yield* admin.send(raw("PUBLISH", mark, mark))
        if (protocol === 2) {
          yield* expectFrom("a command while subscribed", "ReplyError", subscriber.execute("SET", mark, mark))
        }
        yield* expectFrom("all of them", "UsageError", subscriber.execute("UNSUBSCRIBE"))
      })
    )
  },
  { password, acl: [limited] }
)

describe("a peer that repeats what it was sent cannot make the client show it", () => {
  const everything = (words: ReadonlyArray<string>) => words.join(" ")
  const scripts: ReadonlyArray<readonly [string, Peer.Script]> = [
    ["in the error to everything", { onCommand: (words) => `-ERR no such thing as ${everything(words)}\r\n` }],
    ["as the code of the error", { onCommand: (words) => `-${words.at(-1)} is no good\r\n` }],
    ["behind each code", { onCommand: (words) => `-WRONGPASS ${everything(words)}\r\n` }],
    ["as NOAUTH", { onCommand: (words) => `-NOAUTH ${everything(words)}\r\n` }],
    ["as DENIED", { onCommand: (words) => `-DENIED ${everything(words)}\r\n` }],
    ["as LOADING", { onCommand: (words) => `-LOADING ${everything(words)}\r\n` }],
    [
      "before they close",
      { onConnect: (peer) => peer.write(`-ERR ${mark}\r\n`), onCommand: (_, peer) => void peer.end() }
    ],
    ["as HTTP", { onCommand: (words) => `HTTP/1.1 400 ${everything(words)}\r\n\r\n` }],
    ["as bytes of no protocol", { onCommand: (words) => everything(words) }],
    ["as a length", { onCommand: (words) => `$${words.at(-1)}\r\n` }],
    ["as an integer", { onCommand: (words) => `:${words.at(-1)}\r\n` }],
    ["as HELLO's answer", { onCommand: (words) => `$${mark.length}\r\n${mark}\r\n${words.length > 0 ? "" : ""}` }],
    ["as a push", { onCommand: (words) => `>2\r\n+${mark}\r\n+${words.at(-1)}\r\n-ERR ${mark}\r\n` }]
  ]
  const later: ReadonlyArray<readonly [string, string, Peer.Script["onCommand"] & {}]> = [
    ["an error", "ReplyError", (words) => `-ERR no such thing as ${everything(words)}\r\n`],
    [
      "an unknown command",
      "ReplyError",
      (words) => `-ERR unknown command 'SET', with args beginning with: '${everything(words)}'\r\n`
    ],
    ["a code", "ReplyError", (words) => `-${words.at(-1)}\r\n`],
    ["MOVED", "ReplyError", (words) => `-MOVED 1 ${words.at(-1)}:1\r\n`],
    ["NOPERM", "ReplyError", (words) => `-NOPERM User ${mark} may not touch key ${words.at(-1)}\r\n`],
    ["bytes of no protocol", "ProtocolError", (words) => everything(words)],
    ["a reply too many", "success", (words) => `+OK\r\n+${words.at(-1)}\r\n`],
    ["an error too many", "success", (words) => `+OK\r\n-ERR ${words.at(-1)}\r\n`],
    ["a broken integer", "ProtocolError", (words) => `:${words.at(-1)}\r\n`],
    ["a broken double", "DecodeError", (words) => `,${words.at(-1)}\r\n`],
    ["a big number that is none", "DecodeError", (words) => `(${words.at(-1)}\r\n`],
    ["other text than a status", "success", (words) => `+${words.at(-1)}\r\n`],
    ["a map", "DecodeError", (words) => `%1\r\n+${words.at(-1)}\r\n+${words.at(-1)}\r\n`],
    ["an error inside", "DecodeError", (words) => `*1\r\n-ERR ${words.at(-1)}\r\n`],
    ["its end", "ConnectionError", (_, peer) => void peer.end()],
    ["a reset", "ConnectionError", (_, peer) => void peer.reset()],
    ["silence", "DeadlineError", () => undefined]
  ]

  const watchedPeer = (
    program: (witness: Witness.Witness) => Effect.Effect<void, RedisError.RedisError, Scope.Scope>
  ) =>
    Effect.gen(function* () {
      const witness = Witness.make()
      yield* Effect.provide(Effect.scoped(program(witness)), witness.layer)
      expect(witness.leaks).toEqual([])
      expect(witness.lines()).toBeGreaterThan(0)
    })

  for (const [name, script] of scripts) {
    for (const protocol of [2, 3] as const) {
      it.scopedLive(`${name}, during the handshake, RESP${protocol}`, () =>
        watchedPeer((witness) =>
          Effect.gen(function* () {
            const { port } = yield* Peer.make(script)
            // The client's name is the name of its pool in metrics, so it has no mark.
            const url = `redis://${mark}:${mark}@127.0.0.1:${port}/3?client_name=client`
            const options = { url, protocol, connectTimeout: "400 millis", closeTimeout: "50 millis" } as const
            for (const build of [
              Connection.make(options),
              Redis.make({ ...options, reconnect: Schedule.recurs(2) }),
              Pool.make({ ...options, minSize: 1 })
            ] as ReadonlyArray<Effect.Effect<unknown, RedisError.RedisError, Scope.Scope>>) {
              const exit = yield* witness.watch(name, Effect.scoped(build))
              expect(Witness.outcome(exit)).not.toBe("success")
              expect(Witness.outcome(exit)).not.toBe("defect")
            }
          })
        )
      )
    }
  }

  for (const [name, tag, answer] of later) {
    it.scopedLive(`${name}, as the reply to a command`, () =>
      watchedPeer((witness) =>
        Effect.gen(function* () {
          const { port } = yield* Peer.make({ onCommand: Peer.greeting(answer) })
          const redis = yield* Redis.make({
            host: "127.0.0.1",
            port,
            password: secret,
            replyTimeout: "200 millis",
            closeTimeout: "50 millis",
            reconnect: quickly
          })
          for (const command of [Redis.set(mark, mark), Redis.hset(mark, { [mark]: mark }), Redis.get(mark)]) {
            const exit = yield* witness.watch(name, redis.send(command as RedisCommand.RedisCommand<unknown>))
            if (command.name === "SET") {
              expect([name, Witness.outcome(exit)]).toEqual([name, tag])
            }
          }
          for (const batch of [
            Redis.pipeline([Redis.set(mark, mark), Redis.get(mark)]),
            Redis.transaction([Redis.set(mark, mark)])
          ]) {
            yield* witness.watch(`${name}, batch`, on(redis)(batch as Effect.Effect<unknown, unknown, Redis>))
          }
          witness.look(name, "status", yield* redis.status.get)
        })
      )
    )
  }
})

describe("errors before a connection exists", () => {
  it.scopedLive(
    "invalid URLs, options and variables, and addresses without a server",
    () =>
      Effect.gen(function* () {
        const witness = Witness.make()
        const nobody = yield* Effect.scoped(Peer.make({}))
        const certificate = issue({
          name: "localhost",
          use: "client",
          notBefore: new Date(Date.now() - 1000),
          notAfter: new Date(Date.now() + 100_000)
        })
        const urls = [
          `redis://${mark}:${mark}@127.0.0.1:${nobody.port}/3`,
          `rediss://${mark}:${mark}@127.0.0.1:${nobody.port}/3`,
          `unix://${mark}:${mark}@/nowhere.sock`,
          `redis://${mark}:${mark}@nowhere.invalid`,
          `redis://:${mark}@h:99999`,
          `redis://:${mark}@h:${mark}`,
          `redis://:${mark}@h/${mark}`,
          `redis://:${mark}@h?${mark}=1`,
          `redis://:${mark}@h?password=${mark}`,
          `redis://:${mark}@h?db=${mark}`,
          `redis://:${mark}@h?protocol=${mark}`,
          `redis://:${mark}@h?family=${mark}`,
          `redis://:${mark}@h?client_name=${mark}%20${mark}`,
          `redis://:${mark}@h?db=1&db=${mark}`,
          `redis://:${mark}@h#${mark}`,
          `redis://:${mark}#${mark}@h`,
          `redis://:${mark}/${mark}@h`,
          `redis://:${mark}?${mark}@h`,
          `redis://:${mark}%@h`,
          `redis://${mark}%ff:x@h`,
          `redis://:${mark} ${mark}@h:x`,
          `redis://:${mark}@[${mark}]`,
          `redis://${mark}@h`,
          `redis+${mark}://:${mark}@h`,
          `http://:${mark}@h`,
          `redis:${mark}`,
          `${mark}`,
          `:${mark}@h`,
          `${mark}://h`,
          ` redis://:${mark}@h:bad`,
          `redis://:${mark}@h\u0000`,
          `redis://:${mark}\uD800@h:1x`
        ]
        const options: ReadonlyArray<unknown> = [
          { password: mark },
          { password: 5, username: mark },
          { username: mark },
          { clientName: `${mark} ${mark}` },
          { host: `${mark} ${mark}` },
          { host: `${mark}/`, path: mark },
          { path: `${mark}\0`, password: secret },
          { port: mark },
          { database: mark },
          { protocol: mark },
          { family: mark },
          { encoding: mark },
          { replyTimeout: mark },
          { maxInFlight: mark },
          { limits: { maxDepth: mark } },
          { tls: mark },
          { tls: { ca: mark } },
          { tls: { ca: [mark] } },
          { tls: { cert: mark, key: secret } },
          { tls: { cert: certificate.cert, key: mark } },
          { tls: { cert: certificate.cert, key: secret } },
          { tls: { cert: certificate.cert, key: Redacted.make(certificate.key.replace(/\n.{13}/, `\n${mark}`)) } },
          { tls: { cert: certificate.cert, key: Redacted.make(certificate.key), passphrase: mark } },
          { tls: { serverName: `${mark} ${mark}` } },
          { tls: { minVersion: mark } },
          { tls: { rejectUnauthorized: mark } }
        ]
        yield* Effect.gen(function* () {
          for (const [i, url] of urls.entries()) {
            const config = configured([["REDIS_URL", url]])
            const settings = { connectTimeout: "300 millis", reconnect: Schedule.recurs(1) } as const
            for (const build of [
              Redis.make({ url, ...settings }),
              Pool.make({ url: Redacted.make(url), connectTimeout: "300 millis" }),
              Layer.build(Layer.provide(Redis.layerConfig({ url: Config.redacted("REDIS_URL") }), config)),
              Layer.build(Layer.provide(Redis.layerConfig({ url: Config.string("REDIS_URL") }), config)),
              Layer.build(Layer.provide(Connection.layerConfig({ url: Config.string("REDIS_URL") }), config)),
              Layer.build(Layer.provide(Pool.layerConfig({ url: Config.redacted("REDIS_URL") }), config))
            ] as ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>>) {
              const exit = yield* witness.watch(`URL ${i}`, Effect.scoped(Effect.timeout(build, "2 seconds")))
              expect(Witness.outcome(exit)).not.toMatch(/success|defect/)
            }
          }
          for (const [i, option] of options.entries()) {
            for (const build of [
              Redis.make({ ...(option as object), connectTimeout: "300 millis", reconnect: Schedule.recurs(1) }),
              Connection.make({ port: nobody.port, ...(option as object) })
            ] as ReadonlyArray<Effect.Effect<unknown, unknown, Scope.Scope>>) {
              const exit = yield* witness.watch(`option ${i}`, Effect.scoped(Effect.timeout(build, "2 seconds")))
              expect([i, Witness.outcome(exit)]).not.toEqual([i, expect.stringMatching(/success|defect/)])
            }
          }
        }).pipe(Effect.provide(witness.layer))
        expect(witness.leaks).toEqual([])
      }),
    120_000
  )
})

describe("the witness itself", () => {
  it("sees the mark anywhere in a text, in part, in another case and as bytes", () => {
    for (const text of [
      mark,
      `x${mark.slice(4, 9)}y`,
      mark.toUpperCase(),
      String(Buffer.from(mark).toString("base64")),
      String(Buffer.from(`a${mark}`).toString("base64")),
      JSON.stringify(bytes),
      String(bytes)
    ]) {
      expect([text, Witness.leaks(text)]).toEqual([text, true])
    }
    expect(Witness.renderings({ inner: Buffer.from(mark) }).some(([, text]) => Witness.leaks(text))).toBe(true)
    expect(Witness.leaks(mark.slice(0, 4))).toBe(false)
  })

  it.effect("sees it in errors, causes, logs and spans", () =>
    Effect.gen(function* () {
      for (const effect of [
        Effect.fail(new Error(mark)),
        Effect.fail(new Error("x", { cause: new Error(mark) })),
        Effect.die(mark),
        Effect.logTrace("x", mark),
        Effect.annotateLogs(Effect.logDebug("x"), "key", mark),
        Effect.annotateCurrentSpan("key", mark),
        Effect.withSpan(Effect.void, mark),
        Effect.withSpan(Effect.void, "x", { attributes: { key: mark } }),
        Effect.fail(new RedisError.ConnectionError({ reason: "connect", delivery: "unsent", message: "", cause: mark }))
      ]) {
        const witness = Witness.make()
        yield* Effect.provide(witness.watch("x", effect as Effect.Effect<unknown, unknown>), witness.layer)
        expect(witness.leaks.length).toBeGreaterThan(0)
      }
      const witness = Witness.make()
      yield* Effect.provide(witness.watch("x", Effect.succeed(mark)), witness.layer)
      expect(witness.leaks).toEqual([])
    })
  )
})
