/**
 * Subscriptions over one connection. The hub opens it for the first subscription, replaces it when it ends or when the
 * credentials rotate, subscribes to everything again, and closes it some time after the last subscription. It is plain
 * JavaScript: a message costs a look-up and a push to the inbox of each listener.
 *
 * Each SUBSCRIBE names one topic and is settled by its own confirmation or error. Several commands about one topic may be
 * in flight: the server executes them in order, and only the reply to the newest one counts.
 *
 * The hub does not decode messages, does not buffer them (inboxes do), and decides nothing about the pace of
 * reconnecting (the reconnector does).
 */
import * as Effect from "effect/Effect"
import { type ConnectionError, DeadlineError, type RedisError, UsageError } from "../../RedisError.js"
import type { About } from "../command/model.js"
import { aboutOf, annotated } from "../connection/about.js"
import type { Dial } from "../connection/dial.js"
import type { Link } from "../connection/link.js"
import type { ReconnectSettings } from "../connection/pacer.js"
import { Reconnector } from "../connection/reconnect.js"
import type { Forker } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import type { CloseReason } from "../engine/transport.js"
import { closeError } from "../request/failure.js"
import type { Push } from "../resp/values.js"
import { notify } from "../telemetry/observer.js"
import { HubRequest } from "./hubRequest.js"
import type { Subscription, SubscriptionOwner } from "./subscription.js"
import { commandOf, isChannel, subscribeCommands, type Target, unsubscribeCommand } from "./target.js"
import { type Topic, Topics } from "./topic.js"

/** What all connections of one service have in common. */
export interface HubSettings {
  readonly dial: Dial
  readonly reconnect: ReconnectSettings
  /** How long an idle connection, one without subscriptions, is kept, in milliseconds. */
  readonly idleAfter: number
  /** Runs log lines. They are written even while the scope closes. */
  readonly logger: Forker
  /**
   * Of a cluster: the server ended a topic, or refused it with this error, because another node has its hash slot. Returns
   * whether the topic's subscriptions are fed by another hub from now on; this one must not feed them any more then.
   */
  readonly moved?: ((target: Target, error: RedisError | undefined) => boolean) | undefined
}

/** The time in which the hub keeps itself connected: from the first subscription until it is idle or gives up. */
interface Run {
  readonly reconnector: Reconnector
  /** The reconnector's reason before its first attempt has failed. */
  readonly beforeAttempts: CloseReason
  stopped: boolean
  stop: () => void
  /** There was a connection. */
  attached: boolean
}

export class Hub implements SubscriptionOwner {
  private readonly topics = new Topics()
  /** The topics of each subscription. */
  private readonly subscriptions = new Map<Subscription, Set<Topic>>()
  private run: Run | undefined
  private link: Link | undefined
  private idle: Timers.Timer | undefined
  private closed = false
  private readonly about: About

  /** The fibers of `fork` keep the connections. The scope that ends them closes the connections. */
  constructor(
    private readonly settings: HubSettings,
    private readonly fork: Forker
  ) {
    this.about = aboutOf(settings.dial)
  }

  log(effect: Effect.Effect<void>): void {
    this.settings.logger(annotated(effect, this.about))
  }

  /** Subscribes to targets for a subscription. The server has not confirmed them yet. */
  add(subscription: Subscription, targets: ReadonlyArray<Target>): void {
    if (this.closed) {
      return subscription.fail(closeError(closedHere, "unsent", this.settings.dial.address))
    }
    if (this.settings.reconnect.offline === "fail" && this.link === undefined && this.run?.attached === true) {
      return subscription.fail(closeError(this.run.reconnector.lastClose, "unsent", this.settings.dial.address))
    }
    Timers.clearTimeout(this.idle)
    const topics = this.subscriptions.get(subscription) ?? new Set<Topic>()
    this.subscriptions.set(subscription, topics)
    let waits = false
    for (const target of targets) {
      if (!this.subscriptions.has(subscription)) {
        // One of its topics failed at once, and so has the subscription.
        return
      }
      const topic = this.topics.get(target)
      if (!topics.has(topic)) {
        topics.add(topic)
        waits = this.listen(subscription, topic) || waits
      }
    }
    if (!waits || !this.subscriptions.has(subscription)) {
      return
    }
    if (!subscription.started) {
      this.limit(subscription)
    }
    if (this.link === undefined) {
      this.start()
    }
  }

  /** Returns whether the subscription waits for a confirmation. */
  private listen(subscription: Subscription, topic: Topic): boolean {
    if (topic.state === "on") {
      topic.listeners.add(subscription)
      return false
    }
    topic.waiting.add(subscription)
    subscription.expectConfirmation()
    if (topic.state !== "subscribing" && this.link !== undefined) {
      this.subscribe(topic, this.link)
    }
    return true
  }

  /** A subscription waits for a connection, then for its confirmations: each has its own bound. */
  private limit(subscription: Subscription): void {
    const { address: server, options } = this.settings.dial
    const { connectTimeout, replyTimeout } = options
    const command = commandOf(subscription.targets[0] as Target)
    if (this.link !== undefined) {
      return subscription.limit(replyTimeout, () =>
        subscription.fail(
          new DeadlineError({ phase: "reply", delivery: "unknown", milliseconds: replyTimeout, command, server })
        )
      )
    }
    subscription.limit(connectTimeout, () => {
      const { run } = this
      subscription.fail(
        run === undefined || run.reconnector.lastClose === run.beforeAttempts
          ? new DeadlineError({
              phase: "connect",
              delivery: "unsent",
              milliseconds: connectTimeout,
              command,
              server: this.settings.dial.address,
              ...(this.settings.dial.stage === undefined ? {} : { hint: this.settings.dial.stage })
            })
          : closeError(run.reconnector.lastClose, "unsent", this.settings.dial.address)
      )
    })
  }

  remove(subscription: Subscription): void {
    const topics = this.subscriptions.get(subscription)
    if (topics === undefined) {
      return
    }
    this.subscriptions.delete(subscription)
    for (const topic of topics) {
      topic.listeners.delete(subscription)
      topic.waiting.delete(subscription)
      if (!topic.wanted) {
        this.unsubscribe(topic)
      }
    }
    if (this.subscriptions.size === 0) {
      this.onIdle()
    }
  }

  /** An idle connection is kept for a while. An attempt to connect is given up at once. */
  private onIdle(): void {
    Timers.clearTimeout(this.idle)
    const { idleAfter } = this.settings
    if (this.link === undefined || idleAfter === 0) {
      this.stop()
    } else if (idleAfter <= Timers.longestTimer) {
      this.idle = Timers.setTimeout(() => this.stop(), idleAfter)
    }
  }

  private stop(): void {
    const { run } = this
    this.run = undefined
    this.link = undefined
    this.suspendTopics()
    if (run !== undefined) {
      run.stopped = true
      run.stop()
    }
  }

  /** Without a connection the server knows none of the topics. */
  private suspendTopics(): void {
    for (const topic of this.topics.all()) {
      topic.suspend()
      if (!topic.wanted) {
        this.topics.delete(topic)
      }
    }
  }

  /** Opens a connection, and replaces it whenever it ends, until the hub is idle. */
  private start(): void {
    if (this.run !== undefined) {
      return
    }
    const { dial, reconnect } = this.settings
    const reconnector = new Reconnector(dial, reconnect, {
      subject: "The connection for subscriptions",
      attach: (link) => {
        if (this.run === run) {
          run.attached = true
          this.attach(link)
        }
      },
      failWaiting: (close) => {
        if (this.run === run) {
          this.failUnstarted(closeError(close, "unsent", this.settings.dial.address))
        }
      }
    })
    const run: Run = {
      reconnector,
      beforeAttempts: reconnector.lastClose,
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
    const connected = Effect.flatMap(reconnector.keepConnected, () =>
      Effect.sync(() => {
        if (this.run === run) {
          // There are no more attempts. A later subscription begins a new run.
          this.run = undefined
          this.link = undefined
          this.failAll(closeError(reconnector.lastClose, "unsent", this.settings.dial.address))
          this.suspendTopics()
        }
      })
    )
    const life = Effect.raceFirst(connected, stopped).pipe(
      Effect.interruptible,
      Effect.ensuring(
        Effect.suspend(() => {
          if (this.run === run) {
            // The scope closes.
            this.close()
          }
          return reconnector.close
        })
      )
    )
    this.fork(life)
  }

  /**
   * There are new credentials. An idle connection is closed, and the long pause after a permanent failure ends. A connection
   * with subscriptions stays: servers do not end it when a password changes, and to replace it would risk messages. Its
   * successor uses the new credentials.
   */
  renew(): void {
    const { run } = this
    if (run === undefined) {
      return
    }
    if (this.subscriptions.size === 0) {
      return this.stop()
    }
    if (this.link === undefined) {
      this.fork(run.reconnector.renew)
    }
  }

  /** The address of the server that the connection leads to. */
  get server(): string | undefined {
    return this.link?.address
  }

  /** Leaves the connection for another one, and tells the gap between them. */
  leave(message: string): void {
    this.run?.reconnector.leave(message)
  }

  /** Leaves the server at once, because another one has taken its place, and tells the gap. */
  abandon(message: string): void {
    this.run?.reconnector.abandon(message)
  }

  /** Ends all subscriptions without an error, those that have not started excepted. */
  close(): void {
    this.closed = true
    Timers.clearTimeout(this.idle)
    for (const subscription of [...this.subscriptions.keys()]) {
      if (subscription.started) {
        this.subscriptions.delete(subscription)
        subscription.finish()
      } else {
        subscription.fail(closeError(closedHere, "unsent", this.settings.dial.address))
      }
    }
    this.stop()
  }

  private failAll(error: RedisError): void {
    for (const subscription of [...this.subscriptions.keys()]) {
      subscription.fail(error)
    }
  }

  private failUnstarted(error: RedisError): void {
    for (const subscription of [...this.subscriptions.keys()]) {
      if (!subscription.started) {
        subscription.fail(error)
      }
    }
  }

  private attach(link: Link): void {
    const { run } = this
    if (this.link !== undefined) {
      // A new connection replaces one that is still open. Its messages are ignored from here on, or some would come twice.
      this.detach(closeError(replaced, "unknown", this.settings.dial.address))
      if (this.run !== run) {
        // All subscriptions failed because of the gap. In Effect 4 a program may have subscribed again since.
        return
      }
    }
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
        this.detach(closeError(close, "unknown", link.address))
      }
    })
    for (const topic of this.topics.all()) {
      if (topic.wanted) {
        this.subscribe(topic, link)
      }
    }
    for (const subscription of this.subscriptions.keys()) {
      if (!subscription.started) {
        this.limit(subscription)
      }
      if (subscription.inbox.isFull) {
        link.engine.pause()
      }
    }
  }

  /** The connection is gone: from here on messages may be missed, until everything is subscribed again. */
  private detach(cause: ConnectionError): void {
    this.link = undefined
    this.suspendTopics()
    for (const subscription of [...this.subscriptions.keys()]) {
      subscription.onGap("disconnected", cause)
      if (!subscription.started) {
        this.limit(subscription)
      }
    }
    if (this.subscriptions.size === 0) {
      this.stop()
    }
  }

  private subscribe(topic: Topic, link: Link): void {
    const commands = subscribeCommands(topic.target, link)
    if (commands instanceof UsageError) {
      return this.failTopic(topic, commands)
    }
    let owed = commands.length
    const requests = commands.map(
      (command) =>
        new HubRequest(command, (error) => {
          owed--
          if (topic.request === newest && (owed === 0 || error !== undefined)) {
            topic.request = undefined
            this.settle(topic, link, error)
          }
        })
    )
    const newest = requests[requests.length - 1]
    topic.state = "subscribing"
    topic.request = newest
    for (const request of requests) {
      request.send(link)
    }
  }

  /** Nobody wants a topic any more. */
  private unsubscribe(topic: Topic): void {
    const { link } = this
    if (link === undefined || topic.state === "off" || !isChannel(topic.target)) {
      return this.topics.delete(topic)
    }
    const request = new HubRequest(unsubscribeCommand(topic.target), () => {
      if (topic.request === request) {
        this.topics.delete(topic)
      }
    })
    topic.state = "unsubscribing"
    topic.request = request
    request.send(link)
  }

  /** The server has confirmed or refused a topic. */
  private settle(topic: Topic, link: Link, error: RedisError | undefined): void {
    if (error !== undefined) {
      return this.failTopic(topic, error)
    }
    if (topic.target.kind === "monitor") {
      link.engine.monitoring = true
    }
    topic.state = "on"
    const confirmed = [...topic.waiting]
    topic.waiting.clear()
    for (const subscription of confirmed) {
      topic.listeners.add(subscription)
    }
    for (const subscription of confirmed) {
      subscription.confirm()
    }
  }

  /** The server refuses one topic: the subscriptions to it fail, and no others. */
  private failTopic(topic: Topic, error: RedisError): void {
    topic.state = "off"
    if (this.settings.moved?.(topic.target, error) === true) {
      return
    }
    this.topics.delete(topic)
    const subscriptions = [...topic.listeners, ...topic.waiting]
    topic.listeners.clear()
    topic.waiting.clear()
    for (const subscription of subscriptions) {
      this.subscriptions.get(subscription)?.delete(topic)
      subscription.fail(error)
    }
  }

  pause(_: Subscription, paused: boolean): void {
    if (paused) {
      this.link?.engine.pause()
    } else {
      this.link?.engine.resume()
    }
  }

  dropped(count: number): void {
    notify(this.settings.dial.observer?.dropped, count)
  }

  private onPush(push: Push, link: Link): void {
    if (push.kind === "sunsubscribe") {
      const topic = this.topics.shard(push.items[1])
      // The confirmation of an UNSUBSCRIBE comes while the topic is unsubscribing. Otherwise the server ended it.
      if (topic?.state === "on") {
        this.onMoved(topic, link)
      }
    } else {
      const { observer } = this.settings.dial
      this.topics.deliver(
        push,
        link.session.protocol,
        observer && ((listeners) => notify(observer.message, { server: link.address, kind: push.kind, listeners }))
      )
    }
  }

  /** The server ended the subscription to a shard channel, because its hash slot moved. */
  private onMoved(topic: Topic, link: Link): void {
    const listeners = [...topic.listeners]
    topic.suspend()
    for (const subscription of listeners) {
      subscription.onGap("moved", undefined)
    }
    if (topic.wanted && this.settings.moved?.(topic.target, undefined) !== true) {
      this.subscribe(topic, link)
    }
  }

  /** The targets of a kind that somebody listens to. */
  targets(kind: Target["kind"]): ReadonlyArray<Target> {
    return this.topics.all().flatMap((topic) => (topic.target.kind === kind && topic.wanted ? [topic.target] : []))
  }

  /** Gives up a topic that another hub is to feed. Returns its subscriptions, of which none waits for this hub any more. */
  giveUp(target: Target): ReadonlyArray<Subscription> {
    const topic = this.topics.get(target)
    const subscriptions = [...topic.listeners, ...topic.waiting]
    for (const subscription of topic.waiting) {
      subscription.expectNoConfirmation()
    }
    topic.listeners.clear()
    topic.waiting.clear()
    this.unsubscribe(topic)
    for (const subscription of subscriptions) {
      const topics = this.subscriptions.get(subscription)
      topics?.delete(topic)
      if (topics?.size === 0) {
        this.subscriptions.delete(subscription)
      }
    }
    if (this.subscriptions.size === 0) {
      this.onIdle()
    }
    return subscriptions
  }
}

const closedHere: CloseReason = { reason: "closed", message: "the client was closed" }
const replaced: CloseReason = {
  reason: "closed",
  message: "the connection was replaced by one with the newest credentials"
}
