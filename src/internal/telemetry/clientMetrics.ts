/** The metrics of one client, apart from those of its pools. Clients of the same address are added up. */
import { finiteName } from "../command/command.js"
import { type Instrument, instrument, type Labels } from "../effect/metrics.js"
import * as Timers from "../engine/timers.js"
import { errorIn, errorType, outcomeOf } from "./errorType.js"
import * as Instruments from "./instruments.js"
import type { Load, Observer } from "./observer.js"
import type { ResolvedTelemetry } from "./options.js"

/** Instruments by their labels, each made once. */
const byLabel = (of: Instrument, fixed: Labels, label: string): ((value: string, by?: number) => void) => {
  const made = new Map<string, (value: number) => void>()
  return (value, by = 1) => {
    let add = made.get(value)
    if (add === undefined) {
      add = instrument(of, { ...fixed, [label]: value })
      made.set(value, add)
    }
    add(by)
  }
}

/** An observer that keeps metrics. `server` is the address that the client was given. */
export const clientMetrics = (server: string, { commands, exclude, system }: ResolvedTelemetry): Observer => {
  const labels = { "server.address": server }
  const open = instrument(Instruments.connectionsOpen, labels)
  const closed = byLabel(Instruments.connectionsClosed, labels, "reason")
  const created = instrument(Instruments.createTime, labels)
  const failures = byLabel(Instruments.connectFailures, labels, "error.type")
  const reconnects = instrument(Instruments.reconnects, labels)
  const retries = byLabel(Instruments.retries, labels, "reason")
  const redirections = byLabel(Instruments.redirections, labels, "kind")
  const errors = byLabel(Instruments.errors, labels, "error.type")
  const messages = instrument(Instruments.messages, labels)
  const dropped = instrument(Instruments.dropped, labels)
  const load = loadOf(labels)
  open(0)
  return {
    ...(commands ? { request: durations({ ...labels, "db.system.name": system }, exclude) } : { watches: () => false }),
    retry: ({ code, reason }) => {
      if (code === "MOVED" || code === "ASK") {
        redirections(code)
      } else {
        retries(reason)
      }
    },
    failed: (error) => errors(errorType(error)),
    attempt: () => {
      const began = Timers.now()
      return (exit) => {
        if (exit._tag === "Success") {
          created((Timers.now() - began) / 1000)
          return
        }
        const error = errorIn(exit)
        if (error !== undefined) {
          failures(errorType(error))
        }
      }
    },
    connection: ({ change, reason }) => {
      open(change === "ready" ? 1 : -1)
      if (change === "lost") {
        closed(reason ?? "closed")
      }
    },
    reconnected: () => reconnects(1),
    message: ({ listeners }) => messages(listeners),
    dropped: (count) => dropped(count),
    load
  }
}

/** Sums what each connection owes and what waits unsent. */
const loadOf = (labels: Labels): ((load: Load) => void) => {
  const add = {
    inFlight: instrument(Instruments.inFlight, labels),
    commands: instrument(Instruments.queueCommands, labels),
    bytes: instrument(Instruments.queueBytes, labels)
  }
  return (load) => {
    for (const what of ["inFlight", "commands", "bytes"] as const) {
      if (load[what] !== 0) {
        add[what](load[what])
      }
    }
  }
}

/** The duration of each request, by its name and the type of its error. */
const durations = (labels: Labels, exclude: ReadonlySet<string>): Observer["request"] => {
  const made = new Map<string, (value: number) => void>()
  const record = (operation: string, error: string | undefined, seconds: number): void => {
    const key = error === undefined ? operation : `${operation} ${error}`
    let add = made.get(key)
    if (add === undefined) {
      add = instrument(Instruments.operationDuration, {
        ...labels,
        "db.operation.name": operation,
        ...(error === undefined ? {} : { "error.type": error })
      })
      made.set(key, add)
    }
    add(seconds)
  }
  return ({ atomic, batch, commands }) => {
    const name = commands[0]?.name ?? ""
    if (commands.every(({ name }) => exclude.has(name))) {
      return undefined
    }
    const operation = atomic ? "MULTI" : commands.length > 1 ? "PIPELINE" : finiteName(name)
    const began = Timers.now()
    return {
      untilInterrupted: false,
      ended: (exit) => {
        const error = errorIn(batch ? outcomeOf(exit) : exit)
        if (exit._tag === "Failure" && error === undefined) {
          // Nobody waited for it any more, so this was not its duration.
          return
        }
        record(operation, error === undefined ? undefined : errorType(error), (Timers.now() - began) / 1000)
      }
    }
  }
}
