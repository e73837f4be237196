/**
 * The RESP values for which JavaScript has no type of its own. `Resp` re-exports them with their constructors and
 * guards.
 *
 * A process may hold two copies of this package: its ES modules beside its CommonJS, or one that was loaded again. The
 * parser of one copy then makes the replies that decoders of the other read, so whatever reads replies of others uses the
 * guards. `instanceof` is for the rooms that only see what their own parser made: engine, request and connection.
 */

/** What kind of value it is, for every copy of this package. */
const kindId: unique symbol = Symbol.for("effect-redis-client/Resp/kind")

type Kind = "map" | "set" | "error" | "verbatim" | "push" | "attribute" | "unreadable"

const isKind = (u: unknown, expected: Kind): boolean =>
  typeof u === "object" && u !== null && (u as { readonly [kindId]?: Kind })[kindId] === expected

/**
 * A reply: what a server sends in response to one command.
 *
 * | RESP | here |
 * |---|---|
 * | simple string, bulk string | `string`; a bulk string is a `Uint8Array` when bytes were asked for, or when it is not UTF-8 |
 * | integer | `number`, or `bigint` beyond 2^53 - 1 |
 * | double | `number` |
 * | big number | `bigint` |
 * | boolean | `boolean` |
 * | null, null bulk string, null array | `null` |
 * | array | `ReadonlyArray<Reply>` |
 * | map | {@link MapReply} |
 * | set | {@link SetReply} |
 * | error, bulk error | {@link ErrorReply} |
 * | verbatim string | {@link VerbatimString} |
 */
export type Reply =
  | string
  | Uint8Array
  | number
  | bigint
  | boolean
  | null
  | ReadonlyArray<Reply>
  | MapReply
  | SetReply
  | ErrorReply
  | VerbatimString
  | Unreadable

/** What a server sends over a connection: replies, pushes and attributes. */
export type Frame = Reply | Push | Attribute

/** A RESP3 map, as a list of its keys and values in turn. Keys may repeat and need not be text. */
export class MapReply {
  constructor(readonly items: ReadonlyArray<Reply>) {}

  get [kindId](): Kind {
    return "map"
  }

  get size(): number {
    return this.items.length / 2
  }

  get entries(): ReadonlyArray<readonly [key: Reply, value: Reply]> {
    const entries: Array<readonly [Reply, Reply]> = []
    for (let i = 0; i < this.items.length; i += 2) {
      entries.push([this.items[i] as Reply, this.items[i + 1] as Reply])
    }
    return entries
  }
}

/** Whether a value is a RESP3 map, also one of another copy of this package. */
export const isMapReply = (u: unknown): u is MapReply => isKind(u, "map")

/** A RESP3 set, in the order the server sent it. */
export class SetReply {
  constructor(readonly items: ReadonlyArray<Reply>) {}

  get [kindId](): Kind {
    return "set"
  }
}

/** Whether a value is a RESP3 set, also one of another copy of this package. */
export const isSetReply = (u: unknown): u is SetReply => isKind(u, "set")

/** A RESP error as the server sent it. It becomes a `ReplyError` when a command fails with it. */
export class ErrorReply {
  constructor(readonly message: string) {}

  get [kindId](): Kind {
    return "error"
  }

  /** The error code: the first word when it is in capitals, as in `WRONGTYPE Operation against …`; otherwise `ERR`. */
  get code(): string {
    return /^([A-Z][A-Z0-9_-]*)(?: |$)/.exec(this.message)?.[1] ?? "ERR"
  }
}

/** Whether a value is an error as the server sent it, also one of another copy of this package. */
export const isErrorReply = (u: unknown): u is ErrorReply => isKind(u, "error")

/** A RESP3 verbatim string: text with a format of three letters, `txt` or `mkd`. */
export class VerbatimString {
  constructor(
    readonly format: string,
    readonly value: string | Uint8Array
  ) {}

  get [kindId](): Kind {
    return "verbatim"
  }
}

/** Whether a value is a RESP3 verbatim string, also one of another copy of this package. */
export const isVerbatimString = (u: unknown): u is VerbatimString => isKind(u, "verbatim")

/** A RESP3 push: a message that the server sends by itself, never the reply to a command. */
export class Push {
  constructor(readonly items: ReadonlyArray<Reply>) {}

  get [kindId](): Kind {
    return "push"
  }

  /** The kind of push, such as `message` or `invalidate`. */
  get kind(): string {
    const kind = this.items[0]
    return typeof kind === "string" ? kind : kind instanceof Uint8Array ? new TextDecoder().decode(kind) : ""
  }
}

/** Whether a value is a RESP3 push, also one of another copy of this package. */
export const isPush = (u: unknown): u is Push => isKind(u, "push")

/** RESP3 attributes: additional data about the value that follows. */
export class Attribute {
  constructor(readonly items: ReadonlyArray<Reply>) {}

  get [kindId](): Kind {
    return "attribute"
  }
}

/** Whether a value is RESP3 attributes, also one of another copy of this package. */
export const isAttribute = (u: unknown): u is Attribute => isKind(u, "attribute")

/** A well-framed value whose text does not fit its type. Decoding it fails; the connection stays usable. */
export class Unreadable {
  constructor(
    readonly type: "double" | "big number",
    readonly text: string
  ) {}

  get [kindId](): Kind {
    return "unreadable"
  }
}

/** Whether a value is a value that is well-framed, and whose text does not fit its type, also one of another copy of this package. */
export const isUnreadable = (u: unknown): u is Unreadable => isKind(u, "unreadable")
