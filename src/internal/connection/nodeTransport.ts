/**
 * The Node transport: sockets over TCP, unix paths and TLS. It is loaded at the first attempt to connect
 * (lazyNodeTransport.ts), so that a program that brings its own transport loads no `node:net`.
 */
import * as Dns from "node:dns"
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
    let socket: Net.Socket | undefined
    let ended = false
    const fail = (error: Error): void => resume(Effect.fail(connectError(error, endpoint, options)))
    const end = (): void => {
      ended = true
      if (socket === undefined) {
        return fail(new Error("the attempt was given up while the host's addresses were looked up"))
      }
      // A destroyed socket may still report an error, and an error without a listener ends the process.
      socket.on("error", () => {})
      socket.destroy()
    }
    own(end, "no connection was made")
    let done = (): void => {}
    const open = (found: Found | undefined): void => {
      if (ended) {
        return
      }
      const reader = new Reader()
      let opened: Net.Socket
      try {
        opened = openSocket(endpoint, options, reader, found)
      } catch (error) {
        // A certificate or a key could not be read.
        return fail(error instanceof Error ? error : new Error(String(error)))
      }
      socket = opened
      if (options.tls !== undefined) {
        opened.once("connect", () => own(end, "the peer does not answer the TLS handshake; does this port speak TLS?"))
      }
      const event = options.tls === undefined ? "connect" : "secureConnect"
      done = (): void => {
        opened.off("error", failed)
        opened.off("close", closed)
      }
      const failed = (error: Error): void => {
        done()
        opened.destroy()
        fail(error)
      }
      const closed = (): void =>
        failed(
          Object.assign(new Error("the peer closed the connection while it was being made"), { code: "ECONNRESET" })
        )
      opened.once("error", failed)
      opened.once("close", closed)
      opened.once(event, () => {
        done()
        opened.setNoDelay(options.noDelay)
        if (options.keepAliveMillis !== undefined) {
          opened.setKeepAlive(true, options.keepAliveMillis)
        }
        resume(Effect.succeed(fromDuplex(opened, reader)))
      })
    }
    // Of one family Node tries only the first address, without a limit of its own.
    if (endpoint._tag === "Unix" || options.family !== undefined || Net.isIP(endpoint.host) !== 0) {
      open(undefined)
    } else {
      Dns.lookup(endpoint.host, { all: true }, (error, addresses) => open({ error, addresses }))
    }
    return Effect.sync(() => {
      done()
      ended = true
      socket?.on("error", () => {})
      socket?.destroy()
    })
  })

/** What the name of a host was resolved to. */
interface Found {
  readonly error: NodeJS.ErrnoException | null
  readonly addresses: ReadonlyArray<Dns.LookupAddress>
}

/** The least that an address is given to connect, in milliseconds: the limit of Node, or of the program. */
const leastForAddress = (): number => Net.getDefaultAutoSelectFamilyAttemptTimeout?.() ?? 250

/** The most that an address is given. A TCP handshake that takes longer is not worth the wait for the next address. */
const mostForAddress = 10_000

/**
 * How long one of several addresses is tried before the next one, in milliseconds. Node's own limit of 250 ms fails for ever
 * where a TCP handshake takes longer. The addresses share half of the time, so that the last one, which has no limit but
 * `connectTimeout`, and the handshakes of TLS and Redis have the other half.
 */
export const timeForAddress = (connectTimeout: number, addresses: number): number =>
  Math.max(Math.min(Math.floor(connectTimeout / 2 / Math.max(addresses, 1)), mostForAddress), leastForAddress())

/** Has Node connect to the addresses that were found. */
const toAddresses = ({ addresses, error }: Found, { connectTimeout }: ResolvedOptions) => ({
  autoSelectFamilyAttemptTimeout: timeForAddress(connectTimeout, addresses?.length ?? 1),
  lookup: ((_host, asked, answer) => {
    const [first] = addresses ?? []
    // Later, because Node is not ready for an answer at once.
    Timers.queueMicrotask(() =>
      error !== null || first === undefined
        ? answer(error ?? new Error("the host has no address"), "", 0)
        : asked.all === true
          ? answer(null, [...addresses])
          : answer(null, first.address, first.family)
    )
  }) satisfies Net.LookupFunction
})

const openSocket = (
  endpoint: Endpoint,
  options: ResolvedOptions,
  { onread }: Reader,
  found: Found | undefined
): Net.Socket => {
  const { family, tls } = options
  const target =
    endpoint._tag === "Unix"
      ? { path: endpoint.path, onread }
      : {
          host: endpoint.host,
          port: endpoint.port,
          onread,
          ...(family === undefined ? {} : { family }),
          ...(found === undefined ? {} : toAddresses(found, options))
        }
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
  tls?.serverName ??
  (endpoint._tag === "Unix"
    ? undefined
    : Net.isIP(endpoint.host) === 0
      ? endpoint.host
      : (endpoint.hostname ?? endpoint.host))

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
