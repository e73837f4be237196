/**
 * Subscriptions over one connection that is replaced when it ends. Who listens to what is plain JavaScript: a message
 * costs a look-up and a push to each listener's inbox.
 *
 * A topic is what the server knows: one kind and name, subscribed to once however many listen. A subscription is what a
 * program asked for: some topics, and an inbox for what comes.
 *
 * Every SUBSCRIBE names one topic and owns one slot, settled by its confirmation or by one error. Commands for one topic
 * may follow each other while the first are not answered yet: the server handles them in order, and only the answer to
 * the last one counts.
 */
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { ConnectionError, DeadlineError, type RedisError, UsageError } from "../../RedisError.js"
import { Argument } from "../command/args.js"
import { specFor } from "../command/command.js"
import type { RedisCommand } from "../command/model.js"
import { make as makeCommand, token } from "../command/raw.js"
import * as ReplyErrors from "../command/replyError.js"
import type { Dial } from "../connection/dial.js"
import type { Link } from "../connection/link.js"
import type { ReconnectSettings } from "../connection/pacer.js"
import { Reconnector } from "../connection/reconnect.js"
import type { Failure } from "../engine/failure.js"
import { Pending } from "../engine/pending.js"
import { longestTimer } from "../engine/timers.js"
import type { CloseReason } from "../engine/transport.js"
import { sameName } from "../request/call.js"
import { closeError, toRedisError } from "../request/failure.js"
import { type Encoded, EncodeFailure, encode, nameless } from "../resp/encoder.js"
import { utf8DecodeStrict } from "../resp/text.js"
import { ErrorReply, type Push, type Reply } from "../resp/values.js"
import { Delivery, Inbox, type InboxOptions, type InboxOwner } from "./inbox.js"

/** What is subscribed to. The last two take a connection of their own. */
export type Kind = "subscribe" | "psubscribe" | "ssubscribe" | "tracking" | "monitor"

export interface Target {
  readonly kind: Kind
  /** The channel or pattern. */
  readonly name: string | Uint8Array
  /** What `tracking` is about: what keys begin with; none for all keys. */
  readonly prefixes?: ReadonlyArray<string | Uint8Array> | undefined
}

export interface SubscriptionOptions extends InboxOptions {
  readonly failOnGap: boolean
}

/** What all connections of one service have in common. */
export interface HubSettings {
  readonly dial: Dial
  readonly reconnect: ReconnectSettings
  /** How long a connection is kept when nobody listens any more, in milliseconds. */
  readonly idleAfter: number
  readonly runtime: Runtime.Runtime<never>
}

/** Where RESP2 connections get invalidations: the name is the servers'. */
const invalidations = "__redis__:invalidate"

/** One command of the hub's and its slot. */
class Slot extends Pending {
  readonly text = true
  constructor(
    private readonly command: RedisCommand<unknown>,
    private readonly push: string | undefined,
    private readonly done: (reply: Reply, error: RedisError | undefined) => void
  ) {
    super(1)
  }

  override get confirmedBy(): string | undefined {
    return this.push
  }

  override confirmedFor(name: Reply | undefined): boolean {
    return sameName(this.command.args[0]?.data, name)
  }

  onReply(reply: Reply): void {
    this.settled = true
    const { args, name } = this.command
    this.done(reply, reply instanceof ErrorReply ? ReplyErrors.make(reply, name, args) : undefined)
  }

  onFailure(failure: Failure): void {
    // That the connection ended is heard once, for all.
    if (failure._tag !== "Closed") {
      this.done(null, toRedisError(failure, this.command.name, 0, undefined))
    }
  }
}

/** Names as the keys of a map: text stands for itself, and what is no text is told from it. */
const keyOf = (name: string | Uint8Array): string => {
  if (typeof name === "string") {
    return name
  }
  const text = utf8DecodeStrict(name, 0, name.length)
  if (text !== undefined) {
    return text
  }
  let key = "\0"
  for (const byte of name) {
    key += String.fromCharCode(byte)
  }
  // A lone surrogate: no text that can be sent has one.
  return `${key}\uDC00`
}

class Topic {
  state: "off" | "subscribing" | "on" | "unsubscribing" = "off"
  /** The command whose answer counts. */
  slot: Slot | undefined
  /** Who gets what comes. */
  readonly listeners = new Set<Subscription>()
  /** Who waits for the confirmation. */
  readonly waiting = new Set<Subscription>()
  constructor(
    readonly target: Target,
    readonly key: string
  ) {}

  get wanted(): boolean {
    return this.listeners.size > 0 || this.waiting.size > 0
  }
}

/** A program's subscription. */
export class Subscription implements InboxOwner {
  readonly inbox: Inbox
  readonly topics = new Set<Topic>()
  /** Topics that the server has not confirmed on this connection. */
  unconfirmed = 0
  /** Told once: that everything is confirmed, or why it is not. */
  private whenStarted: ((error: RedisError | undefined) => void) | undefined
  private outcome: { readonly error: RedisError | undefined } | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private gap: { readonly since: number; readonly reason: string } | undefined

  constructor(
    private readonly hub: Hub,
    readonly targets: ReadonlyArray<Target>,
    readonly options: SubscriptionOptions
  ) {
    this.inbox = new Inbox(options, this)
  }

  get started(): boolean {
    return this.outcome !== undefined
  }

  /** Waits until everything is confirmed. */
  readonly confirmed: Effect.Effect<void, RedisError> = Effect.async<void, RedisError>((resume) => {
    const told = (error: RedisError | undefined): void => resume(error === undefined ? Effect.void : Effect.fail(error))
    if (this.outcome !== undefined) {
      return told(this.outcome.error)
    }
    this.whenStarted = told
  })

  /** Fails after a while, unless it was confirmed. */
  limit(millis: number, expired: () => void): void {
    clearTimeout(this.timer)
    if (millis <= longestTimer) {
      this.timer = setTimeout(expired, millis)
    }
  }

  private start(error: RedisError | undefined): void {
    clearTimeout(this.timer)
    this.outcome = { error }
    this.whenStarted?.(error)
  }

  /** All topics are confirmed. */
  onConfirmed(): void {
    if (!this.started) {
      return this.start(undefined)
    }
    const { gap } = this
    this.gap = undefined
    this.inbox.lift()
    if (gap !== undefined && this.options.gaps === "none") {
      this.log("Messages of a Redis subscription may have been missed", {
        reason: gap.reason,
        millis: Math.round(performance.now() - gap.since)
      })
    }
  }

  /** From here on something may be missing. */
  onGap(reason: "disconnected" | "moved", cause: ConnectionError | undefined): void {
    if (!this.started) {
      // What came before it is of no use: it would have the gap behind it.
      return this.inbox.clear()
    }
    if (this.options.failOnGap) {
      return this.fail(
        new ConnectionError({
          reason: cause?.reason ?? "peerClosed",
          delivery: "unknown",
          message: `messages may have been missed: ${cause?.message ?? "the server ended the subscription"}`,
          ...(cause === undefined ? {} : { cause })
        })
      )
    }
    this.gap ??= { since: performance.now(), reason }
    this.inbox.hold(reason, cause)
  }

  /** It ends with an error, once what came was taken; or it could not begin. */
  fail(error: RedisError): void {
    this.hub.leave(this)
    if (this.started) {
      this.inbox.finish(error)
    } else {
      this.start(error)
    }
  }

  /** Nothing comes any more, as it should be. */
  finish(): void {
    clearTimeout(this.timer)
    this.inbox.finish(undefined)
  }

  onBurst(): void {
    this.log("A slow Redis subscription drops messages", { strategy: this.options.strategy })
  }

  onBurstEnd(dropped: number): void {
    this.hub.log(
      Effect.logDebug("A slow Redis subscription has caught up").pipe(
        Effect.annotateLogs({ dropped, ...this.describe() })
      )
    )
  }

  private log(message: string, details: Record<string, unknown>): void {
    this.hub.log(Effect.logWarning(message).pipe(Effect.annotateLogs({ ...details, ...this.describe() })))
  }

  /** What it is about. Names of channels are arguments, and may be anything: logs have their count. */
  private describe(): Record<string, unknown> {
    return { [this.targets[0]?.kind ?? "subscribe"]: this.targets.length }
  }

  onFull(): void {
    this.hub.pause(true)
  }

  onRoom(): void {
    this.hub.pause(false)
  }

  onOverflow(error: RedisError): void {
    this.fail(error)
  }
}

/** One life of a hub's connection: from the first listener until nobody listens, or there are no more attempts. */
interface Run {
  readonly reconnector: Reconnector
  stopped: boolean
  stop: () => void
  /** It has had a connection. */
  attached: boolean
}

export class Hub {
  private readonly topics = new Map<Kind, Map<string, Topic>>([
    ["subscribe", new Map()],
    ["psubscribe", new Map()],
    ["ssubscribe", new Map()],
    ["tracking", new Map()],
    ["monitor", new Map()]
  ])
  private readonly channels = this.topics.get("subscribe") as Map<string, Topic>
  private readonly patterns = this.topics.get("psubscribe") as Map<string, Topic>
  private readonly shards = this.topics.get("ssubscribe") as Map<string, Topic>
  private readonly subscriptions = new Set<Subscription>()
  private run: Run | undefined
  private link: Link | undefined
  private idle: ReturnType<typeof setTimeout> | undefined
  private closed = false

  /** Connections live in `scope`; it closes them. */
  constructor(
    readonly settings: HubSettings,
    private readonly scope: Scope.Scope
  ) {}

  log(effect: Effect.Effect<void>): void {
    Runtime.runFork(this.settings.runtime)(effect)
  }

  /** Subscribes; answers the subscription, which is not confirmed yet. */
  join(targets: ReadonlyArray<Target>, options: SubscriptionOptions): Subscription {
    const subscription = new Subscription(this, targets, options)
    if (this.closed) {
      subscription.fail(closeError(closedReason, "unsent"))
      return subscription
    }
    if (this.settings.reconnect.offline === "fail" && this.link === undefined && this.run?.attached === true) {
      subscription.fail(closeError(this.run.reconnector.lastClose, "unsent"))
      return subscription
    }
    clearTimeout(this.idle)
    this.subscriptions.add(subscription)
    for (const target of targets) {
      this.add(subscription, target)
    }
    if (subscription.unconfirmed === 0) {
      subscription.onConfirmed()
      return subscription
    }
    this.await(subscription)
    if (this.link === undefined) {
      this.start()
    }
    return subscription
  }

  private add(subscription: Subscription, target: Target): void {
    const key = keyOf(target.name)
    const topics = this.topics.get(target.kind) as Map<string, Topic>
    let topic = topics.get(key)
    if (topic === undefined) {
      topic = new Topic(target, key)
      topics.set(key, topic)
    }
    if (subscription.topics.has(topic)) {
      return
    }
    subscription.topics.add(topic)
    if (topic.state === "on") {
      topic.listeners.add(subscription)
      return
    }
    topic.waiting.add(subscription)
    subscription.unconfirmed++
    if (topic.state !== "subscribing" && this.link !== undefined) {
      this.subscribe(topic, this.link)
    }
  }

  /** A subscription waits for its connection, and then for its confirmations, but not for ever. */
  private await(subscription: Subscription): void {
    const { connectTimeout, replyTimeout } = this.settings.dial.options
    const command = commandOf(subscription.targets[0] as Target)
    if (this.link !== undefined) {
      return subscription.limit(replyTimeout, () =>
        subscription.fail(
          new DeadlineError({ phase: "reply", delivery: "unknown", milliseconds: replyTimeout, command })
        )
      )
    }
    subscription.limit(connectTimeout, () => {
      const last = this.run?.reconnector.lastClose
      subscription.fail(
        last === undefined || last.message === nothingYet
          ? new DeadlineError({ phase: "connect", delivery: "unsent", milliseconds: connectTimeout, command })
          : closeError(last, "unsent")
      )
    })
  }

  /** Takes a subscription out; what nobody else listens to is unsubscribed from. */
  leave(subscription: Subscription): void {
    if (!this.subscriptions.delete(subscription)) {
      return
    }
    for (const topic of subscription.topics) {
      topic.listeners.delete(subscription)
      topic.waiting.delete(subscription)
      if (!topic.wanted) {
        this.unsubscribe(topic)
      }
    }
    subscription.topics.clear()
    if (this.subscriptions.size === 0) {
      this.rest()
    }
  }

  /** Nobody listens. A connection is kept for a while; one that is only being made is not. */
  private rest(): void {
    clearTimeout(this.idle)
    const { idleAfter } = this.settings
    if (this.link === undefined || idleAfter === 0) {
      this.stop()
    } else if (idleAfter <= longestTimer) {
      this.idle = setTimeout(() => this.stop(), idleAfter)
    }
  }

  private stop(): void {
    const { run } = this
    this.run = undefined
    this.link = undefined
    this.forget()
    if (run !== undefined) {
      run.stopped = true
      run.stop()
    }
  }

  /** Without a connection the server knows of nothing; what nobody wants is forgotten. */
  private forget(): void {
    for (const topics of this.topics.values()) {
      for (const topic of topics.values()) {
        topic.state = "off"
        topic.slot = undefined
        if (!topic.wanted) {
          topics.delete(topic.key)
        }
      }
    }
  }

  /** Opens a connection, and keeps one open until nobody listens. */
  private start(): void {
    if (this.run !== undefined) {
      return
    }
    const { dial, reconnect, runtime } = this.settings
    const run: Run = {
      reconnector: new Reconnector(dial, reconnect, {
        attach: (link) => {
          if (this.run === run) {
            run.attached = true
            this.attach(link)
          }
        },
        failWaiting: (close) => {
          if (this.run === run) {
            this.failWaiting(closeError(close, "unsent"))
          }
        }
      }),
      stopped: false,
      stop: () => {},
      attached: false
    }
    this.run = run
    const stopped = Effect.async<void>((resume) => {
      run.stop = () => resume(Effect.void)
      if (run.stopped) {
        run.stop()
      }
    })
    const kept = Effect.flatMap(run.reconnector.keepConnected, () =>
      Effect.sync(() => {
        if (this.run === run) {
          // There are no more attempts. Whoever subscribes later may find the server again.
          this.run = undefined
          this.link = undefined
          this.failAll(closeError(run.reconnector.lastClose, "unsent"))
          this.forget()
        }
      })
    )
    const life = Effect.raceFirst(kept, stopped).pipe(
      Effect.interruptible,
      Effect.ensuring(
        Effect.suspend(() => {
          if (this.run === run) {
            // The scope closes.
            this.shut()
          }
          return run.reconnector.close
        })
      )
    )
    Runtime.runFork(runtime)(life, { scope: this.scope })
  }

  /** The scope closes: everything ends, as it should be. */
  shut(): void {
    this.closed = true
    clearTimeout(this.idle)
    for (const subscription of [...this.subscriptions]) {
      if (subscription.started) {
        this.subscriptions.delete(subscription)
        subscription.finish()
      } else {
        subscription.fail(closeError(closedReason, "unsent"))
      }
    }
    this.stop()
  }

  private failAll(error: RedisError): void {
    for (const subscription of [...this.subscriptions]) {
      subscription.fail(error)
    }
  }

  private failWaiting(error: RedisError): void {
    for (const subscription of [...this.subscriptions]) {
      if (!subscription.started) {
        subscription.fail(error)
      }
    }
  }

  private attach(link: Link): void {
    this.link = link
    link.engine.subscriber = true
    link.onPush({
      onPush: (push) => {
        if (this.link === link) {
          this.onPush(push, link)
        }
      },
      onEnd: () => {}
    })
    link.onClose((close) => {
      if (this.link === link) {
        this.lost(close)
      }
    })
    for (const topics of this.topics.values()) {
      for (const topic of topics.values()) {
        this.subscribe(topic, link)
      }
    }
    for (const subscription of this.subscriptions) {
      if (!subscription.started) {
        this.await(subscription)
      }
      if (subscription.inbox.isFull) {
        link.engine.pause()
      }
    }
  }

  private lost(close: CloseReason): void {
    this.link = undefined
    const cause = closeError(close, "unknown")
    this.forget()
    for (const subscription of [...this.subscriptions]) {
      for (const topic of subscription.topics) {
        topic.listeners.delete(subscription)
        topic.waiting.add(subscription)
      }
      subscription.unconfirmed = subscription.topics.size
      subscription.onGap("disconnected", cause)
      if (!subscription.started) {
        this.await(subscription)
      }
    }
    if (this.subscriptions.size === 0) {
      this.stop()
    }
  }

  private send(link: Link, command: RedisCommand<unknown>, slot: Slot): void {
    // It was encoded before, when it was asked for.
    link.engine.accept(slot, encode(specFor(command).wire, command.args) as Encoded)
  }

  private subscribe(topic: Topic, link: Link): void {
    const { kind } = topic.target
    topic.state = "subscribing"
    const alone = kind === "tracking" || kind === "monitor"
    const first = alone ? start(topic.target, link) : makeCommand(commandOf(topic.target), { args: [name(topic)] })
    if (first === undefined) {
      return this.failTopic(topic, noId)
    }
    const settled = (slot: () => Slot) => (_: Reply, error: RedisError | undefined) => {
      if (topic.slot === slot()) {
        topic.slot = undefined
        this.settle(topic, link, error)
      }
    }
    const slot: Slot = new Slot(
      first,
      alone ? undefined : kind,
      settled(() => slot)
    )
    topic.slot = slot
    if (kind === "tracking" && link.session.protocol === 2) {
      const second = makeCommand("SUBSCRIBE", { args: [new Argument("channel", invalidations)] })
      const both: Slot = new Slot(
        second,
        "subscribe",
        settled(() => both)
      )
      this.send(
        link,
        first,
        new Slot(first, undefined, (_, error) => {
          if (error !== undefined && topic.slot === both) {
            topic.slot = undefined
            this.settle(topic, link, error)
          }
        })
      )
      topic.slot = both
      return this.send(link, second, both)
    }
    this.send(link, first, slot)
  }

  private unsubscribe(topic: Topic): void {
    const { link } = this
    const { kind } = topic.target
    if (link === undefined || kind === "tracking" || kind === "monitor") {
      this.topics.get(kind)?.delete(topic.key)
      return
    }
    const confirmedBy = `${kind.slice(0, -"subscribe".length)}unsubscribe`
    const command = makeCommand(confirmedBy.toUpperCase(), { args: [name(topic)] })
    const slot: Slot = new Slot(command, confirmedBy, () => {
      if (topic.slot === slot) {
        this.topics.get(kind)?.delete(topic.key)
      }
    })
    topic.state = "unsubscribing"
    topic.slot = slot
    this.send(link, command, slot)
  }

  private settle(topic: Topic, link: Link, error: RedisError | undefined): void {
    if (error !== undefined) {
      return this.failTopic(topic, error)
    }
    if (topic.target.kind === "monitor") {
      link.engine.monitoring = true
    }
    topic.state = "on"
    const waiting = [...topic.waiting]
    topic.waiting.clear()
    for (const subscription of waiting) {
      topic.listeners.add(subscription)
    }
    for (const subscription of waiting) {
      if (--subscription.unconfirmed === 0) {
        subscription.onConfirmed()
      }
    }
  }

  /** The server refuses one topic: whoever asked for it hears of it, and nobody else. */
  private failTopic(topic: Topic, error: RedisError): void {
    topic.state = "off"
    this.topics.get(topic.target.kind)?.delete(topic.key)
    for (const subscription of [...topic.listeners, ...topic.waiting]) {
      subscription.topics.delete(topic)
      subscription.fail(error)
    }
    topic.listeners.clear()
    topic.waiting.clear()
  }

  pause(paused: boolean): void {
    if (paused) {
      this.link?.engine.pause()
    } else {
      this.link?.engine.resume()
    }
  }

  private onPush({ items, kind }: Push, link: Link): void {
    switch (kind) {
      case "message":
        return link.session.protocol === 2 && items[1] === invalidations && !this.channels.has(invalidations)
          ? this.deliverAlone("tracking", items[2] as Reply)
          : deliver(this.channels, items[1], undefined, items[2])
      case "smessage":
        return deliver(this.shards, items[1], undefined, items[2])
      case "pmessage":
        return deliver(this.patterns, items[1], items[2], items[3])
      case "invalidate":
        return this.deliverAlone("tracking", items[1] as Reply)
      case "monitor":
        return this.deliverAlone("monitor", items[1] as Reply)
      case "sunsubscribe":
        return this.onMoved(items[1], link)
    }
  }

  private deliverAlone(kind: "tracking" | "monitor", payload: Reply): void {
    for (const topic of (this.topics.get(kind) as Map<string, Topic>).values()) {
      for (const subscription of topic.listeners) {
        subscription.inbox.offer(new Delivery("", undefined, payload))
      }
    }
  }

  /** Ours are confirmed while their topic is unsubscribing; one that is on was ended by the server. */
  private onMoved(channel: Reply | undefined, link: Link): void {
    const topic =
      typeof channel === "string" || channel instanceof Uint8Array ? this.shards.get(keyOf(channel)) : undefined
    if (topic === undefined || topic.state !== "on") {
      return
    }
    topic.state = "off"
    const listeners = [...topic.listeners]
    topic.listeners.clear()
    for (const subscription of listeners) {
      topic.waiting.add(subscription)
      subscription.unconfirmed++
    }
    for (const subscription of listeners) {
      subscription.onGap("moved", undefined)
    }
    if (topic.wanted) {
      this.subscribe(topic, link)
    }
  }
}

const deliver = (
  topics: Map<string, Topic>,
  name: Reply | undefined,
  channel: Reply | undefined,
  payload: Reply | undefined
): void => {
  if (typeof name !== "string" && !(name instanceof Uint8Array)) {
    return
  }
  const topic = topics.get(typeof name === "string" ? name : keyOf(name))
  if (topic === undefined || topic.listeners.size === 0 || payload === undefined) {
    return
  }
  const delivery =
    channel === undefined
      ? new Delivery(name, undefined, payload)
      : new Delivery(channel as string | Uint8Array, name, payload)
  for (const subscription of topic.listeners) {
    subscription.inbox.offer(delivery)
  }
}

const name = (topic: Topic): Argument => new Argument("channel", topic.target.name)

const commandOf = ({ kind }: Target): string =>
  kind === "tracking" ? "CLIENT TRACKING" : kind === "monitor" ? "MONITOR" : kind.toUpperCase()

/** What begins a topic that has its connection to itself. */
const start = ({ kind, prefixes = [] }: Target, link: Link): RedisCommand<unknown> | undefined => {
  if (kind === "monitor") {
    return makeCommand("MONITOR")
  }
  if (link.session.protocol === 2 && link.id === undefined) {
    return undefined
  }
  return makeCommand("CLIENT TRACKING", {
    args: [
      token("ON"),
      // Under RESP2 they are messages, which a connection can have sent to itself.
      ...(link.session.protocol === 2 ? [token("REDIRECT"), String(link.id)] : []),
      token("BCAST"),
      ...prefixes.flatMap((prefix) => [token("PREFIX"), new Argument("keyPrefix", prefix)])
    ]
  })
}

/** Why a target cannot be asked for. */
export const problemOf = (target: Target): UsageError | undefined => {
  const command = commandOf(target)
  for (const data of [target.name, ...(target.prefixes ?? [])] as ReadonlyArray<unknown>) {
    const encoded =
      typeof data === "string" || data instanceof Uint8Array
        ? encode(nameless, [new Argument("channel", data)])
        : new EncodeFailure("a name must be text or bytes")
    if (encoded instanceof EncodeFailure) {
      return new UsageError({ reason: "invalidArgument", command, message: `${command}: ${encoded.reason}` })
    }
  }
  return undefined
}

const noId = new UsageError({
  reason: "refusedCommand",
  command: "CLIENT TRACKING",
  message: "CLIENT TRACKING was not sent: under RESP2 it needs the connection's id, and the server told none"
})

const closedReason: CloseReason = { reason: "closed", message: "the client was closed" }
const nothingYet = "there was no connection yet"
