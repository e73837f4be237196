/**
 * Where a command goes: to the owner of a slot, to any node, in parts to the owners of several slots, to all primaries or to
 * all nodes; or nowhere, with the reason.
 */
import { UsageError } from "../../RedisError.js"
import { Argument } from "../command/args.js"
import { reword, undecoded } from "../command/command.js"
import type { RedisCommand } from "../command/model.js"
import { argumentText } from "../request/blockingTime.js"
import type { Reply } from "../resp/values.js"
import { keyPlaces } from "./keys.js"
import { slotOf, slots } from "./slot.js"

export type Plan =
  | { readonly _tag: "Slot"; readonly slot: number }
  | { readonly _tag: "Any" }
  | { readonly _tag: "Split"; readonly parts: ReadonlyArray<Part> }
  | { readonly _tag: "Fan"; readonly to: "primaries" | "nodes" }
  | { readonly _tag: "Refused"; readonly error: UsageError }

/** A part of a command whose keys are in several slots. `places` are the keys' places in the whole, in order. */
export interface Part {
  readonly slot: number
  readonly command: RedisCommand<Reply>
  readonly places: ReadonlyArray<number>
}

const any: Plan = { _tag: "Any" }

/** Commands whose first argument is a slot. A node that does not own it answers as if the slot had no keys. */
const ofSlot = new Set(["CLUSTER COUNTKEYSINSLOT", "CLUSTER FLUSHSLOT", "CLUSTER GETKEYSINSLOT"])

/** Commands that describe or change only the node that gets them, although no policy of the servers says so. */
const ofOneNode = new Set(
  `ACL LOAD,ACL LOG,BACKUP ABORT,BACKUP CLEANUP,BACKUP LIST,BACKUP SEAL,BACKUP START,BACKUP STATUS,BGREWRITEAOF,BGSAVE,
   CLIENT GETREDIR,CLIENT ID,CLIENT INFO,CLIENT KILL,CLIENT LIST,CLIENT PAUSE,CLIENT TRACKINGINFO,CLIENT UNBLOCK,
   CLIENT UNPAUSE,CLUSTER ADDSLOTS,CLUSTER ADDSLOTSRANGE,CLUSTER BUMPEPOCH,CLUSTER CANCELSLOTMIGRATIONS,
   CLUSTER COUNT-FAILURE-REPORTS,CLUSTER DELSLOTS,CLUSTER DELSLOTSRANGE,CLUSTER FAILOVER,CLUSTER FLUSHSLOTS,
   CLUSTER FORGET,CLUSTER GETSLOTMIGRATIONS,CLUSTER LINKS,CLUSTER MEET,CLUSTER MIGRATESLOTS,CLUSTER MIGRATION,
   CLUSTER MYID,CLUSTER MYSHARDID,CLUSTER REPLICATE,CLUSTER RESET,CLUSTER SAVECONFIG,CLUSTER SET-CONFIG-EPOCH,
   CLUSTER SETSLOT,CLUSTER SYNCSLOTS,DEBUG,FAILOVER,LASTSAVE,MODULE LOAD,MODULE LOADEX,MODULE UNLOAD,PFSELFTEST,
   PUBSUB CHANNELS,PUBSUB NUMPAT,PUBSUB NUMSUB,PUBSUB SHARDCHANNELS,PUBSUB SHARDNUMSUB,REPLICAOF,ROLE,SAVE,SHUTDOWN,
   SLAVEOF,TRIMSLOTS`.split(/,\s*/)
)

const namedSlot = ({ args, name }: RedisCommand<unknown>): number | undefined => {
  const slot = ofSlot.has(name) ? Number(argumentText(args[0]) || Number.NaN) : Number.NaN
  return Number.isInteger(slot) && slot >= 0 && slot < slots ? slot : undefined
}

export const planOf = (command: RedisCommand<unknown>, splitKeys: boolean): Plan => {
  const only = onlyKey(command)
  if (only !== -1) {
    return { _tag: "Slot", slot: slotAt(command, only) }
  }
  const places = keyPlaces(command)
  if (places.length > 0) {
    return ofKeys(command, places, splitKeys)
  }
  const slot = namedSlot(command)
  if (slot !== undefined) {
    return { _tag: "Slot", slot }
  }
  const { requestPolicy, responsePolicy } = command.traits
  const special = command.name !== "RANDOMKEY" && (requestPolicy === "special" || responsePolicy === "special")
  if (special || ofOneNode.has(command.name)) {
    return refuse(
      command,
      "it concerns one node only, and a cluster has many; say which, with RedisCluster.onPrimaries, onNodes, onNode or onShardOf" +
        (command.name === "SCAN" ? ", or scan all of them with Redis.scanStream" : "")
    )
  }
  switch (requestPolicy) {
    case "all_shards":
      return command.name === "PING" ? any : { _tag: "Fan", to: "primaries" }
    case "all_nodes":
      return { _tag: "Fan", to: "nodes" }
    default:
      return any
  }
}

/** The place of the one argument that is known as a key: most commands have one, and need no list of places. -1 otherwise. */
const onlyKey = ({ args, traits }: RedisCommand<unknown>): number => {
  let only = -1
  for (let i = 0; i < args.length; i++) {
    if ((args[i] as Argument).kind === "key") {
      if (only !== -1) {
        return -1
      }
      only = i
    }
  }
  return traits.shardChannels === undefined ? only : -1
}

/** The slot of a request that was planned before: of its first key, or named. `undefined` when it has none. */
export const slotOfFirstKey = (commands: ReadonlyArray<RedisCommand<unknown>>): number | undefined => {
  for (const command of commands) {
    const [place] = keyPlaces(command)
    if (place !== undefined) {
      return slotAt(command, place)
    }
    const slot = namedSlot(command)
    if (slot !== undefined) {
      return slot
    }
  }
  return undefined
}

const slotAt = ({ args }: RedisCommand<unknown>, place: number): number => slotOf((args[place] as Argument).data)

const ofKeys = (command: RedisCommand<unknown>, places: ReadonlyArray<number>, splitKeys: boolean): Plan => {
  const slot = slotAt(command, places[0] as number)
  for (let i = 1; i < places.length; i++) {
    if (slotAt(command, places[i] as number) !== slot) {
      return splitKeys && isSplit(command)
        ? { _tag: "Split", parts: split(command, places) }
        : { _tag: "Refused", error: crossSlot(command.name) }
    }
  }
  return { _tag: "Slot", slot }
}

/** MSETEX with a condition is all or nothing, which only one node can promise. Its options come after keys and values. */
const isSplit = ({ args, name, traits }: RedisCommand<unknown>): boolean =>
  traits.requestPolicy === "multi_shard" &&
  !(
    name === "MSETEX" &&
    args.slice(1 + 2 * Number(argumentText(args[0]))).some((argument) => /^(?:NX|XX)$/.test(argumentText(argument)))
  )

/** One command for each slot. Each part keeps the order of its keys. */
const split = (command: RedisCommand<unknown>, places: ReadonlyArray<number>): ReadonlyArray<Part> => {
  const { args } = command
  const bySlot = new Map<number, Array<number>>()
  for (let i = 0; i < places.length; i++) {
    const slot = slotAt(command, places[i] as number)
    const part = bySlot.get(slot)
    part === undefined ? bySlot.set(slot, [i]) : part.push(i)
  }
  // How many arguments belong to one key: MSET has pairs.
  const step = places.length > 1 ? (places[1] as number) - (places[0] as number) : 1
  const before = args.slice(0, places[0])
  const after = args.slice((places[places.length - 1] as number) + step)
  const part = undecoded(command)
  const parts: Array<Part> = []
  for (const [slot, members] of bySlot) {
    // The number of keys stands just before them.
    const words =
      command.traits.numkeys === undefined ? before.slice() : [...before.slice(0, -1), countOf(before, members.length)]
    for (const i of members) {
      for (let offset = 0; offset < step; offset++) {
        words.push(args[(places[i] as number) + offset] as Argument)
      }
    }
    for (const word of after) {
      words.push(word)
    }
    parts.push({ slot, places: members, command: reword(part, { args: words }) })
  }
  return parts
}

const countOf = (before: ReadonlyArray<Argument>, count: number): Argument =>
  new Argument((before[before.length - 1] as Argument).kind, String(count))

const refuse = ({ name }: RedisCommand<unknown>, why: string): Plan => ({
  _tag: "Refused",
  error: new UsageError({ reason: "refusedCommand", command: name, message: `${name} was not sent: ${why}` })
})

export const crossSlot = (command: string): UsageError =>
  new UsageError({
    reason: "crossSlot",
    command,
    message:
      `${command} was not sent: its keys are in several hash slots of the cluster, and one node must have all of them; ` +
      "give them a hash tag in common, such as {user:1}:name and {user:1}:mail"
  })
