/**
 * INFO as a record.
 *
 * @see https://redis.io/docs/latest/commands/info/
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Codec } from "../Codec.js"
import type { Key } from "../internal/command/args.js"
import type * as Decode from "../internal/command/decode.js"
import * as Report from "../internal/command/report.js"

/**
 * The reply of INFO. Servers add fields with every release, so all fields are text under the server's own names.
 *
 * The records have no prototype.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerInfo<out K = string> {
  /** By section, in lower case as INFO takes them (`server`, `memory`, …), then by field. */
  readonly sections: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** The fields of all sections: `info.fields.used_memory`. */
  readonly fields: Readonly<Record<string, string>>
  /** `None` when the reply lacks the section `server`. */
  readonly product: Option.Option<"redis" | "valkey">
  /**
   * The product's own version. Valkey also reports the Redis version it is compatible with, in `fields.redis_version`.
   */
  readonly version: Option.Option<string>
  /** The databases with keys, from the section `keyspace`. */
  readonly databases: ReadonlyArray<InfoDatabase>
  /** The modules, from the section `modules`. */
  readonly modules: ReadonlyArray<Readonly<Record<string, string>>>
  /** The whole reply. */
  readonly text: K
}

/**
 * @since 0.1.0
 * @category models
 */
export interface InfoDatabase {
  readonly database: number
  /** The number of keys. */
  readonly keys: Option.Option<number>
  /** How many of the keys have an expiry. */
  readonly expires: Option.Option<number>
  /** The approximate average time to live of the keys with an expiry. */
  readonly avgTtl: Option.Option<Duration.Duration>
  /** Every field as the server wrote it. */
  readonly fields: Readonly<Record<string, string>>
}

/**
 * A section of INFO, or a word for several sections: `default`, `all` (without modules), `everything`.
 *
 * @since 0.1.0
 * @category options
 */
export type InfoSection =
  | "server"
  | "clients"
  | "memory"
  | "persistence"
  | "stats"
  | "replication"
  | "cpu"
  | "commandstats"
  | "latencystats"
  | "errorstats"
  | "modules"
  | "cluster"
  | "keyspace"
  | "sentinel"
  | "default"
  | "all"
  | "everything"
  | (string & {})

const optionalInteger = Report.optional(Report.integer)
const optionalMillis = Report.optional(Report.millis)

const database = (name: string, value: string): Array<InfoDatabase> => {
  const index = /^db(\d+)$/.exec(name)?.[1]
  if (index === undefined) {
    return []
  }
  const fields = Report.assignments(value, ",")
  return [
    {
      database: Number(index),
      keys: Report.read(optionalInteger, "keys", fields.keys),
      expires: Report.read(optionalInteger, "expires", fields.expires),
      avgTtl: Report.read(optionalMillis, "avg_ttl", fields.avg_ttl),
      fields
    }
  ]
}

/** @internal */
export const parse = (text: string): ServerInfo => {
  const sections: Record<string, Record<string, string>> = Object.create(null)
  const fields: Record<string, string> = Object.create(null)
  const databases: Array<InfoDatabase> = []
  const modules: Array<Record<string, string>> = []
  // When one section is asked for, old servers send its fields without a section header.
  let section: Record<string, string> = Object.create(null)
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) {
      const name = line.slice(1).trim().toLowerCase()
      section = sections[name] ??= Object.create(null)
      continue
    }
    const colon = line.indexOf(":")
    if (colon <= 0) {
      continue
    }
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1)
    section[name] = value
    fields[name] = value
    if (section === sections.keyspace) {
      databases.push(...database(name, value))
    } else if (section === sections.modules && name === "module") {
      modules.push(Report.assignments(value, ","))
    }
  }
  const valkey = fields.valkey_version
  const version = valkey ?? fields.redis_version
  return {
    sections,
    fields,
    product: version === undefined ? Option.none() : Option.some(valkey === undefined ? "redis" : "valkey"),
    version: Option.fromNullable(version),
    databases,
    modules,
    text
  }
}

/** @internal */
export const info = <V, K extends Key>(codec: Codec<V, K>): Decode.Decoder<ServerInfo<K>> => {
  const name = Report.name(codec)
  return (reply) => ({ ...parse(Report.text(reply)), text: name(reply) })
}
