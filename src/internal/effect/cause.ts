/** What a Cause holds. Effect 4 answers with a Result; used by dead letters. */
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"

/** The first defect; `undefined` when there is none. */
export const defectOf = (cause: Cause.Cause<unknown>): unknown => Option.getOrUndefined(Cause.dieOption(cause))
