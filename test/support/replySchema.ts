/**
 * Checks replies against reply schemas: the JSON schemas of RESP3 replies in Valkey's command definitions. The fixture has
 * one command a line.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { MapReply, type Reply, SetReply, VerbatimString } from "../../src/internal/resp/values.js"

/** The part of JSON schema that the reply schemas use. */
export interface ReplySchema {
  readonly $ref?: "#"
  readonly type?: "string" | "integer" | "number" | "null" | "array" | "object"
  readonly const?: string | number
  readonly oneOf?: ReadonlyArray<ReplySchema>
  readonly anyOf?: ReadonlyArray<ReplySchema>
  readonly pattern?: string
  readonly minimum?: number
  readonly items?: ReplySchema | ReadonlyArray<ReplySchema>
  readonly additionalItems?: ReplySchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly properties?: Readonly<Record<string, ReplySchema>>
  readonly patternProperties?: Readonly<Record<string, ReplySchema>>
  readonly additionalProperties?: boolean | ReplySchema
}

export const replySchemas: ReadonlyMap<string, ReplySchema> = new Map(
  Fs.readFileSync(Path.resolve(import.meta.dirname, "../fixtures/reply-schemas.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as [string, ReplySchema])
)

const textOf = (reply: Reply): string | undefined =>
  typeof reply === "string"
    ? reply
    : reply instanceof Uint8Array
      ? Buffer.from(reply).toString("latin1")
      : reply instanceof VerbatimString
        ? textOf(reply.value)
        : undefined

const itemsOf = (reply: Reply): ReadonlyArray<Reply> | undefined =>
  Array.isArray(reply) ? reply : reply instanceof SetReply ? reply.items : undefined

/** A reply as text, for messages. */
export const shown = (reply: Reply): string =>
  JSON.stringify(plain(reply), (_, value) => (typeof value === "bigint" ? String(value) : value))

const plain = (reply: Reply): unknown =>
  reply instanceof MapReply
    ? { map: reply.items.map(plain) }
    : reply instanceof SetReply
      ? { set: reply.items.map(plain) }
      : Array.isArray(reply)
        ? reply.map(plain)
        : (textOf(reply) ?? reply)

/**
 * The first mismatch of a reply and its place; `undefined` when it fits.
 *
 * Over RESP2 a map is a flat array and a double is text. A parsed whole number may have been an integer or a double. Of
 * `oneOf` at least one must fit: several may, because some RESP types have the same JavaScript value.
 */
export const violation = (root: ReplySchema, reply: Reply, protocol: 2 | 3): string | undefined => {
  const entriesOf = (reply: Reply): MapReply["entries"] | undefined =>
    reply instanceof MapReply
      ? reply.entries
      : protocol === 2 && Array.isArray(reply) && reply.length % 2 === 0
        ? new MapReply(reply).entries
        : undefined

  const isType = (type: NonNullable<ReplySchema["type"]>, reply: Reply): boolean => {
    switch (type) {
      case "string":
        return textOf(reply) !== undefined
      case "integer":
        return typeof reply === "bigint" || Number.isInteger(reply)
      case "number":
        return (
          typeof reply === "number" ||
          typeof reply === "bigint" ||
          (protocol === 2 && /^-?(?:inf|nan|[\d.]+(?:e[+-]?\d+)?)$/i.test(textOf(reply) ?? ""))
        )
      case "null":
        return reply === null
      case "array":
        return itemsOf(reply) !== undefined
      case "object":
        return entriesOf(reply) !== undefined
    }
  }

  const first = <A>(all: Iterable<A>, problem: (item: A) => string | undefined): string | undefined => {
    for (const item of all) {
      const found = problem(item)
      if (found !== undefined) {
        return found
      }
    }
    return undefined
  }

  const check = (schema: ReplySchema, reply: Reply, at: string): string | undefined => {
    if (schema.$ref !== undefined) {
      return check(root, reply, at)
    }
    const choices = schema.oneOf ?? schema.anyOf
    if (choices !== undefined) {
      const problems = choices.map((choice) => check(choice, reply, at))
      return problems.includes(undefined) ? undefined : `${at}: fits nothing of (${problems.join("; ")})`
    }
    if (schema.const !== undefined && (textOf(reply) ?? reply) !== schema.const) {
      return `${at}: not ${JSON.stringify(schema.const)}`
    }
    if (schema.type !== undefined && !isType(schema.type, reply)) {
      return `${at}: no ${schema.type}`
    }
    if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(textOf(reply) ?? "")) {
      return `${at}: not like ${schema.pattern}`
    }
    if (schema.minimum !== undefined && Number(reply) < schema.minimum) {
      return `${at}: less than ${schema.minimum}`
    }
    return schema.type === "array"
      ? checkItems(schema, itemsOf(reply) ?? [], at)
      : schema.type === "object"
        ? checkEntries(schema, entriesOf(reply) ?? [], at)
        : undefined
  }

  const checkItems = (schema: ReplySchema, items: ReadonlyArray<Reply>, at: string): string | undefined => {
    const { additionalItems, items: of, maxItems = Infinity, minItems = 0 } = schema
    if (items.length < minItems || items.length > maxItems) {
      return `${at}: ${items.length} items`
    }
    if (schema.uniqueItems === true && new Set(items.map(shown)).size < items.length) {
      return `${at}: an item twice`
    }
    const schemaOf = (i: number) =>
      of === undefined || !Array.isArray(of) ? (of as ReplySchema | undefined) : (of[i] ?? additionalItems)
    return first(items.entries(), ([i, item]) => check(schemaOf(i) ?? {}, item, `${at}[${i}]`))
  }

  const checkEntries = (schema: ReplySchema, entries: MapReply["entries"], at: string): string | undefined =>
    first(entries, ([name, value]) => {
      // The names in a histogram are numbers.
      const key = typeof name === "number" ? String(name) : textOf(name)
      if (key === undefined) {
        return `${at}: a name that is no text`
      }
      const pattern = Object.entries(schema.patternProperties ?? {}).find(([pattern]) => new RegExp(pattern).test(key))
      const found = schema.properties?.[key] ?? pattern?.[1] ?? schema.additionalProperties
      return found === false
        ? `${at}: no property is called ${key}`
        : check(typeof found === "object" ? found : {}, value, `${at}.${key}`)
    })

  return check(root, reply, "reply")
}
