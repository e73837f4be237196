/**
 * The sentinels of one master. All that are known are asked at the same time, each within a bound. Those that were given are
 * never forgotten; those that other sentinels named are, when they do not answer for long.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ConnectionError, type RedisError } from "../../RedisError.js"
import type { RedisCommand } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import type { Dial } from "../connection/dial.js"
import * as Timers from "../engine/timers.js"
import { type Address, sameAddress, showAddress } from "../nodes/address.js"
import { isPermanent } from "../request/recovery.js"
import { type Answer, type Master, mastersOf, type Peer, readMaster, readPeers, readReplicas } from "./answer.js"

export interface SentinelsSettings {
  /** The name of the master, as the sentinels know it. */
  readonly name: string
  /** Where sentinels are looked for, asked each time. */
  readonly seeds: Effect.Effect<ReadonlyArray<Address>, RedisError>
  readonly dialTo: (sentinel: Address) => Dial
  /** Where the client reaches an address that a sentinel told. */
  readonly located: (address: Address) => Address
  /** How long one sentinel may take to answer, in milliseconds. */
  readonly timeout: number
}

/** How many sentinels are asked at the same time. */
const atOnce = 5

/** After so many failures in a row, a sentinel that others named is forgotten. */
const mostFailures = 3

interface Known extends Address {
  seed: boolean
  doubtful: boolean
  failures: number
}

/** A sentinel knows no master of this name. */
const noSuchMaster = /^ERR No such master with that name/

export class Sentinels {
  private readonly known = new Map<string, Known>()

  private readonly commands: ReadonlyArray<RedisCommand<unknown>>

  constructor(private readonly settings: SentinelsSettings) {
    const args = [settings.name]
    this.commands = [
      makeCommand("SENTINEL MASTER", { args, decode: readMaster }),
      makeCommand("SENTINEL SENTINELS", { args, decode: readPeers }),
      makeCommand("SENTINEL REPLICAS", { args, decode: readReplicas })
    ]
  }

  /** The sentinels, as the client reaches them, those that are likely to answer first. */
  get all(): ReadonlyArray<Address> {
    return [...this.known.values()]
      .sort((a, b) => Number(a.doubtful || a.failures > 0) - Number(b.doubtful || b.failures > 0))
      .map(({ host, port }) => ({ host, port }))
  }

  /**
   * Asks all sentinels. Returns as soon as more than half of those that are known name the same master, and otherwise when all
   * have answered or failed. Fails, with what each of them said, when none names a master.
   */
  readonly ask: Effect.Effect<ReadonlyArray<Answer>, RedisError> = Effect.suspend(() =>
    Effect.flatMap(Effect.exit(this.settings.seeds), (seeds) => {
      if (Exit.isSuccess(seeds)) {
        this.setSeeds(seeds.value)
      } else if (this.known.size === 0) {
        return Effect.failCause(seeds.cause)
      }
      const answers: Array<Answer> = []
      const failures: Array<{ readonly sentinel: string; readonly error: RedisError }> = []
      return Effect.flatMap(Deferred.make<void>(), (enough) => {
        const asked = this.all
        const askAndNote = (sentinel: Address): Effect.Effect<void> =>
          Effect.flatMap(Effect.exit(this.askOne(sentinel)), (exit) => {
            const name = showAddress(sentinel)
            const known = this.known.get(name)
            if (Exit.isSuccess(exit)) {
              answers.push(exit.value)
              if (known !== undefined) {
                known.failures = 0
              }
              return hasMajority(answers, asked.length)
                ? Effect.asVoid(Deferred.succeed(enough, undefined))
                : Effect.void
            }
            const error = Option.getOrUndefined(Cause.failureOption(exit.cause))
            if (error !== undefined) {
              failures.push({ sentinel: name, error })
              if (known !== undefined && ++known.failures >= mostFailures && !known.seed) {
                this.known.delete(name)
              }
            }
            return Effect.void
          })
        const all = Effect.forEach(asked, askAndNote, { concurrency: atOnce, discard: true })
        return Effect.flatMap(Effect.raceFirst(all, Deferred.await(enough)), () => {
          if (answers.length === 0) {
            return Effect.fail(this.failure(failures))
          }
          this.learn(answers)
          return Effect.succeed(answers)
        })
      })
    })
  )

  private askOne(sentinel: Address): Effect.Effect<Answer, RedisError> {
    const { located, timeout } = this.settings
    const until = Timers.now() + timeout
    const dial = this.settings.dialTo(sentinel)
    // Not acquireUseRelease: an attempt that hangs could not be interrupted there.
    const replies = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(dial.open({ restore, connectTimeout: timeout }), (link) =>
        Effect.ensuring(
          restore(link.sendAll(this.commands, { atomic: false, deadline: Math.max(until - Timers.now(), 1) })),
          link.close(0)
        )
      )
    )
    return Effect.flatMap(replies, ({ exits }) => {
      const [master, sentinels, replicas] = exits as [
        Exit.Exit<Master, RedisError>,
        Exit.Exit<ReadonlyArray<Peer>, RedisError>,
        Exit.Exit<ReadonlyArray<Address>, RedisError>
      ]
      return Effect.map(master, (master) => ({
        master: { ...master, ...located(master) },
        sentinels: (Exit.isSuccess(sentinels) ? sentinels.value : []).map((peer) => ({ ...peer, ...located(peer) })),
        replicas: (Exit.isSuccess(replicas) ? replicas.value : []).map(located)
      }))
    })
  }

  private setSeeds(seeds: ReadonlyArray<Address>): void {
    for (const known of this.known.values()) {
      known.seed = false
    }
    for (const { host, port } of seeds) {
      const name = showAddress({ host, port })
      const known = this.known.get(name)
      if (known === undefined) {
        this.known.set(name, { host, port, seed: true, doubtful: false, failures: 0 })
      } else {
        known.seed = true
      }
    }
  }

  private learn(answers: ReadonlyArray<Answer>): void {
    for (const peer of answers.flatMap(({ sentinels }) => sentinels)) {
      const name = showAddress(peer)
      const known = this.known.get(name)
      if (known === undefined) {
        this.known.set(name, { ...peer, seed: false, failures: 0 })
      } else {
        known.doubtful = peer.doubtful
      }
    }
  }

  /** Why no master was found. That no sentinel knows its name is permanent until there was one. */
  private failure(failures: ReadonlyArray<{ readonly sentinel: string; readonly error: RedisError }>): RedisError {
    const { name } = this.settings
    const said = failures
      .map(
        ({ error, sentinel }) => `${sentinel}: ${isUnknownMaster(error) ? "it knows no such master" : error.message}`
      )
      .join("; ")
    const unknown = failures.filter(({ error }) => isUnknownMaster(error))
    const permanent = failures.find(({ error }) => isPermanent(error))?.error
    const isFinal =
      unknown.length > 0 && failures.every(({ error }) => isUnknownMaster(error) || error._tag !== "ReplyError")
    return new ConnectionError({
      reason:
        permanent?._tag === "ConnectionError" && unknown.length === 0
          ? permanent.reason
          : isFinal
            ? "handshake"
            : "noNode",
      delivery: "unsent",
      message:
        unknown.length > 0
          ? `no sentinel knows a master with the name ${JSON.stringify(name)}: ${said}`
          : `no sentinel names the master ${JSON.stringify(name)}: ${said === "" ? "none is known" : said}`,
      ...(permanent === undefined ? {} : { cause: permanent })
    })
  }
}

const isUnknownMaster = (error: RedisError): boolean =>
  error._tag === "ReplyError" && noSuchMaster.test(Redacted.value(error.raw))

/** Whether more than half of the sentinels name the same master. */
const hasMajority = (answers: ReadonlyArray<Answer>, sentinels: number): boolean => {
  const [first] = mastersOf(answers)
  return (
    first !== undefined &&
    answers.filter(({ master }) => master.epoch === first.epoch && sameAddress(master, first)).length * 2 > sentinels
  )
}
