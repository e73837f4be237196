/** Crosses faults, phases and calls. Each kind of call lists its phases. */
import { calls } from "./calls.js"
import type { Cell } from "./cell.js"
import { faults } from "./faults.js"
import type { FaultRow, PhaseRow } from "./model.js"
import { phases } from "./phases.js"

/** Whether there is a second cell in which the fault lasts: where a client retries, which a slow server does not cause. */
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
