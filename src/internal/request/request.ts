/**
 * What the engine is given to settle: a command, a pipeline, a transaction, each with the Effect that waits for it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { decode, make as makeCommand, type RedisCommand, slice, specFor } from "../../RedisCommand.js"
import { DecodeError, type RedisError, recovery, UsageError } from "../../RedisError.js"
import { Argument } from "../command/args.js"
import type { Blocking } from "../command/facts.js"
import type { BatchResult } from "../command/model.js"
import * as ReplyErrors from "../command/replyError.js"
import { type Failure, Pending } from "../engine/engine.js"
import { withdraw } from "../engine/queue.js"
import { type Encoded, EncodeFailure, encode } from "../resp/encoder.js"
import { utf8Encode } from "../resp/text.js"
import { ErrorReply, type Reply } from "../resp/values.js"
import { toRedisError } from "./failure.js"

/** Follows what stateful commands do to their connection. */
export interface Tracker {
  /** Called when the command is accepted, before its reply is known. */
  readonly begin: (command: RedisCommand<unknown>) => void
  /** Called with its reply, whether or not anybody still waits for it. */
  readonly finish: (command: RedisCommand<unknown>, reply: Reply) => void
}

/** What became of an empty batch: there is no reply to wait for. */
export const nothing: BatchResult = { outcome: "executed", exits: [] }

/** What a batch asks of its connection. */
export interface BatchOptions {
  readonly atomic: boolean
  /** In milliseconds from when it is accepted. Without it the longest of its commands' counts. */
  readonly deadline?: number | undefined
}

/** A pending unit as its client handles it: it can be sent on another connection while it is not settled. */
export abstract class Unit extends Pending {
  /** The time it is allowed, in milliseconds, from when it is accepted. */
  allowed = Infinity
  /** How often it was written. */
  attempts = 0
  /** How often the server refused it before executing it. */
  refusals = 0
  owner: UnitOwner | undefined = undefined
  /** The connection it was given to last. */
  via: Via | undefined = undefined
  /** The fiber that waits, where it may be sent again: such a unit has no canceler. */
  caller: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined

  constructor(
    remaining: number,
    protected encoded: Encoded | undefined
  ) {
    super(remaining)
  }

  /** Its caller has ended: interrupted, since nothing was answered. One that still runs finalizers is not told from one that waits. */
  override get abandoned(): boolean {
    return this.caller !== undefined && this.caller.unsafePoll() !== null
  }

  /** What it is on the wire, for as long as it waits. */
  get wire(): Encoded {
    return (this.encoded ??= this.encode())
  }

  /**
   * What to write on a connection that holds these scripts, by SHA1. Kept no longer: while its reply is owed, what was
   * written would be a third of what it holds.
   */
  take(_scripts: Set<string>): Encoded {
    const { encoded } = this
    this.encoded = undefined
    return encoded ?? this.encode()
  }

  /** It has the server forget its scripts. */
  abstract readonly flushesScripts: boolean

  /** Once more: it was encoded before, so it can be. */
  protected abstract encode(): Encoded

  /** Whether executing it twice is the same as once: all of it is readonly, or was declared so. */
  abstract readonly repeatable: boolean
  abstract fail(failure: Failure): void

  /** It was written once and waits to be written again: whatever becomes of that, it may have been executed. */
  private written = false

  onFailure(failure: Failure): void {
    if (this.abandoned) {
      return
    }
    if (this.owner === undefined || !this.owner.recover(this, failure)) {
      this.fail(failure)
    } else if (failure._tag === "Closed" && failure.delivery === "unknown") {
      this.written = true
    }
  }

  /** A failure, as an error that says what is known. */
  protected errorOf(failure: Failure, command: string): RedisError {
    return toRedisError(
      this.written && failure._tag !== "Overflow" ? { ...failure, delivery: "unknown" } : failure,
      command,
      this.allowed
    )
  }

  /** Whether its owner sends it again, because the server refused all of it before executing any. */
  protected refusedEarly(code: string): boolean {
    this.refusals++
    if (this.abandoned) {
      this.settled = true
      if (recovery(code) === "reconnect") {
        this.demote()
      }
      return true
    }
    return this.owner?.retry(this, code) === true
  }

  /** The server is read-only, and this unit is not sent again: the next one should reach another server. */
  protected demote(): void {
    if (this.via !== undefined) {
      this.via.session.altered ??= "READONLY"
    }
    this.owner?.demoted(this)
  }
}

/** Takes back what waits. A function of its own, so that only those who wait have its closure. */
export const withdrawal = (unit: Unit): Effect.Effect<void> => Effect.sync(() => withdraw(unit))

/** What a unit knows of its connection. */
export interface Via {
  readonly session: { altered: string | undefined }
}

const isReadOnly = (reply: Reply): boolean => reply instanceof ErrorReply && recovery(reply.code) === "reconnect"

/** Who may send a unit again. The first two answer whether it was taken over; its caller hears nothing then. */
export interface UnitOwner {
  readonly recover: (unit: Unit, failure: Failure) => boolean
  readonly retry: (unit: Unit, code: string) => boolean
  /** Told that the server of the unit's connection is read-only. */
  readonly demoted: (unit: Unit) => void
}

/** Checks and encodes a command; answers what to send, or why it cannot be sent. */
export const prepare = <A>(
  command: RedisCommand<A>,
  resume: (exit: Exit.Exit<A, RedisError>) => void,
  replyTimeout: number,
  tracker: Tracker | undefined
): Call<A> | UsageError => {
  const problem = command.problem
  if (problem !== undefined) {
    return problem
  }
  const spec = specFor(command)
  const encoded = encode(spec.wire, command.args)
  if (encoded instanceof EncodeFailure) {
    return unsendable(command, encoded)
  }
  const { traits } = spec
  const blocking = traits.blocking === undefined ? undefined : blockingMillis(command)
  const call =
    tracker !== undefined && traits.stateful !== undefined
      ? new StatefulCall(command, resume, encoded, tracker)
      : spec.script !== undefined
        ? new ScriptCall(command, resume, encoded)
        : traits.blocking !== undefined
          ? new BlockingCall(command, resume, encoded, blocking !== undefined)
          : new Call(command, resume, encoded)
  call.allowed = command.deadline ?? (blocking === undefined ? replyTimeout : blocking + replyTimeout)
  return call
}

/** Checks and encodes commands as one unit. */
export const prepareAll = (
  commands: ReadonlyArray<RedisCommand<unknown>>,
  options: BatchOptions,
  resume: (exit: Exit.Exit<BatchResult, RedisError>) => void,
  replyTimeout: number,
  tracker: Tracker | undefined
): Unit | UsageError => {
  const encoded = encodeAll(commands, options, noScripts)
  if (encoded instanceof UsageError) {
    return encoded
  }
  const blocking = blockingOf(commands, options)
  const unit = options.atomic
    ? new Transaction(commands, resume, encoded, tracker)
    : new Batch(commands, resume, encoded, tracker, blocking > 0)
  unit.allowed = options.deadline ?? longestOf(commands, replyTimeout) + blocking
  return unit
}

/** How long the blocking commands of a pipeline may block, one after the other, in milliseconds. In MULTI nothing blocks. */
const blockingOf = (commands: ReadonlyArray<RedisCommand<unknown>>, { atomic }: BatchOptions): number => {
  let blocking = 0
  if (atomic) {
    return blocking
  }
  for (const command of commands) {
    blocking += command.traits.blocking === undefined ? 0 : (blockingMillis(command) ?? 0)
  }
  return blocking
}

const longestOf = (commands: ReadonlyArray<RedisCommand<unknown>>, replyTimeout: number): number => {
  let longest = 0
  for (const { deadline } of commands) {
    longest = Math.max(longest, deadline ?? replyTimeout)
  }
  return longest
}

/** The time that a batch without a deadline of its own is allowed: as long as its longest command may last. */
export const allowedFor = (
  commands: ReadonlyArray<RedisCommand<unknown>>,
  options: BatchOptions,
  replyTimeout: number
): number => longestOf(commands, replyTimeout) + blockingOf(commands, options)

const noScripts: ReadonlySet<string> = new Set()

/** Commands as one piece. Scripts that the connection holds go by their SHA1. */
const encodeAll = (
  commands: ReadonlyArray<RedisCommand<unknown>>,
  options: BatchOptions,
  scripts: ReadonlySet<string>
): Encoded | UsageError => {
  const parts: Array<string | Uint8Array> = []
  let text = options.atomic ? "*1\r\n$5\r\nMULTI\r\n" : ""
  for (const command of commands) {
    const problem = command.problem ?? batchRefusal(command, options)
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
  if (options.atomic) {
    text += "*1\r\n$4\r\nEXEC\r\n"
  }
  parts.push(text)
  return parts.length === 1 ? text : parts
}

/** A batch is written in parts of about this length: runtimes have a longest string. */
const partLength = 1024 * 1024

export const refused = (command: string, why: string): UsageError =>
  new UsageError({ reason: "refusedCommand", command, message: `${command} was not sent: ${why}` })

const unsendable = (command: RedisCommand<unknown>, failure: EncodeFailure): UsageError =>
  new UsageError({ reason: "invalidArgument", command: command.name, message: `${command.name}: ${failure.reason}` })

/** What cannot stand inside a unit whose replies are counted. */
const batchRefusal = (command: RedisCommand<unknown>, options: BatchOptions): UsageError | undefined => {
  const { stateful } = command.traits
  if (options.atomic && stateful !== undefined && stateful !== "database") {
    return refused(command.name, "it cannot be part of a transaction")
  }
  return stateful === "subscription" || command.name === "MONITOR"
    ? refused(command.name, "it cannot be part of a pipeline")
    : undefined
}

/** An argument as a word of Redis'. */
export const argumentText = (argument: Argument | undefined): string =>
  argument === undefined
    ? ""
    : (typeof argument.data === "string" ? argument.data : new TextDecoder().decode(argument.data)).toUpperCase()

/**
 * How long a blocking command may block, in milliseconds (Infinity: for ever), or `undefined` when this one does not.
 */
export const blockingMillis = (command: RedisCommand<unknown>): number | undefined => {
  const blocking = command.traits.blocking
  if (blocking === undefined) {
    return undefined
  }
  const { args } = command
  const index = timeoutIndex(args, blocking)
  if (index === undefined) {
    return undefined
  }
  const timeout = Number(argumentText(args[index]))
  // A timeout that is no number is the server's to refuse, at once.
  if (Number.isNaN(timeout)) {
    return undefined
  }
  return timeout === 0 ? Infinity : blocking.unit === "seconds" ? timeout * 1000 : timeout
}

/**
 * Whether executing a command twice is the same as once. A cursor means something to the server run that gave it only,
 * so a page in the middle of a scan is not asked again by itself.
 */
const isRepeatable = ({ args, name, traits }: RedisCommand<unknown>): boolean =>
  traits.repeatable ||
  (traits.readonly && !(/^[HSZ]?SCAN$/.test(name) && argumentText(args[name === "SCAN" ? 0 : 1]) !== "0"))

/** A script may have written before the server refused a command inside it: its error does not say. */
const refusedAsAWhole = ({ name, traits }: RedisCommand<unknown>): boolean =>
  traits.readonly || !/^(?:EVAL|EVALSHA|FCALL)$/.test(name)

/** Where a blocking command has its timeout; `undefined` when this one does not block. */
const timeoutIndex = (args: ReadonlyArray<Argument>, blocking: Blocking): number | undefined => {
  if (blocking.token !== undefined) {
    const index = optionIndex(args, blocking.token) + 1
    return index === 0 ? undefined : index
  }
  const at = blocking.index ?? -1
  return at < 0 ? args.length + at : at
}

/**
 * A slice of `millis` of a command that would wait for ever, or `undefined` for any other. It is asked again when it
 * passed without an answer, so that a peer that is gone is noticed by the slice's deadline (design law 8). Left alone are commands whose deadline
 * the user gave, WAIT and WAITAOF (they answer numbers), and XREAD from `$`, which would lose what came between.
 */
export const sliceOf = (command: RedisCommand<unknown>, millis: number): RedisCommand<Reply> | undefined => {
  const { args, deadline, name, traits } = command
  if (traits.blocking === undefined || deadline !== undefined || /^WAIT/.test(name)) {
    return undefined
  }
  const index = blockingMillis(command) === Infinity ? timeoutIndex(args, traits.blocking) : undefined
  return index === undefined || (name === "XREAD" && args.some((argument) => argumentText(argument) === "$"))
    ? undefined
    : slice(command, index, String(traits.blocking.unit === "seconds" ? millis / 1000 : millis))
}

/**
 * The streams that an XREAD without end reads from `$`, with the places of their ids; none for any other command. A slice
 * of such a wait would begin anew at `$`, and lose what came before it.
 */
export const newestOf = (
  command: RedisCommand<unknown>
): ReadonlyArray<{ readonly at: number; readonly key: Argument }> => {
  const { args, deadline, name } = command
  if (name !== "XREAD" || deadline !== undefined || blockingMillis(command) !== Infinity) {
    return []
  }
  const first = optionIndex(args, "STREAMS") + 1
  const count = (args.length - first) / 2
  return first === 0 || !Number.isInteger(count)
    ? []
    : args
        .slice(first + count)
        .flatMap((id, i) =>
          argumentText(id) === "$" ? [{ at: first + count + i, key: args[first + i] as Argument }] : []
        )
}

/**
 * Where XREAD and XREADGROUP have one of their options. Typed commands mark Redis' words as such. In raw ones a group or
 * a stream may be called like an option, so they are read as the server reads them: behind `GROUP group consumer`, up
 * to `STREAMS`.
 */
const optionIndex = (args: ReadonlyArray<Argument>, token: string): number => {
  if (args.some(({ kind }) => kind === "token")) {
    return args.findIndex((argument) => argument.kind === "token" && argumentText(argument) === token)
  }
  for (let i = argumentText(args[0]) === "GROUP" ? 3 : 0; i < args.length; i++) {
    const word = argumentText(args[i])
    if (word === token || word === "STREAMS") {
      return word === token ? i : -1
    }
  }
  return -1
}

/** One command and whoever waits for it. */
export class Call<A> extends Unit {
  constructor(
    readonly command: RedisCommand<A>,
    private readonly resume: (exit: Exit.Exit<A, RedisError>) => void,
    encoded: Encoded
  ) {
    super(1, encoded)
  }

  get text(): boolean {
    return this.command.text
  }

  override get endsConnection(): boolean {
    return this.command.traits.endsConnection
  }

  get flushesScripts(): boolean {
    return specFor(this.command).flushesScripts
  }

  get repeatable(): boolean {
    return isRepeatable(this.command)
  }

  protected encode(): Encoded {
    return encode(specFor(this.command).wire, this.command.args) as Encoded
  }

  onReply(reply: Reply): void {
    if (this.settled) {
      return
    }
    if (reply instanceof ErrorReply) {
      if (refusedAsAWhole(this.command)) {
        if (this.refusedEarly(reply.code)) {
          this.remaining = 1
          return
        }
        if (this.owner === undefined && isReadOnly(reply)) {
          this.demote()
        }
      } else if (isReadOnly(reply)) {
        this.demote()
      }
    }
    this.settled = true
    this.answer(reply)
  }

  protected answer(reply: Reply): void {
    this.resume(decode(this.command, reply))
  }

  fail(failure: Failure): void {
    this.resume(Exit.fail(this.errorOf(failure, this.command.name)))
  }
}

/** A command of the blocking kind. What becomes of it when its caller goes first is somebody's business. */
export class BlockingCall<A> extends Call<A> {
  /**
   * Told when the caller's wait ends before the reply: `late` may be set then, to be given that reply. Or told of the
   * reply that is the answer, just before the caller is.
   */
  left: Left | undefined = undefined
  late: ((reply: Reply) => void) | undefined = undefined

  constructor(
    command: RedisCommand<A>,
    resume: (exit: Exit.Exit<A, RedisError>) => void,
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

  /** Nobody waits for it any more: it is taken back, or its reply is late. */
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

/** See {@link BlockingCall.left}. */
export type Left = (call: BlockingCall<unknown>, reply?: Reply) => void

/** Whether a name that was sent is the one that came back, as text or as bytes. */
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

/** A command whose effect on the connection is followed, whether or not anybody still waits for it. */
class StatefulCall<A> extends Call<A> {
  constructor(
    command: RedisCommand<A>,
    resume: (exit: Exit.Exit<A, RedisError>) => void,
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

  private readonly push: string | undefined = undefined

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

/** One call of a script: when it was answered, the server holds the script. */
class ScriptCall<A> extends Call<A> {
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

/**
 * How many scripts are remembered, the newest. Servers forget those that EVAL gave them when there are more than 500, of all
 * their clients, that were used since.
 */
const mostScripts = 100

/** What a reply says about the script that a command runs, if it runs one. */
const learn = (scripts: Set<string> | undefined, command: RedisCommand<unknown>, reply: Reply): void => {
  const { script } = specFor(command)
  if (script === undefined || scripts === undefined) {
    return
  }
  if (!(reply instanceof ErrorReply)) {
    const sha = script.sha(command.args)
    scripts.delete(sha)
    scripts.add(sha)
    if (scripts.size > mostScripts) {
      scripts.delete(scripts.values().next().value as string)
    }
  } else if (reply.code === "NOSCRIPT") {
    scripts.delete(script.sha(command.args))
  }
}

/** Commands written as one piece. */
abstract class Commands extends Unit {
  abstract readonly atomic: boolean
  constructor(
    remaining: number,
    protected readonly commands: ReadonlyArray<RedisCommand<unknown>>,
    encoded: Encoded
  ) {
    super(remaining, encoded)
  }

  /** The scripts that its connection is known to hold, by SHA1. */
  protected scripts: Set<string> | undefined = undefined

  override take(scripts: Set<string>): Encoded {
    this.scripts = scripts
    if (scripts.size > 0 && this.commands.some((command) => specFor(command).script?.short !== undefined)) {
      this.encoded = encodeAll(this.commands, this, scripts) as Encoded
    }
    return super.take(scripts)
  }

  protected encode(): Encoded {
    return encodeAll(this.commands, this, noScripts) as Encoded
  }

  get flushesScripts(): boolean {
    return this.commands.some((command) => specFor(command).flushesScripts)
  }
}

/** Commands written at once, each with its own result. */
class Batch extends Commands {
  readonly atomic = false
  private exits: Array<Exit.Exit<unknown, RedisError>> = []
  /** How many of its commands, from the first, were answered with an error that says they were not executed. */
  private refused = 0
  private readOnly = false
  constructor(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    private readonly resume: (exit: Exit.Exit<BatchResult, RedisError>) => void,
    encoded: Encoded,
    private readonly tracker: Tracker | undefined,
    private readonly blocks: boolean
  ) {
    super(commands.length, commands, encoded)
    if (tracker !== undefined) {
      for (const command of commands) {
        if (command.traits.stateful !== undefined) {
          tracker.begin(command)
        }
      }
    }
  }

  get text(): boolean {
    return this.commands[this.commands.length - this.remaining]?.text ?? true
  }

  override get blocking(): boolean {
    return this.blocks
  }

  /** Only as a whole: when nothing of it was read yet. */
  get repeatable(): boolean {
    return this.exits.length === 0 && this.commands.every(isRepeatable)
  }

  onReply(reply: Reply): void {
    const command = this.commands[this.commands.length - this.remaining - 1] as RedisCommand<unknown>
    if (command.traits.stateful !== undefined) {
      this.tracker?.finish(command, reply)
    }
    learn(this.scripts, command, reply)
    if (this.settled) {
      return
    }
    if (reply instanceof ErrorReply && recovery(reply.code) !== "fail" && refusedAsAWhole(command)) {
      this.refused++
    }
    this.readOnly ||= isReadOnly(reply)
    this.exits.push(decode(command, reply))
    if (this.remaining === 0) {
      // Only when none of it was executed may it be sent again.
      if (this.refused === this.commands.length && this.refusedEarly((reply as ErrorReply).code)) {
        this.remaining = this.commands.length
        this.refused = 0
        this.readOnly = false
        this.exits = []
        return
      }
      if (this.readOnly) {
        this.demote()
      }
      this.settled = true
      this.resume(Exit.succeed({ outcome: "executed", exits: this.exits }))
    }
  }

  fail(failure: Failure): void {
    const { commands, exits } = this
    // What was read stays; of the rest only the failure is known.
    for (let i = exits.length; i < commands.length; i++) {
      exits.push(Exit.fail(this.errorOf(failure, (commands[i] as RedisCommand<unknown>).name)))
    }
    this.resume(Exit.succeed({ outcome: "executed", exits }))
  }
}

/** MULTI, the commands, EXEC: one unit. */
class Transaction extends Commands {
  readonly atomic = true
  readonly text: boolean
  /** What each command was answered while queueing: its refusal, or its result when MULTI was refused. */
  private readonly early: Array<Reply> = []
  private multi: Reply = null
  private index = -1
  private readOnly = false
  private stuck = false

  constructor(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    private readonly resume: (exit: Exit.Exit<BatchResult, RedisError>) => void,
    encoded: Encoded,
    private readonly tracker: Tracker | undefined
  ) {
    super(commands.length + 2, commands, encoded)
    // EXEC's reply holds them all: as bytes when any wants bytes, since text decoders read bytes too.
    this.text = commands.every((command) => command.text)
  }

  override get spoiled(): string | undefined {
    return this.stuck ? "EXEC failed, and its connection may still be inside MULTI" : undefined
  }

  /** Only when the user declared all of it so: reading alone is no reason to be in a transaction. */
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
      // It was not queued, it ran.
      this.trackCommand(index, reply)
    }
    this.readOnly ||= isReadOnly(reply) || saysReadOnly(reply)
    if (this.readOnly && index === this.commands.length) {
      this.demote()
    }
    if (this.settled || index === -1) {
      return
    }
    if (index < this.commands.length) {
      this.early.push(reply)
    } else {
      this.settled = true
      this.resume(this.result(reply))
    }
  }

  /** EXEC ends WATCH; and a SELECT inside was executed with the rest. */
  private track(exec: Reply): void {
    if (exec instanceof ErrorReply && !(this.multi instanceof ErrorReply) && !endsMulti.test(exec.code)) {
      // Where EXEC is renamed, say: everybody's commands would only be queued from now on.
      this.stuck = true
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
      // The commands were not queued but run: what they answered is what they did.
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
    this.resume(Exit.fail(this.errorOf(failure, "EXEC")))
  }
}

/** EXEC's answer, where the server became read-only since the commands were queued, or a script inside met that. */
const saysReadOnly = (exec: Reply): boolean =>
  exec instanceof ErrorReply
    ? /^EXECABORT .*\bREADONLY\b/.test(exec.message)
    : Array.isArray(exec) && (exec as ReadonlyArray<Reply>).some(isReadOnly)

/** Errors of EXEC that leave no transaction behind. */
const endsMulti = /^(?:EXECABORT|MOVED|ASK|CROSSSLOT|CLUSTERDOWN|TRYAGAIN)$/

const execCommand = makeCommand("EXEC")
