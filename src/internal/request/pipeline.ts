/**
 * A pipeline: commands that are written in one piece, each with a result of its own. When the server refuses some of them
 * before executing them, the owner may have just those sent again; and when the connection ends, those without a reply.
 */
import * as Exit from "effect/Exit"
import type { RedisError } from "../../RedisError.js"
import { decode } from "../command/command.js"
import type { BatchResult, RedisCommand } from "../command/model.js"
import type { Failure } from "../engine/failure.js"
import type { Encoded } from "../resp/encoder.js"
import { ErrorReply, type Reply } from "../resp/values.js"
import { BatchRequest } from "./batchRequest.js"
import { reportFailures } from "./observed.js"
import { isReadOnly, isRefusal, isRepeatable } from "./recovery.js"
import type { Tracker } from "./request.js"
import { learn } from "./scripts.js"
import type { Resume } from "./settings.js"

export class PipelineRequest extends BatchRequest {
  readonly atomic = false
  /** The result of each command; nothing, while it is not known. */
  private readonly exits: Array<Exit.Exit<unknown, RedisError> | undefined>
  /** The places of the commands whose replies are owed, in order; nothing, while that is all of them. */
  private places: ReadonlyArray<number> | undefined = undefined
  /** The errors that say that a command was not executed, by the command's place. Made for the first of them. */
  private errors: Array<ErrorReply | undefined> | undefined = undefined
  private readOnly = false

  constructor(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    private readonly resume: Resume<BatchResult>,
    encoded: Encoded,
    private readonly tracker: Tracker | undefined,
    private readonly blocks: boolean
  ) {
    super(commands.length, commands, encoded)
    this.exits = new Array(commands.length).fill(undefined)
    if (tracker !== undefined) {
      for (const command of commands) {
        if (command.traits.stateful !== undefined) {
          tracker.begin(command)
        }
      }
    }
  }

  /** The commands whose replies are owed: all of them, until the first reply. */
  protected override get unsent(): ReadonlyArray<RedisCommand<unknown>> {
    const { commands, places, remaining } = this
    return places !== undefined
      ? places.slice(places.length - remaining).map((at) => commands[at] as RedisCommand<unknown>)
      : remaining === commands.length
        ? commands
        : commands.slice(commands.length - remaining)
  }

  /** The place of the command whose reply is next when this many are owed. */
  private placeOf(owed: number): number {
    return this.places === undefined ? this.commands.length - owed : (this.places[this.places.length - owed] ?? -1)
  }

  get text(): boolean {
    return this.commands[this.placeOf(this.remaining)]?.text ?? true
  }

  override get blocking(): boolean {
    return this.blocks
  }

  /** Only the commands without a reply are sent again. */
  get repeatable(): boolean {
    return this.unsent.every(isRepeatable)
  }

  override take(scripts: Set<string>): Encoded {
    // What another server answered says nothing of this one.
    this.readOnly = false
    return super.take(scripts)
  }

  onReply(reply: Reply): void {
    const at = this.placeOf(this.remaining + 1)
    const command = this.commands[at] as RedisCommand<unknown>
    if (command.traits.stateful !== undefined) {
      this.tracker?.finish(command, reply)
    }
    learn(this.scripts, command, reply)
    if (this.settled) {
      return
    }
    if (reply instanceof ErrorReply) {
      this.readOnly ||= isReadOnly(reply)
      if (isRefusal(command, reply)) {
        this.errors ??= new Array(this.commands.length).fill(undefined)
        this.errors[at] = reply
      }
    }
    this.exits[at] = decode(command, reply)
    if (this.remaining === 0) {
      this.finish()
    }
  }

  private finish(): void {
    const { errors, readOnly } = this
    if (errors !== undefined) {
      this.readOnly = false
      this.expectAgain(errors)
      if (this.isKept(errors)) {
        return
      }
      this.remaining = 0
    }
    if (readOnly) {
      this.demote()
    }
    this.settled = true
    this.give(this.exits as ReadonlyArray<Exit.Exit<unknown, RedisError>>)
  }

  /** Makes the refused commands the ones that are owed. Done before the owner is asked, because it may write them at once. */
  private expectAgain(errors: ReadonlyArray<ErrorReply | undefined>): void {
    const places: Array<number> = []
    for (let i = 0; i < errors.length; i++) {
      if (errors[i] !== undefined) {
        places.push(i)
      }
    }
    this.errors = undefined
    this.encoded = undefined
    this.places = places.length === this.commands.length ? undefined : places
    this.remaining = places.length
  }

  fail(failure: Failure): void {
    const { commands, places, remaining } = this
    // Results that are known stay; of the other commands only the failure is known.
    const exits = [...this.exits]
    for (let owed = remaining; owed > 0; owed--) {
      const at = places === undefined ? commands.length - owed : (places[places.length - owed] as number)
      exits[at] = Exit.fail(this.errorOf(failure, (commands[at] as RedisCommand<unknown>).name))
    }
    this.give(exits as ReadonlyArray<Exit.Exit<unknown, RedisError>>)
  }

  private give(exits: ReadonlyArray<Exit.Exit<unknown, RedisError>>): void {
    reportFailures(this.told, exits)
    this.resume(Exit.succeed({ outcome: "executed", exits }))
  }
}
