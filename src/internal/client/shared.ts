/**
 * The shared connection of a node: every fiber's commands go over it, and it is replaced when it ends. The shared client
 * decides what happens to a request whose connection ended:
 *
 * - never written: it waits for the next connection, in order, within its deadline and the bounds of the queue;
 * - written and readonly: it is sent again, at most `maxRetries` times;
 * - written otherwise: it fails, and the error says that it may have been executed.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type RedisError, recovery, UsageError } from "../../RedisError.js"
import type { BatchOptions, BatchResult, RedisCommand } from "../command/model.js"
import type { Dial } from "../connection/dial.js"
import type { Link } from "../connection/link.js"
import type { ReconnectSettings } from "../connection/pacer.js"
import { Reconnector, supervise } from "../connection/reconnect.js"
import { currentFiber } from "../effect/fork.js"
import type { Failure } from "../engine/failure.js"
import { settleFailure } from "../engine/pending.js"
import { CommandQueue } from "../engine/queue.js"
import * as Timers from "../engine/timers.js"
import { blockingMillis } from "../request/blockingTime.js"
import { reportRetry } from "../request/observed.js"
import { nothing, prepare, prepareAll } from "../request/prepare.js"
import { isRefusal } from "../request/recovery.js"
import { type Refusals, Request, type RequestOwner, withdrawal } from "../request/request.js"
import type { RequestSettings } from "../request/settings.js"
import type { ErrorReply } from "../resp/values.js"

export interface ClientSettings extends ReconnectSettings {
  /** How often a readonly command that was written is sent again, and a command that a read-only server refused. */
  readonly maxRetries: number
}

/** How often the deadlines of waiting commands are looked at, in milliseconds. */
const tickMillis = 20

/** How long a command waits before it is sent again to a server that was not ready, in milliseconds. */
const retryMillis = 100

export class SharedClient implements RequestOwner, RequestSettings {
  readonly reconnector: Reconnector
  private readonly waiting: CommandQueue
  private timer: Timers.Timer | undefined
  /** Requests that a server refused because it was not ready. They are sent again together, in order. */
  private readonly delayed: CommandQueue
  private retryTimer: Timers.Timer | undefined

  constructor(
    private readonly dial: Dial,
    private readonly settings: ClientSettings
  ) {
    const { options } = dial
    this.waiting = new CommandQueue(options.queueBounds)
    this.delayed = new CommandQueue(options.queueBounds)
    this.reconnector = new Reconnector(dial, settings, {
      attach: (link) => this.attach(link),
      failWaiting: (close) => this.failWaiting({ _tag: "Closed", close, delivery: "unsent" })
    })
  }

  get replyTimeout(): number {
    return this.dial.options.replyTimeout
  }

  get observer(): RequestSettings["observer"] {
    return this.dial.observer
  }

  get address(): string {
    return this.dial.address
  }

  send<A>(command: RedisCommand<A>): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const call = prepare(command, resume, this, undefined)
      // A command of another copy of this package has a `UsageError` of that copy, so the request is what is asked for.
      return call instanceof Request ? this.accept(call, this) : resume(Effect.fail(call))
    })
  }

  sendAll(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: BatchOptions
  ): Effect.Effect<BatchResult, RedisError> {
    if (commands.length === 0) {
      return Effect.succeed(nothing)
    }
    return Effect.async<BatchResult, RedisError>((resume) => {
      for (const command of commands) {
        const refusal = refuseShared(command)
        if (refusal !== undefined) {
          return resume(Effect.fail(refusal))
        }
      }
      const request = prepareAll(commands, options, resume, this, undefined)
      return request instanceof Request ? this.accept(request, this) : resume(Effect.fail(request))
    })
  }

  /**
   * Takes a request of the current fiber for an owner, which decides whether it is sent again. Returns how to take the
   * request back when it has to wait.
   */
  accept(request: Request, owner: RequestOwner): Effect.Effect<void> | undefined {
    request.owner = owner
    request.caller = currentFiber()
    const { link } = this.reconnector
    if (link !== undefined) {
      request.deadline = link.engine.now() + request.allowed
      request.attempts = 1
      // An interrupted caller takes a request back that would be written once more, although its fiber still runs finalizers.
      return link.accept(request) && !request.writesAgain ? undefined : withdrawal(request)
    }
    request.deadline = Timers.now() + request.allowed
    if (this.reconnector.closed || this.settings.offline === "fail") {
      settleFailure(request, this.noConnection())
      return undefined
    }
    const refusal = this.wait(request)
    if (refusal !== undefined) {
      request.settled = true
      request.fail(refusal)
      return undefined
    }
    return withdrawal(request)
  }

  /**
   * Takes a request over that another node refused, or did not get to. Its deadline and its caller stay the same. `first` is
   * handed to the link just before it.
   */
  resend(request: Request, owner: RequestOwner, first?: Request): void {
    request.owner = owner
    const { link } = this.reconnector
    if (link !== undefined) {
      request.attempts++
      if (first !== undefined) {
        first.deadline = request.deadline
        link.accept(first)
      }
      link.accept(request)
      return
    }
    // Of a node that was just found, the first connection is being opened.
    const isAway = this.settings.offline === "fail" && !this.reconnector.isNew
    const failure = this.reconnector.closed || isAway ? this.noConnection() : this.wait(request)
    if (failure !== undefined) {
      settleFailure(request, failure)
    }
  }

  private noConnection(): Failure {
    return { _tag: "Closed", close: this.reconnector.lastClose, delivery: "unsent" }
  }

  /** Has a request wait for the next link, or returns why it must not wait. */
  private wait(request: Request): Failure | undefined {
    if (this.reconnector.refused) {
      return this.noConnection()
    }
    const overflow = this.waiting.add(request, request.wire)
    if (overflow === undefined && this.timer === undefined) {
      this.timer = Timers.setTimeout(this.tick, tickMillis)
    }
    return overflow
  }

  /**
   * Takes out the requests that wait for a link, in order: all of them, or those that an owner can send to another node,
   * because this one may not come back.
   */
  takeWaiting(isTaken: (request: Request) => boolean = () => true): ReadonlyArray<Request> {
    const requests: Array<Request> = []
    for (const queue of [this.delayed, this.waiting]) {
      const kept: Array<Request> = []
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const request = next.pending as Request
        ;(isTaken(request) ? requests : kept).push(request)
      }
      for (const request of kept) {
        // It had a place, so there is room for it.
        queue.add(request, request.wire)
      }
    }
    return requests
  }

  private readonly tick = (): void => {
    this.timer = undefined
    this.waiting.expire(Timers.now(), `there was no connection: ${this.reconnector.absence}`)
    if (this.waiting.length > 0) {
      // In Effect 4 a caller that goes on in `expire` may have started the timer.
      this.timer ??= Timers.setTimeout(this.tick, tickMillis)
    }
  }

  /** Whether a request whose connection ended is kept, to be sent on the next one. */
  recover(request: Request, failure: Failure): boolean {
    if (
      failure._tag !== "Closed" ||
      failure.own === true ||
      this.reconnector.closed ||
      this.settings.offline === "fail" ||
      request.deadline <= Timers.now()
    ) {
      return false
    }
    if (failure.delivery === "unknown" && !(request.repeatable && request.attempts <= this.settings.maxRetries)) {
      return false
    }
    if (failure.delivery === "unknown") {
      this.reportRetry(request, undefined)
    } else {
      request.attempts--
    }
    request.settled = false
    const { link } = this.reconnector
    if (link !== undefined && link.engine.closed === undefined) {
      // Its link was replaced before it ended: the next link is there already, and no other will come for it.
      request.attempts++
      link.accept(request)
      return true
    }
    return this.wait(request) === undefined
  }

  /**
   * Whether a request that the server refused before executing any of it is sent again: to the same server once it is ready,
   * or, when it became read-only, to the server that a new connection reaches. A pipeline is only sent again as a whole, and
   * a transaction never.
   */
  refused(request: Request, errors: Refusals): boolean {
    const refusal = refusedAsAWhole(request, errors)
    if (refusal === undefined) {
      return false
    }
    request.refusals++
    // There must be time for the pause, and as much for the reply.
    if (this.reconnector.closed || request.deadline - Timers.now() <= 2 * retryMillis) {
      return false
    }
    if (recovery(refusal.code) === "reconnect") {
      if (request.refusals > this.settings.maxRetries) {
        return false
      }
      this.demoted(request)
      if (this.settings.offline === "fail") {
        return false
      }
    }
    if (this.delayed.add(request, request.wire) !== undefined) {
      return false
    }
    this.reportRetry(request, refusal.code)
    this.retryTimer ??= Timers.setTimeout(this.sendDelayed, retryMillis)
    return true
  }

  /** Leaves the link of a read-only server. Does nothing when the request's link is no longer the current one. */
  demoted({ via }: Request): void {
    if (via === this.reconnector.link) {
      this.reconnector.leave("the server is read-only")
    }
  }

  private reportRetry(request: Request, code: string | undefined): void {
    reportRetry(this.observer, request, this.address, code)
  }

  private readonly sendDelayed = (): void => {
    this.retryTimer = undefined
    const { link } = this.reconnector
    for (let next = this.delayed.shift(); next !== undefined; next = this.delayed.shift()) {
      const request = next.pending as Request
      if (link !== undefined) {
        request.attempts = 1
        link.accept(request)
      } else if (this.settings.offline === "fail") {
        settleFailure(request, this.noConnection())
      } else {
        const refusal = this.wait(request)
        if (refusal !== undefined) {
          settleFailure(request, refusal)
        }
      }
    }
  }

  /** Makes a link the current one. Requests that waited go first. */
  private attach(link: Link): void {
    // A write that fails ends the link at once. The requests that are left, or came back, wait for the next link.
    while (link.engine.closed === undefined) {
      const next = this.waiting.shift()
      if (next === undefined) {
        Timers.clearTimeout(this.timer)
        this.timer = undefined
        return
      }
      const request = next.pending as Request
      request.attempts++
      link.accept(request)
    }
  }

  private failWaiting(failure: Failure): void {
    Timers.clearTimeout(this.retryTimer)
    this.retryTimer = undefined
    for (const request of this.takeWaiting()) {
      request.settled = true
      request.fail(failure)
    }
  }

  /** Connects, or leaves that to the first command, and stays connected as long as the scope lives. */
  start(lazy: boolean): Effect.Effect<void, RedisError, Scope.Scope> {
    return Effect.zipRight(
      Effect.addFinalizer(() => this.close),
      Effect.zipRight(lazy ? Effect.void : this.reconnector.connect, supervise(this.reconnector))
    )
  }

  /** Replaces the connection by one with the present credentials. When that fails, the old connection stays. */
  readonly renew: Effect.Effect<void> = Effect.suspend(() => this.reconnector.renew)

  private readonly close: Effect.Effect<void> = Effect.suspend(() => {
    Timers.clearTimeout(this.timer)
    return this.reconnector.close
  })
}

/** The error that says a whole request was refused before any of it was executed; `undefined` when some of it may have been. */
const refusedAsAWhole = (request: Request, errors: Refusals): ErrorReply | undefined => {
  const { atomic, commands } = request
  return !atomic &&
    errors.every((error, i) => error !== undefined && isRefusal(commands[i] as RedisCommand<unknown>, error))
    ? errors[errors.length - 1]
    : undefined
}

/** Why a command cannot share a connection, with the way to run it. */
export const refuseShared = (command: RedisCommand<unknown>): UsageError | undefined => {
  const { name, traits } = command
  if (traits.stateful !== undefined) {
    return new UsageError({
      reason: "statefulCommand",
      command: name,
      message: `${name} was not sent: ${wayFor(command)}`
    })
  }
  if (traits.blocking !== undefined && blockingMillis(command) !== undefined) {
    return new UsageError({
      reason: "blockingCommand",
      command: name,
      message: `${name} was not sent: it would block everybody's commands; run it on its own, outside of the pipeline`
    })
  }
  return undefined
}

const wayFor = ({ traits }: RedisCommand<unknown>): string => {
  switch (traits.stateful) {
    case "database":
      return "it would change the database for everybody; give `database` to the layer, or use Pool.acquire"
    case "transaction":
      return "it would put everybody's commands into one transaction; use Redis.transaction"
    case "watch":
      return "it would watch for everybody; use Redis.optimistic"
    case "subscription":
      return "subscriptions need a connection of their own: use RedisPubSub, or a Connection and its pushes"
    case "silence":
      return "without replies no command could ever be known to be done"
    default:
      return "it would change the connection for everybody; give it as an option of the layer, or use Pool.acquire"
  }
}
