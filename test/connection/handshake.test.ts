/** Design law 5: the handshake, with peers of every kind. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Connection, Pool, Redis, type RedisError, RedisPubSub } from "effect-redis-client"
import { interruptFork } from "../../src/internal/effect/fork.js"
import { failure } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import * as Peer from "../support/peer.js"
import { makeServer } from "../support/servers.js"

/** Connects to a scripted peer and returns the exit together with the peer. */
const connect = (script: Peer.Script, options: Connection.ConnectionOptions = {}) =>
  Effect.gen(function* () {
    const peer = yield* Peer.make(script)
    const exit = yield* Effect.exit(Connection.make({ host: "127.0.0.1", port: peer.port, ...options }))
    return { peer, exit }
  })

const secret = Redacted.make("s3cret-pa55word")

describe("the handshake", () => {
  it.scoped("is one write: HELLO with credentials and name, SELECT, the library's name", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect(
        { onCommand: Peer.greeting() },
        {
          username: "ada",
          password: secret,
          clientName: "worker-1",
          database: 3
        }
      )
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(peer.connections[0]?.received).toEqual([
        ["HELLO", "3", "AUTH", "ada", "s3cret-pa55word", "SETNAME", "worker-1"],
        ["SELECT", "3"],
        ["CLIENT", "SETINFO", "LIB-NAME", "effect-redis-client"],
        ["CLIENT", "SETINFO", "LIB-VER", expect.any(String)]
      ])
    })
  )

  it.scoped("sets the connection's id and protocol, as the reply's `proto` says", () =>
    Effect.gen(function* () {
      const { exit } = yield* connect({ onCommand: Peer.greeting() })
      const connection = yield* exit
      expect(connection.id).toEqual(Option.some(42))
      expect(yield* connection.protocol).toBe(3)
      const two = yield* connect({
        onCommand: (command) => (command[0] === "HELLO" ? "*4\r\n+proto\r\n:2\r\n+id\r\n:7\r\n" : "+OK\r\n")
      })
      expect(yield* (yield* two.exit).protocol).toBe(2)
    })
  )

  it.scoped("with protocol 2 sends no HELLO", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect(
        { onCommand: (command) => (command[1] === "ID" ? ":9\r\n" : "+OK\r\n") },
        { protocol: 2, password: secret }
      )
      const connection = yield* exit
      expect(peer.connections[0]?.received).toEqual([
        ["AUTH", "s3cret-pa55word"],
        ["CLIENT", "ID"],
        ["CLIENT", "SETINFO", "LIB-NAME", "effect-redis-client"],
        ["CLIENT", "SETINFO", "LIB-VER", expect.any(String)]
      ])
      expect(connection.id).toEqual(Option.some(9))
      expect(yield* connection.protocol).toBe(2)
    })
  )

  for (const [options, sent] of [
    [{}, []],
    [{ password: secret, database: 2 }, ["AUTH s3cret-pa55word", "SELECT 2"]],
    [{ username: "ada", password: secret, clientName: "x" }, ["AUTH ada s3cret-pa55word", "CLIENT SETNAME x"]]
  ] as const) {
    it.scoped(`with protocol 2 and clientInfo false sends only what the options ask for: [${sent}]`, () =>
      Effect.gen(function* () {
        const { exit, peer } = yield* connect(
          { onCommand: () => "+OK\r\n" },
          { protocol: 2, clientInfo: false, ...options }
        )
        const connection = yield* exit
        expect(connection.id).toEqual(Option.none())
        expect(yield* connection.execute("PING")).toBe("OK")
        expect(peer.connections[0]?.received.map((words) => words.join(" "))).toEqual([...sent, "PING"])
      })
    )
  }

  it.scoped("optional commands may be refused", () =>
    Effect.gen(function* () {
      const { exit } = yield* connect({
        onCommand: (command) => (command[0] === "HELLO" ? Peer.hello3 : "-ERR Unknown subcommand\r\n")
      })
      expect(Exit.isSuccess(exit)).toBe(true)
    })
  )

  it.scoped("a refused database is a typed failure", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect(
        {
          onCommand: (command) =>
            command[0] === "HELLO"
              ? Peer.hello3
              : command[0] === "SELECT"
                ? "-ERR DB index is out of range\r\n"
                : "+OK\r\n"
        },
        { database: 99 }
      )
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "handshake", delivery: "unsent" })
      yield* Peer.eventually("the socket is closed", () => peer.open() === 0)
    })
  )
})

/** How servers and proxies say that they do not know HELLO, or not with these arguments. */
const refusals = [
  // Redis before 6, in two generations.
  "ERR unknown command 'HELLO'",
  "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `ada`, `s3cret-pa55word`, ",
  "NOPROTO unsupported protocol version",
  "NOPROTO sorry, this protocol version is not supported",
  "NOPERM this user has no permissions to run the 'hello' command",
  // Envoy, redis-cluster-proxy, Codis, Dragonfly 1.2 and others.
  "unsupported command 'HELLO'",
  "ERR unsupported command 'hello'",
  "ERR unsupported command `HELLO`",
  "ERR handle request, command 'HELLO' is not allowed",
  "ERR Protocol version is not an integer or out of range",
  "ERR syntax error in HELLO option 'AUTH'",
  "ERR wrong number of arguments for 'hello' command",
  "invalid request",
  // Only AUTH authenticates.
  "NOAUTH HELLO must be called with the client already authenticated",
  "NOAUTH Authentication required."
]

describe("falling back to RESP2", () => {
  const old = (refusal: string): Peer.Script => ({
    onCommand: (command) => (command[0] === "HELLO" ? `-${refusal}\r\n` : command[1] === "ID" ? ":5\r\n" : "+OK\r\n")
  })

  for (const refusal of refusals) {
    it.scoped(`on "${refusal}", over the same socket`, () =>
      Effect.gen(function* () {
        const { exit, peer } = yield* connect(old(refusal), { password: secret, username: "ada", database: 2 })
        const connection = yield* exit
        expect(yield* connection.protocol).toBe(2)
        expect(peer.connections.length).toBe(1)
        const after = peer.connections[0]?.received.slice(-5) ?? []
        expect(after[0]).toEqual(["AUTH", "ada", "s3cret-pa55word"])
        expect(after[2]).toEqual(["SELECT", "2"])
      })
    )

    it.scoped(`when AUTH is refused after "${refusal}", the error has both reasons and no secret`, () =>
      Effect.gen(function* () {
        const { exit, peer } = yield* connect(
          {
            onCommand: (command) =>
              command[0] === "HELLO"
                ? `-${refusal}\r\n`
                : `-ERR no such user: ${command.join(" ")}\r\n`.repeat(command[0] === "AUTH" ? 1 : 0) || "+OK\r\n"
          },
          { password: secret, username: "ada" }
        )
        const error = failure(exit)
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "authentication", delivery: "unsent" })
        expect(error.message).toMatch(
          /^the server refused AUTH: ERR; it had refused HELLO \((.+)\), so .* protocol: 2$/
        )
        // Fixed sentences are shown; of others, whose end may quote an argument, the code.
        expect(error.message).toContain(refusal.slice(0, refusal.search(/ |$/)))
        expect(String(error) + JSON.stringify(error)).not.toContain("s3cret")
        expect(peer.connections.length).toBe(1)
      })
    )
  }

  it.scoped("a refusal in unknown words is shown when nothing secret was sent", () =>
    Effect.gen(function* () {
      const { exit } = yield* connect(
        {
          onCommand: (command) =>
            command[0] === "HELLO"
              ? "-ERR this gateway takes no \thandshakes\r\n"
              : command[0] === "SELECT"
                ? "-ERR DB index is out of range\r\n"
                : command[1] === "ID"
                  ? ":5\r\n"
                  : "+OK\r\n"
        },
        { database: 99 }
      )
      expect(failure(exit).message).toBe(
        "the server refused SELECT: ERR DB index is out of range; it had refused HELLO " +
          "(ERR this gateway takes no ?handshakes), so RESP2 was spoken, as with protocol: 2"
      )
    })
  )

  it.scoped("NOAUTH without a password is final", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect(old("NOAUTH Authentication required."))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
      expect(failure(exit).message).toMatch(/the server wants a password/)
      expect(peer.connections.length).toBe(1)
    })
  )

  it.scoped("when the refusal comes with the end of the connection, with a new socket", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect({
        onCommand: (command, connection) => {
          if (command[0] !== "HELLO") {
            return connection.received[0]?.[0] === "HELLO" ? undefined : "+OK\r\n"
          }
          connection.write("-ERR command 'HELLO' is not allowed\r\n")
          connection.end()
          return undefined
        }
      })
      expect(yield* (yield* exit).protocol).toBe(2)
      expect(peer.connections.length).toBe(2)
    })
  )

  it.scoped("on one close right after HELLO, with a new socket and no HELLO", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect({
        onCommand: (command, connection) => {
          if (command[0] === "HELLO") {
            connection.end()
            return undefined
          }
          return command[1] === "ID" ? ":5\r\n" : "+OK\r\n"
        }
      })
      const connection = yield* exit
      expect(yield* connection.protocol).toBe(2)
      expect(peer.connections.length).toBe(2)
      expect(peer.connections[1]?.received.map(([name]) => name)).not.toContain("HELLO")
    })
  )

  it.scoped("a peer that closes every time is reported after two sockets", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect({ onConnect: (connection) => connection.end() })
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "peerClosed" })
      expect(peer.connections.length).toBe(2)
    })
  )

  /** A proxy that ends the connection at every command that it does not know. */
  const strict = (known: ReadonlyArray<string>, how: "end" | "reset" = "end"): Peer.Script => ({
    onCommand: (command, connection) => {
      if (connection.socket.writableEnded || connection.socket.destroyed) {
        return undefined
      }
      if (!known.includes(command[0] as string)) {
        connection[how]()
        return undefined
      }
      return command[0] === "HELLO" ? Peer.hello3 : command[0] === "PING" ? "+PONG\r\n" : "+OK\r\n"
    }
  })

  for (const how of ["end", "reset"] as const) {
    it.scoped(`a proxy that ends the connection at unknown commands gets AUTH and SELECT alone: ${how}`, () =>
      Effect.gen(function* () {
        const { exit, peer } = yield* connect(strict(["AUTH", "SELECT", "PING"], how), {
          password: secret,
          database: 3,
          clientName: "x"
        })
        expect(yield* (yield* exit).execute("PING")).toBe("PONG")
        expect(peer.connections.length).toBe(2)
        expect(peer.connections[1]?.received).toEqual([["AUTH", "s3cret-pa55word"], ["SELECT", "3"], ["PING"]])
      })
    )
  }

  it.scoped("where no step is left, PING shows that the peer is a server", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect(strict(["PING"]))
      expect(Exit.isSuccess(exit)).toBe(true)
      expect(peer.connections[1]?.received).toEqual([["PING"]])
    })
  )

  it.scoped("HELLO stays where only a later step ends the connection", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect(strict(["HELLO", "SELECT"]), { database: 3 })
      expect(yield* (yield* exit).protocol).toBe(3)
      expect(peer.connections[1]?.received).toEqual([
        ["HELLO", "3"],
        ["SELECT", "3"]
      ])
    })
  )

  it.scoped("a client remembers, after the second time in a row, which steps end the connection", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make(strict(["AUTH", "PING"]))
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, password: secret, lazy: true })
      for (const sockets of [2, 4, 5, 6]) {
        yield* Effect.scoped(
          Effect.flatMap(pool.acquire, (connection) => Effect.zipRight(connection.execute("PING"), connection.close))
        )
        expect(peer.connections.length).toBe(sockets)
      }
      expect(peer.connections.at(-1)?.received).toEqual([["AUTH", "s3cret-pa55word"], ["PING"]])
    })
  )

  it.scoped("one end of a connection in the handshake is not remembered", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({
        onCommand: (command, connection) =>
          connection.index === 0 ? void connection.end() : Peer.greeting(() => "+PONG\r\n")(command, connection)
      })
      const pool = yield* Pool.make({ host: "127.0.0.1", port: peer.port, lazy: true })
      const protocols: Array<2 | 3> = []
      for (const _ of [1, 2]) {
        yield* Effect.scoped(
          Effect.flatMap(pool.acquire, (connection) =>
            Effect.flatMap(connection.protocol, (protocol) => {
              protocols.push(protocol)
              return connection.close
            })
          )
        )
      }
      expect(protocols).toEqual([2, 3])
    })
  )
})

describe("what the server may be (expect)", () => {
  const mode = (name: string) => Peer.hello3.replace("$10\r\nstandalone", `$${name.length}\r\n${name}`)

  for (const [name, message] of [
    ["cluster", /is a node of a cluster, .*RedisCluster\.layer .*expect: "node"/],
    ["sentinel", /is a sentinel, .*connect to the master that it names .*expect: "node"/]
  ] as const) {
    const script: Peer.Script = {
      onCommand: (command) => (command[0] === "HELLO" ? mode(name) : "+OK\r\n")
    }

    it.scoped(`a ${name} is refused at once, by connections, clients, pools and subscriptions`, () =>
      Effect.gen(function* () {
        const peer = yield* Peer.make(script)
        // Longer than the test may take.
        const options = { host: "127.0.0.1", port: peer.port, connectTimeout: "1 hour" } as const
        const subscribed = RedisPubSub.subscribe("c").pipe(Effect.provide(RedisPubSub.layer(options)))
        for (const made of [
          Connection.make(options),
          Redis.make(options),
          Pool.make({ ...options, minSize: 1 }),
          Effect.flatMap(Pool.make({ ...options, lazy: true }), (pool) => pool.acquire),
          subscribed
        ] as ReadonlyArray<Effect.Effect<unknown, RedisError.RedisError, Scope.Scope>>) {
          const error = failure(yield* Effect.exit(Effect.scoped(made)))
          expect(error).toMatchObject({ _tag: "ConnectionError", reason: "handshake", delivery: "unsent" })
          expect(error.message).toContain(`127.0.0.1:${peer.port}`)
          expect(error.message).toMatch(message)
        }
        expect(peer.connections.length).toBe(5)
        yield* Peer.eventually("the sockets are closed", () => peer.open() === 0)
      })
    )

    it.scoped(`a ${name} is accepted with expect: "node"`, () =>
      Effect.gen(function* () {
        const { exit } = yield* connect(script, { expect: "node" })
        expect(Exit.isSuccess(exit)).toBe(true)
      })
    )
  }
})

describeReal((server) => {
  it.scopedLive("a node of a cluster and a sentinel are refused, and accepted with expect: node", () =>
    Effect.gen(function* () {
      const primary = yield* makeServer(server)
      for (const [mode, message] of [
        ["cluster", /is a node of a cluster, .*RedisCluster\.layer/],
        [{ monitor: { main: primary } }, /is a sentinel/]
      ] as const) {
        const { host, port } = yield* makeServer(server, { mode })
        const error = failure(yield* Effect.exit(Effect.scoped(Redis.make({ host, port, connectTimeout: "1 hour" }))))
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "handshake", server: `${host}:${port}` })
        expect(error.message).toMatch(message)
        const redis = yield* Redis.make({ host, port, expect: "node" })
        expect(yield* redis.send(Redis.ping())).toBe("PONG")
      }
    })
  )
})

describe("never falls back", () => {
  for (const [answer, reason] of [
    ["-NOAUTH HELLO must be called with the client already authenticated", "authentication"],
    ["-LOADING Redis is loading the dataset in memory", "handshake"],
    ["-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "handshake"],
    ["-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "handshake"],
    ["-WRONGPASS invalid username-password pair or user is disabled.", "authentication"],
    ["-DENIED Redis is running in protected mode", "handshake"],
    ["-ERR max number of clients reached", "handshake"]
  ] as const) {
    it.scoped(`on "${answer}" in HELLO's place`, () =>
      Effect.gen(function* () {
        const { exit, peer } = yield* connect(
          {
            onCommand: (command, connection) => {
              if (command[0] !== "HELLO") {
                return undefined
              }
              connection.write(`${answer}\r\n`)
              connection.end()
              return undefined
            }
          },
          { password: secret }
        )
        const error = failure(exit)
        expect(error).toMatchObject({ _tag: "ConnectionError", reason })
        expect(error.message).toContain(answer.slice(1, 12))
        expect(String(error) + JSON.stringify(error)).not.toContain("s3cret")
        expect(peer.connections.length).toBe(1)
        yield* Peer.eventually("the socket is closed", () => peer.open() === 0)
      })
    )

    it.scoped(`on "${answer}" before anything was sent`, () =>
      Effect.gen(function* () {
        const { exit, peer } = yield* connect({
          onConnect: (connection) => {
            connection.write(`${answer}\r\n`)
            connection.end()
          }
        })
        expect(failure(exit)._tag).toBe("ConnectionError")
        expect(failure(exit).message).toContain(answer.slice(1, 12))
        expect(peer.connections.length).toBe(1)
      })
    )
  }
})

describe("foreign peers are recognised", () => {
  it.scoped("a TLS server answers plain text with an alert", () =>
    Effect.gen(function* () {
      const { exit } = yield* connect({
        onConnect: (connection) => connection.write(Uint8Array.of(0x15, 0x03, 0x01, 0, 2, 2, 70))
      })
      expect(failure(exit).message).toMatch(/speaks TLS/)
    })
  )

  const askForTls = /if this port speaks TLS, ask for it/

  for (const [what, protocol, script] of [
    ["closes", 3, { onCommand: (_, connection) => void connection.end() }],
    ["resets", 3, { onCommand: (_, connection) => void connection.reset() }],
    ["closes (RESP2)", 2, { onCommand: (_, connection) => void connection.end() }]
  ] as ReadonlyArray<readonly [string, 2 | 3, Peer.Script]>) {
    it.scoped(`a peer that ${what} at the first bytes, without a reply, may speak TLS`, () =>
      Effect.gen(function* () {
        const { exit } = yield* connect(script, { protocol })
        expect(failure(exit).message).toMatch(askForTls)
      })
    )
  }

  for (const [what, answer, after] of [
    ["a whole answer", "-ERR unknown command 'HELLO'\r\n", 0],
    ["the beginning of one", "%7\r\n$6\r\nser", 0],
    ["three seconds of silence", undefined, 3_200]
  ] as const) {
    for (const end of ["end", "reset"] as const) {
      it.scoped(`a peer that ends after ${what} is not suspected of TLS: ${end}`, () =>
        Effect.gen(function* () {
          const { exit } = yield* connect(
            {
              onCommand: (command, connection) => {
                // Late enough for the client to have read the answer.
                setTimeout(() => connection[end](), Math.max(after, 50))
                return command[0] === "HELLO" ? answer : undefined
              }
            },
            { connectTimeout: "20 seconds" }
          )
          expect(failure(exit)).toMatchObject({
            _tag: "ConnectionError",
            reason: expect.stringMatching(/peerClosed|transport/)
          })
          expect(failure(exit).message).not.toMatch(askForTls)
        })
      )
    }
  }

  it.scoped("an HTTP server is reported as HTTP", () =>
    Effect.gen(function* () {
      const { exit } = yield* connect({
        onConnect: (connection) => connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
      })
      expect(failure(exit).message).toMatch(/speaks HTTP/)
    })
  )

  it.scoped("a plain server that is sent a TLS handshake", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({})
      // A real server answers a ClientHello, which is not RESP, with an error in plain text.
      const plain = yield* Peer.make({ onConnect: (connection) => connection.write("-ERR Protocol error\r\n") })
      const exit = yield* Effect.exit(Connection.make({ host: "127.0.0.1", port: plain.port, tls: true }))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
      expect(failure(exit).message).toMatch(/does not speak TLS/)
      expect(peer.open()).toBe(0)
    })
  )
})

describe("time limits", () => {
  it.scoped("a peer that accepts and never answers fails at connectTimeout, under TestClock too", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect({}, { connectTimeout: "80 millis" })
      expect(failure(exit)).toMatchObject({ _tag: "DeadlineError", phase: "connect", delivery: "unsent" })
      yield* Peer.eventually("the socket is closed", () => peer.open() === 0)
    })
  )

  it.scoped("a port without a listener fails at once, with the address", () =>
    Effect.gen(function* () {
      const peer = yield* Effect.scoped(Peer.make({}))
      const exit = yield* Effect.exit(Connection.make({ host: "127.0.0.1", port: peer.port }))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "connect" })
      expect(failure(exit).message).toContain(`127.0.0.1:${peer.port}`)
    })
  )

  it.scoped("interrupting the handshake closes the socket", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({})
      const fiber = yield* Effect.fork(Effect.scoped(Connection.make({ host: "127.0.0.1", port: peer.port })))
      yield* Peer.eventually("HELLO arrived", () => (peer.connections[0]?.received.length ?? 0) > 0)
      yield* interruptFork(fiber)
      yield* Peer.eventually("the socket is closed", () => peer.open() === 0)
    })
  )

  it.scoped("a Redis layer with a wrong password fails at once, not at connectTimeout", () =>
    Effect.gen(function* () {
      const peer = yield* Peer.make({ onCommand: () => "-WRONGPASS invalid username-password pair\r\n" })
      // Longer than the test may take.
      const options = { host: "127.0.0.1", port: peer.port, password: secret, connectTimeout: "1 hour" } as const
      const exit = yield* Effect.exit(Redis.make(options))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
      expect(peer.connections.length).toBe(1)
    })
  )
})
