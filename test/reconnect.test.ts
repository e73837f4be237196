/** The pace of reconnecting: the Schedule's own, or its slowest delay after a permanent failure. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { type Connection, Pool, Redis, RedisError } from "effect-redis-client"
import { defaultReconnect, makeStepper } from "../src/internal/effect/schedule.js"
import type { Status } from "../src/Redis.js"
import { connectTo, eachServer, failure, on, quickly, settle } from "./support/client.js"
import { onOutput } from "./support/effect.js"
import * as Peer from "./support/peer.js"
import { makeServer } from "./support/servers.js"
import { promptly } from "./support/timing.js"

const wrong = new RedisError.ConnectionError({
  reason: "authentication",
  delivery: "unsent",
  message: "wrong password"
})

const wrongPassword = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"

/**
 * Accepts the current password. The first connection with another one is refused when `refuse` is called, so that a test
 * can queue commands before; later ones are refused at once.
 */
const guarded = () => {
  const state = {
    password: "old",
    /** The time of each connection. */
    times: [] as Array<number>,
    refuse: undefined as (() => void) | undefined
  }
  const script: Peer.Script = {
    onConnect: () => state.times.push(performance.now()),
    onCommand: (words, connection) => {
      if (connection.received[0]?.[4] === state.password) {
        return Peer.greeting(() => "+PONG\r\n")(words, connection)
      }
      // Replies come in order: the commands after HELLO are answered together with it.
      if (connection.index === 1 && words[2] !== "LIB-VER") {
        return undefined
      }
      const answer = wrongPassword.repeat(connection.received.length)
      if (connection.index > 1) {
        return wrongPassword
      }
      state.refuse = () => connection.write(answer)
      return undefined
    }
  }
  return { state, script }
}

/** Changes the password and resets the connection. Returns the failure of a command that waits meanwhile. */
const rotate = (
  state: ReturnType<typeof guarded>["state"],
  { peer, run }: Effect.Effect.Success<ReturnType<typeof connectTo>>
) =>
  Effect.gen(function* () {
    state.password = "new"
    peer.connections[0]?.reset()
    yield* Peer.eventually("it asks to be let in", () => state.refuse !== undefined)
    const waiting = yield* Effect.fork(run(Redis.set("k", "v")))
    yield* settle
    state.refuse?.()
    return failure(yield* Fiber.await(waiting))
  })

describe("the slowest delay of a Schedule", () => {
  for (const [what, schedule, least, most] of [
    ["the default", defaultReconnect, 2_000, 2_400],
    ["equal delays", Schedule.spaced("5 millis"), 5, 5],
    ["a Schedule that ends", Schedule.exponential("10 millis").pipe(Schedule.intersect(Schedule.recurs(4))), 80, 80],
    ["a Schedule that is done", Schedule.recurs(0), 0, 0],
    ["delays that grow without end", Schedule.exponential("10 millis"), 60_000, 60_000],
    ["delays of hours", Schedule.spaced("2 hours"), 60_000, 60_000],
    ["a Schedule limited in time", Schedule.spaced("100 millis").pipe(Schedule.upTo("1 second")), 100, 100],
    [
      "a Schedule that dies at its sixth step",
      onOutput(Schedule.exponential("10 millis"), (delay) =>
        String(delay).includes("320") ? Effect.die("too long") : Effect.void
      ),
      160,
      160
    ]
  ] as ReadonlyArray<readonly [string, Schedule.Schedule<unknown>, number, number]>) {
    it.effect(`of ${what}`, () =>
      Effect.map(
        Effect.flatMap(makeStepper(schedule), ({ slowestAhead }) => slowestAhead(wrong)),
        (millis) => {
          expect(millis).toBeGreaterThanOrEqual(least)
          expect(millis).toBeLessThanOrEqual(most)
        }
      )
    )
  }
})

describe("after a permanent failure", () => {
  it.scoped("waiting commands fail at once, and attempts go on at the Schedule's slowest delay", () =>
    Effect.gen(function* () {
      const { script, state } = guarded()
      const client = yield* connectTo(script, {
        password: Redacted.make("old"),
        // From 10 ms to 1.5 seconds.
        reconnect: Schedule.exponential("10 millis").pipe(Schedule.union(Schedule.spaced("1500 millis"))),
        replyTimeout: "1 minute"
      })
      expect(yield* rotate(state, client)).toMatchObject({
        _tag: "ConnectionError",
        reason: "authentication",
        delivery: "unsent"
      })
      yield* Peer.eventually("it is refused three times", () => state.times.length >= 4)
      const gaps = state.times.slice(2).map((time, i) => time - (state.times[i + 1] as number))
      // At the Schedule's own pace they would be 20 and 40 ms.
      for (const gap of gaps) {
        expect(gap).toBeGreaterThan(1_200)
      }
      state.password = "old"
      yield* Peer.eventually("it is ready", () => Effect.runSync(client.redis.status.get)._tag === "Ready")
      expect(yield* client.run(Redis.ping())).toBe("PONG")
    })
  )

  it.scoped("looking ahead takes no step from a Schedule that counts", () =>
    Effect.gen(function* () {
      const { script, state } = guarded()
      const client = yield* connectTo(script, {
        password: Redacted.make("old"),
        reconnect: Schedule.spaced("5 millis").pipe(Schedule.intersect(Schedule.recurs(4)))
      })
      yield* rotate(state, client)
      yield* Peer.eventually("it gave up", () => Effect.runSync(client.redis.status.get)._tag === "Closed")
      // One step for the lost connection, and one for each delay between four attempts.
      expect(state.times.length).toBe(5)
    })
  )

  it.scoped("new credentials are tried at once, however long the current delay", () =>
    Effect.gen(function* () {
      const { script, state } = guarded()
      const given = yield* Queue.unbounded<{ readonly password: Redacted.Redacted<string> }>()
      yield* Queue.offer(given, { password: Redacted.make("old") })
      const client = yield* connectTo(script, {
        credentials: Stream.fromQueue(given),
        reconnect: Schedule.exponential("10 millis").pipe(Schedule.union(Schedule.spaced("1 hour"))),
        replyTimeout: "1 minute"
      })
      expect(yield* rotate(state, client)).toMatchObject({ reason: "authentication" })
      yield* Queue.offer(given, { password: Redacted.make("new") })
      yield* Peer.eventually("it is ready", () => Effect.runSync(client.redis.status.get)._tag === "Ready")
      expect(state.times.length).toBe(3)
    })
  )

  it.scoped("credentials that arrive while the old ones are being refused are tried at once: no command fails", () =>
    comeWhileRefused(undefined)
  )

  it.scoped("a refusal of replaced credentials does not end a client that stops at wrong passwords", () =>
    comeWhileRefused(() => true)
  )

  const comeWhileRefused = (stopReconnecting: (() => boolean) | undefined) =>
    Effect.gen(function* () {
      const { script, state } = guarded()
      const given = yield* Queue.unbounded<{ readonly password: Redacted.Redacted<string> }>()
      yield* Queue.offer(given, { password: Redacted.make("old") })
      const { peer, run } = yield* connectTo(script, {
        credentials: Stream.fromQueue(given),
        reconnect: Schedule.exponential("10 millis").pipe(Schedule.union(Schedule.spaced("1 hour"))),
        stopReconnecting,
        replyTimeout: "1 minute"
      })
      state.password = "new"
      peer.connections[0]?.reset()
      yield* Peer.eventually("it asks to be let in", () => state.refuse !== undefined)
      const waiting = yield* Effect.fork(run(Redis.ping()))
      yield* Queue.offer(given, { password: Redacted.make("new") })
      yield* Effect.repeatN(settle, 10)
      state.refuse?.()
      expect(yield* Fiber.join(waiting)).toBe("PONG")
      expect(state.times.length).toBe(3)
    })

  it.scoped("a pool tries them at once too: a waiter gets a connection", () =>
    Effect.gen(function* () {
      const { script, state } = guarded()
      const given = yield* Queue.unbounded<{ readonly password: Redacted.Redacted<string> }>()
      yield* Queue.offer(given, { password: Redacted.make("old") })
      const peer = yield* Peer.make(script)
      const pool = yield* Pool.make({
        host: "127.0.0.1",
        port: peer.port,
        credentials: Stream.fromQueue(given),
        reconnect: Schedule.exponential("10 millis").pipe(Schedule.union(Schedule.spaced("1 hour"))),
        minSize: 1,
        maxSize: 1,
        acquireTimeout: "1 minute"
      })
      state.password = "new"
      peer.connections[0]?.reset()
      yield* Peer.eventually("it asks to be let in", () => state.refuse !== undefined)
      const ping = Effect.scoped(Effect.flatMap(pool.acquire, (connection) => connection.execute("PING")))
      const waiting = yield* Effect.fork(ping)
      yield* Queue.offer(given, { password: Redacted.make("new") })
      yield* Effect.repeatN(settle, 10)
      state.refuse?.()
      expect(yield* Fiber.join(waiting)).toBe("PONG")
      expect(yield* ping).toBe("PONG")
    })
  )
})

/** The commands of the handshake: all before the first one that belongs to a caller. */
const handshakeOf = ({ received }: Peer.PeerConnection) => {
  const end = received.findIndex(([name]) => !/^(?:HELLO|AUTH|SELECT|CLIENT)$/.test(name ?? ""))
  return end < 0 ? received : received.slice(0, end)
}

describe("a connection that replaces another", () => {
  for (const protocol of [2, 3] as const) {
    it.scoped(`repeats the handshake of the first before any command is sent, RESP${protocol}`, () =>
      Effect.gen(function* () {
        const { peer, run } = yield* connectTo(
          {
            onCommand: ([name, sub], connection) => {
              if (name === "HELLO") {
                return Peer.hello3
              }
              if (name === "CLIENT" && sub === "ID") {
                return ":7\r\n"
              }
              if (name === "GET" && connection.index === 0) {
                connection.reset()
                return undefined
              }
              return name === "GET" ? "$1\r\nv\r\n" : "+OK\r\n"
            }
          },
          { protocol, database: 3, clientName: "proof", username: "ada", password: Redacted.make("secret") }
        )
        yield* run(Redis.get("k"))
        const [first, second] = peer.connections.map(handshakeOf)
        expect(second).toEqual(first)
        const words = (second ?? []).map((command) => command.join(" "))
        expect(words).toContain("SELECT 3")
        expect(words.some((line) => /AUTH ada secret/.test(line))).toBe(true)
        expect(words.some((line) => /SETNAME proof/.test(line))).toBe(true)
        expect(peer.connections[1]?.received.at(words.length)).toEqual(["GET", "k"])
      })
    )
  }
})

eachServer((it, { protocol, server }) => {
  it.scoped("commands fail at once while a permanent failure persists; new credentials end it", () =>
    Effect.gen(function* () {
      const process = yield* makeServer(server, { acl: ["ada on >new ~* &* +@all", "admin on >admin ~* &* +@all"] })
      const { host, port } = process
      const admin = yield* Redis.make({
        host,
        port,
        protocol,
        username: "admin",
        password: Redacted.make("admin"),
        reconnect: quickly
      })
      const setPassword = (password: string) =>
        on(admin)(Redis.execute("ACL", "SETUSER", "ada", "resetpass", `>${password}`))
      yield* setPassword("old")
      const given = yield* Queue.unbounded<Connection.Credentials>()
      yield* Queue.offer(given, { username: "ada", password: Redacted.make("old") })
      const redis = yield* Redis.make({
        host,
        port,
        protocol,
        credentials: Stream.fromQueue(given),
        reconnect: Schedule.union(Schedule.exponential("10 millis"), Schedule.spaced("1 hour")),
        replyTimeout: "1 hour",
        acquireTimeout: "1 hour"
      })
      const run = on(redis)
      yield* run(Redis.set("k", "v"))
      yield* setPassword("new")
      yield* on(admin)(Redis.execute("CLIENT", "KILL", "USER", "ada"))
      yield* Peer.eventually("it was refused", () => {
        const status = Effect.runSync(redis.status.get)
        return status._tag === "Reconnecting" && status.attempt === 2
      })
      for (const command of [Redis.get("k"), Redis.set("k", "w")]) {
        const error = failure(yield* Effect.exit<unknown, RedisError.RedisError, never>(run(command)))
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication", delivery: "unsent" })
        expect(error.message).toMatch(/WRONGPASS/)
      }
      const pipeline = failure(yield* Effect.exit(run(Redis.pipeline([Redis.get("k"), Redis.incr("n")]))))
      expect(pipeline).toMatchObject({ _tag: "PipelineError", at: 0, error: { reason: "authentication" } })
      // The first one makes an attempt, the second one fails before the next attempt.
      for (let i = 0; i < 2; i++) {
        const error = failure(yield* Effect.exit(run(Redis.blpop("list", { timeout: "1 hour" }))))
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication", delivery: "unsent" })
      }
      yield* Queue.offer(given, { username: "ada", password: Redacted.make("new") })
      yield* Peer.eventually("it is ready", () => Effect.runSync(redis.status.get)._tag === "Ready")
      expect(yield* run(Redis.get("k"))).toEqual(Option.some("v"))
      expect(yield* promptly(run(Redis.blpop("list", { timeout: "10 millis" })))).toEqual(Option.none())
    })
  )

  it.scoped("a retried command fails at once until the password is right, and is then answered", () =>
    Effect.gen(function* () {
      const process = yield* makeServer(server, { acl: ["ada on >new ~* &* +@all", "admin on >admin ~* &* +@all"] })
      const { host, port } = process
      const as = (username: string, password: string) => ({
        host,
        port,
        protocol,
        username,
        password: Redacted.make(password)
      })
      const admin = on(yield* Redis.make({ ...as("admin", "admin"), reconnect: quickly }))
      const redis = yield* Redis.make({
        ...as("ada", "late"),
        lazy: true,
        reconnect: quickly,
        replyTimeout: "1 minute"
      })
      const run = on(redis)
      const until = (what: string, is: (status: Status) => boolean) =>
        Peer.eventually(what, () => is(Effect.runSync(redis.status.get)))
      yield* until("it was refused some times", (status) => status._tag === "Reconnecting" && status.attempt > 3)
      // Each command fails at once or is answered: none waits for long.
      const works: Effect.Effect<string> = Effect.catchAll(run(Redis.ping()), (error) => {
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication", delivery: "unsent" })
        return Effect.zipRight(Effect.yieldNow(), works)
      })
      const answered = yield* Effect.fork(works)
      yield* admin(Redis.execute("ACL", "SETUSER", "ada", ">late"))
      expect(yield* Fiber.join(answered)).toBe("PONG")
    })
  )
})

describe("requests that wait for a connection", () => {
  it.scopedLive("wait for the next one when a write ends it, and hold no event loop", () =>
    Effect.gen(function* () {
      let refuses = false
      const peer = yield* Peer.make({
        onConnect: (connection) => refuses && connection.reset(),
        onCommand: Peer.greeting(() => "$1\r\nv\r\n")
      })
      const redis = yield* Redis.make({ host: "127.0.0.1", port: peer.port, replyTimeout: "10 seconds" })
      refuses = true
      peer.connections[0]?.reset()
      yield* Peer.eventually("it is disconnected", () => peer.connections.length > 1)
      const bytes = new Uint8Array(200)
      const set = yield* Effect.fork(Effect.exit(redis.send(Redis.execute("SET", "k", bytes))))
      const gets = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 100 }, () => redis.send(Redis.get("k"))),
          { concurrency: "unbounded" }
        )
      )
      yield* Effect.yieldNow()
      // What the SET holds cannot be written any more. With so many commands it is written while the link is attached.
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
      refuses = false
      expect(failure(yield* Fiber.join(set))).toMatchObject({ reason: "transport", delivery: "unknown" })
      expect(new Set((yield* Fiber.join(gets)).map(Option.getOrThrow))).toEqual(new Set(["v"]))
    })
  )
})
