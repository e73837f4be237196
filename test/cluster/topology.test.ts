/** How the answers of nodes are read and checked, and how the views of several nodes become one topology. */
import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import { noTopology, type Topology } from "../../src/internal/cluster/topology.js"
import { type NodeFacts, readView, type View } from "../../src/internal/cluster/view.js"
import { type Address, sameAddress } from "../../src/internal/nodes/address.js"
import { ErrorReply, MapReply, type Reply } from "../../src/internal/resp/values.js"
import { prop } from "../support/effect.js"

const asked: Address = { host: "seed", port: 7000 }

const read = (slots: Reply, nodes?: string): View => {
  const view = readView(slots, nodes, asked)
  if (typeof view === "string") {
    throw new Error(view)
  }
  return view
}

/** A line of CLUSTER NODES. */
const line = (id: string, address: string, flags: string, epoch: number | string, ...slots: ReadonlyArray<string>) =>
  [id, address, flags, "-", "0", "0", epoch, "connected", ...slots].join(" ")

describe("a view", () => {
  const oneNode = (...node: ReadonlyArray<Reply>): Reply => [[0, 16_383, node]]
  const primary = (slots: Reply, nodes?: string): NodeFacts | undefined => read(slots, nodes).ranges[0]?.primary

  it("has ranges, primaries, replicas and config epochs", () => {
    const view = read(
      [
        [0, 99, ["127.0.0.1", 7001, "a", []], ["127.0.0.1", 7004, "d", []], ["127.0.0.1", 7003, "c", []]],
        [100, 200, ["127.0.0.1", 7002, "b", []]]
      ],
      [
        line("a", "127.0.0.1:7001@17001", "myself,master", 5, "0-99", "[12->-b]", "[13-<-b]", "[70000->-b]"),
        line("b", "127.0.0.1:7002@17002,host", "master", 6, "100-200", "[150->-a]"),
        line("c", "127.0.0.1:7003@17003", "slave", 5),
        line("e", "::1:7005@17005,,tls-port=0,shard-id=x", "master", 9),
        line("f", ":0@0", "master,noaddr", "x"),
        "vars currentEpoch 9 lastVoteEpoch 0",
        ""
      ].join("\n")
    )
    expect(view.self).toBe("a")
    expect(view.ranges.map(({ from, to }) => [from, to])).toEqual([
      [0, 99],
      [100, 200]
    ])
    expect(view.ranges[0]?.primary).toEqual({
      id: "a",
      host: "127.0.0.1",
      port: 7001,
      epoch: 5,
      ip: undefined,
      hostname: undefined,
      zone: undefined
    })
    // Nodes name replicas in an order of their own, so they are sorted.
    expect(view.ranges[0]?.replicas.map(({ id }) => id)).toEqual(["c", "d"])
    expect(view.ranges[1]?.primary.epoch).toBe(6)
    // Only what the asked node says of itself counts as migrating, and only hash slots.
    expect([...view.migrating]).toEqual([[12, "b"]])
    expect(view.addresses.get("e")).toEqual({ host: "::1", port: 7005 })
    expect([...view.addresses.keys()]).toEqual(["a", "b", "c", "e"])
  })

  it("has no config epochs when CLUSTER NODES was refused", () => {
    const view = read(oneNode("h", 1, "a"))
    expect(view.self).toBeUndefined()
    expect(view.ranges[0]?.primary.epoch).toBe(0)
  })

  it.each([
    ["RESP2", ["hostname", "n.example", "ip", "10.0.0.1", "availability-zone", "eu-1a"]],
    ["RESP3", new MapReply(["hostname", "n.example", "ip", "10.0.0.1", "availability-zone", "eu-1a"])]
  ] as ReadonlyArray<readonly [string, Reply]>)("has the metadata of %s", (_, metadata) => {
    expect(primary(oneNode("h", 1, "a", metadata))).toMatchObject({
      host: "h",
      hostname: "n.example",
      ip: "10.0.0.1",
      zone: "eu-1a"
    })
  })

  it("takes an endpoint as it is announced: address, host name, IPv6", () => {
    for (const host of ["127.0.0.1", "node-1.example.com", "::1", "fe80::1%eth0"]) {
      expect(primary(oneNode(host, 6379, "a"))?.host).toBe(host)
    }
    expect(primary(oneNode(new TextEncoder().encode("::1"), 6379, "a"))?.host).toBe("::1")
  })

  it("reaches a node without endpoint at the host that was asked, with the port that it announces", () => {
    for (const endpoint of [null, ""]) {
      expect(primary(oneNode(endpoint, 6379, "a"))).toMatchObject({ host: "seed", port: 6379 })
    }
  })

  it("reaches a node of unknown name at its address, and leaves it out when that is not known either", () => {
    expect(primary(oneNode("?", 6379, "a", ["ip", "10.0.0.1"]))?.host).toBe("10.0.0.1")
    expect(primary(oneNode("?", 6379, "a", ["ip", ""]), line("a", "10.0.0.2:6379@1", "master", 1))?.host).toBe(
      "10.0.0.2"
    )
    const view = read([
      [0, 99, ["?", 1, "a"]],
      [100, 199, ["h", 2, "b"], ["?", 3, "c"], ["h", 4, "d"]]
    ])
    expect(view.ranges.map(({ from }) => from)).toEqual([100])
    expect(view.ranges[0]?.replicas.map(({ id }) => id)).toEqual(["d"])
  })

  const good = ["h", 1, "a"]
  it.each<readonly [string, Reply, RegExp]>([
    ["nothing", null, /CLUSTER SLOTS is not a list/],
    ["text", "OK", /CLUSTER SLOTS is not a list/],
    ["an error", new ErrorReply("ERR no"), /CLUSTER SLOTS is not a list/],
    ["a map", new MapReply([0, 1]), /CLUSTER SLOTS is not a list/],
    ["a range that is a number", [1], /a range is not a list/],
    ["a range with an error in it", [new ErrorReply("ERR no")], /a range is not a list/],
    ["a range without a node", [[0, 1]], /a node is not a list/],
    ["a node that is text", [[0, 1, "h:1"]], /a node is not a list/],
    ["a replica that is text", [[0, 1, good, "h:1"]], /a node is not a list/],
    ["a slot below the first", [[-1, 1, good]], /range of slots is out of bounds/],
    ["a slot above the last", [[0, 16_384, good]], /range of slots is out of bounds/],
    ["a slot that is text", [["0", 1, good]], /range of slots is out of bounds/],
    ["a slot that is not whole", [[0, 1.5, good]], /range of slots is out of bounds/],
    ["an enormous slot", [[0, 2n ** 70n, good]], /range of slots is out of bounds/],
    ["a range that ends before it begins", [[5, 4, good]], /range of slots is out of bounds/],
    [
      "an overlap",
      [
        [0, 5, good],
        [5, 6, ["h", 2, "b"]]
      ],
      /slot 5 has two owners/
    ],
    ["port 0", [[0, 1, ["h", 0, "a"]]], /port is out of bounds/],
    ["a port above the last", [[0, 1, ["h", 65_536, "a"]]], /port is out of bounds/],
    ["a port that is text", [[0, 1, ["h", "1", "a"]]], /port is out of bounds/],
    ["a replica without a port", [[0, 1, good, ["h"]]], /port is out of bounds/],
    ["an endpoint that is a number", [[0, 1, [7, 1, "a"]]], /malformed/],
    ["metadata that is text", [[0, 1, ["h", 1, "a", "ip"]]], /malformed/],
    ["an odd number of metadata", [[0, 1, ["h", 1, "a", ["ip"]]]], /malformed/],
    ["an empty list", [], /knows no slots/],
    ["no node that can be reached", [[0, 1, ["?", 1, "a"]]], /knows no slots/],
    ["a host with a space", [[0, 1, ["a b", 1, "a"]]], /knows no slots/],
    ["a host with a slash", [[0, 1, ["../x", 1, "a"]]], /knows no slots/]
  ])("is none when it has %s", (_, slots, why) => {
    expect(readView(slots, undefined, asked)).toMatch(why)
  })

  it("is none when CLUSTER NODES is not text", () => {
    expect(readView([[0, 1, good]], [1], asked)).toMatch(/malformed/)
  })

  prop("is read or refused, whatever the answer is", [FastCheck.anything(), FastCheck.anything()], ([slots, nodes]) => {
    const view = readView(slots as Reply, nodes as Reply, asked)
    expect(["string", "object"]).toContain(typeof view)
  })
})

/** Owners for tests: `from-to id epoch`, at `id:1`. The first id is the node that was asked; `-` is none. */
const view = (self: string, ...ranges: ReadonlyArray<string>): View => {
  const found = ranges.map((range) => {
    const [places = "", id = "", epoch = "0", ...replicas] = range.split(" ")
    const [from = "", to = from] = places.split("-")
    return {
      from: Number(from),
      to: Number(to),
      primary: node(id, Number(epoch)),
      replicas: replicas.map((replica) => node(replica, Number(epoch)))
    }
  })
  return {
    self: self === "-" ? undefined : self,
    ranges: found,
    migrating: new Map(),
    addresses: new Map([..."abcdef"].map((id) => [id, { host: id, port: 1 }]))
  }
}

const node = (id: string, epoch: number): NodeFacts => ({
  id,
  host: id,
  port: 1,
  hostname: undefined,
  ip: undefined,
  zone: undefined,
  epoch
})

const at = (host: string): Address => ({ host, port: 1 })
const from = (...views: ReadonlyArray<View>): Topology => views.reduce((all, one) => all.merge(one), noTopology)
const owner = (topology: Topology, slot: number): string | undefined => topology.shardOf(slot)?.primary.host
const owners = (topology: Topology): ReadonlyArray<string> =>
  topology.ranges.map(({ from, shard, to }) => `${from}-${to} ${shard.primary.host}`)

describe("a topology", () => {
  it("has the owners of a view", () => {
    const topology = from(view("a", "0-99 a 1 d", "100-16383 b 2"))
    expect(owners(topology)).toEqual(["0-99 a", "100-16383 b"])
    expect(topology.unowned).toBe(0)
    expect(topology.shardOf(5)?.replicas.map(({ id }) => id)).toEqual(["d"])
    expect(from(view("a", "0-99 a 1")).unowned).toBe(16_284)
    expect(noTopology.shardOf(0)).toBeUndefined()
  })

  it("joins the ranges of one owner into one shard", () => {
    const { shards } = from(view("a", "0-9 a 1", "20-29 a 1", "10-19 b 2"))
    expect(shards.map(({ primary }) => primary.id)).toEqual(["a", "b"])
  })

  describe("of two views that disagree", () => {
    const old = view("a", "0-16383 a 1")
    const later = view("c", "0-99 b 2", "100-16383 a 1")

    it("believes the owner with the higher config epoch, in whatever order they come", () => {
      expect(owners(from(old, later))).toEqual(["0-99 b", "100-16383 a"])
      expect(owners(from(later, old))).toEqual(["0-99 b", "100-16383 a"])
    })

    it("does not believe a node that claims the slot for itself by a lower config epoch", () => {
      // A primary that was paused during its failover goes on claiming its slots when it is resumed.
      expect(owner(from(view("c", "0-16383 b 2"), view("a", "0-16383 a 1")), 0)).toBe("b")
    })

    it("believes the newer one of equal config epochs", () => {
      expect(owner(from(view("c", "0-9 a 3"), view("d", "0-9 b 3")), 0)).toBe("b")
    })

    it("forgets an owner that the cluster no longer knows, whatever its config epoch was", () => {
      const { addresses, ...rest } = view("b", "0-16383 b 1")
      const without = new Map([...addresses].filter(([id]) => id !== "a"))
      const before = from(view("a", "0-16383 a 9"))
      expect(owner(before.merge({ ...rest, addresses: without }), 0)).toBe("b")
      expect(owner(before.merge({ ...rest, addresses }), 0)).toBe("a")
    })

    it("keeps the highest config epoch that it saw of a node", () => {
      const seen = from(view("a", "0-99 a 7"), view("c", "0-99 a 3"), view("d", "0-99 b 5"))
      expect(owner(seen, 0)).toBe("a")
      expect(seen.shards[0]?.primary.epoch).toBe(7)
    })

    it("compares the config epoch by which a slot is claimed, and not a later one of the claiming node", () => {
      const moved = from(view("c", "0-9 b 5", "10-19 a 7"))
      expect(owner(moved.merge(view("d", "0-19 a 3")), 5)).toBe("b")
    })

    it("compares it also when a view that does not know the slot's owner came in between", () => {
      const between = from(view("c", "0-19 a 3")).merge(view("d", "10-19 a 7"))
      expect(owner(between.merge(view("e", "0-9 b 5", "10-19 a 7")), 5)).toBe("b")
      expect(owner(between.merge(view("e", "0-9 b 5", "10-19 a 7")), 15)).toBe("a")
    })

    it("has the replicas of the newer view also of an owner that keeps a slot against it", () => {
      const seen = from(view("a", "0-9 b 5", "10-19 a 3"), view("c", "0-9 a 4", "10-19 b 6 e f"))
      expect(seen.shardOf(0)?.primary).toMatchObject({ id: "b", epoch: 6 })
      expect(seen.shardOf(0)?.replicas.map(({ id }) => id)).toEqual(["e", "f"])
      expect(seen.shards.map(({ primary }) => primary.id)).toEqual(["b"])
    })
  })

  it("keeps the owner of a slot that a view does not have", () => {
    expect(owners(from(view("a", "0-16383 a 1"), view("b", "0-99 b 2")))).toEqual(["0-99 b", "100-16383 a"])
  })

  it("does not change itself", () => {
    const before = from(view("a", "0-16383 a 1"))
    before.merge(view("b", "0-16383 b 2"))
    before.moved(7, at("c"))
    expect(owners(before)).toEqual(["0-16383 a"])
  })

  describe("after a MOVED", () => {
    const before = from(view("a", "0-99 a 4", "100-16383 b 6"))

    it("has another owner of this one slot", () => {
      expect(owners(before.moved(7, at("b")))).toEqual(["0-6 a", "7-7 b", "8-99 a", "100-16383 b"])
      expect(before.moved(7, at("b")).shards).toHaveLength(2)
    })

    it("has a shard of a node that it did not know", () => {
      const after = before.moved(7, at("z"))
      expect(owners(after)).toEqual(["0-6 a", "7-7 z", "8-99 a", "100-16383 b"])
      expect(owners(after.moved(8, at("z")))).toEqual(["0-6 a", "7-8 z", "9-99 a", "100-16383 b"])
      expect(after.moved(8, at("z")).shards).toHaveLength(3)
    })

    it("is the same when the slot has this owner already", () => {
      expect(before.moved(7, at("a"))).toBe(before)
    })

    it("has an owner where there was none", () => {
      expect(owner(from(view("a", "0-9 a 1")).moved(77, at("b")), 77)).toBe("b")
    })

    const moved = before.moved(7, at("b"))

    it("does not believe a view that names the former owner", () => {
      expect(owner(moved.merge(view("c", "0-99 a 4", "100-16383 b 6")), 7)).toBe("b")
      expect(owner(moved.merge(view("a", "0-99 a 4", "100-16383 b 6")), 7)).toBe("b")
      expect(owner(moved.merge(view("d", "0-99 c 6", "100-16383 b 6")), 7)).toBe("b")
    })

    it("believes an owner by a higher config epoch than both had, and this owner itself by an equal one", () => {
      expect(owner(moved.merge(view("d", "0-99 c 7", "100-16383 b 6")), 7)).toBe("c")
      expect(owner(moved.merge(view("c", "0-99 c 6", "100-16383 b 6")), 7)).toBe("c")
      expect(owner(before.moved(200, at("a")).merge(view("b", "0-99 a 4", "100-16383 b 6")), 200)).toBe("b")
    })

    it("remembers it until a view agrees", () => {
      const stale = view("c", "0-99 a 4", "100-16383 b 6")
      expect(owner(moved.merge(stale).merge(stale), 7)).toBe("b")
      expect(owner(moved.merge(view("c", "100-16383 b 6")).merge(stale), 7)).toBe("b")
      const agreed = moved.merge(view("b", "0-6 a 4", "7 b 6", "8-99 a 4", "100-16383 b 6"))
      expect(owner(agreed, 7)).toBe("b")
      expect(owner(agreed.merge(view("c", "0-99 c 6", "100-16383 b 6")), 7)).toBe("c")
    })

    it("remembers it while a view agrees by a lower config epoch than the former owner's", () => {
      const back = before.moved(200, at("a"))
      const agreed = back.merge(view("a", "0-99 a 4", "100-199 b 6", "200 a 4", "201-16383 b 6"))
      expect(owner(agreed.merge(view("c", "0-99 a 4", "100-16383 b 6")), 200)).toBe("a")
    })

    it("without config epochs believes every view that does not name the former owner", () => {
      const told = from(view("-", "0-99 a", "100-16383 b")).moved(7, at("b"))
      expect(owner(told.merge(view("-", "0-99 a", "100-16383 b")), 7)).toBe("b")
      expect(owner(told.merge(view("-", "0-99 c", "100-16383 b")), 7)).toBe("c")
      expect(owner(from(view("-", "0-99 a")).merge(view("-", "0-99 b")), 7)).toBe("b")
    })

    it("knows the id of the node once a view has it", () => {
      const after = before.moved(7, at("z"))
      const described = after.merge({
        ...view("c", "0-99 a 4", "100-200 z 8", "201-16383 b 6"),
        addresses: new Map([..."abcz"].map((id) => [id, at(id)]))
      })
      expect(described.shardOf(7)?.primary).toMatchObject({ id: "z", epoch: 8 })
      expect(described.shards.filter(({ primary }) => sameAddress(primary, at("z")))).toHaveLength(1)
    })
  })

  it("is equal to another with the same owners and replicas", () => {
    const one = from(view("a", "0-99 a 1 d", "100-16383 b 2"))
    expect(one.equals(from(view("b", "100-16383 b 2", "0-99 a 1 d")))).toBe(true)
    expect(one.equals(one.merge(view("b", "0-99 a 1 d", "100-16383 b 2")))).toBe(true)
    expect(one.equals(from(view("a", "0-99 a 1", "100-16383 b 2")))).toBe(false)
    expect(one.equals(from(view("a", "0-99 a 1 e", "100-16383 b 2")))).toBe(false)
    expect(one.equals(from(view("a", "0-98 a 1 d", "99-16383 b 2")))).toBe(false)
    expect(one.equals(from(view("a", "0-99 a 1 d")))).toBe(false)
    expect(one.equals(noTopology)).toBe(false)
    expect(noTopology.equals(noTopology)).toBe(true)
  })

  // A history: slots 0 to 7 go from node to node. A node that takes a slot gets a config epoch above all others. Each view
  // knows every node up to some moment, and of a slot that two nodes had then it names the one with the higher epoch.
  prop(
    "ends at the owners of the last moment, whatever the history, the views and their order are",
    [
      FastCheck.array(FastCheck.tuple(FastCheck.nat(7), FastCheck.constantFrom(..."abcd")), {
        minLength: 1,
        maxLength: 20
      }),
      FastCheck.array(
        FastCheck.tuple(
          FastCheck.constantFrom(..."abcd"),
          FastCheck.array(FastCheck.nat(20), { minLength: 4, maxLength: 4 }),
          FastCheck.array(FastCheck.nat(7))
        ),
        { maxLength: 8 }
      ),
      FastCheck.nat(8)
    ],
    ([history, known, place]) => {
      /** Who had each slot after so many steps, and each node's config epoch. */
      const stateAt = (steps: number) => {
        const had: Array<string> = Array(8).fill("a")
        const epochs: Record<string, number> = { a: 4, b: 3, c: 2, d: 1 }
        for (const [i, [slot, id]] of history.slice(0, steps).entries()) {
          if (had[slot] !== id) {
            had[slot] = id
            epochs[id] = i + 5
          }
        }
        return { had, epochs }
      }
      const viewOf = (self: string, moments: ReadonlyArray<number>): View => {
        const ranges = [...Array(8).keys()].flatMap((slot) => {
          const claims = [..."abcd"].flatMap((id, i) => {
            const { epochs, had } = stateAt(moments[i] as number)
            return had[slot] === id ? [{ id, epoch: epochs[id] as number }] : []
          })
          const [best] = claims.sort((a, b) => b.epoch - a.epoch)
          return best === undefined ? [] : [`${slot} ${best.id} ${best.epoch}`]
        })
        return view(self, ...ranges)
      }
      const last = stateAt(history.length).had
      const now = viewOf("e", [20, 20, 20, 20])
      let topology = noTopology
      for (const [i, [self, moments, told]] of known.entries()) {
        topology = i === place ? topology.merge(now) : topology
        topology = topology.merge(viewOf(self, moments))
        for (const slot of told) {
          topology = topology.moved(slot, at(last[slot] as string))
        }
      }
      topology = place < known.length ? topology : topology.merge(now)
      expect([...Array(8).keys()].map((slot) => owner(topology, slot))).toEqual(last)
    },
    { fastCheck: { numRuns: 150 } }
  )
})
