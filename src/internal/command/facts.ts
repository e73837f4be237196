/**
 * What a client must know of a command beyond its arguments: whether it may be sent again, whether it may share a
 * connection, and where a cluster would send it.
 */

/**
 * The state a command leaves on its connection, which makes the connection unfit to be shared.
 *
 * - `database`, `transaction`, `watch`, `subscription` can be undone, and are followed as they change.
 * - `connection`: identity, protocol, tracking, name and everything else that only a new connection undoes.
 * - `silence`: replies are switched off; refused everywhere, since without replies no command can settle.
 */
export type StatefulKind = "database" | "transaction" | "watch" | "subscription" | "connection" | "silence"

/** What a client must know of a command to send it safely. */
export interface Traits {
  /** The server flags it `readonly`: it may be retried and sent to replicas. */
  readonly readonly: boolean
  /** Executing it twice is the same as once: it only tells something, or the user said so (`RedisCommand.repeatable`). */
  readonly repeatable: boolean
  /** Where the timeout of a blocking command is found: how its deadline is derived. `undefined` for the others. */
  readonly blocking: Blocking | undefined
  readonly stateful: StatefulKind | undefined
  /** To which nodes of a cluster it goes when it has no key. */
  readonly requestPolicy: RequestPolicy
  /** How the answers of several nodes become one. */
  readonly responsePolicy: ResponsePolicy
  /** The command ends the connection, and that is its success (SHUTDOWN). */
  readonly endsConnection: boolean
}

/**
 * A blocking command's timeout: the argument at `index` (negative: from the end) or the one after `token`, in `unit`.
 * With `token`, the command only blocks when it is there.
 */
export interface Blocking {
  readonly unit: "seconds" | "milliseconds"
  readonly index?: number | undefined
  readonly token?: string | undefined
}

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

const defaults: Traits = {
  readonly: false,
  repeatable: false,
  blocking: undefined,
  stateful: undefined,
  requestPolicy: "default",
  responsePolicy: "default",
  endsConnection: false
}

/** State per command: design law 7. Subcommands by their full name. */
const stateful: Readonly<Record<string, StatefulKind>> = {
  AUTH: "connection",
  HELLO: "connection",
  RESET: "connection",
  QUIT: "connection",
  MONITOR: "connection",
  SYNC: "connection",
  PSYNC: "connection",
  REPLCONF: "connection",
  READONLY: "connection",
  READWRITE: "connection",
  ASKING: "connection",
  "CLIENT TRACKING": "connection",
  "CLIENT CACHING": "connection",
  "CLIENT NO-EVICT": "connection",
  "CLIENT NO-TOUCH": "connection",
  "CLIENT SETNAME": "connection",
  "CLIENT SETINFO": "connection",
  "CLIENT CAPA": "connection",
  "CLIENT IMPORT-SOURCE": "connection",
  "SCRIPT DEBUG": "connection",
  // Fieldsets live on their connection until RESET.
  "HIMPORT PREPARE": "connection",
  "HIMPORT DISCARD": "connection",
  "HIMPORT DISCARDALL": "connection",
  "CLIENT REPLY": "silence",
  SELECT: "database",
  MULTI: "transaction",
  EXEC: "transaction",
  DISCARD: "transaction",
  WATCH: "watch",
  UNWATCH: "watch",
  SUBSCRIBE: "subscription",
  PSUBSCRIBE: "subscription",
  SSUBSCRIBE: "subscription",
  UNSUBSCRIBE: "subscription",
  PUNSUBSCRIBE: "subscription",
  SUNSUBSCRIBE: "subscription"
}

const lastSeconds: Blocking = { unit: "seconds", index: -1 }

const blocking: Readonly<Record<string, Blocking>> = {
  BLPOP: lastSeconds,
  BRPOP: lastSeconds,
  BRPOPLPUSH: lastSeconds,
  BLMOVE: lastSeconds,
  BLMOVEM: { unit: "seconds", index: 4 },
  BZPOPMIN: lastSeconds,
  BZPOPMAX: lastSeconds,
  BLMPOP: { unit: "seconds", index: 0 },
  BZMPOP: { unit: "seconds", index: 0 },
  XREAD: { unit: "milliseconds", token: "BLOCK" },
  XREADGROUP: { unit: "milliseconds", token: "BLOCK" },
  WAIT: { unit: "milliseconds", index: -1 },
  WAITAOF: { unit: "milliseconds", index: -1 }
}

/**
 * Commands that change nothing, though servers do not flag them readonly, since they are not about keys: sending them
 * twice is as good as once. Health checks are made of these.
 */
const harmless = new Set(["PING", "ECHO", "TIME", "INFO", "LASTSAVE", "CLIENT ID", "CLIENT INFO", "CLIENT LIST"])

/** The traits of a command by its name; what is given wins over what the tables know. */
export const traitsOf = (name: string, given?: Partial<Traits>): Traits => ({
  ...defaults,
  stateful: stateful[name],
  blocking: blocking[name],
  repeatable: harmless.has(name),
  endsConnection: name === "SHUTDOWN",
  ...given
})
