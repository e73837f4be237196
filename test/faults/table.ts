/** Crosses faults, phases and calls. Each kind of call names the phases it has. */
import { calls } from "./calls.js"
import type { Cell } from "./cell.js"
import { faults } from "./faults.js"
import type { FaultRow, PhaseRow } from "./model.js"
import { phases } from "./phases.js"

/** A fault that lasts is another cell where a client tries again. What is only slow is no reason to. */
const maylast = (fault: FaultRow, phase: PhaseRow): boolean =>
  fault.kind !== "slow" &&
  fault.away !== true &&
  (phase.name === "connect" || phase.name === "greeting" || phase.name === "awaiting")

export const cells: ReadonlyArray<Cell> = faults.flatMap((fault) =>
  phases.flatMap((phase) =>
    calls
      .filter((call) => call.phases.includes(phase.name))
      .flatMap((call) =>
        (maylast(fault, phase) ? [false, true] : [false]).map((lasting) => ({
          fault,
          phase,
          call,
          lasting
        }))
      )
  )
)
