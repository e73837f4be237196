/** Design law 5: the handshake, with peers of every kind. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Connection, Redis } from "effect-redis-client"
import { failure } from "../support/client.js"
import * as Peer from "../support/peer.js"

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

  it.scoped("with protocol 2 sends no HELLO; with clientInfo false no SETINFO", () =>
    Effect.gen(function* () {
      const { exit, peer } = yield* connect(
        { onCommand: (command) => (command[1] === "ID" ? ":9\r\n" : "+OK\r\n") },
        { protocol: 2, clientInfo: false, password: secret, clientName: "x" }
      )
      const connection = yield* exit
      expect(peer.connections[0]?.received).toEqual([
        ["AUTH", "s3cret-pa55word"],
        ["CLIENT", "SETNAME", "x"],
        ["CLIENT", "ID"]
      ])
      expect(connection.id).toEqual(Option.some(9))
      expect(yield* connection.protocol).toBe(2)
    })
  )

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

describe("falling back to RESP2", () => {
  const old = (refusal: string): Peer.Script => ({
    onCommand: (command) => (command[0] === "HELLO" ? `-${refusal}\r\n` : command[1] === "ID" ? ":5\r\n" : "+OK\r\n")
  })

  for (const refusal of [
    "ERR unknown command 'HELLO'",
    "ERR unknown command `HELLO`, with args beginning with: `3`, ",
    "NOPROTO unsupported protocol version",
    "NOPERM this user has no permissions to run the 'hello' command"
  ]) {
    it.scoped(`on "${refusal}"`, () =>
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
  }

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
})

describe("never falls back", () => {
  for (const [answer, reason] of [
    ["-NOAUTH HELLO must be called with the client already authenticated", "authentication"],
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
              onCommand: (_, connection) => {
                // Late enough for the client to have read the answer.
                setTimeout(() => connection[end](), Math.max(after, 50))
                return connection.received.length > 1 ? undefined : answer
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
      yield* Effect.sync(() => fiber.unsafeInterruptAsFork(fiber.id()))
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
