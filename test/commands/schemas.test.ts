/**
 * Checks the raw replies of real servers, over RESP2 and RESP3, against the reply schemas of the specification. To check
 * one more command, add it to `stories`; where a server's reply does not fit the schema, add a line to `differences`.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { afterAll, describe, expect, it } from "vitest"
import * as Connection from "../../src/Connection.js"
import { run } from "../../src/internal/command/command.js"
import type { Reply } from "../../src/internal/resp/values.js"
import { describeReal } from "../support/describeReal.js"
import { replySchemas, shown, violation } from "../support/replySchema.js"
import * as Servers from "../support/servers.js"
import { listed, modes } from "../support/surface.js"

/** The data that a standalone server has before each story. */
const seed = `
SET str hello; SET str2 help; SET num 10; SETBIT bits 7 1
HSET hash f v g 2; RPUSH list a b c; SADD set a b c; SADD set2 b c d
ZADD zset 1 a 2 b 3.5 c; ZADD zset2 10 b 20 d; PFADD hll a b
GEOADD geo 13.361389 38.115556 palermo 15.087269 37.502669 catania
XADD stream 1-1 f v; XADD stream 2-1 g w; XGROUP CREATE stream group 0
XREADGROUP GROUP group ada COUNT 1 STREAMS stream >
`

/**
 * Each line is a story: commands in order, on their own connection and, standalone, on the seed alone. A reply is checked
 * when its command has a schema, except after `~`. An indented line continues the one before. `$1` is the last reply;
 * `problemsOf` has the other variables.
 */
const stories = {
  standalone: `
APPEND str x; DECR num; DECRBY num 3; INCR num; INCRBY num 5; INCRBYFLOAT num 1.5
GET str; GET missing; GETDEL str; GETDEL str; GETEX num; GETEX missing; GETRANGE str2 0 1; GETSET num 2; GETSET new 1
LCS str str2; LCS str str2 LEN; LCS str str2 IDX; LCS str str2 IDX WITHMATCHLEN; LCS str missing IDX
MGET str missing; MSET a 1 b 2; MSETNX a 1 c 2; MSETNX d 1; PSETEX a 1000 1; SETEX a 10 1; SETNX a 1; SETNX e 1
SET str v; SET str v NX; SET str v GET; SET none v NX GET; SET str v XX EX 10
SETRANGE str 2 xx; STRLEN str; STRLEN missing; SUBSTR str 0 1

BITCOUNT bits; BITCOUNT missing; BITFIELD bits GET u8 0 SET u8 0 1; BITFIELD bits OVERFLOW FAIL INCRBY u2 0 9
BITFIELD_RO bits GET u8 0; BITOP AND out bits str; BITPOS bits 1; BITPOS missing 1; GETBIT bits 7; SETBIT bits 1 1
PFADD hll c; PFADD hll c; PFCOUNT hll; PFMERGE out hll

HEXISTS hash f; HEXISTS hash z; HGET hash f; HGET hash z; HGETALL hash; HGETALL missing; HDEL hash f z
HINCRBY hash g 2; HINCRBYFLOAT hash g 0.5; HKEYS hash; HLEN hash; HMGET hash g missing; HMSET hash h 1
HRANDFIELD hash; HRANDFIELD missing; HRANDFIELD hash 2; HRANDFIELD hash 2 WITHVALUES; HRANDFIELD missing 2
HSCAN hash 0; HSET hash i 1; HSETNX hash i 1; HSETNX hash j 1; HSTRLEN hash f; HVALS hash

BLMOVE list list2 LEFT RIGHT 0.01; BLMOVE missing list2 LEFT RIGHT 0.01; BRPOPLPUSH list list2 1
BRPOPLPUSH missing list2 0.01
BLMPOP 0.01 1 list LEFT COUNT 2; BLMPOP 0.01 1 missing LEFT; BLPOP list 0.01; BLPOP missing 0.01
BRPOP list 0.01; BRPOP missing 0.01; LINDEX list 0; LINDEX list 9; LINSERT list BEFORE c x; LINSERT list BEFORE z x
LINSERT missing BEFORE a b; LLEN list; LMOVE list list2 LEFT LEFT; LMPOP 1 list LEFT; LMPOP 1 missing LEFT
LMOVE missing list2 LEFT LEFT; RPOPLPUSH list list2; RPOPLPUSH missing list2
LPOP list; LPOP list 2; LPOP missing; LPOP missing 2
RPOP list; RPOP list 2; RPOP missing; RPOP missing 1
LPOS list b; LPOS list z; LPOS list a COUNT 0; LPOS list z COUNT 0; LPUSH list z; LPUSHX list z; LPUSHX missing z
LRANGE list 0 -1; LREM list 1 a; LSET list 0 q; LTRIM list 0 1; RPUSH list r; RPUSHX list r; RPUSHX missing r

SADD set q a; SCARD set; SDIFF set set2; SDIFFSTORE out set set2; SINTER set set2; SINTERCARD 2 set set2
SINTERSTORE out set set2; SISMEMBER set a; SISMEMBER set z; SMEMBERS set; SMEMBERS missing; SMISMEMBER set a z
SMOVE set set2 a; SMOVE set set2 zz; SPOP set; SPOP set 2; SPOP missing; SPOP missing 2
SRANDMEMBER set2; SRANDMEMBER set2 -5; SRANDMEMBER missing; SRANDMEMBER missing 2; SREM set2 b; SSCAN set2 0
SUNION set set2; SUNIONSTORE out set set2

BZMPOP 0.01 1 zset MIN COUNT 2; BZMPOP 0.01 1 missing MIN; BZPOPMAX zset 0.01; BZPOPMAX missing 0.01
BZPOPMIN zset 0.01; BZPOPMIN missing 0.01
ZADD zset 4 d; ZADD zset INCR 1 a; ZADD zset NX INCR 1 a; ZCARD zset; ZCOUNT zset -inf +inf; ZINCRBY zset 1.5 a
ZDIFF 2 zset zset2; ZDIFF 2 zset zset2 WITHSCORES; ZDIFFSTORE out 2 zset zset2
ZINTER 2 zset zset2; ZINTER 2 zset zset2 WITHSCORES; ZINTERCARD 2 zset zset2; ZINTERSTORE out 2 zset zset2
ZLEXCOUNT zset - +; ZMPOP 1 zset MIN COUNT 2; ZMPOP 1 missing MIN; ZMSCORE zset2 b z
ZPOPMAX zset; ZPOPMAX zset2 2; ZPOPMAX missing
ZPOPMIN zset; ZPOPMIN zset2 2; ZPOPMIN missing
ZRANDMEMBER zset; ZRANDMEMBER missing; ZRANDMEMBER zset 2; ZRANDMEMBER zset 2 WITHSCORES; ZRANDMEMBER missing 2
ZRANGE zset 0 -1; ZRANGE zset 0 -1 WITHSCORES; ZRANGEBYLEX zset - +; ZRANGEBYSCORE zset 1 2
ZRANGEBYSCORE zset 1 2 WITHSCORES; ZRANGESTORE out zset 0 1; ZRANK zset a; ZRANK zset z; ZRANK zset c WITHSCORE
ZREVRANK zset a; ZREVRANK zset z; ZREVRANK zset c WITHSCORE; ZREVRANK zset z WITHSCORE
ZREVRANGE zset 0 -1; ZREVRANGE zset 0 -1 WITHSCORES; ZREVRANGEBYLEX zset + -; ZREVRANGEBYSCORE zset 2 1
  ZREVRANGEBYSCORE zset 2 1 WITHSCORES; ZSCAN zset 0; ZREM zset a; ZREMRANGEBYRANK zset 0 0
  ZREMRANGEBYSCORE zset 2 2; ZREMRANGEBYLEX zset - +
ZSCORE zset a; ZSCORE zset z; ZADD infinite inf a -inf b; ZSCORE infinite a; ZSCORE infinite b
ZUNION 2 zset zset2; ZUNION 2 zset zset2 WITHSCORES; ZUNIONSTORE out 2 zset zset2

GEOADD geo 2.35 48.85 paris; GEODIST geo palermo catania; GEODIST geo palermo nowhere km
GEOHASH geo palermo catania; GEOHASH geo nowhere; GEOPOS geo palermo nowhere
GEORADIUS geo 15 37 200 km; GEORADIUS geo 15 37 200 km WITHDIST WITHCOORD WITHHASH; GEORADIUS geo 15 37 9 km STORE out
GEORADIUS_RO geo 15 37 200 km WITHDIST; GEORADIUSBYMEMBER geo palermo 200 km
GEORADIUSBYMEMBER geo palermo 200 km WITHCOORD; GEORADIUSBYMEMBER_RO geo palermo 200 km WITHHASH
GEOSEARCH geo FROMMEMBER palermo BYRADIUS 200 km; GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 9 km
GEOSEARCH geo FROMLONLAT 15 37 BYBOX 400 400 km WITHDIST WITHHASH WITHCOORD
GEOSEARCHSTORE out geo FROMLONLAT 15 37 BYRADIUS 200 km

XADD stream * f v; XADD missing NOMKSTREAM * f v; XLEN stream; XDEL stream 1-1; XRANGE stream - +; XTRIM stream MAXLEN 0
XAUTOCLAIM stream group bob 0 0; XAUTOCLAIM stream group bob 0 0 JUSTID
XCLAIM stream group bob 0 1-1; XCLAIM stream group bob 0 1-1 JUSTID
XGROUP CREATE stream other $; XGROUP CREATECONSUMER stream other bob; XGROUP CREATECONSUMER stream other bob
  XGROUP DELCONSUMER stream other bob; XGROUP SETID stream other 0; XGROUP DESTROY stream other
  XGROUP DESTROY stream other
XINFO CONSUMERS stream group; XINFO GROUPS stream; XINFO STREAM stream; XINFO STREAM stream FULL; ~ XTRIM stream MAXLEN 0
  XINFO GROUPS stream; XINFO STREAM stream; XINFO STREAM stream FULL
XPENDING stream group; XPENDING stream group - + 10; XACK stream group 1-1; XPENDING stream group
XRANGE stream - +; XREVRANGE stream + - COUNT 1; XREAD STREAMS stream 0; XREAD STREAMS stream 9; XSETID stream 9-9
XREADGROUP GROUP group bob STREAMS stream >; XREADGROUP GROUP group bob STREAMS stream >
  XREADGROUP GROUP group ada STREAMS stream 0; ~ XTRIM stream MAXLEN 0; XREADGROUP GROUP group ada STREAMS stream 0

COPY str copy; COPY str copy; DEL str missing; EXISTS num num missing; TOUCH num; UNLINK num; DUMP missing
DUMP str; RESTORE copy 0 $1; MIGRATE $host $port missing 0 1000
EXPIRE str 100; EXPIRE missing 100; TTL str; TTL missing; TTL num; PTTL str; PTTL missing; EXPIRETIME str
  EXPIRETIME num; EXPIRETIME missing; PERSIST str; PERSIST str; EXPIREAT str 4102444800; PEXPIREAT str 4102444800000
  PEXPIRETIME str; PEXPIRETIME num; PEXPIRE str 1000
KEYS *; RANDOMKEY; SCAN 0; SCAN 0 COUNT 1; ~ FLUSHALL; RANDOMKEY; KEYS *; SCAN 0
MOVE str 1; MOVE missing 1; RENAME num other; RENAMENX other str2; RENAMENX other new
OBJECT ENCODING str; OBJECT ENCODING missing; OBJECT IDLETIME str; OBJECT REFCOUNT str; OBJECT REFCOUNT missing
~ CONFIG SET maxmemory-policy allkeys-lfu; ~ SET fresh v; OBJECT FREQ fresh; ~ CONFIG SET maxmemory-policy noeviction
SORT list ALPHA; SORT list BY nosort GET missing*; SORT list ALPHA STORE out; SORT_RO list ALPHA; TYPE str; TYPE missing
WAIT 0 10; WAITAOF 0 0 10

MULTI; DISCARD; MULTI; ~ SET a 1; EXEC; WATCH str; UNWATCH
WATCH str; ~ SET str other; MULTI; ~ GET str; EXEC
PUBLISH news hello; SPUBLISH news hello; PUBSUB CHANNELS; PUBSUB NUMPAT; PUBSUB NUMSUB news; PUBSUB SHARDCHANNELS
  PUBSUB SHARDNUMSUB news
FUNCTION LOAD $library; FUNCTION LIST; FUNCTION LIST WITHCODE; FUNCTION STATS; FUNCTION DELETE mine; FUNCTION LIST
~ FUNCTION LOAD $library; FUNCTION DUMP; FUNCTION RESTORE $1 REPLACE; FUNCTION FLUSH
SCRIPT LOAD $script; SCRIPT EXISTS $1 nothing; SCRIPT FLUSH; SCRIPT DEBUG NO; ~ SCRIPT LOAD $script; SCRIPT SHOW $1

ECHO hello; PING; PING hello; SELECT 1; RESET
QUIT
CLIENT TRACKINGINFO; CLIENT GETREDIR; CLIENT TRACKING ON OPTIN; CLIENT CACHING YES; CLIENT TRACKINGINFO; CLIENT GETREDIR
CLIENT CAPA redirect; CLIENT GETNAME; CLIENT SETNAME ada; CLIENT GETNAME; CLIENT ID; CLIENT INFO; CLIENT LIST
CLIENT KILL ID 123456789; CLIENT NO-EVICT ON; CLIENT NO-TOUCH ON; CLIENT PAUSE 1; CLIENT UNPAUSE
CLIENT SETINFO LIB-NAME mine; CLIENT UNBLOCK 123456789; HELLO; AUTH default anything

ACL CAT; ACL CAT hash; ACL DRYRUN default GET str; ACL GENPASS; ACL GETUSER default; ACL GETUSER nobody; ACL LIST
ACL SETUSER eve on >pass ~eve:* +get (+set ~two:*); ACL GETUSER eve; ACL DRYRUN eve SET a b; ACL USERS; ACL WHOAMI
  ~ AUTH eve wrong; ACL LOG; ACL LOG RESET; ACL DELUSER eve
COMMAND COUNT; COMMAND DOCS get; COMMAND DOCS xinfo; COMMAND GETKEYS GET a; COMMAND GETKEYSANDFLAGS SET a b
COMMAND INFO get nothing; COMMAND LIST; COMMAND LIST FILTERBY ACLCAT hash
CONFIG GET maxmemory*; CONFIG RESETSTAT; CONFIG SET maxmemory 0; CONFIG REWRITE; DBSIZE; INFO; INFO memory; LASTSAVE
FLUSHDB ASYNC; FLUSHALL; SWAPDB 0 1; TIME; ROLE; REPLICAOF NO ONE; SLAVEOF NO ONE; LOLWUT; SAVE
BGSAVE SCHEDULE; BGREWRITEAOF
~ CONFIG SET latency-monitor-threshold 1; ~ DEBUG SLEEP 0.005; LATENCY LATEST; LATENCY HISTORY command
  LATENCY GRAPH command; LATENCY DOCTOR; LATENCY HISTOGRAM get set; LATENCY RESET; LATENCY LATEST
MEMORY DOCTOR; MEMORY MALLOC-STATS; MEMORY PURGE; MEMORY STATS; MEMORY USAGE str; MEMORY USAGE missing; MODULE LIST
~ CONFIG SET slowlog-log-slower-than 0; ~ GET str; SLOWLOG GET; SLOWLOG LEN; SLOWLOG RESET
`,
  cluster: `
CLUSTER ADDSLOTS 1 2 3; CLUSTER ADDSLOTSRANGE 10 20; CLUSTER COUNTKEYSINSLOT 1; CLUSTER GETKEYSINSLOT 1 10
  CLUSTER DELSLOTS 1; CLUSTER DELSLOTSRANGE 10 12; CLUSTER SLOTS; CLUSTER SHARDS; CLUSTER NODES; CLUSTER INFO
  CLUSTER SLOT-STATS SLOTSRANGE 0 20; CLUSTER SETSLOT 3 STABLE; CLUSTER FLUSHSLOTS; CLUSTER SLOTS
CLUSTER MYSHARDID; CLUSTER KEYSLOT a; CLUSTER LINKS; CLUSTER BUMPEPOCH; CLUSTER SAVECONFIG; CLUSTER MEET $host $port
CLUSTER MYID; CLUSTER REPLICAS $1; ~ CLUSTER MYID; CLUSTER SLAVES $1; ~ CLUSTER MYID; CLUSTER COUNT-FAILURE-REPORTS $1
ASKING; READONLY; READWRITE; ~ CLUSTER RESET HARD; CLUSTER SET-CONFIG-EPOCH 5; CLUSTER RESET
`,
  sentinel: `
SENTINEL MASTERS; SENTINEL MASTER mine; SENTINEL PRIMARIES; SENTINEL PRIMARY mine; SENTINEL MYID; SENTINEL CKQUORUM mine
SENTINEL REPLICAS mine; SENTINEL SLAVES mine; SENTINEL SENTINELS mine; SENTINEL PENDING-SCRIPTS; SENTINEL DEBUG
SENTINEL GET-MASTER-ADDR-BY-NAME mine; SENTINEL GET-PRIMARY-ADDR-BY-NAME mine; SENTINEL INFO-CACHE mine
SENTINEL IS-MASTER-DOWN-BY-ADDR $host $port 0 *; SENTINEL IS-PRIMARY-DOWN-BY-ADDR $host $port 0 *
SENTINEL CONFIG GET *; SENTINEL CONFIG SET resolve-hostnames no; SENTINEL FLUSHCONFIG; SENTINEL SET mine quorum 1
SENTINEL MONITOR other $host $port 1; SENTINEL REMOVE other; SENTINEL SIMULATE-FAILURE HELP; SENTINEL RESET other*
PING; ROLE; INFO
`
} satisfies Record<keyof typeof modes, string>

const library =
  "#!lua name=mine\nredis.register_function{function_name='one', callback=function() return 1 end, flags={'no-writes'}}"
const script = "return 1"

interface Difference {
  /** Names of commands, or whole commands as the stories write them. */
  readonly of: ReadonlyArray<string>
  readonly on?: ReadonlyArray<string>
  readonly protocol?: 2 | 3
  /** How the servers' replies differ from the schema. */
  readonly why: string
}

/** The known differences. A line that applies to no reply fails the test, as does a difference that is not listed. */
const differences: ReadonlyArray<Difference> = [
  // RESP2. Flat arrays in the place of maps and text in the place of numbers are accepted and need no line.
  { of: ["ZPOPMAX zset2 2", "ZPOPMIN zset2 2"], protocol: 2, why: "members and scores are flat, not pairs" },
  { of: ["XREAD", "XREADGROUP"], protocol: 2, why: "streams and their entries are pairs in an array, not a flat map" },
  { of: ["HELLO"], protocol: 2, why: "`proto` is 2; the schema knows only 3" },

  // Nil where the schema allows none.
  { of: ["LMOVE missing list2 LEFT LEFT"], why: "nil when there is no list" },
  { of: ["GEOHASH geo nowhere"], why: "nil for a missing member" },
  { of: ["OBJECT REFCOUNT missing"], why: "nil for a missing key" },
  { of: ["XPENDING stream group"], why: "nothing pending: both ids and the consumers are nil" },

  // Properties that the schema, which allows no others, does not list.
  { of: ["FUNCTION LIST"], why: "functions have a `description`" },
  { of: ["COMMAND DOCS"], why: "commands have a `summary`" },
  { of: ["MEMORY STATS"], on: ["redis-7.0"], why: "`overhead.hashtable.slot-to-keys` of a database" },
  { of: ["MEMORY STATS"], on: ["redis-8.0", "redis-8.6"], why: "`replica.fullsync.buffer` and more" },
  { of: ["XINFO STREAM"], on: ["redis-8.6"], why: "what XADD's `IDMP` keeps" },
  { of: ["MEMORY STATS"], on: ["valkey-9.1"], why: "`replicas.repl.buffer`, `cluster.slot_import` and more" },
  { of: ["ACL GETUSER"], on: ["valkey-9.1"], why: "`databases`" },
  { of: ["CLUSTER SHARDS"], on: ["valkey-9.1"], why: "`id` of the shard" },

  // Differences of one version.
  { of: ["LATENCY LATEST"], on: ["valkey-9.1"], why: "six items: the sum and the number of events, too" },
  {
    of: ["ZRANK zset c WITHSCORE", "ZREVRANK zset c WITHSCORE", "ZREVRANK zset z WITHSCORE"],
    on: ["redis-7.0"],
    why: "no WITHSCORE before Redis 7.2"
  }
]

interface Step {
  readonly text: string
  readonly words: ReadonlyArray<string>
  readonly checked: boolean
}

/** Parses the lines into stories. */
const read = (text: string): ReadonlyArray<ReadonlyArray<Step>> =>
  text
    .replace(/\n {2}/g, "; ")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) =>
      line.split("; ").map((part) => {
        const text = part.replace(/^~ /, "")
        return { text, words: text.split(" "), checked: text === part }
      })
    )

const nameOf = ([first = "", second = ""]: ReadonlyArray<string>): string | undefined =>
  [`${first} ${second}`, first].find((name) => replySchemas.has(name))

const seen = { commands: new Set<string>(), servers: new Set<string>(), replies: 0 }
const applied = new Set<Difference>()

/** Runs the stories of a mode, and answers the differences that are not known. */
const problemsOf = (server: Servers.TestServer, mode: keyof typeof stories, protocol: 2 | 3) =>
  Effect.gen(function* () {
    const problems: Array<string> = []
    const primary = yield* Servers.makeServer(server)
    const subject =
      mode === "standalone"
        ? yield* Servers.makeServer(server, { config: { "enable-debug-command": "yes" } })
        : yield* Servers.makeServer(
            server,
            mode === "sentinel" ? { mode: { monitor: { mine: primary } } } : modes[mode]
          )
    const { host, port } = subject
    const connect = Connection.make({ host, port, protocol, expect: "node", encoding: "bytes" })
    const has = new Set(yield* Effect.scoped(Effect.flatMap(connect, ({ redis }) => run(listed, redis))))
    let last: Reply = null
    const given: Record<string, () => Reply> = {
      $1: () => last,
      $host: () => primary.host,
      $port: () => String(primary.port),
      $library: () => library,
      $script: () => script
    }
    const judge = ({ text }: Step, name: string, reply: Reply, failed?: string): void => {
      const problem = failed ?? violation(replySchemas.get(name) ?? {}, reply, protocol)
      seen.commands.add(name)
      seen.servers.add(server.name)
      seen.replies++
      if (problem === undefined) {
        return
      }
      const known = differences.find(
        ({ of, on, protocol: over }) =>
          (of.includes(text) || of.includes(name)) &&
          (on ?? [server.name]).includes(server.name) &&
          (over ?? protocol) === protocol
      )
      if (known === undefined) {
        problems.push(`${text}: ${problem}, in ${shown(reply).slice(0, 300)}`)
      } else {
        applied.add(known)
      }
    }
    for (const story of read(stories[mode])) {
      const connection = yield* connect
      const send = ([name = "", ...args]: ReadonlyArray<string>) =>
        Effect.exit(connection.execute(name, ...args.map((arg) => (given[arg]?.() ?? arg) as string | Uint8Array)))
      if (mode === "standalone") {
        yield* send(["FLUSHALL"])
        yield* Effect.forEach(read(seed).flat(), ({ words }) => send(words))
      }
      for (const step of story) {
        const name = nameOf(step.words)
        if (step.checked && name !== undefined && !has.has(name.toLowerCase().replace(" ", "|"))) {
          continue
        }
        const exit = yield* send(step.words)
        last = Exit.isSuccess(exit) ? exit.value : null
        if (step.checked && name !== undefined) {
          judge(step, name, last, Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : undefined)
        }
      }
      yield* connection.close
    }
    return problems
  })

describe("reply schemas", { timeout: 120_000 }, () => {
  it("exist for every command that the stories check", () => {
    const steps = Object.values(stories).flatMap(read).flat()
    expect(steps.filter(({ checked, words }) => checked && nameOf(words) === undefined)).toEqual([])
  })

  describeReal((server) => {
    for (const mode of Object.keys(stories) as Array<keyof typeof stories>) {
      for (const protocol of [2, 3] as const) {
        it(`fit the server's replies, ${mode}, RESP${protocol}`, async () => {
          expect(await Effect.runPromise(Effect.scoped(problemsOf(server, mode, protocol)))).toEqual([])
        })
      }
    }
  }, Servers.commandServers)

  it("differ from the replies in every listed way, and in no other", () => {
    if (Servers.expected.every((name) => name === "redis-6.0" || seen.servers.has(name))) {
      expect(differences.filter((difference) => !applied.has(difference))).toEqual([])
      expect(seen.commands.size).toBeGreaterThan(300)
    }
  })

  afterAll(() => {
    if (seen.replies > 0) {
      console.log(
        `reply schemas: ${seen.commands.size} of the ${replySchemas.size} commands that have one checked on ` +
          `${seen.servers.size} servers, by ${seen.replies} replies; known differences: ${differences.length}`
      )
    }
  })
})
