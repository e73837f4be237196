/** The TLS handshake and the certificate: expiry, name, trust, and whether the port speaks TLS at all. */
import * as Tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { TlsOptions } from "../../Connection.js"
import { explain } from "../../internal/connection/tlsErrors.js"
import { visible } from "../../internal/resp/visible.js"
import { type Finding, failure, ms, ok, warning } from "../report.js"
import type { Settings } from "../settings.js"
import { ask, handshake, type Place, type Shown, type Trouble } from "../sockets.js"

/** The name that the certificate must be for. */
export const nameOf = ({ resolved: { endpoint, tls } }: Settings): string =>
  tls?.serverName ?? (endpoint._tag === "Unix" ? "localhost" : endpoint.host)

/** How long a peer has to answer what is only asked to explain a failure, in milliseconds. */
export const forProbe = ({ timeout }: Settings): number => Math.min(timeout, 2_000)

const day = 24 * 60 * 60 * 1000

/** A certificate that expires in less than this is worth a warning. */
const soon = 14 * day

export const checkTls = (settings: Settings, tls: TlsOptions, place: Place): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.flatMap(Effect.either(handshake(place, nameOf(settings), tls, settings.timeout)), (result) =>
    Either.isRight(result)
      ? Effect.succeed(judge(settings, result.right, Date.now()))
      : Effect.map(notSpoken(settings, place, result.left), (finding) => [finding])
  )

const judge = (settings: Settings, { certificate, cipher, milliseconds, protocol, untrusted }: Shown, now: number) => {
  const from = Date.parse(certificate.valid_from)
  const to = Date.parse(certificate.valid_to)
  const name = nameOf(settings)
  const names = (certificate.subjectaltname ?? "").split(", ").filter((name) => name !== "")
  const data = {
    protocol,
    cipher,
    subject: visible(String(certificate.subject?.CN ?? "")),
    issuer: visible(String(certificate.issuer?.CN ?? "")),
    names: names.map(visible),
    validFrom: iso(from),
    validTo: iso(to),
    untrusted: untrusted ?? null
  }
  const findings: Array<Finding> = []
  const bad = (code: string, message: string, advice: string) =>
    findings.push(failure("tls", code, message, { advice, data }))
  const wrong = Tls.checkServerIdentity(name, certificate)
  if (now > to) {
    bad("tls-expired", `the certificate expired on ${iso(to)}`, "Renew it; if it is new, look at this machine's clock.")
  } else if (now < from) {
    bad(
      "tls-not-yet-valid",
      `the certificate is valid only from ${iso(from)}`,
      "Look at this machine's clock, and at who issued the certificate."
    )
  }
  if (wrong !== undefined) {
    bad(
      "tls-wrong-name",
      `the certificate is not for ${visible(name)}${names.length === 0 ? "" : `, but for ${visible(names.join(", "))}`}`,
      "Connect by a name that the certificate has, or say with --server-name (tls.serverName) which one to expect."
    )
  }
  switch (untrusted) {
    case undefined:
      break
    case "CERT_HAS_EXPIRED":
      if (now <= to) {
        bad("tls-expired", "the certificate of an authority has expired", "Renew the authority's certificate.")
      }
      break
    case "CERT_NOT_YET_VALID":
      if (now >= from) {
        bad("tls-not-yet-valid", "the certificate of an authority is not valid yet", "Look at this machine's clock.")
      }
      break
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      bad("tls-self-signed", "the certificate is self-signed", "To trust it, give it as --ca (tls.ca).")
      break
    case "INVALID_PURPOSE":
      bad("tls-purpose", "the certificate is not one for servers", "Issue one with the usage serverAuth.")
      break
    default:
      bad(
        "tls-unknown-issuer",
        `the certificate's authority (${data.issuer === "" ? "without a name" : data.issuer}) is not trusted (${visible(untrusted)})`,
        "Give the authority as --ca (tls.ca), or have the server send the certificates between."
      )
  }
  if (findings.length > 0) {
    return findings
  }
  const days = Math.floor((to - now) / day)
  const message = `${protocol}, certificate of ${data.issuer === "" ? "an authority without a name" : data.issuer}, valid until ${iso(to)} (${ms(milliseconds)})`
  return [
    ok("tls", "tls-trusted", message, data),
    ...(to - now < soon
      ? [
          warning("tls", "tls-expires-soon", `the certificate expires in ${days} days`, {
            advice: "Renew it before: afterwards no client connects.",
            data: { days, validTo: iso(to) }
          })
        ]
      : [])
  ]
}

const iso = (time: number): string =>
  Number.isFinite(time) ? new Date(time).toISOString().slice(0, 10) : "an unknown day"

/** There was no TLS handshake. A PING in plain text, without credentials, says whether the port is the plain one. */
const notSpoken = (settings: Settings, place: Place, { code, error }: Trouble): Effect.Effect<Finding> =>
  Effect.map(ask(place, forProbe(settings)), (speaks) => {
    const data = { error: code, speaks }
    switch (speaks) {
      case "redis":
        return failure("tls", "tls-plain-port", "this port speaks Redis without TLS", {
          advice: "Use redis:// in place of rediss://, or the server's tls-port.",
          data
        })
      case "http":
      case "ssh":
        return notRedis(speaks)
      default:
        return code === "ETIMEDOUT"
          ? failure("tls", "tls-silent", `the peer did not answer the TLS handshake within ${settings.timeout} ms`, {
              advice: "Perhaps the port does not speak TLS, or the server hangs.",
              data
            })
          : failure(
              "tls",
              "tls-failed",
              `no TLS handshake: ${code === "ECONNRESET" ? "the peer closed the connection" : visible(explain(error))}`,
              {
                advice: "Compare the TLS options with the server's tls-protocols, tls-auth-clients and certificates.",
                data
              }
            )
    }
  })

/** A server of another kind answered. */
export const notRedis = (speaks: "http" | "ssh" | "something else"): Finding =>
  failure(
    "handshake",
    "not-redis",
    speaks === "something else"
      ? "the peer does not speak the Redis protocol"
      : `the peer is a server of ${speaks === "http" ? "HTTP" : "SSH"}, and not of Redis`,
    { advice: "Look for a mistake in the host or the port.", data: { speaks } }
  )
