/**
 * TLS: which certificates are refused and why, and that nothing is ever sent in plain text when TLS was asked for.
 * (`test/connection/transports.test.ts` tests the refusals of real servers one by one.)
 */
import { execFile } from "node:child_process"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Connection, Pool, Redis, type RedisError } from "effect-redis-client"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type { RedisOptions } from "../../src/Redis.js"
import { type Issued, issue } from "../../src/testing/internal/certificates.js"
import type { Certificates } from "../../src/testing/RedisServer.js"
import { failure, on, quickly } from "../support/client.js"
import { describeReal } from "../support/describeReal.js"
import * as Peer from "../support/peer.js"
import { makeServer } from "../support/servers.js"

const days = (count: number) => new Date(Date.now() + count * 24 * 60 * 60 * 1000)
const now = { notBefore: days(-1), notAfter: days(1) }
const past = { notBefore: days(-3), notAfter: days(-1) }
const future = { notBefore: days(1), notAfter: days(3) }

const authority = issue({ name: "Authority", use: "authority", ...now })
const stranger = issue({ name: "Stranger", use: "authority", ...now })
const oldAuthority = issue({ name: "Old authority", use: "authority", ...past })
const middle = issue({ name: "Middle", use: "authority", ...now }, authority)
const names = ["localhost", "127.0.0.1"]
const server = issue({ name: "localhost", use: "server", names, ...now }, authority)
const client = issue({ name: "client", use: "client", ...now }, authority)

const trusted: Connection.TlsOptions = { ca: [authority.cert] }
const shows = ({ cert, key }: Issued): Connection.TlsOptions => ({ ...trusted, cert, key: Redacted.make(key) })

/** The credentials of these tests have this mark. A peer may see it only after it has proved its identity. */
const password = "p4ssw0rd-m4rk3d"
const credentials = { username: "ada", password: Redacted.make(password) }

interface Listening {
  readonly port: number
}

const listening = <A extends Net.Server>(server: A): Effect.Effect<A & Listening, never, Scope.Scope> => {
  const sockets = new Set<Net.Socket>()
  server.on("connection", (socket: Net.Socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.async<A & Listening>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as Net.AddressInfo
        resume(Effect.succeed(Object.assign(server, { port })))
      })
    }),
    () =>
      Effect.async<void>((resume) => {
        for (const socket of sockets) {
          socket.destroy()
        }
        server.close(() => resume(Effect.void))
      })
  )
}

/** A TLS server that answers as Redis does and records the decrypted bytes and the server names clients asked for. */
const tlsPeer = (issued: Issued, options: Tls.TlsOptions = {}) =>
  Effect.gen(function* () {
    const behind = yield* Peer.make({ onCommand: Peer.greeting(() => "+PONG\r\n") })
    const decrypted: Array<Buffer> = []
    const asked: Array<string | false | null> = []
    const versions: Array<string | null> = []
    const server = Tls.createServer({ cert: issued.cert, key: issued.key, ...options }, (socket) => {
      asked.push((socket as Tls.TLSSocket & { servername?: string | false }).servername ?? false)
      versions.push(socket.getProtocol())
      const plain = Net.connect(behind.port, "127.0.0.1")
      plain.on("error", () => socket.destroy())
      socket.on("error", () => plain.destroy())
      socket.on("data", (bytes) => decrypted.push(bytes))
      socket.pipe(plain).pipe(socket)
    })
    server.on("tlsClientError", () => {})
    const { port } = yield* listening(server)
    return { port, asked, versions, decrypted: () => Buffer.concat(decrypted).toString("latin1") }
  })

const refusal = (options: RedisOptions): Effect.Effect<RedisError.RedisError> =>
  // Far longer than needed, so that a failure comes from the refusal and not from the deadline.
  Effect.map(Effect.exit(Effect.scoped(Redis.make({ connectTimeout: "1 minute", ...options }))), failure)

describe("a peer that does not prove its identity is refused, and the error says why", () => {
  for (const [what, issued, chain, tls, message] of [
    ["a self-signed certificate", issue({ name: "localhost", use: "server", names, ...now }), "", {}, /self-signed/],
    ["an unknown authority", server, "", {}, /authority is not known/],
    ["an unknown authority that the server sends along", server, authority.cert, {}, /authority is not known/],
    ["another authority", server, "", { ca: [stranger.cert] }, /authority is not known/],
    [
      "an authority in between that the server keeps to itself",
      issue({ name: "localhost", use: "server", names, ...now }, middle),
      "",
      trusted,
      /authority is not known/
    ],
    [
      "an expired certificate",
      issue({ name: "localhost", use: "server", names, ...past }, authority),
      "",
      trusted,
      /certificate has expired/
    ],
    [
      "an expired authority",
      issue({ name: "localhost", use: "server", names, ...now }, oldAuthority),
      "",
      { ca: [oldAuthority.cert] },
      /certificate has expired/
    ],
    [
      "a certificate of tomorrow",
      issue({ name: "localhost", use: "server", names, ...future }, authority),
      "",
      trusted,
      /not valid yet/
    ],
    [
      "another name",
      issue({ name: "localhost", use: "server", names: ["redis.example"], ...now }, authority),
      "",
      trusted,
      /certificate is for another name than localhost/
    ],
    [
      "a client's certificate",
      issue({ name: "localhost", use: "client", names, ...now }, authority),
      "",
      trusted,
      /not one for servers/
    ]
  ] as ReadonlyArray<readonly [string, Issued, string, Connection.TlsOptions, RegExp]>) {
    it.scoped(what, () =>
      Effect.gen(function* () {
        const peer = yield* tlsPeer({ ...issued, cert: issued.cert + chain })
        const error = yield* refusal({ host: "localhost", port: peer.port, ...credentials, tls })
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
        expect(error.message).toMatch(message)
        expect(error.message).toContain(`localhost:${peer.port}`)
        // The credentials were not even sent encrypted to that peer.
        expect(peer.decrypted()).toBe("")
        const careless = { host: "localhost", port: peer.port, tls: { ...tls, rejectUnauthorized: false } }
        const redis = yield* Redis.make(careless)
        expect(yield* on(redis)(Redis.ping())).toBe("PONG")
      })
    )
  }

  it.scoped("a certificate of an intermediate authority is accepted when the server sends that authority's", () =>
    Effect.gen(function* () {
      const leaf = issue({ name: "localhost", use: "server", names, ...now }, middle)
      const peer = yield* tlsPeer({ ...leaf, cert: leaf.cert + middle.cert })
      const redis = yield* Redis.make({ host: "localhost", port: peer.port, tls: trusted })
      expect(yield* on(redis)(Redis.ping())).toBe("PONG")
    })
  )

  it.scoped("the key of another certificate and an unreadable key fail, with the option's name", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(server)
      const other = issue({ name: "other", use: "client", ...now }, authority)
      const options = { host: "localhost", port: peer.port }
      const mismatch = yield* refusal({ ...options, tls: { ...shows(client), key: Redacted.make(other.key) } })
      expect(mismatch).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
      expect(mismatch.message).toMatch(/tls\.key is not the key of tls\.cert/)
      const broken = client.key.replace(/\n.{10}/, "\nAAAAAAAAAA")
      const unreadable = yield* refusal({ ...options, tls: { ...shows(client), key: Redacted.make(broken) } })
      expect(unreadable).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
      expect(unreadable.message).toMatch(/tls\.ca, tls\.cert, tls\.key or tls\.passphrase cannot be used/)
    })
  )
})

describe("the server's name", () => {
  const certificate = (...names: ReadonlyArray<string>) => issue({ name: "x", use: "server", names, ...now }, authority)

  for (const [what, issued, options, asked] of [
    ["is the host", certificate("localhost"), { host: "localhost" }, "localhost"],
    ["is the URL's host", certificate("localhost"), { url: "rediss://localhost" }, "localhost"],
    ["is not asked for when it is an address, and verified", certificate("127.0.0.1"), { host: "127.0.0.1" }, false],
    [
      "is what serverName says, over the host",
      certificate("redis.example"),
      { host: "localhost", serverName: "redis.example" },
      "redis.example"
    ],
    [
      "may have a wildcard for its first part",
      certificate("*.redis.example"),
      { host: "127.0.0.1", serverName: "a.redis.example" },
      "a.redis.example"
    ],
    [
      "may be an address, which is verified and not asked for",
      certificate("10.1.2.3"),
      { host: "localhost", serverName: "10.1.2.3" },
      false
    ]
  ] as ReadonlyArray<readonly [string, Issued, { host?: string; url?: string; serverName?: string }, string | false]>) {
    it.scoped(what, () =>
      Effect.gen(function* () {
        const peer = yield* tlsPeer(issued)
        const { serverName, url, ...rest } = options
        const connection = yield* Connection.make({
          ...rest,
          ...(url === undefined ? { port: peer.port } : { url: `${url}:${peer.port}` }),
          tls: { ...trusted, serverName }
        })
        expect(yield* connection.execute("PING")).toBe("PONG")
        expect(peer.asked).toEqual([asked])
      })
    )
  }

  for (const [what, issued, options, expected] of [
    ["a name for an address", certificate("localhost"), { host: "127.0.0.1" }, "127.0.0.1"],
    ["an address for a name", certificate("127.0.0.1"), { host: "localhost" }, "localhost"],
    ["another address", certificate("10.1.2.3"), { host: "localhost", serverName: "10.1.2.4" }, "10.1.2.4"],
    [
      "a wildcard for two parts",
      certificate("*.redis.example"),
      { host: "localhost", serverName: "a.b.redis.example" },
      "a.b.redis.example"
    ],
    [
      "the host, where serverName says another",
      certificate("localhost"),
      { host: "localhost", serverName: "a.example" },
      "a.example"
    ]
  ] as ReadonlyArray<readonly [string, Issued, { host: string; serverName?: string }, string]>) {
    it.scoped(`${what} is refused`, () =>
      Effect.gen(function* () {
        const peer = yield* tlsPeer(issued)
        const { host, serverName } = options
        const error = yield* refusal({ host, port: peer.port, ...credentials, tls: { ...trusted, serverName } })
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
        expect(error.message).toContain(`the certificate is for another name than ${expected};`)
        expect(peer.decrypted()).toBe("")
      })
    )
  }
})

describe("versions", () => {
  it.scoped("TLS 1.1 is refused by default", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(server, {
        minVersion: "TLSv1.1",
        maxVersion: "TLSv1.1",
        ciphers: "DEFAULT@SECLEVEL=0"
      })
      const error = yield* refusal({ host: "localhost", port: peer.port, ...credentials, tls: trusted })
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
      expect(error.message).toMatch(/no version of TLS that is taken here/)
    })
  )

  describeReal((real) => {
    it.scoped("with a real server the highest common version is used, and none below minVersion", () =>
      Effect.gen(function* () {
        const certificates = certificatesOf(server, client)
        const tls = { certificates, clients: "ignored" } as const
        const older = yield* makeServer(real, { tls, config: { "tls-protocols": '"TLSv1.2"' } })
        const newer = yield* makeServer(real, { tls, config: { "tls-protocols": '"TLSv1.3"' } })
        for (const { port } of [older, newer]) {
          const connection = yield* Connection.make({ host: "localhost", port, tls: trusted })
          expect(yield* connection.execute("PING")).toBe("PONG")
        }
        const strict = { ...trusted, minVersion: "TLSv1.3" } as const
        const connection = yield* Connection.make({ host: "localhost", port: newer.port, tls: strict })
        expect(yield* connection.execute("PING")).toBe("PONG")
        const error = yield* refusal({ host: "localhost", port: older.port, tls: strict })
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
        expect(error.message).toMatch(/no version of TLS that is taken here \(tls\.minVersion\)/)
      })
    )
  })
})

/** TLS options of `RedisServer`, with the authority that the clients of these tests trust. */
const certificatesOf = (server: Issued, client: Issued): Certificates => ({
  ca: authority.cert,
  cert: server.cert,
  key: Redacted.make(server.key),
  clientCert: client.cert,
  clientKey: Redacted.make(client.key)
})

describe("real servers that require a client's certificate (tls-auth-clients yes)", () => {
  describeReal((real) => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      it.scoped(version, () =>
        Effect.gen(function* () {
          const { port } = yield* makeServer(real, {
            tls: { certificates: certificatesOf(server, client), clients: "required" },
            config: { "tls-protocols": `"${version}"` }
          })
          const options = { host: "localhost", port } as const
          const redis = yield* Redis.make({ ...options, tls: shows(client) })
          expect(yield* on(redis)(Redis.ping())).toBe("PONG")
          for (const [tls, message] of [
            [trusted, /ask(?:s)? for a client's certificate/],
            [shows(issue({ name: "client", use: "client", ...now }, stranger)), /certificate \(tls\.cert\)/],
            [shows(issue({ name: "client", use: "client", ...now })), /certificate \(tls\.cert\)/],
            [shows(issue({ name: "client", use: "client", ...past }, authority)), /\(tls\.cert\) has expired/]
          ] as const) {
            const error = yield* refusal({ ...options, tls })
            expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
            expect(error.message).toMatch(message)
          }
        })
      )
    }
  })
})

describe("real servers: a refusal fails the building of a client at once, whatever the Schedule", () => {
  describeReal((real) => {
    it.scoped("for clients, pools and connections, configured by options and by URL", () =>
      Effect.gen(function* () {
        const { port } = yield* makeServer(real, { tls: true })
        const url = Redacted.make(`rediss://localhost:${port}`)
        for (const build of [
          Redis.make({ url }),
          Layer.build(Redis.layer({ host: "localhost", port, tls: true })),
          Layer.build(Pool.layer({ url })),
          Connection.make({ url }),
          Layer.build(Layer.provide(Redis.layerFromPool, Pool.layer({ url, minSize: 2 })))
        ] as ReadonlyArray<Effect.Effect<unknown, RedisError.RedisError, Scope.Scope>>) {
          const error = failure(yield* Effect.exit(Effect.scoped(build)))
          expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
          expect(error.message).toMatch(/authority is not known/)
        }
      })
    )
  })
})

describe("environment variables of Node", () => {
  const here = Path.dirname(fileURLToPath(import.meta.url))

  const run = (port: number, environment: Record<string, string>, ca: string) =>
    Effect.async<string>((resume) => {
      execFile(
        process.execPath,
        ["--import", "tsx", Path.join(here, "fixtures", "connect.ts"), String(port), ca],
        { env: { ...process.env, ...environment }, timeout: 60_000 },
        (error, stdout, stderr) => resume(Effect.succeed(`${stdout.trim()}${error === null ? "" : stderr}`))
      )
    })

  it.scoped(
    "NODE_EXTRA_CA_CERTS adds authorities, tls.ca replaces them all, and no variable switches verification off",
    () =>
      Effect.gen(function* () {
        const peer = yield* tlsPeer(server)
        const fs = yield* Effect.promise(() => import("node:fs/promises"))
        const os = yield* Effect.promise(() => import("node:os"))
        const folder = yield* Effect.acquireRelease(
          Effect.promise(() => fs.mkdtemp(Path.join(os.tmpdir(), "effect-redis-ca-"))),
          (path) => Effect.promise(() => fs.rm(path, { recursive: true }))
        )
        const file = Path.join(folder, "ca.pem")
        yield* Effect.promise(() => fs.writeFile(file, authority.cert))
        const [extra, none, off, replaced] = yield* Effect.all(
          [
            run(peer.port, { NODE_EXTRA_CA_CERTS: file }, ""),
            run(peer.port, {}, ""),
            run(peer.port, { NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_NO_WARNINGS: "1" }, ""),
            run(peer.port, { NODE_EXTRA_CA_CERTS: file }, stranger.cert)
          ],
          { concurrency: 2 }
        )
        expect(extra).toBe("PONG")
        for (const said of [none, off, replaced]) {
          expect(said).toMatch(/^tls: .*authority is not known/)
        }
      }),
    120_000
  )
})

describe("a TLS handshake that was damaged on its way is tried again", () => {
  /** Faults in the handshake of one connection: bytes after the length of its first record are changed or cut away. */
  const breaking = [
    ["toServer", FaultProxy.corrupt(5)],
    ["toServer", FaultProxy.corrupt(60)],
    ["toServer", FaultProxy.corrupt(180)],
    ["toServer", FaultProxy.cutAfter(100, "close")],
    ["toServer", FaultProxy.after(400, FaultProxy.halfClose, { direction: "toServer" })],
    ["toClient", FaultProxy.corrupt(5)],
    ["toClient", FaultProxy.corrupt(60)],
    ["toClient", FaultProxy.corrupt(220)],
    ["toClient", FaultProxy.corrupt(520)],
    ["toClient", FaultProxy.cutAfter(100, "close")],
    ["toClient", FaultProxy.cutAfter(400, "reset")],
    ["toClient", FaultProxy.after(200, FaultProxy.halfClose, { direction: "toClient" })]
  ] as const

  describeReal((real) => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      it.scoped(`${version}: a damaged handshake is tried again, while building and when reconnecting`, () =>
        Effect.gen(function* () {
          const target = yield* makeServer(real, {
            tls: { certificates: certificatesOf(server, client), clients: "ignored" },
            config: { "tls-protocols": `"${version}"` }
          })
          const proxy = yield* FaultProxy.make({ target })
          const options = { host: "localhost", port: proxy.port, tls: trusted, reconnect: quickly } as const
          const later = yield* Redis.make({ ...options, replyTimeout: "1 minute" })
          for (const [direction, fault] of breaking) {
            const broken = proxy.inject(fault, { direction, on: "new", times: 1 })
            yield* broken
            const error = failure(yield* Effect.exit(Effect.scoped(Connection.make(options))))
            expect([fault, error], error.message).toMatchObject([
              fault,
              { _tag: "ConnectionError", delivery: "unsent" }
            ])
            expect(["connect", "transport", "peerClosed"]).toContain((error as RedisError.ConnectionError).reason)
            // A cut may be reported as a lost connection; OpenSSL's errors of changed bytes are put in words.
            expect(error.message).not.toMatch(/error:[0-9A-F]{8}|tls\.(?:ca|cert|key)/)
            yield* broken
            // Closed at once. Otherwise this client would reconnect and meet the fault that is meant for the next one.
            const built = Redis.make({ ...options, connectTimeout: "1 minute" })
            expect(yield* Effect.scoped(Effect.flatMap(built, (redis) => on(redis)(Redis.ping())))).toBe("PONG")
            yield* broken
            yield* proxy.inject(FaultProxy.reset, { on: "live" })
            expect(yield* on(later)(Redis.ping())).toBe("PONG")
          }
        })
      )
    }
  })
})

describe("a TLS alert of the server", () => {
  /** A server that answers its first connection with an alert, and later connections by TLS. */
  const alerting = (alert: number) =>
    Effect.gen(function* () {
      const behind = yield* tlsPeer(server)
      let connections = 0
      const front = yield* listening(
        Net.createServer((socket) => {
          if (connections++ === 0) {
            return socket.once("data", () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, alert])))
          }
          const next = Net.connect(behind.port, "127.0.0.1")
          next.on("error", () => socket.destroy())
          socket.on("error", () => next.destroy())
          return socket.pipe(next).pipe(socket)
        })
      )
      return { host: "localhost", port: front.port, tls: trusted, reconnect: quickly } as const
    })

  for (const [name, alert] of [
    ["handshake failure", 40],
    ["bad certificate", 42],
    ["unsupported certificate", 43],
    ["certificate expired", 45],
    ["certificate unknown", 46],
    ["unknown ca", 48],
    ["access denied", 49],
    ["protocol version", 70],
    ["insufficient security", 71],
    ["unrecognized name", 112],
    ["certificate required", 116]
  ] as const) {
    it.scoped(`${name} fails the building of a client at once`, () =>
      Effect.gen(function* () {
        const error = yield* refusal(yield* alerting(alert))
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls", delivery: "unsent" })
      })
    )
  }

  for (const [name, alert] of [
    ["unexpected message", 10],
    ["bad record mac", 20],
    ["record overflow", 22],
    ["illegal parameter", 47],
    ["decode error", 50],
    ["decrypt error", 51]
  ] as const) {
    it.scoped(`${name} means that bytes were changed on their way, and the handshake is tried again`, () =>
      Effect.gen(function* () {
        const error = failure(yield* Effect.exit(Effect.scoped(Connection.make(yield* alerting(alert)))))
        expect(error).toMatchObject({ _tag: "ConnectionError", reason: "connect", delivery: "unsent" })
        expect(error.message).toContain(`TLS was broken on its way: ${name}`)
        const redis = yield* Redis.make({ ...(yield* alerting(alert)), connectTimeout: "1 minute" })
        expect(yield* on(redis)(Redis.ping())).toBe("PONG")
      })
    )
  }
})

describe("nothing is sent in plain text when TLS was asked for", () => {
  /** A peer that does not speak TLS, and the bytes that it received on each connection. */
  const plainPeer = (answer: (socket: Net.Socket) => void, onConnect: (socket: Net.Socket) => void = () => {}) =>
    Effect.gen(function* () {
      const seen: Array<Buffer> = []
      const server = Net.createServer((socket) => {
        const index = seen.push(Buffer.alloc(0)) - 1
        onConnect(socket)
        socket.on("data", (bytes) => {
          const first = seen[index]?.length === 0
          seen[index] = Buffer.concat([seen[index] as Buffer, bytes])
          if (first) {
            answer(socket)
          }
        })
      })
      const { port } = yield* listening(server)
      return { port, seen }
    })

  /** Checks that every byte belongs to a TLS record (RFC 8446, 5.1), and that no record is application data. */
  const isHandshakeOnly = (bytes: Buffer): void => {
    let at = 0
    while (at < bytes.length) {
      expect([20, 21, 22], "the type of a TLS record").toContain(bytes[at])
      expect(bytes[at + 1], "the version of a TLS record").toBe(3)
      at += 5 + bytes.readUInt16BE(at + 3)
    }
    expect(at).toBe(bytes.length)
    for (const word of ["HELLO", "AUTH", "CLIENT", "PING", password]) {
      expect(bytes.includes(word)).toBe(false)
    }
  }

  const alert = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28])
  const options = (port: number): RedisOptions => ({
    host: "127.0.0.1",
    port,
    ...credentials,
    clientName: "me",
    database: 3,
    tls: true,
    connectTimeout: "700 millis"
  })

  for (const [what, answer] of [
    ["a RESP error", (socket) => socket.write("-ERR unknown command\r\n")],
    ["RESP answers", (socket) => socket.write("+OK\r\n+OK\r\n+OK\r\n+OK\r\n")],
    ["NOAUTH", (socket) => socket.write("-NOAUTH Authentication required.\r\n")],
    ["HTTP", (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["a TLS alert", (socket) => socket.write(alert)],
    ["a TLS record that makes no sense", (socket) => socket.write(Buffer.from([22, 3, 3, 0, 4, 2, 0, 0, 0]))],
    ["bytes of no protocol", (socket) => socket.write(Buffer.alloc(64, 0xff))],
    ["a FIN", (socket) => socket.end()],
    ["a reset", (socket) => socket.resetAndDestroy()],
    ["nothing", () => {}]
  ] as ReadonlyArray<readonly [string, (socket: Net.Socket) => void]>) {
    for (const protocol of [2, 3] as const) {
      it.scoped(`to a peer that answers with ${what}, RESP${protocol}`, () =>
        Effect.gen(function* () {
          const { port, seen } = yield* plainPeer(answer)
          const connection = failure(yield* Effect.exit(Effect.scoped(Connection.make({ ...options(port), protocol }))))
          expect(connection._tag).toMatch(/ConnectionError|DeadlineError/)
          expect(connection).toMatchObject({ delivery: "unsent" })
          // A client may try again, and still sends no plain text.
          const error = failure(yield* Effect.exit(Effect.scoped(Redis.make({ ...options(port), protocol }))))
          expect(error._tag).toMatch(/ConnectionError|DeadlineError/)
          expect(seen.length).toBeGreaterThan(1)
          for (const bytes of seen.filter(({ length }) => length > 0)) {
            isHandshakeOnly(bytes)
          }
          if (what !== "a reset") {
            // A reset may come before any byte.
            expect(Math.min(...seen.map(({ length }) => length))).toBeGreaterThan(0)
          }
          if (/RESP|NOAUTH|HTTP/.test(what)) {
            expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
            expect(error.message).toMatch(/the peer does not speak TLS; use a redis:\/\/ URL/)
          }
          if (what === "nothing") {
            expect(connection.message).toMatch(/does this port speak TLS\?/)
          }
        })
      )
    }
  }

  it.scoped("to a peer that writes first, as mail servers do", () =>
    Effect.gen(function* () {
      const { port, seen } = yield* plainPeer(
        () => {},
        (socket) => socket.write("220 ready\r\n")
      )
      const error = failure(yield* Effect.exit(Effect.scoped(Connection.make(options(port)))))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
      seen.forEach(isHandshakeOnly)
    })
  )

  it.scoped("to a peer whose certificate is refused: it sees the TLS handshake and no credentials", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(server)
      // A proxy between client and peer records the raw bytes.
      const seen: Array<Buffer> = []
      const between = yield* listening(
        Net.createServer((socket) => {
          const behind = Net.connect(peer.port, "127.0.0.1")
          behind.on("error", () => socket.destroy())
          socket.on("data", (bytes) => seen.push(bytes))
          socket.pipe(behind).pipe(socket)
        })
      )
      const error = yield* refusal(options(between.port))
      expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
      expect(peer.decrypted()).toBe("")
      expect(Buffer.concat(seen).includes(password)).toBe(false)
      // When the certificate is accepted, the credentials are only sent inside of TLS.
      const connection = yield* Connection.make({ ...options(between.port), database: 0, tls: trusted })
      expect(yield* connection.execute("PING")).toBe("PONG")
      expect(peer.decrypted()).toContain(password)
      expect(Buffer.concat(seen).includes(password)).toBe(false)
      expect(Buffer.concat(seen).includes("PING")).toBe(false)
    })
  )

  it.scoped("to a server that stops speaking TLS: reconnecting does not fall back", () =>
    Effect.gen(function* () {
      const target = { port: 0 }
      const open = new Set<Net.Socket>()
      const front = yield* listening(
        Net.createServer((socket) => {
          open.add(socket)
          const behind = Net.connect(target.port, "127.0.0.1")
          behind.on("error", () => socket.destroy())
          socket.on("error", () => behind.destroy())
          socket.pipe(behind).pipe(socket)
        })
      )
      const secure = yield* tlsPeer(server)
      const plain = yield* plainPeer((socket) => socket.write("-NOAUTH Authentication required.\r\n"))
      target.port = secure.port
      const redis = yield* Redis.make({ ...options(front.port), database: 0, tls: trusted, replyTimeout: "300 millis" })
      expect(yield* on(redis)(Redis.ping())).toBe("PONG")
      target.port = plain.port
      for (const socket of open) {
        socket.destroy()
      }
      const error = failure(yield* Effect.exit(on(redis)(Redis.set("k", password))))
      expect(error._tag).toMatch(/ConnectionError|DeadlineError/)
      yield* Peer.eventually("the client tried again", () => plain.seen.some((bytes) => bytes.length > 0))
      plain.seen.forEach(isHandshakeOnly)
    })
  )
})

describe("a shared TLS context", () => {
  it.scoped("still verifies every connection of a pool", () =>
    Effect.gen(function* () {
      const peer = yield* tlsPeer(server)
      const pool = Context.get(
        yield* Layer.build(Pool.layer({ host: "localhost", port: peer.port, tls: trusted, minSize: 3, maxSize: 3 })),
        Pool.Pool
      )
      const all = yield* Effect.all([pool.acquire, pool.acquire, pool.acquire])
      for (const connection of all) {
        expect(yield* connection.execute("PING")).toBe("PONG")
      }
      expect(peer.asked).toEqual(["localhost", "localhost", "localhost"])
      expect(peer.versions).toEqual(["TLSv1.3", "TLSv1.3", "TLSv1.3"])
    })
  )
})
