/** What must come of a cell: which outcomes there may be, and what must be true of what was executed. */
import { type Cell, heardOf, isPast, type Seen } from "./cell.js"

const answer = "answer"
/** The connection ended, and nobody knows what became of what was written. */
const lost = "ConnectionError (peerClosed|transport) unknown"
/** Nothing came, and nobody knows what became of what was written. */
const late = "DeadlineError reply unknown"
/** It was never written. */
const waited = "DeadlineError queue unsent"
/** It was written once, and waited to be written again. */
const waitedAgain = "DeadlineError queue unknown"
/** There was no connection to lease in time. */
const noLease = "DeadlineError acquire unsent"
const damaged = "ProtocolError"
/** The server could not read the command, and says so. */
const misread = "ReplyError ERR|TransactionError"

const connecting = ({ call, fault, lasting, phase }: Cell): ReadonlyArray<string> => {
  const shared = call.on === "shared"
  // What begins inside the greeting and goes to the server may be met by the command behind it.
  const behind = phase.name === "greeting" && (fault.direction !== "toClient" || lasting)
  const asked = lasting || fault.away ? (shared ? [waited] : [noLease]) : [answer]
  switch (fault.kind) {
    case "slow":
      return [answer]
    case "ends":
      return [
        ...asked,
        ...(behind ? [lost, noLease, waitedAgain, late, ...(call.kind === "write" ? [] : [answer])] : [])
      ]
    case "silent":
      return [...asked, ...(behind ? [late, waitedAgain] : [])]
    case "corrupt":
      if (phase.name === "tls") {
        // It is found out, and the next handshake is whole.
        return asked
      }
      // A peer that speaks something else is no reason to wait for it.
      return [answer, ...asked, "ConnectionError (connect|protocol) unsent", damaged, ...(behind ? [misread] : [])]
  }
}

const connected = (cell: Cell): ReadonlyArray<string> => {
  const { call, fault, lasting, phase } = cell
  const repeats = call.kind !== "write"
  if (fault.kind === "slow") {
    return [answer]
  }
  if (heardOf(cell)) {
    return fault.away ? (call.on === "shared" ? [waited] : [noLease]) : [answer]
  }
  if (isPast(cell) || phase.name === "subscribed") {
    // Subscriptions outlive it all: the call itself looks for gaps that are not said.
    return [answer]
  }
  switch (fault.kind) {
    case "ends":
      return [
        ...(repeats || call.rounds ? (lasting || fault.away ? [waitedAgain, late] : [answer]) : [lost]),
        // Each round is another command, with its own delivery.
        ...(call.rounds ? [lost, noLease, waited, ...(fault.direction === "toServer" ? [answer] : [])] : [])
      ]
    case "silent":
      return [late]
    case "corrupt":
      return fault.direction === "toServer"
        ? phase.name === "writing"
          ? // Inside a value: nobody can know.
            [answer]
          : phase.name === "multi"
            ? [lost, misread, damaged]
            : [misread]
        : phase.name === "largeReply"
          ? // Inside a value that is no UTF-8 any more.
            ["DecodeError", "TransactionError"]
          : repeats
            ? lasting
              ? ["ConnectionError protocol (unknown|unsent)", damaged]
              : [answer]
            : [damaged]
  }
}

export const allowed = (cell: Cell): ReadonlyArray<string> =>
  cell.phase.when === "connecting" ? connecting(cell) : connected(cell)

/** What is wrong with what came of a cell. */
export const problemsOf = (cell: Cell, { executed, outcome, problems }: Seen): ReadonlyArray<string> => {
  const { call } = cell
  const may = allowed(cell)
  // What the server answered with errors of its own was not executed; part of a transaction that it misread was.
  const bound = call.kind === "repeatable" ? 1 : outcome === answer && call.kind === "write" ? 1 : 0
  return [
    ...problems,
    ...(new RegExp(`^(?:${may.join("|")})$`).test(outcome) ? [] : [`${outcome}, instead of ${may.join(" or ")}`]),
    ...(call.kind === "write" && executed > 1 ? [`executed ${executed} times`] : []),
    ...(outcome === answer && executed < bound ? [`answered, and executed ${executed} times`] : []),
    ...(outcome.endsWith("unsent") && executed !== 0 ? [`${outcome}, and executed ${executed} times`] : [])
  ]
}
