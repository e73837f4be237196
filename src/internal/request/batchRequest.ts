/**
 * What a pipeline and a transaction have in common: several commands that are encoded and written as one piece.
 */
import { UsageError } from "../../RedisError.js"
import { Argument } from "../command/args.js"
import { specFor } from "../command/command.js"
import type { RedisCommand } from "../command/model.js"
import { type Encoded, EncodeFailure, encode } from "../resp/encoder.js"
import { Request } from "./request.js"

export abstract class BatchRequest extends Request {
  /** The scripts that the server of its link is known to hold, by SHA1. */
  protected scripts: Set<string> | undefined = undefined

  constructor(
    remaining: number,
    readonly commands: ReadonlyArray<RedisCommand<unknown>>,
    encoded: Encoded
  ) {
    super(remaining, encoded)
  }

  /** The batch, or one of its commands, has a deadline of its own. */
  hasOwnDeadline = false

  override get mayTakeLong(): boolean {
    return this.hasOwnDeadline && this.allowed !== Infinity
  }

  /** The commands that are written next. */
  protected get unsent(): ReadonlyArray<RedisCommand<unknown>> {
    return this.commands
  }

  get writesAgain(): boolean {
    return this.repeatable && this.commands.some(({ traits }) => !traits.readonly)
  }

  override take(scripts: Set<string>): Encoded {
    this.scripts = scripts
    // A transaction always sends the source: a SHA1 that the server has lost since would leave it half executed.
    if (
      !this.atomic &&
      scripts.size > 0 &&
      this.unsent.some((command) => specFor(command).script?.short !== undefined)
    ) {
      this.encoded = encodeAll(this.unsent, false, scripts) as Encoded
    }
    return super.take(scripts)
  }

  protected encode(): Encoded {
    return encodeAll(this.unsent, this.atomic, noScripts) as Encoded
  }

  get flushesScripts(): boolean {
    return this.commands.some(({ traits }) => traits.flushesScripts)
  }
}

export const noScripts: ReadonlySet<string> = new Set()

/** A batch is written in parts of about this length, because runtimes have a longest string. */
const partLength = 1024 * 1024

/** Encodes commands as one piece. Scripts that the server is known to hold are called by their SHA1. */
export const encodeAll = (
  commands: ReadonlyArray<RedisCommand<unknown>>,
  atomic: boolean,
  scripts: ReadonlySet<string>
): Encoded | UsageError => {
  const parts: Array<string | Uint8Array> = []
  let text = atomic ? "*1\r\n$5\r\nMULTI\r\n" : ""
  for (const command of commands) {
    const problem = command.problem ?? batchRefusal(command, atomic)
    if (problem !== undefined) {
      return problem
    }
    const spec = specFor(command)
    const sha = scripts.size > 0 && spec.script?.short !== undefined ? spec.script.sha(command.args) : undefined
    const encoded =
      sha !== undefined && scripts.has(sha)
        ? encode((spec.script?.short ?? spec).wire, [new Argument("value", sha), ...command.args.slice(1)])
        : encode(spec.wire, command.args)
    if (encoded instanceof EncodeFailure) {
      return unsendable(command, encoded)
    }
    if (typeof encoded === "string") {
      text += encoded
      if (text.length > partLength) {
        parts.push(text)
        text = ""
      }
    } else {
      parts.push(text)
      for (const part of encoded) {
        parts.push(part)
      }
      text = ""
    }
  }
  if (atomic) {
    text += "*1\r\n$4\r\nEXEC\r\n"
  }
  parts.push(text)
  return parts.length === 1 ? text : parts
}

/** A problem may be of another copy of this package, so it is not asked whether it is a `UsageError`. */
export const isEncoded = (encoded: Encoded | UsageError): encoded is Encoded =>
  typeof encoded === "string" || Array.isArray(encoded)

/** A command that was refused before anything was sent. */
export const refused = (command: string, why: string): UsageError =>
  new UsageError({ reason: "refusedCommand", command, message: `${command} was not sent: ${why}` })

/** A command whose arguments cannot be sent. */
export const unsendable = (command: RedisCommand<unknown>, failure: EncodeFailure): UsageError =>
  new UsageError({ reason: "invalidArgument", command: command.name, message: `${command.name}: ${failure.reason}` })

/** Commands that cannot be part of a batch, because the batch counts its replies. */
const batchRefusal = ({ name, traits }: RedisCommand<unknown>, atomic: boolean): UsageError | undefined => {
  const { session, stateful } = traits
  if (atomic && stateful !== undefined && stateful !== "database") {
    return refused(name, "it cannot be part of a transaction")
  }
  return stateful === "subscription" || session === "monitor"
    ? refused(name, "it cannot be part of a pipeline")
    : undefined
}
