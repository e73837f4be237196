/**
 * Who the master is, as far as the client knows, and the dials that lead to it. From the moment in which the client learns of
 * another master, nothing is sent to the former one: a former master may accept writes for ten seconds, and all are lost.
 */
import * as Effect from "effect/Effect"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import { type Attempt, type Dial, makeDial } from "../connection/dial.js"
import type { Link } from "../connection/link.js"
import type { Connect, Stage } from "../connection/opening.js"
import type { Endpoint, ResolvedOptions } from "../connection/options.js"
import { expectRole } from "../connection/role.js"
import { pauseFor } from "../effect/pause.js"
import * as Timers from "../engine/timers.js"
import { type Address, sameAddress, showAddress } from "../nodes/address.js"
import { changed } from "../request/failure.js"
import type { Observer } from "../telemetry/observer.js"
import { type Answer, type Master, mastersOf } from "./answer.js"
import type { Sentinels } from "./sentinels.js"

/** How long a master that a message named is tried before the sentinels are asked again, in milliseconds. */
const toldMillis = 1_000

/** How long it takes until a server that is not yet the master, or could not be reached, is tried first again, in milliseconds. */
const failedMillis = 1_000

/** The pause before a server that is to become the master is asked for its role again, in milliseconds. */
const rolePause = 50

/** How long a sentinel that knows less than others did is not believed, in milliseconds. */
const staleMillis = 60_000

export class MasterTracker {
  /** The master, as the client reaches it; `undefined` until a sentinel has named one. */
  master: Address | undefined
  /** The replicas that can be read from. */
  replicas: ReadonlyArray<Address> = []
  /** Counts up with each change of the master. */
  generation = 0
  /** The highest config epoch that a sentinel gave. A message does not tell it. */
  private epoch = 0
  /** A sentinel has answered that the master is the master, and not only announced it. */
  private isConfirmed = false
  /** When masters were left, by their addresses. Sentinels that learn late may still name any of them. */
  private readonly formers = new Map<string, number>()
  /** When a sentinel last confirmed that. */
  private confirmed = -Infinity
  private told = -Infinity
  private candidates: ReadonlyArray<Address> = []
  /** The server that was announced could not be reached, so the sentinels are asked before the next attempt. */
  private askAnew = false
  private readonly failed = new Map<string, number>()

  constructor(
    private readonly name: string,
    private readonly sentinels: Sentinels,
    /** The master is another one from now on. */
    private readonly onSwitch: () => void,
    private readonly onReplicas: () => void
  ) {}

  /** A sentinel announced another master. Returns whether that fits what is known; otherwise the sentinels are to be asked. */
  announced(from: Address, to: Address): boolean {
    const { master } = this
    if (master !== undefined && sameAddress(master, to)) {
      return true
    }
    if (master !== undefined && !sameAddress(master, from)) {
      return false
    }
    this.told = Timers.now()
    this.isConfirmed = false
    this.follow(to)
    return true
  }

  /** Takes what sentinels answered. */
  learn(answers: ReadonlyArray<Answer>): void {
    const { master } = this
    const now = Timers.now()
    const masters = mastersOf(answers).filter((one) => !this.isFormer(one))
    const [best] = masters
    if (best === undefined) {
      return
    }
    // One sentinel that knows less may be cut off from the others. Only most of them together can take an epoch back.
    const isMost = answers.length * 2 > this.sentinels.all.length
    if (best.epoch < this.epoch && (now - this.confirmed < staleMillis || !isMost)) {
      return
    }
    const newest = masters.filter(({ epoch }) => epoch === best.epoch)
    // A sentinel that leads a failover names the former master with the new epoch until the failover is over, and says so.
    const sound = newest.filter(({ down }) => !down)
    const to =
      master === undefined
        ? best
        : (sound.find((one) => sameAddress(one, master)) ?? sound[0] ?? { ...best, ...master })
    this.epoch = best.epoch
    this.confirmed = now
    this.isConfirmed = true
    this.candidates = master === undefined ? newest : []
    this.replicas = replicasOf(answers, to)
    if (master === undefined || !sameAddress(to, master)) {
      this.follow({ host: to.host, port: to.port })
    }
    this.onReplicas()
  }

  /** Whether a sentinel names a master that the client has left, and nothing says that it became the master again. */
  private isFormer(one: Master): boolean {
    const left = this.formers.get(showAddress(one))
    return left !== undefined && (!this.isConfirmed || one.epoch <= this.epoch) && Timers.now() - left < staleMillis
  }

  private follow(to: Address): void {
    const { master } = this
    this.master = to
    this.failed.clear()
    this.formers.delete(showAddress(to))
    if (master !== undefined) {
      this.formers.set(showAddress(master), Timers.now())
      this.generation++
      this.candidates = []
      this.onSwitch()
    }
  }

  /** Where the master is. The sentinels are asked, unless one has just announced it. */
  readonly endpoint: Effect.Effect<Endpoint, RedisError> = Effect.suspend(() => {
    const { askAnew } = this
    this.askAnew = false
    if (this.master !== undefined && !askAnew && Timers.now() - this.told < toldMillis) {
      return Effect.succeed(tcp(this.master))
    }
    return Effect.matchEffect(this.sentinels.ask, {
      onFailure: (error) => {
        this.unanswered = error
        // The last master may be back before the sentinels are.
        return this.master === undefined ? Effect.fail(error) : Effect.succeed(tcp(this.master))
      },
      onSuccess: (answers) => {
        this.unanswered = undefined
        this.learn(answers)
        return Effect.succeed(tcp(this.pick()))
      }
    })
  })

  /** Why no sentinel named a master when they were last asked. */
  unanswered: RedisError | undefined

  private pick(): Address {
    const now = Timers.now()
    const all = [this.master, ...this.candidates].flatMap((one) => one ?? [])
    const good = all.find((one) => now - (this.failed.get(showAddress(one)) ?? -Infinity) > failedMillis)
    return (good ?? all[0]) as Address
  }

  /** A server that says that it is a master was connected to. When the client is built, that may be the second best one. */
  connected(address: string): void {
    this.master = this.candidates.find((one) => showAddress(one) === address) ?? this.master
  }

  /** An attempt to connect to a server failed. `isReplica`: it may become the master soon. */
  failedAt(address: string, isReplica: boolean): void {
    this.failed.set(address, Timers.now())
    if (!this.isConfirmed && Timers.now() - this.told >= toldMillis) {
      // What was announced did not come true: the message may have been of an earlier failover.
      this.formers.clear()
    }
    if (!isReplica && this.formers.size > 0) {
      this.askAnew = true
    }
  }

  /** The name of the master, for errors and logs before there is an address. */
  get label(): string {
    return this.name
  }
}

const tcp = ({ host, port }: Address): Endpoint => ({ _tag: "Tcp", host, port })

/** The replicas that the sentinels who name this master know. */
const replicasOf = (answers: ReadonlyArray<Answer>, master: Address): ReadonlyArray<Address> => {
  const replicas = new Map<string, Address>()
  for (const answer of answers) {
    for (const replica of sameAddress(answer.master, master) ? answer.replicas : []) {
      if (!sameAddress(replica, master)) {
        replicas.set(showAddress(replica), replica)
      }
    }
  }
  return [...replicas.values()]
}

export interface MasterDialSettings {
  readonly options: ResolvedOptions
  readonly connect: Connect
  readonly observer: Observer | undefined
}

/** Opens links to the master, whichever server that is. A server that is not the master, or not yet, gets no command. */
export class MasterDial implements Dial {
  private readonly inner: Dial
  /** Errors of servers that are not the master. */
  private readonly wrongRole = new WeakSet<RedisError>()
  /** Ends the attempts that are under way; with the generation in which each began. */
  private readonly running = new Map<(error: RedisError) => void, number>()

  constructor(
    private readonly tracker: MasterTracker,
    settings: MasterDialSettings
  ) {
    this.inner = makeDial({
      ...settings,
      endpoint: tracker.endpoint,
      check: expectRole("master", (error) => this.wrongRole.add(error))
    })
  }

  get options(): ResolvedOptions {
    return this.inner.options
  }

  get observer(): Observer | undefined {
    return this.inner.observer
  }

  get address(): string {
    const { label, master } = this.tracker
    return master === undefined ? label : showAddress(master)
  }

  get stage(): Stage | undefined {
    return this.inner.stage
  }

  /** The master is another one: attempts that lead to the former one end, and begin again. */
  switched(): void {
    for (const [end, generation] of [...this.running]) {
      if (generation !== this.tracker.generation) {
        end(switchedError())
      }
    }
  }

  /** The master is tried although no sentinel answered: the error says that, too. */
  private explain(error: RedisError): RedisError {
    const { master, unanswered } = this.tracker
    return error._tag === "ConnectionError" && unanswered !== undefined && master !== undefined
      ? changed(error, { message: `${error.message}; ${unanswered.message}` })
      : error
  }

  open(attempt: Attempt): Effect.Effect<Link, RedisError> {
    return Effect.suspend(() => {
      const { tracker } = this
      const { connectTimeout = this.options.connectTimeout, restore } = attempt
      let until = Timers.now() + connectTimeout
      let aborted: RedisError | undefined
      let otherRole: RedisError | undefined
      let abort: ((error: RedisError) => void) | undefined
      attempt.started?.((error) => {
        aborted = error
        abort?.(error)
      })
      const end = (error: RedisError): void => abort?.(error)
      const once: Effect.Effect<Link, RedisError> = Effect.suspend(() => {
        const { generation } = tracker
        if (aborted !== undefined) {
          return Effect.fail(aborted)
        }
        this.running.set(end, generation)
        return Effect.matchEffect(
          Effect.ensuring(
            this.inner.open({
              ...attempt,
              connectTimeout: Math.max(until - Timers.now(), 1),
              started: (given) => {
                abort = given
              }
            }),
            Effect.sync(() => {
              abort = undefined
              this.running.delete(end)
            })
          ),
          {
            onSuccess: (link) => {
              if (tracker.generation === generation || link.address === this.address) {
                tracker.connected(link.address)
                return Effect.succeed(link)
              }
              link.destroy(switchedError().message)
              return once
            },
            onFailure: (error) => {
              const isReplica = this.wrongRole.has(error)
              if (aborted === undefined && tracker.generation !== generation) {
                if (connectTimeout >= this.options.connectTimeout) {
                  // Not the bound of a caller: the new master gets as much time as the former one.
                  until = Timers.now() + connectTimeout
                }
                return once
              }
              tracker.failedAt(this.inner.address, isReplica)
              otherRole = isReplica ? error : otherRole
              if (aborted === undefined && isReplica && until - Timers.now() > rolePause) {
                return Effect.zipRight(restore(pauseFor(rolePause)), once)
              }
              // Why there was time for another attempt says more than that its time was over.
              return Effect.fail(
                error._tag === "DeadlineError" && aborted === undefined && otherRole !== undefined
                  ? otherRole
                  : this.explain(error)
              )
            }
          }
        )
      })
      return once
    })
  }
}

const switchedError = (): ConnectionError =>
  new ConnectionError({ reason: "noNode", delivery: "unsent", message: "another server has become the master" })
