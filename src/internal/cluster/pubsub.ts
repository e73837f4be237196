/**
 * Subscriptions over a cluster. Channels and patterns need one node, whichever: a message is published in the whole cluster.
 * A shard channel is subscribed to at the node that owns its hash slot, and follows the slot. What each node only tells of
 * itself (keyspace events, invalidations, MONITOR) is subscribed to at every primary, those that come later included.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { RedisError } from "../../RedisError.js"
import { type Dial, makeDial } from "../connection/dial.js"
import { connect } from "../connection/lazyNodeTransport.js"
import type { Endpoint, ResolvedOptions } from "../connection/options.js"
import type { ReconnectSettings } from "../connection/pacer.js"
import { type Forker, forker, forkerIn } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import type { Member } from "../nodes/member.js"
import { Hub, type HubSettings } from "../pubsub/hub.js"
import { type Feeder, makeHub, notify, type RedisPubSubService, subscribeOver } from "../pubsub/service.js"
import type { Subscription } from "../pubsub/subscription.js"
import type { Target } from "../pubsub/target.js"
import { isPermanent } from "../request/recovery.js"
import type { Observer } from "../telemetry/observer.js"
import { sleep } from "./batch.js"
import { redirectionOf } from "./redirection.js"
import type { Router } from "./router.js"
import { slotOf } from "./slot.js"

export interface PubSubSettings {
  readonly options: ResolvedOptions
  /** Calls the listener whenever the credentials have changed. */
  readonly onRotate: (listener: () => void) => void
  readonly reconnect: ReconnectSettings
  readonly idleAfter: number
}

export const make = (
  router: Router,
  { idleAfter, onRotate, options, reconnect }: PubSubSettings
): Effect.Effect<RedisPubSubService, never, Scope.Scope> =>
  Effect.gen(function* () {
    const resolved = { ...options, encoding: "utf8" } as const
    const { observer } = router
    const logger = yield* forker()
    const settings = (dial: Dial): HubSettings => ({ dial, reconnect, idleAfter, logger })
    const anyNode = makeDial({ options: resolved, connect, endpoint: endpointOfAny(router), observer })
    const fork = yield* forkerIn(yield* Effect.scope)
    const feeder = new ClusterFeeder(
      router,
      yield* makeHub(settings(anyNode), new Set()),
      (member, moved) => new Hub({ ...settings(dialTo(router, member, resolved, observer)), moved }, fork),
      fork,
      (member, classes) => notify(dialTo(router, member, resolved, observer), classes)
    )
    onRotate(() => feeder.renew())
    yield* Effect.acquireRelease(
      Effect.sync(() => router.onAdopt(feeder.adopt)),
      (forget) =>
        Effect.sync(() => {
          forget()
          feeder.close()
        })
    )
    return {
      database: resolved.database,
      subscribe: (targets, { alone: _, ...rest }) => subscribeOver(feeder, targets, rest),
      notify: feeder.notify,
      log: (effect) => feeder.log(effect)
    }
  })

const dialTo = (
  router: Router,
  { place: { host, port } }: Member,
  options: ResolvedOptions,
  observer: Observer | undefined
): Dial =>
  makeDial({
    options: { ...options, endpoint: { _tag: "Tcp", host, port } },
    endpoint: router.endpointOf({ host, port }),
    connect,
    observer
  })

/** The address of a node that is connected, asked at each attempt to connect. */
const endpointOfAny = (router: Router): Effect.Effect<Endpoint, RedisError> =>
  Effect.suspend(() => {
    const all = router.allPrimaries
    const connected = all.filter((member) => member.connected)
    const from = connected.length > 0 ? connected : all
    return router.endpointOf((from[Math.floor(Math.random() * from.length)] as Member).place)
  })

/** How a shard channel that has no owner, or whose owner refuses it, is tried again: after so many milliseconds. */
const retryMillis = 100

class ClusterFeeder implements Feeder {
  /** Of shard channels and of what each node tells of itself, by the address of the node. */
  private readonly hubs = new Map<string, Hub>()
  /** Subscriptions that have not ended. One that ends while its shard channel waits for an owner must not come back. */
  private readonly live = new Set<Subscription>()
  /** Subscriptions that every primary feeds, with their targets. */
  private readonly everywhere = new Map<Subscription, ReadonlyArray<Target>>()
  /** The addresses of the primaries that feed them. */
  private readonly fed = new Set<string>()
  /** Shard channels that wait for an owner. */
  private readonly waiting = new Set<Timers.Timer>()
  private classes = ""

  constructor(
    private readonly router: Router,
    private readonly shared: Hub,
    private readonly open: (member: Member, moved: NonNullable<HubSettings["moved"]>) => Hub,
    private readonly fork: Forker,
    private readonly notifyAt: (member: Member, classes: string) => Effect.Effect<void, RedisError>
  ) {}

  private hubAt(member: Member): Hub {
    let hub = this.hubs.get(member.address)
    if (hub === undefined) {
      const made = this.open(member, (target, error) => this.isMoved(made, target, error))
      hub = made
      this.hubs.set(member.address, hub)
    }
    return hub
  }

  add(subscription: Subscription, targets: ReadonlyArray<Target>): void {
    this.live.add(subscription)
    const own = targets.filter(isOfEachNode)
    if (own.length > 0) {
      this.everywhere.set(subscription, own)
      for (const member of this.router.allPrimaries) {
        this.fed.add(member.address)
        this.hubAt(member).add(subscription, own)
      }
    }
    const shard = targets.filter(({ kind }) => kind === "ssubscribe")
    for (const target of shard) {
      this.addShard(subscription, target)
    }
    const shared = targets.filter((target) => target.kind !== "ssubscribe" && !isOfEachNode(target))
    if (shared.length > 0) {
      this.shared.add(subscription, shared)
    }
  }

  private addShard(subscription: Subscription, target: Target): void {
    if (!this.live.has(subscription)) {
      return
    }
    const owner = this.router.ownerOf(slotOf(target.name))
    if (owner === undefined) {
      // Nobody owns the slot: the subscription waits, like one that waits for a connection.
      subscription.expectConfirmation()
      return this.later(() => {
        subscription.expectNoConfirmation()
        this.addShard(subscription, target)
      })
    }
    this.hubAt(owner).add(subscription, [target])
  }

  private later(then: () => void): void {
    this.router.doubt()
    const timer = Timers.setTimeout(() => {
      this.waiting.delete(timer)
      then()
    }, retryMillis)
    this.waiting.add(timer)
  }

  /** A node ended a shard channel, or refused it. Another node has its slot now, or soon. */
  private isMoved(hub: Hub, target: Target, error: RedisError | undefined): boolean {
    if (target.kind !== "ssubscribe") {
      return false
    }
    const redirection = error?._tag === "ReplyError" ? redirectionOf(Redacted.value(error.raw)) : undefined
    if (error !== undefined && redirection === undefined) {
      return false
    }
    const slot = slotOf(target.name)
    const owner = this.router.ownerOf(slot)
    if (redirection?._tag === "Moved" && owner !== undefined && this.hubs.get(owner.address) === hub) {
      this.router.follow(redirection, owner, false)
    }
    const subscriptions = hub.giveUp(target)
    for (const subscription of subscriptions) {
      subscription.expectConfirmation()
    }
    const again = (): void => {
      for (const subscription of subscriptions) {
        subscription.expectNoConfirmation()
        this.addShard(subscription, target)
      }
    }
    const next = this.router.ownerOf(slot)
    if (next !== undefined && this.hubs.get(next.address) !== hub) {
      again()
    } else {
      this.later(again)
    }
    return true
  }

  /** The topology has changed: shard channels go to the owners of now, and new primaries feed what each node tells of itself. */
  readonly adopt = (): void => {
    const at = this.shared.server
    if (at !== undefined && !this.router.knows(at)) {
      // A node that is no longer part of the cluster hears nothing of it, although the connection stands.
      this.shared.leave("the node left the cluster")
    }
    const primaries = new Map(this.router.allPrimaries.map((member) => [member.address, member]))
    for (const [address, hub] of [...this.hubs]) {
      for (const target of hub.targets("ssubscribe")) {
        const owner = this.router.ownerOf(slotOf(target.name))
        if (owner !== undefined && owner.address !== address) {
          for (const subscription of hub.giveUp(target)) {
            subscription.onGap("moved", undefined)
            this.addShard(subscription, target)
          }
        }
      }
      if (!primaries.has(address)) {
        this.hubs.delete(address)
        for (const [subscription, targets] of this.everywhere) {
          for (const target of targets) {
            hub.giveUp(target)
          }
          subscription.onGap("moved", undefined)
          subscription.expectConfirmation()
          subscription.confirm()
        }
        hub.close()
      }
    }
    for (const address of this.fed) {
      if (!primaries.has(address)) {
        // Perhaps before it had a hub. It may come back.
        this.fed.delete(address)
      }
    }
    for (const [address, member] of primaries) {
      if (this.everywhere.size > 0 && !this.fed.has(address)) {
        this.fed.add(address)
        const added = Effect.sync(() => {
          if (this.closed || !this.router.allPrimaries.includes(member)) {
            return
          }
          for (const [subscription, targets] of this.everywhere) {
            subscription.onGap("moved", undefined)
            this.hubAt(member).add(subscription, targets)
          }
        })
        this.fork(Effect.zipRight(this.notifyNew(member), added))
      }
    }
  }

  /** Switches the notifications of a new primary on. It may not be ready yet, and without them no event would ever come. */
  private notifyNew(member: Member): Effect.Effect<void> {
    return this.classes === ""
      ? Effect.void
      : Effect.catchAll(this.notifyAt(member, this.classes), (error) =>
          mayPass(error) && !member.left
            ? Effect.zipRight(
                sleep(retryMillis),
                Effect.suspend(() => this.notifyNew(member))
              )
            : Effect.void
        )
  }

  remove(subscription: Subscription): void {
    this.live.delete(subscription)
    this.everywhere.delete(subscription)
    this.shared.remove(subscription)
    for (const hub of this.hubs.values()) {
      hub.remove(subscription)
    }
  }

  pause(subscription: Subscription, paused: boolean): void {
    this.shared.pause(subscription, paused)
    for (const hub of this.hubs.values()) {
      hub.pause(subscription, paused)
    }
  }

  log(effect: Effect.Effect<void>): void {
    this.shared.log(effect)
  }

  dropped(count: number): void {
    this.shared.dropped(count)
  }

  readonly notify = (classes: string): Effect.Effect<void, RedisError> =>
    Effect.suspend(() => {
      this.classes = [...new Set(this.classes + classes)].join("")
      return Effect.forEach(this.router.allPrimaries, (member) => this.notifyAt(member, classes), {
        concurrency: "unbounded",
        discard: true
      })
    })

  /** Replaces the connections by new ones, because the credentials have changed. */
  renew(): void {
    this.shared.renew()
    for (const hub of this.hubs.values()) {
      hub.renew()
    }
  }

  private closed = false

  close(): void {
    this.closed = true
    for (const timer of this.waiting) {
      Timers.clearTimeout(timer)
    }
    for (const hub of this.hubs.values()) {
      hub.close()
    }
  }
}

/** Whether the node may do later what it did not do now. */
const mayPass = (error: RedisError): boolean =>
  error._tag === "DeadlineError" ||
  (error._tag === "ConnectionError" && !isPermanent(error)) ||
  (error._tag === "ReplyError" && redirectionOf(Redacted.value(error.raw)) !== undefined)

/** Whether a node tells only what happens on itself. */
const isOfEachNode = ({ kind, name }: Target): boolean =>
  kind === "tracking" ||
  kind === "monitor" ||
  ((kind === "psubscribe" || kind === "subscribe") &&
    typeof name === "string" &&
    (name.startsWith("__keyspace@") || name.startsWith("__keyevent@")))
