/**
 * The client of a cluster: routes each command to the node that owns its keys, follows what nodes say when they refuse one,
 * and keeps the topology. A refusal was given before the command was executed, so it costs time of the command's one
 * deadline, and nothing else. Opening connections is the business of each {@link Member}.
 */
import * as Effect from "effect/Effect"
import type { RedisError } from "../../RedisError.js"
import type { ReadFrom, RedisCommand, Status } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import type { Endpoint } from "../connection/options.js"
import { currentFiber } from "../effect/fork.js"
import { settleFailure } from "../engine/pending.js"
import type { QueueBounds } from "../engine/queue.js"
import * as Timers from "../engine/timers.js"
import { type Address, sameAddress, showAddress } from "../nodes/address.js"
import { closedFailure, type Group, type Member, silentMillis } from "../nodes/member.js"
import { type Candidates, type MeasureSettings, Measures, readerOf } from "../nodes/readers.js"
import { reportRetry } from "../request/observed.js"
import { prepare, prepareAll } from "../request/prepare.js"
import { type Refusals, Request, withdrawal } from "../request/request.js"
import type { RequestSettings } from "../request/settings.js"
import { encodedLength } from "../resp/encoder.js"
import type { ErrorReply } from "../resp/values.js"
import { type Plan, planOf, slotOfFirstKey } from "./plan.js"
import { type Redirection, redirectionOf, refusalOf } from "./redirection.js"
import { noTopology, type Shard, type Topology } from "./topology.js"
import type { NodeFacts } from "./view.js"

export interface RouterSettings extends RequestSettings {
  readonly maxRedirects: number
  readonly maxRetries: number
  readonly splitKeys: boolean
  /** Makes the connections of a node, to read from it as a replica or not. They are opened in the background. */
  readonly open: (place: Address, router: Router, replica: boolean) => Member
  /** Where the client reaches an address that a node told. */
  readonly located: (address: Address) => Address
  /** Asks the nodes for the topology, soon. */
  readonly doubt: () => void
  /** Does what takes time, outside of any fiber. */
  readonly close: (member: Member, closed: () => void) => void
  /** For how long a replica that is read from may be behind its primary, in milliseconds. */
  readonly maxReplicaLag: number
  /** How much may wait unsent, together with what waits for connections. */
  readonly queueBounds: QueueBounds
  readonly ask: MeasureSettings["ask"]
  readonly fork: MeasureSettings["fork"]
}

/** A request that waits before it is sent again. */
interface Waiting {
  readonly request: Request
  /** What it waits for, for the error when its deadline passes. */
  readonly hint: string
  readonly bytes: number
}

/** Requests of one slot that wait before they are sent again. */
interface Delayed {
  readonly slot: number | undefined
  waiting: Array<Waiting>
  /** When they are sent. */
  due: number
  /** The latest that this may become. */
  readonly latest: number
  /** When the first deadline passes. */
  earliest: number
  /** When the timer fires: at one of both. */
  at: number
  timer: Timers.Timer | undefined
}

export class Router implements Group {
  topology: Topology = noTopology
  /** By address, as this client reaches it. */
  readonly members = new Map<string, Member>()
  /** The members of the topology's shards, in their order. */
  private primaries = new Map<Shard, Member>()
  /** Requests that wait before they are sent again, by their slot. */
  private readonly delayed = new Map<number | undefined, Delayed>()
  /** When a node that imports a slot was last asked for a key of it. It need not own any slot yet. */
  private readonly asked = new Map<Member, number>()
  /** The members that are read as replicas, by address. */
  private readonly replicas = new Map<string, Member>()
  /** Where the reads among the requests may go. A request that is not here goes to the primary. */
  private readonly reads = new WeakMap<Request, ReadFrom>()
  private readonly adopted = new Set<() => void>()
  closed = false
  /** Commands without a key go to one node, so that what a program publishes keeps its order. */
  private home: Member | undefined

  constructor(private readonly settings: RouterSettings) {
    this.measures = new Measures({
      maxLag: settings.maxReplicaLag,
      shards: () => this.topology.shards.map((shard) => this.candidates(shard, false)),
      ask: settings.ask,
      fork: settings.fork
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

  readonly doubt = (): void => {
    if (!this.closed) {
      this.settings.doubt()
    }
  }

  /** Routes by another topology from now on. Nodes that left it are closed once they owe nothing. */
  adopt(topology: Topology): void {
    if (this.closed) {
      return
    }
    this.topology = topology
    const primaries = new Map<Shard, Member>()
    for (const shard of topology.shards) {
      primaries.set(shard, this.memberAt(shard.primary))
    }
    this.primaries = primaries
    const stay = new Set(primaries.values())
    const now = Timers.now()
    for (const member of [...this.members.values()]) {
      if (!stay.has(member) && now - (this.asked.get(member) ?? -Infinity) > askedMillis) {
        this.asked.delete(member)
        this.leave(member)
      }
    }
    const known = new Set(topology.shards.flatMap(({ replicas }) => replicas.map((one) => this.nameOf(one))))
    for (const [name, member] of [...this.replicas]) {
      if (!known.has(name)) {
        this.replicas.delete(name)
        this.leave(member)
      }
    }
    if (this.home === undefined || this.home.left) {
      const all = [...stay]
      this.home = all[Math.floor(Math.random() * all.length)]
    }
    // A request may wait for a node that lost its slot, and never come to hear of it.
    for (const member of [...this.members.values()]) {
      if (!member.connected) {
        this.reroute(member)
      }
    }
    for (const f of [...this.adopted]) {
      f()
    }
  }

  /** Calls `f` after each change of the topology. Returns how to end that. */
  onAdopt(f: () => void): () => void {
    this.adopted.add(f)
    return () => this.adopted.delete(f)
  }

  /**
   * Where a node is reached, asked at each attempt to connect. The host name that it announces is what its certificate is
   * for when it is reached by its IP address.
   */
  endpointOf(place: Address): Effect.Effect<Endpoint> {
    return Effect.sync(() => {
      const name = showAddress(place)
      const facts = this.topology.shards
        .flatMap(({ primary, replicas }) => [primary, ...replicas])
        .find((node) => this.nameOf(node) === name)
      return { _tag: "Tcp", host: place.host, port: place.port, hostname: facts?.hostname || undefined }
    })
  }

  /** Opens connections to primaries, some at a time, so that none has to be opened when it is needed. */
  warmUp(): void {
    const primaries = this.allPrimaries
    let open = mostConnecting - primaries.filter(({ connecting }) => connecting).length
    for (const member of primaries) {
      if (open <= 0 || this.closed) {
        return
      }
      open -= member.connect() ? 1 : 0
    }
  }

  /** The member at an address that a node told. It is made when there is none. */
  memberAt(address: Address): Member {
    const place = this.settings.located(address)
    const name = showAddress(place)
    const known = this.members.get(name)
    if (known !== undefined) {
      return known
    }
    const member = this.settings.open(place, this, false)
    this.members.set(name, member)
    return member
  }

  /** The member at an address, which is kept for a while although it may own no slot. */
  memberFor(address: Address): Member {
    const member = this.memberAt(address)
    member.connect()
    this.asked.set(member, Timers.now())
    return member
  }

  /** `host:port`, as this client reaches the node. */
  nameOf(address: Address): string {
    return showAddress(this.settings.located(address))
  }

  /** The member that reads from a replica. It is made when there is none. */
  private replicaAt(address: Address): Member {
    const place = this.settings.located(address)
    const name = showAddress(place)
    let member = this.replicas.get(name)
    if (member === undefined) {
      member = this.settings.open(place, this, true)
      member.connect()
      this.replicas.set(name, member)
    }
    return member
  }

  /** The member that a readonly command goes to; `undefined` where there is none. */
  readerOf(slot: number, from: ReadFrom): Member | undefined {
    const shard = this.topology.shardOf(slot)
    if (shard === undefined || from === "primary") {
      return shard === undefined ? undefined : this.primaries.get(shard)
    }
    this.measures.need(from)
    return readerOf(this.candidates(shard, true), from)
  }

  /** The nodes of a shard. Connections to its replicas are opened when a read may go there. */
  private candidates(shard: Shard, open: boolean): Candidates {
    const named = <A extends Member | undefined>(member: A, { zone }: NodeFacts): A => {
      if (member !== undefined) {
        member.zone ??= zone
      }
      return member
    }
    return {
      primary: named(this.primaries.get(shard), shard.primary),
      replicas: shard.replicas.flatMap((one) => {
        const member = open ? this.replicaAt(one) : this.replicas.get(this.nameOf(one))
        return named(member, one) ?? []
      })
    }
  }

  private readonly measures: Measures

  /** Sends a readonly command to where it may be read. */
  read<A>(command: RedisCommand<A>, slot: number, from: ReadFrom): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const call = prepare(command, resume, this, undefined)
      if (!(call instanceof Request)) {
        return resume(Effect.fail(call))
      }
      const member = this.readerOf(slot, from)
      this.reads.set(call, from)
      return member !== undefined ? member.accept(call) : this.wait(call)
    })
  }

  private leave(member: Member): void {
    if (this.members.get(member.address) === member) {
      this.members.delete(member.address)
    }
    member.left = true
    this.reroute(member)
    this.closeWhenQuiet(member, Timers.now() + Math.min(this.settings.replyTimeout, longestStay))
  }

  /** Members that left, until they are closed. */
  private readonly leaving = new Map<Member, Timers.Timer | undefined>()

  /** Blocking commands at a node that lost its slots are told by the node itself, which may take it a second. */
  private closeWhenQuiet(member: Member, until: number): void {
    if (member.lent > 0 && Timers.now() < until && !this.closed) {
      this.leaving.set(
        member,
        Timers.setTimeout(() => this.closeWhenQuiet(member, until), quietMillis)
      )
    } else {
      this.leaving.set(member, undefined)
      this.settings.close(member, () => this.leaving.delete(member))
    }
  }

  /** Sends what waits for a connection of a member to where it belongs now. */
  reroute(member: Member): void {
    for (const request of member.takeWaiting()) {
      this.dispatch(request)
    }
  }

  /** The member that owns a slot. */
  ownerOf(slot: number): Member | undefined {
    const shard = this.topology.shardOf(slot)
    return shard === undefined ? undefined : this.primaries.get(shard)
  }

  /** The status of the connection to a node of the topology. Replicas are connected when they are read from. */
  statusOf(address: Address, replica: boolean): Status {
    return (replica ? this.replicas : this.members).get(this.nameOf(address))?.status ?? { _tag: "Connecting" }
  }

  get allPrimaries(): ReadonlyArray<Member> {
    return [...new Set(this.primaries.values())]
  }

  /** The primaries and their replicas. */
  get allNodes(): ReadonlyArray<Member> {
    const replicas = this.topology.shards.flatMap(({ replicas }) => replicas)
    return [...new Set([...this.primaries.values(), ...replicas.map((replica) => this.memberFor(replica))])]
  }

  get maxRetries(): number {
    return this.settings.maxRetries
  }

  get maxRedirects(): number {
    return this.settings.maxRedirects
  }

  /** The member for commands without a key: always the same, as long as it is connected. */
  get anyMember(): Member | undefined {
    if (this.home === undefined || this.home.left || !this.home.connected) {
      this.home = this.allPrimaries.find((member) => member.connected) ?? this.home ?? this.allPrimaries[0]
    }
    return this.home
  }

  plan(command: RedisCommand<unknown>): Plan {
    return planOf(command, this.settings.splitKeys)
  }

  /** Sends a command whose keys are all in one slot; `undefined` for a command without keys. */
  send<A>(command: RedisCommand<A>, slot: number | undefined): Effect.Effect<A, RedisError> {
    return Effect.async<A, RedisError>((resume) => {
      const call = prepare(command, resume, this, undefined)
      // A command of another copy of this package has a `UsageError` of that copy, so the request is what is asked for.
      return call instanceof Request ? this.accept(call, slot) : resume(Effect.fail(call))
    })
  }

  /** Sends a transaction whose keys are all in one slot. */
  sendTransaction(
    commands: ReadonlyArray<RedisCommand<unknown>>,
    slot: number | undefined,
    deadline: number | undefined
  ): ReturnType<Member["sendAll"]> {
    return Effect.async((resume) => {
      const request = prepareAll(commands, { atomic: true, deadline }, resume, this, undefined)
      return request instanceof Request ? this.accept(request, slot) : resume(Effect.fail(request))
    })
  }

  private accept(request: Request, slot: number | undefined): Effect.Effect<void> | undefined {
    const member = slot === undefined ? this.anyMember : this.ownerOf(slot)
    return member === undefined ? this.wait(request) : member.accept(request)
  }

  /** Nobody can be sent a new request yet. Returns how to take it back. */
  private wait(request: Request): Effect.Effect<void> {
    request.caller = currentFiber()
    request.deadline = Timers.now() + request.allowed
    this.waitForMember(request, slotOfFirstKey(request.commands))
    return withdrawal(request)
  }

  private waitForMember(request: Request, slot: number | undefined): void {
    return slot !== undefined && this.ownerOf(slot) !== undefined
      ? this.later(request, noReaderMillis, noReader)
      : this.later(request, noOwnerMillis, noOwner)
  }

  readonly dispatch = (request: Request): void => {
    if (this.closed) {
      return settleFailure(request, closedFailure)
    }
    if (request.deadline <= Timers.now()) {
      // It waited for a node until now. Were it written, its delivery would be unknown.
      return settleFailure(request, { _tag: "Deadline", phase: "queue", delivery: "unsent", hint: notConnected })
    }
    const slot = slotOfFirstKey(request.commands)
    const member = slot === undefined ? this.anyMember : this.readerOf(slot, this.reads.get(request) ?? "primary")
    if (member === undefined || member.left) {
      return this.waitForMember(request, slot)
    }
    member.resend(request)
  }

  /**
   * Sends a request again after a pause, by the topology of then. Requests of one slot wait together, so that they are sent
   * in the order in which they were refused; a longer pause of a later one holds up the others, for a second at most.
   */
  private later(request: Request, millis: number, hint: string): void {
    this.doubt()
    const bytes = encodedLength(request.wire)
    const overflow = this.settings.queueBounds.take(bytes)
    if (overflow !== undefined) {
      return settleFailure(request, overflow)
    }
    const now = Timers.now()
    const slot = slotOfFirstKey(request.commands)
    let delayed = this.delayed.get(slot)
    if (delayed === undefined) {
      delayed = {
        slot,
        waiting: [],
        due: now + millis,
        latest: now + longestPause,
        earliest: Infinity,
        at: Infinity,
        timer: undefined
      }
      this.delayed.set(slot, delayed)
    }
    delayed.waiting.push({ request, hint, bytes })
    delayed.earliest = Math.min(delayed.earliest, request.deadline)
    delayed.due = Math.max(delayed.due, Math.min(now + millis, delayed.latest))
    this.arm(delayed)
  }

  /** Wakes up when the pause is over, or the first deadline. */
  private arm(delayed: Delayed): void {
    const at = Math.min(delayed.earliest, delayed.due)
    if (at !== delayed.at) {
      Timers.clearTimeout(delayed.timer)
      delayed.at = at
      delayed.timer = Timers.setTimeout(() => this.sendDelayed(delayed), Math.max(at - Timers.now(), 0))
    }
  }

  private sendDelayed(delayed: Delayed): void {
    // Timers may fire a little too early.
    const now = Timers.now() + 1
    const isDue = delayed.due <= now
    const all = delayed.waiting.splice(0)
    const late = all.filter(({ request }) => request.deadline <= now)
    const others = all.filter(({ request }) => request.deadline > now)
    if (isDue || others.length === 0) {
      this.delayed.delete(delayed.slot)
    } else {
      delayed.waiting = others
      delayed.earliest = others.reduce((at, { request }) => Math.min(at, request.deadline), Infinity)
      delayed.at = Infinity
      this.arm(delayed)
    }
    for (const { bytes } of isDue ? all : late) {
      this.settings.queueBounds.give(bytes)
    }
    for (const { hint, request } of late) {
      if (!request.abandoned) {
        settleFailure(request, { _tag: "Deadline", phase: "queue", delivery: "unsent", hint })
      }
      request.settled = true
    }
    for (const { request } of isDue ? others : []) {
      if (request.abandoned) {
        request.settled = true
      } else if (!request.settled) {
        this.dispatch(request)
      }
    }
  }

  /** Sends a request again at once, unless earlier ones of its slot wait. */
  private again(request: Request, send: () => void): void {
    this.delayed.has(slotOfFirstKey(request.commands)) ? this.later(request, 0, "earlier commands wait") : send()
  }

  refused(member: Member, request: Request, errors: Refusals): boolean {
    const error = decisive(request, errors)
    const redirection =
      error === undefined
        ? undefined
        : request.atomic
          ? redirectionOf(error.message)
          : refusalOf(request.commands[0] as RedisCommand<unknown>, error.message)
    if (error === undefined || redirection === undefined || this.closed) {
      return false
    }
    if (redirection._tag === "NotReady") {
      if (!member.replica) {
        return member.notReady(request, errors)
      }
      member.rest()
      this.dispatch(request)
      return true
    }
    request.refusals++
    if (request.refusals > this.settings.maxRedirects) {
      return false
    }
    const slot = slotOfFirstKey(request.commands)
    if (redirection._tag === "Moved" || redirection._tag === "Ask") {
      if (redirection.slot !== slot) {
        // A script answered it.
        return false
      }
      const target = this.targetOf(redirection, member)
      if (runsCode(request) && !this.names(target)) {
        // A script can answer any error, and whoever is redirected to is given the password.
        return false
      }
      this.report(request, error.code)
      this.redirect(request, redirection, target, member)
      return true
    }
    if (runsCode(request) && redirection._tag === "Demoted" && request.refusals > this.settings.maxRetries) {
      return false
    }
    this.report(request, error.code)
    const pause =
      redirection._tag === "TryAgain"
        ? backoff(request, 50, 500)
        : backoff(request, redirection._tag === "Down" ? 100 : 20, 1_000)
    this.later(request, pause, error.message)
    return true
  }

  private redirect(
    request: Request,
    redirection: Extract<Redirection, { readonly port: number }>,
    target: Address,
    from: Member
  ): void {
    if (redirection._tag === "Ask") {
      return this.ask(request, target)
    }
    this.doubt()
    if (sameAddress(this.settings.located(target), from.place)) {
      // Another server has taken its place under the same address: connections to the old one are of no use.
      from.replace()
      return this.later(request, backoff(request, 50, 500), "the node redirects to itself")
    }
    this.adopt(this.topology.moved(redirection.slot, target))
    if (request.refusals < 3) {
      return this.again(request, () => this.dispatch(request))
    }
    this.later(request, backoff(request, 10, 500), "nodes redirect to each other")
  }

  /**
   * Follows a redirection of one command of a pipeline: where it goes, or `undefined` when a script may have answered it.
   */
  follow(
    redirection: Extract<Redirection, { readonly port: number }>,
    from: Member,
    script: boolean
  ): { readonly asked: Member | undefined; readonly pause: number } | undefined {
    const target = this.targetOf(redirection, from)
    if (script && !this.names(target)) {
      return undefined
    }
    if (redirection._tag === "Ask") {
      return { asked: this.memberFor(target), pause: 0 }
    }
    if (sameAddress(this.settings.located(target), from.place)) {
      from.replace()
      return { asked: undefined, pause: 50 }
    }
    this.adopt(this.topology.moved(redirection.slot, target))
    return { asked: undefined, pause: 0 }
  }

  /** Sends a request, just after ASKING, to the node that imports its slot. The topology stays as it is. */
  private ask(request: Request, target: Address): void {
    const member = this.memberFor(target)
    if (member.connected) {
      return this.again(request, () => member.resend(request, asking(this)))
    }
    // Its connection is being opened. The slot's owner is asked again then, because the migration may be over.
    this.later(request, backoff(request, 20, 500), "the node that imports the slot is not connected")
  }

  /** Where a redirection leads. Without a host it means the one of the node that said it. */
  private targetOf({ host, port }: Extract<Redirection, { readonly port: number }>, member: Member): Address {
    if (host !== "" && host !== "?") {
      return { host, port }
    }
    return { host: member.place.host, port }
  }

  /** Whether a redirection leads to a node that the topology names. */
  isNamed(redirection: Extract<Redirection, { readonly port: number }>, from: Member): boolean {
    return this.names(this.targetOf(redirection, from))
  }

  /** Whether a node of the topology is reached at this address, `host:port`. */
  knows(address: string): boolean {
    return this.topology.shards.some(({ primary, replicas }) =>
      [primary, ...replicas].some((node) => this.nameOf(node) === address)
    )
  }

  /** Whether the topology names a node at this address. */
  private names(address: Address): boolean {
    return this.topology.shards.some(
      ({ primary, replicas }) =>
        sameAddress(primary, address) || replicas.some((replica) => sameAddress(replica, address))
    )
  }

  private report(request: Request, code: string): void {
    reportRetry(this.observer, request, request.via?.address ?? this.address, code)
  }

  /** Every member, to be closed. */
  get everyMember(): ReadonlyArray<Member> {
    return [...this.members.values(), ...this.replicas.values(), ...this.leaving.keys()]
  }

  /**
   * Looks for nodes that owe replies and say nothing: their successors may have taken over, although no connection was lost.
   */
  watch(): void {
    this.watcher = Timers.setTimeout(() => {
      if (this.everyMember.some((member) => member.silentFor > silentMillis)) {
        this.doubt()
      }
      this.watch()
    }, silentMillis / 2)
  }

  private watcher: Timers.Timer | undefined

  /** Nothing is sent again from now on. */
  end(): void {
    this.closed = true
    this.measures.end()
    Timers.clearTimeout(this.watcher)
    for (const timer of this.leaving.values()) {
      Timers.clearTimeout(timer)
    }
    const delayed = [...this.delayed.values()]
    this.delayed.clear()
    for (const { timer, waiting } of delayed) {
      Timers.clearTimeout(timer)
      for (const { request } of waiting) {
        settleFailure(request, closedFailure)
      }
    }
  }
}

/** To how many nodes connections are opened at once before they are needed. */
const mostConnecting = 16
/** How long requests of one slot wait for each other at most, in milliseconds. */
const longestPause = 1_000
const noOwnerMillis = 100
/** How long a read waits while no replica can serve, in milliseconds. The first one waits for its connection. */
const noReaderMillis = 20
/** How often a node that left is looked at for blocking commands, and for how long at most, in milliseconds. */
const quietMillis = 50
const longestStay = 60_000
/** How long a node without slots that was asked for a key is kept, in milliseconds. */
const askedMillis = 10_000
const noOwner = "no node of the cluster owns the slot"
const noReader = "no replica that could serve the read was connected"
const notConnected = "there was no connection to the node that owned the slot"

/** How long to wait before a request is sent again: doubling with each of its refusals, half of it at random. */
const backoff = ({ refusals }: Request, least: number, most: number): number => {
  const millis = Math.min(least * 2 ** Math.min(refusals - 1, 16), most)
  return millis / 2 + (Math.random() * millis) / 2
}

/**
 * The error that says that nothing of a request was executed. Of a transaction every command that was not queued must have
 * been refused so: EXEC was answered with EXECABORT then, or with the refusal itself.
 */
const decisive = (request: Request, errors: Refusals): ErrorReply | undefined => {
  if (!request.atomic) {
    return errors.length === 1 ? errors[0] : undefined
  }
  const refusals = errors.filter((error) => error !== undefined && error.code !== "EXECABORT")
  return refusals.length > 0 &&
    refusals.every((error) => error !== undefined && redirectionOf(error.message) !== undefined)
    ? refusals[0]
    : undefined
}

const runsCode = ({ atomic, commands }: Request): boolean =>
  !atomic && commands.some(({ traits }) => traits.script !== undefined)

/** ASKING, whose reply nobody waits for. */
const asking = (settings: RequestSettings): Request => prepare(askingCommand, () => {}, settings, undefined) as Request

export const askingCommand = makeCommand("ASKING")
