/**
 * Who owns each slot, joined from the views of several nodes. Nodes disagree while a failover or a migration is under way,
 * and the owner with the highest config epoch is the right one: a majority of nodes is not. A topology never changes; it is
 * replaced as a whole, so a command that was routed by one is not confused by the next.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import { type Address, sameAddress } from "../nodes/address.js"
import { slots } from "./slot.js"
import type { NodeFacts, View } from "./view.js"

/** A primary and its replicas. */
export interface Shard {
  readonly primary: NodeFacts
  readonly replicas: ReadonlyArray<NodeFacts>
}

const noOwner = 0xffff

/** What a view must exceed to contradict a MOVED. */
interface Told {
  /** The highest config epoch of the former owner and of the new one. */
  readonly floor: number
  /** The former owner. Where config epochs could not be had, a view that names it is older than the MOVED. */
  readonly from: Address | undefined
}

export class Topology {
  constructor(
    readonly shards: ReadonlyArray<Shard>,
    /** For each slot the place of its shard. */
    private readonly owners: Uint16Array,
    /**
     * For each slot the highest config epoch by which its owner claimed it. The owner's own may be higher since, and say
     * nothing of this slot.
     */
    private readonly claims: Float64Array,
    /** Slots whose owner a MOVED told. While a shard is replaced there are thousands of them, one after the other. */
    private readonly told: HashMap.HashMap<number, Told>
  ) {}

  shardOf(slot: number): Shard | undefined {
    return this.shards[this.owners[slot] as number]
  }

  private toldOf(slot: number): Told | undefined {
    return HashMap.isEmpty(this.told) ? undefined : Option.getOrUndefined(HashMap.get(this.told, slot))
  }

  /** How many slots have no owner. */
  get unowned(): number {
    // Each MOVED asks for it, and nearly always there is none.
    if (!this.owners.includes(noOwner)) {
      return 0
    }
    let count = 0
    for (let slot = 0; slot < slots; slot++) {
      count += this.owners[slot] === noOwner ? 1 : 0
    }
    return count
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
    const floor = Math.max(this.claims[slot] as number, shards[place]?.primary.epoch ?? 0)
    return new Topology(shards, owners, this.claims, HashMap.set(this.told, slot, { floor, from: current?.primary }))
  }

  /** The topology after a view. Of each slot the owner with the higher config epoch counts. */
  merge(view: View): Topology {
    const epochs = new Map(this.shards.map(({ primary }) => [nameOf(primary), primary.epoch]))
    // The config epoch of a node never falls, so a lower one is older. It must not make room for other owners.
    const ranges = view.ranges.map(({ from, primary, replicas, to }) => {
      const epoch = Math.max(primary.epoch, epochs.get(nameOf(primary)) ?? 0)
      return { from, to, claimed: primary, shard: { primary: { ...primary, epoch }, replicas } }
    })
    // A shard that keeps a slot against the view has its replicas from the view. After a MOVED its id was not known.
    const described = new Map<string, Shard>()
    for (const { shard } of ranges) {
      described.set(nameOf(shard.primary), shard)
      described.set(nameOf({ ...shard.primary, id: "" }), shard)
    }
    const shards: Array<Shard> = []
    const places = new Map<string, number>()
    // Most slots in a row have one owner, and a name costs far more to make than to remember whose it was.
    let last: Shard | undefined
    let lastPlace = 0
    const placeOf = (owner: Shard): number => {
      if (owner !== last) {
        last = owner
        lastPlace = newPlaceOf(owner)
      }
      return lastPlace
    }
    const newPlaceOf = (owner: Shard): number => {
      const shard = described.get(nameOf(owner.primary)) ?? owner
      const name = nameOf(shard.primary)
      const known = places.get(name)
      if (known !== undefined) {
        return known
      }
      places.set(name, shards.length)
      shards.push(shard)
      return shards.length - 1
    }
    const owners = new Uint16Array(slots).fill(noOwner)
    const claims = this.claims.slice()
    let told = HashMap.empty<number, Told>()
    for (const { claimed, from, shard, to } of ranges) {
      for (let slot = from; slot <= to; slot++) {
        const current = this.shardOf(slot)
        const held = this.toldOf(slot)
        const agrees = current !== undefined && sameNode(current.primary, claimed)
        const claim = claims[slot] as number
        const wins =
          current === undefined || agrees || isNewer(view, claimed, current.primary, held?.floor ?? claim, held)
        owners[slot] = placeOf(wins ? shard : current)
        if (wins) {
          claims[slot] = agrees ? Math.max(claim, claimed.epoch) : claimed.epoch
        }
        if (held !== undefined && (!wins || (agrees && claimed.epoch < held.floor))) {
          told = HashMap.set(told, slot, held)
        }
      }
    }
    // A slot that this view does not have keeps its owner: the view may be of a node that does not know its owner yet.
    for (let slot = 0; slot < slots; slot++) {
      const current = owners[slot] === noOwner ? this.shardOf(slot) : undefined
      if (current !== undefined) {
        owners[slot] = placeOf(current)
        const held = this.toldOf(slot)
        if (held !== undefined) {
          told = HashMap.set(told, slot, held)
        }
      }
    }
    return new Topology(shards, owners, claims, told)
  }

  /** Whether both know the same of every slot: primary, replicas and config epochs. */
  equals(that: Topology): boolean {
    let same: readonly [Shard, Shard] | undefined
    for (let slot = 0; slot < slots; slot++) {
      const a = this.shardOf(slot)
      const b = that.shardOf(slot)
      if (a !== b && (same === undefined || a !== same[0] || b !== same[1])) {
        if (a === undefined || b === undefined || !sameShard(a, b)) {
          return false
        }
        same = [a, b]
      }
      if (this.claims[slot] !== that.claims[slot]) {
        return false
      }
    }
    return true
  }
}

/** Whether a view's owner of a slot replaces the current one, which is another node and claimed the slot by `claim`. */
const isNewer = (view: View, owner: NodeFacts, current: NodeFacts, claim: number, held: Told | undefined): boolean => {
  if (view.self === undefined) {
    // Without config epochs the newest view counts, and a MOVED more than a view of before.
    return held?.from === undefined ? owner.epoch >= claim : !sameAddress(held.from, owner)
  }
  if (current.id !== "" && !view.addresses.has(current.id)) {
    // The current owner is no longer part of the cluster, or another server has taken its place.
    return true
  }
  return owner.epoch > claim || (owner.epoch === claim && (held === undefined || view.self === owner.id))
}

export const noTopology = new Topology(
  [],
  new Uint16Array(slots).fill(noOwner),
  new Float64Array(slots),
  HashMap.empty()
)

const nameOf = ({ host, id, port }: Pick<NodeFacts, "host" | "id" | "port">): string => `${id} ${host}:${port}`

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
