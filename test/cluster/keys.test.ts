/**
 * The arguments that are hashed, of commands by name whose arguments have no tags: the same that typed constructors tag, and
 * the same that servers find.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { describe, expect, it } from "vitest"
import * as Codec from "../../src/Codec.js"
import { make as makeServerCommands } from "../../src/commands/server.js"
import { keyPlaces } from "../../src/internal/cluster/keys.js"
import { Redis } from "../../src/internal/command/model.js"
import { type ArgumentInput, key, type RedisCommand, make as raw, token } from "../../src/RedisCommand.js"
import { describeReal } from "../support/describeReal.js"
import { samples } from "../support/samples.js"
import { commandServers } from "../support/servers.js"
import { counted, onServer } from "../support/surface.js"

const { commandInfo, commandList } = makeServerCommands(Codec.utf8)

const untagged = ({ args, name }: RedisCommand<unknown>): RedisCommand<unknown> =>
  raw(name, { args: args.map(({ data }) => data) })

const tags = ({ args }: RedisCommand<unknown>): ReadonlyArray<number> =>
  args.flatMap(({ kind }, i) => (kind === "key" ? [i] : []))

const placesOf = (name: string, ...args: ReadonlyArray<ArgumentInput>): ReadonlyArray<number> =>
  keyPlaces(raw(name, { args }))

describe("the arguments that are hashed", () => {
  it("are those that the typed constructor tags, when a command by name has no tags", () => {
    const different = samples.flatMap((sample) => {
      // Shard channels and the cursor of CLUSTERSCAN are hashed, and are no keys. The argument of KEYSLOT is not hashed.
      if (sample.traits.shardChannels !== undefined || /^CLUSTER(?:SCAN| KEYSLOT)$/.test(sample.name)) {
        return []
      }
      const found = keyPlaces(untagged(sample))
      return JSON.stringify(found) === JSON.stringify(tags(sample))
        ? []
        : [`${sample.name} ${sample.args.map(({ data }) => data).join(" ")}: ${found} and not ${tags(sample)}`]
    })
    expect(different).toEqual([])
    expect(samples.length).toBeGreaterThan(400)
  })

  it("are the tagged ones alone, when a command by name has tags", () => {
    expect(placesOf("SET", "a", key("b"), "c")).toEqual([1])
    expect(placesOf("MODULE.COMMAND", token("x"), key("a"), "v", key("b"))).toEqual([1, 3])
    expect(placesOf("PING", key("a"))).toEqual([0])
  })

  it("are shard channels, which are hashed like keys", () => {
    expect(placesOf("SPUBLISH", "channel", "message")).toEqual([0])
    expect(placesOf("SSUBSCRIBE", "a", "b")).toEqual([0, 1])
    expect(placesOf("PUBLISH", "channel", "message")).toEqual([])
  })

  it("are the first argument of a command that is not known", () => {
    expect(placesOf("MODULE.COMMAND", "a", "b")).toEqual([0])
    expect(placesOf("MODULE.COMMAND")).toEqual([])
  })

  it("are found in what no server accepts, without a failure", () => {
    expect(placesOf("EVAL", "return 1")).toEqual([])
    expect(placesOf("EVAL", "return 1", "many", "a")).toEqual([])
    expect(placesOf("EVAL", "return 1", "-1", "a")).toEqual([])
    expect(placesOf("EVAL", "return 1", "9".repeat(300), "a")).toEqual([2])
    expect(placesOf("XREAD", "STREAMS")).toEqual([])
    expect(placesOf("XREAD", "COUNT")).toEqual([])
    expect(placesOf("MIGRATE", "host")).toEqual([])
    expect(placesOf("SORT", "a", "STORE")).toEqual([0])
    expect(placesOf("MSET", "a")).toEqual([0])
    expect(placesOf("BLPOP", "0")).toEqual([])
    expect(placesOf("OBJECT", "ENCODING")).toEqual([])
  })
})

/** Calls whose keys cannot be found by their places alone, most with a word that could be mistaken for an option. */
const calls: ReadonlyArray<ReadonlyArray<string>> = [
  ...`
  XREAD STREAMS a 0 ~ xread count 2 block 1 streams a b 0 0 ~ XREADGROUP GROUP streams streams STREAMS a b > >
  XREADGROUP GROUP g c COUNT 1 NOACK STREAMS STREAMS > ~ SORT a STORE b ~ SORT a DESC ALPHA LIMIT 0 1 STORE b
  SORT a BY store GET store GET # store b ~ SORT_RO a BY store ~ SORT store ~ GEORADIUS a 1 1 1 km STORE b
  GEORADIUS store 1 1 1 km COUNT 1 ASC storedist b ~ GEORADIUSBYMEMBER a store 1 km WITHDIST STORE b
  GEORADIUSBYMEMBER_RO a store 1 km ~ GEOSEARCHSTORE a b FROMLONLAT 1 1 BYRADIUS 1 km STOREDIST ~ MIGRATE h 1 a 0 9
  MIGRATE h 1 "" 0 9 KEYS a b ~ MIGRATE h 1 "" 0 9 COPY REPLACE AUTH keys KEYS a b ~ EVAL s 0 a ~ FCALL f 2 a b c
  MIGRATE h 1 "" 0 9 AUTH2 keys keys keys a b ~ ZUNIONSTORE a 2 b c WEIGHTS 1 2 ~ ZDIFF 1 a WITHSCORES
  MSETEX 2 a 1 b 2 NX ~ BLMPOP 0 2 a b LEFT ~ ZMPOP 1 a MIN COUNT 2 ~ SINTERCARD 2 a b LIMIT 1 ~ BITOP AND a b c
  COPY a b DB 1 ~ LCS a b IDX ~ OBJECT ENCODING a ~ object freq a ~ MEMORY USAGE a SAMPLES 1 ~ XINFO STREAM a FULL
  XGROUP CREATE a g 0 MKSTREAM ~ XINFO CONSUMERS a g ~ SET a 1 EX 1 GET ~ MSET a 1 b 2 ~ PFMERGE a b c ~ WATCH a b
  PFDEBUG ENCODING a ~ RESTORE-ASKING a 0 v ~ LMOVE a b LEFT LEFT ~ BLMOVE a b LEFT LEFT 0 ~ ZRANGESTORE a b 0 1
  `
    .trim()
    .split(/~|\n/)
    .map((call) =>
      call
        .trim()
        .split(" ")
        .map((word) => (word === '""' ? "" : word))
    )
]

/** Arguments of several counts for a command, with a number of keys where it has one. */
const attempts = (name: string, arity: number): ReadonlyArray<RedisCommand<unknown>> => {
  const least = Math.abs(arity) - name.split(" ").length
  const { numkeys } = raw(name).traits
  return (arity > 0 ? [0] : [0, 1, 2, 3, 4, 5]).flatMap((more) => {
    const words = Array.from({ length: least + more }, (_, i) => `w${i}`)
    return numkeys === undefined
      ? [raw(name, { args: words })]
      : [1, 2]
          .filter((count) => count + numkeys < words.length)
          .map((count) => raw(name, { args: words.map((word, i) => (i === numkeys ? String(count) : word)) }))
  })
}

/** What a server answers when it finds no keys; Redis 7.0 of a command without arguments says the second. */
const noKeys = /The command has no key arguments|wrong number of arguments for 'command\|getkeys'/

/** What a server answers when it does not understand the arguments. */
const notUnderstood = /Invalid (?:command|arguments|number of arguments) specified/

describeReal((installed) => {
  it("are those that the server finds", async () => {
    const compare = Effect.gen(function* () {
      const redis = yield* Redis
      const names = counted(yield* commandList())
      const infos = yield* commandInfo(names.map((name) => name.toLowerCase().replace(" ", "|")) as [string])
      const commands = names.flatMap((name, i) => {
        const arity = Option.flatMap(infos[i] ?? Option.none(), ({ arity }) => arity)
        return Option.isSome(arity) ? attempts(name, arity.value) : []
      })
      commands.push(...calls.map(([name = "", ...args]) => raw(name, { args })))
      const { exits } = yield* redis.sendAll(
        commands.map(({ args, name }) =>
          raw("COMMAND GETKEYS", { args: [...name.split(" "), ...args.map(({ data }) => data)] })
        ),
        { atomic: false, deadline: undefined }
      )
      const different: Array<string> = []
      const understood = new Set<string>()
      for (const [i, command] of commands.entries()) {
        const exit = exits[i]
        const answer = exit?._tag === "Success" ? exit.value : String(exit?.cause)
        if (typeof answer === "string" && notUnderstood.test(answer)) {
          continue
        }
        understood.add(command.name)
        // Shard channels and the cursor of CLUSTERSCAN are hashed, and are no keys.
        const isHashed = command.traits.shardChannels !== undefined || command.name === "CLUSTERSCAN"
        const ours = isHashed ? [] : keyPlaces(command).map((place) => command.args[place]?.data)
        const theirs = typeof answer === "string" && noKeys.test(answer) ? [] : answer
        if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
          const words = [command.name, ...command.args.map(({ data }) => data)]
          different.push(`${words.join(" ")}: ${ours} and not ${theirs}`)
        }
      }
      return { different, missing: names.filter((name) => !understood.has(name)) }
    })
    const { different, missing } = await Effect.runPromise(onServer(installed, {}, compare))
    expect(different).toEqual([])
    expect(missing).toEqual([])
  })
}, commandServers)
