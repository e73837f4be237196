/**
 * The Node transport: sockets over TCP, unix paths and TLS. It is loaded at the first attempt to connect
 * (lazyNodeTransport.ts), so that a program that brings its own transport loads no `node:net`.
 */
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConnectionError } from "../../RedisError.js"
import * as Timers from "../engine/timers.js"
import type { Transport, TransportListener } from "../engine/transport.js"
import { fromDuplex } from "./nodeDuplex.js"
import type { Connect } from "./opening.js"
import { type Endpoint, type ResolvedOptions, showEndpoint } from "./options.js"
import { codeOf, explain, refusesTls, socketCodes } from "./tlsErrors.js"

/**
 * The size of a read that may be one of many, in bytes. libuv goes on reading, up to 32 times, while each read fills its
 * buffer, and a server that is faster than the program always fills it (TLS delivers a record at a time). With a thousand
 * fibers, which send their next commands before the last reply of a read is handled, no timer ran for 60 ms; with four
 * thousand, for 200 ms.
 */
const longRead = 1024

/** How long such reads may follow each other before the event loop gets its turn, in milliseconds. */
const longestTurn = 4

/**
 * Reads of a socket: always into the same memory, from which the parser copies, or straight into a long value that is being
 * read. By default Node allocates 64 KB for each read, and the garbage collector runs for little else.
 */
class Reader {
  private listener: Pick<TransportListener, "onData" | "room"> | undefined
  private early: Array<Uint8Array> | undefined
  private readonly memory: Uint8Array = Buffer.allocUnsafeSlow(64 * 1024)
  /** When the first of a row of long reads began; 0 when the last read was short. */
  private turn = 0
  /** Goes on reading. */
  private again: (() => void) | undefined

  // The type is spelled out, because older compilers do not know a Buffer with type parameters.
  readonly onread: {
    readonly buffer: () => Uint8Array
    readonly callback: (length: number, buffer: Uint8Array) => boolean
  } = {
    // Asked before the first read, and after each.
    buffer: () => this.listener?.room() ?? this.memory,
    callback: (length: number, buffer: Uint8Array): boolean => {
      const bytes = buffer.subarray(0, length)
      if (length < longRead) {
        this.turn = 0
      } else if (this.turn === 0) {
        this.turn = Timers.now()
      }
      if (this.listener !== undefined) {
        this.listener.onData(bytes)
      } else {
        // A server may speak first, to report that it has too many clients.
        this.early ??= []
        this.early.push(new Uint8Array(bytes))
      }
      if (this.turn === 0 || this.again === undefined || Timers.now() - this.turn < longestTurn) {
        return true
      }
      this.turn = 0
      Timers.afterPoll(this.again)
      // Node stops reading.
      return false
    }
  }

  listen(listener: Pick<TransportListener, "onData" | "room">, again: () => void): void {
    this.listener = listener
    this.again = again
    const { early } = this
    if (early !== undefined) {
      this.early = undefined
      // Later, like any other read: the listener is still being constructed.
      Timers.queueMicrotask(() => {
        for (const bytes of early) {
          listener.onData(bytes)
        }
      })
    }
  }
}

/** Connects, with TLS when the options ask for it. `own` is told how to end the socket. */
export const connect: Connect = (endpoint, options, own) =>
  Effect.async<Transport, ConnectionError>((resume) => {
    let socket: Net.Socket
    const reader = new Reader()
    try {
      socket = openSocket(endpoint, options, reader)
    } catch (error) {
      // A certificate or a key could not be read.
      return resume(
        Effect.fail(connectError(error instanceof Error ? error : new Error(String(error)), endpoint, options))
      )
    }
    const end = (): void => {
      socket.on("error", () => {})
      socket.destroy()
    }
    own(end, "no connection was made")
    if (options.tls !== undefined) {
      socket.once("connect", () => own(end, "the peer does not answer the TLS handshake; does this port speak TLS?"))
    }
    const event = options.tls === undefined ? "connect" : "secureConnect"
    const done = (): void => {
      socket.off("error", failed)
      socket.off("close", closed)
    }
    const failed = (error: Error): void => {
      done()
      socket.destroy()
      resume(Effect.fail(connectError(error, endpoint, options)))
    }
    const closed = (): void =>
      failed(Object.assign(new Error("the peer closed the connection while it was being made"), { code: "ECONNRESET" }))
    socket.once("error", failed)
    socket.once("close", closed)
    socket.once(event, () => {
      done()
      socket.setNoDelay(options.noDelay)
      if (options.keepAliveMillis !== undefined) {
        socket.setKeepAlive(true, options.keepAliveMillis)
      }
      resume(Effect.succeed(fromDuplex(socket, reader)))
    })
    return Effect.sync(() => {
      done()
      // A destroyed socket may still report an error, and an error without a listener ends the process.
      socket.on("error", () => {})
      socket.destroy()
    })
  })

const openSocket = (endpoint: Endpoint, options: ResolvedOptions, { onread }: Reader): Net.Socket => {
  const { family, tls } = options
  const target =
    endpoint._tag === "Unix"
      ? { path: endpoint.path, onread }
      : { host: endpoint.host, port: endpoint.port, onread, ...(family === undefined ? {} : { family }) }
  if (tls === undefined) {
    return Net.connect(target)
  }
  const name = nameOf(endpoint, options)
  return Tls.connect({
    ...target,
    // Always set, so that an environment variable cannot switch verification off.
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    // An address is verified, but must not be sent as a server name (RFC 6066).
    ...(name === undefined
      ? {}
      : Net.isIP(name) === 0
        ? { servername: name }
        : { checkServerIdentity: (_, certificate) => Tls.checkServerIdentity(name, certificate) }),
    ...(tls.ca === undefined ? {} : { ca: [...tls.ca] }),
    ...(tls.cert === undefined ? {} : { cert: tls.cert }),
    ...(tls.key === undefined ? {} : { key: Redacted.value(tls.key) }),
    ...(tls.passphrase === undefined ? {} : { passphrase: Redacted.value(tls.passphrase) }),
    ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion })
  })
}

/** The name that the server's certificate must be for. For a unix socket Node takes `localhost`. */
const nameOf = (endpoint: Endpoint, { tls }: ResolvedOptions): string | undefined =>
  tls?.serverName ?? (endpoint._tag === "Unix" ? undefined : endpoint.host)

const connectError = (error: Error, endpoint: Endpoint, options: ResolvedOptions): ConnectionError => {
  const code = codeOf(error)
  const tls = options.tls !== undefined && !socketCodes.has(code)
  return new ConnectionError({
    reason: tls && refusesTls(error) ? "tls" : "connect",
    delivery: "unsent",
    message: `${tls ? "no TLS connection" : "no connection"} to ${showEndpoint(endpoint)}: ${
      code === "ERR_TLS_CERT_ALTNAME_INVALID" ? wrongName(endpoint, options) : explain(error)
    }`,
    cause: error
  })
}

/** Node's own message would list all names of the certificate. */
const wrongName = (endpoint: Endpoint, options: ResolvedOptions): string =>
  `the certificate is for another name than ${nameOf(endpoint, options) ?? "localhost"}; tls.serverName says which to expect`
