/** What is measured. */
import type { Work } from "./work.js"

export interface Row {
  readonly name: string
  readonly title: string
  readonly concurrency: number
  readonly work: Work
  /** Commands that put the data there. */
  readonly seed: ReadonlyArray<ReadonlyArray<string>>
  /** What one operation is, for the reader. */
  readonly unit: string
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
    // What is pending for a consumer is read again and again: the same reply each time.
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
    unit: "lease"
  },
  {
    name: "pool-100",
    title: "pool of 10: acquire and release, 100 at a time",
    concurrency: 100,
    work: { op: "pool", size: 10 },
    seed: [],
    unit: "lease"
  }
]
