/**
 * The Node transport: the one file of the library that imports `node:`. It makes sockets (TCP, unix, TLS) and gives any
 * Duplex the shape that the engine writes to.
 */

import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { ConnectionError } from "../../RedisError.js"
import type { Transport, TransportListener } from "../engine/engine.js"
import type { Own } from "./handshake.js"
import type { Endpoint, ResolvedOptions } from "./options.js"

export type { Duplex }

/**
 * A read as long as this may be one of many (TLS gives a record at a time): libuv goes on for up to 32 while the socket
 * has as much as is asked for, and a server that is faster than this program always does. With a thousand fibers, whose next commands leave before the last
 * reply of a read is looked at, no timer was looked at for 60 ms, with four thousand for 200 ms.
 */
const longRead = 1024

/** How long such reads may follow each other before whatever else waits has its turn, in milliseconds. */
const longestTurn = 4

/** How much may wait inside the Duplex before commands wait outside of it, where they can still be taken back. */
const fullAt = 1024 * 1024

/**
 * What a socket of ours reads: always into the same memory, which the parser copies from, or straight into the value that
 * is being read, when it is long. Left alone Node allocates 64 KB for each read, and the garbage collector runs for
 * little else.
 */
class Reader {
  private listener: Pick<TransportListener, "onData" | "room"> | undefined
  private early: Array<Uint8Array> | undefined
  private readonly memory: Uint8Array = Buffer.allocUnsafeSlow(64 * 1024)
  /** When the first of the long reads that follow each other was begun; 0 when the last one was short. */
  private turn = 0
  /** Goes on reading. */
  private again: (() => void) | undefined

  // Spelled out: what older compilers read of it must not name a Buffer with parameters.
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
        this.turn = performance.now()
      }
      if (this.listener !== undefined) {
        this.listener.onData(bytes)
      } else {
        // A server may speak first, to say that it has too many clients.
        this.early ??= []
        this.early.push(new Uint8Array(bytes))
      }
      if (this.turn === 0 || this.again === undefined || performance.now() - this.turn < longestTurn) {
        return true
      }
      this.turn = 0
      setImmediate(this.again)
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
      // Like any other read: not while whoever listens is still being made.
      queueMicrotask(() => {
        for (const bytes of early) {
          listener.onData(bytes)
        }
      })
    }
  }
}

/** Gives a Duplex the engine's shape. Nothing is read before the engine listens. */
export const fromDuplex = (duplex: Duplex, reader?: Reader): Transport => {
  let failure: Error | undefined
  let ended = false
  let paused = false
  // A socket without an error listener brings the process down.
  duplex.on("error", (error) => {
    failure ??= error
  })
  return {
    write: (data) => {
      if (typeof data === "string") {
        duplex.write(data, "utf8")
      } else {
        duplex.write(data)
      }
    },
    cork: () => duplex.cork(),
    uncork: () => duplex.uncork(),
    isFull: () => duplex.writableNeedDrain && duplex.writableLength >= fullAt,
    pause: () => {
      paused = true
      duplex.pause()
    },
    resume: () => {
      paused = false
      duplex.resume()
    },
    end: () => {
      duplex.end()
    },
    destroy: () => {
      duplex.destroy()
    },
    listen: (listener: TransportListener) => {
      let closed = false
      const close = (): void => {
        if (!closed) {
          closed = true
          duplex.off("data", listener.onData)
          listener.onClose(
            failure !== undefined && !ended
              ? {
                  // A server that wants a client's certificate says so only when the TLS handshake is over.
                  reason: ofOpenSsl(failure) && refusesTls(failure) ? "tls" : "transport",
                  message: `the connection failed: ${explain(failure)}`,
                  cause: failure
                }
              : { reason: "peerClosed", message: "the server closed the connection" }
          )
        }
      }
      if (reader === undefined) {
        duplex.on("data", listener.onData)
      }
      duplex.on("drain", listener.onDrain)
      duplex.on("end", () => {
        ended = failure === undefined
        close()
      })
      duplex.on("close", close)
      reader?.listen(listener, () => {
        if (!paused) {
          duplex.resume()
        }
      })
      if (duplex.destroyed || duplex.readableEnded) {
        close()
      }
    }
  }
}

/** Connects, with TLS when asked for. `own` is told how to end the socket. */
export const connect = (options: ResolvedOptions, own: Own): Effect.Effect<Transport, ConnectionError> =>
  Effect.async<Transport, ConnectionError>((resume) => {
    let socket: Net.Socket
    const reader = new Reader()
    try {
      socket = open(options, reader)
    } catch (error) {
      // Certificates and keys that cannot be read.
      return resume(Effect.fail(connectError(error instanceof Error ? error : new Error(String(error)), options)))
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
      resume(Effect.fail(connectError(error, options)))
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
      // A socket that is destroyed may still report an error, and nobody else listens.
      socket.on("error", () => {})
      socket.destroy()
    })
  })

const open = (options: ResolvedOptions, { onread }: Reader): Net.Socket => {
  const { endpoint, family, tls } = options
  const target =
    endpoint._tag === "Unix"
      ? { path: endpoint.path, onread }
      : { host: endpoint.host, port: endpoint.port, onread, ...(family === undefined ? {} : { family }) }
  if (tls === undefined) {
    return Net.connect(target)
  }
  const name = nameOf(options)
  return Tls.connect({
    ...target,
    // Said in any case: an environment variable must not switch it off.
    rejectUnauthorized: tls.rejectUnauthorized ?? true,
    // An address is verified, but cannot be asked for (RFC 6066).
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

/** What the server's certificate has to be for. A unix socket has no name of its own: Node then takes `localhost`. */
const nameOf = ({ endpoint, tls }: ResolvedOptions): string | undefined =>
  tls?.serverName ?? (endpoint._tag === "Unix" ? undefined : endpoint.host)

/** Where it goes, for messages. */
export const showEndpoint = (endpoint: Endpoint): string =>
  endpoint._tag === "Unix" ? endpoint.path : `${endpoint.host}:${endpoint.port}`

const connectError = (error: Error, options: ResolvedOptions): ConnectionError => {
  const code = codeOf(error)
  const tls = options.tls !== undefined && !socketCodes.has(code)
  return new ConnectionError({
    reason: tls && refusesTls(error) ? "tls" : "connect",
    delivery: "unsent",
    message: `${tls ? "no TLS connection" : "no connection"} to ${showEndpoint(options.endpoint)}: ${
      code === "ERR_TLS_CERT_ALTNAME_INVALID" ? wrongName(options) : explain(error)
    }`,
    cause: error
  })
}

/** OpenSSL's own failures. When a write meets one, Node says EPROTO. */
const ofOpenSsl = (error: Error): boolean => /^(?:ERR_SSL_|EPROTO$)/.test(codeOf(error))

/**
 * Whether a failure says that the two will not come together by TLS: what this side makes of the certificate, of its own
 * key and of the versions, and the server's alerts about them. Everything else of OpenSSL's is what bytes look like that
 * were changed or cut on their way, and the next handshake may be whole.
 */
const refusesTls = (error: Error): boolean => {
  if (!ofOpenSsl(error)) {
    // Verification (CERT_HAS_EXPIRED …), names (ERR_TLS_CERT_ALTNAME_INVALID), keys (ERR_OSSL_…).
    return true
  }
  const alert = /SSL alert number (\d+)/.exec(error.message)?.[1]
  return alert === undefined ? refusals.test(error.message) : refusingAlerts.has(Number(alert))
}

/** What this side's OpenSSL says of a peer that speaks no TLS, or none that is taken here. */
const refusals =
  /wrong version number|packet length too long|http request|unsupported protocol|version too low|no protocols available|no ciphers available|key too small|md too weak|certificate verify failed|legacy renegotiation disabled/

/** Alerts (RFC 8446, 6.2) about certificates, names, versions and ciphers, the client's or the server's. */
const refusingAlerts = new Set([40, 41, 42, 43, 44, 45, 46, 48, 49, 60, 70, 71, 86, 112, 113, 115, 116, 120])

/** Node's own text lists all names of the certificate. */
const wrongName = (options: ResolvedOptions): string =>
  `the certificate is for another name than ${nameOf(options) ?? "localhost"}; tls.serverName says which to expect`

/** Failures below TLS: a handshake that was cut says nothing against the next one. */
const socketCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "ENOENT",
  "EACCES",
  "EADDRNOTAVAIL"
])

const codeOf = (error: Error): string => {
  const code = (error as { readonly code?: unknown }).code
  return typeof code === "string" ? code : ""
}

/** Node's codes, in words where they need them. */
const explain = (error: Error): string => {
  switch (codeOf(error)) {
    case "CERT_HAS_EXPIRED":
      return "the certificate has expired"
    case "CERT_NOT_YET_VALID":
      return "the certificate is not valid yet"
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "the certificate is self-signed: to trust it, give it as tls.ca"
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "the certificate's authority is not known: give it as tls.ca"
    case "INVALID_PURPOSE":
      return "the certificate is not one for servers"
    case "ERR_OSSL_X509_KEY_VALUES_MISMATCH":
      return "tls.key is not the key of tls.cert"
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
      return "the peer does not speak TLS; use a redis:// URL, or the port that does"
    case "ERR_SSL_UNSUPPORTED_PROTOCOL":
      return noCommonVersion
    case "":
      return error.message
    default: {
      // Some of Node's aggregate errors have a code and no message.
      const text = error.message === "" ? codeOf(error) : error.message
      if (/wrong version number|packet length too long/.test(text)) {
        return "the peer does not speak TLS; use a redis:// URL, or the port that does"
      }
      if (/^ERR_OSSL_/.test(codeOf(error))) {
        return `tls.ca, tls.cert, tls.key or tls.passphrase cannot be used: ${text}`
      }
      // Newer versions say "ssl/tls alert" for what older ones called "sslv3 alert".
      const alert = /:(?:(?:ssl|tls)v[\d.]+|ssl\/tls) alert ([a-z ]+):/.exec(text)?.[1]
      const known = alert === undefined ? undefined : alerts.get(alert)
      if (known !== undefined) {
        return known
      }
      if (ofOpenSsl(error) && !refusesTls(error)) {
        return `TLS was broken on its way: ${alert ?? /routines:[^:]*:([^:]+):/.exec(text)?.[1] ?? text}`
      }
      return alert === undefined ? text : `the server ended TLS: ${alert}`
    }
  }
}

const noCommonVersion = "the server speaks no version of TLS that is taken here (tls.minVersion)"

/** What a server says of a client's certificate, or of the versions it was offered. */
const alerts = new Map([
  ["protocol version", noCommonVersion],
  ["certificate unknown", "the server does not take the client's certificate (tls.cert)"],
  ["unsupported certificate", "the server does not take the client's certificate (tls.cert)"],
  ["certificate required", "the server asks for a client's certificate: give tls.cert and tls.key"],
  ["handshake failure", "the server refused the TLS handshake; does it ask for a client's certificate (tls.cert)?"],
  ["unknown ca", "the server does not know the authority of the client's certificate (tls.cert)"],
  ["bad certificate", "the server does not take the client's certificate (tls.cert)"],
  ["certificate expired", "the client's certificate (tls.cert) has expired"]
])
