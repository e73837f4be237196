/** What one sentinel says: who the master is, which other sentinels it knows, and which replicas can be read from. */
import * as Decode from "../command/decode.js"
import { type Address, sameAddress } from "../nodes/address.js"
import type { Reply } from "../resp/values.js"

/** A master, as sentinels describe it. */
export interface Master extends Address {
  /** The config epoch. Each failover has a higher one. */
  readonly epoch: number
  /** Whether the sentinel believes that it is down, or replaces it. */
  readonly down: boolean
}

/** Another sentinel. */
export interface Peer extends Address {
  /** The sentinel that names it has no connection to it. */
  readonly doubtful: boolean
}

export interface Answer {
  readonly master: Master
  readonly sentinels: ReadonlyArray<Peer>
  readonly replicas: ReadonlyArray<Address>
}

/** Decodes the reply to SENTINEL MASTER. */
export const readMaster = (reply: Reply): Master => {
  const facts = factsOf(reply)
  const address = addressOf(facts)
  if (address === undefined) {
    throw new Decode.DecodeFailure("the master has no address")
  }
  const epoch = Number(facts.get("config-epoch"))
  return {
    ...address,
    epoch: Number.isFinite(epoch) ? epoch : 0,
    down: hasFlag(facts, "s_down", "o_down", "failover_in_progress")
  }
}

/** Decodes the reply to SENTINEL SENTINELS. */
export const readPeers = (reply: Reply): ReadonlyArray<Peer> =>
  entries(reply).flatMap((facts) => {
    const address = addressOf(facts)
    return address === undefined ? [] : [{ ...address, doubtful: hasFlag(facts, "s_down", "o_down", "disconnected") }]
  })

/** Decodes the reply to SENTINEL REPLICAS: those that can be read from. */
export const readReplicas = (reply: Reply): ReadonlyArray<Address> =>
  entries(reply).flatMap((facts) => {
    const address = addressOf(facts)
    return address === undefined ||
      hasFlag(facts, "s_down", "o_down", "disconnected") ||
      facts.get("master-link-status") === "err" ||
      facts.get("replica-announced") === "0"
      ? []
      : [address]
  })

const entries = (reply: Reply): ReadonlyArray<ReadonlyMap<string, string>> =>
  Array.isArray(reply) ? (reply as ReadonlyArray<Reply>).map(factsOf) : []

/** Pairs of a name and a value. */
const factsOf = (reply: Reply): ReadonlyMap<string, string> => {
  const flat = Decode.flatEntries(reply)
  const facts = new Map<string, string>()
  for (let i = 0; i + 1 < flat.length; i += 2) {
    facts.set(Decode.text(flat[i] as Reply), Decode.text(flat[i + 1] as Reply))
  }
  return facts
}

const addressOf = (facts: ReadonlyMap<string, string>): Address | undefined =>
  readAddress(facts.get("ip"), facts.get("port"))

/** A host and a port as a sentinel gives them, in fields of their own. */
export const readAddress = (host: string | undefined, portText: string | undefined): Address | undefined => {
  const port = Number(portText)
  return host === undefined || host === "" || /\s/.test(host) || !Number.isInteger(port) || port < 1 || port > 65_535
    ? undefined
    : { host, port }
}

const hasFlag = (facts: ReadonlyMap<string, string>, ...wanted: ReadonlyArray<string>): boolean => {
  const flags = facts.get("flags")?.split(",") ?? []
  return wanted.some((flag) => flags.includes(flag))
}

/** Who the answers name as the master, the most trustworthy first: by config epoch, then whoever is not down, then by count. */
export const mastersOf = (answers: ReadonlyArray<Answer>): ReadonlyArray<Master> => {
  const masters: Array<{ readonly master: Master; votes: number }> = []
  for (const { master } of answers) {
    const known = masters.find((one) => sameAddress(one.master, master) && one.master.epoch === master.epoch)
    if (known === undefined) {
      masters.push({ master, votes: 1 })
    } else {
      known.votes++
    }
  }
  return masters
    .sort(
      (a, b) => b.master.epoch - a.master.epoch || Number(a.master.down) - Number(b.master.down) || b.votes - a.votes
    )
    .map(({ master }) => master)
}
