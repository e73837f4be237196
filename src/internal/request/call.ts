/**
 * A request of one command. This is the hot path: one object for each command in flight, and its result is handed over in
 * the same step as its reply is read.
 */
import * as Exit from "effect/Exit"
import type { RedisError } from "../../RedisError.js"
import { decode, specFor } from "../command/command.js"
import type { RedisCommand } from "../command/model.js"
import { atCaller } from "../effect/atCaller.js"
import type { Failure } from "../engine/failure.js"
import { withdraw } from "../engine/pending.js"
import { type Encoded, encode } from "../resp/encoder.js"
import { utf8Encode } from "../resp/text.js"
import { ErrorReply, type Reply } from "../resp/values.js"
import { reportFailures } from "./observed.js"
import { isReadOnly, isRepeatable } from "./recovery.js"
import { Request, type Tracker } from "./request.js"
import { learn } from "./scripts.js"
import type { Resume } from "./settings.js"

export class Call<A> extends Request {
  constructor(
    readonly command: RedisCommand<A>,
    private readonly resume: Resume<A>,
    encoded: Encoded
  ) {
    super(1, encoded)
  }

  get commands(): ReadonlyArray<RedisCommand<unknown>> {
    return [this.command]
  }

  get atomic(): boolean {
    return false
  }

  get text(): boolean {
    return this.command.text
  }

  override get mayTakeLong(): boolean {
    const { deadline } = this.command
    return deadline !== undefined && deadline !== Infinity
  }

  override get endsConnection(): boolean {
    return this.command.traits.endsConnection
  }

  get flushesScripts(): boolean {
    return this.command.traits.flushesScripts
  }

  get repeatable(): boolean {
    return isRepeatable(this.command)
  }

  get writesAgain(): boolean {
    const { readonly, repeatable } = this.command.traits
    return repeatable && !readonly
  }

  protected encode(): Encoded {
    return encode(specFor(this.command).wire, this.command.args) as Encoded
  }

  onReply(reply: Reply): void {
    if (this.settled) {
      return
    }
    if (reply instanceof ErrorReply && this.isSentAgain(reply)) {
      return
    }
    this.settled = true
    this.answer(reply)
  }

  /** Whether an error reply is not the answer, because the owner sends the command again. */
  private isSentAgain(error: ErrorReply): boolean {
    if (this.owner !== undefined) {
      // Set before the owner is asked, because it may hand the request to a link at once.
      this.remaining = 1
      if (this.isKept([error])) {
        return true
      }
      this.remaining = 0
    }
    if (isReadOnly(error)) {
      this.demote()
    }
    return false
  }

  protected answer(reply: Reply): void {
    this.give(decode(this.command, reply))
  }

  fail(failure: Failure): void {
    this.give(Exit.fail(this.errorOf(failure, this.command.name)))
  }

  private give(result: Exit.Exit<A, RedisError>): void {
    if (result._tag === "Failure") {
      reportFailures(this.told, [result])
    }
    this.resume(atCaller(result))
  }
}

/** Called when a blocking command's caller stops waiting, or just before its caller is given the reply. */
export type Left = (call: BlockingCall<unknown>, reply?: Reply) => void

/** A blocking command. Somebody may have to know what became of it when its caller stops waiting first. */
export class BlockingCall<A> extends Call<A> {
  /**
   * Called without a reply when the caller's wait ends first: `late` may then be set, and is given the late reply. Called
   * with the reply, when that is the answer, just before the caller is resumed.
   */
  left: Left | undefined = undefined
  late: ((reply: Reply) => void) | undefined = undefined

  constructor(
    command: RedisCommand<A>,
    resume: Resume<A>,
    encoded: Encoded,
    private readonly blocks: boolean
  ) {
    super(command, resume, encoded)
  }

  override get blocking(): boolean {
    return this.blocks
  }

  override onReply(reply: Reply): void {
    if (this.settled) {
      this.late?.(reply)
    } else {
      super.onReply(reply)
    }
  }

  protected override answer(reply: Reply): void {
    this.left?.(this as BlockingCall<unknown>, reply)
    super.answer(reply)
  }

  override fail(failure: Failure): void {
    if (failure._tag === "Deadline" && failure.phase === "reply") {
      this.left?.(this as BlockingCall<unknown>)
    }
    super.fail(failure)
  }

  /** The caller does not wait any more. A command that was not written is taken back; otherwise its reply will be late. */
  leave(): void {
    if (this.queued !== undefined) {
      return withdraw(this)
    }
    if (!this.settled) {
      this.settled = true
      this.left?.(this as BlockingCall<unknown>)
    }
  }
}

/** Whether the name that was sent is the one that came back, each as text or as bytes. */
export const sameName = (sent: string | Uint8Array | undefined, name: Reply | undefined): boolean => {
  if (sent === name) {
    return true
  }
  if (typeof sent === "string" ? !(name instanceof Uint8Array) : !(sent instanceof Uint8Array)) {
    return false
  }
  if (typeof name !== "string" && !(name instanceof Uint8Array)) {
    return false
  }
  const a = typeof sent === "string" ? utf8Encode(sent) : (sent as Uint8Array)
  const b = typeof name === "string" ? utf8Encode(name) : name
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** A command whose effect on the connection is followed, also when its caller does not wait any more. */
export class StatefulCall<A> extends Call<A> {
  private readonly push: string | undefined = undefined

  constructor(
    command: RedisCommand<A>,
    resume: Resume<A>,
    encoded: Encoded,
    private readonly tracker: Tracker
  ) {
    super(command, resume, encoded)
    if (command.traits.stateful === "subscription") {
      this.push = command.name.toLowerCase()
      this.remaining = command.args.length
    }
    tracker.begin(command)
  }

  override get confirmedBy(): string | undefined {
    return this.push
  }

  /** Channels are confirmed in the order they were named. */
  override confirmedFor(channel: Reply | undefined): boolean {
    const { args } = this.command
    return sameName(args[args.length - this.remaining]?.data, channel)
  }

  override onReply(reply: Reply): void {
    // A subscription is confirmed channel by channel; the last confirmation, or one error, is its reply.
    if (this.remaining > 0 && !(reply instanceof ErrorReply)) {
      return
    }
    this.tracker.finish(this.command, reply)
    super.onReply(reply)
  }
}

/** A command that runs a script: once it was answered, the server holds the script. */
export class ScriptCall<A> extends Call<A> {
  private scripts: Set<string> | undefined = undefined

  override take(scripts: Set<string>): Encoded {
    this.scripts = scripts
    return super.take(scripts)
  }

  override onReply(reply: Reply): void {
    learn(this.scripts, this.command, reply)
    super.onReply(reply)
  }
}
