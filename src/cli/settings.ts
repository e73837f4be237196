/**
 * What is examined and how, after the words of the command line were checked.
 */
import type * as Redacted from "effect/Redacted"
import type { ConnectionOptions } from "../Connection.js"
import type { ResolvedOptions } from "../internal/connection/options.js"

/** What a finding is about, in the order of the report. */
export const checks = [
  "name",
  "tcp",
  "tls",
  "handshake",
  "server",
  "mode",
  "replication",
  "modules",
  "acl",
  "memory",
  "clients",
  "persistence",
  "clock",
  "latency"
] as const

export type Check = (typeof checks)[number]

/** What a program may do with a server, for `--for`. */
export const features = [
  "commands",
  "transactions",
  "scripts",
  "functions",
  "pubsub",
  "keyspace-events",
  "streams",
  "locks",
  "tracking",
  "cluster",
  "sentinel"
] as const

export type Feature = (typeof features)[number]

/** What was examined, without anything secret. */
export interface Target {
  /** `host:port`, or the path of a unix socket. */
  readonly address: string
  readonly tls: boolean
  /** The user that was logged in as; null for the default user. */
  readonly user: string | null
  readonly database: number
}

export interface Settings {
  readonly target: Target
  readonly options: ConnectionOptions
  readonly resolved: ResolvedOptions
  readonly features: ReadonlySet<Feature>
  /** The beginning of the program's keys and channels. */
  readonly prefix: string | undefined
  /** How long one step may take, in milliseconds. */
  readonly timeout: number
  /** How many PINGs are measured. */
  readonly pings: number
  /** Whether a warning counts like a failure. */
  readonly strict: boolean
  readonly json: boolean
  /** What must never be shown. */
  readonly secrets: ReadonlyArray<Redacted.Redacted<string>>
}
