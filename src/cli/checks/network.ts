/** Name resolution and TCP: which addresses the host has, and which of them accept connections. */
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { visible } from "../../internal/resp/visible.js"
import { type Finding, failure, ms, ok, warning } from "../report.js"
import type { Settings } from "../settings.js"
import { lookup, type Place, reach, type Trouble } from "../sockets.js"

export interface Found<A> {
  readonly findings: ReadonlyArray<Finding>
  /** Undefined when the next step has nothing to work on. */
  readonly value: A | undefined
}

/** Looks up the addresses of the host. */
export const checkName = ({ resolved, timeout }: Settings): Effect.Effect<Found<ReadonlyArray<Place>>> => {
  const { endpoint, family } = resolved
  if (endpoint._tag === "Unix") {
    return Effect.succeed({ findings: [], value: [{ path: endpoint.path }] })
  }
  const { host, port } = endpoint
  if (Net.isIP(host) !== 0) {
    return Effect.succeed({ findings: [], value: [{ host, port }] })
  }
  const shown = visible(host)
  return Effect.match(lookup(host, family, timeout), {
    onSuccess: (addresses) => ({
      findings: [ok("name", "name-resolved", `${shown} is ${addresses.join(", ")}`, { addresses })],
      value: addresses.map((address) => ({ host: address, port }))
    }),
    onFailure: ({ code }): Found<ReadonlyArray<Place>> => ({
      findings: [
        code === "ENOTFOUND"
          ? failure("name", "name-not-found", `the name ${shown} has no address`, {
              advice:
                "Look for a mistake in the name, and whether this machine's DNS knows it (a VPN, a search domain).",
              data: { host: shown }
            })
          : failure("name", "name-lookup-failed", `the name ${shown} could not be looked up (${code})`, {
              advice: "Look at this machine's DNS servers; they did not answer.",
              data: { host: shown, error: code }
            })
      ],
      value: undefined
    })
  })
}

export const show = (place: Place): string =>
  "path" in place
    ? place.path
    : place.host.includes(":")
      ? `[${place.host}]:${place.port}`
      : `${place.host}:${place.port}`

/** Connects to each address at the same time. */
export const checkTcp: (settings: Settings, places: ReadonlyArray<Place>) => Effect.Effect<Found<Place>> =
  Effect.fnUntraced(function* ({ timeout }: Settings, places: ReadonlyArray<Place>) {
    const tried = yield* Effect.forEach(
      places,
      (place) => Effect.map(Effect.either(reach(place, timeout)), (result) => ({ place, result })),
      { concurrency: 8 }
    )
    const addresses = tried.map(({ place, result }) => ({
      address: visible(show(place)),
      milliseconds: Either.isRight(result) ? result.right : null,
      error: Either.isLeft(result) ? result.left.code : null
    }))
    const data = { addresses }
    const open = tried.flatMap(({ place, result }) => (Either.isRight(result) ? [{ place, took: result.right }] : []))
    const closed = tried.flatMap(({ place, result }) =>
      Either.isLeft(result) ? [{ place, trouble: result.left }] : []
    )
    const [first] = open
    if (first === undefined) {
      return { findings: [refused(closed, timeout, data)], value: undefined }
    }
    const message = `${visible(show(first.place))} accepts connections (${ms(first.took)})`
    return {
      findings: [
        ok("tcp", "tcp-open", message, data),
        ...(closed.length === 0
          ? []
          : [
              warning(
                "tcp",
                "tcp-some-addresses",
                `${closed.map(({ place, trouble }) => `${show(place)} does not (${trouble.code})`).join(", ")}`,
                {
                  advice:
                    "Clients try the addresses in turn, so connecting takes longer. Have the server listen on all of them, or choose with ?family=4 or ?family=6 in the URL.",
                  data
                }
              )
            ])
      ],
      value: first.place
    }
  })

const refused = (
  closed: ReadonlyArray<{ readonly place: Place; readonly trouble: Trouble }>,
  timeout: number,
  data: NonNullable<Finding["data"]>
): Finding => {
  const where = visible(closed.map(({ place }) => show(place)).join(", "))
  const codes = new Set(closed.map(({ trouble }) => trouble.code))
  const only = codes.size === 1 ? [...codes][0] : undefined
  switch (only) {
    case "ECONNREFUSED":
      return failure("tcp", "tcp-refused", `nothing listens on ${where}`, {
        advice:
          "Start the server, or look for a mistake in the port; a server that is bound to 127.0.0.1 is not reachable from other machines (bind).",
        data
      })
    case "ETIMEDOUT":
      return failure("tcp", "tcp-timeout", `${where} did not answer within ${timeout} ms`, {
        advice: "A firewall or security group drops the packets, or the machine is not there.",
        data
      })
    case "ENOENT":
      return failure("tcp", "socket-not-found", `there is no socket at ${where}`, {
        advice: "Compare the path with unixsocket in the server's configuration.",
        data
      })
    case "EACCES":
      return failure("tcp", "socket-forbidden", `this user may not open ${where}`, {
        advice: "Compare the file's permissions with unixsocketperm in the server's configuration.",
        data
      })
    default:
      return failure("tcp", "tcp-unreachable", `no connection to ${where} (${[...codes].join(", ")})`, {
        advice: "Look at the network between here and there: routes, VPN, firewall.",
        data
      })
  }
}
