/**
 * A link: one connection as Effects see it, with commands in and results out. It joins the engine, the session that follows
 * what commands leave on the connection, and whoever holds it. A `Connection`, a member of a pool and the current connection
 * of a client are each one link. A link is opened by a dial and is never replaced.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { RedisError, UsageError } from "../../RedisError.js"
import { Argument } from "../command/args.js"
import { decode, insideMulti, reword } from "../command/command.js"
import type { BatchOptions, BatchResult, RedisCommand } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import { Engine, type EngineOptions } from "../engine/engine.js"
import { rethrowLater } from "../engine/pending.js"
import * as Timers from "../engine/timers.js"
import type { CloseReason, Transport } from "../engine/transport.js"
import { refused } from "../request/batchRequest.js"
import { argumentText, newestOf, sliceOf } from "../request/blockingTime.js"
import { BlockingCall, type Left } from "../request/call.js"
import { observedAs } from "../request/observed.js"
import { nothing, prepare, prepareAll } from "../request/prepare.js"
import { Request, type Tracker, type Via, withdrawal } from "../request/request.js"
import type { RequestSettings } from "../request/settings.js"
import type { Push, Reply } from "../resp/values.js"
import { notify, type Observer } from "../telemetry/observer.js"
import type { ServerFacts } from "./serverFacts.js"
import { endsWatch, Session } from "./session.js"

export interface LinkOptions extends Omit<EngineOptions, "onPush" | "onClose">, RequestSettings {
  readonly database: number
  readonly clientName?: string | undefined
}

export interface PushListener {
  readonly onPush: (push: Push) => void
  /** No more pushes come. `close` says why the connection ended; it is `undefined` when only a lease of it ended. */
  readonly onEnd: (close: CloseReason | undefined) => void
}

/** Who sends over a link: its owner, or the borrower of a lease. */
export class Holder {
  /** How often WATCH had been ended on the link when this holder sent its own WATCH; `undefined` while it watches nothing. */
  watching: number | undefined
  constructor(
    /** Why it may not send any more. Asked in the same step in which a command is accepted. */
    readonly refusal: () => UsageError | undefined
  ) {}
}

/** The longest slice of a wait without end, in milliseconds. It is shorter where silence is noticed sooner. */
const longestSlice = 20_000

const exec = makeCommand("EXEC")

export class Link implements Tracker, Via, RequestSettings {
  readonly engine: Engine
  readonly session: Session
  /** What the handshake learnt of the server; `undefined` until it is done. */
  server: ServerFacts | undefined
  /** The SHA1s of scripts that were run over this link: the server holds them. */
  private scripts = new Set<string>()
  private readonly pushListeners = new Set<PushListener>()
  private readonly closeListeners = new Set<(reason: CloseReason) => void>()

  constructor(
    transport: Transport,
    readonly options: LinkOptions
  ) {
    this.session = new Session(options, 2)
    const load = options.observer?.load
    const answered = options.observer?.answered
    let owed = 0
    this.engine = new Engine(transport, {
      ...options,
      onSample: answered && ((millis) => notify(answered, { server: options.address, millis })),
      onOwed:
        load &&
        ((replies) => {
          if (replies !== owed) {
            notify(load, { server: options.address, inFlight: replies - owed, commands: 0, bytes: 0 })
            owed = replies
          }
        }),
      onPush: (push) => {
        // A copy: in Effect 4 a program goes on inside the call, and may listen again for the next push.
        for (const listener of [...this.pushListeners]) {
          guarded(() => listener.onPush(push))
        }
      },
      onClose: (reason) => {
        this.endPushes(reason)
        for (const listener of [...this.closeListeners]) {
          guarded(() => listener(reason))
        }
      }
    })
  }

  /** The server's id of this connection, where it is known. */
  get id(): number | undefined {
    return this.server?.id
  }

  get replyTimeout(): number {
    return this.options.replyTimeout
  }

  /** The handshake is reported as an attempt to connect, so its commands are not reported as requests. */
  get observer(): Observer | undefined {
    return this.server === undefined ? undefined : this.options.observer
  }

  get address(): string {
    return this.options.address
  }

  /** The handshake is done. Its state is the one that a lease must return to, and an idle peer is asked with PING from now on. */
  settle(server: ServerFacts): void {
    this.server = server
    this.session.settle(server.protocol)
    // Inside MULTI a PING would be one of the transaction's commands, and a connection in MONITOR mode is never idle.
    this.engine.startPinging(() => !this.session.inTransaction && !this.engine.monitoring)
  }

  /** Adds a listener. Returns how to remove it. */
  onPush(listener: PushListener): () => void {
    if (this.engine.closed !== undefined) {
      listener.onEnd(this.engine.closed)
      return () => {}
    }
    this.pushListeners.add(listener)
    return () => this.pushListeners.delete(listener)
  }

  /** Tells all listeners that no more pushes come, and forgets them. */
  endPushes(reason: CloseReason | undefined): void {
    for (const listener of this.pushListeners) {
      guarded(() => listener.onEnd(reason))
    }
    this.pushListeners.clear()
  }

  onClose(listener: (reason: CloseReason) => void): () => void {
    this.closeListeners.add(listener)
    return () => this.closeListeners.delete(listener)
  }

  /** Sends a command. `left` is called when the caller of a blocking command stops waiting, or with its reply. */
  send<A>(command: RedisCommand<A>, holder?: Holder, left?: Left): Effect.Effect<A, RedisError> {
    if (command.traits.blocking === undefined || this.session.inTransaction) {
      return this.sendOnce(command, holder, left)
    }
    // The parts of a long wait are watched as one command. `left` is given by who watches the whole.
    const sent = this.sendBlocking(command, holder, left)
    return left === undefined ? observedAs(this, command, () => sent) : sent
  }

  private sendBlocking<A>(
    command: RedisCommand<A>,
    holder: Holder | undefined,
    left: Left | undefined
  ): Effect.Effect<A, RedisError> {
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
      const started = Timers.now()
      return Effect.flatMap(this.sendOnce(slice, holder, left), (reply) =>
        // A nil reply before the slice has passed is the answer: the server unblocked this connection.
        reply === null && Timers.now() - started >= millis * 0.9 ? again : decode(command, reply)
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
    return Effect.flatMap(this.sendAll(lookups, { atomic: false }, holder, null), ({ exits }) => {
      const args = [...command.args]
      for (const [i, exit] of exits.entries()) {
        if (Exit.isFailure(exit)) {
          const error = Option.getOrUndefined(Cause.failureOption(exit.cause)) as RedisError | undefined
          // The user may not read the key, or it does not hold a stream: the error of XREAD itself says it best.
          return error?._tag === "ReplyError" ? Effect.succeed(undefined) : (exit as Exit.Exit<never, RedisError>)
        }
        args[newest[i]?.at ?? -1] = new Argument("value", exit.value as string)
      }
      return Effect.succeed(reword(command, { args }))
    })
  }

  private sendOnce<A>(command: RedisCommand<A>, holder: Holder | undefined, left?: Left): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const sent = this.session.inTransaction ? insideMulti(command) : command
      const isPart = command.traits.blocking !== undefined && !this.session.inTransaction
      const call =
        holder?.refusal() ?? this.refusal(command) ?? prepare(sent, resume, this, this, isPart ? null : undefined)
      // The error may be of another copy of this package: see `SharedClient.send`.
      if (!(call instanceof Request)) {
        return resume(Effect.fail(call))
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

  private follow(command: RedisCommand<unknown>, holder: Holder | undefined): void {
    const { session, stateful } = command.traits
    if (stateful === undefined) {
      return
    }
    if (endsWatch(command)) {
      this.session.watchEnds++
      if (holder !== undefined) {
        holder.watching = undefined
      }
    } else if (session === "watch" && holder !== undefined) {
      holder.watching ??= this.session.watchEnds
    }
  }

  /** Sends commands as one request: in one write, with no other command in between. */
  sendAll(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: BatchOptions,
    holder?: Holder,
    within?: null
  ): Effect.Effect<BatchResult, RedisError> {
    if (commands.length === 0) {
      return Effect.succeed(nothing)
    }
    return Effect.async<BatchResult, RedisError>((resume) => {
      let refusal = holder?.refusal() ?? (options.atomic && this.session.inTransaction ? nested() : undefined)
      for (let i = 0; refusal === undefined && i < commands.length; i++) {
        refusal = this.refusal(commands[i] as RedisCommand<unknown>)
      }
      const lost = options.atomic && holder?.watching !== undefined && holder.watching !== this.session.watchEnds
      if (refusal === undefined && lost) {
        // Another holder of this connection ended the WATCH that this transaction relies on, and EXEC would not report it.
        holder.watching = undefined
        return resume(Exit.succeed({ outcome: "conflict", exits: [] }))
      }
      const request = refusal ?? prepareAll(commands, options, resume, this, this, within)
      if (!(request instanceof Request)) {
        return resume(Effect.fail(request))
      }
      if (options.atomic) {
        this.follow(exec, holder)
      } else {
        for (const command of commands) {
          this.follow(command, holder)
        }
      }
      return this.take(request)
    })
  }

  /** Takes a request. Returns how to take it back when it has to wait. */
  private take(request: Request): Effect.Effect<void> | undefined {
    request.deadline = this.engine.now() + request.allowed
    return this.accept(request) ? undefined : withdrawal(request)
  }

  /** Hands a request, whose deadline is set, to the engine. Returns whether it is on its way; otherwise it waits. */
  accept(request: Request): boolean {
    request.via = this
    request.watch?.handed(this.address)
    // Inside a MULTI that the program sent by itself every source is sent, and QUEUED does not mean that the server holds it.
    const encoded = request.take(this.session.inTransaction ? new Set() : this.scripts)
    if (request.flushesScripts) {
      // A new set: replies to what was sent before the flush are still learnt by the old one.
      this.scripts = new Set()
    }
    return this.engine.accept(request, encoded)
  }

  private refusal(command: RedisCommand<unknown>): UsageError | undefined {
    return command.traits.stateful === undefined && !this.engine.monitoring
      ? undefined
      : refuseOn(command, this.session, this.engine.monitoring)
  }

  begin(command: RedisCommand<unknown>): void {
    this.session.begin(command)
  }

  finish(command: RedisCommand<unknown>, reply: Reply): void {
    this.session.finish(command, reply, this.engine)
  }

  /**
   * Waits for the replies that are owed, for a bounded time, then ends the connection. The bound is a timer and not an
   * Effect, so that it also works in a finalizer.
   */
  close(graceMillis: number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      this.engine.close(graceMillis, () => resume(Effect.void))
    })
  }

  destroy(message: string): void {
    this.engine.destroy({ reason: "closed", message })
  }
}

/** Calls a listener. What it throws ends nothing else. */
const guarded = (call: () => void): void => {
  try {
    call()
  } catch (error) {
    rethrowLater(error)
  }
}

/** The id of the newest entry, after which `$` begins; the id before all others when the stream is empty. */
const lastId = (reply: Reply): string => {
  const entry = Array.isArray(reply) ? (reply as ReadonlyArray<Reply>)[0] : undefined
  const id = Array.isArray(entry) ? (entry as ReadonlyArray<Reply>)[0] : undefined
  return typeof id === "string" ? id : "0-0"
}

/** Why no connection can carry a command: it would get no replies, or an unknown number of them. */
export const refuseOn = (
  command: RedisCommand<unknown>,
  { inTransaction }: Session,
  monitoring: boolean
): UsageError | undefined => {
  const { session, stateful } = command.traits
  if (monitoring && session !== "reset" && session !== "quit") {
    return refused(command.name, "the connection is in MONITOR mode; only RESET and QUIT can be sent")
  }
  if (stateful === "silence" && argumentText(command.args[0]) !== "ON") {
    return refused(command.name, "without replies no command could ever be known to be done")
  }
  if (stateful === "subscription" && command.args.length === 0) {
    return refused(command.name, "name the channels: how many confirmations come for all of them is not known")
  }
  if (stateful === "subscription" && inTransaction) {
    return refused(command.name, "inside MULTI it is not confirmed channel by channel")
  }
  return undefined
}

export const nested = (): UsageError =>
  refused("MULTI", "the connection is inside a transaction already, which was begun with MULTI")
