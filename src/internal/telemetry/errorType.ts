/** What spans and metrics call an error: out of a finite set, without anything that a user or a script made up. */

import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { RedisError } from "../../RedisError.js"
import type { BatchResult } from "../command/model.js"
import { isKnownCode } from "../command/replyError.js"

/** `error.type`: the code of a server's error, otherwise the error's tag and what narrows it down. */
export const errorType = (error: RedisError): string => {
  switch (error._tag) {
    case "ReplyError":
      return isKnownCode(error.code) ? error.code : "ReplyError"
    case "ConnectionError":
    case "UsageError":
      return `${error._tag}.${error.reason}`
    case "DeadlineError":
      return `DeadlineError.${error.phase}`
    case "OverflowError":
      return `OverflowError.${error.limit}`
    default:
      return error._tag
  }
}

/** The typed error of a failure. */
export const errorIn = (exit: Exit.Exit<unknown, RedisError> | undefined): RedisError | undefined =>
  exit?._tag === "Failure" ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

/**
 * Whether a batch failed as a whole: all of its commands did, or one of them because of the connection or the deadline. A
 * command that the server refused among others is its own failure.
 */
export const outcomeOf = (exit: Exit.Exit<unknown, RedisError>): Exit.Exit<unknown, RedisError> => {
  if (exit._tag === "Failure") {
    return exit
  }
  const { exits } = exit.value as BatchResult
  const failed = exits.filter((one) => one?._tag === "Failure")
  const decisive =
    failed.length === exits.length
      ? failed[0]
      : failed.find((one) => ["ConnectionError", "DeadlineError", "ProtocolError"].includes(errorIn(one)?._tag ?? ""))
  return decisive ?? Exit.void
}
