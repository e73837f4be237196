import type { PhaseRow } from "./model.js"

/** The moments at which faults happen. */
export const phases: ReadonlyArray<PhaseRow> = [
  { name: "connect", when: "connecting", size: "small" },
  { name: "tls", when: "connecting", at: { bytes: 200, direction: "toClient" }, size: "small" },
  { name: "greeting", when: "connecting", at: { bytes: 20, direction: "toClient" }, size: "small" },
  { name: "idle", when: "connected", size: "small" },
  { name: "writing", when: "connected", at: { bytes: 100_000, direction: "toServer" }, size: "largeRequest" },
  // The server has executed the command, at the first byte of the reply.
  { name: "awaiting", when: "connected", at: { bytes: 0, direction: "toClient" }, size: "small" },
  { name: "largeReply", when: "connected", at: { bytes: 100_000, direction: "toClient" }, size: "largeReply" },
  // The server reports when these two phases are reached, so their calls inject the fault.
  { name: "blocking", when: "connected", size: "small" },
  { name: "subscribed", when: "connected", size: "small" },
  // After MULTI (15 bytes), inside the first command.
  { name: "multi", when: "connected", at: { bytes: 20, direction: "toServer" }, size: "small" }
]
