/** Entries that do not decode: what readers, consumers and workers do with them, by `onUndecodable`. */
import { expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Redis, type RedisService } from "../../src/Redis.js"
import { DecodeError } from "../../src/RedisError.js"
import * as RedisStream from "../../src/RedisStream.js"
import { eachServer, failure, on } from "../support/client.js"
import { noLogger } from "../support/effect.js"
import { eventually } from "../support/peer.js"
import { until, warnings } from "../support/pubsub.js"

const schema = Schema.Struct({ n: Schema.NumberFromString })

/** Three entries, of which the second does not fit the schema, and the third is not text. */
const fill = (stream: string) =>
  Effect.gen(function* () {
    yield* Redis.xadd(stream, "1-0", { n: "1" })
    yield* Redis.xadd(stream, "2-0", { n: "secret" })
    yield* Redis.execute("XADD", stream, "3-0", "n", new Uint8Array([0xff, 0xfe]))
    yield* Redis.xadd(stream, "4-0", { n: "4" })
  })

const quick = { block: "100 millis", claim: { idle: "10 minutes" } } as const

/** A client's runner that drops log lines. */
const quietly =
  (redis: RedisService) =>
  <A, E>(effect: Effect.Effect<A, E, Redis>): Effect.Effect<A, E> =>
    on(redis)(Effect.provide(effect, noLogger))

eachServer((it, { connect, protocol }) => {
  let streams = 0
  const start = Effect.gen(function* () {
    const run = quietly(yield* connect({ clientName: "test" }))
    const stream = `undecodable:${protocol}:${++streams}`
    yield* run(fill(stream))
    const group = { stream, group: "g", consumer: "c", create: "all", schema, ...quick } as const
    const pending = run(Effect.map(Redis.xpending(stream, "g"), ({ pending }) => pending))
    return { run, stream, group, pending }
  })

  it.scoped("a reader passes over them with `skip`, and says so once", () =>
    Effect.gen(function* () {
      const { run, stream } = yield* start
      const { layer, lines } = warnings()
      for (const follow of [false, true]) {
        // One entry in each reply, so that some replies have nothing to give.
        const got = yield* RedisStream.read(stream, {
          from: "all",
          schema,
          onUndecodable: "skip",
          count: 1,
          block: "100 millis",
          follow
        }).pipe(Stream.take(2), Stream.runCollect, Effect.provide(layer), run)
        expect([...got].map(({ fields }) => fields.n)).toEqual([1, 4])
      }
      const all = yield* run(
        Stream.runCollect(RedisStream.read(stream, { from: "all", follow: false, onUndecodable: "skip" }))
      )
      expect([...all].map(({ id }) => id)).toEqual(["1-0", "2-0", "4-0"])
      expect(lines).toHaveLength(2)
      expect(lines[0]).toContain(`An entry of stream ${stream} is skipped`)
      expect(lines[0]).toContain(`${stream}.2-0.fields.n`)
      expect(lines[0]).toMatch(/"server.address":"127.0.0.1:\d+"/)
      expect(lines[0]).toContain(`"redis.client.name":"test"`)
      expect(lines.join()).not.toContain("secret")
    })
  )

  it.scoped("a reader gives them in their places with `emit`, with their bytes", () =>
    Effect.gen(function* () {
      const { run, stream } = yield* start
      const entries = RedisStream.read(stream, { from: "all", schema, onUndecodable: "emit", follow: false })
      const got = [...(yield* run(Stream.runCollect(entries)))]
      expect(got.map((entry) => (RedisStream.isUndecodable(entry) ? entry.pairs : entry.fields))).toEqual([
        { n: 1 },
        [["n", "secret"]],
        [["n", new Uint8Array([0xff, 0xfe])]],
        { n: 4 }
      ])
      const bad = got.filter(RedisStream.isUndecodable)
      expect(bad.map(({ error, id }) => [id, error.path])).toEqual([
        ["2-0", [stream, "2-0", "fields", "n"]],
        ["3-0", [stream, "3-0", "fields", "n"]]
      ])
      expect(bad[0]?.error).toBeInstanceOf(DecodeError)
    })
  )

  it.scoped("a worker acknowledges them with `skip`, and reports each one", () =>
    Effect.gen(function* () {
      const { group, pending, run } = yield* start
      const got: Array<number> = []
      const events: Array<RedisStream.GroupEvent> = []
      const worker = yield* Effect.fork(
        run(
          RedisStream.worker(
            { ...group, onUndecodable: "skip", on: (event) => Effect.sync(() => events.push(event)) },
            ({ fields }) => Effect.sync(() => got.push(fields.n))
          )
        )
      )
      yield* eventually("the others come", () => got.length === 2)
      yield* until(
        "all are acknowledged",
        Effect.map(pending, (pending) => pending === 0)
      )
      yield* Fiber.interrupt(worker)
      expect(got).toEqual([1, 4])
      expect(events).toMatchObject([
        { _tag: "Skipped", id: "2-0", error: expect.any(DecodeError) },
        { _tag: "Skipped", id: "3-0", error: expect.any(DecodeError) }
      ])
    })
  )

  it.scoped("a worker hands them to its handler with `emit`, to be handled, retried and buried like any other", () =>
    Effect.gen(function* () {
      const { group, pending, run, stream } = yield* start
      const got: Array<unknown> = []
      const worker = yield* Effect.fork(
        run(
          RedisStream.worker({ ...group, onUndecodable: "emit", deadLetter: `${stream}:dead`, attempts: 1 }, (entry) =>
            Effect.suspend(() => {
              got.push(RedisStream.isUndecodable(entry) ? [entry.attempt, entry.pairs] : entry.fields)
              return entry.id === "2-0" ? Effect.fail("no") : Effect.void
            })
          )
        )
      )
      yield* eventually("all come", () => got.length === 4)
      yield* until(
        "all are acknowledged",
        Effect.map(pending, (pending) => pending === 0)
      )
      yield* Fiber.interrupt(worker)
      expect(got).toEqual([{ n: 1 }, [1, [["n", "secret"]]], [1, [["n", new Uint8Array([0xff, 0xfe])]]], { n: 4 }])
      const dead = yield* run(Redis.xrange(`${stream}:dead`, "-", "+"))
      expect(dead.map(({ fields }) => fields)).toMatchObject([{ n: "secret", "dead-letter-id": "2-0" }])
    })
  )

  it.scoped("a worker ends with `fail`, and the entry stays pending", () =>
    Effect.gen(function* () {
      const { group, pending, run, stream } = yield* start
      const got: Array<number> = []
      const worker = RedisStream.worker({ ...group, onUndecodable: "fail" }, ({ fields }) =>
        Effect.sync(() => got.push(fields.n))
      )
      const error = failure(yield* Effect.exit(run(worker)))
      expect(error).toMatchObject({ _tag: "DecodeError", path: [stream, "2-0", "fields", "n"] })
      expect(got).toEqual([1])
      expect(yield* pending).toBe(3)
      // Also the next time: it is the entry that has to change, or the schema.
      expect(failure(yield* Effect.exit(run(worker)))).toMatchObject({ path: [stream, "2-0", "fields", "n"] })
    })
  )

  it.scoped("a consumer gives them with `emit`, skips them with `skip`, and ends before them with `fail`", () =>
    Effect.gen(function* () {
      const { group, pending, run, stream } = yield* start
      const failing: Array<string> = []
      const error = failure(
        yield* RedisStream.consume({ ...group, onUndecodable: "fail" }).pipe(
          Stream.runForEach(({ ack, id }) =>
            Effect.zipRight(
              Effect.sync(() => failing.push(id)),
              ack
            )
          ),
          Effect.exit,
          run
        )
      )
      expect(error).toMatchObject({ _tag: "DecodeError", path: [stream, "2-0", "fields", "n"] })
      expect(failing).toEqual(["1-0"])
      expect(yield* pending).toBe(3)
      const emitted = yield* RedisStream.consume({ ...group, group: "g2", onUndecodable: "emit" }).pipe(
        Stream.tap((entry) => (RedisStream.isUndecodable(entry) ? entry.ack : Effect.void)),
        Stream.take(4),
        Stream.runCollect,
        run
      )
      expect([...emitted].map((entry) => RedisStream.isUndecodable(entry))).toEqual([false, true, true, false])
      expect((yield* run(Redis.xpending(stream, "g2"))).pending).toBe(2)
      const { layer, lines } = warnings()
      const skipped = yield* RedisStream.consume({ ...group, group: "g3", onUndecodable: "skip" }).pipe(
        Stream.take(2),
        Stream.runCollect,
        Effect.provide(layer),
        run
      )
      expect([...skipped].map(({ id }) => id)).toEqual(["1-0", "4-0"])
      expect(lines).toHaveLength(1)
      expect(lines[0]).toContain(`Entry 2-0 of stream ${stream} (group g3, consumer c) is skipped`)
    })
  )

  it.scoped("by default they are rejected: without dead letters they are left pending, and the rest goes on", () =>
    Effect.gen(function* () {
      const { group, pending, run } = yield* start
      const events: Array<RedisStream.GroupEvent> = []
      const got: Array<number> = []
      const worker = yield* Effect.fork(
        run(
          RedisStream.worker({ ...group, on: (event) => Effect.sync(() => events.push(event)) }, ({ fields }) =>
            Effect.sync(() => got.push(fields.n))
          )
        )
      )
      yield* eventually("the others come", () => got.length === 2)
      yield* until(
        "only they are acknowledged",
        Effect.map(pending, (pending) => pending === 2)
      )
      yield* Fiber.interrupt(worker)
      expect(events).toMatchObject([
        { _tag: "Failed", id: "2-0", next: "left" },
        { _tag: "Failed", id: "3-0", next: "left" }
      ])
      const [first] = events
      expect(first?._tag === "Failed" && Option.getOrUndefined(Cause.failureOption(first.cause))).toBeInstanceOf(
        DecodeError
      )
    })
  )

  it.scoped("a way that does not exist is refused by name", () =>
    Effect.gen(function* () {
      const { group, run, stream } = yield* start
      const bad = { onUndecodable: "ignore" } as never as { readonly onUndecodable: "skip" }
      const reading = failure(yield* Effect.exit(run(Stream.runDrain(RedisStream.read(stream, bad)))))
      expect(reading).toMatchObject({ _tag: "UsageError", message: "onUndecodable must be fail, skip or emit" })
      const working = failure(yield* Effect.exit(run(RedisStream.worker({ ...group, ...bad }, () => Effect.void))))
      expect(working).toMatchObject({ message: "onUndecodable must be reject, fail, skip or emit" })
    })
  )
})
