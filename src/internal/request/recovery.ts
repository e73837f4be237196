/**
 * What a failure says about another attempt: which errors the server gave before it executed anything, which commands may
 * run twice, and which failures every further attempt to connect would meet again.
 */
import { type RedisError, recovery } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { isRefusalSentence } from "../command/sentences.js"
import { ErrorReply, type Reply } from "../resp/values.js"
import { argumentText } from "./blockingTime.js"

export const isReadOnly = (reply: Reply | undefined): boolean =>
  reply instanceof ErrorReply && recovery(reply.code) === "reconnect"

/**
 * Whether a command that was answered with this error may be sent again, because the server refused it before it executed
 * any of it. A script that may write can answer any error after it has written. So of such a script only the server's own
 * sentence counts, unless executing it twice does no harm.
 */
export const isRefusal = ({ traits }: RedisCommand<unknown>, error: ErrorReply): boolean =>
  recovery(error.code) !== "fail" &&
  (traits.script === undefined || traits.readonly || traits.repeatable || isRefusalSentence(error.message))

/**
 * Whether executing a command twice is the same as once. A cursor means something only to the server run that gave it, so a
 * page in the middle of a scan is not asked for again.
 */
export const isRepeatable = ({ args, traits }: RedisCommand<unknown>): boolean =>
  traits.repeatable || (traits.readonly && (traits.cursor === undefined || argumentText(args[traits.cursor]) === "0"))

/** Errors of EXEC after which the connection is not inside MULTI any more. */
export const endsMulti = (code: string): boolean =>
  code === "EXECABORT" ||
  code === "MOVED" ||
  code === "ASK" ||
  code === "CROSSSLOT" ||
  code === "CLUSTERDOWN" ||
  code === "TRYAGAIN"

/** Failures that every further attempt to connect would meet again: wrong credentials, a refused handshake, a bad certificate. */
export const isPermanent = (error: RedisError): boolean => {
  switch (error._tag) {
    case "UsageError":
    case "ProtocolError":
      return true
    case "ConnectionError":
      return (
        error.reason === "authentication" ||
        error.reason === "tls" ||
        error.reason === "protocol" ||
        (error.reason === "handshake" && !/max number of clients|LOADING|MASTERDOWN|BUSY/.test(error.message))
      )
    default:
      return false
  }
}
