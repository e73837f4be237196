/**
 * What a failure says about another attempt: which errors the server gave before it executed anything, which commands may
 * run twice, and which failures every further attempt to connect would meet again.
 */
import type { RedisError } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { ErrorReply, type Reply } from "../resp/values.js"
import { argumentText } from "./blockingTime.js"

/** What the client does about an error reply, by its code. Public as `RedisError.recovery`, with the reasons. */
export const recovery = (code: string): "retry" | "reconnect" | "fail" => {
  switch (code) {
    case "LOADING":
    case "MASTERDOWN":
    case "CLUSTERDOWN":
    case "TRYAGAIN":
      return "retry"
    case "READONLY":
      return "reconnect"
    default:
      return "fail"
  }
}

export const isReadOnly = (reply: Reply | undefined): boolean =>
  reply instanceof ErrorReply && recovery(reply.code) === "reconnect"

/**
 * Whether an error reply of this command was given before anything was executed. A script that may write can answer such an
 * error after it has written, so its error says nothing.
 */
export const isRefusal = ({ traits }: RedisCommand<unknown>, error: ErrorReply): boolean =>
  (traits.readonly || traits.script === undefined) && recovery(error.code) !== "fail"

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
