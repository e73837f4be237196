/**
 * The engine of one connection: it joins writes, keeps the queue of replies that are owed, feeds the parser, and settles
 * every accepted request exactly once. It is plain JavaScript: what it settles ({@link Pending}) and what it writes to
 * ({@link Transport}) are handed in. It does not connect, shake hands, reconnect or decode.
 */
import { type Encoded, encodedLength } from "../resp/encoder.js"
import { Parser, type ParserLimits } from "../resp/parser.js"
import { ErrorReply, Push, type Reply } from "../resp/values.js"
import { Pending, settleFailure, settleReply } from "./pending.js"
import { CommandQueue, type QueueBounds } from "./queue.js"
import { Ring } from "./ring.js"
import { ownWords } from "./sentences.js"
import * as Timers from "./timers.js"
import { type CloseReason, ended, type Transport } from "./transport.js"

export interface EngineOptions {
  readonly limits: ParserLimits
  readonly pushText: boolean
  /** How many replies may be owed at once, late replies included. Further requests wait unsent. */
  readonly maxInFlight: number
  /** How many commands, and bytes of them, may wait unsent, here and in the other queues of the client. */
  readonly queueBounds: QueueBounds
  /** The connection ends when replies are owed and nothing was read for this long, in milliseconds. Infinity: never. */
  readonly unresponsiveAfter: number
  /** An idle peer is asked with PING after this long, in milliseconds. Infinity: never. */
  readonly pingInterval: number
  /** Told how many replies are owed, at each look at the deadlines and at the end. */
  readonly onOwed?: ((replies: number) => void) | undefined
  /** Told how long one reply took, in milliseconds: the first after an idle moment, and then one at each look at the deadlines. */
  readonly onSample?: ((millis: number) => void) | undefined
  readonly onPush: (push: Push) => void
  readonly onClose: (reason: CloseReason) => void
}

/**
 * How often deadlines are checked, in milliseconds. Each connection has one timer, which runs only while replies are
 * owed.
 */
const tickMillis = 20

/** How long a turn may take, in milliseconds, until its one reading of the clock counts as too old. */
const longTurn = 0.25

/** How often the socket is polled at most before a passed deadline is enforced. A busy connection always reads something. */
const mostReads = 16

/**
 * Commands of one turn leave in one write, or in several when there are many of them: a write ends at this many
 * commands, or at this length. The server then works on the first ones while the client still encodes (at 100 fibers a
 * GET takes a fifth less time, at the same processor time).
 */
const writeAtCommands = 64
const writeAtLength = 32 * 1024

/** A PING of the engine itself. Any reply will do, an error too. */
class Ping extends Pending {
  readonly text = true
  constructor() {
    super(0)
  }
  onReply(): void {}
  onFailure(): void {}
}

/** The kinds of messages that come as arrays under RESP2, and as pushes under RESP3. */
const pubsubKinds = new Set([
  "message",
  "pmessage",
  "smessage",
  "subscribe",
  "psubscribe",
  "ssubscribe",
  "unsubscribe",
  "punsubscribe",
  "sunsubscribe"
])

const monitorLine = /^\d+\.\d+ \[/

export class Engine {
  /** Why the connection ended; `undefined` while it is up. */
  closed: CloseReason | undefined
  /** Whether it takes no more commands because it is being closed. */
  closing = false
  /** The connection is in MONITOR mode. */
  monitoring = false
  /**
   * The connection is only used for subscriptions: also when none is left, an array that reads like a message is one.
   */
  subscriber = false
  /** Reading is paused, because a listener has enough. */
  private paused = false
  /**
   * How many channels and patterns, and shard channels, are subscribed. Under RESP2 messages arrive as arrays while
   * there are any.
   */
  private subscriptions = 0
  private shardSubscriptions = 0
  /** When something was last read, by the engine's clock. */
  lastRead = Timers.now()

  private readonly parser: Parser
  private readonly inFlight = new Ring<Pending>()
  /** Accepted requests that wait, encoded, for room in flight or for the socket to drain. */
  private readonly queue: CommandQueue

  private text = ""
  private parts: Array<string | Uint8Array> | undefined
  /** Replies in `inFlight` whose commands are still in `text` and `parts`. */
  private unflushed = 0
  /** About how many bytes those are. */
  private gathered = 0
  private flushScheduled = false
  private readonly flushNow = (): void => this.flush()
  private full = false
  /** The time of this turn; 0 when it has to be read again. */
  private turn = 0
  /** How many of the requests in flight were taken in this turn. */
  private taken = 0
  private owedSince = 0
  /** The request whose reply is timed, and since when. */
  private sampled: Pending | undefined
  private sampledAt = 0
  private timer: Timers.Timer | undefined
  /** When the timer was started. */
  private ticked = 0
  private firstBytes: Uint8Array | undefined
  private anyReply = false
  /** The last error that answered no request. It often says why the server closes the connection next. */
  private lastWords: string | undefined
  private whenIdle: (() => void) | undefined

  constructor(
    private transport: Transport,
    private readonly options: EngineOptions
  ) {
    this.queue = new CommandQueue(options.queueBounds)
    this.parser = new Parser(
      {
        onReply: (reply) => this.onReply(reply),
        onPush: (push) => this.onPush(push),
        onAttribute: () => {}
      },
      options.limits,
      { text: true, pushText: options.pushText }
    )
    transport.listen({
      onData: (bytes) => this.onData(bytes),
      room: () => this.parser.room,
      onDrain: () => this.onDrain(),
      onClose: (reason) => this.destroy(this.explain(reason))
    })
  }

  /** How many replies are owed, late ones included, and how many requests wait unsent. */
  get pending(): number {
    return this.inFlight.length + this.queue.length - (this.ping.remaining > 0 ? 1 : 0)
  }

  /** For how long the peer has owed replies and sent nothing, in milliseconds; 0 while it owes none. */
  get silentFor(): number {
    return this.inFlight.length === 0 ? 0 : Timers.now() - Math.max(this.lastRead, this.owedSince)
  }

  /** The PING that is sent to an idle peer. */
  private readonly ping = new Ping()
  private pinger: Timers.Timer | undefined

  /** Asks an idle peer with PING, while `mayAsk` says that a PING does no harm. */
  startPinging(mayAsk: () => boolean): void {
    const { pingInterval } = this.options
    const look = (): void => {
      const silent = Timers.now() - this.lastRead
      if (silent >= pingInterval && this.inFlight.length === 0 && this.queue.length === 0 && !this.paused && mayAsk()) {
        this.ping.remaining = 1
        this.ping.settled = false
        this.accept(this.ping, "*1\r\n$4\r\nPING\r\n")
      }
      // The timer is not moved by commands, because that would cost each of them something. It may fire late.
      const next = silent >= pingInterval ? pingInterval : pingInterval - silent
      this.pinger = Timers.setTimeout(look, Math.ceil(next))
    }
    if (this.closed === undefined && pingInterval <= Timers.longestTimer) {
      this.pinger = Timers.setTimeout(look, pingInterval)
    }
  }

  /** The engine's clock: one reading per turn. */
  now(): number {
    if (this.turn === 0) {
      this.turn = Timers.now()
      this.schedule()
    }
    return this.turn
  }

  /**
   * Takes a request. Returns whether it is on its way; otherwise it waits, and `withdraw` can take it back. On a closed
   * connection it fails at once.
   */
  accept(pending: Pending, encoded: Encoded): boolean {
    if (this.closed !== undefined || this.closing) {
      settleFailure(pending, { _tag: "Closed", close: this.closed ?? closedHere, delivery: "unsent" })
      return true
    }
    if (this.full || this.queue.length > 0 || this.inFlight.length >= this.options.maxInFlight) {
      return this.enqueue(pending, encoded)
    }
    this.register(pending, encoded)
    return true
  }

  private enqueue(pending: Pending, encoded: Encoded): boolean {
    if (this.turn !== 0) {
      pending.deadline += Timers.now() - this.turn
    }
    const overflow = this.queue.add(pending, encoded)
    if (overflow !== undefined) {
      settleFailure(pending, overflow)
      return true
    }
    this.startTimer()
    return false
  }

  private register(pending: Pending, encoded: Encoded): void {
    if (this.inFlight.length === 0) {
      this.parser.text = pending.text
      this.owedSince = this.now()
      this.startTimer()
      this.sampled = pending
      this.sampledAt = this.owedSince
    }
    this.inFlight.push(pending)
    this.unflushed++
    this.taken++
    this.gathered += encodedLength(encoded)
    if (typeof encoded === "string") {
      this.text += encoded
    } else {
      const parts = (this.parts ??= [])
      if (this.text !== "") {
        parts.push(this.text)
        this.text = ""
      }
      for (const part of encoded) {
        parts.push(part)
      }
    }
    if (this.unflushed >= writeAtCommands || this.gathered >= writeAtLength) {
      this.write()
    } else {
      this.schedule()
    }
  }

  private schedule(): void {
    if (!this.flushScheduled) {
      this.flushScheduled = true
      Timers.queueMicrotask(this.flushNow)
    }
  }

  private flush(): void {
    this.flushScheduled = false
    if (this.turn !== 0) {
      const late = Timers.now() - this.turn
      if (late > longTurn) {
        this.postpone(late)
      }
    }
    this.turn = 0
    this.taken = 0
    if (this.closed === undefined && this.unflushed > 0) {
      this.write()
    }
  }

  /**
   * The turn took long: its requests were taken up to so much later than its clock says. In Effect 4 callers compute and send
   * inside the turn in which replies are read. A deadline must not pass early.
   */
  private postpone(late: number): void {
    for (let i = Math.max(0, this.inFlight.length - this.taken); i < this.inFlight.length; i++) {
      const pending = this.inFlight.at(i) as Pending
      pending.deadline += late
    }
    if (this.owedSince === this.turn) {
      this.owedSince += late
    }
  }

  private write(): void {
    const { parts, text } = this
    this.text = ""
    this.parts = undefined
    this.unflushed = 0
    this.gathered = 0
    try {
      if (parts === undefined) {
        this.transport.write(text)
      } else {
        this.transport.cork()
        for (const part of parts) {
          this.transport.write(part)
        }
        if (text !== "") {
          this.transport.write(text)
        }
        this.transport.uncork()
      }
    } catch (cause) {
      // For example, the memory of its bytes was transferred meanwhile. How much was written is not known.
      return this.destroy({ reason: "transport", message: "what was to be written could not be", cause })
    }
    this.full = this.transport.isFull()
  }

  private onDrain(): void {
    this.full = false
    this.refill()
  }

  /** Stops reading. While reading is paused, silence does not mean that the peer is dead. */
  pause(): void {
    if (!this.paused && this.closed === undefined) {
      this.paused = true
      this.transport.pause()
    }
  }

  resume(): void {
    if (this.paused && this.closed === undefined) {
      this.paused = false
      this.lastRead = Timers.now()
      this.transport.resume()
    }
  }

  /** Writes waiting requests while there is room. */
  private refill(): void {
    while (
      this.queue.length > 0 &&
      !this.full &&
      this.closed === undefined &&
      this.inFlight.length < this.options.maxInFlight
    ) {
      const next = this.queue.shift()
      if (next === undefined) {
        return
      }
      this.register(next.pending, next.encoded)
    }
  }

  private onData(bytes: Uint8Array): void {
    this.turn = 0
    this.lastRead = this.now()
    if (!this.anyReply && this.firstBytes === undefined) {
      // A copy: the transport may read the next ones into the same memory.
      this.firstBytes = new Uint8Array(bytes.subarray(0, 8))
    }
    const failure = this.parser.write(bytes)
    if (failure !== undefined && this.closed === undefined) {
      const foreign = this.anyReply || this.firstBytes === undefined ? undefined : foreignPeer(this.firstBytes)
      const close: CloseReason = {
        reason: "protocol",
        message: foreign ?? `the server broke the protocol: ${failure.reason}`,
        protocol: foreign ?? failure.reason
      }
      return this.destroy(close, foreign === undefined && !failure.inPush)
    }
    if (this.queue.length > 0) {
      this.refill()
    }
  }

  private onReply(reply: Reply): void {
    if (!this.anyReply) {
      this.anyReply = true
      this.firstBytes = undefined
    }
    if (this.monitoring && typeof reply === "string" && monitorLine.test(reply)) {
      return this.options.onPush(new Push(["monitor", reply]))
    }
    const head = this.inFlight.peek()
    if (Array.isArray(reply) && (this.subscribed || head?.confirmedBy !== undefined) && isPubSub(reply)) {
      const push = new Push(reply)
      this.follow(push)
      return this.onPush(push)
    }
    if (head === undefined || this.inFlight.length <= this.unflushed) {
      return this.onUnowned(reply)
    }
    this.settle(head, reply)
  }

  private get subscribed(): boolean {
    return this.subscriber || this.subscriptions > 0 || this.shardSubscriptions > 0
  }

  /**
   * Counts subscriptions as the server confirms them. Once the last one is gone, an array is a reply again, whatever
   * its first element says.
   */
  private follow({ items, kind }: Push): void {
    const count = items[2]
    if (typeof count !== "number" || !kind.endsWith("subscribe")) {
      return
    }
    if (kind === "ssubscribe" || kind === "sunsubscribe") {
      this.shardSubscriptions = count
    } else {
      this.subscriptions = count
    }
  }

  /** The server forgot what commands made of the connection (RESET). */
  reset(): void {
    this.monitoring = false
    this.subscriptions = 0
    this.shardSubscriptions = 0
  }

  private settle(head: Pending, reply: Reply): void {
    head.remaining--
    if (head.remaining === 0 || (head.confirmedBy !== undefined && reply instanceof ErrorReply)) {
      this.inFlight.shift()
      if (head === this.sampled) {
        this.sample(head)
      }
    }
    settleReply(head, reply)
    if (head.spoiled !== undefined) {
      return this.destroy({ reason: "protocol", message: head.spoiled })
    }
    const next = this.inFlight.peek()
    if (next !== undefined) {
      this.parser.text = next.text
    }
    if (this.whenIdle !== undefined && (next === undefined || next.blocking)) {
      this.whenIdle()
    }
  }

  private sample({ blocking }: Pending): void {
    this.sampled = undefined
    if (!blocking && this.options.onSample !== undefined) {
      this.options.onSample(Timers.now() - this.sampledAt)
    }
  }

  private onPush(push: Push): void {
    const head = this.inFlight.peek()
    if (head?.confirmedBy !== undefined && head.confirmedBy === push.kind && head.confirmedFor(push.items[1])) {
      this.settle(head, push.items)
    }
    this.options.onPush(push)
  }

  /**
   * A reply that no request owns. An error is what a server sends before it closes; anything else means that the peer
   * is broken.
   */
  private onUnowned(reply: Reply): void {
    if (reply instanceof ErrorReply) {
      this.lastWords = reply.message
      this.destroy(this.explain({ reason: "peerClosed", message: "the server ended the connection" }))
    } else {
      const protocol = "a reply that nobody asked for"
      this.destroy({ reason: "protocol", message: `the server broke the protocol: ${protocol}`, protocol })
    }
  }

  private explain(reason: CloseReason): CloseReason {
    if (this.lastWords === undefined) {
      return reason
    }
    const authentication = /^(?:NOAUTH|WRONGPASS)/.test(this.lastWords)
    return {
      ...reason,
      reason: authentication ? "authentication" : reason.reason,
      message: `${reason.message}; it said: ${safeWords(this.lastWords)}`
    }
  }

  private startTimer(): void {
    if (this.timer === undefined) {
      this.ticked = Timers.now()
      this.timer = Timers.setTimeout(this.tick, tickMillis)
    }
  }

  /**
   * Looks for requests whose deadline has passed. The timer stops when nothing is owed, so an idle connection has none. What
   * waits in the socket is read before a request fails: event loops run timers first, so after a time in which the program
   * did not run, every deadline would pass although the reply has arrived.
   */
  private readonly tick = (): void => {
    this.timer = undefined
    if (this.closed !== undefined) {
      return
    }
    const now = Timers.now()
    if (now - this.ticked - tickMillis > Math.max(this.options.unresponsiveAfter / 2, tickMillis)) {
      // The timer fires this late only when the program did not run. Nothing can be said about the peer then.
      this.owedSince = now
    }
    this.queue.expire(now)
    if (this.isOverdue(now)) {
      return this.afterReading(() => this.enforce())
    }
    this.goOn()
  }

  /** Calls `f` once the event loop has polled the socket without reading anything from it, or several times. */
  private afterReading(f: () => void, times = mostReads): void {
    const { lastRead } = this
    Timers.afterPoll(() => {
      if (this.closed !== undefined) {
        return
      }
      if (this.lastRead !== lastRead && times > 1) {
        return this.afterReading(f, times - 1)
      }
      f()
    })
  }

  private isOverdue(now: number): boolean {
    for (let i = 0; i < this.inFlight.length; i++) {
      const pending = this.inFlight.at(i) as Pending
      if (pending.deadline <= now && !pending.settled) {
        return true
      }
    }
    return this.isSilent(now)
  }

  /** Whether the peer owes replies and has been silent for too long. */
  private isSilent(now: number): boolean {
    if (this.paused || now - Math.max(this.lastRead, this.owedSince) <= this.options.unresponsiveAfter) {
      return false
    }
    const head = this.inFlight.peek()
    if (head === undefined || (head.mayTakeLong && head.deadline > now)) {
      return false
    }
    for (let i = 0; i < this.inFlight.length; i++) {
      const pending = this.inFlight.at(i) as Pending
      // A blocking command past its deadline does not excuse silence any more.
      if (pending.blocking && pending.deadline > now) {
        return false
      }
    }
    return true
  }

  /** Fails the requests whose deadline has passed, and ends a connection whose peer is silent. */
  private enforce(): void {
    const now = Timers.now()
    for (let i = 0; i < this.inFlight.length; i++) {
      const pending = this.inFlight.at(i) as Pending
      if (pending.deadline <= now && !pending.settled) {
        // It stays in the queue: its late reply is read and dropped.
        settleFailure(pending, { _tag: "Deadline", phase: "reply", delivery: "unknown" })
      }
    }
    if (this.isSilent(now)) {
      return this.destroy({
        reason: "unresponsive",
        message: `replies are owed and nothing was read for ${this.options.unresponsiveAfter} ms`
      })
    }
    this.goOn()
  }

  private goOn(): void {
    if (this.inFlight.length > 0 && this.sampled === undefined) {
      this.sampled = this.inFlight.at(this.inFlight.length - 1)
      this.sampledAt = Timers.now()
    }
    this.options.onOwed?.(this.inFlight.length)
    this.whenIdle?.()
    if (this.closed === undefined && (this.inFlight.length > 0 || this.queue.length > 0)) {
      this.startTimer()
    }
  }

  /**
   * Writes nothing more from now on: requests that were accepted and not written fail as unsent. Replies to those that were
   * written are still read.
   */
  retract(reason: CloseReason): void {
    if (this.closed !== undefined) {
      return
    }
    this.closing = true
    this.text = ""
    this.parts = undefined
    this.gathered = 0
    const unsent: Array<Pending> = []
    for (let left = this.inFlight.length, written = left - this.unflushed; left > 0; left--, written--) {
      const pending = this.inFlight.shift() as Pending
      written > 0 ? this.inFlight.push(pending) : unsent.push(pending)
    }
    this.unflushed = 0
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      unsent.push(next.pending)
    }
    // Last, because in Effect 4 a caller goes on inside `settleFailure`.
    for (const pending of unsent) {
      settleFailure(pending, { _tag: "Closed", close: reason, delivery: "unsent" })
    }
  }

  /**
   * Takes no more requests, waits at most `graceMillis` for the replies that are owed (except those of blocking
   * commands), then ends the connection. `done` is called once it has ended.
   */
  close(graceMillis: number, done: () => void, reason = closedHere): void {
    if (this.closed !== undefined) {
      return done()
    }
    this.closing = true
    const unbound = Timers.limit(graceMillis, () => this.destroy(reason))
    // The connection may also end by itself, or by another call of `close`.
    this.whenDestroyed.push(() => {
      unbound()
      done()
    })
    this.whenIdle = () => {
      if (this.owesNothing()) {
        this.destroy(reason)
      }
    }
    this.whenIdle()
  }
  private readonly whenDestroyed: Array<() => void> = []

  /** Whether closing waits for no reply any more. */
  private owesNothing(): boolean {
    if (this.queue.length > 0) {
      return false
    }
    for (let i = 0; i < this.inFlight.length; i++) {
      if (!(this.inFlight.at(i) as Pending).blocking) {
        return false
      }
    }
    return true
  }

  /**
   * Ends the connection now and settles everything that is owed. `own`: the reply to the first request is to blame. Whoever
   * follows the connection learns of its end before a caller does, because in Effect 4 a caller goes on inside
   * `settleFailure`, and must not meet a client or a pool that still relies on the connection.
   */
  destroy(reason: CloseReason, own = false): void {
    if (this.closed !== undefined) {
      return
    }
    this.closed = reason
    this.parser.stop()
    Timers.clearTimeout(this.timer)
    this.timer = undefined
    Timers.clearTimeout(this.pinger)
    this.whenIdle = undefined
    this.text = ""
    this.parts = undefined
    if (reason.reason === "closed") {
      this.transport.end()
    }
    this.transport.destroy()
    // A program may hold an ended connection for long. It must not hold its socket, whose memory for reading is large.
    this.transport = ended
    const written = this.inFlight.length - this.unflushed
    this.unflushed = 0
    this.sampled = undefined
    this.options.onOwed?.(0)
    this.options.onClose(reason)
    if (own && written > 0) {
      settleFailure(this.inFlight.peek() as Pending, { _tag: "Closed", close: reason, delivery: "unknown", own })
    }
    for (let i = 0; this.inFlight.length > 0; i++) {
      const pending = this.inFlight.shift() as Pending
      if (pending.endsConnection && i < written && !pending.settled && reason.reason === "peerClosed") {
        pending.remaining = 0
        settleReply(pending, "OK")
      } else {
        settleFailure(pending, { _tag: "Closed", close: reason, delivery: i < written ? "unknown" : "unsent" })
      }
    }
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      settleFailure(next.pending, { _tag: "Closed", close: reason, delivery: "unsent" })
    }
    for (const done of this.whenDestroyed.splice(0)) {
      done()
    }
  }
}

const closedHere: CloseReason = { reason: "closed", message: "the connection was closed by this side" }

/** What may be shown of an error that no request owns. An unknown code may be a word of an argument. */
const safeWords = (message: string): string => {
  const { code } = new ErrorReply(message)
  return ownWords(message) ?? (/^[A-Z]{2,20}$/.test(code) ? code : "ERR")
}

const isPubSub = (reply: ReadonlyArray<Reply>): boolean => {
  const kind = reply[0]
  return pubsubKinds.has(typeof kind === "string" ? kind : kind instanceof Uint8Array ? new Push(reply).kind : "")
}

/** Recognises a peer behind a wrong port: TLS records begin with 0x14–0x17 and 0x03, HTTP responses with `HTTP`. */
const foreignPeer = (bytes: Uint8Array): string | undefined => {
  const first = bytes[0] as number
  if (first >= 0x14 && first <= 0x17 && (bytes.length < 2 || bytes[1] === 0x03)) {
    return "the peer speaks TLS; use a rediss:// URL or the tls option"
  }
  return bytes.length >= 4 && String.fromCharCode(...bytes.subarray(0, 4)) === "HTTP"
    ? "the peer speaks HTTP, not RESP"
    : undefined
}
