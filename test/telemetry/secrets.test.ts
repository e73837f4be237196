/**
 * What spans and metrics show: in these programs every argument of every command is the mark in turn, the server quotes it in
 * its answers, and every span is kept. The mark is in no name, attribute, event, link, error or label, except that keys are in
 * `db.query.text` where a program asks for them. The name of a function (FCALL) and the SHA1 of a script are shown by design.
 */
import * as util from "node:util"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { Connection, Redis, type RedisCommand, type RedisError, RedisPubSub } from "effect-redis-client"
import { Argument } from "../../src/internal/command/args.js"
import { reword } from "../../src/internal/command/command.js"
import type { RedisOptions } from "../../src/Redis.js"
import { leaks, mark } from "../security/support/witness.js"
import { on } from "../support/client.js"
import { failures, metrics, prettyWithCauses } from "../support/effect.js"
import * as Peer from "../support/peer.js"
import { samples } from "../support/samples.js"
import { type Kept, keepingTracer } from "../support/tracer.js"

type Command = RedisCommand.RedisCommand<unknown>

/** Each call of a command with the mark in place of one argument that is not a word of Redis. */
const marked: ReadonlyArray<{ readonly command: Command; readonly kind: string }> = samples.flatMap((command) =>
  command.args.flatMap(({ data, kind }, at) =>
    kind === "token" || (command.traits.script === "function" && at === 0)
      ? []
      : [typeof data === "string" ? mark : new TextEncoder().encode(mark)].map((data) => ({
          kind,
          command: reword(command, { args: command.args.map((old, i) => (i === at ? new Argument(kind, data) : old)) })
        }))
  )
)

/** A script that answers an error whose code is the mark. */
const madeUp = "return redis.error_reply(redis.call('GET', 'secret'))"

/** Answers commands that have the mark by quoting it: as part of an error, as its code, and as a value. */
const quoting = (): Peer.Script => {
  let count = 0
  const usual = Peer.greeting(([name]) => (name === "EXEC" ? "-EXECABORT Transaction discarded\r\n" : "+OK\r\n"))
  return {
    // Otherwise the replies to a pipeline wait for each other.
    onConnect: ({ socket }) => socket.setNoDelay(true),
    onCommand: (words, connection) => {
      const quoted = words.filter((word) => word.includes(mark))
      if (words.includes(madeUp)) {
        return `-${mark.toUpperCase()} of a script\r\n`
      }
      if (quoted.length === 0) {
        return usual(words, connection)
      }
      const text = quoted.join(" ").replace(/[\r\n]/g, " ")
      return [
        `-ERR '${text}' is wrong, near ${text}\r\n`,
        `-${text} said the script\r\n`,
        `-WRONGTYPE ${text}\r\n`,
        `$${text.length}\r\n${text}\r\n`
      ][count++ % 4]
    }
  }
}

/** Everything of a span that is exported, apart from the text of its query. */
const shown = ({ attributes, events, links, name, status }: Kept): string =>
  [
    name,
    util.inspect([[...attributes].filter(([key]) => key !== "db.query.text"), events, links], { depth: 20 }),
    ...(status._tag === "Ended" && Exit.isFailure(status.exit)
      ? [
          prettyWithCauses(status.exit.cause),
          ...failures(status.exit.cause).map(
            (error) => `${JSON.stringify(error)} ${util.inspect({ ...Object(error) })}`
          )
        ]
      : [])
  ].join("\n")

/** The raw text of the server, which an error keeps redacted. */
const rawOf = (exit: Exit.Exit<unknown, RedisError.RedisError>): string =>
  (Exit.isFailure(exit) ? failures(exit.cause) : [])
    .map((error) => (error._tag === "ReplyError" ? Redacted.value(error.raw) : ""))
    .join()

const leaksOf = (spans: ReadonlyArray<Kept>): ReadonlyArray<string> => spans.map(shown).filter(leaks)

const textOf = ({ attributes }: Kept): string => String(attributes.get("db.query.text") ?? "")

/** Names and labels of the metrics of this process that show the mark. */
const leaksOfMetrics = Effect.map(metrics, (all) =>
  all.map(({ description, name, tags }) => JSON.stringify([name, tags, description])).filter(leaks)
)

const telemetry = { spans: "all", metrics: { commands: true } } as const

describe.each(["off", "shape", "keys"] as const)("with queryText: %s", (queryText) => {
  const options = (peer: Peer.Peer): RedisOptions => ({
    host: "127.0.0.1",
    port: peer.port,
    telemetry: { ...telemetry, queryText }
  })

  it.scopedLive("no argument of any command is shown, unless it is a key that was asked for", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(quoting())
      const { spans, tracer } = keepingTracer()
      const found: Array<string> = []
      let quotes = 0
      let keys = 0
      let seen = 0
      /** Looks at the spans of what was run, and forgets them. */
      const look = (what: string, isKey: boolean): void => {
        seen += spans.length
        found.push(...leaksOf(spans).map((text) => `${what}: ${text}`))
        for (const text of spans.map(textOf).filter(leaks)) {
          if (queryText === "keys" && isKey) {
            keys++
          } else {
            found.push(`${what}: ${text}`)
          }
        }
        spans.length = 0
      }
      yield* Effect.withTracer(
        Effect.gen(function* () {
          const redis = yield* Redis.make(options(peer))
          const pipelined: Array<Command> = []
          for (const { command, kind } of marked) {
            const isKey = kind === "key" || kind === "keyPrefix" || kind === "pattern"
            let exit = yield* Effect.exit(redis.send(command))
            const refused = Exit.isFailure(exit) && failures(exit.cause).some(({ _tag }) => _tag === "UsageError")
            if (refused) {
              look(command.name, isKey)
              // A connection of its own sends what a client refuses, because it changes the connection.
              const own = Effect.flatMap(Connection.make(options(peer)), (connection) => connection.execute(command))
              exit = yield* Effect.exit(Effect.scoped(own))
            } else if (command.traits.blocking === undefined) {
              pipelined.push(command)
            }
            look(command.name, isKey)
            quotes += rawOf(exit).includes(mark) ? 1 : 0
          }
          for (let at = 0; at < pipelined.length; at += 10) {
            const commands = pipelined.slice(at, at + 10)
            yield* Effect.exit(redis.sendAll(commands, { atomic: false }))
            yield* Effect.exit(redis.sendAll(commands, { atomic: true }))
            look("a pipeline or a transaction", true)
          }
        }),
        tracer
      )
      expect(found).toEqual([])
      expect(yield* leaksOfMetrics).toEqual([])
      // Otherwise the test would prove nothing.
      expect(marked.length).toBeGreaterThan(700)
      expect(seen).toBeGreaterThan(marked.length)
      expect(quotes).toBeGreaterThan(marked.length / 2)
      expect(keys > 0).toBe(queryText === "keys")
    })
  )

  it.scopedLive("nor are arguments and names of commands by name, the source of a script, channels and messages", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(quoting())
      const { spans, tracer } = keepingTracer()
      yield* Effect.withTracer(
        Effect.gen(function* () {
          const redis = yield* Redis.make(options(peer))
          for (const words of [
            ["SET", mark, mark],
            ["CONFIG", "SET", "requirepass", mark],
            ["MYMODULE.DO", mark]
          ]) {
            const [name = "", ...args] = words
            yield* Effect.exit(redis.send(Redis.execute(name, ...args)))
          }
          yield* Effect.exit(redis.send(Redis.execute("EVAL", `return redis.error_reply('${mark}')`, 0, mark)))
          yield* Effect.exit(redis.send(Redis.execute("EVALSHA", mark, 0)))
          yield* Effect.exit(redis.send(Redis.execute("FCALL", `${mark} ${mark}`, 0)))
          yield* Effect.exit(redis.send(Redis.publish(mark, mark)))
          expect(leaksOf(spans)).toEqual([])
          expect(spans.map(textOf).filter(leaks)).toEqual([])
          expect(spans.map(({ name }) => name)).toContain("FCALL")
          // Its name may come from data.
          yield* Effect.exit(redis.send(Redis.execute(mark, mark)))
          expect(spans.at(-1)?.name).toBe("OTHER")
          expect(leaks(util.inspect([...(spans.at(-1)?.attributes ?? [])]))).toBe(false)
          // Its error shows the code, as errors do; nothing that is searched or counted by does.
          yield* Effect.exit(redis.send(Redis.execute("EVAL", madeUp, 0)))
          expect(spans.at(-1)?.attributes.get("error.type")).toBe("ReplyError")
          expect(leaks(util.inspect([...(spans.at(-1)?.attributes ?? [])]))).toBe(false)
        }),
        tracer
      )
      expect(yield* leaksOfMetrics).toEqual([])
    })
  )
})

describe("with all spans", () => {
  it.scopedLive("a channel and its messages are not shown", () =>
    Effect.gen(function* () {
      const push = (kind: string, last: string): string => `>3\r\n+${kind}\r\n$${mark.length}\r\n${mark}\r\n${last}\r\n`
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name], { write }) => {
          if (name === "SUBSCRIBE") {
            write(push("subscribe", ":1"))
            return push("message", `+${mark}`)
          }
          return "+OK\r\n"
        })
      })
      const { spans, tracer } = keepingTracer()
      const payload = yield* RedisPubSub.stream(mark).pipe(
        Stream.runHead,
        Effect.provide(RedisPubSub.layer({ host: "127.0.0.1", port: peer.port, telemetry })),
        Effect.withTracer(tracer)
      )
      expect(Option.map(payload, ({ payload }) => payload)).toEqual(Option.some(mark))
      expect(spans.map(({ name }) => name)).toContain("CONNECT")
      expect(leaksOf(spans)).toEqual([])
      expect(yield* leaksOfMetrics).toEqual([])
    })
  )

  it.scopedLive("credentials are not shown: not those of a URL, and not when the server refuses and repeats them", () =>
    Effect.gen(function* () {
      for (const answer of [`-WRONGPASS ${mark} for ${mark}`, `-ERR AUTH ${mark} ${mark}`, `-${mark} no`, `+${mark}`]) {
        const peer = yield* Peer.make({ onCommand: () => `${answer}\r\n` })
        const { spans, tracer } = keepingTracer()
        const url = `redis://${mark}:${mark}@127.0.0.1:${peer.port}`
        for (const options of [
          { url },
          { url, protocol: 2 },
          { host: "127.0.0.1", port: peer.port, username: mark, password: Redacted.make(mark) },
          { host: "127.0.0.1", port: peer.port, credentials: Effect.succeed({ password: Redacted.make(mark) }) }
        ] as ReadonlyArray<RedisOptions>) {
          const exit = yield* Redis.make({ ...options, telemetry, reconnect: Schedule.recurs(0) }).pipe(
            Effect.scoped,
            Effect.timeout("10 seconds"),
            Effect.exit,
            Effect.withTracer(tracer)
          )
          expect(Exit.isFailure(exit)).toBe(true)
        }
        expect(spans.map(({ name }) => name)).toContain("CONNECT")
        expect(peer.connections.flatMap(({ received }) => received.flat()).join()).toContain(mark)
        expect(leaksOf(spans)).toEqual([])
      }
      expect(yield* leaksOfMetrics).toEqual([])
    })
  )

  it.scopedLive("nor are they when a command is sent again, or its caller goes away", () =>
    Effect.gen(function* () {
      const refused = new Set<string | undefined>()
      const isFirst = (name: string | undefined): boolean => !refused.has(name) && refused.add(name) !== undefined
      const peer = yield* Peer.make({
        onCommand: Peer.greeting(([name], connection) => {
          if (name === "GET" && isFirst(name)) {
            return `-LOADING ${mark} is loading the dataset ${mark}\r\n`
          }
          if (name === "MGET" && isFirst(name)) {
            connection.reset()
            return undefined
          }
          return name === "SET" ? undefined : "+OK\r\n"
        })
      })
      const { spans, tracer } = keepingTracer()
      const redis = yield* Redis.make({
        host: "127.0.0.1",
        port: peer.port,
        telemetry: { ...telemetry, queryText: "shape" }
      })
      const run = on(redis)
      yield* Effect.withTracer(
        Effect.gen(function* () {
          yield* Effect.exit(run(Redis.get(mark)))
          yield* Effect.exit(run(Redis.mget([mark])))
          const waiting = yield* Effect.fork(run(Redis.set(mark, mark)))
          yield* Peer.eventually("it was sent", () =>
            peer.connections.flatMap(Peer.sent).some((line) => line.startsWith("SET"))
          )
          yield* Fiber.interrupt(waiting)
        }),
        tracer
      )
      expect(new Set(spans.flatMap(({ events }) => events.map(({ name }) => name)))).toEqual(new Set(["redis.retry"]))
      expect(leaksOf(spans)).toEqual([])
      expect(spans.map(textOf).filter(leaks)).toEqual([])
      expect(yield* leaksOfMetrics).toEqual([])
    })
  )
})
