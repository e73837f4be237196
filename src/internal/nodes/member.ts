/**
 * A node of a client of several: its connections, and who owns the requests that go over them. The node decides as for one
 * server what happens to a request whose connection ended; the group of nodes (a cluster, or a primary and its replicas)
 * decides what follows from a refusal, and takes requests back that wait for a node that left.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { RedisError } from "../../RedisError.js"
import type { Node } from "../client/node.js"
import type { BatchOptions, BatchResult, RedisCommand, Status } from "../command/model.js"
import { currentFiber, type Forker } from "../effect/fork.js"
import type { Failure } from "../engine/failure.js"
import { settleFailure } from "../engine/pending.js"
import * as Timers from "../engine/timers.js"
import { closeError } from "../request/failure.js"
import type { Watching } from "../request/observed.js"
import { prepareAll } from "../request/prepare.js"
import { type Refusals, Request, type RequestOwner, withdrawal } from "../request/request.js"
import type { RequestSettings, Resume } from "../request/settings.js"
import { type Address, showAddress } from "./address.js"

/** What a member asks of the nodes that it is one of. It is called from plain callbacks. */
export interface Group extends RequestSettings {
  /** The client is closed: nothing is sent again. */
  readonly closed: boolean
  readonly maxRetries: number
  /** Routes a request again, by what is known now. */
  readonly dispatch: (request: Request) => void
  /** Whether a request that this member refused is sent again. */
  readonly refused: (member: Member, request: Request, errors: Refusals) => boolean
  /** Something says that the roles of nodes may have changed. */
  readonly doubt: () => void
  /** Sends what waits for a connection of a member elsewhere. */
  readonly reroute: (member: Member) => void
}

export class Member implements RequestOwner {
  readonly address: string
  status: Status = { _tag: "Connecting" }
  /** It is no longer one of the nodes: nothing new goes to it. */
  left = false
  /** Its availability zone, where it is known. */
  zone: string | undefined
  /** How long it takes to answer, smoothed, in milliseconds; `undefined` while that is not measured. */
  latency: number | undefined
  /** It is a replica that is further behind its primary than reads allow. */
  lagging = false
  /** Until when a replica that could not serve is left alone. */
  private restsUntil = -Infinity
  private node: Node | undefined
  /** Requests that came before the node was made, with who owns them. Their callers and deadlines are set. */
  private early: Array<{
    readonly request: Request
    readonly owner: RequestOwner
    readonly first?: Request | undefined
  }> = []

  constructor(
    readonly place: Address,
    /** Whether it is read as a replica. */
    readonly replica: boolean,
    private readonly group: Group,
    private readonly scope: Scope.CloseableScope,
    private readonly made: Effect.Effect<Node, RedisError>,
    private readonly open: () => void
  ) {
    this.address = showAddress(place)
  }

  get observer(): Group["observer"] {
    return this.group.observer
  }

  private opened = false

  /** Whether its first connection is being opened. */
  get connecting(): boolean {
    return this.opened && this.status._tag === "Connecting"
  }

  /** Opens its connections, unless that was done before. Returns whether it was done now. */
  connect(): boolean {
    // Nobody would close what a closed client opens.
    if (this.opened || this.group.closed) {
      return false
    }
    this.opened = true
    this.open()
    return true
  }

  /** Has the node. Requests that came before are handed to it. */
  begin(node: Node): void {
    this.node = node
    for (const { first, owner, request } of this.early.splice(0)) {
      if (!request.settled) {
        node.shared.resend(request, owner, first)
      }
    }
  }

  /** The node, once it is made. */
  get ready(): Effect.Effect<Node, RedisError> {
    return Effect.suspend(() => {
      if (this.node !== undefined) {
        return Effect.succeed(this.node)
      }
      if (this.group.closed) {
        return Effect.fail(closeError(closedFailure.close, "unsent", this.address))
      }
      this.connect()
      return this.made
    })
  }

  /** Whether there is a connection now. */
  get connected(): boolean {
    return this.node?.shared.reconnector.link !== undefined
  }

  /** For how long it has said nothing, in milliseconds; 0 while it owes no reply. */
  get silentFor(): number {
    return this.node?.shared.reconnector.link?.engine.silentFor ?? 0
  }

  /** How many replies it owes. */
  get owed(): number {
    return this.node?.shared.reconnector.link?.engine.pending ?? 0
  }

  /** Whether reads can go to it: it is connected, answers, is not too far behind, and did not refuse to serve a moment ago. */
  get reads(): boolean {
    return this.connected && !this.lagging && this.restsUntil <= Timers.now() && this.silentFor < silentMillis
  }

  /** Leaves it alone for a while. */
  rest(): void {
    this.restsUntil = Timers.now() + restMillis
  }

  /** Takes a request of the current fiber. Returns how to take it back when it has to wait. */
  accept(request: Request, owner: RequestOwner = this): Effect.Effect<void> | undefined {
    const { node } = this
    if (node !== undefined && !node.shared.reconnector.isNew) {
      return node.shared.accept(request, owner)
    }
    if (this.group.closed) {
      settleFailure(request, closedFailure)
      return undefined
    }
    // It may be handed over by another fiber, which must not count as the caller.
    request.owner = owner
    request.caller = currentFiber()
    request.deadline = Timers.now() + request.allowed
    if (node === undefined) {
      this.early.push({ request, owner })
      this.connect()
    } else {
      // Under `offline: "fail"` too it waits for the node's first connection, because the client began without it.
      node.shared.resend(request, owner)
    }
    return withdrawal(request)
  }

  /** Takes a request over that another member refused, or did not get to. */
  resend(request: Request, first?: Request): void {
    const owner = request.owner instanceof NodeOwner ? this.batches : this
    if (this.node === undefined) {
      this.early.push({ request, owner, first })
      this.connect()
    } else {
      this.node.shared.resend(request, owner, first)
    }
  }

  /** Sends commands in one write, to this node alone. What they are refused with is their result. */
  sendAll(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: BatchOptions
  ): Effect.Effect<BatchResult, RedisError> {
    return Effect.async<BatchResult, RedisError>((resume) => this.submit(commands, options, false, resume))
  }

  /**
   * Sends commands of the current fiber in one write. What they are refused with is their result. `movable` says that another
   * node may get them when this one is not connected, because their keys say where they belong. Returns how to take them back
   * when they have to wait.
   */
  submit(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    options: BatchOptions,
    movable: boolean,
    resume: Resume<BatchResult>,
    watch?: Watching | null
  ): Effect.Effect<void> | undefined {
    const request = prepareAll(commands, options, resume, this.group, undefined, watch)
    if (request instanceof Request) {
      return this.accept(request, movable ? this.batches : this.alone)
    }
    resume(Exit.fail(request))
    return undefined
  }

  recover(request: Request, failure: Failure, movable = true): boolean {
    if (failure._tag === "Closed") {
      this.group.doubt()
      const elsewhere =
        movable &&
        !this.group.closed &&
        (this.left || this.replica) &&
        (failure.delivery === "unsent" || request.repeatable)
      if (elsewhere && failure.own !== true && request.attempts <= this.group.maxRetries) {
        request.settled = false
        this.group.dispatch(request)
        return true
      }
    }
    return this.node?.shared.recover(request, failure) === true
  }

  refused(request: Request, errors: Refusals): boolean {
    return this.group.refused(this, request, errors)
  }

  demoted(): void {
    this.group.doubt()
  }

  /** The server refused the command because it cannot serve yet: the same server gets it again. */
  notReady(request: Request, errors: Refusals): boolean {
    return this.node?.shared.refused(request, errors) === true
  }

  /** Owns pipelines: a cluster sends their refused commands again one by one. */
  private readonly batches: RequestOwner = new NodeOwner(this, true)
  /** Owns what only this node can answer. */
  private readonly alone: RequestOwner = new NodeOwner(this, false)

  /** Replaces the connections by new ones. */
  renew(): void {
    this.node?.renew()
  }

  private replaced = -Infinity

  /** Another server has its address. Many commands find that out, and new connections are opened once in a while. */
  replace(): void {
    const now = Timers.now()
    if (now - this.replaced > replaceMillis) {
      this.replaced = now
      this.renew()
    }
  }

  /** How many connections of their own blocking commands and leases have. */
  get lent(): number {
    return this.node?.pool.lent ?? 0
  }

  /** Takes out the requests that wait for a connection of this node and that another node may get. */
  takeWaiting(): ReadonlyArray<Request> {
    return this.node?.shared.takeWaiting(({ owner }) => owner === this || owner === this.batches) ?? []
  }

  /** Closes the connections, after the replies that are owed. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    for (const { request } of this.early.splice(0)) {
      settleFailure(request, closedFailure)
    }
    return Scope.close(this.scope, Exit.void)
  })
}

/** Of a request that was not sent, because this side closes. */
export const closedFailure: Extract<Failure, { readonly _tag: "Closed" }> = {
  _tag: "Closed",
  close: { reason: "closed", message: "the client was closed" },
  delivery: "unsent"
}

/** How long connections that were replaced are kept at least, in milliseconds. */
const replaceMillis = 500

/**
 * A node that owes a reply and says nothing for this long, in milliseconds, is not read from, and gives reason to ask the others
 * for the topology.
 */
export const silentMillis = 1_000

/** How long a replica that could not serve is left alone, in milliseconds. */
const restMillis = 1_000

/** Owns requests whose refusals are their results. */
class NodeOwner implements RequestOwner {
  constructor(
    private readonly member: Member,
    private readonly movable: boolean
  ) {}

  get address(): string {
    return this.member.address
  }

  get observer(): Member["observer"] {
    return this.member.observer
  }

  recover(request: Request, failure: Failure): boolean {
    return this.member.recover(request, failure, this.movable)
  }

  refused(): boolean {
    return false
  }

  demoted(): void {
    this.member.demoted()
  }
}

/** A member whose connections are made in a scope of their own. */
export const openMember = (
  place: Address,
  replica: boolean,
  group: Group,
  makeIt: () => Effect.Effect<Node, RedisError, Scope.Scope>,
  fork: Forker,
  changed: () => void
): Member => {
  let resume: Array<(exit: Exit.Exit<Node, RedisError>) => void> = []
  let result: Exit.Exit<Node, RedisError> | undefined
  const scope = Effect.runSync(Scope.make())
  const made = Effect.async<Node, RedisError>((done) => {
    // A node may be made before `open` returns, so nobody waits for it yet.
    result === undefined ? resume.push(done) : done(result)
  })
  const open = Effect.suspend(() =>
    Effect.flatMap(Effect.exit(Scope.extend(makeIt(), scope)), (exit) =>
      Effect.suspend(() => {
        result = exit
        for (const done of resume) {
          done(exit)
        }
        resume = []
        if (Exit.isFailure(exit)) {
          return Effect.void
        }
        member.begin(exit.value)
        return Scope.extend(
          Effect.forkScoped(
            Stream.runForEach(exit.value.service.status.changes, (status) =>
              Effect.sync(() => {
                member.status = status
                if (status._tag === "Reconnecting") {
                  group.doubt()
                  if (replica) {
                    // Another replica may be connected.
                    group.reroute(member)
                  }
                }
                changed()
              })
            )
          ),
          scope
        )
      })
    )
  )
  const member = new Member(place, replica, group, scope, made, () => fork(open))
  return member
}
