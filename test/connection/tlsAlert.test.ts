/** A TLS alert that comes after the handshake, as TLS 1.3 servers send it when they want a client's certificate. */
import * as Net from "node:net"
import * as Tls from "node:tls"
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Connection } from "effect-redis-client"
import { issue } from "../../src/testing/internal/certificates.js"

const listening = (server: Net.Server) =>
  Effect.acquireRelease(
    Effect.async<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () => Effect.sync(() => server.close())
  )

it.scopedLive("ends the connection with its words, also where the peer leaves the socket open", () =>
  Effect.gen(function* () {
    const day = 86_400_000
    const now = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + 100 * day) }
    const authority = issue({ name: "Authority", use: "authority", ...now })
    const own = issue({ name: "localhost", use: "server", names: ["127.0.0.1"], ...now }, authority)
    const server = Tls.createServer({
      cert: own.cert,
      key: own.key,
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3"
    })
    server.on("tlsClientError", () => {})
    const port = yield* listening(server)
    // It hands on bytes, and not that the server has closed.
    const sockets = new Set<Net.Socket>()
    const relay = Net.createServer((client) => {
      const upstream = Net.connect(port, "127.0.0.1")
      for (const [from, to] of [
        [client, upstream],
        [upstream, client]
      ] as const) {
        sockets.add(from)
        from.on("error", () => {})
        from.on("data", (bytes) => to.write(bytes))
      }
    })
    const at = yield* listening(relay)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const socket of sockets) {
          socket.destroy()
        }
      })
    )
    const error = yield* Effect.flip(
      Effect.scoped(
        Connection.make({
          url: `rediss://127.0.0.1:${at}`,
          tls: { ca: [authority.cert] },
          connectTimeout: "20 seconds"
        })
      )
    )
    expect(error).toMatchObject({ _tag: "ConnectionError", reason: "tls" })
    expect(error.message).toContain("certificate")
  })
)
