/**
 * Which of a primary and its replicas answers a read, and what is measured for that: how fast each node answers, how far each replica is
 * behind its primary, and in which availability zone a node is when the topology does not say so.
 */
import * as Effect from "effect/Effect"
import { UsageError } from "../../RedisError.js"
import { withDeadline } from "../command/command.js"
import * as Decode from "../command/decode.js"
import type { ReadFrom, RedisCommand } from "../command/model.js"
import { make as makeCommand } from "../command/raw.js"
import * as Timers from "../engine/timers.js"
import { untraced } from "../request/observed.js"
import type { Member } from "./member.js"

/** How often nodes that are read from are measured, in milliseconds. */
const periodMillis = 1_000

/** How much slower than the fastest node a node may be and still counts as as fast: a part of its time, and milliseconds. */
const tolerance = 1.25
const toleranceMillis = 0.2

/** How much of a smoothed latency is its newest measurement. */
const newest = 0.3

/** Checks the option `readFrom`. */
export const checkReadFrom = (from: ReadFrom): Effect.Effect<ReadFrom, UsageError> =>
  (typeof from === "object" && typeof from.nearest === "string" && from.nearest !== "") ||
  ["primary", "preferPrimary", "preferReplica", "replica", "lowestLatency"].includes(from as string)
    ? Effect.succeed(from)
    : Effect.fail(
        new UsageError({
          reason: "invalidOptions",
          message:
            'readFrom must be "primary", "preferPrimary", "preferReplica", "replica", "lowestLatency" or { nearest: zone }'
        })
      )

/** The nodes of a shard that a read may go to. */
export interface Candidates {
  readonly primary: Member | undefined
  readonly replicas: ReadonlyArray<Member>
}

/** The node that a read goes to; `undefined` where there is none. */
export const readerOf = ({ primary, replicas }: Candidates, from: Exclude<ReadFrom, "primary">): Member | undefined => {
  const all = primary === undefined ? replicas : [...replicas, primary]
  switch (from) {
    case "preferPrimary":
      return primary?.connected === true ? primary : (leastBusy(replicas) ?? primary)
    case "preferReplica":
      return leastBusy(replicas) ?? primary
    case "replica":
      return leastBusy(replicas)
    case "lowestLatency":
      return leastBusy(fastest(all)) ?? primary
    default:
      return leastBusy(all.filter(({ zone }) => zone === from.nearest)) ?? leastBusy(replicas) ?? primary
  }
}

/** Of the nodes that can serve, the one that owes the fewest replies; of several such nodes, one at random. */
const leastBusy = (members: ReadonlyArray<Member>): Member | undefined => {
  let best: Member | undefined
  let owed = Infinity
  let equal = 0
  for (const member of members) {
    if (member.reads && member.owed <= owed) {
      equal = member.owed < owed ? 1 : equal + 1
      if (equal === 1 || Math.random() * equal < 1) {
        best = member
      }
      owed = member.owed
    }
  }
  return best
}

/** The nodes that can serve and answer about as fast as the fastest; all of them while nothing is measured. */
const fastest = (members: ReadonlyArray<Member>): ReadonlyArray<Member> => {
  const ready = members.filter(({ reads }) => reads)
  const least = Math.min(...ready.map(({ latency }) => latency ?? Infinity))
  return least === Infinity
    ? ready
    : ready.filter(({ latency }) => latency !== undefined && latency <= least * tolerance + toleranceMillis)
}

/** A primary's replication offset at a time. */
interface Sample {
  readonly at: number
  readonly offset: number
}

export interface MeasureSettings {
  /** How long a replica may be behind its primary, in milliseconds. Infinity: for ever. */
  readonly maxLag: number
  /** The shards that were read from, with the members that exist. */
  readonly shards: () => ReadonlyArray<Candidates>
  /** Runs an effect in the background. */
  readonly fork: (effect: Effect.Effect<void>) => void
  /** Sends a command to a member; the effect calls `answered` with the reply, and nothing when it fails. */
  readonly ask: (member: Member, command: RedisCommand<string>, answered: (text: string) => void) => Effect.Effect<void>
}

/** Sends a command to a member, within a bound. */
export const ask: MeasureSettings["ask"] = (member, command, answered) =>
  Effect.ignore(
    untraced(
      Effect.flatMap(member.ready, ({ service }) =>
        Effect.map(service.send(withDeadline(command, measureTimeout)), answered)
      )
    )
  )

/** How long a node may take to answer when it is measured. */
const measureTimeout = "5 seconds"

/** Measures the nodes that are read from, once a policy needs it. */
export class Measures {
  private timer: Timers.Timer | undefined
  private ended = false
  private readonly samples = new WeakMap<Member, ReadonlyArray<Sample>>()
  private readonly zoneAsked = new WeakSet<Member>()
  /** Since when a member has not answered. */
  private readonly unanswered = new WeakMap<Member, number>()

  constructor(private readonly settings: MeasureSettings) {}

  /** Starts measuring when this policy needs it. */
  need(from: ReadFrom): void {
    const needed =
      from !== "primary" && (from === "lowestLatency" || typeof from === "object" || this.settings.maxLag !== Infinity)
    if (needed && this.timer === undefined && !this.ended) {
      this.measure()
    }
  }

  end(): void {
    this.ended = true
    Timers.clearTimeout(this.timer)
  }

  private measure(): void {
    for (const { primary, replicas } of this.settings.shards()) {
      if (primary?.connected === true) {
        this.ask(primary, (facts) => {
          const offset = Number(facts.get("master_repl_offset"))
          if (Number.isFinite(offset)) {
            // A primary that was started anew, or became one, may count from a smaller offset: its former ones say nothing then.
            const before = this.samples.get(primary)?.filter((sample) => sample.offset <= offset) ?? []
            this.samples.set(primary, [...before, { at: Timers.now(), offset }].slice(-mostSamples))
          }
        })
      }
      for (const replica of replicas) {
        if (replica.connected) {
          this.ask(replica, (facts) => {
            replica.lagging = this.lagOf(primary, facts) > this.settings.maxLag
          })
        }
      }
    }
    if (!this.ended) {
      this.timer = Timers.setTimeout(() => this.measure(), periodMillis)
    }
  }

  private ask(member: Member, answered: (facts: ReadonlyMap<string, string>) => void): void {
    const { ask, fork } = this.settings
    const begun = Timers.now()
    const since = this.unanswered.get(member)
    if (since === undefined) {
      this.unanswered.set(member, begun)
    } else {
      // A node that hangs would stay the fastest one.
      member.latency = begun - since
    }
    fork(
      ask(member, replication, (text) => {
        const millis = Timers.now() - begun
        const before = since === undefined ? member.latency : undefined
        this.unanswered.delete(member)
        member.latency = before === undefined ? millis : before * (1 - newest) + millis * newest
        answered(factsOf(text))
      })
    )
    if (member.zone === undefined && !this.zoneAsked.has(member)) {
      this.zoneAsked.add(member)
      fork(
        ask(member, server, (text) => {
          member.zone = factsOf(text).get("availability_zone") || undefined
        })
      )
    }
  }

  /**
   * For how long at least a replica has been behind, in milliseconds: since the primary's offset was first seen beyond what the
   * replica has. While the primary does not answer, nothing is known of how far its replicas are behind.
   */
  private lagOf(primary: Member | undefined, replica: ReadonlyMap<string, string>): number {
    const down = Number(replica.get("master_link_down_since_seconds") ?? 0)
    if (down > 0 && replica.get("master_link_status") === "down") {
      return down * 1_000
    }
    const has = Number(replica.get("slave_repl_offset"))
    const samples = primary === undefined ? undefined : this.samples.get(primary)
    const behind = samples?.find(({ offset }) => offset > has)
    return behind === undefined ? 0 : Timers.now() - behind.at
  }
}

/** How many samples of a primary are kept: ten minutes. */
const mostSamples = 600

const info = (section: string): RedisCommand<string> =>
  makeCommand("INFO", { args: [section], readonly: true, decode: Decode.text })
const replication = info("replication")
const server = info("server")

/** Lines of `name:value`. */
const factsOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(":")
      return at === -1 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const]
    })
  )
