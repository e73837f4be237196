/** What is measured. */
import type { ClusterWork, Work } from "./work.js"

export interface Row {
  readonly name: string
  readonly title: string
  readonly concurrency: number
  readonly work: Work | ClusterWork
  /** Commands that put the data there. */
  readonly seed: ReadonlyArray<ReadonlyArray<string>>
  /** What one operation is, for the reader. */
  readonly unit: string
  /** Messages, and their bytes, of one operation: where a codec is measured by itself. */
  readonly messages?: { readonly count: number; readonly bytes: number }
  /** Who takes part, when it is not everybody. */
  readonly takers?: ReadonlyArray<string>
}

const letters = "abcdefghijklmnopqrstuvwxyz0123456789"

export const text = (length: number): string => letters.repeat(Math.ceil(length / letters.length)).slice(0, length)

export const sizeName = (bytes: number): string =>
  bytes >= 1024 * 1024
    ? `${bytes / (1024 * 1024)} MB`
    : bytes >= 1024 && bytes % 1024 === 0
      ? `${bytes / 1024} KB`
      : `${bytes} B`

export const getRow = (name: string, size: number, concurrency: number): Row => {
  const key = `bench:value:${size}`
  return {
    name,
    title: `GET of ${sizeName(size)}, ${concurrency} at a time`,
    concurrency,
    work: { op: "get", key },
    seed: [["SET", key, text(size)]],
    unit: "GET"
  }
}

const setRow = (concurrency: number): Row => ({
  name: `set-${concurrency}`,
  title: `SET of 64 B, ${concurrency} at a time`,
  concurrency,
  work: { op: "set", key: "bench:set", value: text(64) },
  seed: [],
  unit: "SET"
})

const manyKey = (i: number): string => `bench:many:${i % 100}`

/** A hundred keys in turn, where more are asked for: the server's memory is not what is measured. */
const keys = (count: number): readonly [string, ...Array<string>] => [
  manyKey(0),
  ...Array.from({ length: count - 1 }, (_, i) => manyKey(i + 1))
]

const many = keys(100).map((key) => ["SET", key, text(64)])

export const pipelineRow = (name: string, length: number): Row => ({
  name,
  title: `pipeline of ${length} GETs of 64 B`,
  concurrency: 1,
  work: { op: "pipeline", keys: keys(length) },
  seed: many,
  unit: "pipeline"
})

const codecs = ["us", "node-redis", "ioredis", "iovalkey"]

const bulk = (length: number): string => `$${length}\r\n${text(length)}\r\n`

const decodeRow = (name: string, title: string, reply: string): Row => {
  // A quarter of a megabyte in the socket's chunks, which end wherever they do.
  const length = Buffer.byteLength(reply)
  const count = Math.max(1, Math.round((256 * 1024) / length))
  return {
    name: `decode-${name}`,
    title: `decode alone: ${title}`,
    concurrency: 1,
    work: { op: "decode", reply, count },
    seed: [],
    unit: "chunks",
    messages: { count, bytes: count * length },
    takers: codecs
  }
}

const entry = (i: number): string =>
  `*2\r\n$15\r\n1700000000000-${i % 10}\r\n*4\r\n$2\r\nid\r\n$1\r\n${i % 10}\r\n$4\r\ntext\r\n${bulk(20)}`

const several = (count: number, one: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => one(i)).join("")

const decodeRows = [
  decodeRow("ok", "+OK", "+OK\r\n"),
  decodeRow("integer", "an integer of 4 digits", ":1234\r\n"),
  decodeRow("error", "an error", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
  decodeRow("null", "nil of RESP2", "$-1\r\n"),
  decodeRow("3", "a bulk string of 3 B", bulk(3)),
  decodeRow("64", "a bulk string of 64 B", bulk(64)),
  decodeRow("utf8", "a bulk string of 64 B that is not ASCII", `$64\r\n${"ü".repeat(32)}\r\n`),
  decodeRow("1kb", "a bulk string of 1 KB", bulk(1024)),
  decodeRow("16kb", "a bulk string of 16 KB", bulk(16 * 1024)),
  decodeRow("1mb", "a bulk string of 1 MB", bulk(1024 * 1024)),
  decodeRow("array-10", "an array of 10 bulk strings of 16 B", `*10\r\n${bulk(16).repeat(10)}`),
  decodeRow("array-1000", "an array of 1000 bulk strings of 16 B", `*1000\r\n${bulk(16).repeat(1000)}`),
  decodeRow("integers-1000", "an array of 1000 integers", `*1000\r\n${several(1000, (i) => `:${i}\r\n`)}`),
  decodeRow("map-100", "a map of 100 fields", `%100\r\n${several(100, (i) => bulk(5 + (i % 3)) + bulk(20))}`),
  decodeRow("doubles-100", "an array of 100 doubles", `*100\r\n${several(100, (i) => `,${i}.25\r\n`)}`),
  decodeRow(
    "doubles-17",
    "an array of 100 doubles of 17 digits",
    `*100\r\n${several(100, (i) => `,${Math.sqrt(i + 2)}\r\n`)}`
  ),
  decodeRow(
    "booleans-100",
    "an array of 100 booleans",
    `*100\r\n${several(100, (i) => `#${i % 2 === 0 ? "t" : "f"}\r\n`)}`
  ),
  decodeRow(
    "big-numbers-10",
    "an array of 10 big numbers",
    `*10\r\n${several(10, (i) => `(349285660987654332${i}9876\r\n`)}`
  ),
  decodeRow("verbatim", "a verbatim string of 64 B", `=68\r\ntxt:${text(64)}\r\n`),
  decodeRow("set-100", "a set of 100 bulk strings of 16 B", `~100\r\n${bulk(16).repeat(100)}`),
  decodeRow(
    "nested",
    "arrays in arrays, three deep, of 8 bulk strings of 3 B",
    `*2\r\n${`*2\r\n${`*2\r\n${bulk(3).repeat(2)}`.repeat(2)}`.repeat(2)}`
  ),
  decodeRow(
    "text-1kb",
    "a bulk string of 1 KB with a letter in 32 that is not ASCII",
    `$1056\r\n${`${text(31)}ü`.repeat(32)}\r\n`
  ),
  decodeRow("push", "a push: a message of 64 B", `>3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n${bulk(64)}`),
  decodeRow("stream-100", "100 stream entries", `*1\r\n*2\r\n$6\r\norders\r\n*100\r\n${several(100, entry)}`)
]

const encodeRow = (name: string, title: string, command: "GET" | "SET" | "DEL", args: ReadonlyArray<string>): Row => {
  const size = args.reduce((sum, arg) => sum + Buffer.byteLength(arg) + 10, 20)
  const count = Math.max(1, Math.round((64 * 1024) / size))
  return {
    name: `encode-${name}`,
    title: `encode alone: ${title}`,
    concurrency: 1,
    work: { op: "encode", command, args, count },
    seed: [],
    unit: "batch",
    messages: { count, bytes: count * size },
    takers: codecs
  }
}

const encodeRows = [
  encodeRow("get", "GET of a key of 16 B", "GET", [text(16)]),
  encodeRow("set", "SET of 64 B", "SET", [text(16), text(64)]),
  encodeRow("set-utf8", "SET of 64 B that are not ASCII", "SET", [text(16), "ü".repeat(32)]),
  encodeRow("set-16kb", "SET of 16 KB", "SET", [text(16), text(16 * 1024)]),
  encodeRow(
    "del-100",
    "DEL of 100 keys",
    "DEL",
    Array.from({ length: 100 }, (_, i) => `bench:many:${i}`)
  )
]

const leases = ["us", "node-redis", "node-redis+effect", "node-redis-default", "node-redis-default+effect", "runtime"]

const traced = [
  "us",
  "us-tracer",
  "us-spans-off",
  "us-unsampled",
  "us-sampled",
  "us-durations",
  "node-redis",
  "node-redis-traced",
  "ioredis",
  "ioredis-traced"
]

const lockRow = (name: string, title: string, concurrency: number, names: number): Row => ({
  name: `lock-${name}`,
  title,
  concurrency,
  work: { op: "lock", names },
  seed: [],
  unit: "lock",
  takers: ["us", "us-shared", ...["redlock", "redlock-universal"].flatMap((name) => [name, `${name}+effect`])]
})

const lockRows = [
  lockRow("1", "a lock that is free: taken and given back, 1 at a time", 1, 1_000),
  lockRow("64", "locks that are free: taken and given back, 64 at a time", 64, 1_000),
  lockRow("waiters-2", "a lock is handed on: one holds it and 2 wait", 3, 1),
  lockRow("waiters-100", "a lock is handed on: one holds it and 100 wait", 101, 1)
]

const limiters = ["us", ...["rate-limiter-flexible", "upstash-ratelimit"].flatMap((name) => [name, `${name}+effect`])]

const limiterRow = (
  name: string,
  algorithm: "token-bucket" | "fixed-window" | "sliding-window",
  concurrency: number,
  denied = false
): Row => ({
  name: `limiter-${name}-${concurrency}`,
  title: `rate limit, ${algorithm}, ${denied ? "denied" : "allowed"}, 100 subjects, ${concurrency} at a time`,
  concurrency,
  work: { op: "limit", algorithm, limit: denied ? 1 : 1_000_000_000, subjects: 100 },
  // No limit of the row before is left.
  seed: [["FLUSHALL"]],
  unit: "decision",
  // A rival that has not the algorithm takes no part.
  takers: algorithm === "fixed-window" ? limiters : limiters.filter((name) => !name.startsWith("rate-limiter"))
})

const concurrencies = [1, 16, 100, 1000]

export const rows: ReadonlyArray<Row> = [
  ...concurrencies.map((concurrency) => getRow(`get-${concurrency}`, 64, concurrency)),
  ...concurrencies.map(setRow),
  pipelineRow("pipeline-100", 100),
  {
    name: "transaction-10",
    title: "transaction of 10: 5 SETs and 5 GETs of 64 B",
    concurrency: 1,
    work: { op: "transaction", pairs: Array.from({ length: 5 }, (_, i) => [`bench:tx:${i}`, text(64)] as const) },
    seed: [],
    unit: "transaction"
  },
  {
    name: "mget-100",
    title: "MGET of 100 values of 64 B",
    concurrency: 1,
    work: { op: "mget", keys: keys(100) },
    seed: many,
    unit: "MGET"
  },
  {
    name: "lrange-1000",
    title: "LRANGE of 1000 elements of 16 B",
    concurrency: 1,
    work: { op: "lrange", key: "bench:list" },
    seed: [
      ["DEL", "bench:list"],
      ["RPUSH", "bench:list", ...Array.from({ length: 1000 }, () => text(16))]
    ],
    unit: "LRANGE"
  },
  {
    name: "hgetall-100",
    title: "HGETALL of 100 fields, values of 20 B",
    concurrency: 1,
    work: { op: "hgetall", key: "bench:hash" },
    seed: [
      ["DEL", "bench:hash"],
      ["HSET", "bench:hash", ...Array.from({ length: 100 }, (_, i) => [`field:${i}`, text(20)]).flat()]
    ],
    unit: "HGETALL"
  },
  {
    name: "xreadgroup-100",
    title: "XREADGROUP of 100 entries of 2 fields",
    concurrency: 1,
    // The consumer's pending entries are read each time, so that the reply is always the same.
    work: { op: "xreadgroup", key: "bench:stream", group: "group", count: 100 },
    seed: [
      ["DEL", "bench:stream"],
      ...Array.from({ length: 100 }, (_, i) => [
        "XADD",
        "bench:stream",
        `1-${i + 1}`,
        "id",
        String(i),
        "text",
        text(20)
      ]),
      ["XGROUP", "CREATE", "bench:stream", "group", "0"],
      ["XREADGROUP", "GROUP", "group", "bench", "COUNT", "100", "STREAMS", "bench:stream", ">"]
    ],
    unit: "XREADGROUP"
  },
  getRow("get-16kb", 16 * 1024, 16),
  getRow("get-1mb", 1024 * 1024, 1),
  getRow("get-50mb", 50 * 1024 * 1024, 1),
  {
    name: "fanout",
    title: "pub/sub: 100 messages of 64 B, each to 10 listeners",
    concurrency: 1,
    work: { op: "fanout", channel: "bench:channel", listeners: 10, messages: 100, value: text(64) },
    seed: [],
    unit: "batch",
    takers: ["us", ...["node-redis", "ioredis", "iovalkey"].flatMap((name) => [name, `${name}+effect`]), "floor+effect"]
  },
  {
    name: "connect",
    title: "connect, first reply, close",
    concurrency: 1,
    work: { op: "connect" },
    seed: [],
    unit: "connection"
  },
  {
    name: "pool-1",
    title: "pool of 10: acquire and release, 1 at a time",
    concurrency: 1,
    work: { op: "pool", size: 10 },
    seed: [],
    takers: leases,
    unit: "lease"
  },
  {
    name: "pool-100",
    title: "pool of 10: acquire and release, 100 at a time",
    concurrency: 100,
    work: { op: "pool", size: 10 },
    seed: [],
    takers: leases,
    unit: "lease"
  },
  { ...getRow("traced-get-100", 64, 100), takers: traced },
  { ...pipelineRow("traced-pipeline-100", 100), takers: traced },
  ...lockRows,
  ...[1, 100].map((concurrency) => limiterRow("fixed", "fixed-window", concurrency)),
  limiterRow("denied", "fixed-window", 100, true),
  ...[1, 100].map((concurrency) => limiterRow("bucket", "token-bucket", concurrency)),
  limiterRow("sliding", "sliding-window", 100),
  ...decodeRows,
  ...encodeRows
]
