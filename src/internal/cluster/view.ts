/**
 * What one node says of the cluster: CLUSTER SLOTS (ranges, endpoints, zones) and CLUSTER NODES (config epochs, migrating
 * slots, nodes without slots), checked as a whole. A malformed answer is no view at all.
 */
import * as Decode from "../command/decode.js"
import type { Address } from "../nodes/address.js"
import type { Reply } from "../resp/values.js"
import { slots } from "./slot.js"

/** A node as another one describes it. */
export interface NodeFacts extends Address {
  readonly id: string
  /** The host name and the address that it announces beside its endpoint, where the server says so. */
  readonly hostname: string | undefined
  readonly ip: string | undefined
  readonly zone: string | undefined
  /** The config epoch; 0 where CLUSTER NODES could not be had. */
  readonly epoch: number
}

export interface SlotRange {
  readonly from: number
  readonly to: number
  readonly primary: NodeFacts
  readonly replicas: ReadonlyArray<NodeFacts>
}

export interface View {
  /** The id of the node that was asked; `undefined` where CLUSTER NODES could not be had. */
  readonly self: string | undefined
  readonly ranges: ReadonlyArray<SlotRange>
  /** Slots that the node that was asked is migrating, with the id of the node they go to. */
  readonly migrating: ReadonlyMap<number, string>
  /** Where each node is reached, by its id, nodes without slots included. */
  readonly addresses: ReadonlyMap<string, Address>
}

class Malformed extends Error {}

const fail = (what: string): never => {
  throw new Malformed(what)
}

/**
 * Reads a view; answers why there is none as text. `asked` is where the node was reached. CLUSTER NODES may be refused, then
 * the view has no config epochs.
 */
export const readView = (slotsReply: Reply, nodesReply: Reply | undefined, asked: Address): View | string => {
  try {
    const known = nodesReply === undefined ? undefined : readNodes(Decode.text(nodesReply))
    const ranges = readRanges(slotsReply, known, asked)
    return ranges.length === 0
      ? "it knows no slots"
      : {
          self: known?.self,
          ranges,
          migrating: known?.migrating ?? new Map(),
          addresses: known?.addresses ?? new Map()
        }
  } catch (error) {
    return error instanceof Malformed ? `its answer is malformed: ${error.message}` : "its answer is malformed"
  }
}

interface Known {
  readonly self: string | undefined
  readonly epochs: ReadonlyMap<string, number>
  readonly migrating: ReadonlyMap<number, string>
  readonly addresses: ReadonlyMap<string, Address>
}

/** Lines of `id address flags primary ping pong epoch link-state slot…`. */
const readNodes = (text: string): Known => {
  const epochs = new Map<string, number>()
  const migrating = new Map<number, string>()
  const addresses = new Map<string, Address>()
  let self: string | undefined
  for (const line of text.split("\n")) {
    const fields = line.trim().split(" ")
    if (fields.length < 8) {
      continue
    }
    const [id = "", address = "", flags = "", , , , epoch] = fields
    const parts = /^(.*):(\d+)(?:@\d+)?(?:,.*)?$/.exec(address)
    if (parts !== null && isHost(parts[1]) && isPort(Number(parts[2]))) {
      addresses.set(id, { host: parts[1], port: Number(parts[2]) })
    }
    const number = Number(epoch)
    epochs.set(id, Number.isFinite(number) ? number : 0)
    if (flags.split(",").includes("myself")) {
      self = id
      for (const field of fields.slice(8)) {
        const [, slot, target] = /^\[(\d+)->-(\w+)\]$/.exec(field) ?? []
        if (target !== undefined && isSlot(Number(slot))) {
          migrating.set(Number(slot), target)
        }
      }
    }
  }
  return { self, epochs, migrating, addresses }
}

const readRanges = (reply: Reply, known: Known | undefined, asked: Address): ReadonlyArray<SlotRange> => {
  const seen = new Uint8Array(slots)
  return list(reply, "CLUSTER SLOTS").flatMap((entry) => {
    const [from, to, primary, ...replicas] = list(entry, "a range")
    if (!isSlot(from) || !isSlot(to) || to < from) {
      return fail("a range of slots is out of bounds")
    }
    for (let slot = from; slot <= to; slot++) {
      if (seen[slot] === 1) {
        return fail(`slot ${slot} has two owners`)
      }
      seen[slot] = 1
    }
    const owner = readNode(primary as Reply, known, asked)
    const others = replicas.flatMap((replica) => readNode(replica, known, asked) ?? [])
    return owner === undefined ? [] : { from, to, primary: owner, replicas: others.sort(byAddress) }
  })
}

/** A node; `undefined` when it announces nothing that it can be reached by. */
const readNode = (reply: Reply, known: Known | undefined, asked: Address): NodeFacts | undefined => {
  const [endpoint, port, id, metadata] = list(reply ?? null, "a node")
  if (!isPort(port)) {
    return fail("a node's port is out of bounds")
  }
  const name = typeof id === "string" || id instanceof Uint8Array ? Decode.text(id) : ""
  const facts = new Map<string, string>()
  const flat = metadata === undefined || metadata === null ? [] : Decode.flatEntries(metadata)
  for (let i = 0; i + 1 < flat.length; i += 2) {
    facts.set(Decode.text(flat[i] as Reply), Decode.text(flat[i + 1] as Reply))
  }
  const ip = facts.get("ip")
  const told = endpoint === null || endpoint === undefined ? "" : Decode.text(endpoint)
  // Without an endpoint the node is reached where this one was; `?` means that its name is not known.
  const host = told === "" ? asked.host : told !== "?" ? told : isHost(ip) ? ip : known?.addresses.get(name)?.host
  return !isHost(host)
    ? undefined
    : {
        id: name,
        host,
        port,
        ip,
        hostname: facts.get("hostname"),
        zone: facts.get("availability-zone"),
        epoch: known?.epochs.get(name) ?? 0
      }
}

const list = (reply: Reply, what: string): ReadonlyArray<Reply> =>
  Array.isArray(reply) ? (reply as ReadonlyArray<Reply>) : fail(`${what} is not a list`)

/** Each node names the replicas in another order. */
const byAddress = (a: NodeFacts, b: NodeFacts): number => (`${a.host}:${a.port}` < `${b.host}:${b.port}` ? -1 : 1)

const isHost = (host: string | undefined): host is string =>
  host !== undefined && host !== "" && host !== "?" && !/[\s/\0]/.test(host)

const isPort = (reply: Reply | undefined): reply is number =>
  typeof reply === "number" && Number.isInteger(reply) && reply >= 1 && reply <= 65_535

const isSlot = (reply: Reply | undefined): reply is number =>
  typeof reply === "number" && Number.isInteger(reply) && reply >= 0 && reply < slots
