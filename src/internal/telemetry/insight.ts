/** What a client counts, and what happens to it, for a program that has no telemetry of its own: `Redis.stats` and `Redis.events`. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { finiteName } from "../command/command.js"
import type { ClientEvent, Insight } from "../command/insight.js"
import { callbackStream } from "../effect/callbackStream.js"
import * as Timers from "../engine/timers.js"
import { errorType } from "./errorType.js"
import { Latencies } from "./latencies.js"
import { notify, type Observer } from "./observer.js"

/** How many events wait for a slow reader. */
const eventCapacity = 256

/** How many servers are remembered that there is no connection to any more. */
const mostServers = 1_000

interface Server {
  connections: number
  inFlight: number
  readonly latencies: Latencies
}

/** An observer that counts. `slowAfter` is in milliseconds. */
export const insightOf = (
  slowAfter: number | undefined
): { readonly observer: Observer; readonly insight: Insight } => {
  const listeners = new Set<(event: ClientEvent) => void>()
  const report = (event: ClientEvent): void => {
    for (const listener of [...listeners]) {
      notify(listener, event)
    }
  }
  const servers = new Map<string, Server>()
  const serverOf = (name: string): Server => {
    let server = servers.get(name)
    if (server === undefined) {
      server = { connections: 0, inFlight: 0, latencies: new Latencies() }
      if (servers.size < mostServers) {
        servers.set(name, server)
      }
    }
    return server
  }
  const count = (of: Map<string, number>, what: string): void => {
    of.set(what, (of.get(what) ?? 0) + 1)
  }
  const closed = new Map<string, number>()
  const errors = new Map<string, number>()
  const queued = { commands: 0, bytes: 0 }
  const pool = { size: 0, free: 0, waiting: 0 }
  const totals = { retries: 0, redirections: 0, reconnects: 0, failedAttempts: 0 }
  const namesOf = (commands: ReadonlyArray<{ readonly name: string }>) => commands.map(({ name }) => finiteName(name))
  const observer: Observer = {
    ...(slowAfter === undefined
      ? {}
      : {
          request: ({ commands, server }) => {
            const began = Timers.now()
            let at = server
            return {
              untilInterrupted: true,
              handed: (server) => {
                at = server
              },
              ended: () => {
                const millis = Timers.now() - began
                if (millis >= slowAfter) {
                  report({
                    _tag: "SlowCommand",
                    server: at,
                    commands: namesOf(commands),
                    duration: Duration.millis(millis)
                  })
                }
              }
            }
          }
        }),
    retry: ({ code, commands, reason, server }) => {
      if (code === "MOVED" || code === "ASK") {
        totals.redirections++
        report({ _tag: "Redirected", server, commands: namesOf(commands), kind: code })
      } else {
        totals.retries++
        report({ _tag: "Retry", server, commands: namesOf(commands), reason, code })
      }
    },
    failed: (error) => count(errors, errorType(error)),
    attempt:
      ({ server }) =>
      (exit) => {
        const error = exit._tag === "Failure" ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
        if (error !== undefined) {
          totals.failedAttempts++
          report({ _tag: "ConnectFailed", server, error })
        }
      },
    connection: ({ change, id, reason, server }) => {
      const known = serverOf(server)
      if (change === "ready") {
        known.connections++
        report({ _tag: "Connected", server, connection: id })
      } else {
        known.connections--
        count(closed, reason ?? "closed")
        report({ _tag: "Disconnected", server, connection: id, reason: reason ?? "closed" })
      }
    },
    reconnected: ({ server }) => {
      totals.reconnects++
      report({ _tag: "Reconnected", server })
    },
    pool: ({ free, size, waiting }) => {
      pool.size += size
      pool.free += free
      pool.waiting += waiting
    },
    load: ({ bytes, commands, inFlight, server }) => {
      queued.commands += commands
      queued.bytes += bytes
      if (server !== undefined) {
        serverOf(server).inFlight += inFlight
      }
    },
    answered: ({ millis, server }) => serverOf(server).latencies.add(millis)
  }
  return {
    observer,
    insight: {
      stats: Effect.sync(() => ({
        servers: [...servers].map(([server, { connections, inFlight, latencies }]) => {
          const { count, max, p50, p99 } = latencies.read()
          return {
            server,
            connections,
            inFlight,
            latency: {
              samples: count,
              p50: Duration.millis(p50),
              p99: Duration.millis(p99),
              max: Duration.millis(max)
            }
          }
        }),
        queued: { ...queued },
        pool: { ...pool },
        ...totals,
        closed: Object.fromEntries(closed),
        errors: Object.fromEntries(errors)
      })),
      events: callbackStream<ClientEvent>((emit) => {
        const listener = (event: ClientEvent): void => {
          emit.single(event)
        }
        listeners.add(listener)
        return () => listeners.delete(listener)
      }, eventCapacity)
    }
  }
}

/** Of a service that was not made by this package. */
export const noInsight: Insight = insightOf(undefined).insight
