/**
 * A transaction on the wire: MULTI, the commands and EXEC, as one request. It has two replies more than it has commands.
 */
import * as Exit from "effect/Exit"
import { DecodeError, type RedisError } from "../../RedisError.js"
import { decode } from "../command/command.js"
import type { BatchResult, RedisCommand } from "../command/model.js"
import { make } from "../command/raw.js"
import * as ReplyErrors from "../command/replyError.js"
import { atCaller } from "../effect/atCaller.js"
import type { Failure } from "../engine/failure.js"
import type { Encoded } from "../resp/encoder.js"
import { ErrorReply, type Reply } from "../resp/values.js"
import { BatchRequest } from "./batchRequest.js"
import { reportFailures } from "./observed.js"
import { endsMulti, isReadOnly } from "./recovery.js"
import type { Tracker } from "./request.js"
import { learn } from "./scripts.js"
import type { Resume } from "./settings.js"

export class TransactionRequest extends BatchRequest {
  readonly atomic = true
  readonly text: boolean
  /** The reply to each command before EXEC: QUEUED, its refusal, or its result when MULTI was refused. */
  private early: Array<Reply> = []
  private multi: Reply = null
  private index = -1
  private readOnly = false
  private stuck = false

  constructor(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    private readonly resume: Resume<BatchResult>,
    encoded: Encoded,
    private readonly tracker: Tracker | undefined
  ) {
    super(commands.length + 2, commands, encoded)
    // EXEC's reply holds all results: it is read as bytes when any command wants bytes, since text decoders read bytes too.
    this.text = commands.every((command) => command.text)
  }

  override get spoiled(): string | undefined {
    return this.stuck ? "EXEC failed, and its connection may still be inside MULTI" : undefined
  }

  /** Only when the user declared every command so: reading alone is not a reason to be in a transaction. */
  get repeatable(): boolean {
    return this.early.length === 0 && this.index === -1 && this.commands.every(({ traits }) => traits.repeatable)
  }

  onReply(reply: Reply): void {
    const index = this.index++
    if (index === -1) {
      this.multi = reply
    } else if (index === this.commands.length) {
      this.track(reply)
    } else if (this.multi instanceof ErrorReply) {
      // MULTI was refused, so the command was not queued but executed.
      this.trackCommand(index, reply)
    }
    this.readOnly ||= isReadOnly(reply) || saysReadOnly(reply)
    if (this.settled || index === -1) {
      if (this.readOnly && index === this.commands.length) {
        this.demote()
      }
      return
    }
    if (index < this.commands.length) {
      this.early.push(reply)
      return
    }
    if (this.isSentAgain(reply)) {
      return
    }
    if (this.readOnly) {
      this.demote()
    }
    this.settled = true
    const result = this.result(reply)
    reportFailures(this.told, result._tag === "Success" ? result.value.exits : [result])
    this.resume(atCaller(result))
  }

  /** Whether the owner sends the whole again, after errors that say that nothing was executed. */
  private isSentAgain(exec: Reply): boolean {
    if (!(exec instanceof ErrorReply) || this.multi instanceof ErrorReply || this.stuck || this.owner === undefined) {
      return false
    }
    const { early, index, remaining } = this
    const errors = early.map((reply) => (reply instanceof ErrorReply ? reply : exec))
    // Set before the owner is asked, because it may hand the request to a link at once.
    this.early = []
    this.index = -1
    this.remaining = this.commands.length + 2
    if (this.isKept(errors)) {
      return true
    }
    this.early = early
    this.index = index
    this.remaining = remaining
    return false
  }

  /** EXEC ends WATCH; and a SELECT inside was executed with the rest. */
  private track(exec: Reply): void {
    if (exec instanceof ErrorReply && !(this.multi instanceof ErrorReply) && !endsMulti(exec.code)) {
      // Where EXEC is renamed, say: every later command of this connection would only be queued.
      this.stuck = true
      // The connection ends after the caller has its result. Where the caller gives it back before that, nobody else gets it.
      if (this.via !== undefined) {
        this.via.session.altered ??= "EXEC"
      }
    }
    this.tracker?.finish(execCommand, exec)
    if (Array.isArray(exec)) {
      exec.forEach((reply, i) => {
        this.trackCommand(i, reply)
      })
    }
  }

  private trackCommand(index: number, reply: Reply): void {
    const command = this.commands[index]
    if (command === undefined) {
      return
    }
    if (command.traits.stateful !== undefined) {
      this.tracker?.finish(command, reply)
    }
    learn(this.scripts, command, reply)
  }

  private result(exec: Reply): Exit.Exit<BatchResult, RedisError> {
    const { commands, early } = this
    if (this.multi instanceof ErrorReply) {
      // The commands were not queued but executed: their replies are their results.
      return Exit.succeed({
        outcome: "refused",
        exits: commands.map((command, i) => decode(command, early[i] as Reply))
      })
    }
    if (exec === null) {
      return Exit.succeed({ outcome: "conflict", exits: [] })
    }
    if (exec instanceof ErrorReply) {
      const error = ReplyErrors.make(exec, "EXEC", [])
      if (exec.code !== "EXECABORT") {
        return Exit.fail(error)
      }
      return Exit.succeed({
        outcome: "discarded",
        exits: commands.map((command, i) =>
          early[i] instanceof ErrorReply ? decode(command, early[i] as Reply) : Exit.fail(error)
        )
      })
    }
    const replies = Array.isArray(exec) ? (exec as ReadonlyArray<Reply>) : []
    if (replies.length !== commands.length) {
      return Exit.fail(
        new DecodeError({
          command: "EXEC",
          path: [],
          reason: `expected ${commands.length} results, got ${replies.length}`
        })
      )
    }
    return Exit.succeed({
      outcome: "executed",
      exits: commands.map((command, i) => decode(command, replies[i] as Reply))
    })
  }

  fail(failure: Failure): void {
    const result = Exit.fail(this.errorOf(failure, "EXEC"))
    reportFailures(this.told, [result])
    this.resume(atCaller(result))
  }
}

/** EXEC's reply when the server became read-only after the commands were queued, or a script inside met that. */
const saysReadOnly = (exec: Reply): boolean =>
  exec instanceof ErrorReply
    ? /^EXECABORT .*\bREADONLY\b/.test(exec.message)
    : Array.isArray(exec) && (exec as ReadonlyArray<Reply>).some(isReadOnly)

const execCommand = make("EXEC")
