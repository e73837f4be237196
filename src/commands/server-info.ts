/**
 * INFO as a record.
 *
 * @see https://redis.io/docs/latest/commands/info/
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Decode from "../internal/command/decode.js"
import * as Server from "../internal/command/serverDecode.js"

/**
 * The reply of INFO. Servers add fields with every release, so all fields are text under the server's own names.
 *
 * The records have no prototype.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerInfo {
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
  /** The whole reply as text. */
  readonly text: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface InfoDatabase {
  readonly database: number
  /** The number of keys. */
  readonly keys: number
  /** How many of the keys have an expiry. */
  readonly expires: number
  /** The approximate average time to live of the keys with an expiry. */
  readonly avgTtl: Duration.Duration
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

const database = (name: string, value: string): Array<InfoDatabase> => {
  const index = /^db(\d+)$/.exec(name)?.[1]
  if (index === undefined) {
    return []
  }
  const fields = Server.assignments(value, ",")
  const number = (field: string) => Option.getOrElse(Server.fieldInteger(fields, field), () => 0)
  return [
    {
      database: Number(index),
      keys: number("keys"),
      expires: number("expires"),
      avgTtl: Duration.millis(number("avg_ttl"))
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
      modules.push(Server.assignments(value, ","))
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
export const info: Decode.Decoder<ServerInfo> = (reply) => parse(Decode.text(reply))
