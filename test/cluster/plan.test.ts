/** Where a command goes in a cluster, how it is split by its keys, and how the replies become one. */
import { describe, expect, it } from "vitest"
import { joinNodes, joinParts } from "../../src/internal/cluster/join.js"
import { type Part, type Plan, planOf, slotOfFirstKey } from "../../src/internal/cluster/plan.js"
import { slotOf } from "../../src/internal/cluster/slot.js"
import { MapReply, type Reply } from "../../src/internal/resp/values.js"
import { Redis } from "../../src/Redis.js"
import { type RedisCommand, make as raw } from "../../src/RedisCommand.js"
import { samples } from "../support/samples.js"

const plan = (command: RedisCommand<unknown>, splitKeys = true): Plan => planOf(command, splitKeys)

const execute = (line: string): RedisCommand<unknown> => {
  const [name = "", ...args] = line.split(" ")
  return raw(name, { args })
}

/** The parts of a command that is split, as it is sent: the words of each, and the places of its keys in the whole. */
const parts = (command: RedisCommand<unknown>): ReadonlyArray<readonly [string, ReadonlyArray<number>]> => {
  const found = plan(command)
  if (found._tag !== "Split") {
    throw new Error(`${command.name} is not split: ${found._tag}`)
  }
  for (const part of found.parts) {
    expect(plan(part.command)).toEqual({ _tag: "Slot", slot: part.slot })
  }
  return found.parts.map((part) => [words(part), part.places])
}

const words = ({ command }: Part): string => [command.name, ...command.args.map(({ data }) => data)].join(" ")

const shown = (found: Plan): string =>
  JSON.stringify(found._tag === "Split" ? found.parts.map((part) => [words(part), part.places]) : found)

const refusal = (command: RedisCommand<unknown>, splitKeys = true): string => {
  const found = plan(command, splitKeys)
  return found._tag === "Refused" ? found.error.reason : found._tag
}

// These three are in different slots.
const [a, b, c] = ["a", "b", "c"]

describe("a command goes", () => {
  it("to the owner of the slot of its keys", () => {
    expect(plan(Redis.get(a))).toEqual({ _tag: "Slot", slot: slotOf("a") })
    expect(plan(Redis.set("x{a}", "{b}"))).toEqual({ _tag: "Slot", slot: slotOf("a") })
    expect(plan(Redis.mget(["{a}1", "{a}2"]))).toEqual({ _tag: "Slot", slot: slotOf("a") })
    expect(plan(Redis.rename("{a}1", "{a}2"))).toEqual({ _tag: "Slot", slot: slotOf("a") })
    expect(plan(execute("XREAD STREAMS {a}1 {a}2 0 0"))).toEqual({ _tag: "Slot", slot: slotOf("a") })
    expect(plan(Redis.get(new TextEncoder().encode("é")))).toEqual({ _tag: "Slot", slot: slotOf("é") })
  })

  it("to the owner of a shard channel, of a cursor and of a slot that it names", () => {
    expect(plan(Redis.spublish("news", "m"))).toEqual({ _tag: "Slot", slot: slotOf("news") })
    expect(plan(Redis.clusterscan("0"))).toEqual({ _tag: "Slot", slot: slotOf("0") })
    expect(plan(Redis.clusterCountkeysinslot(77))).toEqual({ _tag: "Slot", slot: 77 })
    expect(plan(Redis.clusterGetkeysinslot(16_383, 5))).toEqual({ _tag: "Slot", slot: 16_383 })
    expect(plan(Redis.clusterFlushslot(0))).toEqual({ _tag: "Slot", slot: 0 })
    expect(slotOfFirstKey([Redis.ping(), Redis.clusterCountkeysinslot(77)])).toBe(77)
    for (const slot of ["", "16384", "-1", "1.5", "x"]) {
      expect(plan(raw("CLUSTER COUNTKEYSINSLOT", { args: [slot] })), slot).toEqual({ _tag: "Any" })
    }
  })

  it("to any node, when it has no key and says nothing of one node", () => {
    for (const line of ["PING", "TIME", "ECHO x", "PUBLISH a m", "ACL WHOAMI", "EVAL x 0", "CLUSTER INFO", "COMMAND"]) {
      expect(plan(execute(line)), line).toEqual({ _tag: "Any" })
    }
    const described = Redis.mset({ a: "1", [b]: "2" })
    for (const command of [Redis.commandGetkeys(described), Redis.aclDryrun("ada", described)]) {
      expect(plan(command), command.name).toEqual({ _tag: "Any" })
    }
  })

  it("to all primaries, or to all nodes, when its policy says so", () => {
    for (const line of ["DBSIZE", "KEYS *", "FLUSHALL", "SCRIPT EXISTS x", "FUNCTION LOAD x", "RANDOMKEY"]) {
      expect(plan(execute(line)), line).toEqual({ _tag: "Fan", to: "primaries" })
    }
    for (const line of ["SLOWLOG GET", "CONFIG SET a b", "SCRIPT LOAD x", "ACL SETUSER x", "SLOWLOG LEN"]) {
      expect(plan(execute(line)), line).toEqual({ _tag: "Fan", to: "nodes" })
    }
  })

  it("nowhere, when its answer would be that of one node among many", () => {
    for (const line of [
      "SCAN 0",
      "INFO",
      "LATENCY LATEST",
      "MEMORY STATS",
      "FUNCTION STATS",
      "CLIENT LIST",
      "PUBSUB NUMSUB a",
      "BGSAVE",
      "SHUTDOWN",
      "CLUSTER FAILOVER",
      "ROLE"
    ]) {
      expect(refusal(execute(line)), line).toBe("refusedCommand")
    }
    const found = plan(Redis.info())
    expect(found._tag === "Refused" && found.error.message).toMatch(/RedisCluster\.onPrimaries/)
  })

  it("nowhere, when its keys are in several slots and it cannot be split", () => {
    for (const line of [
      "RENAME a b",
      "SINTER a b",
      "BLPOP a b 0",
      "EVAL x 2 a b",
      "MSETNX a 1 b 2",
      "COPY a b",
      "ZUNIONSTORE a 1 b",
      "SORT a STORE b",
      "JSON.MGET a b $",
      "JSON.MSET a $ 1 b $ 2",
      "XREAD STREAMS a b 0 0",
      "SSUBSCRIBE a b"
    ]) {
      expect(refusal(execute(line)), line).toBe("crossSlot")
    }
    const found = plan(Redis.rename("secret-key", b))
    expect(found._tag === "Refused" && found.error.message).toMatch(/^RENAME was not sent: .*hash tag/)
    expect(found._tag === "Refused" && found.error.message).not.toMatch(/secret-key/)
  })

  it("by one plan whether a typed constructor or its name made it", () => {
    const different = samples.flatMap((sample) => {
      const named = plan(raw(sample.name, { args: sample.args.map(({ data }) => data) }))
      return sample.name === "CLUSTER KEYSLOT" || shown(named) === shown(plan(sample)) ? [] : [sample.name]
    })
    expect(different).toEqual([])
  })
})

describe("a command over several slots is split by slot:", () => {
  it("MGET, with the order of its keys", () => {
    expect(parts(Redis.mget([a, b, "{a}2", c, "{b}2"]))).toEqual([
      ["MGET a {a}2", [0, 2]],
      ["MGET b {b}2", [1, 4]],
      ["MGET c", [3]]
    ])
    expect(parts(execute("MGET a b a"))).toEqual([
      ["MGET a a", [0, 2]],
      ["MGET b", [1]]
    ])
  })

  it("MSET, each key with its value", () => {
    expect(
      parts(
        Redis.mset([
          [a, "1"],
          [b, "b"],
          ["{a}2", "3"]
        ])
      )
    ).toEqual([
      ["MSET a 1 {a}2 3", [0, 2]],
      ["MSET b b", [1]]
    ])
    expect(parts(execute("MSET a b b a"))).toEqual([
      ["MSET a b", [0]],
      ["MSET b a", [1]]
    ])
  })

  it.each(["DEL", "UNLINK", "EXISTS", "TOUCH"])("%s", (name) => {
    expect(parts(execute(`${name} a b {a}2`))).toEqual([
      [`${name} a {a}2`, [0, 2]],
      [`${name} b`, [1]]
    ])
  })

  it("MSETEX without a condition, each part with its number of keys and all options", () => {
    expect(parts(execute("MSETEX 3 a NX b 2 {a}2 3 EX 10"))).toEqual([
      ["MSETEX 2 a NX {a}2 3 EX 10", [0, 2]],
      ["MSETEX 1 b 2 EX 10", [1]]
    ])
    const pairs: ReadonlyArray<readonly [string, string]> = [
      [a, "1"],
      [b, "2"]
    ]
    expect(parts(Redis.msetex(pairs, { ex: "10 seconds" })).map(([sent]) => sent.replace("PX 10000", "EX 10"))).toEqual(
      ["MSETEX 1 a 1 EX 10", "MSETEX 1 b 2 EX 10"]
    )
  })

  it("not MSETEX with a condition, which is all or nothing", () => {
    for (const line of ["MSETEX 2 a 1 b 2 NX", "msetex 2 a 1 b 2 EX 10 xx", "MSETEX 2 a 1 b 2 XX KEEPTTL"]) {
      expect(refusal(execute(line)), line).toBe("crossSlot")
    }
    const pairs: ReadonlyArray<readonly [string, string]> = [
      [a, "1"],
      [b, "2"]
    ]
    expect(refusal(Redis.msetex(pairs, { nx: true }))).toBe("crossSlot")
  })

  it("none of them with splitKeys: false", () => {
    for (const line of ["MGET a b", "MSET a 1 b 2", "DEL a b", "UNLINK a b", "EXISTS a b", "TOUCH a b"]) {
      expect(refusal(execute(line), false), line).toBe("crossSlot")
    }
    expect(refusal(execute("MGET {a}1 {a}2"), false)).toBe("Slot")
  })
})

describe("replies of several parts become one", () => {
  const part = (places: ReadonlyArray<number>, reply: Reply) => ({ places, reply })

  it("with the values at the places of their keys (MGET)", () => {
    expect(
      joinParts(execute("MGET x"), [part([0, 2], ["0", "2"]), part([3], [null]), part([1, 4], ["1", "4"])])
    ).toEqual(["0", "1", "2", null, "4"])
  })

  it("by their sum (DEL), and as one success (MSET)", () => {
    expect(joinParts(execute("DEL x"), [part([0], 1), part([1], 0), part([2], 5)])).toBe(6)
    expect(joinParts(execute("MSET x y"), [part([0], "OK"), part([1], "OK")])).toBe("OK")
  })
})

describe("replies of several nodes become one", () => {
  const join = (line: string, ...replies: ReadonlyArray<Reply>): Reply => joinNodes(execute(line), replies)

  it("by the response policy", () => {
    expect(join("DBSIZE", 1, 2, 3)).toBe(6)
    expect(join("DBSIZE", 1)).toBe(1)
    expect(join("WAIT 1 1", 3, 1, 2)).toBe(1)
    expect(join("WAITAOF 1 1 1", [1, 5], [0, 7])).toEqual([0, 5])
    expect(join("SCRIPT EXISTS x y z", [1, 1, 0], [1, 0, 0])).toEqual([1, 0, 0])
    expect(join("FLUSHALL", "OK", "OK")).toBe("OK")
    expect(join("SLOWLOG LEN", 4, 5)).toBe(9)
    expect(join("SCRIPT LOAD x", "sha", "sha")).toBe("sha")
    const ofPolicy = (responsePolicy: RedisCommand<unknown>["traits"]["responsePolicy"], ...replies: Array<Reply>) => {
      const command = execute("DBSIZE")
      return joinNodes(
        { ...command, name: "X", traits: { ...command.traits, responsePolicy } } as typeof command,
        replies
      )
    }
    expect(ofPolicy("agg_max", 1, 7, 3)).toBe(7)
    expect(ofPolicy("agg_min", 4, 7, 3)).toBe(3)
    expect(ofPolicy("agg_logical_or", [0, 1, 0], [0, 0, 1])).toEqual([0, 1, 1])
    expect(ofPolicy("agg_logical_and", 1, 0)).toBe(0)
    expect(ofPolicy("one_succeeded", "OK", "no")).toBe("OK")
  })

  it("one after the other, without a policy (KEYS)", () => {
    expect(join("KEYS *", ["a", "b"], [], ["c"])).toEqual(["a", "b", "c"])
    expect(join("SLOWLOG GET", [[1, "x"]], [[2, "y"]])).toEqual([
      [1, "x"],
      [2, "y"]
    ])
    expect(join("KEYS *", new MapReply(["a", 1]), new MapReply(["b", 2]))).toEqual(new MapReply(["a", 1, "b", 2]))
  })

  it("by choosing one key (RANDOMKEY), when any node has one", () => {
    expect(join("RANDOMKEY", null, "a", null)).toBe("a")
    expect(join("RANDOMKEY", null, null)).toBeNull()
    expect(["a", "b"]).toContain(join("RANDOMKEY", "a", "b"))
  })
})
