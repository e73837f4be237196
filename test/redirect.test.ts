/** A server that became a replica and names its primary (REDIRECT, of Valkey 8): the client goes on there. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Redis, RedisPubSub } from "effect-redis-client"
import { failure, on } from "./support/client.js"
import { describeReal } from "./support/describeReal.js"
import * as Peer from "./support/peer.js"
import { commandServers, makeServer } from "./support/servers.js"

/** HELLO's reply of a Valkey. */
const helloOfValkey = Peer.hello3.replace("$5\r\nredis", "$6\r\nvalkey")

/** Answers the handshake as a Valkey does, and every other command with `then`. */
const valkey = (
  then: (command: ReadonlyArray<string>, connection: Peer.PeerConnection) => string | undefined
): Peer.Script => ({
  onCommand: (command, connection) =>
    command[0] === "HELLO" ? helloOfValkey : command[0] === "CLIENT" ? "+OK\r\n" : then(command, connection)
})

const capa = ({ received }: Peer.PeerConnection): number =>
  received.filter((words) => words.join(" ") === "CLIENT CAPA redirect").length

describe("REDIRECT of a scripted server", () => {
  it.scopedLive(
    "CLIENT CAPA redirect is sent to a Valkey, to others only when told so, and never when told not to",
    () =>
      Effect.gen(function* () {
        const redis = yield* Peer.make(Peer.pong)
        const peer = yield* Peer.make(valkey(() => "+PONG\r\n"))
        for (const [{ connections, port }, redirect, times] of [
          [peer, undefined, 1],
          [peer, false, 0],
          [redis, undefined, 0],
          [redis, true, 1]
        ] as const) {
          yield* Effect.scoped(
            Effect.flatMap(Redis.make({ host: "127.0.0.1", port, redirect }), (client) => on(client)(Redis.ping()))
          )
          expect(capa(connections[connections.length - 1] as Peer.PeerConnection), String(redirect)).toBe(times)
        }
      })
  )

  it.scopedLive("a server that refuses CLIENT CAPA, or ends the connection at it, is used without it", () =>
    Effect.gen(function* () {
      const refusing = yield* Peer.make({
        onCommand: ([name, word]) =>
          name === "HELLO" ? helloOfValkey : word === "CAPA" ? "-ERR unknown\r\n" : "+PONG\r\n"
      })
      const closing = yield* Peer.make({
        onCommand: ([name, word], connection) => {
          if (word === "CAPA") {
            connection.end()
            return undefined
          }
          return name === "HELLO" ? helloOfValkey : "+PONG\r\n"
        }
      })
      for (const { port } of [refusing, closing]) {
        expect(yield* on(yield* Redis.make({ host: "127.0.0.1", port }))(Redis.ping())).toBe("PONG")
      }
    })
  )

  it.scopedLive("what was refused is sent to the named server, and nothing more to the former one", () =>
    Effect.gen(function* () {
      const primary = yield* Peer.make(valkey(([name]) => (name === "INCR" ? ":1\r\n" : "+OK\r\n")))
      const replica = yield* Peer.make(valkey(() => `-REDIRECT 127.0.0.1:${primary.port}\r\n`))
      const run = on(yield* Redis.make({ host: "127.0.0.1", port: replica.port }))
      const all = Array.from({ length: 50 }, (_, i) => run(Redis.incr(`k${i}`)))
      expect(yield* Effect.all(all, { concurrency: "unbounded" })).toEqual(all.map(() => 1))
      const asked = replica.connections.flatMap(Peer.sent).length
      expect(primary.connections.flatMap(Peer.sent).length).toBe(50)
      yield* run(Redis.incr("more"))
      expect(replica.connections.flatMap(Peer.sent).length).toBe(asked)
      yield* Peer.eventually("the former connection ends", () => replica.open() === 0)
    })
  )

  it.scopedLive("two servers that name each other end with their error after maxRetries", () =>
    Effect.gen(function* () {
      let there = 0
      const here = yield* Peer.make(valkey(() => `-REDIRECT 127.0.0.1:${there}\r\n`))
      const other = yield* Peer.make(valkey(() => `-REDIRECT 127.0.0.1:${here.port}\r\n`))
      there = other.port
      const run = on(yield* Redis.make({ host: "127.0.0.1", port: here.port, maxRetries: 4 }))
      expect(failure(yield* Effect.exit(run(Redis.incr("n"))))).toMatchObject({ code: "REDIRECT" })
      expect([...here.connections, ...other.connections].flatMap(Peer.sent).length).toBe(5)
    })
  )

  for (const words of [
    "REDIRECT",
    "REDIRECT host",
    "REDIRECT host:0",
    "REDIRECT host:70000",
    "REDIRECT a/b:1",
    "REDIRECT a:1 b"
  ]) {
    it.scopedLive(
      `"${words}" names no server: the command is sent again over a new connection, as after READONLY`,
      () =>
        Effect.gen(function* () {
          const peer = yield* Peer.make(valkey((_, { index }) => (index === 0 ? `-${words}\r\n` : ":7\r\n")))
          const run = on(yield* Redis.make({ host: "127.0.0.1", port: peer.port }))
          expect(yield* run(Redis.incr("n"))).toBe(7)
        })
    )
  }

  it.scopedLive("when the named server cannot be reached, the server of the options is asked again", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(Effect.map(Peer.make(Peer.pong), ({ port }) => port))
      let refusals = 0
      const peer = yield* Peer.make(valkey(() => (refusals++ === 0 ? `-REDIRECT 127.0.0.1:${gone}\r\n` : ":3\r\n")))
      const run = on(yield* Redis.make({ host: "127.0.0.1", port: peer.port }))
      expect(yield* run(Redis.incr("n"))).toBe(3)
    })
  )

  /** Runs a script at a server which answers it, and DBSIZE, like this, and names another one. */
  const script = (dbsize: string | undefined) =>
    Effect.gen(function* () {
      const primary = yield* Peer.make(valkey(() => ":1\r\n"))
      const redirect = `-REDIRECT 127.0.0.1:${primary.port}\r\n`
      const replica = yield* Peer.make(valkey(([name]) => (name === "DBSIZE" ? (dbsize ?? redirect) : redirect)))
      const run = on(yield* Redis.make({ host: "127.0.0.1", port: replica.port }))
      const exit = yield* Effect.exit(run(Redis.execute("EVAL", "return 1", 1, "n")))
      return { exit, primary: primary.connections.flatMap(Peer.sent), replica: replica.connections.flatMap(Peer.sent) }
    })

  it.scopedLive("a script follows when the server itself says that it is a replica", () =>
    Effect.gen(function* () {
      const { exit, primary, replica } = yield* script(undefined)
      expect(exit).toEqual(Exit.succeed(1))
      expect(replica).toEqual(["EVAL return 1 1 n", "DBSIZE"])
      expect(primary).toEqual(["DBSIZE", "EVAL return 1 1 n"])
    })
  )

  it.scopedLive("a script that answers REDIRECT by itself moves nobody, and is not sent again", () =>
    Effect.gen(function* () {
      const { exit, primary, replica } = yield* script(":5\r\n")
      expect(failure(exit)).toMatchObject({ code: "REDIRECT" })
      expect(replica).toEqual(["EVAL return 1 1 n", "DBSIZE"])
      expect(primary).toEqual([])
    })
  )
})

describeReal(
  (server) => {
    /** A server that is about to become a replica of another one, and how. */
    const pair = Effect.gen(function* () {
      const former = yield* makeServer(server)
      const next = yield* makeServer(server)
      const atFormer = on(yield* Redis.make({ host: former.host, port: former.port }))
      const atNext = on(yield* Redis.make({ host: next.host, port: next.port }))
      const demote = atFormer(Redis.execute("REPLICAOF", next.host, next.port))
      return { former, atNext, demote }
    })

    it.scopedLive("commands, pipelines, transactions and optimistic transactions go on at the primary", () =>
      Effect.gen(function* () {
        const { atNext, demote, former } = yield* pair
        const run = on(yield* Redis.make({ host: former.host, port: former.port }))
        yield* run(Redis.set("k", "former"))
        yield* demote
        expect(yield* run(Redis.transaction([Redis.incr("n"), Redis.incr("n")]))).toEqual([1, 2])
        expect(yield* run(Redis.get("k"))).toEqual(Option.none())
        expect(yield* run(Redis.pipeline([Redis.incr("n"), Redis.get("n")]))).toEqual([3, Option.some("3")])
        expect(
          yield* run(Redis.optimistic(["n"], Effect.as(Redis.get("n"), Redis.transaction([Redis.incr("n")]))))
        ).toEqual([4])
        expect(yield* atNext(Redis.get("n"))).toEqual(Option.some("4"))
      })
    )

    it.scopedLive("each kind of command follows, when it is the first to be refused", () =>
      Effect.gen(function* () {
        const firsts = [
          Redis.incr("n"),
          Redis.get("n"),
          Redis.pipeline([Redis.incr("n"), Redis.incr("n")]),
          Redis.transaction([Redis.get("n"), Redis.incr("n")])
        ] as ReadonlyArray<Effect.Effect<unknown, unknown, Redis>>
        for (const first of firsts) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { demote, former } = yield* pair
              const run = on(yield* Redis.make({ host: former.host, port: former.port }))
              yield* run(Redis.ping())
              yield* demote
              yield* run(first)
            })
          )
        }
      })
    )

    it.scopedLive("a blocked command goes on waiting at the primary", () =>
      Effect.gen(function* () {
        const { atNext, demote, former } = yield* pair
        const client = yield* Redis.make({ host: former.host, port: former.port })
        const popped = yield* Effect.fork(on(client)(Redis.blpop(["jobs"], { timeout: "10 seconds" })))
        yield* Effect.repeat(on(client)(Redis.execute("INFO", "clients")), {
          until: (text) => /blocked_clients:1/.test(String(text))
        })
        yield* demote
        yield* atNext(Redis.rpush("jobs", ["one"]))
        expect(yield* Fiber.join(popped)).toEqual(Option.some(["jobs", "one"]))
      })
    )

    it.scopedLive("subscriptions of the layer move to the primary, too", () =>
      Effect.gen(function* () {
        const { atNext, demote, former } = yield* pair
        yield* Effect.gen(function* () {
          const news = yield* RedisPubSub.subscribe("news")
          yield* demote
          yield* Redis.incr("n")
          // A replica hands on what is published at its primary, so what is published proves nothing: where the listener is does.
          yield* Effect.repeat(atNext(Redis.pubsubNumsub(["news"])), {
            until: (counts) => JSON.stringify(counts).includes("1")
          })
          yield* Redis.publish("news", "x")
          expect(yield* Stream.runHead(news)).toMatchObject({ value: { payload: "x" } })
        }).pipe(Effect.provide(Redis.layer({ host: former.host, port: former.port })))
      })
    )
  },
  commandServers.filter(({ name }) => name.startsWith("valkey"))
)
