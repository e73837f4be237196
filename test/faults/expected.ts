/** The expectations of a cell: its allowed outcomes, and how often the server may have executed the call. */
import type { TestServer } from "../support/servers.js"
import { type Cell, heardOf, isPast, type Seen } from "./cell.js"

const answer = "answer"
/** The connection ended, and the client cannot know whether the command was executed. */
const lost = "ConnectionError (peerClosed|transport) unknown"
/** No reply came, and the client cannot know whether the command was executed. */
const late = "DeadlineError reply unknown"
/** The command was never sent. */
const waited = "DeadlineError queue unsent"
/** The command was sent once, and waited for its retry. */
const waitedAgain = "DeadlineError queue unknown"
/** No connection could be leased in time. */
const noLease = "DeadlineError acquire unsent"
const damaged = "ProtocolError"
/** The server could not parse the command, and answered an error. */
const misread = "ReplyError ERR|TransactionError"

const connecting = ({ call, fault, lasting, phase }: Cell): ReadonlyArray<string> => {
  const shared = call.on === "shared"
  // A fault that begins inside the handshake, towards the server, may affect the command after it.
  const behind = phase.name === "greeting" && (fault.direction !== "toClient" || lasting)
  const asked = lasting || fault.away ? (shared ? [waited] : [noLease]) : [answer]
  switch (fault.kind) {
    case "slow":
      // A command that waits for the shared connection past its deadline was not sent, so no reply to it can have come.
      return [fault.stops === "client" && shared ? waited : answer]
    case "ends":
      return [
        ...asked,
        // After a peer that ends the connection at HELLO, a second connection without HELLO may pass the byte where the fault
        // begins, when there can be a second connection at all.
        ...(phase.name === "greeting" && lasting && fault.away !== true ? [answer] : []),
        ...(behind ? [lost, noLease, waitedAgain, late, ...(call.kind === "write" ? [] : [answer])] : [])
      ]
    case "silent":
      return [...asked, ...(behind ? [late, waitedAgain] : [])]
    case "corrupt":
      if (phase.name === "tls") {
        // TLS detects the corruption, and the next handshake succeeds.
        return asked
      }
      // A peer with another protocol is a permanent failure.
      return [answer, ...asked, "ConnectionError (connect|protocol) unsent", damaged, ...(behind ? [misread] : [])]
  }
}

const connected = (cell: Cell): ReadonlyArray<string> => {
  const { call, fault, lasting, phase } = cell
  const repeats = call.kind !== "write"
  if (fault.kind === "slow") {
    // What the operating system did not take of a large request is only written when the event loop goes on.
    return fault.stops === "client" && phase.name === "writing" ? [answer, late] : [answer]
  }
  if (fault.stops === "server" && phase.name === "largeReply") {
    // The whole reply may have been written before.
    return [answer, late]
  }
  if (heardOf(cell)) {
    return fault.away ? (call.on === "shared" ? [waited] : [noLease]) : [answer]
  }
  if (isPast(cell) || phase.name === "subscribed") {
    // Subscriptions survive every fault; the call itself checks for losses without a gap.
    return [answer]
  }
  switch (fault.kind) {
    case "ends":
      return [
        ...(repeats || call.rounds ? (lasting || fault.away ? [waitedAgain, late] : [answer]) : [lost]),
        // Each round trip is another command, with its own delivery.
        ...(call.rounds ? [lost, noLease, waited, ...(fault.direction === "toServer" ? [answer] : [])] : [])
      ]
    case "silent":
      return [late]
    case "corrupt":
      return fault.direction === "toServer"
        ? phase.name === "writing"
          ? // Inside a value, where the corruption cannot be detected.
            [answer]
          : phase.name === "multi"
            ? [lost, misread, damaged]
            : [misread]
        : phase.name === "largeReply"
          ? // Inside a value, which is no longer UTF-8.
            ["DecodeError", "TransactionError"]
          : repeats && lasting
            ? ["ConnectionError protocol (unknown|unsent)", damaged]
            : repeats && call.rounds
              ? // Of several round trips, the one that was lost is made again.
                [answer]
              : // The call's own reply ended the connection, so the call is not sent again.
                [damaged]
  }
}

export const allowed = (cell: Cell): ReadonlyArray<string> =>
  cell.phase.when === "connecting" ? connecting(cell) : connected(cell)

/**
 * Redis 8.6.3 answers nothing more, and does not close the connection, when a malformed length comes in another read than the
 * commands before it. In one read it answers `Protocol error` and closes, as Redis 7.0 and 8.0 and Valkey 9.1 do in both cases.
 */
const mayHang = ({ product, version }: TestServer): boolean => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return product === "redis" && (major > 8 || (major === 8 && minor > 0))
}

/** The problems of a cell's outcome. */
export const problemsOf = (
  cell: Cell,
  { executed, outcome, overdue, problems }: Seen,
  server: TestServer
): ReadonlyArray<string> => {
  const { call, fault } = cell
  // When the event loop was held until the deadline had passed, the end of the connection may come first. There is no time left
  // to send the command again, so that the call fails with what ended it.
  const may = [
    ...allowed(cell),
    ...(overdue && fault.kind === "ends" && allowed(cell).includes(waitedAgain) ? [lost] : []),
    ...(fault.kind === "corrupt" && cell.phase.name === "multi" && mayHang(server) ? [late] : [])
  ]
  // The least number of executions of an answered call: a write runs exactly once, a repeatable one at least once.
  const bound = call.kind === "repeatable" ? 1 : outcome === answer && call.kind === "write" ? 1 : 0
  return [
    ...problems,
    ...(new RegExp(`^(?:${may.join("|")})$`).test(outcome) ? [] : [`${outcome}, instead of ${may.join(" or ")}`]),
    ...(call.kind === "write" && executed > 1 ? [`executed ${executed} times`] : []),
    ...(outcome === answer && executed < bound ? [`answered, and executed ${executed} times`] : []),
    ...(outcome.endsWith("unsent") && executed !== 0 ? [`${outcome}, and executed ${executed} times`] : [])
  ]
}
