/**
 * Encoding and decoding by themselves, beside the rivals' own: what turns a call into what the socket is given, and the
 * socket's chunks into values. Bulk strings become text, as each client does by default.
 */
import * as path from "node:path"
import { Redis } from "effect-redis-client"
import type * as Command from "effect-redis-client/internal/command/command"
import type * as Encoder from "effect-redis-client/internal/resp/encoder"
import type * as ParserModule from "effect-redis-client/internal/resp/parser"
import type { RedisCommand } from "effect-redis-client/RedisCommand"
import { load } from "./clients/rival.js"
import type { Place, Runner, Work } from "./work.js"

/** Loads the first module there is. With `--base` and `--at` the sources may be older than the folders of `internal/`. */
const firstOf = async <A>(...names: ReadonlyArray<string>): Promise<A> => {
  for (const name of names) {
    try {
      return await import(`effect-redis-client/${name}`)
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== "ERR_MODULE_NOT_FOUND") {
        throw error
      }
    }
  }
  throw new Error(`none of ${names.join(", ")}`)
}

const { specFor } = await firstOf<typeof Command>("internal/command/command", "RedisCommand")
const { encode } = await firstOf<typeof Encoder>("internal/resp/encoder", "internal/encoder")
const { defaultLimits, Parser } = await firstOf<typeof ParserModule>("internal/resp/parser", "internal/parser")

type Decode = Work & { readonly op: "decode" }
type Encode = Work & { readonly op: "encode" }

/** As a socket gives them. */
const chunkLength = 64 * 1024

const chunksOf = ({ count, reply }: Decode): ReadonlyArray<Buffer> => {
  const bytes = Buffer.from(reply.repeat(count))
  const chunks: Array<Buffer> = []
  for (let at = 0; at < bytes.length; at += chunkLength) {
    chunks.push(bytes.subarray(at, at + chunkLength))
  }
  return chunks
}

const synchronous = (operation: () => void): Runner => ({
  once: async () => operation(),
  run: async (_, meter, samples) => {
    for (let i = 0; i < meter.total; i++) {
      const started = samples === undefined ? 0 : performance.now()
      operation()
      if (samples !== undefined) {
        samples[i] = performance.now() - started
      }
      meter.tick()
    }
  },
  close: async () => {}
})

type OnReply = (reply: unknown) => void

/** Strings that are shorter are never made of pieces. */
const shortestRope = 13

/**
 * Feeds the chunks, and looks whether all replies came. The text of each reply is looked into, whoever made it: a string
 * that is kept as a rope of its pieces is work put off until then.
 */
const decoding = (work: Decode, make: (onReply: OnReply) => (chunk: Buffer) => void): Runner => {
  const chunks = chunksOf(work)
  let seen = 0
  let letters = 0
  const write = make((reply) => {
    seen++
    if (typeof reply === "string" && reply.length >= shortestRope) {
      letters += reply.charCodeAt(reply.length - 1)
    }
  })
  return synchronous(() => {
    seen = 0
    for (const chunk of chunks) {
      write(chunk)
    }
    if (seen !== work.count || Number.isNaN(letters)) {
      throw new Error(`${seen} replies instead of ${work.count}`)
    }
  })
}

interface Decoder {
  write(chunk: Buffer): void
}

type DecoderClass = new (handlers: {
  readonly onReply: OnReply
  readonly onErrorReply: OnReply
  readonly onPush: (push: Array<unknown>) => void
  readonly getTypeMapping: () => object
}) => Decoder

const theirs = (place: Place, work: Decode, file: string): Runner => {
  const { Decoder } = load<{ readonly Decoder: DecoderClass }>(place, path.join(place.home, "node_modules", file))
  return decoding(work, (onReply) => {
    const mapping = {}
    const decoder = new Decoder({
      onReply,
      onErrorReply: onReply,
      // Strings inside pushes are windows of the chunk. Those clients turn channel and message into text, and so do we.
      onPush: (push) => {
        for (let i = 1; i < push.length; i++) {
          const item = push[i]
          push[i] = item instanceof Buffer ? item.toString() : item
        }
        onReply(push)
      },
      getTypeMapping: () => mapping
    })
    return (chunk) => decoder.write(chunk)
  })
}

export const decoder = (contestant: string, place: Place, work: Decode): Runner | undefined => {
  switch (contestant) {
    case "us":
      return decoding(work, (onReply) => {
        const parser = new Parser({ onReply, onPush: onReply, onAttribute: onReply }, defaultLimits, {
          text: true,
          pushText: true
        })
        return (chunk) => parser.write(chunk)
      })
    case "node-redis":
      return theirs(place, work, "@redis/client/dist/lib/RESP/decoder.js")
    case "ioredis":
      return theirs(place, work, "ioredis/built/resp/decoder.js")
    case "iovalkey": {
      // redis-parser, which knows RESP2 only.
      if (/^[%~>,#_(=]/m.test(work.reply)) {
        return undefined
      }
      const RedisParser = load<
        new (handlers: {
          readonly returnReply: OnReply
          readonly returnError: OnReply
        }) => { execute(chunk: Buffer): void }
      >(place, "redis-parser")
      return decoding(work, (onReply) => {
        const parser = new RedisParser({ returnReply: onReply, returnError: onReply })
        return (chunk) => parser.execute(chunk)
      })
    }
    default:
      return undefined
  }
}

/** The result is kept until the next one, so that the compiler cannot leave it out as unused. */
let last: unknown

const encoding = (count: number, one: () => unknown): Runner =>
  synchronous(() => {
    for (let i = 0; i < count; i++) {
      last = one()
    }
    if (last === undefined) {
      throw new Error("nothing was encoded")
    }
  })

export const encoder = (contestant: string, place: Place, { args, command, count }: Encode): Runner | undefined => {
  const [key = "", value = ""] = args
  switch (contestant) {
    case "us": {
      const make = (): RedisCommand<unknown> =>
        command === "GET" ? Redis.get(key) : command === "SET" ? Redis.set(key, value) : Redis.del([key, ...args])
      return encoding(count, () => {
        const made = make()
        return encode(specFor(made).wire, made.args)
      })
    }
    case "node-redis": {
      const library = path.join(place.home, "node_modules/@redis/client/dist/lib")
      const at = (file: string) => path.join(library, file)
      const encodeCommand = load<{ readonly default: (args: ReadonlyArray<string>) => unknown }>(
        place,
        at("RESP/encoder.js")
      ).default
      const { BasicCommandParser } = load<{
        readonly BasicCommandParser: new () => { readonly redisArgs: ReadonlyArray<string> }
      }>(place, at("client/parser.js"))
      const { parseCommand } = load<{
        readonly default: { readonly parseCommand: (parser: object, ...args: ReadonlyArray<unknown>) => void }
      }>(place, at(`commands/${command}.js`)).default
      return encoding(count, () => {
        const parser = new BasicCommandParser()
        if (command === "DEL") {
          parseCommand(parser, args)
        } else if (command === "GET") {
          parseCommand(parser, key)
        } else {
          parseCommand(parser, key, value)
        }
        return encodeCommand(parser.redisArgs)
      })
    }
    case "ioredis":
    case "iovalkey": {
      const { Command } = load<{
        readonly Command: new (name: string, args: ReadonlyArray<string>, options: object) => { toWritable(): unknown }
      }>(place, contestant)
      const name = command.toLowerCase()
      return encoding(count, () => new Command(name, args, { replyEncoding: "utf8" }).toWritable())
    }
    default:
      return undefined
  }
}
