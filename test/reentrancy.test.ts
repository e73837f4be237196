/**
 * A caller goes on in the step in which its reply is read: in Effect 4 that is inside the parser, in the middle of a chunk of
 * replies. Whatever it does there, the other replies of the chunk reach their own callers, and it meets no client, pool or
 * hub that has not learnt yet what its own command ended with.
 */
import { describe, expect, it as plain } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Connection, Pool, Redis, RedisCommand, RedisPubSub } from "effect-redis-client"
import { onEnd } from "../src/internal/effect/fork.js"
import type { RedisError } from "../src/RedisError.js"
import * as RedisServer from "../src/testing/RedisServer.js"
import { connectTo, eachServer, failure, on } from "./support/client.js"
import * as Peer from "./support/peer.js"
import { listener, publish, until } from "./support/pubsub.js"

const count = 50
/** The fiber that does something special, in the middle of the chunk. */
const middle = 20

const keyOf = (i: number): string => `reentrancy:${i}`
const all = Array.from({ length: count }, (_, i) => i)

/** Computes for so many milliseconds. */
const busy = (millis: number): void => {
  for (const until = performance.now() + millis; performance.now() < until; ) {
    // Nothing else runs.
  }
}

type Get = (key: string) => Effect.Effect<Option.Option<string>, RedisError>

/**
 * Reads all keys in one turn, so that they are written in one piece and answered in one. The fiber in the middle goes on with
 * `inside`, which is given the fibers.
 */
const burst = <E>(
  get: Get,
  inside: (fibers: ReadonlyArray<Fiber.RuntimeFiber<unknown, unknown>>) => Effect.Effect<unknown, E>
) =>
  Effect.gen(function* () {
    const fibers: Array<Fiber.RuntimeFiber<Option.Option<string>, RedisError | E>> = []
    for (const i of all) {
      const one: Effect.Effect<Option.Option<string>, RedisError | E> = get(keyOf(i))
      fibers.push(yield* Effect.fork(i === middle ? Effect.tap(one, () => inside(fibers)) : one))
    }
    return yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
  })

/** The uncaught errors of the process, in place of vitest, until the scope closes. */
const uncaught = Effect.acquireRelease(
  Effect.sync(() => {
    const thrown: Array<unknown> = []
    const record = (error: unknown): void => void thrown.push(error)
    const events = ["uncaughtException", "unhandledRejection"] as const
    const before = events.map((event) => [event, process.listeners(event as "uncaughtException")] as const)
    for (const event of events) {
      process.removeAllListeners(event)
      process.on(event, record)
    }
    return { thrown, before }
  }),
  ({ before }) =>
    Effect.sync(() => {
      for (const [event, listeners] of before) {
        process.removeAllListeners(event)
        for (const listener of listeners) process.on(event, listener)
      }
    })
).pipe(Effect.map(({ thrown }) => thrown))

/** What each caller got; `undefined` for a failure. */
const texts = (exits: ReadonlyArray<Exit.Exit<Option.Option<string>, unknown>>): ReadonlyArray<string | undefined> =>
  exits.map((exit) => (Exit.isSuccess(exit) ? Option.getOrElse(exit.value, () => "nothing") : undefined))

const own = all.map(keyOf)

eachServer((it, { connect, protocol, ...live }) => {
  const start = Effect.gen(function* () {
    const { host, port } = yield* RedisServer.RedisServer
    const redis = yield* connect()
    yield* on(redis)(Redis.mset(Object.fromEntries(own.map((key) => [key, key]))))
    return { redis, at: { host, port, protocol } as const }
  })
  const getOf =
    (connection: Connection.Connection): Get =>
    (key) =>
      connection.execute(Redis.get(key))

  describe("in the middle of a chunk of replies", () => {
    it.scoped("a fiber closes its connection: the others still get their replies", () =>
      Effect.gen(function* () {
        const { at } = yield* start
        const connection = yield* Connection.make(at)
        expect(texts(yield* burst(getOf(connection), () => connection.close))).toEqual(own)
        expect(failure(yield* Effect.exit(connection.execute(Redis.ping())))).toMatchObject({ delivery: "unsent" })
      })
    )

    it.scoped("a fiber closes the client: the others still get their replies", () =>
      Effect.gen(function* () {
        const { at } = yield* start
        const scope = yield* Scope.make()
        const redis = yield* Scope.extend(Redis.make(at), scope)
        expect(
          texts(
            yield* burst(
              (key) => redis.send(Redis.get(key)),
              () => Scope.close(scope, Exit.void)
            )
          )
        ).toEqual(own)
      })
    )

    it.scoped("an observer of a fiber throws: the others still get their replies, and the connection goes on", () =>
      Effect.gen(function* () {
        const { redis } = yield* start
        const get: Get = (key) => redis.send(Redis.get(key))
        const thrown = yield* uncaught
        const exits = yield* burst(get, (fibers) =>
          Effect.sync(() => {
            onEnd(fibers[middle] as Fiber.RuntimeFiber<unknown, unknown>, () => {
              throw new Error("the observer")
            })
          })
        )
        expect(texts(exits)).toEqual(own)
        expect(texts(yield* burst(get, () => Effect.void))).toEqual(own)
        yield* Peer.eventually("the error is reported", () => thrown.length > 0)
        expect(thrown.map(String)).toEqual(["Error: the observer"])
      })
    )

    it.scoped("a fiber sends RESET: the others still get their replies, and the connection goes on", () =>
      Effect.gen(function* () {
        const { at } = yield* start
        const connection = yield* Connection.make(at)
        expect(texts(yield* burst(getOf(connection), () => connection.execute("RESET")))).toEqual(own)
        expect(yield* connection.protocol).toBe(2)
        expect(texts(yield* burst(getOf(connection), () => Effect.void))).toEqual(own)
      })
    )

    it.scoped("a fiber interrupts those after it: the connection goes on, and no reply reaches another caller", () =>
      Effect.gen(function* () {
        const { redis } = yield* start
        const get: Get = (key) => redis.send(Redis.get(key))
        const exits = yield* burst(get, (fibers) =>
          Effect.zipRight(
            Fiber.interruptAll(fibers.slice(middle + 1)),
            Effect.map(get(keyOf(7)), (got) => expect(got).toEqual(Option.some(keyOf(7))))
          )
        )
        expect(texts(exits).slice(0, middle + 1)).toEqual(own.slice(0, middle + 1))
        for (const [i, text] of texts(exits).entries()) {
          expect([own[i], undefined]).toContain(text)
        }
        expect(texts(yield* burst(get, () => Effect.void))).toEqual(own)
      })
    )

    it.scoped("a lease ends while replies are owed: the next borrower gets its own", () =>
      Effect.gen(function* () {
        const { at } = yield* start
        const pool = yield* Pool.make({ ...at, minSize: 0, maxSize: 1 })
        const others: Array<Fiber.RuntimeFiber<Option.Option<string>, RedisError>> = []
        const first = yield* Effect.fork(
          Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* pool.acquire
              for (const i of all.slice(1)) {
                others.push(yield* Effect.forkDaemon(Effect.zipRight(Effect.yieldNow(), getOf(connection)(keyOf(i)))))
              }
              return yield* getOf(connection)(keyOf(0))
            })
          )
        )
        const next = yield* Effect.scoped(
          Effect.flatMap(pool.acquire, (connection) => burst(getOf(connection), () => Effect.void))
        )
        expect(texts(next)).toEqual(own)
        expect(yield* Fiber.join(first)).toEqual(Option.some(keyOf(0)))
        for (const [i, exit] of (yield* Effect.forEach(others, (fiber) => Fiber.await(fiber))).entries()) {
          expect([own[i + 1], undefined]).toContain(texts([exit])[0])
        }
      })
    )

    it.scoped("fibers that run long let the timers and the other connections have their turn", () =>
      Effect.gen(function* () {
        const { redis, at } = yield* start
        const other = yield* Connection.make(at)
        let ended = false
        const working = yield* Effect.fork(
          Effect.forEach(
            all.slice(0, 20),
            (i) =>
              Effect.repeatN(
                Effect.map(redis.send(Redis.get(keyOf(i))), () => busy(1)),
                9
              ),
            { concurrency: "unbounded", discard: true }
          ).pipe(
            Effect.ensuring(
              Effect.sync(() => {
                ended = true
              })
            )
          )
        )
        let turns = 0
        while (!ended) {
          yield* other.execute(Redis.ping())
          turns++
        }
        yield* Fiber.join(working)
        // The fibers worked ten times after a chunk of replies. The other connection had a turn in between.
        expect(turns).toBeGreaterThanOrEqual(3)
      })
    )
  })

  describe("a listener", () => {
    it.scoped("that ends inside of a message takes none from the others", () =>
      Effect.gen(function* () {
        const { listen, redis } = yield* listener({ connect, protocol, ...live })
        const channel = `reentrancy:ends:${protocol}`
        const staying = yield* listen(RedisPubSub.mailbox(channel))
        const leaving = yield* Effect.fork(
          Effect.scoped(Effect.flatMap(listen(RedisPubSub.mailbox(channel)), (messages) => messages.take))
        )
        yield* until(
          "both listen",
          Effect.map(on(redis)(Redis.pubsubNumsub([channel])), () => true)
        )
        const last = yield* listen(RedisPubSub.mailbox(channel))
        yield* publish(redis, channel, 100)
        const numbers = all.concat(all.map((i) => i + count)).map(String)
        for (const messages of [staying, last]) {
          expect([...(yield* messages.takeN(100))[0]].map(({ payload }) => payload)).toEqual(numbers)
        }
        yield* Fiber.interrupt(leaving)
      })
    )

    it.scoped("that listens again inside of a message gets that message once", () =>
      Effect.gen(function* () {
        const { listen, redis } = yield* listener({ connect, protocol, ...live })
        const channel = `reentrancy:again:${protocol}`
        const one = Effect.scoped(Effect.flatMap(listen(RedisPubSub.mailbox(channel)), (messages) => messages.take))
        const keeps = yield* listen(RedisPubSub.mailbox(channel))
        const two = yield* Effect.fork(
          Effect.scoped(
            Effect.gen(function* () {
              const messages = yield* listen(RedisPubSub.mailbox(channel))
              const before = yield* messages.take
              return [before.payload, (yield* one).payload]
            })
          )
        )
        yield* listenedTwice(redis, channel, two)
        const [before, after] = yield* Fiber.join(two)
        expect(before).not.toBe(after)
        yield* keeps.clear
      })
    )

    it.scoped("of a connection's pushes that listens again inside of a push gets that push once", () =>
      Effect.gen(function* () {
        const { at, redis } = yield* start
        const connection = yield* Connection.make(at)
        const channel = `reentrancy:pushes:${protocol}`
        yield* connection.execute("SUBSCRIBE", channel)
        const head = Effect.map(
          Stream.runHead(connection.pushes),
          Option.map(({ items }) => String(items[2]))
        )
        const two = yield* Effect.fork(Effect.zip(head, head))
        yield* listenedTwice(redis, channel, two)
        const [before, after] = yield* Fiber.join(two)
        expect(before).not.toEqual(after)
      })
    )
  })
})

/** Publishes numbers until the fiber has ended. */
const listenedTwice = (redis: Parameters<typeof on>[0], channel: string, fiber: Fiber.RuntimeFiber<unknown, unknown>) =>
  Effect.gen(function* () {
    let ended = false
    fiber.addObserver(() => {
      ended = true
    })
    for (let i = 0; !ended; i++) {
      yield* on(redis)(Redis.publish(channel, String(i)))
    }
  })

/** A server that resets the connection at INCR. */
const resetting = () => ({
  onCommand: Peer.greeting(([name], connection) => {
    if (name === "INCR") {
      connection.reset()
      return undefined
    }
    return "+OK\r\n"
  })
})

describe("a caller that computes for long after its reply", () => {
  plain.scoped("has the whole deadline of its next command", () =>
    Effect.gen(function* () {
      const { run } = yield* connectTo({
        onCommand: Peer.greeting(([name]) => (name === "PING" ? "+PONG\r\n" : undefined))
      })
      for (const many of [false, true]) {
        let started = 0
        const error = yield* run(Redis.ping()).pipe(
          Effect.tap(() =>
            Effect.sync(() => {
              busy(150)
              started = performance.now()
            })
          ),
          Effect.zipRight(
            Effect.asVoid(
              many
                ? run(Effect.all([slow, slow], { concurrency: "unbounded", discard: true }))
                : run(Effect.asVoid(slow))
            )
          ),
          Effect.flip
        )
        expect(error).toMatchObject({ _tag: "DeadlineError" })
        expect(performance.now() - started).toBeGreaterThanOrEqual(100)
      }
    })
  )
})

/** It gets no reply. */
const slow = RedisCommand.withDeadline(Redis.get("k"), "100 millis")

describe("a caller whose connection has ended", () => {
  plain.scoped("meets a client that is without a connection", () =>
    Effect.gen(function* () {
      const { redis, run } = yield* connectTo(resetting())
      const status = yield* Effect.zipRight(Effect.exit(run(Redis.incr("k"))), redis.status.get)
      expect(status._tag).toBe("Reconnecting")
    })
  )

  plain.scoped("meets a pool that has dropped it, and a connection that is closed", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(resetting())
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, minSize: 0, maxSize: 2 })
      const connection = yield* pool.acquire
      const exit = yield* Effect.exit(connection.execute(Redis.incr("k")))
      const [closed, size] = [yield* connection.closed, yield* pool.size]
      expect([closed, size]).toEqual([true, 0])
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
    })
  )

  plain.scoped("and waited for the next one goes first, before a caller that waited for the status", () =>
    Effect.gen(function* () {
      const { commands, redis, run } = yield* connectTo(resetting())
      yield* Effect.exit(run(Redis.incr("k")))
      const waiting = yield* Effect.fork(run(Redis.execute("SET", "first", "1")))
      const later = yield* Effect.fork(
        Effect.zipRight(
          Stream.runHead(Stream.filter(redis.status.changes, ({ _tag }) => _tag === "Ready")),
          run(Redis.execute("SET", "second", "2"))
        )
      )
      yield* Fiber.join(waiting)
      yield* Fiber.join(later)
      expect(commands().filter((command) => command.startsWith("SET"))).toEqual(["SET first 1", "SET second 2"])
    })
  )
})
