/** Transports: TCP, unix sockets, TLS, Duplexes and Sockets, and authentication, on every real server. */
import * as Crypto from "node:crypto"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { Connection, Pool, Redis, RedisCommand, RedisPubSub } from "effect-redis-client"
import type { RedisError } from "../../src/RedisError.js"
import { issue } from "../../src/testing/internal/certificates.js"
import * as RedisServer from "../../src/testing/RedisServer.js"
import { failure } from "../support/client.js"
import { netSocket } from "../support/effect.js"
import { poll } from "../support/fibers.js"
import * as Peer from "../support/peer.js"
import { makeServer, realServers } from "../support/servers.js"

// Node tries the first address of a name for 250 ms; "localhost" has two, and a busy machine may need longer.
const attemptTimeout = Net.getDefaultAutoSelectFamilyAttemptTimeout()
beforeAll(() => Net.setDefaultAutoSelectFamilyAttemptTimeout(20_000))
afterAll(() => Net.setDefaultAutoSelectFamilyAttemptTimeout(attemptTimeout))

/** The failure of a connection that must not succeed. */
const refusal = (options: Connection.ConnectionOptions): Effect.Effect<RedisError> =>
  Effect.map(Effect.exit(Effect.scoped(Connection.make(options))), failure)

/** Text, bytes, a batch and many concurrent commands work, and id and protocol are right. */
const works = (connection: Connection.Connection, protocol: 2 | 3) =>
  Effect.gen(function* () {
    expect(yield* connection.protocol).toBe(protocol)
    expect(yield* connection.execute("CLIENT", "ID")).toBe(Option.getOrThrow(connection.id))
    const bytes = Crypto.randomBytes(300_000)
    yield* connection.execute("SET", "bytes", bytes)
    expect(Buffer.compare(Buffer.from((yield* connection.executeBytes("GET", "bytes")) as Uint8Array), bytes)).toBe(0)
    // Long values are read into their final buffer: bytes, text within the reused buffer, and longer text.
    const long = Crypto.randomBytes(3_000_000)
    const texts = [700_000, 3_000_000].map((length) => "0123456789ab\u00e9".repeat(length / 14))
    yield* connection.execute("MSET", "bytes", long, "text", texts[0] as string, "longer", texts[1] as string, "a", "b")
    for (let i = 0; i < 3; i++) {
      const read = yield* connection.executeBytes("GET", "bytes")
      expect(Buffer.compare(Buffer.from(read as Uint8Array), long)).toBe(0)
      expect(yield* connection.execute("MGET", "a", "text", "a", "longer", "a")).toEqual([
        "b",
        texts[0],
        "b",
        texts[1],
        "b"
      ])
    }
    const { exits } = yield* connection.redis.sendAll([Redis.set("a", "é"), Redis.get("a")], { atomic: true })
    expect(exits[1]).toEqual(Exit.succeed(Option.some("é")))
    const echoes = yield* Effect.forEach(
      Array.from({ length: 500 }, (_, i) => `${i}`),
      (i) => connection.execute(Redis.echo(i)),
      { concurrency: "unbounded" }
    )
    expect(echoes).toEqual(Array.from({ length: 500 }, (_, i) => `${i}`))
  })

/** Two Duplexes, each of which reads what the other writes. */
const duplexPair = (): readonly [Duplex, Duplex] => {
  const make = (other: () => Duplex): Duplex => {
    let resume: (() => void) | undefined
    const duplex: Duplex = new Duplex({
      read: () => {
        resume?.()
        resume = undefined
      },
      write: (chunk, _encoding, done) => {
        if (other().push(chunk)) {
          done()
        } else {
          waiting.set(duplex, done)
        }
      },
      final: (done) => {
        other().push(null)
        done()
      }
    })
    duplex.on("close", () => other().push(null))
    const pull = duplex._read.bind(duplex)
    duplex._read = (size) => {
      pull(size)
      const done = waiting.get(other())
      waiting.delete(other())
      done?.()
    }
    return duplex
  }
  const waiting = new Map<Duplex, () => void>()
  const left: Duplex = make(() => right)
  const right: Duplex = make(() => left)
  return [left, right]
}

describe("slow readers", () => {
  /** A peer that completes the handshake, and then reads nothing until it is resumed. */
  const slow = Effect.map(
    Peer.make({
      onCommand: Peer.greeting((words) => (words[0] === "ECHO" ? `$${words[1]?.length}\r\n${words[1]}\r\n` : "+OK\r\n"))
    }),
    (peer) => ({
      peer,
      stop: Effect.sync(() => {
        peer.connections[0]?.socket.pause()
      }),
      goOn: Effect.sync(() => {
        peer.connections[0]?.socket.resume()
      })
    })
  )

  for (const [what, connect] of [
    [
      "TCP",
      (port: number, options: Connection.OverOptions) => Connection.make({ host: "127.0.0.1", port, ...options })
    ],
    [
      "a Duplex",
      (port: number, options: Connection.OverOptions) =>
        Connection.fromDuplex(Net.connect({ host: "127.0.0.1", port }), options)
    ],
    [
      "a Socket",
      (port: number, options: Connection.OverOptions) =>
        Effect.flatMap(netSocket({ host: "127.0.0.1", port }), (socket) => Connection.fromSocket(socket, options))
    ]
  ] as const) {
    it.scoped(
      `over ${what}: commands wait, bounded and within their deadlines, and continue when the peer reads again`,
      () =>
        Effect.gen(function* () {
          const { goOn, peer, stop } = yield* slow
          const connection = yield* connect(peer.port, {
            replyTimeout: "1 minute",
            maxQueuedCommands: 40,
            maxQueuedBytes: 64 * 1024 * 1024
          })
          yield* stop
          const value = "x".repeat(1024 * 1024)
          const write = (i: number) => connection.execute("SET", `key:${i}`, value)
          // More than both kernels buffer, one after another for as long as commands are accepted.
          const writes: Array<Fiber.RuntimeFiber<unknown, RedisError>> = []
          let overflow: RedisError | undefined
          for (let i = 0; overflow === undefined && i < 200; i++) {
            const fiber = yield* Effect.fork(write(i))
            yield* Effect.repeatN(Effect.yieldNow(), 5)
            const exit = yield* poll(fiber)
            if (Option.isSome(exit)) {
              overflow = failure(exit.value)
            } else {
              writes.push(fiber)
            }
          }
          expect(overflow).toMatchObject({ _tag: "OverflowError", limit: "commands", maximum: 40, command: "SET" })
          // An interrupted command makes room for another.
          yield* Fiber.interrupt(writes.pop() as Fiber.RuntimeFiber<unknown, RedisError>)
          const late = connection.execute(
            RedisCommand.withDeadline(RedisCommand.make("ECHO", { args: ["late"] }), "60 millis")
          )
          expect(failure(yield* Effect.exit(late))).toMatchObject({
            _tag: "DeadlineError",
            phase: "queue",
            delivery: "unsent"
          })
          yield* goOn
          expect(new Set(yield* Effect.forEach(writes, Fiber.join))).toEqual(new Set(["OK"]))
          expect(yield* connection.execute("ECHO", "after")).toBe("after")
          const names = peer.connections[0]?.received.map(([name, value]) => (name === "ECHO" ? value : name)) ?? []
          expect(names.filter((name) => name === "SET").length).toBe(writes.length)
          expect(names).not.toContain("late")
        })
    )
  }
})

describe("time limits with TLS", () => {
  it.scoped("a peer that accepts and never answers: the error says that it may not speak TLS", () =>
    Effect.gen(function* () {
      const { port } = yield* Peer.make({})
      const error = yield* refusal({ host: "127.0.0.1", port, tls: true, connectTimeout: "1 second" })
      expect(error).toMatchObject({ _tag: "DeadlineError", phase: "connect" })
      expect(error.message).toMatch(/does not answer the TLS handshake; does this port speak TLS\?/)
    })
  )

  for (const [what, make] of [
    ["a client", (options) => Redis.make(options)],
    [
      "the first command of a lazy client",
      (options) =>
        Effect.flatMap(Redis.make({ ...options, lazy: true, replyTimeout: "500 millis" }), (redis) =>
          redis.send(Redis.ping())
        )
    ],
    ["a pool", (options) => Pool.make(options)],
    [
      "a lazy pool",
      (options) =>
        Effect.flatMap(Pool.make({ ...options, lazy: true, acquireTimeout: "500 millis" }), (pool) => pool.acquire)
    ],
    [
      "a subscription",
      (options) =>
        Effect.flatMap(RedisPubSub.make(options), (pubsub) =>
          Effect.provideService(RedisPubSub.mailbox("c"), RedisPubSub, pubsub)
        )
    ]
  ] as ReadonlyArray<
    readonly [string, (options: Connection.ConnectionOptions) => Effect.Effect<unknown, RedisError, Scope.Scope>]
  >) {
    it.scoped(`the same error of ${what}`, () =>
      Effect.gen(function* () {
        const { port } = yield* Peer.make({})
        const url = `rediss://127.0.0.1:${port}`
        const error = failure(yield* Effect.exit(Effect.scoped(make({ url, connectTimeout: "500 millis" }))))
        expect(error._tag).toBe("DeadlineError")
        expect(error.message).toMatch(/does not answer the TLS handshake; does this port speak TLS\?/)
      })
    )
  }

  it.scoped("without TLS the error says that the handshake was not answered", () =>
    Effect.gen(function* () {
      const { port } = yield* Peer.make({})
      const error = yield* refusal({ host: "127.0.0.1", port, connectTimeout: "1 second" })
      expect(error.message).toMatch(/does not answer the handshake/)
    })
  )
})

describe("a caller's own Duplex", () => {
  it.scoped("that closes at HELLO: there is no second socket to try, and the error says what to change", () =>
    Effect.gen(function* () {
      const { port } = yield* Peer.make({ onConnect: (connection) => connection.end() })
      const exit = yield* Effect.exit(Connection.fromDuplex(Net.connect({ host: "127.0.0.1", port })))
      expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "peerClosed" })
      expect(failure(exit).message).toMatch(/try protocol: 2/)
    })
  )

  it.scoped("that fails is a ConnectionError with its reason", () =>
    Effect.gen(function* () {
      const { port } = yield* Peer.make({ onCommand: Peer.greeting(() => undefined) })
      const socket = Net.connect({ host: "127.0.0.1", port })
      const connection = yield* Connection.fromDuplex(socket)
      const owed = yield* Effect.fork(Effect.exit(connection.execute("PING")))
      yield* Effect.repeatN(Effect.yieldNow(), 20)
      socket.destroy(new Error("the tunnel fell in"))
      expect(failure(yield* Fiber.join(owed))).toMatchObject({
        _tag: "ConnectionError",
        reason: "transport",
        delivery: "unknown",
        message: expect.stringMatching(/^PING: the connection failed: the tunnel fell in \(.*delivery: unknown\)$/)
      })
    })
  )

  it.scoped("that has already ended", () =>
    Effect.gen(function* () {
      const [left, right] = duplexPair()
      right.resume()
      left.destroy()
      const exit = yield* Effect.exit(Connection.fromDuplex(left))
      expect(failure(exit)._tag).toBe("ConnectionError")
    })
  )
})

describe.each(realServers)("on $name", (server) => {
  for (const protocol of [2, 3] as const) {
    describe(`RESP${protocol}`, () => {
      it.scoped("TCP, by host and port and by URL", () =>
        Effect.gen(function* () {
          const { host, port } = yield* makeServer(server)
          yield* works(yield* Connection.make({ host, port, protocol }), protocol)
          for (const scheme of ["redis", "valkey"]) {
            const connection = yield* Connection.make({
              url: `${scheme}://localhost:${port}/3?protocol=${protocol}&client_name=me&family=4`
            })
            expect(yield* connection.protocol).toBe(protocol)
            expect(yield* connection.db).toBe(3)
            expect(yield* connection.execute("CLIENT", "INFO")).toMatch(/addr=127\.0\.0\.1:.* name=me .* db=3 /s)
          }
        })
      )

      it.scoped("a unix socket, by path and by URL", () =>
        Effect.gen(function* () {
          const { socketPath } = yield* makeServer(server)
          yield* works(yield* Connection.make({ path: socketPath, protocol }), protocol)
          const connection = yield* Connection.make({ url: `unix://${socketPath}?db=2&protocol=${protocol}` })
          expect(yield* connection.execute("CLIENT", "INFO")).toMatch(/addr=\[?\/.* flags=\S*U\S* .*db=2 /s)
          const error = yield* refusal({ path: `${socketPath}.none` })
          expect(error).toMatchObject({ _tag: "ConnectionError", reason: "connect" })
          expect(error.message).toContain(`${socketPath}.none`)
        })
      )

      it.scoped("TLS, verified, by options and by URL", () =>
        Effect.gen(function* () {
          const { host, port, tls } = yield* makeServer(server, { tls: true })
          const { ca } = Option.getOrThrow(tls)
          yield* works(yield* Connection.make({ host, port, protocol, tls: { ca: [ca] } }), protocol)
          for (const scheme of ["rediss", "valkeys"]) {
            const url = Redacted.make(`${scheme}://localhost:${port}?protocol=${protocol}`)
            const connection = yield* Connection.make({ url, tls: { ca: [ca], minVersion: "TLSv1.3" } })
            expect(yield* connection.execute("PING")).toBe("PONG")
          }
        })
      )

      it.scoped("a Duplex: a socket, and a stream pair connected to the server", () =>
        Effect.gen(function* () {
          const { host, port } = yield* makeServer(server)
          yield* works(yield* Connection.fromDuplex(Net.connect({ host, port }), { protocol }), protocol)
          const [near, far] = duplexPair()
          const upstream = Net.connect({ host, port })
          yield* Effect.addFinalizer(() => Effect.sync(() => upstream.destroy()))
          far.pipe(upstream).pipe(far)
          const connection = yield* Connection.fromDuplex(near, { protocol, database: 4 })
          yield* works(connection, protocol)
          expect(yield* connection.db).toBe(4)
          yield* connection.execute("QUIT")
          yield* Peer.eventually("the end is noticed", () => Effect.runSync(connection.closed))
          expect(failure(yield* Effect.exit(connection.execute("PING")))).toMatchObject({
            _tag: "ConnectionError",
            reason: "peerClosed",
            delivery: "unsent"
          })
        })
      )

      it.scoped("a Socket: a clean end is a ConnectionError, and later commands fail without waiting", () =>
        Effect.gen(function* () {
          const { host, port } = yield* makeServer(server)
          const socket = yield* netSocket({ host, port })
          const connection = yield* Connection.fromSocket(socket, { protocol, replyTimeout: "1 minute" })
          yield* works(connection, protocol)
          const killer = yield* Connection.make({ host, port })
          const owed = yield* Effect.fork(Effect.exit(connection.execute("BLPOP", "list", 0)))
          yield* Effect.repeat(killer.executeText("INFO", "clients"), {
            until: (info) => /blocked_clients:1/.test(String(info))
          })
          yield* killer.execute("CLIENT", "KILL", "ID", Option.getOrThrow(connection.id))
          expect(failure(yield* Fiber.join(owed))).toMatchObject({
            _tag: "ConnectionError",
            reason: "peerClosed",
            delivery: "unknown"
          })
          expect(yield* connection.closed).toBe(true)
          expect(failure(yield* Effect.exit(connection.execute("PING")))).toMatchObject({
            _tag: "ConnectionError",
            reason: "peerClosed",
            delivery: "unsent"
          })
        })
      )

      it.scoped("a Socket that cannot be opened fails with its reason", () =>
        Effect.gen(function* () {
          const { port } = yield* Effect.scoped(Peer.make({}))
          const socket = yield* netSocket({ host: "127.0.0.1", port })
          const exit = yield* Effect.exit(Connection.fromSocket(socket, { protocol }))
          expect(failure(exit)).toMatchObject({ _tag: "ConnectionError", reason: "transport" })
        })
      )

      it.scoped("passwords: right, wrong and missing", () =>
        Effect.gen(function* () {
          const { host, port, url } = yield* makeServer(server, { password: Redacted.make("p@ss/w:rd#1") })
          const base = { host, port, protocol } as const
          yield* works(yield* Connection.make({ ...base, password: Redacted.make("p@ss/w:rd#1") }), protocol)
          expect(yield* (yield* Connection.make({ url, protocol })).execute("PING")).toBe("PONG")
          const wrong = yield* refusal({ ...base, password: Redacted.make("s3cret-wr0ng") })
          expect(wrong).toMatchObject({ _tag: "ConnectionError", reason: "authentication", delivery: "unsent" })
          expect(wrong.message).toContain("WRONGPASS")
          expect(String(wrong) + JSON.stringify(wrong)).not.toContain("s3cret")
          const missing = yield* refusal(base)
          expect(missing).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
          expect(missing.message).toContain("NOAUTH")
        })
      )

      it.scoped("ACL users: the name they have, and the permissions that the handshake needs", () =>
        Effect.gen(function* () {
          const { host, port } = yield* makeServer(server, {
            acl: [
              "ada on >secret ~* &* +@all",
              "noselect on >secret ~* &* +@all -select",
              "noclient on >secret ~* &* +@all -client",
              "off off >secret ~* &* +@all"
            ]
          })
          const as = (username: string): Connection.ConnectionOptions => ({
            host,
            port,
            protocol,
            username,
            password: Redacted.make("secret")
          })
          const ada = yield* Connection.make({ ...as("ada"), database: 2 })
          expect(yield* ada.execute("ACL", "WHOAMI")).toBe("ada")
          expect(yield* (yield* Connection.make(as("noselect"))).execute("PING")).toBe("PONG")
          const denied = yield* refusal({ ...as("noselect"), database: 2 })
          expect(denied).toMatchObject({ _tag: "ConnectionError", reason: "handshake", delivery: "unsent" })
          expect(denied.message).toMatch(/SELECT.*NOPERM/)
          // CLIENT SETNAME and CLIENT SETINFO are optional.
          const unnamed = yield* Connection.make(as("noclient"))
          expect(yield* unnamed.execute("ACL", "WHOAMI")).toBe("noclient")
          for (const who of ["off", "nobody"]) {
            expect(yield* refusal(as(who))).toMatchObject({ _tag: "ConnectionError", reason: "authentication" })
          }
          const range = yield* refusal({ ...as("ada"), database: 99 })
          expect(range).toMatchObject({ _tag: "ConnectionError", reason: "handshake" })
        })
      )

      it.scoped("maxclients: the refusal says so, and building a client waits until there is room", () =>
        Effect.gen(function* () {
          const { host, port } = yield* makeServer(server, { config: { maxclients: 2 } })
          const scope = yield* Scope.make()
          const options = { host, port, protocol, replyTimeout: "1 minute" } as const
          yield* Connection.make(options)
          // The server may still count the connection that checked whether it was ready.
          yield* Scope.extend(
            Effect.retry(Connection.make(options), { while: (error) => /max number/.test(error.message) }),
            scope
          )
          const error = yield* refusal(options)
          expect(error).toMatchObject({ _tag: "ConnectionError", delivery: "unsent" })
          expect(error.message).toContain("max number of clients")
          const building = yield* Effect.fork(
            Redis.make({ ...options, connectTimeout: "1 minute", reconnect: Schedule.spaced("5 millis") })
          )
          yield* Effect.repeatN(Effect.yieldNow(), 20)
          yield* Scope.close(scope, Exit.void)
          const redis = yield* Fiber.join(building)
          expect(yield* redis.send(Redis.ping())).toBe("PONG")
        })
      )
    })
  }

  it.scoped("HELLO cannot be forbidden: servers allow it to every user, like AUTH", () =>
    Effect.gen(function* () {
      const { host, port } = yield* makeServer(server, {
        acl: ["default on nopass ~* &* +@all -hello", "ada on >secret ~* &* +@all -hello"]
      })
      const plain = yield* Connection.make({ host, port, database: 3, clientName: "me" })
      expect(yield* plain.execute("CLIENT", "INFO")).toMatch(/ name=me .* db=3 /s)
      const ada = yield* Connection.make({ host, port, username: "ada", password: Redacted.make("secret") })
      expect(yield* ada.execute("ACL", "WHOAMI")).toBe("ada")
      expect([yield* plain.protocol, yield* ada.protocol]).toEqual([3, 3])
    })
  )

  describe("TLS failures, with their reason", () => {
    const days = (count: number) => new Date(Date.now() + count * 24 * 60 * 60 * 1000)

    for (const [what, options, tls, message] of [
      ["an authority that is not known", {}, () => ({}), /authority is not known/],
      [
        "another authority",
        {},
        () => ({ ca: [issue({ name: "Other", use: "authority", notBefore: days(-1), notAfter: days(1) }).cert] }),
        /authority is not known/
      ],
      ["an expired certificate", { notAfter: days(-1) }, (ca: string) => ({ ca: [ca] }), /has expired/],
      ["a certificate of tomorrow", { notBefore: days(1) }, (ca: string) => ({ ca: [ca] }), /not valid yet/],
      [
        "a certificate for another name",
        { names: ["redis.example"] },
        (ca: string) => ({ ca: [ca] }),
        /certificate is for another name/
      ]
    ] as ReadonlyArray<readonly [string, RedisServer.TlsOptions, (ca: string) => Connection.TlsOptions, RegExp]>) {
      it.scoped(what, () =>
        Effect.gen(function* () {
          const { port, tls: certificates } = yield* makeServer(server, { tls: options })
          const { ca } = Option.getOrThrow(certificates)
          for (const host of ["127.0.0.1", "localhost"]) {
            const error = yield* refusal({ host, port, tls: tls(ca) })
            expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
            expect(error.message).toMatch(message)
            expect(error.message).toContain(`${host}:${port}`)
          }
          const anybody = yield* Connection.make({
            host: "localhost",
            port,
            tls: { ...tls(ca), rejectUnauthorized: false }
          })
          expect(yield* anybody.execute("PING")).toBe("PONG")
        })
      )
    }

    it.scoped("a self-signed certificate", () =>
      Effect.gen(function* () {
        const self = issue({
          name: "localhost",
          use: "server",
          names: ["localhost"],
          notBefore: days(-1),
          notAfter: days(1)
        })
        const { port } = yield* makeServer(server, {
          tls: {
            clients: "ignored",
            certificates: {
              ca: self.cert,
              cert: self.cert,
              key: Redacted.make(self.key),
              clientCert: self.cert,
              clientKey: Redacted.make(self.key)
            }
          }
        })
        const error = yield* refusal({ host: "localhost", port, tls: true })
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
        expect(error.message).toMatch(/self-signed/)
      })
    )

    it.scoped("the verified name is serverName", () =>
      Effect.gen(function* () {
        const { host, port, tls } = yield* makeServer(server, { tls: { names: ["redis.example"] } })
        const { ca } = Option.getOrThrow(tls)
        const connection = yield* Connection.make({ host, port, tls: { ca: [ca], serverName: "redis.example" } })
        expect(yield* connection.execute("PING")).toBe("PONG")
        const error = yield* refusal({ host, port, tls: { ca: [ca], serverName: "other.example" } })
        expect(error.message).toMatch(/certificate is for another name/)
      })
    )

    it.scoped("a client certificate: given, with a passphrase, missing, and of another authority", () =>
      Effect.gen(function* () {
        const { host, port, tls } = yield* makeServer(server, { tls: { clients: "required" } })
        const { ca, clientCert, clientKey } = Option.getOrThrow(tls)
        const base = { host, port } as const
        const shown = yield* Connection.make({ ...base, tls: { ca: [ca], cert: clientCert, key: clientKey } })
        expect(yield* shown.execute("PING")).toBe("PONG")
        const encrypted = Crypto.createPrivateKey(Redacted.value(clientKey)).export({
          type: "pkcs8",
          format: "pem",
          cipher: "aes-256-cbc",
          passphrase: "s3cret-passphrase"
        })
        const key = Redacted.make(String(encrypted))
        const locked = { ca: [ca], cert: clientCert, key, passphrase: Redacted.make("s3cret-passphrase") }
        expect(yield* (yield* Connection.make({ ...base, tls: locked })).execute("PING")).toBe("PONG")
        const missing = yield* refusal({ ...base, tls: { ca: [ca] } })
        expect(missing).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
        expect(missing.message).toMatch(/certificate/)
        const other = yield* RedisServer.makeCertificates()
        const stranger = yield* refusal({
          ...base,
          tls: { ca: [ca], cert: other.clientCert, key: other.clientKey }
        })
        expect(stranger).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
        const unreadable = yield* refusal({ ...base, tls: { ...locked, passphrase: Redacted.make("s3cret-wrong") } })
        expect(unreadable).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
        expect(String(unreadable) + JSON.stringify(unreadable)).not.toContain("s3cret")
      })
    )

    it.scoped("TLS to a plain port, and plain to a TLS port", () =>
      Effect.gen(function* () {
        const plain = yield* makeServer(server)
        const toPlain = yield* refusal({
          host: plain.host,
          port: plain.port,
          tls: true,
          connectTimeout: "1 second"
        })
        // The server takes the bytes for a command, and answers with text if they contain a line break.
        expect(toPlain._tag).toMatch(/ConnectionError|DeadlineError/)
        expect(toPlain.message).toMatch(/does not speak TLS|does this port speak TLS/)
        const tls = yield* makeServer(server, { tls: true })
        const toTls = yield* refusal({ host: tls.host, port: tls.port })
        expect(toTls._tag).toMatch(/ConnectionError|ProtocolError/)
        expect(toTls.message).toMatch(/speaks TLS, ask for it|the peer speaks TLS/)
      })
    )
  })
})
