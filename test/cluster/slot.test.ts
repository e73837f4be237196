/** The hash slot of a key, beside a published package and beside real servers. */
import { createRequire } from "node:module"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { slotOf, slots } from "../../src/internal/cluster/slot.js"
import { Redis } from "../../src/internal/command/model.js"
import { make as raw } from "../../src/RedisCommand.js"
import { describeReal } from "../support/describeReal.js"
import { commandServers } from "../support/servers.js"
import { onServer } from "../support/surface.js"

const other: (key: string | Buffer) => number = createRequire(import.meta.url)("cluster-key-slot")

/** Numbers from 0 below `n`, the same in each run. */
const random = (seed: number) => {
  let state = seed
  return (n: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

/** Letters of one to four bytes in UTF-8. Braces are frequent. */
const letters = [..."{}{}{}ab09:. \0\r\n\u007fäßé\u0080ÿ€中ह\ud7ff\ue000\uffff😀𝄞"]

/** Random keys, text and bytes in turn. */
const keys = function* (count: number, seed: number): Generator<string | Uint8Array> {
  const below = random(seed)
  for (let i = 0; i < count; i++) {
    const length = below(24)
    if (i % 2 === 0) {
      let key = ""
      for (let j = 0; j < length; j++) {
        key += letters[below(letters.length)]
      }
      yield key
    } else {
      yield Uint8Array.from({ length }, () => (below(4) === 0 ? 0x7b + below(3) : below(256)))
    }
  }
}

/** Of a key with an empty hash tag and a later `}`, the other package hashes what is between the two; servers hash it all. */
const misread = (key: string): boolean => /^[^{]*\{\}[^}]*\}/.test(key)

/** CRC16 (XMODEM) bit by bit, of all of a text. */
const crc16 = (text: string): number =>
  [...new TextEncoder().encode(text)].reduce((crc, byte) => {
    let next = crc ^ (byte << 8)
    for (let bit = 0; bit < 8; bit++) {
      next = (next & 0x8000 ? (next << 1) ^ 0x1021 : next << 1) & 0xffff
    }
    return next
  }, 0)

describe("the hash slot of a key", () => {
  it("is that of a published package, for a million random keys", () => {
    const different: Array<string> = []
    let compared = 0
    for (const key of keys(1_200_000, 15)) {
      const bytes = Buffer.from(key)
      if (misread(bytes.toString("latin1"))) {
        continue
      }
      compared++
      if (slotOf(key) !== other(typeof key === "string" ? key : bytes)) {
        different.push(bytes.toString("hex"))
      }
    }
    expect(different).toEqual([])
    expect(compared).toBeGreaterThan(1_000_000)
  })

  it("is the same for text and for its bytes", () => {
    const different = [...keys(20_000, 16)].filter(
      (key) => typeof key === "string" && slotOf(key) !== slotOf(new TextEncoder().encode(key))
    )
    expect(different).toEqual([])
  })

  it("reaches every slot", () => {
    const seen = new Set<number>()
    for (let i = 0; i < 300_000; i++) {
      seen.add(slotOf(`key:${i}`))
    }
    expect(seen.size).toBe(slots)
  })

  it("is that of the hash tag: from the first brace to the next closing one, when something is between", () => {
    const same = (key: string, tag: string) => expect(slotOf(key), key).toBe(slotOf(tag))
    same("{user:1}:name", "user:1")
    same("a{user:1}b{user:2}", "user:1")
    same("{{a}}", "{a")
    same("}{a}", "a")
    same("ä{é}", "é")
    for (const key of ["{}", "{}a{b}", "a{", "a}", "}a{", "{a"]) {
      expect(slotOf(key), key).toBe(crc16(key) % slots)
    }
    expect(slotOf("{}a{b}")).not.toBe(slotOf("b"))
    expect(slotOf("123456789")).toBe(0x31c3)
    expect(slotOf("")).toBe(0)
  })
})

describeReal((installed) => {
  it("is that of CLUSTER KEYSLOT", async () => {
    const asked: ReadonlyArray<string | Uint8Array> = [
      ...keys(6_000, 17),
      ..."{} {}a} {}{a} {}a{b} a{}b}c {{}}} { } a{ }a{".split(" ")
    ]
    const answered = await Effect.runPromise(
      onServer(
        installed,
        { mode: "cluster" },
        Effect.flatMap(Redis, (redis) =>
          redis.sendAll(
            asked.map((key) => raw("CLUSTER KEYSLOT", { args: [key] })),
            { atomic: false, deadline: undefined }
          )
        )
      )
    )
    const theirs = answered.exits.map((exit) => (exit._tag === "Success" ? exit.value : exit.cause))
    const different = asked.flatMap((key, i) =>
      theirs[i] === slotOf(key) ? [] : [`${Buffer.from(key).toString("hex")}: ${theirs[i]} and not ${slotOf(key)}`]
    )
    expect(different).toEqual([])
    expect(theirs).toHaveLength(asked.length)
  })
}, commandServers)
