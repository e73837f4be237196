/**
 * Commands by their name: `RedisCommand.make` and `Redis.execute`, and what the library itself sends without a typed
 * constructor. The name is normalised, so that the table of facts knows the command however it was written.
 */
import { utf8Decode } from "../resp/text.js"
import {
  isErrorReply,
  isMapReply,
  isSetReply,
  isUnreadable,
  isVerbatimString,
  MapReply,
  type Reply,
  SetReply
} from "../resp/values.js"
import { type Args, Argument, type ArgumentKind, isArgument, args as newArgs, type OneOrMany, toList } from "./args.js"
import { Command, declare, none, specOf } from "./command.js"
import * as Decode from "./decode.js"
import { isContainer } from "./facts.js"
import type { RedisCommand } from "./model.js"

/** Everything that can be an argument of a command by name. Without a tag it is a value. */
export type ArgumentInput = string | Uint8Array | number | bigint | Argument

const tagged =
  (kind: ArgumentKind) =>
  (data: string | Uint8Array): Argument =>
    new Argument(kind, data)

export const key: (data: string | Uint8Array) => Argument = tagged("key")

export const token: (data: string) => Argument = tagged("token")

export const value: (data: string | Uint8Array) => Argument = tagged("value")

/** The reply as the server sent it, verbatim strings without their hint. Text and numbers that are none fail. */
const raw =
  (text: boolean): Decode.Decoder<Reply> =>
  (reply) => {
    if (typeof reply !== "object" || reply === null) {
      return reply
    }
    if (reply instanceof Uint8Array) {
      return text ? Decode.text(reply) : reply
    }
    if (isVerbatimString(reply)) {
      return text ? Decode.text(reply) : reply.value
    }
    if (isUnreadable(reply)) {
      return Decode.mismatch("a reply that can be read", reply)
    }
    const all = (items: ReadonlyArray<Reply>): ReadonlyArray<Reply> =>
      items.map((item, i) => Decode.at(i, text ? rawTextDecoder : rawDecoder, item))
    if (isMapReply(reply)) {
      return new MapReply(all(reply.items))
    }
    if (isSetReply(reply)) {
      return new SetReply(all(reply.items))
    }
    return isErrorReply(reply) ? reply : all(reply as ReadonlyArray<Reply>)
  }

const rawDecoder = raw(false)
const rawTextDecoder = raw(true)

/** See `RedisCommand.make`. */
export const make: {
  <A>(name: string, options: MakeOptions & { readonly decode: (reply: Reply) => A }): RedisCommand<A>
  (name: string, options?: MakeOptions): RedisCommand<Reply>
} = <A>(
  name: string,
  options?: MakeOptions & { readonly decode?: ((reply: Reply) => A) | undefined }
): RedisCommand<A> => {
  const text = options?.reply !== "bytes"
  const builder = newArgs()
  const given = typeof name === "string" ? name.trim().split(/\s+/) : [""]
  let rest = options?.args === undefined ? [] : toList<ArgumentInput>(options.args)
  const container = isContainer((given[0] as string).toUpperCase())
  if (container && given.length === 1 && rest.length > 0) {
    const first = isArgument(rest[0]) ? rest[0].data : rest[0]
    // As bytes too: a subcommand decides what is refused, and is not overlooked for how it was written.
    const subcommand = first instanceof Uint8Array ? utf8Decode(first, 0, first.length) : first
    if (typeof subcommand === "string" && subcommand.length > 0) {
      given.push(subcommand)
      rest = rest.slice(1)
    }
  }
  // "SELECT 2" is SELECT with an argument, however it is written. Only the name is in capitals.
  for (const word of given.splice(container ? 2 : 1)) {
    builder.text(word)
  }
  const words = given.map((word) => word.toUpperCase())
  if (words.some((word) => !/^[A-Z0-9_.:-]+$/.test(word))) {
    builder.fail("a command's name is letters, digits, '.', '_', ':' and '-'")
    words.splice(0, words.length, "UNKNOWN")
  }
  for (const arg of rest) {
    append(builder, arg)
  }
  const decoder = options?.decode ?? (text ? rawTextDecoder : rawDecoder)
  const command = new Command<A>(specOf(words.join(" ")), builder, decoder, text, none, undefined)
  return options?.readonly === true ? declare(command, "readonly") : command
}

/** Options of a command by its name. */
export interface MakeOptions {
  /** The arguments after the name. */
  readonly args?: OneOrMany<ArgumentInput> | undefined
  /** Whether bulk strings are read as text (the default) or as bytes. */
  readonly reply?: "text" | "bytes" | undefined
  /** Whether the command changes nothing, so that it may be sent again after a disconnect. Default: false. */
  readonly readonly?: boolean | undefined
}

const append = (builder: Args, arg: ArgumentInput): void => {
  if (isArgument(arg)) {
    typeof arg.data === "string" || arg.data instanceof Uint8Array
      ? builder.add(arg)
      : builder.fail("an argument must be text or bytes")
  } else if (typeof arg === "bigint") {
    builder.integer(arg)
  } else if (typeof arg === "number") {
    Number.isInteger(arg) ? builder.integer(arg) : builder.double(arg)
  } else {
    builder.text(arg)
  }
}
