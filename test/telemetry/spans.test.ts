/** Spans of requests, as a tracer of the program sees them: one golden text for each kind of request and of ending. */
import { describe, expect, it, layer } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Redis, type RedisCommand, RedisPubSub, RedisScript } from "effect-redis-client"
import { forkerIn } from "../../src/internal/effect/fork.js"
import type { RedisOptions } from "../../src/Redis.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { quickly } from "../support/client.js"
import * as Peer from "../support/peer.js"
import { realServers, serverLayer } from "../support/servers.js"
import { line, parentName, traced } from "../support/spans.js"
import { type Kept, keepingTracer } from "../support/tracer.js"

const doubled = RedisScript.make({
  source: "return tonumber(ARGV[1]) * 2",
  keys: 0,
  args: [Schema.Int],
  result: Schema.Int
})

/** What commands of every span have in common. */
const at = "db.namespace=0"
const host = "server.address=127.0.0.1 server.port=PORT"

describe.each(realServers)("on $name", (server) => {
  const redis = Layer.unwrapEffect(
    Effect.map(RedisServer.RedisServer, ({ host, port }) => Redis.layer({ host, port }))
  ).pipe(Layer.provideMerge(serverLayer(server)))

  layer(redis)("a span of", (it) => {
    it.scoped("a command is a child of the caller's span, and has the conventions' names", () =>
      Effect.gen(function* () {
        const { lines, spans } = yield* traced(Effect.zipRight(Redis.set("k", "v"), Redis.get("k")))
        expect(lines).toEqual([
          `client SET ok ${at} db.operation.name=SET db.system.name=redis ${host}`,
          `client GET ok ${at} db.operation.name=GET db.system.name=redis ${host}`
        ])
        expect(spans.map(parentName)).toEqual(["none", "request", "request"])
        expect(spans.map(({ ends }) => ends)).toEqual([1, 1, 1])
      })
    )

    it.scoped("a command that the server refuses has its code, and fails", () =>
      Effect.gen(function* () {
        yield* Redis.del("n")
        yield* Redis.set("text", "v")
        const { lines } = yield* traced(Redis.lpush("text", "v"))
        expect(lines).toEqual([
          `client LPUSH failed ${at} db.operation.name=LPUSH db.response.status_code=WRONGTYPE db.system.name=redis ` +
            `error.type=WRONGTYPE ${host}`
        ])
      })
    )

    it.scoped("a pipeline is one, with its size; a failed command of it is an event", () =>
      Effect.gen(function* () {
        yield* Redis.set("text", "v")
        const { lines } = yield* traced(
          Effect.gen(function* () {
            yield* Redis.pipeline([Redis.get("a"), Redis.get("b")])
            yield* Redis.pipeline([Redis.get("a")])
            yield* Redis.pipeline([])
            yield* Redis.pipeline([Redis.get("a"), Redis.lpush("text", "v"), Redis.incr("n")], { mode: "either" })
          })
        )
        expect(lines).toEqual([
          `client PIPELINE GET ok ${at} db.operation.batch.size=2 db.operation.name=PIPELINE GET db.system.name=redis ${host}`,
          `client GET ok ${at} db.operation.name=GET db.system.name=redis ${host}`,
          `client PIPELINE ok ${at} db.operation.batch.size=3 db.operation.name=PIPELINE db.system.name=redis ${host} ` +
            `redis.error{"index":1,"error.type":"WRONGTYPE"}`
        ])
      })
    )

    it.scoped("a transaction is one, and a script has its SHA1", () =>
      Effect.gen(function* () {
        const { lines } = yield* traced(
          Effect.gen(function* () {
            yield* Redis.transaction([Redis.set("a", "1"), Redis.incr("a")])
            yield* doubled(21)
            yield* doubled(21)
          })
        )
        expect(lines[0]).toBe(
          `client MULTI ok ${at} db.operation.batch.size=2 db.operation.name=MULTI db.system.name=redis ${host}`
        )
        expect(lines.slice(1).map((line) => line.replace(/[0-9a-f]{40}/, "SHA1"))).toEqual([
          `client EVALSHA failed ${at} db.operation.name=EVALSHA db.response.status_code=NOSCRIPT ` +
            `db.stored_procedure.name=SHA1 db.system.name=redis error.type=NOSCRIPT ${host}`,
          `client EVAL ok ${at} db.operation.name=EVAL db.system.name=redis ${host}`,
          `client EVALSHA ok ${at} db.operation.name=EVALSHA db.stored_procedure.name=SHA1 db.system.name=redis ${host}`
        ])
      })
    )

    it.scoped("a blocking command is one, also over several waits", () =>
      Effect.gen(function* () {
        const { lines } = yield* traced(
          Effect.gen(function* () {
            const waiting = yield* Effect.fork(Redis.blpop("list", { timeout: "10 seconds" }))
            yield* Effect.zipRight(Effect.yieldNow(), Redis.rpush("list", "v"))
            yield* Fiber.join(waiting)
          })
        )
        expect(lines.filter((line) => line.includes("BLPOP"))).toEqual([
          `client BLPOP ok ${at} db.operation.name=BLPOP db.system.name=redis redis.blocking=true ${host}`
        ])
      })
    )
  })
})

describe("without a real server", () => {
  const make = (peer: Peer.Peer, options: RedisOptions = {}) =>
    Redis.make({ host: "127.0.0.1", port: peer.port, ...options })

  it.scoped("a caller that is interrupted ends its span at once, and the late reply adds nothing", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.silent)
      const redis = yield* make(peer)
      const { spans, tracer } = keepingTracer()
      const fiber = yield* Effect.fork(
        redis.send(Redis.get("k")).pipe(Effect.withSpan("request"), Effect.withTracer(tracer))
      )
      yield* Peer.eventually("it was sent", () => peer.connections.flatMap(Peer.sent).length === 1)
      yield* Fiber.interrupt(fiber)
      peer.connections[0]?.write("$1\r\nv\r\n")
      expect(spans.filter(({ name }) => name === "GET").map(line)).toEqual([
        `client GET interrupted ${at} db.operation.name=GET db.system.name=redis ${host}`
      ])
      expect(spans.map(({ ends }) => ends)).toEqual([1, 1])
    })
  )

  it.scoped("a command that is sent again after a lost connection has one span, with the retry as an event", () =>
    Effect.gen(function* () {
      let gets = 0
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name], connection) => {
          if (name === "GET" && gets++ === 0) {
            connection.reset()
            return undefined
          }
          return "$1\r\nv\r\n"
        })
      })
      const redis = yield* make(peer)
      const { lines } = yield* traced(redis.send(Redis.get("k")))
      expect(lines).toEqual([
        `client GET ok ${at} db.operation.name=GET db.system.name=redis redis.client.retries=1 ${host} ` +
          `redis.retry{"reason":"disconnected"}`
      ])
    })
  )

  it.scoped("a command that waits for its connection says for how many milliseconds", () =>
    Effect.gen(function* () {
      const late = 20
      const peer = yield* Peer.make({
        onCommand: (words, connection) => {
          const answer = Peer.greeting(() => "$1\r\nv\r\n")(words, connection)
          if (words[0] !== "HELLO") {
            return answer
          }
          // Later replies would overtake this one, so the socket waits too.
          connection.socket.cork()
          setTimeout(() => connection.socket.uncork(), late)
          return answer
        }
      })
      const redis = yield* make(peer, { lazy: true })
      const { spans } = yield* traced(redis.send(Redis.get("k")))
      // Timers may be a millisecond early.
      expect(spans.at(-1)?.attributes.get("redis.client.queued")).toBeGreaterThanOrEqual(late - 2)
    })
  )

  it.scoped("a pipeline that gets no reply fails, with at most 32 events", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.silent)
      const redis = yield* make(peer, { replyTimeout: "50 millis" })
      const all = Array.from({ length: 40 }, () => Redis.incr("k"))
      const { spans } = yield* traced(redis.sendAll(all, { atomic: false }))
      expect(line(spans[1] as Kept)).toMatch(/^client PIPELINE INCR failed .*error\.type=DeadlineError\.reply/)
      expect(spans[1]?.events).toHaveLength(32)
    })
  )

  it.scoped("what a client does in the background has none, also when it was built in a span", () =>
    Effect.gen(function* () {
      const { spans, tracer } = keepingTracer()
      const scope = yield* Effect.scope
      const fork = yield* Effect.withTracer(Effect.withSpan(forkerIn(scope), "startup"), tracer)
      const found = yield* Fiber.join(fork(Effect.option(Effect.currentSpan)))
      expect([spans.length, Option.isNone(found)]).toEqual([1, true])
    })
  )

  it.scoped("a deadline that passes says how far the command came", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(Peer.silent)
      const redis = yield* make(peer, { replyTimeout: "50 millis" })
      const { lines } = yield* traced(redis.send(Redis.incr("k")))
      expect(lines).toEqual([
        `client INCR failed ${at} db.operation.name=INCR db.system.name=redis error.type=DeadlineError.reply ` +
          `redis.client.delivery=unknown ${host}`
      ])
    })
  )

  it.scoped("each kind of failure has its type, and whether the command may have been executed", () =>
    Effect.gen(function* () {
      const answers: Readonly<Record<string, string | undefined>> = {
        GET: "+OK\r\n:x\r\n",
        INCR: "$3\r\nabc\r\n",
        LPUSH: "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        SADD: "-MYCODE secret\r\n",
        TTL: "!!\r\n"
      }
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name = ""], connection) => {
          if (name === "APPEND") {
            connection.end()
          }
          return answers[name]
        })
      })
      const failing = (command: RedisCommand.RedisCommand<unknown>, options: RedisOptions = {}) =>
        Effect.gen(function* () {
          const redis = yield* make(peer, options)
          const { exit, lines } = yield* traced(redis.send(command))
          const error = Exit.isFailure(exit) ? Option.getOrThrow(Cause.failureOption(exit.cause)) : undefined
          return [error?._tag, lines[0]?.replace(` db.system.name=redis`, "").replace(` ${host}`, "")]
        }).pipe(Effect.scoped)
      const span = (name: string) => `client ${name} failed ${at} db.operation.name=${name}`
      expect(yield* failing(Redis.incr("k"))).toEqual(["DecodeError", `${span("INCR")} error.type=DecodeError`])
      expect(yield* failing(Redis.lpush("k", "v"))).toEqual([
        "ReplyError",
        `${span("LPUSH")} db.response.status_code=WRONGTYPE error.type=WRONGTYPE`
      ])
      expect(yield* failing(Redis.sadd("k", "v"))).toEqual([
        "ReplyError",
        `${span("SADD")} db.response.status_code=ReplyError error.type=ReplyError`
      ])
      expect(yield* failing(Redis.ttl("k"))).toEqual(["ProtocolError", `${span("TTL")} error.type=ProtocolError`])
      expect(yield* failing(Redis.append("k", "v"))).toEqual([
        "ConnectionError",
        `${span("APPEND")} error.type=ConnectionError.peerClosed redis.client.delivery=unknown`
      ])
      expect(yield* failing(Redis.set("k", "v"), { replyTimeout: "30 millis" })).toEqual([
        "DeadlineError",
        `${span("SET")} error.type=DeadlineError.reply redis.client.delivery=unknown`
      ])
    })
  )

  it.scoped("a command for which there is no room fails as such, and so does one that waits for too long unsent", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(Peer.make(Peer.pong))
      const options = { lazy: true, replyTimeout: "60 millis", maxQueuedCommands: 1, reconnect: quickly } as const
      const redis = yield* make(gone, options)
      const { spans } = yield* traced(
        Effect.all([redis.send(Redis.set("a", "v")), redis.send(Redis.set("b", "v"))].map(Effect.exit), {
          concurrency: "unbounded"
        })
      )
      expect(
        spans.slice(1).map(({ attributes }) => [attributes.get("error.type"), attributes.get("redis.client.delivery")])
      ).toEqual([
        ["DeadlineError.queue", "unsent"],
        ["OverflowError.commands", undefined]
      ])
    })
  )

  it.scoped("there is none without a tracer, without a span around the command, or when that is not sampled", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "$1\r\nv\r\n") })
      const redis = yield* make(peer)
      const { spans, tracer } = keepingTracer()
      yield* redis.send(Redis.get("k")).pipe(Effect.withTracer(tracer))
      yield* redis.send(Redis.get("k")).pipe(Effect.withSpan("request"))
      expect(spans).toEqual([])
      const unsampled = yield* traced(redis.send(Redis.get("k")), () => false)
      expect(unsampled.lines).toEqual([])
      const disabled = yield* traced(redis.send(Redis.get("k")).pipe(Effect.withTracerEnabled(false)))
      expect(disabled.lines).toEqual([])
    })
  )

  it.scoped("with spans: all, a command without a span around it has one, and so does the attempt to connect", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "$1\r\nv\r\n") })
      const { spans, tracer } = keepingTracer()
      yield* Effect.withTracer(
        Effect.gen(function* () {
          const redis = yield* make(peer, { telemetry: { spans: "all" } })
          yield* redis.send(Redis.get("k"))
        }),
        tracer
      )
      expect(spans.map(line)).toEqual([
        `client CONNECT ok ${at} db.operation.name=CONNECT db.system.name=redis ${host}`,
        `client GET ok ${at} db.operation.name=GET db.system.name=redis ${host}`
      ])
    })
  )

  it.scoped("the options choose the text, the system, further attributes, and what has no span", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "+OK\r\n") })
      const off = yield* make(peer, { telemetry: { spans: "off" } })
      expect((yield* traced(off.send(Redis.set("k", "v")))).lines).toEqual([])
      const shape = yield* make(peer, {
        telemetry: {
          queryText: "shape",
          system: "valkey",
          attributes: { "peer.service": "sessions" },
          exclude: ["ping"]
        }
      })
      const shaped = yield* traced(
        Effect.zipRight(shape.send(Redis.set("secret", "v", { ex: "1 minute" })), shape.send(Redis.ping()))
      )
      expect(shaped.lines).toEqual([
        `client SET ok ${at} db.operation.name=SET db.query.text=SET ? ? EX ? db.system.name=valkey ` +
          `peer.service=sessions ${host}`
      ])
      const keys = yield* make(peer, { telemetry: { queryText: "keys" } })
      const shown = yield* traced(keys.sendAll([Redis.set("user:1", "v"), Redis.del("user:2")], { atomic: false }))
      expect(shown.spans.at(-1)?.attributes.get("db.query.text")).toBe("SET user:1 ?; DEL user:2")
    })
  )

  it.effect("an option that is wrong fails with what is wrong", () =>
    Effect.gen(function* () {
      const problems: ReadonlyArray<readonly [unknown, string]> = [
        ["off", "telemetry must be an object of options"],
        [{ spans: "some" }, "telemetry.spans must be one of off, child, all"],
        [{ queryText: true }, "telemetry.queryText must be one of off, shape, keys"],
        [{ exclude: "PING" }, "telemetry.exclude must be a list of names of commands"],
        [{ metrics: { commands: 1 } }, "telemetry.metrics.commands must be true or false"],
        [{ nodeSpans: "yes" }, "telemetry.nodeSpans must be true or false"],
        [{ slowAfter: 100 }, 'telemetry.slowAfter must be a duration with its unit, such as "100 millis"'],
        [{ attributes: { a: {} } }, "telemetry.attributes must be texts, numbers, true or false, by their names"]
      ]
      for (const [telemetry, message] of problems) {
        const error = yield* Effect.flip(
          Effect.scoped(Redis.make({ lazy: true, telemetry: telemetry as NonNullable<RedisOptions["telemetry"]> }))
        )
        expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidOptions", message })
      }
    })
  )

  it.scoped("a name that has no typed constructor may come from data, and is OTHER", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "+OK\r\n") })
      const redis = yield* make(peer)
      const { lines } = yield* traced(redis.send(Redis.execute("SECRETNAME", "v")))
      expect(lines).toEqual([`client OTHER ok ${at} db.operation.name=OTHER db.system.name=redis ${host}`])
    })
  )

  it.scoped("annotations and links of the caller are on the span", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: Peer.greeting(() => "$1\r\nv\r\n") })
      const redis = yield* make(peer)
      const { spans } = yield* traced(redis.send(Redis.get("k")).pipe(Effect.annotateSpans("user.id", "42")))
      expect(spans.at(-1)?.attributes.get("user.id")).toBe("42")
    })
  )

  it.scoped("subscriptions, their messages and the client's own PING have no span", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(() => ">3\r\n+subscribe\r\n+news\r\n:1\r\n")
      })
      const { lines } = yield* traced(
        Effect.gen(function* () {
          const messages = yield* RedisPubSub.mailbox("news")
          peer.connections[0]?.write(">3\r\n+message\r\n+news\r\n+hello\r\n")
          yield* messages.take
        }).pipe(Effect.provide(RedisPubSub.layer({ host: "127.0.0.1", port: peer.port })))
      )
      expect(lines).toEqual([])
    })
  )
})
