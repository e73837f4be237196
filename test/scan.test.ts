/** Scans as Streams: complete, without a held connection, without needless pages, and within one run of the server. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Codec, Pool, Redis, RedisCommand } from "effect-redis-client"
import { ConnectionError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on } from "./support/client.js"
import type * as Peer from "./support/peer.js"
import { greeting } from "./support/peer.js"
import { atLeast } from "./support/servers.js"

const flush = RedisCommand.make("FLUSHALL", { args: ["SYNC"] })

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>): Effect.Effect<ReadonlyArray<A>, E, R> =>
  Effect.map(Stream.runCollect(stream), (elements) => Chunk.toReadonlyArray(elements))

const range = (prefix: string, from: number, to: number): Array<string> =>
  Array.from({ length: to - from }, (_, i) => `${prefix}${from + i}`)

/** Sets many keys, a thousand per pipeline. */
const fill = (keys: ReadonlyArray<string>) =>
  Effect.forEach(
    Array.from({ length: Math.ceil(keys.length / 1000) }, (_, i) => keys.slice(i * 1000, i * 1000 + 1000)),
    (some) => Redis.mset(Object.fromEntries(some.map((key) => [key, "v"]))),
    { discard: true }
  )

const novalues = new Set(atLeast({ redis: "7.4", valkey: "8.0" }).map(({ name }) => name))

eachServer(
  (it, { connect, server }) => {
    const start = (...args: Parameters<typeof connect>) =>
      Effect.gen(function* () {
        const redis = yield* connect(...args)
        yield* redis.send(flush)
        return on(redis)
      })

    it.scoped("returns every key that exists throughout, while others come and go", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const staying = range("stay:", 0, 20_000)
        yield* run(fill(staying))
        yield* run(fill(range("go:", 0, 5_000)))
        let pages = 0
        const seen = new Set<string>()
        yield* run(
          Redis.scanStream({ count: 1000 }).pipe(
            Stream.chunks,
            // Adds and deletes thousands of keys between pages, so that the server's table grows and shrinks during the scan.
            Stream.runForEach((page) =>
              Effect.gen(function* () {
                for (const key of page) {
                  seen.add(key)
                }
                const from = pages++ * 1000
                yield* fill(range("come:", from, from + 1000))
                yield* Redis.del(range("go:", from, from + 1000) as [string])
                if (pages % 5 === 0) {
                  yield* Redis.del(range("come:", from - 3000, from) as [string])
                }
              })
            )
          )
        )
        expect(staying.filter((key) => !seen.has(key))).toEqual([])
        expect(pages).toBeGreaterThan(15)
      })
    )

    it.scoped("holds no connection between pages, not even a pool's only one", () =>
      Effect.gen(function* () {
        yield* start()
        const { host, port } = yield* RedisServer.RedisServer
        const pool = Pool.layer({ host, port, minSize: 1, maxSize: 1, acquireTimeout: "20 seconds" })
        const seen = yield* Effect.gen(function* () {
          yield* fill(range("k", 0, 300))
          return yield* collect(
            Redis.scanStream({ count: 100 }).pipe(
              Stream.rechunk(50),
              Stream.tap(() =>
                Effect.zipRight(
                  Effect.scoped(Effect.flatMap(Redis, (redis) => redis.lease)),
                  Redis.optimistic("k0", Effect.succeed(Redis.transaction([])))
                )
              )
            )
          )
        }).pipe(Effect.provide(Redis.layerFromPool), Effect.provide(pool))
        expect(new Set(seen).size).toBe(300)
      })
    )

    it.scoped("filters by pattern and by type; an empty database is an empty Stream", () =>
      Effect.gen(function* () {
        const run = yield* start()
        expect(yield* run(collect(Redis.scanStream()))).toEqual([])
        yield* run(fill([...range("a:", 0, 50), ...range("b:", 0, 50)]))
        yield* run(Redis.sadd("a:set", ["x"]))
        expect(new Set(yield* run(collect(Redis.scanStream({ match: "a:1?" }))))).toEqual(new Set(range("a:", 10, 20)))
        expect(yield* run(collect(Redis.scanStream({ type: "set", count: 5 })))).toEqual(["a:set"])
      })
    )

    it.scoped("scans fields, members and scores", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const names = range("f", 0, 2000)
        yield* run(Redis.hset("hash", Object.fromEntries(names.map((name, i) => [name, `v${i}`]))))
        yield* run(Redis.sadd("set", names as [string]))
        yield* run(Redis.zadd("zset", names.map((name, i) => [name, i] as const) as never))
        const pairs = new Map(yield* run(collect(Redis.hscanStream("hash", { count: 100 }))))
        expect(pairs).toEqual(new Map(names.map((name, i) => [name, `v${i}`])))
        expect(new Set(yield* run(collect(Redis.sscanStream("set", { count: 100 }))))).toEqual(new Set(names))
        const scored = yield* run(collect(Redis.zscanStream("zset", { count: 100 })))
        expect(new Map(scored)).toEqual(new Map(names.map((name, i) => [name, i])))
        expect(yield* run(collect(Redis.sscanStream("set", { match: "f199?" })))).toHaveLength(10)
        expect(yield* run(collect(Redis.zscanStream("missing")))).toEqual([])
        if (novalues.has(server.name)) {
          expect(new Set(yield* run(collect(Redis.hscanStream("hash", { novalues: true, count: 100 }))))).toEqual(
            new Set(names)
          )
        }
        expect(failure(yield* Effect.exit(run(collect(Redis.hscanStream("set")))))).toMatchObject({
          _tag: "ReplyError",
          code: "WRONGTYPE",
          command: "HSCAN"
        })
      })
    )

    it.scoped("a bytes codec returns bytes, keys included", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const bytes = Redis.withCodec(Codec.bytes)
        const odd = new Uint8Array([0xff, 0x00, 0xfe])
        yield* run(bytes.set(odd, odd))
        expect(yield* run(collect(bytes.scanStream()))).toEqual([odd])
        yield* run(bytes.hset(new Uint8Array([1]), [[odd, odd]] as never))
        expect(yield* run(collect(bytes.hscanStream(new Uint8Array([1]))))).toEqual([[odd, odd]])
        yield* run(bytes.sadd(new Uint8Array([2]), [odd]))
        expect(yield* run(collect(bytes.sscanStream(new Uint8Array([2]))))).toEqual([odd])
      })
    )

    it.scoped("under withPrefix returns only the keys with the prefix", () =>
      Effect.gen(function* () {
        const run = yield* start()
        yield* run(fill([...range("mine*:", 0, 30), ...range("mine!:", 0, 30), ...range("theirs:", 0, 30)]))
        const mine = Redis.withPrefix("mine*:")
        expect(new Set(yield* run(mine(collect(Redis.scanStream({ count: 7 })))))).toEqual(
          new Set(range("mine*:", 0, 30))
        )
        expect(new Set(yield* run(mine(collect(Redis.scanStream({ match: "1?" })))))).toEqual(
          new Set(range("mine*:", 10, 20))
        )
        yield* run(Redis.sadd("mine*:set", ["a", "b"]))
        expect([...(yield* run(mine(collect(Redis.sscanStream("set")))))].sort()).toEqual(["a", "b"])
      })
    )

    it.scoped("continues when its connection was killed between two pages of the same server run", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const other = on(yield* connect())
        yield* run(fill(range("k", 0, 1000)))
        const ids = new Set<number>()
        const seen = yield* run(
          collect(
            Redis.scanStream({ count: 100 }).pipe(
              Stream.chunks,
              Stream.tap(() =>
                Effect.gen(function* () {
                  const id = yield* Redis.clientId()
                  ids.add(id)
                  yield* other(RedisCommand.make("CLIENT KILL", { args: ["ID", id] }))
                })
              ),
              Stream.flatMap(Stream.fromIterable)
            )
          )
        )
        expect(new Set(seen).size).toBe(1000)
        expect(ids.size).toBeGreaterThan(5)
      })
    )

    it.scoped("a restart of the server fails the Stream, typed, even if the new connection has the same id", () =>
      Effect.gen(function* () {
        const run = yield* start()
        const runningServer = yield* RedisServer.RedisServer
        yield* run(fill(range("k", 0, 1000)))
        let pages = 0
        const exit = yield* Effect.exit(
          run(
            collect(
              Redis.scanStream({ count: 100 }).pipe(
                Stream.chunks,
                Stream.tap(() =>
                  pages++ === 0
                    ? Effect.gen(function* () {
                        yield* Effect.orDie(runningServer.kill)
                        yield* Effect.orDie(runningServer.start)
                        // Keys and connection are there again: only the server's run id reveals the restart.
                        expect(yield* Redis.dbsize()).toBe(1000)
                      })
                    : Effect.void
                ),
                Stream.flatMap(Stream.fromIterable)
              )
            )
          )
        )
        expect(failure(exit)).toBeInstanceOf(ConnectionError)
        expect(failure(exit)).toMatchObject({ message: expect.stringMatching(/restarted/) })
        expect(pages).toBe(1)
      })
    )
  },
  // Each write reaches the file before its reply is sent, so a kill loses none. "everysec" delays writes while the disk
  // is busy.
  { appendonly: true, config: { appendfsync: "no" } }
)

describe("with a scripted peer", () => {
  const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`
  const info = (run: string) => bulk(`# Server\r\nredis_version:7.0.0\r\nrun_id:${run}\r\n`)
  const page = (cursor: number, ...items: ReadonlyArray<string>) =>
    `*2\r\n${bulk(String(cursor))}*${items.length}\r\n${items.map(bulk).join("")}`

  /** A server with four pages, the last one empty, and a constant run id. `instead` may replace an answer. */
  const scanned = (
    instead: (words: ReadonlyArray<string>, connection: Peer.PeerConnection) => string | "nothing" | undefined = () =>
      undefined
  ): Peer.Script => ({
    onCommand: greeting((words, connection) => {
      const other = instead(words, connection)
      if (other !== undefined) {
        return other === "nothing" ? undefined : other
      }
      const at = Number(words[1])
      return words[0] === "SCAN" ? page((at + 1) % 4, ...(at === 3 ? [] : [`a${at}`, `b${at}`])) : info("run1")
    })
  })
  const all = ["a0", "b0", "a1", "b1", "a2", "b2"]

  const scans = (commands: ReadonlyArray<string>) =>
    commands.filter((words) => words.startsWith("SCAN")).map((words) => words.split(" ")[1])

  it.scoped("sends each page together with the question for the server's run, in one write", () =>
    Effect.gen(function* () {
      const writes: Array<string> = []
      const script = scanned()
      const { commands, run } = yield* connectTo({
        ...script,
        onConnect: ({ socket }) => socket.on("data", (bytes) => writes.push(String(bytes)))
      })
      const greetings = writes.length
      expect(yield* run(collect(Redis.scanStream()))).toEqual(all)
      expect(scans(commands())).toEqual(["0", "1", "2", "3"])
      expect(writes.length - greetings).toBe(4)
    })
  )

  it.scoped("does not ask for a page that the consumer does not want", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(scanned())
      expect(yield* run(collect(Stream.take(Redis.scanStream(), 3)))).toEqual(["a0", "b0", "a1"])
      yield* run(Redis.execute("INFO"))
      expect(scans(commands())).toEqual(["0", "1"])
      expect(yield* run(Stream.runHead(Redis.scanStream()))).toEqual(Option.some("a0"))
      yield* run(Redis.execute("INFO"))
      expect(scans(commands())).toEqual(["0", "1", "0"])
      const exit = yield* Effect.exit(run(Stream.runForEach(Redis.scanStream(), () => Effect.fail("enough"))))
      expect(failure(exit)).toBe("enough")
      expect(scans(commands())).toEqual(["0", "1", "0", "0"])
    })
  )

  for (const [what, cut] of [
    ["a page", ""],
    ["half a page", page(3, "a2", "b2").slice(0, -6)],
    ["the run behind a page", page(3, "a2", "b2")]
  ] as const) {
    it.scoped(`${what} that was lost is retried on the same server run`, () =>
      Effect.gen(function* () {
        let cuts = 0
        const { commands, peer, run } = yield* connectTo(
          scanned(([name, cursor], connection) => {
            if (name === "SCAN" && cursor === "2" && cuts++ < 2) {
              connection.write(cut)
              connection.end()
              return "nothing"
            }
            return undefined
          })
        )
        expect(yield* run(collect(Redis.scanStream()))).toEqual(all)
        expect(scans(commands())).toEqual(["0", "1", "2", "2", "2", "3"])
        expect(peer.connections.length).toBe(3)
      })
    )
  }

  it.scoped("a page that is lost repeatedly fails in the end", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(
        scanned(([name, cursor], connection) => {
          if (name === "SCAN" && cursor === "1") {
            connection.end()
            return "nothing"
          }
          return undefined
        })
      )
      const exit = yield* Effect.exit(run(collect(Redis.scanStream())))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      expect(scans(commands())).toEqual(["0", "1", "1", "1", "1"])
    })
  )

  it.scoped("a page whose own reply breaks the connection is asked for once more", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(
        scanned(([name, cursor]) => (name === "SCAN" && cursor === "1" ? page(2, "a".repeat(2000)) : undefined)),
        { limits: { maxBulkLength: 1000 } }
      )
      const exit = yield* Effect.exit(run(collect(Redis.scanStream())))
      expect(failure(exit)).toMatchObject({ _tag: "ProtocolError", command: "SCAN" })
      expect(scans(commands())).toEqual(["0", "1", "1"])
    })
  )

  it.scoped("a lost page whose retry meets another server run fails the Stream", () =>
    Effect.gen(function* () {
      let runs = 1
      const { commands, peer, run } = yield* connectTo(
        scanned(([name, cursor], connection) => {
          if (name === "SCAN" && cursor === "2" && runs === 1) {
            runs = 2
            connection.end()
            return "nothing"
          }
          return name === "INFO" ? info(`run${runs}`) : undefined
        })
      )
      const seen: Array<string> = []
      const exit = yield* Effect.exit(
        run(Stream.runForEach(Redis.scanStream(), (key) => Effect.sync(() => seen.push(key))))
      )
      const server = `127.0.0.1:${peer.port}`
      expect(failure(exit)).toMatchObject({
        _tag: "ConnectionError",
        command: "SCAN",
        server,
        message: expect.stringMatching(new RegExp(`^SCAN: .*restarted.*server: ${server}, delivery: unknown`))
      })
      expect(seen).toEqual(["a0", "b0", "a1", "b1"])
      expect(scans(commands())).toEqual(["0", "1", "2", "2"])
    })
  )

  it.scoped("a page is never taken with the run id of another server", () =>
    Effect.gen(function* () {
      // The first server answers its page and ends before it answers INFO; the second one is another run.
      const { commands, run } = yield* connectTo(
        scanned((words, connection) => {
          if (words[0] === "INFO" && connection.index === 0) {
            connection.end()
            return "nothing"
          }
          return words[0] === "INFO" ? info("run2") : undefined
        })
      )
      expect(yield* run(collect(Redis.scanStream()))).toEqual(all)
      expect(scans(commands())).toEqual(["0", "0", "1", "2", "3"])
    })
  )

  it.scoped("where INFO is refused, the scan continues without it, and a lost page is a failure", () =>
    Effect.gen(function* () {
      let cuts = 1
      const { commands, run } = yield* connectTo(
        scanned(([name, cursor], connection) => {
          if (name === "INFO") {
            return "-NOPERM this user has no permissions to run the 'info' command\r\n"
          }
          if (name === "SCAN" && cursor === "2" && cuts === 0) {
            cuts++
            connection.end()
            return "nothing"
          }
          return undefined
        })
      )
      expect(yield* run(collect(Redis.scanStream()))).toEqual(all)
      cuts = 0
      const exit = yield* Effect.exit(run(collect(Redis.scanStream())))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      expect(scans(commands())).toEqual(["0", "1", "2", "3", "0", "1", "2"])
    })
  )

  it.scoped("a server error fails the Stream without a retry", () =>
    Effect.gen(function* () {
      const { commands, run } = yield* connectTo(
        scanned(([name, cursor]) => (name === "SCAN" && cursor === "1" ? "-LOADING Redis is loading\r\n" : undefined))
      )
      const exit = yield* Effect.exit(run(collect(Redis.scanStream())))
      expect(Exit.isFailure(exit) && failure(exit)).toMatchObject({ _tag: "ReplyError", code: "LOADING" })
      expect(scans(commands())).toEqual(["0", "1"])
    })
  )
})
