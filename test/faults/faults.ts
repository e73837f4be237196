import * as FaultProxy from "effect-redis-client/testing/FaultProxy"
import type { FaultRow } from "./model.js"

const both = "both"
const toServer = "toServer"
const toClient = "toClient"

/** The same faults for every size. */
const always =
  (...faults: ReadonlyArray<FaultProxy.Fault>) =>
  () =>
    faults

/** Large data in fewer pieces, because each piece takes a turn of the event loop. */
const pieces = (large: boolean) => FaultProxy.split(large ? 4_001 : 1)

/** The faults. Each is a row of the table, crossed with every phase and every kind of call. */
export const faults: ReadonlyArray<FaultRow> = [
  { name: "latency", kind: "slow", direction: both, faults: always(FaultProxy.latency("10 millis")) },
  {
    name: "jitter",
    kind: "slow",
    direction: both,
    faults: always(FaultProxy.latency("1 millis", { jitter: "15 millis" }))
  },
  { name: "narrow", kind: "slow", direction: both, faults: (large) => [FaultProxy.bandwidth(large ? 4e6 : 4e4)] },
  { name: "split at every byte", kind: "slow", direction: both, faults: (large) => [pieces(large)] },
  {
    name: "late, narrow and split",
    kind: "slow",
    direction: both,
    faults: (large) => [FaultProxy.latency("2 millis"), pieces(large), FaultProxy.bandwidth(large ? 8e6 : 8e4)]
  },
  { name: "reset", kind: "ends", unasked: true, direction: both, faults: always(FaultProxy.reset) },
  { name: "close", kind: "ends", unasked: true, direction: both, faults: always(FaultProxy.close) },
  {
    name: "half-close to the client",
    kind: "ends",
    unasked: true,
    direction: toClient,
    faults: always(FaultProxy.halfClose)
  },
  {
    name: "half-close to the server",
    kind: "ends",
    unasked: true,
    direction: toServer,
    faults: always(FaultProxy.halfClose)
  },
  {
    name: "reset inside what is sent",
    kind: "ends",
    direction: toServer,
    faults: always(FaultProxy.cutAfter(3, "reset"))
  },
  {
    name: "reset inside what is read",
    kind: "ends",
    direction: toClient,
    faults: always(FaultProxy.cutAfter(2, "reset"))
  },
  {
    name: "close inside what is read",
    kind: "ends",
    direction: toClient,
    faults: always(FaultProxy.cutAfter(2, "close"))
  },
  {
    name: "reset, and nobody listens",
    kind: "ends",
    unasked: true,
    away: true,
    direction: both,
    faults: always(FaultProxy.refuse, FaultProxy.reset)
  },
  { name: "black hole", kind: "silent", direction: both, faults: always(FaultProxy.blackHole) },
  { name: "black hole to the server", kind: "silent", direction: toServer, faults: always(FaultProxy.blackHole) },
  { name: "black hole to the client", kind: "silent", direction: toClient, faults: always(FaultProxy.blackHole) },
  {
    name: "black hole inside what is read",
    kind: "silent",
    direction: toClient,
    faults: always(FaultProxy.cutAfter(2, "blackHole"))
  },
  { name: "stalled", kind: "silent", direction: both, faults: always(FaultProxy.stall) },
  { name: "stalled to the server", kind: "silent", direction: toServer, faults: always(FaultProxy.stall) },
  { name: "stalled to the client", kind: "silent", direction: toClient, faults: always(FaultProxy.stall) },
  {
    name: "a byte to the server corrupted",
    kind: "corrupt",
    direction: toServer,
    faults: always(FaultProxy.corrupt(0))
  },
  {
    name: "a byte to the client corrupted",
    kind: "corrupt",
    direction: toClient,
    faults: always(FaultProxy.corrupt(0))
  },
  // The proxy stops at the moment of the phase, until the process stands still.
  {
    name: "the client's event loop held",
    kind: "slow",
    direction: both,
    stops: "client",
    faults: always(FaultProxy.stall)
  },
  {
    name: "the client's event loop held, and no reply",
    kind: "silent",
    away: true,
    direction: both,
    stops: "client",
    faults: always(FaultProxy.stall)
  },
  {
    name: "the server stopped for a moment",
    kind: "slow",
    direction: toServer,
    stops: "server for a moment",
    faults: always(FaultProxy.stall)
  },
  {
    name: "the server stopped",
    kind: "silent",
    away: true,
    direction: toServer,
    stops: "server",
    faults: always(FaultProxy.stall)
  }
]
