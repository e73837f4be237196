/**
 * The server that is examined once there is a connection to it, and what becomes of a check that the server does not let
 * end: an answer that is refused is unknown, and a lost connection ends the examination.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Connection from "../Connection.js"
import type { ServerInfo } from "../commands/server-info.js"
import { visible } from "../internal/resp/visible.js"
import { Redis } from "../Redis.js"
import type { RedisError, ReplyError } from "../RedisError.js"
import { type Finding, failure, unknown } from "./report.js"
import type { Check, Settings } from "./settings.js"

export interface Patient {
  readonly settings: Settings
  readonly connection: Connection.Connection
  /** What INFO says; undefined when the user may not ask for it. */
  readonly info: ServerInfo | undefined
  readonly mode: "standalone" | "cluster" | "sentinel"
}

/** A question that the server may refuse. */
export const tried = <A, R>(
  effect: Effect.Effect<A, RedisError, R>
): Effect.Effect<Either.Either<A, ReplyError>, RedisError, R> =>
  Effect.matchEffect(effect, {
    onSuccess: (value): Effect.Effect<Either.Either<A, ReplyError>, RedisError> => Effect.succeed(Either.right(value)),
    onFailure: (error): Effect.Effect<Either.Either<A, ReplyError>, RedisError> =>
      error._tag === "ReplyError" && error.code !== "LOADING" ? Effect.succeed(Either.left(error)) : Effect.fail(error)
  })

/** The command's name as an ACL rule: `+acl|whoami`. */
export const rule = (command: string): string => `+${command.toLowerCase().replace(" ", "|")}`

/** A check that met an error of the server, or lost it. */
export const interrupted = (check: Check, error: RedisError): Finding => {
  switch (error._tag) {
    case "ReplyError":
      return error.code === "LOADING"
        ? failure(check, "loading", "the server loads its data set from disk and accepts no commands", {
            advice: "Wait until it has; INFO persistence has the remaining time (loading_eta_seconds)."
          })
        : error.code === "NOPERM"
          ? unknown(check, `${check}-denied`, `not found out: the user may not run ${error.command}`, {
              advice: `ACL SETUSER … ${rule(error.command)} lets the doctor see it. Programs do not need it.`,
              data: { command: error.command }
            })
          : unknown(check, `${check}-unknown`, `not found out: ${error.command} failed: ${visible(error.message)}`, {
              data: { command: error.command, code: error.code }
            })
    case "DecodeError":
      return unknown(check, `${check}-unknown`, `not found out: ${visible(error.message)}`)
    case "DeadlineError":
      return failure(check, "no-answer", visible(error.message), {
        advice: "The server hangs, or is far slower than --timeout: look at SLOWLOG and at its machine."
      })
    default:
      return failure(check, "connection-lost", visible(error.message), {
        advice: "Look into the server's log; a proxy or a firewall between may have ended the connection."
      })
  }
}

/** Whether no further command can be answered. */
export const isOver = ({ code }: Finding): boolean =>
  code === "connection-lost" || code === "no-answer" || code === "loading"

/** Asks the server about itself. Without INFO the mode is taken from HELLO. */
export const meet: (settings: Settings, connection: Connection.Connection) => Effect.Effect<Patient, RedisError> =
  Effect.fnUntraced(function* (settings: Settings, connection: Connection.Connection) {
    const answer = yield* tried(connection.execute(Redis.info()))
    const info = Either.isRight(answer) ? answer.right : undefined
    const mode = info?.fields.redis_mode ?? info?.fields.server_mode ?? (yield* modeByHello(connection))
    return { settings, connection, info, mode: mode === "cluster" || mode === "sentinel" ? mode : "standalone" }
  })

/** HELLO without arguments changes nothing, and no user can be forbidden to send it. */
const modeByHello = (connection: Connection.Connection): Effect.Effect<string | undefined, RedisError> =>
  Effect.map(tried(connection.execute(Redis.hello())), (answer) =>
    Either.isRight(answer) ? Option.getOrUndefined(answer.right.mode) : undefined
  )

/** A whole number of INFO. */
export const number = ({ info }: Patient, field: string): number | undefined => {
  const text = info?.fields[field]
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined
}

/** Without INFO some checks have nothing to look at; that is reported once, by the check of the server. */
export const withInfo = (
  patient: Patient,
  look: (fields: Readonly<Record<string, string>>) => ReadonlyArray<Finding>
): ReadonlyArray<Finding> => (patient.info === undefined ? [] : look(patient.info.fields))
