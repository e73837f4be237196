/*
 * The embedded server: the command engine of js-redis-server with sockets of our own. The server of that package
 * listens on every interface, and waits for its clients when it is closed; these sockets listen on the loopback
 * interface only, and closing destroys them.
 */

import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import type { RedisServerState } from "js-redis-server/core"

/** Options of the embedded server. */
export interface EmbeddedOptions {
  readonly databases: number | undefined
  readonly password: string | undefined
  readonly socketPath: string
  readonly tls: Tls.TlsOptions | undefined
  /** Whether a restart keeps the data. */
  readonly keepData: boolean
}

/** An embedded server that can be started and stopped. */
export interface Embedded {
  readonly version: string
  readonly isRunning: () => boolean
  /** Listens; port 0 means any free port. Returns the port. */
  readonly start: (port: number) => Effect.Effect<number, Error>
  readonly stop: Effect.Effect<void>
}

const listen = (server: Net.Server, where: Net.ListenOptions) =>
  Effect.async<void, Error>((resume) => {
    const failed = (error: Error) => resume(Effect.fail(error))
    server.once("error", failed)
    server.listen(where, () => {
      server.removeListener("error", failed)
      resume(Effect.void)
    })
  })

const close = (server: Net.Server) =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
  })

/** Loads the package js-redis-server; fails when it is not installed. */
export const make = (options: EmbeddedOptions): Effect.Effect<Embedded, Error> =>
  Effect.gen(function* () {
    const core = yield* Effect.tryPromise({
      try: () => import("js-redis-server/core"),
      catch: (cause) => new Error("the npm package js-redis-server cannot be loaded", { cause })
    })
    const makeState = () =>
      new core.RedisServerState({
        databaseCount: options.databases ?? 16, // The default of real servers; the engine's own default is one.
        ...(options.password === undefined ? {} : { requirepass: options.password })
      })
    let state: RedisServerState | undefined
    let servers: ReadonlyArray<Net.Server> = []
    const sockets = new Set<Net.Socket>()
    const profile = core.resolveCompatibilityProfile()
    const executor = core.createRedisCommandExecutor({ compatibility: profile })

    const accept = (socket: Net.Socket) => {
      if (state === undefined) {
        socket.destroy()
        return
      }
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
      socket.on("error", () => {}) // The close event follows.
      core
        .attachSession(new core.SocketConnectionTransport(socket), {
          state,
          executor,
          clientAddress: `${socket.remoteAddress ?? "127.0.0.1"}:${socket.remotePort ?? 0}`
        })
        .done.catch(() => socket.destroy())
    }

    const cut = Effect.suspend(() => {
      const closing = servers.map(close)
      servers = []
      for (const socket of sockets) socket.destroy()
      return Effect.all(closing, { discard: true })
    })

    return {
      version: `${profile.version}`,
      isRunning: () => servers.length > 0,
      start: (port) =>
        Effect.gen(function* () {
          state ??= makeState()
          const tcp = options.tls === undefined ? Net.createServer(accept) : Tls.createServer(options.tls, accept)
          const unix = Net.createServer(accept)
          // A TCP socket whose TLS handshake never ends must be destroyed on close as well.
          if (options.tls !== undefined) {
            tcp.on("connection", (socket: Net.Socket) => {
              sockets.add(socket)
              socket.once("close", () => sockets.delete(socket))
            })
          }
          servers = [tcp, unix]
          yield* listen(tcp, { host: "127.0.0.1", port }).pipe(
            Effect.zipRight(listen(unix, { path: options.socketPath })),
            Effect.tapErrorCause(() => cut)
          )
          const address = tcp.address()
          return typeof address === "object" && address !== null ? address.port : port
        }).pipe(Effect.uninterruptible),
      stop: Effect.suspend(() => {
        const old = state
        return Effect.zipRight(
          cut,
          Effect.sync(() => {
            if (options.keepData) return
            state = undefined
            old?.close()
          })
        )
      }).pipe(Effect.uninterruptible)
    }
  })
