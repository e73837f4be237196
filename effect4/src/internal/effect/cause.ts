/** What a Cause holds. */
import * as Cause from "effect/Cause"
import * as Result from "effect/Result"

/** The first defect; `undefined` when there is none. */
export const defectOf = (cause: Cause.Cause<unknown>): unknown =>
  Result.getOrElse(Cause.findDefect(cause), () => undefined)
