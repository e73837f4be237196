/**
 * Readers, consumers of groups, workers and producers: each promise by itself, on real servers. Delivery through killed
 * connections and servers is tested in delivery.test.ts.
 */
import * as Net from "node:net"
import { it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { describe, expect } from "vitest"
import { Redis, type RedisService } from "../../src/Redis.js"
import { type RedisCommand, make as rawCommand } from "../../src/RedisCommand.js"
import { ConnectionError, DecodeError, type RedisError, ReplyError, UsageError } from "../../src/RedisError.js"
import * as RedisStream from "../../src/RedisStream.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import { failures, interruptAndWait, onOutput } from "../support/effect.js"
import { eventually, greeting } from "../support/peer.js"
import { makeServer } from "../support/servers.js"

let names = 0
/** Sorted like they were made. */
const fresh = (): string => `stream-${String(++names).padStart(4, "0")}`

/** Adds one entry for each text, in one pipeline. */
const fill = (stream: string, texts: ReadonlyArray<string>) =>
  Redis.pipeline(texts.map((n) => RedisStream.add(stream, { n })))

const numbers = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, i) => String(i))

const pendingOf = (stream: string, group = "g") => Effect.map(Redis.xpending(stream, group), ({ pending }) => pending)

/** Waits until an effect's result satisfies the condition. */
const eventuallyIs = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>, wanted: (a: A) => boolean) =>
  Effect.gen(function* () {
    const until = Date.now() + 15_000
    for (let last = yield* effect; !wanted(last); last = yield* effect) {
      if (Date.now() > until) {
        return yield* Effect.dieMessage(`never happened: ${what}; last it was ${JSON.stringify(last)}`)
      }
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
    }
  })

/** A client that records its commands. */
const spied = (redis: RedisService) => {
  const sent: Array<RedisCommand<unknown>> = []
  const watch = (inner: RedisService): RedisService => ({
    ...inner,
    send: (command) => {
      sent.push(command)
      return inner.send(command)
    },
    sendAll: (commands, options) => {
      sent.push(...commands)
      return inner.sendAll(commands, options)
    },
    lease: Effect.map(inner.lease, watch)
  })
  return {
    redis: watch(redis),
    words: (name: string) =>
      sent.filter((command) => command.name === name).map(({ args }) => args.map(({ data }) => String(data)))
  }
}

/** A client that runs an Effect before each command, by the command's name. */
const before = (inner: RedisService, effect: (name: string) => Effect.Effect<unknown, RedisError>): RedisService => ({
  ...inner,
  send: (command) => Effect.zipRight(effect(command.name), inner.send(command)),
  sendAll: (commands, options) =>
    Effect.zipRight(
      Effect.forEach(commands, ({ name }) => effect(name)),
      inner.sendAll(commands, options)
    ),
  lease: Effect.map(inner.lease, (leased) => before(leased, effect))
})

/** Runs a worker in the background of the scope; returns how to stop it. */
const inBackground = <A, E, R>(worker: Effect.Effect<A, E, R>) => Effect.forkScoped(Effect.exit(worker))

const quick = { block: "200 millis", claim: { idle: "10 minutes" } } as const

/**
 * A proxy that, on demand, swallows the reply to a command and closes the connection: the command was executed, and the
 * client cannot know.
 */
const cutter = (port: number) =>
  Effect.acquireRelease(
    Effect.async<{ readonly port: number; cut: string | undefined; cuts: number; close: () => void }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((client) => {
        const upstream = Net.connect(port, "127.0.0.1")
        let asked = ""
        for (const socket of [client, upstream]) {
          sockets.add(socket)
          socket.on("error", () => {})
          socket.on("close", () => {
            client.destroy()
            upstream.destroy()
          })
        }
        client.on("data", (bytes) => {
          asked = bytes.toString("latin1")
          upstream.write(bytes)
        })
        upstream.on("data", (bytes) => {
          // The nil reply of a wait that timed out is not swallowed.
          if (proxy.cut !== undefined && asked.includes(proxy.cut) && bytes.length > 10) {
            proxy.cut = undefined
            proxy.cuts++
            client.resetAndDestroy()
          } else {
            client.write(bytes)
          }
        })
      })
      const proxy = {
        port: 0,
        cut: undefined as string | undefined,
        cuts: 0,
        close: () => {
          for (const socket of sockets) {
            socket.destroy()
          }
          server.close()
        }
      }
      server.listen(0, "127.0.0.1", () => {
        proxy.port = (server.address() as Net.AddressInfo).port
        resume(Effect.succeed(proxy))
      })
    }),
    (proxy) => Effect.sync(proxy.close)
  )

const Numbered = Schema.Struct({ n: Schema.NumberFromString })

describe("without a server", () => {
  it.scoped("a read whose reply is lost is retried from the last id", () =>
    Effect.gen(function* () {
      const entry = (id: string) =>
        `*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$${id.length}\r\n${id}\r\n*2\r\n$1\r\nn\r\n$1\r\n1\r\n`
      let reads = 0
      const { commands, run } = yield* connectTo({
        onCommand: greeting((command, connection) => {
          if (command[0] !== "XREAD") {
            return "*0\r\n"
          }
          reads++
          if (reads === 2) {
            connection.reset()
            return undefined
          }
          return entry(reads === 1 ? "5-0" : "6-0")
        })
      })
      const got = yield* run(
        RedisStream.read("s", { from: "3-1", count: 7, block: "2 seconds", readAhead: 0 }).pipe(
          Stream.take(2),
          Stream.map(({ id }) => id),
          Stream.runCollect
        )
      )
      expect([...got]).toEqual(["5-0", "6-0"])
      expect(commands()).toEqual([
        "XREAD COUNT 7 BLOCK 2000 STREAMS s 3-1",
        "XREAD COUNT 7 BLOCK 2000 STREAMS s 5-0",
        "XREAD COUNT 7 BLOCK 2000 STREAMS s 5-0"
      ])
    })
  )

  it.effect("XADD's arguments: trimming, idempotence, schemas", () =>
    Effect.sync(() => {
      const words = (command: RedisCommand<unknown>) => command.args.map(({ data }) => String(data)).join(" ")
      expect(words(RedisStream.add("s", { a: "1" }))).toBe("s * a 1")
      expect(words(RedisStream.add("s", { a: "1" }, { maxlen: 10, id: "5-*" }))).toBe("s MAXLEN 10 5-* a 1")
      expect(words(RedisStream.add("s", { a: "1" }, { maxlen: 10, approximately: true, limit: 5 }))).toBe(
        "s MAXLEN ~ 10 LIMIT 5 * a 1"
      )
      expect(words(RedisStream.add("s", { a: "1" }, { minid: "5-0", equal: true }))).toBe("s MINID = 5-0 * a 1")
      expect(words(RedisStream.add("s", { n: 2 }, { schema: Numbered, idmp: { producer: "p", id: "i" } }))).toBe(
        "s IDMP p i * n 2"
      )
      expect(words(RedisStream.add("s", { a: "1" }, { idmpauto: "p" }))).toBe("s IDMPAUTO p * a 1")
      // @ts-expect-error: options that exclude each other
      RedisStream.add("s", { a: "1" }, { idmpauto: "p", idmp: { producer: "p", id: "i" } })
      // @ts-expect-error: not a value of the schema
      RedisStream.add("s", { n: "2" }, { schema: Numbered })
    })
  )

  it.scoped("an idempotent XADD is retried after a lost connection, any other is not", () =>
    Effect.gen(function* () {
      let adds = 0
      const { commands, run } = yield* connectTo({
        onCommand: greeting((command, connection) => {
          if (command[0] !== "XADD") {
            return "+OK\r\n"
          }
          adds++
          if (adds % 2 === 1) {
            connection.reset()
            return undefined
          }
          return "$3\r\n5-0\r\n"
        })
      })
      const safe = RedisStream.add("s", { a: "1" }, { idmp: { producer: "p", id: "i" } })
      expect(yield* run(safe)).toBe("5-0")
      expect(commands()).toEqual(["XADD s IDMP p i * a 1", "XADD s IDMP p i * a 1"])
      const plain = failure(yield* Effect.exit(run(RedisStream.add("s", { a: "1" }))))
      expect(plain).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
    })
  )

  it.effect("invalid options are refused by name", () =>
    Effect.gen(function* () {
      const Fake = Redis.layerTest(() => Effect.succeed("OK"))
      const problem = yield* Effect.flip(
        Effect.provide(
          RedisStream.add(
            "s",
            { n: Number.NaN },
            { schema: Schema.Struct({ n: Schema.NumberFromString.pipe(Schema.between(-9, 9)) }) }
          ),
          Fake
        )
      )
      expect(problem).toBeInstanceOf(UsageError)
      expect(problem.message).toContain("the fields do not encode at n")
      const group = { stream: "s", group: "g", consumer: "c" }
      const bad = (options: object) =>
        Effect.flip(
          Effect.provide(
            RedisStream.worker({ ...group, ...options }, () => Effect.void),
            Fake
          )
        )
      expect((yield* bad({ concurrency: 0 })).message).toContain("concurrency")
      expect((yield* bad({ block: "0 millis" })).message).toContain("block")
      expect((yield* bad({ keepEvery: "2 minutes" })).message).toContain("keepEvery")
      expect((yield* bad({ create: "yesterday" })).message).toContain("where to begin")
      const none = yield* Effect.flip(Effect.provide(Stream.runDrain(RedisStream.read({})), Fake))
      expect(none).toBeInstanceOf(UsageError)
    })
  )
})

describe("under the test clock", () => {
  describeReal((server) => {
    it.scoped("a worker claims, keeps in hand, acknowledges and stops", () =>
      Effect.gen(function* () {
        const { host, port } = yield* makeServer(server)
        const redis = yield* Redis.make({ host, port })
        const stream = fresh()
        yield* Effect.gen(function* () {
          yield* fill(stream, ["old"])
          yield* Redis.xgroupCreate(stream, "g", "0")
          yield* Redis.xreadgroup("g", "dead", { [stream]: ">" })
          const got: Array<string> = []
          const worker = yield* Effect.fork(
            RedisStream.worker(
              {
                stream,
                group: "g",
                consumer: "c",
                block: "100 millis",
                claim: { idle: "100 millis", schedule: Schedule.spaced("20 millis") },
                keepEvery: "20 millis"
              },
              ({ fields }) => Effect.sync(() => got.push(fields.n ?? ""))
            )
          )
          yield* eventually("the entry of the dead consumer comes", () => got.length === 1)
          yield* RedisStream.add(stream, { n: "new" })
          yield* eventually("the new entry comes", () => got.length === 2)
          yield* Fiber.interrupt(worker)
          expect(got).toEqual(["old", "new"])
          expect(yield* pendingOf(stream)).toBe(0)
        }).pipe(on(redis))
      })
    )
  })
})

eachServer((it, live) => {
  /** A test with its own client. */
  const test = (
    name: string,
    body: (redis: RedisService) => Effect.Effect<unknown, unknown, Redis | RedisServer.RedisServer | Scope.Scope>
  ) => it.scoped(name, () => Effect.flatMap(live.connect(), (redis) => on(redis)(body(redis))))

  describe("read", () => {
    test("reads from the beginning, after an id, from a time, and up to the end", () =>
      Effect.gen(function* () {
        const stream = fresh()
        for (const id of ["1000-0", "2000-0", "2000-1", "3000-0"]) {
          yield* RedisStream.add(stream, { n: id.slice(0, 1) }, { id })
        }
        const ids = (from: RedisStream.From) =>
          RedisStream.read(stream, { from, follow: false, count: 2 }).pipe(
            Stream.map(({ id }) => id),
            Stream.runCollect,
            Effect.map((ids) => [...ids])
          )
        expect(yield* ids("all")).toEqual(["1000-0", "2000-0", "2000-1", "3000-0"])
        expect(yield* ids("2000-0")).toEqual(["2000-1", "3000-0"])
        expect(yield* ids(new Date(2000))).toEqual(["2000-0", "2000-1", "3000-0"])
        expect(yield* ids(new Date(0))).toHaveLength(4)
        expect(yield* ids("new")).toEqual([])
        expect(yield* RedisStream.lastId(stream)).toBe("3000-0")
        expect(yield* RedisStream.lastId(fresh())).toBe("0-0")
        const [first] = yield* Stream.runCollect(
          RedisStream.read(stream, { from: "all", follow: false, schema: Numbered })
        )
        expect(first).toEqual({ stream, id: "1000-0", fields: { n: 1 } })
      }))

    test("new entries only: the position is resolved before the first wait", (redis) =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, ["old"])
        // An entry is added after the position is resolved and before the first read is sent.
        let added = false
        const late: RedisService = {
          ...redis,
          send: (command) =>
            command.name === "XREAD" && !added
              ? Effect.zipRight(
                  Effect.suspend(() => {
                    added = true
                    return on(redis)(fill(stream, ["between"]))
                  }) as Effect.Effect<never, never>,
                  redis.send(command)
                )
              : redis.send(command)
        }
        const got = yield* RedisStream.read(stream, { from: "new", block: "200 millis" }).pipe(
          Stream.take(1),
          Stream.runCollect,
          Effect.provideService(Redis, late)
        )
        expect([...got].map(({ fields }) => fields.n)).toEqual(["between"])
      }))

    test("reads several streams at once, each from its own position, also with a prefix", () =>
      Effect.gen(function* () {
        const [a, b] = [fresh(), fresh()]
        const program = Effect.gen(function* () {
          yield* RedisStream.add(a, { n: "1" }, { id: "1-0" })
          yield* RedisStream.add(a, { n: "2" }, { id: "2-0" })
          yield* RedisStream.add(b, { n: "3" }, { id: "1-0" })
          const got = yield* Stream.runCollect(RedisStream.read({ [a]: "1-0", [b]: "all" }, { follow: false }))
          expect([...got].map(({ fields, stream }) => [stream, fields.n]).sort()).toEqual([
            [a, "2"],
            [b, "3"]
          ])
        })
        yield* program
        yield* Redis.withPrefix(program, "tenant:")
      }))

    test("continues after the last id when its connection is killed", (redis) =>
      Effect.gen(function* () {
        const stream = fresh()
        const admin = yield* live.connect()
        const got: Array<number> = []
        yield* fill(stream, numbers(50))
        yield* inBackground(
          RedisStream.read(stream, { from: "all", count: 10, block: "20 seconds", schema: Numbered }).pipe(
            Stream.runForEach(({ fields }) => Effect.sync(() => got.push(fields.n)))
          )
        )
        for (let round = 1; round <= 4; round++) {
          yield* eventually("all is read", () => got.length === 50 * round)
          // While the read blocks, every connection is killed, the shared one too.
          yield* on(admin)(Redis.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))
          yield* on(admin)(
            Redis.pipeline(numbers(50).map((n) => RedisStream.add(stream, { n: String(50 * round + Number(n)) })))
          )
        }
        yield* eventually("all is read", () => got.length === 250)
        expect(got).toEqual(numbers(250).map(Number))
        expect(redis).toBeDefined()
      }))

    test("an entry that does not decode fails the Stream after the entries before it, and shows no value", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* RedisStream.add(stream, { n: "1" }, { id: "1-0" })
        yield* RedisStream.add(stream, { n: "secret" }, { id: "2-0" })
        const got: Array<number> = []
        const error = failure(
          yield* Effect.exit(
            RedisStream.read(stream, { from: "all", schema: Numbered }).pipe(
              Stream.runForEach(({ fields }) => Effect.sync(() => got.push(fields.n)))
            )
          )
        )
        expect(got).toEqual([1])
        expect(error).toBeInstanceOf(DecodeError)
        expect(error).toMatchObject({ command: "XREAD", path: [stream, "2-0", "fields", "n"] })
        expect(String(error.message)).not.toContain("secret")
        // Bytes that are not text affect their own entry only.
        yield* Redis.execute("XADD", stream, "3-0", "n", new Uint8Array([0xff]))
        const raw = failure(
          yield* Effect.exit(Stream.runDrain(RedisStream.read(stream, { from: "2-0", follow: false })))
        )
        expect(raw).toMatchObject({ _tag: "DecodeError", path: [stream, "3-0", "fields", "n"] })
      }))

    test("reads ahead no further than readAhead allows", (redis) =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(1000))
        const { redis: watched, words } = spied(redis)
        const release = yield* Deferred.make<void>()
        let taken = 0
        const reader = yield* Effect.fork(
          RedisStream.read(stream, { from: "all", count: 10, readAhead: 2 }).pipe(
            Stream.runForEach(() =>
              Effect.zipRight(
                Effect.sync(() => taken++),
                Deferred.await(release)
              )
            ),
            Effect.provideService(Redis, watched)
          )
        )
        yield* eventually("it reads ahead", () => taken === 1 && words("XREAD").length >= 3)
        // Time in which it could read further, if nothing stopped it.
        for (let i = 0; i < 100; i++) {
          yield* Redis.xlen(stream)
        }
        yield* fill(stream, ["last"])
        expect(words("XREAD").length).toBeLessThanOrEqual(5)
        yield* Deferred.succeed(release, undefined)
        yield* eventually("all is read", () => taken === 1001)
        yield* Fiber.interrupt(reader)
      }))
  })

  describe("groups", () => {
    test("a group is created on request if it does not exist; without the request the failure is NOGROUP", () =>
      Effect.gen(function* () {
        const stream = fresh()
        const options = { stream, group: "g", consumer: "c", ...quick }
        const missing = failure(yield* Effect.exit(RedisStream.worker(options, () => Effect.void)))
        expect(missing).toMatchObject({ _tag: "ReplyError", code: "NOGROUP" })
        const got: Array<string> = []
        const worker = RedisStream.worker({ ...options, create: "all" }, ({ fields }) =>
          Effect.sync(() => got.push(fields.n ?? ""))
        )
        // Neither the stream nor the group exists; then both do.
        for (let round = 1; round <= 2; round++) {
          const fiber = yield* Effect.fork(worker)
          yield* eventuallyIs("there is a group", Redis.exists(stream), (n) => n === 1)
          yield* fill(stream, [String(round)])
          yield* eventually("the entry comes", () => got.length === round)
          yield* Fiber.interrupt(fiber)
        }
        expect(got).toEqual(["1", "2"])
      }))

    test("a deleted group ends the worker with NOGROUP, after the entries in hand", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, ["1"])
        const began = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        let done = false
        const worker = yield* Effect.fork(
          RedisStream.worker({ stream, group: "g", consumer: "c", create: "all", ...quick }, () =>
            Deferred.succeed(began, undefined).pipe(
              Effect.zipRight(Deferred.await(go)),
              Effect.zipRight(Effect.sync(() => (done = true)))
            )
          )
        )
        yield* Deferred.await(began)
        yield* Redis.xgroupDestroy(stream, "g")
        yield* Effect.zipRight(
          Effect.promise(() => new Promise((r) => setTimeout(r, 300))),
          Deferred.succeed(go, undefined)
        )
        const error = failure(yield* Fiber.await(worker))
        expect(error).toBeInstanceOf(ReplyError)
        expect(error).toMatchObject({ code: "NOGROUP" })
        expect(done).toBe(true)
      }))

    test("entries already pending for the consumer come first, with their attempts counted", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, ["0", "1", "2"])
        yield* Redis.xgroupCreate(stream, "g", "0")
        yield* Redis.xreadgroup("g", "c", { [stream]: ">" }, { count: 2 })
        const got: Array<readonly [string | undefined, number]> = []
        const events: Array<RedisStream.GroupEvent> = []
        const worker = yield* Effect.fork(
          RedisStream.worker(
            { stream, group: "g", consumer: "c", ...quick, on: (event) => Effect.sync(() => events.push(event)) },
            ({ attempt, fields }) => Effect.sync(() => got.push([fields.n, attempt]))
          )
        )
        yield* eventually("all come", () => got.length === 3)
        yield* Fiber.interrupt(worker)
        expect(got).toEqual([
          ["0", 2],
          ["1", 2],
          ["2", 1]
        ])
        expect(events).toMatchObject([{ _tag: "Resumed", ids: [{}, {}] }])
        expect(yield* pendingOf(stream)).toBe(0)
      }))

    test("all entries of a dead consumer are claimed, page by page", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(250))
        yield* Redis.xgroupCreate(stream, "g", "0")
        yield* Redis.xreadgroup("g", "dead", { [stream]: ">" })
        yield* eventuallyIs(
          "they have been idle for long enough",
          Redis.xpending(stream, "g", { start: "-", end: "+", count: 1000, idle: "50 millis" }),
          (idle) => idle.length === 250
        )
        const attempts = new Map<string, number>()
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              block: "200 millis",
              concurrency: 8,
              // The claim has one round only.
              claim: { idle: "50 millis", count: 20, schedule: Schedule.recurs(0) },
              keepEvery: "20 millis"
            },
            ({ attempt, fields }) => Effect.sync(() => attempts.set(fields.n ?? "", attempt))
          )
        )
        yield* eventually("all come", () => attempts.size === 250)
        yield* Fiber.interrupt(worker)
        expect([...attempts.values()].every((attempt) => attempt === 2)).toBe(true)
        expect(yield* pendingOf(stream)).toBe(0)
      }))

    test("entries in hand are not claimed by other consumers, however long their handler takes", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(6))
        const handled: Array<string> = []
        const go = yield* Deferred.make<void>()
        const events: Array<RedisStream.GroupEvent> = []
        const worker = (consumer: string, create: boolean) =>
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer,
              ...(create ? { create: "all" as const } : {}),
              block: "100 millis",
              concurrency: 2,
              claim: { idle: "1 second", schedule: Schedule.spaced("50 millis") },
              keepEvery: "100 millis",
              on: (event) => Effect.sync(() => events.push(event))
            },
            ({ fields }) =>
              Effect.zipRight(
                Deferred.await(go),
                Effect.sync(() => handled.push(`${consumer} ${fields.n}`))
              )
          )
        const slow = yield* Effect.fork(worker("slow", true))
        yield* eventuallyIs(
          "all are in hand",
          Effect.orElseSucceed(pendingOf(stream), () => 0),
          (n) => n === 6
        )
        const other = yield* Effect.fork(worker("other", false))
        // Three times the idle time after which an entry can be claimed, with claims all the time.
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 3000)))
        const { consumers } = yield* Redis.xpending(stream, "g")
        expect(consumers).toEqual([{ name: "slow", pending: 6 }])
        yield* Deferred.succeed(go, undefined)
        yield* eventually("all are handled", () => handled.length === 6)
        yield* Fiber.interruptAll([slow, other])
        expect([...handled].sort()).toEqual(numbers(6).map((n) => `slow ${n}`))
        expect(events.filter(({ _tag }) => _tag === "Claimed" || _tag === "Taken")).toEqual([])
        expect(yield* pendingOf(stream)).toBe(0)
      }))

    test("an entry that another consumer claimed meanwhile is reported, and not handled", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, ["0", "1"])
        const go = yield* Deferred.make<void>()
        const events: Array<RedisStream.GroupEvent> = []
        const got: Array<string> = []
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              keepEvery: "50 millis",
              on: (event) => Effect.sync(() => events.push(event))
            },
            ({ fields }) =>
              Effect.zipRight(
                Effect.sync(() => got.push(fields.n ?? "")),
                Deferred.await(go)
              )
          )
        )
        yield* eventually("the first is with its handler", () => got.length === 1)
        yield* eventuallyIs("both are in hand", pendingOf(stream), (n) => n === 2)
        const both = yield* Redis.xpending(stream, "g", { start: "-", end: "+", count: 10 })
        yield* Redis.xclaim(stream, "g", "thief", "0 millis", both.map(({ id }) => id) as [string, ...Array<string>])
        yield* eventually("it is reported", () => events.some(({ _tag }) => _tag === "Taken"))
        yield* Deferred.succeed(go, undefined)
        yield* fill(stream, ["2"])
        yield* eventually("the next comes", () => got.includes("2"))
        expect(got).toEqual(["0", "2"])
        yield* Fiber.interrupt(worker)
        // The second entry still belongs to the other consumer.
        expect((yield* Redis.xpending(stream, "g")).consumers).toEqual([{ name: "thief", pending: 1 }])
      }))

    test("pending entries that were deleted are acknowledged and reported", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(4))
        yield* Redis.xgroupCreate(stream, "g", "0")
        const own = yield* Redis.xreadgroup("g", "c", { [stream]: ">" }, { count: 2 })
        const others = yield* Redis.xreadgroup("g", "dead", { [stream]: ">" }, { count: 2 })
        const ids = [...own, ...others].flatMap(({ entries }) => entries.map(({ id }) => id))
        // One entry of its own, and one of the dead consumer.
        yield* Redis.xdel(stream, [ids[0] as string, ids[2] as string])
        const events: Array<RedisStream.GroupEvent> = []
        const got: Array<string> = []
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              block: "200 millis",
              claim: { idle: "50 millis", schedule: Schedule.spaced("50 millis") },
              keepEvery: "20 millis",
              on: (event) => Effect.sync(() => events.push(event))
            },
            ({ fields }) => Effect.sync(() => got.push(fields.n ?? ""))
          )
        )
        yield* eventually("the others come", () => got.length === 2)
        yield* eventuallyIs("nothing is pending", pendingOf(stream), (n) => n === 0)
        yield* Fiber.interrupt(worker)
        expect(got).toEqual(["1", "3"])
        const gone = events.flatMap((event) => (event._tag === "Gone" ? event.ids : []))
        expect(gone).toEqual([ids[0], ids[2]])
      }))

    test("entries that another consumer acknowledges while they are taken up are not reported as deleted", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(4))
        yield* Redis.xgroupCreate(stream, "g", "0")
        const own = yield* Redis.xreadgroup("g", "c", { [stream]: ">" })
        const ids = own.flatMap(({ entries }) => entries.map(({ id }) => id))
        const [acknowledged, acknowledgedAndDeleted, deleted] = ids as [string, string, string]
        const direct = yield* Redis
        const meanwhile = on(direct)(
          Redis.pipeline([
            Redis.xack(stream, "g", [acknowledged, acknowledgedAndDeleted]),
            Redis.xdel(stream, [acknowledgedAndDeleted, deleted])
          ])
        ).pipe(Effect.orDie)
        let claims = 0
        const redis = before(direct, (name) => (name === "XCLAIM" && ++claims === 1 ? meanwhile : Effect.void))
        const events: Array<RedisStream.GroupEvent> = []
        const got: Array<string> = []
        yield* inBackground(
          RedisStream.worker(
            { stream, group: "g", consumer: "c", ...quick, on: (event) => Effect.sync(() => events.push(event)) },
            ({ fields }) => Effect.sync(() => got.push(fields.n ?? ""))
          ).pipe(Effect.provideService(Redis, redis))
        )
        yield* fill(stream, ["new"])
        yield* eventually("the rest is handled", () => got.length === 2)
        yield* eventuallyIs("nothing is pending", pendingOf(stream), (n) => n === 0)
        expect(got).toEqual(["3", "new"])
        expect(events.flatMap((event) => (event._tag === "Gone" ? [event.ids] : []))).toEqual([[deleted]])
      }))

    test("an entry that is taken up is not claimed at the same time, and so not handled twice", () =>
      Effect.gen(function* () {
        const stream = fresh()
        const direct = yield* Redis
        yield* fill(stream, ["0"])
        yield* Redis.xgroupCreate(stream, "g", "0")
        const got: Array<string> = []
        const takenUp = yield* Deferred.make<void>()
        const acked = yield* Deferred.make<void>()
        let reads = 0
        // The reply to the first read is lost, so the entry is taken up. That reply is late: it waits for the entry's XACK,
        // which is not sent unless the entry was claimed meanwhile.
        const late = (names: ReadonlyArray<string>): Effect.Effect<unknown> =>
          names.includes("XACK")
            ? Deferred.succeed(acked, undefined)
            : names.includes("XCLAIM")
              ? Effect.flatMap(Deferred.succeed(takenUp, undefined), (first) =>
                  first ? Effect.timeoutOption(Deferred.await(acked), "500 millis") : Effect.void
                )
              : Effect.void
        const lost = new ConnectionError({ reason: "peerClosed", delivery: "unknown", message: "for the test" })
        const watch = (inner: RedisService): RedisService => ({
          ...inner,
          send: (command) =>
            command.name === "XREADGROUP" && ++reads === 1
              ? Effect.zipRight(inner.send(command), Effect.fail(lost))
              : Effect.tap(inner.send(command), () => late([command.name])),
          sendAll: (commands, options) =>
            Effect.tap(inner.sendAll(commands, options), () => late(commands.map(({ name }) => name))),
          lease: Effect.map(inner.lease, watch)
        })
        yield* inBackground(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              block: "200 millis",
              claim: {
                idle: "40 millis",
                schedule: onOutput(Schedule.spaced("20 millis"), () => Deferred.await(takenUp))
              },
              keepEvery: "20 millis",
              on: () => Effect.void
            },
            ({ fields }) => Effect.sync(() => got.push(fields.n ?? ""))
          ).pipe(Effect.provideService(Redis, watch(direct)))
        )
        yield* Deferred.await(takenUp)
        yield* fill(stream, ["1"])
        yield* eventually("it goes on", () => got.includes("1"))
        yield* eventuallyIs("nothing is pending", pendingOf(stream), (n) => n === 0)
        expect(got).toEqual(["0", "1"])
      }))

    test("entries of a lost reply are read again, entries in hand are not", () =>
      Effect.gen(function* () {
        const { port } = yield* RedisServer.RedisServer
        const stream = fresh()
        const proxy = yield* cutter(port)
        const through = yield* live.connect({ port: proxy.port })
        const got: Array<readonly [string | undefined, number]> = []
        const go = yield* Deferred.make<void>()
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              block: "1 second",
              claim: false,
              concurrency: 10,
              retry: Schedule.recurs(0),
              on: () => Effect.void
            },
            ({ attempt, fields }) =>
              Effect.zipRight(
                Effect.sync(() => got.push([fields.n, attempt])),
                fields.n === "held" ? Deferred.await(go) : fields.n === "left" ? Effect.fail("no") : Effect.void
              )
          ).pipe(Effect.provideService(Redis, through))
        )
        yield* eventuallyIs("there is a group", Redis.exists(stream), (n) => n === 1)
        yield* fill(stream, ["held", "left"])
        yield* eventually("one is in hand, and one was left", () => got.length === 2)
        proxy.cut = "XREADGROUP"
        yield* fill(stream, ["lost 1", "lost 2"])
        yield* eventually("the reply was cut", () => proxy.cuts === 1)
        yield* eventually("they come all the same", () => got.length >= 4)
        yield* Deferred.succeed(go, undefined)
        yield* fill(stream, ["after"])
        yield* eventually("it goes on", () => got.some(([n]) => n === "after"))
        yield* eventuallyIs("all is acknowledged but what was left", pendingOf(stream), (n) => n === 1)
        yield* Fiber.interrupt(worker)
        // A lost reply does not count as an attempt; entries in hand and entries left for claiming are not read again.
        expect([...got].sort()).toEqual([
          ["after", 1],
          ["held", 1],
          ["left", 1],
          ["lost 1", 1],
          ["lost 2", 1]
        ])
      }))
  })

  describe("failures", () => {
    test("errors, defects, throws and interruptions of a handler affect its entry only", () =>
      Effect.gen(function* () {
        const stream = fresh()
        const kinds = ["fails", "dies", "throws", "interrupts", "fine"]
        yield* fill(stream, kinds)
        const done: Array<string> = []
        const causes = new Map<string, Cause.Cause<unknown>>()
        const seen = new Map<string, string>()
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              retry: Schedule.spaced("10 millis"),
              on: (event) =>
                Effect.sync(() => {
                  if (event._tag === "Failed") {
                    causes.set(seen.get(event.id) ?? "", event.cause)
                    expect(event.next).toBe("retried")
                  }
                })
            },
            ({ attempt, fields, id }) => {
              seen.set(id, fields.n ?? "")
              if (attempt === 1) {
                switch (fields.n) {
                  case "fails":
                    return Effect.fail("no")
                  case "dies":
                    return Effect.die("no")
                  case "throws":
                    throw new Error("no")
                  case "interrupts":
                    return Effect.interrupt
                }
              }
              return Effect.sync(() => done.push(`${fields.n} ${attempt}`))
            }
          )
        )
        yield* eventually("all are handled", () => done.length === 5)
        yield* eventuallyIs("all is acknowledged", pendingOf(stream), (n) => n === 0)
        yield* Fiber.interrupt(worker)
        expect([...done].sort()).toEqual(["dies 2", "fails 2", "fine 1", "interrupts 2", "throws 2"])
        expect(failures(causes.get("fails") ?? Cause.empty).length).toBe(1)
        expect(Cause.isDie(causes.get("dies") ?? Cause.empty)).toBe(true)
        expect(Cause.isDie(causes.get("throws") ?? Cause.empty)).toBe(true)
        expect(Cause.isInterruptedOnly(causes.get("interrupts") ?? Cause.die(0))).toBe(true)
      }))

    test("after its last attempt an entry becomes a dead letter, and is no longer pending", (redis) =>
      Effect.gen(function* () {
        const [stream, dead] = [fresh(), fresh()]
        yield* fill(stream, ["bad", "good"])
        const { redis: watched, words } = spied(redis)
        const attempts: Array<number> = []
        const events: Array<RedisStream.GroupEvent> = []
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              attempts: 3,
              retry: Schedule.spaced("10 millis"),
              deadLetter: { stream: dead, maxlen: 100 },
              on: (event) => Effect.sync(() => events.push(event))
            },
            ({ attempt, fields }) =>
              fields.n === "bad"
                ? Effect.suspend(() => {
                    attempts.push(attempt)
                    return Effect.fail(new RangeError("a secret"))
                  })
                : Effect.void
          ).pipe(Effect.provideService(Redis, watched))
        )
        yield* eventuallyIs("there is a dead letter", Redis.xlen(dead), (n) => n === 1)
        yield* eventuallyIs("all is acknowledged", pendingOf(stream), (n) => n === 0)
        yield* eventually("it is reported", () => events.length === 3)
        yield* Fiber.interrupt(worker)
        expect(attempts).toEqual([1, 2, 3])
        const [letter] = yield* Redis.xrange(dead, "-", "+")
        expect({ ...letter?.fields, "dead-letter-id": "" }).toEqual({
          n: "bad",
          "dead-letter-stream": stream,
          "dead-letter-id": "",
          "dead-letter-group": "g",
          "dead-letter-consumer": "c",
          "dead-letter-attempts": "3",
          "dead-letter-error": "RangeError"
        })
        expect(events.map((event) => event._tag === "Failed" && event.next)).toEqual([
          "retried",
          "retried",
          "deadLettered"
        ])
        // In one transaction: the bad entry was not acknowledged separately.
        const id = letter?.fields["dead-letter-id"] ?? ""
        expect(words("XACK").filter((ids) => ids.includes(id))).toEqual([[stream, "g", id]])
        expect(words("XADD").filter(([key]) => key === dead)).toHaveLength(1)
      }))

    test("the group counts the attempts, so the count outlives consumers that die with the entry", () =>
      Effect.gen(function* () {
        const [stream, dead] = [fresh(), fresh()]
        yield* fill(stream, ["poison"])
        yield* Redis.xgroupCreate(stream, "g", "0")
        yield* Redis.xreadgroup("g", "first", { [stream]: ">" })
        yield* Redis.xautoclaim(stream, "g", "second", "0 millis", "0")
        let handled = 0
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "third",
              block: "100 millis",
              claim: { idle: "20 millis" },
              keepEvery: "10 millis",
              attempts: 2,
              deadLetter: dead
            },
            () => Effect.sync(() => handled++)
          )
        )
        yield* eventuallyIs("there is a dead letter", Redis.xlen(dead), (n) => n === 1)
        yield* Fiber.interrupt(worker)
        expect(handled).toBe(0)
        const [letter] = yield* Redis.xrange(dead, "-", "+")
        expect(letter?.fields["dead-letter-error"]).toBe("Unacknowledged")
        expect(yield* pendingOf(stream)).toBe(0)
      }))

    test("without a dead-letter stream the entry stays pending", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, ["bad", "good"])
        const events: Array<RedisStream.GroupEvent> = []
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              attempts: 2,
              retry: Schedule.spaced("10 millis"),
              on: (event) => Effect.sync(() => events.push(event))
            },
            ({ fields }) => (fields.n === "bad" ? Effect.fail("no") : Effect.void)
          )
        )
        yield* eventually("it is given up", () => events.length === 2)
        yield* eventuallyIs("the other is acknowledged", pendingOf(stream), (n) => n === 1)
        yield* Fiber.interrupt(worker)
        expect(events).toMatchObject([
          { attempt: 1, next: "retried" },
          { attempt: 2, next: "left" }
        ])
        const [left] = yield* Redis.xpending(stream, "g", { start: "-", end: "+", count: 10 })
        expect(left).toMatchObject({ consumer: "c", deliveries: 2 })
      }))

    test("an entry that does not fit the schema becomes a dead letter at once, and its values are not shown", () =>
      Effect.gen(function* () {
        const [stream, dead] = [fresh(), fresh()]
        yield* fill(stream, ["secret", "7"])
        const events: Array<RedisStream.GroupEvent> = []
        const got: Array<number> = []
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              schema: Numbered,
              deadLetter: dead,
              on: (event) => Effect.sync(() => events.push(event))
            },
            ({ fields }) => Effect.sync(() => got.push(fields.n))
          )
        )
        yield* eventually("the other comes", () => got.length === 1)
        yield* eventuallyIs("there is a dead letter", Redis.xlen(dead), (n) => n === 1)
        yield* eventually("it is reported", () => events.length === 1)
        yield* Fiber.interrupt(worker)
        const [event] = events
        const error = event?._tag === "Failed" ? Option.getOrUndefined(Cause.failureOption(event.cause)) : undefined
        expect(error).toBeInstanceOf(DecodeError)
        expect(error).toMatchObject({
          path: [stream, {}, "fields", "n"].map((part) =>
            part === stream || typeof part === "string" ? part : expect.any(String)
          )
        })
        expect(JSON.stringify(event)).not.toContain("secret")
        const [letter] = yield* Redis.xrange(dead, "-", "+")
        expect(letter?.fields).toMatchObject({ n: "secret", "dead-letter-error": "DecodeError" })
      }))

    test("a dead-letter key of the wrong type ends the worker, and nothing is acknowledged", () =>
      Effect.gen(function* () {
        const [stream, dead] = [fresh(), fresh()]
        yield* fill(stream, ["bad"])
        yield* Redis.set(dead, "no stream")
        const options = {
          stream,
          group: "g",
          consumer: "c",
          create: "all",
          ...quick,
          attempts: 1,
          deadLetter: dead
        } as const
        const early = failure(yield* Effect.exit(RedisStream.worker(options, () => Effect.fail("no"))))
        expect(early).toBeInstanceOf(UsageError)
        expect(String(early)).toContain("holds a string, not a stream")
        yield* Redis.del(dead)
        // The key gets the wrong type while the handler runs.
        const late = failure(
          yield* Effect.exit(
            RedisStream.worker(options, () =>
              Effect.zipRight(Effect.orDie(Redis.set(dead, "no stream")), Effect.fail("no"))
            )
          )
        )
        expect(late).toBeInstanceOf(UsageError)
        expect(yield* pendingOf(stream)).toBe(1)
        expect(yield* Redis.get(dead)).toEqual(Option.some("no stream"))
      }))

    test("a dead letter whose EXEC was never answered is added once", () =>
      Effect.gen(function* () {
        const { port } = yield* RedisServer.RedisServer
        const [stream, dead] = [fresh(), fresh()]
        yield* fill(stream, ["bad"])
        const proxy = yield* cutter(port)
        const through = yield* live.connect({ port: proxy.port })
        const events: Array<RedisStream.GroupEvent> = []
        proxy.cut = "EXEC"
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              attempts: 1,
              deadLetter: dead,
              on: (event) => Effect.sync(() => events.push(event))
            },
            () => Effect.fail("no")
          ).pipe(Effect.provideService(Redis, through))
        )
        yield* eventually("it is reported", () => events.some(({ _tag }) => _tag === "Failed"))
        yield* Fiber.interrupt(worker)
        expect(proxy.cuts).toBe(1)
        expect(events.find(({ _tag }) => _tag === "Failed")).toMatchObject({ next: "deadLettered" })
        expect(yield* Redis.xlen(dead)).toBe(1)
        expect(yield* pendingOf(stream)).toBe(0)
      }))
  })

  describe("order", () => {
    test("entries of one key are handled one after another, retries included; other keys run in parallel", () =>
      Effect.gen(function* () {
        const stream = fresh()
        const keys = ["a", "b", "c"]
        yield* Redis.pipeline(
          numbers(60).map((n) => RedisStream.add(stream, { n, key: keys[Number(n) % 3] as string }))
        )
        const got: Record<string, Array<number>> = { a: [], b: [], c: [] }
        const running = new Set<string>()
        let together = 0
        let overlaps = 0
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              concurrency: 8,
              maxInHand: 60,
              retry: Schedule.spaced("5 millis"),
              on: () => Effect.void,
              orderBy: ({ fields }) => fields.key ?? ""
            },
            ({ attempt, fields }) =>
              Effect.gen(function* () {
                const key = fields.key ?? ""
                overlaps += running.has(key) ? 1 : 0
                running.add(key)
                together = Math.max(together, running.size)
                yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 2)))
                running.delete(key)
                if (Number(fields.n) % 7 === 0 && attempt < 3) {
                  return yield* Effect.fail("again")
                }
                got[key]?.push(Number(fields.n))
              })
          )
        )
        yield* eventually("all are handled", () => Object.values(got).flat().length === 60)
        yield* Fiber.interrupt(worker)
        expect(overlaps).toBe(0)
        expect(together).toBeGreaterThan(1)
        for (const list of Object.values(got)) {
          expect(list).toEqual([...list].sort((x, y) => x - y))
        }
      }))
  })

  describe("acknowledging and stopping", () => {
    test("acknowledges in batches, by size and by time", (redis) =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(95))
        const { redis: watched, words } = spied(redis)
        let handled = 0
        const worker = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c",
              create: "all",
              ...quick,
              maxInHand: 100,
              acks: { size: 10, within: "300 millis" }
            },
            () => Effect.sync(() => handled++)
          ).pipe(Effect.provideService(Redis, watched))
        )
        yield* eventually("all are handled", () => handled === 95)
        yield* eventuallyIs("all is acknowledged", pendingOf(stream), (n) => n === 0)
        const sizes = words("XACK").map((args) => args.length - 2)
        expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(95)
        expect(Math.max(...sizes)).toBe(10)
        expect(sizes.length).toBeLessThan(30)
        yield* Fiber.interrupt(worker)
      }))

    test("a stop lets handlers finish, acknowledges their entries, and returns the rest at once", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(5))
        const go = yield* Deferred.make<void>()
        const began: Array<string> = []
        const finished: Array<string> = []
        const first = yield* Effect.fork(
          RedisStream.worker(
            {
              stream,
              group: "g",
              consumer: "c1",
              create: "all",
              ...quick,
              concurrency: 2,
              acks: { within: "1 minute" },
              stopTimeout: "20 seconds"
            },
            ({ fields }) =>
              Effect.sync(() => began.push(fields.n ?? "")).pipe(
                Effect.zipRight(Deferred.await(go)),
                Effect.zipRight(Effect.sync(() => finished.push(fields.n ?? "")))
              )
          )
        )
        yield* eventually("two are with their handlers", () => began.length === 2)
        yield* eventuallyIs("all are in hand", pendingOf(stream), (n) => n === 5)
        const stop = yield* Effect.fork(interruptAndWait(first))
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 100)))
        yield* Deferred.succeed(go, undefined)
        const exit = yield* Fiber.join(stop)
        expect(Exit.isInterrupted(exit)).toBe(true)
        expect(finished).toEqual(["0", "1"])
        expect(began).toHaveLength(2)
        expect(yield* pendingOf(stream)).toBe(3)
        // Another consumer gets them at once, although none was idle for a minute, and none counts as an attempt.
        const got: Array<readonly [string | undefined, number]> = []
        const second = yield* Effect.fork(
          RedisStream.worker(
            { stream, group: "g", consumer: "c2", block: "200 millis", claim: { idle: "1 minute" } },
            ({ attempt, fields }) => Effect.sync(() => got.push([fields.n, attempt]))
          )
        )
        yield* eventually("the rest comes", () => got.length === 3)
        yield* Fiber.interrupt(second)
        expect(got).toEqual([
          ["2", 1],
          ["3", 1],
          ["4", 1]
        ])
      }))

    test("a stop is bounded: a handler that does not end is interrupted, and its entry stays pending", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, ["0"])
        let interrupted = false
        const began = yield* Deferred.make<void>()
        const worker = yield* Effect.fork(
          RedisStream.worker(
            { stream, group: "g", consumer: "c", create: "all", ...quick, stopTimeout: "100 millis" },
            () =>
              Effect.zipRight(Deferred.succeed(began, undefined), Effect.never).pipe(
                Effect.onInterrupt(() => Effect.sync(() => (interrupted = true)))
              )
          )
        )
        yield* Deferred.await(began)
        const started = Date.now()
        yield* Fiber.interrupt(worker)
        expect(Date.now() - started).toBeLessThan(10_000)
        yield* eventually("the handler is interrupted", () => interrupted)
        expect(yield* pendingOf(stream)).toBe(1)
      }))
  })

  describe("consume", () => {
    test("emits entries with their ack, keeps unacknowledged ones pending, and returns entries not yet emitted", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(10))
        const options = { stream, group: "g", consumer: "c", create: "all", ...quick, schema: Numbered } as const
        const got = yield* RedisStream.consume(options).pipe(
          Stream.tap(({ ack, fields }) => (fields.n % 2 === 0 ? ack : Effect.void)),
          Stream.take(10),
          Stream.runCollect
        )
        expect(Chunk.toReadonlyArray(got).map(({ fields }) => fields.n)).toEqual(numbers(10).map(Number))
        expect(yield* pendingOf(stream)).toBe(5)
        // The same consumer reads the others again; a late ack from the first Stream still counts.
        yield* Option.getOrThrow(Option.fromNullable([...got][1])).ack
        const rest = yield* RedisStream.consume(options).pipe(
          Stream.tap(({ ack }) => ack),
          Stream.take(4),
          Stream.runCollect
        )
        expect([...rest].map(({ attempt, fields }) => [fields.n, attempt])).toEqual([3, 5, 7, 9].map((n) => [n, 2]))
        expect(yield* pendingOf(stream)).toBe(0)
      }))

    test("once XACK fails permanently, every ack fails, later ones too", () =>
      Effect.gen(function* () {
        const stream = fresh()
        yield* fill(stream, numbers(3))
        const acks: Array<unknown> = []
        const exit = yield* RedisStream.consume({ stream, group: "g", consumer: "c", create: "all", ...quick }).pipe(
          Stream.mapEffect(({ ack }) =>
            Effect.gen(function* () {
              yield* Redis.set(stream, "no stream any more")
              acks.push(failure(yield* Effect.exit(ack)))
            })
          ),
          Stream.runDrain,
          Effect.exit
        )
        expect(failure(exit)).toMatchObject({ _tag: "ReplyError", code: "WRONGTYPE" })
        expect(acks.length).toBeGreaterThan(0)
        for (const error of acks) {
          expect(error).toMatchObject({ _tag: "ReplyError", code: "WRONGTYPE" })
        }
      }))

    test("rejected entries stay pending, and become dead letters after their last attempt", () =>
      Effect.gen(function* () {
        const [stream, dead] = [fresh(), fresh()]
        yield* fill(stream, ["bad"])
        const attempts: Array<number> = []
        yield* inBackground(
          RedisStream.consume({
            stream,
            group: "g",
            consumer: "c",
            create: "all",
            block: "100 millis",
            claim: { idle: "50 millis", schedule: Schedule.spaced("20 millis") },
            keepEvery: "20 millis",
            attempts: 2,
            deadLetter: dead,
            on: () => Effect.void
          }).pipe(
            Stream.runForEach(({ attempt, reject }) => {
              attempts.push(attempt)
              return reject()
            })
          )
        )
        yield* eventuallyIs("there is a dead letter", Redis.xlen(dead), (n) => n === 1)
        expect(attempts).toEqual([1, 2])
        yield* eventuallyIs("nothing is pending", pendingOf(stream), (n) => n === 0)
      }))
  })

  it.scoped("waiting consumers do not stall ordinary commands", () =>
    Effect.gen(function* () {
      const redis = yield* live.connect({ maxDedicated: 3, replyTimeout: "5 seconds" })
      const admin = yield* live.connect()
      const stream = fresh()
      yield* on(redis)(
        Effect.gen(function* () {
          const options = { stream, group: "g", create: "all", block: "30 seconds", claim: false } as const
          yield* inBackground(RedisStream.worker({ ...options, consumer: "1" }, () => Effect.void))
          yield* inBackground(Stream.runDrain(RedisStream.consume({ ...options, consumer: "2" })))
          yield* inBackground(Stream.runDrain(RedisStream.read(stream, { block: "30 seconds" })))
          yield* eventuallyIs(
            "all three wait",
            on(admin)(Effect.map(Redis.execute("INFO", "clients"), String)),
            (info) => info.includes("blocked_clients:3")
          )
          for (let i = 0; i < 50; i++) {
            yield* Redis.incr(`${stream}:count`)
          }
          expect(yield* Redis.get(`${stream}:count`)).toEqual(Option.some("50"))
        })
      )
      expect(rawCommand("PING").name).toBe("PING")
    })
  )
})
