/** What a client believes of what sentinels say: scripted sentinels disagree, are stale, announce a failover, and refuse. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Redis } from "../../src/Redis.js"
import * as RedisSentinel from "../../src/RedisSentinel.js"
import { failure, on, quickly, settle } from "../support/client.js"
import { resp } from "../support/clusterPeers.js"
import * as Peer from "../support/peer.js"

const name = "main"

/** What a sentinel says of the master. */
interface Says {
  master: number
  epoch: number
  flags?: string
}

const hello = (facts: Readonly<Record<string, string>>): string => {
  const fields: Record<string, unknown> = { server: "redis", version: "8.0.0", proto: 3, id: 7, ...facts }
  const flat = Object.entries(fields)
  return `%${flat.length}\r\n${flat.map((pair) => pair.map(resp).join("")).join("")}`
}

/** A push, with its texts as bulk strings: names of channels begin with a plus. */
const push = (...items: ReadonlyArray<string | number>): string =>
  `>${items.length}\r\n${items.map((item) => (typeof item === "number" ? `:${item}\r\n` : `$${item.length}\r\n${item}\r\n`)).join("")}`

/** A scripted data node, whose role may change. */
const makeNode = (answer: (command: ReadonlyArray<string>) => string | undefined = () => resp("+OK")) =>
  Effect.gen(function* () {
    const state = { role: "master", refuses: 0 }
    const peer = yield* Peer.make({
      onConnect: (connection) => {
        if (state.refuses > 0) {
          state.refuses--
          connection.reset()
        }
      },
      onCommand: (command) =>
        command[0] === "HELLO"
          ? hello({ mode: "standalone", role: state.role })
          : command[0] === "CLIENT"
            ? resp("+OK")
            : answer(command)
    })
    return { ...peer, peer, state, received: () => peer.connections.flatMap(Peer.sent) }
  })

/** A scripted sentinel. */
const makeSentinel = (says: Says, other?: (command: ReadonlyArray<string>) => string | undefined) =>
  Effect.gen(function* () {
    const watchers = new Set<Peer.PeerConnection>()
    const peer = yield* Peer.make({
      onCommand: (command, connection) => {
        const special = other?.(command)
        if (special !== undefined) {
          return special
        }
        switch (command[0]) {
          case "HELLO":
            return hello({ mode: "sentinel" })
          case "SUBSCRIBE":
            watchers.add(connection)
            return push("subscribe", command[1] ?? "", 1)
          case "SENTINEL":
            return command[1] === "MASTER"
              ? resp([
                  "name",
                  name,
                  "ip",
                  "127.0.0.1",
                  "port",
                  String(says.master),
                  "flags",
                  says.flags ?? "master",
                  "config-epoch",
                  String(says.epoch)
                ])
              : resp([])
          default:
            return resp("+OK")
        }
      }
    })
    return {
      ...peer,
      peer,
      says,
      watched: () => watchers.size > 0,
      announce: (from: number, to: number) => {
        for (const connection of watchers) {
          connection.write(push("message", "+switch-master", `${name} 127.0.0.1 ${from} 127.0.0.1 ${to}`))
        }
      }
    }
  })

type ScriptedSentinel = Effect.Effect.Success<ReturnType<typeof makeSentinel>>

const clientOf = (
  sentinels: ReadonlyArray<ScriptedSentinel>,
  options: Partial<RedisSentinel.RedisSentinelOptions> = {}
) =>
  RedisSentinel.make({
    name,
    sentinels: sentinels.map(({ port }) => ({ host: "127.0.0.1", port })),
    reconnect: quickly,
    ...options
  })

describe("whom the client takes for the master", () => {
  it.scoped("the server that the sentinel with the highest config epoch names", () =>
    Effect.gen(function* () {
      const [stale, right] = [yield* makeNode(), yield* makeNode()]
      const sentinels = [
        yield* makeSentinel({ master: stale.port, epoch: 1 }),
        yield* makeSentinel({ master: right.port, epoch: 2 })
      ]
      const redis = yield* clientOf(sentinels)
      yield* on(redis)(Redis.set("k", "v"))
      expect(right.received()).toEqual(["SET k v"])
      expect(stale.connections).toHaveLength(0)
    })
  )

  it.scoped("the server that is named, once it says itself that it is a master", () =>
    Effect.gen(function* () {
      const node = yield* makeNode()
      node.state.role = "replica"
      const sentinels = [yield* makeSentinel({ master: node.port, epoch: 1 })]
      const made = yield* Effect.fork(clientOf(sentinels))
      yield* Peer.eventually("it asked three times", () => node.connections.length >= 3)
      node.state.role = "master"
      yield* on(yield* Fiber.join(made))(Redis.set("k", "v"))
      expect(node.received()).toEqual(["SET k v"])
    })
  )

  it.scoped("nobody, when what is named stays a replica: the error says so", () =>
    Effect.gen(function* () {
      const node = yield* makeNode()
      node.state.role = "replica"
      const sentinels = [yield* makeSentinel({ master: node.port, epoch: 1 })]
      const error = failure(yield* Effect.exit(clientOf(sentinels, { connectTimeout: "300 millis" })))
      expect(error.message).toContain(`127.0.0.1:${node.port} is a replica, and not a master`)
    })
  )
})

describe("a failover that is under way when the client is built", () => {
  it.scoped("the client stays at the new master while the leader still names the former one, and afterwards", () =>
    Effect.gen(function* () {
      const [former, next] = [yield* makeNode(), yield* makeNode()]
      const leads = { master: former.port, epoch: 2, flags: "master,o_down,failover_in_progress" }
      const sentinels = [yield* makeSentinel(leads), yield* makeSentinel({ master: next.port, epoch: 2 })]
      const redis = yield* clientOf(sentinels)
      const asked = () => sentinels.reduce((sum, { connections }) => sum + connections.length, 0)
      const ask = Effect.suspend(() => {
        const before = asked()
        sentinels[1]?.announce(1, 2)
        return Peer.eventually("the sentinels were asked", () => asked() >= before + 2)
      })
      yield* Peer.eventually("it watches both", () => sentinels.every(({ watched }) => watched()))
      yield* ask
      yield* on(redis)(Redis.set("during", "v"))
      Object.assign(leads, { master: next.port, flags: "master" })
      yield* ask
      yield* on(redis)(Redis.set("after", "v"))
      expect(next.received()).toEqual(["SET during v", "SET after v"])
      expect(former.connections).toHaveLength(0)
    })
  )
})

describe("another server becomes the master", () => {
  const start = (options: Partial<RedisSentinel.RedisSentinelOptions> = {}, former?: Parameters<typeof makeNode>[0]) =>
    Effect.gen(function* () {
      const [a, b, c] = [yield* makeNode(former), yield* makeNode(), yield* makeNode()]
      const sentinels = [
        yield* makeSentinel({ master: a.port, epoch: 1 }),
        yield* makeSentinel({ master: a.port, epoch: 1 })
      ]
      const redis = yield* clientOf(sentinels, options)
      yield* Peer.eventually("it watches both", () => sentinels.every(({ watched }) => watched()))
      return { a, b, c, sentinels, redis, run: on(redis) }
    })

  it.scoped("what was not written to the former master goes to the new one, and its late answers still count", () =>
    Effect.gen(function* () {
      // One command is in flight and all others wait, because the former master does not answer yet.
      const { a, b, run, sentinels } = yield* start({ maxInFlight: 1 }, () => undefined)
      const sets = yield* Effect.fork(
        Effect.forEach([0, 1, 2, 3, 4], (i) => run(Redis.set(`k${i}`, "v")), { concurrency: "unbounded" })
      )
      yield* Peer.eventually("the first one is there", () => a.received().length === 1)
      sentinels[0]?.announce(a.port, b.port)
      yield* Peer.eventually("the others are at the new master", () => b.received().length === 4)
      a.connections[0]?.write("+OK\r\n")
      yield* Fiber.join(sets)
      expect(a.received()).toEqual(["SET k0 v"])
      expect([...b.received()].sort()).toEqual(["SET k1 v", "SET k2 v", "SET k3 v", "SET k4 v"])
    })
  )

  it.scoped("a write that the former master never answers fails, and may have been executed", () =>
    Effect.gen(function* () {
      const { a, b, run, sentinels } = yield* start({ closeTimeout: "50 millis" }, () => undefined)
      const write = yield* Effect.fork(Effect.exit(run(Redis.set("k", "v"))))
      yield* Peer.eventually("it is there", () => a.received().length === 1)
      sentinels[0]?.announce(a.port, b.port)
      expect(failure(yield* Fiber.join(write))).toMatchObject({ _tag: "ConnectionError", delivery: "unknown" })
      expect(b.received()).toEqual([])
    })
  )

  it.scoped("a command that is asked for once the client has left the former master never reaches it", () =>
    Effect.gen(function* () {
      const { a, b, redis, run, sentinels } = yield* start()
      yield* run(Redis.set("before", "v"))
      const left = yield* Effect.fork(
        Stream.runHead(Stream.filter(redis.status.changes, ({ _tag }) => _tag === "Reconnecting"))
      )
      yield* Effect.yieldNow()
      sentinels[0]?.announce(a.port, b.port)
      expect(Option.isSome(yield* Fiber.join(left))).toBe(true)
      yield* Effect.forEach(Array.from({ length: 50 }), (_, i) => run(Redis.set(`after${i}`, "v")), {
        concurrency: "unbounded"
      })
      expect(a.received()).toEqual(["SET before v"])
      expect(b.received()).toHaveLength(50)
    })
  )

  it.scoped("a leased connection of the former master sends nothing more", () =>
    Effect.gen(function* () {
      const { a, b, redis, sentinels } = yield* start()
      const lease = yield* redis.lease
      yield* on(lease)(Redis.set("leased", "v"))
      sentinels[0]?.announce(a.port, b.port)
      yield* Peer.eventually("the client is at the new master", () => b.connections.length > 0)
      expect(failure(yield* Effect.exit(on(lease)(Redis.set("more", "v"))))).toMatchObject({ delivery: "unsent" })
      expect(a.received()).toEqual(["SET leased v"])
    })
  )

  it.scoped(
    "a program that goes on when its blocked command of the former master ends sends the next one to the new one",
    () =>
      Effect.gen(function* () {
        const { a, b, run, sentinels } = yield* start({}, ([word]) => (word === "BLPOP" ? undefined : resp("+OK")))
        // So large that it is written at once, and not in a microtask.
        const large = "x".repeat(40_000)
        const program = yield* Effect.fork(
          Effect.zipRight(
            Effect.exit(run(Redis.blpop(["list"], { timeout: "20 seconds" }))),
            run(Redis.set("k", large))
          )
        )
        yield* Peer.eventually("it blocks", () => a.received().some((line) => line.startsWith("BLPOP")))
        sentinels[0]?.announce(a.port, b.port)
        yield* Fiber.join(program)
        expect(a.received().filter((line) => line.startsWith("SET"))).toEqual([])
        expect(b.received()).toEqual([`SET k ${large}`])
      })
  )

  it.scoped("a late announcement of an earlier failover does not move the client back", () =>
    Effect.gen(function* () {
      const { a, b, c, run, sentinels } = yield* start()
      const [first, second] = sentinels as [ScriptedSentinel, ScriptedSentinel]
      first.announce(a.port, b.port)
      yield* Peer.eventually("it is at b", () => b.connections.length > 0)
      first.announce(b.port, c.port)
      yield* Peer.eventually("it is at c", () => c.connections.length > 0)
      for (const { says } of sentinels) {
        Object.assign(says, { master: c.port, epoch: 3 })
      }
      const asked = second.connections.length
      second.announce(a.port, b.port)
      yield* Peer.eventually("the sentinels were asked", () => second.connections.length > asked)
      yield* run(Redis.set("k", "v"))
      expect(c.received()).toEqual(["SET k v"])
    })
  )

  it.scoped(
    "after two failovers in a row, sentinels that still name the first master do not move the client back",
    () =>
      Effect.gen(function* () {
        const { a, b, c, run, sentinels } = yield* start()
        const [first, second] = sentinels as [ScriptedSentinel, ScriptedSentinel]
        first.announce(a.port, b.port)
        yield* Peer.eventually("it is at b", () => b.connections.length > 0)
        first.announce(b.port, c.port)
        yield* Peer.eventually("it is at c", () => c.connections.length > 0)
        const asked = second.connections.length
        // Does not fit, so all sentinels are asked: each still names a.
        second.announce(b.port, a.port)
        yield* Peer.eventually("the sentinels were asked", () => second.connections[asked]?.socket.destroyed === true)
        const before = a.received().length
        for (let i = 0; i < 20; i++) {
          yield* run(Redis.set("k", String(i)))
          yield* settle
        }
        expect(c.received().length).toBe(20)
        expect(a.received().length).toBe(before)
      })
  )

  it.scoped("the former master is not asked again while the leader of the failover names it with the new epoch", () =>
    Effect.gen(function* () {
      const { a, b, run, sentinels } = yield* start()
      const [leader, other] = sentinels as [ScriptedSentinel, ScriptedSentinel]
      yield* run(Redis.set("before", "v"))
      leader.says.epoch = 2
      Object.assign(other.says, { master: b.port, epoch: 2 })
      b.state.refuses = 3
      other.announce(a.port, b.port)
      yield* Peer.eventually("the new master refused", () => b.state.refuses === 0)
      yield* run(Redis.set("after", "v"))
      expect(a.received()).toEqual(["SET before v"])
      expect(b.received()).toEqual(["SET after v"])
    })
  )

  it.scoped("a late announcement of the master's own former failover holds the client up for a short time only", () =>
    Effect.gen(function* () {
      const { a, b, run, sentinels } = yield* start()
      b.state.role = "replica"
      const started = performance.now()
      sentinels[0]?.announce(a.port, b.port)
      yield* Peer.eventually("the client was there", () => b.connections.length > 0)
      yield* run(Redis.set("k", "v"))
      expect(a.received()).toEqual(["SET k v"])
      expect(performance.now() - started).toBeLessThan(5_000)
    })
  )

  it.scoped("an announcement of another master's name changes nothing", () =>
    Effect.gen(function* () {
      const { a, b, run, sentinels } = yield* start()
      for (const { connections } of sentinels) {
        connections.at(-1)?.write(push("message", "+switch-master", `other 127.0.0.1 ${a.port} 127.0.0.1 ${b.port}`))
      }
      yield* run(Redis.set("k", "v"))
      expect(a.received()).toEqual(["SET k v"])
      expect(b.connections).toHaveLength(0)
    })
  )
})

describe("sentinels that are of no use", () => {
  it.scoped("one that hangs and one that is gone hold nobody up", () =>
    Effect.gen(function* () {
      const node = yield* makeNode()
      const good = yield* makeSentinel({ master: node.port, epoch: 1 })
      const hangs = yield* Peer.make({ onCommand: () => undefined })
      const redis = yield* RedisSentinel.make({
        name,
        sentinels: [`127.0.0.1:${hangs.port}`, "127.0.0.1:1", `redis://127.0.0.1:${good.port}`],
        sentinelTimeout: "200 millis"
      })
      yield* on(redis)(Redis.set("k", "v"))
      expect(node.received()).toEqual(["SET k v"])
    })
  )

  it.scoped("an Effect that never finds them ends with connectTimeout", () =>
    Effect.gen(function* () {
      const made = RedisSentinel.make({ name, sentinels: Effect.never, connectTimeout: "100 millis" })
      expect(failure(yield* Effect.exit(made)).message).toContain("they were not found within 100 ms")
    })
  )

  it.scoped("a nodeAddress that throws for an announced address changes nothing", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* makeNode(), yield* makeNode()]
      const sentinel = yield* makeSentinel({ master: a.port, epoch: 1 })
      const nodeAddress = ({ port }: { readonly port: number }) => {
        if (port === b.port) throw new Error("not in the table")
        return undefined
      }
      const redis = yield* clientOf([sentinel], { nodeAddress })
      yield* Peer.eventually("it watches", () => sentinel.watched())
      sentinel.announce(a.port, b.port)
      yield* Peer.eventually("it is at the new master", () => b.connections.length > 0)
      yield* on(redis)(Redis.set("k", "v"))
      expect(b.received()).toEqual(["SET k v"])
    })
  )

  it.scoped("the error says what each of them answered", () =>
    Effect.gen(function* () {
      const unknown = yield* makeSentinel({ master: 1, epoch: 1 }, ([word, kind]) =>
        word === "SENTINEL" && kind === "MASTER" ? resp("-ERR No such master with that name") : undefined
      )
      const server = yield* makeNode(() => resp("-ERR unknown command 'SENTINEL'"))
      const sentinels = [unknown.port, server.port].map((port) => ({ host: "127.0.0.1", port }))
      const error = failure(yield* Effect.exit(RedisSentinel.make({ name, sentinels, connectTimeout: "300 millis" })))
      expect(error.message).toContain(`127.0.0.1:${unknown.port}: it knows no such master`)
      expect(error.message).toContain(`127.0.0.1:${server.port}: `)
    })
  )

  it.scoped("the password of the master is not sent to them", () =>
    Effect.gen(function* () {
      const node = yield* makeNode()
      const sentinel = yield* makeSentinel({ master: node.port, epoch: 1 })
      yield* clientOf([sentinel], {
        password: Redacted.make("secret of the data"),
        sentinel: { password: Redacted.make("word of sentinels") }
      })
      const words = (peer: Peer.Peer) => peer.connections.flatMap(({ received }) => received.flat())
      expect(words(node.peer)).toContain("secret of the data")
      expect(words(sentinel.peer)).toContain("word of sentinels")
      expect(words(sentinel.peer)).not.toContain("secret of the data")
      expect(words(node.peer)).not.toContain("word of sentinels")
    })
  )

  it.scoped("a sentinel must be written as host:port, as a URL or as an object", () =>
    Effect.gen(function* () {
      for (const sentinel of ["", "a b", "::1:26379", "a:999999", "host:"]) {
        const exit = yield* Effect.exit(RedisSentinel.make({ name, sentinels: [sentinel] }))
        expect(failure(exit)).toMatchObject({ _tag: "UsageError", reason: "invalidOptions" })
      }
    })
  )
})
