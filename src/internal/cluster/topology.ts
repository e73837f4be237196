/**
 * Who owns each slot, joined from the views of several nodes. Nodes disagree while a failover or a migration is under way,
 * and the owner with the highest config epoch is the right one: a majority of nodes is not. A topology never changes; it is
 * replaced as a whole, so a command that was routed by one is not confused by the next.
 */
import { slots } from "./slot.js"
import type { Address, NodeFacts, View } from "./view.js"

/** A primary and its replicas. */
export interface Shard {
  readonly primary: NodeFacts
  readonly replicas: ReadonlyArray<NodeFacts>
}

const noOwner = 0xffff

export class Topology {
  constructor(
    readonly shards: ReadonlyArray<Shard>,
    /** For each slot the place of its shard. */
    private readonly owners: Uint16Array,
    /** Slots whose owner a MOVED told, with the config epoch that a view must exceed to say otherwise. */
    private readonly told: ReadonlyMap<number, number>
  ) {}

  shardOf(slot: number): Shard | undefined {
    return this.shards[this.owners[slot] as number]
  }

  /** Whether every slot has an owner. */
  get complete(): boolean {
    return !this.owners.includes(noOwner)
  }

  /** The ranges of slots of each shard, in order. */
  get ranges(): ReadonlyArray<{ readonly from: number; readonly to: number; readonly shard: Shard }> {
    const ranges: Array<{ from: number; to: number; shard: Shard }> = []
    for (let slot = 0; slot < slots; slot++) {
      const shard = this.shardOf(slot)
      const last = ranges[ranges.length - 1]
      if (last !== undefined && last.shard === shard && last.to === slot - 1) {
        last.to = slot
      } else if (shard !== undefined) {
        ranges.push({ from: slot, to: slot, shard })
      }
    }
    return ranges
  }

  /** The topology in which this one slot has another owner, as a MOVED said. */
  moved(slot: number, to: Address): Topology {
    const current = this.shardOf(slot)
    if (current !== undefined && sameAddress(current.primary, to)) {
      return this
    }
    let place = this.shards.findIndex(({ primary }) => sameAddress(primary, to))
    const shards = place === -1 ? [...this.shards, { primary: unknownNode(to), replicas: [] }] : this.shards
    place = place === -1 ? this.shards.length : place
    const owners = this.owners.slice()
    owners[slot] = place
    const floor = Math.max(current?.primary.epoch ?? 0, shards[place]?.primary.epoch ?? 0)
    return new Topology(shards, owners, new Map([...this.told, [slot, floor]]))
  }

  /** The topology after a view. Of each slot the owner with the higher config epoch counts. */
  merge(view: View): Topology {
    const shards: Array<Shard> = []
    const places = new Map<string, number>()
    const placeOf = (shard: Shard): number => {
      const { host, id, port } = shard.primary
      const name = `${id} ${host}:${port}`
      const known = places.get(name)
      if (known !== undefined) {
        return known
      }
      places.set(name, shards.length)
      shards.push(shard)
      return shards.length - 1
    }
    const owners = new Uint16Array(slots).fill(noOwner)
    const told = new Map<number, number>()
    for (const { from, primary, replicas, to } of view.ranges) {
      const shard: Shard = { primary, replicas }
      for (let slot = from; slot <= to; slot++) {
        const current = this.shardOf(slot)
        const floor = this.told.get(slot)
        const itself = view.self !== undefined && view.self === primary.id
        const agrees = current !== undefined && sameNode(current.primary, primary)
        const newer =
          current === undefined ||
          agrees ||
          itself ||
          (floor === undefined ? primary.epoch >= current.primary.epoch : primary.epoch > floor)
        owners[slot] = placeOf(newer ? shard : current)
        if (!newer && floor !== undefined) {
          told.set(slot, floor)
        }
      }
    }
    // A slot that this view does not have keeps its owner: the view may be of a node that has not heard of it yet.
    for (let slot = 0; slot < slots; slot++) {
      if (owners[slot] === noOwner) {
        const current = this.shardOf(slot)
        if (current !== undefined) {
          owners[slot] = placeOf(current)
        }
      }
    }
    return new Topology(shards, owners, told)
  }

  /** Whether both send every slot to the same primary, and know the same replicas. */
  equals(that: Topology): boolean {
    for (let slot = 0; slot < slots; slot++) {
      const a = this.shardOf(slot)
      const b = that.shardOf(slot)
      if (a !== b && (a === undefined || b === undefined || !sameShard(a, b))) {
        return false
      }
    }
    return true
  }
}

export const noTopology = new Topology([], new Uint16Array(slots).fill(noOwner), new Map())

export const sameAddress = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port

const sameNode = (a: NodeFacts, b: NodeFacts): boolean =>
  sameAddress(a, b) && (a.id === b.id || a.id === "" || b.id === "")

const sameShard = (a: Shard, b: Shard): boolean =>
  sameNode(a.primary, b.primary) &&
  a.primary.epoch === b.primary.epoch &&
  a.replicas.length === b.replicas.length &&
  a.replicas.every((replica, i) => sameNode(replica, b.replicas[i] as NodeFacts))

const unknownNode = ({ host, port }: Address): NodeFacts => ({
  id: "",
  host,
  port,
  hostname: undefined,
  ip: undefined,
  zone: undefined,
  epoch: 0
})
