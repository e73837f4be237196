/**
 * All commands: every command of the specification and of every live server is typed, and our facts about it agree with
 * the servers'.
 */
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import * as Codec from "../src/Codec.js"
import { make } from "../src/commands/server.js"
import { type RedisCommand, make as raw } from "../src/RedisCommand.js"
import { samples } from "./support/samples.js"
import { commandServers } from "./support/servers.js"
import {
  counted,
  factoryNames,
  internal,
  listed,
  mechanical,
  missing,
  modes,
  onServer,
  type Spec,
  spec
} from "./support/surface.js"

const server = make(Codec.utf8)

/** The compared facts of a command, as text. */
type Facts = Readonly<Record<string, string>>

/**
 * Deliberate differences, by command and fact: the servers and the reason. The tests fail on any other difference, and on
 * an entry that no server needs any more.
 */
const deliberate: Readonly<Record<string, { readonly on: ReadonlyArray<string>; readonly why: string }>> = {
  // Our policies are those of the newest servers; 7.0 had none yet, or others.
  "ACL DELUSER requestPolicy": { on: ["redis-7.0"], why: "users are the same on all nodes" },
  "ACL DELUSER responsePolicy": { on: ["redis-7.0"], why: "users are the same on all nodes" },
  "ACL SAVE requestPolicy": { on: ["redis-7.0"], why: "each node has its own file" },
  "ACL SAVE responsePolicy": { on: ["redis-7.0"], why: "each node has its own file" },
  "ACL SETUSER requestPolicy": { on: ["redis-7.0"], why: "users are the same on all nodes" },
  "ACL SETUSER responsePolicy": { on: ["redis-7.0"], why: "users are the same on all nodes" },
  "CLIENT SETNAME requestPolicy": { on: ["redis-7.0"], why: "a client has one name on all nodes" },
  "CLIENT SETNAME responsePolicy": { on: ["redis-7.0"], why: "a client has one name on all nodes" },
  "CONFIG RESETSTAT requestPolicy": { on: ["redis-7.0"], why: "CONFIG SET goes to all nodes too" },
  "CONFIG RESETSTAT responsePolicy": { on: ["redis-7.0"], why: "CONFIG SET goes to all nodes too" },
  "CONFIG REWRITE requestPolicy": { on: ["redis-7.0"], why: "CONFIG SET goes to all nodes too" },
  "CONFIG REWRITE responsePolicy": { on: ["redis-7.0"], why: "CONFIG SET goes to all nodes too" },
  "LATENCY RESET responsePolicy": { on: ["redis-7.0"], why: "it answers a number, so they add up" },
  "MSETNX requestPolicy": { on: ["redis-7.0"], why: "it is all or nothing, so it cannot be split over shards" },
  "MSETNX responsePolicy": { on: ["redis-7.0"], why: "it is all or nothing, so it cannot be split over shards" },
  "RANDOMKEY responsePolicy": { on: ["redis-7.0"], why: "of one key for each shard, one has to be chosen" },
  "SCAN responsePolicy": { on: ["redis-7.0"], why: "each shard has cursors of its own" },

  "WAIT blocking": { on: ["redis-7.0"], why: "7.0 forgot to flag it: it blocks there as well" },

  // For the server this argument is plain text. We tag it as a key, so that a prefix is added and it stays the same key.
  "CLUSTER KEYSLOT keys": {
    on: ["redis-7.0", "redis-8.0", "redis-8.6", "valkey-9.1", "spec"],
    why: "the slot of a key is asked for"
  }
}

const own = ({ traits }: RedisCommand<unknown>): Facts => ({
  readonly: String(traits.readonly),
  blocking: String(traits.blocking !== undefined),
  requestPolicy: traits.requestPolicy,
  responsePolicy: traits.responsePolicy
})

const theirs = (flags: ReadonlyArray<string>, tips: ReadonlyArray<string>): Facts => {
  const tip = (name: string) => tips.find((tip) => tip.startsWith(`${name}:`))?.slice(name.length + 1) ?? "default"
  return {
    readonly: String(flags.includes("readonly")),
    blocking: String(flags.includes("blocking")),
    requestPolicy: tip("request_policy"),
    responsePolicy: tip("response_policy")
  }
}

/** The differences that are not {@link deliberate}. Deliberate ones are added to `seen`. */
const differences = (on: string, name: string, ours: Facts, others: Facts, seen: Set<string>): ReadonlyArray<string> =>
  Object.keys(others).flatMap((fact) => {
    if (ours[fact] === others[fact]) {
      return []
    }
    const key = `${name} ${fact}`
    const known = deliberate[key]
    if (known?.on.includes(on) === true) {
      seen.add(`${key} ${on}`)
      return []
    }
    return [`${on}: ${key} is ${ours[fact]} here and ${others[fact]} there`]
  })

/**
 * What a server says of a command beyond {@link theirs} and the table of facts lacks: that replies may differ, where the
 * number of keys stands, and that channels hash like keys.
 */
const unknownTips = (
  on: string,
  { name, traits }: RedisCommand<unknown>,
  keySpecs: ReadonlyArray<unknown>,
  tips: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const found: Array<string> = []
  const specs = JSON.stringify(keySpecs)
  if (traits.readonly && tips.includes("nondeterministic_output") && traits.nondeterministic !== "content") {
    found.push(`${on}: the content of ${name} may differ`)
  }
  if (traits.readonly && tips.includes("nondeterministic_output_order") && traits.nondeterministic === undefined) {
    found.push(`${on}: the order of ${name} may differ`)
  }
  if (/keynum"/.test(specs) !== (traits.numkeys !== undefined)) {
    found.push(`${on}: the number of keys of ${name}: ${specs}`)
  }
  if (/not_key/.test(specs) && traits.shardChannels === undefined && name !== "CLUSTERSCAN") {
    found.push(`${on}: ${name} has an argument that hashes like a key: ${specs}`)
  }
  return found
}

const keysOf = ({ args }: RedisCommand<unknown>): string =>
  args
    .filter(({ kind }) => kind === "key")
    .map(({ data }) => String(data))
    .sort()
    .join(" ")

describe("the surface", () => {
  it("has a name for every command of the specification", async () => {
    expect(Object.keys(spec)).toHaveLength(444)
    expect(missing(Object.keys(spec), await factoryNames())).toEqual([])
    expect(missing(["GET", "NO SUCH"], await factoryNames())).toEqual(["NO SUCH"])
    expect(counted(["acl", "acl|cat", "acl|help", "command", "command|count", "get", "psync"])).toEqual([
      "ACL CAT",
      "COMMAND",
      "COMMAND COUNT",
      "GET"
    ])
  })

  it("has exactly one name for each", () => {
    const names = Object.keys(spec).map(mechanical)
    expect(new Set(names).size).toBe(names.length)
    expect(["HGETALL", "CLIENT NO-EVICT", "EVAL_RO", "JSON.ARRAPPEND"].map(mechanical)).toEqual([
      "hgetall",
      "clientNoEvict",
      "evalRo",
      "jsonArrappend"
    ])
  })

  it("recognises each subcommand when it is sent by its container's name", () => {
    const subcommands = Object.keys(spec).filter((name) => name.includes(" "))
    const sent = subcommands.map((name) => {
      const [container = "", ...args] = name.toLowerCase().split(" ")
      return raw(container, { args }).name
    })
    expect(sent).toEqual(subcommands)
  })

  it("exports only commands", async () => {
    const known = new Set(Object.keys(spec).map(mechanical))
    expect([...(await factoryNames())].filter((name) => !known.has(name))).toEqual([])
  })

  it("can encode one call of each", () => {
    expect(samples.filter(({ problem }) => problem !== undefined)).toEqual([])
    expect(samples.map(({ name }) => name).sort()).toEqual(Object.keys(spec).sort())
  })

  it("has for each the facts of the specification", () => {
    const seen = new Set<string>()
    const found = samples.flatMap((sample) => {
      const { flags, tips } = spec[sample.name] as Spec
      return differences("spec", sample.name, own(sample), theirs(flags, tips ?? []), seen)
    })
    expect(found).toEqual([])
  })

  it("a command by its name has the traits of its typed constructor", () => {
    const found = samples.flatMap((sample) => {
      const traits = raw(sample.name, { args: sample.args }).traits
      // SHUTDOWN ABORT is the one variant of a command: it has a reply, and the connection goes on.
      return JSON.stringify({ ...traits, endsConnection: false }) ===
        JSON.stringify({ ...sample.traits, endsConnection: false })
        ? []
        : [sample.name]
    })
    expect(found).toEqual([])
  })

  it("tags a key in each command that has one", () => {
    const hasKey = (sample: RedisCommand<unknown>) => ({ keys: String(keysOf(sample) !== "") })
    const found = samples.flatMap((sample) =>
      differences("spec", sample.name, hasKey(sample), { keys: String(spec[sample.name]?.keys === true) }, new Set())
    )
    expect(found).toEqual([])
  })
})

describe("the surface, live", () => {
  if (commandServers.length === 0) {
    it.skip("no real server found: run `npm run servers`", () => {})
  }
  const seen = new Set<string>()
  for (const installed of commandServers) {
    for (const [mode, options] of Object.entries(modes)) {
      it(`${installed.name}, ${mode}: every command has a name`, async () => {
        const names = counted(await Effect.runPromise(onServer(installed, options, listed)))
        expect(names.length).toBeGreaterThan(mode === "sentinel" ? 20 : 300)
        expect(missing(names, await factoryNames())).toEqual([])
      })
    }

    it(`${installed.name}: traits and keys agree with the server`, async () => {
      const compare = Effect.gen(function* () {
        const infos = yield* server.commandInfo(
          samples.map(({ name }) => name.toLowerCase().replace(" ", "|")) as [string, ...Array<string>]
        )
        const found: Array<string> = []
        let compared = 0
        for (const [i, sample] of samples.entries()) {
          const info = infos[i]
          if (info === undefined || info._tag === "None") {
            continue
          }
          compared++
          const { flags, tips } = info.value
          found.push(...unknownTips(installed.name, sample, info.value.keySpecs, tips))
          const keys = yield* Effect.either(server.commandGetkeys(sample))
          found.push(
            ...differences(
              installed.name,
              sample.name,
              { ...own(sample), keys: keysOf(sample) },
              { ...theirs(flags, tips), keys: keys._tag === "Right" ? [...keys.right].sort().join(" ") : "" },
              seen
            )
          )
        }
        return { found, compared }
      })
      const { compared, found } = await Effect.runPromise(onServer(installed, {}, compare))
      expect(found).toEqual([])
      expect(compared).toBeGreaterThan(300)
    })
  }

  it.runIf(commandServers.length >= 3)("every listed difference still exists on its servers", () => {
    const stale = Object.entries(deliberate).flatMap(([key, { on }]) =>
      on.filter((server) => server !== "spec" && !seen.has(`${key} ${server}`)).map((server) => `${key} ${server}`)
    )
    expect(stale).toEqual([])
    expect(internal).toHaveLength(7)
  })
})
