/**
 * A primary with its replicas as one service. Everything goes to the primary as over one server, except readonly commands that
 * a caller wants to be read elsewhere. Which servers these are is decided outside: by a list, or by sentinels.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { RedisError } from "../../RedisError.js"
import type { Node } from "../client/node.js"
import { refuseShared } from "../client/shared.js"
import type { BatchOptions, BatchResult, ReadFrom, RedisCommand, RedisService } from "../command/model.js"
import { isReadOfKey } from "../command/reads.js"
import { currentFiber, type Forker } from "../effect/fork.js"
import { settleFailure } from "../engine/pending.js"
import { CommandQueue, type QueueBounds } from "../engine/queue.js"
import * as Timers from "../engine/timers.js"
import { prepare, prepareAll } from "../request/prepare.js"
import { type Refusals, Request, withdrawal } from "../request/request.js"
import type { RequestSettings } from "../request/settings.js"
import { type Address, showAddress } from "./address.js"
import { closedFailure, type Group, Member, openMember } from "./member.js"
import { ask, type Candidates, Measures, readerOf } from "./readers.js"

export interface ReplicatedSettings extends RequestSettings {
  readonly primary: Node
  readonly maxRetries: number
  /** For how long a replica that is read from may be behind the primary, in milliseconds. */
  readonly maxReplicaLag: number
  readonly queueBounds: QueueBounds
  /** Makes the connections of a replica. */
  readonly open: (place: Address) => Effect.Effect<Node, RedisError, Scope.Scope>
  /** Something says that the roles of servers may have changed. */
  readonly doubt: () => void
  readonly fork: Forker
}

export class Replicated implements Group {
  closed = false
  private readonly primary: Member
  /** By address. */
  private replicas = new Map<string, Member>()
  private readonly leaving = new Set<Member>()
  /** Where each read that may go to a replica is to be read. */
  private readonly reads = new WeakMap<Request, Exclude<ReadFrom, "primary">>()
  /** Reads for which no server is connected. */
  private readonly waiting: CommandQueue
  private timer: Timers.Timer | undefined
  private readonly measures: Measures

  constructor(private readonly settings: ReplicatedSettings) {
    const { fork, maxReplicaLag, primary, queueBounds } = settings
    // Its connections are closed by who made them.
    const scope = Effect.runSync(Scope.make())
    this.primary = new Member(
      { host: settings.address, port: 0 },
      false,
      this,
      scope,
      Effect.succeed(primary),
      () => {}
    )
    this.primary.begin(primary)
    this.waiting = new CommandQueue(queueBounds)
    this.measures = new Measures({
      maxLag: maxReplicaLag,
      shards: () => [this.candidates],
      ask,
      fork: (effect) => {
        fork(effect)
      }
    })
  }

  get replyTimeout(): number {
    return this.settings.replyTimeout
  }

  get observer(): RequestSettings["observer"] {
    return this.settings.observer
  }

  get address(): string {
    return this.settings.address
  }

  get maxRetries(): number {
    return this.settings.maxRetries
  }

  private get candidates(): Candidates {
    return { primary: this.primary, replicas: [...this.replicas.values()] }
  }

  readonly doubt = (): void => {
    if (!this.closed) {
      this.settings.doubt()
    }
  }

  /** The addresses of the replicas. */
  get addresses(): ReadonlyArray<string> {
    return [...this.replicas.keys()]
  }

  /** Reads from these replicas from now on. Those that are no longer among them are closed, after the replies that they owe. */
  setReplicas(places: ReadonlyArray<Address>): void {
    if (this.closed) {
      return
    }
    const before = this.replicas
    this.replicas = new Map(
      places.map((place) => {
        const name = showAddress(place)
        return [name, before.get(name) ?? this.open(place)] as const
      })
    )
    for (const [name, member] of before) {
      if (!this.replicas.has(name)) {
        this.leave(member)
      }
    }
  }

  private open(place: Address): Member {
    const { fork, open } = this.settings
    return openMember(
      place,
      true,
      this,
      () => open(place),
      fork,
      () => {}
    )
  }

  private leave(member: Member): void {
    member.left = true
    this.leaving.add(member)
    this.reroute(member)
    this.settings.fork(
      Effect.ensuring(
        member.close,
        Effect.sync(() => this.leaving.delete(member))
      )
    )
  }

  /** Replaces the connections to replicas, for new credentials. */
  renew(): void {
    for (const member of this.replicas.values()) {
      member.renew()
    }
  }

  /** The service whose readonly commands go where `from` says. */
  service(from: ReadFrom): RedisService {
    const { service } = this.settings.primary
    const { lease, status } = service
    return {
      send: (command) =>
        from === "primary" || !isReadOfKey(command) ? service.send(command) : this.read(command, from),
      sendAll: (commands, options) =>
        from === "primary" || options.atomic || !commands.every(isReadOfKey)
          ? service.sendAll(commands, options)
          : this.readAll(commands, options, from),
      lease,
      status,
      about: service.about,
      readFrom: (from) => this.service(from)
    }
  }

  private read<A>(command: RedisCommand<A>, from: Exclude<ReadFrom, "primary">): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const call = prepare(command, resume, this, undefined)
      return call instanceof Request ? this.accept(call, from) : resume(Effect.fail(call))
    })
  }

  private readAll(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: BatchOptions,
    from: Exclude<ReadFrom, "primary">
  ): Effect.Effect<BatchResult, RedisError> {
    return Effect.async<BatchResult, RedisError>((resume) => {
      for (const command of commands) {
        const refusal = refuseShared(command)
        if (refusal !== undefined) {
          return resume(Exit.fail(refusal))
        }
      }
      const request = prepareAll(commands, options, resume, this, undefined)
      return request instanceof Request ? this.accept(request, from) : resume(Exit.fail(request))
    })
  }

  private accept(request: Request, from: Exclude<ReadFrom, "primary">): Effect.Effect<void> | undefined {
    this.measures.need(from)
    const member = this.readerOf(from)
    this.reads.set(request, from)
    if (member !== undefined) {
      return member === this.primary ? member.accept(request, this.settings.primary.shared) : member.accept(request)
    }
    request.caller = currentFiber()
    request.deadline = Timers.now() + request.allowed
    this.wait(request)
    return withdrawal(request)
  }

  /** The server that a read goes to. Connections to replicas are opened for the first read that may go to one. */
  private readerOf(from: Exclude<ReadFrom, "primary">): Member | undefined {
    for (const replica of this.replicas.values()) {
      replica.connect()
    }
    return readerOf(this.candidates, from)
  }

  private wait(request: Request): void {
    this.doubt()
    const overflow = this.waiting.add(request, request.wire)
    if (overflow !== undefined) {
      return settleFailure(request, overflow)
    }
    this.timer ??= Timers.setTimeout(this.tick, noReaderMillis)
  }

  private readonly tick = (): void => {
    this.timer = undefined
    this.waiting.expire(Timers.now(), noReader)
    for (let left = this.waiting.length; left > 0; left--) {
      const next = this.waiting.shift()
      if (next !== undefined) {
        this.dispatch(next.pending as Request)
      }
    }
  }

  readonly dispatch = (request: Request): void => {
    if (this.closed) {
      return settleFailure(request, closedFailure)
    }
    if (request.deadline <= Timers.now()) {
      return settleFailure(request, { _tag: "Deadline", phase: "queue", delivery: "unsent", hint: noReader })
    }
    const member = this.readerOf(this.reads.get(request) ?? "preferReplica")
    if (member === undefined) {
      return this.wait(request)
    }
    if (member === this.primary) {
      const { shared } = this.settings.primary
      return shared.resend(request, shared)
    }
    member.resend(request)
  }

  readonly reroute = (member: Member): void => {
    for (const request of member.takeWaiting()) {
      this.dispatch(request)
    }
  }

  /** A replica that is loading, or has lost its primary, is left alone for a while, and the read goes to another server. */
  readonly refused = (member: Member, request: Request, errors: Refusals): boolean => {
    const cannotServe = errors.some((error) => error !== undefined && /^(?:LOADING|MASTERDOWN)$/.test(error.code))
    if (!cannotServe || this.closed || request.deadline <= Timers.now()) {
      return false
    }
    member.rest()
    request.refusals++
    this.dispatch(request)
    return true
  }

  /** Nothing is sent any more. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    this.measures.end()
    Timers.clearTimeout(this.timer)
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      settleFailure(next.pending, closedFailure)
    }
    return Effect.forEach([...this.replicas.values(), ...this.leaving], (member) => member.close, {
      concurrency: "unbounded",
      discard: true
    })
  })
}

/** How long a read waits while no server can answer it, in milliseconds. */
const noReaderMillis = 20
const noReader = "no replica that could serve the read was connected"
