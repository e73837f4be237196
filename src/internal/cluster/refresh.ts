/**
 * Asks nodes for the topology: those that are connected first, at most three at a time, then the seeds, which are never
 * forgotten. One refresh runs at a time, and the gap between two grows while they bring nothing new.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import type { Dial } from "../connection/dial.js"
import type { Forker } from "../effect/fork.js"
import * as Timers from "../engine/timers.js"
import { type Address, within } from "../nodes/address.js"
import type { Member } from "../nodes/member.js"
import { untraced } from "../request/observed.js"
import { isPermanent } from "../request/recovery.js"
import type { Reply } from "../resp/values.js"
import type { Router } from "./router.js"
import { readView, type View } from "./view.js"

export interface RefreshSettings {
  /** Where a cluster is looked for, asked each time. */
  readonly seeds: Effect.Effect<ReadonlyArray<Address>, RedisError>
  readonly dialTo: (seed: Address) => Dial
  /** How long `seeds` may take, in milliseconds. */
  readonly seedsTimeout: number
  /** How long one node may take to answer, in milliseconds. */
  readonly timeout: number
  /** How often the topology is asked for although nothing happened, in milliseconds. */
  readonly interval: number
}

/** The shortest and the longest time between the starts of two refreshes, in milliseconds. */
const leastGap = 100
const mostGap = 1_000

/** How many nodes are asked at the same time. */
const atOnce = 3

const ask: ReadonlyArray<RedisCommand<Reply>> = [makeCommand("CLUSTER SLOTS"), makeCommand("CLUSTER NODES")]

export class Refresher {
  private running = false
  private wanted = false
  private began = -Infinity
  private gap = leastGap
  private timer: Timers.Timer | undefined
  private periodic: Timers.Timer | undefined
  private closed = false
  /** Why the last refresh brought nothing. */
  private reasons: ReadonlyArray<string> = []

  constructor(
    private readonly router: () => Router,
    private readonly settings: RefreshSettings,
    private readonly fork: Forker
  ) {}

  /** Asks soon: at once when the last time was long enough ago. */
  readonly doubt = (): void => {
    if (this.closed || this.timer !== undefined) {
      return
    }
    if (this.running) {
      // What it learns may be older than what gave rise to this doubt.
      this.wanted = true
      return
    }
    const pause = Math.max(this.began + this.gap - Timers.now(), 0)
    this.timer = Timers.setTimeout(() => {
      this.timer = undefined
      if (!this.closed) {
        this.running = true
        this.fork(
          Effect.ensuring(
            this.refresh,
            Effect.sync(() => {
              this.running = false
              if (this.wanted) {
                this.wanted = false
                this.doubt()
              }
            })
          )
        )
      }
    }, pause)
  }

  /** Asks for the first time; fails when no seed answers. */
  readonly first: Effect.Effect<void, RedisError> = Effect.suspend(() =>
    Effect.flatMap(this.askSeeds, (views) => {
      if (views.length > 0) {
        this.learn(views)
        this.plan()
        return Effect.void
      }
      return Effect.fail(
        this.permanent ??
          new ConnectionError({
            reason: "noNode",
            delivery: "unsent",
            message: `no seed of the cluster answered: ${this.reasons.join("; ")}`
          })
      )
    })
  )

  private permanent: RedisError | undefined

  private readonly refresh: Effect.Effect<void> = Effect.suspend(() => {
    this.began = Timers.now()
    const connected = shuffled([...this.router().members.values()].filter((member) => member.connected && !member.left))
    const asked = Effect.map(
      Effect.forEach(connected.slice(0, atOnce), (member) => this.askMember(member), { concurrency: "unbounded" }),
      (views) => views.flatMap((view) => (view === undefined ? [] : [view]))
    )
    return Effect.flatMap(asked, (views) =>
      Effect.map(views.length > 0 ? Effect.succeed(views) : this.askSeeds, (views) => {
        if (!this.closed) {
          this.gap = views.length > 0 && this.learn(views) ? leastGap : Math.min(this.gap * 2, mostGap)
          this.plan()
        }
      })
    )
  })

  /** Joins the views with what is known. Returns whether they bring anything new. */
  private learn(views: ReadonlyArray<View>): boolean {
    const router = this.router()
    const next = views.reduce((topology, view) => topology.merge(view), router.topology)
    const isNew = !next.equals(router.topology)
    if (isNew) {
      router.adopt(next)
    }
    return isNew
  }

  private plan(): void {
    Timers.clearTimeout(this.periodic)
    if (this.settings.interval !== Infinity) {
      this.periodic = Timers.setTimeout(this.doubt, this.settings.interval * (0.9 + Math.random() * 0.2))
    }
  }

  private askMember(member: Member): Effect.Effect<View | undefined> {
    return this.read(member.place, member.sendAll(ask, { atomic: false, deadline: this.settings.timeout }))
  }

  private readonly askSeeds: Effect.Effect<ReadonlyArray<View>> = Effect.suspend(() => {
    this.reasons = []
    return Effect.flatMap(Effect.exit(within(this.settings.seeds, this.settings.seedsTimeout)), (seeds) => {
      if (Exit.isFailure(seeds)) {
        this.note("the seeds", seeds)
        return Effect.succeed([])
      }
      const views: Array<View> = []
      // A seed that hangs must not hold up the others' answer.
      return Effect.flatMap(Deferred.make<void>(), (answered) => {
        const asked = (seed: Address): Effect.Effect<void> =>
          Effect.flatMap(this.askSeed(seed), (view) => {
            if (view === undefined) {
              return Effect.void
            }
            views.push(view)
            return Effect.asVoid(Deferred.succeed(answered, undefined))
          })
        return Effect.as(
          Effect.forEach(
            shuffled(seeds.value),
            (seed) => (views.length > 0 ? Effect.void : Effect.raceFirst(asked(seed), Deferred.await(answered))),
            { concurrency: atOnce, discard: true }
          ),
          views
        )
      })
    })
  })

  private askSeed(seed: Address): Effect.Effect<View | undefined> {
    const dial = this.settings.dialTo(seed)
    return this.read(
      seed,
      // Not acquireUseRelease: an attempt that hangs could not be interrupted there.
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(dial.open({ restore }), (link) =>
          Effect.ensuring(restore(link.sendAll(ask, { atomic: false, deadline: this.settings.timeout })), link.close(0))
        )
      )
    )
  }

  private read({ host, port }: Address, asked: ReturnType<Member["sendAll"]>): Effect.Effect<View | undefined> {
    return Effect.map(Effect.exit(untraced(asked)), (exit) => {
      const server = `${host}:${port}`
      if (Exit.isFailure(exit)) {
        this.note(server, exit)
        return undefined
      }
      const [slots, nodes] = exit.value.exits as ReadonlyArray<Exit.Exit<Reply, RedisError>>
      if (slots === undefined || Exit.isFailure(slots)) {
        this.note(server, slots as Exit.Exit<never, RedisError>)
        return undefined
      }
      const view = readView(slots.value, nodes !== undefined && Exit.isSuccess(nodes) ? nodes.value : undefined, {
        host,
        port
      })
      if (typeof view === "string") {
        this.reasons = [...this.reasons, `${server}: ${view}`]
        return undefined
      }
      return view
    })
  }

  private note(server: string, exit: Exit.Exit<unknown, RedisError>): void {
    const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
    if (error !== undefined) {
      if (error._tag === "ReplyError" && /cluster support disabled/.test(error.message)) {
        this.permanent ??= new ConnectionError({
          reason: "handshake",
          delivery: "unsent",
          server,
          message: `${server} is not a node of a cluster; use Redis.layer for a single server`
        })
      } else if (isPermanent(error)) {
        this.permanent ??= error
      }
    }
    this.reasons = [...this.reasons, `${server}: ${error === undefined ? "it was interrupted" : error.message}`]
  }

  end(): void {
    this.closed = true
    Timers.clearTimeout(this.timer)
    Timers.clearTimeout(this.periodic)
  }
}

const shuffled = <A>(list: ReadonlyArray<A>): ReadonlyArray<A> =>
  list
    .map((item) => [Math.random(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item)
