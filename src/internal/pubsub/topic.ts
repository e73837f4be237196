/**
 * What one connection is subscribed to: its topics, and which subscriptions get the messages of each. A topic is one kind
 * and name; the server knows it once, however many subscriptions listen. Topics send no commands and know no connection:
 * the hub does.
 */
import type { Push, Reply } from "../resp/values.js"
import type { HubRequest } from "./hubRequest.js"
import { Delivery } from "./inbox.js"
import type { Subscription } from "./subscription.js"
import { invalidations, type Kind, keyOf, type Target } from "./target.js"

export class Topic {
  state: "off" | "subscribing" | "on" | "unsubscribing" = "off"
  /** The newest command about this topic. Replies to earlier ones change nothing. */
  request: HubRequest | undefined
  /** Subscriptions that get its messages. */
  readonly listeners = new Set<Subscription>()
  /** Subscriptions that wait for the server's confirmation. */
  readonly waiting = new Set<Subscription>()
  constructor(
    readonly target: Target,
    readonly key: string
  ) {}

  get wanted(): boolean {
    return this.listeners.size > 0 || this.waiting.size > 0
  }

  /** The server no longer sends its messages: its listeners wait for a confirmation again. */
  suspend(): void {
    this.state = "off"
    this.request = undefined
    for (const subscription of this.listeners) {
      this.waiting.add(subscription)
      subscription.expectConfirmation()
    }
    this.listeners.clear()
  }
}

/** Called with the number of subscriptions that a message is about to be handed to, when there are any. */
export type Report = (listeners: number) => void

export class Topics {
  private readonly kinds: Readonly<Record<Kind, Map<string, Topic>>> = {
    subscribe: new Map(),
    psubscribe: new Map(),
    ssubscribe: new Map(),
    tracking: new Map(),
    monitor: new Map()
  }

  /** The topic of a target. It is added if it is new. */
  get(target: Target): Topic {
    const key = keyOf(target.name)
    const topics = this.kinds[target.kind]
    let topic = topics.get(key)
    if (topic === undefined) {
      topic = new Topic(target, key)
      topics.set(key, topic)
    }
    return topic
  }

  delete({ key, target }: Topic): void {
    this.kinds[target.kind].delete(key)
  }

  /** All topics, in the order in which they were added. */
  all(): ReadonlyArray<Topic> {
    return Object.values(this.kinds).flatMap((topics) => [...topics.values()])
  }

  /** The topic of a shard channel. */
  shard(channel: Reply | undefined): Topic | undefined {
    return isName(channel) ? this.kinds.ssubscribe.get(keyOf(channel)) : undefined
  }

  /**
   * Gives a message to everybody who listens to its topic, after `report` was told how many these are. Pushes that are not
   * messages change nothing.
   */
  deliver({ items, kind }: Push, protocol: 2 | 3, report: Report | undefined): void {
    switch (kind) {
      case "message":
        return protocol === 2 && items[1] === invalidations && !this.kinds.subscribe.has(invalidations)
          ? deliverToAll(this.kinds.tracking, items[2] as Reply, report)
          : deliver(this.kinds.subscribe, items[1], undefined, items[2], report)
      case "smessage":
        return deliver(this.kinds.ssubscribe, items[1], undefined, items[2], report)
      case "pmessage":
        return deliver(this.kinds.psubscribe, items[1], items[2], items[3], report)
      case "invalidate":
        return deliverToAll(this.kinds.tracking, items[1] as Reply, report)
      case "monitor":
        return deliverToAll(this.kinds.monitor, items[1] as Reply, report)
    }
  }
}

const isName = (name: Reply | undefined): name is string | Uint8Array =>
  typeof name === "string" || name instanceof Uint8Array

/** `name` is the topic's. For patterns it is the pattern, and `channel` is the one that matched. */
const deliver = (
  topics: Map<string, Topic>,
  name: Reply | undefined,
  channel: Reply | undefined,
  payload: Reply | undefined,
  report: Report | undefined
): void => {
  if (!isName(name)) {
    return
  }
  const topic = topics.get(keyOf(name))
  if (topic === undefined || topic.listeners.size === 0 || payload === undefined) {
    return
  }
  const delivery =
    channel === undefined
      ? new Delivery(name, undefined, payload)
      : new Delivery(channel as string | Uint8Array, name, payload)
  report?.(topic.listeners.size)
  offer(topic.listeners, delivery)
}

const deliverToAll = (topics: Map<string, Topic>, payload: Reply, report: Report | undefined): void => {
  const all = [...topics.values()]
  const listeners = all.reduce((sum, topic) => sum + topic.listeners.size, 0)
  if (listeners > 0) {
    report?.(listeners)
  }
  for (const topic of all) {
    offer(topic.listeners, new Delivery("", undefined, payload))
  }
}

/**
 * In Effect 4 a program goes on inside `inbox.offer`: a listener that it adds there began after the message, and one that it
 * removes wants no more.
 */
const offer = (listeners: ReadonlySet<Subscription>, delivery: Delivery): void => {
  if (listeners.size === 1) {
    for (const subscription of listeners) {
      return subscription.inbox.offer(delivery)
    }
  }
  for (const subscription of [...listeners]) {
    if (listeners.has(subscription)) {
      subscription.inbox.offer(delivery)
    }
  }
}
