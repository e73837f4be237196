/** What spans and metrics call an error: out of a finite set, without anything that a user or a script made up. */

import type { RedisError } from "../../RedisError.js"
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
