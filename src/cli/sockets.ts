/**
 * The layers below the protocol, one step each: a name, a TCP connection, a TLS handshake, the first bytes that a peer says.
 * Every step ends within its bound, and closes what it opened.
 */
import * as Dns from "node:dns"
import * as Net from "node:net"
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type { TlsOptions } from "../Connection.js"
import { codeOf } from "../internal/connection/tlsErrors.js"

/** Where a socket connects to: an address and a port, or the path of a unix socket. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string }

/** Why a step did not succeed: a code of the system or of OpenSSL, `ETIMEDOUT` when the bound passed. */
export interface Trouble {
  readonly code: string
  readonly error: Error
}

const troubleOf = (error: Error): Trouble => ({ code: codeOf(error), error })

const late: Trouble = { code: "ETIMEDOUT", error: new Error("no answer in time") }

/** A step of callbacks, which ends within the bound. `start` returns how to end it. */
const step = <A>(
  bound: number,
  start: (succeed: (value: A) => void, fail: (trouble: Trouble) => void) => () => void
): Effect.Effect<A, Trouble> =>
  Effect.async<A, Trouble>((resume) => {
    let stop = (): void => {}
    const end = (result: Effect.Effect<A, Trouble>): void => {
      clearTimeout(timer)
      stop()
      resume(result)
    }
    const timer = setTimeout(() => end(Effect.fail(late)), bound)
    stop = start(
      (value) => end(Effect.succeed(value)),
      (trouble) => end(Effect.fail(trouble))
    )
    return Effect.sync(() => {
      clearTimeout(timer)
      stop()
    })
  })

/** The addresses of a name. */
export const lookup = (
  host: string,
  family: 4 | 6 | undefined,
  bound: number
): Effect.Effect<ReadonlyArray<string>, Trouble> =>
  step(bound, (succeed, fail) => {
    Dns.lookup(host, { all: true, family: family ?? 0 }, (error, found) =>
      error === null ? succeed(found.map(({ address }) => address)) : fail(troubleOf(error))
    )
    // A lookup cannot be called off. Its answer comes too late for anybody.
    return () => {}
  })

/** A destroyed socket may still report an error, and an error without a listener ends the process. */
const discard = (socket: Net.Socket): void => {
  socket.removeAllListeners()
  socket.on("error", () => {})
  socket.destroy()
}

/** Connects by TCP, and returns how many milliseconds it took. */
export const reach = (place: Place, bound: number): Effect.Effect<number, Trouble> =>
  step(bound, (succeed, fail) => {
    const began = performance.now()
    const socket = Net.connect(place)
    socket.once("connect", () => succeed(performance.now() - began))
    socket.once("error", (error) => fail(troubleOf(error)))
    return () => discard(socket)
  })

/** Which kind of peer answers PING in plain text, by the first bytes that it says. */
export type Speaks = "redis" | "http" | "ssh" | "tls" | "something else" | "nothing"

const kindOf = (said: Buffer): Speaks => {
  const text = said.toString("latin1")
  if (/^(?:\+PONG|-(?:NOAUTH|NOPERM|DENIED|LOADING|MASTERDOWN|ERR|MISCONF|BUSY)\b)/.test(text)) {
    return "redis"
  }
  // The record of a TLS alert: type 21, version 3.
  return /^HTTP\//.test(text)
    ? "http"
    : /^SSH-/.test(text)
      ? "ssh"
      : said[0] === 21 && said[1] === 3
        ? "tls"
        : text === ""
          ? "nothing"
          : "something else"
}

/** Sends PING in plain text, without credentials, and looks at the first bytes of the answer. */
export const ask = (place: Place, bound: number): Effect.Effect<Speaks> =>
  Effect.orElseSucceed(
    step<Speaks>(bound, (succeed) => {
      const socket = Net.connect(place)
      socket.once("connect", () => socket.write("PING\r\n"))
      socket.once("data", (said) => succeed(kindOf(said)))
      socket.once("error", () => succeed("nothing"))
      socket.once("close", () => succeed("nothing"))
      return () => discard(socket)
    }),
    (): Speaks => "nothing"
  )

/** What a TLS handshake showed of the server. */
export interface Shown {
  readonly protocol: string
  readonly cipher: string
  readonly certificate: Tls.PeerCertificate
  /** Why the certificate is not trusted, as a code of OpenSSL; undefined when it is. */
  readonly untrusted: string | undefined
  readonly milliseconds: number
}

/**
 * A TLS handshake that accepts any certificate, so that all that is wrong with it can be said. Nothing is sent over it.
 * `name` is asked for (SNI) unless it is an address.
 */
export const handshake = (
  place: Place,
  name: string | undefined,
  tls: TlsOptions,
  bound: number
): Effect.Effect<Shown, Trouble> =>
  step(bound, (succeed, fail) => {
    const began = performance.now()
    const opened = Either.try(() =>
      Tls.connect({
        ...place,
        rejectUnauthorized: false,
        // Looked at later, beside everything else that may be wrong.
        checkServerIdentity: () => undefined,
        ...(name === undefined || Net.isIP(name) !== 0 ? {} : { servername: name }),
        ...(tls.ca === undefined ? {} : { ca: [...tls.ca] }),
        ...(tls.cert === undefined ? {} : { cert: tls.cert }),
        ...(tls.key === undefined ? {} : { key: Redacted.value(tls.key) })
      })
    )
    if (Either.isLeft(opened)) {
      // The certificate and its key do not fit, or cannot be read.
      fail(troubleOf(opened.left instanceof Error ? opened.left : new Error("the TLS options cannot be used")))
      return () => {}
    }
    const socket = opened.right
    socket.once("secureConnect", () => {
      const { authorizationError } = socket as { readonly authorizationError?: unknown }
      succeed({
        protocol: socket.getProtocol() ?? "TLS",
        cipher: socket.getCipher().name,
        certificate: socket.getPeerCertificate(),
        untrusted: socket.authorized
          ? undefined
          : authorizationError instanceof Error
            ? codeOf(authorizationError)
            : String(authorizationError ?? "unknown"),
        milliseconds: performance.now() - began
      })
    })
    socket.once("error", (error) => fail(troubleOf(error)))
    socket.once("close", () =>
      fail({ code: "ECONNRESET", error: new Error("the peer closed the connection during the TLS handshake") })
    )
    return () => discard(socket)
  })

/** Whether a peer speaks TLS, whatever its certificate and whatever it wants of a client. */
export const speaksTls = (place: Place, name: string | undefined, bound: number): Effect.Effect<boolean> =>
  Effect.match(handshake(place, name, {}, bound), {
    onSuccess: () => true,
    onFailure: ({ error }) => /SSL alert number/.test(error.message)
  })
