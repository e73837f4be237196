/**
 * What contestants are asked to do, and how a process that does it reports. Shared by the process that measures and the
 * processes that are measured.
 */

export interface Address {
  readonly host: string
  readonly port: number
}

/** Where a contestant finds its server and its client. */
export interface Place extends Address {
  /** The nodes of a cluster, where there is one. */
  readonly nodes?: ReadonlyArray<Address> | undefined
  /** The folder in whose `node_modules` the rivals are. */
  readonly home: string
}

/** One operation of a row, in a form every client can be told. */
export type Work =
  | { readonly op: "get"; readonly key: string }
  | { readonly op: "set"; readonly key: string; readonly value: string }
  | { readonly op: "pipeline"; readonly keys: ReadonlyArray<string> }
  | { readonly op: "transaction"; readonly pairs: ReadonlyArray<readonly [key: string, value: string]> }
  | { readonly op: "mget"; readonly keys: readonly [string, ...Array<string>] }
  | { readonly op: "lrange"; readonly key: string }
  | { readonly op: "hgetall"; readonly key: string }
  | { readonly op: "xreadgroup"; readonly key: string; readonly group: string; readonly count: number }
  | { readonly op: "connect" }
  | { readonly op: "pool"; readonly size: number }
  | {
      readonly op: "fanout"
      readonly channel: string
      readonly listeners: number
      readonly messages: number
      readonly value: string
    }
  /** Takes a lock and gives it back; the names in turn. */
  | { readonly op: "lock"; readonly names: number }
  | {
      readonly op: "limit"
      readonly algorithm: "token-bucket" | "fixed-window" | "sliding-window"
      readonly limit: number
      readonly subjects: number
    }
  | { readonly op: "decode"; readonly reply: string; readonly count: number }
  | {
      readonly op: "encode"
      readonly command: "GET" | "SET" | "DEL"
      readonly args: ReadonlyArray<string>
      readonly count: number
    }

/** One operation of a row of `--cluster`. Its keys are of all hash slots, in an order as if by chance. */
export interface ClusterWork {
  readonly op: "cluster"
  readonly does: "get" | "set" | "mget" | "pipeline" | "connect"
  /** How many keys it has. */
  readonly count: number
}

/** What a client sends for it, as words, where it is always the same: for the floors. */
export const commandsOf = (work: Work): ReadonlyArray<ReadonlyArray<string>> => {
  switch (work.op) {
    case "get":
      return [["GET", work.key]]
    case "set":
      return [["SET", work.key, work.value]]
    case "pipeline":
      return work.keys.map((key) => ["GET", key])
    case "transaction":
      return [
        ["MULTI"],
        ...work.pairs.flatMap(([key, value]) => [
          ["SET", key, value],
          ["GET", key]
        ]),
        ["EXEC"]
      ]
    case "mget":
      return [["MGET", ...work.keys]]
    case "lrange":
      return [["LRANGE", work.key, "0", "-1"]]
    case "hgetall":
      return [["HGETALL", work.key]]
    case "xreadgroup":
      return [["XREADGROUP", "GROUP", work.group, "bench", "COUNT", String(work.count), "STREAMS", work.key, "0"]]
    case "connect":
      return [["PING"]]
    case "fanout":
    case "limit":
    case "pool":
    case "decode":
    case "encode":
    case "lock":
      return []
  }
}

/** What a process measures, made from a contestant and a row. */
export interface Runner {
  /** Does it once and answers what came back, so that it can be looked at. */
  readonly once: () => Promise<unknown>
  /** Does it so many times, by so many at a time. With `samples`, writes down how long each took, in milliseconds. */
  readonly run: (concurrency: number, meter: Meter, samples: Float64Array | undefined) => Promise<void>
  readonly close: () => Promise<void>
  /** The client of a cluster: to send single commands, and to open another one like it. */
  readonly cluster?: ClusterClient
}

/** A client of a cluster, or of one server beside it. */
export interface ClusterClient {
  readonly get: (key: string) => Promise<unknown>
  readonly another: () => Promise<ClusterClient>
  readonly close: () => Promise<void>
}

/**
 * Counts operations. The first few (one of each fiber or loop) come before the clock starts: starting a thousand fibers
 * is not what is measured.
 */
export class Meter {
  private done = 0
  private startedAt = 0
  private cpu: NodeJS.CpuUsage | undefined
  readonly total: number

  constructor(
    readonly lead: number,
    readonly counted: number
  ) {
    this.total = lead + counted
  }

  /** How many operations this one of so many does. */
  share(index: number, of: number): number {
    return Math.floor(this.total / of) + (index < this.total % of ? 1 : 0)
  }

  readonly tick = (): void => {
    if (++this.done === this.lead) {
      this.cpu = process.cpuUsage()
      this.startedAt = performance.now()
    }
  }

  read(): { readonly millis: number; readonly cpuMillis: number } {
    const millis = performance.now() - this.startedAt
    const cpu = process.cpuUsage(this.cpu)
    if (this.done !== this.total) {
      throw new Error(`${this.done} operations were done instead of ${this.total}`)
    }
    return { millis, cpuMillis: (cpu.user + cpu.system) / 1000 }
  }
}

/** What a process is started with. */
export interface Assignment {
  readonly contestant: string
  readonly concurrency: number
  readonly work: Work | ClusterWork
  readonly host: string
  readonly port: number
  readonly nodes?: ReadonlyArray<Address> | undefined
  /** Where the rivals are installed. */
  readonly home: string
  /** The folder for a CPU profile of the rounds. */
  readonly profile?: string | undefined
}

export type Request =
  | { readonly type: "prepare"; readonly assignment: Assignment }
  | { readonly type: "warm"; readonly millis: number }
  | {
      readonly type: "round"
      readonly millis: number
      /** How many times as long a round may be for the sake of those that do many at once. */
      readonly atMost: number
      readonly latency: boolean
      readonly delay: boolean
    }
  /** What so many commands cost that wait for a server which does not answer; needs `--expose-gc`. */
  | { readonly type: "memory"; readonly commands: number }
  /** What is left after so many operations; needs `--expose-gc`. */
  | { readonly type: "soak"; readonly operations: number }
  /** What so many more clients hold, each connected to all nodes; needs `--expose-gc`. */
  | { readonly type: "clients"; readonly clients: number; readonly keys: ReadonlyArray<string> }
  /** GETs without end, by so many loops for each group of keys. */
  | { readonly type: "traffic"; readonly groups: ReadonlyArray<TrafficGroup> }
  /** From here on results of the traffic count under this name. */
  | { readonly type: "phase"; readonly phase: string }
  /** The traffic ends and is reported. */
  | { readonly type: "halt" }
  | { readonly type: "stop" }

export interface TrafficGroup {
  readonly name: string
  readonly keys: ReadonlyArray<string>
  readonly loops: number
}

export interface Round {
  readonly operations: number
  readonly millis: number
  readonly cpuMillis: number
  /** Milliseconds; only when asked for. */
  readonly p50?: number
  readonly p99?: number
  /** The event loop's delay, in milliseconds; only when asked for. */
  readonly delayP50?: number
  readonly delayP99?: number
  readonly delayMax?: number
}

export type Answer =
  | { readonly type: "prepared" }
  | { readonly type: "warmed" }
  | { readonly type: "flowing" }
  | { readonly type: "round"; readonly round: Round }
  | { readonly type: "figures"; readonly figures: Readonly<Record<string, number>> }
  | { readonly type: "failed"; readonly message: string }
