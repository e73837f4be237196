/** Words that exclude each other, given together by a program that no compiler checked: the command is not sent. */
import { it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import { describe } from "vitest"
import { Redis } from "../../src/Redis.js"
import type { RedisCommand } from "../../src/RedisCommand.js"
import { refuses } from "../support/commands.js"

const here = { longitude: 1, latitude: 2 }
const secret = Redacted.make("p")
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
  ["hpexpireat", ["h", new Date(0), "f"], { xx: true, lt: true }],
  ["hgetex", ["h", "f"], { ex: "1 second", px: "1 second" }],
  ["hgetex", ["h", "f"], { pxat: new Date(1), persist: true }],
  ["hsetex", ["h", { f: "v" }], { nx: true, xx: true }],
  ["hsetex", ["h", { f: "v" }], { fnx: true, fxx: true }],
  ["hsetex", ["h", { f: "v" }], { ex: "1 second", keepttl: true }],
  ["clientPause", ["1 second"], { write: true, all: true }],
  ["clientSetinfo", [], { libName: "a", libVer: "1" }],
  ["clientTracking", ["on"], { bcast: true, optin: true }],
  ["clientTracking", ["on"], { optin: true, optout: true }],
  ["clientUnblock", [1], { timeout: true, error: true }],
  ["sort", ["k"], { asc: true, desc: true }],
  ["sortRo", ["k"], { asc: true, desc: true }],
  ["restore", ["k", new Uint8Array(1)], { ttl: "1 second", absttl: new Date(1) }],
  ["restore", ["k", new Uint8Array(1)], { idletime: "1 second", freq: 1 }],
  ["migrate", ["k", "h", 1, 0, "1 second"], { auth: secret, auth2: { username: "u", password: secret } }],
  ["aclLog", [], { count: 1, reset: true }],
  ["sentinelConfig", [], { get: "*", set: { a: "b" } }],
  ["clusterMigration", [], { cancel: { all: true }, status: { all: true } }],
  ["clusterSetslot", [1], { importing: "a", stable: true }],
  ["clusterSlotStats", [], { slotsrange: { start: 0, end: 1 }, orderby: "key-count" }],
  ["clusterSyncslots", [], { snapshotEof: true, streamEof: true }],
  ["bgsave", [], { schedule: true, cancel: true }],
  ["functionRestore", [new Uint8Array(1)], { append: true, replace: true }],
  ["increx", ["k"], { persist: true, enx: true }],
  ["geosearch", ["k"], { fromlonlat: here, bypolygon: [here, here, here] }],
  ["argrep", ["k", 0, 1], { exact: "a", match: "b" }]
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
