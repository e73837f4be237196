/**
 * The table of facts: what a client must know of each command by its name, so that it can send the command safely. Every
 * command takes its traits from here, whether it was made by a typed constructor or by its name (`Redis.execute`). No other
 * file decides by a command's name. The table is compared with the servers' COMMAND INFO in test/surface.test.ts.
 */

/**
 * What a command does to the state of its connection, for the kinds that make the connection unfit to be shared.
 *
 * - `database`, `transaction`, `watch`, `subscription`: the state can be undone, and the connection follows it.
 * - `connection`: identity, protocol, tracking, name and everything else that only a new connection undoes.
 * - `silence`: replies are switched off. Refused everywhere, because without replies no command can settle.
 */
export type StatefulKind = "database" | "transaction" | "watch" | "subscription" | "connection" | "silence"

/** The commands whose effect on their connection is followed step by step. Every other stateful command counts as a change. */
export type SessionStep =
  | "select"
  | "multi"
  | "exec"
  | "discard"
  | "watch"
  | "unwatch"
  | "reset"
  | "hello"
  | "monitor"
  | "quit"

/** What a client must know of a command to send it safely. */
export interface Traits {
  /** The server flags it `readonly`: it may be sent again after a disconnect, and to replicas. */
  readonly readonly: boolean
  /** Executing it twice is the same as once: it only reports something, or the user declared it (`RedisCommand.repeatable`). */
  readonly repeatable: boolean
  /** Where a blocking command has its timeout, from which its deadline follows. `undefined` for all others. */
  readonly blocking: Blocking | undefined
  /** The kind of state that it leaves on its connection. `undefined` when it leaves none. */
  readonly stateful: StatefulKind | undefined
  /** Which step of the connection's state it is, where the connection follows it. */
  readonly session: SessionStep | undefined
  /** To which nodes of a cluster it goes when it has no key. */
  readonly requestPolicy: RequestPolicy
  /** How the replies of several nodes become one. */
  readonly responsePolicy: ResponsePolicy
  /** The command ends the connection, and that is its success, with or without a reply (SHUTDOWN, QUIT). */
  readonly endsConnection: boolean
  /** Which argument is a cursor. A cursor other than 0 means something only to the server run that gave it. */
  readonly cursor: number | undefined
  /** Which argument is the number of keys that follow it. */
  readonly numkeys: number | undefined
  /** Channels that hash to a slot like keys: the first argument (SPUBLISH), or all (SSUBSCRIBE). */
  readonly shardChannels: "first" | "all" | undefined
  /** It runs code of the user, given as its text, its SHA1, or the name of a function. Such code can answer any error. */
  readonly script: "text" | "sha" | "function" | undefined
  /** After it the server holds none of the scripts that it held before (SCRIPT FLUSH). */
  readonly flushesScripts: boolean
  /**
   * The server says that two replies may differ although no data changed: in all of their content, or only in their order.
   * Replies of `content` must not be cached.
   */
  readonly nondeterministic: "content" | "order" | undefined
  /** It waits for the writes of its own connection (WAIT, WAITAOF), so it says nothing on another one. */
  readonly awaitsWrites: boolean
  /** What a blocking command removes from its key. The elements exist only in its reply. */
  readonly removes: Removal | undefined
  /** Its errors may quote arguments in ways that cannot be recognised. */
  readonly quotesArguments: boolean
}

/**
 * A blocking command's timeout: the argument at `index` (negative: from the end), or the argument after `token`, in `unit`.
 * With `token`, the command blocks only when the token is there. `fromNewest` says that an id of `$` means "after what is
 * there when the command arrives".
 */
export interface Blocking {
  readonly unit: "seconds" | "milliseconds"
  readonly index?: number | undefined
  readonly token?: string | undefined
  readonly fromNewest?: boolean | undefined
}

/**
 * From where a blocking command removes elements, and so how they are put back: from the `left` or `right` end of a list,
 * from the end that an argument names (`either`), or one or `many` members of a sorted set with their scores.
 */
export type Removal = "left" | "right" | "either" | "member" | "members"

/** @see https://redis.io/docs/latest/develop/reference/command-tips/ */
export type RequestPolicy = "default" | "all_nodes" | "all_shards" | "multi_shard" | "special"

/** @see https://redis.io/docs/latest/develop/reference/command-tips/ */
export type ResponsePolicy =
  | "default"
  | "one_succeeded"
  | "all_succeeded"
  | "agg_logical_and"
  | "agg_logical_or"
  | "agg_min"
  | "agg_max"
  | "agg_sum"
  | "special"

/** Names, separated by commas. A subcommand stands with its container: `CLIENT SETNAME`. */
const names = (list: string): ReadonlyArray<string> => list.split(",").map((name) => name.trim().replace(/\s+/g, " "))

const set = (list: string): ReadonlySet<string> => new Set(names(list))

/** From lists of names by fact to the fact by name. */
const table = <A>(lists: ReadonlyArray<readonly [fact: A, list: string]>): ReadonlyMap<string, A> =>
  new Map(lists.flatMap(([fact, list]) => names(list).map((name) => [name, fact] as const)))

const readonly = set(`
  ARCOUNT, ARGET, ARGETRANGE, ARGREP, ARINFO, ARLASTITEMS, ARLEN, ARMGET, ARNEXT, AROP, ARSCAN, BITCOUNT, BITFIELD_RO,
  BITPOS, CLUSTERSCAN, DBSIZE, DIGEST, DUMP, EVALSHA_RO, EVAL_RO, EXISTS, EXPIRETIME, FCALL_RO, GEODIST, GEOHASH, GEOPOS,
  GEORADIUSBYMEMBER_RO, GEORADIUS_RO, GEOSEARCH, GET, GETBIT, GETRANGE, HEXISTS, HEXPIRETIME, HGET, HGETALL, HKEYS, HLEN,
  HMGET, HPEXPIRETIME, HPTTL, HRANDFIELD, HSCAN, HSTRLEN, HTTL, HVALS, KEYS, LCS, LINDEX, LLEN, LOLWUT, LPOS, LRANGE,
  MEMORY USAGE, MGET, OBJECT ENCODING, OBJECT FREQ, OBJECT IDLETIME, OBJECT REFCOUNT, PEXPIRETIME, PFCOUNT, PTTL,
  RANDOMKEY, SCAN, SCARD, SDIFF, SDIFFCARD, SINTER, SINTERCARD, SISMEMBER, SMEMBERS, SMISMEMBER, SORT_RO, SRANDMEMBER,
  SSCAN, STRLEN, SUBSTR, SUNION, SUNIONCARD, TOUCH, TTL, TYPE, VCARD, VDIM, VEMB, VGETATTR, VINFO, VISMEMBER, VLINKS,
  VRANDMEMBER, VRANGE, VSIM, XINFO CONSUMERS, XINFO GROUPS, XINFO STREAM, XLEN, XPENDING, XRANGE, XREAD, XREVRANGE, ZCARD,
  ZCOUNT, ZDIFF, ZINTER, ZINTERCARD, ZLEXCOUNT, ZMSCORE, ZRANDMEMBER, ZRANGE, ZRANGEBYLEX, ZRANGEBYSCORE, ZRANK, ZREVRANGE,
  ZREVRANGEBYLEX, ZREVRANGEBYSCORE, ZREVRANK, ZSCAN, ZSCORE, ZUNION,

  BF.CARD, BF.EXISTS, BF.INFO, BF.MEXISTS, BF.SCANDUMP, CF.COUNT, CF.EXISTS, CF.INFO, CF.MEXISTS, CF.SCANDUMP, CMS.INFO,
  CMS.QUERY, FT.ALIASLIST, FT.CONFIG GET, FT.DICTDUMP, FT.EXPLAIN, FT.EXPLAINCLI, FT.GET, FT.INFO, FT.MGET, FT.SEARCH,
  FT.SPELLCHECK, FT.SUGGET, FT.SUGLEN, FT.SYNDUMP, FT.TAGVALS, FT._LIST, JSON.ARRINDEX, JSON.ARRLEN, JSON.GET, JSON.MGET,
  JSON.OBJKEYS, JSON.OBJLEN, JSON.RESP, JSON.STRLEN, JSON.TYPE, TDIGEST.BYRANK, TDIGEST.BYREVRANK, TDIGEST.CDF,
  TDIGEST.INFO, TDIGEST.MAX, TDIGEST.MIN, TDIGEST.QUANTILE, TDIGEST.RANK, TDIGEST.REVRANK, TDIGEST.TRIMMED_MEAN, TOPK.COUNT,
  TOPK.INFO, TOPK.LIST, TOPK.QUERY, TS.GET, TS.INFO, TS.MGET, TS.MRANGE, TS.MREVRANGE, TS.QUERYINDEX, TS.QUERYLABELS,
  TS.RANGE, TS.REVRANGE`)

/**
 * Commands that change nothing, although servers do not flag them readonly because they are not about keys: sending them
 * twice is as good as once. Health checks are made of these.
 */
const harmless = set("PING, ECHO, TIME, INFO, LASTSAVE, CLIENT ID, CLIENT INFO, CLIENT LIST")

const policies = table<readonly [RequestPolicy, ResponsePolicy]>([
  [["all_shards", "default"], "CLUSTER SLOT-STATS, HIMPORT DISCARD, HIMPORT DISCARDALL, HIMPORT PREPARE, KEYS"],
  [
    ["all_shards", "all_succeeded"],
    "FLUSHALL, FLUSHDB, FUNCTION DELETE, FUNCTION FLUSH, FUNCTION LOAD, FUNCTION RESTORE, MEMORY PURGE, PING"
  ],
  [["all_shards", "agg_sum"], "DBSIZE"],
  [["all_shards", "agg_min"], "WAIT, WAITAOF"],
  [["all_shards", "agg_logical_and"], "SCRIPT EXISTS"],
  [["all_shards", "one_succeeded"], "FUNCTION KILL, SCRIPT KILL"],
  [["all_shards", "special"], "FUNCTION STATS, INFO, MEMORY DOCTOR, MEMORY MALLOC-STATS, MEMORY STATS, RANDOMKEY"],
  [["all_nodes", "default"], "COMMANDLOG GET, SLOWLOG GET"],
  [
    ["all_nodes", "all_succeeded"],
    `ACL DELUSER, ACL SAVE, ACL SETUSER, CLIENT SETINFO, CLIENT SETNAME, COMMANDLOG RESET, CONFIG RESETSTAT,
     CONFIG REWRITE, CONFIG SET, SCRIPT FLUSH, SCRIPT LOAD, SLOWLOG RESET`
  ],
  [["all_nodes", "agg_sum"], "COMMANDLOG LEN, LATENCY RESET, SLOWLOG LEN"],
  [["all_nodes", "special"], "LATENCY DOCTOR, LATENCY GRAPH, LATENCY HISTOGRAM, LATENCY HISTORY, LATENCY LATEST"],
  [["multi_shard", "default"], "MGET"],
  [["multi_shard", "agg_sum"], "DEL, EXISTS, TOUCH, UNLINK"],
  [["multi_shard", "all_succeeded"], "MSET, MSETEX"],
  [["special", "default"], "HOTKEYS RESET, HOTKEYS START, HOTKEYS STOP"],
  [["special", "special"], "CLUSTERSCAN, HOTKEYS GET, SCAN"]
])

const unchanged: readonly [RequestPolicy, ResponsePolicy] = ["default", "default"]

/** Design law 7. HIMPORT's field sets stay on their connection until RESET. */
const stateful = table<StatefulKind>([
  [
    "connection",
    `AUTH, HELLO, RESET, QUIT, MONITOR, SYNC, PSYNC, REPLCONF, READONLY, READWRITE, ASKING, CLIENT TRACKING,
     CLIENT CACHING, CLIENT NO-EVICT, CLIENT NO-TOUCH, CLIENT SETNAME, CLIENT SETINFO, CLIENT CAPA,
     CLIENT IMPORT-SOURCE, SCRIPT DEBUG, HIMPORT PREPARE, HIMPORT DISCARD, HIMPORT DISCARDALL`
  ],
  ["silence", "CLIENT REPLY"],
  ["database", "SELECT"],
  ["transaction", "MULTI, EXEC, DISCARD"],
  ["watch", "WATCH, UNWATCH"],
  ["subscription", "SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE, UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE"]
])

const session = table<SessionStep>([
  ["select", "SELECT"],
  ["multi", "MULTI"],
  ["exec", "EXEC"],
  ["discard", "DISCARD"],
  ["watch", "WATCH"],
  ["unwatch", "UNWATCH"],
  ["reset", "RESET"],
  ["hello", "HELLO"],
  ["monitor", "MONITOR"],
  ["quit", "QUIT"]
])

const blocking = table<Blocking>([
  [{ unit: "seconds", index: -1 }, "BLPOP, BRPOP, BRPOPLPUSH, BLMOVE, BZPOPMIN, BZPOPMAX"],
  [{ unit: "seconds", index: 0 }, "BLMPOP, BZMPOP"],
  [{ unit: "seconds", index: 4 }, "BLMOVEM"],
  [{ unit: "milliseconds", token: "BLOCK", fromNewest: true }, "XREAD"],
  [{ unit: "milliseconds", token: "BLOCK" }, "XREADGROUP"],
  [{ unit: "milliseconds", index: -1 }, "WAIT, WAITAOF"]
])

const awaitsWrites = set("WAIT, WAITAOF")

const removes = table<Removal>([
  ["left", "BLPOP"],
  ["right", "BRPOP"],
  ["either", "BLMPOP"],
  ["member", "BZPOPMIN, BZPOPMAX"],
  ["members", "BZMPOP"]
])

const cursors = table<number>([
  [0, "SCAN, CLUSTERSCAN"],
  [1, "HSCAN, SSCAN, ZSCAN, BF.SCANDUMP, CF.SCANDUMP, FT.CURSOR READ"]
])

const numkeys = table<number>([
  [
    0,
    "LMPOP, MSETEX, SDIFFCARD, SINTERCARD, SUNIONCARD, TS.NRANGE, TS.NREVRANGE, ZDIFF, ZINTER, ZINTERCARD, ZMPOP, ZUNION"
  ],
  [
    1,
    `BLMPOP, BZMPOP, EVAL, EVAL_RO, EVALSHA, EVALSHA_RO, FCALL, FCALL_RO, TDIGEST.MERGE, ZDIFFSTORE, ZINTERSTORE,
     ZUNIONSTORE`
  ]
])

const shardChannels = table<"first" | "all">([
  ["first", "SPUBLISH"],
  ["all", "SSUBSCRIBE, SUNSUBSCRIBE"]
])

const scripts = table<"text" | "sha" | "function">([
  ["text", "EVAL, EVAL_RO"],
  ["sha", "EVALSHA, EVALSHA_RO"],
  ["function", "FCALL, FCALL_RO"]
])

/** Tips of the servers (`nondeterministic_output`, `dont_cache`) for commands that are readonly. */
const nondeterministic = table<"content" | "order">([
  [
    "content",
    `BF.INFO, BF.SCANDUMP, CF.INFO, CF.SCANDUMP, CLUSTERSCAN, CMS.INFO, DUMP, FT.ALIASLIST, FT.CONFIG GET, FT.DICTDUMP,
     FT.EXPLAIN, FT.EXPLAINCLI, FT.GET, FT.INFO, FT.MGET, FT.SEARCH, FT.SPELLCHECK, FT.SYNDUMP, FT.TAGVALS, FT._LIST,
     HPTTL, HRANDFIELD, HSCAN, HTTL, OBJECT ENCODING, OBJECT FREQ, OBJECT IDLETIME, OBJECT REFCOUNT, PTTL, RANDOMKEY,
     SCAN, SRANDMEMBER, SSCAN, TDIGEST.INFO, TS.INFO, TS.MGET, TS.MRANGE, TS.MREVRANGE, TS.QUERYINDEX, TS.QUERYLABELS,
     TTL, XINFO CONSUMERS, XPENDING, ZRANDMEMBER, ZSCAN`
  ],
  ["order", "HGETALL, HKEYS, HVALS, KEYS, SDIFF, SINTER, SMEMBERS, SUNION"]
])

/** Containers whose errors quote rules, settings or code; a name alone counts with all of its subcommands. */
const quoting = set(
  "ACL, AUTH, HELLO, CONFIG, EVAL, EVALSHA, EVAL_RO, EVALSHA_RO, FCALL, FCALL_RO, FUNCTION, SCRIPT, MIGRATE, CLIENT"
)

/** Commands whose first argument is a subcommand that decides everything else. */
const containers = set(`
  ACL, BACKUP, CLIENT, CLUSTER, COMMAND, COMMANDLOG, CONFIG, FT.CONFIG, FT.CURSOR, FUNCTION, HIMPORT, HOTKEYS, LATENCY,
  MEMORY, MODULE, OBJECT, PUBSUB, SCRIPT, SENTINEL, SLOWLOG, XGROUP, XINFO`)

/** Whether the first argument of a command is part of its name. `name` is in capitals. */
export const isContainer = (name: string): boolean => containers.has(name)

/** The traits of a command by its name in capitals. What is given wins over the table. */
export const traitsOf = (name: string, given?: Partial<Traits>): Traits => {
  const [requestPolicy, responsePolicy] = policies.get(name) ?? unchanged
  const end = name.indexOf(" ")
  return {
    readonly: readonly.has(name),
    repeatable: harmless.has(name),
    blocking: blocking.get(name),
    stateful: stateful.get(name),
    session: session.get(name),
    requestPolicy,
    responsePolicy,
    endsConnection: name === "SHUTDOWN" || name === "QUIT",
    cursor: cursors.get(name),
    numkeys: numkeys.get(name),
    shardChannels: shardChannels.get(name),
    script: scripts.get(name),
    flushesScripts: name === "SCRIPT FLUSH",
    nondeterministic: nondeterministic.get(name),
    awaitsWrites: awaitsWrites.has(name),
    removes: removes.get(name),
    quotesArguments: quoting.has(end === -1 ? name : name.slice(0, end)),
    ...given
  }
}
