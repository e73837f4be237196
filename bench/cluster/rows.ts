/** What is measured in rounds. */
import type { Row } from "../rows.js"
import type { ClusterWork } from "../work.js"

export interface ClusterRow extends Row {
  readonly work: ClusterWork
}

const row = (
  name: string,
  title: string,
  does: ClusterWork["does"],
  unit: string,
  concurrency = 1,
  count = 1
): ClusterRow => ({ name, title, concurrency, work: { op: "cluster", does, count }, seed: [], unit })

const concurrencies = [1, 16, 100, 1000]

export const clusterRows: ReadonlyArray<ClusterRow> = [
  ...concurrencies.map((at) => row(`get-${at}`, `GET of 64 B, random keys, ${at} at a time`, "get", "GET", at)),
  ...concurrencies.map((at) => row(`set-${at}`, `SET of 64 B, random keys, ${at} at a time`, "set", "SET", at)),
  row("mget-100", "MGET of 100 random keys, 4 at a time", "mget", "MGET", 4, 100),
  row("pipeline-100", "pipeline of 100 GETs of random keys, 4 at a time", "pipeline", "pipeline", 4, 100),
  row("connect", "connect, first reply, close", "connect", "client")
]
