/**
 * An engine as Effects see it: commands in, results out, and the state that commands leave on their connection. A
 * connection, a pool's member and the shared client's current socket are each one Link.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { decode, make as makeCommand, type RedisCommand, reword } from "../../RedisCommand.js"
import { type RedisError, UsageError } from "../../RedisError.js"
import { Argument } from "../command/args.js"
import type { BatchResult } from "../command/model.js"
import { type CloseReason, Engine, type EngineOptions, type Transport } from "../engine/engine.js"
import {
  argumentText,
  type BatchOptions,
  BlockingCall,
  type Left,
  newestOf,
  nothing,
  prepare,
  prepareAll,
  refused,
  sliceOf,
  type Tracker,
  type Unit,
  withdrawal
} from "../request/request.js"
import { ErrorReply, MapReply, type Push, type Reply } from "../resp/values.js"

/** What a link was told to be, and what commands have made of it since. */
export class Session {
  /** The database that is selected. */
  database: number
  /** Why the connection is no longer what the handshake made it, if only a new one can undo that. */
  altered: string | undefined
  watching = false
  /** How often WATCH was ended, counted as what ends it is sent. */
  watchEnds = 0
  inTransaction = false
  protocol: 2 | 3
  constructor(
    public home: { readonly database: number },
    protocol: 2 | 3
  ) {
    this.database = home.database
    this.protocol = protocol
  }

  /** The greeting is over: what it did is how the connection is meant to be. */
  settle(protocol: 2 | 3): void {
    this.protocol = protocol
    this.database = this.home.database
    this.altered = undefined
  }

  /** What is different from the handshake, or `undefined`. */
  get difference(): string | undefined {
    return this.altered !== undefined
      ? this.altered
      : this.inTransaction
        ? "MULTI"
        : this.watching
          ? "WATCH"
          : this.database !== this.home.database
            ? "SELECT"
            : undefined
  }
}

export interface LinkOptions extends Omit<EngineOptions, "onPush" | "onClose"> {
  /** The deadline of a command that has none of its own, in milliseconds. */
  readonly replyTimeout: number
  readonly database: number
}

export interface PushListener {
  readonly onPush: (push: Push) => void
  /** Nothing comes any more: why the connection ended; nothing, when only a lease of it did. */
  readonly onEnd: (close: CloseReason | undefined) => void
}

/** Whoever sends over a link: its owner, or one of those who lease it. */
export class Holder {
  /** What had ended WATCH on the link when this holder sent its own; `undefined` while it watches nothing. */
  watching: number | undefined
  constructor(
    /** Why it may not send any more; asked in the same breath as a command is accepted. */
    readonly refusal: () => UsageError | undefined
  ) {}
}

/** How long a wait without end is asked for at once, in milliseconds. Shorter where silence is noticed sooner. */
const longestSlice = 20_000

const exec = makeCommand("EXEC")

const endsWatch = new Set(["EXEC", "DISCARD", "UNWATCH", "RESET"])

export class Link implements Tracker {
  readonly engine: Engine
  readonly session: Session
  /** The server's id of this client, once the handshake knows it. */
  id: number | undefined
  /** The SHA1s of scripts that were run over this link: the server holds them. */
  private scripts = new Set<string>()
  private readonly pushListeners = new Set<PushListener>()
  private readonly closeListeners = new Set<(reason: CloseReason) => void>()

  constructor(
    transport: Transport,
    readonly options: LinkOptions
  ) {
    this.session = new Session(options, 2)
    this.engine = new Engine(transport, {
      ...options,
      onPush: (push) => {
        for (const listener of this.pushListeners) {
          listener.onPush(push)
        }
      },
      onClose: (reason) => {
        this.endPushes(reason)
        for (const listener of [...this.closeListeners]) {
          listener(reason)
        }
      }
    })
  }

  /** The greeting is over: what it did is how the connection is meant to be, and silence is asked about from now on. */
  settle(protocol: 2 | 3): void {
    this.session.settle(protocol)
    // Inside MULTI a PING would be one of the transaction's commands; where MONITOR speaks there is no silence.
    this.engine.startPinging(() => !this.session.inTransaction && !this.engine.monitoring)
  }

  /** Adds a listener; answers how to remove it. */
  onPush(listener: PushListener): () => void {
    if (this.engine.closed !== undefined) {
      listener.onEnd(this.engine.closed)
      return () => {}
    }
    this.pushListeners.add(listener)
    return () => this.pushListeners.delete(listener)
  }

  /** Tells all listeners that nothing comes any more, and forgets them. */
  endPushes(reason: CloseReason | undefined): void {
    for (const listener of this.pushListeners) {
      listener.onEnd(reason)
    }
    this.pushListeners.clear()
  }

  onClose(listener: (reason: CloseReason) => void): () => void {
    this.closeListeners.add(listener)
    return () => this.closeListeners.delete(listener)
  }

  /** `left` is told of the call when the caller's wait ends: before its reply, by interruption or its deadline, or with it. */
  send<A>(command: RedisCommand<A>, holder?: Holder, left?: Left): Effect.Effect<A, RedisError> {
    if (command.traits.blocking === undefined || this.session.inTransaction) {
      return this.sendOnce(command, holder, left)
    }
    const newest = newestOf(command)
    if (newest.length > 0) {
      return Effect.flatMap(this.resolve(command, newest, holder), (resolved) =>
        resolved === undefined ? this.sendOnce(command, holder, left) : this.sendSlices(resolved, holder, left)
      )
    }
    return this.sendSlices(command, holder, left)
  }

  private sendSlices<A>(
    command: RedisCommand<A>,
    holder: Holder | undefined,
    left: Left | undefined
  ): Effect.Effect<A, RedisError> {
    const millis = Math.min(longestSlice, Math.ceil(this.options.unresponsiveAfter / 2))
    const slice = sliceOf(command, millis)
    if (slice === undefined) {
      return this.sendOnce(command, holder, left)
    }
    const again: Effect.Effect<A, RedisError> = Effect.suspend(() => {
      const started = performance.now()
      return Effect.flatMap(this.sendOnce(slice, holder, left), (reply) =>
        // Nil before its time is the server's own answer: somebody unblocked this connection.
        reply === null && performance.now() - started >= millis * 0.9 ? again : decode(command, reply)
      )
    })
    return again
  }

  /** XREAD from `$` with the ids that `$` means now, or `undefined` when they cannot be had. */
  private resolve<A>(
    command: RedisCommand<A>,
    newest: ReadonlyArray<{ readonly at: number; readonly key: Argument }>,
    holder: Holder | undefined
  ): Effect.Effect<RedisCommand<A> | undefined, RedisError> {
    const lookups = newest.map(({ key }) =>
      makeCommand("XREVRANGE", { args: [key, "+", "-", "COUNT", 1], decode: (reply) => lastId(reply) })
    )
    return Effect.flatMap(this.sendAll(lookups, { atomic: false }, holder), ({ exits }) => {
      const args = [...command.args]
      for (const [i, exit] of exits.entries()) {
        if (Exit.isFailure(exit)) {
          const error = Option.getOrUndefined(Cause.failureOption(exit.cause)) as RedisError | undefined
          // A user who may not look, or a key that is no stream: XREAD itself knows best what to say.
          return error?._tag === "ReplyError" ? Effect.succeed(undefined) : (exit as Exit.Exit<never, RedisError>)
        }
        args[newest[i]?.at ?? -1] = new Argument("value", exit.value as string)
      }
      return Effect.succeed(reword(command, { args }))
    })
  }

  private sendOnce<A>(command: RedisCommand<A>, holder: Holder | undefined, left?: Left): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const call =
        holder?.refusal() ?? this.refusal(command) ?? prepare(command, resume, this.options.replyTimeout, this)
      if (call instanceof UsageError) {
        return resume(Exit.fail(call))
      }
      this.follow(command, holder)
      if (left === undefined || !(call instanceof BlockingCall)) {
        return this.take(call)
      }
      call.left = left
      this.take(call)
      return Effect.sync(() => call.leave())
    })
  }

  private follow({ name, traits }: RedisCommand<unknown>, holder: Holder | undefined): void {
    if (traits.stateful === undefined) {
      return
    }
    const { session } = this
    if (endsWatch.has(name)) {
      session.watchEnds++
      if (holder !== undefined) {
        holder.watching = undefined
      }
    } else if (name === "WATCH" && holder !== undefined) {
      holder.watching ??= session.watchEnds
    }
  }

  /** Sends commands as one unit: one write, no other command in between. Answers what became of each. */
  sendAll(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: BatchOptions,
    holder?: Holder
  ): Effect.Effect<BatchResult, RedisError> {
    if (commands.length === 0) {
      return Effect.succeed(nothing)
    }
    return Effect.async<BatchResult, RedisError>((resume) => {
      let refusal = holder?.refusal() ?? (options.atomic && this.session.inTransaction ? nested : undefined)
      for (let i = 0; refusal === undefined && i < commands.length; i++) {
        refusal = this.refusal(commands[i] as RedisCommand<unknown>)
      }
      const unit = refusal ?? prepareAll(commands, options, resume, this.options.replyTimeout, this)
      if (unit instanceof UsageError) {
        return resume(Exit.fail(unit))
      }
      if (options.atomic) {
        if (holder?.watching !== undefined && holder.watching !== this.session.watchEnds) {
          // Somebody else on this connection ended the WATCH that this transaction relies on: no EXEC would tell.
          holder.watching = undefined
          return resume(Exit.succeed({ outcome: "conflict", exits: [] }))
        }
        this.follow(exec, holder)
      } else {
        for (const command of commands) {
          this.follow(command, holder)
        }
      }
      return this.take(unit)
    })
  }

  /** Takes a unit; answers how to take it back when it has to wait. */
  private take(unit: Unit): Effect.Effect<void> | undefined {
    unit.deadline = this.engine.now() + unit.allowed
    return this.accept(unit) ? undefined : withdrawal(unit)
  }

  /** Hands a unit, whose deadline is set, to the engine; answers whether it is on its way, and does not wait. */
  accept(unit: Unit): boolean {
    unit.via = this
    const encoded = unit.take(this.scripts)
    if (unit.flushesScripts) {
      // A new set: what is answered still, of before the flush, is learnt by the old one.
      this.scripts = new Set()
    }
    return this.engine.accept(unit, encoded)
  }

  /** Commands that no connection of ours can carry: without their replies, or with too many, nothing could settle. */
  private refusal(command: RedisCommand<unknown>): UsageError | undefined {
    const stateful = command.traits.stateful
    if (stateful === undefined && !this.engine.monitoring) {
      return undefined
    }
    if (this.engine.monitoring && command.name !== "RESET" && command.name !== "QUIT") {
      return refused(command.name, "the connection is in MONITOR mode; only RESET and QUIT can be sent")
    }
    if (stateful === "silence" && argumentText(command.args[0]) !== "ON") {
      return refused(command.name, "without replies no command could ever be known to be done")
    }
    if (stateful === "subscription" && command.args.length === 0) {
      return refused(command.name, "name the channels: how many confirmations come for all of them is not known")
    }
    if (stateful === "subscription" && this.session.inTransaction) {
      return refused(command.name, "inside MULTI it is not confirmed channel by channel")
    }
    return undefined
  }

  /** What a stateful command's going out means, before its reply is known: the worst. */
  begin(command: RedisCommand<unknown>): void {
    const { session } = this
    switch (command.traits.stateful) {
      case "transaction":
        if (command.name === "MULTI") {
          session.inTransaction = true
        }
        return
      case "watch":
        if (command.name === "WATCH") {
          session.watching = true
        }
        return
      case "database":
        return
      default:
        session.altered ??= command.name
    }
  }

  /** What its reply says. */
  finish(command: RedisCommand<unknown>, reply: Reply): void {
    const { session } = this
    if (reply instanceof ErrorReply) {
      if (command.name === "EXEC" && reply.code === "EXECABORT") {
        session.inTransaction = false
        session.watching = false
      }
      return
    }
    switch (command.name) {
      case "SELECT":
        session.database = Number(argumentText(command.args[0]))
        if (reply === "QUEUED") {
          // Whether EXEC comes, and does it, is not followed.
          session.altered ??= command.name
        }
        return
      // Again, beside `begin`: what ended a transaction may have been sent before, and answered since.
      case "MULTI":
        session.inTransaction = true
        return
      case "WATCH":
        session.watching = true
        return
      case "EXEC":
      case "DISCARD":
        session.inTransaction = false
        session.watching = false
        return
      case "UNWATCH":
        // Inside MULTI it is only queued.
        session.watching &&= reply === "QUEUED"
        return
      case "RESET":
        session.database = 0
        session.inTransaction = false
        session.watching = false
        session.protocol = 2
        this.engine.reset()
        return
      case "HELLO":
        session.protocol = protocolOf(reply) ?? session.protocol
        return
      case "MONITOR":
        this.engine.monitoring = true
    }
  }

  /** Waits for what is owed, for a bounded time, then ends the connection. Safe in finalizers: the bound is no Effect. */
  close(graceMillis: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      this.engine.close(graceMillis, () => resume(Effect.void))
    })
  }

  destroy(message: string): void {
    this.engine.destroy({ reason: "closed", message })
  }
}

/** The id of the newest entry, behind which `$` begins; before all ids where there is none. */
const lastId = (reply: Reply): string => {
  const entry = Array.isArray(reply) ? (reply as ReadonlyArray<Reply>)[0] : undefined
  const id = Array.isArray(entry) ? (entry as ReadonlyArray<Reply>)[0] : undefined
  return typeof id === "string" ? id : "0-0"
}

const nested = refused("MULTI", "the connection is inside one already, begun by hand")

const protocolOf = (reply: Reply): 2 | 3 | undefined => {
  const items = reply instanceof MapReply ? reply.items : Array.isArray(reply) ? (reply as ReadonlyArray<Reply>) : []
  const proto = items[items.indexOf("proto") + 1]
  return items.includes("proto") && (proto === 2 || proto === 3) ? proto : undefined
}
