/** Has a fault begin at the moment of a phase: to the bytes of a connection, or by stopping a process there. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type * as RedisServer from "effect-redis-client/testing/RedisServer"
import type { Together } from "./apart.js"
import type { Cell } from "./cell.js"
import type { PhaseRow } from "./model.js"

type At = PhaseRow["at"]

export interface Injector {
  /** Has the fault begin where the phase says. */
  readonly inject: Effect.Effect<void>
  /** Has the fault begin at once. */
  readonly injectNow: Effect.Effect<void>
  /** Ends the fault. */
  readonly heal: Effect.Effect<void>
  /** How many connections there were when the process was stopped; `undefined` when none was. */
  readonly opened: () => number | undefined
}

const injectBytes = ({ call, fault, lasting, phase }: Cell, proxy: FaultProxy.FaultProxy, at: At) => {
  const faults = fault.faults(phase.size !== "small")
  // A connection stands still in both directions until the process does.
  const direction = fault.stops === undefined ? fault.direction : "both"
  return proxy
    .inject(at === undefined ? faults : faults.map((one) => FaultProxy.after(at.bytes, one, { direction })), {
      direction: at === undefined ? direction : at.direction,
      on: phase.when === "connecting" ? "new" : lasting ? "all" : "live",
      // Twice: for the client's shared connection and for the one that it leases.
      ...(phase.when === "connecting" && !lasting ? { times: call.on === "leased" ? 2 : 1 } : {})
    })
    .pipe(Effect.orDie)
}

/** Waits until a connection was made (without `at`), or has passed as many bytes as `at` says. */
const arrival = (proxy: FaultProxy.FaultProxy, at: At) =>
  Effect.map(proxy.connections, (connections) => {
    const before = new Map(connections.map((one) => [one.id, one] as const))
    const name = at?.direction === "toClient" ? "bytesToClient" : "bytesToServer"
    const isThere = (one: FaultProxy.ConnectionStats): boolean =>
      at === undefined ? !before.has(one.id) : one[name] - (before.get(one.id)?.[name] ?? 0) >= at.bytes
    return proxy.until(() => Effect.runSync(proxy.connections).some(isThere))
  })

/** The moment at which a process is stopped, when the phase has no other: as the command begins to leave. */
const firstByte: At = { bytes: 1, direction: "toServer" }

/** Where the phases have nothing more to send: as a reply or a message comes. */
const firstByteBack: At = { bytes: 1, direction: "toClient" }

const momentOf = ({ at, name }: PhaseRow): At => {
  switch (name) {
    case "connect":
      return undefined
    case "blocking":
    case "subscribed":
      return firstByteBack
    default:
      return at === undefined ? firstByte : { ...at, bytes: Math.max(at.bytes, 1) }
  }
}

export const makeInjector = (
  cell: Cell,
  proxy: FaultProxy.FaultProxy,
  server: RedisServer.RedisServer,
  together: Together
): Effect.Effect<Injector, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { fault, phase } = cell
    if (fault.stops === undefined) {
      return {
        inject: injectBytes(cell, proxy, phase.at),
        injectNow: injectBytes(cell, proxy, undefined),
        heal: Effect.orDie(proxy.heal),
        opened: () => undefined
      }
    }
    const scope = yield* Effect.scope
    let opened: number | undefined
    const stop = Effect.flatMap(proxy.stats, ({ accepted }) => {
      opened = accepted
      switch (fault.stops) {
        case "server":
          return Effect.zipRight(server.pause, proxy.heal)
        case "server for a moment":
          return server.pause.pipe(
            Effect.zipRight(proxy.heal),
            Effect.zipRight(Effect.sleep("50 millis")),
            Effect.zipRight(server.resume)
          )
        default:
          return together.held
      }
    }).pipe(Effect.orDie)
    const stopAt = (at: At) =>
      Effect.flatMap(Effect.zipRight(injectBytes(cell, proxy, at), arrival(proxy, at)), (arrived) =>
        Effect.asVoid(Effect.forkIn(Effect.zipRight(arrived, stop), scope))
      )
    if (fault.stops === "client") {
      return {
        inject: stopAt(momentOf(phase)),
        // Of a transaction by hand, the next command.
        injectNow: stopAt(phase.name === "multi" ? firstByte : momentOf(phase)),
        heal: Effect.orDie(proxy.heal),
        opened: () => opened
      }
    }
    yield* Effect.addFinalizer(() => Effect.orDie(server.resume))
    return {
      inject: stopAt(momentOf(phase)),
      injectNow: fault.stops === "server" ? stop : Effect.asVoid(Effect.forkIn(stop, scope)),
      heal: Effect.orDie(fault.stops === "server" ? Effect.zipRight(server.resume, proxy.heal) : proxy.heal),
      opened: () => opened
    }
  })
