/** The library's own connection to the server: protocol and authentication, as a program would meet them. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Connection from "../../Connection.js"
import { visible } from "../../internal/resp/visible.js"
import type { RedisError } from "../../RedisError.js"
import { type Finding, failure, ms, ok, warning } from "../report.js"
import type { Settings } from "../settings.js"
import { ask, type Place, speaksTls } from "../sockets.js"
import type { Found } from "./network.js"
import { forProbe, nameOf, notRedis } from "./tls.js"

export const checkHandshake: (
  settings: Settings,
  place: Place
) => Effect.Effect<Found<Connection.Connection>, never, Scope.Scope> = Effect.fnUntraced(function* (
  settings: Settings,
  place: Place
) {
  const began = performance.now()
  const made = yield* Effect.either(Connection.make(settings.options))
  if (Either.isLeft(made)) {
    return { findings: [yield* refusal(settings, place, made.left)], value: undefined }
  }
  const connection = made.right
  const took = performance.now() - began
  const protocol = yield* connection.protocol
  const who =
    settings.resolved.password === undefined ? "without a password" : `as user ${settings.target.user ?? "default"}`
  const data = { protocol, user: settings.target.user ?? "default", milliseconds: took }
  return {
    findings: [
      ok("handshake", "handshake-done", `logged in ${who} over RESP${protocol} (${ms(took)})`, data),
      ...(protocol === 2 && settings.resolved.protocol === 3
        ? [
            warning("handshake", "protocol-fallback", "the server refused HELLO 3, so RESP2 is spoken", {
              advice:
                "Invalidations of a client-side cache need RESP3. Upgrade the server or the proxy before it; or say protocol: 2, which saves a round trip.",
              data: { protocol }
            })
          ]
        : [])
    ],
    value: connection
  }
})

const fail = (code: string, error: RedisError, advice: string): Finding =>
  failure("handshake", code, visible(error.message), { advice, data: { error: error._tag } })

/** The code of the server's own error, where it answered with one. */
const codeOf = (error: RedisError): string => {
  const cause = error._tag === "ConnectionError" ? error.cause : undefined
  return typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
}

const refusal = (settings: Settings, place: Place, error: RedisError): Effect.Effect<Finding> => {
  if (error._tag === "ConnectionError" && error.reason === "authentication") {
    return Effect.succeed(
      settings.resolved.password === undefined
        ? fail("auth-required", error, "Give the password by REDIS_PASSWORD, REDIS_URL or --password-stdin.")
        : fail(
            "auth-wrong",
            error,
            `Look for a mistake in the password${settings.target.user === null ? "" : " and the user"}; ask the server with ACL GETUSER whether the user is on.`
          )
    )
  }
  if (error._tag === "ConnectionError" && error.reason === "handshake") {
    return Effect.succeed(refused(error))
  }
  if (error._tag === "ConnectionError" && error.reason === "tls") {
    return Effect.succeed(
      fail(
        "tls-refused",
        error,
        "Compare --cert, --key and --ca with the server's tls-auth-clients and tls-ca-cert-file."
      )
    )
  }
  if (error._tag === "DecodeError") {
    return Effect.succeed(refused(error))
  }
  return settings.resolved.tls === undefined
    ? otherPeer(settings, place, error)
    : Effect.succeed(silentOrClosed(settings, error))
}

/** The server answered the handshake with an error. */
const refused = (error: RedisError): Finding => {
  switch (codeOf(error)) {
    case "LOADING":
      return fail("loading", error, "The server reads its data set from disk: wait, and try again.")
    case "MASTERDOWN":
      return fail("master-down", error, "The replica lost its primary and serves no stale data: look at the primary.")
    case "BUSY":
      return fail("busy", error, "A script runs for too long: wait, or end it with SCRIPT KILL.")
    case "DENIED":
      return fail(
        "protected-mode",
        error,
        "The server accepts only local clients, because its default user has no password: set one, or change bind and protected-mode."
      )
    case "NOPERM":
      return fail("handshake-denied", error, "Give the user the permission for the command (ACL SETUSER).")
    default:
      return /max number of clients/.test(error.message)
        ? fail("max-clients", error, "Raise maxclients, or find out who has so many connections (CLIENT LIST).")
        : /SELECT/.test(error.message)
          ? fail(
              "no-such-database",
              error,
              "Use a database that the server has (databases); a cluster has database 0 alone."
            )
          : fail(
              "handshake-refused",
              error,
              "The server does not accept the client's handshake: is there a proxy between?"
            )
  }
}

/** No Redis answered in plain text. The port may speak TLS, or the peer may be a server of another kind. */
const otherPeer: (settings: Settings, place: Place, error: RedisError) => Effect.Effect<Finding> = Effect.fnUntraced(
  function* (settings: Settings, place: Place, error: RedisError) {
    if (yield* speaksTls(place, nameOf(settings), forProbe(settings))) {
      return failure("handshake", "tls-needed", "this port speaks TLS, and was asked in plain text", {
        advice: "Use rediss:// in place of redis://, or --tls.",
        data: { error: error._tag }
      })
    }
    const speaks = yield* ask(place, forProbe(settings))
    return speaks === "http" || speaks === "ssh"
      ? notRedis(speaks)
      : error._tag === "ProtocolError" || (error._tag === "ConnectionError" && error.reason === "protocol")
        ? notRedis("something else")
        : silentOrClosed(settings, error)
  }
)

const silentOrClosed = ({ timeout }: Settings, error: RedisError): Finding =>
  error._tag === "DeadlineError"
    ? failure(
        "handshake",
        "silent",
        `the server accepts connections and did not answer the handshake within ${timeout} ms`,
        {
          advice: "The server hangs (a slow command, a stopped process, swapping), or a proxy has no server behind it.",
          data: { error: error._tag }
        }
      )
    : fail(
        "closed",
        error,
        "Look into the server's log for the reason; a proxy that has no server to pass to closes too."
      )
