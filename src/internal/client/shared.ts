/**
 * The shared client: one connection that everybody's commands share, replaced when it ends, and a pool for what cannot
 * share. It decides what happens to a command whose connection ended:
 *
 * - never written: it waits for the next connection, in order, within its deadline and the bounds of the queue;
 * - written and readonly: sent again, at most `maxRetries` times;
 * - written otherwise: it fails, and says that its fate is unknown.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { RedisCommand } from "../../RedisCommand.js"
import { type RedisError, recovery, UsageError } from "../../RedisError.js"
import type { BatchResult } from "../command/model.js"
import type { Link } from "../connection/link.js"
import type { ResolvedOptions } from "../connection/options.js"
import { Reconnector, type ReconnectSettings, supervise } from "../connection/reconnect.js"
import type { Failure } from "../engine/engine.js"
import { CommandQueue, settleFailure } from "../engine/queue.js"
import {
  type BatchOptions,
  blockingMillis,
  nothing,
  prepare,
  prepareAll,
  type Unit,
  type UnitOwner,
  withdrawal
} from "../request/request.js"

export interface ClientSettings extends ReconnectSettings {
  /** How often a readonly command that was written is sent again, and one that a read-only server refused. */
  readonly maxRetries: number
}

/** How often the deadlines of waiting commands are looked at, in milliseconds. */
const tickMillis = 20

/** After how long a command is sent again that the server was not ready for, in milliseconds. */
const retryMillis = 100

export class SharedClient implements UnitOwner {
  readonly reconnector: Reconnector
  private readonly waiting: CommandQueue
  private timer: ReturnType<typeof setTimeout> | undefined
  /** Refused by a server that was not ready. They are sent again together, in order; bounded like what waits. */
  private readonly refused: CommandQueue
  private retryTimer: ReturnType<typeof setTimeout> | undefined

  constructor(
    readonly options: ResolvedOptions,
    readonly settings: ClientSettings
  ) {
    this.waiting = new CommandQueue(options.maxQueuedCommands, options.maxQueuedBytes)
    this.refused = new CommandQueue(options.maxQueuedCommands, options.maxQueuedBytes)
    this.reconnector = new Reconnector(options, settings, {
      attach: (link) => this.attach(link),
      failWaiting: (close) => this.failWaiting({ _tag: "Closed", close, delivery: "unsent" })
    })
  }

  send<A>(command: RedisCommand<A>): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const call = prepare(command, resume, this.options.replyTimeout, undefined)
      return call instanceof UsageError ? resume(Exit.fail(call)) : this.accept(call)
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
          return resume(Exit.fail(refusal))
        }
      }
      const unit = prepareAll(commands, options, resume, this.options.replyTimeout, undefined)
      return unit instanceof UsageError ? resume(Exit.fail(unit)) : this.accept(unit)
    })
  }

  /** Takes a unit; answers how to take it back when it has to wait. */
  private accept(unit: Unit): Effect.Effect<void> | undefined {
    unit.owner = this
    unit.caller = Option.getOrUndefined(Fiber.getCurrentFiber())
    const { link } = this.reconnector
    if (link !== undefined) {
      unit.deadline = link.engine.now() + unit.allowed
      unit.attempts = 1
      return link.accept(unit) ? undefined : withdrawal(unit)
    }
    unit.deadline = performance.now() + unit.allowed
    if (this.reconnector.closed || this.settings.offline === "fail") {
      settleFailure(unit, { _tag: "Closed", close: this.reconnector.lastClose, delivery: "unsent" })
      return undefined
    }
    const refusal = this.wait(unit)
    if (refusal !== undefined) {
      unit.settled = true
      unit.fail(refusal)
      return undefined
    }
    return withdrawal(unit)
  }

  /** Has a unit wait for the next link, or answers why it is not to. */
  private wait(unit: Unit): Failure | undefined {
    if (this.reconnector.refused) {
      return { _tag: "Closed", close: this.reconnector.lastClose, delivery: "unsent" }
    }
    const overflow = this.waiting.add(unit, unit.wire)
    if (overflow === undefined && this.timer === undefined) {
      this.timer = setTimeout(this.tick, tickMillis)
    }
    return overflow
  }

  private readonly tick = (): void => {
    this.timer = undefined
    this.waiting.expire(performance.now(), `there was no connection: ${this.reconnector.lastClose.message}`)
    if (this.waiting.length > 0) {
      this.timer = setTimeout(this.tick, tickMillis)
    }
  }

  /** Whether a unit whose connection ended is kept, to be sent on the next one. */
  recover(unit: Unit, failure: Failure): boolean {
    if (
      failure._tag !== "Closed" ||
      this.reconnector.closed ||
      this.settings.offline === "fail" ||
      unit.deadline <= performance.now()
    ) {
      return false
    }
    if (failure.delivery === "unknown" && !(unit.repeatable && unit.attempts <= this.settings.maxRetries)) {
      return false
    }
    if (failure.delivery === "unsent") {
      unit.attempts--
    }
    unit.settled = false
    const { link } = this.reconnector
    if (link !== undefined && link.engine.closed === undefined) {
      // Its connection was replaced before it ended: nobody would come for what waits.
      unit.attempts++
      link.accept(unit)
      return true
    }
    return this.wait(unit) === undefined
  }

  /**
   * Whether a unit that the server refused before executing it is kept, to be sent again: to the same server once it is
   * ready, or, when it became read-only, to whichever server a new connection reaches.
   */
  retry(unit: Unit, code: string): boolean {
    const way = recovery(code)
    // Time for the pause, and as much for the answer.
    if (way === "fail" || this.reconnector.closed || unit.deadline - performance.now() <= 2 * retryMillis) {
      return false
    }
    if (way === "reconnect") {
      if (unit.refusals > this.settings.maxRetries) {
        return false
      }
      this.demoted(unit)
      if (this.settings.offline === "fail") {
        return false
      }
    }
    if (this.refused.add(unit, unit.wire) !== undefined) {
      return false
    }
    this.retryTimer ??= setTimeout(this.sendRefused, retryMillis)
    return true
  }

  /** Leaves a connection to a read-only server. One that was left or replaced before is not the one that is there. */
  demoted({ via }: Unit): void {
    if (via === this.reconnector.link) {
      this.reconnector.leave("the server is read-only")
    }
  }

  private readonly sendRefused = (): void => {
    this.retryTimer = undefined
    const { link } = this.reconnector
    for (let next = this.refused.shift(); next !== undefined; next = this.refused.shift()) {
      const unit = next.pending as Unit
      if (link !== undefined) {
        unit.attempts = 1
        link.accept(unit)
      } else if (this.settings.offline === "fail") {
        settleFailure(unit, { _tag: "Closed", close: this.reconnector.lastClose, delivery: "unsent" })
      } else {
        const refusal = this.wait(unit)
        if (refusal !== undefined) {
          settleFailure(unit, refusal)
        }
      }
    }
  }

  /** Makes a connection the current one: what waited goes first. */
  private attach(link: Link): void {
    clearTimeout(this.timer)
    this.timer = undefined
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      const unit = next.pending as Unit
      unit.attempts++
      link.accept(unit)
    }
  }

  private failWaiting(failure: Failure): void {
    clearTimeout(this.retryTimer)
    this.retryTimer = undefined
    for (const queue of [this.refused, this.waiting]) {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const unit = next.pending as Unit
        unit.settled = true
        unit.fail(failure)
      }
    }
  }

  /** Connects, unless that is left to the first command, and stays connected as long as the scope lives. */
  start(lazy: boolean): Effect.Effect<void, RedisError, Scope.Scope> {
    return Effect.zipRight(
      Effect.addFinalizer(() => this.close),
      Effect.zipRight(lazy ? Effect.void : this.reconnector.connect, supervise(this.reconnector))
    )
  }

  /** Replaces the connection by one that is greeted with the credentials of now. Where that fails, the old one stays. */
  readonly renew: Effect.Effect<void> = Effect.suspend(() => this.reconnector.renew)

  private readonly close: Effect.Effect<void> = Effect.suspend(() => {
    clearTimeout(this.timer)
    return this.reconnector.close
  })
}

/** What cannot share a connection, with the way that can. */
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
