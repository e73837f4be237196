/** Effect's own service for Redis over this client: its four members, its errors, and what Effect builds on it. */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { describe, expect, it as plain } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Persistable from "effect/persistence/Persistable"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Persistence from "effect/persistence/Persistence"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Service from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Redis } from "effect-redis-client"
import * as EffectRedis from "effect-redis-client/EffectRedis"
import type { RedisOptions, RedisService } from "../src/Redis.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { eachServer, failure, type Live, on, quickly } from "./support/client.js"
import * as Peer from "./support/peer.js"
import { publish, until, warnings } from "./support/pubsub.js"
import { makeServer } from "./support/servers.js"
import { promptly } from "./support/timing.js"

const layerOf = (options: RedisOptions) =>
  EffectRedis.layer.pipe(Layer.provideMerge(Redis.layer({ reconnect: quickly, ...options })))

/** Our layer and its client, for as long as the scope is open. */
const build = (options: RedisOptions) =>
  Effect.map(Layer.build(layerOf(options)), (context) => ({
    redis: Context.get(context, Service.Redis),
    client: Context.get(context, Redis)
  }))

const over = (live: Live, options: RedisOptions = {}) =>
  Effect.flatMap(RedisServer.RedisServer, ({ host, port }) =>
    build({
      host,
      port,
      protocol: live.protocol,
      replyTimeout: "30 seconds",
      acquireTimeout: "30 seconds",
      ...options
    })
  )

/** The official layer. */
const official = (live: Live) =>
  Effect.flatMap(RedisServer.RedisServer, ({ host, port }) =>
    Effect.map(Layer.build(NodeRedis.layer({ socket: { host, port }, RESP: live.protocol })), (context) =>
      Context.get(context, Service.Redis)
    )
  )

/** The number of times the server executed a command since the counts were reset. */
const callsOf = (redis: Service.Redis["Service"], command: string) =>
  Effect.map(redis.send<string>("INFO", "commandstats"), (info) =>
    Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "m").exec(info)?.[1] ?? 0)
  )

class Lookup extends Persistable.Class<{ payload: { id: number } }>()("Lookup", {
  primaryKey: ({ id }) => String(id),
  success: Schema.String,
  error: Schema.String
}) {}

const isService = (error: unknown): error is Service.RedisError => error instanceof Service.RedisError

const shapes: ReadonlyArray<readonly [command: string, ...args: ReadonlyArray<string>]> = [
  ["PING"],
  ["GET", "text"],
  ["get", "absent"],
  ["GET", "bytes"],
  ["GET", "empty"],
  ["MGET", "text", "absent"],
  ["STRLEN", "text"],
  ["EXISTS", "absent"],
  ["HGETALL", "hash"],
  ["HGETALL", "absent"],
  ["HMGET", "hash", "a", "none"],
  ["HRANDFIELD", "single", "1", "WITHVALUES"],
  ["SMEMBERS", "single-set"],
  ["SMISMEMBER", "single-set", "m", "n"],
  ["LRANGE", "list", "0", "-1"],
  ["LPOS", "list", "none"],
  ["ZSCORE", "sorted", "one"],
  ["ZSCORE", "sorted", "none"],
  ["ZRANGE", "sorted", "0", "-1", "WITHSCORES"],
  ["ZADD", "sorted", "XX", "INCR", "0", "half"],
  ["ZMSCORE", "sorted", "one", "none"],
  ["ZRANDMEMBER", "absent"],
  ["GEOPOS", "places", "here", "none"],
  ["INCRBYFLOAT", "float", "0"],
  ["XRANGE", "stream", "-", "+"],
  ["XREAD", "STREAMS", "stream", "0"],
  ["XREAD", "STREAMS", "stream", "9"],
  ["XINFO", "STREAM", "stream"],
  ["CONFIG", "GET", "maxmemory"],
  ["COMMAND", "INFO", "GET"],
  ["CLIENT", "GETNAME"],
  ["OBJECT", "ENCODING", "list"],
  ["TYPE", "hash"],
  ["SCAN", "0", "MATCH", "single"],
  ["HSCAN", "single", "0"],
  ["LCS", "text", "other", "IDX"],
  ["ACL", "GETUSER", "default"],
  ["FUNCTION", "LIST"],
  ["EVAL", "return {1, 'two', {3, false}, 4.5}", "0"],
  ["EVAL", "return false", "0"],
  ["EVAL", "return true", "0"],
  ["EVAL", "redis.setresp(3); return redis.call('HGETALL', KEYS[1])", "1", "single"],
  ["EVAL", "redis.setresp(3); return redis.call('ZSCORE', KEYS[1], 'half')", "1", "sorted"],
  ["EVAL", "return {map = {a = 1}}", "0"],
  ["EVAL", "return {double = 1.5}", "0"],
  ["EVAL", "return {big_number = '12345678901234567890123'}", "0"],
  ["EVAL", "redis.setresp(3); return {set = {a = true}}", "0"],
  ["EVAL", "return {verbatim_string = {string = 'some text', format = 'txt'}}", "0"]
]

const seed = (redis: Service.Redis["Service"], client: RedisService) =>
  Effect.all([
    redis.send("SET", "text", "grüße"),
    redis.send("SET", "other", "grün"),
    redis.send("SET", "empty", ""),
    on(client)(Redis.execute("SET", "bytes", new Uint8Array([0xef, 0xbb, 0xbf, 0xff, 0x61]))),
    redis.send("SET", "float", "10.5"),
    redis.send("HSET", "hash", "a", "1", "b", "2"),
    redis.send("HSET", "single", "field", "value"),
    redis.send("SADD", "single-set", "m"),
    redis.send("RPUSH", "list", "a", "b"),
    redis.send("ZADD", "sorted", "1", "one", "2.5", "half", "inf", "most"),
    redis.send("GEOADD", "places", "13.361389", "38.115556", "here"),
    redis.send("XADD", "stream", "1-0", "field", "value")
  ])

const concat = Service.script((key: string, a: string | number, b: string) => [key, a, b], {
  lua: "return {KEYS[1], ARGV[1], ARGV[2], #KEYS, #ARGV}",
  numberOfKeys: 1
}).withReturnType<ReadonlyArray<unknown>>()

eachServer((it, live) => {
  describe("send", () => {
    it.scoped("replies look as those of the official layer do", () =>
      Effect.gen(function* () {
        const { client, redis } = yield* over(live)
        yield* redis.send("FLUSHALL")
        yield* seed(redis, client)
        const theirs = yield* official(live)
        for (const [command, ...args] of shapes) {
          const what = [command, ...args].join(" ")
          const expected = yield* Effect.result(theirs.send(command, ...args))
          const got = yield* Effect.result(redis.send(command, ...args))
          expect([what, got._tag]).toEqual([what, expected._tag])
          if (got._tag === "Success" && expected._tag === "Success") {
            expect([what, got.success]).toStrictEqual([what, expected.success])
          }
        }
      })
    )

    it.scoped("a field may have any name", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        yield* redis.send("HSET", "names", "__proto__", "1")
        const reply = yield* redis.send<object>("HGETALL", "names")
        expect(Object.entries(reply)).toEqual(
          live.protocol === 3 ? [["__proto__", "1"]] : Object.entries(["__proto__", "1"])
        )
      })
    )

    it.scoped("an integer that a number cannot hold is a bigint", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        yield* redis.send("SET", "large", "9223372036854775806")
        expect(yield* redis.send("INCR", "large")).toBe(9223372036854775807n)
        yield* redis.send("DEL", "large")
      })
    )

    it.scoped("arguments are sent as text; a lone surrogate is stored as U+FFFD, as by the official layer", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        yield* redis.send("set", "n", 42 as never)
        expect(yield* redis.send("GET", "n")).toBe("42")
        yield* redis.send("SET", "lone \ud800", "value \udfff.")
        expect(yield* redis.send("GET", "lone \ufffd")).toBe("value \ufffd.")
        const theirs = yield* official(live)
        expect(yield* theirs.send("GET", "lone \ud800")).toBe("value \ufffd.")
      })
    )

    it.scoped("an error reply is a RedisError whose cause is a ReplyError, inside EXEC too", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        yield* redis.send("SET", "string", "x")
        const error = yield* Effect.flip(redis.send("LPUSH", "string", "y"))
        expect(isService(error)).toBe(true)
        expect(error).toMatchObject({ _tag: "RedisError", cause: { _tag: "ReplyError", code: "WRONGTYPE" } })
        expect(String((yield* Effect.flip(redis.send("EVALSHA", "0".repeat(40), "0"))).cause)).toContain("NOSCRIPT")
        const unknown = yield* Effect.flip(redis.send("NO.SUCH.COMMAND"))
        expect(unknown).toMatchObject({ cause: { _tag: "ReplyError", code: "ERR" } })
      })
    )

    it.scoped("refuses commands that would change the shared connection", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        for (const [name, ...args] of [["SELECT", "1"], ["MULTI"], ["WATCH", "k"], ["SUBSCRIBE", "c"]] as const) {
          const error = yield* Effect.flip(redis.send(name, ...args))
          expect([name, error]).toMatchObject([name, { cause: { _tag: "UsageError" } }])
        }
        expect(yield* redis.send("CLIENT", "INFO")).toContain(" db=0 ")
      })
    )

    it.scoped("a blocking command delays no other, and is given up by the server when its fiber is interrupted", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const blocked = Effect.map(redis.send<string>("INFO", "clients"), (info) => info.includes("blocked_clients:1"))
        const waiting = yield* Effect.forkChild(redis.send("BLPOP", "nothing", "0"))
        yield* until("the server blocks a client", blocked)
        expect(yield* redis.send("PING")).toBe("PONG")
        yield* Fiber.interrupt(waiting)
        yield* until(
          "the server blocks no client",
          Effect.map(blocked, (is) => !is)
        )
        const popped = yield* Effect.forkChild(redis.send("BLPOP", "nothing", "0"))
        yield* redis.send("RPUSH", "nothing", "something")
        expect(yield* Fiber.join(popped)).toEqual(["nothing", "something"])
      })
    )

    it.scoped("an effect can be run again", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const next = redis.send<number>("INCR", "again")
        yield* redis.send("DEL", "again")
        expect([yield* next, yield* next, yield* next]).toEqual([1, 2, 3])
      })
    )
  })

  describe("eval", () => {
    it.scoped("sends the source once, and the SHA1 from then on, also after SCRIPT FLUSH", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const run = redis.eval(concat)
        for (let flushed = 0; flushed < 2; flushed++) {
          yield* redis.send("SCRIPT", "FLUSH")
          yield* redis.send("CONFIG", "RESETSTAT")
          for (let i = 0; i < 5; i++) {
            expect(yield* run("key", i, "b")).toEqual(["key", String(i), "b", 1, 2])
          }
          expect([yield* callsOf(redis, "eval"), yield* callsOf(redis, "evalsha")]).toEqual([1, 5])
        }
      })
    )

    it.scoped("counts keys by the arguments, and sends what is no text as text", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const script = Service.script((...all: ReadonlyArray<unknown>) => all, {
          lua: "return {KEYS, ARGV}",
          numberOfKeys: (...all) => all.length - 1
        }).withReturnType<ReadonlyArray<unknown>>()
        const run = redis.eval(script)
        expect(yield* run("a", "b", 1.5)).toEqual([["a", "b"], ["1.5"]])
        expect(yield* run(true)).toEqual([[], ["true"]])
        expect(yield* run("lone \ud800", 12n)).toEqual([["lone \ufffd"], ["12"]])
      })
    )

    it.scoped("a script's error is a RedisError, and the script runs once", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        yield* redis.send("DEL", "runs")
        const failing = redis.eval(
          Service.script((key: string) => [key], {
            lua: "redis.call('INCR', KEYS[1]); return redis.error_reply('NOPE not this')",
            numberOfKeys: 1
          })
        )
        expect(yield* Effect.flip(failing("runs"))).toMatchObject({ cause: { _tag: "ReplyError", code: "NOPE" } })
        expect(yield* redis.send("GET", "runs")).toBe("1")
      })
    )

    it.scoped("its keys get no prefix, as those of send", () =>
      Effect.gen(function* () {
        const { client } = yield* over(live)
        const all = Effect.gen(function* () {
          const redis = yield* Service.Redis
          const set = Service.script((key: string) => [key], {
            lua: "redis.call('SET', KEYS[1], 'by script')",
            numberOfKeys: 1
          })
          yield* redis.eval(set)("prefixed?")
          return yield* redis.send("GET", "prefixed?")
        })
        const { host, port } = yield* RedisServer.RedisServer
        const built = Effect.provide(all, EffectRedis.layer).pipe(
          Redis.withPrefix("app:"),
          Effect.provide(Redis.layer({ host, port }))
        )
        expect(yield* built).toBe("by script")
        expect(yield* on(client)(Redis.execute("DEL", "prefixed?"))).toBe(1)
      })
    )
  })

  describe("subscribe", () => {
    it.scoped("gives the messages that are published after it returned", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const news = yield* redis.subscribe("news")
        expect(yield* redis.send("PUBLISH", "news", "first")).toBe(1)
        expect(yield* Queue.take(news)).toEqual({ channel: "news", message: "first" })
      })
    )

    it.scoped("loses no message to a slow taker", () =>
      Effect.gen(function* () {
        const { client, redis } = yield* over(live)
        const many = yield* redis.subscribe("many")
        yield* publish(client, "many", 20_000)
        const got: Array<string> = []
        while (got.length < 20_000) {
          got.push(...(yield* Queue.takeAll(many)).map(({ message }) => message))
        }
        expect(got).toEqual(Array.from({ length: 20_000 }, (_, i) => String(i)))
      })
    )

    it.scoped("a message that is not UTF-8 is given with U+FFFD, and the next one after it", () =>
      Effect.gen(function* () {
        const { client, redis } = yield* over(live)
        const news = yield* redis.subscribe("bytes")
        yield* on(client)(Redis.execute("PUBLISH", "bytes", new Uint8Array([0x61, 0xff])))
        yield* redis.send("PUBLISH", "bytes", "text")
        expect(yield* Queue.take(news)).toEqual({ channel: "bytes", message: "a\ufffd" })
        expect(yield* Queue.take(news)).toEqual({ channel: "bytes", message: "text" })
      })
    )

    it.scoped("goes on after a disconnect", () => {
      const { layer, lines } = warnings()
      return Effect.gen(function* () {
        const { redis } = yield* over(live)
        const news = yield* redis.subscribe("news")
        yield* redis.send("CLIENT", "KILL", "TYPE", "pubsub")
        yield* until(
          "it is subscribed again",
          Effect.map(redis.send("PUBLISH", "news", "again"), (receivers) => receivers === 1)
        )
        expect(yield* Queue.take(news)).toEqual({ channel: "news", message: "again" })
        expect(lines.join()).toContain("may have been missed")
      }).pipe(Effect.provide(layer))
    })

    it.scoped("ends with its scope: the server has no subscriber, and takers are interrupted", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const scope = yield* Scope.make()
        const news = yield* Scope.provide(redis.subscribe("short"), scope)
        const taker = yield* Effect.forkChild(Queue.take(news))
        yield* Scope.close(scope, Exit.void)
        expect(Exit.hasInterrupts(yield* Fiber.await(taker))).toBe(true)
        yield* until(
          "nobody is subscribed",
          Effect.map(redis.send<ReadonlyArray<unknown>>("PUBSUB", "NUMSUB", "short"), (reply) =>
            JSON.stringify(reply).includes("0")
          )
        )
      })
    )

    it.scoped("a subscription that the server refuses fails the queue", () =>
      Effect.gen(function* () {
        const { redis: admin } = yield* over(live)
        yield* admin.send("ACL", "SETUSER", "deaf", "on", "nopass", "+@all", "~*", "resetchannels")
        const { redis } = yield* over(live, { username: "deaf", password: Redacted.make("any") })
        const news = yield* redis.subscribe("secret")
        expect(yield* Effect.flip(Queue.take(news))).toMatchObject({
          _tag: "RedisError",
          cause: { _tag: "ReplyError", code: "NOPERM" }
        })
      })
    )

    it.scoped("fails the queue when the client is closed, after the messages that wait", () =>
      Effect.gen(function* () {
        const outer = yield* Effect.scope
        const client = yield* Scope.make()
        const { redis } = yield* Scope.provide(over(live), client)
        const news = yield* Scope.provide(redis.subscribe("news"), outer)
        yield* redis.send("PUBLISH", "news", "last")
        expect(yield* Queue.take(news)).toEqual({ channel: "news", message: "last" })
        yield* Scope.close(client, Exit.void)
        expect(yield* Effect.flip(Queue.take(news))).toMatchObject({
          _tag: "RedisError",
          cause: { _tag: "ConnectionError", reason: "closed" }
        })
      })
    )
  })

  describe("reserve", () => {
    it.scoped("lends a connection of its own, which is as new when it is lent again", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const shared = yield* redis.send("CLIENT", "ID")
        yield* redis.send("DEL", "in-one", "in-zero")
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const own = yield* redis.reserve
            yield* own.send("SELECT", "1")
            yield* own.send("MULTI")
            expect(yield* own.send("SET", "in-one", "1")).toBe("QUEUED")
            yield* own.send("LPUSH", "in-one", "wrong")
            const [ok, error] = yield* own.send<ReadonlyArray<unknown>>("EXEC")
            expect(ok).toBe("OK")
            expect(error).toBeInstanceOf(Error)
            expect(error).toMatchObject({ code: "WRONGTYPE", message: expect.stringContaining("WRONGTYPE") })
            expect(yield* own.eval(concat)("k", "a", "b")).toEqual(["k", "a", "b", 1, 2])
            return yield* own.send("CLIENT", "ID")
          })
        )
        expect(first).not.toBe(shared)
        const own = yield* redis.reserve
        yield* own.send("SET", "in-zero", "0")
        expect(yield* redis.send("EXISTS", "in-zero", "in-one")).toBe(1)
        expect(yield* own.send("CLIENT", "INFO")).toContain(" db=0 ")
      })
    )

    it.scoped("a connection whose command was interrupted, or is unfinished, is not lent again", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const ids = new Set<unknown>()
        const blocked = Effect.map(redis.send<string>("INFO", "clients"), (info) => info.includes("blocked_clients:1"))
        const unblocked = until(
          "the server blocks nobody",
          Effect.map(blocked, (is) => !is)
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const own = yield* redis.reserve
            ids.add(yield* own.send("CLIENT", "ID"))
            const waiting = yield* Effect.forkChild(own.send("BLPOP", "never", "0"))
            yield* until("it blocks", blocked)
            yield* Fiber.interrupt(waiting)
          })
        )
        yield* unblocked
        const unfinished = yield* Effect.scoped(
          Effect.gen(function* () {
            const own = yield* redis.reserve
            ids.add(yield* own.send("CLIENT", "ID"))
            const waiting = yield* Effect.forkDetach(own.send("BLPOP", "never", "0"))
            yield* until("it blocks", blocked)
            return waiting
          })
        )
        expect(failure(yield* Fiber.await(unfinished))).toMatchObject({ _tag: "RedisError" })
        yield* unblocked
        const own = yield* redis.reserve
        ids.add(yield* own.send("CLIENT", "ID"))
        expect(ids.size).toBe(3)
      })
    )

    it.scoped("after its scope a connection is not usable", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live)
        const own = yield* Effect.scoped(redis.reserve)
        expect(isService(yield* Effect.flip(own.send("PING")))).toBe(true)
      })
    )

    it.scoped("waits for a connection, up to acquireTimeout", () =>
      Effect.gen(function* () {
        const { redis } = yield* over(live, { maxDedicated: 1, acquireTimeout: "50 millis" })
        // On a busy machine connecting takes longer.
        yield* Effect.retry(redis.reserve, { while: isService })
        expect(yield* Effect.flip(Effect.scoped(redis.reserve))).toMatchObject({
          _tag: "RedisError",
          cause: { _tag: "DeadlineError", phase: "acquire" }
        })
      })
    )
  })

  describe("what Effect builds on it", () => {
    const services = (name: "ours" | "official") =>
      Effect.flatMap(RedisServer.RedisServer, ({ host, port }) =>
        Layer.build(
          Layer.mergeAll(
            Persistence.layerRedis,
            PersistedQueue.layer.pipe(Layer.provide(PersistedQueue.layerStoreRedis({ prefix: `q-${name}:` }))),
            RateLimiter.layer.pipe(Layer.provideMerge(RateLimiter.layerStoreRedis({ prefix: `r-${name}:` }))),
            CircuitBreaker.layerStoreRedis({ prefix: `c-${name}:`, probeLease: "200 millis" })
          ).pipe(
            Layer.provide(
              (name === "ours"
                ? layerOf({ host, port, protocol: live.protocol })
                : NodeRedis.layer({ socket: { host, port }, RESP: live.protocol })) as Layer.Layer<Service.Redis>
            )
          )
        )
      )

    for (const name of ["ours", "official"] as const) {
      const describeLayer = (tests: () => void) =>
        describe(`over ${name === "ours" ? "our" : "the official"} layer`, tests)
      describeLayer(() => {
        const breaker = (options: Partial<Parameters<typeof CircuitBreaker.make>[0]> = {}) =>
          Effect.flatMap(services(name), (context) =>
            Effect.provide(
              CircuitBreaker.make({
                tripPolicy: CircuitBreaker.consecutive(2),
                openDuration: "1 hour",
                onStoreError: "fail",
                ...options
              }),
              context
            )
          )
        let next = 0
        const newKey = () => `circuit:${live.protocol}:${next++}`

        it.scoped("CircuitBreaker: closed until so many failures in a row, then open for all processes", () =>
          Effect.gen(function* () {
            const [one, two] = [yield* breaker(), yield* breaker()]
            const key = newKey()
            const bad = one.execute(Effect.fail("bad"), { key })
            expect(yield* one.state(key)).toEqual({ _tag: "Closed", key })
            expect(yield* Effect.flip(bad)).toBe("bad")
            expect(yield* one.execute(Effect.succeed("good"), { key })).toBe("good")
            expect(yield* Effect.flip(bad)).toBe("bad")
            expect(yield* one.state(key)).toEqual({ _tag: "Closed", key })
            expect(yield* Effect.flip(bad)).toBe("bad")
            expect(yield* two.state(key)).toMatchObject({ _tag: "Open", key, consecutiveOpenings: 1 })
            const refused = yield* Effect.flip(two.execute(Effect.succeed("not run"), { key }))
            expect(refused).toMatchObject({ _tag: "CircuitBreakerError", reason: { _tag: "CircuitOpen", key } })
          })
        )

        it.scoped("CircuitBreaker: one probe when the time is over; its success closes, its failure opens again", () =>
          Effect.gen(function* () {
            const circuit = yield* breaker({ openDuration: "30 millis", tripPolicy: CircuitBreaker.consecutive(1) })
            const key = newKey()
            yield* Effect.flip(circuit.execute(Effect.fail("bad"), { key }))
            const halfOpen = Effect.map(circuit.state(key), (state) => state._tag === "HalfOpen")
            const running = yield* Effect.forkChild(
              Effect.retry(circuit.execute(Effect.never, { key }), Schedule.spaced("5 millis"))
            )
            yield* until("the probe runs", halfOpen)
            expect(yield* Effect.flip(circuit.execute(Effect.succeed(1), { key }))).toMatchObject({
              reason: { _tag: "CircuitHalfOpen", key }
            })
            yield* Fiber.interrupt(running)
            expect(yield* Effect.flip(circuit.execute(Effect.fail("again"), { key }))).toBe("again")
            expect(yield* circuit.state(key)).toMatchObject({ _tag: "Open", consecutiveOpenings: 2 })
            yield* until(
              "a call is admitted",
              Effect.map(
                Effect.result(circuit.execute(Effect.succeed("well"), { key })),
                ({ _tag }) => _tag === "Success"
              )
            )
            expect(yield* circuit.state(key)).toEqual({ _tag: "Closed", key })
          })
        )

        it.scoped("CircuitBreaker: a rate of failures opens it", () =>
          Effect.gen(function* () {
            const circuit = yield* breaker({
              tripPolicy: CircuitBreaker.rate({ threshold: 0.5, size: 4, minimumCalls: 4 })
            })
            const key = newKey()
            for (const good of [true, false, true]) {
              yield* Effect.exit(circuit.execute(good ? Effect.void : Effect.fail("bad"), { key }))
            }
            expect(yield* circuit.state(key)).toEqual({ _tag: "Closed", key })
            yield* Effect.exit(circuit.execute(Effect.fail("bad"), { key }))
            expect(yield* circuit.state(key)).toMatchObject({ _tag: "Open" })
          })
        )

        it.scoped("CircuitBreaker: a lease of a probe is renewed while it runs", () =>
          Effect.gen(function* () {
            const circuit = yield* breaker({ openDuration: "1 millis", tripPolicy: CircuitBreaker.consecutive(1) })
            const key = newKey()
            yield* Effect.flip(circuit.execute(Effect.fail("bad"), { key }))
            const release = yield* Deferred.make<void>()
            const running = yield* Effect.forkChild(
              Effect.retry(circuit.execute(Deferred.await(release), { key }), Schedule.spaced("5 millis"))
            )
            const { redis } = yield* over(live)
            const lease = Effect.map(redis.send("HGET", `c-${name}:${key}`, "leaseUntil"), Number)
            yield* until(
              "the probe has its lease",
              Effect.map(lease, (end) => end > 0)
            )
            const first = yield* lease
            yield* until(
              "the lease was renewed",
              Effect.map(lease, (end) => end > first)
            )
            yield* Deferred.succeed(release, undefined)
            yield* Fiber.join(running)
            expect(yield* circuit.state(key)).toEqual({ _tag: "Closed", key })
          })
        )

        it.scoped("RateLimiter: a 429 begins a cooldown for all processes, and learning after it", () =>
          Effect.gen(function* () {
            const store = Context.get(yield* services(name), RateLimiter.RateLimiterStore)
            const other = Context.get(yield* services(name), RateLimiter.RateLimiterStore)
            const key = `adaptive:${live.protocol}`
            const consume = { key, tokens: 1, fallbackLimit: 5, fallbackWindow: Duration.minutes(1) }
            const first = yield* store.adaptiveConsume(consume)
            expect(first).toMatchObject({ epoch: 0, phase: "inactive" })
            const retryAfter = Duration.millis(300)
            yield* store.adaptiveFeedback({ key, epoch: first.epoch, tokens: 1, status: 429, retryAfter })
            const cooling = yield* other.adaptiveConsume(consume)
            if (cooling.phase === "cooldown") {
              expect(Duration.toMillis(cooling.delay)).toBeLessThanOrEqual(300)
            }
            yield* until(
              "it learns",
              Effect.map(other.adaptiveConsume(consume), ({ epoch, phase }) => epoch === 1 && phase === "learning")
            )
          })
        )

        it.scoped("PersistedQueue, RateLimiter and Persistence keep what they are given", () =>
          Effect.gen(function* () {
            const context = yield* services(name)
            yield* Effect.gen(function* () {
              const queue = yield* PersistedQueue.make({ name: `lone ${live.protocol}`, schema: Schema.String })
              yield* queue.offer("payload \ud800", { id: "id \udfff" })
              yield* queue.offer("payload \ud800", { id: "id \udfff" })
              expect(yield* queue.take((value, { id }) => Effect.succeed([value, id]))).toHaveLength(2)
              const store = yield* (yield* Persistence.Persistence).make({ storeId: `store ${name} ${live.protocol}` })
              const [one, two] = [new Lookup({ id: 1 }), new Lookup({ id: 2 })]
              yield* store.set(one, Exit.succeed("one"))
              yield* store.setMany([[two, Exit.fail("absent")]])
              expect(yield* store.getMany([one, two, new Lookup({ id: 3 })])).toEqual([
                Exit.succeed("one"),
                Exit.fail("absent"),
                undefined
              ])
              yield* store.clear
              expect(yield* store.get(one)).toBeUndefined()
              const limiter = yield* RateLimiter.RateLimiter
              for (const algorithm of ["fixed-window", "token-bucket"] as const) {
                const consume = limiter.consume({
                  algorithm,
                  onExceeded: "fail",
                  window: "1 hour",
                  limit: 2,
                  key: `${algorithm}:${live.protocol}`
                })
                expect((yield* consume).remaining).toBe(1)
                expect((yield* consume).remaining).toBe(0)
                expect(yield* Effect.flip(consume)).toMatchObject({ reason: { _tag: "RateLimitExceeded" } })
              }
            }).pipe(Effect.provide(context))
          })
        )
      })
    }
  })
})

describe("with a scripted peer", () => {
  plain.live("a lost connection is a RedisError whose cause says whether the command may have been executed", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: Peer.greeting((command, connection) => {
          if (command[0] === "INCR") connection.reset()
          return command[0] === "INCR" ? undefined : "+OK\r\n"
        })
      })
      const { redis } = yield* build({ host: "127.0.0.1", port: peer.port })
      expect(yield* Effect.flip(redis.send("INCR", "n"))).toMatchObject({
        _tag: "RedisError",
        cause: { _tag: "ConnectionError", delivery: "unknown" }
      })
      expect(yield* redis.send("SET", "a", "b")).toBe("OK")
    })
  )

  plain.live("a double that cannot be read fails the command", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "*2\r\n:1\r\n,abc\r\n") })
      const { redis } = yield* build({ host: "127.0.0.1", port: peer.port })
      expect(yield* Effect.flip(redis.send("MODULE.DOUBLE"))).toMatchObject({ cause: { _tag: "DecodeError" } })
    })
  )
})

eachServer((it, live) => {
  it.scoped("commands wait while the server restarts; a subscription that gives up fails its queue", () =>
    Effect.gen(function* () {
      const running = yield* makeServer(live.server)
      const { host, port } = running
      const { redis } = yield* build({ host, port, protocol: live.protocol, replyTimeout: "30 seconds" })
      const { redis: giving } = yield* build({
        host,
        port,
        protocol: live.protocol,
        reconnect: Schedule.max([quickly, Schedule.recurs(3)])
      })
      const news = yield* giving.subscribe("news")
      yield* redis.send("SET", "before", "1")
      yield* running.kill
      const waiting = yield* Effect.forkChild(redis.send("SET", "during", "1"))
      expect(yield* Effect.flip(Queue.take(news))).toMatchObject({
        _tag: "RedisError",
        cause: { _tag: "ConnectionError" }
      })
      yield* running.start
      expect(yield* Fiber.join(waiting)).toBe("OK")
      yield* promptly(redis.send("PING"))
    })
  )
})
