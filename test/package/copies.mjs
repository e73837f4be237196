/**
 * Runs the ES modules of the built package beside its CommonJS, in one process, against a server: the client of one and the
 * commands, transactions, scripts and Streams of the other. Prints one line for each case, which ends with `ok` when it holds.
 *
 *     node copies.mjs <folder of the package> <port>
 */

import { createRequire } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { isDeepStrictEqual } from "node:util"
import * as esmEffect from "effect"

const [home, port] = process.argv.slice(2)
const require = createRequire(import.meta.url)
const esm = { ...(await import(pathToFileURL(path.join(home, "dist/esm/index.js")).href)), effect: esmEffect }
const cjs = { ...require(path.join(home, "dist/cjs/index.js")), effect: require("effect") }
if (esm.Redis === cjs.Redis) throw new Error("there is only one copy")

/** The cases: `client` is one copy, `other` the other. Each is an Effect that succeeds with what it found, and what it should. */
const cases = (client, other, protocol, prefix) => {
  const { Chunk, Effect, Equal, Exit, Fiber, Layer, Option, Stream } = client.effect
  const options = { host: "127.0.0.1", port: Number(port), protocol, replyTimeout: "30 seconds" }
  const { Redis, RedisCommand, RedisError, RedisPubSub, RedisScript, Codec, Pool, Resp } = other
  const key = (name) => `${prefix}:${name}`
  const tagOf = (effect) => Effect.map(Effect.flip(effect), (error) => error._tag)
  const layer = client.Redis.layer(options)
  const withClient = (effect) => Effect.provide(Effect.scoped(effect), layer)
  const countUp = RedisScript.make({
    source: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
    keys: 1,
    args: [other.effect.Schema.Int],
    result: other.effect.Schema.Int
  })

  return {
    commands: [
      withClient(
        Effect.gen(function* () {
          yield* Redis.hset(key("h"), { a: "1" })
          yield* Redis.sadd(key("s"), ["m"])
          return [
            { ...(yield* Redis.hgetall(key("h"))) },
            yield* Redis.smembers(key("s")),
            (yield* Redis.execute("INFO", "server")).includes("run_id"),
            Option.getOrThrow(yield* Redis.hget(key("h"), "a")),
            yield* client.Redis.execute("HGET", RedisCommand.key(key("h")), RedisCommand.value("a")),
            yield* Redis.exists("h").pipe(Redis.withPrefix(`${prefix}:`)),
            yield* Redis.blpop(key("none"), { timeout: "10 millis" }).pipe(Effect.map(Option.isNone)),
            Chunk.toReadonlyArray(yield* Stream.runCollect(Redis.sscanStream(key("s")))),
            (yield* Effect.flatMap(RedisCommand.undecoded(Redis.hgetall(key("h"))), (reply) =>
              client.RedisCommand.decode(Redis.hgetall(key("h")), reply)
            )).a
          ]
        })
      ),
      [{ a: "1" }, ["m"], true, "1", "1", 1, true, ["m"], "1"]
    ],
    "commands that cannot be sent": [
      withClient(
        Effect.all([
          tagOf(Redis.incrby(key("n"), 1.5)),
          tagOf(Redis.pipeline([Redis.ping(), Redis.incrby(key("n"), 1.5)])),
          tagOf(Redis.transaction([Redis.incrby(key("n"), 1.5)])),
          Effect.flatMap(client.Redis, ({ lease }) => lease).pipe(
            Effect.flatMap((redis) => tagOf(redis.send(Redis.incrby(key("n"), 1.5))))
          ),
          Redis.ping()
        ])
      ),
      ["UsageError", "UsageError", "UsageError", "UsageError", "PONG"]
    ],
    "errors by their code": [
      withClient(
        Effect.gen(function* () {
          yield* Redis.set(key("text"), "x")
          const caught = (copy, command) =>
            copy.RedisError.catchCode(command, "WRONGTYPE", () => Effect.succeed("caught"))
          return [
            yield* caught(other, client.Redis.lpop(key("text"))),
            yield* caught(client, Redis.lpop(key("text"))),
            RedisError.isRedisError(yield* Effect.flip(client.Redis.lpop(key("text"))))
          ]
        })
      ),
      ["caught", "caught", true]
    ],
    "replies that do not decode": [
      withClient(
        Effect.gen(function* () {
          yield* Redis.set(key("text"), "x")
          return yield* Effect.all([
            tagOf(Redis.withCodec(Codec.schema(other.effect.Schema.Int)).get(key("text"))),
            tagOf(RedisScript.make({ source: "return 'x'", keys: 0, result: other.effect.Schema.Int })())
          ])
        })
      ),
      ["DecodeError", "DecodeError"]
    ],
    "pipelines and transactions": [
      withClient(
        Effect.gen(function* () {
          yield* Redis.del([key("n"), key("text")])
          yield* Redis.set(key("text"), "x")
          return [
            yield* Redis.pipeline([Redis.incr(key("n")), client.Redis.incr(key("n"))]),
            yield* Redis.transaction({ a: Redis.incr(key("n")), b: Redis.hgetall(key("nothing")) }).pipe(
              Effect.map(({ a, b }) => [a, Object.keys(b)])
            ),
            yield* tagOf(Redis.pipeline([Redis.lpop(key("text"))])),
            yield* Effect.map(Effect.flip(Redis.transaction([Redis.lpop(key("text"))])), ({ reason }) => reason)
          ]
        })
      ),
      [[1, 2], [3, []], "PipelineError", "failed"]
    ],
    scripts: [
      withClient(
        Effect.gen(function* () {
          yield* Redis.del(key("c"))
          yield* Redis.scriptFlush()
          return [
            yield* countUp(key("c"), 1),
            yield* Redis.pipeline([countUp(key("c"), 1), countUp(key("c"), 1)]),
            yield* Redis.transaction([countUp(key("c"), 1)])
          ]
        })
      ),
      [1, [2, 3], [4]]
    ],
    "optimistic transactions": [
      withClient(
        Effect.gen(function* () {
          const rival = yield* client.Redis.make(options)
          let runs = 0
          const body = Effect.gen(function* () {
            const before = yield* Redis.get(key("o"))
            runs++
            if (runs === 1) yield* rival.send(client.Redis.set(key("o"), "rival"))
            return Redis.transaction([Redis.append(key("o"), `+${Option.getOrElse(before, () => "")}`)])
          })
          yield* Redis.del(key("o"))
          const results = yield* Redis.optimistic(key("o"), body)
          // The connection is lost under WATCH: the whole runs again.
          let lost = 0
          const again = Effect.gen(function* () {
            lost++
            if (lost === 1) yield* rival.send(client.Redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
            yield* Redis.get(key("o"))
            return Redis.transaction([Redis.get(key("o"))])
          })
          const [value] = yield* Redis.optimistic(key("o"), again)
          return [runs, results, lost, Option.getOrThrow(value)]
        })
      ),
      [2, [11], 2, "rival+rival"]
    ],
    "a worker that starts a second time": [
      withClient(
        Effect.gen(function* () {
          const seen = []
          const start = Effect.gen(function* () {
            const worker = yield* Effect.fork(
              other.RedisStream.worker({ stream: key("w"), group: "g", consumer: "c", create: "all" }, (entry) =>
                Effect.sync(() => seen.push(entry.fields.n))
              )
            )
            const count = seen.length
            yield* other.RedisStream.add(key("w"), { n: String(count) })
            yield* Effect.repeat(Effect.sleep("5 millis"), {
              until: () => seen.length > count || worker.unsafePoll() !== null
            })
            const exit = yield* Fiber.interrupt(worker)
            return Exit.isInterrupted(exit)
          })
          return [yield* start, yield* start, seen]
        })
      ),
      [true, true, ["0", "1"]]
    ],
    subscriptions: [
      withClient(
        Effect.gen(function* () {
          const news = yield* RedisPubSub.withGaps.subscribe(key("news"))
          yield* Redis.publish(key("news"), "one")
          const rest = yield* Effect.fork(Stream.runCollect(Stream.take(news, 3)))
          yield* Redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
          yield* Effect.repeat(Effect.zipRight(Effect.sleep("5 millis"), Redis.publish(key("news"), "two")), {
            until: (listeners) => listeners > 0
          })
          const elements = Chunk.toReadonlyArray(yield* Fiber.join(rest))
          return elements.map((element) => (RedisPubSub.isGap(element) ? element.reason : element.payload))
        })
      ),
      ["one", "disconnected", "two"]
    ],
    pools: [
      Effect.provide(
        Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Pool.acquire
            return [
              yield* connection.execute(Redis.ping()),
              yield* Effect.provide(Redis.ping(), Redis.layerFromPool),
              yield* Effect.provide(Redis.pipeline([Redis.ping()]), Redis.layerFromPool)
            ]
          })
        ),
        client.Pool.layer(options)
      ),
      ["PONG", "PONG", ["PONG"]]
    ],
    "a connection as the client": [
      Effect.provide(Redis.ping(), Redis.layerFromConnection.pipe(Layer.provide(client.Connection.layer(options)))),
      "PONG"
    ],
    "test doubles": [
      Effect.provide(
        Effect.gen(function* () {
          return [
            (yield* Effect.flip(client.Redis.get("k"))).code,
            yield* Effect.map(client.Redis.hgetall("h"), Object.keys)
          ]
        }),
        client.Redis.layerTest(({ name }) =>
          Effect.succeed(name === "GET" ? Resp.error("WRONGTYPE x") : Resp.map([["a", "1"]]))
        )
      ),
      ["WRONGTYPE", ["a"]]
    ],
    "further servers, by a tag": [
      Effect.provide(Redis.ping().pipe(Redis.using(tag(client))), client.Redis.layerAs(tag(other), options)),
      "PONG"
    ],
    equality: [
      Effect.sync(() => [
        Equal.equals(client.Redis.get("k"), Redis.get("k")),
        client.RedisCommand.isRedisCommand(Redis.get("k"))
      ]),
      [false, true]
    ]
  }
}

const tag = (copy) => copy.Redis.Tag("copies/Sessions")()

let failed = 0
for (const [name, client, other] of [
  ["ESM client, CJS commands", esm, cjs],
  ["CJS client, ESM commands", cjs, esm]
]) {
  for (const protocol of [2, 3]) {
    const prefix = `${name[0]}${protocol}`
    for (const [title, [effect, expected]] of Object.entries(cases(client, other, protocol, prefix))) {
      const exit = await client.effect.Effect.runPromiseExit(client.effect.Effect.timeout(effect, "20 seconds"))
      const ok = exit._tag === "Success" && isDeepStrictEqual(exit.value, expected)
      failed += ok ? 0 : 1
      console.log(
        `${name}, RESP${protocol}: ${title}: ${ok ? "ok" : exit._tag === "Success" ? JSON.stringify(exit.value) : String(exit.cause)}`
      )
    }
  }
}
process.exitCode = failed === 0 ? 0 : 1
