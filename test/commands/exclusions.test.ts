/** Words that exclude each other, given together by a program that no compiler checked: the command is not sent. */
import { it } from "@effect/vitest"
import { describe } from "vitest"
import { Redis } from "../../src/Redis.js"
import type { RedisCommand } from "../../src/RedisCommand.js"
import { refuses } from "../support/commands.js"

const here = { longitude: 1, latitude: 2 }
const near = { fromlonlat: here, byradius: { radius: 1, unit: "km" } }
const untyped = Redis as unknown as {
  readonly [name: string]: (...parameters: ReadonlyArray<unknown>) => RedisCommand<unknown>
}

const cases: ReadonlyArray<
  readonly [name: string, before: ReadonlyArray<unknown>, words: Readonly<Record<string, unknown>>]
> = [
  ["geoadd", ["k", [{ ...here, member: "m" }]], { nx: true, xx: true }],
  ["georadius", ["k", here, 1, "km"], { asc: true, desc: true }],
  ["georadius", ["k", here, 1, "km"], { store: "a", storedist: "b" }],
  ["georadiusRo", ["k", here, 1, "km"], { asc: true, desc: true }],
  ["georadiusbymember", ["k", "m", 1, "km"], { store: "a", storedist: "b" }],
  ["georadiusbymemberRo", ["k", "m", 1, "km"], { asc: true, desc: true }],
  ["geosearch", ["k", near], { asc: true, desc: true }],
  ["geosearch", ["k"], { frommember: "m", fromlonlat: here }],
  ["geosearch", ["k"], { byradius: near.byradius, bybox: { width: 1, height: 1, unit: "km" } }],
  ["geosearchstore", ["to", "k", near], { asc: true, desc: true }],
  ["geosearchstore", ["to", "k"], { frommember: "m", fromlonlat: here }],
  ["vadd", ["k", [1, 2], "m"], { noquant: true, q8: true }],
  ["bitcount", ["k"], { byte: true, bit: true }],
  ["flushall", [], { async: true, sync: true }],
  ["flushdb", [], { async: true, sync: true }],
  ["shutdown", [], { nosave: true, save: true }],
  ["clusterFailover", [], { force: true, takeover: true }],
  ["clusterReset", [], { hard: true, soft: true }],
  ["hexpire", ["h", "1 minute", "f"], { nx: true, gt: true }],
  ["hpexpire", ["h", "1 minute", "f"], { gt: true, lt: true }],
  ["hexpireat", ["h", new Date(0), "f"], { nx: true, xx: true }],
  ["hpexpireat", ["h", new Date(0), "f"], { xx: true, lt: true }]
]

describe("words that exclude each other", () => {
  for (const [name, before, words] of cases) {
    const [first, second] = Object.keys(words)
    it(`${name}: ${first} and ${second}`, () => {
      refuses(
        (untyped[name] as (typeof untyped)[string])(...before, words),
        new RegExp(`${first} and ${second} exclude`)
      )
    })
  }
})
