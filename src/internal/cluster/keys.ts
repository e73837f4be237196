/**
 * Which arguments of a command are hashed to a slot: its keys, and shard channels. Commands of typed constructors say so
 * themselves. Commands by name (`Redis.execute`) need not, so the table here has the servers' key specifications;
 * test/cluster/keys.test.ts compares it with COMMAND GETKEYS.
 */
import type { Argument } from "../command/args.js"
import type { RedisCommand } from "../command/model.js"
import { argumentText } from "../request/blockingTime.js"

/** Places of keys among the arguments: from the first to the last (negative: from the end), each `step`-th. */
interface Range {
  readonly first: number
  readonly last: number
  readonly step: number
}

const names = (list: string): ReadonlyArray<string> => list.split(",").map((name) => name.trim())

const one: Range = { first: 0, last: 0, step: 1 }
const all: Range = { first: 0, last: -1, step: 1 }

/** Names whose first argument is not their only key. Commands with a number of keys have it in the table of facts. */
const ranges: ReadonlyMap<string, ReadonlyArray<Range>> = new Map(
  (
    [
      [[{ first: 1, last: 1, step: 1 }], "FT.ADD, FT.DEL, FT.GET, FT.SAFEADD, PFDEBUG"],
      [
        [{ first: 0, last: 1, step: 1 }],
        `BLMOVE, BLMOVEM, BRPOPLPUSH, COPY, GEOSEARCHSTORE, LCS, LMOVE, LMOVEM, RENAME, RENAMENX, RPOPLPUSH, SMOVE,
         TS.CREATERULE, TS.DELETERULE, ZRANGESTORE`
      ],
      [
        [all],
        "DEL, EXISTS, MGET, PFCOUNT, PFMERGE, SDIFF, SDIFFSTORE, SINTER, SINTERSTORE, SUNION, SUNIONSTORE, TOUCH, UNLINK, WATCH"
      ],
      [[{ first: 0, last: -2, step: 1 }], "BLPOP, BRPOP, BZPOPMAX, BZPOPMIN, JSON.MGET"],
      [[{ first: 0, last: -1, step: 3 }], "JSON.MSET, TS.MADD"],
      [[{ first: 0, last: -1, step: 2 }], "MSET, MSETNX"],
      [[{ first: 1, last: -1, step: 1 }], "BITOP"],
      [[{ first: 1, last: 1, step: 1 }], "JSON.DEBUG"]
    ] as ReadonlyArray<readonly [ReadonlyArray<Range>, string]>
  ).flatMap(([range, list]) => names(list).map((name) => [name, range] as const))
)

/** How many arguments the options of a command take, so that none of these is mistaken for the option that has keys. */
type Options = ReadonlyMap<string, number>

const storedGeo: Options = new Map([["COUNT", 1]])

/** Commands whose option STORE has another key. `from` is where its options begin. */
const stores: ReadonlyMap<string, { readonly from: number; readonly options: Options }> = new Map([
  [
    "SORT",
    {
      from: 1,
      options: new Map([
        ["BY", 1],
        ["GET", 1],
        ["LIMIT", 2]
      ])
    }
  ],
  ["GEORADIUS", { from: 5, options: storedGeo }],
  ["GEORADIUSBYMEMBER", { from: 4, options: storedGeo }]
])

const migrateOptions: Options = new Map([
  ["AUTH", 1],
  ["AUTH2", 2]
])

const readOptions: Options = new Map([
  ["BLOCK", 1],
  ["CLAIM", 1],
  ["COUNT", 1],
  ["GROUP", 2]
])

/** Commands whose first key stands before the number of the others. */
const storingFirst = new Set(names("TDIGEST.MERGE, ZDIFFSTORE, ZINTERSTORE, ZUNIONSTORE"))

/** Names without keys. Of a name that is not here the first argument is a key. */
const keyless = new Set(
  names(`
  ASKING, AUTH, BGREWRITEAOF, BGSAVE, DBSIZE, DEBUG, DISCARD, ECHO, EXEC, FAILOVER, FLUSHALL, FLUSHDB, FT.AGGREGATE,
  FT.ALIASADD, FT.ALIASDEL, FT.ALIASLIST, FT.ALIASUPDATE, FT.ALTER, FT.CREATE, FT.DICTADD, FT.DICTDEL, FT.DICTDUMP, FT.DROP,
  FT.DROPINDEX, FT.EXPLAIN, FT.EXPLAINCLI, FT.HYBRID, FT.INFO, FT.MGET, FT.PROFILE, FT.SEARCH, FT.SPELLCHECK, FT.SYNADD,
  FT.SYNDUMP, FT.SYNUPDATE, FT.TAGVALS, FT._ALIASADDIFNX, FT._ALIASDELIFX, FT._ALTERIFNX, FT._CREATEIFNX, FT._DROPIFX,
  FT._DROPINDEXIFX, FT._LIST, HELLO, INFO, KEYS, LASTSAVE, LOLWUT, MONITOR, MULTI, PFSELFTEST, PING, PSUBSCRIBE, PSYNC,
  PUBLISH, PUNSUBSCRIBE, QUIT, RANDOMKEY, READONLY, READWRITE, REPLCONF, REPLICAOF, RESET, ROLE, SAVE, SCAN,
  SEARCH.CLUSTERINFO, SEARCH.CLUSTERREFRESH, SEARCH.CLUSTERSET, SELECT, SHUTDOWN, SLAVEOF, SUBSCRIBE, SWAPDB, SYNC, TIME,
  TIMESERIES.CLUSTERSET, TIMESERIES.REFRESHCLUSTER, TRIMSLOTS, TS.MGET, TS.MRANGE, TS.MREVRANGE, TS.QUERYINDEX,
  TS.QUERYLABELS, UNSUBSCRIBE, UNWATCH, WAIT, WAITAOF`)
)

/** Subcommands with a key. All other subcommands have none. */
const keyedSubcommands = new Set(
  names(`
  HIMPORT SET, MEMORY USAGE, OBJECT ENCODING, OBJECT FREQ, OBJECT IDLETIME, OBJECT REFCOUNT, XGROUP CREATE,
  XGROUP CREATECONSUMER, XGROUP DELCONSUMER, XGROUP DESTROY, XGROUP SETID, XINFO CONSUMERS, XINFO GROUPS, XINFO STREAM`)
)

const containers = new Set(
  names(`
  ACL, BACKUP, CLIENT, CLUSTER, COMMAND, COMMANDLOG, CONFIG, FT.CONFIG, FT.CURSOR, FUNCTION, HIMPORT, HOTKEYS, LATENCY,
  MEMORY, MODULE, OBJECT, PUBSUB, SCRIPT, SENTINEL, SLOWLOG, XGROUP, XINFO`)
)

/** Commands that describe or check another command, whose keys are among their arguments but are not used. */
const ofCommands = new Set(["ACL DRYRUN", "COMMAND GETKEYS", "COMMAND GETKEYSANDFLAGS"])

/** The places of the arguments that are hashed; an empty list for a command without any. */
export const keyPlaces = (command: RedisCommand<unknown>): ReadonlyArray<number> => {
  const { args, name, traits } = command
  if (ofCommands.has(name)) {
    return []
  }
  if (traits.shardChannels !== undefined) {
    return traits.shardChannels === "first" ? [0] : args.map((_, i) => i)
  }
  const tagged: Array<number> = []
  for (let i = 0; i < args.length; i++) {
    if ((args[i] as Argument).kind === "key") {
      tagged.push(i)
    }
  }
  return tagged.length > 0 ? tagged : untagged(command)
}

const untagged = ({ args, name, traits }: RedisCommand<unknown>): ReadonlyArray<number> => {
  if (args.length === 0 || keyless.has(name)) {
    return []
  }
  const space = name.indexOf(" ")
  if (space !== -1 || containers.has(name)) {
    return keyedSubcommands.has(name) ? [0] : []
  }
  if (name === "XREAD" || name === "XREADGROUP") {
    const first = afterOption(args, 0, /^STREAMS$/, readOptions)
    return first === undefined
      ? []
      : places({ first, last: first + Math.ceil((args.length - first) / 2) - 1, step: 1 }, args.length)
  }
  if (name === "MIGRATE") {
    if (argumentText(args[2]) !== "") {
      return places({ first: 2, last: 2, step: 1 }, args.length)
    }
    const first = afterOption(args, 5, /^KEYS$/, migrateOptions)
    return first === undefined ? [] : places({ first, last: -1, step: 1 }, args.length)
  }
  const storing = stores.get(name)
  if (storing !== undefined) {
    const stored = afterOption(args, storing.from, /^STORE(?:DIST)?$/, storing.options)
    return stored === undefined ? [0] : [0, ...places({ first: stored, last: stored, step: 1 }, args.length)]
  }
  if (traits.numkeys !== undefined) {
    const first = traits.numkeys + 1
    const count = Number(argumentText(args[traits.numkeys]))
    const step = name === "MSETEX" ? 2 : 1
    const keys = count > 0 ? places({ first, last: first + (count - 1) * step, step }, args.length) : []
    return storingFirst.has(name) ? [0, ...keys] : keys
  }
  return (ranges.get(name) ?? [one]).flatMap((range) => places(range, args.length))
}

/** Where the arguments of an option begin; `undefined` when the option is not there. */
const afterOption = (
  args: ReadonlyArray<Argument>,
  from: number,
  option: RegExp,
  others: Options
): number | undefined => {
  for (let i = from; i < args.length; i++) {
    const word = argumentText(args[i])
    if (option.test(word)) {
      return i + 1
    }
    i += others.get(word) ?? 0
  }
  return undefined
}

const places = ({ first, last, step }: Range, length: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  const end = Math.min(last < 0 ? length + last : last, length - 1)
  for (let i = first; i <= end; i += step) {
    found.push(i)
  }
  return found
}
