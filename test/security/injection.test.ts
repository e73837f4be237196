/**
 * Data stays data: CR, LF, NUL and text that looks like RESP, in keys, values, names, channels, sources and URLs, and
 * names of properties that every JavaScript object has.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Codec, Connection, Redis, RedisCommand, RedisScript } from "effect-redis-client"
import type { RedisOptions } from "../../src/Redis.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on } from "../support/client.js"
import * as Peer from "../support/peer.js"

const raw = (name: string, ...args: ReadonlyArray<RedisCommand.ArgumentInput>) => RedisCommand.make(name, { args })

/** Texts that would end a line, a string or a command in a protocol that marks their ends. */
const hostile = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  "a\r\nFLUSHALL\r\n",
  "\r\n*1\r\n$8\r\nFLUSHALL\r\n",
  "*1\r\n$8\r\nFLUSHALL\r\n",
  "$8\r\nFLUSHALL\r\n",
  "+OK\r\n-ERR\r\n",
  "a b\tc\vd",
  "\"quoted\" 'twice' `thrice`",
  "\\r\\n\\0\\x00",
  "%0d%0aFLUSHALL%0d%0a",
  "\u2028\u2029\u0085",
  "é\r\n✓\0🎈",
  "\ufeff",
  ""
]
const bytes = new Uint8Array(256).map((_, i) => i)

eachServer((it, { connect, protocol }) => {
  it.scoped("keys, values, fields, members and sources return unchanged, and no other command ran", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      yield* redis.send(raw("FLUSHALL", "SYNC"))
      yield* redis.send(raw("CONFIG RESETSTAT"))
      yield* run(Redis.set("sentinel", "untouched"))
      for (const text of hostile) {
        yield* run(Redis.set(`k:${text}`, text))
        expect(yield* run(Redis.get(`k:${text}`))).toEqual(Option.some(text))
        yield* run(Redis.hset(`h:${text}`, { [`f${text}`]: text }))
        expect({ ...(yield* run(Redis.hgetall(`h:${text}`))) }).toEqual({ [`f${text}`]: text })
        yield* run(Redis.sadd(`s:${text}`, [text, "other"]))
        expect(yield* run(Redis.smembers(`s:${text}`))).toContain(text)
        expect(yield* run(Redis.echo(text))).toBe(text)
        expect(yield* redis.send(raw("EVAL", "return {KEYS[1], ARGV[1]}", 1, `k:${text}`, text))).toEqual([
          `k:${text}`,
          text
        ])
        const [one, two] = yield* run(Redis.pipeline([Redis.get(`k:${text}`), Redis.echo(text)]))
        expect([one, two]).toEqual([Option.some(text), text])
        const found = yield* run(Redis.transaction({ [`slot${text}`]: Redis.get(`k:${text}`) }))
        expect(found[`slot${text}`]).toEqual(Option.some(text))
      }
      const script = RedisScript.make({
        source: "-- a\r\n-- b\n-- \0 c\nreturn 7",
        keys: 0,
        args: [],
        result: Schema.Int
      })
      expect(yield* run(script())).toBe(7)
      const binary = Redis.withCodec(Codec.bytes)
      yield* run(binary.set(bytes, bytes))
      expect(yield* run(binary.get(bytes))).toEqual(Option.some(bytes))
      expect(yield* run(Redis.get("sentinel"))).toEqual(Option.some("untouched"))
      expect(String(yield* redis.send(raw("INFO", "commandstats")))).not.toMatch(/cmdstat_flushall/)
    })
  )

  it.scoped("channels and messages return unchanged", () =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const publisher = yield* connect()
      const subscriber = yield* Connection.make({ host, port, protocol })
      const channels = hostile.map((text) => `c:${text}`)
      const reading = yield* subscriber.pushes.pipe(
        Stream.filter(({ kind }) => kind === "message"),
        Stream.take(channels.length),
        Stream.runCollect,
        Effect.fork
      )
      yield* Effect.yieldNow()
      yield* subscriber.execute("SUBSCRIBE", ...channels)
      for (const channel of channels) {
        expect(yield* publisher.send(raw("PUBLISH", channel, channel))).toBe(1)
      }
      const received = [...(yield* Fiber.join(reading))].map(({ items }) => items.slice(1))
      expect(received).toEqual(channels.map((channel) => [channel, channel]))
    })
  )

  it.scoped("users and passwords log in, from options and percent-encoded in URLs", () =>
    Effect.gen(function* () {
      const { host, port } = yield* RedisServer.RedisServer
      const admin = yield* connect()
      for (const password of hostile.filter((text) => text !== "")) {
        yield* admin.send(raw("ACL SETUSER", "default", "resetpass", `>${password}`))
        const byOption = yield* Connection.make({ host, port, protocol, password: Redacted.make(password) })
        expect(yield* byOption.execute("PING")).toBe("PONG")
        const url = `redis://default:${encodeURIComponent(password)}@${host}:${port}?protocol=${protocol}`
        const byUrl = yield* Connection.make({ url })
        expect(yield* byUrl.execute("PING")).toBe("PONG")
        yield* admin.send(raw("ACL SETUSER", "default", "nopass"))
        // These names are not users, so the server refuses them and nothing else happens.
        const username = `u${password}`
        for (const options of [
          { host, port, protocol, username, password: Redacted.make(password) },
          { url: `redis://${encodeURIComponent(username)}:${encodeURIComponent(password)}@${host}:${port}` }
        ]) {
          const error = failure(yield* Effect.exit(Effect.scoped(Connection.make(options))))
          expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
        }
      }
    })
  )

  it.scoped("names such as constructor and __proto__ are ordinary names", () =>
    Effect.gen(function* () {
      const redis = yield* connect()
      const run = on(redis)
      yield* redis.send(raw("FLUSHALL", "SYNC"))
      const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf", "then"]
      const entry = (name: string): [string, string] => [name, `value of ${name}`]
      const [first = "", ...others] = names
      const fields = [entry(first), ...others.map(entry)] as const
      yield* run(Redis.hset("h", fields))
      const record = yield* run(Redis.hgetall("h"))
      expect(Object.entries(record).sort()).toEqual([...fields].sort())
      const reply = yield* redis.send(raw("HGETALL", "h"))
      expect(JSON.stringify(reply)).toContain("value of constructor")
      for (const name of names) {
        yield* run(Redis.set(name, name))
        expect(yield* run(Redis.get(name))).toEqual(Option.some(name))
        const batch = yield* run(Redis.pipeline({ [name]: Redis.get(name), other: Redis.get("nothing") }))
        expect(Object.getOwnPropertyDescriptor(batch, name)?.value).toEqual(Option.some(name))
        const error = failure(yield* Effect.exit(run(Redis.pipeline({ [name]: Redis.llen(name) }))))
        expect(error).toMatchObject({ _tag: "PipelineError", at: name })
        // Such a name as a setting, a section and a command.
        expect(Object.keys(yield* run(Redis.configGet(name)))).toEqual([])
        yield* redis.send(raw("INFO", name))
        const unknown = failure(yield* Effect.exit(redis.send(raw(name, name))))
        expect(unknown).toMatchObject({ _tag: "ReplyError", code: "ERR" })
        yield* redis.send(raw("XADD", "x", "*", name, name))
      }
      const entries = yield* run(Redis.xrange("x", "-", "+"))
      expect(entries.map(({ fields }) => Object.keys(fields as object))).toEqual(names.map((name) => [name]))
      const json = Redis.withCodec(Codec.json)
      yield* run(Redis.set("json", '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'))
      expect(Object.keys(Option.getOrThrow(yield* run(json.get("json"))) as object)).toEqual([
        "__proto__",
        "constructor"
      ])
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
    })
  )
})

/** Answers the handshake of RESP2, too. */
const greeting: Peer.Script["onCommand"] & {} = (words, peer) =>
  words[1] === "ID" ? ":7\r\n" : Peer.greeting()(words, peer)

describe("bytes on the wire", () => {
  const text = FastCheck.string({
    unit: FastCheck.constantFrom(
      "\r",
      "\n",
      "\0",
      "*",
      "$",
      "+",
      "-",
      ":",
      "1",
      "8",
      "a",
      " ",
      '"',
      "\\",
      "é",
      "✓",
      "🎈"
    ),
    maxLength: 20
  })

  it.scopedLive("every argument arrives as one word, unchanged", () =>
    Effect.gen(function* () {
      const { peer, redis } = yield* connectTo({ onCommand: Peer.greeting() })
      const sent: Array<ReadonlyArray<string>> = []
      for (const args of FastCheck.sample(FastCheck.array(text, { minLength: 1, maxLength: 5 }), 500)) {
        sent.push(["SET", ...args])
        yield* redis.send(raw("SET", ...args))
      }
      expect(peer.connections[0]?.received.filter(([name]) => name === "SET")).toEqual(sent)
      expect(peer.connections.length).toBe(1)
    })
  )

  it.scopedLive("user and password arrive unchanged in the handshake, from options and from a URL", () =>
    Effect.gen(function* () {
      for (const word of hostile.filter((text) => text !== "")) {
        for (const protocol of [2, 3] as const) {
          const { peer } = yield* connectTo(
            { onCommand: greeting },
            { protocol, username: word, password: Redacted.make(word) }
          )
          expect(peer.connections[0]?.received[0]).toEqual(
            protocol === 3 ? ["HELLO", "3", "AUTH", word, word] : ["AUTH", word, word]
          )
          const server = yield* Peer.make({ onCommand: greeting })
          const encoded = encodeURIComponent(word)
          yield* Connection.make({ url: `redis://${encoded}:${encoded}@127.0.0.1:${server.port}?protocol=${protocol}` })
          expect(server.connections[0]?.received[0]).toEqual(peer.connections[0]?.received[0])
        }
      }
    })
  )

  it.scopedLive("a command's name arrives as one word, whatever characters it has", () =>
    Effect.gen(function* () {
      const { peer, redis } = yield* connectTo({ onCommand: greeting })
      for (const name of ["GET\r\nFLUSHALL", "GET\0", "*1\r\n$8\r\nFLUSHALL"]) {
        yield* Effect.exit(redis.send(raw(name, "k")))
      }
      yield* redis.send(raw("PING"))
      const received = peer.connections.flatMap(({ received }) => received).filter(([name]) => name !== "HELLO")
      expect(received.filter(([name]) => name === "FLUSHALL")).toEqual([])
      expect(received.at(-1)).toEqual(["PING"])
    })
  )
})

describe("an argument that cannot be sent is refused by its name", () => {
  it.scopedLive("client names, hosts and paths are refused before anything is connected", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: greeting })
      const base = { host: "127.0.0.1", port: peer.port }
      const at = `127.0.0.1:${peer.port}`
      for (const [options, what] of [
        ...["a b", "a\r\nb", "a\n", "\0", "\t", "é", "a\u2028"].flatMap(
          (name): ReadonlyArray<readonly [RedisOptions, RegExp]> => [
            [{ ...base, clientName: name }, /clientName/],
            [{ url: `redis://${at}?client_name=${encodeURIComponent(name)}` }, /client_name/]
          ]
        ),
        [{ ...base, host: "127.0.0.1\r\nFLUSHALL" }, /host must be/],
        [{ ...base, host: "127.0.0.1\0" }, /host must be/],
        [{ url: `redis://127.0.0.1%0d%0a:${peer.port}` }, /host|URL/],
        [{ url: `redis://127.0.0.1%00:${peer.port}` }, /host|URL/],
        [{ path: "/run/redis.sock\0" }, /path must be/],
        [{ url: "unix:///run/redis.sock%00" }, /path must be/],
        [{ ...base, tls: { serverName: "a\r\nb" } }, /tls\.serverName/]
      ] as ReadonlyArray<readonly [RedisOptions, RegExp]>) {
        for (const make of [Redis.make(options), Connection.make(options)]) {
          const error = failure(yield* Effect.exit(Effect.scoped(make as Effect.Effect<unknown, never>)))
          expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
          expect((error as Error).message).toMatch(what)
        }
      }
      expect(peer.connections).toEqual([])
    })
  )

  it.scopedLive("text that UTF-8 cannot encode is refused, and nothing of the command is sent", () =>
    Effect.gen(function* () {
      const { commands, redis, run } = yield* connectTo({ onCommand: greeting })
      const broken = "a\uD800b"
      for (const effect of [
        Redis.set(broken, "v"),
        Redis.set("k", broken),
        Redis.publish(broken, "v"),
        Redis.publish("c", broken),
        raw("EVAL", `return '${broken}'`, 0),
        Redis.pipeline([Redis.ping(), Redis.get(broken)]),
        Redis.transaction([Redis.incr("n"), Redis.get(broken)])
      ] as ReadonlyArray<Effect.Effect<unknown, unknown, Redis>>) {
        const error = failure(yield* Effect.exit(run(effect)))
        expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
        expect((error as Error).message).toMatch(/lone surrogate/)
      }
      const connection = yield* redis.lease
      const error = failure(yield* Effect.exit(connection.send(raw("SUBSCRIBE", broken))))
      expect(error).toMatchObject({ _tag: "UsageError", reason: "invalidArgument" })
      expect(commands()).toEqual([])
      for (const options of [{ username: broken, password: Redacted.make("p") }, { password: Redacted.make(broken) }]) {
        const peer = yield* Peer.make({ onCommand: greeting })
        const refused = failure(
          yield* Effect.exit(Effect.scoped(Connection.make({ host: "127.0.0.1", port: peer.port, ...options })))
        )
        expect(refused).toMatchObject({ _tag: "UsageError" })
        expect(peer.connections.flatMap(({ received }) => received)).toEqual([])
      }
    })
  )
})
